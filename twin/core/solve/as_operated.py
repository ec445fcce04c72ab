"""A layout with parameters that differ from its description, as its readings show or as a publishing plant has."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.core.inputs import equipment
from twin.core.inputs.layout import CduRow, FeedRow, HallRow, LayoutInputs, PlantRow
from twin.core.solved import Described

FloatArray = NDArray[np.float64]

# Parameters that are applied, with the kinds of object (of feeds: of feed) that have them; those of sensors by point.
APPLIED: Mapping[str, tuple[str, ...]] = {
    "sensor_bias": (),
    "sensor_gain": (),
    "ua_frac": ("cdu",),
    "pump_efficiency_frac": ("cdu",),
    "fan_power_frac": ("hall", "plant"),
    "containment_leakage_frac": ("hall",),
    "ups_loss_frac": ("ups",),
    "transformer_loss_frac": ("transformer",),
}
MOST_BYPASS_FRAC = 0.95
LEAST_RATIO, MOST_RATIO = 0.01, 100.0  # of a described value; a fit finds 0.3 to 2, and fits are put on top of fits
_KINDS = {"cdu": ("cdu", "cdu-group"), "ups": ("feed",), "transformer": ("feed",)}  # as names of objects begin
_FEED_LOSSES = ("ups_loss_frac", "transformer_loss_frac")


@dataclass(frozen=True, slots=True)
class Truth:
    """A parameter of an object that differs from the description; `object` as on the wire, of a sensor its point."""

    object: str
    parameter: str
    value: float

    @property
    def name(self) -> str:
        """Object and parameter, as `cdu/CDU-1 ua_frac`."""
        return f"{self.object} {self.parameter}"


def truth_named(name: str, value: float) -> Truth:
    """Return what a name with object and parameter, and a value, say."""
    where, _, parameter = name.rpartition(" ")
    return Truth(where, parameter, value)


def refusal(truth: Truth) -> str | None:
    """Return what is wrong with a parameter that a file names, whatever the layout; None where it can be applied."""
    if truth.parameter not in APPLIED:
        return f"names the parameter {truth.parameter!r}; must be one of {', '.join(APPLIED)}, after its object"
    kinds = [begin for kind in APPLIED[truth.parameter] for begin in _KINDS.get(kind, (kind,))]
    if kinds and truth.object.partition("/")[0] not in kinds:
        return f"names {truth.object!r}; {truth.parameter} is of {' or '.join(f'{kind}/NAME' for kind in kinds)}"
    if truth.parameter != "sensor_bias" and not LEAST_RATIO <= truth.value <= MOST_RATIO:
        return f"has the value {truth.value:g}; must be {LEAST_RATIO:g} to {MOST_RATIO:g} times the described one"
    return None


def calibrated(inputs: LayoutInputs) -> list[Truth]:
    """Return the parameters that were accepted for a layout."""
    return [truth_named(row.name, row.value) for row in inputs.calibrated]


def without_object(inputs: LayoutInputs) -> list[Truth]:
    """Return the accepted parameters whose object the layout no longer has: they are not applied."""
    there = _objects(inputs)
    return [truth for truth in calibrated(inputs) if truth.object.partition("|")[0] not in there]


def as_operated(year: Described) -> Described:
    """Return a layout with the parameters that were accepted for it, where it still has their objects."""
    there = _objects(year.inputs)
    return with_parameters(year, [truth for truth in calibrated(year.inputs) if truth.object in there])


def with_parameters(year: Described, truths: Iterable[Truth]) -> Described:
    """Return a layout with the parameters that differ; those of sensors change nothing here.

    CDUs of a group are solved as one: one that differs moves its group by its share; `cdu-group/` means all of it.
    """
    site, tree = year.site, year.feeds.tree
    halls, plants, cdus = site.halls, site.plants, site.cdus
    for truth in truths:
        kind, _, name = truth.object.partition("/")
        if kind == "hall":
            row = [hall.name == name for hall in year.inputs.halls]
            if truth.parameter == "containment_leakage_frac":
                bypass_frac = np.minimum(_times(halls.bypass_frac, row, truth.value), MOST_BYPASS_FRAC)
                halls = replace(halls, bypass_frac=bypass_frac)
            elif truth.parameter == "fan_power_frac":
                halls = replace(halls, unit_fan_w=_times(halls.unit_fan_w, row, truth.value))
        elif kind == "plant" and truth.parameter == "fan_power_frac":
            row = [plant.name == name for plant in year.inputs.plants]
            plants = replace(
                plants,
                cooler_fan_w=_times(plants.cooler_fan_w, row, truth.value),
                tower_fan_w=_times(plants.tower_fan_w, row, truth.value),
            )
        elif (
            kind in ("cdu", "cdu-group") and cdus is not None and truth.parameter in ("ua_frac", "pump_efficiency_frac")
        ):
            group = name if kind == "cdu-group" else next(c.group for c in year.inputs.cdus if c.name == name)
            row = [named == group for named in equipment.cdu_groups(year.inputs)]
            worth = truth.value if truth.parameter == "ua_frac" else 1.0 / truth.value
            n_differing = 1 if kind == "cdu" else cdus.n_units[row.index(True)]
            share = 1.0 + (worth - 1.0) * n_differing / cdus.n_units[row.index(True)]
            if truth.parameter == "ua_frac":
                cdus = replace(cdus, ua_w_per_k=_times(cdus.ua_w_per_k, row, share))
            else:
                cdus = replace(cdus, pump_power_w=_times(cdus.pump_power_w, row, share))
        elif kind == "feed" and truth.parameter in _FEED_LOSSES:
            row = [node == tree.index(name) for node in range(tree.n_nodes)]
            losses = ("no_load_loss_frac", "proportional_loss_frac", "square_loss_frac")
            changed: dict[str, Any] = {loss: _times(getattr(tree, loss), row, truth.value) for loss in losses}
            tree = replace(tree, **changed)
    return replace(
        year, site=replace(site, halls=halls, plants=plants, cdus=cdus), feeds=replace(year.feeds, tree=tree)
    )


def sensor_reads(exact: FloatArray, truths: Iterable[Truth]) -> FloatArray:
    """Return what a sensor with biases and gains reads of exact values."""
    for truth in truths:
        if truth.parameter == "sensor_bias":
            exact = exact + truth.value
        elif truth.parameter == "sensor_gain":
            exact = exact * truth.value
    return exact


def composed(before: float, parameter: str, fitted: float) -> float:
    """Return a parameter of the description where one fitted on top of an accepted one is accepted too."""
    return before + fitted if parameter == "sensor_bias" else before * fitted


def _objects(inputs: LayoutInputs) -> set[str]:
    parts: dict[str, Sequence[HallRow | PlantRow | CduRow | FeedRow]] = {
        "hall": inputs.halls,
        "plant": inputs.plants,
        "cdu": inputs.cdus,
        "feed": inputs.feeds,
    }
    groups = {f"cdu-group/{cdu.group}" for cdu in inputs.cdus}
    return groups | {f"{kind}/{row.name}" for kind, rows in parts.items() for row in rows}


def _times(values: FloatArray, row: Sequence[bool], factor: float) -> FloatArray:
    return np.where(row, values * factor, values)
