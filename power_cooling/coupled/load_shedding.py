"""What goes when a site cannot cool or feed its racks: chips held back first, then racks off, until the rest fits.

A rack over a limit that its coolant or air at the set point could not cure goes off alone. Else the CDU group, hall
or feed behind it is too small and is lowered to a level; so is a CDU group whose running units carry more than their
maker rates, although the exchanger's law would pass it at a larger approach: nobody vouches for that. From 1 down to
1/2 the accelerators it serves are capped at a falling share of what they want (never below their lowest clock); from
1/2 down to 0 a growing share of its racks, by rated power and hottest first, is off as well. Halving the range finds
the highest level on a fixed grid at which nothing is over its limit. Held-back chips stay at the lowest clock while
racks are off, as protection leaves them: so a smaller plant never serves more with the same racks. It is what
protection does, not the best there is: where racks that share a too small hall or plant lose their own CDUs, those
left may run faster than all did together. Who asks for the capacity of failure states lets operators switch those off
as well (`capacity_functions.best_switching`).
"""

import numpy as np
from numba import njit

from power_cooling.coupled.columns import G_HEAT
from power_cooling.racks.chips import NO_STEADY_STATE, RUNAWAY_POSSIBLE, junction_scalar
from power_cooling.racks.it_load import (
    ACCELERATORS_OFF,
    ALL_OFF,
    CAP,
    COOLANT,
    DYNAMIC,
    EXPONENT,
    GROWTH,
    HELD,
    HELD_BY_COOLING,
    HELD_BY_FEED,
    INLET,
    JUNCTION,
    LEAK,
    OTHER,
    RAN_AWAY,
    RESISTANCE,
    RUNNING,
    STATIC,
    STATUS,
    TOP_GROWTH,
)

FINEST = 1.0 / 128.0  # of a level; levels are multiples of it
UNBOUNDED = 2.0  # upper end of the range of a group, hall or feed that was never found too small
OVERLOAD_SLACK = 1e-6  # of a feed's or CDU's rating
ASSUMED_AIR_RISE_K = 15.0  # of recirculated air over the cold aisle, to order racks by

# Rows of the table of levels.
LEVEL, SAFE, UNSAFE, STEP = 0, 1, 2, 3
N_LEVEL_ROWS = 4


@njit(cache=True)
def latch(weight, off, scratch):
    """Put racks whose chips can run away on their hot root.

    Such a chip jumps at a fold; between its two roots a site may have no steady state, while in fact the chip, once
    hot, stays hot. They keep that root through the element.
    """
    for i in range(weight.size):
        may = scratch[i, STATUS] == RUNAWAY_POSSIBLE and scratch[i, RAN_AWAY] == 0.0
        if may and weight[i] > 0.0 and off[i] == RUNNING:
            scratch[i, RAN_AWAY] = 1.0
            scratch[i, COOLANT] = np.nan


@njit(cache=True)
def over_limit(racks, weight, off, scratch):
    """Largest excess over a trip limit [K], 0 or less where there is none."""
    worst = 0.0
    for i in range(racks.shape[0]):
        if weight[i] > 0.0 and off[i] != ALL_OFF:
            worst = max(worst, _excess(racks[i], off[i], scratch, i))
    return worst


@njit(cache=True)
def mark_overrated(groups, runs_g, design, group_state, overrated):
    """Mark the CDU groups whose exchangers take more heat than their running units are rated for."""
    for k in range(groups.shape[0]):
        rated = runs_g[k] * groups[k].capacity_w
        overrated[k] = design[k] > 0.0 and rated > 0.0 and group_state[k, G_HEAT] > rated * (1.0 + OVERLOAD_SLACK)


@njit(cache=True)
def within_limits(racks, weight, off, scratch, node_load, rating, levels, overrated):
    """Whether nothing was lowered and nothing is over a limit: the common case, told quickly."""
    for k in range(overrated.size):
        if overrated[k]:
            return False
    for d in range(levels.shape[1]):
        if levels[UNSAFE, d] < UNBOUNDED:
            return False
    for n in range(node_load.size):
        if rating[n] > 0.0 and node_load[n] > rating[n] * (1.0 + OVERLOAD_SLACK):
            return False
    return over_limit(racks, weight, off, scratch) <= 0.0


@njit(cache=True)
def trip_alone(racks, weight, off, scratch, group_set, hall_x, halls):
    """Switch off, hottest half first, what is over its limits and would be at its set points; whether anything was."""
    worst = 0.0
    for i in range(racks.shape[0]):
        if weight[i] > 0.0 and off[i] != ALL_OFF:
            over = _excess(racks[i], off[i], scratch, i)
            if over > worst and _hopeless(racks[i], off[i], scratch, i, group_set, hall_x, halls):
                worst = over
    if worst <= 0.0:
        return False
    for i in range(racks.shape[0]):
        if weight[i] > 0.0 and off[i] != ALL_OFF and _excess(racks[i], off[i], scratch, i) >= 0.5 * worst:
            if not _hopeless(racks[i], off[i], scratch, i, group_set, hall_x, halls):
                continue
            if off[i] == RUNNING and scratch[i, INLET] <= racks[i].inlet_trip_degc:
                off[i] = ACCELERATORS_OFF
                scratch[i, OTHER] = racks[i].fixed_w
                scratch[i, JUNCTION] = 60.0
            else:
                off[i] = ALL_OFF
    return True


@njit(cache=True)
def _excess(r, off, scratch, i):
    """Kelvin above the junction's or the inlet's trip limit."""
    over = scratch[i, INLET] - r.inlet_trip_degc if r.air_flow_kg_s > 0.0 else 0.0
    return max(over, _chip_excess(r, off, scratch, i))


@njit(cache=True)
def _chip_excess(r, off, scratch, i):
    if off != RUNNING or r.n_accelerators <= 0.0:
        return 0.0
    over = scratch[i, JUNCTION] - r.trip_degc
    return max(over, 1e-3) if scratch[i, STATUS] == NO_STEADY_STATE else over


@njit(cache=True)
def _hopeless(r, off, scratch, i, group_set, hall_x, halls):
    """Whether a rack over its limits would be so with coolant and air at their set points, or has run away."""
    if scratch[i, RAN_AWAY] > 0.0:
        return True
    h = r.hall_index
    warmed = r.recirculation_frac * (hall_x[h, 1] - hall_x[h, 0])
    inlet = halls[h].supply_set_degc + warmed
    if r.air_flow_kg_s > 0.0 and inlet > r.inlet_trip_degc:
        return True
    if _chip_excess(r, off, scratch, i) <= 0.0:
        return False
    coolant = group_set[r.cdu_index] if r.accelerator_liquid_frac > 0.0 else inlet
    t, _, _, _, status, _, _ = junction_scalar(
        coolant, scratch[i, RESISTANCE], scratch[i, STATIC], scratch[i, DYNAMIC], scratch[i, LEAK], r.leakage_per_k,
        r.reference_degc, scratch[i, CAP], r.throttle_degc, r.throttle_frac_per_k, r.min_clock_frac,
        r.clock_linear_frac, r.trip_degc, scratch[i, TOP_GROWTH], scratch[i, JUNCTION], False, scratch[i, EXPONENT],
        scratch[i, GROWTH],
    )  # fmt: skip
    return status == NO_STEADY_STATE or t > r.trip_degc


@njit(cache=True)
def clear_levels(levels, short):
    """Set all levels to 1, none found too small."""
    levels[LEVEL] = 1.0
    levels[SAFE] = 0.0
    levels[UNSAFE] = UNBOUNDED
    levels[STEP] = FINEST
    short[:] = False


@njit(cache=True)
def mark_short(racks, weight, off, scratch, node_load, rating, link_start, link_node, link_share, parent, levels, short,
               n_groups, n_halls, solved, overrated):  # fmt: skip
    """Mark the groups, halls and feeds that are too small at their present level; return whether any is.

    Without a solution, everything that was lowered, or else everything that cools running racks, counts as too small.
    """
    short[:] = False
    first_node = n_groups + n_halls
    fed = np.zeros(node_load.size)
    lowered = False
    for d in range(short.size):
        lowered = lowered or levels[UNSAFE, d] < UNBOUNDED
    feeds_over = False
    for n in range(node_load.size):
        feeds_over = feeds_over or (rating[n] > 0.0 and node_load[n] > rating[n] * (1.0 + OVERLOAD_SLACK))
    for i in range(racks.shape[0]):
        if weight[i] <= 0.0 or off[i] == ALL_OFF:
            continue
        r = racks[i]
        in_liquid = off[i] == RUNNING and r.accelerator_liquid_frac > 0.0
        if _chip_excess(r, off[i], scratch, i) > 0.0:
            short[r.cdu_index if in_liquid else n_groups + r.hall_index] = True
        if r.air_flow_kg_s > 0.0 and scratch[i, INLET] > r.inlet_trip_degc:
            short[n_groups + r.hall_index] = True
        if not solved and not lowered:
            if in_liquid:
                short[r.cdu_index] = True
            if r.air_flow_kg_s > 0.0:
                short[n_groups + r.hall_index] = True
        if feeds_over:
            for k in range(link_start[i], link_start[i + 1]):
                n = link_node[k] if link_share[k] > 0.0 else -1
                while n >= 0:
                    fed[n] += weight[i]
                    n = parent[n]
    if feeds_over:
        for n in range(node_load.size):
            over = rating[n] > 0.0 and node_load[n] > rating[n] * (1.0 + OVERLOAD_SLACK)
            short[first_node + n] = over and fed[n] > 0.0
    for k in range(n_groups):
        short[k] = short[k] or (solved and overrated[k])
    found = False
    for d in range(short.size):
        if not solved and levels[UNSAFE, d] < UNBOUNDED:
            short[d] = True
        short[d] = short[d] and levels[LEVEL, d] > 0.0
        found = found or short[d]
    return found


@njit(cache=True)
def next_levels(levels, short, give_up):
    """Halve the ranges of what was found too small; return whether any level changes, so that all is solved again."""
    changed = False
    for d in range(short.size):
        now = levels[LEVEL, d]
        if short[d]:
            if levels[UNSAFE, d] == UNBOUNDED:
                levels[SAFE, d] = 0.0
            elif now <= levels[SAFE, d]:
                # Safe while something else was lower than it is now: step down, further each time.
                levels[SAFE, d] = max(0.0, now - levels[STEP, d])
                levels[STEP, d] *= 2.0
            levels[UNSAFE, d] = now
        elif levels[UNSAFE, d] < UNBOUNDED:
            levels[SAFE, d] = now
        if levels[UNSAFE, d] == UNBOUNDED:
            continue
        if give_up:
            levels[SAFE, d] = 0.0
        low, high = levels[SAFE, d], levels[UNSAFE, d]
        new = low if give_up or high - low <= FINEST else low + FINEST * np.floor(0.5 * (high - low) / FINEST)
        changed = changed or new != now
        levels[LEVEL, d] = new
    return changed


@njit(cache=True)
def hottest_first(racks):
    """Order of the racks by how close design flow at full power brings them to their limits, closest first.

    It does not depend on the element, so that what is off at one level stays off at every lower one.
    """
    room = np.empty(racks.shape[0])
    for i in range(racks.shape[0]):
        r = racks[i]
        resistance = r.r_th_fixed_k_per_w + r.r_th_flow_k_per_w + r.r_th_rise_k_per_w
        warmed = ASSUMED_AIR_RISE_K * r.recirculation_frac
        limit = r.trip_degc if r.n_accelerators > 0.0 else r.inlet_trip_degc + r.trip_degc
        room[i] = limit - resistance * min(r.tdp_w, r.power_limit_w) - warmed
    return np.argsort(room, kind="mergesort")


@njit(cache=True)
def apply_levels(racks, whole, off, scratch, weight, levels, order, link_start, link_node, link_share, parent,
                 n_groups, n_halls):  # fmt: skip
    """Set caps and the number of racks on from the levels; `whole` holds the racks with power."""
    n_racks = racks.shape[0]
    member = np.zeros(n_racks, dtype=np.bool_)
    for i in range(n_racks):
        weight[i] = whole[i]
        scratch[i, CAP] = racks[i].power_limit_w
        scratch[i, HELD] = 0.0
        scratch[i, COOLANT] = np.nan
    for d in range(levels.shape[1]):
        level = levels[LEVEL, d]
        if level >= 1.0:
            continue
        total = 0.0
        for i in range(n_racks):
            member[i] = whole[i] > 0.0 and off[i] != ALL_OFF and _serves(
                d, racks[i], i, link_start, link_node, link_share, parent, n_groups, n_halls
            )  # fmt: skip
            if member[i]:
                total += whole[i] * racks[i].max_power_w
                wanted = max(2.0 * level - 1.0, 0.0) * (scratch[i, STATIC] + scratch[i, DYNAMIC])
                if wanted < scratch[i, CAP]:
                    scratch[i, CAP] = wanted
                    scratch[i, HELD] = HELD_BY_COOLING if d < n_groups + n_halls else HELD_BY_FEED
        drop = (1.0 - 2.0 * level) * total
        for k in range(n_racks):
            if drop <= 0.0:
                break
            i = order[k]
            if member[i]:
                gone = min(np.ceil(drop / racks[i].max_power_w - 1e-9), whole[i])
                drop -= gone * racks[i].max_power_w
                weight[i] = min(weight[i], whole[i] - gone)


@njit(cache=True)
def _serves(d, r, i, link_start, link_node, link_share, parent, n_groups, n_halls):
    """Whether group, hall or feed `d` serves rack i."""
    if d < n_groups:
        return r.cdu_index == d
    if d < n_groups + n_halls:
        return r.hall_index == d - n_groups
    wanted = d - n_groups - n_halls
    for k in range(link_start[i], link_start[i + 1]):
        n = link_node[k] if link_share[k] > 0.0 else -1
        while n >= 0:
            if n == wanted:
                return True
            n = parent[n]
    return False
