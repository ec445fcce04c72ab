"""A point's readings by interval, beside what a comparison predicted for them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.core.telemetry.quantities import QUANTITIES
from twin.core.telemetry.residuals import Beside
from twin.core.telemetry.scores import band_half_width
from twin.models import Study, TelemetryPoint
from twin.telemetry import store
from twin.telemetry.study_points import kept_point

FloatArray = NDArray[np.float64]
STEPS_S = {"1 min": 60, "15 min": 900, "1 h": 3600, "day": 86_400}
MOST_SHOWN = 2_000  # intervals of a chart: a month by the half hour
MOST_STEPS = 10_000  # that may be asked for
NEAR_STEPS = 1.6  # intervals of a comparison further apart than this many are a gap


@dataclass(frozen=True, slots=True, eq=False)
class PointSeries:
    """Readings and prediction by interval, arrays of shape (n,)."""

    begins_ms: NDArray[np.int64]
    step_s: int
    measured: store.Series
    predicted: FloatArray  # NaN where nothing is
    half_width: FloatArray

    @property
    def residual(self) -> FloatArray:
        """Measured less predicted."""
        return self.measured.mean - self.predicted


def fitting_step_s(start_ms: int, end_ms: int, own_s: float = 0.0, most: int = MOST_SHOWN) -> int:
    """Return the shortest usual step, about as long as the readings' at least, that makes no more than are shown."""
    fitting = [step for step in STEPS_S.values() if step >= 0.9 * own_s and end_ms - start_ms <= most * step * 1000]
    return min(fitting, default=max(STEPS_S.values()))


def point_series(point: TelemetryPoint, study: Study | None, start_ms: int, end_ms: int, step_s: int) -> PointSeries:
    """Return a point's readings by interval, with what a comparison predicted where it did.

    Raises
    ------
    ValueError
        If there are more readings, or more intervals, than are read at once.
    """
    step_ms = step_s * 1000
    n = -(-(end_ms - start_ms) // step_ms)
    if n > MOST_STEPS:
        raise ValueError(f"the step makes {n:,} intervals; at most {MOST_STEPS:,} are shown, so take a longer one")
    begins = start_ms + step_ms * np.arange(n)
    measured = store.series(point, start_ms, step_ms, n, end_ms)
    beside = kept_point(study, point.object, point.quantity) if study else None
    predicted = at_steps(beside, begins, step_ms) if beside is not None else np.full(n, np.nan)
    known = point.quantity in QUANTITIES
    half = band_half_width(point.quantity, predicted) if known else np.full(n, np.nan)
    return PointSeries(begins, step_s, measured, predicted, half)


def at_steps(beside: Beside, begins_ms: NDArray[np.int64], step_ms: int) -> FloatArray:
    """Return what was predicted by interval: the mean of those in it, or on the line between two around its middle."""
    known = np.isfinite(beside.predicted)
    times, values = beside.times_ms[known], beside.predicted[known]
    found = np.full(begins_ms.size, np.nan)
    if not times.size or not begins_ms.size:
        return found
    own_ms = float(np.median(np.diff(times))) if times.size > 1 else 0.0
    if own_ms > step_ms:
        middles = begins_ms + step_ms / 2
        after = np.clip(np.searchsorted(times, middles), 1, times.size - 1)
        near = (times[after] - times[after - 1] <= NEAR_STEPS * own_ms) & (middles >= times[0]) & (middles <= times[-1])
        return np.where(near, np.interp(middles, times, values), np.nan)
    place = (times - begins_ms[0]) // step_ms
    inside = (place >= 0) & (place < begins_ms.size)
    count = np.bincount(place[inside], minlength=begins_ms.size)
    total = np.bincount(place[inside], weights=values[inside], minlength=begins_ms.size)
    return np.divide(total, count, out=found, where=count > 0)
