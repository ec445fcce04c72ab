"""The scoreboard's telemetry rows, where the data are; and that it says what is missing where they are not."""

import pytest

from twin.validation import telemetry

pytestmark = pytest.mark.slow


def test_every_row_reaches_its_tolerance(data_dir):
    rows = list(telemetry.checks(data_dir))
    missed = [f"{row.check}: {row.value} {row.unit}, reach {row.reach}" for row in rows if row.status == "miss"]
    assert not missed
    assert sum(row.n for row in rows) > 1_000


def test_missing_files_are_named(tmp_path):
    rows = list(telemetry.checks(tmp_path))
    assert len(rows) == 8
    assert all(row.status == "skipped" and "missing" in row.note for row in rows)
