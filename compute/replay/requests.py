"""Requests of a replay: what is read of a stream, and what is handed back of it."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from compute.replay.state import NONE

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

N_PRIORITIES = 8


@dataclass(frozen=True, slots=True, eq=False)
class RequestBatch:
    """A stretch of consecutive requests of a stream. Arrays have shape (n_requests,) unless stated otherwise.

    Links between requests count rows of the whole stream, from 0. A request with predecessors ignores `arrival_s`.

    Attributes
    ----------
    request_id : list of str
    arrival_s : ndarray
        Not before that of the row above, nor of the last batch [s].
    input_tokens, output_tokens : ndarray of int
    known_cached_tokens : ndarray of int
        Prompt tokens that a prefix cache holds anyway; used where a prompt has no block ids.
    priority : ndarray of int
        0 is served first; at most 7.
    range_count : ndarray of int
        How many ranges of block ids each prompt has.
    first_block, last_block : ndarray of int, shape (sum of range_count,)
        Ids of equally long blocks of the prompt (and answer) from its start, as inclusive ranges.
    delay_s, n_predecessors, successor, first_spawned, next_spawned : ndarray
        Sessions: the wait after the last predecessor's end [s], how many predecessors, the turn that waits for this
        one, the first sub-agent's turn that it starts, and that one's next sibling; -1 for none.
    reasons : dict of int to str
        Rows of this batch that cannot be replayed, and why; they are handed on without times.
    """

    request_id: list[str]
    arrival_s: FloatArray
    input_tokens: IntArray
    output_tokens: IntArray
    known_cached_tokens: IntArray
    priority: IntArray
    range_count: IntArray
    first_block: IntArray
    last_block: IntArray
    delay_s: FloatArray
    n_predecessors: IntArray
    successor: IntArray
    first_spawned: IntArray
    next_spawned: IntArray
    reasons: dict[int, str] = field(default_factory=dict)

    @property
    def has_sessions(self) -> bool:
        """Whether any request waits for another."""
        return bool((self.n_predecessors > 0).any())


def request_batch(
    arrival_s: FloatArray,
    input_tokens: IntArray,
    output_tokens: IntArray,
    *,
    request_id: list[str] | None = None,
    known_cached_tokens: IntArray | None = None,
    priority: IntArray | None = None,
    ranges: tuple[IntArray, IntArray, IntArray] | None = None,
    reasons: dict[int, str] | None = None,
    first_row: int = 0,
) -> RequestBatch:
    """Return a batch of requests that do not wait for each other.

    Parameters
    ----------
    arrival_s, input_tokens, output_tokens : ndarray, shape (n_requests,)
        Arrival [s] in rising order, and lengths [tokens].
    request_id : list of str, optional
        The number of the row by default, counted from `first_row`.
    known_cached_tokens, priority : ndarray of int, shape (n_requests,), optional
        As in `RequestBatch`; 0 by default.
    ranges : tuple of ndarray, optional
        `range_count, first_block, last_block` of `RequestBatch`; no ids by default.
    reasons : dict of int to str, optional
        Rows that cannot be replayed, and why.
    first_row : int
        Place of the first request in the stream.
    """
    n = len(arrival_s)
    none = np.full(n, NONE, dtype=np.int64)
    zero = np.zeros(n, dtype=np.int64)
    empty = np.empty(0, dtype=np.int64)
    count, first, last = ranges if ranges is not None else (zero, empty, empty)
    return RequestBatch(
        request_id=[str(i) for i in range(first_row, first_row + n)] if request_id is None else request_id,
        arrival_s=np.asarray(arrival_s, dtype=np.float64),
        input_tokens=np.asarray(input_tokens, dtype=np.int64),
        output_tokens=np.asarray(output_tokens, dtype=np.int64),
        known_cached_tokens=zero if known_cached_tokens is None else np.asarray(known_cached_tokens, dtype=np.int64),
        priority=zero if priority is None else np.asarray(priority, dtype=np.int64),
        range_count=count,
        first_block=first,
        last_block=last,
        delay_s=np.zeros(n),
        n_predecessors=zero,
        successor=none,
        first_spawned=none,
        next_spawned=none,
        reasons=reasons or {},
    )


@dataclass(frozen=True, slots=True, eq=False)
class AnsweredRows:
    """Requests handed back, in the order of the stream. Times are on the trace's clock [s], NaN where not answered.

    `queued_s` is when the request entered the queue (its arrival), `scheduled_s` when its prompt was first worked on.
    """

    request_id: list[str]
    queued_s: FloatArray
    scheduled_s: FloatArray
    first_token_s: FloatArray
    last_token_s: FloatArray
    input_tokens: IntArray
    output_tokens: IntArray
    cached_tokens: IntArray
    replica: IntArray
    n_preemptions: IntArray
    reasons: dict[int, str]

    @property
    def ttft_s(self) -> FloatArray:
        """Time to first token [s]."""
        return self.first_token_s - self.queued_s

    @property
    def itl_s(self) -> FloatArray:
        """Mean gap between tokens of each request [s]; NaN for answers of one token."""
        gaps = np.where(self.output_tokens > 1, self.output_tokens - 1, np.nan)
        return (self.last_token_s - self.first_token_s) / gaps
