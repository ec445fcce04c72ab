import gzip
from pathlib import Path

import numpy as np
import pytest

from twin.core.telemetry import dsx_file, prometheus
from twin.core.telemetry.tables import named_columns, read_table
from twin.core.telemetry.times import parse_time, read_times


def written(tmp_path: Path, text: str, name: str = "t.csv") -> Path:
    path = tmp_path / name
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode("utf-8-sig")))
    else:
        path.write_text(text, encoding="utf-8")
    return path


def test_a_packed_tab_table_with_a_mark_and_a_closing_line_is_read(tmp_path):
    table = read_table(written(tmp_path, "time\tpower\n1\t2.5\n2\t\n(2 rows affected)\n", "t.tsv.gz"))
    assert table.n_rows == 2
    assert table.left_out == 1
    np.testing.assert_array_equal(table.numbers("power"), [2.5, np.nan])


def test_numbers_carry_units_and_decimal_commas(tmp_path):
    table = read_table(written(tmp_path, "time;power [W];temp\n1;73.31 W;25,5\n2;[N/A];26\n"))
    np.testing.assert_array_equal(table.numbers("power [W]"), [73.31, np.nan])
    np.testing.assert_array_equal(table.numbers("temp"), [25.5, 26.0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("time,power\n", "no rows"),
        ("time\n1\n", "one column only"),
        ("time,a,a\n1,2,3\n", "names a more than once"),
        ("time,a\n1,2,3\n", "3 cells under 2"),
    ],
)
def test_a_table_that_is_none_says_why(tmp_path, text, said):
    with pytest.raises(ValueError, match=said):
        read_table(written(tmp_path, text))


def test_a_cell_that_is_no_number_is_named_with_its_row(tmp_path):
    table = read_table(written(tmp_path, "time,power\n1,5\n2,broken\n"))
    with pytest.raises(ValueError, match=r"column power, row 2: 'broken' is not a number"):
        table.numbers("power")


@pytest.mark.parametrize("read", [read_table, dsx_file.file_metadata, prometheus.file_points])
def test_a_gzip_file_that_is_cut_or_broken_is_refused_by_every_reader(tmp_path, read):
    path = tmp_path / "t.csv.gz"
    whole = gzip.compress(b"time,a\n" + b"".join(b"%d,%d\n" % (i, i * i % 977) for i in range(3000)))
    for content in (whole[:-4], whole[:200] + bytes(255 - byte for byte in whole[200:300]) + whole[300:]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="not a whole gzip file"):
            read(path)


def test_columns_without_a_name_are_left_out_however_many(tmp_path):
    table = read_table(written(tmp_path, "time,power,,\n1,5,,\n2,6,,\n"))
    assert list(table.columns) == ["time", "power"]


def test_named_columns_refuse_unknown_names():
    assert named_columns("time=t, power_w=P (W)", ("time", "power_w")) == {"time": "t", "power_w": "P (W)"}
    with pytest.raises(ValueError, match="no such name; allowed are time"):
        named_columns("tme=t", ("time",))


def test_zoned_and_plain_times_stay_apart():
    zoned = read_times(["2023-06-10T05:10:00Z", "2023-06-10T07:20:00+02:00"])
    assert zoned.zoned
    assert np.diff(zoned.seconds) == 600
    assert not read_times(["2023-06-10 05:10:00", "2023-06-10 05:20:00"]).zoned
    assert parse_time("2023-06-10T05:10:00Z") == zoned.seconds[0]


def test_dates_with_slashes_take_the_order_that_one_of_them_proves():
    day_first = read_times(["01/02/2024 00:00", "14/02/2024 00:00", "15/02/2024 00:00"])
    assert day_first.iso(day_first.seconds[0]) == "2024-02-01T00:00:00"
    month_first = read_times(["8/28/2007 0:00", "8/29/2007 0:02", "9/1/2007 0:04"])
    assert month_first.iso(month_first.seconds[2]) == "2007-09-01T00:04:00"


def test_dates_that_read_both_ways_are_reported():
    times = read_times(["01/02/2024", "01/03/2024", "01/04/2024"])
    assert [finding["finding"] for finding in times.findings] == ["day and month ambiguous"]


def test_an_iso_series_with_swapped_days_and_months_is_set_right_and_counted():
    true = [np.datetime64("2025-03-09T00:00") + np.timedelta64(6 * i, "h") for i in range(200)]
    written_out, n_swapped = [], 0
    for time in true:
        text = str(time)
        if int(text[8:10]) <= 12:
            n_swapped += text[5:7] != text[8:10]
            text = text[:5] + text[8:10] + "-" + text[5:7] + text[10:]
        written_out.append(text + ":00")
    times = read_times(written_out)
    assert np.all(np.diff(times.seconds) == 6 * 3600)
    found = {finding["finding"]: finding["n"] for finding in times.findings}
    assert found == {"day and month swapped": n_swapped}


def test_times_are_compared_with_what_was_exported():
    times = read_times(["2025-03-09T23:00:00", "2025-03-13T00:00:00"], ["2025-09-03 23:00:00", "13/03/2025 00:00"])
    assert [(f["finding"], f["n"]) for f in times.findings] == [("day and month swapped in the export", 1)]


def test_gaps_doubles_and_newest_first_are_findings():
    times = read_times([f"2024-01-01T{hour:02d}:00:00" for hour in (9, 8, 7, 7, 3, 2, 1)])
    found = {finding["finding"]: finding["n"] for finding in times.findings}
    assert found == {"newest row first": 7, "doubled time": 1, "gap": 1}


def test_a_gap_of_a_month_is_no_swapped_date():
    hours = [f"2024-01-{day:02d}T00:00:00" for day in range(1, 11)] + [
        f"2024-03-{day:02d}T00:00:00" for day in range(1, 11)
    ]
    assert [finding["finding"] for finding in read_times(hours).findings] == ["gap"]
