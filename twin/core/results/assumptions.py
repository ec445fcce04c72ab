"""What a result rests on: each input with its value, unit, source and confidence."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain

from power_cooling.availability import solve as availability
from power_cooling.cooling import comfort, plant
from twin.core.failures import components as failures
from twin.core.failures.kinds import RESTART
from twin.core.inputs import coolant_loops, cpu_time, equipment, own_load, tool_calls
from twin.core.inputs.feed_ratings import prime_feeds
from twin.core.inputs.layout import LayoutInputs, ProductSheet, SiteInputs
from twin.core.results import capital
from twin.core.results.details import WEATHER, Assumption
from twin.core.text.field_names import OF_MODEL

FIELDS_BY_KIND = {
    "systems": ("max_power_w", "non_accelerator_power_w", "liquid_heat_frac", "price_estimate_usd"),
    "accelerators": (
        "peak_bf16_dense_flops_per_s",
        "peak_fp8_dense_flops_per_s",
        "peak_fp4_dense_flops_per_s",
        "hbm_bytes",
        "hbm_bandwidth_bytes_per_s",
        "scaleup_bandwidth_bidir_bytes_per_s",
        "tdp_w",
        "idle_w",
        "throttle_degc",
    ),
    "models": ("total_params", "active_params", "max_context_tokens"),
    "workloads": (
        "input_tokens",
        "output_tokens",
        "prefix_cache_hit",
        "shared_prefix_frac",
        "user_turns_per_task",
        "llm_calls_per_turn",
        "sub_agent_fan_out",
        "tool_delay_s",
        "think_time_between_turns_s",
        "slo",
        "peak_to_mean",
    ),
    "cdus": ("capacity_w", "approach_temp_k", "secondary_flow_m3_per_s", "power_draw_w"),
    "air_units": ("capacity_w", "airflow_m3_per_s", "fan_power_w"),
    "dry_coolers": ("capacity_w", "approach_k", "fan_power_w", "airflow_m3_per_s"),
    "cooling_towers": ("capacity_w", "approach_k", "range_k", "fan_power_w", "cycles_of_concentration"),
    "chillers": ("reference_capacity_w", "reference_cop"),
    "warm_water_chillers": ("capacity_w", "cop_at_35_degc"),
    "network_switches": ("max_power_w", "price_estimate_usd"),
    "cpu_servers": ("cores", "max_power_w", "idle_power_w", "price_estimate_usd"),
    "storage": ("usable_bytes", "read_bytes_per_s", "max_power_w", "price_estimate_usd"),
    "pumps": ("flow_m3_per_s", "head_pa", "pump_efficiency"),
    "ups": ("rating_va", "efficiency_double_conversion", "battery_autonomy_s"),
    "transformers": ("rating_va", "no_load_loss_w", "load_loss_full_w"),
    "busways": ("continuous_power_w", "resistance_ohm_per_m"),
    "distribution": ("rating_w", "efficiency_at_50pct", "efficiency_full"),
    "generators": ("rating_w", "start_time_s"),
    "bess": ("power_w", "energy_j"),
    "compute_failures": (
        "failures_per_unit_year",
        "failures_low_per_unit_year",
        "failures_high_per_unit_year",
        "outage_h",
        "outage_low_h",
        "outage_high_h",
    ),
    "recovery_times": ("duration_s", "duration_low_s", "duration_high_s"),
    "reliability": ("failures_per_unit_year", "mttr_h", "maintenance_per_unit_year", "maintenance_h"),
    "regions": ("electricity_usd_per_kwh", "grid_carbon_kg_per_kwh", "water_usd_per_m3"),
    "gpu_rental": ("reserved_1y_usd_per_gpu_h",),
    "finance": ("value",),
    "facility_capex": ("usd_per_w",),
}


TOOL_FIELDS = ("tool_calls_per_turn", "tool_core_s")  # of use cases, where CPU servers are described
#: Of layouts that generate power on site all year, beside those above.
GENERATION_FIELDS = {
    "generators": (
        "efficiency_full",
        "efficiency_at_50pct",
        "min_load_frac",
        "maintenance_usd_per_kwh",
        "price_estimate_usd",
    ),
    "fuels": ("fuel_usd_per_kwh", "fuel_co2_kg_per_kwh"),
    "regions": ("gas_usd_per_kwh",),
}

FAR_M = 300.0  # between station and site: some 2 K of temperature, which is not shifted


def assumptions(
    inputs: LayoutInputs, used_models: set[str], used_accelerators: set[str], used_reliability: set[str]
) -> list[Assumption]:
    """Return everything that a run of this snapshot rests on.

    Parameters
    ----------
    inputs : LayoutInputs
        A snapshot.
    used_models, used_accelerators : set of str
        Catalogue slugs of what is served and on what.
    used_reliability : set of str
        Catalogue slugs of what may fail.
    """
    products = inputs.products
    entries = [*products.by_id.values(), inputs.site.region]
    entries += [share.workload for share in inputs.scenario.workloads]
    entries += [products.models[slug] for slug in sorted(used_models)]
    entries += [products.accelerators[slug] for slug in sorted(used_accelerators)]
    entries += [
        replace(products.gpu_rental[slug], name=products.accelerators[slug].name)  # it has none of its own
        for slug in sorted(used_accelerators)
        if slug in products.gpu_rental
    ]
    entries += [products.reliability[slug] for slug in sorted(used_reliability)]
    entries += [*products.compute_failures.values()]
    entries += [products.recovery_times[slug] for slug in (RESTART,) if slug in products.recovery_times]
    entries += [*products.finance.values(), capital.cost_row(inputs)]
    units = inputs.units  # snapshots of older versions have none
    entries += used_fuels(inputs)
    rows = [row for entry in entries for row in _entry_rows(entry, fields_of(inputs, entry), units)]
    weather = inputs.weather
    read = " ".join([weather.source, *weather.notes.splitlines()])
    rows.append(Assumption(weather.name, WEATHER, weather.n_hours, "h", read, weather.confidence))
    rows += _height_rows(inputs)
    return rows + list(_site_rows(inputs.site)) + list(_model_rows(with_tools=bool(inputs.cpu_servers)))


def used_fuels(inputs: LayoutInputs) -> list[ProductSheet]:
    """Return the fuels that on-site sources burn."""
    named = {str(inputs.facts(feed.product_id).get("fuel")) for feed in prime_feeds(inputs.feeds)}
    return [sheet for slug, sheet in sorted(inputs.products.fuels.items()) if slug in named]


def fields_of(inputs: LayoutInputs, entry: ProductSheet) -> tuple[str, ...]:
    """Return the facts of an entry that a run rests on."""
    more = GENERATION_FIELDS.get(entry.kind, ()) if prime_feeds(inputs.feeds) else ()
    tools = TOOL_FIELDS if inputs.cpu_servers and entry.kind == "workloads" else ()
    return (*FIELDS_BY_KIND.get(entry.kind, ()), *more, *tools)


def _entry_rows(entry: ProductSheet, shown: tuple[str, ...], units: Mapping[str, str]) -> Iterator[Assumption]:
    basis = entry.facts.get("field_basis") or {}  # sources of single fields
    for field in shown:
        value = entry.facts.get(field)
        if value is not None:
            confidence = entry.field_confidence.get(field, entry.confidence)
            source = basis.get(field, entry.source)
            yield Assumption(entry.name, field, value, units.get(field, "1"), source, confidence)


def _height_rows(inputs: LayoutInputs) -> Iterator[Assumption]:
    """Yield by how much the site stands above its weather station, where it does."""
    station_m = inputs.weather.elevation_m
    height_m = 0.0 if station_m is None else inputs.site.elevation_m - station_m
    if height_m:
        yield Assumption(
            inputs.site.name,
            "height_above_station_m",
            height_m,
            "m",
            "air pressure is shifted by it in the standard atmosphere; temperature and humidity are the station's",
            "estimated" if abs(height_m) > FAR_M else "derived",
        )


def _site_rows(site: SiteInputs) -> Iterator[Assumption]:
    if site.repair_crews is not None:  # snapshots of older versions have none
        crews = site.repair_crews
        is_assumed = "repair_crews" in site.assumed
        source = "assumed: one at hand, one on call" if is_assumed else "the site's description"
        yield Assumption(site.name, "repair_crews", crews, "1", source, "assumed" if is_assumed else "entered")


def _model_rows(*, with_tools: bool) -> Iterator[Assumption]:
    """Yield what the model itself assumes where no data sheet speaks."""
    drawn = (equipment, coolant_loops, own_load, plant)
    modules = (*drawn, failures, comfort, availability, *((cpu_time, tool_calls) if with_tools else ()))
    for name, value in chain.from_iterable(vars(read).items() for read in modules):
        if name.startswith("ASSUMED_"):
            field = name.removeprefix("ASSUMED_").lower()
            shown = list(value) if isinstance(value, tuple) else value
            _, unit, reason = OF_MODEL[field]
            stored = "1" if unit in ("%", "times") else unit
            yield Assumption("Model", field, shown, stored, f"assumed: {reason}", "assumed")
