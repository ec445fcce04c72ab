"""Agentic sessions as a closed network: turns that think, call tools and come back with a longer context.

N sessions alternate between thinking (tools, people) and one turn at the engine. Response time and throughput follow
from each other: X = N / (Z + R(X)). Between turns a session's cache stays while memory lasts; a turn that finds it
evicted must prefill its whole context.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from compute.roofline import StepCosts
from compute.steady_state import Scheduling, closed_loop

FloatArray = NDArray[np.float64]

BISECTION_PASSES = 60


@dataclass(frozen=True, slots=True)
class AgentSessions:
    """One kind of session; token counts are means per turn."""

    sessions: float  # in flight over the instance, sub-agents counted as sessions of their own
    turns: float  # of one session, at least 1
    first_prompt_tokens: float
    new_tokens_per_turn: float
    output_tokens_per_turn: float
    think_s: float  # mean between answer and next turn
    sub_agents: float = 0.0  # started per turn, each a session like its parent

    def __post_init__(self) -> None:
        for name in ("sessions", "turns", "first_prompt_tokens", "new_tokens_per_turn", "output_tokens_per_turn"):
            if not getattr(self, name) > 0:
                raise ValueError(f"AgentSessions.{name} is {getattr(self, name)}; must be greater than 0")
        for name in ("think_s", "sub_agents"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"AgentSessions.{name} is {getattr(self, name)}; must be 0 or more")


@dataclass(frozen=True, slots=True)
class AgentState:
    """Steady state of an instance that serves sessions."""

    turns_per_s: float
    output_tokens_per_s: float
    ttft_s: float
    itl_s: float
    turn_s: float  # answer time of a turn
    session_s: float
    active: float  # turns at the engine
    hit_frac: float  # of the context found in the cache
    residence_s: float  # time that an idle session's cache survives
    knee_sessions: float  # beyond it more sessions only wait


def cache_residence_s(capacity_tokens: float, context_tokens: float, turns_per_s: float, think_s: float) -> float:
    """Return the characteristic time of an LRU cache that holds sessions' contexts [s].

    Che's approximation: the time T in which the distinct sessions touched fill the cache. With thinking times
    exponential of mean Z, a session last touched t ago is still away with chance exp(-t/Z), so the idle contexts
    younger than T hold X Z (1 - exp(-T/Z)) contexts; inf where all fit.

    References
    ----------
    .. [1] Che, Tung, Wang, "Hierarchical Web caching systems", IEEE JSAC 20(7), 2002.
    """
    idle = turns_per_s * think_s * context_tokens
    if idle <= capacity_tokens:
        return float("inf")
    return -think_s * float(np.log1p(-max(capacity_tokens, 0.0) / idle))


def solve_agents(
    costs: StepCosts,
    scheduling: Scheduling,
    sessions: AgentSessions,
    *,
    kv_tokens: float,
) -> AgentState:
    """Return the steady state of sessions on one instance.

    Parameters
    ----------
    costs, scheduling : StepCosts, Scheduling
        Of the instance, arrays of shape (1,).
    sessions : AgentSessions
        What runs on it.
    kv_tokens : float
        Tokens that its memory caches.

    Raises
    ------
    ValueError
        If one session's longest context does not fit.
    """
    s = sessions
    grown = s.new_tokens_per_turn + s.output_tokens_per_turn
    mean_context = s.first_prompt_tokens + grown * (s.turns - 1.0) / 2.0
    longest = s.first_prompt_tokens + grown * (s.turns - 1.0) + s.output_tokens_per_turn
    if longest > kv_tokens:
        raise ValueError(f"a session grows to {longest:.0f} tokens; memory caches {kv_tokens:.0f}")
    population = s.sessions * (1.0 + s.sub_agents)

    def turn(active: float, hit: float):
        cached = hit * max(mean_context - s.new_tokens_per_turn, 0.0)
        return closed_loop(
            costs,
            scheduling,
            concurrency=active,
            input_tokens=mean_context,
            output_tokens=s.output_tokens_per_turn,
            cached_tokens=cached,
            admitted_limit=max(kv_tokens / (mean_context + s.output_tokens_per_turn), 1.0),
        )

    def hits(rate: float, active: float) -> tuple[float, float]:
        room = kv_tokens - active * (mean_context + s.output_tokens_per_turn)
        residence = cache_residence_s(room, mean_context, rate, s.think_s)
        survives = 1.0 if np.isinf(residence) else float(-np.expm1(-residence / max(s.think_s, 1e-9)))
        return survives * (1.0 - 1.0 / s.turns), residence  # a first turn finds nothing of its own

    def surplus(active: float) -> float:
        rate = (population - active) / s.think_s if s.think_s > 0 else np.inf
        if not np.isfinite(rate):
            return -1.0
        hit, _ = hits(rate, active)
        state = turn(active, hit)
        return float(active / (state.ttft_s[0] + s.output_tokens_per_turn * state.itl_s[0]) - rate)

    low = min(1e-6, population / 2.0)
    if s.think_s == 0 or surplus(population * (1.0 - 1e-12)) < 0:
        active = population
    else:
        active = float(brentq(surplus, low, population * (1.0 - 1e-12), maxiter=BISECTION_PASSES * 4))
    rate = (population - active) / s.think_s if s.think_s > 0 else 0.0
    hit, residence = hits(rate, active)
    state = turn(active, hit)
    turn_s = float(state.ttft_s[0] + s.output_tokens_per_turn * state.itl_s[0])
    rate = active / turn_s
    alone = turn(1.0, 1.0 - 1.0 / s.turns)
    alone_s = float(alone.ttft_s[0] + s.output_tokens_per_turn * alone.itl_s[0])
    busiest = turn(population, hit)
    return AgentState(
        turns_per_s=rate,
        output_tokens_per_s=rate * s.output_tokens_per_turn,
        ttft_s=float(state.ttft_s[0]),
        itl_s=float(state.itl_s[0]),
        turn_s=turn_s,
        session_s=s.turns * turn_s + (s.turns - 1.0) * s.think_s,
        active=active,
        hit_frac=hit,
        residence_s=residence,
        knee_sessions=(s.think_s + alone_s) * float(busiest.requests_per_s[0]),
    )
