"""Electric chillers by catalogue curves or by a Carnot fraction, economiser modes and staging.

The EIR model is EnergyPlus' Chiller:Electric:EIR [1]_. Its catalogue curves cover chilled water of some 5-10 °C;
outside their range the curves are held at the nearest limit and the result says so. For the 15-45 °C water of
liquid-cooled halls `CarnotChillers` scales a rated efficiency by lift; that is an extrapolation, labelled as one.

.. [1] EnergyPlus Engineering Reference, "Electric Chiller Model Based on Condenser Entering Temperature".
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from power_cooling.compiled import compiled
from power_cooling.site_arrays import ASSUMED_EVAPORATOR_APPROACH_K

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

LEAST_LIFT_K = 8.0  # compressors hold at least this pressure ratio however cold the sink


class CoolingMode(IntEnum):
    """How the facility water is cooled in an hour."""

    FREE = 0  # the outdoor device alone
    PARTIAL = 1  # the device cools first, the chiller takes the rest
    MECHANICAL = 2  # the chiller alone


@dataclass(frozen=True, slots=True, eq=False)
class EirChillers:
    """Chillers with catalogue curves. First axis: n_chillers.

    Biquadratics are in the order 1, x, x², y, y², xy with x the leaving chilled water and y the water or air that
    enters the condenser [°C]; the quadratic in part load is in rising powers.
    """

    capacity_w: FloatArray  # (n,) at the reference point
    reference_cop: FloatArray  # (n,)
    capft: FloatArray  # (n, 6)
    eirft: FloatArray  # (n, 6)
    eirfplr: FloatArray  # (n, 3)
    leaving_range_degc: FloatArray  # (n, 2)
    condenser_range_degc: FloatArray  # (n, 2)
    part_load_range: FloatArray  # (n, 2): least before cycling, most
    least_unloading_frac: FloatArray  # (n,): part load below which hot gas holds the compressor

    def __post_init__(self) -> None:
        n = np.shape(self.capacity_w)[0]
        shapes = {
            "reference_cop": (n,),
            "capft": (n, 6),
            "eirft": (n, 6),
            "eirfplr": (n, 3),
            "leaving_range_degc": (n, 2),
            "condenser_range_degc": (n, 2),
            "part_load_range": (n, 2),
            "least_unloading_frac": (n,),
        }
        for name, shape in shapes.items():
            if np.shape(getattr(self, name)) != shape:
                raise ValueError(f"EirChillers.{name} has shape {np.shape(getattr(self, name))}; must be {shape}")
        for name in ("capacity_w", "reference_cop"):
            bad = np.flatnonzero(~(getattr(self, name) > 0))
            if bad.size:
                raise ValueError(
                    f"EirChillers.{name}[{bad[0]}] is {getattr(self, name)[bad[0]]:g}; must be greater than 0"
                )
        for name in ("leaving_range_degc", "condenser_range_degc", "part_load_range"):
            limits = getattr(self, name)
            bad = np.flatnonzero(~(limits[:, 0] < limits[:, 1]))
            if bad.size:
                low, high = limits[bad[0]]
                raise ValueError(f"EirChillers.{name}[{bad[0]}] is {low:g} to {high:g}; the first must be the lower")


@dataclass(frozen=True, slots=True, eq=False)
class CarnotChillers:
    """Chillers known by one rated efficiency. Every array has shape (n_chillers,) unless stated otherwise."""

    capacity_w: FloatArray
    carnot_frac: FloatArray  # of the Carnot COP between evaporating and condensing temperature
    evaporator_approach_k: FloatArray
    condenser_approach_k: FloatArray  # condensing temperature above the entering water or air
    eirfplr: FloatArray  # (n_chillers, 3)
    least_part_load_frac: FloatArray

    def __post_init__(self) -> None:
        for name in ("capacity_w", "carnot_frac"):
            bad = np.flatnonzero(~(getattr(self, name) > 0))
            if bad.size:
                raise ValueError(
                    f"CarnotChillers.{name}[{bad[0]}] is {getattr(self, name)[bad[0]]:g}; must be greater than 0"
                )
        bad = np.flatnonzero(~(self.carnot_frac < 1))
        if bad.size:
            raise ValueError(f"CarnotChillers.carnot_frac[{bad[0]}] is {self.carnot_frac[bad[0]]:g}; must be below 1")


@dataclass(frozen=True, slots=True, eq=False)
class ChillerState:
    """What chillers do; arrays of the broadcast shape (..., n_chillers)."""

    power_w: FloatArray
    heat_w: FloatArray  # taken from the chilled water
    condenser_heat_w: FloatArray
    available_w: FloatArray  # capacity in these conditions
    part_load_frac: FloatArray
    short: BoolArray  # asked for more than it can
    clamped: BoolArray  # an input lay outside the curves and was held at their limit
    extrapolated: BoolArray  # a Carnot fraction, not a catalogue curve


@compiled
def biquadratic_scalar(c: FloatArray, x: float, y: float) -> float:
    """c0 + c1 x + c2 x² + c3 y + c4 y² + c5 x y."""
    return c[0] + c[1] * x + c[2] * x * x + c[3] * y + c[4] * y * y + c[5] * x * y


@compiled
def eir_scalar(
    heat_w: float,
    leaving_degc: float,
    condenser_degc: float,
    capacity_w: float,
    cop: float,
    capft: FloatArray,
    eirft: FloatArray,
    eirfplr: FloatArray,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    plr_range: tuple[float, float],
    unloading: float,
) -> tuple[float, float]:
    """Power [W] and available capacity [W] of an EIR chiller, its inputs held inside the curves' limits."""
    x = min(max(leaving_degc, x_range[0]), x_range[1])
    y = min(max(condenser_degc, y_range[0]), y_range[1])
    available = capacity_w * max(biquadratic_scalar(capft, x, y), 0.0)
    if heat_w <= 0.0 or available <= 0.0:
        return 0.0, available
    part_load = min(heat_w / available, plr_range[1])
    cycling = min(1.0, part_load / plr_range[0]) if plr_range[0] > 0.0 else 1.0
    loaded = max(part_load, unloading)
    by_load = eirfplr[0] + eirfplr[1] * loaded + eirfplr[2] * loaded * loaded
    return available / cop * max(biquadratic_scalar(eirft, x, y), 0.0) * by_load * cycling, available


@compiled
def carnot_scalar(
    heat_w: float,
    leaving_degc: float,
    condenser_degc: float,
    capacity_w: float,
    carnot_frac: float,
    evaporator_k: float,
    condenser_k: float,
    eirfplr: FloatArray,
    least_part_load: float,
) -> float:
    """Power [W] of a chiller at a fraction of the Carnot COP, its lift held at 8 K or more."""
    if heat_w <= 0.0:
        return 0.0
    evaporating_k = leaving_degc - evaporator_k + 273.15
    lift = max(condenser_degc + condenser_k + 273.15 - evaporating_k, 8.0)
    part_load = min(heat_w / capacity_w, 1.0)
    cycling = min(1.0, part_load / least_part_load) if least_part_load > 0.0 else 1.0
    loaded = max(part_load, least_part_load)
    by_load = eirfplr[0] + eirfplr[1] * loaded + eirfplr[2] * loaded * loaded
    rated = eirfplr[0] + eirfplr[1] + eirfplr[2]
    return capacity_w * lift / (carnot_frac * evaporating_k) * by_load / rated * cycling


def biquadratic(coefficients: ArrayLike, x: ArrayLike, y: ArrayLike) -> FloatArray:
    """Return c0 + c1 x + c2 x² + c3 y + c4 y² + c5 x y, the coefficients along the last axis."""
    c = np.asarray(coefficients, dtype=float)
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    return c[..., 0] + x * (c[..., 1] + c[..., 2] * x + c[..., 5] * y) + y * (c[..., 3] + c[..., 4] * y)


def eir_chillers(
    chillers: EirChillers, heat_w: ArrayLike, leaving_degc: ArrayLike, condenser_degc: ArrayLike
) -> ChillerState:
    """Return power and condenser heat of chillers with catalogue curves.

    Parameters
    ----------
    chillers : EirChillers
        n_chillers of them.
    heat_w : array_like
        Heat to take from the chilled water [W], broadcast against (n_chillers,).
    leaving_degc : array_like
        Chilled water leaving [°C].
    condenser_degc : array_like
        Water, or air for air-cooled chillers, entering the condenser [°C].

    Returns
    -------
    ChillerState
        Inputs outside the curves are held at the limit and flagged `clamped`; heat above the capacity is cut and
        flagged `short`.

    Raises
    ------
    ValueError
        If a heat load is negative or not a number.
    """
    heat = _heat(heat_w)
    leaving, entering = np.asarray(leaving_degc, dtype=float), np.asarray(condenser_degc, dtype=float)
    x = np.clip(leaving, chillers.leaving_range_degc[:, 0], chillers.leaving_range_degc[:, 1])
    y = np.clip(entering, chillers.condenser_range_degc[:, 0], chillers.condenser_range_degc[:, 1])
    available = chillers.capacity_w * np.maximum(biquadratic(chillers.capft, x, y), 0.0)
    least, most = chillers.part_load_range[:, 0], chillers.part_load_range[:, 1]
    wanted = heat / np.where(available > 0, available, np.inf)
    part_load = np.minimum(wanted, most)
    cycling = np.where(least > 0, np.minimum(1.0, part_load / np.where(least > 0, least, 1.0)), 1.0)
    cycling = np.where(heat > 0, cycling, 0.0)
    loaded = np.maximum(part_load, chillers.least_unloading_frac)
    by_load = chillers.eirfplr[:, 0] + loaded * (chillers.eirfplr[:, 1] + loaded * chillers.eirfplr[:, 2])
    by_temperature = np.maximum(biquadratic(chillers.eirft, x, y), 0.0)
    power = available / chillers.reference_cop * by_temperature * by_load * cycling
    served = np.minimum(heat, available * most)
    return ChillerState(
        power_w=power,
        heat_w=served,
        condenser_heat_w=served + power,
        available_w=np.broadcast_to(available * most, power.shape),
        part_load_frac=part_load,
        short=heat > available * most * (1 + 1e-12),
        clamped=np.broadcast_to((x != leaving) | (y != entering), power.shape),
        extrapolated=np.zeros(power.shape, dtype=bool),
    )


def carnot_chillers(
    chillers: CarnotChillers, heat_w: ArrayLike, leaving_degc: ArrayLike, condenser_degc: ArrayLike
) -> ChillerState:
    """Return power and condenser heat of chillers known by a Carnot fraction; arguments as for `eir_chillers`.

    COP = fraction · T_evaporating / lift, with the lift held at 8 K or more, times a part-load curve.
    """
    heat = _heat(heat_w)
    evaporating_k = np.asarray(leaving_degc, dtype=float) - chillers.evaporator_approach_k + 273.15
    condensing_k = np.asarray(condenser_degc, dtype=float) + chillers.condenser_approach_k + 273.15
    wanted_lift = condensing_k - evaporating_k
    lift = np.maximum(wanted_lift, LEAST_LIFT_K)
    part_load = np.minimum(heat / chillers.capacity_w, 1.0)
    least = chillers.least_part_load_frac
    cycling = np.where(least > 0, np.minimum(1.0, part_load / np.where(least > 0, least, 1.0)), 1.0)
    cycling = np.where(heat > 0, cycling, 0.0)
    loaded = np.maximum(part_load, least)
    curve = chillers.eirfplr
    by_load = (curve[:, 0] + loaded * (curve[:, 1] + loaded * curve[:, 2])) / curve.sum(axis=1)
    power = chillers.capacity_w * lift / (chillers.carnot_frac * evaporating_k) * by_load * cycling
    served = np.minimum(heat, chillers.capacity_w)
    return ChillerState(
        power_w=power,
        heat_w=served,
        condenser_heat_w=served + power,
        available_w=np.broadcast_to(chillers.capacity_w, power.shape),
        part_load_frac=part_load,
        short=heat > chillers.capacity_w * (1 + 1e-12),
        clamped=np.broadcast_to(wanted_lift < LEAST_LIFT_K, power.shape),
        extrapolated=np.ones(power.shape, dtype=bool),
    )


def carnot_frac_from_rating(
    cop: ArrayLike,
    leaving_degc: ArrayLike,
    condenser_degc: ArrayLike,
    *,
    condenser_approach_k: ArrayLike,
    evaporator_approach_k: ArrayLike = ASSUMED_EVAPORATOR_APPROACH_K,
) -> FloatArray:
    """Return the fraction of the Carnot COP [-] that a rated COP at full load means.

    Parameters
    ----------
    cop : array_like
        Rated coefficient of performance [-].
    leaving_degc, condenser_degc : array_like
        Chilled water leaving, and water or air entering the condenser, at the rating [°C].
    condenser_approach_k, evaporator_approach_k : array_like
        Condensing temperature above the entering medium, evaporating temperature below the leaving water [K].

    Raises
    ------
    ValueError
        If the rating implies a fraction outside (0, 1): the temperatures or the COP are wrong.
    """
    evaporating_k = np.asarray(leaving_degc, dtype=float) - np.asarray(evaporator_approach_k, dtype=float) + 273.15
    condensing_k = np.asarray(condenser_degc, dtype=float) + np.asarray(condenser_approach_k, dtype=float) + 273.15
    lift = np.maximum(condensing_k - evaporating_k, LEAST_LIFT_K)
    fraction = np.asarray(cop, dtype=float) * lift / evaporating_k
    bad = ~((fraction > 0) & (fraction < 1))
    if np.any(bad):
        raise ValueError(
            f"a COP of {np.broadcast_to(cop, fraction.shape)[bad].flat[0]:g} at a lift of {lift[bad].flat[0]:g} K is "
            f"{fraction[bad].flat[0]:.2f} of Carnot; must be between 0 and 1"
        )
    return fraction


def economiser_mode(
    free_supply_degc: ArrayLike, setpoint_degc: ArrayLike, return_degc: ArrayLike, *, least_gain_k: float = 1.0
) -> NDArray[np.int8]:
    """Return the cooling mode that the outdoor device's supply allows.

    Parameters
    ----------
    free_supply_degc : array_like
        Supply that the device alone would reach [°C].
    setpoint_degc, return_degc : array_like
        Wanted supply, and the water coming back [°C].
    least_gain_k : float
        The device must cool the return by more than this to run in front of the chiller [K].

    Returns
    -------
    ndarray of int8
        Values of `CoolingMode`.
    """
    free, setpoint, coming = (np.asarray(a, dtype=float) for a in (free_supply_degc, setpoint_degc, return_degc))
    mode = np.where(free < coming - least_gain_k, CoolingMode.PARTIAL, CoolingMode.MECHANICAL)
    return np.where(free <= setpoint, CoolingMode.FREE, mode).astype(np.int8)


def economiser_modes_over_time(
    free_supply_degc: FloatArray, setpoint_degc: ArrayLike, return_degc: ArrayLike, *, deadband_k: float = 1.0
) -> NDArray[np.int8]:
    """Return cooling modes with hysteresis along the first axis (time), so that a plant does not chatter.

    Parameters
    ----------
    free_supply_degc : ndarray, shape (n_steps, ...)
        Supply that the outdoor device alone would reach [°C].
    setpoint_degc, return_degc : array_like
        Broadcast against it [°C].
    deadband_k : float
        A mode that needs less compressor work is entered only with this margin [K] and left without it.

    Returns
    -------
    ndarray of int8, shape (n_steps, ...)
        Values of `CoolingMode`.
    """
    free = np.asarray(free_supply_degc, dtype=float)
    setpoint, coming = np.broadcast_to(setpoint_degc, free.shape), np.broadcast_to(return_degc, free.shape)
    keeping = economiser_mode(free, setpoint, coming)
    entering = economiser_mode(free + deadband_k, setpoint, coming)
    modes = np.empty(free.shape, dtype=np.int8)
    mode = entering[0]
    for step in range(free.shape[0]):
        # Held while conditions keep it; otherwise the mode that can be entered with the margin.
        mode = np.where(keeping[step] > mode, keeping[step], np.minimum(mode, entering[step]))
        modes[step] = mode
    return modes


def controlled_economiser_modes(
    economiser_leaving_degc: FloatArray,
    reachable_degc: ArrayLike,
    setpoint_degc: ArrayLike,
    return_degc: ArrayLike,
    *,
    deadband_k: float = 1.0,
    hold_steps: int = 1,
    start: CoolingMode = CoolingMode.FREE,
) -> NDArray[np.int8]:
    """Return the modes that a waterside-economiser controller passes through, one neighbour at a time.

    Parameters
    ----------
    economiser_leaving_degc : ndarray, shape (n_steps, ...)
        Chilled water leaving the economiser [°C]; the value of a step holds since the step before.
    reachable_degc, setpoint_degc, return_degc : array_like
        Wet bulb plus tower approach, wanted supply and water coming back [°C], broadcast against it.
    deadband_k : float
        Of each transition [K].
    hold_steps : int
        A transition fires after its condition held for this many steps in one mode.
    start : CoolingMode
        Mode at the first step.

    Returns
    -------
    ndarray of int8, shape (n_steps, ...)
        Mode on arriving at each step [1]_.

    References
    ----------
    .. [1] J. Stein, "Waterside economizing in data centers: design and control considerations", ASHRAE Transactions
       115 (2009), as in LBNL's Modelica Buildings library.
    """
    leaving = np.asarray(economiser_leaving_degc, dtype=float)
    reachable, setpoint, coming = (
        np.broadcast_to(np.asarray(a, dtype=float), leaving.shape) for a in (reachable_degc, setpoint_degc, return_degc)
    )
    warm = leaving > setpoint + deadband_k  # free -> partial
    useless = coming < leaving + deadband_k  # partial -> mechanical
    useful = coming > reachable + deadband_k  # mechanical -> partial
    mode = np.full(leaving.shape[1:], int(start), dtype=np.int8)
    modes = np.empty(leaving.shape, dtype=np.int8)
    modes[0] = mode
    up, down = np.zeros(mode.shape, dtype=np.int64), np.zeros(mode.shape, dtype=np.int64)
    for step in range(1, leaving.shape[0]):
        modes[step] = mode
        wants_up = ((mode == CoolingMode.FREE) & warm[step]) | ((mode == CoolingMode.PARTIAL) & useless[step])
        wants_down = ((mode == CoolingMode.MECHANICAL) & useful[step]) | ((mode == CoolingMode.PARTIAL) & ~warm[step])
        up, down = np.where(wants_up, up + 1, 0), np.where(wants_down, down + 1, 0)
        fires_down = down >= hold_steps
        fires_up = (up >= hold_steps) & ~fires_down
        mode = (mode + fires_up - fires_down).astype(np.int8)
        fired = fires_up | fires_down
        up, down = np.where(fired, 0, up), np.where(fired, 0, down)
    return modes


def units_running(
    heat_w: ArrayLike, unit_capacity_w: ArrayLike, n_units: ArrayLike, *, spare: int = 0
) -> NDArray[np.int64]:
    """Return how many equal units run: the fewest that carry the heat, plus `spare`, at most `n_units`."""
    heat = _heat(heat_w)
    needed = np.ceil(heat / np.asarray(unit_capacity_w, dtype=float) - 1e-12) + np.where(heat > 0, spare, 0)
    return np.minimum(needed, n_units).astype(np.int64)


def _heat(heat_w: ArrayLike) -> FloatArray:
    heat = np.asarray(heat_w, dtype=float)
    if not np.all(heat >= 0):
        raise ValueError(f"heat_w is {heat[~(heat >= 0)].flat[0]:g} W; must be at least 0")
    return heat
