"""Every finding has a remedy in words; where one is computed, it removes the finding. A test per rule."""

import ast
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.urls import reverse

from facility import services
from facility.models import Cdu, CoolingPlant, FloorFeature, Hall, Layout, PowerFeed, Rack, Site
from facility.services import StaleLayout
from tests.small_site import new_rack, product, sound_layout
from tests.small_site import new_row as row
from twin.core.results.findings import BLOCKING, RISK
from twin.core.rules.remedies import REMEDIES
from twin.remedies import trying
from twin.remedies.moves import MOVES
from twin.remedies.trying import NoRemedy, can_be_computed, key_of, preview, preview_all, take, take_all, take_back
from twin.runs.findings import layout_findings

pytestmark = [pytest.mark.django_db, pytest.mark.compiled]
ROOT = Path(__file__).parents[3]
NO_WAY_BACK = ("overlap", "inside the hall")  # nothing may be put where it cannot stand


@pytest.fixture
def layout():
    return sound_layout()


def overlap(layout):
    Rack.objects.bulk_create([new_rack(layout, name="A-02", x_m=2.3)])


def inside(layout):
    Rack.objects.bulk_create([new_rack(layout, name="A-03", x_m=19.8)])


def aisle(layout):
    new_rack(layout, name="B-01", y_m=6.0, orientation_deg=180).save()


def in_aisle(layout):
    FloorFeature.objects.filter(name="Cold").update(y_m=3.9)


def hot_front(layout):
    FloorFeature.objects.filter(name="Cold").update(type="hot_aisle", y_m=2.45)


def air_units_drawn(layout):
    layout.air_units.first().delete()


def small_rack(layout):
    Rack.objects.update(width_m=0.5)


def no_feed(layout):
    row(layout, 1)
    Rack.objects.filter(name="A-01").update(feed_a=None, feed_b=None)


def one_feed(layout):
    Rack.objects.update(feed_b=None)


def weak_pdu(layout):
    pdu = PowerFeed.objects.create(
        layout=layout, name="RPP", kind="pdu", parent=layout.power_feeds.get(name="UPS-A"), rating_w=100e3
    )
    Rack.objects.update(feed_a=pdu, feed_b=None)


def shared_path(layout):
    PowerFeed.objects.filter(name="UPS-B").update(parent=layout.power_feeds.get(name="T-A"))


def busways_full(layout):
    product("busways", "busway-1250a-415")
    PowerFeed.objects.filter(kind="busway").update(product=product("busways", "busway-800a-415"))
    row(layout, 3)


def one_busway_full(layout):
    busways_full(layout)
    Rack.objects.update(feed_b=None)


def no_spare_unit(layout):
    PowerFeed.objects.filter(kind="ups").update(redundancy="N+1", n_units=2, rating_w=60e3, product=None)


def small_block(layout):
    PowerFeed.objects.filter(kind="ups").update(redundancy="N", redundancy_group="", rating_w=50e3, product=None)


def small_grid(layout):
    row(layout, 5)
    Site.objects.update(grid_limit_w=700e3)


def large_grid(layout):
    pass


def few_generators(layout):
    PowerFeed.objects.filter(kind="generator").update(rating_w=100e3)


def generator_feeds(layout):
    generator = layout.power_feeds.get(kind="generator")
    PowerFeed.objects.filter(name="T-B").update(parent=generator)


def long_busway(layout):
    busways_full(layout)
    PowerFeed.objects.filter(kind="busway").update(length_m=450)


def no_cdu(layout):
    Rack.objects.update(cdu=None)


def low_flow(layout):
    Rack.objects.update(coolant_flow_m3_per_s=0.001)


def unlike_cdus(layout):
    Cdu.objects.filter(name="CDU-2").update(supply_degc=43)


def few_cdus(layout):
    Cdu.objects.update(product=product("cdus", "vertiv-coolchip-600"))
    row(layout, 5)


def cdus_all_spare(layout):
    Cdu.objects.update(redundant_units=2)


def cold_cdus(layout):
    CoolingPlant.objects.filter(name="Plant").update(supply_degc=10)
    Cdu.objects.update(supply_degc=16)


def hot_cdus(layout):
    Cdu.objects.update(supply_degc=46)


def wrong_coolant(layout):
    Cdu.objects.update(coolant="water")


def few_coolers(layout):
    CoolingPlant.objects.filter(name="Plant").update(
        n_heat_rejection=2, heat_rejection=product("dry_coolers", "dry-cooler-highdt-1mw")
    )
    row(layout, 8)


def weak_pumps(layout):
    CoolingPlant.objects.filter(name="Plant").update(pump=product("pumps", "tcs-pump-15kw"), design_rise_k=2)
    row(layout, 5)


def few_air_units(layout):
    Rack.objects.update(product=product("systems", "dgx-h200"), n_systems=4, cdu=None)
    row(layout, 24, product=product("systems", "dgx-h200"), n_systems=4, cdu=None)


def no_plant(layout):
    Hall.objects.update(plant=None)


def cold_air(layout):
    Hall.objects.update(supply_air_degc=20.02)


def hot_air(layout):
    Hall.objects.update(supply_air_degc=40)


CASES = {
    "overlap": overlap,
    "inside the hall": inside,
    "aisle width": aisle,
    "clear aisle": in_aisle,
    "front in hot aisle": hot_front,
    "placed air units": air_units_drawn,
    "rack size": small_rack,
    "no feed": no_feed,
    "one feed": one_feed,
    "rack power": weak_pdu,
    "shared path": shared_path,
    "after a failure": busways_full,
    "breaker 80 %": one_busway_full,
    "spare unit": no_spare_unit,
    "capacity": small_block,
    "grid limit": small_grid,
    "stranded power": large_grid,
    "generators": few_generators,
    "standby feeds": generator_feeds,
    "voltage drop": long_busway,
    "no CDU": no_cdu,
    "coolant flow": low_flow,
    "CDU group": unlike_cdus,
    "CDU capacity": few_cdus,
    "CDU redundancy": cdus_all_spare,
    "dew point": cold_cdus,
    "coolant temperature": hot_cdus,
    "coolant": wrong_coolant,
    "plant capacity": few_coolers,
    "plant pumps": weak_pumps,
    "air units": few_air_units,
    "air flow": few_air_units,
    "supply air": cold_air,
    "inlet air": hot_air,
}


OF = {"stranded power": "site"}  # of a UPS group nothing is computed


def found_of(layout, rule):
    layout.refresh_from_db()
    layout.site.refresh_from_db()
    found = layout_findings(layout)
    named = [
        finding
        for finding in found
        if finding.rule == rule and finding.object_kind in OF.get(rule, finding.object_kind)
    ]
    assert named, sorted({finding.rule for finding in found})
    return named[0]


@pytest.mark.parametrize("rule", CASES)
def test_the_remedy_removes_the_finding_and_brings_none_that_is_worse(layout, rule):
    CASES[rule](layout)
    finding = found_of(layout, rule)
    before = {key_of(one) for one in layout_findings(layout)}
    shown = preview(layout, key_of(finding), None)
    assert {key_of(one) for one in layout_findings(layout)} == before, "a preview changes nothing"
    taken = take(layout=layout, key=key_of(finding), version=layout.version)
    assert taken.changes == shown.changes
    layout = Layout.objects.get(pk=layout.pk)
    after = layout_findings(layout)
    assert key_of(finding) not in {key_of(one) for one in after}
    assert not [one for one in after if one.severity in (BLOCKING, RISK) and key_of(one) not in before]
    assert len(after) == shown.n_after
    if rule in NO_WAY_BACK:
        with pytest.raises(ValidationError, match="rack|Rack"):
            take_back(layout=layout, undo=taken.undo)
        return
    take_back(layout=layout, undo=taken.undo)
    assert {key_of(one) for one in layout_findings(Layout.objects.get(pk=layout.pk))} == before


def test_water_that_no_cooler_makes_as_cold_is_let_warmer(layout):
    CoolingPlant.objects.filter(name="Plant").update(supply_degc=36, n_heat_rejection=40)
    Cdu.objects.update(supply_degc=41)
    shown = preview(layout, key_of(found_of(layout, "plant capacity")), None)
    assert {change.field for change in shown.changes} == {"supply"}


def test_a_hall_is_put_on_a_plant(layout):
    Hall.objects.update(plant=None)
    shown = preview(layout, key_of(found_of(layout, "air units")), None)
    assert [(change.object, change.field, change.after) for change in shown.changes] == [("Hall", "plant", "Cold")]


def test_a_finding_that_takes_a_decision_says_which(layout):
    Hall.objects.update(floor_load_limit_kg_per_m2=900)
    with pytest.raises(NoRemedy, match="Spread the weight"):
        preview(layout, key_of(found_of(layout, "floor load")), None)


def test_a_finding_that_is_not_there_is_named(layout):
    with pytest.raises(NoRemedy, match="“overlap” finds nothing at rack 77"):
        preview(layout, ("rack", 77, "overlap"), None)


def test_a_remedy_of_an_older_version_is_refused(layout):
    hot_cdus(layout)
    finding = found_of(layout, "coolant temperature")
    version = layout.version
    services.part_save(part=layout.halls.get())
    with pytest.raises(StaleLayout):
        take(layout=layout, key=key_of(finding), version=version)
    assert Cdu.objects.first().supply_degc == 46


def test_a_remedy_is_taken_back_beside_what_others_did_but_not_over_it(layout):
    hot_cdus(layout)
    taken = take(layout=layout, key=key_of(found_of(layout, "coolant temperature")), version=layout.version)
    services.part_save(part=layout.halls.get())
    take_back(layout=layout, undo=taken.undo)
    assert {cdu.supply_degc for cdu in layout.cdus.all()} == {46}
    taken = take(layout=layout, key=key_of(found_of(layout, "coolant temperature")), version=layout.version)
    cdu = layout.cdus.first()
    cdu.supply_degc = 44.5
    services.part_save(part=cdu)
    with pytest.raises(StaleLayout):
        take_back(layout=layout, undo=taken.undo)
    assert {cdu.supply_degc for cdu in layout.cdus.all()} == {44.5, 45}


def made_cdu(layout):
    """Return a taken remedy that made CDUs, and the last of them."""
    few_cdus(layout)
    had = set(layout.cdus.values_list("pk", flat=True))
    taken = take(layout=layout, key=key_of(found_of(layout, "CDU capacity")), version=layout.version)
    return taken, layout.cdus.exclude(pk__in=had).order_by("pk").last()


def rename(cdu):
    cdu.name = "Ours"
    services.part_save(part=cdu, fields={"name"})


def lean(cdu):
    rack = Rack.objects.exclude(cdu=None).first()
    rack.cdu = cdu
    services.part_save(part=rack, fields={"cdu"})


def lean_unrecorded(cdu):
    Rack.objects.filter(pk=Rack.objects.first().pk).update(cdu=cdu)


@pytest.mark.parametrize("by", [rename, lean, lean_unrecorded])
def test_what_others_did_to_an_object_that_a_remedy_made_is_not_undone_with_it(layout, by):
    taken, cdu = made_cdu(layout)
    by(cdu)
    kept = [list(model.objects.order_by("pk").values()) for model in (Cdu, Rack, PowerFeed)]
    with pytest.raises(StaleLayout, match="nothing was undone"):
        take_back(layout=layout, undo=taken.undo)
    assert [list(model.objects.order_by("pk").values()) for model in (Cdu, Rack, PowerFeed)] == kept


def test_what_a_remedy_made_goes_where_nobody_has_used_it(layout):
    taken, cdu = made_cdu(layout)
    services.part_save(part=layout.halls.get())
    take_back(layout=layout, undo=taken.undo)
    assert not Cdu.objects.filter(pk=cdu.pk).exists()


def test_what_was_since_put_on_a_changed_object_holds_its_remedy(layout):
    hot_cdus(layout)
    taken = take(layout=layout, key=key_of(found_of(layout, "coolant temperature")), version=layout.version)
    rack = new_rack(layout, name="B-09", x_m=9.0)
    services.part_save(part=rack)
    with pytest.raises(StaleLayout, match=f"Rack B-09 depends on cdu {rack.cdu.name}"):
        take_back(layout=layout, undo=taken.undo)
    assert {cdu.supply_degc for cdu in layout.cdus.all()} == {45}


def test_only_what_a_remedy_returned_takes_it_back(layout):
    with pytest.raises(ValidationError, match="word for word"):
        take_back(layout=layout, undo="eyJ9:made-up")


def test_every_rule_that_finds_something_has_a_remedy():
    """Rules are the fourth argument of a Finding, the third of a RunFinding, the first of a helper called finding."""
    named = set()
    for folder in ("facility/findings", "twin/core/rules", "twin/core/results"):
        for file in (ROOT / folder).glob("*.py"):
            for call in ast.walk(ast.parse(file.read_text())):
                if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
                    continue
                at = {"Finding": 3, "RunFinding": 2, "finding": 0}.get(call.func.id)
                if at is None or any(isinstance(arg, ast.Starred) for arg in call.args[: at + 1]):
                    at = 1 if at is not None else None  # an object in one, then the rule
                if at is not None and len(call.args) > at and isinstance(call.args[at], ast.Constant):
                    named.add(call.args[at].value)
    named |= {"run-too-small", "run-out-of-range", "capacity", "spare unit", "breaker 80 %"}  # chosen among
    named |= {f"run-{what}-unplaced" for what in ("network", "storage", "cpu")}
    assert named == set(REMEDIES)


def test_every_computed_remedy_is_proved_here():
    computed = {rule for rule in REMEDIES if can_be_computed(rule)}
    assert {move for remedy in REMEDIES.values() for move in remedy.moves} == set(MOVES)
    assert computed - set(CASES) <= {"island", "unlike currents", "CDU flow"}
    assert set(CASES) <= computed


def of_rule(layout: Layout, rule: str) -> list:
    return [one for one in layout_findings(Layout.objects.get(pk=layout.pk)) if one.rule == rule]


def stored() -> list:
    return [list(model.objects.order_by("pk").values()) for model in (Rack, Cdu, PowerFeed, Hall)]


def test_equal_findings_go_together_and_come_back_together(layout, monkeypatch):
    row(layout, 6)
    Rack.objects.update(width_m=0.5)
    was, before = stored(), len(of_rule(layout, "rack size"))
    assert before > 5
    monkeypatch.setattr(trying, "_one_by_one", None)  # all first attempts fit beside each other
    shown = preview_all(layout, "rack size", None)
    assert stored() == was
    assert (len(shown.changes), shown.left) == (before, ())
    layout.refresh_from_db()
    taken = take_all(layout=layout, rule="rack size", version=layout.version)
    assert taken.changes == shown.changes
    assert not of_rule(layout, "rack size")
    assert Layout.objects.get(pk=layout.pk).version == taken.version
    with pytest.raises(StaleLayout, match="look at the remedy again"):
        take_all(layout=layout, rule="rack size", version=taken.version - 1)
    take_back(layout=layout, undo=taken.undo)
    assert stored() == was


def test_remedies_that_are_in_each_others_way_are_tried_one_on_top_of_the_other(layout):
    Rack.objects.bulk_create([new_rack(layout, name=f"A-{i:02}", x_m=2.3 + 0.01 * i) for i in (4, 5, 6)])
    n = len(of_rule(layout, "overlap"))
    assert n > 2
    layout.refresh_from_db()
    taken = take_all(layout=layout, rule="overlap", version=layout.version)
    stays = of_rule(layout, "overlap")
    assert {key_of(one) for one in stays} == {key_of(one) for one in taken.left}
    assert len(stays) < n - 1


def test_what_nothing_removes_is_left_and_named(layout):
    row(layout, 2)
    Rack.objects.update(feed_b=None)
    n = len(of_rule(layout, "one feed"))
    stuck = Rack.objects.order_by("pk").last()
    real = trying._tried

    def unless_stuck(layout, before, attempts):
        touched = {change.id for attempt in attempts for change in attempt if change.kind == "rack"}
        return None if stuck.pk in touched else real(layout, before, attempts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trying, "_tried", unless_stuck)
        layout.refresh_from_db()
        taken = take_all(layout=layout, rule="one feed", version=layout.version)
    assert [one.object_id for one in taken.left] == [stuck.pk]
    assert [one.object_id for one in of_rule(layout, "one feed")] == [stuck.pk]
    take_back(layout=layout, undo=taken.undo)
    assert len(of_rule(layout, "one feed")) == n


@pytest.mark.parametrize("helps", [True, False])
def test_what_is_tried_one_on_top_of_the_other_is_bounded_whether_it_helps_or_not(layout, monkeypatch, helps):
    row(layout, 2)
    Rack.objects.update(feed_b=None)
    n = len(of_rule(layout, "one feed"))
    real, asked = trying._helping, []

    def counted(layout, before, finding):
        asked.append(finding)
        if not helps and len(asked) > 1:
            raise NoRemedy("no")
        return real(layout, before, finding)

    monkeypatch.setattr(trying, "_helping", counted)
    monkeypatch.setattr(trying, "MOST_RACKS_JUDGED", 2 * Rack.objects.count())
    monkeypatch.setattr(trying, "_helping_all", lambda *given: trying._one_by_one(*given))
    shown = preview_all(layout, "one feed", None)
    assert len(asked) == 2 < n
    assert len(shown.left) == n - (2 if helps else 1)


def test_all_of_nothing_and_all_of_what_is_not_computed_are_refused(layout):
    with pytest.raises(NoRemedy, match="finds nothing"):
        preview_all(layout, "overlap", None)
    Hall.objects.update(floor_load_limit_kg_per_m2=100)
    with pytest.raises(NoRemedy, match="Nothing is computed"):
        preview_all(layout, "floor load", None)


def test_steps_back_of_one_object_are_one_step():
    steps = [
        {"kind": "cdu", "id": 1, "fields": {"supply_degc": (44.0, 45.0), "group": ("B", "A")}},
        {"kind": "cdu", "id": 2, "fields": {"name": ("y", "x")}},
        {"kind": "cdu", "id": 1, "fields": {"supply_degc": (45.0, 46.0)}},
        {"kind": "cdu", "id": 2, "fields": None},
    ]
    assert trying._merged(steps) == [
        {"kind": "cdu", "id": 1, "fields": {"supply_degc": (44.0, 46.0), "group": ("B", "A")}},
        {"kind": "cdu", "id": 2, "fields": None},
    ]


def test_the_history_names_what_changed_and_takes_a_remedy_back_later(layout, client):
    client.force_login(get_user_model().objects.create_superuser("boss"))
    hot_cdus(layout)
    taken = take(layout=layout, key=key_of(found_of(layout, "coolant temperature")), version=layout.version)
    here = [layout.site.slug, layout.slug]
    services.part_save(part=layout.halls.get())
    page = client.get(reverse("layout-history", args=here)).content.decode()
    assert f'name="version" value="{taken.version}"' in page
    n_cdus = layout.cdus.count()  # each a version of its own, taken back together
    assert f"the remedy of version {taken.version}, {n_cdus} part" in page
    assert (f"Take back all {n_cdus}" in page) == (n_cdus > 1)
    cooler = layout.cdus.first().supply_degc
    assert f"Supply: 46.0\u202f°C → {cooler:.1f}\u202f°C" in page
    client.post(reverse("layout-remedy-undo", args=here), {"version": taken.version})
    assert {cdu.supply_degc for cdu in layout.cdus.all()} == {46}
    assert 'name="version"' not in client.get(reverse("layout-history", args=here)).content.decode()
    client.post(reverse("layout-remedy-undo", args=here), {"version": taken.version})  # a second click undoes nothing
    assert {cdu.supply_degc for cdu in layout.cdus.all()} == {46}
