"""Requests and what they are promised."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

NORMAL_95 = 1.6448536269514722  # 95 % point of the standard normal distribution


@dataclass(frozen=True, slots=True)
class Workload:
    """Mix of requests to one model: mean lengths, their spread, cache hits and burstiness."""

    input_tokens: float
    output_tokens: float
    cached_frac: float = 0.0  # of the prompt, found in the prefix cache
    input_variation: float = 0.0  # coefficient of variation of prompt lengths
    output_variation: float = 0.0
    dispersion: float = 1.0  # variance over mean of arrival counts; 1 for Poisson arrivals

    def __post_init__(self) -> None:
        for name in ("input_tokens", "output_tokens"):
            value = getattr(self, name)
            if not 1 <= value < 1e9:
                raise ValueError(f"Workload.{name} is {value}; must be 1 token or more and finite")
        if not 0 <= self.cached_frac < 1:
            raise ValueError(f"Workload.cached_frac is {self.cached_frac}; must be in [0, 1)")
        for name in ("input_variation", "output_variation", "dispersion"):
            value = getattr(self, name)
            if not 0 <= value < 1e6:
                raise ValueError(f"Workload.{name} is {value}; must be 0 or more and finite")


@dataclass(frozen=True, slots=True)
class LatencyTargets:
    """Limits that 95 % of requests must keep."""

    ttft_s: float
    itl_s: float

    def __post_init__(self) -> None:
        for name in ("ttft_s", "itl_s"):
            value = getattr(self, name)
            if not 0 < value < 1e9:
                raise ValueError(f"LatencyTargets.{name} is {value} s; must be greater than 0 and finite")


def workload_from_entry(entry: Mapping[str, Any]) -> tuple[Workload, LatencyTargets]:
    """Return the mix and targets of a catalogue entry (kind `workloads`).

    Lengths are taken as log-normal, their spread from p95 over mean; the coefficient of variation of gamma-distributed
    gaps between arrivals squared is the index of dispersion over long windows.

    Raises
    ------
    ValueError
        If a mean length or a latency limit is missing or impossible.
    """
    name = str(entry.get("id", "unnamed workload"))
    lengths = {key: entry.get(f"{key}_tokens") or {} for key in ("input", "output")}
    limits = entry.get("slo") or {}
    for text, holder, key in (
        ("input_tokens.mean", lengths["input"], "mean"),
        ("output_tokens.mean", lengths["output"], "mean"),
        ("slo.ttft_p95_s", limits, "ttft_p95_s"),
        ("slo.tpot_p95_s", limits, "tpot_p95_s"),
    ):
        if not holder.get(key):
            raise ValueError(f"workload {name}: {text} is {holder.get(key)}; must be greater than 0")
    mix = Workload(
        input_tokens=float(lengths["input"]["mean"]),
        output_tokens=float(lengths["output"]["mean"]),
        cached_frac=float(entry.get("prefix_cache_hit") or 0.0),
        input_variation=lognormal_variation(lengths["input"]),
        output_variation=lognormal_variation(lengths["output"]),
        dispersion=float(entry.get("arrival_cv") or 1.0) ** 2,
    )
    return mix, LatencyTargets(ttft_s=float(limits["ttft_p95_s"]), itl_s=float(limits["tpot_p95_s"]))


def lognormal_variation(lengths: Mapping[str, float]) -> float:
    """Return the coefficient of variation of the log-normal law with this mean and p95; 0 where p95 is not given.

    p95 / mean = exp(z s - s²/2), of which the smaller root s is meant; at most z²/2 in logarithm, beyond that s = z.
    """
    if not lengths.get("p95"):
        return 0.0
    ratio = np.log(lengths["p95"] / lengths["mean"])
    under_root = NORMAL_95**2 - 2.0 * ratio
    sigma = NORMAL_95 - np.sqrt(under_root) if under_root > 0 else NORMAL_95
    return float(np.sqrt(np.expm1(max(sigma, 0.0) ** 2)))
