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
    ],
)
def test_the_precision_of_the_weights_is_read(quantised, precision):
    assert entry_from_config(LLAMA | {"quantization_config": quantised}, "x")["native_precision"] == precision
