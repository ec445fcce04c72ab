"""What the coupled solver writes of a solved element into its output tables."""

import numpy as np

from power_cooling.compiled import compiled_part
from power_cooling.cooling.plant import water_scalar
from power_cooling.cooling.room_air import AIR_CP_J_PER_KG_K, COIL_HEAT, FAN_W, UNIT_AIR
from power_cooling.coupled.columns import (
    CONVERGED,
    G_HEAT,
    G_PUMP,
    G_VALVE,
    LEVEL,
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
    OP_LEVEL,
    OP_LOAD,
    OP_MODE,
    OP_OUTDOORS,
    OP_PUMP,
    OP_PUMPED,
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
from power_cooling.coupled.kernel_arrays import Elements, Feeds, Output, Rows, Work
from power_cooling.coupled.plant_loop import heat_closure, plant_loads
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
from power_cooling.site_arrays import FloatArray


@compiled_part
def write_element(
    e: int,
    reason: int,
    passes: int,
    residual: float,
    rows: Rows,
    elements: Elements,
    feeds: Feeds,
    work: Work,
    output: Output,
) -> None:
    """Fill the output rows of element e."""
    s = output.series[e]
    for k in range(s.size):
        s[k] = 0.0 if reason == CONVERGED or k >= S_RESIDUAL else np.nan
    s[S_RESIDUAL], s[S_PASSES], s[S_REASON] = residual, passes, reason
    start = 0.0 if reason == CONVERGED else np.nan
    _fill(output.pools[e], start)
    _fill(output.groups[e], start)
    _fill(output.halls[e], start)
    _fill(output.plants[e], start)
    for n in range(output.nodes.shape[1]):
        output.nodes[e, n] = start
    if reason != CONVERGED:
        if output.channels.shape[0] > 0:
            for i in range(rows.racks.shape[0]):
                for k in range(output.channels.shape[2]):
                    output.channels[e, i, k] = np.nan
        return
    state = elements.feed_state[e]
    s[S_JUNCTION] = np.nan
    for k in range(rows.halls.shape[0]):
        output.halls[e, k, OH_INLET] = np.nan
    _racks(e, state, rows, elements, feeds, work, output)
    for k in range(rows.groups.shape[0]):
        _group(e, k, feeds.of_group[state, k], rows, elements, work, output)
    for k in range(rows.halls.shape[0]):
        _hall(e, k, feeds.of_hall[state, k], rows, elements, work, output)
    s[S_FEED_LEVEL], s[S_SHORT_FEED] = 1.0, -1.0
    first_node = rows.groups.shape[0] + rows.halls.shape[0] + rows.plants.shape[0]
    for n in range(output.nodes.shape[1]):
        if work.levels[LEVEL, first_node + n] < s[S_FEED_LEVEL]:
            s[S_FEED_LEVEL], s[S_SHORT_FEED] = work.levels[LEVEL, first_node + n], n
    for j in range(rows.plants.shape[0]):
        _plant(e, j, feeds.of_plant[state, j], rows, elements, work, output)
    s[S_CLOSURE] = heat_closure(e, rows, elements, work)


@compiled_part
def _fill(table: FloatArray, value: float) -> None:
    for i in range(table.shape[0]):
        for k in range(table.shape[1]):
            table[i, k] = value


@compiled_part
def _racks(e: int, state: int, rows: Rows, elements: Elements, feeds: Feeds, work: Work, output: Output) -> None:
    """Add up the racks and their pools; fill what each rack accumulates."""
    s, pools, halls, nodes = output.series[e], output.pools[e], output.halls[e], output.nodes[e]
    total = 0.0
    for i in range(rows.racks.shape[0]):
        r, chip, sums = rows.racks[i], work.racks[i], output.racks[i]
        w = work.weight[i]
        accelerators = r.count * r.n_accelerators
        total += accelerators
        clock = 0.0
        power = 0.0
        running = w > 0.0 and work.off[i] != ALL_OFF
        works = running and work.off[i] == RUNNING
        s[S_TRIPPED] += accelerators - (w * r.n_accelerators if works else 0.0)
        if r.pool_index >= 0:
            pools[r.pool_index, 2] += accelerators
        sums[R_ELEMENTS] += 1.0
        on = w / work.whole[i] if work.whole[i] > 0.0 else 0.0  # share of the class that was not switched off
        sums[R_TRIPPED] += 1.0 - on if works else 1.0
        if running:
            power = chip[POWER]
            clock = rack_clock(r, chip, work.off[i])
            s[S_IT] += w * power
            s[S_SERVER_FAN] += w * chip[FAN]
            s[S_SHELF] += w * chip[SHELF]
            s[S_LIQUID] += w * chip[LIQUID]
            s[S_AIR] += w * (power - chip[LIQUID])
            s[S_OTHER] += w * chip[OTHER]
            s[S_ACCELERATORS] += w * chip[ACCELERATORS]
            if not halls[r.hall_index, OH_INLET] >= chip[INLET]:
                halls[r.hall_index, OH_INLET] = chip[INLET]
            sums[R_POWER] += on * power
            sums[R_MAX_POWER] = max(sums[R_MAX_POWER], power)
            sums[R_MAX_INLET] = max(sums[R_MAX_INLET], chip[INLET])
            if r.cdu_index >= 0:
                sums[R_MAX_COOLANT] = max(sums[R_MAX_COOLANT], work.group_x[r.cdu_index, 0])
            for k in range(feeds.link_start[i], feeds.link_start[i + 1]):
                nodes[feeds.link_node[k]] += feeds.share[state, k] * w * power
        if works:
            sums[R_RUNNING] += on
            sums[R_CLOCK] += on * (clock if r.n_accelerators > 0.0 else 1.0)
        chip_on = works and r.n_accelerators > 0.0
        if chip_on:
            live = w * r.n_accelerators
            # Held back for want of cooling it is throttled, even where that brings it below its own limit.
            hot = clock < 1.0 and (chip[JUNCTION] > r.throttle_degc or chip[HELD] == HELD_BY_COOLING)
            capped = not (hot and chip[HELD] == HELD_BY_COOLING) and (
                chip[LIMIT] == 1 or (chip[LIMIT] == 3 and not hot)
            )
            sums[R_MAX_JUNCTION] = max(sums[R_MAX_JUNCTION], chip[JUNCTION])
            if not s[S_JUNCTION] >= chip[JUNCTION]:
                s[S_JUNCTION] = chip[JUNCTION]
            sums[R_MIN_CLOCK] = min(sums[R_MIN_CLOCK], clock)
            if hot:
                sums[R_THROTTLED] += 1.0
                s[S_THROTTLED] += live
            if capped:
                sums[R_CAPPED] += 1.0
                s[S_CAPPED] += live
            if r.pool_index >= 0:
                pools[r.pool_index, 0] += live * clock
                pools[r.pool_index, 1] += live
        if output.channels.shape[0] > 0:
            kept = output.channels[e, i]
            kept[0] = power * elements.powered[e, i] * on
            kept[1] = chip[JUNCTION] if chip_on else np.nan
            kept[2] = clock
            kept[3] = chip[INLET] if running else np.nan
            kept[4] = chip[LIQUID] * elements.powered[e, i] * on if running else 0.0
    if total > 0.0:
        s[S_THROTTLED] /= total
        s[S_CAPPED] /= total
        s[S_TRIPPED] /= total
    for k in range(pools.shape[0]):
        live, described = pools[k, 1], pools[k, 2]
        pools[k, 0] = pools[k, 0] / live if live > 0.0 else 1.0
        pools[k, 1] = live / described if described > 0.0 else 0.0


@compiled_part
def _group(e: int, k: int, node: int, rows: Rows, elements: Elements, work: Work, output: Output) -> None:
    g, state, out = rows.groups[k], work.groups[k], output.groups[e, k]
    running, design, supply = elements.groups[e, k], work.design[k], work.group_x[k, 0]
    runs = design > 0.0 and running > 0.0
    pump = state[G_PUMP] if runs else 0.0
    output.series[e, S_CDU_PUMP] += pump
    if node >= 0:
        output.nodes[e, node] += pump
    out[OG_LEVEL] = work.levels[LEVEL, k]
    if not runs:
        out[OG_SUPPLY], out[OG_RETURN], out[OG_DEW] = np.nan, np.nan, np.nan
        return
    rate = work.group_x[k, 1] * design * g.secondary_cp_j_per_kg_k
    out[OG_SUPPLY] = supply
    out[OG_RETURN] = supply + work.group_sums[k, HEAT] / rate
    out[OG_HEAT] = state[G_HEAT]
    out[OG_FLOW] = work.group_x[k, 1]
    out[OG_VALVE] = state[G_VALVE]
    out[OG_LOAD] = state[G_HEAT] / (running * g.capacity_w)
    out[OG_DEW] = supply - min(elements.dew_point[e], rows.halls[g.hall_index].dew_point_limit_degc)
    out[OG_PUMP] = pump
    opened = running * g.primary_flow_kg_s * work.plants[g.plant_index, P_SCALE]
    out[OG_PRIMARY] = opened * state[G_VALVE] if g.to_air == 0 else 0.0


@compiled_part
def _hall(e: int, k: int, node: int, rows: Rows, elements: Elements, work: Work, output: Output) -> None:
    h, state, sums, out, s = rows.halls[k], work.halls[k], work.hall_sums[k], output.halls[e, k], output.series[e]
    running = elements.halls[e, k]
    out[OH_LEVEL] = work.levels[LEVEL, rows.groups.shape[0] + k]
    fan = state[FAN_W] if running > 0.0 else 0.0
    s[S_AIR_FAN] += fan
    s[S_LIGHTING] += h.lighting_w
    if node >= 0:
        output.nodes[e, node] += fan + h.lighting_w
    out[OH_MEAN_INLET] = np.nan
    if running <= 0.0:
        out[OH_SUPPLY], out[OH_HOT], out[OH_RETURN] = np.nan, np.nan, np.nan
        return
    s[S_AIR] += work.other_heat[k]
    cold, hot = work.hall_x[k, 0], work.hall_x[k, 1]
    out[OH_SUPPLY], out[OH_HOT] = cold, hot
    rate = state[UNIT_AIR] * AIR_CP_J_PER_KG_K
    out[OH_RETURN] = cold + (state[COIL_HEAT] - fan) / rate
    out[OH_HEAT] = state[COIL_HEAT]
    out[OH_AIR] = state[UNIT_AIR] / (running * h.unit_air_kg_s)
    out[OH_SERVER_AIR] = sums[SERVER_AIR]
    out[OH_UNIT_AIR] = state[UNIT_AIR]
    if sums[SERVER_AIR] > 0.0:
        own = work.hall_x[k, 2] * sums[NET_AIR] / sums[SERVER_AIR]
        out[OH_MEAN_INLET] = hot - own * (hot - cold)
    out[OH_LOAD] = state[COIL_HEAT] / (running * h.unit_capacity_w)
    out[OH_FAN] = fan


@compiled_part
def _plant(e: int, j: int, node: int, rows: Rows, elements: Elements, work: Work, output: Output) -> None:
    p, row, out, s = rows.plants[j], work.plants[j], output.plants[e, j], output.series[e]
    supply = work.plant_x[j]
    rate = row[P_FLOW] * p.cp_j_per_kg_k
    out[OP_SUPPLY] = supply
    out[OP_RETURN] = supply + row[P_HEAT] / rate if rate > 0.0 else supply
    out[OP_HEAT], out[OP_MODE] = row[P_HEAT], row[P_MODE]
    out[OP_LOAD], out[OP_CLAMPED] = row[P_LOAD], row[P_CLAMPED]
    s[S_PLANT_PUMP] += row[P_PUMP]
    s[S_TOWER_PUMP] += row[P_TOWER_PUMP]
    s[S_COOLER_FAN] += row[P_COOLER]
    s[S_TOWER_FAN] += row[P_TOWER]
    s[S_CHILLER] += row[P_CHILLER]
    s[S_EVAPORATION] += row[P_EVAPORATION]
    towers_run = row[P_TOWER] > 0.0 or row[P_TOWER_PUMP] > 0.0
    water = water_scalar(p, elements.plants[e, j, 1], row[P_EVAPORATION], towers_run)
    s[S_WATER] += water
    out[OP_FLOW], out[OP_PUMP], out[OP_CHILLER] = row[P_FLOW], row[P_PUMP], row[P_CHILLER]
    out[OP_COOLER], out[OP_TOWER], out[OP_TOWER_PUMP] = row[P_COOLER], row[P_TOWER], row[P_TOWER_PUMP]
    out[OP_WATER], out[OP_FREE] = water, row[P_FREE]
    out[OP_LEVEL] = work.levels[LEVEL, rows.groups.shape[0] + rows.halls.shape[0] + j]
    air = elements.air[e]
    out[OP_PUMPED], out[OP_OUTDOORS] = plant_loads(p, row, elements.plants[e, j], air[0], air[1])
    if node >= 0:
        output.nodes[e, node] += row[P_PUMP] + row[P_TOWER_PUMP] + row[P_COOLER] + row[P_TOWER] + row[P_CHILLER]
