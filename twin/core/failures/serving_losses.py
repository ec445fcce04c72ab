"""What failures of the compute side cost: trays, fast links, network, software, roll-outs and operating errors.

Each fault takes out what the catalogue names: a tray (the accelerators that are swapped together), a domain of the fast
link, one serving instance or the site. An instance holds one copy of a model and needs all its accelerators within one
domain, so that a domain does not degrade in proportion: with k trays out it holds whole instances of what is left. A
rack of 72 with an instance of 64 has two trays to spare; with nine of eight, the first tray costs one of them. Where
prefill and decode run apart, both are formed anew in the proportion that serves most. An instance that finds no room
forms anew on the next smaller power of two, down to half its size. A fault also costs the instance it hits the time to
form anew: weights loaded, graphs captured.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.special import bdtr, comb  # scipy.stats would take half a second to load

from power_cooling.site_facts.calendar import HOURS_PER_YEAR
from twin.core.failures.kinds import RESTART
from twin.core.inputs.layout import LayoutInputs, ProductSheet
from twin.core.inputs.pools import Pool

COUNTED_PER = ("accelerator", "switch tray", "tray", "serving unit", "site")
TAKES = ("tray", "domain", "serving unit", "site")
SMALLEST_FRAC = 0.5  # of an instance's accelerators, on which it forms anew: its weights take twice the memory of each


@dataclass(frozen=True, slots=True)
class Cause:
    """One kind of fault, as the catalogue has it."""

    slug: str
    name: str
    counted_per: str
    takes: str
    is_planned: bool
    failures_per_year: float  # of one of what it is counted per
    outage_h: float
    failures_range: tuple[float, float]
    outage_range_h: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Fleet:
    """Alike domains of a layout that serve one use case: `n_domains` of `domain` accelerators each."""

    accelerator: str
    n_domains: float
    domain: int  # accelerators that one fast link joins
    tray: int  # accelerators that are swapped together
    sizes: tuple[int, ...]  # accelerators of one instance: of decode, then of prefill where it runs apart
    ratio: tuple[int, ...]  # instances of each that serve together
    switch_trays: float  # of one domain
    share: float  # of the layout's accelerators

    @property
    def trays(self) -> int:
        """Trays of one domain."""
        return max(self.domain // self.tray, 1)

    def capacity_frac(self, trays_out: int) -> float:
        """Return what a domain serves with some of its trays out, over what it serves whole."""
        left = max(self.domain - trays_out * self.tray, 0)
        whole = _served(self.domain, self.sizes, self.ratio)
        return min(_served(left, self.sizes, self.ratio, reduced=trays_out > 0) / whole, 1.0)

    def hit_frac(self, at_least: int) -> float:
        """Return the share of a domain's capacity that the instance of a random accelerator makes.

        Instances smaller than `at_least` accelerators are hit several at a time.
        """
        return min(sum(max(size, at_least) for size in self.sizes) / self.domain, 1.0)


@lru_cache(maxsize=4096)  # a year asks for the same few numbers of trays of the same domains thousands of times
def _served(accelerators: int, sizes: tuple[int, ...], ratio: tuple[int, ...], *, reduced: bool = False) -> float:
    """Return the most sets of instances in their proportion that so many accelerators hold."""
    if len(sizes) == 1:
        whole, rest = divmod(accelerators, sizes[0])
        smaller = 1 << (rest.bit_length() - 1) if reduced and rest else 0
        if smaller < SMALLEST_FRAC * sizes[0]:
            smaller = 0
        return (whole + smaller / sizes[0]) / ratio[0]
    decode, prefill = sizes
    return max(
        min(n / ratio[0], (accelerators - n * decode) // prefill / ratio[1]) for n in range(accelerators // decode + 1)
    )


@dataclass(frozen=True, slots=True)
class ServingLoss:
    """What one kind of fault costs a layout."""

    slug: str
    name: str
    faults_per_year: float  # of the whole layout
    lost_frac: float  # of token capacity over the year
    low_frac: float  # at the low end of the published rate and outage, and at the high end
    high_frac: float
    is_planned: bool

    @property
    def lost_h_per_fault(self) -> float:
        """Hours of the layout's full capacity that one fault costs [h]."""
        return self.lost_frac * HOURS_PER_YEAR / self.faults_per_year if self.faults_per_year > 0 else 0.0


def serving_losses(inputs: LayoutInputs, pools: Sequence[Pool]) -> list[ServingLoss]:
    """Return what each kind of fault of the compute side costs, in the catalogue's order.

    Raises
    ------
    ValueError
        If the snapshot is of a version that did not describe these faults, or the catalogue has one that is counted
        or spreads in an unknown way.
    """
    if not inputs.products.compute_failures:
        raise ValueError(
            "This run was recorded before failures of the compute side were described; run its layout again"
        )
    causes = tuple(cause_of(sheet) for sheet in inputs.products.compute_failures.values())
    restart = inputs.products.recovery_times[RESTART].facts
    restart_h = tuple(float(restart[name]) / 3600 for name in ("duration_s", "duration_low_s", "duration_high_s"))
    return list(_losses_within_bounds(causes, tuple(fleets_of(pools)), restart_h))


@lru_cache(maxsize=64)  # few edits change what serves
def _losses_within_bounds(
    causes: tuple[Cause, ...], fleets: tuple[Fleet, ...], restart_h: tuple[float, ...]
) -> tuple[ServingLoss, ...]:
    """Return what each cause costs, and at both ends of its rate and outage; `restart_h` as stated, low and high."""
    worth = losses_of(causes, fleets, restart_h[0])
    found = []
    for i, cause in enumerate(causes):
        bounds = []
        for end, restart_end_h in ((0, restart_h[1]), (1, restart_h[2])):
            moved = replace(cause, failures_per_year=cause.failures_range[end], outage_h=cause.outage_range_h[end])
            bounds.append(losses_of([*causes[:i], moved, *causes[i + 1 :]], fleets, restart_end_h)[i])
        low_frac, high_frac = bounds
        found.append(
            ServingLoss(
                cause.slug,
                cause.name,
                sum(_faults_per_year(cause, fleet) for fleet in fleets),
                worth[i],
                low_frac,
                high_frac,
                cause.is_planned,
            )
        )
    return tuple(found)


def cause_of(sheet: ProductSheet) -> Cause:
    """Return a catalogue entry as a kind of fault; `serving_losses` says what is raised."""
    facts = sheet.facts
    for name, allowed in (("counted_per", COUNTED_PER), ("takes", TAKES)):
        if facts[name] not in allowed:
            raise ValueError(
                f"compute_failures {sheet.slug}: {name} is {facts[name]!r}; must be one of {', '.join(allowed)}"
            )
    return Cause(
        sheet.slug,
        sheet.name,
        facts["counted_per"],
        facts["takes"],
        bool(facts.get("is_planned")),
        float(facts["failures_per_unit_year"]),
        float(facts["outage_h"]),
        (float(facts["failures_low_per_unit_year"]), float(facts["failures_high_per_unit_year"])),
        (float(facts["outage_low_h"]), float(facts["outage_high_h"])),
    )


def fleets_of(pools: Sequence[Pool]) -> list[Fleet]:
    """Return the domains of each pool, and which instances stand in them.

    An instance over several domains counts as one domain of all their trays: it needs every one of them.
    """
    total = sum(pool.n_accelerators for pool in pools)
    found = []
    for pool in pools:
        sizes, ratio = pool.instance_sizes or (1,), pool.instance_ratio or (1,)
        domain = max(pool.domain_accelerators, sum(n * size for n, size in zip(ratio, sizes, strict=True)))
        found.append(
            Fleet(
                pool.accelerator,
                pool.n_accelerators / domain,
                domain,
                min(pool.tray_accelerators, domain),
                sizes,
                ratio,
                pool.switch_trays * domain / pool.domain_accelerators,
                pool.n_accelerators / total,
            )
        )
    return found


def losses_of(causes: Sequence[Cause], fleets: Sequence[Fleet], restart_h: float) -> list[float]:
    """Return the share of a layout's token capacity that each cause takes over a year.

    Parameters
    ----------
    causes : sequence of Cause
    fleets : sequence of Fleet
    restart_h : float
        Time in which a serving unit forms anew [h].
    """
    lost = np.zeros(len(causes))
    for fleet in fleets:
        lost += fleet.share * np.array(list(_fleet_losses(causes, fleet, restart_h)))
    return lost.tolist()


def _fleet_losses(causes: Sequence[Cause], fleet: Fleet, restart_h: float) -> Iterator[float]:
    # Faults that take trays pile up in a domain: what they cost together is shared out by how long each holds trays.
    hours = [
        _faults_per_year(cause, fleet) / (fleet.n_domains * fleet.trays) * cause.outage_h
        if cause.takes == "tray" and not cause.is_planned
        else 0.0
        for cause in causes
    ]
    together = sum(hours)
    out_frac = together / (HOURS_PER_YEAR + together)
    k = np.arange(fleet.trays + 1)
    chance = comb(fleet.trays, k) * out_frac**k * (1 - out_frac) ** (fleet.trays - k)
    left = np.array([fleet.capacity_frac(k) for k in range(fleet.trays + 1)])
    standing = float(chance @ (1 - left))
    # A tray taken by plan is one more beside those that are out.
    one_more = float(chance[:-1] @ (left[:-1] - left[1:]))
    for cause, held_h in zip(causes, hours, strict=True):
        yearly = _faults_per_year(cause, fleet) / fleet.n_domains / HOURS_PER_YEAR  # of one domain and hour
        if cause.takes == "site":
            yield cause.failures_per_year * (cause.outage_h + restart_h) / HOURS_PER_YEAR
        elif cause.takes == "domain":
            yield yearly * (cause.outage_h + restart_h)
        elif cause.takes == "serving unit" and cause.counted_per == "serving unit":
            # each instance of a stage once: the stage is one instance short, and the other waits for it
            yield cause.failures_per_year * len(fleet.sizes) * (cause.outage_h + restart_h) / HOURS_PER_YEAR
        elif cause.takes == "serving unit":
            yield yearly * (cause.outage_h + restart_h) * fleet.hit_frac(1)
        else:
            taken = yearly * cause.outage_h * one_more if cause.is_planned else 0.0
            share = held_h / together if together > 0 else 0.0
            yield share * standing + taken + yearly * restart_h * fleet.hit_frac(fleet.tray)


def _faults_per_year(cause: Cause, fleet: Fleet) -> float:
    """Return the faults of one cause in a year, in all domains of a fleet."""
    instances = sum(fleet.ratio) * _served(fleet.domain, fleet.sizes, fleet.ratio)
    counted = {
        "accelerator": fleet.n_domains * fleet.domain,
        "switch tray": fleet.n_domains * fleet.switch_trays,
        "tray": fleet.n_domains * fleet.trays,
        "serving unit": fleet.n_domains * instances,
        "site": fleet.share,  # of the one site
    }[cause.counted_per]
    return cause.failures_per_year * counted


def tray_unavailability_frac(causes: Sequence[Cause], tray: int) -> float:
    """Return the share of the year that a tray of so many accelerators is out, unplanned."""
    hours = sum(
        cause.failures_per_year * cause.outage_h * (tray if cause.counted_per == "accelerator" else 1)
        for cause in causes
        if cause.takes == "tray" and not cause.is_planned
    )
    return hours / (HOURS_PER_YEAR + hours)


def domains_whole(tray_out_frac: float, trays: int, n_domains: int, confidence_frac: float) -> int:
    """Return how many of the domains have all their trays with a stated confidence, as fleets state it.

    Parameters
    ----------
    tray_out_frac : float
        Share of the time that a tray is out [-].
    trays : int
        Trays of a domain.
    n_domains : int
        Domains in all.
    confidence_frac : float
        Share of the time in which at least so many are whole [-].
    """
    up_to = bdtr(np.arange(n_domains + 1), n_domains, (1 - tray_out_frac) ** trays)
    return int(np.searchsorted(up_to, 1 - confidence_frac))
