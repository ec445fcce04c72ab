"""How close each described object came to what it may do, worst hour each, and what was too small for its load."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from power_cooling.coupled.result import CoupledResult
from power_cooling.site_arrays import FloatArray
from twin.core.inputs import equipment
from twin.core.results.details import LimitRow
from twin.core.solved import Solved

AT_RATING_FRAC = 0.6  # of a rating, from which it is what holds a group, hall or plant: racks go off whole
COOL_ROOM_DEGC = 20.0  # where the use of a temperature limit is counted from


def limits(solved: Solved, from_grid_w: FloatArray) -> list[LimitRow]:
    """Return how close each object came to what it may do, worst hour each, tightest first.

    What was too small, so that racks were held back or off, comes before all else with a limit of nothing.

    Parameters
    ----------
    solved : Solved
    from_grid_w : ndarray, shape (n_hours,)
        That the connection is held to.
    """
    return sorted([*shortfalls(solved), *_used(solved, from_grid_w)], key=lambda row: -used_frac(row))


def used_frac(row: LimitRow) -> float:
    """Return how much of a limit is used: of its watts, or of its kelvins above a cool room; infinite of nothing."""
    if row.unit == "°C":
        return (row.value - COOL_ROOM_DEGC) / (row.limit - COOL_ROOM_DEGC)
    return row.value / row.limit if row.limit else np.inf


def _worst(label: str, kind: str, values: FloatArray, limit: float, unit: str) -> Iterator[LimitRow]:
    """Yield the hour in which `values` are highest, where there is a limit and a value."""
    if np.isfinite(limit) and np.any(np.isfinite(values)):
        hour = int(np.nanargmax(values))
        yield LimitRow(label, kind, float(values[hour]), float(limit), unit, hour)


def _used(solved: Solved, from_grid_w: FloatArray) -> Iterator[LimitRow]:
    c, names, site = solved.coupled, equipment.names(solved.inputs), solved.site
    yield from _worst("Site", "grid connection", from_grid_w, solved.inputs.site.grid_limit_w, "W")
    tree = solved.feeds.tree
    carried_w = tree.carried_w(c.feed_load_w)
    for i, name in enumerate(tree.names):
        yield from _worst(name, "feed load", carried_w[:, i], float(tree.installed_w[i]), "W")
    if site.cdus is not None:
        for i, name in enumerate(names.cdu_groups):
            capacity = float(site.cdus.n_units[i] * site.cdus.capacity_w[i])
            yield from _worst(name, "CDU heat", c.cdu_heat_w[:, i], capacity, "W")
            warmest = warmest_supply_degc(solved, i)
            yield from _worst(name, "rack coolant supply", c.cdu_supply_degc[:, i], warmest, "°C")
    for i, name in enumerate(names.halls):
        if site.halls.n_units[i] > 0:
            capacity = float(site.halls.n_units[i] * site.halls.unit_capacity_w[i])
            yield from _worst(name, "air-unit heat", c.hall_load_frac[:, i] * capacity, capacity, "W")
    for i, name in enumerate(names.plants):
        for machines, load_frac in _machines(c).items():
            if np.any(load_frac[:, i] > 0):
                yield from _worst(name, f"{machines} load", load_frac[:, i], 1.0, "%")
    room = np.where(site.racks.n_accelerators > 0, site.racks.throttle_degc - c.racks.max_junction_degc, np.nan)
    if np.any(np.isfinite(room)):
        throttle = float(site.racks.throttle_degc[int(np.nanargmin(room))])
        yield from _worst("Accelerators", "junction temperature", c.hottest_junction_degc, throttle, "°C")


def shortfalls(solved: Solved) -> Iterator[LimitRow]:
    """Yield what was too small for its load: how much was held back or off in its worst hour, and in how many hours.

    CDUs, air units and plants that are held at what their makers rate are named for that, a plant by the machines of
    it that are loaded most. Coolant or air that is too warm is laid to the
    plant where most of the excess over the set points is in the facility water, else to the CDUs or air units
    themselves. Formulas held at the edge of their range are told too.
    """
    c, names, site = solved.coupled, equipment.names(solved.inputs), solved.site
    water = c.facility_supply_degc - site.plants.supply_set_degc
    found: dict[tuple[str, str], list[FloatArray]] = {}

    def lay(labels: list[str], why: str, levels: FloatArray, excess_k: FloatArray, plant_index: Any) -> None:
        for i, label in enumerate(labels):
            plant = int(plant_index[i])
            by_plant = water[:, plant] > 0.5 * excess_k[:, i] if plant >= 0 else np.zeros(levels.shape[0], bool)
            for key, hours in (((names.plants[plant], "facility water"), by_plant), ((label, why), ~by_plant)):
                found.setdefault(key, []).append(np.where(hours, levels[:, i], 1.0))

    if site.cdus is not None:
        at_rating = c.cdu_load_frac > AT_RATING_FRAC
        for i, name in enumerate(names.cdu_groups):
            found[name, "CDU rating"] = [np.where(at_rating[:, i], c.cdu_level[:, i], 1.0)]
        over = c.cdu_supply_degc - site.cdus.supply_set_degc
        level = np.where(at_rating, 1.0, c.cdu_level)
        lay(names.cdu_groups, "coolant", level, np.nan_to_num(over), site.cdus.plant_index)
    at_rating = c.hall_load_frac > AT_RATING_FRAC
    for i, name in enumerate(names.halls):
        found[name, "air-unit rating"] = [np.where(at_rating[:, i], c.hall_level[:, i], 1.0)]
    over = c.hall_supply_degc - site.halls.supply_set_degc
    level = np.where(at_rating, 1.0, c.hall_level)
    lay(names.halls, "air-unit cooling", level, np.nan_to_num(over), site.halls.plant_index)
    machines = _machines(c)
    most = np.argmax(list(machines.values()), axis=0)
    for i, name in enumerate(names.plants):
        for k, kind in enumerate(machines):
            found[name, f"{kind} rating"] = [np.where(most[:, i] == k, c.plant_level[:, i], 1.0)]
    for (name, why), levels in found.items():
        yield from _held(name, f"insufficient {why}", np.min(levels, axis=0))
    for node in np.unique(c.short_feed[c.short_feed >= 0]):
        level = np.where(c.short_feed == node, c.feed_level, 1.0)
        yield from _held(solved.feeds.tree.names[node], "insufficient feed rating (load shed)", level)
    for i, name in enumerate(names.plants):
        hours = int(np.count_nonzero(c.curve_clamped[:, i]))
        if hours:
            yield _nothing(
                name,
                "hours outside its curves' range, held at their edge",
                float(hours),
                "h",
                int(np.argmax(c.curve_clamped[:, i])),
            )


def _machines(c: CoupledResult) -> dict[str, FloatArray]:
    """Return the load of each kind of a plant's machines over its rating, shape (n_hours, n_plants)."""
    return {
        "facility pumps": c.pump_load_frac,
        "coolers or towers": c.outdoor_load_frac,
        "chillers": c.chiller_load_frac,
    }


def _held(label: str, why: str, level: FloatArray) -> Iterator[LimitRow]:
    """Yield the worst hour of an object's level: accelerator power withheld, and racks off."""
    if not np.any(level < 1):
        return
    hour = int(np.argmin(level))
    withheld, off = 1 - max(2 * level[hour] - 1, 0.0), 1 - min(2 * level[hour], 1.0)
    hours = f"{np.count_nonzero(level < 1)} h"
    yield _nothing(label, f"accelerators power-capped for {why}, {hours}", float(withheld), "%", hour)
    if off > 0:
        hours = f"{np.count_nonzero(level < 0.5)} h"
        yield _nothing(label, f"racks off for {why}, {hours}", float(off), "%", hour)


def _nothing(label: str, kind: str, value: float, unit: str, hour: int) -> LimitRow:
    return LimitRow(label, kind, value, 0.0, unit, hour)


def warmest_supply_degc(solved: Solved, group: int) -> float:
    """Return the warmest supply that every rack of a CDU group accepts [degC], infinite where no sheet tells."""
    on_group = np.flatnonzero(solved.table.bank["cdu_index"] == group)
    systems = set(solved.table.system[on_group]) - {""}
    sheets = [p.facts for p in solved.inputs.products.by_id.values() if p.slug in systems]
    return float(min((s["liquid_supply_max_degc"] for s in sheets if s.get("liquid_supply_max_degc")), default=np.inf))
