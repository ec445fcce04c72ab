"""Single-phase taps: what they put on the phases above them, what findings say, and where a phase may be stated."""

import pytest
from django.core.exceptions import ValidationError

from facility.models import PowerFeed, Rack
from facility.services import part_save
from tests.small_site import new_rack, product, small_layout
from twin.core.results.findings import HINT, RISK
from twin.core.rules.design_load import design_load, rack_design
from twin.core.rules.feed_loads import feed_loads, layout_feeds
from twin.core.rules.phases import ASSUMED_MOST_UNBALANCE_FRAC, phase_loads_w
from twin.interchange.site_file import site_export, site_import
from twin.runs.findings import layout_findings
from twin.runs.snapshot import description

RACK_W = 10_000.0

pytestmark = pytest.mark.django_db


@pytest.fixture
def layout():
    """Return a layout with three taps on a busway, a rack of 10 kW on each."""
    made = small_layout()
    busway = PowerFeed.objects.get(layout=made, name="Busway-A")
    for i in range(3):
        tap = part_save(part=PowerFeed(layout=made, name=f"Tap-{i}", kind="pdu", parent=busway, rating_w=20_000))
        rack = new_rack(made, name=f"S-{i}", row="S", x_m=2.0 + i, role="support", product=None, cdu=None)
        rack.feed_a, rack.feed_b, rack.other_power_w = tap, None, RACK_W
        part_save(part=rack)
    return made


def taps_on(layout, *phases):
    for i, phase in enumerate(phases):
        PowerFeed.objects.filter(layout=layout, name=f"Tap-{i}").update(phase=phase)


def found(layout):
    rows = [row for row in layout_findings(layout) if row.rule in ("phase load", "phase balance")]
    return {(row.object_name, row.rule): row for row in rows}


def test_taps_on_each_phase_in_turn_balance_and_on_one_do_not(layout):
    taps_on(layout, "", "", "")
    assert found(layout) == {}
    taps_on(layout, "L1", "L2", "L3")
    assert found(layout) == {}
    taps_on(layout, "L1", "L1", "L2")
    rows = found(layout)
    # the UPS draws from all three phases again, whatever its output carries
    assert rows.keys() == {("Busway-A", "phase balance"), ("UPS-A", "phase balance")}
    row = rows["Busway-A", "phase balance"]
    assert (row.severity, row.unit, row.limit) == (HINT, "%", ASSUMED_MOST_UNBALANCE_FRAC)
    assert row.value == pytest.approx(1.0, abs=0.01)  # 20 kW where the mean is 10
    assert "L1 carries 100%" in row.message


def test_a_three_phase_load_beside_them_makes_taps_matter_less(layout):
    taps_on(layout, "L1", "L1", "L2")
    alone = found(layout)["Busway-A", "phase balance"].value
    part_save(part=new_rack(layout, name="A-01", x_m=8.0))
    assert found(layout)["Busway-A", "phase balance"].value < 0.5 * alone


def test_a_phase_beyond_a_third_of_the_rating_is_named_though_the_feed_is_not_full(layout):
    taps_on(layout, "L1", "L1", "L2")
    PowerFeed.objects.filter(name="Busway-A").update(rating_w=45_000)
    row = found(layout)["Busway-A", "phase load"]
    assert (row.severity, row.limit) == (RISK, 15_000)
    assert row.value == pytest.approx(2 * RACK_W, rel=0.01)
    assert "L1 carries 20" in row.message


def test_phases_of_a_feed_add_up_to_its_load(layout):
    taps_on(layout, "L1", "L3", "")
    Rack.objects.bulk_create([new_rack(layout, name=f"A-{i}", x_m=6 + 0.6 * i) for i in range(3)])
    inputs = description(layout)
    racks = rack_design(inputs)
    loads = feed_loads(inputs, layout_feeds(inputs, racks), design_load(inputs, racks))
    assert phase_loads_w(inputs, loads).sum(axis=1) == pytest.approx(loads.normal_w)
    by_name = dict(zip((feed.name for feed in inputs.feeds), phase_loads_w(inputs, loads), strict=True))
    assert by_name["Tap-0"][0] > 0 == by_name["Tap-0"][1] == by_name["Tap-0"][2]
    assert by_name["T-A"][0] == by_name["T-A"][1] == by_name["T-A"][2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "ups", "product": "eaton-9395x-1700"}, "only a PDU or busway has one phase"),
        ({"kind": "busway", "product": "busway-1600a-800vdc"}, "gives direct current; it has no phase"),
        ({"kind": "pdu", "parent": "Tap-0"}, "is on L2; Tap-0 above it is on L1"),
        ({"kind": "pdu", "phase": "L4"}, "L4"),
    ],
)
def test_a_phase_that_cannot_be_is_refused(layout, changes, message):
    taps_on(layout, "L1")
    kinds = {"ups": "ups", "busway": "busways"}
    parent = PowerFeed.objects.get(layout=layout, name=changes.get("parent", "Busway-A"))
    made = PowerFeed(layout=layout, name="New", kind=changes["kind"], parent=parent, rating_w=1e4)
    made.phase = changes.get("phase", "L2")
    if "product" in changes:
        made.product = product(kinds[changes["kind"]], changes["product"])
    with pytest.raises(ValidationError, match=message):
        part_save(part=made)


def test_a_phase_moves_in_the_site_file(layout):
    taps_on(layout, "L1", "", "L3")
    site = layout.site
    content = site_export(site=site)
    site.delete()
    again = site_import(content=content).layouts.get(slug="first")
    feeds = again.power_feeds.filter(kind="pdu").order_by("name")
    assert list(feeds.values_list("phase", flat=True)) == ["L1", "", "L3"]
    assert site_export(site=again.site) == content
