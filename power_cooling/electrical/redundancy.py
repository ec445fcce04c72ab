"""Redundant feeds: designs as shares, every single and double failure as an axis, capacity left and time to trip.

How to call it (stable)::

    states = failure_states(tree, order=2)                    # intact, all single, all double failures
    answer = failure_capacity(tree, links, rack_power_w, states)
    answer.capacity_frac                                      # (n_states,) share of the racks' power that can be served

Racks draw their shares from all live feeds at once. Where a node would exceed its limit the racks behind it are capped,
fairly: all rise together until the first limit, those behind it stay, the others rise on. A node that losses and other
loads alone put over its limit cannot be helped by capping: it is opened, and what it feeds turns to its standby feeds
or loses power. A failure state may also be operated by switching off one more feed where that serves more
(`operated_as`), so that a further failure never raises capacity.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from power_cooling.electrical.feed_tree import FeedTree, RackLinks
from power_cooling.electrical.protection import ASSUMED_BREAKER, ASSUMED_UPS_OVERLOAD, BreakerCurve, OverloadRating
from power_cooling.electrical.redundancy_kernel import solve_states

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

Design = Literal["N", "N+1", "2N", "block", "catcher"]

_SLACK = 1e-6  # how near to a limit, relative, counts as reached


@dataclass(frozen=True, slots=True, eq=False)
class ShareDesign:
    """Shares of racks in blocks of power. Arrays have shape (n_racks, n_blocks)."""

    share_frac: FloatArray
    standby_share_frac: FloatArray
    block_limit_frac: float  # of a block's rating in normal operation, so that any one may fail


def share_design(design: Design, n_blocks: int, n_racks: int) -> ShareDesign:
    """Return how racks are spread over blocks of power.

    Parameters
    ----------
    design : {"N", "N+1", "2N", "block", "catcher"}
        "N": each rack on one block. "N+1": all racks on the pool of all blocks. "2N": the second half of the blocks
        mirrors the first. "block": each rack on two blocks, all pairs used evenly (4N3 with 4 blocks, 5-to-make-4 with
        5). "catcher": each rack on one block, the last block takes over any one that fails.
    n_blocks, n_racks : int
        Blocks of power (the reserve included) and racks.

    Raises
    ------
    ValueError
        If the design cannot be made of so many blocks.
    """
    least = {"N": 1, "N+1": 2, "2N": 2, "block": 3, "catcher": 2}
    if design not in least:
        raise ValueError(f"design is {design!r}; must be one of {', '.join(least)}")
    if n_blocks < least[design] or (design == "2N" and n_blocks % 2):
        even = " and be even" if design == "2N" else ""
        raise ValueError(f"n_blocks is {n_blocks}; must be at least {least[design]}{even} for {design}")
    if n_racks < 1:
        raise ValueError(f"n_racks is {n_racks}; must be at least 1")
    share, standby = np.zeros((n_racks, n_blocks)), np.zeros((n_racks, n_blocks))
    rack = np.arange(n_racks)
    if design == "N":
        share[rack, rack % n_blocks] = 1.0
        limit = 1.0
    elif design == "N+1":
        share[:] = 1 / n_blocks
        limit = (n_blocks - 1) / n_blocks
    elif design == "2N":
        half = n_blocks // 2
        share[rack, rack % half] = share[rack, half + rack % half] = 0.5
        limit = 0.5
    elif design == "block":
        pairs = np.array(list(combinations(range(n_blocks), 2)))[rack % comb(n_blocks, 2)]
        share[rack, pairs[:, 0]] = share[rack, pairs[:, 1]] = 0.5
        limit = (n_blocks - 1) / n_blocks
    else:
        share[rack, rack % (n_blocks - 1)] = 1.0
        standby[:, -1] = 1.0
        limit = 1.0
    return ShareDesign(share, standby, limit)


@dataclass(frozen=True, slots=True, eq=False)
class FailureStates:
    """Failure states of a feed tree; the first is intact."""

    first: IntArray  # (n_states,), node that failed, -1 for none
    second: IntArray  # (n_states,), -1 for none; equal to first where two units of one node are out

    def label(self, tree: FeedTree, state: int) -> str:
        """Return the names of what is out of service, as pages show them."""
        failed = [tree.names[i] for i in (self.first[state], self.second[state]) if i >= 0]
        return " + ".join(failed) if failed else "intact"

    def units_failed(self, tree: FeedTree) -> NDArray[np.int8]:
        """Return units out of service, shape (n_states, n_nodes), as `electrical.feed_losses` takes them."""
        failed = np.zeros((self.first.size, tree.n_nodes), dtype=np.int8)
        for nodes in (self.first, self.second):
            rows = np.flatnonzero(nodes >= 0)
            np.add.at(failed, (rows, nodes[rows]), 1)
        return failed


def failure_states(tree: FeedTree, *, order: Literal[1, 2] = 2, candidates: ArrayLike | None = None) -> FailureStates:
    """Return the intact state, every loss of one unit, and with order 2 every loss of two.

    Parameters
    ----------
    tree : FeedTree
    order : {1, 2}
        Most units out at once.
    candidates : array_like of int, optional
        Nodes that may fail (default: all).
    """
    if order not in (1, 2):
        raise ValueError(f"order is {order}; must be 1 or 2")
    nodes = np.arange(tree.n_nodes) if candidates is None else np.unique(np.asarray(candidates, dtype=np.int64))
    if nodes.size and not (nodes[0] >= 0 and nodes[-1] < tree.n_nodes):
        raise ValueError(f"candidates leave 0..{tree.n_nodes - 1}")
    first, second = [np.array([-1]), nodes], [np.array([-1]), np.full(nodes.size, -1)]
    if order == 2:
        i, j = np.triu_indices(nodes.size)
        allowed = (i != j) | (tree.units[nodes[i]] > 1)
        first.append(nodes[i[allowed]])
        second.append(nodes[j[allowed]])
    return FailureStates(np.concatenate(first), np.concatenate(second))


@dataclass(frozen=True, slots=True, eq=False)
class FailureCapacity:
    """What each failure state leaves. Node arrays are in the tree's order."""

    capacity_frac: FloatArray  # (n_states,), weighted share of rack power served
    lost_frac: FloatArray  # (n_states,), of it without any live feed, opened ones not being live
    capped_frac: FloatArray  # (n_states,), of it held back by limits
    operated_as: IntArray  # (n_states,), the state whose switching serves most; its own number if none serves more
    worst_load_frac: FloatArray  # (n_states,), greatest load over limit before any capping
    worst_node: IntArray  # (n_states,)
    seconds_to_trip: FloatArray  # (n_states,), until the first protection trips if nothing is capped
    other_unserved_w: FloatArray  # (n_states,), other loads on dead nodes
    rack_class: IntArray  # (n_racks,)
    class_served_frac: NDArray[np.float32]  # (n_states, n_classes), racks alike in their feeds
    node_intact_frac: FloatArray  # (n_nodes,), load over limit with nothing out
    node_worst_frac: FloatArray  # (n_nodes,), greatest over all single failures before capping
    node_worst_state: IntArray  # (n_nodes,)
    opened_state: IntArray  # (n_opened,), states in which a node is opened, its limit exceeded with every rack at zero
    opened_node: IntArray  # (n_opened,), that node

    def units_out(self, tree: FeedTree, states: FailureStates) -> NDArray[np.int8]:
        """Return units failed or opened, shape (n_states, n_nodes), as `electrical.feed_losses` takes them."""
        failed = states.units_failed(tree)
        failed[self.opened_state, self.opened_node] = tree.units[self.opened_node]
        return failed

    def rack_served_frac(self, state: int) -> FloatArray:
        """Return the share of each rack's power that is served in a state, shape (n_racks,)."""
        return self.class_served_frac[self.operated_as[state], self.rack_class].astype(np.float64)


def failure_capacity(
    tree: FeedTree,
    links: RackLinks,
    rack_power_w: ArrayLike,
    states: FailureStates,
    *,
    limit_frac: ArrayLike = 1.0,
    other_load_w: ArrayLike = 0.0,
    rack_weight: ArrayLike | None = None,
    ups_overload: OverloadRating = ASSUMED_UPS_OVERLOAD,
    breaker: BreakerCurve = ASSUMED_BREAKER,
) -> FailureCapacity:
    """Return the capacity that every failure state leaves, its worst overload and the time until something trips.

    Parameters
    ----------
    tree, links : FeedTree, RackLinks
    rack_power_w : array_like, shape (n_racks,)
        Demand of each rack [W].
    states : FailureStates
    limit_frac : array_like, shape () or (n_nodes,)
        Of each node's rating that may be carried for good (0.8 for breakers rated so).
    other_load_w : array_like, shape () or (n_nodes,)
        Loads that are not capped, on the nodes that feed them [W] (cooling).
    rack_weight : array_like, shape (n_racks,), optional
        Worth of each rack in `capacity_frac`; by default its power.
    ups_overload, breaker
        Time curves of UPS and of all else.

    Raises
    ------
    ValueError
        If a shape does not fit or a value is negative; names it.
    """
    power = _vector("rack_power_w", rack_power_w, links.n_racks)
    weight = power if rack_weight is None else _vector("rack_weight", rack_weight, links.n_racks)
    limit = _vector("limit_frac", limit_frac, tree.n_nodes)
    other = _vector("other_load_w", other_load_w, tree.n_nodes)
    if np.any(limit <= 0):
        raise ValueError(f"limit_frac of {tree.names[int(np.argmin(limit))]} is {limit.min():g}; must be above 0")
    if weight.sum() <= 0:
        raise ValueError("racks have no power or weight: there is no capacity to lose")
    classes, rack_class = _rack_classes(links)
    class_power = np.bincount(rack_class, power, minlength=classes.n_racks)
    class_weight = np.bincount(rack_class, weight, minlength=classes.n_racks) / weight.sum()
    n, n_nodes, n_classes = states.first.size, tree.n_nodes, classes.n_racks
    served, dark = np.empty((n, n_classes), dtype=np.float32), np.empty((n, n_classes), dtype=bool)
    worst, worst_node, unserved = np.empty(n), np.empty(n, dtype=np.int64), np.empty(n)
    ups_load, breaker_load = np.empty(n), np.empty(n)
    intact, node_worst, node_state = np.zeros(n_nodes), np.zeros(n_nodes), np.zeros(n_nodes, dtype=np.int64)
    opened_state, opened_node = solve_states(
        states.first,
        states.second,
        tree.parent,
        tree.standby_parent,
        tree.units,
        tree.rating_w,
        tree.no_load_loss_frac,
        tree.proportional_loss_frac,
        tree.square_loss_frac,
        limit,
        other,
        np.searchsorted(classes.rack_index, np.arange(n_classes + 1)),
        classes.node_index,
        classes.share_frac,
        classes.standby_share_frac,
        np.asarray(class_power, dtype=np.float64),
        _SLACK,
        np.array([kind == "ups" for kind in tree.kinds]),
        served,
        dark,
        worst,
        worst_node,
        ups_load,
        breaker_load,
        unserved,
        node_worst,
        node_state,
        intact,
    )
    capacity, lost = served @ class_weight, dark @ class_weight
    trip_s = np.minimum(ups_overload.seconds_to_trip(ups_load), breaker.seconds_to_trip(breaker_load))
    operated = _best_switching(states, capacity)
    capacity = capacity[operated]
    return FailureCapacity(
        capacity_frac=capacity,
        lost_frac=np.minimum(lost, 1 - capacity),
        capped_frac=np.maximum(0.0, 1 - capacity - lost),
        operated_as=operated,
        worst_load_frac=worst,
        worst_node=worst_node,
        seconds_to_trip=trip_s,
        other_unserved_w=unserved,
        rack_class=rack_class,
        class_served_frac=served,
        node_intact_frac=intact,
        node_worst_frac=node_worst,
        node_worst_state=node_state,
        opened_state=opened_state,
        opened_node=opened_node,
    )


def _vector(name: str, values: ArrayLike, n: int) -> FloatArray:
    given = np.asarray(values, dtype=np.float64)
    if given.shape not in ((), (n,)):
        raise ValueError(f"{name} has shape {given.shape}; ({n},) is needed")
    wrong = ~np.isfinite(given) | (given < 0)
    if np.any(wrong):
        at = np.flatnonzero(np.atleast_1d(wrong))[0]
        raise ValueError(f"{name}[{at}] is {np.atleast_1d(given)[at]:g}; must be at least 0")
    return np.broadcast_to(given, (n,)).astype(np.float64)


def _rack_classes(links: RackLinks) -> tuple[RackLinks, IntArray]:
    """Return racks alike in their feeds as one class each, and every rack's class."""
    count = np.bincount(links.rack_index, minlength=links.n_racks)
    place = np.arange(links.rack_index.size) - np.repeat(np.cumsum(count) - count, count)
    table = np.full((links.n_racks, count.max(), 3), -1.0)
    for k, values in enumerate((links.node_index, links.share_frac, links.standby_share_frac)):
        table[links.rack_index, place, k] = values
    rows, first, rack_class = np.unique(
        table.reshape(links.n_racks, -1), axis=0, return_index=True, return_inverse=True
    )
    keep = np.isin(links.rack_index, first)
    new_number = np.empty(links.n_racks, dtype=np.int64)
    new_number[first] = np.arange(first.size)
    index = new_number[links.rack_index[keep]]
    order = np.argsort(index, kind="stable")
    classes = RackLinks(
        len(rows),
        index[order],
        links.node_index[keep][order],
        links.share_frac[keep][order],
        links.standby_share_frac[keep][order],
    )
    return classes, rack_class.reshape(-1)


def _best_switching(states: FailureStates, capacity: FloatArray) -> IntArray:
    """Return for each state the enumerated state with the same and at most more out that serves most."""
    best = np.arange(capacity.size)
    single = np.flatnonzero((states.first >= 0) & (states.second < 0))
    number = np.full(int(states.first.max(initial=0)) + 1, -1)
    number[states.first[single]] = single
    double = np.flatnonzero(states.second >= 0)
    gain = capacity.copy()
    for nodes in (states.first[double], states.second[double]):
        # The last writer among equals wins; sorting by capacity makes that the best one.
        order = np.argsort(capacity[double], kind="stable")
        target, source = number[nodes[order]], double[order]
        found = target >= 0
        target, source = target[found], source[found]
        last = np.full(capacity.size, -1)
        last[target] = source
        better = np.flatnonzero((last >= 0) & (capacity[last] > gain + _SLACK))
        best[better], gain[better] = last[better], capacity[last[better]]
    if single.size:
        top = single[np.argmax(gain[single])]
        if gain[top] > gain[0] + _SLACK:
            best[0] = best[top]
    return best
