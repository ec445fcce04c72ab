"""A facility-water loop: the CDU groups and halls on a plant solved with the plant, and its heat balance."""

import numpy as np
from numba import njit

from power_cooling.cooling.cdus import (
    conductance_scalar,
    part_flow_ua_scalar,
    pump_power_scalar,
    supply_scalar,
    valve_scalar,
)
from power_cooling.cooling.plant import plant_scalar
from power_cooling.cooling.room_air import (
    AIR_CP_J_PER_KG_K,
    COIL_HEAT,
    CONDUCTANCE,
    LINEAR_K,
    UNIT_AIR,
    VALVE_STATE,
    hall_scalar,
)
from power_cooling.coupled.columns import (
    G_CONDUCTANCE,
    G_FLOW,
    G_HEAT,
    G_PART,
    G_PUMP,
    G_RATIO,
    G_STATE,
    G_SUPPLY,
    G_VALVE,
    P_CHILLER,
    P_CLAMPED,
    P_COOLER,
    P_EVAPORATION,
    P_FLOATS,
    P_FLOW,
    P_FREE,
    P_HEAT,
    P_LOAD,
    P_MODE,
    P_PUMP,
    P_SCALE,
    P_SUPPLY,
    P_TOWER,
    P_TOWER_PUMP,
)
from power_cooling.racks.it_load import AIR_HEAT, HEAT, HEAT_BY_FLOW, HEAT_BY_SUPPLY, NET_AIR, SERVER_AIR


@njit(cache=True)
def group_scalar(g, running, design, sums, supply0, flow0, setpoint, cold, open_w_per_k, full, out):
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
def pumped_flow_kg_s(p, running):
    """Largest facility-water flow of a plant's running pumps; `running` counts coolers, towers, chillers, pumps.

    Where none runs the racks behind it are off, and the flow of what little heat is left does not matter.
    """
    return p.design_flow_kg_s * (min(1.0, running[3] / p.needed_pumps) if running[3] > 0.0 else 1.0)


@njit(cache=True)
def plant_image(
    j, t, full, plants, groups, halls, runs_p, runs_g, runs_h, design, group_sums, hall_sums, group_x, hall_x,
    group_set, other_heat, air, group_state, hall_state, hall_valve, plant_state,
):  # fmt: skip
    """Facility water that plant j would supply if it supplied t: its groups and halls solved, then the plant.

    Without `full` the plant is taken to hold its set point (its own solve is the most expensive part).
    """
    p = plants[j]
    heat = 0.0
    flow = 0.0
    scale = plant_state[j, P_SCALE]
    cp = p.cp_j_per_kg_k
    for k in range(groups.shape[0]):
        g = groups[k]
        if g.plant_index != j or g.to_air == 1 or design[k] <= 0.0 or runs_g[k] <= 0.0:
            continue
        opened = runs_g[k] * g.primary_flow_kg_s * scale
        group_scalar(
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
    most = pumped_flow_kg_s(p, runs_p[j])
    flow = most if p.constant_flow == 1 else max(flow, min(p.min_flow_frac * p.design_flow_kg_s, most))
    pump = pump_power_scalar(p.pump_power_w, flow / p.design_flow_kg_s, p.pump_static_frac)
    heat += p.pump_heat_frac * pump
    row = plant_state[j]
    row[P_HEAT], row[P_FLOW], row[P_PUMP] = heat, flow, pump
    supply, mode, cooler, tower, tower_pump, chiller, evaporation, load, clamped, free = plant_scalar(
        p, runs_p[j, 0], runs_p[j, 1], runs_p[j, 2], heat, flow * cp, air
    )
    row[P_MODE], row[P_COOLER], row[P_TOWER] = mode, cooler, tower
    row[P_TOWER_PUMP], row[P_CHILLER], row[P_FREE] = tower_pump, chiller, free
    row[P_EVAPORATION], row[P_LOAD], row[P_CLAMPED] = evaporation, load, 1.0 if clamped else 0.0
    return supply


@njit(cache=True)
def plant_pass(
    j, t0, plants, groups, halls, runs_p, runs_g, runs_h, design, group_sums, hall_sums, group_x, hall_x,
    group_set, other_heat, air, group_state, hall_state, hall_valve, plant_state,
):  # fmt: skip
    """Solve plant j with its groups and halls: the root of image(t) - t, at the set point where the plant holds it."""
    lowest = plants[j].supply_set_degc
    full = plant_state[j, P_FLOATS] > 0.0
    if not full:
        return plant_image(
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
            plant_image(
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
def air_groups_pass(
    groups, running, design, group_sums, group_x, group_set, hall_x, hall_sums, group_state
):  # fmt: skip
    """Solve CDUs that reject into their hall's air and add their heat and air to the hall's."""
    for k in range(groups.shape[0]):
        g = groups[k]
        if g.to_air == 0 or design[k] <= 0.0 or running[k] <= 0.0:
            continue
        h = g.hall_index
        opened = running[k] * g.primary_flow_kg_s
        group_scalar(
            g, running[k], design[k], group_sums[k], group_x[k, 0], group_x[k, 1], group_set[k], hall_x[h, 0],
            opened * AIR_CP_J_PER_KG_K, True, group_state[k],
        )  # fmt: skip
        air = opened * group_state[k, G_VALVE]
        hall_sums[h, AIR_HEAT] += group_state[k, G_HEAT]
        hall_sums[h, SERVER_AIR] += air
        hall_sums[h, NET_AIR] += air


@njit(cache=True)
def _air_group_closure(g, running, design, sums, x, state, cold):
    """Relative heat imbalance of a CDU that rejects into air."""
    given = sums[HEAT] + g.pump_heat_frac * state[G_PUMP]
    rate = x[1] * design * g.secondary_cp_j_per_kg_k
    air = running * g.primary_flow_kg_s * AIR_CP_J_PER_KG_K * state[G_VALVE]
    per_unit = x[1] * design / (running * g.secondary_flow_kg_s)
    ua = part_flow_ua_scalar(
        running * g.ua_w_per_k, per_unit, state[G_VALVE], g.secondary_film_frac, g.primary_film_frac, g.film_exponent
    )
    taken = conductance_scalar(ua, rate, air) * (x[0] + given / rate - cold)
    return abs(taken - given) / max(given, 1.0)


@njit(cache=True)
def heat_closure(
    plants, groups, halls, runs_g, runs_h, design, group_sums, hall_sums, group_x, hall_x, plant_x, other_heat,
    group_state, hall_state, hall_valve, plant_state, outdoor,
):  # fmt: skip
    """Worst relative heat imbalance of any loop or hall, from the temperatures and flows the element was left at.

    What enters a node is the racks', pumps' and fans' power; what leaves it is flow times temperature difference, or
    conductance times the difference between inlets. The two agree only where the temperatures are right.
    """
    worst = 0.0
    for k in range(groups.shape[0]):
        if groups[k].to_air == 1 and design[k] > 0.0 and runs_g[k] > 0.0:
            worst = max(worst, _air_group_closure(
                groups[k], runs_g[k], design[k], group_sums[k], group_x[k], group_state[k],
                hall_x[groups[k].hall_index, 0],
            ))  # fmt: skip
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
            if g.plant_index != j or g.to_air == 1 or design[k] <= 0.0 or runs_g[k] <= 0.0:
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
