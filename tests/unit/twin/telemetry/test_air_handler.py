import datetime as dt
import io
import json
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

DAYS, PER_DAY = 6, 288
FAULTS = {"cooling stuck": 1, "cooling leak": 3, "damper stuck": 4}


def written(tmp_path: Path, *, faulty: bool, truth: int = 0) -> Path:
    """Six days of an air handler at 5 min; with faults, three of its days have one each."""
    rng = np.random.default_rng(2)
    lines = [
        "datetime,supply_air_temperature_c,supply_air_temperature_set_point_c,outdoor_air_temperature_c,"
        "mixed_air_temperature_c,return_air_temperature_c,supply_air_fan_status,outdoor_air_damper_control_signal,"
        "cooling_coil_valve_control_signal,heating_coil_valve_control_signal,occupancy_mode_indicator,fault"
    ]
    for day in range(DAYS):
        wrong = next((name for name, at in FAULTS.items() if at == day), "") if faulty else ""
        for i in range(PER_DAY):
            occupied = 72 <= i < 216
            outdoor = 27 + 4 * np.sin(2 * np.pi * (i - 108) / PER_DAY) + 0.3 * day
            back, damper = 22.5, 0.4 if i < 150 else 0.9
            share = 0.1 if wrong == "damper stuck" else 0.05 + 0.85 * damper
            mixed = back + share * (outdoor - back) + rng.normal(0, 0.2)
            valve = np.clip((mixed + 1.0 - 12.8) / 22, 0, 1) * occupied
            if wrong == "cooling leak":
                valve = 0.0
            cooled = 0.0 if wrong == "cooling stuck" else 22 * valve
            if wrong == "cooling leak":
                cooled = 5.0
            supply = mixed + 1.0 * occupied - cooled * occupied
            time = (dt.datetime(2017, 8, 13 + day) + dt.timedelta(minutes=5 * i)).strftime("%-m/%-d/%Y %-H:%M")
            lines.append(
                f"{time},{supply:.2f},12.78,{outdoor:.2f},{mixed:.2f},{back},{int(occupied)},{damper},{valve:.3f},0,"
                f"{int(occupied)},{truth}"
            )
    path = tmp_path / f"ahu_{faulty}_{truth}.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def answer_of(path: Path, *options: str) -> dict:
    out = io.StringIO()
    call_command("calibrate_component", str(path), "--component", "air-handler", "--json", *options, stdout=out)
    return json.loads(out.getvalue())


def test_a_sound_air_handler_has_no_fault_and_its_mixing_is_learned(tmp_path):
    answer = answer_of(written(tmp_path, faulty=False))
    assert answer["faults"] == []
    assert answer["scores"]["mixed_air_degc"]["rmse_k"] < 0.4
    parameters = {p["parameter"]: p["value"] for p in answer["parameters"]}
    assert parameters["outdoor_full_frac"] == pytest.approx(0.9, abs=0.1)


def test_days_with_a_fault_are_named_with_its_place(tmp_path):
    answer = answer_of(written(tmp_path, faulty=True), "--train-frac", "0.16")
    days = {(fault["kind"], fault["object"]): fault["days"] for fault in answer["faults"]}
    assert days[("valve_stuck", "cooling_valve")] == ["2017-08-14"]
    assert days[("valve_leak", "cooling_valve")] == ["2017-08-16"]
    assert days[("valve_stuck", "outdoor_damper")] == ["2017-08-17"]
    assert {day for failed in days.values() for day in failed} == {"2017-08-14", "2017-08-16", "2017-08-17"}


def test_the_truth_column_changes_nothing(tmp_path):
    plain = answer_of(written(tmp_path, faulty=True))
    assert answer_of(written(tmp_path, faulty=True, truth=1)) == plain


def test_air_that_cannot_be_is_refused(tmp_path):
    path = written(tmp_path, faulty=False)
    path.write_text(path.read_text().replace(",22.5,", ",722.5,", 1))
    with pytest.raises(CommandError, match="column return_air_temperature_c, row 1: 722.5 degC is outside -60 to 120"):
        answer_of(path)
