"""What a comparison laid side by side, kept point by point, so that pages draw it without solving again."""

import zlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twin.core.telemetry.residuals import Beside
from twin.models import Study, StudyPoint

if TYPE_CHECKING:  # comparisons bring the solvers, which pages do without
    from twin.core.telemetry.compare import Comparison

FloatArray = NDArray[np.float64]
Key = tuple[str, str]  # object and quantity
MOST_KEPT = 6_000_000  # intervals of all points together; more are averaged in blocks
_EACH = 500  # rows written at once
_COLUMNS = ("object", "quantity", "columns")


def keep(study: Study, comparison: "Comparison") -> None:
    """Keep a comparison's intervals, in place of those of an earlier attempt."""
    n = comparison.at_s.size
    block = max(-(-len(comparison.predicted) * n // MOST_KEPT), 1)
    starts = np.arange(0, n, block)
    times_ms = np.round(np.add.reduceat(comparison.at_s, starts) / _sizes(starts, n) * 1e3).astype(np.int64)
    StudyPoint.objects.filter(study=study).delete()
    rows = (
        StudyPoint(
            study=study,
            object=name,
            quantity=quantity,
            columns=packed(
                Beside(
                    times_ms,
                    _block_means(comparison.measured[name, quantity], starts),
                    _block_means(predicted, starts),
                )
            ),
        )
        for (name, quantity), predicted in comparison.predicted.items()
    )
    StudyPoint.objects.bulk_create(rows, batch_size=_EACH)


def _sizes(starts: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    return np.diff(np.append(starts, n))


def _block_means(values: FloatArray, starts: NDArray[np.int64]) -> FloatArray:
    known = np.isfinite(values)
    total = np.add.reduceat(np.where(known, values, 0.0), starts)
    count = np.add.reduceat(known.astype(float), starts)
    return np.divide(total, count, out=np.full(starts.size, np.nan), where=count > 0)


def packed(beside: Beside) -> bytes:
    """Return a point's intervals: steps of time [ms], both values as float32."""
    steps = np.diff(beside.times_ms, prepend=0).astype("<i8")
    return zlib.compress(
        steps.tobytes() + beside.measured.astype("<f4").tobytes() + beside.predicted.astype("<f4").tobytes()
    )


def unpacked(stored: bytes) -> Beside:
    """Return the intervals that `packed` spelled."""
    raw = zlib.decompress(stored)
    n = len(raw) // 16
    measured, predicted = (np.frombuffer(raw, "<f4", n, 8 * n + 4 * n * i).astype(float) for i in (0, 1))
    return Beside(np.cumsum(np.frombuffer(raw, "<i8", n)), measured, predicted)


def kept(study: Study, quantity: str = "") -> dict[Key, Beside]:
    """Return what was kept of a comparison, of one quantity where one is named."""
    rows = StudyPoint.objects.filter(study=study)
    rows = rows.filter(quantity=quantity) if quantity else rows
    return {(name, what): unpacked(bytes(columns)) for name, what, columns in rows.values_list(*_COLUMNS)}


def kept_point(study: Study, object_name: str, quantity: str) -> Beside | None:
    """Return what was kept of one point, None where the comparison has none of it."""
    row = StudyPoint.objects.filter(study=study, object=object_name, quantity=quantity).first()
    return unpacked(bytes(row.columns)) if row else None
