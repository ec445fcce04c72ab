"""The charts of a report, drawn from a run's own numbers: flows, the year, costs, availability, waterfalls."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.core.comparison.compare import Waterfall
from twin.core.report.shapes import BAD, CATEGORIES, FAINT, GRID, INK, Band, Cells, Drawing, Line, Rect, Text
from twin.core.text.numbers import FACTORS, PREFIXED, PREFIXES, quantity_text, significant

WIDTH = 500.0  # points; an A4 page between its margins
HOURS_PER_DAY = 24
ALIKE_FRAC = 5e-3
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MONTH_STARTS = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
#: Viridis (matplotlib, CC0) at nine even steps: perceptually even and readable without red-green vision.
VIRIDIS = ((68, 1, 84), (71, 45, 123), (59, 82, 139), (44, 114, 142), (33, 145, 140), (40, 174, 128), (94, 201, 98),
           (173, 220, 48), (253, 231, 37))  # fmt: skip


def ramp(n_colours: int) -> tuple[str, ...]:
    """Return the sequential colours, low to high."""
    at = np.linspace(0, len(VIRIDIS) - 1, n_colours)
    channels = np.array([np.interp(at, np.arange(len(VIRIDIS)), column) for column in np.array(VIRIDIS).T]).round()
    return tuple("#{:02x}{:02x}{:02x}".format(*(int(c) for c in colour)) for colour in channels.T)


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


def axis_scale(values: NDArray[np.floating], unit: str) -> tuple[float, str]:
    """Return the factor and unit of an axis from the largest size on it, e.g. (1e-6, "MW")."""
    factor = FACTORS.get(unit, 1.0)
    smallest, largest, apart = PREFIXED.get(unit, (0, 0, False))
    top = float(np.nanmax(np.abs(values), initial=0.0)) * factor
    if not top or not (smallest or largest):
        return factor, unit
    power = min(max(math.floor(math.log10(top) / 3 + 1e-12), smallest), largest)
    return factor / 1000.0**power, f"{PREFIXES[power]}{' ' if apart and PREFIXES[power] else ''}{unit}"


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Return round numbers across a range, one step beyond its upper end at most."""
    if not high > low:
        high = low + 1
    rough = (high - low) / wanted
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * m for m in (1, 2, 2.5, 5, 10) if size * m >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, last + 1)]


def energy_flow(flows: Sequence[Mapping[str, Any]]) -> Drawing | None:
    """Return the year's energy from the grid to tokens and losses as bands whose width is energy."""
    if not flows:
        return None
    column: dict[str, int] = {}
    for flow in flows:  # sources stand before what they feed
        column.setdefault(flow["source"], 0)
        column[flow["target"]] = max(column.get(flow["target"], 0), column[flow["source"]] + 1)
    given = {name: sum(f["energy_j"] for f in flows if f["source"] == name) for name in column}
    taken = {name: sum(f["energy_j"] for f in flows if f["target"] == name) for name in column}
    size = {name: max(given[name], taken[name]) for name in column}
    n_columns, gap, bar = max(column.values()) + 1, 15.0, 8.0
    stacks = [[name for name in column if column[name] == i] for i in range(n_columns)]
    height = 30 + gap * max(len(stack) for stack in stacks) + 120
    total = max(sum(size[name] for name in stack) for stack in stacks)
    scale = min((height - 20 - gap * len(stack)) / max(sum(size[n] for n in stack), total * 0.2) for stack in stacks)
    drawing = Drawing("Where the energy goes", WIDTH, height, "Energy of the year from the grid to tokens and losses")
    pitch = (WIDTH - 150) / max(n_columns - 1, 1)
    top: dict[str, float] = {}
    for i, stack in enumerate(stacks):
        y = 14.0
        for name in stack:
            top[name] = y
            y += size[name] * scale + gap
        for name in stack:
            drawing.add(Rect(i * pitch, top[name], bar, max(size[name] * scale, 0.6), node_colour(name)))
    left, entered = dict(top), dict(top)
    for flow in flows:
        source, target, thickness = flow["source"], flow["target"], flow["energy_j"] * scale
        drawing.add(Band(column[source] * pitch + bar, left[source], column[target] * pitch, entered[target], thickness,
                         tint(node_colour(target))))  # fmt: skip
        left[source] += thickness
        entered[target] += thickness
    for name, i in column.items():
        y = top[name] + min(size[name] * scale / 2, 12) + 3
        drawing.add(Text(i * pitch + bar + 4, y, f"{name}  {quantity_text(size[name], 'Wh')}", 7.5))
    return drawing


def node_colour(name: str) -> str:
    """Return the colour of a part: losses and cooling apart from what ends in tokens."""
    lowered = name.lower()
    for number, words in ((7, ("loss", "shel", "distribution")), (2, ("token",)), (1, ("idle", "leak")),
                          (4, ("cool", "fan", "pump", "chiller", "rejection", "air unit"))):  # fmt: skip
        if any(word in lowered for word in words):
            return CATEGORIES[number]
    return CATEGORIES[0]


def tint(colour: str, share: float = 0.35) -> str:
    """Return a colour mixed with white, for the large areas of flows."""
    mixed = (round(255 - (255 - int(colour[i : i + 2], 16)) * share) for i in (1, 3, 5))
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def year_map(label: str, unit: str, values: NDArray[np.floating], n_levels: int = 16) -> Drawing:
    """Return the year as a grid: day across, hour up."""
    values = np.asarray(values, dtype=float)
    padded = np.concatenate([values, np.full(-values.size % HOURS_PER_DAY, np.nan)])
    level, low, high = levels_of(padded.reshape(-1, HOURS_PER_DAY).T[::-1], n_levels)
    n_days = level.shape[1]
    left, top, cell = 26.0, 26.0, 4.2
    wide = (WIDTH - left) / n_days
    said = f"{label} by day and hour, from {quantity_text(low, unit)} to {quantity_text(high, unit)}"
    drawing = Drawing(f"{label}, every hour of the year", WIDTH, top + HOURS_PER_DAY * cell + 20, said)
    colours = ramp(n_levels)
    drawing.add(Cells(left, top, wide, cell, level.tolist(), colours))
    for hour in (0, 6, 12, 18):
        drawing.add(Text(left - 4, top + (HOURS_PER_DAY - hour) * cell, f"{hour:02}:00", 7, "end", FAINT))
    for start, month in zip(MONTH_STARTS, MONTHS, strict=True):
        drawing.add(Text(left + start * wide, top + HOURS_PER_DAY * cell + 11, month, 7, fill=FAINT))
    legend(drawing, WIDTH - 110, 2, "", quantity_text(low, unit), quantity_text(high, unit), colours)
    return drawing


def duration(label: str, unit: str, values: NDArray[np.floating], n_points: int = 200) -> Drawing:
    """Return the duration curve: how many hours the series is at least that high."""
    ordered = np.sort(np.asarray(values, dtype=float)[np.isfinite(values)])[::-1]
    at = np.unique(np.linspace(0, ordered.size - 1, n_points).round().astype(int))
    factor, shown = axis_scale(ordered, unit)
    heights = ordered[at] * factor
    marks = ticks(0.0 if unit not in ("°C", "") else float(heights.min()), float(heights.max()))
    left, top, width, height = 44.0, 18.0, WIDTH - 60, 120.0
    drawing = Drawing(f"{label}: hours at or above", WIDTH, top + height + 30,
                      f"Duration curve of {label.lower()}: highest {quantity_text(float(ordered[0]), unit)}, "
                      f"lowest {quantity_text(float(ordered[-1]), unit)}")  # fmt: skip
    span = marks[-1] - marks[0]

    def place(hours: float, value: float) -> tuple[float, float]:
        return left + width * hours / ordered.size, top + height * (1 - (value - marks[0]) / span)

    for mark in marks:
        y = place(0, mark)[1]
        drawing.add(Line(((left, y), (left + width, y)), GRID, 0.5))
        drawing.add(Text(left - 4, y + 2.5, significant(mark), 7, "end", FAINT))
    for hours in ticks(0, ordered.size, 4):
        if hours <= ordered.size:
            drawing.add(Text(place(hours, 0)[0], top + height + 11, f"{hours:,.0f} h", 7, "middle", FAINT))
    drawing.add(Text(0, 9, f"{label} [{shown}]" if shown else label, 7.5, fill=FAINT))
    points = [place(float(i), float(v)) for i, v in zip(at, heights, strict=True)]
    drawing.add(Line(tuple(points), CATEGORIES[0], 1.5))
    return drawing


def bars(title: str, rows: Sequence[tuple[str, float]], unit: str, colour: str = CATEGORIES[0]) -> Drawing | None:
    """Return horizontal bars from zero with their values in words, in the order given."""
    rows = [(name, value) for name, value in rows if value is not None]
    if not rows:
        return None
    pitch, left = 15.0, 170.0
    drawing = Drawing(title, WIDTH, 6 + pitch * len(rows), f"{title}: {rows[0][0]} {quantity_text(rows[0][1], unit)}")
    largest = max(abs(value) for _, value in rows) or 1.0
    for i, (name, value) in enumerate(rows):
        y, length = 4 + i * pitch, abs(value) / largest * (WIDTH - left - 80)
        drawing.add(Text(left - 6, y + 8, shortened(name, 34), 7.5, "end"), Rect(left, y, max(length, 0.5), 10, colour))
        drawing.add(Text(left + length + 5, y + 8, quantity_text(value, unit), 7.5))
    drawing.add(Line(((left, 0), (left, drawing.height)), FAINT, 0.5))
    return drawing


def waterfall(title: str, fall: Waterfall, start: str, end: str, n_steps: int = 8) -> Drawing:
    """Return the steps from one run's figure to another's, up and down, small ones gathered."""
    steps = [(step.name, step.change) for step in fall.steps[:n_steps]]
    if rest := fall.steps[n_steps:]:
        steps.append(("everything else", sum(step.change for step in rest)))
    rows, at = [(start, 0.0, fall.start, CATEGORIES[6])], fall.start
    for name, change in steps:
        rows.append((name, at, at + change, BAD if change > 0 else CATEGORIES[2]))
        at += change
    rows.append((end, 0.0, fall.end, CATEGORIES[6]))
    pitch, left = 15.0, 170.0
    low = min(0.0, *(min(a, b) for _, a, b, _ in rows))
    span = (max(max(a, b) for _, a, b, _ in rows) - low) or 1.0
    drawing = Drawing(title, WIDTH, 6 + pitch * len(rows), f"{title}: {quantity_text(fall.start, fall.unit)} to "
                      f"{quantity_text(fall.end, fall.unit)}")  # fmt: skip

    def across(value: float) -> float:
        return left + (value - low) / span * (WIDTH - left - 85)

    for i, (name, a, b, colour) in enumerate(rows):
        y, x0, x1 = 4 + i * pitch, across(min(a, b)), across(max(a, b))
        whole = i in (0, len(rows) - 1)
        said = quantity_text(b, fall.unit) if whole else signed(b - a, fall.unit)
        drawing.add(Text(left - 6, y + 8, shortened(name, 34), 7.5, "end", bold=whole))
        drawing.add(Rect(x0, y, max(x1 - x0, 0.5), 10, colour), Text(x1 + 5, y + 8, said, 7.5, fill=INK, bold=whole))
    return drawing


def signed(value: float, unit: str) -> str:
    """Return a change with its sign."""
    text = quantity_text(value, unit)
    return f"+{text}" if value > 0 else text


def shortened(text: str, n_characters: int) -> str:
    """Return a name cut to a length; the table beside the chart has all of it."""
    return text if len(text) <= n_characters else text[: n_characters - 1].rstrip() + "…"
