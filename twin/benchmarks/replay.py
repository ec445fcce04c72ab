"""Requests replayed per CPU second, on many replicas and on one, and the memory that a long stream needs.

Requests have the lengths and the burstiness of Azure's 2023 conversation trace as the data's README gives them; each
size runs in a process of its own: `python -m twin.benchmarks.replay 256 1000000`.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from compute.replay.run import replay
from compute.replay.traces import ArrivalProcess, LengthDistribution, synthetic_requests
from facility.catalogue import entry_named
from twin.benchmarks.measure import Benchmark, cpu_seconds, peak_bytes
from twin.core.serving.replicas import ReplicaOptions, replica_pool_for

REPOSITORY = Path(__file__).resolve().parents[2]
REACH_MANY_PER_S = 300_000.0
REACH_ONE_PER_S = 20_000.0
# Azure conversations 2023: 1,155 input tokens on average, 4,083 at the 95th percentile, 14,050 at most; 211, 451 and
# 1,000 output tokens; gaps between arrivals vary by 1.09 of their mean; 5.53 requests/s.
INPUT = LengthDistribution(1155.0, 4083.0, 14050.0)
OUTPUT = LengthDistribution(211.0, 451.0, 1000.0)
GAP_CV = 1.09
RATE_PER_S = 5.53


def benchmarks() -> Iterator[Benchmark]:
    """Yield the rows of the replay."""
    for name, n_replicas, n_requests, router, reach in (
        ("replay, many replicas", 256, 1_000_000, "round-robin", REACH_MANY_PER_S),
        ("replay, many replicas, least loaded", 256, 1_000_000, "least-loaded", None),
        ("replay, one replica", 1, 200_000, "round-robin", REACH_ONE_PER_S),
    ):
        measured = _in_own_process(n_replicas, n_requests, router)
        yield Benchmark(
            name,
            measured["size"],
            n_requests / measured["cpu_s"],
            "requests per CPU s",
            reach,
            higher_is_better=True,
            cpu_s=measured["cpu_s"],
            peak_bytes=measured["peak_bytes"],
            note=measured["note"],
        )
    # Ten times the requests must not need more memory.
    long = _in_own_process(256, 10_000_000, "round-robin")
    short = _in_own_process(256, 1_000_000, "round-robin")
    yield Benchmark(
        "replay, memory of ten million requests",
        long["size"],
        long["peak_bytes"] / short["peak_bytes"],
        "x of one million",
        1.1,
        higher_is_better=False,
        cpu_s=long["cpu_s"],
        peak_bytes=long["peak_bytes"],
        note=f"{long['peak_bytes'] / 1e6:.0f} MB",
    )


def _in_own_process(n_replicas: int, n_requests: int, router: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", "twin.benchmarks.replay", str(n_replicas), str(n_requests), router],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _measure(n_replicas: int, n_requests: int, router: str) -> dict:
    pool = replica_pool_for(
        entry_named("accelerators", "h100-sxm"),
        entry_named("models", "llama-3.1-8b"),
        ReplicaOptions(precision="bf16", replicas=n_replicas),
    )
    arrivals = ArrivalProcess.steady(RATE_PER_S * n_replicas, GAP_CV)

    def stream(n: int):
        return synthetic_requests(n, arrivals, INPUT, OUTPUT, seed=1)

    replay(stream(100), pool, router=router)  # compile, or load what was compiled before
    # Drawing the requests is not replaying them.
    drawing_s = cpu_seconds(lambda: [batch.arrival_s.size for batch in stream(n_requests)])
    results = []
    total_s = cpu_seconds(lambda: results.append(replay(stream(n_requests), pool, router=router)))
    result = results[0]
    return {
        "size": f"{n_requests:,} requests, {n_replicas} replicas of Llama-3.1-8B",
        "cpu_s": total_s - drawing_s,
        "peak_bytes": peak_bytes(),
        "note": f"{result.output_tokens / 1e6:,.0f} M tokens, {result.end_s * n_replicas / 3600:,.0f} replica hours",
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_measure(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])) + "\n")
