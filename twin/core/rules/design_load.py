"""A layout at design: every rack at its highest power, and what each CDU group, hall and plant then has to take."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from power_cooling.cooling.cdus import pump_power_scalar, solve_cdu
from power_cooling.cooling.plant import plant_capacities_w, solve_plants
from power_cooling.cooling.room_air import AIR_CP_J_PER_KG_K
from power_cooling.site_arrays import CduBank, FloatArray, HallBank, PlantBank
from twin.core.inputs import equipment
from twin.core.inputs.layout import LayoutInputs
from twin.core.rules.outdoors import DesignHours, design_hours

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class RackDesign:
    """Racks at their highest power. Every array has shape (n_racks,); -1 stands for none."""

    product_id: IntArray
    hall: IntArray  # position in LayoutInputs.halls
    cdu: IntArray  # position in LayoutInputs.cdus
    group: IntArray  # position in equipment.cdu_groups
    feed_a: IntArray  # position in LayoutInputs.feeds
    feed_b: IntArray
    power_w: FloatArray  # highest at the rack's input, caps applied
    typical_w: FloatArray
    liquid_w: FloatArray  # part of it that goes into the coolant
    saved_w: FloatArray  # what caps take off it
    coolant_flow_m3_per_s: FloatArray
    design_flow_m3_per_s: FloatArray
    air_flow_m3_per_s: FloatArray  # of the fans at full speed

    @property
    def air_w(self) -> FloatArray:
        """The part of the power that goes into the hall's air."""
        return self.power_w - self.liquid_w


def rack_design(inputs: LayoutInputs) -> RackDesign:
    """Return the racks of a layout at their highest power."""
    racks = inputs.racks
    groups = {name: i for i, name in enumerate(equipment.cdu_groups(inputs))}
    group_of = np.array([groups[cdu.group] for cdu in inputs.cdus] + [-1], dtype=np.int64)  # the last is that of -1
    cdu = _positions(racks.cdu_id, inputs.cdus)
    product_id = np.array([key or -1 for key in racks.product_id], dtype=np.int64)
    unique, which = np.unique(product_id, return_inverse=True)
    facts = [inputs.facts(key) if key >= 0 else {} for key in unique.tolist()]

    def fact(name: str) -> FloatArray:
        return np.array([float(sheet.get(name) or 0) for sheet in facts], dtype=float).reshape(-1)[which]

    n_systems, other_w = np.array(racks.n_systems, dtype=float), np.array(racks.other_power_w, dtype=float)
    described = zip(racks.product_id, racks.n_systems, racks.other_power_w, strict=True)
    nameplate_w = np.array([inputs.nameplate_w(*rack) for rack in described], dtype=float)
    saved_w = n_systems * _saved_by_caps(inputs, facts, which, _floats(racks.accelerator_power_limit_w))
    power_w = nameplate_w - saved_w
    systems_w = power_w - other_w
    liquid_w = systems_w * fact("liquid_heat_frac")
    design_m3_per_s = n_systems * fact("liquid_design_flow_m3_per_s")
    own_m3_per_s = _floats(racks.coolant_flow_m3_per_s)
    air_m3_per_s = n_systems * fact("air_flow_m3_per_s")
    # Sheets without an air flow are taken as the solver takes them: by the rise of their air.
    by_rise = (power_w - liquid_w) / (AIR_CP_J_PER_KG_K * equipment.ASSUMED_RACK_AIR_RISE_K * equipment.AIR_KG_PER_M3)
    return RackDesign(
        product_id=product_id,
        hall=_positions(racks.hall_id, inputs.halls),
        cdu=cdu,
        group=group_of[cdu],
        feed_a=_positions(racks.feed_a_id, inputs.feeds),
        feed_b=_positions(racks.feed_b_id, inputs.feeds),
        power_w=power_w,
        typical_w=np.minimum(n_systems * fact("typical_power_w"), systems_w) + other_w,
        liquid_w=liquid_w,
        saved_w=saved_w,
        coolant_flow_m3_per_s=np.where(np.isnan(own_m3_per_s), design_m3_per_s, own_m3_per_s),
        design_flow_m3_per_s=design_m3_per_s,
        air_flow_m3_per_s=np.where(air_m3_per_s > 0, air_m3_per_s, by_rise),
    )


def sums(object_of: IntArray, values: FloatArray, n: int) -> FloatArray:
    """Return the sum of the racks' values over each of n objects; racks of none, -1, are left out."""
    total = np.zeros(n)
    np.add.at(total, object_of[object_of >= 0], values[object_of >= 0])
    return total


def _floats(column: tuple[float | None, ...]) -> FloatArray:
    return np.array([np.nan if value is None else value for value in column], dtype=float)


def _positions(ids: tuple[int | None, ...], rows: tuple[Any, ...]) -> IntArray:
    at = {row.id: i for i, row in enumerate(rows)}
    return np.array([at.get(key, -1) for key in ids], dtype=np.int64)


def _saved_by_caps(
    inputs: LayoutInputs, facts: list[Mapping[str, Any]], which: IntArray, cap_w: FloatArray
) -> FloatArray:
    """Return what each rack's cap takes off the highest power of one system [W]."""
    chips = inputs.products.accelerators
    tdp_w = np.array(
        [
            float(chips[sheet["accelerator"]].facts["tdp_w"]) if sheet.get("accelerator") in chips else 0.0
            for sheet in facts
        ],
        dtype=float,
    ).reshape(-1)[which]
    n = np.array([float(sheet.get("accelerators_per_system") or 0) for sheet in facts], dtype=float).reshape(-1)[which]
    return np.where(np.isnan(cap_w), 0, np.maximum(tdp_w - cap_w, 0)) * n


@dataclass(frozen=True, slots=True, eq=False)
class GroupDesign:
    """CDU groups at design, with some of their units running. Every array has shape (n_groups,)."""

    heat_w: FloatArray  # of the racks
    capacity_w: FloatArray  # of that heat at the set point, at most the units' rating
    flow_m3_per_s: FloatArray  # that the racks want
    rated_flow_m3_per_s: FloatArray
    pump_w: FloatArray
    through_w: FloatArray  # the exchangers, with what the pumps add
    primary_kg_s: FloatArray  # facility water (or hall air) that holds the set point, valve open at most


@dataclass(frozen=True, slots=True, eq=False)
class HallDesign:
    """Halls at design, with some of their air units running. Every array has shape (n_halls,)."""

    heat_w: FloatArray  # into the air, without the units' fans
    capacity_w: FloatArray  # of that heat at the set point, at most the units' rating
    net_air_kg_s: FloatArray  # that racks and liquid-to-air CDUs draw from the cold aisles
    reach_air_kg_s: FloatArray  # that the units bring there
    fan_w: FloatArray
    fan_rise_k: FloatArray
    water_kg_s: FloatArray  # that holds the set point, valves open at most


@dataclass(frozen=True, slots=True, eq=False)
class PlantDesign:
    """Plants at design. Arrays have shape (n_plants,), those over the design hours (n_elements, n_plants)."""

    heat_w: FloatArray
    flow_kg_s: FloatArray
    capacity_w: FloatArray  # (n_elements, n_plants), of what is not spare
    mechanical_w: FloatArray  # (n_elements, n_plants): fans, pumps and chillers with all units
    chiller_w: FloatArray  # (n_elements, n_plants)


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """Everything that the rules of cooling compare. None where the layout has no plant, or no CDU."""

    racks: RackDesign
    hours: DesignHours
    cdus: CduBank | None
    halls: HallBank
    plants: PlantBank | None
    group: GroupDesign | None  # all units
    group_duty: GroupDesign | None  # without those that may fail
    hall: HallDesign  # all units
    hall_duty: HallDesign  # without the spare ones
    plant: PlantDesign | None


def design_load(inputs: LayoutInputs, racks: RackDesign, feed_loss_w: FloatArray | None = None) -> Design:
    """Return a layout at design.

    Parameters
    ----------
    inputs : LayoutInputs
    racks : RackDesign
        As `rack_design` gives them.
    feed_loss_w : ndarray, shape (n_halls,), optional
        Losses of the feeds that stand in each hall [W].

    Raises
    ------
    ValueError
        If a CDU is of a kind that is not modelled.
    """
    halls = equipment.hall_bank(inputs)
    if not inputs.plants:
        hall = _without_plant(inputs, racks, halls)
        return Design(racks, design_hours(inputs, None), None, halls, None, None, None, hall, hall, None)
    cdus = equipment.cdu_bank(inputs)
    plants = equipment.plant_bank(inputs, _nameplate_heat_w(inputs, racks, cdus))
    hours = design_hours(inputs, plants)
    losses = np.zeros(halls.n_halls) if feed_loss_w is None else feed_loss_w
    spare = np.array([units[0].redundant_units for units in equipment.cdu_groups(inputs).values()], dtype=float)
    spare_air = np.array([hall.n_air_units_spare for hall in inputs.halls], dtype=float)
    group = group_duty = None
    if cdus is not None:
        group, group_duty = (
            _groups(inputs, racks, cdus, halls, plants, running)
            for running in (cdus.n_units, np.maximum(cdus.n_units - spare, 0))
        )
    hall, hall_duty = (
        _halls(inputs, racks, cdus, halls, plants, group, running, losses)
        for running in (halls.n_units, np.maximum(halls.n_units - spare_air, 0))
    )
    plant = _plants(inputs, cdus, halls, plants, group, hall_duty, hours)
    return Design(racks, hours, cdus, halls, plants, group, group_duty, hall, hall_duty, plant)


def _nameplate_heat_w(inputs: LayoutInputs, racks: RackDesign, cdus: CduBank | None) -> FloatArray:
    """Return the heat that sizes each plant's flow, without caps, as `equipment.design_heat_w` does."""
    whole_w = racks.power_w + racks.saved_w
    capped_w = np.maximum(racks.power_w, 1e-9)
    liquid_w = np.where(racks.liquid_w > 0, racks.liquid_w * whole_w / capped_w, 0.0)
    on_water = np.zeros(len(liquid_w), dtype=bool)
    heat_w = np.zeros(len(inputs.plants))
    if cdus is not None:
        on_water = (racks.group >= 0) & (cdus.to_air[racks.group] == 0)
        np.add.at(heat_w, cdus.plant_index[racks.group[on_water]], liquid_w[on_water])
    plant_of = _hall_plants(inputs)
    into_air = np.where(on_water, whole_w - liquid_w, whole_w)
    return heat_w + sums(np.where(racks.hall >= 0, plant_of[racks.hall], -1), into_air, heat_w.size)


def _hall_plants(inputs: LayoutInputs) -> IntArray:
    """Return the plant of each hall's air units, -1 for none, shape (n_halls,)."""
    return _positions(tuple(hall.plant_id for hall in inputs.halls), inputs.plants)


def _only(n_units: FloatArray, k: int, running: float) -> FloatArray:
    """Return all units but those of one row."""
    left = n_units.copy()
    left[k] = running
    return left


def _valve_scale(
    cdus: CduBank | None, halls: HallBank, plants: PlantBank, cdus_running: FloatArray, units_running: FloatArray
) -> FloatArray:
    """Return the share of all open valves' flow that each plant's pumps give, at most 1, shape (n_plants,)."""
    opened = np.zeros(plants.n_plants)
    if cdus is not None:
        on_water = cdus.to_air == 0
        np.add.at(opened, cdus.plant_index[on_water], (cdus_running * cdus.primary_flow_kg_s)[on_water])
    np.add.at(opened, halls.plant_index, units_running * halls.coil_water_kg_s)
    return np.minimum(1.0, np.divide(plants.design_flow_kg_s, opened, out=np.ones_like(opened), where=opened > 0))


def _groups(
    inputs: LayoutInputs,
    racks: RackDesign,
    cdus: CduBank,
    halls: HallBank,
    plants: PlantBank,
    running: FloatArray,
) -> GroupDesign:
    """Return the groups, each with `running` of its own units and all of the others'."""
    n = cdus.n_groups
    heads = [units[0] for units in equipment.cdu_groups(inputs).values()]
    heat_w = sums(racks.group, racks.liquid_w, n)
    flow = sums(racks.group, racks.coolant_flow_m3_per_s, n)
    rated_m3_per_s = np.array([float(inputs.facts(head.product_id)["secondary_flow_m3_per_s"]) for head in heads])
    density = cdus.secondary_flow_kg_s / rated_m3_per_s
    none = np.zeros(n)
    capacity_w, pump_w, through_w, primary_kg_s = none.copy(), none.copy(), none.copy(), none.copy()
    for k in np.flatnonzero((running > 0) & (flow > 0)).tolist():
        wanted_kg_s = flow[k] * density[k]
        flow_kg_s = min(wanted_kg_s, running[k] * cdus.secondary_flow_kg_s[k] * cdus.max_flow_frac[k])
        per_unit = flow_kg_s / (running[k] * cdus.secondary_flow_kg_s[k])
        pump_w[k] = running[k] * pump_power_scalar(cdus.pump_power_w[k], per_unit, cdus.pump_static_frac[k])
        added_w = cdus.pump_heat_frac[k] * pump_w[k]
        through_w[k] = heat_w[k] + added_w
        opened_kg_s = running[k] * cdus.primary_flow_kg_s[k]
        if cdus.to_air[k]:
            cold, primary_cp = halls.supply_set_degc[cdus.hall_index[k]], AIR_CP_J_PER_KG_K
        else:
            plant = cdus.plant_index[k]
            cold, primary_cp = plants.supply_set_degc[plant], plants.cp_j_per_kg_k[plant]
            opened_kg_s *= _valve_scale(cdus, halls, plants, _only(cdus.n_units, k, running[k]), halls.n_units)[plant]
        most_w, valve = _exchanger(
            through_w[k],
            flow_kg_s * cdus.secondary_cp_j_per_kg_k[k],
            opened_kg_s * primary_cp,
            cold,
            running[k] * cdus.ua_w_per_k[k],
            cdus.supply_set_degc[k],
            per_unit,
            cdus.min_valve_frac[k],
            cdus.secondary_film_frac[k],
            cdus.primary_film_frac[k],
            cdus.film_exponent[k],
        )
        capacity_w[k] = max(min(most_w - added_w, running[k] * cdus.capacity_w[k]), 0.0)
        primary_kg_s[k] = opened_kg_s * valve
    idle = (running > 0) & (flow <= 0)
    capacity_w[idle] = (running * cdus.capacity_w)[idle]
    return GroupDesign(heat_w, capacity_w, flow, running * rated_m3_per_s, pump_w, through_w, primary_kg_s)


@lru_cache(maxsize=4096)  # an edit changes one group or hall; the others are those of before
def _exchanger(
    heat_w: float,
    hot_w_per_k: float,
    cold_w_per_k: float,
    cold_degc: float,
    ua_w_per_k: float,
    set_degc: float,
    hot_frac: float,
    min_valve_frac: float,
    hot_film: float,
    cold_film: float,
    exponent: float,
) -> tuple[float, float]:
    """Return the heat that an exchanger takes at its set point with the valve open [W], and the valve that holds it.

    The temperature over the cold inlet rises with the heat in proportion, at the same flows.
    """
    parts = {
        "secondary_flow_frac": hot_frac,
        "min_valve_frac": min_valve_frac,
        "secondary_film_frac": hot_film,
        "primary_film_frac": cold_film,
        "film_exponent": exponent,
    }
    asked_w = max(heat_w, 1.0)
    opened = solve_cdu(asked_w, hot_w_per_k, cold_w_per_k, cold_degc, ua_w_per_k, **parts)
    held = solve_cdu(asked_w, hot_w_per_k, cold_w_per_k, cold_degc, ua_w_per_k, supply_set_degc=set_degc, **parts)
    over_k = float(opened.supply_degc) - cold_degc
    most_w = asked_w * (set_degc - cold_degc) / over_k if over_k > 0 else np.inf
    return most_w, float(held.valve_frac)


def _halls(
    inputs: LayoutInputs,
    racks: RackDesign,
    cdus: CduBank | None,
    halls: HallBank,
    plants: PlantBank,
    group: GroupDesign | None,
    running: FloatArray,
    feed_loss_w: FloatArray,
) -> HallDesign:
    """Return the halls, each with `running` of its own air units and all of the others'."""
    n = halls.n_halls
    heat_w = sums(racks.hall, racks.air_w, n) + halls.lighting_w + halls.extra_heat_w + feed_loss_w
    recirculated = np.array([hall.recirculation_frac for hall in inputs.halls], dtype=float)
    net_kg_s = sums(racks.hall, racks.air_flow_m3_per_s, n) * (1 - recirculated) * equipment.AIR_KG_PER_M3
    if cdus is not None and group is not None:
        in_room = (1 - cdus.pump_heat_frac) * group.pump_w
        np.add.at(heat_w, cdus.hall_index, in_room + np.where(cdus.to_air == 1, group.through_w, 0.0))
        np.add.at(net_kg_s, cdus.hall_index, np.where(cdus.to_air == 1, group.primary_kg_s, 0.0))
    capacity_w, fan_w, rise_k, water_kg_s = (np.zeros(n) for _ in range(4))
    all_cdus = np.zeros(0) if cdus is None else cdus.n_units
    reach_kg_s = running * halls.unit_air_kg_s * (1 - halls.bypass_frac)
    for k in np.flatnonzero(running > 0).tolist():
        most = running[k] * halls.unit_air_kg_s[k]
        air = min(max(net_kg_s[k] / (1 - halls.bypass_frac[k]), halls.fan_min_frac[k] * most), most)
        fan_w[k] = running[k] * halls.unit_fan_w[k] * (air / most) ** halls.fan_exponent[k]
        rate = air * AIR_CP_J_PER_KG_K
        rise_k[k] = fan_w[k] / rate
        plant = halls.plant_index[k]
        scale = _valve_scale(cdus, halls, plants, all_cdus, _only(halls.n_units, k, running[k]))
        opened_kg_s = running[k] * halls.coil_water_kg_s[k] * scale[plant]
        most_w, valve = _exchanger(
            heat_w[k] + fan_w[k],
            rate,
            opened_kg_s * plants.cp_j_per_kg_k[plant],
            plants.supply_set_degc[plant],
            running[k] * halls.coil_ua_w_per_k[k],
            halls.supply_set_degc[k] - rise_k[k],
            air / most,
            halls.min_valve_frac[k],
            halls.coil_air_film_frac[k],
            halls.coil_water_film_frac[k],
            halls.coil_film_exponent[k],
        )
        capacity_w[k] = max(min(most_w - fan_w[k], running[k] * halls.unit_capacity_w[k]), 0.0)
        water_kg_s[k] = opened_kg_s * valve
    return HallDesign(heat_w, capacity_w, net_kg_s, reach_kg_s, fan_w, rise_k, water_kg_s)


def _without_plant(inputs: LayoutInputs, racks: RackDesign, halls: HallBank) -> HallDesign:
    """Return halls whose heat nothing takes."""
    none = np.zeros(halls.n_halls)
    heat_w = sums(racks.hall, racks.air_w, halls.n_halls)
    return HallDesign(heat_w + halls.lighting_w + halls.extra_heat_w, none, none, none, none, none, none)


def _plants(
    inputs: LayoutInputs,
    cdus: CduBank | None,
    halls: HallBank,
    plants: PlantBank,
    group: GroupDesign | None,
    hall: HallDesign,
    hours: DesignHours,
) -> PlantDesign:
    heat_w, flow_kg_s = np.zeros(plants.n_plants), np.zeros(plants.n_plants)
    if cdus is not None and group is not None:
        on_water = cdus.to_air == 0
        np.add.at(heat_w, cdus.plant_index[on_water], group.through_w[on_water])
        np.add.at(flow_kg_s, cdus.plant_index[on_water], group.primary_kg_s[on_water])
    served = (_hall_plants(inputs) >= 0) & (halls.n_units > 0)
    np.add.at(heat_w, halls.plant_index[served], (hall.heat_w + hall.fan_w)[served])
    np.add.at(flow_kg_s, halls.plant_index[served], hall.water_kg_s[served])
    flow_kg_s = np.clip(flow_kg_s, plants.min_flow_frac * plants.design_flow_kg_s, plants.design_flow_kg_s)
    flow_kg_s = np.where(plants.constant_flow == 1, plants.design_flow_kg_s, flow_kg_s)
    pump_w = np.array(
        [
            pump_power_scalar(
                plants.pump_power_w[j], flow_kg_s[j] / plants.design_flow_kg_s[j], plants.pump_static_frac[j]
            )
            for j in range(plants.n_plants)
        ]
    )
    carried_w = np.where(heat_w > 0, heat_w + plants.pump_heat_frac * pump_w, 0.0)
    spare = np.array([row.n_heat_rejection_spare for row in inputs.plants], dtype=float)
    spare_chillers = np.array([row.n_chillers_spare for row in inputs.plants], dtype=float)
    capacity_w = plant_capacities_w(
        plants,
        carried_w,
        flow_kg_s,
        hours.weather,
        coolers_running=np.maximum(plants.n_coolers - spare, 0),
        towers_running=np.maximum(plants.n_towers - spare, 0),
        chillers_running=np.maximum(plants.n_chillers - spare_chillers, 0),
    )
    solved = solve_plants(plants, carried_w, flow_kg_s, hours.weather)
    mechanical_w = (
        solved.cooler_fan_power_w
        + solved.tower_fan_power_w
        + solved.tower_pump_power_w
        + solved.chiller_power_w
        + np.where(carried_w > 0, pump_w, 0.0)
    )
    return PlantDesign(carried_w, flow_kg_s, capacity_w, mechanical_w, solved.chiller_power_w)
