"""What of a layout may fail: its components, how often and for how long, and the states of several that are solved."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from power_cooling.reliability import HOURS_PER_YEAR, failed_units_pmf
from power_cooling.site_arrays import Failures, FloatArray, SiteArrays, SiteFeeds
from twin import equipment

Inputs = Mapping[str, Any]

NEGLIGIBLE_PAIR = 1e-9  # of a year, 30 ms: thousands of such pairs together cost less than a second
ASSUMED_COMMON_CAUSE_FRAC = 0.05  # of a component's failures that take its whole group: 1 to 10 % in IEEE 493 practice
MAX_FAILED_SOLVED = 16  # units of one component that are taken out one by one; more at once are solved as all of them
MAX_PAIRED_SOLVED = 8  # of each of two components that back each other up

FEED_RELIABILITY = {
    "utility": "utility-single-feed", "generator": "genset-standby-1500kw", "transformer": "xfmr-liquid-3mva",
    "ups": "ups-module", "bess": "li-ion-string", "switchboard": "switchgear-bare-bus-600v", "busway": "busway-ft",
    "pdu": "pdu",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Component:
    """One described component: `n` alike units that fail independently but for the common cause."""

    name: str
    group: str  # components of one group back each other up and share a common cause
    kind: str  # feed, cdus, air_units, coolers, towers, chillers or pumps: which part of `Failures` it is
    index: int  # row in that part
    n: int
    failures_per_year: float  # of one unit
    repair_h: float
    start_failure_frac: float = 0.0  # of a standby unit, per demand

    @property
    def unavailability_frac(self) -> float:
        """Share of the year that one unit is out of service, or fails to start."""
        busy = self.failures_per_year * self.repair_h
        return busy / (HOURS_PER_YEAR + busy) + self.start_failure_frac

    def failed_units_pmf(self) -> FloatArray:
        """Return the probability of 0 … n failed units, shape (n + 1,): independent failures and the common cause."""
        return _pmf(self.n, self.failures_per_year / HOURS_PER_YEAR, 1 / self.outage_h)

    @property
    def outage_h(self) -> float:
        """Mean outage that gives this unavailability at this rate: failures to start count as longer repairs."""
        q = self.unavailability_frac
        return q / (1 - q) * HOURS_PER_YEAR / self.failures_per_year if self.failures_per_year > 0 else self.repair_h


@lru_cache(maxsize=1024)  # a layout has many components of few kinds
def _pmf(n: int, failures_per_h: float, repairs_per_h: float) -> FloatArray:
    chance = failed_units_pmf(n, failures_per_h, repairs_per_h, None, ASSUMED_COMMON_CAUSE_FRAC if n > 1 else 0.0)
    chance.setflags(write=False)
    return chance


@dataclass(frozen=True, slots=True)
class State:
    """Some units out: (component, how many), its probability, and the share of capacity left."""

    out: tuple[tuple[int, int], ...]
    probability: float
    kind: str  # "single", "pair" or "common cause", which is what takes three and more


def components(inputs: Inputs, site: SiteArrays, feeds: SiteFeeds) -> list[Component]:
    """Return every component of a layout that may fail, with its catalogued rate and repair time."""
    found = []
    for feed in inputs["feeds"]:
        rate, repair, start = _rates(inputs, FEED_RELIABILITY[feed["kind"]])
        group = feed["redundancy_group"] or feed["name"]
        index = feeds.tree.index(feed["name"])
        found.append(Component(feed["name"], f"{feed['kind']}: {group}", "feed", index, feed["n_units"], rate, repair,
                               start if feed["kind"] == "generator" else 0.0))  # fmt: skip
    named = equipment.names(inputs)
    if site.cdus is not None:
        rate, repair, _ = _rates(inputs, "cdu")
        for i, name in enumerate(named.cdu_groups):
            found.append(Component(name, f"CDUs: {name}", "cdus", i, int(site.cdus.n_units[i]), rate, repair))
    rate, repair, _ = _rates(inputs, "crah")
    for i, name in enumerate(named.halls):
        if site.halls.n_units[i] > 0:
            n = int(site.halls.n_units[i])
            found.append(Component(f"Air units of {name}", f"air units: {name}", "air_units", i, n, rate, repair))
    water_cooled = site.plants.chiller_water_cooled
    for kind, label, counts, slugs in (
        ("coolers", "Dry coolers", site.plants.n_coolers, ["dry-cooler"] * len(named.plants)),
        ("towers", "Cooling towers", site.plants.n_towers, ["cooling-tower"] * len(named.plants)),
        ("chillers", "Chillers", site.plants.n_chillers,
         ["chiller-centrifugal" if w else "chiller-screw-air" for w in water_cooled]),
        ("pumps", "Pumps", site.plants.n_pumps, ["pump-centrifugal"] * len(named.plants)),
    ):  # fmt: skip
        for i, name in enumerate(named.plants):
            if counts[i] > 0:
                rate, repair, _ = _rates(inputs, slugs[i])
                label_here = f"{label} of {name}"
                found.append(Component(label_here, label_here.lower(), kind, i, int(counts[i]), rate, repair))
    return found


def _rates(inputs: Inputs, slug: str) -> tuple[float, float, float]:
    sheet = inputs["products"]["reliability"][slug]["facts"]
    rate, repair = float(sheet["failures_per_unit_year"]), float(sheet["mttr_h"])
    return rate, repair, float(sheet.get("start_failure_probability") or 0.0)


def failure_states(found: list[Component]) -> list[State]:
    """Return the states whose losses are summed: each number of failed units of a component, pairs, common causes.

    Units lost to one cause are mended side by side, so that all of them are out for a part of the repair only: the
    probabilities of a component's states are those of its Markov chain, not a share of its unavailability.

    A utility and the generators behind it count as one group, since the second matters only after the first.
    """
    states = []
    for i, component in enumerate(found):
        for out, chance in _failed_units(component, MAX_FAILED_SOLVED):
            kind = {1: "single", 2: "pair"}.get(out, "common cause")
            states.append(State(((i, out),), chance, kind))
    groups: dict[str, list[int]] = {}
    for i, component in enumerate(found):
        groups.setdefault(component.group, []).append(i)
    sources = [i for i, c in enumerate(found) if c.kind == "feed" and c.group.startswith(("utility", "generator"))]
    for members in [*groups.values(), sources]:
        for i, j in combinations(members, 2):
            # Spare units of one stand in for the other's: what both lose together is solved, number by number.
            for one, chance in _failed_units(found[i], MAX_PAIRED_SOLVED):
                for other, by in _failed_units(found[j], MAX_PAIRED_SOLVED):
                    if chance * by > NEGLIGIBLE_PAIR:
                        states.append(State(((i, one), (j, other)), chance * by, "pair"))
    for members in groups.values():
        if len(members) > 1:
            q = min(found[i].unavailability_frac for i in members)
            everything = tuple((i, found[i].n) for i in members)
            states.append(State(everything, ASSUMED_COMMON_CAUSE_FRAC * q, "common cause"))
    return states


def _failed_units(component: Component, most: int) -> list[tuple[int, float]]:
    """Return solved numbers of failed units and their chances; numbers in between count with the next higher."""
    chance, n = component.failed_units_pmf(), component.n
    solved = range(1, n + 1) if n <= most else sorted({1, 2, n})
    below = [0, *solved]
    return [(out, float(chance[low + 1 : out + 1].sum())) for low, out in zip(below, solved, strict=False)]


def failures_of(site: SiteArrays, feeds: SiteFeeds, found: list[Component], states: list[State]) -> Failures:
    """Return the states as the solver's failure axis; element 0 has nothing failed."""
    n = len(states) + 1
    installed: dict[str, NDArray] = {
        "air_units": site.halls.n_units, "coolers": site.plants.n_coolers, "towers": site.plants.n_towers,
        "chillers": site.plants.n_chillers, "pumps": site.plants.n_pumps,
        "cdus": site.cdus.n_units if site.cdus is not None else np.zeros(0),
    }  # fmt: skip
    running = {kind: np.tile(counts.astype(float), (n, 1)) for kind, counts in installed.items()}
    feed_out = np.zeros((n, feeds.tree.n_nodes), dtype=np.int64)
    for k, state in enumerate(states, start=1):
        for which, out in state.out:
            component = found[which]
            if component.kind == "feed":
                feed_out[k, component.index] += out
            else:
                running[component.kind][k, component.index] -= out
    return Failures(
        cdus_running=running["cdus"] if site.cdus is not None else None,
        air_units_running=running["air_units"],
        coolers_running=running["coolers"],
        towers_running=running["towers"],
        chillers_running=running["chillers"],
        pumps_running=running["pumps"],
        feed_units_failed=feed_out,
    )
