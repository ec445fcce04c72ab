"""Voltages of the feeds by AC load flow, from what hangs on each."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from power_cooling.electrical.load_flow import (
    Branch,
    double_conversion_ups,
    radial_network,
    solve_load_flow,
    transformer,
)
from twin.core.inputs.feed_ratings import rating_w
from twin.core.inputs.feeds import ASSUMED_BUSWAY_TAPS, is_direct_current, loss_curve
from twin.core.inputs.layout import FeedRow, LayoutInputs

FloatArray = NDArray[np.float64]

POWER_FACTOR = 0.98  # of racks and drives: 80 PLUS Titanium supplies above half load; `rating_rules.yaml`
ASSUMED_SHEET_POWER_FACTOR = 0.9  # at which busway sheets state their drop; splits it into resistance and reactance
SHEET_CURRENT_A = 100.0  # that they state it for
TOLERANCE_PU = 1e-9


def feed_voltages(inputs: LayoutInputs, drawn_w: FloatArray) -> FloatArray:
    """Return the voltage at the far end of each feed, over nominal.

    Lines have the impedance of their sheets, busways tapped evenly; transformers theirs; a UPS in double conversion
    holds its output. Switchboards, PDUs and feeds without a product have none; utilities hold their voltage.

    Parameters
    ----------
    inputs : LayoutInputs
    drawn_w : ndarray, shape (n_cases, n_feeds)
        What hangs on each feed itself, racks and cooling, in the order of `LayoutInputs.feeds` [W].

    Returns
    -------
    ndarray, shape (n_cases, n_feeds)
        NaN for sources that feed nothing, and behind a branch in cases in which no voltage carries what hangs on it.
    """
    feeds = inputs.feeds
    at = {feed.id: f for f, feed in enumerate(feeds)}
    below: dict[int, list[int]] = {}  # by the first feed below a source: what lies behind it, itself included
    for f, feed in enumerate(feeds):
        first, steps = feed, 0
        while (parent := at.get(first.parent_id or -1)) is not None and feeds[parent].parent_id is not None:
            first, steps = feeds[parent], steps + 1
            if steps > len(feeds):
                break
        if parent is not None and steps <= len(feeds):
            below.setdefault(at[first.id], []).append(f)
    nominal_v = nominal_voltages_v(inputs)
    found = np.full(drawn_w.shape, np.nan)
    for first_at, members in below.items():  # a source holds its voltage: what hangs on it does not meet there
        root_at = at[feeds[first_at].parent_id or -1]
        parents = (feeds[at[feeds[f].parent_id or -1]].name for f in members)
        branches = [_branch(inputs, feeds[f], parent, nominal_v[f]) for f, parent in zip(members, parents, strict=True)]
        names = tuple(feeds[f].name for f in (root_at, *members))
        drawn = np.ascontiguousarray(drawn_w[:, members]).tobytes()
        found[:, members] = _voltages(names, float(nominal_v[root_at]), tuple(branches), drawn)
        found[:, root_at] = np.where(np.isnan(found[:, first_at]), found[:, root_at], 1.0)
    return found


@lru_cache(maxsize=512)  # an edit changes what hangs on one or two of them
def _voltages(names: tuple[str, ...], nominal_v: float, branches: tuple[Branch, ...], drawn: bytes) -> FloatArray:
    """Return the voltages of what hangs on one branch of a source, shape (n_cases, n_feeds).

    `names` has the source first, then the feeds; `drawn` is an array of (n_cases, n_feeds) of what they draw [W].
    """
    network = radial_network(names[0], nominal_v, branches)
    place = {name: i for i, name in enumerate(names)}
    order = [place[bus] for bus in network.buses]
    drawn_w = np.frombuffer(drawn).reshape(-1, len(names) - 1)
    active_w = np.concatenate([np.zeros((len(drawn_w), 1)), drawn_w], axis=1)[:, order]
    tangent = np.sqrt(1 - POWER_FACTOR**2) / POWER_FACTOR
    solved = solve_load_flow(network, active_w, tangent * active_w, tolerance_pu=TOLERANCE_PU)
    found = np.empty(active_w.shape)
    found[:, order] = np.abs(solved.voltage_pu)
    return found[:, 1:]


def nominal_voltages_v(inputs: LayoutInputs) -> FloatArray:
    """Return the nominal voltage at the end of each feed: its sheet's, else of what feeds it, else of what it feeds."""
    feeds = inputs.feeds
    own: dict[int, float] = {}
    above: dict[int, float] = {}
    for feed in feeds:
        facts = inputs.facts(feed.product_id)
        stated = facts.get("secondary_v") or facts.get("voltage_v")
        if stated:
            own[feed.id] = float(stated)
            if feed.parent_id is not None:
                above.setdefault(feed.parent_id, float(facts.get("primary_v") or stated))
    by_id = {feed.id: feed for feed in feeds}

    def voltage(feed: FeedRow | None) -> float:
        while feed is not None:
            if feed.id in own:
                return own[feed.id]
            if feed.parent_id is None:
                return above.get(feed.id, next(iter(own.values()), 1.0))
            feed = by_id.get(feed.parent_id)
        return 1.0

    return np.array([voltage(feed) for feed in feeds])


def _branch(inputs: LayoutInputs, feed: FeedRow, parent: str, nominal_v: float) -> Branch:
    """Return one feed as a branch of the load flow."""
    sheet = inputs.product(feed.product_id)
    if sheet is None:
        return Branch(feed.name, parent, nominal_v)
    facts = sheet.facts
    if sheet.kind == "ups" and not feed.eco_mode:
        curve = loss_curve(inputs, feed)
        losses = (curve.no_load_frac, curve.proportional_frac, curve.square_frac)
        return double_conversion_ups(
            feed.name, parent, nominal_v, rating_w=rating_w(inputs, feed) * feed.n_units, loss_frac=losses
        )
    if sheet.kind == "transformers":
        rating_va = float(facts["rating_va"])
        return transformer(
            feed.name,
            parent,
            nominal_v,
            rating_va=rating_va * feed.n_units,
            short_circuit_frac=float(facts["impedance_frac"]),
            short_circuit_resistive_frac=float(facts["load_loss_full_w"]) / rating_va,
            no_load_loss_w=float(facts["no_load_loss_w"]) * feed.n_units,
        )
    if sheet.kind == "busways":
        if is_direct_current(facts):
            ohm = complex(2 * facts["resistance_ohm_per_m"], 0.0)  # both conductors
        else:
            ohm = busway_impedance_ohm(facts["resistance_ohm_per_m"], facts.get("voltage_drop_v_per_m_per_100a"))
        tapped = (ASSUMED_BUSWAY_TAPS + 1) / (2 * ASSUMED_BUSWAY_TAPS)  # of the drop with all current to the end
        per_unit = ohm * feed.length_m * tapped / feed.n_units * 1e6 / nominal_v**2
        return replace(Branch(feed.name, parent, nominal_v), series_pu=per_unit)
    return Branch(feed.name, parent, nominal_v)


def busway_impedance_ohm(resistance_ohm: float, drop_v_per_100a: float | None) -> complex:
    """Return resistance and reactance of a phase from a sheet's resistance and its drop between phases at 100 A.

    The drop is √3 · 100 A · (R cos φ + X sin φ); a sheet that states less than its own resistance gives no reactance.
    """
    if drop_v_per_100a is None:
        return complex(resistance_ohm, 0.0)
    cosine = ASSUMED_SHEET_POWER_FACTOR
    reactive = float(drop_v_per_100a) / (np.sqrt(3) * SHEET_CURRENT_A) - resistance_ohm * cosine
    return complex(resistance_ohm, max(reactive, 0.0) / np.sqrt(1 - cosine**2))
