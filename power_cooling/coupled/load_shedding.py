"""What a site that cannot cool or feed its racks does: cap accelerators first, then switch racks off, until all fits.

A rack over a limit that its coolant or air at the set point could not cure goes off alone. Else the CDU group, hall
or feed behind it is too small and is lowered to a level. So is a CDU group, hall or plant whose running units carry
more than they are rated for, although the law of an exchanger or coil would pass it at a larger difference: no maker
guarantees that. Plants are held to their pumps' flow at the rise that they are designed for, to the rating of coolers
and towers, and to chillers that hold the set point: what they cannot take would let the water float up. From 1 down to
1/2 the accelerators it serves are capped at a falling share of what they want (never below their lowest clock); from
1/2 down to 0 a growing share of its racks, by rated power and hottest first, is off as well. Halving the range finds
the highest level on a fixed grid at which nothing is over its limit. Capped chips stay at the lowest clock while racks
are off, as protection leaves them: so a smaller plant never serves more with the same racks. This is what protection
does, not the best that is possible: where racks that share a too small hall or plant lose their own CDUs, the racks
that are left may run faster than all did together. The capacity of failure states lets operators switch those off as
well (`capacity_functions.best_switching`).
"""

import numpy as np

from power_cooling.compiled import compiled_part
from power_cooling.cooling.room_air import COIL_HEAT
from power_cooling.coupled.columns import G_HEAT, LEVEL, P_HEAT, SAFE, STEP, UNSAFE
from power_cooling.coupled.kernel_arrays import Elements, Feeds, Rows, Work
from power_cooling.coupled.plant_loop import chillers_run, plant_loads
from power_cooling.racks.chips import NO_STEADY_STATE, RUNAWAY_POSSIBLE
from power_cooling.racks.it_load import (
    ACCELERATORS_OFF,
    ALL_OFF,
    CAP,
    COOLANT,
    DYNAMIC,
    HELD,
    HELD_BY_COOLING,
    HELD_BY_FEED,
    INLET,
    JUNCTION,
    OTHER,
    RAN_AWAY,
    RESISTANCE,
    RUNNING,
    STATIC,
    STATUS,
    solve_chip,
)
from power_cooling.site_arrays import BoolArray, FloatArray, IntArray, RackBank

FINEST = 1.0 / 128.0  # of a level; levels are multiples of it
UNBOUNDED = 2.0  # upper end of the range of a group, hall or feed that was never found too small
OVERLOAD_SLACK = 1e-6  # of a rating
FLOATS_K = 1e-6  # above its set point: chillers that do not hold it are past their capacity
ASSUMED_AIR_RISE_K = 15.0  # of recirculated air over the cold aisle, to order racks by


@compiled_part
def latch(work: Work) -> None:
    """Put racks whose chips can run away on their hot root.

    Such a chip jumps at a fold; between its two roots a site may have no steady state, while in fact the chip, once
    hot, stays hot. They keep that root through the element.
    """
    scratch = work.racks
    for i in range(work.weight.size):
        may = scratch[i, STATUS] == RUNAWAY_POSSIBLE and scratch[i, RAN_AWAY] == 0.0
        if may and work.weight[i] > 0.0 and work.off[i] == RUNNING:
            scratch[i, RAN_AWAY] = 1.0
            scratch[i, COOLANT] = np.nan


@compiled_part
def over_limit(rows: Rows, work: Work) -> float:
    """Largest excess over a trip limit [K], 0 or less where there is none."""
    worst = 0.0
    for i in range(rows.racks.shape[0]):
        if work.weight[i] > 0.0 and work.off[i] != ALL_OFF:
            worst = max(worst, _excess(i, rows, work))
    return worst


@compiled_part
def within_limits(e: int, rows: Rows, elements: Elements, feeds: Feeds, work: Work) -> bool:
    """Whether nothing was lowered and nothing is over a limit: the common case, found quickly."""
    for d in range(work.levels.shape[1]):
        if work.levels[UNSAFE, d] < UNBOUNDED:
            return False
    for d in range(rows.groups.shape[0] + rows.halls.shape[0] + rows.plants.shape[0]):
        if _overrated(d, e, rows, elements, work):
            return False
    state = elements.feed_state[e]
    for n in range(work.node_load.size):
        if _overloaded(work.node_load[n], feeds.rating[state, n]):
            return False
    return over_limit(rows, work) <= 0.0


@compiled_part
def _overrated(d: int, e: int, rows: Rows, elements: Elements, work: Work) -> bool:
    """Whether the running units of CDU group, hall or plant `d` take more heat than they are rated for."""
    n_groups, n_halls = rows.groups.shape[0], rows.halls.shape[0]
    if d < n_groups:
        rated = elements.groups[e, d] * rows.groups[d].capacity_w
        return work.design[d] > 0.0 and _overloaded(work.groups[d, G_HEAT], rated)
    if d < n_groups + n_halls:
        k = d - n_groups
        return _overloaded(work.halls[k, COIL_HEAT], elements.halls[e, k] * rows.halls[k].unit_capacity_w)
    return _plant_overrated(d - n_groups - n_halls, e, rows, elements, work)


@compiled_part
def _plant_overrated(j: int, e: int, rows: Rows, elements: Elements, work: Work) -> bool:
    """Whether plant j carries more than pumps or outdoor units are rated for, or its chillers lose the set point."""
    p, row, running = rows.plants[j], work.plants[j], elements.plants[e, j]
    if chillers_run(p, running) and row[P_HEAT] > 0.0 and work.plant_x[j] > p.supply_set_degc + FLOATS_K:
        return True
    pumps, outdoors = plant_loads(p, row, running, elements.air[e, 0], elements.air[e, 1])
    return max(pumps, outdoors) > 1.0 + OVERLOAD_SLACK


@compiled_part
def _overloaded(load_w: float, rating_w: float) -> bool:
    return rating_w > 0.0 and load_w > rating_w * (1.0 + OVERLOAD_SLACK)


@compiled_part
def trip_alone(rows: Rows, work: Work) -> bool:
    """Switch off, hottest half first, racks over limits that set points would not cure; return whether any was."""
    racks, off, scratch = rows.racks, work.off, work.racks
    worst = 0.0
    for i in range(racks.shape[0]):
        if work.weight[i] > 0.0 and off[i] != ALL_OFF:
            over = _excess(i, rows, work)
            if over > worst and _hopeless(i, rows, work):
                worst = over
    if worst <= 0.0:
        return False
    for i in range(racks.shape[0]):
        if work.weight[i] > 0.0 and off[i] != ALL_OFF and _excess(i, rows, work) >= 0.5 * worst:
            if not _hopeless(i, rows, work):
                continue
            if off[i] == RUNNING and scratch[i, INLET] <= racks[i].inlet_trip_degc:
                off[i] = ACCELERATORS_OFF
                scratch[i, OTHER] = racks[i].fixed_w
                scratch[i, JUNCTION] = 60.0
            else:
                off[i] = ALL_OFF
    return True


@compiled_part
def _excess(i: int, rows: Rows, work: Work) -> float:
    """Kelvin above the junction's or the inlet's trip limit."""
    r = rows.racks[i]
    over = work.racks[i, INLET] - r.inlet_trip_degc if r.air_flow_kg_s > 0.0 else 0.0
    return max(over, _chip_excess(i, rows, work))


@compiled_part
def _chip_excess(i: int, rows: Rows, work: Work) -> float:
    r = rows.racks[i]
    if work.off[i] != RUNNING or r.n_accelerators <= 0.0:
        return 0.0
    over = work.racks[i, JUNCTION] - r.trip_degc
    return max(over, 1e-3) if work.racks[i, STATUS] == NO_STEADY_STATE else over


@compiled_part
def _hopeless(i: int, rows: Rows, work: Work) -> bool:
    """Whether a rack over its limits would be so with coolant and air at their set points, or has run away."""
    r, chip = rows.racks[i], work.racks[i]
    ran_away = chip[RAN_AWAY] > 0.0
    if ran_away:
        return True
    h = r.hall_index
    warmed = r.recirculation_frac * (work.hall_x[h, 1] - work.hall_x[h, 0])
    inlet = rows.halls[h].supply_set_degc + warmed
    if r.air_flow_kg_s > 0.0 and inlet > r.inlet_trip_degc:
        return True
    if _chip_excess(i, rows, work) <= 0.0:
        return False
    coolant = work.group_set[r.cdu_index] if r.accelerator_liquid_frac > 0.0 else inlet
    t, _, _, _, status, _, _ = solve_chip(r, chip, coolant, chip[RESISTANCE], chip[JUNCTION], ran_away)
    return status == NO_STEADY_STATE or t > r.trip_degc


@compiled_part
def clear_levels(levels: FloatArray, short: BoolArray) -> None:
    """Set all levels to 1, none found too small."""
    for d in range(short.size):
        levels[LEVEL, d] = 1.0
        levels[SAFE, d] = 0.0
        levels[UNSAFE, d] = UNBOUNDED
        levels[STEP, d] = FINEST
        short[d] = False


@compiled_part
def mark_short(e: int, rows: Rows, elements: Elements, feeds: Feeds, work: Work, solved: bool) -> bool:
    """Mark the groups, halls, plants and feeds that are too small at their present level; return whether any is.

    Without a solution, everything that was lowered, or else everything that cools running racks, counts as too small.
    """
    levels, short, fed, state = work.levels, work.short, work.fed, elements.feed_state[e]
    rating, parent, share = feeds.rating[state], feeds.parent[state], feeds.share[state]
    n_groups = rows.groups.shape[0]
    first_node = n_groups + rows.halls.shape[0] + rows.plants.shape[0]
    lowered = False
    for d in range(short.size):
        short[d] = False
        lowered = lowered or levels[UNSAFE, d] < UNBOUNDED
    feeds_over = False
    for n in range(rating.size):
        fed[n] = 0.0
        feeds_over = feeds_over or _overloaded(work.node_load[n], rating[n])
    for i in range(rows.racks.shape[0]):
        if work.weight[i] <= 0.0 or work.off[i] == ALL_OFF:
            continue
        r = rows.racks[i]
        in_liquid = work.off[i] == RUNNING and r.accelerator_liquid_frac > 0.0
        if _chip_excess(i, rows, work) > 0.0:
            short[r.cdu_index if in_liquid else n_groups + r.hall_index] = True
        if r.air_flow_kg_s > 0.0 and work.racks[i, INLET] > r.inlet_trip_degc:
            short[n_groups + r.hall_index] = True
        if not solved and not lowered:
            if in_liquid:
                short[r.cdu_index] = True
            if r.air_flow_kg_s > 0.0:
                short[n_groups + r.hall_index] = True
        if feeds_over:
            for k in range(feeds.link_start[i], feeds.link_start[i + 1]):
                n = feeds.link_node[k] if share[k] > 0.0 else -1
                while n >= 0:
                    fed[n] += work.weight[i]
                    n = parent[n]
    if feeds_over:
        for n in range(rating.size):
            short[first_node + n] = _overloaded(work.node_load[n], rating[n]) and fed[n] > 0.0
    for d in range(first_node):
        short[d] = short[d] or (solved and _overrated(d, e, rows, elements, work))
    found = False
    for d in range(short.size):
        if not solved and levels[UNSAFE, d] < UNBOUNDED:
            short[d] = True
        short[d] = short[d] and levels[LEVEL, d] > 0.0
        found = found or short[d]
    return found


@compiled_part
def next_levels(levels: FloatArray, short: BoolArray, give_up: bool) -> bool:
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


def hottest_first(racks: RackBank) -> IntArray:
    """Return the racks by how close design flow at full power brings them to their limits, closest first.

    It does not depend on the element, so that what is off at one level stays off at every lower one.
    """
    resistance = racks.r_th_fixed_k_per_w + racks.r_th_flow_k_per_w + racks.r_th_rise_k_per_w
    warmed = ASSUMED_AIR_RISE_K * racks.recirculation_frac
    limit = np.where(racks.n_accelerators > 0, racks.trip_degc, racks.inlet_trip_degc + racks.trip_degc)
    room = limit - resistance * np.minimum(racks.tdp_w, racks.power_limit_w) - warmed
    return np.argsort(room, kind="stable")


@compiled_part
def apply_levels(state: int, rows: Rows, feeds: Feeds, work: Work) -> None:
    """Set caps and the number of racks on from the levels; `work.whole` holds the racks with power."""
    racks, whole, scratch, member = rows.racks, work.whole, work.racks, work.member
    n_racks = racks.shape[0]
    first_node = rows.groups.shape[0] + rows.halls.shape[0] + rows.plants.shape[0]
    for i in range(n_racks):
        work.weight[i] = whole[i]
        scratch[i, CAP] = racks[i].power_limit_w
        scratch[i, HELD] = 0.0
        scratch[i, COOLANT] = np.nan
    for d in range(work.short.size):
        level = work.levels[LEVEL, d]
        if level >= 1.0:
            continue
        total = 0.0
        for i in range(n_racks):
            member[i] = whole[i] > 0.0 and work.off[i] != ALL_OFF and _serves(d, i, state, rows, feeds)
            if member[i]:
                total += whole[i] * racks[i].max_power_w
                wanted = max(2.0 * level - 1.0, 0.0) * (scratch[i, STATIC] + scratch[i, DYNAMIC])
                if wanted < scratch[i, CAP]:
                    scratch[i, CAP] = wanted
                    scratch[i, HELD] = HELD_BY_COOLING if d < first_node else HELD_BY_FEED
        drop = (1.0 - 2.0 * level) * total
        for k in range(n_racks):
            if drop <= 0.0:
                break
            i = rows.hottest_first[k]
            if member[i]:
                gone = min(np.ceil(drop / racks[i].max_power_w - 1e-9), whole[i])
                drop -= gone * racks[i].max_power_w
                work.weight[i] = min(work.weight[i], whole[i] - gone)


@compiled_part
def _serves(d: int, i: int, state: int, rows: Rows, feeds: Feeds) -> bool:
    """Whether group, hall, plant or feed `d` serves rack i."""
    r, n_groups, n_halls, n_plants = rows.racks[i], rows.groups.shape[0], rows.halls.shape[0], rows.plants.shape[0]
    if d < n_groups:
        return r.cdu_index == d
    if d < n_groups + n_halls:
        return r.hall_index == d - n_groups
    wanted = d - n_groups - n_halls
    if wanted < n_plants:
        in_liquid = r.cdu_index >= 0 and rows.groups[r.cdu_index].to_air == 0
        if in_liquid and rows.groups[r.cdu_index].plant_index == wanted:
            return True
        return r.air_flow_kg_s > 0.0 and rows.halls[r.hall_index].plant_index == wanted
    wanted -= n_plants
    for k in range(feeds.link_start[i], feeds.link_start[i + 1]):
        n = feeds.link_node[k] if feeds.share[state, k] > 0.0 else -1
        while n >= 0:
            if n == wanted:
                return True
            n = feeds.parent[state, n]
    return False
