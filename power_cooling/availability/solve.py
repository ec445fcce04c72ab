"""Token capacity over years of failures and repairs: the exact distribution, what each component costs, Monte Carlo.

How to call it (stable)::

    power = Subsystem("power", RepairableGroups(names=("UPS", "busway"), units=[4, 8], failures_per_year=[0.035, 0.02],
                      repair_h=[8, 13], common_cause_frac=0.02), capacity_frac)
    result = solve_availability((power, cooling, compute), tokens_per_s=2.1e6)
    draw = simulate_availability((power, cooling, compute), n_years=4000, rng=np.random.default_rng(1))

A subsystem is a set of groups of alike repairable units, and the share of the site's token capacity that is left for
each number of failed units in each group: ``capacity_frac(failed: (n_states, n_groups) int) -> (n_states,)``. It is
called once with every state that matters, so that a failure enumeration or the coupled solver can answer them together;
`capacity_functions` makes one from arrays or from a table of solved states. Subsystems fail independently of each other
and the site's capacity is the least of theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from power_cooling.availability.capacity_functions import unit_codes
from power_cooling.availability.draws import draw_years
from power_cooling.availability.kernels import disturbances_per_h
from power_cooling.availability.repairable import FloatArray, IntArray, RepairableGroups, Subsystem
from power_cooling.availability.states import (
    FULL,
    StateTable,
    outages,
    rows_without_plans,
    tabulate,
)
from power_cooling.site_facts.calendar import HOURS_PER_YEAR

__all__ = [
    "AvailabilityDraw",
    "AvailabilityResult",
    "RepairableGroups",
    "Subsystem",
    "simulate_availability",
    "solve_availability",
]

ASSUMED_INTERRUPTION_FRAC = 0.01  # of token capacity lost, at least: chips that throttle a little lose less
_QUIET = 1e-10  # a subsystem degraded for less than this share of time (3 ms a year) is not drawn state by state


@dataclass(frozen=True, slots=True, eq=False)
class AvailabilityResult:
    """Long-run token capacity. Component arrays are in the order of `component_names`."""

    availability_frac: float  # expected share of token capacity, event losses included
    lost_h_per_year: float  # expected hours of full capacity lost
    event_lost_h_per_year: float  # part of it from restarts and rolled-back work
    lost_tokens_per_year: float  # NaN without tokens_per_s
    capacity_frac: FloatArray  # (n_levels,), rising
    probability: FloatArray  # (n_levels,) of each level
    interruptions_per_year: float  # losses of ASSUMED_INTERRUPTION_FRAC or more, ride-through not counted
    mean_interruption_h: float
    subsystem_names: tuple[str, ...]
    subsystem_availability_frac: FloatArray  # (n_subsystems,), expected capacity of each alone
    component_names: tuple[str, ...]  # "subsystem: group"
    component_failures_per_year: FloatArray
    component_lost_h_per_year: FloatArray  # what would be regained if the group never failed
    component_gain_h_per_year: FloatArray  # what one more unit of the group would regain
    planned_lost_h_per_year: float  # what would be regained without planned outages
    unexplored_frac: float  # probability of states left out; they count as no capacity

    def capacity_percentile(self, share: float) -> float:
        """Return the capacity that is reached or exceeded all but `share` of the time."""
        return float(self.capacity_frac[np.searchsorted(np.cumsum(self.probability), share)])


def solve_availability(
    subsystems: tuple[Subsystem, ...], *, tokens_per_s: float = np.nan, max_states: int = 50_000
) -> AvailabilityResult:
    """Return the long-run distribution of token capacity, and what each group costs.

    Parameters
    ----------
    subsystems : tuple of Subsystem
    tokens_per_s : float
        Tokens per second at full capacity, for `lost_tokens_per_year`.
    max_states : int
        Most failure states of one subsystem. Those with most failures are left out first; their probability is
        reported and counts as no capacity.

    Raises
    ------
    ValueError
        If a capacity function returns another shape, NaN, or less than 0 or more than 1; names the subsystem.
    """
    if not subsystems:
        raise ValueError("at least one subsystem is needed")
    tables = [tabulate(subsystem, max_states) for subsystem in subsystems]
    levels = np.unique(np.concatenate([[0.0, 1.0], *(table.capacity for table in tables)]))
    exceed = np.array([_exceedance(levels, table) for table in tables])
    # A subsystem alone against all others: what the site serves where this one leaves capacity c is the integral of
    # the others' chance to exceed each level up to c.
    lost_frac = float(np.diff(levels) @ (1 - np.prod(exceed[:, 1:], axis=0)))
    event_h = sum(float(table.event_h.sum()) for table in tables)
    names, failures, lost, gain, planned_lost = [], [], [], [], 0.0
    for at, table in enumerate(tables):
        groups = table.subsystem.groups
        others = np.prod(np.delete(exceed, at, axis=0), axis=0)
        served = np.concatenate([[0.0], np.cumsum(np.diff(levels) * others[1:])])
        short = (served[-1] - served[np.searchsorted(levels, table.capacity)]) * (1 - table.ridden)
        planned_lost += _planned_lost_frac(table, short) * HOURS_PER_YEAR
        for column, (name, pmf) in enumerate(zip(groups.names, table.pmfs, strict=False)):
            # The column's own value re-weighted, all else as it is.
            by_value = np.bincount(table.states[:, column], table.probability * short, minlength=pmf.size)
            given = np.divide(by_value, pmf, out=np.zeros_like(pmf), where=pmf > 0)
            usual = float(by_value.sum())
            names.append(f"{table.subsystem.name}: {name}")
            failures.append(table.failures_per_year[column])
            lost.append(HOURS_PER_YEAR * max(0.0, usual - given[0]) + table.event_h[column])
            spared = groups.pmf(column, extra_units=1)
            with_spare = (spared[0] + spared[1]) * given[0] + float(spared[2:] @ given[1:])
            gain.append(HOURS_PER_YEAR * max(0.0, usual - with_spare))
    joint = np.prod(exceed, axis=0)
    probability = joint - np.append(joint[1:], 0.0)
    held = probability > 0
    interruptions, undisturbed = _interruptions(tables)
    lost_h = HOURS_PER_YEAR * lost_frac + event_h
    return AvailabilityResult(
        availability_frac=1 - lost_h / HOURS_PER_YEAR,
        lost_h_per_year=lost_h,
        event_lost_h_per_year=event_h,
        lost_tokens_per_year=lost_h * 3600.0 * tokens_per_s,
        capacity_frac=levels[held],
        probability=probability[held],
        interruptions_per_year=interruptions,
        mean_interruption_h=HOURS_PER_YEAR * (1 - undisturbed) / interruptions if interruptions > 0 else 0.0,
        subsystem_names=tuple(subsystem.name for subsystem in subsystems),
        subsystem_availability_frac=1 - (1 - exceed[:, 1:]) @ np.diff(levels),
        component_names=tuple(names),
        component_failures_per_year=np.array(failures),
        component_lost_h_per_year=np.array(lost),
        component_gain_h_per_year=np.array(gain),
        planned_lost_h_per_year=planned_lost,
        unexplored_frac=float(sum(table.unexplored for table in tables)),
    )


def _exceedance(levels: FloatArray, table: StateTable) -> FloatArray:
    """Return the probability that a subsystem leaves each level or more; states left out leave nothing."""
    short = table.probability * (1 - table.ridden)
    mass = np.bincount(np.searchsorted(levels, table.capacity), short, minlength=levels.size)
    exceed = 1 - table.unexplored - np.concatenate([[0.0], np.cumsum(mass)[:-1]])
    exceed[0] = 1.0
    return np.clip(exceed, 0.0, 1.0)


def _planned_lost_frac(table: StateTable, short: FloatArray) -> float:
    """Return what states with planned outages lose beyond the same failures without."""
    planned = np.flatnonzero(table.states[:, len(table.subsystem.groups.names) :].any(axis=1))
    alone = rows_without_plans(table, planned)
    known = alone >= 0
    more = short[planned[known]] - short[alone[known]]
    return float(table.probability[planned[known]] @ np.maximum(more, 0.0))


def _interruptions(tables: list[StateTable]) -> tuple[float, float]:
    """Return how often a year the site is interrupted, and the share of time in which it is not."""
    frequencies, shares = [], []
    for table in tables:
        probability, undisturbed = table.probability, table.capacity > 1 - ASSUMED_INTERRUPTION_FRAC
        rate = 0.0
        steps, n_groups = unit_codes(table.states.shape[1]), len(table.subsystem.groups.names)
        plans = table.states[:, n_groups:].astype(np.uint64) @ steps[n_groups:]
        for moves in outages(table.subsystem.groups, table.states):
            step, fails = steps[moves.column], moves.column < n_groups
            rate += disturbances_per_h(
                table.codes, table.places, plans, probability, undisturbed, moves.jump, moves.per_h, step, fails
            )
        frequencies.append(rate)
        shares.append(float(probability[undisturbed].sum()))
    all_undisturbed = float(np.prod(shares))
    others = [all_undisturbed / share if share > 0 else 0.0 for share in shares]
    return HOURS_PER_YEAR * float(np.dot(frequencies, others)), all_undisturbed


@dataclass(frozen=True, slots=True, eq=False)
class AvailabilityDraw:
    """Simulated years. Arrays have shape (n_years,)."""

    availability_frac: float
    standard_error_frac: float  # of availability_frac, from the scatter of years
    lost_h: FloatArray  # hours of full capacity lost in each year
    lost_h_mean: float
    lost_h_p95: float
    failures: IntArray  # unplanned failures of any unit
    lost_tokens_p95: float  # NaN without tokens_per_s


def simulate_availability(
    subsystems: tuple[Subsystem, ...],
    *,
    n_years: int,
    rng: np.random.Generator,
    tokens_per_s: float = np.nan,
    block_years: int = 2000,
) -> AvailabilityDraw:
    """Draw years of failures and repairs, each starting in the steady state.

    All years of a block run in step: one vectorised draw per event of the busiest year. Capacity is asked for once for
    each distinct state that occurred. Of a subsystem that is practically never degraded (spare units beyond any likely
    number of failures) only the number of failures is drawn, for their event losses.

    Parameters
    ----------
    subsystems : tuple of Subsystem
    n_years : int
        Years drawn, independent of each other.
    rng : numpy Generator
    tokens_per_s : float
        Tokens per second at full capacity.
    block_years : int
        Years held in memory at a time.
    """
    if n_years < 2:
        raise ValueError(f"n_years is {n_years}; a standard error needs at least 2")
    tables = [tabulate(subsystem, 2_000) for subsystem in subsystems]
    quiet = [table for table in tables if _degraded_frac(table) < _QUIET]
    drawn = [table for table in tables if _degraded_frac(table) >= _QUIET]
    blocks = [draw_years(drawn, min(block_years, n_years - first), rng) for first in range(0, n_years, block_years)]
    lost = np.concatenate([block[0] for block in blocks])
    failures = np.concatenate([block[1] for block in blocks])
    for table in quiet:
        counts = rng.poisson(table.failures_per_year, (n_years, table.failures_per_year.size))
        failures += counts.sum(axis=1)
        lost += counts @ table.subsystem.groups.event_loss_h
    p95 = float(np.percentile(lost, 95))
    return AvailabilityDraw(
        availability_frac=1 - float(lost.mean()) / HOURS_PER_YEAR,
        standard_error_frac=float(lost.std(ddof=1)) / np.sqrt(n_years) / HOURS_PER_YEAR,
        lost_h=lost,
        lost_h_mean=float(lost.mean()),
        lost_h_p95=p95,
        failures=failures,
        lost_tokens_p95=p95 * 3600.0 * tokens_per_s,
    )


def _degraded_frac(table: StateTable) -> float:
    return float(table.probability[table.capacity < FULL].sum()) + table.unexplored
