"""On-site sources: the fuel of units that share a load, what they give beside a utility, and what a tree counts."""

import numpy as np
import pytest

from power_cooling.electrical.feed_tree import feed_losses, feed_tree, running_w
from power_cooling.electrical.sources import PrimeSource, idle_fuel_frac, prime_power_w

# Two gas engines of 4.5 MW: 45 % at rating, 41 % at half load.
ENGINES = PrimeSource(4.5e6, 2, 0.45, idle_fuel_frac(0.45, 0.41), min_load_frac=0.4)


def test_idle_fuel_follows_from_two_efficiencies():
    idle = idle_fuel_frac(0.45, 0.41)
    assert idle == pytest.approx(0.0976, abs=1e-4)
    _, fuel = prime_power_w([2.25e6, 4.5e6], ENGINES)
    assert np.array([2.25e6, 4.5e6]) / fuel == pytest.approx([0.41, 0.45])
    assert idle_fuel_frac(0.54, 0.56) == 0.0  # a fuel cell is no worse at part load
    with pytest.raises(ValueError, match="half load"):
        idle_fuel_frac(0.45, 0.2)


def test_units_beside_the_utility_give_at_most_the_load_and_their_rating():
    given, fuel = prime_power_w([0.0, 1e6, 3e6, 6e6, 12e6], ENGINES)
    assert given.tolist() == [0.0, 0.0, 3e6, 6e6, 9e6]  # none below 1.8 MW, nothing exported
    assert fuel[[0, 1]].tolist() == [0.0, 0.0]
    # 6 MW are two units at two thirds: 10 MW · (0.0976 + 0.9024 · 2 / 3) each
    assert fuel[3] == pytest.approx(2 * 10e6 * (0.097561 + 0.902439 * 2 / 3), rel=1e-6)
    assert prime_power_w([6e6], ENGINES, units_out=1)[0] == 4.5e6
    assert prime_power_w([6e6], ENGINES, units_out=2) == (0.0, 0.0)


def test_an_island_runs_its_spare_and_carries_all_there_is():
    island = PrimeSource(4.5e6, 2, 0.45, ENGINES.idle_fuel_frac, 0.4, is_island=True, spinning_spare=1)
    given, fuel = prime_power_w([1e6, 4e6], island)
    assert given.tolist() == [1e6, 4e6]
    _, beside = prime_power_w([4e6], ENGINES)
    assert fuel[1] - beside[0] == pytest.approx(10e6 * ENGINES.idle_fuel_frac)  # what the second unit idles away


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rating_w": 0.0}, "0 W"),
        ({"units": 0}, "0 units"),
        ({"full_efficiency_frac": 1.2}, "1.2"),
        ({"min_load_frac": -0.1}, "-0.1"),
    ],
)
def test_impossible_sources_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        PrimeSource(**({"rating_w": 1e6, "units": 1, "full_efficiency_frac": 0.4} | changes))


def test_a_utility_counts_what_runs_beside_it_and_loses_what_fails():
    tree = feed_tree(
        names=["Grid", "Engines", "Board"],
        kinds=["utility", "generator", "switchboard"],
        parents=[None, None, "Grid"],
        rating_w=[2e6, 1e6, 5e6],
        units=[1, 3, 1],
        beside=[None, "Grid", None],
    )
    grid, engines = tree.index("Grid"), tree.index("Engines")
    assert tree.installed_w[[grid, engines]].tolist() == [5e6, 3e6]
    failed = np.zeros((1, 3), dtype=np.int64)
    failed[0, engines] = 2
    assert running_w(tree, failed)[0, grid] == 3e6
    load_w = np.zeros((1, 3))
    load_w[0, tree.index("Board")] = 4e6
    assert feed_losses(tree, load_w).load_frac[0, grid] == pytest.approx(0.8)
    assert feed_losses(tree, load_w, failed).overload[0, grid]


def test_sources_alone_run_in_parallel():
    with pytest.raises(ValueError, match="must both be sources"):
        feed_tree(
            names=["Grid", "Board"],
            kinds=["utility", "switchboard"],
            parents=[None, "Grid"],
            rating_w=[1e6, 1e6],
            beside=[None, "Grid"],
        )
