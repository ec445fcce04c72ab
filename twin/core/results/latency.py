"""Latency over a year: percentiles of all requests from each hour's own, and what share met its targets."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

FloatArray = NDArray[np.float64]

# 95th percentile of the standard normal distribution
Z95 = 1.6448536269514722
LOG_STEP = 1e-4  # relative: far below what a latency is known to


def mixture_quantile(p50: FloatArray, p95: FloatArray, weight: FloatArray, quantile: float) -> float | None:
    """Return a quantile of the latencies of all requests.

    Each hour's latencies are taken as log-normal through its own median and 95th percentile; the quantile is that of
    their mixture, weighted by requests.

    Parameters
    ----------
    p50, p95 : ndarray, shape (n_hours,)
        Median and 95th percentile of each hour [s].
    weight : ndarray, shape (n_hours,)
        Requests in the hour.
    quantile : float
        In (0, 1).

    Returns
    -------
    float or None
        Latency [s]; None where no request was served.
    """
    used = (weight > 0) & np.isfinite(p50) & np.isfinite(p95) & (p50 > 0)
    if not np.any(used):
        return None
    # Hours of equal load are alike: told apart to LOG_STEP they are a few hundred, not thousands.
    log50 = np.round(np.log(p50[used]) / LOG_STEP)
    log95 = np.round(np.log(np.maximum(p95[used], p50[used])) / LOG_STEP)
    alike, index = np.unique(log50 + 1j * log95, return_inverse=True)
    share = np.bincount(index.reshape(-1), weight[used]) / weight[used].sum()
    mean = alike.real * LOG_STEP
    spread = np.maximum(alike.imag * LOG_STEP - mean, 1e-9) / Z95
    low, high = float((mean - 8 * spread).min()), float((mean + 8 * spread).max())
    for _ in range(48):  # halves the range: leaves no digit that LOG_STEP decides
        middle = 0.5 * (low + high)
        if float(share @ ndtr((middle - mean) / spread)) < quantile:
            low = middle
        else:
            high = middle
    return float(np.exp(0.5 * (low + high)))


def still_in_time_frac(p50: FloatArray, p95: FloatArray, limit: float, later: FloatArray) -> FloatArray:
    """Return the share of what keeps a limit that still keeps it when everything comes later, shape (n_hours,).

    Parameters
    ----------
    p50, p95 : ndarray, shape (n_hours,)
        Of the log-normal latencies before [s].
    limit : float
        On them [s].
    later : ndarray, shape (n_hours,)
        By how much everything comes later [s].
    """
    late = np.asarray(later) > 0
    if not np.any(late):
        return np.ones(np.shape(later))
    known = late & np.isfinite(p50) & np.isfinite(p95) & (p50 > 0)
    median = np.log(np.where(known, p50, 1.0))
    spread = np.maximum(np.log(np.where(known, np.maximum(p95, p50), 1.0)) - median, 1e-9) / Z95
    left = np.maximum(limit - later, 1e-300)
    before, after = (ndtr((np.log(at) - median) / spread) for at in (np.full(left.size, limit), left))
    share = np.divide(after, before, out=np.zeros(left.size), where=before > 0)
    return np.where(known, np.clip(share, 0.0, 1.0), 1.0)
