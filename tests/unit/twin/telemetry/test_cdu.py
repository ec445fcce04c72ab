import datetime as dt
import io
import json
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from tests.unit.twin.telemetry.made_loop import DESIGN, START_DAY, UA_W_PER_K, Fault, made_loop
from twin.core.telemetry.cdu import conductance_w_per_k, film_factor
from twin.core.telemetry.times import parse_time

FIRST = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
FAULTS = (
    (Fault("fouling", 0.15), "hx"),
    (Fault("pump_wear", 0.12), "secondary_pump"),
    (Fault("facility_flow_low", 0.15), "primary_pump"),
    (Fault("rejection_degraded", 0.25), "rejection"),
    (Fault("sensor_bias", 0.7, "secondary_return_degc"), "sensor:secondary_return_degc"),
    (Fault("sensor_bias", -0.6, "primary_supply_degc"), "sensor:primary_supply_degc"),
    (Fault("sensor_gain", 0.06, "secondary_flow_kg_s"), "sensor:secondary_flow_kg_s"),
)


def written(tmp_path: Path, fault: Fault, seed: int) -> Path:
    seconds, readings = made_loop(fault, seed)
    lines = ["time," + ",".join(readings)]
    for i, second in enumerate(seconds):
        if 300 <= i < 320:
            continue  # a gap
        time = (FIRST + dt.timedelta(seconds=float(second))).isoformat()
        lines.append(time + "," + ",".join("" if np.isnan(v[i]) else f"{v[i]:.3f}" for v in readings.values()))
    path = tmp_path / "made.csv"
    path.write_text("\n".join(lines) + "\n")
    (tmp_path / "design.csv").write_text(
        ",".join(DESIGN) + "\n" + ",".join(f'"{value}"' for value in DESIGN.values()) + "\n"
    )
    return path


def answer_of(path: Path, *options: str) -> dict:
    out = io.StringIO()
    call_command(
        "calibrate_component",
        str(path),
        "--component",
        "cdu",
        "--design",
        str(path.parent / "design.csv"),
        "--json",
        *options,
        stdout=out,
    )
    return json.loads(out.getvalue())


def test_a_healthy_loop_gives_its_conductance_and_no_fault(tmp_path):
    answer = answer_of(written(tmp_path, Fault(), 1))
    assert answer["faults"] == []
    ua = next(p for p in answer["parameters"] if p["parameter"] == "ua_w_per_k")
    assert ua["value"] == pytest.approx(UA_W_PER_K, rel=0.01)
    assert ua["low"] < UA_W_PER_K < ua["high"]
    assert (ua["high"] - ua["low"]) / ua["value"] < 0.06
    assert answer["scores"]["secondary_supply_degc"]["rmse_k"] < 0.08
    assert [finding["finding"] for finding in answer["date_findings"]] == ["gap"]
    assert all(row["ratio"] == pytest.approx(1, abs=0.003) for row in answer["coverage"])


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "place"), FAULTS, ids=[place for _, place in FAULTS])
def test_a_fault_is_named_dated_and_sized_first(tmp_path, fault, place):
    answer = answer_of(written(tmp_path, fault, 2))
    first = answer["faults"][0]
    assert (first["kind"], first["object"]) == (fault.kind, place)
    since = parse_time(first["since"]) - FIRST.timestamp()
    assert since / 86_400 == pytest.approx(START_DAY, abs=1.0)
    assert first["size"] == pytest.approx(fault.size, rel=0.2)
    assert len(answer["faults"]) == 1
    ua = next(p for p in answer["parameters"] if p["parameter"] == "ua_w_per_k")
    assert ua["value"] == pytest.approx(UA_W_PER_K, rel=0.015)  # of the days before


def test_the_log_mean_difference_inverts_a_counterflow_exchanger():
    raw = {
        "secondary_return_degc": np.array([40.0, 30.0]),
        "primary_return_degc": np.array([35.0, 28.0]),
        "secondary_supply_degc": np.array([28.0, 22.0]),
        "primary_supply_degc": np.array([25.0, 20.0]),
    }
    lmtd = np.array([(5 - 3) / np.log(5 / 3), 2.0])
    np.testing.assert_allclose(conductance_w_per_k(raw, np.array([1e5, 1e5])), 1e5 / lmtd)
    assert film_factor(np.array([1.0]), np.array([1.0]), 0.7)[0] == pytest.approx(1.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("secondary_flow_kg_s", "spare"), "no column found for secondary_flow_kg_s"),
        (lambda text: text.replace("\n2024-05-01T00:20", "\nnonsense", 1), None),
    ],
)
def test_odd_tables_are_refused_or_reported(tmp_path, change, said):
    path = written(tmp_path, Fault(), 3)
    path.write_text(change(path.read_text()))
    if said:
        with pytest.raises(CommandError, match=said):
            answer_of(path)
    else:
        assert "unreadable time" in {finding["finding"] for finding in answer_of(path)["date_findings"]}


def test_the_design_must_hold_the_file_and_numbers(tmp_path):
    path = written(tmp_path, Fault(), 4)
    design = tmp_path / "design.csv"
    design.write_text(design.read_text().replace("made", "other"))
    with pytest.raises(CommandError, match="0 rows have plant = made"):
        answer_of(path)
    design.write_text("plant,hx_ua_maker_w_k\nmade,-5\n")
    with pytest.raises(CommandError, match="column hx_ua_maker_w_k is -5; must be above 0"):
        answer_of(path)


def test_training_must_leave_rows_on_both_sides(tmp_path):
    path = written(tmp_path, Fault(), 5)
    with pytest.raises(CommandError, match="rows are for training; some must be left"):
        answer_of(path, "--train-until", "2030-01-01")
    with pytest.raises(CommandError, match="--train-frac is 1.5; must be between 0 and 1"):
        answer_of(path, "--train-frac", "1.5")
