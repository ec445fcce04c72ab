"""What must hold for any feeds: balances close, order does not matter, failures never add capacity."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from power_cooling.electrical.feed_tree import FeedTree, RackLinks, feed_losses, feed_tree, rack_links, rack_loads
from power_cooling.electrical.load_flow import line, radial_network, solve_load_flow
from power_cooling.electrical.loss_curves import curve_from_efficiency
from power_cooling.electrical.redundancy import failure_capacity, failure_states

pytestmark = [pytest.mark.slow, pytest.mark.compiled]


def random_site(seed: int, rating: tuple[float, float] = (0.3, 2.0)) -> tuple[FeedTree, RackLinks, np.ndarray]:
    """Return random feeds with standby parents and pooled units, and racks on one to three of them."""
    rng = np.random.default_rng(seed)
    n, n_racks = int(rng.integers(4, 15)), int(rng.integers(1, 9))
    parents = [None, None, *(f"n{rng.integers(0, i)}" for i in range(2, n))]
    standby = [None, None, *(f"n{rng.integers(0, i)}" if rng.random() < 0.3 else None for i in range(2, n))]
    standby = [None if s == p else s for s, p in zip(standby, parents, strict=True)]
    order = rng.permutation(n)
    tree = feed_tree(
        names=[f"n{i}" for i in order],
        kinds=["utility" if i < 2 else "ups" if i % 3 else "busway" for i in order],
        parents=[parents[i] for i in order],
        standby_parents=[standby[i] for i in order],
        rating_w=rng.uniform(*rating, n) * 1e5 * n_racks,
        no_load_loss_frac=rng.uniform(0, 0.02, n),
        proportional_loss_frac=rng.uniform(0, 0.02, n),
        square_loss_frac=rng.uniform(0, 0.03, n),
        units=rng.integers(1, 4, n),
    )
    feeds = [rng.choice(n, size=min(n, int(rng.integers(1, 4))), replace=False) for _ in range(n_racks)]
    links = rack_links(
        tree,
        rack_index=np.repeat(np.arange(n_racks), [len(f) for f in feeds]),
        node_names=[f"n{i}" for f in feeds for i in f],
        n_racks=n_racks,
    )
    return tree, links, rng.uniform(0.2e5, 1e5, n_racks)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_power_balances_close_for_any_feeds_and_failures(seed):
    tree, links, power = random_site(seed)
    rng = np.random.default_rng(seed + 1)
    failed = rng.integers(0, tree.units + 1, (7, tree.n_nodes)) * (rng.random((7, tree.n_nodes)) < 0.3)
    demand = np.tile(power, (7, 1))
    loads = rack_loads(tree, links, demand, failed)
    result = feed_losses(tree, loads.load_w, failed)
    served = demand.sum(axis=1) - loads.lost_w.sum(axis=1)
    drawn = result.source_w.sum(axis=1)
    np.testing.assert_allclose(drawn, served + result.node_loss_w.sum(axis=1), rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(loads.load_w.sum(axis=1), served, rtol=1e-12, atol=1e-6)
    assert np.all(result.unserved_w <= 1e-6)
    assert np.all(result.node_loss_w >= 0)
    assert np.all(result.closure_rel <= 1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_the_order_of_racks_and_elements_does_not_matter(seed):
    tree, links, power = random_site(seed)
    rng = np.random.default_rng(seed)
    elements, racks = rng.permutation(5), rng.permutation(links.n_racks)
    demand = power * rng.uniform(0, 1, (5, 1))
    plain = feed_losses(tree, rack_loads(tree, links, demand).load_w)
    new_place = np.argsort(racks)
    moved = rack_links(
        tree,
        rack_index=new_place[links.rack_index],
        node_names=[tree.names[i] for i in links.node_index],
        n_racks=links.n_racks,
    )
    mixed = feed_losses(tree, rack_loads(tree, moved, demand[elements][:, racks]).load_w)
    np.testing.assert_allclose(mixed.meter_w, plain.meter_w[elements], rtol=1e-12)  # order of additions


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_one_more_failure_never_raises_capacity(seed):
    tree, links, power = random_site(seed)
    states = failure_states(tree)
    answer = failure_capacity(tree, links, power, states)
    single = {int(states.first[i]): i for i in range(states.first.size) if states.second[i] < 0}
    tolerance = 2e-6  # the fill stops within 1e-6 of a limit; served shares are stored in single precision
    for i in range(1, states.first.size):
        fewer = [0] if states.second[i] < 0 else [single[int(states.first[i])], single[int(states.second[i])]]
        assert all(answer.capacity_frac[i] <= answer.capacity_frac[j] + tolerance for j in fewer)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
@example(45)  # losses alone all but fill a limit: racks are served a thousandth
def test_capped_racks_leave_no_feed_over_its_limit_and_none_could_rise_alone(seed):
    tree, links, power = random_site(seed, rating=(0.1, 1.0))
    states = failure_states(tree, order=1)
    answer = failure_capacity(tree, links, power, states)
    # Feeds that losses alone overload are open in the answer, so they are here: capping cannot relieve them.
    failed = answer.units_out(tree, states)
    served = answer.class_served_frac[:, answer.rack_class].astype(float)
    result = feed_losses(tree, rack_loads(tree, links, served * power, failed).load_w, failed)
    # Single precision of the stored shares.
    assert np.all(result.load_frac <= 1 + 1e-5)
    for rack in range(links.n_racks):
        capped = (served[:, rack] < 1 - 1e-4) & (served[:, rack] > 0)
        more = served.copy()
        # A thousandth of the rack's whole power: a share of a rack that is all but off would fit into the millionth of
        # a rating that the fill leaves.
        more[:, rack] += 1e-3
        risen = feed_losses(tree, rack_loads(tree, links, more * power, failed).load_w, failed)
        assert np.all((risen.load_frac > 1).any(axis=1)[capped])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_load_flow_closes_and_loses_more_at_more_load(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 12))
    lines = [line(f"b{i}", f"b{rng.integers(0, i)}", 415.0, *rng.uniform(1e-4, 2e-3, 2)) for i in range(1, n)]
    network = radial_network("b0", 415.0, lines)
    p = rng.uniform(0, 2e4, n) * np.array([[0.5], [1.0]])
    result = solve_load_flow(network, p, 0.3 * p)
    assert not result.collapsed.any()
    assert np.all(result.closure_rel < 1e-9)
    assert np.all(result.loss_w[1, 1:] >= result.loss_w[0, 1:])


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 0.05), st.floats(0, 0.05), st.floats(0, 0.1))
def test_a_fitted_curve_never_gains_and_loses_more_at_more_load(a, b, c):
    load = np.array([0.1, 0.25, 0.5, 0.75, 1.0])
    efficiency = load / (load + a + b * load + c * load**2)
    curve = curve_from_efficiency(load, efficiency)
    fine = np.linspace(0, 1.5, 40)
    assert np.all(np.diff(curve.loss_frac(fine)) >= 0)
    assert np.all(curve.efficiency_frac(fine) <= 1)
    assert curve.worst_efficiency_error_frac < 1e-7
