"""Rules of the power feeds: ratings, breakers, redundancy after each single failure, the grid, racks without power."""

from collections.abc import Iterator

import numpy as np

from twin.core.inputs.feed_ratings import parallel_utilities, prime_feeds
from twin.core.inputs.layout import FeedRow, LayoutInputs
from twin.core.results.findings import BLOCKING, HINT, RISK
from twin.core.rules.design_load import Design, RackDesign
from twin.core.rules.feed_loads import FeedLoads, Feeds, feed_loads, own_rating_w
from twin.core.rules.phases import phase_findings
from twin.core.rules.report import Finding, kilowatts
from twin.core.rules.standby import carried_for, standby_findings
from twin.core.rules.voltages import voltage_findings

# NEC 210.20, 215.3: continuous load at most 80 % of a breaker's rating. Busway products state the 80 % already.
BREAKER_FRAC = 0.8
STRANDED_FRAC = 0.3  # of a group's firm capacity; below that it is ordinary head room
GROUP_SIZES = {"2N": 2, "4N3": 4, "5-to-make-4": 5}
ROUNDING = 1e-9
ROOTS = ("utility", "generator")


def power_findings(inputs: LayoutInputs, design: Design, feeds: Feeds | None) -> list[Finding]:
    """Return what is wrong with the feeds."""
    found = list(_racks_without_power(inputs, design.racks))
    if feeds is None:
        return found
    loads = feed_loads(inputs, feeds, design)
    return [
        *found,
        *_shared_paths(inputs, design.racks, loads),
        *_overloads(inputs, loads),
        *_after_failures(inputs, loads),
        *_groups(inputs, loads),
        *_sources(inputs, design.racks, loads),
        *voltage_findings(inputs, loads),
        *phase_findings(inputs, loads),
        *standby_findings(inputs, feeds, loads),
    ]


def _racks_without_power(inputs: LayoutInputs, racks: RackDesign) -> Iterator[Finding]:
    ids, names = inputs.racks.id, inputs.racks.name
    for i in np.flatnonzero((racks.feed_a < 0) & (racks.feed_b < 0) & (racks.power_w > 0)):
        yield Finding(
            "rack",
            ids[i],
            names[i],
            "no feed",
            BLOCKING,
            float(racks.power_w[i]),
            0.0,
            "W",
            f"Draws {kilowatts(racks.power_w[i])} but plugs into no feed.",
        )
    for i in np.flatnonzero((racks.feed_a < 0) != (racks.feed_b < 0)):
        yield Finding(
            "rack",
            ids[i],
            names[i],
            "one feed",
            RISK,
            1.0,
            2.0,
            "feeds",
            "Has one feed only; any failure above it takes the rack down.",
        )
    for side in (racks.feed_a, racks.feed_b):
        for f in np.unique(side[side >= 0]):
            feed = inputs.feeds[f]
            limit = own_rating_w(inputs, feed)
            if not limit:
                continue
            for i in np.flatnonzero((side == f) & (racks.power_w > limit)):
                yield Finding(
                    "rack",
                    ids[i],
                    names[i],
                    "rack power",
                    BLOCKING,
                    float(racks.power_w[i]),
                    limit,
                    "W",
                    f"Draws up to {kilowatts(racks.power_w[i])}; {feed.name} carries {kilowatts(limit)}.",
                )


def _shared_paths(inputs: LayoutInputs, racks: RackDesign, loads: FeedLoads) -> Iterator[Finding]:
    """Report sides A and B that meet below the source: one failure there takes both."""
    both = (racks.feed_a >= 0) & (racks.feed_b >= 0)
    for a, b in np.unique(np.stack([racks.feed_a[both], racks.feed_b[both]], axis=1).reshape(-1, 2), axis=0):
        shared = [
            feed.name
            for f, feed in enumerate(inputs.feeds)
            if loads.above[f, a] and loads.above[f, b] and feed.kind not in ROOTS
        ]
        if shared:
            sharing = np.flatnonzero((racks.feed_a == a) & (racks.feed_b == b))
            feed = inputs.feeds[a]
            yield Finding(
                "power_feed",
                feed.id,
                feed.name,
                "shared path",
                RISK,
                float(len(sharing)),
                0.0,
                "racks",
                f"Sides A and B of {len(sharing)} racks meet at {shared[0]}; its failure takes both.",
            )


def _limit_w(inputs: LayoutInputs, loads: FeedLoads, f: int) -> tuple[float, str]:
    """Return what a feed may carry for hours, and the rule that says so."""
    feed = inputs.feeds[f]
    if feed.kind == "pdu" and feed.rating_w is None:
        return BREAKER_FRAC * loads.capacity_w[f], "breaker 80 %"
    spare = feed.redundancy == "N+1" and feed.n_units > 1
    if spare:
        return loads.capacity_w[f] * (feed.n_units - 1) / feed.n_units, "spare unit"
    return loads.capacity_w[f], "breaker 80 %" if feed.kind == "busway" and feed.product_id else "capacity"


def _trips_at_w(loads: FeedLoads, f: int, feed: FeedRow) -> float:
    """Return the load at which a feed's protection begins to count: a busway's breaker is rated above its product."""
    return float(loads.capacity_w[f]) / (BREAKER_FRAC if feed.kind == "busway" and feed.product_id else 1.0)


def _overloads(inputs: LayoutInputs, loads: FeedLoads) -> Iterator[Finding]:
    for f, feed in enumerate(inputs.feeds):
        limit_w, rule = _limit_w(inputs, loads, f)
        if loads.normal_w[f] <= limit_w * (1 + ROUNDING) or feed.kind in ROOTS:
            continue
        why = {
            "breaker 80 %": "continuous load may reach 80 % of its breakers",
            "spare unit": f"what {feed.n_units - 1} of {feed.n_units} units carry",
            "capacity": "its rating",
        }[rule]
        yield Finding(
            "power_feed",
            feed.id,
            feed.name,
            rule,
            BLOCKING,
            float(loads.normal_w[f]),
            float(limit_w),
            "W",
            f"Carries up to {kilowatts(loads.normal_w[f])}; {why}: {kilowatts(limit_w)}.",
        )


def _after_failures(inputs: LayoutInputs, loads: FeedLoads) -> Iterator[Finding]:
    """Report the worst single failure of each feed that its stated redundancy does not survive."""
    if not len(loads.failed):
        return
    worst = loads.after_w.argmax(axis=0)
    for f, feed in enumerate(inputs.feeds):
        load_w = loads.after_w[worst[f], f]
        limit_w, _ = _limit_w(inputs, loads, f)
        if feed.kind in ROOTS or load_w <= max(limit_w, loads.normal_w[f]) * (1 + ROUNDING):
            continue
        lost = inputs.feeds[loads.failed[worst[f]]]
        yield Finding(
            "power_feed",
            feed.id,
            feed.name,
            "after a failure",
            BLOCKING,
            float(load_w),
            float(limit_w),
            "W",
            f"Must carry {kilowatts(load_w)} when {lost.name} fails, but may carry {kilowatts(limit_w)}"
            f"{carried_for(feed, float(load_w), _trips_at_w(loads, f, feed))}: {lost.redundancy} is not kept.",
        )


def _groups(inputs: LayoutInputs, loads: FeedLoads) -> Iterator[Finding]:
    """Report groups whose size contradicts the stated redundancy, and capacity that no failure ever needs."""
    groups: dict[tuple[str, str], list[int]] = {}
    for f, feed in enumerate(inputs.feeds):
        if feed.redundancy_group:
            groups.setdefault((feed.redundancy_group, feed.kind), []).append(f)
        elif feed.redundancy not in ("N", "N+1"):
            yield _group_finding(inputs, f, f"States {feed.redundancy} but belongs to no redundancy group.")
    for (name, _), members in groups.items():
        first = inputs.feeds[members[0]]
        stated = {inputs.feeds[f].redundancy for f in members}
        if len(stated - {"catcher"}) > 1:
            stated_text = " and ".join(sorted(stated))
            yield _group_finding(
                inputs, members[0], f"Group {name} states {stated_text}; state one redundancy for all."
            )
        wanted = GROUP_SIZES.get(first.redundancy)
        if wanted and len(members) != wanted:
            yield _group_finding(
                inputs,
                members[0],
                f"Group {name} states {first.redundancy}, which takes {wanted} feeds; it has {len(members)}.",
            )
        if first.redundancy == "N+1" and len(members) == 1 and first.n_units == 1:
            yield _group_finding(inputs, members[0], f"Group {name} states N+1 but has one unit.")
        yield from _stranded(inputs, loads, name, members)


def _group_finding(inputs: LayoutInputs, f: int, message: str) -> Finding:
    feed: FeedRow = inputs.feeds[f]
    return Finding("power_feed", feed.id, feed.name, "redundancy group", RISK, None, None, "", message)


def _stranded(inputs: LayoutInputs, loads: FeedLoads, name: str, members: list[int]) -> Iterator[Finding]:
    first = inputs.feeds[members[0]]
    n = len(members)
    firm = {"2N": n / 2, "4N3": n * 3 / 4, "5-to-make-4": n * 4 / 5}.get(first.redundancy)
    if first.kind != "ups" or firm is None:
        return
    capacity_w = float(np.mean(loads.capacity_w[members]) * firm)
    load_w = float(loads.normal_w[members].sum())
    if np.isfinite(capacity_w) and load_w < (1 - STRANDED_FRAC) * capacity_w:
        yield Finding(
            "power_feed",
            first.id,
            first.name,
            "stranded power",
            HINT,
            load_w,
            capacity_w,
            "W",
            f"Group {name} can carry {kilowatts(capacity_w)} after a failure, its racks draw at most "
            f"{kilowatts(load_w)}: {kilowatts(capacity_w - load_w)} stay unused.",
        )


def _prime(inputs: LayoutInputs, loads: FeedLoads) -> Iterator[Finding]:
    """Report generators that feed something all year without being described so, and islands beyond their rating."""
    parents = {feed.parent_id for feed in inputs.feeds}
    prime = {feed.id for feed in prime_feeds(inputs.feeds)}
    for f, feed in enumerate(inputs.feeds):
        if feed.kind != "generator" or feed.id not in parents:
            continue
        load_w, limit_w = float(loads.normal_w[f]), float(_limit_w(inputs, loads, f)[0])
        if feed.id not in prime:
            yield Finding(
                "power_feed",
                feed.id,
                feed.name,
                "standby feeds",
                RISK,
                load_w,
                0.0,
                "W",
                f"Feeds {kilowatts(load_w)} all year but is described as standby: its fuel is not counted.",
            )
        elif load_w > limit_w * (1 + ROUNDING):
            spare = f" with one of {feed.n_units} units out" if feed.redundancy == "N+1" and feed.n_units > 1 else ""
            yield Finding(
                "power_feed",
                feed.id,
                feed.name,
                "island",
                BLOCKING,
                load_w,
                limit_w,
                "W",
                f"Nothing stands beside it: it carries {kilowatts(load_w)} and gives {kilowatts(limit_w)}{spare}.",
            )


def _sources(inputs: LayoutInputs, racks: RackDesign, loads: FeedLoads) -> Iterator[Finding]:
    """Compare what the layout may draw with the grid connection and the generators."""
    site = inputs.site
    utilities = [f for f, feed in enumerate(inputs.feeds) if feed.kind == "utility"]
    total_w = float(loads.normal_w[utilities].sum())
    prime = prime_feeds(inputs.feeds)
    yield from _prime(inputs, loads)
    if inputs.feeds and not utilities and not prime:
        yield Finding("site", None, site.name, "no utility", BLOCKING, None, None, "", "No feed is a utility.")
        return
    if not utilities:
        return
    grid_w = min(site.grid_limit_w, float(loads.capacity_w[utilities].sum()))
    beside = parallel_utilities(inputs.feeds)
    on_site_w = sum(_limit_w(inputs, loads, f)[0] for f, feed in enumerate(inputs.feeds) if feed.id in beside)
    limit_w = grid_w + on_site_w
    racks_and_cooling_w = max(float(racks.power_w.sum()) + loads.mechanical_w, 1.0)
    typical_w = total_w * (float(racks.typical_w.sum()) + loads.mechanical_w) / racks_and_cooling_w
    if total_w > limit_w:
        held = typical_w <= limit_w
        heavy_use = "in heavy use it stays below, so caps must hold it."
        if not held:
            heavy_use = f"even in heavy use it draws {kilowatts(typical_w)}."
        yield Finding(
            "site",
            None,
            site.name,
            "grid limit",
            RISK if held else BLOCKING,
            total_w,
            limit_w,
            "W",
            f"At nameplate the layout draws {kilowatts(total_w)} from a connection of {kilowatts(grid_w)}"
            f"{f' and {kilowatts(on_site_w)} of on-site generation' if on_site_w else ''}; {heavy_use}",
        )
    elif total_w < (1 - STRANDED_FRAC) * grid_w and racks.power_w.size and not on_site_w:
        yield Finding(
            "site",
            None,
            site.name,
            "stranded power",
            HINT,
            total_w,
            limit_w,
            "W",
            f"The connection of {kilowatts(grid_w)} is never used beyond {kilowatts(total_w)}.",
        )
    generators = [f for f, feed in enumerate(inputs.feeds) if feed.kind == "generator"]
    if not generators:
        if racks.power_w.size:
            yield Finding(
                "site",
                None,
                site.name,
                "no generators",
                HINT,
                None,
                None,
                "",
                "Nothing replaces the utility when it fails for longer than the batteries last.",
            )
        return
    firm_w = sum(_limit_w(inputs, loads, f)[0] for f in generators)
    if total_w > firm_w:
        first = inputs.feeds[generators[0]]
        yield Finding(
            "power_feed",
            first.id,
            first.name,
            "generators",
            RISK,
            total_w,
            firm_w,
            "W",
            f"The layout draws up to {kilowatts(total_w)}; with one unit out the generators give {kilowatts(firm_w)}.",
        )
