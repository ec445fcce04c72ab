"""Open cooling towers by Merkel's effectiveness-NTU model, and the water they use.

Merkel's model treats the air as a fluid whose heat capacity is the slope of saturated enthalpy against wet bulb. Asked
for the water temperature at a given heat it needs no iteration: the heat fixes the leaving wet bulb, that the slope,
and that the effectiveness. The `*_scalar` functions are compiled cores for the coupled solver.
"""

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from power_cooling.compiled import broadcast, compiled
from power_cooling.cooling.heat_rejection import Rejection
from power_cooling.false_position import NEITHER, between, narrowed
from power_cooling.fluids.heat_exchangers import counterflow_effectiveness_scalar
from power_cooling.fluids.psychrometrics import (
    MOLAR_MASS_RATIO,
    VAPORISATION_J_PER_KG,
    VAPOUR_J_PER_KG_K,
    heat_capacity_j_per_kg_k,
    heat_capacity_scalar,
    humidity_ratio_from_wet_bulb,
    saturated_enthalpy_scalar,
    saturated_humidity_ratio_scalar,
    saturation_pressure_log_slope_scalar,
    saturation_pressure_scalar,
    specific_volume_m3_per_kg,
)
from power_cooling.site_facts.weather import STANDARD_PRESSURE_PA

FloatArray = NDArray[np.float64]

HIGHEST_WET_BULB_DEGC = 80.0  # leaving air hotter than this means the tower cannot take the heat
HIGHEST_RETURN_DEGC = 95.0  # so does water that would have to arrive almost boiling


@dataclass(frozen=True, slots=True, eq=False)
class MerkelTowers:
    """Open tower cells with variable-speed fans. Every array has shape (n_cells,).

    UA = ua_w_per_k · (water / rated water)^water_exponent · fan^air_exponent. With the fan off, natural draught leaves
    `free_convection_frac` of the air flow and of UA.
    """

    ua_w_per_k: FloatArray
    air_m3_per_s: FloatArray  # at full speed
    water_kg_s: FloatArray  # rated
    fan_power_w: FloatArray  # at full speed
    air_exponent: FloatArray
    water_exponent: FloatArray
    fan_exponent: FloatArray
    least_fan_frac: FloatArray
    free_convection_frac: FloatArray

    def __post_init__(self) -> None:
        may_be_zero = {"least_fan_frac", "free_convection_frac", "water_exponent"}
        for field in fields(self):
            array = np.asarray(getattr(self, field.name), dtype=float)
            bad = ~(array >= 0) if field.name in may_be_zero else ~(array > 0)
            if np.any(bad):
                i = int(np.flatnonzero(bad)[0])
                allowed = "at least 0" if field.name in may_be_zero else "greater than 0"
                raise ValueError(f"MerkelTowers.{field.name}[{i}] is {np.ravel(array)[i]:g}; must be {allowed}")
        if np.any(self.free_convection_frac > self.least_fan_frac):
            raise ValueError("MerkelTowers.free_convection_frac must not exceed least_fan_frac")


@dataclass(frozen=True, slots=True, eq=False)
class TowerWater:
    """Water that towers use [kg/s]; arrays of the broadcast shape."""

    evaporation_kg_s: FloatArray
    drift_kg_s: FloatArray
    blowdown_kg_s: FloatArray

    @property
    def makeup_kg_s(self) -> FloatArray:
        """Return the water that must be added [kg/s]."""
        return self.evaporation_kg_s + self.drift_kg_s + self.blowdown_kg_s


@compiled
def saturated_enthalpy_slope_scalar(temperature_degc: float, pressure_pa: float) -> float:
    """Slope of the saturated enthalpy against temperature [J/(kg K)], the capacity that Merkel's air has locally."""
    p_ws = saturation_pressure_scalar(temperature_degc)
    ratio = MOLAR_MASS_RATIO * p_ws / (pressure_pa - p_ws)
    ratio_slope = ratio * saturation_pressure_log_slope_scalar(temperature_degc) * pressure_pa / (pressure_pa - p_ws)
    vapour = VAPORISATION_J_PER_KG + VAPOUR_J_PER_KG_K * temperature_degc
    return heat_capacity_scalar(ratio) + vapour * ratio_slope


@compiled
def saturated_temperature_scalar(enthalpy_j_per_kg: float, start_degc: float, pressure_pa: float) -> float:
    """Temperature [°C] at which saturated air has an enthalpy: Newton on a convex function from `start_degc`."""
    t = start_degc
    for _ in range(60):
        step = (saturated_enthalpy_scalar(t, pressure_pa) - enthalpy_j_per_kg) / saturated_enthalpy_slope_scalar(
            t, pressure_pa
        )
        step = min(max(step, -15.0), 15.0)
        t = min(max(t - step, -60.0), 85.0)
        if abs(step) < 1e-11 * (1.0 + abs(t)):
            break
    return t


@compiled
def _merkel_effectiveness(
    leaving_degc: float,
    wet_bulb_degc: float,
    water_w_per_k: float,
    pressure_pa: float,
    air_kg_s: float,
    air_cp: float,
    ua_w_per_k: float,
) -> tuple[float, float]:
    """Effectiveness and least capacity rate [W/K] for a leaving wet bulb."""
    if leaving_degc - wet_bulb_degc > 1e-6:
        slope = (
            saturated_enthalpy_scalar(leaving_degc, pressure_pa) - saturated_enthalpy_scalar(wet_bulb_degc, pressure_pa)
        ) / (leaving_degc - wet_bulb_degc)
    else:
        slope = saturated_enthalpy_slope_scalar(wet_bulb_degc, pressure_pa)
    air_w_per_k = air_kg_s * slope
    least = min(air_w_per_k, water_w_per_k)
    ntu = ua_w_per_k * slope / air_cp / least
    return counterflow_effectiveness_scalar(ntu, least / max(air_w_per_k, water_w_per_k)), least


@compiled
def merkel_return_scalar(
    heat_w: float,
    water_w_per_k: float,
    wet_bulb_degc: float,
    pressure_pa: float,
    air_kg_s: float,
    air_cp: float,
    ua_w_per_k: float,
) -> float:
    """Temperature [°C] at which water must arrive for a tower to take `heat_w`; infinite if it cannot."""
    if heat_w <= 0.0:
        return wet_bulb_degc
    if air_kg_s <= 0.0 or water_w_per_k <= 0.0 or ua_w_per_k <= 0.0:
        return np.inf
    leaving = saturated_enthalpy_scalar(wet_bulb_degc, pressure_pa) + heat_w / air_kg_s
    if leaving > saturated_enthalpy_scalar(HIGHEST_WET_BULB_DEGC, pressure_pa):
        return np.inf
    leaving_degc = saturated_temperature_scalar(leaving, wet_bulb_degc, pressure_pa)
    effectiveness, least = _merkel_effectiveness(
        leaving_degc, wet_bulb_degc, water_w_per_k, pressure_pa, air_kg_s, air_cp, ua_w_per_k
    )
    return wet_bulb_degc + heat_w / (effectiveness * least)


@compiled
def merkel_heat_scalar(
    inlet_degc: float,
    water_w_per_k: float,
    wet_bulb_degc: float,
    pressure_pa: float,
    air_kg_s: float,
    air_cp: float,
    ua_w_per_k: float,
) -> float:
    """Heat [W] that a tower takes from water arriving at `inlet_degc`; 0 at or below the wet bulb.

    The leaving wet bulb is the root of a falling function between the entering wet bulb and the water, found by false
    position; it cannot run away as a fixed point may.
    """
    if inlet_degc <= wet_bulb_degc or air_kg_s <= 0.0 or water_w_per_k <= 0.0 or ua_w_per_k <= 0.0:
        return 0.0
    h_in = saturated_enthalpy_scalar(wet_bulb_degc, pressure_pa)
    low, high = wet_bulb_degc, min(inlet_degc, 85.0)
    driving = inlet_degc - wet_bulb_degc
    effectiveness, least = _merkel_effectiveness(
        low, wet_bulb_degc, water_w_per_k, pressure_pa, air_kg_s, air_cp, ua_w_per_k
    )
    heat = effectiveness * least * driving
    f_low = heat / air_kg_s
    effectiveness, least = _merkel_effectiveness(
        high, wet_bulb_degc, water_w_per_k, pressure_pa, air_kg_s, air_cp, ua_w_per_k
    )
    f_high = effectiveness * least * driving / air_kg_s - (saturated_enthalpy_scalar(high, pressure_pa) - h_in)
    if f_high >= 0.0:
        return effectiveness * least * driving
    bracket = (low, f_low, high, f_high, NEITHER)
    for _ in range(100):
        x = between(bracket)
        effectiveness, least = _merkel_effectiveness(
            x, wet_bulb_degc, water_w_per_k, pressure_pa, air_kg_s, air_cp, ua_w_per_k
        )
        heat = effectiveness * least * driving
        f = heat / air_kg_s - (saturated_enthalpy_scalar(x, pressure_pa) - h_in)
        if abs(f) < 1e-9 or bracket[2] - bracket[0] < 1e-12:
            break
        bracket = narrowed(bracket, x, f)
    return heat


@compiled
def merkel_supply_scalar(
    heat_w: float,
    water_w_per_k: float,
    wet_bulb_degc: float,
    pressure_pa: float,
    air_kg_s: float,
    air_cp: float,
    ua_w_per_k: float,
    air_exponent: float,
    fan_exponent: float,
    least_fan_frac: float,
    free_convection_frac: float,
    setpoint_degc: float,
) -> tuple[float, float, float, float]:
    """Supply [°C], mean fan speed, fan power and air flow over full flow [-] of a tower that takes `heat_w`.

    Variable-speed fans run at the least speed that holds the set point, cycle against natural draught below
    `least_fan_frac`, stand while natural draught is enough (a bypass then holds the set point), and saturate at full
    speed, where the supply floats.
    """
    if heat_w <= 0.0:
        return max(wet_bulb_degc, setpoint_degc), 0.0, 0.0, 0.0
    drop = heat_w / water_w_per_k
    full = merkel_return_scalar(heat_w, water_w_per_k, wet_bulb_degc, pressure_pa, air_kg_s, air_cp, ua_w_per_k) - drop
    if full >= setpoint_degc:
        return full, 1.0, 1.0, 1.0
    arriving = setpoint_degc + drop
    slow = max(least_fan_frac, 1e-6)
    slow_heat = merkel_heat_scalar(
        arriving,
        water_w_per_k,
        wet_bulb_degc,
        pressure_pa,
        air_kg_s * slow,
        air_cp,
        ua_w_per_k * slow**air_exponent,
    )
    if slow_heat >= heat_w:
        still_heat = 0.0
        if free_convection_frac > 0.0:
            still_heat = merkel_heat_scalar(
                arriving,
                water_w_per_k,
                wet_bulb_degc,
                pressure_pa,
                air_kg_s * free_convection_frac,
                air_cp,
                ua_w_per_k * free_convection_frac,
            )
        if still_heat >= heat_w:
            return setpoint_degc, 0.0, 0.0, free_convection_frac
        share = (heat_w - still_heat) / (slow_heat - still_heat)
        return (
            setpoint_degc,
            slow * share,
            slow**fan_exponent * share,
            slow * share + free_convection_frac * (1.0 - share),
        )
    speed = slow
    coming = merkel_return_scalar(
        heat_w, water_w_per_k, wet_bulb_degc, pressure_pa, air_kg_s * speed, air_cp, ua_w_per_k * speed**air_exponent
    )
    bracket = (slow, coming - arriving, 1.0, full - setpoint_degc, NEITHER)
    for _ in range(100):
        speed = between(bracket)
        coming = merkel_return_scalar(
            heat_w,
            water_w_per_k,
            wet_bulb_degc,
            pressure_pa,
            air_kg_s * speed,
            air_cp,
            ua_w_per_k * speed**air_exponent,
        )
        f = coming - arriving
        if abs(f) < 1e-10 or bracket[2] - bracket[0] < 1e-13:
            break
        bracket = narrowed(bracket, speed, f)
    return setpoint_degc, speed, speed**fan_exponent, speed


@compiled
def evaporation_scalar(
    heat_w: float, air_kg_s: float, humidity_ratio: float, wet_bulb_degc: float, pressure_pa: float
) -> float:
    """Water [kg/s] that leaves with saturated air after it took `heat_w`."""
    if air_kg_s <= 0.0:
        return 0.0
    leaving = saturated_enthalpy_scalar(wet_bulb_degc, pressure_pa) + max(heat_w, 0.0) / air_kg_s
    leaving_degc = saturated_temperature_scalar(leaving, wet_bulb_degc, pressure_pa)
    return max(air_kg_s * (saturated_humidity_ratio_scalar(leaving_degc, pressure_pa) - humidity_ratio), 0.0)


@compiled
def _merkel_heats(c: FloatArray, out: FloatArray) -> None:
    for i in range(out.size):
        out[i] = merkel_heat_scalar(c[0, i], c[1, i], c[2, i], c[3, i], c[4, i], c[5, i], c[6, i])


@compiled
def _evaporations(c: FloatArray, out: FloatArray) -> None:
    for i in range(out.size):
        out[i] = evaporation_scalar(c[0, i], c[1, i], c[2, i], c[3, i], c[4, i])


@compiled
def _merkel_supplies(columns: FloatArray, out: FloatArray) -> None:
    for i in range(columns.shape[1]):
        c = columns[:, i]
        out[0, i], out[1, i], out[2, i], out[3, i] = merkel_supply_scalar(
            c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8], c[9], c[10], c[11]
        )


def merkel_outlet_degc(
    inlet_degc: ArrayLike,
    water_w_per_k: ArrayLike,
    wet_bulb_degc: ArrayLike,
    air_kg_s: ArrayLike,
    ua_w_per_k: ArrayLike,
    *,
    humidity_ratio: ArrayLike,
    pressure_pa: ArrayLike = STANDARD_PRESSURE_PA,
) -> FloatArray:
    """Return the temperature at which water leaves an open tower.

    Parameters
    ----------
    inlet_degc, wet_bulb_degc : array_like
        Entering water and entering wet bulb [°C].
    water_w_per_k : array_like
        Heat-capacity rate of the water [W/K].
    air_kg_s : array_like
        Dry-air flow [kg/s].
    ua_w_per_k : array_like
        Sensible conductance [W/K] at these flows.
    humidity_ratio : array_like
        Entering humidity ratio [kg/kg], for the air's heat capacity.
    pressure_pa : array_like
        Air pressure [Pa].

    Returns
    -------
    ndarray
        Leaving water [°C], never below the wet bulb; the inlet temperature where the water is not above it [1]_.

    References
    ----------
    .. [1] EnergyPlus Engineering Reference, "Cooling Towers and Evaporative Fluid Coolers", after Merkel (1925) and
       the ASHRAE HVAC1 Toolkit.
    """
    inlet = np.asarray(inlet_degc, dtype=float)
    water = np.asarray(water_w_per_k, dtype=float)
    air_cp = heat_capacity_j_per_kg_k(humidity_ratio)
    others = (np.asarray(a, dtype=float) for a in (wet_bulb_degc, pressure_pa, air_kg_s, air_cp, ua_w_per_k))
    heat = broadcast(_merkel_heats, inlet, water, *others)
    return inlet - heat / np.where(water > 0, water, 1.0)


def merkel_supply(
    towers: MerkelTowers,
    heat_w: ArrayLike,
    water_kg_s: ArrayLike,
    dry_bulb_degc: ArrayLike,
    wet_bulb_degc: ArrayLike,
    setpoint_degc: ArrayLike,
    *,
    water_cp_j_per_kg_k: float = 4185.0,
    pressure_pa: ArrayLike = STANDARD_PRESSURE_PA,
) -> tuple[Rejection, FloatArray]:
    """Return water temperatures, fan power and evaporation of towers that must take a heat load.

    Parameters
    ----------
    towers : MerkelTowers
        Arrays of shape (n_cells,).
    heat_w, water_kg_s : array_like
        Heat to reject [W] and water flow [kg/s] of each cell, broadcast against (n_cells,).
    dry_bulb_degc, wet_bulb_degc, setpoint_degc : array_like
        Outdoor air and wanted supply [°C].
    water_cp_j_per_kg_k : float
        Heat capacity of the water [J/(kg K)].
    pressure_pa : array_like
        Air pressure [Pa].

    Returns
    -------
    tuple
        `Rejection`, and the evaporation [kg/s]. A tower that cannot take its heat has an infinite supply temperature.

    Raises
    ------
    ValueError
        If a heat load is negative or a loaded cell has no flow.
    """
    ratio = humidity_ratio_from_wet_bulb(dry_bulb_degc, wet_bulb_degc, pressure_pa)
    air = towers.air_m3_per_s / specific_volume_m3_per_kg(dry_bulb_degc, ratio, pressure_pa)
    water = np.asarray(water_kg_s, dtype=float)
    ua = towers.ua_w_per_k * (water / towers.water_kg_s) ** towers.water_exponent
    columns = np.broadcast_arrays(
        *(
            np.asarray(a, dtype=float)
            for a in (
                heat_w,
                water * water_cp_j_per_kg_k,
                wet_bulb_degc,
                pressure_pa,
                air,
                heat_capacity_j_per_kg_k(ratio),
                ua,
                towers.air_exponent,
                towers.fan_exponent,
                towers.least_fan_frac,
                towers.free_convection_frac,
                setpoint_degc,
            )
        )
    )
    heat, capacity = columns[0], columns[1]
    if np.any(~(heat >= 0)):
        raise ValueError(f"heat_w is {heat[~(heat >= 0)].flat[0]:g} W; must be at least 0")
    if np.any((heat > 0) & ~(capacity > 0)):
        raise ValueError("a tower with heat to reject has no water flow")
    out = np.empty((4, heat.size))
    _merkel_supplies(np.stack([c.ravel() for c in columns]), out)
    supply, speed, power, air_frac = (row.reshape(heat.shape) for row in out)
    coming = supply + heat / np.where(capacity > 0, capacity, 1.0)
    supply, coming = (np.where(coming > HIGHEST_RETURN_DEGC, np.inf, t) for t in (supply, coming))
    rejection = Rejection(
        supply_degc=supply,
        return_degc=coming,
        fan_frac=speed,
        fan_power_w=power * towers.fan_power_w,
        setpoint_met=supply <= columns[11] + 1e-9,
    )
    taken = np.where(np.isfinite(supply), heat, 0.0)
    return rejection, evaporation_kg_s(taken, columns[4] * air_frac, ratio, wet_bulb_degc, pressure_pa)


def evaporation_kg_s(
    heat_w: ArrayLike,
    air_kg_s: ArrayLike,
    humidity_ratio: ArrayLike,
    wet_bulb_degc: ArrayLike,
    pressure_pa: ArrayLike = STANDARD_PRESSURE_PA,
) -> FloatArray:
    """Return the water that a tower evaporates, its air leaving saturated.

    Parameters
    ----------
    heat_w : array_like
        Heat rejected [W].
    air_kg_s : array_like
        Dry-air flow [kg/s].
    humidity_ratio, wet_bulb_degc : array_like
        Entering air [kg/kg], [°C].
    pressure_pa : array_like
        Air pressure [Pa].

    Returns
    -------
    ndarray
        Evaporation [kg/s] = air · (saturated humidity ratio at the leaving enthalpy - entering humidity ratio). It
        exceeds heat / latent heat where dry air is also cooled, and is less where part of the heat leaves as warmth.
    """
    arrays = (np.asarray(a, dtype=float) for a in (heat_w, air_kg_s, humidity_ratio, wet_bulb_degc, pressure_pa))
    return broadcast(_evaporations, *arrays)


def tower_water(
    evaporation: ArrayLike, circulating_kg_s: ArrayLike, *, cycles_of_concentration: float, drift_frac: float
) -> TowerWater:
    """Return evaporation, drift and the blowdown that holds the cycles of concentration.

    Parameters
    ----------
    evaporation : array_like
        Evaporated water [kg/s].
    circulating_kg_s : array_like
        Water over the fill [kg/s].
    cycles_of_concentration : float
        Dissolved solids of the basin over those of the make-up [-], above 1.
    drift_frac : float
        Droplets carried away over circulating water [-]; 2e-5 to 1e-4 with common eliminators.

    Raises
    ------
    ValueError
        If the cycles of concentration are not above 1.
    """
    if not cycles_of_concentration > 1:
        raise ValueError(f"cycles_of_concentration is {cycles_of_concentration:g}; must be greater than 1")
    evaporated = np.asarray(evaporation, dtype=float)
    drift = drift_frac * np.asarray(circulating_kg_s, dtype=float) * np.ones_like(evaporated)
    # Drift carries solids away too and so counts as blowdown.
    return TowerWater(evaporated, drift, np.maximum(evaporated / (cycles_of_concentration - 1) - drift, 0.0))


def merkel_ua_from_rating(
    heat_w: float,
    water_kg_s: float,
    air_m3_per_s: float,
    *,
    wet_bulb_degc: float,
    approach_k: float,
    water_cp_j_per_kg_k: float = 4185.0,
    pressure_pa: float = STANDARD_PRESSURE_PA,
) -> float:
    """Return the sensible conductance [W/K] that a tower's rating point implies.

    Parameters
    ----------
    heat_w, water_kg_s, air_m3_per_s : float
        Rated heat [W], water [kg/s] and air [m³/s].
    wet_bulb_degc, approach_k : float
        Rated wet bulb [°C] and leaving water above it [K].
    water_cp_j_per_kg_k, pressure_pa : float
        Heat capacity of the water [J/(kg K)], air pressure [Pa].

    Raises
    ------
    ValueError
        If the air flow cannot carry the heat at that approach.
    """
    ratio = float(humidity_ratio_from_wet_bulb(wet_bulb_degc + 10.0, wet_bulb_degc, pressure_pa))
    air = air_m3_per_s / float(specific_volume_m3_per_kg(wet_bulb_degc + 10.0, ratio, pressure_pa))
    water = water_kg_s * water_cp_j_per_kg_k
    air_cp = heat_capacity_scalar(ratio)
    target = wet_bulb_degc + approach_k + heat_w / water

    def arriving(ua: float) -> float:
        return merkel_return_scalar(heat_w, water, wet_bulb_degc, pressure_pa, air, air_cp, ua)

    low, high = 1e-3 * heat_w, heat_w * 1e4
    if not arriving(high) < target:
        raise ValueError(
            f"{air_m3_per_s:g} m³/s of air cannot take {heat_w:g} W at an approach of {approach_k:g} K "
            f"to a wet bulb of {wet_bulb_degc:g} °C, whatever the fill"
        )
    for _ in range(200):
        mid = math.sqrt(low * high)
        low, high = (mid, high) if arriving(mid) > target else (low, mid)
    return math.sqrt(low * high)
