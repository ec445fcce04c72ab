"""Measured runs as people have them: read, laid beside the prediction, and the term that could be off."""

import pytest

from compute.accelerators import accelerator_from_entry
from compute.calibration.coefficients import coefficient_set
from compute.model_shapes import model_shape_from_entry
from compute.prediction.measured import beside_predictions, measured_runs
from facility.catalogue import entries

ROW = {
    "hw": "b200-trt",
    "framework": "vllm",
    "model": "dsr1",
    "precision": "fp8",
    "spec_method": "none",
    "disagg": False,
    "tp": 8,
    "ep": 1,
    "dp_attention": "false",
    "isl": 1024,
    "osl": 1024,
    "conc": 64,
    "date": "2026-03-01",
    "image": "vllm/vllm-openai:v0.9.0",
    "metrics": {"mean_ttft": 0.6, "mean_itl": 0.05, "output_tput_per_gpu": 140.0, "avg_power_w": 700.0},
}
APART = {
    "hardware": "gb200",
    "framework": "dynamo-trt",
    "model": "dsr1",
    "precision": "fp4",
    "spec_method": "mtp",
    "disagg": True,
    "prefill_tp": 4,
    "prefill_ep": 4,
    "prefill_dp_attention": True,
    "prefill_num_workers": 2,
    "decode_tp": 8,
    "decode_ep": 8,
    "decode_dp_attention": True,
    "decode_num_workers": 1,
    "num_prefill_gpu": 8,
    "num_decode_gpu": 8,
    "isl": 8192,
    "osl": 1024,
    "conc": 128,
    "metrics": {"median_ttft": 2.0},
}
BENCH = {
    "backend": "vllm",
    "model_id": "llama-3.1-8b",
    "completed": 300,
    "total_input_tokens": 300_000,
    "total_output_tokens": 60_000,
    "request_rate": "inf",
    "max_concurrency": 16,
    "mean_ttft_ms": 90,
    "mean_tpot_ms": 9.0,
    "output_throughput": 1500,
}
CARD = {"accelerator": "h100-sxm", "weight_precision": "bf16", "tensor_parallel": 1}


def beside(runs):
    accelerators = {name: accelerator_from_entry(entry) for name, entry in entries("accelerators").items()}
    models = {name: model_shape_from_entry(entry) for name, entry in entries("models").items()}
    return beside_predictions(runs, accelerators, models, coefficient_set())


def test_an_inferencex_row_is_a_case_with_its_measured_figures():
    (run,) = measured_runs(ROW, {})
    wanted = {
        "accelerator": "b200-sxm",
        "model": "deepseek-r1",
        "weight_precision": "fp8",
        "engine": "vllm",
        "tensor_parallel": "8",
        "expert_parallel": "1",
        "n_accelerators": "8",
        "concurrency": "64",
        "mode": "aggregated",
        "engine_version": "0.9.0",
        "statistic": "mean",
    }
    assert wanted.items() <= run.row.items()
    assert run.measured == {
        "ttft_s": 0.6,
        "itl_s": 0.05,
        "accelerator_power_w": 700.0,
        "output_tokens_per_s": 140.0 * 8,
    }
    assert "InferenceX" in run.notes[0]


def test_a_row_with_pools_of_their_own_keeps_them():
    (run,) = measured_runs([APART], {})
    wanted = {
        "mode": "disaggregated",
        "prefill_tp": "4",
        "prefill_workers": "2",
        "decode_attention_dp": "1",
        "decode_accelerators": "8",
        "speculative": "mtp",
        "statistic": "median",
    }
    assert wanted.items() <= run.row.items()
    assert beside([run])[0]["feasible"]


def test_a_gap_that_was_measured_longer_names_a_term_that_would_explain_it():
    (found,) = beside(measured_runs(ROW, {}))
    gap = next(q for q in found["quantities"] if q["quantity"] == "itl_s")
    assert not gap["in_band"]
    shares = sum(term["share_frac"] for term in found["terms"])
    assert 0.8 < shares < 1.1  # reading and arithmetic overlap in part
    largest = found["terms"][0]
    # stretched by its factor, the term alone lengthens the step to what was measured
    assert 1 + largest["share_frac"] * (largest["factor"] - 1) == pytest.approx(gap["measured"] / gap["predicted"])
    assert "would fit if" in found["sentence"]


def test_a_bench_result_asks_for_what_it_does_not_say():
    with pytest.raises(ValueError, match="does not say accelerator and weight_precision"):
        measured_runs(BENCH, {})
    (run,) = measured_runs(BENCH, CARD)
    assert (run.row["input_tokens"], run.row["output_tokens"], run.row["concurrency"]) == ("1000", "200", "16")
    (found,) = beside([run])
    assert {q["quantity"] for q in found["quantities"]} == {"ttft_s", "itl_s", "output_tokens_per_s"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"isl": 1, "conc": 2}, "nearest to an InferenceX row, but lacks osl"),
        ([], "holds no rows"),
        (["x"], "entry 1 is no mapping"),
        (ROW | {"metrics": [1.0]}, "metrics is .* must be a mapping of names to values"),
        (BENCH | {"total_input_tokens": None}, "lacks completed, total_input_tokens or total_output_tokens"),
    ],
)
def test_what_is_no_measured_run_is_refused_by_name(content, words):
    with pytest.raises(ValueError, match=words):
        measured_runs(content, CARD)
