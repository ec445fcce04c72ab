"""What a report's drawings are made of: plain shapes on a sheet, in points (1/72 inch), right and down.

One description becomes SVG in the page and paths in the PDF, so that both show the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

INK, FAINT, GRID, PAPER = "#14191f", "#59636d", "#d8dce1", "#ffffff"
#: Okabe-Ito, in the order of the page's tokens `--cat-1` to `--cat-8`.
CATEGORIES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a7f00", "#6b7178")
BAD = "#a3241a"


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle; `hatched` adds diagonal lines, the sign of an overload."""

    x: float
    y: float
    width: float
    height: float
    fill: str = ""
    stroke: str = ""
    stroke_width: float = 0.5
    hatched: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points."""

    points: tuple[tuple[float, float], ...]
    stroke: str = INK
    width: float = 0.75
    dashes: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Area:
    """A filled shape with straight edges."""

    points: tuple[tuple[float, float], ...]
    fill: str


@dataclass(frozen=True, slots=True)
class Band:
    """A flow from a height at x0 to a height at x1, of one thickness, drawn as an S."""

    x0: float
    y0: float
    x1: float
    y1: float
    thickness: float
    fill: str


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text; `y` is its baseline."""

    x: float
    y: float
    text: str
    size: float = 8
    anchor: str = "start"  # start, middle or end
    fill: str = INK
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Cells:
    """A grid of cells coloured by level; -1 leaves a cell empty. `levels` has one row per row of cells."""

    x: float
    y: float
    cell_width: float
    cell_height: float
    levels: Sequence[Sequence[int]]
    colours: tuple[str, ...]


Shape = Rect | Line | Area | Band | Text | Cells


@dataclass(slots=True)
class Drawing:
    """One drawing. `alt` says in words what it shows; a table with the same numbers stands beside it."""

    title: str
    width: float
    height: float
    alt: str
    shapes: list[Shape] = field(default_factory=list)

    def add(self, *shapes: Shape) -> None:
        """Put shapes on top."""
        self.shapes.extend(shapes)


def category(number: int) -> str:
    """Return a category's colour, numbered from 1 as on the page."""
    return CATEGORIES[number - 1]


def cell_runs(levels: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return a row of cells as (level, first, count) of equal neighbours, without empty ones."""
    runs: list[tuple[int, int, int]] = []
    for i, level in enumerate(levels):
        if runs and runs[-1][0] == level and runs[-1][1] + runs[-1][2] == i:
            runs[-1] = (level, runs[-1][1], runs[-1][2] + 1)
        elif level >= 0:
            runs.append((level, i, 1))
    return runs


def hatching(rect: Rect, step: float = 3.0) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Return the diagonal lines across a rectangle."""
    n_lines = int((rect.width + rect.height) / step)
    along = [step * (i + 0.5) for i in range(n_lines)]
    return [
        (
            (rect.x + max(0.0, t - rect.height), rect.y + min(t, rect.height)),
            (rect.x + min(t, rect.width), rect.y + max(0.0, t - rect.width)),
        )
        for t in along
    ]
