"""Uptime of a layout from solved states: exact distribution, gains, drawn years and what a page shows."""

from dataclasses import replace

import numpy as np
import pytest

from power_cooling.availability.solve import ASSUMED_INTERRUPTION_FRAC, simulate_availability, solve_availability
from power_cooling.electrical.feed_tree import RackLinks, feed_tree
from power_cooling.site_arrays import SiteFeeds
from twin.core.failures import uptime
from twin.core.failures.serving_losses import ServingLoss
from twin.core.failures.uptime import Component, State, Uptime, failure_states, group_text, subsystems_of
from twin.core.results import availability as kept
from twin.core.results.availability import availability
from twin.core.results.details import CapacityLevel

CDUS = Component("Loop 1", "CDUs: Loop 1", "cdus", 0, 4, 0.5, 20.0)
UPS_A = Component("UPS A", "ups: UPS", "feed", 0, 1, 0.2, 10.0)
UPS_B = Component("UPS B", "ups: UPS", "feed", 1, 1, 0.2, 10.0)
BUSWAY = Component("Busway", "busway: Busway", "feed", 2, 1, 0.1, 12.0)
# 900 trays, each out twice a year for one and a half hours
TRAYS = [ServingLoss("tray", "Trays", 1800.0, 2 * 1.5 / 8760, 0.0, 0.0, False)]


def capacity_of(states: list[State], found: list[Component]) -> np.ndarray:
    """Return a described capacity: one CDU of four is spare, either UPS carries all, nothing runs without a busway."""
    left = []
    for state in states:
        out = {found[which].name: units for which, units in state.out}
        capacity = min(1.0, (4 - out.get("Loop 1", 0)) / 3)
        if "Busway" in out or {"UPS A", "UPS B"} <= out.keys():
            capacity = 0.0
        left.append(capacity)
    return np.array(left)


def solved(found: list[Component], trays: list[ServingLoss], *, n_years: int = 500) -> Uptime:
    states = failure_states(found)
    capacity = capacity_of(states, found)
    subsystems, kept = subsystems_of(found, states, capacity, trays)
    long_run = solve_availability(subsystems)
    lost = np.zeros(len(found))
    for state, left in zip(states, capacity, strict=True):
        for which, _ in state.out:
            lost[which] += state.probability * (1 - left) / len(state.out)
    gain = np.zeros(len(found))
    gain[kept] = long_run.component_gain_h_per_year[: kept.size] / 8760
    return Uptime(
        components=found,
        states=states,
        capacity_frac=capacity,
        serving_losses=trays,
        long_run=long_run,
        years=simulate_availability(subsystems, n_years=n_years, rng=np.random.default_rng(3)),
        lost_by_component_frac=lost,
        one_more_gain_frac=gain,
        covered_s=np.zeros(len(found)),
        repair_crews=0,
        converged=True,
    )


ALL = [CDUS, UPS_A, UPS_B, BUSWAY]


def test_a_single_component_is_as_available_as_its_rate_and_repair_say():
    alone = solved([BUSWAY], [])
    down = 0.1 * 12 / (8760 + 0.1 * 12)
    assert alone.availability_frac == pytest.approx(1 - down, rel=1e-12)  # closed form: alternating renewal
    assert alone.long_run.interruptions_per_year == pytest.approx(0.1 * (1 - down), rel=1e-12)


def test_the_sum_over_states_agrees_with_the_exact_value_to_second_order():
    both = solved(ALL, [])
    exact = 1 - both.availability_frac
    # Products of three unavailabilities of some 1e-3 are left out of the sum.
    assert both.lost_by_component_frac.sum() == pytest.approx(exact, rel=5e-3)


def test_states_of_a_component_hold_all_of_its_chain():
    chance = CDUS.failed_units_pmf()
    states = [state for state in failure_states([CDUS]) if state.out[0][0] == 0]
    assert sum(state.probability for state in states) == pytest.approx(1 - chance[0], rel=1e-12)
    assert [state.out[0][1] for state in states] == [1, 2, 3, 4]


def test_many_units_are_solved_for_one_two_and_all_of_them():
    many = replace(CDUS, n=40)
    states = failure_states([many])
    assert [state.out[0][1] for state in states] == [1, 2, 40]
    assert sum(state.probability for state in states) == pytest.approx(1 - many.failed_units_pmf()[0], rel=1e-12)


def test_a_generator_that_fails_to_start_is_down_longer_but_not_more_often():
    starts = Component("Generators", "generator: G", "feed", 0, 1, 0.3, 30.0)
    fails = replace(starts, start_failure_frac=0.01)
    assert starts.outage_h == pytest.approx(30.0, rel=1e-12)
    assert 1 - fails.failed_units_pmf()[0] == pytest.approx(fails.unavailability_frac, rel=1e-9)
    assert fails.outage_h > starts.outage_h


def test_a_common_cause_takes_both_feeds_of_a_group():
    feeds = [UPS_A, UPS_B]
    lost = 1 - solved(feeds, []).availability_frac
    q = UPS_A.unavailability_frac
    # Both at once by chance is q², by one cause 5 % of q: the cause rules.
    assert lost == pytest.approx(uptime.ASSUMED_COMMON_CAUSE_FRAC * q + q**2, rel=1e-3)


def test_accelerators_cost_tokens_but_do_not_interrupt():
    without, with_trays = solved(ALL, []), solved(ALL, TRAYS)
    share = 900 * 2.0 * 1.5 / 900 / 8760
    # Of 1,800 failures a year two overlap within a microhour with a chance of 2e-7.
    assert without.availability_frac - with_trays.availability_frac == pytest.approx(share, rel=1e-6)
    assert with_trays.long_run.interruptions_per_year == pytest.approx(without.long_run.interruptions_per_year)


def test_components_that_cost_nothing_are_left_out_and_change_nothing():
    spare = Component("Spare", "air units: Hall", "air_units", 0, 3, 1.0, 40.0)
    found = [*ALL, spare]
    states = failure_states(found)
    _, kept = subsystems_of(found, states, capacity_of(states, found), TRAYS)
    assert 4 not in kept
    assert solved(found, TRAYS).availability_frac == pytest.approx(solved(ALL, TRAYS).availability_frac, rel=1e-14)


def test_a_layout_in_which_nothing_costs_a_token_is_always_available():
    spare = Component("Spare", "air units: Hall", "air_units", 0, 3, 1.0, 40.0)
    calm = solved([spare], [])
    assert calm.availability_frac == 1.0
    levels = availability(calm, 1e12, "1 % weather").capacity_distribution
    assert levels == (CapacityLevel(1.0, 1.0, 8760.0),)


def test_drawn_years_agree_with_the_exact_value():
    drawn = solved(ALL, TRAYS, n_years=2000)
    error = abs(drawn.years.availability_frac - drawn.availability_frac)
    assert error < 3.3 * drawn.years.standard_error_frac  # 99.9 % of draws; this seed is one of them


def test_one_more_unit_gains_no_more_than_its_component_loses():
    both = solved(ALL, TRAYS)
    regained = both.long_run.component_lost_h_per_year[: len(ALL)] / 8760
    assert np.all(both.one_more_gain_frac >= 0)
    assert np.all(both.one_more_gain_frac <= regained * (1 + 1e-9) + 1e-15)
    assert both.one_more_gain_frac[3] > 0.9 * BUSWAY.unavailability_frac  # the only single point of failure


def test_the_shown_distribution_sums_to_one_and_falls(monkeypatch):
    both = solved(ALL, TRAYS)
    for shown in (kept.N_SHOWN_LEVELS, 2):
        monkeypatch.setattr(kept, "N_SHOWN_LEVELS", shown)
        rows = kept.capacity_distribution(both)
        levels = [row.capacity_frac for row in rows]
        assert len(rows) <= shown
        assert sum(row.probability for row in rows) == pytest.approx(1.0, abs=1e-12)
        assert levels == sorted(levels, reverse=True)
        assert levels[0] == 1.0


def test_what_a_run_keeps_scales_with_its_tokens():
    both = solved(ALL, TRAYS)
    one, ten = availability(both, 1e12, ""), availability(both, 1e13, "")
    assert {group.name for group in one.groups} == {group.name for group in ten.groups}
    for key in ("lost_tokens_per_year", "lost_tokens_p95_per_year"):
        assert getattr(ten, key) == pytest.approx(10 * getattr(one, key))
    assert one.lost_tokens_p95_per_year > one.lost_tokens_per_year > 0
    assert one.standard_error_frac > 0
    assert one.interruptions_per_year > 0
    assert one.interruption_frac == ASSUMED_INTERRUPTION_FRAC


def test_single_failures_are_ranked_worst_first():
    rows = kept.single_failures(solved(ALL, []), 1e6)
    assert rows[0].object == "Busway"
    assert [row.capacity_frac for row in rows] == sorted(row.capacity_frac for row in rows)
    assert "costs no tokens" in rows[-1].message


def test_a_utility_without_any_of_its_generators_is_solved():
    utility = Component("Utility", "utility: Utility", "feed", 0, 1, 2.0, 3.0)
    generators = Component("Generators", "generator: Standby", "feed", 1, 5, 0.3, 30.0, 0.005)
    states = failure_states([utility, generators])
    dark = [state for state in states if state.out == ((0, 1), (1, 5))]
    chance = utility.unavailability_frac * generators.failed_units_pmf()[5]
    assert [state.probability for state in dark] == [pytest.approx(chance, rel=1e-9)]
    # Four of five generators carry the site; the exact distribution must find the dark hours, which no part has alone.
    capacity = np.array([0.0 if len(s.out) == 2 and s.out[1][1] > 1 else 1.0 for s in states])
    subsystems, _ = subsystems_of([utility, generators], states, capacity, [])
    lost = 1 - solve_availability(subsystems).availability_frac
    expected = utility.unavailability_frac * generators.failed_units_pmf()[2:].sum()
    assert lost == pytest.approx(expected, rel=1e-9)


def served(found: list[Component], planned: bool) -> float:
    """Return the availability with two weeks a year of planned outages of everything, or none."""
    days = 14.0 if planned else 0.0
    return solved([replace(c, maintenance_per_year=days, maintenance_h=24.0) for c in found], []).availability_frac


def test_planned_outages_of_two_sides_cost_redundancy_and_of_one_its_capacity():
    days = 14 / 365
    lost = served([UPS_A, UPS_B], planned=False) - served([UPS_A, UPS_B], planned=True)
    q = UPS_A.unavailability_frac
    # Never both sides by plan: one by plan while the other has failed, or by the cause that takes both.
    assert lost == pytest.approx(2 * days * q * (1 - q), rel=0.02)
    assert lost < 1e-4 < days**2
    lone = served([BUSWAY], planned=False) - served([BUSWAY], planned=True)
    assert lone == pytest.approx(days * (1 - BUSWAY.unavailability_frac), rel=1e-9)


def test_the_sum_over_states_counts_planned_outages_too():
    found = [replace(c, maintenance_per_year=2.0, maintenance_h=8.0) for c in ALL]
    both = solved(found, [])
    assert both.lost_by_component_frac.sum() == pytest.approx(1 - both.availability_frac, rel=5e-3)


def test_units_out_hold_failures_and_what_is_out_by_plan():
    pumps = Component("Pumps", "pumps", "pumps", 0, 2, 0.5, 20.0, maintenance_per_year=4.0, maintenance_h=10.0)
    failed, p = pumps.failed_units_pmf(), 80 / 8760
    out = pumps.units_out_pmf()
    assert out.sum() == pytest.approx(1.0, rel=1e-12)
    assert out[0] == pytest.approx((1 - p) * failed[0], rel=1e-12)
    # By plan the one that runs, or the one that has failed, with the same chance.
    assert out[2] == pytest.approx((1 - p) * failed[2] + p * (failed[2] + 0.5 * failed[1]), rel=1e-12)


def test_components_that_back_each_other_up_share_a_calendar_and_others_fill_their_own():
    busy = [replace(c, maintenance_per_year=100.0, maintenance_h=16.0) for c in (UPS_A, BUSWAY, UPS_B)]
    # 1,600 h each: both UPS fill 0.37 of a year, beside which the busway's do not fit into half of it.
    assert uptime.calendars(busy) == [0, 1, 0]
    assert uptime.calendars(ALL) == [0, 0, 0, 0]


def test_storage_and_crews_of_the_site_reach_its_groups():
    found = [replace(BUSWAY, failures_per_year=20.0), replace(UPS_A, failures_per_year=300.0, group="other")]
    states = failure_states(found)
    left = np.array([0.5 if len(state.out) == 1 else 0.0 for state in states])

    def lost_frac(**more) -> float:
        subsystems, _ = subsystems_of(found, states, left, [], **more)
        return 1 - solve_availability(subsystems).availability_frac

    # Two units never wait for a second crew.
    assert lost_frac(crews=2) == pytest.approx(lost_frac(), rel=1e-12)
    assert lost_frac(crews=1) > 1.03 * lost_frac()
    assert lost_frac(covered_s=np.array([3600.0, 3600.0])) < 0.95 * lost_frac()


def test_the_two_sides_of_a_layout_are_solved_across_their_groups():
    kinds = {"Utility": "utility", "UPS A": "ups", "UPS B": "ups", "Busway A": "busway"}
    names = list(kinds)
    tree = feed_tree(
        names=names, kinds=list(kinds.values()), parents=[None, "Utility", "Utility", "UPS A"], rating_w=1e6
    )
    found = [Component(name, f"{kinds[name]}: {name}", "feed", tree.index(name), 1, 1.0, 50.0) for name in names]
    sides = RackLinks(
        2,
        np.array([0, 0, 1]),
        np.array([tree.index(n) for n in ("Busway A", "UPS B", "UPS B")]),
        np.array([0.5, 0.5, 1.0]),
        np.zeros(3),
    )
    none = np.zeros(0, dtype=np.int64)
    feeds = SiteFeeds(tree, sides, none, none, none)
    apart = {tuple(found[which].name for which, _ in state.out) for state in failure_states(found, feeds)}
    pairs = {pair for pair in apart if len(pair) == 2}
    # The busway hangs on UPS A and everything on the utility: those pairs lose what one of them loses.
    assert pairs == {("UPS A", "UPS B"), ("UPS B", "Busway A")}


@pytest.mark.parametrize(
    ("group", "name", "text"),
    [
        ("ups: UPS", "UPS A", "UPS"),
        ("ups: A", "UPS A1", "UPS: A"),
        ("transformer: Transformers", "T1", "Transformers"),
        ("switchboard: A", "MSB 1", "Switchboard: A"),
        ("CDUs: Loop 1", "Loop 1", "CDUs: Loop 1"),
        ("air units: Hall", "Air units of Hall", "Air units: Hall"),
        ("pumps of west", "Pumps of West", "Pumps of West"),
    ],
)
def test_groups_are_called_what_is_drawn(group, name, text):
    assert group_text(Component(name, group, "feed", 0, 1, 0.1, 1.0)) == text
