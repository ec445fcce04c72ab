"""Where things stand on the charts that a page and a report both draw: waterfall, energy flow, year map, duration.

Numbers only: Plotly's renderer (`run`, `comparison`) and the report's (`twin.core.report.charts`) give them sizes,
colours and fonts of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from power_cooling.site_facts.calendar import days_of_months
from twin.core.comparison.compare import Waterfall
from twin.core.results.details import FlowRow
from twin.core.text.numbers import FACTORS, PREFIXED, PREFIXES

HOURS_PER_DAY = 24
HOUR_TICKS = (0, 6, 12, 18)
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
N_STEPS = 8  # of a waterfall, largest first; smaller ones are gathered
ZOOMED_FRAC = 0.4  # of the axis: steps that stay above it are drawn without the empty part below
LEAST_FLOW_FRAC = 0.2  # of the largest column: columns of a trickle are not blown up to the whole height


def display_scale(values: NDArray[np.floating], unit: str) -> tuple[float, str]:
    """Return the factor and the unit for an axis, e.g. (1e-6, "MW"), from the largest size on it."""
    factor = FACTORS.get(unit, 1.0)
    smallest, largest, apart = PREFIXED.get(unit, (0, 0, False))
    top = float(np.nanmax(np.abs(values), initial=0.0)) * factor
    if not top or not (smallest or largest):
        return factor, unit
    power = min(max(int(np.floor(np.log10(top) / 3 + 1e-12)), smallest), largest)
    prefix = PREFIXES[power]
    return factor / 1000.0**power, f"{prefix} {unit}" if apart and prefix else f"{prefix}{unit}"


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a waterfall, in the unit of its figure."""

    name: str
    start: float
    end: float
    is_total: bool

    @property
    def change(self) -> float:
        """What a step adds; of a total the whole."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Fall:
    """A waterfall: a total, steps, a total; and the part of the axis that is drawn."""

    bars: tuple[Bar, ...]
    low: float
    high: float

    @property
    def from_zero(self) -> bool:
        """Whether the axis begins at zero, so that lengths compare."""
        return self.low <= 0


def waterfall(fall: Waterfall, start: str, end: str, n_steps: int = N_STEPS) -> Fall:
    """Return the bars from one run's figure to another's; the axis leaves out the part below all steps if it is large.

    Parameters
    ----------
    fall : Waterfall
    start, end : str
        Names of the two runs.
    n_steps : int
        Steps that are shown; the rest is one more.
    """
    steps = [(step.name, step.change) for step in fall.steps[:n_steps]]
    if rest := fall.steps[n_steps:]:
        steps.append(("everything else", sum(step.change for step in rest)))
    bars, at = [Bar(start, 0.0, fall.start, True)], fall.start
    for name, change in steps:
        bars.append(Bar(name, at, at + change, False))
        at += change
    bars.append(Bar(end, 0.0, fall.end, True))
    levels = np.array([bar.end for bar in bars])
    span, least, most = float(np.ptp(levels)), float(levels.min()), float(levels.max())
    floor = least - 1.5 * span
    if span and floor > ZOOMED_FRAC * most:
        return Fall(tuple(bars), floor, most + 0.25 * span)
    return Fall(tuple(bars), min(0.0, least), max(0.0, most))


@dataclass(frozen=True, slots=True)
class FlowNode:
    """One node of an energy flow; `top` and `height` are shares of the drawing, down."""

    name: str
    energy_j: float
    column: int
    top: float
    height: float
    category: int  # of the colours, from 1


@dataclass(frozen=True, slots=True)
class FlowBand:
    """One flow between two nodes; heights where it leaves and enters, shares of the drawing, down."""

    source: int
    target: int
    energy_j: float
    leaves: float
    enters: float
    thickness: float


@dataclass(frozen=True, slots=True)
class EnergyFlow:
    """Energy from the grid to tokens and losses, in columns."""

    nodes: tuple[FlowNode, ...]
    bands: tuple[FlowBand, ...]
    n_columns: int


def energy_flow(flows: Sequence[FlowRow], gap: float) -> EnergyFlow | None:
    """Return the year's energy as bands whose width is energy, None without any.

    Parameters
    ----------
    flows : sequence of FlowRow
        A source stands before what it feeds.
    gap : float
        Room between two nodes of a column, share of the drawing.
    """
    if not flows:
        return None
    column: dict[str, int] = {}
    for flow in flows:
        column.setdefault(flow.source, 0)
        column[flow.target] = max(column.get(flow.target, 0), column[flow.source] + 1)
    given = {name: sum(f.energy_j for f in flows if f.source == name) for name in column}
    taken = {name: sum(f.energy_j for f in flows if f.target == name) for name in column}
    energy = {name: max(given[name], taken[name]) for name in column}
    stacks = [[name for name in column if column[name] == i] for i in range(max(column.values()) + 1)]
    sums = [sum(energy[name] for name in stack) for stack in stacks]
    largest = max(*sums, 1e-300)
    scale = min(
        (1 - gap * (len(stack) - 1)) / max(joules, LEAST_FLOW_FRAC * largest)
        for stack, joules in zip(stacks, sums, strict=True)
    )
    top: dict[str, float] = {}
    for stack in stacks:
        at = 0.0
        for name in stack:
            top[name] = at
            at += energy[name] * scale + gap
    number = {name: i for i, name in enumerate(column)}
    leaves, enters, bands = dict(top), dict(top), []
    for flow in flows:
        source, target, thickness = flow.source, flow.target, flow.energy_j * scale
        bands.append(FlowBand(number[source], number[target], flow.energy_j, leaves[source], enters[target], thickness))
        leaves[source] += thickness
        enters[target] += thickness
    nodes = tuple(
        FlowNode(name, energy[name], column[name], top[name], energy[name] * scale, node_category(name))
        for name in column
    )
    return EnergyFlow(nodes, tuple(bands), len(stacks))


def node_category(name: str) -> int:
    """Return the category of an energy-flow node: losses and cooling apart from what ends in tokens."""
    lowered = name.lower()
    for number, words in (
        (6, ("loss", "ups", "transformer", "shel", "distribution")),
        (5, ("cool", "fan", "pump", "chiller", "tower", "rejection", "air", "cdu")),
        (3, ("token",)),
        (2, ("idle", "leak", "static")),
    ):
        if any(word in lowered for word in words):
            return number
    return 1


def days_of(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return hours as (n_days, 24), the last day filled with NaN where the year does not end at midnight."""
    values = np.asarray(values, dtype=float)
    missing = -values.size % HOURS_PER_DAY
    return np.concatenate([values, np.full(missing, np.nan)]).reshape(-1, HOURS_PER_DAY)


def year_map(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return hours as a map of the year: day across, hour up, shape (24, n_days)."""
    return days_of(values).T


def month_starts(n_hours: int) -> tuple[int, ...]:
    """Return the first day of each month, from 0, in a year of that many hours."""
    return (0, *accumulate(days_of_months(n_hours)[:-1]))


def month_spans(n_hours: int) -> list[tuple[str, slice]]:
    """Return the hours of each month that a series of that many hours reaches."""
    edges = np.minimum([*(HOURS_PER_DAY * day for day in month_starts(n_hours)), n_hours], n_hours).tolist()
    return [(name, slice(a, b)) for name, a, b in zip(MONTHS, edges[:-1], edges[1:], strict=True) if a < b]


def duration(values: NDArray[np.floating], n_points: int) -> tuple[NDArray[np.int_], NDArray[np.floating]]:
    """Return the duration curve: for how many hours the series is at least how high, highest first."""
    values = np.asarray(values, dtype=float)
    ordered = np.sort(values[np.isfinite(values)])[::-1]
    at = np.unique(np.linspace(0, ordered.size - 1, min(n_points, ordered.size)).round().astype(int))
    return at + 1, ordered[at]
