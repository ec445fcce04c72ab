"""Compiled loops over values that broadcast."""

import numpy as np
import pytest

from power_cooling.compiled import broadcast


def _weighted(columns, filled):
    filled[:] = columns[0] + 10 * columns[1]


def test_values_broadcast_as_in_numpy():
    rows, columns = np.arange(3.0)[:, None], np.arange(2)
    np.testing.assert_array_equal(broadcast(_weighted, rows, columns), rows + 10 * columns)
    assert broadcast(_weighted, [], 1.0).shape == (0,)


def test_numbers_give_a_number():
    assert broadcast(_weighted, 1, 2) == 21.0
    assert np.ndim(broadcast(_weighted, 1, 2)) == 0


def test_values_that_do_not_broadcast_are_refused():
    with pytest.raises(ValueError, match="broadcast"):
        broadcast(_weighted, np.zeros(2), np.zeros(3))
