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
from numpy.typing import NDArray

from power_cooling.capacity_functions import CapacityFunction, unit_codes
from power_cooling.reliability import HOURS_PER_YEAR, failed_units_pmf

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_FULL = 1 - 1e-12  # capacities from here on count as undisturbed
_NEGLIGIBLE = 1e-13  # probability of all states left out of an enumeration
_QUIET = 1e-10  # a subsystem degraded for less than this share of time (3 ms a year) is not drawn state by state


@dataclass(frozen=True, slots=True, eq=False)
class RepairableGroups:
    """Groups of alike units. Arrays have shape (n_groups,); a scalar is spread over all groups."""

    names: tuple[str, ...]
    units: IntArray
    failures_per_year: FloatArray  # of one unit
    repair_h: FloatArray  # mean, restart of the unit included
    common_cause_frac: FloatArray = 0.0  # beta: share of a unit's failures that takes the whole group
    crews: IntArray = 0  # repairs at the same time; 0 for as many as units
    maintenance_per_year: FloatArray = 0.0  # planned outages of one unit
    maintenance_h: FloatArray = 0.0  # mean length of one
    event_loss_h: FloatArray = 0.0  # of the site's full capacity, by each unplanned failure beside its repair

    def __post_init__(self) -> None:
        n = len(self.names)
        for field in self.__slots__[1:]:
            is_count = field in ("units", "crews")
            given = np.asarray(getattr(self, field), dtype=np.int64 if is_count else np.float64)
            if given.ndim > 1 or (given.ndim == 1 and given.shape != (n,)):
                raise ValueError(f"RepairableGroups.{field} has shape {given.shape}; ({n},) is needed")
            values = np.broadcast_to(given, (n,)).copy()
            least = 1 if field == "units" else 0
            above = field == "repair_h"
            wrong = ~np.isfinite(values) | (values < least) | (above & (values <= 0))
            if field == "common_cause_frac":
                wrong |= values > 1
            if np.any(wrong):
                at = int(np.flatnonzero(wrong)[0])
                allowed = "in [0, 1]" if field == "common_cause_frac" else f"{'above' if above else 'at least'} {least}"
                raise ValueError(f"RepairableGroups.{field}[{self.names[at]}] is {values[at]}; must be {allowed}")
            values.setflags(write=False)
            object.__setattr__(self, field, values)
        if len(set(self.names)) < n:
            raise ValueError(
                f"RepairableGroups.names has {next(x for x in self.names if self.names.count(x) > 1)!r} twice"
            )

    @property
    def outages_per_h(self) -> FloatArray:
        """Failures and planned outages of one unit [1/h]."""
        return (self.failures_per_year + self.maintenance_per_year) / HOURS_PER_YEAR

    @property
    def repairs_per_h(self) -> FloatArray:
        """One over the mean length of failures and planned outages, weighted by their rates [1/h]."""
        total = self.failures_per_year + self.maintenance_per_year
        hours = self.failures_per_year * self.repair_h + self.maintenance_per_year * self.maintenance_h
        mean_h = np.divide(hours, total, out=self.repair_h.copy(), where=total > 0)
        return 1 / np.maximum(mean_h, 1e-9)

    @property
    def common_frac(self) -> FloatArray:
        """Common-cause share of all outages; planned ones have no common cause."""
        total = self.failures_per_year + self.maintenance_per_year
        return np.divide(
            self.common_cause_frac * self.failures_per_year, total, out=np.zeros_like(total), where=total > 0
        )

    def pmf(self, group: int, *, extra_units: int = 0) -> FloatArray:
        """Return the probability of 0 … units failed units of a group, shape (units + extra_units + 1,)."""
        return failed_units_pmf(
            int(self.units[group]) + extra_units,
            float(self.outages_per_h[group]),
            float(self.repairs_per_h[group]),
            int(self.crews[group]) or None,
            float(self.common_frac[group]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Subsystem:
    """Groups whose failures act together on capacity."""

    name: str
    groups: RepairableGroups
    capacity_frac: CapacityFunction
    ride_through_s: float = 0.0  # of each degraded state; shorter ones cost nothing, longer ones only what is beyond

    def __post_init__(self) -> None:
        if not (np.isfinite(self.ride_through_s) and self.ride_through_s >= 0):
            raise ValueError(f"Subsystem {self.name!r}: ride_through_s is {self.ride_through_s:g}; must be at least 0")


@dataclass(frozen=True, slots=True, eq=False)
class AvailabilityResult:
    """Long-run token capacity. Component arrays are in the order of `component_names`."""

    availability_frac: float  # expected share of token capacity, event losses included
    lost_h_per_year: float  # expected hours of full capacity lost
    event_lost_h_per_year: float  # part of it from restarts and rolled-back work
    lost_tokens_per_year: float  # NaN without tokens_per_s
    capacity_frac: FloatArray  # (n_levels,), rising
    probability: FloatArray  # (n_levels,) of each level
    interruptions_per_year: float  # times the site leaves full capacity, ride-through not counted
    mean_interruption_h: float
    subsystem_names: tuple[str, ...]
    subsystem_availability_frac: FloatArray  # (n_subsystems,), expected capacity of each alone
    component_names: tuple[str, ...]  # "subsystem: group"
    component_failures_per_year: FloatArray
    component_lost_h_per_year: FloatArray  # what would be regained if the group never failed
    component_gain_h_per_year: FloatArray  # what one more unit of the group would regain
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
    tables = [_tabulate(subsystem, max_states) for subsystem in subsystems]
    levels = np.unique(np.concatenate([[0.0, 1.0], *(table.capacity for table in tables)]))
    exceed = np.array([_exceedance(levels, table) for table in tables])
    # A subsystem alone against all others: what the site serves where this one leaves capacity c is the integral of
    # the others' chance to exceed each level up to c.
    lost_frac = float(np.diff(levels) @ (1 - np.prod(exceed[:, 1:], axis=0)))
    event_h = sum(float(table.event_h.sum()) for table in tables)
    names, failures, lost, gain = [], [], [], []
    for at, table in enumerate(tables):
        groups = table.subsystem.groups
        others = np.prod(np.delete(exceed, at, axis=0), axis=0)
        served = np.concatenate([[0.0], np.cumsum(np.diff(levels) * others[1:])])
        short = (served[-1] - served[np.searchsorted(levels, table.capacity)]) * (1 - table.ridden)
        for g, name in enumerate(groups.names):
            pmf, spared = table.pmfs[g], groups.pmf(g, extra_units=1)
            # The group's own number of failed units re-weighted, all else as it is.
            by_failed = np.bincount(table.states[:, g], table.probability * short, minlength=pmf.size)
            given = np.divide(by_failed, pmf, out=np.zeros_like(pmf), where=pmf > 0)
            usual = float(by_failed.sum())
            names.append(f"{table.subsystem.name}: {name}")
            failures.append(table.failures_per_year[g])
            lost.append(HOURS_PER_YEAR * max(0.0, usual - given[0]) + table.event_h[g])
            with_spare = (spared[0] + spared[1]) * given[0] + float(spared[2:] @ given[1:])
            gain.append(HOURS_PER_YEAR * max(0.0, usual - with_spare))
    joint = np.prod(exceed, axis=0)
    probability = joint - np.append(joint[1:], 0.0)
    held = probability > 0
    interruptions, full = _interruptions(tables)
    lost_h = HOURS_PER_YEAR * lost_frac + event_h
    return AvailabilityResult(
        availability_frac=1 - lost_h / HOURS_PER_YEAR,
        lost_h_per_year=lost_h,
        event_lost_h_per_year=event_h,
        lost_tokens_per_year=lost_h * 3600.0 * tokens_per_s,
        capacity_frac=levels[held],
        probability=probability[held],
        interruptions_per_year=interruptions,
        mean_interruption_h=HOURS_PER_YEAR * (1 - full) / interruptions if interruptions > 0 else 0.0,
        subsystem_names=tuple(subsystem.name for subsystem in subsystems),
        subsystem_availability_frac=1 - (1 - exceed[:, 1:]) @ np.diff(levels),
        component_names=tuple(names),
        component_failures_per_year=np.array(failures),
        component_lost_h_per_year=np.array(lost),
        component_gain_h_per_year=np.array(gain),
        unexplored_frac=float(sum(table.unexplored for table in tables)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """The enumerated states of a subsystem."""

    subsystem: Subsystem
    pmfs: list[FloatArray]
    states: IntArray  # (n_states, n_groups), sorted by code
    codes: NDArray[np.uint64]
    probability: FloatArray  # (n_states,)
    capacity: FloatArray  # (n_states,)
    ridden: FloatArray  # (n_states,), share of a degraded state's time that storage covers
    unexplored: float
    failures_per_year: FloatArray  # (n_groups,), unplanned
    event_h: FloatArray  # (n_groups,), capacity-hours per year


def _capacity(subsystem: Subsystem, states: IntArray) -> FloatArray:
    capacity = np.asarray(subsystem.capacity_frac(states), dtype=np.float64)
    if capacity.shape != (states.shape[0],):
        raise ValueError(
            f"capacity of subsystem {subsystem.name!r} has shape {capacity.shape}; ({states.shape[0]},) needed"
        )
    wrong = ~((capacity >= -1e-9) & (capacity <= 1 + 1e-9))
    if np.any(wrong):
        at = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"capacity of subsystem {subsystem.name!r} with {states[at].tolist()} failed units is {capacity[at]:g}; "
            "must be in [0, 1]"
        )
    return np.clip(capacity, 0.0, 1.0)


def _tabulate(subsystem: Subsystem, max_states: int) -> _Table:
    groups = subsystem.groups
    n_groups = len(groups.names)
    pmfs = [groups.pmf(g) for g in range(n_groups)]
    states = _likely_states(pmfs, max_states)
    codes = states.astype(np.uint64) @ unit_codes(n_groups)
    order = np.argsort(codes)
    states, codes = states[order], codes[order]
    probability = np.prod([pmf[states[:, g]] for g, pmf in enumerate(pmfs)], axis=0)
    capacity = _capacity(subsystem, states)
    running = groups.units - states
    crews = np.where(groups.crews > 0, groups.crews, groups.units)
    leaving = (running * (1 - groups.common_frac) + (running > 0) * groups.common_frac) @ groups.outages_per_h
    leaving += np.minimum(states, crews) @ groups.repairs_per_h
    ridden = -np.expm1(-leaving * subsystem.ride_through_s / 3600.0)
    unplanned = groups.failures_per_year / HOURS_PER_YEAR
    mean_running = np.array([pmf @ np.arange(pmf.size - 1, -1, -1) for pmf in pmfs])
    any_running = np.array([1 - pmf[-1] for pmf in pmfs])
    left_out = 1 - float(probability.sum())
    # Events: a common cause is one event, however many units it takes.
    events = mean_running * (1 - groups.common_cause_frac) + any_running * groups.common_cause_frac
    failures_per_year = events * unplanned * HOURS_PER_YEAR
    return _Table(
        subsystem,
        pmfs,
        states,
        codes,
        probability,
        capacity,
        np.where(capacity < _FULL, ridden, 0.0),
        left_out if left_out > 1e-12 else 0.0,  # the rest is rounding
        failures_per_year,
        failures_per_year * groups.event_loss_h,
    )


def _likely_states(pmfs: list[FloatArray], max_states: int) -> IntArray:
    """Return the joint states, the least likely left out where they are negligible or too many."""
    kept = np.zeros((1, 0), dtype=np.int64)
    weight = np.ones(1)
    for pmf in pmfs:
        flat = (weight[:, None] * pmf[None, :]).ravel()
        if flat.size > max_states:
            floor = max(_NEGLIGIBLE / (flat.size * len(pmfs)), np.partition(flat, -max_states)[-max_states])
            chosen = np.flatnonzero(flat >= floor)
        else:
            chosen = np.flatnonzero(flat > _NEGLIGIBLE**2)
        row, failed = np.divmod(chosen, pmf.size)
        kept = np.column_stack([kept[row], failed])
        weight = flat[chosen]
    return kept


def _exceedance(levels: FloatArray, table: _Table) -> FloatArray:
    """Return the probability that a subsystem leaves each level or more; states left out leave nothing."""
    short = table.probability * (1 - table.ridden)
    mass = np.bincount(np.searchsorted(levels, table.capacity), short, minlength=levels.size)
    exceed = 1 - table.unexplored - np.concatenate([[0.0], np.cumsum(mass)[:-1]])
    exceed[0] = 1.0
    return np.clip(exceed, 0.0, 1.0)


def _interruptions(tables: list[_Table]) -> tuple[float, float]:
    """Return how often a year the site leaves full capacity, and the share of time at full capacity."""
    frequencies, fulls = [], []
    for table in tables:
        groups = table.subsystem.groups
        probability, full = table.probability, table.capacity >= _FULL
        rate = 0.0
        for g in range(len(groups.names)):
            running = groups.units[g] - table.states[:, g]
            alone = running * (1 - groups.common_frac[g]) * groups.outages_per_h[g]
            common = (running > 0) * groups.common_frac[g] * groups.outages_per_h[g]
            for jump, chance in ((np.ones_like(running), alone), (running, common)):
                rows = full & (chance > 0)
                to = table.codes[rows] + jump[rows].astype(np.uint64) * unit_codes(len(groups.names))[g]
                at = np.minimum(np.searchsorted(table.codes, to), table.codes.size - 1)
                degraded = (table.codes[at] != to) | ~full[at]
                rate += float((probability[rows] * chance[rows]) @ degraded)
        frequencies.append(rate)
        fulls.append(float(probability[full].sum()))
    share = float(np.prod(fulls))
    others = [share / full if full > 0 else 0.0 for full in fulls]
    return HOURS_PER_YEAR * float(np.dot(frequencies, others)), share


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
    tables = [_tabulate(subsystem, 2_000) for subsystem in subsystems]
    quiet = [table for table in tables if _degraded_frac(table) < _QUIET]
    drawn = tuple(table.subsystem for table in tables if _degraded_frac(table) >= _QUIET)
    blocks = [_draw_years(drawn, min(block_years, n_years - first), rng) for first in range(0, n_years, block_years)]
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


def _degraded_frac(table: _Table) -> float:
    return float(table.probability[table.capacity < _FULL].sum()) + table.unexplored


def _draw_years(subsystems: tuple[Subsystem, ...], n: int, rng: np.random.Generator) -> tuple[FloatArray, IntArray]:
    """Return lost capacity-hours and failures of `n` years."""
    lost, failures = np.zeros(n), np.zeros(n, dtype=np.int64)
    # Events of all groups: year, hour, subsystem (-1: a mark that only splits an interval), group, change.
    events: list[tuple[NDArray, ...]] = []
    for at, subsystem in enumerate(subsystems):
        groups, ride_h = subsystem.groups, subsystem.ride_through_s / 3600.0
        for g in range(len(groups.names)):
            years, hours, changes, unplanned = _draw_group(groups, g, n, rng)
            lost += unplanned * groups.event_loss_h[g]
            failures += unplanned
            events.append((years, hours, np.full(years.size, at), np.full(years.size, g), changes))
            if ride_h > 0:
                marked = hours + ride_h < HOURS_PER_YEAR
                events.append(_marks(years[marked], hours[marked] + ride_h))
    events.append(_marks(np.arange(n), np.full(n, HOURS_PER_YEAR)))
    years, hours, of, group, changes = (np.concatenate(part) for part in zip(*events, strict=True))
    order = np.lexsort((hours, years))
    years, hours, of, group, changes = years[order], hours[order], of[order], group[order], changes[order]
    length = np.diff(hours, append=HOURS_PER_YEAR)
    length[np.append(years[1:] != years[:-1], True)] = 0.0
    lasting = np.flatnonzero(length > 0)
    clock = years * HOURS_PER_YEAR + hours
    least = np.ones(lasting.size)
    for at, subsystem in enumerate(subsystems):
        own = of == at
        n_groups = len(subsystem.groups.names)
        moved = np.where(own, changes, 0).astype(np.uint64) * np.where(own, unit_codes(n_groups)[group * own], 0)
        _, first, index = np.unique(np.cumsum(moved)[lasting], return_index=True, return_inverse=True)
        states = np.empty((first.size, n_groups), dtype=np.int64)
        for g in range(n_groups):
            rows = np.flatnonzero(own & (group == g))
            counts = np.cumsum(changes[rows])  # each year begins with the change from the year before
            states[:, g] = counts[np.searchsorted(rows, lasting[first], side="right") - 1]
        capacity = _capacity(subsystem, states)[index]
        if subsystem.ride_through_s > 0:
            since = np.maximum.accumulate(np.where(own, clock, -np.inf))[lasting]
            # A microsecond of slack: the mark was rounded when it was added to the hour of the change.
            rounding = 1e-13 * n * HOURS_PER_YEAR + 1e-9 / 3.6
            ridden = clock[lasting] < since + subsystem.ride_through_s / 3600.0 - rounding
            capacity[ridden] = 1.0
        least = np.minimum(least, capacity)
    years, length = years[lasting], length[lasting]
    lost += np.bincount(years, length * (1 - least), minlength=n)
    return lost, failures


def _marks(years: IntArray, hours: FloatArray) -> tuple[NDArray, ...]:
    """Return events that change nothing but end the interval before them."""
    nothing = np.zeros(years.size, dtype=np.int64)
    return years, hours, nothing - 1, nothing, nothing


def _draw_group(
    groups: RepairableGroups, g: int, n: int, rng: np.random.Generator
) -> tuple[IntArray, FloatArray, IntArray, IntArray]:
    """Return years, hours and changes of failed units of a group's events, and unplanned failures per year.

    Each year begins with an event at hour 0 that sets the state, as the change from the last state of the year before.
    """
    units = int(groups.units[g])
    outage, repair, common = groups.outages_per_h[g], groups.repairs_per_h[g], groups.common_frac[g]
    crews = int(groups.crews[g]) or units
    failed = np.searchsorted(np.cumsum(groups.pmf(g)), rng.random(n), side="right").clip(0, units)
    start = failed.copy()
    clock = np.zeros(n)
    unplanned = np.zeros(n, dtype=np.int64)
    planned_share = 0.0
    total = groups.failures_per_year[g] + groups.maintenance_per_year[g]
    if total > 0:
        planned_share = groups.maintenance_per_year[g] / total
    alone_planned = planned_share / (1 - common) if common < 1 else 0.0
    years, hours, changes = [], [], []
    active = np.arange(n)
    while active.size:
        state = failed[active]
        running = units - state
        alone = running * (1 - common) * outage
        together = (running > 0) * common * outage
        mended = np.minimum(state, crews) * repair
        rate = alone + together + mended
        with np.errstate(divide="ignore"):
            clock[active] += rng.standard_exponential(active.size) / rate
        within = clock[active] < HOURS_PER_YEAR
        active, state, running = active[within], state[within], running[within]
        pick = rng.random(active.size) * rate[within]
        is_repair = pick < mended[within]
        is_common = ~is_repair & (pick >= mended[within] + alone[within])
        change = np.where(is_repair, -1, np.where(is_common, running, 1))
        failed[active] = state + change
        planned = ~is_repair & ~is_common & (rng.random(active.size) < alone_planned)
        np.add.at(unplanned, active[~is_repair & ~planned], 1)
        years.append(active)
        hours.append(clock[active].copy())
        changes.append(change)
    first = start - np.concatenate([[0], failed[:-1]])
    return (
        np.concatenate([np.arange(n), *years]),
        np.concatenate([np.zeros(n), *hours]),
        np.concatenate([first, *changes]),
        unplanned,
    )
