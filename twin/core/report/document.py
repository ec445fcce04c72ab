"""A report as data: sections with text, tables and drawings. Page, PDF and spreadsheet all render this.

Cells hold full values in SI. A column says what they are; `cell_text` is how page and PDF show one, the spreadsheet
keeps the number and puts the unit into its head. So the three cannot disagree.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from power_cooling.site_facts.confidence import confidence_label
from power_cooling.site_facts.units import US, shown, unit_system
from twin.core.report.shapes import Drawing
from twin.core.text.numbers import MISSING, is_number, quantity_text

STORED_UNITS = {"%": "fraction", "Wh": "J"}  # what a value is kept in, where that is not what is shown
TEXT, NUMBER, COUNT, YEAR, UNIT, MARK = "text", "number", "count", "year", "unit", "mark"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. A number's unit is the column's, or that of the row's cell under the head `unit_from`."""

    head: str
    kind: str = TEXT
    unit: str = ""
    unit_from: str = ""

    @property
    def is_number(self) -> bool:
        """Whether its cells stand right."""
        return self.kind in (NUMBER, COUNT, YEAR)

    @property
    def stored_unit(self) -> str:
        """Unit of the values as they are kept."""
        return stored_unit(self.unit)


def stored_unit(unit: str) -> str:
    """Return the unit of a spreadsheet's numbers: the one they are kept in, for readers of US units theirs."""
    if unit_system() == US and (other := shown(unit)) is not None:
        return other.unit
    return STORED_UNITS.get(unit, unit)


def stored_number(value: float, unit: str) -> float:
    """Return a number as a spreadsheet holds it, in `stored_unit`."""
    if unit_system() == US and (other := shown(unit)) is not None:
        return other.number(value)
    return value


@dataclass(slots=True)
class Table:
    """A table; `n_shown` rows stand in page and PDF, all of them in the spreadsheet."""

    name: str  # of the sheet
    title: str
    columns: tuple[Column, ...]
    rows: list[list[Any]]
    note: str = ""
    n_shown: int | None = None
    empty: str = "None."

    @property
    def shown(self) -> list[list[Any]]:
        """Rows of page and PDF."""
        return self.rows if self.n_shown is None else self.rows[: self.n_shown]

    @property
    def left_out(self) -> str:
        """What page and PDF say of the rows that only the spreadsheet has."""
        if len(self.shown) == len(self.rows):
            return ""
        if not self.shown:
            return f"{len(self.rows):,} rows, in the spreadsheet."
        return f"{len(self.shown):,} of {len(self.rows):,} rows; all of them are in the spreadsheet."

    @property
    def visible(self) -> list[int]:
        """Positions of the columns that page and PDF show: units stand beside their numbers there."""
        return [i for i, column in enumerate(self.columns) if column.kind != UNIT]

    def text_rows(self) -> Iterator[list[str]]:
        """Yield the shown rows as texts of the visible columns."""
        units = {column.head: i for i, column in enumerate(self.columns)}
        visible = [(i, self.columns[i], units.get(self.columns[i].unit_from)) for i in self.visible]
        for row in self.shown:
            yield [cell_text(row[i], column, column.unit if at is None else row[at]) for i, column, at in visible]


@dataclass(frozen=True, slots=True)
class Card:
    """One headline figure."""

    label: str
    value: str
    band: str
    meaning: str


@dataclass(slots=True)
class Section:
    """One part of the report."""

    title: str
    texts: list[str] = field(default_factory=list)
    cards: list[Card] = field(default_factory=list)
    drawings: list[Drawing] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


@dataclass(slots=True)
class Report:
    """The whole report. `facts` stand on the cover, `warnings` in a frame above everything."""

    title: str
    subtitle: str
    facts: list[tuple[str, str]]
    sections: list[Section]
    warnings: list[str] = field(default_factory=list)

    @property
    def tables(self) -> list[Table]:
        """All tables in order."""
        return [table for section in self.sections for table in section.tables]


def cell_text(value: Any, column: Column, unit: str) -> str:
    """Return a cell as page and PDF show it."""
    if column.kind == MARK:
        return confidence_label(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name.replace('_', ' ')} {entry}" for name, entry in value.items() if entry is not None)
    if isinstance(value, list | tuple):
        return ", ".join(f"{entry:g}" if isinstance(entry, int | float) else str(entry) for entry in value)
    if column.kind == COUNT and is_number(value):
        return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
    if column.kind == NUMBER:
        return quantity_text(value, unit) if not isinstance(value, str) else value
    return MISSING if value is None else str(value)


def numbers(*heads: tuple[str, str]) -> tuple[Column, ...]:
    """Return columns of numbers from (head, unit)."""
    return tuple(Column(head, NUMBER, unit) for head, unit in heads)


def rows_of(entries: Sequence[Any], *names: str) -> list[list[Any]]:
    """Return objects as rows of the named attributes."""
    return [[getattr(entry, name) for name in names] for entry in entries]
