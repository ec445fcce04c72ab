"""Drawn years against what their law says: stretches in order, their share of time, and what shared hours cost."""

import numpy as np
import pytest

from power_cooling.availability.capacity_functions import capacity_by_failed
from power_cooling.availability.draws import draw_shortages, draw_years
from power_cooling.availability.repairable import RepairableGroups, Subsystem
from power_cooling.availability.states import tabulate

N_YEARS = 4000


def table(rate: float, repair_h: float, name: str = "a", **more):
    ride_s = more.pop("ride_through_s", 0.0)
    groups = RepairableGroups(names=(name,), units=1, failures_per_year=rate, repair_h=repair_h, **more)
    return tabulate(Subsystem(name, groups, capacity_by_failed([1.0, 0.0]), ride_through_s=ride_s), 1000)


def test_stretches_follow_one_another_within_their_years():
    spans, missing_frac, failures = draw_shortages(table(20.0, 30.0), 50, np.random.default_rng(1))
    assert np.all(missing_frac == 1.0)
    assert np.all((spans.start_h >= 0) & (spans.end_h <= 8760) & (spans.end_h > spans.start_h))
    same = np.diff(spans.year) == 0
    assert np.all(np.diff(spans.year) >= 0)
    assert np.all(spans.start_h[1:][same] >= spans.end_h[:-1][same])
    assert failures.shape == (50, 1)


def test_failures_and_lost_hours_are_those_of_the_law():
    lost_h, failures = draw_years([table(2.0, 40.0)], N_YEARS, np.random.default_rng(2))
    down = 80.0 / (8760 + 80.0)
    # 5 standard errors of the mean of what was drawn
    assert lost_h.mean() == pytest.approx(8760 * down, abs=5 * lost_h.std() / np.sqrt(N_YEARS))
    assert failures.mean() == pytest.approx(2.0 * (1 - down), abs=5 * failures.std() / np.sqrt(N_YEARS))


def test_hours_that_two_subsystems_miss_together_count_once():
    parts = [table(200.0, 20.0, "a"), table(200.0, 20.0, "b")]
    lost_h, _ = draw_years(parts, 500, np.random.default_rng(3))
    up = 8760 / (8760 + 4000)
    assert lost_h.mean() == pytest.approx(8760 * (1 - up**2), abs=5 * lost_h.std() / np.sqrt(500))


def test_storage_shortens_each_stretch_by_what_it_covers():
    bare, _, _ = draw_shortages(table(20.0, 30.0), 200, np.random.default_rng(4))
    ridden, _, _ = draw_shortages(table(20.0, 30.0, ride_through_s=3600.0), 200, np.random.default_rng(4))
    bare_h, ridden_h = bare.end_h - bare.start_h, ridden.end_h - ridden.start_h
    assert ridden_h == pytest.approx(bare_h[bare_h > 1.0] - 1.0)


def test_planned_outages_are_drawn_where_they_cost_by_themselves():
    planned = table(0.0, 1.0, maintenance_per_year=4.0, maintenance_h=10.0)
    lost_h, failures = draw_years([planned], N_YEARS, np.random.default_rng(5))
    assert not failures.any()
    assert lost_h.mean() == pytest.approx(40.0, abs=5 * lost_h.std() / np.sqrt(N_YEARS))


def test_nothing_that_can_fail_loses_nothing():
    lost_h, failures = draw_years([], 3, np.random.default_rng(6))
    assert lost_h.tolist() == [0.0, 0.0, 0.0]
    assert failures.tolist() == [0, 0, 0]


def test_the_same_seed_draws_the_same_years():
    one, two = (draw_years([table(2.0, 40.0)], 20, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one[0], two[0])
