"""Storage through the API and the pages: made, changed, refused, listed."""

import pytest
from django.test import Client

from facility.models import Storage
from tests.small_site import product

BODY = {"name": "Cache", "purpose": "cache", "product": "flash-enclosure-24", "n_units": 3}


@pytest.fixture
def body(asked):
    product("storage", "flash-enclosure-24")
    return BODY | {"layout": asked.layout.pk}


def test_storage_is_made_changed_and_removed(planner, body):
    made = planner.post("/api/storages/", body)
    assert made.status_code == 201, made.data
    address = f"/api/storages/{made.data['id']}/"
    assert planner.patch(address, {"n_units": 4}).data["n_units"] == 4
    assert planner.delete(address).status_code == 204
    assert not Storage.objects.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"product": "none"}, "product: none is no catalogue entry of kind storage"),
        ({"purpose": "tape"}, 'purpose: "tape" is not a valid choice.'),
        ({"n_units": 0}, "n_units: Ensure this value is greater than or equal to 1."),
    ],
)
def test_what_cannot_be_is_refused_by_field(planner, body, changes, message):
    answer = planner.post("/api/storages/", body | changes)
    assert answer.status_code == 400
    assert message in answer.data["message"]
    assert not Storage.objects.exists()


def test_the_page_lists_storage_and_takes_new_ones(planner, asked, body):
    browser = Client()
    browser.force_login(asked.site.memberships.filter(role="planner").first().user)
    address = f"/sites/{asked.site.slug}/{asked.layout.slug}/parts/storages/"
    planner.post("/api/storages/", body)
    page = browser.get(address).content.decode()
    assert "Cache" in page
    assert "2.10" in page  # PB
    form = browser.get(f"{address}new/").content.decode()
    assert "Units" in form
