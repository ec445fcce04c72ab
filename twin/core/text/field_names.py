"""What inputs are called and measured in where people read them: catalogue fields, prices and the model's assumptions.

Most names say it themselves: words, then a suffix that is the unit. The tables below name the rest. Knows nothing of
templates, so that reports and comparisons say the same as pages.
"""

import re
from collections.abc import Mapping
from typing import Any

from twin.core.text.numbers import MISSING, is_number, quantity_text

#: Suffixes of field names and the units they stand for, longest first so that `_w_per_k` is not taken for kelvin.
_SUFFIX_UNITS = {
    "usd_per_kwh": "$/kWh",
    "usd_per_gpu_h": "$/GPU h",
    "usd_per_kw_month": "$/kW month",
    "usd_per_w": "$/W",
    "usd_per_m3": "$/m³",
    "usd_per_m": "$/m",
    "usd": "$",
    "flops_per_s": "FLOP/s",
    "ops_per_s": "op/s",
    "bytes_per_s": "B/s",
    "bits_per_s": "bit/s",
    "bytes": "B",
    "m3_per_s": "m³/s",
    "kg_per_s": "kg/s",
    "kg_s": "kg/s",
    "l_per_kwh": "L/kWh",
    "kg_per_kwh": "kg/kWh",
    "kg_per_m2": "kg/m²",
    "w_per_k": "W/K",
    "w_per_m2": "W/m²",
    "k_per_w": "K/W",
    "ohm_per_m": "Ω/m",
    "tokens_per_s": "tok/s",
    "tokens": "tok",
    "per_s": "1/s",
    "m_per_s": "m/s",
    "degc": "°C",
    "frac": "%",
    "share": "%",
    "pa": "Pa",
    "kg": "kg",
    "va": "VA",
    "hz": "Hz",
    "deg": "°",
    "m2": "m²",
    "m3": "m³",
    "m": "m",
    "s": "s",
    "h": "h",
    "w": "W",
    "k": "K",
    "j": "J",
    "v": "V",
    "a": "A",
    "weeks": "weeks",
}
SUFFIX_UNITS = tuple(sorted(_SUFFIX_UNITS.items(), key=lambda pair: -len(pair[0])))

#: Fields whose name does not say what it is, or not in which unit: words and unit.
FIELDS = {
    "active_params": ("Active parameters", "parameters"),
    "approach_temp_k": ("Approach", "K"),
    "cop_at_35_degc": ("COP at 35 °C", ""),
    "cycles_of_concentration": ("Cycles of concentration", ""),
    "efficiency_at_50pct": ("Efficiency at half load", "%"),
    "efficiency_double_conversion": ("Efficiency, double conversion", "%"),
    "efficiency_eco_mode": ("Efficiency, eco mode", "%"),
    "efficiency_full": ("Efficiency at full load", "%"),
    "fuel_usd_per_kwh": ("Price of fuel, lower heating value", "$/kWh"),
    "fuel_co2_kg_per_kwh": ("CO₂ of fuel, lower heating value", "kg/kWh"),
    "gas_usd_per_kwh": ("Price of natural gas, lower heating value", "$/kWh"),
    "maintenance_usd_per_kwh": ("Operation and maintenance", "$/kWh"),
    "min_load_frac": ("Least load", "%"),
    "duration_s": ("Takes", "s"),
    "duration_low_s": ("Takes, low", "s"),
    "duration_high_s": ("Takes, high", "s"),
    "failures_per_unit_year": ("Failures of a unit a year", "1/year"),
    "failures_low_per_unit_year": ("Failures of a unit a year, low", "1/year"),
    "failures_high_per_unit_year": ("Failures of a unit a year, high", "1/year"),
    "hbm_bytes": ("Memory", "B"),
    "hbm_bandwidth_bytes_per_s": ("Memory bandwidth", "B/s"),
    "height_above_station_m": ("Height above the weather station", "m"),
    "idle_w": ("Idle power", "W"),
    "input_tokens": ("Prompt length", "tok"),
    "liquid_heat_frac": ("Heat into liquid", "%"),
    "load_loss_full_w": ("Load loss at full load", "W"),
    "maintenance_h": ("A planned outage takes", "h"),
    "maintenance_per_unit_year": ("Planned outages of a unit a year", "1/year"),
    "max_context_tokens": ("Longest context", "tok"),
    "max_power_w": ("Highest power", "W"),
    "mttr_h": ("A repair takes", "h"),
    "non_accelerator_power_w": ("Power beside accelerators", "W"),
    "outage_h": ("An outage takes", "h"),
    "outage_low_h": ("An outage takes, low", "h"),
    "outage_high_h": ("An outage takes, high", "h"),
    "output_tokens": ("Answer length", "tok"),
    "output_v_dc": ("Output, direct current", "V"),
    "input_v_ac": ("Input, alternating current [V]", ""),
    "peak_bf16_dense_flops_per_s": ("Peak BF16, dense", "FLOP/s"),
    "peak_fp8_dense_flops_per_s": ("Peak FP8, dense", "FLOP/s"),
    "peak_fp4_dense_flops_per_s": ("Peak FP4, dense", "FLOP/s"),
    "peak_to_mean": ("Busiest hour over mean", ""),
    "prefix_cache_hit": ("Prefix-cache hits, of a cache that gives nothing up", "%"),
    "price_estimate_usd": ("Price, estimated", "$"),
    "reference_cop": ("COP at its reference", ""),
    "repair_crews": ("Repairs at the same time", ""),
    "reserved_1y_usd_per_gpu_h": ("Rent, reserved for a year", "$/GPU h"),
    "scaleup_bandwidth_bidir_bytes_per_s": ("Scale-up bandwidth, both ways", "B/s"),
    "secondary_flow_m3_per_s": ("Rack-coolant flow", "m³/s"),
    "shared_prefix_frac": ("Part of the prompt that all sessions share", "%"),
    "user_turns_per_task": ("Turns of a session", ""),
    "llm_calls_per_turn": ("Requests of a turn", ""),
    "tool_calls_per_turn": ("Tool calls of a turn", ""),
    "tool_core_s": ("CPU time of a tool call, on one core", "s"),
    "cores": ("CPU cores", "cores"),
    "sub_agent_fan_out": ("Agents side by side", ""),
    "tool_delay_s": ("Pause for a tool", "s"),
    "think_time_between_turns_s": ("Pause between turns", "s"),
    "slo": ("Targets", ""),
    "tdp_w": ("Thermal design power", "W"),
    "throttle_degc": ("Throttles from", "°C"),
    "total_params": ("Parameters", "parameters"),
    "usable_w_nplusn": ("Usable at N+N", "W"),
    "usd_per_w": ("Published cost of a facility", "$/W"),
    # what the cost reacts to
    "accelerator_years": ("Life of accelerators", "years"),
    "facility_usd_per_w": ("Published cost of a facility", "$/W"),
    "hardware_maintenance_frac": ("Hardware maintenance, of its price a year", "%"),
    "network_frac": ("Network, of the systems' price", "%"),
    "demand_charge_usd_per_kw_month": ("Demand charge", "$/kW month"),
    "staff_fte_per_mw": ("Full-time posts per MW", "posts"),
    "wacc_frac": ("Cost of capital", "%"),
    "inflation_frac": ("Inflation a year", "%"),
    "plant_years": ("Life of electrical and mechanical plant", "years"),
    "systems_residual_frac": ("Residual value of systems after 3 years", "%"),
    "plant_residual_frac": ("Residual value of plant", "%"),
    "facility_residual_frac": ("Residual value of land and building", "%"),
    "liquid_premium_frac": ("Building for liquid cooling, over one for air", "%"),
    "licence_usd_per_accelerator": ("Software licence of an accelerator a year", "$"),
    "carbon_usd_per_t": ("Carbon price beside the electricity price", "$/t"),
    "colocation_usd_per_kw_month": ("Colocation", "$/kW month"),
    "rent_frac": ("Rent, of the reserved price", "%"),
    "facility_maintenance_frac": ("Facility maintenance, of its price a year", "%"),
    "staff_usd_per_fte": ("A full-time post a year", "$"),
    "staff_it_share_frac": ("Staff that runs the service, of all", "%"),
    "facility_years": ("Life of the building", "years"),
    "installation_factor": ("Plant installed, over the price of its pieces", "times"),
    "plant_price_frac": ("Prices of power and cooling plant, of the catalogue's", "%"),
    "plant_share_frac": ("Plant's share of the published cost of a facility", "%"),
    "systems_price_frac": ("Prices of systems, of the catalogue's", "%"),
}

#: Entries of one value each, by their slug: words and unit.
VALUES = {
    "carbon-price-usd-per-t": ("Carbon price", "$/t"),
    "colocation-usd-per-kw-month": ("Colocation", "$/kW month"),
    "demand-charge-usd-per-kw-month": ("Demand charge", "$/kW month"),
    "facility-depreciation-years": ("Life of the building", "years"),
    "facility-maintenance-frac-of-capex": ("Facility maintenance, of its price a year", "%"),
    "gpu-depreciation-years": ("Life of accelerators", "years"),
    "hardware-maintenance-frac-of-capex": ("Hardware maintenance, of its price a year", "%"),
    "mep-depreciation-years": ("Life of electrical and mechanical plant", "years"),
    "network-frac-of-gpu-capex": ("Network, of the systems' price", "%"),
    "plant-installation-factor": ("Plant installed, over the price of its pieces", "times"),
    "plant-price-frac": ("Prices of power and cooling plant, of the catalogue's", "%"),
    "plant-share-of-facility-cost": ("Plant's share of the published cost of a facility", "%"),
    "facility-residual-value-frac": ("Residual value of land and building", "%"),
    "inflation": ("Inflation a year", "%"),
    "liquid-cooling-premium-frac": ("Building for liquid cooling, over one for air", "%"),
    "plant-residual-value-frac": ("Residual value of plant", "%"),
    "staff-it-share": ("Staff that runs the service, of all", "%"),
    "residual-value-frac-after-3y": ("Value left after three years", "%"),
    "software-licence-usd-per-gpu-year": ("Software licence", "$/GPU year"),
    "systems-price-frac": ("Prices of systems, of the catalogue's", "%"),
    "staff-cost-usd-per-fte-year": ("Cost of a full-time post", "$/year"),
    "staff-fte-per-mw": ("Full-time posts per MW", "posts"),
    "storage-frac-of-gpu-capex": ("Storage, of the systems' price", "%"),
    "wacc": ("Cost of capital", "%"),
}

#: Assumptions of the model itself, by the name of the constant: words, unit and reason.
OF_MODEL = {
    "aisle_air_m_per_s": ("Air speed in hot aisles", "m/s", "of the servers' outlets, at arm's length"),
    "busiest_cpu_frac": ("CPU cores busy in the busiest hour", "%", "above it tool calls wait for one another"),
    "most_cpu_frac": ("CPU cores busy in an hour at most", "%", "what would wait longer is held at the door"),
    "request_core_s": (
        "CPU time of a request beside its tools [core s]",
        "",
        "routing, text of tokens, guards and logs",
    ),
    "cdu_air_rise_k": ("Air rise through liquid-to-air CDUs", "K", "of the hall's air, at their rating"),
    "air_film_exponent": (
        "Conductance of outdoor coils and fills over their mass of air",
        "",
        "exponent; 0.5 to 0.7 in ASHRAE's toolkit and textbooks; in thin air less air passes them",
    ),
    "coil_air_film": (
        "Share of an indoor coil's resistance in the air, and its exponent",
        "",
        "in thin air less air passes it",
    ),
    "cooler_water_film_frac": (
        "Share of a dry cooler's resistance in its tubes",
        "%",
        "at its rated flow; finned coils lose most of their temperature in the air",
    ),
    "mains_loss": (
        "Loss of a coolant loop's mains",
        "",
        "velocity heads: bends, isolating valves and strainer, both ways",
    ),
    "pipe_speed_m_per_s": ("Speed that coolant pipes are sized for", "m/s", "ASHRAE and OCP stay below 2.1 to 2.4 m/s"),
    "roughness_m": ("Roughness of coolant pipes", "m", "drawn stainless steel"),
    "tee_loss": ("Loss of a take-off in a coolant loop", "", "velocity heads"),
    "clothing_clo": ("Clothing in hot aisles", "clo", "long trousers and shirt; ISO 9920 work clothing"),
    "coil_water_rise_k": ("Water rise through coils", "K", "common design of chilled-water coils"),
    "air_fan_exponent": (
        "Power of air units' fans over their flow",
        "",
        "exponent; near the part-load curve of variable-volume fans in ASHRAE 90.1, appendix G, whose static pressure "
        "does not fall to nothing",
    ),
    "condenser_head_pa": ("Head of condenser-water pumps", "Pa", "pipes, condenser, nozzles and lift of an open tower"),
    "condenser_pump_efficiency": ("Efficiency of condenser-water pumps", "%", "pump, motor and drive"),
    "heater_frac": ("Engine heaters over the rating of generators", "%", "9 kW for 3 MW"),
    "least_tower_pump_frac": ("Least flow of a condenser-water pump", "%", "that keeps nozzles and condenser wet"),
    "most_of_rating": (
        "Coolers and towers carry over their rating, at most",
        "times",
        "in colder air than at their rating point; selection programs turn flows that far",
    ),
    "room_cop": ("Heat of UPS and switch rooms over power of their air units", "", "with fans, year round"),
    "services_frac": (
        "Controls, fire, security, leak detection and water treatment",
        "%",
        "of the nameplate power of IT",
    ),
    "support_area_frac": (
        "Offices, stores and plant rooms over the area of halls",
        "%",
        "of common single-hall buildings; drawings show halls only",
    ),
    "cold_plate_flow_share": (
        "Share of a cold plate's resistance that falls with flow",
        "%",
        "the rest is interface and spreading",
    ),
    "cold_plate_margin_k": (
        "Cold plates stay below throttling by",
        "K",
        "they are sized for full power and the warmest supply",
    ),
    "cold_plate_max_k_per_w": (
        "Highest resistance of a cold plate",
        "K/W",
        "700 W parts do better than the margin asks for: single-phase plates",
    ),
    "common_cause_frac": ("Failures that take a whole group", "%", "1 to 10 % in IEEE 493 practice"),
    "condenser_approach_k": ("Condensing above what enters", "K", "air 10 to 15 K, water 2 K"),
    "economiser_approach_k": (
        "Approach of the economiser's exchanger",
        "K",
        "plate exchanger between tower and facility water",
    ),
    "fixed_share": ("Power of hosts and switches that does not follow load", "%", "CPU, NIC, switches and drives"),
    "heat_sink_flow_share": (
        "Share of a heat sink's resistance that falls with flow",
        "%",
        "the rest is interface and spreading",
    ),
    "heat_sink_margin_k": (
        "Heat sinks stay below throttling by",
        "K",
        "air-cooled servers are sized for the warmest permitted inlet",
    ),
    "interruption_frac": (
        "Loss of token capacity that is an interruption, at least",
        "%",
        "chips that throttle a little lose less",
    ),
    "metabolic_met": ("Work in hot aisles", "met", "lifting and walking; ISO 8996 class 2"),
    "other_leaving_degc": ("Rated leaving water of other chillers", "°C", "20/30 °C water in their sheets"),
    "rack_air_rise_k": ("Air rise through racks without a sheet", "K", "racks described by their power only"),
    "rated_leaving_degc": ("Rated leaving water of trim chillers", "°C", "their sheets: loops of 40 to 45 °C"),
    "shelf_efficiency": (
        "Power-shelf efficiency at half and full load",
        "%",
        "Titanium class, where a system's sheet gives none",
    ),
    "shelf_efficiency_at_tenth": (
        "Power-shelf efficiency at a tenth of the load",
        "%",
        "ORv3 HPR shelf, for sheets that start at half load",
    ),
    "shelf_oversize": ("Power shelves over rated draw", "times", "where a sheet does not count them"),
    "throttle_degc": (
        "Accelerators throttle from",
        "°C",
        "NVIDIA parts of the same family; where the catalogue has none",
    ),
    "tower_water_to_air": ("Water over air through a cooling tower", "kg/kg", "induced-draft counterflow cells"),
    "trip_margin_k": ("Shutdown above throttling", "K", "NVIDIA boards report 5 to 10 K"),
}

_CAPITALS = """
    AC BF16 CDU COP CPU CPUs CPX DC DLC DPU EER FP16 FP4 FP8 GPU HBM INT8 IR KV MTBF MTTR NIC NVLink ORv3 PSU
    PUE SLO TDP TPOT TTFT UA UPS WUE N+N
"""
CAPITALS = {word.lower(): word for word in _CAPITALS.split()}
SLUG = re.compile(r"[a-z0-9]+(_[a-z0-9]+)+")


def suffix_of(name: str) -> tuple[str, str]:
    """Return the suffix of a field name and its unit, e.g. ("_degc", "°C"); two empty texts where there is none."""
    last = name.rpartition(".")[2]
    for suffix, unit in SUFFIX_UNITS:
        if last.endswith(f"_{suffix}"):
            return f"_{suffix}", unit
    return "", ""


def field_unit(name: str) -> str:
    """Return the unit that a field is shown in: of its last part, or of the group that it stands in."""
    parts = name.split(".")
    for part in reversed(parts):
        if part in FIELDS:
            return FIELDS[part][1]
        if unit := suffix_of(part)[1]:
            return f"{unit} of air" if unit == "m³/s" and "air" in part else unit
    return "%" if "efficiency" in parts[-1] else ""


def field_words(name: str) -> str:
    """Return a field name as words, without the suffix that became a unit: "Liquid supply max"."""
    words = ": ".join(FIELDS[part][0] if part in FIELDS else _words(part) for part in name.split("."))
    return words[:1].upper() + words[1:]


def _words(part: str) -> str:
    return " ".join(CAPITALS.get(word, word) for word in part.removesuffix(suffix_of(part)[0]).split("_"))


def fact_text(value: Any, unit: str) -> str:
    """Return a value in its unit; of a list each, of a group each with its name: "p95 16.0 k tok"."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(_named(name, entry, unit) for name, entry in value.items() if entry is not None)
    if isinstance(value, list | tuple):
        return ", ".join(fact_text(entry, unit) for entry in value)
    if isinstance(value, int) and not unit:
        return f"{value:,}"  # a count
    if is_number(value):
        return quantity_text(value, unit)
    return value.replace("_", " ") if isinstance(value, str) and SLUG.fullmatch(value) else str(value)


def _named(name: str, value: Any, unit: str) -> str:
    """Return an entry of a group with its name; a load of an efficiency curve, `load_0_25`, in percent."""
    if name.startswith("load_"):
        return (
            f"{quantity_text(float(name.removeprefix('load_').replace('_', '.')), '%')} load {fact_text(value, unit)}"
        )
    own = field_unit(name) or unit or ("%" if name == "availability" else "")
    return f"{_words(name)} {fact_text(value, own)}"


def assumption_words(subject: str, field: str, unit: str) -> tuple[str, str, str]:
    """Return what an assumption is of, what it is called and its unit: "Model", "Shutdown above throttling", "K"."""
    if field == "value" and subject in VALUES:
        return "Finance and operation", *VALUES[subject]
    if subject == "Model" and field in OF_MODEL:
        return "Model", *OF_MODEL[field][:2]
    known = field in FIELDS or suffix_of(field)[1] or "efficiency" in field
    return subject, field_words(field), field_unit(field) if known else _plain(unit)


def _plain(unit: str) -> str:
    return "" if unit == "1" else unit
