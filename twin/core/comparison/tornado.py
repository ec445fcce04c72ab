"""Rows of a tornado, as they are stored and shown; `sensitivity` computes them. Loads no solver."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import log
from typing import Any

FIGURES = ("cost_per_million_good_tokens_usd", "tokens_per_joule", "availability_frac")
N_SHOWN = 12  # of a figure, on page and in report


@dataclass(frozen=True, slots=True)
class SensitivityRow:
    """One input at both ends of its range, and one figure there."""

    input: str
    low: float | str
    high: float | str
    unit: str
    source: str
    confidence: str
    figure: str
    figure_low: float | None
    figure_high: float | None
    value: float | str | None = None  # as the input stands

    @property
    def swing(self) -> float:
        """How far the figure moves, in logarithms; infinite where one end has no value."""
        if self.figure_low is None or self.figure_high is None:
            return float("inf") if self.figure_low is not self.figure_high else 0.0
        if min(self.figure_low, self.figure_high) <= 0:
            return abs(self.figure_high - self.figure_low)
        return abs(log(self.figure_high / self.figure_low))


def most_moving(rows: Sequence[SensitivityRow], figure: str, n: int = N_SHOWN) -> list[SensitivityRow]:
    """Return the inputs that move one figure most."""
    return sorted((row for row in rows if row.figure == figure), key=lambda row: -row.swing)[:n]


def as_json(rows: list[SensitivityRow]) -> list[dict[str, Any]]:
    """Return the rows as the command and the API write them."""
    return [asdict(row) for row in rows]
