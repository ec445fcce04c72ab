"""Symbols of a diagram as a template writes them: what they say, where their links lead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twin.core.diagrams.schematic import Node, Schematic, Slot, Square, Wire
from twin.core.text.numbers import quantity_text

if TYPE_CHECKING:  # readings bring the solvers, which a page without a solved hour does not need
    from twin.core.diagrams.readings import Shown


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol as a template writes it. Squares are (square, is out, address, what a link to it says)."""

    node: Node
    state: str
    lines: list[tuple[Slot, str]]
    bar_width: float
    href: str
    squares: Sequence[tuple[Square, bool, str, str]] = ()
    label: str = ""  # what a link says instead of the symbol's text
    shown: "Shown | None" = None


def symbol(node: Node, shown: "Shown", href: str, squares: Sequence[tuple[Any, ...]] = (), label: str = "") -> Symbol:
    """Return a symbol with its texts.

    Parameters
    ----------
    node : Node
        What is drawn.
    shown : Shown
        What it reads at the hour.
    href, label : str
        Where its link leads, and what the link is called.
    squares : sequence of tuple
        (square, is out, address, label of the link) of its units.
    """
    lines = list(zip(node.slots, shown.texts, strict=True))
    width = round(shown.bar * node.bar[2], 1) if node.bar else 0.0
    return Symbol(node, shown.state, lines, width, href, squares, label, shown)


def unsolved(node: Node, href: str) -> Symbol:
    """Return a symbol with its name only."""
    lines = [(slot, slot.pattern if not slot.readings else "") for slot in node.slots]
    return Symbol(node, "unsolved", lines, 0.0, href)


def wires(drawing: Schematic, symbols: Sequence[Symbol]) -> list[tuple[Wire, str]]:
    """Return each wire with the state of what it feeds."""
    state_of = {symbol.node.key: symbol.state for symbol in symbols}
    return [(wire, state_of[wire.key]) for wire in drawing.wires]


def weather_text(hour: Mapping[str, Any]) -> str:
    """Return weather and load of an hour, such as "33.1 °C, wet bulb 24.0 °C, load 93 %"; of a design hour which."""
    dry, wet = quantity_text(hour["dry_bulb_degc"], "°C"), quantity_text(hour["wet_bulb_degc"], "°C")
    named = f"{hour['design']}: " if hour.get("design") else ""
    return f"{named}{dry}, wet bulb {wet}, load {quantity_text(hour['load_frac'], '%')}"
