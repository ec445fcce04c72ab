"""Served models as the solver sees them: what a token costs in weights, arithmetic and KV cache."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from compute.accelerators import WEIGHT_PRECISIONS

# Stored bytes per weight with its scale factors: FP8 in 128 x 128 blocks, NVFP4 with one FP8 scale per 16 values, int4
# (AWQ, GPTQ) with one BF16 scale and one 4-bit zero point per 128, MXFP4 with one 8-bit scale per 32 values.
WEIGHT_BYTES = {"bf16": 2.0, "fp8": 1.0, "fp4": 0.5625, "int4": 0.5195, "mxfp4": 0.53125}
KV_BYTES = {"bf16": 2.0, "fp8": 1.0}
# Multiplications per element of a linear layer's state and token: it decays, takes up the token and is read.
STATE_PRODUCTS = 3.0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One published set of a model's weights: the stored width of each group, by name in `WEIGHT_BYTES`."""

    name: str
    precision: str  # what it is asked for by
    attention: str
    mlp: str
    experts: str
    extra_bytes: float = 0.0  # stored beyond that: layers left in BF16, heads stored more than once


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Dimensions of a decoder-only language model; counts are per model unless the name says per layer.

    What a token costs in cache and attention is summed over the layers of each kind: `kv_elements` and `pair_dims` over
    those that read all of the context, `windowed_…` over those that read at most `window_tokens` of it. Layers of
    linear attention (gated delta networks, Mamba) keep a state of fixed size per sequence instead of a cache.
    Compressed attention counts with the cached elements per token that are left of its entries.
    """

    name: str
    family: str
    layers: int
    hidden_size: int
    attention_heads: int
    kv_heads: int
    head_dim: int
    is_mla: bool
    full_layers: int
    windowed_layers: int
    linear_layers: int
    window_tokens: int
    is_sparse: bool  # window_tokens is the number of tokens an indexer selects; every token stays cached
    kv_elements: float  # cached per token of context
    windowed_kv_elements: float
    decode_dims: float  # multiplications per cached token that a generated token reads
    windowed_decode_dims: float
    pair_dims: float  # multiplications per (query, key) pair of a prompt
    windowed_pair_dims: float
    index_elements: float  # sparse attention: cached for the indexer per token, in FP8
    fixed_kv_elements: float  # per sequence: short windows beside compressed attention, in the cache's precision
    state_bytes: float  # per sequence: states of linear layers, in their own precision
    state_elements: float  # of those, which each token changes
    blocks: int  # attention and feed-forward blocks, each with one reduction over tensor-parallel ranks
    attention_params: float  # all layers, linear ones included
    dense_mlp_params: float  # all dense layers, shared experts and routers
    expert_params: float  # all routed experts of all layers
    embedding_params: float  # input table and output head
    head_params: float  # output head: read for every generated token
    experts: int
    active_experts: int
    expert_intermediate_size: int  # width of one routed expert, 0 without experts
    dense_intermediate_size: int  # width of the MLP of layers without experts, 0 where all have them
    moe_layers: int
    shared_experts: int  # of each expert layer, beside the routed ones
    native_precision: str
    has_native_fp4_experts: bool
    has_fp8_blocks: bool  # its FP8 weights share a scale over 128 x 128, which ranks cannot cut
    max_context_tokens: int
    mtp_layers: int
    checkpoints: tuple[Checkpoint, ...] = ()  # published ones that store more or less than their precision says
    chosen: Checkpoint | None = None  # of those; None for the usual one of a precision

    def __post_init__(self) -> None:
        for name in ("layers", "hidden_size", "attention_heads", "kv_heads", "head_dim", "max_context_tokens"):
            if getattr(self, name) <= 0:
                raise ValueError(f"ModelShape {self.name}.{name} is {getattr(self, name)}; must be greater than 0")
        mixing = self.full_layers + self.windowed_layers + self.linear_layers
        if mixing > self.layers or (mixing < self.layers and self.blocks == 2 * self.layers):
            raise ValueError(
                f"ModelShape {self.name}: {self.full_layers} full, {self.windowed_layers} windowed and "
                f"{self.linear_layers} linear layers; must sum to layers = {self.layers}"
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

    def checkpoint(self, precision: str) -> Checkpoint:
        """Return the weights that are loaded for a precision: the checkpoint chosen, or the usual one.

        FP4 and int4 checkpoints of mixture-of-experts models quantise the expert and MLP weights and leave attention in
        BF16 [1]_; dense ones quantise every linear layer. Models released with FP4 experts keep them whatever is asked:
        the label then names the activations. Embeddings stay in BF16.

        Raises
        ------
        ValueError
            If the precision is unknown or not that of the checkpoint chosen.

        References
        ----------
        .. [1] Model cards of nvidia/DeepSeek-R1-FP4, moonshotai/Kimi-K2.5 and openai/gpt-oss-120b.
        """
        if precision not in WEIGHT_PRECISIONS:
            raise ValueError(f"weight precision is {precision!r}; must be one of {', '.join(WEIGHT_PRECISIONS)}")
        if self.chosen is not None:
            if precision != self.chosen.precision:
                own = f"checkpoint {self.chosen.name} of {self.name} is {self.chosen.precision}"
                raise ValueError(f"weight precision is {precision}; {own}")
            return self.chosen
        if self.has_native_fp4_experts:
            beside = "fp8" if self.has_fp8_blocks else "bf16"
            return Checkpoint("", precision, beside, beside, "mxfp4")
        spared = precision in ("fp4", "int4") and self.experts > 0
        return Checkpoint("", precision, "bf16" if spared else precision, precision, precision)

    def weight_bytes(self, precision: str) -> tuple[float, float, float, float]:
        """Return stored bytes of (attention, dense MLP, routed experts, embeddings) at a weight precision.

        Raises
        ------
        ValueError
            As `checkpoint`.
        """
        stored = self.checkpoint(precision)
        return (
            WEIGHT_BYTES[stored.attention] * self.attention_params + stored.extra_bytes,
            WEIGHT_BYTES[stored.mlp] * self.dense_mlp_params,
            WEIGHT_BYTES[stored.experts] * self.expert_params,
            2.0 * self.embedding_params,
        )

    def attention_precision(self, precision: str) -> str:
        """Return the stored precision of the attention projections for a checkpoint of this weight precision."""
        return self.checkpoint(precision).attention


# Any model's checkpoint that is quantised in the MLP and experts alone.
ATTENTION_BF16 = "attention-bf16"


def with_checkpoint(model: ModelShape, name: str, precision: str) -> ModelShape:
    """Return the model with the weights that one of its checkpoints stores.

    Parameters
    ----------
    model : ModelShape
        Served model.
    name : str
        Of the checkpoint; blank or "default": the usual one of the precision.
    precision : str
        Weight precision that the checkpoint must be stored in.

    Raises
    ------
    ValueError
        If the checkpoint is not known in this precision; names those that are.
    """
    plain = name.lower().rsplit("/", 1)[-1].removeprefix("meta-")
    if plain in ("", "default"):
        return model
    found = [checkpoint for checkpoint in model.checkpoints if checkpoint.name.lower() == plain]
    if plain == ATTENTION_BF16:
        found = [Checkpoint(ATTENTION_BF16, precision, "bf16", precision, precision)]
    if not found:
        known = ", ".join(("default", ATTENTION_BF16, *(checkpoint.name for checkpoint in model.checkpoints)))
        raise ValueError(f"checkpoint {name!r} is unknown; known of {model.name} are {known}")
    return replace(model, chosen=found[0])


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
    moe = entry.get("moe") or {}
    cached = _attention(entry)
    linear = _linear_attention(entry)
    sparse = entry.get("sparse_attention") or {}
    is_sparse = bool(sparse) or cached["selects"]
    moe_layers, experts = int(moe.get("moe_layers") or 0), int(moe.get("experts") or 0)
    expert_width, expert_hidden = int(moe.get("moe_intermediate_size") or 0), int(moe.get("latent_size") or hidden)
    shared = int(moe.get("shared_experts") or 0)
    shared_width = int(moe.get("shared_intermediate_size") or expert_width)
    mlp_width = int(entry.get("intermediate_size") or 0)
    dense_layers = int(moe["dense_layers"]) if moe.get("dense_layers") is not None else layers - moe_layers
    products = int(entry.get("mlp_matrices") or 3)  # up, gate and down; without a gate two
    dense_mlp = products * hidden * mlp_width * dense_layers
    dense_mlp += moe_layers * (products * hidden * shared_width * shared + hidden * experts)
    if expert_hidden != hidden:
        dense_mlp += moe_layers * 2 * hidden * expert_hidden  # into the experts' own width and back
    tables = 1 if entry.get("tied_embeddings") else 2
    head = float(entry["vocab_size"]) * hidden
    native = str(entry.get("native_precision") or "bf16")
    windowed = cached["windowed_layers"]
    return ModelShape(
        name=name,
        family=name.split("-")[0],
        layers=layers,
        hidden_size=hidden,
        attention_heads=heads,
        kv_heads=int(entry["kv_heads"]),
        head_dim=int(entry["head_dim"]),
        is_mla=bool(entry.get("mla")),
        full_layers=cached["full_layers"],
        windowed_layers=windowed,
        linear_layers=linear["layers"],
        window_tokens=cached["window_tokens"] if windowed else 0,
        is_sparse=is_sparse,
        kv_elements=cached["kv_elements"],
        windowed_kv_elements=cached["windowed_kv_elements"],
        decode_dims=cached["decode_dims"],
        windowed_decode_dims=cached["windowed_decode_dims"],
        pair_dims=cached["pair_dims"],
        windowed_pair_dims=cached["windowed_pair_dims"],
        index_elements=cached["index_elements"],
        fixed_kv_elements=cached["fixed_kv_elements"],
        state_bytes=linear["state_bytes"],
        state_elements=linear["state_elements"],
        blocks=int(entry.get("blocks") or 2 * layers),
        attention_params=cached["params"] + linear["params"],
        dense_mlp_params=float(dense_mlp),
        expert_params=float(products) * expert_hidden * expert_width * experts * moe_layers,
        embedding_params=tables * head,
        head_params=head,
        experts=experts,
        active_experts=int(moe.get("active_experts") or 0),
        expert_intermediate_size=expert_width,
        dense_intermediate_size=mlp_width if dense_layers else 0,
        moe_layers=moe_layers,
        shared_experts=shared,
        native_precision=next((p for p in ("fp4", "int4", "fp8") if p in native), "bf16"),
        has_native_fp4_experts="mxfp4" in native,
        has_fp8_blocks="fp8_e4m3_block" in native,
        max_context_tokens=int(entry.get("max_context_tokens") or 131072),
        mtp_layers=int(entry.get("mtp_layers") or 0),
        checkpoints=tuple(Checkpoint(**facts) for facts in entry.get("checkpoints") or ()),
    )


def _attention(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return layers that attend to cached context: their parameters, and elements and products per token of it."""
    layers, hidden, heads = int(entry["layers"]), int(entry["hidden_size"]), int(entry["attention_heads"])
    linear, mla = entry.get("linear_attention") or {}, entry.get("mla") or {}
    sparse, compressed = entry.get("sparse_attention") or {}, entry.get("compressed_attention") or {}
    if compressed:
        return _compressed_attention(entry, compressed)
    windowed = int(entry.get("windowed_attention_layers") or 0)
    full = int(entry.get("full_attention_layers") or 0) or layers - windowed - int(linear.get("layers") or 0)
    gate = 2 if entry.get("attention_output_gate") else 1
    found: dict[str, Any] = {"index_elements": 0.0, "fixed_kv_elements": 0.0, "selects": False}
    index_params = 0.0
    if sparse:
        index_layers = int(sparse.get("index_layers") or layers)
        found["index_elements"] = float(index_layers * sparse["index_head_dim"])
        index_width = mla["q_lora_rank"] if mla else hidden
        index_params = index_layers * (
            index_width * sparse["index_heads"] * sparse["index_head_dim"]
            + hidden * (sparse["index_head_dim"] + sparse["index_heads"])
        )
        selecting = int(sparse.get("sparse_layers") or full)
        full, windowed = full - selecting, selecting
    if mla:
        rank_q, rank_kv = mla["q_lora_rank"], mla["kv_lora_rank"]
        nope, rope, value_dim = mla["qk_nope_head_dim"], mla["qk_rope_head_dim"], mla["v_head_dim"]
        latent = rank_kv + rope
        params = (
            hidden * (rank_q + latent)
            + rank_q * heads * (nope + rope)
            + rank_kv * heads * (nope + value_dim)
            + gate * heads * value_dim * hidden
        )
        # in absorbed form keys have latent + rope and values latent dimensions; 2 x latent overstates by 6 %
        kind = (float(params), float(latent), 2.0 * heads * latent, float(heads * (nope + rope + value_dim)))
        kinds = {"": kind, "windowed_": kind}
    else:
        kinds = {}
        for prefix in ("", "windowed_"):
            own = f"{prefix}head_dim" if entry.get(f"{prefix}head_dim") else "head_dim"
            dim = int(entry[own])
            value_dim = int(entry.get("value_head_dim") or dim)
            kv = int(entry.get(f"{prefix}kv_heads") or entry["kv_heads"])
            values = 0 if entry.get("keys_are_values") and not prefix else kv * value_dim
            params = hidden * (gate * heads * dim + kv * dim + values) + heads * value_dim * hidden
            attended = float(heads * (dim + value_dim))
            kinds[prefix] = (float(params), float(kv * (dim + value_dim)), attended, attended)
    found["params"] = full * kinds[""][0] + windowed * kinds["windowed_"][0] + index_params
    for prefix, count in (("", full), ("windowed_", windowed)):
        for name, value in zip(("kv_elements", "decode_dims", "pair_dims"), kinds[prefix][1:], strict=True):
            found[prefix + name] = count * value
    window = int(sparse.get("index_topk") or entry.get("sliding_window_tokens") or 0)
    return found | {"full_layers": full, "windowed_layers": windowed, "window_tokens": window}


def _compressed_attention(entry: Mapping[str, Any], compressed: Mapping[str, Any]) -> dict[str, Any]:
    """Return attention over compressed context (DeepSeek-V4), as `_attention` does.

    One shared key and value of `head_dim` stands for `ratio` tokens. Layers of the lower ratio select `index_topk` of
    those entries; layers of the higher read all; every layer reads a short window of the latest tokens beside them.
    """
    layers, hidden, heads = int(entry["layers"]), int(entry["hidden_size"]), int(entry["attention_heads"])
    dim, rank_q = int(entry["head_dim"]), int(compressed["q_lora_rank"])
    groups, rank_o = int(compressed["o_groups"]), int(compressed["o_lora_rank"])
    selecting, dense = int(compressed["selecting_layers"]), int(compressed["dense_layers"])
    ratio, dense_ratio = int(compressed["selecting_ratio"]), int(compressed["dense_ratio"])
    index_heads, index_dim = int(compressed["index_heads"]), int(compressed["index_head_dim"])
    params = layers * (
        hidden * rank_q + rank_q * heads * dim + hidden * dim + heads * dim * rank_o + groups * rank_o * hidden
    )
    # each compressor projects to values and their weights, two overlapping windows of tokens where it selects
    params += selecting * (4 * hidden * dim) + dense * (2 * hidden * dim)
    params += selecting * (rank_q * index_heads * index_dim + hidden * index_heads + 4 * hidden * index_dim)
    return {
        "params": float(params),
        "full_layers": layers - selecting,
        "windowed_layers": selecting,
        "window_tokens": int(compressed["index_topk"]) * ratio,
        "selects": True,
        "kv_elements": dense * dim / dense_ratio,
        "windowed_kv_elements": selecting * dim / ratio,
        "decode_dims": dense * 2.0 * heads * dim / dense_ratio,
        "windowed_decode_dims": selecting * 2.0 * heads * dim / ratio,
        "pair_dims": dense * 2.0 * heads * dim / dense_ratio,
        "windowed_pair_dims": selecting * 2.0 * heads * dim / ratio,
        "index_elements": selecting * index_dim / ratio,
        "fixed_kv_elements": float(layers * compressed["window_tokens"] * dim),
    }


def _linear_attention(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return layers whose memory is a state of fixed size: parameters, and the state of one sequence.

    States are kept in FP32 and the short convolution's inputs in BF16, as engines do by default.
    """
    linear = entry.get("linear_attention") or {}
    layers = int(linear.get("layers") or 0)
    if not layers:
        return {"layers": 0, "params": 0.0, "state_bytes": 0.0, "state_elements": 0.0}
    hidden = int(entry["hidden_size"])
    keys = int(linear["key_heads"]) * int(linear["key_head_dim"])
    values = int(linear["value_heads"]) * int(linear["value_head_dim"])
    kind = linear["kind"]
    if kind == "mamba2":  # keys and queries are the groups' B and C; a gate beside the values
        mixed = values + 2 * keys
        params = hidden * (2 * values + 2 * keys + int(linear["value_heads"])) + values * hidden
    elif kind == "gated_delta":
        mixed = 2 * keys + values
        params = hidden * (2 * keys + 2 * values + 2 * int(linear["value_heads"])) + values * hidden
    elif kind == "kimi_delta":  # a full-rank output gate, a low-rank decay per channel
        mixed = 2 * keys + values
        decay = int(linear["key_head_dim"]) * (hidden + keys)
        params = hidden * (2 * keys + 2 * values + int(linear["value_heads"])) + decay + values * hidden
    else:
        known = "mamba2, gated_delta, kimi_delta"
        raise ValueError(f"model {entry.get('id')}: linear_attention.kind is {kind!r}; must be one of {known}")
    state = float(values * int(linear["key_head_dim"]))
    convolution = 2.0 * mixed * (int(linear.get("conv_kernel") or 4) - 1)
    return {
        "layers": layers,
        "params": float(layers * params),
        "state_elements": layers * state,
        "state_bytes": layers * (4.0 * state + convolution),
    }
