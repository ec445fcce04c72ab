"""Laws of latency: a wait that some requests have, the time to first token, and the log-normal law of a mean."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

FloatArray = NDArray[np.float64]

SHORTEST_S = 1e-9  # stands for no time in logarithms
HALVINGS = 32  # of the bracket around a percentile of the time to first token


@dataclass(frozen=True, slots=True, eq=False)
class Wait:
    """A wait that a share of the requests have, log-normal among them; arrays of one shape."""

    share: FloatArray
    mean_s: FloatArray  # of those who wait
    variation: FloatArray

    def plus(self, other: "Wait") -> "Wait":
        """Return both waits, one after the other and independent, as one of the same mean and variance."""
        share = self.share + other.share - self.share * other.share
        means = [wait.share * wait.mean_s for wait in (self, other)]
        squares = [wait.share * wait.mean_s**2 * (1.0 + wait.variation**2) for wait in (self, other)]
        mean_s = sum(means) / np.maximum(share, 1e-12)
        square = (sum(squares) + 2.0 * means[0] * means[1]) / np.maximum(share, 1e-12)
        return Wait(share, mean_s, np.sqrt(np.maximum(square / np.maximum(mean_s, SHORTEST_S) ** 2 - 1.0, 1e-2)))

    def within(self, limit_s: FloatArray) -> FloatArray:
        """Return the chance that the wait is at most `limit_s` [-]; `limit_s` may have one more axis, at the end."""
        sigma = np.sqrt(np.log1p(self.variation**2))[..., None]
        location = np.log(np.maximum(self.mean_s, SHORTEST_S))[..., None] - 0.5 * sigma**2
        beyond = self.share[..., None] * ndtr((location - np.log(np.maximum(limit_s, SHORTEST_S))) / sigma)
        return np.where(limit_s >= 0.0, 1.0 - beyond, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class FirstToken:
    """The law of the time to first token: what all have, what the own prompt takes, and a wait."""

    fixed_s: FloatArray  # (n, m)
    prompt_s: FloatArray  # (n, 1, n_kinds)
    weight: FloatArray  # (n, m, n_kinds)
    wait: Wait

    @property
    def mean_s(self) -> FloatArray:
        """Mean over requests, shape (n, m) [s]."""
        own_s = (self.weight * self.prompt_s).sum(axis=-1)
        return self.fixed_s + own_s + self.wait.share * self.wait.mean_s

    def within(self, limit_s: FloatArray | float) -> FloatArray:
        """Return the share of requests whose first token comes in `limit_s`, shape (n, m)."""
        left_s = (limit_s - self.fixed_s)[..., None] - self.prompt_s
        return (self.weight * self.wait.within(left_s)).sum(axis=-1)

    def quantile_s(self, level: float) -> FloatArray:
        """Return the time that a share `level` does not exceed, shape (n, m) [s]."""
        low = self.fixed_s
        high = low + self.prompt_s.max(axis=-1) + 1e2 * self.wait.mean_s + SHORTEST_S
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            enough = self.within(middle) >= level
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        return high


def lognormal(mean: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the location and scale of the log-normal law with this mean and variance."""
    squared = np.log1p(np.maximum(variance, 1e-12 * mean**2) / mean**2)
    return np.log(mean) - 0.5 * squared, np.sqrt(squared)
