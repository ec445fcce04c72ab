"""Parts of a site that failures in one another cannot reach, so that each can be solved without the rest.

Racks, CDU groups, halls and plants that exchange heat or share a feed belong to one island. Feeds that serve several
islands bind them together only where they may run into their limit: with room for all that one island draws, whatever
fails within an island leaves every other as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from power_cooling.electrical.feed_tree import RackLinks, stand_ins
from power_cooling.site_arrays import (
    UNITS_THAT_FAIL,
    Bank,
    Failures,
    FloatArray,
    IntArray,
    SiteArrays,
    SiteFeeds,
    rows_of,
)

_SHARED = -1  # island of a feed that serves several
_NONE = -2  # and of one that serves nothing
_MORE_LOSS = 1.05  # what an island may draw at most over its normal draw, once it is fed by fewer units


@dataclass(frozen=True, slots=True, eq=False)
class Islands:
    """Which island each part belongs to: arrays over racks, CDU groups, halls, plants and feed nodes."""

    n: int
    racks: IntArray  # (n_racks,)
    groups: IntArray  # (n_groups,)
    halls: IntArray  # (n_halls,)
    plants: IntArray  # (n_plants,)
    nodes: IntArray  # (n_nodes,); negative: serves several islands, or none


def islands(site: SiteArrays, feeds: SiteFeeds, node_load_w: FloatArray) -> Islands:
    """Return the islands of a site; a single one where it cannot be parted.

    Parameters
    ----------
    site, feeds
        As `coupled.solve_coupled` takes them.
    node_load_w : ndarray, shape (n_nodes,)
        Load of each feed with nothing failed, as `CoupledResult.feed_load_w` gives it for the busiest element [W].
    """
    parted = _by_heat(site)
    serves = _served(site, feeds, parted)
    nodes = np.where(serves.sum(axis=1) == 1, serves.argmax(axis=1), np.where(serves.any(axis=1), _SHARED, _NONE))
    parted = replace(parted, nodes=nodes)
    return parted if _shared_have_room(feeds, parted, node_load_w) else _whole(site, feeds)


def part_of(site: SiteArrays, feeds: SiteFeeds, parted: Islands, island: int) -> tuple[SiteArrays, SiteFeeds]:
    """Return one island as a site of its own, on the whole feed tree with only its own loads.

    Parameters
    ----------
    site, feeds : SiteArrays, SiteFeeds
        The whole site.
    parted : Islands
        As `islands` returns it.
    island : int
        Which of them.
    """
    rows = {name: np.flatnonzero(getattr(parted, name) == island) for name in ("racks", "groups", "halls", "plants")}
    renumbered = {
        f"{singular}_index": _places(rows[many], getattr(parted, many).size)
        for singular, many in (("cdu", "groups"), ("hall", "halls"), ("plant", "plants"))
    }

    def some(bank: Bank, which: str) -> Bank:
        moved = {name: getattr(bank, name)[rows[which]] for name in renumbered if hasattr(bank, name)}
        places = {name: np.where(old >= 0, renumbered[name][old], -1) for name, old in moved.items()}
        return rows_of(bank, rows[which], **places)

    links, tree = feeds.links, feeds.tree
    inside = np.isin(links.rack_index, rows["racks"])
    own_links = RackLinks(
        n_racks=rows["racks"].size,
        rack_index=_places(rows["racks"], links.n_racks)[links.rack_index[inside]],
        node_index=links.node_index[inside],
        share_frac=links.share_frac[inside],
        standby_share_frac=links.standby_share_frac[inside],
    )
    hall_of_node = np.where(tree.hall_index >= 0, renumbered["hall_index"][tree.hall_index], -1)
    own_site = SiteArrays(
        racks=some(site.racks, "racks"),
        pools=site.pools,
        cdus=some(site.cdu_groups, "groups") if rows["groups"].size else None,
        halls=some(site.halls, "halls"),
        plants=some(site.plants, "plants"),
    )
    own_feeds = SiteFeeds(
        tree=replace(tree, hall_index=hall_of_node),
        links=own_links,
        group_node=feeds.group_node[rows["groups"]],
        hall_node=feeds.hall_node[rows["halls"]],
        plant_node=feeds.plant_node[rows["plants"]],
    )
    return own_site, own_feeds


def failures_in(failures: Failures, parted: Islands, island: int) -> Failures:
    """Return the failures of one island's parts, for `part_of` of the same island.

    Parameters
    ----------
    failures : Failures
        Of the whole site.
    parted : Islands
        As `islands` returns it.
    island : int
        Which of them.
    """
    of_bank = {"cdus": parted.groups, "halls": parted.halls, "plants": parted.plants}
    of_field = {f"{name}_running": of_bank[bank] for name, (bank, _) in UNITS_THAT_FAIL.items()}
    of_field["racks_powered"] = parted.racks
    given = {name: getattr(failures, name) for name in of_field}
    own = {name: all_of[..., of_field[name] == island] for name, all_of in given.items() if all_of is not None}
    if parted.groups.size and not np.any(parted.groups == island):
        own.pop("cdus_running", None)
    return replace(failures, **(dict.fromkeys(of_field) | own))


def _places(rows: IntArray, n: int) -> IntArray:
    """Return the new number of each old row, -1 where it is left out, shape (n,)."""
    places = np.full(n, -1, dtype=np.int64)
    places[rows] = np.arange(rows.size)
    return places


def _by_heat(site: SiteArrays) -> Islands:
    """Return the parts that exchange no heat; feeds are left out."""
    racks, cdus, halls = site.racks, site.cdus, site.halls
    n_groups = 0 if cdus is None else cdus.n_groups
    sizes = [racks.n_racks, n_groups, halls.n_halls, site.plants.n_plants]
    rack_0, group_0, hall_0, plant_0 = np.cumsum([0, *sizes[:-1]])
    cooled = np.flatnonzero(racks.cdu_index >= 0)
    pairs = [
        (rack_0 + np.arange(racks.n_racks), hall_0 + racks.hall_index),
        (rack_0 + cooled, group_0 + racks.cdu_index[cooled]),
        (hall_0 + np.arange(halls.n_halls), plant_0 + halls.plant_index),
    ]
    if cdus is not None:
        each = group_0 + np.arange(n_groups)
        pairs += [(each, plant_0 + cdus.plant_index), (each, hall_0 + cdus.hall_index)]
    one, other = (np.concatenate(side) for side in zip(*pairs, strict=True))
    total = sum(sizes)
    n, label = connected_components(coo_array((np.ones(one.size), (one, other)), shape=(total, total)), directed=False)
    of_racks, of_groups, of_halls, of_plants = np.split(label.astype(np.int64), [group_0, hall_0, plant_0])
    return Islands(n, of_racks, of_groups, of_halls, of_plants, nodes=np.zeros(0, dtype=np.int64))


def _served(site: SiteArrays, feeds: SiteFeeds, parted: Islands) -> np.ndarray:
    """Return which islands each feed serves, normally or as a standby, or warms, shape (n_nodes, n_islands)."""
    tree, links = feeds.tree, feeds.links
    serves = np.zeros((tree.n_nodes, parted.n), dtype=bool)
    serves[links.node_index, parted.racks[links.rack_index]] = True
    for node, island in (
        (feeds.group_node, parted.groups),
        (feeds.hall_node, parted.halls),
        (feeds.plant_node, parted.plants),
        (np.where(tree.hall_index >= 0, np.arange(tree.n_nodes), -1), parted.halls[np.maximum(tree.hall_index, 0)]),
    ):
        serves[node[node >= 0], island[node >= 0]] = True
    behind = stand_ins(tree)
    for below in range(tree.n_nodes - 1, -1, -1):  # deepest first
        for above in (tree.parent[below], tree.standby_parent[below], behind[below]):
            if above >= 0:
                serves[above] |= serves[below]
    return serves


def _shared_have_room(feeds: SiteFeeds, parted: Islands, node_load_w: FloatArray) -> bool:
    """Return whether no feed that several islands share could reach its limit by what one of them may shift onto it.

    An island draws what those of its own feeds carry that hang on no other of them; all of it may end up on one side.
    """
    tree = feeds.tree
    shared = parted.nodes == _SHARED
    if parted.n == 1 or not np.any(shared):
        return parted.n > 1
    if np.any(tree.hall_index[shared] >= 0) or np.any(shared[feeds.links.node_index]):
        return False
    above = np.where(tree.parent >= 0, parted.nodes[np.maximum(tree.parent, 0)], _NONE)
    tops = (parted.nodes >= 0) & (above != parted.nodes)
    drawn_w = np.bincount(parted.nodes[tops], node_load_w[tops], minlength=parted.n)
    helping_w = tree.installed_w - tree.rating_w * tree.units  # of what runs in parallel
    limit_w = (tree.rating_w * tree.needed_units + helping_w)[shared]
    return bool(np.all(node_load_w[shared] + _MORE_LOSS * drawn_w.max() < limit_w))


def _whole(site: SiteArrays, feeds: SiteFeeds) -> Islands:
    n_groups = 0 if site.cdus is None else site.cdus.n_groups
    sizes = (site.racks.n_racks, n_groups, site.halls.n_halls, site.plants.n_plants, feeds.tree.n_nodes)
    return Islands(1, *(np.zeros(n, dtype=np.int64) for n in sizes))
