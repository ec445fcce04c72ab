"""What the fields of a catalogue entry are: name, unit, type, range and meaning, and which of them each kind has.

A field name means the same in every kind, so meanings and ranges stand once (`FIELDS`) and each kind only lists the
names it needs (`KINDS`). Nested fields are written with dots, `[]` marks a list of mappings, `*` any one name.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from facility.catalogue.fields import CHOICES, FIELDS, FLAG, INTEGER, NUMBER, NUMBERS, TEXT, TEXTS
from power_cooling.site_facts.confidence import STATED

META = ("id", "name", "vendor", "source", "confidence", "field_confidence", "notes")
SLUG = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,79}\Z")

# Longest suffix first: the first that a name ends with gives unit and, where FIELDS has no range, the range.
UNITS: tuple[tuple[str, str, float, float], ...] = (
    ("_usd_per_kwh", "USD/kWh", 0, 10_000),
    ("_usd_per_m3", "USD/m³", 0, 1000),
    ("_usd_per_w", "USD/W", 0, 1000),
    ("_usd_per_m", "USD/m", 0, 1e6),
    ("_usd_per_gpu_h", "USD/(accelerator·h)", 0, 1000),
    ("_usd", "USD", 0, 1e9),
    ("_kg_per_kwh", "kg/kWh", 0, 3),
    ("_kg_per_l", "kg/l", 0, 10),
    ("_l_per_kwh_heat", "l/kWh of heat", 0, 10),
    ("_l_per_kwh", "l/kWh", 0, 10),
    ("_kwh_per_l", "kWh/l", 0, 20),
    ("_w_per_m3_per_s", "W/(m³/s)", 0, 1e5),
    ("_w_per_m_at_continuous", "W/m", 0, 1e5),
    ("_ohm_per_m", "Ω/m", 0, 1),
    ("_w_per_k", "W/K", 0, 1e8),
    ("_bytes_per_s", "byte/s", 0, 1e17),
    ("_bits_per_s", "bit/s", 0, 1e18),
    ("_flops_per_s", "FLOP/s", 0, 1e19),
    ("_ops_per_s", "op/s", 0, 1e19),
    ("_tokens_per_s", "token/s", 0, 1e9),
    ("_m3_per_s", "m³/s", 0, 1000),
    ("_per_unit_year", "1/(unit·a)", 0, 100),
    ("_bytes", "byte", 0, 1e16),
    ("_m3", "m³", 0, 1e6),
    ("_tokens", "tokens", 0, 1e9),
    ("_degc", "°C", -60, 200),
    ("_frac", "1", 0, 1),
    ("_weeks", "weeks", 0, 520),
    ("_w", "W", 0, 1e9),
    ("_va", "VA", 0, 1e9),
    ("_j", "J", 0, 1e15),
    ("_pa", "Pa", 0, 1e7),
    ("_kg", "kg", 0, 1e6),
    ("_m", "m", 0, 1000),
    ("_k", "K", 0, 200),
    ("_a", "A", 0, 1e5),
    ("_v", "V", 0, 1e6),
    ("_h", "h", 0, 1e9),
    ("_s", "s", 0, 1e8),
)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a catalogue entry."""

    name: str
    type: str
    unit: str  # "" for texts, "1" for plain numbers
    low: float
    high: float
    meaning: str
    choices: tuple[str, ...] = ()

    def complaint(self, value: Any) -> str | None:
        """Return what is wrong with a value and what is allowed, or None."""
        if self.type in (NUMBERS, TEXTS):
            if not isinstance(value, list) or not value:
                return f"is {value!r}; must be a list of {self.type}"
            inner = Field(self.name, NUMBER if self.type == NUMBERS else TEXT, self.unit, self.low, self.high, "")
            return next((f"has {problem}" for item in value if (problem := inner.complaint(item))), None)
        if self.type == FLAG:
            return None if isinstance(value, bool) else f"is {value!r}; must be true or false"
        if self.type == TEXT:
            if not isinstance(value, str) or not value.strip():
                return f"is {value!r}; must be a text"
            if self.choices and value not in self.choices:
                return f"is {value!r}; must be one of {', '.join(self.choices)}"
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return f"is {value!r}; must be a {self.type}"
        if self.type == INTEGER and value != int(value):
            return f"is {value!r}; must be a whole number"
        if not self.low <= value <= self.high:
            unit = "" if self.unit in ("", "1") else f" {self.unit}"
            return f"is {value:g}{unit}; must be from {self.low:g} to {self.high:g}{unit}"
        return None


@dataclass(frozen=True, slots=True)
class Kind:
    """The fields of one kind of entry."""

    name: str
    title: str
    required: tuple[str, ...]
    optional: tuple[str, ...]


@cache
def field(kind: str, name: str) -> Field | None:
    """Return the description of a field of a kind, or None if the kind has no such field."""
    schema = KINDS[kind]
    pattern = next((known for known in schema.required + schema.optional if _matches(known, name)), None)
    if pattern is None:
        return None
    leaf = pattern.rsplit(".", 1)[-1] if pattern not in FIELDS else pattern
    stated = FIELDS.get(f"{kind}:{pattern}") or FIELDS.get(pattern) or FIELDS[leaf]
    type_, meaning, *limits = stated
    if type_ not in (NUMBER, INTEGER, NUMBERS):
        return Field(name, type_, "", 0, 0, meaning, CHOICES.get(f"{kind}.{pattern}", ()))
    unit, low, high = unit_of(name)
    if limits:
        low, high = limits
    return Field(name, type_, unit, low, high, meaning)


@lru_cache(maxsize=4096)  # a snapshot asks for the same names each time
def unit_of(name: str) -> tuple[str, float, float]:
    """Return the unit a field's suffix names and the widest plausible range in it."""
    for part in reversed(re.split(r"[.\[\]]+", name)):
        for suffix, unit, low, high in UNITS:
            if part.endswith(suffix):
                return unit, low, high
    return "1", 0, 1e16


def _matches(pattern: str, name: str) -> bool:
    if "*" not in pattern:
        return pattern == name
    return re.fullmatch(re.escape(pattern).replace(r"\*", r"[^.]+"), name) is not None


def flattened(facts: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each fact of nested mappings as (dotted name, value)."""
    for key, value in facts.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from flattened(value, f"{name}.")
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            for item in value:
                yield from flattened(item, f"{name}[].")
        else:
            yield name, value


def complaints(kind: str, facts: Any, *, source: Any, confidence: Any, field_confidence: Any) -> list[tuple[str, str]]:
    """Return what is wrong with an entry as (field, sentence after the field's name); empty if nothing is.

    Parameters
    ----------
    kind : str
        Name of the catalogue file.
    facts : dict
        The entry's fields except its name, vendor, source, confidence and notes.
    source, confidence, field_confidence
        Where the facts come from and how far they can be trusted, for all and for single fields.
    """
    if kind not in KINDS:
        return [("kind", f"is {kind!r}; must be one of {', '.join(KINDS)}")]
    if not isinstance(facts, dict):
        return [("facts", f"is {type(facts).__name__}; must be a mapping from field to value")]
    found: list[tuple[str, str]] = []
    given: dict[str, Any] = {}
    for name, value in flattened(facts):
        described = field(kind, name)
        if described is None:
            found.append((name, "is not a field of this kind; correct its name or remove it"))
        elif value is not None and (problem := described.complaint(value)):
            found.append((name, problem))
        if value is not None:
            given[name] = value
    found += [
        (name, "is missing" if name not in dict(flattened(facts)) else "is empty; must be given")
        for name in KINDS[kind].required
        if name not in given
    ]
    if not isinstance(source, str) or not source.strip():
        found.append(("source", f"is {source!r}; must name the document, page or measurement"))
    if confidence not in STATED:
        found.append(("confidence", f"is {confidence!r}; must be one of {', '.join(STATED)}"))
    if not isinstance(field_confidence, dict):
        found.append(("field_confidence", f"is {field_confidence!r}; must be a mapping from field to confidence"))
    else:
        found += [
            ("field_confidence", f"of {name} is {mark!r}; must be one of {', '.join(STATED)}")
            for name, mark in field_confidence.items()
            if mark not in STATED
        ]
        tops = {name.split(".")[0].removesuffix("[]") for name in (*KINDS[kind].required, *KINDS[kind].optional)}
        found += [
            ("field_confidence", f"names {name}, which is not a field of this kind")
            for name in field_confidence
            if name not in tops and field(kind, name) is None
        ]
    return found


def _kind(name: str, title: str, required: str, optional: str = "") -> tuple[str, Kind]:
    return name, Kind(name, title, tuple(required.split()), tuple(optional.split()))


SIZE = "weight_kg height_m width_m depth_m price_estimate_usd"
LOADS = "{0}.load_0_10 {0}.load_0_25 {0}.load_0_50 {0}.load_0_75 {0}.load_1_00"
KINDS: dict[str, Kind] = dict(
    [
        _kind(
            "accelerator_reliability",
            "Interruptions of accelerator clusters",
            "accelerator",
            "gpus nodes days planned_interruptions unplanned_interruptions effective_training_time_frac "
            "manual_interventions mean_time_between_interruptions_h gpu_category_share items[].cause items[].count "
            "items[].share items[].per_gpu_year interruptions_per_1000_node_days failures_per_1000_node_days "
            "mttf_1024_gpu_job_h mttf_16384_gpu_job_h gpu_hours h100_memory_mtbe_vs_a100 overprovisioning_frac "
            "node_recovery_h annual_failure_frac_low annual_failure_frac_mid annual_failure_frac_high failures months "
            "shares.* failures_per_1000_tray_days nvlink_backplane_share spare_trays_per_rack",
        ),
        _kind(
            "accelerators",
            "Accelerators",
            "launch_year memory_type hbm_bytes hbm_bandwidth_bytes_per_s scaleup_domain_size tdp_w cooling",
            "peak_bf16_dense_flops_per_s peak_fp8_dense_flops_per_s peak_fp4_dense_flops_per_s "
            "peak_int8_dense_ops_per_s peak_fp4_inference_flops_per_s peak_fp4_marketing_flops_per_s "
            "scaleup_bandwidth_bidir_bytes_per_s hbm_max_degc idle_w max_configurable_power_w "
            "min_configurable_power_w throttle_degc load_power_range_w host_cpu host_cpu_power_w superchip_tdp_w "
            "energy_storage_j max_q_power_w max_p_power_w price_estimate_usd",
        ),
        _kind(
            "air_units",
            "Air units",
            "capacity_w airflow_m3_per_s fan_power_w",
            "entering_air_degc leaving_air_degc chw_in_degc chw_out_degc fan_power_w_per_m3_per_s sensible_heat_ratio "
            f"water_flow_m3_per_s pressure_drop_pa {SIZE}",
        ),
        _kind(
            "ashrae_classes",
            "ASHRAE temperature classes",
            "medium",
            "supply_min_degc supply_max_degc recommended_min_degc recommended_max_degc allowable_min_degc "
            "allowable_max_degc max_dew_point_degc typical_plant",
        ),
        _kind(
            "bess",
            "Battery storage",
            "power_w energy_j",
            f"round_trip_efficiency response_s cycles price_estimate_usd_per_kwh peak_reduction_frac {SIZE}",
        ),
        _kind(
            "busways",
            "Busways",
            "rated_current_a voltage_v continuous_current_a continuous_power_w resistance_ohm_per_m "
            "voltage_drop_v_per_m_per_100a loss_w_per_m_at_continuous price_estimate_usd_per_m",
            "current_type",
        ),
        _kind(
            "cdus",
            "Coolant distribution units",
            "type capacity_w secondary_flow_m3_per_s secondary_head_pa pump_redundancy power_draw_w weight_kg height_m "
            "width_m depth_m price_estimate_usd",
            "approach_temp_k heat_exchanger_ua_w_per_k",
        ),
        _kind(
            "chillers",
            "Chillers",
            "type reference_cop reference_leaving_chw_degc reference_entering_condenser_degc capft_biquadratic "
            "eirft_biquadratic eirfplr_quadratic chw_range_degc condenser_range_degc min_part_load_ratio",
            "reference_capacity_w curve_value_at_reference.capft curve_value_at_reference.eirft "
            f"curve_value_at_reference.eirfplr chw_flow_m3_per_s condenser_flow_m3_per_s {SIZE}",
        ),
        _kind(
            "compute_failures",
            "Failures of the compute side",
            "counted_per takes failures_per_unit_year failures_low_per_unit_year failures_high_per_unit_year outage_h "
            "outage_low_h outage_high_h",
            "is_planned",
        ),
        _kind(
            "cooling_towers",
            "Cooling towers",
            "type capacity_w approach_k range_k design_wet_bulb_degc fan_power_w makeup_l_per_kwh_heat",
            "fan_power_frac_of_heat cycles_of_concentration evaporation_l_per_kwh_heat blowdown_l_per_kwh_heat "
            f"drift_l_per_kwh_heat spray_pump_w dry_mode_below_ambient_degc {SIZE}",
        ),
        _kind(
            "distribution",
            "PDUs, panels and switchgear",
            "rating_w efficiency_at_50pct efficiency_full",
            f"transfer_time_s secondary_v current_type {SIZE}",
        ),
        _kind("diurnal_shapes", "Daily load shapes", "hourly weekend_factor peak_to_mean"),
        _kind(
            "dry_coolers",
            "Dry and adiabatic coolers",
            "type capacity_w rating_entering_fluid_degc rating_leaving_fluid_degc rating_ambient_degc approach_k "
            "fan_power_w water_use_l_per_kwh",
            "airflow_m3_per_s fluid_flow_m3_per_s fan_law wet_bulb_degc pad_saturation_efficiency "
            f"wet_mode_above_ambient_degc peak_water_use_l_per_kwh {SIZE}",
        ),
        _kind(
            "evidence_traces",
            "Request traces",
            "",
            "requests input_tokens.* output_tokens.* ideal_prefix_block_hit sessions llm_steps tool_calls users "
            "steps_per_user_turn tool_calls_per_user_turn user_turns_per_session turn_time_s.* tool_latency_s.* "
            "share_tool_calls_over_60s tool_time_share_over_60s human_wait_s.* prefix_hit_token_weighted "
            "prefix_hit_after_tool prefix_hit_after_user decode_tokens_per_s_seen ttft_residual_s facts lines days",
        ),
        _kind(
            "facility_capex",
            "Capital cost of facilities",
            "",
            "usd_per_w usd_per_w_low usd_per_w_high",
        ),
        _kind("finance", "Financial assumptions", "value", "low high"),
        _kind("fuels", "Fuels", "fuel_usd_per_kwh fuel_low_usd_per_kwh fuel_high_usd_per_kwh fuel_co2_kg_per_kwh"),
        _kind(
            "generators",
            "Generators",
            "rating_w continuous_w efficiency_full",
            "start_time_s load_acceptance_s fuel_l_per_h_full fuel_kwh_per_l co2_kg_per_l start_failure_probability "
            "fuel prime_mover efficiency_at_50pct min_load_frac maintenance_usd_per_kwh "
            f"lead_time_weeks {SIZE}",
        ),
        _kind(
            "gpu_rental",
            "Rent of accelerators",
            "on_demand_usd_per_gpu_h on_demand_low on_demand_high reserved_1y_usd_per_gpu_h",
            "cost_of_ownership_usd_per_gpu_h break_even_usd_per_gpu_h",
        ),
        _kind(
            "models",
            "Served models",
            "layers hidden_size attention_heads kv_heads head_dim attention_type full_attention_layers "
            "windowed_attention_layers vocab_size tied_embeddings total_params active_params native_precision "
            "max_context_tokens kv_bytes_per_token_bf16_all_layers mtp_layers weight_bytes_native",
            "hf_repo released same_network total_params_from_config active_params_from_config sliding_window_tokens "
            "intermediate_size moe moe.experts moe.active_experts moe.shared_experts moe.moe_intermediate_size "
            "moe.moe_layers moe.dense_layers kv_bytes_per_token_bf16_full_layers_only mla.q_lora_rank mla.kv_lora_rank "
            "mla.qk_nope_head_dim mla.qk_rope_head_dim mla.v_head_dim sparse_attention.index_heads "
            "sparse_attention.index_head_dim sparse_attention.index_topk sparse_attention.index_layers "
            "sparse_attention.sparse_layers moe.latent_size moe.shared_intermediate_size blocks mlp_matrices "
            "value_head_dim windowed_kv_heads windowed_head_dim keys_are_values attention_output_gate "
            "linear_attention.kind linear_attention.layers linear_attention.key_heads linear_attention.key_head_dim "
            "linear_attention.value_heads linear_attention.value_head_dim linear_attention.conv_kernel "
            "compressed_attention.q_lora_rank compressed_attention.o_lora_rank compressed_attention.o_groups "
            "compressed_attention.selecting_layers compressed_attention.selecting_ratio "
            "compressed_attention.dense_layers compressed_attention.dense_ratio compressed_attention.index_topk "
            "compressed_attention.index_heads compressed_attention.index_head_dim compressed_attention.window_tokens "
            "checkpoints[].name checkpoints[].precision checkpoints[].attention checkpoints[].mlp "
            "checkpoints[].experts checkpoints[].extra_bytes",
        ),
        _kind("network_cables", "Network cables", "cable_medium length_m", "weight_kg price_estimate_usd"),
        _kind(
            "network_switches",
            "Network switches",
            "ports switching_bits_per_s max_power_w typical_power_w",
            f"rack_units cooling {SIZE}",
        ),
        _kind("published_tco", "Published costs of ownership", "statement", "value value_low value_high"),
        _kind(
            "pumps",
            "Pumps",
            "flow_m3_per_s head_pa pump_efficiency motor_efficiency vfd_efficiency power_w min_speed_frac",
            SIZE,
        ),
        _kind(
            "rack_power_shelves",
            "Rack power shelves",
            "rating_w output_v_dc efficiency.load_0_10 efficiency.load_0_20 efficiency.load_0_50 efficiency.load_1_00",
            "psu_count psu_w input_v_ac efficiency.load_0_75 hold_up_s peak_load_frac bbu_transfer_s bbu_autonomy_s "
            f"usable_nplusn1_w {SIZE}",
        ),
        _kind("rating_rules", "Rating rules", "rule factor"),
        _kind("recovery_times", "Recovery times", "duration_s", "duration_low_s duration_high_s"),
        _kind(
            "regions",
            "Regions",
            "electricity_usd_per_kwh electricity_low_usd_per_kwh electricity_high_usd_per_kwh grid_carbon_kg_per_kwh "
            "water_usd_per_m3",
            "facility_capex gas_usd_per_kwh serves",
        ),
        _kind(
            "reliability",
            "Reliability of components",
            "failures_per_unit_year mtbf_h mttr_h inherent_availability",
            "start_failure_probability mttr_without_spare_h load_drop_frac maintenance_per_unit_year maintenance_h",
        ),
        _kind(
            "serving_statements",
            "Published statements on serving",
            "statement accelerator model publisher url read_on",
            "published_on weight_precision input_length output_length user_tokens_per_s accelerator_tokens_per_s "
            "counts_input megawatt_tokens_per_s usd_per_million",
        ),
        _kind(
            "slo_references",
            "Latency limits of benchmarks",
            "benchmark scenario percentile",
            "ttft_s tpot_s end_to_end_s",
        ),
        _kind("cpu_servers", "CPU servers", "cores max_power_w idle_power_w", f"rack_units {SIZE}"),
        _kind(
            "storage",
            "Storage",
            "usable_bytes read_bytes_per_s write_bytes_per_s max_power_w typical_power_w",
            f"rack_units {SIZE}",
        ),
        _kind(
            "systems",
            "Servers and rack systems",
            "launch_year accelerator accelerators_per_system form_factor cooling max_power_w typical_power_w "
            "non_accelerator_power_w liquid_heat_frac air_flow_m3_per_s air_temp_rise_k air_inlet_min_degc "
            "air_inlet_max_degc power_supply.kind power_supply.redundancy",
            "rack_units idle_power_w non_accelerator_breakdown_w.* liquid_supply_min_degc liquid_supply_max_degc "
            "liquid_design_temp_rise_k liquid_design_flow_m3_per_s liquid_pressure_drop_pa cold_plate_k_per_w "
            "cold_plate_flow_frac coolant scaleup_domain "
            "compute_trays switch_trays cpus max_q_power_w max_p_power_w secondary_accelerator "
            "secondary_accelerators based_on in_rack_cdu power_supply.count power_supply.unit_w "
            "power_supply.input_v_ac power_supply.efficiency_20pct power_supply.efficiency_50pct "
            "power_supply.efficiency_full power_supply.efficiency_peak power_supply.psu_per_shelf power_supply.psu_w "
            "power_supply.installed_w power_supply.usable_w_nplusn power_supply.output_v_dc "
            f"power_supply.energy_storage power_supply.aux power_supply.rack_design_limit_w {SIZE}",
        ),
        _kind(
            "token_prices",
            "Market prices of tokens",
            "",
            "low high input output cached_input model url published_on read_on",
        ),
        _kind(
            "transformers",
            "Transformers",
            "rating_va type primary_v secondary_v no_load_loss_w load_loss_full_w impedance_frac",
            f"efficiency_at_load.* lead_time_weeks {SIZE}",
        ),
        _kind(
            "ups",
            "UPS",
            "rating_va output_power_factor " + LOADS.format("efficiency_double_conversion"),
            LOADS.format("efficiency_eco_mode") + f" transfer_time_s battery_autonomy_s {SIZE}",
        ),
        _kind(
            "uptime_tiers",
            "Uptime tiers",
            "availability redundancy",
            "downtime_h_per_year assumed_failures_per_year hours_per_failure planned_outage_h",
        ),
        _kind(
            "warm_water_chillers",
            "Chillers for warm water",
            "type capacity_w",
            "cop_at_35_degc cop_at_25_degc cop_at_29_degc_condenser free_cooling_full_below_ambient_degc "
            f"free_cooling_fan_cop iplv {SIZE}",
        ),
        _kind(
            "workloads",
            "Workloads",
            "user_segments input_tokens.mean input_tokens.p95 input_tokens.max output_tokens.mean output_tokens.p95 "
            "reasoning_share_of_output user_turns_per_task llm_calls_per_turn sub_agent_fan_out tool_calls_per_turn "
            "tool_delay_s.mean tool_delay_s.p50 tool_delay_s.p95 prefix_cache_hit slo.ttft_p95_s slo.tpot_p95_s "
            "slo.availability diurnal_shape peak_to_mean arrival_process arrival_cv deferrable_share "
            "recommended_models",
            "tool_core_s length_distribution shared_prefix_frac think_time_between_turns_s "
            "think_time_between_turns_s.p50 "
            "think_time_between_turns_s.p90 slo.end_to_end_p95_s latency_critical_share field_basis.* argument "
            "variants.*.input_mean variants.*.input_p95 variants.*.output_mean variants.*.llm_calls_per_turn "
            "variants.*.sub_agent_fan_out variants.*.prefix_cache_hit variants.*.token_multiplier_vs_chat "
            "variants.*.source variants.*.confidence variants.*.notes",
        ),
    ]
)
