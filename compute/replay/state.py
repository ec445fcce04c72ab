"""What the compiled replay loops read and write: one record per request, one per replica, flat queues and heaps."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compute.replay.prefix_cache import PrefixCache, empty_prefix_cache
from compute.steps.step_model import StepModel, StepTables

NONE = -1  # no request, no replica

# Life of a request.
AHEAD = 0  # arrives by the trace's clock, in the order of the rows
WAITS_FOR_RELEASE = 1  # a turn that arrives some time after others have ended
IN_REPLICA = 2
DONE = 3
REFUSED = 4

# Why a request was refused.
NOT_REFUSED, UNREADABLE, EXCEEDS_KV, EXCEEDS_CONTEXT, QUEUE_FULL = range(5)

REQUEST = np.dtype(
    [
        ("arrival_s", np.float64),  # of a turn: set when its predecessors have ended
        ("input_tokens", np.int64),
        ("output_tokens", np.int64),
        ("known_cached_tokens", np.int64),  # prompt tokens known to be cached, for prompts without block ids
        ("first_range", np.int64),  # block ids of the prompt: rows first_range … last_range - 1 of the id ranges
        ("last_range", np.int64),
        ("priority", np.int64),  # 0 is served first
        ("status", np.int64),
        ("refusal", np.int64),
        ("delay_s", np.float64),  # between the end of the last predecessor and the arrival
        ("n_predecessors", np.int64),
        ("successor", np.int64),  # the turn that waits for this one
        ("first_spawned", np.int64),  # first of the sub-agents' turns that this one starts
        ("next_spawned", np.int64),  # its next sibling
        ("next_in_queue", np.int64),
        ("replica", np.int64),
        ("stage", np.int64),  # index of the pool: 0, or 1 once prefilled in a disaggregated system
        ("scheduled_s", np.float64),
        ("first_token_s", np.float64),
        ("last_token_s", np.float64),
        ("queued_here_s", np.float64),  # arrival at the present stage, or when it was preempted there
        ("cached_tokens", np.int64),  # prompt tokens that the prefix cache saved, at first admission
        ("n_shared_blocks", np.int64),  # leading blocks pinned in the prefix cache
        ("prefilled_tokens", np.int64),
        ("prefilled_at_admission_tokens", np.int64),  # found in a cache; the rest is computed
        ("prefill_target_tokens", np.int64),
        ("generated_tokens", np.int64),  # before the present residence
        ("context_at_start", np.int64),  # context when decoding began
        ("step_at_start", np.int64),  # the replica's decode-step count then
        ("admission", np.int64),  # the replica's admission count when this request was admitted
        ("n_preemptions", np.int64),
    ]
)

REPLICA = np.dtype(
    [
        ("clock_s", np.float64),  # when the next step may start
        ("context_tokens", np.float64),  # sum over decoding sequences
        ("used_tokens", np.float64),  # KV memory that cannot be evicted
        ("n_decoding", np.int64),
        ("prefilling", np.int64),  # request whose prompt is part done, or NONE
        ("n_steps", np.int64),
        ("n_admitted", np.int64),
        ("n_waiting", np.int64),
        ("waiting_prompt_tokens", np.float64),
        ("blocked_head", np.int64),  # request that did not fit and cannot until memory is freed
    ]
)

# Columns of the time series, summed over the replicas of a pool. Of those who wait, the bin counts who came less who
# went, and sums their times alike: a request may wait in more bins than there is time to visit.
BUSY_S, BATCH_S, KV_TOKEN_S, COMPUTE_S, MEMORY_S, OUTPUT_TOKENS, PROMPT_TOKENS, CAME, CAME_AT_S = range(9)
N_SERIES = 9


class Limits(NamedTuple):
    """What one replica of a pool may hold and do; plain numbers for the compiled loops."""

    seats: int
    token_budget: int
    kv_tokens: float
    sequence_overhead_tokens: float  # the last block of a sequence is half empty on average
    tokens_per_step: float  # per decoding sequence; above 1 with speculative decoding
    scored_tokens: int  # tokens that a decoding sequence brings to a step: 1 + draft length
    block_tokens: int  # of a prefix block
    max_context_tokens: float
    max_waiting: float  # per replica
    frontend_s: float  # outside the engine's steps: added to first and last token
    frontend_token_s: float  # the same per uncached prompt token
    prefill_only: bool


class PoolState(NamedTuple):
    """State of the replicas of one pool. Arrays lead with the replica."""

    replicas: NDArray[np.void]  # (n_replicas,) of REPLICA
    load: NDArray[np.int64]  # (n_replicas,) requests waiting or running
    queue_head: NDArray[np.int64]  # (n_replicas, n_priorities)
    queue_tail: NDArray[np.int64]
    heap_step: NDArray[np.int64]  # (n_replicas, seats): decode step at which a sequence ends, a binary heap
    heap_request: NDArray[np.int64]
    completing: NDArray[np.int64]  # (seats + 1,) scratch: prompts that end in the present step
    cache: PrefixCache
    series: NDArray[np.float64]  # (n_bins, N_SERIES)
    bins_s: NDArray[np.float64]  # (2,) width of a bin, start of the first
    next_replica: NDArray[np.int64]  # (1,) round robin's memory
    limits: Limits
    step: StepTables


class Window(NamedTuple):
    """The requests that are not yet handed back. Ids are absolute; row = id - base."""

    requests: NDArray[np.void]
    base: int
    first_block: NDArray[np.int64]  # id ranges of prompts, inclusive; row = range number - range_base
    last_block: NDArray[np.int64]
    range_base: int
    pending_s: NDArray[np.float64]  # binary heap of releases to come
    pending_request: NDArray[np.int64]
    n_pending: NDArray[np.int64]  # (1,)
    finished: NDArray[np.int64]  # requests that ended a stage since the router last looked
    n_finished: NDArray[np.int64]  # (1,)


def empty_pool(
    n_replicas: int,
    n_priorities: int,
    limits: Limits,
    step: StepModel,
    *,
    n_bins: int,
    bins_s: tuple[float, float],
    caches: bool,
) -> PoolState:
    """Return the state of an idle pool. `bins_s` are the width and the start of the time series' bins."""
    replicas = np.zeros(n_replicas, dtype=REPLICA)
    replicas["prefilling"] = NONE
    replicas["blocked_head"] = NONE
    n_blocks = int(limits.kv_tokens // limits.block_tokens) + 1 if caches else 0
    return PoolState(
        replicas=replicas,
        load=np.zeros(n_replicas, dtype=np.int64),
        queue_head=np.full((n_replicas, n_priorities), NONE, dtype=np.int64),
        queue_tail=np.full((n_replicas, n_priorities), NONE, dtype=np.int64),
        heap_step=np.zeros((n_replicas, limits.seats), dtype=np.int64),
        heap_request=np.full((n_replicas, limits.seats), NONE, dtype=np.int64),
        completing=np.zeros(limits.seats + 1, dtype=np.int64),
        cache=empty_prefix_cache(n_replicas, n_blocks),
        series=np.zeros((n_bins, N_SERIES)),
        bins_s=np.array(bins_s),
        next_replica=np.zeros(1, dtype=np.int64),
        limits=limits,
        step=step.tables(),
    )
