"""EPW files: what can be read is read, with a note of what was done; the rest is refused in one sentence.

Real files differ from the format: they come as the ZIP that weather sites hand out, with header lines in another order,
hours from 0 to 23, several records per hour, a year from July to June, thirteen months, or without pressure. None of
that leaves a doubt about the weather. What does (hours missing, a wrong unit in some rows, a stuck sensor) is refused.
"""

import gzip
import io
import lzma
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facility.weather import (
    DRY_BULB_RANGE_DEGC,
    LENGTHS,
    PEAK_HOURS,
    PRESSURE_RANGE_PA,
    WeatherError,
    Year,
    calendar,
    checked,
    hour_of_daily_peak,
    zone_fits,
    zone_of_longitude_h,
)
from power_cooling.site_facts.weather import standard_pressure_pa

MAX_EPW_BYTES = 8 * 2**20  # a year of EPW has 1.6 MB; one of four records per hour 6.5 MB
MAX_LINE_CHARS = 20_000  # the longest header lines, of design conditions, have 1,500
MAX_LINES = 60_000  # thirteen months of four records per hour are 38,000
MAX_ZIP_MEMBERS = 200  # a weather site's ZIP has seven
MAX_HEADER_LINES = 200  # the format has 8
USUAL_HEADER_LINES = 8
MAX_GAP_H = 5  # interpolated; over more the daily swing would be lost
MAX_RECORDS_PER_HOUR = 60

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an EPW file that is used."""

    index: int  # from 0
    name: str
    unit: str
    missing: float  # the format's code for "no value": at or above it
    low: float
    high: float


# EnergyPlus Auxiliary Programs, "EnergyPlus Weather File (EPW) Data Dictionary": columns, missing codes and ranges;
# humidity may be up to 110 %.
DRY_BULB = Column(6, "dry bulb", "°C", 99.9, *DRY_BULB_RANGE_DEGC)
HUMIDITY = Column(8, "relative humidity", "%", 999, 0, 110)
PRESSURE = Column(9, "station pressure", "Pa", 999_999, *PRESSURE_RANGE_PA)
#: Units that pressure is written in instead of pascals, by what its median is then; no place has one in two of them.
PRESSURE_UNITS = ((310, 1200, 100.0, "hPa"), (31, 120, 1000.0, "kPa"))

Moment = tuple[int, int, int]  # month, day, hour 1 to 24


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the file."""

    number: int  # among the rows, from 1
    line: int  # in the file, from 1
    values: list[str]
    moment: Moment

    def __str__(self) -> str:
        return f"Row {self.number} (line {self.line})"


def read_epw(content: bytes, *, source: str = "") -> Year:
    """Return the year in an EPW file.

    Parameters
    ----------
    content : bytes
        The file, plain, gzip or in a ZIP that holds one .epw, at most 8 MiB when unpacked.
    source : str
        Put before the station's own source in the result, e.g. the file's name.

    Returns
    -------
    Year
        8,760 or 8,784 hours from 1 January, with a note of everything that was done to the file's rows.

    Raises
    ------
    WeatherError
        If the file is no EPW, does not hold every hour of a year, or holds values that cannot be. The message names
        the first bad row and how many there are.
    """
    text, notes = unpacked(content)
    header, rows = _split(text, notes)
    location = _location(header)
    place = [_place(location, index, name, limit) for index, name, limit in _PLACE]
    hours = _hours(rows, header, notes)
    dry_bulb = _column(hours, DRY_BULB, notes)
    humidity = _column(hours, HUMIDITY, notes)
    pressure = _column(hours, PRESSURE, notes, standard_pressure_pa(place[3]), place[3])
    zone_h, shift_h = _zone(dry_bulb, place[1], place[2], notes)
    parts = (source, f"{location[1]}, {location[2]}, {location[3]} (WMO {location[5]})", location[4])
    return checked(
        Year(
            name=" ".join(part for part in (location[1].title(), location[2]) if part not in ("", "-")),
            source="; ".join(part for part in parts if part),
            latitude_deg=place[0],
            longitude_deg=place[1],
            utc_offset_h=zone_h,
            elevation_m=place[3],
            dry_bulb_degc=np.roll(dry_bulb, shift_h).astype(np.float32),
            relative_humidity=np.roll(np.minimum(humidity / 100, 1), shift_h).astype(np.float32),
            pressure_pa=np.roll(pressure, shift_h).astype(np.float32),
            notes=tuple(notes),
        )
    )


def unpacked(content: bytes) -> tuple[str, list[str]]:
    """Return the file's text and notes; unpacks with a cap, so that a small upload cannot fill the memory."""
    notes: list[str] = []
    try:
        if content[:2] == b"\x1f\x8b":
            with gzip.open(io.BytesIO(content)) as file:
                content = file.read(MAX_EPW_BYTES + 1)
        elif content[:4] == b"PK\x03\x04":
            content = _from_zip(content, notes)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as e:
        kind = "gzip" if content[:2] == b"\x1f\x8b" else "ZIP"
        raise WeatherError(f"The {kind} file cannot be unpacked: {e}.") from e
    if len(content) > MAX_EPW_BYTES:
        raise WeatherError(f"The file is larger than {MAX_EPW_BYTES // 2**20} MiB; a year of EPW has about 1.6 MiB.")
    if content.count(b"\n") + content.count(b"\r") > 2 * MAX_LINES:
        raise WeatherError(f"The file has more than {MAX_LINES:,} lines; a year has {LENGTHS[1]:,} and a header.")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace"), notes
    try:
        return content.decode("utf-8").removeprefix("\ufeff"), notes
    except UnicodeDecodeError:  # station names of older files
        return content.decode("latin-1"), notes


def lines_of(text: str) -> list[str]:
    """Return the lines of a weather file.

    Raises
    ------
    WeatherError
        If one is longer than `MAX_LINE_CHARS`.
    """
    lines = text.splitlines()
    long = next((i for i, line in enumerate(lines, 1) if len(line) > MAX_LINE_CHARS), None)
    if long:
        raise WeatherError(f"Line {long} has {len(lines[long - 1]):,} characters; at most {MAX_LINE_CHARS:,} are read.")
    return lines


def _from_zip(content: bytes, notes: list[str]) -> bytes:
    """Return the one year in a ZIP as weather sites hand it out, beside its .ddy, .stat and others."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if len(members) > MAX_ZIP_MEMBERS:
            raise WeatherError(f"The ZIP holds {len(members):,} files; at most {MAX_ZIP_MEMBERS} are looked through.")
        kept = [member for member in members if not member.filename.startswith("__MACOSX/")]
        epw, tables = ([m for m in kept if m.filename.lower().endswith(kind)] for kind in (".epw", ".csv"))
        found, kind = (tables, ".csv") if tables and not epw else (epw, ".epw")
        if len(found) != 1:
            names = ", ".join(member.filename[:60] for member in found[:3])
            held = f"{len(found)} {kind} files ({names}{' …' if len(found) > 3 else ''})" if found else "no .epw file"
            raise WeatherError(f"The ZIP holds {held}; it must hold exactly one.")
        with archive.open(found[0]) as file:
            notes.append(f"{found[0].filename[:120]} was taken from the ZIP file.")
            return file.read(MAX_EPW_BYTES + 1)


def _split(text: str, notes: list[str]) -> tuple[dict[str, list[str]], list[Row]]:
    """Return header lines by their first word, and the rows, which start at the first line that starts with a year."""
    lines = lines_of(text)
    start = next((i for i, line in enumerate(lines) if _starts_with_year(line)), len(lines))
    header = [[part.strip() for part in line.split(",")] for line in lines[:start] if line.strip()]
    by_name = {parts[0].upper(): parts for parts in reversed(header)}  # the first of a name counts
    if "LOCATION" not in by_name or len(header) > MAX_HEADER_LINES:
        raise WeatherError(
            "This is no EPW file: none of its header lines starts with LOCATION, or no row starts with a year."
        )
    ordered = header[0][0].upper() == "LOCATION" and header[-1][0].upper() == "DATA PERIODS"
    if len(header) != USUAL_HEADER_LINES or not ordered:
        notes.append(
            f"The header has {len(header)} lines{'' if ordered else ' in another order'}; the format has "
            f"{USUAL_HEADER_LINES}, from LOCATION to DATA PERIODS. Both were looked for by name."
        )
    rows = []
    for line, content in enumerate(lines[start:], start + 1):
        if content.strip():
            values = content.split(",", PRESSURE.index + 1)
            rows.append(Row(len(rows) + 1, line, values, _moment(len(rows) + 1, line, values, content)))
    return by_name, rows


def _starts_with_year(line: str) -> bool:
    parts = line.split(",", 4)
    return len(parts) == 5 and parts[0].strip().isdigit()


def _moment(number: int, line: int, values: list[str], content: str) -> Moment:
    try:
        return int(values[1]), int(values[2]), int(values[3])
    except (ValueError, IndexError) as error:
        raise WeatherError(
            f"Row {number} (line {line}): month, day and hour cannot be read in {content[:40]!r}."
        ) from error


def _location(header: dict[str, list[str]]) -> list[str]:
    location = header["LOCATION"]
    if len(location) < 10:
        raise WeatherError(f"LOCATION has {len(location) - 1} values; an EPW file has 9.")
    return location


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
        raise WeatherError(f"LOCATION: {name} is {location[index]!r}; must be a number.") from error
    if not limits[0] <= value <= limits[1]:
        raise WeatherError(f"LOCATION: {name} is {value:g}; must be from {limits[0]:g} to {limits[1]:g}.")
    return value


def _hours(rows: list[Row], header: dict[str, list[str]], notes: list[str]) -> list[list[Row]]:
    """Return the records of each hour of one calendar year, in order."""
    if not rows:
        raise WeatherError(_counted(rows))
    rows = _from_one(rows, notes)
    hours = _by_hour(rows)
    n_records = Counter(len(hour) for hour in hours).most_common(1)[0][0]
    stated = header.get("DATA PERIODS", ["", "", ""])[2:3]
    if n_records > 1:
        if n_records > MAX_RECORDS_PER_HOUR:
            raise WeatherError(f"{rows[0]}: {n_records} records per hour; at most {MAX_RECORDS_PER_HOUR} are read.")
        notes.append(f"Its {n_records} records per hour were averaged.")
    if stated and stated[0] and stated[0] != str(n_records):
        notes.append(f"DATA PERIODS states {stated[0]} record(s) per hour, but the rows have {n_records}.")
    odd = next((hour for hour in hours if len(hour) != n_records), None)
    if odd is not None:
        if n_records == 1:
            raise WeatherError(f"{odd[1]}: Hours repeat: it is {_said(odd[1].moment)} again. {_counted(rows)}")
        raise WeatherError(f"{odd[0]}: {_said(odd[0].moment)} has {len(odd)} records, the others have {n_records}.")
    return _in_order(_one_year(hours, notes), rows, notes)


def _from_one(rows: list[Row], notes: list[str]) -> list[Row]:
    """Return rows whose hours count from 1, as the format has it; hour 0 is the one that begins at midnight."""
    hours = {row.moment[2] for row in rows}
    if 0 not in hours or 24 in hours:
        return rows
    notes.append("Its hours from 0 to 23 were taken as the format's 1 to 24: hour 0 begins at midnight.")
    return [Row(row.number, row.line, row.values, (*row.moment[:2], row.moment[2] + 1)) for row in rows]


def _by_hour(rows: list[Row]) -> list[list[Row]]:
    hours: list[list[Row]] = []
    for row in rows:
        if hours and hours[-1][0].moment == row.moment:
            hours[-1].append(row)
        else:
            hours.append([row])
    return hours


def _one_year(hours: list[list[Row]], notes: list[str]) -> list[list[Row]]:
    """Return the hours before the first comes round again; what follows is left out."""
    first = hours[0][0].moment
    again = next((i for i, hour in enumerate(hours) if i > LENGTHS[0] - 1 and hour[0].moment == first), None)
    if again is None:
        return hours
    notes.append(f"Its first {again:,} hours make a year; the {len(hours) - again:,} after them were left out.")
    return hours[:again]


def _in_order(hours: list[list[Row]], rows: list[Row], notes: list[str]) -> list[list[Row]]:
    """Return the hours from 1 January; raise unless they are those of a year, naming the first gap or repetition."""
    leap = any(hour[0].moment[:2] == (2, 29) for hour in hours)
    due = calendar(LENGTHS[leap])
    start = next((i for i, hour in enumerate(hours) if hour[0].moment == (1, 1, 1)), 0)
    if start and len(hours) == len(due):
        notes.append(
            f"It runs from {_said(hours[0][0].moment)} to {_said(hours[-1][0].moment)}; "
            "its rows were put in the order of the calendar."
        )
        hours = hours[start:] + hours[:start]
    for hour, moment in zip(hours, due, strict=False):
        if hour[0].moment != moment:
            kind = "Hours are missing" if hour[0].moment > moment else "Hours repeat"
            raise WeatherError(
                f"{hour[0]}: {kind}: it is {_said(hour[0].moment)}, but {_said(moment)} is due. {_counted(rows)}"
            )
    if len(hours) != len(due):
        raise WeatherError(f"{_counted(rows)} The last is {_said(hours[-1][0].moment)}.")
    return hours


def _counted(rows: list[Row]) -> str:
    return f"The file has {len(rows):,} rows; a year has {LENGTHS[0]:,} or {LENGTHS[1]:,} hours."


def _said(moment: Moment) -> str:
    return f"month {moment[0]} day {moment[1]} hour {moment[2]}"


def _column(
    hours: list[list[Row]], column: Column, notes: list[str], instead: float | None = None, elevation_m: float = 0.0
) -> Floats:
    """Return one column, shape (n_hours,), gaps filled; `instead` is what takes the place of longer ones."""
    values = np.array([[_number(row, column) for row in hour] for hour in hours])
    values[values >= column.missing] = np.nan
    values = _in_unit(values, column, notes)
    wrong = (values < column.low) | (values > column.high)
    if np.any(wrong):
        hour, record = np.argwhere(wrong)[0]
        row = hours[hour][record]
        raise WeatherError(
            f"{row}, {_said(row.moment)}: {column.name} is {values[hour, record]:g} {column.unit}; must be from "
            f"{column.low:g} to {column.high:g} {column.unit} ({np.count_nonzero(wrong):,} such rows)."
        )
    n_known = np.count_nonzero(np.isfinite(values), axis=1)
    means = np.divide(np.nansum(values, axis=1), n_known, out=np.full(len(hours), np.nan), where=n_known > 0)
    return _filled(means, hours, column, notes, instead, elevation_m)


def _number(row: Row, column: Column) -> float:
    text = row.values[column.index].strip() if len(row.values) > column.index else ""
    try:
        return float(text) if text else np.nan
    except ValueError:
        raise WeatherError(
            f"{row}, {_said(row.moment)}: {column.name} is {text!r}; must be a number [{column.unit}]."
        ) from None


def _in_unit(values: Floats, column: Column, notes: list[str]) -> Floats:
    """Return a column in the format's unit where all of it is plainly in another one."""
    known = values[np.isfinite(values)]
    if not known.size:
        return values
    if column is HUMIDITY:
        return in_percent(values, notes)
    if column is PRESSURE:
        for low, high, scale, unit in PRESSURE_UNITS:
            if low <= np.median(known) <= high:
                notes.append(f"Station pressure was taken as {unit}.")
                return values * scale
    return values


def in_percent(humidity: Floats, notes: list[str]) -> Floats:
    """Return a column of relative humidity in per cent where all of it is plainly from 0 to 1; notes that."""
    known = humidity[np.isfinite(humidity)]
    if not known.size or not 0 < known.max() <= 1:
        return humidity
    notes.append("Relative humidity from 0 to 1 was taken as 0 to 100 %.")
    return humidity * 100


def _filled(
    values: Floats, hours: list[list[Row]], column: Column, notes: list[str], instead: float | None, elevation_m: float
) -> Floats:
    missing = np.isnan(values)
    if not missing.any():
        return values
    long = missing & (_gap_h(missing) > MAX_GAP_H)
    if long.any() and instead is None:
        row = hours[int(np.argmax(long))][0]
        raise WeatherError(
            f"{row}, {_said(row.moment)}: {column.name} is missing; {int(missing.sum()):,} of {len(hours):,} hours "
            f"lack it, more than {MAX_GAP_H} in a row. Fill the gaps and upload again."
        )
    values = np.where(long, np.nan if instead is None else instead, values)
    if long.any():
        notes.append(
            f"{column.name.capitalize()} is missing in {int(long.sum()):,} hours; filled with {instead:,.0f} "
            f"{column.unit}, the standard atmosphere's at {elevation_m:,.0f} m."
        )
    short = missing & ~long
    if short.any():
        at = np.arange(values.size)
        values[short] = np.interp(at[short], at[~short], values[~short], period=values.size)
        notes.append(f"{column.name.capitalize()} is missing in {int(short.sum()):,} hours; interpolated.")
    return values


def _gap_h(missing: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the length of the gap that each hour lies in, 0 outside; the year is a circle."""
    n = missing.size
    if missing.all():
        return np.full(n, n)
    turn = int(np.argmin(missing))  # starts outside of a gap
    edges = np.diff(np.concatenate([[0], np.roll(missing, -turn).astype(np.int8), [0]]))
    length = np.zeros(n, dtype=np.int64)
    for start, end in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        length[start:end] = end - start
    return np.roll(length, turn)


def _zone(dry_bulb: Floats, longitude_deg: float, stated_h: float, notes: list[str]) -> tuple[float, int]:
    """Return the rows' time zone and by how many hours to turn them so that they are in local time.

    A stated zone that does not fit the longitude is judged by the day's warmest hour: either the rows are in local time
    all the same, or they are in UTC as stated.
    """
    if zone_fits(stated_h, longitude_deg):
        return stated_h, 0
    local_h = zone_of_longitude_h(longitude_deg)
    mismatch = f"Time zone {stated_h:+g} h does not fit longitude {longitude_deg:g}°"
    peak = hour_of_daily_peak(dry_bulb)
    if peak is not None and PEAK_HOURS[0] <= peak <= PEAK_HOURS[1]:
        taken = f"days are warmest at {peak:.0f} h, so its rows were taken as local time, {local_h:+d} h"
        notes.append(f"{mismatch}; {taken}.")
        return float(local_h), 0
    if peak is not None and stated_h == 0 and PEAK_HOURS[0] <= (peak + local_h) % 24 <= PEAK_HOURS[1]:
        notes.append(f"Its rows in UTC were put in local time, {local_h:+d} h.")
        return float(local_h), local_h
    warmest = "days have no warmest hour" if peak is None else f"days are warmest at {peak:.0f} h"
    raise WeatherError(f"LOCATION: {mismatch} (about {local_h:+d} h), and {warmest}. Correct one of them.")
