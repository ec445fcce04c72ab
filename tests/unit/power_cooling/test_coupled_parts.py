"""Parts of a year put together are the year."""

from dataclasses import fields

import numpy as np
import pytest

from power_cooling.coupled.parts import Parts
from power_cooling.coupled.solve import CoupledResult, RackSummary, solve_coupled
from power_cooling.site_arrays import Weather
from twin.benchmarks.coupled import feeds_of, liquid_site

pytestmark = pytest.mark.compiled

N = 40


@pytest.fixture(scope="module")
def year():
    """Return a site's solve of hours that differ, a function that solves some of them, and the number of hours."""
    site = liquid_site(6, 2.0, 2, 0.1)
    feeds = feeds_of(site)
    rng = np.random.default_rng(5)
    load = rng.uniform(0.1, 1.0, (N, site.pools.static_power_w.shape[0]))
    dry_bulb = rng.uniform(-5.0, 42.0, N)

    def solve(rows):
        weather = Weather(dry_bulb_degc=dry_bulb[rows], humidity_ratio=np.full(len(rows), 0.004))
        return solve_coupled(site, load[rows], weather, feeds=feeds)

    return solve(np.arange(N)), solve


def test_parts_in_any_order_give_the_whole(year):
    whole, solve = year
    parts = Parts(N)
    for rows in np.array_split(np.random.default_rng(6).permutation(N), 3):
        parts.add(rows, solve(rows))
    joined = parts.result()
    for entry in fields(CoupledResult):
        values = getattr(whole, entry.name)
        if isinstance(values, np.ndarray) and values.dtype.kind == "f" and not entry.name.endswith("_closure_rel"):
            # temperatures are solved to 1e-10 K from other starting points
            np.testing.assert_allclose(getattr(joined, entry.name), values, rtol=1e-7, atol=1e-6, err_msg=entry.name)
    for entry in fields(RackSummary):
        values = getattr(whole.racks, entry.name)
        np.testing.assert_allclose(getattr(joined.racks, entry.name), values, rtol=1e-7, err_msg=entry.name)
    assert joined.report.converged
    assert joined.report.residual_k <= joined.report.tolerance_k


def test_a_missing_or_doubled_element_is_refused(year):
    _, solve = year
    rows = np.arange(10)
    parts = Parts(N)
    parts.add(rows, solve(rows))
    with pytest.raises(ValueError, match="element 0 was added twice"):
        parts.add(rows, solve(rows))
    with pytest.raises(ValueError, match="30 of 40 elements were not added"):
        parts.result()
