import datetime as dt
import io
import json
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

N = 420


def written(tmp_path: Path, *, spoil: str = "") -> Path:
    """A pod of three racks and two coolers by the minute; the load steps, the heat follows minutes later."""
    rng = np.random.default_rng(8)
    it = np.where((np.arange(N) // 60) % 2 == 0, 30e3, 60e3) + rng.normal(0, 200, N)
    air = np.empty(N)
    air[0] = it[0]
    for i in range(1, N):
        air[i] = air[i - 1] + (it[i] - air[i - 1]) / 6
    fans = [40 + 8 * np.sin(np.arange(N) / 50), 45 + 5 * np.cos(np.arange(N) / 70)]
    supplies = [16.5 + 0.2 * np.sin(np.arange(N) / 30), 16.7 + rng.normal(0, 0.03, N)]
    difference = air / (50.0 * (fans[0] + fans[1]))
    meter = np.empty(N)
    meter[0] = air[0]
    for i in range(1, N):
        meter[i] = meter[i - 1] + (air[i] - meter[i - 1]) * -np.expm1(-60 / 180)
    inlet = 0.5 * (supplies[0] + supplies[1]) + 3.0 + 0.05 * difference
    columns = {
        "thermal_power_out_w": meter * (1 + rng.normal(0, 0.02, N)),
        "electrical_power_in_w": it * 1.05,
        "it_power_w": it,
        **{f"rack0{r}_power_w": it * 0.87 / 3 for r in (1, 2, 3)},
        **{f"cooler{c + 1}_fan_signal_pct": fans[c] for c in (0, 1)},
        **{f"cooler{c + 1}_supply_c": supplies[c] for c in (0, 1)},
        **{f"cooler{c + 1}_return0_c": supplies[c] + difference + rng.normal(0, 0.05, N) for c in (0, 1)},
        "rack01_inlet_c": inlet + rng.normal(0, 0.05, N),
        "cold_aisle_strip_0_c": supplies[0] + difference + 1.0,
    }
    lines = ["time," + ",".join(columns)]
    for i in range(N):
        time = (dt.datetime(2019, 10, 1, 8) + dt.timedelta(minutes=i)).isoformat()
        lines.append(time + "," + ",".join(f"{values[i]:.3f}" for values in columns.values()))
    path = tmp_path / "pod.csv"
    path.write_text("\n".join(lines).replace(spoil or "\0", "other") + "\n")
    return path


def answer_of(path: Path, *options: str) -> dict:
    out = io.StringIO()
    call_command("calibrate_component", str(path), "--component", "pod", "--json", *options, stdout=out)
    return json.loads(out.getvalue())


def test_later_heat_and_cold_aisle_are_met_and_the_meter_gap_is_named(tmp_path):
    answer = answer_of(written(tmp_path))
    assert answer["scores"]["thermal_power_w"]["cv_rmse_frac"] < 0.03
    assert answer["scores"]["cold_aisle_degc"]["rmse_k"] < 0.15
    assert "does not stand in cold air" in answer["scores"]["cold_aisle_strip_degc"]["sensors"]
    parameters = {p["parameter"]: p for p in answer["parameters"]}
    assert parameters["coil_time_s"]["low"] < 180 < parameters["coil_time_s"]["high"]
    racks = answer["coverage"][0]
    assert racks["ratio"] == pytest.approx(0.87, abs=1e-3)
    assert racks["gap"].startswith("13% of it_power_w is not covered")


def test_training_may_end_at_a_time(tmp_path):
    answer = answer_of(written(tmp_path), "--train-until", "2019-10-01T12:00:00")
    assert answer["scores"]["thermal_power_w"]["n_train"] == 240


@pytest.mark.parametrize(
    ("spoil", "said"),
    [("thermal_power_out_w", "no column found for thermal_power_out_w"), ("fan_signal_pct", "no cooler has columns")],
)
def test_a_pod_without_meter_or_fans_is_refused(tmp_path, spoil, said):
    with pytest.raises(CommandError, match=said):
        answer_of(written(tmp_path, spoil=spoil))
