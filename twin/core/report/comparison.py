"""What a report says of up to six runs: what they assume differently, who wins, what makes the difference."""

from collections.abc import Mapping, Sequence
from typing import Any

from twin.core.comparison.compare import Comparison, model_note
from twin.core.figures_of_merit import BY_NAME
from twin.core.report import charts
from twin.core.report.bill import bill_rows
from twin.core.report.document import COUNT, NUMBER, UNIT, Column, Report, Section, Table, numbers
from twin.core.report.plan import plans
from twin.core.report.run import ReportedRun, figures_section, warnings
from twin.core.text.numbers import band_text, quantity_text


def lettered(compared: Comparison) -> list[str]:
    """Return the names of the runs as the report writes them."""
    return [f"{letter}: {name}" for letter, name in zip("ABCDEF", compared.names, strict=False)]


def comparison_report(
    runs: Sequence[ReportedRun], compared: Comparison, verdict: Mapping[str, Any], *, made: str
) -> Report:
    """Return the report of a comparison; differences are against the first run.

    Parameters
    ----------
    compared : Comparison
        Of the same runs in the same order.
    verdict : mapping
        Of the same runs under the names of `lettered`, as `core.comparison.verdict` writes it.
    made : str
        When the report is made, as the cover says it.
    """
    names = lettered(compared)
    facts = [(f"Run {letter}", cover_line(run)) for letter, run in zip("ABCDEF", runs, strict=False)]
    cautions = [f"{name}. {text}" for name, run in zip(names, runs, strict=True) for text in warnings(run)]
    if note := model_note(compared.model_versions, [f"run {letter}" for letter in "ABCDEF"[: len(runs)]]):
        cautions.insert(0, note)
    return Report(
        title="Comparison",
        subtitle=" · ".join(names),
        warnings=cautions,
        facts=[("Verdict", verdict["sentence"]), *facts, ("Report made", made)],
        sections=[
            verdict_section(verdict),
            differences_section(compared, names),
            figures_side_by_side(compared, names),
            falls_section(compared, names),
            bills_section(runs, names),
            plans_section(runs, names),
            *(alone(run, name) for run, name in zip(runs, names, strict=True)),
        ],
    )


def cover_line(run: ReportedRun) -> str:
    """Return what the cover says of one run."""
    inputs = run.inputs
    return (
        f"{inputs.site.name}, {inputs.layout.name} (version {inputs.layout.version}) under "
        f"{inputs.scenario.name}; solved {run.finished}, solver: {run.solver.text}, inputs sha256 "
        f"{run.inputs_sha256[:16]}…, run {run.id}"
    )


def verdict_section(verdict: Mapping[str, Any]) -> Section:
    """Return which layout to build, how sure that is, and what would change it."""
    by = verdict["by"]
    ranked_by = BY_NAME[by]
    others = [name for name in ("good_tokens_per_joule", "cost_per_million_good_tokens_usd") if name != by]
    shown = [ranked_by, *(BY_NAME[name] for name in others)]
    ranking = []
    for place, row in enumerate(verdict["ranking"], 1):
        stands = "cannot be built" if row["blocked"] else "misses targets" if row["misses_targets"] else "keeps targets"
        why = "; ".join(row["blocked"] or row["misses_targets"])
        values = [row["figures"].get(figure.name) for figure in shown]
        ranking.append([None if row["blocked"] else place, row["layout"], *values, stands, why])
    differences = [
        [
            BY_NAME[name].label,
            *(entry[end] for end in ("value", "low", "high")),
            BY_NAME[name].unit,
            entry["probability"],
        ]
        for name, entry in verdict["difference"].items()
    ]
    flips = [[entry[name] for name in ("input", "from", "to", "unit", "winner_then")] for entry in verdict["flips"]]
    able = [row["layout"] for row in verdict["ranking"] if not row["blocked"]]
    pair = f"{able[0]} less {able[1]}" if len(able) > 1 else "The first less the second"
    return Section(
        "Verdict",
        [verdict["sentence"], f"Compared at {verdict['basis']}."],
        tables=[
            Table(
                "Ranking",
                "Best first",
                (
                    Column("Place", COUNT),
                    Column("Layout"),
                    *numbers(*((figure.label, figure.unit) for figure in shown)),
                    Column("Stands"),
                    Column("Why"),
                ),
                ranking,
            ),
            Table(
                "Difference",
                pair,
                (
                    Column("Figure"),
                    *(
                        Column(head, NUMBER, unit_from="Unit")
                        for head in ("Difference", "80 % band from", "80 % band to")
                    ),
                    Column("Unit", UNIT),
                    *numbers(("Likely the better", "%")),
                ),
                differences,
                empty="No second layout to differ from.",
            ),
            Table(
                "What would change it",
                "What would change the answer",
                (
                    Column("Input"),
                    *(Column(head, NUMBER, unit_from="Unit") for head in ("Stands at", "Order turns at")),
                    Column("Unit", UNIT),
                    Column("Wins then"),
                ),
                flips,
                empty="No input turns the order within its stated range.",
            ),
            Table(
                "Verdict rests on",
                "What the verdict rests on",
                (Column("Assumption"),),
                [[text] for text in verdict["assumptions"]],
            ),
        ],
    )


def differences_section(compared: Comparison, names: list[str]) -> Section:
    """Return the inputs that are not the same in all runs: they come before any figure."""
    rows = [[row.name, *row.values] for row in compared.assumptions]
    columns = (Column("Input"), *(Column(name) for name in names))
    table = Table(
        "Differences",
        "Inputs that are not the same",
        columns,
        rows,
        n_shown=60,
        empty="None: these runs put the same question to the same layout.",
    )
    return Section("Assumptions that differ", tables=[table])


def figures_side_by_side(compared: Comparison, names: list[str]) -> Section:
    """Return every figure of every run, the winner of each row and why."""
    rows = []
    for row in compared.rows:
        if all(value is None for value in row.values):
            continue
        winners = ", ".join(names[i].partition(":")[0] for i in row.winners)
        rows.append([row.label, *row.values, row.unit, winners, row.why])
    columns = (
        Column("Figure"),
        *(Column(name, NUMBER, unit_from="Unit") for name in names),
        Column("Unit", UNIT),
        Column("Best"),
        Column("Why"),
    )
    relative = [
        [BY_NAME[row.name].label, *(band_text(*ends) for ends in zip(row.bands, row.values, strict=True))]
        for row in compared.rows
        if any(row.bands)
    ]
    bands = [
        [BY_NAME[row.name].label, *(end for band in row.bands for end in (band or (None, None))), row.unit]
        for row in compared.rows
        if any(row.bands)
    ]
    ends = (Column(f"{n[0]} {end}", NUMBER, unit_from="Unit") for n in names for end in ("from", "to"))
    return Section(
        "Figures of merit",
        tables=[
            Table("Figures", "Side by side", columns, rows),
            Table("Bands", "80 % bands", (Column("Figure"), *(Column(n[0]) for n in names)), relative),
            Table(
                "Ends of bands",
                "Ends of the 80 % bands",
                (Column("Figure"), *ends, Column("Unit", UNIT)),
                bands,
                n_shown=0,
            ),
        ],
    )


def falls_section(compared: Comparison, names: list[str]) -> Section:
    """Return what makes the difference from the first run to each other one, in joules, dollars and watts."""
    drawings, rows = [], []
    for title, falls in (
        ("Energy per token", compared.waterfall_j_per_token),
        ("Cost per million tokens", compared.waterfall_usd),
        ("Mean power", compared.waterfall_w),
    ):
        for name, fall in zip(names[1:], falls, strict=False):
            heading = f"{title}: {names[0]} to {name}"
            drawings.append(charts.waterfall(heading, fall, names[0], name))
            rows.append([title, name, "start", None, fall.start, fall.unit])
            rows += [[title, name, step.name, step.change, step.total_after, fall.unit] for step in fall.steps]
    columns = (
        Column("Figure"),
        Column("To"),
        Column("Step"),
        *(Column(head, NUMBER, unit_from="Unit") for head in ("Change", "After it")),
        Column("Unit", UNIT),
    )
    return Section(
        "What makes the difference",
        drawings=drawings,
        tables=[Table("Steps", "Steps of the charts", columns, rows, n_shown=60)],
    )


def bills_section(runs: Sequence[ReportedRun], names: list[str]) -> Section:
    """Return what each layout is made of, and its price."""
    products: dict[str, list[Any]] = {}
    totals = [0.0] * len(runs)
    for i, run in enumerate(runs):
        for name, vendor, _, quantity, counted, price, total, *_ in bill_rows(run.inputs)[0]:
            row = products.setdefault(name, [name, vendor, counted, *([None] * len(runs)), price])
            row[3 + i] = quantity
            totals[i] += total or 0.0
    columns = (
        Column("Product"),
        Column("Vendor"),
        Column("Counted in"),
        *(Column(name, COUNT) for name in names),
        Column("Price each", NUMBER, "$"),
    )
    text = "Total: " + "; ".join(f"{n} {quantity_text(t, '$')}" for n, t in zip(names, totals, strict=True))
    rows = sorted(products.values(), key=lambda row: (-(row[-1] or 0), row[0]))
    total_table = Table(
        "Totals",
        "Price of everything with a price",
        (Column("Layout"), *numbers(("Price", "$"))),
        [[name, total] for name, total in zip(names, totals, strict=True)],
    )
    return Section(
        "Bill of materials", [f"{text}."], tables=[Table("Bill of materials", "Products", columns, rows), total_table]
    )


def plans_section(runs: Sequence[ReportedRun], names: list[str]) -> Section:
    """Return the plans of all layouts."""
    drawings = []
    for run, name in zip(runs, names, strict=True):
        for drawing in plans(run.inputs, run.racks, run.cdu_places):
            drawing.title = f"{name}. {drawing.title}"
            drawings.append(drawing)
    return Section("Drawings", ["Plans are to scale, each with its own; the bar says which."], drawings=drawings)


def alone(run: ReportedRun, name: str) -> Section:
    """Return one run's headline figures."""
    section = figures_section(run)
    return Section(name, section.texts, section.cards)
