"""Racks: from load, coolant and inlet air to watts, heat into liquid and air, and their exact slopes.

A rack draws its accelerators (`chips`), other electronics, server fans that follow load and inlet temperature, and the
loss of its power shelf. The compiled pass over all racks is the inner loop of the coupled solver.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from power_cooling.compiled import compiled, compiled_part
from power_cooling.racks.chips import clock_at_scalar, junction_scalar, search_growth_scalar
from power_cooling.site_arrays import FloatArray, IntArray

RUNNING, ACCELERATORS_OFF, ALL_OFF = 0, 1, 2

# Columns of a rack's scratch row.
STATIC, DYNAMIC, LEAK, LOAD, OTHER = 0, 1, 2, 3, 4
COOLANT, RESISTANCE, JUNCTION, CHIP, SLOPE, LIMIT, STATUS = 5, 6, 7, 8, 9, 10, 11
POWER, ACCELERATORS, FAN, SHELF, INLET, LIQUID, RAN_AWAY = 12, 13, 14, 15, 16, 17, 18
EXPONENT, GROWTH, TOP_GROWTH, CAP, HELD = 19, 20, 21, 22, 23
N_SCRATCH = 24
HELD_BY_COOLING, HELD_BY_FEED = 1.0, 2.0  # why a cap is below the board's own

# Columns of the sums per CDU group and per hall.
HEAT, HEAT_BY_SUPPLY, HEAT_BY_FLOW = 0, 1, 2
N_GROUP_SUMS = 3
AIR_HEAT, BY_COLD, BY_HOT, SERVER_AIR, NET_AIR, NET_BY_COLD, NET_BY_HOT = 0, 1, 2, 3, 4, 5, 6
N_HALL_SUMS = 7

_LEAST_GAIN = 0.02  # of 1 - R dP/dT in slopes: near the fold of thermal runaway they would be without bound


@compiled
def fan_speed_scalar(r: Any, inlet_degc: float, load: float) -> tuple[float, float]:
    """Server fan speed [-] at an inlet temperature and load, and its slope [1/K]."""
    speed = r.fan_base_frac + r.fan_load_frac * load + r.fan_frac_per_k * (inlet_degc - r.fan_reference_degc)
    if speed <= r.fan_min_frac:
        return r.fan_min_frac, 0.0
    if speed >= 1.0:
        return 1.0, 0.0
    return speed, r.fan_frac_per_k


@compiled_part
def cold_racks(racks: NDArray[np.void], scratch: FloatArray) -> None:
    """Set the scratch rows up for a first element; they come as zeros."""
    for i in range(racks.shape[0]):
        r = racks[i]
        scratch[i, JUNCTION] = r.reference_degc
        scratch[i, GROWTH] = 1.0
        scratch[i, TOP_GROWTH] = search_growth_scalar(r.leakage_per_k, r.reference_degc, r.trip_degc)


@compiled_part
def start_racks(
    racks: NDArray[np.void],
    static_w: FloatArray,
    dynamic_w: FloatArray,
    pool_load: FloatArray,
    off: IntArray,
    scratch: FloatArray,
) -> None:
    """Fill the parts of the scratch rows that hold through an element: the pool's watts at the rack's load."""
    last = static_w.shape[1] - 1
    for i in range(racks.shape[0]):
        r = racks[i]
        pool = r.pool_index
        load = 0.0
        if pool >= 0 and off[i] == RUNNING:
            load = min(max(pool_load[pool] * r.load_share, 0.0), 1.0)
            before = scratch[i, STATIC] + scratch[i, DYNAMIC]
            at = load * last
            k = min(int(at), last - 1)
            part = at - k
            scratch[i, STATIC] = static_w[pool, k] + part * (static_w[pool, k + 1] - static_w[pool, k])
            scratch[i, DYNAMIC] = dynamic_w[pool, k] + part * (dynamic_w[pool, k + 1] - dynamic_w[pool, k])
            scratch[i, LEAK] = min(r.leakage_frac * r.tdp_w, scratch[i, STATIC])
            if scratch[i, LIMIT] == 0.0:
                # Start the junction where the new watts would put it.
                scratch[i, JUNCTION] += scratch[i, RESISTANCE] * (scratch[i, STATIC] + scratch[i, DYNAMIC] - before)
        scratch[i, LOAD] = load
        scratch[i, OTHER] = r.fixed_w + r.per_load_w * load
        scratch[i, COOLANT] = np.nan  # nothing solved yet
        scratch[i, RAN_AWAY] = 0.0
        scratch[i, CAP], scratch[i, HELD] = r.power_limit_w, 0.0


@compiled_part
def solve_chip(r: Any, chip: FloatArray, coolant: float, resistance: float, start: float, hottest: bool) -> Any:
    """Return `chips.junction_scalar` of a rack's accelerators, from the row `chip` of its scratch."""
    return junction_scalar(
        coolant,
        resistance,
        chip[STATIC],
        chip[DYNAMIC],
        chip[LEAK],
        r.leakage_per_k,
        r.reference_degc,
        chip[CAP],
        r.throttle_degc,
        r.throttle_frac_per_k,
        r.min_clock_frac,
        r.clock_linear_frac,
        r.trip_degc,
        chip[TOP_GROWTH],
        start,
        hottest,
        chip[EXPONENT],
        chip[GROWTH],
    )


@compiled_part
def rack_pass(rows: Any, feeds: Any, state: int, work: Any) -> None:
    """Evaluate every rack at the coolant and air temperatures of its group and hall and add up what it gives to them.

    `work.group_x` holds supply temperature and flow per group; `work.hall_x` cold, hot temperature and the share of the
    racks' own air that the units can give. Chips already solved at the same coolant and resistance are not solved
    again. Rows, feeds and scratch are those of `coupled.kernel_arrays`.
    """
    group_x, hall_x, group_sums, hall_sums = work.group_x, work.hall_x, work.group_sums, work.hall_sums
    for g in range(group_sums.shape[0]):
        for k in range(N_GROUP_SUMS):
            group_sums[g, k] = 0.0
    for h in range(hall_sums.shape[0]):
        for k in range(N_HALL_SUMS):
            hall_sums[h, k] = 0.0
    for i in range(rows.racks.shape[0]):
        w = work.weight[i]
        row = work.racks[i]
        if w <= 0.0 or work.off[i] == ALL_OFF:
            row[POWER] = 0.0
            continue
        r = rows.racks[i]
        h = r.hall_index
        g = r.cdu_index
        own = 1.0 - r.recirculation_frac
        keep = own * hall_x[h, 2]
        inlet = hall_x[h, 1] - keep * (hall_x[h, 1] - hall_x[h, 0])
        speed, speed_slope = fan_speed_scalar(r, inlet, row[LOAD])
        fan = r.fan_power_w * speed * speed * speed
        fan_slope = 3.0 * fan / speed * speed_slope
        chip = 0.0
        by_coolant = 0.0
        by_flow = 0.0
        liquid = r.accelerator_liquid_frac > 0.0
        if work.off[i] == RUNNING and r.n_accelerators > 0.0:
            coolant = inlet
            flow = speed
            if liquid:
                coolant = group_x[g, 0]
                flow = group_x[g, 1]
            varying = r.r_th_flow_k_per_w
            if flow != 1.0 and varying > 0.0:
                varying *= flow**-r.r_th_flow_exponent
            resistance = r.r_th_fixed_k_per_w + varying + r.r_th_rise_k_per_w / flow
            if not (row[COOLANT] == coolant and row[RESISTANCE] == resistance):
                start = row[JUNCTION]
                if row[COOLANT] == row[COOLANT]:
                    # The tangent at the last solution predicts the next one.
                    start += (coolant - row[COOLANT]) / max(1.0 - resistance * row[SLOPE], _LEAST_GAIN)
                t, chip, slope, limit, status, exponent, growth = solve_chip(
                    r, row, coolant, resistance, start, row[RAN_AWAY] > 0.0
                )
                row[JUNCTION], row[CHIP], row[SLOPE] = t, chip, slope
                row[LIMIT], row[STATUS] = limit, status
                row[EXPONENT], row[GROWTH] = exponent, growth
                row[COOLANT] = coolant
                row[RESISTANCE] = resistance
            chip = row[CHIP]
            by_coolant = row[SLOPE] / max(1.0 - resistance * row[SLOPE], _LEAST_GAIN)
            by_flow = -by_coolant * chip * (r.r_th_flow_exponent * varying + r.r_th_rise_k_per_w / flow) / flow
        accelerators = r.n_accelerators * chip
        by_coolant *= r.n_accelerators
        by_flow *= r.n_accelerators
        direct = accelerators + row[OTHER] + fan
        x = direct / r.max_power_w
        shelf = r.max_power_w * (r.shelf_loss_a + x * (r.shelf_loss_b + x * r.shelf_loss_c))
        marginal = r.shelf_loss_b + 2.0 * r.shelf_loss_c * x
        power = direct + shelf
        to_liquid = r.accelerator_liquid_frac * accelerators + r.other_liquid_frac * (row[OTHER] + shelf)
        row[POWER], row[ACCELERATORS], row[FAN], row[SHELF] = power, accelerators, fan, shelf
        row[INLET], row[LIQUID] = inlet, to_liquid
        from_fans = fan_slope
        if liquid:
            into = r.accelerator_liquid_frac + r.other_liquid_frac * marginal
            group_sums[g, HEAT_BY_SUPPLY] += w * by_coolant * into
            group_sums[g, HEAT_BY_FLOW] += w * by_flow * into
        else:
            from_fans += by_coolant + by_flow * speed_slope
        if g >= 0:
            group_sums[g, HEAT] += w * to_liquid
        slope = w * from_fans * (1.0 + marginal * (1.0 - r.other_liquid_frac))
        air = w * r.air_flow_kg_s
        air_slope = air * speed_slope * own
        hall_sums[h, AIR_HEAT] += w * (power - to_liquid)
        hall_sums[h, BY_COLD] += slope * keep
        hall_sums[h, BY_HOT] += slope * (1.0 - keep)
        hall_sums[h, SERVER_AIR] += air * speed
        hall_sums[h, NET_AIR] += air * speed * own
        hall_sums[h, NET_BY_COLD] += air_slope * keep
        hall_sums[h, NET_BY_HOT] += air_slope * (1.0 - keep)
        for k in range(feeds.link_start[i], feeds.link_start[i + 1]):
            work.node_load[feeds.link_node[k]] += feeds.share[state, k] * w * power


@compiled_part
def rack_clock(r: Any, chip: FloatArray, off: int) -> float:
    """Clock of a solved rack's accelerators [-]; 0 where they are off. `chip` is the rack's row of scratch."""
    if off != RUNNING:
        return 0.0
    if chip[LIMIT] == 0:
        return 1.0
    return clock_at_scalar(
        chip[JUNCTION],
        chip[CHIP],
        chip[STATIC],
        chip[DYNAMIC],
        chip[LEAK],
        r.leakage_per_k,
        r.reference_degc,
        r.throttle_degc,
        r.throttle_frac_per_k,
        r.min_clock_frac,
        r.clock_linear_frac,
        chip[LIMIT],
    )
