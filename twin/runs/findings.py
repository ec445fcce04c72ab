"""What the rules say of a layout as it is described now: the floor's own, and those that compute."""

from dataclasses import dataclass, replace

from facility.findings import RACK_COLUMNS, Inventory, floor_findings, take_inventory
from facility.models import Layout, Site
from twin.core.inputs.layout import LayoutInputs
from twin.core.rules.findings import rule_findings
from twin.core.rules.report import Finding
from twin.runs.found import ORDER, values_of
from twin.runs.snapshot import description


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """A layout as the rules read it: nothing behind it asks the database."""

    site_id: int
    inventory: Inventory
    inputs: LayoutInputs


def read_for_rules(layout: Layout, read: LayoutInputs | None = None) -> Read:
    """Return a layout as the rules read it; a fixed number of queries whatever its size.

    Parameters
    ----------
    layout : Layout
    read : LayoutInputs, optional
        The layout as it has just been read under a scenario; read again where that has other weather than the site.
    """
    if read is None or read.weather.slug != Site.objects.values_list("weather__slug", flat=True).get(pk=layout.site_id):
        read = description(layout)
    inventory = take_inventory(layout, {name: getattr(read.racks, name) for name in RACK_COLUMNS}, read.products.by_id)
    return Read(layout.site_id, inventory, read)


def judged(read: Read) -> list[Finding]:
    """Return every finding of a layout that has been read, most severe first."""
    found = [Finding(*values_of(finding)) for finding in floor_findings(read.inventory)] + rule_findings(read.inputs)
    found = [replace(f, object_id=read.site_id) if f.object_kind == "site" else f for f in found]
    return sorted(found, key=lambda finding: ORDER.index(finding.severity))


def layout_findings(layout: Layout, read: LayoutInputs | None = None) -> list[Finding]:
    """Return every finding of a layout, most severe first; `read` as `read_for_rules` takes it."""
    return judged(read_for_rules(layout, read))
