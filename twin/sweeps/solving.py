"""A point of a sweep is solved: what workers do, with the solvers that the web process does without."""

from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Q

from twin.core.inputs.layout import layout_inputs
from twin.core.provenance import this_solver
from twin.core.results.details import run_details
from twin.core.results.findings import BLOCKING, run_findings
from twin.core.rules.findings import rule_findings
from twin.core.solve import simulate
from twin.core.solved import Progress
from twin.core.text.json_numbers import without_nan
from twin.core.text.json_rows import as_json
from twin.exceptions import RunLost
from twin.models import Job, Sweep, SweepPoint
from twin.runs import jobs, snapshot
from twin.runs.leases import Lease, patiently
from twin.sweeps.axes import Axis, changed

MOST_REASONS = 3


def next_solve(point_id: UUID) -> None:
    """Solve the point whose turn it is among all sweeps; where none is queued, the one that the message names.

    The message is only a bell: who asked for 200 points first does not keep the others waiting for all of them.

    Raises
    ------
    RunHeld
        If another worker is at it right now.
    """
    point_solve(_next_turn() or point_id)


def point_solve(point_id: UUID) -> None:
    """Solve a point that is queued, or that a dead worker left behind.

    Raises
    ------
    RunHeld
        If another worker is at it right now.
    """
    jobs.perform(SweepPoint, point_id, _solve)


def _next_turn() -> UUID | None:
    """Return the first queued point of the sweep with the fewest points at work, the oldest of equals."""
    queued = Count("points", filter=Q(points__status=Job.Status.QUEUED))
    running = Count("points", filter=Q(points__status=Job.Status.RUNNING))
    waiting = Sweep.objects.order_by().annotate(n_queued=queued, n_running=running).filter(n_queued__gt=0)
    sweep_id = waiting.order_by("n_running", "created_at").values_list("id", flat=True).first()
    first = SweepPoint.objects.filter(sweep=sweep_id, status=Job.Status.QUEUED).order_by("index")
    return first.values_list("id", flat=True).first() if sweep_id else None


@lru_cache(maxsize=2)
def _base(sweep_id: UUID) -> tuple[list[Axis], dict[str, Any], dict[str, Any]]:
    """Return what a sweep changes, of what, and the catalogue entries that it takes; they never change."""
    sweep = Sweep.objects.only("axes", "inputs", "products").get(id=sweep_id)
    axes = [Axis(axis["object"], axis["field"], tuple(axis["values"])) for axis in sweep.axes]
    return axes, snapshot.unpacked(sweep.inputs), sweep.products


def _solve(point_id: UUID, lease: Lease) -> None:
    point = SweepPoint.objects.only("sweep_id", "values").get(id=point_id)
    axes, base, products = _base(point.sweep_id)
    solver = this_solver()
    lease.own_row.update(solver_version=solver.version, solver_digest=solver.digest)
    solved = variant_solved(changed(base, axes, point.values, products), lease)
    patiently(lease.check)

    @transaction.atomic
    def store() -> None:
        if not lease.own_row.update(**solved):
            raise RunLost("another worker took the point over")
        jobs.move(SweepPoint, point.id, to=Job.Status.DONE)

    patiently(store)


def variant_solved(inputs: dict[str, Any], progress: Progress = lambda stage, frac: None) -> dict[str, Any]:
    """Return what a point keeps of a snapshot that is solved: figures, bands, why it cannot be built, and its hash."""
    sha256 = snapshot.sha256(snapshot.canonical(inputs))
    read = layout_inputs(snapshot.with_ratings(inputs))
    result = simulate.simulate(read, progress=progress)
    bands = {name: band for name, band in result.bands.items() if None not in without_nan(band)}
    found = [*rule_findings(read), *run_findings(run_details(without_nan(as_json(result.details))))]
    blocked = list(dict.fromkeys(finding.message for finding in found if finding.severity == BLOCKING))
    return {
        "inputs_sha256": sha256,
        "figures": without_nan(result.figures),
        "bands": bands,
        "blocked": blocked[:MOST_REASONS],
    }
