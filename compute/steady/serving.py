"""Steady state of serving for the twin: the best configuration under latency targets, its curve over clock and load.

    best_configuration(coefficients, accelerator, model, workload, targets, max_accelerators=8,
                       precisions=None, engine="", allow_disaggregated=True, allow_drafts=False)
        -> ConfigurationChoice(configuration | None, reason, candidates)
    serving_curve(coefficients, configuration, workload, targets, clock_frac, load_frac, power_cap_w=None)
        -> ServingCurve: arrays (n_clock, n_load), per accelerator

`load_frac` is the arrival rate over `ServingCurve.sustainable_requests_per_s`: the rate per accelerator at full clock
up to which 95 % of requests keep each target. `static_power_w` and `dynamic_power_w` have shape (n_load,): watts at a
clock are static + dynamic · `compute.steps.power.clock_power_factor(clock)`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from compute.accelerators import PRECISIONS, Accelerator
from compute.calibration.coefficients import CoefficientSet
from compute.calibration.uncertainty import half_bands
from compute.model_shapes import ModelShape
from compute.steady.instances import Instances, build_instances, candidate_parallelisms, within_context
from compute.steady.load_lines import both_phases_line, decode_line, fixed_s, paired_line
from compute.steady.open_loop import LoadLine, OpenState, clocked, keeps_targets, open_arrivals
from compute.steady.pins import FREE, Pin, Restrictions
from compute.steady.prompt_law import prompt_times
from compute.steps.power import Activity, clock_power_factor, clock_under_cap, dynamic_power_share, steady_activity
from compute.steps.roofline import Parallelism
from compute.steps.speculation import draft_choices, tokens_per_step
from compute.workload import LatencyTargets, Workload

FloatArray = NDArray[np.float64]

RATE_HALVINGS = 22  # of the bracket around the sustainable rate: 2e-7 of it
MATCHED_LOAD = 0.75  # of the prefill pool, where its queue is still short
# assumed: two pools are more to run than one, and no measured run checks what they gain
ASSUMED_LEAST_GAIN_FRAC = 0.1
MOST_PAIRS = 24  # disaggregated pairs that are solved exactly, after a ranking by matched rates


@dataclass(frozen=True, slots=True)
class Configuration:
    """How one model is served on one kind of accelerator: the repeating unit of a pool."""

    accelerator: Accelerator
    model: ModelShape
    engine: str
    weight_precision: str
    parallelism: Parallelism  # of the instance, or of a decode instance
    prefill_parallelism: Parallelism | None = None  # where prefill runs apart
    prefill_instances: int = 0
    decode_instances: int = 1
    draft_tokens: int = 0  # per decoding step, verified with the next token
    batch: int | None = None  # most requests that one (decode) instance takes in; None: what memory and seats admit

    @property
    def is_disaggregated(self) -> bool:
        """Whether prefill and decode run on separate accelerators."""
        return self.prefill_parallelism is not None

    @property
    def n_accelerators(self) -> int:
        """Accelerators of one unit."""
        prefill = self.prefill_instances * self.prefill_parallelism.accelerators if self.prefill_parallelism else 0
        return prefill + self.decode_instances * self.parallelism.accelerators

    def text(self) -> str:
        """Return the configuration in words: `fp8, TP 4` or `fp4, prefill 2 x TP 4 : decode 1 x DP 32 EP 32, MTP 2`."""
        drafts = f", MTP {self.draft_tokens}" if self.draft_tokens else ""
        drafts += f", batch {self.batch}" if self.batch is not None else ""
        if self.prefill_parallelism is None:
            return f"{self.weight_precision}, {_ranks_text(self.parallelism)}{drafts}"
        return (
            f"{self.weight_precision}, prefill {self.prefill_instances} x {_ranks_text(self.prefill_parallelism)} : "
            f"decode {self.decode_instances} x {_ranks_text(self.parallelism)}{drafts}"
        )


@dataclass(frozen=True, slots=True)
class ConfigurationChoice:
    """The best configuration, or why there is none."""

    configuration: Configuration | None
    reason: str
    output_tokens_per_s: float  # per accelerator, sustained within the targets
    candidates: int  # configurations that were solved


@dataclass(frozen=True, slots=True, eq=False)
class ServingCurve:
    """One configuration over clock and load; arrays of shape (n_clock, n_load), rates and watts per accelerator."""

    clock_frac: FloatArray  # (n_clock,)
    load_frac: FloatArray  # (n_load,)
    sustainable_requests_per_s: float  # per accelerator at full clock: load_frac = 1
    capacity_frac: FloatArray  # (n_clock,) sustainable rate over that at full clock
    served_frac: FloatArray  # (n_clock, n_load), requests served over the sustainable rate at full clock
    output_tokens_per_s: FloatArray
    input_tokens_per_s: FloatArray
    ttft_p50_s: FloatArray
    ttft_p95_s: FloatArray
    itl_p50_s: FloatArray
    itl_p95_s: FloatArray
    slo_attainment_frac: FloatArray
    goodput_tokens_per_s: FloatArray
    batch: FloatArray  # requests in service per instance
    cached_frac: FloatArray  # of a prompt, found in the prefix cache
    sessions: FloatArray  # under way per accelerator, answered or paused; 0 where requests stand alone
    compute_activity_frac: FloatArray
    memory_activity_frac: FloatArray
    static_power_w: FloatArray  # (n_load,)
    dynamic_power_w: FloatArray  # (n_load,)
    held_clock_frac: FloatArray  # clock that runs: that asked for, or what a cap leaves of it
    log_bands: dict[str, float]  # half width of the 80 % band in logarithms: throughput, ttft, itl, power

    @property
    def accelerator_power_w(self) -> FloatArray:
        """Power of one accelerator at the clock that runs, shape (n_clock, n_load) [W]."""
        return self.static_power_w + self.dynamic_power_w * clock_power_factor(self.held_clock_frac)


def allowed_precisions(accelerator: Accelerator, model: ModelShape) -> tuple[str, ...]:
    """Return the weight precisions that an accelerator computes in and that the model is served in.

    A precision wider than the released checkpoint only costs memory; one without arithmetic units saves memory alone
    and is left to explicit choice, except for checkpoints that exist in no other form.
    """
    if model.native_precision == "int4":  # released so and requantised from it
        return ("int4", *(p for p in ("fp4",) if accelerator.compute_precision(p) == p))
    widest = PRECISIONS.index(model.native_precision)
    if model.has_native_fp4_experts:
        return ("fp4",)
    return tuple(p for p in PRECISIONS[widest:] if accelerator.compute_precision(p) == p) or (model.native_precision,)


def best_configuration(
    coefficients: CoefficientSet,
    accelerator: Accelerator,
    model: ModelShape,
    workload: Workload,
    targets: LatencyTargets,
    *,
    max_accelerators: int = 8,
    precisions: Sequence[str] | None = None,
    engine: str = "",
    allow_disaggregated: bool = True,
    allow_drafts: bool = False,
    restrictions: Restrictions = FREE,
) -> ConfigurationChoice:
    """Return the configuration with most tokens per second and accelerator within the targets.

    Parameters
    ----------
    coefficients : CoefficientSet
        A fitted set.
    accelerator, model : Accelerator, ModelShape
        What serves what.
    workload, targets : Workload, LatencyTargets
        Requests, and the limits that 95 % of them keep.
    max_accelerators : int
        Of one unit: a node or a scale-up domain.
    precisions : sequence of str, optional
        Weight precisions to try; those of `allowed_precisions` where omitted.
    engine : str
        Serving software; blank for the best calibrated.
    allow_disaggregated : bool
        Whether prefill may run on accelerators of its own.
    allow_drafts : bool
        Whether a model's built-in prediction module may draft tokens (MTP). How many of them are kept is assumed
        (`compute.steps.speculation.ASSUMED_ACCEPTANCE`), not calibrated, so this is asked for and not the default.
    restrictions : Restrictions
        What the search may not take.

    Returns
    -------
    ConfigurationChoice
        With a reason in place of a configuration where nothing fits or keeps the targets.
    """
    workload = within_context(workload, model)
    tried = tuple(precisions) if precisions else allowed_precisions(accelerator, model)
    spread = restrictions.allowed(accelerator, candidate_parallelisms(accelerator, model, max_accelerators))
    drafts = draft_choices(model.mtp_layers) if allow_drafts else (0,)
    instances, reason = build_instances(
        coefficients, accelerator, model, workload, spread, tried, engine=engine, draft_tokens=drafts
    )
    if instances is None:
        return ConfigurationChoice(None, f"{model.name} on {max_accelerators} x {accelerator.name}: {reason}", 0.0, 0)
    line = both_phases_line(instances.columns(), workload)
    rates = sustainable_rate(line, workload, targets)
    per_accelerator = rates / instances.work.accelerators
    best = int(np.argmax(per_accelerator))
    found = Configuration(
        accelerator,
        model,
        engine,
        instances.precisions[best],
        instances.parallelisms[best],
        draft_tokens=instances.drafts[best],
    )
    top = float(per_accelerator[best])
    candidates = len(instances.parallelisms)
    if restrictions.mode == "disaggregated":
        top = 0.0
    if allow_disaggregated and restrictions.mode != "aggregated" and max_accelerators >= 2:
        apart, apart_rate, solved = _best_disaggregated(
            instances, accelerator, model, workload, targets, max_accelerators, engine
        )
        candidates += solved
        if apart is not None and apart_rate > (1.0 + ASSUMED_LEAST_GAIN_FRAC) * top:
            found, top = apart, apart_rate
    if top <= 0.0:
        easy = LatencyTargets(ttft_s=1e6, itl_s=1e6)
        light = open_arrivals(line, np.full((candidates_of(line), 1), 1e-6), workload, easy)
        ttft, itl = float(light.ttft_p95_s.min()), float(light.itl_p95_s.min())
        misses = [
            f"{name} p95 is {value:.3g} s at best, target {limit:.3g} s"
            for name, value, limit in (("TTFT", ttft, targets.ttft_s), ("ITL", itl, targets.itl_s))
            if value > limit
        ]
        why = " and ".join(misses) or "no configuration keeps both targets at once"
        return ConfigurationChoice(
            None, f"{model.name} on up to {max_accelerators} x {accelerator.name}: {why}", 0.0, candidates
        )
    return ConfigurationChoice(found, "", top * workload.output_tokens, candidates)


def pinned_configuration(
    coefficients: CoefficientSet,
    accelerator: Accelerator,
    model: ModelShape,
    workload: Workload,
    targets: LatencyTargets,
    pin: Pin,
    *,
    max_accelerators: float,
    precisions: Sequence[str] | None = None,
    engine: str = "",
) -> ConfigurationChoice:
    """Return a configuration that was decided, in the best precision where it leaves that open.

    Parameters
    ----------
    pin : Pin
        As decided.
    max_accelerators : float
        That there are; a unit may span scale-up domains.
    coefficients, accelerator, model, workload, targets, precisions, engine
        As for `best_configuration`.

    Returns
    -------
    ConfigurationChoice
        With a reason in place of a configuration where no engine runs it, it does not fit or keeps no target.
    """
    reasons = pin.refusals(accelerator, model, workload, max_accelerators)
    tried = (pin.precision,) if pin.precision else tuple(precisions or allowed_precisions(accelerator, model))
    found: list[tuple[float, Configuration]] = []
    if not reasons:
        inside = within_context(workload, model)
        for precision in tried:
            configuration = Configuration(
                accelerator, model, engine, precision, pin.parallelism, pin.prefill, pin.prefill_instances,
                pin.decode_instances, pin.draft_tokens, pin.batch,
            )  # fmt: skip
            try:
                decode, prefill = _configured(coefficients, configuration, inside)
            except ValueError as refusal:
                reasons.append(str(refusal))
                continue
            line = _unit_line(configuration, decode, prefill, inside, np.ones(1))
            rate = float(sustainable_rate(line, inside, targets)[0])
            if rate > 0:
                found.append((rate, configuration))
                continue
            light = open_arrivals(line, np.full((1, 1), 1e-6), inside, targets)
            reasons.append(
                f"TTFT p95 is {light.ttft_p95_s[0, 0]:.3g} s at best, target {targets.ttft_s:.3g} s, and ITL p95 "
                f"{light.itl_p95_s[0, 0]:.3g} s, target {targets.itl_s:.3g} s"
            )
    if not found:
        why = "; ".join(dict.fromkeys(reasons))
        return ConfigurationChoice(None, f"{model.name} on {accelerator.name}, pinned: {why}", 0.0, len(tried))
    rate, best = max(found, key=lambda one: one[0])
    return ConfigurationChoice(best, "", rate / best.n_accelerators * workload.output_tokens, len(tried))


def serving_curve(
    coefficients: CoefficientSet,
    configuration: Configuration,
    workload: Workload,
    targets: LatencyTargets,
    clock_frac: FloatArray,
    load_frac: FloatArray,
    power_cap_w: float | None = None,
) -> ServingCurve:
    """Return latency, throughput, activity and watts over clock and load.

    Parameters
    ----------
    coefficients : CoefficientSet
        A fitted set.
    configuration : Configuration
        What serves; as `best_configuration` returns or described by hand.
    workload, targets : Workload, LatencyTargets
        Requests and limits.
    clock_frac : ndarray, shape (n_clock,)
        Clock over full clock, in (0, 1].
    load_frac : ndarray, shape (n_load,)
        Arrival rate over the sustainable rate at full clock, 0 or more.
    power_cap_w : float, optional
        Cap on each accelerator [W]: the clock is lowered, load by load, until what it draws keeps the cap.

    Raises
    ------
    ValueError
        If the configuration does not fit its accelerators, keeps the targets at no rate, or the cap lies below what the
        accelerator can be set to; says why.
    """
    clocks = np.asarray(clock_frac, dtype=np.float64)
    loads = np.asarray(load_frac, dtype=np.float64)
    if np.any((clocks <= 0) | (clocks > 1)) or np.any(loads < 0):
        raise ValueError("clock_frac must be in (0, 1] and load_frac 0 or more")
    workload = within_context(workload, configuration.model)
    decode, prefill = _configured(coefficients, configuration, workload)
    n = configuration.n_accelerators
    full = _unit_line(configuration, decode, prefill, workload, np.ones(1))
    top = float(sustainable_rate(full, workload, targets)[0])
    if top <= 0:
        light = open_arrivals(full, np.full((1, 1), 1e-6), workload, targets)
        raise ValueError(
            f"{configuration.model.name} on {configuration.accelerator.name} ({configuration.text()}) keeps the "
            f"targets at no load: TTFT p95 {light.ttft_p95_s[0, 0]:.3g} s (target {targets.ttft_s:.3g}), "
            f"ITL p95 {light.itl_p95_s[0, 0]:.3g} s (target {targets.itl_s:.3g})"
        )
    at_full = open_arrivals(full, (top * loads)[None, :], workload, targets)
    _, share = _activity_and_share(configuration, decode, prefill, workload, at_full)
    accelerator = configuration.accelerator
    dynamic_w = (accelerator.tdp_w - accelerator.idle_w) * share[0]
    line = _unit_line(configuration, decode, prefill, workload, clocks)
    capacity = sustainable_rate(line, workload, targets) / top
    held = np.broadcast_to(clocks[:, None], (clocks.size, loads.size))
    rates = np.broadcast_to(top * loads, held.shape)
    if power_cap_w is None:
        state = open_arrivals(line, rates, workload, targets)
    else:
        held = np.minimum(held, capped_clock(accelerator, dynamic_w, power_cap_w))
        # every pair of clock and load is a line of its own, at one rate
        line = _unit_line(configuration, decode, prefill, workload, held.ravel())
        state = _reshaped(open_arrivals(line, rates.reshape(-1, 1), workload, targets), held.shape)
    activity, _ = _activity_and_share(configuration, decode, prefill, workload, state)
    served = state.served_per_s / n
    output = served * workload.output_tokens
    return ServingCurve(
        clock_frac=clocks,
        load_frac=loads,
        sustainable_requests_per_s=top / n,
        capacity_frac=capacity,
        served_frac=state.served_per_s / top,
        output_tokens_per_s=output,
        input_tokens_per_s=served * workload.input_tokens,
        ttft_p50_s=state.ttft_p50_s,
        ttft_p95_s=state.ttft_p95_s,
        itl_p50_s=state.itl_p50_s,
        itl_p95_s=state.itl_p95_s,
        slo_attainment_frac=state.attainment_frac,
        goodput_tokens_per_s=output * state.attainment_frac,
        batch=state.in_service / configuration.decode_instances,
        cached_frac=state.cached_frac,
        sessions=sessions_under_way(workload, served, state.in_service / n),
        compute_activity_frac=activity.compute_frac,
        memory_activity_frac=activity.memory_frac,
        static_power_w=np.full(loads.size, accelerator.idle_w),
        dynamic_power_w=dynamic_w,
        held_clock_frac=held,
        log_bands=half_bands(coefficients.record, accelerator.name, configuration.model.name),
    )


def prompt_time_frac(coefficients: CoefficientSet, configuration: Configuration, workload: Workload) -> float:
    """Return the share of a unit's time that reading prompts takes when it is busy [-], in (0, 1).

    Apart: the prefill pool's share of the accelerators. Together: the rate at which the unit serves whole requests over
    that at which it would serve the same prompts for one token each.
    """
    if configuration.is_disaggregated:
        return (
            1.0 - configuration.decode_instances * configuration.parallelism.accelerators / configuration.n_accelerators
        )
    workload = within_context(workload, configuration.model)
    prompts = replace(workload, output_tokens=1.0, output_variation=0.0)
    whole, alone = (
        float(_unit_line(configuration, *_configured(coefficients, configuration, asked), asked, np.ones(1))
              .requests_per_s.max())
        for asked in (workload, prompts)
    )  # fmt: skip
    return float(np.clip(whole / alone, 0.0, 1.0))


def sessions_under_way(workload: Workload, requests_per_s: FloatArray, in_service: FloatArray) -> FloatArray:
    """Return the sessions that send requests at a rate: those with one in service and those that pause [-].

    Little's law over the closed network; agents that run side by side in a session count as one.
    """
    if workload.sessions is None:
        return np.zeros_like(in_service)
    return (in_service + requests_per_s * workload.sessions.mean_pause_s) / workload.sessions.streams


def capped_clock(accelerator: Accelerator, dynamic_w: FloatArray, power_cap_w: float) -> FloatArray:
    """Return the highest clock that keeps a cap at what work draws at full clock, as a share of full clock [-].

    Work at the lower clock takes longer and is as dense, so its draw at full clock stands for it: a memory-bound step
    hardly draws, hence hardly slows; prompts draw most and slow most.

    Raises
    ------
    ValueError
        If the accelerator cannot be set to that cap.
    """
    low, high = accelerator.min_power_w, accelerator.max_power_w
    if not low <= power_cap_w <= high:
        raise ValueError(
            f"the power cap is {power_cap_w:g} W; {accelerator.name} can be set to {low:g} W to {high:g} W"
        )
    return clock_under_cap(power_cap_w, static_w=accelerator.idle_w, dynamic_w=dynamic_w)


def _reshaped(state: OpenState, shape: tuple[int, ...]) -> OpenState:
    return replace(state, **{f.name: getattr(state, f.name).reshape(shape) for f in fields(OpenState)})


def sustainable_rate(line: LoadLine, workload: Workload, targets: LatencyTargets) -> FloatArray:
    """Return the highest arrival rate of each instance at which p95 of TTFT and ITL keep the targets, shape (n,) [1/s].

    Latencies rise with the rate, so the bracket between none and capacity is halved; 0 where no rate will do.
    """
    low = np.zeros((candidates_of(line), 1))
    high = line.requests_per_s[:, -1:].copy()
    for _ in range(RATE_HALVINGS):
        middle = 0.5 * (low + high)
        keeps = keeps_targets(line, middle, workload, targets)
        low = np.where(keeps, middle, low)
        high = np.where(keeps, high, middle)
    return np.where(low < 1e-5 * line.requests_per_s[:, -1:], 0.0, low)[:, 0]


def candidates_of(line: LoadLine) -> int:
    """Return the number of instances of a load line."""
    return line.in_service.shape[0]


def _ranks_text(parallelism: Parallelism) -> str:
    p = parallelism
    parts = [f"TP {p.tensor_parallel}"] if p.tensor_parallel > 1 or p.attention_data_parallel == 1 else []
    if p.pipeline_parallel > 1:
        parts.append(f"PP {p.pipeline_parallel}")
    if p.attention_data_parallel > 1:
        parts.append(f"DP {p.attention_data_parallel}")
    if p.expert_parallel > 1:
        parts.append(f"EP {p.expert_parallel}")
    return " ".join(parts)


def _configured(
    coefficients: CoefficientSet, configuration: Configuration, workload: Workload
) -> tuple[Instances, Instances | None]:
    """Return the (decode) instance and, where prefill runs apart, the prefill instance."""
    found = []
    for parallelism in (configuration.parallelism, configuration.prefill_parallelism):
        if parallelism is None:
            found.append(None)
            continue
        instances, reason = build_instances(
            coefficients,
            configuration.accelerator,
            configuration.model,
            workload,
            [parallelism],
            [configuration.weight_precision],
            engine=configuration.engine,
            draft_tokens=(configuration.draft_tokens,),
        )
        if instances is None:
            raise ValueError(f"{configuration.model.name} on {configuration.accelerator.name}: {reason}")
        found.append(instances)
    if configuration.batch is not None:
        found[0] = replace(found[0], limit=np.minimum(found[0].limit, float(configuration.batch)))
    return found[0], found[1]


def _unit_line(
    configuration: Configuration,
    decode: Instances,
    prefill: Instances | None,
    workload: Workload,
    clocks: FloatArray,
) -> LoadLine:
    """Return one load line per clock of a whole unit."""
    many = np.zeros(clocks.size, dtype=np.int64)
    slowed = decode.take(many)
    slowed = replace(slowed, costs=clocked(slowed.costs, clocks))
    if prefill is None:
        return both_phases_line(slowed.columns(), workload)
    first = prefill.take(many)
    first = replace(first, costs=clocked(first.costs, clocks))
    return paired_line(
        first.columns(),
        decode_line(slowed.columns(), workload),
        workload,
        prefill_instances=np.full(clocks.size, float(configuration.prefill_instances)),
        decode_instances=np.full(clocks.size, float(configuration.decode_instances)),
    )


def _best_disaggregated(
    instances: Instances,
    accelerator: Accelerator,
    model: ModelShape,
    workload: Workload,
    targets: LatencyTargets,
    max_accelerators: int,
    engine: str,
) -> tuple[Configuration | None, float, int]:
    """Return the best unit of separate prefill and decode instances, its rate per accelerator, and units solved."""
    column = instances.columns()
    prefill_s = prompt_times(column.costs, workload).moment(np.ones((1, 1)), 1)
    first_s = fixed_s(column) + column.scheduling.first * prefill_s
    size = instances.work.accelerators
    easy = LatencyTargets(ttft_s=1e6, itl_s=targets.itl_s)
    decode_rate = sustainable_rate(decode_line(column, workload), workload, easy)
    prefill_rate = np.where(first_s <= targets.ttft_s, MATCHED_LOAD / prefill_s, 0.0)[:, 0]
    ranked: list[tuple[float, int, int, int, int]] = []
    # a prompt is prefilled alike with any draft
    for p in np.flatnonzero((prefill_rate > 0) & (np.asarray(instances.drafts) == 0)):
        for d in np.flatnonzero(decode_rate > 0):
            if instances.precisions[p] != instances.precisions[d]:
                continue
            most_p = int((max_accelerators - size[d]) // size[p])
            for x in range(1, most_p + 1):
                most_d = (max_accelerators - x * size[p]) // size[d]
                y = int(np.clip(round(x * prefill_rate[p] / decode_rate[d]), 1, most_d))
                rate = min(x * prefill_rate[p], y * decode_rate[d]) / (x * size[p] + y * size[d])
                ranked.append((float(rate), int(p), int(d), x, y))
    ranked.sort(reverse=True)
    best = ranked[:MOST_PAIRS]
    if not best:
        return None, 0.0, 0
    _, p, d, x, y = (np.array(column) for column in zip(*best, strict=True))
    line = paired_line(
        instances.take(p).columns(),
        decode_line(instances.take(d).columns(), workload),
        workload,
        prefill_instances=x.astype(np.float64),
        decode_instances=y.astype(np.float64),
    )
    per_accelerator = sustainable_rate(line, workload, targets) / (x * size[p] + y * size[d])
    k = int(np.argmax(per_accelerator))
    unit = Configuration(
        accelerator,
        model,
        engine,
        instances.precisions[d[k]],
        instances.parallelisms[d[k]],
        instances.parallelisms[p[k]],
        int(x[k]),
        int(y[k]),
        instances.drafts[d[k]],
    )
    return unit, float(per_accelerator[k]), len(best)


def _activity_and_share(
    configuration: Configuration,
    decode: Instances,
    prefill: Instances | None,
    workload: Workload,
    state: OpenState,
) -> tuple[Activity, FloatArray]:
    """Return mean activity per accelerator and the share of (TDP - idle) drawn, shape (n_clock, n_load)."""
    cached = workload.input_tokens * state.cached_frac
    n_decode = configuration.decode_instances
    groups = []
    whole = (workload.input_tokens, workload.output_tokens)
    parts = [(decode, n_decode, configuration.parallelism.accelerators * n_decode, whole)]
    if prefill is not None and configuration.prefill_parallelism is not None:
        ranks = configuration.prefill_parallelism.accelerators * configuration.prefill_instances
        parts.append((prefill, configuration.prefill_instances, ranks, whole))
    for k, (instances, n, ranks, (n_in, n_out)) in enumerate(parts):
        rate = state.served_per_s / n
        is_prefill = k == 1
        batch = np.maximum(state.in_service / n, 1e-9)
        here = steady_activity(
            instances.work,
            _DecodingOnly(batch),
            input_tokens=n_in,
            output_tokens=1e-9 if is_prefill else n_out,
            requests_per_s=rate,
            itl_s=state.itl_mean_s,
            context_tokens=n_in + workload.generated_tokens,
            cached_tokens=n_in * (1.0 - 1e-9) if prefill is not None and not is_prefill else cached,
            draft_tokens=instances.costs.draft_tokens,
            tokens_per_step=tokens_per_step(instances.costs.draft_tokens, instances.costs.draft_acceptance),
        )
        busy = -np.expm1(-batch)
        groups.append((here, dynamic_power_share(instances.power, here, busy), ranks))
    total = sum(ranks for _, _, ranks in groups)
    compute = sum(a.compute_frac * ranks for a, _, ranks in groups) / total
    memory = sum(a.memory_frac * ranks for a, _, ranks in groups) / total
    share = sum(s * ranks for _, s, ranks in groups) / total
    return Activity(compute_frac=compute, memory_frac=memory), share


@dataclass(frozen=True, slots=True, eq=False)
class _DecodingOnly:
    """The one figure of a steady state that activity needs."""

    decoding: FloatArray
