"""A layout's parameters fitted to its readings: the solver itself, at a few times, by least squares with priors.

Parts of the time are held out: a fit that does worse there than the description is not accepted.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.core.inputs.parameters import APPLIED, Truth, truth_named
from twin.core.solve.as_operated import with_parameters
from twin.core.solve.steady import solve_steady
from twin.core.solved import Described, Progress
from twin.core.telemetry.alarms import whitening
from twin.core.telemetry.calibrate import Estimate, Fit, Parameter, fit_map, judged, time_blocks
from twin.core.telemetry.compare import Columns, Driven, driven_by
from twin.core.telemetry.fitted import DEFAULT, LayoutFit
from twin.core.telemetry.predicted import Points, predicted_points
from twin.core.telemetry.publish import sensor
from twin.core.telemetry.quantities import PARAMETERS, QUANTITIES, is_sensor_temperature, point_name, split_point
from twin.core.telemetry.scores import cv_rmse_frac, rmse

FloatArray = NDArray[np.float64]

MOST_TIMES = 24  # that the solver is run at
LEAST_TIMES = 8
N_BLOCKS, HELD_OUT = 8, (2, 5)  # two of eight blocks of time are never fitted
# Readings of these objects are fitted; racks follow the load that the layout is driven by.
NOT_FITTED = ("speed_frac",)  # that no parameter moves
FITTED_KINDS = ("cdu", "feed", "plant", "hall", "air-unit", "site")
FRAC_SIGMA = 0.25  # what a described loss or conductance may be off by, one sigma, of its logarithm
BIAS_SIGMAS = 4.0  # a bias's prior, in usual sensor sigmas: 0.6 K of a thermometer
GAIN_SIGMA = 0.02
MOST_BIAS_SIGMAS = 40.0
DIFFERENCE_FRAC = 0.05  # of a prior's sigma
USUAL_SOLVES = 20


def fit_layout(
    year: Described,
    measured: Mapping[tuple[str, str], Columns],
    *,
    start_s: float,
    end_s: float,
    offset_s: float,
    parameters: Sequence[str] = DEFAULT,
    progress: Progress = lambda stage, frac: None,
) -> LayoutFit:
    """Fit a layout's parameters to readings.

    Parameters
    ----------
    year : Described
        As `simulate.described` gives it.
    measured : mapping of columns
        By object and quantity, in SI. Readings whose quality is not 1 are left out.
    start_s, end_s, offset_s : float
        Span [s since 1970], and the clock that the typical year runs on, from UTC [s].
    parameters : sequence of str
        Names out of `publish.APPLIED`: each is fitted for every object of the layout that has it, CDUs by their group;
        biases and gains for the measured temperatures, flows and powers of CDUs.
    progress : callable
        Takes what is done and how far it is, 0 to 1.

    Raises
    ------
    ValueError
        If a name is unknown, the readings are too few, or the layout cannot be solved.
    """
    for name in parameters:
        if name not in APPLIED:
            known = "is not calibrated yet" if name in PARAMETERS else "is unknown"
            raise ValueError(f"--parameters: {name} {known}; there are {', '.join(APPLIED)}")
    progress("solving the measured times", 0.05)
    driven = driven_by(year, measured, start_s=start_s, end_s=end_s, offset_s=offset_s, most=MOST_TIMES)
    if driven.at_s.size < LEAST_TIMES:
        raise ValueError(
            f"there are good readings at {driven.at_s.size} times between --start and --end; {LEAST_TIMES} or more are"
            " needed to fit and to hold some out"
        )
    model = LayoutModel(
        driven, swayed(year, measured, driven, start_s=start_s, end_s=end_s, offset_s=offset_s), progress
    )
    wanted = _wanted(year, model.keys, parameters)
    if not wanted:
        raise ValueError(f"nothing to fit: the layout has no object with {', '.join(parameters)}, or no point of it")
    held = np.isin(time_blocks(driven.at_s, N_BLOCKS), HELD_OUT)
    fit = _fitted(model, wanted, ~held)
    was, now = model.read({}), model.read(fit.values)
    verdict = judged(model.residuals(was)[:, held], model.residuals(now)[:, held], unit="sensor sigmas")
    scores: dict[str, dict[str, Any]] = {
        "before": model.scores(was, ~held),
        "after": model.scores(now, ~held),
        "held_out": {
            "before": model.scores(was, held),
            "after": model.scores(now, held),
            "before_sigmas": _plain(verdict.before),
            "after_sigmas": _plain(verdict.after),
        },
    }
    accepted = verdict.accepted and fit.converged
    return LayoutFit(
        tuple(_row(year, estimate, model.keys) for estimate in fit.estimates),
        scores,
        accepted,
        verdict.reason if fit.converged else f"the fit did not converge: {fit.message}",
        driven.at_s.size,
        int(held.sum()),
        driven.load_from,
    )


def swayed(
    year: Described,
    measured: Mapping[tuple[str, str], Columns],
    driven: Driven,
    *,
    start_s: float,
    end_s: float,
    offset_s: float,
    most: int = MOST_TIMES,
) -> list[Described]:
    """Return the layout driven by each weather and token reading one sensor sigma higher and lower.

    What these sensors err by is in every prediction: a plant near the step from one mode to the next says little.
    """
    layouts = []
    for key in sorted(driven.inputs & set(measured)):
        if key[0].startswith("rack/"):
            continue  # many sensors, whose errors even out
        times, values, quality = measured[key]
        usual = QUANTITIES[key[1]]
        sigma = usual.sigma * (np.abs(values) if usual.relative else 1.0)
        for sign in (1.0, -1.0):
            moved = {**measured, key: (times, values + sign * sigma, quality)}
            layouts.append(driven_by(year, moved, start_s=start_s, end_s=end_s, offset_s=offset_s, most=most).layout)
    return layouts


class LayoutModel:
    """The layout under its measured weather and load, solved once for each set of its own parameters."""

    def __init__(
        self,
        driven: Driven,
        also: Sequence[Described],
        progress: Progress,
        kinds: Sequence[str] = FITTED_KINDS,
        left_out: Sequence[str] = NOT_FITTED,
    ) -> None:
        self.driven, self.progress = driven, progress
        self.solved: dict[tuple[tuple[str, float], ...], Points] = {}
        described = self.predicted({})
        self.keys = [
            key
            for key in sorted(driven.means)
            if key in described and key[0].partition("/")[0] in kinds and key[1] not in left_out
            if key not in driven.inputs or key[0].startswith("rack/")  # racks are driven by the sum of many
        ]
        if not self.keys:
            raise ValueError("no reading is of a CDU, feed, plant, hall, air unit or the site that the layout predicts")
        self.measured = np.stack([driven.means[key] for key in self.keys])
        predicted = np.stack([described[key] for key in self.keys])
        usual = [QUANTITIES[quantity] for _, quantity in self.keys]
        # a relative sensor's sigma near nothing, as of a pump that stands, is that of its usual reading
        largest = np.nanmax(np.abs(np.concatenate([predicted, self.measured], axis=1)), axis=1, keepdims=True)
        level = np.maximum(np.abs(predicted), 0.05 * largest)
        relative = np.array([[q.relative] for q in usual])
        variance = (np.array([[q.sigma] for q in usual]) * np.where(relative, level, 1.0)) ** 2
        for layout in also:
            there = predicted_points(solve_steady(layout, range(driven.at_s.size)))
            none = np.full(driven.at_s.size, np.nan)
            variance += np.nan_to_num(np.stack([there.get(key, none) for key in self.keys]) - predicted) ** 2 / 2
        self.sigma = np.maximum(np.sqrt(variance), 1e-9)

    def predicted(self, values: Mapping[str, float]) -> Points:
        """Return what a plant with these parameters has, without its sensors' errors."""
        own = tuple((name, value) for name, value in values.items() if "sensor_" not in name)
        if own not in self.solved:
            n = len(self.solved)  # how many it takes is known at the end only
            self.progress("solving the plant as it may be", 0.1 + 0.85 * n / (n + USUAL_SOLVES))
            truths = [truth_named(name, value) for name, value in own]
            steady = solve_steady(with_parameters(self.driven.layout, truths), range(self.driven.at_s.size))
            self.solved[own] = predicted_points(steady)
        return self.solved[own]

    def read(self, values: Mapping[str, float]) -> FloatArray:
        """Return what the sensors of such a plant read, shape (n_points, n_times)."""
        points = self.predicted(values)
        wrong: dict[str, list[Truth]] = {}
        for name, value in values.items():
            if "sensor_" in name:
                truth = truth_named(name, value)
                wrong.setdefault(truth.object, []).append(truth)
        none = np.full(self.driven.at_s.size, np.nan)
        return np.stack(
            [
                sensor(*key, self.driven.at_s, points.get(key, none), wrong.get(point_name(*key), ()), ())
                for key in self.keys
            ]
        )

    def residuals(self, read: FloatArray) -> FloatArray:
        """Return measured minus predicted in sensor sigmas, shape (n_points, n_times)."""
        return (self.measured - read) / self.sigma

    def scores(self, read: FloatArray, rows: NDArray[np.bool_]) -> dict[str, dict[str, float | None]]:
        """Return the measure of each quantity over some times, of all its points together."""
        by_quantity: dict[str, dict[str, float | None]] = {}
        for quantity in sorted({quantity for _, quantity in self.keys}):
            of_quantity = [i for i, key in enumerate(self.keys) if key[1] == quantity]
            seen, predicted = (values[of_quantity][:, rows].ravel() for values in (self.measured, read))
            if is_sensor_temperature(quantity):
                by_quantity[quantity] = {"rmse_k": _plain(rmse(seen, predicted))}
            else:
                by_quantity[quantity] = {"cv_rmse_frac": _plain(cv_rmse_frac(seen, predicted))}
        return by_quantity


def _fitted(model: LayoutModel, wanted: Sequence[Parameter], rows: NDArray[np.bool_]) -> Fit:
    """Return the fit of some times; where residuals last from time to time, intervals are wider by that."""

    def residuals(values: Mapping[str, float]) -> FloatArray:
        return model.residuals(model.read(values))[:, rows].ravel()

    names = [parameter.name for parameter in wanted]
    apart = {frozenset((a, b)): _sensor_for(a, model.keys) for i, a in enumerate(names) for b in names[:i]}
    fit = fit_map(wanted, residuals, sensors=apart, difference_frac=DIFFERENCE_FRAC, max_evaluations=40)
    left = model.residuals(model.read(fit.values))[:, rows]
    lasting = [whitening(row).coefficient for row in left if np.isfinite(row).sum() >= LEAST_TIMES]
    r = max(float(np.median(lasting)), 0.0) if lasting else 0.0
    if r < 0.1:
        return fit
    return fit_map(
        wanted,
        residuals,
        sensors=apart,
        difference_frac=DIFFERENCE_FRAC,
        max_evaluations=40,
        samples_per_independent=(1 + r) / (1 - r),
    )


def cdu_objects(year: Described) -> list[str]:
    """Return the names of what CDUs are solved as: a unit on its own, or a group of several."""
    groups: dict[str, list[str]] = {}
    for cdu in year.inputs.cdus:
        groups.setdefault(cdu.group, []).append(cdu.name)
    return [f"cdu/{units[0]}" if len(units) == 1 else f"cdu-group/{name}" for name, units in groups.items()]


def _wanted(year: Described, keys: Sequence[tuple[str, str]], parameters: Sequence[str]) -> list[Parameter]:
    """Return what is fitted, named `object parameter`, with what is believed of it."""
    inputs, found = year.inputs, []
    objects = {
        "cdu": cdu_objects(year),
        "hall": [f"hall/{hall.name}" for hall in inputs.halls],
        "plant": [f"plant/{plant.name}" for plant in inputs.plants],
        "ups": [f"feed/{feed.name}" for feed in inputs.feeds if feed.kind == "ups"],
        "transformer": [f"feed/{feed.name}" for feed in inputs.feeds if feed.kind == "transformer"],
    }
    for parameter in dict.fromkeys(parameters):
        allowed = PARAMETERS[parameter]
        for kind in APPLIED[parameter]:
            found += [
                Parameter(f"{name} {parameter}", "1", 1.0, FRAC_SIGMA, allowed.low, allowed.high, logarithmic=True)
                for name in objects[kind]
            ]
        for name, quantity in keys:
            if not name.startswith("cdu/"):
                continue
            where, usual = f"{point_name(name, quantity)} {parameter}", QUANTITIES[quantity]
            if parameter == "sensor_bias" and is_sensor_temperature(quantity):
                most = MOST_BIAS_SIGMAS * usual.sigma
                found.append(Parameter(where, "K", 0.0, BIAS_SIGMAS * usual.sigma, -most, most))
            elif parameter == "sensor_gain" and usual.relative:
                found.append(Parameter(where, "1", 1.0, GAIN_SIGMA, allowed.low, allowed.high, logarithmic=True))
    return found


def _row(year: Described, estimate: Estimate, keys: Sequence[tuple[str, str]]) -> dict[str, Any]:
    where, _, parameter = estimate.name.rpartition(" ")
    reason = estimate.reason
    if reason and "add a sensor" not in reason and "bound" not in reason:
        reason += f"; add a sensor: {_sensor_for(estimate.name, keys)}"
    if not reason and where.startswith("cdu-group/"):
        n = sum(cdu.group == where.partition("/")[2] for cdu in year.inputs.cdus)
        reason = f"the mean of {n} CDUs that are solved as one"
    return {
        "object": where,
        "parameter": parameter,
        "unit": estimate.unit,
        "before": estimate.before,
        "after": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "identifiable": estimate.identifiable,
        "reason": reason,
    }


def _sensor_for(name: str, keys: Sequence[tuple[str, str]]) -> str:
    """Return the sensor that would tell a parameter: one that is missing, or a better one of those there are."""
    where, _, parameter = name.rpartition(" ")
    if split_point(where):
        return f"a reference sensor beside {where}"
    named = where.partition("/")[2]
    if where.startswith("cdu"):
        quantities = (
            ("power_w",) if parameter == "pump_efficiency_frac" else ("primary_flow_kg_s", "primary_return_degc")
        )
        of_cdus = {quantity for other, quantity in keys if other.startswith("cdu/")}
        missing = [quantity for quantity in quantities if quantity not in of_cdus]
        return f"{' and '.join(missing)} of {named}" if missing else f"a more accurate {quantities[0]} of {named}"
    if where.startswith("feed/"):
        better = "a more accurate " if (where, "power_w") in keys else ""
        return f"{better}power_w of {where} and of what it feeds"
    told_by = {"containment_leakage_frac": "air_flow_kg_s"}.get(parameter, "power_w")
    return f"{'a more accurate ' if (where, told_by) in keys else ''}{told_by} of {where}"


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
