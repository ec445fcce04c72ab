"""What the rules say about a layout: everything that a planner should know before building it.

Severity: *blocking* forbids building it as drawn, *risk* needs a decision, *hint* is worth knowing.
"""

from facility.findings.cooling import cooling_findings
from facility.findings.floor import floor_findings
from facility.findings.inventory import Inventory, take_inventory
from facility.findings.power import power_findings
from facility.findings.report import BLOCKING, HINT, RISK, Finding
from facility.models import Layout

__all__ = ["BLOCKING", "HINT", "RISK", "Finding", "Inventory", "findings", "take_inventory"]


def findings(layout: Layout) -> list[Finding]:
    """Return every finding of a layout, most severe first; a fixed number of queries whatever its size."""
    inventory = take_inventory(layout)
    found = [*floor_findings(inventory), *power_findings(inventory), *cooling_findings(inventory)]
    order = (BLOCKING, RISK, HINT)
    return sorted(found, key=lambda finding: order.index(finding.severity))
