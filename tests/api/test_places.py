"""Towns to describe a site from, with the weather that is near."""

import pytest

from tests.small_site import climate, product

pytestmark = pytest.mark.django_db

ADDRESS = "/api/places/"


def test_a_town_has_what_a_site_needs_with_sources_and_confidence(planner):
    climate("chicago-il")
    product("regions", "germany")
    (row, *_) = planner.get(ADDRESS, {"search": "Frankfurt"}).data
    assert (row["code"], row["country"], row["region"]) == ("FRA", "DE", "germany")
    assert row["elevation_m"] == pytest.approx(111, abs=5)
    assert (row["time_zone"], row["utc_offset_h"]) == ("Europe/Berlin", 1.0)
    assert row["source"]
    distances = [year["distance_km"] for year in row["weather"]]
    assert distances == sorted(distances)
    assert {"chicago-il"} <= {year["slug"] for year in row["weather"]}
    assert {year["confidence"] for year in row["weather"]} == {"published"}


@pytest.mark.parametrize("query", [{}, {"search": "x"}, {"search": "a" * 61}])
def test_a_search_for_too_little_or_too_much_is_refused_by_name(planner, query):
    answer = planner.get(ADDRESS, query)
    assert answer.status_code == 400
    assert "search" in str(answer.data)


def test_a_stranger_must_sign_in(client):
    assert client.get(ADDRESS, {"search": "Frankfurt"}).status_code in (401, 403)
