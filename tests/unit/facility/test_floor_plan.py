"""Geometry of the floor on layouts worked by hand."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from facility.floor_plan import clearances, overlapping_pairs

# Two rows of two racks, fronts towards each other over a cold aisle of 1.5 m, and a CDU behind the upper row.
ROWS = np.array(
    [
        [0.0, 0.0, 0.6, 1.2],
        [0.6, 0.0, 1.2, 1.2],
        [0.0, 2.7, 0.6, 3.9],
        [0.6, 2.7, 1.2, 3.9],
        [0.0, 5.0, 0.9, 6.2],
    ]
)
FRONTS = np.array([180, 180, 0, 0, 90])


def test_clear_widths_before_and_behind():
    clear_m, nearest = clearances(ROWS, FRONTS)
    np.testing.assert_allclose(clear_m[0], [1.5, 1.5, 1.5, 1.5, np.inf])
    np.testing.assert_allclose(clear_m[1], [np.inf, np.inf, 1.1, 1.1, np.inf])
    assert nearest[0].tolist() == [2, 3, 0, 1, -1]
    assert nearest[1].tolist() == [-1, -1, 4, 4, -1]


def test_touching_racks_do_not_overlap_and_shifted_ones_do():
    assert overlapping_pairs(ROWS) == []
    shifted = ROWS.copy()
    shifted[1] -= [0.1, 0, 0.1, 0]
    assert overlapping_pairs(shifted) == [(0, 1)]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 600))
def test_pairs_are_those_of_the_plain_loop(seed, n):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 40, (n, 2))
    rectangles = np.hstack([corner, corner + rng.uniform(0.3, 2, (n, 2))])
    count = 40  # the plain loop over all would be slow
    part = rectangles[:count]
    expected = [
        (i, j)
        for i in range(len(part))
        for j in range(i + 1, len(part))
        if min(part[i, 2], part[j, 2]) - max(part[i, 0], part[j, 0]) > 1e-3
        and min(part[i, 3], part[j, 3]) - max(part[i, 1], part[j, 1]) > 1e-3
    ]
    assert [pair for pair in overlapping_pairs(rectangles) if max(pair) < count] == expected


def test_many_objects_on_one_place_are_found_without_counting_every_pair():
    heap = np.tile([0.0, 0.0, 1.0, 1.0], (3000, 1))
    assert len(overlapping_pairs(heap)) == 10_000
    assert overlapping_pairs(heap, n_first=1, most=2) == [(0, 1), (0, 2)]
