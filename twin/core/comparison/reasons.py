"""Why one run beats the next on a figure: which loss, limit, cost or pool makes the difference, taken from both runs.

Every sentence is computed from what the two runs stored. Where a figure has parts, the part that gains most is named
with its gain; where it is a quotient, the factor that moves it more (in logarithms) is named with both values.
"""

import math
from collections.abc import Callable

from power_cooling.site_facts.calendar import HOURS_PER_YEAR
from twin.core.comparison.runs import ComparedRun
from twin.core.results.details import WorkloadRow
from twin.core.results.pue import COOLING, ELECTRICAL, OWN
from twin.core.text.numbers import indistinct, quantity_text

Parts = dict[str, float]

#: Parts of the mean power that are no load of the racks themselves.
FACILITY_PARTS = frozenset((*ELECTRICAL, *COOLING, *OWN))
TURNED_AWAY_FRAC = 1e-3  # of a workload's requests: less is rounding
NOTABLE = 0.02  # of a factor's logarithm: less does not explain a difference


def reason(figure: str, winner: ComparedRun, other: ComparedRun) -> str:
    """Return why one run is better than another on a figure; empty where the runs stored no cause.

    Parameters
    ----------
    figure : str
        Name of the figure of merit.
    winner, other : ComparedRun
        The better run, and the one that it is compared with.
    """
    find = REASONS.get(figure)
    return find(winner, other) if find else ""


def chip_text(slug: str) -> str:
    """Return a catalogue name of an accelerator as its makers write it: "rubin-r200" is Rubin R200."""
    words = slug.split("-")
    return " ".join(w.upper() if len(w) <= 4 or any(c.isdigit() for c in w) else w.capitalize() for w in words)


def mean_power_w(run: ComparedRun) -> Parts:
    """Return the mean power at the meter by what draws it [W]."""
    return dict(run.details.mean_power_by_part_w)


def joules_per_token(run: ComparedRun) -> Parts:
    """Return the meter energy per output token by what draws it [J/tok]; empty where no token was made."""
    tokens = run.figures["output_tokens_per_s"]
    return {name: watts / tokens for name, watts in mean_power_w(run).items()} if tokens else {}


def cost_per_year_usd(run: ComparedRun) -> Parts:
    """Return the cost of a year by cost line [USD]."""
    return {line.item: line.usd_per_year for line in run.details.costs}


def cost_per_million_usd(run: ComparedRun) -> Parts:
    """Return the cost of a million output tokens by cost line [USD]; empty where no token was made."""
    lines = cost_per_year_usd(run)
    total, per_million = sum(lines.values()), run.figures["cost_per_million_output_tokens_usd"]
    return {item: per_million * usd / total for item, usd in lines.items()} if per_million and total else {}


def largest_gain(winner: Parts, other: Parts, unit: str) -> str:
    """Return the part of which the winner needs less, by how much, and by how much less it needs in all."""
    if not winner or not other:
        return ""
    gains = {name: other.get(name, 0.0) - winner.get(name, 0.0) for name in {*winner, *other}}
    name, gain = max(gains.items(), key=lambda item: (item[1], item[0]))
    total = sum(other.values()) - sum(winner.values())
    if gain <= 0 or total <= 0:
        return ""
    return f"{name}: {quantity_text(gain, unit)} less than the next, {quantity_text(total, unit)} in all"


def _it_joules_per_token(run: ComparedRun) -> Parts:
    return {name: joules for name, joules in joules_per_token(run).items() if name not in FACILITY_PARTS}


def _overhead(run: ComparedRun) -> Parts:
    """Return what PUE adds to 1, by part."""
    parts = mean_power_w(run)
    it_w = sum(watts for name, watts in parts.items() if name not in FACILITY_PARTS)
    return {name: watts / it_w for name, watts in parts.items() if name in FACILITY_PARTS} if it_w else {}


def _lost_hours(run: ComparedRun) -> Parts:
    groups = run.details.availability.groups
    return {group.name: (1 - group.availability_frac) * HOURS_PER_YEAR for group in groups}


def _lost_tokens(run: ComparedRun) -> Parts:
    groups = run.details.availability.groups
    return {group.name: group.lost_tokens_per_year for group in groups}


def _availability(winner: ComparedRun, other: ComparedRun) -> str:
    gain = largest_gain(_lost_hours(winner), _lost_hours(other), "h")
    return f"full capacity lost a year to {gain}" if gain else ""


def _workloads(run: ComparedRun) -> dict[str, WorkloadRow]:
    return {row.name: row for row in run.details.per_workload}


def _requests(run: ComparedRun) -> dict[str, float]:
    return {name: row.offered_requests_per_s for name, row in _workloads(run).items()}


def _throughput(winner: ComparedRun, other: ComparedRun, key: str = "output_tokens_per_s") -> str:
    """Return the workload of which most more is served, and what holds the other run back there."""
    rows, others = _workloads(winner), _workloads(other)
    gains = {
        name: getattr(row, key) - (getattr(others[name], key) if name in others else 0.0) for name, row in rows.items()
    }
    name = max(gains, key=lambda name: gains[name], default="")
    if not name or gains[name] <= 0:
        return ""
    more = f"{name}: {quantity_text(gains[name], 'tok/s')} more"
    return f"{more}; {_held_back(rows[name], others.get(name), other)}"


def _held_back(winner_row: WorkloadRow, other_row: WorkloadRow | None, other: ComparedRun) -> str:
    if other_row is None:
        return "the next does not serve it"
    if not other_row.feasible:
        return f"it does not fit on the next: {other_row.reason}"
    offered, served = other_row.offered_requests_per_s, other_row.served_requests_per_s
    if offered - served > TURNED_AWAY_FRAC * offered:
        hours = other.details.throttled_hours or 0.0
        cause = f"accelerators throttle in {hours:g} h" if hours else "its accelerators are full at the targets"
        return f"the next turns away {quantity_text(1 - served / offered, '%')} of the requests, {cause}"
    return _more_chips_or_faster(winner_row, other_row)


def _more_chips_or_faster(winner_row: WorkloadRow, other_row: WorkloadRow) -> str:
    """Return both factors of a pool's output, the one that moves it more first."""
    chips, other_chips = winner_row.n_accelerators, other_row.n_accelerators
    if not chips or not other_chips:
        return f"on {chips:,.0f} accelerators against {other_chips:,.0f}"
    each, other_each = winner_row.output_tokens_per_s / chips, other_row.output_tokens_per_s / other_chips
    number = f"{chips:,.0f} accelerators against {other_chips:,.0f}"
    speed = f"{quantity_text(each, 'tok/s')} from each against {quantity_text(other_each, 'tok/s')}"
    if winner_row.accelerator != other_row.accelerator:
        speed += f" ({chip_text(winner_row.accelerator)} against {chip_text(other_row.accelerator)})"
    elif winner_row.configuration != other_row.configuration:
        speed += f" ({winner_row.configuration} against {other_row.configuration})"
    return ", ".join([number, speed] if _moves(chips, other_chips) > _moves(each, other_each) else [speed, number])


def _goodput(winner: ComparedRun, other: ComparedRun) -> str:
    return _throughput(winner, other, "goodput_tokens_per_s")


def _utilisation(winner: ComparedRun, other: ComparedRun) -> str:
    """Return served and servable tokens of both, the one that moves the quotient more first."""
    tokens, fractions = _both(winner, other, "output_tokens_per_s"), _both(winner, other, "utilisation_frac")
    if tokens is None or fractions is None:
        return ""
    served, other_served = tokens
    could, other_could = served / fractions[0], other_served / fractions[1]
    demand = f"serves {quantity_text(served, 'tok/s')} against {quantity_text(other_served, 'tok/s')}"
    room = f"could serve {quantity_text(could, 'tok/s')} against {quantity_text(other_could, 'tok/s')}"
    return ", ".join([demand, room] if _moves(served, other_served) > _moves(could, other_could) else [room, demand])


def _activity(
    winner: ComparedRun, other: ComparedRun, rate: Callable[[ComparedRun], float], peak: str, unit: str
) -> str:
    """Return the rate per accelerator and the accelerators' peaks of both: utilisation is one over the other."""
    chips, other_chips = _accelerators(winner), _accelerators(other)
    if not chips or not other_chips:
        return ""
    each, other_each = rate(winner) / chips, rate(other) / other_chips
    peaks = _mean_peak(winner, peak), _mean_peak(other, peak)
    use, other_use = (each / peaks[0], other_each / peaks[1]) if all(peaks) else (each, other_each)
    if use <= other_use:  # then each token takes more of the peak: another configuration or precision
        return _configurations(winner, other)
    sentence = f"{quantity_text(each, 'tok/s')} through each accelerator against {quantity_text(other_each, 'tok/s')}"
    if all(peaks) and not indistinct(*peaks):
        sentence += f", peak {quantity_text(peaks[0], unit)} against {quantity_text(peaks[1], unit)}"
    return sentence


def _configurations(winner: ComparedRun, other: ComparedRun) -> str:
    """Return the first workload that the two runs serve in another way."""
    winner_rows, other_rows = _workloads(winner), _workloads(other)
    for name in winner_rows.keys() & other_rows.keys():
        how, other_how = (
            f"{chip_text(row.accelerator)}, {row.configuration}" for row in (winner_rows[name], other_rows[name])
        )
        if how != other_how:
            return f"{name}: each token takes more of the peak on {how} than on {other_how}"
    return ""


def _accelerators(run: ComparedRun) -> float:
    return sum(row.n_accelerators for row in run.details.per_workload)


def _mean_peak(run: ComparedRun, fact: str) -> float:
    """Return the accelerators' mean peak of one kind, 0 where a data sheet does not state it."""
    sheets, total, n_accelerators = run.inputs.products.accelerators, 0.0, 0.0
    for row in run.details.per_workload:
        peak = sheets[row.accelerator].facts.get(fact) if row.accelerator in sheets else None
        if not peak:
            return 0.0
        total += float(peak) * row.n_accelerators
        n_accelerators += row.n_accelerators
    return total / n_accelerators if n_accelerators else 0.0


def _flop(winner: ComparedRun, other: ComparedRun) -> str:
    def rate(run: ComparedRun) -> float:
        return (run.figures["output_tokens_per_s"] or 0.0) + (run.figures["input_tokens_per_s"] or 0.0)

    return _activity(winner, other, rate, "peak_bf16_dense_flops_per_s", "FLOP/s")


def _bandwidth(winner: ComparedRun, other: ComparedRun) -> str:
    def rate(run: ComparedRun) -> float:
        return run.figures["output_tokens_per_s"] or 0.0

    return _activity(winner, other, rate, "hbm_bandwidth_bytes_per_s", "B/s")


def _stranded(winner: ComparedRun, other: ComparedRun) -> str:
    provisioned, peak = (_both(winner, other, name) for name in ("provisioned_power_w", "peak_power_w"))
    if provisioned is None or peak is None:
        return ""
    less, more = provisioned[1] - provisioned[0], peak[0] - peak[1]
    if less >= more:
        return f"provisions {quantity_text(less, 'W')} less than the next" if less > 0 else ""
    return f"uses {quantity_text(more, 'W')} more than the next in its busiest hour"


def _rent(winner: ComparedRun, other: ComparedRun) -> str:
    rents = (winner.details.rent.usd_per_hour or 0.0, other.details.rent.usd_per_hour or 0.0)
    tokens = _both(winner, other, "output_tokens_per_s")
    if not all(rents) or tokens is None:
        return ""
    rent = f"rent of {quantity_text(rents[0], '$/h')} against {quantity_text(rents[1], '$/h')}"
    made = f"{quantity_text(tokens[0], 'tok/s')} against {quantity_text(tokens[1], 'tok/s')}"
    return ", ".join([rent, made] if _moves(*rents) > _moves(*tokens) else [made, rent])


def _latency(key: str) -> Callable[[ComparedRun, ComparedRun], str]:
    def find(winner: ComparedRun, other: ComparedRun) -> str:
        winner_rows, other_rows = _workloads(winner), _workloads(other)
        seconds = {
            n: (getattr(winner_rows[n], key), getattr(other_rows[n], key)) for n in winner_rows if n in other_rows
        }
        both = {n: pair for n, pair in seconds.items() if None not in pair}
        name = max(both, key=lambda n: both[n][1] - both[n][0], default="")
        if not name or both[name][1] <= both[name][0]:
            return ""
        sentence = f"{name}: {quantity_text(both[name][0], 's')} against {quantity_text(both[name][1], 's')}"
        return f"{sentence}, {_speed_cause(winner_rows[name], other_rows[name], winner, other)}"

    return find


def _speed_cause(winner_row: WorkloadRow, other_row: WorkloadRow, winner: ComparedRun, other: ComparedRun) -> str:
    """Return what answers faster: other accelerators, another configuration, or more room in the busy hours."""
    for field, as_text in (("accelerator", chip_text), ("configuration", str)):
        own, other_own = getattr(winner_row, field), getattr(other_row, field)
        if own != other_own:
            return f"on {as_text(own)} instead of {as_text(other_own)}"
    loads = _both(winner, other, "utilisation_frac")
    if loads is not None and not indistinct(*loads):
        return f"at {quantity_text(loads[0], '%')} of what could be served instead of {quantity_text(loads[1], '%')}"
    hours = [run.details.throttled_hours or 0.0 for run in (winner, other)]
    return f"throttled in {hours[0]:g} h instead of {hours[1]:g} h" if hours[0] < hours[1] else "at the same load"


def _targets(winner: ComparedRun, other: ComparedRun) -> str:
    """Return the workload that misses most of all requests on the other run, and the target that it misses."""

    def missed(run: ComparedRun) -> Parts:
        total = sum(_requests(run).values())
        if not total:
            return {}
        return {
            name: (1 - row.slo_attainment_frac) * row.offered_requests_per_s / total
            for name, row in _workloads(run).items()
            if row.slo_attainment_frac is not None
        }

    missed_by_winner, missed_by_other = missed(winner), missed(other)
    name = max(missed_by_other, key=lambda n: missed_by_other[n] - missed_by_winner.get(n, 0.0), default="")
    if not name or missed_by_other[name] <= missed_by_winner.get(name, 0.0):
        return ""
    row = _workloads(other)[name]
    sentence = f"{name}: the next misses {quantity_text(missed_by_other[name], '%')} of all requests there"
    late = [
        f"{words} p95 {quantity_text(p95_s, 's')} for a target of {quantity_text(target_s, 's')}"
        for words, p95_s, target_s in (
            ("first token", row.ttft_p95_s, row.target_ttft_s),
            ("inter-token gap", row.itl_p95_s, row.target_itl_s),
        )
        if p95_s is not None and target_s and p95_s > target_s
    ]
    return "; ".join([sentence, *late])


def _carbon(winner: ComparedRun, other: ComparedRun) -> str:
    carbon, other_carbon = (run.inputs.site.region.facts.get("grid_carbon_kg_per_kwh") for run in (winner, other))
    pues = _both(winner, other, "pue")
    if not carbon or not other_carbon or pues is None:
        return ""
    if _moves(carbon, other_carbon) > _moves(*pues):
        return f"the grid emits {carbon:.3g} kg/kWh against {other_carbon:.3g}"
    return f"PUE {pues[0]:.3f} against {pues[1]:.3f}"


def _water(winner: ComparedRun, other: ComparedRun) -> str:
    """Return how both give off their heat: water is what towers and wetted coolers evaporate."""
    kinds = [_heat_rejection(run) for run in (winner, other)]
    if kinds[0] != kinds[1]:
        return f"heat leaves by {kinds[0]} against {kinds[1]}"
    weather = [run.inputs.weather.name for run in (winner, other)]
    if weather[0] != weather[1]:
        return f"the weather of {weather[0]} against {weather[1]}"
    hours, other_hours = _free_hours(winner), _free_hours(other)
    if hours is not None and other_hours is not None and _moves(hours, other_hours) > NOTABLE:
        return f"{hours:,.0f} plant hours a year without chillers against {other_hours:,.0f}, both by {kinds[0]}"
    air = [_air_heat_w(run) for run in (winner, other)]
    if air[0] < air[1]:
        return f"air units carry {quantity_text(air[0], 'W')} at most against {quantity_text(air[1], 'W')}"
    return ""


def _air_heat_w(run: ComparedRun) -> float:
    """Return the air units' heat in their busiest hours, summed over halls [W]."""
    return sum(row.value for row in run.details.limits if row.kind == "air-unit heat")


def _heat_rejection(run: ComparedRun) -> str:
    inputs = run.inputs
    kinds = {inputs.products.by_id[plant.heat_rejection_id].kind for plant in inputs.plants}
    return " and ".join(sorted(kind.replace("_", " ") for kind in kinds)) or "chillers alone"


def _free_hours(run: ComparedRun) -> float | None:
    hours = run.details.economiser_hours
    return sum(hours.values()) if hours else None


def _peak(winner: ComparedRun, other: ComparedRun) -> str:
    """Return whether the mean or the unevenness makes the peak, and the part of the mean that gains most."""
    peaks, means = _both(winner, other, "peak_power_w"), _both(winner, other, "mean_power_w")
    if peaks is None or means is None:
        return ""
    ratios = (peaks[0] / means[0], peaks[1] / means[1])
    if _moves(*ratios) > _moves(*means):
        return f"flatter: the peak is {ratios[0]:.3g} times the mean against {ratios[1]:.3g}"
    gain = largest_gain(mean_power_w(winner), mean_power_w(other), "W")
    return f"of the mean, {gain}" if gain else ""


def _both(winner: ComparedRun, other: ComparedRun, figure: str) -> tuple[float, float] | None:
    """Return a figure of both runs; None where either has none, or 0."""
    value, other_value = winner.figures[figure], other.figures[figure]
    return (value, other_value) if value and other_value else None


def _moves(value: float, other: float) -> float:
    """Return how far a factor moves a product, in logarithms."""
    return abs(math.log(value / other)) if value > 0 and other > 0 else math.inf


def _by_parts(parts: Callable[[ComparedRun], Parts], unit: str) -> Callable[[ComparedRun, ComparedRun], str]:
    return lambda winner, other: largest_gain(parts(winner), parts(other), unit)


REASONS: dict[str, Callable[[ComparedRun, ComparedRun], str]] = {
    "output_tokens_per_s": _throughput,
    "goodput_tokens_per_s": _goodput,
    "tokens_per_joule": _by_parts(joules_per_token, "J/tok"),
    "it_tokens_per_joule": _by_parts(_it_joules_per_token, "J/tok"),
    "cost_per_million_output_tokens_usd": _by_parts(cost_per_million_usd, "$/M tok"),
    "rented_cost_per_million_output_tokens_usd": _rent,
    "utilisation_frac": _utilisation,
    "flop_utilisation_frac": _flop,
    "bandwidth_utilisation_frac": _bandwidth,
    "stranded_power_w": _stranded,
    "availability_frac": _availability,
    "lost_tokens_per_year": _by_parts(_lost_tokens, "tok"),
    **{f"{which}_{q}_s": _latency(f"{which}_{q}_s") for which in ("ttft", "itl") for q in ("p50", "p95")},
    "slo_attainment_frac": _targets,
    "pue": _by_parts(_overhead, ""),
    "wue_l_per_kwh": _water,
    "cue_kg_per_kwh": _carbon,
    "peak_power_w": _peak,
    "mean_power_w": _by_parts(mean_power_w, "W"),
}
