import io
import json
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

N, FROM, TO = 900, 500, 760
RIGS = ("healthy", "valve", "imbalance", "empty")


def written(tmp_path: Path, *, truth: str = "0") -> Path:
    """Four rigs of a pumped loop at 1 Hz that drift with the room; three get a fault from 500 to 760 s."""
    rng = np.random.default_rng(4)
    lines = ["rig,time,vibration_g,motor_current_a,flow_l_per_min,fluid_temperature_c,note,anomaly"]
    for rig in RIGS:
        acts = (np.arange(N) >= FROM) & (np.arange(N) < TO)
        drift = np.linspace(0, 0.4, N)
        flow = 32 + drift + rng.normal(0, 0.45, N) - {"valve": 1.5, "empty": 29.0}.get(rig, 0.0) * acts
        shake = 0.2 + rng.normal(0, 0.002, N) + 0.05 * acts * (rig == "imbalance")
        current = 1.2 + rng.normal(0, 0.2, N)
        warm = 26 - 2 * drift + rng.normal(0, 0.01, N)
        lines += [
            f"{rig},2024-01-01T{i // 3600:02d}:{i // 60 % 60:02d}:{i % 60:02d},{shake[i]:.4f},{current[i]:.3f},"
            f"{flow[i]:.3f},{warm[i]:.3f},ok,{truth if truth != 'real' else int(acts[i])}"
            for i in range(N)
        ]
    path = tmp_path / "rigs.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def rows_of(path: Path, *options: str) -> list[dict]:
    out = io.StringIO()
    call_command("detect_faults", str(path), "--json", *options, stdout=out)
    return json.loads(out.getvalue())["rows"]


@pytest.fixture
def rows(tmp_path):
    return rows_of(written(tmp_path), "--group", "rig", "--train-rows", "400")


def test_faults_raise_alarms_while_they_last_and_are_named(rows):
    assert len(rows) == N * len(RIGS)
    for rig, kind in (("valve", "valve_stuck"), ("imbalance", "rotor_imbalance"), ("empty", "air_in_loop")):
        own = [row for row in rows if row["group"] == rig]
        alarms = np.array([row["alarm"] for row in own])
        assert alarms[FROM + 15 : TO - 15].mean() > 0.95
        # The centred window reaches ten rows ahead of a step that is large.
        assert alarms[: FROM - 10].sum() + alarms[TO + 40 :].sum() == 0
        inside = [row["kind"] for row in own[FROM + 20 : TO - 20] if row["alarm"]]
        assert inside.count(kind) > 0.9 * len(inside)
        assert {row["kind"] for row in own if not row["alarm"]} == {""}


def test_a_healthy_rig_that_drifts_raises_none(rows):
    own = [row for row in rows if row["group"] == "healthy"]
    assert not any(row["alarm"] for row in own)
    assert own[0]["time"] == "2024-01-01T00:00:00"
    assert all(row["score"] is None or row["score"] <= 1 for row in own[400:])


def test_truth_columns_change_nothing(tmp_path, rows):
    assert rows_of(written(tmp_path, truth="real"), "--group", "rig", "--train-rows", "400") == rows


def test_normal_running_may_be_learned_from_other_groups(tmp_path):
    found = rows_of(written(tmp_path), "--group", "rig", "--train-groups", "healthy")
    valve = np.array([row["alarm"] for row in found if row["group"] == "valve"])
    assert valve[FROM + 15 : TO - 15].mean() > 0.9
    assert valve[:FROM].mean() < 0.02


def test_training_may_end_at_a_time(tmp_path):
    path = written(tmp_path)
    assert rows_of(path, "--group", "rig", "--train-until", "2024-01-01T00:06:40") == rows_of(
        path, "--group", "rig", "--train-rows", "400"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--group", "machine"), "has no column machine; it has rig, time"),
        (("--group", "rig", "--train-groups", "other"), "no such group; there are healthy, valve"),
        (("--group", "rig", "--train-rows", "20"), "20 training rows in group healthy; 60 or more are needed"),
        (("--train-rows", "0"), "--train-rows is 0; must be 1 or more"),
        (("--train-until", "soon"), "'soon' is not a time"),
    ],
)
def test_odd_questions_are_refused(tmp_path, options, said):
    with pytest.raises(CommandError, match=said):
        call_command("detect_faults", str(written(tmp_path)), *options)


def test_a_table_of_temperatures_only_is_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("time,room_temperature_c\n" + "".join(f"{i},{20 + i % 3}\n" for i in range(200)))
    with pytest.raises(CommandError, match="no signal to watch besides temperatures"):
        call_command("detect_faults", str(path))
