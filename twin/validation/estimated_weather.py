"""Estimated weather beside ten real years, each made from its own monthly normals and design conditions.

A year's normals and percentiles are taken from its hours, as a weather service would, and a year is made from them.
What the two then say of plants is compared as well: one hall by cooling, every sixth hour of each.
"""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facility.epw import read_epw
from power_cooling.climate.estimated_year import Normals, estimated_year, mean_daily_ranges, monthly_means
from power_cooling.fluids.psychrometrics import dew_point_degc, humidity_ratio_from_relative_humidity, wet_bulb_degc
from power_cooling.site_arrays import Weather
from twin.core.results.figures import ESTIMATED_WEATHER_LOG_BANDS
from twin.validation import pue
from twin.validation.check import Check, at_least, at_most, skipped

FloatArray = NDArray[np.float64]
GROUP = "estimated weather"
MEAN_REACH_K, QUANTILE_REACH_K, FREE_REACH_FRAC = 0.3, 1.0, 0.05
COVERED = 0.8  # of plants and years that the bands should hold
QUANTILES = (0.01, 0.99)
PUBLISHED = {
    "dry": (0.004, 0.01, 0.02, 0.99, 0.996),
    "dew": (0.004, 0.01, 0.02, 0.99, 0.996),
    "wet": (0.004, 0.01, 0.02),
}
#: What the air must stay below for a plant to need no chiller: dry coolers that make water of 35 °C, towers of 25 °C.
FREE_BELOW_DEGC = {"dry": 25.0, "wet": 20.0}


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A real year and the one made from its normals, each as dry bulb, wet bulb and dew point."""

    name: str
    real: dict[str, FloatArray]
    made: dict[str, FloatArray]
    weather: tuple[Weather, Weather]


def checks(data: Path) -> Iterator[Check]:
    """Yield how far made years lie from the real ones."""
    paths = sorted((data / "weather").glob("*.epw.gz"))
    if not paths:
        yield skipped("ten years", GROUP, ["weather/*.epw.gz"])
        return
    pairs = [pair(path) for path in paths]
    off_by_plant: dict[str, list[float]] = {name: [] for name in ESTIMATED_WEATHER_LOG_BANDS}
    for both in pairs:
        yield from _weather_checks(both)
        for cooling in pue.BETWEEN:
            (pue_real, wue_real), (pue_made, wue_made) = (_yearly(cooling, year) for year in both.weather)
            off_by_plant["pue_overhead"].append(float(np.log((pue_made - 1) / (pue_real - 1))))
            if wue_real > 0:
                off_by_plant["wue"].append(float(np.log(wue_made / wue_real)))
    for name, off in off_by_plant.items():
        band = ESTIMATED_WEATHER_LOG_BANDS[name]
        inside = float(np.mean(np.abs(off) <= band))
        spread = f"root mean square {np.sqrt(np.mean(np.square(off))):.1%}, worst {np.abs(off).max():.1%}"
        note = f"±{band:.1%} of a run's band; {spread}"
        yield at_least(
            f"{name.replace('_', ' ')}: plants and years inside the band", GROUP, len(off), inside, COVERED, "", note
        )


def pair(path: Path) -> Pair:
    """Return a real year and the one that is made from its own normals."""
    year = read_epw(gzip.decompress(path.read_bytes()))
    dry, humidity, pressure = (
        np.asarray(values, dtype=float) for values in (year.dry_bulb_degc, year.relative_humidity, year.pressure_pa)
    )
    real, weather = _bulbs(dry, humidity, pressure)
    exceeded = {
        f"{bulb}_exceeded_degc": {fraction: float(np.quantile(real[key], 1 - fraction)) for fraction in PUBLISHED[key]}
        for key, bulb in (("dry", "dry_bulb"), ("dew", "dew_point"), ("wet", "wet_bulb"))
    }
    normals = Normals(
        year.latitude_deg,
        year.longitude_deg,
        year.utc_offset_h,
        year.elevation_m,
        monthly_means(real["dry"]),
        mean_daily_ranges(real["dry"]),
        monthly_means(real["dew"]),
        **exceeded,
    )
    name = path.name.split(".epw")[0]
    made = estimated_year(normals, name=name)
    bulbs, made_weather = _bulbs(made.dry_bulb_degc, made.relative_humidity_frac, made.pressure_pa)
    return Pair(name, real, bulbs, (weather, made_weather))


def _bulbs(dry: FloatArray, humidity: FloatArray, pressure: FloatArray) -> tuple[dict[str, FloatArray], Weather]:
    ratio = humidity_ratio_from_relative_humidity(dry, humidity, pressure)
    bulbs = {"dry": dry, "wet": wet_bulb_degc(dry, ratio, pressure), "dew": dew_point_degc(ratio, pressure)}
    return bulbs, Weather(dry, ratio, pressure)


def _weather_checks(both: Pair) -> Iterator[Check]:
    for key, bulb in (("dry", "dry bulb"), ("dew", "dew point")):
        off = np.abs(monthly_means(both.made[key]) - monthly_means(both.real[key])).max()
        yield at_most(f"{both.name}: worst monthly mean of the {bulb}", GROUP, 12, off, MEAN_REACH_K, "K")
    for key in ("dry", "wet"):
        ends = [np.quantile(year[key], [1 - fraction for fraction in QUANTILES]) for year in (both.real, both.made)]
        off = float(np.abs(ends[1] - ends[0]).max())
        note = "exceeded by 1 % and by 99 % of the hours"
        yield at_most(f"{both.name}: {key} bulb of 1 % and 99 %", GROUP, 2, off, QUANTILE_REACH_K, "K", note)
        real, made = (float(np.mean(year[key] <= FREE_BELOW_DEGC[key])) for year in (both.real, both.made))
        note = f"at or below {FREE_BELOW_DEGC[key]:g} °C: {made:.1%} of the year, really {real:.1%}"
        yield at_most(
            f"{both.name}: free cooling by {key} bulb", GROUP, 8760, abs(made - real), FREE_REACH_FRAC, "", note
        )


def _yearly(cooling: str, weather: Weather) -> tuple[float, float]:
    """Return PUE and WUE [l/kWh] of a hall in a year of weather."""
    thinned = Weather(
        *(values[:: pue.EVERY_H] for values in (weather.dry_bulb_degc, weather.humidity_ratio, weather.pressure_pa))
    )
    return pue.solved(cooling, thinned)
