"""Set points that give more of a figure inside the layout's limits: solved anew for each value, never actuated.

Each set point is looked for over its range by the estimate that answers edits; what is taken is solved over the whole
year, as a run is. Nothing is advised that misses a target, eats a thin margin, brings a finding, makes a single failure
worse, or whose gain cannot be told from none. What errs before and after alike cancels: gains carry the spread that
remains when the plant's parameters are drawn and both are solved with the same draw.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from twin.core.comparison.standing import LIKELY, Z80, banded_difference, missed_targets
from twin.core.comparison.verdict import Candidate, Solution, solution
from twin.core.drill.drill import Ranking, ranking
from twin.core.figures_of_merit import BY_NAME, RANKED_BY
from twin.core.inputs.equipment import cdu_groups
from twin.core.inputs.layout import LayoutInputs
from twin.core.inputs.parameters import Truth, truth_named
from twin.core.provenance import this_solver
from twin.core.results import figures, margins
from twin.core.results.details import MarginRow, SimulationResult
from twin.core.results.figures import figures_of_merit, served_in
from twin.core.results.findings import HINT, THIN, RunFinding, run_findings
from twin.core.rules.findings import rule_findings
from twin.core.rules.report import Finding
from twin.core.solve.as_operated import with_parameters
from twin.core.solve.estimate import estimated_year
from twin.core.solve.simulate import described, solve
from twin.core.solved import Described, Progress
from twin.core.telemetry.advised import GAINS, RAISED, Advice
from twin.core.telemetry.set_points import CLOCK, CONFIGURATION, N_COARSE, SetPoint, set_points
from twin.core.text.numbers import quantity_text

FloatArray = NDArray[np.float64]
Findings = frozenset[tuple[str, str, str]]  # kind, name and rule of each

LEAST_GAIN_FRAC = 5e-4  # of the figure: what is less is no news to an operator
MOST_YEARS = 3  # that one set point is tried over
HALVINGS = 3  # of the spacing of the first look, around its best value
TOKENS, POWERS = ("good_tokens_per_s", "output_tokens_per_s"), ("mean_power_w", "pue")  # answers of one kind each
SAME_FRAC = 1e-3  # of a margin or a share, that solving to a tolerance may move
N_MARGINS = 6
N_PAIRS = 6  # of draws, each with its mirror image
SEED = 20_261_130
PARAMETER_SIGMA = 0.25  # of a described loss or conductance, of its logarithm; as calibration assumes it
Z90 = 1.6448536269514722  # half a 90 % interval, in standard deviations


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A description with set points moved, estimated. `bought` pays the bill: units that stand idle are in it."""

    run: LayoutInputs
    bought: LayoutInputs
    figures: Mapping[str, float | None]
    margins: Sequence[MarginRow]


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """A trial with what the rules say of it, its single failures, and its whole year."""

    trial: Trial
    rules: Findings
    ranking: Ranking
    result: SimulationResult

    @property
    def findings(self) -> Findings:
        """What is more than a hint in the year's details."""
        return _more_than_hints(run_findings(self.result.details))


def advise(inputs: LayoutInputs, figure: str = RANKED_BY, progress: Progress = lambda stage, frac: None) -> Advice:
    """Return the set points that raise a figure of a layout under a scenario, most gain first.

    Parameters
    ----------
    inputs : LayoutInputs
        With the parameters that were accepted for it.
    figure : str
        Out of `RAISED`: tokens per watt or per dollar.
    progress : callable
        Takes what is done and how far it is, 0 to 1.

    Raises
    ------
    ValueError
        If the figure is unknown, or the layout cannot be solved or serves nothing.
    """
    if figure not in RAISED:
        raise ValueError(f"figure is {figure!r}; must be one of {', '.join(RAISED)}")
    progress("solving as described", 0.02)
    year = described(inputs)
    base = _checked(_trial(inputs, inputs), _more_than_hints(rule_findings(inputs)), ranking(year))
    if base.trial.figures[figure] is None:
        raise ValueError(f"the layout has no {BY_NAME[figure].label.lower()} under this scenario: it serves nothing")
    there = set_points(inputs, year.pools)
    refused = [_refused(point, point.now, point.not_controllable) for point in there if point.not_controllable]
    movable = [point for point in there if not point.not_controllable and point.low < point.high]
    promising: list[tuple[float, SetPoint, float]] = []
    for i, point in enumerate(movable):
        progress("looking over set points", 0.05 + 0.5 * i / len(movable))
        gain, value, refusal = _alone(base, point, figure)
        if gain > LEAST_GAIN_FRAC:
            promising.append((gain, point, value))
        if refusal is not None:
            refused.append(refusal)
    plants = DrawnPlants(inputs)
    state, rows = base, []
    for i, (_, point, value) in enumerate(sorted(promising, key=lambda entry: -entry[0])):
        progress("solving whole years", 0.55 + 0.45 * i / len(promising))
        found = _next(state, point, value, figure)
        if found is None:
            continue
        if isinstance(found, dict):
            refused.append(found)
            continue
        value, after = found
        gains = _gains(state, after, point, plants.spread(state.trial, after.trial))
        if gains[figure]["probability"] < LIKELY:
            refused.append(_refused(point, value, f"its gain is only {gains[figure]['probability']:.0%} likely"))
            continue
        rows.append(_row(base, after, point, value, gains))
        state = after
    return Advice(
        figure, tuple(rows), tuple(refused), base.result.figures, state.result.figures, len(inputs.calibrated)
    )


def _worth(trial: Trial, figure: str) -> float:
    """Return a figure so that more is better."""
    value = trial.figures[figure]
    if value is None or not np.isfinite(value):
        return -np.inf
    return float(value) * (-1.0 if BY_NAME[figure].better == "lower" else 1.0)


def _gain_frac(before: Trial, after: Trial, figure: str) -> float:
    return (_worth(after, figure) - _worth(before, figure)) / abs(_worth(before, figure))


def _trial(run: LayoutInputs, bought: LayoutInputs) -> Trial:
    """Return a description estimated.

    Raises
    ------
    ValueError
        If it cannot be solved.
    """
    estimated, steady = estimated_year(described(run))
    if not steady.coupled.report.converged:
        raise ValueError(steady.coupled.report.message)
    paid = replace(estimated, inputs=bought)
    return Trial(run, bought, figures_of_merit(paid, served_in(paid)), margins.margins(steady))


def _moved(trial: Trial, point: SetPoint, value: float) -> Trial | None:
    """Return a trial with a set point at a value; None where no plant can be run so."""
    bought = trial.bought if point.is_staging else point.at(trial.bought, value)
    try:
        return _trial(point.at(trial.run, value), bought)
    except ValueError:
        return None


def _checked(trial: Trial, rules: Findings, failures: Ranking) -> Checked:
    solved = solve(trial.run, lambda stage, frac: None)
    result = figures.result(replace(solved, inputs=trial.bought), solver=this_solver(), elapsed_s=0.0)
    return Checked(trial, rules, failures, result)


def _more_than_hints(found: Iterable[Finding | RunFinding]) -> Findings:
    return frozenset((f.object_kind, f.object_name, f.rule) for f in found if f.severity != HINT)


def _look(before: Trial, point: SetPoint, figure: str, around: float | None = None) -> list[tuple[float, float, Trial]]:
    """Return gain, value and trial of values of a set point: its range, then ever closer around the best that may be.

    With `around` only that value and what is close to it.
    """
    found: list[tuple[float, float, Trial]] = []
    tried: set[float] = set()

    def look(value: float) -> None:
        tried.add(value)
        trial = _moved(before, point, value)
        if trial is not None:
            found.append((_gain_frac(before, trial, figure), value, trial))

    for value in point.coarse() if around is None else [around]:
        look(value)
    if point.choices or max((gain for gain, _, _ in found), default=0.0) <= 0.0:
        return found
    spacing = (point.high - point.low) / (N_COARSE - 1)
    for _ in range(HALVINGS):
        spacing /= 2
        able = [(gain, value) for gain, value, trial in found if not _margin_refusal(before, trial)]
        best = max([(0.0, point.now), *able])[1]
        for value in (point.rounded(best - spacing), point.rounded(best + spacing)):
            if value not in tried and abs(value - point.now) >= point.step / 2:
                look(value)
    return found


def _alone(base: Checked, point: SetPoint, figure: str) -> tuple[float, float, dict[str, Any] | None]:
    """Return the most that a set point gains by itself inside the margins, where, and the better value they refuse."""
    gain, best, barred, bar = 0.0, point.now, 0.0, None
    for more, value, trial in _look(base.trial, point, figure):
        reason = _margin_refusal(base.trial, trial)
        if not reason and more > gain:
            gain, best = more, value
        elif reason and more > barred:
            barred, bar = more, _refused(point, value, reason, more)
    return gain, best, bar if barred > gain + LEAST_GAIN_FRAC else None


def _next(
    before: Checked, point: SetPoint, around: float, figure: str
) -> tuple[float, Checked] | dict[str, Any] | None:
    """Return the value of a set point that gains most beside those taken, solved and checked; or a refusal; or None."""
    refusal = None
    found = _look(before.trial, point, figure, around)
    able = [row for row in found if row[0] > LEAST_GAIN_FRAC and not _margin_refusal(before.trial, row[2])]
    years = 0
    for gain, value, trial in sorted(able, key=lambda row: -row[0]):
        if years == MOST_YEARS:
            break
        try:
            rules, failures = _more_than_hints(rule_findings(trial.run)), ranking(described(trial.run))
            reason = _rule_refusal(before, trial, rules, failures)
            if not reason:
                years += 1
                after = _checked(trial, rules, failures)
                reason = _year_refusal(before, after, figure)
                if not reason:
                    return value, after
        except ValueError as unsolved:
            reason = str(unsolved)
        refusal = refusal or _refused(point, value, reason, gain)
    return refusal


def _margin_refusal(before: Trial, after: Trial) -> str:
    """Return which margin is left thin, or thinner than it was; blank: none."""
    stood = {(row.object, row.kind): row.value for row in before.margins}
    for row in after.margins:
        kept = min(stood.get((row.object, row.kind), np.inf), THIN[row.unit])
        if row.value < kept - SAME_FRAC:
            left = quantity_text(row.value, row.unit)
            return f"{left} of {row.kind} left ({row.object}); {quantity_text(THIN[row.unit], row.unit)} are kept"
    return ""


def _rule_refusal(before: Checked, after: Trial, rules: Findings, failures: Ranking) -> str:
    """Return which finding or dearer single failure a set point moved brings; blank: none."""
    if new := sorted(rules - before.rules):
        return _finding_text(new[0])
    was, now = (_worst_failure_tokens_per_s(found) for found in (before.ranking, failures))
    if now > was + SAME_FRAC * (after.figures["output_tokens_per_s"] or 0.0):
        return f"a single failure then costs {quantity_text(now, 'tok/s')}, {quantity_text(was, 'tok/s')} now"
    return ""


def _year_refusal(before: Checked, after: Checked, figure: str) -> str:
    """Return which limit a year with a set point moved breaks that it did not break before; blank: none."""
    missed = missed_targets(after.result.details.per_workload)
    if missed and not missed_targets(before.result.details.per_workload):
        return f"a target is missed: {missed[0]}"
    for name in ("served_frac", "availability_frac"):
        was, now = before.result.figures.get(name), after.result.figures.get(name)
        if was is not None and now is not None and now < was - SAME_FRAC:
            return f"{BY_NAME[name].label.lower()} falls from {quantity_text(was, '%')} to {quantity_text(now, '%')}"
    year = [replace(state.trial, margins=state.result.details.margins) for state in (before, after)]
    if thin := _margin_refusal(*year):
        return thin
    if new := sorted(after.findings - before.findings):
        return _finding_text(new[0])
    whole = [replace(state.trial, figures=state.result.figures) for state in (before, after)]
    if _gain_frac(whole[0], whole[1], figure) < LEAST_GAIN_FRAC / 2:
        return "the whole year does not gain what its estimate did"
    return ""


def _finding_text(found: tuple[str, str, str]) -> str:
    kind, name, rule = found
    return f"it brings a finding: {rule.replace('-', ' ')} of {name} ({kind.replace('_', ' ')})"


def _worst_failure_tokens_per_s(found: Ranking) -> float:
    return max((failure.served_lost_tokens_per_s for failure in found.failures), default=0.0)


def _refused(point: SetPoint, value: float, reason: str, gain_frac: float | None = None) -> dict[str, Any]:
    return {
        "object": point.object,
        "parameter": point.parameter,
        "from": point.now,
        "to": value,
        "unit": point.unit,
        "gain_frac": gain_frac,
        "reason": reason,
    }


class DrawnPlants:
    """Plants whose parameters are drawn: the same draws for every description, so that shared errors cancel."""

    def __init__(self, inputs: LayoutInputs) -> None:
        drawn = np.random.default_rng(SEED).standard_normal((N_PAIRS, len(list(_uncertain(inputs))) + 1))
        self._drawn = np.concatenate([drawn, -drawn])
        self._known: tuple[Trial | None, FloatArray] = None, np.empty(0)

    def spread(self, before: Trial, after: Trial) -> dict[str, float]:
        """Return the standard deviation of what each figure gains."""
        known, was = self._known
        if known is not before:
            was = self._figures(before)
        self._known = after, self._figures(after)
        sigma = np.nan_to_num(self._known[1] - was).std(axis=0)
        return dict(zip(GAINS, sigma.tolist(), strict=True))

    def _figures(self, trial: Trial) -> FloatArray:
        year = described(trial.run)
        return np.array([_drawn_figures(trial, year, row) for row in self._drawn])


def _uncertain(inputs: LayoutInputs) -> Iterator[tuple[str, float]]:
    """Yield the plant's parameters that are known to some factor only, with the sigma of its logarithm.

    What was fitted to readings has its own interval.
    """
    known = {row.name: float(np.log(row.high / row.low)) / (2 * Z90) for row in inputs.calibrated if row.low > 0}
    names = [f"cdu-group/{name} {what}" for name in cdu_groups(inputs) for what in ("ua_frac", "pump_efficiency_frac")]
    names += [f"plant/{plant.name} fan_power_frac" for plant in inputs.plants]
    names += [
        f"hall/{hall.name} {what}" for hall in inputs.halls for what in ("fan_power_frac", "containment_leakage_frac")
    ]
    for kind in ("ups", "transformer"):
        names += [f"feed/{feed.name} {kind}_loss_frac" for feed in inputs.feeds if feed.kind == kind]
    for name in names:
        yield name, min(known.get(name, PARAMETER_SIGMA), PARAMETER_SIGMA)


def _drawn_figures(trial: Trial, year: Described, drawn: FloatArray) -> list[float]:
    truths: list[Truth] = [
        truth_named(name, float(np.exp(sigma * z)))
        for (name, sigma), z in zip(_uncertain(trial.run), drawn[:-1], strict=True)
    ]
    year = _with_leakage(with_parameters(year, truths), float(np.exp(PARAMETER_SIGMA * drawn[-1])))
    estimated = replace(estimated_year(year)[0], inputs=trial.bought)
    found = figures_of_merit(estimated, served_in(estimated))
    return [np.nan if (value := found[name]) is None else float(value) for name in GAINS]


def _with_leakage(year: Described, factor: float) -> Described:
    """Return a layout whose accelerators leak more or less with temperature: the slope is assumed."""
    racks = year.site.racks
    per_k = np.minimum(np.asarray(racks.leakage_per_k) * factor, 0.1)
    return replace(year, site=replace(year.site, racks=replace(racks, leakage_per_k=per_k)))


def _gains(
    before: Checked, after: Checked, point: SetPoint, spread: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    """Return what each figure changes by, after less before, with its 80 % band and how likely it is for the better."""
    one, other = (_solution(state) for state in (after, before))
    found = {}
    for name in GAINS:
        now, was = after.result.figures[name], before.result.figures[name]
        if now is None or was is None:
            continue
        value, sigma = now - was, spread[name]
        if point.moves == CONFIGURATION and (banded := banded_difference(one, other, name)) is not None:
            sigma = float(np.hypot(sigma, (banded[2] - banded[1]) / (2 * Z80)))
        elif point.moves == CLOCK:
            sigma = float(np.hypot(sigma, abs(was) * _response_sigma(before, after, name)))
        sign = -1.0 if BY_NAME[name].better == "lower" else 1.0
        likely = float(ndtr(sign * value / sigma)) if sigma > 0 else 0.5 if value == 0 else float(sign * value > 0)
        found[name] = {
            "value": value,
            "low": value - Z80 * sigma,
            "high": value + Z80 * sigma,
            "probability": likely,
        }
    return found


def _response_sigma(before: Checked, after: Checked, figure: str) -> float:
    """Return how far a figure's answer to another clock may err, relative.

    One deployment's own error is in both years and cancels; how its tokens and its watts answer is known no better than
    either is predicted.
    """
    moved = []
    for name in ("output_tokens_per_s", "mean_power_w"):
        was, now = before.result.figures[name] or 0.0, after.result.figures[name] or 0.0
        low, high = before.result.bands.get(name, (1.0, 1.0))
        if figure in POWERS and name != "mean_power_w" or figure in TOKENS and name == "mean_power_w":
            continue
        moved.append(np.log(now / was) * np.log(high / low) / (2 * Z80) if min(was, now, low) > 0 else 0.0)
    return float(np.hypot.reduce(moved))


def _solution(state: Checked) -> Solution:
    result = state.result
    return solution(Candidate("", state.trial.run), state.trial.run, result.figures, result.bands, result.details)


def _row(
    base: Checked, after: Checked, point: SetPoint, value: float, gains: Mapping[str, dict[str, float]]
) -> dict[str, Any]:
    stood = {(row.object, row.kind): row.value for row in base.result.details.margins}
    left = margins.tightest(after.result.details.margins, 1)
    left = sorted(left, key=lambda row: row.value / THIN[row.unit])[:N_MARGINS]
    return {
        "object": point.object,
        "parameter": point.parameter,
        "from": point.now,
        "to": value,
        "unit": point.unit,
        "gain": dict(gains),
        "margins_after": [
            {
                "object": row.object,
                "kind": row.kind,
                "value": row.value,
                "unit": row.unit,
                "before": stood.get((row.object, row.kind)),
            }
            for row in left
        ],
        "worst_failure": {
            "text": after.ranking.text,
            "served_lost_tokens_per_s": _worst_failure_tokens_per_s(after.ranking),
        },
        "objects": list(point.objects),
        "note": point.note,
    }
