"""The figures of merit: defined once, named the same in the API, database, tables and tooltips.

Energy is counted at the utility meter unless the name says IT.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of merit. `better` is "higher", "lower" or "" where neither is better by itself."""

    name: str
    label: str
    unit: str
    better: str
    meaning: str
    headline: bool = False


FIGURES = (
    Figure(
        "output_tokens_per_s",
        "Output tokens",
        "tok/s",
        "higher",
        "Generated tokens per second, averaged over the scenario's hours.",
        headline=True,
    ),
    Figure("input_tokens_per_s", "Input tokens", "tok/s", "", "Prompt tokens read per second, averaged likewise."),
    Figure(
        "tokens_per_joule",
        "Tokens per watt",
        "tok/J",
        "higher",
        "Output tokens per joule at the utility meter: (tokens/s) per watt.",
        headline=True,
    ),
    Figure("it_tokens_per_joule", "Tokens per IT watt", "tok/J", "higher", "The same per joule at the rack inputs."),
    Figure(
        "cost_per_million_output_tokens_usd",
        "Cost",
        "$/M tok",
        "lower",
        "Annualised capital, energy, demand charge, water, maintenance, staff and licences over the output tokens.",
        headline=True,
    ),
    Figure(
        "rented_cost_per_million_output_tokens_usd",
        "Cost if rented",
        "$/M tok",
        "lower",
        "The same accelerators at the market's reserved price, with storage, licences and staff, over the same tokens.",
    ),
    Figure(
        "colocated_cost_per_million_output_tokens_usd",
        "Cost if colocated",
        "$/M tok",
        "lower",
        "Own systems in a landlord's hall at the colocation price, electricity passed on, over the same tokens.",
    ),
    Figure(
        "utilisation_frac",
        "Utilisation",
        "%",
        "higher",
        "Output tokens served over those that could be served within the latency targets.",
        headline=True,
    ),
    Figure("flop_utilisation_frac", "FLOP utilisation", "%", "higher", "Arithmetic done over the dense peak."),
    Figure("bandwidth_utilisation_frac", "Bandwidth utilisation", "%", "higher", "Bytes moved over the memory's peak."),
    Figure(
        "stranded_power_w", "Stranded power", "W", "lower", "Provisioned power that the busiest hour leaves unused."
    ),
    Figure(
        "availability_frac",
        "Availability",
        "%",
        "higher",
        "Expected share of the token capacity that failures and repairs leave over a year.",
        headline=True,
    ),
    Figure("lost_tokens_per_year", "Tokens lost a year", "tok", "lower", "Output tokens expected lost to failures."),
    Figure("ttft_p50_s", "Time to first token, median", "s", "lower", "Arrival to first token, half of requests."),
    Figure(
        "ttft_p95_s",
        "Time to first token, p95",
        "s",
        "lower",
        "Arrival to first token: 95 of 100 requests are at least this quick.",
        headline=True,
    ),
    Figure("itl_p50_s", "Inter-token latency, median", "s", "lower", "Gap between two tokens of one answer."),
    Figure("itl_p95_s", "Inter-token latency, p95", "s", "lower", "Gap that 95 of 100 tokens do not exceed."),
    Figure("slo_attainment_frac", "Targets met", "%", "higher", "Requests inside both latency targets."),
    Figure(
        "good_tokens_per_s",
        "Good tokens",
        "tok/s",
        "higher",
        "Output tokens per second of requests inside all their targets.",
    ),
    Figure(
        "good_tokens_per_joule",
        "Good tokens per watt",
        "tok/J",
        "higher",
        "Good tokens per joule at the utility meter.",
    ),
    Figure(
        "cost_per_million_good_tokens_usd",
        "Cost of good tokens",
        "$/M tok",
        "lower",
        "The same bill over the output tokens of requests inside all their targets.",
    ),
    Figure(
        "cost_per_million_input_tokens_usd",
        "Cost of input tokens",
        "$/M tok",
        "lower",
        "The part of the bill that reading prompts takes of the accelerators' time, over the input tokens.",
    ),
    Figure(
        "blended_cost_per_million_tokens_usd",
        "Blended cost",
        "$/M tok",
        "lower",
        "Three input tokens to one output token, each at what it costs to serve.",
    ),
    Figure("served_frac", "Requests served", "%", "higher", "Requests served over requests that arrive."),
    Figure(
        "refused_frac",
        "Requests refused",
        "%",
        "lower",
        "Requests turned away, or gone when their clients' patience ended, over requests that arrive.",
    ),
    Figure("goodput_tokens_per_s", "Goodput", "tok/s", "higher", "Output tokens of requests inside their targets."),
    Figure("pue", "PUE", "", "lower", "Energy at the meter over energy of IT (ISO/IEC 30134-2)."),
    Figure("wue_l_per_kwh", "WUE", "L/kWh", "lower", "Site water over energy of IT (ISO/IEC 30134-9)."),
    Figure("cue_kg_per_kwh", "CUE", "kg/kWh", "lower", "CO2 of the energy used over energy of IT (ISO/IEC 30134-8)."),
    Figure("nameplate_power_w", "Nameplate power", "W", "", "Sum of the racks' rated inputs."),
    Figure("provisioned_power_w", "Provisioned power", "W", "", "What feeds and plant are rated to carry, per rules."),
    Figure("peak_power_w", "Peak power", "W", "lower", "Highest hour at the meter."),
    Figure(
        "peak_grid_power_w",
        "Peak power from the grid",
        "W",
        "lower",
        "Highest hour of what on-site generation leaves to the grid, with one unit of each source out.",
    ),
    Figure("mean_power_w", "Mean power", "W", "lower", "Mean over the hours at the meter."),
)
BY_NAME = {figure.name: figure for figure in FIGURES}
HEADLINES = tuple(figure for figure in FIGURES if figure.headline)


@dataclass(frozen=True, slots=True)
class Series:
    """One hourly series of a run."""

    name: str
    label: str
    unit: str


SERIES = (
    Series("meter_power_w", "Power at the meter", "W"),
    Series("it_power_w", "IT power at the rack inputs", "W"),
    Series("accelerator_power_w", "Accelerator power", "W"),
    Series("electrical_loss_w", "Electrical losses", "W"),
    Series("heat_rejection_power_w", "Heat-rejection fans and towers", "W"),
    Series("chiller_power_w", "Chillers", "W"),
    Series("pump_power_w", "Pumps and CDUs", "W"),
    Series("air_unit_power_w", "Air units", "W"),
    Series("grid_power_w", "Power from the grid", "W"),
    Series("onsite_power_w", "On-site generation", "W"),
    Series("battery_charge_frac", "Charge of the batteries that shave peaks", "%"),
    Series("fuel_power_w", "Fuel burnt, lower heating value", "W"),
    Series("output_tokens_per_s", "Output tokens", "tok/s"),
    Series("load_frac", "Demand over capacity", "%"),
    Series("tokens_per_joule", "Tokens per watt", "tok/J"),
    Series("pue", "PUE", ""),
    Series("water_kg_per_s", "Water", "kg/s"),
    Series("dry_bulb_degc", "Outside dry bulb", "°C"),
    Series("wet_bulb_degc", "Outside wet bulb", "°C"),
    Series("facility_supply_degc", "Facility water supply", "°C"),
    Series("rack_supply_degc", "Warmest rack coolant supply", "°C"),
    Series("rack_inlet_air_degc", "Warmest rack inlet air", "°C"),
    Series("junction_degc", "Hottest accelerator junction", "°C"),
    Series("clock_frac", "Slowest accelerator clock", "%"),
    Series("economiser_frac", "Free-cooling fraction", "%"),
)
SERIES_BY_NAME = {series.name: series for series in SERIES}

#: The figure that a verdict ranks layouts by where nobody names another.
RANKED_BY = "good_tokens_per_joule"


def peak_from_grid_w(figures: Mapping[str, float | None]) -> float | None:
    """Return the peak [W] from the grid of a run's figures; older runs kept the peak at the meter alone."""
    kept = figures.get("peak_grid_power_w")
    return figures.get("peak_power_w") if kept is None else kept
