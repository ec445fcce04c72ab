"""The seconds after a loss, against exact networks, an independent integrator and balances."""

import dataclasses
import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from power_cooling.site_arrays import records
from power_cooling.transients import disturbances, ride_through
from power_cooling.transients import solve as transients
from power_cooling.transients.disturbances import Forcing

HEAT_W = 1e6


def _units(n=1, **changes):
    given = {
        "chip_j_per_k": 3e5,
        "rack_coolant_j_per_k": 6e5,
        "loop_j_per_k": 2.5e6,
        "plate_w_per_k": HEAT_W * 0.85 / 20,
        "plate_exponent": 0.5,
        "still_w_per_k": HEAT_W * 0.85 / 400,
        "coolant_w_per_k": HEAT_W * 0.85 / 10,
        "exchanger_w_per_k": 3e5,
        "facility_w_per_k": HEAT_W * 0.85 / 8,
        "supply_setpoint_degc": 35.0,
        "static_w": 0.2 * HEAT_W,
        "dynamic_w": 0.8 * HEAT_W,
        "leakage_w": 0.1 * HEAT_W,
        "leakage_per_k": 0.01,
        "reference_degc": 65.0,
        "linear_frac": 0.25,
        "throttle_degc": 85.0,
        "throttle_per_k": 0.05,
        "least_clock_frac": 0.3,
        "trip_degc": 105.0,
        "liquid_frac": 0.85,
    } | changes
    return transients.TransientUnits(**{key: np.full(n, float(value)) for key, value in given.items()})


def _loop(n=1, **changes):
    given = {
        "return_j_per_k": n * 8e6,
        "tank_j_per_k": n * 3e7,
        "tank_layers": 10,
        "flow_w_per_k": n * HEAT_W / 9,
        "setpoint_degc": 25.0,
        "plant_capacity_w": n * 1.3 * HEAT_W,
        "plant_w_per_k": math.inf,
        "air_j_per_k": n * 2e6,
        "air_w_per_k": n * 0.15 * HEAT_W / 12,
        "air_limit_degc": 45.0,
    } | changes
    return transients.FacilityLoop(**given)


def _run(units, loop, *events, seconds=600, n_units=1, **options):
    forcing = Forcing.steady(seconds).with_disturbances(*events, n_units=n_units)
    return transients.simulate_transient(units, loop, forcing, **options)


@pytest.mark.compiled
def test_nothing_moves_while_nothing_happens():
    done = _run(_units(), _loop())
    assert np.ptp(done.chip_degc) < 1e-9
    assert done.power_w[-1, 0] == pytest.approx(HEAT_W, rel=0.01)  # leakage at 64.8 °C instead of 65
    assert np.isinf(done.throttle_s[0])
    assert done.report.converged
    assert done.report.heat_balance_frac < 1e-9


@pytest.mark.compiled
def test_without_throttling_the_run_is_the_exact_network():
    # Plant lost, valve open, constant power: five masses and one stream around, all linear.
    units = _units(leakage_w=0.0, supply_setpoint_degc=-50.0, throttle_degc=500.0, trip_degc=600.0, liquid_frac=1.0)
    loop = _loop(tank_layers=1, air_w_per_k=0.0)
    done = _run(units, loop, *disturbances.plant_loss(100), seconds=400)
    state, z, _ = transients.steady_start(units, loop, np.ones(1), 20.0)
    plate, stream, flow = HEAT_W * 0.85 / 20, HEAT_W * 0.85 / 10, HEAT_W / 9
    least = min(stream, HEAT_W * 0.85 / 8)
    ratio = stream / (HEAT_W * 0.85 / 8)
    ntu = 3e5 / least
    duty = least * (1 - math.exp(-ntu * (1 - ratio))) / (1 - ratio * math.exp(-ntu * (1 - ratio)))
    capacity = np.array([3e5, 6e5, 2.5e6, 8e6, 3e7])  # chip, rack coolant, loop, return, supply
    conductance = np.zeros((5, 5))
    conductance[0, 1] = conductance[1, 0] = plate
    streams = np.zeros((5, 5))
    streams[1, 2] = stream  # supply into the racks
    streams[2, 1] = stream - duty  # what the exchanger leaves of the return
    streams[2, 4] = duty
    streams[3, 4] = flow - duty
    streams[3, 1] = duty
    streams[4, 3] = flow  # no plant: what returns is supplied
    a = ride_through.network_matrix(capacity, conductance, streams)
    start = np.array([*state[0], z[0], z[1]])
    exact = ride_through.network_temperatures_degc(a, np.array([HEAT_W / 3e5, 0, 0, 0, 0]), start, [100.0, 300.0])
    # One-second steps of a second-order method on masses of several seconds.
    assert done.chip_degc[[199, 399], 0] == pytest.approx(exact[:, 0], abs=2e-3)
    assert done.facility_supply_degc[[199, 399]] == pytest.approx(exact[:, 4], abs=2e-3)


@pytest.mark.compiled
def test_the_error_falls_with_the_square_of_the_step():
    units = _units(leakage_w=0.0, supply_setpoint_degc=-50.0, throttle_degc=500.0, trip_degc=600.0)
    runs = {
        step: _run(units, _loop(), *disturbances.plant_loss(0), seconds=120, longest_step_s=step).chip_degc[-1, 0]
        for step in (1.0, 0.5, 0.0625)
    }
    coarse, fine = abs(runs[1.0] - runs[0.0625]), abs(runs[0.5] - runs[0.0625])
    assert 3.0 < coarse / fine < 5.5  # second order: 4, on the way to it


@pytest.mark.compiled
def test_a_throttling_chip_follows_an_independent_integrator():
    # Pump lost at once: chip and trapped coolant alone, the standing conductance between, throttle in the way.
    units = _units(trip_degc=150.0)
    forcing = Forcing.steady(60.0, step_s=0.25).with_disturbances(disturbances.Disturbance("rack_flow", 0.0))
    done = transients.simulate_transient(units, _loop(), forcing, longest_step_s=0.25)
    state, _, _ = transients.steady_start(units, _loop(), np.ones(1), 20.0)

    def power(t):
        clock = min(max(1 - 0.05 * (t - 85.0), 0.3), 1.0)
        return 0.2e6 + 1e5 * (math.exp(0.01 * (t - 65.0)) - 1) + 0.8e6 * (0.25 * clock + 0.75 * clock**3)

    def slope(_, y):
        across = HEAT_W * 0.85 / 400 * (y[0] - y[1])
        return [(0.85 * power(y[0]) - across) / 3e5, across / 6e5]

    exact = solve_ivp(slope, (0, 60), state[0, :2], rtol=1e-9, atol=1e-9, t_eval=[5.0, 20.0, 60.0])
    assert done.chip_degc[[19, 79, 239], 0] == pytest.approx(exact.y[0], abs=0.02)


@pytest.mark.compiled
def test_a_lost_pump_throttles_within_seconds_and_trips_only_its_own_racks():
    done = _run(_units(3), _loop(3), *disturbances.pump_loss(60, units=(1,)), n_units=3)
    assert 60 < done.throttle_s[1] < 80
    assert done.throttle_s[1] < done.trip_s[1] < 150
    assert np.isinf(done.trip_s[[0, 2]]).all()
    assert done.power_w[-1, 1] == 0.0
    assert done.clock_frac[-1].tolist() == [1.0, 0.0, 1.0]
    assert done.lost_work_s[0] == 0.0


@pytest.mark.compiled
def test_a_spare_pump_brings_the_racks_back():
    done = _run(_units(), _loop(), *disturbances.pump_loss(60, restored_at_s=64))
    assert np.isinf(done.trip_s[0])
    assert 64 < done.recovered_s[0] < 300
    assert done.chip_degc[-1, 0] == pytest.approx(done.chip_degc[0, 0], abs=0.1)


@pytest.mark.compiled
def test_a_larger_tank_rides_through_longer():
    small, large = (
        _run(_units(), _loop(tank_j_per_k=tank), *disturbances.plant_loss(10), seconds=3600).throttle_s[0]
        for tank in (1e7, 6e7)
    )
    assert small < large < math.inf


@pytest.mark.compiled
def test_layers_of_a_tank_hold_its_cold_longer_than_mixing():
    mixed, layered = (_run(_units(), _loop(tank_layers=n), *disturbances.plant_loss(0), seconds=240) for n in (1, 20))
    assert layered.facility_supply_degc[120] < mixed.facility_supply_degc[120] - 1.0


@pytest.mark.compiled
def test_the_grid_may_fail_while_generators_start():
    done = _run(_units(), _loop(), *disturbances.grid_loss(60, fans_on_ups=True), seconds=1200)
    assert np.isinf(done.throttle_s[0])
    assert done.recovered_s[0] < math.inf
    assert done.report.heat_balance_frac < 1e-8


@pytest.mark.compiled
def test_an_empty_ups_stops_the_load_for_want_of_generators():
    events = disturbances.grid_loss(60, generators_carry=False, ups_lasts_s=120)
    done = _run(_units(), _loop(), *events, seconds=400)
    assert done.power_w[150, 0] > 0.9 * HEAT_W
    assert done.power_w[-1, 0] < 0.25 * HEAT_W  # only what clock and load do not move
    assert done.air_degc.max() > done.air_degc[0] + 5


@pytest.mark.compiled
def test_a_load_step_settles_at_its_own_steady_state():
    done = _run(_units(), _loop(), *disturbances.load_step(60, 0.5), seconds=3600)
    state, _, _ = transients.steady_start(_units(), _loop(), np.full(1, 0.5), 20.0)
    assert done.chip_degc[-1, 0] == pytest.approx(state[0, 0], abs=0.02)


@pytest.mark.compiled
def test_long_saved_steps_are_divided_and_long_true_steps_stay_bounded():
    events = disturbances.plant_loss(1200, restored_at_s=3600)
    forcing = Forcing.steady(36_000.0, step_s=600.0).with_disturbances(*events)
    second, quarter_minute = (
        transients.simulate_transient(_units(), _loop(), forcing, longest_step_s=step).chip_degc for step in (1.0, 15.0)
    )
    # Fifteen seconds is five times the cold plate's own time; an explicit step would have left the scale.
    assert quarter_minute == pytest.approx(second, abs=0.5)


@pytest.mark.compiled
def test_a_plant_too_small_for_its_heat_is_told():
    done = _run(_units(), _loop(plant_capacity_w=0.5 * HEAT_W, plant_w_per_k=1e5), seconds=3600)
    assert done.chip_degc[-1, 0] > done.chip_degc[0, 0] + 1


@pytest.mark.compiled
def test_chillers_limit_by_capacity_and_towers_by_the_sink():
    hot, cold = (
        transients.simulate_transient(
            _units(),
            _loop(plant_capacity_w=math.inf, plant_w_per_k=1e5),
            Forcing.steady(1800.0, sink_degc=sink),
        ).facility_supply_degc[-1]
        for sink in (30.0, 5.0)
    )
    assert cold == pytest.approx(25.0, abs=1e-6)
    assert hot == pytest.approx(30.0 + HEAT_W / 1e5 - 9.0, abs=0.2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: _units(chip_j_per_k=0.0), r"TransientUnits.chip_j_per_k\[0\] is 0; must be greater than 0"),
        (lambda: _units(liquid_frac=1.2), r"TransientUnits.liquid_frac\[0\] is 1.2; must be at most 1"),
        (lambda: _units(trip_degc=80.0), r"trip_degc\[0\] is 80 °C; must be above throttle_degc \(85 °C\)"),
        (lambda: _loop(tank_layers=0), "FacilityLoop.tank_layers is 0; must be at least 1"),
        (lambda: _loop(plant_capacity_w=math.inf), "needs a finite plant_capacity_w or plant_w_per_k"),
        (lambda: Forcing.steady(10.0, step_s=0.0), "step_s is 0 s; must be greater than 0"),
        (lambda: _run(_units(), _loop(), longest_step_s=60.0), r"longest_step_s is 60 s; must be in \(0, 15\]"),
        (
            lambda: _run(_units(2), _loop(2), *disturbances.pump_loss(1.0, units=(0,)), n_units=3),
            "Forcing.rack_flow_frac has 3 series; there are 2 units",
        ),
        (
            lambda: disturbances.Disturbance("plant", 10.0, restored_at_s=5.0),
            "is restored at 5 s, before it begins at 10 s",
        ),
        (lambda: disturbances.Disturbance("plant", 10.0, units=(1,)), "is shared and names no units"),
        (lambda: disturbances.cdu_loss(1.0, 5, group=(0, 1)), "unit 5 is not in its group"),
    ],
)
def test_impossible_transients_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.compiled
def test_a_lost_cdu_slows_its_groups_flow():
    done = _run(_units(3), _loop(3), *disturbances.cdu_loss(30, 0, group=(0, 1), group_flow_frac=0.5), n_units=3)
    assert done.hottest_degc[0] == pytest.approx(done.hottest_degc[1])
    assert done.hottest_degc[0] > done.hottest_degc[2] + 5
    alone = _run(_units(3), _loop(3), *disturbances.cdu_loss(30, 0), n_units=3)
    assert alone.trip_s[0] < math.inf


def test_a_feed_that_fails_leaves_what_the_other_feed_carries():
    forcing = Forcing.steady(100.0).with_disturbances(
        *disturbances.feed_loss(50.0, units=(1,), carried_frac=0.5), n_units=2
    )
    assert forcing.load_frac[[10, -1], 1].tolist() == [1.0, 0.5]
    assert forcing.load_frac[-1, 0] == 1.0


def test_a_coasting_pump_slows_stops_and_comes_back():
    lost = disturbances.Disturbance("rack_flow", 10.0, coast_s=2.0, restored_at_s=100.0, ramp_s=4.0)
    shares = lost.shares(np.array([5.0, 12.0, 90.0, 102.0, 110.0]))
    assert shares == pytest.approx([1.0, 0.5, 0.0, 0.5, 1.0])


@pytest.mark.compiled
def test_results_are_as_wide_as_the_units():
    done = _run(_units(4), _loop(4), seconds=5)
    for field in dataclasses.fields(done):
        value = getattr(done, field.name)
        if isinstance(value, np.ndarray) and value.ndim == 2:
            assert value.shape == (5, 4)


def _airy(**loop):
    """Return one CDU into water and one into air beside each other, and a hall with cold water and large air units."""
    both = {"exchanger_w_per_k": 3e5, "facility_w_per_k": HEAT_W * 0.85 / 8}
    units = dataclasses.replace(_units(2, **both), to_air=np.array([0.0, 1.0]))
    given = {"air_w_per_k": 1.2e5, "air_cooled_frac": 0.8, "setpoint_degc": 18.0, "plant_capacity_w": 3e6} | loop
    return units, _loop(2, **given)


def test_a_cdu_into_air_starts_where_what_it_breathes_lets_it():
    units, loop = _airy()
    state, z, settled = transients.steady_start(units, loop, np.ones(2), 20.0)
    assert settled
    power = 0.2e6 + 0.8e6 + 1e5 * (np.exp(0.01 * (state[:, 0] - 65.0)) - 1)
    into_air = 0.15 * power[0] + power[1]  # all that the second gives ends in the air
    air = 18.0 + into_air / 1.2e5
    breathed = 0.8 * 18.0 + 0.2 * air
    assert z[-1] == pytest.approx(air, abs=1e-6)
    # Too little air for the set point: the rack returns by its whole exchanger above what the CDU breathes.
    open_duty = transients._exchanger(records(units)[1], 1.0, 1.0)
    assert state[1, 1] == pytest.approx(max(45.0, breathed + 0.85 * power[1] / open_duty), rel=0.01)


@pytest.mark.compiled
def test_losing_the_water_reaches_a_cdu_into_air_through_the_air_and_heat_is_kept():
    units, loop = _airy()
    done = _run(units, loop, *disturbances.plant_loss(60), seconds=1800, n_units=2)
    assert done.report.converged
    assert done.report.heat_balance_frac < 1e-8
    assert np.all(np.diff(done.air_degc[70:300]) > 0)
    assert np.all(np.isfinite(done.throttle_s))


@pytest.mark.compiled
def test_stopping_air_units_heats_the_cdu_into_air_and_not_its_neighbour_on_water():
    units, loop = _airy()
    stopped = disturbances.Disturbance("air_flow", 60.0)
    done = _run(units, loop, stopped, seconds=240, n_units=2)
    assert done.report.converged
    assert done.report.heat_balance_frac < 1e-8
    assert done.throttle_s[1] < 240 < done.throttle_s[0]
    pumps = _run(units, loop, *disturbances.facility_pump_loss(60), seconds=240, n_units=2)
    # Without water the neighbour feels it first: the other has the hall's air and metal before it.
    assert pumps.throttle_s[0] < pumps.throttle_s[1]
