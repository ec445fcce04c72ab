"""What holds in every transient: closure, bounds and the good of more flow, more tank and less load."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from power_cooling.transients import disturbances
from power_cooling.transients import solve as transients
from power_cooling.transients.disturbances import Forcing

pytestmark = [pytest.mark.slow, pytest.mark.compiled]

few = settings(max_examples=25, deadline=None)  # the march compiles on its first call


def _site(heat_w, tank_s, flow_share=1.0):
    one = np.ones(2)
    units = transients.TransientUnits(
        chip_j_per_k=0.3 * heat_w * one,
        rack_coolant_j_per_k=0.6 * heat_w * one,
        loop_j_per_k=2.5 * heat_w * one,
        plate_w_per_k=heat_w / 22 * one,
        plate_exponent=0.5 * one,
        still_w_per_k=heat_w / 440 * one,
        coolant_w_per_k=flow_share * heat_w / 10 * one,
        exchanger_w_per_k=0.3 * heat_w * one,
        facility_w_per_k=heat_w / 8 * one,
        supply_setpoint_degc=35.0 * one,
        static_w=0.2 * heat_w * one,
        dynamic_w=0.8 * heat_w * one,
        leakage_w=0.1 * heat_w * one,
        leakage_per_k=0.01 * one,
        reference_degc=65.0 * one,
        linear_frac=0.25 * one,
        throttle_degc=85.0 * one,
        throttle_per_k=0.05 * one,
        least_clock_frac=0.3 * one,
        trip_degc=105.0 * one,
        liquid_frac=0.85 * one,
    )
    loop = transients.FacilityLoop(
        return_j_per_k=16 * heat_w,
        tank_j_per_k=2 * heat_w / 9 * tank_s,
        tank_layers=8,
        flow_w_per_k=2 * heat_w / 9,
        setpoint_degc=25.0,
        plant_capacity_w=2.6 * heat_w,
        plant_w_per_k=math.inf,
        air_j_per_k=4 * heat_w,
        air_w_per_k=2 * 0.15 * heat_w / 12,
        air_limit_degc=45.0,
    )
    return units, loop


events = st.sampled_from(["plant", "pump", "facility pump", "grid", "step"])


def _disturbed(kind, at_s, seconds, load=1.0):
    made = {
        "plant": disturbances.plant_loss(at_s),
        "pump": disturbances.pump_loss(at_s, units=(0,)),
        "facility pump": disturbances.facility_pump_loss(at_s),
        "grid": disturbances.grid_loss(at_s, pumps_on_ups=False),
        "step": disturbances.load_step(at_s, 1.3),
    }[kind]
    return Forcing.steady(seconds, load_frac=load).with_disturbances(*made, n_units=2)


@few
@given(events, st.floats(1e5, 3e6), st.floats(10, 400), st.floats(0.2, 1.0))
def test_heat_is_neither_made_nor_lost(kind, heat_w, tank_s, load):
    done = transients.simulate_transient(*_site(heat_w, tank_s), _disturbed(kind, 30, 900, load))
    assert done.report.converged
    assert done.report.heat_balance_frac < 1e-8
    assert np.all(np.isfinite(done.chip_degc))
    assert done.chip_degc.min() > 20.0  # nothing is colder than the plant's water
    assert np.all((done.clock_frac >= 0) & (done.clock_frac <= 1))
    assert np.all(done.throttle_s <= done.trip_s)


@few
@given(events, st.floats(0.3, 0.9), st.floats(1.05, 1.5))
def test_more_load_never_gives_more_time(kind, load, more):
    first, second = (
        transients.simulate_transient(*_site(1e6, 60), _disturbed(kind, 30, 900, x)) for x in (load, load * more)
    )
    assert np.all(second.throttle_s <= first.throttle_s + 1e-6)
    # A trip acts at the end of its step, so that the last fraction of a kelvin is the step's.
    assert np.all(np.minimum(second.hottest_degc, 105.0) >= np.minimum(first.hottest_degc, 105.0) - 1e-6)


@few
@given(st.floats(20, 200), st.floats(1.1, 4))
def test_more_tank_never_gives_less_time(tank_s, more):
    first, second = (
        transients.simulate_transient(*_site(1e6, tank), _disturbed("plant", 30, 2400)).throttle_s
        for tank in (tank_s, tank_s * more)
    )
    assert np.all(second >= first - 1e-6)


@few
@given(st.floats(0.5, 1.0), st.floats(1.05, 1.6))
def test_more_flow_never_heats_the_chip(share, more):
    first, second = (
        transients.steady_start(*_site(1e6, 60, flow), np.ones(2), 20.0)[0][:, 0] for flow in (share, share * more)
    )
    assert np.all(second <= first + 1e-9)


@few
@given(st.permutations([0, 1]), events)
def test_the_order_of_units_does_not_matter(order, kind):
    units, loop = _site(1e6, 60)
    forcing = _disturbed(kind, 30, 300)
    done = transients.simulate_transient(units, loop, forcing)
    turned = Forcing(
        forcing.step_s,
        forcing.load_frac[:, order] if forcing.load_frac.shape[1] == 2 else forcing.load_frac,
        forcing.rack_flow_frac[:, order] if forcing.rack_flow_frac.shape[1] == 2 else forcing.rack_flow_frac,
        forcing.facility_flow_frac,
        forcing.plant_frac,
        forcing.air_flow_frac,
        forcing.sink_degc,
    )
    again = transients.simulate_transient(units, loop, turned)
    assert np.allclose(again.chip_degc, done.chip_degc[:, order], atol=1e-6)
