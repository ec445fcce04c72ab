"""Part-load losses and failures of a feed tree, against values worked by hand."""

import numpy as np
import pytest

from power_cooling.electrical.feed_tree import (
    FeedTree,
    feed_losses,
    feed_tree,
    live_nodes,
    rack_links,
    rack_loads,
    stand_ins,
)


def two_sided(**changes) -> FeedTree:
    """A 2N hall: one utility, a UPS and a busway on each side, a generator behind the utility."""
    description = {
        "names": ["busway-a", "busway-b", "ups-a", "ups-b", "board", "utility", "generator"],
        "kinds": ["busway", "busway", "ups", "ups", "switchboard", "utility", "generator"],
        "parents": ["ups-a", "ups-b", "board", "board", "utility", None, None],
        "standby_parents": [None, None, None, None, "generator", None, None],
        "rating_w": [1e6, 1e6, 1e6, 1e6, 4e6, 4e6, 3e6],
        "no_load_loss_frac": [0, 0, 0.01, 0.01, 0, 0, 0.002],
        "proportional_loss_frac": [0, 0, 0.012, 0.012, 0, 0, 0],
        "square_loss_frac": [0.005, 0.005, 0.018, 0.018, 0, 0, 0],
        "units": 1,
        "hall_index": [0, 0, -1, -1, -1, -1, -1],
    }
    return feed_tree(**(description | changes))


def failed(tree: FeedTree, *names: str) -> np.ndarray:
    """Return one unit out of service at each named node."""
    out = np.zeros(tree.n_nodes, dtype=int)
    for name in names:
        out[tree.index(name)] += 1
    return out


def one_rack(tree: FeedTree, **shares):
    return rack_links(tree, rack_index=[0, 0], node_names=["busway-a", "busway-b"], n_racks=1, **shares)


def test_losses_of_a_two_sided_hall_equal_the_values_worked_by_hand():
    tree = two_sided()
    loads = rack_loads(tree, one_rack(tree), np.array([[800e3]]))
    result = feed_losses(tree, loads.load_w)
    busway_loss = 1e6 * 0.005 * 0.4**2
    ups_out = 400e3 + busway_loss
    ups_loss = 1e6 * (0.01 + 0.012 * ups_out / 1e6 + 0.018 * (ups_out / 1e6) ** 2)
    generator_standby_loss = 3e6 * 0.002
    # Rounding only: the same few operations in another order.
    assert result.meter_w[0] == pytest.approx(2 * (ups_out + ups_loss), rel=1e-14)
    assert result.node_loss_w[0, tree.index("ups-a")] == pytest.approx(ups_loss, rel=1e-14)
    assert result.source_w[0].sum() - result.meter_w[0] == pytest.approx(generator_standby_loss, rel=1e-14)
    assert result.hall_loss_w(tree, 1)[0, 0] == pytest.approx(2 * busway_loss, rel=1e-14)
    assert result.closure_rel[0] < 1e-14


def test_load_moves_to_the_other_side_when_a_ups_fails():
    tree = two_sided()
    out = failed(tree, "ups-a")
    loads = rack_loads(tree, one_rack(tree), np.array([[800e3]]), out)
    result = feed_losses(tree, loads.load_w, out)
    assert loads.lost_w[0, 0] == 0
    assert result.node_power_w[0, tree.index("busway-b")] == 800e3
    assert result.node_loss_w[0, tree.index("ups-a")] == 0
    assert not result.live[0, tree.index("busway-a")]
    assert not result.overload.any()


def test_load_is_lost_when_both_sides_fail():
    tree = two_sided()
    out = failed(tree, "ups-a", "busway-b")
    loads = rack_loads(tree, one_rack(tree), np.array([[800e3]]), out)
    assert loads.lost_w[0, 0] == 800e3
    assert loads.load_w.sum() == 0


def test_generator_carries_the_board_when_the_utility_is_out():
    tree = two_sided()
    states = np.stack([failed(tree), failed(tree, "utility"), failed(tree, "utility", "generator")])
    loads = rack_loads(tree, one_rack(tree), np.full((3, 1), 800e3), states)
    result = feed_losses(tree, loads.load_w, states)
    assert result.meter_w[0] > 800e3
    assert result.meter_w[1] == 0
    assert result.source_w[1].sum() == pytest.approx(result.meter_w[0] + 3e6 * 0.002, rel=1e-14)  # rounding
    assert result.source_w[2].sum() == 0
    assert loads.lost_w[:, 0].tolist() == [0, 0, 800e3]


def test_a_generator_stands_in_for_what_draws_straight_from_its_utility():
    tree = two_sided()
    behind = stand_ins(tree)
    assert behind[tree.index("utility")] == tree.index("generator")
    assert np.flatnonzero(behind >= 0).tolist() == [tree.index("utility")]


def test_units_of_a_pooled_group_share_the_load_of_a_failed_one():
    tree = feed_tree(
        names=["utility", "ups"],
        kinds=["utility", "ups"],
        parents=[None, "utility"],
        rating_w=[1e9, 5e5],
        no_load_loss_frac=[0, 0.01],
        square_loss_frac=[0, 0.02],
        units=[1, 3],
        needed_units=[1, 2],
    )
    load = np.zeros((2, 2))
    load[:, tree.index("ups")] = 9e5
    states = np.stack([failed(tree), failed(tree, "ups")])
    result = feed_losses(tree, load, states)
    per_unit = 5e5 * (0.01 + 0.02 * (3e5 / 5e5) ** 2), 5e5 * (0.01 + 0.02 * (4.5e5 / 5e5) ** 2)
    assert result.node_loss_w[:, tree.index("ups")] == pytest.approx([3 * per_unit[0], 2 * per_unit[1]], rel=1e-14)
    assert result.load_frac[:, tree.index("ups")] == pytest.approx([0.6, 0.9])
    assert live_nodes(tree, failed(tree, "ups")).all()


def test_catcher_feed_takes_a_rack_only_when_its_own_feed_is_dead():
    tree = two_sided()
    links = one_rack(tree, share_frac=[1, 0], standby_share_frac=[0, 1])
    states = np.stack([failed(tree), failed(tree, "ups-a"), failed(tree, "ups-b")])
    loads = rack_loads(tree, links, np.full((3, 1), 500e3), states)
    assert loads.load_w[:, tree.index("busway-a")].tolist() == [500e3, 0, 500e3]
    assert loads.load_w[:, tree.index("busway-b")].tolist() == [0, 500e3, 0]
    assert not loads.lost_w.any()


def test_elements_solved_together_equal_elements_solved_alone_for_many_failure_states():
    tree = two_sided()
    rng = np.random.default_rng(1)
    racks = np.repeat(np.arange(5), 2)
    links = rack_links(tree, rack_index=racks, node_names=["busway-a", "busway-b"] * 5, n_racks=5)
    states = (rng.random((300, tree.n_nodes)) < 0.3).astype(int)  # over 64 states: the summed path
    power = rng.uniform(0, 1e5, (300, 5))
    together = rack_loads(tree, links, power, states)
    for i in range(0, 300, 17):
        alone = rack_loads(tree, links, power[i : i + 1], states[i])
        np.testing.assert_allclose(together.load_w[i], alone.load_w[0], rtol=1e-13)  # order of additions
        np.testing.assert_array_equal(together.lost_w[i], alone.lost_w[0])


def test_load_laid_on_a_dead_node_is_reported_as_unserved():
    tree = two_sided()
    load = np.zeros((1, tree.n_nodes))
    load[0, tree.index("busway-a")] = 1e5
    result = feed_losses(tree, load, failed(tree, "ups-a"))
    assert result.unserved_w[0] == 1e5
    assert result.closure_rel[0] < 1e-14


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parents": ["ups-a", "ups-b", "board", "board", "busway-a", None, None]}, "loop.*ups-a.*board"),
        ({"parents": ["ups-c", "ups-b", "board", "board", "utility", None, None]}, "'busway-a' has the parent 'ups-c'"),
        ({"names": ["a", "a", "ups-a", "ups-b", "board", "utility", "generator"]}, "'a' is described twice"),
        ({"rating_w": [1e6, 1e6, 0, 1e6, 4e6, 4e6, 3e6]}, r"rating_w\[ups-a\] is 0.0; must be greater than 0 W"),
        ({"square_loss_frac": [0, 0, 0, -1, 0, 0, 0]}, r"square_loss_frac\[ups-b\] is -1.0; must be at least 0"),
        ({"kinds": ["x", "busway", "ups", "ups", "switchboard", "utility", "generator"]}, r"kinds\[busway-a\] is 'x'"),
        ({"units": [1, 1, 0, 1, 1, 1, 1]}, r"units\[ups-a\] is 0; must be at least 1"),
    ],
)
def test_a_wrong_feed_is_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        two_sided(**changes)


def test_a_rack_without_feed_is_refused_by_number():
    tree = two_sided()
    with pytest.raises(ValueError, match="shares of rack 1 sum to 0"):
        rack_links(tree, rack_index=[0, 2], node_names=["busway-a", "busway-b"], n_racks=3)


def test_more_failures_than_units_are_refused():
    tree = two_sided()
    with pytest.raises(ValueError, match="units_failed of ups-a is 2; it has 1"):
        feed_losses(tree, np.zeros((1, tree.n_nodes)), failed(tree, "ups-a", "ups-a"))
