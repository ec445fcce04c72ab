"""Coolant distribution units: plate exchanger at part flow, supply control by the primary valve, pumps.

Scalar cores are compiled for the coupled solver; `solve_cdu` is the same for arrays.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from power_cooling.compiled import compiled
from power_cooling.fluids.heat_exchangers import counterflow_effectiveness_scalar, ua_from_rating

FloatArray = NDArray[np.float64]


@compiled
def conductance_scalar(ua: float, hot_w_per_k: float, cold_w_per_k: float) -> float:
    """Heat per kelvin between the two inlets of a counterflow exchanger [W/K]: effectiveness times least capacity."""
    least = min(hot_w_per_k, cold_w_per_k)
    if least <= 0.0 or ua <= 0.0:
        return 0.0
    return least * counterflow_effectiveness_scalar(ua / least, least / max(hot_w_per_k, cold_w_per_k))


@compiled
def part_flow_ua_scalar(
    ua: float, hot_frac: float, cold_frac: float, hot_film: float, cold_film: float, exponent: float
) -> float:
    """UA [W/K] at part flow: films in series with the wall, each film ~ flow**exponent."""
    if hot_frac <= 0.0 or cold_frac <= 0.0:
        return 0.0
    hot = hot_film if hot_frac == 1.0 else hot_film * hot_frac**-exponent
    cold = cold_film if cold_frac == 1.0 else cold_film * cold_frac**-exponent
    return ua / (hot + cold + 1.0 - hot_film - cold_film)


@compiled
def supply_scalar(
    heat: float,
    hot_w_per_k: float,
    setpoint: float,
    cold_inlet: float,
    cold_open_w_per_k: float,
    least_valve: float,
    ua: float,
    hot_part: float,
    cold_film: float,
    least_part: float,
    wall: float,
    holds: int | np.int64,
) -> tuple[float, int, float, float]:
    """Leaving hot-side temperature, valve state (1 open, 0 held, -1 at its least), conductance and dT/dheat [K/W].

    The exchanger must take `heat`; the valve scales the cold flow to hold the set point where it can. `hot_part` and
    `least_part` are the hot film's share of the resistance at this flow and the cold film's at the least valve.
    """
    k_open = conductance_scalar(ua / (hot_part + cold_film + wall), hot_w_per_k, cold_open_w_per_k)
    slope = 1.0 / k_open - 1.0 / hot_w_per_k
    warm = cold_inlet + heat * slope
    if holds == 0 or warm >= setpoint:
        return warm, 1, k_open, slope
    wanted = heat / (setpoint + heat / hot_w_per_k - cold_inlet)
    # No exchanger passes more than its cold stream could, which mostly settles it without another exponential.
    if wanted > 0.0 and wanted >= least_valve * cold_open_w_per_k:
        return setpoint, 0, wanted, 0.0
    k_least = conductance_scalar(ua / (hot_part + least_part + wall), hot_w_per_k, least_valve * cold_open_w_per_k)
    slope = 1.0 / k_least - 1.0 / hot_w_per_k
    cool = cold_inlet + heat * slope
    if cool <= setpoint:
        return cool, -1, k_least, slope
    return setpoint, 0, wanted, 0.0


@compiled
def valve_scalar(
    wanted: float,
    hot_w_per_k: float,
    cold_open_w_per_k: float,
    least_valve: float,
    ua: float,
    hot_part: float,
    cold_film: float,
    wall: float,
    exponent: float,
    start: float,
) -> float:
    """Valve position at which the conductance is `wanted` [W/K]: Newton in a bracket, to rounding."""
    low, high = least_valve, 1.0
    v = min(max(start, low), high)
    a = 1.0 / hot_w_per_k
    for _ in range(100):
        film = cold_film * v**-exponent
        resistance = (hot_part + film + wall) / ua
        u = 1.0 / resistance
        b = 1.0 / (v * cold_open_w_per_k)
        d = a - b
        if abs(d) < 1e-9 * a:
            k = u / (1.0 + u * a)
            slope = 0.5 * k * k * (b / v) + u * u * film * exponent / (v * ua) / (1.0 + u * a) ** 2
        else:
            x = np.exp(-u * d)
            below = a - x * b
            k = (1.0 - x) / below
            db = -b / v
            du = u * u * film * exponent / (v * ua)
            dx = -x * (d * du - u * db)
            slope = (-d * dx + (1.0 - x) * x * db) / (below * below)
        error = k - wanted
        if error > 0.0:
            high = v
        else:
            low = v
        new = v - error / slope if slope > 0.0 else 0.5 * (low + high)
        if not (low <= new <= high):
            new = 0.5 * (low + high)
        if abs(new - v) <= 4e-16 * v or abs(error) <= 2e-15 * wanted or high - low <= 4e-16:
            return new
        v = new
    return v


@compiled
def pump_power_scalar(rated_w: float, flow_frac: float, static_frac: float) -> float:
    """Pump power [W] at part flow: head = static + (1 - static) flow**2, so power ~ flow * head at like efficiency."""
    return rated_w * flow_frac * (static_frac + (1.0 - static_frac) * flow_frac * flow_frac)


def cdu_ua_from_rating(
    capacity_w: ArrayLike,
    approach_k: ArrayLike,
    secondary_w_per_k: ArrayLike,
    primary_w_per_k: ArrayLike,
) -> FloatArray:
    """Return the conductance of a CDU [W/K] from its rated capacity and approach.

    Parameters
    ----------
    capacity_w, approach_k : array_like
        Rated duty [W] and secondary supply minus primary supply [K].
    secondary_w_per_k, primary_w_per_k : array_like
        Heat-capacity rates at rating [W/K].

    Returns
    -------
    ndarray
        UA [W/K], the closed-form inverse of the counterflow effectiveness.
    """
    capacity = np.asarray(capacity_w, dtype=float)
    hot_inlet = np.asarray(approach_k, dtype=float) + capacity / np.asarray(secondary_w_per_k, dtype=float)
    return ua_from_rating(capacity, secondary_w_per_k, primary_w_per_k, hot_inlet, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class CduState:
    """Solved CDUs; arrays of the broadcast shape of the inputs."""

    supply_degc: FloatArray
    return_degc: FloatArray  # at the exchanger's hot inlet
    valve_frac: FloatArray
    primary_outlet_degc: FloatArray
    holds_setpoint: NDArray[np.bool_]


def solve_cdu(
    heat_w: ArrayLike,
    secondary_w_per_k: ArrayLike,
    primary_open_w_per_k: ArrayLike,
    facility_supply_degc: ArrayLike,
    ua_w_per_k: ArrayLike,
    *,
    supply_set_degc: ArrayLike | None = None,
    secondary_flow_frac: ArrayLike = 1.0,
    min_valve_frac: float = 0.05,
    secondary_film_frac: float = 0.45,
    primary_film_frac: float = 0.45,
    film_exponent: float = 0.7,
) -> CduState:
    """Return temperatures and valve position of CDUs that carry a given heat.

    Parameters
    ----------
    heat_w : array_like
        Heat through the exchanger, pump heat included [W], at least 0.
    secondary_w_per_k, primary_open_w_per_k : array_like
        Heat-capacity rate of the coolant, and of facility water with the valve open [W/K], above 0.
    facility_supply_degc : array_like
        Facility water arriving [°C].
    ua_w_per_k : array_like
        Conductance at rated flows [W/K].
    supply_set_degc : array_like, optional
        Coolant supply that the valve holds [°C]; None leaves the valve open.
    secondary_flow_frac : array_like
        Coolant flow over its rating [-].
    min_valve_frac, secondary_film_frac, primary_film_frac, film_exponent : float
        Least valve position and the part-flow law of the conductance.

    Returns
    -------
    CduState
        The supply floats where the valve is fully open or at its least.

    Raises
    ------
    ValueError
        If a heat is negative or a flow or conductance is not above 0.
    """
    holds = supply_set_degc is not None
    arrays = np.broadcast_arrays(
        *(
            np.asarray(a, dtype=float)
            for a in (
                heat_w,
                secondary_w_per_k,
                primary_open_w_per_k,
                facility_supply_degc,
                ua_w_per_k,
                supply_set_degc if holds else 0.0,
                secondary_flow_frac,
            )
        )
    )
    for name, values, least in (
        ("heat_w", arrays[0], 0.0),
        ("secondary_w_per_k", arrays[1], np.nextafter(0, 1)),
        ("primary_open_w_per_k", arrays[2], np.nextafter(0, 1)),
        ("ua_w_per_k", arrays[4], np.nextafter(0, 1)),
    ):
        bad = ~(values >= least)
        if np.any(bad):
            raise ValueError(f"{name} is {values[bad].flat[0]:g}; must be {'at least' if least == 0 else 'above'} 0")
    out = np.empty((4, arrays[0].size))
    heat, hot, cold, cold_in, ua, setpoint, hot_frac = (np.ascontiguousarray(a).ravel() for a in arrays)
    films = (secondary_film_frac, primary_film_frac, film_exponent)
    _solve_cdus(heat, hot, cold, cold_in, ua, setpoint, hot_frac, int(holds), min_valve_frac, *films, out)
    supply, back, valve, primary = (row.reshape(arrays[0].shape) for row in out)
    return CduState(supply, back, valve, primary, (valve > min_valve_frac) & (valve < 1) if holds else valve < 0)


@compiled
def _solve_cdus(
    heat: FloatArray,
    hot: FloatArray,
    cold: FloatArray,
    cold_in: FloatArray,
    ua: FloatArray,
    setpoint: FloatArray,
    hot_frac: FloatArray,
    holds: int | np.int64,
    least: float,
    hot_film: float,
    cold_film: float,
    exponent: float,
    out: FloatArray,
) -> None:
    for i in range(heat.size):
        hot_part = hot_film * hot_frac[i] ** -exponent
        supply, state, k, _ = supply_scalar(
            heat[i],
            hot[i],
            setpoint[i],
            cold_in[i],
            cold[i],
            least,
            ua[i],
            hot_part,
            cold_film,
            cold_film * least**-exponent,
            1.0 - hot_film - cold_film,
            holds,
        )
        valve = 1.0
        if state == -1:
            valve = least
        elif state == 0:
            valve = valve_scalar(
                k, hot[i], cold[i], least, ua[i], hot_part, cold_film, 1.0 - hot_film - cold_film, exponent, 0.5
            )
        out[0, i] = supply
        out[1, i] = supply + heat[i] / hot[i]
        out[2, i] = valve
        out[3, i] = cold_in[i] + heat[i] / (valve * cold[i])
