"""Effectiveness-NTU relations, conductance against flow, and plate correlations.

All relations assume constant properties and no loss to the room. `c_ratio` is C_min / C_max of the heat-capacity rates,
`ntu` is UA / C_min. The `*_scalar` functions are compiled cores for other compiled solvers.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ive

from power_cooling.compiled import compiled

FloatArray = NDArray[np.float64]
FlowType = Literal[
    "counterflow", "parallel", "crossflow", "crossflow, mixed Cmin", "crossflow, mixed Cmax", "crossflow approximate"
]
FLOW_TYPES: tuple[str, ...] = get_args(FlowType)


@dataclass(frozen=True, slots=True, eq=False)
class HeatExchange:
    """What passes through a heat exchanger; arrays of the broadcast shape of the inputs."""

    heat_w: FloatArray  # from hot to cold; negative when the "hot" inlet is the colder one
    hot_outlet_degc: FloatArray
    cold_outlet_degc: FloatArray
    effectiveness: FloatArray
    ntu: FloatArray


@compiled
def counterflow_effectiveness_scalar(ntu: float, c_ratio: float) -> float:
    """Effectiveness [-] of a counterflow exchanger."""
    spread = 1.0 - c_ratio
    if spread < 1e-9:
        return ntu / (1.0 + ntu)
    # expm1 keeps the digits that 1 - exp(-x) loses as c_ratio nears 1.
    gained = -math.expm1(-ntu * spread)
    return gained / (spread + c_ratio * gained)


@compiled
def crossflow_effectiveness_scalar(ntu: float, c_ratio: float) -> float:
    """Effectiveness [-] of a crossflow exchanger, both streams unmixed, in the usual approximation."""
    if ntu <= 0.0:
        return 0.0
    if c_ratio < 1e-9:
        return -math.expm1(-ntu)
    return -math.expm1(math.expm1(-c_ratio * ntu**0.78) / (c_ratio * ntu**-0.22))


def counterflow_effectiveness(ntu: ArrayLike, c_ratio: ArrayLike) -> FloatArray:
    """Return the effectiveness of a counterflow heat exchanger.

    Parameters
    ----------
    ntu : array_like
        Number of transfer units UA / C_min [-], at least 0.
    c_ratio : array_like
        Heat-capacity-rate ratio C_min / C_max [-], in [0, 1].

    Returns
    -------
    ndarray
        Effectiveness [-], in [0, 1] [1]_.

    Raises
    ------
    ValueError
        If any value is outside the range above.

    References
    ----------
    .. [1] Incropera et al., *Fundamentals of Heat and Mass Transfer*, 7th ed., table 11.3.
    """
    ntu, c_ratio = _checked(ntu, c_ratio)
    spread = 1 - c_ratio
    equal = spread < 1e-9
    # expm1 keeps the digits that 1 - exp(-x) loses as c_ratio nears 1.
    gained = -np.expm1(-ntu * spread)
    return np.where(equal, ntu / (1 + ntu), gained / np.where(equal, 1, spread + c_ratio * gained))


def effectiveness(ntu: ArrayLike, c_ratio: ArrayLike, flow: FlowType = "counterflow") -> FloatArray:
    """Return the effectiveness of a heat exchanger of one of six flow arrangements.

    Parameters
    ----------
    ntu : array_like
        UA / C_min [-], at least 0.
    c_ratio : array_like
        C_min / C_max [-], in [0, 1].
    flow : str
        `counterflow`; `parallel`; `crossflow` (both unmixed, exact series [1]_); `crossflow, mixed Cmin` and
        `crossflow, mixed Cmax` (that stream mixed, the other unmixed); `crossflow approximate` (both unmixed, the
        explicit approximation that plant simulators use [2]_).

    Returns
    -------
    ndarray
        Effectiveness [-], in [0, 1].

    Raises
    ------
    ValueError
        If a value is outside the range above or the arrangement is unknown.

    References
    ----------
    .. [1] B. S. Baclic, ASME J. Heat Transfer 100 (1978) 746.
    .. [2] Incropera et al., *Fundamentals of Heat and Mass Transfer*, 7th ed., table 11.3, eq. 11.32.
    """
    if flow == "counterflow":
        return counterflow_effectiveness(ntu, c_ratio)
    ntu, cr = _checked(ntu, c_ratio)
    if flow == "parallel":
        return -np.expm1(-ntu * (1 + cr)) / (1 + cr)
    if flow == "crossflow":
        return _crossflow_unmixed(ntu, cr)
    # The three forms below tend to the boiler / condenser limit as cr vanishes.
    single = -np.expm1(-ntu)
    small = cr < 1e-9
    cr = np.where(small, 1.0, cr)
    if flow == "crossflow, mixed Cmin":
        return np.where(small, single, -np.expm1(np.expm1(-cr * ntu) / cr))
    if flow == "crossflow, mixed Cmax":
        return np.where(small, single, -np.expm1(-cr * single) / cr)
    if flow == "crossflow approximate":
        safe = np.where(ntu > 0, ntu, 1.0)
        value = -np.expm1(np.expm1(-cr * safe**0.78) / (cr * safe**-0.22))
        return np.where(small, single, np.where(ntu > 0, value, 0.0))
    raise ValueError(f"flow is {flow!r}; must be one of {FLOW_TYPES}")


def ntu_from_effectiveness(value: ArrayLike, c_ratio: ArrayLike, flow: FlowType = "counterflow") -> FloatArray:
    """Return the NTU that gives an effectiveness; the inverse of `effectiveness`.

    Parameters
    ----------
    value : array_like
        Effectiveness [-], at least 0 and below the arrangement's limit at infinite size.
    c_ratio : array_like
        C_min / C_max [-], in [0, 1].
    flow : str
        As for `effectiveness`.

    Returns
    -------
    ndarray
        UA / C_min [-].

    Raises
    ------
    ValueError
        If an effectiveness cannot be reached by any size.
    """
    eff = np.asarray(value, dtype=float)
    _, cr = _checked(0.0, c_ratio)
    eff, cr = np.broadcast_arrays(eff, cr)
    limit = {
        "parallel": 1 / (1 + cr),
        "crossflow, mixed Cmin": -np.expm1(-1 / np.maximum(cr, 1e-300)),
        "crossflow, mixed Cmax": np.where(cr < 1e-9, 1.0, -np.expm1(-cr) / np.maximum(cr, 1e-300)),
    }.get(flow, np.ones_like(cr))
    bad = ~((eff >= 0) & (eff < limit))
    if np.any(bad):
        raise ValueError(
            f"effectiveness {eff[bad].flat[0]:g} cannot be reached in {flow} at c_ratio {cr[bad].flat[0]:g}; "
            f"must be at least 0 and below {limit[bad].flat[0]:g}"
        )
    if flow == "counterflow":
        spread = 1 - cr
        equal = spread < 1e-9
        safe = np.where(equal, 1.0, spread)
        return np.where(equal, eff / (1 - eff), np.log1p(eff * spread / (1 - eff)) / safe)
    if flow == "parallel":
        return -np.log1p(-eff * (1 + cr)) / (1 + cr)
    small = cr < 1e-9
    safe = np.where(small, 1.0, cr)
    if flow == "crossflow, mixed Cmin":
        return np.where(small, -np.log1p(-eff), -np.log1p(safe * np.log1p(-eff)) / safe)
    if flow == "crossflow, mixed Cmax":
        return np.where(small, -np.log1p(-eff), -np.log1p(np.log1p(-eff * safe) / safe))
    if eff.ndim == 0:
        return np.asarray(_ntu_of_one(float(eff), float(cr), flow))
    return _invert_monotone(eff, cr, flow)


@lru_cache(maxsize=256)  # a description sizes the same coils and coolers again and again
def _ntu_of_one(effectiveness_frac: float, c_ratio: float, flow: FlowType) -> float:
    return float(_invert_monotone(np.asarray(effectiveness_frac), np.asarray(c_ratio), flow))


def exchange(
    ua_w_per_k: ArrayLike,
    hot_w_per_k: ArrayLike,
    cold_w_per_k: ArrayLike,
    hot_inlet_degc: ArrayLike,
    cold_inlet_degc: ArrayLike,
    flow: FlowType = "counterflow",
) -> HeatExchange:
    """Return the duty and outlet temperatures of a heat exchanger.

    Parameters
    ----------
    ua_w_per_k : array_like
        Conductance [W/K], at least 0.
    hot_w_per_k, cold_w_per_k : array_like
        Heat-capacity rates m·cp [W/K], at least 0; no flow on a side means no heat and an outlet at inlet temperature.
    hot_inlet_degc, cold_inlet_degc : array_like
        Inlet temperatures [°C].
    flow : str
        As for `effectiveness`.

    Returns
    -------
    HeatExchange
        Arrays of the broadcast shape.
    """
    ua, hot, cold, hot_in, cold_in = np.broadcast_arrays(
        *(np.asarray(a, dtype=float) for a in (ua_w_per_k, hot_w_per_k, cold_w_per_k, hot_inlet_degc, cold_inlet_degc))
    )
    for name, array in (("ua_w_per_k", ua), ("hot_w_per_k", hot), ("cold_w_per_k", cold)):
        if not np.all(array >= 0):
            raise ValueError(f"{name} is {array[~(array >= 0)].flat[0]:g} W/K; must be at least 0")
    least, most = np.minimum(hot, cold), np.maximum(hot, cold)
    flowing = least > 0
    ntu = np.where(flowing, ua / np.where(flowing, least, 1.0), 0.0)
    eff = effectiveness(ntu, np.where(flowing, least / np.where(most > 0, most, 1.0), 0.0), flow)
    heat = eff * least * (hot_in - cold_in)
    return HeatExchange(
        heat_w=heat,
        hot_outlet_degc=hot_in - heat / np.where(hot > 0, hot, 1.0),
        cold_outlet_degc=cold_in + heat / np.where(cold > 0, cold, 1.0),
        effectiveness=eff,
        ntu=ntu,
    )


def ua_from_rating(
    heat_w: ArrayLike,
    hot_w_per_k: ArrayLike,
    cold_w_per_k: ArrayLike,
    hot_inlet_degc: ArrayLike,
    cold_inlet_degc: ArrayLike,
    flow: FlowType = "counterflow",
) -> FloatArray:
    """Return the conductance [W/K] that a data sheet's rating point implies.

    Parameters
    ----------
    heat_w : array_like
        Rated duty [W].
    hot_w_per_k, cold_w_per_k : array_like
        Heat-capacity rates at rating [W/K].
    hot_inlet_degc, cold_inlet_degc : array_like
        Inlet temperatures at rating [°C].
    flow : str
        As for `effectiveness`.

    Raises
    ------
    ValueError
        If no conductance reaches the stated duty between those inlets.
    """
    hot = np.asarray(hot_w_per_k, dtype=float)
    cold = np.asarray(cold_w_per_k, dtype=float)
    least, most = np.minimum(hot, cold), np.maximum(hot, cold)
    driving = np.asarray(hot_inlet_degc, dtype=float) - np.asarray(cold_inlet_degc, dtype=float)
    if not (np.all(least > 0) and np.all(driving > 0)):
        raise ValueError("a rating point needs flow on both sides and a hot inlet above the cold inlet")
    return least * ntu_from_effectiveness(np.asarray(heat_w, dtype=float) / (least * driving), least / most, flow)


def two_sided_ua_w_per_k(
    hot_conductance_w_per_k: ArrayLike,
    cold_conductance_w_per_k: ArrayLike,
    hot_flow_frac: ArrayLike,
    cold_flow_frac: ArrayLike,
    *,
    hot_exponent: float = 0.7,
    cold_exponent: float = 0.7,
    wall_k_per_w: ArrayLike = 0.0,
    fouling_k_per_w: ArrayLike = 0.0,
) -> FloatArray:
    """Return the conductance of two films, wall and fouling in series at part flow.

    Parameters
    ----------
    hot_conductance_w_per_k, cold_conductance_w_per_k : array_like
        Film conductance hA of each side at its rated flow [W/K].
    hot_flow_frac, cold_flow_frac : array_like
        Flow over rated flow of each side [-], at least 0.
    hot_exponent, cold_exponent : float
        Exponent of the film coefficient on flow; 0.6-0.8 for chevron plates.
    wall_k_per_w, fouling_k_per_w : array_like
        Resistance of the wall and of deposits [K/W].

    Returns
    -------
    ndarray
        UA [W/K]; 0 where a side does not flow.
    """
    hot = np.asarray(hot_conductance_w_per_k, dtype=float) * np.asarray(hot_flow_frac, dtype=float) ** hot_exponent
    cold = np.asarray(cold_conductance_w_per_k, dtype=float) * np.asarray(cold_flow_frac, dtype=float) ** cold_exponent
    flowing = (hot > 0) & (cold > 0)
    resistance = 1 / np.where(flowing, hot, 1.0) + 1 / np.where(flowing, cold, 1.0)
    return np.where(flowing, 1 / (resistance + np.asarray(wall_k_per_w) + np.asarray(fouling_k_per_w)), 0.0)


_KUMAR_LIMITS = {30: (10,), 45: (10, 100), 50: (20, 300), 60: (20, 400), 65: (20, 500)}
_KUMAR_FACTOR = {
    30: (0.718, 0.348),
    45: (0.718, 0.400, 0.300),
    50: (0.630, 0.291, 0.130),
    60: (0.562, 0.306, 0.108),
    65: (0.562, 0.331, 0.087),
}
_KUMAR_EXPONENT = {
    30: (0.349, 0.663),
    45: (0.349, 0.598, 0.663),
    50: (0.333, 0.591, 0.732),
    60: (0.326, 0.529, 0.703),
    65: (0.326, 0.503, 0.718),
}
_KUMAR_FRICTION_LIMITS = {30: (10, 100), 45: (15, 300), 50: (20, 300), 60: (40, 400), 65: (50, 500)}
_KUMAR_FRICTION_FACTOR = {
    30: (50.0, 19.40, 2.990),
    45: (47.0, 18.29, 1.441),
    50: (34.0, 11.25, 0.772),
    60: (24.0, 3.24, 0.760),
    65: (24.0, 2.80, 0.639),
}
_KUMAR_FRICTION_EXPONENT = {
    30: (1.0, 0.589, 0.183),
    45: (1.0, 0.652, 0.206),
    50: (1.0, 0.631, 0.161),
    60: (1.0, 0.457, 0.215),
    65: (1.0, 0.451, 0.213),
}


def plate_nusselt_kumar(reynolds: ArrayLike, prandtl: ArrayLike, chevron_deg: int = 60) -> FloatArray:
    """Return Nu = c Re^m Pr^0.33 of a chevron plate: Kumar (1984), as in Ayub, Heat Transf. Eng. 24 (2003) 3."""
    band = _kumar_band(reynolds, chevron_deg, _KUMAR_LIMITS)
    factor = np.array(_KUMAR_FACTOR[chevron_deg])[band]
    exponent = np.array(_KUMAR_EXPONENT[chevron_deg])[band]
    return factor * np.asarray(reynolds, dtype=float) ** exponent * np.asarray(prandtl, dtype=float) ** 0.33


def plate_friction_kumar(reynolds: ArrayLike, chevron_deg: int = 60) -> FloatArray:
    """Return the Darcy friction factor of a chevron plate: Kumar (1984), as in Ayub (2003)."""
    band = _kumar_band(reynolds, chevron_deg, _KUMAR_FRICTION_LIMITS)
    factor = np.array(_KUMAR_FRICTION_FACTOR[chevron_deg])[band]
    exponent = np.array(_KUMAR_FRICTION_EXPONENT[chevron_deg])[band]
    return 4 * factor / np.asarray(reynolds, dtype=float) ** exponent


def plate_friction_martin(reynolds: ArrayLike, chevron_deg: ArrayLike = 60.0) -> FloatArray:
    """Return the Darcy friction factor of a chevron plate: Martin, Chem. Eng. Process. 35 (1996) 301, revised 1999."""
    re = np.asarray(reynolds, dtype=float)
    angle = np.radians(np.asarray(chevron_deg, dtype=float))
    laminar = re < 2000
    straight = np.where(laminar, 64 / re, (0.78 * np.log(np.maximum(re, 2000)) - 1.5) ** -2.0)
    crossing = np.where(laminar, 596 / re + 3.85, 39 / re**0.289)
    cos, sin, tan = np.cos(angle), np.sin(angle), np.tan(angle)
    root = cos / np.sqrt(0.18 * tan + 0.36 * sin + straight / cos) + (1 - cos) / np.sqrt(3.8 * crossing)
    return root**-2.0


def plate_nusselt_martin(reynolds: ArrayLike, prandtl: ArrayLike, chevron_deg: ArrayLike = 60.0) -> FloatArray:
    """Return Nu of a chevron plate by the friction analogy of Martin (1996, friction of 1999)."""
    re = np.asarray(reynolds, dtype=float)
    twice = np.sin(2 * np.radians(np.asarray(chevron_deg, dtype=float)))
    drag = plate_friction_martin(re, chevron_deg) * re**2 * twice
    return 0.122 * np.asarray(prandtl, dtype=float) ** (1 / 3) * drag**0.374


def plate_nusselt_muley_manglik(
    reynolds: ArrayLike, prandtl: ArrayLike, chevron_deg: ArrayLike = 60.0, enlargement: ArrayLike = 1.22
) -> FloatArray:
    """Return Nu of a chevron plate: Muley and Manglik, ASME J. Heat Transfer 121 (1999) 110."""
    angle = np.asarray(chevron_deg, dtype=float)
    ratio = np.asarray(enlargement, dtype=float)
    by_angle = 0.2668 - 0.006967 * angle + 7.244e-5 * angle**2
    by_area = 20.7803 - 50.9372 * ratio + 41.1585 * ratio**2 - 10.1507 * ratio**3
    exponent = 0.728 + 0.0543 * np.sin(2 * np.pi * angle / 90 + 3.7)
    return by_angle * by_area * np.asarray(reynolds, dtype=float) ** exponent * np.asarray(prandtl) ** (1 / 3)


def _kumar_band(reynolds: ArrayLike, chevron_deg: int, limits: Mapping[int, tuple[int, ...]]) -> NDArray[np.intp]:
    if chevron_deg not in limits:
        raise ValueError(f"chevron_deg is {chevron_deg}; Kumar's table has {sorted(limits)}")
    return np.searchsorted(limits[chevron_deg], np.asarray(reynolds, dtype=float), side="left")


def _checked(ntu: ArrayLike, c_ratio: ArrayLike) -> tuple[FloatArray, FloatArray]:
    ntu = np.asarray(ntu, dtype=float)
    cr = np.asarray(c_ratio, dtype=float)
    if not np.all(ntu >= 0):
        raise ValueError(f"ntu is {ntu[~(ntu >= 0)].flat[0]:g}; must be at least 0")
    if not np.all((cr >= 0) & (cr <= 1)):
        raise ValueError("c_ratio must be in [0, 1]; pass C_min / C_max, not its inverse")
    return ntu, cr


def _crossflow_unmixed(ntu: FloatArray, cr: FloatArray) -> FloatArray:
    ntu, cr = np.broadcast_arrays(ntu, cr)
    root = np.sqrt(cr)
    x = 2 * ntu * root
    # ive carries exp(-x), which joins exp(-(1 + cr) ntu) to the decay below without overflow.
    decay = np.exp(-ntu * (1 - root) ** 2)
    small = cr < 1e-9
    weight = (1 - cr) / np.where(small, 1.0, cr)
    tail = np.zeros_like(x)
    power = np.where(small, 0.0, cr)
    for order in range(2, 4000):
        term = power * ive(order, x)
        tail = tail + term
        if np.all(term * weight <= 1e-17):
            break
        power = power * root
    inner = ive(0, x) + root * ive(1, x) - weight * tail
    return np.where(small, -np.expm1(-ntu), np.clip(1 - decay * inner, 0.0, 1.0))


def _invert_monotone(eff: FloatArray, cr: FloatArray, flow: FlowType) -> FloatArray:
    low = np.zeros_like(eff)
    high = np.ones_like(eff)
    for _ in range(60):
        short = effectiveness(high, cr, flow) < eff
        if not np.any(short) or np.max(high) > 1e12:
            break
        high = np.where(short, 2 * high, high)
    for _ in range(200):
        mid = 0.5 * (low + high)
        below = effectiveness(mid, cr, flow) < eff
        low, high = np.where(below, mid, low), np.where(below, high, mid)
        if np.all(high - low <= 1e-14 * (1 + high)):
            break
    return 0.5 * (low + high)
