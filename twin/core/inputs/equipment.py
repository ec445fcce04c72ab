"""Described equipment to solver arrays: racks grouped into classes, CDU groups, halls and plants.

Everything a data sheet does not give is derived here from what it does give, or named `ASSUMED_…` with its reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from power_cooling.cooling.cdus import cdu_ua_from_rating
from power_cooling.cooling.chillers import carnot_frac_from_rating
from power_cooling.cooling.room_air import AIR_CP_J_PER_KG_K, recirculation_by_position
from power_cooling.cooling.towers import merkel_ua_from_rating
from power_cooling.electrical.loss_curves import LossCurve, curve_from_efficiency
from power_cooling.fluids.coolants import coolant_by_name
from power_cooling.fluids.heat_exchangers import effectiveness as effectiveness_of
from power_cooling.fluids.heat_exchangers import ntu_from_effectiveness
from power_cooling.fluids.psychrometrics import DRY_AIR_J_PER_KG_K, pressure_at_elevation_pa
from power_cooling.site_arrays import (
    CduBank,
    ChillerModel,
    FloatArray,
    HallBank,
    PlantBank,
    RackBank,
)
from twin.core.inputs.layout import CduRow, LayoutInputs, PlantRow, ProductSheet, RackColumns

IntArray = NDArray[np.int64]

AIR_KG_PER_M3 = 1.16  # at 30 degC and sea level, as the data sheets' volume flows are stated
WATER_CP_J_PER_KG_K = 4180.0
WATER_KG_PER_M3 = 990.0
ASSUMED_THROTTLE_DEGC = 87.0  # NVIDIA parts of the same family; used where the catalogue has none
ASSUMED_TRIP_MARGIN_K = 8.0  # between the first clock reduction and shutdown; NVIDIA boards report 5 to 10 K
ASSUMED_COLD_PLATE_MARGIN_K = 8.0  # cold plates are sized to stay this far below throttling at TDP, warmest supply
ASSUMED_COLD_PLATE_MAX_K_PER_W = 0.035  # 700 W parts do better than the margin asks for: single-phase plates
ASSUMED_COLD_PLATE_FLOW_SHARE = 0.45  # of the resistance that falls with flow; the rest is interface and spreading
ASSUMED_HEAT_SINK_MARGIN_K = 3.0  # air-cooled servers are sized for the warmest permitted inlet
ASSUMED_HEAT_SINK_FLOW_SHARE = 0.6
ASSUMED_FIXED_SHARE = 0.6  # of CPU, NIC, switch and drive power that does not follow load
ASSUMED_SHELF_EFFICIENCY_AT_TENTH = 0.945  # ORv3 HPR shelf at 10 % load, for supplies whose sheet starts at half load
ASSUMED_SHELF_EFFICIENCY = (0.965, 0.95)  # Titanium class at half and full load, where a system's sheet gives none
ASSUMED_SHELF_OVERSIZE = 1.5  # installed supplies over rated draw, where a sheet does not count them
ASSUMED_RACK_AIR_RISE_K = 15.0  # of racks described by their power only
ASSUMED_COIL_WATER_RISE_K = 10.0
ASSUMED_CDU_AIR_RISE_K = 15.0  # of the hall air through a liquid-to-air CDU at its rating
ASSUMED_TOWER_WATER_TO_AIR = 1.2  # kg/s per kg/s, induced-draft counterflow cells
ASSUMED_CONDENSER_HEAD_PA = 2e5  # of condenser-water pumps: pipes, condenser, nozzles and lift of an open tower
ASSUMED_CONDENSER_PUMP_EFFICIENCY = 0.75  # pump, motor and drive
ASSUMED_AIR_FAN_EXPONENT = 1.7  # of air units: near the curve of variable-volume fans of ASHRAE 90.1, appendix G
ASSUMED_AIR_FILM_EXPONENT = 0.6  # of coils and fills outdoors over the mass of air: 0.5 to 0.7
ASSUMED_COIL_AIR_FILM = (0.6, 0.7)  # share of an indoor coil's resistance that lies in the air, and its exponent
ASSUMED_COOLER_WATER_FILM_FRAC = 0.2  # share of a dry cooler's resistance that lies in its tubes, at its rated flow
ASSUMED_ECONOMISER_APPROACH_K = 2.0  # plate exchanger between tower and facility water
END_RACKS = 3  # places from a row end that are told apart
RATED_CONDENSER_DEGC = {"cop_at_35_degc": 35.0, "cop_at_25_degc": 25.0, "cop_at_29_degc_condenser": 29.0}
ASSUMED_RATED_LEAVING_DEGC = {"air_cooled_trim": 40.0}  # the sheets' names: trim chillers for 40-45 degC loops
ASSUMED_OTHER_LEAVING_DEGC = 20.0  # and 20/30 degC water for all others
ASSUMED_CONDENSER_APPROACH_K = {"air": 12.0, "water": 2.0}  # condensing above entering air 10-15 K, above water 2 K


@dataclass(frozen=True, slots=True, eq=False)
class RackTable:
    """Racks as described, one row each, before grouping. Arrays have shape (n_racks,)."""

    rack_id: IntArray
    bank: dict[str, NDArray[Any]]  # columns of RackBank but for count, pool_index and load_share
    load_share: FloatArray
    accelerator: NDArray[Any]  # catalogue slug, "" where there is none
    system: NDArray[Any]  # catalogue slug of the product, "" where there is none
    nameplate_w: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Names:
    """What the rows of the solver's arrays are called on the drawing."""

    halls: list[str]
    cdu_groups: list[str]
    plants: list[str]


def thin_air_frac(inputs: LayoutInputs) -> float:
    """Return the density of the site's air over that at sea level, by its elevation [-]."""
    here, sea_level = pressure_at_elevation_pa([inputs.site.elevation_m, 0.0])
    return float(here / sea_level)


def rack_table(inputs: LayoutInputs) -> RackTable:
    """Return the racks of a snapshot as columns, in the snapshot's order.

    Raises
    ------
    ValueError
        If a rack names an accelerator without figures, or a power limit outside the accelerator's range.
    """
    racks = inputs.racks
    n_racks = len(racks.id)
    if not n_racks:
        raise ValueError("The layout has no racks; nothing can be solved")
    hall_of = {hall.id: i for i, hall in enumerate(inputs.halls)}
    group_of = cdu_groups(inputs)
    group_index = {name: i for i, name in enumerate(group_of)}
    group_of_cdu: dict[int | None, int] = {cdu.id: group_index[cdu.group] for cdu in inputs.cdus}
    coolant_of_cdu: dict[int | None, str] = {cdu.id: cdu.coolant for cdu in inputs.cdus}
    kinds: dict[tuple[Any, ...], dict[str, Any]] = {}  # racks of the same make-up share one calculation
    number: dict[tuple[Any, ...], int] = {}
    which = np.empty(n_racks, dtype=np.int64)
    for i in range(n_racks):
        key = (
            racks.product_id[i],
            racks.n_systems[i],
            racks.other_power_w[i],
            racks.accelerator_power_limit_w[i],
            coolant_of_cdu.get(racks.cdu_id[i]),
            inputs.other_draw_frac.get(racks.id[i], 1.0),
        )
        if key not in kinds:
            kinds[key] = _rack_kind(inputs, racks.name[i], *key)
            number[key] = len(number)
        which[i] = number[key]
    made_up = list(kinds.values())
    banks = [kind["bank"] for kind in made_up]
    bank = {name: np.array([row[name] for row in banks], dtype=float)[which] for name in banks[0]}
    bank["cdu_index"] = np.array([group_of_cdu.get(c, -1) for c in racks.cdu_id], dtype=np.int64)
    bank["hall_index"] = np.array([hall_of[h] for h in racks.hall_id], dtype=np.int64)
    bank["recirculation_frac"] = recirculation_frac(inputs)
    dry = (bank["cdu_index"] < 0) & (bank["accelerator_liquid_frac"] + bank["other_liquid_frac"] > 0)
    if np.any(dry):
        name = racks.name[int(np.argmax(dry))]
        raise ValueError(f"Rack {name} is liquid-cooled but not assigned to a CDU")
    bank |= _at_flow(racks, bank.pop("design_flow_m3_per_s"), bank.pop("coolant_kg_per_m3"), bank["r_th_flow_k_per_w"])
    return RackTable(
        rack_id=np.array(racks.id, dtype=np.int64),
        bank=bank,
        load_share=np.array(racks.load_share, dtype=float),
        accelerator=np.array([kind["accelerator"] for kind in made_up])[which],
        system=np.array([kind["system"] for kind in made_up])[which],
        nameplate_w=np.array([kind["nameplate_w"] for kind in made_up], dtype=float)[which],
    )


def _at_flow(
    racks: RackColumns, design_m3_per_s: FloatArray, density_kg_m3: FloatArray, r_th_flow_k_per_w: FloatArray
) -> dict[str, FloatArray]:
    """Return the columns of the bank that follow from each rack's own coolant flow, where it has one.

    Raises
    ------
    ValueError
        If a liquid-cooled rack's own flow is 0.
    """
    own = np.array([np.nan if flow is None else flow for flow in racks.coolant_flow_m3_per_s], dtype=float)
    wet = design_m3_per_s > 0
    if np.any(dry := wet & (own == 0)):
        name = racks.name[int(np.argmax(dry))]
        raise ValueError(f"Rack {name}: coolant_flow_m3_per_s is 0; give it a flow above 0, or leave it empty")
    flow = np.where(wet & ~np.isnan(own), own, design_m3_per_s)
    over_design = np.divide(flow, design_m3_per_s, out=np.ones_like(flow), where=wet)
    return {"coolant_flow_kg_s": flow * density_kg_m3, "r_th_flow_k_per_w": r_th_flow_k_per_w * over_design**-0.5}


def recirculation_frac(inputs: LayoutInputs) -> FloatArray:
    """Return the share of hot air in each rack's inlet, shape (n_racks,).

    The hall's figure is the mean of a row; racks near a row's end take more than their share of it. Beyond
    `END_RACKS` from an end places are alike, so that racks still group into classes.
    """
    racks, halls = inputs.racks, {hall.id: hall for hall in inputs.halls}
    turned = np.array(racks.orientation_deg) % 180 != 0
    along = np.where(turned, racks.y_m, racks.x_m).astype(float)
    keys = [f"{hall}/{row}" for hall, row in zip(racks.hall_id, racks.row, strict=True)]
    row = np.unique(keys, return_inverse=True)[1]
    length = np.bincount(row)
    order = np.lexsort((along, row))
    place = np.empty(order.size, dtype=np.int64)
    place[order] = np.arange(order.size) - np.repeat(np.cumsum(length) - length, length)
    inward = np.minimum(np.minimum(place, length[row] - 1 - place), END_RACKS)
    share = np.empty(order.size)
    for hall_id, hall in halls.items():
        in_hall = np.array(racks.hall_id) == hall_id
        shape = recirculation_by_position(inward[in_hall], 2 * END_RACKS + 1, hall.containment)
        share[in_hall] = shape * hall.recirculation_frac
        mean = np.bincount(row[in_hall], shape, minlength=length.size) / np.maximum(length, 1)
        share[in_hall] /= mean[row[in_hall]]
    return np.minimum(share, 0.9)


def _rack_kind(
    inputs: LayoutInputs,
    name: str,
    product_id: int | None,
    n_systems: int,
    other_power_w: float,
    limit_w: float | None,
    coolant: str | None,
    other_draw_frac: float,
) -> dict[str, Any]:
    """Return the figures of one rack of a make-up at its design flow: its columns, accelerator, system and nameplate.

    Its columns are those of the bank, but for the coolant's flow the design flow and density; see `_at_flow`.
    """
    entry = inputs.product(product_id)
    if entry is None or entry.kind != "systems":
        power_w = inputs.nameplate_w(product_id, n_systems, other_power_w)
        draw_w = other_draw_frac * other_power_w + (
            0.0 if entry is None else n_systems * entry.facts["typical_power_w"]
        )
        return _passive_kind(power_w, draw_w, "" if entry is None else entry.slug)
    system = entry.facts
    if reason := secondary_reason(entry):
        raise ValueError(f"Rack {name}: {reason}")
    accelerator = inputs.products.accelerators.get(system["accelerator"])
    if accelerator is None:
        raise ValueError(f"Rack {name}: system {entry.slug} has accelerator {system['accelerator']}, not catalogued")
    chip = accelerator.facts
    tdp_w = float(chip["tdp_w"])
    cap_w = _power_limit_w(name, accelerator, tdp_w, limit_w, inputs.scenario.accelerator_power_limit_w)
    n_accelerators = system["accelerators_per_system"] * n_systems
    split = system.get("non_accelerator_breakdown_w") or {}
    fan_w = float(split.get("fans") or 0.0) * n_systems
    loss_w = float(split.get("psu_loss") or split.get("power_conversion_loss") or 0.0) * n_systems
    other_w = max(system["non_accelerator_power_w"] * n_systems - fan_w - loss_w, 0.0)
    max_power_w = inputs.nameplate_w(product_id, n_systems, other_power_w)
    liquid_frac = float(system["liquid_heat_frac"] or 0.0) if coolant else 0.0
    if not coolant and system["liquid_heat_frac"]:
        liquid_frac = float(system["liquid_heat_frac"])  # rack_table refuses it: liquid-cooled, but on no CDU
    heat_w = n_accelerators * tdp_w + other_w
    liquid_w = min(liquid_frac * (heat_w + fan_w + loss_w), heat_w)
    chip_liquid_frac = min(1.0, liquid_w / (n_accelerators * tdp_w))
    other_liquid_frac = (liquid_w - chip_liquid_frac * n_accelerators * tdp_w) / other_w if other_w > 0 else 0.0
    throttle_degc = float(chip.get("throttle_degc") or ASSUMED_THROTTLE_DEGC)
    throttle_degc = min(throttle_degc, float(chip.get("hbm_max_degc") or np.inf))  # whichever gives way first
    if liquid_frac > 0:
        warmest_degc = float(system.get("liquid_supply_max_degc") or 45.0)
        r_th = min((throttle_degc - ASSUMED_COLD_PLATE_MARGIN_K - warmest_degc) / tdp_w, ASSUMED_COLD_PLATE_MAX_K_PER_W)
        r_th = float(system.get("cold_plate_k_per_w") or r_th)
        flow_share = float(system.get("cold_plate_flow_frac") or ASSUMED_COLD_PLATE_FLOW_SHARE)
    else:
        warmest_degc = float(system.get("air_inlet_max_degc") or 35.0)
        r_th = (throttle_degc - ASSUMED_HEAT_SINK_MARGIN_K - warmest_degc) / tdp_w
        flow_share = ASSUMED_HEAT_SINK_FLOW_SHARE
    density, cp = coolant_properties(coolant or "pg25")
    design_m3_per_s = float(system.get("liquid_design_flow_m3_per_s") or 0.0) * n_systems
    if liquid_frac > 0 and design_m3_per_s <= 0:
        design_m3_per_s = liquid_w / (density * cp * 10.0)
    air_kg_s = float(system["air_flow_m3_per_s"] or 0.0) * n_systems * AIR_KG_PER_M3
    if air_kg_s <= 0 and (liquid_w < heat_w or other_power_w > 0):
        air_kg_s = (heat_w - liquid_w + other_power_w) / (AIR_CP_J_PER_KG_K * ASSUMED_RACK_AIR_RISE_K)
    a, b, c = shelf_loss(system.get("power_supply") or {}, max_power_w, n_systems)
    return {
        "accelerator": system["accelerator"],
        "system": entry.slug,
        "nameplate_w": max_power_w,
        "bank": {
            "n_accelerators": n_accelerators,
            "tdp_w": tdp_w,
            "idle_w": float(chip.get("idle_w") or 0.12 * tdp_w),
            "power_limit_w": cap_w,
            "r_th_fixed_k_per_w": r_th * (1 - flow_share),
            "r_th_flow_k_per_w": r_th * flow_share,
            "throttle_degc": throttle_degc,
            "trip_degc": throttle_degc + ASSUMED_TRIP_MARGIN_K,
            "fixed_w": ASSUMED_FIXED_SHARE * other_w + other_power_w,
            "per_load_w": (1 - ASSUMED_FIXED_SHARE) * other_w,
            "max_power_w": max_power_w,
            "fan_power_w": fan_w,
            "air_flow_kg_s": air_kg_s,
            "design_flow_m3_per_s": design_m3_per_s if liquid_frac > 0 else 0.0,
            "coolant_kg_per_m3": density,
            "accelerator_liquid_frac": chip_liquid_frac,
            "other_liquid_frac": min(other_liquid_frac, 1.0),
            "shelf_loss_a": a,
            "shelf_loss_b": b,
            "shelf_loss_c": c,
        },
    }


def _power_limit_w(
    rack: str, accelerator: ProductSheet, tdp_w: float, rack_limit_w: float | None, scenario_limit_w: float | None
) -> float:
    """Return the cap per accelerator: the board's own, the rack's or the scenario's, whichever is lowest."""
    chip = accelerator.facts
    highest = float(chip.get("max_configurable_power_w") or tdp_w)
    lowest = float(chip.get("min_configurable_power_w") or 0.25 * tdp_w)
    for origin, limit_w in ((f"Rack {rack}", rack_limit_w), ("The scenario", scenario_limit_w)):
        if limit_w is not None and limit_w < lowest:
            raise ValueError(
                f"{origin}: accelerator_power_limit_w is {limit_w:g} W; {accelerator.name} can be capped between "
                f"{lowest:g} and {highest:g} W"
            )
    return min(value for value in (highest, rack_limit_w, scenario_limit_w) if value is not None)


def _passive_kind(nameplate_w: float, draw_w: float, system: str) -> dict[str, Any]:
    """Return a rack without accelerators: it draws `draw_w` always and warms its air by the assumed rise."""
    return {
        "accelerator": "",
        "system": system,
        "nameplate_w": nameplate_w,
        "bank": {
            "n_accelerators": 0.0,
            "tdp_w": 0.0,
            "idle_w": 0.0,
            "power_limit_w": 1.0,
            "r_th_fixed_k_per_w": 0.0,
            "r_th_flow_k_per_w": 0.0,
            "throttle_degc": ASSUMED_THROTTLE_DEGC,
            "trip_degc": ASSUMED_THROTTLE_DEGC + ASSUMED_TRIP_MARGIN_K,
            "fixed_w": draw_w,
            "per_load_w": 0.0,
            "max_power_w": max(nameplate_w, 1.0),
            "fan_power_w": 0.0,
            "air_flow_kg_s": max(nameplate_w, 1.0) / (AIR_CP_J_PER_KG_K * ASSUMED_RACK_AIR_RISE_K),
            "design_flow_m3_per_s": 0.0,
            "coolant_kg_per_m3": 1.0,
            "accelerator_liquid_frac": 0.0,
            "other_liquid_frac": 0.0,
            "shelf_loss_a": 0.0,
            "shelf_loss_b": 0.0,
            "shelf_loss_c": 0.0,
        },
    }


def shelf_loss(supply: Mapping[str, Any], max_power_w: float, n_systems: int) -> tuple[float, float, float]:
    """Return a, b, c of loss = max_power_w (a + b x + c x²), x = DC power over max_power_w, of a rack's supplies.

    Fitted to the efficiencies at a tenth, half and full load of what is installed, which is more than the rack draws.
    """
    half = supply.get("efficiency_50pct") or supply.get("efficiency_peak") or ASSUMED_SHELF_EFFICIENCY[0]
    full = supply.get("efficiency_full") or ASSUMED_SHELF_EFFICIENCY[1]
    tenth = min(ASSUMED_SHELF_EFFICIENCY_AT_TENTH, half)
    if supply.get("installed_w"):
        installed_w = supply["installed_w"] * n_systems
    elif supply.get("count") and supply.get("unit_w"):
        installed_w = supply["count"] * supply["unit_w"] * n_systems
    else:
        installed_w = ASSUMED_SHELF_OVERSIZE * max_power_w
    curve = _supply_curve(tenth, half, full)
    scale = installed_w / max_power_w
    return curve.no_load_frac * scale, curve.proportional_frac, curve.square_frac / scale


@cache
def _supply_curve(tenth: float, half: float, full: float) -> LossCurve:
    return curve_from_efficiency([0.1, 0.5, 1.0], [tenth, half, full])


def rack_classes(table: RackTable, pool_index: IntArray, feed_columns: NDArray[Any]) -> tuple[RackBank, IntArray]:
    """Group identical racks.

    Parameters
    ----------
    table : RackTable
        Racks as described.
    pool_index : ndarray, shape (n_racks,)
        Pool each rack serves; -1 for racks without accelerators.
    feed_columns : ndarray, shape (n_racks, 2)
        Feeds A and B of each rack: racks on other feeds are another class.

    Returns
    -------
    bank : RackBank
        One row per class, in order of first appearance, weighted by count.
    rack_class : ndarray, shape (n_racks,)
        Class of each rack.
    """
    columns = {**table.bank, "pool_index": pool_index, "load_share": table.load_share}
    rows = np.column_stack([*columns.values(), feed_columns]) + 0.0  # so that -0 is 0
    number: dict[bytes, int] = {}
    rack_class = np.array([number.setdefault(row.tobytes(), len(number)) for row in rows], dtype=np.int64)
    _, first, count = np.unique(rack_class, return_index=True, return_counts=True)
    bank = RackBank(count=count.astype(float), **{name: np.asarray(values)[first] for name, values in columns.items()})
    return bank, rack_class


def cdu_groups(inputs: LayoutInputs) -> dict[str, list[CduRow]]:
    """Return the CDUs by group name, in order of first appearance."""
    groups: dict[str, list[CduRow]] = {}
    for cdu in inputs.cdus:
        groups.setdefault(cdu.group, []).append(cdu)
    return groups


def cdu_bank(inputs: LayoutInputs) -> CduBank | None:
    """Return the CDU groups as the solver's arrays, or None where there are none."""
    groups = cdu_groups(inputs)
    if not groups:
        return None
    hall_of = {hall.id: i for i, hall in enumerate(inputs.halls)}
    plant_of: dict[int | None, int] = {plant.id: i for i, plant in enumerate(inputs.plants)}
    rows = []
    for units in groups.values():
        head = units[0]
        sheet = inputs.facts(head.product_id)
        density, cp = coolant_properties(head.coolant)
        flow_kg_s = sheet["secondary_flow_m3_per_s"] * density
        capacity_w = float(sheet["capacity_w"])
        row = {
            "n_units": len(units),
            "capacity_w": capacity_w,
            "secondary_flow_kg_s": flow_kg_s,
            "supply_set_degc": head.supply_degc,
            "plant_index": plant_of[head.plant_id],
            "hall_index": hall_of[head.hall_id],
            "pump_power_w": float(sheet["power_draw_w"] or 0.0),
            "secondary_cp_j_per_kg_k": cp,
            "to_air": int(rejects_to_air(inputs, head)),
        }
        if row["to_air"]:
            air_kg_s = capacity_w / (AIR_CP_J_PER_KG_K * ASSUMED_CDU_AIR_RISE_K)
            ua = cdu_ua_from_rating(capacity_w, sheet["approach_temp_k"], flow_kg_s * cp, air_kg_s * AIR_CP_J_PER_KG_K)
            hall = inputs.halls[row["hall_index"]]
            row |= {
                "ua_w_per_k": float(ua),
                "primary_flow_kg_s": air_kg_s,
                "plant_index": plant_of.get(hall.plant_id, row["plant_index"]),
            }
        else:
            # sheets state UA = capacity / approach, which holds for equal capacity rates on both sides
            row |= {
                "ua_w_per_k": sheet.get("heat_exchanger_ua_w_per_k") or capacity_w / float(sheet["approach_temp_k"]),
                "primary_flow_kg_s": flow_kg_s * cp / WATER_CP_J_PER_KG_K,
            }
        rows.append(row)
    return CduBank(**{name: np.array([row[name] for row in rows]) for name in rows[0]})


def secondary_reason(system: ProductSheet) -> str:
    """Return why a system with accelerators of a second kind cannot be served on, or nothing."""
    n = system.facts.get("secondary_accelerators")
    if not n:
        return ""
    return (
        f"{system.name} has {n} {system.facts.get('secondary_accelerator')} beside its accelerators to read "
        "prompts for them; pools of two kinds of accelerators are not modelled, so that they would only draw power. "
        "Choose a system without them"
    )


def rejects_to_air(inputs: LayoutInputs, cdu: CduRow) -> bool:
    """Return whether a CDU gives its heat to the air of its hall, not to facility water.

    Raises
    ------
    ValueError
        If it gives it to a refrigerant, which is not modelled.
    """
    kind = inputs.facts(cdu.product_id)["type"]
    if kind == "liquid_to_refrigerant":
        raise ValueError(
            f"CDU {cdu.name} rejects to a refrigerant, which is not modelled; choose a liquid-to-liquid or "
            "liquid-to-air one"
        )
    return kind == "liquid_to_air"


def hall_bank(inputs: LayoutInputs) -> HallBank:
    """Return the halls and their air units as the solver's arrays."""
    plant_of: dict[int | None, int] = {plant.id: i for i, plant in enumerate(inputs.plants)}
    rows = []
    for hall in inputs.halls:
        unit = inputs.product(hall.air_unit_id)
        row = {
            "n_units": float(hall.n_air_units if unit else 0),
            "supply_set_degc": hall.supply_air_degc,
            "plant_index": plant_of.get(hall.plant_id, 0),
            "bypass_frac": hall.leakage_frac,
            "lighting_w": hall.lighting_w,
            "unit_capacity_w": 1.0,
            "unit_air_kg_s": 1.0,
            "unit_fan_w": 0.0,
            "coil_ua_w_per_k": 1.0,
            "coil_water_kg_s": 1.0,
            "fan_exponent": ASSUMED_AIR_FAN_EXPONENT,
        }
        rows.append(row | (_air_unit(unit.facts, thin_air_frac(inputs)) if unit else {}))
    return HallBank(**{name: np.array([row[name] for row in rows]) for name in rows[0]})


def _air_unit(sheet: Mapping[str, Any], thin_frac: float) -> dict[str, float]:
    """Return one air unit's figures; its coil's UA follows from the rating point, water against air.

    In thin air its fans move the same volume: less air, with less power, and the coil takes less from it.
    """
    capacity_w, air_kg_s = float(sheet["capacity_w"]), sheet["airflow_m3_per_s"] * AIR_KG_PER_M3
    water_in, water_out = sheet.get("chw_in_degc") or 18.0, sheet.get("chw_out_degc") or 28.0
    air_in = sheet.get("entering_air_degc") or water_out + 8.0
    water_c = capacity_w / max(water_out - water_in, 1.0)
    air_c = air_kg_s * AIR_CP_J_PER_KG_K
    c_min, c_max = min(air_c, water_c), max(air_c, water_c)
    # a rating that no coil of finite size can reach is held just below it
    effectiveness = min(capacity_w / (c_min * (air_in - water_in)), 0.95)
    ntu = float(ntu_from_effectiveness(effectiveness, c_min / c_max))
    share, exponent = ASSUMED_COIL_AIR_FILM
    return {
        "unit_capacity_w": capacity_w,
        "unit_air_kg_s": air_kg_s * thin_frac,
        "unit_fan_w": float(sheet["fan_power_w"]) * thin_frac,
        "coil_ua_w_per_k": ntu * c_min / (1 - share + share * thin_frac**-exponent),
        "coil_water_kg_s": water_c / WATER_CP_J_PER_KG_K,
    }


def plant_bank(inputs: LayoutInputs, design_heat_w: FloatArray) -> PlantBank:
    """Return the plants as the solver's arrays.

    Parameters
    ----------
    inputs : LayoutInputs
        A snapshot.
    design_heat_w : ndarray, shape (n_plants,)
        Nameplate heat that each plant carries [W]; with the design rise it sizes the facility-water flow.

    Raises
    ------
    ValueError
        If a layout has no plant.
    """
    if not inputs.plants:
        raise ValueError("The layout has no cooling plant; add one that takes its heat")
    rows = [_plant(inputs, plant, heat_w) for plant, heat_w in zip(inputs.plants, design_heat_w, strict=True)]
    return PlantBank(**{name: np.array([row[name] for row in rows]) for name in rows[0]})


def _plant(inputs: LayoutInputs, plant: PlantRow, heat_w: float) -> dict[str, Any]:
    density, cp = coolant_properties(plant.coolant)
    pump = inputs.facts(plant.pump_id)
    duty_pumps = max(plant.n_pumps - plant.n_pumps_spare, 1)
    flow_kg_s = min(max(heat_w, 1.0) / (cp * plant.design_rise_k), duty_pumps * pump["flow_m3_per_s"] * density)
    efficiency = pump["pump_efficiency"] * pump["motor_efficiency"] * pump["vfd_efficiency"]
    row = {
        "supply_set_degc": plant.supply_degc,
        "design_flow_kg_s": flow_kg_s,
        "cp_j_per_kg_k": cp,
        "n_pumps": max(plant.n_pumps, 1),
        "needed_pumps": duty_pumps,
        "pump_power_w": flow_kg_s / density * pump["head_pa"] / efficiency,
        "min_flow_frac": pump["min_speed_frac"],
        "pumped_heat_w": duty_pumps * pump["flow_m3_per_s"] * density * cp * plant.design_rise_k,
        "economiser": int(plant.economiser != "none"),
        "tank_m3": plant.tank_m3,
    }
    rejection = inputs.product(plant.heat_rejection_id)
    row |= _rejection(rejection.facts, rejection.kind, plant.n_heat_rejection, thin_air_frac(inputs))
    with_chillers = plant.chiller_id is not None and plant.economiser != "only"
    chiller = inputs.product(plant.chiller_id) if with_chillers else None
    return row | _chiller(chiller, plant.n_chillers if with_chillers else 0)


def _rejection(sheet: Mapping[str, Any], kind: str, n_units: int, thin_frac: float) -> dict[str, float]:
    """Return coolers or towers from their rating point, at sea level.

    In thin air their fans move the same volume with less power; less air passes coils and fills, which take less.
    """
    none = {
        "outdoor_capacity_w": float(sheet["capacity_w"]),
        "n_coolers": 0.0,
        "cooler_ua_w_per_k": 1.0,
        "cooler_water_w_per_k": 1.0,
        "cooler_water_film_frac": 0.0,
        "cooler_air_m3_per_s": 1.0,
        "cooler_fan_w": 0.0,
        "pad_efficiency": 0.0,
        "pad_above_degc": 24.0,
        "n_towers": 0.0,
        "tower_ua_w_per_k": 1.0,
        "tower_air_m3_per_s": 1.0,
        "tower_water_kg_s": 1.0,
        "tower_fan_w": 0.0,
        "tower_approach_k": 4.0,
        "tower_pump_w": 0.0,
        "economiser_ua_w_per_k": 0.0,
        "cycles_of_concentration": 4.0,
    }
    capacity_w = float(sheet["capacity_w"])
    if kind == "cooling_towers":
        water_kg_s = capacity_w / (WATER_CP_J_PER_KG_K * sheet["range_k"])
        air_kg_s = water_kg_s / ASSUMED_TOWER_WATER_TO_AIR
        wet_bulb_degc = sheet["design_wet_bulb_degc"]
        ua = merkel_ua_from_rating(
            capacity_w,
            water_kg_s,
            air_kg_s / AIR_KG_PER_M3,
            wet_bulb_degc=wet_bulb_degc,
            approach_k=sheet["approach_k"],
            water_cp_j_per_kg_k=WATER_CP_J_PER_KG_K,
        )
        return none | {
            "outdoor_water_degc": wet_bulb_degc + sheet["approach_k"] + sheet["range_k"],
            "outdoor_air_degc": wet_bulb_degc,
            "n_towers": float(n_units),
            "tower_ua_w_per_k": ua * thin_frac**ASSUMED_AIR_FILM_EXPONENT,
            "tower_air_m3_per_s": air_kg_s / AIR_KG_PER_M3,
            "tower_water_kg_s": water_kg_s,
            "tower_fan_w": float(sheet["fan_power_w"]) * thin_frac,
            "tower_approach_k": sheet["approach_k"],
            "tower_pump_w": n_units
            * (water_kg_s / WATER_KG_PER_M3 * ASSUMED_CONDENSER_HEAD_PA / ASSUMED_CONDENSER_PUMP_EFFICIENCY),
            "economiser_ua_w_per_k": n_units * capacity_w / ASSUMED_ECONOMISER_APPROACH_K,
            "cycles_of_concentration": float(sheet.get("cycles_of_concentration") or 4.0),
        }
    water_c = capacity_w / (sheet["rating_entering_fluid_degc"] - sheet["rating_leaving_fluid_degc"])
    driving_k = sheet["rating_entering_fluid_degc"] - sheet["rating_ambient_degc"]
    pad = float(sheet.get("pad_saturation_efficiency") or 0.0)
    if pad and sheet.get("wet_bulb_degc") is not None:  # rated with the pads wet
        driving_k += pad * (sheet["rating_ambient_degc"] - sheet["wet_bulb_degc"])
    air_kg_s = float(sheet.get("airflow_m3_per_s") or capacity_w / 1e6 * 100.0) * AIR_KG_PER_M3
    air_c = air_kg_s * DRY_AIR_J_PER_KG_K  # sheets rate coolers in dry air
    c_min, c_max = min(air_c, water_c), max(air_c, water_c)
    effectiveness = min(capacity_w / (c_min * driving_k), 0.93)
    ntu = float(ntu_from_effectiveness(effectiveness, c_min / c_max, "crossflow approximate"))
    ua, thin_c = ntu * c_min * thin_frac**ASSUMED_AIR_FILM_EXPONENT, air_c * thin_frac
    least, most = min(thin_c, water_c), max(thin_c, water_c)
    takes = least * float(effectiveness_of(ua / least, least / most, "crossflow approximate"))
    return none | {
        "outdoor_capacity_w": capacity_w * takes / (c_min * effectiveness),
        "outdoor_water_degc": sheet["rating_entering_fluid_degc"],
        "outdoor_air_degc": sheet["rating_entering_fluid_degc"] - driving_k,
        "n_coolers": float(n_units),
        "cooler_ua_w_per_k": ua,
        "cooler_water_w_per_k": water_c,
        "cooler_water_film_frac": ASSUMED_COOLER_WATER_FILM_FRAC,
        "cooler_air_m3_per_s": air_kg_s / AIR_KG_PER_M3,
        "cooler_fan_w": float(sheet["fan_power_w"]) * thin_frac,
        "pad_efficiency": pad,
        "pad_above_degc": float(sheet.get("wet_mode_above_ambient_degc") or 24.0),
    }


def _chiller(entry: ProductSheet | None, n_units: int) -> dict[str, Any]:
    """Return chillers: ElectricEIR where the sheet has curves, else a Carnot fraction through its rated COP."""
    row = {
        "n_chillers": float(n_units if entry else 0),
        "chiller_model": int(ChillerModel.NONE),
        "chiller_capacity_w": 1.0,
        "chiller_cop": 5.0,
        "chiller_capft": (1.0, 0, 0, 0, 0, 0),
        "chiller_eirft": (1.0, 0, 0, 0, 0, 0),
        "chiller_eirfplr": (0.0, 1.0, 0.0),
        "chiller_range_degc": (-50.0, 80.0, -50.0, 80.0),
        "chiller_min_plr": 0.1,
        "chiller_carnot_frac": 0.5,
        "chiller_condenser_approach_k": 6.0,
        "chiller_water_cooled": 0,
    }
    if entry is None or n_units == 0:
        return row
    sheet = entry.facts
    if entry.kind == "chillers":
        return row | {
            "chiller_model": int(ChillerModel.ELECTRIC_EIR),
            "chiller_capacity_w": float(sheet["reference_capacity_w"]),
            "chiller_cop": float(sheet["reference_cop"]),
            "chiller_capft": tuple(sheet["capft_biquadratic"]),
            "chiller_eirft": tuple(sheet["eirft_biquadratic"]),
            "chiller_eirfplr": tuple(sheet["eirfplr_quadratic"]),
            "chiller_range_degc": (*sheet["chw_range_degc"], *sheet["condenser_range_degc"]),
            "chiller_min_plr": float(sheet["min_part_load_ratio"]),
            "chiller_water_cooled": int(sheet["type"].startswith("water_cooled")),
        }
    rated = next(name for name in RATED_CONDENSER_DEGC if sheet.get(name))
    water_cooled = str(sheet["type"]).startswith("water_cooled")
    approach_k = ASSUMED_CONDENSER_APPROACH_K["water" if water_cooled else "air"]
    leaving_degc = ASSUMED_RATED_LEAVING_DEGC.get(sheet["type"], ASSUMED_OTHER_LEAVING_DEGC)
    share = carnot_frac_from_rating(
        float(sheet[rated]), leaving_degc, RATED_CONDENSER_DEGC[rated], condenser_approach_k=approach_k
    )
    return row | {
        "chiller_model": int(ChillerModel.CARNOT),
        "chiller_capacity_w": float(sheet["capacity_w"]),
        "chiller_cop": float(sheet[rated]),
        "chiller_carnot_frac": float(share),
        "chiller_condenser_approach_k": approach_k,
        "chiller_water_cooled": int(water_cooled),
    }


def design_heat_w(inputs: LayoutInputs, table: RackTable) -> FloatArray:
    """Return the nameplate heat that reaches each plant: liquid by CDU group, the rest by hall, shape (n_plants,)."""
    plant_of: dict[int | None, int] = {plant.id: i for i, plant in enumerate(inputs.plants)}
    heat = np.zeros(len(inputs.plants))
    bank = table.bank
    liquid = bank["accelerator_liquid_frac"] * bank["n_accelerators"] * bank["tdp_w"]
    liquid += bank["other_liquid_frac"] * (bank["fixed_w"] + bank["per_load_w"])
    for i, units in enumerate(cdu_groups(inputs).values()):
        if rejects_to_air(inputs, units[0]):
            liquid[bank["cdu_index"] == i] = 0.0  # it reaches the plant through the hall
        else:
            heat[plant_of[units[0].plant_id]] += liquid[bank["cdu_index"] == i].sum()
    for i, hall in enumerate(inputs.halls):
        if hall.plant_id is not None:
            heat[plant_of[hall.plant_id]] += (table.nameplate_w - liquid)[bank["hall_index"] == i].sum()
    return heat


def names(inputs: LayoutInputs) -> Names:
    """Return the names behind the solver's rows."""
    return Names(
        halls=[hall.name for hall in inputs.halls],
        cdu_groups=list(cdu_groups(inputs)),
        plants=[plant.name for plant in inputs.plants],
    )


@cache
def coolant_properties(name: str) -> tuple[float, float]:
    """Return density [kg/m³] and heat capacity [J/(kg K)] of a coolant at 40 degC, where loops of this kind run."""
    coolant = coolant_by_name(name)
    return float(coolant.density(40.0)), float(coolant.heat_capacity(40.0))
