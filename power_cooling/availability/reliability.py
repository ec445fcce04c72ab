"""Exact reliability of repairable components: k-of-n groups, common cause, series and parallel blocks.

Rates are per hour and repair times in hours, as reliability tables give them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import expm

from power_cooling.site_facts.calendar import HOURS_PER_YEAR

FloatArray = NDArray[np.float64]


def _check_group(units: int, failure_rate_per_h: float, repair_rate_per_h: float, crews: int, common: float) -> None:
    if units < 1 or crews < 1:
        raise ValueError(f"a group has {units} units and {crews} crews; both must be at least 1")
    if not (np.isfinite(failure_rate_per_h) and failure_rate_per_h >= 0):
        raise ValueError(f"failure_rate_per_h is {failure_rate_per_h:g}; must be at least 0")
    if not (np.isfinite(repair_rate_per_h) and repair_rate_per_h > 0):
        raise ValueError(f"repair_rate_per_h is {repair_rate_per_h:g}; must be greater than 0")
    if not 0 <= common <= 1:
        raise ValueError(f"common_cause_frac is {common:g}; must be in [0, 1]")


def failed_units_pmf(
    units: int,
    failure_rate_per_h: float,
    repair_rate_per_h: float,
    crews: int | None = None,
    common_cause_frac: float = 0.0,
) -> FloatArray:
    """Return the steady-state probability of 0 … `units` failed units, shape (units + 1,).

    Each running unit fails alone at (1 - beta) of its rate; a common cause takes all running units at beta of one
    unit's rate. Each crew repairs one unit at a time.

    Parameters
    ----------
    units : int
        Identical units, all running.
    failure_rate_per_h, repair_rate_per_h : float
        Of one unit [1/h].
    crews : int, optional
        Repairs at the same time; by default as many as units.
    common_cause_frac : float
        beta [-].

    Notes
    -----
    Solved by balancing the flows across each cut between j - 1 and j failed units, all terms positive, so that even
    the rarest state keeps its digits.

    References
    ----------
    .. [1] R. E. Barlow, F. Proschan, *Mathematical Theory of Reliability*, 1965, ch. 5 (machine repair problem).
    .. [2] K. N. Fleming, A reliability model for common mode failures, General Atomic GA-A13284, 1974 (beta factor).
    """
    crews = units if crews is None else crews
    _check_group(units, failure_rate_per_h, repair_rate_per_h, crews, common_cause_frac)
    alone = (1 - common_cause_frac) * failure_rate_per_h
    together = common_cause_frac * failure_rate_per_h
    pmf = np.zeros(units + 1)
    pmf[0] = below = 1.0
    for failed in range(1, units + 1):
        inflow = pmf[failed - 1] * (units - failed + 1) * alone + together * below
        pmf[failed] = inflow / (min(failed, crews) * repair_rate_per_h)
        below += pmf[failed]
        if below > 1e200:  # many more failures than repairs: keep the numbers in range
            pmf /= below
            below = 1.0
    return pmf / pmf.sum()


@dataclass(frozen=True, slots=True)
class GroupReliability:
    """A group that needs `needed` of its units."""

    availability_frac: float
    unavailability_frac: float  # summed from the failed states: 1 - availability would lose its digits
    failures_per_h: float  # of the group, not of its units
    mean_outage_h: float
    expected_capacity_frac: float  # mean of min(1, running / needed)


def k_of_n(
    units: int,
    needed: int,
    failure_rate_per_h: float,
    repair_rate_per_h: float,
    crews: int | None = None,
    common_cause_frac: float = 0.0,
) -> GroupReliability:
    """Return availability, frequency and duration of outages of a group that needs `needed` of its units.

    Parameters
    ----------
    units, needed : int
        Identical units, all running, and how many of them carry the load.
    failure_rate_per_h, repair_rate_per_h : float
        Of one unit [1/h].
    crews : int, optional
        Repairs at the same time; by default as many as units.
    common_cause_frac : float
        Beta factor [-].
    """
    if not 1 <= needed <= units:
        raise ValueError(f"needed is {needed}; must be between 1 and units {units}")
    pmf = failed_units_pmf(units, failure_rate_per_h, repair_rate_per_h, crews, common_cause_frac)
    spare = units - needed
    down = float(pmf[spare + 1 :].sum())
    alone = (1 - common_cause_frac) * failure_rate_per_h
    frequency = float(pmf[spare] * needed * alone + common_cause_frac * failure_rate_per_h * pmf[: spare + 1].sum())
    short = np.maximum(0, np.arange(units + 1) - spare) / needed
    return GroupReliability(
        availability_frac=1 - down,
        unavailability_frac=down,
        failures_per_h=frequency,
        mean_outage_h=down / frequency if frequency > 0 else 0.0,
        expected_capacity_frac=1 - float(pmf @ short),
    )


def failed_units_after(
    time_h: float,
    units: int,
    failure_rate_per_h: float,
    repair_rate_per_h: float,
    crews: int | None = None,
    common_cause_frac: float = 0.0,
    failed_at_start: int = 0,
) -> FloatArray:
    """Return the probability of 0 … `units` failed units some time after a known start, shape (units + 1,).

    Parameters
    ----------
    time_h : float
        Time since the start [h].
    units, failure_rate_per_h, repair_rate_per_h, crews, common_cause_frac
        As for `failed_units_pmf`.
    failed_at_start : int
        Failed units at the start.
    """
    crews = units if crews is None else crews
    _check_group(units, failure_rate_per_h, repair_rate_per_h, crews, common_cause_frac)
    if time_h < 0 or not 0 <= failed_at_start <= units:
        raise ValueError(f"time_h is {time_h:g} and failed_at_start {failed_at_start}; at least 0 and at most units")
    failed = np.arange(units)
    generator = np.zeros((units + 1, units + 1))
    generator[failed, failed + 1] = (units - failed) * (1 - common_cause_frac) * failure_rate_per_h
    generator[failed, units] += common_cause_frac * failure_rate_per_h
    generator[failed + 1, failed] = np.minimum(failed + 1, crews) * repair_rate_per_h
    np.fill_diagonal(generator, -generator.sum(axis=1))
    start = np.zeros(units + 1)
    start[failed_at_start] = 1.0
    return start @ expm(generator * time_h)


def unit_availability_frac(
    failure_rate_per_h: ArrayLike, repair_rate_per_h: ArrayLike, time_h: ArrayLike = np.inf
) -> FloatArray:
    """Return the availability of single units after all were new [-], of the broadcast shape.

    Parameters
    ----------
    failure_rate_per_h, repair_rate_per_h : array_like
        Of a unit [1/h].
    time_h : array_like
        Time since all were new [h]; infinite for the long run.
    """
    failure, repair, time = (np.asarray(x, dtype=np.float64) for x in (failure_rate_per_h, repair_rate_per_h, time_h))
    total = failure + repair
    return (repair + failure * np.exp(-total * time)) / total


def unit_reliability_frac(failure_rate_per_h: ArrayLike, time_h: ArrayLike) -> FloatArray:
    """Return the probability that single units have not failed once within `time_h`."""
    return np.exp(-np.asarray(failure_rate_per_h, dtype=np.float64) * np.asarray(time_h, dtype=np.float64))


def series_frac(*blocks: ArrayLike) -> FloatArray:
    """Return the probability that all of the independent blocks work."""
    result = np.ones(())
    for block in blocks:
        result = result * np.asarray(block, dtype=np.float64)
    return result


def parallel_frac(*blocks: ArrayLike) -> FloatArray:
    """Return the probability that at least one of the independent blocks works."""
    return 1 - series_frac(*(1 - np.asarray(block, dtype=np.float64) for block in blocks))


def at_least_frac(needed: int, blocks: ArrayLike) -> FloatArray:
    """Return the probability that at least `needed` of unlike independent blocks work (blocks on the last axis)."""
    working = np.asarray(blocks, dtype=np.float64)
    n_blocks = working.shape[-1]
    if not 1 <= needed <= n_blocks:
        raise ValueError(f"needed is {needed}; must be between 1 and the number of blocks {n_blocks}")
    pmf = np.zeros((*working.shape[:-1], n_blocks + 1))
    pmf[..., 0] = 1.0
    for i in range(n_blocks):
        chance = working[..., i, None]
        moved = pmf * chance
        pmf = pmf * (1 - chance)
        pmf[..., 1:] += moved[..., :-1]
    return pmf[..., needed:].sum(axis=-1)


def series_rate_and_repair(failures_per_year: ArrayLike, repair_h: ArrayLike) -> tuple[float, float]:
    """Return rate [1/yr] and mean repair [h] of blocks in series by IEEE Std 493: λ = Σλ, r = Σλr / λ."""
    rate, repair = np.asarray(failures_per_year, dtype=np.float64), np.asarray(repair_h, dtype=np.float64)
    total = float(rate.sum())
    return total, float(rate @ repair) / total if total > 0 else 0.0


def parallel_rate_and_repair(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    """Return rate [1/yr] and mean repair [h] of two blocks in parallel by IEEE Std 493's approximation.

    λ = λ1·λ2·(r1 + r2)/8760, r = r1·r2/(r1 + r2), each block given as (λ, r).
    """
    together = first[1] + second[1]
    return first[0] * second[0] * together / HOURS_PER_YEAR, first[1] * second[1] / together
