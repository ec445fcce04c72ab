"""Rules of phases: what single-phase taps make of the balance of the three-phase feeds above them.

Rack systems draw from three phases alike. Only what hangs on a tap of one phase unbalances, up to the next UPS in
double conversion, whose rectifier draws from all three, or to the source.
"""

from collections.abc import Iterator

import numpy as np

from power_cooling.site_arrays import FloatArray
from twin.core.inputs.layout import LayoutInputs
from twin.core.results.findings import HINT, RISK
from twin.core.rules.feed_loads import FeedLoads
from twin.core.rules.report import Finding, kilowatts

PHASES = ("L1", "L2", "L3")
ASSUMED_MOST_UNBALANCE_FRAC = 0.1  # of the mean phase: what panel schedules are drawn up to keep


def phase_findings(inputs: LayoutInputs, loads: FeedLoads) -> Iterator[Finding]:
    """Yield three-phase feeds with a phase over a third of their rating, and those that are out of balance."""
    on_phase = phase_loads_w(inputs, loads)
    for f, feed in enumerate(inputs.feeds):
        mean_w = float(on_phase[f].mean())
        busiest = int(np.argmax(on_phase[f]))
        most_w = float(on_phase[f, busiest])
        over_frac = most_w / mean_w - 1.0 if mean_w > 0 else 0.0
        if feed.phase or feed.kind == "utility" or over_frac < 1e-9:
            continue
        limit_w = float(loads.capacity_w[f]) / len(PHASES)
        if most_w > limit_w:
            message = f"{PHASES[busiest]} carries {kilowatts(most_w)}; a third of its rating is {kilowatts(limit_w)}."
            yield Finding("power_feed", feed.id, feed.name, "phase load", RISK, most_w, limit_w, "W", message)
        elif over_frac > ASSUMED_MOST_UNBALANCE_FRAC:
            message = (
                f"{PHASES[busiest]} carries {over_frac:.0%} more than the mean of its phases "
                f"({', '.join(kilowatts(float(w)) for w in on_phase[f])}): give its taps other phases."
            )
            yield Finding(
                "power_feed",
                feed.id,
                feed.name,
                "phase balance",
                HINT,
                over_frac,
                ASSUMED_MOST_UNBALANCE_FRAC,
                "%",
                message,
            )


def phase_loads_w(inputs: LayoutInputs, loads: FeedLoads) -> FloatArray:
    """Return what each phase of each feed carries at design, shape (n_feeds, 3) [W].

    Alike on all three, but for what single-phase taps below it draw.
    """
    feeds = inputs.feeds
    at = {feed.id: f for f, feed in enumerate(feeds)}
    skewed = np.zeros((len(feeds), len(PHASES)))
    for f, feed in enumerate(feeds):
        above = at.get(feed.parent_id or -1)
        if not feed.phase or (above is not None and feeds[above].phase):
            continue  # three phases, or counted with the tap that it hangs on
        drawn_w, steps = float(loads.normal_w[f]), 0
        skewed[f, PHASES.index(feed.phase)] = drawn_w
        while above is not None and steps < len(feeds):
            if feeds[above].kind == "ups" and not feeds[above].eco_mode:
                skewed[above, PHASES.index(feed.phase)] += drawn_w  # its output; its input is balanced
                break
            skewed[above, PHASES.index(feed.phase)] += drawn_w
            above, steps = at.get(feeds[above].parent_id or -1), steps + 1
    alike = np.maximum(loads.normal_w - skewed.sum(axis=1), 0.0) / len(PHASES)
    return alike[:, None] + skewed
