"""Exact linear networks against a high-order integrator's published times and hand-worked limits."""

import math

import numpy as np
import pytest

from power_cooling.transients import ride_through

# scipy DOP853 at 1e-11: heat, coolant kg (3,960 J/(kg K)), solid J/K, UA, coolant and solid start, trip, seconds.
CASES = np.array(
    [
        [130e3, 60, 40e3, 4e3, 35, 67.5, 85, 45.88812704101447],
        [1e6, 800, 300e3, 30e3, 32, 65.33333333333334, 70, 24.70795186948996],
        [1e6, 5000, 300e3, 30e3, 32, 65.33333333333334, 70, 103.65048094367519],
        [130e3, 15, 25e3, 2500, 40, 92.0, 95, 5.973962527613303],
    ]
)


def test_two_masses_trip_when_the_integrator_says():
    heat, mass, solid, ua, cold, hot, limit, expected = CASES.T
    ours = ride_through.two_mass_ride_through_s(heat, solid, mass * 3960, ua, hot, cold, limit)
    assert ours == pytest.approx(expected, rel=1e-6)


def test_the_matrix_exponential_finds_the_same_time():
    heat, mass, solid, ua, cold, hot, limit, expected = CASES[1]
    a = ride_through.network_matrix([solid, mass * 3960], [[0, ua], [ua, 0]])
    time = ride_through.network_time_to_reach_s(a, [heat / solid, 0.0], [hot, cold], 0, limit)
    assert time == pytest.approx(expected, rel=1e-6)


def test_a_loop_without_cooling_warms_at_last_by_its_whole_heat_capacity():
    a = ride_through.network_matrix([2e4, 3e5], [[0, 4e3], [4e3, 0]])
    early, late = ride_through.network_temperatures_degc(a, [1e5 / 2e4, 0.0], [40.0, 40.0], [500.0, 600.0])
    assert late - early == pytest.approx([100 * 1e5 / 3.2e5] * 2, rel=1e-9)


def test_a_stream_carries_heat_one_way_only():
    # Mass 0 is fed from mass 1; mass 1 is not fed back.
    a = ride_through.network_matrix([1e4, 1e4], np.zeros((2, 2)), [[0, 100.0], [0, 0]])
    state = ride_through.network_temperatures_degc(a, [0.0, 0.0], [20.0, 50.0], [100.0])[0]
    assert state == pytest.approx([50 - 30 * math.exp(-1), 50.0])


def test_a_limit_that_is_never_reached_takes_for_ever():
    # Held at 30 °C by a fixed sink through 1 kW/K: 1e4 W settle 10 K above it.
    a = np.array([[-1e3 / 1e5]])
    source = [(1e4 + 1e3 * 30) / 1e5]
    assert ride_through.network_time_to_reach_s(a, source, [30.0], 0, 41.0, horizon_s=3600) == math.inf
    assert ride_through.network_time_to_reach_s(a, source, [30.0], 0, 39.0) == pytest.approx(100 * math.log(10))


def test_a_limit_already_passed_takes_no_time():
    assert ride_through.two_mass_ride_through_s(1e5, 1e4, 1e5, 1e3, 90.0, 40.0, 85.0) == 0.0


def test_impossible_networks_are_refused():
    with pytest.raises(ValueError, match="power_w is 0; must be greater than 0"):
        ride_through.two_mass_ride_through_s(0.0, 1e4, 1e5, 1e3, 60.0, 40.0, 85.0)
    with pytest.raises(ValueError, match="must be symmetric; put streams into advection_w_per_k"):
        ride_through.network_matrix([1.0, 1.0], [[0, 1.0], [2.0, 0]])
