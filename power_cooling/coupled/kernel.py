"""The compiled inner part of the coupled solver: passes over racks, CDU groups, halls and plants, element by element.

`coupled` prepares its arrays and reads its output tables by the names in `columns`.
"""

from typing import Any

import numpy as np

from power_cooling.compiled import compiled, compiled_part
from power_cooling.cooling.room_air import COLD, FAN_W, HOT, LINEAR_K, OWN
from power_cooling.coupled.columns import (
    CONVERGED,
    G_FLOW,
    G_PUMP,
    G_SUPPLY,
    G_VALVE,
    LEVEL,
    NO_STEADY,
    NOT_CONVERGED,
    P_CHILLER,
    P_COOLER,
    P_FLOATS,
    P_PUMP,
    P_SCALE,
    P_SUPPLY,
    P_TOWER,
    P_TOWER_PUMP,
)
from power_cooling.coupled.kernel_arrays import Elements, Feeds, Output, Rows, Work
from power_cooling.coupled.load_shedding import (
    apply_levels,
    clear_levels,
    latch,
    mark_short,
    next_levels,
    over_limit,
    trip_alone,
    within_limits,
)
from power_cooling.coupled.output import write_element
from power_cooling.coupled.plant_loop import air_groups_pass, plant_image, plant_pass, pumped_flow_kg_s
from power_cooling.racks.chips import SETTLED
from power_cooling.racks.it_load import (
    ACCELERATORS_OFF,
    ALL_OFF,
    RUNNING,
    STATUS,
    cold_racks,
    rack_pass,
    start_racks,
)
from power_cooling.site_arrays import FloatArray

_TRIP_ROUNDS = 120
_BISECTION_ROUNDS = 60  # then everything that was found too small goes off
_STALLED_PASSES = 10  # without halving the residual: then what can run away is taken to have run away


@compiled_part
def _feed_heat(state: int, feeds: Feeds, work: Work) -> None:
    """Hand loads up the tree and add the losses to the halls they warm: the formula of `electrical.feed_losses`."""
    load, parent, rating, own = work.node_load, feeds.parent[state], feeds.rating[state], feeds.of_own[state, 0]
    for j in range(load.size - 1, -1, -1):
        r = rating[j]
        if r <= 0.0:
            continue
        carried = load[j]
        loss = feeds.no_load_frac[j] * r + feeds.proportional_frac[j] * abs(carried)
        loss += feeds.square_frac[j] * carried * carried / r
        if feeds.hall[j] >= 0:
            work.other_heat[feeds.hall[j]] += loss
        if own >= 0 and own < j:
            load[own] += feeds.room_power_frac[j] * loss
        if parent[j] >= 0:
            load[parent[j]] += carried + loss


@compiled
def solve_elements(
    rows: Rows, elements: Elements, feeds: Feeds, work: Work, tolerance: float, max_passes: int, output: Output
) -> None:
    """Solve the elements of one block in order, each from the last one's temperatures; fill the output tables.

    `work` comes as `kernel_arrays.scratch` makes it.
    """
    cold_racks(rows.racks, work.racks)
    warm = False
    for e in range(elements.pool_load.shape[0]):
        state = elements.feed_state[e]
        _prepare(e, rows, elements, feeds, work)
        if not warm:
            _start_cold(rows, work)
        start_racks(rows.racks, rows.static_w, rows.dynamic_w, elements.pool_load[e], work.off, work.racks)
        clear_levels(work.levels, work.short)
        reason = NOT_CONVERGED
        passes = 0
        residual = np.inf
        for trips in range(_TRIP_ROUNDS):
            reason, used, residual = _settle(e, tolerance, max_passes, rows, elements, feeds, work)
            passes += used
            # Also without a solution what is over its limits goes off: there may be none with everything on.
            if reason == CONVERGED and within_limits(e, rows, elements, feeds, work):
                break
            if trip_alone(rows, work):
                continue
            mark_short(e, rows, elements, feeds, work, reason == CONVERGED)
            if next_levels(work.levels, work.short, trips >= _BISECTION_ROUNDS):
                if reason != CONVERGED:
                    _start_cold(rows, work)
                apply_levels(state, rows, feeds, work)
                continue
            if reason != CONVERGED:
                # A fold of leakage that is jumped back and forth has no state to rest in.
                for i in range(rows.racks.shape[0]):
                    if work.weight[i] > 0.0 and work.off[i] == RUNNING and work.racks[i, STATUS] != SETTLED:
                        reason = NO_STEADY
            break
        else:
            reason = NO_STEADY
        write_element(e, reason, passes, residual, rows, elements, feeds, work, output)
        warm = reason == CONVERGED
        for i in range(work.off.size):
            warm = warm and work.off[i] != ACCELERATORS_OFF
        for d in range(work.short.size):
            warm = warm and work.levels[LEVEL, d] >= 1.0


@compiled_part
def _prepare(e: int, rows: Rows, elements: Elements, feeds: Feeds, work: Work) -> None:
    """Set what holds through element e: set points, what cools, racks that can run and their design flow."""
    groups, halls, plants = rows.groups, rows.halls, rows.plants
    for j in range(plants.shape[0]):
        opened = 0.0
        for k in range(groups.shape[0]):
            if groups[k].plant_index == j and groups[k].to_air == 0:
                opened += elements.groups[e, k] * groups[k].primary_flow_kg_s
        for k in range(halls.shape[0]):
            if halls[k].plant_index == j:
                opened += elements.halls[e, k] * halls[k].coil_water_kg_s
        pumped = pumped_flow_kg_s(plants[j], elements.plants[e, j])
        work.plants[j, P_SCALE] = min(1.0, pumped / opened) if opened > 0.0 else 1.0
    for k in range(halls.shape[0]):
        j = halls[k].plant_index
        work.hall_cools[k] = elements.halls[e, k] > 0.0 and _rejects(plants[j], elements.plants[e, j])
    for k in range(groups.shape[0]):
        g = groups[k]
        guard = min(elements.dew_point[e], halls[g.hall_index].dew_point_limit_degc) + g.dew_point_margin_k
        work.group_set[k] = max(g.supply_set_degc, guard)
        cools = work.hall_cools[g.hall_index]
        if g.to_air == 0:
            cools = _rejects(plants[g.plant_index], elements.plants[e, g.plant_index])
        work.group_cools[k] = elements.groups[e, k] > 0.0 and cools
        work.design[k] = 0.0
    for i in range(rows.racks.shape[0]):
        r = rows.racks[i]
        work.whole[i] = r.count * elements.powered[e, i]
        work.weight[i] = work.whole[i]
        work.off[i] = RUNNING
        g = r.cdu_index
        hot = r.air_flow_kg_s > 0.0 and not work.hall_cools[r.hall_index]
        if g >= 0 and not work.group_cools[g]:
            hot = hot or r.accelerator_liquid_frac > 0.0 or r.other_liquid_frac > 0.0
        if hot or feeds.dark[elements.feed_state[e], i]:
            work.off[i] = ALL_OFF
        if g >= 0:
            work.design[g] += work.weight[i] * r.coolant_flow_kg_s


@compiled_part
def _settle(
    e: int, tolerance: float, max_passes: int, rows: Rows, elements: Elements, feeds: Feeds, work: Work
) -> tuple[int, int, float]:
    """Pass over element e until nothing moves: reason, passes and residual. Racks on and caps are held."""
    state = elements.feed_state[e]
    residual = best = np.inf
    stalled = 0
    for passes in range(1, max_passes + 1):
        _pass(e, rows, elements, feeds, work)
        residual = _residual(e, rows, elements, work)
        if residual <= tolerance:
            # Frozen here: racks were evaluated at these very temperatures. Plants taken on trust are solved.
            if _held(e, rows, elements, work):
                for n in range(work.laid.size):
                    work.laid[n] = work.mechanical[n]
                _lay_mechanical(e, rows, elements, feeds, work)
                _catch_up(state, feeds, work)
                return CONVERGED, passes, residual
            best = np.inf
            continue
        if residual < 0.5 * best:
            best = residual
            stalled = 0
        else:
            stalled += 1
        if stalled >= _STALLED_PASSES:
            latch(work)
        if stalled >= 2 * _STALLED_PASSES and over_limit(rows, work) > 0.0:
            return NOT_CONVERGED, passes, residual
        _step(e, 1.0 if stalled < 4 else (0.5 if stalled < 2 * _STALLED_PASSES else 0.3), rows, elements, work)
        _lay_mechanical(e, rows, elements, feeds, work)
    return NOT_CONVERGED, max_passes, residual


@compiled_part
def _pass(e: int, rows: Rows, elements: Elements, feeds: Feeds, work: Work) -> None:
    """Evaluate racks, feeds, CDU groups, halls and plants once at the present temperatures."""
    state = elements.feed_state[e]
    for n in range(work.node_load.size):
        work.node_load[n] = work.mechanical[n]
    if feeds.of_own[state, 0] >= 0:
        work.node_load[feeds.of_own[state, 0]] += elements.own[e]
    rack_pass(rows, feeds, state, work)
    for k in range(rows.halls.shape[0]):
        work.other_heat[k] = rows.halls[k].lighting_w + rows.halls[k].extra_heat_w
    for k in range(rows.groups.shape[0]):
        g = rows.groups[k]
        if _runs(k, e, elements, work):
            work.other_heat[g.hall_index] += (1.0 - g.pump_heat_frac) * work.groups[k, G_PUMP]
        else:
            work.groups[k, G_PUMP] = 0.0
    air_groups_pass(e, rows, elements, work)
    _feed_heat(state, feeds, work)
    for j in range(rows.plants.shape[0]):
        work.plants[j, P_SUPPLY] = plant_pass(j, e, rows, elements, work)


@compiled_part
def _runs(k: int, e: int, elements: Elements, work: Work) -> bool:
    """Whether CDU group k runs and has racks to cool."""
    return work.design[k] > 0.0 and elements.groups[e, k] > 0.0


@compiled_part
def _residual(e: int, rows: Rows, elements: Elements, work: Work) -> float:
    """Largest move of the last pass [K]; a relative flow counts ten times. What has no number is put back."""
    residual = 0.0
    for j in range(rows.plants.shape[0]):
        residual = max(residual, abs(work.plants[j, P_SUPPLY] - work.plant_x[j]))
    for k in range(rows.groups.shape[0]):
        if _runs(k, e, elements, work):
            solved, x = work.groups[k], work.group_x[k]
            residual = max(residual, abs(solved[G_SUPPLY] - x[0]))
            if np.isnan(solved[G_FLOW]):
                residual = np.inf
                solved[G_FLOW] = x[1]
            residual = max(residual, 10.0 * abs(solved[G_FLOW] - x[1]))
    for k in range(rows.halls.shape[0]):
        if elements.halls[e, k] > 0.0:
            solved, x = work.halls[k], work.hall_x[k]
            if np.isnan(solved[COLD]):
                residual = np.inf
                solved[COLD] = x[0]
            residual = max(residual, abs(solved[COLD] - x[0]))
            residual = max(residual, abs(solved[HOT] - x[1]))
            residual = max(residual, abs(solved[OWN] - x[2]) * abs(x[1] - x[0]))
    return residual


@compiled_part
def _held(e: int, rows: Rows, elements: Elements, work: Work) -> bool:
    """Solve the plants that were taken to hold their set point; return whether they do. Others may hold it again."""
    held = True
    for j in range(rows.plants.shape[0]):
        setpoint, row = rows.plants[j].supply_set_degc, work.plants[j]
        trusted = row[P_FLOATS] == 0.0
        if trusted:
            if plant_image(j, setpoint, trusted, e, rows, elements, work) > setpoint + 1e-11:
                row[P_FLOATS] = 1.0
                held = False
        elif row[P_SUPPLY] <= setpoint:
            row[P_FLOATS] = 0.0
    return held


@compiled_part
def _step(e: int, step: float, rows: Rows, elements: Elements, work: Work) -> None:
    """Move the unknowns by a share of what the last pass found."""
    for j in range(rows.plants.shape[0]):
        work.plant_x[j] += _limited(step * (work.plants[j, P_SUPPLY] - work.plant_x[j]))
    for k in range(rows.groups.shape[0]):
        if _runs(k, e, elements, work):
            x, solved = work.group_x[k], work.groups[k]
            x[0], x[1] = _moved(x[0], solved[G_SUPPLY], step), _moved(x[1], solved[G_FLOW], step)
    for k in range(rows.halls.shape[0]):
        if elements.halls[e, k] > 0.0:
            x, solved = work.hall_x[k], work.halls[k]
            x[0], x[1] = _moved(x[0], solved[COLD], step), _moved(x[1], solved[HOT], step)
            x[2] = _moved(x[2], solved[OWN], step)


@compiled_part
def _start_cold(rows: Rows, work: Work) -> None:
    """Start everything at its set point."""
    for k in range(rows.groups.shape[0]):
        work.group_x[k, 0], work.group_x[k, 1] = work.group_set[k], 1.0
        work.groups[k, G_VALVE] = 0.5
    for k in range(rows.halls.shape[0]):
        cold = rows.halls[k].supply_set_degc
        work.hall_x[k, 0], work.hall_x[k, 1], work.hall_x[k, 2] = cold, cold + 10.0, 1.0
    for j in range(rows.plants.shape[0]):
        work.plant_x[j] = rows.plants[j].supply_set_degc
        work.plants[j, P_FLOATS] = 0.0
    for n in range(work.mechanical.size):
        work.mechanical[n] = 0.0


@compiled_part
def _rejects(p: Any, running: FloatArray) -> bool:
    """Whether a plant has anything left that takes heat, and a pump that brings it."""
    if running[3] <= 0.0:
        return False
    if running[0] > 0.0:
        return True
    if running[1] > 0.0 and (p.n_chillers <= 0.0 or running[2] > 0.0 or p.economiser == 1):
        return True
    return running[2] > 0.0 and p.chiller_water_cooled == 0


@compiled_part
def _limited(step: float) -> float:
    return min(max(step, -LINEAR_K), LINEAR_K)


@compiled_part
def _moved(x: float, to: float, step: float) -> float:
    # A full step lands on the value itself, so that a set point stays exact.
    change = to - x
    return to if step == 1.0 and abs(change) < LINEAR_K else x + _limited(step * change)


@compiled_part
def _catch_up(state: int, feeds: Feeds, work: Work) -> None:
    """Add to the feeds what plants taken on trust were found to draw in the end, without the loss that this adds."""
    for start in range(work.laid.size):
        more = work.mechanical[start] - work.laid[start]
        n = start
        while more != 0.0 and n >= 0:
            work.node_load[n] += more
            n = feeds.parent[state, n]


@compiled_part
def _lay_mechanical(e: int, rows: Rows, elements: Elements, feeds: Feeds, work: Work) -> None:
    """Power of pumps, fans and chillers where the feed tree sees it."""
    mechanical, state = work.mechanical, elements.feed_state[e]
    if mechanical.size == 0:
        return
    for n in range(mechanical.size):
        mechanical[n] = 0.0
    for k in range(rows.groups.shape[0]):
        n = feeds.of_group[state, k]
        if n >= 0:
            mechanical[n] += work.groups[k, G_PUMP]
    for k in range(rows.halls.shape[0]):
        n = feeds.of_hall[state, k]
        if n >= 0:
            fan = work.halls[k, FAN_W] if elements.halls[e, k] > 0.0 else 0.0
            mechanical[n] += rows.halls[k].lighting_w + fan
    for j in range(rows.plants.shape[0]):
        n, row = feeds.of_plant[state, j], work.plants[j]
        if n >= 0:
            mechanical[n] += row[P_PUMP] + row[P_COOLER] + row[P_TOWER] + row[P_TOWER_PUMP] + row[P_CHILLER]
