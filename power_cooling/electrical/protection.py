"""How long overloaded equipment carries on: UPS overload ratings, breaker trip curves, with memory of past load."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OverloadRating:
    """Loads that equipment carries for a stated time: up to `load_frac[i]` for `seconds[i]`.

    Up to 1 for ever; above the last step for `beyond_s`.
    """

    load_frac: tuple[float, ...]
    seconds: tuple[float, ...]
    beyond_s: float = 0.0

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in zip(self.load_frac, self.load_frac[1:], strict=False))
        falling = all(a >= b for a, b in zip(self.seconds, self.seconds[1:], strict=False))
        if not self.load_frac or len(self.load_frac) != len(self.seconds) or self.load_frac[0] <= 1 or not rising:
            raise ValueError(f"OverloadRating.load_frac is {self.load_frac}; must rise from above 1, one per time")
        if not falling or self.seconds[-1] < self.beyond_s or self.beyond_s < 0:
            raise ValueError(f"OverloadRating.seconds is {self.seconds}; must fall to beyond_s of at least 0")

    def seconds_to_trip(self, load_frac: ArrayLike) -> FloatArray:
        """Return how long each load is carried [s], infinite up to rating."""
        load = np.asarray(load_frac, dtype=np.float64)
        step = np.searchsorted(np.array([1.0, *self.load_frac]), load - 1e-12)
        return np.array([np.inf, *self.seconds, self.beyond_s])[step]


@dataclass(frozen=True, slots=True)
class BreakerCurve:
    """Electronic trip unit: inverse-square long-time delay, then instantaneous.

    Trips after ``delay_at_6_s·(6/x)²`` at x times its setting from `pickup_frac` on, at once from `instantaneous_frac`.
    """

    delay_at_6_s: float = 12.0
    pickup_frac: float = 1.05
    instantaneous_frac: float = 10.0

    def __post_init__(self) -> None:
        if self.delay_at_6_s <= 0 or not 1 <= self.pickup_frac < self.instantaneous_frac:
            raise ValueError(f"{self}; the delay must be above 0 and 1 <= pickup_frac < instantaneous_frac")

    def seconds_to_trip(self, load_frac: ArrayLike) -> FloatArray:
        """Return how long each current over the setting is carried [s], infinite up to the pickup."""
        load = np.asarray(load_frac, dtype=np.float64)
        with np.errstate(divide="ignore"):
            delay = self.delay_at_6_s * (6.0 / load) ** 2
        return np.where(load < self.pickup_frac, np.inf, np.where(load >= self.instantaneous_frac, 0.0, delay))


# Usual data-sheet class of double-conversion UPS: 110 % for 60 min, 125 % for 10 min, 150 % for 1 min (assumed until a
# product's sheet is at hand).
ASSUMED_UPS_OVERLOAD = OverloadRating((1.10, 1.25, 1.50), (3600.0, 600.0, 60.0))
# Long-time delay class of 12 s at six times the setting, pickup within 105 to 120 % (IEC 60947-2 range, assumed).
ASSUMED_BREAKER = BreakerCurve()


def trip_step(curve: OverloadRating | BreakerCurve, load_frac: ArrayLike, step_s: float) -> NDArray[np.int64]:
    """Return the step in which a varying load trips, -1 for never.

    Each step uses up step_s / t(load) of the protection's memory; it trips when all is used. The memory is not given
    back while the load is low, which errs to the safe side within one event.

    Parameters
    ----------
    curve : OverloadRating or BreakerCurve
    load_frac : array_like, shape (n_steps, …)
        Load over rating, time first.
    step_s : float
        Length of a step [s].
    """
    if step_s <= 0:
        raise ValueError(f"step_s is {step_s:g}; must be greater than 0")
    seconds = curve.seconds_to_trip(load_frac)
    with np.errstate(divide="ignore"):
        used = np.cumsum(step_s / seconds, axis=0)
    tripped = used >= 1 - 1e-12
    return np.where(tripped.any(axis=0), np.argmax(tripped, axis=0), -1)
