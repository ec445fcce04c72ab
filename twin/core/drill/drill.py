"""The failure drill: what a loss does at an hour and when, and which single failures hurt most.

Knows no Django. Before and after are two elements of one solve, so that they differ by the loss alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from power_cooling.fluids.psychrometrics import wet_bulb_degc
from power_cooling.site_arrays import FloatArray, SiteArrays
from power_cooling.site_facts.calendar import S_PER_YEAR
from power_cooling.transients import disturbances
from power_cooling.transients.disturbances import Disturbance, Forcing
from power_cooling.transients.loss_drills import transient_plant
from power_cooling.transients.solve import TransientResult, simulate_transient
from twin.core.failures.capacity_left import NO_LOSS_FRAC
from twin.core.failures.components import Component
from twin.core.failures.kinds import BY_UNITS
from twin.core.inputs import equipment
from twin.core.results import margins
from twin.core.results.details import MarginRow
from twin.core.results.object_quantities import BEYOND, DEAD, STATES, THROTTLED, ObjectTable
from twin.core.solve.object_states import object_tables
from twin.core.solve.steady import DESIGN, Outage, Steady, parts_that_fail, solve_steady
from twin.core.solved import Described
from twin.core.text.numbers import quantity_text

BEFORE, AFTER = 0, 1
CALM_S = 10.0  # a few steps before the loss
FOLLOWED_S = 3600.0
GENERATOR_START_S = 10.0
HELD_K = 0.05  # above its set point a plant still counts as holding it
HELD_BY_CHILLERS = 100.0  # times its free cooling: what holds a plant at its set point whatever the weather
N_AFFECTED = 200
SAID = {
    DEAD: "goes off: no power, no coolant or no cold air",
    BEYOND: "is loaded beyond its limit",
    THROTTLED: "slows its clock: its junctions are too hot",
}
DARK = "loses power: no live feed"
GRAVITY = {name: i for i, name in enumerate(STATES.tolist())}


@dataclass(frozen=True, slots=True, eq=False)
class Drill:
    """A loss at an hour: `steady` holds the hour before and after it."""

    steady: Steady
    out: tuple[Outage, ...]
    affected: list[dict[str, Any]]
    n_affected: int
    events: list[dict[str, Any]]

    @property
    def lost_output_tokens_per_s(self) -> float:
        """Output tokens that are no longer served at this hour [tokens/s]."""
        served = np.nan_to_num(self.steady.served.output_tokens_per_s)
        return max(0.0, float(served[BEFORE] - served[AFTER]))

    @property
    def lost_capacity_tokens_per_s(self) -> float:
        """Token capacity that is lost, whether or not this hour needs it [tokens/s]."""
        possible = capacity_tokens_per_s(self.steady)
        return max(0.0, float(possible[BEFORE] - possible[AFTER]))


def drill(year: Described, hour: int, out: Sequence[Outage]) -> Drill:
    """Return what taking units out of service does at an hour, in the end and on the way there.

    Parameters
    ----------
    year : Described
    hour : int
        Hour of the year, or `steady.DESIGN`.
    out : sequence of Outage
        As `steady.outages` reads it.
    """
    steady = solve_steady(year, [hour, hour], [(), tuple(out)])
    tables = object_tables(steady)
    hit = affected(tables)
    return Drill(steady, tuple(out), hit[:N_AFFECTED], len(hit), events(steady, tuple(out), tables["racks"]))


def affected(tables: dict[str, ObjectTable]) -> list[dict[str, Any]]:
    """Return the objects that are worse off after the loss than before, most severe first."""
    found = []
    for kind, table in tables.items():
        before, after = table.state[BEFORE], table.state[AFTER]
        for i in np.flatnonzero(after > before):
            what = str(STATES[after[i]])
            effect = DARK if (what, kind) == (DEAD, "feeds") else SAID[what]
            if what == THROTTLED:
                effect = f"slows its clock to {quantity_text(float(table.values['clock_frac'][AFTER, i]), '%')}"
            found.append(
                {
                    "object": table.names[i],
                    "kind": kind,
                    "id": table.ids[i],
                    "what": what,
                    "text": f"{table.names[i]} {effect}.",
                }
            )
    return sorted(found, key=lambda row: -GRAVITY[row["what"]])


def events(steady: Steady, out: Sequence[Outage], racks: ObjectTable) -> list[dict[str, Any]]:
    """Return what happens after the loss and when, earliest first.

    CDU groups are followed for an hour from the state before the loss, with the stored heat that
    `power_cooling.transients.loss_drills.Volumes` assumes; racks without power are named at once.

    Parameters
    ----------
    steady : Steady
        The hour before and after the loss.
    out : sequence of Outage
        What is lost.
    racks : ObjectTable
        Of the same hours.
    """
    found = _dark_racks(steady, out, racks)
    site = steady.site
    if site.cdus is None or not steady.pools:
        return found
    carries = (site.racks.cdu_index >= 0) & (site.racks.count > 0)
    for plant in np.unique(site.cdus.plant_index[site.racks.cdu_index[carries]]):
        hits = (*plant_disturbances(steady, out, int(plant)), *heat_rejection_loss(steady, out, int(plant)))
        if hits:
            found += _plant_events(steady, int(plant), hits, _free_cooling_is_left(steady, out, int(plant)))
    return sorted(found, key=lambda row: row["at_s"])


def _dark_racks(steady: Steady, out: Sequence[Outage], racks: ObjectTable) -> list[dict[str, Any]]:
    """Return the racks that a lost feed leaves without power, which happens at once."""
    if not any(outage.kind == "feed" for outage in out):
        return []
    dead = (racks.state[AFTER] == GRAVITY[DEAD]) & (racks.state[BEFORE] != GRAVITY[DEAD])
    dark = np.flatnonzero(dead & ~(racks.values["power_w"][AFTER] > 0))
    if not dark.size:
        return []
    first = racks.names[dark[0]]
    who = first if dark.size == 1 else f"{dark.size} racks, {first} the first of them"
    return [{"at_s": 0.0, "object": first, "what": "trips", "text": f"{who}: no live feed is left."}]


def plant_disturbances(steady: Steady, out: Sequence[Outage], plant: int) -> tuple[Disturbance, ...]:
    """Return what a loss takes of the flow and the power of one plant and its CDU groups.

    Of pumps in parallel the rest carries up to its largest flow. Without the grid the plant stops until generators
    carry it.
    """
    site = steady.site
    carries = (site.racks.cdu_index >= 0) & (site.racks.count > 0)
    groups = [int(g) for g in np.unique(site.racks.cdu_index[carries]) if site.cdu_groups.plant_index[g] == plant]
    found: list[Disturbance] = []
    parts = parts_that_fail(steady)
    lost = _units_by_part(out)
    for which, units in lost.items():
        component = parts[which]
        left = (component.n - units) / component.n
        if component.kind == "cdus" and component.index in groups:
            flow = min(left * float(site.cdu_groups.max_flow_frac[component.index]), 1.0)
            at = groups.index(component.index)
            found += disturbances.pump_loss(CALM_S, units=(at,), remaining_frac=flow)
        elif component.kind == "pumps" and component.index == plant:
            flow = min((component.n - units) / float(site.plants.needed_pumps[plant]), 1.0)
            found += disturbances.facility_pump_loss(CALM_S, remaining_frac=flow)
        elif component.kind == "air_units" and site.halls.plant_index[component.index] == plant:
            installed = float(site.halls.n_units[site.halls.plant_index == plant].sum())
            found.append(Disturbance("air_flow", CALM_S, (installed - units) / installed))
    if _grid_is_lost(steady, parts, lost):
        generators = [which for which, part in enumerate(parts) if _feed_kind(steady, part) == "generator"]
        carry = any(lost.get(which, 0) < parts[which].n for which in generators)
        found += disturbances.grid_loss(CALM_S, generator_start_s=GENERATOR_START_S, generators_carry=carry)
    return tuple(found)


def heat_rejection_loss(steady: Steady, out: Sequence[Outage], plant: int) -> tuple[Disturbance, ...]:
    """Return what a loss takes of a plant's heat rejection; nothing where what is left holds the set point in the end.

    Units of a kind carry alike, so the share that is left is that of the kind hit hardest. Chillers carry what lost
    coolers did; where all chillers are lost, coolers and towers go on by themselves.
    """
    plants = steady.site.plants
    supply_degc = float(steady.coupled.facility_supply_degc[AFTER, plant])
    if supply_degc <= float(plants.supply_set_degc[plant]) + HELD_K:
        return ()
    left = _rejection_left(steady, out, plant)
    if _free_cooling_is_left(steady, out, plant):
        return disturbances.plant_loss(CALM_S, remaining_frac=min(left["coolers"], left["towers"]) / HELD_BY_CHILLERS)
    if plants.n_chillers[plant] > 0:
        left.pop("coolers")
    share = min(left.values())
    return disturbances.plant_loss(CALM_S, remaining_frac=share) if share < 1 else ()


def _rejection_left(steady: Steady, out: Sequence[Outage], plant: int) -> dict[str, float]:
    """Return the share of a plant's coolers, towers and chillers that is left; 1 of what it has none of."""
    parts, left = parts_that_fail(steady), {"coolers": 1.0, "towers": 1.0, "chillers": 1.0}
    for which, units in _units_by_part(out).items():
        part = parts[which]
        if part.kind in left and part.index == plant:
            left[part.kind] = (part.n - units) / part.n
    return left


def _free_cooling_is_left(steady: Steady, out: Sequence[Outage], plant: int) -> bool:
    """Return whether a plant has lost all its chillers but has coolers or towers that cool by themselves."""
    plants, left = steady.site.plants, _rejection_left(steady, out, plant)
    free = plants.n_coolers[plant] * left["coolers"] + plants.n_towers[plant] * left["towers"]
    return bool(plants.n_chillers[plant] > 0 and left["chillers"] == 0 and free > 0 and plants.economiser[plant] == 1)


def _without_chillers(site: SiteArrays, plant: int) -> SiteArrays:
    n_chillers = site.plants.n_chillers.copy()
    n_chillers[plant] = 0.0
    return replace(site, plants=replace(site.plants, n_chillers=n_chillers))


def _units_by_part(out: Sequence[Outage]) -> dict[int, int]:
    lost: dict[int, int] = {}
    for outage in out:
        lost[outage.which] = lost.get(outage.which, 0) + outage.units
    return lost


def _feed_kind(year: Described, part: Component) -> str:
    """Return which kind of feed a component is, blank where it is none."""
    return next((f.kind for f in year.inputs.feeds if part.kind == "feed" and f.name == part.name), "")


def _grid_is_lost(year: Described, parts: Sequence[Component], lost: dict[int, int]) -> bool:
    utilities = [which for which, part in enumerate(parts) if _feed_kind(year, part) == "utility"]
    return bool(utilities) and all(lost.get(which, 0) >= parts[which].n for which in utilities)


def _plant_events(
    steady: Steady, plant: int, hits: tuple[Disturbance, ...], free_cooling_only: bool
) -> list[dict[str, Any]]:
    """Follow one plant's CDU groups after the loss.

    Where only free cooling is left the plant is followed without its chillers, held at its set point until the loss.
    """
    weather, pool = steady.weather, steady.site.racks.pool_index
    dry = float(weather.dry_bulb_degc[BEFORE])
    wet = min(dry, float(wet_bulb_degc(dry, float(weather.humidity_ratio[BEFORE]), float(weather.pressure_pa[BEFORE]))))
    load = np.minimum(steady.load_frac[BEFORE], 1.0)
    of_rack = np.where(pool >= 0, load[np.maximum(pool, 0)] * steady.site.racks.load_share, 0.0)
    site = _without_chillers(steady.site, plant) if free_cooling_only else steady.site
    units, loop, groups, sink = transient_plant(
        site, plant, np.clip(of_rack, 0.0, 1.0), dry_bulb_degc=dry, wet_bulb_degc=wet
    )
    calm = Forcing.steady(FOLLOWED_S + CALM_S, sink_degc=sink)
    if free_cooling_only:
        calm = replace(calm, plant_frac=calm.plant_frac * HELD_BY_CHILLERS)
    done = simulate_transient(units, loop, calm.with_disturbances(*hits, n_units=groups.size))
    names = equipment.names(steady.inputs)
    found = []
    for i, group in enumerate(groups):
        found += _group_events(names.cdu_groups[group], i, done)
    at_s = float(done.air_limit_s) - CALM_S
    if 0 <= at_s < FOLLOWED_S and np.any(steady.site.halls.plant_index == plant):
        text = f"Hall air on {names.plants[plant]} passes the servers' limit {quantity_text(at_s, 's')} after the loss."
        found.append({"at_s": at_s, "object": names.plants[plant], "what": "hot air", "text": text})
    return found


def _group_events(name: str, i: int, done: TransientResult) -> list[dict[str, Any]]:
    found = []
    for what, instants, event_text in (
        ("throttles", done.throttle_s, "the racks of {} begin to throttle"),
        ("trips", done.trip_s, "the racks of {} switch off"),
        ("recovers", done.recovered_s, "the racks of {} are back where they were"),
    ):
        at_s = float(instants[i]) - CALM_S
        calm = what == "recovers" and not np.isfinite(done.throttle_s[i])
        if 0 <= at_s < FOLLOWED_S and not calm:
            sentence = event_text.format(name)
            text = f"{quantity_text(at_s, 's')} after the loss {sentence}."
            found.append({"at_s": at_s, "object": name, "what": what, "text": text})
    return found


@dataclass(frozen=True, slots=True)
class SingleFailure:
    """One unit of one component out, at the design hour."""

    out: str  # as addresses write it
    component: Component
    capacity_frac: float
    lost_tokens_per_s: float  # of token capacity, as availability counts it
    served_lost_tokens_per_s: float  # of what the design hour's demand makes: less, where others take over the load
    expected_lost_tokens_per_year: float

    def as_json(self) -> dict[str, Any]:
        """Return it as pages read it."""
        return {
            "out": self.out,
            "object": self.component.name,
            "kind": self.out.split(":")[0],
            "capacity_frac": self.capacity_frac,
            "lost_tokens_per_s": self.lost_tokens_per_s,
            "served_lost_tokens_per_s": self.served_lost_tokens_per_s,
            "expected_lost_tokens_per_year": self.expected_lost_tokens_per_year,
            "failures_per_year": self.component.failures_per_year * self.component.n,
            "repair_h": self.component.repair_h,
            "text": self.text,
        }

    @property
    def text(self) -> str:
        """What it costs, in a sentence."""
        part = self.component
        unit = f"one of {part.n} units of {part.name}" if part.n > 1 else part.name
        if self.capacity_frac >= 1 and self.served_lost_tokens_per_s == 0:
            return f"Losing {unit} costs no tokens."
        left, lost = quantity_text(self.capacity_frac, "%"), quantity_text(self.lost_tokens_per_s, "tok/s")
        served = quantity_text(self.served_lost_tokens_per_s, "tok/s")
        at_once = f"{served} are not served then" if self.served_lost_tokens_per_s > 0 else "the others take its load"
        return (
            f"Losing {unit} leaves {left} of the token capacity for about {part.repair_h:g} h, {lost} less; at the "
            f"design hour {at_once}."
        )


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """All single failures of a layout, worst first, and what is tightest while any of them lasts."""

    failures: list[SingleFailure]
    margins: list[MarginRow]
    converged: bool

    @property
    def n_costly(self) -> int:
        """How many of the failures cost token capacity."""
        return sum(failure.lost_tokens_per_s > 0 for failure in self.failures)

    @property
    def text(self) -> str:
        """What the ranking says, in a sentence."""
        n = len(self.failures)
        if self.n_costly:
            cost = f"{self.n_costly} of {n} single failures cost token capacity at the design hour."
            return f"{cost} {self.failures[0].text}"
        tight = next((margin for margin in self.margins if margin.unit == "%"), None)
        nearest = f" Tightest while one lasts: {tight.kind} of {tight.object}, " if tight else ""
        left = f"{quantity_text(tight.value, '%')} left." if tight else ""
        return f"None of {n} single failures costs token capacity at the design hour.{nearest}{left}"


def ranking(year: Described) -> Ranking:
    """Return what each single failure costs at the design hour, worst first.

    Expected losses count the capacity that is lost while the unit is out, over the mean output, as a run's do.
    """
    parts = parts_that_fail(year)
    single = [Outage(*address_of(year, part), 1, which) for which, part in enumerate(parts)]
    steady = solve_steady(year, [DESIGN] * (len(parts) + 1), [(), *((outage,) for outage in single)], keep_racks=False)
    served = steady.served
    made, possible = np.nan_to_num(served.output_tokens_per_s), capacity_tokens_per_s(steady)
    left = np.clip(possible[1:] / max(possible[0], 1e-9), 0.0, 1.0)
    left = np.where(left > 1 - NO_LOSS_FRAC, 1.0, left)
    unserved = np.maximum(made[0] - made[1:], 0.0)
    unserved = np.where(unserved > NO_LOSS_FRAC * made[0], unserved, 0.0)
    yearly = mean_output_tokens_per_s(year) * S_PER_YEAR
    failures = []
    for part, outage, capacity, lost in zip(parts, single, left.tolist(), unserved.tolist(), strict=True):
        expected = float(part.failed_units_pmf()[1]) * (1 - capacity) * yearly
        text, lost_capacity = f"{outage.kind}:{outage.row_id}", (1 - capacity) * float(possible[0])
        failures.append(SingleFailure(text, part, capacity, lost_capacity, lost, expected))
    failures.sort(key=lambda f: (-f.lost_tokens_per_s, -f.served_lost_tokens_per_s))
    return Ranking(failures, margins.margins(steady), steady.coupled.report.converged)


def capacity_tokens_per_s(steady: Steady) -> FloatArray:
    """Return what the running, clocked accelerators could serve within their targets [tokens/s], shape (n_hours,)."""
    served = steady.served
    return np.nan_to_num(served.servable_per_s) @ served.output_per_request


def mean_output_tokens_per_s(year: Described) -> float:
    """Return what the year's demand makes at full clock [tokens/s]."""
    return float(sum(np.minimum(p.demand_per_s, p.capacity_per_s).mean() * p.output_tokens for p in year.pools))


def address_of(year: Described, part: Component) -> tuple[str, int]:
    """Return kind and id by which addresses name a component."""
    kind = BY_UNITS[part.kind].address
    rows = getattr(year.inputs, BY_UNITS[part.kind].table)
    if kind == "feed":
        return kind, next(row.id for row in rows if row.name == part.name)
    if kind == "cdu":
        return kind, next(row.id for row in rows if row.group == part.name)
    return kind, rows[part.index].id
