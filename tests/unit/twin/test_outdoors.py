"""The hours that a design is judged at, of a made-up year whose extremes are known."""

import zlib
from base64 import b64encode
from types import SimpleNamespace

import numpy as np
import pytest

from power_cooling.fluids.psychrometrics import dew_point_degc, wet_bulb_degc
from tests.small_inputs import small_inputs
from twin.core.inputs.weather import weather_of
from twin.core.rules.outdoors import design_hours

DRY_BULB = np.array([40.0, 30.0, 38.0, 10.0])
HUMIDITY = np.array([0.10, 0.85, 0.30, 0.50])  # hour 1 is the most humid, hour 2 the hottest behind good pads


def inputs(**parts):
    rows = np.array([DRY_BULB, HUMIDITY, np.full(4, 101325.0)], dtype="<f4")
    weather = {"n_hours": 4, "rows": b64encode(zlib.compress(rows.tobytes())).decode(), "elevation_m": None}
    return small_inputs(weather=weather, **parts)


def test_the_hottest_and_the_most_humid_hour_are_judged():
    year = weather_of(inputs())
    wet_bulb = wet_bulb_degc(year.dry_bulb_degc, year.humidity_ratio, year.pressure_pa)
    assert (np.argmax(DRY_BULB), np.argmax(wet_bulb)) == (0, 1)  # the year is as it was meant
    hours = design_hours(inputs(), None)
    assert hours.weather.dry_bulb_degc == pytest.approx([40.0, 30.0])
    assert hours.wet_bulb_degc == pytest.approx(wet_bulb[:2])
    dew_point = dew_point_degc(year.humidity_ratio, year.pressure_pa)
    assert hours.highest_dew_point_degc == pytest.approx(dew_point.max())
    assert hours.text(0) == f"40.0 °C dry, {wet_bulb[0]:.1f} °C wet bulb"


def test_behind_pads_another_hour_may_be_the_warmest():
    pads = SimpleNamespace(pad_efficiency=np.array([0.0, 0.5]))
    assert design_hours(inputs(), pads).weather.dry_bulb_degc == pytest.approx([40.0, 30.0, 38.0])
    without = SimpleNamespace(pad_efficiency=np.array([0.0]))
    assert design_hours(inputs(), without).weather.dry_bulb_degc == pytest.approx([40.0, 30.0])


def test_one_hour_that_is_worst_in_all_ways_is_judged_once():
    rows = np.array([[35.0, 20.0], [0.5, 0.5], [101325.0, 101325.0]], dtype="<f4")
    weather = {"n_hours": 2, "rows": b64encode(zlib.compress(rows.tobytes())).decode(), "elevation_m": None}
    assert design_hours(small_inputs(weather=weather), None).weather.dry_bulb_degc == pytest.approx([35.0])
