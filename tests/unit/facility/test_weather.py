"""EPW files: a good one is read, every kind of hole or nonsense is named."""

import gzip

import numpy as np
import pytest

from facility.weather import (
    CLIMATES,
    DAYS,
    MAX_EPW_BYTES,
    WeatherError,
    pack,
    read_climate,
    read_epw,
    unpack,
    write_climate,
)

HEADER = ["LOCATION,Test Town,XX,NOW,TMY3,123456,40.0,-105.0,-7.0,1829.0", "DESIGN CONDITIONS,0", "TYPICAL,0",
          "GROUND,0", "HOLIDAYS,No,0,0,0", "COMMENTS 1,x", "COMMENTS 2,x",
          "DATA PERIODS,1,1,Data,Sunday, 1/ 1,12/31"]  # fmt: skip


def rows(february=28):
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


def test_packing_loses_nothing():
    year = read_epw(gzip.compress(epw(rows())))
    stored = unpack(pack(year))
    assert stored.dtype == np.float32
    for kept, given in zip(stored, (year.dry_bulb_degc, year.relative_humidity, year.pressure_pa), strict=True):
        np.testing.assert_array_equal(kept, given)


def changed(number, column, text):
    body = rows()
    parts = body[number - 1].split(",")
    parts[column] = text
    body[number - 1] = ",".join(parts)
    return epw(body)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (changed(100, 6, "99.9"), r"Row 100 \(line 108\), month 1 day 5 hour 4: dry bulb is missing .'99.9' means"),
        (changed(1, 8, "999"), r"Row 1 .* relative humidity is missing"),
        (changed(8760, 9, "999999"), r"Row 8760 .*month 12 day 31 hour 24: station pressure is missing.*1 of 8,760"),
        (changed(7, 9, ""), r"Row 7 .*station pressure is missing \('empty'"),
        (changed(7, 6, "warm"), r"dry bulb is 'warm'; must be a number"),
        (changed(7, 6, "-80"), r"dry bulb is -80 °C; must be from -70 to 70 °C"),
        (changed(7, 8, "130"), r"relative humidity is 130 %; must be from 0 to 110 %"),
        (changed(7, 9, "900"), r"station pressure is 900 Pa; must be from 31000 to 120000 Pa"),
        (changed(7, 3, "x"), r"Row 7 .*month, day and hour cannot be read"),
        (epw(rows()[:50] + rows()[53:]), r"Row 51 .*Hours are missing: it is month 1 day 3 hour 6, but"),
        (epw(rows()[:50] + rows()[49:]), r"Row 51 .*Hours repeat"),
        (epw(rows()[:-24]), r"8,736 rows; a year has 8,760 or 8,784. The last is month 12 day 30 hour 24"),
        (epw(rows() + rows()[:1]), r"8,761 rows"),
        (epw([]), r"The file has 0 rows"),
        (b"", r"no EPW file"),
        (b"\x89PNG" * 100, r"no EPW file"),
        (b"\x1f\x8bgarbage", r"cannot be unpacked"),
        (epw(rows(), ["LOCATION,x"] + HEADER[1:]), r"LOCATION has 1 values"),
        (epw(rows(), [HEADER[0].replace("40.0", "north")] + HEADER[1:]), r"latitude is 'north'"),
        (epw(rows(), [HEADER[0].replace("1829.0", "18290")] + HEADER[1:]), r"elevation is 18290; must be from -430"),
        (epw(rows(), HEADER[:7] + ["DATA PERIODS,1,4,Data"]), r"1 period with 1 record per hour"),
        (gzip.compress(b"a" * (MAX_EPW_BYTES + 1)), r"larger than 8 MiB"),
    ],
)  # fmt: skip
def test_holes_and_nonsense_are_named(content, message):
    with pytest.raises(WeatherError, match=message):
        read_epw(content)


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
