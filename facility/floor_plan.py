"""Geometry of the floor: what covers which rectangle, what overlaps, how wide the aisles are.

x runs along the hall's width, y along its depth; the origin is the lower left corner. An object's front faces smaller y
at 0°, larger x at 90°, larger y at 180° and smaller x at 270°; at 90° and 270° its width runs along y.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from django.core.exceptions import ValidationError
from numpy.typing import NDArray

TOUCH_M = 1e-3  # racks of a row touch; positions typed in millimetres must not count as overlap
BLOCK = 512  # rows of the pairwise comparisons at a time: 4,000 racks stay within some 20 MB


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
    def of(cls, name: str, x_m: float, y_m: float, width_m: float, depth_m: float, orientation_deg: int) -> "Footprint":
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


def overlapping_pairs(rectangles: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return the pairs (i, j), i < j, of rectangles that overlap by more than a millimetre.

    Parameters
    ----------
    rectangles : ndarray, shape (n, 4)
        x0, y0, x1, y1 of each [m].
    """
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(rectangles), BLOCK):
        part = rectangles[start : start + BLOCK, None, :]
        x_m = np.minimum(part[..., 2], rectangles[:, 2]) - np.maximum(part[..., 0], rectangles[:, 0])
        y_m = np.minimum(part[..., 3], rectangles[:, 3]) - np.maximum(part[..., 1], rectangles[:, 1])
        i, j = np.nonzero((x_m > TOUCH_M) & (y_m > TOUCH_M))
        pairs += [(int(a) + start, int(b)) for a, b in zip(i, j, strict=True) if a + start < b]
    return pairs


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
    n = len(rectangles)
    clear_m, nearest = np.full((2, n), np.inf), np.full((2, n), -1)
    for start in range(0, n, BLOCK):
        part = rectangles[start : start + BLOCK, None, :]
        own = np.arange(start, start + len(part))
        beside_x = np.minimum(part[..., 2], rectangles[:, 2]) - np.maximum(part[..., 0], rectangles[:, 0]) > TOUCH_M
        beside_y = np.minimum(part[..., 3], rectangles[:, 3]) - np.maximum(part[..., 1], rectangles[:, 1]) > TOUCH_M
        # Gap towards smaller y, larger x, larger y, smaller x: the order of 0°, 90°, 180°, 270°.
        gaps = np.stack(
            [
                np.where(beside_x, part[..., 1] - rectangles[:, 3], np.inf),
                np.where(beside_y, rectangles[:, 0] - part[..., 2], np.inf),
                np.where(beside_x, rectangles[:, 1] - part[..., 3], np.inf),
                np.where(beside_y, part[..., 0] - rectangles[:, 2], np.inf),
            ]
        )
        gaps[gaps < -TOUCH_M] = np.inf  # on the other side
        gaps[:, np.arange(len(part)), own] = np.inf
        quarter = front_deg[own] // 90
        for side, turn in ((0, 0), (1, 2)):
            chosen = gaps[(quarter + turn) % 4, np.arange(len(part))]
            closest = chosen.argmin(axis=1)
            width = chosen[np.arange(len(part)), closest]
            clear_m[side, own] = np.maximum(width, 0)
            nearest[side, own] = np.where(np.isfinite(width), closest, -1)
    return clear_m, nearest
