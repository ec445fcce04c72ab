"""The floor plan: what stands where, drawn to scale in metres and coloured by one quantity.

Plain tuples of strings go to the template, since a hall may hold a thousand racks. SVG's y points down, the floor's y
up, so every y is mirrored here and nowhere else.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import SafeString

from facility.models import FloorFeature
from twin.core.charts.colours import ramp
from twin.core.text.numbers import quantity_text, size_text
from twin.floor.colouring import MODES, Colouring, links, unit_in, without_value
from twin.floor.rows import FloatArray, Floor, footprint

N_STEPS = 33
NO_STEP = -1
BEYOND_PERCENT = 2.0  # of the ramp's length: room for a tick that is seen to stand outside
STATE_WORDS = {"over": "overloaded", "throttled": "throttled", "dead": "off", "": ""}


RAMP = ramp(N_STEPS)


def ramp_steps(values: FloatArray, low: float, high: float) -> np.ndarray:
    """Return each value's place on the ramp, the middle where all are equal and `NO_STEP` where there is none."""
    finite = np.isfinite(values)
    steps = np.full(values.shape, NO_STEP)
    if high > low:
        share = np.clip((values[finite] - low) / (high - low), 0, 1)
        steps[finite] = np.floor(share * (N_STEPS - 1) + 0.5).astype(int)  # as static/js/shading.js does
    else:
        steps[finite] = N_STEPS // 2
    return steps


@dataclass(frozen=True, slots=True)
class Legend:
    """What the colours mean: both ends and the limit's tick, placed in percent."""

    label: str
    low: str
    high: str
    limit: str
    limit_at: float | None
    colours: list[str]


@dataclass(slots=True)
class HallPlan:
    """One hall's drawing. Numbers are text already, in metres."""

    id: int
    name: str
    width_m: float
    depth_m: float
    tile_m: float
    racks: list[tuple] = field(default_factory=list)  # id, name, x, y, width, depth, class, fill, value text
    hatches: list[tuple] = field(default_factory=list)  # x, y, width, depth, middle x, middle y of those above a limit
    notches: list[tuple] = field(default_factory=list)  # x, y of throttled racks' corner
    cdus: list[tuple] = field(default_factory=list)  # id, name, x, y, width, depth, middle x, middle y
    air_units: list[tuple] = field(default_factory=list)  # the same
    features: list[tuple] = field(default_factory=list)  # x, y, width, depth, type, name and type in words
    aisles: list[tuple] = field(default_factory=list)  # x, y, width, depth, kind, text, middle x, middle y
    row_labels: list[tuple] = field(default_factory=list)  # x, y, text

    @property
    def rack_markup(self) -> SafeString:
        """The racks as SVG. Joined here: a template's loop over a thousand racks takes longer than all the rest."""
        return SafeString(
            "".join(
                f'<rect class="{("r " + kind).rstrip()}" data-id="{pk}" data-n="{escape(name)}" data-v="{value}" '
                f'x="{x}" y="{y}" width="{width}" height="{depth}" fill="{fill}"/>'
                for pk, name, x, y, width, depth, kind, fill, value in self.racks
            )
        )

    @property
    def mark_markup(self) -> SafeString:
        """Hatching and "!" over racks above a limit, a notch at throttled ones; `colour.js` draws the same."""
        hatches = (
            f'<rect class="hatch" x="{x}" y="{y}" width="{w}" height="{h}"/>'
            f'<text class="over" x="{cx}" y="{cy}">!</text>'
            for x, y, w, h, cx, cy in self.hatches
        )
        notches = (f'<path class="notch" transform="translate({x} {y})" d="M-.32 0H0V.32z"/>' for x, y in self.notches)
        return SafeString("".join([*hatches, *notches]))

    @property
    def width(self) -> str:
        """Width of the floor as text."""
        return metres(self.width_m)

    @property
    def depth(self) -> str:
        """Depth of the floor as text."""
        return metres(self.depth_m)

    @property
    def tile(self) -> str:
        """Edge of a floor tile as text."""
        return metres(self.tile_m)

    @property
    def view_width(self) -> str:
        """Width of the drawing: the floor, the row names left of it and a margin."""
        return metres(self.width_m + 1.5)

    @property
    def view_depth(self) -> str:
        """Height of the drawing: the floor and the scale below it."""
        return metres(self.depth_m + 1.3)

    @property
    def text(self) -> str:
        """Height of small letters in metres, so that they are read at the size the hall is shown."""
        return metres(min(max(self.width_m, 1.4 * self.depth_m, 28) / 75, 1.2))

    @property
    def scale_y(self) -> str:
        """Height of the scale bar in the drawing."""
        return metres(self.depth_m + 0.6)


@dataclass(slots=True)
class Plan:
    """All halls of a layout in one colouring."""

    colouring: Colouring
    legend: Legend | None
    halls: list[HallPlan]
    table: list[tuple]  # id, name, hall, row, role, product, used, limit, remaining, state, address
    n_over: int
    n_throttled: int
    n_dead: int
    n_without: int
    data: dict[str, Any]  # what `colour.js` needs to draw another hour

    @property
    def has_limits(self) -> bool:
        """Whether the quantity has a limit at all."""
        return bool(self.colouring.question.quantity.limit)

    @property
    def table_markup(self) -> SafeString:
        """The rows of the table below the drawing, joined here for the same reason as the racks."""
        return SafeString("".join(self._table_row(*row) for row in self.table))

    def _table_row(
        self,
        pk: int,
        name: str,
        hall: str,
        row: str,
        role: str,
        product: str,
        used: str,
        limit: str,
        remaining: str,
        state: str,
        href: str,
    ) -> str:
        words = "".join(f"<td>{escape(text)}</td>" for text in (hall, row, role, product))
        head = f'<th scope="row"><a href="{href}">{escape(name)}</a></th>'
        limits = f'<td class="num">{limit}</td><td class="num">{remaining}</td>' if self.has_limits else ""
        return f'<tr data-row="{pk}">{head}{words}<td class="num">{used}</td>{limits}<td>{state}</td></tr>'


def metres(value: float) -> str:
    """Return a coordinate with millimetres, without trailing zeros."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def draw(floor: Floor, coloured: Colouring) -> Plan:
    """Return the plan of a layout in one colouring."""
    halls = {hall.id: HallPlan(hall.id, hall.name, hall.width_m, hall.depth_m, hall.tile_m) for hall in floor.halls}
    _add_racks(halls, floor, coloured)
    _add_equipment(halls, floor)
    shown, state = coloured.shown, coloured.state
    dead = state == "dead"
    return Plan(
        colouring=coloured,
        legend=legend_of(coloured) if np.isfinite(shown).any() else None,
        halls=list(halls.values()),
        table=_table(floor, coloured, {hall.id: hall.name for hall in floor.halls}),
        n_over=int(coloured.is_over.sum()),
        n_throttled=int((state == "throttled").sum()),
        n_dead=int(dead.sum()),
        n_without=int((~np.isfinite(shown) & ~dead).sum()),
        data=_data(floor, coloured),
    )


def state_text(coloured: Colouring) -> list[str]:
    """Return each rack's state in words."""
    return [
        STATE_WORDS["over"] if over and state != "dead" else STATE_WORDS[state]
        for over, state in zip(coloured.is_over.tolist(), coloured.state.tolist(), strict=True)
    ]


def rack_colours(coloured: Colouring) -> list[str]:
    """Return each rack's colour; empty for dead racks and those without a value."""
    steps = ramp_steps(coloured.shown, coloured.low, coloured.high)
    steps[coloured.state == "dead"] = NO_STEP
    return ["" if step == NO_STEP else RAMP[step] for step in steps.tolist()]


def value_texts(coloured: Colouring) -> list[str]:
    """Return the text of each rack: the value in this mode, and its state."""
    unit = coloured.question.unit
    values_and_states = zip(coloured.shown.tolist(), state_text(coloured), strict=True)
    return [
        ", ".join(filter(None, (quantity_text(value, unit) if np.isfinite(value) else "no value", state)))
        for value, state in values_and_states
    ]


def _add_racks(halls: dict[int, HallPlan], floor: Floor, coloured: Colouring) -> None:
    texts, fills = value_texts(coloured), rack_colours(coloured)
    over, state = coloured.is_over.tolist(), coloured.state.tolist()
    boxes = []
    for i, rack in enumerate(floor.racks):
        hall = halls[rack["hall_id"]]
        width, depth = footprint(rack["orientation_deg"], rack["width_m"], rack["depth_m"])
        x, top = rack["x_m"], hall.depth_m - rack["y_m"] - depth
        kind = "" if fills[i] else "dead" if state[i] == "dead" else rack["role"]
        box = tuple(map(metres, (x, top, width, depth)))
        hall.racks.append((rack["id"], rack["name"], *box, kind, fills[i], texts[i]))
        if over[i] and state[i] != "dead":
            hall.hatches.append((*box, metres(x + width / 2), metres(top + depth / 2)))
        if state[i] == "throttled":
            hall.notches.append((metres(x + width), metres(top)))
        boxes.append((rack["hall_id"], rack["row"], rack["orientation_deg"], x, rack["y_m"], width, depth))
    for hall_id, rows in rows_of(boxes).items():
        add_rows(halls[hall_id], rows)


def _add_equipment(halls: dict[int, HallPlan], floor: Floor) -> None:
    """Add CDUs, air units where they are placed, and what else takes floor."""
    for cdu in floor.cdus:
        _add_box(halls[cdu["hall_id"]], "cdus", cdu, floor.cdu_size_m(cdu))
    for unit in floor.air_units:
        _add_box(halls[unit["hall_id"]], "air_units", unit, (unit["width_m"], unit["depth_m"]))
    words = dict(FloorFeature.Type.choices)
    for feature in floor.features:
        hall = halls[feature["hall_id"]]
        top = hall.depth_m - feature["y_m"] - feature["depth_m"]
        box = map(metres, (feature["x_m"], top, feature["width_m"], feature["depth_m"]))
        hall.features.append((*box, feature["type"], f"{feature['name']}: {words[feature['type']]}"))
    for hall in halls.values():
        aisles = [tuple(map(float, f[:4])) for f in hall.features if f[4].endswith("aisle")]
        hall.aisles = [a for a in hall.aisles if not any(_overlap(tuple(map(float, a[:4])), own) for own in aisles)]


def _overlap(box: tuple, other: tuple) -> bool:
    """Return whether two boxes (x, y, width, depth) share floor; a described aisle takes the place of a found one."""
    return all(box[i] < other[i] + other[i + 2] and other[i] < box[i] + box[i + 2] for i in (0, 1))


def _add_box(hall: HallPlan, to: str, row: dict, size_m: tuple[float, float]) -> None:
    width, depth = footprint(row["orientation_deg"], *size_m)
    top = hall.depth_m - row["y_m"] - depth
    middle = (row["x_m"] + width / 2, top + depth / 2)
    getattr(hall, to).append((row["id"], row["name"], *map(metres, (row["x_m"], top, width, depth, *middle))))


def _table(floor: Floor, coloured: Colouring, hall_names: dict[int, str]) -> list[tuple]:
    unit = coloured.question.quantity.unit
    unit_left = unit_in("remaining", unit)
    site, layout = floor.layout.site.slug, floor.layout.slug
    address = reverse("rack-detail", args=[site, layout, 0])
    left = (coloured.limit - coloured.used).tolist()
    columns = zip(floor.racks, coloured.used.tolist(), coloured.limit.tolist(), left, state_text(coloured), strict=True)
    return [
        (
            r["id"],
            r["name"],
            hall_names[r["hall_id"]],
            r["row"],
            r["role"],
            floor.fact(r, "name") or "",
            quantity_text(used, unit),
            quantity_text(limit, unit),
            quantity_text(remaining, unit_left),
            state,
            address.replace("/0/", f"/{r['id']}/"),
        )
        for r, used, limit, remaining, state in columns
    ]


def _data(floor: Floor, coloured: Colouring) -> dict[str, Any]:
    """Return what the browser needs to colour the same racks at another hour."""
    question = coloured.question
    limits = [None if np.isnan(limit) else limit for limit in coloured.limit.tolist()]
    return {
        "racks": [rack["id"] for rack in floor.racks],
        "links": links(floor, question.quantity) if question.quantity.part != "racks" else [],
        "limits": limits[0] if len(set(limits)) == 1 else limits,
        "part": question.quantity.part,
        "column": question.quantity.hour,
        "unit": question.quantity.unit,
        "unit_left": unit_in("remaining", question.quantity.unit),
        "label": question.quantity.label,
        "mode": question.mode,
        "ramp": RAMP,
        "hour": question.hour,
        "n_hours": question.n_hours,
        "follows": question.follows_hours,
        "scenario": question.scenario.slug if question.scenario else "",
        "passive": np.flatnonzero(~coloured.is_compute).tolist(),
        "blank": np.flatnonzero(without_value(floor, question.quantity)).tolist(),
    }


def legend_of(coloured: Colouring) -> Legend:
    """Return what the colours mean."""
    unit, low, high, tick = coloured.question.unit, coloured.low, coloured.high, coloured.tick
    label = coloured.question.label
    if coloured.question.mode != "used":
        label = f"{label}, {MODES[coloured.question.mode]}"
    ends = quantity_text(low, unit), quantity_text(high, unit)
    if tick is None:
        return Legend(label, *ends, "", None, RAMP[::2])
    return Legend(label, *ends, quantity_text(tick, unit), tick_percent(tick, low, high), RAMP[::2])


def tick_percent(tick: float, low: float, high: float) -> float:
    """Return where the limit's tick stands along the ramp [%], just beyond the end where it lies outside."""
    if tick < low or tick > high:
        return -BEYOND_PERCENT if tick < low else 100.0 + BEYOND_PERCENT
    return 50.0 if high <= low else (tick - low) / (high - low) * 100


def rows_of(boxes: list[tuple]) -> dict[int, list[tuple]]:
    """Return each hall's rows as (name, orientation, x0, y0, x1, y1): racks of one row name that face one way."""
    corners: dict[tuple, list[float]] = {}
    for hall_id, row, orientation, x, y, width, depth in boxes:
        if not row:
            continue
        box = corners.setdefault((hall_id, row, orientation), [x, y, x + width, y + depth])
        box[:] = min(box[0], x), min(box[1], y), max(box[2], x + width), max(box[3], y + depth)
    rows = defaultdict(list)
    for (hall_id, row, orientation), box in corners.items():
        rows[hall_id].append((row, orientation, *box))
    return rows


def add_rows(hall: HallPlan, rows: list[tuple]) -> None:
    """Add row names and the aisles between neighbouring rows, named by what the racks turn towards them."""
    for along_x, faces_up in ((True, 180), (False, 90)):
        turned = (0, 180) if along_x else (90, 270)
        # first, last: extent along the row; near, far: extent across it
        spans = [
            (row, orientation, x0, x1, y0, y1) if along_x else (row, orientation, y0, y1, x0, x1)
            for row, orientation, x0, y0, x1, y1 in rows
            if orientation in turned
        ]
        spans.sort(key=lambda span: span[4])
        for row, _, first, _, near, far in spans:
            middle = (near + far) / 2
            x, y = (first - 0.3, middle) if along_x else (middle, first - 0.25)
            hall.row_labels.append((metres(x), metres(hall.depth_m - y), row))
        for i, (_, facing, first, last, _, far) in enumerate(spans):
            beyond = [s for s in spans[i + 1 :] if s[4] > far - 1e-6 and min(last, s[3]) > max(first, s[2])]
            if not beyond:
                continue
            _, facing_beyond, first_beyond, last_beyond, near, _ = beyond[0]
            start, end, gap = max(first, first_beyond), min(last, last_beyond), near - far
            if not 0.3 < gap < 6:  # closer is back to back, wider is open floor
                continue
            fronts = (facing == faces_up, facing_beyond != faces_up)
            kind = "cold aisle" if all(fronts) else "hot aisle" if not any(fronts) else "aisle"
            x, y, width, depth = (start, far, end - start, gap) if along_x else (far, start, gap, end - start)
            text = f"{kind} {size_text(round(gap, 2))}" if gap > 1.3 * float(hall.text) else ""
            top, middle = hall.depth_m - y - depth, (x + width / 2, hall.depth_m - y - depth / 2)
            hall.aisles.append(
                (*map(metres, (x, top, width, depth)), kind.partition(" ")[0], text, *map(metres, middle))
            )
