"""What differs between two layouts: on the plan, and in the parts that have no place on it.

Reads the inputs of two runs, so it shows what was solved, also where a layout has been edited since.
Things are matched by hall and name; what is left over in a hall is matched by place, and then its name is what changed.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twin.core.inputs.layout import CduRow, FeedRow, HallRow, LayoutInputs, PlantRow, column_names
from twin.core.text.field_names import fact_text, field_unit, field_words
from twin.core.text.numbers import quantity_text, significant, size_text

if TYPE_CHECKING:  # a name of type checkers' own
    from _typeshed import DataclassInstance

Properties = dict[str, str]
HallPair = tuple[HallRow | None, HallRow] | tuple[HallRow, None]  # in A, in B

SAME_PLACE_M = 0.3  # half a floor tile: nearer centres are one place
STILL_M = 1e-3  # below this nothing was moved: positions are kept to the millimetre

FLOOR_KINDS = ("rack", "CDU", "air unit", "floor feature")

ONLY_A, ONLY_B, MOVED, CHANGED, SAME = "only in A", "only in B", "moved", "changed", "unchanged"
STATES = (ONLY_A, ONLY_B, MOVED, CHANGED, SAME)


@dataclass(frozen=True, slots=True)
class Box:
    """The floor that something covers, in metres from the hall's lower left corner."""

    x_m: float
    y_m: float
    width_m: float
    depth_m: float
    orientation_deg: int

    @property
    def centre_m(self) -> tuple[float, float]:
        """Middle of the box."""
        return self.x_m + self.width_m / 2, self.y_m + self.depth_m / 2

    def distance_m(self, other: "Box") -> float:
        """Distance between two middles."""
        (x, y), (other_x, other_y) = self.centre_m, other.centre_m
        return ((x - other_x) ** 2 + (y - other_y) ** 2) ** 0.5


@dataclass(frozen=True, slots=True)
class Thing:
    """One described object of a layout; `box` is None where it has no place, or none that the snapshot kept."""

    kind: str
    hall: str
    name: str
    properties: Properties
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """One object of either layout: what became of it from A to B. `changes` has (property, in A, in B)."""

    state: str
    before: Thing | None
    after: Thing | None
    changes: tuple[tuple[str, str, str], ...] = ()
    moved_m: tuple[float, float] = (0.0, 0.0)
    turned_deg: int = 0

    @property
    def thing(self) -> Thing:
        """The object as it is in B, or as it was in A where B has none."""
        if self.after is not None:
            return self.after
        if self.before is None:
            raise ValueError("Difference.before and Difference.after are None; one of them must be an object")
        return self.before

    @property
    def said(self) -> tuple[str, ...]:
        """The differences, each in words."""
        words = []
        if self.state in (ONLY_A, ONLY_B):
            properties = self.thing.properties
            words.append(properties.get("Product") or properties.get("Kind") or properties.get("Role") or "")
        if any(self.moved_m):
            moves = zip(self.moved_m, (("to the left", "to the right"), ("down", "up")), strict=True)
            distances = [f"{significant(abs(d))} m {towards[d > 0]}" for d, towards in moves if d]
            words.append(f"moved by {', '.join(distances)}")
        if self.turned_deg:
            words.append(f"turned by {self.turned_deg}°")
        words += [f"{name}: {a or 'none'} → {b or 'none'}" for name, a, b in self.changes]
        return tuple(word for word in words if word)


@dataclass(frozen=True, slots=True)
class HallDifference:
    """What stands in one hall, in A or in B; width and depth hold both."""

    name: str
    width_m: float
    depth_m: float
    things: list[Difference]


@dataclass(frozen=True, slots=True)
class Row:
    """Alike differences as one row of the table."""

    state: str
    kind: str
    hall: str
    names: list[str]
    said: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlanDifference:
    """Halls with what stands in them, and parts without a place: halls, CDUs of old runs, feeds, plants."""

    halls: list[HallDifference]
    parts: list[Difference]
    counts: dict[str, int] = field(default_factory=dict)  # of what stands on the floor, by state

    @property
    def rows(self) -> list[Row]:
        """The table behind the drawing: everything that differs, alike ones together."""
        return rows([*(thing for hall in self.halls for thing in hall.things), *self.parts])

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.rows


def plan_difference(a: LayoutInputs, b: LayoutInputs) -> PlanDifference:
    """Return what differs between the layouts of two snapshots.

    Parameters
    ----------
    a, b : LayoutInputs
        They may be of different sites.
    """
    hall_pairs = _paired_halls(a.halls, b.halls)
    renamed = {old.name: new.name for old, new in hall_pairs if old and new}
    before, after = floor(a, renamed), floor(b, {})
    halls, placeless = [], []
    for old, new in hall_pairs:
        name = new.name if new is not None else old.name if old is not None else ""
        own = [
            difference
            for kind in FLOOR_KINDS
            for difference in _matched(before.get((name, kind), []), after.get((name, kind), []))
        ]
        sizes = [hall for hall in (old, new) if hall]
        standing = [d for d in own if d.thing.box]
        placeless += [d for d in own if not d.thing.box]
        halls.append(HallDifference(name, max(h.width_m for h in sizes), max(h.depth_m for h in sizes), standing))
    counts = {state: sum(d.state == state for hall in halls for d in hall.things) for state in STATES}
    parts = _matched(_halls(a, renamed), _halls(b, {}))
    for read in (_feeds, _plants):
        parts += _matched(read(a), read(b))
    return PlanDifference(halls, placeless + parts, counts)


def rows(differences: Iterable[Difference]) -> list[Row]:
    """Return differences as rows, those that are alike together, in the order of `STATES`."""
    gathered: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for one in differences:
        if one.state != SAME:
            gathered[one.state, one.thing.kind, one.thing.hall, one.said].append(one.thing.name)
    found = [Row(state, kind, hall, names, said) for (state, kind, hall, said), names in gathered.items()]
    return sorted(found, key=lambda row: STATES.index(row.state))


def floor(inputs: LayoutInputs, renamed: Mapping[str, str]) -> dict[tuple[str, str], list[Thing]]:
    """Return what stands on the floor by hall and kind; `renamed` says under which name a hall is matched."""
    hall_name = {hall.id: renamed.get(hall.name, hall.name) for hall in inputs.halls}
    found: dict[tuple[str, str], list[Thing]] = defaultdict(list)
    for thing, hall_id in (*_racks(inputs), *_cdus(inputs), *_air_units(inputs), *_features(inputs)):
        hall = hall_name.get(hall_id, "")
        found[hall, thing.kind].append(Thing(thing.kind, hall, thing.name, thing.properties, thing.box))
    return found


def _racks(inputs: LayoutInputs) -> Iterable[tuple[Thing, int]]:
    racks = inputs.racks
    product, cdu, feed = inputs.product_name, _names(inputs.cdus), _names(inputs.feeds)
    for i in range(len(racks)):
        properties = {
            "Product": product(racks.product_id[i]),
            "Systems": f"{racks.n_systems[i]}" if racks.product_id[i] is not None else "",
            "Role": racks.role[i],
            "Row": racks.row[i],
            "CDU": cdu(racks.cdu_id[i]),
            "Feed A": feed(racks.feed_a_id[i]),
            "Feed B": feed(racks.feed_b_id[i]),
            "Other power": quantity_text(racks.other_power_w[i], "W") if racks.other_power_w[i] else "",
            "Accelerator power cap": _amount(racks.accelerator_power_limit_w[i], "W"),
            "Load share": significant(racks.load_share[i]),
            "Coolant flow": _amount(racks.coolant_flow_m3_per_s[i], "m³/s"),
            "Size": size_text(racks.width_m[i], racks.depth_m[i]),
        }
        box = _box(racks.x_m[i], racks.y_m[i], racks.orientation_deg[i], racks.width_m[i], racks.depth_m[i])
        yield Thing("rack", "", racks.name[i], properties, box), racks.hall_id[i]


def _cdus(inputs: LayoutInputs) -> Iterable[tuple[Thing, int]]:
    product, plant = inputs.product_name, _names(inputs.plants)
    for cdu in inputs.cdus:
        facts = inputs.facts(cdu.product_id)
        properties = {
            "Product": product(cdu.product_id),
            "Group": cdu.group,
            "Plant": plant(cdu.plant_id),
            "Redundant units": f"{cdu.redundant_units}",
            "Supply set point": quantity_text(cdu.supply_degc, "°C"),
            "Coolant": cdu.coolant,
        } | _others(cdu, CDU_SAID)
        size = facts.get("width_m") or 0.6, facts.get("depth_m") or 1.2
        box = None
        if cdu.x_m is not None and cdu.y_m is not None:  # runs of earlier versions kept no places of CDUs
            box = _box(cdu.x_m, cdu.y_m, cdu.orientation_deg or 0, *size)
        yield Thing("CDU", "", cdu.name, properties, box), cdu.hall_id


def _air_units(inputs: LayoutInputs) -> Iterable[tuple[Thing, int]]:
    for unit in inputs.air_units:  # older runs kept none
        size = {"Size": size_text(unit.width_m, unit.depth_m)}
        box = _box(unit.x_m, unit.y_m, unit.orientation_deg, unit.width_m, unit.depth_m)
        yield Thing("air unit", "", unit.name, size, box), unit.hall_id


def _features(inputs: LayoutInputs) -> Iterable[tuple[Thing, int]]:
    for part in inputs.features:
        properties = {"Kind": part.type.replace("_", " "), "Size": size_text(part.width_m, part.depth_m)}
        box = Box(part.x_m, part.y_m, part.width_m, part.depth_m, 0)
        yield Thing("floor feature", "", part.name, properties, box), part.hall_id


#: Fields of a row that its description says in words of its own, or that are no description.
HALL_SAID = frozenset(
    {
        "id",
        "name",
        "width_m",
        "depth_m",
        "height_m",
        "containment",
        "supply_air_degc",
        "air_unit_id",
        "n_air_units",
        "n_air_units_spare",
        "leakage_frac",
        "recirculation_frac",
        "lighting_w",
        "plant_id",
    }
)
FEED_SAID = frozenset(
    {
        "id",
        "name",
        "kind",
        "parent_id",
        "product_id",
        "rating_w",
        "n_units",
        "length_m",
        "redundancy_group",
        "redundancy",
        "eco_mode",
        "hall_id",
    }
)
PLANT_SAID = frozenset(
    {
        "id",
        "name",
        "supply_degc",
        "design_rise_k",
        "coolant",
        "economiser",
        "heat_rejection_id",
        "n_heat_rejection",
        "n_heat_rejection_spare",
        "chiller_id",
        "n_chillers",
        "n_chillers_spare",
        "pump_id",
        "n_pumps",
        "n_pumps_spare",
        "tank_m3",
    }
)
CDU_SAID = frozenset(
    {
        "id",
        "name",
        "product_id",
        "plant_id",
        "hall_id",
        "group",
        "redundant_units",
        "supply_degc",
        "coolant",
        "x_m",
        "y_m",
        "orientation_deg",
    }
)


def _others(row: "DataclassInstance", shown: frozenset[str]) -> dict[str, str]:
    """Return the other fields of a row by their names in words, so that fields described later show by themselves."""
    return {
        field_words(name): fact_text(getattr(row, name), field_unit(name))
        for name in column_names(type(row))
        if name not in shown
    }


def _halls(inputs: LayoutInputs, renamed: Mapping[str, str]) -> list[Thing]:
    product, plant = inputs.product_name, _names(inputs.plants)
    return [
        Thing(
            "hall",
            "",
            renamed.get(hall.name, hall.name),
            {
                "Name": hall.name,
                "Size": size_text(hall.width_m, hall.depth_m, hall.height_m),
                "Containment": hall.containment.replace("_", " "),
                "Supply air": quantity_text(hall.supply_air_degc, "°C"),
                "Air units": _units(hall.n_air_units, product(hall.air_unit_id), hall.n_air_units_spare),
                "Leakage": quantity_text(hall.leakage_frac, "%"),
                "Recirculation": quantity_text(hall.recirculation_frac, "%"),
                "Lighting": quantity_text(hall.lighting_w, "W"),
                "Plant": plant(hall.plant_id),
            }
            | _others(hall, HALL_SAID),
        )
        for hall in inputs.halls
    ]


def _feeds(inputs: LayoutInputs) -> list[Thing]:
    product, parent = inputs.product_name, _names(inputs.feeds)
    return [
        Thing(
            "power feed",
            "",
            feed.name,
            {
                "Kind": feed.kind,
                "Fed by": parent(feed.parent_id),
                "Product": product(feed.product_id),
                "Rating": _amount(feed.rating_w, "W"),
                "Units": f"{feed.n_units}",
                "Length": _amount(feed.length_m, "m"),
                "Redundancy group": feed.redundancy_group or "",
                "Redundancy": feed.redundancy or "",
                "Eco mode": "yes" if feed.eco_mode else "no",
            }
            | _others(feed, FEED_SAID),
        )
        for feed in inputs.feeds
    ]


def _plants(inputs: LayoutInputs) -> list[Thing]:
    product = inputs.product_name
    return [
        Thing(
            "cooling plant",
            "",
            plant.name,
            {
                "Supply set point": quantity_text(plant.supply_degc, "°C"),
                "Design rise": quantity_text(plant.design_rise_k, "K"),
                "Coolant": plant.coolant,
                "Economiser": f"{plant.economiser}".replace("_", " "),
                "Heat rejection": _units(
                    plant.n_heat_rejection, product(plant.heat_rejection_id), plant.n_heat_rejection_spare
                ),
                "Chillers": _units(plant.n_chillers, product(plant.chiller_id), plant.n_chillers_spare),
                "Pumps": _units(plant.n_pumps, product(plant.pump_id), plant.n_pumps_spare),
                "Tank": _amount(plant.tank_m3, "m³"),
            }
            | _others(plant, PLANT_SAID),
        )
        for plant in inputs.plants
    ]


def _paired_halls(before: Sequence[HallRow], after: Sequence[HallRow]) -> list[HallPair]:
    """Return halls of equal name as pairs; of those left over, the first of equal size, else each by itself."""
    by_name = {hall.name: hall for hall in before}
    pairs: list[HallPair] = []
    for new in after:
        pairs.append((by_name.pop(new.name, None), new))
    for i, new in enumerate(after):
        if pairs[i][0] is None:
            alike = [h for h in by_name.values() if (h.width_m, h.depth_m) == (new.width_m, new.depth_m)]
            if alike:
                pairs[i] = by_name.pop(alike[0].name), new
    return [*pairs, *((old, None) for old in by_name.values())]


def _matched(before: list[Thing], after: list[Thing]) -> list[Difference]:
    """Return every object of one hall and kind once, those of B first in their order."""
    by_name = {thing.name: thing for thing in before}
    pairs = [(by_name.pop(new.name, None), new) for new in after]
    left = list(by_name.values())
    found = []
    for old, new in pairs:
        if old is None and new.box and left:
            distance_m, near = min(((_distance_m(thing, new.box), thing) for thing in left), key=lambda pair: pair[0])
            if distance_m <= SAME_PLACE_M:
                left.remove(near)
                old = near
        found.append(_difference(old, new))
    return found + [_difference(old, None) for old in left]


def _distance_m(thing: Thing, box: Box) -> float:
    return thing.box.distance_m(box) if thing.box else float("inf")


def _difference(old: Thing | None, new: Thing | None) -> Difference:
    if old is None or new is None:
        return Difference(ONLY_B if old is None else ONLY_A, old, new)
    changes = tuple(
        (name, old.properties.get(name, ""), new.properties.get(name, ""))
        for name in new.properties
        if old.properties.get(name, "") != new.properties.get(name, "")
    )
    if old.name != new.name:
        changes = (("Name", old.name, new.name), *changes)
    moved, turned = (0.0, 0.0), 0
    if old.box and new.box:
        (x, y), (to_x, to_y) = old.box.centre_m, new.box.centre_m
        moved = _moved_m(to_x - x), _moved_m(to_y - y)
        turned = (new.box.orientation_deg - old.box.orientation_deg) % 360
    state = CHANGED if changes else MOVED if any(moved) or turned else SAME
    return Difference(state, old, new, changes, moved, turned)


def _moved_m(distance_m: float) -> float:
    return round(distance_m, 3) if abs(distance_m) > STILL_M else 0.0


def _box(x_m: float, y_m: float, orientation_deg: int, width_m: float, depth_m: float) -> Box:
    turned = orientation_deg in (90, 270)
    across, along = (depth_m, width_m) if turned else (width_m, depth_m)
    return Box(x_m, y_m, across, along, orientation_deg)


def _names(table: Sequence[CduRow] | Sequence[FeedRow] | Sequence[PlantRow]) -> Callable[[int | None], str]:
    by_id: dict[int | None, str] = {row.id: row.name for row in table}
    return lambda row_id: by_id.get(row_id, "")


def _units(n: int, name: str, spare: int) -> str:
    return f"{n} × {name}" + (f", {spare} of them spare" if spare else "") if n else ""


def _amount(value: float | None, unit: str) -> str:
    return "" if value is None else quantity_text(value, unit)
