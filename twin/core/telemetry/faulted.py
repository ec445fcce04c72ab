"""A layout with a machine fault: what each kind does to what the solver reads, and to the failing unit's own readings.

The solver knows CDU groups and classes of alike racks. A unit that fails is taken out of its group or class first: it
keeps its share of the flow, and what it does is its own. Sizes are those of `FAULTS`, in their own unit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from power_cooling.site_arrays import FloatArray
from twin.core.inputs import equipment
from twin.core.inputs.layout import LayoutInputs
from twin.core.inputs.parameters import Truth
from twin.core.solve.as_operated import with_parameters
from twin.core.solved import Described
from twin.core.telemetry.predicted import Points, rack_objects

T = TypeVar("T")

#: Kinds of object that a fault belongs to, as names of objects begin; of feeds: kinds of feed, none: any.
OBJECTS: Mapping[str, tuple[str, ...]] = {
    "fouling": ("cdu",),
    "pump_wear": ("cdu",),
    "valve_stuck": ("cdu",),
    "valve_leak": ("cdu",),
    "bypass": ("cdu",),
    "air_in_loop": ("cdu",),
    "rejection_degraded": ("plant",),
    "fan_failed": ("air-unit", "plant"),
    "phase_loss": ("feed",),
    "ups_degraded": ("feed",),
    "cap_misset": ("rack",),
    "accelerator_throttled": ("rack",),
    "unit_slow": ("rack",),
}
# A throttle that starts far below any temperature holds the clock whatever the chip does: to 1 part in 20 of `size`.
THROTTLED_FROM_DEGC = -1000.0
USUAL_JUNCTION_DEGC = 60.0


@dataclass(frozen=True, slots=True)
class MachineFault:
    """What is wrong with an object, by how much in the kind's own unit; `object` as on the wire."""

    kind: str
    object: str
    size: float


def refusal(inputs: LayoutInputs, kind: str, name: str) -> str | None:
    """Return why a kind of fault cannot be of an object of the layout; None where it can."""
    begins, _, own = name.partition("/")
    if begins not in OBJECTS[kind]:
        return f"{kind} belongs to {' or '.join(OBJECTS[kind])}, not to {name}"
    if begins == "cdu" and kind != "fouling" and kind != "pump_wear" and kind != "air_in_loop" and kind != "bypass":
        cdu = next(cdu for cdu in inputs.cdus if cdu.name == own)
        if equipment.rejects_to_air(inputs, cdu):
            return f"{kind} belongs to a CDU on facility water; {name} rejects its heat to air"
    if kind == "ups_degraded" and all(feed.kind != "ups" for feed in inputs.feeds if feed.name == own):
        return f"ups_degraded belongs to a UPS, not to {name}"
    return None


def with_fault(year: Described, fault: MachineFault) -> Described:
    """Return a layout in which an object has a fault.

    Raises
    ------
    ValueError
        If the object cannot have it: a rack without accelerators or a feed whose racks have no other one.
    """
    begins, _, name = fault.object.partition("/")
    if begins == "cdu":
        return _with_cdu_fault(year, fault.kind, name, fault.size)
    if begins == "rack":
        return _with_rack_fault(year, fault.kind, fault.object, fault.size)
    if fault.kind == "ups_degraded":
        return with_parameters(year, [Truth(fault.object, "ups_loss_frac", 1.0 + fault.size)])
    if fault.kind == "phase_loss":
        return _with_phase_loss(year, name, fault.size)
    site = year.site
    if begins == "air-unit":
        hall_id = next(unit.hall_id for unit in year.inputs.air_units if unit.name == name)
        row = np.array([hall.id == hall_id for hall in year.inputs.halls])
        return replace(year, site=replace(site, halls=_changed(site.halls, row, n_units=lambda n: n - fault.size)))
    row, left = np.array([plant.name == name for plant in year.inputs.plants]), 1.0 - fault.size
    columns = ("cooler_ua_w_per_k", "tower_ua_w_per_k") if fault.kind == "rejection_degraded" else UNITS_WITH_FANS
    return replace(
        year, site=replace(site, plants=_changed(site.plants, row, **dict.fromkeys(columns, lambda n: n * left)))
    )


UNITS_WITH_FANS = ("n_coolers", "n_towers")


def as_read(year: Described, fault: MachineFault, points: Points) -> Points:
    """Return the points of a faulty layout as the failing unit's own sensors show them.

    Positions and speeds are those of the part itself: a leaking valve shows less opening than it passes, one that is
    stuck shows where it stands, a worn pump turns faster for the same head.
    """
    size, read = fault.size, dict(points)

    def own(quantity: str, law: Callable[[FloatArray], FloatArray], name: str = fault.object) -> None:
        if (name, quantity) in read:
            read[name, quantity] = law(read[name, quantity])

    if fault.kind == "valve_leak":
        own("valve_frac", lambda v: np.maximum((v - size) / (1.0 - size), 0.0))
    elif fault.kind == "valve_stuck":
        own("valve_frac", lambda v: v * size)
    elif fault.kind == "pump_wear":
        own("speed_frac", lambda v: v / np.sqrt(1.0 - size))
    elif fault.kind == "air_in_loop":
        own("speed_frac", lambda v: v / (1.0 - size))
    elif fault.kind == "fan_failed" and fault.object.startswith("air-unit/"):
        own("power_w", lambda w: w * (1.0 - size))
    elif fault.kind == "unit_slow":
        share = _share_of_pool(year, fault.object)
        tokens = "output_tokens_per_s"
        for i, name in enumerate(rack_objects(year.inputs)):
            if year.rack_pool[i] == share.pool:
                left = (1.0 - size if name == fault.object else 1.0) / (1.0 - size * share.frac)
                own(tokens, lambda t, left=left: t * left, f"{name}/accelerators")  # type: ignore[misc]
    return read


def _changed(bank: T, row: NDArray[np.bool_], **columns: Callable[[Any], Any]) -> T:
    """Return a bank with columns of some rows changed."""
    changed = {
        name: np.where(row, change(getattr(bank, name)), getattr(bank, name)) for name, change in columns.items()
    }
    return replace(bank, **changed)  # type: ignore[type-var]


def _with_cdu_fault(year: Described, kind: str, name: str, size: float) -> Described:
    year = unit_apart(year, name)
    groups = list(equipment.cdu_groups(year.inputs))
    own = next(cdu.group for cdu in year.inputs.cdus if cdu.name == name)
    row, cdus, racks = np.array([group == own for group in groups]), year.site.cdu_groups, year.site.racks
    left = 1.0 - size
    if kind == "fouling":
        cdus = _changed(cdus, row, ua_w_per_k=lambda ua: ua * left)
    elif kind == "pump_wear":
        # The head that is lost inside the pump costs as much power as that which is given; what it can give falls.
        cdus = _changed(cdus, row, pump_power_w=lambda w: w / left, max_flow_frac=lambda most: most * np.sqrt(left))
    elif kind == "valve_leak":
        cdus = _changed(cdus, row, min_valve_frac=lambda least: np.maximum(least, size))
    elif kind == "valve_stuck":
        # A valve that stands open at `size` passes that share; films of the exchanger go by the flow over its rating.
        wide, narrow = cdus.secondary_film_frac, cdus.primary_film_frac * size**-cdus.film_exponent
        whole = wide + narrow + (1.0 - cdus.secondary_film_frac - cdus.primary_film_frac)
        cdus = _changed(
            cdus,
            row,
            primary_flow_kg_s=lambda flow: flow * size,
            ua_w_per_k=lambda ua: ua / whole,
            secondary_film_frac=lambda _: wide / whole,
            primary_film_frac=lambda _: narrow / whole,
            holds_supply=np.zeros_like,
        )
    else:
        of_group = racks.cdu_index == int(np.argmax(row))
        design_kg_s = float(np.sum((racks.count * racks.coolant_flow_kg_s)[of_group]))
        if kind == "air_in_loop":
            per_unit = design_kg_s / (cdus.n_units * cdus.secondary_flow_kg_s)
            cdus = _changed(cdus, row, max_flow_frac=lambda most: np.minimum(most, per_unit) * left)
        elif kind == "bypass" and of_group.any():
            return _with_classes(
                year,
                np.flatnonzero(of_group)[:1],
                count=1.0,
                coolant_flow_kg_s=design_kg_s * size / left,
                **dict.fromkeys(DRAWS, 0.0),
                n_accelerators=0.0,
                pool_index=-1,
            )
    return replace(year, site=replace(year.site, cdus=cdus))


DRAWS = (  # nothing, of a branch of the loop without a rack
    "fixed_w",
    "per_load_w",
    "fan_power_w",
    "air_flow_kg_s",
    "tdp_w",
    "idle_w",
    "shelf_loss_a",
    "shelf_loss_b",
    "shelf_loss_c",
)


def unit_apart(year: Described, name: str) -> Described:
    """Return the layout with one CDU of a group solved on its own: its share of the group's racks and flow."""
    before = equipment.cdu_groups(year.inputs)
    own = next(cdu.group for cdu in year.inputs.cdus if cdu.name == name)
    n = len(before[own])
    if n == 1:
        return year
    alone = f"{own} {name}"
    cdus = tuple(replace(cdu, group=alone) if cdu.name == name else cdu for cdu in year.inputs.cdus)
    inputs = replace(year.inputs, cdus=cdus)
    old, names = list(before), list(equipment.cdu_groups(inputs))
    rows = np.array([old.index(own if group == alone else group) for group in names])
    place = np.array([names.index(group) for group in old])
    bank = year.site.cdu_groups
    taken = {entry.name: getattr(bank, entry.name)[rows] for entry in fields(bank)}
    units = taken["n_units"] + np.array([1.0 - n if group == alone else -1.0 * (group == own) for group in names])
    racks, in_group = year.site.racks, year.site.racks.cdu_index == old.index(own)
    moved = np.where(racks.cdu_index >= 0, place[np.maximum(racks.cdu_index, 0)], -1)
    count = np.where(in_group, racks.count * (n - 1) / n, racks.count)
    table = year.table.bank["cdu_index"]
    year = replace(
        year,
        inputs=inputs,
        table=replace(
            year.table,
            bank={**year.table.bank, "cdu_index": np.where(table >= 0, place[np.maximum(table, 0)], -1)},
        ),
        site=replace(
            year.site,
            cdus=replace(bank, **(taken | {"n_units": units})),
            racks=replace(racks, cdu_index=moved, count=count),
        ),
        feeds=replace(year.feeds, group_node=year.feeds.group_node[rows]),
    )
    own_classes = np.flatnonzero(in_group)
    return _with_classes(year, own_classes, count=racks.count[own_classes] / n, cdu_index=names.index(alone))


def _with_classes(year: Described, like: NDArray[np.intp], **columns: FloatArray | float) -> Described:
    """Return the layout with more classes of racks, like others but for some columns, on the same feeds."""
    racks, links = year.site.racks, year.feeds.links
    rows = {entry.name: getattr(racks, entry.name)[like] for entry in fields(racks)}
    rows |= {name: np.broadcast_to(value, like.shape) for name, value in columns.items()}
    joined = {name: np.append(getattr(racks, name), values) for name, values in rows.items()}
    of_new = [np.flatnonzero(links.rack_index == i) for i in like.tolist()]
    taken = np.concatenate(of_new)
    more: dict[str, Any] = {
        column: np.append(getattr(links, column), getattr(links, column)[taken])
        for column in ("node_index", "share_frac", "standby_share_frac")
    }
    new = np.repeat(links.n_racks + np.arange(like.size), [each.size for each in of_new])
    return replace(
        year,
        site=replace(year.site, racks=replace(racks, **joined)),
        feeds=replace(
            year.feeds,
            links=replace(
                links, n_racks=links.n_racks + like.size, rack_index=np.append(links.rack_index, new), **more
            ),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Share:
    pool: int
    frac: float  # of the pool's accelerators and load


def _share_of_pool(year: Described, name: str) -> _Share:
    i = rack_objects(year.inputs).index(name)
    pool = int(year.rack_pool[i])
    if pool < 0:
        raise ValueError(f"{name} serves nothing: it has no accelerators, or none of its workloads fits")
    weight = year.table.bank["n_accelerators"] * year.table.load_share
    return _Share(pool, float(weight[i] / weight[year.rack_pool == pool].sum()))


def _with_rack_fault(year: Described, kind: str, name: str, size: float) -> Described:
    share = _share_of_pool(year, name)
    if kind == "unit_slow":
        left = 1.0 - size * share.frac
        pools = [
            replace(pool, capacity_per_s=pool.capacity_per_s * left) if i == share.pool else pool
            for i, pool in enumerate(year.pools)
        ]
        return replace(year, pools=pools)
    i = rack_objects(year.inputs).index(name)
    like, racks = int(year.rack_class[i]), year.site.racks
    count = np.where(np.arange(racks.n_racks) == like, racks.count - 1.0, racks.count)
    year = replace(year, site=replace(year.site, racks=replace(racks, count=count)))
    if kind == "cap_misset":
        own = {"power_limit_w": float(racks.power_limit_w[like]) * (1.0 - size)}
    else:
        per_k = size / (USUAL_JUNCTION_DEGC - THROTTLED_FROM_DEGC)
        own = {"throttle_degc": THROTTLED_FROM_DEGC, "throttle_frac_per_k": max(per_k, 1e-12)}
    year = _with_classes(year, np.array([like]), count=1.0, **own)
    rack_class = year.rack_class.copy()
    rack_class[i] = racks.n_racks
    return replace(year, rack_class=rack_class)


def _with_phase_loss(year: Described, name: str, size: float) -> Described:
    """Move a share of what racks draw through a feed, or through those below it, to their other feeds."""
    tree, links = year.feeds.tree, year.feeds.links
    below = np.zeros(tree.n_nodes, dtype=bool)
    below[tree.index(name)] = True
    for node in range(tree.n_nodes):  # sorted by depth
        below[node] |= tree.parent[node] >= 0 and below[tree.parent[node]]
    here = below[links.node_index]
    if not np.any(here & (links.share_frac > 0)):
        raise ValueError(f"phase_loss: no rack draws from feed/{name}")
    total = np.bincount(links.rack_index, np.where(here, 0.0, links.share_frac), minlength=links.n_racks)
    drawn = np.bincount(links.rack_index, np.where(here, links.share_frac, 0.0), minlength=links.n_racks)
    if np.any((drawn > 0) & (total <= 0)):
        raise ValueError(f"phase_loss: racks on feed/{name} draw from no other feed that could take over")
    gained = 1.0 + size * np.divide(drawn, total, out=np.zeros_like(drawn), where=total > 0)
    share = np.where(here, links.share_frac * (1.0 - size), links.share_frac * gained[links.rack_index])
    return replace(year, feeds=replace(year.feeds, links=replace(links, share_frac=share)))
