"""The scoreboard's telemetry rows, where the data are; and that it says what is missing where they are not."""

import pytest

from twin.validation import telemetry

# An A100 whose jobs change hourly: 12.2 % where 12 is the reach. It may not get worse.
KNOWN_MISSES = {"cbsugpu07: watts from utilisation": 0.125}


@pytest.mark.slow
def test_every_row_reaches_its_tolerance_but_the_known_ones(data_dir):
    rows = list(telemetry.checks(data_dir))
    missed = {row.check: row.value for row in rows if row.status == "miss"}
    assert set(missed) <= set(KNOWN_MISSES)
    assert all(value <= KNOWN_MISSES[check] for check, value in missed.items())


def test_missing_files_are_named(tmp_path):
    rows = list(telemetry.checks(tmp_path))
    assert len(rows) == 8
    assert all(row.status == "skipped" and "missing" in row.note for row in rows)
