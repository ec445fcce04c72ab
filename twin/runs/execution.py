"""A run is solved: what workers and the command `simulate` do, with the solvers that the web process does without."""

import logging
from collections import Counter
from dataclasses import asdict, replace
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction

from facility.models import Layout
from twin.core.provenance import this_solver
from twin.core.results.details import RuleFinding, run_details
from twin.core.results.findings import run_findings
from twin.core.solve import simulate
from twin.core.text.json_numbers import without_nan
from twin.core.text.json_rows import as_json
from twin.exceptions import CannotSimulate, RunCancelled, RunLost
from twin.models import Run, Scenario
from twin.runs import services, snapshot
from twin.runs.findings import layout_findings
from twin.runs.leases import Lease, patiently, run_claim

logger = logging.getLogger(__name__)

FAULT = (
    "The simulation stopped on a fault of this program, not of your description. "
    "Give this run's id to whoever runs the twin: the log has the details under it."
)


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
    attempt = patiently(lambda: run_claim(run_id))
    if attempt is None:
        services.runs_recover()
        return
    run = Run.objects.select_related("layout__site", "scenario__site", "scenario__weather").get(id=run_id)
    with Lease(run_id, attempt) as lease:
        try:
            lease.check()
            _solve(run, lease)
        except RunLost:
            logger.warning("run %s: dropped by attempt %s, another one has it", run_id, attempt)
        except RunCancelled as cancelled:
            _end(lease, run_id, Run.Status.CANCELLED, str(cancelled))
        except (OperationalError, InterfaceError):
            # Not the run's fault: its lease ends, and whoever looks for what is due takes it up again.
            logger.exception("run %s: the database cannot be reached", run_id)
        except (CannotSimulate, ValueError) as refusal:
            logger.info("run %s cannot be solved", run_id, exc_info=True)
            _end(lease, run_id, Run.Status.FAILED, _sentence(refusal))
        except Exception:
            logger.exception("run %s failed", run_id)
            _end(lease, run_id, Run.Status.FAILED, FAULT)


def _solve(run: Run, lease: Lease) -> None:
    if run.inputs is None:
        spelled = snapshot.canonical(snapshot.snapshot(run.layout, run.scenario))
        fresh = {"inputs": snapshot.packed(spelled), "inputs_sha256": snapshot.sha256(spelled)}
        solver = this_solver()  # also of a run that will fail
        lease.mine.update(**fresh, solver_version=solver.version, solver_digest=solver.digest)
        run.inputs = fresh["inputs"]
    # Always from the stored form, so that a retry after a crash and a replay years later see what this run saw.
    result = simulate.simulate(snapshot.inputs_stored(run.inputs), progress=lease)
    patiently(lease.check)
    # What nothing ran for has no value: PostgreSQL and JSON know no NaN, and a run that was solved keeps what it found.
    figures, solved = without_nan(result.figures), run_details(without_nan(as_json(result.details)))
    bands = {name: band for name, band in result.bands.items() if None not in without_nan(band)}
    found = tuple(RuleFinding(**asdict(finding)) for finding in layout_findings(run.layout))
    n_found = Counter(finding.severity for finding in run_findings(solved))  # for lists of runs
    details = replace(solved, findings=found, n_found=dict(n_found))
    series, racks = services.arrays_packed(result.series), services.arrays_packed(result.racks)

    @transaction.atomic
    def store() -> None:
        stored = lease.mine.update(
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
        services.run_move(run_id=run.id, to=Run.Status.DONE)

    patiently(store)


def _end(lease: Lease, run_id: UUID, to: Run.Status, message: str) -> None:
    """End a run without a result, unless it is no longer this attempt's."""

    @transaction.atomic
    def end() -> None:
        if lease.mine.select_for_update().exists():
            services.run_move(run_id=run_id, to=to, message=message)

    patiently(end)


def _sentence(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text[:1000] if text.endswith(".") else f"{text[:999]}."
