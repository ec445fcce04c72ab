"""The benchmark of the store in its quick form: what is counted and how small it is, never what the clock says."""

import pytest

from twin.benchmarks.telemetry_store import QUANTITIES, QUICK, measured, rows


@pytest.mark.slow
def test_every_reading_is_taken_kept_small_and_shown():
    found = measured(QUICK)  # raises where a reading is missing or shown twice
    assert found["n_taken"] == QUICK.n_racks * len(QUANTITIES) * QUICK.n_batches
    assert found["bytes"] < 4
    assert found["n_fleet"] == QUICK.n_racks
    assert [row.name for row in rows("sqlite", found)] == [
        "readings taken",
        "bytes per reading",
        "month of a point",
        "day of the fleet",
    ]
