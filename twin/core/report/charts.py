"""The charts of a report, drawn from a run's own numbers: flows, the year, costs, availability, waterfalls."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twin.core.charts import geometry
from twin.core.charts.colours import ramp
from twin.core.charts.geometry import HOURS_PER_DAY
from twin.core.comparison.compare import Waterfall
from twin.core.report.shapes import BAD, FAINT, GRID, INK, Band, Cells, Drawing, Line, Rect, Text, category
from twin.core.results.details import FlowRow
from twin.core.text.numbers import quantity_text, significant

WIDTH = 500.0  # points; an A4 page between its margins
FLOW_HEIGHT, FLOW_GAP = 190.0, 15.0  # of the energy flow, and between two nodes of a column: a line of text
ALIKE_FRAC = 5e-3


def levels_of(values: NDArray[np.floating], n_levels: int) -> tuple[NDArray[np.int_], float, float]:
    """Return each value's colour level (-1 for none), and the lowest and highest value."""
    finite = np.isfinite(values)
    if not finite.any():
        return np.full(values.shape, -1), math.nan, math.nan
    low, high = float(values[finite].min()), float(values[finite].max())
    level = np.full(values.shape, n_levels // 2)
    if high - low > ALIKE_FRAC * max(abs(high), abs(low)):  # else colours would tell differences that nobody can read
        level = np.nan_to_num((values - low) / (high - low) * (n_levels - 1)).round().astype(int)
    return np.where(finite, level, -1), low, high


def legend(drawing: Drawing, x: float, y: float, label: str, low: str, high: str, colours: Sequence[str]) -> None:
    """Draw what the colours mean: a ramp with its ends in words."""
    step = 110 / len(colours)
    for i, colour in enumerate(colours):
        drawing.add(Rect(x + i * step, y, step + 0.3, 7, colour))
    drawing.add(Text(x, y + 16, low, 7), Text(x + 110, y + 16, high, 7, "end"), Text(x, y - 3, label, 7, fill=FAINT))


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Return round numbers across a range, one step beyond its upper end at most."""
    if not high > low:
        high = low + 1
    rough = (high - low) / wanted
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * m for m in (1, 2, 2.5, 5, 10) if size * m >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, last + 1)]


def energy_flow(flows: Sequence[FlowRow]) -> Drawing | None:
    """Return the year's energy from the grid to tokens and losses as bands whose width is energy."""
    found = geometry.energy_flow(flows, FLOW_GAP / FLOW_HEIGHT)
    if found is None:
        return None
    above, bar = 14.0, 8.0
    drawing = Drawing(
        "Where the energy goes",
        WIDTH,
        above + FLOW_HEIGHT + 12,
        "Energy of the year from the grid to tokens and losses",
    )
    pitch = (WIDTH - 150) / max(found.n_columns - 1, 1)
    for node in found.nodes:
        high = max(node.height * FLOW_HEIGHT, 0.6)
        drawing.add(Rect(node.column * pitch, above + node.top * FLOW_HEIGHT, bar, high, category(node.category)))
    for band in found.bands:
        source, target = found.nodes[band.source], found.nodes[band.target]
        drawing.add(
            Band(
                source.column * pitch + bar,
                above + band.leaves * FLOW_HEIGHT,
                target.column * pitch,
                above + band.enters * FLOW_HEIGHT,
                band.thickness * FLOW_HEIGHT,
                tint(category(target.category)),
            )
        )
    for node in found.nodes:
        y = above + node.top * FLOW_HEIGHT + min(node.height * FLOW_HEIGHT / 2, 12) + 3
        text = f"{node.name}  {quantity_text(node.energy_j, 'Wh')}"
        drawing.add(Text(node.column * pitch + bar + 4, y, text, 7.5))
    return drawing


def tint(colour: str, share: float = 0.35) -> str:
    """Return a colour mixed with white, for the large areas of flows."""
    mixed = (round(255 - (255 - int(colour[i : i + 2], 16)) * share) for i in (1, 3, 5))
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def year_map(label: str, unit: str, values: NDArray[np.floating], n_levels: int = 16) -> Drawing:
    """Return the year as a grid: day across, hour up."""
    hours = geometry.year_map(values)
    level, low, high = levels_of(hours[::-1], n_levels)  # a sheet counts downwards
    left, top, cell = 26.0, 26.0, 4.2
    wide = (WIDTH - left) / hours.shape[1]
    caption = f"{label} by day and hour, from {quantity_text(low, unit)} to {quantity_text(high, unit)}"
    drawing = Drawing(f"{label}, every hour of the year", WIDTH, top + HOURS_PER_DAY * cell + 20, caption)
    colours = ramp(n_levels)
    drawing.add(Cells(left, top, wide, cell, level.tolist(), colours))
    for hour in geometry.HOUR_TICKS:
        drawing.add(Text(left - 4, top + (HOURS_PER_DAY - hour) * cell, f"{hour:02}:00", 7, "end", FAINT))
    for start, month in zip(geometry.month_starts(np.size(values)), geometry.MONTHS, strict=True):
        drawing.add(Text(left + start * wide, top + HOURS_PER_DAY * cell + 11, month, 7, fill=FAINT))
    legend(drawing, WIDTH - 110, 2, "", quantity_text(low, unit), quantity_text(high, unit), colours)
    return drawing


def duration(label: str, unit: str, values: NDArray[np.floating], n_points: int = 200) -> Drawing:
    """Return the duration curve: how many hours the series is at least that high."""
    hours_at, curve = geometry.duration(values, n_points)
    factor, shown = geometry.display_scale(curve, unit)
    heights = curve * factor
    marks = ticks(0.0 if unit not in ("°C", "") else float(heights.min()), float(heights.max()))
    left, top, width, height = 44.0, 18.0, WIDTH - 60, 120.0
    drawing = Drawing(
        f"{label}: hours at or above",
        WIDTH,
        top + height + 30,
        f"Duration curve of {label.lower()}: highest {quantity_text(float(curve[0]), unit)}, "
        f"lowest {quantity_text(float(curve[-1]), unit)}",
    )
    span, n_hours = marks[-1] - marks[0], int(hours_at[-1])

    def place(hours: float, value: float) -> tuple[float, float]:
        return left + width * hours / n_hours, top + height * (1 - (value - marks[0]) / span)

    for mark in marks:
        y = place(0, mark)[1]
        drawing.add(Line(((left, y), (left + width, y)), GRID, 0.5))
        drawing.add(Text(left - 4, y + 2.5, significant(mark), 7, "end", FAINT))
    for hours in ticks(0, n_hours, 4):
        if hours <= n_hours:
            drawing.add(Text(place(hours, 0)[0], top + height + 11, f"{hours:,.0f} h", 7, "middle", FAINT))
    drawing.add(Text(0, 9, f"{label} [{shown}]" if shown else label, 7.5, fill=FAINT))
    points = [place(float(h), float(v)) for h, v in zip(hours_at, heights, strict=True)]
    drawing.add(Line(tuple(points), category(1), 1.5))
    return drawing


def bars(title: str, rows: Sequence[tuple[str, float]], unit: str, colour: int = 1) -> Drawing | None:
    """Return horizontal bars from zero with their values in words, in the order given; None without rows.

    Parameters
    ----------
    title : str
        Of the chart.
    rows : sequence of (str, float)
        Label and value.
    unit : str
        Of the values.
    colour : int
        Category colour.
    """
    rows = [(name, value) for name, value in rows if value is not None]
    if not rows:
        return None
    pitch, left = 15.0, 170.0
    drawing = Drawing(title, WIDTH, 6 + pitch * len(rows), f"{title}: {rows[0][0]} {quantity_text(rows[0][1], unit)}")
    largest = max(abs(value) for _, value in rows) or 1.0
    for i, (name, value) in enumerate(rows):
        y, length = 4 + i * pitch, abs(value) / largest * (WIDTH - left - 80)
        drawing.add(
            Text(left - 6, y + 8, shortened(name, 34), 7.5, "end"),
            Rect(left, y, max(length, 0.5), 10, category(colour)),
        )
        drawing.add(Text(left + length + 5, y + 8, quantity_text(value, unit), 7.5))
    drawing.add(Line(((left, 0), (left, drawing.height)), FAINT, 0.5))
    return drawing


def waterfall(title: str, fall: Waterfall, start: str, end: str) -> Drawing:
    """Return the steps from one run's figure to another's, up and down; an axis that does not start at 0 says so."""
    found = geometry.waterfall(fall, start, end)
    pitch, left = 15.0, 170.0
    cut_note = "" if found.from_zero else ", bars not from 0"
    drawing = Drawing(
        f"{title}{cut_note}",
        WIDTH,
        6 + pitch * len(found.bars),
        f"{title}: {quantity_text(fall.start, fall.unit)} to {quantity_text(fall.end, fall.unit)}",
    )

    def across(value: float) -> float:
        return left + (max(value, found.low) - found.low) / ((found.high - found.low) or 1.0) * (WIDTH - left - 85)

    for i, bar in enumerate(found.bars):
        y, x0, x1 = 4 + i * pitch, across(min(bar.start, bar.end)), across(max(bar.start, bar.end))
        text = quantity_text(bar.end, fall.unit) if bar.is_total else signed(bar.change, fall.unit)
        colour = category(8) if bar.is_total else BAD if bar.change > 0 else category(3)
        drawing.add(Text(left - 6, y + 8, shortened(bar.name, 34), 7.5, "end", bold=bar.is_total))
        drawing.add(Rect(x0, y, max(x1 - x0, 0.5), 10, colour))
        drawing.add(Text(x1 + 5, y + 8, text, 7.5, fill=INK, bold=bar.is_total))
    return drawing


def signed(value: float, unit: str) -> str:
    """Return a change with its sign."""
    text = quantity_text(value, unit)
    return f"+{text}" if value > 0 else text


def shortened(text: str, n_characters: int) -> str:
    """Return a name cut to a length; the table beside the chart has all of it."""
    return text if len(text) <= n_characters else text[: n_characters - 1].rstrip() + "…"
