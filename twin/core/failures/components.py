"""What of a layout may fail: its components, how often and for how long, and the states of several that are solved."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations, product

import numpy as np

from power_cooling.availability.reliability import failed_units_pmf
from power_cooling.site_arrays import Failures, FloatArray, SiteArrays, SiteFeeds, installed_units
from power_cooling.site_facts.calendar import HOURS_PER_YEAR
from twin.core.failures.kinds import BY_ADDRESS, OF_PLANTS, WATER_COOLED_CHILLER, feed_reliability
from twin.core.inputs import equipment
from twin.core.inputs.feed_ratings import PRIME
from twin.core.inputs.layout import LayoutInputs

NEGLIGIBLE_PAIR = 1e-9  # of a year, 30 ms: thousands of such pairs together cost less than a second
NEGLIGIBLE_ACROSS = 1e-8  # of a year, 0.3 s, of feeds of different groups: they are many
ASSUMED_COMMON_CAUSE_FRAC = 0.05  # of a component's failures that take its whole group: 1 to 10 % in IEEE 493 practice
MAX_FAILED_SOLVED = 16  # units of one component that are taken out one by one; more at once are solved as all of them
MAX_PAIRED_SOLVED = 8  # of each of two components that back each other up

MAX_PLANNED_FRAC = 0.5  # of a year that one group's units are in a planned outage: beyond, several are served at a time


@dataclass(frozen=True, slots=True)
class Component:
    """One described component: `n` alike units that fail independently but for the common cause."""

    name: str
    group: str  # components of one group back each other up and share a common cause
    kind: str  # `FailureKind.units`: which part of `Failures` it is
    index: int  # row in that part
    n: int
    failures_per_year: float  # of one unit
    repair_h: float
    start_failure_frac: float = 0.0  # of a standby unit, per demand
    maintenance_per_year: float = 0.0  # planned outages of one unit
    maintenance_h: float = 0.0
    source: str = ""  # slug of the catalogue entry that these figures are of
    crews: int = 0  # of the site, which all of them work on this where nothing else is broken; 0 for as many as units

    @property
    def unavailability_frac(self) -> float:
        """Share of the year that one unit is out of service, or fails to start."""
        busy = self.failures_per_year * self.repair_h
        return busy / (HOURS_PER_YEAR + busy) + self.start_failure_frac

    def failed_units_pmf(self) -> FloatArray:
        """Return the probability of 0 … n failed units, shape (n + 1,): independent failures and the common cause."""
        return _pmf(self.n, self.failures_per_year / HOURS_PER_YEAR, 1 / self.outage_h, self.crews)

    @property
    def planned_frac(self) -> float:
        """Share of the year in which one of the units is in a planned outage, one after the other."""
        return self.n * self.maintenance_per_year * self.maintenance_h / HOURS_PER_YEAR

    def units_out_pmf(self, planned: bool | None = None) -> FloatArray:
        """Return the probability of 0 … n units out, shape (n + 1,): over the year, with or without a planned outage.

        The one that is in a planned outage may be any, also one that has failed.
        """
        failed = self.failed_units_pmf()
        if planned is False:
            return failed
        same = failed * np.arange(self.n + 1) / self.n
        beside = same + np.append(0.0, (failed - same)[:-1])
        return beside if planned else failed + self.planned_frac * (beside - failed)

    @property
    def outage_h(self) -> float:
        """Mean outage that gives this unavailability at this rate: failures to start count as longer repairs."""
        q = self.unavailability_frac
        return q / (1 - q) * HOURS_PER_YEAR / self.failures_per_year if self.failures_per_year > 0 else self.repair_h


@lru_cache(maxsize=1024)  # a layout has many components of few kinds
def _pmf(n: int, failures_per_h: float, repairs_per_h: float, crews: int) -> FloatArray:
    common = ASSUMED_COMMON_CAUSE_FRAC if n > 1 else 0.0
    chance = failed_units_pmf(n, failures_per_h, repairs_per_h, crews or None, common)
    chance.setflags(write=False)
    return chance


@dataclass(frozen=True, slots=True)
class State:
    """Some units out: (component, how many), its probability, and the share of capacity left."""

    out: tuple[tuple[int, int], ...]
    probability: float
    kind: str  # "single", "pair" or "common cause", which is what takes three and more


def components(inputs: LayoutInputs, site: SiteArrays, feeds: SiteFeeds) -> list[Component]:
    """Return every component of a layout that may fail, with the catalogue's figures of failures and maintenance.

    Parameters
    ----------
    inputs : LayoutInputs
        The layout.
    site, feeds : SiteArrays, SiteFeeds
        The same for the coupled solver, whose units are counted.
    """
    found = []

    def add(slug: str, name: str, group: str, kind: str, index: int, n: int) -> None:
        sheet = inputs.products.reliability[slug].facts
        found.append(
            Component(
                name,
                group,
                kind,
                index,
                n,
                float(sheet["failures_per_unit_year"]),
                float(sheet["mttr_h"]),
                float(sheet.get("start_failure_probability") or 0.0),
                float(sheet.get("maintenance_per_unit_year") or 0.0),
                float(sheet.get("maintenance_h") or 0.0),
                slug,
                inputs.site.repair_crews or 0,
            )
        )

    for feed in inputs.feeds:
        group = f"{feed.kind}: {feed.redundancy_group or feed.name}"
        index = feeds.tree.index(feed.name)
        slug = feed_reliability(feed.kind, feed.operation == PRIME, inputs.facts(feed.product_id).get("prime_mover"))
        add(slug, feed.name, group, "feed", index, feed.n_units)
    named = equipment.names(inputs)
    cdu, air_unit = BY_ADDRESS["cdu"], BY_ADDRESS["air_unit"]
    if site.cdus is not None:
        for i, name in enumerate(named.cdu_groups):
            add(cdu.reliability, name, f"{cdu.label}: {name}", cdu.units, i, int(site.cdus.n_units[i]))
    for i, name in enumerate(named.halls):
        if site.halls.n_units[i] > 0:
            group, n = f"{air_unit.label.lower()}: {name}", int(site.halls.n_units[i])
            add(air_unit.reliability, f"{air_unit.label} of {name}", group, air_unit.units, i, n)
    installed = installed_units(site)
    for kind in OF_PLANTS:
        for i, name in enumerate(named.plants):
            if installed[kind.units][i] > 0:
                is_water_cooled = kind.address == "chiller" and site.plants.chiller_water_cooled[i]
                slug = WATER_COOLED_CHILLER if is_water_cooled else kind.reliability
                label_here = f"{kind.label} of {name}"
                add(slug, label_here, label_here.lower(), kind.units, i, int(installed[kind.units][i]))
    return _within_a_year(found)


def _within_a_year(found: list[Component]) -> list[Component]:
    """Return components whose planned outages fit into a year one after the other, in each group."""
    planned: dict[str, float] = {}
    for component in found:
        planned[component.group] = planned.get(component.group, 0.0) + component.planned_frac
    fits = {group: MAX_PLANNED_FRAC / max(share, MAX_PLANNED_FRAC) for group, share in planned.items()}
    return [replace(c, maintenance_per_year=c.maintenance_per_year * fits[c.group]) for c in found]


def failure_states(found: list[Component], feeds: SiteFeeds | None = None) -> list[State]:
    """Return the states whose losses are summed: each number of units out of a component, pairs, common causes.

    Pairs are of components of one group and, given the feeds, of those on the two sides of a rack.

    Units lost to one cause are repaired one by one, so that all of them are out for a part of the repair only: the
    probabilities of a component's states are those of its Markov chain, not a share of its unavailability.

    A utility and the generators behind it count as one group, since the second matters only after the first.
    """
    states = []
    for i, component in enumerate(found):
        for n_out, chance in _solved_numbers(component.n, MAX_FAILED_SOLVED, component.units_out_pmf()):
            kind = {1: "single", 2: "pair"}.get(n_out, "common cause")
            states.append(State(((i, n_out),), chance, kind))
    groups: dict[str, list[int]] = {}
    for i, component in enumerate(found):
        groups.setdefault(component.group, []).append(i)
    pairs = {pair for members in [*groups.values(), sources_of(found)] for pair in combinations(members, 2)}
    if feeds is not None:
        pairs |= set(_feeds_apart(found, feeds))
    for i, j in sorted(pairs):
        # Spare units of one stand in for the other's: what both lose together is solved, number by number.
        states += _pair_states(found, i, j)
    for members in groups.values():
        if len(members) > 1:
            q = min(found[i].unavailability_frac for i in members)
            everything = tuple((i, found[i].n) for i in members)
            states.append(State(everything, ASSUMED_COMMON_CAUSE_FRAC * q, "common cause"))
    return states


def sources_of(found: list[Component]) -> list[int]:
    """Return the utilities and generators: one matters only after the other, so that they count as one group."""
    return [i for i, c in enumerate(found) if c.kind == "feed" and c.group.startswith(("utility", "generator"))]


def _feeds_apart(found: list[Component], feeds: SiteFeeds) -> Iterator[tuple[int, int]]:
    """Yield the feeds of different groups on the two sides of some rack, where neither hangs on the other."""
    tree, links = feeds.tree, feeds.links
    serves = np.zeros((tree.n_nodes, links.n_racks), dtype=np.float32)
    serves[links.node_index, links.rack_index] = 1
    above = np.eye(tree.n_nodes, dtype=bool)
    for node in range(tree.n_nodes - 1, -1, -1):  # deepest first
        if tree.parent[node] >= 0:
            serves[tree.parent[node]] = np.maximum(serves[tree.parent[node]], serves[node])
            above[tree.parent[node]] |= above[node]
    sources = set(sources_of(found))
    own = [i for i, c in enumerate(found) if c.kind == "feed" and i not in sources]
    nodes = np.array([found[i].index for i in own], dtype=np.int64)
    out_frac = np.array([1 - found[i].units_out_pmf()[0] for i in own])
    apart = (serves @ serves.T > 0) & ~above & ~above.T
    likely = np.outer(out_frac, out_frac) > NEGLIGIBLE_ACROSS
    for a, b in np.argwhere(np.triu(apart[np.ix_(nodes, nodes)] & likely, k=1)):
        yield own[a], own[b]


def _pair_states(found: list[Component], i: int, j: int) -> Iterator[State]:
    """Yield what two components lose together; they are never both in a planned outage."""
    first, second = found[i], found[j]
    calm = 1 - first.planned_frac - second.planned_frac
    cases = ((calm, False, False), (first.planned_frac, True, False), (second.planned_frac, False, True))
    chances = [
        (
            share,
            dict(_solved_numbers(first.n, MAX_PAIRED_SOLVED, first.units_out_pmf(by_plan))),
            dict(_solved_numbers(second.n, MAX_PAIRED_SOLVED, second.units_out_pmf(beside))),
        )
        for share, by_plan, beside in cases
    ]
    for a, b in product(chances[0][1], chances[0][2]):
        chance = sum(share * of_one[a] * of_other[b] for share, of_one, of_other in chances)
        if chance > NEGLIGIBLE_PAIR:
            yield State(((i, a), (j, b)), chance, "pair")


def _solved_numbers(n: int, most: int, chance: FloatArray) -> list[tuple[int, float]]:
    """Return solved numbers of units out and their chances; numbers in between count with the next higher."""
    solved = range(1, n + 1) if n <= most else sorted({1, 2, n})
    below = [0, *solved]
    return [(n_out, float(chance[low + 1 : n_out + 1].sum())) for low, n_out in zip(below, solved, strict=False)]


def failures_of(site: SiteArrays, feeds: SiteFeeds, found: list[Component], states: list[State]) -> Failures:
    """Return the states as the solver's failure axis; element 0 has nothing failed.

    Parameters
    ----------
    site, feeds : SiteArrays, SiteFeeds
        What is solved.
    found, states : list
        Of `components` and `failure_states`.
    """
    n = len(states) + 1
    running = {kind: np.tile(counts.astype(float), (n, 1)) for kind, counts in installed_units(site).items()}
    feed_out = np.zeros((n, feeds.tree.n_nodes), dtype=np.int64)
    for k, state in enumerate(states, start=1):
        for which, n_out in state.out:
            component = found[which]
            if component.kind == "feed":
                feed_out[k, component.index] += n_out
            else:
                running[component.kind][k, component.index] -= n_out
    if site.cdus is None:
        del running["cdus"]
    return Failures(**{f"{kind}_running": counts for kind, counts in running.items()}, feed_units_failed=feed_out)
