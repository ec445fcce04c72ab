"""The life of a run: created, claimed once, reported, cancelled, recovered, stored."""

import threading
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.utils import timezone

from facility.models import Membership
from tests.small_inputs import stored_inputs
from tests.small_run import small_result, small_scenario, use_solver
from twin.core.results.details import CostItem, DrillRow
from twin.exceptions import CannotSimulate, InvalidTransition, RunHeld
from twin.models import Run
from twin.runs import execution, jobs, leases, services, snapshot, tasks
from twin.runs.latest import latest_runs

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked():
    return small_scenario()


@pytest.fixture
def planner(asked):
    user = get_user_model().objects.create_user("planner")
    Membership.objects.create(site=asked[0].site, user=user, role=Membership.Role.PLANNER)
    return user


@pytest.fixture
def bells(monkeypatch):
    """Collect the messages instead of sending them."""
    rung = []
    monkeypatch.setattr(jobs.app, "send_task", lambda name, args, **_: rung.append(args[0]))
    return rung


def new_run(asked, **fields) -> Run:
    return Run.objects.create(layout=asked[0], scenario=asked[1], **fields)


def running(asked, **fields) -> Run:
    now = timezone.now()
    return new_run(asked, **{"status": "running", "attempt": 1, "heartbeat_at": now, "started_at": now} | fields)


def silent_since(seconds: float):
    return timezone.now() - leases.LEASE - timedelta(seconds=seconds)


def test_a_run_is_queued_only_after_its_row_is_committed(asked, planner, bells, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        run = services.run_create(layout=asked[0], scenario=asked[1], user=planner)
        assert bells == []
    assert bells == [str(run.id)]
    assert (run.status, run.created_by) == ("queued", planner)


def test_a_scenario_of_another_site_is_refused_by_name(asked):
    layout, _ = small_scenario("other")
    with pytest.raises(CannotSimulate, match="assistants belongs to site small; layout first is on other"):
        services.run_create(layout=layout, scenario=asked[1])


def test_a_viewer_may_not_run(asked, planner):
    Membership.objects.update(role=Membership.Role.VIEWER)
    with pytest.raises(PermissionDenied):
        services.run_create(layout=asked[0], scenario=asked[1], user=planner)


def test_a_solved_run_keeps_its_inputs_figures_and_arrays(asked, monkeypatch):
    seen = []

    def solve(inputs, progress):
        seen.append(inputs)
        progress("solving", 0.5)
        return small_result()

    use_solver(monkeypatch, solve)
    run = new_run(asked)
    execution.run_execute(run_id=run.id)
    run.refresh_from_db()
    assert (run.status, run.progress_frac, run.attempt, run.message) == ("done", 1.0, 1, "")
    assert run.figures["tokens_per_joule"] == 4.0
    assert run.finished_at >= run.started_at
    assert (run.solver_version, run.solver_digest) == ("test", "ab" * 32)
    assert snapshot.inputs_stored(run.inputs) == seen[0]
    assert snapshot.sha256(snapshot.canonical(snapshot.unpacked(run.inputs))) == run.inputs_sha256
    assert services.run_series(run)["meter_power_w"].dtype == np.float32
    assert services.run_series(run)["pue"].shape == (8760,)
    assert services.run_racks(run)["rack_id"].tolist() == [0, 1]


def test_lists_count_what_the_solved_year_shows_too(asked, monkeypatch):
    def solve(inputs, progress):
        result = small_result()
        quick = DrillRow("Plant", "all pumps", seconds_to_throttle=20.0, seconds_to_trip=26.0, followed_s=3600.0)
        result.details = replace(result.details, drills=(quick,))
        return result

    use_solver(monkeypatch, solve)
    run = new_run(asked)
    execution.run_execute(run_id=run.id)
    run.refresh_from_db()
    (listed,) = latest_runs([run.layout_id])[run.layout_id]
    rules = [finding["severity"] for finding in run.details["findings"]]
    assert listed.risks == rules.count("risk") + 1
    assert listed.n_findings == len(rules) + 1


def test_the_same_description_gives_the_same_hash(asked, monkeypatch):
    use_solver(monkeypatch, lambda inputs, progress: small_result())
    runs = [new_run(asked), new_run(asked)]
    for run in runs:
        execution.run_execute(run_id=run.id)
        run.refresh_from_db()
    assert runs[0].inputs_sha256 == runs[1].inputs_sha256


def test_progress_is_written_by_stage(asked, monkeypatch):
    monkeypatch.setattr(leases, "REPORT_EVERY_S", 0.0)
    run, seen = new_run(asked), []

    def solve(inputs, progress):
        progress("cooling", 0.4)
        seen.append(Run.objects.values_list("stage", "progress_frac", "status").get(id=run.id))
        return small_result()

    use_solver(monkeypatch, solve)
    execution.run_execute(run_id=run.id)
    assert seen == [("cooling", 0.4, "running")]


def test_a_refusal_of_the_solver_ends_the_run_with_its_sentence(asked, monkeypatch):
    def solve(inputs, progress):
        raise CannotSimulate("Model x needs 405 GB; 8 x 80 GB leave 0 GB for the KV cache.")

    use_solver(monkeypatch, solve)
    run = new_run(asked)
    execution.run_execute(run_id=run.id)
    run.refresh_from_db()
    assert (run.status, run.message) == (
        "failed",
        "Model x needs 405 GB; 8 x 80 GB leave 0 GB for the KV cache.",
    )
    assert run.figures is None


def test_a_solver_error_ends_the_run_and_leaves_its_traceback_in_the_log(asked, monkeypatch, caplog):
    def solve(inputs, progress):
        raise ZeroDivisionError("float division by zero")

    use_solver(monkeypatch, solve)
    run = new_run(asked)
    execution.run_execute(run_id=run.id)
    run.refresh_from_db()
    assert run.status == "failed"
    assert run.message.startswith("The simulation stopped on a fault of this program, not of your description.")
    assert "ZeroDivisionError" not in run.message
    assert "Traceback" in caplog.text


def test_what_has_no_number_is_kept_as_absent(asked, monkeypatch):
    result = small_result(pue=float("nan"))
    result.details = replace(result.details, costs=(CostItem("racks", float("nan")),))
    result.bands["pue"] = [1.0, float("inf")]
    use_solver(monkeypatch, lambda inputs, progress: result)
    run = new_run(asked)
    execution.run_execute(run_id=run.id)
    run.refresh_from_db()
    assert run.status == "done", run.message
    assert run.figures["pue"] is None
    assert run.details["costs"][0]["usd_per_year"] is None
    assert list(run.bands) == ["output_tokens_per_s"]


def test_a_layout_without_racks_fails_with_the_reason(asked, monkeypatch):
    use_solver(monkeypatch, lambda inputs, progress: pytest.fail("solved nothing"))
    asked[0].halls.get().racks.all().delete()
    run = new_run(asked)
    execution.run_execute(run_id=run.id)
    run.refresh_from_db()
    assert run.status == "failed"
    assert "has no racks" in run.message


def test_a_second_message_for_a_running_run_waits_for_the_lease(asked, monkeypatch):
    use_solver(monkeypatch, lambda inputs, progress: pytest.fail("solved twice"))
    with pytest.raises(RunHeld) as held:
        execution.run_execute(run_id=running(asked).id)
    assert 0 < held.value.seconds <= leases.LEASE.total_seconds()


def test_a_second_message_for_a_finished_run_does_nothing(asked, monkeypatch):
    calls = []
    use_solver(monkeypatch, lambda inputs, progress: calls.append(1) or small_result())
    run = new_run(asked)
    execution.run_execute(run_id=run.id)
    execution.run_execute(run_id=run.id)
    assert len(calls) == 1


def test_a_message_for_a_deleted_run_is_dropped():
    tasks.simulate_run.apply(args=["00000000-0000-0000-0000-000000000000"], throw=True)


def test_a_silent_worker_loses_its_run_to_the_next_attempt(asked, monkeypatch):
    use_solver(monkeypatch, lambda inputs, progress: small_result())
    run = running(asked, heartbeat_at=silent_since(1))
    execution.run_execute(run_id=run.id)
    run.refresh_from_db()
    assert (run.status, run.attempt) == ("done", 2)


def test_a_worker_that_wakes_up_late_cannot_write_over_the_next_attempt(asked, monkeypatch):
    run = new_run(asked)

    def solve(inputs, progress):  # while it slept, another worker finished the run
        Run.objects.filter(id=run.id).update(attempt=2, status="done", figures={"pue": 1.5}, finished_at=timezone.now())
        return small_result(pue=9.9)

    use_solver(monkeypatch, solve)
    execution.run_execute(run_id=run.id)
    run.refresh_from_db()
    assert (run.status, run.attempt, run.figures) == ("done", 2, {"pue": 1.5})


def test_a_queued_run_is_cancelled_at_once(asked, planner):
    run = jobs.cancel(new_run(asked), user=planner)
    assert (run.status, run.message) == ("cancelled", "cancelled by planner")
    assert run.finished_at


def test_a_running_run_is_cancelled_at_the_next_report(asked, planner, monkeypatch):
    monkeypatch.setattr(leases, "REPORT_EVERY_S", 0.0)
    run = new_run(asked)

    def solve(inputs, progress):
        progress("solving", 0.1)
        jobs.cancel(Run.objects.get(id=run.id), user=planner)
        progress("solving", 0.2)
        pytest.fail("went on after the cancellation")

    use_solver(monkeypatch, solve)
    execution.run_execute(run_id=run.id)
    run.refresh_from_db()
    assert run.status == "cancelled"
    assert run.progress_frac == 0.1


def test_a_run_of_a_dead_worker_is_cancelled_at_once(asked, planner):
    run = jobs.cancel(running(asked, heartbeat_at=silent_since(1)), user=planner)
    assert run.status == "cancelled"


def test_an_ended_run_cannot_be_cancelled(asked, planner):
    run = jobs.cancel(new_run(asked), user=planner)
    with pytest.raises(InvalidTransition, match="is cancelled; only a queued or running one"):
        jobs.cancel(run, user=planner)


def test_a_viewer_can_neither_cancel_nor_retry(asked, planner):
    Membership.objects.update(role=Membership.Role.VIEWER)
    for service in (jobs.cancel, services.run_retry):
        with pytest.raises(PermissionDenied):
            service(new_run(asked), user=planner)


def test_a_retry_takes_the_layout_as_it_is_now_and_keeps_counting_attempts(asked, planner, bells, monkeypatch):
    use_solver(monkeypatch, lambda inputs, progress: small_result())
    run = new_run(asked, status="failed", finished_at=timezone.now(), message="why", attempt=3, inputs=b"old")
    services.run_retry(run, user=planner)
    run.refresh_from_db()
    assert (run.status, run.message, run.inputs, run.attempt, run.max_attempts) == ("queued", "", None, 3, 6)
    execution.run_execute(run_id=run.id)
    run.refresh_from_db()
    assert (run.status, run.attempt) == ("done", 4)


def test_a_finished_run_is_not_run_again(asked, planner, monkeypatch):
    use_solver(monkeypatch, lambda inputs, progress: small_result())
    run = new_run(asked)
    execution.run_execute(run_id=run.id)
    with pytest.raises(InvalidTransition, match="is done; it cannot become queued"):
        services.run_retry(run, user=planner)


def test_orphans_go_back_into_the_queue_and_fail_when_workers_keep_dying(
    asked, bells, django_capture_on_commit_callbacks
):
    again, hopeless = running(asked), running(asked, attempt=3)
    with django_capture_on_commit_callbacks(execute=True):
        assert jobs.recover(all_running=True) == 1
    again.refresh_from_db()
    hopeless.refresh_from_db()
    assert again.status == "queued"
    assert bells == [str(again.id)]
    assert hopeless.status == "failed"
    assert "ended 3 times" in hopeless.message


def test_recovery_leaves_the_living_alone(asked, bells, django_capture_on_commit_callbacks):
    alive, silent, waiting = running(asked), running(asked, heartbeat_at=silent_since(1)), new_run(asked)
    with django_capture_on_commit_callbacks(execute=True):
        assert jobs.recover() == 1
    alive.refresh_from_db()
    assert alive.status == "running"
    assert bells == [str(silent.id)]
    assert waiting.status == "queued"


def test_recovery_ends_what_was_to_be_cancelled(asked):
    run = running(asked, cancel_requested=True)
    assert jobs.recover(all_running=True) == 0
    run.refresh_from_db()
    assert run.status == "cancelled"


def test_a_run_whose_workers_died_too_often_is_not_claimed_again(asked, monkeypatch):
    use_solver(monkeypatch, lambda inputs, progress: pytest.fail("solved a fourth time"))
    run = running(asked, attempt=3, heartbeat_at=silent_since(1))
    execution.run_execute(run_id=run.id)
    run.refresh_from_db()
    assert run.status == "failed"


def test_a_retry_after_a_crash_solves_the_snapshot_of_the_first_attempt(asked, monkeypatch):
    spelled = snapshot.canonical(stored_inputs(layout={"name": "As it was"}))
    run = running(asked, inputs=snapshot.packed(spelled), heartbeat_at=silent_since(1))
    seen = []
    use_solver(monkeypatch, lambda inputs, progress: seen.append(inputs) or small_result())
    execution.run_execute(run_id=run.id)
    assert [inputs.layout.name for inputs in seen] == ["As it was"]


@pytest.mark.parametrize("status", Run.Status)
def test_only_listed_steps_are_taken(asked, status):
    for to in set(Run.Status) - Run.NEXT[status]:
        ended = timezone.now() if status in Run.ENDED else None
        run = new_run(asked, status=status, finished_at=ended, figures={} if status == "done" else None)
        with pytest.raises(InvalidTransition, match=f"is {status}; it cannot become {to}"):
            jobs.move(Run, run.id, to=to)


def test_the_database_refuses_a_finished_run_without_a_time_or_figures(asked):
    for fields in ({"status": "failed"}, {"status": "queued", "finished_at": timezone.now()}, {"status": "done"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            new_run(asked, **fields)


@pytest.mark.django_db(transaction=True)
def test_two_workers_that_hear_the_same_bell_solve_once(monkeypatch):
    run = new_run(small_scenario())
    inside, go_on, calls, refused = threading.Event(), threading.Event(), [], []

    def solve(inputs, progress):
        calls.append(1)
        inside.set()
        assert go_on.wait(20)
        return small_result()

    def work():
        from django.db import connection

        try:
            execution.run_execute(run_id=run.id)
        except RunHeld as held:
            refused.append(held)
        finally:
            connection.close()

    use_solver(monkeypatch, solve)
    first = threading.Thread(target=work)
    first.start()
    assert inside.wait(20)
    work()
    go_on.set()
    first.join()
    run.refresh_from_db()
    assert (run.status, run.attempt, len(calls), len(refused)) == ("done", 1, 1, 1)


@pytest.mark.django_db(transaction=True)
def test_a_solver_that_says_nothing_keeps_its_lease(monkeypatch):
    monkeypatch.setattr(leases, "HEARTBEAT_S", 0.01)
    run = new_run(small_scenario())
    beats = []

    def solve(inputs, progress):
        beats.append(Run.objects.get(id=run.id).heartbeat_at)
        for _ in range(2000):
            beats.append(Run.objects.get(id=run.id).heartbeat_at)
            if beats[-1] > beats[0]:
                break
        return small_result()

    use_solver(monkeypatch, solve)
    execution.run_execute(run_id=run.id)
    assert beats[-1] > beats[0]


def test_the_task_gives_up_quietly_when_the_broker_is_away(
    asked, monkeypatch, django_capture_on_commit_callbacks, caplog
):
    import kombu.exceptions

    def publish(*_, **__):
        raise kombu.exceptions.OperationalError("connection refused")

    monkeypatch.setattr(jobs.app, "send_task", publish)
    with django_capture_on_commit_callbacks(execute=True):
        run = services.run_create(layout=asked[0], scenario=asked[1])
    assert run.status == "queued"
    assert "broker cannot be reached" in caplog.text
