"""What one system serves of one model, before anything is drawn: for the explorer page and for programs.

Knows no Django. Takes catalogue entries as mappings; quantities are in the units of `UNITS`, bands hold 80 %.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from compute.accelerators import Accelerator, accelerator_from_entry
from compute.calibration.cases import engine_name, engine_reason, usual_kv_precision
from compute.calibration.coefficients import coefficient_set
from compute.calibration.uncertainty import half_bands
from compute.model_shapes import model_shape_from_entry, with_checkpoint
from compute.prediction.rows import COLUMNS, predict_rows
from compute.steady.claims import ClaimRow, claim_rows
from compute.steady.frontier import Frontier, serving_frontier
from compute.steady.pins import FREE, Pin, Restrictions, Software, pin_from_text
from compute.steady.serving import (
    Configuration,
    ConfigurationChoice,
    ServingCurve,
    best_configuration,
    pinned_configuration,
    serving_curve,
)
from compute.steps.rules import USUAL_DRAFTING, Drafting
from compute.workload import LatencyTargets, Workload
from twin.core.serving.evidence import system_of
from twin.core.serving.launch import LaunchQuestion, context_limit, launches, pin_of

Read = TypeVar("Read")

#: Quantities of a point and of the operating point, and which band each has; a batch follows from the others.
FRONTIER_BANDS = {
    "user_tokens_per_s": "itl",
    "accelerator_tokens_per_s": "throughput",
    "ttft_s": "ttft",
    "itl_s": "itl",
    "accelerator_power_w": "power",
    "joules_per_output_token": "joules",
}
OPERATING_BANDS = {
    "user_tokens_per_s": "itl",
    "accelerator_tokens_per_s": "throughput",
    "ttft_p50_s": "ttft",
    "ttft_p95_s": "ttft",
    "itl_p50_s": "itl",
    "itl_p95_s": "itl",
    "accelerator_power_w": "power",
    "joules_per_output_token": "joules",
}
UNITS = {
    "user_tokens_per_s": "tok/s",
    "accelerator_tokens_per_s": "tok/s",
    "ttft_s": "s",
    "ttft_p50_s": "s",
    "ttft_p95_s": "s",
    "itl_s": "s",
    "itl_p50_s": "s",
    "itl_p95_s": "s",
    "batch": "requests per instance",
    "accelerator_power_w": "W",
    "joules_per_output_token": "J/tok",
    "output_tokens_per_s": "tok/s",
    "clock_frac": "-",
    "sessions": "sessions per accelerator",
    "cached_frac": "-",
    "request_s": "s",
    "session_s": "s",
    "mean_pause_s": "s",
}
#: Loads, over what is sustained at full clock, among which a capped system's highest is found.
LOADS = np.linspace(0.02, 1.0, 50)
#: The same, at which sessions are shown.
SESSION_LOADS = np.linspace(0.1, 1.0, 10)
#: The widest unit that is searched: the largest scale-up domain that holds one copy of any model we know.
MOST_ACCELERATORS = 144
#: (claim, new system and its weight precision, old system and its): the widest-known statements about a generation.
CLAIMS = (
    (
        "GB300 against Hopper: “50x tokens per megawatt, 35x lower cost”",
        ("dgx-gb300-nvl72", "fp4"),
        ("dgx-h200", "fp8"),
    ),
    ("Rubin against Blackwell: “10x”", ("vera-rubin-nvl72", "fp4"), ("dgx-gb200-nvl72", "fp4")),
)
USUAL_NODE = 8  # accelerators of a server, where the system does not say
CLAIM_MODEL = "deepseek-r1"
CLAIM_WORKLOAD = Workload(input_tokens=8192, output_tokens=1024)
CLAIM_SPEEDS = (20.0, 50.0, 75.0, 100.0)


@dataclass(frozen=True, slots=True)
class Question:
    """What serves what to whom. `engine` blank: the best calibrated; `precision` blank: what the model allows."""

    accelerator: Mapping[str, Any]  # catalogue entries
    model: Mapping[str, Any]
    workload: Workload
    max_accelerators: int
    engine: str = ""
    precision: str = ""
    power_cap_w: float | None = None  # of each accelerator
    cache_tier_bytes: float = 0.0  # of slower memory per accelerator, for what paused sessions had cached
    allow_drafts: bool = False  # whether tokens may be drafted
    restrictions: Restrictions = FREE  # what the search may take
    configuration: str = ""  # pinned, as `compute.steady.pins` reads it; blank: searched
    engine_version: str = ""  # release; blank: any
    drafting: Drafting = USUAL_DRAFTING  # how tokens are drafted where they are
    kv_precision: str = ""  # of the cache; blank: what engines pair with the weights
    checkpoint: str = ""  # published weights that differ from their precision's usual

    def __post_init__(self) -> None:
        if not 1 <= self.max_accelerators <= MOST_ACCELERATORS:
            raise ValueError(f"max_accelerators is {self.max_accelerators}; must be 1 to {MOST_ACCELERATORS}")
        tokens = self.workload.input_tokens + self.workload.output_tokens
        most = self.model.get("max_context_tokens")
        if most and tokens > most:
            name = self.model.get("name", "the model")
            raise ValueError(f"input_tokens + output_tokens is {tokens:.0f}; {name} takes at most {most}")
        _ = self.software  # refuses a precision that no cache has
        if self.checkpoint:
            with_checkpoint(model_shape_from_entry(self.model), self.checkpoint, self.precision)
        if self.configuration:  # refuses what cannot be read, or says otherwise what is said beside it
            pin_from_text(self.configuration).stored(self.kv_precision, self.checkpoint)

    @property
    def software(self) -> Software:
        """What runs on the accelerators."""
        return Software(self.engine, self.engine_version, self.drafting, self.kv_precision, self.checkpoint)

    @property
    def pin(self) -> Pin | None:
        """The configuration that was decided, or None where it is searched."""
        return pin_from_text(self.configuration) if self.configuration else None


def frontier_of(question: Question) -> Frontier:
    """Return the frontier that a question asks for, or one without points that says why.

    Raises
    ------
    ValueError
        If an entry lacks what the model needs, or the accelerator cannot be set to the cap or run the engine; names it.
    """
    return serving_frontier(
        coefficient_set(),
        _accelerator(question),
        model_shape_from_entry(question.model),
        question.workload,
        max_accelerators=question.max_accelerators,
        precisions=(question.precision,) if question.precision else None,
        **question.software.arguments,
        allow_disaggregated=True,
        allow_drafts=question.allow_drafts,
        power_cap_w=question.power_cap_w,
        restrictions=question.restrictions,
        pin=question.pin,
    )


def _accelerator(question: Question) -> Accelerator:
    accelerator = accelerator_from_entry(question.accelerator)
    if strange := engine_reason(question.engine and engine_name(question.engine), accelerator):
        raise ValueError(strange)
    return replace(accelerator, cache_tier_bytes=question.cache_tier_bytes)


def frontier_point(frontier: Frontier, i: int) -> dict[str, Any]:
    """Return one operating point of a frontier."""
    values = {name: float(getattr(frontier, name)[i]) for name in (*FRONTIER_BANDS, "batch")}
    return values | {"configuration": frontier.configuration[i]}


def explored(question: Question, targets: LatencyTargets, accelerators_per_node: int = USUAL_NODE) -> dict[str, Any]:
    """Return the best configuration with its operating point, the frontier and the sessions, as JSON takes them.

    Raises
    ------
    ValueError
        As `frontier_of`.
    """
    frontier = frontier_of(question)
    points = [frontier_point(frontier, i) for i in range(frontier.itl_s.size)]
    return _best(question, targets) | {
        "units": UNITS,
        "frontier": {
            "points": [_with_bands(point, FRONTIER_BANDS, _half_bands(question, point)) for point in points],
            "at_target": frontier.at_interactivity(1 / targets.itl_s) if points else None,
            "reason": frontier.reason,
        },
        "sessions": session_load(question, targets),
        "launch": launch_settings(question, targets, accelerators_per_node),
    }


def _best(question: Question, targets: LatencyTargets) -> dict[str, Any]:
    """Return the best configuration and what it does at the highest load that keeps the targets."""
    choice = _choice(question, targets)
    found = choice.configuration
    compared = against_best(question, targets, choice) | {"note": choice.note}
    if found is None:
        return compared | {"feasible": False, "reason": choice.reason, "configuration": None, "operating_point": None}
    # a cap slows prompts, so less than the uncapped rate may keep the targets
    loads = LOADS if question.power_cap_w is not None else np.ones(1)
    curve = _curve(question, targets, found, loads)
    keeps = _keeps(curve, targets)
    if question.power_cap_w is not None and not keeps.any():
        reason = f"{found.text()} keeps the targets at no load under a cap of {question.power_cap_w:g} W"
        return compared | {"feasible": False, "reason": reason, "configuration": None, "operating_point": None}
    at = int(np.flatnonzero(keeps)[-1]) if question.power_cap_w is not None else 0
    names = ("ttft_p50_s", "ttft_p95_s", "itl_p50_s", "itl_p95_s", "batch")
    point = {name: float(getattr(curve, name)[0, at]) for name in names}
    point["clock_frac"] = float(curve.held_clock_frac[0, at])
    point["user_tokens_per_s"] = 1 / point["itl_p50_s"]
    point["accelerator_tokens_per_s"] = float(curve.output_tokens_per_s[0, at])
    point["accelerator_power_w"] = float(curve.accelerator_power_w[0, at])
    point["joules_per_output_token"] = point["accelerator_power_w"] / point["accelerator_tokens_per_s"]
    how = "As pinned" if question.pin else f"Most output per accelerator of {choice.candidates} configurations"
    reason = f"{how} while 95 % of requests keep TTFT within {targets.ttft_s:g} s and ITL within {targets.itl_s:g} s."
    configuration = {
        "text": found.text(),
        "weight_precision": found.weight_precision,
        "n_accelerators": found.n_accelerators,
        "is_disaggregated": found.is_disaggregated,
        "prefill_instances": found.prefill_instances,
        "decode_instances": found.decode_instances,
        "draft_tokens": found.draft_tokens,
        "candidates": choice.candidates,
    }
    return compared | {
        "feasible": True,
        "reason": reason,
        "configuration": configuration,
        "operating_point": _with_bands(point, OPERATING_BANDS, curve.log_bands),
    }


def chosen_configuration(question: Question, targets: LatencyTargets) -> dict[str, Any]:
    """Return the configuration for the targets in words, how it came about, and what a free search would gain."""
    choice = _choice(question, targets)
    text = choice.configuration.text() if choice.configuration else ""
    rate = choice.output_tokens_per_s
    found = {"text": text, "reason": choice.reason, "output_tokens_per_s": rate, "candidates": choice.candidates}
    found |= {"note": choice.note}
    return found | against_best(question, targets, choice)


def _choice(question: Question, targets: LatencyTargets) -> ConfigurationChoice:
    """Return what was pinned, or what the search finds under the question's restrictions."""
    asked = (coefficient_set(), _accelerator(question), model_shape_from_entry(question.model), question.workload)
    precisions = (question.precision,) if question.precision else None
    if question.pin is not None:
        return pinned_configuration(
            *asked,
            targets,
            question.pin,
            max_accelerators=question.max_accelerators,
            precisions=precisions,
            **{name: value for name, value in question.software.arguments.items() if name != "drafting"},
        )
    return best_configuration(
        *asked,
        targets,
        max_accelerators=question.max_accelerators,
        precisions=precisions,
        **question.software.arguments,
        allow_drafts=question.allow_drafts,
        restrictions=question.restrictions,
    )


def launch_settings(
    question: Question, targets: LatencyTargets, accelerators_per_node: int = USUAL_NODE
) -> list[dict[str, Any]]:
    """Return launch settings of the configuration for the targets, for every engine; none where there is none."""
    configuration = _choice(question, targets).configuration
    if configuration is None:
        return []
    workload, limit = question.workload, float(question.model.get("max_context_tokens") or 131072)
    asked = LaunchQuestion(
        pin_of(configuration),
        question.model,
        configuration.weight_precision,
        configuration.kv_precision or usual_kv_precision(configuration.weight_precision),
        context_limit(
            workload.most_input_tokens + workload.most_output_tokens,
            workload.input_tokens + workload.output_tokens,
            limit,
        ),
        accelerators_per_node,
        question.software,
    )
    return [asdict(launch) for launch in launches(asked)]


def against_best(question: Question, targets: LatencyTargets, choice: ConfigurationChoice) -> dict[str, Any]:
    """Return how a configuration came about and, where the search was not free, what a free one finds and gains."""
    found: dict[str, Any] = {"choice": "searched", "best_configuration": None, "best_gain_frac": None}
    if question.pin is not None:
        found["choice"] = "pinned"
    elif question.restrictions != FREE:
        found["choice"] = f"searched, {question.restrictions.text()}"
    else:
        return found
    asked = replace(question, configuration="", restrictions=FREE, precision="", kv_precision="", checkpoint="")
    free = _choice(asked, targets)
    if free.configuration is not None:
        found["best_configuration"] = free.configuration.text()
        if choice.output_tokens_per_s > 0:
            found["best_gain_frac"] = free.output_tokens_per_s / choice.output_tokens_per_s - 1.0
    return found


def _curve(
    question: Question, targets: LatencyTargets, configuration: Configuration, loads: NDArray[np.float64]
) -> ServingCurve:
    return serving_curve(
        coefficient_set(),
        configuration,
        question.workload,
        targets,
        np.ones(1),
        loads,
        power_cap_w=question.power_cap_w,
    )


def _keeps(curve: ServingCurve, targets: LatencyTargets) -> NDArray[np.bool_]:
    """Return at which loads 95 % of requests keep both targets."""
    return (curve.ttft_p95_s[0] <= targets.ttft_s) & (curve.itl_p95_s[0] <= targets.itl_s)


def session_load(question: Question, targets: LatencyTargets) -> dict[str, Any] | None:
    """Return how the best configuration carries sessions, from few to as many as keep the targets.

    None where requests stand alone, or nothing keeps the targets. Of each point: sessions under way per accelerator,
    the share of a prompt found in the prefix cache, the first token and the gap between tokens, and what one request
    and a whole session take on average.
    """
    sessions = question.workload.sessions
    configuration = _choice(question, targets).configuration if sessions else None
    if sessions is None or configuration is None:
        return None
    curve = _curve(question, targets, configuration, SESSION_LOADS)
    request_s = curve.ttft_p50_s[0] + question.workload.output_tokens * curve.itl_p50_s[0]
    session_s = sessions.requests * request_s + (sessions.requests - 1.0) * sessions.mean_pause_s
    columns = {
        "sessions": curve.sessions[0],
        "cached_frac": curve.cached_frac[0],
        "ttft_p50_s": curve.ttft_p50_s[0],
        "ttft_p95_s": curve.ttft_p95_s[0],
        "itl_p50_s": curve.itl_p50_s[0],
        "request_s": request_s,
        "session_s": session_s,
        "accelerator_tokens_per_s": curve.output_tokens_per_s[0],
    }
    kept = np.flatnonzero(_keeps(curve, targets) | (question.power_cap_w is None))
    return {
        "configuration": configuration.text(),
        "requests": sessions.requests,
        "streams": sessions.streams,
        "mean_pause_s": sessions.mean_pause_s,
        "cacheable_frac": question.workload.cached_frac,
        "points": [{name: float(values[i]) for name, values in columns.items()} for i in kept],
    }


def point_bands(question: Question, point: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Return the ends of the 80 % band of each quantity of a frontier's point."""
    ends = _with_bands(point, FRONTIER_BANDS, _half_bands(question, point))
    return {name: (ends[f"{name}_low"], ends[f"{name}_high"]) for name in FRONTIER_BANDS}


def _half_bands(question: Question, point: Mapping[str, Any]) -> dict[str, float]:
    """Return the bands of a frontier's point: those of its kind of run."""
    unit = pin_from_text(point["configuration"])
    return half_bands(
        coefficient_set().record,
        str(question.accelerator["id"]),
        str(question.model["id"]),
        mode="disaggregated" if unit.prefill else "aggregated",
        drafts=unit.draft_tokens > 0,
    )


def _with_bands(point: Mapping[str, Any], names: Mapping[str, str], bands: Mapping[str, float]) -> dict[str, Any]:
    """Return a point with the ends of the 80 % band beside each quantity."""
    ends = {}
    for name, band in names.items():
        ends[f"{name}_low"] = point[name] * float(np.exp(-bands[band]))
        ends[f"{name}_high"] = point[name] * float(np.exp(bands[band]))
    return {**point, **ends}


def predicted(
    rows: Sequence[Mapping[str, Any]],
    accelerators: Mapping[str, Mapping[str, Any]],
    models: Mapping[str, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Return one answer per row of serving cases, with the keys of `COLUMNS`; numbers that there are not are None.

    Parameters
    ----------
    rows : sequence of mappings
        Columns of the measured serving cases; numbers or text.
    accelerators, models : mapping
        Catalogue entries by id. A row that names an entry without the facts that the model needs is told so.
    """
    unusable: dict[str, str] = {}

    def usable(entries: Mapping[str, Any], read: Callable[[Mapping[str, Any]], Read]) -> dict[str, Read]:
        shapes = {}
        for name, entry in entries.items():
            try:
                shapes[name] = read(entry)
            except ValueError as refusal:
                unusable[name] = str(refusal)
        return shapes

    chips, networks = usable(accelerators, accelerator_from_entry), usable(models, model_shape_from_entry)
    texts = [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]
    answers = predict_rows(texts, chips, networks, coefficient_set())
    for text, answer in zip(texts, answers, strict=True):
        known = [unusable[text[kind]] for kind in ("accelerator", "model") if text.get(kind) in unusable]
        if not answer["feasible"] and known:
            answer["reason"] = known[0]
    words = ("case_id", "reason", "feasible")
    return [{name: a[name] if name in words or a[name] != "" else None for name in COLUMNS} for a in answers]


Entries = Callable[[str], Mapping[str, Mapping[str, Any]]]  # a kind's catalogue entries by name


@cache
def claims(entries: Entries) -> tuple[tuple[str, str, str, tuple[ClaimRow, ...]], ...]:
    """Return (claim, new system, old system, rows) of the published claims, from the catalogue of `entries`."""
    model = model_shape_from_entry(entries("models")[CLAIM_MODEL])
    found = []
    for claim, *slugs in CLAIMS:
        new, old = (system_of(entries, slug, precision) for slug, precision in slugs)
        rows = claim_rows(coefficient_set(), model, CLAIM_WORKLOAD, new=new, old=old, user_tokens_per_s=CLAIM_SPEEDS)
        found.append((claim, new.name, old.name, tuple(rows)))
    return tuple(found)
