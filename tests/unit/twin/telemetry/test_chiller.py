import datetime as dt
import io
import json
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

N = 24 * 100


def written(tmp_path: Path, *, fouling_k: float, name: str = "chiller.csv", exported: bool = False) -> Path:
    """A 400 kW chiller by the hour, off at night, whose condenser approach rises by `fouling_k` in 100 days."""
    rng = np.random.default_rng(3)
    hour = np.arange(N)
    on = (hour % 24 >= 7) & (hour % 24 < 21)
    load = np.clip(0.7 + 0.2 * np.sin(2 * np.pi * hour / 24 - 2) + rng.normal(0, 0.06, N), 0.3, 1.0)
    wet = 20 + 3 * np.sin(2 * np.pi * hour / 24) + np.repeat(rng.normal(0, 1.5, N // 24), 24)
    evaporator, condenser = 7.0 * load, 8.0 * load
    entering = wet + 4
    approach = 1.6 * load**0.9 * (1 + fouling_k / 1.6 * hour / N) + rng.normal(0, 0.05, N)
    condensing = entering + condenser + approach
    evaporating = 6.8 - 1.0
    power = 400 * (0.1 + 0.9 * load * (condensing - evaporating) / 32.0) * on
    starts = on & ~np.r_[False, on[:-1]]
    power = np.where(starts, power * rng.uniform(0.2, 1.0, N), power) * (1 + rng.normal(0, 0.01, N))
    lines = [
        "time,power_kw,chilled_water_supply_c,chilled_water_return_c,condenser_water_supply_c,condenser_water_return_c,"
        "condenser_refrigerant_c,evaporator_refrigerant_c,condenser_approach_k"
    ]
    for i in range(N):
        when = dt.datetime(2025, 3, 9) + dt.timedelta(hours=i)
        swapped = exported and when.day <= 12
        text = when.strftime("%Y-%d-%m %H:00:00") if swapped else when.isoformat()
        lines.append(
            f"{text},{power[i]:.1f},6.80,{6.8 + evaporator[i] * on[i]:.2f},{entering[i]:.2f},"
            f"{entering[i] + condenser[i] * on[i]:.2f},{condensing[i] if on[i] else 12.0:.2f},{evaporating:.2f},"
            f"{approach[i] if on[i] else 0.1:.2f}"
        )
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n")
    return path


def answer_of(path: Path, *options: str) -> dict:
    out = io.StringIO()
    call_command("calibrate_component", str(path), "--component", "chiller", "--json", *options, stdout=out)
    return json.loads(out.getvalue())


def test_power_of_later_rows_follows_load_and_lift(tmp_path):
    answer = answer_of(written(tmp_path, fouling_k=0.0))
    power, every = answer["scores"]["power_w"], answer["scores"]["power_all_rows_w"]
    assert power["cv_rmse_frac"] < 0.02
    assert every["n_held_out"] - power["n_held_out"] == pytest.approx(33, abs=2)  # the hour of each start
    assert every["cv_rmse_frac"] > 2 * power["cv_rmse_frac"]
    assert answer["faults"] == []
    drift = answer["drifts"][0]
    assert drift["low"] < 0 < drift["high"]


def test_an_approach_that_rises_is_fouling_with_its_rate(tmp_path):
    answer = answer_of(written(tmp_path, fouling_k=0.5))
    drift = next(d for d in answer["drifts"] if d["parameter"] == "condenser_approach_k")
    true_per_year = 0.5 * 0.78 * 365.25 / 100  # at the mean load of the running hours; a kelvin slope of a logarithm
    assert drift["per_year"] == pytest.approx(true_per_year, rel=0.15)
    assert drift["high"] - drift["low"] < 0.3 * true_per_year
    assert [(f["kind"], f["object"]) for f in answer["faults"]] == [("fouling", "condenser")]


def test_swapped_days_and_months_change_nothing_but_a_finding(tmp_path):
    plain = answer_of(written(tmp_path, fouling_k=0.5))
    swapped = answer_of(written(tmp_path, fouling_k=0.5, name="swapped.csv", exported=True))
    assert swapped["scores"] == plain["scores"]
    assert plain["date_findings"] == []
    assert [finding["finding"] for finding in swapped["date_findings"]] == ["day and month swapped"]


def test_a_chiller_without_power_or_rows_is_refused(tmp_path):
    path = written(tmp_path, fouling_k=0.0)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:300]).replace("power_kw", "spare_kw"))
    with pytest.raises(CommandError, match="no column found for power_w or power_kw"):
        answer_of(path)
    path.write_text("\n".join(lines[:180]))
    with pytest.raises(CommandError, match="the machine runs through [0-9]+ held-out rows; 48 or more are needed"):
        answer_of(path)
