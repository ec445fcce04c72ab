"""The request-level replay against measured runs of a real engine, and against the closed form on steady loads."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from compute.accelerators import accelerator_from_entry
from compute.model_shapes import model_shape_from_entry
from compute.open_loop import LoadLine, load_line, open_arrivals
from compute.replay import ReplicaPool, replay
from compute.replay_requests import AnsweredRows, request_batch
from compute.roofline import Parallelism, StepCosts, deployment_work, step_costs
from compute.steady_state import Scheduling
from compute.traces import ArrivalProcess, numbers, open_trace, read_trace
from compute.workload import LatencyTargets, Workload
from twin.replay_set_up import ReplicaOptions, catalogue_entry, engine_times, replica_pool_for
from twin.validation.check import Check, at_most, skipped

GROUP = "replay"
REACH_TTFT = 0.20
REACH_ITL = 0.08
REACH_AGREEMENT_TTFT = 0.15
REACH_AGREEMENT_ITL = 0.05
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
    yield from _agreement()


def _measured_runs(path: Path) -> Iterator[Check]:
    """Replay each run's arrivals and lengths, and compare means over its requests; nothing is fitted to the runs."""
    for run, (ttft_s, itl_s, n) in _measured_means(path).items():
        accelerator, _, model = run.partition("/")
        try:
            entry = catalogue_entry("accelerators", accelerator)
            options = ReplicaOptions(precision="bf16", **SET_UPS.get(run, {}))
            pool = replica_pool_for(entry, catalogue_entry("models", model)["id"], options)
        except ValueError as error:
            yield Check(f"mean TTFT, {run}", GROUP, 0, None, None, "", "skipped", str(error))
            continue
        result = replay(read_trace(path, run=run), pool)
        ours_ttft_s, ours_itl_s = result.ttft.mean_s, result.itl.mean_s
        yield at_most(
            f"mean TTFT, {run}", GROUP, n, abs(ours_ttft_s / ttft_s - 1), REACH_TTFT, "relative",
            f"{ours_ttft_s:.2f} s, measured {ttft_s:.2f} s",
        )  # fmt: skip
        yield at_most(
            f"mean ITL, {run}", GROUP, n, abs(ours_itl_s / itl_s - 1), REACH_ITL, "relative",
            f"{ours_itl_s * 1e3:.2f} ms, measured {itl_s * 1e3:.2f} ms",
        )  # fmt: skip


def _measured_means(path: Path) -> dict[str, tuple[float, float, int]]:
    """Return mean TTFT and mean gap between tokens [s] and the number of requests of each run."""
    with open_trace(path) as file:
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


# Dense and mixture-of-experts models, one and several accelerators; loads in shares of what the closed form can serve.
AGREEMENT_DEPLOYMENTS = (
    ("h100-sxm", "llama-3.1-8b", 1, "bf16", "vllm"),
    ("h200-sxm", "llama-3.1-70b", 4, "fp8", "vllm"),
    ("b200-sxm", "gpt-oss-120b", 1, "fp4", "vllm"),
    ("h200-sxm", "deepseek-r1", 8, "fp8", "sglang"),
)
AGREEMENT_LENGTHS = ((256, 1024), (1024, 256), (1024, 1024), (8192, 1024))
AGREEMENT_LOADS = (0.2, 0.45, 0.65)
AGREEMENT_SEATS = 1024
AGREEMENT_TOKEN_BUDGET = 8192  # as the closed form assumes
NO_TARGETS = LatencyTargets(ttft_s=1e6, itl_s=1e6)


def _agreement() -> Iterator[Check]:
    """Compare means over steady Poisson loads of equal requests; the replay's first requests fill the batch and go."""
    for accelerator, model, ranks, precision, engine in AGREEMENT_DEPLOYMENTS:
        itl_errors, ttft_errors = [], []
        options = ReplicaOptions(
            precision=precision,
            engine=engine,
            tensor_parallel=ranks,
            seats=AGREEMENT_SEATS,
            token_budget=AGREEMENT_TOKEN_BUDGET,
        )
        pool = replica_pool_for(accelerator, model, options)
        for n_in, n_out in AGREEMENT_LENGTHS:
            workload = Workload(input_tokens=n_in, output_tokens=n_out)
            limit = min(float(AGREEMENT_SEATS), pool.kv_tokens / (n_in + n_out / 2.0))
            line = _load_line(accelerator, model, ranks, precision, engine, workload, limit)
            probe = open_arrivals(line, np.array([[1e-6]]), workload, NO_TARGETS)
            rates = np.array([AGREEMENT_LOADS]) * 1e-6 / probe.utilisation
            closed = open_arrivals(line, rates, workload, NO_TARGETS)
            for i, rate in enumerate(rates[0]):
                ttft_s, itl_s = _steady_replay(pool, float(rate), n_in, n_out, float(closed.in_service[0, i]))
                ttft_errors.append(closed.ttft_p50_s[0, i] / ttft_s - 1.0)
                itl_errors.append(closed.itl_p50_s[0, i] / itl_s - 1.0)
        name = f"{model} on {ranks} {accelerator}"
        for figure, errors, reach in (
            ("ITL", itl_errors, REACH_AGREEMENT_ITL),
            ("TTFT p50", ttft_errors, REACH_AGREEMENT_TTFT),
        ):
            sizes = np.abs(errors)
            note = f"median {np.median(sizes):.3f} of loads up to {AGREEMENT_LOADS[-1]} of capacity; worst stated"
            yield at_most(
                f"{figure}, closed form against replay, {name}",
                GROUP,
                len(errors),
                sizes.max(),
                reach,
                "relative",
                note,
            )


def _load_line(
    accelerator: str, model: str, ranks: int, precision: str, engine: str, workload: Workload, limit: float
) -> LoadLine:
    """Return the closed form's load line with the same fitted times as the replay's."""
    entry = catalogue_entry("accelerators", accelerator)
    part, shape = accelerator_from_entry(entry), model_shape_from_entry(catalogue_entry("models", model))
    times = engine_times(part, str(entry.get("memory_type") or ""), shape, precision, engine)
    work = deployment_work(part, shape, Parallelism(tensor_parallel=ranks), weight_precision=precision)
    costs = step_costs(work, times.efficiencies)
    if times.scheduling is None:
        raise ValueError(f"{accelerator} is not calibrated on served runs")

    def column(values: StepCosts | Scheduling) -> StepCosts | Scheduling:
        names = type(values).__dataclass_fields__
        return type(values)(**{name: np.reshape(getattr(values, name), (-1, 1)) for name in names})

    return load_line(
        column(costs),
        column(times.scheduling),
        workload,
        limit=np.array([[limit]]),
        decode_scale=np.array([[times.decode_scale]]),
    )


def _steady_replay(
    pool: ReplicaPool, rate_per_s: float, n_in: int, n_out: int, in_service: float
) -> tuple[float, float]:
    """Return median TTFT and mean gap between tokens [s] of requests that find the batch filled."""
    filling = int(4 * in_service) + 50
    n = filling + max(1500, int(6 * in_service))
    arrival_s = ArrivalProcess.steady(rate_per_s).times(np.random.default_rng(1))(n)
    returned: list[AnsweredRows] = []
    replay(
        [request_batch(arrival_s, np.full(n, n_in), np.full(n, n_out))],
        pool,
        on_rows=returned.append,
    )
    # The last requests decode in an emptying batch.
    steady = slice(filling, n - int(in_service) - 1)
    ttft_s = np.concatenate([rows.ttft_s for rows in returned])[steady]
    itl_s = np.concatenate([rows.itl_s for rows in returned])[steady]
    return float(np.median(ttft_s)), float(np.mean(itl_s))
