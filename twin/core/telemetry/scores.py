"""How well predicted values meet measured ones (ASHRAE Guideline 14's measures).

Temperatures are scored in kelvin only: a coefficient of variation of degrees Celsius has no meaning.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.core.telemetry.quantities import QUANTITIES

FloatArray = NDArray[np.float64]
BAND_SIGMAS = 2.0


def band_half_width(quantity: str, predicted: FloatArray) -> FloatArray:
    """Return how far a usual sensor may read from what is predicted, in the quantity's unit: two of its sigmas."""
    usual = QUANTITIES[quantity]
    sigma = usual.sigma * (np.abs(predicted) if usual.relative else np.ones_like(predicted))
    return BAND_SIGMAS * sigma + 1e-6 * np.abs(predicted)  # float32 of the store is no miss


def rmse(measured: FloatArray, predicted: FloatArray) -> float:
    """Return the root mean square of measured minus predicted, over the rows where both are there."""
    error = measured - predicted
    error = error[np.isfinite(error)]
    return float(np.sqrt(np.mean(error**2))) if error.size else float("nan")


def cv_rmse_frac(measured: FloatArray, predicted: FloatArray) -> float:
    """Return CV(RMSE) as a fraction: sqrt(sum(m - s)^2 / (n - 1)) / mean(m)."""
    both = np.isfinite(measured) & np.isfinite(predicted)
    n = int(both.sum())
    if n < 2:
        return float("nan")
    error = measured[both] - predicted[both]
    return float(np.sqrt(np.sum(error**2) / (n - 1)) / np.mean(measured[both]))


def nmbe_frac(measured: FloatArray, predicted: FloatArray) -> float:
    """Return the normalised mean bias error as a fraction: sum(m - s) / ((n - 1) mean(m)); above 0: too low."""
    both = np.isfinite(measured) & np.isfinite(predicted)
    n = int(both.sum())
    if n < 2:
        return float("nan")
    return float(np.sum(measured[both] - predicted[both]) / ((n - 1) * np.mean(measured[both])))


def scored(quantity: str, measured: FloatArray, predicted: FloatArray, train: NDArray[np.bool_]) -> dict[str, Any]:
    """Return one entry of `scores`: the held-out measure, bias and row counts of a quantity.

    A name that ends in `_degc` is scored in kelvin.
    """
    held = ~train
    both = np.isfinite(measured) & np.isfinite(predicted)
    counts = {"n_train": int((both & train).sum()), "n_held_out": int((both & held).sum())}
    if quantity.endswith("_degc"):
        difference = measured[held] - predicted[held]
        mean = float(np.nanmean(difference)) if np.isfinite(difference).any() else float("nan")
        return {"rmse_k": rmse(measured[held], predicted[held]), "mean_error_k": mean} | counts
    return {
        "cv_rmse_frac": cv_rmse_frac(measured[held], predicted[held]),
        "nmbe_frac": nmbe_frac(measured[held], predicted[held]),
    } | counts
