"""What must hold on sites that nobody designed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from power_cooling.availability.capacity_functions import best_switching
from power_cooling.coupled.solve import Reason, solve_coupled
from power_cooling.site_arrays import Failures, SiteArrays, Weather
from twin.benchmarks.coupled import air_site, liquid_site
from twin.validation.random_sites import of_size, random_elements, random_site

pytestmark = [pytest.mark.slow, pytest.mark.compiled]

few = settings(max_examples=15, deadline=None)  # each example solves tens of elements
seeds = st.integers(0, 10**6)


@few
@given(seeds)
def test_random_elements_are_solved_to_tolerance_or_refused_with_a_reason(seed):
    rng = np.random.default_rng(seed)
    site = random_site(rng)
    load, weather = random_elements(rng, 60)
    solved = solve_coupled(site, load, weather)
    done = solved.report.reasons == Reason.CONVERGED
    assert np.all(np.isnan(solved.meter_power_w) == ~done)
    assert solved.report.residual_k <= 1e-9
    assert np.all(solved.heat_closure_rel[done] <= 1e-9)
    assert np.all(solved.meter_power_w[done] >= solved.it_power_w[done])  # PUE is at least 1


@few
@given(st.floats(0.2, 1.0), st.booleans(), st.floats(0.5, 1.5), st.floats(0.002, 0.008))
def test_hotter_weather_never_lowers_meter_power(load, air_cooled, size, humidity_ratio):
    site = air_site(6) if air_cooled else liquid_site(6, 2.0, 2, 0.1)
    plants = replace(site.plants, cooler_ua_w_per_k=site.plants.cooler_ua_w_per_k * size)
    site = SiteArrays(site.racks, site.pools, site.cdus, site.halls, plants)
    air = Weather(np.linspace(8.0, 45.0, 38), humidity_ratio)
    solved = solve_coupled(site, np.full((38, 1), load), air)
    # At equal tokens: where a clock fell or a rack is off, fewer are served.
    equal = (solved.pool_clock_frac[:, 0] == 1) & (solved.pool_available_frac[:, 0] == 1)
    meter = solved.meter_power_w[equal]
    assert np.all(np.diff(meter) >= -1e-9 * meter.max())


@few
@given(seeds, st.floats(1.01, 1.5))
def test_more_coolant_never_heats_a_chip(seed, factor):
    rng = np.random.default_rng(seed)
    site = liquid_site(5, 1.0, 1, 0.3)
    load = rng.uniform(0, 1, (12, 1))
    air = Weather(rng.uniform(-5, 30, 12), 0.004)
    racks = replace(site.racks, coolant_flow_kg_s=site.racks.coolant_flow_kg_s * factor)
    # Wider plates carry the same flow per rack as a share of its design, so resistance is scaled by hand.
    racks = replace(racks, r_th_flow_k_per_w=site.racks.r_th_flow_k_per_w * factor**-0.5)
    before = solve_coupled(site, load, air).racks.max_junction_degc
    after = solve_coupled(SiteArrays(racks, site.pools, site.cdus, site.halls, site.plants), load, air)
    assert np.all(after.racks.max_junction_degc <= before + 1e-9)


@few
@given(seeds, st.sampled_from(["cdus_running", "air_units_running", "coolers_running"]), st.floats(15, 42))
def test_one_more_failure_never_raises_capacity(seed, kind, dry_bulb):
    rng = np.random.default_rng(seed)
    site = liquid_site(4, 4.0, 2, 0.1)
    there = {
        "cdus_running": site.cdus.n_units,
        "air_units_running": site.halls.n_units,
        "coolers_running": site.plants.n_coolers,
    }[kind]
    which = int(rng.integers(there.size))
    steps = int(there[which]) + 1
    running = np.tile(there, (steps, 1))
    running[:, which] -= np.arange(steps)
    solved = solve_coupled(
        site,
        np.full((steps, 1), rng.uniform(0.5, 1)),
        Weather(np.full(steps, dry_bulb), 0.006),
        failures=Failures(**{kind: running}),
    )
    assert solved.report.converged
    capacity = (solved.pool_clock_frac * solved.pool_available_frac)[:, 0]
    assert np.all(np.diff(capacity) <= 1e-9)


@few
@given(seeds, st.floats(5, 42))
def test_one_more_failure_never_raises_capacity_of_far_too_small_sites_that_operators_switch(seed, dry_bulb):
    rng = np.random.default_rng(seed)
    site = random_site(rng)
    site = replace(
        site, **{name: of_size(getattr(site, name), 10 ** rng.uniform(-1.5, -0.3)) for name in ("halls", "plants")}
    )
    there = np.concatenate([site.cdus.n_units, site.halls.n_units]).astype(int)
    cut = site.cdus.n_groups
    # All numbers of lost units of two parts, whichever they are, beside each other.
    one, other = rng.choice(there.size, 2, replace=False)
    lost = np.array([(i, j) for i in range(there[one] + 1) for j in range(there[other] + 1)])[:60]
    running = np.tile(there.astype(float), (len(lost), 1))
    running[:, one] -= lost[:, 0]
    running[:, other] -= lost[:, 1]
    solved = solve_coupled(
        site,
        np.ones((len(lost), 2)),
        Weather(np.full(len(lost), dry_bulb), 0.006),
        failures=Failures(cdus_running=running[:, :cut], air_units_running=running[:, cut:]),
    )
    protected = np.nan_to_num(solved.pool_clock_frac * solved.pool_available_frac).sum(axis=1)
    capacity = best_switching(lost, protected)
    assert np.all(capacity >= protected)
    assert np.all(np.isin(capacity, protected))  # nothing but what was solved
    fewer = np.all(lost[:, None] <= lost[None, :], axis=2)
    assert np.all(np.where(fewer, capacity[:, None] - capacity[None, :], 0.0) >= 0)
