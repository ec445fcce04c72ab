"""Candidate instances of one model on one accelerator, with fitted coefficients applied: arrays over candidates."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from compute.accelerators import Accelerator
from compute.calibration.cases import (
    CALIBRATED_PROTOCOL,
    case_release,
    deployment_attributes,
    engine_name,
    engine_reason,
    usual_kv_precision,
)
from compute.calibration.coefficients import CoefficientSet, split_values
from compute.calibration.fitting import SEATS
from compute.calibration.power_coefficients import power_coefficients
from compute.model_shapes import ModelShape, with_checkpoint
from compute.steps.closed_loop import Scheduling
from compute.steps.kv_cache import admitted_requests, kv_bytes_per_request, memory_fit, memory_reason, workspace_bytes
from compute.steps.power import PowerCoefficients
from compute.steps.roofline import DeploymentWork, Parallelism, StepCosts, deployment_work, step_costs
from compute.steps.rules import USUAL_DRAFTING, Drafting
from compute.workload import Workload

FloatArray = NDArray[np.float64]

Group = TypeVar("Group", DeploymentWork, StepCosts, Scheduling, PowerCoefficients)  # of arrays over candidates


@dataclass(frozen=True, slots=True, eq=False)
class Instances:
    """Candidates that fit in memory; every array has shape (n,), costs and scheduling too."""

    parallelisms: tuple[Parallelism, ...]
    precisions: tuple[str, ...]
    drafts: tuple[int, ...]  # tokens drafted per step
    work: DeploymentWork
    costs: StepCosts
    scheduling: Scheduling
    decode_scale: FloatArray
    limit: FloatArray  # requests that memory and seats admit
    kv_bytes: FloatArray  # one prompt's cache, one copy
    tier: FloatArray  # contexts that a slower tier of memory keeps of paused sessions
    fetch_s: FloatArray  # to bring one of them back
    exposed: FloatArray  # share of a cache's transfer between pools that delays the first token
    acceptance: FloatArray  # of drafted tokens, as fitted
    draft_cost: FloatArray  # of a drafted token, over that of the layers that draft it
    power: PowerCoefficients

    def take(self, index: Sequence[int] | NDArray[np.int64]) -> "Instances":
        """Return the candidates at `index`."""
        index = np.asarray(index, dtype=np.int64)
        return Instances(
            parallelisms=tuple(self.parallelisms[i] for i in index),
            precisions=tuple(self.precisions[i] for i in index),
            drafts=tuple(self.drafts[i] for i in index),
            work=self.work.take(index),
            costs=self.costs.take(index),
            scheduling=Scheduling(*(getattr(self.scheduling, f.name)[index] for f in fields(Scheduling))),
            decode_scale=self.decode_scale[index],
            limit=self.limit[index],
            kv_bytes=self.kv_bytes[index],
            tier=self.tier[index],
            fetch_s=self.fetch_s[index],
            exposed=self.exposed[index],
            acceptance=self.acceptance[index],
            draft_cost=self.draft_cost[index],
            power=PowerCoefficients(*(getattr(self.power, f.name)[index] for f in fields(PowerCoefficients))),
        )

    def columns(self) -> "Instances":
        """Return the candidates with arrays of shape (n, 1), to be spread over loads."""

        def column(group: Group) -> Group:
            return replace(group, **{f.name: getattr(group, f.name).reshape(-1, 1) for f in fields(group)})

        return replace(
            self,
            work=column(self.work),
            costs=column(self.costs),
            scheduling=column(self.scheduling),
            decode_scale=self.decode_scale.reshape(-1, 1),
            limit=self.limit.reshape(-1, 1),
            kv_bytes=self.kv_bytes.reshape(-1, 1),
            tier=self.tier.reshape(-1, 1),
            fetch_s=self.fetch_s.reshape(-1, 1),
            exposed=self.exposed.reshape(-1, 1),
            acceptance=self.acceptance.reshape(-1, 1),
            draft_cost=self.draft_cost.reshape(-1, 1),
            power=column(self.power),
        )


def within_context(workload: Workload, model: ModelShape) -> Workload:
    """Return the workload with no request longer than the model's context."""
    return replace(
        workload,
        most_input_tokens=max(min(workload.most_input_tokens, float(model.max_context_tokens)), workload.input_tokens),
        most_output_tokens=max(
            min(workload.most_output_tokens, float(model.max_context_tokens)), workload.output_tokens
        ),
    )


def candidate_parallelisms(
    accelerator: Accelerator, model: ModelShape, max_accelerators: int
) -> tuple[Parallelism, ...]:
    """Return the ways to spread one instance over accelerators.

    Tensor parallelism by powers of two inside the scale-up domain, and for mixtures of experts attention data-parallel
    with experts spread over all ranks, over the network too (wide expert parallelism). Pipelines only of more
    accelerators than tensor parallelism reaches: inside its reach they hold no more and take longer. What is possible
    on few accelerators is among what is possible on more.

    Parameters
    ----------
    accelerator, model : Accelerator, ModelShape
        What runs where.
    max_accelerators : int
        Accelerators of one instance at most.
    """
    domain = accelerator.scaleup_domain_size
    found = []
    tensor = 1
    while tensor <= min(max_accelerators, model.attention_heads, domain):
        if model.attention_heads % tensor == 0:
            found.append(Parallelism(tensor))
            for pipeline in (2, 4):
                ranks = tensor * pipeline
                reached = ranks <= domain and model.attention_heads % ranks == 0
                if not reached and ranks <= max_accelerators and model.layers >= 8 * pipeline:
                    found.append(Parallelism(tensor, pipeline))
        tensor *= 2
    if model.experts:
        ranks = 2
        while ranks <= min(max_accelerators, model.experts):
            found.append(Parallelism(1, 1, ranks, ranks))
            ranks *= 2
    return tuple(found)


def build_instances(
    coefficients: CoefficientSet,
    accelerator: Accelerator,
    model: ModelShape,
    workload: Workload,
    parallelisms: Sequence[Parallelism],
    precisions: Sequence[str],
    *,
    engine: str = "",
    engine_version: str = "",
    draft_tokens: Sequence[int] = (0,),
    drafting: Drafting = USUAL_DRAFTING,
    mode: str = "aggregated",
    kv_precision: str = "",
    checkpoint: str = "",
) -> tuple[Instances | None, str]:
    """Return the candidates (every parallelism, precision and draft) that fit, or None and why the roomiest does not.

    Parameters
    ----------
    coefficients : CoefficientSet
        A fitted set.
    accelerator, model : Accelerator, ModelShape
        What runs where.
    workload : Workload
        Its mean request must fit.
    parallelisms, precisions : sequence
        Candidates.
    engine, engine_version : str
        Serving software; blank means the one with most calibrated cases on this accelerator, and its latest measured
        release.
    draft_tokens : sequence of int
        Tokens drafted per step to try, by a prediction module of `model.mtp_layers` layers or as cheap as one.
    drafting : Drafting
        What drafts them and, where it is stated, how many are kept; its own number of tokens does not count here.
    mode : str
        "aggregated", or "disaggregated" where instances only read prompts or only generate.
    kv_precision : str
        Of the cache; blank for what engines pair with the weights.
    checkpoint : str
        Published weights that differ from their precision's usual; only precisions that it is stored in are tried.

    Raises
    ------
    ValueError
        If the engine, a precision or the checkpoint is unknown.
    """
    name = engine_name(engine) if engine else usual_engine(coefficients, accelerator.name)
    drafts = drafting.kind if any(draft_tokens) else "none"
    if strange := engine_reason(name, accelerator):
        return None, strange
    context = workload.input_tokens + workload.output_tokens
    works, spread, chosen, reasons = [], [], [], []
    others = ""  # why a precision is none of the checkpoint's
    for precision in precisions:
        stored = with_checkpoint(model, checkpoint, precision)
        try:
            stored.checkpoint(precision)
        except ValueError as refusal:
            others = str(refusal)
            continue
        for parallelism in parallelisms:
            work = deployment_work(
                accelerator,
                stored,
                parallelism,
                weight_precision=precision,
                kv_precision=kv_precision or usual_kv_precision(precision),
            )
            memory = memory_fit(work, accelerator.hbm_bytes)
            reason = memory_reason(work, memory, context)
            if reason:
                reasons.append((float(memory.kv_bytes[0] / memory.accelerators[0]), reason))
                continue
            works.append(work)
            spread.append(parallelism)
            chosen.append(precision)
    if not works:
        return None, max(reasons)[1] if reasons else others or "no parallelism or precision to try"
    attributes = [
        deployment_attributes(
            accelerator,
            model,
            parallelism,
            precision,
            name,
            mode=mode,
            drafts=drafts,
            release=engine_version,
            output_tokens=workload.output_tokens,
        )
        for precision, parallelism in zip(chosen, spread, strict=True)
    ]
    work = DeploymentWork.stack(works)
    latent_layers = np.full(len(works), float(model.layers if model.is_mla else 0))
    efficiencies, scheduling, rest = split_values(coefficients.log_values(attributes), latent_layers)
    memory = memory_fit(
        work, accelerator.hbm_bytes, workspace_bytes=workspace_bytes(accelerator.hbm_bytes, rest["workspace_bytes"])
    )
    held = workload.input_tokens + 2.0 * rest["reserve"] * workload.generated_tokens
    kv_bytes = kv_bytes_per_request(work, workload.input_tokens) / work.kv_copies
    instances = Instances(
        parallelisms=tuple(spread),
        precisions=tuple(chosen),
        drafts=(0,) * len(chosen),
        work=work,
        costs=step_costs(work, efficiencies),
        scheduling=scheduling,
        decode_scale=rest["decode_scale"],
        limit=np.clip(admitted_requests(work, memory, held), 1.0, SEATS * work.accelerators),
        kv_bytes=kv_bytes,
        tier=accelerator.cache_tier_bytes * work.accelerators / kv_bytes_per_request(work, held),
        exposed=rest["exposed"],
        acceptance=rest["acceptance"] if drafting.acceptance is None else np.full(len(chosen), drafting.acceptance),
        draft_cost=rest["draft_cost"],
        fetch_s=workload.cached_frac * kv_bytes / (accelerator.cache_tier_bytes_per_s * work.accelerators),
        power=power_coefficients(coefficients.record["power"], attributes),
    )
    return (instances if tuple(draft_tokens) == (0,) else _drafting(instances, model, draft_tokens)), ""


def _drafting(instances: Instances, model: ModelShape, draft_tokens: Sequence[int]) -> Instances:
    """Return every candidate with every number of drafted tokens."""
    n = len(instances.parallelisms)
    many = instances.take(np.tile(np.arange(n), len(draft_tokens)))
    drafts = np.repeat(np.asarray(draft_tokens, dtype=np.float64), n)
    costs = replace(
        many.costs,
        draft_tokens=drafts,
        draft_acceptance=np.where(drafts > 0, many.acceptance, 0.0),
        draft_cost_frac=many.draft_cost * max(model.mtp_layers, 1) / model.layers,
    )
    return replace(many, drafts=tuple(int(g) for g in drafts), costs=costs)


def version_note(coefficients: CoefficientSet, accelerator: Accelerator, engine: str, version: str) -> str:
    """Return the note that no runs of a release were measured on such accelerators; blank where some were.

    Parameters
    ----------
    coefficients : CoefficientSet
        A fitted set.
    accelerator : Accelerator
        Runs on its relatives of the same generation count.
    engine : str
        As `engine_name` returns it.
    version : str
        Release, as the engine or its image names it; there is no note without one.
    """
    if not version:
        return ""
    release = case_release(version, "")
    system = {"generation": accelerator.generation, "engine": engine, "protocol": CALIBRATED_PROTOCOL}
    stands = coefficients.release_of(system | {"release": release})
    runs = f"measured runs of {engine} {version} on {accelerator.generation}"
    return "" if stands == release else f"no {runs}; taken as {stands or 'of no release in particular'}"


def usual_engine(coefficients: CoefficientSet, accelerator: str) -> str:
    """Return the engine with most calibrated cases on an accelerator, or `other` where there are none."""
    counts: dict[str, int] = {}
    for system, n in coefficients.record.get("cases_by_vintage", {}).items():
        name, engine, protocol, _ = system.split("|")
        if name == accelerator and protocol == CALIBRATED_PROTOCOL:
            counts[engine] = counts.get(engine, 0) + n
    return max(sorted(counts), key=lambda engine: counts[engine]) if counts else "other"
