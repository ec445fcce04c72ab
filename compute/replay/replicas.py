"""Replicas for the replay from what they run on: the closed form's step times and memory."""

from dataclasses import dataclass

import numpy as np

from compute.accelerators import Accelerator
from compute.model_shapes import ModelShape
from compute.replay.run import ActivityPower, ReplicaPool
from compute.steps.closed_loop import Scheduling, prefill_time_s
from compute.steps.kv_cache import memory_fit
from compute.steps.roofline import Efficiencies, Parallelism, StepCosts, deployment_work, step_costs
from compute.steps.step_model import step_model

DEFAULT_MEMORY_FRAC = 0.9  # vLLM's --gpu-memory-utilization
# assumed: activations of a step's tokens and CUDA graphs; an RTX 4090 with 2,048 tokens a step left 41,408 tokens of
# Llama-3.1-8B, which is 1.7 GB for both, and 3 GB at 8,192 is the closed form's assumption
ASSUMED_WORKSPACE_BYTES = 1.0e9
ASSUMED_WORKSPACE_BYTES_PER_TOKEN = 2.5e5
# assumed: context at which a sliding-window model's KV memory is counted; windows are full long before
ASSUMED_CONTEXT_TOKENS = 4096.0


@dataclass(frozen=True, slots=True)
class EngineTimes:
    """What a deployment's steps take, from timings of components or from a fit to served runs.

    Attributes
    ----------
    efficiencies : Efficiencies
    mixed_head_token_s : float
        Time of decode attention in steps that also carry prompt tokens, per query head of 128, layer and token of
        context; 0 if such steps read the cache as fast as others [s].
    decode_scale : float
        Fitted factor on what decoding takes.
    scheduling : Scheduling or None
        Fitted times of requests outside and inside the engine. Prompts then lengthen steps by the share that the fit
        says others feel (`stall`), and what a request's own prompt takes beyond that delays its first token alone.
    draft_cost_frac : float
        Time of one drafted token over that of a plain step.
    draft_acceptance : float
        Chance that a drafted token is kept, as measured runs of that kind let predict [-].
    """

    efficiencies: Efficiencies
    mixed_head_token_s: float = 0.0
    decode_scale: float = 1.0
    scheduling: Scheduling | None = None
    draft_cost_frac: float = 0.0
    draft_acceptance: float = 0.0

    def prompt_scale(self) -> float | None:
        """Return the share of a prompt's time alone by which it lengthens a step, as fitted; None where not fitted."""
        if self.scheduling is None:
            return None
        return float(np.squeeze(self.scheduling.stall)) * self.decode_scale

    def frontend(self, costs: StepCosts) -> tuple[float, float]:
        """Return a request's time outside the steps: fixed [s], and per uncached prompt token [s/token]."""
        if self.scheduling is None:
            return 0.0, 0.0
        stall = float(np.squeeze(self.scheduling.stall)) * self.decode_scale
        beyond = max(0.0, float(np.squeeze(self.scheduling.first)) - stall)
        short_s, long_s = (float(prefill_time_s(costs, n)[0]) for n in (1.0, ASSUMED_CONTEXT_TOKENS))
        per_token_s = (long_s - short_s) / (ASSUMED_CONTEXT_TOKENS - 1.0)
        return float(np.squeeze(self.scheduling.request_s)) + beyond * short_s, beyond * per_token_s


def kv_token_capacity(
    accelerator: Accelerator,
    model: ModelShape,
    parallelism: Parallelism,
    *,
    weight_precision: str,
    kv_precision: str = "bf16",
    token_budget: int = 2048,
    claimed_frac: float = DEFAULT_MEMORY_FRAC,
    seats: int = 0,
) -> float:
    """Return how many tokens of context one replica's memory holds [tokens].

    Parameters
    ----------
    accelerator, model, parallelism
        As for `compute.steps.roofline.deployment_work`.
    weight_precision, kv_precision : str
        Stored precision of weights and KV cache.
    token_budget : int
        Most tokens in a step, which decides the workspace.
    claimed_frac : float
        Share of device memory that the engine claims [-].
    seats : int
        Sequences whose state of fixed size (linear attention) is kept beside the cache.

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
    tokens = (float(fit.kv_bytes[0]) - seats * float(work.state_bytes[0])) / per_token
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
    times: EngineTimes,
    *,
    weight_precision: str,
    kv_precision: str = "bf16",
    n_replicas: int = 1,
    seats: int = 128,
    token_budget: int = 2048,
    kv_tokens: float | None = None,
    claimed_frac: float = DEFAULT_MEMORY_FRAC,
    draft_tokens: int = 0,
    draft_acceptance_frac: float = 0.0,
    max_waiting: float = np.inf,
    power: ActivityPower | None = None,
) -> ReplicaPool:
    """Return the replicas that serve a model on accelerators, with the closed form's step times.

    Parameters
    ----------
    accelerator, model, parallelism
        As for `compute.steps.roofline.deployment_work`.
    times : EngineTimes
        How fast.
    weight_precision, kv_precision : str
        Stored precision of weights and KV cache.
    kv_tokens : float or None
        Tokens of context that a replica holds; None computes it from memory.
    claimed_frac : float
        Share of device memory that the engine claims.
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
        seats=seats,
    )
    max_tokens = max(token_budget, seats * (1 + draft_tokens), 1)
    costs = step_costs(work, times.efficiencies)
    heads = model.layers * model.attention_heads / parallelism.stage_accelerators * model.head_dim / 128.0
    alone_s = float(costs.kv_token_s[0] + costs.window_kv_token_s[0])
    frontend_s, frontend_token_s = times.frontend(costs)
    return ReplicaPool(
        step=step_model(
            work,
            costs,
            max_tokens,
            mixed_kv_factor=max(1.0, heads * times.mixed_head_token_s / alone_s),
            decode_scale=times.decode_scale,
            prompt_scale=times.prompt_scale(),
            draft_tokens=draft_tokens,
            draft_cost_frac=times.draft_cost_frac,
        ),
        n_replicas=n_replicas,
        kv_tokens=capacity if kv_tokens is None else kv_tokens,
        seats=seats,
        token_budget=token_budget,
        draft_tokens=draft_tokens,
        draft_acceptance_frac=draft_acceptance_frac,
        max_context_tokens=float(model.max_context_tokens),
        max_waiting=max_waiting,
        frontend_s=frontend_s,
        frontend_token_s=frontend_token_s,
        accelerators_per_replica=parallelism.accelerators,
        power=power,
    )
