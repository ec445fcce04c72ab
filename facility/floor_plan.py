"""Geometry of the floor: what covers which rectangle, what overlaps, how wide the aisles are.

x runs along the hall's width, y along its depth; the origin is the lower left corner. An object's front faces smaller y
at 0°, larger x at 90°, larger y at 180° and smaller x at 270°; at 90° and 270° its width runs along y.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from django.core.exceptions import ValidationError
from numpy.typing import NDArray

TOUCH_M = 1e-3  # racks of a row touch; positions typed in millimetres must not count as overlap
MOST_PAIRS = 200_000  # compared at a time: some 20 MB


class Floor(Protocol):
    """What a footprint stands on."""

    name: str
    width_m: float
    depth_m: float


@dataclass(frozen=True, slots=True)
class Footprint:
    """The rectangle that an object covers [m]."""

    name: str
    x0_m: float
    y0_m: float
    x1_m: float
    y1_m: float

    @classmethod
    def placed(
        cls, name: str, x_m: float, y_m: float, width_m: float, depth_m: float, orientation_deg: int
    ) -> "Footprint":
        """Return the footprint of an object with its lower left corner at (x, y)."""
        along_x, along_y = (depth_m, width_m) if orientation_deg in (90, 270) else (width_m, depth_m)
        return cls(name, x_m, y_m, x_m + along_x, y_m + along_y)


def check_place(footprint: Footprint, floor: Floor, others: Iterable[Footprint]) -> None:
    """Raise ValidationError if a footprint leaves the floor or covers another; names both sides."""
    if footprint.x1_m > floor.width_m + TOUCH_M:
        raise ValidationError(
            {
                "x_m": f"{_upper(footprint.name)} reaches x = {footprint.x1_m:.3g} m, but hall {floor.name} is "
                f"{floor.width_m:g} m wide."
            }
        )
    if footprint.y1_m > floor.depth_m + TOUCH_M:
        raise ValidationError(
            {
                "y_m": f"{_upper(footprint.name)} reaches y = {footprint.y1_m:.3g} m, but hall {floor.name} is "
                f"{floor.depth_m:g} m deep."
            }
        )
    if min(footprint.x0_m, footprint.y0_m) < -TOUCH_M:
        raise ValidationError(
            {"x_m": f"{_upper(footprint.name)} starts at ({footprint.x0_m:g}, {footprint.y0_m:g}) m, outside the hall."}
        )
    for other in others:
        x_m = min(footprint.x1_m, other.x1_m) - max(footprint.x0_m, other.x0_m)
        y_m = min(footprint.y1_m, other.y1_m) - max(footprint.y0_m, other.y0_m)
        if x_m > TOUCH_M and y_m > TOUCH_M:
            raise ValidationError(
                {"x_m": f"{_upper(footprint.name)} overlaps {other.name} by {x_m:.3g} m × {y_m:.3g} m."}
            )


def _upper(name: str) -> str:
    return name[:1].upper() + name[1:]


def overlapping_pairs(
    rectangles: NDArray[np.float64], *, n_first: int | None = None, most: int = 10_000
) -> list[tuple[int, int]]:
    """Return the pairs (i, j), i < j, of rectangles that overlap by more than a millimetre.

    Parameters
    ----------
    rectangles : ndarray, shape (n, 4)
        x0, y0, x1, y1 of each [m].
    n_first : int, optional
        Only pairs whose i is one of the first so many; none: all.
    most : int
        Stop looking once so many are found: a thousand objects on one place are half a million pairs.
    """
    pairs: list[tuple[int, int]] = []
    first = np.arange(len(rectangles) if n_first is None else n_first)
    for i, j in _side_by_side(rectangles[:, 0], rectangles[:, 2], first):
        y_m = np.minimum(rectangles[i, 3], rectangles[j, 3]) - np.maximum(rectangles[i, 1], rectangles[j, 1])
        found = (y_m > TOUCH_M) & (i < j)
        pairs += zip(i[found].tolist(), j[found].tolist(), strict=True)
        if len(pairs) >= most:
            break
    return sorted(pairs)[:most]


def clearances(
    rectangles: NDArray[np.float64], front_deg: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the clear width before and behind each object up to the next one, and which that is.

    Parameters
    ----------
    rectangles : ndarray, shape (n, 4)
        x0, y0, x1, y1 of each object [m].
    front_deg : ndarray, shape (n,)
        Direction of each front [°].

    Returns
    -------
    clear_m : ndarray, shape (2, n)
        Before and behind [m]; inf where nothing stands there.
    nearest : ndarray, shape (2, n)
        Index of that object, -1 where there is none.
    """
    clear_m, nearest = _clearances(
        np.asarray(rectangles, dtype=float).tobytes(), np.asarray(front_deg, dtype=np.int64).tobytes()
    )
    return clear_m.copy(), nearest.copy()


@lru_cache(maxsize=64)  # an edit changes one hall; the others are those of before
def _clearances(corners: bytes, fronts: bytes) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rectangles, front_deg = np.frombuffer(corners).reshape(-1, 4), np.frombuffer(fronts, dtype=np.int64)
    n = len(rectangles)
    clear_m, nearest = np.full((2, n), np.inf), np.full((2, n), -1)
    quarter = front_deg // 90
    # Objects that face along y are passed by what stands beside them in x, and the other way round.
    for across, along, first in ((0, 1, 0), (1, 0, 3)):
        facing = np.flatnonzero(quarter % 2 == across)
        low, high = rectangles[:, along], rectangles[:, along + 2]
        for i, j in _side_by_side(rectangles[:, across], rectangles[:, across + 2], facing):
            for gap, towards in ((low[i] - high[j], first), (low[j] - high[i], (first + 2) % 4)):
                seen = gap >= -TOUCH_M  # else it is on the other side
                side = np.where(quarter[i[seen]] == towards, 0, 1)
                _keep_closest(clear_m, nearest, side, i[seen], j[seen], gap[seen])
    return np.maximum(clear_m, 0), nearest


def _side_by_side(
    low: NDArray[np.float64], high: NDArray[np.float64], rows: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield, in parts, the pairs (i, j) of different objects, i of `rows`, whose intervals share over a millimetre."""
    if not len(low):
        return
    order = np.argsort(low, kind="stable")
    sorted_low, widest = low[order], float((high - low).max())
    start = np.searchsorted(sorted_low, low[rows] - widest, side="left")
    stop = np.searchsorted(sorted_low, high[rows], side="right")
    count = stop - start
    n_parts = max(1, -(-int(count.sum()) // MOST_PAIRS))
    for part in np.array_split(np.arange(rows.size), n_parts):
        each = count[part]
        i = np.repeat(rows[part], each)
        within = np.arange(each.sum()) - np.repeat(np.cumsum(each) - each, each)
        j = order[np.repeat(start[part], each) + within]
        beside = (np.minimum(high[i], high[j]) - np.maximum(low[i], low[j]) > TOUCH_M) & (i != j)
        yield i[beside], j[beside]


def _keep_closest(
    clear_m: NDArray[np.float64],
    nearest: NDArray[np.int64],
    side: NDArray[np.int64],
    i: NDArray[np.int64],
    j: NDArray[np.int64],
    gap_m: NDArray[np.float64],
) -> None:
    """Note the closest object of each (side, i), the first of several that are equally close."""
    order = np.lexsort((j, gap_m, i, side))
    side, i, j, gap_m = side[order], i[order], j[order], gap_m[order]
    first = np.flatnonzero(np.diff(side * clear_m.shape[1] + i, prepend=-1))
    clear_m[side[first], i[first]] = gap_m[first]
    nearest[side[first], i[first]] = j[first]
