"""What a trace asks for on average: lengths, their spread, arrivals and what a prefix cache would find."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from compute.replay.formats import TraceSource
from compute.replay.requests import RequestBatch
from compute.replay.sessions import has_sessions, read_closed_sessions
from compute.replay.traces import ArrivalProcess, read_trace
from compute.workload import Workload

COUNTED_S = 60.0  # windows in which arrivals are counted for their dispersion
LEAST_WINDOWS = 5


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """Means and percentiles of a trace's requests."""

    requests: int
    refused: int  # rows that make no sense
    input_tokens: float
    input_p95_tokens: float
    input_most_tokens: float
    input_variation: float
    output_tokens: float
    output_p95_tokens: float
    output_most_tokens: float
    output_variation: float
    span_s: float | None  # None where the trace has no times
    requests_per_s: float | None
    dispersion: float | None  # variance over mean of arrivals a minute

    def workload(self) -> Workload:
        """Return the requests as the closed form takes them; what a cache would find is not counted."""
        return Workload(
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            input_variation=self.input_variation,
            output_variation=self.output_variation,
            most_input_tokens=self.input_most_tokens,
            most_output_tokens=self.output_most_tokens,
            dispersion=max(1.0, self.dispersion or 1.0),
        )


def trace_summary(source: TraceSource, *, most_requests: int | None = None) -> TraceSummary:
    """Return what a trace asks for.

    Parameters
    ----------
    source : TraceSource
        An opened trace.
    most_requests : int, optional
        Requests to read at most; all where omitted.

    Raises
    ------
    ValueError
        If no request of it can be read.
    """
    is_timed = not has_sessions(source.columns) and "arrival_s" in source.columns
    batches: Iterable[RequestBatch]
    if has_sessions(source.columns):
        batches = read_closed_sessions(source, source.sessions or 1)
    else:
        batches = read_trace(source, arrivals=None if is_timed else ArrivalProcess.steady(1.0), limit=most_requests)
    prompts, answers, times, refused = [], [], [], 0
    for batch in batches:
        good = np.ones(batch.input_tokens.size, dtype=bool)
        good[list(batch.reasons)] = False
        refused += int((~good).sum())
        prompts.append(batch.input_tokens[good])
        answers.append(batch.output_tokens[good])
        times.append(batch.arrival_s[good])
    prompt, answer = (np.concatenate(values) if values else np.empty(0) for values in (prompts, answers))
    if not prompt.size:
        raise ValueError(f"{source.path.name} has no request that can be read; {refused} rows make no sense")
    span_s, rate, dispersion = _arrivals(np.concatenate(times)) if is_timed else (None, None, None)
    return TraceSummary(
        requests=int(prompt.size),
        refused=refused,
        input_tokens=float(prompt.mean()),
        input_p95_tokens=float(np.percentile(prompt, 95)),
        input_most_tokens=float(prompt.max()),
        input_variation=float(prompt.std() / prompt.mean()),
        output_tokens=float(answer.mean()),
        output_p95_tokens=float(np.percentile(answer, 95)),
        output_most_tokens=float(answer.max()),
        output_variation=float(answer.std() / answer.mean()),
        span_s=span_s,
        requests_per_s=rate,
        dispersion=dispersion,
    )


def _arrivals(times_s: np.ndarray) -> tuple[float | None, float | None, float | None]:
    """Return span, rate and dispersion of arrivals; None where they all come at once or are too few."""
    span_s = float(times_s.max() - times_s.min())
    if span_s <= 0:
        return None, None, None
    counts, _ = np.histogram(times_s, bins=max(1, int(span_s // COUNTED_S)))
    dispersion = float(counts.var() / counts.mean()) if counts.size >= LEAST_WINDOWS else None
    return span_s, times_s.size / span_s, dispersion
