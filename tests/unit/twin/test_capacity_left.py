"""Failures solved on the part of a site that they can reach cost what they cost on the whole site."""

import numpy as np
import pytest

from facility.models import CoolingPlant, PowerFeed
from power_cooling.coupled.islands import islands
from power_cooling.coupled.solve import solve_coupled
from power_cooling.site_arrays import Weather
from tests.shipped import CATALOGUE, load_shipped
from twin.benchmarks.big_layout import big_layout
from twin.core.failures import capacity_left
from twin.core.failures.components import components, failure_states
from twin.core.inputs.design_hour import design_weather
from twin.core.solve import simulate
from twin.runs.snapshot import inputs_now

pytestmark = pytest.mark.compiled

HOT = Weather(dry_bulb_degc=[38.0], humidity_ratio=[0.012])


@pytest.fixture
def layout_and_scenario(db):
    """Return a layout of two halls with 200 racks that all differ."""
    load_shipped(CATALOGUE)
    return big_layout(200, n_classes=None)


def solved_layout(layout_and_scenario) -> simulate.Solved:
    return simulate.solve(inputs_now(*layout_and_scenario), lambda stage, frac: None)


def parted(solved) -> int:
    load = np.minimum(solved.load_frac.max(axis=0), 1.0)[None]
    sound = solve_coupled(solved.site, load, HOT, feeds=solved.feeds)
    return islands(solved.site, solved.feeds, sound.feed_load_w[0])


def test_halls_with_own_plants_are_islands_and_the_utility_is_shared(layout_and_scenario):
    roomy = solved_layout(layout_and_scenario)
    found = parted(roomy)
    assert found.n == 2
    shared = [name for name, island in zip(roomy.feeds.tree.names, found.nodes, strict=True) if island < 0]
    assert shared == ["Utility"]
    assert np.bincount(found.halls).tolist() == [1, 1]


def test_a_utility_without_room_for_a_shift_binds_the_halls_together(layout_and_scenario):
    draw_w = solved_layout(layout_and_scenario).coupled.meter_power_w.max()
    PowerFeed.objects.filter(name="Utility").update(rating_w=1.2 * draw_w)  # a hall may shift half of it
    assert parted(solved_layout(layout_and_scenario)).n == 1


def test_states_cost_on_an_island_what_they_cost_on_the_whole_site(layout_and_scenario, monkeypatch):
    roomy = solved_layout(layout_and_scenario)
    found = components(roomy.inputs, roomy.site, roomy.feeds)
    states = failure_states(found)
    hot = design_weather(roomy.inputs, roomy.weather)
    given = (roomy.site, roomy.feeds, roomy.pools, hot, roomy.load_frac, found, states)
    apart, converged = capacity_left.capacity_left(*given)
    monkeypatch.setattr(capacity_left, "islands", lambda site, feeds, load_w: one_island(site, feeds))
    whole, _ = capacity_left.capacity_left(*given)
    assert converged
    assert np.count_nonzero(whole < 1) > 10
    np.testing.assert_allclose(apart, whole, rtol=0, atol=1e-9)  # the solver's tolerance


def one_island(site, feeds):
    return islands(site, feeds, np.full(feeds.tree.n_nodes, np.inf))


def test_what_is_left_of_a_far_too_small_site_falls_with_every_further_failure(layout_and_scenario):
    CoolingPlant.objects.update(n_heat_rejection=3, n_heat_rejection_spare=0)
    small = solved_layout(layout_and_scenario)
    found = components(small.inputs, small.site, small.feeds)
    states = failure_states(found)
    hot = design_weather(small.inputs, small.weather)
    left, _ = capacity_left.capacity_left(small.site, small.feeds, small.pools, hot, small.load_frac, found, states)
    out = np.zeros((len(states), len(found)), dtype=int)
    for k, state in enumerate(states):
        for which, units in state.out:
            out[k, which] = units
    n_compared = 0
    for k in range(len(states)):
        more = np.all(out >= out[k], axis=1)
        n_compared += np.count_nonzero(more) - 1
        assert np.all(left[more] <= left[k] + capacity_left.NO_LOSS_FRAC), states[k]
    assert n_compared > 500
