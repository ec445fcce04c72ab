"""The failure drill as a page: its address is its state, every click an address, and a bad one gets a sentence."""

import re
from html import unescape
from urllib.parse import parse_qs

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("catalogue")]
PAGES = ("layout-drill", "layout-drill-list")


def address(layout, name="layout-drill", **query):
    return reverse(name, args=[layout.site.slug, layout.slug], query=query)


def feed(layout, name):
    return layout.power_feeds.get(name=name).pk


@pytest.mark.parametrize("name", PAGES)
def test_a_site_does_not_exist_for_others(client, layout, name):
    assert client.get(address(layout, name)).status_code == 302
    client.force_login(get_user_model().objects.create_user("stranger"))
    assert client.get(address(layout, name)).status_code == 404


@pytest.mark.compiled
def test_nothing_is_out_at_first_and_everything_can_fail(viewer, layout):
    html = viewer.get(address(layout)).content.decode()
    assert "Nothing is out of service" in html
    for name in ("UPS-A", "CDU-1", "Busway-B"):
        assert f"Fail {name}" in html
    assert f'value="feed:{feed(layout, "UPS-A")}"' in html


def node(html: str, key: str) -> str:
    """Return the markup of one symbol."""
    return re.search(rf'<g class="node [^>]*data-node="{key}">.*?</g>', html, re.DOTALL).group()


@pytest.mark.compiled
def test_a_lost_ups_moves_its_load_to_the_other_side(viewer, layout):
    html = viewer.get(address(layout, out=f"feed:{feed(layout, 'UPS-A')}")).content.decode()
    lost, left = (node(html, f"feed-{feed(layout, name)}") for name in ("UPS-A", "UPS-B"))
    assert lost.startswith('<g class="node feed dead"')
    assert left.startswith('<g class="node feed ok"')
    before, after = re.search(r"(\d+) → (\d+)", left).groups()
    assert int(after) == pytest.approx(2 * int(before), rel=0.03)  # all of what two sides shared, and its losses
    assert "No tokens are lost" in html
    assert node(html, f"feed-{feed(layout, 'Busway-A')}").startswith('<g class="node feed dead"')


@pytest.mark.compiled
def test_both_feeds_lost_is_told_in_tokens_racks_and_time(viewer, layout):
    out = ",".join(f"feed:{feed(layout, f'Busway-{side}')}" for side in "AB")
    html = viewer.get(address(layout, out=out)).content.decode()
    assert "2 off; 2 racks in all" in html
    assert "lost, 100" in html
    assert "no live feed is left" in html
    assert html.count('class="rack dead"') == 2 + 1  # and the key


@pytest.mark.compiled
def test_the_link_of_what_is_out_restores_it(viewer, layout):
    cdu = layout.cdus.first()
    html = viewer.get(address(layout, out=f"cdu:{cdu.pk}:1", hour=12)).content.decode()
    [href] = re.findall(rf'href="([^"]*)"[^>]*aria-label="Restore {cdu.name}"', node(html, f"cdu-{cdu.pk}"))
    assert unescape(href) == "?hour=12&scenario=assistants"
    again = viewer.get(address(layout) + unescape(href)).content.decode()
    assert "Nothing is out of service" in again


@pytest.mark.compiled
def test_cdus_counted_from_one_on_are_named_one_by_one(viewer, layout):
    first, second = layout.cdus.order_by("pk")
    html = viewer.get(address(layout, out=f"cdu:{second.pk}:2")).content.decode()
    [here] = re.findall(r'data-address="([^"]*)"', html)  # what a script puts into the address bar
    out = parse_qs(unescape(here)[1:])["out"][0]
    assert sorted(out.split(",")) == sorted([f"cdu:{first.pk}:1", f"cdu:{second.pk}:1"])


@pytest.mark.compiled
def test_the_form_adds_to_what_is_out_and_leads_to_the_address_of_both(viewer, layout):
    ups, plant = feed(layout, "UPS-A"), layout.cooling_plants.get().pk
    answer = viewer.get(address(layout, out=f"feed:{ups}:1", add=f"cooler:{plant}", units="2", hour="design"))
    assert answer.status_code == 302
    assert f"out=feed:{ups}:1,cooler:{plant}:2" in answer.url


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"out": "cdu:0"}, "no cdu of id 0"),
        ({"out": "boiler:1"}, "boiler cannot fail here"),
        ({"hour": "9000"}, "0 to 8759"),
        ({"out": "feed"}, "write feed:id"),
        ({"add": "feed:0"}, "no such part"),
        ({"add": f"feed:{'1' * 5000}"}, "no such part"),
        ({"add": "x"}, "no such part"),
        ({"scenario": "none"}, "assistants"),
    ],
)
def test_a_bad_address_gets_a_sentence(viewer, layout, query, words):
    answer = viewer.get(address(layout, **query))
    assert answer.status_code == 400
    assert words in answer.content.decode()


def test_more_units_than_there_are_get_a_sentence(viewer, layout):
    answer = viewer.get(address(layout, add=f"feed:{feed(layout, 'UPS-A')}", units="3"))
    assert answer.status_code == 400
    assert "UPS-A has 1" in answer.content.decode()


def test_without_a_scenario_the_drill_says_what_comes_next(viewer, layout):
    layout.site.scenarios.all().delete()
    answer = viewer.get(address(layout))
    assert answer.status_code == 200
    assert "has no scenario" in answer.content.decode()
    assert "add a scenario" in answer.content.decode()
    assert viewer.get(address(layout, "layout-drill-list")).status_code == 200


@pytest.mark.compiled
def test_single_failures_are_ranked_and_repairs_tried(viewer, layout):
    layout.cdus.order_by("pk").last().delete()  # leaves one CDU without a spare
    html = viewer.get(address(layout, "layout-drill-list")).content.decode()
    rows = re.findall(r'<th scope="row">\s*<a [^>]*>([^<]+)</a>', html)
    assert set(rows[:2]) == {"Utility", "A"}  # the only source, and the group of the last CDU
    assert "One more CDU in A" in html
    assert "cost token capacity" in html
