"""Weather files of either kind: EPW, or a plain table of a measured year whose place is that of the site.

The table has a line of names and then a row an hour, from 1 January 0:00 in the site's standard time. Columns are
found by name: `dry_bulb_degc`, one of `relative_humidity_percent` and `relative_humidity_frac`, and `pressure_pa` where
it was measured.
"""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from facility.epw import MAX_EPW_BYTES, MAX_HEADER_LINES, MAX_LINE_CHARS, in_percent, lines_of, read_epw, unpacked
from facility.models import Site
from facility.places import nearest_place
from facility.weather import LENGTHS, WeatherError, Year, checked
from power_cooling.site_facts.weather import standard_pressure_pa

DRY, PRESSURE = "dry_bulb_degc", "pressure_pa"
PERCENT = "relative_humidity_percent"
HUMIDITY_SCALE = {PERCENT: 100.0, "relative_humidity_frac": 1.0}
MOST_COLUMNS = 50


@dataclass(frozen=True, slots=True)
class Where:
    """Where a table was measured, which it does not say itself."""

    name: str
    latitude_deg: float
    longitude_deg: float
    elevation_m: float
    utc_offset_h: float


def read_upload(upload, where: Where | None) -> Year:
    """Return the year in an uploaded file of weather.

    Raises
    ------
    WeatherError
        If it is too large, or no year can be read from it.
    """
    if upload.size > MAX_EPW_BYTES:
        raise WeatherError(
            f"The file has {upload.size / 2**20:.1f} MiB; an EPW year has about 1.6, at most "
            f"{MAX_EPW_BYTES // 2**20} are read."
        )
    return read_weather(upload.read(), source=f"uploaded file {upload.name}", where=where)


def where_of(site: Site) -> Where:
    """Return where an uploaded table without a place of its own was measured: at the site."""
    place = (site.latitude_deg, site.longitude_deg)
    return Where(site.name, *place, site.elevation_m, nearest_place(*place).utc_offset_h)


def read_weather(content: bytes, *, source: str, where: Where | None) -> Year:
    """Return the year in an EPW file, or in a table of values measured at a place; plain, gzip or in a ZIP.

    Raises
    ------
    WeatherError
        If it is neither, lacks hours, or holds values that cannot be.
    """
    text, notes = unpacked(content)
    lines = lines_of(text)
    first = next((line for line in lines if line.strip()), "")
    if where is not None and any(name.strip(' "').lower() == DRY for name in first.split(",")):
        return _read_table(lines, source, where, notes)
    if any(line.upper().lstrip().startswith("LOCATION") for line in lines[:MAX_HEADER_LINES]):
        return read_epw(content, source=source)
    raise WeatherError(
        f"This is neither an EPW file, which has a line LOCATION, nor a table whose first line names {DRY} and "
        f"{' or '.join(HUMIDITY_SCALE)}."
    )


def _read_table(lines: list[str], source: str, where: Where, notes: list[str]) -> Year:
    rows = _rows(lines)
    names = [name.strip().lower() for name in next(rows)]
    if len(names) > MOST_COLUMNS:
        raise WeatherError(f"The table has {len(names)} columns; at most {MOST_COLUMNS} are read.")
    doubled = sorted(name for name, n in Counter(names).items() if name and n > 1)
    if doubled:
        raise WeatherError(f"The table names {', '.join(doubled)[:200]} more than once; each column has its own name.")
    humidity = [name for name in HUMIDITY_SCALE if name in names]
    if len(humidity) != 1:
        raise WeatherError(f"The table has {', '.join(names)}; it must have one of {' and '.join(HUMIDITY_SCALE)}.")
    body = list(islice(rows, LENGTHS[-1] + 1))
    if len(body) not in LENGTHS:
        more = "or more " if len(body) > LENGTHS[-1] else ""
        raise WeatherError(
            f"The table has {len(body):,} {more}rows; a year has {LENGTHS[0]:,} or {LENGTHS[1]:,} hours."
        )
    relative_humidity = _column(body, names, humidity[0])
    if humidity[0] == PERCENT:
        relative_humidity = in_percent(relative_humidity, notes)
    if PRESSURE in names:
        pressure = _column(body, names, PRESSURE)
    else:
        pressure = np.full(len(body), standard_pressure_pa(where.elevation_m))
        notes.append("It has no pressure_pa; the standard atmosphere's at the site's elevation was taken.")
    return checked(
        Year(
            name=f"{where.name}, measured",
            source=f"{source}; a table of hours measured at {where.name}",
            latitude_deg=where.latitude_deg,
            longitude_deg=where.longitude_deg,
            elevation_m=where.elevation_m,
            utc_offset_h=where.utc_offset_h,
            dry_bulb_degc=_column(body, names, DRY).astype(np.float32),
            relative_humidity=(relative_humidity / HUMIDITY_SCALE[humidity[0]]).astype(np.float32),
            pressure_pa=pressure.astype(np.float32),
            notes=tuple(notes),
        )
    )


def _rows(lines: list[str]) -> Iterator[list[str]]:
    """Yield the cells of each line; a quote that is not closed in its line would join it with the next ones."""
    for number, line in enumerate((line for line in lines if line.strip()), 1):
        try:
            yield next(csv.reader([line], strict=True))
        except csv.Error as error:
            raise WeatherError(
                f"Row {number}: {line[:40]!r} is no row of a table: {error}. A quote must close in its row, and a row "
                f"may have {MAX_LINE_CHARS:,} characters."
            ) from error


def _column(body: list[list[str]], names: list[str], name: str) -> NDArray[np.float64]:
    """Return one column's numbers; an hour without one is named."""
    at = names.index(name)
    values = np.empty(len(body))
    for hour, row in enumerate(body):
        cell = row[at].strip() if at < len(row) else ""
        try:
            values[hour] = float(cell)
        except ValueError as error:
            raise WeatherError(f"Row {hour + 2}: {name} is {cell[:40]!r}; must be a number.") from error
    return values
