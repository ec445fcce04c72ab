"""Load of every feed at design, as described and after each single failure, by the solver's tree, shares and losses."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from power_cooling.coupled.solve import own_load_on_feeds
from power_cooling.electrical.feed_tree import FeedTree, feed_losses, live_nodes, rack_loads, stand_ins
from power_cooling.site_arrays import FloatArray, OwnLoad, SiteFeeds
from twin.core.inputs.feed_ratings import rating_w
from twin.core.inputs.feeds import site_feeds
from twin.core.inputs.layout import FeedRow, LayoutInputs
from twin.core.inputs.own_load import own_load
from twin.core.rules.design_load import Design, RackDesign, sums

IntArray = NDArray[np.int64]

SOURCES = ("utility", "generator", "bess")
UNRATED_W = 1e12  # a rating that no load reaches, for feeds whose rating is not yet described


@dataclass(frozen=True, slots=True, eq=False)
class FeedLoads:
    """Loads of the feeds [W], in the order of `LayoutInputs.feeds`; n_cases are the failures."""

    above: NDArray[np.bool_]  # (n_feeds, n_feeds): i carries j, itself included
    capacity_w: FloatArray  # (n_feeds,): all units; inf where not rated
    normal_w: FloatArray  # (n_feeds,)
    failed: IntArray  # (n_cases,): feed that is lost
    after_w: FloatArray  # (n_cases, n_feeds)
    mechanical_w: float  # cooling, and what the site draws for itself
    drawn_w: FloatArray  # (1 + n_cases, n_feeds): of racks and cooling that hang on it; the first case is no failure


@dataclass(frozen=True, slots=True, eq=False)
class Feeds:
    """The feeds of a layout and the racks on them, those on the same two feeds as one."""

    site: SiteFeeds
    node: IntArray  # (n_feeds,): row of the tree
    power_w: FloatArray  # (n_classes,)


def layout_feeds(inputs: LayoutInputs, racks: RackDesign) -> Feeds:
    """Return the feeds of a layout; racks without any are left out.

    Raises
    ------
    ValueError
        If feeds form a loop.
    """
    rated = tuple(
        row if _rated_w(inputs, row) is not None else replace(row, rating_w=UNRATED_W) for row in inputs.feeds
    )
    ids = np.array([feed.id for feed in inputs.feeds] + [-1], dtype=np.int64)  # the last is that of -1
    pairs = np.stack([ids[racks.feed_a], ids[racks.feed_b]], axis=1)
    fed = np.any(pairs >= 0, axis=1)
    kinds, which = np.unique(pairs[fed], axis=0, return_inverse=True)
    site = site_feeds(replace(inputs, feeds=rated), kinds)
    row_of = {name: i for i, name in enumerate(site.tree.names)}
    return Feeds(
        site=site,
        node=np.array([row_of[feed.name] for feed in inputs.feeds], dtype=np.int64),
        power_w=sums(which.reshape(-1), racks.power_w[fed], len(kinds)),
    )


def _rated_w(inputs: LayoutInputs, feed: FeedRow) -> float | None:
    try:
        return rating_w(inputs, feed)
    except ValueError:
        return None


def hall_losses_w(inputs: LayoutInputs, feeds: Feeds) -> FloatArray:
    """Return the losses of the feeds that stand in each hall while the racks are at design, shape (n_halls,) [W]."""
    tree = feeds.site.tree
    return feed_losses(tree, _rack_load_w(feeds, None, 1)).hall_loss_w(tree, len(inputs.halls))[0]


def _rack_load_w(feeds: Feeds, units_failed: IntArray | None, n_cases: int) -> FloatArray:
    tree, links = feeds.site.tree, feeds.site.links
    if not links.n_racks:
        return np.zeros((n_cases, tree.n_nodes))
    return rack_loads(tree, links, np.broadcast_to(feeds.power_w, (n_cases, links.n_racks)), units_failed).load_w


def feed_loads(inputs: LayoutInputs, feeds: Feeds, design: Design) -> FeedLoads:
    """Return the loads of a layout's feeds at design, in the hour in which cooling draws most.

    Racks draw half from each side and all from the side that is left; a catcher stands by. Cooling draws from the
    boards that it has in a run.
    """
    tree, node = feeds.site.tree, feeds.node
    failed = np.array([i for i, feed in enumerate(inputs.feeds) if _may_fail(feed)], dtype=np.int64)
    units_failed = np.zeros((1 + failed.size, tree.n_nodes), dtype=np.int64)  # the first case is no failure
    units_failed[np.arange(1, 1 + failed.size), node[failed]] = tree.units[node[failed]]
    load_w = _rack_load_w(feeds, units_failed, len(units_failed))
    live, behind = live_nodes(tree, units_failed), stand_ins(tree)
    mechanical_w = 0.0
    own = _own_load(inputs, design)
    hour = _hardest_hour(design, own)
    for places, drawn_w in _mechanical_w(feeds, design, hour):
        for place, power_w in zip(places.tolist(), drawn_w.tolist(), strict=True):
            carries = np.where(live[:, place] | (behind[place] < 0), place, behind[place])
            load_w[np.arange(len(load_w)), carries] += power_w
            mechanical_w += power_w
    passed = feed_losses(tree, load_w, units_failed)
    dry_bulb_degc = np.full(len(load_w), design.hours.weather.dry_bulb_degc[hour])
    own_w, _, carried_w = own_load_on_feeds(
        tree, own, dry_bulb_degc, passed.node_power_w, passed.node_loss_w, units_failed
    )
    solved = carried_w[:, node]
    rated = (own_rating_w(inputs, feed) for feed in inputs.feeds)
    capacity_w = [np.inf if w is None else w * feed.n_units for w, feed in zip(rated, inputs.feeds, strict=True)]
    above = _above(tree)[np.ix_(node, node)]
    mechanical_w += float(own_w[0])
    return FeedLoads(above, np.array(capacity_w), solved[0], failed, solved[1:], mechanical_w, load_w[:, node])


def _own_load(inputs: LayoutInputs, design: Design) -> OwnLoad:
    """Return what the site draws for itself; of generators without a rating nothing is known."""
    rated = tuple(feed for feed in inputs.feeds if _rated_w(inputs, feed) is not None)
    return own_load(replace(inputs, feeds=rated), design.racks.power_w + design.racks.saved_w)


def _hardest_hour(design: Design, own: OwnLoad) -> int:
    """Return the design hour in which cooling and the site itself draw most."""
    drawn_w = own.power_w(design.hours.weather.dry_bulb_degc)
    return int((drawn_w if design.plant is None else drawn_w + design.plant.mechanical_w.sum(axis=1)).argmax())


def _mechanical_w(feeds: Feeds, design: Design, hour: int) -> Iterator[tuple[IntArray, FloatArray]]:
    """Yield the boards of halls, plants and CDU groups, and what each draws in a design hour [W]."""
    lighting_w = design.halls.lighting_w
    yield feeds.site.hall_node, lighting_w + design.hall.fan_w
    if design.plant is not None:
        yield feeds.site.plant_node, design.plant.mechanical_w[hour]
    if design.group is not None:
        yield feeds.site.group_node, design.group.pump_w


def own_rating_w(inputs: LayoutInputs, feed: FeedRow) -> float | None:
    """Return what one unit of a feed is rated; None for a utility that states nothing but the grid limit."""
    return None if feed.kind == "utility" and feed.rating_w is None else _rated_w(inputs, feed)


def _may_fail(feed: FeedRow) -> bool:
    """Return whether a feed's stated redundancy says that the rest survives its loss."""
    if feed.redundancy == "N+1" and (feed.n_units > 1 or not feed.redundancy_group):
        return False  # the spare is one of its own units
    return feed.redundancy != "N" and feed.kind not in SOURCES


def _above(tree: FeedTree) -> NDArray[np.bool_]:
    """Return which nodes carry which, shape (n_nodes, n_nodes): i carries j, itself included."""
    above = np.eye(tree.n_nodes, dtype=bool)
    for j in range(tree.n_nodes):  # parents stand before what they feed
        if tree.parent[j] >= 0:
            above[:, j] |= above[:, tree.parent[j]]
    return above
