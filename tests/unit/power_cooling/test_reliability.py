"""Groups of alike units and blocks of unlike ones, against chains and products worked by hand."""

import numpy as np
import pytest

from power_cooling.availability.reliability import (
    at_least_frac,
    failed_units_after,
    failed_units_pmf,
    k_of_n,
    parallel_frac,
    parallel_rate_and_repair,
    series_frac,
    series_rate_and_repair,
    unit_availability_frac,
    unit_reliability_frac,
)

FAILURE, REPAIR = 1e-3, 0.1  # per hour; a unit is down 1/101 of the time
DOWN = FAILURE / (FAILURE + REPAIR)


def test_independent_units_with_a_crew_each_are_binomial():
    pmf = failed_units_pmf(3, FAILURE, REPAIR)
    assert pmf == pytest.approx([(1 - DOWN) ** 3, 3 * DOWN * (1 - DOWN) ** 2, 3 * DOWN**2 * (1 - DOWN), DOWN**3])


def test_one_crew_repairs_one_unit_at_a_time():
    # cuts of the chain: p1 = p0 2λ/μ, p2 = p1 λ/μ
    ratio = FAILURE / REPAIR
    weights = np.array([1.0, 2 * ratio, 2 * ratio**2])
    assert failed_units_pmf(2, FAILURE, REPAIR, crews=1) == pytest.approx(weights / weights.sum())


def test_many_more_failures_than_repairs_stay_numbers():
    pmf = failed_units_pmf(400, 1.0, 1e-3, crews=1)
    assert pmf.sum() == pytest.approx(1.0)
    assert np.isfinite(pmf).all()


def test_a_common_cause_takes_the_whole_group():
    alone, shared = (k_of_n(2, 1, FAILURE, REPAIR, common_cause_frac=beta) for beta in (0.0, 0.1))
    assert alone.unavailability_frac == pytest.approx(DOWN**2)
    assert shared.unavailability_frac > 0.1 * FAILURE / (2 * REPAIR)  # both repaired at once take half as long


def test_a_group_is_out_when_too_few_run():
    group = k_of_n(3, 2, FAILURE, REPAIR)
    down = 3 * DOWN**2 * (1 - DOWN) + DOWN**3
    assert group.unavailability_frac == pytest.approx(down)
    assert group.availability_frac == pytest.approx(1 - down)
    # It goes out when one of the two left fails while one is down.
    assert group.failures_per_h == pytest.approx(3 * DOWN * (1 - DOWN) ** 2 * 2 * FAILURE)
    assert group.mean_outage_h == pytest.approx(down / group.failures_per_h)
    assert group.expected_capacity_frac == pytest.approx(1 - 0.5 * 3 * DOWN**2 * (1 - DOWN) - DOWN**3)
    assert k_of_n(2, 1, 0.0, REPAIR).mean_outage_h == 0.0


def test_a_state_in_time_begins_as_it_was_and_ends_in_the_steady_state():
    assert failed_units_after(0.0, 2, FAILURE, REPAIR, failed_at_start=1) == pytest.approx([0.0, 1.0, 0.0])
    assert failed_units_after(1e4, 2, FAILURE, REPAIR) == pytest.approx(failed_units_pmf(2, FAILURE, REPAIR))
    one = failed_units_after(5.0, 1, FAILURE, REPAIR)
    assert one[0] == pytest.approx(float(unit_availability_frac(FAILURE, REPAIR, 5.0)))
    at_once = failed_units_after(1e-3, 3, FAILURE, REPAIR, common_cause_frac=1.0)
    assert at_once[3] == pytest.approx(1e-3 * FAILURE, rel=1e-3)
    assert at_once[1] == pytest.approx(0.0, abs=1e-9)


def test_blocks_in_series_and_parallel_multiply():
    assert series_frac(0.9, 0.8) == pytest.approx(0.72)
    assert parallel_frac(0.9, 0.8) == pytest.approx(0.98)
    assert unit_reliability_frac(1e-4, 1e4) == pytest.approx(np.exp(-1))
    assert unit_availability_frac(FAILURE, REPAIR) == pytest.approx(1 - DOWN)


def test_some_of_unlike_blocks_are_needed():
    blocks = np.array([0.9, 0.8, 0.7])
    two = 0.9 * 0.8 * 0.3 + 0.9 * 0.2 * 0.7 + 0.1 * 0.8 * 0.7 + 0.9 * 0.8 * 0.7
    assert at_least_frac(2, blocks) == pytest.approx(two)
    assert at_least_frac(1, np.stack([blocks, blocks])) == pytest.approx([1 - 0.1 * 0.2 * 0.3] * 2)


def test_rates_and_repairs_of_blocks_follow_ieee_493():
    assert series_rate_and_repair([2.0, 1.0], [10.0, 40.0]) == pytest.approx((3.0, 20.0))
    assert series_rate_and_repair([0.0], [5.0]) == (0.0, 0.0)
    assert parallel_rate_and_repair((2.0, 10.0), (1.0, 30.0)) == pytest.approx((2 * 40 / 8760, 7.5))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: failed_units_pmf(0, FAILURE, REPAIR), "a group has 0 units and 0 crews; both must be at least 1"),
        (lambda: failed_units_pmf(2, -1.0, REPAIR), "failure_rate_per_h is -1; must be at least 0"),
        (lambda: failed_units_pmf(2, FAILURE, 0.0), "repair_rate_per_h is 0; must be greater than 0"),
        (lambda: failed_units_pmf(2, FAILURE, REPAIR, None, 2.0), r"common_cause_frac is 2; must be in \[0, 1\]"),
        (lambda: k_of_n(2, 3, FAILURE, REPAIR), "needed is 3; must be between 1 and units 2"),
        (lambda: at_least_frac(0, [0.5]), "needed is 0; must be between 1 and the number of blocks 1"),
        (lambda: failed_units_after(-1.0, 2, FAILURE, REPAIR), "time_h is -1 and failed_at_start 0"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
