"""Years made of monthly normals keep them, reach the design conditions, and are weather."""

from dataclasses import replace

import numpy as np
import pytest

from power_cooling.climate.estimated_year import Normals, estimated_year, mean_daily_ranges, monthly_means
from power_cooling.fluids.psychrometrics import (
    dew_point_degc,
    humidity_ratio_from_relative_humidity,
    pressure_at_elevation_pa,
    wet_bulb_degc,
)

LONDON = Normals(
    latitude_deg=51.5,
    longitude_deg=-0.1,
    utc_offset_h=0.0,
    elevation_m=100.0,
    dry_bulb_degc=np.array([4.3, 4.5, 6.6, 9.4, 12.9, 16.0, 18.1, 17.8, 15.0, 11.4, 7.4, 4.8]),
    daily_range_k=np.array([5.5, 6.0, 7.5, 9.3, 9.6, 9.9, 10.0, 9.5, 8.4, 7.0, 5.9, 5.3]),
    dew_point_degc=np.array([2.3, 1.9, 2.9, 4.4, 7.6, 10.5, 12.5, 12.6, 11.1, 8.7, 5.3, 3.0]),
    dry_bulb_exceeded_degc={0.004: 28.0, 0.01: 26.1, 0.02: 24.4, 0.99: -1.9, 0.996: -3.4},
    dew_point_exceeded_degc={0.01: 16.6, 0.99: -5.0},
    wet_bulb_exceeded_degc={0.004: 20.1, 0.01: 19.2, 0.02: 18.3},
)


@pytest.fixture(scope="module")
def year():
    return estimated_year(LONDON, name="a test")


def bulbs(year):
    ratio = humidity_ratio_from_relative_humidity(year.dry_bulb_degc, year.relative_humidity_frac, year.pressure_pa)
    return wet_bulb_degc(year.dry_bulb_degc, ratio, year.pressure_pa), dew_point_degc(ratio, year.pressure_pa)


def test_monthly_means_are_the_published_ones(year):
    _, dew = bulbs(year)
    np.testing.assert_allclose(monthly_means(year.dry_bulb_degc), LONDON.dry_bulb_degc, atol=1e-9)
    np.testing.assert_allclose(monthly_means(dew), LONDON.dew_point_degc, atol=0.02)
    np.testing.assert_allclose(mean_daily_ranges(year.dry_bulb_degc), LONDON.daily_range_k, atol=1.0)


def test_the_design_conditions_are_reached(year):
    wet, _ = bulbs(year)
    for values, exceeded in (
        (year.dry_bulb_degc, LONDON.dry_bulb_exceeded_degc),
        (wet, LONDON.wet_bulb_exceeded_degc),
    ):
        reached = np.quantile(values, [1 - fraction for fraction in exceeded])
        np.testing.assert_allclose(reached, [*exceeded.values()], atol=0.1)


def test_no_air_is_wetter_than_saturated_and_pressure_belongs_to_the_height(year):
    wet, dew = bulbs(year)
    assert np.all((year.relative_humidity_frac > 0) & (year.relative_humidity_frac <= 1))
    assert np.all(dew <= year.dry_bulb_degc + 1e-6)
    assert np.all(wet <= year.dry_bulb_degc + 1e-6)
    np.testing.assert_allclose(year.pressure_pa, pressure_at_elevation_pa(100.0))


def test_afternoons_are_warm_and_days_hang_together(year):
    days = year.dry_bulb_degc.reshape(-1, 24)
    assert 13 <= int(np.argmax(days.mean(axis=0))) <= 16
    off = days.mean(axis=1) - np.interp(np.arange(365), np.linspace(15, 350, 12), LONDON.dry_bulb_degc)
    assert 0.5 < np.corrcoef(off[1:], off[:-1])[0, 1] < 0.95


def test_the_sun_not_the_clock_makes_the_afternoon(year):
    late = estimated_year(replace(LONDON, utc_offset_h=3.0), name="a test")
    peaks = [int(np.argmax(made.dry_bulb_degc.reshape(-1, 24).mean(axis=0))) for made in (year, late)]
    assert peaks[1] == peaks[0] + 3


def test_a_name_gives_the_same_year_and_another_name_another(year):
    np.testing.assert_array_equal(estimated_year(LONDON, name="a test").dry_bulb_degc, year.dry_bulb_degc)
    assert np.abs(estimated_year(LONDON, name="b").dry_bulb_degc - year.dry_bulb_degc).max() > 1


def test_months_alone_make_a_year_too():
    bare = replace(LONDON, dry_bulb_exceeded_degc={}, dew_point_exceeded_degc={}, wet_bulb_exceeded_degc={})
    made = estimated_year(bare, name="bare")
    np.testing.assert_allclose(monthly_means(made.dry_bulb_degc), bare.dry_bulb_degc, atol=1e-9)


def test_a_place_without_seasons_is_possible():
    flat = replace(
        LONDON,
        dry_bulb_degc=np.full(12, 27.0),
        dew_point_degc=np.full(12, 24.0),
        dry_bulb_exceeded_degc={0.01: 32.0, 0.99: 23.0},
        dew_point_exceeded_degc={},
        wet_bulb_exceeded_degc={0.01: 27.0},
    )
    made = estimated_year(flat, name="flat")
    np.testing.assert_allclose(np.quantile(made.dry_bulb_degc, [0.99, 0.01]), [32.0, 23.0], atol=0.1)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"dry_bulb_degc": np.ones(11)}, r"dry_bulb_degc has shape \(11,\); must be \(12,\)"),
        ({"daily_range_k": np.zeros(12)}, "daily_range_k is 0 K; must be greater than 0"),
        (
            {"dew_point_degc": LONDON.dry_bulb_degc + np.eye(12)[3]},
            r"dew_point_degc\[3\] is 10.4 °C; must not be above",
        ),
        ({"wet_bulb_exceeded_degc": {0.01: 19.0, 0.02: 20.0}}, "wet_bulb_exceeded_degc is .* must fall"),
        ({"dry_bulb_exceeded_degc": {1.0: 19.0}}, "dry_bulb_exceeded_degc is .* fractions from 0 to 1"),
    ],
)
def test_normals_that_cannot_be_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        replace(LONDON, **wrong)
