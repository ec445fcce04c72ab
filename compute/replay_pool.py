"""Replicas for the replay from what they run on: the closed form's step times and memory."""

import numpy as np

from compute.accelerators import Accelerator
from compute.kv_cache import memory_fit
from compute.model_shapes import ModelShape
from compute.replay import ActivityPower, ReplicaPool
from compute.roofline import Efficiencies, Parallelism, deployment_work, step_costs
from compute.step_model import step_model

DEFAULT_MEMORY_FRAC = 0.9  # vLLM's --gpu-memory-utilization
# assumed: activations of a step's tokens and CUDA graphs; an RTX 4090 with 2,048 tokens a step left 41,408 tokens of
# Llama-3.1-8B, which is 1.7 GB for both, and 3 GB at 8,192 is the closed form's assumption
ASSUMED_WORKSPACE_BYTES = 1.0e9
ASSUMED_WORKSPACE_BYTES_PER_TOKEN = 2.5e5
# assumed: context at which a sliding-window model's KV memory is counted; windows are full long before
ASSUMED_CONTEXT_TOKENS = 4096.0


def kv_token_capacity(
    accelerator: Accelerator,
    model: ModelShape,
    parallelism: Parallelism,
    *,
    weight_precision: str,
    kv_precision: str = "bf16",
    token_budget: int = 2048,
    claimed_frac: float = DEFAULT_MEMORY_FRAC,
) -> float:
    """Return how many tokens of context one replica's memory holds.

    Raises
    ------
    ValueError
        If the weights leave no room; says how much they need and how much there is.
    """
    work = deployment_work(
        accelerator, model, parallelism, weight_precision=weight_precision, kv_precision=kv_precision
    )
    workspace_bytes = ASSUMED_WORKSPACE_BYTES + ASSUMED_WORKSPACE_BYTES_PER_TOKEN * token_budget
    fit = memory_fit(work, accelerator.hbm_bytes, claimed_frac=claimed_frac, workspace_bytes=workspace_bytes)
    windowed = float(work.kv_window_bytes_per_token[0])
    held_frac = min(1.0, float(work.window_tokens[0]) / ASSUMED_CONTEXT_TOKENS)
    per_token = float(work.kv_copies[0]) * (float(work.kv_bytes_per_token[0]) - windowed * (1.0 - held_frac))
    tokens = float(fit.kv_bytes[0]) / per_token
    if tokens < 1:
        raise ValueError(
            f"{model.name} needs {fit.weight_bytes[0] / 1e9:.0f} GB for weights in {weight_precision}; "
            f"{parallelism.accelerators} x {accelerator.hbm_bytes / 1e9:.0f} GB of {accelerator.name} leave 0 GB for "
            "KV cache"
        )
    return tokens


def replica_pool(
    accelerator: Accelerator,
    model: ModelShape,
    parallelism: Parallelism,
    efficiencies: Efficiencies,
    *,
    weight_precision: str,
    kv_precision: str = "bf16",
    n_replicas: int = 1,
    seats: int = 128,
    token_budget: int = 2048,
    kv_tokens: float | None = None,
    claimed_frac: float = DEFAULT_MEMORY_FRAC,
    mixed_head_token_s: float = 0.0,
    draft_tokens: int = 0,
    draft_acceptance_frac: float = 0.0,
    max_waiting: float = np.inf,
    power: ActivityPower | None = None,
) -> ReplicaPool:
    """Return the replicas that serve a model on accelerators, with the closed form's step times.

    Parameters
    ----------
    accelerator, model, parallelism, efficiencies
        As for `compute.roofline.step_costs`.
    weight_precision, kv_precision : str
        Stored precision of weights and KV cache.
    kv_tokens : float or None
        Tokens of context that a replica holds; None computes it from memory.
    claimed_frac : float
        Share of device memory that the engine claims.
    mixed_head_token_s : float
        Time of decode attention in steps that also carry prompt tokens, per query head of 128, layer and token of
        context; 0 if such steps read the cache as fast as others [s].
    n_replicas, seats, token_budget, draft_tokens, draft_acceptance_frac, max_waiting, power
        As in `ReplicaPool`.

    Raises
    ------
    ValueError
        If the weights do not fit, or a value is impossible.
    """
    work = deployment_work(
        accelerator, model, parallelism, weight_precision=weight_precision, kv_precision=kv_precision
    )
    capacity = kv_token_capacity(
        accelerator,
        model,
        parallelism,
        weight_precision=weight_precision,
        kv_precision=kv_precision,
        token_budget=token_budget,
        claimed_frac=claimed_frac,
    )
    max_tokens = max(token_budget, seats * (1 + draft_tokens), 1)
    costs = step_costs(work, efficiencies)
    heads = model.layers * model.attention_heads / parallelism.stage_accelerators * model.head_dim / 128.0
    alone_s = float(costs.kv_token_s[0] + costs.window_kv_token_s[0])
    mixed_kv_factor = max(1.0, heads * mixed_head_token_s / alone_s)
    return ReplicaPool(
        step=step_model(work, costs, max_tokens, mixed_kv_factor=mixed_kv_factor),
        n_replicas=n_replicas,
        kv_tokens=capacity if kv_tokens is None else kv_tokens,
        seats=seats,
        token_budget=token_budget,
        draft_tokens=draft_tokens,
        draft_acceptance_frac=draft_acceptance_frac,
        max_context_tokens=float(model.max_context_tokens),
        max_waiting=max_waiting,
        accelerators_per_replica=parallelism.accelerators,
        power=power,
    )
