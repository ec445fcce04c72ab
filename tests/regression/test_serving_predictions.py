"""A handful of serving predictions, pinned: whoever moves them sees by how much and decides whether that was meant.

After a new fit or a change of the model, run with `-rP` to see the table, judge it, and copy the new values.
"""

import sys

import pytest

from compute.accelerators import accelerator_from_entry
from compute.calibration.coefficients import coefficient_set
from compute.model_shapes import model_shape_from_entry
from compute.prediction.rows import predict_rows
from facility.catalogue import entries

pytestmark = pytest.mark.slow

# accelerator, model, precision, engine, source, ranks, input, output, load -> ITL [s], output
# tokens/s, accelerator [W]; a load beginning with @ is an arrival rate
PINNED = {
    ("h100-sxm", "llama-3.1-8b", "bf16", "vllm", "InferenceX", "1", "1024", "1024", "32"): (
        0.0121219,
        2617.49,
        553.077,
    ),
    ("h200-sxm", "llama-3.1-70b", "fp8", "trtllm", "InferenceX", "4", "8192", "1024", "64"): (
        0.0346846,
        1731.89,
        620.107,
    ),
    ("h200-sxm", "llama-3.1-70b", "fp8", "trtllm", "TensorRT-LLM", "1", "1000", "1000", "saturated"): (
        0.0772116,
        2604.97,
        697.718,
    ),
    ("b200-sxm", "gpt-oss-120b", "fp4", "vllm", "ML.ENERGY", "1", "256", "1800", "128"): (0.0166977, 7617.05, 807.634),
    ("b200-sxm", "deepseek-r1", "fp4", "sglang", "InferenceX", "8", "1024", "1024", "64"): (
        0.0161463,
        3838.13,
        791.402,
    ),
    ("h100-sxm", "qwen3-32b", "bf16", "vllm", "", "2", "2048", "512", "16"): (0.0225647, 687.334, 463.155),
    ("gb300", "glm-4.6", "fp8", "vllm", "", "4", "4096", "1024", "32"): (0.0234754, 1340.43, 1066.14),
    ("mi355x", "llama-3.1-405b", "fp8", "vllm", "", "8", "2048", "1024", "64"): (0.040524, 1511.79, 993.921),
    ("h200-sxm", "llama-3.1-70b", "fp8", "vllm", "InferenceX", "4", "1024", "1024", "@2"): (0.0113596, 1843.2, 452.379),
}
COLUMNS = ("itl_s", "output_tokens_per_s", "accelerator_power_w")
TOLERANCE = 1e-3


def predicted():
    rows = []
    for accelerator, model, precision, engine, source, ranks, prompt, answer, load in PINNED:
        rows.append(
            {
                "accelerator": accelerator,
                "model": model,
                "weight_precision": precision,
                "engine": engine,
                "source": source,
                "n_accelerators": ranks,
                "tensor_parallel": ranks,
                "input_tokens": prompt,
                "output_tokens": answer,
                "request_rate_per_s" if load.startswith("@") else "concurrency": load.removeprefix("@"),
            }
        )
    accelerators, models = (
        {name: read(entry) for name, entry in entries(kind).items()}
        for kind, read in (("accelerators", accelerator_from_entry), ("models", model_shape_from_entry))
    )
    return predict_rows(rows, accelerators, models, coefficient_set())


def test_predictions_stay_what_they_were():
    moved, lines = 0.0, [""]
    for (case, old), answer in zip(PINNED.items(), predicted(), strict=True):
        assert answer["feasible"], answer["reason"]
        for name, before in zip(COLUMNS, old, strict=True):
            change = answer[name] / before - 1
            moved = max(moved, abs(change))
            lines.append(f"{' '.join(case):80} {name:20} old {before:<10.5g} new {answer[name]:<10.5g} {change:+.2%}")
    sys.stdout.write("\n".join(lines) + "\n")
    assert moved == pytest.approx(0, abs=TOLERANCE), f"a pinned prediction moved by {moved:.2%}; see the printed table"
