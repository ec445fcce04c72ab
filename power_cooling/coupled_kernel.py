"""The compiled inner part of the coupled solver: passes over racks, CDU groups, halls and plants, element by element.

`coupled` prepares its arrays and reads its output tables by the column names below.
"""

import numpy as np
from numba import njit

from power_cooling.cdus import conductance_scalar, part_flow_ua_scalar, pump_power_scalar, supply_scalar, valve_scalar
from power_cooling.chips import NO_STEADY_STATE, RUNAWAY_POSSIBLE, SETTLED
from power_cooling.cooling import plant_scalar, water_scalar
from power_cooling.it_load import (
    ACCELERATORS,
    ACCELERATORS_OFF,
    ALL_OFF,
    COOLANT,
    FAN,
    HEAT,
    HEAT_BY_FLOW,
    HEAT_BY_SUPPLY,
    INLET,
    JUNCTION,
    LIMIT,
    LIQUID,
    N_GROUP_SUMS,
    N_HALL_SUMS,
    N_SCRATCH,
    NET_AIR,
    OTHER,
    POWER,
    RAN_AWAY,
    RUNNING,
    SERVER_AIR,
    SHELF,
    STATUS,
    cold_racks,
    rack_clock,
    rack_pass,
    start_racks,
)
from power_cooling.room_air import (
    AIR_CP_J_PER_KG_K,
    COIL_HEAT,
    COLD,
    CONDUCTANCE,
    FAN_W,
    HOT,
    LINEAR_K,
    N_HALL_STATE,
    OWN,
    UNIT_AIR,
    VALVE_STATE,
    hall_scalar,
)

# Scratch per group: solved supply and flow, pump, heat through the exchanger, conductance, valve state and position.
G_SUPPLY, G_FLOW, G_PUMP, G_HEAT, G_CONDUCTANCE, G_STATE, G_VALVE, G_RATIO, G_PART = 0, 1, 2, 3, 4, 5, 6, 7, 8
N_GROUP_STATE = 9
# Scratch per plant.
P_SUPPLY, P_HEAT, P_FLOW, P_PUMP, P_MODE, P_COOLER, P_TOWER, P_TOWER_PUMP, P_CHILLER = 0, 1, 2, 3, 4, 5, 6, 7, 8
P_EVAPORATION, P_LOAD, P_CLAMPED, P_FLOATS, P_SCALE = 9, 10, 11, 12, 13
N_PLANT_STATE = 14

# Output columns per element.
(
    S_IT, S_ACCELERATORS, S_OTHER, S_SERVER_FAN, S_SHELF, S_CDU_PUMP, S_PLANT_PUMP, S_TOWER_PUMP, S_AIR_FAN,
    S_COOLER_FAN, S_TOWER_FAN, S_CHILLER, S_LIGHTING, S_LIQUID, S_AIR, S_WATER, S_EVAPORATION, S_THROTTLED, S_CAPPED,
    S_TRIPPED, S_CLOSURE, S_RESIDUAL, S_PASSES, S_REASON,
) = range(24)  # fmt: skip
N_SERIES = 24
OG_SUPPLY, OG_RETURN, OG_HEAT, OG_FLOW, OG_VALVE, OG_LOAD, OG_DEW, OG_PUMP, OG_PRIMARY = range(9)
N_GROUP_OUT = 9
OH_SUPPLY, OH_HOT, OH_RETURN, OH_INLET, OH_HEAT, OH_AIR, OH_SERVER_AIR, OH_UNIT_AIR, OH_LOAD, OH_FAN = range(10)
N_HALL_OUT = 10
(
    OP_SUPPLY, OP_RETURN, OP_HEAT, OP_MODE, OP_LOAD, OP_CLAMPED, OP_FLOW, OP_PUMP, OP_COOLER, OP_TOWER, OP_TOWER_PUMP,
    OP_CHILLER, OP_WATER,
) = range(13)  # fmt: skip
N_PLANT_OUT = 13
# Accumulated per rack.
(
    R_POWER, R_MAX_POWER, R_MAX_JUNCTION, R_MAX_INLET, R_MAX_COOLANT, R_MIN_CLOCK, R_CLOCK, R_RUNNING, R_THROTTLED,
    R_CAPPED, R_TRIPPED, R_ELEMENTS,
) = range(12)  # fmt: skip
N_RACK_OUT = 12
N_CHANNELS = 5  # per rack and element: power, junction, clock, inlet air, heat into the coolant

CONVERGED, NOT_CONVERGED, NO_STEADY = 0, 1, 2

_TRIP_ROUNDS = 80
_STALLED_PASSES = 10  # without halving the residual: then what can run away is taken to have run away


@njit(cache=True)
def _group_scalar(g, running, design, sums, supply0, flow0, setpoint, cold, open_w_per_k, full, out):
    """Solve a CDU group for its racks' heat, linear about (supply0, flow0); fill the row `out`.

    `design` is the racks' design coolant flow [kg/s], `open_w_per_k` what the open valves of all running units pass.
    """
    most = running * g.secondary_flow_kg_s * g.max_flow_frac / design
    wall = 1.0 - g.secondary_film_frac - g.primary_film_frac
    least_part = g.primary_film_frac * g.min_valve_frac**-g.film_exponent
    supply, flow = supply0, flow0
    for _ in range(80):
        heat = sums[HEAT] + sums[HEAT_BY_SUPPLY] * (supply - supply0) + sums[HEAT_BY_FLOW] * (flow - flow0)
        heat = max(heat, 0.0)
        if g.pump_control == 1:
            full = g.secondary_cp_j_per_kg_k * g.rack_rise_set_k * design
            new_flow = flow + (heat / full - flow) / max(1.0 - sums[HEAT_BY_FLOW] / full, 0.3)
            new_flow = min(max(new_flow, g.min_flow_frac), 1.0, most)
        else:
            new_flow = min(1.0, most)
        per_unit = new_flow * design / (running * g.secondary_flow_kg_s)
        pump = running * pump_power_scalar(g.pump_power_w, per_unit, g.pump_static_frac)
        rate = new_flow * design * g.secondary_cp_j_per_kg_k
        through = heat + g.pump_heat_frac * pump
        if per_unit != out[G_RATIO]:
            out[G_RATIO], out[G_PART] = per_unit, g.secondary_film_frac * per_unit**-g.film_exponent
        image, state, conductance, slope = supply_scalar(
            through, rate, setpoint, cold, open_w_per_k, g.min_valve_frac, running * g.ua_w_per_k, out[G_PART],
            g.primary_film_frac, least_part, wall, g.holds_supply,
        )  # fmt: skip
        gain = 1.0 - slope * sums[HEAT_BY_SUPPLY]
        new = setpoint if state == 0 else supply + (image - supply) / max(gain, 0.3)
        new = min(max(new, supply0 - LINEAR_K), supply0 + LINEAR_K)
        moved = max(abs(new - supply), abs(new_flow - flow))
        supply, flow = new, new_flow
        out[G_SUPPLY], out[G_FLOW], out[G_PUMP], out[G_HEAT] = supply, flow, pump, through
        out[G_CONDUCTANCE], out[G_STATE] = conductance, state
        if moved < 2e-12:
            break
    else:
        out[G_FLOW] = np.nan  # never read as solved
    if not full:
        return
    if out[G_STATE] == 1:
        out[G_VALVE] = 1.0
    elif out[G_STATE] == -1:
        out[G_VALVE] = g.min_valve_frac
    else:
        start = out[G_VALVE] if out[G_VALVE] > 0.0 else 0.5
        out[G_VALVE] = valve_scalar(
            out[G_CONDUCTANCE], rate, open_w_per_k, g.min_valve_frac, running * g.ua_w_per_k, out[G_PART],
            g.primary_film_frac, wall, g.film_exponent, start,
        )  # fmt: skip


@njit(cache=True)
def _hall_valve(h, running, row, water_w_per_k):
    if row[VALVE_STATE] == 1:
        return 1.0
    if row[VALVE_STATE] == -1:
        return h.min_valve_frac
    most = running * h.unit_air_kg_s
    return valve_scalar(
        row[CONDUCTANCE], row[UNIT_AIR] * AIR_CP_J_PER_KG_K, water_w_per_k, h.min_valve_frac,
        running * h.coil_ua_w_per_k, h.coil_air_film_frac * (row[UNIT_AIR] / most) ** -h.coil_film_exponent,
        h.coil_water_film_frac, 1.0 - h.coil_air_film_frac - h.coil_water_film_frac, h.coil_film_exponent, 0.5,
    )  # fmt: skip


@njit(cache=True)
def _plant_image(
    j, t, full, plants, groups, halls, runs_p, runs_g, runs_h, design, group_sums, hall_sums, group_x, hall_x,
    group_set, other_heat, air, group_state, hall_state, hall_valve, plant_state,
):  # fmt: skip
    """Facility water that plant j would supply if it supplied t: its groups and halls solved, then the plant.

    Without `full` the plant is taken to hold its set point (its own solve is the dearest part).
    """
    p = plants[j]
    heat = 0.0
    flow = 0.0
    scale = plant_state[j, P_SCALE]
    cp = p.cp_j_per_kg_k
    for k in range(groups.shape[0]):
        g = groups[k]
        if g.plant_index != j or design[k] <= 0.0 or runs_g[k] <= 0.0:
            continue
        opened = runs_g[k] * g.primary_flow_kg_s * scale
        _group_scalar(
            g, runs_g[k], design[k], group_sums[k], group_x[k, 0], group_x[k, 1], group_set[k], t, opened * cp,
            full, group_state[k],
        )  # fmt: skip
        heat += group_state[k, G_HEAT]
        flow += opened * group_state[k, G_VALVE]
    for k in range(halls.shape[0]):
        h = halls[k]
        if h.plant_index != j or runs_h[k] <= 0.0:
            continue
        opened = runs_h[k] * h.coil_water_kg_s * scale
        hall_scalar(
            h, runs_h[k], hall_sums[k], hall_x[k, 0], hall_x[k, 1], hall_x[k, 2], other_heat[k], air[0], t,
            opened * cp, hall_state[k],
        )  # fmt: skip
        if not full:
            continue
        hall_valve[k] = _hall_valve(h, runs_h[k], hall_state[k], opened * cp)
        heat += hall_state[k, COIL_HEAT]
        flow += opened * hall_valve[k]
    if not full:
        return p.supply_set_degc
    flow = p.design_flow_kg_s if p.constant_flow == 1 else max(flow, p.min_flow_frac * p.design_flow_kg_s)
    pump = pump_power_scalar(p.pump_power_w, flow / p.design_flow_kg_s, p.pump_static_frac)
    heat += p.pump_heat_frac * pump
    row = plant_state[j]
    row[P_HEAT], row[P_FLOW], row[P_PUMP] = heat, flow, pump
    supply, mode, cooler, tower, tower_pump, chiller, evaporation, load, clamped = plant_scalar(
        p, runs_p[j, 0], runs_p[j, 1], runs_p[j, 2], heat, flow * cp, air
    )
    row[P_MODE], row[P_COOLER], row[P_TOWER] = mode, cooler, tower
    row[P_TOWER_PUMP], row[P_CHILLER] = tower_pump, chiller
    row[P_EVAPORATION], row[P_LOAD], row[P_CLAMPED] = evaporation, load, 1.0 if clamped else 0.0
    return supply


@njit(cache=True)
def _plant_pass(
    j, t0, plants, groups, halls, runs_p, runs_g, runs_h, design, group_sums, hall_sums, group_x, hall_x,
    group_set, other_heat, air, group_state, hall_state, hall_valve, plant_state,
):  # fmt: skip
    """Solve plant j with its groups and halls: the root of image(t) - t, at the set point where the plant holds it."""
    lowest = plants[j].supply_set_degc
    full = plant_state[j, P_FLOATS] > 0.0
    if not full:
        return _plant_image(
            j, lowest, False, plants, groups, halls, runs_p, runs_g, runs_h, design, group_sums, hall_sums, group_x,
            hall_x, group_set, other_heat, air, group_state, hall_state, hall_valve, plant_state,
        )  # fmt: skip
    low = max(lowest, t0 - LINEAR_K)
    high = t0 + LINEAR_K
    f_low = np.inf
    f_high = -np.inf
    t = max(t0, lowest)
    last_t = t
    last_f = 0.0
    for i in range(80):
        f = (
            _plant_image(
                j, t, True, plants, groups, halls, runs_p, runs_g, runs_h, design, group_sums, hall_sums, group_x,
                hall_x, group_set, other_heat, air, group_state, hall_state, hall_valve, plant_state,
            )
            - t
        )  # fmt: skip
        if abs(f) < 1e-11 or (t == lowest and f <= 0.0) or (t == low and f < 0.0) or (t == high and f > 0.0):
            return t
        if f > 0.0:
            low, f_low = t, f
        else:
            high, f_high = t, f
        if high - low < 1e-12:
            return t
        if i == 0:
            new = t + f
        elif f != last_f:
            new = t - f * (t - last_t) / (f - last_f)
        else:
            new = 0.5 * (low + high)
        if i > 12 and i % 3 == 0:
            new = 0.5 * (low + high)
        if not np.isfinite(f_low) or not np.isfinite(f_high):
            new = min(max(new, low), high)
        elif not low < new < high:
            new = 0.5 * (low + high)
        last_t, last_f = t, f
        t = new
    return t


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


@njit(cache=True)
def _closures(
    plants, groups, halls, runs_g, runs_h, design, group_sums, hall_sums, group_x, hall_x, plant_x, other_heat,
    group_state, hall_state, hall_valve, plant_state, outdoor,
):  # fmt: skip
    """Worst relative heat imbalance of any loop or hall, from the temperatures and flows the element was left at.

    What enters a node is the racks', pumps' and fans' power; what leaves it is flow times temperature difference, or
    conductance times the difference between inlets. The two agree only where the temperatures are right.
    """
    worst = 0.0
    for j in range(plants.shape[0]):
        p = plants[j]
        t = plant_x[j]
        cp = p.cp_j_per_kg_k
        entering = 0.0
        mixed = 0.0
        flow = 0.0
        scale = plant_state[j, P_SCALE]
        for k in range(groups.shape[0]):
            g = groups[k]
            if g.plant_index != j or design[k] <= 0.0 or runs_g[k] <= 0.0:
                continue
            pump = g.pump_heat_frac * group_state[k, G_PUMP]
            given = group_sums[k, HEAT] + pump
            rate = group_x[k, 1] * design[k] * g.secondary_cp_j_per_kg_k
            arriving = group_x[k, 0] + given / rate
            per_unit = group_x[k, 1] * design[k] / (runs_g[k] * g.secondary_flow_kg_s)
            water = runs_g[k] * g.primary_flow_kg_s * scale * cp * group_state[k, G_VALVE]
            ua = part_flow_ua_scalar(
                runs_g[k] * g.ua_w_per_k, per_unit, group_state[k, G_VALVE], g.secondary_film_frac,
                g.primary_film_frac, g.film_exponent,
            )  # fmt: skip
            taken = conductance_scalar(ua, rate, water) * (arriving - t)
            worst = max(worst, abs(taken - given) / max(given, 1.0))
            entering += given
            mixed += water * (t + taken / water)
            flow += water
        for k in range(halls.shape[0]):
            h = halls[k]
            if h.plant_index != j or runs_h[k] <= 0.0:
                continue
            cold, hot = hall_x[k, 0], hall_x[k, 1]
            most = runs_h[k] * h.unit_air_kg_s
            net = min(hall_sums[k, NET_AIR], most * (1.0 - h.bypass_frac))
            air = min(max(net / (1.0 - h.bypass_frac), h.fan_min_frac * most), most)
            servers = net * AIR_CP_J_PER_KG_K * (hot - cold)
            warmth = other_heat[k] + max(h.envelope_ua_w_per_k * (outdoor - cold), 0.0)
            fan = runs_h[k] * h.unit_fan_w * (air / most) ** h.fan_exponent
            rate = air * AIR_CP_J_PER_KG_K
            back = cold + (servers + warmth) / rate
            water = runs_h[k] * h.coil_water_kg_s * scale * cp * hall_valve[k]
            ua = part_flow_ua_scalar(
                runs_h[k] * h.coil_ua_w_per_k, air / most, hall_valve[k], h.coil_air_film_frac,
                h.coil_water_film_frac, h.coil_film_exponent,
            )  # fmt: skip
            taken = conductance_scalar(ua, rate, water) * (back - t)
            given = hall_sums[k, 0] + warmth + fan
            worst = max(worst, abs(taken - given) / max(given, 1.0))
            entering += given
            mixed += water * (t + taken / water)
            flow += water
        if entering > 0.0:
            pump = p.pump_heat_frac * plant_state[j, P_PUMP]
            total = plant_state[j, P_FLOW] * cp
            # A bypass carries what the minimum flow adds, at supply temperature.
            back = (mixed + (total - flow) * t) / total + pump / total
            worst = max(worst, abs(total * (back - plant_state[j, P_SUPPLY]) - entering - pump) / (entering + pump))
    return worst


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
    group_cools = np.zeros(n_groups, dtype=np.bool_)
    hall_cools = np.zeros(n_halls, dtype=np.bool_)
    other_heat = np.zeros(n_halls)
    mechanical = np.zeros(n_nodes)
    node_load = np.zeros(n_nodes)
    cold_racks(racks, scratch)
    warm = False
    for e in range(n_elements):
        state = state_of[e]
        weather = (air[e, 0], air[e, 1], air[e, 2], air[e, 3], air[e, 4])
        for j in range(n_plants):
            opened = 0.0
            for k in range(n_groups):
                if groups[k].plant_index == j:
                    opened += runs_g[e, k] * groups[k].primary_flow_kg_s
            for k in range(n_halls):
                if halls[k].plant_index == j:
                    opened += runs_h[e, k] * halls[k].coil_water_kg_s
            plant_state[j, P_SCALE] = min(1.0, plants[j].design_flow_kg_s / opened) if opened > 0.0 else 1.0
        for k in range(n_groups):
            g = groups[k]
            guard = min(dew_point[e], halls[g.hall_index].dew_point_limit_degc) + g.dew_point_margin_k
            group_set[k] = max(g.supply_set_degc, guard)
            group_cools[k] = runs_g[e, k] > 0.0 and _rejects(plants[g.plant_index], runs_p[e, g.plant_index])
        for k in range(n_halls):
            j = halls[k].plant_index
            hall_cools[k] = runs_h[e, k] > 0.0 and _rejects(plants[j], runs_p[e, j])
        design[:] = 0.0
        for i in range(n_racks):
            r = racks[i]
            weight[i] = r.count * powered[e, i]
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
            for k in range(n_groups):
                group_x[k, 0], group_x[k, 1] = group_set[k], 1.0
                group_state[k, G_VALVE] = 0.5
            for k in range(n_halls):
                cold = halls[k].supply_set_degc
                hall_x[k, 0], hall_x[k, 1], hall_x[k, 2] = cold, cold + 10.0, 1.0
            for j in range(n_plants):
                plant_x[j] = plants[j].supply_set_degc
                plant_state[j, P_FLOATS] = 0.0
            mechanical[:] = 0.0
        start_racks(racks, static_w, dynamic_w, pool_load[e], off, scratch)
        reason = NOT_CONVERGED
        passes = 0
        residual = np.inf
        for _ in range(_TRIP_ROUNDS):
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
                _feed_heat(node_load, parent[state], rating[state], feed_a, feed_b, feed_c, feed_hall, other_heat)
                for j in range(n_plants):
                    plant_state[j, P_SUPPLY] = _plant_pass(
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
                            supply = _plant_image(
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
                    _latch(weight, off, scratch)
                if stalled >= 2 * _STALLED_PASSES and _over_limit(racks, weight, off, scratch) > 0.0:
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
                    mechanical, group_node, hall_node, plant_node, group_state, hall_state, plant_state, halls,
                    runs_h[e], n_groups,
                )  # fmt: skip
            # Also without a solution what is over its limits goes off: there may be none with everything on.
            if _trip(racks, weight, off, scratch):
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
        _write(
            e, racks, groups, halls, plants, weight, off, scratch, design, group_x, hall_x, plant_x, group_sums,
            hall_sums, group_state, hall_state, hall_valve, plant_state, other_heat, runs_g[e], runs_h[e], runs_p[e],
            weather, dew_point[e], powered[e], reason, passes, residual, group_node, hall_node, plant_node, link_start,
            link_node, link_share[state], series, pools_out, groups_out, halls_out, plants_out, node_out, racks_out,
            channels,
        )  # fmt: skip
        if np.any(off == ACCELERATORS_OFF):
            warm = False


@njit(cache=True)
def _latch(weight, off, scratch):
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
def _rejects(p, running):
    """Whether a plant has anything left that takes heat."""
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


@njit(cache=True)
def _over_limit(racks, weight, off, scratch):
    """Largest excess over a trip limit [K], 0 or less where there is none."""
    worst = 0.0
    for i in range(racks.shape[0]):
        if weight[i] > 0.0 and off[i] != ALL_OFF:
            worst = max(worst, _excess(racks[i], off[i], scratch, i))
    return worst


@njit(cache=True)
def _trip(racks, weight, off, scratch):
    """Switch off what is over its limits, hottest half first; return whether anything was."""
    worst = _over_limit(racks, weight, off, scratch)
    if worst <= 0.0:
        return False
    for i in range(racks.shape[0]):
        if weight[i] > 0.0 and off[i] != ALL_OFF and _excess(racks[i], off[i], scratch, i) >= 0.5 * worst:
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
    if off == RUNNING and r.n_accelerators > 0.0:
        over = max(over, scratch[i, JUNCTION] - r.trip_degc)
        if scratch[i, STATUS] == NO_STEADY_STATE:
            over = max(over, 1e-3)
    return over


@njit(cache=True)
def _write(
    e, racks, groups, halls, plants, weight, off, scratch, design, group_x, hall_x, plant_x, group_sums, hall_sums,
    group_state, hall_state, hall_valve, plant_state, other_heat, runs_g, runs_h, runs_p, weather, dew_point, powered,
    reason, passes, residual, group_node, hall_node, plant_node, link_start, link_node, link_share, series, pools_out,
    groups_out, halls_out, plants_out, node_out, racks_out, channels,
):  # fmt: skip
    """Fill the output rows of element e."""
    s = series[e]
    s[:] = 0.0
    s[S_RESIDUAL], s[S_PASSES], s[S_REASON] = residual, passes, reason
    if reason != CONVERGED:
        s[:S_RESIDUAL] = np.nan
        pools_out[e] = np.nan
        groups_out[e] = np.nan
        halls_out[e] = np.nan
        plants_out[e] = np.nan
        node_out[e] = np.nan
        if channels.shape[0] > 0:
            channels[e] = np.nan
        return
    n_pools = pools_out.shape[1]
    pools_out[e] = 0.0
    node_out[e] = 0.0
    halls_out[e, :, OH_INLET] = np.nan
    total = 0.0
    for i in range(racks.shape[0]):
        r = racks[i]
        w = weight[i]
        accelerators = r.count * r.n_accelerators
        total += accelerators
        clock = 0.0
        power = 0.0
        running = w > 0.0 and off[i] != ALL_OFF
        s[S_TRIPPED] += accelerators - (w * r.n_accelerators if running and off[i] == RUNNING else 0.0)
        if r.pool_index >= 0:
            pools_out[e, r.pool_index, 2] += accelerators
        racks_out[i, R_ELEMENTS] += 1.0
        if not running or off[i] != RUNNING:
            racks_out[i, R_TRIPPED] += 1.0
        if running:
            power = scratch[i, POWER]
            clock = rack_clock(r, scratch, i, off[i])
            s[S_IT] += w * power
            s[S_SERVER_FAN] += w * scratch[i, FAN]
            s[S_SHELF] += w * scratch[i, SHELF]
            s[S_LIQUID] += w * scratch[i, LIQUID]
            s[S_AIR] += w * (power - scratch[i, LIQUID])
            s[S_OTHER] += w * scratch[i, OTHER]
            s[S_ACCELERATORS] += w * scratch[i, ACCELERATORS]
            if not halls_out[e, r.hall_index, OH_INLET] >= scratch[i, INLET]:
                halls_out[e, r.hall_index, OH_INLET] = scratch[i, INLET]
            racks_out[i, R_POWER] += power
            racks_out[i, R_MAX_POWER] = max(racks_out[i, R_MAX_POWER], power)
            racks_out[i, R_MAX_INLET] = max(racks_out[i, R_MAX_INLET], scratch[i, INLET])
            if r.cdu_index >= 0:
                racks_out[i, R_MAX_COOLANT] = max(racks_out[i, R_MAX_COOLANT], group_x[r.cdu_index, 0])
            if off[i] == RUNNING:
                racks_out[i, R_RUNNING] += 1.0
                racks_out[i, R_CLOCK] += clock if r.n_accelerators > 0.0 else 1.0
                if r.n_accelerators > 0.0:
                    live = w * r.n_accelerators
                    hot = clock < 1.0 and scratch[i, JUNCTION] > r.throttle_degc
                    capped = scratch[i, LIMIT] == 1 or (scratch[i, LIMIT] == 3 and not hot)
                    racks_out[i, R_MAX_JUNCTION] = max(racks_out[i, R_MAX_JUNCTION], scratch[i, JUNCTION])
                    racks_out[i, R_MIN_CLOCK] = min(racks_out[i, R_MIN_CLOCK], clock)
                    if hot:
                        racks_out[i, R_THROTTLED] += 1.0
                        s[S_THROTTLED] += live
                    if capped:
                        racks_out[i, R_CAPPED] += 1.0
                        s[S_CAPPED] += live
                    if r.pool_index >= 0:
                        pools_out[e, r.pool_index, 0] += live * clock
                        pools_out[e, r.pool_index, 1] += live
            for k in range(link_start[i], link_start[i + 1]):
                node_out[e, link_node[k]] += link_share[k] * w * power
        if channels.shape[0] > 0:
            channels[e, i, 0] = power * powered[i]
            chip_on = running and off[i] == RUNNING and r.n_accelerators > 0.0
            channels[e, i, 1] = scratch[i, JUNCTION] if chip_on else np.nan
            channels[e, i, 2] = clock
            channels[e, i, 3] = scratch[i, INLET] if running else np.nan
            channels[e, i, 4] = scratch[i, LIQUID] * powered[i] if running else 0.0
    if total > 0.0:
        s[S_THROTTLED] /= total
        s[S_CAPPED] /= total
        s[S_TRIPPED] /= total
    for k in range(n_pools):
        live, described = pools_out[e, k, 1], pools_out[e, k, 2]
        pools_out[e, k, 0] = pools_out[e, k, 0] / live if live > 0.0 else 1.0
        pools_out[e, k, 1] = live / described if described > 0.0 else 0.0
    for k in range(groups.shape[0]):
        g = groups[k]
        out = groups_out[e, k]
        runs = design[k] > 0.0 and runs_g[k] > 0.0
        pump = group_state[k, G_PUMP] if runs else 0.0
        s[S_CDU_PUMP] += pump
        if group_node[k] >= 0:
            node_out[e, group_node[k]] += pump
        if not runs:
            out[:] = 0.0
            out[OG_SUPPLY], out[OG_RETURN], out[OG_DEW] = np.nan, np.nan, np.nan
            continue
        rate = group_x[k, 1] * design[k] * g.secondary_cp_j_per_kg_k
        out[OG_SUPPLY] = group_x[k, 0]
        out[OG_RETURN] = group_x[k, 0] + group_sums[k, HEAT] / rate
        out[OG_HEAT] = group_state[k, G_HEAT]
        out[OG_FLOW] = group_x[k, 1]
        out[OG_VALVE] = group_state[k, G_VALVE]
        out[OG_LOAD] = group_state[k, G_HEAT] / (runs_g[k] * g.capacity_w)
        out[OG_DEW] = group_x[k, 0] - min(dew_point, halls[g.hall_index].dew_point_limit_degc)
        out[OG_PUMP] = pump
        opened = runs_g[k] * g.primary_flow_kg_s * plant_state[g.plant_index, P_SCALE]
        out[OG_PRIMARY] = opened * group_state[k, G_VALVE]
    for k in range(halls.shape[0]):
        h = halls[k]
        out = halls_out[e, k]
        runs = runs_h[k] > 0.0
        fan = hall_state[k, FAN_W] if runs else 0.0
        s[S_AIR_FAN] += fan
        s[S_LIGHTING] += h.lighting_w
        if hall_node[k] >= 0:
            node_out[e, hall_node[k]] += fan + h.lighting_w
        if not runs:
            out[OH_SUPPLY], out[OH_HOT], out[OH_RETURN] = np.nan, np.nan, np.nan
            out[OH_HEAT], out[OH_AIR], out[OH_SERVER_AIR], out[OH_UNIT_AIR], out[OH_LOAD] = 0.0, 0.0, 0.0, 0.0, 0.0
            out[OH_FAN] = 0.0
            continue
        s[S_AIR] += other_heat[k]
        out[OH_SUPPLY], out[OH_HOT] = hall_x[k, 0], hall_x[k, 1]
        rate = hall_state[k, UNIT_AIR] * AIR_CP_J_PER_KG_K
        out[OH_RETURN] = hall_x[k, 0] + (hall_state[k, COIL_HEAT] - fan) / rate
        out[OH_HEAT] = hall_state[k, COIL_HEAT]
        out[OH_AIR] = hall_state[k, UNIT_AIR] / (runs_h[k] * h.unit_air_kg_s)
        out[OH_SERVER_AIR] = hall_sums[k, SERVER_AIR]
        out[OH_UNIT_AIR] = hall_state[k, UNIT_AIR]
        out[OH_LOAD] = hall_state[k, COIL_HEAT] / (runs_h[k] * h.unit_capacity_w)
        out[OH_FAN] = fan
    for j in range(plants.shape[0]):
        p = plants[j]
        row = plant_state[j]
        out = plants_out[e, j]
        rate = row[P_FLOW] * p.cp_j_per_kg_k
        out[OP_SUPPLY] = plant_x[j]
        out[OP_RETURN] = plant_x[j] + row[P_HEAT] / rate if rate > 0.0 else plant_x[j]
        out[OP_HEAT], out[OP_MODE] = row[P_HEAT], row[P_MODE]
        out[OP_LOAD], out[OP_CLAMPED] = row[P_LOAD], row[P_CLAMPED]
        s[S_PLANT_PUMP] += row[P_PUMP]
        s[S_TOWER_PUMP] += row[P_TOWER_PUMP]
        s[S_COOLER_FAN] += row[P_COOLER]
        s[S_TOWER_FAN] += row[P_TOWER]
        s[S_CHILLER] += row[P_CHILLER]
        s[S_EVAPORATION] += row[P_EVAPORATION]
        water = water_scalar(p, runs_p[j, 1], row[P_EVAPORATION], row[P_TOWER] > 0.0 or row[P_TOWER_PUMP] > 0.0)
        s[S_WATER] += water
        out[OP_FLOW], out[OP_PUMP], out[OP_CHILLER] = row[P_FLOW], row[P_PUMP], row[P_CHILLER]
        out[OP_COOLER], out[OP_TOWER], out[OP_TOWER_PUMP] = row[P_COOLER], row[P_TOWER], row[P_TOWER_PUMP]
        out[OP_WATER] = water
        if plant_node[j] >= 0:
            node_out[e, plant_node[j]] += (
                row[P_PUMP] + row[P_TOWER_PUMP] + row[P_COOLER] + row[P_TOWER] + row[P_CHILLER]
            )
    s[S_CLOSURE] = _closures(
        plants, groups, halls, runs_g, runs_h, design, group_sums, hall_sums, group_x, hall_x, plant_x, other_heat,
        group_state, hall_state, hall_valve, plant_state, weather[0],
    )  # fmt: skip
