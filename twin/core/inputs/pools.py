"""Which racks serve what: pools of identical accelerators, each with one model for one use case."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.accelerators import Accelerator, accelerator_from_entry
from compute.calibration.cases import engine_reason
from compute.calibration.coefficients import coefficient_set
from compute.model_shapes import ModelShape, model_shape_from_entry
from compute.steady.pins import FREE, Pin, Restrictions, Software, pin_from_text
from compute.steady.serving import (
    Configuration,
    ConfigurationChoice,
    ServingCurve,
    best_configuration,
    pinned_configuration,
    prompt_time_frac,
    serving_curve,
    used_frac,
)
from compute.steps.rules import Drafting
from compute.workload import LatencyTargets, Workload, workload_from_entry
from power_cooling.site_arrays import (
    ASSUMED_LEAKAGE_FRAC,
    ASSUMED_LEAKAGE_PER_K,
    ASSUMED_REFERENCE_DEGC,
    FloatArray,
)
from power_cooling.site_facts.confidence import weakest
from twin.core.inputs.admission import DEGRADE, QUEUE, queue
from twin.core.inputs.cpu_time import CpuTime, cpu_time, let_through_per_s
from twin.core.inputs.demand import hourly_shape, requests_per_s
from twin.core.inputs.equipment import RackTable
from twin.core.inputs.layout import LayoutInputs, ProductSheet, WorkloadShare
from twin.core.inputs.storage import cache_tier
from twin.core.text.numbers import quantity_text

IntArray = NDArray[np.int64]

ANYWHERE = "vllm"  # the engine of accelerators that the scenario's does not run on
N_LOAD = 33  # knots of the load axis up to capacity: between them watts and latencies are interpolated
DEGRADED_LOAD = 2.0  # demand over capacity up to which a degraded service is followed: far past what engines hold
HOST_ACCELERATORS = 8  # a host with more is a rack of trays
ASSUMED_TRAY_ACCELERATORS = 4  # of a rack whose sheet does not count its trays: two modules of two, as NVL72 has them
ASSUMED_IDLE_JUNCTION_DEGC = 35.0  # of a chip that idles in a cooled room or loop while its watts are read
CLOCK_FRAC = np.linspace(0.3, 1.0, 8)
CURVES = (
    "ttft_p50_s",
    "ttft_p95_s",
    "itl_p50_s",
    "itl_p95_s",
    "slo_attainment_frac",
    "compute_activity_frac",
    "memory_activity_frac",
    "cached_frac",
    "sessions",
    "served_frac",
)


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Accelerators of one kind that serve one use case with one model. Curves have shape (n_clock, n_load)."""

    workload: str
    name: str
    model: str
    model_name: str
    accelerator: str
    n_accelerators: float
    domain_accelerators: int  # that one fast link joins
    tray_accelerators: int  # that are swapped together
    instance_sizes: tuple[int, ...]  # accelerators of one copy: of decode, then of prefill where it runs apart
    instance_ratio: tuple[int, ...]  # how many of each serve together; both empty where the model does not fit
    switch_trays: float  # of one domain
    feasible: bool
    reason: str
    engine: str  # that serves it; the scenario's, unless the accelerator does not run it
    configuration_text: str
    choice_text: str  # how it was chosen: searched, searched under restrictions, or pinned
    best_text: str  # what a free search finds where this was pinned or restricted, else blank
    best_gain_frac: float  # output per accelerator that the free search's finding has beyond this, over this
    tensor_parallel: int | None
    weight_precision: str
    target_ttft_s: float
    target_itl_s: float
    confidence: str
    source: str
    has_sessions: bool
    cpu: CpuTime
    input_tokens: float  # per request, mean
    output_tokens: float
    longest_tokens: float | None  # of one request; None where no limit is known
    capacity_per_s: float  # requests per second of the whole pool within its targets, at full clock
    demand_per_s: FloatArray  # (n_hours,), requests that arrive
    work_per_s: FloatArray  # (n_hours,), with those that still wait from earlier hours, as CPU servers let them through
    demand_is_stated: bool  # in requests per second; else it is a share of this pool's own capacity
    admission: str  # of demand above capacity
    prompt_frac: float  # of the accelerators' time that reading prompts takes
    static_power_w: FloatArray  # (n_load,), per accelerator at full clock
    dynamic_power_w: FloatArray  # (n_load,)
    clock_frac: FloatArray  # (n_clock,), uniform
    capacity_frac: FloatArray  # (n_clock,), of the capacity at full clock
    curves: Mapping[str, FloatArray]  # by name in CURVES; their load is demand over capacity at full clock
    most_load: float  # of the curves
    log_bands: Mapping[str, float]  # half width of the 80 % band, in logarithms

    def speed(self, clock_frac: FloatArray) -> FloatArray:
        """Return the capacity at a clock over that at full clock [-], shape of `clock_frac`."""
        if not self.feasible:
            return np.zeros(np.shape(clock_frac))
        return np.interp(clock_frac, self.clock_frac, self.capacity_frac)

    def rate_per_s(self, clock_frac: FloatArray, running_frac: FloatArray) -> FloatArray:
        """Return the requests per second served within the targets at a clock and a share of running accelerators."""
        return self.capacity_per_s * self.speed(clock_frac) * running_frac

    def at(self, name: str, clock_frac: FloatArray, load_frac: FloatArray) -> FloatArray:
        """Return a curve at clocks and loads, bilinear on its uniform grid and held at its edges, shape (n,)."""
        table = self.curves[name]
        n_clock, n_load = table.shape
        low, high = self.clock_frac[0], self.clock_frac[-1]
        row, a = _cell((np.clip(clock_frac, low, high) - low) / (high - low) * (n_clock - 1), n_clock)
        column, b = _cell(np.clip(load_frac, 0.0, self.most_load) / self.most_load * (n_load - 1), n_load)
        lower = table[row, column] * (1 - b) + table[row, column + 1] * b
        upper = table[row + 1, column] * (1 - b) + table[row + 1, column + 1] * b
        return lower * (1 - a) + upper * a

    def log_band(self, name: str) -> float:
        """Return half the logarithmic width of the 80 % band of "throughput", "ttft", "itl" or "power"."""
        return self.log_bands[name]


def _cell(place: FloatArray, n: int) -> tuple[IntArray, FloatArray]:
    """Return the cell of a uniform grid that each place lies in, and how far along it."""
    index = np.minimum(place.astype(np.int64), n - 2)
    return index, place - index


def plan_pools(inputs: LayoutInputs, table: RackTable, n_hours: int) -> tuple[list[Pool], IntArray]:
    """Share the accelerators out among the use cases and choose how each is served.

    Whole racks go to use cases in the scenario's shares, spread evenly over the floor; racks of different systems make
    different pools of the same use case, which share its demand by what they can serve.

    Parameters
    ----------
    inputs : LayoutInputs
        A snapshot.
    table : RackTable
        Its racks.
    n_hours : int
        Hours of the year.

    Returns
    -------
    pools : list of Pool
    rack_pool : ndarray, shape (n_racks,)
        Pool of each rack; -1 for racks without accelerators.

    Raises
    ------
    ValueError
        If the layout has no accelerators or all shares are 0.
    """
    shares = inputs.scenario.workloads
    racks = np.flatnonzero(table.accelerator != "")
    if racks.size == 0:
        raise ValueError("The layout has no racks with accelerators; nothing can serve the scenario's use cases")
    of_rack = share_out(np.array([share.accelerator_share_frac for share in shares]), racks.size)
    rack_pool = np.full(table.accelerator.size, -1, dtype=np.int64)
    pools: list[Pool] = []
    solved: dict[tuple[Any, ...], _Service] = {}  # systems with the same accelerators and links are served alike
    for i, share in enumerate(shares):
        racks_of_share = racks[of_rack == i]
        parts: list[_Part] = []
        for system in dict.fromkeys(table.system[racks_of_share].tolist()):
            members = racks_of_share[table.system[racks_of_share] == system]
            rack_pool[members] = len(pools) + len(parts)
            slug = str(table.accelerator[members[0]])
            n = float(table.bank["n_accelerators"][members].sum())
            facts = inputs.facts(inputs.racks.product_id[members[0]])
            key = (i, slug, min(_domain(facts), int(n)), n if share.configuration else 0.0)
            if key not in solved:
                solved[key] = _service(inputs, share, *key[1:])
            parts.append(_Part(slug, n, key[2], facts, solved[key]))
        if not parts:
            share_frac = share.accelerator_share_frac / sum(other.accelerator_share_frac for other in shares)
            raise ValueError(
                f"{share.workload.name} gets {quantity_text(share_frac, '%')} of {racks.size} racks, less than one; "
                "raise its share (shares are relative) or leave it out of the scenario"
            )
        pools += _with_demand(inputs, share, parts, n_hours)
    return held_back(pools), rack_pool


def held_back(pools: list[Pool]) -> list[Pool]:
    """Return pools whose accelerators get no more work than the CPU servers let through, at full clock."""
    wanted = np.column_stack([np.minimum(pool.work_per_s, pool.capacity_per_s) for pool in pools])
    through = let_through_per_s([pool.cpu for pool in pools], wanted)
    if np.all(through >= wanted):
        return pools
    held = []
    for pool, most in zip(pools, through.T, strict=True):
        work = pool.work_per_s
        if pool.admission == QUEUE and pool.feasible:
            waits = queue(pool.demand_per_s, np.minimum(pool.capacity_per_s, most))
            work = pool.demand_per_s + waits.backlog / 3600.0
        held.append(replace(pool, work_per_s=np.minimum(work, most) if pool.feasible else work))
    return held


@dataclass(frozen=True, slots=True)
class _Service:
    """How one kind of accelerator serves one use case."""

    model: str
    workload: Workload
    targets: LatencyTargets
    configuration: Configuration | None
    curve: ServingCurve | None
    reason: str
    choice_text: str = "searched"
    best: ConfigurationChoice | None = None  # of a free search, where this one was not

    @property
    def tokens_per_joule(self) -> float:
        """Output tokens per joule of the accelerators, at all that the targets allow and full clock."""
        if self.curve is None:
            return 0.0
        full, most = int(np.argmax(self.curve.clock_frac)), int(np.argmin(np.abs(self.curve.load_frac - 1.0)))
        return float(self.curve.output_tokens_per_s[full, most] / self.curve.accelerator_power_w[full, most])


@dataclass(frozen=True, slots=True)
class _Part:
    """Racks of one system that serve one use case, before demand is shared out."""

    accelerator: str
    n_accelerators: float
    domain: int  # accelerators that one fast link joins: units that fit in one do not reach over it
    system: Mapping[str, Any]  # facts
    service: _Service

    @property
    def used_frac(self) -> float:
        """Share of the accelerators that whole units take; those left over idle."""
        configuration = self.service.configuration
        if configuration is None:
            return 1.0
        unit = configuration.n_accelerators
        return used_frac(unit, self.domain if unit <= self.domain else int(self.n_accelerators))

    @property
    def capacity_per_s(self) -> float:
        """Requests per second within the targets, at full clock."""
        curve = self.service.curve
        return 0.0 if curve is None else curve.sustainable_requests_per_s * self.n_accelerators * self.used_frac


def _domain(system: Mapping[str, Any]) -> int:
    """Return how many accelerators one fast link joins in a system."""
    return int(system.get("scaleup_domain") or system["accelerators_per_system"])


def _tray(system: Mapping[str, Any]) -> int:
    """Return how many accelerators of a system are swapped together: a tray of a rack, or a whole host."""
    n = int(system["accelerators_per_system"])
    if system.get("compute_trays"):
        return max(n // int(system["compute_trays"]), 1)
    return ASSUMED_TRAY_ACCELERATORS if n > HOST_ACCELERATORS else n


def _instances(configuration: Configuration | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the accelerators of one instance of each stage, and how many of them serve together."""
    if configuration is None:
        return (), ()
    decode = configuration.parallelism.accelerators
    if configuration.prefill_parallelism is None:
        return (decode,), (configuration.decode_instances,)
    prefill = configuration.prefill_parallelism.accelerators
    return (decode, prefill), (configuration.decode_instances, configuration.prefill_instances)


def _service(inputs: LayoutInputs, share: WorkloadShare, slug: str, domain: int, n_accelerators: float) -> _Service:
    """Return how accelerators serve a use case: with that of its models that keeps the targets for the fewest joules.

    Where two give as many output tokens per watt of the accelerators, the one that the catalogue names first.
    """
    products, scenario = inputs.products, inputs.scenario
    tier_bytes, tier_bytes_per_s = cache_tier(inputs.stored(), inputs.n_accelerators, scenario.cache_tier_bytes)
    accelerator = accelerator_from_entry(_flat(products.accelerators[slug]))
    link = accelerator.cache_tier_bytes_per_s  # of the host; the tier may be slower
    accelerator = replace(
        accelerator,
        cache_tier_bytes=tier_bytes,
        cache_tier_bytes_per_s=link if tier_bytes_per_s is None else min(tier_bytes_per_s, link),
    )
    workload, targets = workload_from_entry(_flat(share.workload))
    recommended = share.workload.facts["recommended_models"]
    wanted = [share.model] if share.model else [model for model in recommended if model in products.models]
    precisions = None if scenario.weight_precision == "auto" else (scenario.weight_precision,)
    engine = ANYWHERE if engine_reason(scenario.engine, accelerator) else scenario.engine
    restrictions = Restrictions(scenario.serving_mode, scenario.max_ranks, scenario.allow_pipelines)
    software = Software(
        engine,
        scenario.engine_version if engine == scenario.engine else "",
        Drafting(tokens=scenario.draft_tokens, acceptance=scenario.draft_acceptance_frac),
        "" if scenario.kv_precision == "auto" else scenario.kv_precision,
        share.checkpoint,
    )
    pin = pin_from_text(share.configuration) if share.configuration else None
    drafts = scenario.allow_drafts
    is_free = pin is None and restrictions == Restrictions()
    text = "pinned" if pin else f"searched, {restrictions.text()}" if not is_free else "searched"
    reasons, found = [], []
    for model in wanted:
        if model not in products.models:
            raise ValueError(f"{share.workload.name}: model {model} is not in the catalogue")
        shape = model_shape_from_entry(_flat(products.models[model]))
        question = (accelerator, shape, workload, targets)
        most = DEGRADED_LOAD if inputs.scenario.admission == DEGRADE else 1.0
        if pin is None:
            choice, curve = _best_service(*question, domain, precisions, software, drafts, restrictions, most)
        else:
            choice, curve = _pinned_service(*question, n_accelerators, precisions, software, pin, most)
        if curve is not None:
            usual = replace(software, kv_precision="", checkpoint="")
            best = None if is_free else _best_service(*question, domain, None, usual, drafts, FREE, most)[0]
            text_and_note = f"{text}; {choice.note}" if choice.note else text
            found.append(_Service(model, workload, targets, choice.configuration, curve, "", text_and_note, best))
        else:
            reasons.append(choice.reason)
    if found:
        return max(found, key=lambda service: service.tokens_per_joule)
    if not wanted:
        raise ValueError(f"{share.workload.name}: none of {', '.join(recommended)} is in the catalogue")
    return _Service(wanted[0], workload, targets, None, None, "; ".join(reasons), text)


def _configuration_text(configuration: Configuration | None, engine: str, part: _Part) -> str:
    """Return a configuration in words, with its engine where the scenario's does not run, and what is left over."""
    if configuration is None:
        return ""
    left = f", {part.used_frac:.1%} of the accelerators used" if part.used_frac < 1.0 else ""
    return configuration.text() + (", on vLLM" if configuration.engine == ANYWHERE != engine else "") + left


@lru_cache(maxsize=256)  # the search is most of a small run's time, and edits of the floor do not change its inputs
def _best_service(
    accelerator: Accelerator,
    model: ModelShape,
    workload: Workload,
    targets: LatencyTargets,
    domain: int,
    precisions: tuple[str, ...] | None,
    software: Software,
    allow_drafts: bool,
    restrictions: Restrictions,
    most_load: float,
) -> tuple[ConfigurationChoice, ServingCurve | None]:
    """Return the best configuration on up to `domain` accelerators and its curve, or the reason why there is none."""
    coefficients = coefficient_set()
    choice = best_configuration(
        coefficients,
        accelerator,
        model,
        workload,
        targets,
        max_accelerators=domain,
        precisions=precisions,
        **software.arguments,
        allow_drafts=allow_drafts,
        restrictions=restrictions,
        of_accelerators=domain,
    )
    return choice, _curve(choice, workload, targets, most_load)


@lru_cache(maxsize=256)
def _pinned_service(
    accelerator: Accelerator,
    model: ModelShape,
    workload: Workload,
    targets: LatencyTargets,
    n_accelerators: float,
    precisions: tuple[str, ...] | None,
    software: Software,
    pin: Pin,
    most_load: float,
) -> tuple[ConfigurationChoice, ServingCurve | None]:
    """Return a pinned configuration and its curve, or the reason why it cannot serve."""
    choice = pinned_configuration(
        coefficient_set(),
        accelerator,
        model,
        workload,
        targets,
        pin,
        max_accelerators=n_accelerators,
        precisions=precisions,
        **{name: value for name, value in software.arguments.items() if name != "drafting"},
    )
    return choice, _curve(choice, workload, targets, most_load)


@lru_cache(maxsize=256)
def _prompt_frac(configuration: Configuration, workload: Workload) -> float:
    return prompt_time_frac(coefficient_set(), configuration, workload)


def _curve(
    choice: ConfigurationChoice, workload: Workload, targets: LatencyTargets, most_load: float
) -> ServingCurve | None:
    if choice.configuration is None:
        return None
    loads = np.linspace(0.0, most_load, round(most_load * (N_LOAD - 1)) + 1)
    return serving_curve(coefficient_set(), choice.configuration, workload, targets, CLOCK_FRAC, loads)


def _with_demand(inputs: LayoutInputs, share: WorkloadShare, parts: list[_Part], n_hours: int) -> list[Pool]:
    """Return the pools of one use case, its demand shared by what each can serve."""
    entry = share.workload
    shape = hourly_shape(inputs.products.diurnal_shapes[entry.facts["diurnal_shape"]].facts, n_hours)
    capacity = np.array([part.capacity_per_s for part in parts])
    total = capacity.sum()
    demand = requests_per_s(shape, mean_per_s=share.requests_per_s, peak_per_s=share.peak_load_frac * total)
    fraction = capacity / total if total > 0 else np.full(len(parts), 1 / len(parts))
    stated = share.requests_per_s is not None
    return [_pool(inputs, share, part, demand * f, stated) for part, f in zip(parts, fraction, strict=True)]


def _pool(inputs: LayoutInputs, share: WorkloadShare, part: _Part, demand_per_s: FloatArray, stated: bool) -> Pool:
    entry = share.workload
    products, service = inputs.products, part.service
    configuration, curve = service.configuration, service.curve
    model, chip = products.models[service.model], products.accelerators[part.accelerator]
    used = (entry, model, chip)
    work_per_s = demand_per_s
    if inputs.scenario.admission == QUEUE and curve is not None:
        waits = queue(demand_per_s, np.full(demand_per_s.size, part.capacity_per_s))
        work_per_s = demand_per_s + waits.backlog / 3600.0
    static_w = curve.static_power_w[:N_LOAD] if curve else np.full(N_LOAD, float(chip.facts.get("idle_w") or 0.0))
    dynamic_w = part.used_frac * curve.dynamic_power_w[:N_LOAD] if curve else np.zeros(N_LOAD)
    return Pool(
        workload=entry.slug,
        name=entry.name,
        model=service.model,
        model_name=model.name,
        accelerator=part.accelerator,
        n_accelerators=part.n_accelerators,
        domain_accelerators=_domain(part.system),
        tray_accelerators=_tray(part.system),
        instance_sizes=_instances(configuration)[0],
        instance_ratio=_instances(configuration)[1],
        switch_trays=float(part.system.get("switch_trays") or 0.0),
        feasible=curve is not None,
        reason=service.reason,
        engine=configuration.engine if configuration else inputs.scenario.engine,
        configuration_text=_configuration_text(configuration, inputs.scenario.engine, part),
        choice_text=service.choice_text,
        **_against_best(service),
        tensor_parallel=configuration.parallelism.tensor_parallel if configuration else None,
        weight_precision=configuration.weight_precision if configuration else "",
        target_ttft_s=service.targets.ttft_s,
        target_itl_s=service.targets.itl_s,
        confidence=weakest(sheet.confidence for sheet in used),
        source="; ".join(sheet.source for sheet in used),
        has_sessions=service.workload.sessions is not None,
        cpu=cpu_time(inputs, share),
        input_tokens=service.workload.input_tokens,
        output_tokens=service.workload.output_tokens,
        longest_tokens=_longest(service.workload),
        capacity_per_s=part.capacity_per_s,
        demand_per_s=demand_per_s,
        work_per_s=work_per_s,
        demand_is_stated=stated,
        admission=inputs.scenario.admission,
        prompt_frac=_prompt_frac(configuration, service.workload) if curve else 0.0,
        static_power_w=static_at_reference_w(static_w, dynamic_w, float(chip.facts["tdp_w"])),
        dynamic_power_w=dynamic_w,
        clock_frac=CLOCK_FRAC,
        capacity_frac=curve.capacity_frac if curve else np.zeros(CLOCK_FRAC.size),
        curves={name: getattr(curve, name) for name in CURVES} if curve else {},
        most_load=float(curve.load_frac[-1]) if curve else 1.0,
        log_bands=curve.log_bands if curve else {},
    )


def _longest(workload: Workload) -> float | None:
    tokens = workload.most_input_tokens + workload.most_output_tokens
    return tokens if np.isfinite(tokens) else None


def _against_best(service: _Service) -> dict[str, Any]:
    """Return what a free search finds beside a pinned or restricted configuration, and how much more it serves."""
    best, curve = service.best, service.curve
    if best is None or best.configuration is None or curve is None:
        return {"best_text": "", "best_gain_frac": 0.0}
    here = curve.sustainable_requests_per_s * service.workload.output_tokens
    return {"best_text": best.configuration.text(), "best_gain_frac": best.output_tokens_per_s / here - 1.0}


def static_at_reference_w(static_w: FloatArray, dynamic_w: FloatArray, tdp_w: float) -> FloatArray:
    """Return static watts as they would be at the reference temperature, shape (n_load,).

    Idle watts were measured on a cool chip, those of full load on one at the reference temperature; between them the
    junction rises with the power. What leakage grows by from there is added here, because the chip's own formula takes
    it off again at the temperature that it finds: at no load and the idle junction it draws its idle watts.
    """
    busy = np.clip(dynamic_w / max(tdp_w - float(static_w[0]), 1.0), 0.0, 1.0)
    measured_degc = ASSUMED_IDLE_JUNCTION_DEGC + (ASSUMED_REFERENCE_DEGC - ASSUMED_IDLE_JUNCTION_DEGC) * busy
    grown = np.exp(ASSUMED_LEAKAGE_PER_K * (measured_degc - ASSUMED_REFERENCE_DEGC))
    leak_w = ASSUMED_LEAKAGE_FRAC * tdp_w
    at_reference_w = static_w + leak_w * (1.0 - grown)
    return np.where(leak_w <= at_reference_w, at_reference_w, static_w / grown)  # no chip leaks more than it draws


def _flat(entry: ProductSheet) -> dict[str, Any]:
    """Return a product as the catalogue file writes it, which is what the solver's readers expect."""
    return {"id": entry.slug, "name": entry.name, **entry.facts}


def share_out(shares: FloatArray, n: int) -> IntArray:
    """Return which share each of n equal things goes to, shape (n,).

    At every point along them the counts are as near to the shares as whole things allow.
    """
    if not shares.sum() > 0:
        raise ValueError("The scenario gives no use case a share of the accelerators; set accelerator_share_frac")
    wanted = (shares / shares.sum()).tolist()
    owed = [0.0] * len(wanted)
    chosen = []
    for _ in range(n):
        owed = [before + share for before, share in zip(owed, wanted, strict=True)]
        chosen.append(owed.index(max(owed)))
        owed[chosen[-1]] -= 1
    return np.array(chosen, dtype=np.int64)
