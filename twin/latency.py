"""Latency over a year: percentiles of all requests from each hour's own, and what share met its targets."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

FloatArray = NDArray[np.float64]

# 95th percentile of the standard normal distribution
Z95 = 1.6448536269514722


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
    mean = np.log(p50[used])
    spread = np.maximum(np.log(np.maximum(p95[used], p50[used])) - mean, 1e-9) / Z95
    share = weight[used] / weight[used].sum()
    low, high = float((mean - 8 * spread).min()), float((mean + 8 * spread).max())
    for _ in range(60):  # halves the range: 60 steps leave no digit undecided
        middle = 0.5 * (low + high)
        if float(share @ ndtr((middle - mean) / spread)) < quantile:
            low = middle
        else:
            high = middle
    return float(np.exp(0.5 * (low + high)))
