"""Load of every feed, as described and after each single failure: nameplate power carried up to the source."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facility.findings.inventory import Inventory
from facility.models import PowerFeed

FloatArray = NDArray[np.float64]
# Shares of the load that pass, where the sheet gives no figure for three quarters of the rating.
ASSUMED_PASSED_FRAC = {"transformer": 0.988, "ups": 0.96}  # worst of the catalogue's transformers and UPS at 75 %


@dataclass(frozen=True, slots=True, eq=False)
class FeedLoads:
    """Loads of the feeds [W]; n_cases are the failures."""

    above: NDArray[np.bool_]  # (n_feeds, n_feeds): i carries j, itself included
    capacity_w: FloatArray  # (n_feeds,): all units; inf where not rated
    normal_w: FloatArray  # (n_feeds,)
    failed: NDArray[np.int64]  # (n_cases,): feed that is lost
    after_w: FloatArray  # (n_cases, n_feeds)
    mechanical_w: float


def feed_loads(inventory: Inventory, mechanical_w: float) -> FeedLoads:
    """Return the loads of a layout's feeds.

    Racks draw half from each side and all from the side that is left; a catcher stands by. Cooling draws equally from
    what feeds the UPS, else from the sources.

    Parameters
    ----------
    inventory : Inventory
        The layout.
    mechanical_w : float
        Power of cooling and lighting at design [W].
    """
    feeds, racks = inventory.feeds, inventory.racks
    n = len(feeds)
    at = {feed.pk: i for i, feed in enumerate(feeds)}
    parent = [at.get(feed.parent_id, -1) for feed in feeds]
    passed = np.array([_passed_frac(inventory, feed) for feed in feeds])
    above, drawn = np.zeros((n, n), dtype=bool), np.zeros((n, n))
    for j in range(n):
        i, factor = j, 1.0
        while i >= 0 and not above[i, j]:
            above[i, j], drawn[i, j] = True, factor
            factor /= passed[i]
            i = parent[i]
    catcher = np.array([feed.redundancy == PowerFeed.Redundancy.CATCHER for feed in feeds], dtype=bool)
    caught = above[catcher].any(axis=0) if n else catcher
    pairs, which = np.unique(np.stack([racks.feed_a, racks.feed_b], axis=1).reshape(-1, 2), axis=0, return_inverse=True)
    power_w = np.bincount(which.reshape(-1), weights=racks.power_w, minlength=len(pairs))
    failed = np.array([i for i, feed in enumerate(feeds) if _may_fail(feed)], dtype=np.int64)
    dead = np.vstack([np.zeros((1, n), dtype=bool), above[failed]])  # (1 + n_cases, n): the first case is no failure
    leaves = np.zeros((len(dead), n))
    for (a, b), group_w in zip(pairs.tolist(), power_w, strict=True):
        live_a, live_b = (~dead[:, side] if side >= 0 else np.zeros(len(dead), dtype=bool) for side in (a, b))
        half = 0.0 if b >= 0 and caught[b] else 0.5
        to_b = np.where(live_a, np.where(live_b, half, 0.0), live_b)
        to_a = np.where(live_a, 1.0 - np.where(live_b, half, 0.0), 0.0)
        for side, share in ((a, to_a), (b, to_b)):
            if side >= 0:
                leaves[:, side] += share * group_w
    _add_mechanical(leaves, dead, feeds, parent, mechanical_w)
    loads = leaves @ drawn.T
    rating = [feed.unit_rating_w for feed in feeds]
    capacity = np.array([np.inf if w is None else w * feed.n_units for w, feed in zip(rating, feeds, strict=True)])
    return FeedLoads(above, capacity, loads[0], failed, loads[1:], mechanical_w)


def _may_fail(feed: PowerFeed) -> bool:
    """Return whether a feed's stated redundancy says that the rest survives its loss."""
    if feed.redundancy == "N+1" and (feed.n_units > 1 or not feed.redundancy_group):
        return False  # the spare is one of its own units
    return feed.redundancy != "N" and feed.kind not in feed.SOURCES


def _add_mechanical(leaves: FloatArray, dead: np.ndarray, feeds: list, parent: list[int], mechanical_w: float) -> None:
    over_ups = {parent[i] for i, feed in enumerate(feeds) if feed.kind == "ups" and parent[i] >= 0}
    nodes = sorted(over_ups or {i for i, feed in enumerate(feeds) if feed.kind == "utility"})
    live = ~dead[:, nodes]
    share = live / np.maximum(live.sum(axis=1, keepdims=True), 1)
    leaves[:, nodes] += share * mechanical_w


def _passed_frac(inventory: Inventory, feed: PowerFeed) -> float:
    """Return output over input of a feed near three quarters of its rating."""
    facts = inventory.facts(feed.product_id)
    if feed.kind == "ups":
        mode = facts.get("efficiency_eco_mode" if feed.eco_mode else "efficiency_double_conversion") or {}
        return mode.get("load_0_75") or ASSUMED_PASSED_FRAC["ups"]
    if feed.kind == "transformer" and facts:
        load = 0.75 * facts["rating_va"]
        return load / (load + facts["no_load_loss_w"] + 0.75**2 * facts["load_loss_full_w"])
    if "efficiency_full" in facts and feed.kind != "generator":
        return facts["efficiency_full"]
    return ASSUMED_PASSED_FRAC.get(feed.kind, 1.0)
