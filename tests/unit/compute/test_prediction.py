"""Rows in, rows out: answers, bands and reasons."""

import math

import pytest

from compute.accelerators import accelerator_from_entry
from compute.calibration.cases import parse_case
from compute.calibration.coefficients import coefficient_set
from compute.model_shapes import model_shape_from_entry
from compute.prediction.rows import COLUMNS, PREDICTED, predict_rows
from facility.catalogue import entries

FITTED = coefficient_set()
ACCELERATORS = {name: accelerator_from_entry(entry) for name, entry in entries("accelerators").items()}
MODELS = {name: model_shape_from_entry(entry) for name, entry in entries("models").items()}
GOOD = {
    "case_id": "a",
    "source": "InferenceX",
    "engine": "vllm",
    "accelerator": "h200-sxm",
    "n_accelerators": "4",
    "model": "llama-3.1-70b",
    "weight_precision": "fp8",
    "mode": "aggregated",
    "tensor_parallel": "4",
    "input_tokens": "1024",
    "output_tokens": "1024",
    "concurrency": "64",
}
APART = {
    "n_accelerators": "24",
    "mode": "disaggregated",
    "model": "deepseek-r1",
    "prefill_accelerators": "8",
    "decode_accelerators": "16",
}


def answers(*changes):
    return predict_rows([GOOD | change for change in changes], ACCELERATORS, MODELS, FITTED)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": "gpt-9"}, "model 'gpt-9' is not in the catalogue"),
        ({"accelerator": ""}, "accelerator is blank"),
        ({"engine": "abacus"}, "engine 'abacus' is unknown"),
        ({"engine": "trtllm", "accelerator": "mi355x"}, "(TensorRT-LLM) does not run on mi355x; choose vllm or sglang"),
        ({"weight_precision": "int3"}, "weight_precision is 'int3'; must be one of bf16, fp8, fp4, int4"),
        ({"input_tokens": "0"}, "input_tokens is 0; must be 1 or more"),
        ({"output_tokens": "nan"}, "output_tokens is nan"),
        ({"output_tokens": ""}, "output_tokens is blank"),
        ({"concurrency": "-3"}, "concurrency is -3; must be greater than 0"),
        ({"concurrency": "many"}, "concurrency is 'many'; must be a number"),
        ({"tensor_parallel": "2.5"}, "tensor_parallel is 2.5; must be a whole number"),
        ({"tensor_parallel": "8"}, "n_accelerators is 4; parallelism of 8 needs at least that many"),
        ({"tensor_parallel": "3"}, "n_accelerators is 4; must be a whole multiple of the 3 that one instance takes"),
        ({"tensor_parallel": "3", "n_accelerators": "6"}, "must divide the 64 attention heads"),
        ({"mode": "sideways"}, "mode is 'sideways'"),
        ({"model": "llama-3.1-405b", "tensor_parallel": "1", "n_accelerators": "1"}, "weights need 410 GB"),
        ({"input_tokens": "999999"}, "takes at most 131072 tokens of context"),
        ({"input_tokens": "131000", "output_tokens": "8000", "source": ""}, "input_tokens + output_tokens is 139000"),
        ({"pipeline_parallel": "90", "tensor_parallel": "1", "n_accelerators": "90"}, "llama-3.1-70b has 80 layers"),
        ({"expert_parallel": "8"}, "expert_parallel is 8; llama-3.1-70b has no experts"),
        (
            {"model": "deepseek-r1", "expert_parallel": "3", "tensor_parallel": "1", "n_accelerators": "1"},
            "expert_parallel is 3; must be at most the 1 accelerators",
        ),
        ({"statistic": "mode"}, "statistic is 'mode'; must be one of mean, median"),
        ({"kv_precision": "fp2"}, "kv_precision is 'fp2'; must be one of bf16, fp8"),
        ({"checkpoint": "mine"}, "checkpoint 'mine' is unknown"),
        ({"speculative": "mtp"}, "llama-3.1-70b has no prediction module"),
        ({"speculative": "none", "draft_tokens": "2"}, "draft_tokens is 2 and speculative none"),
        ({"speculative": "eagle", "draft_acceptance": "1.2"}, "draft_acceptance is 1.2; must be in [0, 1]"),
        (
            APART | {"tensor_parallel": "8", "prefill_accelerators": "4", "n_accelerators": ""},
            "prefill_accelerators is 4",
        ),
        (APART | {"n_accelerators": "16"}, "prefill takes 8 and decode 16, which makes 24"),
        (APART | {"n_accelerators": "", "decode_workers": "3"}, "must be a whole multiple of decode_workers = 3"),
        ({"concurrency": "", "request_rate_per_s": "-1"}, "request_rate_per_s is -1; must be greater than 0"),
        ({"concurrency": "", "request_rate_per_s": "inf"}, "request_rate_per_s is inf; must be"),
        ({"request_rate_per_s": "2"}, "leave one of them blank"),
        ({"concurrency": "", "request_rate_per_s": "1e5"}, "4 x h200-sxm sustain at most"),
        (APART | {"concurrency": "", "request_rate_per_s": "1"}, "open arrivals need mode aggregated"),
    ],
)
def test_a_row_without_an_answer_says_why_and_the_others_are_answered(change, reason):
    first, bad, last = answers({}, change, {"case_id": "z"})
    assert bad["feasible"] is False
    assert reason in bad["reason"]
    assert bad["itl_s"] == ""
    assert first["feasible"]
    assert last["feasible"]
    assert first["itl_s"] == last["itl_s"]


def test_every_column_is_there_and_bands_hold_the_prediction():
    (row,) = answers({})
    assert tuple(row) == COLUMNS
    for name in PREDICTED:
        assert 0 < row[f"{name}_low"] < row[name] < row[f"{name}_high"]


def test_more_requests_than_are_taken_in_wait_and_the_answer_says_how_many():
    few, many, saturated = answers({"concurrency": "8"}, {"concurrency": "100000"}, {"concurrency": "saturated"})
    assert few["reason"] == saturated["reason"] == ""
    assert many["feasible"]
    taken = int(many["reason"].removeprefix("memory and seats take in ").split()[0])
    assert f"{taken} of 100000 requests" in many["reason"]
    # Little's law, with nine tenths of the nominal lengths: those taken in generate, and all are under way.
    n_out = 0.9 * 1024
    rate = many["output_tokens_per_s"] / n_out
    assert taken == pytest.approx(rate * n_out * many["itl_s"], rel=0.1)
    assert rate * (many["ttft_s"] + n_out * many["itl_s"]) == pytest.approx(100000, rel=1e-3)


def test_joules_per_token_are_watts_over_tokens_per_second():
    (row,) = answers({})
    assert row["joules_per_output_token"] == pytest.approx(4 * row["accelerator_power_w"] / row["output_tokens_per_s"])


def test_missing_columns_and_stray_cells_are_reasons_not_crashes():
    rows = [{"case_id": "a"}, {}, GOOD | {None: ["stray", "cells"]}, dict.fromkeys(GOOD)]
    found = predict_rows(rows, ACCELERATORS, MODELS, FITTED)
    assert [bool(row["feasible"]) for row in found] == [False, False, True, False]


def test_blank_parallelism_is_chosen_so_that_the_model_fits():
    (row,) = answers({"tensor_parallel": "", "n_accelerators": "", "model": "deepseek-r1"})
    assert row["feasible"]
    (row,) = answers({"tensor_parallel": "", "n_accelerators": "2", "model": "deepseek-r1"})
    assert "2 x 151 GB leave 0 GB" in row["reason"]


def test_saturated_has_throughput_and_no_time_to_first_token():
    (row,) = answers({"concurrency": "saturated"})
    assert row["ttft_s"] == ""
    assert row["output_tokens_per_s"] > answers({})[0]["output_tokens_per_s"]


def test_concurrency_beyond_memory_waits_and_adds_no_throughput():
    some, more = answers({"concurrency": "4000"}, {"concurrency": "100000"})
    assert more["output_tokens_per_s"] == pytest.approx(some["output_tokens_per_s"], rel=1e-9)
    assert more["ttft_s"] > 10 * some["ttft_s"]


def test_bands_are_wider_for_what_the_fit_has_not_seen():
    def width(row):
        return math.log(row["itl_s_high"] / row["itl_s_low"])

    known, new_model, new_part = answers(
        {}, {"model": "glm-4.6", "n_accelerators": "8", "tensor_parallel": "8"}, {"accelerator": "mi355x"}
    )
    assert width(new_model) > width(known)
    assert width(new_part) > width(known)


@pytest.mark.parametrize("accelerator", sorted(ACCELERATORS))
def test_every_accelerator_serves_every_model_or_says_why_not(accelerator):
    rows = answers(
        *(
            {"accelerator": accelerator, "model": model, "tensor_parallel": "", "n_accelerators": "8", "engine": ""}
            for model in MODELS
        )
    )
    for row in rows:
        if row["feasible"]:
            assert all(math.isfinite(row[name]) and row[name] > 0 for name in PREDICTED)
            assert row["accelerator_power_w"] <= ACCELERATORS[accelerator].tdp_w
        else:
            assert "GB" in row["reason"]


def test_prefill_apart_decodes_without_prompts_in_the_way():
    apart = APART | {"tensor_parallel": "8", "concurrency": "256", "input_tokens": "8192"}
    together = {
        "model": "deepseek-r1",
        "tensor_parallel": "8",
        "n_accelerators": "24",
        "input_tokens": "8192",
        "concurrency": "256",
    }
    separate, shared = answers(apart, together)
    assert separate["feasible"]
    assert separate["itl_s"] < shared["itl_s"]


def test_open_arrivals_serve_their_rate_and_wait_longer_with_it():
    calm, busy = answers(*({"concurrency": "", "request_rate_per_s": rate} for rate in ("0.5", "3")))
    assert calm["feasible"]
    assert calm["output_tokens_per_s"] == pytest.approx(0.5 * 1024 * 0.9)
    assert busy["output_tokens_per_s"] == pytest.approx(6 * calm["output_tokens_per_s"])
    assert busy["ttft_s"] > calm["ttft_s"]
    assert busy["itl_s"] > calm["itl_s"]
    assert busy["accelerator_power_w"] > calm["accelerator_power_w"]
    for row in (calm, busy):
        for name in PREDICTED:
            assert 0 < row[f"{name}_low"] < row[name] < row[f"{name}_high"]


def test_arrivals_and_a_closed_loop_of_what_they_put_in_service_agree_on_generation():
    (arriving,) = answers({"concurrency": "", "request_rate_per_s": "2"})
    life_s = arriving["ttft_s"] + 0.9 * 1024 * arriving["itl_s"]
    (closed,) = answers({"concurrency": str(2 * life_s)})
    assert arriving["itl_s"] == pytest.approx(closed["itl_s"], rel=0.08)
    assert arriving["output_tokens_per_s"] == pytest.approx(closed["output_tokens_per_s"], rel=0.08)


@pytest.mark.parametrize(
    "labels",
    [
        {"tensor_parallel": "1", "expert_parallel": "8"},
        {"tensor_parallel": "1", "expert_parallel": "1"},
        {"prefill_workers": "1", "decode_workers": "2", "prefill_tp": "8", "decode_tp": "8", "decode_ep": "8"},
        {
            "prefill_workers": "1",
            "decode_workers": "1",
            "prefill_tp": "1",
            "decode_tp": "1",
            "decode_attention_dp": "1",
        },
        {"decode_tp": "1", "decode_ep": "8", "decode_attention_dp": "1"},
        {"decode_tp": "1", "decode_ep": "1", "prefill_tp": "1"},
    ],
)
def test_a_worker_takes_its_accelerators_however_loosely_its_ranks_are_labelled(labels):
    blank = {"tensor_parallel": "", "expert_parallel": ""}
    (row,) = answers(APART | blank | labels | {"concurrency": "64"})
    assert row["feasible"], row["reason"]


def test_the_mode_alone_is_enough_and_pools_are_chosen_to_keep_up():
    alone = {"mode": "disaggregated", "model": "deepseek-r1", "tensor_parallel": "", "n_accelerators": ""}
    chosen, bounded, one_pool = answers(
        alone, alone | {"n_accelerators": "32"}, alone | {"prefill_accelerators": "8", "n_accelerators": "32"}
    )
    for row in (chosen, bounded, one_pool):
        assert row["feasible"], row["reason"]
    (few,) = answers(alone | {"n_accelerators": "4"})
    assert "leave 0 GB" in few["reason"] or "accelerators" in few["reason"]


def test_pools_of_different_parallelism_are_different_workers():
    wide = APART | {"tensor_parallel": "", "prefill_tp": "8", "decode_workers": "1", "decode_attention_dp": "1"}
    narrow = wide | {"decode_workers": "2", "decode_attention_dp": "0", "decode_tp": "8"}
    wide_row, narrow_row = answers(wide | {"concurrency": "512"}, narrow | {"concurrency": "512"})
    assert wide_row["itl_s"] != pytest.approx(narrow_row["itl_s"], rel=0.02)


def test_drafts_shorten_the_gap_between_tokens_by_what_is_kept_of_them():
    deep = {"model": "deepseek-r1", "tensor_parallel": "8", "n_accelerators": "8", "concurrency": "4"}
    none, predicted, few, many = answers(
        deep,
        deep | {"speculative": "mtp"},
        deep | {"speculative": "mtp", "draft_tokens": "2", "draft_acceptance": "0.1"},
        deep | {"speculative": "mtp", "draft_tokens": "2", "draft_acceptance": "0.9"},
    )
    assert many["itl_s"] < few["itl_s"]
    assert predicted["itl_s"] < none["itl_s"]


def test_int4_weights_take_a_quarter_of_bf16_and_a_checkpoint_that_keeps_attention_takes_more():
    base = {"accelerator": "h100-sxm", "tensor_parallel": "1", "n_accelerators": "1", "concurrency": "4"}
    wide, narrow = answers(base | {"weight_precision": "bf16"}, base | {"weight_precision": "int4"})
    assert "weights need 141 GB" in wide["reason"]
    assert narrow["feasible"]
    big = {"model": "llama-3.1-405b", "accelerator": "h100-sxm", "tensor_parallel": "4", "n_accelerators": "4"}
    usual, metas = answers(big, big | {"checkpoint": "meta-llama/Llama-3.1-405B-Instruct-FP8"})
    assert "weights need 410 GB" in usual["reason"]
    assert "weights need 496 GB" in metas["reason"]


def test_a_small_card_keeps_room_for_the_cache_that_engines_find_there():
    small = {
        "accelerator": "l4",
        "model": "llama-3.1-8b",
        "weight_precision": "bf16",
        "n_accelerators": "1",
        "tensor_parallel": "1",
        "source": "",
        "input_tokens": "1000",
        "output_tokens": "200",
    }
    eight, many = answers(small | {"concurrency": "8"}, small | {"concurrency": "100"})
    assert eight["reason"] == ""  # all eight are taken in: a real card holds 31,232 tokens (vLLM issue 10517)
    taken = int(many["reason"].removeprefix("memory and seats take in ").split()[0])
    assert 25 <= taken <= 32


def test_block_fp8_that_does_not_split_is_answered_with_a_warning():
    row = {"accelerator": "h100-sxm", "model": "qwen3-235b-a22b", "tensor_parallel": "8", "n_accelerators": "8"}
    sliced, whole = answers(row, row | {"expert_parallel": "8"})
    assert sliced["feasible"]
    assert "1536/8 = 192 is no multiple of 128" in sliced["reason"]
    assert "expert_parallel" in sliced["reason"]
    assert whole["reason"] == ""


def test_littles_law_holds_at_any_answer_length_and_one_token_has_no_gap():
    base = {"source": "", "concurrency": "64"}
    for row, n_out in zip(
        answers(*(base | {"output_tokens": n} for n in ("2", "3", "20", "500"))), (2, 3, 20, 500), strict=True
    ):
        life_s = row["ttft_s"] + (n_out - 1) * row["itl_s"]
        assert row["output_tokens_per_s"] / n_out * life_s == pytest.approx(64, rel=1e-6)
    (one,) = answers(base | {"output_tokens": "1"})
    assert one["itl_s"] == ""
    assert one["output_tokens_per_s"] * one["ttft_s"] == pytest.approx(64, rel=1e-6)


def test_a_benchmark_is_known_by_either_of_its_names():
    first, second = answers({"source": "InferenceMAX run 1", "case_id": "a"}, {"source": "InferenceX", "case_id": "b"})
    assert {**first, "case_id": ""} == {**second, "case_id": ""}


def test_medians_do_not_see_the_start_of_a_benchmark():
    mean, median = answers({"statistic": "mean"}, {"statistic": "median"})
    assert median["ttft_s"] < mean["ttft_s"]
    assert median["itl_s"] == mean["itl_s"]


def test_watts_over_time_lie_around_their_mean_and_pools_that_read_prompts_draw_most():
    together, apart = answers({}, APART | {"input_tokens": "8192", "concurrency": "512"})
    assert together["prefill_power_w"] == ""
    p50, p75, p90 = (together[f"accelerator_power_p{q}_w"] for q in (50, 75, 90))
    assert p50 <= p75 <= p90 < 1.2 * p50
    assert p50 == pytest.approx(together["accelerator_power_w"], rel=0.05)
    assert apart["prefill_power_w"] > apart["decode_power_w"] > ACCELERATORS["h200-sxm"].idle_w
    both = (8 * apart["prefill_power_w"] + 16 * apart["decode_power_w"]) / 24
    assert apart["accelerator_power_w"] == pytest.approx(both)


def test_a_deployment_of_ones_own_is_predicted_as_the_calibrated_client_sees_it():
    drawn = {"input_tokens": "900", "output_tokens": "900"}
    own, named, benchmark = answers(
        drawn | {"source": ""},
        drawn | {"source": "our cluster, August"},
        {"source": "InferenceX", "input_tokens": "1000", "output_tokens": "1000"},
    )
    for name in ("ttft_s", "itl_s", "output_tokens_per_s"):
        assert own[name] == named[name] == pytest.approx(benchmark[name], rel=1e-9)
    case = parse_case(GOOD | {"source": ""}, ACCELERATORS, MODELS)
    assert "|own|" in case.deployment  # so it is none of those whose other loads were measured
    assert "a client as InferenceX's, lengths as given" in own["assumed"]
    assert "lengths drawn at 0.8 to 1 of the nominal ones" in benchmark["assumed"]


def test_what_was_assumed_comes_back_and_what_was_stated_does_not():
    deep = {"model": "deepseek-r1", "n_accelerators": "8", "tensor_parallel": "8", "speculative": "mtp"}
    blank, stated = answers(
        deep,
        deep
        | {
            "statistic": "median",
            "engine_version": "1.2.0",
            "kv_precision": "fp8",
            "draft_tokens": "2",
            "draft_acceptance": "0.8",
        },
    )
    for words in ("latencies are means", "no release", "fp8 cache", "3 tokens drafted", "accepted with", "predicted"):
        assert words in blank["assumed"]
        assert words not in stated["assumed"]
