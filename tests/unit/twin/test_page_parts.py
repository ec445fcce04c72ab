"""Parts of pages that are kept: written once for each version of what they show, and never shown for another."""

import zlib

import numpy as np
import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.urls import reverse

from facility import services
from facility.models import Rack
from facility.views import parts
from power_cooling.site_facts.units import US, shown_in
from tests.small_run import done_run, small_scenario
from tests.small_site import new_rack
from twin.core.rules.report import Finding
from twin.core.text.numbers import quantity_text
from twin.page_parts import kept, remembered, stamp
from twin.views import layouts, runs

pytestmark = pytest.mark.django_db


@pytest.fixture
def keeping(settings):
    """Keep parts as the product does; the suite's own settings keep none."""
    backend = "django.core.cache.backends.locmem.LocMemCache"
    names = ("default", "pages", "descriptions")
    settings.CACHES = {name: {"BACKEND": backend, "LOCATION": f"test-{name}"} for name in names}


@pytest.fixture
def planner(client):
    client.force_login(get_user_model().objects.create_superuser("planner"))
    return client


@pytest.fixture
def asked():
    return small_scenario()


def counted(monkeypatch, module, name: str) -> list:
    calls, real = [], getattr(module, name)
    monkeypatch.setattr(module, name, lambda *args, **more: calls.append(args) or real(*args, **more))
    return calls


def test_a_part_is_written_once_for_a_key_and_anew_for_another(keeping):
    asked = []

    def context():
        asked.append(1)
        return {"text": f"write {len(asked)}"}

    first = kept("_components/_empty.html", ("a", 1), context)
    assert "write 1" in first
    assert kept("_components/_empty.html", ("a", 1), context) == first
    assert "write 2" in kept("_components/_empty.html", ("a", 2), context)
    assert remembered(("b",), lambda: [1]) == remembered(("b",), lambda: [2]) == [1]


def test_the_results_of_a_run_are_written_once_and_shown_alike_to_others(keeping, planner, asked, monkeypatch):
    run = done_run(*asked)
    written = counted(monkeypatch, runs, "result_context")
    address = reverse("run-detail", args=[run.id])
    first = planner.get(address).content.decode()
    again = planner.get(address).content.decode()
    assert len(written) == 1
    for page in (first, again):
        assert 'id="run-findings"' in page
        assert "Run again" in page
    part = planner.get(address, {"series": "no-such-series"}).content.decode()
    assert len(written) == 1  # shown as the series that is shown without a choice
    assert 'id="run-series"' in part
    planner.get(address, {"series": "pue"})
    assert len(written) == 2
    layout = asked[0]
    layout.name = "Another name"
    layout.save()
    assert "Another name" in planner.get(address).content.decode()
    assert len(written) == 3


def test_the_plan_is_drawn_once_for_a_version_and_again_after_an_edit(keeping, planner, asked, monkeypatch):
    layout, _ = asked
    drawn = counted(monkeypatch, layouts, "read_floor")
    judged = counted(monkeypatch, layouts, "layout_findings")
    address = reverse("layout-detail", args=[layout.site.slug, layout.slug])
    for _ in range(2):
        assert planner.get(address).status_code == 200
    planner.get(address, headers={"HX-Request": "true"})
    assert (len(drawn), len(judged)) == (1, 1)
    rack = Rack.objects.filter(hall__layout=layout).first()
    rack.name = "Renamed"
    services.part_save(part=rack, fields=["name"], user=None)
    assert "Renamed" in planner.get(address).content.decode()
    assert (len(drawn), len(judged)) == (2, 2)
    planner.get(address, {"colour": "weight_kg"})
    assert len(drawn) == 3


def test_whatever_the_rules_read_beside_the_layout_changes_its_stamp(asked):
    layout, _ = asked
    before = stamp(layout)
    layout.site.grid_limit_w += 1
    assert stamp(layout) != before
    rack = Rack.objects.filter(hall__layout=layout).first()
    layout.site.grid_limit_w -= 1
    assert stamp(layout) == before
    product = rack.product or layout.cdus.first().product
    product.save()
    assert stamp(layout) != before
    before = stamp(layout)
    weather = layout.site.weather
    hours = np.frombuffer(zlib.decompress(weather.rows), np.float32).copy()
    hours[0] += 1.0  # the first hour is a degree warmer
    weather.rows = zlib.compress(hours.tobytes())
    weather.save()
    assert stamp(layout) != before


def test_the_same_key_in_other_units_is_another_part(keeping):
    made = [remembered(("flow",), lambda: quantity_text(0.01, "m³/s"))]
    with shown_in(US):
        made.append(remembered(("flow",), lambda: quantity_text(0.01, "m³/s")))
    assert [text.split("\u202f")[1] for text in made] == ["l/min", "gpm"]


def test_a_long_list_comes_in_pages(planner, asked, monkeypatch):
    layout, _ = asked
    Rack.objects.bulk_create(new_rack(layout, name=f"B-{i:02}", row="B", x_m=2 + 0.6 * i, y_m=8.0) for i in range(9))
    monkeypatch.setattr(parts, "PAGE_ROWS", 5)
    address = reverse("part-list", args=[layout.site.slug, layout.slug, "racks"])
    shown = [planner.get(address, {"page": page}).content.decode() for page in (1, 2, 3)]
    assert "1 to 5 of 11" in shown[0]
    assert "11 to 11 of 11" in shown[2]
    names = [name for page in shown for name in Rack.objects.values_list("name", flat=True) if f">{name}</a>" in page]
    assert sorted(names) == sorted(Rack.objects.values_list("name", flat=True))  # each once
    rack = Rack.objects.first()
    assert reverse("rack-detail", args=[layout.site.slug, layout.slug, rack.pk]) in "".join(shown)
    assert reverse("part-edit", args=[layout.site.slug, layout.slug, "racks", rack.pk]) in "".join(shown)
    assert "1 to 5 of 11" in planner.get(address, {"page": "x"}).content.decode()
    assert "11 to 11 of 11" in planner.get(address, {"page": "999"}).content.decode()


def test_findings_come_in_pages_most_severe_first(planner, asked, monkeypatch):
    layout, _ = asked
    found = [Finding("hall", None, f"H{i}", "r", "risk", None, None, "", f"Said {i}.") for i in range(120)]
    monkeypatch.setattr(layouts, "layout_findings", lambda layout: found)
    address = reverse("layout-findings", args=[layout.site.slug, layout.slug])
    first, last = (planner.get(address, {"page": page}).content.decode() for page in (1, 3))
    assert "Said 49." in first
    assert "Said 50." not in first
    assert "1 to 50 of 120" in first
    assert "Said 119." in last


def test_serve_refuses_a_number_of_web_processes_that_is_none():
    with pytest.raises(CommandError, match="--processes is 0; must be from 1 to 64"):
        call_command("serve", processes=0)
