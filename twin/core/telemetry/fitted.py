"""What a fit of a layout's parameters to its readings found. Loads no solver: pages and accepted layouts read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

# Parameters that are fitted where none is named.
DEFAULT = ("sensor_bias", "ua_frac", "ups_loss_frac", "transformer_loss_frac")


@dataclass(frozen=True, slots=True, eq=False)
class LayoutFit:
    """What a layout's calibration found. `as_json` has the shape of `calibrate_telemetry --json`."""

    parameters: tuple[dict[str, Any], ...]
    scores: Mapping[str, dict[str, Any]]
    accepted: bool
    reason: str
    n_times: int
    n_held_out: int
    load_from: str
    faults: tuple[dict[str, Any], ...] = ()  # that the same readings show against the description

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "parameters": list(self.parameters),
            "scores": dict(self.scores),
            "accepted": self.accepted,
            "reason": self.reason,
            "times": self.n_times,
            "times_held_out": self.n_held_out,
            "load_from": self.load_from,
            "faults": list(self.faults),
        }

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> Self:
        """Return the fit that `as_json` spelled."""
        return cls(
            tuple(answer["parameters"]),
            answer["scores"],
            answer["accepted"],
            answer["reason"],
            answer["times"],
            answer["times_held_out"],
            answer["load_from"],
            tuple(answer.get("faults", ())),
        )
