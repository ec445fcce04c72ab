"""Which of several solved layouts stands first, and which of them cannot be told apart: one rule for all that shows it.

Layouts that cannot be built as drawn stand apart, unranked. Of the others none that misses its scenario's latency
targets ranks above one that keeps them; the rest rank by one figure. Errors that two layouts share (the same
accelerator serving the same model) cancel in their difference; a difference less than 80 % likely is a tie.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from scipy.special import ndtr

from twin.core.figures_of_merit import BY_NAME, RANKED_BY
from twin.core.results.details import WorkloadRow
from twin.core.results.findings import BLOCKING
from twin.core.text.numbers import GAP, quantity_text

Z80 = 1.2815515655446004  # half the 80 % band of a normal law, in standard deviations
LIKELY = 0.8  # below this probability the better of two is a tie
LEVEL = 0.005  # a difference that shows as 0 %
# How much of the prediction's error two layouts share. Assumed: one accelerator and model are fitted together, one
# accelerator or one model in part; of two that share neither the fit's own form remains.
SHARED_ALL, SHARED_PART, SHARED_NONE = 0.9, 0.6, 0.3


class Judged(Protocol):
    """A solved layout: what a ranking reads of it."""

    @property
    def name(self) -> str:
        """What sentences call it."""

    @property
    def blocked(self) -> Sequence[str]:
        """Why it cannot be built as drawn."""

    @property
    def misses(self) -> Sequence[str]:
        """Latency targets that it misses."""

    @property
    def figures(self) -> Mapping[str, float | None]:
        """Its figures of merit."""

    @property
    def bands(self) -> Mapping[str, Sequence[float]]:
        """Low and high end of the figures that have a band."""

    @property
    def served(self) -> frozenset[tuple[str, str]]:
        """Accelerators and models."""


class Found(Protocol):
    """A finding of rules or of a run."""

    @property
    def object_name(self) -> str:
        """What it is of."""

    @property
    def message(self) -> str:
        """What is wrong."""

    @property
    def severity(self) -> str:
        """How bad it is."""


J = TypeVar("J", bound=Judged)


@dataclass(frozen=True, slots=True, eq=False)
class Standing(Generic[J]):
    """Layouts in their order, and which of them nothing tells apart."""

    by: str  # the figure that ranks
    ranked: list[J]  # those that cannot be built come last
    ties: list[list[J]]

    @property
    def able(self) -> list[J]:
        """Those that can be built, best first."""
        return [one for one in self.ranked if not one.blocked]

    @property
    def level(self) -> list[J]:
        """Those that cannot be told apart from the first, itself among them; empty where it is ahead."""
        able = self.able
        return next((tie for tie in self.ties if able and tie[0] is able[0]), [])

    @property
    def winner(self) -> J | None:
        """The one to build; None where the first is not ahead, misses its targets or has no figure."""
        able = self.able
        if not able or able[0].misses or self.level or able[0].figures.get(self.by) is None:
            return None
        return able[0]


def standing(judged: Iterable[J], by: str = RANKED_BY) -> Standing[J]:
    """Return layouts in their order."""
    ranked = ranking(judged, by)
    return Standing(by, ranked, _ties([one for one in ranked if not one.blocked], by))


def ranking(judged: Iterable[J], by: str) -> list[J]:
    """Return the best first: blocked ones last, before them those that miss targets, then by the figure."""

    def key(one: J) -> tuple[bool, bool, float]:
        value = one.figures.get(by)
        worth = -np.inf if value is None else float(value) * (1 if BY_NAME[by].better == "higher" else -1)
        return bool(one.blocked), bool(one.misses), -worth

    return sorted(judged, key=key)


def _ties(able: Sequence[J], by: str) -> list[list[J]]:
    """Return groups of neighbours in the ranking that cannot be told apart by the figure that ranks."""
    groups: list[list[J]] = []
    for better, worse in zip(able, able[1:], strict=False):
        if bool(better.misses) != bool(worse.misses) or is_ahead(better, worse, by):
            continue
        if groups and groups[-1][-1] is better:
            if not is_ahead(groups[-1][0], worse, by):
                groups[-1].append(worse)
        else:
            groups.append([better, worse])
    return groups


def is_ahead(one: Judged, other: Judged, figure: str) -> bool:
    """Return whether the first is likely enough the better by a figure; also where one has none to compare."""
    difference = banded_difference(one, other, figure)
    return difference is None or difference[3] >= LIKELY


def banded_difference(one: Judged, other: Judged, figure: str) -> tuple[float, float, float, float] | None:
    """Return value, low, high of the first less the second, and how likely the first is the better; None without."""
    a, b = one.figures.get(figure), other.figures.get(figure)
    if a is None or b is None:
        return None
    sign = -1.0 if BY_NAME[figure].better == "lower" else 1.0
    band, other_band = one.bands.get(figure), other.bands.get(figure)
    if min(a, b) <= 0 or not band or not other_band or min(*band, *other_band) <= 0:
        better = 0.5 if a == b else float(sign * (a - b) > 0)
        return a - b, a - b, a - b, better
    spread = [float(np.log(high / low)) / (2 * Z80) for low, high in (band, other_band)]
    shared = _shared(one, other)
    variance = spread[0] ** 2 + spread[1] ** 2 - 2 * shared * spread[0] * spread[1]
    sigma = float(np.sqrt(max(variance, 0.0)))
    ratio = float(np.log(a / b))
    better = float(ndtr(sign * ratio / sigma)) if sigma > 0 else (0.5 if a == b else float(sign * ratio > 0))
    low, high = (b * float(np.expm1(ratio + z * sigma)) for z in (-Z80, Z80))
    return a - b, low, high, better


def _shared(one: Judged, other: Judged) -> float:
    if one.served == other.served:
        return SHARED_ALL
    if any({pair[i] for pair in one.served} & {pair[i] for pair in other.served} for i in (0, 1)):
        return SHARED_PART
    return SHARED_NONE


def served_pairs(rows: Iterable[WorkloadRow]) -> frozenset[tuple[str, str]]:
    """Return the accelerators and models of a result's use cases."""
    return frozenset((row.accelerator, row.model) for row in rows)


def blocking_reasons(found: Iterable[Found]) -> tuple[str, ...]:
    """Return why a layout in which that was found cannot be built as drawn."""
    return tuple(f"{one.object_name}: {one.message}" for one in found if one.severity == BLOCKING)


def missed_targets(rows: Iterable[WorkloadRow]) -> tuple[str, ...]:
    """Return the targets that a result's use cases miss, in words."""
    found = []
    for row in rows:
        if not row.feasible:
            found.append(f"{row.name} cannot be served: {row.reason}")
            continue
        for which, label in (("ttft", "time to first token"), ("itl", "inter-token latency")):
            value, target = getattr(row, f"{which}_p95_s"), getattr(row, f"target_{which}_s")
            if value is not None and target is not None and value > target * (1 + 1e-3):
                found.append(
                    f"{row.name}: p95 {label} {quantity_text(value, 's')}, target {quantity_text(target, 's')}"
                )
    return tuple(found)


def sentence(stands: Standing[Any], flips: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return which of at least one layout to build, by how much it is ahead, and what would turn that first."""
    able, by, winner = stands.able, stands.by, stands.winner
    label = BY_NAME[by].label.lower()
    apart = [one.name for one in stands.ranked if one.blocked]
    blocked = f" {', '.join(apart)} cannot be built as drawn." if apart else ""
    if not able:
        return f"None of these layouts can be built as drawn: {stands.ranked[0].name}: {stands.ranked[0].blocked[0]}"
    if able[0].misses:
        return f"No layout keeps its latency targets; {able[0].name} comes nearest by {label}.{blocked}"
    if able[0].figures.get(by) is None:
        return f"None of these runs has {label}: run them again, or ask them for less.{blocked}"
    if stands.level:
        value, *_, probability = banded_difference(able[0], able[1], by) or (0.0, 0.0, 0.0, 0.5)
        runner_up = able[1].figures.get(by)
        ahead = abs(value / runner_up) if runner_up else 0.0
        if ahead < LEVEL:
            return f"Too close to call: {able[0].name} and {able[1].name} are level in {label}.{blocked}"
        return (
            f"Too close to call: {able[0].name} is ahead of {able[1].name} by {percent_text(ahead)} in {label}, only "
            f"{likely_text(probability)}.{blocked}"
        )
    assert winner is not None
    if len(able) == 1:
        return f"Build {winner.name}: it alone can be built as drawn.{blocked}"
    other = able[1]
    if other.misses and not winner.misses:
        return f"Build {winner.name}: it keeps its latency targets and {other.name} does not.{blocked}"
    difference = banded_difference(winner, other, by)
    beside = other.figures.get(by)
    if difference is None or not beside:
        return f"Build {winner.name}: {other.name} has no {label}.{blocked}"
    value, *_, probability = difference
    share = abs(value / beside)
    more = "more" if value > 0 else "less"
    turned = ""
    if flips:
        flip = flips[0]
        to = f"{flip['to']:.3g} {flip['unit']}" if isinstance(flip["to"], float) else str(flip["to"])
        turned = f"; {flip['winner_then']} wins if {flip['input']} goes to {to}"
    return (
        f"Build {winner.name}: {percent_text(share)} {more} {label} than {other.name}, "
        f"{likely_text(probability)}{turned}.{blocked}"
    )


def likely_text(probability: float) -> str:
    """Return how likely something is, "79 % likely": rounded down, so that a tie stays below its limit."""
    if probability > 0.99:
        return f"over 99{GAP}% likely" if probability < 1 else "certain"
    return f"{int(probability * 100)}{GAP}% likely"


def percent_text(share: float) -> str:
    """Return a share to whole percents, "−31 %"."""
    return f"{'−' if share <= -0.005 else ''}{abs(share) * 100:,.0f}{GAP}%"
