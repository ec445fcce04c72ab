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
    ("h100-sxm", "llama-3.1-8b", "bf16", "vllm", "InferenceX", "1", "1024", "1024", "32"): (0.0120049, 2641.34, 554.34),
    ("h200-sxm", "llama-3.1-70b", "fp8", "trtllm", "InferenceX", "4", "8192", "1024", "64"): (
        0.0354017,
        1701.2,
        608.606,
    ),
    ("h200-sxm", "llama-3.1-70b", "fp8", "trtllm", "TensorRT-LLM", "1", "1000", "1000", "saturated"): (
        0.0770869,
        2608.15,
        697.637,
    ),
    ("b200-sxm", "gpt-oss-120b", "fp4", "vllm", "ML.ENERGY", "1", "256", "1800", "128"): (0.0166404, 7658.23, 808.197),
    ("b200-sxm", "deepseek-r1", "fp4", "sglang", "InferenceX", "8", "1024", "1024", "64"): (
        0.0161059,
        3854.78,
        791.936,
    ),
    ("h100-sxm", "qwen3-32b", "bf16", "vllm", "", "2", "2048", "512", "16"): (0.0222938, 696.574, 464.716),
    ("gb300", "glm-4.6", "fp8", "vllm", "", "4", "4096", "1024", "32"): (0.0232435, 1353.74, 1070.29),
    ("mi355x", "llama-3.1-405b", "fp8", "vllm", "", "8", "2048", "1024", "64"): (0.0423973, 1443.05, 976.08),
    ("h200-sxm", "llama-3.1-70b", "fp8", "vllm", "InferenceX", "4", "1024", "1024", "@2"): (0.0113416, 1843.2, 454.384),
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
