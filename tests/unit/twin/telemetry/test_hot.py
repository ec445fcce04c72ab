"""Batches of readings as they wait for compaction."""

import numpy as np

from twin.telemetry import hot


def columns(times, values):
    return np.array(times, np.int64), np.array(values, float), np.ones(len(times), np.uint8)


def test_a_batch_is_in_the_order_of_point_and_time_and_the_first_of_equal_times_stays():
    batch = hot.batch_of([(7, columns([30, 10, 10], [3, 1, 2])), (2, columns([5], [9]))])
    assert batch.point_ids.tolist() == [2, 7, 7]
    assert batch.times.tolist() == [5, 10, 30]
    assert batch.values.tolist() == [9, 1, 3]
    back = hot.unpacked(hot.packed(batch))
    for name in ("point_ids", "times", "values", "quality"):
        np.testing.assert_array_equal(getattr(back, name), getattr(batch, name))


def test_batches_joined_keep_what_came_first():
    earlier, later = hot.batch_of([(1, columns([10], [1]))]), hot.batch_of([(1, columns([10, 11], [5, 6]))])
    both = hot.joined([earlier, later])
    assert both.values.tolist() == [1, 6]
    assert hot.of_point(both, 1).size == 2
    assert hot.of_point(both, 2).size == 0
    assert [pk for pk, _ in hot.by_point(both)] == [1]
    assert hot.joined([]).size == hot.batch_of([]).size == 0
    assert list(hot.by_point(hot.NONE)) == []
