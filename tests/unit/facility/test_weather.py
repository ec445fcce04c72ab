"""EPW files: what can be read is read with a note of what was done, every other hole or nonsense is named."""

import gzip
import io
import os
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from facility.epw import MAX_EPW_BYTES, read_epw
from facility.weather import (
    CLIMATES,
    WeatherError,
    read_climate,
    weather_fields,
    write_climate,
)
from power_cooling.fluids.psychrometrics import pressure_at_elevation_pa
from power_cooling.site_facts.calendar import DAYS_OF_MONTHS as DAYS
from power_cooling.site_facts.weather import unpack

CASES = Path(os.environ.get("TWIN_DATA_DIR", "../shared/data")).parent / "cases"

HEADER = [
    "LOCATION,Test Town,XX,NOW,TMY3,123456,40.0,-105.0,-7.0,1829.0",
    "DESIGN CONDITIONS,0",
    "TYPICAL,0",
    "GROUND,0",
    "HOLIDAYS,No,0,0,0",
    "COMMENTS 1,x",
    "COMMENTS 2,x",
    "DATA PERIODS,1,1,Data,Sunday, 1/ 1,12/31",
]


def rows(february=28):
    return list(_rows(february))


@cache
def _rows(february):
    days = DAYS[:1] + (february,) + DAYS[2:]
    return [
        f"2001,{month},{day},{hour},0,flags,{10 + hour / 10:.1f},1.0,{40 + hour},82000"
        for month, n in enumerate(days, 1)
        for day in range(1, n + 1)
        for hour in range(1, 25)
    ]


def epw(body, header=HEADER):
    return "\n".join([*header, *body]).encode()


@pytest.mark.parametrize(("february", "n_hours"), [(28, 8760), (29, 8784)])
def test_a_common_and_a_leap_year_are_read(february, n_hours):
    year = read_epw(epw(rows(february)), source="a test")
    assert (year.name, year.latitude_deg, year.utc_offset_h, year.elevation_m) == ("Test Town XX", 40, -7, 1829)
    assert year.source == "a test; Test Town, XX, NOW (WMO 123456); TMY3"
    assert year.dry_bulb_degc.shape == (n_hours,)
    assert year.dry_bulb_degc[0] == np.float32(10.1)
    assert year.relative_humidity[23] == np.float32(0.64)
    assert (year.pressure_pa == 82000).all()


def test_a_year_and_its_row_in_the_database_hold_the_same():
    year = read_epw(gzip.compress(epw(rows())))
    stored = unpack(weather_fields(year)["rows"])
    for kept, given in zip(stored, (year.dry_bulb_degc, year.relative_humidity, year.pressure_pa), strict=True):
        np.testing.assert_array_equal(kept, given)


def every(change, header=HEADER, body=None):
    """Return a file with `change(values)` made to each of its rows."""
    body = [row.split(",") for row in body or rows()]
    for values in body:
        change(values)
    return epw([",".join(values) for values in body], header)


def put(column, text):
    def change(values):
        values[column] = text(values[column]) if callable(text) else text

    return change


def altered(number, column, text, n=6):
    """Return a file with `text` in a column of n rows from a row on."""
    body = rows()
    for at in range(number - 1, number - 1 + n):
        body[at] = ",".join(text if i == column else part for i, part in enumerate(body[at].split(",")))
    return epw(body)


def changed(number, column, text):
    body = rows()
    parts = body[number - 1].split(",")
    parts[column] = text
    body[number - 1] = ",".join(parts)
    return epw(body)


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def warmest_at(hour, row):
    """Put the day's swing so that it is warmest in the hour that ends then."""
    values = row.split(",")
    values[6] = f"{15 + 5 * np.cos(2 * np.pi * (int(values[3]) - hour) / 24):.3f}"
    return ",".join(values)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (altered(100, 6, "99.9"), r"Row 100 \(line 108\), month 1 day 5 hour 4: dry bulb is missing; 6 of 8,760 hours"),
        (altered(1, 8, "999"), r"Row 1 .* relative humidity is missing"),
        (changed(7, 6, "warm"), r"dry bulb is 'warm'; must be a number"),
        (changed(7, 6, "-80"), r"dry bulb is -80 °C; must be from -70 to 70 °C"),
        (changed(7, 8, "130"), r"relative humidity is 130 %; must be from 0 to 110 %"),
        (changed(7, 9, "900"), r"station pressure is 900 Pa; must be from 31000 to 120000 Pa"),
        (changed(7, 3, "x"), r"Row 7 .*month, day and hour cannot be read"),
        (epw(rows()[:50] + rows()[53:]), r"Row 51 .*Hours are missing: it is month 1 day 3 hour 6, but"),
        (epw(rows()[:50] + rows()[49:]), r"Row 51 .*Hours repeat"),
        (epw(rows()[:-24]), r"8,736 rows; a year has 8,760 or 8,784 hours. The last is month 12 day 30 hour 24"),
        (epw([]), r"The file has 0 rows"),
        (b"", r"no EPW file"),
        (b"\x89PNG" * 100, r"no EPW file"),
        (b"\x1f\x8bgarbage", r"cannot be unpacked"),
        (epw(rows(), ["LOCATION,x"] + HEADER[1:]), r"LOCATION has 1 values"),
        (epw(rows(), [HEADER[0].replace("40.0", "north")] + HEADER[1:]), r"latitude is 'north'"),
        (epw(rows(), [HEADER[0].replace("1829.0", "18290")] + HEADER[1:]), r"elevation is 18290; must be from -430"),
        (every(put(8, "0")), r"Relative humidity is 0 % in 8,760 of 8,760 hours; air is never that dry for long"),
        (altered(1, 8, "0", 100), r"Relative humidity is 0 % in 100 of 8,760 hours"),
        (every(put(6, "20.0")), r"Dry bulb stays at 20.0 °C for 8,760 hours from hour 1 of the year; a sensor"),
        (altered(101, 6, "20.0", 200), r"Dry bulb stays at 20.0 °C for 200 hours from hour 101"),
        (every(put(8, "50")), r"Relative humidity stays at 50% for 8,760 hours"),
        (every(put(9, "101325")), r"101,325 Pa on average, but about 81,198 Pa at the station's elevation of 1,829 m"),
        (changed(7, 9, "100000"), r"100,000 Pa in hour 7 of the year, 22% off its mean of 82,002 Pa"),
        (
            epw([warmest_at(3, row) for row in rows()], [HEADER[0].replace("-7.0", "7.0"), *HEADER[1:]]),
            r"Time zone \+7 h does not fit longitude -105° \(about -7 h\), and days are warmest at . h. Correct one",
        ),
        (zipped({"a.epw": b"x", "b.EPW": b"y"}), r"holds 2 .epw files \(a.epw, b.EPW\); it must hold exactly one"),
        (zipped({"a.ddy": b"x"}), r"The ZIP holds no .epw file"),
        (zipped({f"{i}.txt": b"x" for i in range(201)}), r"The ZIP holds 201 files; at most 200"),
        (zipped({"a.epw": b"0" * (MAX_EPW_BYTES + 1)}), r"larger than 8 MiB"),
        (zipped({"a.epw": epw(rows())})[:-200], r"The ZIP file cannot be unpacked"),
        (gzip.compress(b"a" * (MAX_EPW_BYTES + 1)), r"larger than 8 MiB"),
    ],
)
def test_holes_and_nonsense_are_named(content, message):
    with pytest.raises(WeatherError, match=message):
        read_epw(content)


def in_utc(body):
    """Return rows of a place at -7 h as a file in UTC labels them: 0 h there is 7 h in UTC."""
    labels = [row.split(",")[:4] for row in body]
    return [",".join([*labels[i], *body[i - 7].split(",")[4:]]) for i in range(len(body))]


SUNNY = [warmest_at(16, row) for row in rows()]
JULY = 181 * 24
WHOLE = read_epw(epw(SUNNY))


@pytest.mark.parametrize(
    ("content", "notes"),
    [
        (epw(SUNNY), []),
        (zipped({"x.ddy": b"", "__MACOSX/x.epw": b"", "x.EPW": epw(SUNNY)}), ["x.EPW was taken from the ZIP file."]),
        (epw(SUNNY, [*HEADER[:6], "COMMENTS 1,another", *HEADER[6:]]), ["The header has 9 lines; the format has 8"]),
        (epw(SUNNY, [HEADER[7], *HEADER[1:7], HEADER[0]]), ["The header has 8 lines in another order"]),
        (epw(SUNNY, HEADER[:1]), ["The header has 1 lines in another order"]),
        (epw(SUNNY).decode().replace("Test", "S\xe3o").encode("latin-1"), []),
        (epw(SUNNY[JULY:] + SUNNY[:JULY]), ["It runs from month 7 day 1 hour 1 to month 6 day 30 hour 24"]),
        (epw(SUNNY + SUNNY[: 31 * 24]), ["Its first 8,760 hours make a year; the 744 after them were left out."]),
        (epw(SUNNY + SUNNY[:1]), ["Its first 8,760 hours make a year; the 1 after them were left out."]),
        (
            epw([row for row in SUNNY for _ in range(4)], [*HEADER[:7], "DATA PERIODS,1,4,Data"]),
            ["Its 4 records per hour were averaged."],
        ),
        (every(put(3, lambda hour: str(int(hour) - 1)), body=SUNNY), ["Its hours from 0 to 23"]),
        (every(put(8, lambda percent: f"{float(percent) / 100:g}"), body=SUNNY), ["Relative humidity from 0 to 1"]),
        (every(put(9, "820"), body=SUNNY), ["Station pressure was taken as hPa."]),
        (every(put(9, "82"), body=SUNNY), ["Station pressure was taken as kPa."]),
        (epw(in_utc(SUNNY), [HEADER[0].replace("-7.0", "0.0"), *HEADER[1:]]), ["Its rows in UTC were put in local"]),
        (epw(SUNNY, [HEADER[0].replace("-7.0", "7.0"), *HEADER[1:]]), ["Time zone +7 h does not fit longitude -105°"]),
    ],
)
def test_what_leaves_no_doubt_is_read_with_a_note(content, notes):
    year = read_epw(content)
    assert len(year.notes) == len(notes)
    for told, note in zip(year.notes, notes, strict=True):
        assert told.startswith(note)
    assert year.utc_offset_h == -7
    np.testing.assert_allclose(year.dry_bulb_degc, WHOLE.dry_bulb_degc, atol=1e-5)
    np.testing.assert_allclose(year.relative_humidity, WHOLE.relative_humidity, rtol=1e-6)
    np.testing.assert_array_equal(year.pressure_pa, WHOLE.pressure_pa)


def test_records_within_an_hour_are_averaged():
    body = [row for row in SUNNY for _ in range(2)]
    body[1] = ",".join("12.5" if i == 6 else part for i, part in enumerate(body[1].split(",")))
    first = float(body[0].split(",")[6])
    assert read_epw(epw(body)).dry_bulb_degc[0] == pytest.approx((first + 12.5) / 2)


def test_pressure_that_is_missing_is_filled_by_elevation():
    year = read_epw(every(put(9, "999999")))
    assert year.notes == (
        "Station pressure is missing in 8,760 hours; filled with 81,198 Pa, the standard atmosphere's at 1,829 m.",
    )
    np.testing.assert_allclose(year.pressure_pa, pressure_at_elevation_pa(1829), rtol=1e-6)


def test_short_gaps_are_interpolated_over_the_turn_of_the_year_too():
    body = rows()
    for at in (8758, 8759, 0):
        body[at] = ",".join("99.9" if i == 6 else part for i, part in enumerate(body[at].split(",")))
    year = read_epw(epw(body))
    assert year.notes == ("Dry bulb is missing in 3 hours; interpolated.",)
    # from 12.2 in hour 22 to 10.2 in hour 2, four steps apart
    np.testing.assert_allclose(year.dry_bulb_degc[[8758, 8759, 0]], [11.7, 11.2, 10.7], atol=1e-5)


def test_single_hours_of_no_humidity_are_bone_dry():
    year = read_epw(altered(100, 8, "0", 3))
    assert year.notes == ("Relative humidity is 0 % in 3 hours, taken as bone-dry air.",)
    assert (year.relative_humidity[99:102] == 0).all()


@pytest.mark.parametrize(
    ("case", "notes", "refused"),
    [
        ("c11_rh_zero.epw.gz", None, "Relative humidity is 0 % in 8,760 of 8,760 hours"),
        ("c17_onebuilding.zip", ["USA_CO_Golden.epw was taken from the ZIP file."], None),
        ("c18_extra_comment.epw.gz", ["The header has 9 lines; the format has 8"], None),
    ],
)
def test_files_that_once_went_wrong_are_read_or_refused_rightly(case, notes, refused):
    if not (CASES / case).exists():
        pytest.skip(f"{case} is not here; TWIN_DATA_DIR says where it would be")
    content = (CASES / case).read_bytes()
    if refused:
        with pytest.raises(WeatherError, match=refused):
            read_epw(content)
        return
    year = read_epw(content)
    assert [told.startswith(note) for told, note in zip(year.notes, notes, strict=True)] == [True] * len(notes)
    assert year.pressure_pa.mean() == pytest.approx(82_137, rel=1e-4)  # the shipped year of the same station


def test_shipped_climates_are_real_years():
    # Extremes of the published years: a swapped column or a lost sign would show.
    extremes = {
        "chicago-il": (-22.8, 35.0),
        "golden-co": (-25.0, 36.0),
        "san-francisco-ca": (2.2, 32.8),
        "sterling-va": (-16.1, 37.2),
        "tampa-fl": (-2.2, 34.4),
    }
    found = {}
    for path in CLIMATES.glob("*.csv.gz"):
        assert path.stat().st_size < 60_000
        year = read_climate(path)
        assert year.dry_bulb_degc.shape == (8760,)
        assert "public domain" in year.source
        # 2 %: the barometric formula assumes 15 °C and the mean pressure at sea level.
        assert year.pressure_pa.mean() == pytest.approx(
            101_325 * (1 - 2.2558e-5 * year.elevation_m) ** 5.2559, rel=0.02
        )
        lowest, highest = float(year.dry_bulb_degc.min()), float(year.dry_bulb_degc.max())
        found[path.name.removesuffix(".csv.gz")] = (round(lowest, 1), round(highest, 1))
    assert found == extremes


def test_a_climate_is_written_and_read_without_change(tmp_path):
    year = read_climate(CLIMATES / "golden-co.csv.gz")
    write_climate(year, tmp_path / "again.csv.gz")
    assert (tmp_path / "again.csv.gz").read_bytes() == (CLIMATES / "golden-co.csv.gz").read_bytes()
