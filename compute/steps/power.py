"""Electrical power of an accelerator from how busy its arithmetic and memory are, its clock and its cap."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compute.steps.closed_loop import SteadyState
from compute.steps.roofline import DeploymentWork

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Activity:
    """Time at data-sheet speed over time taken, of arithmetic and of memory; arrays of shape (n,), in [0, 1]."""

    compute_frac: FloatArray
    memory_frac: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class PowerCoefficients:
    """Coefficients of `accelerator_power_w`; arrays of shape (n,) or ()."""

    running: FloatArray  # engine running, whatever it does
    compute: FloatArray
    memory: FloatArray

    def __post_init__(self) -> None:
        for field in fields(self):
            values = np.atleast_1d(np.asarray(getattr(self, field.name), dtype=np.float64))
            bad = np.flatnonzero(~(values >= 0))
            if bad.size:
                raise ValueError(f"PowerCoefficients.{field.name}[{bad[0]}] is {values[bad[0]]}; must be 0 or more")


def steady_activity(
    work: DeploymentWork,
    state: SteadyState,
    *,
    input_tokens: ArrayLike,
    output_tokens: ArrayLike,
    requests_per_s: ArrayLike,
    itl_s: ArrayLike,
    cached_tokens: ArrayLike = 0.0,
    context_tokens: ArrayLike | None = None,
    draft_tokens: ArrayLike = 0.0,
    tokens_per_step: ArrayLike = 1.0,
) -> Activity:
    """Return mean activity over time of a deployment that generates steadily.

    Decoding reads weights and cache once per step; prompts add their arithmetic. Both are counted at data-sheet speed
    per second of the engine's time, so neither can exceed 1. A step with drafts reads once for `tokens_per_step` tokens
    and computes 1 + `draft_tokens` per sequence. `context_tokens` is the mean over the steps of generation: prompt and
    half the answer where answers are alike.
    """
    rate = np.asarray(requests_per_s, dtype=np.float64)
    n_out = np.asarray(output_tokens, dtype=np.float64)
    new = np.asarray(input_tokens, dtype=np.float64) - cached_tokens
    context = np.asarray(input_tokens, dtype=np.float64) + n_out / 2.0 if context_tokens is None else context_tokens
    stages = work.pipeline_parallel
    batch = np.maximum(state.decoding / stages, 1e-9)
    steps_per_s = np.minimum(rate * n_out / np.maximum(batch, 1.0), 1.0 / np.asarray(itl_s)) / tokens_per_step
    coverage = -np.expm1(work.log_unrouted * np.maximum(batch, 1.0) * (1.0 + np.asarray(draft_tokens)))
    computed = n_out * (1.0 + np.asarray(draft_tokens)) / tokens_per_step
    windowed_s = work.window_kv_token_s * np.minimum(context, work.window_tokens)
    cache_s = batch * (work.kv_token_s * context + windowed_s + work.state_s)
    memory = steps_per_s * (work.dense_weight_s + work.expert_weight_s * coverage + cache_s)
    gemm = work.dense_gemm_s + work.expert_gemm_s
    pairs = new * cached_tokens + new * new / 2.0
    window_pairs = np.minimum(pairs, new * np.where(np.isinf(work.window_tokens), 0.0, work.window_tokens))
    attention = work.pair_s * pairs + work.window_pair_s * window_pairs
    compute = rate * (gemm * (new + computed) + work.head_gemm_s * computed + attention)
    return Activity(compute_frac=np.clip(compute, 0.0, 1.0), memory_frac=np.clip(memory, 0.0, 1.0))


def dynamic_power_share(coefficients: PowerCoefficients, activity: Activity, busy_frac: ArrayLike = 1.0) -> FloatArray:
    """Return the share of (TDP - idle) that work draws at full clock [-], in [0, 1).

    1 - exp(-x): contributions add while small and saturate towards the limit that the board's controller holds.
    """
    running = coefficients.running * np.asarray(busy_frac, dtype=np.float64)
    drive = running + coefficients.compute * activity.compute_frac + coefficients.memory * activity.memory_frac
    return -np.expm1(-drive)


def accelerator_power_w(
    coefficients: PowerCoefficients,
    activity: Activity,
    *,
    idle_w: ArrayLike,
    tdp_w: ArrayLike,
    clock_frac: ArrayLike = 1.0,
    busy_frac: ArrayLike = 1.0,
) -> FloatArray:
    """Return the power of one accelerator at its reference temperature [W].

    Parameters
    ----------
    coefficients : PowerCoefficients
        Of the accelerator.
    activity : Activity
        While the engine runs.
    idle_w, tdp_w : array_like
        Idle draw and thermal design power [W].
    clock_frac : array_like
        Clock over full clock; dynamic power follows `clock_power_factor`.
    busy_frac : array_like
        Share of time in which the engine has work.
    """
    share = dynamic_power_share(coefficients, activity, busy_frac)
    return np.asarray(idle_w) + (np.asarray(tdp_w) - np.asarray(idle_w)) * share * clock_power_factor(clock_frac)


def clock_power_factor(clock_frac: ArrayLike) -> FloatArray:
    """Return dynamic power over its value at full clock [-]: 0.25 f + 0.75 f^3, frequency times voltage squared.

    The split is an assumed start value of a two-term fit to f·(V(f)/V)²; a device's own curve replaces it.
    """
    f = np.asarray(clock_frac, dtype=np.float64)
    return 0.25 * f + 0.75 * f**3


def clock_under_cap(
    cap_w: ArrayLike, *, static_w: ArrayLike, dynamic_w: ArrayLike, lowest_clock_frac: float = 0.3
) -> FloatArray:
    """Return the highest clock at which static + dynamic · g(clock) stays under a cap [-].

    The cubic 0.75 f³ + 0.25 f = y has one real root; `lowest_clock_frac` is held where even that draws more.
    """
    y = np.clip((np.asarray(cap_w) - static_w) / np.maximum(dynamic_w, 1e-9), 0.0, 1.0)
    # depressed cubic f³ + p f = q with p = 1/3, q = y / 0.75; Cardano with one real root since p > 0
    p, q = 1.0 / 3.0, y / 0.75
    root = np.sqrt(q * q / 4.0 + p**3 / 27.0)
    f = np.cbrt(q / 2.0 + root) + np.cbrt(q / 2.0 - root)
    return np.clip(f, lowest_clock_frac, 1.0)
