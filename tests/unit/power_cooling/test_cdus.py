import numpy as np
import pytest

from power_cooling.cooling.cdus import cdu_ua_from_rating, pump_power_scalar, solve_cdu
from power_cooling.fluids.heat_exchangers import exchange

HEAT = np.array([2e5, 6e5, 1.2e6])
SECONDARY, PRIMARY, UA = 8.3e4, 8.8e4, 3.4e5


def test_the_valve_holds_the_set_point_and_the_exchanger_agrees():
    state = solve_cdu(HEAT, SECONDARY, PRIMARY, 30.0, UA, supply_set_degc=40.0)
    assert state.holds_setpoint.all()
    assert state.supply_degc == pytest.approx(40.0, abs=0)
    ua = UA / (0.45 + 0.45 * state.valve_frac**-0.7 + 0.1)
    hx = exchange(ua, SECONDARY, PRIMARY * state.valve_frac, state.return_degc, 30.0)
    assert hx.heat_w == pytest.approx(HEAT, rel=1e-12)  # the valve is solved to rounding
    assert hx.cold_outlet_degc == pytest.approx(state.primary_outlet_degc, abs=1e-9)


def test_the_valve_opens_with_heat_and_the_supply_floats_when_it_is_open():
    state = solve_cdu(HEAT, SECONDARY, PRIMARY, 37.5, UA, supply_set_degc=40.0)
    assert np.all(np.diff(state.valve_frac) >= 0)
    assert state.valve_frac[-1] == 1.0
    assert state.supply_degc[-1] > 40.0


def test_an_uncontrolled_exchanger_follows_facility_water():
    state = solve_cdu(HEAT, SECONDARY, PRIMARY, 20.0, UA)
    hx = exchange(UA, SECONDARY, PRIMARY, state.return_degc, 20.0)
    assert hx.hot_outlet_degc == pytest.approx(state.supply_degc, abs=1e-9)


def test_conductance_from_the_rating_gives_the_rated_approach():
    ua = cdu_ua_from_rating(1.368e6, 4.0, 8.3e4, 8.6e4)
    assert solve_cdu(1.368e6, 8.3e4, 8.6e4, 30.0, ua).supply_degc == pytest.approx(34.0, abs=1e-9)


def test_pump_power_falls_between_the_cube_and_the_line():
    assert pump_power_scalar(1000.0, 1.0, 0.3) == 1000.0
    assert pump_power_scalar(1000.0, 0.5, 0.0) == pytest.approx(125.0)
    assert pump_power_scalar(1000.0, 0.5, 1.0) == pytest.approx(500.0)


def test_negative_heat_is_refused():
    with pytest.raises(ValueError, match="heat_w is -1"):
        solve_cdu(-1.0, SECONDARY, PRIMARY, 30.0, UA)
