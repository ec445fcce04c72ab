"""The curve that planners know: throughput per accelerator against speed per user, over all configurations."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from compute.accelerators import Accelerator
from compute.calibration.coefficients import CoefficientSet
from compute.model_shapes import ModelShape, with_checkpoint
from compute.steady.instances import Instances, build_instances, candidate_parallelisms, within_context
from compute.steady.load_lines import both_phases_line, decode_line, fixed_s, kept_when_busy
from compute.steady.open_loop import LoadLine
from compute.steady.pins import FREE, Pin, Restrictions, Software
from compute.steady.prompt_law import prompt_times
from compute.steady.serving import Configuration, allowed_precisions, check_cap, drafts_to_try
from compute.steady.session_cache import cached_frac
from compute.steps.disaggregation import DECODE_DERATE, PREFILL_DERATE
from compute.steps.power import (
    EngineStates,
    capped_clocks,
    clock_power_factor,
    clock_under_cap,
    engine_states,
    state_shares,
    states_power_share,
)
from compute.steps.roofline import Parallelism, clocked
from compute.steps.rules import USUAL_DRAFTING, Drafting
from compute.steps.speculation import tokens_per_step
from compute.workload import Workload

FloatArray = NDArray[np.float64]

MOST_DECODE_INSTANCES = 8  # of one disaggregated unit; more of them repeat the same ratio


@dataclass(frozen=True, slots=True, eq=False)
class Frontier:
    """Operating points of one system and model that no other point beats, fastest user last; arrays of shape (n,)."""

    user_tokens_per_s: FloatArray  # 1 / ITL
    accelerator_tokens_per_s: FloatArray  # output tokens per second and accelerator
    ttft_s: FloatArray
    itl_s: FloatArray
    batch: FloatArray  # requests in service per instance
    accelerator_power_w: FloatArray
    joules_per_output_token: FloatArray  # at the accelerators
    configuration: tuple[str, ...]
    units: tuple[Configuration, ...]  # the same as they are computed with
    reason: str  # why there is no point

    def at_interactivity(self, user_tokens_per_s: float) -> int | None:
        """Return the point of most throughput whose users see at least this speed, or None."""
        fast = np.flatnonzero(self.user_tokens_per_s >= user_tokens_per_s)
        return int(fast[np.argmax(self.accelerator_tokens_per_s[fast])]) if fast.size else None


@dataclass(frozen=True, slots=True, eq=False)
class _Points:
    """Operating points before any is left out; arrays of one shape, `configurations` by its first axis."""

    user_tokens_per_s: FloatArray
    accelerator_tokens_per_s: FloatArray
    ttft_s: FloatArray
    batch: FloatArray
    accelerator_power_w: FloatArray
    configurations: tuple[Configuration, ...]


def serving_frontier(
    coefficients: CoefficientSet,
    accelerator: Accelerator,
    model: ModelShape,
    workload: Workload,
    *,
    max_accelerators: int = 8,
    precisions: Sequence[str] | None = None,
    engine: str = "",
    allow_disaggregated: bool = False,
    allow_drafts: bool = False,
    drafting: Drafting = USUAL_DRAFTING,
    engine_version: str = "",
    kv_precision: str = "",
    checkpoint: str = "",
    power_cap_w: float | None = None,
    restrictions: Restrictions = FREE,
    pin: Pin | None = None,
) -> Frontier:
    """Return the Pareto frontier of throughput per accelerator over tokens per second and user.

    All configurations at 40 loads each, from a lone request to what memory admits. Points are those of a steady closed
    loop: waiting of open arrivals is left to `serving_curve`.

    Parameters
    ----------
    coefficients : CoefficientSet
        A fitted set.
    accelerator, model, workload : Accelerator, ModelShape, Workload
        What serves what to whom.
    max_accelerators : int
        Of one unit.
    precisions, engine, allow_drafts, drafting, engine_version, kv_precision, checkpoint
        As for `compute.steady.serving.best_configuration`.
    allow_disaggregated : bool
        Whether prefill may run on instances of its own, in the ratio that keeps up with decoding.
    power_cap_w : float, optional
        Cap on each accelerator [W]: points that would draw more run at a lower clock.
    restrictions : Restrictions
        What the search may not take.
    pin : Pin, optional
        One configuration in place of the search.

    Raises
    ------
    ValueError
        If the accelerator cannot be set to the cap.
    """
    spread = restrictions.allowed(accelerator, candidate_parallelisms(accelerator, model, max_accelerators))
    drafts, refusals = drafts_to_try(model, drafting) if allow_drafts and pin is None else ((0,), ())
    if refusals:
        return _nothing("; ".join(refusals))
    if pin is not None:
        if refusals := tuple(pin.refusals(accelerator, model, workload, max_accelerators)):
            return _nothing("; ".join(refusals))
        spread = tuple(dict.fromkeys(p for p in (pin.parallelism, pin.prefill) if p is not None))
        precisions = (pin.precision,) if pin.precision else precisions
        try:
            pin = pin.stored(kv_precision, checkpoint)
            with_checkpoint(model, pin.checkpoint, pin.precision)
        except ValueError as refusal:
            return _nothing(str(refusal))
        drafts, drafting, kv_precision, checkpoint = (pin.draft_tokens,), pin.drafting, pin.kv_precision, pin.checkpoint
    workload = within_context(workload, model)
    software = Software(engine, engine_version, replace(drafting, tokens=None), kv_precision, checkpoint)
    tried = tuple(precisions) if precisions else allowed_precisions(accelerator, model)
    instances, reason = build_instances(
        coefficients, accelerator, model, workload, spread, tried, draft_tokens=drafts, **software.arguments
    )
    if instances is None:
        return _nothing(reason)
    if pin is not None and pin.batch is not None:
        instances = replace(instances, limit=np.minimum(instances.limit, float(pin.batch)))
    mode = restrictions.mode if pin is None else "disaggregated" if pin.prefill else "aggregated"
    found = []
    if mode != "disaggregated":
        found.append(_together(instances, accelerator, model, workload, software, power_cap_w))
    if pin is not None and pin.prefill is not None:
        found += _pinned_apart(instances, accelerator, model, workload, software, power_cap_w, pin)
    elif mode != "aggregated" and allow_disaggregated and max_accelerators > 1:
        found += _apart(instances, accelerator, model, workload, software, power_cap_w, max_accelerators)
    return _best_of(found) if found else _nothing("no unit of separate prefill and decode instances fits")


def _nothing(reason: str) -> Frontier:
    nothing = np.zeros(0)
    return Frontier(*(nothing,) * 7, configuration=(), units=(), reason=reason)


def _pinned_apart(
    instances: Instances,
    accelerator: Accelerator,
    model: ModelShape,
    workload: Workload,
    software: Software,
    power_cap_w: float | None,
    pin: Pin,
) -> list[_Points]:
    """Return the points of a unit whose instances and their numbers were decided."""
    found = []
    for precision in dict.fromkeys(instances.precisions):
        place_of: dict[Parallelism, int] = {}  # the first of each that has this precision
        for i, (name, spread) in enumerate(zip(instances.precisions, instances.parallelisms, strict=True)):
            if name == precision:
                place_of.setdefault(spread, i)
        if pin.prefill in place_of and pin.parallelism in place_of:
            first, decode = instances.take([place_of[pin.prefill]]), instances.take([place_of[pin.parallelism]])
            counts = (pin.prefill_instances, pin.decode_instances)
            most = pin.n_accelerators
            found += _units(first, decode, accelerator, model, workload, software, power_cap_w, most, counts)
    return found


def _best_of(found: Sequence[_Points]) -> Frontier:
    """Return the points that no other beats in speed and throughput."""

    def joined(name: str) -> FloatArray:
        return np.concatenate([np.ravel(getattr(points, name)) for points in found])

    speed, rate, watts = (
        joined(name) for name in ("user_tokens_per_s", "accelerator_tokens_per_s", "accelerator_power_w")
    )
    owners = np.concatenate(
        [
            np.repeat(np.arange(p.user_tokens_per_s.shape[0]), p.user_tokens_per_s.shape[1]) + first
            for p, first in zip(found, np.cumsum([0, *(len(p.configurations) for p in found)]), strict=False)
        ]
    )
    every = [configuration for points in found for configuration in points.configurations]
    flat = np.lexsort((-rate, -speed))  # fastest users first
    best_so_far = np.maximum.accumulate(rate[flat])
    chosen = flat[np.r_[best_so_far[0] > 0, best_so_far[1:] > best_so_far[:-1]]][::-1]
    return Frontier(
        user_tokens_per_s=speed[chosen],
        accelerator_tokens_per_s=rate[chosen],
        ttft_s=joined("ttft_s")[chosen],
        itl_s=1.0 / speed[chosen],
        batch=joined("batch")[chosen],
        accelerator_power_w=watts[chosen],
        joules_per_output_token=watts[chosen] / rate[chosen],
        configuration=tuple(every[i].text() for i in owners[chosen]),
        units=tuple(every[i] for i in owners[chosen]),
        reason="",
    )


def _together(
    instances: Instances,
    accelerator: Accelerator,
    model: ModelShape,
    workload: Workload,
    software: Software,
    power_cap_w: float | None,
) -> _Points:
    """Return the points of instances that do both phases."""
    column = instances.columns()
    line, states = _line(column, workload)
    dynamic_w = (accelerator.tdp_w - accelerator.idle_w) * states_power_share(column.power, states)
    if power_cap_w is not None:
        reading, generating, dynamic_w = _under_cap(accelerator, column, states, power_cap_w)
        slowed = replace(clocked(column.costs, generating), prefill_clock_frac=reading / generating)
        line, _ = _line(replace(column, costs=slowed), workload)
    return _Points(
        user_tokens_per_s=1.0 / line.itl_s,
        accelerator_tokens_per_s=line.requests_per_s * workload.output_tokens / column.work.accelerators,
        ttft_s=np.broadcast_to(line.state.ttft_s, line.itl_s.shape),
        batch=line.in_service,
        accelerator_power_w=accelerator.idle_w + dynamic_w,
        configurations=tuple(
            Configuration(
                accelerator,
                model,
                weight_precision=precision,
                parallelism=parallelism,
                draft_tokens=drafts,
                **software.arguments,
            )
            for precision, parallelism, drafts in zip(
                instances.precisions, instances.parallelisms, instances.drafts, strict=True
            )
        ),
    )


def _under_cap(
    accelerator: Accelerator, column: Instances, states: EngineStates, power_cap_w: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the clocks of reading prompts and of generating under a cap, and the mean dynamic watts [W]."""
    check_cap(accelerator, power_cap_w)
    return capped_clocks(
        state_shares(column.power, states),
        states,
        idle_w=accelerator.idle_w,
        tdp_w=accelerator.tdp_w,
        cap_w=power_cap_w,
    )


def _line(column: Instances, workload: Workload, *, only_decode: bool = False) -> tuple[LoadLine, EngineStates]:
    """Return instances over load and what they do at it; `only_decode` where prompts come over from others."""
    line = (decode_line if only_decode else both_phases_line)(column, workload)
    cached = 1.0 - 1e-9 if only_decode else cached_frac(workload, line.kept)
    states = engine_states(
        column.work,
        decoding=line.state.decoding,
        decode_step_s=line.decode_step_s,
        prefill_s=0.0 if only_decode else line.prompts.moment(line.kept, 1),
        input_tokens=workload.input_tokens,
        output_tokens=workload.output_tokens,
        requests_per_s=line.requests_per_s,
        context_tokens=workload.input_tokens + workload.generated_tokens,
        cached_tokens=workload.input_tokens * cached,
        draft_tokens=column.costs.draft_tokens,
        tokens_per_step=tokens_per_step(column.costs.draft_tokens, column.costs.draft_acceptance),
    )
    return line, states


def _apart(
    instances: Instances,
    accelerator: Accelerator,
    model: ModelShape,
    workload: Workload,
    software: Software,
    power_cap_w: float | None,
    max_accelerators: int,
) -> list[_Points]:
    """Return the points of units whose prefill and decode instances are separate.

    Beside every decode instance stands the prefill instance of its precision with most prompts per accelerator, in the
    least number that keeps up at each load; pools lose what `PREFILL_DERATE` and `DECODE_DERATE` say.
    """
    found = []
    for precision in dict.fromkeys(instances.precisions):
        indices = np.array([i for i, name in enumerate(instances.precisions) if name == precision])
        first = instances.take([_fastest_prefill(instances, indices, workload)])
        n_of_pair = instances.work.accelerators[indices] + first.work.accelerators[0]
        decode = instances.take(indices[n_of_pair <= max_accelerators])
        if decode.parallelisms:
            found += _units(first, decode, accelerator, model, workload, software, power_cap_w, max_accelerators)
    return found


def _fastest_prefill(instances: Instances, candidates: NDArray[np.int64], workload: Workload) -> int:
    """Return which of the instances `of` prefills most prompts per accelerator."""
    prefill_s, _ = _prefill(instances, workload)
    return int(candidates[np.argmin((prefill_s * instances.work.accelerators)[candidates])])


def _prefill(instances: Instances, workload: Workload) -> tuple[FloatArray, FloatArray]:
    """Return a prompt's time on each instance, and until its first token reaches the user, cache sent [s]."""
    column = instances.columns()
    prefill_s = prompt_times(column.costs, workload).moment(kept_when_busy(column, workload), 1)
    return prefill_s[:, 0], (fixed_s(column) + column.scheduling.first * prefill_s)[:, 0]


def _units(
    first: Instances,
    decode: Instances,
    accelerator: Accelerator,
    model: ModelShape,
    workload: Workload,
    software: Software,
    power_cap_w: float | None,
    max_accelerators: int,
    counts: tuple[int, int] | None = None,
) -> list[_Points]:
    """Return the points of units of one kind of prefill instance with each of the decode instances.

    `counts` decides how many there are of both; where the prefill instances do not keep up, there is no point.
    """
    column = decode.columns()
    span_w = accelerator.tdp_w - accelerator.idle_w
    line, states = _line(column, workload, only_decode=True)
    dynamic_w = span_w * states_power_share(column.power, states)
    busy_w = span_w * float(_prefill_share(first, workload))
    prefill_clock = 1.0
    if power_cap_w is not None:
        _, generating, dynamic_w = _under_cap(accelerator, column, states, power_cap_w)
        prefill_clock = float(clock_under_cap(power_cap_w, static_w=accelerator.idle_w, dynamic_w=busy_w))
        line, _ = _line(replace(column, costs=clocked(column.costs, generating)), workload, only_decode=True)
        first = replace(first, costs=clocked(first.costs, np.array([prefill_clock])))
    prefill_s, first_s = (float(values[0]) for values in _prefill(first, workload))
    ranks_p, ranks_d = float(first.work.accelerators[0]), column.work.accelerators
    found = []
    tried = range(1, min(MOST_DECODE_INSTANCES, max_accelerators) + 1) if counts is None else (counts[1],)
    for n_decode in tried:
        rate = DECODE_DERATE * n_decode * line.requests_per_s
        n_prefill = np.maximum(np.ceil(rate * prefill_s / PREFILL_DERATE), 1.0)
        if counts is not None:
            n_prefill = np.where(n_prefill <= counts[0], float(counts[0]), n_prefill)
        ranks = n_prefill * ranks_p + n_decode * ranks_d
        busy = rate * prefill_s / n_prefill
        watts = (
            n_prefill * ranks_p * busy * busy_w * clock_power_factor(prefill_clock) + n_decode * ranks_d * dynamic_w
        ) / ranks
        fits = ranks <= max_accelerators
        for i, parallelism in enumerate(decode.parallelisms):
            if not fits[i].any():
                continue
            # a unit's size changes with load: every count of prefill instances is a configuration of its own
            for count in np.unique(n_prefill[i][fits[i]]):
                at = fits[i] & (n_prefill[i] == count)
                unit = Configuration(
                    accelerator,
                    model,
                    weight_precision=decode.precisions[i],
                    parallelism=parallelism,
                    prefill_parallelism=first.parallelisms[0],
                    prefill_instances=int(count),
                    decode_instances=n_decode,
                    draft_tokens=decode.drafts[i],
                    **software.arguments,
                )
                found.append(
                    _Points(
                        user_tokens_per_s=1.0 / line.itl_s[i][at][None],
                        accelerator_tokens_per_s=(rate[i] / ranks[i])[at][None] * workload.output_tokens,
                        ttft_s=np.full((1, int(at.sum())), first_s),
                        batch=line.in_service[i][at][None],
                        accelerator_power_w=accelerator.idle_w + watts[i][at][None],
                        configurations=(unit,),
                    )
                )
    return found


def _prefill_share(first: Instances, workload: Workload) -> FloatArray:
    """Return the share of (TDP - idle) that an instance draws while it prefills prompts back to back."""
    prefill_s, _ = _prefill(first, workload)
    cached = cached_frac(workload, kept_when_busy(first.columns(), workload))[:, 0]
    states = engine_states(
        first.work,
        decoding=1.0,
        decode_step_s=0.0,
        prefill_s=prefill_s,
        input_tokens=workload.input_tokens,
        output_tokens=0.0,
        requests_per_s=1.0 / prefill_s,
        cached_tokens=workload.input_tokens * cached,
    )
    return states_power_share(first.power, states)[0]
