"""The verdict over layouts as they are described now."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any
from uuid import UUID

from facility.models import Layout
from twin.core.comparison.basis import CAPACITY_SHARE, DEMAND, GRID_POWER
from twin.core.comparison.standing import blocking_reasons
from twin.core.comparison.verdict import (
    EXTENSIVE,
    Candidate,
    Solution,
    at_equal_grid_power,
    check_asked,
    solution,
    solved,
    verdict,
    verdict_of,
)
from twin.core.figures_of_merit import RANKED_BY
from twin.core.inputs.layout import layout_inputs
from twin.core.results.details import run_details
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
        reasons = blocking_reasons(layout_findings(layout, read))
        candidates.append(Candidate(layout.path, read, reasons))
    return verdict(candidates, basis, by)


def runs_verdict(
    runs: Sequence[Run],
    labels: Sequence[str] | None = None,
    *,
    basis: str = CAPACITY_SHARE,
    by: str = RANKED_BY,
) -> dict[str, Any]:
    """Return the verdict over finished runs as they were stored; a blocking finding of the run sets its layout apart.

    At equal demand what was stored is solved anew, under the requests of the first run. What would change the answer is
    read off their tornados, where they were asked for and hold on that basis.

    Raises
    ------
    ValueError
        If fewer than two are given, or basis or figure are unknown.
    """
    check_asked(runs, basis, by)
    names = labels or [called(run) for run in runs]
    if basis == DEMAND:
        anew = _solved_at_equal_demand(tuple(run.id for run in runs))
        return verdict_of([replace(each, name=name) for each, name in zip(anew, names, strict=True)], basis, by)
    stored = [
        solution(candidate, candidate.inputs, run.figures, run.bands or {}, run_details(run.details))
        for run, candidate in zip(runs, map(_candidate, runs, names), strict=True)
    ]
    tornados = {name: rows for run, name in zip(runs, names, strict=True) if (rows := sensitivity_rows(run))}
    if basis == GRID_POWER:
        return verdict_of(at_equal_grid_power(stored), basis, by, tornados={} if by in EXTENSIVE else tornados)
    return verdict_of(stored, basis, by, tornados=tornados)


def called(run: Run) -> str:
    """Return what a verdict calls a run's layout where it is given no label."""
    return f"{run.layout.path}, {run.scenario.slug}"


def _candidate(run: Run, name: str) -> Candidate:
    """Return a finished run's layout as it was, and why it could not be built."""
    reasons = blocking_reasons(run_details(run.details).findings)
    return Candidate(name, snapshot.inputs_stored(run.inputs), reasons)


@lru_cache(maxsize=16)
def _solved_at_equal_demand(ids: tuple[UUID, ...]) -> tuple[Solution, ...]:
    """Return the layouts of finished runs, which never change, under the requests of the first."""
    runs = Run.objects.defer("series", "racks").in_bulk(ids)
    return tuple(solved([_candidate(runs[run_id], str(run_id)) for run_id in ids], DEMAND))
