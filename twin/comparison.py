"""Runs side by side: what they assume differently, who wins each figure, and what makes the difference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twin.merit import BY_NAME, FIGURES

Run = Mapping[str, Any]  # id, name, figures, bands, details, inputs


@dataclass(frozen=True, slots=True)
class AssumptionRow:
    """One input that is not the same in all runs; `values` has one text per run."""

    name: str
    values: list[str]


@dataclass(frozen=True, slots=True)
class FigureRow:
    """One figure of merit over all runs; lists have one entry per run."""

    name: str
    label: str
    unit: str
    values: list[float | None]
    bands: list[list[float] | None]
    deltas: list[float | None]  # against the first run
    winner: int | None  # None: neither is better, or the best two cannot be told apart
    why: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a waterfall from the first run to another."""

    name: str
    change: float
    total_after: float


@dataclass(frozen=True, slots=True)
class Waterfall:
    """How the first run's figure becomes another's. `steps` sum to `end - start`."""

    unit: str
    start: float
    end: float
    steps: list[Step]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything a comparison page or endpoint shows."""

    names: list[str]
    assumptions: list[AssumptionRow]
    rows: list[FigureRow]
    waterfall_w: list[Waterfall]  # mean power at the meter, one per further run
    waterfall_j_per_token: list[Waterfall]  # meter energy per output token
    waterfall_usd: list[Waterfall]  # cost of a million output tokens


def compare(runs: Sequence[Run]) -> Comparison:
    """Compare two or more finished runs; deltas and waterfalls start from the first.

    Raises
    ------
    ValueError
        If there are fewer than two runs.
    """
    if len(runs) < 2:
        raise ValueError(f"{len(runs)} run given; a comparison needs at least 2")
    power = [mean_power_w(run) for run in runs]
    tokens = [run["figures"]["output_tokens_per_s"] or 0.0 for run in runs]
    per_token = [{k: v / t for k, v in parts.items()} if t else {} for parts, t in zip(power, tokens, strict=True)]
    cost = [cost_per_million_usd(run) for run in runs]
    return Comparison(
        names=[run["name"] for run in runs],
        assumptions=differing_assumptions(runs),
        rows=[_row(figure.name, runs, per_token, cost) for figure in FIGURES],
        waterfall_w=[waterfall(power[0], other, "W") for other in power[1:]],
        waterfall_j_per_token=[
            waterfall(per_token[0], other, "J/tok") for other in per_token[1:] if per_token[0] and other
        ],
        waterfall_usd=[waterfall(cost[0], other, "$/M tok") for other in cost[1:] if cost[0] and other],
    )


def mean_power_w(run: Run) -> dict[str, float]:
    """Return the mean power at the meter by what draws it [W]."""
    return dict(run["details"]["mean_power_by_part_w"])


def cost_per_million_usd(run: Run) -> dict[str, float]:
    """Return the cost of a million output tokens by cost line [USD]; empty where no token was made."""
    costs = run["details"]["costs"]
    total = sum(line["usd_per_year"] for line in costs)
    per_million = run["figures"]["cost_per_million_output_tokens_usd"]
    if not per_million or not total:
        return {}
    return {line["item"]: per_million * line["usd_per_year"] / total for line in costs}


def waterfall(start: Mapping[str, float], end: Mapping[str, float], unit: str) -> Waterfall:
    """Return the steps from one set of parts to another, largest change first."""
    names = list(dict.fromkeys([*start, *end]))
    changes = sorted(((end.get(n, 0.0) - start.get(n, 0.0), n) for n in names), key=lambda c: -abs(c[0]))
    total = sum(start.values())
    first, steps = total, []
    for change, name in changes:
        if change:
            total += change
            steps.append(Step(name, change, total))
    return Waterfall(unit, first, sum(end.values()), steps)


def differing_assumptions(runs: Sequence[Run]) -> list[AssumptionRow]:
    """Return the inputs whose values are not the same in all runs."""
    told = [_assumptions(run) for run in runs]
    names = list(dict.fromkeys(name for one in told for name in one))
    rows = [AssumptionRow(name, [one.get(name, "–") for one in told]) for name in names]
    return [row for row in rows if len(set(row.values)) > 1]


def _assumptions(run: Run) -> dict[str, str]:
    """Return what a run assumed, as text by name."""
    inputs = run["inputs"]
    scenario, site = inputs["scenario"], inputs["site"]
    limit_w = scenario["accelerator_power_limit_w"]
    price = scenario["electricity_usd_per_kwh"]
    said = {
        "Site": site["name"],
        "Layout": f"{inputs['layout']['name']} (edit {inputs['layout']['version']})",
        "Scenario": scenario["name"],
        "Weather": inputs["weather"]["name"],
        "Engine": scenario["engine"],
        "Weight precision": scenario["weight_precision"],
        "Power cap": "none" if limit_w is None else f"{limit_w:g} W per accelerator",
        "Region": site["region"]["name"],
        "Electricity": f"{site['region']['facts']['electricity_usd_per_kwh'] if price is None else price:g} $/kWh",
        "Grid limit": f"{site['grid_limit_w'] / 1e6:g} MW",
        "Solver": run["details"]["solver"]["version"],
    }
    for row in run["details"]["per_workload"]:
        said[f"Model for {row['name']}"] = row["model_name"] or "none fits"
        said[f"Configuration for {row['name']}"] = row["configuration"] or "–"
    return said


def _row(name: str, runs: Sequence[Run], per_token: list[dict], cost: list[dict]) -> FigureRow:
    figure = BY_NAME[name]
    values = [run["figures"].get(name) for run in runs]
    bands = [(run["bands"] or {}).get(name) for run in runs]
    deltas = [None if v is None or values[0] is None else v - values[0] for v in values]
    winner = _winner(values, bands, figure.better)
    reasons = [_why(name, winner, per_token, cost), _doubt(winner, values, bands, figure.better)]
    why = "; ".join(reason for reason in reasons if reason)
    return FigureRow(name, figure.label, figure.unit, values, bands, deltas, winner, why)


def _winner(values: list[float | None], bands: list[list[float] | None], better: str) -> int | None:
    """Return the best run, or None where none is better or the best is within the rounding of the next."""
    known = [(v, i) for i, v in enumerate(values) if v is not None]
    if not better or len(known) < 2:
        return None
    known.sort(reverse=better == "higher")
    (best, index), (second, _) = known[:2]
    return index if abs(best - second) > 1e-6 * max(abs(best), abs(second)) else None


def _doubt(winner: int | None, values: list[float | None], bands: list[list[float] | None], better: str) -> str:
    """Return a warning where the winner's band reaches the next run's value: part of the error is its own."""
    if winner is None or bands[winner] is None:
        return ""
    others = [v for i, v in enumerate(values) if i != winner and v is not None]
    low, high = bands[winner]
    inside = max(others) >= low if better == "higher" else min(others) <= high
    return "not certain: the next is inside its 80 % band" if inside else ""


def _why(name: str, winner: int | None, per_token: list[dict], cost: list[dict]) -> str:
    """Return what makes the winner win, computed from the parts of the figure; empty where parts are not kept."""
    if winner is None:
        return ""
    parts = {"tokens_per_joule": per_token, "cost_per_million_output_tokens_usd": cost}.get(name)
    if parts is None or not all(parts):
        return ""
    others = [p for i, p in enumerate(parts) if i != winner]
    nearest = min(others, key=lambda p: sum(p.values()))
    gains = {k: nearest.get(k, 0.0) - parts[winner].get(k, 0.0) for k in {*nearest, *parts[winner]}}
    item, gain = max(gains.items(), key=lambda g: (g[1], g[0]))
    total = sum(nearest.values()) - sum(parts[winner].values())
    if gain <= 0 or total <= 0:
        return ""
    unit = "J/tok" if name == "tokens_per_joule" else "$/M tok"
    return f"{item} {gain:.3g} {unit} less than the next, {total:.3g} in all"
