"""What no engine runs: every refusal says the value and what is allowed; warnings go with an answer."""

import pytest

from compute.model_shapes import model_shape_from_entry
from compute.steps.roofline import Parallelism
from compute.steps.rules import deployment_refusals, deployment_warnings
from facility.catalogue import entries

LLAMA = model_shape_from_entry(entries("models")["llama-3.1-8b"])  # 32 layers, 32 heads, no experts
QWEN = model_shape_from_entry(entries("models")["qwen3-30b-a3b"])  # 128 experts of 768


def test_what_an_engine_runs_is_not_refused():
    assert deployment_refusals(LLAMA, Parallelism(8, 2), n_accelerators=16, input_tokens=4000, output_tokens=800) == ()
    assert deployment_refusals(QWEN, Parallelism(1, 1, 8, 8)) == ()


@pytest.mark.parametrize(
    ("model", "parallelism", "asked", "reason"),
    [
        (LLAMA, Parallelism(3), {}, "tensor_parallel is 3; must divide the 32 attention heads"),
        (LLAMA, Parallelism(1, 33), {}, "pipeline_parallel is 33; llama-3.1-8b has 32 layers"),
        (LLAMA, Parallelism(2, 1, 1, 2), {}, "expert_parallel is 2; llama-3.1-8b has no experts"),
        (QWEN, Parallelism(4, 1, 1, 8), {}, "expert_parallel is 8; must be at most the 4 accelerators"),
        (
            LLAMA,
            Parallelism(8),
            {"n_accelerators": 4},
            "n_accelerators is 4; parallelism of 8 needs at least that many",
        ),
        (LLAMA, Parallelism(3), {"prefix": "decode_"}, "decode_tensor_parallel is 3"),
        (
            LLAMA,
            Parallelism(1),
            {"input_tokens": 131_000, "output_tokens": 73},
            "input_tokens + output_tokens is 131073; llama-3.1-8b takes at most 131072 tokens of context",
        ),
    ],
)
def test_what_no_engine_runs_is_refused_by_name(model, parallelism, asked, reason):
    (found,) = deployment_refusals(model, parallelism, **asked)
    assert reason in found


def test_every_reason_is_given_at_once():
    reasons = deployment_refusals(LLAMA, Parallelism(3, 33), n_accelerators=1, input_tokens=1e6)
    assert len(reasons) == 4


def test_slices_of_experts_that_are_no_whole_blocks_are_warned_of():
    # 768 / 8 = 96 columns: less than a block of 128. Whole experts on each rank need no split.
    (warning,) = deployment_warnings(QWEN, Parallelism(8), "fp8")
    assert "expert slice of 768/8 = 96 is no multiple of 128" in warning
    assert deployment_warnings(QWEN, Parallelism(8, 1, 1, 8), "fp8") == ()
    assert deployment_warnings(QWEN, Parallelism(8), "bf16") == ()
    assert deployment_warnings(LLAMA, Parallelism(8), "fp8") == ()  # its checkpoint is not stored in blocks
