"""Moist air against the printed values of the ASHRAE tables and PsychroLib's own test values."""

import numpy as np
import pytest

from power_cooling.fluids import psychrometrics as air


@pytest.mark.parametrize(
    ("temperature_degc", "pressure_pa"),
    # ASHRAE Fundamentals 2017, chapter 1, table 3 (kPa there), as PsychroLib's test suite cites it.
    [(-60, 1.08), (-20, 103.24), (-5, 401.74), (5, 872.6), (25, 3169.7), (50, 12351.3), (100, 101418.0)],
)
def test_saturation_pressure_is_that_of_the_printed_table(temperature_degc, pressure_pa):
    # The table has five digits at most; PsychroLib allows the same.
    assert air.saturation_pressure_pa(temperature_degc) == pytest.approx(pressure_pa, rel=3e-4, abs=0.01)


def test_saturation_curve_is_continuous_where_ice_melts():
    below, above = air.saturation_pressure_pa([0.0099, 0.0101])
    assert above - below == pytest.approx(0.0002 * 44.4, rel=0.6)  # slope at the triple point 44-50 Pa/K


def test_log_slope_is_the_derivative_of_the_saturation_pressure():
    for t in (-30.0, -1.0, 1.0, 40.0):
        numeric = np.log(air.saturation_pressure_pa(t + 1e-4) / air.saturation_pressure_pa(t - 1e-4)) / 2e-4
        # A central difference at this step is good to 1e-8.
        assert air.saturation_pressure_log_slope_scalar(t) == pytest.approx(numeric, rel=1e-6)


def test_humidity_ratio_from_wet_bulb_is_the_published_one():
    # PsychroLib test suite, values computed with EES.
    assert air.humidity_ratio_from_wet_bulb(30, 25, 95461) == pytest.approx(0.0192281274241096, rel=3e-4)
    assert air.humidity_ratio_from_wet_bulb(-1, -5, 95461) == pytest.approx(0.00120399819933844, rel=3e-3)


def test_wet_bulb_is_the_published_one():
    ratio = air.humidity_ratio_from_relative_humidity(7, 0.61, 100_000)
    assert air.wet_bulb_degc(7, ratio, 100_000) == pytest.approx(3.92667433781955, abs=1e-3)


def test_enthalpy_and_volume_are_the_published_ones():
    # ASHRAE Fundamentals 2017, chapter 1, example at 30 °C, W = 0.02, 95,461 Pa (PsychroLib test suite).
    assert air.enthalpy_j_per_kg(30, 0.02) == pytest.approx(81316, rel=3e-4)
    assert air.specific_volume_m3_per_kg(30, 0.02, 95461) == pytest.approx(0.940855374352943, rel=3e-4)
    assert air.density_kg_m3(30, 0.02, 95461) == pytest.approx(1.08411986348219, rel=3e-4)


def test_wet_bulb_dew_point_and_dry_bulb_meet_at_saturation():
    ratio = air.saturated_humidity_ratio(20.0, 90_000.0)
    assert air.dew_point_degc(ratio, 90_000.0) == pytest.approx(20.0, abs=1e-8)
    assert air.wet_bulb_degc(20.0, ratio, 90_000.0) == pytest.approx(20.0, abs=1e-6)
    assert air.relative_humidity_frac(20.0, ratio, 90_000.0) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize(
    ("humidity", "wet_bulb_degc"),
    # psychrolib 2.5.0 at 36 °C and 80,600 Pa; it holds the humidity ratio at 1e-7 as well
    [(0.0005, 10.895), (0.0, 10.874)],
)
def test_bone_dry_air_has_the_wet_bulb_of_hardly_any_humidity(humidity, wet_bulb_degc):
    ratio = air.humidity_ratio_from_relative_humidity(36.0, humidity, 80_600.0)
    assert air.wet_bulb_degc(36.0, ratio, 80_600.0) == pytest.approx(wet_bulb_degc, abs=2e-3)


@pytest.mark.parametrize("pressure_pa", [61_000.0, 101_325.0])
def test_wet_bulb_rises_with_humidity_from_none_at_all(pressure_pa):
    humidity = np.array([0.0, 1e-6, 1e-4, 1e-3, 0.01, 0.1, 0.5, 1.0])
    dry = np.array([-30.0, -5.0, 1.0, 20.0, 36.0, 55.0])[:, None]
    wet = air.wet_bulb_degc(dry, air.humidity_ratio_from_relative_humidity(dry, humidity, pressure_pa), pressure_pa)
    assert np.all(np.diff(wet, axis=1) >= -1e-6)
    assert np.all(wet[:, 1] - wet[:, 0] < 0.01)


def test_pressure_falls_with_elevation_as_the_standard_atmosphere():
    # ASHRAE Fundamentals 2017, chapter 1, table 1.
    assert air.pressure_at_elevation_pa([0, 500, 1500, 5000]) == pytest.approx([101325, 95461, 84556, 54020], rel=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: air.humidity_ratio_from_relative_humidity(20, 1.2),
            r"relative_humidity_frac is 1.2; must be in \[0, 1\]",
        ),
        (lambda: air.humidity_ratio_from_wet_bulb(20, 22), "wet bulb 22.0 °C is above dry bulb 20.0 °C"),
        (lambda: air.wet_bulb_degc([20, 300], 0.01), r"dry_bulb_degc is 300.0 °C; must be in \[-100, 200\]"),
        (lambda: air.dew_point_degc(-0.001), "humidity_ratio is -0.001; must be at least 0"),
        (lambda: air.dew_point_degc(0.01, 0.0), "pressure_pa is 0.0 Pa; must be greater than 0"),
        (lambda: air.humidity_ratio_from_vapour_pressure(2e5, 1e5), "must be at least 0 and below the air pressure"),
    ],
)
def test_impossible_air_is_refused_with_the_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
