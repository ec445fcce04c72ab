"""Requests and what they are promised."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

FloatArray = NDArray[np.float64]

NORMAL_95 = 1.6448536269514722  # 95 % point of the standard normal distribution
NORMAL_90 = 1.2815515655446004
ASSUMED_LONGEST = 8.0  # answers over their 95th percentile, where no limit is stated
# Bins of a length law, finer in its tail: their edges in probability.
EDGES = np.r_[np.linspace(0.0, 0.9, 19), 1.0 - np.geomspace(0.1, 1e-4, 13)[1:], 1.0]
N_PAUSES = 64  # equally likely values that stand for the law of pauses in a session


@dataclass(frozen=True, slots=True)
class Sessions:
    """What joins requests: a session sends the next one some pause after the last answer, its context at the front."""

    requests: float  # of one session, one after another
    pause_s: tuple[float, ...]  # equally likely ones between two requests, ascending
    streams: float = 1.0  # that run side by side in a session: its main agent and sub-agents
    shared_frac: float = 0.0  # of the prompt, the same in all sessions (instructions, tools): always cached

    def __post_init__(self) -> None:
        for name in ("requests", "streams"):
            value = getattr(self, name)
            if not 1 <= value < 1e9:
                raise ValueError(f"Sessions.{name} is {value}; must be 1 or more and finite")
        if not self.pause_s or list(self.pause_s) != sorted(self.pause_s) or not self.pause_s[0] >= 0:
            raise ValueError(f"Sessions.pause_s is {self.pause_s}; must be times of 0 s or more, ascending")
        if not 0 <= self.shared_frac < 1:
            raise ValueError(f"Sessions.shared_frac is {self.shared_frac}; must be in [0, 1)")

    @property
    def mean_pause_s(self) -> float:
        """Mean pause between two requests [s]."""
        return float(np.mean(self.pause_s))


@dataclass(frozen=True, slots=True)
class Workload:
    """Mix of requests to one model: mean lengths, their spread, cache hits and burstiness."""

    input_tokens: float
    output_tokens: float
    cached_frac: float = 0.0  # of the prompt, found in a prefix cache that gives nothing up
    input_variation: float = 0.0  # coefficient of variation of prompt lengths
    output_variation: float = 0.0
    most_input_tokens: float = np.inf  # no prompt is longer
    most_output_tokens: float = np.inf
    dispersion: float = 1.0  # variance over mean of arrival counts; 1 for Poisson arrivals
    sessions: Sessions | None = None  # None: requests are independent, and what is cached stays

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
        for most, mean in (("most_input_tokens", "input_tokens"), ("most_output_tokens", "output_tokens")):
            if not getattr(self, most) >= getattr(self, mean):
                allowed = f"at least the mean, {getattr(self, mean)}"
                raise ValueError(f"Workload.{most} is {getattr(self, most)}; must be {allowed}")
        if self.sessions and self.sessions.shared_frac > self.cached_frac:
            raise ValueError(
                f"Sessions.shared_frac is {self.sessions.shared_frac}; must be at most cached_frac, {self.cached_frac}"
            )

    @property
    def gaps(self) -> float:
        """Gaps between the tokens of a mean answer, whose first comes with the prompt's own step [-]."""
        return max(self.output_tokens - 1.0, 0.0)

    @property
    def generated_tokens(self) -> float:
        """Mean tokens generated so far, over the steps of generation: long answers are met more often [tokens]."""
        tokens, share = length_points(self.output_tokens, self.output_variation, self.most_output_tokens)
        return float(share @ tokens**2 / (share @ tokens) / 2.0)


@lru_cache(maxsize=256)
def length_points(mean: float, variation: float, most: float) -> tuple[FloatArray, FloatArray]:
    """Return lengths that represent a log-normal law, and their probabilities; both of shape (n_points,).

    Each is the mean length of its bin, so that the law's mean is met where nothing is cut.

    Parameters
    ----------
    mean : float
        Mean length [tokens].
    variation : float
        Coefficient of variation [-].
    most : float
        Longest length; longer ones are cut to it [tokens].
    """
    if variation < 1e-3:
        return np.array([min(mean, most)]), np.ones(1)
    sigma = np.sqrt(np.log1p(variation**2))
    normal = ndtri(EDGES)
    share = np.diff(EDGES)
    # E[L; L < l] of the log-normal law is mean · Phi(z - sigma)
    return np.minimum(mean * np.diff(ndtr(normal - sigma)) / share, most), share


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
        most_input_tokens=float(lengths["input"].get("max") or np.inf),
        most_output_tokens=float(
            lengths["output"].get("max") or ASSUMED_LONGEST * (lengths["output"].get("p95") or np.inf)
        ),
        dispersion=float(entry.get("arrival_cv") or 1.0) ** 2,
        sessions=_sessions(entry),
    )
    return mix, LatencyTargets(ttft_s=float(limits["ttft_p95_s"]), itl_s=float(limits["tpot_p95_s"]))


def _sessions(entry: Mapping[str, Any]) -> Sessions | None:
    """Return the sessions of a catalogue entry, or None where each request stands alone.

    Of the pauses between a session's requests those after a person's turn are thinking, the others tools at work. Both
    are taken as log-normal through their median and upper percentile.
    """
    turns = float(entry.get("user_turns_per_task") or 1.0)
    requests = turns * float(entry.get("llm_calls_per_turn") or 1.0)
    thinking, tools = entry.get("think_time_between_turns_s") or {}, entry.get("tool_delay_s") or {}
    if requests <= 1.0 or not (thinking or tools):
        return None
    n_thinking = round(N_PAUSES * (turns - 1.0) / (requests - 1.0)) if thinking else 0
    pauses = [
        *lognormal_quantiles(thinking.get("p50"), thinking.get("p90"), NORMAL_90, n_thinking),
        *lognormal_quantiles(tools.get("p50"), tools.get("p95"), NORMAL_95, N_PAUSES - n_thinking),
    ]
    return Sessions(
        requests=requests,
        pause_s=tuple(sorted(pauses)),
        streams=float(entry.get("sub_agent_fan_out") or 1.0),
        shared_frac=float(entry.get("shared_prefix_frac") or 0.0),
    )


def lognormal_quantiles(median: float | None, upper: float | None, normal: float, n: int) -> list[float]:
    """Return n equally likely values of the log-normal law with a median and an upper percentile.

    Parameters
    ----------
    median, upper : float or None
        Median and upper percentile; all values are 0 without a median.
    normal : float
        The standard normal law's quantile at that percentile.
    n : int
        How many values.
    """
    if not median:
        return [0.0] * n
    sigma = np.log((upper or median) / median) / normal
    return (median * np.exp(sigma * ndtri((np.arange(n) + 0.5) / max(n, 1)))).tolist()


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
