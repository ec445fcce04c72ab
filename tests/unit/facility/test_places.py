"""Towns are found by what people type, with what a site takes from them, and nothing is made up."""

import pytest

from facility import places
from facility.models import Product, Weather
from facility.weather import CLIMATES, ESTIMATED, read_climate, weather_fields

pytestmark = pytest.mark.django_db


def shipped(slug):
    folder = ESTIMATED if slug.startswith("estimated") else CLIMATES
    return Weather.objects.create(slug=slug, **weather_fields(read_climate(folder / f"{slug}.csv.gz")))


@pytest.mark.parametrize(
    ("asked", "code"),
    [("frankfurt", "FRA"), ("FRA", "FRA"), ("são paulo", "GRU"), ("Sao Paulo", "GRU"), ("Lulea", "LLA")],
)
def test_a_town_is_found_by_its_name_or_code_and_without_its_accents(asked, code):
    assert places.search(asked)[0].code == code


def test_a_place_has_what_a_site_needs():
    place = places.search("frankfurt")[0]
    assert (place.latitude_deg, place.longitude_deg) == pytest.approx((50.03, 8.57), abs=0.05)
    assert place.elevation_m == pytest.approx(111, abs=5)
    assert (place.time_zone, place.utc_offset_h, place.country) == ("Europe/Berlin", 1.0, "DE")
    assert places.search("sydney")[0].utc_offset_h == 10.0  # whose summer is in January


@pytest.mark.parametrize("asked", ["", " ", "x", "a" * 61])
def test_a_search_for_too_little_or_too_much_is_refused(asked):
    with pytest.raises(places.PlaceError, match="must be 2 to 60 letters"):
        places.search(asked)


def test_no_more_than_twenty_are_found_and_nothing_where_there_is_none():
    assert len(places.search("san")) == places.MOST_FOUND
    assert places.search("qqqqq") == []


def test_the_nearest_weather_comes_first_with_its_distance():
    shipped("chicago-il")
    berlin = shipped("estimated-berlin")
    place = places.search("frankfurt")[0]
    (first, km), (_, far) = places.nearest_weather(place.latitude_deg, place.longitude_deg)
    assert first == berlin
    assert first.is_estimated
    assert km == pytest.approx(432, abs=15)
    assert far == pytest.approx(6970, abs=60)


def test_a_region_is_that_of_the_state_or_of_the_country_and_none_where_the_catalogue_has_none():
    for slug, serves in (("us-average", ["US"]), ("us-texas-ercot", ["US-Texas"]), ("germany", ["DE"])):
        Product.objects.update_or_create(
            kind="regions", slug=slug, defaults={"name": slug, "facts": {"serves": serves}}
        )
    found = {code: places.region_of(places.places()[code]) for code in ("DFW", "BOS", "FRA", "NBO")}
    slugs = {code: region.slug if region else None for code, region in found.items()}
    assert slugs == {"DFW": "us-texas-ercot", "BOS": "us-average", "FRA": "germany", "NBO": None}
