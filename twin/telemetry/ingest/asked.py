"""What a source that is asked has answered, whatever it speaks."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.core.telemetry.prometheus import Points
from twin.core.telemetry.quantities import QUANTITIES

Column = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.uint8]]  # times [ms since 1970], values, quality


@dataclass(slots=True)
class Asked:
    """A part of an answer; parts are stored together, all or none, with the one that says up to when they are.

    `points` has the readings of each with the unit that they are in, blank: that of the mapping; `said` what the source
    says of its points; `left_out` what was not read, why, and how many values.
    """

    points: dict[str, tuple[str, Column]] = field(default_factory=dict)
    said: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: list[tuple[str, str, int]] = field(default_factory=list)
    read_to: dt.datetime | None = None  # where the next question begins, once this is stored


def of_points(asked: Asked, found: Points) -> None:
    """Add the points of Prometheus series to an answer; one that is in it already is left out."""
    asked.left_out += [(what, f"{what} {reason}", n) for what, reason, n in found.left_out]
    for point, column in found.points.items():
        quantity = found.quantity[point]
        if point in asked.points:
            asked.left_out.append((point, f"{point} is in the answer of another query too", column[0].size))
            continue
        asked.points[point] = (QUANTITIES[quantity].unit if quantity else "", column)
        asked.said[point] = {"quantity": quantity}
