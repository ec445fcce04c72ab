"""Whether batteries carry what hangs on a utility until the generators behind it have the load, and what that costs."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from power_cooling.electrical.feed_tree import FeedTree
from power_cooling.electrical.sources import Generators, carry_outage
from power_cooling.site_arrays import FloatArray, SiteArrays, SiteFeeds
from power_cooling.site_facts.calendar import HOURS_PER_YEAR
from twin.core.failures.kinds import FEED_RELIABILITY, RESTART
from twin.core.failures.serving_losses import ServingLoss
from twin.core.inputs.feed_ratings import PRIME, standby_generators
from twin.core.inputs.feeds import battery_s
from twin.core.inputs.layout import LayoutInputs

SLUG = "generator-carry-over"


@dataclass(frozen=True, slots=True, eq=False)
class CarryOver:
    """One utility with generators behind it. Arrays have shape (n_nodes,)."""

    utility: str
    generator: str
    start_s: float
    picked_up_s: float  # after the loss, when the generators have all of the load that they can carry
    below: NDArray[np.bool_]  # what hangs on the utility
    battery_s: FloatArray  # longest of the batteries on the way from the utility

    @property
    def dark(self) -> NDArray[np.bool_]:
        """Return where the batteries are empty before the generators have the load."""
        return self.below & (self.battery_s < self.picked_up_s)


def carry_overs(inputs: LayoutInputs, tree: FeedTree, load_w: FloatArray) -> list[CarryOver]:
    """Return how the load of each utility gets to the generators behind it.

    Generators start together without their spare units, take 60 % of their rating at once (`Generators.block_frac`) and
    the rest when their sheet says that they accept full load. What a sheet gives no start for runs, as fuel cells do,
    and so does what generates all year.

    Parameters
    ----------
    inputs : LayoutInputs
    tree : FeedTree
        Of `inputs.feeds`.
    load_w : ndarray, shape (n_nodes,)
        What each feed carries [W].
    """
    by_name = {feed.name: feed for feed in inputs.feeds}
    names = {feed.id: feed.name for feed in inputs.feeds}
    lasts_s = battery_s(inputs, tree, load_w)
    found = []
    for utility_id, generator in standby_generators(inputs.feeds).items():
        root, source = tree.index(names[utility_id or -1]), tree.index(generator)
        sheet = inputs.facts(by_name[generator].product_id)
        runs = by_name[generator].operation == PRIME
        start_s = 0.0 if runs else float(sheet.get("start_time_s") or 0.0)
        accepted_s = 0.0 if runs else max(float(sheet.get("load_acceptance_s") or start_s), start_s)
        running = float(tree.needed_units[source])
        rating_w = float(tree.rating_w[source])
        standby = carry_outage(
            min(float(load_w[root]), running * rating_w),
            Generators(rating_w, running, start_s=start_s, block_interval_s=accepted_s - start_s),
            storage_power_w=0.0,
            storage_energy_j=0.0,
        )
        below, longest = np.zeros(tree.n_nodes, dtype=bool), np.zeros(tree.n_nodes)
        for node in range(tree.n_nodes):  # parents stand before what they feed
            above = int(tree.parent[node])
            below[node] = node == root or (above >= 0 and below[above])
            if below[node]:
                longest[node] = max(lasts_s[node], longest[above] if above >= 0 else 0.0)
        found.append(CarryOver(tree.names[root], generator, start_s, float(standby.picked_up_s), below, longest))
    return found


def carry_over_losses(
    inputs: LayoutInputs, site: SiteArrays, feeds: SiteFeeds, feed_load_w: FloatArray
) -> list[ServingLoss]:
    """Return what utilities cost whose load is dropped until the generators have it; none where batteries bridge.

    Racks without a battery that lasts lose power until then, and their instances form anew.

    Parameters
    ----------
    inputs : LayoutInputs
    site, feeds
        What the coupled solver solves.
    feed_load_w : ndarray, shape (n_nodes,)
        What each feed carries at most [W].
    """
    outages = inputs.products.reliability[FEED_RELIABILITY["utility"]].facts
    restart = inputs.products.recovery_times[RESTART].facts
    per_year = float(outages["failures_per_unit_year"])
    found = []
    for carried, share, gap_s in _dark_shares(inputs, site, feeds, feed_load_w):
        lost_frac, low_frac, high_frac = (
            per_year * share * (gap_s + float(restart[name])) / 3600 / HOURS_PER_YEAR
            for name in ("duration_s", "duration_low_s", "duration_high_s")
        )
        name = f"{carried.utility} lost: dark until {carried.generator} have the load"
        found.append(ServingLoss(SLUG, name, per_year, lost_frac, low_frac, high_frac, is_planned=False))
    return found


def _dark_shares(
    inputs: LayoutInputs, site: SiteArrays, feeds: SiteFeeds, feed_load_w: FloatArray
) -> Iterator[tuple[CarryOver, float, float]]:
    """Yield the utilities that leave racks dark, the share of the accelerators in them, and their mean gap [s]."""
    links, racks = feeds.links, site.racks
    chips = racks.count * racks.n_accelerators
    for carried in carry_overs(inputs, feeds.tree, feed_load_w):
        lit = np.zeros(links.n_racks, dtype=bool)
        lasts_s = np.zeros(links.n_racks)
        np.logical_or.at(lit, links.rack_index, ~carried.dark[links.node_index])
        np.maximum.at(lasts_s, links.rack_index, carried.battery_s[links.node_index])
        dark = np.where(lit, 0.0, chips)
        if dark.sum() > 0:
            gap_s = carried.picked_up_s - float(dark @ lasts_s / dark.sum())
            yield carried, float(dark.sum() / chips.sum()), gap_s
