"""The request-level replay against measured runs of a real engine."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from compute.replay.formats import open_text
from compute.replay.run import replay
from compute.replay.traces import numbers, read_trace
from facility.catalogue import entry_named
from twin.core.serving.replicas import ReplicaOptions, replica_pool_for
from twin.validation.check import Check, at_most, skipped

GROUP = "replay"
REACH_TTFT = 0.20
REACH_ITL = 0.08
MEASURED = "vllm_real_requests.csv.gz"
# How the public runs were set up, where it is not one accelerator with the engine's defaults: their own records
# (github casys-kaist/LLMServingSim bench/examples @5daddb21: meta.json and README). KV tokens as the engine logged.
SET_UPS: dict[str, dict[str, Any]] = {
    "RTXPRO6000/Qwen3-32B": {"tensor_parallel": 2},
    "RTX4090/Llama-3.1-8B": {"seats": 256, "kv_tokens": 41_408},
    "RTXPRO6000/Qwen3-30B-A3B-Instruct-2507": {"attention_data_parallel": 2},
}


def checks(data: Path) -> Iterator[Check]:
    """Yield the checks whose files exist under `data`."""
    path = data / "traces" / MEASURED
    if path.is_file():
        yield from _measured_runs(path)
    else:
        yield skipped("mean TTFT of measured vLLM runs", GROUP, [path])
        yield skipped("mean ITL of measured vLLM runs", GROUP, [path])


def _measured_runs(path: Path) -> Iterator[Check]:
    """Replay each run's arrivals and lengths, and compare means over its requests; nothing is fitted to the runs."""
    for run, (ttft_s, itl_s, n) in _measured_means(path).items():
        accelerator, _, model = run.partition("/")
        try:
            entry = entry_named("accelerators", accelerator)
            options = ReplicaOptions(precision="bf16", **SET_UPS.get(run, {}))
            pool = replica_pool_for(entry, entry_named("models", model), options)
        except ValueError as error:
            yield Check(f"mean TTFT, {run}", GROUP, 0, None, None, "", "skipped", str(error))
            continue
        result = replay(read_trace(path, run=run), pool)
        ours_ttft_s, ours_itl_s = result.ttft.mean_s, result.itl.mean_s
        yield at_most(
            f"mean TTFT, {run}",
            GROUP,
            n,
            abs(ours_ttft_s / ttft_s - 1),
            REACH_TTFT,
            "relative",
            f"{ours_ttft_s:.2f} s, measured {ttft_s:.2f} s",
        )
        yield at_most(
            f"mean ITL, {run}",
            GROUP,
            n,
            abs(ours_itl_s / itl_s - 1),
            REACH_ITL,
            "relative",
            f"{ours_itl_s * 1e3:.2f} ms, measured {itl_s * 1e3:.2f} ms",
        )


def _measured_means(path: Path) -> dict[str, tuple[float, float, int]]:
    """Return mean TTFT and mean gap between tokens [s] and the number of requests of each run."""
    with open_text(path) as file:
        rows = list(csv.DictReader(file))
    means = {}
    for run in dict.fromkeys(row["run"] for row in rows):
        of_run = [row for row in rows if row["run"] == run]
        arrival_s, first_s, last_s, n_out = (
            numbers([row[name] for row in of_run])
            for name in ("arrival_s", "first_token_ts", "last_token_ts", "output_tokens")
        )
        several = n_out > 1
        gaps_s = (last_s - first_s)[several] / (n_out[several] - 1)
        means[run] = (float(np.mean(first_s - arrival_s)), float(np.mean(gaps_s)), len(of_run))
    return means
