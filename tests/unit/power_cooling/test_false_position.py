"""Roots by false position against values known in closed form."""

import math

import pytest

from power_cooling.false_position import LOWER, NEITHER, UPPER, between, narrowed


def _root(function, low: float, high: float) -> tuple[float, int]:
    bracket = (low, function(low), high, function(high), NEITHER)
    for n in range(100):
        x = between(bracket)
        f = function(x)
        if abs(f) < 1e-13:
            return x, n
        bracket = narrowed(bracket, x, f)
    raise AssertionError(f"no root after 100 steps: {bracket}")


@pytest.mark.parametrize(
    ("function", "low", "high", "root"),
    [
        (lambda x: x * x - 2.0, 0.0, 2.0, math.sqrt(2.0)),  # rises
        (lambda x: 0.5 - x**3, 0.0, 1.0, 0.5 ** (1 / 3)),  # falls
        (lambda x: x**9 - 1e-6, 0.0, 1.0, 1e-6 ** (1 / 9)),  # plain false position stays at one end for ages
        (lambda x: math.inf if x < 0.2 else 0.5 - x, 0.0, 1.0, 0.5),  # infinite at an end
    ],
)
def test_a_root_is_found_whichever_way_the_function_runs(function, low: float, high: float, root: float):
    found, steps = _root(function, low, high)
    assert found == pytest.approx(root, rel=1e-8)  # |f| < 1e-13 over the least slope, 4e-5
    assert steps < 60


def test_the_place_is_where_the_line_through_both_ends_crosses_zero():
    assert between((1.0, -1.0, 3.0, 3.0, NEITHER)) == 1.5
    assert between((1.0, math.inf, 3.0, -1.0, NEITHER)) == 2.0
    assert between((1.0, 1.0, 3.0, 1.0, NEITHER)) == 2.0  # no line crosses: the middle


def test_an_end_that_stays_twice_counts_half():
    once = narrowed((0.0, -4.0, 8.0, 4.0, NEITHER), 6.0, 2.0)
    assert once == (0.0, -4.0, 6.0, 2.0, UPPER)
    assert narrowed(once, 5.0, 1.0) == (0.0, -2.0, 5.0, 1.0, UPPER)
    assert narrowed(once, 1.0, -1.0) == (1.0, -1.0, 6.0, 2.0, LOWER)
