"""The tornado of a run: what is in it, who computes it, and what pages and programs see of it meanwhile."""

import pytest
from django.core.exceptions import PermissionDenied
from django.urls import reverse

from facility.models import Membership
from tests.full_run import full_run
from tests.shipped import CATALOGUE, load_shipped
from tests.small_run import small_scenario
from twin.comparisons.verdict import runs_verdict
from twin.core.comparison.tornado import SensitivityRow, most_moving
from twin.core.report.run import run_report
from twin.exceptions import InvalidTransition
from twin.models import Run
from twin.runs import sensitivity
from twin.runs.source import reported

GOOD = "good_tokens_per_joule"


@pytest.fixture
def run(db):
    load_shipped(CATALOGUE)
    return full_run(*small_scenario())


@pytest.fixture
def sent(monkeypatch):
    """Catch what goes to the broker."""
    messages = []
    monkeypatch.setattr(sensitivity.app, "send_task", lambda name, args: messages.append((name, args)))
    return messages


@pytest.fixture
def planner(client, django_user_model, run):
    user = django_user_model.objects.create_user("planner")
    Membership.objects.create(site=run.layout.site, user=user, role=Membership.Role.PLANNER)
    client.force_login(user)
    client.user = user
    return client


def row(name: str, low: float, high: float, figure: str = GOOD, value: float = 1.0) -> dict:
    """Return a stored row of an input from 0.5 to 2."""
    return {
        "input": name,
        "low": 0.5,
        "high": 2.0,
        "unit": "1",
        "source": "test",
        "confidence": "assumed",
        "figure": figure,
        "figure_low": low,
        "figure_high": high,
        "value": value,
    }


def test_a_worker_is_asked_once_and_whoever_may_not_change_the_site_is_refused(
    run, sent, planner, django_user_model, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        sensitivity.sensitivity_ask(run=run, user=planner.user)
        sensitivity.sensitivity_ask(run=run, user=planner.user)
    assert sent == [(sensitivity.SENSITIVITY_MAKE, [str(run.id)])]
    run.refresh_from_db()
    assert sensitivity.is_pending(run)
    with pytest.raises(PermissionDenied):
        sensitivity.sensitivity_ask(run=run, user=django_user_model.objects.create_user("stranger"))
    waiting = Run.objects.create(layout=run.layout, scenario=run.scenario)
    with pytest.raises(InvalidTransition, match="only a run that is done"):
        sensitivity.sensitivity_ask(run=waiting, user=planner.user)


def test_the_tornado_of_a_run_has_every_kind_of_input(run, sent):
    Run.objects.filter(id=run.id).update(sensitivity={"asked_at": "2026-11-30T00:00:00+00:00"})
    sensitivity.sensitivity_make(run.id)
    run.refresh_from_db()
    rows = sensitivity.sensitivity_rows(run)
    moved = {found.input for found in rows if found.figure == "cost_per_million_good_tokens_usd"}
    assert {
        "busiest hour over capacity of Enterprise AI assistants",
        "Software licence",
        "Cost of capital",
        "predicted serving and power",
    } <= moved
    assert any(name.startswith("course of the day") for name in moved)
    assert any(name.startswith("Price, estimated, ") for name in moved)
    top = most_moving(rows, "cost_per_million_good_tokens_usd")
    assert len(top) == 12
    assert [found.swing for found in top] == sorted((found.swing for found in top), reverse=True)
    again = run.sensitivity
    sensitivity.sensitivity_make(run.id)  # a doubled message
    run.refresh_from_db()
    assert run.sensitivity == again


def test_the_page_says_how_far_it_has_come_and_then_shows_it(run, sent, planner):
    page = reverse("run-tornado", args=[run.id])
    assert "Not computed yet" in planner.get(reverse("run-detail", args=[run.id])).content.decode()
    assert planner.post(page).headers["Location"].endswith("#tornado")
    fragment = planner.get(page, headers={"HX-Request": "true"}).content.decode()
    assert "every 3s" in fragment
    stored = {"rows": [row("Price of racks", 0.3, 0.6, "cost_per_million_good_tokens_usd")]}
    Run.objects.filter(id=run.id).update(sensitivity=stored)
    shown = planner.get(page, headers={"HX-Request": "true"}).content.decode()
    assert "Price of racks" in shown
    assert "every 3s" not in shown


def test_a_lost_message_leaves_the_question_open_to_be_asked_again(run, planner):
    Run.objects.filter(id=run.id).update(sensitivity={"asked_at": "2026-11-01T00:00:00+00:00"})
    assert "Compute over all inputs" in planner.get(reverse("run-detail", args=[run.id])).content.decode()


def test_programs_ask_for_it_and_read_it(run, sent, planner, client):
    address = f"/api/runs/{run.id}/sensitivity/"
    assert planner.get(address).json()["status"] == "not asked"
    answer = planner.post(address)
    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    Run.objects.filter(id=run.id).update(sensitivity={"rows": [row("x", 1.0, 2.0)]})
    body = planner.get(f"/api/layouts/{run.layout.id}/sensitivity/").json()
    assert (body["run"], body["status"], body["rows"][0]["input"]) == (str(run.id), "done", "x")
    refused = planner.get(f"/api/layouts/{run.layout.id}/sensitivity/", {"scenario": "nightly"})
    assert refused.status_code == 400
    Run.objects.all().delete()
    assert planner.get(f"/api/layouts/{run.layout.id}/sensitivity/").status_code == 422


def test_what_would_change_a_verdict_is_read_off_two_tornados(run):
    other = full_run(run.layout, run.scenario)
    for one, worth, moved in ((run, 2.0, [1.0, 2.0]), (other, 1.5, [1.6, 1.4])):
        Run.objects.filter(id=one.id).update(
            figures=one.figures | {GOOD: worth}, sensitivity={"rows": [row("Cap", *moved)]}
        )
        one.refresh_from_db()
    verdict = runs_verdict([run, other], ["A", "B"])
    (flip,) = verdict["flips"]
    assert (flip["input"], flip["winner_then"]) == ("Cap", "B")
    # Both are exponential from 1 (2.0 against 1.5) to 0.5 (1.0 against 1.6): equal where 0.2877 of 0.7577 is gone.
    assert flip["to"] == pytest.approx(1 - 0.5 * 0.2877 / (0.2877 + 0.4700), abs=1e-3)
    for one, *moved in ((run, 1.0, 2.0), (other, 1.6, 1.4)):
        band = row("predicted serving and power", *moved) | {"low": "10 %", "high": "90 %", "value": None}
        one.sensitivity = {"rows": [band]}
    assert runs_verdict([run, other], ["A", "B"])["flips"] == []  # a band goes from nowhere
    other.sensitivity = None
    assert runs_verdict([run, other], ["A", "B"])["flips"] == []


def test_a_row_whose_end_cannot_be_solved_moves_most():
    rows = [SensitivityRow(**row("a", 1.0, 1.1)), SensitivityRow(**row("b", 1.0, 1.0) | {"figure_high": None})]
    assert [found.input for found in most_moving(rows, GOOD)] == ["b", "a"]


def test_a_comparison_offers_to_compute_what_would_change_it_and_goes_back_nowhere_else(run, sent, planner):
    other = full_run(run.layout, run.scenario)
    ids = f"{run.id},{other.id}"
    here = f"{reverse('compare')}?runs={ids}"
    page = planner.get(here).content.decode()
    assert "What would change the answer is not computed" in page
    assert 'id="verdict"\n  hx-get' not in page
    asked = planner.post(reverse("compare-tornado"), {"runs": ids, "back": here})
    assert asked.headers["Location"] == here
    assert all(sensitivity.is_pending(one) for one in Run.objects.all())
    waiting = f'id="verdict"\n  hx-get="{here}" hx-trigger="every 3s" hx-select="#verdict"'
    assert waiting in planner.get(here).content.decode()
    away = planner.post(reverse("compare-tornado"), {"runs": ids, "back": "https://elsewhere.example/"})
    assert away.headers["Location"] == reverse("compare")


def test_the_report_has_what_moves_each_figure(run):
    stored = {"rows": [row("Price of racks", 0.3, 0.6, "tokens_per_joule")]}
    Run.objects.filter(id=run.id).update(sensitivity=stored)
    run.refresh_from_db()
    tables = {found.name: found for found in run_report(reported(run), made="now").tables}
    assert tables["Moves Tokens per watt"].rows[0][0] == "Price of racks"
