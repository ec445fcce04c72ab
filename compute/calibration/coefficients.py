"""Names, limits and hierarchy of the fitted serving coefficients, and the fitted set itself.

A coefficient's logarithm is a global value plus deviations of the groups that a case belongs to (`LEVELS`). A group
that the fit has not seen deviates by nothing, so an unknown accelerator falls back to its generation's value and an
unknown generation to the global one; for a release of an engine that was not measured stands the next older one.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.steps.closed_loop import Scheduling
from compute.steps.roofline import Efficiencies

FloatArray = NDArray[np.float64]

SHIPPED = Path(__file__).parent / "serving.json"

# Groups of a case; the text of a group joins these attributes of the case.
LEVELS: dict[str, tuple[str, ...]] = {
    # First values are those of CUDA; a stack of another maker's deviates on all of its parts.
    "stack": ("stack",),
    "stack_engine": ("stack", "engine"),
    "generation": ("generation",),
    "generation_precision": ("generation", "precision"),
    "engine": ("engine",),
    "engine_protocol": ("engine", "protocol"),
    "engine_mode": ("engine", "mode"),
    "layout": ("engine", "layout"),
    "drafts": ("engine", "mode", "drafts"),
    "drafts_answers": ("drafts", "answers"),
    # Kernels are written for an architecture: what is known of one of its parts holds for the others, all but a little.
    "system": ("generation", "engine", "protocol"),
    "system_mode": ("generation", "engine", "mode"),
    "system_precision": ("generation", "engine", "protocol", "precision"),
    # Kernels for many narrow experts say little of what the same engine makes of a few wide ones.
    "system_experts": ("experts", "generation", "engine", "protocol", "precision"),
    "part": ("accelerator", "engine", "protocol"),
    "release": ("generation", "engine", "protocol", "release"),
    "release_precision": ("generation", "engine", "protocol", "precision", "release"),
    "model": ("model",),
    "model_precision": ("model", "precision"),
    "model_system": ("generation", "engine", "protocol", "model"),
    "model_release": ("generation", "engine", "protocol", "model", "release"),
    "model_part": ("accelerator", "engine", "protocol", "model", "precision"),
}


@dataclass(frozen=True, slots=True)
class Coefficient:
    """One fitted coefficient: first value, limits, and how far its logarithm may stray at each level (one sigma)."""

    name: str
    initial: float
    low: float
    high: float
    global_sigma: float
    level_sigma: Mapping[str, float] = field(default_factory=dict)


_HARDWARE = {"stack": 0.2, "stack_engine": 0.15, "generation": 0.2, "engine": 0.15, "system": 0.15, "part": 0.1}
_PRECISION = {"stack": 0.15, "stack_engine": 0.15, "generation": 0.15, "engine": 0.15, "generation_precision": 0.15}
_LAUNCH = {"stack": 0.25, "stack_engine": 0.15, "generation": 0.2, "engine": 0.15, "system": 0.15, "part": 0.12}
_SCHEDULER = {
    "stack_engine": 0.3,
    "generation": 0.2,
    "engine_protocol": 0.5,
    "engine_mode": 0.7,
    "system_mode": 0.3,
    "system": 0.2,
    "part": 0.2,
    "release": 0.4,
}
# How far prompts of a steady loop wait for each other differs less than what compiling kernels puts on single runs'
# means; left wider, it takes these up and a release's other runs come out twice as slow.
_WAVE = {"generation": 0.1, "engine_protocol": 0.3, "engine_mode": 0.5, "system_mode": 0.2, "release": 0.15}
# A benchmark of ten requests for each in flight sends a tenth of them at once, and these wait for half of each other.
_BURST = {"engine_protocol": 0.3, "engine_mode": 0.3, "release": 0.2}
_STALL = {"generation": 0.1, "engine_protocol": 0.3, "engine_mode": 0.3, "system": 0.15, "release": 0.15}
_MODEL = {"model": 0.04, "model_precision": 0.04}  # a release may draft tokens for one model and not for another

# First values of launch times are physics, not a fit: some ten kernels of 2 microseconds per layer replayed from a CUDA
# graph, a few more for routing experts and for latent attention, a tenth of a millisecond of host time per step. What
# single systems show beyond that belongs to them, hence tight global and wide system limits.
# Sustained bandwidth is a property of the memory and hardly of who runs it: left wider, it takes up what launches and
# kernels of the models seen cost, and a model never seen is predicted worse (ITL 13.8 % off at 0.3, 12.3 % at 0.15).
COEFFICIENTS: tuple[Coefficient, ...] = (
    Coefficient("weight_bandwidth_frac", 0.75, 0.3, 1.0, 0.15, _PRECISION | {"system_precision": 0.15}),
    Coefficient("kv_bandwidth_frac", 0.7, 0.1, 1.0, 0.25, _HARDWARE | {"generation_precision": 0.15, "system": 0.25}),
    Coefficient("gemm_frac", 0.6, 0.1, 1.0, 0.4, _PRECISION | {"system_precision": 0.7}),
    Coefficient("expert_gemm_frac", 0.5, 0.05, 1.0, 0.3, _PRECISION | {"system_experts": 0.4}),
    Coefficient("attention_frac", 0.4, 0.05, 1.0, 0.5, _HARDWARE),
    Coefficient("link_frac", 0.6, 0.1, 1.0, 0.4, _HARDWARE),
    Coefficient("exchange_s", 4e-6, 2e-7, 3e-5, 0.5, _HARDWARE),
    Coefficient("dispatch_s", 6e-6, 2e-7, 6e-5, 0.5, _HARDWARE | {"system_mode": 0.3}),
    Coefficient("layer_s", 2.2e-5, 1e-6, 5e-4, 0.2, _LAUNCH | {"model_system": 0.15, "model_release": 0.2}),
    Coefficient("moe_layer_s", 6e-6, 1e-6, 5e-4, 0.25, _LAUNCH | {"system": 0.25, "model_system": 0.4, "layout": 0.2}),
    Coefficient(
        "latent_layer_s",
        1.8e-5,
        1e-6,
        3e-4,
        0.25,
        {"stack": 0.25, "stack_engine": 0.15, "generation": 0.2, "engine": 0.2},
    ),
    Coefficient("step_s", 1.5e-4, 1e-5, 6e-2, 0.2, {"engine": 0.15, "system": 0.25, "release": 0.4}),
    Coefficient("sequence_s", 3e-6, 5e-7, 3e-4, 0.3, {"generation": 0.1, "engine": 0.1, "system": 0.3}),
    Coefficient("expert_pad_tokens", 32.0, 2.0, 256.0, 0.7, {"engine": 0.2}),
    Coefficient("expert_pad_columns", 512.0, 16.0, 8192.0, 1.0, {"engine": 0.2}),
    Coefficient("request_s", 1e-2, 1e-3, 10.0, 0.7, _SCHEDULER),
    Coefficient("first", 1.5, 0.5, 20.0, 0.7, _SCHEDULER),
    Coefficient("wave", 0.06, 0.002, 1.0, 0.5, _WAVE),
    Coefficient("stall", 0.9, 0.05, 1.5, 0.7, _STALL),
    Coefficient("burst", 0.05, 0.002, 0.15, 0.2, _BURST),
    Coefficient(
        "warm_s",
        0.006,
        1e-4,
        10.0,
        0.5,
        {"engine": 0.5, "stack_engine": 1.0, "system": 0.7, "model_system": 1.5, "release": 1.5},
    ),
    # Kernels of a whole chunk take a minute or more to compile; a tenth of a benchmark's requests wait for them.
    Coefficient("chunk_compile_s", 6.5, 1.0, 30.0, 0.2, {"engine": 0.1, "system": 0.15, "release_precision": 0.15}),
    Coefficient("compile_odds", 0.05, 1e-4, 1e4, 1.0, {"engine": 1.0, "system": 1.0, "release_precision": 1.5}),
    Coefficient("exposed", 0.1, 0.02, 3.0, 0.5, {"engine": 0.5}),
    Coefficient(
        "acceptance", 0.6, 0.1, 0.95, 0.2, {"model": 0.1, "drafts": 0.15, "system_mode": 0.1, "drafts_answers": 0.15}
    ),
    Coefficient("draft_cost", 2.0, 0.5, 10.0, 0.5, {"drafts": 0.3}),
    Coefficient("reserve", 0.75, 0.5, 1.0, 0.2, {"engine": 0.1}),
    Coefficient("workspace_bytes", 3e9, 3e8, 1.2e10, 0.5, {"engine": 0.3, "system": 0.3}),
    Coefficient(
        "decode_scale", 1.0, 0.5, 2.0, 0.0, _MODEL | {"model_system": 0.1, "model_release": 0.1, "model_part": 0.1}
    ),
    Coefficient(
        "prefill_scale",
        1.0,
        0.5,
        2.0,
        0.0,
        {"model": 0.07, "model_precision": 0.05, "model_system": 0.15, "model_part": 0.1},
    ),
)
# Where a group starts before any of its cases is seen, if not at nothing: what single operations reach of a data sheet,
# over what they reach on the accelerators that the cases measure. AMD MI300X: 45 % of peak arithmetic in all precisions
# where H100 and B200 reach up to 93 %, 81 % of memory bandwidth where they reach 90 % (arXiv 2510.27583, October 2025).
# Dense products are the part whose libraries are tuned: they start at that 45 %, over the first value of all.
_CDNA3_ARITHMETIC, _CDNA3_MEMORY = math.log(0.45 / 0.93), math.log(0.81 / 0.90)
_CDNA3_DENSE = math.log(0.45 / 0.6)
PUBLISHED_LOG: dict[str, dict[str, dict[str, float]]] = {
    "gemm_frac": {"generation": {"cdna3": _CDNA3_DENSE}},
    "expert_gemm_frac": {"generation": {"cdna3": _CDNA3_ARITHMETIC}},
    "attention_frac": {"generation": {"cdna3": _CDNA3_ARITHMETIC}},
    "weight_bandwidth_frac": {"generation": {"cdna3": _CDNA3_MEMORY}},
    "kv_bandwidth_frac": {"generation": {"cdna3": _CDNA3_MEMORY}},
}
REST = (
    "reserve",
    "workspace_bytes",
    "decode_scale",
    "exposed",
    "acceptance",
    "draft_cost",
    "chunk_compile_s",
    "compile_odds",
)
INDEX = {coefficient.name: j for j, coefficient in enumerate(COEFFICIENTS)}
LOW = np.array([c.low for c in COEFFICIENTS])
HIGH = np.array([c.high for c in COEFFICIENTS])
LOG_INITIAL = np.log([c.initial for c in COEFFICIENTS])


def measured_releases(
    attributes: Sequence[Mapping[str, str]], months: Sequence[str]
) -> dict[str, dict[str, dict[str, str]]]:
    """Return the first month of each release's runs by level of the fit and group of it, blank where none is known."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for level in (name for name, parts in LEVELS.items() if parts[-1] == "release"):
        systems = found.setdefault(level, {})
        for case, month in zip(attributes, months, strict=True):
            system, _, release = group_text(level, case).rpartition("|")
            known = systems.setdefault(system, {})
            known[release] = min(filter(None, (known.get(release), month)), default="")
    return found


def group_text(level: str, attributes: Mapping[str, str]) -> str:
    """Return the name of the group that a case with these attributes belongs to at a level, blank where to none."""
    if not attributes.get(LEVELS[level][0]):
        return ""
    return "|".join(attributes.get(name, "") for name in LEVELS[level])


def release_order(release: str) -> tuple[int, ...]:
    """Return what sorts releases that have a version number, candidates first; empty for months and blanks."""
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?(?:\.?rc(\d+))?(?:\.?post(\d+))?", release)
    if not found:
        return ()
    major, minor, patch, candidate, post = (int(part) if part else None for part in found.groups())
    return (major or 0, minor or 0, patch or 0, 1 if candidate is None else 0, candidate or 0, post or 0)


def standing_release(first_months: Mapping[str, str], release: str) -> str:
    """Return the measured release that stands for one which was not measured.

    The next older one where it has a version number, the latest with one where it is newer than all of them, the last
    that had come out by then where it is a month. What is older than all that was measured is taken as the oldest.
    Blank if nothing was measured, or nothing is said.

    Parameters
    ----------
    first_months : mapping
        Measured releases of an engine on such accelerators, each with the first month of its runs.
    release : str
        As `case_release` returns it; a month stands for releases that nobody named.
    """
    if not first_months:
        return ""
    if release in first_months:
        return release

    def age(name: str) -> tuple[str, tuple[int, ...]]:
        return first_months[name], release_order(name)

    if re.fullmatch(r"\d{4}-\d{2}", release):
        out_by_then = [name for name, month in first_months.items() if month <= release]
        return max(out_by_then, key=age) if out_by_then else min(first_months, key=age)
    asked = release_order(release)
    named = [name for name in first_months if release_order(name)]
    if not asked or not named:
        return ""
    older = [name for name in named if release_order(name) <= asked]
    if not older:
        return min(named, key=release_order)
    return max(named, key=age) if len(older) == len(named) else max(older, key=release_order)


@dataclass(frozen=True, slots=True, eq=False)  # hashed by identity: answers are kept by the set that gave them
class CoefficientSet:
    """A fitted set: global logarithms and the deviations of every group seen, with how and from what it was fitted."""

    global_log: Mapping[str, float]
    deviation_log: Mapping[str, Mapping[str, Mapping[str, float]]]  # coefficient -> level -> group -> log
    record: Mapping[str, Any] = field(default_factory=dict)  # vintage, counts, residuals, power, uncertainty

    def log_values(self, attributes: Sequence[Mapping[str, str]]) -> FloatArray:
        """Return the logarithm of every coefficient for each case, shape (n_cases, n_coefficients)."""
        values = np.tile([self.global_log[c.name] for c in COEFFICIENTS], (len(attributes), 1))
        for level in LEVELS:
            by_coefficient = [
                (j, self.deviation_log.get(c.name, {}).get(level, {}))
                for j, c in enumerate(COEFFICIENTS)
                if level in c.level_sigma
            ]
            for i, case in enumerate(attributes):
                group = self.group_of(level, case)
                for j, deviations in by_coefficient:
                    values[i, j] += deviations.get(group, 0.0)
        return values

    def group_of(self, level: str, case: Mapping[str, str]) -> str:
        """Return the group of a case at a level of the fit; a measured release stands for one that was not measured."""
        group = group_text(level, case)
        stands = self.release_of(case, level) if LEVELS[level][-1] == "release" else ""
        return f"{group.rpartition('|')[0]}|{stands}" if stands else group

    def release_of(self, case: Mapping[str, str], level: str = "release") -> str:
        """Return the release that a case is taken as at a level, blank where none was measured there."""
        system, _, release = group_text(level, case).rpartition("|")
        return standing_release(self.record.get("releases", {}).get(level, {}).get(system, {}), release)

    def as_json(self) -> str:
        """Return the set as JSON text that `coefficient_set` reads."""
        content = {"global_log": self.global_log, "deviation_log": self.deviation_log, "record": self.record}
        text = json.dumps(content, indent=1, sort_keys=True)
        # lists of numbers on one line each
        return re.sub(r"\[\s+([^\[\]{}\"]*?)\s+\]", lambda m: f"[{' '.join(m[1].split())}]", text) + "\n"


def coefficient_set(path: Path = SHIPPED) -> CoefficientSet:
    """Return the set stored in a file.

    Raises
    ------
    ValueError
        If the file lacks a coefficient; names it.
    """
    return _stored_set(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _stored_set(path: Path, _mtime_ns: int) -> CoefficientSet:
    """Return the set of a file as it was last written."""
    content = json.loads(path.read_text(encoding="utf-8"))
    missing = [c.name for c in COEFFICIENTS if c.name not in content["global_log"]]
    if missing:
        raise ValueError(f"{path.name} has no coefficient {missing[0]}; run fit_serving to write a complete set")
    return CoefficientSet(**content)


def split_values(
    log_values: FloatArray, latent_layers: FloatArray
) -> tuple[Efficiencies, Scheduling, dict[str, FloatArray]]:
    """Return efficiencies, scheduling and the other values of cases from logarithms, clipped to their limits.

    Parameters
    ----------
    log_values : ndarray, shape (n_cases, n_coefficients)
        Logarithms in the order of `COEFFICIENTS`.
    latent_layers : ndarray, shape (n_cases,)
        Layers with latent attention: they launch more kernels, which joins the time of a step.
    """
    values = np.clip(np.exp(log_values), LOW, HIGH)
    at = {name: values[:, j] for name, j in INDEX.items()}
    efficiencies = Efficiencies(
        weight_bandwidth_frac=at["weight_bandwidth_frac"],
        kv_bandwidth_frac=at["kv_bandwidth_frac"],
        gemm_frac=at["gemm_frac"],
        expert_gemm_frac=at["expert_gemm_frac"],
        attention_frac=at["attention_frac"],
        link_frac=at["link_frac"],
        exchange_s=at["exchange_s"],
        dispatch_s=at["dispatch_s"],
        layer_s=at["layer_s"],
        moe_layer_s=at["moe_layer_s"],
        step_s=at["step_s"] + at["latent_layer_s"] * latent_layers,
        sequence_s=at["sequence_s"],
        expert_pad_tokens=at["expert_pad_tokens"],
        expert_pad_columns=at["expert_pad_columns"],
    )
    scheduling = Scheduling(
        request_s=at["request_s"],
        first=at["first"] * at["prefill_scale"],
        wave=at["wave"] * at["prefill_scale"],
        stall=at["stall"] * at["prefill_scale"],
        burst=at["burst"] * at["prefill_scale"],
        warm_s=at["warm_s"],
    )
    rest = {name: at[name] for name in REST}
    return efficiencies, scheduling, rest
