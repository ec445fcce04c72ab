"""Years made of ten real years' own normals lie close to them, and what ships is what the method makes."""

import os
from pathlib import Path

import numpy as np
import pytest

from facility.normals import MONTHLY, SOURCES, read_normals
from facility.weather import ESTIMATED, read_climate
from power_cooling.climate.estimated_year import monthly_means
from twin.estimated_weather import year_of
from twin.validation import estimated_weather

WEATHER = Path(os.environ.get("TWIN_DATA_DIR", "../shared/data")) / "weather"
CITIES = read_normals()
CONTINENTS = {"US", "CU", "ET", "EG", "GB", "PL", "IN", "JP", "NZ", "AU", "AR", "CO"}


@pytest.mark.skipif(not WEATHER.exists(), reason="needs real years in TWIN_DATA_DIR")
@pytest.mark.parametrize("path", sorted(WEATHER.glob("*.epw.gz")), ids=lambda path: path.name[:14])
def test_a_year_made_of_a_real_years_normals_lies_close_to_it(path):
    missed = [
        f"{row.check}: {row.value:.3g} {row.unit}"
        for row in estimated_weather._weather_checks(estimated_weather.pair(path))
        if row.status != "pass"
    ]
    assert not missed


def test_at_least_sixty_cities_on_all_continents_ship_with_a_source_for_every_number():
    assert len(CITIES) >= 60
    assert {city["country"] for city in CITIES} >= CONTINENTS
    assert len({city["slug"] for city in CITIES}) == len(CITIES)
    for city in CITIES:
        assert all(city[name] for name in SOURCES), city["slug"]
        assert {*MONTHLY, "dry_bulb_exceeded_degc"} <= set(city), city["slug"]


def test_every_city_has_its_year_and_the_year_its_months():
    files = {path.name for path in ESTIMATED.glob("*.csv.gz")}
    assert files == {f"estimated-{city['slug']}.csv.gz" for city in CITIES}
    for city in CITIES:
        year = read_climate(ESTIMATED / f"estimated-{city['slug']}.csv.gz")
        assert year.confidence == "estimated"
        off = monthly_means(year.dry_bulb_degc.astype(float)) - np.array(city["dry_bulb_degc"])
        assert np.abs(off).max() < 0.02, city["slug"]


@pytest.mark.parametrize("city", [CITIES[0], CITIES[-1]], ids=lambda city: city["slug"])
def test_the_shipped_year_is_the_one_that_the_method_makes(city):
    shipped = read_climate(ESTIMATED / f"estimated-{city['slug']}.csv.gz")
    made = year_of(city)
    np.testing.assert_allclose(shipped.dry_bulb_degc, made.dry_bulb_degc, atol=0.051)
    np.testing.assert_allclose(shipped.relative_humidity, made.relative_humidity, atol=0.0051)
    assert (shipped.source, shipped.notes) == (made.source, made.notes)
