"""How long a loop lasts without cooling: exact solutions of linear thermal networks.

A network is C dT/dt = P + G T with constant coefficients. Its exact solution is a matrix exponential; no step size
enters. Where power follows temperature (throttling) or flows change, use `transients`.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import expm

FloatArray = NDArray[np.float64]


def two_mass_ride_through_s(
    power_w: ArrayLike,
    solid_j_per_k: ArrayLike,
    coolant_j_per_k: ArrayLike,
    conductance_w_per_k: ArrayLike,
    solid_degc: ArrayLike,
    coolant_degc: ArrayLike,
    limit_degc: ArrayLike,
) -> FloatArray:
    """Return the time until a heated solid reaches a limit after its coolant loop lost all heat rejection.

    Parameters
    ----------
    power_w : array_like
        Constant heat in the solid [W], above 0.
    solid_j_per_k, coolant_j_per_k : array_like
        Heat capacities of the solid and of the circulating coolant [J/K], above 0.
    conductance_w_per_k : array_like
        Solid to coolant [W/K], above 0.
    solid_degc, coolant_degc : array_like
        Temperatures at the loss [°C].
    limit_degc : array_like
        Of the solid [°C].

    Returns
    -------
    ndarray
        Time [s]; 0 where the limit is already reached. The mean warms as P t / (C1 + C2), the difference settles as
        one exponential; the crossing is found by Newton inside a bracket.

    Raises
    ------
    ValueError
        If a value that must be positive is not.
    """
    names = ("power_w", "solid_j_per_k", "coolant_j_per_k", "conductance_w_per_k")
    positive = [np.asarray(a, dtype=float) for a in (power_w, solid_j_per_k, coolant_j_per_k, conductance_w_per_k)]
    for name, array in zip(names, positive, strict=True):
        if not np.all(array > 0):
            raise ValueError(f"{name} is {array[~(array > 0)].flat[0]:g}; must be greater than 0")
    power, solid, coolant, conductance, hot, cold, limit = np.broadcast_arrays(
        *positive, *(np.asarray(a, dtype=float) for a in (solid_degc, coolant_degc, limit_degc))
    )
    total = solid + coolant
    share = coolant / total
    tau = solid * coolant / (conductance * total)
    settled = power * share / conductance
    mean = (solid * hot + coolant * cold) / total
    slope = power / total

    def excess(time: FloatArray) -> tuple[FloatArray, FloatArray]:
        decay = np.exp(-time / tau)
        difference = settled + (hot - cold - settled) * decay
        rate = slope - share * (hot - cold - settled) * decay / tau
        return mean + slope * time + share * difference - limit, rate

    low = np.zeros(power.shape)
    high = np.maximum((limit - mean) / slope, 0.0) + tau
    for _ in range(200):
        short = excess(high)[0] < 0
        if not np.any(short):
            break
        high = np.where(short, 2 * high + tau, high)
    time = high
    for _ in range(100):
        value, rate = excess(time)
        low, high = np.where(value < 0, time, low), np.where(value < 0, high, time)
        newton = time - value / np.where(rate > 0, rate, np.inf)
        inside = (newton > low) & (newton < high) & (rate > 0)
        following = np.where(inside, newton, 0.5 * (low + high))
        if np.all(np.abs(following - time) <= 1e-14 * (1 + time)):
            break
        time = following
    return np.where(hot >= limit, 0.0, time)


def network_matrix(
    heat_capacity_j_per_k: ArrayLike, conductance_w_per_k: ArrayLike, advection_w_per_k: ArrayLike | None = None
) -> FloatArray:
    """Return the system matrix [1/s] of masses joined by conductances and streams.

    Parameters
    ----------
    heat_capacity_j_per_k : array_like, shape (..., n)
        Of each mass [J/K], above 0.
    conductance_w_per_k : array_like, shape (..., n, n)
        Symmetric; entry [i, j] joins masses i and j [W/K].
    advection_w_per_k : array_like, shape (..., n, n), optional
        Entry [i, j] is the stream m·cp from mass j into mass i [W/K].

    Returns
    -------
    ndarray, shape (..., n, n)
        A in dT/dt = A T + P / C.
    """
    capacity = np.asarray(heat_capacity_j_per_k, dtype=float)
    joined = np.asarray(conductance_w_per_k, dtype=float)
    if not np.all(capacity > 0):
        raise ValueError("heat_capacity_j_per_k must be greater than 0")
    if not np.allclose(joined, np.swapaxes(joined, -1, -2)):
        raise ValueError("conductance_w_per_k must be symmetric; put streams into advection_w_per_k")
    flows = joined if advection_w_per_k is None else joined + np.asarray(advection_w_per_k, dtype=float)
    n = capacity.shape[-1]
    off = flows * (1 - np.eye(n))
    return (off - np.eye(n) * off.sum(axis=-1, keepdims=True)) / capacity[..., None]


def network_temperatures_degc(
    matrix_per_s: ArrayLike, source_k_per_s: ArrayLike, start_degc: ArrayLike, times_s: ArrayLike
) -> FloatArray:
    """Return the exact temperatures of linear networks at given times.

    Parameters
    ----------
    matrix_per_s : array_like, shape (..., n, n)
        A [1/s].
    source_k_per_s : array_like, shape (..., n)
        P / C, plus streams and conductances from fixed temperatures [K/s].
    start_degc : array_like, shape (..., n)
        Temperatures at time 0 [°C].
    times_s : array_like, shape (n_times,)
        Times [s], at least 0.

    Returns
    -------
    ndarray, shape (..., n_times, n)
        Temperatures [°C], by the exponential of the matrix with the source as one more column; a singular A (a loop
        without any cooling) needs no special case.
    """
    a = np.asarray(matrix_per_s, dtype=float)
    source, start = np.asarray(source_k_per_s, dtype=float), np.asarray(start_degc, dtype=float)
    n = a.shape[-1]
    lead = np.broadcast_shapes(a.shape[:-2], source.shape[:-1], start.shape[:-1])
    augmented = np.zeros((*lead, n + 1, n + 1))
    augmented[..., :n, :n] = a
    augmented[..., :n, n] = source
    state = np.ones((*lead, n + 1))
    state[..., :n] = start
    times = np.asarray(times_s, dtype=float)
    steps = expm(augmented[..., None, :, :] * times[:, None, None])
    return (steps @ state[..., None, :, None])[..., :n, 0]


def network_time_to_reach_s(
    matrix_per_s: ArrayLike,
    source_k_per_s: ArrayLike,
    start_degc: ArrayLike,
    node: int,
    limit_degc: float,
    *,
    horizon_s: float = 86_400.0,
) -> float:
    """Return when one mass of a linear network first reaches a limit [s]; infinite if not within the horizon.

    The first crossing is bracketed on a grid that is fine beside the network's fastest time, then bisected on the
    exact solution.

    Parameters
    ----------
    matrix_per_s, source_k_per_s, start_degc
        As for `network_temperatures_degc`, of one network.
    node : int
        Which mass.
    limit_degc : float
        Limit [°C].
    horizon_s : float
        How long it is followed [s].
    """
    a = np.asarray(matrix_per_s, dtype=float)
    source, start = np.asarray(source_k_per_s, dtype=float), np.asarray(start_degc, dtype=float)
    if start[node] >= limit_degc:
        return 0.0
    fastest = 1.0 / max(float(np.abs(np.linalg.eigvals(a)).max()), 1e-12)
    step = min(fastest, horizon_s / 64)

    def moved(state: FloatArray, time: float) -> FloatArray:
        return network_temperatures_degc(a, source, state, np.array([time]))[0]

    elapsed, state = 0.0, start
    while elapsed < horizon_s:
        following = moved(state, step)
        if following[node] >= limit_degc:
            low, high = 0.0, step
            for _ in range(100):
                mid = 0.5 * (low + high)
                low, high = (mid, high) if moved(state, mid)[node] < limit_degc else (low, mid)
                if high - low <= 1e-13 * (elapsed + high):
                    break
            return elapsed + 0.5 * (low + high)
        elapsed += step
        state = following
        # Far from the limit the network's fast part has died away and longer steps miss nothing.
        step = min(1.5 * step, horizon_s / 64)
    return math.inf
