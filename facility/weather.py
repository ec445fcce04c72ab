"""Hourly weather: EPW files read and checked, shipped climates, and the packing of a year into one column."""

import gzip
import io
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from django.db import transaction
from numpy.typing import NDArray

from facility.models import Weather

CLIMATES = Path(__file__).parent / "climates"
MAX_EPW_BYTES = 8 * 2**20  # a year of EPW has 1.6 MB
MAX_LINES = 10_000
HEADER_LINES = 8
LENGTHS = (8760, 8784)
DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class WeatherError(ValueError):
    """A weather file that cannot be used; the message names row, hour, column, value and what is allowed."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an EPW file that is used."""

    index: int  # from 0
    name: str
    unit: str
    missing: float  # the format's code for "no value": at or above it
    low: float
    high: float


# EnergyPlus Auxiliary Programs, "EnergyPlus Weather File (EPW) Data Dictionary": columns, missing codes and ranges.
# Pressure reaches lower than the dictionary's 31 kPa nowhere that people build; humidity may be up to 110 %.
COLUMNS = (
    Column(6, "dry bulb", "°C", 99.9, -70, 70),
    Column(8, "relative humidity", "%", 999, 0, 110),
    Column(9, "station pressure", "Pa", 999_999, 31_000, 120_000),
)


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


def read_epw(content: bytes, *, source: str = "") -> Year:
    """Return the year in an EPW file.

    Parameters
    ----------
    content : bytes
        The file, plain or gzip, at most 8 MiB when unpacked.
    source : str
        Put before the station's own source in the result, e.g. the file's name.

    Raises
    ------
    WeatherError
        If the file is not an EPW of 8,760 or 8,784 hourly rows in calendar order, or a value is missing, not a number
        or out of its plausible range. The message names the first bad row and how many there are.
    """
    lines = _text(content).splitlines()
    if len(lines) < HEADER_LINES or not lines[0].upper().startswith("LOCATION,"):
        raise WeatherError(
            "This is no EPW file: its first line must start with LOCATION and seven header lines follow."
        )
    location = [part.strip() for part in lines[0].split(",")]
    if len(location) < 10:
        raise WeatherError(f"Line 1: LOCATION has {len(location) - 1} values; an EPW file has 9.")
    place = [_place(location, index, name, limit) for index, name, limit in _PLACE]
    periods = lines[7].split(",")
    if not periods[0].upper().startswith("DATA PERIODS") or [part.strip() for part in periods[1:3]] != ["1", "1"]:
        raise WeatherError("Line 8: DATA PERIODS must state 1 period with 1 record per hour.")
    rows = [line.split(",") for line in lines[HEADER_LINES:] if line.strip()]
    _check_calendar(rows)
    values = [_numbers(rows, column) for column in COLUMNS]
    parts = (source, f"{location[1]}, {location[2]}, {location[3]} (WMO {location[5]})", location[4])
    return Year(
        name=" ".join(part for part in (location[1].title(), location[2]) if part not in ("", "-")),
        source="; ".join(part for part in parts if part),
        latitude_deg=place[0], longitude_deg=place[1], utc_offset_h=place[2], elevation_m=place[3],
        dry_bulb_degc=values[0], relative_humidity=np.minimum(values[1] / 100, 1).astype(np.float32),
        pressure_pa=values[2],
    )  # fmt: skip


_PLACE = (
    (6, "latitude", (-90.0, 90.0)),
    (7, "longitude", (-180.0, 180.0)),
    (8, "time zone", (-14.0, 14.0)),
    (9, "elevation", (-430.0, 6000.0)),
)


def _place(location: list[str], index: int, name: str, limits: tuple[float, float]) -> float:
    try:
        value = float(location[index])
    except ValueError as error:
        raise WeatherError(f"Line 1: {name} is {location[index]!r}; must be a number.") from error
    if not limits[0] <= value <= limits[1]:
        raise WeatherError(f"Line 1: {name} is {value:g}; must be from {limits[0]:g} to {limits[1]:g}.")
    return value


def _text(content: bytes) -> str:
    """Return the file's text; unpacks gzip with a cap, so that a small upload cannot fill the memory."""
    if content[:2] == b"\x1f\x8b":
        try:
            with gzip.open(io.BytesIO(content)) as file:
                content = file.read(MAX_EPW_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise WeatherError(f"The gzip file cannot be unpacked: {error}.") from error
    if len(content) > MAX_EPW_BYTES:
        raise WeatherError(f"The file is larger than {MAX_EPW_BYTES // 2**20} MiB; a year of EPW has about 1.6 MiB.")
    if content.count(b"\n") + content.count(b"\r") > 2 * MAX_LINES:
        raise WeatherError(f"The file has more than {MAX_LINES:,} lines; a year has {LENGTHS[1]:,} and a header.")
    return content.decode("utf-8", errors="replace").removeprefix("\ufeff")


@cache
def _calendar(n_hours: int) -> list[tuple[int, int, int]]:
    """Return (month, day, hour 1 to 24) of each row of a year."""
    days = [29 if (month == 2 and n_hours == 8784) else n for month, n in enumerate(DAYS, 1)]
    return [(m, d, h) for m, n in enumerate(days, 1) for d in range(1, n + 1) for h in range(1, 25)]


def _check_calendar(rows: list[list[str]]) -> None:
    """Raise unless the rows are the hours of one year in order; names the first gap or repetition."""
    leap = any(len(row) > 2 and row[1].strip() == "2" and row[2].strip() == "29" for row in rows)
    expected = _calendar(8784 if leap else 8760)
    for number, (row, due) in enumerate(zip(rows, expected, strict=False), 1):
        try:
            found = (int(row[1]), int(row[2]), int(row[3]))
        except (ValueError, IndexError) as error:
            raise WeatherError(
                f"{_row(number)}: month, day and hour cannot be read in {','.join(row)[:40]!r}."
            ) from error
        if found != due:
            kind = "Hours are missing" if found > due else "Hours repeat"
            raise WeatherError(f"{_row(number)}: {kind}: it is {_hour(found)}, but {_hour(due)} is due. {_rows(rows)}")
    if len(rows) != len(expected):
        where = f" The last is {_hour(expected[len(rows) - 1])}." if 0 < len(rows) < len(expected) else ""
        raise WeatherError(f"{_rows(rows)}{where}")


def _row(number: int) -> str:
    return f"Row {number} (line {number + HEADER_LINES})"


def _rows(rows: list[list[str]]) -> str:
    return f"The file has {len(rows):,} rows; a year has {LENGTHS[0]:,} or {LENGTHS[1]:,}."


def _hour(moment: tuple[int, int, int]) -> str:
    return f"month {moment[0]} day {moment[1]} hour {moment[2]}"


def _numbers(rows: list[list[str]], column: Column) -> NDArray[np.float32]:
    """Return one column; raises if any value is missing or not plausible."""
    calendar = _calendar(len(rows))
    texts = [row[column.index].strip() if len(row) > column.index else "" for row in rows]
    try:
        values = np.array([float(text) if text else np.nan for text in texts])
    except ValueError:
        at = next(i for i, text in enumerate(texts) if text and not _is_number(text))
        raise WeatherError(
            f"{_row(at + 1)}, {_hour(calendar[at])}: {column.name} is {texts[at]!r}; must be a number [{column.unit}]."
        ) from None
    missing = np.isnan(values) | (values >= column.missing)
    if missing.any():
        at = int(np.argmax(missing))
        raise WeatherError(
            f"{_row(at + 1)}, {_hour(calendar[at])}: {column.name} is missing "
            f"({texts[at] or 'empty'!r} means no value); {int(missing.sum())} of {len(rows):,} rows lack it. "
            "Fill the gaps and upload again."
        )
    wrong = (values < column.low) | (values > column.high)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise WeatherError(
            f"{_row(at + 1)}, {_hour(calendar[at])}: {column.name} is {values[at]:g} {column.unit}; must be from "
            f"{column.low:g} to {column.high:g} {column.unit} ({int(wrong.sum())} such rows)."
        )
    return values.astype(np.float32)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def pack(year: Year) -> bytes:
    """Return a year as it is stored in `Weather.rows`."""
    return pack_hours(np.stack([year.dry_bulb_degc, year.relative_humidity, year.pressure_pa]))


def pack_hours(hours: NDArray[np.float32]) -> bytes:
    """Return dry bulb, humidity and pressure, shape (3, n_hours), as they are stored in `Weather.rows`."""
    return zlib.compress(hours.astype("<f4").tobytes(), 6)


def unpack_checked(rows: bytes, n_hours: int) -> NDArray[np.float32]:
    """Return the hours in packed rows of unknown origin, shape (3, n_hours), as `unpack` does for our own.

    Raises
    ------
    WeatherError
        If they are cut short, too long, no year, or a value is not a number or out of its plausible range.
    """
    if n_hours not in LENGTHS:
        raise WeatherError(f"there are {n_hours:,} hours; a year has {LENGTHS[0]:,} or {LENGTHS[1]:,}.")
    unpacking = zlib.decompressobj()
    try:
        raw = unpacking.decompress(rows, 12 * n_hours + 1)
    except zlib.error as error:
        raise WeatherError(f"they cannot be unpacked: {error}.") from error
    if len(raw) != 12 * n_hours or not unpacking.eof:
        size = "more than" if len(raw) > 12 * n_hours else "a stream cut short after"
        due = 12 * n_hours
        raise WeatherError(f"they hold {size} {min(len(raw), due):,} bytes; {n_hours:,} hours are {due:,}.")
    hours = np.frombuffer(raw, dtype="<f4").reshape(3, n_hours)
    for column, values in zip(COLUMNS, hours, strict=True):
        scale = 0.01 if column.unit == "%" else 1.0  # stored as a fraction
        wrong = ~((values >= column.low * scale) & (values <= column.high * scale))  # also what is no number
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            raise WeatherError(
                f"{column.name} is {values[at] / scale:g} {column.unit} in hour {at}; must be from {column.low:g} to "
                f"{column.high:g} {column.unit} ({int(wrong.sum())} such hours)."
            )
    return hours


def unpack(rows: bytes | memoryview) -> NDArray[np.float32]:
    """Return dry bulb [°C], relative humidity [0-1] and pressure [Pa] of each hour, shape (3, n_hours)."""
    return np.frombuffer(zlib.decompress(bytes(rows)), dtype="<f4").reshape(3, -1)


def weather_fields(year: Year) -> dict[str, object]:
    """Return the year as fields of a `Weather` row, without slug and site."""
    return {
        "name": year.name, "source": year.source, "latitude_deg": year.latitude_deg,
        "longitude_deg": year.longitude_deg, "elevation_m": year.elevation_m, "utc_offset_h": year.utc_offset_h,
        "n_hours": len(year.dry_bulb_degc), "rows": pack(year),
    }  # fmt: skip


@transaction.atomic
def climates_load() -> int:
    """Load or update the shipped climates; return how many there are."""
    paths = sorted(CLIMATES.glob("*.csv.gz"))
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
        name=header["name"], source=header["source"], latitude_deg=float(header["latitude_deg"]),
        longitude_deg=float(header["longitude_deg"]), elevation_m=float(header["elevation_m"]),
        utc_offset_h=float(header["utc_offset_h"]),
        dry_bulb_degc=(rows[:, 0] / 10).astype(np.float32), relative_humidity=(rows[:, 1] / 100).astype(np.float32),
        pressure_pa=(rows[:, 2] * 10).astype(np.float32),
    )  # fmt: skip


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
        "dry_bulb_decidegc,relative_humidity_percent,pressure_dapa",
        *(",".join(map(str, row)) for row in np.rint(rows).astype(int).tolist()),
    ]
    with path.open("wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=9, mtime=0) as file:
        file.write(("\n".join(lines) + "\n").encode())
