"""Token capacity over years of failures and repairs: the exact distribution, what each component costs, Monte Carlo.

How to call it (stable)::

    power = Subsystem("power", RepairableGroups(names=("UPS", "busway"), units=[4, 8], failures_per_year=[0.035, 0.02],
                      repair_h=[8, 13], common_cause_frac=0.02), capacity_frac)
    result = solve_availability((power, cooling, compute), tokens_per_s=2.1e6)
    draw = simulate_availability((power, cooling, compute), n_years=4000, rng=np.random.default_rng(1))

A subsystem is a set of groups of alike repairable units, and the share of the site's token capacity that is left for
each number of failed units in each group: ``capacity_frac(failed: (n_states, n_groups) int) -> (n_states,)``. It is
called once with every state that matters, so that a failure enumeration or the coupled solver can answer them together;
`capacity_functions` makes one from arrays or from a table of solved states. Subsystems fail independently of each other
and the site's capacity is the least of theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from power_cooling.availability_states import (
    FULL,
    StateTable,
    capacity_of,
    outages,
    ride_through_s,
    tabulate,
)
from power_cooling.capacity_functions import unit_codes
from power_cooling.reliability import HOURS_PER_YEAR
from power_cooling.repairable import FloatArray, IntArray, RepairableGroups, Subsystem

__all__ = ["AvailabilityDraw", "AvailabilityResult", "RepairableGroups", "Subsystem", "simulate_availability",
           "solve_availability"]  # fmt: skip

_QUIET = 1e-10  # a subsystem degraded for less than this share of time (3 ms a year) is not drawn state by state


@dataclass(frozen=True, slots=True, eq=False)
class AvailabilityResult:
    """Long-run token capacity. Component arrays are in the order of `component_names`."""

    availability_frac: float  # expected share of token capacity, event losses included
    lost_h_per_year: float  # expected hours of full capacity lost
    event_lost_h_per_year: float  # part of it from restarts and rolled-back work
    lost_tokens_per_year: float  # NaN without tokens_per_s
    capacity_frac: FloatArray  # (n_levels,), rising
    probability: FloatArray  # (n_levels,) of each level
    interruptions_per_year: float  # times the site leaves full capacity, ride-through not counted
    mean_interruption_h: float
    subsystem_names: tuple[str, ...]
    subsystem_availability_frac: FloatArray  # (n_subsystems,), expected capacity of each alone
    component_names: tuple[str, ...]  # "subsystem: group"
    component_failures_per_year: FloatArray
    component_lost_h_per_year: FloatArray  # what would be regained if the group never failed
    component_gain_h_per_year: FloatArray  # what one more unit of the group would regain
    planned_lost_h_per_year: float  # what would be regained without planned outages
    unexplored_frac: float  # probability of states left out; they count as no capacity

    def capacity_percentile(self, share: float) -> float:
        """Return the capacity that is reached or exceeded all but `share` of the time."""
        return float(self.capacity_frac[np.searchsorted(np.cumsum(self.probability), share)])


def solve_availability(
    subsystems: tuple[Subsystem, ...], *, tokens_per_s: float = np.nan, max_states: int = 50_000
) -> AvailabilityResult:
    """Return the long-run distribution of token capacity, and what each group costs.

    Parameters
    ----------
    subsystems : tuple of Subsystem
    tokens_per_s : float
        Tokens per second at full capacity, for `lost_tokens_per_year`.
    max_states : int
        Most failure states of one subsystem. Those with most failures are left out first; their probability is
        reported and counts as no capacity.

    Raises
    ------
    ValueError
        If a capacity function returns another shape, NaN, or less than 0 or more than 1; names the subsystem.
    """
    if not subsystems:
        raise ValueError("at least one subsystem is needed")
    tables = [tabulate(subsystem, max_states) for subsystem in subsystems]
    levels = np.unique(np.concatenate([[0.0, 1.0], *(table.capacity for table in tables)]))
    exceed = np.array([_exceedance(levels, table) for table in tables])
    # A subsystem alone against all others: what the site serves where this one leaves capacity c is the integral of
    # the others' chance to exceed each level up to c.
    lost_frac = float(np.diff(levels) @ (1 - np.prod(exceed[:, 1:], axis=0)))
    event_h = sum(float(table.event_h.sum()) for table in tables)
    names, failures, lost, gain, planned_lost = [], [], [], [], 0.0
    for at, table in enumerate(tables):
        groups = table.subsystem.groups
        others = np.prod(np.delete(exceed, at, axis=0), axis=0)
        served = np.concatenate([[0.0], np.cumsum(np.diff(levels) * others[1:])])
        short = (served[-1] - served[np.searchsorted(levels, table.capacity)]) * (1 - table.ridden)
        for column, pmf in enumerate(table.pmfs):
            # The column's own value re-weighted, all else as it is.
            by_value = np.bincount(table.states[:, column], table.probability * short, minlength=pmf.size)
            given = np.divide(by_value, pmf, out=np.zeros_like(pmf), where=pmf > 0)
            usual = float(by_value.sum())
            regained = HOURS_PER_YEAR * max(0.0, usual - given[0])
            if column >= len(groups.names):
                planned_lost += regained
                continue
            names.append(f"{table.subsystem.name}: {groups.names[column]}")
            failures.append(table.failures_per_year[column])
            lost.append(regained + table.event_h[column])
            spared = groups.pmf(column, extra_units=1)
            with_spare = (spared[0] + spared[1]) * given[0] + float(spared[2:] @ given[1:])
            gain.append(HOURS_PER_YEAR * max(0.0, usual - with_spare))
    joint = np.prod(exceed, axis=0)
    probability = joint - np.append(joint[1:], 0.0)
    held = probability > 0
    interruptions, full = _interruptions(tables)
    lost_h = HOURS_PER_YEAR * lost_frac + event_h
    return AvailabilityResult(
        availability_frac=1 - lost_h / HOURS_PER_YEAR,
        lost_h_per_year=lost_h,
        event_lost_h_per_year=event_h,
        lost_tokens_per_year=lost_h * 3600.0 * tokens_per_s,
        capacity_frac=levels[held],
        probability=probability[held],
        interruptions_per_year=interruptions,
        mean_interruption_h=HOURS_PER_YEAR * (1 - full) / interruptions if interruptions > 0 else 0.0,
        subsystem_names=tuple(subsystem.name for subsystem in subsystems),
        subsystem_availability_frac=1 - (1 - exceed[:, 1:]) @ np.diff(levels),
        component_names=tuple(names),
        component_failures_per_year=np.array(failures),
        component_lost_h_per_year=np.array(lost),
        component_gain_h_per_year=np.array(gain),
        planned_lost_h_per_year=planned_lost,
        unexplored_frac=float(sum(table.unexplored for table in tables)),
    )


def _exceedance(levels: FloatArray, table: StateTable) -> FloatArray:
    """Return the probability that a subsystem leaves each level or more; states left out leave nothing."""
    short = table.probability * (1 - table.ridden)
    mass = np.bincount(np.searchsorted(levels, table.capacity), short, minlength=levels.size)
    exceed = 1 - table.unexplored - np.concatenate([[0.0], np.cumsum(mass)[:-1]])
    exceed[0] = 1.0
    return np.clip(exceed, 0.0, 1.0)


def _interruptions(tables: list[StateTable]) -> tuple[float, float]:
    """Return how often a year the site leaves full capacity, and the share of time at full capacity."""
    frequencies, fulls = [], []
    for table in tables:
        probability, full = table.probability, table.capacity >= FULL
        steps = unit_codes(table.states.shape[1])
        rate = 0.0
        for moves in outages(table.subsystem.groups, table.states):
            rows = full & (moves.per_h > 0)
            to = table.codes[rows] + moves.jump[rows].astype(np.uint64) * steps[moves.column]
            at = np.minimum(np.searchsorted(table.codes, to), table.codes.size - 1)
            degraded = (table.codes[at] != to) | ~full[at]
            rate += float((probability[rows] * moves.per_h[rows]) @ degraded)
        frequencies.append(rate)
        fulls.append(float(probability[full].sum()))
    share = float(np.prod(fulls))
    others = [share / full if full > 0 else 0.0 for full in fulls]
    return HOURS_PER_YEAR * float(np.dot(frequencies, others)), share


@dataclass(frozen=True, slots=True, eq=False)
class AvailabilityDraw:
    """Simulated years. Arrays have shape (n_years,)."""

    availability_frac: float
    standard_error_frac: float  # of availability_frac, from the scatter of years
    lost_h: FloatArray  # hours of full capacity lost in each year
    lost_h_mean: float
    lost_h_p95: float
    failures: IntArray  # unplanned failures of any unit
    lost_tokens_p95: float  # NaN without tokens_per_s


def simulate_availability(
    subsystems: tuple[Subsystem, ...],
    *,
    n_years: int,
    rng: np.random.Generator,
    tokens_per_s: float = np.nan,
    block_years: int = 2000,
) -> AvailabilityDraw:
    """Draw years of failures and repairs, each starting in the steady state.

    All years of a block run in step: one vectorised draw per event of the busiest year. Capacity is asked for once for
    each distinct state that occurred. Of a subsystem that is practically never degraded (spare units beyond any likely
    number of failures) only the number of failures is drawn, for their event losses.

    Parameters
    ----------
    subsystems : tuple of Subsystem
    n_years : int
        Years drawn, independent of each other.
    rng : numpy Generator
    tokens_per_s : float
        Tokens per second at full capacity.
    block_years : int
        Years held in memory at a time.
    """
    if n_years < 2:
        raise ValueError(f"n_years is {n_years}; a standard error needs at least 2")
    tables = [tabulate(subsystem, 2_000) for subsystem in subsystems]
    quiet = [table for table in tables if _degraded_frac(table) < _QUIET]
    drawn = [table for table in tables if _degraded_frac(table) >= _QUIET]
    blocks = [_draw_years(drawn, min(block_years, n_years - first), rng) for first in range(0, n_years, block_years)]
    lost = np.concatenate([block[0] for block in blocks])
    failures = np.concatenate([block[1] for block in blocks])
    for table in quiet:
        counts = rng.poisson(table.failures_per_year, (n_years, table.failures_per_year.size))
        failures += counts.sum(axis=1)
        lost += counts @ table.subsystem.groups.event_loss_h
    p95 = float(np.percentile(lost, 95))
    return AvailabilityDraw(
        availability_frac=1 - float(lost.mean()) / HOURS_PER_YEAR,
        standard_error_frac=float(lost.std(ddof=1)) / np.sqrt(n_years) / HOURS_PER_YEAR,
        lost_h=lost,
        lost_h_mean=float(lost.mean()),
        lost_h_p95=p95,
        failures=failures,
        lost_tokens_p95=p95 * 3600.0 * tokens_per_s,
    )


def _degraded_frac(table: StateTable) -> float:
    return float(table.probability[table.capacity < FULL].sum()) + table.unexplored


def _draw_years(tables: list[StateTable], n: int, rng: np.random.Generator) -> tuple[FloatArray, IntArray]:
    """Return lost capacity-hours and failures of `n` years."""
    lost, failures = np.zeros(n), np.zeros(n, dtype=np.int64)
    # Events of all columns: year, hour, subsystem (-1: a mark that only splits an interval), column, change.
    events: list[tuple[NDArray, ...]] = []
    for at, table in enumerate(tables):
        years, hours, column, changes, unplanned = _draw_events(table, n, rng)
        lost += unplanned @ table.subsystem.groups.event_loss_h
        failures += unplanned.sum(axis=1)
        events.append((years, hours, np.full(years.size, at), column, changes))
        for ride_s in np.unique(table.subsystem.ride_through_s):
            ends = hours + ride_s / 3600.0
            marked = (ride_s > 0) & (ends < HOURS_PER_YEAR)  # whichever of these the state is covered for
            events.append(_marks(years[marked], ends[marked]))
    events.append(_marks(np.arange(n), np.full(n, HOURS_PER_YEAR)))
    years, hours, of, column, changes = (np.concatenate(part) for part in zip(*events, strict=True))
    order = np.lexsort((hours, years))
    years, hours, of, column, changes = years[order], hours[order], of[order], column[order], changes[order]
    length = np.diff(hours, append=HOURS_PER_YEAR)
    length[np.append(years[1:] != years[:-1], True)] = 0.0
    lasting = np.flatnonzero(length > 0)
    clock = years * HOURS_PER_YEAR + hours
    least = np.ones(lasting.size)
    for at, table in enumerate(tables):
        own = of == at
        n_columns = table.states.shape[1]
        moved = np.where(own, changes, 0).astype(np.uint64) * np.where(own, unit_codes(n_columns)[column * own], 0)
        _, first, index = np.unique(np.cumsum(moved)[lasting], return_index=True, return_inverse=True)
        states = np.empty((first.size, n_columns), dtype=np.int64)
        mine = np.flatnonzero(own)
        by_column = np.argsort(column[mine], kind="stable")
        ends = np.cumsum(np.bincount(column[mine], minlength=n_columns))
        for k, rows in enumerate(np.split(mine[by_column], ends[:-1])):
            values = np.append(0, np.cumsum(changes[rows]))  # each year begins with the change from the year before
            states[:, k] = values[np.searchsorted(rows, lasting[first], side="right")]
        capacity = capacity_of(table.subsystem, states)[index]
        ride_h = ride_through_s(table.subsystem, states)[index] / 3600.0
        if ride_h.any():
            since = np.maximum.accumulate(np.where(own, clock, -np.inf))[lasting]
            # A microsecond of slack: the mark was rounded when it was added to the hour of the change.
            rounding = 1e-13 * n * HOURS_PER_YEAR + 1e-9 / 3.6
            capacity[clock[lasting] < since + ride_h - rounding] = 1.0
        least = np.minimum(least, capacity)
    years, length = years[lasting], length[lasting]
    lost += np.bincount(years, length * (1 - least), minlength=n)
    return lost, failures


def _marks(years: IntArray, hours: FloatArray) -> tuple[NDArray, ...]:
    """Return events that change nothing but end the interval before them."""
    nothing = np.zeros(years.size, dtype=np.int64)
    return years, hours, nothing - 1, nothing, nothing


def _draw_events(
    table: StateTable, n: int, rng: np.random.Generator
) -> tuple[IntArray, FloatArray, IntArray, IntArray, IntArray]:
    """Return years, hours, columns and changes of a subsystem's events, and each group's unplanned failures per year.

    Each year begins at hour 0 with events that set its state, as changes from the last state of the year before: one of
    the first column even where that stays, so that every year begins with one.
    """
    chance = np.cumsum(table.probability)
    rows = np.searchsorted(chance, rng.random(n) * chance[-1], side="right").clip(0, chance.size - 1)
    start, n_groups = table.states[rows], len(table.subsystem.groups.names)
    last, unplanned = start.copy(), np.zeros((n, n_groups), dtype=np.int64)
    parts = list(_draw_failures(table.subsystem, last, unplanned, rng))
    for c, planned in enumerate(table.subsystem.groups.calendars()):
        parts += _draw_calendar(table, n_groups + c, planned, last, rng)
    first = start - np.vstack([np.zeros_like(start[:1]), last[:-1]])
    moved = first != 0
    moved[:, 0] = True
    year, column = np.nonzero(moved)
    parts.append((year, np.zeros(year.size), column, first[moved]))
    years, hours, columns, changes = (np.concatenate(part) for part in zip(*parts, strict=True))
    return years, hours, columns, changes, unplanned


Events = tuple[IntArray, FloatArray, IntArray, IntArray]  # years, hours, columns, changes


def _draw_failures(
    subsystem: Subsystem, last: IntArray, unplanned: IntArray, rng: np.random.Generator
) -> Iterator[Events]:
    """Yield failures and repairs, one of each year at a time; `last` is moved and `unplanned` counts failures.

    All groups are drawn together, because they may share crews.
    """
    groups, n_groups = subsystem.groups, unplanned.shape[1]
    alone = (1 - groups.common_cause_frac) * groups.failures_per_h
    common = groups.common_cause_frac * groups.failures_per_h
    clock, active = np.zeros(len(last)), np.arange(len(last))
    while active.size:
        failed = last[active, :n_groups]
        running = groups.units - failed
        rates = np.hstack([running * alone, (running > 0) * common, subsystem.repairs_per_h(failed)]).cumsum(axis=1)
        with np.errstate(divide="ignore"):
            clock[active] += rng.standard_exponential(active.size) / rates[:, -1]
        within = clock[active] < HOURS_PER_YEAR
        active, running, rates = active[within], running[within], rates[within]
        event = np.argmax(rates > (rng.random(active.size) * rates[:, -1])[:, None], axis=1)
        kind, column = np.divmod(event, n_groups)
        change = np.choose(kind, [1, running[np.arange(active.size), column], -1])
        last[active, column] += change
        unplanned[active, column] += kind < 2
        yield active, clock[active], column, change


def _draw_calendar(
    table: StateTable, column: int, planned: IntArray, last: IntArray, rng: np.random.Generator
) -> Iterator[Events]:
    """Yield beginnings and ends of planned outages, one of each year at a time; `last` is moved."""
    length_h = table.subsystem.groups.maintenance_h[planned]
    share = table.pmfs[column]
    begin_per_h = share[1:] / share[0] / length_h
    turn = np.cumsum(begin_per_h)
    mean_h = np.append(1 / turn[-1], length_h)  # in each value of the column
    clock, active = np.zeros(len(last)), np.arange(len(last))
    while active.size:
        now = last[active, column]
        clock[active] += rng.standard_exponential(active.size) * mean_h[now]
        within = clock[active] < HOURS_PER_YEAR
        active, now = active[within], now[within]
        drawn = 1 + np.searchsorted(turn, rng.random(active.size) * turn[-1], side="right").clip(0, turn.size - 1)
        change = np.where(now > 0, -now, drawn)
        last[active, column] += change
        yield active, clock[active], np.full(active.size, column), change
