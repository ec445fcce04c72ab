"""What a rack draws and a feed carries by its data sheets."""

from collections.abc import Mapping
from typing import Any

#: Facts that state what a feed carries, first found first taken: continuous ratings before those for a time.
CONTINUOUS = ("continuous_power_w", "continuous_w", "rating_w", "power_w")


def continuous_rating_w(facts: Mapping[str, Any]) -> float | None:
    """Return what one unit carries continuously [W], by its apparent power where the sheet has it; None if unstated."""
    if facts.get("rating_va"):
        return float(facts["rating_va"]) * float(facts.get("output_power_factor") or 1.0)
    return next((float(facts[name]) for name in CONTINUOUS if facts.get(name)), None)


def nameplate_w(facts: Mapping[str, Any], n_systems: float, other_power_w: float) -> float:
    """Return the nameplate power of a rack [W].

    Parameters
    ----------
    facts : mapping
        Of the product that its systems are of.
    n_systems : float
        Systems in the rack.
    other_power_w : float
        Power of what else is in it [W].
    """
    return float(facts.get("max_power_w") or 0.0) * n_systems + other_power_w
