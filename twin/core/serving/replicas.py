"""From catalogue entries to replicas for the replay: what they hold and which efficiencies they get."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from compute.accelerators import WEIGHT_PRECISIONS, Accelerator, accelerator_from_entry
from compute.calibration.cases import deployment_attributes, engine_name, engine_reason
from compute.calibration.coefficients import coefficient_set, split_values
from compute.calibration.component_timings import component_efficiencies, timings_of
from compute.calibration.power_fit import power_coefficients
from compute.model_shapes import KV_BYTES, ModelShape, model_shape_from_entry, with_checkpoint
from compute.replay.replicas import EngineTimes, replica_pool
from compute.replay.run import ActivityPower, ReplicaPool
from compute.steps.roofline import Parallelism
from compute.steps.rules import deployment_refusals, deployment_warnings

# Other names of stored formats that take the same bytes and units.
PRECISION_NAMES = {
    "bfloat16": "bf16",
    "fp16": "bf16",
    "float16": "bf16",
    "nvfp4": "fp4",
    "mxfp4": "fp4",
    "awq": "int4",
    "gptq": "int4",
}


@dataclass(frozen=True, slots=True)
class ReplicaOptions:
    """How the replicas of a replay are run, as a user states it.

    Engines count `seats` and `token_budget` per attention rank; a replica has `attention_data_parallel` of them.
    """

    precision: str
    engine: str = "vllm"
    checkpoint: str = ""
    kv_precision: str = "bf16"
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    attention_data_parallel: int = 1
    expert_parallel: int = 1
    replicas: int = 1
    seats: int = 128
    token_budget: int = 2048
    kv_tokens: float | None = None
    memory_frac: float = 0.9
    draft_tokens: int = 0
    draft_acceptance_frac: float = 0.0
    max_waiting: float = float("inf")


def engine_times(
    part: Accelerator,
    memory_type: str,
    model: ModelShape,
    precision: str,
    engine: str,
    parallelism: Parallelism | None = None,
    drafts: str = "none",
) -> EngineTimes:
    """Return what steps take on an accelerator: from timings of its kernels where there are any, else as fitted.

    The fit's coefficients for an accelerator that it has not seen are those of its generation or of all.
    """
    timings = timings_of(part.name, memory_type)
    if timings is not None:
        return EngineTimes(component_efficiencies(timings), mixed_head_token_s=timings.mixed_head_token_s)
    latent_layers = np.array([float(model.layers if model.is_mla else 0)])
    attributes = deployment_attributes(
        part, model, parallelism or Parallelism(), precision, engine_name(engine), drafts=drafts
    )
    efficiencies, scheduling, rest = split_values(coefficient_set().log_values([attributes]), latent_layers)
    return EngineTimes(
        efficiencies,
        decode_scale=float(rest["decode_scale"][0]),
        scheduling=scheduling,
        draft_cost_frac=float(rest["draft_cost"][0]) * max(model.mtp_layers, 1) / model.layers,
    )


def replica_pool_for(accelerator: Mapping[str, Any], model: Mapping[str, Any], options: ReplicaOptions) -> ReplicaPool:
    """Return the replicas of a model on an accelerator, both as catalogue entries.

    Raises
    ------
    ValueError
        If a value is impossible, or the weights do not fit.
    """
    precision = PRECISION_NAMES.get(options.precision, options.precision)
    if precision not in WEIGHT_PRECISIONS:
        raise ValueError(f"precision is {options.precision!r}; must be one of {', '.join(WEIGHT_PRECISIONS)}")
    if options.kv_precision not in KV_BYTES:
        raise ValueError(f"KV precision is {options.kv_precision!r}; must be one of {', '.join(KV_BYTES)}")
    if not 0 < options.memory_frac <= 1:
        raise ValueError(f"memory share is {options.memory_frac}; must be above 0 and at most 1")
    if options.seats < 1:
        raise ValueError(f"seats is {options.seats}; must be 1 or more")
    part = accelerator_from_entry(accelerator)
    shape = with_checkpoint(model_shape_from_entry(model), options.checkpoint, precision)
    if strange := engine_reason(engine_name(options.engine), part):
        raise ValueError(strange)
    parallelism = Parallelism(
        tensor_parallel=options.tensor_parallel,
        pipeline_parallel=options.pipeline_parallel,
        attention_data_parallel=options.attention_data_parallel,
        expert_parallel=options.expert_parallel,
    )
    if refusals := deployment_refusals(shape, parallelism):
        raise ValueError("; ".join(refusals))
    drafts = ("mtp" if shape.mtp_layers else "draft") if options.draft_tokens else "none"
    memory_type = str(accelerator.get("memory_type") or "")
    times = engine_times(part, memory_type, shape, precision, options.engine, parallelism, drafts)
    return replica_pool(
        part,
        shape,
        parallelism,
        times,
        weight_precision=precision,
        kv_precision=options.kv_precision,
        n_replicas=options.replicas,
        seats=options.seats * options.attention_data_parallel,
        token_budget=options.token_budget * options.attention_data_parallel,
        kv_tokens=options.kv_tokens,
        claimed_frac=options.memory_frac,
        draft_tokens=options.draft_tokens,
        draft_acceptance_frac=options.draft_acceptance_frac,
        max_waiting=options.max_waiting,
        power=ActivityPower(
            idle_w=part.idle_w,
            tdp_w=part.tdp_w,
            coefficients=power_coefficients(
                coefficient_set().record["power"],
                [deployment_attributes(part, shape, parallelism, precision, engine_name(options.engine))],
            ),
        ),
    )


def replica_warnings(model: Mapping[str, Any], options: ReplicaOptions) -> tuple[str, ...]:
    """Return what to check before deploying replicas that can be replayed."""
    precision = PRECISION_NAMES.get(options.precision, options.precision)
    parallelism = Parallelism(
        options.tensor_parallel, options.pipeline_parallel, options.attention_data_parallel, options.expert_parallel
    )
    return deployment_warnings(model_shape_from_entry(model), parallelism, precision)
