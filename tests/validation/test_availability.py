"""Reliability formulas against exact Markov chains and closed forms, on retyped values."""

import numpy as np
import pytest

from power_cooling.availability.reliability import (
    at_least_frac,
    failed_units_after,
    k_of_n,
    parallel_frac,
    parallel_rate_and_repair,
    series_frac,
    series_rate_and_repair,
    unit_availability_frac,
    unit_reliability_frac,
)
from twin.validation import availability as scoreboard

pytestmark = pytest.mark.slow

# n, k, failures per h, repairs per h, crews: availability. Steady state of the exact chain.
K_OF_N = [
    (2, 1, 1e-4, 0.05, 1, 0.9999920319359987),
    (2, 1, 2e-5, 0.125, 2, 0.9999999744081901),
    (4, 3, 1e-4, 0.05, 1, 0.9999521923809174),
    (5, 4, 5.7077625570776254e-05, 1 / 24, 5, 0.9999813372078435),
    (6, 4, 2e-5, 0.125, 6, 0.9999999999181488),
    (9, 8, 1e-4, 0.05, 1, 0.9997131659204507),
]


@pytest.mark.parametrize(("units", "needed", "failure", "repair", "crews", "expected"), K_OF_N)
def test_k_of_n_availability_equals_the_exact_chain(units, needed, failure, repair, crews, expected):
    # The printed value carries 16 digits, its solver 14.
    assert k_of_n(units, needed, failure, repair, crews).availability_frac == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(
    ("beta", "expected"),
    [(0.0, 3.984047872319153e-06), (0.01, 1.392438627968671e-05), (0.1, 0.00010339636128481616)],
)
def test_common_cause_dominates_a_redundant_pair(beta, expected):
    assert k_of_n(2, 1, 1e-4, 0.05, 2, beta).unavailability_frac == pytest.approx(expected, rel=1e-10)


def test_state_probabilities_in_time_equal_the_matrix_exponential():
    expected = [0.9812247039988773, 0.018618802855571322, 0.00015601747006660993, 4.756754847964181e-07]
    np.testing.assert_allclose(failed_units_after(10.0, 3, 1e-3, 0.1, crews=1), expected, rtol=1e-10)


def test_series_parallel_blocks_equal_their_closed_form_in_time():
    at_100_h = unit_availability_frac(1e-4, 0.05, 100.0)
    assert series_frac(parallel_frac(at_100_h, at_100_h), at_100_h) == pytest.approx(0.9980133839155637, rel=1e-12)
    new = unit_reliability_frac(1e-4, 1000.0)
    assert series_frac(parallel_frac(new, new), new) == pytest.approx(0.8966432854742459, rel=1e-12)


def test_ieee_493_rules_for_series_and_parallel():
    rate, repair_h = series_rate_and_repair([1.956, 0.0059, 0.0041, 0.0059, 0.0027], [1.32, 95.0, 5.2, 79.3, 4.0])
    assert rate == pytest.approx(1.9746)
    assert rate * repair_h == pytest.approx(3.64241)
    assert parallel_rate_and_repair((2.0, 10.0), (1.0, 30.0)) == pytest.approx((2 * 40 / 8760, 7.5))


def test_unlike_blocks_of_which_two_are_needed():
    a, b, c = 0.9, 0.8, 0.7
    by_hand = a * b * c + a * b * (1 - c) + a * (1 - b) * c + (1 - a) * b * c
    assert at_least_frac(2, [a, b, c]) == pytest.approx(by_hand, rel=1e-14)


def test_every_availability_row_of_the_scoreboard_passes(data_dir):
    rows = list(scoreboard.checks(data_dir))
    assert len(rows) > 1
    assert [row.check for row in rows if row.status != "pass"] == []


def test_a_missing_oracle_is_named(tmp_path):
    (row,) = scoreboard.checks(tmp_path)
    assert (row.status, row.note) == ("skipped", "missing reliability_markov_rbd.json")
