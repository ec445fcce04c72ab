"""A run is of the layout as it is now, or not: by what the description says, on every page and for every program."""

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from facility import services
from facility.models import Layout, Product, Rack, Weather
from power_cooling.site_facts.weather import pack, unpack
from tests.full_run import full_run
from tests.small_run import small_result, small_scenario, use_solver
from tests.small_site import product
from twin import settings as own_settings
from twin.models import Run
from twin.runs import execution, snapshot
from twin.runs.changed import described, is_changed, marked, solved_stamp, stamp_if_unchanged
from twin.runs.latest import latest_runs
from twin.runs.standing import site_standing

pytestmark = pytest.mark.django_db


@pytest.fixture
def run() -> Run:
    return full_run(*small_scenario(), good_tokens_per_joule=2.0)


def again(run: Run) -> Run:
    return Run.objects.select_related("layout__site", "scenario").get(pk=run.pk)


def moved(layout: Layout, x_m: float) -> None:
    rack = Rack.objects.filter(hall__layout=layout).order_by("name").last()
    rack.x_m = x_m
    services.part_save(part=rack)


def test_a_change_marks_and_its_undo_takes_the_mark_away(run):
    layout = run.layout
    (old,) = Rack.objects.filter(hall__layout=layout).order_by("name").values_list("x_m", flat=True)[1:]
    assert not is_changed(again(run))
    moved(layout, 6.0)
    assert is_changed(again(run))
    moved(layout, old)
    layout.refresh_from_db()
    assert layout.version == 3
    assert layout.updated_at > run.finished_at
    assert not is_changed(again(run))


def test_an_object_that_was_deleted_and_drawn_anew_is_the_same(run):
    rack = Rack.objects.filter(hall__layout=run.layout).first()
    was = rack.pk
    services.part_delete(part=rack)
    assert is_changed(again(run))
    rack.pk = None
    rack._state.adding = True
    services.part_save(part=rack)
    assert rack.pk != was
    assert not is_changed(again(run))


@pytest.mark.parametrize(
    "change",
    [
        lambda run: run.scenario.workloads.update(peak_load_frac=0.5),
        lambda run: type(run.scenario).objects.update(engine="vllm", max_ranks=4),
        lambda run: type(run.layout.site).objects.update(grid_limit_w=9e6),
        lambda run: Layout.objects.update(design_hour="ashrae-1"),
        lambda run: run.layout.halls.update(supply_air_degc=26.5),
        lambda run: run.layout.power_feeds.all().delete(),
    ],
    ids=["demand", "engine", "grid", "design hour", "hall", "feeds"],
)
def test_whatever_a_run_reads_counts(run, change):
    change(run)
    assert is_changed(again(run))


def test_names_and_notes_do_not_count(run):
    Layout.objects.update(name="Another", notes="Read me", version=9)
    type(run.scenario).objects.update(name="Another", notes="Read me")
    type(run.layout.site).objects.update(name="Another")
    assert not is_changed(again(run))


def test_a_layout_that_can_no_longer_be_solved_has_changed(run):
    Rack.objects.all().delete()
    assert is_changed(again(run))


def test_columns_that_an_older_snapshot_does_not_know_are_left_out(run):
    then = snapshot.unpacked(run.inputs)
    for row in then["cdus"]:
        del row["x_m"], row["y_m"]
    del then["weather"]["elevation_m"]
    Run.objects.update(inputs=snapshot.packed(snapshot.canonical(then)))
    assert then["cdus"]
    assert not is_changed(again(run))


def test_the_digest_does_not_depend_on_the_order_of_rows(run):
    then = snapshot.unpacked(run.inputs)
    turned = then | {
        "cdus": then["cdus"][::-1],
        "racks": {name: column[::-1] for name, column in then["racks"].items()},
    }
    digests = {described(snapshot.layout_inputs(snapshot.with_ratings(one))) for one in (then, turned)}
    assert len(digests) == 1


def test_a_run_that_ends_keeps_its_stamp_and_lists_read_no_snapshot_for_it(monkeypatch, django_assert_num_queries):
    layout, scenario = small_scenario()
    use_solver(monkeypatch, lambda inputs, progress: small_result())
    monkeypatch.setattr(execution, "layout_findings", lambda layout, read: [])
    run = execution.run_now(layout=layout, scenario=scenario)
    assert run.details["solved_in"]
    layout = Layout.objects.select_related("site").get()
    found = latest_runs([layout.pk])
    with django_assert_num_queries(3):
        (shown,) = marked(found, [layout])[layout.pk]
    assert not shown.changed


def test_what_is_edited_while_it_runs_has_no_stamp(monkeypatch):
    layout, scenario = small_scenario()

    def solve(inputs, progress):
        moved(layout, 6.0)
        return small_result()

    use_solver(monkeypatch, solve)
    monkeypatch.setattr(execution, "layout_findings", lambda layout, read: [])
    run = execution.run_now(layout=layout, scenario=scenario)
    assert run.details["solved_in"] == ""
    assert is_changed(again(run))


def test_no_page_calls_a_changed_layout_the_best(run, client):
    client.force_login(get_user_model().objects.create_superuser("planner"))
    here = [run.layout.site.slug, run.layout.slug]
    assert "changed since" not in client.get(reverse("site-list")).content.decode()
    moved(run.layout, 6.0)
    layout = Layout.objects.select_related("site").get(pk=run.layout_id)
    (shown,) = marked(latest_runs([layout.pk]), [layout])[layout.pk]
    stands = site_standing([shown], 1e12)
    assert (stands.first, stands.left_out) == (None, shown)
    assert "led and has changed since its run: run it again" in client.get(reverse("site-list")).content.decode()
    standing = client.get(f"/api/sites/{layout.site.slug}/standing/").json()
    assert (standing["winner"], standing["left_out"], standing["ranking"]) == (None, layout.pk, [])
    for name, args in (("site-detail", here[:1]), ("layout-detail", here), ("layout-findings", here)):
        assert "changed since" in client.get(reverse(name, args=args)).content.decode(), name
    assert client.get(f"/api/runs/{run.pk}/").json()["changed_since"] is True
    other = full_run(run.layout, run.scenario, good_tokens_per_joule=3.0)
    page = client.get(reverse("compare"), {"runs": f"{run.pk},{other.pk}"}).content.decode()
    assert "run it again to compare what stands there now" in page
    kept = client.post("/api/comparisons/", {"runs": [str(run.pk), str(other.pk)]}, content_type="application/json")
    assert client.get(f"/api/comparisons/{kept.json()['id']}/").json()["changed_since"] == [True, False]


def test_a_scenario_or_layout_that_is_gone_keeps_no_stamp(run):
    run = again(run)
    layout, scenario_id = run.layout, run.scenario_id
    assert solved_stamp(layout, scenario_id) == stamp_if_unchanged(run)
    run.scenario.delete()  # and the run with it, while its worker still solves
    assert stamp_if_unchanged(run) == ""
    layout.delete()
    assert stamp_if_unchanged(run) == ""


@pytest.fixture
def catalogued() -> Run:
    """Return a run whose system and use case name entries that the catalogue has."""
    layout, scenario = small_scenario()
    system = Rack.objects.filter(hall__layout=layout, product__kind="systems").first().product
    share = scenario.workloads.get()
    for kind, slug in (
        ("accelerators", system.facts["accelerator"]),
        ("accelerators", "a100-sxm-80gb"),
        ("gpu_rental", system.facts["accelerator"]),
        ("diurnal_shapes", share.workload.facts["diurnal_shape"]),
        ("diurnal_shapes", "batch_night"),
        *(("models", slug) for slug in share.workload.facts["recommended_models"]),
        ("models", "llama-3.1-8b"),
        ("fuels", "diesel"),
        ("facility_capex", "tt_tokyo"),
        ("facility_capex", "us_range"),
        ("finance", "wacc"),
        ("compute_failures", "network-link"),
        ("recovery_times", "checkpoint-restart"),
        ("recovery_times", "inference-replica-restart"),
        ("reliability", "cdu"),
        ("reliability", "prime-fuel-cell"),
    ):
        product(kind, slug)
    return full_run(layout, scenario)


def edited(kind: str, slug: str) -> None:
    entry = Product.objects.get(kind=kind, slug=slug)
    entry.facts |= {name: 2 * value for name, value in entry.facts.items() if isinstance(value, (int, float))}
    entry.save()


@pytest.mark.parametrize(
    "kind",
    [
        "accelerators",
        "gpu_rental",
        "diurnal_shapes",
        "models",
        "facility_capex",
        "finance",
        "compute_failures",
        "recovery_times",
        "reliability",
    ],
)
def test_whatever_the_solution_reaches_through_what_is_named_counts(catalogued, kind):
    workload = catalogued.scenario.workloads.get().workload.facts
    slug = {
        "accelerators": Rack.objects.filter(product__kind="systems").first().product.facts["accelerator"],
        "gpu_rental": Rack.objects.filter(product__kind="systems").first().product.facts["accelerator"],
        "diurnal_shapes": workload["diurnal_shape"],
        "models": workload["recommended_models"][0],
        "facility_capex": "us_range",
        "finance": "wacc",
        "compute_failures": "network-link",
        "recovery_times": "inference-replica-restart",
        "reliability": "cdu",
    }[kind]
    assert not is_changed(again(catalogued))
    edited(kind, slug)
    assert is_changed(again(catalogued))


def test_entries_that_nothing_reaches_do_not_count(catalogued):
    for kind, slug in (
        ("accelerators", "a100-sxm-80gb"),
        ("diurnal_shapes", "batch_night"),
        ("models", "llama-3.1-8b"),
        ("fuels", "diesel"),
        ("facility_capex", "tt_tokyo"),
        ("recovery_times", "checkpoint-restart"),
        ("reliability", "prime-fuel-cell"),
    ):
        edited(kind, slug)
    assert not is_changed(again(catalogued))


def test_a_scenario_that_names_its_model_reaches_no_other(catalogued):
    first, other, *_ = catalogued.scenario.workloads.get().workload.facts["recommended_models"]
    catalogued.scenario.workloads.update(model=Product.objects.get(kind="models", slug=other))
    named = full_run(catalogued.layout, catalogued.scenario)
    edited("models", first)
    assert not is_changed(again(named))
    edited("models", other)
    assert is_changed(again(named))


def test_kinds_that_an_older_snapshot_does_not_hold_are_left_out(catalogued):
    then = snapshot.unpacked(catalogued.inputs)
    del then["products"]["compute_failures"]
    Run.objects.update(inputs=snapshot.packed(snapshot.canonical(then)))
    assert not is_changed(again(catalogued))


def test_numbers_of_facts_compare_as_numbers(run):
    entry = Rack.objects.filter(product__kind="systems").first().product
    assert isinstance(entry.facts["accelerators_per_system"], int)
    entry.facts |= {"accelerators_per_system": float(entry.facts["accelerators_per_system"])}
    entry.save()
    assert not is_changed(again(run))


@pytest.mark.parametrize("of_scenario", [False, True], ids=["the site's year", "the scenario's year"])
@pytest.mark.parametrize("stamped", [False, True], ids=["without a stamp", "with its stamp"])
def test_weather_whose_hours_are_replaced_in_place_counts(run, stamped, of_scenario):
    weather = run.layout.site.weather
    if of_scenario:
        weather = Weather.objects.get(pk=weather.pk)
        weather.pk, weather.slug = None, "own"
        weather._state.adding = True
        weather.save()
        type(run.scenario).objects.update(weather=weather)
        run = again(full_run(again(run).layout, again(run).scenario))
    run.details["solved_in"] = stamp_if_unchanged(again(run)) if stamped else ""
    assert bool(run.details["solved_in"]) == stamped
    run.save()
    assert not is_changed(again(run))
    hours = unpack(weather.rows).copy()
    hours[0, 17] += 1.0
    Weather.objects.update_or_create(slug=weather.slug, defaults={"rows": pack(hours)})
    assert is_changed(again(run))


def test_what_was_compared_is_kept_however_many_drawings_are(run, settings, monkeypatch, django_assert_num_queries):
    pages = own_settings.CACHES["pages"] | {"LOCATION": "few", "OPTIONS": {"MAX_ENTRIES": 1}}
    settings.CACHES = settings.CACHES | {
        "pages": pages,
        "descriptions": own_settings.CACHES["descriptions"] | {"LOCATION": "test"},
    }
    other = type(run.scenario).objects.create(site=run.layout.site, slug="other", name="Other")
    share = run.scenario.workloads.get()
    share.pk, share.scenario, share._state.adding = None, other, True
    share.save()
    full_run(run.layout, other)
    layout = Layout.objects.select_related("site").get()
    read, real = [], snapshot.inputs_now
    monkeypatch.setattr(snapshot, "inputs_now", lambda *asked: read.append(asked) or real(*asked))
    first = marked(latest_runs([layout.pk]), [layout])
    assert len(read) == 2
    found = latest_runs([layout.pk])
    with django_assert_num_queries(3):
        assert marked(found, [layout]) == first
    full_run(run.layout, run.scenario)  # another run of the same: the layout is read no more
    assert not any(one.changed for one in marked(latest_runs([layout.pk]), [layout])[layout.pk])
    assert len(read) == 2
    moved(run.layout, 6.0)
    layout = Layout.objects.select_related("site").get()
    assert all(one.changed for one in marked(latest_runs([layout.pk]), [layout])[layout.pk])
    assert len(read) == 4
