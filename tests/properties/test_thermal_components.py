"""Balances and monotonicity that hold for any plant component, whatever its numbers."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from power_cooling.cooling import chillers, heat_rejection, towers
from power_cooling.fluids import coolants, heat_exchangers, hydraulics, psychrometrics
from power_cooling.site_arrays import ASSUMED_EIRFPLR
from power_cooling.transients import ride_through

pytestmark = pytest.mark.slow

few = settings(max_examples=60, deadline=None)  # compiled functions may compile on their first call
ntus = st.floats(0, 12)
ratios = st.floats(0, 1)
flows = st.sampled_from(heat_exchangers.FLOW_TYPES)


@few
@given(ntus, ratios, flows)
def test_effectiveness_stays_between_nothing_and_all(ntu, ratio, flow):
    assert 0 <= heat_exchangers.effectiveness(ntu, ratio, flow) <= 1


@few
@given(ntus, ntus, ratios)
def test_a_larger_exchanger_is_never_less_effective_in_counterflow(ntu, more, ratio):
    small, large = sorted((ntu, more))
    assert heat_exchangers.counterflow_effectiveness(large, ratio) >= heat_exchangers.counterflow_effectiveness(
        small, ratio
    ) * (1 - 1e-12)


@few
@given(ntus, ratios, flows)
def test_counterflow_is_the_best_arrangement(ntu, ratio, flow):
    # The explicit crossflow formula is an approximation and may pass the exact limit by its own error.
    slack = 2e-3 if flow == "crossflow approximate" else 1e-12
    best = heat_exchangers.counterflow_effectiveness(ntu, ratio)
    assert heat_exchangers.effectiveness(ntu, ratio, flow) <= best + slack


@few
@given(st.floats(0, 1e6), st.floats(1, 1e6), st.floats(1, 1e6), st.floats(-20, 90), st.floats(-20, 90), flows)
def test_heat_leaves_one_side_and_enters_the_other_and_temperatures_do_not_cross(ua, hot, cold, hot_in, cold_in, flow):
    done = heat_exchangers.exchange(ua, hot, cold, hot_in, cold_in, flow)
    scale = max(abs(hot_in - cold_in), 1e-3)
    assert (hot_in - done.hot_outlet_degc) * hot == pytest.approx(float(done.heat_w), rel=1e-6, abs=1e-9 * hot * 100)
    assert (done.cold_outlet_degc - cold_in) * cold == pytest.approx(
        float(done.heat_w), rel=1e-6, abs=1e-9 * cold * 100
    )
    low, high = sorted((hot_in, cold_in))
    for outlet in (done.hot_outlet_degc, done.cold_outlet_degc):
        assert low - 1e-9 * scale <= outlet <= high + 1e-9 * scale + 1e-12 * abs(high)


@few
@given(st.floats(-40, 50), st.floats(0.01, 1), st.floats(60e3, 105e3))
def test_dew_point_wet_bulb_and_dry_bulb_are_in_order(dry, humid, pressure):
    ratio = psychrometrics.humidity_ratio_from_relative_humidity(dry, humid, pressure)
    wet = psychrometrics.wet_bulb_degc(dry, ratio, pressure)
    dew = psychrometrics.dew_point_degc(ratio, pressure)
    assert dew - 1e-6 <= wet <= dry + 1e-6
    # Far below freezing the humidity ratio is next to nothing and its error in the wet bulb shows.
    assert psychrometrics.humidity_ratio_from_wet_bulb(dry, wet, pressure) == pytest.approx(float(ratio), abs=1e-9)


@few
@given(st.floats(0.1, 0.6), st.floats(0, 90), st.sampled_from(["propylene", "ethylene"]))
def test_glycols_are_denser_thicker_and_carry_less_heat_than_water(fraction, temperature, glycol):
    fluid = coolants.glycol_by_volume(glycol, fraction)
    assert fluid.viscosity(temperature) > coolants.WATER.viscosity(temperature)
    assert fluid.heat_capacity(temperature) < coolants.WATER.heat_capacity(temperature)
    assert fluid.conductivity(temperature) < coolants.WATER.conductivity(temperature)
    assert fluid.freezing_degc < 0


loads = st.floats(1e4, 2e6)
air_temperatures = st.floats(-25, 45)
setpoints = st.floats(15, 50)


def _cooler():
    one = np.ones(1)
    return heat_rejection.DryCoolers(110e3 * one, 110.0 * one, 30e3 * one, 0.6 * one, 3.0 * one, 0.1 * one)


@few
@given(loads, air_temperatures, st.floats(0, 15), setpoints)
def test_hotter_air_never_lowers_a_dry_coolers_supply_or_fan_power(heat, air, warmer, setpoint):
    cool, warm = (heat_rejection.dry_cooler_supply(_cooler(), heat, 1.8e5, t, setpoint) for t in (air, air + warmer))
    assert warm.supply_degc[0] >= cool.supply_degc[0] - 1e-9
    assert warm.fan_power_w[0] >= cool.fan_power_w[0] * (1 - 1e-6) - 1e-6
    assert cool.supply_degc[0] >= min(air, setpoint) - 1e-9  # an approach is never negative
    assert 0 <= cool.fan_power_w[0] <= 30e3 * (1 + 1e-12)


@few
@given(loads, st.floats(-15, 30), st.floats(0, 6), setpoints)
def test_a_towers_water_is_never_colder_than_the_wet_bulb_nor_better_when_it_is_wetter(heat, wet, wetter, setpoint):
    one = np.ones(1)
    tower = towers.MerkelTowers(
        85e3 * one, 55.0 * one, 43.0 * one, 24e3 * one, 0.6 * one, 0.5 * one, 3.0 * one, 0.2 * one, 0.1 * one
    )
    (dry_day, evaporated), (wet_day, _) = (
        towers.merkel_supply(tower, heat, 43.0, wet + wetter + 5, t, setpoint) for t in (wet, wet + wetter)
    )
    assert dry_day.supply_degc[0] >= min(wet, setpoint) - 1e-9
    assert wet_day.supply_degc[0] >= dry_day.supply_degc[0] - 1e-6
    assert evaporated[0] >= 0


@few
@given(loads, st.floats(-5, 28), st.floats(20, 120))
def test_what_a_tower_returns_for_a_heat_gives_that_heat(heat, wet, air):
    coming = towers.merkel_return_scalar(heat, 1.8e5, wet, 101325.0, air, 1020.0, 85e3)
    assume(coming < 80)
    again = towers.merkel_heat_scalar(coming, 1.8e5, wet, 101325.0, air, 1020.0, 85e3)
    assert again == pytest.approx(heat, rel=1e-7)


@few
@given(st.floats(1e4, 1.2e6), st.floats(15, 40), st.floats(-10, 45), st.floats(0, 10))
def test_a_chiller_never_needs_less_for_a_hotter_sink_nor_beats_carnot(heat, leaving, sink, hotter):
    one = np.ones(1)
    bank = chillers.CarnotChillers(1e6 * one, 0.5 * one, 1.5 * one, 8.0 * one, np.array([ASSUMED_EIRFPLR]), 0.1 * one)
    cool, warm = (chillers.carnot_chillers(bank, heat, leaving, t) for t in (sink, sink + hotter))
    assert warm.power_w[0] >= cool.power_w[0]
    assert cool.condenser_heat_w[0] == pytest.approx(cool.heat_w[0] + cool.power_w[0])
    lift = max(sink + 8.0 - (leaving - 1.5), chillers.LEAST_LIFT_K)
    best = (leaving - 1.5 + 273.15) / lift
    # The part-load curve of a variable-speed machine may better the fraction, never Carnot itself.
    assert cool.heat_w[0] / cool.power_w[0] <= best


@few
@given(st.lists(st.floats(5, 200), min_size=2, max_size=8), st.floats(2, 40), st.sampled_from(["direct", "reverse"]))
def test_branches_share_the_flow_and_all_loops_close(losses, total, returning):
    n = len(losses)
    branches = (hydraulics.PipeRuns(np.full(n, 3.0), np.full(n, 0.032), np.full(n, 1.5e-5), np.array(losses)),)
    headers = hydraulics.PipeRuns(np.full(n, 0.6), np.full(n, 0.1), np.full(n, 4.5e-5), np.zeros(n))
    done = hydraulics.solve_manifold(
        branches, headers, total, density_kg_m3=1013.0, viscosity_pa_s=0.00132, returning=returning, tolerance_pa=1e-4
    )
    assert done.report.converged
    assert np.all(done.branch_kg_s > 0)
    assert done.branch_kg_s.sum() == pytest.approx(total, rel=1e-9)
    across = done.supply_pa[1:] - done.return_pa[1:]
    drops = hydraulics.pressure_drop_pa(branches[0], done.branch_kg_s, 1013.0, 0.00132)
    assert across == pytest.approx(drops, rel=1e-6, abs=1e-2)


@few
@given(st.floats(1e3, 1e6), st.floats(0, 0.05))
def test_rougher_pipes_never_resist_less(reynolds, ratio):
    smooth = hydraulics.friction_factor(reynolds, 0.0)
    rough = hydraulics.friction_factor(reynolds, ratio)
    assert rough >= smooth * (1 - 1e-12)
    assert math.isfinite(rough)


@few
@given(
    st.floats(1e4, 2e6),
    st.floats(1e4, 1e6),
    st.floats(1e5, 2e7),
    st.floats(1e3, 1e5),
    st.floats(1, 40),
    st.floats(1.1, 3),
)
def test_more_coolant_never_trips_earlier(heat, solid, coolant, ua, margin, more):
    start = heat / ua
    times = [
        ride_through.two_mass_ride_through_s(heat, solid, c, ua, 30 + start, 30.0, 30 + start + margin)
        for c in (coolant, coolant * more)
    ]
    assert 0 < times[0] <= times[1] * (1 + 1e-9)
    # Never earlier than with the solid alone taking the heat, never later than with everything taking all of it.
    assert times[0] >= margin * solid / heat * (1 - 1e-9)
