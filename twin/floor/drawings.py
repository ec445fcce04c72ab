"""The diagrams of a layout as it is described now."""

from facility.models import Layout
from twin.core.diagrams.loop import loop_diagram
from twin.core.diagrams.one_line import one_line
from twin.core.diagrams.schematic import Schematic
from twin.floor import diagram_rows as described


def draw_one_line(layout: Layout) -> Schematic:
    """Return the one-line diagram of a layout."""
    return one_line(described.feed_rows(layout), described.rack_rows(layout))


def draw_loop(layout: Layout) -> Schematic:
    """Return the loop diagram of a layout."""
    return loop_diagram(
        described.plant_rows(layout),
        described.cdu_rows(layout),
        described.hall_rows(layout),
        described.rack_rows(layout),
    )
