"""The closed form against the request-level replay, both with the same fitted step times and memory."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compute.accelerators import accelerator_from_entry
from compute.calibration.cases import usual_kv_precision
from compute.calibration.coefficients import coefficient_set
from compute.model_shapes import model_shape_from_entry
from compute.replay.requests import AnsweredRows, RequestBatch, request_batch
from compute.replay.run import ReplayResult, ReplicaPool, replay
from compute.replay.traces import ArrivalProcess, LengthDistribution, synthetic_requests
from compute.steady.instances import Instances, build_instances
from compute.steady.load_lines import both_phases_line, decode_line, paired_line
from compute.steady.open_loop import LoadLine, OpenState, load_line, open_arrivals
from compute.steps.closed_loop import Scheduling
from compute.steps.roofline import Parallelism, StepCosts, deployment_work, step_costs
from compute.workload import ASSUMED_LONGEST, LatencyTargets, Workload, lognormal_variation
from facility.catalogue import entry_named
from twin.core.serving.replicas import ReplicaOptions, engine_times, replica_pool_for
from twin.validation.check import Check, at_most

GROUP = "replay"
REACH_TTFT, REACH_ITL, REACH_DRAFTED_ITL = 0.15, 0.05, 0.10  # of equal requests, worst
# Of requests as use cases send them, on average; a factor of 2 to 5 before lengths and bursts had their law.
REACH_PERCENTILES = {"TTFT p50": 0.15, "TTFT p95": 0.20, "ITL p50": 0.10, "ITL p95": 0.20}
# Dense and mixture-of-experts models, one and several accelerators; loads in shares of what the closed form can serve.
DEPLOYMENTS = (
    ("h100-sxm", "llama-3.1-8b", 1, "bf16", "vllm"),
    ("h200-sxm", "llama-3.1-70b", 4, "fp8", "vllm"),
    ("b200-sxm", "gpt-oss-120b", 1, "fp4", "vllm"),
    ("h200-sxm", "deepseek-r1", 8, "fp8", "sglang"),
)
# Units of separate prefill and decode: what runs, prefill instances, their ranks and those of the decode instance.
UNITS = (
    ("h200-sxm", "llama-3.1-70b", "fp8", "vllm", 3, 2, 4),
    ("b200-sxm", "gpt-oss-120b", "fp4", "vllm", 3, 1, 1),
)
# With tokens drafted by the model's own prediction module, as many of them kept as the closed form assumes.
DRAFTED = ("h200-sxm", "deepseek-r1", 8, "fp8", "sglang")
DRAFTS = (1, 3)
# Prompts of exactly one step's budget spill into the next beside drafted tokens, and wait for what is read there: TTFT
# then jumps by a step at once, in the closed form by the spilled part.
DRAFTED_LENGTHS = ((256, 1024), (1024, 256), (1024, 1024), (7500, 1024))
QUANTUM_S = 0.02  # on which ends of prompts are seen by the decode instance: below a step
EQUAL_LENGTHS = ((256, 1024), (1024, 256), (1024, 1024), (8192, 1024))
# Mean and 95th percentile of prompts and answers, share of the prompt cached, variation of the gaps between arrivals:
# assistants, recorded conversations (Azure 2023), reasoning.
MIXES = (
    ((4200, 16000), (330, 800), 0.45, 1.6),
    ((1155, 4083), (211, 451), 0.0, 1.0),
    ((2500, 9000), (1200, 4000), 0.3, 1.3),
)
LONGEST_PROMPT = 128_000
LOADS = (0.2, 0.45, 0.65)
SEATS = 1024
TOKEN_BUDGET = 8192  # as the closed form assumes
NO_TARGETS = LatencyTargets(ttft_s=1e6, itl_s=1e6)


def checks(data: Path) -> Iterator[Check]:
    """Yield the checks; they need no data."""
    for deployment in DEPLOYMENTS:
        accelerator, model, ranks, precision, engine = deployment
        options = ReplicaOptions(
            precision=precision, engine=engine, tensor_parallel=ranks, seats=SEATS, token_budget=TOKEN_BUDGET
        )
        pool = replica_pool_for(entry_named("accelerators", accelerator), entry_named("models", model), options)
        name = f"{model} on {ranks} {accelerator}"
        line_of, answer = partial(_line_of, deployment, pool), partial(replay, pool=pool)
        yield from _equal(name, line_of, answer, REACH_ITL)
        yield from _varied(name, line_of, answer)
    for drafts in DRAFTS:
        _, model, *_ = DRAFTED
        kept = _instance(*DRAFTED, Workload(*map(float, DRAFTED_LENGTHS[0])), drafts).costs.draft_acceptance
        pool = _pool(*DRAFTED, draft_tokens=drafts, draft_acceptance_frac=kept.item())
        line_of = partial(_both_phases, DRAFTED, drafts)
        yield from _equal(
            f"{model} with {drafts} drafts", line_of, partial(replay, pool=pool), REACH_DRAFTED_ITL, DRAFTED_LENGTHS
        )
    for unit in UNITS:
        accelerator, model, precision, engine, n_prefill, prefill_ranks, decode_ranks = unit
        pools = {
            name: _pool(accelerator, model, n, precision, engine, replicas=n_replicas, mode="disaggregated")
            for name, n, n_replicas in (("pool", prefill_ranks, n_prefill), ("decode_pool", decode_ranks, 1))
        }
        name = f"{model}, {n_prefill} x {prefill_ranks} {accelerator} for prompts"
        answer = partial(replay, **pools, router="least-loaded", quantum_s=QUANTUM_S)
        yield from _varied(name, partial(_unit_line, unit), answer)


def _pool(accelerator: str, model: str, ranks: int, precision: str, engine: str, **options: float | str) -> ReplicaPool:
    """Return the replicas of a deployment whose closed form is built from instances."""
    return replica_pool_for(
        entry_named("accelerators", accelerator),
        entry_named("models", model),
        ReplicaOptions(
            precision=precision,
            engine=engine,
            tensor_parallel=ranks,
            kv_precision=usual_kv_precision(precision),
            seats=SEATS,
            token_budget=TOKEN_BUDGET,
            **options,
        ),
    )


def _equal(
    name: str,
    line_of: Callable[[Workload], LoadLine],
    answer: Callable[..., ReplayResult],
    reach_itl: float,
    lengths: Iterable[tuple[int, int]] = EQUAL_LENGTHS,
) -> Iterator[Check]:
    """Compare medians over steady Poisson loads of equal requests."""
    errors = []
    for n_in, n_out in lengths:
        workload = Workload(input_tokens=n_in, output_tokens=n_out)
        closed, rates = _closed(line_of(workload), workload)
        for i, rate in enumerate(rates):
            filling, n = _counts(closed.in_service[0, i])
            arrival_s = ArrivalProcess.steady(rate).times(np.random.default_rng(1))(n)
            batch = request_batch(arrival_s, np.full(n, n_in), np.full(n, n_out))
            ttft_s, itl_s = _steady(answer, [batch], filling, n, closed.in_service[0, i])
            errors.append(
                (closed.itl_p50_s[0, i] / np.median(itl_s) - 1.0, closed.ttft_p50_s[0, i] / np.median(ttft_s) - 1.0)
            )
    sizes = np.abs(errors)
    for k, (figure, reach) in enumerate((("ITL", reach_itl), ("TTFT p50", REACH_TTFT))):
        note = f"median {np.median(sizes[:, k]):.3f} of loads up to {LOADS[-1]} of capacity; worst stated"
        check = f"{figure}, closed form against replay, {name}"
        yield at_most(check, GROUP, len(errors), sizes[:, k].max(), reach, "relative", note)


def _varied(name: str, line_of: Callable[[Workload], LoadLine], answer: Callable[..., ReplayResult]) -> Iterator[Check]:
    """Compare percentiles over bursty loads of requests whose lengths vary as those of use cases do."""
    errors = []
    for (n_in, in_p95), (n_out, out_p95), cached_frac, gap_cv in MIXES:
        longest_answer = ASSUMED_LONGEST * out_p95
        workload = Workload(
            input_tokens=n_in,
            output_tokens=n_out,
            cached_frac=cached_frac,
            input_variation=lognormal_variation({"mean": n_in, "p95": in_p95}),
            output_variation=lognormal_variation({"mean": n_out, "p95": out_p95}),
            most_input_tokens=LONGEST_PROMPT,
            most_output_tokens=longest_answer,
            dispersion=gap_cv**2,
        )
        closed, rates = _closed(line_of(workload), workload)
        for i, rate in enumerate(rates):
            filling, n = _counts(closed.in_service[0, i], least=4000)
            requests = synthetic_requests(
                n,
                ArrivalProcess.steady(rate, gap_cv),
                LengthDistribution(n_in, in_p95, LONGEST_PROMPT),
                LengthDistribution(n_out, out_p95, longest_answer),
                seed=3,
                cached_frac=cached_frac,
            )
            ttft_s, itl_s = _steady(answer, requests, filling, n, closed.in_service[0, i])
            errors.append(
                [
                    closed.ttft_p50_s[0, i] / np.median(ttft_s) - 1.0,
                    closed.ttft_p95_s[0, i] / np.quantile(ttft_s, 0.95) - 1.0,
                    closed.itl_p50_s[0, i] / np.median(itl_s) - 1.0,
                    closed.itl_p95_s[0, i] / np.quantile(itl_s, 0.95) - 1.0,
                ]
            )
    sizes = np.abs(errors)
    for k, (figure, reach) in enumerate(REACH_PERCENTILES.items()):
        note = f"worst {sizes[:, k].max():.3f} of loads up to {LOADS[-1]} of capacity; mean stated"
        check = f"{figure} of varied requests, closed form against replay, {name}"
        yield at_most(check, GROUP, len(errors), sizes[:, k].mean(), reach, "relative", note)


def _line_of(deployment: tuple, pool: ReplicaPool, workload: Workload) -> LoadLine:
    """Return the load line of an instance that does both phases."""
    limit = min(float(SEATS), pool.kv_tokens / (workload.input_tokens + workload.generated_tokens))
    return fitted_load_line(*deployment, workload, limit)


def _both_phases(deployment: tuple, drafts: int, workload: Workload) -> LoadLine:
    """Return the load line of an instance that does both phases and drafts tokens."""
    return both_phases_line(_instance(*deployment, workload, drafts), workload)


def _unit_line(unit: tuple, workload: Workload) -> LoadLine:
    """Return the load line of a unit of separate prefill and decode instances."""
    accelerator, model, precision, engine, n_prefill, *ranks = unit
    prefill, decode = (
        _instance(accelerator, model, n, precision, engine, workload, mode="disaggregated") for n in ranks
    )
    counts = {"prefill_instances": np.array([float(n_prefill)]), "decode_instances": np.ones(1)}
    return paired_line(prefill, decode_line(decode, workload), workload, **counts)


def _instance(
    accelerator: str,
    model: str,
    ranks: int,
    precision: str,
    engine: str,
    workload: Workload,
    drafts: int = 0,
    mode: str = "aggregated",
) -> Instances:
    """Return one fitted instance as columns."""
    instances, reason = build_instances(
        coefficient_set(),
        accelerator_from_entry(entry_named("accelerators", accelerator)),
        model_shape_from_entry(entry_named("models", model)),
        workload,
        [Parallelism(ranks)],
        [precision],
        engine=engine,
        draft_tokens=(drafts,),
        mode=mode,
    )
    if instances is None:
        raise ValueError(reason)
    return instances.columns()


def _closed(line: LoadLine, workload: Workload) -> tuple[OpenState, NDArray[np.float64]]:
    """Return the closed form at the loads, and their rates."""
    probe = open_arrivals(line, np.array([[1e-6]]), workload, NO_TARGETS)
    rates = np.array([LOADS]) * 1e-6 / probe.utilisation
    return open_arrivals(line, rates, workload, NO_TARGETS), rates[0]


def _counts(in_service: float, least: int = 1500) -> tuple[int, int]:
    """Return how many requests fill the batch, and how many are sent in all."""
    filling = int(4 * in_service) + 50
    return filling, filling + max(least, int(6 * in_service))


def _steady(
    answer: Callable[..., ReplayResult], requests: Iterable[RequestBatch], filling: int, n: int, in_service: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return TTFT and mean gap between tokens [s] of requests that find the batch filled."""
    returned: list[AnsweredRows] = []
    answer(requests, on_rows=returned.append)
    # The last requests decode in an emptying batch.
    steady = slice(filling, n - int(in_service) - 1)
    ttft_s, itl_s = (np.concatenate([getattr(rows, name) for rows in returned])[steady] for name in ("ttft_s", "itl_s"))
    return ttft_s[np.isfinite(ttft_s)], itl_s[np.isfinite(itl_s)]


def fitted_load_line(
    accelerator: str, model: str, ranks: int, precision: str, engine: str, workload: Workload, limit: float
) -> LoadLine:
    """Return the closed form's load line with the same fitted times as the replay's."""
    entry = entry_named("accelerators", accelerator)
    part, shape = accelerator_from_entry(entry), model_shape_from_entry(entry_named("models", model))
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
