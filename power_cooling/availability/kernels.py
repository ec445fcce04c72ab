"""Loops over states and drawn years, compiled: states found by their codes, chains balanced, next events drawn.

As array operations the same took three quarters of a second of every run, whatever its racks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from power_cooling.availability.repairable import FloatArray, IntArray
from power_cooling.compiled import compiled, compiled_part

Codes = NDArray[np.uint64]
BoolArray = NDArray[np.bool_]


def hashed(codes: Codes) -> IntArray:
    """Return a hash table for `row_of`: rows at the places that their codes hash to, -1 where there is none."""
    places = np.full(4 << int(codes.size).bit_length(), -1, dtype=np.int64)
    _put(codes, places)
    return places


@compiled
def _put(codes: Codes, places: IntArray) -> None:
    mask = np.uint64(places.size - 1)
    for row in range(codes.size):
        place = codes[row] & mask
        while places[place] >= 0:
            place = (place + np.uint64(1)) & mask
        places[place] = row


@compiled_part
def row_of(code: np.uint64, codes: Codes, places: IntArray) -> int:
    """Return the row of a code, -1 where there is none."""
    mask = np.uint64(places.size - 1)
    place = code & mask
    while places[place] >= 0:
        if codes[places[place]] == code:
            return places[place]
        place = (place + np.uint64(1)) & mask
    return -1


@compiled
def find_rows(asked: Codes, codes: Codes, places: IntArray, rows: IntArray) -> None:
    """Set the rows of the asked codes, -1 where there is none."""
    for i in range(asked.size):
        rows[i] = row_of(asked[i], codes, places)


@compiled
def disturbances_per_h(
    codes: Codes,
    places: IntArray,
    plan_codes: Codes,
    probability: FloatArray,
    undisturbed: BoolArray,
    jump: IntArray,
    per_h: FloatArray,
    step: np.uint64,
    keeps_plans: bool,
) -> float:
    """Return how often one kind of move ends an undisturbed state [1/h].

    A planned outage that does not stand apart in the table is looked for among the same failures beside none, where the
    move is not the beginning of one itself.
    """
    rate = 0.0
    for i in range(codes.size):
        if undisturbed[i] and per_h[i] > 0.0:
            moved = np.uint64(jump[i]) * step
            row = row_of(codes[i] + moved, codes, places)
            if row < 0:
                row = row_of(codes[i] - plan_codes[i] + (moved if keeps_plans else np.uint64(0)), codes, places)
            if row < 0 or not undisturbed[row]:
                rate += probability[i] * per_h[i]
    return rate


@compiled
def balance(
    starts: IntArray,
    origins: IntArray,
    per_h: FloatArray,
    leaving_per_h: FloatArray,
    probability: FloatArray,
    least_move: float,
    max_passes: int,
) -> int:
    """Balance the chain of states, each in turn by its inflow over its rate of leaving; return the passes that it took.

    Parameters
    ----------
    starts, origins, per_h : ndarray
        Inflows by target, as rows of a compressed sparse matrix.
    leaving_per_h : ndarray, shape (n_states,)
    probability : ndarray, shape (n_states,)
        To begin with; set.
    least_move : float
        Relative, of the last pass.
    max_passes : int
    """
    for done in range(max_passes):
        most, total = 0.0, 0.0
        for i in range(probability.size):
            inflow = 0.0
            for k in range(starts[i], starts[i + 1]):
                inflow += per_h[k] * probability[origins[k]]
            now = inflow / leaving_per_h[i]
            if abs(now - probability[i]) > most * now:
                most = abs(now - probability[i]) / now
            probability[i] = now
            total += now
        for i in range(probability.size):
            probability[i] /= total
        if most <= least_move:
            return done + 1
    return max_passes


@compiled_part
def mended_per_h(
    failed: IntArray, units: IntArray, group_crews: IntArray, repair_h: FloatArray, crews: int, rates: FloatArray
) -> None:
    """Set the rate at which each group's failed units are repaired [1/h], as `Subsystem.repairs_per_h`."""
    busy_in_all = 0
    for g in range(failed.size):
        busy = min(failed[g], group_crews[g] if group_crews[g] > 0 else units[g])
        rates[g] = busy / repair_h[g]
        busy_in_all += busy
    if crews > 0:
        share = min(1.0, crews / max(busy_in_all, 1))
        for g in range(failed.size):
            rates[g] *= share


@compiled
def leaving_rates(
    state: IntArray,
    active: IntArray,
    units: IntArray,
    group_crews: IntArray,
    repair_h: FloatArray,
    crews: int,
    alone_per_h: FloatArray,
    common_per_h: FloatArray,
    mended: FloatArray,
    leaving: FloatArray,
) -> None:
    """Set how often each active year's state is left by a failure, a common cause or a repair [1/h].

    `mended` has room for the repairs of each active year, shape (n_active, n_groups); `leaving` is (n_active,).
    """
    for row in range(active.size):
        failed, total = state[active[row]], 0.0
        for g in range(units.size):
            total += (units[g] - failed[g]) * alone_per_h[g]
        for g in range(units.size):
            if units[g] > failed[g]:
                total += common_per_h[g]
        mended_per_h(failed, units, group_crews, repair_h, crews, mended[row])
        for g in range(units.size):
            total += mended[row, g]
        leaving[row] = total


@compiled
def next_events(
    state: IntArray,
    active: IntArray,
    units: IntArray,
    alone_per_h: FloatArray,
    common_per_h: FloatArray,
    mended: FloatArray,
    drawn_per_h: FloatArray,
    column: IntArray,
    change: IntArray,
) -> None:
    """Set which group of each active year changes, by how many failed units: where the running sum passes a draw."""
    for row in range(active.size):
        failed, total, wanted = state[active[row]], 0.0, drawn_per_h[row]
        column[row], change[row] = -1, 0
        for g in range(units.size):
            total += (units[g] - failed[g]) * alone_per_h[g]
            if total > wanted:
                column[row], change[row] = g, 1
                break
        if column[row] >= 0:
            continue
        for g in range(units.size):
            if units[g] > failed[g]:
                total += common_per_h[g]
                if total > wanted:
                    column[row], change[row] = g, units[g] - failed[g]
                    break
        if column[row] >= 0:
            continue
        for g in range(units.size):
            total += mended[row, g]
            if total > wanted:
                column[row], change[row] = g, -1
                break
