"""Results as plain JSON: arrays of six significant digits, null where there is no number."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

N_DIGITS = 6


def plain(values: ArrayLike) -> Any:
    """Return numbers as (nested) lists of Python numbers rounded to six significant digits, None for NaN."""
    array: NDArray[Any] = np.asarray(values)
    if array.dtype.kind not in "f":
        return array.tolist()
    finite = np.isfinite(array)
    known = np.where(finite, array, 0.0).astype(float)
    magnitude = np.floor(np.log10(np.maximum(np.abs(known), 1e-300)))
    # Divided by a power of ten the nearest double is that of the decimal number, so it is written short.
    scale = 10.0 ** np.clip(N_DIGITS - 1 - magnitude, -300, 22)
    rounded = np.where(scale >= 1, np.rint(known * scale) / scale, np.rint(known * scale) * (1 / scale))
    if finite.all():
        return rounded.tolist()
    shown = rounded.astype(object)
    shown[~finite] = None
    return shown.tolist()


def plain_json(value: Any) -> Any:
    """Return a value with the arrays and floats inside its lists and mappings as JSON writes them."""
    if isinstance(value, dict):
        return {name: plain_json(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain_json(inner) for inner in value]
    return value if isinstance(value, (str, int, bool, type(None))) else plain(value)


def without_nan(value: Any) -> Any:
    """Return nested dictionaries, lists and numbers with None for every number that JSON does not have."""
    if isinstance(value, dict):
        return {name: without_nan(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
