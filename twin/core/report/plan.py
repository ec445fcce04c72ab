"""The floor plans of a report: a run's snapshot drawn to scale, racks coloured by what the run says of them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.core.charts.colours import ramp
from twin.core.inputs.layout import CduRow, HallRow, LayoutInputs, RackColumns
from twin.core.report.charts import WIDTH, legend, levels_of, shortened
from twin.core.report.shapes import BAD, FAINT, INK, PAPER, Drawing, Line, Rect, Text, category
from twin.core.results.object_quantities import OVER
from twin.core.text.numbers import quantity_text, size_text

N_COLOURS = 17
Places = Mapping[int, tuple[float, float, int]]  # x, y and orientation of a CDU by its id
ToPage = Callable[[float, float, float, float], tuple[float, float, float, float]]  # metres to points
TALLEST = 560.0  # points: a hall fits on one page with its title
NO_VALUE = "#b4bac1"
#: Fill of each type of floor feature, and whether it is hatched.
FEATURES = {
    "wall": ("#6b7178", False),
    "keep_out": (PAPER, True),
    "hot_aisle": ("#f8e4d8", False),
    "cold_aisle": ("#e0f0fa", False),
}


def plans(inputs: LayoutInputs, racks: Mapping[str, NDArray[Any]], places: Places | None = None) -> list[Drawing]:
    """Return one drawing per hall, racks coloured by their highest power of the year.

    Parameters
    ----------
    inputs : mapping
        The run's snapshot.
    racks : mapping
        The run's arrays per rack.
    places : mapping, optional
        Where CDUs stand, (x_m, y_m, orientation_deg) by id, for snapshots that do not say.
    """
    table = inputs.racks
    at = {int(pk): i for i, pk in enumerate(racks.get("rack_id", ()))}
    power = np.array([_of(racks, "max_power_w", at, pk) for pk in table.id])
    throttled = np.array([_of(racks, "throttled_hours", at, pk) for pk in table.id]) > 0
    limit = np.array([_rated_w(inputs, i) for i in range(len(table))])
    level, low, high = levels_of(power, N_COLOURS)
    ends = (quantity_text(low, "W"), quantity_text(high, "W"))
    over = power > limit * OVER
    return [_hall(inputs, hall, level, over, throttled, ends, places or {}) for hall in inputs.halls]


def _hall(
    inputs: LayoutInputs,
    hall: HallRow,
    level: NDArray[Any],
    over: NDArray[Any],
    throttled: NDArray[Any],
    ends: tuple[str, str],
    places: Places,
) -> Drawing:
    in_hall = [i for i, hall_id in enumerate(inputs.racks.hall_id) if hall_id == hall.id]
    left, top = 22.0, 30.0
    scale = min((WIDTH - left) / hall.width_m, TALLEST / hall.depth_m)  # points per metre
    drawing = Drawing(
        f"{hall.name}: {size_text(hall.width_m, hall.depth_m)}, {len(in_hall)} racks",
        WIDTH,
        top + hall.depth_m * scale + 24,
        f"Plan of {hall.name} to scale, racks coloured by highest power from {ends[0]} to {ends[1]}",
    )

    def box(x_m: float, y_m: float, width_m: float, depth_m: float) -> tuple[float, float, float, float]:
        return left + x_m * scale, top + (hall.depth_m - y_m - depth_m) * scale, width_m * scale, depth_m * scale

    drawing.add(Rect(*box(0, 0, hall.width_m, hall.depth_m), PAPER, INK, 0.8))
    _features(drawing, inputs, hall, box)
    colours = ramp(N_COLOURS)
    rows: dict[str, list[tuple[float, float]]] = {}
    for i in in_hall:
        corner = _rack_box(inputs.racks, i)
        fill = colours[level[i]] if level[i] >= 0 else NO_VALUE
        x, y, width, depth = box(*corner)
        drawing.add(Rect(x, y, width, depth, fill, PAPER, 0.3, hatched=bool(over[i])))
        if throttled[i]:
            drawing.add(Rect(x + width - 2.5, y, 2.5, 2.5, BAD))
        rows.setdefault(inputs.racks.row[i], []).append((x, y + depth / 2))
    for row, corners in rows.items():
        x, y = min(corners)
        drawing.add(Text(x - 3, y + 2.5, row, 7, "end", bold=True))
    for cdu in inputs.cdus:
        _cdu(drawing, inputs, hall, cdu, places, box)
    _scale_bar(drawing, left, top + hall.depth_m * scale + 12, scale)
    legend(drawing, WIDTH - 112, 9, "Highest power of the year", *ends, colours)
    if over[in_hall].any() or throttled[in_hall].any():
        n_over, n_throttled = int(over[in_hall].sum()), int(throttled[in_hall].sum())
        marks = f"{n_over} hatched: above rating; {n_throttled} with a red corner: throttled"
        drawing.add(Text(left + 110, top + hall.depth_m * scale + 16, marks, 7, fill=FAINT))
    return drawing


def _cdu(drawing: Drawing, inputs: LayoutInputs, hall: HallRow, cdu: CduRow, places: Places, box: ToPage) -> None:
    place = places.get(cdu.id)
    if cdu.x_m is not None and cdu.y_m is not None:
        place = (cdu.x_m, cdu.y_m, cdu.orientation_deg or 0)
    if cdu.hall_id != hall.id or place is None:
        return
    facts = inputs.facts(cdu.product_id)
    size = (facts.get("width_m") or 0.6, facts.get("depth_m") or 1.2)
    width_m, depth_m = size[::-1] if place[2] in (90, 270) else size
    x, y, width, depth = box(place[0], place[1], width_m, depth_m)
    drawing.add(Rect(x, y, width, depth, PAPER, category(1), 0.9))
    drawing.add(
        Text(
            x + width / 2,
            y + depth / 2 + 2.5,
            shortened(cdu.name.removeprefix("CDU-"), 4),
            6,
            "middle",
            category(1),
            bold=True,
        )
    )


def _features(drawing: Drawing, inputs: LayoutInputs, hall: HallRow, box: ToPage) -> None:
    """Draw walls, keep-outs, aisles and placed air units; older snapshots did not keep them."""
    for feature in inputs.features:
        if feature.hall_id == hall.id:
            fill, hatched = FEATURES.get(feature.type, ("", False))
            place = box(feature.x_m, feature.y_m, feature.width_m, feature.depth_m)
            drawing.add(Rect(*place, fill, FAINT, 0.3, hatched))
    for unit in inputs.air_units:
        if unit.hall_id == hall.id:
            size = (unit.width_m, unit.depth_m)
            width_m, depth_m = size[::-1] if unit.orientation_deg in (90, 270) else size
            x, y, width, depth = box(unit.x_m, unit.y_m, width_m, depth_m)
            drawing.add(Rect(x, y, width, depth, PAPER, category(5), 0.9))
            drawing.add(Text(x + width / 2, y + depth / 2 + 2.5, "A", 6, "middle", FAINT, bold=True))


def _rack_box(racks: RackColumns, i: int) -> tuple[float, float, float, float]:
    width, depth = racks.width_m[i], racks.depth_m[i]
    turned = racks.orientation_deg[i] in (90, 270)
    return racks.x_m[i], racks.y_m[i], depth if turned else width, width if turned else depth


def _scale_bar(drawing: Drawing, x: float, y: float, scale: float) -> None:
    end = x + 5 * scale
    drawing.add(Line(((x, y - 3), (x, y + 3))), Line(((x, y), (end, y))), Line(((end, y - 3), (end, y + 3))))
    drawing.add(Text(end + 4, y + 3, size_text(5), 7))


def _of(arrays: Mapping[str, NDArray[Any]], name: str, at: Mapping[int, int], pk: int) -> float:
    return float(arrays[name][at[pk]]) if name in arrays and pk in at else np.nan


def _rated_w(inputs: LayoutInputs, i: int) -> float:
    racks = inputs.racks
    return inputs.nameplate_w(racks.product_id[i], racks.n_systems[i], racks.other_power_w[i]) or np.inf
