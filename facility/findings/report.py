"""What a finding is.

Severity: *blocking* forbids building it as drawn, *risk* needs a decision, *hint* is worth knowing.
"""

from dataclasses import dataclass

BLOCKING, RISK, HINT = "blocking", "risk", "hint"


@dataclass(frozen=True, slots=True)
class Finding:
    """One object that breaks one rule, with its value against the limit."""

    object_kind: str  # rack, cdu, hall, air_unit or floor_feature
    object_id: int | None
    object_name: str
    rule: str
    severity: str
    value: float | None
    limit: float | None
    unit: str
    message: str
