"""Rules of voltage: what is left of it at the racks, as described and after failures, and voltages that do not meet."""

from collections.abc import Iterator

import numpy as np

from twin.core.inputs.layout import FeedRow, LayoutInputs
from twin.core.inputs.voltages import feed_voltages, nominal_voltages_v
from twin.core.results.findings import BLOCKING, HINT, RISK
from twin.core.results.object_quantities import MOST_DROP_FRAC
from twin.core.rules.feed_loads import FeedLoads
from twin.core.rules.report import Finding


def voltage_findings(inputs: LayoutInputs, loads: FeedLoads) -> Iterator[Finding]:
    """Yield feeds whose racks get too little voltage, and busways of another voltage than what feeds them."""
    yield from _too_low(inputs, loads)
    yield from _unlike_currents(inputs)
    yield from _other_voltages(inputs)


def _cases(loads: FeedLoads) -> list[int]:
    """Return the rows of `drawn_w` that matter: no failure, and for each feed the failure that loads it most."""
    if not loads.failed.size:
        return [0]
    more_w = np.maximum(loads.after_w - loads.normal_w, 0.0)
    # Of two that load a feed alike, the one that loads more feeds.
    worst = (more_w * (1 + 1e-6 * np.count_nonzero(more_w > 0, axis=1)[:, None])).argmax(axis=0)
    loaded = more_w[worst, np.arange(worst.size)] > 0
    return [0, *(int(case) + 1 for case in np.unique(worst[loaded]))]


def _too_low(inputs: LayoutInputs, loads: FeedLoads) -> Iterator[Finding]:
    cases = _cases(loads)
    nominal_v = nominal_voltages_v(inputs)
    voltage_frac = feed_voltages(inputs, loads.drawn_w[cases])
    lost = ["", *(f" when {inputs.feeds[loads.failed[case - 1]].name} fails" for case in cases[1:])]
    carries = loads.drawn_w.max(axis=0) > 0
    for f, feed in enumerate(inputs.feeds):
        if not carries[f]:
            continue
        drop = np.where(loads.drawn_w[cases, f] > 0, 1 - voltage_frac[:, f], 0.0)
        case = int(np.argmax(np.where(np.isnan(drop), np.inf, drop)))
        if drop[0] > MOST_DROP_FRAC:
            case = 0
        if np.isnan(drop[case]):
            message = f"No voltage carries the load behind it{lost[case]}: shorten its lines or take larger ones."
            yield Finding(
                "power_feed", feed.id, feed.name, "voltage drop", BLOCKING, None, MOST_DROP_FRAC, "%", message
            )
        elif drop[case] > MOST_DROP_FRAC:
            yield Finding(
                "power_feed",
                feed.id,
                feed.name,
                "voltage drop",
                RISK,
                float(drop[case]),
                MOST_DROP_FRAC,
                "%",
                f"Its racks get {voltage_frac[case, f] * nominal_v[f]:.0f} of {nominal_v[f]:.0f} V{lost[case]}; "
                f"{MOST_DROP_FRAC:.0%} is the most that may drop up to the farthest outlet.",
            )


def _unlike_currents(inputs: LayoutInputs) -> Iterator[Finding]:
    """Report racks whose supplies take alternating current on feeds of direct current, and the other way round."""
    by_id = {feed.id: feed for feed in inputs.feeds}
    direct: dict[int | None, bool] = {None: False}

    def is_direct(feed: FeedRow, steps: int = 0) -> bool:
        if feed.id not in direct and steps <= len(by_id):
            facts, parent = inputs.facts(feed.product_id), by_id.get(feed.parent_id or -1)
            states = facts.get("current_type") or ("ac" if facts.get("voltage_v") or facts.get("secondary_v") else "")
            direct[feed.id] = states == "dc" if states or parent is None else is_direct(parent, steps + 1)
        return direct.get(feed.id, False)

    racks, named = inputs.racks, set()
    alike: dict[tuple[int | None, ...], int] = {}  # the first rack of each product on the same feeds
    for i, key in enumerate(zip(racks.product_id, racks.feed_a_id, racks.feed_b_id, strict=True)):
        alike.setdefault(key, i)
    for (product_id, *feeds), i in alike.items():
        sheet = inputs.product(product_id)
        if sheet is None or sheet.kind != "systems":
            continue
        supply = str((sheet.facts.get("power_supply") or {}).get("input_v_ac") or "")
        wants_direct = "VDC" in supply.upper().replace(" ", "")
        for feed_id in feeds:
            feed = by_id.get(feed_id or -1)
            if feed is None or is_direct(feed) == wants_direct or (feed.id, product_id) in named:
                continue
            named.add((feed.id, product_id))
            given, wanted = ("direct", "alternating") if is_direct(feed) else ("alternating", "direct")
            yield Finding(
                "rack",
                racks.id[i],
                racks.name[i],
                "unlike currents",
                BLOCKING,
                None,
                None,
                "",
                f"{sheet.name} takes {wanted} current ({supply or 'as its sheet has it'}); {feed.name} gives {given} "
                "current. Choose a feed of that kind, or draw a rectifier block between.",
            )


def _other_voltages(inputs: LayoutInputs) -> Iterator[Finding]:
    """Report busways of another voltage than the transformer above them gives, once per transformer."""
    by_id = {feed.id: feed for feed in inputs.feeds}
    unlike: dict[int, list[FeedRow]] = {}
    for feed in inputs.feeds:
        stated = inputs.facts(feed.product_id).get("voltage_v")
        source, steps = by_id.get(feed.parent_id or -1), 0
        while source is not None and source.kind not in ("transformer", "pdu") and steps <= len(by_id):
            source, steps = by_id.get(source.parent_id or -1), steps + 1
        given = None if source is None else inputs.facts(source.product_id).get("secondary_v")
        if source is not None and stated and given and float(stated) != float(given):
            unlike.setdefault(source.id, []).append(feed)
    for source_id, feeds in unlike.items():
        source = by_id[source_id]
        given = float(inputs.facts(source.product_id)["secondary_v"])
        stated = float(inputs.facts(feeds[0].product_id)["voltage_v"])
        names = feeds[0].name if len(feeds) == 1 else f"{feeds[0].name} and {len(feeds) - 1} more"
        yield Finding(
            "power_feed",
            source.id,
            source.name,
            "unlike voltages",
            HINT,
            given,
            stated,
            "V",
            f"Gives {given:.0f} V, but {names} behind it are of {stated:.0f} V and nothing drawn between transforms: "
            "draw a transformer or PDU there, or take products of one voltage.",
        )
