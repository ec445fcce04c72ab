"""What compared runs assume differently: first the question, then the place, what stands there, and the data."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from compute.steady.pins import Restrictions
from twin.core.comparison.runs import ComparedRun
from twin.core.inputs.layout import LayoutInputs, ScenarioInputs
from twin.core.inputs.storage import cache_tier
from twin.core.provenance import solver_of
from twin.core.results.details import Assumption
from twin.core.text.field_names import assumption_words, fact_text
from twin.core.text.numbers import quantity_text

QUESTION, PLACE, LAYOUT, MODEL, DATA = "Question", "Place and prices", "Layout", "Serving and solver", "Product data"
GROUPS = (QUESTION, PLACE, LAYOUT, MODEL, DATA)
ABSENT = "–"


@dataclass(frozen=True, slots=True)
class AssumptionRow:
    """One input that is not the same in all runs; `values` has one text per run."""

    group: str
    name: str
    values: list[str]


def differing_assumptions(runs: Sequence[ComparedRun]) -> list[AssumptionRow]:
    """Return the inputs whose values are not the same in all runs, in the order of `GROUPS`."""
    by_run = [_assumptions(run) for run in runs]
    keys = list(dict.fromkeys(key for assumed in by_run for key in assumed))
    rows = [AssumptionRow(*key, [assumed.get(key, ABSENT) for assumed in by_run]) for key in keys]
    rows = [row for row in rows if len(set(row.values)) > 1] + differing_product_data(runs)
    return sorted(rows, key=lambda row: GROUPS.index(row.group))


def differing_questions(rows: Sequence[AssumptionRow]) -> list[AssumptionRow]:
    """Return the rows that make the runs answers to different questions: then figures compare only with care."""
    return [row for row in rows if row.group == QUESTION]


def differing_product_data(runs: Sequence[ComparedRun]) -> list[AssumptionRow]:
    """Return data of one and the same product that had another value in some run: the catalogue changed between."""
    read = [dict(map(_datum, run.details.assumptions)) for run in runs]
    rows = []
    for name in dict.fromkeys(name for read_of_run in read for name in read_of_run):
        values = [read_of_run.get(name) for read_of_run in read]
        if len({value for value in values if value is not None}) > 1:
            rows.append(AssumptionRow(DATA, name, [value or ABSENT for value in values]))
    return rows


def _datum(row: Assumption) -> tuple[str, str]:
    """Return an input's name and its value as text."""
    holder, label, unit = assumption_words(row.object, row.field, row.unit)
    return f"{holder}: {label}", fact_text(row.value, unit)


def _assumptions(run: ComparedRun) -> dict[tuple[str, str], str]:
    """Return what a run assumed, as text by group and name."""
    inputs = run.inputs
    site, region = inputs.site, inputs.site.region
    price = inputs.scenario.electricity_usd_per_kwh
    facts = region.facts
    texts = {(QUESTION, name): text for name, text in _question(inputs).items()}
    texts |= {
        (PLACE, "Site"): site.name,
        (PLACE, "Weather"): inputs.weather.name,
        (PLACE, "Region"): region.name,
        (PLACE, "Electricity"): quantity_text(facts["electricity_usd_per_kwh"] if price is None else price, "$/kWh"),
        (PLACE, "Grid carbon"): _given(facts.get("grid_carbon_kg_per_kwh"), "kg/kWh"),
        (PLACE, "Water"): _given(facts.get("water_usd_per_m3"), "$/m³"),
        (PLACE, "Grid limit"): quantity_text(site.grid_limit_w, "W"),
        (PLACE, "Repair crews"): f"{site.repair_crews or 'as many as are broken'}",
        (LAYOUT, "Layout"): f"{inputs.layout.name} (version {inputs.layout.version})",
    }
    texts |= {(LAYOUT, name): text for name, text in _equipment(inputs).items()}
    for row in run.details.per_workload:
        texts[MODEL, f"Model for {row.name}"] = row.model_name or "none fits"
        texts[MODEL, f"Configuration for {row.name}"] = row.configuration or ABSENT
    texts[MODEL, "Solver"] = solver_of(run.details.solver.version, run.details.solver.digest).text
    return texts


def _question(inputs: LayoutInputs) -> dict[str, str]:
    scenario = inputs.scenario
    limit_w = scenario.accelerator_power_limit_w
    tier_bytes, _ = cache_tier(inputs.stored(), inputs.n_accelerators, scenario.cache_tier_bytes)
    texts = {
        "Scenario": scenario.name,
        "Engine": " ".join(filter(None, (scenario.engine, scenario.engine_version))),
        "Weight precision": scenario.weight_precision,
        "KV cache precision": scenario.kv_precision,
        "Power cap": "none" if limit_w is None else f"{quantity_text(limit_w, 'W')} per accelerator",
        "Cache tier": f"{quantity_text(tier_bytes, 'B')} per accelerator" if tier_bytes else "none",
    }
    restrictions = Restrictions(scenario.serving_mode, scenario.max_ranks, scenario.allow_pipelines)
    texts["Search"] = restrictions.text() or "free"
    texts["Drafts"] = _drafts_text(scenario)
    texts["Requests above capacity"] = scenario.admission
    total = sum(share.accelerator_share_frac for share in scenario.workloads)
    for share in scenario.workloads:
        parts = [f"{quantity_text(share.accelerator_share_frac / total, '%')} of accelerators"]
        if share.model:
            parts.append(share.model)
        if share.checkpoint:
            parts.append(f"checkpoint {share.checkpoint}")
        if share.configuration:
            parts.append(f"pinned to {share.configuration}")
        if share.requests_per_s is not None:
            parts.append(quantity_text(share.requests_per_s, "req/s"))
        else:
            parts.append(f"busiest hour at {quantity_text(share.peak_load_frac, '%')} of capacity")
        texts[f"Use case {share.workload.name}"] = ", ".join(parts)
    return texts


def _drafts_text(scenario: ScenarioInputs) -> str:
    if not scenario.allow_drafts:
        return "none"
    tokens, kept = scenario.draft_tokens, scenario.draft_acceptance_frac
    parts = ["as many as serve best" if tokens is None else f"{tokens} per step"]
    parts.append("acceptance predicted" if kept is None else f"{quantity_text(kept, '%')} accepted")
    return ", ".join(parts)


def _equipment(inputs: LayoutInputs) -> dict[str, str]:
    def named(counts: Counter[int | None]) -> str:
        return ", ".join(f"{n:g} × {inputs.product_name(key)}" for key, n in counts.most_common() if key) or "none"

    racks = inputs.racks
    systems: Counter[int | None] = Counter()
    for key, n in zip(racks.product_id, racks.n_systems, strict=True):
        systems[key] += n
    rejection: Counter[int | None] = Counter()
    chillers: Counter[int | None] = Counter()
    air: Counter[int | None] = Counter()
    for plant in inputs.plants:
        rejection[plant.heat_rejection_id] += plant.n_heat_rejection
        chillers[plant.chiller_id] += plant.n_chillers
    for hall in inputs.halls:
        air[hall.air_unit_id] += hall.n_air_units
    ups = sum(feed.n_units for feed in inputs.feeds if feed.kind == "ups")
    redundancy = sorted({feed.redundancy for feed in inputs.feeds if feed.redundancy})
    return {
        "Racks": f"{len(racks)}",
        "Systems": named(systems),
        "CDUs": named(Counter(cdu.product_id for cdu in inputs.cdus)),
        "Rack coolant set points": ", ".join(f"{t:g} °C" for t in sorted({c.supply_degc for c in inputs.cdus})),
        "Heat rejection": named(rejection),
        "Chillers": named(chillers),
        "Air units": named(air),
        "UPS modules": f"{ups:g}",
        "Redundancy of feeds": ", ".join(redundancy) or "none",
    }


def _given(value: float | None, unit: str) -> str:
    return ABSENT if value is None else quantity_text(value, unit)
