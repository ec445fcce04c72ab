"""Rows read by column give what rows read one by one give: readings, reasons and the first refused rows."""

from collections.abc import Sequence

import numpy as np
import pytest

from twin.core.telemetry.readings import MappedPoint, Reading, Readings, Taken, table_readings
from twin.core.telemetry.tables import table_of

MAPPING = {
    "meter": MappedPoint("meter", "site", "power_w", "kW", 1.0, 0.0),
    "far": MappedPoint("far", "weather", "dry_bulb_degc", "degF", 1.0, 0.5, "America/Chicago"),
    "bare": MappedPoint("bare", "weather", "wet_bulb_degc"),
}
TIMES = ("2026-07-01T00:00:00Z", "1782864060", "2026-07-01 00:02", "1/7/2026 00:03", "1950-01-01T00:00:00Z", "soon", "")
POINTS = ("meter", "far", "bare", "site|output_tokens_per_s", "nobody", "")
VALUES = (
    "12.5",
    "-3",
    "1e3",
    "+4.",
    ".5",
    " 7",
    "1_000",
    "nan",
    "inf",
    "1e999",
    "1,5",
    "1.234,5",
    "0x1F",
    "-",
    "",
    "many",
)
UNITS = ("", "kW", "W", "degC", "degF", "1/s", "furlong")
QUALITIES = ("", "1", "0", "192.0", "256", "good")


def cells(rng: np.random.Generator, usual: str, others: Sequence[str], n: int, odd_frac: float) -> list[str]:
    picked = rng.choice(np.array(others, object), n)
    return [str(cell) if odd else usual for cell, odd in zip(picked, rng.random(n) < odd_frac, strict=True)]


def columns(seed: int, odd_frac: float, n: int = 300) -> tuple[list[str], ...]:
    rng = np.random.default_rng(seed)
    points = [str(cell) for cell in rng.choice(np.array(POINTS, object), n)]
    values = [f"{value:.3f}" for value in rng.normal(50, 5, n)]
    odd = cells(rng, "plain", VALUES, n, odd_frac)
    values = [value if other == "plain" else other for value, other in zip(values, odd, strict=True)]
    return (
        cells(rng, TIMES[0], TIMES, n, odd_frac),
        points,
        values,
        cells(rng, "", UNITS, n, 0.5),
        cells(rng, "1", QUALITIES, n, odd_frac),
    )


def told(readings: Readings) -> tuple:
    points = {
        entry: [column.tolist() for column in columns] + [str(column.dtype) for column in columns]
        for entry, columns in readings.points.items()
        if columns[0].size
    }
    return points, readings.refused, readings.first_refused


@pytest.mark.parametrize("odd_frac", [0.0, 0.05, 0.6])
@pytest.mark.parametrize(
    "wanted",
    [
        Reading(),
        Reading(time_zone="Europe/Paris"),
        Reading(dates="day-first", time_zone="UTC"),
        Reading(decimal="comma", time_zone="UTC"),
    ],
)
@pytest.mark.parametrize("seed", range(4))
def test_columns_are_read_as_rows_are(seed, wanted, odd_frac):
    given = columns(seed, odd_frac)
    by_column, by_row = (Taken(MAPPING, ("site", "weather"), wanted) for _ in range(2))
    by_column.take_columns(*given)
    for i, row in enumerate(zip(*given, strict=True)):
        by_row.take(i + 1, *row)
    assert told(by_column.readings()) == told(by_row.readings())


def test_a_point_in_two_units_keeps_its_rows_together():
    taken = Taken(MAPPING, (), Reading())
    taken.take_columns([TIMES[0], TIMES[1]], ["meter"] * 2, ["2", "3"], ["W", "kW"], [""] * 2)
    times, values, quality = taken.readings().points[MAPPING["meter"]]
    assert (times.tolist(), values.tolist(), quality.tolist()) == (
        [1_782_864_000_000, 1_782_864_060_000],
        [2.0, 3000.0],
        [1, 1],
    )


def test_a_short_line_among_many_is_counted_and_a_long_one_named():
    lines = [f"{TIMES[0]},meter,{i},kW" for i in range(50)]
    table = table_of("\n".join(["time,point,value,unit", *lines, "(50 rows affected)", lines[0]]), "t.csv")
    assert (table.n_rows, table.left_out) == (51, 1)
    assert table_readings(table, MAPPING, (), Reading()).refused == {"fewer cells than the header": 1}
    with pytest.raises(ValueError, match="t.csv line 4: 5 cells under 4 column names"):
        table_of("\n".join(["time,point,value,unit", *lines[:2], lines[0] + ",more", *lines]), "t.csv")
