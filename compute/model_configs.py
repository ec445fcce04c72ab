"""Served models from their published `config.json`: the shape read, parts that cannot be represented refused by name.

The result is a catalogue entry of kind `models` (without its source), which `compute.model_shapes` reads.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from compute.model_shapes import model_shape_from_entry

Config = Mapping[str, Any]

# Names that say something of a network's structure. A key like these that is not among those below is refused: the
# shape would be read wrongly without a word.
STRUCTURAL = re.compile(
    r"attn|attention|expert|layer|ssm|mamba|linear|lora|index|compress|latent|block|window|kv|moe|head|sparse|conv"
    r"|state|rank|hash|mtp|nextn|group|topk|top_k|hybrid"
)
READ = """num_hidden_layers num_layers hidden_size num_attention_heads num_key_value_heads head_dim v_head_dim
    intermediate_size dense_intermediate_size layer_types layers_block_type hybrid_override_pattern sliding_window
    sliding_window_size hybrid_layer_pattern full_attention_interval attn_output_gate mla_use_output_gate
    attention_output_gate attention_k_eq_v global_head_dim num_global_key_value_heads swa_head_dim swa_v_head_dim
    swa_num_key_value_heads swa_num_attention_heads q_lora_rank kv_lora_rank qk_nope_head_dim qk_rope_head_dim
    qk_head_dim index_topk index_n_heads index_head_dim indexer_types o_groups o_lora_rank compress_ratios
    linear_conv_kernel_dim linear_key_head_dim linear_num_key_heads linear_num_value_heads linear_value_head_dim
    linear_attn_config conv_kernel mamba_head_dim mamba_num_heads n_groups ssm_state_size num_experts num_local_experts
    n_routed_experts num_experts_per_tok num_experts_per_token experts_per_token top_k_experts moe_intermediate_size
    expert_intermediate_size n_shared_experts num_shared_experts shared_expert_intermediate_size
    moe_shared_expert_intermediate_size moe_latent_size routed_expert_hidden_size shared_intermediate_size
    share_expert_dim first_k_dense_replace moe_layer_freq mlp_layer_types mlp_only_layers decoder_sparse_step
    interleave_moe_layer_step enable_moe_block expert_dtype num_nextn_predict_layers mtp_num_hidden_layers
    num_mtp_modules mtp_transformer_layers use_mtp sparse_attention_config use_sliding_window attention_chunk_size
    attention_head_dim sliding_window_pattern no_rope_layers num_hash_layers intermediate_size_mlp"""
# Of those below nothing, or nothing that is counted, depends: biases, norms, scales, routing rules, library defaults.
WITHOUT_COST = re.compile(
    r"bias|dropout|norm|eps|_act\b|activation|router|rope|rotary|output_attentions|output_hidden_states|theta|scal"
    r"|renorm|mamba_(ssm_)?(cache_)?dtype|mamba_ssm_cache_dtype|mamba_ssm_dtype|mamba_hidden_act|use_mamba_kernels"
    r"|mamba_proj|time_step|beam|n_group|topk_group|expert_group|topk_method|use_grouped_topk|norm_topk_prob"
    r"|mtp_(hybrid|layers_block)|mtp_use|index_(share|skip|topk_freq|topk_pattern)|hc_|max_window_layers|top_k\b"
    r"|output_router|attn_temperature|attn_scale|floor_scale|attn_implementation|attn_type_list|attn_res_block_size"
    r"|moe_(router|renormalize|shared_expert_overlap)|latent_moe|vocab_size_per_layer|use_bidirectional|chunk_size"
    r"|conv_bias|attn_factor|mlp_bias|is_(encoder_)?decoder|qk_norm|ep_size|num_logits|linear_beta|layerdrop|no_split"
    r"|head_type|attn_logit|expert_capacity|for_llm|attention_value_scale|sink|residual"
)
REFUSED = {  # key: what it means, wherever it is neither blank, 0 nor false
    "add_cross_attention": "cross-attention to an encoder",
    "cross_attention_hidden_size": "cross-attention to an encoder",
    "is_encoder_decoder": "an encoder beside the decoder",
    "block_configs": "layers that each have their own shape",
    "hidden_size_per_layer_input": "embeddings of every layer",
    "num_kv_shared_layers": "layers that share another layer's cache",
    "time_step_rank": "Mamba of the first kind",
    "use_double_wide_mlp": "feed-forward layers of two widths",
    "layer_group_size": "groups of layers of unknown kinds",
}
ATTENTION_KINDS = {
    "full_attention": "full",
    "deepseek_sparse_attention": "full",
    "sliding_attention": "windowed",
    "chunked_attention": "windowed",
    "linear_attention": "linear",
}
MLP_WIDTHS = ("dense_intermediate_size", "intermediate_size_mlp", "intermediate_size")
SHARED_WIDTHS = (
    "shared_expert_intermediate_size",
    "moe_shared_expert_intermediate_size",
    "share_expert_dim",
    "shared_intermediate_size",
)
BLOCK_KINDS = {"M": "mamba", "*": "attention", "E": "moe", "-": "mlp"}


def entry_from_config(config: Config, name: str) -> dict[str, Any]:
    """Return the catalogue entry of a model from its `config.json`.

    Of models that also see or hear, the language model is read; what encodes pictures and sound is left out.

    Parameters
    ----------
    config : mapping
        As published beside a model's weights.
    name : str
        What the model is called; becomes its id in lower case.

    Raises
    ------
    ValueError
        If a dimension is missing or a part cannot be represented; names the key and its value.
    """
    if not isinstance(config, Mapping):
        raise ValueError("the file is not a config.json (a mapping of names to values)")
    text = dict(config.get("text_config") or config.get("llm_config") or config)
    for shared in ("quantization_config", "tie_word_embeddings"):
        if shared not in text and shared in config:
            text[shared] = config[shared]
    _refuse_unknown(text)
    hidden, heads = _whole(text, "hidden_size"), _whole(text, "num_attention_heads")
    kinds = _layers(text)
    head_dim = int(text.get("head_dim") or text.get("attention_head_dim") or hidden // heads)
    kv_heads = int(text.get("num_key_value_heads") or heads)
    entry: dict[str, Any] = {
        "id": re.sub(r"[^a-z0-9.+-]+", "-", name.lower()).strip("-."),
        "name": name,
        "layers": kinds["layers"],
        "hidden_size": hidden,
        "attention_heads": heads,
        "kv_heads": kv_heads,
        "head_dim": head_dim,
        "attention_type": "GQA",
        "sliding_window_tokens": None,
        "full_attention_layers": kinds["full"],
        "windowed_attention_layers": kinds["windowed"],
        "intermediate_size": next((int(text[k]) for k in MLP_WIDTHS if text.get(k)), None),
        "moe": _experts(text, kinds),
        "vocab_size": _whole(text, "vocab_size"),
        "tied_embeddings": bool(text.get("tie_word_embeddings", False)),
        "native_precision": _precision(text),
        "max_context_tokens": _whole(text, "max_position_embeddings"),
        "mtp_layers": int(text.get("num_nextn_predict_layers") or text.get("mtp_num_hidden_layers") or 0),
    }
    if kinds["blocks"]:
        entry["blocks"] = kinds["blocks"]
    if str(text.get("mlp_hidden_act") or text.get("hidden_act")) in ("relu2", "gelu", "gelu_new"):
        entry["mlp_matrices"] = 2
    if any(text.get(key) for key in ("attn_output_gate", "mla_use_output_gate", "attention_output_gate")):
        entry["attention_output_gate"] = True
    if kinds["linear"]:
        entry["linear_attention"] = _linear(text, kinds["linear"])
    if text.get("compress_ratios"):
        _take_compressed(entry, text)
    elif text.get("kv_lora_rank"):
        _take_latent(entry, text)
    else:
        _take_windows(entry, text)
    return _with_counts(entry)


def _refuse_unknown(text: Config) -> None:
    for key, meaning in REFUSED.items():
        if text.get(key):
            shown = str(text[key])
            raise ValueError(f"{key} is {shown[:40]}: {meaning} cannot be represented")
    known = READ.split()
    present = [key for key, value in text.items() if value not in (None, False, 0, [], {}, "")]
    structural = [key for key in present if STRUCTURAL.search(key) and not WITHOUT_COST.search(key)]
    strange = [key for key in structural if key not in known]
    if strange:
        shown = ", ".join(f"{key} = {str(text[key])[:30]}" for key in sorted(strange)[:5])
        raise ValueError(f"unknown parts of the network: {shown}; its cost cannot be read from this file")


def _whole(text: Config, key: str) -> int:
    value = text.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{key} is {value!r}; a config.json needs a whole number of 1 or more there")
    return value


def _layers(text: Config) -> dict[str, int]:
    """Return how many layers there are of each kind; `blocks` where feed-forward and attention do not alternate."""
    pattern = text.get("hybrid_override_pattern")
    blocks = text.get("layers_block_type") or ([BLOCK_KINDS.get(mark, mark) for mark in pattern] if pattern else None)
    if blocks:
        n_of_kind = Counter(blocks)
        if unknown := sorted(set(n_of_kind) - set(BLOCK_KINDS.values())):
            raise ValueError(f"layers_block_type has {unknown[0]!r}; known are {', '.join(BLOCK_KINDS.values())}")
        return {
            "layers": len(blocks),
            "full": n_of_kind["attention"],
            "windowed": 0,
            "linear": n_of_kind["mamba"],
            "blocks": len(blocks),
            "moe": n_of_kind["moe"],
            "dense": n_of_kind["mlp"],
        }
    n = _whole(text, "num_hidden_layers" if "num_hidden_layers" in text else "num_layers")
    counts: Counter[str] = Counter()
    linear = text.get("linear_attn_config") or {}
    if types := text.get("layer_types"):
        if unknown := sorted({kind for kind in types if kind not in ATTENTION_KINDS}):
            raise ValueError(f"layer_types has {unknown[0]!r}; known are {', '.join(ATTENTION_KINDS)}")
        counts.update(ATTENTION_KINDS[kind] for kind in types[:n])
    elif linear:
        counts["linear"], counts["full"] = len(linear["kda_layers"]), len(linear["full_attn_layers"])
    elif text.get("linear_num_value_heads") and text.get("full_attention_interval"):
        counts["full"] = n // int(text["full_attention_interval"])
        counts["linear"] = n - counts["full"]
    elif windows := text.get("hybrid_layer_pattern"):
        counts["windowed"] = sum(map(bool, windows[:n]))
        counts["full"] = n - counts["windowed"]
    elif text.get("attention_chunk_size") and str(text.get("model_type", "")).startswith("llama4"):
        # Llama 4: every fourth layer attends to everything, the others within chunks
        counts["full"] = n // 4
        counts["windowed"] = n - counts["full"]
    elif text.get("sliding_window") and text.get("use_sliding_window", True) and not text.get("compress_ratios"):
        every = int(text.get("sliding_window_pattern") or 0)
        counts["full"] = n // every if every else 0
        counts["windowed"] = n - counts["full"]
    else:
        counts["full"] = n
    if sum(counts.values()) != n:
        raise ValueError(f"the kinds of {sum(counts.values())} layers are listed; num_hidden_layers is {n}")
    return {
        "layers": n,
        "full": counts["full"],
        "windowed": counts["windowed"],
        "linear": counts["linear"],
        "blocks": 0,
        "moe": -1,
        "dense": -1,
    }


def _experts(text: Config, kinds: Mapping[str, int]) -> dict[str, Any] | None:
    experts = next((int(text[k]) for k in ("n_routed_experts", "num_experts", "num_local_experts") if text.get(k)), 0)
    if not experts or text.get("enable_moe_block") is False:
        return None
    chosen = ("num_experts_per_tok", "num_experts_per_token", "top_k_experts", "experts_per_token")
    active = next((int(text[k]) for k in chosen if text.get(k)), 0)
    if not 1 <= active <= experts:
        raise ValueError(f"experts per token is {active or None}; a network of {experts} experts uses 1 to {experts}")
    width = int(text.get("moe_intermediate_size") or text.get("expert_intermediate_size") or 0)
    width = width or _whole(text, "intermediate_size")
    n = kinds["layers"]
    if kinds["moe"] >= 0:
        moe_layers, dense = kinds["moe"], kinds["dense"]
    else:
        moe_layers = _expert_layers(text, n)
        dense = n - moe_layers
    shared_width = next((int(text[k]) for k in SHARED_WIDTHS if text.get(k)), 0)
    shared = int(text.get("n_shared_experts") or text.get("num_shared_experts") or (1 if shared_width else 0))
    if str(text.get("model_type", "")).startswith("llama4"):
        shared, shared_width = 1, width
    found = {
        "experts": experts,
        "active_experts": active,
        "shared_experts": shared,
        "moe_intermediate_size": width,
        "moe_layers": moe_layers,
        "dense_layers": dense,
    }
    if text.get("enable_moe_block"):  # Gemma 4: a dense layer runs beside the experts in every layer
        found["dense_layers"] = n
    if shared and shared_width and shared_width != width:
        found["shared_intermediate_size"] = shared_width
    if latent := text.get("moe_latent_size") or text.get("routed_expert_hidden_size"):
        found["latent_size"] = int(latent)
    return found


def _expert_layers(text: Config, n: int) -> int:
    if types := text.get("mlp_layer_types"):
        return sum(kind == "sparse" for kind in types[:n])
    frequency = text.get("moe_layer_freq")
    if isinstance(frequency, list):
        return sum(map(bool, frequency[:n]))
    first = int(text.get("first_k_dense_replace") or 0)
    step = int(text.get("decoder_sparse_step") or text.get("interleave_moe_layer_step") or frequency or 1)
    alone = len(text.get("mlp_only_layers") or ())
    return math.ceil((n - first) / step) - alone if step == 1 else (n - first) // step - alone


def _precision(text: Config) -> str:
    """Return the precision of the published weights, in the catalogue's words."""
    quantised = text.get("quantization_config") or {}
    method = str(quantised.get("quant_method") or "").lower()
    algorithm = str(quantised.get("quant_algo") or "").upper()
    if algorithm == "MIXED_PRECISION":  # layer by layer: the narrowest, which most of the weights are in
        algorithm = min(
            (str(layer.get("quant_algo")).upper() for layer in (quantised.get("quantized_layers") or {}).values()),
            key=lambda name: "FP4" not in name,
            default="",
        )
    blocks = "_block128" if quantised.get("weight_block_size") else ""
    groups = [g.get("weights") or {} for g in (quantised.get("config_groups") or {}).values()]
    bits = min((int(w.get("num_bits") or 16) for w in groups), default=16)
    if str(text.get("expert_dtype")).lower() == "fp4":
        return f"mxfp4_experts_fp8_e4m3{blocks}"
    if method == "mxfp4" or str(quantised.get("format") or "").startswith("mxfp4"):
        return "mxfp4"
    if method == "fp8" or algorithm == "FP8":
        return f"fp8_e4m3{blocks}"
    if "FP4" in algorithm or (method == "modelopt" and bits == 4):
        return "nvfp4"
    if method in ("awq", "gptq") or (bits == 4 and any(w.get("type") == "int" for w in groups)):
        return "int4"
    if method and bits == 8:
        return "fp8_e4m3"
    if method:
        known = "fp8, mxfp4, modelopt of 4 or 8 bits, compressed-tensors, awq, gptq"
        raise ValueError(f"quantization_config of method {method!r} cannot be read; known are {known}")
    return "bf16"


def _linear(text: Config, layers: int) -> dict[str, Any]:
    if own := text.get("linear_attn_config"):
        heads, dim = int(own["num_heads"]), int(own["head_dim"])
        return {
            "kind": "kimi_delta",
            "layers": layers,
            "key_heads": heads,
            "key_head_dim": dim,
            "value_heads": heads,
            "value_head_dim": dim,
            "conv_kernel": int(own.get("short_conv_kernel_size") or 4),
        }
    if text.get("mamba_num_heads"):
        return {
            "kind": "mamba2",
            "layers": layers,
            "key_heads": int(text.get("n_groups") or 1),
            "key_head_dim": _whole(text, "ssm_state_size"),
            "value_heads": _whole(text, "mamba_num_heads"),
            "value_head_dim": _whole(text, "mamba_head_dim"),
            "conv_kernel": int(text.get("conv_kernel") or 4),
        }
    return {
        "kind": "gated_delta",
        "layers": layers,
        "key_heads": _whole(text, "linear_num_key_heads"),
        "key_head_dim": _whole(text, "linear_key_head_dim"),
        "value_heads": _whole(text, "linear_num_value_heads"),
        "value_head_dim": _whole(text, "linear_value_head_dim"),
        "conv_kernel": int(text.get("linear_conv_kernel_dim") or 4),
    }


def _take_compressed(entry: dict[str, Any], text: Config) -> None:
    ratios = Counter(int(ratio) for ratio in text["compress_ratios"][: entry["layers"]])
    compressed = sorted(ratio for ratio in ratios if ratio)
    if len(compressed) != 2:
        raise ValueError(f"compress_ratios has {sorted(ratios)}; two ratios besides 0 can be represented")
    low, high = compressed
    entry["attention_type"] = "compressed"
    entry["kv_heads"] = 1
    entry["full_attention_layers"] = entry["layers"] - ratios[low]
    entry["windowed_attention_layers"] = ratios[low]
    entry["intermediate_size"] = None
    if entry["moe"]:
        entry["moe"] |= {"moe_layers": entry["layers"], "dense_layers": 0}
    entry["compressed_attention"] = {
        "q_lora_rank": _whole(text, "q_lora_rank"),
        "o_lora_rank": _whole(text, "o_lora_rank"),
        "o_groups": _whole(text, "o_groups"),
        "selecting_layers": ratios[low],
        "selecting_ratio": low,
        "dense_layers": ratios[high],
        "dense_ratio": high,
        "index_topk": _whole(text, "index_topk"),
        "index_heads": _whole(text, "index_n_heads"),
        "index_head_dim": _whole(text, "index_head_dim"),
        "window_tokens": _whole(text, "sliding_window"),
    }


def _take_latent(entry: dict[str, Any], text: Config) -> None:
    nope, rope = _whole(text, "qk_nope_head_dim"), _whole(text, "qk_rope_head_dim")
    entry["attention_type"] = "MLA"
    entry["kv_heads"] = 1
    entry["head_dim"] = nope + rope
    entry["mla"] = {
        "q_lora_rank": _whole(text, "q_lora_rank"),
        "kv_lora_rank": _whole(text, "kv_lora_rank"),
        "qk_nope_head_dim": nope,
        "qk_rope_head_dim": rope,
        "v_head_dim": _whole(text, "v_head_dim"),
    }
    if text.get("index_topk"):
        entry["sparse_attention"] = {
            "index_heads": _whole(text, "index_n_heads"),
            "index_head_dim": _whole(text, "index_head_dim"),
            "index_topk": _whole(text, "index_topk"),
        }
        if types := text.get("indexer_types"):
            own = sum(kind == "full" for kind in types)
            if own < len(types):
                entry["sparse_attention"]["index_layers"] = own


def _take_windows(entry: dict[str, Any], text: Config) -> None:
    if entry["windowed_attention_layers"]:
        window = text.get("sliding_window") or text.get("attention_chunk_size") or text.get("sliding_window_size")
        if not window:
            raise ValueError("layer_types has windowed layers, but sliding_window is blank")
        entry["sliding_window_tokens"] = int(window)
    if text.get("v_head_dim") and text["v_head_dim"] != entry["head_dim"]:
        entry["value_head_dim"] = int(text["v_head_dim"])
    if text.get("global_head_dim"):  # Gemma 4: head_dim and kv heads are those of the windowed layers
        entry["windowed_head_dim"], entry["windowed_kv_heads"] = entry["head_dim"], entry["kv_heads"]
        entry["head_dim"] = int(text["global_head_dim"])
        entry["kv_heads"] = int(text.get("num_global_key_value_heads") or entry["kv_heads"])
    if text.get("swa_num_key_value_heads"):
        entry["windowed_kv_heads"] = int(text["swa_num_key_value_heads"])
        entry["windowed_head_dim"] = int(text.get("swa_head_dim") or entry["head_dim"])
    if text.get("attention_k_eq_v"):
        entry["keys_are_values"] = True
    sparse = text.get("sparse_attention_config") or {}
    if sparse.get("use_sparse_attention"):
        entry["sparse_attention"] = {
            "index_heads": int(sparse["sparse_num_index_heads"]),
            "index_head_dim": int(sparse["sparse_index_dim"]),
            "index_topk": int(sparse["sparse_topk_blocks"]) * int(sparse["sparse_block_size"]),
            "sparse_layers": sum(map(bool, sparse["sparse_attention_freq"])),
            "index_layers": sum(map(bool, sparse["sparse_attention_freq"])),
        }


def _with_counts(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the entry with parameters, cache and weights counted from its shape."""
    shape = model_shape_from_entry(entry)
    cached = shape.kv_elements + shape.windowed_kv_elements
    native = {"nvfp4": "fp4", "mxfp4": "fp4", "int4": "int4"}.get(str(entry["native_precision"]))
    weights = sum(shape.weight_bytes(native or shape.native_precision))
    return entry | {
        "total_params": shape.total_params,
        "active_params": shape.active_params,
        "kv_bytes_per_token_bf16_all_layers": 2.0 * cached,
        "weight_bytes_native": weights,
    }
