"""Cooling towers against EnergyPlus points, LBNL's curve and hand-worked water balances."""

import numpy as np
import pytest

from power_cooling.cooling import towers, york_towers
from power_cooling.fluids import coolants, psychrometrics

# EnergyPlus 25.2.0 CoolingTower:SingleSpeed, fan on: UA 85 kW/K, 55 m³/s, water 42.995614 kg/s; evaporation in m³ per
# 10 minutes, in specific humidity.
ENERGYPLUS = np.array(
    [
        # dry bulb, wet bulb, humidity ratio, water in, water out, evaporation
        [14.0, 10.021238566, 0.006008066, 20.392205293, 14.783590355, 0.207004439],
        [40.0, 25.04586967, 0.013823027, 29.614408821, 26.224002165, 0.328736849],
        [24.0, 18.024110691, 0.010463146, 19.903898274, 18.740206585, 0.126690473],
    ]
)


def _tower(**changes):
    given = {
        "ua_w_per_k": 85e3,
        "air_m3_per_s": 55.0,
        "water_kg_s": 43.0,
        "fan_power_w": 24e3,
        "air_exponent": 0.6,
        "water_exponent": 0.5,
        "fan_exponent": 3.0,
        "least_fan_frac": 0.2,
        "free_convection_frac": 0.1,
    } | changes
    return towers.MerkelTowers(**{key: np.array([value]) for key, value in given.items()})


def test_merkel_outlet_is_energyplus():
    dry, wet, humid, inlet, outlet, _ = ENERGYPLUS.T
    air = 55.0 / psychrometrics.specific_volume_m3_per_kg(dry, humid)
    ours = towers.merkel_outlet_degc(
        inlet, 42.995614 * coolants.WATER.heat_capacity(inlet), wet, air, 85e3, humidity_ratio=humid
    )
    assert ours == pytest.approx(outlet, abs=0.01)  # same equations, slightly other air and water properties


def test_evaporation_is_energyplus_in_its_own_form():
    dry, wet, humid, inlet, outlet, volume = ENERGYPLUS.T
    air = 55.0 / psychrometrics.specific_volume_m3_per_kg(dry, humid)
    heat = 42.995614 * coolants.WATER.heat_capacity(inlet) * (inlet - outlet)
    ours = towers.evaporation_kg_s(heat, air, humid, wet)
    leaving = humid + ours / air
    in_their_form = air * (leaving / (1 + leaving) - humid / (1 + humid))
    assert in_their_form * 600 / 1000 == pytest.approx(volume, rel=0.01)  # water at 1000 kg/m³ in their volume
    # The balance itself is a few percent more; it is what the make-up must replace.
    assert np.all(ours > in_their_form)


def test_water_and_air_enthalpy_balance():
    heat, wet, humid = 9e5, 18.0, 0.010
    air = 60.0
    leaving = psychrometrics.saturated_enthalpy_scalar(wet, 101325.0) + heat / air
    leaving_degc = towers.saturated_temperature_scalar(leaving, wet, 101325.0)
    assert psychrometrics.saturated_enthalpy_scalar(leaving_degc, 101325.0) == pytest.approx(leaving, rel=1e-12)
    evaporated = towers.evaporation_kg_s(heat, air, humid, wet)
    saturated = psychrometrics.saturated_humidity_ratio(leaving_degc)
    assert evaporated == pytest.approx(air * (saturated - humid), rel=1e-12)


def test_return_for_a_heat_is_the_inverse_of_heat_for_a_return():
    coming = towers.merkel_return_scalar(8e5, 1.8e5, 22.0, 101325.0, 66.0, 1030.0, 85e3)
    heat = towers.merkel_heat_scalar(coming, 1.8e5, 22.0, 101325.0, 66.0, 1030.0, 85e3)
    assert heat == pytest.approx(8e5, rel=1e-9)


def test_a_tower_cools_no_water_that_is_colder_than_the_wet_bulb():
    assert towers.merkel_outlet_degc(15.0, 1.8e5, 20.0, 66.0, 85e3, humidity_ratio=0.01) == 15.0


def test_a_tower_that_cannot_take_its_heat_says_so():
    done, water = towers.merkel_supply(_tower(), 50e6, 43.0, 35.0, 26.0, 20.0)
    assert np.isinf(done.supply_degc[0])
    assert not done.setpoint_met[0]
    assert np.isfinite(water[0])


def test_fans_slow_cycle_and_stand_as_it_gets_colder():
    done, water = towers.merkel_supply(
        _tower(), 5e5, 43.0, np.array([30.0, 18.0, 2.0, -20.0]), np.array([25.0, 14.0, 0.0, -21.0]), 24.0
    )
    assert done.fan_frac[0] == 1.0
    assert 0.2 < done.fan_frac[1] < 1.0
    assert 0.0 < done.fan_frac[2] < 0.2
    assert np.all(np.diff(done.fan_power_w) <= 0)
    assert done.supply_degc[1:] == pytest.approx([24.0] * 3)
    assert np.all(water > 0)


def test_blowdown_holds_the_cycles_of_concentration():
    used = towers.tower_water(1.2, 43.0, cycles_of_concentration=4.0, drift_frac=5e-5)
    assert used.drift_kg_s == pytest.approx(43.0 * 5e-5)
    assert used.blowdown_kg_s == pytest.approx(0.4 - 43.0 * 5e-5)
    # Solids in with the make-up leave with drift and blowdown at four times its strength.
    assert used.makeup_kg_s == pytest.approx(4.0 * (used.drift_kg_s + used.blowdown_kg_s))


def test_a_data_sheet_point_fixes_the_fill():
    ua = towers.merkel_ua_from_rating(3.5e6, 152.0, 110.0, wet_bulb_degc=25.6, approach_k=4.0)
    tower = _tower(ua_w_per_k=ua, air_m3_per_s=110.0, water_kg_s=152.0)
    done, _ = towers.merkel_supply(tower, 3.5e6, 152.0, 35.6, 25.6, 0.0)
    assert done.supply_degc[0] == pytest.approx(29.6, abs=1e-6)


def test_a_data_sheet_point_without_enough_air_is_refused():
    with pytest.raises(ValueError, match="whatever the fill"):
        towers.merkel_ua_from_rating(3.5e6, 152.0, 30.0, wet_bulb_degc=25.6, approach_k=4.0)


def test_york_approach_is_lbnls():
    # LBNL Modelica Buildings, YorkCalc example: 25.55 °C wet bulb, 5.56 K range; water 0.25, 1.25, air 0.25 of rated.
    approach, inside = york_towers.york_approach_k(25.55, 5.56, [0.25, 1.25, 4.0])
    assert approach == pytest.approx([0.21022135019302368, 5.054871559143066, 18.333335876464844], rel=1e-6)
    assert inside.tolist() == [False, True, True]


def test_york_outlet_is_energyplus():
    # EnergyPlus 25.2.0 VariableSpeed YorkCalc, fan full; rated at 25.5556 °C, 5.5556 K range, 3.8889 K approach.
    scale = york_towers.york_liquid_gas_ratio(25.5556, 5.5556, 3.8889)
    volume = 42.995614 / coolants.WATER.density(31.170513143) / 0.043
    outlet, inside = york_towers.york_outlet_degc(31.170513143, 25.04586967, scale * volume)
    assert outlet == pytest.approx(27.780245311, abs=1e-3)
    assert inside


def test_york_tower_without_a_solution_says_so():
    outlet, inside = york_towers.york_outlet_degc(20.0, 25.0, 1.0)
    assert outlet == 20.0
    assert not inside


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: _tower(ua_w_per_k=0.0), r"MerkelTowers.ua_w_per_k\[0\] is 0; must be greater than 0"),
        (lambda: _tower(free_convection_frac=0.3), "free_convection_frac must not exceed least_fan_frac"),
        (
            lambda: towers.tower_water(1.0, 1.0, cycles_of_concentration=1.0, drift_frac=0.0),
            "cycles_of_concentration is 1; must be greater than 1",
        ),
        (lambda: towers.merkel_supply(_tower(), 1e5, 0.0, 20.0, 15.0, 20.0), "no water flow"),
    ],
)
def test_impossible_towers_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
