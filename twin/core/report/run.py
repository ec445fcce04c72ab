"""What a report says of one run: its figures, what limits it, its drawings, failures, costs and inputs.

Everything comes from what the run stored: the snapshot it solved, and its results. Later changes of the layout or the
catalogue do not show in it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from power_cooling.site_facts.confidence import WEAKEST_FIRST
from twin.core.charts.geometry import month_spans
from twin.core.comparison.tornado import FIGURES as TORNADO_FIGURES
from twin.core.comparison.tornado import SensitivityRow, most_moving
from twin.core.figures_of_merit import BY_NAME, FIGURES, HEADLINES, SERIES_BY_NAME
from twin.core.inputs.design_hour import design_text
from twin.core.inputs.layout import LayoutInputs
from twin.core.provenance import Solver
from twin.core.report import charts
from twin.core.report.bill import bill_rows
from twin.core.report.description import description_section
from twin.core.report.diagrams import LETTERS
from twin.core.report.document import (
    COUNT,
    MARK,
    NUMBER,
    UNIT,
    YEAR,
    Card,
    Column,
    Report,
    Section,
    Table,
    numbers,
    rows_of,
)
from twin.core.report.plan import plans
from twin.core.report.shapes import Drawing
from twin.core.results.details import AvailabilityNote, RunDetails
from twin.core.results.findings import run_findings
from twin.core.text.field_names import assumption_words, fact_text, field_unit, field_words
from twin.core.text.numbers import band_text, date_text, is_number, quantity_text

N_SHOWN = 16  # rows of long tables in page and PDF
NOT_STORED = "Not stored for this run; run it again."


@dataclass(frozen=True, slots=True, eq=False)
class ReportedRun:
    """A finished run as it was stored, as plain values."""

    id: str
    finished: str
    solver: Solver
    inputs_sha256: str
    figures: Mapping[str, float | None]
    bands: Mapping[str, list[float]]
    details: RunDetails
    inputs: LayoutInputs
    series: Mapping[str, NDArray[Any]]
    racks: Mapping[str, NDArray[Any]]
    version_now: int  # of the layout, when the report is made
    is_stale: bool = False  # layout, scenario or site have been changed since
    place: str = ""
    status: str = ""
    cdu_places: Mapping[int, tuple[Any, ...]] = field(default_factory=dict)
    tornado: tuple[SensitivityRow, ...] = ()  # none as long as nobody asked for it
    diagrams: tuple[Drawing, ...] = ()  # one-line and loop, drawn from the same snapshot

    @property
    def name(self) -> str:
        """What tells runs apart."""
        return f"{self.inputs.layout.name}, {self.inputs.scenario.name}"


def run_report(run: ReportedRun, *, made: str) -> Report:
    """Return the report of a run.

    Parameters
    ----------
    made : str
        When the report is made, as the cover says it.
    """
    inputs = run.inputs
    return Report(
        title=inputs.layout.name,
        subtitle=f"{inputs.site.name} under {inputs.scenario.name}",
        facts=cover_facts(run, made),
        warnings=warnings(run),
        sections=[
            figures_section(run),
            limits_section(run),
            drawings_section(run),
            charts_section(run),
            workloads_section(run),
            findings_section(run),
            failures_section(run),
            costs_section(run),
            tornado_section(run),
            bill_section(run),
            racks_section(run),
            description_section(run.inputs),
            assumptions_section(run),
            solution_section(run),
        ],
    )


def cover_facts(run: ReportedRun, made: str) -> list[tuple[str, str]]:
    """Return what the cover says about what was solved and when."""
    inputs = run.inputs
    site, layout, scenario = inputs.site, inputs.layout, inputs.scenario
    return [
        ("Site", f"{site.name}{f' ({run.place})' if run.place else ''}"),
        ("Grid connection", quantity_text(site.grid_limit_w, "W")),
        ("Region", site.region.name),
        ("Layout", f"{layout.name}, version {layout.version}{f', {run.status}' if run.status else ''}"),
        ("Halls and racks", f"{len(inputs.halls)} and {len(inputs.racks):,}"),
        ("Scenario", scenario.name),
        (
            "Serves",
            "; ".join(row.served_text for row in run.details.per_workload)
            or ", ".join(share.workload.name for share in scenario.workloads),
        ),
        ("Weather", f"{inputs.weather.name}, {inputs.weather.n_hours:,} hours"),
        ("Solved", run.finished),
        ("Solver", run.solver.text),
        ("Run", run.id),
        ("Inputs", f"sha256 {run.inputs_sha256}"),
        ("Report made", made),
    ]


def warnings(run: ReportedRun) -> list[str]:
    """Return what a reader must know before anything else."""
    solved, now = run.inputs.layout.version, run.version_now
    cautions = []
    if run.is_stale:
        what = (
            f"The layout has been changed since: version {solved} was solved and is reported here, it is at version "
            f"{now} now."
        )
        if solved == now:
            what = "The scenario, the site or a product has been changed since: what was solved then is reported here."
        cautions.append(f"{what} Run it again for a report of what stands there today.")
    if not run.details.solver.converged:
        cautions.append(f"The solver did not converge: {run.details.solver.message}")
    if run.details.weather_caution:
        cautions.append(run.details.weather_caution)
    return cautions


def figures_section(run: ReportedRun) -> Section:
    """Return the six headlines and all figures of merit with their bands."""
    cards = [
        Card(
            f.label,
            quantity_text(run.figures.get(f.name), f.unit),
            band_text(run.bands.get(f.name), run.figures.get(f.name)),
            f.meaning,
        )
        for f in HEADLINES
    ]
    rows = [
        [f.label, run.figures.get(f.name), *(run.bands.get(f.name) or (None, None)), f.unit, f.meaning] for f in FIGURES
    ]
    columns = (
        Column("Figure"),
        *(Column(head, NUMBER, unit_from="Unit") for head in ("Value", "80 % band from", "80 % band to")),
        Column("Unit", UNIT),
        Column("Meaning"),
    )
    weakest = run.details.confidence
    served = [row.served_text for row in run.details.per_workload]
    text = "± is the 80 % band. Energy is counted at the utility meter unless a figure says IT."
    if weakest:
        text += f" The weakest input of this run is {weakest}; see Assumptions."
    return Section("Figures of merit", [*served, text], cards, tables=[Table("Figures", "All figures", columns, rows)])


def limits_section(run: ReportedRun) -> Section:
    """Return how close each object came to what it may do, and what is left."""
    columns = (
        Column("Object"),
        Column("Quantity"),
        *(Column(head, NUMBER, unit_from="Unit") for head in ("Worst hour", "Limit")),
        Column("Unit", UNIT),
        Column("When"),
    )
    n_hours = run.inputs.weather.n_hours
    limits = [
        [*row, "" if hour is None else date_text(hour, n_hours)]
        for *row, hour in rows_of(run.details.limits, "object", "kind", "value", "limit", "unit", "hour")
    ]
    margins = rows_of(run.details.margins, "object", "kind", "value", "unit")
    margin_columns = (
        Column("Object"),
        Column("Quantity"),
        Column("Smallest margin", NUMBER, unit_from="Unit"),
        Column("Unit", UNIT),
    )
    near = rows_of(
        run.details.throttle_margins,
        "system",
        "cdu_group",
        "margin_k",
        "supply_degc",
        "throttling_from_degc",
        "throttling_below_flow_frac",
        "limit_degc",
        "basis",
        "hour",
    )
    near = [[*row, date_text(hour, n_hours)] for *row, hour in near]
    near_columns = (
        Column("System"),
        Column("CDU group"),
        *numbers(
            ("Margin", "K"),
            ("Coolant then", "°C"),
            ("Throttling from", "°C"),
            ("At today's coolant below a flow of", "%"),
            ("Junction limit", "°C"),
        ),
        Column("Resistance is"),
        Column("When"),
    )
    return Section(
        "Limits and margins",
        ["Tightest first; each in its worst hour of the year."],
        tables=[
            Table("Limits", "What limits it", columns, limits, n_shown=N_SHOWN, empty="Nothing came near a limit."),
            Table(
                "Margins",
                "What is left",
                margin_columns,
                margins,
                n_shown=N_SHOWN,
                empty=NOT_STORED,
            ),
            Table("Throttling", "Margin to throttling", near_columns, near, empty="No liquid-cooled accelerators."),
        ],
    )


def drawings_section(run: ReportedRun) -> Section:
    """Return the plans to scale, the one-line diagram and the loops."""
    drawn = plans(run.inputs, run.racks, run.cdu_places)
    text = "Plans are to scale; the bar says which."
    if run.inputs.cdus and not run.cdu_places and run.inputs.cdus[0].x_m is None:
        text += " CDUs are not on it: this run did not keep where they stand, and the layout has changed since."
    if run.diagrams:
        text += f" {LETTERS} Bars show load over rating."
    else:
        text += " The one-line diagram and the loops are missing: this version of the solver cannot read this snapshot."
    return Section("Drawings", [text], drawings=[*drawn, *run.diagrams])


def charts_section(run: ReportedRun) -> Section:
    """Return the energy flow, the year at the meter and the months behind it."""
    drawings, tables = [charts.energy_flow(run.details.energy_flow)], []
    if "meter_power_w" in run.series:
        meter, values = SERIES_BY_NAME["meter_power_w"], run.series["meter_power_w"]
        drawings += [charts.year_map(meter.label, meter.unit, values), charts.duration(meter.label, meter.unit, values)]
        tables.append(Table("Months", "The year by month", month_columns(run), month_rows(run)))
    parts = rows_of(run.details.pue_lines, "part", "what", "mean_power_w", "pue")
    columns = (Column("Part"), Column("What it is"), *numbers(("Mean power", "W"), ("PUE", "")))
    if parts:
        parts.append(["Sum", "", sum(row[2] for row in parts), sum(row[3] for row in parts)])
    title = f"PUE line by line ({run.details.cooling})" if run.details.cooling else "PUE line by line"
    tables.append(Table("PUE", title, columns, parts, empty=NOT_STORED))
    published = rows_of(run.details.published_pue, "name", "cooling", "pue", "wue_l_per_kwh", "year", "source")
    columns = (
        *(Column(head) for head in ("Site or fleet", "Cooling")),
        *numbers(("PUE", ""), ("WUE", "L/kWh")),
        Column("Year", YEAR),
        Column("Source"),
    )
    tables.append(Table("Published PUE", "PUE and WUE that others published", columns, published, empty="None kept."))
    flows = rows_of(run.details.energy_flow, "source", "target", "energy_j")
    columns = (Column("From"), Column("To"), Column("Energy a year", NUMBER, "Wh"))
    if run.details.generation:
        tables.append(generation_table(run.details))
    if run.details.shaving:
        tables.append(shaving_table(run.details))
    tables.append(Table("Energy flow", "Where the energy goes", columns, flows, empty=NOT_STORED))
    return Section("The year", drawings=[d for d in drawings if d], tables=tables)


def shaving_table(details: RunDetails) -> Table:
    """Return what batteries shaved off the highest power from the grid."""
    columns = (
        Column("Batteries"),
        *numbers(
            ("Power", "W"),
            ("Energy", "Wh"),
            ("Kept in reserve", "Wh"),
            ("Peak before", "W"),
            ("Peak after", "W"),
            ("Demand charge saved a year", "$"),
            ("Losses, mean", "W"),
            ("Cycles a year", ""),
        ),
    )
    row = details.shaving
    rows = (
        [
            [
                ", ".join(row.names),
                row.power_w,
                row.energy_j,
                row.reserve_j,
                row.peak_before_w,
                row.peak_after_w,
                row.saved_usd_per_year,
                row.loss_w,
                row.cycles_per_year,
            ]
        ]
        if row
        else []
    )
    return Table("Peak shaving", "Peak shaving", columns, rows)


def generation_table(details: RunDetails) -> Table:
    """Return what on-site sources give, burn, cost and emit."""
    columns = (
        *(Column(head) for head in ("Source", "Runs beside", "Fuel")),
        Column("Units", COUNT),
        *numbers(
            ("Rating of one", "W"),
            ("Mean power", "W"),
            ("Of the site's energy", "%"),
            ("Efficiency", "%"),
            ("Price of fuel", "$/kWh"),
            ("Fuel a year", "$"),
            ("Operation and maintenance a year", "$"),
            ("Installed", "$"),
            ("Cost of what it generates", "$/kWh"),
            ("CO₂", "kg/kWh"),
        ),
    )
    rows = rows_of(
        details.generation,
        "name",
        "beside",
        "fuel",
        "n_units",
        "unit_rating_w",
        "mean_power_w",
        "share_frac",
        "efficiency_frac",
        "fuel_usd_per_kwh",
        "fuel_usd_per_year",
        "maintenance_usd_per_year",
        "capital_usd",
        "usd_per_kwh",
        "carbon_kg_per_kwh",
    )
    return Table("Generation", "On-site generation (beside no utility: an island)", columns, rows)


MONTH_SERIES = ("meter_power_w", "it_power_w", "pue", "output_tokens_per_s", "tokens_per_joule", "dry_bulb_degc")


def month_columns(run: ReportedRun) -> tuple[Column, ...]:
    """Return the columns of the table by month: means of the series that the run kept, and the highest power."""
    kept = [SERIES_BY_NAME[name] for name in MONTH_SERIES if name in run.series]
    means = numbers(*((f"{series.label}, mean", series.unit) for series in kept))
    return (Column("Month"), *means, *numbers(("Highest power at the meter", "W")))


def month_rows(run: ReportedRun) -> list[list[Any]]:
    """Return the means of each month."""
    kept = [np.asarray(run.series[name], dtype=float) for name in MONTH_SERIES if name in run.series]
    meter = np.asarray(run.series["meter_power_w"], dtype=float)
    return [
        [name, *(float(np.nanmean(values[at])) for values in kept), float(meter[at].max())]
        for name, at in month_spans(meter.size)
    ]


def workloads_section(run: ReportedRun) -> Section:
    """Return the workloads: throughput and latency."""
    columns = (
        Column("Use case"),
        Column("Model"),
        Column("Configuration"),
        Column("Accelerators", COUNT),
        *numbers(
            ("Requests", "req/s"),
            ("Output", "tok/s"),
            ("TTFT p50", "s"),
            ("TTFT p95", "s"),
            ("TTFT target", "s"),
            ("ITL p95", "s"),
            ("ITL target", "s"),
            ("Targets met", "%"),
        ),
    )
    rows = []
    for row in run.details.per_workload:
        configuration = row.configuration if row.feasible else f"does not fit: {row.reason}"
        if row.choice:  # runs of before it was kept have none
            configuration = f"{configuration} ({row.choice})" if configuration else row.choice
        names = (
            "n_accelerators",
            "offered_requests_per_s",
            "output_tokens_per_s",
            "ttft_p50_s",
            "ttft_p95_s",
            "target_ttft_s",
            "itl_p95_s",
            "target_itl_s",
            "slo_attainment_frac",
        )
        rows.append([row.name, row.model_name, configuration, *(getattr(row, name) for name in names)])
    table = Table("Workloads", "Use cases", columns, rows, empty="No one is served.")
    return Section("Who is served", [*sessions_texts(run), *cpu_texts(run.details)], tables=[table, tools_table(run)])


def tools_table(run: ReportedRun) -> Table:
    """Return the CPU time of each use case's requests and tool calls."""
    columns = (
        Column("Use case"),
        *numbers(
            ("Tool calls per request", ""),
            ("CPU time of a call, core", "s"),
            ("CPU time of a request, core", "s"),
            ("Cores, mean", ""),
            ("Cores, busiest hour", ""),
        ),
    )
    names = ("name", "tool_calls_per_request", "tool_core_s", "request_core_s", "mean_cores", "busiest_cores")
    rows = rows_of(run.details.tool_calls, *names)
    return Table("Tool calls", "Tool calls and their CPU time", columns, rows, empty=NOT_STORED)


def cpu_texts(details: RunDetails) -> list[str]:
    """Return how many CPU servers stand and how many the busiest hour needs; nothing where none is described."""
    if not details.cpu_servers:
        return []
    units, cores = (sum(getattr(row, name) for row in details.cpu_servers) for name in ("n_units", "cores"))
    texts = [
        f"{units:,} CPU servers with {cores:,.0f} cores run tools, routers and planners and draw "
        f"{quantity_text(details.cpu_mean_power_w, 'W')} on average; the busiest hour wants "
        f"{details.cpu_busiest_cores or 0.0:,.0f} cores and needs {details.cpu_servers_needed or 0:,} servers."
    ]
    if details.cpu_longest_wait_s is not None:
        texts.append(
            f"A request waits for cores {quantity_text(details.cpu_longest_wait_s, 's')} in the worst hour; in "
            f"{details.cpu_short_hours or 0.0:,.0f} hours the cores hold requests back."
        )
    return texts


def sessions_texts(run: ReportedRun) -> list[str]:
    """Return of each use case whose requests join into sessions how many there are, and what they find cached."""
    return [
        f"{row.name}: {quantity_text(row.cached_prompt_frac, '%')} of its prompts are found in the prefix cache; "
        f"at most {quantity_text(row.sessions_peak, '')} sessions are under way, answered or paused."
        for row in run.details.per_workload
        if row.sessions_peak
    ]


def findings_section(run: ReportedRun) -> Section:
    """Return what the rules found in the layout when it ran, and what its solved year shows beyond them."""
    columns = (
        Column("Severity"),
        Column("Object"),
        Column("Rule"),
        Column("What is wrong"),
        *(Column(head, NUMBER, unit_from="Unit") for head in ("Value", "Limit")),
        Column("Unit", UNIT),
    )
    names = ("severity", "object_name", "rule", "message", "value", "limit", "unit")
    rows = rows_of(run.details.findings, *names)
    solved = [
        [f.severity, f.object_name, f.rule.removeprefix("run-"), f.message, f.value, f.limit, f.unit]
        for f in run_findings(run.details)
    ]
    for row in (*rows, *solved):
        row[2] = row[2].replace("-", " ")
    tally = Counter(row[0] for row in (*rows, *solved))
    text = ", ".join(f"{tally[word]} {word}" for word in ("blocking", "risk", "hint"))
    return Section(
        "Findings",
        [f"When it ran: {text}."],
        tables=[
            Table("Findings", "Rules that the layout broke", columns, rows, n_shown=60, empty="No rule was broken."),
            Table(
                "Findings of the year",
                "What the solved year shows",
                columns,
                solved,
                n_shown=60,
                empty="Nothing beyond the rules.",
            ),
        ],
    )


def failures_section(run: ReportedRun) -> Section:
    """Return availability, what single failures cost and what happens in the seconds after a loss."""
    uptime = run.details.availability
    levels = sorted(uptime.capacity_distribution, key=lambda row: -row.h_per_year)
    less = [row for row in levels if row.capacity_frac < 1]
    shown = [(f"{quantity_text(row.capacity_frac, '%')} of capacity", row.h_per_year) for row in less]
    lost = [(row.name, row.lost_tokens_per_year) for row in uptime.groups[:10]]
    drawings = [
        charts.bars("Hours a year below full capacity", shown[:8], "h", 3),
        charts.bars("Output tokens lost a year, by group", lost, "tok", 6),
    ]
    failures = sorted(run.details.failures, key=lambda row: -row.lost_tokens_per_s)
    return Section(
        "Availability, failures and drills",
        failure_texts(uptime),
        drawings=[d for d in drawings if d],
        tables=[
            Table(
                "Availability",
                "Groups of parts that back each other up",
                (
                    Column("Group"),
                    Column("Units", COUNT),
                    *numbers(
                        ("Capacity after one fails", "%"),
                        ("Available", "%"),
                        ("Planned outages a year", "h"),
                        ("Storage lasts", "s"),
                        ("Tokens lost a year", "tok"),
                        ("One more unit saves", "tok"),
                    ),
                ),
                rows_of(
                    uptime.groups,
                    "name",
                    "n",
                    "capacity_after_one_failure_frac",
                    "availability_frac",
                    "planned_h_per_year",
                    "ride_through_s",
                    "lost_tokens_per_year",
                    "one_more_gain_tokens_per_year",
                ),
                n_shown=N_SHOWN,
            ),
            Table(
                "Capacity",
                "Share of the time at a capacity",
                numbers(("Capacity left", "%"), ("Share of the time", "%"), ("Hours a year", "h")),
                rows_of(levels, "capacity_frac", "probability", "h_per_year"),
                n_shown=8,
            ),
            Table(
                "Failures",
                "What single failures cost, worst first",
                (Column("Fails"), *numbers(("Capacity left", "%"), ("Tokens lost", "tok/s")), Column("What happens")),
                rows_of(failures, "object", "capacity_frac", "lost_tokens_per_s", "message"),
                n_shown=N_SHOWN,
            ),
            Table(
                "Drills",
                "Seconds after a loss or a burst of load",
                (
                    Column("Lost, or loaded"),
                    Column("Plant"),
                    *numbers(
                        ("Throttles after", "s"),
                        ("Trips after", "s"),
                        ("Recovered after", "s"),
                        ("Hottest accelerator", "°C"),
                    ),
                ),
                rows_of(
                    run.details.drills,
                    "loss",
                    "plant",
                    "seconds_to_throttle",
                    "seconds_to_trip",
                    "recovers_s",
                    "hottest_degc",
                ),
                note=f"At the busiest load in the {design_text(run.inputs.layout)}, followed for an hour; "
                "a dash: it does not happen within that hour.",
            ),
            Table(
                "Hall air",
                "Air of the halls, and work in the hot aisle",
                (
                    Column("Hall"),
                    *numbers(
                        ("Supply", "°C"),
                        ("Inlets, mean", "°C"),
                        ("Warmest inlet", "°C"),
                        ("Hot aisle", "°C"),
                        ("SHI", "%"),
                        ("RTI", "%"),
                        ("RCI high", "%"),
                        ("Wet-bulb globe", "°C"),
                        ("REL (acclimatised)", "°C"),
                        ("Work allowed", "min"),
                    ),
                ),
                rows_of(
                    run.details.hall_air,
                    "hall",
                    "supply_degc",
                    "inlet_mean_degc",
                    "inlet_max_degc",
                    "hot_aisle_degc",
                    "shi_frac",
                    "rti_frac",
                    "rci_high_frac",
                    "wbgt_degc",
                    "exposure_limit_degc",
                    "allowed_minutes",
                ),
                note="In the hour in which each hot aisle is hottest. Wet-bulb globe temperature by ISO 7243 with "
                "NIOSH's exposure limit; minutes of a shift of 480 by ISO 7933:2023; "
                "a dash: outside what that holds for.",
            ),
        ],
    )


def failure_texts(uptime: AvailabilityNote) -> list[str]:
    """Return the sentences about lost tokens."""
    if uptime.lost_tokens_p95_per_year is None:
        return []
    return [
        f"Failures are expected to cost {quantity_text(uptime.lost_tokens_per_year, 'tok')} a year; in one year of "
        f"twenty {quantity_text(uptime.lost_tokens_p95_per_year, 'tok')} or more. {_interruptions_text(uptime)} "
        f"{quantity_text(uptime.interruptions_per_year)} times a year, "
        f"{quantity_text(uptime.mean_interruption_h, 'h')} each."
    ] + planned_texts(uptime)


def _interruptions_text(uptime: AvailabilityNote) -> str:
    if uptime.interruption_frac is None:  # runs of older versions count any loss
        return "Full capacity is interrupted"
    least = quantity_text(uptime.interruption_frac, "%")
    return f"Interruptions, assumed to be losses of {least} of capacity or more, come"


def planned_texts(uptime: AvailabilityNote) -> list[str]:
    """Return the sentence about planned outages and repairs, which runs of older versions do not have."""
    if uptime.planned_lost_tokens_per_year is None:
        return []
    crews = uptime.repair_crews
    return [
        f"Of these tokens planned outages cost {quantity_text(uptime.planned_lost_tokens_per_year, 'tok')} a year; "
        f"{f'at most {crews}' if crews else 'any number of'} repairs go on at the same time."
    ]


def costs_section(run: ReportedRun) -> Section:
    """Return the cost of a year by item, and what moves the cost of a token most."""
    costs = sorted(run.details.costs, key=lambda row: -row.usd_per_year)
    total = sum(row.usd_per_year for row in costs)
    rows = [[row.item, row.usd_per_year, row.usd_per_year / total if total else None] for row in costs]
    rows.append(["Total", total, 1.0 if total else None])
    drawn = charts.bars("Cost a year by item", [(row.item, row.usd_per_year) for row in costs], "$/year")
    sensitivities = [
        [field_words(row.input), row.low, row.high, field_unit(row.input), row.cost_low_usd, row.cost_high_usd]
        for row in run.details.sensitivities
    ]
    built = rows_of(run.details.capital, "item", "usd", "low_usd", "high_usd")
    cost = BY_NAME["cost_per_million_output_tokens_usd"]
    rent = run.details.rent.cost_per_million_output_tokens_usd
    text = f"Built and owned {quantity_text(run.figures.get(cost.name), cost.unit)}; "
    text += f"the same accelerators rented {quantity_text(rent, cost.unit)}."
    options = [
        [
            row.name,
            row.usd_at_start,
            row.usd_per_year,
            row.cost_per_million_output_tokens_usd,
            ""
            if i == 0
            else f"from month {row.owning_wins_month}"
            if row.owning_wins_month
            else "not within their life",
        ]
        for i, row in enumerate(run.details.options)
    ]
    return Section(
        "Costs",
        [text],
        drawings=[drawn] if drawn else [],
        tables=[
            Table("Costs", "Cost of a year", (Column("Item"), *numbers(("A year", "$/year"), ("Share", "%"))), rows),
            Table(
                "Capital",
                "Cost to build",
                (Column("Item"), *numbers(("Cost", "$"), ("Low", "$"), ("High", "$"))),
                built,
                empty=NOT_STORED,
            ),
            Table(
                "Own or rent",
                "Own, colocate or rent",
                (
                    Column("The same accelerators"),
                    *numbers(("Paid at the start", "$"), ("A year", "$/year"), ("Cost", cost.unit)),
                    Column("Owning wins"),
                ),
                options,
                empty=NOT_STORED,
            ),
            Table(
                "Sensitivities",
                "What moves the cost of a token most",
                (
                    Column("Input"),
                    *(Column(head, NUMBER, unit_from="Unit") for head in ("Low", "High")),
                    Column("Unit", UNIT),
                    *numbers(("Cost at low", cost.unit), ("Cost at high", cost.unit)),
                ),
                sensitivities,
            ),
        ],
    )


def tornado_section(run: ReportedRun) -> Section:
    """Return the inputs that move cost, tokens per watt and availability most."""
    tables = []
    for name in TORNADO_FIGURES:
        figure = BY_NAME[name]
        columns = (
            Column("Input"),
            *(Column(head, NUMBER, unit_from="Unit") for head in ("From", "To")),
            Column("Unit", UNIT),
            *numbers((f"{figure.label} at from", figure.unit), ("At to", figure.unit)),
            Column("Confidence", MARK),
            Column("Source"),
        )
        rows = [
            [
                row.input,
                row.low,
                row.high,
                "" if row.unit == "1" else row.unit,
                row.figure_low,
                row.figure_high,
                row.confidence,
                row.source,
            ]
            for row in most_moving(run.tornado, name)
        ]
        if rows:
            tables.append(Table(f"Moves {figure.label}", f"What moves {figure.label.lower()} most", columns, rows))
    text = "Each assumed or estimated input alone, from one end of its range to the other."
    return Section(
        "Sensitivity", [text if tables else "Nobody has asked for it; the run's page has it computed."], tables=tables
    )


def bill_section(run: ReportedRun) -> Section:
    """Return what the solved layout is made of, with the prices it was solved with."""
    rows, without = bill_rows(run.inputs)
    total = sum(row[6] or 0.0 for row in rows)
    columns = (
        Column("Product"),
        Column("Vendor"),
        Column("For"),
        Column("Quantity", COUNT),
        Column("Counted in"),
        Column("Price each", NUMBER, "$"),
        Column("Price", NUMBER, "$"),
        Column("Low", NUMBER, "$"),
        Column("High", NUMBER, "$"),
        Column("Year", YEAR),
        Column("Confidence", MARK),
        Column("Source"),
    )
    low, high = (sum(row[at] or 0.0 for row in rows) for at in (7, 8))
    rows.append(["Total", "", "", None, "", None, total, low, high, None, "", ""])
    text = "Street prices from the catalogue as it was when this ran."
    if without:
        text += f" Without a price, so not in the total: {', '.join(without)}."
    return Section("Bill of materials", [text], tables=[Table("Bill of materials", "Products", columns, rows)])


RACK_ARRAYS = (
    ("Mean power", "mean_power_w", "W"),
    ("Highest power", "max_power_w", "W"),
    ("Warmest coolant supply", "max_supply_degc", "°C"),
    ("Hottest accelerator", "max_junction_degc", "°C"),
    ("Warmest inlet air", "max_inlet_air_degc", "°C"),
    ("Slowest clock", "min_clock_frac", "%"),
    ("Throttled", "throttled_hours", "h"),
    ("Output", "output_tokens_per_s", "tok/s"),
)


def racks_section(run: ReportedRun) -> Section:
    """Return the racks: by product in page and PDF, every one in the spreadsheet."""
    racks = run.inputs.racks
    halls = {hall.id: hall.name for hall in run.inputs.halls}
    known = [(head, name, unit) for head, name, unit in RACK_ARRAYS if name in run.racks]
    at = {int(pk): i for i, pk in enumerate(run.racks.get("rack_id", ()))}
    products = [run.inputs.product_name(pk) or "no product" for pk in racks.product_id]
    rows = []
    for i, pk in enumerate(racks.id):
        values = [float(run.racks[name][at[pk]]) if pk in at else None for _, name, _ in known]
        rows.append(
            [
                racks.name[i],
                halls[racks.hall_id[i]],
                racks.row[i],
                racks.role[i],
                products[i],
                *(v if v is not None and np.isfinite(v) else None for v in values),
            ]
        )
    heads = (Column("Rack"), Column("Hall"), Column("Row"), Column("Role"), Column("Product"))
    every = Table("Racks", "Every rack", (*heads, *numbers(*((h, u) for h, _, u in known))), rows, n_shown=0)
    return Section("Racks", tables=[by_product(products, rows, len(heads), known), every])


def by_product(products: Iterable[str], rows: list[list[Any]], first: int, known: list[tuple[Any, ...]]) -> Table:
    """Return the racks by product: how many, and mean or worst of what the run says of them."""
    groups: dict[str, list[list[Any]]] = {}
    for product, row in zip(products, rows, strict=True):
        groups.setdefault(product, []).append(row)
    worst = {"min_clock_frac": min}
    merged = []
    for product, members in groups.items():
        cells = []
        for i, (_, name, _) in enumerate(known):
            values = [row[first + i] for row in members if row[first + i] is not None]
            pick = worst.get(name, max) if not name.startswith(("mean", "output")) else lambda v: sum(v) / len(v)
            cells.append(pick(values) if values else None)
        merged.append([product, len(members), *cells])
    columns = (Column("Product"), Column("Racks", COUNT), *numbers(*((h, u) for h, _, u in known)))
    note = "Mean power and output are means over the racks; the rest is the worst rack's."
    return Table("Racks by product", "Racks by product", columns, merged, note=note)


def assumptions_section(run: ReportedRun) -> Section:
    """Return every input with source and confidence, the weakest first."""
    found = sorted(run.details.assumptions, key=lambda row: WEAKEST_FIRST.index(row.confidence))
    rows = []
    for row in found:
        holder, label, unit = assumption_words(row.object, row.field, row.unit)
        is_text = not is_number(row.value) or (isinstance(row.value, int) and not unit)
        value = [fact_text(row.value, unit), ""] if is_text else [row.value, unit]
        rows.append([holder, label, *value, row.confidence, row.source])
    columns = (
        Column("Object"),
        Column("Input"),
        Column("Value", NUMBER, unit_from="Unit"),
        Column("Unit", UNIT),
        Column("Confidence", MARK),
        Column("Source"),
    )
    tally = Counter(row.confidence for row in found)
    tally_text = ", ".join(f"{tally[word]} {word}" for word in WEAKEST_FIRST if tally[word])
    return Section(
        "Assumptions",
        [f"Weakest first: these are the ones to firm up. {tally_text.capitalize()}."],
        tables=[Table("Assumptions", "Inputs with their sources", columns, rows)],
    )


def solution_section(run: ReportedRun) -> Section:
    """Return how it was solved and how well the balances close."""
    solver, balance = run.details.solver, run.details.balance
    rows = [
        ["Converged", "yes" if solver.converged else "no"],
        ["Iterations", str(solver.iterations or "")],
        ["Message", solver.message],
        ["Model version", run.solver.version],
        ["Solver, sha256", run.solver.digest],
        ["Power balance closes to", f"{balance.power_rel:.1e} relative" if balance.power_rel is not None else ""],
        ["Heat balance closes to", f"{balance.heat_rel:.1e} relative" if balance.power_rel is not None else ""],
        ["Inputs, sha256", run.inputs_sha256],
    ]
    return Section("How it was solved", tables=[Table("Solution", "Solution", (Column("What"), Column("Value")), rows)])
