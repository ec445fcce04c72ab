"""Power from the meter to the racks: part-load losses of a feed tree, failures as an axis.

How to call it (stable)::

    tree = feed_tree(names=[...], kinds=[...], parents=[None, "utility", ...], rating_w=[...], ...)
    links = rack_links(tree, rack_index=[0, 0], node_names=["busway-a", "busway-b"], share_frac=[0.5, 0.5], n_racks=1)
    loads = rack_loads(tree, links, rack_power_w)                # (n, n_racks) -> load_w (n, n_nodes), lost_w
    result = feed_losses(tree, loads.load_w)                     # -> meter_w (n,), node_loss_w (n, n_nodes), ...

`n` is any number of elements (hours or scenarios). Mechanical loads are added to `load_w` at the node that feeds them:
``load_w[:, tree.index("mech-board")] += mechanical_w``. A failure is `units_failed`, how many units of each node are
out, of shape (n_nodes,) or (n, n_nodes), given to both functions. A node of several units in parallel (N+1 UPS modules)
shares its load among those left. A node with a standby parent (transfer switch, generator behind the utility, catcher
bus) moves there when its parent is dead. Loss of a unit of rating r carrying P: ``r·(a + b·|P|/r + c·(P/r)²)``.

Nodes are stored in order of depth, not in the order given: address them by `FeedTree.index(name)` or `FeedTree.names`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

NODE_KINDS = (
    "utility",
    "generator",
    "bess",
    "transformer",
    "ups",
    "switchboard",
    "sts",
    "busway",
    "pdu",
    "rpp",
    "cable",
    "rectifier",
    "shelf",
    "psu",
    "load",
)
_DENSE_LEAVES = 128  # up to here a dense product over racks beats a sparse one (measured at 1,000 racks x 8,760 h)


@dataclass(frozen=True, slots=True, eq=False)
class FeedTree:
    """Feeds of one site, sorted by depth. Every array has shape (n_nodes,)."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    parent: IntArray  # -1 for a source (utility service, generator)
    standby_parent: IntArray  # -1 for none
    depth: IntArray
    units: IntArray  # units in parallel
    needed_units: IntArray  # of which so many are meant to carry the load (N of N+1)
    rating_w: FloatArray  # of one unit, at its output
    no_load_loss_frac: FloatArray  # a, of the rating
    proportional_loss_frac: FloatArray  # b
    square_loss_frac: FloatArray  # c
    hall_index: IntArray  # hall whose air takes up the loss; -1 for none
    beside: IntArray  # source whose load this source shares while both live; -1 for none

    def __post_init__(self) -> None:
        n = len(self.names)
        for field in self.__slots__[2:]:
            values = getattr(self, field)
            if values.shape != (n,):
                raise ValueError(f"FeedTree.{field} has shape {values.shape}; ({n},) is needed")
            if not np.all(np.isfinite(values)):
                at = int(np.flatnonzero(~np.isfinite(values))[0])
                raise ValueError(f"FeedTree.{field}[{self.names[at]}] is {values[at]}; must be finite")
        for field in ("no_load_loss_frac", "proportional_loss_frac", "square_loss_frac"):
            _refuse(field, self.names, getattr(self, field), getattr(self, field) < 0, "at least 0")
        _refuse("rating_w", self.names, self.rating_w, self.rating_w <= 0, "greater than 0 W")
        _refuse("units", self.names, self.units, self.units < 1, "at least 1")
        odd = (self.needed_units < 1) | (self.needed_units > self.units)
        _refuse("needed_units", self.names, self.needed_units, odd, "between 1 and units")
        for kind, name in zip(self.kinds, self.names, strict=True):
            if kind not in NODE_KINDS:
                raise ValueError(f"FeedTree.kinds[{name}] is {kind!r}; must be one of {', '.join(NODE_KINDS)}")
        if np.any(np.diff(self.depth) < 0):
            raise ValueError("FeedTree nodes must be in order of depth; build it with feed_tree()")

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.names)

    @property
    def installed_w(self) -> FloatArray:
        """What all units of each node carry, with what runs beside it, shape (n_nodes,) [W]."""
        return running_w(self, np.zeros((1, self.n_nodes), dtype=np.int64))[0]

    @property
    def roots(self) -> IntArray:
        """Indices of the sources."""
        return np.flatnonzero(self.parent < 0)

    @property
    def metered(self) -> IntArray:
        """Indices of the sources behind the utility's meter (all but generators and batteries)."""
        return np.array([i for i in self.roots if self.kinds[i] not in ("generator", "bess")], dtype=np.int64)

    def carried_w(self, load_w: FloatArray) -> FloatArray:
        """Return loads of nodes, (n, n_nodes), NaN where a node has none because nothing hangs on it.

        Such are batteries, and sources that run beside another: what they give is in the load of that.
        """
        gives_only = (self.beside >= 0) | (np.array(self.kinds) == "bess")
        return np.where(gives_only & (load_w == 0), np.nan, load_w)

    def index(self, name: str) -> int:
        """Return the position of a node; KeyError names the feeds there are."""
        try:
            return self.names.index(name)
        except ValueError:
            raise KeyError(f"no feed {name!r}; there are {', '.join(self.names)}") from None


def _refuse(field: str, names: Sequence[str], values: NDArray[Any], wrong: BoolArray, allowed: str) -> None:
    if np.any(wrong):
        at = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"FeedTree.{field}[{names[at]}] is {values[at]}; must be {allowed}")


def feed_tree(
    *,
    names: Sequence[str],
    kinds: Sequence[str],
    parents: Sequence[str | None],
    rating_w: ArrayLike,
    no_load_loss_frac: ArrayLike = 0.0,
    proportional_loss_frac: ArrayLike = 0.0,
    square_loss_frac: ArrayLike = 0.0,
    units: ArrayLike = 1,
    needed_units: ArrayLike | None = None,
    standby_parents: Sequence[str | None] | None = None,
    beside: Sequence[str | None] | None = None,
    hall_index: ArrayLike = -1,
) -> FeedTree:
    """Return the feeds sorted by depth, from names in any order.

    Parameters
    ----------
    names, kinds, parents : sequences of str
        One entry per node; a parent of None is a source. `kinds` are of `NODE_KINDS`.
    rating_w : array_like
        Rated output of one unit [W].
    no_load_loss_frac, proportional_loss_frac, square_loss_frac : array_like
        a, b and c of the loss of one unit as shares of its rating (see `loss_curves`).
    units, needed_units : array_like of int
        Units in parallel and how many of them the design load needs (default: all).
    standby_parents : sequence of str or None
        Where the node is transferred to when its parent is dead.
    beside : sequence of str or None
        Source that a source runs in parallel with: a gas engine beside the utility.
    hall_index : array_like of int
        Hall that takes up the loss as heat, -1 for none.

    Raises
    ------
    ValueError
        For a repeated name, an unknown parent, a node that feeds itself (the loop is spelled out) or a value out of
        range; the message names the node.
    """
    names = [str(name) for name in names]
    n = len(names)
    if n == 0:
        raise ValueError("a feed tree needs at least one node")
    position = {name: i for i, name in enumerate(names)}
    if len(position) < n:
        raise ValueError(f"feed {next(x for x in names if names.count(x) > 1)!r} is described twice")
    parent = _parent_indices(names, position, parents, "parent")
    standby = _parent_indices(names, position, standby_parents or [None] * n, "standby parent")
    for i in np.flatnonzero((standby >= 0) & (parent < 0)):
        raise ValueError(f"feed {names[i]!r} is a source and cannot have the standby parent {names[standby[i]]!r}")
    for i in np.flatnonzero((standby >= 0) & (standby == parent)):
        raise ValueError(f"feed {names[i]!r} has {names[parent[i]]!r} as parent and as standby parent")
    partner = _parent_indices(names, position, beside or [None] * n, "parallel source")
    for i in np.flatnonzero((partner >= 0) & ((parent >= 0) | (parent[partner] >= 0))):
        raise ValueError(f"feeds {names[i]!r} and {names[partner[i]]!r} run in parallel and must both be sources")
    depth = _depths(names, parent, standby)
    order = np.lexsort((parent, depth))
    new_position = np.empty(n + 1, dtype=np.int64)
    new_position[order] = np.arange(n)
    new_position[-1] = -1  # where index -1, no parent, looks

    def column(field: str, values: ArrayLike, dtype: type) -> NDArray[Any]:
        given = np.asarray(values)
        if given.ndim == 1 and given.shape != (n,):
            raise ValueError(f"FeedTree.{field} has shape {given.shape}; ({n},) is needed")
        return np.ascontiguousarray(np.broadcast_to(given, (n,))[order].astype(dtype))

    count = column("units", units, np.int64)
    return FeedTree(
        names=tuple(names[i] for i in order),
        kinds=tuple(str(kinds[i]) for i in order),
        parent=new_position[parent[order]],
        standby_parent=new_position[standby[order]],
        depth=depth[order],
        units=count,
        needed_units=count.copy() if needed_units is None else column("needed_units", needed_units, np.int64),
        rating_w=column("rating_w", rating_w, np.float64),
        no_load_loss_frac=column("no_load_loss_frac", no_load_loss_frac, np.float64),
        proportional_loss_frac=column("proportional_loss_frac", proportional_loss_frac, np.float64),
        square_loss_frac=column("square_loss_frac", square_loss_frac, np.float64),
        hall_index=column("hall_index", hall_index, np.int64),
        beside=new_position[partner[order]],
    )


def _parent_indices(
    names: Sequence[str], position: dict[str, int], parents: Sequence[str | None], what: str
) -> IntArray:
    if len(parents) != len(names):
        raise ValueError(f"{len(names)} feeds have {len(parents)} {what}s; one for each is needed, None for a source")
    for name, parent in zip(names, parents, strict=True):
        if parent is not None and parent not in position:
            raise ValueError(f"feed {name!r} has the {what} {parent!r}, which is not described")
    return np.array([-1 if parent is None else position[parent] for parent in parents], dtype=np.int64)


def _depths(names: Sequence[str], parent: IntArray, standby: IntArray) -> IntArray:
    """Return the longest way from a source; refuse loops by naming the nodes on one."""
    n = len(names)
    depth = np.zeros(n, dtype=np.int64)
    for _ in range(n):
        above = np.where(parent >= 0, depth[parent] + 1, 0)
        above = np.maximum(above, np.where(standby >= 0, depth[standby] + 1, 0))
        if np.array_equal(above, depth):
            return depth
        depth = above
    at, seen = int(np.argmax(depth)), []
    while at not in seen:
        seen.append(at)
        up = [int(p) for p in (parent[at], standby[at]) if p >= 0]
        at = max(up, key=lambda i: depth[i])
    loop = [*seen[seen.index(at) :], at]
    raise ValueError(f"feeds form a loop: {' <- '.join(names[i] for i in loop)}")


@dataclass(frozen=True, slots=True, eq=False)
class RackLinks:
    """Which nodes feed which racks. Link arrays have shape (n_links,) and are sorted by rack."""

    n_racks: int
    rack_index: IntArray
    node_index: IntArray  # into the sorted FeedTree
    share_frac: FloatArray  # of the rack's power in normal operation; each rack's sum is 1
    standby_share_frac: FloatArray  # once no normal feed is left; 0 for none

    def __post_init__(self) -> None:
        for field in ("share_frac", "standby_share_frac"):
            values = getattr(self, field)
            if np.any(~np.isfinite(values) | (values < 0)):
                at = int(np.flatnonzero(~np.isfinite(values) | (values < 0))[0])
                raise ValueError(f"RackLinks.{field}[{at}] is {values[at]}; must be at least 0")
        if np.any(np.diff(self.rack_index) < 0):
            raise ValueError("RackLinks must be sorted by rack; build it with rack_links()")
        if self.rack_index.size and not (self.rack_index[0] >= 0 and self.rack_index[-1] < self.n_racks):
            raise ValueError(f"RackLinks.rack_index leaves 0..{self.n_racks - 1}")
        total = np.bincount(self.rack_index, self.share_frac, minlength=self.n_racks)
        if np.any(np.abs(total - 1) > 1e-9):
            at = int(np.argmax(np.abs(total - 1)))
            raise ValueError(f"shares of rack {at} sum to {total[at]:g}; must be 1 (is the rack connected to a feed?)")


def rack_links(
    tree: FeedTree,
    *,
    rack_index: ArrayLike,
    node_names: Sequence[str],
    n_racks: int,
    share_frac: ArrayLike | None = None,
    standby_share_frac: ArrayLike = 0.0,
) -> RackLinks:
    """Return the connections of racks to feeds, from names.

    Parameters
    ----------
    tree : FeedTree
        The feeds.
    rack_index : array_like of int, shape (n_links,)
        Rack of each connection.
    node_names : sequence of str
        Feed of each connection.
    n_racks : int
        Racks in all.
    share_frac : array_like, shape (n_links,), optional
        Share of the rack's power that the connection carries [-]; equal shares by default.
    standby_share_frac : array_like
        Share that it carries once the rack's other feeds are dead [-].

    Raises
    ------
    ValueError
        For a rack without feed, shares that do not sum to 1, or an unknown node; the message names it.
    """
    racks = np.asarray(rack_index, dtype=np.int64)
    known = {name: i for i, name in enumerate(tree.names)}
    unknown = next((name for name in node_names if name not in known), None)
    if unknown is not None:
        rack = racks[list(node_names).index(unknown)]
        raise ValueError(f"rack {rack} is connected to the feed {unknown!r}, which is not described")
    nodes = np.array([known[name] for name in node_names], dtype=np.int64)
    standby = np.broadcast_to(np.asarray(standby_share_frac, dtype=np.float64), racks.shape)
    if share_frac is None:
        feeds_of_rack = np.bincount(racks, minlength=n_racks)
        shares = 1.0 / feeds_of_rack[racks]
    else:
        shares = np.broadcast_to(np.asarray(share_frac, dtype=np.float64), racks.shape)
    order = np.argsort(racks, kind="stable")
    return RackLinks(n_racks, racks[order], nodes[order], shares[order].copy(), standby[order].copy())


@dataclass(frozen=True, slots=True, eq=False)
class FeedLoads:
    """Racks' power where the feeds see it."""

    load_w: FloatArray  # (n, n_nodes), laid on the nodes the racks are connected to
    lost_w: FloatArray  # (n, n_racks), demand that no live feed reaches


@dataclass(frozen=True, slots=True, eq=False)
class FeedResult:
    """Steady state of a feed tree. Node arrays have shape (n, n_nodes)."""

    meter_w: FloatArray  # (n,), drawn from the utility
    source_w: FloatArray  # (n, n_sources), input of each source in the order of `FeedTree.roots`
    node_power_w: FloatArray  # output of the node
    node_loss_w: FloatArray
    load_frac: FloatArray  # output over the rating of the running units; 0 where dead
    overload: BoolArray  # load_frac above 1
    live: BoolArray
    unserved_w: FloatArray  # (n,), load laid on dead nodes
    closure_rel: FloatArray  # (n,), |sources - loads served - losses| / sources

    def hall_loss_w(self, tree: FeedTree, n_halls: int) -> FloatArray:
        """Return the losses that warm each hall, shape (n, n_halls)."""
        inside = tree.hall_index[:, None] == np.arange(n_halls)
        return self.node_loss_w @ inside.astype(np.float64)


def _rows(tree: FeedTree, units_failed: ArrayLike | None) -> IntArray | None:
    """Return failed units as (n_nodes, n or 1), or None where nothing failed."""
    if units_failed is None:
        return None
    failed = np.asarray(units_failed)
    if failed.shape[-1] != tree.n_nodes or failed.ndim > 2:
        raise ValueError(f"units_failed has shape {failed.shape}; (n, {tree.n_nodes}) or ({tree.n_nodes},) is needed")
    failed = np.atleast_2d(failed).T.astype(np.int64)
    wrong = (failed < 0) | (failed > tree.units[:, None])
    if np.any(wrong):
        at = int(np.flatnonzero(wrong.any(axis=1))[0])
        raise ValueError(f"units_failed of {tree.names[at]} is {failed[at].max()}; it has {tree.units[at]} unit(s)")
    return failed if np.any(failed) else None


def _live_rows(tree: FeedTree, failed: IntArray) -> tuple[BoolArray, BoolArray]:
    """Return which nodes are energised and which are on their standby parent, both (n_nodes, n)."""
    running = failed < tree.units[:, None]
    live = running.copy()
    on_standby = np.zeros_like(running)
    for rows in _levels(tree)[1:]:
        parent, standby = tree.parent[rows], tree.standby_parent[rows]
        first = live[parent] & (parent >= 0)[:, None]
        second = live[standby] & (standby >= 0)[:, None] & ~first
        live[rows] &= first | second
        on_standby[rows] = second
    return live, on_standby


def live_nodes(tree: FeedTree, units_failed: ArrayLike) -> BoolArray:
    """Return which nodes are energised, shape (n, n_nodes) (n = 1 for one failure state)."""
    failed = _rows(tree, units_failed)
    if failed is None:
        return np.ones((np.atleast_2d(np.asarray(units_failed)).shape[0], tree.n_nodes), dtype=bool)
    return _live_rows(tree, failed)[0].T


def running_w(tree: FeedTree, units_failed: IntArray) -> FloatArray:
    """Return what the units left of each node carry, shape (n, n_nodes) [W]; a source counts what runs beside it.

    Parameters
    ----------
    tree : FeedTree
    units_failed : ndarray of int, shape (n, n_nodes)
    """
    own = tree.rating_w * (tree.units - units_failed)
    helping = np.flatnonzero(tree.beside >= 0)
    if helping.size == 0:
        return own
    whole = own.copy()
    for node in helping:
        whole[:, tree.beside[node]] += own[:, node]
    return whole


def stand_ins(tree: FeedTree) -> IntArray:
    """Return what takes over the loads laid on each node while it is dead, shape (n_nodes,); -1 for nothing.

    That is the standby of the feeds below it: a generator carries all that its utility does.
    """
    found = np.full(tree.n_nodes, -1, dtype=np.int64)
    moving = (tree.parent >= 0) & (tree.standby_parent >= 0)
    found[tree.parent[moving]] = tree.standby_parent[moving]
    return found


def _levels(tree: FeedTree) -> list[slice]:
    edges = np.searchsorted(tree.depth, np.arange(tree.depth[-1] + 2))
    return [slice(int(a), int(b)) for a, b in zip(edges[:-1], edges[1:], strict=True)]


def link_shares(links: RackLinks, live: BoolArray) -> tuple[FloatArray, BoolArray]:
    """Return each link's share of its rack's power and which racks are dark.

    Shares move to the surviving feeds in their normal proportion; a rack without any goes to its standby feeds.

    Parameters
    ----------
    links : RackLinks
    live : ndarray of bool, shape (n, n_nodes)

    Returns
    -------
    shares : ndarray, shape (n, n_links)
    dark : ndarray of bool, shape (n, n_racks)
    """
    n = live.shape[0]
    starts = np.searchsorted(links.rack_index, np.arange(links.n_racks))
    alive = live[:, links.node_index]
    normal = links.share_frac * alive
    total = np.add.reduceat(normal, starts, axis=1)
    no_normal = total <= 0
    if np.any(no_normal) and np.any(links.standby_share_frac > 0):
        standby = links.standby_share_frac * alive
        normal = np.where(no_normal[:, links.rack_index], standby, normal)
        total = np.where(no_normal, np.add.reduceat(standby, starts, axis=1), total)
    dark = total <= 0
    scale = np.divide(1.0, total, out=np.zeros((n, links.n_racks)), where=~dark)
    return normal * scale[:, links.rack_index], dark


def rack_loads(
    tree: FeedTree, links: RackLinks, rack_power_w: FloatArray, units_failed: ArrayLike | None = None
) -> FeedLoads:
    """Return the racks' power laid on the nodes that feed them.

    Parameters
    ----------
    tree, links
        Feeds and connections.
    rack_power_w : ndarray, shape (n, n_racks)
        Demand at the racks' inputs [W].
    units_failed : array_like of int, shape (n_nodes,) or (n, n_nodes), optional
        Units out of service.

    Raises
    ------
    ValueError
        If a shape does not fit; names it.
    """
    power = np.asarray(rack_power_w, dtype=np.float64)
    if power.ndim != 2 or power.shape[1] != links.n_racks:
        raise ValueError(f"rack_power_w has shape {power.shape}; (n, {links.n_racks}) is needed")
    failed = _rows(tree, units_failed)
    if failed is None:
        return FeedLoads(_incidence_product(tree, links, power, links.share_frac), np.zeros_like(power))
    if failed.shape[1] not in (1, power.shape[0]):
        raise ValueError(f"units_failed is given for {failed.shape[1]} elements, rack_power_w for {power.shape[0]}")
    # Elements share few failure states: solve each state's shares once.
    states, of_element = np.unique(failed, axis=1, return_inverse=True)
    shares, dark = link_shares(links, _live_rows(tree, states)[0].T)
    if states.shape[1] == 1:
        return FeedLoads(_incidence_product(tree, links, power, shares[0]), power * dark[0])
    of_element = of_element.reshape(-1)
    load = np.empty((power.shape[0], tree.n_nodes))
    if states.shape[1] <= 64:
        for state in range(states.shape[1]):
            rows = of_element == state
            load[rows] = _incidence_product(tree, links, power[rows], shares[state])
        return FeedLoads(load, power * dark[of_element])
    by_node = np.argsort(links.node_index, kind="stable")
    nodes, starts = np.unique(links.node_index[by_node], return_index=True)
    load[:] = 0.0
    step = max(1, 4_000_000 // links.rack_index.size)
    for first in range(0, power.shape[0], step):
        rows = slice(first, first + step)
        flow = shares[of_element[rows]][:, by_node] * power[rows][:, links.rack_index[by_node]]
        load[rows, nodes] = np.add.reduceat(flow, starts, axis=1)
    return FeedLoads(load, power * dark[of_element])


def _incidence_product(tree: FeedTree, links: RackLinks, power_w: FloatArray, shares: FloatArray) -> FloatArray:
    """Return (n, n_nodes) loads of one failure state."""
    nodes, column = np.unique(links.node_index, return_inverse=True)
    if nodes.size <= _DENSE_LEAVES:
        dense = np.zeros((links.n_racks, nodes.size))
        np.add.at(dense, (links.rack_index, column), shares)
        at_nodes = power_w @ dense
    else:
        sparse = csr_array((shares, (links.rack_index, column)), shape=(links.n_racks, nodes.size))
        at_nodes = np.asarray(power_w @ sparse)
    load = np.zeros((power_w.shape[0], tree.n_nodes))
    load[:, nodes] = at_nodes
    return load


def feed_losses(tree: FeedTree, load_w: FloatArray, units_failed: ArrayLike | None = None) -> FeedResult:
    """Return powers and losses of every node for loads laid on nodes.

    The load of a node is its own entry of `load_w` plus the input of all nodes it feeds. A negative load is a source
    (a battery that discharges).

    Parameters
    ----------
    tree : FeedTree
    load_w : ndarray, shape (n, n_nodes)
        Loads connected at each node [W], in the tree's own order.
    units_failed : array_like of int, shape (n_nodes,) or (n, n_nodes), optional
        Units out of service; a node whose units are all out is dead, with all that it feeds and no standby reaches.

    Raises
    ------
    ValueError
        If a shape does not fit or more units fail than there are; names the node.

    References
    ----------
    .. [1] Quadratic UPS and transformer losses: M. Sawyer, *Making large UPS systems more efficient*, APC white paper
       108, 2004.
    """
    given = np.asarray(load_w, dtype=np.float64)
    if given.ndim != 2 or given.shape[1] != tree.n_nodes:
        raise ValueError(f"load_w has shape {given.shape}; (n, {tree.n_nodes}) is needed")
    n = given.shape[0]
    failed = _rows(tree, units_failed)
    power = given.T.copy(order="C")  # rows are nodes: each step of the sweep works on contiguous memory
    unserved = np.zeros(n)
    on_standby: BoolArray | None = None
    live = np.ones((tree.n_nodes, n), dtype=bool)
    rating = np.broadcast_to((tree.rating_w * tree.units)[:, None], (tree.n_nodes, 1))
    if failed is not None:
        if failed.shape[1] not in (1, n):
            raise ValueError(f"units_failed is given for {failed.shape[1]} elements, load_w for {n}")
        alive, on_standby = _live_rows(tree, failed)
        live &= alive
        unserved = np.sum(np.where(live, 0.0, power), axis=0)
        power *= live
        rating = np.where(alive, tree.rating_w[:, None] * (tree.units[:, None] - failed), 0.0)
    served = power.sum(axis=0)
    loss = np.empty_like(power)
    no_load = tree.no_load_loss_frac[:, None] * rating
    square = np.divide(tree.square_loss_frac[:, None], rating, out=np.zeros_like(rating), where=rating > 0)
    linear = tree.proportional_loss_frac[:, None]
    for rows in reversed(_levels(tree)):
        carried = power[rows]
        part = loss[rows]
        np.multiply(carried, square[rows], out=part)
        part *= carried
        part += no_load[rows]
        if np.any(linear[rows]):
            part += linear[rows] * np.abs(carried)
        if rows.start > 0:
            _hand_up(tree, power, carried + part, rows, on_standby)
    roots = tree.roots
    source = power[roots] + loss[roots]
    is_metered = np.isin(roots, tree.metered)
    total = source.sum(axis=0)
    closure = np.abs(total - served - loss.sum(axis=0)) / np.maximum(np.abs(total), 1.0)
    helped = rating
    if np.any(tree.beside >= 0):
        none = np.zeros((tree.n_nodes, 1), dtype=np.int64)
        helped = running_w(tree, (none if failed is None else failed).T).T * (rating > 0)
    load_frac = np.divide(np.abs(power), helped, out=np.zeros_like(power), where=helped > 0)
    return FeedResult(
        meter_w=source[is_metered].sum(axis=0),
        source_w=source.T,
        node_power_w=power.T,
        node_loss_w=loss.T,
        load_frac=load_frac.T,
        overload=(load_frac > 1.0).T,
        live=live.T,
        unserved_w=unserved,
        closure_rel=closure,
    )


def _hand_up(tree: FeedTree, power: FloatArray, taken: FloatArray, rows: slice, on_standby: BoolArray | None) -> None:
    """Add what the nodes `rows` take in to the outputs of the nodes that feed them."""
    fed = np.flatnonzero(tree.parent[rows] >= 0)
    _add_sorted(
        power, tree.parent[rows][fed], taken[fed] if on_standby is None else taken[fed] * ~on_standby[rows][fed]
    )
    if on_standby is None:
        return
    moved = on_standby[rows].any(axis=1)
    order = np.flatnonzero(moved)
    if order.size:
        order = order[np.argsort(tree.standby_parent[rows][order], kind="stable")]
        _add_sorted(power, tree.standby_parent[rows][order], taken[order] * on_standby[rows][order])


def _add_sorted(power: FloatArray, parents: IntArray, taken: FloatArray) -> None:
    """Add rows of `taken` to the rows `parents` (sorted) of `power`."""
    if parents.size == 0:
        return
    starts = np.flatnonzero(np.diff(parents, prepend=-1))
    power[parents[starts]] += np.add.reduceat(taken, starts, axis=0)
