"""The described power feeds as the solver's tree, and which racks hang on which feed."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from power_cooling.electrical.feed_tree import FeedTree, RackLinks, feed_tree, rack_links
from power_cooling.electrical.loss_curves import LossCurve, curve_from_efficiency, line_curve, transformer_curve
from power_cooling.site_arrays import SiteFeeds
from twin.core.inputs.equipment import cdu_groups
from twin.core.inputs.feed_ratings import SHAVING, parallel_utilities, prime_feeds, rating_w, standby_generators
from twin.core.inputs.layout import FeedRow, LayoutInputs

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

ASSUMED_SWITCHGEAR_LOSS_FRAC = 0.001  # of what passes, for switchboards and feeds without a product: bolted joints
ASSUMED_BUSWAY_TAPS = 8  # racks tap a busway evenly along its length, about a row's worth


def tree_of(inputs: LayoutInputs) -> FeedTree:
    """Return the feeds of a snapshot.

    Raises
    ------
    ValueError
        If there are none, a feed has no rating, or feeds form a loop.
    """
    feeds = inputs.feeds
    if not feeds:
        raise ValueError("The layout has no power feeds; add a utility and what it feeds")
    name_of: dict[int | None, str] = {feed.id: feed.name for feed in feeds}
    hall_of: dict[int | None, int] = {hall.id: i for i, hall in enumerate(inputs.halls)}
    losses = [loss_curve(inputs, feed) for feed in feeds]
    generator_of = standby_generators(feeds)
    utility_of = parallel_utilities(feeds)
    return feed_tree(
        names=[feed.name for feed in feeds],
        kinds=[feed.kind for feed in feeds],
        parents=[name_of.get(feed.parent_id) for feed in feeds],
        standby_parents=[generator_of.get(feed.parent_id) for feed in feeds],
        beside=[utility_of.get(feed.id) for feed in feeds],
        rating_w=[rating_w(inputs, feed) for feed in feeds],
        no_load_loss_frac=[loss.no_load_frac for loss in losses],
        proportional_loss_frac=[loss.proportional_frac for loss in losses],
        square_loss_frac=[loss.square_frac for loss in losses],
        units=[feed.n_units for feed in feeds],
        needed_units=[feed.n_units - (feed.redundancy == "N+1" and feed.n_units > 1) for feed in feeds],
        hall_index=[hall_of.get(feed.hall_id, -1) for feed in feeds],
    )


def is_direct_current(sheet: Mapping[str, Any]) -> bool:
    """Return whether a product gives direct current."""
    return sheet.get("current_type") == "dc"


def loss_curve(inputs: LayoutInputs, feed: FeedRow) -> LossCurve:
    """Return the loss of one unit of a feed over its rating, from its product's sheet."""
    entry = inputs.product(feed.product_id)
    if entry is None:
        passes_through = feed.kind in ("utility", "generator", "bess")
        return LossCurve(0.0, 0.0 if passes_through else ASSUMED_SWITCHGEAR_LOSS_FRAC, 0.0)
    sheet, rated = entry.facts, rating_w(inputs, feed)
    if entry.kind == "ups":
        points = sheet["efficiency_eco_mode" if feed.eco_mode else "efficiency_double_conversion"]
        shares = [float(name.removeprefix("load_").replace("_", ".")) for name in points]
        return _fitted(tuple(shares), tuple(points.values()))
    if entry.kind == "transformers":
        return transformer_curve(rated, sheet["no_load_loss_w"], sheet["load_loss_full_w"])
    if entry.kind == "busways":
        # Direct current goes and comes back: 2 R (P / V)², where three phases lose R (P / V)².
        ohm = sheet["resistance_ohm_per_m"] * feed.length_m * (2 if is_direct_current(sheet) else 1)
        return line_curve(rated, ohm, sheet["voltage_v"], n_taps=ASSUMED_BUSWAY_TAPS)
    if entry.kind == "distribution":
        return _fitted((0.5, 1.0), (sheet["efficiency_at_50pct"], sheet["efficiency_full"]))
    return LossCurve(0.0, 0.0, 0.0)


@cache
def _fitted(load_frac: tuple[float, ...], efficiency_frac: tuple[float, ...]) -> LossCurve:
    return curve_from_efficiency(load_frac, efficiency_frac)


def rack_feeds(inputs: LayoutInputs) -> IntArray:
    """Return the ids of feeds A and B of each rack, -1 for none, shape (n_racks, 2)."""
    racks = inputs.racks
    sides = [[-1 if feed is None else feed for feed in side] for side in (racks.feed_a_id, racks.feed_b_id)]
    feeds = np.array(sides, dtype=np.int64).T
    dark = np.all(feeds < 0, axis=1)
    if np.any(dark):
        name = racks.name[int(np.argmax(dark))]
        raise ValueError(f"Rack {name} is on no power feed; connect it to one")
    return feeds


def class_links(inputs: LayoutInputs, tree: FeedTree, class_feeds: IntArray) -> RackLinks:
    """Return the connections of rack classes.

    A rack on two feeds draws half from each, but for a catcher, which takes over only when the first is dead.

    Parameters
    ----------
    inputs : LayoutInputs
        A snapshot.
    tree : FeedTree
        From `tree_of`.
    class_feeds : ndarray, shape (n_classes, 2)
        Feed ids A and B of each class, -1 for none.
    """
    by_id = {feed.id: feed for feed in inputs.feeds}
    shared_by: dict[tuple[int, ...], list[tuple[str, float, float]]] = {}  # classes on the same feeds draw alike
    rack_index, names, shares, standby = [], [], [], []
    for i, pair in enumerate(class_feeds.tolist()):
        if (key := tuple(pair)) not in shared_by:
            shared_by[key] = _shares(by_id, pair)
        for name, share, in_reserve in shared_by[key]:
            rack_index.append(i)
            names.append(name)
            shares.append(share)
            standby.append(in_reserve)
    return rack_links(
        tree,
        rack_index=rack_index,
        node_names=names,
        n_racks=len(class_feeds),
        share_frac=shares,
        standby_share_frac=standby,
    )


def _shares(by_id: Mapping[int, FeedRow], pair: list[int]) -> list[tuple[str, float, float]]:
    """Return name, share and standby share of each feed of a rack."""
    feeds = [by_id[feed] for feed in pair if feed >= 0]
    caught = len(feeds) == 2 and _is_catcher(by_id, feeds[1])
    if caught:
        return [(feeds[0].name, 1.0, 0.0), (feeds[1].name, 0.0, 1.0)]
    return [(feed.name, 1.0 / len(feeds), 0.0) for feed in feeds]


def _is_catcher(by_id: Mapping[int, FeedRow], feed: FeedRow | None) -> bool:
    """Return whether a feed, or one above it, is a catcher."""
    seen = 0
    while feed is not None and seen <= len(by_id):
        if feed.redundancy == "catcher":
            return True
        feed, seen = None if feed.parent_id is None else by_id.get(feed.parent_id), seen + 1
    return False


def site_feeds(inputs: LayoutInputs, class_feeds: IntArray) -> SiteFeeds:
    """Return the tree with everything that hangs on it.

    Cooling draws from the boards that feed nothing else: switchboards, PDUs and transformers without racks or further
    feeds below them, taken in turn; where there is none, from the utilities, whose load and rating then count it, and
    from the generators behind them while they are lost.
    """
    tree = tree_of(inputs)
    boards = mechanical_nodes(inputs, tree)

    def in_turn(n: int) -> IntArray:
        return boards[np.arange(n) % boards.size]

    n_groups = len(cdu_groups(inputs))
    return SiteFeeds(
        tree=tree,
        links=class_links(inputs, tree, class_feeds),
        group_node=in_turn(n_groups),
        hall_node=in_turn(len(inputs.halls)),
        plant_node=in_turn(len(inputs.plants)),
    )


def mechanical_nodes(inputs: LayoutInputs, tree: FeedTree) -> IntArray:
    """Return the nodes that cooling draws from; see `site_feeds`."""
    used = {feed.parent_id for feed in inputs.feeds}
    used |= {*inputs.racks.feed_a_id, *inputs.racks.feed_b_id}
    kinds = ("switchboard", "pdu", "transformer")
    free = [feed.name for feed in inputs.feeds if feed.id not in used and feed.kind in kinds]
    at_the_root = tree.metered if tree.metered.size else tree.roots
    return np.array([tree.index(name) for name in free] or at_the_root, dtype=np.int64)


def provisioned_w(inputs: LayoutInputs, tree: FeedTree) -> float:
    """Return what the sources may carry [W]: the grid limit, or the utilities' rating where that is less, and all prime
    generation but its spare units.
    """
    metered = tree.metered
    grid_w = min(float(inputs.site.grid_limit_w), float((tree.rating_w * tree.units)[metered].sum()))
    prime = [tree.index(feed.name) for feed in prime_feeds(inputs.feeds)]
    return grid_w * (metered.size > 0) + float((tree.rating_w * tree.needed_units)[prime].sum())


def battery_s(inputs: LayoutInputs, tree: FeedTree, load_w: FloatArray) -> FloatArray:
    """Return how long the batteries at each feed carry its load, shape (n_nodes,) [s].

    Parameters
    ----------
    inputs : LayoutInputs
        The layout.
    tree : FeedTree
        Of `tree_of`.
    load_w : ndarray, shape (n_nodes,)
        What each feed carries [W].
    """
    lasts = np.zeros(tree.n_nodes)
    by_id = {feed.id: feed for feed in inputs.feeds}
    for feed in inputs.feeds:
        sheet = inputs.facts(feed.product_id)
        node = tree.index(feed.name)
        if feed.kind == "ups" and sheet.get("battery_autonomy_s"):
            stored_j = sheet["battery_autonomy_s"] * tree.rating_w[node] * feed.n_units
        elif feed.kind == "bess" and feed.parent_id is not None:
            node = tree.index(by_id[feed.parent_id].name)
            carries = sheet.get("power_w", 0.0) * feed.n_units >= load_w[node]
            kept_frac = feed.reserve_frac if feed.operation == SHAVING else 1.0  # what is sure to be in it
            stored_j = kept_frac * sheet.get("energy_j", 0.0) * feed.n_units if carries else 0.0
        else:
            continue
        lasts[node] += stored_j / max(float(load_w[node]), 1.0)
    return lasts
