"""Drawn years of a subsystem: when its units fail, are repaired and in planned outages, and when capacity is short.

A planned outage that costs nothing by itself is drawn only while something else is broken, since it matters only then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from power_cooling.availability.capacity_functions import unit_codes
from power_cooling.availability.kernels import leaving_rates, next_events
from power_cooling.availability.repairable import FloatArray, IntArray
from power_cooling.availability.states import FULL, StateTable, capacity_of, ride_through_s
from power_cooling.site_facts.calendar import HOURS_PER_YEAR

_FORGOTTEN = 5.0  # mean lengths of a planned outage after which its calendar no longer tells where it was


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """Stretches of drawn years. Arrays have shape (n_spans,), in the order of years and hours."""

    year: IntArray
    start_h: FloatArray
    end_h: FloatArray


Events = tuple[IntArray, FloatArray, IntArray, IntArray]  # years, hours, columns, changes of their values


def draw_years(tables: list[StateTable], n: int, rng: np.random.Generator) -> tuple[FloatArray, IntArray]:
    """Return lost capacity-hours and failures of `n` years, both of shape (n,)."""
    lost, failures, short = np.zeros(n), np.zeros(n, dtype=np.int64), []
    for table in tables:
        spans, missing_frac, unplanned = draw_shortages(table, n, rng)
        lost += unplanned @ table.subsystem.groups.event_loss_h
        failures += unplanned.sum(axis=1)
        short.append((spans, missing_frac))
    if not short:
        return lost, failures
    # The site misses what the subsystem misses that is worst off at the time.
    years = np.concatenate([np.tile(spans.year, 2) for spans, _ in short])
    hours = np.concatenate([np.append(spans.start_h, spans.end_h) for spans, _ in short])
    source = np.repeat(np.arange(len(short)), [2 * spans.year.size for spans, _ in short])
    missing = np.concatenate([np.append(missing_frac, np.zeros_like(missing_frac)) for _, missing_frac in short])
    order = np.lexsort((missing > 0, hours, years))  # where one span ends as the next begins, first the end
    years, hours, source, missing = years[order], hours[order], source[order], missing[order]
    worst = np.zeros(years.size)
    for at in range(len(short)):
        last = np.maximum.accumulate(np.where(source == at, np.arange(1, years.size + 1), 0))
        worst = np.maximum(worst, np.append(0.0, missing)[last])
    # After the last end of a year nothing is missing, so that the step into the next year counts as nothing.
    lost += np.bincount(years, worst * np.diff(hours, append=0.0), minlength=n)
    return lost, failures


def draw_shortages(table: StateTable, n: int, rng: np.random.Generator) -> tuple[Spans, FloatArray, IntArray]:
    """Return when a subsystem leaves less than all, what is missing then, and each group's failures of each year."""
    groups, n_groups = table.subsystem.groups, len(table.subsystem.groups.names)
    whole = Spans(np.arange(n), np.zeros(n), np.full(n, HOURS_PER_YEAR))
    failures, unplanned = _draw_failures(table, whole, rng)
    parts = [failures]
    for c, planned in enumerate(groups.calendars()):
        plan = n_groups + c
        apart_h = _FORGOTTEN * float(groups.maintenance_h[planned].max())
        spans = whole if _costs_alone(table, plan) else _busy(failures, apart_h)
        parts += _draw_calendar(table, plan, planned, spans, rng)
    nothing = np.zeros(n, dtype=np.int64)
    parts += [(whole.year, bound_h, nothing, nothing) for bound_h in (whole.start_h, whole.end_h)]
    years, hours, column, change = _in_order(parts)
    steps = unit_codes(table.states.shape[1])
    codes = np.cumsum(change.astype(np.uint64) * steps[column])
    lasting = np.flatnonzero((np.diff(hours, append=0.0) > 0) & (np.diff(years, append=-1) == 0))
    _, first, index = np.unique(codes[lasting], return_index=True, return_inverse=True)
    states = np.empty((first.size, steps.size), dtype=np.int64)
    by_column = np.argsort(column, kind="stable")
    ends = np.cumsum(np.bincount(column, minlength=steps.size))
    for k, rows in enumerate(np.split(by_column, ends[:-1])):
        values = np.append(0, np.cumsum(change[rows]))
        states[:, k] = values[np.searchsorted(rows, lasting[first], side="right")]
    missing = (1 - capacity_of(table.subsystem, states))[index]
    start_h = hours[lasting] + (ride_through_s(table.subsystem, states) / 3600.0)[index]
    end_h = hours[lasting + 1]
    short = (missing > 0) & (end_h > start_h)
    return Spans(years[lasting][short], start_h[short], end_h[short]), missing[short], unplanned


def _in_order(parts: list[Events]) -> Events:
    years, hours, column, change = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.lexsort((hours, years))
    return years[order], hours[order], column[order], change[order]


def _draw_failures(table: StateTable, whole: Spans, rng: np.random.Generator) -> tuple[Events, IntArray]:
    """Return failures and repairs of all groups, each year from the steady state, and the failures of each year.

    All groups are drawn together, because they may share crews. Each year begins with events that set its state and
    ends with events that clear it.
    """
    subsystem, groups, n = table.subsystem, table.subsystem.groups, whole.year.size
    n_groups = len(groups.names)
    alone = (1 - groups.common_cause_frac) * groups.failures_per_h
    common = groups.common_cause_frac * groups.failures_per_h
    chance = np.cumsum(table.probability)
    rows = np.searchsorted(chance, rng.random(n) * chance[-1], side="right").clip(0, chance.size - 1)
    state = table.states[rows, :n_groups].copy()
    unplanned = np.zeros((n, n_groups), dtype=np.int64)
    parts = [_set(whole.year, whole.start_h, state)]
    clock, active = whole.start_h.copy(), np.arange(n)
    crews = (groups.units, groups.crews, groups.repair_h, subsystem.crews)
    while active.size:
        mended, leaving = np.empty((active.size, n_groups)), np.empty(active.size)
        leaving_rates(state, active, *crews, alone, common, mended, leaving)
        with np.errstate(divide="ignore"):
            clock[active] += rng.standard_exponential(active.size) / leaving
        within = clock[active] < HOURS_PER_YEAR
        active, mended = active[within], mended[within]
        column, change = np.empty(active.size, dtype=np.int64), np.empty(active.size, dtype=np.int64)
        drawn = rng.random(active.size) * leaving[within]
        next_events(state, active, groups.units, alone, common, mended, drawn, column, change)
        state[active, column] += change
        unplanned[active, column] += change > 0
        parts.append((active, clock[active], column, change))
    parts.append(_set(whole.year, whole.end_h, -state))
    years, hours, column, change = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(years, kind="stable")  # of each year they were drawn in order
    return (years[order], hours[order], column[order], change[order]), unplanned


def _set(years: IntArray, hours: FloatArray, change: IntArray) -> Events:
    """Return events that change all columns of each year, where there is something to change."""
    row, column = np.nonzero(change)
    return years[row], hours[row], column, change[row, column]


def _costs_alone(table: StateTable, column: int) -> bool:
    """Return whether any planned outage of a calendar leaves less than all with nothing else out."""
    others = np.delete(table.states, column, axis=1)
    alone = (table.states[:, column] > 0) & ~others.any(axis=1)
    return bool(np.any(table.capacity[alone] < FULL))


def _busy(failures: Events, apart_h: float) -> Spans:
    """Return when anything has failed; spans that follow each other by less than `apart_h` are one."""
    years, hours, _, change = failures
    broken = np.cumsum(change)
    begins = np.flatnonzero((broken > 0) & (np.append(0, broken[:-1]) == 0))
    over = np.flatnonzero((broken == 0) & (np.append(0, broken[:-1]) > 0))
    year, start_h, end_h = years[begins], hours[begins], hours[over]
    apart = np.append(True, (year[1:] != year[:-1]) | (start_h[1:] - end_h[:-1] > apart_h))[: year.size]
    first = np.flatnonzero(apart)
    last = np.append(first[1:], year.size)[: first.size] - 1
    return Spans(year[first], start_h[first], end_h[last])


def _draw_calendar(
    table: StateTable, column: int, planned: IntArray, spans: Spans, rng: np.random.Generator
) -> Iterator[Events]:
    """Yield beginnings and ends of planned outages within spans, each from the steady state and cleared at its end."""
    length_h, share = table.subsystem.groups.maintenance_h[planned], table.pmfs[column]
    turn = np.cumsum(share[1:] / length_h)  # how often each begins, relative
    mean_h = np.append(share[0] / turn[-1], length_h)  # in each value of the column
    chance = np.cumsum(share)
    value = np.searchsorted(chance, rng.random(spans.year.size) * chance[-1], side="right").clip(0, share.size - 1)
    clock, active = spans.start_h.copy(), np.arange(spans.year.size)
    change = value.copy()
    while active.size:
        moved = change != 0
        rows = active[moved]
        yield spans.year[rows], clock[rows], np.full(rows.size, column), change[moved]
        clock[active] += rng.standard_exponential(active.size) * mean_h[value[active]]
        active = active[clock[active] < spans.end_h[active]]
        begun = 1 + np.searchsorted(turn, rng.random(active.size) * turn[-1], side="right").clip(0, turn.size - 1)
        change = np.where(value[active] > 0, -value[active], begun)
        value[active] += change
    ends = np.flatnonzero(value)
    yield spans.year[ends], spans.end_h[ends], np.full(ends.size, column), -value[ends]
