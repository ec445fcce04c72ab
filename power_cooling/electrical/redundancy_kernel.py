"""Failure states one at a time, compiled: what is live, what each node carries, and how far capped racks may rise.

A node that losses and other loads alone put over its limit is opened: no capping of racks can relieve it.

The formulas are those of `electrical.link_shares` and `electrical.feed_losses`. Compiled, all double failures of 600
feeds (177,000 states) take seconds; array operations over the same states took 85 s.
"""

import numpy as np
from numpy.typing import NDArray

from power_cooling.compiled import compiled_part, compiled_with_arrays
from power_cooling.electrical.feed_tree import BoolArray, FloatArray, IntArray


@compiled_part
def live_state(
    failed: IntArray, parent: IntArray, standby: IntArray, units: IntArray, live: BoolArray, feeder: IntArray
) -> None:
    """Set which nodes are energised and from where (-1 for none)."""
    for i in range(parent.size):
        feeder[i] = -1
        alive = failed[i] < units[i]
        if alive and parent[i] >= 0:
            if live[parent[i]]:
                feeder[i] = parent[i]
            elif standby[i] >= 0 and live[standby[i]]:
                feeder[i] = standby[i]
            else:
                alive = False
        live[i] = alive


@compiled_part
def state_shares(
    starts: IntArray,
    link_node: IntArray,
    link_share: FloatArray,
    link_standby: FloatArray,
    live: BoolArray,
    shares: FloatArray,
    dark: BoolArray,
) -> None:
    """Set each link's share of its class's power; classes without a live feed are dark."""
    for k in range(starts.size - 1):
        total = 0.0
        for link in range(starts[k], starts[k + 1]):
            if live[link_node[link]]:
                total += link_share[link]
        normal = total > 0.0
        if not normal:
            for link in range(starts[k], starts[k + 1]):
                if live[link_node[link]]:
                    total += link_standby[link]
        dark[k] = total <= 0.0
        for link in range(starts[k], starts[k + 1]):
            shares[link] = 0.0
            if not dark[k] and live[link_node[link]]:
                shares[link] = (link_share[link] if normal else link_standby[link]) / total


@compiled_part
def node_loads(
    served: FloatArray,
    class_power: FloatArray,
    starts: IntArray,
    link_node: IntArray,
    shares: FloatArray,
    other: FloatArray,
    live: BoolArray,
    feeder: IntArray,
    capacity: FloatArray,
    a: FloatArray,
    b: FloatArray,
    c: FloatArray,
    load: FloatArray,
) -> None:
    """Set the output of every node in watts."""
    for i in range(live.size):
        load[i] = other[i] if live[i] else 0.0
    for k in range(starts.size - 1):
        power = served[k] * class_power[k]
        if power > 0.0:
            for link in range(starts[k], starts[k + 1]):
                load[link_node[link]] += power * shares[link]
    for i in range(live.size - 1, -1, -1):
        if feeder[i] >= 0:
            carried = load[i]
            load[feeder[i]] += (
                carried + a[i] * capacity[i] + b[i] * abs(carried) + c[i] / capacity[i] * carried * carried
            )


@compiled_part
def next_to_open(now: FloatArray, allowed: FloatArray, live: BoolArray, slack: float) -> int:
    """Return the deepest live node above what it is allowed, as selective protection would open; -1 for none."""
    for i in range(live.size - 1, -1, -1):
        if live[i] and now[i] > allowed[i] * (1.0 + slack):
            return i
    return -1


@compiled_part
def fill_state(
    served: FloatArray,
    fixed: BoolArray,
    class_power: FloatArray,
    starts: IntArray,
    link_node: IntArray,
    shares: FloatArray,
    other: FloatArray,
    live: BoolArray,
    feeder: IntArray,
    capacity: FloatArray,
    a: FloatArray,
    b: FloatArray,
    c: FloatArray,
    allowed: FloatArray,
    now: FloatArray,
    full: FloatArray,
    trial: FloatArray,
    behind: FloatArray,
    slack: float,
) -> None:
    """Raise all classes together from nothing; those behind a node that reaches what it is allowed stay there.

    `served` comes as zeros and `now` as the loads that go with it, none above what it is allowed.
    """
    n, n_classes = live.size, served.size
    level = 0.0
    changed = True
    for _ in range(50 * n):
        if changed:
            any_free = False
            for k in range(n_classes):
                trial[k] = served[k] if fixed[k] else 1.0
                any_free = any_free or not fixed[k]
            if not any_free:
                return
            node_loads(trial, class_power, starts, link_node, shares, other, live, feeder, capacity, a, b, c, full)
        # The load is convex in the level: its chord from now to full never promises too much.
        step = 1.0
        for i in range(n):
            rise = full[i] - now[i]
            if live[i] and rise > 1e-12 * capacity[i]:
                step = min(step, max(0.0, (allowed[i] - now[i]) / rise))
        level += step * (1.0 - level)
        for k in range(n_classes):
            if not fixed[k]:
                served[k] = level
        if step >= 1.0:
            return
        node_loads(served, class_power, starts, link_node, shares, other, live, feeder, capacity, a, b, c, now)
        changed = False
        for i in range(n):
            reached = live[i] and full[i] > allowed[i] and now[i] >= allowed[i] * (1.0 - slack)
            above = feeder[i]
            behind[i] = 1.0 if reached or (above >= 0 and behind[above] > 0.0) else 0.0
        for k in range(n_classes):
            if not fixed[k]:
                for link in range(starts[k], starts[k + 1]):
                    if shares[link] > 0.0 and behind[link_node[link]] > 0.0:
                        fixed[k] = True
                        changed = True


@compiled_with_arrays
def solve_states(
    first: IntArray,
    second: IntArray,
    parent: IntArray,
    standby: IntArray,
    units: IntArray,
    rating: FloatArray,
    a: FloatArray,
    b: FloatArray,
    c: FloatArray,
    limit: FloatArray,
    other: FloatArray,
    starts: IntArray,
    link_node: IntArray,
    link_share: FloatArray,
    link_standby: FloatArray,
    class_power: FloatArray,
    slack: float,
    is_ups: BoolArray,
    served_out: NDArray[np.float32],
    dark_out: BoolArray,
    worst: FloatArray,
    worst_node: IntArray,
    ups_load: FloatArray,
    breaker_load: FloatArray,
    unserved: FloatArray,
    node_worst: FloatArray,
    node_state: IntArray,
    intact: FloatArray,
) -> tuple[IntArray, IntArray]:
    """Solve every failure state; outputs are written into the arrays of the third row.

    Returned are the states and the nodes that had to be opened in them, one pair per opened node.
    """
    opened_state, opened_node = [np.int64(0) for _ in range(0)], [np.int64(0) for _ in range(0)]
    n, n_links, n_classes = parent.size, link_node.size, starts.size - 1
    failed = np.zeros(n, dtype=np.int64)
    live, feeder = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.int64)
    shares, dark = np.zeros(n_links), np.zeros(n_classes, dtype=np.bool_)
    capacity, allowed = np.zeros(n), np.zeros(n)
    now, full, behind = np.zeros(n), np.zeros(n), np.zeros(n)
    served, trial, fixed = np.zeros(n_classes), np.zeros(n_classes), np.zeros(n_classes, dtype=np.bool_)
    for state in range(first.size):
        failed[:] = 0
        for lost in (first[state], second[state]):
            if lost >= 0:
                failed[lost] += 1
        live_state(failed, parent, standby, units, live, feeder)
        state_shares(starts, link_node, link_share, link_standby, live, shares, dark)
        for i in range(n):
            capacity[i] = rating[i] * (units[i] - failed[i])
            allowed[i] = capacity[i] * limit[i]
        for k in range(n_classes):
            served[k] = 0.0 if dark[k] else 1.0
        node_loads(served, class_power, starts, link_node, shares, other, live, feeder, capacity, a, b, c, now)
        top, at, top_ups, top_breaker = 0.0, 0, 0.0, 0.0
        for i in range(n):
            if not live[i]:
                continue
            frac = now[i] / capacity[i]
            if is_ups[i]:
                top_ups = max(top_ups, frac)
            else:
                top_breaker = max(top_breaker, frac)
            frac /= limit[i]
            if frac > top:
                top, at = frac, i
            if state == 0:
                intact[i] = frac
            if second[state] < 0 and frac > node_worst[i]:
                node_worst[i], node_state[i] = frac, state
        worst[state], worst_node[state] = top, at
        ups_load[state], breaker_load[state] = top_ups, top_breaker
        if top > 1.0 + slack:
            served[:] = 0.0
            while True:
                node_loads(served, class_power, starts, link_node, shares, other, live, feeder, capacity, a, b, c, now)
                opened = next_to_open(now, allowed, live, slack)
                if opened < 0:
                    break
                opened_state.append(np.int64(state))
                opened_node.append(np.int64(opened))
                failed[opened] = units[opened]
                live_state(failed, parent, standby, units, live, feeder)
                state_shares(starts, link_node, link_share, link_standby, live, shares, dark)
            fixed[:] = dark
            fill_state(
                served,
                fixed,
                class_power,
                starts,
                link_node,
                shares,
                other,
                live,
                feeder,
                capacity,
                a,
                b,
                c,
                allowed,
                now,
                full,
                trial,
                behind,
                slack,
            )
        lost = 0.0
        for i in range(n):
            if not live[i]:
                lost += other[i]
        unserved[state] = lost
        for k in range(n_classes):
            served_out[state, k] = served[k]
            dark_out[state, k] = dark[k]
    return np.array(opened_state), np.array(opened_node)
