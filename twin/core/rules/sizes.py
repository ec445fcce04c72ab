"""Values that are allowed and yet odd in size: most were written in another unit than the one that is stored."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from twin.core.inputs.layout import LayoutInputs
from twin.core.results.findings import RISK
from twin.core.rules.report import Finding
from twin.core.text.field_names import field_unit, field_words
from twin.core.text.numbers import quantity_text


@dataclass(frozen=True, slots=True)
class Usual:
    """Within which bounds the values of a field lie at any built site; 0 says that there is none of it."""

    low: float
    high: float
    of: str  # what the bounds are known by


#: By table of the inputs and field. Bounds are an order of magnitude wider than anything of the catalogue or built.
USUAL = {
    ("site", "grid_limit_w"): Usual(10e3, 10e9, "one rack and its cooling; the largest announced campus"),
    ("halls", "lighting_w"): Usual(50.0, 1e6, "one lamp; ten times the lighting of a hectare"),
    ("racks", "other_power_w"): Usual(10.0, 1e6, "one small switch; more than any announced rack"),
    ("racks", "accelerator_power_limit_w"): Usual(50.0, 10e3, "an idle accelerator; four times the largest"),
    ("racks", "coolant_flow_m3_per_s"): Usual(1e-5, 0.02, "0.6 l/min, half a kilowatt's; 1,200 l/min, a megawatt's"),
    ("feeds", "rating_w"): Usual(1e3, 10e9, "one single-phase outlet; the largest announced campus"),
    ("feeds", "length_m"): Usual(0.1, 20e3, "a jumper; a line across a campus"),
    ("plants", "tank_m3"): Usual(0.05, 20e3, "a kettle beside a loop; the largest thermal stores of campuses"),
}
KINDS = {"site": "site", "halls": "hall", "racks": "rack", "feeds": "power_feed", "plants": "cooling_plant"}


def size_findings(inputs: LayoutInputs) -> Iterator[Finding]:
    """Yield a finding for each value that no built site has."""
    for (table, field), usual in USUAL.items():
        for row_id, name, value in _values(inputs, table, field):
            if value and not usual.low <= value <= usual.high:
                yield _odd(KINDS[table], row_id, name, field, value, usual)


def _values(inputs: LayoutInputs, table: str, field: str) -> Iterator[tuple[int | None, str, float | None]]:
    rows: Any = getattr(inputs, table)
    if table == "site":
        yield None, rows.name, getattr(rows, field)
    elif table == "racks":  # kept by column
        yield from zip(rows.id, rows.name, getattr(rows, field), strict=True)
    else:
        yield from ((row.id, row.name, getattr(row, field)) for row in rows)


def _odd(kind: str, row_id: int | None, name: str, field: str, value: float, usual: Usual) -> Finding:
    unit = field_unit(field)
    is_low = value < usual.low
    limit = usual.low if is_low else usual.high
    known = usual.of.split("; ")[0 if is_low else 1]
    return Finding(
        kind,
        row_id,
        name,
        "odd size",
        RISK,
        value,
        limit,
        unit,
        f"{field_words(field)} is {quantity_text(value, unit)}, {'below' if is_low else 'above'} "
        f"{quantity_text(limit, unit)} ({known}): check the unit. It is stored in {unit}.",
    )
