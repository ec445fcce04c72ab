"""A layout's floor in memory: operations change it, the difference is what is saved, undone and shown to others.

Objects are named by kind and key: the key is their number, or for new ones the `ref` that the operation gave.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import models

from facility import kinds
from facility.edit_records import change_of, was_deleted
from facility.interchange.documents import SiteFileError, flag, number, text, whole
from facility.models import Layout, Product, Rack

Key = tuple[str, int | str]
DRAWN = {
    kind.edited_as: kind
    for kind in (kinds.BY_NAME[name] for name in ("hall", "floor_feature", "air_unit", "cdu", "rack"))
}
MODELS: dict[str, type[models.Model]] = {name: kind.model for name, kind in DRAWN.items()}
FIELDS = {name: kinds.columns(kind.model) for name, kind in DRAWN.items()} | {
    "hall": ("air_unit", "n_air_units", "n_air_units_spare")
}
COLUMNS = {  # each field with the attribute that holds its plain value
    kind: [(name, model._meta.get_field(name).attname) for name in FIELDS[kind]] for kind, model in MODELS.items()
}
PLACE_FIELDS = ("x_m", "y_m", "orientation_deg")
ASSIGNED = ("cdu", "feed_a", "feed_b")
PRODUCT_FIELDS = ("product", "air_unit")
CALLED = {name: kind.label for name, kind in DRAWN.items()} | {"feature": "feature"}
READERS = {
    models.FloatField: number,
    models.IntegerField: whole,
    models.BooleanField: flag,
    models.CharField: text,
}
OPERATIONS = ("move", "create", "update", "delete", "assign")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an operation cannot be done."""

    operation: int
    object: str
    field: str
    value: Any
    message: str


class _Wrong(Exception):
    """A problem of the operation that is being applied."""

    def __init__(self, called: str, field: str, value: Any, message: str) -> None:
        super().__init__(message)
        self.parts = (called, field, value, message)


class Board:
    """What stands in a layout, before and after the operations applied so far."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.rows: dict[str, dict[int | str, models.Model]] = {
            "hall": layout.halls.in_bulk(),
            "feature": layout.floor_features.in_bulk(),
            "air_unit": layout.air_units.in_bulk(),
            "cdu": layout.cdus.in_bulk(),
            "rack": Rack.objects.filter(hall__layout=layout).in_bulk(),
        }
        self.others = {"plant": layout.cooling_plants.in_bulk(), "feed": layout.power_feeds.in_bulk()}
        used = {
            getattr(row, f"{name}_id")
            for kind, name in (("rack", "product"), ("cdu", "product"), ("hall", "air_unit"))
            for row in self.rows[kind].values()
        }
        self.products = Product.objects.filter(pk__in=used - {None}).defer("notes", "source").in_bulk()
        self.by_slug: dict[tuple[str, str], Product | None] = {}
        self.before: dict[Key, dict[str, Any]] = {}  # of touched objects; {} for new ones
        self.shown_before: dict[Key, dict[str, Any]] = {}
        self.touched_by: dict[Key, int] = {}  # the last operation that touched an object
        self.problems: list[Problem] = []
        for cdu in self.rows["cdu"].values():
            self._link(cdu)

    def apply(self, operations: list[dict[str, Any]]) -> None:
        """Apply operations in order; one that cannot be done is skipped and becomes a problem."""
        for i, operation in enumerate(operations):
            try:
                self._apply(i, operation)
            except _Wrong as wrong:
                self.problems.append(Problem(i, *wrong.parts))

    def _apply(self, i: int, operation: Any) -> None:
        op = operation.get("op") if isinstance(operation, dict) else None
        if op not in OPERATIONS:
            raise _Wrong("operation", "op", op, f"op is {op!r}; must be one of {', '.join(OPERATIONS)}.")
        if op == "assign":
            self._assign(i, operation)
            return
        kind = operation.get("kind")
        if not isinstance(kind, str) or kind not in MODELS or (kind == "hall" and op != "update"):
            allowed = MODELS if op == "update" else [kind for kind in MODELS if kind != "hall"]
            raise _Wrong("operation", "kind", kind, f"kind is {kind!r}; to {op}, it must be {' or '.join(allowed)}.")
        given = {name: value for name, value in operation.items() if name not in ("op", "kind", "id", "ref")}
        if op == "create":
            self._create(i, kind, operation, given)
            return
        key = self._find(kind, operation.get("id"), "id")
        if op == "delete":
            self._delete(i, kind, key)
            return
        allowed = tuple(name for name in FIELDS[kind] if op == "update" or name in PLACE_FIELDS)
        self._touch(i, kind, key)
        self._set(kind, self.rows[kind][key], given, allowed)

    def _assign(self, i: int, operation: dict[str, Any]) -> None:
        """Put racks on a CDU or feeds; what is not named stays."""
        given = {name: value for name, value in operation.items() if name not in ("op", "racks")}
        racks = operation.get("racks")
        if not isinstance(racks, list):
            raise _Wrong("operation", "racks", racks, f"racks is {racks!r}; must be a list of rack numbers.")
        for key in [self._find("rack", rack, "racks") for rack in racks]:
            self._touch(i, "rack", key)
            self._set("rack", self.rows["rack"][key], given, ASSIGNED)

    def _create(self, i: int, kind: str, operation: dict[str, Any], given: dict[str, Any]) -> None:
        ref, wanted = operation.get("ref"), operation.get("id")
        called = f"new {CALLED[kind]} {given.get('name', '')}".strip()
        if ref is not None and not isinstance(ref, str):
            raise _Wrong(called, "ref", ref, f"ref is {ref!r}; must be a text.")
        if wanted is not None and (not isinstance(wanted, int) or not was_deleted(self.layout, kind, wanted)):
            raise _Wrong(
                called,
                "id",
                wanted,
                f"id is {wanted!r}; only an object that an edit of this layout deleted "
                "can come back under its number; leave id out.",
            )
        key = wanted if wanted is not None else ref if ref is not None else f"+{i}"
        if any(key in rows for rows in self.rows.values() if isinstance(key, str)) or key in self.rows[kind]:
            raise _Wrong(called, "ref", key, f"{key!r} is the name of another object already; give each its own.")
        row = MODELS[kind](**({} if kind == "rack" else {"layout": self.layout}))
        row.pk = wanted
        for name in FIELDS[kind]:
            field = row._meta.get_field(name)
            if name not in given and not (field.has_default() or field.null or field.blank):
                raise _Wrong(called, name, None, f"{name} is missing; give it: {field.help_text or name}")
        self._set(kind, row, given, FIELDS[kind])
        self.before[kind, key], self.shown_before[kind, key] = {}, {}
        self.touched_by[kind, key] = i
        self.rows[kind][key] = row

    def _delete(self, i: int, kind: str, key: int | str) -> None:
        if kind == "cdu":
            cdu = self.rows["cdu"][key]
            for rack_key, rack in self.rows["rack"].items():
                if rack.cdu_id is not None and rack.cdu_id == cdu.pk:
                    self._touch(i, "rack", rack_key)
                    rack.cdu = None
        self._touch(i, kind, key)
        del self.rows[kind][key]

    def _find(self, kind: str, key: Any, field: str) -> int | str:
        """Return the key of an object that stands in this layout."""
        if isinstance(key, int | str) and not isinstance(key, bool) and key in self.rows[kind]:
            return key
        message = f"There is no {CALLED[kind]} {key!r} in this layout; it may have been deleted."
        raise _Wrong(f"{CALLED[kind]} {key}", field, key, message)

    def _touch(self, i: int, kind: str, key: int | str) -> None:
        """Keep an object as it was before its first change."""
        row = self.rows[kind][key]
        if (kind, key) not in self.before:
            self._link(row)
            self.before[kind, key] = self.values(kind, row)
            self.shown_before[kind, key] = self.shown(kind, row)
        self.touched_by[kind, key] = i

    def _link(self, row: models.Model) -> None:
        """Set references to the objects in memory, so that rules ask no query."""
        for name, known in (
            ("hall", self.rows["hall"]),
            ("cdu", self.rows["cdu"]),
            ("plant", self.others["plant"]),
            ("feed_a", self.others["feed"]),
            ("feed_b", self.others["feed"]),
            ("product", self.products),
            ("air_unit", self.products),
        ):
            key = getattr(row, f"{name}_id", None)
            if key in known:
                setattr(row, name, known[key])

    def _set(self, kind: str, row: models.Model, given: dict[str, Any], allowed: Iterable[str]) -> None:
        called = f"{CALLED[kind]} {row.name or given.get('name', '')}".strip()
        for name, value in given.items():
            if name not in allowed:
                raise _Wrong(
                    called, name, value, f"{name} is not a field of a {CALLED[kind]}; {', '.join(allowed)} are."
                )
            field = row._meta.get_field(name)
            if isinstance(field, models.ForeignKey):
                setattr(row, name, self._reference(called, field, name, value))
            elif value is None and field.null:
                setattr(row, name, None)
            else:
                reader = next(reader for cls, reader in READERS.items() if isinstance(field, cls))
                try:
                    setattr(row, name, reader(value, name))
                except SiteFileError as error:
                    raise _Wrong(called, name, value, str(error)) from error
                if isinstance(value, str) and "\0" in value:  # PostgreSQL keeps no such text
                    raise _Wrong(called, name, value, f"{name} holds a null character; leave it out.")

    def _reference(self, called: str, field: models.ForeignKey, name: str, value: Any) -> models.Model | None:
        if value is None and field.null:
            return None
        if name in PRODUCT_FIELDS:
            allowed = kinds.product_kinds(field.model, name)
            found = self._product(value, allowed)
            message = f"{name} is {value!r}; must be a catalogue entry of kind {' or '.join(allowed)}."
        else:
            known = self.rows[name] if name in self.rows else self.others["feed" if "feed" in name else name]
            found = known.get(value) if isinstance(value, int | str) else None
            message = f"{name} is {value!r}; must be one that stands in this layout."
        if found is None:
            raise _Wrong(called, name, value, message)
        return found

    def _product(self, slug: Any, allowed: tuple[str, ...]) -> Product | None:
        known = (str(slug), ",".join(allowed))
        if known not in self.by_slug:
            own = Product.objects.filter(kind__in=allowed, slug=str(slug)).defer("notes", "source").first()
            self.by_slug[known] = own
            if own is not None:
                self.products[own.pk] = own
        return self.by_slug[known]

    def values(self, kind: str, row: models.Model) -> dict[str, Any]:
        """Return an object's fields as operations give them: products by catalogue id, objects by number."""
        found = {}
        for name, attname in COLUMNS[kind]:
            value = getattr(row, attname)
            if name in PRODUCT_FIELDS:
                value = self.products[value].slug if value is not None else None
            elif name != attname and value is None:
                value = getattr(row, name)  # new in this batch: no number yet, but not nothing either
            found[name] = value
        return found

    def shown(self, kind: str, row: models.Model) -> dict[str, Any]:
        """Return an object's fields as records show them: references by name."""
        found = {}
        for name in FIELDS[kind]:
            value = getattr(row, name)
            found[name] = value.name if isinstance(value, models.Model) else value
        return found

    def standing(self) -> list[Key]:
        """Return the touched objects that are still there."""
        return [key for key in self.before if key[1] in self.rows[key[0]]]

    def changed(self, key: Key) -> set[str]:
        """Return the names of the fields of a standing object that differ; all of a new one."""
        before, after = self.before[key], self.values(key[0], self.rows[key[0]][key[1]])
        return {name for name in after if not before or before[name] != after[name]}

    def changes(self) -> list[dict[str, Any]]:
        """Return the difference as `edit_records` keeps it."""
        found = []
        for (kind, key), before in self.shown_before.items():
            row = self.rows[kind].get(key)
            after = self.shown(kind, row) if row is not None else {}
            name = row.name if row is not None else before.get("name", "")
            number_of = row.pk if row is not None else key
            found.append(change_of(kind, number_of, name, before, after) if before or after else None)
        return [change for change in found if change]

    def inverse(self) -> list[dict[str, Any]]:
        """Return operations that undo the difference; call it when new objects have their numbers."""
        order = ("feature", "air_unit", "cdu", "rack", "hall")
        back: list[dict[str, Any]] = []
        gone = [key for key, before in self.before.items() if before and key[1] not in self.rows[key[0]]]
        for kind, key in sorted(gone, key=lambda key: order.index(key[0])):
            back.append({"op": "create", "kind": kind, "id": key} | self.before[kind, key])
        for kind, key in self.standing():
            before = self.before[kind, key]
            changed = self.changed((kind, key)) if before else set()
            if changed:
                back.append(
                    {"op": "update", "kind": kind, "id": key} | {name: before[name] for name in sorted(changed)}
                )
        new = [(kind, self.rows[kind][key].pk) for kind, key in self.standing() if not self.before[kind, key]]
        for kind, number_of in sorted(new, key=lambda key: -order.index(key[0])):
            back.append({"op": "delete", "kind": kind, "id": number_of})
        return back
