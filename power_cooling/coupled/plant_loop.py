"""A facility-water loop: the CDU groups and halls on a plant solved with the plant, and its heat balance."""

from typing import Any

import numpy as np

from power_cooling.compiled import compiled_part
from power_cooling.cooling.cdus import (
    conductance_scalar,
    part_flow_ua_scalar,
    pump_power_scalar,
    supply_scalar,
    valve_scalar,
)
from power_cooling.cooling.plant import plant_scalar, rated_outdoors_w
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
from power_cooling.coupled.kernel_arrays import Elements, Rows, Work
from power_cooling.racks.it_load import AIR_HEAT, HEAT, HEAT_BY_FLOW, HEAT_BY_SUPPLY, NET_AIR, SERVER_AIR
from power_cooling.site_arrays import FloatArray


@compiled_part
def group_scalar(k: int, running: float, cold: float, open_w_per_k: float, full: bool, rows: Rows, work: Work) -> None:
    """Solve CDU group k for its racks' heat, linear about the supply and flow that they were evaluated at.

    `cold` is what it rejects to [°C], `open_w_per_k` what the open valves of all running units pass; without `full` the
    position of the valve is left out.
    """
    g, design, sums, out = rows.groups[k], work.design[k], work.group_sums[k], work.groups[k]
    supply0, flow0, setpoint = work.group_x[k, 0], work.group_x[k, 1], work.group_set[k]
    most = running * g.secondary_flow_kg_s * g.max_flow_frac / design
    wall = 1.0 - g.secondary_film_frac - g.primary_film_frac
    least_part = g.primary_film_frac * g.min_valve_frac**-g.film_exponent
    supply, flow = supply0, flow0
    for _ in range(80):
        heat = sums[HEAT] + sums[HEAT_BY_SUPPLY] * (supply - supply0) + sums[HEAT_BY_FLOW] * (flow - flow0)
        heat = max(heat, 0.0)
        if g.pump_control == 1:
            wanted = g.secondary_cp_j_per_kg_k * g.rack_rise_set_k * design
            new_flow = flow + (heat / wanted - flow) / max(1.0 - sums[HEAT_BY_FLOW] / wanted, 0.3)
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
            through,
            rate,
            setpoint,
            cold,
            open_w_per_k,
            g.min_valve_frac,
            running * g.ua_w_per_k,
            out[G_PART],
            g.primary_film_frac,
            least_part,
            wall,
            g.holds_supply,
        )
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
            out[G_CONDUCTANCE],
            rate,
            open_w_per_k,
            g.min_valve_frac,
            running * g.ua_w_per_k,
            out[G_PART],
            g.primary_film_frac,
            wall,
            g.film_exponent,
            start,
        )


@compiled_part
def _hall_valve(h: Any, running: float, row: FloatArray, water_w_per_k: float) -> float:
    if row[VALVE_STATE] == 1:
        return 1.0
    if row[VALVE_STATE] == -1:
        return h.min_valve_frac
    most = running * h.unit_air_kg_s
    return valve_scalar(
        row[CONDUCTANCE],
        row[UNIT_AIR] * AIR_CP_J_PER_KG_K,
        water_w_per_k,
        h.min_valve_frac,
        running * h.coil_ua_w_per_k,
        h.coil_air_film_frac * (row[UNIT_AIR] / most) ** -h.coil_film_exponent,
        h.coil_water_film_frac,
        1.0 - h.coil_air_film_frac - h.coil_water_film_frac,
        h.coil_film_exponent,
        0.5,
    )


@compiled_part
def pumped_flow_kg_s(p: Any, running: FloatArray) -> float:
    """Largest facility-water flow of a plant's running pumps; `running` counts coolers, towers, chillers, pumps.

    Where none runs the racks behind it are off, and the flow of what little heat is left does not matter.
    """
    return p.design_flow_kg_s * (min(1.0, running[3] / p.needed_pumps) if running[3] > 0.0 else 1.0)


@compiled_part
def _on_plant(k: int, j: int, e: int, rows: Rows, elements: Elements, work: Work) -> bool:
    """Whether CDU group k runs on plant j and cools racks."""
    g = rows.groups[k]
    return g.plant_index == j and g.to_air == 0 and work.design[k] > 0.0 and elements.groups[e, k] > 0.0


@compiled_part
def plant_image(j: int, t: float, full: bool, e: int, rows: Rows, elements: Elements, work: Work) -> float:
    """Facility water that plant j would supply if it supplied t: its groups and halls solved, then the plant.

    Without `full` the plant is taken to hold its set point (its own solve is the most expensive part).
    """
    p, row = rows.plants[j], work.plants[j]
    heat = 0.0
    flow = 0.0
    scale = row[P_SCALE]
    cp = p.cp_j_per_kg_k
    for k in range(rows.groups.shape[0]):
        if _on_plant(k, j, e, rows, elements, work):
            running = elements.groups[e, k]
            opened = running * rows.groups[k].primary_flow_kg_s * scale
            group_scalar(k, running, t, opened * cp, full, rows, work)
            heat += work.groups[k, G_HEAT]
            flow += opened * work.groups[k, G_VALVE]
    for k in range(rows.halls.shape[0]):
        h = rows.halls[k]
        running = elements.halls[e, k]
        if h.plant_index != j or running <= 0.0:
            continue
        opened = running * h.coil_water_kg_s * scale
        hall_scalar(
            h,
            running,
            work.hall_sums[k],
            work.hall_x[k],
            work.other_heat[k],
            elements.air[e, 0],
            t,
            opened * cp,
            work.halls[k],
        )
        if full:
            work.hall_valve[k] = _hall_valve(h, running, work.halls[k], opened * cp)
            heat += work.halls[k, COIL_HEAT]
            flow += opened * work.hall_valve[k]
    if not full:
        return p.supply_set_degc
    runs = elements.plants[e, j]
    most = pumped_flow_kg_s(p, runs)
    flow = most if p.constant_flow == 1 else max(flow, min(p.min_flow_frac * p.design_flow_kg_s, most))
    pump = pump_power_scalar(p.pump_power_w, flow / p.design_flow_kg_s, p.pump_static_frac)
    heat += p.pump_heat_frac * pump
    row[P_HEAT], row[P_FLOW], row[P_PUMP] = heat, flow, pump
    air = elements.air[e]
    supply, mode, cooler, tower, tower_pump, chiller, evaporation, load, clamped, free = plant_scalar(
        p, runs[0], runs[1], runs[2], heat, flow * cp, (air[0], air[1], air[2], air[3], air[4])
    )
    row[P_MODE], row[P_COOLER], row[P_TOWER] = mode, cooler, tower
    row[P_TOWER_PUMP], row[P_CHILLER], row[P_FREE] = tower_pump, chiller, free
    row[P_EVAPORATION], row[P_LOAD], row[P_CLAMPED] = evaporation, load, 1.0 if clamped else 0.0
    return supply


@compiled_part
def chillers_run(p: Any, running: FloatArray) -> bool:
    """Whether a plant has chillers that run, and towers for them where they need some."""
    return running[2] > 0.0 and (p.chiller_water_cooled == 0 or running[1] > 0.0)


@compiled_part
def plant_loads(p: Any, row: FloatArray, running: FloatArray, dry_bulb: float, wet_bulb: float) -> tuple[float, float]:
    """Heat of a solved plant over what its running pumps, and its coolers or towers, are rated for in this air."""
    pumps = outdoors = 0.0
    if running[3] > 0.0:
        pumps = row[P_HEAT] / (p.pumped_heat_w * min(1.0, running[3] / p.needed_pumps))
    rated = rated_outdoors_w(p, running[0], running[1], dry_bulb, wet_bulb)
    if rated > 0.0:
        carried = row[P_HEAT]
        if chillers_run(p, running):
            carried = row[P_HEAT] + row[P_CHILLER] if p.chiller_water_cooled == 1 else row[P_FREE]
        outdoors = carried / rated
    return pumps, outdoors


@compiled_part
def plant_pass(j: int, e: int, rows: Rows, elements: Elements, work: Work) -> float:
    """Solve plant j with its groups and halls: the root of image(t) - t, at the set point where the plant holds it."""
    lowest, t0 = rows.plants[j].supply_set_degc, work.plant_x[j]
    full = work.plants[j, P_FLOATS] > 0.0
    low = max(lowest, t0 - LINEAR_K)
    high = t0 + LINEAR_K
    f_low = np.inf
    f_high = -np.inf
    t = max(t0, lowest) if full else lowest
    last_t = t
    last_f = 0.0
    for i in range(80):
        image = plant_image(j, t, full, e, rows, elements, work)
        if not full:
            return image
        f = image - t
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


@compiled_part
def air_groups_pass(e: int, rows: Rows, elements: Elements, work: Work) -> None:
    """Solve CDUs that reject into their hall's air and add their heat and air to the hall's."""
    for k in range(rows.groups.shape[0]):
        g = rows.groups[k]
        running = elements.groups[e, k]
        runs = g.to_air == 1 and work.design[k] > 0.0 and running > 0.0
        if not runs:
            continue
        h = g.hall_index
        opened = running * g.primary_flow_kg_s
        group_scalar(k, running, work.hall_x[h, 0], opened * AIR_CP_J_PER_KG_K, runs, rows, work)
        air = opened * work.groups[k, G_VALVE]
        work.hall_sums[h, AIR_HEAT] += work.groups[k, G_HEAT]
        work.hall_sums[h, SERVER_AIR] += air
        work.hall_sums[h, NET_AIR] += air


@compiled_part
def _group_balance(
    k: int, running: float, cold: float, opened_w_per_k: float, rows: Rows, work: Work
) -> tuple[float, float]:
    """Heat [W] that enters CDU group k, and that its exchanger passes at its temperatures and flows."""
    g, x, valve = rows.groups[k], work.group_x[k], work.groups[k, G_VALVE]
    given = work.group_sums[k, HEAT] + g.pump_heat_frac * work.groups[k, G_PUMP]
    rate = x[1] * work.design[k] * g.secondary_cp_j_per_kg_k
    per_unit = x[1] * work.design[k] / (running * g.secondary_flow_kg_s)
    ua = part_flow_ua_scalar(
        running * g.ua_w_per_k, per_unit, valve, g.secondary_film_frac, g.primary_film_frac, g.film_exponent
    )
    return given, conductance_scalar(ua, rate, opened_w_per_k * valve) * (x[0] + given / rate - cold)


@compiled_part
def _hall_balance(
    k: int, running: float, outdoor: float, t: float, opened_w_per_k: float, rows: Rows, work: Work
) -> tuple[float, float]:
    """Heat [W] that enters hall k, and that its coils pass at its temperatures and flows."""
    h, sums = rows.halls[k], work.hall_sums[k]
    cold, hot = work.hall_x[k, 0], work.hall_x[k, 1]
    most = running * h.unit_air_kg_s
    net = min(sums[NET_AIR], most * (1.0 - h.bypass_frac))
    air = min(max(net / (1.0 - h.bypass_frac), h.fan_min_frac * most), most)
    servers = net * AIR_CP_J_PER_KG_K * (hot - cold)
    warmth = work.other_heat[k] + max(h.envelope_ua_w_per_k * (outdoor - cold), 0.0)
    fan = running * h.unit_fan_w * (air / most) ** h.fan_exponent
    rate = air * AIR_CP_J_PER_KG_K
    ua = part_flow_ua_scalar(
        running * h.coil_ua_w_per_k,
        air / most,
        work.hall_valve[k],
        h.coil_air_film_frac,
        h.coil_water_film_frac,
        h.coil_film_exponent,
    )
    taken = conductance_scalar(ua, rate, opened_w_per_k * work.hall_valve[k]) * (cold + (servers + warmth) / rate - t)
    return sums[AIR_HEAT] + warmth + fan, taken


@compiled_part
def heat_closure(e: int, rows: Rows, elements: Elements, work: Work) -> float:
    """Worst relative heat imbalance of any loop or hall, from the temperatures and flows the element was left at.

    What enters a node is the racks', pumps' and fans' power; what leaves it is flow times temperature difference, or
    conductance times the difference between inlets. The two agree only where the temperatures are right.
    """
    worst = 0.0
    for k in range(rows.groups.shape[0]):
        g = rows.groups[k]
        if g.to_air == 1 and work.design[k] > 0.0 and elements.groups[e, k] > 0.0:
            opened = elements.groups[e, k] * g.primary_flow_kg_s * AIR_CP_J_PER_KG_K
            given, taken = _group_balance(k, elements.groups[e, k], work.hall_x[g.hall_index, 0], opened, rows, work)
            worst = max(worst, abs(taken - given) / max(given, 1.0))
    for j in range(rows.plants.shape[0]):
        p, state = rows.plants[j], work.plants[j]
        t = work.plant_x[j]
        cp = p.cp_j_per_kg_k
        entering = 0.0
        mixed = 0.0
        flow = 0.0
        for k in range(rows.groups.shape[0]):
            if _on_plant(k, j, e, rows, elements, work):
                opened = elements.groups[e, k] * rows.groups[k].primary_flow_kg_s * state[P_SCALE] * cp
                given, taken = _group_balance(k, elements.groups[e, k], t, opened, rows, work)
                water = opened * work.groups[k, G_VALVE]
                worst = max(worst, abs(taken - given) / max(given, 1.0))
                entering += given
                mixed += water * (t + taken / water)
                flow += water
        for k in range(rows.halls.shape[0]):
            running = elements.halls[e, k]
            if rows.halls[k].plant_index == j and running > 0.0:
                opened = running * rows.halls[k].coil_water_kg_s * state[P_SCALE] * cp
                given, taken = _hall_balance(k, running, elements.air[e, 0], t, opened, rows, work)
                water = opened * work.hall_valve[k]
                worst = max(worst, abs(taken - given) / max(given, 1.0))
                entering += given
                mixed += water * (t + taken / water)
                flow += water
        if entering > 0.0:
            pump = p.pump_heat_frac * state[P_PUMP]
            total = state[P_FLOW] * cp
            # A bypass carries what the minimum flow adds, at supply temperature.
            back = (mixed + (total - flow) * t) / total + pump / total
            worst = max(worst, abs(total * (back - state[P_SUPPLY]) - entering - pump) / (entering + pump))
    return worst
