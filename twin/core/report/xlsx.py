"""A report as a spreadsheet: a sheet for the cover and one per table, numbers as numbers, units in the heads.

Numbers are SI, for readers of US units theirs.
"""

import io
import math
from typing import Any

from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, Cell, MergedCell
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from power_cooling.site_facts.confidence import confidence_label
from twin.core.report.document import MARK, NUMBER, UNIT, Column, Report, Table, cell_text, stored_number, stored_unit

FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
BOLD = Font(bold=True)
LONGEST = 60  # characters of a column's width


def xlsx(report: Report) -> bytes:
    """Return a report as an Excel workbook."""
    book = Workbook()
    _cover(book.worksheets[0], report)
    for table in report.tables:
        _table(book.create_sheet(_sheet_name(table.name, book.sheetnames)), table)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def head_text(column: Column) -> str:
    """Return a column's head with the unit of the values below it."""
    unit = column.stored_unit
    return f"{column.head} [{unit}]" if unit else column.head


def _cover(sheet: Worksheet, report: Report) -> None:
    sheet.title = "Cover"
    lines = [(report.title, ""), (report.subtitle, ""), *(("Note", text) for text in report.warnings), *report.facts]
    for number, line in enumerate(lines, start=1):
        for column, value in enumerate(line, start=1):
            _put(sheet.cell(number, column), value)
        sheet.cell(number, 1).font = BOLD
    sheet.column_dimensions["A"].width = 24
    sheet.column_dimensions["B"].width = 90


def _table(sheet: Worksheet, table: Table) -> None:
    longest = []
    for i, column in enumerate(table.columns, start=1):
        cell = sheet.cell(1, i)
        _put(cell, head_text(column))
        cell.font = BOLD
        cell.alignment = Alignment(wrap_text=True, vertical="top")
        longest.append(max(map(len, column.head.split()), default=8))
    units = {column.head: i for i, column in enumerate(table.columns)}
    for number, row in enumerate(table.rows, start=2):
        for i, (column, value) in enumerate(zip(table.columns, row, strict=True)):
            at = units.get(column.unit_from)
            kept = _kept(value, column, column.unit if at is None else row[at])
            _put(sheet.cell(number, i + 1), kept)
            longest[i] = max(longest[i], 12 if isinstance(kept, float) else len(str(kept)))
    for i, width in enumerate(longest, start=1):
        sheet.column_dimensions[get_column_letter(i)].width = min(max(width, 8), LONGEST) + 2
    sheet.freeze_panes = "B2"
    if table.rows:
        sheet.auto_filter.ref = sheet.dimensions


def _kept(value: Any, column: Column, unit: str) -> Any:
    """Return a value as a cell holds it: numbers as they are, everything else as text."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if column.kind == UNIT:
        return stored_unit(value)
    if column.kind == MARK:
        return confidence_label(value) or value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return stored_number(value, unit) if column.kind == NUMBER else value
    return cell_text(value, column, "")


def _put(cell: Cell | MergedCell, value: Any) -> None:
    """Write a value; a text that a spreadsheet would take for a formula is marked as text for good."""
    if not isinstance(value, str):
        cell.value = value
        return
    text = ILLEGAL_CHARACTERS_RE.sub("", value)
    cell.value = text
    if text.startswith(FORMULA_SIGNS):
        cell.data_type = "s"
        cell.quotePrefix = True


def _sheet_name(name: str, taken: list[str]) -> str:
    """Return a name that Excel allows: 31 characters, none of []:*?/\\, each once."""
    plain = "".join(sign for sign in name if sign not in "[]:*?/\\")[:31]
    return plain if plain not in taken else f"{plain[:28]} {len(taken)}"
