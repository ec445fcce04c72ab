"""Drift alarms on residuals: AR(1) whitening, then CUSUM and EWMA charts whose false alarms are known beforehand.

The run lengths of both charts are those of published tables (Lucas and Crosier 1982; Lucas and Saccucci 1990), computed
here by Brook and Evans' Markov chain.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.stats import norm

FloatArray = NDArray[np.float64]

CUSUM_K, CUSUM_H = 0.5, 5.0  # two-sided: one false alarm in 465 samples, a shift of one sigma found in 10.4
EWMA_WEIGHT, EWMA_WIDTH = 0.2, 2.962  # one in 500; 10.5


@dataclass(frozen=True, slots=True)
class Whitening:
    """Mean, AR(1) coefficient and spread of the innovations of a residual in its healthy state."""

    mean: float
    coefficient: float
    sigma: float

    def innovations(self, residual: FloatArray) -> FloatArray:
        """Return the standardised innovations, NaN where the residual or the one before is missing."""
        centred = residual - self.mean
        whitened = np.full(len(centred), np.nan)
        if len(centred):
            # The first has nothing before it: standardised by the whole spread.
            whitened[0] = centred[0] * np.sqrt(1 - self.coefficient**2)
            whitened[1:] = centred[1:] - self.coefficient * centred[:-1]
            after_gap = np.isnan(whitened) & np.isfinite(centred)
            whitened[after_gap] = centred[after_gap] * np.sqrt(1 - self.coefficient**2)
        return whitened / self.sigma


def whitening(residual: FloatArray, *, least_sigma: float = 0.0) -> Whitening:
    """Estimate mean, AR(1) coefficient and innovation spread of a healthy residual.

    Parameters
    ----------
    residual : ndarray, shape (n,)
        Measured minus predicted in equal steps; NaN for gaps.
    least_sigma : float
        The sensor's own sigma: the spread is never taken smaller.

    Returns
    -------
    Whitening
        The coefficient lies in [-0.99, 0.99]; means and spreads are robust to a few outliers.

    Raises
    ------
    ValueError
        If fewer than 8 values are there.
    """
    finite = residual[np.isfinite(residual)]
    if finite.size < 8:
        raise ValueError(f"{finite.size} healthy values are too few to learn a residual from; 8 or more are needed")
    mean = float(np.median(finite))
    spread = robust_sigma(finite)
    # Outliers would pull the coefficient to 0 or 1: they are drawn in to three sigmas.
    drawn = np.clip(residual - mean, -3 * spread, 3 * spread) if spread > 0 else residual - mean
    before, after = drawn[:-1], drawn[1:]
    both = np.isfinite(before) & np.isfinite(after)
    power = float(np.sum(before[both] ** 2))
    coefficient = float(np.sum(before[both] * after[both]) / power) if power > 0 else 0.0
    coefficient = float(np.clip(coefficient, -0.99, 0.99))
    innovation = (residual[1:] - mean) - coefficient * (residual[:-1] - mean)
    innovation = innovation[np.isfinite(innovation)]
    sigma = robust_sigma(innovation) if innovation.size > 3 else spread
    return Whitening(mean, coefficient, max(sigma, least_sigma * np.sqrt(1 - coefficient**2), 1e-12))


def robust_sigma(values: FloatArray) -> float:
    """Return the spread by the median absolute deviation, as a sigma; the plain one where most values are equal."""
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0
    sigma = float(np.median(np.abs(values - np.median(values))) / norm.ppf(0.75))
    return sigma if sigma > 0 else float(np.std(values))


def samples_per_independent(residual: FloatArray) -> float:
    """Return how many neighbouring residuals carry the information of one: (1 + r) / (1 - r) of the AR(1) process."""
    learned = whitening(residual)
    r = max(learned.coefficient, 0.0)
    return (1 + r) / (1 - r)


@njit(cache=True)
def _cusum(z: FloatArray, k: float, h: float, restart: bool) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    high, low = np.zeros(len(z)), np.zeros(len(z))
    alarm = np.zeros(len(z), dtype=np.bool_)
    up = down = 0.0
    for i in range(len(z)):
        if not np.isnan(z[i]):
            up = max(0.0, up + z[i] - k)
            down = max(0.0, down - z[i] - k)
        high[i], low[i] = up, down
        if up > h or down > h:
            alarm[i] = True
            if restart:
                up = down = 0.0
    return high, low, alarm


@njit(cache=True)
def _ewma(z: FloatArray, weight: float, limit: float) -> tuple[FloatArray, NDArray[np.bool_]]:
    level = np.zeros(len(z))
    alarm = np.zeros(len(z), dtype=np.bool_)
    mean = 0.0
    for i in range(len(z)):
        if not np.isnan(z[i]):
            mean += weight * (z[i] - mean)
        level[i] = mean
        alarm[i] = abs(mean) > limit
    return level, alarm


def cusum(
    standardised: FloatArray, *, k: float = CUSUM_K, h: float = CUSUM_H, restart: bool = False
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Return the upper and lower sums of a two-sided CUSUM and where either is above `h`; gaps leave it as it was."""
    return _cusum(np.asarray(standardised, dtype=float), float(k), float(h), restart)


def ewma(
    standardised: FloatArray, *, weight: float = EWMA_WEIGHT, width: float = EWMA_WIDTH
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return the exponentially weighted mean and where it is beyond `width` of its own (settled) sigmas."""
    limit = width * np.sqrt(weight / (2 - weight))
    return _ewma(np.asarray(standardised, dtype=float), float(weight), float(limit))


def cusum_run_length(shift: float, *, k: float = CUSUM_K, h: float = CUSUM_H, n_states: int = 400) -> float:
    """Return the mean samples to an alarm of a two-sided CUSUM under a shift [sigmas] (Brook and Evans 1972)."""
    one_sided = [_one_sided_run_length(sign * shift, k, h, n_states) for sign in (1.0, -1.0)]
    return float(1.0 / sum(1.0 / length for length in one_sided))


def _one_sided_run_length(shift: float, k: float, h: float, n: int) -> float:
    width = 2 * h / (2 * n - 1)
    centre = np.arange(n) * width
    upper = centre[None, :] + width / 2 - centre[:, None] + k - shift
    matrix = norm.cdf(upper) - norm.cdf(upper - width)
    matrix[:, 0] = norm.cdf(upper[:, 0])
    return float(np.linalg.solve(np.eye(n) - matrix, np.ones(n))[0])


def ewma_run_length(
    shift: float, *, weight: float = EWMA_WEIGHT, width: float = EWMA_WIDTH, n_states: int = 401
) -> float:
    """Return the mean samples to an alarm of an EWMA chart under a shift [sigmas] (Lucas and Saccucci 1990)."""
    limit = width * np.sqrt(weight / (2 - weight))
    step = 2 * limit / n_states
    centre = -limit + (np.arange(n_states) + 0.5) * step
    low = (centre[None, :] - step / 2 - (1 - weight) * centre[:, None]) / weight - shift
    matrix = norm.cdf(low + step / weight) - norm.cdf(low)
    return float(np.linalg.solve(np.eye(n_states) - matrix, np.ones(n_states))[n_states // 2])


def false_alarms_per_month(run_length: float, step_s: float, n_charts: int = 1) -> float:
    """Return the false alarms of a month (730 h) of a fleet of charts with this run length and step [s]."""
    if not run_length > 0 or not step_s > 0:
        raise ValueError(f"run length {run_length:g} and step {step_s:g} s must be above 0")
    return 730 * 3600 / step_s / run_length * n_charts
