"""Time of one engine step from speed of light and efficiencies, vectorised over deployments and operating points.

`deployment_work` lists what a deployment must read, compute and send (seconds at data-sheet speed). `step_costs`
divides by fitted efficiencies. `step_time_s` then gives the time of any step:

    linear    = hypot(weights read, matrix products, expert exchange over the network)   between maximum and sum
                of prompts alone the exchange is wholly beside them where two batches take turns
    attention = cached context read by decoding + (query, key) pairs of prompts
    exchange  = collectives: latency per step + wire time per token
    overhead  = per step + per sequence

All arrays have shape (n_deployments,) or broadcast to it. A replayed step model is `StepCosts.token_table_s` (what
depends on the number of tokens alone) plus the linear attention terms.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from statistics import NormalDist
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compute.accelerators import PRECISIONS, Accelerator
from compute.model_shapes import KV_BYTES, STATE_PRODUCTS, ModelShape
from compute.steps.collectives import (
    NETWORK_EXCHANGE_BYTES_PER_S,
    REDUCE_BYTES,
    all_reduce_s_per_byte,
    all_to_all_s_per_token,
    gather_scatter_s_per_token,
    link_bytes_per_s,
)

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Parallelism:
    """How one model instance is spread over accelerators.

    `attention_data_parallel` replicates attention over that many ranks, each with its own requests, while experts and
    dense layers span the whole instance. `expert_parallel` = 1 slices every expert over the instance instead.
    """

    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    attention_data_parallel: int = 1
    expert_parallel: int = 1

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 1:
                raise ValueError(f"Parallelism.{field.name} is {getattr(self, field.name)}; must be 1 or more")

    @property
    def stage_accelerators(self) -> int:
        """Accelerators of one pipeline stage."""
        return self.tensor_parallel * self.attention_data_parallel

    @property
    def accelerators(self) -> int:
        """Accelerators of one model instance."""
        return self.stage_accelerators * self.pipeline_parallel


@dataclass(frozen=True, slots=True, eq=False)
class DeploymentWork:
    """Work of one model instance per step, token and context token at data-sheet speed; arrays of shape (n,).

    Times are per accelerator, since all of an instance's accelerators work at once.
    """

    dense_weight_s: FloatArray  # read attention, dense MLP and output-head weights once
    expert_weight_s: FloatArray  # read all routed experts once
    log_unrouted: FloatArray  # log(1 - k/E): log of the chance that a token leaves an expert unused
    expert_spread: (
        FloatArray  # of the most hit rank's experts over the mean, by sqrt(c (1 - c)); 0 where all are sliced
    )
    token_spread: FloatArray  # the same of its tokens, by sqrt(tokens)
    dense_gemm_s: FloatArray  # matrix products of one token outside routed experts and output head
    expert_gemm_s: FloatArray  # the same in routed experts
    expert_ratio: FloatArray  # experts over those that a token takes
    expert_columns: FloatArray  # of a rank's part of an expert's inner products; inf without experts
    head_gemm_s: FloatArray  # output head, once per generated token
    kv_token_s: FloatArray  # read one token of context, layers with full attention
    window_kv_token_s: FloatArray  # the same, layers that read at most window_tokens
    window_tokens: FloatArray  # inf where there is no window
    state_s: FloatArray  # read and write what a sequence holds whatever its context: states of linear layers
    pair_s: FloatArray  # attention arithmetic per (query, key) pair of a prompt, full layers
    window_pair_s: FloatArray
    exchanges: FloatArray  # collectives on the critical path of a step
    exchange_hops: FloatArray  # reductions and handoffs of those, weighted by log2(ranks)
    dispatch_hops: FloatArray  # the same of expert dispatch and combine
    exchange_token_s: FloatArray  # wire time per token
    network_token_s: FloatArray  # the same of expert exchanges beyond the scale-up domain, at the speed that they reach
    layers: FloatArray
    expert_launches: (
        FloatArray  # expert layers; counted twice where a shared expert's kernels run beside the routed ones
    )
    pipeline_parallel: FloatArray
    gemm_precision: FloatArray  # index into PRECISIONS of the bulk of the arithmetic
    weight_bytes: FloatArray  # resident per accelerator
    kv_bytes_per_token: FloatArray  # cached per token over the instance, one copy of each
    kv_window_bytes_per_token: FloatArray  # the part of it that is kept for at most window_tokens
    state_bytes: FloatArray  # of one sequence over the instance, whatever its context, all copies counted
    kv_copies: FloatArray  # times each cached token is stored over the instance's accelerators
    attention_ranks: FloatArray  # that attend and schedule side by side, each for its own sequences
    accelerators: FloatArray  # of one instance

    @classmethod
    def stack(cls, parts: Sequence[Self]) -> Self:
        """Join works of several deployments along the only axis."""
        return cls(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)})

    def take(self, index: ArrayLike) -> Self:
        """Return the works at `index`, in that order."""
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


@dataclass(frozen=True, slots=True, eq=False)
class Efficiencies:
    """Fitted share of data-sheet speed per group of operations and overheads; arrays of shape (n,) or ().

    Shares lie in (0, 1]; times and counts are 0 or more.
    """

    weight_bandwidth_frac: FloatArray
    kv_bandwidth_frac: FloatArray
    gemm_frac: FloatArray
    expert_gemm_frac: FloatArray  # grouped products of wide experts with many tokens each
    attention_frac: FloatArray
    link_frac: FloatArray
    exchange_s: FloatArray  # per collective and log2(ranks)
    dispatch_s: FloatArray  # the same of expert dispatch and combine, which every rank waits for
    layer_s: FloatArray  # launches per layer
    moe_layer_s: FloatArray  # routing, permutation and launches per expert layer, beside layer_s
    step_s: FloatArray  # scheduler, sampling, host round trip
    sequence_s: FloatArray  # per sequence in the step
    expert_pad_tokens: FloatArray  # that a hit expert computes in vain, to fill its last tile
    expert_pad_columns: FloatArray  # the same of columns, which narrow experts and slices feel most

    def __post_init__(self) -> None:
        for field in fields(self):
            values = np.atleast_1d(np.asarray(getattr(self, field.name), dtype=np.float64))
            is_share = field.name.endswith("_frac")
            bad = np.flatnonzero(~((values > 0) & (values <= 1)) if is_share else ~(values >= 0))
            if bad.size:
                allowed = "in (0, 1]" if is_share else "0 or more"
                raise ValueError(f"Efficiencies.{field.name}[{bad[0]}] is {values[bad[0]]}; must be {allowed}")


# First estimates from one global robust fit of nine features over published runs; fitted sets replace them.
ASSUMED_EFFICIENCIES = Efficiencies(
    weight_bandwidth_frac=np.array(0.75),
    kv_bandwidth_frac=np.array(0.6),
    gemm_frac=np.array(0.6),
    expert_gemm_frac=np.array(0.4),
    attention_frac=np.array(0.4),
    link_frac=np.array(0.6),
    exchange_s=np.array(4e-6),
    dispatch_s=np.array(6e-6),
    layer_s=np.array(15e-6),
    moe_layer_s=np.array(20e-6),
    step_s=np.array(1e-3),
    sequence_s=np.array(15e-6),
    expert_pad_tokens=np.array(32.0),
    expert_pad_columns=np.array(256.0),
)


@dataclass(frozen=True, slots=True, eq=False)
class StepCosts:
    """Coefficients of the step-time formula of each deployment; arrays of shape (n_deployments,)."""

    dense_weight_s: FloatArray
    expert_weight_s: FloatArray
    log_unrouted: FloatArray
    expert_spread: FloatArray
    token_gemm_s: FloatArray
    expert_pad_s: FloatArray  # products in vain of all experts, of which a step takes those hit
    token_spread_s: FloatArray  # by sqrt(tokens): what the rank with most tokens for its experts makes the others wait
    head_gemm_s: FloatArray
    kv_token_s: FloatArray
    window_kv_token_s: FloatArray
    window_tokens: FloatArray
    pair_s: FloatArray
    window_pair_s: FloatArray
    exchange_token_s: FloatArray
    network_token_s: FloatArray
    step_s: FloatArray
    sequence_s: FloatArray
    pipeline_parallel: FloatArray
    draft_tokens: FloatArray  # drafted and verified per step and sequence; 0 where there is no speculation
    draft_acceptance: FloatArray
    draft_cost_frac: FloatArray  # time of one drafted token over that of a plain step
    prefill_clock_frac: FloatArray  # clock while prompts are read over that while tokens are generated

    def take(self, index: ArrayLike) -> Self:
        """Return the costs at `index`, in that order."""
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def token_table_s(self, deployment: int, max_tokens: int, *, is_generating: bool = True) -> FloatArray:
        """Return the step time by tokens in the step, without attention and per-sequence time, shape (max_tokens + 1,).

        `is_generating`: each token needs the output head (decoding); prompt tokens but the last do not.
        """
        tokens = np.arange(max_tokens + 1, dtype=np.float64)
        costs = self.take([deployment])
        generated = tokens if is_generating else np.minimum(tokens, 1.0)
        linear = linear_s(costs, tokens, generated, are_prompts=not is_generating)
        return linear + (costs.step_s + costs.exchange_token_s * tokens)


def deployment_work(
    accelerator: Accelerator,
    model: ModelShape,
    parallelism: Parallelism,
    *,
    weight_precision: str,
    kv_precision: str = "bf16",
) -> DeploymentWork:
    """Return what one instance must do per step, token and context token; arrays of shape (1,).

    Tensor parallelism beyond the number of KV heads stores and reads each head more than once; the latent of MLA is
    kept whole on every tensor-parallel rank. A latent is multiplied by every head, so on parts with little arithmetic
    per byte reading it is bound by arithmetic: the larger of the two times counts.

    Parameters
    ----------
    accelerator : Accelerator
        What it runs on, for speeds of arithmetic, memory and links.
    model : ModelShape
        What is served.
    parallelism : Parallelism
        How the instance is spread.
    weight_precision, kv_precision : str
        Stored precision of weights and KV cache.

    Raises
    ------
    ValueError
        If a precision is unknown, or not that of the model's checkpoint.

    References
    ----------
    .. [1] Williams et al., "Roofline", CACM 52(4), 2009.
    .. [2] DeepSeek-AI, "DeepSeek-V2", arXiv 2405.04434, section 2.1 (latent attention, absorbed form).
    """
    if kv_precision not in KV_BYTES:
        raise ValueError(f"KV precision is {kv_precision!r}; must be one of {', '.join(KV_BYTES)}")
    ranks = parallelism.stage_accelerators
    tensor = parallelism.tensor_parallel
    bandwidth = accelerator.hbm_bytes_per_s
    attention_bytes, mlp_bytes, expert_bytes, _ = model.weight_bytes(weight_precision)
    head_bytes = 2.0 * model.head_params
    embedding_bytes = 2.0 * model.embedding_params
    # Attention weights are split over tensor-parallel ranks only; the rest over the whole stage.
    dense_bytes = attention_bytes / tensor + (mlp_bytes + head_bytes) / ranks
    attention_peak = accelerator.peak_flops_per_s(model.attention_precision(weight_precision))
    # models released with FP4 experts are asked for by the precision of their activations
    bulk_peak = accelerator.peak_flops_per_s(weight_precision)
    peak_bf16 = accelerator.peak_bf16_flops_per_s
    # Each rank works on its own share of the tokens in attention, so per token of the instance all split by `ranks`.
    dense_gemm_s = 2.0 * (model.attention_params / attention_peak + model.dense_mlp_params / bulk_peak) / ranks
    dense_gemm_s += 2.0 * STATE_PRODUCTS * model.state_elements / peak_bf16 / ranks
    expert_gemm_s = 2.0 * model.active_expert_params / bulk_peak / ranks

    kv_width = KV_BYTES[kv_precision]
    # the share of one token's cache that each accelerator reads, averaged over the instance
    kv_copies = tensor if model.is_mla else max(1.0, tensor / model.kv_heads)
    read_s, math_s = kv_width * kv_copies / ranks / bandwidth, 2.0 / ranks / peak_bf16
    kv_token_s = max(model.kv_elements * read_s, model.decode_dims * math_s)
    window_kv_token_s = max(model.windowed_kv_elements * read_s, model.windowed_decode_dims * math_s)
    index_s = model.index_elements * KV_BYTES["fp8"] * kv_copies / ranks / bandwidth
    # Ranks of tensor parallelism share the heads of a linear layer's state, but each keeps a window's whole cache.
    window_bytes = model.fixed_kv_elements * kv_width * kv_copies

    link = link_bytes_per_s(ranks, accelerator.scaleup_bytes_per_s, accelerator.scaleup_domain_size)
    hops = np.log2(tensor)
    exchanges = 0.0
    exchange_hops = 0.0
    dispatch_hops = 0.0
    exchange_token_s = 0.0
    network_token_s = 0.0
    has_dispatch = model.moe_layers > 0 and (parallelism.attention_data_parallel > 1)
    if tensor > 1:
        reduces = float(model.blocks) - (model.moe_layers if has_dispatch else 0)
        exchanges += reduces
        exchange_hops += reduces * hops
        message = reduces * model.hidden_size * REDUCE_BYTES / parallelism.attention_data_parallel
        exchange_token_s += message * all_reduce_s_per_byte(tensor, link)
    if has_dispatch:
        exchanges += 2.0 * model.moe_layers
        dispatch_hops += 2.0 * model.moe_layers * np.log2(ranks)
        inside = ranks <= accelerator.scaleup_domain_size
        exchange_link = link if inside else NETWORK_EXCHANGE_BYTES_PER_S
        if parallelism.expert_parallel > 1:
            wire_s = (
                model.moe_layers
                / ranks
                * all_to_all_s_per_token(
                    ranks=ranks,
                    hidden_size=model.hidden_size,
                    active_experts=model.active_experts,
                    link_bytes_per_s=exchange_link,
                )
            )
        else:
            # every rank holds a slice of every expert, so each takes in all tokens and gives its part of all back
            wire_s = model.moe_layers * gather_scatter_s_per_token(ranks, model.hidden_size, exchange_link)
        exchange_token_s += wire_s if inside else 0.0
        network_token_s += 0.0 if inside else wire_s
    elif parallelism.attention_data_parallel > 1:
        exchanges += model.blocks
        exchange_hops += model.blocks * np.log2(parallelism.attention_data_parallel)
    if parallelism.pipeline_parallel > 1:
        handoffs = parallelism.pipeline_parallel - 1.0
        exchanges += handoffs
        exchange_hops += handoffs
        exchange_token_s += handoffs * model.hidden_size * REDUCE_BYTES / link

    spread, token_spread = _rank_spreads(model, parallelism.expert_parallel)
    coverage_log = np.log1p(-model.active_experts / model.experts) if model.experts > model.active_experts else -np.inf
    values = {
        "dense_weight_s": dense_bytes / bandwidth,
        "expert_weight_s": expert_bytes / ranks / bandwidth,
        "log_unrouted": coverage_log,
        "expert_ratio": model.experts / model.active_experts if model.experts else 0.0,
        "expert_columns": _expert_columns(model, ranks, parallelism.expert_parallel),
        "expert_spread": spread,
        "token_spread": token_spread,
        "dense_gemm_s": dense_gemm_s,
        "expert_gemm_s": expert_gemm_s,
        "head_gemm_s": 2.0 * model.head_params / peak_bf16 / ranks,
        "kv_token_s": kv_token_s + index_s,
        "window_kv_token_s": window_kv_token_s,
        "window_tokens": model.window_tokens if model.windowed_layers else np.inf,
        "state_s": (window_bytes + 2.0 * model.state_bytes) / ranks / bandwidth,
        "pair_s": model.pair_dims * math_s,
        "window_pair_s": model.windowed_pair_dims * math_s,
        "exchanges": exchanges,
        "exchange_hops": exchange_hops,
        "dispatch_hops": dispatch_hops,
        "exchange_token_s": exchange_token_s,
        "network_token_s": network_token_s,
        "layers": model.blocks / 2.0,
        "expert_launches": model.moe_layers * (2.0 if model.shared_experts else 1.0),
        "pipeline_parallel": parallelism.pipeline_parallel,
        "gemm_precision": PRECISIONS.index(accelerator.compute_precision(weight_precision)),
        "weight_bytes": (attention_bytes / tensor + (mlp_bytes + expert_bytes + embedding_bytes) / ranks)
        / parallelism.pipeline_parallel,
        "kv_bytes_per_token": (model.kv_elements + model.windowed_kv_elements) * kv_width + model.index_elements,
        "kv_window_bytes_per_token": 0.0 if model.is_sparse else model.windowed_kv_elements * kv_width,
        "state_bytes": window_bytes + model.state_bytes,
        "kv_copies": kv_copies,
        "attention_ranks": parallelism.attention_data_parallel,
        "accelerators": parallelism.accelerators,
    }
    return DeploymentWork(**{name: np.array([value], dtype=np.float64) for name, value in values.items()})


def _expert_columns(model: ModelShape, ranks: int, groups: int) -> float:
    """Return the inner width of the part of an expert that a rank computes; `groups` of the ranks hold whole ones."""
    return model.expert_intermediate_size / max(ranks / groups, 1.0) if model.expert_intermediate_size else math.inf


def _rank_spreads(model: ModelShape, groups: int) -> tuple[float, float]:
    """Return how far the most loaded of `groups` ranks of whole experts lies above their mean, for uniform routing.

    Hit experts of a rank scatter by sqrt(e c (1 - c)) about e c, its tokens by sqrt(tokens k / groups); the largest of
    n normal draws lies the standard normal law's quantile (n - 0.375) / (n + 0.25) above their mean [1]_.

    References
    ----------
    .. [1] Blom, "Statistical Estimates and Transformed Beta-Variables" (1958), chapter 6.
    """
    if groups < 2 or not model.experts:
        return 0.0, 0.0
    largest = NormalDist().inv_cdf((groups - 0.375) / (groups + 0.25))
    return largest / math.sqrt(model.experts / groups), largest * math.sqrt(groups / model.active_experts)


def step_costs(work: DeploymentWork, efficiencies: Efficiencies) -> StepCosts:
    """Return the step-time coefficients of each deployment: work divided by efficiency, plus overheads."""
    e = efficiencies
    expert_gemm_s = work.expert_gemm_s / e.expert_gemm_frac * (1.0 + e.expert_pad_columns / work.expert_columns)
    return StepCosts(
        dense_weight_s=work.dense_weight_s / e.weight_bandwidth_frac,
        expert_weight_s=work.expert_weight_s / e.weight_bandwidth_frac,
        log_unrouted=work.log_unrouted,
        expert_spread=work.expert_spread,
        token_gemm_s=work.dense_gemm_s / e.gemm_frac + expert_gemm_s,
        expert_pad_s=expert_gemm_s * work.expert_ratio * e.expert_pad_tokens,
        token_spread_s=work.token_spread * expert_gemm_s,
        head_gemm_s=work.head_gemm_s / e.gemm_frac,
        kv_token_s=work.kv_token_s / e.kv_bandwidth_frac,
        window_kv_token_s=work.window_kv_token_s / e.kv_bandwidth_frac,
        window_tokens=work.window_tokens,
        pair_s=work.pair_s / e.attention_frac,
        window_pair_s=work.window_pair_s / e.attention_frac,
        exchange_token_s=work.exchange_token_s / e.link_frac,
        network_token_s=work.network_token_s,
        step_s=e.step_s
        + work.layers * e.layer_s
        + work.expert_launches * e.moe_layer_s
        + work.exchange_hops * e.exchange_s
        + work.dispatch_hops * e.dispatch_s,
        sequence_s=e.sequence_s / work.attention_ranks + work.state_s / e.kv_bandwidth_frac,
        pipeline_parallel=work.pipeline_parallel,
        draft_tokens=np.zeros_like(work.layers),
        draft_acceptance=np.zeros_like(work.layers),
        draft_cost_frac=np.zeros_like(work.layers),
        prefill_clock_frac=np.ones_like(work.layers),
    )


def clocked(costs: StepCosts, clock_frac: ArrayLike) -> StepCosts:
    """Return the costs at a share of full clock: arithmetic slows with the clock, memory and links do not."""
    f = np.asarray(clock_frac, dtype=np.float64)
    return replace(
        costs,
        token_gemm_s=costs.token_gemm_s / f,
        expert_pad_s=costs.expert_pad_s / f,
        token_spread_s=costs.token_spread_s / f,
        head_gemm_s=costs.head_gemm_s / f,
        pair_s=costs.pair_s / f,
        window_pair_s=costs.window_pair_s / f,
    )


def linear_s(
    costs: StepCosts, tokens: ArrayLike, generated_tokens: ArrayLike, *, are_prompts: ArrayLike = False
) -> FloatArray:
    """Return the time of all matrix products of a step, and of expert exchanges over the network beside them [s].

    Weights of an expert are read when any of the step's tokens is routed to it: on average over uniform routing
    1 - (1 - k/E)^tokens of them. Where ranks hold whole experts, the rank to which chance gives most holds up the
    others. Reading and arithmetic overlap in part: their root sum of squares lies between perfect overlap (the larger)
    and none (the sum). So do exchanges that leave the scale-up domain. Engines that spread experts so far read prompts
    (`are_prompts`) in two batches by turns where that is faster: one computes while the other is on its way, so that a
    step takes the longer of both, but weights are read twice [1]_.

    References
    ----------
    .. [1] DeepSeek-AI, "DeepSeek-V3 Technical Report", arXiv 2412.19437, section 3.4.1.
    """
    n, generated = np.asarray(tokens, dtype=np.float64), np.asarray(generated_tokens, dtype=np.float64)
    products_s = _products_s(costs, n, generated)
    network_s = costs.network_token_s * n
    at_once_s = np.hypot(products_s, network_s)
    if not (np.any(network_s) and np.any(are_prompts)):
        return at_once_s
    in_turn_s = np.maximum(2.0 * _products_s(costs, n / 2.0, generated / 2.0), network_s)
    return np.where(np.asarray(are_prompts) & (network_s > 0.0), np.minimum(at_once_s, in_turn_s), at_once_s)


def _products_s(costs: StepCosts, tokens: FloatArray, generated_tokens: FloatArray) -> FloatArray:
    """Return the time of all matrix products of one batch [s]."""
    coverage = -np.expm1(costs.log_unrouted * np.maximum(tokens, 1e-12))
    coverage = np.minimum(coverage + costs.expert_spread * np.sqrt(coverage * (1.0 - coverage)), 1.0)
    return np.hypot(
        costs.dense_weight_s + costs.expert_weight_s * coverage,
        costs.token_gemm_s * tokens
        + costs.expert_pad_s * coverage
        + costs.token_spread_s * np.sqrt(tokens)
        + costs.head_gemm_s * generated_tokens,
    )


def step_time_s(
    costs: StepCosts,
    *,
    decode_sequences: ArrayLike,
    context_tokens: ArrayLike,
    prefill_tokens: ArrayLike = 0.0,
    prefill_pairs: ArrayLike = 0.0,
    prefill_sequences: ArrayLike = 0.0,
) -> FloatArray:
    """Return the time of engine steps of one instance; arguments broadcast against shape (n_deployments,) [s].

    Parameters
    ----------
    costs : StepCosts
        Of each deployment.
    decode_sequences : array_like
        Sequences that generate one token each in the step.
    context_tokens : array_like
        Mean context of those sequences [tokens].
    prefill_tokens, prefill_pairs : array_like
        Prompt tokens in the step and their (query, key) pairs: n·h + n²/2 for n new tokens after h cached.
    prefill_sequences : array_like
        Prompts that complete in the step (each needs the output head once).

    Returns
    -------
    ndarray
        Step time. With pipeline stages the sequences divide over them and every token passes all stages.
    """
    stages = costs.pipeline_parallel
    b = np.asarray(decode_sequences, dtype=np.float64) / stages
    context = np.asarray(context_tokens, dtype=np.float64)
    n = np.asarray(prefill_tokens, dtype=np.float64)
    pairs = np.asarray(prefill_pairs, dtype=np.float64)
    window_pairs = np.minimum(pairs, n * np.where(np.isinf(costs.window_tokens), 0.0, costs.window_tokens))
    return (
        linear_s(costs, b + n, b + np.asarray(prefill_sequences, dtype=np.float64), are_prompts=b == 0.0)
        + b * (costs.kv_token_s * context + costs.window_kv_token_s * np.minimum(context, costs.window_tokens))
        + costs.pair_s * pairs
        + costs.window_pair_s * window_pairs
        + costs.exchange_token_s * (b + n)
        + costs.step_s
        + costs.sequence_s * b
    )
