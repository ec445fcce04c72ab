"""Networks through the API and the pages: made, changed, refused, listed."""

import pytest
from django.test import Client

from facility.models import Fabric
from tests.small_site import product

BODY = {"name": "Scale-out", "leaf": "nvidia-qm9700", "spine": "nvidia-qm9700", "rails": 8}


@pytest.fixture
def body(asked):
    for slug in ("nvidia-qm9700", "optics-800g-dr4"):
        product("network_switches", slug)
    return BODY | {"layout": asked.layout.pk}


def test_a_network_is_made_changed_and_removed(planner, body):
    made = planner.post("/api/fabrics/", body)
    assert made.status_code == 201, made.data
    assert (made.data["port_bits_per_s"], made.data["oversubscription"]) == (4e11, 1)
    address = f"/api/fabrics/{made.data['id']}/"
    assert planner.patch(address, {"oversubscription": 2, "optics": "optics-800g-dr4"}).data["oversubscription"] == 2
    assert planner.delete(address).status_code == 204
    assert not Fabric.objects.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"leaf": "optics-800g-dr4"}, "leaf: 800G pluggable transceiver (2xDR4) has 1 x 800G; leaf is a switch"),
        ({"optics": "nvidia-qm9700"}, "optics is a transceiver, with one port"),
        ({"leaf": "none"}, "leaf: none is no catalogue entry of kind network_switches"),
        ({"rails": 0}, "rails: Ensure this value is greater than or equal to 1."),
        ({"port_bits_per_s": 3e11}, "port_bits_per_s:"),
        ({"ports_per_accelerator": -1}, "ports_per_accelerator: Ensure this value is greater than"),
    ],
)
def test_what_cannot_be_is_refused_by_field(planner, body, changes, message):
    answer = planner.post("/api/fabrics/", body | changes)
    assert answer.status_code == 400
    assert message in answer.data["message"]
    assert not Fabric.objects.exists()


def test_the_page_lists_networks_and_takes_new_ones(planner, asked, body):
    browser = Client()
    browser.force_login(asked.site.memberships.filter(role="planner").first().user)
    site = asked.site
    address = f"/sites/{site.slug}/{asked.layout.slug}/parts/fabrics/"
    planner.post("/api/fabrics/", body)
    page = browser.get(address)
    assert page.status_code == 200, page
    assert "Scale-out" in page.content.decode()
    form = browser.get(f"{address}new/").content.decode()
    assert "Oversubscription" in form
