"""The air of the halls at their hottest hour: against racks solved one by one, and what it allows people."""

from dataclasses import replace

import numpy as np
import pytest

from power_cooling.cooling.comfort import recommended_exposure_limit_degc
from power_cooling.racks.it_load import fan_speed_scalar
from power_cooling.site_arrays import records
from twin.core.inputs.layout import layout_inputs
from twin.core.results.answers import answers
from twin.core.results.details import RunDetails
from twin.core.results.findings import run_findings
from twin.core.results.hall_air import hall_air
from twin.core.solve.simulate import solve
from twin.core.solve.steady import solve_steady

pytestmark = pytest.mark.django_db  # makes the database that the samples fill, when this file runs alone


@pytest.fixture(scope="module")
def solved(sample_inputs):
    return solve(layout_inputs(sample_inputs("sterling/gb200-nvl72")), lambda stage, frac: None)


@pytest.mark.compiled
def test_indices_are_those_of_the_racks_solved_one_by_one(solved):
    (row,) = hall_air(solved)
    steady = solve_steady(solved, [row.hour])
    inlets = steady.coupled.rack_channels.inlet_degc[0].astype(float)
    racks, bank = steady.site.racks, records(steady.site.racks)
    load = np.minimum(steady.load_frac[0], 1.0)[racks.pool_index] * racks.load_share
    speed = [fan_speed_scalar(rack, inlet, x)[0] for rack, inlet, x in zip(bank, inlets, load, strict=True)]
    inlet = np.average(inlets, weights=racks.count * racks.air_flow_kg_s * speed)
    assert row.inlet_mean_degc == pytest.approx(inlet, abs=1e-4)
    assert row.inlet_max_degc == pytest.approx(inlets.max(), abs=1e-4)
    whole = row.hot_aisle_degc - row.supply_degc
    assert row.shi_frac == pytest.approx((inlet - row.supply_degc) / whole, abs=1e-5)
    back = row.return_degc - row.supply_degc
    assert row.rti_frac == pytest.approx(back / (row.hot_aisle_degc - inlet), abs=1e-5)


@pytest.mark.compiled
def test_the_hottest_hour_of_the_hot_aisle_is_told(solved):
    (row,) = hall_air(solved)
    assert row.hot_aisle_degc == pytest.approx(np.nanmax(solved.coupled.hall_hot_degc))
    assert row.rci_high_frac == 1.0  # no inlet above 27 °C all year
    assert row.supply_degc < row.inlet_mean_degc <= row.inlet_max_degc < row.hot_aisle_degc


@pytest.mark.compiled
def test_people_are_allowed_less_than_a_shift_where_it_is_hot_and_humid(solved):
    (row,) = hall_air(solved)
    assert row.dew_point_degc == solved.site.halls.dew_point_limit_degc[0]  # Virginia's summer is above it
    assert row.exposure_limit_degc == pytest.approx(float(recommended_exposure_limit_degc(row.metabolic_w)))
    assert row.dew_point_degc < row.wbgt_degc < row.hot_aisle_degc
    assert row.edition == "7933:2023"
    assert 0 < row.allowed_minutes < 480
    (found,) = [f for f in run_findings(RunDetails(hall_air=(row,))) if f.rule == "run-hot-aisle"]
    assert f"{row.allowed_minutes:.0f} min" in found.message
    assert run_findings(RunDetails(hall_air=(replace(row, wbgt_degc=row.exposure_limit_degc),))) == []
    told = {answer.name: answer for answer in answers(RunDetails(hall_air=(row,)), {})}
    assert told["hot_aisle_wbgt_degc"].about == f"hot aisle of {row.hall}"
    assert told["recirculated_frac"].value == row.shi_frac


@pytest.mark.compiled
def test_no_minutes_are_told_beyond_what_the_standard_holds_for(sample_inputs):
    rubin = solve(layout_inputs(sample_inputs("golden/vera-rubin-nvl72")), lambda stage, frac: None)
    (row,) = hall_air(rubin)
    assert row.hot_aisle_degc > 50  # ISO 7933 ends there
    assert row.allowed_minutes is None
    (found,) = [f for f in run_findings(RunDetails(hall_air=(row,))) if f.rule == "run-hot-aisle"]
    assert "min of a shift" not in found.message
