"""Everything that changes a run. Pages, API, admin, commands and workers all come through here.

The run's row is the truth and the broker's message only a bell: a lost message is rung again, a doubled one finds
the run claimed. So a run is completed once, fails with a reason, or is cancelled; it never stays "running".
"""

import hashlib
import io
import logging
from collections.abc import Sequence
from uuid import UUID

import kombu.exceptions
import numpy as np
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from numpy.typing import NDArray

from facility.models import Layout
from facility.models.text import check_text
from facility.permissions import check_write
from twin.celery import app
from twin.exceptions import CannotSimulate, InvalidTransition, KeyReused
from twin.models import IdempotencyKey, Run, Scenario, ScenarioWorkload
from twin.runs.leases import LEASE, lease_left_s

logger = logging.getLogger(__name__)

SIMULATE_RUN = "twin.tasks.simulate_run"  # by name: tasks call services, and services wake tasks
# One more try, at once: a pooled connection may be dead although the broker lives. Whoever asked does not wait longer.
PUBLISH_RETRY = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}


def run_create(*, layout: Layout, scenario: Scenario, user=None) -> Run:
    """Record a run of `layout` under `scenario` and queue it once the row is there for a worker to see.

    Raises
    ------
    CannotSimulate
        If the scenario belongs to another site.
    PermissionDenied
        If `user` is given and may not change the site.
    """
    check_write(user, layout.site)
    with transaction.atomic():
        run = run_new(layout, scenario, user)
        _ring(run.id)
    return run


@transaction.atomic
def run_create_once(*, key: str, layout: Layout, scenario: Scenario, user) -> tuple[Run, bool]:
    """Return the run that this user's `key` made, and whether it is new: a program may repeat a lost request.

    Raises
    ------
    KeyReused
        If the key came with another layout or scenario before.
    """
    asked = hashlib.sha256(f"{layout.pk} {scenario.pk}".encode()).hexdigest()
    known = IdempotencyKey.objects.filter(user=user, key=key).select_related("run").first()
    if known is None:
        run = run_create(layout=layout, scenario=scenario, user=user)
        # Where the same key arrives twice at once, the constraint undoes the second run with its transaction.
        IdempotencyKey.objects.create(user=user, key=key, request_sha256=asked, run=run)
        return run, True
    if known.request_sha256 != asked:
        raise KeyReused(f"Idempotency-Key {key} was used for another layout or scenario; take a new one.")
    return known.run, False


@transaction.atomic
def run_move(*, run_id: UUID, to: Run.Status, message: str = "") -> Run:
    """Bring a run into another state, if the state table allows it.

    Raises
    ------
    InvalidTransition
        If `Run.NEXT` does not list the step.
    """
    run = Run.objects.select_for_update().defer(*Run.HEAVY).get(id=run_id)
    if to not in Run.NEXT[Run.Status(run.status)]:
        raise InvalidTransition(f"{run} is {run.status}; it cannot become {to}.")
    run.status, run.message = to, message
    run.finished_at = timezone.now() if to in Run.ENDED else None
    changed = ["status", "message", "finished_at"]
    if to == Run.Status.DONE:
        run.progress_frac, run.stage = 1.0, ""
        changed += ["progress_frac", "stage"]
    elif to == Run.Status.QUEUED:
        run.progress_frac, run.stage, run.heartbeat_at = 0.0, "", None
        changed += ["progress_frac", "stage", "heartbeat_at"]
    run.save(update_fields=changed)
    return run


@transaction.atomic
def run_cancel(*, run: Run, user) -> Run:
    """Stop a run: at once where no worker has it, otherwise at the solver's next report.

    Raises
    ------
    InvalidTransition
        If it has ended already.
    PermissionDenied
        If the user may not change the site.
    """
    check_write(user, run.layout.site)
    run = Run.objects.select_for_update().defer(*Run.HEAVY).get(id=run.id)
    if run.ended:
        raise InvalidTransition(f"{run} is {run.status}; only a queued or running one can be cancelled.")
    if lease_left_s(run):
        run.cancel_requested = True
        run.save(update_fields=["cancel_requested"])
        return run
    return run_move(run_id=run.id, to=Run.Status.CANCELLED, message=f"cancelled by {user}")


@transaction.atomic
def run_retry(*, run: Run, user) -> Run:
    """Queue a failed or cancelled run again, on the layout and scenario as they are now.

    Raises
    ------
    InvalidTransition
        If it is done, or has not ended yet.
    PermissionDenied
        If the user may not change the site.
    """
    check_write(user, run.layout.site)
    run = run_move(run_id=run.id, to=Run.Status.QUEUED)
    run.inputs, run.inputs_sha256, run.solver_version, run.solver_digest = None, "", "", ""
    run.cancel_requested = False
    # Attempts go on counting, so that a worker of an earlier one cannot mistake this one for its own.
    run.max_attempts = run.attempt + Run._meta.get_field("max_attempts").default
    run.save(
        update_fields=["inputs", "inputs_sha256", "solver_version", "solver_digest", "cancel_requested", "max_attempts"]
    )
    _ring(run.id)
    return run


def runs_recover(*, all_running: bool = False) -> int:
    """Bring back runs whose worker died, and return how many are in the queue again.

    Parameters
    ----------
    all_running : bool
        The caller knows that no worker lives: every running one is an orphan, and every queued one may have lost its
        message. Otherwise only those whose lease is over.
    """
    running = Run.objects.filter(status=Run.Status.RUNNING)
    if not all_running:
        running = running.filter(Q(heartbeat_at=None) | Q(heartbeat_at__lt=timezone.now() - LEASE))
    orphans = list(running.values_list("id", flat=True))
    queued = [run_id for run_id in orphans if _orphan_recover(run_id, all_running)]
    if all_running:
        waiting = Run.objects.filter(status=Run.Status.QUEUED).order_by("created_at")
        queued = list(waiting.values_list("id", flat=True))
    for run_id in queued:
        _ring(run_id)
    return len(queued)


@transaction.atomic
def scenario_save(*, scenario: Scenario, workloads: Sequence[ScenarioWorkload] | None = None, user=None) -> Scenario:
    """Check and save a scenario, and replace its use cases where they are given.

    Raises
    ------
    PermissionDenied
        If `user` is given and may not change the site.
    ValidationError
        If a field is out of range or no use case is left.
    """
    check_write(user, scenario.site)
    weather = scenario.weather
    if weather and weather.site_id not in (None, scenario.site_id):
        raise ValidationError(
            {"weather": f"{weather.name} was uploaded for another site; take a shipped year or yours."}
        )
    check_text(scenario)
    scenario.full_clean()
    scenario.save()
    if workloads is None:
        return scenario
    if not workloads:
        raise ValidationError({"workloads": "Name at least one use case; without demand there is nothing to solve."})
    scenario.workloads.all().delete()
    for workload in workloads:
        workload.scenario = scenario
        workload.full_clean()
        workload.save()
    return scenario


def scenario_delete(*, scenario: Scenario, user=None) -> None:
    """Remove a scenario with its runs."""
    check_write(user, scenario.site)
    scenario.delete()


def run_series(run: Run) -> dict[str, NDArray]:
    """Return the hourly arrays of a finished run by name (empty before it is done)."""
    return arrays_unpacked(run.series)


def run_racks(run: Run) -> dict[str, NDArray]:
    """Return the per-rack arrays of a finished run by name (empty before it is done)."""
    return arrays_unpacked(run.racks)


def run_new(layout: Layout, scenario: Scenario, user) -> Run:
    """Return a fresh run's row; whoever calls sees to it that it is solved."""
    if scenario.site_id != layout.site_id:
        raise CannotSimulate(
            f"Scenario {scenario.slug} belongs to site {scenario.site.slug}; layout {layout.slug} is on "
            f"{layout.site.slug}. Choose one of that site's scenarios."
        )
    return Run.objects.create(layout=layout, scenario=scenario, created_by=user)


@transaction.atomic
def _orphan_recover(run_id: UUID, worker_is_dead: bool) -> bool:
    """Return whether a run that nobody solves any more went back into the queue."""
    run = Run.objects.select_for_update().defer(*Run.HEAVY).get(id=run_id)
    if run.status != Run.Status.RUNNING or (not worker_is_dead and lease_left_s(run)):
        return False
    if run.cancel_requested:
        run_move(run_id=run_id, to=Run.Status.CANCELLED, message="cancelled; its worker had ended")
        return False
    if run.attempt >= run.max_attempts:
        lost = f"Its worker ended {run.attempt} times while solving it; the log of the worker says why."
        run_move(run_id=run_id, to=Run.Status.FAILED, message=lost)
        return False
    run_move(run_id=run_id, to=Run.Status.QUEUED, message="restarted because its worker ended")
    return True


def _ring(run_id: UUID) -> None:
    """Wake a worker once the transaction is over."""
    # Written before the message goes out: whoever rings for what is due must not ring for this one as well.
    Run.objects.filter(id=run_id).update(rung_at=timezone.now())
    transaction.on_commit(lambda: publish(run_id))


def publish(run_id: UUID) -> bool:
    """Send a worker the message that a run waits, and return whether the broker took it.

    Where it did not, the row says so, and `ring` sends it again.
    """
    try:
        app.send_task(SIMULATE_RUN, [str(run_id)], retry=True, retry_policy=PUBLISH_RETRY)
    except (kombu.exceptions.KombuError, *app.connection_for_write().recoverable_connection_errors, OSError):
        Run.objects.filter(id=run_id).update(rung_at=None)
        logger.warning("run %s is queued, but the broker cannot be reached", run_id, exc_info=True)
        return False
    return True


def arrays_packed(arrays: dict[str, NDArray]) -> bytes:
    """Return named arrays as a run's row stores them: a compressed .npz."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def arrays_unpacked(stored: bytes | None) -> dict[str, NDArray]:
    """Return the arrays of a stored .npz by name."""
    if not stored:
        return {}
    with np.load(io.BytesIO(bytes(stored)), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
