"""What is the same for everything that a worker does: states, cancelling, orphans, and the bell that wakes a worker.

The row is the truth and the broker's message only a bell: a lost message is rung again, a doubled one finds the row
claimed. So a job is completed once, fails with a reason, or is cancelled; it never stays "running".
"""

import logging
import time
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

import kombu.exceptions
from celery import current_task
from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Q
from django.utils import timezone

from facility.permissions import Right, check_write
from twin import counters, log_ids
from twin.celery import app
from twin.exceptions import CannotSimulate, InvalidTransition, RunCancelled, RunLost
from twin.models import Job, Run, Study, SweepPoint
from twin.runs.leases import LEASE, Lease, claim, lease_left_s, patiently

logger = logging.getLogger(__name__)

JOBS: tuple[type[Job], ...] = (Run, Study, SweepPoint)
# One more try, at once: a pooled connection may be dead although the broker lives. Whoever asked does not wait longer.
PUBLISH_RETRY = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
FAULT = (
    "The simulation stopped on a fault of this program, not of your description. "
    "Give this {}'s id to whoever runs the twin: the log has the details under it."
)
RUN_MAIL = "twin.tasks.run_mail"  # by name: tasks call this module, and it wakes tasks
J = TypeVar("J", bound=Job)


@transaction.atomic
def move(kind: type[J], job_id: UUID, *, to: Job.Status, message: str = "") -> J:
    """Bring a job into another state, if the state table allows it.

    Raises
    ------
    InvalidTransition
        If `Job.NEXT` does not list the step.
    """
    job = kind.objects.select_for_update().defer(*kind.HEAVY).get(id=job_id)
    if to not in Job.NEXT[Job.Status(job.status)]:
        raise InvalidTransition(f"{job} is {job.status}; it cannot become {to}.")
    job.status, job.message = to, message
    job.finished_at = timezone.now() if to in Job.ENDED else None
    changed = ["status", "message", "finished_at"]
    if to == Job.Status.DONE:
        job.progress_frac, job.stage = 1.0, ""
        changed += ["progress_frac", "stage"]
    elif to == Job.Status.QUEUED:
        job.progress_frac, job.stage, job.heartbeat_at = 0.0, "", None
        changed += ["progress_frac", "stage", "heartbeat_at"]
    job.save(update_fields=changed)
    if isinstance(job, Run) and to in (Job.Status.DONE, Job.Status.FAILED) and settings.EMAIL_IS_SET:
        transaction.on_commit(lambda: send(RUN_MAIL, str(job.pk)))
    return job


@transaction.atomic
def cancel(job: J, *, user) -> J:
    """Stop a job: at once where no worker has it, otherwise at the solver's next report.

    Raises
    ------
    InvalidTransition
        If it has ended already.
    PermissionDenied
        If the user may not change the site.
    """
    check_write(user, job.layout.site, Right.RUN)
    kind = type(job)
    found = kind.objects.select_for_update().defer(*kind.HEAVY).get(id=job.id)
    if found.ended:
        raise InvalidTransition(f"{found} is {found.status}; only a queued or running one can be cancelled.")
    if lease_left_s(found):
        found.cancel_requested = True
        found.save(update_fields=["cancel_requested"])
        return found
    return move(kind, found.id, to=Job.Status.CANCELLED, message=f"cancelled by {user}")


def queued_again(job: J, *, user) -> J:
    """Return a failed or cancelled job in the queue; whoever calls rings, in the same transaction.

    Raises
    ------
    InvalidTransition
        If it is done, or has not ended yet.
    PermissionDenied
        If the user may not change the site.
    """
    check_write(user, job.layout.site, Right.RUN)
    found = move(type(job), job.id, to=Job.Status.QUEUED)
    found.cancel_requested = False
    # Attempts go on counting, so that a worker of an earlier one cannot mistake this one for its own.
    found.max_attempts = found.attempt + Job._meta.get_field("max_attempts").default
    found.save(update_fields=["cancel_requested", "max_attempts"])
    return found


def recover(*, all_running: bool = False) -> int:
    """Bring back jobs whose worker died, and return how many are in the queue again.

    Parameters
    ----------
    all_running : bool
        The caller knows that no worker lives: every running one is an orphan, and every queued one may have lost its
        message. Otherwise only those whose lease is over.
    """
    n_queued = 0
    for kind in JOBS:
        running = kind.objects.filter(status=Job.Status.RUNNING)
        if not all_running:
            running = running.filter(Q(heartbeat_at=None) | Q(heartbeat_at__lt=timezone.now() - LEASE))
        orphans = list(running.values_list("id", flat=True))
        queued = [job_id for job_id in orphans if _orphan_recover(kind, job_id, all_running)]
        if all_running:
            waiting = kind.objects.filter(status=Job.Status.QUEUED).order_by("created_at")
            queued = list(waiting.values_list("id", flat=True))
        for job_id in queued:
            ring(kind, job_id)
        n_queued += len(queued)
    return n_queued


@transaction.atomic
def _orphan_recover(kind: type[Job], job_id: UUID, worker_is_dead: bool) -> bool:
    """Return whether a job that nobody does any more went back into the queue."""
    job = kind.objects.select_for_update().defer(*kind.HEAVY).get(id=job_id)
    if job.status != Job.Status.RUNNING or (not worker_is_dead and lease_left_s(job)):
        return False
    if job.cancel_requested:
        move(kind, job_id, to=Job.Status.CANCELLED, message="cancelled; its worker had ended")
        return False
    if job.attempt >= job.max_attempts:
        lost = f"Its worker ended {job.attempt} times while solving it; the log of the worker says why."
        move(kind, job_id, to=Job.Status.FAILED, message=lost)
        return False
    move(kind, job_id, to=Job.Status.QUEUED, message="restarted because its worker ended")
    return True


def ring(kind: type[Job], job_id: UUID) -> None:
    """Wake a worker once the transaction is over."""
    # Written before the message goes out: whoever rings for what is due must not ring for this one as well.
    kind.objects.filter(id=job_id).update(rung_at=timezone.now())
    transaction.on_commit(lambda: publish(kind, job_id))


def publish(kind: type[Job], job_id: UUID) -> bool:
    """Send a worker the message that a job waits, and return whether the broker took it.

    Where it did not, the row says so, and `ring.jobs_ring` sends it again.
    """
    if send(kind.TASK, str(job_id)):
        return True
    kind.objects.filter(id=job_id).update(rung_at=None)
    logger.warning("%s %s is queued until the broker is back", kind._meta.verbose_name, job_id)
    return False


def send(task: str, *arguments: str) -> bool:
    """Send workers a message, and return whether the broker took it."""
    try:
        app.send_task(
            task,
            arguments,
            retry=True,
            retry_policy=PUBLISH_RETRY,
            headers={"asked_by_request": log_ids.request_id()},  # for the worker's log
        )
    except (kombu.exceptions.KombuError, *app.connection_for_write().recoverable_connection_errors, OSError):
        logger.warning("the broker cannot be reached for %s", task, exc_info=True)
        return False
    return True


def perform(kind: type[Job], job_id: UUID, solve: Callable[[UUID, Lease], None]) -> None:
    """Do a job that is queued, or that a dead worker left behind; `solve` stores what comes out and moves it to done.

    Returns without doing anything where there is nothing left to do. Whatever `solve` raises ends the job as failed
    with one sentence; the log has the traceback.

    Raises
    ------
    RunHeld
        If another worker is doing it right now.
    """
    attempt = patiently(lambda: claim(kind, job_id))
    if attempt is None:
        recover()
        return
    what, start_s = f"{kind._meta.verbose_name} {job_id}", time.perf_counter()
    asked_by = (current_task.request.get("asked_by_request") if current_task else "") or ""
    with log_ids.belonging(request_id=asked_by, job_id=str(job_id)), Lease(kind, job_id, attempt) as lease:
        try:
            lease.check()
            logger.info("%s begun, attempt %s", what, attempt)
            solve(job_id, lease)
            seconds = time.perf_counter() - start_s
            _count(kind, Job.Status.DONE)
            counters.JOB_SECONDS.labels(kind._meta.model_name).observe(seconds)
            logger.info("%s done", what, extra={"seconds": round(seconds, 3)})
        except RunLost:
            logger.warning("%s: dropped by attempt %s, another one has it", what, attempt)
        except RunCancelled as cancelled:
            _end(kind, lease, job_id, Job.Status.CANCELLED, str(cancelled))
        except (OperationalError, InterfaceError):
            # Not the job's fault: its lease ends, and whoever looks for what is due takes it up again.
            logger.exception("%s: the database cannot be reached", what)
        except (CannotSimulate, ValueError) as refusal:
            logger.info("%s cannot be solved", what, exc_info=True)
            _end(kind, lease, job_id, Job.Status.FAILED, _sentence(refusal))
        except Exception:
            logger.exception("%s failed", what)
            _end(kind, lease, job_id, Job.Status.FAILED, FAULT.format(kind._meta.verbose_name))


def _end(kind: type[Job], lease: Lease, job_id: UUID, to: Job.Status, message: str) -> None:
    """End a job without a result, unless it is no longer this attempt's."""

    @transaction.atomic
    def end() -> None:
        if lease.own_row.select_for_update().exists():
            move(kind, job_id, to=to, message=message)
            transaction.on_commit(lambda: _count(kind, to))

    patiently(end)


def _count(kind: type[Job], state: Job.Status) -> None:
    counters.JOBS_ENDED.labels(kind._meta.model_name, str(state)).inc()


def _sentence(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text[:1000] if text.endswith(".") else f"{text[:999]}."
