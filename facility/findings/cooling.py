"""Rules of cooling: coolant temperature and flow, CDU groups, plants in the hottest hour, air units."""

from collections.abc import Iterator

import numpy as np

from facility.findings.design_load import (
    WATER_J_PER_M3_K,
    air_unit_w,
    cdu_groups,
    chiller_w,
    group_sum,
    hall_air_w,
    plant_heat_w,
    rejection_w,
)
from facility.findings.inventory import Inventory
from facility.findings.report import BLOCKING, HINT, RISK, Finding, kilowatts
from facility.models import CoolingPlant, Hall

# Open Compute Project, guidance for cold plates: 1.25 to 2.0 l/min per kW, about 10 K at 1.5; as m³/s per W.
FLOW_RANGE_M3_PER_J = (1.25 / 60e6, 2.0 / 60e6)
LEAST_COIL_APPROACH_K = 2.0  # supply air above the water that cools it; below, no coil of usual size reaches it


def cooling_findings(inventory: Inventory) -> list[Finding]:
    """Return what is wrong with cooling."""
    found = [*_racks_without_coolant(inventory), *_rack_flows(inventory)]
    for name, members in cdu_groups(inventory).items():
        found += _group(inventory, name, members)
    found += _temperatures(inventory)
    heat = plant_heat_w(inventory)
    for p, plant in enumerate(inventory.plants):
        found += _plant(inventory, plant, float(heat[p]))
    air = hall_air_w(inventory)
    for h, hall in enumerate(inventory.halls):
        found += _air(inventory, h, hall, float(air[h]))
    return found


def _racks_without_coolant(inventory: Inventory) -> Iterator[Finding]:
    racks = inventory.racks
    for i in np.flatnonzero((racks.liquid_w > 0) & (racks.cdu < 0)):
        yield Finding(
            "rack", racks.ids[i], racks.names[i], "no CDU", BLOCKING, float(racks.liquid_w[i]), 0.0, "W",
            f"Gives {kilowatts(racks.liquid_w[i])} to its coolant but is not assigned to a CDU.",
        )  # fmt: skip


def _rack_flows(inventory: Inventory) -> Iterator[Finding]:
    """Report coolant flows that somebody set outside what cold plates are made for."""
    racks = inventory.racks
    wet = racks.liquid_w > 0
    low, high = (limit * racks.liquid_w for limit in FLOW_RANGE_M3_PER_J)
    flow = racks.coolant_flow_m3_per_s
    changed = wet & ~np.isclose(flow, racks.design_flow_m3_per_s)  # the product's own design flow is the vendor's word
    found = np.flatnonzero(changed & ((flow < low) | (flow > high)))
    columns = (found, flow[found], low[found], high[found], racks.liquid_w[found])
    for i, own, least, most, heat_w in zip(*(column.tolist() for column in columns), strict=True):
        rise_k = heat_w / max(own * WATER_J_PER_M3_K, 1.0)
        word = f"too little: its coolant warms by {rise_k:.0f} K" if own < least else "so much that plates erode"
        yield Finding(
            "rack", racks.ids[i], racks.names[i], "coolant flow", RISK, own, least if own < least else most, "m³/s",
            f"{own * 60e3:.0f} l/min for {kilowatts(heat_w)} is {word}; cold plates take 1.25 to 2.0 l/min per kW.",
        )  # fmt: skip


def _group(inventory: Inventory, name: str, members: list[int]) -> Iterator[Finding]:
    """Compare heat and flow of a CDU group with its units, all and with the stated number out."""
    first = inventory.cdus[members[0]]
    plant = next(plant for plant in inventory.plants if plant.pk == first.plant_id)
    facts = inventory.facts(first.product_id)
    for c in members[1:]:
        other = inventory.cdus[c]
        for field, word in (("plant_id", "plants"), ("supply_degc", "set points"), ("product_id", "products"),
                            ("hall_id", "halls"), ("redundant_units", "redundancies")):  # fmt: skip
            if getattr(other, field) != getattr(first, field):
                yield Finding(
                    "cdu", other.pk, other.name, "CDU group", RISK, None, None, "",
                    f"Shares group {name} with {first.name}, but they have different {word}.",
                )  # fmt: skip
    heat_w = group_sum(inventory, members, inventory.racks.liquid_w)
    flow = group_sum(inventory, members, inventory.racks.coolant_flow_m3_per_s)
    approach_k = facts.get("approach_temp_k")
    # Nominal capacity holds at the rated approach; a tighter set point leaves less.
    share = min(1.0, (first.supply_degc - plant.supply_degc) / approach_k) if approach_k else 1.0
    for out, severity in ((0, BLOCKING), (first.redundant_units, RISK)):
        units = len(members) - out
        state = "with all units" if out == 0 else f"with {out} of {len(members)} out"
        if units <= 0 and heat_w > 0:
            yield Finding(
                "cdu", first.pk, first.name, "CDU redundancy", RISK, float(len(members)), float(out + 1), "units",
                f"Group {name} has {len(members)} units and states that {out} may fail; nothing is left then.",
            )  # fmt: skip
            break
        limit_w = units * facts["capacity_w"] * share
        limit_flow = units * facts["secondary_flow_m3_per_s"]
        if heat_w > limit_w:
            yield Finding(
                "cdu", first.pk, first.name, "CDU capacity", severity, heat_w, limit_w, "W",
                f"Group {name} takes {kilowatts(heat_w)} from its racks; {state} it can take {kilowatts(limit_w)} at "
                f"{first.supply_degc:g} °C from {plant.supply_degc:g} °C water.",
            )  # fmt: skip
            break
        if flow > limit_flow * 1.001:
            yield Finding(
                "cdu", first.pk, first.name, "CDU flow", severity, flow, limit_flow, "m³/s",
                f"The racks of group {name} need {flow * 60e3:,.0f} l/min; {state} it pumps "
                f"{limit_flow * 60e3:,.0f} l/min.",
            )  # fmt: skip
            break


def _temperatures(inventory: Inventory) -> Iterator[Finding]:
    """Compare the coolant of each rack with what its product takes."""
    racks = inventory.racks
    pairs = np.unique(np.stack([racks.cdu, racks.product_id], axis=1)[racks.liquid_w > 0].reshape(-1, 2), axis=0)
    for c, product_id in pairs.tolist():
        if c < 0:
            continue
        cdu, product = inventory.cdus[c], inventory.products[product_id]
        warmest, coldest = product.facts.get("liquid_supply_max_degc"), product.facts.get("liquid_supply_min_degc")
        if warmest is not None and cdu.supply_degc > warmest:
            yield Finding(
                "cdu", cdu.pk, cdu.name, "coolant temperature", BLOCKING, cdu.supply_degc, warmest, "°C",
                f"Supplies {cdu.supply_degc:g} °C; {product.name} takes at most {warmest:g} °C.",
            )  # fmt: skip
        if coldest is not None and cdu.supply_degc < coldest:
            yield Finding(
                "cdu", cdu.pk, cdu.name, "coolant temperature", RISK, cdu.supply_degc, coldest, "°C",
                f"Supplies {cdu.supply_degc:g} °C; {product.name} requires at least {coldest:g} °C "
                "to prevent condensation.",
            )  # fmt: skip
        wanted = product.facts.get("coolant")
        if wanted and wanted.lower() != cdu.coolant:
            yield Finding(
                "cdu", cdu.pk, cdu.name, "coolant", RISK, None, None, "",
                f"Is filled with {cdu.get_coolant_display()}; {product.name} is released for {wanted}.",
            )  # fmt: skip


def _plant(inventory: Inventory, plant: CoolingPlant, heat_w: float) -> Iterator[Finding]:
    """Compare a plant with its heat in the hottest hour."""

    def finding(rule: str, severity: str, value: float, limit: float, unit: str, message: str) -> Finding:
        return Finding("cooling_plant", plant.pk, plant.name, rule, severity, value, limit, unit, message)

    if heat_w == 0:
        yield finding("unused plant", HINT, 0.0, 0.0, "W", "Takes no heat: no CDU group and no hall is on it.")
        return
    outside_w = rejection_w(inventory, plant)
    hottest = f"{inventory.max_dry_bulb_degc:.1f} °C dry, {inventory.max_wet_bulb_degc:.1f} °C wet bulb"
    if plant.n_chillers:
        chilled_w = chiller_w(inventory, plant)
        if heat_w > chilled_w and heat_w > outside_w:
            yield finding(
                "plant capacity", RISK, heat_w, chilled_w, "W",
                f"Takes {kilowatts(heat_w)} at design; its duty chillers give {kilowatts(chilled_w)} "
                f"({plant.n_chillers_spare} spare).",
            )  # fmt: skip
        if "range_k" in inventory.facts(plant.heat_rejection_id) and heat_w * 1.25 > outside_w:
            # 1.25: condensers reject the heat and the compressors' power at a COP of 4
            yield finding(
                "plant capacity", RISK, heat_w * 1.25, outside_w, "W", f"Its towers take {kilowatts(outside_w)}; the "
                f"condensers reject up to {kilowatts(heat_w * 1.25)}.",
            )  # fmt: skip
    elif heat_w > outside_w:
        yield finding(
            "plant capacity", RISK, heat_w, outside_w, "W",
            f"Takes {kilowatts(heat_w)} at design; in the hottest hour ({hottest}) its duty coolers give "
            f"{kilowatts(outside_w)} at {plant.supply_degc:g} °C, so the water gets warmer.",
        )  # fmt: skip
    flow = heat_w / (WATER_J_PER_M3_K * plant.design_rise_k)
    limit = (plant.n_pumps - plant.n_pumps_spare) * inventory.facts(plant.pump_id)["flow_m3_per_s"]
    if flow > limit:
        yield finding(
            "plant pumps", RISK, flow, limit, "m³/s",
            f"Needs {flow * 60e3:,.0f} l/min at {plant.design_rise_k:g} K; its duty pumps give "
            f"{limit * 60e3:,.0f} l/min.",
        )  # fmt: skip


def _air(inventory: Inventory, h: int, hall: Hall, heat_w: float) -> Iterator[Finding]:
    """Compare a hall's air units with the heat and the air of its racks."""

    def finding(rule: str, severity: str, value: float, limit: float, unit: str, message: str) -> Finding:
        return Finding("hall", hall.pk, hall.name, rule, severity, value, limit, unit, message)

    racks = inventory.racks
    mine = racks.hall == h
    if not mine.any():
        return
    duty = hall.n_air_units - hall.n_air_units_spare
    limit_w = duty * air_unit_w(inventory, hall)
    if heat_w > limit_w:
        all_w = hall.n_air_units * air_unit_w(inventory, hall)
        severity = RISK if heat_w <= all_w else BLOCKING
        yield finding(
            "air units", severity, heat_w, limit_w, "W",
            f"Its air takes {kilowatts(heat_w)} at design; {duty} duty units give {kilowatts(limit_w)} "
            f"({hall.n_air_units_spare} spare).",
        )  # fmt: skip
    air = float(racks.air_flow_m3_per_s[mine].sum())
    supply = duty * float(inventory.facts(hall.air_unit_id).get("airflow_m3_per_s") or 0.0) * (1 - hall.leakage_frac)
    if hall.n_air_units and air > supply:
        yield finding(
            "air flow", RISK, air, supply, "m³/s", f"The racks' fans move up to {air:.1f} m³/s; the duty units bring "
            f"{supply:.1f} m³/s to the cold aisles, so hot air comes back.",
        )  # fmt: skip
    plant = next((plant for plant in inventory.plants if plant.pk == hall.plant_id), None)
    if hall.n_air_units and plant is None:
        yield finding("air units", BLOCKING, 0.0, 1.0, "", "Its air units are on no plant; nothing takes their heat.")
    elif hall.n_air_units and hall.supply_air_degc < plant.supply_degc + LEAST_COIL_APPROACH_K:
        yield finding(
            "supply air", BLOCKING, hall.supply_air_degc, plant.supply_degc + LEAST_COIL_APPROACH_K, "°C",
            f"Supply air of {hall.supply_air_degc:g} °C cannot come from water of {plant.supply_degc:g} °C "
            f"({plant.name}).",
        )  # fmt: skip
    for product_id in np.unique(racks.product_id[mine]).tolist():
        warmest = inventory.facts(product_id).get("air_inlet_max_degc")
        if warmest is not None and hall.supply_air_degc > warmest:
            yield finding(
                "inlet air", BLOCKING, hall.supply_air_degc, warmest, "°C",
                f"Supply air is {hall.supply_air_degc:g} °C; {inventory.products[product_id].name} takes at most "
                f"{warmest:g} °C.",
            )  # fmt: skip
