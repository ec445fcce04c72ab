"""Chillers against EnergyPlus, the Carnot limit and the controller's table of transitions."""

import numpy as np
import pytest

from power_cooling.cooling import chillers
from power_cooling.cooling.chillers import CoolingMode
from power_cooling.site_arrays import ASSUMED_EIRFPLR


def _carrier(**changes):
    """Carrier 19XR 1259 kW, EnergyPlus DataSets/Chillers.idf."""
    given = {
        "capacity_w": [1258900.0],
        "reference_cop": [6.26],
        "capft": [[1.082071, 0.03200888, -0.00399478, -0.005789604, -0.0008238938, 0.002933539]],
        "eirft": [[0.7582035, 0.006896017, -0.001491911, 0.002249459, 0.0003908697, -0.0001735265]],
        "eirfplr": [[0.2226232, 0.5199282, 0.257847]],
        "leaving_range_degc": [[7.22, 12.78]],
        "condenser_range_degc": [[12.78, 26.67]],
        "part_load_range": [[0.18, 1.03]],
        "least_unloading_frac": [0.18],
    } | changes
    return chillers.EirChillers(**{key: np.array(value, dtype=float) for key, value in given.items()})


def _warm(**changes):
    given = {
        "capacity_w": [1e6],
        "carnot_frac": [0.5],
        "evaporator_approach_k": [1.5],
        "condenser_approach_k": [10.0],
        "eirfplr": [ASSUMED_EIRFPLR],
        "least_part_load_frac": [0.1],
    } | changes
    return chillers.CarnotChillers(**{key: np.array(value, dtype=float) for key, value in given.items()})


def test_power_is_energyplus():
    # EnergyPlus 25.2.0: chilled water 9 °C, condenser water 20 °C.
    state = chillers.eir_chillers(_carrier(), [[213090.9533], [1017521.3844]], 9.0, 20.0)
    assert state.power_w[:, 0] == pytest.approx([53370.5114, 143528.7848], rel=1e-4)
    assert state.available_w[0, 0] == pytest.approx(1258900 * 1.12926116 * 1.03, rel=1e-4)
    assert state.condenser_heat_w == pytest.approx(state.heat_w + state.power_w)
    assert not state.clamped.any()


def test_compiled_core_is_the_array_form():
    bank = _carrier()
    for heat in (0.0, 5e4, 8e5, 2e6):
        power, _ = chillers.eir_scalar(
            heat,
            9.0,
            20.0,
            1258900.0,
            6.26,
            bank.capft[0],
            bank.eirft[0],
            bank.eirfplr[0],
            bank.leaving_range_degc[0],
            bank.condenser_range_degc[0],
            bank.part_load_range[0],
            0.18,
        )
        assert power == pytest.approx(chillers.eir_chillers(bank, heat, 9.0, 20.0).power_w[0], rel=1e-12)
    warm = _warm()
    core = chillers.carnot_scalar(6e5, 25.0, 35.0, 1e6, 0.5, 1.5, 10.0, warm.eirfplr[0], 0.1)
    assert core == pytest.approx(chillers.carnot_chillers(warm, 6e5, 25.0, 35.0).power_w[0], rel=1e-12)


def test_a_catalogue_curve_has_its_own_reference_values():
    # Carrier 19XR 1407 kW VSD at its reference point: 0.9862 capacity, 1.0161 EIR.
    capft = [1.042261, 0.002644821, -0.001468026, 0.01366256, -0.0008302334, 0.001573579]
    eirft = [1.02634, -0.01612819, -0.001092591, -0.01784393, 0.0007961842, -9.586049e-05]
    assert chillers.biquadratic(capft, 6.67, 29.44) == pytest.approx(0.9862, abs=1e-4)
    assert chillers.biquadratic(eirft, 6.67, 29.44) == pytest.approx(1.0161, abs=1e-4)


def test_warm_water_outside_the_curves_is_held_and_flagged():
    state = chillers.eir_chillers(_carrier(), 5e5, [[20.0], [10.0]], 20.0)
    assert state.clamped[:, 0].tolist() == [True, False]
    at_limit = chillers.eir_chillers(_carrier(), 5e5, 12.78, 20.0)
    assert state.power_w[0] == pytest.approx(at_limit.power_w)


def test_more_heat_than_capacity_is_cut_and_flagged():
    state = chillers.eir_chillers(_carrier(), 3e6, 9.0, 20.0)
    assert state.short[0]
    assert state.heat_w[0] == pytest.approx(state.available_w[0])
    warm = chillers.carnot_chillers(_warm(), 3e6, 25.0, 35.0)
    assert warm.short[0]
    assert warm.heat_w[0] == 1e6


def test_a_carnot_fraction_gives_the_rated_cop_back():
    fraction = chillers.carnot_frac_from_rating(4.6, 20.0, 35.0, condenser_approach_k=12.0)
    state = chillers.carnot_chillers(_warm(carnot_frac=[float(fraction)], condenser_approach_k=[12.0]), 1e6, 20.0, 35.0)
    assert state.heat_w[0] / state.power_w[0] == pytest.approx(4.6)
    assert state.extrapolated[0]


def test_lift_stops_falling_when_it_gets_cold():
    cold, colder = (chillers.carnot_chillers(_warm(), 1e6, 30.0, t).power_w[0] for t in (10.0, -10.0))
    assert cold == colder
    assert chillers.carnot_chillers(_warm(), 1e6, 30.0, 10.0).clamped[0]


def test_no_heat_needs_no_power():
    assert chillers.eir_chillers(_carrier(), 0.0, 9.0, 20.0).power_w[0] == 0.0
    assert chillers.carnot_chillers(_warm(), 0.0, 25.0, 35.0).power_w[0] == 0.0


def test_the_economiser_runs_free_partly_or_not():
    modes = chillers.economiser_mode([18.0, 24.0, 27.5, 30.0], 20.0, 28.0)
    assert modes.tolist() == [CoolingMode.FREE, CoolingMode.PARTIAL, CoolingMode.MECHANICAL, CoolingMode.MECHANICAL]


def test_hysteresis_keeps_a_plant_from_chattering():
    wavering = np.array([19.5, 20.2, 19.8, 20.2, 19.8, 18.5, 19.8])
    modes = chillers.economiser_modes_over_time(wavering, 20.0, 28.0, deadband_k=1.0)
    # Leaves free cooling at once when it fails, and returns only with the margin.
    assert modes.tolist() == [1, 1, 1, 1, 1, 0, 0]


def test_the_controller_waits_before_each_transition():
    leaving = np.array([8.0, *[20.0] * 6, *[8.0] * 6])
    modes = chillers.controlled_economiser_modes(leaving, 10.0, 10.0, 12.0, hold_steps=3)
    assert modes.tolist() == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 1, 1, 1]


def test_the_fewest_units_run():
    running = chillers.units_running([0.0, 0.9e6, 1e6, 2.1e6, 9e6], 1e6, 4)
    assert running.tolist() == [0, 1, 1, 3, 4]
    assert chillers.units_running(1e6, 1e6, 4, spare=1) == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: _carrier(capacity_w=[-1.0]), r"EirChillers.capacity_w\[0\] is -1; must be greater than 0"),
        (lambda: _carrier(capft=[[1.0] * 5]), r"EirChillers.capft has shape \(1, 5\); must be \(1, 6\)"),
        (lambda: _carrier(leaving_range_degc=[[9.0, 7.0]]), "is 9 to 7; the first must be the lower"),
        (lambda: _warm(carnot_frac=[1.1]), r"CarnotChillers.carnot_frac\[0\] is 1.1; must be below 1"),
        (lambda: chillers.eir_chillers(_carrier(), -1.0, 9.0, 20.0), "heat_w is -1 W; must be at least 0"),
        (
            lambda: chillers.carnot_frac_from_rating(40.0, 20.0, 35.0, condenser_approach_k=12.0),
            "of Carnot; must be between 0 and 1",
        ),
    ],
)
def test_impossible_chillers_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
