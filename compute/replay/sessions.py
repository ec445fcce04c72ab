"""Agentic sessions as a stream: each turn waits for the last answer, tools and people; sub-agents run beside it.

A trace of sessions has columns `session`, `sub` (0 the main agent, k the sub-agent started at entry k - 1 of the
session), `turn` (the main agent's entry number), `input_tokens`, `output_tokens`, `cached_tokens` (what an endless
cache of the session would hold of the prompt), `think_s` (wait before the request), and `t_s`, `api_s` (observed start
and duration, from which the observed span of sub-agents is taken).
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import numpy as np

from compute.replay.formats import TraceSource, trace_source
from compute.replay.requests import RequestBatch
from compute.replay.state import NONE
from compute.replay.traces import ArrivalProcess, numbers, read_rows, token_counts, trace_columns

# assumed, where a trace has no observed times: how long a turn keeps its session busy, by its tokens, only to say which
# of the sessions under way ends first. Of the order of one token in 20 ms and a prompt of 10,000 tokens in 1 s.
ASSUMED_OUTPUT_TOKEN_S = 0.02
ASSUMED_INPUT_TOKEN_S = 1e-4
SESSION_BLOCK_TOKENS = 64  # granularity of cached_tokens in the public session traces
NEEDED = ("session", "turn", "think_s")
MOST_TURNS_HELD = 2_000_000  # of sessions that are replayed a fixed number at a time: all are held in memory


def has_sessions(columns: list[str]) -> bool:
    """Whether a trace with these columns is one of sessions."""
    return all(name in columns for name in NEEDED)


@dataclass(slots=True)
class _Turn:
    row: int
    session: str
    sub: int
    turn: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    think_s: float
    observed_end_s: float
    reason: str = ""
    # Links, as in RequestBatch.
    arrival_s: float = 0.0
    delay_s: float = 0.0
    n_predecessors: int = 0
    successor: int = NONE
    first_spawned: int = NONE
    next_spawned: int = NONE
    ranges: list[tuple[int, int]] = field(default_factory=list)


def _turns(trace: Path | TraceSource) -> Iterator[_Turn]:
    source = trace_source(trace)
    columns, path = source.columns, source.path
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        raise ValueError(f"{path.name} lacks the column {' and '.join(missing)}; a trace of sessions has it")
    for first_row, cells, reasons in read_rows(source, columns, None):
        n = len(cells["session"])
        prompt = token_counts("input_tokens", cells["input_tokens"], 1, reasons)
        answer = token_counts("output_tokens", cells["output_tokens"], 1, reasons)
        zero = ["0"] * n
        cached = token_counts("cached_tokens", cells.get("cached_tokens", ["-1"] * n), -1, reasons, blank=-1)
        sub = token_counts("sub", cells.get("sub", zero), 0, reasons, blank=0)
        turn = token_counts("turn", cells["turn"], 0, reasons)
        think_s = numbers([cell.strip() or "0" for cell in cells["think_s"]])
        observed_s = numbers(cells.get("t_s", zero)) + numbers(cells.get("api_s", zero))
        for i in np.flatnonzero(~(np.isfinite(think_s) & (think_s >= 0))).tolist():
            reasons.setdefault(i, f"think_s is {cells['think_s'][i]!r}; must be 0 s or more")
        for i in range(n):
            yield _Turn(
                row=first_row + i,
                session=cells["session"][i],
                sub=int(sub[i]),
                turn=int(turn[i]),
                input_tokens=int(prompt[i]),
                output_tokens=int(answer[i]),
                cached_tokens=int(cached[i]),
                think_s=float(think_s[i]),
                observed_end_s=float(np.nan_to_num(observed_s[i])),
                reason=reasons.get(i, ""),
            )


class _Blocks:
    """Gives each stream of a session ids for the blocks of its growing context."""

    def __init__(self) -> None:
        self._next_id = 0

    def extend(self, turn: _Turn, before: list[tuple[int, int]]) -> None:
        """Set the block ids of a turn: those of `before` as far as `cached_tokens` says, then new ones."""
        kept_blocks = turn.cached_tokens // SESSION_BLOCK_TOKENS if turn.cached_tokens >= 0 else 1 << 60
        wanted = (turn.input_tokens + turn.output_tokens) // SESSION_BLOCK_TOKENS
        left = min(kept_blocks, turn.input_tokens // SESSION_BLOCK_TOKENS)
        ranges: list[tuple[int, int]] = []
        for first, last in before:
            if left <= 0:
                break
            last = min(last, first + left - 1)
            ranges.append((first, last))
            left -= last - first + 1
            wanted -= last - first + 1
        if wanted > 0:
            ranges.append((self._next_id, self._next_id + wanted - 1))
            self._next_id += wanted
        turn.ranges = ranges


def _link(turns: list[_Turn], blocks: _Blocks) -> tuple[list[_Turn], _Turn | None]:
    """Link the good turns of one session; returns those that start it, and its last main turn."""
    streams: dict[int, list[_Turn]] = {}
    for turn in turns:
        if not turn.reason:
            streams.setdefault(turn.sub, []).append(turn)
    main = sorted(streams.pop(0, []), key=lambda t: t.turn)
    roots = main[:1]
    for before, after in zip(main, main[1:], strict=False):
        before.successor, after.delay_s = after.row, after.think_s
        after.n_predecessors = 1
    content: list[tuple[int, int]] = []
    for turn in main:
        blocks.extend(turn, content)
        content = turn.ranges
    for number, sub in sorted(streams.items()):
        sub.sort(key=lambda t: t.turn)
        for before, after in zip(sub, sub[1:], strict=False):
            before.successor, after.delay_s = after.row, after.think_s
            after.n_predecessors = 1
        parent = next((t for t in reversed(main) if t.turn < number), None)
        content = parent.ranges if parent is not None and sub[0].cached_tokens > 0 else []
        for turn in sub:
            blocks.extend(turn, content)
            content = turn.ranges
        if parent is None:
            roots.append(sub[0])
            continue
        sub[0].delay_s, sub[0].n_predecessors = sub[0].think_s, 1
        sub[0].next_spawned, parent.first_spawned = parent.first_spawned, sub[0].row
        if parent.successor != NONE:
            # The main agent's next turn waits for the sub-agents; its observed wait includes their time.
            follower = next(t for t in main if t.row == parent.successor)
            sub[-1].successor = follower.row
            follower.n_predecessors += 1
            follower.delay_s = min(follower.delay_s, max(0.0, follower.think_s - sub[-1].observed_end_s))
    return roots, main[-1] if main else None


def _batch(turns: list[_Turn], first_row: int) -> RequestBatch:
    def integers(name: str) -> np.ndarray:
        return np.array([getattr(t, name) for t in turns], dtype=np.int64)

    ranges = [pair for t in turns for pair in t.ranges]
    return RequestBatch(
        request_id=[f"{t.session}/{t.sub}/{t.turn}" for t in turns],
        arrival_s=np.array([t.arrival_s for t in turns]),
        input_tokens=integers("input_tokens"),
        output_tokens=integers("output_tokens"),
        known_cached_tokens=np.zeros(len(turns), dtype=np.int64),
        priority=np.zeros(len(turns), dtype=np.int64),
        range_count=np.array([len(t.ranges) for t in turns], dtype=np.int64),
        first_block=np.array([a for a, _ in ranges], dtype=np.int64),
        last_block=np.array([b for _, b in ranges], dtype=np.int64),
        delay_s=np.array([t.delay_s for t in turns]),
        n_predecessors=integers("n_predecessors"),
        successor=integers("successor"),
        first_spawned=integers("first_spawned"),
        next_spawned=integers("next_spawned"),
        reasons={t.row - first_row: t.reason for t in turns if t.reason},
    )


def _sessions(trace: Path | TraceSource, limit: int | None) -> Iterator[list[_Turn]]:
    for i, (_, turns) in enumerate(groupby(_turns(trace), key=lambda t: t.session)):
        if limit is not None and i >= limit:
            return
        yield list(turns)


def read_open_sessions(
    trace: Path | TraceSource, arrivals: ArrivalProcess, *, seed: int = 0, limit: int | None = None
) -> Iterator[RequestBatch]:
    """Yield sessions, one a batch, whose starts follow an arrival process.

    Parameters
    ----------
    trace : Path or TraceSource
        Of sessions; the rows of a session must adjoin.
    arrivals : ArrivalProcess
        Starts of sessions.
    seed : int
        Of the starts.
    limit : int, optional
        Sessions at most.
    """
    following = arrivals.times(np.random.default_rng(seed))
    blocks = _Blocks()
    for turns in _sessions(trace, limit):
        start_s = float(following(1)[0])
        for root in _link(turns, blocks)[0]:
            root.arrival_s = start_s
        yield _batch(turns, turns[0].row)


def read_closed_sessions(
    trace: Path | TraceSource, concurrency: int, *, limit: int | None = None
) -> Iterator[RequestBatch]:
    """Yield all sessions of a trace as one batch, of which a fixed number run at a time: a closed network.

    Each next session is put behind the one that ended first when the trace was taken, or, in a trace without times,
    that has least to do.

    Parameters
    ----------
    trace : Path or TraceSource
        Of sessions; the rows of a session must adjoin.
    concurrency : int
        Sessions that run at a time.
    limit : int, optional
        Sessions at most.

    Raises
    ------
    ValueError
        If `concurrency` is below 1, or there are more turns than are held at once.
    """
    if concurrency < 1:
        raise ValueError(f"the number of concurrent sessions is {concurrency}; must be 1 or more")
    is_timed = {"t_s", "api_s"} <= set(trace_columns(trace))
    blocks = _Blocks()
    everything: list[_Turn] = []
    lanes: list[tuple[float, int, _Turn | None]] = [(0.0, lane, None) for lane in range(concurrency)]
    for turns in _sessions(trace, limit):
        everything += turns
        if len(everything) > MOST_TURNS_HELD:
            raise ValueError(
                f"{trace_source(trace).path.name} has more than {MOST_TURNS_HELD} turns; start its sessions at a rate"
                " instead of a fixed number at a time, or limit the number of sessions"
            )
        roots, last = _link(turns, blocks)
        if not roots:
            continue
        busy_s, lane, before = heapq.heappop(lanes)
        span_s = max(turn.observed_end_s for turn in turns) if is_timed else _expected_s(turns)
        heapq.heappush(lanes, (busy_s + span_s, lane, last or before))
        if before is not None:
            before.successor, roots[0].n_predecessors = roots[0].row, 1
            for root in roots[1:]:
                root.n_predecessors, root.next_spawned = 1, before.first_spawned
                before.first_spawned = root.row
    if everything:
        yield _batch(everything, 0)


def _expected_s(turns: list[_Turn]) -> float:
    """Return how long a session without observed times is taken to last [s]."""
    answering = sum(
        ASSUMED_OUTPUT_TOKEN_S * t.output_tokens + ASSUMED_INPUT_TOKEN_S * (t.input_tokens - max(t.cached_tokens, 0))
        for t in turns
    )
    return answering + sum(t.think_s for t in turns if not t.reason)
