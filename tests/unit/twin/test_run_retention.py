"""How long runs are kept: what a rule lets go of, and what it never does."""

import os
import subprocess
import sys
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.utils import timezone

from facility.models import AuditEvent, Layout
from tests.small_run import done_run, small_scenario
from twin.models import Comparison, Run, Scenario
from twin.runs import retention, tasks

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked():
    return small_scenario()


def ended(asked, days: float, status: str = "done") -> Run:
    """Return a run that ended so many days ago."""
    run = done_run(*asked)
    Run.objects.filter(id=run.id).update(status=status, finished_at=timezone.now() - timedelta(days=days))
    return run


def kept() -> set:
    return set(Run.objects.values_list("id", flat=True))


def test_old_runs_go_once_a_newer_one_has_taken_their_place(asked, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)  # more than one transaction
    newest, young = ended(asked, 31), ended(asked, 29)
    old = [ended(asked, 40 + i) for i in range(5)]
    failed = ended(asked, 35, "failed")
    assert set(retention.superseded_runs(30).values_list("id", flat=True)) == {run.id for run in [newest, *old, failed]}
    assert retention.runs_prune(30) == 7
    assert kept() == {young.id}


def test_the_newest_result_of_each_layout_and_scenario_stays_whatever_its_age(asked):
    layout, scenario = asked
    other = Scenario.objects.create(site=layout.site, slug="other", name="Other")
    of_one, of_other = ended(asked, 900), ended((layout, other), 950)
    ended(asked, 901)
    assert retention.runs_prune(30) == 1
    assert kept() == {of_one.id, of_other.id}


def test_a_rule_of_more_days_than_the_calendar_has_lets_go_of_none(asked):
    ended(asked, 4000)
    ended(asked, 0)
    assert [retention.runs_prune(days) for days in (10**6, 10**12)] == [0, 0]
    assert retention.runs_prune(3650) == 1


def test_of_two_that_ended_at_one_moment_one_stays(asked):
    runs = [ended(asked, 40) for _ in range(3)]
    Run.objects.update(finished_at=timezone.now() - timedelta(days=40))
    assert retention.runs_prune(1) == 2
    assert len(kept() & {run.id for run in runs}) == 1


def test_what_somebody_compares_decided_on_or_waits_for_stays(asked):
    layout, scenario = asked
    ended(asked, 1)
    compared = ended(asked, 100)
    comparison = Comparison.objects.create(name="Board")
    comparison.runs.add(compared)
    waiting = Run.objects.create(layout=layout, scenario=scenario, created_at=timezone.now() - timedelta(days=100))
    assert retention.runs_prune(1) == 0
    assert {compared.id, waiting.id} < kept()
    comparison.delete()
    Layout.objects.filter(id=layout.id).update(status=Layout.Status.APPROVED)
    assert retention.runs_prune(1) == 0
    Layout.objects.filter(id=layout.id).update(status=Layout.Status.PROPOSED)
    assert retention.runs_prune(1) == 1
    assert compared.id not in kept()


def test_each_run_that_goes_stands_in_the_audit_log(asked):
    ended(asked, 1)
    old = ended(asked, 100)
    retention.runs_prune(30)
    row = AuditEvent.objects.get(action="deleted", kind="run")
    assert row.number == str(old.id)


def test_a_worker_holds_the_rule_and_none_means_for_ever(asked, settings):
    ended(asked, 1)
    old = ended(asked, 5000)
    settings.TWIN_RUNS_KEPT_DAYS = None
    tasks.runs_tend()
    assert old.id in kept()
    settings.TWIN_RUNS_KEPT_DAYS = 365
    tasks.runs_tend()
    assert old.id not in kept()


def test_the_command_says_what_it_would_do_and_does_it(asked, settings, capsys):
    ended(asked, 1)
    old = ended(asked, 100)
    with pytest.raises(CommandError, match="for ever"):
        call_command("prune_runs")
    with pytest.raises(CommandError, match="--days is 0; at least 1"):
        call_command("prune_runs", days=0)
    call_command("prune_runs", days=90, dry_run=True)
    assert capsys.readouterr().out == "1 runs would be deleted\n"
    assert old.id in kept()
    settings.TWIN_RUNS_KEPT_DAYS = 90
    call_command("prune_runs")
    assert capsys.readouterr().out == "1 runs deleted\n"
    assert old.id not in kept()


def test_pages_say_the_rule(asked, client, settings):
    client.force_login(get_user_model().objects.create_superuser("boss"))
    assert "all for ever" in client.get("/status/").content.decode()
    assert "are deleted" not in client.get("/runs/").content.decode()
    settings.TWIN_RUNS_KEPT_DAYS = 90
    assert "for 90 days" in client.get("/status/").content.decode()
    assert "are deleted 90 days after they" in client.get("/runs/").content.decode()


def test_a_rule_that_is_no_number_of_days_is_refused_at_the_start():
    for days in ("0", "-1", "ninety", "1.5"):
        start = subprocess.run(
            [sys.executable, "-c", "import twin.settings"],
            env=os.environ | {"TWIN_RUNS_KEPT_DAYS": days},
            capture_output=True,
            text=True,
        )
        assert start.returncode
        assert f"TWIN_RUNS_KEPT_DAYS is {days}; must be whole days" in start.stderr
