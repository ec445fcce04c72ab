"""The bell for what is due: who rings for which run, and what a page says while nobody can."""

from datetime import timedelta
from types import SimpleNamespace

import kombu.exceptions
import pytest
from django.db import OperationalError
from django.urls import reverse
from django.utils import timezone

from tests.small_run import small_result, small_scenario, use_solver
from twin.models import Run, Worker
from twin.runs import execution, jobs, leases, ring

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked():
    return small_scenario()


@pytest.fixture
def bells(monkeypatch):
    rung = []
    monkeypatch.setattr(jobs.app, "send_task", lambda name, args, **_: rung.append(args[0]))
    return rung


def ago(seconds: float):
    return timezone.now() - timedelta(seconds=seconds)


def queued(asked, asked_s: float, rung_s: float | None) -> Run:
    rung_at = None if rung_s is None else ago(rung_s)
    return Run.objects.create(layout=asked[0], scenario=asked[1], created_at=ago(asked_s), rung_at=rung_at)


def test_a_run_whose_message_the_broker_never_took_is_rung_for_by_anybody(asked, bells):
    run = queued(asked, 60, None)
    queued(asked, 60, 60)  # a busy worker will come to its message
    queued(asked, 1, None)  # its own request is still sending it
    assert ring.jobs_ring(n_overdue=0) == 1
    assert bells == [str(run.id)]


def test_a_worker_with_nothing_to_do_rings_for_the_oldest_lost_messages_once(asked, bells):
    runs = [queued(asked, 60 - i, 60 - i) for i in range(3)]
    assert ring.jobs_ring(n_overdue=2) == 2
    assert bells == [str(run.id) for run in runs[:2]]
    assert ring.jobs_ring(n_overdue=2) == 1  # those of before have just been rung for
    assert ring.jobs_ring(n_overdue=2) == 0


def test_a_broker_that_is_away_is_asked_once_a_look_and_loses_nothing(asked, monkeypatch):
    tried = []

    def publish(*_, **__):
        tried.append(1)
        raise kombu.exceptions.OperationalError("connection refused")

    monkeypatch.setattr(jobs.app, "send_task", publish)
    for _ in range(3):
        queued(asked, 60, None)
    assert ring.jobs_ring(n_overdue=8) == 0
    assert len(tried) == 1
    assert Run.objects.filter(rung_at=None, status="queued").count() == 3


def test_the_page_of_a_run_says_when_worker_or_broker_is_missing(asked, client, admin_user):
    client.force_login(admin_user)
    run = queued(asked, 60, 60)
    page = reverse("run-detail", args=[run.id])
    assert "No worker is running." in client.get(page).content.decode()
    ring.worker_seen("one@here", 1)
    assert "No worker is running." not in client.get(page).content.decode()
    Run.objects.update(rung_at=None)
    assert "The message broker cannot be reached." in client.get(page).content.decode()
    Worker.objects.update(seen_at=ago(60))
    Run.objects.update(rung_at=ago(30))
    assert "No worker is running." in client.get(page).content.decode()
    token = client.get(reverse("api-run-detail", args=[run.id])).json()
    assert token["waiting_reason"].startswith("No worker is running.")


def test_a_database_that_is_away_for_a_moment_costs_no_solved_run(asked, monkeypatch):
    monkeypatch.setattr(leases, "REPORT_EVERY_S", 0.0)
    monkeypatch.setattr(leases, "RETRY_S", 0.0)
    use_solver(monkeypatch, lambda inputs, progress: small_result())
    monkeypatch.setattr(leases, "connection", SimpleNamespace(in_atomic_block=False, close=lambda: None))
    tries = []

    def away_at_first(*args, **options):
        tries.append(1)
        if len(tries) < 3:
            raise OperationalError("server closed the connection unexpectedly")
        return move(*args, **options)

    move = jobs.move
    monkeypatch.setattr(jobs, "move", away_at_first)
    run = Run.objects.create(layout=asked[0], scenario=asked[1])
    monkeypatch.setattr(jobs, "Lease", quiet_lease)
    execution.run_execute(run_id=run.id)
    run.refresh_from_db()
    assert (run.status, run.attempt, len(tries)) == ("done", 1, 3)


class quiet_lease(leases.Lease):  # noqa: N801  (without the thread, which would use another connection)
    def __enter__(self):
        return self
