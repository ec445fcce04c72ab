"""Which replica a request goes to, and the common clock by which routers see the replicas.

Replicas run freely inside a quantum of time; at its start the router sees their state, and adds its own decisions as it
makes them. Round robin sees nothing, so its quantum may be any length.
"""

import sys
from collections.abc import Callable

import numpy as np

from compute.replay import prefix_cache
from compute.replay import state as replay_state
from compute.replay import step as replay_step
from compute.replay.compiled import compiled_entry, compiled_part, source_digest
from compute.replay.prefix_cache import matched_blocks
from compute.replay.state import (
    AHEAD,
    DONE,
    EXCEEDS_CONTEXT,
    EXCEEDS_KV,
    IN_REPLICA,
    NONE,
    NOT_REFUSED,
    QUEUE_FULL,
    REFUSED,
    PoolState,
    Window,
)
from compute.replay.step import advance, enqueue

ROUND_ROBIN, LEAST_LOADED, PREFIX_AWARE = range(3)
ROUTERS = {"round-robin": ROUND_ROBIN, "least-loaded": LEAST_LOADED, "prefix-aware": PREFIX_AWARE}


@compiled_part
def choose_replica(pool: PoolState, window: Window, who: int, router: int) -> int:
    """Return the replica for a request.

    `least-loaded` takes the fewest requests waiting or running. `prefix-aware` takes the least cost
    (prompt tokens to compute, the replica's waiting ones included) + (KV tokens in use), the sum that Dynamo's KV
    router minimises with its default weight of 1. Ties go to the next replica in turn.
    """
    n_replicas = pool.replicas.shape[0]
    start = pool.next_replica[0]
    best = start
    if router == LEAST_LOADED:
        for i in range(n_replicas):
            r = start + i if start + i < n_replicas else start + i - n_replicas
            if pool.load[r] < pool.load[best]:
                best = r
    elif router == PREFIX_AWARE:
        request = window.requests[who - window.base]
        least = np.inf
        first, last = request.first_range - window.range_base, request.last_range - window.range_base
        block_tokens = pool.limits.block_tokens
        for i in range(n_replicas):
            r = start + i if start + i < n_replicas else start + i - n_replicas
            replica = pool.replicas[r]
            cached = 0
            if pool.cache.key.shape[1] > 1:
                limit = request.input_tokens // block_tokens
                cached = block_tokens * matched_blocks(
                    pool.cache, r, window.first_block, window.last_block, first, last, limit
                )
            cost = request.input_tokens - cached + replica.waiting_prompt_tokens + replica.used_tokens
            if cost < least:
                least, best = cost, r
    pool.next_replica[0] = best + 1 if best + 1 < n_replicas else 0
    return best


@compiled_part
def push_pending(window: Window, at_s: float, who: int) -> None:
    """Add a request that will be released at a time to the heap of such."""
    i = window.n_pending[0]
    window.n_pending[0] += 1
    # Equal times leave in order of id, so that the result does not depend on how the trace was cut into chunks.
    while i > 0:
        up = (i - 1) >> 1
        if window.pending_s[up] < at_s or (window.pending_s[up] == at_s and window.pending_request[up] < who):
            break
        window.pending_s[i], window.pending_request[i] = window.pending_s[up], window.pending_request[up]
        i = up
    window.pending_s[i], window.pending_request[i] = at_s, who


@compiled_part
def pop_pending(window: Window) -> int:
    """Take the earliest release out and return its request."""
    top = window.pending_request[0]
    window.n_pending[0] -= 1
    n = window.n_pending[0]
    at_s, who = window.pending_s[n], window.pending_request[n]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= n:
            break
        if child + 1 < n and (
            window.pending_s[child + 1] < window.pending_s[child]
            or (
                window.pending_s[child + 1] == window.pending_s[child]
                and window.pending_request[child + 1] < window.pending_request[child]
            )
        ):
            child += 1
        if window.pending_s[child] > at_s or (window.pending_s[child] == at_s and window.pending_request[child] > who):
            break
        window.pending_s[i], window.pending_request[i] = window.pending_s[child], window.pending_request[child]
        i = child
    window.pending_s[i], window.pending_request[i] = at_s, who
    return top


@compiled_part
def predecessor_ended(window: Window, who: int, end_s: float) -> None:
    """Note in a turn that one of those it waits for has ended; the last one sets its arrival."""
    request = window.requests[who - window.base]
    request.n_predecessors -= 1
    request.arrival_s = end_s if np.isnan(request.arrival_s) else max(request.arrival_s, end_s)
    if request.n_predecessors == 0:
        request.arrival_s += request.delay_s
        push_pending(window, request.arrival_s, who)


@compiled_part
def release_followers(window: Window, who: int, end_s: float) -> None:
    """Note the end of a turn in the session's next turn and in those of the sub-agents that it starts."""
    request = window.requests[who - window.base]
    if request.successor != NONE:
        predecessor_ended(window, request.successor, end_s)
    child = request.first_spawned
    while child != NONE:
        predecessor_ended(window, child, end_s)
        child = window.requests[child - window.base].next_spawned


@compiled_part
def refusal(pool: PoolState, decode_pool: PoolState, window: Window, who: int) -> int:
    """Return why a request can never be served, or NOT_REFUSED."""
    request = window.requests[who - window.base]
    whole_tokens = request.input_tokens + request.output_tokens
    if whole_tokens > pool.limits.max_context_tokens:
        return EXCEEDS_CONTEXT
    final = decode_pool if decode_pool.replicas.shape[0] > 0 else pool
    if (
        whole_tokens + final.limits.tokens_per_step + final.limits.sequence_overhead_tokens > final.limits.kv_tokens
        or request.input_tokens + pool.limits.sequence_overhead_tokens > pool.limits.kv_tokens
    ):
        return EXCEEDS_KV
    return NOT_REFUSED


@compiled_part
def assign(pool: PoolState, decode_pool: PoolState, window: Window, who: int, router: int, arrival_s: float) -> None:
    """Send a request to a replica of its stage's pool, where it queues from `arrival_s`; or refuse it."""
    request = window.requests[who - window.base]
    if request.stage == 0:
        request.refusal = refusal(pool, decode_pool, window, who)
    if request.refusal == NOT_REFUSED:
        target = pool if request.stage == 0 else decode_pool
        r = choose_replica(target, window, who, router)
        request.replica = r
        if request.stage == 1 or target.replicas[r].n_waiting < target.limits.max_waiting:
            request.queued_here_s = arrival_s
            request.status = IN_REPLICA
            target.load[r] += 1
            enqueue(target, window, r, who, False)
            return
        request.refusal = QUEUE_FULL
    request.status = REFUSED
    release_followers(window, who, arrival_s)  # a session goes on without the turn


@compiled_part
def first_ahead(window: Window, row: int) -> int:
    """Return the first row from `row` on that arrives by the trace's clock and has not been routed."""
    n_rows = window.base + window.requests.shape[0]
    while row < n_rows and window.requests[row - window.base].status != AHEAD:
        row += 1
    return row


@compiled_part
def route_arrivals(
    pool: PoolState, decode_pool: PoolState, window: Window, router: int, next_row: int, end_s: float
) -> int:
    """Send everything that arrives before `end_s` to its replica, in order of time; returns the next row."""
    requests, base = window.requests, window.base
    n_rows = base + requests.shape[0]
    while True:
        row_s = requests[next_row - base].arrival_s if next_row < n_rows else np.inf
        pending_s = window.pending_s[0] if window.n_pending[0] > 0 else np.inf
        if min(row_s, pending_s) >= end_s:
            return next_row
        if row_s <= pending_s:
            assign(pool, decode_pool, window, next_row, router, row_s)
            next_row = first_ahead(window, next_row + 1)
        else:
            assign(pool, decode_pool, window, pop_pending(window), router, pending_s)


@compiled_part
def follow_up(window: Window, transfer_s_per_token: float, transfer_latency_s: float) -> None:
    """Let what follows from the ends of the last quantum happen: next turns, and transfers to the decode pool."""
    for i in range(window.n_finished[0]):
        who = window.finished[i]
        request = window.requests[who - window.base]
        if request.status == DONE:
            release_followers(window, who, request.last_token_s)
        else:
            request.stage = 1
            ready_s = request.first_token_s + transfer_latency_s + transfer_s_per_token * request.input_tokens
            push_pending(window, ready_s, who)
    window.n_finished[0] = 0


def _run_until_of(digest: int) -> Callable[..., tuple[float, int]]:
    """Return `run_until` compiled for the present source of all that it calls."""

    @compiled_entry
    def run_until(
        pool: PoolState,
        decode_pool: PoolState,
        window: Window,
        router: int,
        now_s: float,
        stop_s: float,
        quantum_s: float,
        next_row: int,
        transfer_s_per_token: float,
        transfer_latency_s: float,
        n_quanta: int,
    ) -> tuple[float, int]:
        """Route and run what arrives before `stop_s`, for `n_quanta` at most; with infinity, until nothing is left.

        Returns the common clock and the first row not yet routed.
        """
        digest  # noqa: B018 - part of the cache's key, see source_digest
        requests, base = window.requests, window.base
        next_row = first_ahead(window, next_row)
        while n_quanta > 0 and now_s < stop_s:
            n_quanta -= 1
            if pool.load.sum() + decode_pool.load.sum() == 0:  # nothing runs: pass over the gap
                row_s = requests[next_row - base].arrival_s if next_row < base + requests.shape[0] else np.inf
                pending_s = window.pending_s[0] if window.n_pending[0] > 0 else np.inf
                now_s = max(now_s, min(row_s, pending_s, stop_s))
                if now_s >= stop_s:
                    break
            end_s = min(now_s + quantum_s, stop_s)
            next_row = route_arrivals(pool, decode_pool, window, router, next_row, end_s)
            for r in range(pool.replicas.shape[0]):
                if pool.load[r] > 0:
                    advance(pool, window, r, end_s)
            for r in range(decode_pool.replicas.shape[0]):
                if decode_pool.load[r] > 0:
                    advance(decode_pool, window, r, end_s)
            follow_up(window, transfer_s_per_token, transfer_latency_s)
            now_s = end_s
        return now_s, next_row

    return run_until


run_until = _run_until_of(source_digest(prefix_cache, replay_state, replay_step, sys.modules[__name__]))
