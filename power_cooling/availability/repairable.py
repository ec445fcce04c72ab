"""What fails, is maintained and is repaired: groups of alike units, and subsystems of groups that act together.

Units fail one by one, or a whole group by a common cause, and are repaired by crews. Crews of a group work on it alone;
those of a subsystem are shared by all its groups and spend equal time on everything that is broken. Planned outages
follow a calendar: one unit at a time, whatever else is broken meanwhile, so that a spare unit covers each of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from power_cooling.availability.capacity_functions import CapacityFunction
from power_cooling.availability.reliability import failed_units_pmf
from power_cooling.site_facts.calendar import HOURS_PER_YEAR

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def _zero() -> FloatArray:
    return np.zeros(())


def _none() -> IntArray:
    return np.zeros((), dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class RepairableGroups:
    """Groups of alike units. Arrays have shape (n_groups,); a scalar is spread over all groups."""

    names: tuple[str, ...]
    units: IntArray
    failures_per_year: FloatArray  # of one unit
    repair_h: FloatArray  # mean, restart of the unit included
    common_cause_frac: FloatArray = field(
        default_factory=_zero
    )  # beta: share of a unit's failures that takes the whole group
    crews: IntArray = field(default_factory=_none)  # repairs of the group at the same time; 0 for as many as units
    maintenance_per_year: FloatArray = field(default_factory=_zero)  # planned outages of one unit
    maintenance_h: FloatArray = field(default_factory=_zero)  # mean length of one
    calendar: IntArray = field(
        default_factory=_none
    )  # planned outages of one calendar never coincide, those of several may
    event_loss_h: FloatArray = field(
        default_factory=_zero
    )  # of the site's full capacity, by each unplanned failure beside its repair

    def __post_init__(self) -> None:
        n = len(self.names)
        for name in NUMBERS:
            is_count = name in ("units", "crews", "calendar")
            given = np.asarray(getattr(self, name), dtype=np.int64 if is_count else np.float64)
            if given.ndim > 1 or (given.ndim == 1 and given.shape != (n,)):
                raise ValueError(f"RepairableGroups.{name} has shape {given.shape}; ({n},) is needed")
            values = np.broadcast_to(given, (n,)).copy()
            least = 1 if name == "units" else 0
            above = name == "repair_h"
            wrong = ~np.isfinite(values) | (values < least) | (above & (values <= 0))
            if name == "common_cause_frac":
                wrong |= values > 1
            if np.any(wrong):
                at = int(np.flatnonzero(wrong)[0])
                allowed = "in [0, 1]" if name == "common_cause_frac" else f"{'above' if above else 'at least'} {least}"
                raise ValueError(f"RepairableGroups.{name}[{self.names[at]}] is {values[at]}; must be {allowed}")
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        if len(set(self.names)) < n:
            raise ValueError(
                f"RepairableGroups.names has {next(x for x in self.names if self.names.count(x) > 1)!r} twice"
            )
        for planned in self.calendars():
            filled = float(self.planned_frac[planned].sum())
            if filled >= 1:
                raise ValueError(
                    f"RepairableGroups.calendar {self.calendar[planned[0]]} has planned outages of {filled:.2f} of a "
                    "year; they follow one another, so together they must be below 1"
                )

    @property
    def failures_per_h(self) -> FloatArray:
        """Of one unit [1/h]."""
        return self.failures_per_year / HOURS_PER_YEAR

    @property
    def planned_frac(self) -> FloatArray:
        """Share of the year in which one of the group's units is in a planned outage."""
        return self.units * self.maintenance_per_year * self.maintenance_h / HOURS_PER_YEAR

    def calendars(self) -> list[IntArray]:
        """Return, for each calendar with planned outages, the groups that are on it."""
        on_one = self.planned_frac > 0
        return [np.flatnonzero(on_one & (self.calendar == c)) for c in np.unique(self.calendar[on_one])]

    def pmf(self, group: int, *, extra_units: int = 0) -> FloatArray:
        """Return the probability of 0 … units failed units of a group, shape (units + extra_units + 1,)."""
        return failed_units_pmf(
            int(self.units[group]) + extra_units,
            float(self.failures_per_h[group]),
            1 / float(self.repair_h[group]),
            int(self.crews[group]) or None,
            float(self.common_cause_frac[group]),
        )


#: Fields of `RepairableGroups` that are arrays over its groups.
NUMBERS = tuple(entry.name for entry in fields(RepairableGroups) if entry.name != "names")


@dataclass(frozen=True, slots=True, eq=False)
class Subsystem:
    """Groups whose failures act together on capacity."""

    name: str
    groups: RepairableGroups
    capacity_frac: CapacityFunction
    # (n_groups,) or one for all: storage that covers the loss of the group's units.
    ride_through_s: FloatArray = field(default_factory=_zero)
    # A degraded state is covered as long as the least of its groups; only what is beyond costs anything.
    crews: int = 0  # repairs of all groups at the same time; 0 for as many as are broken

    def __post_init__(self) -> None:
        n = len(self.groups.names)
        ride_s = np.asarray(self.ride_through_s, dtype=np.float64)
        if ride_s.shape not in ((), (n,)):
            raise ValueError(f"Subsystem {self.name!r}: ride_through_s has shape {ride_s.shape}; ({n},) is needed")
        wrong = ~(np.isfinite(ride_s) & (ride_s >= 0))
        if np.any(wrong):
            raise ValueError(
                f"Subsystem {self.name!r}: ride_through_s is {ride_s[wrong].flat[0]:g}; must be at least 0"
            )
        if self.crews < 0:
            raise ValueError(f"Subsystem {self.name!r}: crews is {self.crews}; must be at least 0")
        object.__setattr__(self, "ride_through_s", np.broadcast_to(ride_s, (n,)).copy())

    def repairs_per_h(self, failed: IntArray) -> FloatArray:
        """Return the rate at which each group's failed units are repaired [1/h], of the shape (n_states, n_groups)."""
        busy = np.minimum(failed, np.where(self.groups.crews > 0, self.groups.crews, self.groups.units))
        rate = busy / self.groups.repair_h
        if self.crews:
            rate *= np.minimum(1.0, self.crews / np.maximum(busy.sum(axis=1, keepdims=True), 1))
        return rate
