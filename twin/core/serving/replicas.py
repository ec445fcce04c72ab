"""From catalogue entries to replicas for the replay: what they hold and which efficiencies they get."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from compute.accelerators import Accelerator, accelerator_from_entry, precision_named
from compute.calibration.cases import MODES, deployment_attributes, engine_name, engine_reason
from compute.calibration.coefficients import coefficient_set, split_values
from compute.calibration.component_timings import component_efficiencies, timings_of
from compute.calibration.power_coefficients import power_coefficients
from compute.model_shapes import KV_BYTES, ModelShape, model_shape_from_entry, with_checkpoint
from compute.replay.replicas import EngineTimes, replica_pool
from compute.replay.run import ActivityPower, ReplicaPool
from compute.steady.instances import version_note
from compute.steps.roofline import Parallelism
from compute.steps.rules import Drafting, deployment_refusals, deployment_warnings


@dataclass(frozen=True, slots=True)
class ReplicaOptions:
    """How the replicas of a replay are run, as a user states it.

    Engines count `seats` and `token_budget` per attention rank; a replica has `attention_data_parallel` of them.
    """

    precision: str
    engine: str = "vllm"
    engine_version: str = ""
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
    speculative: str = ""  # what drafts; blank: the model's own module where it has one, else a draft model
    draft_tokens: int = 0
    draft_acceptance_frac: float | None = None  # None: predicted
    max_waiting: float = float("inf")
    mode: str = MODES[0]  # whether replicas do both phases or only one, whose efficiencies were fitted apart


def engine_times(
    part: Accelerator,
    memory_type: str,
    model: ModelShape,
    precision: str,
    engine: str,
    parallelism: Parallelism | None = None,
    drafts: str = "none",
    engine_version: str = "",
    mode: str = MODES[0],
) -> EngineTimes:
    """Return what steps take on an accelerator: from timings of its kernels where there are any, else as fitted.

    The fit's coefficients for an accelerator that it has not seen are those of its generation or of all.
    """
    latent_layers = np.array([float(model.layers if model.is_mla else 0)])
    attributes = deployment_attributes(
        part,
        model,
        parallelism or Parallelism(),
        precision,
        engine_name(engine),
        mode=mode,
        drafts=drafts,
        release=engine_version,
    )
    efficiencies, scheduling, rest = split_values(coefficient_set().log_values([attributes]), latent_layers)
    timings = timings_of(part.name, memory_type)
    if timings is None:
        times = EngineTimes(efficiencies, decode_scale=float(rest["decode_scale"][0]), scheduling=scheduling)
    else:
        times = EngineTimes(component_efficiencies(timings), mixed_head_token_s=timings.mixed_head_token_s)
    return replace(
        times,
        draft_cost_frac=float(rest["draft_cost"][0]) * max(model.mtp_layers, 1) / model.layers,
        draft_acceptance=float(rest["acceptance"][0]),
    )


def replica_pool_for(accelerator: Mapping[str, Any], model: Mapping[str, Any], options: ReplicaOptions) -> ReplicaPool:
    """Return the replicas of a model on an accelerator, both as catalogue entries.

    Raises
    ------
    ValueError
        If a value is impossible, or the weights do not fit.
    """
    precision = precision_named(options.precision, "precision")
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
    drafting = _drafting(options, shape)
    drafts = drafting.kind if drafting else "none"
    memory_type = str(accelerator.get("memory_type") or "")
    times = engine_times(
        part,
        memory_type,
        shape,
        precision,
        options.engine,
        parallelism,
        drafts,
        options.engine_version,
        options.mode,
    )
    acceptance = options.draft_acceptance_frac
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
        draft_acceptance_frac=times.draft_acceptance if acceptance is None else acceptance,
        max_waiting=options.max_waiting,
        power=ActivityPower(
            idle_w=part.idle_w,
            tdp_w=part.tdp_w,
            coefficients=power_coefficients(
                coefficient_set().record["power"],
                [
                    deployment_attributes(
                        part, shape, parallelism, precision, engine_name(options.engine), mode=options.mode
                    )
                ],
            ),
        ),
    )


def _drafting(options: ReplicaOptions, model: ModelShape) -> Drafting | None:
    """Return what drafts tokens; None where nothing does.

    Raises
    ------
    ValueError
        If the model or the numbers do not allow it.
    """
    if not options.draft_tokens:
        stated = options.speculative not in ("", "none") or options.draft_acceptance_frac
        if stated:
            raise ValueError("draft_tokens is 0; say how many tokens are drafted per step, or leave drafts out")
        return None
    kind = options.speculative or ("mtp" if model.mtp_layers else "draft")
    drafting = Drafting(kind, options.draft_tokens, options.draft_acceptance_frac)
    if refusals := drafting.refusals(model):
        raise ValueError("; ".join(refusals))
    return drafting


def replica_warnings(
    accelerator: Mapping[str, Any], model: Mapping[str, Any], options: ReplicaOptions
) -> tuple[str, ...]:
    """Return what to check before deploying replicas that can be replayed."""
    precision = precision_named(options.precision, "precision")
    parallelism = Parallelism(
        options.tensor_parallel, options.pipeline_parallel, options.attention_data_parallel, options.expert_parallel
    )
    note = version_note(
        coefficient_set(), accelerator_from_entry(accelerator), engine_name(options.engine), options.engine_version
    )
    warnings = deployment_warnings(model_shape_from_entry(model), parallelism, precision)
    return (*warnings, note) if note else warnings
