"""The compiled inner part of the coupled solver: passes over racks, CDU groups, halls and plants, element by element.

`coupled` prepares its arrays and reads its output tables by the names in `columns`.
"""

import numpy as np
from numba import njit

from power_cooling.cooling.room_air import COLD, FAN_W, HOT, LINEAR_K, N_HALL_STATE, OWN
from power_cooling.coupled.columns import (
    CONVERGED,
    G_FLOW,
    G_PUMP,
    G_SUPPLY,
    G_VALVE,
    N_GROUP_STATE,
    N_PLANT_STATE,
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
from power_cooling.coupled.load_shedding import (
    N_LEVEL_ROWS,
    apply_levels,
    clear_levels,
    hottest_first,
    latch,
    mark_overrated,
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
    N_GROUP_SUMS,
    N_HALL_SUMS,
    N_SCRATCH,
    RUNNING,
    STATUS,
    cold_racks,
    rack_pass,
    start_racks,
)

_TRIP_ROUNDS = 120
_BISECTION_ROUNDS = 60  # then everything that was found too small goes off
_STALLED_PASSES = 10  # without halving the residual: then what can run away is taken to have run away


@njit(cache=True)
def _feed_heat(load, parent, rating, a, b, c, hall, other_heat):
    """Hand loads up the tree and add the losses to the halls they warm: the formula of `electrical.feed_losses`."""
    for j in range(load.size - 1, -1, -1):
        r = rating[j]
        if r <= 0.0:
            continue
        carried = load[j]
        loss = a[j] * r + b[j] * abs(carried) + c[j] * carried * carried / r
        if hall[j] >= 0:
            other_heat[hall[j]] += loss
        if parent[j] >= 0:
            load[parent[j]] += carried + loss


@njit(cache=True, nogil=True)
def solve_elements(
    racks, static_w, dynamic_w, groups, halls, plants,
    pool_load, air, dew_point, powered, runs_g, runs_h, runs_p,
    link_start, link_node, link_share, state_of, dark, parent, rating, feed_a, feed_b, feed_c, feed_hall,
    group_node, hall_node, plant_node,
    tolerance, max_passes,
    series, pools_out, groups_out, halls_out, plants_out, node_out, racks_out, channels,
):  # fmt: skip
    """Solve the elements of one block in order, each from the last one's temperatures; fill the output tables.

    `channels` has shape (n_elements, n_racks, N_CHANNELS), or (0, 0, 0) where they are not kept.
    """
    n_elements = pool_load.shape[0]
    n_racks, n_groups, n_halls, n_plants = racks.shape[0], groups.shape[0], halls.shape[0], plants.shape[0]
    n_nodes = parent.shape[1]
    scratch = np.zeros((n_racks, N_SCRATCH))
    weight = np.zeros(n_racks)
    whole = np.zeros(n_racks)
    levels = np.zeros((N_LEVEL_ROWS, n_groups + n_halls + n_nodes))
    short = np.zeros(n_groups + n_halls + n_nodes, dtype=np.bool_)
    order = hottest_first(racks)
    off = np.zeros(n_racks, dtype=np.int64)
    design = np.zeros(n_groups)
    group_x = np.zeros((n_groups, 2))
    hall_x = np.zeros((n_halls, 3))
    plant_x = np.zeros(n_plants)
    group_sums = np.zeros((n_groups, N_GROUP_SUMS))
    hall_sums = np.zeros((n_halls, N_HALL_SUMS))
    group_state = np.zeros((n_groups, N_GROUP_STATE))
    hall_state = np.zeros((n_halls, N_HALL_STATE))
    hall_valve = np.zeros(n_halls)
    plant_state = np.zeros((n_plants, N_PLANT_STATE))
    group_set = np.zeros(n_groups)
    overrated = np.zeros(n_groups, dtype=np.bool_)
    group_cools = np.zeros(n_groups, dtype=np.bool_)
    hall_cools = np.zeros(n_halls, dtype=np.bool_)
    other_heat = np.zeros(n_halls)
    mechanical = np.zeros(n_nodes)
    laid = np.zeros(n_nodes)
    node_load = np.zeros(n_nodes)
    cold_racks(racks, scratch)
    warm = False
    for e in range(n_elements):
        state = state_of[e]
        weather = (air[e, 0], air[e, 1], air[e, 2], air[e, 3], air[e, 4])
        for j in range(n_plants):
            opened = 0.0
            for k in range(n_groups):
                if groups[k].plant_index == j and groups[k].to_air == 0:
                    opened += runs_g[e, k] * groups[k].primary_flow_kg_s
            for k in range(n_halls):
                if halls[k].plant_index == j:
                    opened += runs_h[e, k] * halls[k].coil_water_kg_s
            plant_state[j, P_SCALE] = (
                min(1.0, pumped_flow_kg_s(plants[j], runs_p[e, j]) / opened) if opened > 0.0 else 1.0
            )
        for k in range(n_groups):
            g = groups[k]
            guard = min(dew_point[e], halls[g.hall_index].dew_point_limit_degc) + g.dew_point_margin_k
            group_set[k] = max(g.supply_set_degc, guard)
            group_cools[k] = runs_g[e, k] > 0.0 and _rejects(plants[g.plant_index], runs_p[e, g.plant_index])
        for k in range(n_halls):
            j = halls[k].plant_index
            hall_cools[k] = runs_h[e, k] > 0.0 and _rejects(plants[j], runs_p[e, j])
        for k in range(n_groups):
            if groups[k].to_air == 1:
                group_cools[k] = runs_g[e, k] > 0.0 and hall_cools[groups[k].hall_index]
        design[:] = 0.0
        for i in range(n_racks):
            r = racks[i]
            whole[i] = r.count * powered[e, i]
            weight[i] = whole[i]
            off[i] = RUNNING
            g = r.cdu_index
            hot = r.air_flow_kg_s > 0.0 and not hall_cools[r.hall_index]
            if g >= 0 and not group_cools[g]:
                hot = hot or r.accelerator_liquid_frac > 0.0 or r.other_liquid_frac > 0.0
            if hot or dark[state, i]:
                off[i] = ALL_OFF
            if g >= 0:
                design[g] += weight[i] * r.coolant_flow_kg_s
        if not warm:
            _start_cold(
                groups, halls, plants, group_set, group_x, group_state, hall_x, plant_x, plant_state, mechanical
            )  # fmt: skip
        start_racks(racks, static_w, dynamic_w, pool_load[e], off, scratch)
        reason = NOT_CONVERGED
        passes = 0
        residual = np.inf
        clear_levels(levels, short)
        for trips in range(_TRIP_ROUNDS):
            reason = NOT_CONVERGED
            best = np.inf
            stalled = 0
            for _ in range(max_passes):
                passes += 1
                node_load[:] = mechanical
                rack_pass(
                    racks, weight, off, scratch, group_x, hall_x, group_sums, hall_sums, link_start, link_node,
                    link_share[state], node_load,
                )  # fmt: skip
                for k in range(n_halls):
                    other_heat[k] = halls[k].lighting_w + halls[k].extra_heat_w
                for k in range(n_groups):
                    g = groups[k]
                    if design[k] > 0.0 and runs_g[e, k] > 0.0:
                        other_heat[g.hall_index] += (1.0 - g.pump_heat_frac) * group_state[k, G_PUMP]
                    else:
                        group_state[k, G_PUMP] = 0.0
                air_groups_pass(
                    groups, runs_g[e], design, group_sums, group_x, group_set, hall_x, hall_sums, group_state
                )  # fmt: skip
                _feed_heat(node_load, parent[state], rating[state], feed_a, feed_b, feed_c, feed_hall, other_heat)
                for j in range(n_plants):
                    plant_state[j, P_SUPPLY] = plant_pass(
                        j, plant_x[j], plants, groups, halls, runs_p[e], runs_g[e], runs_h[e], design, group_sums,
                        hall_sums, group_x, hall_x, group_set, other_heat, weather, group_state, hall_state,
                        hall_valve, plant_state,
                    )  # fmt: skip
                residual = 0.0
                for j in range(n_plants):
                    residual = max(residual, abs(plant_state[j, P_SUPPLY] - plant_x[j]))
                for k in range(n_groups):
                    if design[k] > 0.0 and runs_g[e, k] > 0.0:
                        residual = max(residual, abs(group_state[k, G_SUPPLY] - group_x[k, 0]))
                        if np.isnan(group_state[k, G_FLOW]):
                            residual = np.inf
                            group_state[k, G_FLOW] = group_x[k, 1]
                        residual = max(residual, 10.0 * abs(group_state[k, G_FLOW] - group_x[k, 1]))
                for k in range(n_halls):
                    if runs_h[e, k] > 0.0:
                        if np.isnan(hall_state[k, COLD]):
                            residual = np.inf
                            hall_state[k, COLD] = hall_x[k, 0]
                        residual = max(residual, abs(hall_state[k, COLD] - hall_x[k, 0]))
                        residual = max(residual, abs(hall_state[k, HOT] - hall_x[k, 1]))
                        spread = abs(hall_x[k, 1] - hall_x[k, 0])
                        residual = max(residual, abs(hall_state[k, OWN] - hall_x[k, 2]) * spread)
                if residual <= tolerance:
                    # Frozen here: racks were evaluated at these very temperatures. Plants taken on trust are solved.
                    held = True
                    for j in range(n_plants):
                        if plant_state[j, P_FLOATS] == 0.0:
                            supply = plant_image(
                                j, plants[j].supply_set_degc, True, plants, groups, halls, runs_p[e], runs_g[e],
                                runs_h[e], design, group_sums, hall_sums, group_x, hall_x, group_set, other_heat,
                                weather, group_state, hall_state, hall_valve, plant_state,
                            )  # fmt: skip
                            if supply > plants[j].supply_set_degc + 1e-11:
                                plant_state[j, P_FLOATS] = 1.0
                                held = False
                        elif plant_state[j, P_SUPPLY] <= plants[j].supply_set_degc:
                            plant_state[j, P_FLOATS] = 0.0
                    if held:
                        laid[:] = mechanical
                        _lay_mechanical(
                            mechanical, group_node[state], hall_node[state], plant_node[state], group_state, hall_state,
                            plant_state, halls, runs_h[e], n_groups,
                        )  # fmt: skip
                        _catch_up(node_load, laid, mechanical, parent[state])
                        reason = CONVERGED
                        break
                    best = np.inf
                    continue
                if residual < 0.5 * best:
                    best = residual
                    stalled = 0
                else:
                    stalled += 1
                if stalled >= _STALLED_PASSES:
                    latch(weight, off, scratch)
                if stalled >= 2 * _STALLED_PASSES and over_limit(racks, weight, off, scratch) > 0.0:
                    break
                step = 1.0 if stalled < 4 else (0.5 if stalled < 2 * _STALLED_PASSES else 0.3)
                for j in range(n_plants):
                    plant_x[j] += _limited(step * (plant_state[j, P_SUPPLY] - plant_x[j]))
                for k in range(n_groups):
                    if design[k] > 0.0 and runs_g[e, k] > 0.0:
                        _move(group_x[k], 0, group_state[k, G_SUPPLY], step)
                        _move(group_x[k], 1, group_state[k, G_FLOW], step)
                for k in range(n_halls):
                    if runs_h[e, k] > 0.0:
                        _move(hall_x[k], 0, hall_state[k, COLD], step)
                        _move(hall_x[k], 1, hall_state[k, HOT], step)
                        _move(hall_x[k], 2, hall_state[k, OWN], step)
                _lay_mechanical(
                    mechanical, group_node[state], hall_node[state], plant_node[state], group_state, hall_state,
                    plant_state, halls, runs_h[e], n_groups,
                )  # fmt: skip
            mark_overrated(groups, runs_g[e], design, group_state, overrated)
            # Also without a solution what is over its limits goes off: there may be none with everything on.
            if reason == CONVERGED and within_limits(
                racks, weight, off, scratch, node_load, rating[state], levels, overrated
            ):  # fmt: skip
                break
            if trip_alone(racks, weight, off, scratch, group_set, hall_x, halls):
                continue
            mark_short(
                racks, weight, off, scratch, node_load, rating[state], link_start, link_node, link_share[state],
                parent[state], levels, short, n_groups, n_halls, reason == CONVERGED, overrated,
            )  # fmt: skip
            if next_levels(levels, short, trips >= _BISECTION_ROUNDS):
                if reason != CONVERGED:
                    _start_cold(
                        groups, halls, plants, group_set, group_x, group_state, hall_x, plant_x, plant_state, mechanical
                    )  # fmt: skip
                apply_levels(
                    racks, whole, off, scratch, weight, levels, order, link_start, link_node, link_share[state],
                    parent[state], n_groups, n_halls,
                )  # fmt: skip
                continue
            if reason != CONVERGED:
                # A fold of leakage that is jumped back and forth has no state to rest in.
                for i in range(n_racks):
                    if weight[i] > 0.0 and off[i] == RUNNING and scratch[i, STATUS] != SETTLED:
                        reason = NO_STEADY
            break
        else:
            reason = NO_STEADY
        warm = reason == CONVERGED
        write_element(
            e, racks, groups, halls, plants, weight, whole, levels, off, scratch, design, group_x, hall_x, plant_x,
            group_sums, hall_sums, group_state, hall_state, hall_valve, plant_state, other_heat, runs_g[e], runs_h[e],
            runs_p[e], weather, dew_point[e], powered[e], reason, passes, residual, group_node[state], hall_node[state],
            plant_node[state], link_start, link_node, link_share[state], series, pools_out, groups_out, halls_out,
            plants_out, node_out, racks_out, channels,
        )  # fmt: skip
        if np.any(off == ACCELERATORS_OFF) or levels[0].min() < 1.0:
            warm = False


@njit(cache=True)
def _start_cold(groups, halls, plants, group_set, group_x, group_state, hall_x, plant_x, plant_state, mechanical):
    """Start everything at its set point."""
    for k in range(groups.shape[0]):
        group_x[k, 0], group_x[k, 1] = group_set[k], 1.0
        group_state[k, G_VALVE] = 0.5
    for k in range(halls.shape[0]):
        cold = halls[k].supply_set_degc
        hall_x[k, 0], hall_x[k, 1], hall_x[k, 2] = cold, cold + 10.0, 1.0
    for j in range(plants.shape[0]):
        plant_x[j] = plants[j].supply_set_degc
        plant_state[j, P_FLOATS] = 0.0
    mechanical[:] = 0.0


@njit(cache=True)
def _rejects(p, running):
    """Whether a plant has anything left that takes heat, and a pump that brings it."""
    if running[3] <= 0.0:
        return False
    if running[0] > 0.0:
        return True
    if running[1] > 0.0 and (p.n_chillers <= 0.0 or running[2] > 0.0 or p.economiser == 1):
        return True
    return running[2] > 0.0 and p.chiller_water_cooled == 0


@njit(cache=True)
def _limited(step):
    return min(max(step, -LINEAR_K), LINEAR_K)


@njit(cache=True)
def _move(row, column, to, step):
    # A full step lands on the value itself, so that a set point stays exact.
    change = to - row[column]
    row[column] = to if step == 1.0 and abs(change) < LINEAR_K else row[column] + _limited(step * change)


@njit(cache=True)
def _catch_up(node_load, laid, mechanical, parent):
    """Add to the feeds what plants taken on trust were found to draw in the end, without the loss that this adds."""
    for n in range(laid.size):
        more = mechanical[n] - laid[n]
        while more != 0.0 and n >= 0:
            node_load[n] += more
            n = parent[n]


@njit(cache=True)
def _lay_mechanical(
    mechanical, group_node, hall_node, plant_node, group_state, hall_state, plant_state, halls, runs_h, n_groups
):
    """Power of pumps, fans and chillers where the feed tree sees it."""
    if mechanical.size == 0:
        return
    mechanical[:] = 0.0
    for k in range(n_groups):
        if group_node[k] >= 0:
            mechanical[group_node[k]] += group_state[k, G_PUMP]
    for k in range(hall_state.shape[0]):
        if hall_node[k] >= 0:
            mechanical[hall_node[k]] += halls[k].lighting_w + (hall_state[k, FAN_W] if runs_h[k] > 0.0 else 0.0)
    for j in range(plant_state.shape[0]):
        if plant_node[j] >= 0:
            row = plant_state[j]
            mechanical[plant_node[j]] += row[P_PUMP] + row[P_COOLER] + row[P_TOWER] + row[P_TOWER_PUMP] + row[P_CHILLER]
