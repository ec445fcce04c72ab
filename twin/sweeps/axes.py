"""What a sweep changes: read from words, checked against the models' own rules, put into a snapshot.

Objects are named as on the wire: `plant/P1`, `cdu/*` for all of a kind, `rack/HALL/*`, `workload/SLUG`, `scenario`,
`site`. A changed snapshot is word for word the one that the changed description would have given.
"""

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from facility.kinds import product_kinds
from facility.models import Cdu, CoolingPlant, Fabric, Hall, PowerFeed, Product, Rack, Site, Storage
from twin.core.inputs.layout import TABLES, RackColumns, ScenarioInputs, SiteInputs, WorkloadShare, column_names
from twin.models import Scenario, ScenarioWorkload
from twin.runs import snapshot

MOST_AXES = 4
MOST_POINTS = 256
MOST_VALUES = 64
#: By the first word of an object: the table of the snapshot, the names of its columns, and its model.
OBJECTS: Mapping[str, tuple[str, tuple[str, ...], type[models.Model]]] = {
    "plant": ("plants", column_names(TABLES["plants"]), CoolingPlant),
    "cdu": ("cdus", column_names(TABLES["cdus"]), Cdu),
    "feed": ("feeds", column_names(TABLES["feeds"]), PowerFeed),
    "hall": ("halls", column_names(TABLES["halls"]), Hall),
    "rack": ("racks", column_names(RackColumns), Rack),
    "network": ("fabrics", column_names(TABLES["fabrics"]), Fabric),
    "storage": ("storages", column_names(TABLES["storages"]), Storage),
    "workload": ("workloads", column_names(WorkloadShare), ScenarioWorkload),
    "scenario": ("scenario", column_names(ScenarioInputs), Scenario),
    "site": ("site", column_names(SiteInputs), Site),
}
WHOLE = ("scenario", "site")  # one of each
#: What says which object it is, where it stands or what it belongs to: a sweep leaves that alone.
NOT_SWEPT = frozenset(
    {"id", "name", "slug", "row", "role", "kind", "purpose", "group", "redundancy_group", "workloads", "assumed"}
    | {"x_m", "y_m", "orientation_deg", "width_m", "depth_m", "height_m", "latitude_deg", "elevation_m"}
    | {"layout", "hall", "plant", "parent", "cdu", "feed_a", "feed_b", "region", "workload", "model"}
)


@dataclass(frozen=True, slots=True)
class Axis:
    """One field of some objects, and the values that it takes."""

    object: str
    field: str
    values: tuple[Any, ...]  # as said: of products their slugs

    def as_json(self) -> dict[str, Any]:
        """Return it as it is stored and answered."""
        return {"object": self.object, "field": self.field, "values": list(self.values)}


class AxisError(ValueError):
    """What is wrong with an axis; `place` is its position."""

    def __init__(self, place: int, problem: str) -> None:
        super().__init__(problem)
        self.place = place


def swept_fields(kind: str) -> dict[str, models.Field]:
    """Return the fields of a kind of object that a sweep may change, by name; products by the name without "_id"."""
    _, columns, model = OBJECTS[kind]
    found = {}
    for field in model._meta.concrete_fields:
        if field.attname in columns and field.name not in NOT_SWEPT and field.attname not in NOT_SWEPT:
            found[field.name] = field
    return found


def range_values(start: float, stop: float, step: float) -> list[float]:
    """Return the values from `start` up to and including `stop`.

    Raises
    ------
    ValueError
        If there are none, or too many.
    """
    if not all(math.isfinite(number) for number in (start, stop, step)):
        raise ValueError("start, stop and step must be numbers")
    if step == 0 or (stop - start) / step < 0:
        raise ValueError(
            f"from {start:g} to {stop:g} by {step:g} there is no value; the step must lead from start to stop"
        )
    n = (stop - start) / step + 1e-9
    if n >= MOST_VALUES:
        raise ValueError(f"from {start:g} to {stop:g} by {step:g} are more than {MOST_VALUES} values")
    values = [round(start + i * step, 10) for i in range(int(n) + 1)]
    return [int(value) if float(value).is_integer() else value for value in values]


def read_axes(wanted: Sequence[Mapping[str, Any]], base: Mapping[str, Any]) -> tuple[list[Axis], dict[str, Any]]:
    """Return the axes as they are meant, and the catalogue entries that they take by id.

    Parameters
    ----------
    wanted : sequence of mapping
        Each with `object`, `field`, and `values` or `range` (start, stop, step).
    base : mapping
        The snapshot that they change.

    Raises
    ------
    AxisError
        If an object or field is not there, or a value is not allowed; it names them and what is.
    """
    axes, products = [], {}
    if not 1 <= len(wanted) <= MOST_AXES:
        raise AxisError(0, f"There are {len(wanted)} axes; a sweep has 1 to {MOST_AXES}.")
    for place, axis in enumerate(wanted):
        try:
            read, sheets = _axis(axis, base)
        except ValueError as error:
            raise AxisError(place, str(error)) from error
        axes.append(read)
        products |= sheets
    names = [(axis.object, axis.field) for axis in axes]
    if len(set(names)) < len(names):
        raise AxisError(len(axes) - 1, f"{names[-1][0]} {names[-1][1]} is swept twice.")
    n = math.prod(len(axis.values) for axis in axes)
    if n > MOST_POINTS:
        raise AxisError(len(axes) - 1, f"The axes have {n:,} points together; a sweep has at most {MOST_POINTS}.")
    return axes, products


def points(axes: Iterable[Axis]) -> Iterator[tuple[Any, ...]]:
    """Return the values of each point; the last axis runs first."""
    return itertools.product(*(axis.values for axis in axes))


def changed(
    base: Mapping[str, Any], axes: Sequence[Axis], values: Sequence[Any], products: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a snapshot with the values of one point in it.

    Raises
    ------
    ValueError
        If they contradict each other or the rest of the description, in one sentence.
    """
    inputs = json.loads(json.dumps(base))  # JSON has no other parts than can be copied so
    by_slug = {(sheet["kind"], sheet["slug"]): int(key) for key, sheet in products.items()}
    for axis, value in zip(axes, values, strict=True):
        kind = axis.object.partition("/")[0]
        field = swept_fields(kind)[axis.field]
        if isinstance(field, models.ForeignKey) and value is not None:
            kinds = product_kinds(field.model, field.name)
            value = next(by_slug[of_kind, value] for of_kind in kinds if (of_kind, value) in by_slug)
        for row, name in _places(inputs, axis.object, field.attname):
            row[name] = value
    _check_together(inputs)
    return snapshot.with_products(inputs, products)


def choices(base: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Return what can be swept: objects with their fields, all of a kind before single ones; racks by hall."""
    found = [("scenario", list(swept_fields("scenario"))), ("site", list(swept_fields("site")))]
    for kind, (table, _, _) in OBJECTS.items():
        if kind in WHOLE:
            continue
        names = _names(base, kind)
        fields = list(swept_fields(kind))
        if not names or not fields:
            continue
        found.append((f"{kind}/*", fields))
        if kind == "rack":
            found += [(f"rack/{hall}/*", fields) for hall in dict.fromkeys(name.split("/")[0] for name in names)]
        elif table in ("plants", "halls", "fabrics", "storages", "workloads"):
            found += [(f"{kind}/{name}", fields) for name in names]
    return found


def _axis(wanted: Mapping[str, Any], base: Mapping[str, Any]) -> tuple[Axis, dict[str, Any]]:
    named = str(wanted.get("object", "")).strip()
    kind = named.partition("/")[0]
    if kind not in OBJECTS:
        raise ValueError(f"There is no object {named or '(blank)'}; begin with one of {', '.join(OBJECTS)}.")
    fields = swept_fields(kind)
    field = fields.get(str(wanted.get("field", "")).strip())
    if field is None:
        raise ValueError(
            f"{kind} has no field {wanted.get('field') or '(blank)'} to sweep; there are {', '.join(fields)}."
        )
    if not list(_places(base, named, field.attname)):
        there = ", ".join(_names(base, kind)[:5]) or "none"
        raise ValueError(f"There is no {named}; there are: {there}. {kind}/* is all of them.")
    raw = wanted.get("values")
    if wanted.get("range") is not None:
        raw = range_values(*(float(wanted["range"][name]) for name in ("start", "stop", "step")))
    if not raw:
        raise ValueError(f"{named} {field.name} has no values.")
    if len(raw) > MOST_VALUES:
        raise ValueError(f"{named} {field.name} has {len(raw)} values; at most {MOST_VALUES}.")
    values, sheets = [], {}
    for value in raw:
        read, sheet = _value(named, field, value)
        if read in values and any(type(read) is type(known) and read == known for known in values):
            raise ValueError(f"{named} {field.name} takes {value} twice.")
        values.append(read)
        sheets |= sheet
    return Axis(named, field.name, tuple(values)), sheets


def _value(named: str, field: models.Field, value: Any) -> tuple[Any, dict[str, Any]]:
    """Return a value as its field keeps it, and the catalogue entry that it names."""
    if value in ("", None, "none") and not (field.choices and "none" in dict(field.flatchoices)):
        if not field.null:
            raise ValueError(f"{named} {field.name} must have a value.")
        return None, {}
    if isinstance(field, models.ForeignKey):
        kinds = product_kinds(field.model, field.name)
        product = Product.objects.filter(kind__in=kinds, slug=str(value)).first()
        if product is None:
            there = Product.objects.filter(kind__in=kinds).order_by("slug").values_list("slug", flat=True)
            shown = ", ".join(there[:8]) + (f" and {len(there) - 8} more" if len(there) > 8 else "")
            raise ValueError(f"{named} {field.name} is {value}; the catalogue has no such entry. There are {shown}.")
        return product.slug, {str(product.id): snapshot.product_sheet(product)}
    if isinstance(field, models.IntegerField) and isinstance(value, float) and not value.is_integer():
        raise ValueError(f"{named} {field.name} is {value}; it must be a whole number.")
    try:
        read = field.clean(value, None)
    except ValidationError as error:
        raise ValueError(f"{named} {field.name} is {value}: {' '.join(error.messages)}") from error
    if isinstance(read, float) and not math.isfinite(read):
        raise ValueError(f"{named} {field.name} is {value}; it must be a number.")
    return read, {}


def _names(base: Mapping[str, Any], kind: str) -> list[str]:
    table = OBJECTS[kind][0]
    if kind == "rack":
        halls = {hall["id"]: hall["name"] for hall in base["halls"]}
        racks = base["racks"]
        return [f"{halls[hall]}/{name}" for hall, name in zip(racks["hall_id"], racks["name"], strict=True)]
    if kind == "workload":
        return [share["workload"]["slug"] for share in base["scenario"]["workloads"]]
    return [row["name"] for row in base.get(table, [])]


def _places(inputs: Mapping[str, Any], named: str, column: str) -> Iterator[tuple[Any, Any]]:
    """Return where each object of that name has its value of a column: a row and a key, or a column and a place."""
    kind, _, name = named.partition("/")
    table = OBJECTS[kind][0]
    if kind in WHOLE:
        if not name:
            yield inputs[table], column
        return
    for place, own in enumerate(_names(inputs, kind)):
        wanted = name == "*" or name == own or (name.endswith("/*") and own.startswith(name[:-1]))
        if wanted and kind == "rack":
            yield inputs["racks"][column], place
        elif wanted:
            rows = inputs["scenario"]["workloads"] if kind == "workload" else inputs[table]
            yield rows[place], column


def _check_together(inputs: Mapping[str, Any]) -> None:
    """Refuse what the models refuse of rows that stand in the database: values that exclude each other."""
    plants = {}
    for row in inputs["plants"]:
        plants[row["id"]] = row
        try:
            CoolingPlant(**{name: value for name, value in row.items() if name != "id"}).clean()
        except ValidationError as error:
            raise ValueError(f"Cooling plant {row['name']}: {' '.join(error.messages)}") from error
    for row in inputs["cdus"]:
        water = plants[row["plant_id"]]["supply_degc"]
        if row["supply_degc"] <= water:
            raise ValueError(
                f"CDU {row['name']} cannot supply {row['supply_degc']:g} °C from the {water:g} °C facility water of "
                f"{plants[row['plant_id']]['name']}."
            )
