"""The one-line diagram and the loops of a report: a run's own snapshot, solved at its design hour.

The drawings are those of the pages (`twin.core.diagrams.one_line`, `twin.core.diagrams.loop`), set as shapes.
"""

from twin.core.diagrams.loop import loop_diagram
from twin.core.diagrams.one_line import one_line
from twin.core.diagrams.readings import Readings
from twin.core.diagrams.rows import cdu_rows, feed_rows, hall_rows, plant_rows, rack_rows
from twin.core.diagrams.schematic import Node, Schematic, Slot
from twin.core.inputs.design_hour import design_kind
from twin.core.inputs.layout import LayoutInputs
from twin.core.report.shapes import BAD, FAINT, GRID, INK, PAPER, Drawing, Line, Rect, Text, category
from twin.core.solve.object_states import object_tables, totals
from twin.core.solve.simulate import described
from twin.core.solve.steady import DESIGN, solve_steady

WIRE_COLOURS = {
    "supply": category(1),
    "return": category(6),
    "air-supply": category(5),
    "air-return": category(2),
}
#: One letter for each symbol that the pages draw, in the box left of a block's text.
SIGNS = {
    "utility": "~",
    "generator": "G",
    "transformer": "T",
    "ups": "U",
    "battery": "B",
    "switchboard": "S",
    "busway": "=",
    "pdu": "L",
    "racks": "R",
    "fan": "F",
    "tower": "K",
    "dry-cooler": "D",
    "chiller": "C",
    "pump": "P",
    "exchanger": "X",
    "coil": "A",
}
TEXT_SIZE = 9.5
CALLED = {"ups": "UPS", "pdu": "PDU", "dry-cooler": "dry cooler"}
LETTERS = "Letters: " + ", ".join(f"{sign} {CALLED.get(name, name)}" for name, sign in SIGNS.items()) + "."


def diagrams(inputs: LayoutInputs) -> tuple[Drawing, ...]:
    """Return the one-line diagram and the loops of a snapshot with what its design hour solves to.

    Raises
    ------
    ValueError
        If the snapshot cannot be solved.
    """
    steady = solve_steady(described(inputs), [DESIGN])
    readings = Readings(object_tables(steady), totals(steady))
    rows = rack_rows(inputs)
    power = one_line(feed_rows(inputs), rows)
    loops = loop_diagram(plant_rows(inputs), cdu_rows(inputs), hall_rows(inputs), rows)
    moment = f"at the design hour: busiest load in {design_kind(inputs.layout).name}"
    drawn = [(f"One-line diagram, {moment}", power), (f"Cooling loops, {moment}", loops)]
    return tuple(as_drawing(title, schematic, readings) for title, schematic in drawn if schematic.nodes)


def as_drawing(title: str, schematic: Schematic, readings: Readings) -> Drawing:
    """Return a schematic as shapes with its readings at the first solved hour."""
    drawing = Drawing(title, schematic.width, schematic.height, f"{title}. {len(schematic.nodes)} symbols.")
    for box in schematic.boxes:
        drawing.add(_frame(box.x, box.y, box.width, box.height), Text(box.x + 6, box.y + 10, box.label, 9, fill=FAINT))
    for wire in schematic.wires:
        dashes = (5.0, 3.0) if wire.kind == "standby" else ()
        drawing.add(Line(wire.points, WIRE_COLOURS.get(wire.kind, FAINT), 1.1, dashes))
    for node in schematic.nodes:
        _node(drawing, node, readings)
    return drawing


def _frame(x: float, y: float, width: float, height: float) -> Line:
    corners = ((x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y))
    return Line(corners, category(8), 0.7, (2.0, 2.0))


def _node(drawing: Drawing, node: Node, readings: Readings) -> None:
    shown = readings.shown(node, 0)
    over = shown.state not in ("ok", "partly")
    drawing.add(Rect(node.x, node.y, node.width, node.height, PAPER, BAD if over else GRID, 1.4 if over else 0.8))
    size = min(node.symbol_size, node.height - 8)
    if node.symbol:
        x, y = node.x + 4, node.symbol_y
        drawing.add(Rect(x, y, size, size, PAPER, INK, 0.9))
        drawing.add(Text(x + size / 2, y + size * 0.7, SIGNS.get(node.symbol, "?"), size * 0.6, "middle", bold=True))
    for slot, text in zip(node.slots, shown.texts, strict=True):
        _slot(drawing, slot, text)
    if node.bar:
        x, y, width = node.bar
        drawing.add(
            Rect(x, y, width, 3, GRID), Rect(x, y, max(width * shown.bar, 0.01), 3, BAD if over else category(1))
        )


def _slot(drawing: Drawing, slot: Slot, text: str) -> None:
    if text:
        faint = slot.kind.startswith("note") or slot.kind == "tag"
        drawing.add(Text(slot.x, slot.y, text, TEXT_SIZE, slot.anchor, FAINT if faint else INK, slot.kind == "title"))
