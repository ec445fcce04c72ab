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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.accelerators import PRECISIONS, Accelerator
from compute.calibration.cases import engine_name
from compute.calibration.coefficients import CoefficientSet
from compute.calibration.uncertainty import half_bands, run_kind
from compute.model_shapes import ModelShape
from compute.steady.instances import (
    Instances,
    build_instances,
    candidate_parallelisms,
    usual_engine,
    version_note,
    within_context,
)
from compute.steady.load_lines import both_phases_line, decode_line, fixed_s, paired_line
from compute.steady.open_loop import LoadLine, OpenState, keeps_targets, open_arrivals
from compute.steady.pins import FREE, Pin, Restrictions, Software
from compute.steady.prompt_law import prompt_times
from compute.steps.closed_loop import prefill_time_s
from compute.steps.power import (
    Activity,
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
from compute.steps.speculation import draft_choices, generation_gap_s, tokens_per_step
from compute.workload import LatencyTargets, Workload

FloatArray = NDArray[np.float64]

RATE_HALVINGS = 22  # of the bracket around the sustainable rate: 2e-7 of it
MATCHED_LOAD = 0.75  # of the prefill pool, where its queue is still short
# assumed: two pools, or a model that drafts, are more to run than an instance that does it all
ASSUMED_LEAST_GAIN_FRAC = 0.1
CLOSE_CHOICE_FRAC = 0.03  # of a rate, about as far as a fit or an input moves it, by which a choice is called close
# Sizes up to which units of two pools are sought: of those between two, the best by matched rates are solved exactly.
# The sizes do not hang on how many accelerators are allowed, so that what is found among few is found among more.
UNIT_SIZES = np.array([*range(2, 17), 18, 20, 24, 28, 32, 36, 40, 48, 56, 64, 72, 80, 96, 112, 128, 144, 192, 256, 576])
PAIRS_OF_A_SIZE = 3
PREFILL_LOADS = (0.7, 1.0, 1.3)  # over `MATCHED_LOAD`: how long a queue the targets leave room for is not known before
DECODE_COUNTS = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32])  # beside those that match the prefill pool
CHOICES_KEPT = 512  # answers to the same question


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
    drafting: Drafting = USUAL_DRAFTING  # what drafts them, and how many are kept
    engine_version: str = ""  # release of the engine; blank: none in particular
    batch: int | None = None  # most requests that one (decode) instance takes in; None: what memory and seats admit
    kv_precision: str = ""  # of the cache; blank: what engines pair with the weights
    checkpoint: str = ""  # published weights that differ from their precision's usual

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
        drafts = f", {replace(self.drafting, tokens=self.draft_tokens).text()}" if self.draft_tokens else ""
        drafts += f", batch {self.batch}" if self.batch is not None else ""
        drafts += f", KV {self.kv_precision}" if self.kv_precision else ""
        drafts += f", checkpoint {self.checkpoint}" if self.checkpoint else ""
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
    note: str = ""  # what to know of the choice, or blank


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

    A precision wider than the released checkpoint only costs memory. One that the accelerator has no arithmetic for
    saves memory alone: it is tried only where it is named, or where the checkpoint exists in no other form.
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
    drafting: Drafting = USUAL_DRAFTING,
    engine_version: str = "",
    kv_precision: str = "",
    checkpoint: str = "",
    restrictions: Restrictions = FREE,
    of_accelerators: int | None = None,
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
        Whether tokens may be drafted. How many of them are kept was fitted to runs of one family of models, so this is
        asked for and not the default.
    drafting : Drafting
        What drafts them: by default the model's built-in prediction module (MTP), as many tokens as serve best, kept as
        often as is predicted. With a number of tokens, that many are drafted.
    engine_version : str
        Release of the engine; blank for none in particular.
    kv_precision, checkpoint : str
        Of the cache, and published weights that differ from their precision's usual; blank for what is usual.
    restrictions : Restrictions
        What the search may not take.
    of_accelerators : int, optional
        Of a rack or domain that whole units fill: those left over serve nothing, and count.

    Returns
    -------
    ConfigurationChoice
        With a reason in place of a configuration where nothing fits or keeps the targets. More accelerators allowed,
        or more kinds, never make it worse: of units in the order of their size one takes the place of the best so far
        where it serves more, and where it is of another kind (two pools, drafts), enough more to be worth it:
        `ASSUMED_LEAST_GAIN_FRAC`, and half the band where no run of that kind was measured.
    """
    return _best_configuration(
        coefficients,
        accelerator,
        model,
        workload,
        targets,
        max_accelerators,
        tuple(precisions) if precisions else None,
        Software(engine, engine_version, drafting, kv_precision, checkpoint),
        allow_disaggregated,
        allow_drafts,
        restrictions,
        of_accelerators,
    )


@lru_cache(maxsize=CHOICES_KEPT)
def _best_configuration(
    coefficients: CoefficientSet,
    accelerator: Accelerator,
    model: ModelShape,
    workload: Workload,
    targets: LatencyTargets,
    max_accelerators: int,
    precisions: tuple[str, ...] | None,
    software: Software,
    allow_disaggregated: bool,
    allow_drafts: bool,
    restrictions: Restrictions,
    of_accelerators: int | None,
) -> ConfigurationChoice:
    """Return what `best_configuration` does, from memory where the same was asked before."""
    workload = within_context(workload, model)
    tried = precisions or allowed_precisions(accelerator, model)
    spread = restrictions.allowed(accelerator, candidate_parallelisms(accelerator, model, max_accelerators))
    where = f"{model.name} on up to {max_accelerators} x {accelerator.name}"
    drafts, refusals = drafts_to_try(model, software.drafting) if allow_drafts else ((0,), ())
    if refusals:
        return ConfigurationChoice(None, "; ".join(refusals), 0.0, 0)
    software = replace(software, drafting=replace(software.drafting, tokens=None))
    instances, reason = build_instances(
        coefficients, accelerator, model, workload, spread, tried, draft_tokens=drafts, **software.arguments
    )
    if instances is None:
        return ConfigurationChoice(None, f"{model.name} on {max_accelerators} x {accelerator.name}: {reason}", 0.0, 0)
    line = both_phases_line(instances.columns(), workload)
    units = _together(instances, line, accelerator, model, workload, targets, software)
    if restrictions.mode == "disaggregated":
        units = []
    if allow_disaggregated and restrictions.mode != "aggregated" and max_accelerators >= 2:
        apart, reason = build_instances(
            coefficients,
            accelerator,
            model,
            workload,
            spread,
            tried,
            draft_tokens=drafts,
            mode="disaggregated",
            **software.arguments,
        )
        if apart is not None:
            units += _apart(apart, accelerator, model, workload, targets, max_accelerators, software)
    if of_accelerators is not None:
        units = [(unit, rate * used_frac(unit.n_accelerators, of_accelerators)) for unit, rate in units]
    found, top, note = _chosen(units, coefficients, model, accelerator)
    if found is None:
        easy = LatencyTargets(ttft_s=1e6, itl_s=1e6)
        light = open_arrivals(line, np.full((candidates_of(line), 1), 1e-6), workload, easy)
        ttft, itl = float(light.ttft_p95_s.min()), float(light.itl_p95_s.min())
        misses = [
            f"{name} p95 is {value:.3g} s at best, target {limit:.3g} s"
            for name, value, limit in (("TTFT", ttft, targets.ttft_s), ("ITL", itl, targets.itl_s))
            if value > limit
        ]
        why = " and ".join(misses) or "no configuration keeps both targets at once"
        return ConfigurationChoice(None, f"{where}: {why}", 0.0, len(units))
    notes = [note, _version_note(coefficients, accelerator, software.engine, software.engine_version)]
    return ConfigurationChoice(found, "", top * workload.output_tokens, len(units), "; ".join(filter(None, notes)))


def drafts_to_try(model: ModelShape, drafting: Drafting) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the drafted tokens per step that a search tries, and why a stated number of them is impossible."""
    if drafting.tokens is not None:
        return (drafting.tokens,), drafting.refusals(model)
    is_possible = not drafting.refusals(model)  # may draft is no must: a model without a module does not
    return draft_choices(int(is_possible)), ()


def _version_note(coefficients: CoefficientSet, accelerator: Accelerator, engine: str, version: str) -> str:
    name = engine_name(engine) if engine else usual_engine(coefficients, accelerator.name)
    return version_note(coefficients, accelerator, name, version)


def used_frac(unit_accelerators: int, n_accelerators: int) -> float:
    """Return the share of a rack's or domain's accelerators that whole units take [-]."""
    return n_accelerators // unit_accelerators * unit_accelerators / n_accelerators


def _chosen(
    units: Sequence[tuple[Configuration, float]], coefficients: CoefficientSet, model: ModelShape, part: Accelerator
) -> tuple[Configuration | None, float, str]:
    """Return the unit to take, its rate per accelerator, and a note where no run of its kind was measured."""
    best: Configuration | None = None
    top = 0.0
    # of one size the simple ones come first
    ordered = sorted(units, key=lambda u: (u[0].n_accelerators, u[0].is_disaggregated, u[0].draft_tokens > 0))
    # what would be chosen with fewer kinds allowed stays possible
    for may_part, may_draft in ((False, False), (False, True), (True, False), (True, True)):
        found: Configuration | None = None
        rate_of_found = 0.0
        for unit, rate in ordered:
            if (unit.is_disaggregated and not may_part) or (unit.draft_tokens > 0 and not may_draft):
                continue
            gain = 1.0 + (_least_gain(unit, found, coefficients, model, part) if found is not None else 0.0)
            if rate > gain * rate_of_found:
                found, rate_of_found = unit, rate
        if rate_of_found > top:
            best, top = found, rate_of_found
    if best is None:
        return None, top, ""
    notes = [kind_note(best, coefficients.record), _close_note(best, top, units, coefficients)]
    return best, top, "; ".join(filter(None, notes))


def _close_note(
    best: Configuration, top: float, units: Sequence[tuple[Configuration, float]], coefficients: CoefficientSet
) -> str:
    """Return the note that another kind of unit serves nearly as much; blank where none does.

    Which kind serves is decided by a gain, so at some input the choice, and the rate with it, steps by that gain.
    """
    rivals: dict[str, tuple[Configuration, float]] = {}
    for unit, rate in units:
        kind = _kind_text(unit)
        if kind != _kind_text(best) and rate > rivals.get(kind, (unit, 0.0))[1]:
            rivals[kind] = unit, rate
    notes = []
    for kind, (unit, rate) in sorted(rivals.items()):
        is_more = _least_gain(unit, best, coefficients, best.model, best.accelerator)
        least = is_more or _least_gain(best, unit, coefficients, best.model, best.accelerator)
        over = rate / top if is_more else top / rate
        if abs(np.log(over / (1.0 + least))) < np.log1p(CLOSE_CHOICE_FRAC):
            verb = "would serve" if is_more else "serves"
            than = "more" if is_more else "less"
            gain = abs(rate / top - 1.0)
            notes.append(
                f"close choice: {kind}, {verb} {gain:.0%} {than}; what is more to run is taken from {least:.0%} on, so "
                "a small change of inputs turns the choice"
            )
    return "; ".join(notes)


def kind_note(unit: Configuration, record: Mapping[str, Any]) -> str:
    """Return the note that no runs of a unit's kind were measured; blank where some were."""
    if _is_measured(unit, record, unit.model, unit.accelerator):
        return ""
    return f"no measured runs of this kind: {_kind_text(unit)}, {unit.model.name} on {unit.accelerator.name}"


def _least_gain(
    unit: Configuration, best: Configuration, coefficients: CoefficientSet, model: ModelShape, part: Accelerator
) -> float:
    """Return by how much a unit must serve more than the best so far to take its place [-]."""
    is_simpler = unit.is_disaggregated <= best.is_disaggregated and (unit.draft_tokens > 0) <= (best.draft_tokens > 0)
    if is_simpler:
        return 0.0
    if _is_measured(unit, coefficients.record, model, part):
        return ASSUMED_LEAST_GAIN_FRAC
    half = _half_band(unit, coefficients)
    if not _is_measured(best, coefficients.record, model, part):
        # nothing measured is there to keep: that one serves whose band ends higher at its low end
        half -= _half_band(best, coefficients)
    return max(float(np.expm1(half)), ASSUMED_LEAST_GAIN_FRAC)


def _half_band(unit: Configuration, coefficients: CoefficientSet) -> float:
    """Return half the logarithmic width of the band of a unit's throughput."""
    half = half_bands(
        coefficients.record,
        unit.accelerator.name,
        unit.model.name,
        mode="disaggregated" if unit.is_disaggregated else "aggregated",
        drafts=unit.draft_tokens > 0,
    )
    return half["throughput"]


def _is_measured(unit: Configuration, record: Mapping[str, Any], model: ModelShape, part: Accelerator) -> bool:
    """Return whether runs of the unit's kind were measured with this model on this generation of accelerators."""
    return run_kind(part.generation, model.name, unit.is_disaggregated, unit.draft_tokens > 0) in record["kinds"]


def _kind_text(unit: Configuration) -> str:
    pools = "prefill apart from decode" if unit.is_disaggregated else "one pool"
    return f"{pools}, {'drafts' if unit.draft_tokens else 'no drafts'}"


def _together(
    instances: Instances,
    line: LoadLine,
    accelerator: Accelerator,
    model: ModelShape,
    workload: Workload,
    targets: LatencyTargets,
    software: Software,
) -> list[tuple[Configuration, float]]:
    """Return instances that do both phases, with their rates per accelerator."""
    rates = sustainable_rate(line, workload, targets) / instances.work.accelerators
    return [
        (
            Configuration(
                accelerator,
                model,
                weight_precision=instances.precisions[i],
                parallelism=instances.parallelisms[i],
                draft_tokens=instances.drafts[i],
                **software.arguments,
            ),
            float(rate),
        )
        for i, rate in enumerate(rates)
    ]


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
    engine_version: str = "",
    kv_precision: str = "",
    checkpoint: str = "",
) -> ConfigurationChoice:
    """Return a configuration that was decided, in the best precision where it leaves that open.

    Parameters
    ----------
    pin : Pin
        As decided.
    max_accelerators : float
        That there are; a unit may span scale-up domains.
    coefficients, accelerator, model, workload, targets, precisions, engine, engine_version, kv_precision, checkpoint
        As for `best_configuration`; cache and checkpoint count where the pin says nothing of them.

    Returns
    -------
    ConfigurationChoice
        With a reason in place of a configuration where no engine runs it, it does not fit or keeps no target.
    """
    reasons = []
    try:
        pin = pin.stored(kv_precision, checkpoint)
    except ValueError as refusal:
        reasons.append(str(refusal))
    reasons += pin.refusals(accelerator, model, workload, max_accelerators)
    tried = (pin.precision,) if pin.precision else tuple(precisions or allowed_precisions(accelerator, model))
    found: list[tuple[float, Configuration]] = []
    if not reasons:
        inside = within_context(workload, model)
        for precision in tried:
            configuration = Configuration(
                accelerator,
                model,
                engine,
                weight_precision=precision,
                engine_version=engine_version,
                drafting=pin.drafting,
                parallelism=pin.parallelism,
                prefill_parallelism=pin.prefill,
                prefill_instances=pin.prefill_instances,
                decode_instances=pin.decode_instances,
                draft_tokens=pin.draft_tokens,
                batch=pin.batch,
                kv_precision=pin.kv_precision,
                checkpoint=pin.checkpoint,
            )
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
    rate, best = max(found, key=lambda pair: pair[0])
    notes = [kind_note(best, coefficients.record), _version_note(coefficients, accelerator, engine, engine_version)]
    rate_per_accelerator = rate / best.n_accelerators
    return ConfigurationChoice(
        best, "", rate_per_accelerator * workload.output_tokens, len(tried), "; ".join(filter(None, notes))
    )


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
        check_cap(accelerator, power_cap_w)
        reading, generating, capped_w = _capped(configuration, decode, prefill, workload, at_full, power_cap_w)
        # one clock that draws what the states do at theirs
        same = clock_under_cap(capped_w, static_w=0.0, dynamic_w=dynamic_w)
        held = np.minimum(held, np.where(dynamic_w > 0.0, same, 1.0))
        slow = [np.minimum(clocks[:, None], clock).ravel() for clock in (generating, reading)]
        # every pair of clock and load is a line of its own, at one rate
        line = _unit_line(configuration, decode, prefill, workload, *slow)
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
        log_bands=half_bands(
            coefficients.record,
            accelerator.name,
            configuration.model.name,
            mode="disaggregated" if configuration.is_disaggregated else "aggregated",
            drafts=configuration.draft_tokens > 0,
        ),
    )


def prompt_time_frac(coefficients: CoefficientSet, configuration: Configuration, workload: Workload) -> float:
    """Return the share of a unit's busy time that reading prompts takes [-], in (0, 1).

    Where prompts are read apart: the prefill pool's share of the accelerators. Otherwise: the rate at which the unit
    serves whole requests over that at which it would serve the same prompts for one token each.

    Parameters
    ----------
    coefficients : CoefficientSet
        A fitted set.
    configuration : Configuration
        The unit.
    workload : Workload
        What it serves.
    """
    if configuration.is_disaggregated:
        return (
            1.0 - configuration.decode_instances * configuration.parallelism.accelerators / configuration.n_accelerators
        )
    workload = within_context(workload, configuration.model)
    prompts = replace(workload, output_tokens=1.0, output_variation=0.0)

    def highest_rate_per_s(asked: Workload) -> float:
        decode, prefill = _configured(coefficients, configuration, asked)
        return float(_unit_line(configuration, decode, prefill, asked, np.ones(1)).requests_per_s.max())

    return float(np.clip(highest_rate_per_s(workload) / highest_rate_per_s(prompts), 0.0, 1.0))


def sessions_under_way(workload: Workload, requests_per_s: FloatArray, in_service: FloatArray) -> FloatArray:
    """Return the sessions that send requests at a rate: those with one in service and those that pause [-].

    Little's law over the closed network; agents that run side by side in a session count as one.
    """
    if workload.sessions is None:
        return np.zeros_like(in_service)
    return (in_service + requests_per_s * workload.sessions.mean_pause_s) / workload.sessions.streams


def check_cap(accelerator: Accelerator, power_cap_w: float) -> None:
    """Refuse a power cap that an accelerator cannot be set to.

    Raises
    ------
    ValueError
        Says what it can be set to.
    """
    low, high = accelerator.min_power_w, accelerator.max_power_w
    if not low <= power_cap_w <= high:
        raise ValueError(
            f"the power cap is {power_cap_w:g} W; {accelerator.name} can be set to {low:g} W to {high:g} W"
        )


def _capped(
    configuration: Configuration,
    decode: Instances,
    prefill: Instances | None,
    workload: Workload,
    state: OpenState,
    power_cap_w: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the clocks of reading prompts and of generating under a cap, and the unit's mean dynamic watts, (n_load,).

    Work at the lower clock takes longer and is as dense, so what it draws at full clock stands for it.
    """
    accelerator = configuration.accelerator
    limits = {"idle_w": accelerator.idle_w, "tdp_w": accelerator.tdp_w, "cap_w": power_cap_w}
    total_w, total = np.zeros(state.served_per_s.shape[-1]), 0
    reading = generating = np.ones(state.served_per_s.shape[-1])
    for instances, here, ranks in _pool_states(configuration, decode, prefill, workload, state):
        of_reading, of_generating, mean_w = capped_clocks(state_shares(instances.power, here), here, **limits)
        if instances is decode:
            generating = of_generating[0]
        if prefill is None or instances is not decode:
            reading = of_reading[0]
        total_w, total = total_w + mean_w[0] * ranks, total + ranks
    return reading, generating, total_w / total


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

    def of_pool(parallelism: Parallelism) -> Instances:
        instances, reason = build_instances(
            coefficients,
            configuration.accelerator,
            configuration.model,
            workload,
            [parallelism],
            [configuration.weight_precision],
            engine=configuration.engine,
            engine_version=configuration.engine_version,
            drafting=configuration.drafting,
            draft_tokens=(configuration.draft_tokens,),
            mode="disaggregated" if configuration.is_disaggregated else "aggregated",
            kv_precision=configuration.kv_precision,
            checkpoint=configuration.checkpoint,
        )
        if instances is None:
            raise ValueError(f"{configuration.model.name} on {configuration.accelerator.name}: {reason}")
        return instances

    decode = of_pool(configuration.parallelism)
    prefill = None if configuration.prefill_parallelism is None else of_pool(configuration.prefill_parallelism)
    if configuration.batch is not None:
        decode = replace(decode, limit=np.minimum(decode.limit, float(configuration.batch)))
    return decode, prefill


def _unit_line(
    configuration: Configuration,
    decode: Instances,
    prefill: Instances | None,
    workload: Workload,
    clocks: FloatArray,
    prefill_clocks: FloatArray | None = None,
) -> LoadLine:
    """Return one load line per clock of a whole unit; prompts may be read at other clocks."""
    reading = clocks if prefill_clocks is None else prefill_clocks
    many = np.zeros(clocks.size, dtype=np.int64)
    slowed = decode.take(many)
    slowed = replace(slowed, costs=clocked(slowed.costs, clocks))
    if prefill is None:
        slowed = replace(slowed, costs=replace(slowed.costs, prefill_clock_frac=reading / clocks))
        return both_phases_line(slowed.columns(), workload)
    first = prefill.take(many)
    first = replace(first, costs=clocked(first.costs, reading))
    return paired_line(
        first.columns(),
        decode_line(slowed.columns(), workload),
        workload,
        prefill_instances=np.full(clocks.size, float(configuration.prefill_instances)),
        decode_instances=np.full(clocks.size, float(configuration.decode_instances)),
    )


def _apart(
    instances: Instances,
    accelerator: Accelerator,
    model: ModelShape,
    workload: Workload,
    targets: LatencyTargets,
    max_accelerators: int,
    software: Software,
) -> list[tuple[Configuration, float]]:
    """Return units of separate prefill and decode instances with their rates per accelerator."""
    column = instances.columns()
    prefill_s = prompt_times(column.costs, workload).moment(np.ones((1, 1)), 1)
    first_s = fixed_s(column) + column.scheduling.first * prefill_s
    size = instances.work.accelerators.astype(np.int64)
    easy = LatencyTargets(ttft_s=1e6, itl_s=targets.itl_s)
    decode_rate = sustainable_rate(decode_line(column, workload), workload, easy)
    prefill_rate = np.where(first_s <= targets.ttft_s, MATCHED_LOAD / prefill_s, 0.0)[:, 0]
    found = []
    # a prompt is prefilled alike with any draft
    for p in np.flatnonzero((prefill_rate > 0) & (np.asarray(instances.drafts) == 0)):
        x = np.arange(1, max_accelerators // size[p] + 1)
        for d in np.flatnonzero(decode_rate > 0):
            if instances.precisions[p] != instances.precisions[d] or size[p] + size[d] > max_accelerators:
                continue
            match = x * prefill_rate[p] / decode_rate[d]
            beside = np.broadcast_to(DECODE_COUNTS, (x.size, DECODE_COUNTS.size))
            y = np.column_stack([np.maximum(np.floor(match), 1.0), np.ceil(match), beside]).astype(np.int64)
            total = x[:, None] * size[p] + y * size[d]
            i, j = np.nonzero(total <= max_accelerators)
            units = [total[i, j], np.full(i.size, p), np.full(i.size, d), x[i], y[i, j]]
            rates = [
                np.minimum(load * x[i] * prefill_rate[p], y[i, j] * decode_rate[d]) / total[i, j]
                for load in PREFILL_LOADS
            ]
            found.append(np.column_stack([*units, *rates]))
    if not found:
        return []
    every = np.unique(np.concatenate(found), axis=0)
    bins = np.searchsorted(UNIT_SIZES, every[:, 0])
    within = bins < np.searchsorted(UNIT_SIZES, max_accelerators, side="right")  # whole bins only
    every, bins = every[within], bins[within]
    # units that draft are ranked apart: allowing them takes nothing away
    bins = 2 * bins + (np.asarray(instances.drafts)[every[:, 2].astype(np.int64)] > 0)
    pair = every[:, 1] * len(instances.parallelisms) + every[:, 2]
    chosen: set[int] = set()
    for rate in every[:, 5:].T:
        # one ratio of each pair of instances, so that variants of one do not crowd out the others
        order = np.lexsort((-rate, pair, bins))
        first = order[np.r_[True, (np.diff(bins[order]) != 0) | (np.diff(pair[order]) != 0)]] if order.size else order
        ranked = first[np.lexsort((-rate[first], bins[first]))]
        rank = np.arange(ranked.size) - np.searchsorted(bins[ranked], bins[ranked])
        chosen.update(ranked[rank < PAIRS_OF_A_SIZE].tolist())
    best = every[sorted(chosen)]
    if not best.size:
        return []
    p, d, x, y = best[:, 1:5].T.astype(np.int64)
    line = paired_line(
        instances.take(p).columns(),
        decode_line(instances.take(d).columns(), workload),
        workload,
        prefill_instances=x.astype(np.float64),
        decode_instances=y.astype(np.float64),
    )
    per_accelerator = sustainable_rate(line, workload, targets) / best[:, 0]
    return [
        (
            Configuration(
                accelerator,
                model,
                weight_precision=instances.precisions[d[k]],
                parallelism=instances.parallelisms[d[k]],
                prefill_parallelism=instances.parallelisms[p[k]],
                prefill_instances=int(x[k]),
                decode_instances=int(y[k]),
                draft_tokens=instances.drafts[d[k]],
                **software.arguments,
            ),
            float(rate),
        )
        for k, rate in enumerate(per_accelerator)
    ]


def _activity_and_share(
    configuration: Configuration,
    decode: Instances,
    prefill: Instances | None,
    workload: Workload,
    state: OpenState,
) -> tuple[Activity, FloatArray]:
    """Return mean activity per accelerator and the share of (TDP - idle) drawn, shape (n_clock, n_load)."""
    groups = [
        (here.mean_activity, states_power_share(instances.power, here), ranks)
        for instances, here, ranks in _pool_states(configuration, decode, prefill, workload, state)
    ]
    total, zero = sum(ranks for _, _, ranks in groups), np.zeros(())
    compute = sum((activity.compute_frac * ranks for activity, _, ranks in groups), zero) / total
    memory = sum((activity.memory_frac * ranks for activity, _, ranks in groups), zero) / total
    share = sum((power_share * ranks for _, power_share, ranks in groups), zero) / total
    return Activity(compute_frac=compute, memory_frac=memory), share


def _pool_states(
    configuration: Configuration,
    decode: Instances,
    prefill: Instances | None,
    workload: Workload,
    state: OpenState,
) -> list[tuple[Instances, EngineStates, int]]:
    """Return each pool's instances, what one of them does over time, and the pool's accelerators."""
    cached = workload.input_tokens * state.cached_frac
    n_decode = configuration.decode_instances
    parts = [(decode, n_decode, configuration.parallelism.accelerators * n_decode)]
    if prefill is not None and configuration.prefill_parallelism is not None:
        ranks = configuration.prefill_parallelism.accelerators * configuration.prefill_instances
        parts.append((prefill, configuration.prefill_instances, ranks))
    found = []
    for instances, n, ranks in parts:
        generates = instances is decode
        reads = prefill is None or not generates
        here = _states(instances, workload, state, n, cached, generates=generates, reads=reads)
        found.append((instances, here, ranks))
    return found


def _states(
    instances: Instances,
    workload: Workload,
    state: OpenState,
    n: int,
    cached: FloatArray,
    *,
    generates: bool,
    reads: bool,
) -> EngineStates:
    """Return what each of n like instances does over time under open arrivals, shape (n_clock, n_load)."""
    costs = instances.costs
    in_service = np.maximum(state.in_service / n, 1e-9)
    batch = in_service / -np.expm1(-in_service)  # Poisson-many in service, seen while there are any
    context = workload.input_tokens + workload.generated_tokens
    step_s = np.minimum(
        instances.decode_scale * generation_gap_s(costs, sequences=batch, context_tokens=context), state.itl_mean_s
    )
    new = np.maximum(workload.input_tokens - cached, 1.0)
    return engine_states(
        instances.work,
        decoding=batch,
        decode_step_s=step_s if generates else 0.0,
        prefill_s=prefill_time_s(costs, new, cached) if reads else 0.0,
        input_tokens=workload.input_tokens,
        output_tokens=workload.output_tokens if generates else 0.0,
        requests_per_s=state.served_per_s / n,
        context_tokens=context,
        cached_tokens=np.minimum(cached, workload.input_tokens - 1e-6),
        draft_tokens=costs.draft_tokens,
        tokens_per_step=tokens_per_step(costs.draft_tokens, costs.draft_acceptance),
    )
