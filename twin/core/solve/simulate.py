"""The coupled twin: requests, batching, watts, heat, weather, clocks, tokens, money and failures, solved together.

Reads a snapshot (`twin.runs.snapshot`), returns everything a run stores. Knows nothing of the web or the database.
In order:

1. `equipment` turns the description into solver arrays, `feeds` the power tree, `pools` decides which racks serve what.
2. `solve`: demand gives load, load gives watts, watts give temperatures and clocks (`power_cooling.coupled`); where a
   clock falls, the same demand makes the accelerators busier, so load is taken again until it stands still.
3. `results.figures` turns the solved year into figures of merit, series, rack arrays, limits, costs and uncertainty.
"""

import time
from collections.abc import Callable
from dataclasses import fields

import numpy as np

from power_cooling.coupled.parts import Parts
from power_cooling.coupled.result import CoupledResult, Reason
from power_cooling.coupled.solve import solve_coupled
from power_cooling.first_use import COMPILING, is_compiled
from power_cooling.site_arrays import Failures, FloatArray, PoolCurves, SiteArrays, SiteFeeds, Weather
from twin.core.failures.ride_through import plant_drills
from twin.core.failures.uptime import uptime
from twin.core.inputs import equipment
from twin.core.inputs.coolant_loops import with_loop_flows
from twin.core.inputs.design_hour import design_weather
from twin.core.inputs.feeds import rack_feeds as feeds_of_racks
from twin.core.inputs.feeds import site_feeds
from twin.core.inputs.generation import prime_movers
from twin.core.inputs.layout import LayoutInputs
from twin.core.inputs.own_load import own_load
from twin.core.inputs.pools import Pool, plan_pools
from twin.core.inputs.tool_calls import drawn_by_load
from twin.core.inputs.weather import weather_of
from twin.core.provenance import this_solver
from twin.core.results import figures
from twin.core.results.details import SimulationResult
from twin.core.solve.as_operated import as_operated
from twin.core.solved import Described, Progress, Solved

MAX_LOAD_PASSES = 6  # clock and load settle by a factor of five or more per pass
LOAD_TOLERANCE = 1e-4
N_PARTS = 8  # of the year: a part's tables are what a solve holds beside the result


def simulate(inputs: LayoutInputs, progress: Progress = lambda stage, frac: None) -> SimulationResult:
    """Simulate a year of a layout under a scenario.

    Parameters
    ----------
    inputs : LayoutInputs
        Of `twin.runs.snapshot`.
    progress : callable
        Called with the stage's name and the share done; raising from it abandons the run.

    Raises
    ------
    ValueError
        If the description cannot be solved; the message names object, field, value and what is allowed.
    """
    started = time.perf_counter()
    solved = solve(inputs, progress)
    progress("figures", 0.95)
    return figures.result(solved, solver=this_solver(), elapsed_s=time.perf_counter() - started)


def solve(inputs: LayoutInputs, progress: Progress) -> Solved:
    """Solve a snapshot; `simulate` says what is raised."""
    year = described(inputs, progress)
    load, coupled = solve_year(year.site, year.feeds, year.pools, year.weather, progress)
    progress("failures", 0.85)
    busiest_w = np.nan_to_num(coupled.feed_load_w).max(axis=0)
    drills = plant_drills(year.site, design_weather(inputs, year.weather), np.minimum(load.max(axis=0), 1.0))
    return Solved(
        **{entry.name: getattr(year, entry.name) for entry in fields(Described)},
        load_frac=load,
        coupled=coupled,
        drills=drills,
        uptime=uptime(inputs, year.site, year.feeds, year.pools, year.weather, load, busiest_w, drills),
    )


def described(inputs: LayoutInputs, progress: Progress = lambda stage, frac: None) -> Described:
    """Return a snapshot as the solvers read it, over its year, with the parameters that were accepted for it.

    `simulate` says what is raised.
    """
    progress("reading", 0.02)
    prime_movers(inputs)  # refuses a source without its fuel before anything is solved
    weather = weather_of(inputs)
    table = with_loop_flows(inputs, equipment.rack_table(inputs))
    progress("serving", 0.05)
    pools, rack_pool = plan_pools(inputs, table, weather.n_elements)
    progress("layout", 0.15)
    rack_feeds = feeds_of_racks(inputs)
    table, follows = drawn_by_load(inputs, table, pools, rack_pool)
    racks, rack_class = equipment.rack_classes(table, follows, rack_feeds)
    class_feeds = np.zeros((racks.n_racks, 2), dtype=np.int64)
    class_feeds[rack_class] = rack_feeds
    site = SiteArrays(
        racks=racks,
        pools=PoolCurves(
            static_power_w=np.array([pool.static_power_w for pool in pools]),
            dynamic_power_w=np.array([pool.dynamic_power_w for pool in pools]),
        ),
        cdus=equipment.cdu_bank(inputs),
        halls=equipment.hall_bank(inputs),
        plants=equipment.plant_bank(inputs, equipment.design_heat_w(inputs, table)),
        own=own_load(inputs, table.nameplate_w),
    )
    year = Described(
        inputs=inputs,
        weather=weather,
        table=table,
        rack_class=rack_class,
        rack_pool=rack_pool,
        site=site,
        feeds=site_feeds(inputs, class_feeds),
        pools=pools,
    )
    return as_operated(year)


def solve_year(
    site: SiteArrays, feeds: SiteFeeds, pools: list[Pool], weather: Weather, progress: Progress
) -> tuple[FloatArray, CoupledResult]:
    """Return load, demand over what the clocked accelerators can serve, and the year solved at that load.

    Hours are taken in order of load, a part of the year at a time: alike hours warm-start each other, and only the
    busiest parts, where caps and throttling act, have to be solved again.
    """
    demand = np.stack([pool.work_per_s for pool in pools], axis=1)
    nominal = np.array([pool.capacity_per_s for pool in pools])
    load = _over(demand, np.broadcast_to(nominal, demand.shape))
    parts = Parts(weather.n_elements)
    in_order = np.argsort(np.minimum(load, 1.0) @ np.maximum(nominal, 1e-12), kind="stable")
    if not is_compiled():
        progress(COMPILING, 0.2)
    for k, hours in enumerate(np.array_split(in_order, N_PARTS)):

        def report(done: int, total: int, k: int = k) -> None:
            progress("power and cooling", 0.2 + 0.65 * (k + done / total) / N_PARTS)

        outdoors = Weather(*(getattr(weather, entry.name)[hours] for entry in fields(weather)))
        load[hours], part = solve_hours(site, feeds, pools, outdoors, demand[hours], load[hours], report)
        refuse_unsolved(part)
        parts.add(hours, part)
    return load, parts.result()


def solve_hours(
    site: SiteArrays,
    feeds: SiteFeeds,
    pools: list[Pool],
    weather: Weather,
    demand_per_s: FloatArray,
    load_frac: FloatArray,
    progress: Callable[[int, int], None] | None = None,
    *,
    failures: Failures | None = None,
    keep_rack_channels: bool = False,
) -> tuple[FloatArray, CoupledResult]:
    """Return load and result of some hours, arrays of shape (n_hours, n_pools), at loads that agree with the clocks.

    A slower clock makes the same demand a higher load, which draws more power and may slow the clock further; both
    settle because a clock falls by far less than the load that it answers to. So does what failures leave running.
    Hours without a solution are NaN, and keep the load that they were given.
    """
    nominal = np.array([pool.capacity_per_s for pool in pools])
    load = load_frac
    for _ in range(MAX_LOAD_PASSES):
        coupled = solve_coupled(
            site,
            np.minimum(load, 1.0),
            weather,
            feeds=feeds,
            failures=failures,
            keep_rack_channels=keep_rack_channels,
            progress=progress,
        )
        speed = np.column_stack([pool.speed(coupled.pool_clock_frac[:, i]) for i, pool in enumerate(pools)])
        again = _over(demand_per_s, nominal * speed * coupled.pool_available_frac)
        again = np.where(np.isnan(again), load, again)
        moved = np.max(np.abs(np.minimum(again, 1.0) - np.minimum(load, 1.0)))
        load = again
        if moved < LOAD_TOLERANCE:
            break
    return load, coupled


def refuse_unsolved(coupled: CoupledResult) -> None:
    """Raise ValueError if an hour has no solution: naming how many, the first and why."""
    failed = np.flatnonzero(coupled.report.reasons != Reason.CONVERGED)
    if failed.size:
        why = {
            Reason.NOT_CONVERGED: "temperatures did not settle",
            Reason.NO_STEADY_STATE: "leakage outruns the cooling even with everything over its limit switched off",
        }[Reason(int(coupled.report.reasons[failed[0]]))]
        raise ValueError(
            f"{failed.size} of {coupled.report.reasons.size} hours have no steady state, first hour {failed[0]}: "
            f"{why}. Give the racks more coolant, the CDUs more units or the plant more capacity."
        )


def _over(demand: FloatArray, capacity: FloatArray) -> FloatArray:
    """Return demand over capacity; where nothing runs, any demand is a full load."""
    full = (demand > 0).astype(float)
    return np.divide(demand, capacity, out=full, where=capacity > 0)
