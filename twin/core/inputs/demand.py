"""Demand over the year: how many requests of each use case arrive in each hour."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Weather years are typical years without a calendar: hour 0 is taken as a Monday, 0 to 1 h local time.
ASSUMED_FIRST_WEEKDAY = 0
ASSUMED_PEAK_LOAD = (0.5, 1.0)  # busiest hour over capacity: between a hall with reserve and a full one


def hourly_shape(diurnal: Mapping[str, Any], n_hours: int) -> FloatArray:
    """Return demand per hour over its mean.

    Parameters
    ----------
    diurnal : mapping
        Facts of a `diurnal_shapes` entry: 24 multipliers `hourly` and a `weekend_factor` for Saturday and Sunday.
    n_hours : int
        Hours from Monday, 0 h local time.

    Returns
    -------
    ndarray, shape (n_hours,)
        Multipliers [-] with mean 1.

    Raises
    ------
    ValueError
        If there are not 24 multipliers, one is negative, or all are zero.
    """
    hourly = np.asarray(diurnal["hourly"], dtype=float)
    if hourly.shape != (24,) or np.any(hourly < 0) or not hourly.sum() > 0:
        raise ValueError(f"hourly is {hourly.tolist()}; must be 24 multipliers, none negative, not all zero")
    hours = np.arange(n_hours)
    is_weekend = (hours // 24 + ASSUMED_FIRST_WEEKDAY) % 7 >= 5
    shape = hourly[hours % 24] * np.where(is_weekend, float(diurnal["weekend_factor"]), 1.0)
    return shape / shape.mean()


def requests_per_s(shape: FloatArray, *, mean_per_s: float | None, peak_per_s: float) -> FloatArray:
    """Return arrivals per hour [1/s]: of the stated yearly mean, or scaled so that the busiest hour has `peak_per_s`.

    Parameters
    ----------
    shape : ndarray, shape (n_hours,)
        Demand over its mean [-].
    mean_per_s : float or None
        Mean arrivals over the year [1/s].
    peak_per_s : float
        Arrivals in the busiest hour [1/s], used where `mean_per_s` is None.
    """
    if mean_per_s is not None:
        return shape * mean_per_s
    return shape * (peak_per_s / shape.max())
