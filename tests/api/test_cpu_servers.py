"""CPU servers through the API and the pages: made, changed, refused, listed."""

import pytest
from django.test import Client

from facility.models import CpuServer
from tests.small_site import product

BODY = {"name": "Tools", "product": "epyc-9965-2s", "n_units": 3}


@pytest.fixture
def body(asked):
    product("cpu_servers", "epyc-9965-2s")
    return BODY | {"layout": asked.layout.pk}


def test_servers_are_made_changed_and_removed(planner, body):
    made = planner.post("/api/cpu-servers/", body)
    assert made.status_code == 201, made.data
    address = f"/api/cpu-servers/{made.data['id']}/"
    assert planner.patch(address, {"n_units": 4}).data["n_units"] == 4
    assert planner.delete(address).status_code == 204
    assert not CpuServer.objects.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"product": "none"}, "product: none is no catalogue entry of kind cpu_servers"),
        ({"n_units": 0}, "n_units: Ensure this value is greater than or equal to 1."),
        ({"cores": 5}, "cores"),
    ],
)
def test_what_cannot_be_is_refused_by_field(planner, body, changes, message):
    answer = planner.post("/api/cpu-servers/", body | changes)
    assert answer.status_code == 400
    assert message in answer.data["message"]
    assert not CpuServer.objects.exists()


def test_the_page_lists_servers_and_takes_new_ones(planner, asked, body):
    browser = Client()
    browser.force_login(asked.site.memberships.filter(role="planner").first().user)
    address = f"/sites/{asked.site.slug}/{asked.layout.slug}/parts/cpu-servers/"
    planner.post("/api/cpu-servers/", body)
    page = browser.get(address).content.decode()
    assert "Tools" in page
    assert "1,152" in page  # cores
    form = browser.get(f"{address}new/").content.decode()
    assert "Servers" in form
