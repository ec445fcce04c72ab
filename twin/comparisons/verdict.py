"""The verdict over layouts as they are described now."""

from collections.abc import Sequence
from typing import Any

from facility.models import Layout
from twin.core.comparison.verdict import CAPACITY_SHARE, Candidate, solution, verdict, verdict_of
from twin.core.figures_of_merit import RANKED_BY
from twin.core.inputs.layout import layout_inputs
from twin.core.results.details import run_details
from twin.core.results.findings import BLOCKING
from twin.models import Run, Scenario
from twin.runs import snapshot
from twin.runs.findings import layout_findings
from twin.runs.sensitivity import sensitivity_rows


def layouts_verdict(
    asked: Sequence[tuple[Layout, Scenario]], *, basis: str = CAPACITY_SHARE, by: str = RANKED_BY
) -> dict[str, Any]:
    """Return which layout to build, as `core.comparison.verdict` says it; a blocking finding sets a layout apart.

    Raises
    ------
    CannotSimulate
        If one of them has nothing to solve.
    ValueError
        If fewer than two are given, or one cannot be solved.
    """
    candidates = []
    for layout, scenario in asked:
        read = layout_inputs(snapshot.snapshot(layout, scenario))
        blocking = [found for found in layout_findings(layout, read) if found.severity == BLOCKING]
        reasons = tuple(f"{found.object_name}: {found.message}" for found in blocking)
        candidates.append(Candidate(layout.path, read, reasons))
    return verdict(candidates, basis, by)


def runs_verdict(runs: Sequence[Run], labels: Sequence[str] | None = None, *, by: str = RANKED_BY) -> dict[str, Any]:
    """Return the verdict over finished runs as they were stored; a blocking finding of the run sets its layout apart.

    What would change it is read off their tornados, where they were asked for.

    Raises
    ------
    ValueError
        If fewer than two are given.
    """
    names = labels or [f"{run.layout.path}, {run.scenario.slug}" for run in runs]
    solutions = []
    tornados = {name: rows for run, name in zip(runs, names, strict=True) if (rows := sensitivity_rows(run))}
    for run, name in zip(runs, names, strict=True):
        details, read = run_details(run.details), snapshot.inputs_stored(run.inputs)
        found = [finding for finding in details.findings if finding.severity == BLOCKING]
        reasons = tuple(f"{finding.object_name}: {finding.message}" for finding in found)
        solutions.append(solution(Candidate(name, read, reasons), read, run.figures, run.bands or {}, details))
    return verdict_of(solutions, by=by, tornados=tornados)
