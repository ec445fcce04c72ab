"""Uptime: small cases worked by hand, and what each component costs."""

from math import comb

import numpy as np
import pytest

from power_cooling.availability import solve as availability
from power_cooling.availability.capacity_functions import (
    capacity_by_failed,
    capacity_of_states,
    least_of_groups,
    needed_units_capacity,
)
from power_cooling.availability.solve import RepairableGroups, Subsystem, simulate_availability, solve_availability


def single(name: str, rate: float, repair_h: float, **more) -> Subsystem:
    groups = RepairableGroups(names=(name,), units=1, failures_per_year=rate, repair_h=repair_h, **more)
    return Subsystem(name, groups, capacity_by_failed([1.0, 0.0]))


def unavailability(rate: float, repair_h: float) -> float:
    return rate * repair_h / (8760 + rate * repair_h)


def test_two_units_in_series_are_up_when_both_are():
    result = solve_availability((single("a", 2.0, 10.0), single("b", 1.0, 20.0)), tokens_per_s=1e6)
    up = (1 - unavailability(2, 10)) * (1 - unavailability(1, 20))
    assert result.availability_frac == pytest.approx(up, rel=1e-14)
    assert result.lost_tokens_per_year == pytest.approx((1 - up) * 8760 * 3600 * 1e6, rel=1e-9)
    # Leaves full capacity when either fails while both run.
    assert result.interruptions_per_year == pytest.approx(3.0 * up, rel=1e-12)
    assert result.probability.sum() == pytest.approx(1.0, abs=1e-14)
    assert result.capacity_frac.tolist() == [0.0, 1.0]


def test_a_component_costs_what_its_perfection_would_regain():
    both = solve_availability((single("a", 2.0, 10.0), single("b", 1.0, 40.0)))
    only_b = solve_availability((single("b", 1.0, 40.0),))
    assert both.component_lost_h_per_year[0] == pytest.approx(both.lost_h_per_year - only_b.lost_h_per_year, rel=1e-9)
    assert np.argmax(both.component_lost_h_per_year) == 1
    assert both.component_names == ("a: a", "b: b")


def test_one_more_unit_regains_nearly_all_that_a_lone_unit_costs():
    result = solve_availability((single("a", 2.0, 10.0),))
    u = unavailability(2, 10)
    # With a second unit, only both down at once (independent repair) stops the site.
    assert result.component_gain_h_per_year[0] == pytest.approx(8760 * (u - u**2), rel=1e-9)


def test_capacity_falls_by_steps_with_needed_units():
    assert needed_units_capacity(4, 3).tolist() == [1.0, 1.0, 2 / 3, 1 / 3, 0.0]


def test_least_of_groups_is_the_smallest_of_their_tables():
    look_up = least_of_groups(([1.0, 0.5], [1.0, 1.0, 0.25]))
    assert look_up(np.array([[0, 0], [1, 1], [1, 2], [0, 9]])).tolist() == [1.0, 0.5, 0.25, 0.25]


def test_joint_states_of_a_subsystem_see_the_callback_together():
    seen = []

    def capacity(failed: np.ndarray) -> np.ndarray:
        seen.append(failed.copy())
        return np.where((failed[:, 0] > 0) & (failed[:, 1] > 0), 0.0, 1.0)

    groups = RepairableGroups(names=("a", "b"), units=[1, 1], failures_per_year=[2.0, 1.0], repair_h=[10.0, 40.0])
    result = solve_availability((Subsystem("pair", groups, capacity),))
    assert result.availability_frac == pytest.approx(1 - unavailability(2, 10) * unavailability(1, 40), rel=1e-14)
    assert len(seen) == 1
    assert len(seen[0]) == 4


def test_event_losses_are_counted_once_per_failure():
    quiet = single("a", 2.0, 10.0, event_loss_h=0.5)
    result = solve_availability((quiet,))
    failures = 2.0 * (1 - unavailability(2, 10))
    assert result.event_lost_h_per_year == pytest.approx(0.5 * failures, rel=1e-12)
    assert result.lost_h_per_year == pytest.approx(0.5 * failures + 8760 * unavailability(2, 10), rel=1e-12)


def test_outages_shorter_than_the_ride_through_cost_nothing():
    plain = single("a", 2.0, 1.0)
    ridden = Subsystem("a", plain.groups, plain.capacity_frac, ride_through_s=3600.0)
    # An exponential repair of mean 1 h has e^-1 of its time beyond the first hour.
    assert solve_availability((ridden,)).lost_h_per_year == pytest.approx(
        np.exp(-1) * solve_availability((plain,)).lost_h_per_year, rel=1e-12
    )


def test_maintenance_of_a_lone_unit_costs_its_planned_hours():
    both = single("a", 2.0, 10.0, maintenance_per_year=4.0, maintenance_h=2.0)
    up = (1 - unavailability(2.0, 10.0)) * (1 - 4 * 2 / 8760)
    result = solve_availability((both,))
    assert result.availability_frac == pytest.approx(up, rel=1e-14)
    assert result.planned_lost_h_per_year == pytest.approx(8 * (1 - unavailability(2.0, 10.0)), rel=1e-12)


def test_a_planned_outage_that_costs_next_to_nothing_is_no_interruption():
    def two_boards(lost_by_plan_frac: float):
        groups = RepairableGroups(
            names=("fed twice", "fed once"),
            units=1,
            failures_per_year=[0.0, 2.0],
            repair_h=10.0,
            maintenance_per_year=[4.0, 0.0],
            maintenance_h=[2.0, 0.0],
        )
        one = Subsystem(
            "boards", groups, lambda failed: (1 - lost_by_plan_frac * failed[:, 0]) * (1 - 0.5 * failed[:, 1])
        )
        return solve_availability((one,))

    up, planned = 1 - unavailability(2, 10), 4 * 2 / 8760
    least = availability.ASSUMED_INTERRUPTION_FRAC
    small, large = two_boards(0.9 * least), two_boards(least)
    assert small.interruptions_per_year == pytest.approx(2.0 * up, rel=1e-12)
    assert small.mean_interruption_h == pytest.approx(8760 * (1 - up) / (2.0 * up), rel=1e-12)
    # An outage begins 4 times a year while none is, and either is an interruption where the other is not already.
    assert large.interruptions_per_year == pytest.approx((2.0 * (1 - planned) + 4.0) * up, rel=1e-12)
    # The tokens that it costs are lost all the same.
    assert small.planned_lost_h_per_year == pytest.approx(0.9 * large.planned_lost_h_per_year, rel=1e-9)
    assert small.planned_lost_h_per_year > 0


def pair(capacity_frac, **more) -> Subsystem:
    """Return two lone units that are each maintained 20 h a year."""
    groups = RepairableGroups(
        names=("side a", "side b"),
        units=1,
        failures_per_year=[2.0, 1.0],
        repair_h=[10.0, 40.0],
        maintenance_per_year=2.0,
        maintenance_h=10.0,
    )
    return Subsystem("pair", groups, capacity_frac, **more)


def test_maintenance_of_two_sides_costs_redundancy_and_not_capacity():
    either = pair(lambda failed: np.where(failed.all(axis=1), 0.0, 1.0))
    result = solve_availability((either,))
    a, b, planned = unavailability(2, 10), unavailability(1, 40), 20 / 8760
    # Both down by chance, or one by plan and the other by chance; never both by plan.
    down = (1 - 2 * planned) * a * b + planned * a + planned * b
    assert 1 - result.availability_frac == pytest.approx(down, rel=1e-9)
    calm = solve_availability((Subsystem("pair", unplanned(either.groups), either.capacity_frac),))
    assert 1 - calm.availability_frac == pytest.approx(a * b, rel=1e-9)
    assert result.planned_lost_h_per_year == pytest.approx(result.lost_h_per_year - calm.lost_h_per_year, rel=1e-9)


def unplanned(groups: RepairableGroups) -> RepairableGroups:
    names = ("units", "failures_per_year", "repair_h", "common_cause_frac")
    return RepairableGroups(names=groups.names, **{name: getattr(groups, name) for name in names})


def test_maintenance_without_redundancy_costs_capacity_one_side_after_the_other():
    one_after_the_other = solve_availability((pair(lambda failed: 1 - failed.mean(axis=1)),))
    up = 0.5 * (1 - unavailability(2, 10)) + 0.5 * (1 - unavailability(1, 40))
    # A unit that is in a planned outage cannot be missed twice, so its planned share counts of its own sound time.
    assert one_after_the_other.availability_frac == pytest.approx(up * (1 - 20 / 8760), rel=1e-9)


def test_a_planned_outage_may_be_of_the_unit_that_has_failed():
    groups = RepairableGroups(
        names=("pump",), units=3, failures_per_year=4.0, repair_h=50.0, maintenance_per_year=1.0, maintenance_h=30.0
    )
    result = solve_availability((Subsystem("pumps", groups, capacity_by_failed(needed_units_capacity(3, 2))),))
    q, planned = unavailability(4, 50), 90 / 8760
    # Three independent units, and 90 h a year one of them, whichever, is out beside its own failures.
    two, three = 3 * q**2 * (1 - q), q**3
    short = (1 - planned) * (0.5 * two + three)
    short += planned * (0.5 * 2 * q * (1 - q) + q**2)  # of the other two, one or both
    assert 1 - result.availability_frac == pytest.approx(short, rel=1e-9)


def test_planned_outages_of_more_than_a_year_are_refused():
    with pytest.raises(ValueError, match=r"calendar 0 has planned outages of 1\.14 of a year"):
        RepairableGroups(
            names=("a",), units=10, failures_per_year=1.0, repair_h=1.0, maintenance_per_year=10.0, maintenance_h=100.0
        )


def crowded(crews: int, common_cause_frac: float) -> Subsystem:
    """Return two groups that are broken so often that shared crews are always busy."""
    groups = RepairableGroups(
        names=("a", "b"),
        units=[3, 2],
        failures_per_year=[300.0, 500.0],
        repair_h=[20.0, 5.0],
        common_cause_frac=common_cause_frac,
    )
    return Subsystem("crowded", groups, lambda failed: 1 - failed @ [0.1, 0.3], crews=crews)


@pytest.mark.parametrize("crews", [1, 2, 4])
def test_shared_crews_leave_what_the_closed_network_says(crews):
    result = solve_availability((crowded(crews, 0.0),))
    # Crews that share their time evenly make a closed queueing network (Baskett, Chandy, Muntz, Palacios 1975): the
    # states of independent units, weighted by how many repairs wait for a crew.
    load = np.array([300 * 20, 500 * 5]) / 8760
    states = np.array([(i, j) for i in range(4) for j in range(3)])
    weight = np.array(
        [
            comb(3, i)
            * comb(2, j)
            * load[0] ** i
            * load[1] ** j
            * np.prod([k / min(k, crews) for k in range(1, i + j + 1)])
            for i, j in states
        ]
    )
    left = 1 - states @ [0.1, 0.3]
    assert result.availability_frac == pytest.approx(weight @ left / weight.sum(), rel=1e-10)


@pytest.mark.parametrize(("crews", "common_cause_frac"), [(1, 0.2), (2, 0.05), (0, 0.3)])
def test_shared_crews_balance_the_whole_chain_under_common_causes(crews, common_cause_frac):
    subsystem = crowded(crews, common_cause_frac)
    groups = subsystem.groups
    states = np.array([(i, j) for i in range(4) for j in range(3)])
    row = {tuple(state): i for i, state in enumerate(states)}
    generator = np.zeros((12, 12))
    for i, state in enumerate(states):
        slow = min(1.0, crews / max(state.sum(), 1)) if crews else 1.0
        for g in range(2):
            step, running = np.eye(2, dtype=int)[g], groups.units[g] - state[g]
            rate = groups.failures_per_year[g] / 8760
            if running:
                generator[i, row[tuple(state + step)]] += running * (1 - common_cause_frac) * rate
                generator[i, row[tuple(state + running * step)]] += common_cause_frac * rate
            if state[g]:
                generator[i, row[tuple(state - step)]] += slow * state[g] / groups.repair_h[g]
    np.fill_diagonal(generator, generator.diagonal() - generator.sum(axis=1))
    equations = np.vstack([generator.T, np.ones(12)])
    probability = np.linalg.lstsq(equations, np.append(np.zeros(12), 1.0), rcond=None)[0]
    left = 1 - states @ [0.1, 0.3]
    assert solve_availability((subsystem,)).availability_frac == pytest.approx(probability @ left, rel=1e-10)


@pytest.mark.slow
def test_drawn_years_share_crews_and_follow_the_calendar():
    crew = Subsystem("crowded", replace_plans(crowded(1, 0.1).groups), crowded(1, 0.1).capacity_frac, crews=1)
    exact = solve_availability((crew,))
    draw = simulate_availability((crew,), n_years=1500, rng=np.random.default_rng(11))
    assert abs(draw.availability_frac - exact.availability_frac) < 3.3 * draw.standard_error_frac
    # The planned part must stand out of the scatter, or the line above says nothing about it.
    assert exact.planned_lost_h_per_year / 8760 > 20 * draw.standard_error_frac


def replace_plans(groups: RepairableGroups) -> RepairableGroups:
    names = ("units", "failures_per_year", "repair_h", "common_cause_frac")
    return RepairableGroups(
        names=groups.names,
        maintenance_per_year=[6.0, 20.0],
        maintenance_h=[48.0, 24.0],
        **{name: getattr(groups, name) for name in names},
    )


def test_storage_covers_a_state_as_long_as_the_least_of_what_is_out():
    shared = RepairableGroups(names=("a", "b"), units=1, failures_per_year=[2.0, 3.0], repair_h=[1.0, 2.0])

    def lost_h(**ride) -> float:
        series = Subsystem("s", shared, lambda failed: np.where(failed.any(axis=1), 0.0, 1.0), **ride)
        return solve_availability((series,)).lost_h_per_year

    a, b = unavailability(2, 1), unavailability(3, 2)
    # a alone ends by its repair or by b's failure; whatever b takes part in is not covered.
    beyond = np.exp(-0.5 * (1 / 1 + 3 / 8760))
    expected = 8760 * (a * (1 - b) * beyond + b)
    assert lost_h(ride_through_s=[1800.0, 0.0]) == pytest.approx(expected, rel=1e-9)
    assert lost_h(ride_through_s=[1800.0, 1800.0]) < expected < lost_h()


def test_states_left_out_count_as_no_capacity_and_are_reported():
    groups = RepairableGroups(names=("a", "b"), units=[3, 3], failures_per_year=[50.0, 50.0], repair_h=[100.0, 100.0])
    subsystem = Subsystem("s", groups, lambda failed: np.ones(len(failed)))
    result = solve_availability((subsystem,), max_states=4)
    assert result.unexplored_frac > 0.01
    assert result.availability_frac == pytest.approx(1 - result.unexplored_frac, rel=1e-12)


def three_subsystems() -> tuple[Subsystem, ...]:
    power = RepairableGroups(
        names=("ups", "utility"),
        units=[4, 1],
        failures_per_year=[2.0, 6.0],
        repair_h=[30.0, 2.0],
        common_cause_frac=[0.1, 0.0],
        crews=[1, 1],
    )
    trays = RepairableGroups(names=("tray",), units=60, failures_per_year=1.0, repair_h=40.0, event_loss_h=0.01)
    return (
        Subsystem(
            "power", power, lambda f: np.where(f[:, 1] > 0, 0.0, np.minimum(1, (4 - f[:, 0]) / 3)), ride_through_s=1800
        ),
        Subsystem("compute", trays, capacity_by_failed(needed_units_capacity(60, 58))),
    )


def test_monte_carlo_agrees_with_the_exact_result():
    subsystems = three_subsystems()
    exact = solve_availability(subsystems)
    draw = simulate_availability(subsystems, n_years=3000, rng=np.random.default_rng(5))
    assert abs(draw.availability_frac - exact.availability_frac) < 3.3 * draw.standard_error_frac
    assert draw.standard_error_frac < 0.05 * (1 - exact.availability_frac)  # or the line above says nothing
    assert draw.failures.mean() == pytest.approx(exact.component_failures_per_year.sum(), rel=0.01)  # 70 x 3,000 events
    assert draw.lost_h_p95 > draw.lost_h_mean


def test_the_same_seed_draws_the_same_years():
    subsystems = three_subsystems()
    draws = [simulate_availability(subsystems, n_years=50, rng=np.random.default_rng(3)) for _ in range(2)]
    np.testing.assert_array_equal(draws[0].lost_h, draws[1].lost_h)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"repair_h": 0.0}, r"repair_h\[a\] is 0.0; must be above 0"),
        ({"failures_per_year": -1.0}, r"failures_per_year\[a\] is -1.0; must be at least 0"),
        ({"units": 0}, r"units\[a\] is 0; must be at least 1"),
        ({"common_cause_frac": 2.0}, r"common_cause_frac\[a\] is 2.0; must be in \[0, 1\]"),
    ],
)
def test_a_wrong_component_is_refused_by_name(changes, message):
    given = {"units": 1, "failures_per_year": 1.0, "repair_h": 1.0} | changes
    with pytest.raises(ValueError, match=message):
        RepairableGroups(names=("a",), **given)


def test_a_capacity_above_one_is_refused_with_its_state():
    groups = RepairableGroups(names=("a",), units=1, failures_per_year=1.0, repair_h=1.0)
    with pytest.raises(ValueError, match=r"'s' with \[1\] failed units is 1.5"):
        solve_availability((Subsystem("s", groups, capacity_by_failed([1.0, 1.5])),))


def solved_states():
    """Two feeds of one unit and a plant of three: singles, and both feeds together."""
    failed = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1], [0, 0, 3]]
    return capacity_of_states(failed, [1.0, 0.9, 0.8, 0.1, 0.95, 0.4], [1, 1, 3], cause_members=[[1, 1, 0]])


def test_a_solved_state_is_looked_up_and_others_add_what_their_groups_lose():
    look_up = solved_states()
    asked = np.array([[0, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 2, 0], [1, 1, 1, 0]])
    # The pair of feeds was solved; one feed and one of the plant adds 0.1 + 0.05; two of the plant are not better than
    # three; the pair beside a third failure is not in the table, so what the pair and the third lose adds up.
    assert look_up(asked) == pytest.approx([1.0, 0.1, 0.85, 0.4, 0.05])


def test_one_more_failure_never_raises_the_capacity_of_states_that_were_not_solved():
    failed = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 2, 0], [0, 0, 1], [0, 0, 2], [1, 1, 0], [0, 2, 1], [1, 2, 2]]
    look_up = capacity_of_states(failed, [1.0, 0.95, 1.0, 0.9, 1.0, 0.9, 0.7, 0.6, 0.2], [1, 2, 2])
    states = np.array([(i, j, k) for i in range(2) for j in range(3) for k in range(3)])
    left = {tuple(state): value for state, value in zip(states, look_up(states), strict=True)}
    for state in states:
        for more in np.eye(3, dtype=int):
            if tuple(state + more) in left:
                assert left[tuple(state + more)] <= left[tuple(state)] + 1e-12, state


def test_a_common_cause_takes_all_its_members():
    look_up = solved_states()
    assert look_up(np.array([[0, 0, 0, 1], [1, 0, 0, 1]])) == pytest.approx([0.1, 0.1])


def test_a_shared_cause_costs_its_own_share_of_the_year():
    groups = RepairableGroups(
        names=("feed a", "feed b", "plant", "flood"),
        units=[1, 1, 3, 1],
        failures_per_year=[0.0, 0.0, 0.0, 0.5],
        repair_h=[1.0, 1.0, 1.0, 48.0],
    )
    result = solve_availability((Subsystem("site", groups, solved_states()),))
    assert result.lost_h_per_year == pytest.approx(8760 * 0.9 * unavailability(0.5, 48.0), rel=1e-9)
    assert result.component_lost_h_per_year[:3] == pytest.approx(np.zeros(3), abs=1e-12)


def test_many_components_agree_with_monte_carlo():
    rng = np.random.default_rng(0)
    n = 30
    failed = np.vstack([np.zeros((1, n), dtype=int), np.eye(n, dtype=int)])
    groups = RepairableGroups(
        names=tuple(f"c{i}" for i in range(n)),
        units=1,
        failures_per_year=rng.uniform(0.1, 2.0, n),
        repair_h=rng.uniform(5.0, 50.0, n),
    )
    capacity = capacity_of_states(failed, np.append(1.0, rng.uniform(0.5, 1.0, n)), np.ones(n, dtype=int))
    site = (Subsystem("site", groups, capacity),)
    exact = solve_availability(site)
    draw = simulate_availability(site, n_years=2000, rng=np.random.default_rng(8))
    assert abs(draw.availability_frac - exact.availability_frac) < 3.3 * draw.standard_error_frac
    assert exact.unexplored_frac < 1e-6


def test_plans_that_change_nothing_need_no_states_of_their_own():
    n = 10
    rng = np.random.default_rng(4)
    groups = RepairableGroups(
        names=tuple(f"c{i}" for i in range(n)),
        units=1,
        failures_per_year=rng.uniform(0.5, 2.0, n),
        repair_h=rng.uniform(5.0, 50.0, n),
        maintenance_per_year=2.0,
        maintenance_h=rng.uniform(4.0, 16.0, n),
    )
    singles, partners = np.eye(n, dtype=int), np.eye(n, dtype=int) + np.roll(np.eye(n, dtype=int), 1, axis=1)
    # The first costs by itself, every other only beside its neighbour.
    left = np.concatenate([[1.0], np.append(0.9, np.ones(n - 1)), rng.uniform(0.3, 0.8, n)])
    capacity = capacity_of_states(np.vstack([np.zeros((1, n), dtype=int), singles, partners]), left, np.ones(n, int))
    site = (Subsystem("site", groups, capacity, crews=2),)
    whole, folded = solve_availability(site), solve_availability(site, max_states=1_200)
    assert folded.unexplored_frac < 1e-9
    assert folded.lost_h_per_year == pytest.approx(whole.lost_h_per_year, rel=1e-4)
    assert folded.planned_lost_h_per_year == pytest.approx(whole.planned_lost_h_per_year, rel=1e-3)
    assert folded.interruptions_per_year == pytest.approx(whole.interruptions_per_year, rel=1e-3)
