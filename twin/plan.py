"""The floor plan: what stands where, drawn to scale in metres and coloured by one quantity.

Plain tuples of strings go to the template, since a hall may hold a thousand racks. SVG's y points down, the floor's y
up, so every y is mirrored here and nowhere else.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import SafeString

from facility.models import Layout, Product, Rack
from twin.number_text import quantity_text


@dataclass(frozen=True, slots=True)
class Quantity:
    """One quantity to colour racks by. `limit_fact` names the product's fact that must not be exceeded."""

    name: str
    label: str
    unit: str
    needs_run: bool = True
    limit_fact: str = ""


QUANTITIES = (
    Quantity("rated_power_w", "Rated power", "W", needs_run=False),
    Quantity("mean_power_w", "Mean power", "W"),
    Quantity("max_power_w", "Highest power", "W", limit_fact="max_power_w"),
    Quantity("max_junction_degc", "Hottest accelerator", "°C", limit_fact="throttle_degc"),
    Quantity("max_supply_degc", "Warmest coolant supply", "°C", limit_fact="liquid_supply_max_degc"),
    Quantity("mean_supply_degc", "Mean coolant supply", "°C", limit_fact="liquid_supply_max_degc"),
    Quantity("max_inlet_air_degc", "Warmest inlet air", "°C", limit_fact="air_inlet_max_degc"),
    Quantity("min_clock_frac", "Slowest clock", "%"),
    Quantity("throttled_hours", "Throttled hours", "h"),
    Quantity("output_tokens_per_s", "Output tokens", "tok/s"),
    Quantity("tokens_per_joule", "Tokens per watt", "tok/J"),
)
BY_NAME = {quantity.name: quantity for quantity in QUANTITIES}

#: Viridis (matplotlib, CC0) at nine even steps: perceptually even and readable without red-green vision.
VIRIDIS = ((68, 1, 84), (71, 45, 123), (59, 82, 139), (44, 114, 142), (33, 145, 140), (40, 174, 128), (94, 201, 98),
           (173, 220, 48), (253, 231, 37))  # fmt: skip
N_STEPS = 33


def ramp() -> list[str]:
    """Return the sequential ramp as hex colours, low to high."""
    at = np.linspace(0, len(VIRIDIS) - 1, N_STEPS)
    channels = np.array([np.interp(at, np.arange(len(VIRIDIS)), column) for column in np.array(VIRIDIS).T]).round()
    return ["#{:02x}{:02x}{:02x}".format(*(int(c) for c in colour)) for colour in channels.T]


@dataclass(frozen=True, slots=True)
class Legend:
    """What the colours mean. Ticks are (position in percent, text)."""

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
    hatches: list[tuple] = field(default_factory=list)  # x, y, width, depth of racks above their limit
    notches: list[tuple] = field(default_factory=list)  # x, y of throttled racks' corner
    cdus: list[tuple] = field(default_factory=list)  # id, name, x, y, width, depth, middle x, middle y
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

    quantity: Quantity
    legend: Legend | None
    halls: list[HallPlan]
    table: list[tuple]  # id, name, hall, row, role, product, value text, limit text, address
    n_over: int
    n_throttled: int
    n_without: int

    @property
    def table_markup(self) -> SafeString:
        """The rows of the table below the drawing, joined here for the same reason as the racks."""
        return SafeString("".join(self._table_row(*row) for row in self.table))

    def _table_row(self, pk: int, name: str, hall: str, row: str, role: str, product: str, value: str, limit: str,
                   href: str) -> str:  # fmt: skip
        limit_cell = f'<td class="num">{limit}</td>' if self.quantity.limit_fact else ""
        words = "".join(f"<td>{escape(text)}</td>" for text in (hall, row, role, product))
        head = f'<th scope="row"><a href="{href}">{escape(name)}</a></th>'
        return f'<tr>{head}{words}<td class="num">{value}</td>{limit_cell}</tr>'


def metres(value: float) -> str:
    """Return a coordinate with millimetres, without trailing zeros."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def footprint(orientation_deg: int, width_m: float, depth_m: float) -> tuple[float, float]:
    """Return the extent along x and y; a quarter turn swaps width and depth."""
    return (depth_m, width_m) if orientation_deg in (90, 270) else (width_m, depth_m)


def draw(layout: Layout, quantity: Quantity, run_racks: Mapping[str, np.ndarray] | None = None) -> Plan:
    """Return the plan of a layout in one colouring, by five queries whatever the number of racks."""
    halls = {
        hall.id: HallPlan(hall.id, hall.name, hall.width_m, hall.depth_m, hall.tile_m) for hall in layout.halls.all()
    }
    racks = list(
        Rack.objects.filter(hall__layout=layout).order_by("hall", "row", "name").values(
            "id", "hall_id", "name", "row", "role", "x_m", "y_m", "orientation_deg", "width_m", "depth_m",
            "product_id", "n_systems", "other_power_w",
        )
    )  # fmt: skip
    cdus = list(layout.cdus.values("id", "name", "hall_id", "product_id", "x_m", "y_m", "orientation_deg"))
    facts = product_facts({row["product_id"] for row in (*racks, *cdus)} - {None})

    rated = np.array([rated_power_w(rack, facts) for rack in racks])
    values = rack_values(quantity, racks, rated, run_racks)
    limits = rack_limits(quantity, racks, rated, facts)
    throttled = rack_array("throttled_hours", racks, run_racks) > 0
    # Half a percent above a limit is the solver's tolerance, not an overload.
    over = (values > limits * 1.005) & np.isfinite(limits) if quantity.limit_fact else np.zeros(len(racks), bool)
    finite = np.isfinite(values)
    low, high = (float(values[finite].min()), float(values[finite].max())) if finite.any() else (0.0, 0.0)
    colours = ramp()
    steps = np.zeros(len(racks), int)
    if high > low:
        steps[finite] = np.round((values[finite] - low) / (high - low) * (N_STEPS - 1)).astype(int)
    elif finite.any():
        steps[finite] = N_STEPS // 2

    boxes = []
    for i, rack in enumerate(racks):
        hall = halls[rack["hall_id"]]
        width, depth = footprint(rack["orientation_deg"], rack["width_m"], rack["depth_m"])
        top = hall.depth_m - rack["y_m"] - depth
        fill = colours[steps[i]] if finite[i] else ""
        kind = "" if finite[i] else rack["role"]
        text = quantity_text(float(values[i]), quantity.unit) if finite[i] else "no value"
        hall.racks.append(
            (rack["id"], rack["name"], metres(rack["x_m"]), metres(top), metres(width), metres(depth), kind, fill, text)
        )
        if over[i]:
            hall.hatches.append(hall.racks[-1][2:6])
        if throttled[i]:
            hall.notches.append((metres(rack["x_m"] + width), metres(top)))
        boxes.append((rack["hall_id"], rack["row"], rack["orientation_deg"], rack["x_m"], rack["y_m"], width, depth))
    for cdu in cdus:
        hall = halls[cdu["hall_id"]]
        of = facts.get(cdu["product_id"], {})
        width, depth = footprint(cdu["orientation_deg"], of.get("width_m") or 0.6, of.get("depth_m") or 1.2)
        top = hall.depth_m - cdu["y_m"] - depth
        middle = (cdu["x_m"] + width / 2, top + depth / 2)
        hall.cdus.append((cdu["id"], cdu["name"], *map(metres, (cdu["x_m"], top, width, depth, *middle))))
    for hall_id, rows in rows_of(boxes).items():
        add_rows(halls[hall_id], rows)

    address = reverse("rack-detail", args=[layout.site.slug, layout.slug, 0])
    table = [
        (r["id"], r["name"], halls[r["hall_id"]].name, r["row"], r["role"],
         facts.get(r["product_id"], {}).get("name", ""), quantity_text(value, quantity.unit),
         quantity_text(limit, quantity.unit), address.replace("/0/", f"/{r['id']}/"))
        for r, value, limit in zip(racks, values.tolist(), limits.tolist(), strict=True)
    ]  # fmt: skip
    legend = legend_of(quantity, low, high, nearest_limit(values, limits), colours) if finite.any() else None
    return Plan(quantity, legend, list(halls.values()), table, int(over.sum()), int(throttled.sum()),
                int((~finite).sum()))  # fmt: skip


def product_facts(ids: set[int]) -> dict[int, dict]:
    """Return the facts of the products that stand on the floor, with their accelerator's limit beside them."""
    facts = {p.id: {**p.facts, "name": p.name} for p in Product.objects.filter(id__in=ids).only("id", "name", "facts")}
    accelerators = dict(
        Product.objects.filter(kind="accelerators", slug__in={f.get("accelerator") for f in facts.values()} - {None})
        .values_list("slug", "facts")
    )  # fmt: skip
    for of in facts.values():
        of["throttle_degc"] = accelerators.get(of.get("accelerator"), {}).get("throttle_degc")
    return facts


def rated_power_w(rack: dict, facts: dict[int, dict]) -> float:
    """Return a rack's nameplate power: its systems at their rated input and what else is in it."""
    return (facts.get(rack["product_id"], {}).get("max_power_w") or 0.0) * rack["n_systems"] + rack["other_power_w"]


def rack_array(name: str, racks: list[dict], run_racks: Mapping[str, np.ndarray] | None) -> np.ndarray:
    """Return one of the run's per-rack arrays in the order of `racks`; NaN for racks that the run did not know."""
    values = np.full(len(racks), np.nan)
    if run_racks is None or name not in run_racks:
        return values
    at = {int(rack_id): i for i, rack_id in enumerate(run_racks["rack_id"])}
    known = [(i, at[rack["id"]]) for i, rack in enumerate(racks) if rack["id"] in at]
    if known:
        here, there = np.array(known).T
        values[here] = np.asarray(run_racks[name], dtype=float)[there]
    return values


def rack_values(quantity: Quantity, racks: list[dict], rated: np.ndarray,
                run_racks: Mapping[str, np.ndarray] | None) -> np.ndarray:  # fmt: skip
    """Return the quantity per rack, NaN where there is none."""
    if quantity.name == "rated_power_w":
        return np.where(rated > 0, rated, np.nan)
    values = rack_array(quantity.name, racks, run_racks)
    if quantity.name in ("output_tokens_per_s", "tokens_per_joule"):  # racks that make no tokens are not bad at it
        values[[rack["role"] != Rack.Role.COMPUTE for rack in racks]] = np.nan
    return values


def rack_limits(quantity: Quantity, racks: list[dict], rated: np.ndarray, facts: dict[int, dict]) -> np.ndarray:
    """Return the limit of the quantity per rack, NaN where the product states none."""
    if not quantity.limit_fact:
        return np.full(len(racks), np.nan)
    if quantity.limit_fact == "max_power_w":
        return np.where(rated > 0, rated, np.nan)
    stated = [facts.get(rack["product_id"], {}).get(quantity.limit_fact) for rack in racks]
    return np.array([np.nan if limit is None else float(limit) for limit in stated])


def nearest_limit(values: np.ndarray, limits: np.ndarray) -> float | None:
    """Return the limit of the rack that is closest to its own, or furthest above it; None where none is stated."""
    left = limits - values
    return float(limits[np.nanargmin(left)]) if np.isfinite(left).any() else None


def legend_of(quantity: Quantity, low: float, high: float, limit: float | None, colours: list[str]) -> Legend:
    """Return the legend; the tick of the limit stands at the end where it lies outside."""
    at = None
    if limit is not None:
        at = 50.0 if high <= low else min(max((limit - low) / (high - low) * 100, 0.0), 100.0)
    return Legend(
        quantity.label, quantity_text(low, quantity.unit), quantity_text(high, quantity.unit),
        quantity_text(limit, quantity.unit) if limit is not None else "", at, colours[::2],
    )  # fmt: skip


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
            text = f"{kind} {metres(round(gap, 2))} m" if gap > 1.3 * float(hall.text) else ""
            top, middle = hall.depth_m - y - depth, (x + width / 2, hall.depth_m - y - depth / 2)
            hall.aisles.append(
                (*map(metres, (x, top, width, depth)), kind.partition(" ")[0], text, *map(metres, middle))
            )
