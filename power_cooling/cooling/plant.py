"""A cooling plant at a given heat and weather: free cooling, integrated economiser, chillers, fans, pumps and water.

Return water meets dry or adiabatic coolers, or towers (through a plate exchanger where there is one), then chillers.
Three modes are weighed for each element and the feasible one of least power is taken: the outdoor device alone, the
device at full speed with chillers taking the rest, chillers alone. Where none holds the set point the supply floats up
to the temperature at which the plant, at full output, takes the heat.

Coolers and towers carry no more than their makers rate them for: what their coils would pass beyond that, no maker
guarantees. Where outdoor air is colder than at the rating, the rating grows with the difference that drives it, up to a
quarter: selection programs turn flows that far. With chillers behind them those take the rest; without,
`coupled.load_shedding` caps the racks.

An hour takes its mode and its running units without memory. Controls wait seconds to minutes before they change
(`chillers.controlled_economiser_modes` has their dead band and hold, for steps of that size). Where modes change over
their powers are equal, so that a dead band moves an hour's energy by less than the models' own uncertainty.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from power_cooling.compiled import compiled, compiled_part
from power_cooling.cooling.cdus import conductance_scalar
from power_cooling.cooling.chillers import CoolingMode, carnot_scalar, eir_scalar
from power_cooling.cooling.heat_rejection import dry_cooler_return_scalar, dry_cooler_supply_scalar
from power_cooling.cooling.towers import (
    evaporation_scalar,
    merkel_heat_scalar,
    merkel_return_scalar,
    merkel_supply_scalar,
)
from power_cooling.cooling.york_towers import YORK_COEFFICIENTS
from power_cooling.false_position import NEITHER, between, narrowed
from power_cooling.fluids.heat_exchangers import crossflow_effectiveness_scalar
from power_cooling.fluids.psychrometrics import (
    heat_capacity_scalar,
    saturated_humidity_ratio_scalar,
    specific_volume_m3_per_kg,
    wet_bulb_degc,
)
from power_cooling.site_arrays import FloatArray, PlantBank, Weather, records

FREE, PARTIAL, MECHANICAL = int(CoolingMode.FREE), int(CoolingMode.PARTIAL), int(CoolingMode.MECHANICAL)
# Dry bulb, wet bulb [°C], humidity ratio, pressure [Pa], dry air [kg/m3]: a row of `air_states`.
AirState: TypeAlias = tuple[float, float, float, float, float]
HOTTEST_WATER_DEGC = 95.0  # a plant that would need hotter water cannot take the heat
HOPELESS_W = 1e30  # power of a mode that cannot be used
ASSUMED_LEAST_TOWER_PUMP_FRAC = 0.3  # of one condenser-water pump: speed that keeps nozzles and condenser wet
ASSUMED_MOST_OF_RATING = 1.25  # that a cooler or tower carries in colder air than it is rated at


@compiled_part
def rated_outdoors_w(p: Any, n_coolers: float, n_towers: float, dry_bulb: float, wet_bulb: float) -> float:
    """Most heat [W] that the running coolers, or else towers, are rated for in this air; 0 where none runs."""
    n = n_coolers if n_coolers > 0.0 else n_towers
    if n <= 0.0:
        return 0.0
    air = dry_bulb if n_coolers > 0.0 else wet_bulb
    drives = (p.outdoor_water_degc - air) / (p.outdoor_water_degc - p.outdoor_air_degc)
    return n * p.outdoor_capacity_w * min(max(drives, 1.0), ASSUMED_MOST_OF_RATING)


@compiled_part
def _cooler_heat_per_kelvin(ua: float, c_water: float, c_air: float) -> float:
    least = min(c_water, c_air)
    if least <= 0.0 or ua <= 0.0:
        return 0.0
    return least * crossflow_effectiveness_scalar(ua / least, least / max(c_water, c_air))


@compiled_part
def _cooler_ua(p: Any, c_water: float) -> float:
    """UA of a cooler at full air [W/K]: the film in its tubes follows their flow to the power of 0.8."""
    share = p.cooler_water_film_frac
    if share <= 0.0:
        return p.cooler_ua_w_per_k
    flow = max(c_water / p.cooler_water_w_per_k, 1e-3)
    return p.cooler_ua_w_per_k / (1.0 - share + share * flow**-0.8)


@compiled_part
def _staged(off: float, low: float, high: float, setpoint: float, low_fan: float) -> float:
    """Mean fan power [-] of a fan cycling between speeds, linear in outlet temperature (EnergyPlus)."""
    if off <= setpoint:
        return 0.0
    if low <= setpoint:
        return low_fan * (off - setpoint) / (off - low)
    return low_fan + (1.0 - low_fan) * (low - setpoint) / (low - high)


@compiled_part
def coolers_scalar(
    p: Any, n: float, heat: float, c_water: float, air: AirState, setpoint: float
) -> tuple[float, float, float]:
    """Supply [°C], fan power [W] and evaporation [kg/s] of n coolers that take `heat`; floats above the set point.

    `air` is (dry bulb, wet bulb, humidity ratio, pressure, dry air kg/m3). Pads are wetted only as far as dry fans at
    full speed fall short of the set point.
    """
    db, wb, w, pressure, density = air
    q, cw = heat / n, c_water / n
    drop = heat / c_water
    mass = p.cooler_air_m3_per_s * density
    ca = mass * heat_capacity_scalar(w)
    ua = _cooler_ua(p, cw)
    fan = 1.0
    if p.cooler_control == 0:
        supply, _, fan = dry_cooler_supply_scalar(
            q, cw, db, ca, ua, p.cooler_ua_exponent, p.cooler_fan_exponent, p.cooler_min_fan_frac, setpoint
        )
    else:
        supply = dry_cooler_return_scalar(q, cw, db, ca, ua) - drop
        if supply < setpoint:
            arriving = setpoint + drop
            over = (arriving - db) / cw
            high = arriving - over * _cooler_heat_per_kelvin(ua, cw, ca)
            off = arriving - over * _cooler_heat_per_kelvin(ua * p.cooler_off_ua_frac, cw, ca)
            if p.cooler_control == 1:
                low_ca = ca * p.cooler_low_air_frac
                low = arriving - over * _cooler_heat_per_kelvin(ua * p.cooler_low_ua_frac, cw, low_ca)
                fan = _staged(off, low, high, setpoint, p.cooler_low_fan_frac)
            else:
                fan = _staged(off, high, high - 1.0, setpoint, 1.0)
            supply = setpoint
    evaporation = 0.0
    if supply > setpoint and p.pad_efficiency > 0.0 and db > p.pad_above_degc and db > wb:
        most = p.pad_efficiency * (db - wb)
        share = min(1.0, (supply - setpoint) / most)
        supply = supply - most if share == 1.0 else setpoint
        rise = max(saturated_humidity_ratio_scalar(wb, pressure) - w, 0.0)
        evaporation = n * mass * share * p.pad_efficiency * rise
    return supply, n * p.cooler_fan_w * fan, evaporation


@compiled_part
def _york_approach(wet_bulb: float, span: float, ratio: float) -> float:
    total = 0.0
    by_ratio = 1.0
    for i in range(3):
        by_span = by_ratio
        for j in range(3):
            term = by_span
            for k in range(3):
                total += YORK_COEFFICIENTS[i, j, k] * term
                term *= wet_bulb
            by_span *= span
        by_ratio *= ratio
    return total


@compiled_part
def _york_tower(
    p: Any, n: float, heat: float, c_water: float, air: AirState, setpoint: float
) -> tuple[float, float, float, bool]:
    """Supply, fan share, air share, clamped: the range is known from the heat, so only the air flow is sought."""
    wb = min(max(air[1], -34.4), 29.4444)
    span = min(max(heat / c_water, 1.1111), 22.2222)
    water = c_water / p.cp_j_per_kg_k / n / p.tower_water_kg_s
    clamped = wb != air[1] or span != heat / c_water
    least = p.tower_min_air_frac
    full = p.tower_york_flow_frac * water
    at_full = air[1] + max(_york_approach(wb, span, full), 1.1111)
    if at_full >= setpoint:
        return at_full, 1.0, 1.0, clamped
    at_least = air[1] + _york_approach(wb, span, min(full / least, 8.0))
    if at_least <= setpoint:
        return setpoint, 0.0, least, clamped
    low, high = least, 1.0
    for _ in range(60):
        mid = 0.5 * (low + high)
        if air[1] + _york_approach(wb, span, min(full / mid, 8.0)) > setpoint:
            low = mid
        else:
            high = mid
    return setpoint, high**p.tower_fan_exponent, high, clamped


@compiled_part
def towers_scalar(
    p: Any, n: float, heat: float, c_water: float, air: AirState, setpoint: float
) -> tuple[float, float, float, bool]:
    """Supply [°C], fan power [W], evaporation [kg/s] and a clamped flag of n tower cells that take `heat`."""
    _, wb, w, pressure, density = air
    if heat <= 0.0:
        return max(wb, setpoint), 0.0, 0.0, False
    if p.tower_model == 1:
        supply, fan, flow, clamped = _york_tower(p, n, heat, c_water, air, setpoint)
        mass = n * p.tower_air_m3_per_s * density * flow
        return supply, n * p.tower_fan_w * fan, evaporation_scalar(heat, mass, w, wb, pressure), clamped
    q, cw = heat / n, c_water / n
    mass = p.tower_air_m3_per_s * density
    cp = heat_capacity_scalar(w)
    ua = p.tower_ua_w_per_k * (cw / p.cp_j_per_kg_k / p.tower_water_kg_s) ** p.tower_ua_water_exponent
    if p.tower_control == 0:
        supply, _, fan, flow = merkel_supply_scalar(
            q,
            cw,
            wb,
            pressure,
            mass,
            cp,
            ua,
            p.tower_ua_air_exponent,
            p.tower_fan_exponent,
            max(p.tower_min_air_frac, p.tower_free_frac),
            p.tower_free_frac,
            setpoint,
        )
    else:
        supply = merkel_return_scalar(q, cw, wb, pressure, mass, cp, ua) - heat / c_water
        fan, flow = 1.0, 1.0
        if supply < setpoint:
            arriving = setpoint + heat / c_water
            free = p.tower_free_frac
            high = arriving - merkel_heat_scalar(arriving, cw, wb, pressure, mass, cp, ua) / cw
            off = arriving - merkel_heat_scalar(arriving, cw, wb, pressure, mass * free, cp, ua * free) / cw
            fan = 0.0 if off <= setpoint else (off - setpoint) / (off - high)
            flow = fan + free * (1.0 - fan)
            supply = setpoint
    supply = min(supply, HOTTEST_WATER_DEGC)
    # Cycling fans: the running share of the heat leaves with the running share of the air.
    return supply, n * p.tower_fan_w * fan, n * evaporation_scalar(q, mass * flow, w, wb, pressure), False


@compiled_part
def chillers_scalar(
    p: Any, n: float, heat: float, leaving: float, condenser: float
) -> tuple[float, float, float, bool]:
    """Power [W], capacity of all n [W], load fraction and a clamped flag; as many run as need the least power."""
    clamped = False
    if p.chiller_model == 1:
        _, one = _chiller(p, 0.0, leaving, condenser)
        x, y = p.chiller_range_degc, p.chiller_range_degc
        clamped = leaving < x[0] or leaving > x[1] or condenser < y[2] or condenser > y[3]
    else:
        one = p.chiller_capacity_w
    capacity = n * one * p.chiller_max_plr
    if heat <= 0.0 or capacity <= 0.0:
        return 0.0, capacity, 0.0, False
    served = min(heat, capacity)
    first = max(1, int(np.ceil(served / (one * p.chiller_max_plr) - 1e-12)))
    least = HOPELESS_W
    for running in range(first, int(n) + 1):
        power = running * _chiller(p, served / running, leaving, condenser)[0]
        if power < least:
            least = power
    if least == HOPELESS_W:
        least = n * _chiller(p, served / n, leaving, condenser)[0]
    return least, capacity, heat / capacity, clamped


@compiled_part
def _chiller(p: Any, heat: float, leaving: float, condenser: float) -> tuple[float, float]:
    if p.chiller_model == 1:
        return eir_scalar(
            heat,
            leaving,
            condenser,
            p.chiller_capacity_w,
            p.chiller_cop,
            p.chiller_capft,
            p.chiller_eirft,
            p.chiller_eirfplr,
            (p.chiller_range_degc[0], p.chiller_range_degc[1]),
            (p.chiller_range_degc[2], p.chiller_range_degc[3]),
            (p.chiller_min_plr, p.chiller_max_plr),
            p.chiller_unloading_plr,
        )
    power = carnot_scalar(
        heat,
        leaving,
        condenser,
        p.chiller_capacity_w,
        p.chiller_carnot_frac,
        p.chiller_evaporator_approach_k,
        p.chiller_condenser_approach_k,
        p.chiller_eirfplr,
        p.chiller_min_plr,
    )
    return power, p.chiller_capacity_w


@compiled_part
def _tower_water(p: Any, n: float) -> float:
    """Heat-capacity rate of the towers' own loop [W/K], and the plate exchanger's conductance over it."""
    return n * p.tower_water_kg_s * p.cp_j_per_kg_k


@compiled_part
def _tower_pumps(p: Any, n: float, heat: float) -> float:
    """Power of the towers' pumps [W]: one by each cell, at the flow that the heat asks for, down to a least of one."""
    if n <= 0.0:
        return 0.0
    share = heat / (n * p.outdoor_capacity_w) if np.isfinite(p.outdoor_capacity_w) else 1.0
    return p.tower_pump_w * n / p.n_towers * min(max(share, ASSUMED_LEAST_TOWER_PUMP_FRAC / n), 1.0)


@compiled_part
def _free_hold(
    p: Any, n_coolers: float, n_towers: float, heat: float, c_water: float, air: AirState, setpoint: float
) -> tuple[float, float, float, float, float, bool]:
    """Supply, cooler fans, tower fans, evaporation, tower pumps, clamped of the outdoor device alone."""
    if n_coolers > 0.0:
        supply, fan, evaporation = coolers_scalar(p, n_coolers, heat, c_water, air, setpoint)
        return supply, fan, 0.0, evaporation, 0.0, False
    pump = _tower_pumps(p, n_towers, heat)
    if p.economiser_ua_w_per_k <= 0.0:
        supply, fan, evaporation, clamped = towers_scalar(p, n_towers, heat, c_water, air, setpoint)
        return supply, 0.0, fan, evaporation, pump, clamped
    c_tower = _tower_water(p, n_towers)
    over = heat / c_water - heat / conductance_scalar(p.economiser_ua_w_per_k, c_water, c_tower)
    tower, fan, evaporation, clamped = towers_scalar(p, n_towers, heat, c_tower, air, setpoint + over)
    return max(tower - over, setpoint), 0.0, fan, evaporation, pump, clamped


@compiled_part
def _free_most(p: Any, n_coolers: float, n_towers: float, arriving: float, c_water: float, air: AirState) -> float:
    """Most heat [W] that the outdoor device takes from water arriving at a temperature, fans at full speed."""
    db, wb, w, pressure, density = air
    if n_coolers > 0.0:
        mass = p.cooler_air_m3_per_s * density
        t = db
        if p.pad_efficiency > 0.0 and db > p.pad_above_degc and db > wb:
            t = db - p.pad_efficiency * (db - wb)
        cw = c_water / n_coolers
        c = _cooler_heat_per_kelvin(_cooler_ua(p, cw), cw, mass * heat_capacity_scalar(w))
        return max(0.0, n_coolers * c * (arriving - t))
    if arriving <= wb:
        return 0.0
    mass = p.tower_air_m3_per_s * density
    cp = heat_capacity_scalar(w)
    through_plates = p.economiser_ua_w_per_k > 0.0
    cw = p.tower_water_kg_s * p.cp_j_per_kg_k if through_plates else c_water / n_towers
    ua = p.tower_ua_w_per_k * (cw / p.cp_j_per_kg_k / p.tower_water_kg_s) ** p.tower_ua_water_exponent
    if not through_plates:
        return n_towers * merkel_heat_scalar(arriving, cw, wb, pressure, mass, cp, ua)
    per_k = conductance_scalar(p.economiser_ua_w_per_k, c_water, n_towers * cw)
    # In series: water arrives at the tower as warm as plates and tower together need; rises with heat.
    heat = per_k * (arriving - wb)
    bracket = (0.0, wb - arriving, heat, np.inf, NEITHER)
    for _ in range(100):
        back = merkel_return_scalar(heat / n_towers, cw, wb, pressure, mass, cp, ua)
        f = back - heat / (n_towers * cw) + heat / per_k - arriving
        if abs(f) < 1e-11 or bracket[2] - bracket[0] < 1e-9:
            break
        bracket = narrowed(bracket, heat, f)
        heat = between(bracket)
    return heat


@compiled_part
def _mechanical(
    p: Any, n_towers: float, n_chillers: float, total: float, free: float, leaving: float, air: AirState
) -> tuple[float, float, float, bool, float, float]:
    """Chillers that take total - free: power, capacity, load, clamped, tower fans, evaporation, condenser entering.

    Water-cooled condensers sit on the towers, which also carry `free` when the economiser is theirs; the towers hold
    the condenser water at the wet bulb plus their approach.
    """
    db, wb, w, pressure, _ = air
    heat = total - free
    if p.chiller_water_cooled == 0:
        power, capacity, load, clamped = chillers_scalar(p, n_chillers, heat, leaving, db)
        return power, capacity, load, clamped, 0.0, 0.0
    c_tower = _tower_water(p, n_towers)
    on_towers = free if p.n_coolers <= 0.0 else 0.0
    wanted = wb + p.tower_approach_k
    if on_towers > 0.0:
        wanted = wb - 100.0  # the economiser needs the coldest water there is
    entering = max(wanted, wb)
    power = 0.0
    capacity = 0.0
    load = 0.0
    clamped = False
    fan = 0.0
    evaporation = 0.0
    for _ in range(60):
        power, capacity, load, clamped = chillers_scalar(p, n_chillers, heat, leaving, entering)
        supply, fan, evaporation, flag = towers_scalar(
            p, n_towers, min(heat, capacity) + on_towers + power, c_tower, air, wanted
        )
        clamped = clamped or flag
        new = supply + on_towers / c_tower
        done = abs(new - entering) < 1e-11
        entering = new
        if done:
            break
    return power, capacity, load, clamped, fan, evaporation


@compiled
def _has(p: Any, n_coolers: float, n_towers: float, n_chillers: float) -> tuple[bool, bool]:
    """Whether what runs can reject heat without chillers, and with them."""
    has_chiller = n_chillers > 0.0 and (p.chiller_water_cooled == 0 or n_towers > 0.0)
    outdoor = n_coolers > 0.0 or (
        n_towers > 0.0 and (p.chiller_water_cooled == 0 or not has_chiller or p.economiser_ua_w_per_k > 0.0)
    )
    return outdoor and (not has_chiller or p.economiser == 1), has_chiller


@compiled
def _flat_out_short(
    p: Any,
    n_coolers: float,
    n_towers: float,
    n_chillers: float,
    has_free: bool,
    heat: float,
    c_water: float,
    air: AirState,
    supply: float,
) -> float:
    """Heat [W] that the plant at full output cannot take at a supply temperature."""
    free = 0.0
    if has_free:
        rated = rated_outdoors_w(p, n_coolers, n_towers, air[0], air[1])
        free = min(_free_most(p, n_coolers, n_towers, supply + heat / c_water, c_water, air), rated)
    if heat - free <= 0.0:
        return heat - free
    return heat - free - _mechanical(p, n_towers, n_chillers, heat, free, supply, air)[1]


@compiled
def _over_rating(
    p: Any, n_coolers: float, n_towers: float, n_chillers: float, heat: float, setpoint: float, air: AirState
) -> float:
    """Heat [W] beyond what all pumps, and towers that chillers stand on, are rated for; below 0 where there is room."""
    over = heat - p.pumped_heat_w
    if n_coolers <= 0.0 and n_towers > 0.0 and n_chillers > 0.0 and p.chiller_water_cooled == 1:
        both = heat + _mechanical(p, n_towers, n_chillers, heat, 0.0, setpoint, air)[0]
        over = max(over, heat * (1.0 - rated_outdoors_w(p, n_coolers, n_towers, air[0], air[1]) / both))
    return over


@compiled_part
def plant_scalar(
    p: Any, n_coolers: float, n_towers: float, n_chillers: float, heat: float, c_water: float, air: AirState
) -> tuple[float, int, float, float, float, float, float, float, bool, float]:
    """Solve one plant.

    Returns supply [°C], mode, cooler fans, tower fans, tower pumps, chillers [W], evaporation [kg/s], chiller load
    fraction, clamped flag, heat rejected without chillers [W].
    """
    setpoint = p.supply_set_degc
    has_free, has_chiller = _has(p, n_coolers, n_towers, n_chillers)
    if heat <= 0.0:
        return setpoint, FREE, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, False, 0.0
    if not has_free and not has_chiller:
        return HOTTEST_WATER_DEGC, MECHANICAL, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, False, 0.0
    rated = rated_outdoors_w(p, n_coolers, n_towers, air[0], air[1])
    if has_free and (heat <= rated or not has_chiller):
        supply, cooler_fan, tower_fan, evaporation, pump, clamped = _free_hold(
            p, n_coolers, n_towers, heat, c_water, air, setpoint
        )
        if supply <= setpoint + 1e-9:  # the sum through the plates rounds
            supply = setpoint
        if supply == setpoint or not has_chiller:
            supply = min(supply, HOTTEST_WATER_DEGC)
            return supply, FREE, cooler_fan, tower_fan, pump, 0.0, evaporation, 0.0, clamped, heat
    pump = _tower_pumps(p, n_towers, heat) if p.chiller_water_cooled == 1 else 0.0
    supply = setpoint
    mechanical_w = HOPELESS_W
    short = _flat_out_short(p, n_coolers, n_towers, n_chillers, has_free, heat, c_water, air, setpoint)
    alone = _mechanical(p, n_towers, n_chillers, heat, 0.0, setpoint, air)
    if short > 0.0:
        # The supply floats: heat left over falls as it rises.
        supply = HOTTEST_WATER_DEGC
        at_hottest = _flat_out_short(p, n_coolers, n_towers, n_chillers, has_free, heat, c_water, air, supply)
        if at_hottest <= 0.0:
            bracket = (setpoint, short, supply, at_hottest, NEITHER)
            for _ in range(200):
                supply = between(bracket)
                f = _flat_out_short(p, n_coolers, n_towers, n_chillers, has_free, heat, c_water, air, supply)
                if abs(f) <= 1e-13 * heat or bracket[2] - bracket[0] < 1e-12:
                    break
                bracket = narrowed(bracket, supply, f)
    elif alone[1] >= heat:
        mechanical_w = alone[0] + alone[4] + pump
    free = 0.0
    if has_free:
        arriving = supply + heat / c_water
        free = min(_free_most(p, n_coolers, n_towers, arriving, c_water, air), heat, rated)
        if free / c_water < p.economiser_gain_k and alone[1] >= heat:
            free = 0.0
    if free > 0.0:
        both = _mechanical(p, n_towers, n_chillers, heat, free, supply, air)
        cooler_fan = n_coolers * p.cooler_fan_w
        tower_fan = both[4]
        evaporation = both[5]
        partial_pump = pump
        if n_coolers <= 0.0 and p.chiller_water_cooled == 0:
            _, tower_fan, evaporation, _ = towers_scalar(p, n_towers, free, c_water, air, -100.0)
            partial_pump = _tower_pumps(p, n_towers, free)
        if n_coolers > 0.0 and p.pad_efficiency > 0.0 and air[0] > p.pad_above_degc and air[0] > air[1]:
            rise = max(saturated_humidity_ratio_scalar(air[1], air[3]) - air[2], 0.0)
            evaporation += n_coolers * p.cooler_air_m3_per_s * air[4] * p.pad_efficiency * rise
        if short > 0.0 or both[0] + cooler_fan + tower_fan + partial_pump <= mechanical_w:
            return (
                supply,
                PARTIAL,
                cooler_fan,
                tower_fan,
                partial_pump,
                both[0],
                evaporation,
                both[2],
                both[3],
                free,
            )
    if short > 0.0:
        alone = _mechanical(p, n_towers, n_chillers, heat, 0.0, supply, air)
    return supply, MECHANICAL, 0.0, alone[4], pump, alone[0], alone[5], alone[2], alone[3], 0.0


@compiled_part
def water_scalar(p: Any, n_towers: float, evaporation: float, towers_run: bool) -> float:
    """Water drawn [kg/s]: evaporation, blowdown (or pad bleed) at the cycles of concentration, drift."""
    if evaporation <= 0.0:
        return 0.0
    drift = p.drift_frac * n_towers * p.tower_water_kg_s if towers_run else 0.0
    return evaporation + drift + max(evaporation / (p.cycles_of_concentration - 1.0) - drift, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class PlantState:
    """Solved plants; arrays of shape (n_elements, n_plants)."""

    supply_degc: FloatArray
    mode: NDArray[np.int8]  # `chillers.CoolingMode`
    cooler_fan_power_w: FloatArray
    tower_fan_power_w: FloatArray
    tower_pump_power_w: FloatArray
    chiller_power_w: FloatArray
    evaporation_kg_s: FloatArray
    water_kg_s: FloatArray
    chiller_load_frac: FloatArray
    clamped: NDArray[np.bool_]
    economiser_heat_w: FloatArray  # rejected without chillers


def solve_plants(plants: PlantBank, heat_w: ArrayLike, flow_kg_s: ArrayLike, weather: Weather) -> PlantState:
    """Return supply temperature, mode, power and water of plants that must take a heat.

    Parameters
    ----------
    plants : PlantBank
        Arrays of shape (n_plants,); everything runs.
    heat_w, flow_kg_s : array_like
        Heat in the return water, pump heat included [W], and facility-water flow [kg/s]; broadcast to
        (n_elements, n_plants).
    weather : Weather
        Arrays of shape (n_elements,).

    Returns
    -------
    PlantState
        The supply floats above its set point where the plant at full output cannot hold it.

    Raises
    ------
    ValueError
        If a heat is negative or a flow is not above 0.
    """
    shape = (weather.n_elements, plants.n_plants)
    heat = np.ascontiguousarray(np.broadcast_to(np.asarray(heat_w, dtype=float), shape))
    flow = np.ascontiguousarray(np.broadcast_to(np.asarray(flow_kg_s, dtype=float), shape))
    if np.any(~(heat >= 0)):
        raise ValueError(f"heat_w is {heat[~(heat >= 0)].flat[0]:g} W; must be at least 0")
    if np.any(~(flow > 0)):
        raise ValueError(f"flow_kg_s is {flow[~(flow > 0)].flat[0]:g} kg/s; must be greater than 0")
    out = np.empty((*shape, 11))
    _solve_plants(records(plants), heat, flow, air_states(weather), out)
    return PlantState(
        supply_degc=out[..., 0],
        mode=out[..., 1].astype(np.int8),
        cooler_fan_power_w=out[..., 2],
        tower_fan_power_w=out[..., 3],
        tower_pump_power_w=out[..., 4],
        chiller_power_w=out[..., 5],
        evaporation_kg_s=out[..., 6],
        water_kg_s=out[..., 9],
        chiller_load_frac=out[..., 7],
        clamped=out[..., 8] > 0,
        economiser_heat_w=out[..., 10],
    )


def plant_capacities_w(
    plants: PlantBank,
    heat_w: ArrayLike,
    flow_kg_s: ArrayLike,
    weather: Weather,
    *,
    coolers_running: ArrayLike | None = None,
    towers_running: ArrayLike | None = None,
    chillers_running: ArrayLike | None = None,
) -> FloatArray:
    """Return the heat that plants, flat out, take from the return water of a heat while they hold their set point.

    A plant holds its set point within its machines' ratings at `heat_w` where this is at least `heat_w`: the condition
    by which `solve_plants` lets the supply float, and `coupled.load_shedding` holds racks back.

    Parameters
    ----------
    plants : PlantBank
        Arrays of shape (n_plants,).
    heat_w, flow_kg_s : array_like
        Heat in the return water [W], which with the facility-water flow [kg/s] says how warm it arrives; broadcast to
        (n_elements, n_plants).
    weather : Weather
        Arrays of shape (n_elements,).
    coolers_running, towers_running, chillers_running : array_like, optional
        Units that run, broadcast to (n_plants,); all where not given.

    Returns
    -------
    ndarray, shape (n_elements, n_plants)
        Capacity [W]; 0 where nothing that runs rejects heat.

    Raises
    ------
    ValueError
        If a flow is not above 0.
    """
    shape = (weather.n_elements, plants.n_plants)
    heat = np.broadcast_to(np.asarray(heat_w, dtype=float), shape)
    flow = np.broadcast_to(np.asarray(flow_kg_s, dtype=float), shape)
    if np.any(~(flow > 0)):
        raise ValueError(f"flow_kg_s is {flow[~(flow > 0)].flat[0]:g} kg/s; must be greater than 0")
    runs = [
        np.broadcast_to(np.asarray(all_units if given is None else given, dtype=float), shape[1:])
        for given, all_units in (
            (coolers_running, plants.n_coolers),
            (towers_running, plants.n_towers),
            (chillers_running, plants.n_chillers),
        )
    ]
    capacity = np.zeros(shape)
    table, air = records(plants), air_states(weather)
    for e, state in enumerate(air.tolist()):
        for j in range(shape[1]):
            p, n = table[j], [float(units[j]) for units in runs]
            has_free, has_chiller = _has(p, n[0], n[1], n[2])
            if has_free or has_chiller:
                c_water = float(flow[e, j] * p["cp_j_per_kg_k"])
                needed, setpoint = float(heat[e, j]), float(p["supply_set_degc"])
                outdoors = (state[0], state[1], state[2], state[3], state[4])
                short = _flat_out_short(p, n[0], n[1], n[2], has_free, needed, c_water, outdoors, setpoint)
                short = max(short, _over_rating(p, n[0], n[1], n[2], needed, setpoint, outdoors))
                capacity[e, j] = max(needed - short, 0.0)
    return capacity


def air_states(weather: Weather) -> FloatArray:
    """Return dry bulb, wet bulb [°C], humidity ratio, pressure [Pa] and dry-air density [kg/m3], (n_elements, 5)."""
    db, w, p = weather.dry_bulb_degc, weather.humidity_ratio, weather.pressure_pa
    return np.column_stack([db, wet_bulb_degc(db, w, p), w, p, 1.0 / specific_volume_m3_per_kg(db, w, p)])


@compiled
def _solve_plants(plants: Any, heat: FloatArray, flow: FloatArray, air: FloatArray, out: FloatArray) -> None:
    for e in range(heat.shape[0]):
        state = (air[e, 0], air[e, 1], air[e, 2], air[e, 3], air[e, 4])
        for j in range(heat.shape[1]):
            p = plants[j]
            supply, mode, cooler, tower, pump, chiller, evaporation, load, clamped, free = plant_scalar(
                p, p.n_coolers, p.n_towers, p.n_chillers, heat[e, j], flow[e, j] * p.cp_j_per_kg_k, state
            )
            row = out[e, j]
            row[0], row[1], row[2], row[3], row[4] = supply, mode, cooler, tower, pump
            row[5], row[6], row[7], row[8] = chiller, evaporation, load, clamped
            row[9] = water_scalar(p, p.n_towers, evaporation, tower > 0.0 or pump > 0.0)
            row[10] = free
