"""Served models as the solver sees them: what a token costs in weights, arithmetic and KV cache."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from compute.accelerators import WEIGHT_PRECISIONS

# Stored bytes per weight with its scale factors: FP8 in 128 x 128 blocks, NVFP4 with one FP8 scale per 16 values, int4
# (AWQ, GPTQ) with one BF16 scale and one 4-bit zero point per 128.
WEIGHT_BYTES = {"bf16": 2.0, "fp8": 1.0, "fp4": 0.5625, "int4": 0.5195}
MXFP4_BYTES = 0.53125  # one 8-bit scale per 32 values
KV_BYTES = {"bf16": 2.0, "fp8": 1.0}


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Dimensions of a decoder-only transformer; counts are per model unless the name says per layer.

    `kv_elements_full` and `kv_elements_windowed` are the cached elements of one token summed over the layers of each
    kind. Layers with a window (or sparse selection) read at most `window_tokens` of them per generated token.
    """

    name: str
    family: str
    layers: int
    hidden_size: int
    attention_heads: int
    kv_heads: int
    head_dim: int
    value_head_dim: int
    is_mla: bool
    latent_elements: int  # MLA: cached elements per token and layer, compressed latent + rotary key
    full_layers: int
    windowed_layers: int
    window_tokens: int
    is_sparse: bool  # window_tokens is the number of tokens an indexer selects; every token stays cached
    index_elements: int  # sparse attention: cached elements of the indexer per token and layer
    attention_params: float  # all layers
    dense_mlp_params: float  # all dense layers, shared experts and routers
    expert_params: float  # all routed experts of all layers
    embedding_params: float  # input table and output head
    head_params: float  # output head: read for every generated token
    experts: int
    active_experts: int
    moe_layers: int
    shared_experts: int  # of each expert layer, beside the routed ones
    native_precision: str
    has_native_fp4_experts: bool
    max_context_tokens: int
    mtp_layers: int
    keeps_attention_bf16: bool = False  # a checkpoint that quantises the MLP alone

    def __post_init__(self) -> None:
        for name in ("layers", "hidden_size", "attention_heads", "kv_heads", "head_dim", "max_context_tokens"):
            if getattr(self, name) <= 0:
                raise ValueError(f"ModelShape {self.name}.{name} is {getattr(self, name)}; must be greater than 0")
        if self.full_layers + self.windowed_layers != self.layers:
            raise ValueError(
                f"ModelShape {self.name}: {self.full_layers} full and {self.windowed_layers} windowed layers; "
                f"must sum to layers = {self.layers}"
            )
        if not 0 <= self.active_experts <= self.experts:
            raise ValueError(
                f"ModelShape {self.name}.active_experts is {self.active_experts}; must be within 0..{self.experts}"
            )

    @property
    def total_params(self) -> float:
        """Parameters of the whole model [-]."""
        return self.attention_params + self.dense_mlp_params + self.expert_params + self.embedding_params

    @property
    def active_expert_params(self) -> float:
        """Routed-expert parameters that one token uses [-]."""
        return self.expert_params * self.active_experts / self.experts if self.experts else 0.0

    @property
    def active_params(self) -> float:
        """Parameters that one generated token uses, output head included, input table not [-]."""
        return self.attention_params + self.dense_mlp_params + self.active_expert_params + self.head_params

    @property
    def expert_intermediate_size(self) -> int:
        """Width of one routed expert [-]; 0 without experts."""
        if not self.experts:
            return 0
        return round(self.expert_params / (3.0 * self.hidden_size * self.experts * self.moe_layers))

    @property
    def dense_intermediate_size(self) -> int:
        """Width of the MLP of layers without experts [-]; 0 where all layers have experts."""
        dense_layers = self.layers - self.moe_layers
        if dense_layers == 0:
            return 0
        shared = 3.0 * self.hidden_size * self.expert_intermediate_size * self.shared_experts
        in_expert_layers = self.moe_layers * (shared + self.hidden_size * self.experts)
        return round((self.dense_mlp_params - in_expert_layers) / (3.0 * self.hidden_size * dense_layers))

    @property
    def kv_elements_per_layer(self) -> int:
        """Cached elements of one token in one layer [-]; the latent for MLA, keys and values otherwise."""
        return self.latent_elements if self.is_mla else self.kv_heads * (self.head_dim + self.value_head_dim)

    def weight_bytes(self, precision: str) -> tuple[float, float, float, float]:
        """Return stored bytes of (attention, dense MLP, routed experts, embeddings) at a weight precision.

        FP4 checkpoints of mixture-of-experts models quantise the expert and MLP weights and leave attention in BF16
        [1]_; dense FP4 checkpoints quantise every linear layer. Models released with FP4 experts keep them whatever
        is asked: the label then names the activations. Embeddings stay in BF16.

        Raises
        ------
        ValueError
            If the precision is unknown.

        References
        ----------
        .. [1] Model cards of nvidia/DeepSeek-R1-FP4 and openai/gpt-oss-120b.
        """
        if precision not in WEIGHT_PRECISIONS:
            raise ValueError(f"weight precision is {precision!r}; must be one of {', '.join(WEIGHT_PRECISIONS)}")
        embeddings = 2.0 * self.embedding_params
        if self.has_native_fp4_experts:
            return (
                2.0 * self.attention_params,
                2.0 * self.dense_mlp_params,
                MXFP4_BYTES * self.expert_params,
                embeddings,
            )
        width = WEIGHT_BYTES[precision]
        attention_width = 2.0 if self.keeps_attention_bf16 or (precision == "fp4" and self.experts) else width
        return (
            attention_width * self.attention_params,
            width * self.dense_mlp_params,
            width * self.expert_params,
            embeddings,
        )

    def attention_precision(self, precision: str) -> str:
        """Return the precision of the attention projections for a checkpoint of this weight precision."""
        if self.has_native_fp4_experts or self.keeps_attention_bf16 or (precision == "fp4" and self.experts):
            return "bf16"
        return precision


def model_shape_from_entry(entry: Mapping[str, Any]) -> ModelShape:
    """Return the shape of a catalogue entry (kind `models`), parameter counts computed from its dimensions.

    Raises
    ------
    ValueError
        If a needed dimension is missing or out of range; names the model and the field.
    """
    name = str(entry.get("id", "unnamed model"))
    for needed in ("layers", "hidden_size", "attention_heads", "kv_heads", "head_dim", "vocab_size"):
        if not entry.get(needed):
            raise ValueError(f"model {name}: {needed} is {entry.get(needed)}; must be greater than 0")
    layers, hidden, heads = int(entry["layers"]), int(entry["hidden_size"]), int(entry["attention_heads"])
    kv_heads, head_dim = int(entry["kv_heads"]), int(entry["head_dim"])
    mla = entry.get("mla") or {}
    sparse = entry.get("sparse_attention") or {}
    moe = entry.get("moe") or {}
    if mla:
        rank_q, rank_kv = mla["q_lora_rank"], mla["kv_lora_rank"]
        nope, rope, value_dim = mla["qk_nope_head_dim"], mla["qk_rope_head_dim"], mla["v_head_dim"]
        attention = (
            hidden * (rank_q + rank_kv + rope)
            + rank_q * heads * (nope + rope)
            + rank_kv * heads * (nope + value_dim)
            + heads * value_dim * hidden
        )
        latent = int(rank_kv + rope)
        if sparse:
            index_heads, index_dim = sparse["index_heads"], sparse["index_head_dim"]
            attention += rank_q * index_heads * index_dim + hidden * (index_dim + index_heads)
    else:
        value_dim, latent = head_dim, 0
        attention = hidden * head_dim * (2 * heads + 2 * kv_heads)
    moe_layers = int(moe.get("moe_layers") or 0)
    expert_width = int(moe.get("moe_intermediate_size") or 0)
    experts = int(moe.get("experts") or 0)
    dense_layers = layers - moe_layers
    dense_mlp = 3 * hidden * int(entry.get("intermediate_size") or 0) * dense_layers
    dense_mlp += moe_layers * (3 * hidden * expert_width * int(moe.get("shared_experts") or 0) + hidden * experts)
    tables = 1 if entry.get("tied_embeddings") else 2
    head = float(entry["vocab_size"]) * hidden
    native = str(entry.get("native_precision") or "bf16")
    windowed = layers if sparse else int(entry.get("windowed_attention_layers") or 0)
    return ModelShape(
        name=name,
        family=name.split("-")[0],
        layers=layers,
        hidden_size=hidden,
        attention_heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        value_head_dim=int(value_dim),
        is_mla=bool(mla),
        latent_elements=latent,
        full_layers=layers - windowed,
        windowed_layers=windowed,
        window_tokens=int(sparse.get("index_topk") or entry.get("sliding_window_tokens") or 0),
        is_sparse=bool(sparse),
        index_elements=int(sparse.get("index_head_dim") or 0),
        attention_params=float(attention) * layers,
        dense_mlp_params=float(dense_mlp),
        expert_params=3.0 * hidden * expert_width * experts * moe_layers,
        embedding_params=tables * head,
        head_params=head,
        experts=experts,
        active_experts=int(moe.get("active_experts") or 0),
        moe_layers=moe_layers,
        shared_experts=int(moe.get("shared_experts") or 0),
        native_precision="fp4" if "fp4" in native else "fp8" if "fp8" in native else "bf16",
        has_native_fp4_experts="mxfp4" in native,
        max_context_tokens=int(entry.get("max_context_tokens") or 131072),
        mtp_layers=int(entry.get("mtp_layers") or 0),
    )


# Published checkpoints that store a model otherwise than its precision says: quantised in the MLP alone (their model
# cards and quantization_config.modules_to_not_convert).
ATTENTION_BF16 = "attention-bf16"
CHECKPOINTS = {
    "meta-llama/llama-3.1-405b-instruct-fp8": ATTENTION_BF16,
    "meta-llama/llama-3.1-405b-fp8": ATTENTION_BF16,
    "meta-llama/meta-llama-3.1-405b-instruct-fp8": ATTENTION_BF16,
    "meta-llama/meta-llama-3.1-405b-fp8": ATTENTION_BF16,
    ATTENTION_BF16: ATTENTION_BF16,
}


def with_checkpoint(model: ModelShape, checkpoint: str) -> ModelShape:
    """Return the model as a checkpoint stores it; blank or "default" is the usual one of its precision.

    Raises
    ------
    ValueError
        If nothing is known of the checkpoint.
    """
    name = checkpoint.lower()
    if name in ("", "default"):
        return model
    if name not in CHECKPOINTS:
        raise ValueError(f"checkpoint {checkpoint!r} is unknown; known are default, {', '.join(sorted(CHECKPOINTS))}")
    return replace(model, keeps_attention_bf16=True)
