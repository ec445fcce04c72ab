"""What a source that is asked has answered, whatever it speaks."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
