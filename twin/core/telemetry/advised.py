"""What an advice found. Loads no solver: pages and programs read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Figures that an advice states the change of.
GAINS = (
    "good_tokens_per_joule",
    "tokens_per_joule",
    "cost_per_million_good_tokens_usd",
    "cost_per_million_output_tokens_usd",
    "good_tokens_per_s",
    "output_tokens_per_s",
    "mean_power_w",
    "pue",
)
# Those that it can be asked to raise: tokens per watt, or per dollar.
RAISED = ("good_tokens_per_joule", "tokens_per_joule", *(name for name in GAINS if name.startswith("cost_")))


@dataclass(frozen=True, slots=True, eq=False)
class Advice:
    """What an advice found. `rows` has the shape of `advise --json`; they are taken in this order."""

    figure: str
    rows: tuple[dict[str, Any], ...]
    refused: tuple[dict[str, Any], ...]
    before: Mapping[str, float | None]
    after: Mapping[str, float | None]
    calibrated: int  # parameters that were accepted for the layout

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "figure": self.figure,
            "advice": list(self.rows),
            "refused": list(self.refused),
            "before": {name: self.before[name] for name in GAINS},
            "after": {name: self.after[name] for name in GAINS},
            "calibrated": self.calibrated,
        }
