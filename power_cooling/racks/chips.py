"""Junction temperature, leakage, clock, throttle and trip of one accelerator.

    P(T) = static + dynamic g(phi) + leak (exp(alpha (T - T_ref)) - 1),    g(phi) = a phi + (1 - a) phi**3
    phi = min(1, phi_cap, phi_T),   phi_T = clip(1 - k (T - T_throttle), phi_min, 1)
    T = T_in + R P(T)

`phi_cap` is the clock at which P meets the cap; the cap cannot push the clock below phi_min. The throttle is the
smoothed steady equivalent of a duty-cycling controller (assumed slope). Leakage makes P rise with T: where R dP/dT
reaches 1 there are several roots, and the lowest is the one that a chip warming up settles at.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from power_cooling.compiled import compiled, compiled_with_arrays

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SETTLED, RUNAWAY_POSSIBLE, NO_STEADY_STATE = 0, 1, 2

_SEARCH_ABOVE_TRIP_K = 60.0  # roots further above the trip limit are of no use: the chip is off long before
_MARCH_STEPS = 400  # of the search for the lowest root where several may exist


@compiled
def clock_share_scalar(clock_frac: float, linear_frac: float) -> float:
    """Dynamic power over that at full clock [-]: g(phi)."""
    return clock_frac * (linear_frac + (1.0 - linear_frac) * clock_frac * clock_frac)


@compiled
def clock_from_share_scalar(share: float, linear_frac: float) -> float:
    """Clock [-] whose dynamic power is `share` of that at full clock: Newton on the convex monotone g."""
    if share >= 1.0:
        return 1.0
    if share <= 0.0:
        return 0.0
    cubic = 1.0 - linear_frac
    phi = 1.0
    for _ in range(60):
        step = (phi * (linear_frac + cubic * phi * phi) - share) / (linear_frac + 3.0 * cubic * phi * phi + 1e-300)
        phi -= step
        if step <= 1e-15:
            break
    return phi


@compiled
def growth_scalar(x: float, known_x: float, known: float) -> float:
    """exp(x) from its value at a nearby x: eight terms reach rounding within 0.03, for a tenth of the cost."""
    d = x - known_x
    if abs(d) > 0.03:
        return math.exp(x)
    series = 1.0 + d / 5.0 * (1.0 + d / 6.0 * (1.0 + d / 7.0))
    return known * (1.0 + d * (1.0 + d / 2.0 * (1.0 + d / 3.0 * (1.0 + d / 4.0 * series))))


@compiled
def chip_power_scalar(
    t: float,
    growth: float,
    static: float,
    dynamic: float,
    leak: float,
    alpha: float,
    cap: float,
    throttle: float,
    k: float,
    phi_min: float,
    linear_frac: float,
) -> tuple[float, float, int]:
    """Power [W] at junction temperature t, its slope [W/K], and what acts: 1 cap, 2 throttle, 3 least clock; else 0.

    `growth` is exp(alpha (t - t_ref)).
    """
    leaking = leak * growth
    base = static - leak + leaking
    slope = alpha * leaking
    power = base + dynamic
    state = 0
    if t > throttle:
        phi = 1.0 - k * (t - throttle)
        state = 2
        if phi <= phi_min:
            return base + dynamic * clock_share_scalar(phi_min, linear_frac), slope, 3
        power = base + dynamic * clock_share_scalar(phi, linear_frac)
        if power <= cap:
            return power, slope - k * dynamic * (linear_frac + 3.0 * (1.0 - linear_frac) * phi * phi), 2
    if power > cap:
        least = base + dynamic * clock_share_scalar(phi_min, linear_frac)
        if least >= cap:
            return least, slope, 3
        return cap, 0.0, 1
    return power, slope, state


@compiled
def search_growth_scalar(alpha: float, t_ref: float, trip: float) -> float:
    """Growth of leakage from the reference to the end of the search [-]."""
    return math.exp(alpha * (trip + _SEARCH_ABOVE_TRIP_K - t_ref))


@compiled
def junction_scalar(
    t_in: float,
    r: float,
    static: float,
    dynamic: float,
    leak: float,
    alpha: float,
    t_ref: float,
    cap: float,
    throttle: float,
    k: float,
    phi_min: float,
    linear_frac: float,
    trip: float,
    top_growth: float,
    t_start: float,
    hottest: bool,
    known_x: float,
    known: float,
) -> tuple[float, float, float, int, int, float, float]:
    """Solve T = t_in + r P(T) for the junction temperature T of one accelerator.

    Newton inside a bracket, bisection where it leaves it, to 1e-11 K. Where r dP/dT could reach 1 below the search
    limit the lowest root is found by marching up from the coolant, or the highest by marching down where `hottest`
    says that the chip has already run away. Without a root the search limit is returned, with no slope. `top_growth` is
    `search_growth_scalar` of the chip.

    Returns temperature [°C], power [W], dP/dT [W/K], acting limit, status; and the last exponent of leakage with its
    exponential, which the next solve takes as `known_x` and `known`.
    """
    top = max(trip, t_in) + _SEARCH_ABOVE_TRIP_K
    low = t_in
    high = top
    status = SETTLED
    if t_in > trip:
        top_growth = math.exp(alpha * (top - t_ref))
    if r * alpha * leak * top_growth >= 1.0:
        status = RUNAWAY_POSSIBLE
        width = (top - t_in) / _MARCH_STEPS
        found = False
        for i in range(1, _MARCH_STEPS + 1):
            t = top - i * width if hottest else t_in + i * width
            known_x = alpha * (t - t_ref)
            known = math.exp(known_x)
            p, slope, state = chip_power_scalar(
                t, known, static, dynamic, leak, alpha, cap, throttle, k, phi_min, linear_frac
            )
            f = t - t_in - r * p
            if (f <= 0.0) if hottest else (f >= 0.0):
                low, high = (t, t + width) if hottest else (t - width, t)
                found = True
                break
        if not found or (hottest and high >= top):
            known_x = alpha * (top - t_ref)
            known = math.exp(known_x)
            p, slope, state = chip_power_scalar(
                top, known, static, dynamic, leak, alpha, cap, throttle, k, phi_min, linear_frac
            )
            return top, p, 0.0, state, NO_STEADY_STATE, known_x, known
        t = low if t_start < low or t_start > high else t_start
    else:
        t = min(max(t_start, low), high)
    p = 0.0
    slope = 0.0
    state = 0
    last_step = 2.0 * (high - low)
    for _ in range(200):
        x = alpha * (t - t_ref)
        known = growth_scalar(x, known_x, known)
        known_x = x
        p, slope, state = chip_power_scalar(
            t, known, static, dynamic, leak, alpha, cap, throttle, k, phi_min, linear_frac
        )
        f = t - t_in - r * p
        if f > 0.0:
            high = t
        else:
            low = t
        gain = 1.0 - r * slope
        if gain > 1e-6:
            new = t - f / gain
        else:
            new = low - 1.0
        # Strictly inside, and half as far as the last step: at kinks Newton may jump between the bracket's own ends.
        closing = abs(new - t) < 1e-12
        if not closing and (not (low < new < high) or abs(new - t) > 0.5 * last_step):
            new = 0.5 * (low + high)
            last_step = high - low
        else:
            last_step = abs(new - t)
        step = new - t
        smooth = state == 0 and new < throttle - 1e-3 and p < cap - 1e-3
        if smooth and abs(step) < 1e-3 and r * alpha * slope * step * step < 1e-12 * gain:
            # What Newton leaves is half the curvature times step**2, and the tangent gives P as well.
            p += slope * step
            t = new
            break
        t = new
        if abs(step) < 1e-12 or high - low < 1e-12:
            x = alpha * (t - t_ref)
            known = growth_scalar(x, known_x, known)
            known_x = x
            p, slope, state = chip_power_scalar(
                t, known, static, dynamic, leak, alpha, cap, throttle, k, phi_min, linear_frac
            )
            break
    else:
        status = NO_STEADY_STATE
    return t, p, slope, state, status, known_x, known


@compiled
def clock_at_scalar(
    t: float,
    p: float,
    static: float,
    dynamic: float,
    leak: float,
    alpha: float,
    t_ref: float,
    throttle: float,
    k: float,
    phi_min: float,
    linear_frac: float,
    state: float,
) -> float:
    """Clock [-] of a solved chip, from the power that its limits leave for switching."""
    if state == 0:
        return 1.0
    if state == 3:
        return phi_min
    if state == 2:
        return min(max(1.0 - k * (t - throttle), phi_min), 1.0)
    share = (p - static + leak - leak * math.exp(alpha * (t - t_ref))) / max(dynamic, 1e-300)
    return max(clock_from_share_scalar(share, linear_frac), phi_min)


@dataclass(frozen=True, slots=True, eq=False)
class ChipState:
    """Solved accelerators; arrays of the broadcast shape of the inputs."""

    junction_degc: FloatArray
    power_w: FloatArray
    clock_frac: FloatArray
    power_slope_w_per_k: FloatArray  # dP/dT_j at the solution
    capped: NDArray[np.bool_]
    throttled: NDArray[np.bool_]
    tripped: NDArray[np.bool_]  # hotter than the trip limit, or no steady temperature at all
    runaway: NDArray[np.bool_]  # leakage could outgrow the cooling below the search limit; the lowest root is given


def solve_junctions(
    coolant_degc: ArrayLike,
    r_th_k_per_w: ArrayLike,
    static_power_w: ArrayLike,
    dynamic_power_w: ArrayLike,
    *,
    leakage_w: ArrayLike = 0.0,
    leakage_per_k: ArrayLike = 0.010,
    reference_degc: ArrayLike = 65.0,
    power_limit_w: ArrayLike = np.inf,
    throttle_degc: ArrayLike = 87.0,
    throttle_frac_per_k: ArrayLike = 0.05,
    trip_degc: ArrayLike = 105.0,
    min_clock_frac: ArrayLike = 0.3,
    clock_linear_frac: ArrayLike = 0.25,
) -> ChipState:
    """Return junction temperature, power and clock of accelerators.

    Parameters
    ----------
    coolant_degc : array_like
        Temperature of the coolant (or air) that `r_th_k_per_w` is referred to [°C].
    r_th_k_per_w : array_like
        Junction-to-coolant resistance [K/W], at least 0.
    static_power_w, dynamic_power_w : array_like
        Power at the reference temperature that does not and that does follow the clock [W], at least 0.
    leakage_w : array_like
        Leakage inside `static_power_w` at the reference temperature [W]; at most that much is used.
    leakage_per_k : array_like
        Exponent alpha [1/K]; 0.008-0.015 (assumed: textbook range).
    reference_degc : array_like
        Junction temperature at which the powers were given [°C].
    power_limit_w, throttle_degc, throttle_frac_per_k, trip_degc, min_clock_frac, clock_linear_frac : array_like
        Cap [W], start [°C] and slope [1/K] of the throttle, trip limit [°C], lowest clock [-], linear share a of g [-].

    Returns
    -------
    ChipState
        Arrays of the broadcast shape, solved to 1e-11 K.

    Raises
    ------
    ValueError
        If a resistance or power is negative or not a number.

    References
    ----------
    Lumped junction-to-coolant model; g(phi) is a two-term fit of phi V(phi)**2 (start value, calibrate per device).
    """
    arrays = [
        np.asarray(a, dtype=float)
        for a in (
            coolant_degc,
            r_th_k_per_w,
            static_power_w,
            dynamic_power_w,
            leakage_w,
            leakage_per_k,
            reference_degc,
            power_limit_w,
            throttle_degc,
            throttle_frac_per_k,
            min_clock_frac,
            clock_linear_frac,
            trip_degc,
        )
    ]
    for name, values in zip(
        ("coolant_degc", "r_th_k_per_w", "static_power_w", "dynamic_power_w"), arrays, strict=False
    ):
        bad = np.isnan(values) if name == "coolant_degc" else ~(values >= 0)
        if np.any(bad):
            raise ValueError(
                f"{name} is {values[bad].flat[0]:g}; must be {'a number' if name[0] == 'c' else 'at least 0'}"
            )
    spread = np.broadcast_arrays(*arrays)
    shape = spread[0].shape
    out = _solve_many(*(np.ascontiguousarray(a).ravel() for a in spread))
    shaped: list[Any] = [a.reshape(shape) for a in out]
    t, p, clock, slope, state, status = shaped
    return ChipState(
        junction_degc=t,
        power_w=p,
        clock_frac=clock,
        power_slope_w_per_k=slope,
        capped=state == 1,
        throttled=(clock < 1) & (t > spread[8]),
        tripped=(t > spread[12]) | (status == NO_STEADY_STATE),
        runaway=status != SETTLED,
    )


@compiled_with_arrays
def _solve_many(
    t_in: FloatArray,
    r: FloatArray,
    static: FloatArray,
    dynamic: FloatArray,
    leak: FloatArray,
    alpha: FloatArray,
    t_ref: FloatArray,
    cap: FloatArray,
    throttle: FloatArray,
    k: FloatArray,
    phi_min: FloatArray,
    linear_frac: FloatArray,
    trip: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, IntArray, IntArray]:
    n = t_in.size
    t = np.empty(n)
    p = np.empty(n)
    clock = np.empty(n)
    slope = np.empty(n)
    state = np.empty(n, dtype=np.int64)
    status = np.empty(n, dtype=np.int64)
    for i in range(n):
        held = min(leak[i], static[i])
        t[i], p[i], slope[i], state[i], status[i], _, _ = junction_scalar(
            t_in[i],
            r[i],
            static[i],
            dynamic[i],
            held,
            alpha[i],
            t_ref[i],
            cap[i],
            throttle[i],
            k[i],
            phi_min[i],
            linear_frac[i],
            trip[i],
            search_growth_scalar(alpha[i], t_ref[i], trip[i]),
            t_in[i] + r[i] * (static[i] + dynamic[i]),
            False,
            0.0,
            1.0,
        )
        clock[i] = clock_at_scalar(
            t[i],
            p[i],
            static[i],
            dynamic[i],
            held,
            alpha[i],
            t_ref[i],
            throttle[i],
            k[i],
            phi_min[i],
            linear_frac[i],
            state[i],
        )
    return t, p, clock, slope, state, status
