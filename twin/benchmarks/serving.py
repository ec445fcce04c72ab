"""Speed of the closed-form serving model."""

from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import count

import numpy as np

from compute.accelerators import accelerator_from_entry
from compute.calibration.coefficients import coefficient_set
from compute.model_shapes import model_shape_from_entry
from compute.steady.instances import build_instances, candidate_parallelisms
from compute.steady.serving import best_configuration
from compute.steps.closed_loop import Scheduling, closed_loop
from compute.workload import workload_from_entry
from facility.catalogue import entries
from twin.benchmarks.measure import Benchmark, cpu_seconds, peak_bytes

N_POINTS = 500_000
BLOCK = 2_000  # operating points per call: their arrays stay in the cache


def benchmarks() -> Iterator[Benchmark]:
    """Yield operating points per CPU second, and the search for the best configuration."""
    fitted = coefficient_set()
    accelerator = accelerator_from_entry(entries("accelerators")["gb300"])
    model = model_shape_from_entry(entries("models")["deepseek-r1"])
    workload, targets = workload_from_entry(entries("workloads")["scientific_research"])
    spread = candidate_parallelisms(accelerator, model, 72)
    instances, _ = build_instances(fitted, accelerator, model, workload, spread, ("fp8", "fp4"))
    index = np.arange(BLOCK) % len(instances.parallelisms)
    costs = instances.costs.take(index)
    s = instances.scheduling
    scheduling = Scheduling(*(getattr(s, field.name)[index] for field in fields(Scheduling)))
    draw = np.random.default_rng(0)
    concurrency = 2.0 ** draw.uniform(0, 10, BLOCK)
    prompt = 2.0 ** draw.uniform(7, 14, BLOCK)

    def solve() -> None:
        for _ in range(N_POINTS // BLOCK):
            closed_loop(
                costs,
                scheduling,
                concurrency=concurrency,
                input_tokens=prompt,
                output_tokens=1000.0,
                admitted_limit=instances.limit[index],
            )

    seconds = cpu_seconds(solve)
    yield Benchmark(
        name="serving closed form",
        size=f"{N_POINTS:,} operating points over {len(instances.parallelisms)} deployments",
        value=N_POINTS / seconds,
        unit="points/CPU s",
        reach=1e6,
        higher_is_better=True,
        cpu_s=seconds,
        peak_bytes=peak_bytes(),
    )
    found = best_configuration(fitted, accelerator, model, workload, targets, max_accelerators=72)
    longer = count(1)  # a question asked twice is answered from memory

    def search() -> None:
        asked = replace(workload, input_tokens=workload.input_tokens + next(longer))
        best_configuration(fitted, accelerator, model, asked, targets, max_accelerators=72)

    seconds = cpu_seconds(search, repeats=3)
    yield Benchmark(
        name="best serving configuration under targets",
        size=f"{found.candidates} configurations of 72 x gb300, deepseek-r1",
        value=seconds,
        unit="CPU s",
        reach=0.5,
        higher_is_better=False,
        cpu_s=seconds,
        peak_bytes=peak_bytes(),
    )
