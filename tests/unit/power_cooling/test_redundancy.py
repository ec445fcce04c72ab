"""Redundant designs, every single and double failure, overload times, and storage until generators carry."""

import numpy as np
import pytest

from power_cooling.electrical.feed_tree import FeedTree, RackLinks, feed_losses, feed_tree, rack_links, rack_loads
from power_cooling.electrical.protection import (
    ASSUMED_BREAKER,
    ASSUMED_UPS_OVERLOAD,
    BreakerCurve,
    OverloadRating,
    trip_step,
)
from power_cooling.electrical.redundancy import failure_capacity, failure_states, share_design
from power_cooling.electrical.sources import Generators, carry_outage, generator_fuel_w

RACK_W = 100e3


def blocks(design: str, n_blocks: int, n_racks: int, block_w: float) -> tuple[FeedTree, RackLinks]:
    """Return lossless blocks of power behind one utility, and racks spread over them."""
    names = ["utility", *(f"block {i}" for i in range(n_blocks))]
    tree = feed_tree(
        names=names,
        kinds=["utility", *["ups"] * n_blocks],
        parents=[None, *["utility"] * n_blocks],
        rating_w=[1e9, *[block_w] * n_blocks],
    )
    shares = share_design(design, n_blocks, n_racks)
    rack, block = np.nonzero((shares.share_frac > 0) | (shares.standby_share_frac > 0))
    links = rack_links(
        tree,
        rack_index=rack,
        node_names=[f"block {b}" for b in block],
        n_racks=n_racks,
        share_frac=shares.share_frac[rack, block],
        standby_share_frac=shares.standby_share_frac[rack, block],
    )
    return tree, links


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("design", "n_blocks", "block_racks"),
    [("2N", 2, 12), ("block", 4, 4), ("block", 5, 3), ("catcher", 4, 4), ("N+1", 4, 4)],
)
def test_redundant_designs_keep_all_capacity_after_any_block_fails(design, n_blocks, block_racks):
    """12 racks: 4N3 has blocks of a third, 5-to-make-4 of a quarter of the load, and so on."""
    n_racks = {5: 60}.get(n_blocks, 12)
    tree, links = blocks(design, n_blocks, n_racks, block_racks * RACK_W * n_racks / 12)
    states = failure_states(tree, order=1, candidates=[tree.index(f"block {i}") for i in range(n_blocks)])
    answer = failure_capacity(tree, links, np.full(n_racks, RACK_W), states)
    assert answer.capacity_frac == pytest.approx(np.ones(n_blocks + 1))
    # Full blocks after the failure: the design is no larger than it must be.
    assert answer.node_worst_frac[1:].max() == pytest.approx(1.0)


@pytest.mark.compiled
def test_blocks_without_redundancy_lose_their_racks():
    tree, links = blocks("N", 4, 12, 3 * RACK_W)
    states = failure_states(tree, order=1)
    answer = failure_capacity(tree, links, np.full(12, RACK_W), states)
    assert answer.capacity_frac.tolist() == [1.0, 0.0, 0.75, 0.75, 0.75, 0.75]
    assert answer.lost_frac.tolist() == [0.0, 1.0, 0.25, 0.25, 0.25, 0.25]
    assert answer.rack_served_frac(2).tolist() == [0.0, 1.0, 1.0, 1.0] * 3


@pytest.mark.compiled
def test_two_blocks_of_4n3_out_leave_the_two_others_full():
    tree, links = blocks("block", 4, 12, 4 * RACK_W)
    states = failure_states(tree)
    answer = failure_capacity(tree, links, np.full(12, RACK_W), states)
    two_out = [i for i in range(states.first.size) if states.label(tree, i) == "block 0 + block 1"][0]
    # By hand: the 2 racks of pair (0, 1) are dark; the pairs (0,2), (0,3), (1,2), (1,3) lean on one block each, the
    # pair (2, 3) on both: each block has 4 + 1 racks for 4, so all ten are capped to 4/5.
    assert answer.worst_load_frac[two_out] == pytest.approx(1.25)
    assert answer.capacity_frac[two_out] == pytest.approx(10 / 12 * 0.8, abs=1e-6)  # the fill stops at 1e-6
    assert answer.seconds_to_trip[two_out] == 600.0
    assert states.label(tree, 0) == "intact"


@pytest.mark.compiled
def test_racks_behind_a_full_feed_are_capped_and_others_are_not():
    tree = feed_tree(
        names=["utility", "a", "b"],
        kinds=["utility", "busway", "busway"],
        parents=[None, "utility", "utility"],
        rating_w=[1e9, 150e3, 150e3],
    )
    links = rack_links(tree, rack_index=[0, 1, 2], node_names=["a", "a", "b"], n_racks=3)
    answer = failure_capacity(tree, links, np.full(3, RACK_W), failure_states(tree, order=1))
    assert answer.rack_served_frac(0) == pytest.approx([0.75, 0.75, 1.0], abs=1e-6)
    assert answer.capped_frac[0] == pytest.approx(0.5 / 3, abs=1e-6)


@pytest.mark.compiled
def test_a_weak_feed_is_switched_off_where_that_serves_more():
    tree = feed_tree(
        names=["utility", "weak", "strong"],
        kinds=["utility", "busway", "busway"],
        parents=[None, "utility", "utility"],
        rating_w=[1e9, 10e3, 200e3],
    )
    links = rack_links(tree, rack_index=[0, 0], node_names=["weak", "strong"], n_racks=1)
    states = failure_states(tree)
    answer = failure_capacity(tree, links, [RACK_W], states)
    assert answer.capacity_frac[0] == 1.0
    assert states.label(tree, answer.operated_as[0]) == "weak"


@pytest.mark.compiled
def test_a_continuous_limit_caps_below_the_rating():
    tree, links = blocks("N", 1, 1, RACK_W)
    answer = failure_capacity(tree, links, [RACK_W], failure_states(tree, order=1), limit_frac=[1.0, 0.8])
    assert answer.capacity_frac[0] == pytest.approx(0.8, abs=1e-6)
    assert answer.seconds_to_trip[0] == np.inf  # at its rating: over the limit, but nothing trips


@pytest.mark.compiled
def test_cooling_on_a_full_feed_leaves_less_for_racks():
    tree, links = blocks("N", 1, 1, RACK_W)
    answer = failure_capacity(tree, links, [RACK_W], failure_states(tree, order=1), other_load_w=[0.0, 30e3])
    assert answer.capacity_frac[0] == pytest.approx(0.7, abs=1e-6)
    assert answer.other_unserved_w.tolist() == [0.0, 30e3, 30e3]


@pytest.mark.compiled
@pytest.mark.parametrize(("standby", "served", "unserved_w"), [(None, [0.0, 1.0], 5e3), ("utility", [1.0, 1.0], 0.0)])
def test_a_feed_that_idle_losses_overload_is_opened_and_its_racks_turn_to_others(standby, served, unserved_w):
    """A feed of 100 kW before a transformer that loses 6 % of 2 MW = 120 kW idle: no capping can relieve it."""
    tree = feed_tree(
        names=["utility", "feed", "transformer", "busway"],
        kinds=["utility", "busway", "transformer", "busway"],
        parents=[None, "utility", "feed", "utility"],
        standby_parents=[None, None, standby, None],
        rating_w=[1e9, 100e3, 2e6, 100e3],
        no_load_loss_frac=[0.0, 0.0, 0.06, 0.0],
    )
    # Rack 0 hangs on the transformer alone, rack 1 half on it and half on the other busway.
    links = rack_links(tree, rack_index=[0, 1, 1], node_names=["transformer", "transformer", "busway"], n_racks=2)
    other_w = np.where(np.array(tree.names) == "transformer", 5e3, 0.0)
    states = failure_states(tree, order=1)
    answer = failure_capacity(tree, links, [RACK_W, RACK_W], states, other_load_w=other_w)
    # By hand, before anything is done: 100 + 50 + 5 kW and 120 kW lost, on 100 kW.
    assert answer.worst_load_frac[0] == pytest.approx(2.75)
    assert [tree.names[i] for i in answer.opened_node[answer.opened_state == 0]] == ["feed"]
    assert answer.class_served_frac[0, answer.rack_class] == pytest.approx(served, abs=1e-6)  # the fill stops at 1e-6
    assert answer.lost_frac[0] == (0.5 if standby is None else 0.0)
    assert answer.other_unserved_w[0] == unserved_w
    out = answer.units_out(tree, states)
    loads = rack_loads(tree, links, answer.class_served_frac[:, answer.rack_class] * RACK_W, out)
    assert feed_losses(tree, loads.load_w + other_w, out).load_frac.max() <= 1 + 1e-6


@pytest.mark.compiled
def test_cooling_alone_above_a_limit_opens_the_feed_instead_of_overloading_it_for_good():
    tree, links = blocks("N", 1, 1, RACK_W)
    answer = failure_capacity(tree, links, [RACK_W], failure_states(tree, order=1), other_load_w=[0.0, 1.2 * RACK_W])
    assert answer.opened_node[answer.opened_state == 0].tolist() == [tree.index("block 0")]
    assert answer.lost_frac[0] == 1.0
    assert answer.capped_frac[0] == 0.0
    assert answer.other_unserved_w[0] == 1.2 * RACK_W


@pytest.mark.compiled
def test_compiled_loads_equal_the_feed_tree_in_every_state():
    rng = np.random.default_rng(4)
    names = ["utility", "generator", "ups 0", "ups 1", "ups 2", *(f"busway {i}" for i in range(6))]
    tree = feed_tree(
        names=names,
        kinds=["utility", "generator", *["ups"] * 3, *["busway"] * 6],
        parents=[None, None, *["utility"] * 3, *(f"ups {i % 3}" for i in range(6))],
        standby_parents=[None, None, *["generator"] * 3, *[None] * 5, "ups 0"],
        rating_w=[1e9, 1e9, *[1e9] * 3, *[1e9] * 6],
        no_load_loss_frac=1e-5,
        proportional_loss_frac=0.02,
        square_loss_frac=0.01,
        units=[1, 1, 2, 2, 2, *[1] * 6],
    )
    rack = np.repeat(np.arange(20), 2)
    links = rack_links(tree, rack_index=rack, node_names=[f"busway {i}" for i in rng.integers(0, 6, 40)], n_racks=20)
    power = rng.uniform(1e4, 1e5, 20)
    states = failure_states(tree)
    answer = failure_capacity(tree, links, power, states)
    failed = states.units_failed(tree)
    demand = np.tile(power, (len(failed), 1))
    loads = rack_loads(tree, links, demand, failed)
    result = feed_losses(tree, loads.load_w, failed)
    np.testing.assert_allclose(answer.worst_load_frac, result.load_frac.max(axis=1), rtol=1e-12)  # order of additions
    alone = failure_capacity(tree, links, power, failure_states(tree, order=1))
    np.testing.assert_allclose(alone.lost_frac, loads.lost_w.sum(axis=1)[: 1 + tree.n_nodes] / power.sum(), atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("3N", 4, 8), "design is '3N'"),
        (("2N", 3, 8), "must be at least 2 and be even"),
        (("block", 2, 8), "n_blocks is 2; must be at least 3"),
    ],
)
def test_an_impossible_design_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        share_design(*arguments)


def test_a_negative_rack_is_refused_by_number():
    tree, links = blocks("N", 1, 2, RACK_W)
    with pytest.raises(ValueError, match=r"rack_power_w\[1\] is -1; must be at least 0"):
        failure_capacity(tree, links, [1.0, -1.0], failure_states(tree))


def test_ups_overload_times_step_down_with_load():
    seconds = ASSUMED_UPS_OVERLOAD.seconds_to_trip([0.9, 1.0, 1.05, 1.1, 1.2, 1.5, 1.6])
    assert seconds.tolist() == [np.inf, np.inf, 3600, 3600, 600, 60, 0]


def test_breaker_delay_falls_with_the_square_of_current():
    seconds = ASSUMED_BREAKER.seconds_to_trip([1.0, 1.2, 3.0, 6.0, 10.0])
    assert seconds.tolist() == [np.inf, pytest.approx(300.0), pytest.approx(48.0), 12.0, 0.0]


def test_protection_remembers_overload_across_steps():
    load = np.array([1.2] * 5 + [0.5] * 10 + [1.2] * 10)
    assert trip_step(ASSUMED_UPS_OVERLOAD, load, 60.0) == 19  # ten minutes of 120 % in all
    assert trip_step(ASSUMED_UPS_OVERLOAD, np.full(1000, 0.99), 60.0) == -1


def test_a_curve_that_rises_with_load_is_refused():
    with pytest.raises(ValueError, match="seconds"):
        OverloadRating((1.1, 1.2), (60.0, 600.0))
    with pytest.raises(ValueError, match="pickup_frac"):
        BreakerCurve(pickup_frac=0.5)


def test_storage_needed_until_generators_carry_equals_the_area_by_hand():
    generators = Generators(rating_w=1e6, running=2, start_s=10.0, block_frac=0.5, block_interval_s=5.0, walk_in_s=2.0)
    # 1.8 MW: 10 s alone, then 1 MW taken at once (ramped 2 s), 0.8 MW left for 5 s (then ramped 2 s).
    by_hand = 1.8e6 * 10 + 0.8e6 * 5 + 1.8e6 * 2 / 2
    answer = carry_outage([1.8e6], generators, storage_power_w=2e6, storage_energy_j=by_hand)
    assert answer.storage_needed_j == pytest.approx([by_hand])
    assert answer.carried.tolist() == [True]
    assert answer.picked_up_s.tolist() == [17.0]
    assert not carry_outage([1.8e6], generators, storage_power_w=2e6, storage_energy_j=by_hand - 1).carried[0]


def test_too_few_generators_never_take_the_load():
    answer = carry_outage([1.8e6], Generators(rating_w=1e6, running=1), storage_power_w=2e6, storage_energy_j=1e9)
    assert answer.storage_needed_j[0] == np.inf
    assert not answer.carried[0]
    assert answer.storage_alone_s[0] == pytest.approx(1e9 / 1.8e6)


def test_fuel_at_rating_follows_from_the_efficiency():
    assert generator_fuel_w(3e6, 3e6, 0.4, 0.1) == pytest.approx(7.5e6)
    assert generator_fuel_w(0.0, 3e6, 0.4, 0.1) == pytest.approx(0.75e6)
