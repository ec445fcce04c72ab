"""The shipped serving coefficients against published runs.

Two small tables are retyped from their sources; the whole set of cases is used where it is present.
Known disagreement: prompts and answers of 128 tokens run up to half faster than predicted on TensorRT-LLM's pages,
because requests then share steps in ways that the mean-value model does not follow; they are not in the table.
"""

import csv

import numpy as np
import pytest

from compute.accelerators import accelerator_from_entry
from compute.calibration.coefficients import coefficient_set
from compute.calibration.run import read_evidence
from compute.model_shapes import model_shape_from_entry
from compute.prediction.rows import predict_cases, predict_rows
from compute.steady.serving import best_configuration
from compute.workload import LatencyTargets, Workload
from facility.catalogue import entries
from twin.validation.benchmark_watts import checks as watts_checks
from twin.validation.mlperf import FILE as MLPERF
from twin.validation.mlperf import checks as mlperf_checks
from twin.validation.wide_experts import checks as wide_checks

pytestmark = pytest.mark.slow

FITTED = coefficient_set()
ACCELERATORS = {name: accelerator_from_entry(entry) for name, entry in entries("accelerators").items()}
MODELS = {name: model_shape_from_entry(entry) for name, entry in entries("models").items()}

# TensorRT-LLM v1.0, docs/source/performance/perf-overview.md: accelerator, model, precision, accelerators, input,
# output, tokens per second with all requests queued at once.
SATURATED = [
    ("h200-sxm", "llama-3.1-70b", "fp8", 1, 1000, 2000, 2994.0),
    ("h100-sxm", "llama-3.1-8b", "fp8", 1, 2048, 128, 3450.0),
    ("h200-sxm", "llama-4-scout-17b-16e-instruct", "fp8", 4, 5000, 500, 4605.0),
    ("b200-sxm", "qwen3-30b-a3b", "fp4", 1, 5000, 500, 6142.0),
    ("b200-sxm", "llama-3.1-405b", "fp4", 4, 1000, 1000, 5209.0),
    ("gb200", "llama-4-scout-17b-16e-instruct", "fp4", 1, 1000, 1000, 7738.0),
    ("gb200", "llama-3.1-405b", "fp4", 4, 500, 2000, 6540.0),
    ("b200-sxm", "llama-3.1-70b", "fp4", 1, 2048, 2048, 4783.0),
]
# ML.ENERGY leaderboard v3 (vLLM 0.11, 2025): accelerator, model, precision, tensor and expert parallelism, input
# (assumed there), output, batch, inter-token latency [s], watts per accelerator.
STEADY = [
    ("h100-sxm", "qwen3-30b-a3b", "bf16", 1, 1, 1024, 254.35, 7.916, 0.01236, 497.8),
    ("b200-sxm", "qwen3-8b", "bf16", 1, 1, 256, 640.75, 1022.4, 0.07963, 722.9),
    ("h100-sxm", "gpt-oss-20b", "fp4", 1, 1, 256, 2427.79, 127.96, 0.01709, 571.5),
    ("h100-sxm", "llama-3.1-8b", "bf16", 1, 1, 256, 394.34, 383.01, 0.03770, 686.5),
    ("h100-sxm", "llama-4-scout-17b-16e-instruct", "bf16", 4, 4, 256, 397.7, 255.3, 0.05212, 469.8),
    ("b200-sxm", "llama-3.1-70b", "bf16", 2, 1, 256, 349.54, 1407.3, 0.13479, 959.4),
]


def answered(rows):
    return predict_rows(rows, ACCELERATORS, MODELS, FITTED)


def test_saturated_throughput_agrees_with_tensorrt_llms_own_pages():
    rows = [
        {
            "case_id": "trt-x",
            "source": "TensorRT-LLM v1.0",
            "engine": "trtllm",
            "engine_version": "v1.0",
            "accelerator": accelerator,
            "model": model,
            "weight_precision": precision,
            "n_accelerators": str(n),
            "tensor_parallel": str(n),
            "input_tokens": str(prompt),
            "output_tokens": str(answer),
            "concurrency": "saturated",
        }
        for accelerator, model, precision, n, prompt, answer, _ in SATURATED
    ]
    found = np.array([row["output_tokens_per_s"] for row in answered(rows)])
    error = np.abs(found / np.array([row[-1] for row in SATURATED]) - 1)
    # cross-validated 6 % in the median; a single page repeats itself within some 10 % between releases
    assert np.median(error) < 0.10
    # the entry for Scout on GB200 (7,738) lies below that page's for the slower B200 (10,591): off by 45 %
    assert error.max() < 0.5
    assert np.sum(error > 0.2) <= 1


def test_latency_and_watts_agree_with_steady_runs_of_vllm():
    rows = [
        {
            "case_id": "mle-x",
            "source": "ML.ENERGY leaderboard v3",
            "engine": "vllm",
            "engine_version": "0.11",
            "accelerator": accelerator,
            "model": model,
            "weight_precision": precision,
            "n_accelerators": str(tensor),
            "tensor_parallel": str(tensor),
            "expert_parallel": str(expert),
            "input_tokens": str(prompt),
            "output_tokens": str(answer),
            "concurrency": str(batch),
        }
        for accelerator, model, precision, tensor, expert, prompt, answer, batch, _, _ in STEADY
    ]
    found = answered(rows)
    itl = np.abs(np.array([row["itl_s"] for row in found]) / np.array([row[-2] for row in STEADY]) - 1)
    watts = np.abs(np.array([row["accelerator_power_w"] for row in found]) / np.array([row[-1] for row in STEADY]) - 1)
    assert np.median(itl) < 0.12  # cross-validated 8 % in the median
    assert np.median(watts) < 0.12  # cross-validated about 10 %


def test_shipped_coefficients_answer_every_measured_case(data_dir):
    path = data_dir / "serving" / "cases.csv"
    if not path.exists():
        pytest.skip("measured serving cases are not present")
    with path.open(newline="", encoding="utf-8-sig") as file:
        evidence = read_evidence(list(csv.DictReader(file)), ACCELERATORS, MODELS)
    assert evidence.rejected == ()
    prediction = predict_cases(evidence.table, FITTED)
    measured = evidence.measured
    # in sample; the scoreboard recomputes the cross-validated errors
    for name, predicted, truth, reach in (
        ("ITL", prediction.itl_s, measured.itl_s, 0.06),
        ("TTFT", prediction.ttft_s, measured.ttft_s, 0.18),
        ("throughput", prediction.output_tokens_per_s, measured.output_tokens_per_s, 0.08),
        ("watts", prediction.accelerator_power_w, measured.accelerator_power_w, 0.08),
    ):
        seen = np.isfinite(truth)
        error = float(np.median(np.abs(predicted[seen] / truth[seen] - 1)))
        assert error < reach, f"{name} is off by {error:.1%} in the median"


def test_watts_rise_with_load_as_in_public_benchmark_runs(data_dir):
    found = list(watts_checks(data_dir))
    if any(row.status == "skipped" for row in found):
        pytest.skip(found[0].note)
    assert [row.check.split()[-1] for row in found] == ["h200-sxm", "b200-sxm", "mi355x"]
    for row in found:
        assert row.n >= 4
        assert row.status == "pass", f"{row.check}: {row.value:.3f} {row.note}"


def test_experts_over_many_nodes_are_nearly_as_fast_as_published(tmp_path):
    decode, prefill = wide_checks(tmp_path)
    assert decode.value < 0.15, f"{decode.check}: {decode.value:.3f} {decode.note}"
    assert prefill.value < 0.15, f"{prefill.check}: {prefill.value:.3f} {prefill.note}"


def test_mlperf_lies_in_the_band_of_an_unseen_model(data_dir):
    path = data_dir / "serving" / MLPERF
    if not path.exists():
        pytest.skip(f"no {MLPERF}")
    rows = {row.check: row for row in mlperf_checks(data_dir)}
    per_accelerator = [row for name, row in rows.items() if "Llama 2 70B" in name]
    assert len(per_accelerator) == 8
    for row in per_accelerator:
        assert row.status == "pass", f"{row.check}: {row.value:.3f} {row.note}"
    assert [name for name, row in rows.items() if row.status == "miss"] == []
    # dense Llama 2 70B on NVIDIA, none of it fitted: 1 to 8 % offline, 2 to 14 % under the server's limits
    assert np.median([row.value for name, row in rows.items() if "Llama 2 70B" in name and "mi300x" not in name]) < 0.08


@pytest.mark.parametrize(("accelerator", "measured"), [("h100-sxm", 6557), ("h200-sxm", 7378)])
def test_eight_big_experts_are_not_256_small_ones(accelerator, measured):
    # MLPerf v4.1, Mixtral 8x7B offline per accelerator, closed; answers of 146 tokens, retyped. The mean prompt of its
    # three data sets is not stated there: assumed 200 tokens, between arithmetic problems and OpenOrca's 294.
    row = {
        "engine": "trtllm",
        "accelerator": accelerator,
        "model": "mixtral-8x7b-v0.1",
        "weight_precision": "fp8",
        "n_accelerators": "1",
        "tensor_parallel": "1",
        "input_tokens": "200",
        "output_tokens": "146",
        "concurrency": "saturated",
    }
    (answer,) = answered([row])
    assert answer["output_tokens_per_s"] == pytest.approx(measured, rel=0.2)


def test_absent_mlperf_results_are_reported_as_skipped(tmp_path):
    (row,) = mlperf_checks(tmp_path)
    assert (row.status, row.note) == ("skipped", f"missing {MLPERF}")


def test_generations_rank_as_mlperf_measured_them():
    model = model_shape_from_entry(entries("models")["llama-3.1-70b"] | {"id": "llama-2-70b", "vocab_size": 32000})
    workload, targets = Workload(294.45, 294.45), LatencyTargets(ttft_s=2.0, itl_s=0.2)
    rates = {}
    # server scenario, closed: median tokens per second and accelerator over the submissions, retyped
    for name, precision, measured in (("h100-sxm", "fp8", 2699), ("h200-sxm", "fp8", 3759), ("b200-sxm", "fp4", 10756)):
        choice = best_configuration(
            FITTED, ACCELERATORS[name], model, workload, targets, precisions=(precision,), engine="trtllm"
        )
        rates[name] = choice.output_tokens_per_s
        assert choice.output_tokens_per_s == pytest.approx(measured, rel=0.2)
    assert rates["h200-sxm"] / rates["h100-sxm"] == pytest.approx(1.39, rel=0.2)
    assert rates["b200-sxm"] / rates["h200-sxm"] == pytest.approx(2.86, rel=0.2)
