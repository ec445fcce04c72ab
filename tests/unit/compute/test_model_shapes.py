"""Shapes, memory and collectives against values worked by hand."""

import pytest

from compute.accelerators import Accelerator, accelerator_from_entry
from compute.model_shapes import model_shape_from_entry, with_checkpoint
from compute.steps.collectives import all_reduce_s_per_byte, all_to_all_s_per_token
from compute.steps.kv_cache import admitted_requests, kv_bytes_per_request, memory_fit, memory_reason
from compute.steps.roofline import Parallelism, deployment_work
from facility.catalogue import entries


def shape(name):
    return model_shape_from_entry(entries("models")[name])


def part(name):
    return accelerator_from_entry(entries("accelerators")[name])


@pytest.mark.parametrize("name", sorted(entries("models")))
def test_parameters_from_dimensions_agree_with_the_published_total(name):
    # vendors round totals to two or three digits; the widest gap is Kimi K2, 1.04e12 published against 1.026e12
    assert shape(name).total_params == pytest.approx(entries("models")[name]["total_params"], rel=0.02)


def test_grouped_query_attention_caches_keys_and_values_of_the_kv_heads():
    llama = shape("llama-3.1-70b")
    work = deployment_work(part("h100-sxm"), llama, Parallelism(8), weight_precision="fp8", kv_precision="bf16")
    # 80 layers x 8 heads x 128 x 2 (K and V) x 2 bytes
    assert work.kv_bytes_per_token[0] == 327_680
    assert work.kv_copies[0] == 1


def test_more_tensor_ranks_than_kv_heads_store_each_head_more_than_once():
    work = deployment_work(part("gb200"), shape("qwen3-235b-a22b"), Parallelism(16), weight_precision="fp8")
    assert work.kv_copies[0] == 16 / 4


def test_the_latent_of_mla_is_576_elements_per_layer_and_does_not_shrink_with_tensor_parallelism():
    deepseek = shape("deepseek-r1")
    for ranks in (1, 8):
        work = deployment_work(part("h200-sxm"), deepseek, Parallelism(ranks), weight_precision="fp8")
        assert work.kv_bytes_per_token[0] == 61 * 576 * 2
        assert work.kv_copies[0] == ranks
    spread = deployment_work(part("h200-sxm"), deepseek, Parallelism(1, 1, 8, 8), weight_precision="fp8")
    assert spread.kv_copies[0] == 1  # with data-parallel attention each request's latent lies on one rank


def test_sliding_windows_stop_growing():
    work = deployment_work(part("h100-sxm"), shape("gpt-oss-120b"), Parallelism(1), weight_precision="fp4")
    short, long, longer = (kv_bytes_per_request(work, tokens)[0] for tokens in (128, 10_000, 20_000))
    per_layer = 8 * 64 * 2 * 2
    assert short == 36 * per_layer * 128
    assert long == 18 * per_layer * (10_000 + 128)
    assert longer - long == 18 * per_layer * 10_000


def test_native_fp4_experts_keep_their_width_whatever_precision_is_asked():
    oss = shape("gpt-oss-120b")
    assert oss.weight_bytes("fp8") == oss.weight_bytes("bf16") == oss.weight_bytes("fp4")


def test_memory_that_does_not_fit_says_what_is_needed_and_what_is_left():
    llama = shape("llama-3.1-405b")
    work = deployment_work(part("h100-sxm"), llama, Parallelism(4), weight_precision="fp8")
    memory = memory_fit(work, part("h100-sxm").hbm_bytes)
    # 405.85e9 parameters, 4.2e9 of them in two BF16 tables: 401.6 + 2 x 4.2 = 410 GB
    assert memory_reason(work, memory, 2000) == "weights need 410 GB, 4 x 86 GB leave 0 GB for KV cache"


def test_admission_is_memory_left_over_memory_per_request():
    work = deployment_work(part("h100-sxm"), shape("llama-3.1-70b"), Parallelism(4), weight_precision="fp8")
    memory = memory_fit(work, 85.9e9, claimed_frac=0.9, workspace_bytes=3e9)
    weights = (70.55e9 - 2 * 128256 * 8192) * 1.0 + 2 * 2 * 128256 * 8192
    expected = (4 * (0.9 * 85.9e9 - 3e9) - weights) / (327_680 * 2000)
    # parameter count from dimensions against the published 70.55e9
    assert admitted_requests(work, memory, 2000)[0] == pytest.approx(expected, rel=1e-3)


def test_a_ring_all_reduce_moves_almost_twice_the_message():
    assert all_reduce_s_per_byte(8, 450e9) == pytest.approx(2 * 7 / 8 / 450e9)


def test_all_to_all_between_many_ranks_sends_one_copy_per_expert_and_the_same_rank_none():
    seconds = all_to_all_s_per_token(ranks=100_000, hidden_size=7168, active_experts=8, link_bytes_per_s=1.0)
    assert seconds == pytest.approx(8 * 7168 * 3, rel=1e-3)  # two of 8 draws hit one rank with chance 2.8e-4
    assert all_to_all_s_per_token(ranks=1, hidden_size=7168, active_experts=8, link_bytes_per_s=1.0) == 0


def test_a_part_without_units_for_a_precision_computes_in_the_next_wider_one():
    hopper, ampere = part("h100-sxm"), part("a100-sxm-80gb")
    assert hopper.compute_precision("fp4") == "fp8"
    assert hopper.peak_flops_per_s("fp4") == hopper.peak_fp8_flops_per_s
    assert ampere.compute_precision("fp8") == "bf16"


def test_every_catalogue_accelerator_has_what_the_solver_needs():
    for entry in entries("accelerators").values():
        found = accelerator_from_entry(entry)
        assert 0 < found.idle_w < found.tdp_w


def test_a_missing_figure_is_named():
    with pytest.raises(ValueError, match="accelerator x: hbm_bytes is None; must be greater than 0"):
        accelerator_from_entry({"id": "x", "tdp_w": 1, "hbm_bandwidth_bytes_per_s": 1})
    with pytest.raises(ValueError, match="model y: layers is 0; must be greater than 0"):
        model_shape_from_entry({"id": "y", "layers": 0})
    values = {field: getattr(part("h100-sxm"), field) for field in Accelerator.__dataclass_fields__}
    with pytest.raises(ValueError, match=r"Accelerator h100-sxm.tdp_w is -1; must be greater than 0"):
        Accelerator(**values | {"tdp_w": -1})


def test_linear_attention_keeps_a_state_per_sequence_and_caches_only_in_full_layers():
    qwen = shape("qwen3.5-397b-a17b")
    assert (qwen.full_layers, qwen.linear_layers) == (15, 45)
    work = deployment_work(part("b200-sxm"), qwen, Parallelism(1), weight_precision="fp8", kv_precision="bf16")
    # 15 layers x 2 heads x 256 x 2 (K and V) x 2 bytes
    assert work.kv_bytes_per_token[0] == 15 * 2 * 256 * 2 * 2
    # 45 layers of 64 x 128 x 128 in FP32, and three tokens of (2 x 16 + 64) x 128 under the convolution in BF16
    state = 45 * (64 * 128 * 128 * 4 + 3 * (2 * 16 + 64) * 128 * 2)
    assert work.state_bytes[0] == state
    assert kv_bytes_per_request(work, 1000)[0] == state + 1000 * work.kv_bytes_per_token[0]


def test_compressed_attention_caches_entries_that_stand_for_many_tokens():
    deepseek = shape("deepseek-v4-pro")
    work = deployment_work(part("b200-sxm"), deepseek, Parallelism(1), weight_precision="fp4", kv_precision="fp8")
    # 31 layers keep 512 elements of 128 tokens, 30 of 4 tokens and 128 beside them for the indexer
    assert work.kv_bytes_per_token[0] == pytest.approx(31 * 512 / 128 + 30 * (512 + 128) / 4)
    assert work.window_tokens[0] == 1024 * 4
    assert work.state_bytes[0] == 61 * 128 * 512


def test_metas_405b_in_fp8_keeps_attention_in_bf16():
    llama = shape("llama-3.1-405b")
    assert sum(llama.weight_bytes("fp8")) == pytest.approx(410e9, rel=0.002)
    metas = with_checkpoint(llama, "meta-llama/Llama-3.1-405B-Instruct-FP8", "fp8")
    assert sum(metas.weight_bytes("fp8")) == pytest.approx(496e9, rel=0.002)
    assert metas.attention_precision("fp8") == "bf16"
    with pytest.raises(
        ValueError, match="known of llama-3.1-405b are default, attention-bf16, Llama-3.1-405B-Instruct-FP8"
    ):
        with_checkpoint(llama, "another", "fp8")
    with pytest.raises(ValueError, match="weight precision is fp4; checkpoint Llama-3.1-405B-Instruct-FP8"):
        metas.weight_bytes("fp4")


def test_four_bit_integers_are_stored_narrow_and_multiplied_in_bf16():
    work = deployment_work(part("h100-sxm"), shape("llama-3.1-70b"), Parallelism(1), weight_precision="int4")
    wide = deployment_work(part("h100-sxm"), shape("llama-3.1-70b"), Parallelism(1), weight_precision="bf16")
    assert work.weight_bytes[0] < 0.3 * wide.weight_bytes[0]
    assert work.dense_gemm_s[0] == wide.dense_gemm_s[0]


def test_sliced_experts_gather_every_token_and_spread_ones_send_it_to_those_it_needs():
    card, model = part("rtx-pro-6000"), shape("qwen3-30b-a3b")
    sliced, spread = (
        deployment_work(card, model, Parallelism(1, 1, 2, experts), weight_precision="fp8") for experts in (1, 2)
    )
    # per layer and token over one PCIe link: 2 x (1/2) x 2048 x 2 bytes, both ways, against one remote rank's 3 bytes
    assert sliced.exchange_token_s[0] == pytest.approx(48 * 2 * 0.5 * 2048 * 2 / 64e9)
    assert spread.exchange_token_s[0] == pytest.approx(48 / 2 * 2 * (1 - 0.5**8) * 0.5 * 2048 * 3 / 64e9)
