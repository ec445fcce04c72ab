"""The closed-form serving model against MLPerf Inference v4.1, none of which it was fitted to.

Compared are closed submissions of Llama 2 70B, per accelerator: offline (all requests queued at once) with the highest
throughput of any arrangement on up to eight accelerators, server with the Poisson load that keeps its latency limits.
The `99.9` results are often the same runs and do not count twice.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from compute.accelerators import Accelerator, accelerator_from_entry
from compute.calibration.coefficients import CoefficientSet, coefficient_set
from compute.calibration.uncertainty import half_bands
from compute.model_shapes import ModelShape, model_shape_from_entry
from compute.prediction.rows import predict_rows
from compute.steady.serving import best_configuration
from compute.workload import LatencyTargets, Workload
from facility.catalogue import entries
from twin.validation.check import Check, at_most, skipped

GROUP = "serving"
FILE = "mlperf_v4.1.csv"
# Names of submissions -> catalogue entry, engine, and what the weights were quantised to (the table states what they
# came in). NVIDIA ran FP8 on Hopper and FP4 on Blackwell (descriptions of the submissions).
SYSTEMS = {
    "NVIDIA H100-SXM-80GB": ("h100-sxm", "trtllm", "fp8"),
    "NVIDIA H200-SXM-141GB": ("h200-sxm", "trtllm", "fp8"),
    "NVIDIA H200-SXM-141GB-CTS": ("h200-sxm", "trtllm", "fp8"),
    "NVIDIA B200-SXM-180GB": ("b200-sxm", "trtllm", "fp4"),
    "AMD Instinct MI300X-NPS1-SPX-192GB-750W": ("mi300x", "vllm", "fp8"),
}
GENERATIONS = (("h200-sxm", "h100-sxm"), ("b200-sxm", "h200-sxm"))
# Llama 2 70B is Llama 3.1 70B with a smaller vocabulary and context (their config.json files).
LLAMA_2 = {"id": "llama-2-70b", "vocab_size": 32000, "max_context_tokens": 4096}
PROMPT_TOKENS, ANSWER_TOKENS = 294.45, 294.45  # means of the OpenOrca set that the rules prescribe
SERVER_TARGETS = LatencyTargets(ttft_s=2.0, itl_s=0.2)


def checks(data: Path) -> Iterator[Check]:
    """Yield one row per accelerator and scenario, and the gain of each generation."""
    path = data / "serving" / FILE
    if not path.is_file():
        yield skipped("MLPerf v4.1, Llama 2 70B per accelerator", GROUP, [path])
        return
    with path.open(newline="", encoding="utf-8-sig") as file:
        measured = _measured(list(csv.DictReader(file)))
    model = model_shape_from_entry(entries("models")["llama-3.1-70b"] | LLAMA_2)
    predicted: dict[tuple[str, str], float] = {}
    for (name, scenario), rates in sorted(measured.items()):
        system = next(found for found in SYSTEMS.values() if found[0] == name)
        predicted[name, scenario] = _predicted(system, scenario, model)
        yield _check(name, scenario, predicted[name, scenario], rates)
    for scenario in ("Offline", "Server"):
        for new, old in GENERATIONS:
            if {(new, scenario), (old, scenario)} <= measured.keys():
                ours = predicted[new, scenario] / predicted[old, scenario]
                theirs = float(np.median(measured[new, scenario]) / np.median(measured[old, scenario]))
                name, note = f"MLPerf v4.1 {scenario.lower()}, {new} over {old}", f"{ours:.2f} times"
                note += f", measured {theirs:.2f}; no reach in the plan"
                yield at_most(name, GROUP, 2, abs(ours / theirs - 1), 0.2, "relative", note)


def _measured(rows: Sequence[Mapping[str, str]]) -> dict[tuple[str, str], list[float]]:
    """Return tokens per second and accelerator of the submissions by (catalogue entry, scenario)."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        rate = float(row["tokens_s_per_accel"] or 0.0)
        if (
            row["model"] == "llama2-70b-99"
            and row["category"] == "closed"
            and row["accelerator"] in SYSTEMS
            and rate > 0
        ):
            found.setdefault((SYSTEMS[row["accelerator"]][0], row["scenario"]), []).append(rate)
    return found


def _predicted(system: tuple[str, str, str], scenario: str, model: ModelShape) -> float:
    """Return tokens per second and accelerator of the best arrangement."""
    name, engine, precision = system
    part = accelerator_from_entry(entries("accelerators")[name])
    fitted = coefficient_set()
    if scenario == "Offline":
        return _offline(fitted, part, model, engine, precision)
    workload = Workload(PROMPT_TOKENS, ANSWER_TOKENS)
    choice = best_configuration(
        fitted, part, model, workload, SERVER_TARGETS, precisions=(precision,), engine=engine, allow_disaggregated=False
    )
    return choice.output_tokens_per_s


def _offline(fitted: CoefficientSet, part: Accelerator, model: ModelShape, engine: str, precision: str) -> float:
    """Return tokens per second and accelerator with all requests queued at once.

    MLPerf's load generator is none of the clients that the fit tells apart, and no release is stated: submitters tune
    the engine beyond any release of it.
    """
    rows = [
        {
            "source": "MLPerf",
            "engine": engine,
            "accelerator": part.name,
            "n_accelerators": str(ranks),
            "tensor_parallel": str(ranks),
            "model": model.name,
            "weight_precision": precision,
            "input_tokens": str(PROMPT_TOKENS),
            "output_tokens": str(ANSWER_TOKENS),
            "concurrency": "saturated",
        }
        for ranks in (1, 2, 4, 8)
    ]
    answers = predict_rows(rows, {part.name: part}, {model.name: model}, fitted)
    return max(
        float(answer["output_tokens_per_s"]) / ranks
        for answer, ranks in zip(answers, (1, 2, 4, 8), strict=True)
        if answer["feasible"]
    )


def _check(name: str, scenario: str, predicted: float, rates: Sequence[float]) -> Check:
    """Return whether the median submission lies in the prediction's 80 % band; its model is new to the fit."""
    measured = float(np.median(rates))
    half = half_bands(coefficient_set().record, name, LLAMA_2["id"])["throughput"]
    note = f"{predicted:.0f} tokens/s, measured {measured:.0f}; the reach is the prediction's own 80 % band"
    return at_most(
        f"MLPerf v4.1 {scenario.lower()}, Llama 2 70B, {name}",
        GROUP,
        len(rates),
        abs(np.log(measured / predicted)),
        round(half, 3),
        "log",
        note,
    )
