"""A layout at chosen hours with chosen units out of service, solved by the same path as a year's run.

`at_hours` picks hours out of the year, or the hour that a design is judged at; `solve_steady` solves them together with
what is out in each. Knows no Django.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from power_cooling.coupled.result import CoupledResult
from power_cooling.fluids.psychrometrics import wet_bulb_degc
from power_cooling.site_arrays import Failures, FloatArray, Weather
from twin.core.failures.components import Component, State, components, failures_of
from twin.core.failures.kinds import BY_ADDRESS
from twin.core.inputs.design_hour import design_kind, design_weather
from twin.core.results.figures import Served
from twin.core.solve.simulate import solve_hours
from twin.core.solved import Described
from twin.core.text.numbers import date_text

DESIGN = -1  # the hour that a design is judged at: every pool's busiest demand, in the layout's design weather


@dataclass(frozen=True, slots=True)
class Outage:
    """Some units of one described object out of service. Of a CDU group, `row_id` names the first one that is out."""

    kind: str
    row_id: int
    units: int
    which: int  # row of `failures.components`

    def __str__(self) -> str:
        return f"{self.kind}:{self.row_id}:{self.units}"


@dataclass(frozen=True, slots=True, eq=False)
class Steady(Described):
    """Hours of a layout, solved. Arrays over hours have shape (n_hours, …); `weather` and demand are of these hours."""

    hours: tuple[int, ...]  # of the year, or DESIGN
    load_frac: FloatArray
    coupled: CoupledResult
    out: tuple[tuple[Outage, ...], ...]  # per hour
    failures: Failures | None
    of: Described  # the whole year that the hours are of

    @property
    def served(self) -> Served:
        """Tokens and latencies of each hour and pool."""
        return Served(self.pools, self.coupled.pool_clock_frac, self.coupled.pool_available_frac)


def at_hours(year: Described, hours: Sequence[int]) -> Described:
    """Return the layout with the weather and demand of some hours only.

    Parameters
    ----------
    year : Described
        As `simulate.described` gives it.
    hours : sequence of int
        Hours of the year from 0, or DESIGN.

    Raises
    ------
    ValueError
        If an hour is outside the year.
    """
    n = year.weather.n_elements
    for hour in hours:
        if hour != DESIGN and not 0 <= hour < n:
            raise ValueError(f"hours has {hour}; must be design or 0 to {n - 1}")
    at = np.array(hours, dtype=np.int64)
    design = at == DESIGN

    def picked(values: FloatArray, judged_at: float) -> FloatArray:
        return np.where(design, judged_at, values[at])

    weather = year.weather
    judged_in = design_weather(year.inputs, weather) if design.any() else None

    def outdoors(name: str) -> FloatArray:
        values = getattr(weather, name)
        return values[at] if judged_in is None else picked(values, float(getattr(judged_in, name)[0]))

    return replace(
        year,
        weather=Weather(
            dry_bulb_degc=outdoors("dry_bulb_degc"),
            humidity_ratio=outdoors("humidity_ratio"),
            pressure_pa=outdoors("pressure_pa"),
        ),
        pools=[
            replace(
                pool,
                demand_per_s=picked(pool.demand_per_s, float(pool.demand_per_s.max())),
                work_per_s=picked(pool.work_per_s, float(pool.work_per_s.max())),
            )
            for pool in year.pools
        ],
    )


def solve_steady(
    year: Described,
    hours: Sequence[int],
    out: Sequence[Sequence[Outage]] | None = None,
    *,
    keep_racks: bool = True,
) -> Steady:
    """Solve some hours of a layout.

    Parameters
    ----------
    year : Described
    hours : sequence of int
        Hours of the year from 0, or DESIGN.
    out : sequence of sequences of Outage, optional
        What is out of service in each of `hours`.
    keep_racks : bool
        Keep every rack in every hour.

    Raises
    ------
    ValueError
        If an hour is outside the year.

    Notes
    -----
    Hours without a steady state are NaN; `coupled.report` says which and why.
    """
    here = at_hours(year, hours)
    states = tuple(tuple(o) for o in (out or [()] * len(hours)))
    failures = _failures(year, states) if any(states) else None
    demand = np.stack([pool.work_per_s for pool in here.pools], axis=1)
    capacity = np.array([pool.capacity_per_s for pool in here.pools])
    load = np.divide(demand, capacity, out=(demand > 0).astype(float), where=capacity > 0)
    load, coupled = solve_hours(
        here.site, here.feeds, here.pools, here.weather, demand, load, failures=failures, keep_rack_channels=keep_racks
    )
    return Steady(
        **{entry.name: getattr(here, entry.name) for entry in fields(Described)},
        hours=tuple(int(hour) for hour in hours),
        load_frac=load,
        coupled=coupled,
        out=states,
        failures=failures,
        of=year,
    )


def parts_that_fail(year: Described) -> list[Component]:
    """Return every component that may fail, in the order that `Outage.which` counts."""
    return components(year.inputs, year.site, year.feeds)


def outages(year: Described, text: str) -> tuple[Outage, ...]:
    """Return what an address takes out of service: `kind:id` or `kind:id:units`, separated by commas.

    Raises
    ------
    ValueError
        If an entry names no object of the layout, or more units than there are; says what is allowed.
    """
    found = parts_that_fail(year)
    row_of = {(component.kind, component.index): which for which, component in enumerate(found)}
    taken: dict[int, int] = {}
    asked = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        outage = _outage(year, entry, row_of)
        component = found[outage.which]
        taken[outage.which] = taken.get(outage.which, 0) + outage.units
        if taken[outage.which] > component.n:
            raise ValueError(
                f"out has {entry}: {taken[outage.which]} units of {component.name} out in all; there are {component.n}"
            )
        asked.append(outage)
    return tuple(asked)


def _outage(year: Described, entry: str, row_of: Mapping[tuple[str, int], int]) -> Outage:
    kind, *numbers = entry.split(":")
    if kind not in BY_ADDRESS:
        raise ValueError(f"out has {entry}: {kind} cannot fail here; there are {', '.join(BY_ADDRESS)}")
    whole = all(n.isdecimal() and len(n) < 19 for n in numbers)  # longer ones are no number of a row
    if len(numbers) not in (1, 2) or not whole or (numbers[1:] and int(numbers[1]) < 1):
        raise ValueError(f"out has {entry}; write {kind}:id or {kind}:id:units with units of 1 or more")
    row_id, units = int(numbers[0]), int(numbers[1]) if len(numbers) == 2 else 1
    component_kind, table = BY_ADDRESS[kind].units, BY_ADDRESS[kind].table
    rows = {row.id: i for i, row in enumerate(getattr(year.inputs, table))}
    if row_id not in rows:
        raise ValueError(f"out has {entry}: the layout has no {kind} of id {row_id}")
    which = row_of.get((component_kind, _solver_row(year, kind, rows[row_id])))
    if which is None:
        name = getattr(year.inputs, table)[rows[row_id]].name
        raise ValueError(f"out has {entry}: {name} has no {kind.replace('_', ' ')} that the solver can take out")
    return Outage(kind, row_id, units, which)


def _solver_row(year: Described, kind: str, row: int) -> int:
    """Return the row of the solver's arrays behind a row of the snapshot."""
    if kind == "feed":
        return year.feeds.tree.index(year.inputs.feeds[row].name)
    if kind == "cdu":
        groups = list(dict.fromkeys(cdu.group for cdu in year.inputs.cdus))
        return groups.index(year.inputs.cdus[row].group)
    return row


def _failures(year: Described, states: Sequence[Sequence[Outage]]) -> Failures:
    """Return the solver's failure axis, a row per hour."""
    found = parts_that_fail(year)
    as_states = []
    for outages in states:
        units: dict[int, int] = {}
        for outage in outages:
            units[outage.which] = units.get(outage.which, 0) + outage.units
        as_states.append(State(tuple(units.items()), 0.0, "single"))
    with_sound = failures_of(year.site, year.feeds, found, as_states)
    rows = {entry.name: getattr(with_sound, entry.name) for entry in fields(Failures)}
    return Failures(**{name: None if values is None else values[1:] for name, values in rows.items()})


def hour_rows(steady: Steady) -> list[dict[str, Any]]:
    """Return what a page says of each solved hour: when, the weather and the load."""
    weather = steady.weather
    wet = wet_bulb_degc(weather.dry_bulb_degc, weather.humidity_ratio, weather.pressure_pa)
    chips = np.array([pool.n_accelerators for pool in steady.pools], dtype=float)
    load = np.minimum(steady.load_frac, 1.0) @ (chips / max(chips.sum(), 1.0))
    n_hours = steady.inputs.weather.n_hours
    return [
        {
            "index": hour if hour != DESIGN else "design",
            "label": date_text(hour, n_hours) if hour != DESIGN else "Design hour",
            "design": design_kind(steady.inputs.layout).name if hour == DESIGN else "",
            "dry_bulb_degc": float(weather.dry_bulb_degc[i]),
            "wet_bulb_degc": float(wet[i]),
            "load_frac": float(load[i]),
        }
        for i, hour in enumerate(steady.hours)
    ]
