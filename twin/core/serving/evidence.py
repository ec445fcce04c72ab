"""What our curves say of known systems and models, how far measured runs of that kind bear it out, and what others say.

Knows no Django. Takes the catalogue as `facility.catalogue.entries` gives it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from compute.accelerators import accelerator_from_entry
from compute.calibration.coefficients import coefficient_set
from compute.calibration.uncertainty import run_kind
from compute.model_shapes import model_shape_from_entry
from compute.prediction.kind_summaries import KindSummary, stored_summaries
from compute.steady.claims import System
from compute.steady.kind_curves import KindCurve, KindPoint, kind_curves
from compute.workload import Workload

Entries = Callable[[str], Mapping[str, Mapping[str, Any]]]  # a kind's catalogue entries by name

MODELS = ("deepseek-r1", "gpt-oss-120b")
SYSTEMS = ("dgx-gb300-nvl72", "dgx-gb200-nvl72", "dgx-b200", "dgx-h200", "mi355x-8gpu-liquid")
SPEEDS = (20.0, 50.0, 75.0, 100.0)  # tokens per second and user
COSTS_AT = 50.0  # of them
WORKLOAD = Workload(input_tokens=8192, output_tokens=1024)
NOT_MEASURED = "No measured runs of this kind"


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """One kind of run of a model on a system: our curve, and measured runs of that kind."""

    system: str
    accelerator: str
    kind: str
    curve: KindCurve
    summary: KindSummary | None  # None: no measured runs of this kind
    is_known: bool  # whether runs of this kind were measured on this generation of accelerators
    note: str  # in words, where there is no summary of errors

    @property
    def points(self) -> list[tuple[float, KindPoint | None]]:
        """The points with their speeds."""
        return list(zip(SPEEDS, self.curve.points, strict=True))

    @property
    def costs(self) -> KindPoint | None:
        """The point whose costs are shown, or None."""
        return self.curve.points[SPEEDS.index(COSTS_AT)]


@cache
def evidence_rows(entries: Entries, model: str) -> tuple[EvidenceRow, ...]:
    """Return the kinds of run of a model on every system of `SYSTEMS`.

    Parameters
    ----------
    entries : callable
        The catalogue.
    model : str
        By catalogue id.
    """
    shape, coefficients = model_shape_from_entry(entries("models")[model]), coefficient_set()
    _, summaries = stored_summaries()
    measured = {(s.model, s.accelerator, s.is_apart, s.has_drafts): s for s in summaries}
    rows = []
    for slug in SYSTEMS:
        system = system_of(entries, slug)
        for curve in kind_curves(coefficients, shape, WORKLOAD, system, SPEEDS):
            name = system.accelerator.name
            summary = measured.get((model, name, curve.is_apart, curve.has_drafts))
            kind = run_kind(system.accelerator.generation, model, curve.is_apart, curve.has_drafts)
            seen = kind in coefficients.record["kinds"]
            rows.append(EvidenceRow(system.name, name, kind_text(curve), curve, summary, seen, _note(summary, seen)))
    return tuple(rows)


def cheapest(rows: Sequence[EvidenceRow]) -> list[EvidenceRow]:
    """Return the kind of each system whose tokens cost least, of those with measured runs on its generation."""
    found: dict[str, EvidenceRow] = {}
    for row in rows:
        best = found.get(row.system)
        if row.costs and row.is_known and (best is None or _blended(row) < _blended(best)):
            found[row.system] = row
    return list(found.values())


def _blended(row: EvidenceRow) -> float:
    return row.costs.usd_per_million_blended if row.costs else math.inf


def kind_text(curve: KindCurve) -> str:
    """Return a kind of run in words."""
    pools = "prefill apart" if curve.is_apart else "aggregated"
    return f"{pools}, MTP" if curve.has_drafts else pools


def _note(summary: KindSummary | None, is_known_elsewhere: bool) -> str:
    if summary is None:
        elsewhere = "; its generation has some" if is_known_elsewhere else ""
        return f"{NOT_MEASURED}{elsewhere}."
    return "" if summary.agreements else f"{summary.runs} measured runs: too few to sum up."


def system_of(entries: Entries, slug: str, precision: str = "") -> System:
    """Return a system of the catalogue with what its rack draws and costs per accelerator."""
    entry = entries("systems")[slug]
    n = int(entry["accelerators_per_system"])
    return System(
        name=entry["name"],
        accelerator=accelerator_from_entry(entries("accelerators")[entry["accelerator"]]),
        max_accelerators=n,
        weight_precision=precision,
        overhead_w=float(entry["non_accelerator_power_w"]) / n,
        capital_usd=float(entry["price_estimate_usd"]) / n,
    )


def statements(entries: Entries, model: str) -> list[dict[str, Any]]:
    """Return what vendors and benchmark pages publish of a model, by accelerator in the order of `SYSTEMS`.

    Where they count input tokens and state lengths, `output_tokens_per_s` and `output_megawatt_tokens_per_s` hold the
    part that is output: answer over prompt and answer.
    """
    order = [str(entries("systems")[slug]["accelerator"]) for slug in SYSTEMS]
    found = [dict(entry) for entry in entries("serving_statements").values() if entry["model"] == model]
    for entry in found:
        share = 1.0
        if entry.get("counts_input"):
            share = entry["output_length"] / (entry["input_length"] + entry["output_length"])
        for published, ours in (
            ("accelerator_tokens_per_s", "output_tokens_per_s"),
            ("megawatt_tokens_per_s", "output_megawatt_tokens_per_s"),
        ):
            entry[ours] = entry[published] * share if published in entry else None
        entry["accelerator_name"] = entries("accelerators")[entry["accelerator"]]["name"]
    return sorted(found, key=lambda entry: (order.index(entry["accelerator"]), entry.get("user_tokens_per_s") or 1e9))


def accelerators_without_statement(entries: Entries, model: str) -> list[str]:
    """Return the names of the accelerators of `SYSTEMS` of which no published statement was found for a model."""
    stated = {entry["accelerator"] for entry in statements(entries, model)}
    parts = dict.fromkeys(str(entries("systems")[slug]["accelerator"]) for slug in SYSTEMS)
    return [str(entries("accelerators")[part]["name"]) for part in parts if part not in stated]
