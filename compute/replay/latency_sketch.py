"""Percentiles of a stream in bounded memory: counts in bins whose edges grow by a fixed factor."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEAST_S, MOST_S = 1e-6, 1e7
RELATIVE_WIDTH = 0.002  # a percentile is off by half of this at most, 0.1 %


class LatencySketch:
    """Count, mean and percentiles of positive durations, whatever their number.

    Durations outside [1 µs, 10^7 s] are counted in the end bins; the mean is exact.
    """

    def __init__(self) -> None:
        self._log_width = np.log1p(RELATIVE_WIDTH)
        self._counts: NDArray[np.int64] = np.zeros(int(np.log(MOST_S / LEAST_S) / self._log_width) + 2, dtype=np.int64)
        self._sum_s = 0.0

    def add(self, durations_s: ArrayLike) -> None:
        """Count durations [s]; NaN is an error, zero falls into the first bin."""
        values = np.asarray(durations_s, dtype=np.float64)
        if values.size == 0:
            return
        if not np.isfinite(values).all():
            raise ValueError("durations must be finite")
        position = np.log(np.clip(values, LEAST_S, MOST_S) / LEAST_S) / self._log_width
        self._counts += np.bincount(position.astype(np.int64), minlength=self._counts.size)
        self._sum_s += float(values.sum())

    @property
    def n(self) -> int:
        """Number of durations counted."""
        return int(self._counts.sum())

    @property
    def mean_s(self) -> float:
        """Mean duration [s]; NaN when none was counted."""
        return self._sum_s / self.n if self.n else float("nan")

    def percentile_s(self, percent: float) -> float:
        """Return the duration that `percent` of them do not exceed, within 0.1 % [s]; NaN when none was counted."""
        if not 0 <= percent <= 100:
            raise ValueError(f"percent is {percent}; must be between 0 and 100")
        if not self.n:
            return float("nan")
        rank = percent / 100 * self.n
        bin_index = int(np.searchsorted(np.cumsum(self._counts), max(rank, 1)))
        return float(LEAST_S * np.exp((bin_index + 0.5) * self._log_width))

    def at_most_frac(self, limit_s: float) -> float:
        """Return the share of durations that do not exceed a limit, to the bin [-]; NaN when none was counted."""
        if not self.n:
            return float("nan")
        position = np.log(np.clip(limit_s, LEAST_S, MOST_S) / LEAST_S) / self._log_width
        return float(self._counts[: int(position) + 1].sum() / self.n)
