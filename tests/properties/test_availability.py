"""What must hold for any components: probabilities, order, spares, and the bounds of capacity."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from power_cooling.availability.capacity_functions import least_of_groups, needed_units_capacity
from power_cooling.availability.reliability import failed_units_pmf, k_of_n
from power_cooling.availability.solve import RepairableGroups, Subsystem, solve_availability

pytestmark = pytest.mark.slow

RATE = st.floats(1e-6, 1e-1)
REPAIR = st.floats(1e-3, 1.0)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 40), RATE, REPAIR, st.integers(1, 40), st.floats(0, 1))
def test_state_probabilities_balance_the_flow_out_of_every_state(units, failure, repair, crews, beta):
    pmf = failed_units_pmf(units, failure, repair, crews, beta)
    assert abs(pmf.sum() - 1) < 1e-12
    failed = np.arange(units + 1)
    alone = (units - failed) * (1 - beta) * failure
    mended = np.minimum(failed, crews) * repair
    common = np.where(failed < units, beta * failure, 0.0)
    out = pmf * (alone + mended + common)
    into = np.zeros(units + 1)
    into[1:] += pmf[:-1] * alone[:-1]
    into[:-1] += pmf[1:] * mended[1:]
    into[-1] += (pmf * common).sum()
    np.testing.assert_allclose(into, out, rtol=1e-9, atol=1e-300)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.data(), RATE, REPAIR)
def test_a_spare_or_a_faster_repair_never_lowers_availability(units, data, failure, repair):
    needed = data.draw(st.integers(1, units))
    plain = k_of_n(units, needed, failure, repair).unavailability_frac
    assert k_of_n(units + 1, needed, failure, repair).unavailability_frac <= plain * (1 + 1e-9)
    assert k_of_n(units, needed, failure, 2 * repair).unavailability_frac <= plain * (1 + 1e-9)
    assert k_of_n(units, needed, failure, repair, crews=1).unavailability_frac >= plain * (1 - 1e-9)


def random_subsystems(seed: int) -> tuple[Subsystem, ...]:
    rng = np.random.default_rng(seed)
    subsystems = []
    for s in range(int(rng.integers(1, 4))):
        n_groups = int(rng.integers(1, 4))
        units = rng.integers(1, 6, n_groups)
        groups = RepairableGroups(
            names=tuple(f"g{g}" for g in range(n_groups)),
            units=units,
            failures_per_year=rng.uniform(0.01, 20, n_groups),
            repair_h=rng.uniform(0.5, 60, n_groups),
            common_cause_frac=rng.uniform(0, 0.2, n_groups),
            crews=rng.integers(0, 3, n_groups),
            event_loss_h=rng.uniform(0, 0.1, n_groups),
        )
        tables = tuple(needed_units_capacity(int(n), int(rng.integers(1, n + 1))) for n in units)
        subsystems.append(
            Subsystem(f"s{s}", groups, least_of_groups(tables), ride_through_s=float(rng.uniform(0, 600)))
        )
    return tuple(subsystems)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_figures_stay_in_their_bounds(seed):
    subsystems = random_subsystems(seed)
    result = solve_availability(subsystems)
    assert 0 <= result.availability_frac <= 1
    assert abs(result.probability.sum() - 1) < 1e-9
    assert np.all(result.component_lost_h_per_year >= 0)
    assert np.all(result.component_gain_h_per_year <= result.component_lost_h_per_year + 1e-9)
    assert np.all(result.component_lost_h_per_year <= result.lost_h_per_year + 1e-9)
    # The site is never better than its weakest subsystem.
    state_h = result.lost_h_per_year - result.event_lost_h_per_year
    assert 1 - state_h / 8760 <= result.subsystem_availability_frac.min() + 1e-12
    mean = float(result.capacity_frac @ result.probability)
    np.testing.assert_allclose(8760 * (1 - mean), state_h, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_the_order_of_subsystems_and_groups_does_not_matter(seed):
    subsystems = random_subsystems(seed)
    plain, turned = solve_availability(subsystems), solve_availability(subsystems[::-1])
    np.testing.assert_allclose(turned.lost_h_per_year, plain.lost_h_per_year, rtol=1e-9)
    place = {name: i for i, name in enumerate(turned.component_names)}
    order = [place[name] for name in plain.component_names]
    np.testing.assert_allclose(turned.component_lost_h_per_year[order], plain.component_lost_h_per_year, atol=1e-8)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(1.01, 5))
def test_more_frequent_failures_never_raise_availability(seed, factor):
    subsystems = random_subsystems(seed)
    first = subsystems[0]
    names = ("units", "repair_h", "common_cause_frac", "crews", "event_loss_h")
    worse = RepairableGroups(
        names=first.groups.names,
        failures_per_year=first.groups.failures_per_year * factor,
        **{name: getattr(first.groups, name) for name in names},
    )
    # Without ride-through: more failures cut degraded states into shorter pieces, which storage covers better.
    plain = Subsystem(first.name, first.groups, first.capacity_frac)
    changed = Subsystem(first.name, worse, first.capacity_frac)
    rest = subsystems[1:]
    before, after = solve_availability((plain, *rest)), solve_availability((changed, *rest))
    lost_before = before.lost_h_per_year - before.event_lost_h_per_year
    lost_after = after.lost_h_per_year - after.event_lost_h_per_year
    assert lost_after >= lost_before - 1e-9
