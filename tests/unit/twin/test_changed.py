"""A run is of the layout as it is now, or not: by what the description says, on every page and for every program."""

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import caches
from django.urls import reverse

from facility import services
from facility.models import Layout, Rack
from tests.full_run import full_run
from tests.small_run import small_result, small_scenario, use_solver
from twin.models import Run
from twin.runs import execution, snapshot
from twin.runs.changed import described, is_changed, marked, solved_stamp, stamp_if_unchanged
from twin.runs.latest import best_run, latest_runs

pytestmark = pytest.mark.django_db


@pytest.fixture
def run() -> Run:
    caches["pages"].clear()
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
    monkeypatch.setattr(execution, "layout_findings", lambda layout: [])
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
    monkeypatch.setattr(execution, "layout_findings", lambda layout: [])
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
    assert best_run([shown], 1e12) is None
    assert "changed since its run, run it again" in client.get(reverse("site-list")).content.decode()
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
