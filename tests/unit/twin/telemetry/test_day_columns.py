"""Packed days and their rollups, against values worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.core.telemetry.day_columns import (
    DAY_MS,
    QUARTER_MS,
    coarser,
    joined,
    packed,
    rolled,
    rollup_packed,
    rollup_unpacked,
    unpacked,
)

MINUTES = np.arange(0, DAY_MS, 60_000, dtype=np.int64)
GOOD = np.ones(MINUTES.size, np.uint8)
NAMES = ("at", "low", "mean", "high", "count", "not_good")


def columns(values, times=MINUTES, quality=None):
    values = np.asarray(values, np.float32).astype(float)
    return times, values, np.ones(times.size, np.uint8) if quality is None else np.asarray(quality, np.uint8)


def test_a_packed_day_is_what_was_packed():
    times = np.array([0, 1, 60_000, DAY_MS - 1], dtype=np.int64) + 5 * DAY_MS
    given_columns = columns([1.5, -2.0, 0.0, 3e9], times, [1, 0, 255, 1])
    for before, after in zip(given_columns, unpacked(5 * DAY_MS, packed(5 * DAY_MS, given_columns), 4), strict=True):
        np.testing.assert_array_equal(before, after)
    assert [part.size for part in unpacked(0, b"", 9)] == [0, 0, 0]


@given(
    st.lists(st.floats(-1e9, 1e9, width=32) | st.integers(-9999, 9999).map(lambda n: n / 100), min_size=1, max_size=50)
)
def test_any_values_come_back_to_the_float(values):
    short = np.array(values, np.float32).astype(float)
    times = np.arange(short.size, dtype=np.int64)
    back = unpacked(0, packed(0, (times, short, np.ones(short.size, np.uint8))), short.size)
    np.testing.assert_array_equal(back[1], short)


def test_a_day_of_minutes_with_its_rollup_takes_less_than_four_bytes_a_reading():
    rng, hour = np.random.default_rng(1), MINUTES / 3.6e6
    for values, most in (
        (np.round(35 + rng.normal(0, 0.15, 1440), 2), 1.5),  # as sensors give it
        (1e5 + 3e4 * np.sin(hour) + rng.normal(0, 500, 1440), 4.0),  # every digit of it noise
    ):
        day = columns(values)
        stored = len(packed(0, day)) + len(rollup_packed(rolled(0, day, QUARTER_MS)))
        assert stored / MINUTES.size < most


def test_a_rollup_has_least_mean_and_largest_of_good_readings_and_counts_the_others():
    times = np.array([0, 1000, 2000, QUARTER_MS, 3 * QUARTER_MS], np.int64)
    rollup = rolled(0, columns([1, 2, 90, 4, 5], times, [1, 1, 0, 0, 1]), QUARTER_MS)
    assert rollup.at.tolist() == [0, 1, 3]
    assert rollup.count.tolist() == [2, 0, 1]
    assert rollup.not_good.tolist() == [1, 1, 0]
    assert rollup.mean[0] == 1.5
    assert np.isnan([rollup.low[1], rollup.mean[1], rollup.high[1]]).all()
    back = rollup_unpacked(rollup_packed(rollup))
    for name in NAMES:
        np.testing.assert_array_equal(getattr(back, name), getattr(rollup, name))


def test_hours_added_up_from_quarters_and_days_in_two_parts_are_those_of_the_readings():
    day = columns(np.random.default_rng(2).normal(50, 9, 1440).round(1), quality=GOOD.copy())
    day[2][5:40] = 0
    quarters, hours = rolled(0, day, QUARTER_MS), rolled(0, day, 4 * QUARTER_MS)
    first, second = (tuple(column[part] for column in day) for part in (slice(0, 700), slice(700, None)))
    together = joined(rolled(0, first, QUARTER_MS), rolled(0, second, QUARTER_MS))
    for name in NAMES:
        assert getattr(coarser(quarters, 4), name) == pytest.approx(getattr(hours, name), nan_ok=True)
        assert getattr(together, name) == pytest.approx(getattr(quarters, name), nan_ok=True)
