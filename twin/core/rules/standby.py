"""What the utility's loss drops before generators have the load, and how long overloaded feeds carry a failure."""

from collections.abc import Iterator

import numpy as np

from power_cooling.electrical.protection import ASSUMED_BREAKER, ASSUMED_UPS_OVERLOAD
from twin.core.failures.carry_over import carry_overs
from twin.core.inputs.layout import FeedRow, LayoutInputs
from twin.core.results.findings import RISK
from twin.core.rules.feed_loads import FeedLoads, Feeds
from twin.core.rules.report import Finding


def standby_findings(inputs: LayoutInputs, feeds: Feeds, loads: FeedLoads) -> Iterator[Finding]:
    """Yield feeds whose racks lose power from the loss of the utility until generators have the load."""
    tree = feeds.site.tree
    load_w = np.zeros(tree.n_nodes)
    load_w[feeds.node] = loads.normal_w
    with_racks = np.zeros(tree.n_nodes, dtype=bool)
    with_racks[feeds.site.links.node_index] = True
    for carried in carry_overs(inputs, tree, load_w):
        for f, feed in enumerate(inputs.feeds):
            node = feeds.node[f]
            if not (with_racks[node] and carried.dark[node]):
                continue
            lasts_s = float(carried.battery_s[node])
            battery = f"the battery above it lasts {lasts_s:.0f} s" if lasts_s > 0 else "it has no battery above it"
            yield Finding(
                "power_feed",
                feed.id,
                feed.name,
                "carry-over",
                RISK,
                lasts_s,
                carried.picked_up_s,
                "s",
                f"When {carried.utility} is lost, {carried.generator} start in {carried.start_s:.0f} s and have the "
                f"load after {carried.picked_up_s:.0f} s; {battery}, so its racks stop and restart.",
            )


def carried_for(feed: FeedRow, load_w: float, capacity_w: float) -> str:
    """Return how long a feed's protection carries more than its rating, as a clause; nothing for others.

    A UPS by its overload rating, then it goes to bypass; switchgear and busways by their breaker's long-time delay.
    """
    if not np.isfinite(capacity_w) or load_w <= capacity_w:
        return ""
    if feed.kind == "ups":
        seconds = float(ASSUMED_UPS_OVERLOAD.seconds_to_trip(load_w / capacity_w))
        return f"; its inverter carries that for {_time(seconds)}, then it goes to bypass"
    if feed.kind in ("busway", "pdu", "switchboard"):
        seconds = float(ASSUMED_BREAKER.seconds_to_trip(load_w / capacity_w))
        return f"; its breaker opens after {_time(seconds)}" if np.isfinite(seconds) else ""
    return ""


def _time(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
