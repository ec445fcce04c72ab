"""The hours of a year as they are stored, and air pressure by height."""

import zlib
from base64 import b64encode
from dataclasses import replace

import numpy as np
import pytest

from power_cooling.fluids.psychrometrics import pressure_at_elevation_pa
from power_cooling.site_facts.weather import HOUR_BYTES, pack, standard_pressure_pa, unpack, unpack_foreign
from tests.small_inputs import small_inputs
from twin.core.inputs.weather import weather_of

HOURS = np.stack([np.linspace(-20, 45, 48), np.linspace(0.1, 1, 48), np.linspace(80e3, 101e3, 48)]).astype("<f4")


def test_packing_loses_nothing():
    kept = unpack(memoryview(pack(HOURS)))
    assert kept.dtype == np.float32
    np.testing.assert_array_equal(kept, HOURS)
    np.testing.assert_array_equal(unpack(pack(HOURS.astype(">f8"))), HOURS)


def test_the_layout_is_that_of_every_run_stored_so_far():
    first_hour = np.array([10.1, 0.64, 82_000.0], dtype="<f4")
    assert zlib.decompress(pack(first_hour[:, None])) == first_hour.tobytes()
    assert first_hour.nbytes == HOUR_BYTES == 12


def test_hours_of_unknown_origin_are_as_many_as_they_should_be():
    np.testing.assert_array_equal(unpack_foreign(pack(HOURS), 48), HOURS)
    with pytest.raises(ValueError, match="more than 564 bytes; 47 hours are 564"):
        unpack_foreign(pack(HOURS), 47)
    with pytest.raises(ValueError, match="a stream cut short after 576 bytes; 49 hours are 588"):
        unpack_foreign(pack(HOURS), 49)
    with pytest.raises(ValueError, match="cannot be unpacked"):
        unpack_foreign(b"no zlib", 48)


def test_the_solver_reads_what_a_year_was_stored_as():
    inputs = small_inputs()
    stored = replace(inputs.weather, rows=b64encode(pack(HOURS)).decode(), n_hours=48, elevation_m=None)
    weather = weather_of(replace(inputs, weather=stored))
    np.testing.assert_array_equal(weather.dry_bulb_degc, HOURS[0])
    np.testing.assert_array_equal(weather.pressure_pa, HOURS[2])


@pytest.mark.parametrize("elevation_m", [-400.0, 0.0, 1829.0, 4061.0])
def test_the_standard_atmosphere_is_that_of_the_solvers(elevation_m):
    assert standard_pressure_pa(elevation_m) == float(pressure_at_elevation_pa(elevation_m))
