"""A layout with parameters that differ from its description, as its readings show or as a publishing plant has."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.core.inputs import equipment
from twin.core.inputs.parameters import Truth, calibrated, calibrated_objects
from twin.core.solved import Described

FloatArray = NDArray[np.float64]

MOST_BYPASS_FRAC = 0.95
_FEED_LOSSES = ("ups_loss_frac", "transformer_loss_frac")


def as_operated(year: Described) -> Described:
    """Return a layout with the parameters that were accepted for it, where it still has their objects."""
    there = calibrated_objects(year.inputs)
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


def _times(values: FloatArray, row: Sequence[bool], factor: float) -> FloatArray:
    return np.where(row, values * factor, values)
