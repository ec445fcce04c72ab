"""The share of token capacity that failure states leave, solved on the part of the site that each can reach."""

from collections.abc import Callable
from dataclasses import fields

import numpy as np

from power_cooling.availability.capacity_functions import best_switching
from power_cooling.coupled.islands import Islands, failures_in, islands, part_of
from power_cooling.coupled.result import CoupledResult
from power_cooling.coupled.solve import solve_coupled
from power_cooling.site_arrays import FloatArray, SiteArrays, SiteFeeds, Weather
from twin.core.failures.components import Component, State, failures_of
from twin.core.inputs.pools import Pool

STATES_AT_ONCE = 255  # and the sound one: a block of the solver; more would only hold more memory
NO_LOSS_FRAC = 1e-6  # of capacity: what the coupled solver's tolerance leaves of a state that costs nothing
WHOLE_SITE = -1


def capacity_left(
    site: SiteArrays,
    feeds: SiteFeeds,
    pools: list[Pool],
    hot: Weather,
    load_frac: FloatArray,
    found: list[Component],
    states: list[State],
    solve: Callable[..., CoupledResult] = solve_coupled,
) -> tuple[FloatArray, bool]:
    """Return the share of token capacity that each state leaves, shape (n_states,), and whether all converged.

    A state that does not converge counts as a total loss of its island. Operators may switch off what still works: a
    state leaves at least what any of the states with more failures does.

    Parameters
    ----------
    site, feeds : SiteArrays, SiteFeeds
        What the coupled solver solves.
    pools : list of Pool
        Of the layout.
    hot : Weather
        The one element that states are solved in (`inputs.design_hour`); what its heat takes from the site with nothing
        failed is not counted against a failure.
    load_frac : ndarray, shape (n_pools,)
        Load of each pool [-].
    found, states : list
        Of `components` and `failure_states`.
    solve : callable
        Solves as `solve_coupled` does; may keep what it solved before.
    """
    busiest = np.minimum(load_frac.max(axis=0), 1.0)
    sound = solve(site, busiest[None], hot, feeds=feeds)
    parted = islands(site, feeds, np.nan_to_num(sound.feed_load_w[0], nan=np.inf))
    tokens = PoolTokens(site, pools, sound)
    reached = np.array([island_of(parted, found, state) for state in states], dtype=np.int64)
    left, converged = np.zeros(len(states)), sound.report.converged
    for island in np.unique(reached):
        part = (site, feeds) if island == WHOLE_SITE else part_of(site, feeds, parted, island)
        states_of_island = np.flatnonzero(reached == island)
        for block in np.array_split(states_of_island, -(-states_of_island.size // STATES_AT_ONCE)):
            failed = failures_of(site, feeds, found, [states[k] for k in block])
            if island != WHOLE_SITE:
                failed = failures_in(failed, parted, island)
            n = block.size + 1
            outdoors = Weather(*(np.repeat(getattr(hot, entry.name), n) for entry in fields(hot)))
            load = np.broadcast_to(busiest, (n, busiest.size))
            solved = solve(part[0], load, outdoors, feeds=part[1], failures=failed)
            left[block] = tokens.left(part[0], solved)
            converged &= solved.report.converged
    failed_units = np.zeros((len(states), len(found)), dtype=np.int64)
    for k, state in enumerate(states):
        for which, n_out in state.out:
            failed_units[k, which] = n_out
    left = best_switching(failed_units, left)
    return np.where(left > 1 - NO_LOSS_FRAC, 1.0, left), bool(converged)


def island_of(parted: Islands, found: list[Component], state: State) -> int:
    """Return the island that a state's failed units all belong to, `WHOLE_SITE` where there is no such."""
    of_kind = {"feed": parted.nodes, "cdus": parted.groups, "air_units": parted.halls}
    reached = {int(of_kind.get(found[which].kind, parted.plants)[found[which].index]) for which, _ in state.out}
    only = reached.pop() if len(reached) == 1 else WHOLE_SITE
    return max(only, WHOLE_SITE)


class PoolTokens:
    """Tokens per second of the whole site while a part of it is not as in the sound state."""

    def __init__(self, site: SiteArrays, pools: list[Pool], sound: CoupledResult) -> None:
        self.pools = pools
        self.described = accelerators_by_pool(site)
        self.running, self.clocked = (rows[0] for rows in _running(site, sound))
        self.weight = np.array([p.capacity_per_s * p.output_tokens if p.feasible else 0.0 for p in pools])

    def left(self, part: SiteArrays, solved: CoupledResult) -> FloatArray:
        """Return the capacity left by each element of a part but the first, over that with the first, its sound state.

        A pool's clock is the mean of its running accelerators, wherever they stand.
        """
        running, clocked = _running(part, solved)
        running, clocked = self.running + running - running[0], self.clocked + clocked - clocked[0]
        clock = np.divide(clocked, running, out=np.ones_like(running), where=running > 0)
        available = np.divide(running, self.described, out=np.zeros_like(running), where=self.described > 0)
        speed = np.column_stack([p.speed(clock[:, i]) for i, p in enumerate(self.pools)])
        tokens = (np.maximum(available, 0.0) * speed) @ self.weight
        return np.clip(tokens[1:] / (tokens[0] if tokens[0] > 0 else 1.0), 0.0, 1.0)


def accelerators_by_pool(site: SiteArrays) -> FloatArray:
    """Return the accelerators of each pool that a site has, shape (n_pools,)."""
    racks, n_pools = site.racks, site.pools.static_power_w.shape[0]
    served = racks.pool_index >= 0
    accelerators = (racks.count * racks.n_accelerators)[served]
    return np.bincount(racks.pool_index[served], accelerators, minlength=n_pools).astype(np.float64)


def _running(site: SiteArrays, solved: CoupledResult) -> tuple[FloatArray, FloatArray]:
    """Return the running accelerators of each pool and their summed clocks, both of shape (n_elements, n_pools)."""
    running = np.nan_to_num(solved.pool_available_frac) * accelerators_by_pool(site)
    return running, running * np.nan_to_num(solved.pool_clock_frac)
