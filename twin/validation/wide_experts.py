"""Experts spread over many nodes, prefill and decode apart, against published runs of DeepSeek-R1's architecture.

Nothing is fitted to them: the measured cases stay inside one node or rack. Published are tokens per second and node of
pools that are each kept busy, so the other pool is made large enough to wait for nothing.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from compute.accelerators import accelerator_from_entry
from compute.calibration.coefficients import coefficient_set
from compute.calibration.uncertainty import half_bands
from compute.model_shapes import model_shape_from_entry
from compute.prediction.rows import predict_rows
from compute.steps.disaggregation import PREFILL_DERATE
from facility.catalogue import entries
from twin.validation.check import Check, at_most

GROUP = "serving"
PER_NODE = 8
PLENTY = 100  # times the accelerators of the pool in question
# SGLang on H100 with DeepEP, prompts of 2,000 tokens (LMSYS, "Deploying DeepSeek with PD disaggregation and large-scale
# expert parallelism on 96 H100 GPUs", May 2025): 9 nodes that decode generate 22,300 tokens/s each at gaps of about
# 100 ms, 4 nodes that prefill read 52,300 each. Rate times gap is some 280 sequences per accelerator; 256 is recalled.
ACCELERATOR, MODEL, PROMPT_TOKENS = "h100-sxm", "deepseek-r1", 2000
DECODE_RANKS, DECODE_SEQUENCES, DECODED_PER_S = 72, 256, 22_300.0
PREFILL_RANKS, READ_PER_S = 32, 52_300.0


def checks(data: Path) -> Iterator[Check]:
    """Yield a row for each pool; needs no file of `data`."""
    generated = _tokens_per_s(DECODE_RANKS, PLENTY * DECODE_RANKS, DECODE_RANKS, DECODE_SEQUENCES * DECODE_RANKS)
    yield _check("decode over 72 ranks", generated / DECODE_RANKS * PER_NODE, DECODED_PER_S)
    prompts = _tokens_per_s(PREFILL_RANKS, PREFILL_RANKS, PLENTY * PREFILL_RANKS, PLENTY * PREFILL_RANKS)
    read = prompts * PROMPT_TOKENS / PREFILL_DERATE  # a pool that is measured alone need not match another
    yield _check("prefill over 32 ranks", read / PREFILL_RANKS * PER_NODE, READ_PER_S)


def _tokens_per_s(ranks: int, prefill: int, decode: int, concurrency: int) -> float:
    """Return tokens generated per second, or prompts per second where answers are of one token."""
    row = {
        "engine": "sglang",
        "accelerator": ACCELERATOR,
        "model": MODEL,
        "weight_precision": "fp8",
        "mode": "disaggregated",
        "tensor_parallel": "1",
        "data_parallel": str(ranks),
        "expert_parallel": str(ranks),
        "prefill_accelerators": str(prefill),
        "decode_accelerators": str(decode),
        "input_tokens": str(PROMPT_TOKENS),
        "output_tokens": "1000" if prefill > decode else "1",
        "concurrency": str(concurrency),
    }
    (answer,) = predict_rows(
        [row],
        {ACCELERATOR: accelerator_from_entry(entries("accelerators")[ACCELERATOR])},
        {MODEL: model_shape_from_entry(entries("models")[MODEL])},
        coefficient_set(),
    )
    if not answer["feasible"]:
        raise ValueError(str(answer["reason"]))
    return float(answer["output_tokens_per_s"])


def _check(pool: str, predicted: float, published: float) -> Check:
    reach = half_bands(coefficient_set().record, ACCELERATOR, MODEL, mode="disaggregated")["throughput"]
    note = f"{predicted:.0f} tokens/s and node, published {published:.0f}; the reach is the prediction's own 80 % band"
    name = f"DeepSeek-R1, {pool}, {ACCELERATOR}"
    return at_most(name, GROUP, 1, abs(float(np.log(predicted / published))), reach, "log", note)
