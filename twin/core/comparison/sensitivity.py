"""A tornado over every input that is assumed or estimated: what each end of its range does to the figures.

Inputs of the bill change no watt and no token: the solved year is priced anew. All others are solved again by the
estimate of `solve.estimate`. Ranges are the catalogue's where it states one, else those of `ASSUMED_RANGE_FRAC`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from twin.core.comparison.tornado import FIGURES, SensitivityRow
from twin.core.inputs.demand import ASSUMED_PEAK_LOAD
from twin.core.inputs.layout import LayoutInputs, ProductSheet, WorkloadShare
from twin.core.results.assumptions import fields_of, used_fuels
from twin.core.results.figures import COSTS, figures_of_merit, served_in
from twin.core.results.figures import bands as figures_bands
from twin.core.solve.estimate import estimated_year
from twin.core.solve.simulate import described
from twin.core.text.field_names import assumption_words

UNCERTAIN = ("estimated", "assumed")
# Where no source states a range: an estimate is good to a fifth, an assumption to a third.
ASSUMED_RANGE_FRAC = {"estimated": 0.2, "assumed": 0.33}
ASSUMED_RANGE_K = 5.0
MONEY_KINDS = frozenset({"finance", "facility_capex", "gpu_rental", "fuels"})
MONEY_FIELDS = frozenset(
    {
        "price_estimate_usd",
        "electricity_usd_per_kwh",
        "water_usd_per_m3",
        "grid_carbon_kg_per_kwh",
        "gas_usd_per_kwh",
        "maintenance_usd_per_kwh",
    }
)
SHARES = ("_frac", "efficiency", "prefix_cache_hit")  # of these fields no value exceeds 1
N_DRAWN_IN = 3  # times that an impossible end is drawn in to a quarter of its way


@dataclass(frozen=True, slots=True)
class Variation:
    """One input, both ends of its range, and how inputs look there."""

    input: str
    low: float | str
    high: float | str
    value: float | str  # as it stands
    unit: str
    source: str
    confidence: str
    is_money: bool  # changes no watt and no token
    at: Callable[[float | str], LayoutInputs]


def sensitivity(inputs: LayoutInputs, figures: tuple[str, ...] = FIGURES) -> list[SensitivityRow]:
    """Return every assumed or estimated input of a layout under a scenario, those that move a figure most first.

    Takes some ten CPU seconds: a command and a worker's task call it, no page.

    Parameters
    ----------
    inputs : LayoutInputs
    figures : tuple of str
        Names in `figures_of_merit.FIGURES`.

    Raises
    ------
    ValueError
        If the description cannot be solved.
    """
    year = described(inputs)
    estimated, _ = estimated_year(year)
    served = served_in(estimated)
    base = figures_of_merit(estimated, served)

    def solved_at(variation: Variation, value: float | str) -> Mapping[str, float | None]:
        changed = variation.at(value)
        if variation.is_money:
            return figures_of_merit(replace(estimated, inputs=changed), served)
        again, _ = estimated_year(described(changed))
        return figures_of_merit(again, served_in(again))

    rows = []
    for variation in variations(inputs):
        low_end = _possible(variation, variation.low, solved_at)
        high_end = _possible(variation, variation.high, solved_at)
        if low_end is None or high_end is None:
            continue
        (low, at_low), (high, at_high) = low_end, high_end
        moved = replace(variation, low=low, high=high)
        rows += [_row(moved, figure, _plain(at_low[figure]), _plain(at_high[figure])) for figure in figures]
    bands = figures_bands(estimated, served, base)
    for name in {*figures} & COSTS.keys():  # their bands hold prices too: what the tokens alone do
        low, high = bands["output_tokens_per_s"]
        made, cost = base["output_tokens_per_s"], base[name]
        if cost and made and low > 0:
            bands[name] = [cost * made / high, cost * made / low]
    source = "bands held by measured deployments"
    predicted = ("predicted serving and power", "10 %", "90 %", "of runs", source, "derived")
    rows += [SensitivityRow(*predicted, figure, *bands[figure]) for figure in figures if figure in bands]
    rows = [row for row in rows if row.swing > 1e-6]
    return sorted(rows, key=lambda row: -row.swing)


def variations(inputs: LayoutInputs) -> Iterator[Variation]:
    """Yield every input whose value is assumed or estimated and can be moved."""
    for share in inputs.scenario.workloads:
        if share.requests_per_s is None:
            yield _peak_load(inputs, share)
        yield from _diurnal_shape(inputs, share.workload)
    for sheet in _sheets(inputs):
        for field in dict.fromkeys((*fields_of(inputs, sheet), "price_estimate_usd")):
            if (found := _of_fact(inputs, sheet, field)) is not None:
                yield found


def _sheets(inputs: LayoutInputs) -> list[ProductSheet]:
    """Return the entries that a run reads, each once."""
    products = inputs.products
    used = {str(sheet.facts.get("accelerator")) for sheet in products.by_id.values()}
    sheets = [*products.by_id.values(), inputs.site.region, *(share.workload for share in inputs.scenario.workloads)]
    sheets += [products.accelerators[slug] for slug in sorted(slug for slug in used if slug in products.accelerators)]
    sheets += [*products.finance.values(), *products.facility_capex.values(), *used_fuels(inputs)]
    sheets += [*products.reliability.values(), *products.recovery_times.values()]
    return list({(sheet.kind, sheet.slug): sheet for sheet in sheets}.values())


def _of_fact(inputs: LayoutInputs, sheet: ProductSheet, field: str) -> Variation | None:
    value = sheet.facts.get(field)
    confidence = sheet.field_confidence.get(field, sheet.confidence)
    is_money = sheet.kind in MONEY_KINDS or field in MONEY_FIELDS
    low, high = _range(sheet.facts, field)
    has_range = low is not None and high is not None
    if not isinstance(value, int | float) or isinstance(value, bool) or not (value or has_range):
        return None
    if confidence not in UNCERTAIN and not has_range:
        return None
    if low is None or high is None:
        low, high = _assumed_range(field, float(value), confidence)
    source = sheet.source if has_range else f"{sheet.source} (range assumed: no source states one)"
    holder, words, shown = assumption_words(sheet.slug if field == "value" else sheet.name or sheet.slug, field, "1")
    name = words if field == "value" else f"{words}, {holder}"
    unit = ("1" if shown == "%" else shown or "1") if field == "value" else inputs.units.get(field, "1")

    def at(moved: float | str) -> LayoutInputs:
        return with_fact(inputs, sheet, field, moved)

    return Variation(name, float(low), float(high), float(value), unit, source, confidence, is_money, at)


def _assumed_range(field: str, value: float, confidence: str) -> tuple[float, float]:
    """Return the ends that are assumed where no source states any."""
    part = ASSUMED_RANGE_FRAC.get(confidence, ASSUMED_RANGE_FRAC["estimated"])
    if field.endswith("_degc"):
        return value - ASSUMED_RANGE_K, value + ASSUMED_RANGE_K
    if any(mark in field for mark in SHARES) and 0.5 < value <= 1:  # what is lost or missed is what is uncertain
        return 1 - (1 - value) * (1 + part), 1 - (1 - value) * (1 - part)
    return value * (1 - part), value * (1 + part)


def _range(facts: Mapping[str, Any], field: str) -> tuple[float | None, float | None]:
    """Return the stated ends of a fact's range: value's are low and high, others' are named after the field."""
    if field == "value":
        return facts.get("low"), facts.get("high")
    stem, _, rest = field.partition("_")
    for low, high in (
        (f"{field}_low", f"{field}_high"),
        (f"{stem}_low_{rest}", f"{stem}_high_{rest}"),
    ):
        if facts.get(low) is not None and facts.get(high) is not None:
            return facts[low], facts[high]
    return None, None


def with_fact(inputs: LayoutInputs, sheet: ProductSheet, field: str, value: float | str) -> LayoutInputs:
    """Return inputs in which one fact of one catalogue entry has another value, wherever the entry is read."""

    def moved(entry: ProductSheet) -> ProductSheet:
        if (entry.kind, entry.slug) != (sheet.kind, sheet.slug):
            return entry
        return replace(entry, facts={**entry.facts, field: value})

    products = inputs.products
    kinds = {
        name: {key: moved(entry) for key, entry in getattr(products, name).items()}
        for name in products.__dataclass_fields__
    }
    workloads = tuple(replace(share, workload=moved(share.workload)) for share in inputs.scenario.workloads)
    return replace(
        inputs,
        products=replace(products, **kinds),
        site=replace(inputs.site, region=moved(inputs.site.region)),
        scenario=replace(inputs.scenario, workloads=workloads),
    )


def with_peak_load(inputs: LayoutInputs, workload: str | None, value: float) -> LayoutInputs:
    """Return inputs in which a use case, or each, has another busiest hour over capacity."""
    shares = tuple(
        replace(share, peak_load_frac=float(value)) if workload in (None, share.workload.slug) else share
        for share in inputs.scenario.workloads
    )
    return replace(inputs, scenario=replace(inputs.scenario, workloads=shares))


def _peak_load(inputs: LayoutInputs, share: WorkloadShare) -> Variation:
    low, high = ASSUMED_PEAK_LOAD
    slug = share.workload.slug
    return Variation(
        f"busiest hour over capacity of {share.workload.name or slug}",
        low,
        high,
        share.peak_load_frac,
        "1",
        "the scenario (range assumed: half full to full)",
        "assumed",
        False,
        lambda value: with_peak_load(inputs, slug, float(value)),
    )


def _diurnal_shape(inputs: LayoutInputs, workload: ProductSheet) -> Iterator[Variation]:
    """Yield the use case's course of the day between the flattest and the most peaked that the catalogue has."""
    shapes = inputs.products.diurnal_shapes
    if len(shapes) < 2:
        return
    peaked = {slug: float(np.max(sheet.facts["hourly"])) for slug, sheet in shapes.items()}
    low, high = min(peaked, key=peaked.__getitem__), max(peaked, key=peaked.__getitem__)
    now = workload.facts["diurnal_shape"]
    yield Variation(
        f"course of the day of {workload.name}",
        low,
        high,
        now,
        "shape",
        shapes[now].source,
        "assumed",
        False,
        lambda value: with_fact(inputs, workload, "diurnal_shape", value),
    )


def _possible(
    variation: Variation, end: float | str, solved_at: Callable[[Variation, float | str], Mapping[str, float | None]]
) -> tuple[float | str, Mapping[str, float | None]] | None:
    """Return an end of a range with its figures, drawn in towards the middle where a description cannot hold it."""
    for _ in range(N_DRAWN_IN):
        try:
            return end, solved_at(variation, end)
        except ValueError:  # such as an efficiency at full load that leaves less loss than at half
            if not isinstance(end, float) or not isinstance(variation.value, float):
                return None
            end = variation.value + 0.25 * (end - variation.value)
    return None


def _row(variation: Variation, figure: str, low: float | None, high: float | None) -> SensitivityRow:
    return SensitivityRow(
        variation.input,
        variation.low,
        variation.high,
        variation.unit,
        variation.source,
        variation.confidence,
        figure,
        low,
        high,
        variation.value,
    )


def _plain(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
