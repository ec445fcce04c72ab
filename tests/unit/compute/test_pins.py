"""Pinned configurations and restricted searches."""

import pytest

from compute.accelerators import accelerator_from_entry
from compute.calibration.coefficients import coefficient_set
from compute.model_shapes import model_shape_from_entry
from compute.steady.frontier import serving_frontier
from compute.steady.pins import FREE, Pin, Restrictions, pin_from_text
from compute.steady.serving import best_configuration, pinned_configuration, serving_curve
from compute.steps.roofline import Parallelism
from compute.workload import LatencyTargets, Workload
from facility.catalogue import entries

PART = accelerator_from_entry(entries("accelerators")["gb200"])
MODEL = model_shape_from_entry(entries("models")["deepseek-r1"])
WORKLOAD, TARGETS = Workload(4000, 800), LatencyTargets(2.0, 0.05)


def searched(restrictions=FREE, most=32):
    return best_configuration(
        coefficient_set(), PART, MODEL, WORKLOAD, TARGETS, max_accelerators=most, restrictions=restrictions
    )


def pinned(text, most=72):
    return pinned_configuration(
        coefficient_set(), PART, MODEL, WORKLOAD, TARGETS, pin_from_text(text), max_accelerators=most
    )


def test_a_configuration_is_written_and_read_alike():
    apart = Pin(Parallelism(1, 1, 32, 32), Parallelism(4), 2, 1, "fp4", 2, 64)
    assert pin_from_text("fp4, prefill 2 x TP 4 : decode 1 x DP 32 EP 32, MTP 2, batch 64") == apart
    assert pin_from_text("tp8 pp2") == Pin(Parallelism(8, 2))
    assert pin_from_text("fp8, TP 8, on vLLM, 64 of 72 used") == Pin(Parallelism(8), precision="fp8")
    found = searched()
    assert pinned(found.configuration.text()).configuration == found.configuration


def test_what_a_search_found_serves_as_much_when_it_is_pinned():
    found = searched()
    again = pinned(found.configuration.text())
    assert again.output_tokens_per_s == pytest.approx(found.output_tokens_per_s, rel=1e-5)


@pytest.mark.parametrize(
    ("restrictions", "holds"),
    [
        (Restrictions("aggregated"), lambda c: not c.is_disaggregated),
        (Restrictions("disaggregated"), lambda c: c.is_disaggregated),
        (Restrictions(max_ranks=8), lambda c: c.parallelism.accelerators <= 8),
        (Restrictions(allow_pipelines=False), lambda c: c.parallelism.pipeline_parallel == 1),
    ],
)
def test_a_restricted_search_keeps_to_its_restrictions_and_never_gains(restrictions, holds):
    found = searched(restrictions)
    assert holds(found.configuration)
    assert found.output_tokens_per_s <= searched().output_tokens_per_s * (1 + 1e-9)
    assert restrictions.text()


def test_a_batch_that_is_pinned_is_not_passed():
    found = pinned("fp8, TP 8, batch 8")
    curve = serving_curve(coefficient_set(), found.configuration, WORKLOAD, TARGETS, [1.0], [0.5, 1.0])
    assert curve.batch.max() <= 8 * (1 + 1e-9)
    assert found.output_tokens_per_s < pinned("fp8, TP 8").output_tokens_per_s


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("TP 7", "tensor_parallel is 7; must divide the 128 attention heads"),
        ("TP 8 PP 62", "deepseek-r1 has 61 layers"),
        ("TP 8 EP 16", "expert_parallel is 16; must be at most the 8"),
        ("DP 128 EP 128", "the configuration takes 128 x gb200; there are 72"),
        ("fp8, TP 1", "weights need 673 GB"),
        ("prefill 1 x TP 7 : decode 1 x TP 8", "prefill_tensor_parallel is 7"),
    ],
)
def test_what_cannot_run_is_an_answer_with_a_reason(text, words):
    answer = pinned(text)
    assert answer.configuration is None
    assert words in answer.reason
    frontier = serving_frontier(coefficient_set(), PART, MODEL, WORKLOAD, max_accelerators=72, pin=pin_from_text(text))
    assert words in frontier.reason


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no parallelism"),
        ("eight", "cannot be read at 'eight'"),
        ("TP 0", "cannot be read at 'TP 0'"),
        ("TP 4 TP 8", "each once"),
        ("TP 4, batch many", "number of requests in an instance"),
        ("TP 4, fast", "'fast' cannot be read"),
        ("prefill 0 x TP 4 : decode 1 x TP 4", "number of prefill instances"),
    ],
)
def test_a_text_that_cannot_be_read_names_its_part(text, words):
    with pytest.raises(ValueError, match=words):
        pin_from_text(text)


def test_a_pinned_frontier_has_that_configuration_alone():
    text = "fp8, prefill 2 x TP 8 : decode 1 x DP 16 EP 16"
    frontier = serving_frontier(coefficient_set(), PART, MODEL, WORKLOAD, max_accelerators=72, pin=pin_from_text(text))
    assert set(frontier.configuration) == {text}


def test_a_pin_names_the_caches_precision_and_the_checkpoint():
    assert pin_from_text("fp8, TP 8, KV bf16").kv_precision == "bf16"
    wide, narrow = (pinned(f"fp8, TP 8, KV {kv}") for kv in ("bf16", "fp8"))
    assert wide.configuration.text() == "fp8, TP 8, KV bf16"
    assert wide.output_tokens_per_s < narrow.output_tokens_per_s
    with pytest.raises(ValueError, match="precision of the KV cache must be one of bf16, fp8"):
        pin_from_text("TP 8, KV fp2")
    hopper = accelerator_from_entry(entries("accelerators")["h100-sxm"])
    llama = model_shape_from_entry(entries("models")["llama-3.1-405b"])
    text = "fp8, TP 4, checkpoint Llama-3.1-405B-Instruct-FP8"
    answer = pinned_configuration(
        coefficient_set(), hopper, llama, WORKLOAD, TARGETS, pin_from_text(text), max_accelerators=8
    )
    assert "weights need 496 GB" in answer.reason
    unknown = pinned("fp8, TP 8, checkpoint mine")
    assert "checkpoint 'mine' is unknown" in unknown.reason
