"""Values that are allowed and yet no built site has: found with the limit, and on no shipped sample."""

import pytest

from facility.models import Layout, Site
from tests.shipped import CATALOGUE, SAMPLES, load_shipped
from tests.small_run import small_scenario
from twin.core.rules.findings import rule_findings
from twin.core.rules.sizes import USUAL, size_findings
from twin.runs.snapshot import description

pytestmark = pytest.mark.django_db


def found_in(layout: Layout) -> list:
    layout.refresh_from_db()
    return [finding for finding in rule_findings(description(layout)) if finding.rule == "odd size"]


def test_a_grid_limit_of_five_watts_is_found_with_what_was_stored():
    layout, _ = small_scenario()
    assert found_in(layout) == []
    Site.objects.filter(pk=layout.site_id).update(grid_limit_w=5)
    (finding,) = found_in(layout)
    assert (finding.object_kind, finding.severity, finding.value, finding.limit) == ("site", "risk", 5, 10e3)
    assert finding.message.startswith("Grid limit is 5.00\u202fW, below 10.0\u202fkW")
    assert "check the unit" in finding.message


def test_an_empty_layout_says_so_too():
    layout, _ = small_scenario()
    layout.halls.all().delete()
    Site.objects.filter(pk=layout.site_id).update(grid_limit_w=2e10)
    (finding,) = found_in(layout)
    assert "above 10.0\u202fGW" in finding.message


def test_each_field_is_judged_in_its_own_table():
    layout, _ = small_scenario()
    hall, feed, plant = layout.halls.get(), layout.power_feeds.first(), layout.cooling_plants.first()
    rack = hall.racks.first()
    changes = {
        (hall, "lighting_w"): 7.5,
        (rack, "other_power_w"): 0.014,
        (rack, "accelerator_power_limit_w"): 1.2,
        (rack, "coolant_flow_m3_per_s"): 0.5,
        (feed, "rating_w"): 2.5,
        (feed, "length_m"): 6e4,
        (plant, "tank_m3"): 3e4,
        (layout.site, "grid_limit_w"): 7.0,
    }
    for (part, field), value in changes.items():
        type(part).objects.filter(pk=part.pk).update(**{field: value})
    layout.refresh_from_db()
    found = {(f.object_name, f.value) for f in found_in(layout)}
    assert found == {(part.name, value) for (part, _), value in changes.items()}
    assert len(changes) == len(USUAL)


def test_no_shipped_design_has_an_odd_size():
    load_shipped(CATALOGUE, SAMPLES)
    layouts = list(Layout.objects.all())
    assert len(layouts) > 3
    for layout in layouts:
        assert not list(size_findings(description(layout))), layout
