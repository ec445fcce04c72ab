"""The kinds of parts of a layout: what each is called where, its table, and the columns that describe it.

A part's columns are its model's fields in their order there: forms, site files, the drawing board and the API take them
from here, so that a new field of a model is in all of them.
"""

from dataclasses import dataclass

from django.db.models import Model

from facility.catalogue.schema import UNITS
from facility.models import (
    AirUnit,
    Cdu,
    CoolingPlant,
    CpuServer,
    Fabric,
    FloorFeature,
    Hall,
    PowerFeed,
    Rack,
    Storage,
)

NOT_DESCRIBED = ("id", "layout")  # where a row stands, not what it is


def columns(model: type[Model]) -> tuple[str, ...]:
    """Return the names of a part's fields in the order of its model."""
    return tuple(field.name for field in model._meta.concrete_fields if field.name not in NOT_DESCRIBED)


def form_columns(model: type[Model]) -> list[str]:
    """Return a part's fields as forms ask for them: its name first."""
    return sorted(columns(model), key=lambda name: name != "name")


def product_kinds(model: type[Model], name: str) -> tuple[str, ...]:
    """Return the kinds of catalogue entry that a field of a part may name; its model says so."""
    return tuple(model._meta.get_field(name).get_limit_choices_to()["kind__in"])


def label_of(name: str) -> str:
    """Return how a form asks for a field whose name ends with its unit: "Tank [m³]" for tank_m3; else nothing."""
    suffix, unit = next(((suffix, unit) for suffix, unit, *_ in UNITS if name.endswith(suffix)), ("", ""))
    words = name.removesuffix(suffix).replace("_", " ").capitalize()
    return f"{words} [{unit if unit != '1' else '0–1'}]" if suffix else ""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of part. `name` is what findings call it; files and addresses call many of them `plural` and `slug`."""

    name: str
    label: str  # in sentences
    model: type[Model]
    edit_name: str = ""  # in the drawing board's edits and in the records of edits, where it differs
    table: str = ""  # in what the solvers read, where it differs from `plural`

    @property
    def plural(self) -> str:
        """What site files call the section."""
        return f"{self.name}s"

    @property
    def slug(self) -> str:
        """What addresses call it."""
        return self.plural.replace("_", "-")

    @property
    def edited_as(self) -> str:
        """What edits call it."""
        return self.edit_name or self.name


KINDS = (  # in the order in which a file has to name them: what is referred to comes first
    Kind("cooling_plant", "cooling plant", CoolingPlant, table="plants"),
    Kind("hall", "hall", Hall),
    Kind("cdu", "CDU", Cdu),
    Kind("power_feed", "power feed", PowerFeed, table="feeds"),
    Kind("air_unit", "air unit", AirUnit),
    Kind("floor_feature", "wall, keep-out or aisle", FloorFeature, "feature", table="features"),
    Kind("fabric", "network", Fabric),
    Kind("storage", "storage", Storage),
    Kind("cpu_server", "CPU server", CpuServer),
    Kind("rack", "rack", Rack),
)
BY_NAME = {kind.name: kind for kind in KINDS}
BY_MODEL = {kind.model: kind for kind in KINDS}
BY_TABLE = {kind.table or kind.plural: kind for kind in KINDS}
EDIT_NAMES = {kind.model: kind.edited_as for kind in KINDS}
