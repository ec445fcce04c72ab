"""What the compiled kernel is handed."""

import numpy as np
import pytest

from power_cooling.coupled.kernel import solve_elements
from power_cooling.coupled.kernel_arrays import Rows, scratch
from power_cooling.coupled.solve import solve_coupled
from power_cooling.site_arrays import Failures, Weather, records
from twin.benchmarks.coupled import air_site, feeds_of, liquid_site

MILD = Weather(np.array([10.0, 25.0]), 0.006)
LOAD = np.array([[0.5], [0.9]])


def test_scratch_has_a_row_for_every_part_and_starts_at_nothing():
    site = liquid_site(6, 2.0, 2, 0.1)
    curve, order = site.pools.static_power_w, np.arange(6)
    rows = Rows(records(site.racks), records(site.cdus), records(site.halls), records(site.plants), curve, curve, order)
    work = scratch(rows, n_nodes=5)
    n_limits = site.cdus.n_groups + site.halls.n_halls + site.plants.n_plants + 5
    assert work.racks.shape[0] == work.weight.size == work.off.size == 6
    assert work.levels.shape[1] == work.short.size == n_limits
    assert work.mechanical.size == work.node_load.size == work.fed.size == 5
    assert all(not np.any(array) for array in work)


@pytest.mark.compiled
def test_whatever_a_site_has_the_kernel_is_compiled_for_one_signature():
    liquid, air = liquid_site(2, 1.0, 1, 0.0), air_site(4)
    feeds = feeds_of(liquid)
    solve_coupled(liquid, LOAD, MILD)
    solve_coupled(liquid, np.asfortranarray(np.repeat(LOAD, 2, axis=0))[::2], MILD, feeds=feeds)
    failed = np.zeros((2, feeds.tree.n_nodes), dtype=np.int32)
    solve_coupled(liquid, LOAD, MILD, feeds=feeds, failures=Failures(feed_units_failed=failed))
    solve_coupled(liquid, LOAD, MILD, failures=Failures(cdus_running=np.zeros((2, 1))), keep_rack_channels=True)
    solve_coupled(air, LOAD, MILD)
    assert len(solve_elements.signatures) == 1
