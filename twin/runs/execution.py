"""A run is solved: what workers and the command `simulate` do, with the solvers that the web process does without."""

from collections import Counter
from dataclasses import replace
from uuid import UUID

from django.db import transaction

from facility.models import Layout
from twin.core.provenance import this_solver
from twin.core.results.details import RuleFinding, run_details
from twin.core.results.findings import run_findings
from twin.core.solve import simulate
from twin.core.text.json_numbers import without_nan
from twin.core.text.json_rows import as_json
from twin.exceptions import RunLost
from twin.models import Run, Scenario
from twin.runs import jobs, services, snapshot
from twin.runs.changed import solved_stamp, stamp_if_unchanged
from twin.runs.findings import layout_findings
from twin.runs.found import FIELDS, found_stamp, values_of
from twin.runs.leases import Lease, patiently


def run_now(*, layout: Layout, scenario: Scenario) -> Run:
    """Run `layout` under `scenario` in this process and return the ended run.

    Raises
    ------
    CannotSimulate
        If the scenario belongs to another site.
    """
    run = services.run_new(layout, scenario, None)
    run_execute(run_id=run.id)
    run.refresh_from_db()
    return run


def run_execute(*, run_id: UUID) -> None:
    """Solve a run that is queued, or that a dead worker left behind, and store what comes out.

    Returns without doing anything where there is nothing left to do. Whatever the solver raises ends the run as
    failed with one sentence; the log has the traceback.

    Raises
    ------
    RunHeld
        If another worker is solving it right now.
    """
    jobs.perform(Run, run_id, _solve)


def _solve(run_id: UUID, lease: Lease) -> None:
    run = Run.objects.select_related("layout__site", "scenario__site", "scenario__weather").get(id=run_id)
    read_at = ""
    if run.inputs is None:
        read_at = solved_stamp(run.layout, run.scenario_id)
        spelled = snapshot.canonical(snapshot.snapshot(run.layout, run.scenario))
        fresh = {"inputs": snapshot.packed(spelled), "inputs_sha256": snapshot.sha256(spelled)}
        solver = this_solver()  # also of a run that will fail
        lease.own_row.update(**fresh, solver_version=solver.version, solver_digest=solver.digest)
        run.inputs = fresh["inputs"]
    # Always from the stored form, so that a retry after a crash and a replay years later see what this run saw.
    inputs = snapshot.inputs_stored(run.inputs)
    result = simulate.simulate(inputs, progress=lease)
    patiently(lease.check)
    # What nothing ran for has no value: PostgreSQL and JSON know no NaN, and a run that was solved keeps what it found.
    figures, solved = without_nan(result.figures), run_details(without_nan(as_json(result.details)))
    bands = {name: band for name, band in result.bands.items() if None not in without_nan(band)}
    solved_in = stamp_if_unchanged(run, read_at)
    # Of what has been edited meanwhile the findings are of what it is now, as their stamp says.
    rules = layout_findings(run.layout, inputs if solved_in and solved_in == read_at else None)
    found = tuple(RuleFinding(**dict(zip(FIELDS, values_of(finding), strict=True))) for finding in rules)
    n_found = Counter(finding.severity for finding in run_findings(solved))  # for lists of runs
    details = replace(
        solved,
        findings=found,
        n_found=dict(n_found),
        found_in=found_stamp(run.layout),
        solved_in=solved_in,
    )
    series, racks = services.arrays_packed(result.series), services.arrays_packed(result.racks)

    @transaction.atomic
    def store() -> None:
        stored = lease.own_row.update(
            figures=figures,
            bands=bands,
            details=as_json(details),
            series=series,
            racks=racks,
            solver_version=details.solver.version,
            solver_digest=details.solver.digest,
        )
        if not stored:
            raise RunLost("another worker took the run over")
        jobs.move(Run, run.id, to=Run.Status.DONE)

    patiently(store)
