"""Parquet in: long and wide, times with and without a zone, every refusal in a sentence, small files that are large."""

import datetime as dt
import io

import numpy as np
import pytest

from twin.core.telemetry import parquet
from twin.core.telemetry.readings import Reading, read_readings
from twin.core.telemetry.tables import parquet_table, read_table, table_of, table_text

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
TIMES = [dt.datetime(2026, 7, 1, hour, tzinfo=dt.UTC) for hour in range(3)]
LOCAL = [when.replace(tzinfo=None) for when in TIMES]


def written(**columns) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


@pytest.fixture
def file(tmp_path):
    def write(**columns):
        path = tmp_path / "points.parquet"
        path.write_bytes(written(**columns))
        return path

    return write


def test_a_long_table_is_read_as_its_csv_is(file):
    path = file(
        time=pa.array(TIMES, pa.timestamp("us", "America/Chicago")),
        point=pa.array(["site|power_w", "site|power_w", None]).dictionary_encode(),
        value=pa.array([1.5, float("nan"), 2.0], pa.float32()),
        unit=["kW", "kW", "kW"],
        quality=pa.array([1, 1, 0], pa.int8()),
    )
    found = read_readings(path, {}, ["site"], Reading("parquet"))
    ((entry, (times, values, quality)),) = found.points.items()
    assert (entry.object, entry.quantity) == ("site", "power_w")
    assert times.tolist() == [1_782_864_000_000]  # told in UTC, whatever zone it was written in
    assert (values.tolist(), quality.tolist()) == ([1500.0], [1])
    assert found.refused == {"no value": 1, "point not mapped": 1}
    table = read_table(path)
    again = table_of(table_text(table), path.name)
    assert dict(again.columns) == dict(table.columns)


def test_a_wide_table_has_its_only_times_first_whatever_they_are_called(file):
    path = file(**{"site|power_w": np.array([10, 20, 30]), "index": pa.array(LOCAL, pa.timestamp("ns"))})
    asked = read_readings(path, {}, ["site"], Reading())
    assert list(asked.refused) == ["time without a zone: say --time-zone, or time_zone in the mapping"]
    ((times, values, _),) = read_readings(path, {}, ["site"], Reading(time_zone="America/Chicago")).points.values()
    assert values.tolist() == [10, 20, 30]
    assert times[0] == 1_782_864_000_000 + 5 * 3_600_000


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"time": [[1], [2]], "x": [1, 2]}, "column time holds list"),
        ({"time": ["a" * 2000], "x": [1]}, "more than 1,000 characters"),
        ({"time": pa.array([], pa.string()), "x": pa.array([], pa.int64())}, "no rows"),
    ],
)
def test_a_table_that_cannot_be_is_refused_in_a_sentence(columns, said):
    with pytest.raises(ValueError, match=said):
        parquet_table(written(**columns), "points")


def test_broken_and_large_files_are_refused():
    good = written(time=TIMES, value=[1, 2, 3])
    for raw in (good[:40], b"PAR1" + b"\0" * 100, good[:4] + bytes(len(good) - 8) + good[-4:]):
        with pytest.raises(ValueError, match="no whole Parquet file"):
            parquet_table(raw, "points")
    many = written(time=pa.array(["x" * 900] * 300_000), value=np.zeros(300_000))
    assert len(many) < 200_000
    with pytest.raises(ValueError, match="more than 100,000 cells"):
        parquet_table(many, "points", 100_000)
    with pytest.raises(ValueError, match="columns; at most"):
        parquet_table(written(**{f"c{i}": [1] for i in range(parquet.MAX_COLUMNS + 1)}), "points")


def test_without_pyarrow_the_command_that_brings_it_is_named(monkeypatch):
    monkeypatch.setattr(parquet, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"points is Parquet, which needs pyarrow: .*pip install"):
        parquet_table(b"PAR1", "points")
