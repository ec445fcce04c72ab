"""What set points that were taken on have gained, by a site's own readings, beside what was promised for them.

Both sides of the change are held against the same twin at the old set points, at the measured weather and load (IPMVP,
option D). What the twin errs by before the change is known by then: a line on outdoor air and load, whose uncertainty
grows where the time after the change is unlike the time before. The rest of the difference is the gain.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from twin.core.comparison.standing import Z80
from twin.core.inputs.layout import LayoutInputs
from twin.core.solve.simulate import described
from twin.core.solve.steady import solve_steady
from twin.core.solved import Described, Progress
from twin.core.telemetry.alarms import samples_per_independent
from twin.core.telemetry.compare import METER, OUTPUT_TOKENS, Columns, Driven, driven_by
from twin.core.telemetry.predicted import Points, at_times, hour_of_year, predicted_points, rack_objects
from twin.core.telemetry.set_points import CLOCK, CONFIGURATION, SetPoint, set_points, with_rows
from twin.core.telemetry.times import iso_time

FloatArray = NDArray[np.float64]

DRY_BULB, TOKENS = ("weather", "dry_bulb_degc"), ("site", "output_tokens_per_s")
QUANTITIES = ("power_w", "output_tokens_per_s", "dry_bulb_degc", "wet_bulb_degc")  # that are read
LEAST_HOURS = 24  # with readings, either side of the change
BEFORE_DAYS = 30  # that are read before the change
EACH_COVARIATE = 10  # independent readings that a slope of the twin's error takes
# What the twin's error moves by between two times beside the line, of the power: a hot hour's fans, a chiller's steps.
# Assumed; plants with fans and UPS drawn 20 to 30 % off need it for their bands to hold.
ASSUMED_DRIFT_FRAC = 5e-4
HOUR_S, DAY_S = 3600.0, 86_400.0
FIGURES = ("tokens_per_joule", "mean_power_w")  # that meter and load give
MEASURED, WAITING = "measured", "not enough readings yet"
KEPT, MISSED, EXCEEDED, UNDECIDED = "as promised", "less than promised", "more than promised", "not decided yet"


@dataclass(frozen=True, slots=True, eq=False)
class Gain:
    """What came of set points that were taken on. `as_json` is what pages, programs and `measure_gain --json` give."""

    state: str
    reason: str  # what is missing, where it is not measured
    taken_s: float
    end_s: float
    hours_before: float
    hours_after: float
    load_from: str = ""
    weather_from: str = ""
    verdict: str = ""
    figures: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    days: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "state": self.state,
            "reason": self.reason,
            "taken_at": iso_time(self.taken_s),
            "end": iso_time(self.end_s),
            "hours_before": self.hours_before,
            "hours_after": self.hours_after,
            "load_from": self.load_from,
            "weather_from": self.weather_from,
            "verdict": self.verdict,
            "figures": dict(self.figures),
            "days": list(self.days),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """The readings of one side of the change, at intervals where all that is needed was measured."""

    driven: Driven
    known: NDArray[np.bool_]
    measured_w: FloatArray
    old_w: FloatArray  # predicted at the old set points
    run_w: FloatArray  # predicted at the set points of that time
    tokens_per_s: FloatArray
    dry_bulb_degc: FloatArray

    @property
    def at_s(self) -> FloatArray:
        """Mean times of the intervals [s since 1970]."""
        return self.driven.at_s[self.known]

    @property
    def hours(self) -> float:
        """How many hours hold readings."""
        return _hours(self.at_s, self.driven.step_s)


@dataclass(frozen=True, slots=True, eq=False)
class Error:
    """What the logarithm of measured over predicted power follows before the change, by least squares."""

    middle: FloatArray
    spread: FloatArray
    slopes: FloatArray  # the constant first
    covariance: FloatArray
    independent: float  # readings

    def rows(self, columns: FloatArray) -> FloatArray:
        """Return the constant and the covariates of intervals, shape (n, n_slopes)."""
        standard = (columns - self.middle) / self.spread
        return np.column_stack([np.ones(len(columns)), standard])[:, : self.slopes.size]


def measured_gain(
    inputs: LayoutInputs,
    rows: Sequence[Mapping[str, Any]],
    measured: Mapping[tuple[str, str], Columns],
    *,
    taken_s: float,
    end_s: float,
    offset_s: float,
    earlier: Sequence[Mapping[str, Any]] = (),
    progress: Progress = lambda stage, frac: None,
) -> Gain:
    """Return what rows of an advice have gained since they were taken on.

    Parameters
    ----------
    inputs : LayoutInputs
        The layout that they were taken on, as it stood.
    rows : sequence of mappings
        Of `Advice.rows`.
    measured : mapping of columns
        By object and quantity, in SI, of both sides of the change.
    taken_s, end_s, offset_s : float
        When they were taken on and up to when it counts [s since 1970]; the typical year's clock, from UTC [s].
    earlier : sequence of mappings
        Rows that were taken on before.
    progress : callable
        Takes what is done and how far it is, 0 to 1.

    Raises
    ------
    ValueError
        If the layout cannot be solved, has not such a set point, or has it at another value than it was advised from.
    """
    progress("solving the old set points", 0.05)
    old = described(inputs)
    stood = with_rows(inputs, old.pools, earlier)
    old = described(stood) if earlier else old
    points = _advised_points(stood, old, rows)
    sides: list[Side] = []

    def waiting(reason: str) -> Gain:
        before, after, *_ = [*(side.hours for side in sides), 0.0, 0.0]
        return Gain(WAITING, reason, taken_s, end_s, before, after, sides[-1].driven.load_from if sides else "")

    if reason := _not_measured(old, points, measured):
        return waiting(reason)
    new = described(with_rows(stood, old.pools, rows))
    ends = ((float("-inf"), taken_s, old, "before"), (taken_s, end_s, new, "after"))
    for start, end, as_run, name in ends:
        progress(f"solving the times {name} the change", 0.2 + 0.4 * len(sides))
        own = _between(measured, start, end)
        if METER not in own:
            return waiting(f"the meter has no reading {name} the change")
        first_s, last_s = (own[METER][0][i] / 1e3 for i in (0, -1))
        sides.append(_side(as_run, old, own, start_s=first_s, end_s=min(last_s + HOUR_S, end), offset_s=offset_s))
    before, after = sides
    for side, name in ((before, "before"), (after, "after")):
        if side.hours < LEAST_HOURS:
            return waiting(
                f"{side.hours:.0f} h {name} the change have readings of meter, load and outdoor air; {LEAST_HOURS} h"
                " are needed"
            )
    return _gain(before, after, rows, taken_s, end_s)


def _advised_points(stood: LayoutInputs, old: Described, rows: Sequence[Mapping[str, Any]]) -> list[SetPoint]:
    """Return the set points that rows move; raise ValueError where one does not stand where it was advised from."""
    there = {(point.object, point.parameter): point for point in set_points(stood, old.pools)}
    found = []
    for row in rows:
        point = there.get((row["object"], row["parameter"]))
        if point is None:
            raise ValueError(f"the layout has no set point {row['parameter']} of {row['object']}")
        if abs(point.now - row["from"]) > max(point.step / 2, 1e-6):
            raise ValueError(
                f"{row['parameter']} of {row['object']} is {point.now:g} in this layout; it was advised from"
                f" {row['from']:g}: name the layout as it stood before the change"
            )
        found.append(point)
    return found


def _not_measured(old: Described, points: Sequence[SetPoint], measured: Mapping[tuple[str, str], Columns]) -> str:
    """Return which point is missing that a gain cannot do without; blank: none."""
    for key, name in ((METER, "the site's meter"), (DRY_BULB, "outdoor air")):
        if key not in measured:
            return f"{name} ({key[0]}|{key[1]}) is not measured"
    if all((f"workload/{pool.workload}", TOKENS[1]) in measured for pool in old.pools):
        return ""
    if any(point.moves in (CLOCK, CONFIGURATION) for point in points):
        return (
            "output tokens of each workload (workload/…|output_tokens_per_s) are not measured: a power limit or another"
            " split moves the racks' power too, so that it does not tell the load"
        )
    served = [name for name, pool in zip(rack_objects(old.inputs), old.rack_pool, strict=True) if pool >= 0]
    silent = [name for name in served if (name, "power_w") not in measured]
    if silent or not served:
        return (
            "the load is not measured: neither output tokens of each workload nor the power of each rack"
            f" ({len(served) - len(silent)} of {len(served)} are)"
        )
    return ""


def _between(
    measured: Mapping[tuple[str, str], Columns], start_s: float, end_s: float
) -> dict[tuple[str, str], Columns]:
    """Return the readings of a span that tell meter, load and weather."""
    found = {}
    for key, (times, values, quality) in measured.items():
        if key[1] not in QUANTITIES:
            continue
        inside = (times >= start_s * 1e3) & (times < end_s * 1e3)
        if inside.any():
            found[key] = times[inside], values[inside], quality[inside]
    return found


def _side(
    as_run: Described,
    old: Described,
    measured: Mapping[tuple[str, str], Columns],
    *,
    start_s: float,
    end_s: float,
    offset_s: float,
) -> Side:
    """Return one side of the change, predicted as it was run and at the old set points, weather and load the same."""
    driven = driven_by(as_run, measured, start_s=start_s, end_s=end_s, offset_s=offset_s)
    n, means = driven.at_s.size, driven.means
    run = old_points = predicted_points(solve_steady(driven.layout, range(n)))
    if as_run is not old:
        here = at_times(old, hour_of_year(driven.at_s, offset_s, old.weather.n_elements))
        pools = [
            replace(pool, demand_per_s=asked.demand_per_s, work_per_s=asked.work_per_s)
            for pool, asked in zip(here.pools, driven.layout.pools, strict=True)
        ]
        here = replace(here, weather=driven.layout.weather, pools=pools)
        old_points = predicted_points(solve_steady(here, range(n)))
    nothing = np.full(n, np.nan)
    load = _load_points(driven)
    tokens = _tokens(means, driven, run)
    columns = [means.get(METER, nothing), old_points[METER], run[METER], tokens, means.get(DRY_BULB, nothing)]
    known = np.all(np.isfinite([*columns, *(means.get(key, nothing) for key in load)]), axis=0)
    known &= np.all([column > 0 for column in columns[:3]], axis=0)
    return Side(driven, known, *(column[known] for column in columns))


def _load_points(driven: Driven) -> list[tuple[str, str]]:
    if driven.load_from == OUTPUT_TOKENS:
        return [(f"workload/{pool.workload}", TOKENS[1]) for pool in driven.layout.pools]
    served = zip(rack_objects(driven.layout.inputs), driven.layout.rack_pool, strict=True)
    return [(name, "power_w") for name, pool in served if pool >= 0]


def _tokens(means: Points, driven: Driven, run: Points) -> FloatArray:
    """Return output tokens per second: those that were measured, else the twin's at the measured load."""
    if driven.load_from != OUTPUT_TOKENS:
        return run[TOKENS]
    return np.sum([means[key] for key in dict.fromkeys(_load_points(driven))], axis=0)


def _covariates(side: Side) -> FloatArray:
    return np.column_stack([side.dry_bulb_degc, np.log(side.old_w)])


def _error_before(side: Side) -> Error:
    """Return what the twin errs by before the change, and how well that is known."""
    columns, error = _covariates(side), np.log(side.measured_w / side.old_w)
    middle, spread = columns.mean(axis=0), np.maximum(columns.std(axis=0), 1e-9)
    design = np.column_stack([np.ones(error.size), (columns - middle) / spread])
    independent = error.size / samples_per_independent(error - error.mean())
    varies = columns.std(axis=0) > [0.1, 1e-3]  # kelvin; share of the power
    n = 3 if varies.all() and independent >= 3 * EACH_COVARIATE else 1
    design = design[:, :n]
    slopes, *_ = np.linalg.lstsq(design, error, rcond=None)
    rest = error - design @ slopes
    variance, independent = _variance_of_mean(side.at_s, rest)
    covariance = np.linalg.inv(design.T @ design / error.size) * variance
    return Error(middle, spread, slopes, covariance, max(independent, 1.0 + n))


def _gain(before: Side, after: Side, rows: Sequence[Mapping[str, Any]], taken_s: float, end_s: float) -> Gain:
    error = _error_before(before)
    design = error.rows(_covariates(after))
    old_w = after.old_w * np.exp(design @ error.slopes)  # what the plant would have drawn
    promised_w = old_w * after.run_w / after.old_w
    was, would, is_w = (float(np.mean(w)) for w in (old_w, promised_w, after.measured_w))
    tokens = float(np.mean(after.tokens_per_s))
    rest = _scatter(np.log(after.measured_w / old_w), np.log(after.run_w / after.old_w))
    variance, independent = _variance_of_mean(after.at_s, rest)
    weight = (old_w / old_w.sum()) @ design
    sigma = float(np.sqrt(weight @ error.covariance @ weight + variance + ASSUMED_DRIFT_FRAC**2))
    sigma *= float(student.ppf(0.9, max(min(error.independent - error.slopes.size, independent - 1.0), 1.0))) / Z80
    ends = was * np.exp(np.array([-Z80 * sigma, Z80 * sigma]))
    figures = {}
    for name in FIGURES:
        old, new, hoped, *band = (
            w if name == "mean_power_w" else tokens / w for w in (was, is_w, would, *ends.tolist())
        )
        gained = sorted(new - end for end in band)
        figures[name] = {
            "before": old,
            "after": new,
            "promised_year": _promised(rows, name),
            "promised": _scaled(_promised(rows, name), hoped - old),
            "measured": {"value": new - old, "low": gained[0], "high": gained[1]},
        }
    return Gain(
        MEASURED,
        "",
        taken_s,
        end_s,
        before.hours,
        after.hours,
        after.driven.load_from,
        after.driven.weather_from,
        _verdict(figures[FIGURES[0]]),
        figures,
        _days(after, old_w, promised_w),
        _notes(before, after, error),
    )


def _scatter(gained: FloatArray, promised: FloatArray) -> FloatArray:
    """Return what is left of the intervals' gains beside a line on the promise: a gain may follow the load."""
    line = np.column_stack([np.ones(gained.size), promised - promised.mean()])
    slopes, *_ = np.linalg.lstsq(line, gained, rcond=None)
    return gained - line @ slopes


def _variance_of_mean(at_s: FloatArray, rest: FloatArray) -> tuple[float, float]:
    """Return the variance of the mean of residuals, and how many independent ones they are worth.

    The larger of what neighbours (AR(1)) and what whole days say: an error may last longer than a neighbour shows.
    """
    independent = max(rest.size / samples_per_independent(rest), 2.0)
    _, day = np.unique(at_s // DAY_S, return_inverse=True)
    means = np.bincount(day, rest) / np.bincount(day)
    by_day = float(means.var(ddof=1)) / means.size if means.size > 1 else 0.0
    return max(float(rest.var()) / independent, by_day), independent


def _promised(rows: Sequence[Mapping[str, Any]], figure: str) -> dict[str, float] | None:
    """Return what rows promise of a figure together, for a year; their errors are taken as their own."""
    gains = [row["gain"][figure] for row in rows if figure in row["gain"]]
    if len(gains) < len(rows):
        return None
    value = sum(gain["value"] for gain in gains)
    half = float(np.hypot.reduce([(gain["high"] - gain["low"]) / 2 for gain in gains]))
    return {"value": value, "low": value - half, "high": value + half}


def _scaled(year: Mapping[str, float] | None, value: float) -> dict[str, float]:
    """Return the promise at the measured weather and load, as far off as that for the year may be."""
    half = 0.0
    if year is not None and year["value"]:
        half = abs(value / year["value"]) * (year["high"] - year["low"]) / 2
    return {"value": value, "low": value - half, "high": value + half}


def _verdict(figure: Mapping[str, Any]) -> str:
    measured, promised = figure["measured"], figure["promised"]
    apart = measured["value"] - promised["value"]
    half = float(np.hypot(measured["high"] - measured["low"], promised["high"] - promised["low"])) / 2
    if abs(apart) > half:
        return EXCEEDED if apart > 0 else MISSED
    return UNDECIDED if measured["low"] <= 0.0 <= measured["high"] else KEPT


def _hours(at_s: FloatArray, step_s: float) -> float:
    return at_s.size * step_s / HOUR_S if step_s >= HOUR_S else float(np.unique(at_s // HOUR_S).size)


def _days(after: Side, old_w: FloatArray, promised_w: FloatArray) -> tuple[dict[str, Any], ...]:
    day = after.at_s // DAY_S
    found = []
    for one in np.unique(day):
        own = day == one
        found.append(
            {
                "day": iso_time(float(one * DAY_S))[:10],
                "hours": _hours(after.at_s[own], after.driven.step_s),
                "measured_w": float(np.mean(after.measured_w[own])),
                "old_w": float(np.mean(old_w[own])),
                "promised_w": float(np.mean(promised_w[own])),
                "output_tokens_per_s": float(np.mean(after.tokens_per_s[own])),
            }
        )
    return tuple(found)


def _notes(before: Side, after: Side, error: Error) -> tuple[str, ...]:
    notes = []
    if after.driven.load_from != OUTPUT_TOKENS:
        notes.append("tokens are the twin's at the measured load: none are measured")
    outside = np.mean(
        (after.dry_bulb_degc < before.dry_bulb_degc.min()) | (after.dry_bulb_degc > before.dry_bulb_degc.max())
    )
    if outside > 0.1:
        notes.append(f"{outside:.0%} of the time after the change was warmer or colder than any before it")
    if error.slopes.size == 1:
        notes.append("the twin's error before the change is taken as the same in all weather: it was read too shortly")
    return tuple(notes)
