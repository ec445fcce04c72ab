"""Solved hours read out per described object: racks, CDUs, feeds, halls and plants, each with its limits.

The solver knows classes of alike racks and groups of CDUs. Every rack gets its class's values; every running CDU of a
group an equal share of the group's heat and flow, and the group's temperatures.
"""

from collections.abc import Mapping
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from power_cooling.electrical.feed_tree import FeedTree, live_nodes, running_w
from power_cooling.site_arrays import FloatArray, installed_units
from twin.core.failures.kinds import OF_PLANTS
from twin.core.inputs import equipment
from twin.core.inputs.voltages import feed_voltages
from twin.core.results.figures import power_by_part_w
from twin.core.results.latency import mixture_quantile
from twin.core.results.object_quantities import MOST_DROP_FRAC, OVER, QUANTITIES, ObjectTable
from twin.core.solve.dispatch import dispatch, units_failed
from twin.core.solve.steady import Steady

BoolArray = NDArray[np.bool_]


def object_tables(steady: Steady) -> dict[str, ObjectTable]:
    """Return the tables of a solved layout by kind, objects in the snapshot's order."""
    return {
        "racks": _racks(steady),
        "cdus": _cdus(steady),
        "feeds": _feeds(steady),
        "halls": _halls(steady),
        "plants": _plants(steady),
    }


def totals(steady: Steady) -> dict[str, Any]:
    """Return the site's figures per hour, arrays of shape (n_hours,), and the power by what draws it."""
    c, served, sources = steady.coupled, steady.served, dispatch(steady)
    tokens = np.where(np.isnan(c.meter_power_w), np.nan, served.output_tokens_per_s)
    possible = served.servable_per_s @ served.output_per_request
    return {
        "meter_power_w": c.meter_power_w,
        "grid_power_w": sources.grid_w,
        "onsite_power_w": sources.onsite_w,
        "battery_power_w": sources.battery_w,
        "it_power_w": c.it_power_w,
        "output_tokens_per_s": tokens,
        "offered_tokens_per_s": served.offered_per_s @ served.output_per_request,
        "servable_tokens_per_s": np.where(np.isnan(c.meter_power_w), np.nan, possible),
        "tokens_per_joule": _over(tokens, c.meter_power_w),
        "pue": _over(c.meter_power_w, c.it_power_w),
        "ttft_p95_s": _quantile(steady, "ttft", served.latency, served.requests_per_s),
        "itl_p95_s": _quantile(steady, "itl", served.latency, served.requests_per_s * served.output_per_request),
        "throttled_frac": c.throttled_frac,
        "capped_frac": c.capped_frac,
        "dead_frac": c.tripped_frac,
        "cooling_power_w": c.cooling_power_w,
        "lighting_power_w": c.lighting_power_w,
        "own_power_w": c.own_power_w,
        "water_kg_s": c.water_kg_s,
        "loss_w": {part: watts for part, watts in power_by_part_w(c).items() if part not in USEFUL},
    }


USEFUL = ("Accelerators", "CPU, network and storage")


def _quantile(steady: Steady, which: str, latency: Mapping[str, FloatArray], weight: FloatArray) -> FloatArray:
    """Return the 95th percentile of each hour over all pools."""
    p50, p95 = latency[f"{which}_p50_s"], latency[f"{which}_p95_s"]
    found = [mixture_quantile(p50[i], p95[i], np.nan_to_num(weight[i]), 0.95) for i in range(p50.shape[0])]
    return np.array([np.nan if value is None else value for value in found])


def _over(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.divide(a, b, out=np.full(np.broadcast(a, b).shape, np.nan), where=b > 0)


def _racks(steady: Steady) -> ObjectTable:
    c, rack_class, bank = steady.coupled, steady.rack_class, steady.table.bank
    channels = c.every_rack
    power = channels.power_w[:, rack_class].astype(float)
    clock = channels.clock_frac[:, rack_class].astype(float)
    junction = channels.junction_degc[:, rack_class].astype(float)
    makes_tokens = steady.rack_pool >= 0
    tokens = rack_tokens_per_s(steady, clock, np.isfinite(junction))
    supply, flow = _rack_coolant(steady)
    cp = _coolant_cp(steady)
    values = {
        "power_w": power,
        "supply_degc": supply,
        "return_degc": supply + _over(channels.liquid_heat_w[:, rack_class].astype(float), flow * cp),
        "inlet_air_degc": channels.inlet_degc[:, rack_class].astype(float),
        "junction_degc": junction,
        "clock_frac": np.where(bank["n_accelerators"] > 0, clock, np.nan),
        "tokens_per_s": np.where(makes_tokens, tokens, np.nan),
        "tokens_per_joule": np.where(makes_tokens, _over(tokens, power), np.nan),
        "flow_kg_s": flow,
        "weight_kg": np.broadcast_to(_weight_kg(steady), power.shape),
    }
    limits = {
        "power_limit_w": steady.table.nameplate_w,
        "supply_limit_degc": _product_facts(steady, "liquid_supply_max_degc"),
        "inlet_air_limit_degc": _product_facts(steady, "air_inlet_max_degc"),
        "junction_limit_degc": np.where(bank["n_accelerators"] > 0, bank["throttle_degc"], np.nan),
        "flow_design_kg_s": np.where(bank["coolant_flow_kg_s"] > 0, bank["coolant_flow_kg_s"], np.nan),
    }
    dead = ~(power > 0) | ((bank["n_accelerators"] > 0) & ~np.isfinite(junction))
    throttled = (clock < 1.0) & ((junction > bank["throttle_degc"]) | _held_back(steady))
    over = _beyond(
        values,
        limits,
        {"power_w": "power_limit_w", "supply_degc": "supply_limit_degc", "inlet_air_degc": "inlet_air_limit_degc"},
    )
    racks = steady.inputs.racks
    pools = [None if i < 0 else steady.pools[i].workload for i in steady.rack_pool.tolist()]
    return ObjectTable(
        list(racks.id),
        list(racks.name),
        values,
        limits,
        _state(over=over, throttled=throttled, dead=dead),
        {"workload": pools},
    )


def _held_back(steady: Steady) -> BoolArray:
    """Return which racks hang on a CDU group or hall, or in which hours on a feed, too small for them."""
    c, bank = steady.coupled, steady.table.bank
    group = bank["cdu_index"]
    halls = np.minimum(c.hall_level, c.plant_level[:, steady.site.halls.plant_index])
    held = halls[:, bank["hall_index"]] < 1.0
    if c.cdu_level.shape[1]:
        groups = np.minimum(c.cdu_level, c.plant_level[:, steady.site.cdu_groups.plant_index])
        held |= (group >= 0) & (groups[:, np.maximum(group, 0)] < 1.0)
    return held | (c.feed_level < 1.0)[:, None]


def rack_tokens_per_s(steady: Steady, clock_frac: FloatArray, running: BoolArray) -> FloatArray:
    """Return each rack's share of what its pool serves [tokens/s], shape (n_hours, n_racks).

    A pool's requests go to its running racks by accelerators, load share and what their clock lets them serve.
    """
    served = steady.served
    tokens = np.zeros(clock_frac.shape)
    chips = steady.table.bank["n_accelerators"] * steady.table.load_share
    for i, pool in enumerate(steady.pools):
        of_pool = np.flatnonzero(steady.rack_pool == i)
        weight = chips[of_pool] * np.where(running[:, of_pool], pool.speed(clock_frac[:, of_pool]), 0.0)
        made = np.nan_to_num(served.requests_per_s[:, i]) * pool.output_tokens
        tokens[:, of_pool] = made[:, None] * np.nan_to_num(_over(weight, weight.sum(axis=1, keepdims=True)))
    return tokens


def _rack_coolant(steady: Steady) -> tuple[FloatArray, FloatArray]:
    """Return supply temperature and flow of each rack's coolant, shape (n_hours, n_racks); NaN and 0 without."""
    group = steady.table.bank["cdu_index"]
    n = steady.coupled.meter_power_w.size
    supply, flow = np.full((n, group.size), np.nan), np.zeros((n, group.size))
    wet = np.flatnonzero((group >= 0) & (steady.table.bank["coolant_flow_kg_s"] > 0))
    if wet.size:
        supply[:, wet] = steady.coupled.cdu_supply_degc[:, group[wet]]
        design = steady.table.bank["coolant_flow_kg_s"][wet]
        flow[:, wet] = design * np.nan_to_num(steady.coupled.cdu_flow_frac[:, group[wet]])
    return supply, flow


def _coolant_cp(steady: Steady) -> FloatArray:
    group = steady.table.bank["cdu_index"]
    if steady.site.cdus is None:
        return np.ones(group.size)
    return np.where(group >= 0, steady.site.cdus.secondary_cp_j_per_kg_k[np.maximum(group, 0)], 1.0)


def _product_facts(steady: Steady, name: str) -> FloatArray:
    """Return a fact of each rack's product, NaN where it states none, shape (n_racks,)."""
    racks = steady.inputs.racks
    stated = {key: steady.inputs.facts(key).get(name) for key in set(racks.product_id)}
    return np.array([_number(stated.get(key)) for key in racks.product_id])


def _weight_kg(steady: Steady) -> FloatArray:
    weight = _product_facts(steady, "weight_kg") * np.array(steady.inputs.racks.n_systems, dtype=float)
    return np.where(weight > 0, weight, np.nan)


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _cdus(steady: Steady) -> ObjectTable:
    c, site, inputs = steady.coupled, steady.site, steady.inputs
    cdus = inputs.cdus
    n = c.meter_power_w.size
    if site.cdus is None:
        return ObjectTable(
            [],
            [],
            {q.name: np.zeros((n, 0)) for q in QUANTITIES["cdus"]},
            {q.limit: np.zeros(0) for q in QUANTITIES["cdus"] if q.limit},
            np.zeros((n, 0), dtype=np.int64),
            {"group": [], "group_units": []},
        )
    groups = {name: i for i, name in enumerate(equipment.cdu_groups(inputs))}
    group = np.array([groups[cdu.group] for cdu in cdus])
    runs = _cdus_running(steady)
    n_running = np.zeros((n, len(groups)))
    np.add.at(n_running.T, group, runs.T)
    share = np.where(runs, _over(np.ones(n_running.shape), n_running)[:, group], 0.0)
    plant = site.cdus.plant_index[group]
    racks = site.racks
    wet = racks.cdu_index >= 0
    design = np.bincount(racks.cdu_index[wet], (racks.count * racks.coolant_flow_kg_s)[wet], minlength=len(groups))
    on = np.where(runs, 1.0, np.nan)
    on_water = np.where(site.cdus.to_air[group] == 0, on, np.nan)  # others reject into their hall's air
    water_in = c.facility_supply_degc[:, plant] * on_water
    heat, water = c.cdu_heat_w[:, group] * share, c.cdu_primary_kg_s[:, group] * share
    values = {
        "heat_w": heat,
        "load_frac": np.where(runs, c.cdu_load_frac[:, group], 0.0),
        "supply_degc": c.cdu_supply_degc[:, group] * on,
        "return_degc": c.cdu_return_degc[:, group] * on,
        "facility_supply_degc": water_in,
        "facility_return_degc": water_in + _over(heat, water * site.plants.cp_j_per_kg_k[plant]),
        "flow_kg_s": np.nan_to_num(c.cdu_flow_frac[:, group]) * design[group] * share,
        "facility_flow_kg_s": water,
        "valve_frac": c.cdu_valve_frac[:, group] * on_water,
        "dew_point_margin_k": c.dew_point_margin_k[:, group] * on,
        "pump_power_w": c.cdu_pump_w[:, group] * share,
    }
    accepts = _product_facts(steady, "liquid_supply_max_degc")
    warmest = np.full(len(groups), np.inf)
    on_group = steady.table.bank["cdu_index"]
    np.fmin.at(warmest, on_group[on_group >= 0], accepts[on_group >= 0])
    limits = {
        "heat_limit_w": site.cdus.capacity_w[group],
        "load_limit_frac": np.ones(group.size),
        "supply_limit_degc": np.where(np.isfinite(warmest), warmest, np.nan)[group],
        "flow_limit_kg_s": (site.cdus.secondary_flow_kg_s * site.cdus.max_flow_frac)[group],
        "valve_limit_frac": np.ones(group.size),
    }
    over = _beyond(values, limits, {"load_frac": "load_limit_frac", "supply_degc": "supply_limit_degc"})
    over |= c.cdu_level[:, group] < 1.0
    return ObjectTable(
        [cdu.id for cdu in cdus],
        [cdu.name for cdu in cdus],
        values,
        limits,
        _state(over=over, dead=~runs),
        {"group": [cdu.group for cdu in cdus], "group_units": site.cdus.n_units[group].astype(int).tolist()},
    )


def _cdus_running(steady: Steady) -> BoolArray:
    """Return which CDUs run, shape (n_hours, n_cdus): of a group, the named one is out, then those that follow it."""
    cdus = steady.inputs.cdus
    runs = np.ones((len(steady.hours), len(cdus)), dtype=bool)
    place = {cdu.id: i for i, cdu in enumerate(cdus)}
    for row, outages in enumerate(steady.out):
        for outage in (o for o in outages if o.kind == "cdu"):
            first = place[outage.row_id]
            members = [i for i, cdu in enumerate(cdus) if cdu.group == cdus[first].group]
            turned = [i for i in members if i >= first] + [i for i in members if i < first]
            for i in [i for i in turned if runs[row, i]][: outage.units]:
                runs[row, i] = False
    return runs


def _feeds(steady: Steady) -> ObjectTable:
    tree, inputs = steady.feeds.tree, steady.inputs
    node = np.array([tree.index(feed.name) for feed in inputs.feeds])
    failed = units_failed(steady)
    live = live_nodes(tree, failed)
    rating = running_w(tree, failed) * live
    carried = steady.coupled.feed_load_w
    square = np.divide(tree.square_loss_frac, rating, out=np.zeros(rating.shape), where=rating > 0)
    # the formula of `electrical.feed_losses`, from the load that it handed up
    loss = tree.no_load_loss_frac * rating + tree.proportional_loss_frac * np.abs(carried) + square * carried**2
    sources = dispatch(steady)
    own_w = tree.rating_w * (tree.units - failed) * live  # of a source, without what runs beside it
    power_w = np.where(sources.gives, sources.feed_w, carried[:, node])
    values = {
        "power_w": power_w,
        "load_frac": np.nan_to_num(_over(np.abs(power_w), np.where(sources.gives, own_w[:, node], rating[:, node]))),
        "loss_w": np.where(live, loss, 0.0)[:, node],
        "charge_frac": sources.charge_frac,
        "voltage_drop_frac": 1 - feed_voltages(inputs, _drawn_w(tree, carried, np.where(live, loss, 0.0))[:, node]),
    }
    installed = np.where(sources.gives, (tree.rating_w * tree.units)[node], tree.installed_w[node])
    limits = {
        "power_limit_w": installed,
        "load_limit_frac": np.ones(node.size),
        "voltage_drop_limit_frac": np.full(node.size, MOST_DROP_FRAC),
    }
    over = _beyond(values, limits, {"load_frac": "load_limit_frac"})
    over |= steady.coupled.short_feed[:, None] == node
    parents = [feed.parent_id for feed in inputs.feeds]
    return ObjectTable(
        [feed.id for feed in inputs.feeds],
        [feed.name for feed in inputs.feeds],
        values,
        limits,
        _state(over=over, dead=~live[:, node]),
        {
            "kind": [feed.kind for feed in inputs.feeds],
            "parent": parents,
            "units": [feed.n_units for feed in inputs.feeds],
            "units_out": failed[:, node].tolist(),
        },
    )


def _drawn_w(tree: FeedTree, carried_w: FloatArray, loss_w: FloatArray) -> FloatArray:
    """Return what hangs on each node itself [W]: what it carries less what it hands on."""
    drawn_w = np.nan_to_num(carried_w)
    handed_w = drawn_w + np.nan_to_num(loss_w)
    for child in np.flatnonzero(tree.parent >= 0):
        drawn_w[:, tree.parent[child]] -= handed_w[:, child]
    return np.maximum(drawn_w, 0.0)


def _halls(steady: Steady) -> ObjectTable:
    c, halls = steady.coupled, steady.site.halls
    n_out = _units_out(steady, "air_units_running", halls.n_units)
    running = halls.n_units - n_out
    values = {
        "air_heat_w": c.hall_heat_w,
        "load_frac": c.hall_load_frac,
        "supply_degc": c.hall_supply_degc,
        "return_degc": c.hall_return_degc,
        "inlet_max_degc": c.hall_inlet_max_degc,
        "air_flow_kg_s": c.hall_unit_air_kg_s,
        "fan_power_w": c.hall_fan_w,
    }
    cooled = np.where(halls.n_units > 0, 1.0, np.nan)
    limits = {
        "air_heat_limit_w": halls.n_units * halls.unit_capacity_w * cooled,
        "load_limit_frac": cooled,
        "air_flow_limit_kg_s": halls.n_units * halls.unit_air_kg_s * cooled,
    }
    over = _beyond(values, limits, {"load_frac": "load_limit_frac"}) | (c.hall_level < 1.0)
    rows = steady.inputs.halls
    dead = (halls.n_units > 0) & (running <= 0)
    return ObjectTable(
        [hall.id for hall in rows],
        [hall.name for hall in rows],
        values,
        limits,
        _state(over=over, dead=dead),
        {"units": halls.n_units.astype(int).tolist(), "units_out": n_out.astype(int).tolist()},
    )


def _plants(steady: Steady) -> ObjectTable:
    c, plants = steady.coupled, steady.site.plants
    values = {
        "supply_degc": c.facility_supply_degc,
        "return_degc": c.facility_return_degc,
        "flow_kg_s": c.facility_flow_kg_s,
        "heat_w": c.facility_heat_w,
        "chiller_power_w": c.chiller_w,
        "chiller_load_frac": c.chiller_load_frac * np.where(plants.n_chillers > 0, 1.0, np.nan),
        "fan_power_w": c.cooler_fan_w + c.tower_fan_w,
        "pump_power_w": c.facility_pump_w + c.tower_pump_w,
        "economiser_frac": _over(c.economiser_heat_w, c.facility_heat_w),
        "water_kg_s": c.facility_water_kg_s,
    }
    limits = {
        "supply_set_degc": plants.supply_set_degc,
        "flow_limit_kg_s": plants.design_flow_kg_s,
        "chiller_load_limit_frac": np.where(plants.n_chillers > 0, 1.0, np.nan),
    }
    # a plant that cannot hold its set point is at the end of what it can do
    over = (values["supply_degc"] > plants.supply_set_degc + 0.05) | (c.plant_level < 1.0)
    units, n_out, gone = {}, {}, np.ones((c.meter_power_w.size, plants.n_plants), dtype=bool)
    for kind in (of_plant.units for of_plant in OF_PLANTS):
        installed = installed_units(steady.site)[kind]
        lost = _units_out(steady, f"{kind}_running", installed)
        units[kind], n_out[f"{kind}_out"] = installed.astype(int).tolist(), lost.astype(int).tolist()
        gone = gone | (lost >= installed) if kind == "pumps" else gone & (lost >= installed)
    rows = steady.inputs.plants
    return ObjectTable(
        [plant.id for plant in rows],
        [plant.name for plant in rows],
        values,
        limits,
        _state(over=over, dead=gone),
        units | n_out,
    )


def _units_out(steady: Steady, name: str, installed: FloatArray) -> FloatArray:
    """Return how many units are out, shape (n_hours, n_of_that)."""
    running = None if steady.failures is None else getattr(steady.failures, name)
    n = len(steady.hours)
    return (
        np.zeros((n, installed.size)) if running is None else np.broadcast_to(installed - running, (n, installed.size))
    )


def _beyond(values: Mapping[str, FloatArray], limits: Mapping[str, FloatArray], held: Mapping[str, str]) -> BoolArray:
    """Return where any of the named quantities is above its limit."""
    return reduce(np.logical_or, (values[name] > limits[limit] * OVER for name, limit in held.items()))


def _state(*, over: BoolArray, dead: BoolArray, throttled: BoolArray | None = None) -> NDArray[np.int64]:
    """Return the most severe state of each object as an index into STATES."""
    state = np.zeros(over.shape, dtype=np.int64)
    if throttled is not None:
        state[throttled] = 1
    state[over] = 2
    state[np.broadcast_to(dead, over.shape)] = 3
    return state
