"""Counts of machines: the smallest that carry the design hour, for a wished power and for what stands."""

import io
import json

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from facility.models import Layout, Membership, PowerFeed, Rack, Site
from facility.services import StaleLayout
from tests.shipped import CATALOGUE, SAMPLES, load_shipped
from twin.core.inputs.layout import layout_inputs
from twin.core.results.findings import BLOCKING, RISK
from twin.core.rules.findings import rule_findings
from twin.core.sizing.counts import sized, with_counts
from twin.onboarding.reference import layout_from_reference
from twin.onboarding.sizing import layout_sizing, sizing_take
from twin.runs.findings import layout_findings
from twin.runs.snapshot import description

pytestmark = pytest.mark.django_db
GOLDEN, STERLING = "golden", "sterling"


@pytest.fixture
def sites() -> dict[str, Site]:
    load_shipped(CATALOGUE, SAMPLES)
    return {site.slug: site for site in Site.objects.all()}


def sample(slug: str) -> Layout:
    return Layout.objects.get(site__slug=STERLING, slug=slug)


def products(layout: Layout) -> set[int]:
    computing = Rack.objects.filter(hall__layout=layout, role=Rack.Role.COMPUTE)
    return set(computing.values_list("product", flat=True))


def drawn_w(layout: Layout) -> float:
    inputs = description(layout)
    racks = inputs.racks
    described = zip(racks.product_id, racks.n_systems, racks.other_power_w, strict=True)
    return sum(inputs.nameplate_w(*rack) for rack in described)


def test_each_count_is_the_smallest_that_no_rule_minds(sample_inputs):
    inputs = layout_inputs(sample_inputs("sterling/gb300-nvl72"))
    sizing = sized(inputs)
    assert not sizing.left
    assert not sized(sizing.inputs).changes
    taken = {count.counted: count.after for count in sizing.counts}
    lowest = [count for count in sizing.counts if not count.reason.endswith(("is the least", "spare"))]
    assert len(lowest) > 5
    for count in lowest:
        fewer = rule_findings(with_counts(inputs, taken | {count.counted: count.after - 1}))
        assert any(finding.severity in (BLOCKING, RISK) for finding in fewer), count


def test_cdus_that_were_taken_away_are_counted_again(sample_inputs):
    inputs = layout_inputs(sample_inputs("sterling/gb300-nvl72"))
    loop = next(count.counted for count in sized(inputs).counts if count.counted.name == "Loop 1")
    short = with_counts(inputs, {loop: 2})
    assert len(short.cdus) == len(inputs.cdus) - 3
    assert next(count.after for count in sized(short).counts if count.counted.name == "Loop 1") == 5


@pytest.mark.parametrize(
    ("slug", "mw", "n_halls"), [("gb300-nvl72", 3.0, 1), ("hgx-h200", 1.0, 1), ("vera-rubin-nvl72", 9.0, 2)]
)
def test_a_wished_power_becomes_a_layout_that_no_rule_minds(sites, slug, mw, n_halls):
    Site.objects.filter(slug=GOLDEN).update(grid_limit_w=50e6)
    site = Site.objects.get(slug=GOLDEN)
    layout = layout_from_reference(design=sample(slug), site=site, name=f"Wish {mw}", it_power_w=mw * 1e6)
    sizing_take(layout=layout)
    assert [f for f in layout_findings(layout) if f.severity in (BLOCKING, RISK)] == []
    assert layout.halls.count() == n_halls
    assert 0.8 * mw * 1e6 < drawn_w(layout) <= mw * 1e6
    assert products(layout) == products(sample(slug))
    assert not layout_sizing(layout).changes


def test_where_no_count_fits_what_must_give_way_is_named(sites):
    layout = layout_from_reference(design=sample("vera-rubin-nvl72"), site=sites[GOLDEN], name="Big", it_power_w=20e6)
    (left,) = layout_sizing(layout).left
    assert left.rule == "grid limit"
    assert left.value > left.limit == sites[GOLDEN].grid_limit_w
    for mw, words in ((0.01, "allowed from 0.1"), (1e4, "at most 50 are made")):
        with pytest.raises(ValidationError, match=words):
            layout_from_reference(design=sample("gb300-nvl72"), site=sites[GOLDEN], name="Odd", it_power_w=mw * 1e6)
    assert not Layout.objects.filter(name="Odd").exists()


def test_the_command_prints_counts_and_takes_them_only_when_told(sites):
    layout, out = sample("gb300-nvl72"), io.StringIO()
    with pytest.raises(StaleLayout):
        sizing_take(layout=layout, version=layout.version + 1)
    call_command("size", "sterling/gb300-nvl72", "--json", stdout=out)
    found = json.loads(out.getvalue())
    rows = {
        f"{row['object_name']}: {row['field']}": row["after"]
        for row in found["counts"]
        if row["before"] != row["after"]
    }
    assert rows == {
        "Facility water: n_chillers": 4,  # three, one of them spare, take 5.42 of the 5.49 MW that the design hour asks
        "Transformers, each of 2: n_units": 3,
        "Switchboards, each of 2: n_units": 3,
    }
    assert (found["left"], found["taken"]) == ([], False)
    transformers = PowerFeed.objects.filter(layout=layout, kind="transformer").values_list("n_units", flat=True)
    assert set(transformers) == {4}
    call_command("size", "sterling/gb300-nvl72", "--take", stdout=io.StringIO())
    assert set(transformers.all()) == {3}


def test_a_planner_goes_from_a_wish_to_counts_and_takes_them(sites):
    user = get_user_model().objects.create_user("wisher")
    Membership.objects.create(user=user, site=sites[GOLDEN], role="planner")
    Membership.objects.create(user=user, site=sites[STERLING], role="viewer")
    client = Client()
    client.force_login(user)
    asked = {"design": sample("gb300-nvl72").pk, "it_power_mw": "3", "name": "Wish"}
    text = client.post(reverse("layout-from-design", args=[GOLDEN]), asked, follow=True).content.decode()
    assert "Apply the 8 changes" in text
    layout = Layout.objects.get(name="Wish")
    answer = client.get(f"/api/layouts/{layout.pk}/sizing/").json()
    assert len([row for row in answer["counts"] if row["before"] != row["after"]]) == 8
    taken = client.post(reverse("layout-sizing", args=[GOLDEN, "wish"]), {"version": layout.version}, follow=True)
    assert "Every count is the smallest that carries its load." in taken.content.decode()
    refused = client.post(reverse("layout-from-design", args=[GOLDEN]), asked | {"it_power_mw": "0.01"})
    assert "allowed from" in refused.content.decode()
    assert client.post(reverse("layout-from-design", args=[STERLING]), asked).status_code == 403


def test_a_sized_layout_is_called_what_was_made_of_its_design(sites):
    design = sample("gb300-nvl72")
    layout = layout_from_reference(design=design, site=sites[GOLDEN], it_power_w=3e6)
    made = layout.halls.get().racks
    compute = made.filter(role="compute")
    power = f"{drawn_w(layout) / 1e6:.3g} MW"
    assert layout.name == f"{compute.count()} × {compute.first().product.name}, {power} of IT"
    assert design.name not in layout.name
    first, _, rest = layout.notes.partition("Made after")
    assert first.startswith(f"{compute.count()} × ")
    assert f"{power} of IT at their nameplates; 3 MW were wished for." in first
    assert rest.index(design.name) < rest.index("Notes of that design, which is of another size") < rest.index("“")
