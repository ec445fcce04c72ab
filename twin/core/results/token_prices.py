"""Public prices of tokens, from the catalogue, to stand beside what tokens cost to serve."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from compute.token_mix import blended_usd, written_usd
from twin.core.results.details import WorkloadRow

Entries = Callable[[str], Mapping[str, Mapping[str, Any]]]  # a kind's catalogue entries by name


def token_prices(entries: Entries, model: str) -> list[dict[str, Any]]:
    """Return public prices of a model's tokens, cheapest first, each with its blended price [USD per million]."""
    found = [dict(entry) for entry in entries("token_prices").values() if entry.get("model") == model]
    for entry in found:
        entry["blended"] = blended_usd(entry["input"], entry["output"])
    return sorted(found, key=lambda entry: entry["blended"])


def sold_for(entries: Entries, per_workload: Sequence[WorkloadRow]) -> list[dict[str, Any]]:
    """Return `model`, `name` and `prices` of every model that a run serves."""
    models = {row.model: row.model_name for row in per_workload if row.feasible}
    return [{"model": slug, "name": name, "prices": token_prices(entries, slug)} for slug, name in models.items()]


def serving_costs(figures: Mapping[str, float | None]) -> dict[str, float] | None:
    """Return what a million tokens read, written and blended cost a run [USD], each by the time it takes; or None."""
    read, blended = figures.get("cost_per_million_input_tokens_usd"), figures.get("blended_cost_per_million_tokens_usd")
    if read is None or blended is None:
        return None
    return {"input": read, "output": written_usd(blended, read), "blended": blended}
