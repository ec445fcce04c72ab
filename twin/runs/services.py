"""What makes and queues a run, and what changes a scenario; `jobs` moves, cancels and recovers runs."""

import hashlib
import io
from collections.abc import Sequence

import numpy as np
from django.core.exceptions import ValidationError
from django.db import transaction
from numpy.typing import NDArray

from facility.models import Layout
from facility.permissions import Right, check_write
from facility.services import check_values
from twin.exceptions import CannotSimulate, KeyReused
from twin.models import IdempotencyKey, Run, Scenario, ScenarioWorkload
from twin.runs import jobs


def run_create(*, layout: Layout, scenario: Scenario, user=None) -> Run:
    """Record a run of `layout` under `scenario` and queue it once the row is there for a worker to see.

    Raises
    ------
    CannotSimulate
        If the scenario belongs to another site.
    PermissionDenied
        If `user` is given and may not change the site.
    """
    check_write(user, layout.site, Right.RUN)
    with transaction.atomic():
        run = run_new(layout, scenario, user)
        jobs.ring(Run, run.id)
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
def run_retry(run: Run, *, user) -> Run:
    """Queue a failed or cancelled run again, on the layout and scenario as they are now.

    Raises
    ------
    InvalidTransition
        If it is done, or has not ended yet.
    PermissionDenied
        If the user may not change the site.
    """
    run = jobs.queued_again(run, user=user)
    run.inputs, run.inputs_sha256, run.solver_version, run.solver_digest = None, "", "", ""
    run.save(update_fields=["inputs", "inputs_sha256", "solver_version", "solver_digest"])
    jobs.ring(Run, run.id)
    return run


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
    check_values(scenario)
    scenario.full_clean()
    scenario.save()
    if workloads is None:
        return scenario
    if not workloads:
        raise ValidationError({"workloads": "Name at least one use case; without demand there is nothing to solve."})
    scenario.workloads.all().delete()
    for workload in workloads:
        workload.scenario = scenario
        check_values(workload)
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
    """Return a fresh run's row; the caller arranges for it to be solved."""
    if scenario.site_id != layout.site_id:
        raise CannotSimulate(
            f"Scenario {scenario.slug} belongs to site {scenario.site.slug}; layout {layout.slug} is on "
            f"{layout.site.slug}. Choose one of that site's scenarios."
        )
    return Run.objects.create(layout=layout, scenario=scenario, created_by=user)


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
