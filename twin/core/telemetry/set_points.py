"""Set points of a described plant that its operators may move: which there are, in which range, what each changes.

Objects that are alike (same product, same setting, on the same loop) are moved together: one set point stands for all.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from twin.core.inputs.equipment import cdu_groups, coolant_properties
from twin.core.inputs.layout import CduRow, HallRow, LayoutInputs, PlantRow
from twin.core.inputs.pools import Pool
from twin.core.rules.design_load import rack_design
from twin.core.telemetry.predicted import rack_objects

REACH_K = 10.0  # that a temperature is moved at most: beyond it a plant is another one
FLOW_REACH = 0.4  # of a rack's flow, either way
ASSUMED_LEAST_CAP_FRAC = 0.25  # of a board's power where its sheet states no lowest limit
# What the description takes, as its forms hold it.
PLANT_DEGC, CDU_DEGC, HALL_DEGC, RISE_K = (5.0, 50.0), (10.0, 60.0), (10.0, 45.0), (1.0, 30.0)
N_COARSE = 7  # values of a first look over a range
CLOCK, CONFIGURATION = "clock", "configuration"
APART = re.compile(r"prefill (\d+) x (.+?) : decode (\d+) x ")

Change = Callable[[LayoutInputs, float], LayoutInputs]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SetPoint:
    """One setting of alike objects.

    Attributes
    ----------
    object, parameter, unit : str
        The first of the objects, as on the wire; the setting, as its quantity is called where it has one.
    objects : tuple of str
        All that take the same value.
    now, low, high, step : float
        What it is, the range it may have, and what a controller tells apart.
    at : callable
        Gives the description with another value.
    is_staging : bool
        It leaves units standing that are bought all the same: no part of the bill.
    moves : str
        What it does to serving: nothing, `CLOCK` or `CONFIGURATION`.
    choices : tuple of float
        The values that there are; none: any in the range.
    note : str
        What no figure shows.
    not_controllable : str
        Why nobody can move it; blank: it can be moved.
    """

    object: str
    parameter: str
    unit: str
    objects: tuple[str, ...]
    now: float
    low: float
    high: float
    step: float
    at: Change
    is_staging: bool = False
    moves: str = ""
    choices: tuple[float, ...] = ()
    note: str = ""
    not_controllable: str = ""

    def coarse(self) -> list[float]:
        """Return the values of a first look, the present one left out."""
        if self.choices:
            return [value for value in self.choices if value != self.now]
        spacing = (self.high - self.low) / (N_COARSE - 1)
        values = {self.rounded(self.low + i * spacing) for i in range(N_COARSE)}
        return sorted(value for value in values if abs(value - self.now) >= self.step / 2)

    def rounded(self, value: float) -> float:
        """Return the nearest value that a controller takes."""
        steps = round((value - self.now) / self.step)
        return min(max(self.now + steps * self.step, self.low), self.high)


def set_points(inputs: LayoutInputs, pools: Sequence[Pool]) -> list[SetPoint]:
    """Return every set point of a layout under a scenario.

    Parameters
    ----------
    inputs : LayoutInputs
    pools : sequence of Pool
        As `simulate.described` found them: how prefill and decode are split now.
    """
    return [
        *_plants(inputs),
        *_cdus(inputs),
        *_rack_flows(inputs),
        *_halls(inputs),
        *_feeds(inputs),
        *_caps(inputs),
        *_splits(inputs, pools),
    ]


def with_rows(inputs: LayoutInputs, pools: Sequence[Pool], rows: Iterable[Mapping[str, Any]]) -> LayoutInputs:
    """Return the description with the set points that rows of an advice state.

    Raises
    ------
    ValueError
        If a row names a set point that the layout has not.
    """
    there = {(point.object, point.parameter): point for point in set_points(inputs, pools)}
    for row in rows:
        point = there.get((row["object"], row["parameter"]))
        if point is None:
            raise ValueError(f"the layout has no set point {row['parameter']} of {row['object']} any more")
        inputs = point.at(inputs, float(row["to"]))
    return inputs


def _alike(rows: Iterable[T], key: Callable[[T], Hashable]) -> list[list[T]]:
    found: dict[Hashable, list[T]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return list(found.values())


def _with(table: str, ids: frozenset[int], column: str) -> Change:
    """Return the change of one column of some rows of a table."""

    def at(inputs: LayoutInputs, value: float) -> LayoutInputs:
        rows = getattr(inputs, table)
        kind = type(getattr(rows[0], column))
        changed: Any = {table: tuple(replace(r, **{column: kind(value)}) if r.id in ids else r for r in rows)}
        return replace(inputs, **changed)

    return at


def _temperature(
    objects: Sequence[str], parameter: str, now: float, ends: tuple[float, float], at: Change, **more: Any
) -> SetPoint:
    low, high = max(ends[0], now - REACH_K), min(ends[1], now + REACH_K)
    return SetPoint(objects[0], parameter, "degC", tuple(objects), now, low, high, 0.5, at, **more)


def _units(objects: Sequence[str], parameter: str, now: int, at: Change) -> SetPoint:
    """Return how many of the installed units run; the last one stays on."""
    return SetPoint(objects[0], parameter, "units", tuple(objects), float(now), 1.0, float(now), 1.0, at, True)


def _plants(inputs: LayoutInputs) -> Iterator[SetPoint]:
    def make(plant: PlantRow) -> Hashable:
        return tuple(getattr(plant, name) for name in PlantRow.__dataclass_fields__ if name not in ("id", "name"))

    used = {cdu.plant_id for cdu in inputs.cdus} | {hall.plant_id for hall in inputs.halls if hall.n_air_units}
    for plants in _alike((plant for plant in inputs.plants if plant.id in used), make):
        first, ids = plants[0], frozenset(plant.id for plant in plants)
        objects = [f"plant/{plant.name}" for plant in plants]
        at = _with("plants", ids, "supply_degc")
        yield _temperature(objects, "liquid_supply_degc", first.supply_degc, PLANT_DEGC, at)
        low, high = (max(RISE_K[0], 0.5 * first.design_rise_k), min(RISE_K[1], 2.0 * first.design_rise_k))
        rise = _with("plants", ids, "design_rise_k")
        about = "held by the facility pumps' speed: a smaller rise is more flow"
        objects_of = tuple(objects)
        yield SetPoint(
            objects[0], "liquid_rise_k", "K", objects_of, first.design_rise_k, low, high, 0.5, rise, note=about
        )
        for column, parameter in (("n_heat_rejection", "outdoor_units_running"), ("n_chillers", "chillers_running")):
            if (n := getattr(first, column)) > 1:
                yield _units(objects, parameter, n, _with("plants", ids, column))


def _cdus(inputs: LayoutInputs) -> Iterator[SetPoint]:
    def make(units: list[CduRow]) -> Hashable:
        first = units[0]
        return first.product_id, first.plant_id, first.supply_degc, first.coolant, len(units), first.redundant_units

    for groups in _alike(cdu_groups(inputs).values(), make):
        cdus = [cdu for units in groups for cdu in units]
        at = _with("cdus", frozenset(cdu.id for cdu in cdus), "supply_degc")
        objects = [f"cdu/{cdu.name}" for cdu in cdus]
        yield _temperature(objects, "secondary_supply_degc", cdus[0].supply_degc, CDU_DEGC, at)


def _rack_flows(inputs: LayoutInputs) -> Iterator[SetPoint]:
    racks, names, design = inputs.racks, rack_objects(inputs), rack_design(inputs)
    density = {cdu.id: coolant_properties(cdu.coolant)[0] for cdu in inputs.cdus}
    wet = [i for i in range(len(racks)) if design.liquid_w[i] > 0 and racks.cdu_id[i] in density]

    def make(i: int) -> Hashable:
        return racks.product_id[i], racks.n_systems[i], design.coolant_flow_m3_per_s[i], density[racks.cdu_id[i] or 0]

    for alike in _alike(wet, make):
        first = alike[0]
        kg_m3, chosen = density[racks.cdu_id[first] or 0], frozenset(alike)
        now = float(design.coolant_flow_m3_per_s[first]) * kg_m3

        def at(
            inputs: LayoutInputs, value: float, chosen: frozenset[int] = chosen, kg_m3: float = kg_m3
        ) -> LayoutInputs:
            own = inputs.racks.coolant_flow_m3_per_s
            flow = tuple(value / kg_m3 if i in chosen else before for i, before in enumerate(own))
            return replace(inputs, racks=replace(inputs.racks, coolant_flow_m3_per_s=flow))

        objects = tuple(names[i] for i in alike)
        yield SetPoint(
            objects[0],
            "liquid_flow_kg_s",
            "kg/s",
            objects,
            now,
            (1 - FLOW_REACH) * now,
            (1 + FLOW_REACH) * now,
            0.02 * now,
            at,
        )


def _halls(inputs: LayoutInputs) -> Iterator[SetPoint]:
    def make(hall: HallRow) -> Hashable:
        return hall.air_unit_id, hall.n_air_units, hall.supply_air_degc, hall.plant_id, hall.containment

    for halls in _alike((hall for hall in inputs.halls if hall.id in inputs.racks.hall_id), make):
        first, ids = halls[0], frozenset(hall.id for hall in halls)
        objects = [f"hall/{hall.name}" for hall in halls]
        cooled = first.air_unit_id is not None and first.n_air_units > 0
        at = _with("halls", ids, "supply_air_degc")
        reason = "" if cooled else "the hall has no air units: nothing holds its supply air"
        yield _temperature(objects, "air_supply_degc", first.supply_air_degc, HALL_DEGC, at, not_controllable=reason)
        if cooled and first.n_air_units > 1:
            yield _units(objects, "air_units_running", first.n_air_units, _with("halls", ids, "n_air_units"))


def _feeds(inputs: LayoutInputs) -> Iterator[SetPoint]:
    ups = [feed for feed in inputs.feeds if feed.kind == "ups"]
    for feeds in _alike(ups, lambda feed: (feed.product_id, feed.eco_mode)):
        first = feeds[0]
        reason = "" if inputs.facts(first.product_id).get("efficiency_eco_mode") else "its sheet states no eco mode"
        objects = tuple(f"feed/{feed.name}" for feed in feeds)
        yield SetPoint(
            objects[0],
            "eco_mode",
            "1",
            objects,
            float(first.eco_mode),
            0.0,
            1.0,
            1.0,
            _with("feeds", frozenset(feed.id for feed in feeds), "eco_mode"),
            choices=(0.0, 1.0),
            note="in eco mode loads see the grid until the UPS transfers, in some milliseconds: check that the racks'"
            " power shelves hold that long",
            not_controllable=reason,
        )


def _caps(inputs: LayoutInputs) -> Iterator[SetPoint]:
    racks, names = inputs.racks, rack_objects(inputs)
    accelerator = [str(inputs.facts(product_id).get("accelerator") or "") for product_id in racks.product_id]
    served = [i for i in range(len(racks)) if accelerator[i] in inputs.products.accelerators and racks.n_systems[i]]
    for alike in _alike(served, lambda i: (accelerator[i], racks.accelerator_power_limit_w[i])):
        first, chosen = alike[0], frozenset(alike)
        chip = inputs.products.accelerators[accelerator[first]].facts
        tdp_w = float(chip["tdp_w"])
        limits = (
            chip.get("max_configurable_power_w") or tdp_w,
            racks.accelerator_power_limit_w[first],
            inputs.scenario.accelerator_power_limit_w,
        )
        now = min(float(limit) for limit in limits if limit is not None)
        low = float(chip.get("min_configurable_power_w") or ASSUMED_LEAST_CAP_FRAC * tdp_w)
        high = min(float(limits[0]), float(limits[2] or limits[0]))

        def at(inputs: LayoutInputs, value: float, chosen: frozenset[int] = chosen) -> LayoutInputs:
            own = inputs.racks.accelerator_power_limit_w
            caps = tuple(value if i in chosen else before for i, before in enumerate(own))
            return replace(inputs, racks=replace(inputs.racks, accelerator_power_limit_w=caps))

        objects = tuple(f"{names[i]}/accelerators" for i in alike)
        yield SetPoint(
            objects[0],
            "accelerator_power_limit_w",
            "W",
            objects,
            now,
            low,
            max(high, now),
            0.01 * tdp_w,
            at,
            moves=CLOCK,
            not_controllable="" if low < high else "its power limit cannot be set",
        )


def _splits(inputs: LayoutInputs, pools: Sequence[Pool]) -> Iterator[SetPoint]:
    """Yield how many prefill and decode workers a unit has, where prefill runs apart: one more or less of each."""
    for share in inputs.scenario.workloads:
        own = [pool for pool in pools if pool.workload == share.workload.slug]
        if len(own) != 1 or not own[0].feasible or not (found := APART.search(own[0].configuration_text)):
            continue  # served on several kinds of accelerators one configuration cannot be stated for all
        pool, prefill, decode = own[0], int(found[1]), int(found[3])
        decoding, prefilling = pool.instance_sizes
        texts: dict[float, str] = {}
        for p, d in ((prefill, decode), (prefill - 1, decode), (prefill + 1, decode), (prefill, decode + 1)):
            if p >= 1:
                text = APART.sub(f"prefill {p} x {found[2]} : decode {d} x ", pool.configuration_text)
                texts[p * prefilling / (p * prefilling + d * decoding)] = text
        now, slug = next(iter(texts)), share.workload.slug

        def at(inputs: LayoutInputs, value: float, pool: Pool = pool, texts: dict[float, str] = texts) -> LayoutInputs:
            text = texts[min(texts, key=lambda known: abs(known - value))]
            workloads = tuple(
                replace(share, configuration=text, model=pool.model) if share.workload.slug == pool.workload else share
                for share in inputs.scenario.workloads
            )
            return replace(inputs, scenario=replace(inputs.scenario, workloads=workloads))

        yield SetPoint(
            f"workload/{slug}",
            "prefill_share_frac",
            "1",
            (f"workload/{slug}",),
            now,
            min(texts),
            max(texts),
            1e-6,
            at,
            moves=CONFIGURATION,
            choices=tuple(texts),
            note="; ".join(f"{value:.4g}: {text}" for value, text in texts.items()),
        )
