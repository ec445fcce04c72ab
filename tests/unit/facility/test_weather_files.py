"""A measured year may come as a table, whose place is that of the site."""

import numpy as np
import pytest

from facility.weather import WeatherError
from facility.weather_files import Where, read_weather
from power_cooling.site_facts.weather import standard_pressure_pa
from tests.unit.facility.test_weather import epw, rows, zipped

HERE = Where("Our roof", 50.0, 8.6, 110.0, 1.0)
HOURS = np.arange(8760)
DRY = np.round(10 + 8 * np.sin(HOURS / 1394) + 4 * np.sin((HOURS % 24 - 9) / 24 * 2 * np.pi), 1)


def table(dry=DRY, head="dry_bulb_degc,relative_humidity_percent", humidity=60, more=""):
    wet = [f"{humidity + i % 7}" for i in range(len(dry))]
    return "\n".join([head, *(f"{value},{rh}{more}" for value, rh in zip(dry, wet, strict=True))]).encode()


def read(content):
    return read_weather(content, source="uploaded file a.csv", where=HERE)


@pytest.mark.parametrize("pack", [lambda content: content, lambda content: zipped({"year.csv": content})])
def test_a_table_is_read_at_the_site_with_the_pressure_of_its_height(pack):
    year = read(pack(table()))
    np.testing.assert_allclose(year.dry_bulb_degc, DRY, atol=1e-5)
    assert year.relative_humidity[1] == pytest.approx(0.61)
    assert year.pressure_pa == pytest.approx(np.full(8760, standard_pressure_pa(110.0)))
    assert (year.latitude_deg, year.utc_offset_h, year.confidence) == (50.0, 1.0, "entered")
    assert any("no pressure_pa" in note for note in year.notes)


def test_columns_are_found_by_name_and_a_measured_pressure_is_kept():
    head = "dry_bulb_degc,relative_humidity_frac,Pressure_Pa"
    content = "\n".join([head, *(f"{v},{0.5 + i % 3 / 10},{99000 + i % 11}" for i, v in enumerate(DRY))]).encode()
    year = read(content)
    assert year.pressure_pa[10] == 99010
    assert year.relative_humidity[2] == pytest.approx(0.7)


def test_an_epw_file_keeps_its_own_place():
    assert read(epw(rows())).latitude_deg == 40.0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"time,temperature\n1,2", "neither an EPW file"),
        (table(head="dry_bulb_degc,humidity"), "must have one of relative_humidity_percent"),
        (table(DRY[:100]), "has 100 rows; a year has 8,760 or 8,784 hours"),
        (table(np.tile(DRY, 2)), "has 8,785 or more rows"),
        (table().replace(b"\n13.", b"\nwarm", 1), r"Row \d+: dry_bulb_degc is 'warm.*'; must be a number"),
        (table(DRY + 273.15), "dry bulb is .* must be from -70 to 70"),
        (table(humidity=120), "relative humidity is .* must be from 0 to 100"),
        (table(head="dry_bulb_degc,relative_humidity_percent" + ",x" * 50), "has 52 columns; at most 50"),
        (table(head="dry_bulb_degc,relative_humidity_percent," + "x" * 140_000), "Line 1 has .* at most 20,000"),
        (table().replace(b"\n", b"\n" + b"1" * 140_000, 1), "Line 2 has .* at most 20,000"),
        (table(more=",note", head="dry_bulb_degc,relative_humidity_percent," + '"'), "Row 1: .* A quote must close"),
        (table(more=",note" * 20).replace(b",note", b',"note', 1), "Row 2: .* A quote must close"),
        (table(head="dry_bulb_degc,relative_humidity_percent, Dry_Bulb_degC"), "names dry_bulb_degc more than once"),
        (zipped({"a.csv": b"x", "b.csv": b"y"}), r"holds 2 .csv files \(a.csv, b.csv\)"),
    ],
)
def test_a_table_that_is_no_year_is_refused_by_name_and_value(content, said):
    with pytest.raises(WeatherError, match=said):
        read(content)


def test_fractions_in_the_column_of_per_cent_are_taken_as_such_and_noted():
    head = "dry_bulb_degc,relative_humidity_percent"
    year = read("\n".join([head, *(f"{v},{0.2 + i % 7 / 10:.1f}" for i, v in enumerate(DRY))]).encode())
    assert year.relative_humidity[[0, 6]] == pytest.approx([0.2, 0.8])
    assert "Relative humidity from 0 to 1 was taken as 0 to 100 %." in year.notes
    assert not any("Relative humidity" in note for note in read(table()).notes)
