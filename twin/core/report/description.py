"""What a run was asked, part by part: tables of the spreadsheet with a column for every described field.

Columns are the fields of the rows in `twin.core.inputs.layout`, so what is described later is here without more ado.
"""

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

from twin.core.inputs.layout import TABLE_OF, TABLES, LayoutInputs, RackColumns, column_names
from twin.core.report.document import COUNT, NUMBER, Column, Section, Table
from twin.core.text.field_names import field_unit, field_words

TITLES = {
    "halls": "halls",
    "racks": "racks",
    "cdus": "CDUs",
    "feeds": "power feeds",
    "plants": "cooling plants",
    "air_units": "air units",
    "features": "walls and aisles",
    "fabrics": "networks",
    "storages": "storage",
    "cpu_servers": "CPU servers",
    "calibrated": "fitted parameters",
}


def description_section(inputs: LayoutInputs) -> Section:
    """Return every part as it was described, a table for each kind that there are any of; all in the spreadsheet."""
    tables = {name: (kind, [astuple(row) for row in getattr(inputs, name)]) for name, kind in TABLES.items()}
    racks = inputs.racks
    columns = [getattr(racks, name) for name in column_names(RackColumns)]
    tables["racks"] = (RackColumns, list(zip(*columns, strict=True)))
    return Section(
        "Description",
        ["Every part as it was described."],
        tables=[_table(inputs, title, *tables[name]) for name, title in TITLES.items() if tables[name][1]],
    )


def _table(inputs: LayoutInputs, title: str, kind: type, rows: Sequence[tuple[Any, ...]]) -> Table:
    heads, columns = [], []
    for i, name in enumerate(column_names(kind)):
        if name == "id":
            continue
        head, values = _column(inputs, name, [row[i] for row in rows])
        heads.append(head)
        columns.append(values)
    name = f"Described {title}"
    return Table(name, name, tuple(heads), [list(row) for row in zip(*columns, strict=True)], n_shown=0)


def _column(inputs: LayoutInputs, name: str, values: list[Any]) -> tuple[Column, list[Any]]:
    """Return the head of a field and its values: rows and products by their names, numbers as they are."""
    if name.endswith("_id"):
        named = {row.id: row.name for row in getattr(inputs, TABLE_OF[name])} if name in TABLE_OF else None
        read = inputs.product_name if named is None else lambda pk: named.get(pk, "")
        return Column(field_words(name.removesuffix("_id"))), [read(pk) for pk in values]
    given = [value for value in values if value is not None]
    if any(isinstance(value, bool | str) for value in given):
        return Column(field_words(name)), [_text(value) for value in values]
    unit = field_unit(name)
    is_count = not unit and all(isinstance(value, int) for value in given)
    return Column(field_words(name), COUNT if is_count else NUMBER, unit), values


def _text(value: bool | str | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value or ""
