"""The halls as boxes in metres for Plotly: racks in the plan's colours, CDUs, air units, aisles, pipes and busways.

Everything of one kind is one merged mesh, so that a thousand racks are some fifteen traces. Colours that are not of
the ramp are names of the page's tokens, which the script resolves for light and dark; it also colours the racks' faces
and marks those above a limit or throttled, for the hour of this answer and for those that the slider asks for. The
routes of pipes and busways are not described: they are drawn over the rows that they serve, and the page says so.
"""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facility.models import PowerFeed
from twin.core.text.numbers import size_text
from twin.floor.colouring import Colouring
from twin.floor.plan import Plan, rack_colours, value_texts
from twin.floor.rows import FloatArray, Floor, footprint

ASSUMED_RACK_HEIGHT_M = 2.236  # 48 rack units in a frame, for racks whose product is not a whole rack
ASSUMED_CDU_HEIGHT_M = 2.0
ASSUMED_AIR_UNIT_HEIGHT_M = 2.4  # sheets of air units in the catalogue give no sizes
PIPE_M = 0.16
PIPE_ABOVE_RACKS_M = 0.3
BUSWAY_M = 0.12
BUSWAY_ABOVE_RACKS_M = 0.7
HALL_GAP_M = 4.0  # between halls, which are drawn side by side

#: The 12 triangles of a box over its corners: bit 0 of a corner's number is its end along x, bit 1 y, bit 2 z.
TRIANGLES = np.array(
    [
        [0, 2, 1],
        [1, 2, 3],
        [4, 5, 6],
        [5, 7, 6],
        [0, 1, 4],
        [1, 5, 4],
        [2, 6, 3],
        [3, 6, 7],
        [0, 4, 2],
        [2, 4, 6],
        [1, 3, 5],
        [3, 7, 5],
    ]
)
#: One line that parts a rack from its neighbours: up at its left front, round the top, down at its left back.
OUTLINE = (0, 4, 5, 7, 6, 2)


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-parallel box [m] and what the pointer reads on it."""

    x0: float
    y0: float
    z0: float
    x1: float
    y1: float
    z1: float
    text: str = ""


def figure(floor: Floor, plan: Plan) -> dict[str, Any]:
    """Return the halls of a layout as a Plotly figure, by one query.

    Returns
    -------
    dict
        `data` and `layout` as Plotly takes them; arrays are base64 typed arrays. `meta.texts` of a mesh has one text
        per box, and `meta.token` the page's colour; the script spreads the texts over the boxes' eight corners. The
        racks' `meta` has each rack's colour too, empty for neutral, and which racks are marked.
    """
    offset = hall_offsets(floor)
    racks = rack_boxes(floor, plan.colouring, offset)
    traces = _rack_traces(racks, plan.colouring)
    for token, name, opacity, boxes in (
        ("sunken", "Floor", 1.0, floor_boxes(floor, offset)),
        ("cat-6", "Hot aisles", 0.35, aisle_boxes(floor, plan, offset, "hot")),
        ("cat-5", "Cold aisles", 0.35, aisle_boxes(floor, plan, offset, "cold")),
        ("cat-1", "CDUs", 1.0, cdu_boxes(floor, offset)),
        ("cat-3", "Air units", 1.0, air_unit_boxes(floor, offset)),
        ("line-strong", "Walls", 0.3, feature_boxes(floor, offset, ("wall",))),
        ("bad", "Keep-outs", 0.3, feature_boxes(floor, offset, ("keep_out",))),
        ("cat-1", "Coolant supply", 1.0, pipe_boxes(floor, offset, side=-1)),
        ("cat-6", "Coolant return", 1.0, pipe_boxes(floor, offset, side=1)),
        ("cat-2", "Busways", 1.0, busway_boxes(floor, offset)),
    ):
        if boxes:
            traces.append(mesh(name, boxes, token=token, opacity=opacity))
    return {"data": traces, "layout": {"scene": scene(floor, plan, offset)}}


def assumed_text(floor: Floor) -> str:
    """Return what of the drawing is not described, in one sentence."""
    text = "pipes and busways are drawn over the rows that they serve, since their routes are not described"
    if any(not _is_whole(floor, rack) for rack in floor.racks):
        text += f"; racks of single systems are drawn {size_text(ASSUMED_RACK_HEIGHT_M)} high"
    if floor.air_units:
        text += f"; air units are drawn {size_text(ASSUMED_AIR_UNIT_HEIGHT_M)} high"
    missing = sum(hall.n_air_units for hall in floor.halls) - len(floor.air_units)
    if missing > 0:
        text += f"; {missing} air units are not placed yet and are left out"
    return text + "."


def mesh(name: str, boxes: Sequence[Box], *, token: str, opacity: float = 1.0) -> dict:
    """Return boxes of one colour as one mesh."""
    corners = corners_m(boxes)
    triangles = (TRIANGLES[None] + 8 * np.arange(len(boxes))[:, None, None]).reshape(-1, 3)
    kind = "u2" if 8 * len(boxes) <= 65_535 else "u4"
    trace = {
        "type": "mesh3d",
        "name": name,
        "flatshading": True,
        "opacity": opacity,
        "hoverinfo": "text",
        "lighting": {"ambient": 0.75, "diffuse": 0.45, "specular": 0.05, "roughness": 0.9},
        "meta": {"token": token, "texts": [box.text for box in boxes]},
    }
    trace |= {axis: typed(corners[:, i], "f4") for i, axis in enumerate("xyz")}
    trace |= {axis: typed(triangles[:, i], kind) for i, axis in enumerate("ijk")}
    return trace


def corners_m(boxes: Sequence[Box]) -> FloatArray:
    """Return the corners of boxes, eight after another, shape (8 n_boxes, 3)."""
    ends = np.array([[(b.x0, b.x1), (b.y0, b.y1), (b.z0, b.z1)] for b in boxes])
    at = np.arange(8)
    return np.stack([ends[:, axis, (at >> axis) & 1] for axis in range(3)], axis=-1).reshape(-1, 3)


def typed(values: NDArray, kind: str) -> dict[str, str]:
    """Return an array as Plotly reads it without a list of digits."""
    return {"dtype": kind, "bdata": base64.b64encode(np.ascontiguousarray(values, dtype=f"<{kind}")).decode()}


def hall_offsets(floor: Floor) -> dict[int, float]:
    """Return where each hall's x starts [m]: halls stand side by side."""
    starts, x = {}, 0.0
    for hall in floor.halls:
        starts[hall.id] = x
        x += hall.width_m + HALL_GAP_M
    return starts


def rack_height_m(floor: Floor, rack: dict) -> float:
    """Return a rack's height: its product's where that is a whole rack, else that of a common frame."""
    return float(floor.fact(rack, "height_m")) if _is_whole(floor, rack) else ASSUMED_RACK_HEIGHT_M


def _is_whole(floor: Floor, rack: dict) -> bool:
    """Whether the rack's product is a whole rack whose sheet gives a height."""
    form = str(floor.fact(rack, "form_factor") or "")
    return form.startswith("full_rack") and bool(floor.fact(rack, "height_m"))


def rack_boxes(floor: Floor, coloured: Colouring, offset: dict[int, float]) -> list[Box]:
    """Return the racks in the floor's order."""
    texts = value_texts(coloured)
    label = coloured.question.label
    return [
        _standing(
            rack,
            (rack["width_m"], rack["depth_m"]),
            rack_height_m(floor, rack),
            offset,
            f"{rack['name']}<br>{label}: {text}",
        )
        for rack, text in zip(floor.racks, texts, strict=True)
    ]


def _standing(row: dict, size_m: tuple[float, float], height_m: float, offset: dict[int, float], text: str) -> Box:
    width, depth = footprint(row["orientation_deg"], *size_m)
    x = row["x_m"] + offset[row["hall_id"]]
    return Box(x, row["y_m"], 0.0, x + width, row["y_m"] + depth, height_m, text)


def cdu_boxes(floor: Floor, offset: dict[int, float]) -> list[Box]:
    """Return the CDUs that stand on the floor; those inside racks are not seen."""
    return [
        _standing(
            cdu,
            floor.cdu_size_m(cdu),
            float(floor.fact(cdu, "height_m") or ASSUMED_CDU_HEIGHT_M),
            offset,
            f"{cdu['name']}<br>CDU of group {cdu['group']}",
        )
        for cdu in floor.cdus
        if floor.fact(cdu, "type") != "liquid_to_liquid_in_rack"
    ]


def air_unit_boxes(floor: Floor, offset: dict[int, float]) -> list[Box]:
    """Return the air units that have a place."""
    return [
        _standing(
            unit, (unit["width_m"], unit["depth_m"]), ASSUMED_AIR_UNIT_HEIGHT_M, offset, f"{unit['name']}<br>Air unit"
        )
        for unit in floor.air_units
    ]


def floor_boxes(floor: Floor, offset: dict[int, float]) -> list[Box]:
    """Return each hall's floor as a slab below zero."""
    return [
        Box(
            offset[h.id],
            0.0,
            -0.3,
            offset[h.id] + h.width_m,
            h.depth_m,
            -0.1,
            f"{h.name}<br>{size_text(h.width_m, h.depth_m)}, {size_text(h.height_m)} high",
        )
        for h in floor.halls
    ]


def aisle_boxes(floor: Floor, plan: Plan, offset: dict[int, float], kind: str) -> list[Box]:
    """Return the described aisles of a kind, and those between rows, as strips on the floor."""
    boxes = feature_boxes(floor, offset, (f"{kind}_aisle",))
    for hall in plan.halls:
        for aisle in hall.aisles:
            x, top, width, depth = map(float, aisle[:4])
            if aisle[4] == kind:
                x += offset[hall.id]
                y = hall.depth_m - top - depth  # the drawing's y points down
                boxes.append(Box(x, y, 0.0, x + width, y + depth, 0.02, f"{kind} aisle".capitalize()))
    return boxes


def feature_boxes(floor: Floor, offset: dict[int, float], kinds: Iterable[str]) -> list[Box]:
    """Return walls to the ceiling, and what must stay clear as a strip on the floor."""
    heights = {hall.id: hall.height_m for hall in floor.halls}
    return [
        Box(
            f["x_m"] + offset[f["hall_id"]],
            f["y_m"],
            0.0,
            f["x_m"] + f["width_m"] + offset[f["hall_id"]],
            f["y_m"] + f["depth_m"],
            heights[f["hall_id"]] if f["type"] == "wall" else 0.03,
            f["name"],
        )
        for f in floor.features
        if f["type"] in kinds
    ]


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbouring racks of one row that one thing serves."""

    hall_id: int
    is_along_x: bool
    first_m: float  # along the row
    last_m: float
    middle_m: float  # across it
    top_m: float


def _runs(floor: Floor, served: Iterable[dict]) -> list[_Run]:
    """Return the rows, or parts of rows, that racks make up."""
    rows: dict[tuple, list[tuple]] = {}
    for rack in served:
        width, depth = footprint(rack["orientation_deg"], rack["width_m"], rack["depth_m"])
        box = (rack["x_m"], rack["y_m"], rack["x_m"] + width, rack["y_m"] + depth, rack_height_m(floor, rack))
        rows.setdefault((rack["hall_id"], rack["row"] or rack["name"], rack["orientation_deg"] % 180), []).append(box)
    runs = []
    for (hall_id, _, turned), boxes in rows.items():
        x0, y0, _, _, _ = map(min, zip(*boxes, strict=True))
        _, _, x1, y1, top = map(max, zip(*boxes, strict=True))
        along_x = turned == 0
        first, last, middle = (x0, x1, (y0 + y1) / 2) if along_x else (y0, y1, (x0 + x1) / 2)
        runs.append(_Run(hall_id, along_x, first, last, middle, top))
    return runs


def _duct(
    run: _Run,
    offset: dict[int, float],
    *,
    first_m: float,
    last_m: float,
    beside_m: float,
    above_m: float,
    thick_m: float,
    text: str,
) -> Box:
    """Return a straight box over a row, `beside_m` across its middle and `above_m` over its racks."""
    across, x, z, half = run.middle_m + beside_m, offset[run.hall_id], run.top_m + above_m, thick_m / 2
    if run.is_along_x:
        return Box(x + first_m, across - half, z, x + last_m, across + half, z + thick_m, text)
    return Box(x + across - half, first_m, z, x + across + half, last_m, z + thick_m, text)


def busway_boxes(floor: Floor, offset: dict[int, float]) -> list[Box]:
    """Return the feeds that racks plug into as busways over the racks that they serve, A and B side by side."""
    names = dict(PowerFeed.objects.filter(layout=floor.layout).values_list("id", "name"))
    boxes = []
    for side, column in ((-1, "feed_a_id"), (1, "feed_b_id")):
        by_feed: dict[int, list[dict]] = {}
        for rack in floor.racks:
            if rack[column] is not None:
                by_feed.setdefault(rack[column], []).append(rack)
        for feed_id, served in by_feed.items():
            boxes += [
                _duct(
                    run,
                    offset,
                    first_m=run.first_m,
                    last_m=run.last_m,
                    beside_m=0.22 * side,
                    above_m=BUSWAY_ABOVE_RACKS_M,
                    thick_m=BUSWAY_M,
                    text=f"{names[feed_id]}<br>Feed {'A' if side < 0 else 'B'} of {len(served)} racks",
                )
                for run in _runs(floor, served)
            ]
    return boxes


def pipe_boxes(floor: Floor, offset: dict[int, float], *, side: int) -> list[Box]:
    """Return supply (side -1) or return (1) pipes: over the rows of each CDU group, joined by a header at its CDUs."""
    group_of = {cdu["id"]: (cdu["hall_id"], cdu["group"]) for cdu in floor.cdus}
    units: dict[tuple, list[dict]] = {}
    served: dict[tuple, list[dict]] = {}
    for cdu in floor.cdus:
        units.setdefault(group_of[cdu["id"]], []).append(cdu)
    for rack in floor.racks:
        if rack["cdu_id"] in group_of:
            served.setdefault(group_of[rack["cdu_id"]], []).append(rack)
    return [box for key, racks in served.items() for box in _pipes(floor, offset, key[1], units[key], racks, side)]


def _pipes(
    floor: Floor, offset: dict[int, float], group: str, units: list[dict], racks: list[dict], side: int
) -> list[Box]:
    beside = 0.14 * side
    text = f"Coolant {'supply' if side < 0 else 'return'} of group {group}<br>{len(units)} CDUs, {len(racks)} racks"
    boxes = []
    for along_x in (True, False):
        runs = [run for run in _runs(floor, racks) if run.is_along_x == along_x]
        if not runs:
            continue
        here, across = [], []
        for unit in units:
            width, depth = footprint(unit["orientation_deg"], *floor.cdu_size_m(unit))
            middle = unit["x_m"] + width / 2, unit["y_m"] + depth / 2
            here.append(middle[0 if along_x else 1])
            across.append(middle[1 if along_x else 0])
        at = sum(here) / len(here)
        boxes += [
            _duct(
                run,
                offset,
                first_m=min(run.first_m, at),
                last_m=max(run.last_m, at),
                beside_m=beside,
                above_m=PIPE_ABOVE_RACKS_M,
                thick_m=PIPE_M,
                text=text,
            )
            for run in runs
        ]
        ends = [*across, *(run.middle_m + beside for run in runs)]
        top = max(run.top_m for run in runs)
        header = _Run(runs[0].hall_id, not along_x, min(ends), max(ends), at, top)
        boxes.append(
            _duct(
                header,
                offset,
                first_m=min(ends),
                last_m=max(ends),
                beside_m=beside,
                above_m=PIPE_ABOVE_RACKS_M,
                thick_m=PIPE_M,
                text=text,
            )
        )
    return boxes


def _rack_traces(boxes: Sequence[Box], coloured: Colouring) -> list[dict]:
    """Return the racks in the floor's order as one mesh with their colours and states, and lines that part them."""
    if not boxes:
        return []
    alive = coloured.state != "dead"
    trace = mesh("Racks", boxes, token="dead")
    trace["meta"] |= {
        "colours": rack_colours(coloured),
        "over": np.flatnonzero(coloured.is_over & alive).tolist(),
        "throttled": np.flatnonzero(coloured.state == "throttled").tolist(),
    }
    return [trace, _points("lines", _lines(boxes, [OUTLINE]), "panel", name="Outlines", line={"width": 2})]


def _lines(boxes: Sequence[Box], paths: Sequence[Sequence[int]]) -> FloatArray:
    """Return lines through the corners of each box, with a gap after each, shape (n_points, 3)."""
    corners = corners_m(boxes).reshape(len(boxes), 1, 8, 3)
    drawn = corners[:, np.zeros(len(paths), int)[:, None], np.array(paths)]
    return np.concatenate([drawn, np.full_like(drawn[:, :, :1], np.nan)], axis=2).reshape(-1, 3)


def _points(mode: str, at: FloatArray, token: str, **more: Any) -> dict:
    trace = {"type": "scatter3d", "mode": mode, "hoverinfo": "skip", "meta": {"token": token, "texts": []}}
    return trace | {axis: typed(at[:, i], "f4") for i, axis in enumerate("xyz")} | more


def scene(floor: Floor, plan: Plan, offset: dict[int, float]) -> dict[str, Any]:
    """Return the axes to scale, the row names and the places to look from."""
    width = max((offset[h.id] + h.width_m for h in floor.halls), default=1.0)
    depth = max((h.depth_m for h in floor.halls), default=1.0)
    height = max((h.height_m for h in floor.halls), default=1.0)
    low, size = np.array([-1.0, -1.0, -0.3]), np.array([width + 2.0, depth + 2.0, height + 0.3])
    scale = float(np.cbrt(size.prod()))
    hidden = {"visible": False, "showspikes": False}
    axes = {f"{axis}axis": hidden | {"range": [float(low[i]), float(low[i] + size[i])]} for i, axis in enumerate("xyz")}
    labels = [
        {"x": float(x) + offset[hall.id], "y": hall.depth_m - float(y), "z": 0.3, "text": text, "showarrow": False}
        for hall in plan.halls
        for x, y, text in hall.row_labels
    ]
    return axes | {
        "aspectmode": "manual",
        "aspectratio": dict(zip("xyz", (size / scale).tolist(), strict=True)),
        "annotations": labels,
        "meta": {"cameras": cameras(floor, plan, offset, low + size / 2, size, scale)},
    }


def cameras(
    floor: Floor, plan: Plan, offset: dict[int, float], middle: FloatArray, size: FloatArray, scale: float
) -> dict[str, Any]:
    """Return where to look from: above, a corner, and standing at the end of the longest aisle."""

    def camera(eye: Sequence[float], at: Sequence[float], up: Sequence[float] = (0, 0, 1)) -> dict[str, Any]:
        places = ((np.array(eye) - middle) / scale, (np.array(at) - middle) / scale, np.array(up, dtype=float))
        return {
            name: dict(zip("xyz", place.tolist(), strict=True))
            for name, place in zip(("eye", "center", "up"), places, strict=True)
        }

    span = float(max(size[0], size[1]))
    x, y, _ = middle
    views = {
        "corner": camera((x - 0.57 * span, y - 0.96 * span, 0.70 * span), (x - 0.03 * span, y - 0.14 * span, 0)),
        "top": camera((x, y, 1.3 * span), (x, y, 0), up=(0, 1, 0)),
    }
    aisles = aisle_boxes(floor, plan, offset, "cold") or aisle_boxes(floor, plan, offset, "hot")
    if aisles:
        longest = max(aisles, key=lambda box: max(box.x1 - box.x0, box.y1 - box.y0))
        width, depth, x0, y0 = longest.x1 - longest.x0, longest.y1 - longest.y0, longest.x0, longest.y0
        along = np.array([1.0, 0.0, 0.0]) if width >= depth else np.array([0.0, 1.0, 0.0])
        start = np.array([x0, y0, 1.7]) + (np.array([0, depth / 2, 0]) if width >= depth else [width / 2, 0, 0])
        views["aisle"] = camera(start - 2.0 * along, start + max(width, depth) / 2 * along - [0, 0, 0.5])
    return views
