"""A model's own config.json: shapes against published totals, refusals by name."""

import pytest

from compute.model_configs import entry_from_config
from compute.model_shapes import model_shape_from_entry

LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "attention_bias": False,
    "hidden_act": "silu",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "max_position_embeddings": 131072,
    "mlp_bias": False,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-05,
    "rope_theta": 500000.0,
    "tie_word_embeddings": False,
    "vocab_size": 128256,
}
HYBRID = {
    "model_type": "nemotron_h",
    "hidden_size": 4096,
    "head_dim": 128,
    "num_attention_heads": 32,
    "num_key_value_heads": 2,
    "hybrid_override_pattern": "MEMEMEM*E" + "MEMEMEM*E" * 2 + "MEMEMEMEM*E" * 4 + "MEMEMEM*E" + "MEMEMEME",
    "intermediate_size": 2688,
    "mamba_head_dim": 64,
    "mamba_num_heads": 128,
    "n_groups": 8,
    "ssm_state_size": 128,
    "conv_kernel": 4,
    "moe_intermediate_size": 2688,
    "moe_latent_size": 1024,
    "moe_shared_expert_intermediate_size": 5376,
    "n_routed_experts": 512,
    "n_shared_experts": 1,
    "num_experts_per_tok": 22,
    "mlp_hidden_act": "relu2",
    "num_nextn_predict_layers": 1,
    "vocab_size": 131072,
    "max_position_embeddings": 262144,
    "tie_word_embeddings": False,
    "num_hidden_layers": 88,
}
DEEPSEEK = {
    "model_type": "deepseek_v3",
    "hidden_size": 7168,
    "num_hidden_layers": 61,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "first_k_dense_replace": 3,
    "moe_layer_freq": 1,
    "vocab_size": 129280,
    "max_position_embeddings": 163840,
    "num_nextn_predict_layers": 1,
}
GATED = {
    "model_type": "qwen3_next",
    "hidden_size": 2048,
    "num_hidden_layers": 48,
    "full_attention_interval": 4,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "head_dim": 256,
    "attn_output_gate": True,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 32,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "linear_conv_kernel_dim": 4,
    "moe_intermediate_size": 512,
    "shared_expert_intermediate_size": 512,
    "num_experts": 512,
    "num_experts_per_tok": 10,
    "decoder_sparse_step": 1,
    "intermediate_size": 5120,
    "vocab_size": 151936,
    "max_position_embeddings": 262144,
}
WINDOWED = {
    "model_type": "gpt_oss",
    "hidden_size": 2880,
    "num_hidden_layers": 36,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "layer_types": ["sliding_attention", "full_attention"] * 18,
    "sliding_window": 128,
    "num_local_experts": 128,
    "num_experts_per_tok": 4,
    "intermediate_size": 2880,
    "vocab_size": 201088,
    "max_position_embeddings": 131072,
    "quantization_config": {"quant_method": "mxfp4"},
}


def test_a_dense_model_is_read():
    entry = entry_from_config(LLAMA, "My Llama 8B")
    assert entry["id"] == "my-llama-8b"
    assert entry["total_params"] == pytest.approx(8.03e9, rel=0.001)
    assert entry["kv_bytes_per_token_bf16_all_layers"] == 131_072
    assert entry["native_precision"] == "bf16"


def test_mamba_attention_and_experts_as_blocks_are_read():
    shape = model_shape_from_entry(entry_from_config(HYBRID, "Nemotron-3-Super-120B-A12B"))
    assert (shape.linear_layers, shape.full_layers, shape.moe_layers, shape.blocks) == (40, 8, 40, 88)
    assert shape.total_params == pytest.approx(120e9, rel=0.01)  # the name says 120B
    assert shape.active_params == pytest.approx(12e9, rel=0.03)  # and A12B


def test_latent_attention_and_shared_experts_are_read():
    entry = entry_from_config(DEEPSEEK, "DeepSeek-R1")
    assert (entry["attention_type"], entry["mla"]["kv_lora_rank"], entry["mtp_layers"]) == ("MLA", 512, 1)
    assert (entry["moe"]["moe_layers"], entry["moe"]["dense_layers"]) == (58, 3)
    assert entry["kv_bytes_per_token_bf16_all_layers"] == 61 * (512 + 64) * 2
    # 671B and 37B as published, the layer of drafts apart
    assert entry["total_params"] == pytest.approx(671e9, rel=0.005)
    assert entry["active_params"] == pytest.approx(37e9, rel=0.03)


def test_an_indexer_of_sparse_attention_is_read():
    sparse = DEEPSEEK | {"index_topk": 2048, "index_n_heads": 64, "index_head_dim": 128}
    entry = entry_from_config(sparse, "DeepSeek-V3.2")
    assert entry["sparse_attention"] == {"index_heads": 64, "index_head_dim": 128, "index_topk": 2048}
    some = entry_from_config(sparse | {"indexer_types": ["full"] * 31 + ["shared"] * 30}, "x")
    assert some["sparse_attention"]["index_layers"] == 31


def test_gated_linear_attention_between_full_layers_is_read():
    entry = entry_from_config(GATED, "Qwen3-Next-80B-A3B")
    assert (entry["full_attention_layers"], entry["linear_attention"]["layers"]) == (12, 36)
    assert (entry["linear_attention"]["kind"], entry["attention_output_gate"]) == ("gated_delta", True)
    assert entry["total_params"] == pytest.approx(80e9, rel=0.01)  # the name says 80B
    assert entry["kv_bytes_per_token_bf16_all_layers"] == 12 * 2 * 2 * 256 * 2


def test_windows_beside_full_layers_are_read():
    entry = entry_from_config(WINDOWED, "gpt-oss-120b")
    assert (entry["full_attention_layers"], entry["windowed_attention_layers"]) == (18, 18)
    assert (entry["sliding_window_tokens"], entry["native_precision"]) == (128, "mxfp4")
    assert entry["total_params"] == pytest.approx(117e9, rel=0.01)  # 116.8B as published
    assert entry["active_params"] == pytest.approx(5.1e9, rel=0.15)  # 5.1B as published, embeddings counted otherwise


def test_expert_layers_by_step_list_or_kind_are_counted():
    experts = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 1024}
    for how, n in (
        ({"mlp_layer_types": ["dense"] * 8 + ["sparse"] * 24}, 24),
        ({"moe_layer_freq": [0, 1] * 16}, 16),
        ({"decoder_sparse_step": 2}, 16),
        ({"first_k_dense_replace": 2, "mlp_only_layers": [5, 6]}, 28),
    ):
        moe = entry_from_config(LLAMA | experts | how, "x")["moe"]
        assert (moe["moe_layers"], moe["dense_layers"]) == (n, 32 - n), how


def test_the_language_part_of_a_model_that_sees_is_read():
    entry = entry_from_config({"model_type": "sees", "text_config": LLAMA, "vision_config": {"depth": 27}}, "x")
    assert entry["layers"] == 32


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_hidden_layers": None}, "num_hidden_layers is None"),
        ({"block_configs": [{}]}, "layers that each have their own shape cannot be represented"),
        ({"hidden_size_per_layer_input": 256}, "embeddings of every layer"),
        ({"time_mix_lora_rank": 64}, "unknown parts of the network: time_mix_lora_rank = 64"),
        ({"layer_types": ["retention"] * 32}, "layer_types has 'retention'"),
        ({"quantization_config": {"quant_method": "aqlm"}}, "method 'aqlm' cannot be read"),
        ({"num_experts": 8, "num_experts_per_tok": 9}, "a network of 8 experts uses 1 to 8"),
        ({"layer_types": ["sliding_attention"] * 32}, "layer_types has windowed layers, but sliding_window is blank"),
        ({"layer_types": ["full_attention"] * 31}, "the kinds of 31 layers are listed; num_hidden_layers is 32"),
        ({"layers_block_type": ["attention", "ssm"]}, "layers_block_type has 'ssm'; known are mamba"),
    ],
)
def test_what_cannot_be_represented_is_refused_by_name(change, words):
    with pytest.raises(ValueError, match=words):
        entry_from_config(LLAMA | change, "x")


@pytest.mark.parametrize(
    ("quantised", "precision"),
    [
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8_e4m3_block128"),
        ({"quant_method": "awq", "bits": 4}, "int4"),
        ({"quant_method": "mxfp4"}, "mxfp4"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "nvfp4"),
        ({"quant_method": "modelopt", "quant_algo": "FP8"}, "fp8_e4m3"),
        ({"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": 8}}}}, "fp8_e4m3"),
        (
            {"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": 4, "type": "int"}}}},
            "int4",
        ),
        (
            {
                "quant_method": "modelopt",
                "quant_algo": "MIXED_PRECISION",
                "quantized_layers": {"a": {"quant_algo": "FP8"}, "b": {"quant_algo": "NVFP4"}},
            },
            "nvfp4",
        ),
    ],
)
def test_the_precision_of_the_weights_is_read(quantised, precision):
    assert entry_from_config(LLAMA | {"quantization_config": quantised}, "x")["native_precision"] == precision
