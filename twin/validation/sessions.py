"""Agentic sessions: the closed form against a replay of recorded ones, with the same step times and memory."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from compute.replay.formats import open_text
from compute.replay.requests import AnsweredRows
from compute.replay.run import replay
from compute.replay.sessions import SESSION_BLOCK_TOKENS, read_open_sessions
from compute.replay.traces import ArrivalProcess, numbers
from compute.steady.open_loop import open_arrivals
from compute.workload import N_PAUSES, Sessions, Workload
from facility.catalogue import entry_named
from twin.core.serving.replicas import ReplicaOptions, replica_pool_for
from twin.validation.agreement import NO_TARGETS, fitted_load_line
from twin.validation.check import Check, at_most, skipped

GROUP = "replay"
RECORDED = "weka_claude_code_sessions.csv.gz"
# Models that take recorded contexts of up to 900,000 tokens, with more and with less memory for them.
DEPLOYMENTS = (("llama-4-maverick-17b-128e-instruct", 8), ("llama-4-scout-17b-16e-instruct", 4))
ACCELERATOR, PRECISION, ENGINE, SEATS = "h200-sxm", "fp8", "vllm", 256
LOADS = (0.25, 0.6)  # of the rate at which memory for paused sessions runs out
WINDOW = (0.3, 0.95)  # of the time in which sessions start: before it the machine fills, after it it empties
# The closed form knows means and spreads of requests; recorded sessions differ from each other in all of them at once.
REACH_FOUND, REACH_ITL, REACH_IN_SERVICE = 0.01, 0.12, 0.1


def checks(data: Path) -> Iterator[Check]:
    """Yield the checks, or that the recorded sessions are missing under `data`."""
    path = data / "traces" / RECORDED
    if not path.is_file():
        yield skipped("sessions, closed form against replay", GROUP, [path])
        return
    workload, n_sessions = recorded_workload(path)
    for model, ranks in DEPLOYMENTS:
        errors = np.array([_errors(path, workload, n_sessions, model, ranks, load) for load in LOADS])
        worst = np.abs(errors).max(axis=0)
        note = f"{n_sessions} recorded sessions at {LOADS[0]:.0%} and {LOADS[1]:.0%} of capacity; worst stated"
        name = f"{model} on {ranks} {ACCELERATOR}"
        yield at_most(f"sessions, prompt found cached, {name}", GROUP, len(LOADS), worst[0], REACH_FOUND, "share", note)
        yield at_most(f"sessions, mean ITL, {name}", GROUP, len(LOADS), worst[1], REACH_ITL, "relative", note)
        yield at_most(
            f"sessions, requests in service, {name}", GROUP, len(LOADS), worst[2], REACH_IN_SERVICE, "relative", note
        )


def recorded_workload(path: Path) -> tuple[Workload, int]:
    """Return what the recorded sessions ask for on average, and how many there are."""
    with open_text(path) as file:
        rows = list(csv.DictReader(file))
    n_in, n_out, cached, pause_s = (
        numbers([row[name] for row in rows]) for name in ("input_tokens", "output_tokens", "cached_tokens", "think_s")
    )
    streams = [(row["session"], row["sub"]) for row in rows]
    follows = np.array([False, *(stream == before for before, stream in zip(streams, streams[1:], strict=False))])
    n_sessions = len({session for session, _ in streams})
    pauses = np.quantile(np.nan_to_num(pause_s[follows]), (np.arange(N_PAUSES) + 0.5) / N_PAUSES)
    workload = Workload(
        input_tokens=float(n_in.mean()),
        output_tokens=float(n_out.mean()),
        cached_frac=float(cached.sum() / n_in.sum()),
        input_variation=float(n_in.std() / n_in.mean()),
        output_variation=float(n_out.std() / n_out.mean()),
        sessions=Sessions(requests=len(rows) / n_sessions, pause_s=tuple(pauses.tolist())),
    )
    return workload, n_sessions


def _errors(
    path: Path, workload: Workload, n_sessions: int, model: str, ranks: int, load: float
) -> tuple[float, float, float]:
    """Return how far the closed form is off in the share found cached, ITL and requests in service."""
    options = ReplicaOptions(
        precision=PRECISION,
        engine=ENGINE,
        kv_precision="fp8",
        tensor_parallel=ranks,
        seats=SEATS,
        token_budget=8192,
        memory_frac=0.95,
    )
    pool = replica_pool_for(entry_named("accelerators", ACCELERATOR), entry_named("models", model), options)
    limit = min(float(SEATS), pool.kv_tokens / (workload.input_tokens + workload.output_tokens / 2.0))
    line = fitted_load_line(ACCELERATOR, model, ranks, PRECISION, ENGINE, workload, limit)
    starts_per_s = load * float(line.requests_per_s[0, -1]) / workload.sessions.requests
    returned: list[AnsweredRows] = []
    replay(
        read_open_sessions(path, ArrivalProcess.steady(starts_per_s), seed=1),
        pool,
        prefix_block_tokens=SESSION_BLOCK_TOKENS,
        on_rows=returned.append,
    )
    queued_s, last_s, itl_s, n_in, n_cached = (
        np.concatenate([getattr(rows, name) for rows in returned])
        for name in ("queued_s", "last_token_s", "itl_s", "input_tokens", "cached_tokens")
    )
    first_s, end_s = (share * n_sessions / starts_per_s for share in WINDOW)
    inside = (queued_s > first_s) & (queued_s < end_s) & np.isfinite(last_s)
    rate = inside.sum() / (end_s - first_s)
    closed = open_arrivals(line, np.array([[rate]]), workload, NO_TARGETS)
    in_service = (last_s - queued_s)[inside].sum() / (end_s - first_s)
    return (
        float(closed.cached_frac[0, 0] - n_cached[inside].sum() / n_in[inside].sum()),
        float(closed.itl_mean_s[0, 0] / np.nanmean(itl_s[inside]) - 1.0),
        float(closed.in_service[0, 0] / in_service - 1.0),
    )
