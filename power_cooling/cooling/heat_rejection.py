"""Dry and adiabatic coolers, fan laws and the fan staging of plant simulators.

Coolers are described per cell with arrays of shape (n_cells,); weather and loads broadcast against them. Wet towers are
in `towers`. The `*_scalar` functions are compiled cores for the coupled solver.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from power_cooling.compiled import broadcast, compiled
from power_cooling.false_position import NEITHER, between, narrowed
from power_cooling.fluids.heat_exchangers import crossflow_effectiveness_scalar
from power_cooling.fluids.psychrometrics import (
    heat_capacity_j_per_kg_k,
    humidity_ratio_from_wet_bulb,
    specific_volume_m3_per_kg,
    wet_bulb_degc,
)
from power_cooling.site_facts.weather import STANDARD_PRESSURE_PA

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class DryCoolers:
    """Air-cooled coils with variable-speed fans. Every array has shape (n_cells,).

    The conductance follows the air as UA = ua_w_per_k · fan^ua_exponent, the fan power as fan^fan_exponent, where fan
    is the speed over rated speed. Below `least_fan_frac` the fans cycle at that speed.
    """

    ua_w_per_k: FloatArray
    air_m3_per_s: FloatArray  # at full speed
    fan_power_w: FloatArray  # at full speed
    ua_exponent: FloatArray
    fan_exponent: FloatArray
    least_fan_frac: FloatArray

    def __post_init__(self) -> None:
        for field in fields(self):
            array = getattr(self, field.name)
            bad = ~(np.asarray(array) > 0) if field.name != "least_fan_frac" else ~(np.asarray(array) >= 0)
            if np.any(bad):
                i = int(np.flatnonzero(bad)[0])
                raise ValueError(f"DryCoolers.{field.name}[{i}] is {np.ravel(array)[i]:g}; must be greater than 0")
        if np.any(self.least_fan_frac >= 1):
            raise ValueError("DryCoolers.least_fan_frac must be below 1")


@dataclass(frozen=True, slots=True, eq=False)
class Rejection:
    """What a rejection device does; arrays of the broadcast shape."""

    supply_degc: FloatArray  # of the fluid leaving it
    return_degc: FloatArray  # of the fluid entering it
    fan_frac: FloatArray  # mean speed over rated speed; cycling counts the share of time
    fan_power_w: FloatArray
    setpoint_met: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Pad:
    """Air behind a wetted pad; arrays of the broadcast shape."""

    air_degc: FloatArray
    humidity_ratio: FloatArray
    evaporation_kg_s: FloatArray
    wetted: NDArray[np.bool_]


@compiled
def dry_cooler_return_scalar(
    heat_w: float, fluid_w_per_k: float, air_degc: float, air_w_per_k: float, ua_w_per_k: float
) -> float:
    """Temperature [°C] at which the fluid must arrive for an air-cooled coil to take `heat_w`; no iteration."""
    if heat_w <= 0.0:
        return air_degc
    least = min(fluid_w_per_k, air_w_per_k)
    if least <= 0.0:
        return np.inf
    effectiveness = crossflow_effectiveness_scalar(ua_w_per_k / least, least / max(fluid_w_per_k, air_w_per_k))
    if effectiveness <= 0.0:
        return np.inf
    return air_degc + heat_w / (effectiveness * least)


@compiled
def dry_cooler_supply_scalar(
    heat_w: float,
    fluid_w_per_k: float,
    air_degc: float,
    air_w_per_k: float,
    ua_w_per_k: float,
    ua_exponent: float,
    fan_exponent: float,
    least_fan_frac: float,
    setpoint_degc: float,
) -> tuple[float, float, float]:
    """Supply [°C], mean fan speed [-] and fan power [-] of a coil that takes `heat_w` with variable-speed fans.

    The fans run at the least speed that holds the set point, cycle below `least_fan_frac`, and saturate at full speed.
    """
    if heat_w <= 0.0:
        return max(air_degc, setpoint_degc), 0.0, 0.0
    drop = heat_w / fluid_w_per_k
    full = dry_cooler_return_scalar(heat_w, fluid_w_per_k, air_degc, air_w_per_k, ua_w_per_k) - drop
    if full >= setpoint_degc:
        return full, 1.0, 1.0
    slow = least_fan_frac
    if slow > 0.0:
        at_slow = (
            dry_cooler_return_scalar(
                heat_w, fluid_w_per_k, air_degc, air_w_per_k * slow, ua_w_per_k * slow**ua_exponent
            )
            - drop
        )
        if at_slow <= setpoint_degc:
            # Cycling: the share of time is the share of heat that the coil must take at that speed.
            reach = (setpoint_degc + drop - air_degc) / (at_slow + drop - air_degc)
            share = 1.0 / reach
            return setpoint_degc, slow * share, slow**fan_exponent * share
    # The supply falls monotonically with speed.
    speed = max(slow, 1e-6)
    coming = dry_cooler_return_scalar(
        heat_w, fluid_w_per_k, air_degc, air_w_per_k * speed, ua_w_per_k * speed**ua_exponent
    )
    bracket = (speed, coming - drop - setpoint_degc, 1.0, full - setpoint_degc, NEITHER)
    for _ in range(100):
        speed = between(bracket)
        coming = dry_cooler_return_scalar(
            heat_w, fluid_w_per_k, air_degc, air_w_per_k * speed, ua_w_per_k * speed**ua_exponent
        )
        f = coming - drop - setpoint_degc
        if abs(f) < 1e-11 or bracket[2] - bracket[0] < 1e-13:
            break
        bracket = narrowed(bracket, speed, f)
    return setpoint_degc, speed, speed**fan_exponent


@compiled
def dry_cooler_outlet_scalar(
    inlet_degc: float, fluid_w_per_k: float, air_degc: float, air_w_per_k: float, ua_w_per_k: float
) -> float:
    """Temperature [°C] at which the fluid leaves an air-cooled coil that it enters at `inlet_degc`."""
    least = min(fluid_w_per_k, air_w_per_k)
    if least <= 0.0:
        return inlet_degc
    effectiveness = crossflow_effectiveness_scalar(ua_w_per_k / least, least / max(fluid_w_per_k, air_w_per_k))
    return inlet_degc - effectiveness * least * (inlet_degc - air_degc) / fluid_w_per_k


@compiled
def _dry_cooler_outlets(c: FloatArray, out: FloatArray) -> None:
    for i in range(out.size):
        out[i] = dry_cooler_outlet_scalar(c[0, i], c[1, i], c[2, i], c[3, i], c[4, i])


@compiled
def _dry_cooler_supplies(columns: FloatArray, out: FloatArray) -> None:
    for i in range(columns.shape[1]):
        c = columns[:, i]
        out[0, i], out[1, i], out[2, i] = dry_cooler_supply_scalar(c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8])


def air_w_per_k(
    air_m3_per_s: ArrayLike,
    dry_bulb_degc: ArrayLike,
    humidity_ratio: ArrayLike = 0.0,
    pressure_pa: ArrayLike = STANDARD_PRESSURE_PA,
) -> FloatArray:
    """Return the heat-capacity rate of an air flow [W/K].

    Parameters
    ----------
    air_m3_per_s : array_like
        Volume flow at the state below [m³/s].
    dry_bulb_degc, humidity_ratio, pressure_pa : array_like
        State of the air [°C], [kg/kg], [Pa].
    """
    dry_air_kg_s = np.asarray(air_m3_per_s) / specific_volume_m3_per_kg(dry_bulb_degc, humidity_ratio, pressure_pa)
    return dry_air_kg_s * heat_capacity_j_per_kg_k(humidity_ratio)


def dry_cooler_outlet_degc(
    inlet_degc: ArrayLike,
    fluid_w_per_k: ArrayLike,
    air_degc: ArrayLike,
    air_w_per_k: ArrayLike,
    ua_w_per_k: ArrayLike,
) -> FloatArray:
    """Return the temperature at which the fluid leaves an air-cooled coil.

    Parameters
    ----------
    inlet_degc, air_degc : array_like
        Entering fluid and entering air [°C].
    fluid_w_per_k, air_w_per_k : array_like
        Heat-capacity rates [W/K].
    ua_w_per_k : array_like
        Conductance at this air flow [W/K]; 0 when the fans stand still and natural draught is ignored.

    Returns
    -------
    ndarray
        Leaving fluid [°C]; crossflow, both streams unmixed.
    """
    arrays = (np.asarray(a, dtype=float) for a in (inlet_degc, fluid_w_per_k, air_degc, air_w_per_k, ua_w_per_k))
    return broadcast(_dry_cooler_outlets, *arrays)


def dry_cooler_supply(
    coolers: DryCoolers,
    heat_w: ArrayLike,
    fluid_w_per_k: ArrayLike,
    dry_bulb_degc: ArrayLike,
    setpoint_degc: ArrayLike,
    *,
    humidity_ratio: ArrayLike = 0.0,
    pressure_pa: ArrayLike = STANDARD_PRESSURE_PA,
) -> Rejection:
    """Return the fluid temperatures and fan power of coolers that must take a heat load.

    Parameters
    ----------
    coolers : DryCoolers
        Arrays of shape (n_cells,).
    heat_w, fluid_w_per_k : array_like
        Heat to reject [W] and fluid heat-capacity rate [W/K] of each cell, broadcast against (n_cells,).
    dry_bulb_degc, setpoint_degc : array_like
        Air entering the coil and wanted supply [°C].
    humidity_ratio, pressure_pa : array_like
        State of the air, for its density.

    Returns
    -------
    Rejection
        At full speed the supply floats above the set point; below `least_fan_frac` the fans cycle.

    Raises
    ------
    ValueError
        If a heat load is negative or a loaded cell has no flow.
    """
    rate = air_w_per_k(coolers.air_m3_per_s, dry_bulb_degc, humidity_ratio, pressure_pa)
    arrays = np.broadcast_arrays(
        *(
            np.asarray(a, dtype=float)
            for a in (
                heat_w,
                fluid_w_per_k,
                dry_bulb_degc,
                rate,
                coolers.ua_w_per_k,
                coolers.ua_exponent,
                coolers.fan_exponent,
                coolers.least_fan_frac,
                setpoint_degc,
                coolers.fan_power_w,
            )
        )
    )
    heat, fluid, setpoint, fan_w = arrays[0], arrays[1], arrays[8], arrays[9]
    if np.any(~(heat >= 0)):
        raise ValueError(f"heat_w is {heat[~(heat >= 0)].flat[0]:g} W; must be at least 0")
    if np.any((heat > 0) & ~(fluid > 0)):
        raise ValueError("a cooler with heat to reject has no fluid flow")
    out = np.empty((3, heat.size))
    _dry_cooler_supplies(np.stack([a.ravel() for a in arrays[:9]]), out)
    supply, speed, power = (row.reshape(heat.shape) for row in out)
    return Rejection(
        supply_degc=supply,
        return_degc=supply + heat / np.where(fluid > 0, fluid, 1.0),
        fan_frac=speed,
        fan_power_w=power * fan_w,
        setpoint_met=supply <= setpoint + 1e-9,
    )


def cycled_outlet(off_degc: ArrayLike, on_degc: ArrayLike, setpoint_degc: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return the mixed outlet and the share of time of a fan that cycles between off and on.

    Parameters
    ----------
    off_degc, on_degc : array_like
        Outlet with the fan off and on [°C].
    setpoint_degc : array_like
        Wanted outlet [°C].

    Returns
    -------
    tuple of ndarray
        Outlet [°C] and running share [-], linear in outlet temperature as EnergyPlus stages single-speed fans [1]_.

    References
    ----------
    .. [1] EnergyPlus Engineering Reference, "Cooling Towers and Evaporative Fluid Coolers", single-speed tower.
    """
    off, on, setpoint = (np.asarray(a, dtype=float) for a in (off_degc, on_degc, setpoint_degc))
    span = np.where(off > on, off - on, 1.0)
    share = np.where(off <= setpoint, 0.0, np.where(on >= setpoint, 1.0, (off - setpoint) / span))
    return np.where(off <= setpoint, off, np.where(on >= setpoint, on, setpoint)), share


def two_speed_outlet(
    off_degc: ArrayLike,
    low_degc: ArrayLike,
    high_degc: ArrayLike,
    setpoint_degc: ArrayLike,
    low_fan_w: ArrayLike,
    high_fan_w: ArrayLike,
) -> tuple[FloatArray, FloatArray]:
    """Return the mixed outlet [°C] and the mean fan power [W] of a two-speed fan.

    It cycles between off and low, or between low and high, linear in outlet temperature [1]_.

    Parameters
    ----------
    off_degc, low_degc, high_degc : array_like
        Outlet with the fan off, at low and at high speed [°C].
    setpoint_degc : array_like
        Wanted outlet [°C].
    low_fan_w, high_fan_w : array_like
        Fan power at both speeds [W].

    References
    ----------
    .. [1] EnergyPlus Engineering Reference, "Cooling Towers and Evaporative Fluid Coolers", two-speed fluid cooler.
    """
    off, low, high, setpoint = (np.asarray(a, dtype=float) for a in (off_degc, low_degc, high_degc, setpoint_degc))
    slow, slow_share = cycled_outlet(off, low, setpoint)
    fast, fast_share = cycled_outlet(low, high, setpoint)
    low_is_enough = low <= setpoint
    low_fan, high_fan = np.asarray(low_fan_w, dtype=float), np.asarray(high_fan_w, dtype=float)
    power = np.where(low_is_enough, slow_share * low_fan, fast_share * high_fan + (1 - fast_share) * low_fan)
    return np.where(low_is_enough, slow, fast), power


def adiabatic_pad(
    dry_bulb_degc: ArrayLike,
    humidity_ratio: ArrayLike,
    air_m3_per_s: ArrayLike,
    *,
    efficiency_frac: ArrayLike,
    wetted_above_degc: ArrayLike,
    pressure_pa: ArrayLike = STANDARD_PRESSURE_PA,
) -> Pad:
    """Return the air behind an evaporative pad in front of a coil.

    Parameters
    ----------
    dry_bulb_degc, humidity_ratio : array_like
        Outdoor air [°C], [kg/kg].
    air_m3_per_s : array_like
        Air flow at the outdoor state [m³/s].
    efficiency_frac : array_like
        Saturation efficiency [-], 0.6-0.9 for common pads.
    wetted_above_degc : array_like
        Outdoor dry bulb above which the pad is wetted [°C].
    pressure_pa : array_like
        Air pressure [Pa].

    Returns
    -------
    Pad
        The air moves along its line of constant wet bulb; the water is the rise of its humidity ratio times the
        dry-air flow.
    """
    dry = np.asarray(dry_bulb_degc, dtype=float)
    ratio = np.asarray(humidity_ratio, dtype=float)
    efficiency = np.asarray(efficiency_frac, dtype=float)
    if np.any(~((efficiency >= 0) & (efficiency <= 1))):
        raise ValueError("efficiency_frac must be in [0, 1]")
    wetted = dry > np.asarray(wetted_above_degc, dtype=float)
    wet_bulb = wet_bulb_degc(dry, ratio, pressure_pa)
    share = np.where(wetted, efficiency, 0.0)
    behind = dry - share * (dry - wet_bulb)
    humid = np.where(share > 0, humidity_ratio_from_wet_bulb(behind, wet_bulb, pressure_pa), ratio)
    dry_air_kg_s = np.asarray(air_m3_per_s, dtype=float) / specific_volume_m3_per_kg(dry, ratio, pressure_pa)
    return Pad(behind, humid, dry_air_kg_s * (humid - ratio), np.broadcast_to(wetted, behind.shape))
