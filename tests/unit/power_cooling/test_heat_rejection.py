"""Dry coolers, pads and fan staging against EnergyPlus points and hand-worked balances."""

import numpy as np
import pytest

from power_cooling.cooling import heat_rejection
from power_cooling.fluids import coolants, psychrometrics

# EnergyPlus 25.2.0 FluidCooler:TwoSpeed at full fan speed: UA 110 kW/K, 110 m³/s, water 42.995614 kg/s.
ENERGYPLUS = np.array(
    [
        # dry bulb, humidity ratio, water in, water out
        [14.0, 0.006008066, 30.509463126, 24.892069012],
        [40.0, 0.013823027, 50.166291035, 46.776112394],
        [24.0, 0.010463146, 27.449530926, 26.284527739],
    ]
)


def _cooler(**changes):
    given = {
        "ua_w_per_k": 110e3,
        "air_m3_per_s": 110.0,
        "fan_power_w": 30e3,
        "ua_exponent": 0.6,
        "fan_exponent": 3.0,
        "least_fan_frac": 0.1,
    } | changes
    return heat_rejection.DryCoolers(**{key: np.array([value]) for key, value in given.items()})


def test_dry_cooler_outlet_is_energyplus():
    dry, humid, inlet, outlet = ENERGYPLUS.T
    ours = heat_rejection.dry_cooler_outlet_degc(
        inlet,
        42.995614 * coolants.WATER.heat_capacity(inlet),
        dry,
        heat_rejection.air_w_per_k(110.0, dry, humid),
        110e3,
    )
    assert ours == pytest.approx(outlet, abs=0.01)  # same equations, slightly other air and water properties


def test_supply_given_the_heat_is_the_outlet_given_the_inlet():
    done = heat_rejection.dry_cooler_supply(_cooler(), 1e6, 1.8e5, 35.0, 10.0)
    assert done.fan_frac == pytest.approx(1.0)
    assert not done.setpoint_met[0]
    again = heat_rejection.dry_cooler_outlet_degc(
        done.return_degc, 1.8e5, 35.0, heat_rejection.air_w_per_k(110.0, 35.0), 110e3
    )
    assert again == pytest.approx(done.supply_degc, abs=1e-10)


def test_fans_slow_to_hold_the_set_point():
    done = heat_rejection.dry_cooler_supply(_cooler(), 1e6, 1.8e5, 15.0, 32.0)
    speed = float(done.fan_frac[0])
    assert 0.1 < speed < 1
    assert done.supply_degc == pytest.approx(32.0)
    assert done.fan_power_w == pytest.approx(30e3 * speed**3)
    outlet = heat_rejection.dry_cooler_outlet_degc(
        done.return_degc, 1.8e5, 15.0, speed * heat_rejection.air_w_per_k(110.0, 15.0), 110e3 * speed**0.6
    )
    assert outlet == pytest.approx(32.0, abs=1e-8)


def test_fans_cycle_below_their_least_speed():
    done = heat_rejection.dry_cooler_supply(_cooler(least_fan_frac=0.3), 1e5, 1.8e5, 0.0, 32.0)
    assert 0 < done.fan_frac[0] < 0.3
    # Power falls with the share of time, not with the cube of the mean speed.
    assert done.fan_power_w[0] == pytest.approx(30e3 * 0.3**3 * done.fan_frac[0] / 0.3)


def test_no_heat_needs_no_fan():
    done = heat_rejection.dry_cooler_supply(_cooler(), 0.0, 1.8e5, 20.0, 25.0)
    assert done.fan_power_w[0] == 0.0
    assert done.supply_degc[0] == 25.0


def test_two_speed_fans_mix_linearly_in_outlet_temperature():
    outlet, power = heat_rejection.two_speed_outlet(
        40.0, np.array([30.0, 34.0, 36.0]), np.array([26.0, 30.0, 33.0]), 32.0, 4800.0, 30e3
    )
    assert outlet == pytest.approx([32.0, 32.0, 33.0])
    # 8 of 10 K at low speed; half way between low and high; all out.
    assert power == pytest.approx([0.8 * 4800, 0.5 * 4800 + 0.5 * 30e3, 30e3])


def test_a_pad_cools_towards_the_wet_bulb_and_its_water_is_the_humidity_gained():
    ratio = psychrometrics.humidity_ratio_from_relative_humidity(38.0, 0.25)
    pad = heat_rejection.adiabatic_pad([38.0, 20.0], [ratio, 0.008], 50.0, efficiency_frac=0.8, wetted_above_degc=25.0)
    wet = psychrometrics.wet_bulb_degc(38.0, ratio)
    assert pad.air_degc[0] == pytest.approx(38.0 - 0.8 * (38.0 - wet))
    assert pad.wetted.tolist() == [True, False]
    assert pad.evaporation_kg_s[1] == 0.0
    air = 50.0 / psychrometrics.specific_volume_m3_per_kg(38.0, ratio)
    assert pad.evaporation_kg_s[0] == pytest.approx(air * (pad.humidity_ratio[0] - ratio))
    # Adiabatic: the air's enthalpy rises only by that of the added water, which is at the wet bulb.
    gained = psychrometrics.enthalpy_j_per_kg(pad.air_degc[0], pad.humidity_ratio[0]) - (
        psychrometrics.enthalpy_j_per_kg(38.0, ratio)
    )
    assert gained == pytest.approx((pad.humidity_ratio[0] - ratio) * 4186 * wet, rel=0.02)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: _cooler(ua_w_per_k=-2.0), r"DryCoolers.ua_w_per_k\[0\] is -2; must be greater than 0"),
        (lambda: _cooler(least_fan_frac=1.0), "DryCoolers.least_fan_frac must be below 1"),
        (
            lambda: heat_rejection.dry_cooler_supply(_cooler(), -1.0, 1e5, 20.0, 25.0),
            "heat_w is -1 W; must be at least 0",
        ),
        (lambda: heat_rejection.dry_cooler_supply(_cooler(), 1e5, 0.0, 20.0, 25.0), "no fluid flow"),
        (
            lambda: heat_rejection.adiabatic_pad(30.0, 0.01, 1.0, efficiency_frac=1.2, wetted_above_degc=20.0),
            r"efficiency_frac must be in \[0, 1\]",
        ),
    ],
)
def test_impossible_coolers_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
