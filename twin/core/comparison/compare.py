"""Runs side by side: what they assume differently, who wins each figure, and what makes the difference."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from twin.core.comparison.assumptions import AssumptionRow, differing_assumptions, differing_questions
from twin.core.comparison.pareto import TokenFrontier, token_frontiers
from twin.core.comparison.reasons import (
    cost_per_million_usd,
    cost_per_year_usd,
    joules_per_token,
    mean_power_w,
    reason,
)
from twin.core.comparison.runs import ComparedRun
from twin.core.comparison.standing import is_ahead
from twin.core.figures_of_merit import FIGURES, Figure
from twin.core.provenance import Solver, solver_of
from twin.core.results.answers import Answer, answers
from twin.core.text.numbers import same_text

CLOSE = "too close to call"


@dataclass(frozen=True, slots=True)
class FigureRow:
    """One figure of merit over all runs; lists have one entry per run."""

    name: str
    label: str
    unit: str
    values: list[float | None]
    bands: list[list[float] | None]
    deltas: list[float | None]  # against the reference
    winner: int | None  # None: neither is better, or the best ones cannot be told apart
    winners: list[int]  # all that cannot be told from the best, where somebody is worse
    why: str


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """One answer of power and cooling over all runs; lists have one entry per run."""

    name: str
    label: str
    unit: str
    better: str
    values: list[float | None]
    about: list[str]  # the object, or why there is no value
    winners: list[int]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a waterfall from one run to another."""

    name: str
    change: float
    total_after: float


@dataclass(frozen=True, slots=True)
class Waterfall:
    """How the reference's figure becomes another run's. `steps` sum to `end - start`."""

    unit: str
    start: float
    end: float
    steps: list[Step]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything a comparison page or endpoint shows."""

    names: list[str]
    model_versions: list[str]
    model_note: str  # what to think of runs that different versions solved; empty where one solved all
    reference: int  # deltas and waterfalls start from this run
    assumptions: list[AssumptionRow]
    questions: list[AssumptionRow]  # those of the assumptions that make it another question
    rows: list[FigureRow]
    answers: list[AnswerRow]
    frontiers: list[TokenFrontier]
    waterfall_w: list[Waterfall]  # mean power at the meter, one per run other than the reference
    waterfall_j_per_token: list[Waterfall]  # meter energy per output token
    waterfall_usd: list[Waterfall]  # cost of a million output tokens
    waterfall_usd_per_year: list[Waterfall]  # cost of a year


def compare(runs: Sequence[ComparedRun], reference: int = 0) -> Comparison:
    """Compare two or more finished runs; deltas and waterfalls start from `reference`.

    Raises
    ------
    ValueError
        If there are fewer than two runs, or the reference is none of them.
    """
    if len(runs) < 2:
        raise ValueError(f"{len(runs)} run given; a comparison needs at least 2")
    if not 0 <= reference < len(runs):
        raise ValueError(f"reference is {reference}; it must be 0 to {len(runs) - 1}")
    assumptions = differing_assumptions(runs)
    blocked = [bool(run.blocked) for run in runs]
    return Comparison(
        names=[run.name for run in runs],
        model_versions=(versions := [solver_of_run(run).version for run in runs]),
        model_note=model_note(versions, [run.name for run in runs]),
        reference=reference,
        assumptions=assumptions,
        questions=differing_questions(assumptions),
        rows=[_row(figure, runs, blocked, reference) for figure in FIGURES],
        answers=answer_rows(runs),
        frontiers=token_frontiers(runs),
        waterfall_w=_waterfalls(runs, reference, mean_power_w, "W"),
        waterfall_j_per_token=_waterfalls(runs, reference, joules_per_token, "J/tok"),
        waterfall_usd=_waterfalls(runs, reference, cost_per_million_usd, "$/M tok"),
        waterfall_usd_per_year=_waterfalls(runs, reference, cost_per_year_usd, "$/year"),
    )


def solver_of_run(run: ComparedRun) -> Solver:
    """Return the solver that made a run."""
    return solver_of(run.details.solver.version, run.details.solver.digest)


def model_note(versions: Sequence[str], labels: Sequence[str]) -> str:
    """Return the caution about runs that different versions of the model solved; empty where one solved all."""
    if len(set(versions)) < 2:
        return ""
    which = ", ".join(f"{label}: {version}" for label, version in zip(labels, versions, strict=True))
    return (
        f"These runs were solved by different versions of the model ({which}). Part of their differences may come from "
        "the model; run the older ones again to compare like with like."
    )


def falls_between(start: ComparedRun, end: ComparedRun) -> list[tuple[str, Waterfall]]:
    """Return every waterfall from one run to another, with its title; those without parts in either are left out."""
    found = []
    for title, parts, unit in (
        ("Mean power at the meter", mean_power_w, "W"),
        ("Cost a year", cost_per_year_usd, "$/year"),
        ("Energy per output token", joules_per_token, "J/tok"),
        ("Cost of a million output tokens", cost_per_million_usd, "$/M tok"),
    ):
        a, b = parts(start), parts(end)
        if a and b:
            found.append((title, waterfall(a, b, unit)))
    return found


def waterfall(start: Mapping[str, float], end: Mapping[str, float], unit: str) -> Waterfall:
    """Return the steps from one set of parts to another, largest change first.

    Parameters
    ----------
    start, end : mapping
        What each part contributes to the figure of either run.
    unit : str
        Of the figure.
    """
    names = list(dict.fromkeys([*start, *end]))
    changes = sorted(((end.get(n, 0.0) - start.get(n, 0.0), n) for n in names), key=lambda c: -abs(c[0]))
    total = sum(start.values())
    first, steps = total, []
    for change, name in changes:
        if change:
            total += change
            steps.append(Step(name, change, total))
    return Waterfall(unit, first, sum(end.values()), steps)


def answer_rows(runs: Sequence[ComparedRun]) -> list[AnswerRow]:
    """Return the answers of power and cooling side by side; "never" beats any number of seconds."""
    blocked = [bool(run.blocked) for run in runs]
    by_run = [{answer.name: answer for answer in answers(run.details, run.figures)} for run in runs]
    first = {name: answer for answered in reversed(by_run) for name, answer in answered.items()}
    order = dict.fromkeys(name for answered in by_run for name in answered)
    return [_answer_row(first[name], [answered.get(name) for answered in by_run], blocked) for name in order]


def _answer_row(known: Answer, found: list[Answer | None], blocked: Sequence[bool]) -> AnswerRow:
    ranks = [answer.rank if answer else None for answer in found]
    winners, after = _best(ranks, known, blocked)
    return AnswerRow(
        known.name,
        known.label,
        known.unit,
        known.better,
        [answer.value if answer else None for answer in found],
        [answer.about if answer else "not kept by this run" for answer in found],
        [] if after is None else winners,
    )


def _waterfalls(
    runs: Sequence[ComparedRun], reference: int, parts: Callable[[ComparedRun], dict[str, Any]], unit: str
) -> list[Waterfall]:
    start = parts(runs[reference])
    others = [parts(run) for i, run in enumerate(runs) if i != reference]
    return [waterfall(start, other, unit) for other in others if start and other]


def _row(figure: Figure, runs: Sequence[ComparedRun], blocked: Sequence[bool], reference: int) -> FigureRow:
    values = [run.figures.get(figure.name) for run in runs]
    bands = [run.bands.get(figure.name) for run in runs]
    start = values[reference]
    deltas = [None if v is None or start is None else v - start for v in values]
    winners, after = _best(values, figure, blocked, lambda i, j: is_ahead(runs[i], runs[j], figure.name))
    why = [] if after is None else [reason(figure.name, runs[winners[0]], runs[after])]
    if len(winners) > 1 and len({values[i] for i in winners}) > 1:
        why.append(CLOSE)
    if after is None:
        winners = []
    return FigureRow(
        figure.name,
        figure.label,
        figure.unit,
        values,
        bands,
        deltas,
        winners[0] if len(winners) == 1 else None,
        winners,
        "; ".join(text for text in why if text),
    )


def _best(
    values: Sequence[float | None],
    known: Figure | Answer,
    blocked: Sequence[bool],
    is_ahead: Callable[[int, int], bool] = lambda one, other: True,
) -> tuple[list[int], int | None]:
    """Return the runs that can be built and cannot be told from the best of them, and the next that is worse, if any.

    None where neither is better.
    """
    ranked = sorted(((v, i) for i, v in enumerate(values) if v is not None), reverse=known.better == "higher")
    able = [(value, i) for value, i in ranked if not blocked[i]]
    if not known.better or not able:
        return [], None
    best, first = able[0]

    def is_level(value: float, i: int) -> bool:
        return value == best or (isfinite(best) and same_text(best, value, known.unit)) or not is_ahead(first, i)

    winners = sorted(i for value, i in able if is_level(value, i))
    worse = (i for value, i in ranked[ranked.index(able[0]) :] if i not in winners and not is_level(value, i))
    return winners, next(worse, None)
