"""Electrical power of an accelerator from how busy its arithmetic and memory are, its clock and its cap."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compute.steps.closed_loop import ASSUMED_CHUNK_TOKENS
from compute.steps.roofline import DeploymentWork

FloatArray = NDArray[np.float64]

# Between kernels of a loaded engine clocks and memory stay up: B200 draws about 245 W between small messages, where a
# running engine's own draw is put at 280 W (NVML watts of single kernels, AISimulate 0.13).
WAITING_FRAC = 0.75
ASSUMED_AWAKE_FRAC = 0.02  # busy share from which clocks stay up between requests
ASSUMED_SAMPLE_S = 1.0  # of a meter that logs watts
ZERO = np.zeros(())  # where a sum over states begins


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


@dataclass(frozen=True, slots=True, eq=False)
class EngineStates:
    """What an instance does over time: it reads prompts, generates, or waits; arrays of shape (n,)."""

    prefill_frac: FloatArray  # share of time in which prompts are read
    decode_frac: FloatArray
    prefill: Activity  # while prompts are read
    decode: Activity

    @property
    def busy_frac(self) -> FloatArray:
        """Share of time in which the engine has work."""
        return np.minimum(self.prefill_frac + self.decode_frac, 1.0)

    @property
    def mean_activity(self) -> Activity:
        """Mean over all time."""
        reading, generating = self.prefill, self.decode
        compute = self.prefill_frac * reading.compute_frac + self.decode_frac * generating.compute_frac
        memory = self.prefill_frac * reading.memory_frac + self.decode_frac * generating.memory_frac
        return Activity(compute_frac=np.minimum(compute, 1.0), memory_frac=np.minimum(memory, 1.0))


def engine_states(
    work: DeploymentWork,
    *,
    decoding: ArrayLike,
    decode_step_s: ArrayLike,
    prefill_s: ArrayLike,
    input_tokens: ArrayLike,
    output_tokens: ArrayLike,
    requests_per_s: ArrayLike,
    cached_tokens: ArrayLike = 0.0,
    context_tokens: ArrayLike | None = None,
    draft_tokens: ArrayLike = 0.0,
    tokens_per_step: ArrayLike = 1.0,
) -> EngineStates:
    """Return the states of an instance that serves steadily, their activities at data-sheet speed over time taken.

    Parameters
    ----------
    work : DeploymentWork
        Of the instance.
    decoding : array_like
        Requests that generate, on average over the time in which any do.
    decode_step_s : array_like
        Time per token of a step without prompts [s].
    prefill_s : array_like
        Time of one prompt [s]; 0 where prompts are read elsewhere.
    input_tokens, output_tokens, cached_tokens : array_like
        Of a request; 0 output tokens where others generate.
    requests_per_s : array_like
        Served.
    context_tokens : array_like, optional
        Mean over the steps of generation; prompt and half the answer where answers are alike.
    draft_tokens, tokens_per_step : array_like
        Drafted per sequence and step, and kept: a step with drafts reads once for all of them.
    """
    rate, n_out = np.asarray(requests_per_s, dtype=np.float64), np.asarray(output_tokens, dtype=np.float64)
    n_in = np.asarray(input_tokens, dtype=np.float64)
    cached = np.asarray(cached_tokens, dtype=np.float64)
    new = n_in - cached
    context = n_in + n_out / 2.0 if context_tokens is None else np.asarray(context_tokens, dtype=np.float64)
    batch = np.maximum(np.asarray(decoding, dtype=np.float64), 1e-9)
    per_step = np.asarray(tokens_per_step, dtype=np.float64)
    step_s = np.maximum(np.asarray(decode_step_s, dtype=np.float64) * per_step, 1e-12)
    decode_frac = np.minimum(rate * np.maximum(n_out - 1.0, 0.0) / per_step * step_s / np.maximum(batch, 1.0), 1.0)
    reading_s = np.asarray(prefill_s, dtype=np.float64)
    prefill_frac = np.minimum(rate * reading_s, 1.0 - decode_frac)
    gemm = work.dense_gemm_s + work.expert_gemm_s
    pairs = new * cached + new * new / 2.0
    window_pairs = np.minimum(pairs, new * np.where(np.isinf(work.window_tokens), 0.0, work.window_tokens))
    chunks = np.maximum(1.0, new / ASSUMED_CHUNK_TOKENS)
    with np.errstate(divide="ignore", invalid="ignore"):
        reading = Activity(
            compute_frac=_share(gemm * new + work.pair_s * pairs + work.window_pair_s * window_pairs, reading_s),
            memory_frac=_share(chunks * (work.dense_weight_s + work.expert_weight_s), reading_s),
        )
    stages = work.pipeline_parallel
    inside = np.maximum(batch / stages, 1.0)  # of a stage, which passes all of its sequences on in a step
    wide = inside * (1.0 + np.asarray(draft_tokens, dtype=np.float64))
    coverage = -np.expm1(work.log_unrouted * wide)
    cache_s = inside * (work.kv_token_s * context + work.window_kv_token_s * np.minimum(context, work.window_tokens))
    generating = Activity(
        compute_frac=_share((gemm + work.head_gemm_s) * wide, step_s),
        memory_frac=_share(work.dense_weight_s + work.expert_weight_s * coverage + cache_s, step_s),
    )
    return EngineStates(
        prefill_frac=prefill_frac + 0.0 * decode_frac, decode_frac=decode_frac, prefill=reading, decode=generating
    )


def _share(seconds: FloatArray, of_s: FloatArray) -> FloatArray:
    """Return seconds of work over the time that it takes, at most 1; 0 where that time is 0."""
    return np.where(of_s > 0, np.minimum(seconds / np.where(of_s > 0, of_s, 1.0), 1.0), 0.0)


def dynamic_power_share(coefficients: PowerCoefficients, activity: Activity, busy_frac: ArrayLike = 1.0) -> FloatArray:
    """Return the share of (TDP - idle) that work draws at full clock [-], in [0, 1).

    1 - exp(-x): contributions add while small and saturate towards the limit that the board's controller holds. That
    holds in each state, not of their mean: `activity` is over all time, and done in the share `busy_frac` of it. For
    the rest the accelerator waits with its clocks up; one that has hardly anything to do rests at its idle watts.
    """
    busy = np.asarray(busy_frac, dtype=np.float64)
    while_busy = np.maximum(busy, 1e-9)
    drive = (
        coefficients.running
        + coefficients.compute * np.minimum(activity.compute_frac / while_busy, 1.0)
        + coefficients.memory * np.minimum(activity.memory_frac / while_busy, 1.0)
    )
    waiting = -np.expm1(-WAITING_FRAC * coefficients.running) * -np.expm1(-busy / ASSUMED_AWAKE_FRAC)
    return -np.expm1(-drive) * busy + waiting * (1.0 - busy)


def states_power_share(coefficients: PowerCoefficients, states: EngineStates) -> FloatArray:
    """Return the mean share of (TDP - idle) over the states of an instance, each through the saturating law [-]."""
    prefill, decode, waiting = state_shares(coefficients, states)
    return (
        states.prefill_frac * prefill + states.decode_frac * decode + np.maximum(1.0 - states.busy_frac, 0.0) * waiting
    )


def state_shares(coefficients: PowerCoefficients, states: EngineStates) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the shares of (TDP - idle) while prompts are read, while tokens are generated, and while none are."""
    reading, generating = (dynamic_power_share(coefficients, activity) for activity in (states.prefill, states.decode))
    waiting = -np.expm1(-WAITING_FRAC * coefficients.running) * -np.expm1(-states.busy_frac / ASSUMED_AWAKE_FRAC)
    return reading, generating, waiting


def power_quantile_share(
    coefficients: PowerCoefficients, states: EngineStates, requests_per_s: ArrayLike, normal: float
) -> FloatArray:
    """Return a quantile over time of the share of (TDP - idle), as a sampling meter sees it [-].

    A reading is the mean over `ASSUMED_SAMPLE_S`, in which states alternate with every prompt; readings scatter as the
    mean of so many draws of a state, and stay between the lowest and the highest of them.

    Parameters
    ----------
    coefficients, states : PowerCoefficients, EngineStates
        Of instances.
    requests_per_s : array_like
        Served by each.
    normal : float
        The quantile's value of the standard normal law.
    """
    shares = state_shares(coefficients, states)
    weights = (states.prefill_frac, states.decode_frac, np.maximum(1.0 - states.busy_frac, 0.0))
    mean = sum((w * share for w, share in zip(weights, shares, strict=True)), ZERO)
    variance = sum((w * (share - mean) ** 2 for w, share in zip(weights, shares, strict=True)), ZERO)
    draws = 1.0 + np.asarray(requests_per_s, dtype=np.float64) * ASSUMED_SAMPLE_S
    low, high = (
        extreme.reduce([np.where(w > 1e-3, share, mean) for w, share in zip(weights, shares, strict=True)])
        for extreme in (np.minimum, np.maximum)
    )
    return np.clip(mean + normal * np.sqrt(variance / draws), low, high)


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


def capped_clocks(
    shares: tuple[FloatArray, FloatArray, FloatArray],
    states: EngineStates,
    *,
    idle_w: float,
    tdp_w: float,
    cap_w: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the clocks that a cap leaves to reading prompts and to generating, and the mean dynamic watts then.

    A cap holds in every state: it clips prompts, which draw most, while generating hardly feels it.

    Parameters
    ----------
    shares, states : tuple, EngineStates
        `state_shares` of instances at full clock, and what these do over time.
    idle_w, tdp_w, cap_w : float
        Of the accelerator.

    Returns
    -------
    prefill_clock, decode_clock : ndarray
        Over full clock [-].
    dynamic_w : ndarray
        Mean over time [W].
    """
    dynamic = [(tdp_w - idle_w) * share for share in shares]
    clocks = [clock_under_cap(cap_w, static_w=idle_w, dynamic_w=watts) for watts in dynamic]
    weights = (states.prefill_frac, states.decode_frac, np.maximum(1.0 - states.busy_frac, 0.0))
    mean_w = sum((w * p * clock_power_factor(f) for w, p, f in zip(weights, dynamic, clocks, strict=True)), ZERO)
    return clocks[0], clocks[1], mean_w


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

    g is `clock_power_factor`: the cubic 0.75 f³ + 0.25 f = y has one real root.

    Parameters
    ----------
    cap_w : array_like
        Cap on one accelerator [W].
    static_w, dynamic_w : array_like
        Watts that do not follow the clock, and those that do at full clock [W].
    lowest_clock_frac : float
        Clock that is held where even that draws more than the cap [-].
    """
    y = np.clip((np.asarray(cap_w) - static_w) / np.maximum(dynamic_w, 1e-9), 0.0, 1.0)
    # depressed cubic f³ + p f = q with p = 1/3, q = y / 0.75; Cardano with one real root since p > 0
    p, q = 1.0 / 3.0, y / 0.75
    root = np.sqrt(q * q / 4.0 + p**3 / 27.0)
    f = np.cbrt(q / 2.0 + root) + np.cbrt(q / 2.0 - root)
    return np.clip(f, lowest_clock_frac, 1.0)
