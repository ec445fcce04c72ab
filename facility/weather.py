"""Hourly weather: what a year of it must be, the shipped climates, and its row in the database.

`facility.epw` reads the files that people upload.
"""

import gzip
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from django.db import transaction
from numpy.typing import NDArray

from facility.models import Weather
from power_cooling.site_facts.calendar import COMMON_HOURS, LEAP_HOURS, days_of_months
from power_cooling.site_facts.weather import pack, standard_pressure_pa, unpack_foreign

CLIMATES = Path(__file__).parent / "climates"
ESTIMATED = CLIMATES / "estimated"  # years made from published normals: `manage.py estimate_weather`
LENGTHS = (COMMON_HOURS, LEAP_HOURS)

# EnergyPlus weather file data dictionary, minimum and maximum; nobody builds higher than 31 kPa.
DRY_BULB_RANGE_DEGC = (-70.0, 70.0)
PRESSURE_RANGE_PA = (31_000.0, 120_000.0)
MAX_DRY_FRAC = 0.01  # of the hours at 0 % humidity: deserts reach 1 to 2 % in single hours, never 0
MAX_STUCK_H = 168  # a week at one value to the last digit; weather changes from day to day everywhere
FOG_FRAC = 0.99  # air may stay saturated for long
# The standard atmosphere is off by the sea's mean pressure (1.5 %) and, with height, by how warm the air below is: by
# 1.2 % per kilometre where it is 10 % from 288 K.
PRESSURE_REACH_FRAC, PRESSURE_REACH_FRAC_PER_KM = 0.03, 0.015
MAX_HOUR_OFF_FRAC = 0.15  # of the year's mean pressure: the deepest storm has 0.86 of the mean, the highest 1.07
MAX_ZONE_OFF_H = 3.5  # western China keeps 3.1 h more than its longitude
PEAK_HOURS = (11.0, 19.0)  # of a mean day's warmest hour, local time: 14 to 16, later in haze, earlier at a coast
MIN_SWING_K = 0.5  # of a mean day, below which its warmest hour says nothing


class WeatherError(ValueError):
    """A weather file that cannot be used; the message names row, hour, column, value and what is allowed."""


@dataclass(frozen=True, slots=True, eq=False)
class Year:
    """One year of hourly weather. Every array has shape (n_hours,)."""

    name: str
    source: str
    latitude_deg: float
    longitude_deg: float
    elevation_m: float
    utc_offset_h: float
    dry_bulb_degc: NDArray[np.float32]
    relative_humidity: NDArray[np.float32]  # 0 to 1
    pressure_pa: NDArray[np.float32]
    notes: tuple[str, ...] = ()  # what was done to a file's rows when they were read
    confidence: str = "entered"  # of `power_cooling.site_facts.confidence`; shipped years say theirs


def checked(year: Year) -> Year:
    """Return a year, with notes on what is odd about it.

    Raises
    ------
    WeatherError
        If no place on earth has such a year: bone-dry air, a sensor that is stuck, a pressure that does not belong to
        the elevation, a time zone that does not belong to the longitude.
    """
    _check_ranges(year.dry_bulb_degc, year.relative_humidity, year.pressure_pa)
    notes = [note for note in (_dry_hours(year.relative_humidity),) if note]
    _check_moves(year.dry_bulb_degc, "Dry bulb", "{:.1f} °C")
    humidity = np.where(year.relative_humidity >= FOG_FRAC, np.nan, year.relative_humidity)
    _check_moves(humidity, "Relative humidity", "{:.0%}")
    _check_pressure(year.pressure_pa, year.elevation_m)
    if not zone_fits(year.utc_offset_h, year.longitude_deg):
        raise WeatherError(
            f"Time zone {year.utc_offset_h:+g} h does not fit longitude {year.longitude_deg:g}° "
            f"(about {zone_of_longitude_h(year.longitude_deg):+d} h)."
        )
    return replace(year, notes=(*year.notes, *notes))


def _check_ranges(dry_bulb_degc: NDArray, relative_humidity: NDArray, pressure_pa: NDArray) -> None:
    for values, name, unit, (low, high), scale in (
        (dry_bulb_degc, "dry bulb", "°C", DRY_BULB_RANGE_DEGC, 1.0),
        (relative_humidity, "relative humidity", "%", (0.0, 100.0), 100.0),
        (pressure_pa, "station pressure", "Pa", PRESSURE_RANGE_PA, 1.0),
    ):
        wrong = ~((values * scale >= low) & (values * scale <= high))  # also what is no number
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            raise WeatherError(
                f"{name} is {values[at] * scale:g} {unit} in hour {at}; must be from {low:g} to {high:g} {unit} "
                f"({int(wrong.sum())} such hours)."
            )


def _dry_hours(humidity: NDArray[np.float32]) -> str:
    dry = int(np.count_nonzero(humidity <= 0))
    if dry > MAX_DRY_FRAC * humidity.size:
        raise WeatherError(
            f"Relative humidity is 0 % in {dry:,} of {humidity.size:,} hours; air is never that dry for long. "
            "Get the file with its humidity, which a conversion has lost."
        )
    return f"Relative humidity is 0 % in {dry} hours, taken as bone-dry air." if dry else ""


def _check_moves(values: NDArray, name: str, shown: str) -> None:
    """Raise if a sensor stays at one value for a week, naming the hour it is stuck from; NaN never counts."""
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    lengths = np.diff(np.append(starts, values.size))
    longest = int(np.argmax(lengths))
    if lengths[longest] > MAX_STUCK_H:
        raise WeatherError(
            f"{name} stays at {shown.format(float(values[starts[longest]]))} for {lengths[longest]:,} hours from hour "
            f"{starts[longest] + 1:,} of the year; a sensor is stuck or a conversion has lost it."
        )


def _check_pressure(pressure_pa: NDArray[np.float32], elevation_m: float) -> None:
    mean, due = float(pressure_pa.mean()), standard_pressure_pa(elevation_m)
    reach = PRESSURE_REACH_FRAC + PRESSURE_REACH_FRAC_PER_KM * abs(elevation_m) / 1e3
    if abs(mean / due - 1) > reach:
        raise WeatherError(
            f"Station pressure is {mean:,.0f} Pa on average, but about {due:,.0f} Pa at the station's elevation of "
            f"{elevation_m:,.0f} m; one of them is wrong, or the pressure was reduced to sea level. Correct it, or set "
            "all pressures to 999999, the code for missing, to have them filled by elevation."
        )
    off = np.abs(pressure_pa / mean - 1)
    if off.max() > MAX_HOUR_OFF_FRAC:
        hour = int(np.argmax(off))
        raise WeatherError(
            f"Station pressure is {float(pressure_pa[hour]):,.0f} Pa in hour {hour + 1:,} of the year, "
            f"{float(off[hour]):.0%} off its mean of {mean:,.0f} Pa; storms move it by less than "
            f"{MAX_HOUR_OFF_FRAC:.0%}."
        )


def zone_of_longitude_h(longitude_deg: float) -> int:
    """Return the time zone of solar time at a longitude [h ahead of UTC]."""
    return round(longitude_deg / 15)


def zone_fits(utc_offset_h: float, longitude_deg: float) -> bool:
    """Return whether a place of that longitude may keep that time; the date line may lie on either side of it."""
    off = (utc_offset_h - longitude_deg / 15 + 12) % 24 - 12
    return abs(off) <= MAX_ZONE_OFF_H


def hour_of_daily_peak(dry_bulb_degc: NDArray) -> float | None:
    """Return when a mean day is warmest [h after midnight], by its first harmonic; None where days hardly swing."""
    day = np.asarray(dry_bulb_degc, dtype=float).reshape(-1, 24).mean(axis=0)
    wave = np.exp(2j * np.pi * (np.arange(24) + 0.5) / 24) @ day / 12  # a row is the mean of the hour before its end
    return None if abs(wave) < MIN_SWING_K / 2 else float(np.angle(wave) % (2 * np.pi) * 24 / (2 * np.pi))


@cache
def calendar(n_hours: int) -> list[tuple[int, int, int]]:
    """Return (month, day, hour 1 to 24) of each row of a year."""
    return [(m, d, h) for m, n in enumerate(days_of_months(n_hours), 1) for d in range(1, n + 1) for h in range(1, 25)]


def unpack_checked(rows: bytes, n_hours: int) -> NDArray[np.float32]:
    """Return the hours in packed rows of unknown origin, shape (3, n_hours).

    Raises
    ------
    WeatherError
        If they are cut short, too long, no year, or a value is not a number or out of its plausible range.
    """
    if n_hours not in LENGTHS:
        raise WeatherError(f"there are {n_hours:,} hours; a year has {LENGTHS[0]:,} or {LENGTHS[1]:,}.")
    try:
        hours = unpack_foreign(rows, n_hours)
    except ValueError as error:
        raise WeatherError(str(error)) from error
    _check_ranges(*hours)
    return hours


def weather_fields(year: Year) -> dict[str, object]:
    """Return the year as fields of a `Weather` row, without slug and site."""
    hours = np.stack([year.dry_bulb_degc, year.relative_humidity, year.pressure_pa])
    return {
        "name": year.name,
        "source": year.source,
        "latitude_deg": year.latitude_deg,
        "longitude_deg": year.longitude_deg,
        "elevation_m": year.elevation_m,
        "utc_offset_h": year.utc_offset_h,
        "n_hours": len(year.dry_bulb_degc),
        "rows": pack(hours),
        "notes": "\n".join(year.notes),
        "confidence": year.confidence,
    }


def shipped() -> list[Path]:
    """Return the files of shipped years, those from stations first."""
    return [*sorted(CLIMATES.glob("*.csv.gz")), *sorted(ESTIMATED.glob("*.csv.gz"))]


@transaction.atomic
def climates_load() -> int:
    """Load or update the shipped climates; return how many there are."""
    paths = shipped()
    for path in paths:
        slug = path.name.removesuffix(".csv.gz")
        Weather.objects.update_or_create(slug=slug, defaults=weather_fields(read_climate(path)) | {"site": None})
    return len(paths)


def read_climate(path: Path) -> Year:
    """Return a shipped climate: a gzip CSV of whole numbers under `# name: value` lines."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        text = file.read()
    header = dict(line[2:].split(": ", 1) for line in text.splitlines() if line.startswith("# "))
    body = text[text.index("\ndry_bulb") + 1 :].split("\n", 1)[1]
    rows = np.array(body.replace("\n", ",").rstrip(",").split(","), dtype=np.int64).reshape(-1, 3)
    return Year(
        name=header["name"],
        source=header["source"],
        latitude_deg=float(header["latitude_deg"]),
        longitude_deg=float(header["longitude_deg"]),
        elevation_m=float(header["elevation_m"]),
        utc_offset_h=float(header["utc_offset_h"]),
        dry_bulb_degc=(rows[:, 0] / 10).astype(np.float32),
        relative_humidity=(rows[:, 1] / 100).astype(np.float32),
        pressure_pa=(rows[:, 2] * 10).astype(np.float32),
        notes=tuple(note for note in header.get("notes", "").split(" | ") if note),
        confidence=header.get("confidence", "published"),
    )


def write_climate(year: Year, path: Path) -> None:
    """Write a year in the form of the shipped climates. Only years whose terms allow it may ship."""
    rows = np.stack([year.dry_bulb_degc * 10, year.relative_humidity * 100, year.pressure_pa / 10], axis=1)
    lines = [
        f"# name: {year.name}",
        f"# source: {year.source}",
        f"# latitude_deg: {year.latitude_deg:g}",
        f"# longitude_deg: {year.longitude_deg:g}",
        f"# elevation_m: {year.elevation_m:g}",
        f"# utc_offset_h: {year.utc_offset_h:g}",
        *([f"# confidence: {year.confidence}"] if year.confidence != "published" else []),
        *([f"# notes: {' | '.join(year.notes)}"] if year.notes else []),
        "dry_bulb_decidegc,relative_humidity_percent,pressure_dapa",
        *(",".join(map(str, row)) for row in np.rint(rows).astype(int).tolist()),
    ]
    with path.open("wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=9, mtime=0) as file:
        file.write(("\n".join(lines) + "\n").encode())
