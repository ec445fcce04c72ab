"""Request-level replay: a stream of requests through many replicas with continuous batching, in bounded memory.

`replay` takes requests in batches, keeps only those that are not yet answered, and hands each on in the order in which
it came. The compiled loops are in `routing` (common clock, routers) and `replay_step` (one replica's engine); what a
step costs is a `StepModel`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compute.replay.latency_sketch import LatencySketch
from compute.replay.requests import N_PRIORITIES, AnsweredRows, RequestBatch
from compute.replay.routing import ROUTERS, run_until
from compute.replay.state import (
    AHEAD,
    BATCH_S,
    BUSY_S,
    CAME,
    CAME_AT_S,
    COMPUTE_S,
    DONE,
    EXCEEDS_CONTEXT,
    EXCEEDS_KV,
    KV_TOKEN_S,
    MEMORY_S,
    NONE,
    NOT_REFUSED,
    OUTPUT_TOKENS,
    PROMPT_TOKENS,
    REFUSED,
    REQUEST,
    UNREADABLE,
    WAITS_FOR_RELEASE,
    Limits,
    PoolState,
    Window,
    empty_pool,
)
from compute.steps.power import Activity, PowerCoefficients, accelerator_power_w
from compute.steps.step_model import StepModel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

N_SERIES_BINS = 2048
FIRST_BIN_WIDTH_S = 0.25
PREFIX_BLOCK_TOKENS = 512  # block size of the public traces with block ids
QUANTA_BETWEEN_LOOKS = 2000  # of the router's clock, between two looks at progress and cancellation


@dataclass(frozen=True, slots=True)
class ActivityPower:
    """What one accelerator draws by what it does, as `compute.steps.power` has it at full clock."""

    idle_w: float
    tdp_w: float
    coefficients: PowerCoefficients

    def __post_init__(self) -> None:
        if not 0 <= self.idle_w <= self.tdp_w:
            raise ValueError(f"ActivityPower.idle_w is {self.idle_w} W; must be between 0 and tdp_w = {self.tdp_w} W")

    def power_w(self, busy_frac: FloatArray, activity: Activity) -> FloatArray:
        """Return the power over time from the share of time with steps in work and the activity over all time [W]."""
        power_w = accelerator_power_w(
            self.coefficients, activity, idle_w=self.idle_w, tdp_w=self.tdp_w, busy_frac=busy_frac
        )
        return np.asarray(power_w, dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class ReplicaPool:
    """Identical replicas of one model, each a group of accelerators with its own scheduler.

    Attributes
    ----------
    step : StepModel
        What a step costs.
    n_replicas : int
    kv_tokens : float
        Tokens of context that one replica's memory holds.
    seats : int
        Most sequences in a batch.
    token_budget : int
        Most tokens in a step; longer prompts are cut into chunks.
    kv_block_tokens : int
        Allocation unit of KV memory.
    draft_tokens, draft_acceptance_frac : int, float
        Speculative decoding: tokens proposed per step, and the chance that each is accepted given those before it.
        A step then yields (1 - p^(g+1)) / (1 - p) tokens on average, and that average is what the replay uses.
    max_context_tokens : float
        Longest prompt and answer together that the model takes.
    max_waiting : float
        A replica with this many requests waiting refuses more.
    frontend_s, frontend_token_s : float
        Time of a request outside the engine's steps (client, first response), fixed and per uncached prompt token;
        it delays what the client sees, and takes nothing of the engine's time [s].
    accelerators_per_replica : int
    power : ActivityPower or None
    """

    step: StepModel
    n_replicas: int
    kv_tokens: float
    seats: int = 128
    token_budget: int = 2048
    kv_block_tokens: int = 16
    draft_tokens: int = 0
    draft_acceptance_frac: float = 0.0
    max_context_tokens: float = np.inf
    max_waiting: float = np.inf
    frontend_s: float = 0.0
    frontend_token_s: float = 0.0
    accelerators_per_replica: int = 1
    power: ActivityPower | None = None

    def __post_init__(self) -> None:
        for name in ("n_replicas", "seats", "token_budget", "kv_block_tokens", "accelerators_per_replica"):
            if not getattr(self, name) >= 1:
                raise ValueError(f"ReplicaPool.{name} is {getattr(self, name)}; must be 1 or more")
        for name in ("kv_tokens", "max_context_tokens"):
            if not getattr(self, name) > 0:
                raise ValueError(f"ReplicaPool.{name} is {getattr(self, name)} tokens; must be greater than 0")
        for name in ("frontend_s", "frontend_token_s"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"ReplicaPool.{name} is {getattr(self, name)} s; must be 0 or more and finite")
        if not self.max_waiting >= 0:
            raise ValueError(f"ReplicaPool.max_waiting is {self.max_waiting}; must be 0 or more")
        if not self.draft_tokens >= 0:
            raise ValueError(f"ReplicaPool.draft_tokens is {self.draft_tokens}; must be 0 or more")
        if not 0 <= self.draft_acceptance_frac <= 1:
            raise ValueError(
                f"ReplicaPool.draft_acceptance_frac is {self.draft_acceptance_frac}; must be between 0 and 1"
            )
        needed = self.max_step_tokens
        if self.step.max_tokens < needed:
            raise ValueError(
                f"StepModel reaches {self.step.max_tokens} tokens in a step; {self.seats} seats with"
                f" {self.draft_tokens} draft tokens and a budget of {self.token_budget} need {needed}"
            )

    @property
    def max_step_tokens(self) -> int:
        """Most tokens that a step can carry."""
        return max(self.token_budget, self.seats * (1 + self.draft_tokens))

    @property
    def tokens_per_step(self) -> float:
        """Tokens that a decoding sequence gains per step, on average."""
        p, g = self.draft_acceptance_frac, self.draft_tokens
        return float(g + 1) if p == 1 else (1 - p ** (g + 1)) / (1 - p)

    def limits(self, *, prefill_only: bool, block_tokens: int) -> Limits:
        """Return what the compiled loops need to know of the pool."""
        return Limits(
            seats=int(self.seats),
            token_budget=int(self.token_budget),
            kv_tokens=float(self.kv_tokens),
            sequence_overhead_tokens=0.5 * (self.kv_block_tokens - 1),
            tokens_per_step=self.tokens_per_step,
            scored_tokens=1 + int(self.draft_tokens),
            block_tokens=block_tokens,
            max_context_tokens=float(self.max_context_tokens),
            max_waiting=float(self.max_waiting),
            frontend_s=float(self.frontend_s),
            frontend_token_s=float(self.frontend_token_s),
            prefill_only=prefill_only,
        )


@dataclass(frozen=True, slots=True, eq=False)
class PoolSeries:
    """What a pool did over time, in equal bins. Arrays have shape (n_bins,).

    `batch` and `waiting` are means per replica over the bin, `kv_used_frac` and `busy_frac` likewise;
    `accelerator_power_w` is the mean per accelerator, None where the pool has no power model.
    """

    bin_width_s: float
    start_s: FloatArray
    busy_frac: FloatArray
    batch: FloatArray
    waiting: FloatArray
    kv_used_frac: FloatArray
    compute_activity_frac: FloatArray
    memory_activity_frac: FloatArray
    output_tokens_per_s: FloatArray
    prompt_tokens_per_s: FloatArray
    accelerator_power_w: FloatArray | None


@dataclass(frozen=True, slots=True, eq=False)
class ReplayResult:
    """Totals of a replay. `message` says why it ended early or what was refused; empty if all was answered."""

    n_requests: int
    n_answered: int
    n_refused: int
    n_preemptions: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    end_s: float  # when the last answer was complete
    cancelled: bool
    message: str
    ttft: LatencySketch
    itl: LatencySketch
    end_to_end: LatencySketch
    queueing: LatencySketch
    series: tuple[PoolSeries, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a replay is: the common clock [s], requests read and handed back so far."""

    clock_s: float
    n_read: int
    n_returned: int


def _refusal_text(code: int, request: np.void, pool: ReplicaPool, last_pool: ReplicaPool) -> str:
    tokens = f"{request['input_tokens']} input + {request['output_tokens']} output tokens"
    if code == EXCEEDS_CONTEXT:
        return f"{tokens} exceed the model's context of {pool.max_context_tokens:.0f}"
    if code == EXCEEDS_KV:
        return f"{tokens} exceed the {min(pool.kv_tokens, last_pool.kv_tokens):.0f} KV tokens of a replica"
    return f"refused: {pool.max_waiting:.0f} requests already wait at replica {request['replica']}"


class _Stream:
    """The requests between reading and handing back, and the running totals."""

    def __init__(self, pool: ReplicaPool, last_pool: ReplicaPool) -> None:
        self.pool, self.last_pool = pool, last_pool
        self.requests: NDArray[np.void] = np.zeros(0, dtype=REQUEST)
        self.ids: list[str] = []
        self.reasons: dict[int, str] = {}
        self.base = 0
        self.first_block = self.last_block = np.empty(0, dtype=np.int64)
        self.range_base = 0
        self.pending_s, self.pending_request = np.zeros(0), np.zeros(0, dtype=np.int64)
        self.n_pending = np.zeros(1, dtype=np.int64)
        self.sketches = [LatencySketch() for _ in range(4)]
        self.totals = dict.fromkeys(("answered", "refused", "preemptions", "input", "cached", "output"), 0)
        self.end_s = 0.0

    @property
    def n_read(self) -> int:
        return self.base + self.requests.size

    def append(self, batch: RequestBatch) -> None:
        n = len(batch.request_id)
        new = np.zeros(n, dtype=REQUEST)
        for name in [
            "arrival_s",
            "input_tokens",
            "output_tokens",
            "known_cached_tokens",
            "priority",
            "delay_s",
            "n_predecessors",
            "successor",
            "first_spawned",
            "next_spawned",
        ]:
            new[name] = getattr(batch, name)
        ends = self.range_base + self.first_block.size + np.cumsum(batch.range_count)
        new["first_range"], new["last_range"] = ends - batch.range_count, ends
        new["status"] = np.where(batch.n_predecessors > 0, WAITS_FOR_RELEASE, AHEAD)
        new["arrival_s"][batch.n_predecessors > 0] = np.nan
        for name in ("scheduled_s", "first_token_s", "last_token_s"):
            new[name] = np.nan
        for name in ("replica", "next_in_queue"):
            new[name] = NONE
        bad = np.fromiter(batch.reasons, dtype=np.int64, count=len(batch.reasons))
        new["status"][bad], new["refusal"][bad] = REFUSED, UNREADABLE
        self.reasons.update((self.n_read + row, reason) for row, reason in batch.reasons.items())
        self.requests = np.concatenate([self.requests, new])
        self.ids += batch.request_id
        self.first_block = np.concatenate([self.first_block, batch.first_block])
        self.last_block = np.concatenate([self.last_block, batch.last_block])
        room = self.requests.size
        self.pending_s = np.concatenate([self.pending_s[: self.n_pending[0]], np.zeros(room)])
        self.pending_request = np.concatenate(
            [self.pending_request[: self.n_pending[0]], np.zeros(room, dtype=np.int64)]
        )

    def window(self) -> Window:
        return Window(
            requests=self.requests,
            base=self.base,
            first_block=self.first_block,
            last_block=self.last_block,
            range_base=self.range_base,
            pending_s=self.pending_s,
            pending_request=self.pending_request,
            n_pending=self.n_pending,
            finished=np.zeros(2 * self.requests.size + 1, dtype=np.int64),
            n_finished=np.zeros(1, dtype=np.int64),
        )

    def take(self, everything: bool) -> AnsweredRows | None:
        """Cut off the leading requests that have ended (or all of them) and count them; None if there are none."""
        ended = (self.requests["status"] == DONE) | (self.requests["status"] == REFUSED)
        n = ended.size if everything or ended.all() else int(np.argmin(ended))
        if n == 0:
            return None
        # Copied, so that the window's large array is not kept alive by what is handed on.
        rows, self.requests = self.requests[:n].copy(), self.requests[n:]
        ids, self.ids = self.ids[:n], self.ids[n:]
        n_ranges = int(rows["last_range"][-1]) - self.range_base
        self.first_block, self.last_block = self.first_block[n_ranges:], self.last_block[n_ranges:]
        self.range_base += n_ranges
        reasons = {}
        for row in np.flatnonzero(rows["status"] != DONE):
            code = rows["refusal"][row]
            if code == UNREADABLE:
                reasons[int(row)] = self.reasons.pop(self.base + int(row))
            elif code == NOT_REFUSED:
                reasons[int(row)] = "not finished when the replay was cancelled"
            else:
                reasons[int(row)] = _refusal_text(code, rows[row], self.pool, self.last_pool)
        self.base += n
        done = rows["status"] == DONE
        unfinished = ~done
        rows["last_token_s"][unfinished] = np.nan
        answered = AnsweredRows(
            request_id=ids,
            queued_s=np.where(rows["refusal"] == UNREADABLE, np.nan, rows["arrival_s"]),
            scheduled_s=rows["scheduled_s"],
            first_token_s=rows["first_token_s"],
            last_token_s=rows["last_token_s"],
            input_tokens=rows["input_tokens"],
            output_tokens=rows["output_tokens"],
            cached_tokens=rows["cached_tokens"],
            replica=rows["replica"],
            n_preemptions=rows["n_preemptions"],
            reasons=reasons,
        )
        self._count(answered, done)
        return answered

    def _count(self, rows: AnsweredRows, done: NDArray[np.bool_]) -> None:
        ttft, itl, end_to_end, queueing = self.sketches
        ttft.add(rows.ttft_s[done])
        itl.add(rows.itl_s[done & (rows.output_tokens > 1)])
        end_to_end.add((rows.last_token_s - rows.queued_s)[done])
        queueing.add((rows.scheduled_s - rows.queued_s)[done])
        self.totals["answered"] += int(done.sum())
        self.totals["refused"] += int((~done).sum())
        self.totals["preemptions"] += int(rows.n_preemptions.sum())
        for name in ("input", "cached", "output"):
            self.totals[name] += int(getattr(rows, f"{name}_tokens")[done].sum())
        if done.any():
            self.end_s = max(self.end_s, float(rows.last_token_s[done].max()))


def _waiting_s(series: FloatArray, start_s: FloatArray, span_s: FloatArray) -> FloatArray:
    """Return the time that requests waited in each bin: of those before it all, of those who came in it the rest."""
    came = series[:, CAME]
    return (np.cumsum(came) - came) * span_s + came * (start_s + span_s) - series[:, CAME_AT_S]


def _pool_series(state: PoolState, pool: ReplicaPool, end_s: float) -> PoolSeries:
    width_s, origin_s = (float(value) for value in state.bins_s)
    n_bins = max(1, min(int(np.ceil((end_s - origin_s) / width_s)), state.series.shape[0]))
    start_s = origin_s + np.arange(n_bins) * width_s
    span_s = np.minimum(width_s, np.maximum(end_s - start_s, 1e-12))  # the last bin is cut at the end
    per_replica = state.series[:n_bins] / (span_s[:, None] * pool.n_replicas)
    compute, memory = per_replica[:, COMPUTE_S], per_replica[:, MEMORY_S]
    power_w = None
    if pool.power is not None:
        power_w = pool.power.power_w(per_replica[:, BUSY_S], Activity(compute_frac=compute, memory_frac=memory))
    return PoolSeries(
        bin_width_s=width_s,
        start_s=start_s,
        busy_frac=per_replica[:, BUSY_S],
        batch=per_replica[:, BATCH_S],
        waiting=_waiting_s(state.series[:n_bins], start_s - origin_s, span_s) / (span_s * pool.n_replicas),
        kv_used_frac=per_replica[:, KV_TOKEN_S] / pool.kv_tokens,
        compute_activity_frac=compute,
        memory_activity_frac=memory,
        output_tokens_per_s=per_replica[:, OUTPUT_TOKENS] * pool.n_replicas,
        prompt_tokens_per_s=per_replica[:, PROMPT_TOKENS] * pool.n_replicas,
        accelerator_power_w=power_w,
    )


def replay(
    batches: Iterable[RequestBatch],
    pool: ReplicaPool,
    *,
    decode_pool: ReplicaPool | None = None,
    transfer_s_per_token: float = 0.0,
    transfer_latency_s: float = 0.0,
    router: str = "round-robin",
    quantum_s: float = 0.1,
    prefix_block_tokens: int = PREFIX_BLOCK_TOKENS,
    on_rows: Callable[[AnsweredRows], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> ReplayResult:
    """Replay a stream of requests and return its totals; the requests themselves go to `on_rows`.

    Memory is bounded by the requests between the oldest unanswered one and the last one read. Same input, same output.

    Parameters
    ----------
    batches : iterable of RequestBatch
        In order of arrival. Read one batch ahead of the replay's clock.
    pool : ReplicaPool
        Serves whole requests, or only prompts where there is a `decode_pool`.
    decode_pool : ReplicaPool or None
        Takes over after the first token; a prompt's KV cache arrives `transfer_latency_s + input tokens ·
        transfer_s_per_token` later. The pools' `max_context_tokens` and `max_waiting` are read from the first.
    router : str
        `round-robin`, `least-loaded` or `prefix-aware`.
    quantum_s : float
        Step of the common clock on which routers see the replicas, and on which ends of turns and prompts are seen by
        what follows them. Lengthens a turn by half of itself on average.
    prefix_block_tokens : int
        Tokens of each block that the requests' block ids stand for.
    on_rows, on_progress, should_stop : callable or None
        Called between stretches of the replay.

    Raises
    ------
    ValueError
        If the router is unknown, the quantum is not positive, or a batch goes back in time.
    """
    if router not in ROUTERS:
        raise ValueError(f"router is {router!r}; must be one of {', '.join(ROUTERS)}")
    if not quantum_s > 0:
        raise ValueError(f"quantum_s is {quantum_s} s; must be greater than 0")
    last_pool = pool if decode_pool is None else decode_pool
    stream = _Stream(pool, last_pool)
    states: list[PoolState] = []
    now_s, next_row, cancelled = 0.0, 0, False
    sees_state = (ROUTERS[router] != 0 and pool.n_replicas > 1) or np.isfinite(pool.max_waiting)
    coupled = decode_pool is not None or sees_state

    def turn_back() -> bool:
        rows = stream.take(everything=False)
        if rows is not None and on_rows is not None:
            on_rows(rows)
        if on_progress is not None:
            on_progress(Progress(clock_s=min(now_s, stream.end_s), n_read=stream.n_read, n_returned=stream.base))
        return should_stop is not None and should_stop()

    def run_to(stop_s: float) -> bool:
        nonlocal now_s, next_row
        # Without feedback replicas never need to meet, so one quantum spans the whole stretch.
        step_s = quantum_s if coupled else np.inf
        while now_s < stop_s:
            now_s, next_row = run_until(
                states[0],
                states[1],
                stream.window(),
                ROUTERS[router],
                now_s,
                stop_s,
                step_s,
                max(next_row, stream.base),
                transfer_s_per_token,
                transfer_latency_s,
                QUANTA_BETWEEN_LOOKS,
            )
            if turn_back():
                return True
        return False

    last_arrival_s = -np.inf
    for batch in batches:
        if not states:
            caches = batch.range_count.sum() > 0
            origin_s = float(np.min(batch.arrival_s, initial=np.inf, where=np.isfinite(batch.arrival_s)))
            block_tokens = prefix_block_tokens if caches else 0
            states = _empty_states(
                pool, decode_pool, block_tokens, max(origin_s, 0.0) if np.isfinite(origin_s) else 0.0
            )
        coupled = coupled or batch.has_sessions
        ahead = np.flatnonzero(batch.n_predecessors == 0)
        ahead = ahead[~np.isin(ahead, list(batch.reasons))] if batch.reasons else ahead
        arrivals_s = batch.arrival_s[ahead]
        if arrivals_s.size:
            back = np.flatnonzero(np.diff(arrivals_s, prepend=last_arrival_s) < 0)
            if back.size:
                row = int(ahead[back[0]])
                raise ValueError(
                    f"request {batch.request_id[row]} arrives at {batch.arrival_s[row]} s, before the one above it;"
                    " requests must come in order of arrival"
                )
            last_arrival_s = float(arrivals_s[-1])
        stream.append(batch)
        if arrivals_s.size and run_to(last_arrival_s):
            cancelled = True
            break
    if states and not cancelled:
        cancelled = run_to(np.inf)
    return _finish(stream, states, (pool,) if decode_pool is None else (pool, decode_pool), cancelled, on_rows)


def _empty_states(
    pool: ReplicaPool, decode_pool: ReplicaPool | None, block_tokens: int, origin_s: float
) -> list[PoolState]:
    def state(p: ReplicaPool, n_replicas: int, prefill_only: bool) -> PoolState:
        return empty_pool(
            n_replicas,
            N_PRIORITIES,
            p.limits(prefill_only=prefill_only, block_tokens=block_tokens or PREFIX_BLOCK_TOKENS),
            p.step,
            n_bins=N_SERIES_BINS,
            bins_s=(FIRST_BIN_WIDTH_S, origin_s),
            caches=block_tokens > 0,
        )

    if decode_pool is None:
        return [state(pool, pool.n_replicas, False), state(pool, 0, False)]
    return [state(pool, pool.n_replicas, True), state(decode_pool, decode_pool.n_replicas, False)]


def _finish(
    stream: _Stream,
    states: list[PoolState],
    pools: tuple[ReplicaPool, ...],
    cancelled: bool,
    on_rows: Callable[[AnsweredRows], None] | None,
) -> ReplayResult:
    left = stream.take(everything=True)
    if left is not None:
        if not cancelled:
            raise RuntimeError(f"the replay ended with {len(left.request_id)} requests neither answered nor refused")
        if on_rows is not None:
            on_rows(left)
    totals = stream.totals
    message = f"{totals['refused']} of {stream.base} requests were not answered" if totals["refused"] else ""
    if cancelled:
        message = f"cancelled after {totals['answered']} answers"
    ttft, itl, end_to_end, queueing = stream.sketches
    return ReplayResult(
        n_requests=stream.base,
        n_answered=totals["answered"],
        n_refused=totals["refused"],
        n_preemptions=totals["preemptions"],
        input_tokens=totals["input"],
        cached_tokens=totals["cached"],
        output_tokens=totals["output"],
        end_s=stream.end_s,
        cancelled=cancelled,
        message=message,
        ttft=ttft,
        itl=itl,
        end_to_end=end_to_end,
        queueing=queueing,
        series=tuple(_pool_series(s, p, stream.end_s) for s, p in zip(states, pools, strict=False)),
    )
