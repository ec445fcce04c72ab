"""Measured beside predicted: a layout solved at the measured weather and load, scored point by point.

A point that the solve was driven by (weather, tokens or rack power) is marked as an input: its residual says nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from power_cooling.fluids.psychrometrics import humidity_ratio_from_wet_bulb
from power_cooling.site_arrays import Weather
from twin.core.inputs.pools import Pool
from twin.core.solve.steady import Steady, at_hours, solve_steady
from twin.core.solved import Described
from twin.core.telemetry.coverage import coverage
from twin.core.telemetry.predicted import (
    Points,
    at_times,
    hour_of_year,
    predicted_points,
    rack_objects,
)
from twin.core.telemetry.quantities import GOOD, is_sensor_temperature
from twin.core.telemetry.scores import band_half_width, cv_rmse_frac, nmbe_frac, rmse

FloatArray = NDArray[np.float64]
Columns = tuple[NDArray[np.int64], FloatArray, NDArray[np.uint8]]  # times [ms since 1970], values, quality
OUTPUT_TOKENS = "output tokens"  # what the load is read from, where every workload is counted
METER = ("site", "power_w")
MOST_INTERVALS = 2000  # solved; more readings than that are averaged
# Shares of capacity at which racks' power is looked up, closest where idle chips wake.
LOADS = np.array([0, 0.005, 0.01, 0.02, 0.03, 0.04, 0.055, 0.075, 0.1, 0.14, 0.2, 0.3, 0.4, 0.55, 0.7, 0.85, 1.0])
POWER_PASSES = 2  # the second corrects for the weather, which moves a rack's power by little


@dataclass(frozen=True, slots=True, eq=False)
class Driven:
    """A layout at the intervals of its readings, under the measured weather and load, and what was read in them."""

    layout: Described
    means: Points
    at_s: FloatArray
    step_s: float
    load_from: str
    weather_from: str
    inputs: set[tuple[str, str]]  # points that it is driven by


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What a comparison found. `as_json` has the shape of `compare_telemetry --json`, which leaves the series out."""

    points: tuple[dict[str, Any], ...]
    figures: Mapping[str, dict[str, float | None]]
    coverage: tuple[dict[str, Any], ...]
    load_from: str
    weather_from: str
    step_s: float
    n_intervals: int
    not_predicted: tuple[str, ...]
    at_s: FloatArray  # mean time of each interval [s since 1970]
    measured: Points  # of the scored points, means by interval; NaN where there is none
    predicted: Points

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "points": list(self.points),
            "figures": dict(self.figures),
            "coverage": list(self.coverage),
            "load_from": self.load_from,
            "weather_from": self.weather_from,
            "step_s": self.step_s,
            "intervals": self.n_intervals,
            "not_predicted": list(self.not_predicted),
        }


def compare(
    year: Described,
    measured: Mapping[tuple[str, str], Columns],
    *,
    start_s: float,
    end_s: float,
    offset_s: float,
    figure_bands: Mapping[str, tuple[float, float]] | None = None,
) -> Comparison:
    """Score a layout against readings.

    Parameters
    ----------
    year : Described
        As `simulate.described` gives it.
    measured : mapping of columns
        By object and quantity, in SI. Readings whose quality is not 1 are left out.
    start_s, end_s, offset_s : float
        Span [s since 1970], and the clock that the typical year runs on, from UTC [s].
    figure_bands : mapping, optional
        Low and high of a figure over its value, of a run of this layout.

    Raises
    ------
    ValueError
        If the span holds no good reading, or the layout cannot be solved.
    """
    driven = driven_by(year, measured, start_s=start_s, end_s=end_s, offset_s=offset_s)
    means = driven.means
    steady = solve_steady(driven.layout, range(driven.at_s.size))
    predicted = predicted_points(steady)
    scored = [key for key in sorted(means) if key in predicted]
    points = [_scored(*key, means[key], predicted[key], key in driven.inputs) for key in scored]
    missing = tuple(f"{name}|{quantity}" for name, quantity in sorted(means) if (name, quantity) not in predicted)
    return Comparison(
        tuple(points),
        _figures(means, predicted, figure_bands or {}),
        coverage(steady.inputs, rack_objects(steady.inputs), means, predicted),
        driven.load_from,
        driven.weather_from,
        driven.step_s,
        driven.at_s.size,
        missing,
        driven.at_s,
        {key: means[key] for key in scored},
        {key: predicted[key] for key in scored},
    )


def driven_by(
    year: Described,
    measured: Mapping[tuple[str, str], Columns],
    *,
    start_s: float,
    end_s: float,
    offset_s: float,
    most: int = MOST_INTERVALS,
) -> Driven:
    """Return a layout under the weather and load of its readings, at no more than `most` intervals spread evenly.

    Raises
    ------
    ValueError
        If the span holds no good reading, or the layout cannot be solved.
    """
    step_s, bins, at_s = _intervals(measured, start_s, end_s)
    if bins.size > most:
        kept = np.linspace(0, bins.size - 1, most).round().astype(int)
        bins, at_s = bins[kept], at_s[kept]
    means = {key: _means(columns, start_s, step_s, bins) for key, columns in measured.items()}
    here, weather_from = _weather(year, means, hour_of_year(at_s, offset_s, year.weather.n_elements))
    here, load_from = _loaded(here, means)
    return Driven(here, means, at_s, step_s, load_from, weather_from, _driven(means, load_from))


def _intervals(
    measured: Mapping[tuple[str, str], Columns], start_s: float, end_s: float
) -> tuple[float, NDArray[np.int64], FloatArray]:
    """Return the interval's length [s], which intervals hold good readings, and the mean time of these [s]."""
    if not start_s < end_s:
        raise ValueError("--end must be after --start")
    steps = [np.median(np.diff(times)) for times, _, _ in measured.values() if times.size > 1]
    own = float(min(steps)) / 1e3 if steps else end_s - start_s
    step_s = max(own, float(np.ceil((end_s - start_s) / MOST_INTERVALS)), 1.0)
    good = [times[quality == GOOD] for times, _, quality in measured.values()]
    seconds = np.concatenate([np.empty(0), *good]) / 1e3
    if not seconds.size:
        raise ValueError("there is no good reading between --start and --end; ingest_telemetry stores them")
    bins, place = np.unique(((seconds - start_s) // step_s).astype(np.int64), return_inverse=True)
    return step_s, bins, np.bincount(place, seconds) / np.bincount(place)


def _means(columns: Columns, start_s: float, step_s: float, bins: NDArray[np.int64]) -> FloatArray:
    times, values, quality = columns
    own = ((times / 1e3 - start_s) // step_s).astype(np.int64)
    good = (quality == GOOD) & np.isin(own, bins)
    place = np.searchsorted(bins, own[good])
    n = np.bincount(place, minlength=bins.size)
    total = np.bincount(place, values[good], minlength=bins.size)
    return np.divide(total, n, out=np.full(bins.size, np.nan), where=n > 0)


def _weather(year: Described, means: Points, hours: FloatArray) -> tuple[Described, str]:
    """Return the layout at the intervals: described weather and demand on the line between hours, then the measured."""
    here = at_times(year, hours)
    dry, ratio, pressure = here.weather.dry_bulb_degc, here.weather.humidity_ratio, here.weather.pressure_pa
    seen_dry, seen_wet = (means.get(("weather", f"{bulb}_bulb_degc")) for bulb in ("dry", "wet"))
    measured_names = []
    if seen_dry is not None:
        dry = np.where(np.isfinite(seen_dry), seen_dry, dry)
        measured_names.append("dry bulb")
    if seen_wet is not None:
        known = np.isfinite(seen_wet)
        # a wet bulb that reads above the dry bulb is the sensors' noise: saturated air
        wet = np.minimum(np.where(known, seen_wet, dry), dry)
        ratio = np.where(known, humidity_ratio_from_wet_bulb(dry, wet, pressure), ratio)
        measured_names.append("wet bulb")
    here = replace(here, weather=Weather(dry_bulb_degc=dry, humidity_ratio=ratio, pressure_pa=pressure))
    return here, f"measured {' and '.join(measured_names)}" if measured_names else "described"


def _loaded(here: Described, means: Points) -> tuple[Described, str]:
    """Return the layout at the measured load, and what that was told by."""
    hours = range(here.weather.n_elements)
    named = {pool.workload: (f"workload/{pool.workload}", "output_tokens_per_s") for pool in here.pools}
    tokens = {workload: means[point] for workload, point in named.items() if point in means}
    if len(tokens) == len(named):
        pools = []
        for pool in here.pools:
            alike = [other for other in here.pools if other.workload == pool.workload]
            asked = np.sum([other.work_per_s * other.output_tokens for other in alike], axis=0)
            share = np.divide(tokens[pool.workload], asked, out=np.zeros(len(hours)), where=asked > 0)
            pools.append(_asked(pool, np.where(np.isfinite(share), share * pool.work_per_s, pool.work_per_s)))
        return replace(here, pools=pools), OUTPUT_TOKENS
    names = rack_objects(here.inputs)
    seen = [i for i, name in enumerate(names) if (name, "power_w") in means and here.rack_pool[i] >= 0]
    if not seen:
        return here, "described"
    power = np.stack([means[names[i], "power_w"] for i in seen], axis=1)
    middle = at_hours(here, [here.weather.n_elements // 2] * LOADS.size)
    table = solve_steady(
        replace(middle, pools=[_asked(pool, LOADS * pool.capacity_per_s) for pool in middle.pools]), range(LOADS.size)
    )
    at_loads, aim = _drawn(table, seen), power
    for _ in range(POWER_PASSES):
        pools = [
            _asked(pool, _load_of(at_loads, aim, here.rack_pool[seen] == i, pool)) for i, pool in enumerate(here.pools)
        ]
        steady = solve_steady(replace(here, pools=pools), hours)
        aim = aim + power - _drawn(steady, seen)  # the table is of one interval's weather
    return replace(here, pools=pools), f"power of {len(seen)} rack{'s' * (len(seen) > 1)}"


def _load_of(at_loads: FloatArray, power: FloatArray, of_pool: NDArray[np.bool_], pool: Pool) -> FloatArray:
    """Return the requests per second at which a pool's measured racks draw what they drew, shape (n_intervals,).

    Intervals in which none of them is measured keep the described demand.
    """
    known = of_pool & np.isfinite(power)
    measured_w = np.sum(np.where(known, power, 0.0), axis=1)
    table = np.maximum.accumulate(np.nan_to_num(at_loads) @ known.T, axis=0)  # (n_loads, n_intervals)
    load = np.array([np.interp(measured_w[t], table[:, t], LOADS) for t in range(measured_w.size)])
    return np.where(known.any(axis=1), load * pool.capacity_per_s, pool.work_per_s)


def _drawn(steady: Steady, seen: list[int]) -> FloatArray:
    return steady.coupled.every_rack.power_w[:, steady.rack_class[seen]].astype(float)


def _asked(pool: Pool, per_s: FloatArray) -> Pool:
    return replace(pool, demand_per_s=per_s, work_per_s=per_s)


def _driven(means: Points, load_from: str) -> set[tuple[str, str]]:
    driven = {("weather", "dry_bulb_degc"), ("weather", "wet_bulb_degc")}
    if load_from == OUTPUT_TOKENS:
        driven |= {key for key in means if key[1] == "output_tokens_per_s"}
    elif load_from != "described":
        driven |= {key for key in means if key[0].startswith("rack/") and key[1] == "power_w"}
    return driven


def _scored(name: str, quantity: str, measured: FloatArray, predicted: FloatArray, driven: bool) -> dict[str, Any]:
    both = np.isfinite(measured) & np.isfinite(predicted)
    seen, expected = measured[both], predicted[both]
    row: dict[str, Any] = {"object": name, "quantity": quantity, "n": int(both.sum()), "input": driven}
    if is_sensor_temperature(quantity):
        row["rmse_k"] = _plain(rmse(seen, expected))
        row["mean_error_k"] = float(np.mean(seen - expected)) if seen.size else None
    elif seen.size > 1 and np.mean(seen) != 0:
        row["nmbe_frac"], row["cv_rmse_frac"] = _plain(nmbe_frac(seen, expected)), _plain(cv_rmse_frac(seen, expected))
    else:
        row["nmbe_frac"] = row["cv_rmse_frac"] = None
    inside = np.abs(seen - expected) <= band_half_width(quantity, expected)
    row["covered_frac"] = float(np.mean(inside)) if seen.size else None
    return row


def _figures(
    means: Points, predicted: Points, bands: Mapping[str, tuple[float, float]]
) -> dict[str, dict[str, float | None]]:
    """Return tokens per second and per joule over the intervals where meter and tokens are both measured."""
    names = [key for key in predicted if key[0].startswith("workload/") and key[1] == "output_tokens_per_s"]
    if not names or not all(key in means for key in names):
        names = [("site", "output_tokens_per_s")]
    columns: dict[str, dict[str, FloatArray]] = {}
    for which, points in (("measured", means), ("predicted", predicted)):
        columns[which] = {"watts": points[METER]} if METER in points else {}
        made = [points[key] for key in names if key in points]
        if len(made) == len(names):
            columns[which]["tokens"] = np.sum(made, axis=0)
    figures = {}
    for figure, needs in (
        ("output_tokens_per_s", ("tokens",)),
        ("tokens_per_joule", ("watts", "tokens")),
        ("meter_power_w", ("watts",)),
    ):
        used = [column[need] for column in columns.values() for need in needs if need in column]
        row: dict[str, float | None] = dict.fromkeys(("measured", "predicted", "low", "high"))
        if len(used) == len(columns) * len(needs):
            known = np.all(np.isfinite(np.stack(used)), axis=0)
            for which, column in columns.items():
                watts = float(np.mean(column["watts"][known])) if known.any() and "watts" in needs else None
                tokens = float(np.mean(column["tokens"][known])) if known.any() and "tokens" in needs else None
                row[which] = tokens / watts if tokens is not None and watts else tokens if watts is None else watts
        if row["predicted"] is not None and figure in bands:
            row["low"], row["high"] = (row["predicted"] * end for end in bands[figure])
        figures[figure] = row
    return figures


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
