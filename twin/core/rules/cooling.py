"""Rules of cooling: coolant temperature and flow, CDU groups, plants in the hottest hour, air units.

Whether a group, plant or hall carries its heat is asked of the solver's own exchangers, coolers, towers and chillers;
see `design_load`.
"""

from collections.abc import Callable, Iterator

import numpy as np

from power_cooling.cooling.towers import merkel_outlet_degc
from power_cooling.fluids.psychrometrics import specific_volume_m3_per_kg
from power_cooling.site_arrays import PlantBank
from twin.core.inputs import equipment
from twin.core.inputs.layout import CduRow, HallRow, LayoutInputs, PlantRow
from twin.core.results.findings import BLOCKING, HINT, RISK
from twin.core.rules.coolant_loops import loop_findings
from twin.core.rules.design_load import Design, PlantDesign
from twin.core.rules.outdoors import DesignHours
from twin.core.rules.report import Finding, kilowatts

# Open Compute Project, guidance for cold plates: 1.25 to 2.0 l/min per kW, about 10 K at 1.5; as m³/s per W.
FLOW_RANGE_M3_PER_J = (1.25 / 60e6, 2.0 / 60e6)
WATER_J_PER_M3_K = 4.15e6  # volumetric heat capacity of water near 40 degC, to say how much a coolant warms
COOLANT_NAMES = {"water": "water", "pg25": "PG25", "pg30": "PG30", "eg30": "EG30"}
ROUNDING = 1e-6  # of a capacity
PlantFinding = Callable[[str, str, float, float, str, str], Finding]  # rule, severity, value, limit, unit, message
AGREEING = {
    "plant_id": "plants",
    "supply_degc": "set points",
    "product_id": "products",
    "hall_id": "halls",
    "redundant_units": "redundancies",
}


def cooling_findings(inputs: LayoutInputs, design: Design) -> list[Finding]:
    """Return what is wrong with cooling."""
    found = [*_racks_without_coolant(inputs, design), *_rack_flows(inputs, design)]
    for k, (name, units) in enumerate(equipment.cdu_groups(inputs).items()):
        found += _group(inputs, design, k, name, units)
    found += loop_findings(inputs)
    found += _temperatures(inputs, design)
    for p, plant in enumerate(inputs.plants):
        found += _plant(inputs, design, p, plant)
    for h, hall in enumerate(inputs.halls):
        found += _air(inputs, design, h, hall)
    return found


def _racks_without_coolant(inputs: LayoutInputs, design: Design) -> Iterator[Finding]:
    racks = design.racks
    for i in np.flatnonzero((racks.liquid_w > 0) & (racks.cdu < 0)):
        yield Finding(
            "rack",
            inputs.racks.id[i],
            inputs.racks.name[i],
            "no CDU",
            BLOCKING,
            float(racks.liquid_w[i]),
            0.0,
            "W",
            f"Gives {kilowatts(racks.liquid_w[i])} to its coolant but is not assigned to a CDU.",
        )


def _rack_flows(inputs: LayoutInputs, design: Design) -> Iterator[Finding]:
    """Report coolant flows that somebody set outside what cold plates are made for."""
    racks = design.racks
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
            "rack",
            inputs.racks.id[i],
            inputs.racks.name[i],
            "coolant flow",
            RISK,
            own,
            least if own < least else most,
            "m³/s",
            f"{own * 60e3:.0f} l/min for {kilowatts(heat_w)} is {word}; cold plates take 1.25 to 2.0 l/min per kW.",
        )


def _group(inputs: LayoutInputs, design: Design, k: int, name: str, units: list[CduRow]) -> Iterator[Finding]:
    """Compare heat and flow of a CDU group with its units, all and with the stated number out."""
    first = units[0]

    def finding(rule: str, severity: str, value: float, limit: float, unit: str, message: str) -> Finding:
        return Finding("cdu", first.id, first.name, rule, severity, float(value), float(limit), unit, message)

    for other in units[1:]:
        for field, word in AGREEING.items():
            if getattr(other, field) != getattr(first, field):
                yield Finding(
                    "cdu",
                    other.id,
                    other.name,
                    "CDU group",
                    RISK,
                    None,
                    None,
                    "",
                    f"Shares group {name} with {first.name}, but they have different {word}.",
                )
    cdus, plants = design.cdus, design.plants
    if cdus is None or plants is None or design.group is None or design.group_duty is None:
        return
    to_air = bool(cdus.to_air[k])
    if to_air:
        cold_degc = design.halls.supply_set_degc[cdus.hall_index[k]]
    else:
        cold_degc = plants.supply_set_degc[cdus.plant_index[k]]
    for n_out, severity, at in ((0, BLOCKING, design.group), (first.redundant_units, RISK, design.group_duty)):
        state = "with all units" if n_out == 0 else f"with {n_out} of {len(units)} out"
        heat_w, flow = at.heat_w[k], at.flow_m3_per_s[k]
        if len(units) <= n_out and heat_w > 0:
            yield finding(
                "CDU redundancy",
                RISK,
                len(units),
                n_out + 1,
                "units",
                f"Group {name} has {len(units)} units and states that {n_out} may fail; nothing is left then.",
            )
            break
        if heat_w > at.capacity_w[k] * (1 + ROUNDING):
            yield finding(
                "CDU capacity",
                severity,
                heat_w,
                at.capacity_w[k],
                "W",
                f"Group {name} takes {kilowatts(heat_w)} from its racks; {state} it can take "
                f"{kilowatts(at.capacity_w[k])} at {first.supply_degc:g} °C from {cold_degc:g} °C "
                f"{'air' if to_air else 'water'}.",
            )
            break
        if flow > at.rated_flow_m3_per_s[k] * 1.001:
            yield finding(
                "CDU flow",
                severity,
                flow,
                at.rated_flow_m3_per_s[k],
                "m³/s",
                f"The racks of group {name} need {flow * 60e3:,.0f} l/min; {state} it pumps "
                f"{at.rated_flow_m3_per_s[k] * 60e3:,.0f} l/min.",
            )
            break
    humid_degc = min(design.hours.highest_dew_point_degc, design.halls.dew_point_limit_degc[cdus.hall_index[k]])
    margin_k = cdus.dew_point_margin_k[k]
    if design.group.heat_w[k] > 0 and first.supply_degc < humid_degc + margin_k:
        yield finding(
            "dew point",
            HINT,
            first.supply_degc,
            humid_degc + margin_k,
            "°C",
            f"Group {name} is set to {first.supply_degc:g} °C; in the most humid hours its controls hold "
            f"{humid_degc + margin_k:.1f} °C, {margin_k:g} K above the room's dew point.",
        )


def _temperatures(inputs: LayoutInputs, design: Design) -> Iterator[Finding]:
    """Compare the coolant of each rack with what its product takes."""
    racks = design.racks
    pairs = np.unique(np.stack([racks.cdu, racks.product_id], axis=1)[racks.liquid_w > 0].reshape(-1, 2), axis=0)
    for c, product_id in pairs.tolist():
        if c < 0:
            continue
        cdu, product = inputs.cdus[c], inputs.product(product_id)
        warmest, coldest = product.facts.get("liquid_supply_max_degc"), product.facts.get("liquid_supply_min_degc")
        if warmest is not None and cdu.supply_degc > warmest:
            yield Finding(
                "cdu",
                cdu.id,
                cdu.name,
                "coolant temperature",
                BLOCKING,
                cdu.supply_degc,
                warmest,
                "°C",
                f"Supplies {cdu.supply_degc:g} °C; {product.name} takes at most {warmest:g} °C.",
            )
        if coldest is not None and cdu.supply_degc < coldest:
            yield Finding(
                "cdu",
                cdu.id,
                cdu.name,
                "coolant temperature",
                RISK,
                cdu.supply_degc,
                coldest,
                "°C",
                f"Supplies {cdu.supply_degc:g} °C; {product.name} requires at least {coldest:g} °C "
                "to prevent condensation.",
            )
        wanted = product.facts.get("coolant")
        if wanted and wanted.lower() != cdu.coolant:
            yield Finding(
                "cdu",
                cdu.id,
                cdu.name,
                "coolant",
                RISK,
                None,
                None,
                "",
                f"Is filled with {COOLANT_NAMES.get(cdu.coolant, cdu.coolant)}; {product.name} is released for "
                f"{wanted}.",
            )


def _plant(inputs: LayoutInputs, design: Design, p: int, plant: PlantRow) -> Iterator[Finding]:
    """Compare a plant with its heat in the hours in which it takes least."""

    def finding(rule: str, severity: str, value: float, limit: float, unit: str, message: str) -> Finding:
        return Finding("cooling_plant", plant.id, plant.name, rule, severity, float(value), float(limit), unit, message)

    at, bank = design.plant, design.plants
    if at is None or bank is None:
        return
    heat_w = at.heat_w[p]
    if heat_w == 0:
        yield finding("unused plant", HINT, 0.0, 0.0, "W", "Takes no heat: no CDU group and no hall is on it.")
        return
    hottest = int(at.capacity_w[:, p].argmin())
    capacity_w = at.capacity_w[hottest, p]
    hour = design.hours.text(hottest)
    on_towers = bank.chiller_water_cooled[p] and bank.n_chillers[p] > 0
    too_few_towers = list(_condensers(design.hours, at, bank, p, plant, finding)) if on_towers else []
    yield from too_few_towers  # their warm water is what keeps the chillers from more
    if heat_w > capacity_w * (1 + ROUNDING) and not too_few_towers:
        chilled = "chillers and " if bank.n_chillers[p] > 0 and bank.economiser[p] else ""
        device = (
            "chillers"
            if bank.n_chillers[p] > 0 and not bank.economiser[p]
            else f"{chilled}{'towers' if bank.n_towers[p] > 0 else 'coolers'}"
        )
        spare = f" ({plant.n_chillers_spare} spare)" if bank.n_chillers[p] > 0 else ""
        yield finding(
            "plant capacity",
            RISK,
            heat_w,
            capacity_w,
            "W",
            f"Takes {kilowatts(heat_w)} at design; in {design.hours.called} ({hour}) its duty {device} give "
            f"{kilowatts(capacity_w)} at {plant.supply_degc:g} °C{spare}, so the water gets warmer.",
        )
    density = _density_kg_m3(plant)
    flow = heat_w / (density * bank.cp_j_per_kg_k[p] * plant.design_rise_k)
    limit = max(plant.n_pumps - plant.n_pumps_spare, 0) * inputs.facts(plant.pump_id)["flow_m3_per_s"]
    if flow > limit:
        yield finding(
            "plant pumps",
            RISK,
            flow,
            limit,
            "m³/s",
            f"Needs {flow * 60e3:,.0f} l/min at {plant.design_rise_k:g} K; its duty pumps give "
            f"{limit * 60e3:,.0f} l/min.",
        )


def _density_kg_m3(plant: PlantRow) -> float:
    return equipment.coolant_properties(plant.coolant)[0]


def _condensers(
    hours: DesignHours, at: PlantDesign, bank: PlantBank, p: int, plant: PlantRow, finding: PlantFinding
) -> Iterator[Finding]:
    """Report towers that cannot hold the condensers' water at their approach to the wet bulb."""
    weather = hours.weather
    cells = bank.n_towers[p] - plant.n_heat_rejection_spare
    if cells <= 0:
        return
    rejected_w = at.heat_w[p] + at.chiller_w[:, p]
    water_w_per_k = bank.tower_water_kg_s[p] * bank.cp_j_per_kg_k[p]
    wet_bulb = hours.wet_bulb_degc
    arriving = wet_bulb + bank.tower_approach_k[p] + rejected_w / (cells * water_w_per_k)
    air_kg_s = bank.tower_air_m3_per_s[p] / specific_volume_m3_per_kg(
        weather.dry_bulb_degc, weather.humidity_ratio, weather.pressure_pa
    )
    leaving = merkel_outlet_degc(
        arriving,
        water_w_per_k,
        wet_bulb,
        air_kg_s,
        bank.tower_ua_w_per_k[p],
        humidity_ratio=weather.humidity_ratio,
        pressure_pa=weather.pressure_pa,
    )
    taken_w = cells * water_w_per_k * (arriving - leaving)
    hour = int((taken_w - rejected_w).argmin())
    if rejected_w[hour] > taken_w[hour] * (1 + ROUNDING):
        yield finding(
            "plant capacity",
            RISK,
            rejected_w[hour],
            taken_w[hour],
            "W",
            f"Its condensers reject up to {kilowatts(rejected_w[hour])}; in {hours.called} "
            f"({hours.text(hour)}) its duty towers take {kilowatts(taken_w[hour])} at their approach of "
            f"{bank.tower_approach_k[p]:g} K, so the chillers draw more and give less.",
        )


def _air(inputs: LayoutInputs, design: Design, h: int, hall: HallRow) -> Iterator[Finding]:
    """Compare a hall's air units with the heat and the air of its racks."""

    def finding(rule: str, severity: str, value: float, limit: float, unit: str, message: str) -> Finding:
        return Finding("hall", hall.id, hall.name, rule, severity, float(value), float(limit), unit, message)

    in_hall = design.racks.hall == h
    if not in_hall.any():
        return
    plant = next((plant for plant in inputs.plants if plant.id == hall.plant_id), None)
    duty = max(hall.n_air_units - hall.n_air_units_spare, 0)
    if hall.n_air_units and plant is None:
        yield finding("air units", BLOCKING, 0.0, 1.0, "", "Its air units are on no plant; nothing takes their heat.")
    else:
        at = design.hall_duty
        coldest_degc = plant.supply_degc + at.fan_rise_k[h] if plant is not None else -np.inf
        if hall.n_air_units and plant is not None and hall.supply_air_degc <= coldest_degc:
            yield finding(
                "supply air",
                BLOCKING,
                hall.supply_air_degc,
                coldest_degc,
                "°C",
                f"Supply air of {hall.supply_air_degc:g} °C cannot come from water of {plant.supply_degc:g} °C "
                f"({plant.name}): the units' fans alone add {at.fan_rise_k[h]:.1f} K.",
            )
        elif at.heat_w[h] > at.capacity_w[h] * (1 + ROUNDING):
            severity = RISK if at.heat_w[h] <= design.hall.capacity_w[h] * (1 + ROUNDING) else BLOCKING
            water = f" at {hall.supply_air_degc:g} °C from {plant.supply_degc:g} °C water" if plant is not None else ""
            yield finding(
                "air units",
                severity,
                at.heat_w[h],
                at.capacity_w[h],
                "W",
                f"Its air takes {kilowatts(at.heat_w[h])} at design; {duty} duty units give "
                f"{kilowatts(at.capacity_w[h])}{water} ({hall.n_air_units_spare} spare).",
            )
        if hall.n_air_units and at.net_air_kg_s[h] > at.reach_air_kg_s[h] * (1 + ROUNDING):
            density = equipment.AIR_KG_PER_M3 * equipment.thin_air_frac(inputs)
            drawn, brought = (kg_s[h] / density for kg_s in (at.net_air_kg_s, at.reach_air_kg_s))
            yield finding(
                "air flow",
                RISK,
                drawn,
                brought,
                "m³/s of air",
                f"The racks' fans draw up to {drawn:.1f} m³/s from the cold aisles; the duty units bring "
                f"{brought:.1f} m³/s there, so hot air comes back.",
            )
    for product_id in np.unique(design.racks.product_id[in_hall & (design.racks.product_id >= 0)]).tolist():
        warmest = inputs.facts(product_id).get("air_inlet_max_degc")
        if warmest is not None and hall.supply_air_degc > warmest:
            yield finding(
                "inlet air",
                BLOCKING,
                hall.supply_air_degc,
                warmest,
                "°C",
                f"Supply air is {hall.supply_air_degc:g} °C; {inputs.product(product_id).name} takes at most "
                f"{warmest:g} °C.",
            )
