"""Streams of requests: read from CSV traces, or drawn from length distributions and arrival processes.

A trace has a row per request, in the product's columns or in a format of `compute.replay.formats`. `input_tokens` and
`output_tokens` are needed; the rest is used where it is there: `arrival_s`, `request_id`, `run`, `priority`,
`hash_ranges_512` (ids of the prompt's 512-token blocks, "3 7-9"), `cached_tokens_inf` or `cached_tokens`. Rows that
make no sense come through with a reason, so that the others can be answered. Agentic sessions are read by
`compute.replay.sessions`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compute.bounded_text import MOST_ROW_CHARS
from compute.replay.formats import TraceSource, trace_source
from compute.replay.requests import N_PRIORITIES, RequestBatch, request_batch

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

ROWS_PER_BATCH = 25_000  # larger ones leave larger holes in the allocator: memory would grow with the stream
MOST_TOKENS = 1e9  # beyond any context; keeps sums far from the limits of 64-bit integers
SECONDS_PER_DAY = 86_400.0
LARGE_PRIME = 2**62 - 57
NORMAL_P95 = 1.6448536269514722  # 95th percentile of the standard normal distribution


def trace_columns(trace: Path | TraceSource) -> list[str]:
    """Return the columns of a trace, by the product's names.

    Raises
    ------
    ValueError
        As `compute.replay.formats.trace_source`.
    """
    return trace_source(trace).columns


def trace_runs(trace: Path | TraceSource) -> list[str]:
    """Return the values of a trace's `run` column in order of appearance; empty if it has none."""
    source = trace_source(trace)
    if "run" not in source.columns:
        return []
    index = source.columns.index("run")
    return list(dict.fromkeys(row[index] for row in source.rows() if len(row) > index))


@dataclass(frozen=True, slots=True, eq=False)
class ArrivalProcess:
    """Arrivals whose gaps, measured in expected requests, are gamma-distributed.

    Attributes
    ----------
    rate_per_s : ndarray, shape (24,)
        Expected arrivals by hour of the day [1/s].
    gap_cv : float
        Coefficient of variation of the gaps: 1 for Poisson arrivals, more for bursts [-].
    """

    rate_per_s: FloatArray
    gap_cv: float = 1.0

    def __post_init__(self) -> None:
        if self.rate_per_s.shape != (24,):
            raise ValueError(f"ArrivalProcess.rate_per_s has shape {self.rate_per_s.shape}; must be (24,), one an hour")
        if not (np.all(self.rate_per_s >= 0) and 0 < self.rate_per_s.sum() < np.inf):
            raise ValueError("ArrivalProcess.rate_per_s must be 0 or more in every hour and more in at least one")
        if not 0 < self.gap_cv <= 100:
            raise ValueError(f"ArrivalProcess.gap_cv is {self.gap_cv}; must be above 0 and at most 100")

    @classmethod
    def steady(cls, rate_per_s: float, gap_cv: float = 1.0) -> "ArrivalProcess":
        """Return arrivals at the same rate in every hour."""
        if not 0 < rate_per_s < np.inf:
            raise ValueError(f"arrival rate is {rate_per_s} requests/s; must be greater than 0")
        return cls(np.full(24, float(rate_per_s)), gap_cv)

    def times(self, rng: np.random.Generator) -> Callable[[int], FloatArray]:
        """Return a function that gives the next `n` arrival times [s]."""
        shape = 1 / self.gap_cv**2
        expected = np.concatenate([[0.0], np.cumsum(self.rate_per_s * 3600.0)])
        passed = 0.0

        def following(n: int) -> FloatArray:
            nonlocal passed
            at = passed + np.cumsum(rng.gamma(shape, 1 / shape, n))
            passed = float(at[-1]) if n else passed
            days, within = np.divmod(at, expected[-1])
            return days * SECONDS_PER_DAY + np.interp(within, expected, np.arange(25) * 3600.0)

        return following


@dataclass(frozen=True, slots=True)
class LengthDistribution:
    """Log-normal token counts given by mean and 95th percentile, cut at 1 and `most`."""

    mean: float
    p95: float
    most: float

    def __post_init__(self) -> None:
        if not 1 <= self.mean <= self.p95 <= self.most:
            raise ValueError(
                f"LengthDistribution has mean {self.mean}, p95 {self.p95}, most {self.most} tokens;"
                " they must rise from 1 in that order"
            )

    def draw(self, rng: np.random.Generator, n: int) -> IntArray:
        """Return `n` token counts."""
        # ln p95 - ln mean = z s - s²/2 is solved for s; a p95 above 3.87 means has no solution and takes the widest.
        sigma = NORMAL_P95 - np.sqrt(max(NORMAL_P95**2 - 2 * np.log(self.p95 / self.mean), 0.0))
        values = rng.lognormal(np.log(self.mean) - sigma**2 / 2, sigma, n)
        return np.clip(np.rint(values), 1, self.most).astype(np.int64)


def synthetic_requests(
    n_requests: int,
    arrivals: ArrivalProcess,
    input_tokens: LengthDistribution,
    output_tokens: LengthDistribution,
    *,
    seed: int,
    cached_frac: float = 0.0,
    until_s: float = np.inf,
) -> Iterator[RequestBatch]:
    """Yield batches of drawn requests; the same seed gives the same stream.

    Input and output lengths are independent, as they nearly are in the public traces (correlation of logarithms 0.09 on
    Azure's conversations, 0.00 on its code, 0.05 on Mooncake's).

    Parameters
    ----------
    n_requests : int
        Requests in all, or fewer if `until_s` comes first.
    arrivals : ArrivalProcess
        When they arrive.
    input_tokens, output_tokens : LengthDistribution
        Lengths of prompts and answers [tokens].
    seed : int
        Of all draws.
    cached_frac : float
        Share of each prompt that is in the prefix cache already [-].
    until_s : float
        End of arrivals [s].
    """
    if not 0 <= cached_frac <= 1:
        raise ValueError(f"cached_frac is {cached_frac}; must be between 0 and 1")
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3)]
    following = arrivals.times(streams[0])
    for first_row in range(0, n_requests, ROWS_PER_BATCH):
        n = min(ROWS_PER_BATCH, n_requests - first_row)
        arrival_s = following(n)
        prompt = input_tokens.draw(streams[1], n)
        answer = output_tokens.draw(streams[2], n)
        inside = arrival_s < until_s
        yield request_batch(
            arrival_s[inside],
            prompt[inside],
            answer[inside],
            known_cached_tokens=(cached_frac * prompt[inside]).astype(np.int64),
            first_row=first_row,
        )
        if not inside.all():
            return


def numbers(cells: Sequence[str]) -> FloatArray:
    """Return cells as numbers, NaN where a cell is none."""
    try:
        return np.array(cells, dtype=np.str_).astype(np.float64) if len(cells) else np.empty(0)
    except ValueError:
        values = np.full(len(cells), np.nan)
        for i, cell in enumerate(cells):
            try:
                values[i] = float(cell)
            except ValueError:
                continue
        return values


def token_counts(
    name: str, cells: Sequence[str], least: int, reasons: dict[int, str], *, blank: int | None = None
) -> IntArray:
    """Return cells as whole token counts of at least `least`; a reason is entered for each that is not.

    A blank cell means `blank`, where one is given.
    """
    if blank is not None:
        cells = [cell.strip() or str(blank) for cell in cells]
    values = numbers(cells)
    with np.errstate(invalid="ignore"):
        good = (values >= least) & (values <= MOST_TOKENS) & (values == np.rint(values))
    for row in np.flatnonzero(~good).tolist():
        reasons.setdefault(row, f"{name} is {cells[row]!r}; must be a whole number, {least} or more")
    return np.where(good, values, max(least, 1)).astype(np.int64)


def parse_ranges(cells: Sequence[str], reasons: dict[int, str]) -> tuple[IntArray, IntArray, IntArray]:
    """Return `range_count, first, last` of cells such as "0 14-27"; a reason is entered for each that is not."""
    count = np.zeros(len(cells), dtype=np.int64)
    first: list[int] = []
    last: list[int] = []
    for row, cell in enumerate(cells):
        pairs = []
        try:
            for part in cell.split():
                a, _, b = part.partition("-")
                pairs.append((_folded(int(a)), _folded(int(b or a))))
            if any(a > b for a, b in pairs):
                raise ValueError("a range runs backwards")
        except ValueError:
            reasons.setdefault(row, f"hash_ranges_512 is {cell!r}; must be block ids such as '3 7-9'")
            continue
        count[row] = len(pairs)
        first += [a for a, _ in pairs]
        last += [b for _, b in pairs]
    return count, np.array(first, dtype=np.int64), np.array(last, dtype=np.int64)


def _folded(block: int) -> int:
    """Return an id of up to 64 bits as one that the replay holds; ids a multiple of a large prime apart collide."""
    if not 0 <= block < 2**64:
        raise ValueError("a block id has at most 64 bits")
    return block % LARGE_PRIME


def read_rows(
    trace: Path | TraceSource, columns: list[str], run: str | None
) -> Iterator[tuple[int, dict[str, Sequence[str]], dict[int, str]]]:
    """Yield `first_row, cells by column, reasons` for batches of a trace's rows; short or long rows get a reason."""
    kept: Iterator[list[str]] = trace_source(trace).rows()
    if run is not None:
        index = columns.index("run")
        kept = (row for row in kept if len(row) > index and row[index] == run)
    first_row = 0
    while batch := _next_rows(kept):
        reasons: dict[int, str] = {}
        for i, row in enumerate(batch):
            if len(row) != len(columns):
                reasons[i] = f"the row has {len(row)} cells; the header has {len(columns)}"
                batch[i] = (row + [""] * len(columns))[: len(columns)]
        yield first_row, dict(zip(columns, zip(*batch, strict=True), strict=True)), reasons
        first_row += len(batch)


def _next_rows(rows: Iterator[list[str]]) -> list[list[str]]:
    """Return the next rows of a batch: as many as it may have, fewer where they are longer than rows of traces are."""
    batch, n_chars = [], 0
    for row in islice(rows, ROWS_PER_BATCH):
        batch.append(row)
        n_chars += sum(map(len, row))
        if n_chars > MOST_ROW_CHARS:
            break
    return batch


def read_trace(
    trace: Path | TraceSource,
    *,
    run: str | None = None,
    arrivals: ArrivalProcess | None = None,
    seed: int = 0,
    rate_factor: float = 1.0,
    limit: int | None = None,
) -> Iterator[RequestBatch]:
    """Yield the requests of a trace in batches, in order of arrival.

    Rows may stand in any order within a batch of 25,000; a row that arrives before an earlier batch's last one cannot
    be placed any more and comes through with a reason.

    Parameters
    ----------
    trace : Path or TraceSource
    run : str or None
        Only rows with this value in the column `run`.
    arrivals : ArrivalProcess or None
        Replaces the trace's own arrival times; needed where it has none.
    seed : int
        Of the replaced arrivals.
    rate_factor : float
        The trace's own arrivals are brought closer together by this factor.
    limit : int or None
        Read only so many rows.

    Raises
    ------
    ValueError
        If a needed column is missing, or there are no arrival times from either side.
    """
    source = trace_source(trace)
    columns, path = source.columns, source.path
    if arrivals is None and "arrival_s" not in columns:
        raise ValueError(f"{path.name} lacks the column arrival_s; give an arrival rate instead")
    if not 0 < rate_factor < np.inf:
        raise ValueError(f"rate_factor is {rate_factor}; must be greater than 0")
    if run is not None and "run" not in columns:
        raise ValueError(f"{path.name} has no column run to look for {run!r} in")
    following = None if arrivals is None else arrivals.times(np.random.default_rng(seed))
    last_s = -np.inf
    for first_row, cells, reasons in read_rows(source, columns, run):
        n = len(cells["input_tokens"])
        if limit is not None:
            n = min(n, limit - first_row)
            if n <= 0:
                return
            cells = {name: column[:n] for name, column in cells.items()}
            reasons = {row: reason for row, reason in reasons.items() if row < n}
        prompt = token_counts("input_tokens", cells["input_tokens"], 1, reasons)
        answer = token_counts("output_tokens", cells["output_tokens"], 1, reasons)
        if following is not None:
            arrival_s = following(n)
        else:
            arrival_s = _arrivals(cells["arrival_s"], rate_factor, last_s, reasons)
        cached = np.zeros(n, dtype=np.int64)
        ranges = None
        if "hash_ranges_512" in cells:
            ranges = parse_ranges(cells["hash_ranges_512"], reasons)
        else:
            for name in ("cached_tokens", "cached_tokens_inf"):
                if name in cells:
                    cached = token_counts(name, cells[name], 0, reasons, blank=0)
        priority = np.zeros(n, dtype=np.int64)
        if "priority" in cells:
            priority = _priorities(cells["priority"], reasons)
        good = np.ones(n, dtype=bool)
        good[list(reasons)] = False
        if good.any():
            last_s = max(last_s, float(arrival_s[good].max()))
        arrival_s = np.where(good, arrival_s, np.inf)  # rows without a time come after those that have one
        order = np.argsort(arrival_s, kind="stable")
        new_row = np.empty(n, dtype=np.int64)
        new_row[order] = np.arange(n)
        names = cells.get("request_id") or [str(first_row + i) for i in range(n)]
        yield request_batch(
            arrival_s[order],
            prompt[order],
            answer[order],
            request_id=[names[i] for i in order],
            known_cached_tokens=cached[order],
            priority=priority[order],
            ranges=None if ranges is None else _reordered(ranges, order),
            reasons={int(new_row[row]): reason for row, reason in reasons.items()},
        )


def _arrivals(cells: Sequence[str], rate_factor: float, last_s: float, reasons: dict[int, str]) -> FloatArray:
    arrival_s = numbers(cells) / rate_factor
    good = np.isfinite(arrival_s) & (arrival_s >= 0)
    for row in np.flatnonzero(~good).tolist():
        reasons.setdefault(row, f"arrival_s is {cells[row]!r}; must be a time of 0 s or more")
    for row in np.flatnonzero(good & (arrival_s < last_s)).tolist():
        reasons.setdefault(
            row,
            f"arrives at {arrival_s[row]:g} s, more than {ROWS_PER_BATCH} rows after a request of {last_s:g} s;"
            " sort the trace by arrival_s",
        )
    return arrival_s


def _priorities(cells: Sequence[str], reasons: dict[int, str]) -> IntArray:
    values = numbers([cell.strip() or "0" for cell in cells])
    good = np.isin(values, np.arange(N_PRIORITIES))
    for row in np.flatnonzero(~good).tolist():
        reasons.setdefault(row, f"priority is {cells[row]!r}; must be a whole number from 0 to {N_PRIORITIES - 1}")
    return np.where(good, values, 0).astype(np.int64)


def _reordered(ranges: tuple[IntArray, IntArray, IntArray], order: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    count, first, last = ranges
    start = np.cumsum(count) - count
    pick = np.concatenate([np.arange(start[i], start[i] + count[i]) for i in order]) if first.size else first
    return count[order], first[pick], last[pick]
