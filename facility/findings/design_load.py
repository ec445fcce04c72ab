"""Heat and cooling power of a layout at design: every rack at its highest power in the hottest hour."""

import numpy as np
from numpy.typing import NDArray

from facility.findings.inventory import Inventory
from facility.models import CoolingPlant, Hall

FloatArray = NDArray[np.float64]
ASSUMED_COP = 4.0  # of chillers whose sheet has no figure for warm water: below all in the catalogue that have one
WATER_J_PER_M3_K = 4.15e6  # volumetric heat capacity of water near 40 degC


def hall_air_w(inventory: Inventory) -> FloatArray:
    """Return the heat in each hall's air, with lighting, shape (n_halls,) [W]."""
    racks = inventory.racks
    heat = np.bincount(racks.hall, weights=racks.air_w, minlength=len(inventory.halls))
    return heat + np.array([hall.lighting_w for hall in inventory.halls], dtype=float)


def cdu_groups(inventory: Inventory) -> dict[str, list[int]]:
    """Return positions of the CDUs of each group."""
    groups: dict[str, list[int]] = {}
    for c, cdu in enumerate(inventory.cdus):
        groups.setdefault(cdu.group, []).append(c)
    return groups


def group_sum(inventory: Inventory, members: list[int], values: FloatArray) -> float:
    """Return the sum over the racks of a CDU group."""
    on_group = np.zeros(len(inventory.cdus) + 1, dtype=bool)  # the last entry is that of racks without a CDU, -1
    on_group[members] = True
    return float(values[on_group[inventory.racks.cdu]].sum())


def air_unit_w(inventory: Inventory, hall: Hall) -> float:
    """Return what one air unit of a hall takes with its plant's water: the rating scaled by air minus water."""
    facts = inventory.facts(hall.air_unit_id)
    if not facts:
        return 0.0
    plant = next((plant for plant in inventory.plants if plant.pk == hall.plant_id), None)
    entering, water = facts.get("entering_air_degc"), facts.get("chw_in_degc")
    if plant is None or entering is None or water is None:
        return facts["capacity_w"]
    # Colder water than at the rating is not counted: the sheet's air flow and coil limit it.
    return facts["capacity_w"] * float(np.clip((entering - plant.supply_degc) / (entering - water), 0, 1))


def plant_heat_w(inventory: Inventory) -> FloatArray:
    """Return the heat that each plant takes at design, shape (n_plants,) [W]."""
    at = {plant.pk: p for p, plant in enumerate(inventory.plants)}
    heat = np.zeros(len(inventory.plants))
    for members in cdu_groups(inventory).values():
        plant = at.get(inventory.cdus[members[0]].plant_id)
        if plant is not None:
            heat[plant] += group_sum(inventory, members, inventory.racks.liquid_w)
    for h, air_w in enumerate(hall_air_w(inventory)):
        hall = inventory.halls[h]
        if hall.plant_id is not None:
            fans_w = hall.n_air_units * inventory.facts(hall.air_unit_id).get("fan_power_w", 0.0)
            heat[at[hall.plant_id]] += air_w + fans_w
    return heat


def rejection_w(inventory: Inventory, plant: CoolingPlant) -> float:
    """Return what the duty coolers or towers take in the hottest hour at the plant's set point [W].

    The rating is scaled by the mean fluid temperature above ambient: dry bulb, dry bulb behind wet pads, or wet bulb.
    """
    facts = inventory.facts(plant.heat_rejection_id)
    mean_degc = plant.supply_degc + plant.design_rise_k / 2
    wet_degc = inventory.max_wet_bulb_degc
    if "range_k" in facts:
        ambient_degc, rated_k = wet_degc, facts["approach_k"] + facts["range_k"] / 2
        if plant.n_chillers:  # it then takes the condensers' heat, which they reject above ambient by design
            return (plant.n_heat_rejection - plant.n_heat_rejection_spare) * facts["capacity_w"]
    else:
        saturation = facts.get("pad_saturation_efficiency") or 0.0
        rated_ambient = facts["rating_ambient_degc"] - saturation * (
            facts["rating_ambient_degc"] - facts.get("wet_bulb_degc", facts["rating_ambient_degc"])
        )
        rated_k = (facts["rating_entering_fluid_degc"] + facts["rating_leaving_fluid_degc"]) / 2 - rated_ambient
        ambient_degc = inventory.max_dry_bulb_degc - saturation * (inventory.max_dry_bulb_degc - wet_degc)
    share = max(mean_degc - ambient_degc, 0.0) / rated_k
    return (plant.n_heat_rejection - plant.n_heat_rejection_spare) * facts["capacity_w"] * share


def chiller_w(inventory: Inventory, plant: CoolingPlant) -> float:
    """Return what the duty chillers take at their rating [W]."""
    facts = inventory.facts(plant.chiller_id)
    capacity_w = facts.get("capacity_w") or facts.get("reference_capacity_w") or 0.0
    return (plant.n_chillers - plant.n_chillers_spare) * capacity_w


def mechanical_design_w(inventory: Inventory) -> float:
    """Return the power of cooling and lighting at design: chillers carry all that outside air cannot [W]."""
    total = sum(hall.lighting_w for hall in inventory.halls)
    for plant, heat_w in zip(inventory.plants, plant_heat_w(inventory), strict=True):
        cooler, pump = inventory.facts(plant.heat_rejection_id), inventory.facts(plant.pump_id)
        units = plant.n_heat_rejection - plant.n_heat_rejection_spare
        total += units * (cooler.get("fan_power_w", 0.0) + cooler.get("spray_pump_w", 0.0))
        flow_m3_per_s = heat_w / (WATER_J_PER_M3_K * plant.design_rise_k)
        total += pump["power_w"] * flow_m3_per_s / pump["flow_m3_per_s"]
        if plant.n_chillers and rejection_w(inventory, plant) < heat_w or plant.economiser == "none":
            sheet = inventory.facts(plant.chiller_id)
            cop = sheet.get("cop_at_35_degc") or sheet.get("cop_at_29_degc_condenser") or ASSUMED_COP
            total += heat_w / cop
    for hall in inventory.halls:
        duty = hall.n_air_units - hall.n_air_units_spare
        total += duty * inventory.facts(hall.air_unit_id).get("fan_power_w", 0.0)
    return total + sum(inventory.facts(cdu.product_id)["power_draw_w"] for cdu in inventory.cdus)
