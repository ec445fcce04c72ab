"""The one figure of a data sheet that says what a feed of this product may carry."""

from collections.abc import Mapping
from typing import Any

#: Facts that state it, first found first taken: continuous ratings before those for a time.
CONTINUOUS = ("continuous_power_w", "continuous_w", "rating_w", "power_w")


def continuous_rating_w(facts: Mapping[str, Any]) -> float | None:
    """Return what one unit carries continuously [W], by its apparent power where the sheet has it; None if unstated."""
    if facts.get("rating_va"):
        return float(facts["rating_va"]) * float(facts.get("output_power_factor") or 1.0)
    return next((float(facts[name]) for name in CONTINUOUS if facts.get(name)), None)
