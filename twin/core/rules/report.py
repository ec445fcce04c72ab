"""What a finding of the rules is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One object that breaks one rule, with its value against the limit."""

    object_kind: str  # rack, cdu, power_feed, hall, cooling_plant, air_unit, floor_feature or site
    object_id: int | None
    object_name: str
    rule: str
    severity: str  # blocking forbids building it as drawn, risk needs a decision, hint is worth knowing
    value: float | None
    limit: float | None
    unit: str
    message: str


def kilowatts(power_w: float) -> str:
    """Return a power as planners write it."""
    return f"{power_w / 1e6:,.2f} MW" if power_w >= 1e6 else f"{power_w / 1e3:,.4g} kW"
