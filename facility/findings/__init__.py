"""What the rules say about the floors of a layout: places, aisles, weight.

What the rules of power and cooling say is computed in `twin.core.rules`; `twin.runs.findings` has all of them.
"""

from facility.findings.floor import floor_findings
from facility.findings.inventory import RACK_COLUMNS, Inventory, take_inventory
from facility.findings.report import BLOCKING, HINT, RISK, Finding

__all__ = ["BLOCKING", "HINT", "RACK_COLUMNS", "RISK", "Finding", "Inventory", "floor_findings", "take_inventory"]
