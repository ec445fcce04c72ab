"""The joint states of a subsystem: which there are, how likely each is and what it leaves.

A state is a row of numbers: failed units of each group, then for each calendar which of its groups has a unit in a
planned outage (0 for none, else one more than its place on the calendar).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

from power_cooling.availability.capacity_functions import unit_codes
from power_cooling.availability.kernels import balance, find_rows, hashed
from power_cooling.availability.repairable import FloatArray, IntArray, RepairableGroups, Subsystem

FULL = 1 - 1e-12  # capacities from here on count as undisturbed
_NEGLIGIBLE = 1e-13  # probability of all states left out of an enumeration
_BALANCED = 1e-12  # relative move of the last pass at which shared crews' probabilities count as solved
_MAX_PASSES = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class StateTable:
    """The enumerated states of a subsystem."""

    subsystem: Subsystem
    pmfs: list[FloatArray]  # of each column's values, by itself
    states: IntArray  # (n_states, n_columns), sorted by code
    codes: NDArray[np.uint64]
    places: IntArray  # of the codes, `kernels.hashed`
    probability: FloatArray  # (n_states,)
    capacity: FloatArray  # (n_states,)
    ridden: FloatArray  # (n_states,), share of a degraded state's time that storage covers
    unexplored: float
    failures_per_year: FloatArray  # (n_groups,), unplanned
    event_h: FloatArray  # (n_groups,), capacity-hours per year


@dataclass(frozen=True, slots=True, eq=False)
class Moves:
    """One way to leave a state: how a column's value changes, and how often. Arrays have shape (n_states,)."""

    column: int
    jump: IntArray
    per_h: FloatArray


def tabulate(subsystem: Subsystem, max_states: int) -> StateTable:
    """Return the likely states of a subsystem; those with most failures are left out first.

    Raises
    ------
    ValueError
        If the capacity function returns another shape, NaN, or less than 0 or more than 1; names the subsystem.
    """
    groups = subsystem.groups
    n_groups = len(groups.names)
    pmfs = [groups.pmf(g) for g in range(n_groups)]
    states, probability = _likely_states(np.zeros((1, 0), dtype=np.int64), np.ones(1), pmfs, max_states)
    if 0 < subsystem.crews < groups.units.sum():
        probability = _with_shared_crews(subsystem, states, probability)
        pmfs = [
            np.bincount(states[:, g], probability, minlength=pmf.size).astype(np.float64) for g, pmf in enumerate(pmfs)
        ]
    pmfs += [calendar_pmf(groups, planned) for planned in groups.calendars()]
    too_many = len(states) * np.prod([float(pmf.size) for pmf in pmfs[n_groups:]]) > max_states
    if groups.calendars() and too_many:
        states, probability = _with_plans_that_matter(subsystem, states, probability, max_states)
    else:
        states, probability = _likely_states(states, probability, pmfs[n_groups:], max_states)
    codes = states.astype(np.uint64) @ unit_codes(len(pmfs))
    order = np.argsort(codes)
    states, codes, probability = states[order], codes[order], probability[order]
    capacity = capacity_of(subsystem, states)
    leaving = sum(moves.per_h for moves in outages(groups, states))
    leaving = leaving + subsystem.repairs_per_h(states[:, :n_groups]).sum(axis=1)
    for c, planned in enumerate(groups.calendars()):
        leaving += np.append(0.0, 1 / groups.maintenance_h[planned])[states[:, n_groups + c]]
    ridden = -np.expm1(-leaving * ride_through_s(subsystem, states) / 3600.0)
    mean_running = np.array([pmf @ np.arange(pmf.size - 1, -1, -1) for pmf in pmfs[:n_groups]])
    any_running = np.array([1 - pmf[-1] for pmf in pmfs[:n_groups]])
    left_out = 1 - float(probability.sum())
    # Events: a common cause is one event, however many units it takes.
    events = mean_running * (1 - groups.common_cause_frac) + any_running * groups.common_cause_frac
    failures_per_year = events * groups.failures_per_year
    return StateTable(
        subsystem,
        pmfs,
        states,
        codes,
        hashed(codes),
        probability,
        capacity,
        np.where(capacity < FULL, ridden, 0.0),
        left_out if left_out > 1e-12 else 0.0,  # the rest is rounding
        failures_per_year,
        failures_per_year * groups.event_loss_h,
    )


def outages(groups: RepairableGroups, states: IntArray) -> list[Moves]:
    """Return how states are left by failures, common causes and the beginning of planned outages."""
    found = []
    alone = (1 - groups.common_cause_frac) * groups.failures_per_h
    common = groups.common_cause_frac * groups.failures_per_h
    for g in range(len(groups.names)):
        running = groups.units[g] - states[:, g]
        found.append(Moves(g, np.ones_like(running), running * alone[g]))
        if common[g] > 0:
            found.append(Moves(g, running, (running > 0) * common[g]))
    for c, planned in enumerate(groups.calendars()):
        column = len(groups.names) + c
        free, pmf = states[:, column] == 0, calendar_pmf(groups, planned)
        for k, g in enumerate(planned, start=1):
            per_h = pmf[k] / pmf[0] / groups.maintenance_h[g]
            found.append(Moves(column, np.full(len(states), k), free * per_h))
    return found


def rows_without_plans(table: StateTable, rows: IntArray) -> IntArray:
    """Return the rows of the same failures beside no planned outage, -1 where the table has none."""
    n_groups = len(table.subsystem.groups.names)
    steps = unit_codes(table.states.shape[1])[n_groups:]
    return _rows_of(table, table.codes[rows] - table.states[rows, n_groups:].astype(np.uint64) @ steps)


def _rows_of(table: StateTable, codes: NDArray[np.uint64]) -> IntArray:
    rows = np.empty(codes.size, dtype=np.int64)
    find_rows(codes, table.codes, table.places, rows)
    return rows


def capacity_of(subsystem: Subsystem, states: IntArray) -> FloatArray:
    """Return what states leave, shape (n_states,).

    A planned outage takes any of its group's units: where some have failed it may be one of these, so that the state
    leaves the mean of both.
    """
    n_groups = len(subsystem.groups.names)
    failed = states[:, :n_groups]
    planned = _planned_out(subsystem.groups, states)
    if not planned.any():
        return _checked(subsystem, failed)
    both = planned & (failed > 0)
    rows = np.flatnonzero(both.any(axis=1))
    among_failed = np.prod(np.where(both, failed / subsystem.groups.units, 1.0)[rows], axis=1)
    apart = np.minimum(failed + planned, subsystem.groups.units)
    same = failed[rows] + (planned & ~both)[rows]
    left = _checked(subsystem, np.vstack([apart, same]))
    capacity, if_same = left[: len(states)], left[len(states) :]
    capacity[rows] += among_failed * (if_same - capacity[rows])
    return capacity


def ride_through_s(subsystem: Subsystem, states: IntArray) -> FloatArray:
    """Return how long storage covers each state, the least of the groups that are out [s]; 0 where none is."""
    if not subsystem.ride_through_s.any():
        return np.zeros(len(states))
    lost = (states[:, : len(subsystem.groups.names)] > 0) | _planned_out(subsystem.groups, states)
    least = np.where(lost, subsystem.ride_through_s, np.inf).min(axis=1)
    return np.where(np.isfinite(least), least, 0.0)


def _planned_out(groups: RepairableGroups, states: IntArray) -> NDArray[np.bool_]:
    """Return which groups have a unit in a planned outage, shape (n_states, n_groups)."""
    in_outage = np.zeros((len(states), len(groups.names)), dtype=bool)
    for c, planned in enumerate(groups.calendars()):
        which = states[:, len(groups.names) + c]
        rows = np.flatnonzero(which)
        in_outage[rows, planned[which[rows] - 1]] = True
    return in_outage


def calendar_pmf(groups: RepairableGroups, planned: IntArray) -> FloatArray:
    """Return the shares of a year with nothing in a planned outage, and with a unit of each group on the calendar."""
    shares = groups.planned_frac[planned]
    return np.append(1 - shares.sum(), shares)


def _checked(subsystem: Subsystem, failed: IntArray) -> FloatArray:
    capacity = np.asarray(subsystem.capacity_frac(failed), dtype=np.float64)
    if capacity.shape != (failed.shape[0],):
        raise ValueError(
            f"capacity of subsystem {subsystem.name!r} has shape {capacity.shape}; ({failed.shape[0]},) needed"
        )
    wrong = ~((capacity >= -1e-9) & (capacity <= 1 + 1e-9))
    if np.any(wrong):
        at = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"capacity of subsystem {subsystem.name!r} with {failed[at].tolist()} failed units is {capacity[at]:g}; "
            "must be in [0, 1]"
        )
    return np.clip(capacity, 0.0, 1.0)


def _likely_states(
    kept: IntArray, weight: FloatArray, pmfs: list[FloatArray], max_states: int
) -> tuple[IntArray, FloatArray]:
    """Return joint states and their probabilities, the least likely left out where negligible or too many."""
    steps: list[tuple[IntArray, IntArray]] = []  # of each column: rows of the states before it, and its values
    for pmf in pmfs:
        size = weight.size * pmf.size
        least = _NEGLIGIBLE / (size * len(pmfs)) if size > max_states else np.nextafter(_NEGLIGIBLE**2, 1.0)
        values = np.flatnonzero(pmf * weight.max() >= least)  # others are negligible beside any state
        flat = (weight[:, None] * pmf[values]).ravel()
        chosen = np.flatnonzero(flat >= least)
        if chosen.size > max_states:
            likely = flat[chosen]
            chosen = chosen[likely >= np.partition(likely, -max_states)[-max_states]]
        row, place = np.divmod(chosen, values.size)
        steps.append((row, values[place]))
        weight = flat[chosen]
    states = np.empty((weight.size, kept.shape[1] + len(steps)), dtype=np.int64)
    at = np.arange(weight.size)
    for column in range(states.shape[1] - 1, kept.shape[1] - 1, -1):
        row, value = steps[column - kept.shape[1]]
        states[:, column], at = value[at], row[at]
    states[:, : kept.shape[1]] = kept[at]
    return states, weight


def _with_plans_that_matter(
    subsystem: Subsystem, failed: IntArray, weight: FloatArray, max_states: int
) -> tuple[IntArray, FloatArray]:
    """Return failure states beside none and beside one planned outage, for what is too many beside all of them.

    A planned outage stands apart only in failure states in which it adds to what it and a group that has failed cost by
    themselves; all others count with the same failures beside no planned outage.
    """
    groups, n_groups = subsystem.groups, failed.shape[1]
    calendars = groups.calendars()
    plans = [(n_groups + c, k) for c, planned in enumerate(calendars) for k in range(1, planned.size + 1)]
    share = np.concatenate([groups.planned_frac[planned] for planned in calendars])
    columns = n_groups + len(calendars)
    # Every plan beside every group with one, two, three and all of its units failed, and each of both by itself.
    tried = [(g, v) for g in range(n_groups) for v in sorted({1, 2, 3, int(groups.units[g])}) if v <= groups.units[g]]
    probe = np.zeros((1 + len(plans), 1 + len(tried), columns), dtype=np.int64)
    for p, (column, k) in enumerate(plans, start=1):
        probe[p, :, column] = k
    for t, (g, v) in enumerate(tried, start=1):
        probe[:, t, g] = v
    left = capacity_of(subsystem, probe.reshape(-1, columns)).reshape(probe.shape[:2])
    adds = np.abs(left[1:] - left[:1]) > 1 - FULL
    matters = np.zeros((len(plans), n_groups), dtype=bool)
    for t, (g, _) in enumerate(tried, start=1):
        matters[:, g] |= adds[:, t]
    row, plan = np.nonzero(((failed > 0) @ matters.T) | adds[:, 0])
    chance = weight[row] * share[plan]
    kept = np.argsort(-chance, kind="stable")[:max_states]
    row, plan, chance = row[kept], plan[kept], chance[kept]
    states = np.zeros((len(failed) + kept.size, columns), dtype=np.int64)
    states[:, :n_groups] = np.vstack([failed, failed[row]])
    place = np.array(plans)[plan]
    states[len(failed) + np.arange(kept.size), place[:, 0]] = place[:, 1]
    return states, np.append(weight - np.bincount(row, chance, minlength=len(failed)), chance)


def _with_shared_crews(subsystem: Subsystem, states: IntArray, weight: FloatArray) -> FloatArray:
    """Return the probability of failure states whose repairs share crews.

    The Markov chain of the states is balanced from the probabilities that a crew for each repair would give: each pass
    sets every state in turn to its inflow over its rate of leaving. Nothing leaves for the states left out.
    """
    n, n_groups = states.shape
    groups, steps = subsystem.groups, unit_codes(n_groups)
    codes = states.astype(np.uint64) @ steps
    places = hashed(codes)
    mended = subsystem.repairs_per_h(states)
    links: list[tuple[IntArray, IntArray, FloatArray]] = []  # origin, target, per hour

    def with_fewer_failed(rows: IntArray, g: int, fewer: IntArray) -> tuple[IntArray, IntArray]:
        at = np.empty(rows.size, dtype=np.int64)
        find_rows(codes[rows] - fewer.astype(np.uint64) * steps[g], codes, places, at)
        return rows[at >= 0], at[at >= 0]

    for g in range(n_groups):
        rate, beta, units = groups.failures_per_h[g], groups.common_cause_frac[g], int(groups.units[g])
        some = np.flatnonzero(states[:, g])
        rows, at = with_fewer_failed(some, g, np.ones_like(some))
        links.append((rows, at, mended[rows, g]))
        links.append((at, rows, (units - states[at, g]) * (1 - beta) * rate))
        everything = np.flatnonzero(states[:, g] == units)
        if beta > 0 and everything.size:
            fewer = np.repeat(np.arange(1, units + 1), everything.size)
            rows, at = with_fewer_failed(np.tile(everything, units), g, fewer)
            links.append((at, rows, np.full(rows.size, beta * rate)))
    origin, target, per_h = (np.concatenate(part) for part in zip(*links, strict=True))
    flow = coo_array((per_h, (target, origin)), shape=(n, n)).tocsr()
    leaving = np.asarray(flow.sum(axis=0), dtype=np.float64).ravel()
    if not np.all(leaving > 0):  # a single state
        return weight
    probability = weight / weight.sum()
    starts, origins = flow.indptr.astype(np.int64), flow.indices.astype(np.int64)
    balance(starts, origins, flow.data, leaving, probability, _BALANCED, _MAX_PASSES)
    return probability * weight.sum()
