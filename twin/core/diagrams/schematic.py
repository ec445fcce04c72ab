"""What a diagram is made of: symbols with a few lines of text, wires between them, boxes around redundant ones.

Plain geometry in pixels, right and down. A node names what it shows as readings (a quantity of some rows of the state);
`readings` turns them into text, so that the drawing stays the same whatever the hour and whatever has failed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

CHARACTER_PX = 6.0  # of 11 px system sans; titles are cut by it before they meet what stands beside
BLOCK_WIDTH, BLOCK_HEIGHT = 148.0, 76.0
TEXT_INDENT = 38.0  # right of a block's symbol
STATE = "state"  # the kind of slot that holds the word of the node's state
SQUARE, SQUARE_PITCH, MOST_SQUARES = 8.0, 10.0, 11  # units are drawn one by one up to this many


@dataclass(frozen=True, slots=True)
class Reading:
    """One number of the state: a quantity of rows of one table, taken together by `how`.

    `how` is sum, mean, max or min. The table "totals" has one row, whose id is not asked for.
    """

    table: str
    ids: tuple[int, ...]
    quantity: str
    unit: str
    how: str = "sum"


@dataclass(frozen=True, slots=True)
class Slot:
    """One line of text. `pattern` has a `{}` for each reading; a line all of whose readings are missing is empty."""

    x: float
    y: float
    pattern: str
    readings: tuple[Reading, ...] = ()
    anchor: str = "start"
    kind: str = ""  # style: title, tag, state, value (shows a change in a drill), flat (does not), supply, return, flow


@dataclass(frozen=True, slots=True)
class Square:
    """One of a node's equal units. `token` names it for the failure drill, e.g. "cdu:12"."""

    x: float
    y: float
    name: str
    token: str


@dataclass(frozen=True, slots=True)
class Node:
    """One symbol with its text. `token` is what fails when the whole node fails, e.g. "feed:83:5"."""

    key: str
    symbol: str
    kind: str  # what it is, as addresses of parts name it: feed, cdu, plant, hall, racks
    ids: tuple[int, ...]
    title: str
    x: float
    y: float
    width: float
    height: float
    symbol_size: float
    slots: tuple[Slot, ...]
    table: str = ""  # of the state, where the node's own state (ok, over, dead …) is found
    over_word: str = "over"  # what is said where the state is over
    out_column: str = ""  # of the table, where the number of units out of service is found
    token: str = ""
    n_units: int = 1
    squares: tuple[Square, ...] = ()
    note: str = ""  # said on hover and in the table: rating, product, redundancy
    bar: tuple[float, float, float] | None = None  # x, y, width
    load: Reading | None = None  # what the bar shows, 1 at the limit

    @property
    def symbol_x(self) -> float:
        """Left of the symbol."""
        return self.x + (3 if self.height < 40 else 5)

    @property
    def symbol_y(self) -> float:
        """Top of the symbol."""
        return self.y + (self.height - self.symbol_size) / 2 if self.height < 40 else self.y + 6

    @property
    def middle(self) -> float:
        """Height at which wires meet it."""
        return self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class Wire:
    """A line along `points`. It takes the state of the node that it feeds."""

    points: tuple[tuple[float, float], ...]
    key: str
    kind: str = ""  # standby, supply, return, air-supply, air-return

    @property
    def path(self) -> str:
        """The points as SVG writes a path."""
        return "M" + "L".join(f"{x:g} {y:g}" for x, y in self.points)


@dataclass(frozen=True, slots=True)
class Box:
    """A frame around nodes that back each other up, or around one loop."""

    x: float
    y: float
    width: float
    height: float
    label: str
    kind: str = "group"


@dataclass(slots=True)
class Schematic:
    """A whole drawing."""

    nodes: list[Node] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0

    def node(self, key: str) -> Node:
        """Return the node of a key."""
        return next(node for node in self.nodes if node.key == key)


def cut(text: str, width: float, character: float = CHARACTER_PX) -> str:
    """Return a title that fits into a width; the whole of it is shown on hover."""
    n = max(int(width / character), 2)
    return text if len(text) <= n else text[: n - 1].rstrip() + "…"


def squares(x: float, y: float, names: Iterable[tuple[str, str]]) -> tuple[Square, ...]:
    """Return a row of unit squares from (name, token); none where they would be too many to tell apart."""
    wanted = list(names)
    if not 1 < len(wanted) <= MOST_SQUARES:
        return ()
    return tuple(Square(x + i * SQUARE_PITCH, y, name, token) for i, (name, token) in enumerate(wanted))


def block(
    key: str,
    symbol: str,
    x: float,
    y: float,
    title: str,
    lines: Iterable[tuple[str, tuple[Reading, ...]]],
    *,
    kind: str,
    ids: tuple[int, ...],
    table: str = "",
    over_word: str = "over",
    out_column: str = "",
    token: str = "",
    n_units: int = 1,
    units: Iterable[tuple[str, str]] = (),
    note: str = "",
    load: Reading | None = None,
    beside: tuple[Slot, ...] = (),
    width: float = BLOCK_WIDTH,
) -> Node:
    """Return a node of the large kind: symbol, title and up to three lines beside it, units and a bar below.

    Parameters
    ----------
    lines : iterable of (pattern, readings)
        Text below the title.
    units : iterable of (name, token)
        Its equal units, drawn as squares.
    beside : tuple of Slot
        Text on its pipes.
    """
    left = x + TEXT_INDENT
    # The word of the state stands above the frame, where nothing else is.
    slots = [Slot(x + width, y - 5, "", anchor="end", kind=STATE)]
    slots += [Slot(left, y + 14, cut(title, width - TEXT_INDENT - 4, 6.4), kind="title")]
    slots += [Slot(left, y + 28 + 13 * i, text, readings, kind="value") for i, (text, readings) in enumerate(lines)]
    return Node(
        key=key,
        symbol=symbol,
        kind=kind,
        ids=ids,
        title=title,
        x=x,
        y=y,
        width=width,
        height=BLOCK_HEIGHT,
        symbol_size=28,
        slots=(*slots, *beside),
        table=table,
        over_word=over_word,
        out_column=out_column,
        token=token,
        n_units=n_units,
        squares=squares(x + 4, y + BLOCK_HEIGHT - 16, units),
        note=note,
        bar=(x, y + BLOCK_HEIGHT - 4, width) if load else None,
        load=load,
    )
