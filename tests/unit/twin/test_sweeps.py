"""Sweeps: what is changed in a snapshot, whose turn it is, what is ranked how; the page and the command."""

import io
import json
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from facility.models import CoolingPlant, Layout, Product
from tests.shipped import CATALOGUE, SAMPLES, load_shipped
from tests.small_run import small_result, small_scenario
from twin.core.solve import simulate
from twin.exceptions import InvalidTransition
from twin.management.commands.sweep import read_vary
from twin.models import Run, Sweep, SweepPoint
from twin.runs import jobs, snapshot
from twin.sweeps import asked, axes, solving
from twin.views.sweeps import _values

pytestmark = pytest.mark.django_db
PLANT = "plant/Facility water"


@pytest.fixture
def bells(monkeypatch):
    rung = []
    monkeypatch.setattr(jobs.app, "send_task", lambda name, args, **_: rung.append(args[0]))
    return rung


@pytest.fixture
def sterling(db) -> Layout:
    load_shipped(CATALOGUE, SAMPLES)
    return Layout.objects.select_related("site").get(site__slug="sterling", slug="gb200-nvl72")


@pytest.fixture
def solver(monkeypatch):
    """Answer with the set point as the figure: the colder the better; nothing is solved."""
    seen = []

    def solve(inputs, progress):
        supply = next(plant.supply_degc for plant in inputs.plants if plant.name == "Facility water")
        seen.append(supply)
        if supply == 29:
            raise ValueError("the loop has no flow")
        return small_result(good_tokens_per_joule=1.0 / supply, output_tokens_per_s=100.0 * supply)

    monkeypatch.setattr(solving.simulate, "simulate", solve)
    return seen


def ask(layout: Layout, *said: dict, **more) -> Sweep:
    return asked.sweep_ask(layout=layout, scenario=layout.site.scenarios.first(), axes=list(said), **more)


def supply(*values) -> dict:
    return {"object": PLANT, "field": "supply_degc", "values": list(values)}


def solve_all(sweep: Sweep) -> None:
    for point_id in sweep.points.values_list("id", flat=True):
        solving.point_solve(point_id)


def test_a_changed_snapshot_is_word_for_word_that_of_the_changed_description(sterling):
    scenario = sterling.site.scenarios.first()
    base = snapshot.snapshot(sterling, scenario)
    other = Product.objects.get(kind="dry_coolers", slug=dry_cooler_beside(sterling))
    said = [
        {"object": PLANT, "field": "heat_rejection", "values": [other.slug]},
        {"object": PLANT, "field": "n_heat_rejection", "values": [9]},
        {"object": "cdu/*", "field": "supply_degc", "values": [38]},
        {"object": "rack/*", "field": "accelerator_power_limit_w", "values": [900]},
    ]
    read, products = axes.read_axes(said, base)
    [values] = axes.points(read)
    ours = axes.changed(base, read, values, products)
    sterling.cooling_plants.filter(name="Facility water").update(heat_rejection=other, n_heat_rejection=9)
    sterling.cdus.update(supply_degc=38.0)
    for hall in sterling.halls.all():
        hall.racks.update(accelerator_power_limit_w=900.0)
    theirs = snapshot.snapshot(sterling, scenario)
    assert snapshot.sha256(snapshot.canonical(ours)) == snapshot.sha256(snapshot.canonical(theirs))
    assert base["plants"] != theirs["plants"]


def dry_cooler_beside(layout: Layout) -> str:
    """Return a dry cooler that the layout has not."""
    there = layout.cooling_plants.values_list("heat_rejection__slug", flat=True)
    return Product.objects.filter(kind="dry_coolers").exclude(slug__in=there).values_list("slug", flat=True).first()


def test_what_can_be_swept_is_read_from_the_models(sterling):
    found = dict(axes.choices(snapshot.snapshot(sterling, sterling.site.scenarios.first())))
    assert {"scenario", "site", "plant/*", PLANT, "cdu/*", "rack/*", "workload/*"} <= set(found)
    assert {"supply_degc", "n_chillers", "pump"} <= set(found[PLANT])
    assert "accelerator_power_limit_w" in found["scenario"]
    assert not {"x_m", "name", "hall", "id"} & {field for fields in found.values() for field in fields}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            {"object": "pump/P1", "field": "x", "values": [1]},
            "There is no object pump/P1; begin with one of",
        ),
        (
            {"object": "plant/P9", "field": "supply_degc", "values": [1]},
            "There is no plant/P9; there are: Chilled",
        ),
        ({"object": PLANT, "field": "x_m", "values": [1]}, "plant has no field x_m to sweep; there are supply_degc"),
        (supply(), "has no values"),
        (supply(30, 30.0), "takes 30.0 twice"),
        (supply("warm"), "supply_degc is warm"),
        (supply(30, 99), "supply_degc is 99: Ensure this value is less than or equal to 50."),
        (supply(float("nan")), "it must be a number"),
        (supply(None), "must have a value"),
        (
            {"object": "cdu/*", "field": "product", "values": ["none-such"]},
            "has no such entry. There are",
        ),
        ({"object": PLANT, "field": "economiser", "values": ["often"]}, "economiser is often"),
        (supply() | {"range": {"start": 1, "stop": 9, "step": -1}}, "the step must lead from start to stop"),
        (supply() | {"range": {"start": 0, "stop": 9, "step": 1e-9}}, "more than 64 values"),
        (supply() | {"range": {"start": 0, "stop": 9, "step": 0}}, "the step must lead"),
    ],
)
def test_an_axis_that_is_not_there_or_not_allowed_is_refused_by_its_place(sterling, bells, said, reason):
    with pytest.raises(ValidationError) as refusal:
        ask(sterling, {"object": "scenario", "field": "max_ranks", "values": [8]}, said)
    assert reason in refusal.value.message_dict["axes[1]"][0]
    assert not Sweep.objects.exists()
    assert not bells


def test_too_many_points_and_an_unknown_figure_are_refused(sterling, bells):
    many = {"range": {"start": 10, "stop": 40, "step": 0.5}}
    with pytest.raises(ValidationError, match="points together; a sweep has at most 256"):
        ask(sterling, supply() | many, {"object": "cdu/*", "field": "supply_degc"} | many)
    with pytest.raises(ValidationError, match="must be one of output_tokens_per_s"):
        ask(sterling, supply(30), figure="beauty")


def test_points_are_ranked_and_what_cannot_be_is_said_at_its_point(sterling, bells, solver):
    sweep = ask(sterling, supply(28, 29, 30, 40), {"object": "scenario", "field": "admission", "values": ["queue"]})
    assert sweep.n_points == 4
    assert asked.progress(sweep).status == "queued"
    solve_all(sweep)
    assert solver == [28, 29, 30]  # 40 °C water cannot give the CDUs' 35 °C: refused before it is solved
    told = asked.progress(sweep)
    assert (told.status, told.ended, dict(told.n), told.done_frac) == ("done", True, {"done": 2, "failed": 2}, 1.0)
    ranked = asked.ranking(sweep, list(sweep.points.all()))
    assert [(row.rank, row.point.values[0]) for row in ranked] == [(1, 28.0), (2, 30.0), (None, 29.0), (None, 40.0)]
    assert ranked[1].over_first_frac == pytest.approx(28 / 30 - 1)
    assert ranked[2].point.message == "the loop has no flow."
    assert "cannot supply 35 °C from the 40 °C" in ranked[3].point.message
    assert all(len(row.point.inputs_sha256) == 64 for row in ranked[:2])


def test_a_blocked_point_is_ranked_behind_those_that_can_be_built(sterling, bells, solver):
    sweep = ask(sterling, supply(27, 30))
    solve_all(sweep)
    SweepPoint.objects.filter(index=0).update(blocked=["It weighs more than the floor carries."])
    ranked = asked.ranking(sweep, list(sweep.points.all()))
    assert [(row.rank, row.point.values) for row in ranked] == [(1, [30.0]), (None, [27.0])]


def test_two_sweeps_take_turns_and_a_lost_point_is_done_once_more(sterling, bells, solver):
    first, second = ask(sterling, supply(26, 27, 28)), ask(sterling, supply(31, 32))
    busy = first.points.first()
    SweepPoint.objects.filter(pk=busy.pk).update(status="running", attempt=1, heartbeat_at=timezone.now())
    solving.next_solve(first.points.last().id)  # rung for the first; the second has none at work
    assert solver == [31]
    SweepPoint.objects.filter(pk=busy.pk).update(heartbeat_at=timezone.now() - timedelta(minutes=1))
    assert jobs.recover() == 1
    for point_id in [*first.points.values_list("id", flat=True), *second.points.values_list("id", flat=True)]:
        solving.point_solve(point_id)
    assert sorted(solver) == [26, 27, 28, 31, 32]
    busy.refresh_from_db()
    assert (busy.status, busy.attempt) == ("done", 2)


def test_a_sweep_is_cancelled_and_continued_as_a_whole(sterling, bells, solver):
    sweep = ask(sterling, supply(26, 27, 28))
    solving.point_solve(sweep.points.first().id)
    asked.sweep_cancel(sweep, user=None)
    assert asked.progress(sweep).n == {"done": 1, "cancelled": 2}
    assert asked.progress(sweep).status == "cancelled"
    with pytest.raises(InvalidTransition, match="has ended"):
        asked.sweep_cancel(sweep, user=None)
    asked.sweep_retry(sweep, user=None)
    solve_all(sweep)
    assert asked.progress(sweep).n == {"done": 3}
    with pytest.raises(InvalidTransition, match="No point"):
        asked.sweep_retry(sweep, user=None)


def test_a_sweep_keeps_what_it_began_with_when_the_layout_changes(sterling, bells, solver):
    sweep = ask(sterling, {"object": PLANT, "field": "n_heat_rejection", "values": [6]})
    CoolingPlant.objects.filter(layout=sterling).update(supply_degc=17)
    solve_all(sweep)
    assert solver == [30]


@pytest.mark.compiled
def test_a_point_comes_to_the_figures_of_a_run_of_the_same_change(sterling, bells):
    sweep = ask(sterling, supply(28))
    solve_all(sweep)
    point = sweep.points.get()
    plants = sterling.cooling_plants.filter(name="Facility water")
    plants.update(supply_degc=28)
    inputs = snapshot.inputs_now(sterling, sweep.scenario)
    assert point.status == "done", point.message
    assert point.figures["tokens_per_joule"] == simulate.simulate(inputs).figures["tokens_per_joule"]


def test_the_page_asks_shows_and_stops_a_sweep(sterling, bells, solver, client):
    client.force_login(get_user_model().objects.create_superuser("boss"))
    address = reverse("sweep-new", args=["sterling", sterling.slug])
    assert "At most 256 combinations" in client.get(address).content.decode()
    said = {"what_0": f"{PLANT}|supply_degc", "values_0": "26 to 28 by 1", "figure": "tokens_per_joule"}
    wrong = client.post(address, said | {"values_0": "26, hot"})
    assert "hot: Enter a number." in wrong.content.decode()
    assert not Sweep.objects.exists()
    made = client.post(address, said)
    sweep = Sweep.objects.get()
    assert made["Location"] == sweep.get_absolute_url()
    assert sweep.n_points == 3
    part = client.get(sweep.get_absolute_url(), HTTP_HX_REQUEST="true").content.decode()
    assert "every 2s" in part
    assert "Cancel sweep" in part
    client.post(reverse("sweep-cancel", args=[sweep.id]))
    page = client.get(sweep.get_absolute_url()).content.decode()
    assert "Run these again" in page
    assert "every 2s" not in page
    client.post(reverse("sweep-retry", args=[sweep.id]))
    solve_all(sweep)
    assert "3 done" in client.get(sweep.get_absolute_url()).content.decode()
    assert "26 to" not in client.get(address).content.decode()
    assert "3</td>" in client.get(address).content.decode()


def swept_field(name):
    return next(fields[name] for kind in axes.OBJECTS if name in (fields := axes.swept_fields(kind)))


@pytest.mark.parametrize(
    ("text", "field", "said"),
    [
        ("28 °C to 36 °C by 2 K", "supply_degc", {"range": {"start": 28, "stop": 36, "step": 2}}),
        ("77 °F to 86 °F by 9 °F", "supply_degc", {"range": {"start": 25, "stop": 30, "step": 5}}),
        ("2 MW, 2500 kW", "rating_w", {"values": [2e6, 2.5e6]}),
        ("26, 28.500", "supply_degc", {"values": [26, 28.5]}),
        ("1.25, 1.5 MW, none", "rating_w", {"values": [1250, 1.5e6, "none"]}),
        ("1 to 3 by 1", "n_chillers", {"range": {"start": 1, "stop": 3, "step": 1}}),
        ("dry-cooler-a, dry-cooler-b", "heat_rejection", {"values": ["dry-cooler-a", "dry-cooler-b"]}),
    ],
)
def test_swept_numbers_take_their_unit(text, field, said):
    assert _values(text, swept_field(field)) == said


@pytest.mark.parametrize(
    ("text", "field", "said"),
    [
        ("26, hot", "supply_degc", "hot: Enter a number."),
        ("1_000", "rating_w", "1_000: “_000” is not a unit of this field."),
        ("nan", "rating_w", "nan: Enter a number."),
        ("2 MW, 1.250", "rating_w", "1.250: “1.250” could be 1.25 or 1250. Write 1.25 or 1250."),
        ("2 kW to 1.250 MW by 1 kW", "rating_w", "Write 1.25 MW or 1250 MW."),
        ("1.000", "cache_tier_bytes", "could be 1 or 1000"),
        ("28 to 36 by x", "supply_degc", "x: Enter a number."),
        ("1,500 kW", "rating_w", "1,500 kW: one number or several. Put a space behind each comma"),
        ("1,5", "rating_w", "or semicolons between"),
        ("1, 1,500", "n_pumps", "one number or several"),
        ("1e305 Mtok", "draft_tokens", "1e305 Mtok: “1e305 Mtok” is too large."),
    ],
)
def test_swept_numbers_that_cannot_be_read_are_refused(text, field, said):
    with pytest.raises(ValidationError) as refusal:
        _values(text, swept_field(field))
    assert said in refusal.value.messages[0]


@pytest.mark.parametrize(
    ("text", "field", "stored"),
    [
        ("1,5; 2,5 MW", "grid_limit_w", [1.5e6, 2.5e6]),
        ("1,500 kW; 2 MW", "grid_limit_w", None),
        ("1500 kW, 2 MW", "grid_limit_w", [1.5e6, 2e6]),
        ("1,2,3", "n_pumps", [1, 2, 3]),
    ],
)
def test_a_list_of_swept_numbers_is_one_to_every_reader(text, field, stored):
    if stored is None:
        with pytest.raises(ValidationError, match="could be"):
            _values(text, swept_field(field))
    else:
        assert _values(text, swept_field(field))["values"] == pytest.approx(stored)


def test_swept_values_are_shown_in_the_unit_beside_the_fields_name(sterling, bells, solver, client):
    client.force_login(get_user_model().objects.create_superuser("boss"))
    said = {"what_0": "site|grid_limit_w", "values_0": "9.5 MW, 11 MW", "figure": "tokens_per_joule"}
    client.post(reverse("sweep-new", args=["sterling", sterling.slug]), said)
    page = client.get(Sweep.objects.get().get_absolute_url()).content.decode()
    assert '<td data-label="Grid limit [MW]">9.5</td>' in page
    assert '<td data-label="Grid limit [MW]">11</td>' in page


@pytest.mark.parametrize(
    ("values", "stored"),
    [
        ("1.250, 1.500", None),
        ("1.25, 1.5", [1.25e6, 1.5e6]),
    ],
)
def test_an_ambiguous_swept_number_is_never_read_as_stored(sterling, bells, client, values, stored):
    client.force_login(get_user_model().objects.create_superuser("boss"))
    address = reverse("sweep-new", args=["sterling", sterling.slug])
    said = {"what_0": "site|grid_limit_w", "values_0": values, "figure": "tokens_per_joule"}
    page = client.post(address, said).content.decode()
    if stored is None:
        assert "1.250: “1.250” could be 1.25 or 1250. Write 1.25 or 1250." in page
        assert not Sweep.objects.exists()
    else:
        assert Sweep.objects.get().axes[0]["values"] == stored


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("9e6 GW", "9e6 GW: must be at most"),
        ("10 MW, 10 MW", "site · Grid limit [MW] takes"),
    ],
)
def test_a_refusal_stands_in_its_row_and_names_the_field_as_the_row_does(sterling, bells, client, values, said):
    client.force_login(get_user_model().objects.create_superuser("boss"))
    rows = {"what_0": f"{PLANT}|n_pumps", "values_0": "3, 4", "what_2": "site|grid_limit_w", "values_2": values}
    form = client.post(reverse("sweep-new", args=["sterling", sterling.slug]), rows | {"figure": "pue"}).context["form"]
    assert list(form.errors) == ["values_2"]  # the row between is empty
    assert said in form.errors["values_2"][0]
    assert "grid_limit_w" not in form.errors["values_2"][0]


@pytest.mark.parametrize("value", [1.5, float("inf"), float("nan")])
def test_a_sweep_of_a_count_takes_no_parts(sterling, value):
    said = {"object": PLANT, "field": "n_pumps", "values": [value]}
    base = snapshot.snapshot(sterling, sterling.site.scenarios.first())
    with pytest.raises(axes.AxisError, match=f"n_pumps is {value}; it must be a whole number"):
        axes.read_axes([said], base)


def test_the_page_says_why_there_is_nothing_to_sweep(client):
    layout, scenario = small_scenario()
    scenario.workloads.all().delete()
    client.force_login(get_user_model().objects.create_superuser("boss"))
    page = client.get(reverse("sweep-new", args=[layout.site.slug, layout.slug])).content.decode()
    assert "serves no workload" in page


def test_the_command_solves_here_and_prints_the_ranking(sterling, bells, solver):
    out = io.StringIO()
    call_command("sweep", sterling.path, "--here", "--vary", f"{PLANT}.supply_degc=26:28:2", "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert [(row["rank"], row["values"]) for row in told["points"]] == [(1, [26.0]), (2, [28.0])]
    assert told["as_described"] is None
    out = io.StringIO()
    call_command("sweep", sterling.path, "--here", "--vary", f"{PLANT}.supply_degc=27,29", stdout=out)
    assert out.getvalue().splitlines()[1].split() == ["1", "0.037037", "27.0"]
    assert "the loop has no flow" in out.getvalue()


def test_the_command_refuses_what_is_not_there_and_does_not_wait_for_workers_that_are_not(sterling, bells):
    for vary, reason in (
        ("supply", "write OBJECT.FIELD=VALUES"),
        (f"{PLANT}.supply_degc=1:b:2", "a range is START:STOP:STEP"),
        ("plant/none.supply_degc=3", "There is no plant/none"),
    ):
        with pytest.raises(CommandError, match=reason):
            call_command("sweep", sterling.path, "--vary", vary)
    with pytest.raises(CommandError, match="no worker is there"):
        call_command("sweep", sterling.path, "--vary", f"{PLANT}.supply_degc=30")
    assert asked.progress(Sweep.objects.get()).n == {"cancelled": 1}


def test_names_with_points_and_spaces_are_read_as_they_are():
    assert read_vary("plant/P 1.5.supply_degc=30:40:2") == {
        "object": "plant/P 1.5",
        "field": "supply_degc",
        "range": {"start": 30.0, "stop": 40.0, "step": 2.0},
    }


def test_a_run_of_the_same_description_stands_beside_the_points(sterling, bells, solver):
    sweep = ask(sterling, supply(26))
    run = Run.objects.create(
        layout=sterling,
        scenario=sweep.scenario,
        status="done",
        finished_at=timezone.now(),
        figures={"good_tokens_per_joule": 0.2},
        inputs_sha256=sweep.inputs_sha256,
    )
    assert asked.as_described(sweep) == run
