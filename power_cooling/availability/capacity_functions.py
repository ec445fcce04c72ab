"""Token capacity left by numbers of failed units: what `availability.Subsystem` asks for.

Each maker returns a function of failed units, shape (n_states, n_groups), that gives the share of the site's token
capacity that is left, shape (n_states,).
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
CapacityFunction = Callable[[IntArray], FloatArray]


@lru_cache(maxsize=256)
def unit_codes(n_groups: int) -> NDArray[np.uint64]:
    """Return a number for one failed unit of each group; the sum over failed units, wrapped, stands for the state.

    The numbers are random, so that of 100,000 states two share a sum with a chance of 3e-10, and the same in every run.
    """
    codes = np.random.default_rng(493).integers(1, 2**64, n_groups, dtype=np.uint64)
    codes.flags.writeable = False  # it is kept
    return codes


def capacity_by_failed(capacity_frac: ArrayLike) -> CapacityFunction:
    """Return the capacity function of a single group from the capacity left with 0, 1, 2 … failed units.

    States beyond the table have its last value.
    """
    table = np.asarray(capacity_frac, dtype=np.float64)
    if table.ndim != 1 or table.size == 0:
        raise ValueError(f"capacity_frac has shape {table.shape}; one value for each number of failed units is needed")

    def look_up(failed: IntArray) -> FloatArray:
        if failed.shape[1] != 1:
            raise ValueError(f"a table of one group was asked for {failed.shape[1]} groups")
        return table[np.minimum(failed[:, 0], table.size - 1)]

    return look_up


def least_of_groups(tables: tuple[ArrayLike, ...]) -> CapacityFunction:
    """Return the capacity function of several groups, each alone limiting capacity by its own table."""
    columns = tuple(capacity_by_failed(table) for table in tables)

    def look_up(failed: IntArray) -> FloatArray:
        if failed.shape[1] != len(columns):
            raise ValueError(f"{len(columns)} tables were asked for {failed.shape[1]} groups")
        return np.min([column(failed[:, [i]]) for i, column in enumerate(columns)], axis=0)

    return look_up


def capacity_of_states(
    failed: ArrayLike,
    capacity_frac: ArrayLike,
    units: ArrayLike,
    cause_members: ArrayLike | None = None,
) -> CapacityFunction:
    """Return the capacity function of a table of solved failure states.

    Other states than those in the table lose the sum of what their groups lose alone, each group by the least solved
    number of failed units that is no fewer, and of what pairs of them that were solved lose beyond that; never less
    than any solved state with no more failed units. A group whose number was not reached alone leaves nothing.

    Parameters
    ----------
    failed : array_like of int, shape (n_states, n_groups)
        Failed units of each solved state.
    capacity_frac : array_like, shape (n_states,)
        What each leaves, in [0, 1].
    units : array_like of int, shape (n_groups,)
        Units of each group.
    cause_members : array_like of bool, shape (n_causes, n_groups), optional
        Common causes across groups. The function then takes n_groups + n_causes columns, the last ones 0 or 1: describe
        each cause as a group of one unit. An active cause takes all units of its members.

    Raises
    ------
    ValueError
        If shapes do not fit.
    """
    table = np.asarray(failed, dtype=np.int64)
    left = np.asarray(capacity_frac, dtype=np.float64)
    size = np.asarray(units, dtype=np.int64)
    if table.ndim != 2 or left.shape != (table.shape[0],) or size.shape != (table.shape[1],):
        raise ValueError(f"{table.shape} failed units, {left.shape} capacities and {size.shape} units do not fit")
    n_groups = size.size
    members = np.zeros((0, n_groups), dtype=bool) if cause_members is None else np.asarray(cause_members, dtype=bool)
    if members.ndim != 2 or members.shape[1] != n_groups:
        raise ValueError(f"cause_members has shape {members.shape}; (n_causes, {n_groups}) is needed")
    codes = table.astype(np.uint64) @ unit_codes(n_groups)
    order = np.argsort(codes, kind="stable")
    codes, known = codes[order], left[order]
    alone = np.count_nonzero(table, axis=1) == 1
    loss = np.ones((n_groups, int(size.max(initial=0)) + 1))
    for g in range(n_groups):
        loss[g, 0] = 0.0
        rows = np.flatnonzero(alone & (table[:, g] > 0))
        for row in rows[np.argsort(-table[rows, g], kind="stable")]:
            loss[g, 1 : table[row, g] + 1] = 1 - left[row]

    clusters = _clusters(table, 1 - left, loss)

    def look_up(asked: IntArray) -> FloatArray:
        if asked.shape[1] != n_groups + len(members):
            raise ValueError(f"a table of {n_groups} groups and {len(members)} causes was asked for {asked.shape[1]}")
        units_failed = asked[:, :n_groups].copy()
        for cause, taken in enumerate(members):
            rows = np.flatnonzero(asked[:, n_groups + cause])
            units_failed[rows] = np.where(taken, size, units_failed[rows])
        wanted = units_failed.astype(np.uint64) @ unit_codes(n_groups)
        at = np.minimum(np.searchsorted(codes, wanted), codes.size - 1)
        lost = loss[np.arange(n_groups), units_failed].sum(axis=1)
        unsolved = np.flatnonzero((codes[at] != wanted) & (np.count_nonzero(units_failed, axis=1) > 1))
        lost[unsolved] = _lost_together(units_failed[unsolved], lost[unsolved], clusters)
        return np.where(codes[at] == wanted, known[at], np.maximum(0.0, 1 - lost))

    return look_up


Cluster = tuple[NDArray[np.intp], list[tuple[IntArray, float, float]]]


def _clusters(table: IntArray, lost: FloatArray, alone: FloatArray) -> list[Cluster]:
    """Return the solved states of several groups that lose more than these alone, by their groups.

    Each as its numbers of failed units, what it loses, and what of that is beyond its groups alone.
    """
    found: dict[tuple[int, ...], list[tuple[IntArray, float, float]]] = {}
    for failed, loss in zip(table, lost, strict=True):
        groups = np.flatnonzero(failed)
        beyond = float(loss - alone[groups, failed[groups]].sum())
        if groups.size > 1 and beyond > 1e-12:
            found.setdefault(tuple(groups.tolist()), []).append((failed[groups], float(loss), beyond))
    return [(np.array(groups), states) for groups, states in found.items()]


def _lost_together(out: IntArray, lost: FloatArray, clusters: list[Cluster]) -> FloatArray:
    """Return what unsolved states lose, from what their groups lose alone and from the solved states they hold."""
    most, total = lost.copy(), lost.copy()
    for groups, states in clusters:
        rows = np.flatnonzero(np.all(out[:, groups] > 0, axis=1))
        if not rows.size:
            continue
        beyond = np.zeros(rows.size)
        for failed, loss, more in states:
            holds = np.all(out[np.ix_(rows, groups)] >= failed, axis=1)
            most[rows] = np.where(holds, np.maximum(most[rows], loss), most[rows])
            beyond = np.where(holds, np.maximum(beyond, more), beyond)
        if groups.size == 2:
            total[rows] += beyond
    return np.maximum(total, most)


def needed_units_capacity(units: int, needed: int) -> FloatArray:
    """Return min(1, running / needed) for 0 … `units` failed units."""
    if not 1 <= needed <= units:
        raise ValueError(f"needed is {needed}; must be between 1 and units {units}")
    return np.minimum(1.0, np.arange(units, -1, -1) / needed)


def best_switching(failed: ArrayLike, capacity_frac: ArrayLike) -> FloatArray:
    """Return what solved states leave if operators may also switch off what still works.

    A state then leaves at least what any state with the same and more failed units does, so that one more failure
    never raises capacity. Where a plant is far too small, protection alone may leave less with more of it running.

    Parameters
    ----------
    failed : array_like of int, shape (n_states, n_groups)
        Failed units of each solved state.
    capacity_frac : array_like, shape (n_states,)
        What protection leaves of each.
    """
    table, left = np.asarray(failed, dtype=np.int64), np.asarray(capacity_frac, dtype=np.float64)
    best = left.copy()
    alone = np.count_nonzero(table, axis=1) == 1
    if np.all(alone) and np.all(np.count_nonzero(table, axis=0) <= 1):
        return best  # no state has what another has and more
    with_group = [np.flatnonzero(column) for column in table.T]
    for i, row in enumerate(table):
        groups = np.flatnonzero(row)
        rows = min((with_group[g] for g in groups), key=len, default=np.arange(left.size))
        more = np.all(table[np.ix_(rows, groups)] >= row[groups], axis=1)
        best[i] = left[rows[more]].max()
    return best
