"""Which layout to build: an answer a board can read, how sure it is, and what would change it.

Layouts rank as `standing` says, by good tokens per watt unless another figure is asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from twin.core.comparison.basis import BASES, CAPACITY_SHARE, DEMAND, GRID_POWER
from twin.core.comparison.sensitivity import Variation, sensitivity, variations
from twin.core.comparison.standing import (
    LIKELY,
    banded_difference,
    blocking_reasons,
    missed_targets,
    percent_text,
    sentence,
    served_pairs,
    standing,
)
from twin.core.comparison.tornado import SensitivityRow
from twin.core.figures_of_merit import BY_NAME, RANKED_BY, peak_from_grid_w
from twin.core.inputs.layout import LayoutInputs
from twin.core.results.details import RunDetails
from twin.core.results.figures import figures_of_merit, served_in
from twin.core.results.findings import run_findings
from twin.core.solve.estimate import estimated_year
from twin.core.solve.simulate import described, simulate
from twin.core.text.engine_names import ENGINE_NAMES
from twin.core.text.numbers import quantity_text

SHOWN = (
    "good_tokens_per_s",
    "good_tokens_per_joule",
    "cost_per_million_good_tokens_usd",
    "utilisation_frac",
    "availability_frac",
    "ttft_p95_s",
    "slo_attainment_frac",
    "output_tokens_per_s",
    "tokens_per_joule",
    "cost_per_million_output_tokens_usd",
    "peak_power_w",
    "mean_power_w",
    "pue",
)
DIFFERENCE = ("value", "low", "high", "probability")  # of being the better
EXTENSIVE = ("good_tokens_per_s", "output_tokens_per_s", "peak_power_w", "peak_grid_power_w", "mean_power_w")
N_HALVINGS = 5
N_FLIPS = 6


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One layout of a comparison, under the scenario all are judged by."""

    name: str
    inputs: LayoutInputs
    blocked: tuple[str, ...] = ()  # why it cannot be built as drawn


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """A candidate solved on the comparison's basis."""

    name: str
    inputs: LayoutInputs
    blocked: tuple[str, ...]
    figures: Mapping[str, float | None]
    bands: Mapping[str, Sequence[float]]
    misses: tuple[str, ...]  # targets
    served: frozenset[tuple[str, str]]  # accelerators and models


def verdict(candidates: Sequence[Candidate], basis: str = CAPACITY_SHARE, by: str = RANKED_BY) -> dict[str, Any]:
    """Return the verdict as the command and the API write it.

    Parameters
    ----------
    candidates : sequence of Candidate
        At least two.
    basis : str
        What is equal: `demand` (the first one's requests), `capacity-share` (each at the scenario's share of its own
        capacity) or `grid-power` (each scaled in proportion to the least peak at the meter).
    by : str
        The figure that ranks.

    Raises
    ------
    ValueError
        If fewer than two candidates are given, or basis or figure are unknown.
    """
    check_asked(candidates, basis, by)
    return verdict_of(solved(candidates, basis), basis, by, with_flips=True)


def check_asked(compared: Sequence[Any], basis: str, by: str) -> None:
    """Check what a comparison asks for.

    Raises
    ------
    ValueError
        If fewer than two are compared, or the basis or the figure `by` which they are ranked is unknown.
    """
    if basis not in BASES:
        raise ValueError(f"basis is {basis!r}; must be one of {', '.join(BASES)}")
    if len(compared) < 2:
        raise ValueError(f"{len(compared)} layout given; a comparison needs at least 2")
    if by not in BY_NAME or BY_NAME[by].better not in ("higher", "lower"):
        raise ValueError(f"{by!r} is no figure to rank by")


def verdict_of(
    solutions: Sequence[Solution],
    basis: str = CAPACITY_SHARE,
    by: str = RANKED_BY,
    *,
    with_flips: bool = False,
    tornados: Mapping[str, Sequence[SensitivityRow]] | None = None,
) -> dict[str, Any]:
    """Return the verdict over layouts that are solved already.

    Parameters
    ----------
    solutions : sequence of Solution
        At least two.
    basis, by : str
        As for `verdict`.
    with_flips : bool
        Whether to look for what would change the verdict by solving the first two anew.
    tornados : mapping, optional
        Rows of `sensitivity` by name of a solution, from which that is read without solving.
    """
    check_asked(solutions, basis, by)
    stands = standing(solutions, by)
    able = stands.able
    pair = (able[0], able[1]) if len(able) > 1 else None
    flips = _flips(*pair, by) if pair and with_flips else []
    if pair and tornados and all(solution.name in tornados for solution in pair):
        flips = flips_between(*pair, (tornados[pair[0].name], tornados[pair[1].name]), by)
    return {
        "sentence": sentence(stands, flips),
        "basis": _basis_text(basis, solutions),
        "by": by,
        "ranking": [_as_json(solution, able[0] if able else None, by) for solution in stands.ranked],
        "winner": stands.winner.name if stands.winner else None,
        "difference": _differences(*pair) if pair else {},
        "ties": [[one.name for one in tie] for tie in stands.ties],
        "flips": flips,
        "assumptions": _assumptions(basis, solutions, by),
    }


def solved(candidates: Sequence[Candidate], basis: str) -> list[Solution]:
    """Return every candidate solved on the basis that `verdict` explains."""
    inputs = [candidate.inputs for candidate in candidates]
    if basis == DEMAND:
        asked = _requests_per_s(inputs[0])
        inputs = [_with_requests(each, asked) for each in inputs]
    results = [simulate(each) for each in inputs]
    found = [
        solution(candidate, each, result.figures, result.bands, result.details)
        for candidate, each, result in zip(candidates, inputs, results, strict=True)
    ]
    return at_equal_grid_power(found) if basis == GRID_POWER else found


def at_equal_grid_power(solutions: Sequence[Solution]) -> list[Solution]:
    """Return each solution with what grows with its size scaled in proportion to the least peak from the grid."""
    peaks_w = [peak_from_grid_w(solution.figures) or 0.0 for solution in solutions]
    least_w = min((peak_w for peak_w in peaks_w if peak_w), default=0.0)  # what draws nothing scales nothing
    return [
        _scaled(solution, least_w / peak_w if peak_w else 1.0)
        for solution, peak_w in zip(solutions, peaks_w, strict=True)
    ]


def _scaled(solution: Solution, scale: float) -> Solution:
    figures = {
        name: value * scale if name in EXTENSIVE and value is not None else value
        for name, value in solution.figures.items()
    }
    bands = {
        name: [low * scale, high * scale] if name in EXTENSIVE else [low, high]
        for name, (low, high) in solution.bands.items()
    }
    return replace(solution, figures=figures, bands=bands)


def solution(
    candidate: Candidate,
    inputs: LayoutInputs,
    figures: Mapping[str, float | None],
    bands: Mapping[str, Sequence[float]],
    details: RunDetails,
) -> Solution:
    """Return a candidate with its results, as `verdict_of` takes it; findings of the solved year block it as rules do.

    Parameters
    ----------
    candidate : Candidate
        The layout.
    inputs : LayoutInputs
        What was solved.
    figures, bands : mapping
        By name of the figure.
    details : RunDetails
        Of the same run.
    """
    known = {name: figures.get(name) for name in BY_NAME}  # runs of before a figure was there have none
    blocked = (*candidate.blocked, *blocking_reasons(run_findings(details)))
    rows = details.per_workload
    return Solution(candidate.name, inputs, blocked, known, bands, missed_targets(rows), served_pairs(rows))


def _requests_per_s(inputs: LayoutInputs) -> dict[str, float]:
    """Return the mean requests per second that each use case of a layout gets."""
    found: dict[str, float] = {}
    for pool in described(inputs).pools:
        found[pool.workload] = found.get(pool.workload, 0.0) + float(pool.demand_per_s.mean())
    return found


def _with_requests(inputs: LayoutInputs, asked: Mapping[str, float]) -> LayoutInputs:
    shares = tuple(
        replace(share, requests_per_s=asked.get(share.workload.slug, share.requests_per_s))
        for share in inputs.scenario.workloads
    )
    return replace(inputs, scenario=replace(inputs.scenario, workloads=shares))


def _differences(one: Solution, other: Solution) -> dict[str, dict[str, float]]:
    found = {}
    for figure in SHOWN:
        if BY_NAME[figure].better and (difference := banded_difference(one, other, figure)) is not None:
            found[figure] = dict(zip(DIFFERENCE, difference, strict=True))
    return found


def _flips(first: Solution, second: Solution, by: str) -> list[dict[str, Any]]:
    """Return the inputs whose stated range holds a value at which the order of two layouts turns, nearest first."""
    sign = -1.0 if BY_NAME[by].better == "lower" else 1.0
    ends = []
    for solution in (first, second):
        rows = sensitivity(solution.inputs, (by,))
        ends.append({row.input: (row.figure_low, row.figure_high) for row in rows})
    known = [{variation.input: variation for variation in variations(solution.inputs)} for solution in (first, second)]
    stands = [value for solution in (first, second) if (value := solution.figures[by]) is not None]
    if len(stands) < 2:
        return []
    found = []
    for name in dict.fromkeys((*known[0], *known[1])):
        variation = known[0].get(name) or known[1][name]
        for which, end in ((0, variation.low), (1, variation.high)):
            pair = [row[name][which] if name in row else stand for row, stand in zip(ends, stands, strict=True)]
            if pair[0] is None or pair[1] is None or sign * (pair[0] - pair[1]) >= 0:
                continue
            turn = end if isinstance(end, str) else _turn([row.get(name) for row in known], by, sign, stands, end)
            found.append(
                {"input": name, "from": variation.value, "to": turn, "unit": variation.unit, "winner_then": second.name}
            )
    return sorted(found, key=_distance)[:N_FLIPS]


def flips_between(
    first: Solution,
    second: Solution,
    tornados: tuple[Sequence[SensitivityRow], Sequence[SensitivityRow]],
    by: str,
) -> list[dict[str, Any]]:
    """Return the inputs at which the order of two layouts turns, read off their tornados, nearest first.

    Between where an input stands and an end of its range a figure is taken as exponential in the input.
    """
    sign = -1.0 if BY_NAME[by].better == "lower" else 1.0
    lead = _log_ratio(first.figures[by], second.figures[by])
    if lead is None or sign * lead <= 0:
        return []
    rows = [{row.input: row for row in by_input if row.figure == by} for by_input in tornados]
    found = []
    for name in dict.fromkeys((*rows[0], *rows[1])):
        row = rows[0].get(name) or rows[1][name]
        if row.value is None:  # a band of a prediction: nothing that stands somewhere and could go elsewhere
            continue
        for which in ("low", "high"):
            at = [
                getattr(by_input[name], f"figure_{which}") if name in by_input else solution.figures[by]
                for by_input, solution in zip(rows, (first, second), strict=True)
            ]
            then = _log_ratio(*at)
            if then is None or sign * then >= 0:
                continue
            start, end = row.value, getattr(row, which)
            turn = end
            if isinstance(start, float) and isinstance(end, float):
                turn = start + lead / (lead - then) * (end - start)
            found.append({"input": name, "from": start, "to": turn, "unit": row.unit, "winner_then": second.name})
    return sorted(found, key=_distance)[:N_FLIPS]


def _log_ratio(a: float | None, b: float | None) -> float | None:
    """Return the logarithm of one figure over another; None where one has no value, or none above 0."""
    if a is None or b is None or not (a > 0 and b > 0):
        return None
    return float(np.log(a / b))


def _distance(flip: Mapping[str, Any]) -> float:
    start, turn = flip["from"], flip["to"]
    return abs(turn / start - 1) if isinstance(turn, float) and isinstance(start, float) and start else np.inf


def _turn(moved: Sequence[Variation | None], by: str, sign: float, stands: Sequence[float], end: float) -> float:
    """Return the value nearest to where an input stands at which the order turns, by halving."""
    start = next(variation.value for variation in moved if variation is not None)
    near, far = float(start), float(end)
    for _ in range(N_HALVINGS):
        middle = 0.5 * (near + far)
        at: list[float | None] = []
        for variation, stand in zip(moved, stands, strict=True):
            if variation is None:
                at.append(stand)
                continue
            try:
                year, _ = estimated_year(described(variation.at(middle)))
            except ValueError:
                return far
            at.append(figures_of_merit(year, served_in(year))[by])
        if at[0] is None or at[1] is None or sign * (at[0] - at[1]) >= 0:
            near = middle
        else:
            far = middle
    return far


def _as_json(solution: Solution, first: Solution | None, by: str) -> dict[str, Any]:
    to_first = None
    if first is not None and solution is not first and not solution.blocked:
        to_first = banded_difference(solution, first, by)
    return {
        "layout": solution.name,
        "figures": {name: solution.figures[name] for name in solution.figures},
        "bands": {name: list(band) for name, band in solution.bands.items()},
        "blocked": list(solution.blocked),
        "misses_targets": list(solution.misses),
        "to_first": dict(zip(DIFFERENCE, to_first, strict=True)) if to_first else None,
    }


def _basis_text(basis: str, solutions: Sequence[Solution]) -> str:
    if basis == DEMAND:
        return f"equal demand: the requests per second of {solutions[0].name}"
    if basis == GRID_POWER:
        return "equal grid power: each layout scaled in proportion to the least peak at the meter"
    if all(share.requests_per_s is not None for each in solutions for share in each.inputs.scenario.workloads):
        return "the requests per second that the scenario states"
    return "equal share of own capacity: each layout at the scenario's busiest hour over what it can serve"


def _assumptions(basis: str, solutions: Sequence[Solution], by: str) -> list[str]:
    offered = [value for solution in solutions if (value := solution.figures["output_tokens_per_s"]) is not None]
    found = []
    if basis == CAPACITY_SHARE and len(offered) == len(solutions) and min(offered) < 0.99 * max(offered):
        texts = "; ".join(
            f"{solution.name} {quantity_text(value, 'tok/s')}"
            for solution, value in zip(solutions, offered, strict=True)
        )
        found.append(f"Demand differs, each being asked for its own share of capacity: {texts}")
    scenarios = dict.fromkeys(
        f"{each.name}, engine {ENGINE_NAMES.get(each.engine, each.engine)}, requests above capacity: {each.admission}"
        for each in (solution.inputs.scenario for solution in solutions)
    )
    found += [
        f"Scenario{'s' if len(scenarios) > 1 else ''} {'; '.join(scenarios)}",
        f"Ranked by {BY_NAME[by].label.lower()}; no layout that misses a latency target ranks above one that keeps all",
        f"A difference less than {percent_text(LIKELY)} likely is a tie",
    ]
    return found
