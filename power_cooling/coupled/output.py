"""What the coupled solver writes of a solved element into its output tables."""

import numpy as np
from numba import njit

from power_cooling.cooling.plant import water_scalar
from power_cooling.cooling.room_air import AIR_CP_J_PER_KG_K, COIL_HEAT, FAN_W, UNIT_AIR
from power_cooling.coupled.columns import (
    CONVERGED,
    G_HEAT,
    G_PUMP,
    G_VALVE,
    OG_DEW,
    OG_FLOW,
    OG_HEAT,
    OG_LEVEL,
    OG_LOAD,
    OG_PRIMARY,
    OG_PUMP,
    OG_RETURN,
    OG_SUPPLY,
    OG_VALVE,
    OH_AIR,
    OH_FAN,
    OH_HEAT,
    OH_HOT,
    OH_INLET,
    OH_LEVEL,
    OH_LOAD,
    OH_MEAN_INLET,
    OH_RETURN,
    OH_SERVER_AIR,
    OH_SUPPLY,
    OH_UNIT_AIR,
    OP_CHILLER,
    OP_CLAMPED,
    OP_COOLER,
    OP_FLOW,
    OP_FREE,
    OP_HEAT,
    OP_LOAD,
    OP_MODE,
    OP_PUMP,
    OP_RETURN,
    OP_SUPPLY,
    OP_TOWER,
    OP_TOWER_PUMP,
    OP_WATER,
    P_CHILLER,
    P_CLAMPED,
    P_COOLER,
    P_EVAPORATION,
    P_FLOW,
    P_FREE,
    P_HEAT,
    P_LOAD,
    P_MODE,
    P_PUMP,
    P_SCALE,
    P_TOWER,
    P_TOWER_PUMP,
    R_CAPPED,
    R_CLOCK,
    R_ELEMENTS,
    R_MAX_COOLANT,
    R_MAX_INLET,
    R_MAX_JUNCTION,
    R_MAX_POWER,
    R_MIN_CLOCK,
    R_POWER,
    R_RUNNING,
    R_THROTTLED,
    R_TRIPPED,
    S_ACCELERATORS,
    S_AIR,
    S_AIR_FAN,
    S_CAPPED,
    S_CDU_PUMP,
    S_CHILLER,
    S_CLOSURE,
    S_COOLER_FAN,
    S_EVAPORATION,
    S_FEED_LEVEL,
    S_IT,
    S_JUNCTION,
    S_LIGHTING,
    S_LIQUID,
    S_OTHER,
    S_PASSES,
    S_PLANT_PUMP,
    S_REASON,
    S_RESIDUAL,
    S_SERVER_FAN,
    S_SHELF,
    S_SHORT_FEED,
    S_THROTTLED,
    S_TOWER_FAN,
    S_TOWER_PUMP,
    S_TRIPPED,
    S_WATER,
)
from power_cooling.coupled.load_shedding import LEVEL
from power_cooling.coupled.plant_loop import heat_closure
from power_cooling.racks.it_load import (
    ACCELERATORS,
    ALL_OFF,
    FAN,
    HEAT,
    HELD,
    HELD_BY_COOLING,
    INLET,
    JUNCTION,
    LIMIT,
    LIQUID,
    NET_AIR,
    OTHER,
    POWER,
    RUNNING,
    SERVER_AIR,
    SHELF,
    rack_clock,
)


@njit(cache=True)
def write_element(
    e, racks, groups, halls, plants, weight, whole, levels, off, scratch, design, group_x, hall_x, plant_x,
    group_sums, hall_sums, group_state, hall_state, hall_valve, plant_state, other_heat, runs_g, runs_h,
    runs_p, weather, dew_point, powered, reason, passes, residual, group_node, hall_node, plant_node,
    link_start, link_node, link_share, series, pools_out, groups_out, halls_out, plants_out, node_out,
    racks_out, channels,
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
    s[S_JUNCTION] = np.nan
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
        on = w / whole[i] if whole[i] > 0.0 else 0.0  # share of the class that was not switched off
        racks_out[i, R_TRIPPED] += 1.0 - on if running and off[i] == RUNNING else 1.0
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
            racks_out[i, R_POWER] += on * power
            racks_out[i, R_MAX_POWER] = max(racks_out[i, R_MAX_POWER], power)
            racks_out[i, R_MAX_INLET] = max(racks_out[i, R_MAX_INLET], scratch[i, INLET])
            if r.cdu_index >= 0:
                racks_out[i, R_MAX_COOLANT] = max(racks_out[i, R_MAX_COOLANT], group_x[r.cdu_index, 0])
            if off[i] == RUNNING:
                racks_out[i, R_RUNNING] += on
                racks_out[i, R_CLOCK] += on * (clock if r.n_accelerators > 0.0 else 1.0)
                if r.n_accelerators > 0.0:
                    live = w * r.n_accelerators
                    # Held back for want of cooling it is throttled, even where that brings it below its own limit.
                    warm = scratch[i, JUNCTION] > r.throttle_degc or scratch[i, HELD] == HELD_BY_COOLING
                    hot = clock < 1.0 and warm
                    capped = not (hot and scratch[i, HELD] == HELD_BY_COOLING) and (
                        scratch[i, LIMIT] == 1 or (scratch[i, LIMIT] == 3 and not hot)
                    )
                    racks_out[i, R_MAX_JUNCTION] = max(racks_out[i, R_MAX_JUNCTION], scratch[i, JUNCTION])
                    if not s[S_JUNCTION] >= scratch[i, JUNCTION]:
                        s[S_JUNCTION] = scratch[i, JUNCTION]
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
            channels[e, i, 0] = power * powered[i] * on
            chip_on = running and off[i] == RUNNING and r.n_accelerators > 0.0
            channels[e, i, 1] = scratch[i, JUNCTION] if chip_on else np.nan
            channels[e, i, 2] = clock
            channels[e, i, 3] = scratch[i, INLET] if running else np.nan
            channels[e, i, 4] = scratch[i, LIQUID] * powered[i] * on if running else 0.0
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
            out[OG_LEVEL] = levels[LEVEL, k]
            continue
        rate = group_x[k, 1] * design[k] * g.secondary_cp_j_per_kg_k
        out[OG_SUPPLY], out[OG_LEVEL] = group_x[k, 0], levels[LEVEL, k]
        out[OG_RETURN] = group_x[k, 0] + group_sums[k, HEAT] / rate
        out[OG_HEAT] = group_state[k, G_HEAT]
        out[OG_FLOW] = group_x[k, 1]
        out[OG_VALVE] = group_state[k, G_VALVE]
        out[OG_LOAD] = group_state[k, G_HEAT] / (runs_g[k] * g.capacity_w)
        out[OG_DEW] = group_x[k, 0] - min(dew_point, halls[g.hall_index].dew_point_limit_degc)
        out[OG_PUMP] = pump
        opened = runs_g[k] * g.primary_flow_kg_s * plant_state[g.plant_index, P_SCALE]
        out[OG_PRIMARY] = opened * group_state[k, G_VALVE] if g.to_air == 0 else 0.0
    for k in range(halls.shape[0]):
        h = halls[k]
        out = halls_out[e, k]
        out[OH_LEVEL] = levels[LEVEL, groups.shape[0] + k]
        runs = runs_h[k] > 0.0
        fan = hall_state[k, FAN_W] if runs else 0.0
        s[S_AIR_FAN] += fan
        s[S_LIGHTING] += h.lighting_w
        if hall_node[k] >= 0:
            node_out[e, hall_node[k]] += fan + h.lighting_w
        if not runs:
            out[OH_SUPPLY], out[OH_HOT], out[OH_RETURN] = np.nan, np.nan, np.nan
            out[OH_HEAT], out[OH_AIR], out[OH_SERVER_AIR], out[OH_UNIT_AIR], out[OH_LOAD] = 0.0, 0.0, 0.0, 0.0, 0.0
            out[OH_FAN], out[OH_MEAN_INLET] = 0.0, np.nan
            continue
        s[S_AIR] += other_heat[k]
        out[OH_SUPPLY], out[OH_HOT] = hall_x[k, 0], hall_x[k, 1]
        rate = hall_state[k, UNIT_AIR] * AIR_CP_J_PER_KG_K
        out[OH_RETURN] = hall_x[k, 0] + (hall_state[k, COIL_HEAT] - fan) / rate
        out[OH_HEAT] = hall_state[k, COIL_HEAT]
        out[OH_AIR] = hall_state[k, UNIT_AIR] / (runs_h[k] * h.unit_air_kg_s)
        out[OH_SERVER_AIR] = hall_sums[k, SERVER_AIR]
        out[OH_UNIT_AIR] = hall_state[k, UNIT_AIR]
        out[OH_MEAN_INLET] = np.nan
        if hall_sums[k, SERVER_AIR] > 0.0:
            own = hall_x[k, 2] * hall_sums[k, NET_AIR] / hall_sums[k, SERVER_AIR]
            out[OH_MEAN_INLET] = hall_x[k, 1] - own * (hall_x[k, 1] - hall_x[k, 0])
        out[OH_LOAD] = hall_state[k, COIL_HEAT] / (runs_h[k] * h.unit_capacity_w)
        out[OH_FAN] = fan
    s[S_FEED_LEVEL], s[S_SHORT_FEED] = 1.0, -1.0
    first_node = groups.shape[0] + halls.shape[0]
    for n in range(levels.shape[1] - first_node):
        if levels[LEVEL, first_node + n] < s[S_FEED_LEVEL]:
            s[S_FEED_LEVEL], s[S_SHORT_FEED] = levels[LEVEL, first_node + n], n
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
        out[OP_WATER], out[OP_FREE] = water, row[P_FREE]
        if plant_node[j] >= 0:
            node_out[e, plant_node[j]] += (
                row[P_PUMP] + row[P_TOWER_PUMP] + row[P_COOLER] + row[P_TOWER] + row[P_CHILLER]
            )
    s[S_CLOSURE] = heat_closure(
        plants, groups, halls, runs_g, runs_h, design, group_sums, hall_sums, group_x, hall_x, plant_x, other_heat,
        group_state, hall_state, hall_valve, plant_state, weather[0],
    )  # fmt: skip
