"""Plain tables of measured values: CSV, TSV and Parquet, as loggers, cluster exports and building systems write.

Nothing is guessed silently: a column that is not there, a cell that is no number and a date that reads two ways are
named, with the row where they stand.
"""

import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.core.telemetry.parquet import MAX_CELLS, is_parquet, parquet_columns

FloatArray = NDArray[np.float64]

MAX_BYTES = 2_000_000_000  # unpacked; more belongs into the store
MAX_COLUMNS = 20_000  # a hall of a thousand racks has six points each
DELIMITERS = ",\t;|"
# What exports write where there is no value.
BLANKS = frozenset({"", "-", "--", "na", "n/a", "nan", "none", "null", "#value!", "#n/a", "[n/a]", "[not supported]"})
TRUE, FALSE = frozenset({"true", "on", "yes"}), frozenset({"false", "off", "no"})


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text cells: `columns` by name in file order, each with `n_rows` cells."""

    name: str  # of the file, for messages
    columns: Mapping[str, tuple[str, ...]]
    n_rows: int
    left_out: int  # lines with fewer cells than the header, such as "(23371 rows affected)"

    def has(self, name: str) -> bool:
        """Whether there is a column of this name."""
        return name in self.columns

    def cells(self, name: str) -> tuple[str, ...]:
        """Return the cells of a column."""
        if name not in self.columns:
            raise ValueError(f"{self.name} has no column {name}; it has {listed(self.columns)}")
        return self.columns[name]

    def numbers(self, name: str) -> FloatArray:
        """Return a column as numbers, blanks as NaN.

        A number may carry a unit behind it, as nvidia-smi prints ("73.31 W"), and a decimal comma where the table is
        not separated by commas.

        Raises
        ------
        ValueError
            If a cell is neither blank nor a number, naming column, row and cell.
        """
        cells = self.cells(name)
        try:
            return np.array([float(cell) if cell else np.nan for cell in cells])
        except ValueError:
            return np.array([_number(cell, self.name, name, row) for row, cell in enumerate(cells)])

    def number_names(self) -> tuple[str, ...]:
        """Return the names of the columns that hold numbers only, and at least one."""
        names = []
        for name in self.columns:
            try:
                values = self.numbers(name)
            except ValueError:
                continue
            if np.isfinite(values).any():
                names.append(name)
        return tuple(names)


def read_table(path: Path) -> Table:
    """Read a CSV or TSV table, gzip-packed or not, or a Parquet table.

    Parameters
    ----------
    path : Path
        A file whose first line names the columns. UTF-8 with or without a mark, or Latin-1; separated by comma, tab,
        semicolon or bar.

    Returns
    -------
    Table
        Lines with too few cells are left out and counted.

    Raises
    ------
    ValueError
        If the file is empty, is no text, names a column twice, has a line with too many cells, or is too large.
    OSError
        If it cannot be opened.
    """
    with path.open("rb") as file:
        if is_parquet(file.read(4)):
            return parquet_table(path, path.name)
    return table_of(_text(path), path.name)


def parquet_table(source: Path | bytes, name: str, most_cells: int = MAX_CELLS) -> Table:
    """Read a Parquet table, a file or what is in it, as `read_table` does.

    Raises
    ------
    ValueError
        As `twin.core.telemetry.parquet.parquet_columns`.
    """
    columns, n_rows = parquet_columns(source, name, most_cells)
    return Table(name, {column: plain_cells(cells) for column, cells in columns.items()}, n_rows, 0)


def table_text(table: Table) -> str:
    """Return a table as CSV, which `table_of` reads back."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(zip(*table.columns.values(), strict=True))
    return text.getvalue()


def table_of(text: str, name: str) -> Table:
    """Read a table's text as `read_table` does a file's; `name` is what messages call it.

    Raises
    ------
    ValueError
        As `read_table`.
    """
    lines = text.splitlines()
    first = next((i for i, line in enumerate(lines) if line.strip()), None)
    if first is None:
        raise ValueError(f"{name} is empty")
    delimiter = max(DELIMITERS, key=lines[first].count)
    if (n_columns := lines[first].count(delimiter) + 1) > MAX_COLUMNS:
        raise ValueError(f"{name} has {n_columns:,} columns; at most {MAX_COLUMNS:,} are read")
    rows = csv.reader(lines[first:], delimiter=delimiter, skipinitialspace=True)
    left_out = 0
    try:
        header = [cell.strip() for cell in next(rows)]
        if len(header) < 2:
            raise ValueError(f"{name} has one column only ({header[0][:60]}); a table needs a time and a value")
        doubled = sorted(column for column, n in Counter(filter(None, header)).items() if n > 1)
        if doubled:
            raise ValueError(f"{name} names {listed(doubled)} more than once")
        kept = list(rows)
        if any(len(row) != len(header) for row in kept):
            rows = csv.reader(lines[first:], delimiter=delimiter, skipinitialspace=True)
            kept, left_out = _fitting(rows, header, name, first)
    except csv.Error as error:
        raise ValueError(f"{name} line {first + rows.line_num}: {error}") from error
    if not kept:
        raise ValueError(f"{name} has column names but no rows")
    by_column = zip(*kept, strict=False)
    columns = {column: plain_cells(cells) for column, cells in zip(header, by_column, strict=False) if column}
    return Table(name, columns, len(kept), left_out)


def _fitting(rows: Any, header: Sequence[str], name: str, first: int) -> tuple[list[list[str]], int]:
    """Return the rows below the header that have a cell for each of its names, and how many have fewer.

    Raises
    ------
    ValueError
        If one has more, naming its line.
    """
    next(rows)
    kept, left_out = [], 0
    for row in rows:
        if len(row) > len(header) and any(cell.strip() for cell in row[len(header) :]):
            raise ValueError(f"{name} line {first + rows.line_num}: {len(row)} cells under {len(header)} column names")
        if len(row) < len(header):
            left_out += bool(row)
            continue
        kept.append(row)
    return kept, left_out


def named_columns(text: str | None, allowed: Iterable[str]) -> dict[str, str]:
    """Read `name=column,name=column` into a dictionary.

    Raises
    ------
    ValueError
        If a pair has no `=` or its name is not one of `allowed`.
    """
    allowed = tuple(allowed)
    named = {}
    for pair in (text or "").split(","):
        if not pair.strip():
            continue
        name, equals, column = (part.strip() for part in pair.partition("="))
        if not equals or not column:
            raise ValueError(f"--columns {pair.strip()}: write name=column")
        if name not in allowed:
            raise ValueError(f"--columns {name}: no such name; allowed are {listed(allowed)}")
        named[name] = column
    return named


def listed(names: Iterable[str], most: int = 12) -> str:
    """Return names in a row, the first of many."""
    names = list(names)
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def plain_name(name: str) -> str:
    """Return a column name without case, units in brackets and separators: `power.draw [W]` becomes `powerdraw`."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"[\[(].*?[\])]", "", name.lower()))


def first_present(table: Table, candidates: Sequence[str]) -> str | None:
    """Return the table's column whose plain name is the earliest of `candidates`, None where there is none."""
    by_plain = {plain_name(name): name for name in reversed(list(table.columns))}
    return next((by_plain[candidate] for candidate in candidates if candidate in by_plain), None)


@contextmanager
def whole_gzip(name: str) -> Iterator[None]:
    """Refuse a gzip-packed file that ends early or is broken, whatever its packing raises."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{name} is not a whole gzip file: {error}") from error


def _text(path: Path) -> str:
    opened = gzip.open if path.suffix == ".gz" else open
    with whole_gzip(path.name), opened(path, "rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ValueError(f"{path.name} holds more than {MAX_BYTES / 1e9:g} GB; split it, or ingest it into the store")
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16")
    if b"\0" in raw[:4096]:
        raise ValueError(f"{path.name} is not a text table")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def plain_cell(cell: str) -> str:
    """Return a cell without blanks around it, and empty where it says that there is no value."""
    cell = cell.strip()
    return "" if cell.lower() in BLANKS else cell


def plain_cells(cells: Sequence[str]) -> tuple[str, ...]:
    """Return `plain_cell` of many, each text that comes again looked at once."""
    plain = {cell: plain_cell(cell) for cell in set(cells)}
    return tuple(map(plain.__getitem__, cells))


_WITH_UNIT = re.compile(r"^([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*[A-Za-z%°/]*$")


def _number(cell: str, table: str, column: str, row: int) -> float:
    if not cell:
        return np.nan
    if cell.lower() in TRUE:
        return 1.0
    if cell.lower() in FALSE:
        return 0.0
    spelled = cell
    if "," in cell:
        # A table of decimal commas has no points; both together would be a thousands mark, which reads two ways.
        spelled = cell.replace(",", ".") if "." not in cell and cell.count(",") == 1 else cell
    match = _WITH_UNIT.match(spelled)
    if match is None:
        raise ValueError(f"{table}: column {column}, row {row + 1}: {cell[:40]!r} is not a number")
    return float(match.group(1))
