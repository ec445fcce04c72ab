"""Latency of one instance under open arrivals: how requests pile up, wait for prefill and for memory, and by how much.

`load_line` tabulates an instance over requests in service; `open_arrivals` reads it at arrival rates and adds waiting:
prompts queue for the engine (Kingman's bound with the index of dispersion of arrivals) and requests for a place in KV
memory (Sakasegawa's approximation for many servers). Percentiles come from log-normal laws of the resulting mean and
variance.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from compute.roofline import StepCosts
from compute.speculation import tokens_per_step
from compute.steady_state import ASSUMED_CHUNK_TOKENS, Scheduling, SteadyState, closed_loop
from compute.workload import NORMAL_95, LatencyTargets, Workload

FloatArray = NDArray[np.float64]

N_KNOTS = 40  # of a load line, spaced by equal ratios of requests in service
SHORTEST_S = 1e-9  # stands for no time in logarithms
HORIZON_S = 3600.0  # an overload lasts an hour on average: its queue grows for that long
STEP_VARIATION = 0.05  # assumed: coefficient of variation of latency between requests at constant load
FULL = 0.98  # utilisation beyond which formulas for an infinite time would exceed the horizon


@dataclass(frozen=True, slots=True, eq=False)
class LoadLine:
    """Instances over requests in service; arrays of shape (n, n_knots), rates rising along the last axis."""

    in_service: FloatArray
    requests_per_s: FloatArray
    itl_s: FloatArray
    state: SteadyState
    first_s: FloatArray  # (n,) first token of a lone request
    prefill_s: FloatArray  # (n, n_knots) engine time of one prompt
    prefill_servers: FloatArray  # (n,)
    join_s: FloatArray  # (n, n_knots) wait for the step in work, and generation in the steps that a prompt joins
    limit: FloatArray  # (n,) requests that memory admits


@dataclass(frozen=True, slots=True, eq=False)
class OpenState:
    """Instances at arrival rates; arrays of shape (n, n_rates)."""

    arrivals_per_s: FloatArray
    served_per_s: FloatArray
    in_service: FloatArray
    ttft_p50_s: FloatArray
    ttft_p95_s: FloatArray
    itl_p50_s: FloatArray
    itl_p95_s: FloatArray
    attainment_frac: FloatArray
    utilisation: FloatArray


def clocked(costs: StepCosts, clock_frac: FloatArray) -> StepCosts:
    """Return the costs at a share of full clock: arithmetic slows with the clock, memory and links do not."""
    f = np.asarray(clock_frac, dtype=np.float64)
    return replace(
        costs,
        token_gemm_s=costs.token_gemm_s / f,
        head_gemm_s=costs.head_gemm_s / f,
        pair_s=costs.pair_s / f,
        window_pair_s=costs.window_pair_s / f,
    )


def load_line(
    costs: StepCosts,
    scheduling: Scheduling,
    workload: Workload,
    *,
    limit: FloatArray,
    decode_scale: FloatArray,
) -> LoadLine:
    """Return instances that do both phases, over requests in service up to what memory admits, shape (n, n_knots).

    Parameters
    ----------
    costs, scheduling : StepCosts, Scheduling
        Of each instance, arrays of shape (n, 1).
    limit, decode_scale : ndarray, shape (n, 1)
        Requests that memory admits, and the fitted scale of ITL.
    """
    most = np.maximum(limit, 1.0)
    in_service = most ** np.linspace(0.0, 1.0, N_KNOTS)[None, :]
    # open arrivals do not start together: their waiting is added by the queue, not by the closed loop's waves
    state = closed_loop(
        costs,
        replace(scheduling, wave=np.zeros_like(most)),
        concurrency=in_service,
        input_tokens=workload.input_tokens,
        output_tokens=workload.output_tokens,
        cached_tokens=workload.input_tokens * workload.cached_frac,
        admitted_limit=most,
    )
    itl_s = state.itl_s * decode_scale
    first_s = state.ttft_s - state.wait_s
    rate = in_service / (first_s + workload.output_tokens * itl_s)
    busy = -np.expm1(1.0 - in_service)  # a step is in work when another request arrives, Poisson-many in service
    per_step = tokens_per_step(costs.draft_tokens, costs.draft_acceptance)
    # decoding tokens come first in a step's budget: a prompt that would fill it spills into one more
    new = workload.input_tokens * (1.0 - workload.cached_frac)
    left = np.maximum(ASSUMED_CHUNK_TOKENS - state.decoding * (1.0 + costs.draft_tokens), 1.0)
    spilled = np.ceil(new / left) - np.ceil(new / ASSUMED_CHUNK_TOKENS)
    return LoadLine(
        in_service=in_service,
        requests_per_s=np.maximum.accumulate(rate, axis=1),
        itl_s=itl_s,
        state=state,
        first_s=first_s[:, 0],
        prefill_s=np.broadcast_to(state.prefill_s, in_service.shape),
        prefill_servers=np.ones(in_service.shape[0]),
        join_s=busy * per_step * (0.5 * itl_s + (1.0 + spilled) * state.decode_step_s * decode_scale),
        limit=most[:, 0],
    )


def open_arrivals(line: LoadLine, arrivals_per_s: FloatArray, workload: Workload, targets: LatencyTargets) -> OpenState:
    """Return latency, service and attainment at arrival rates.

    Parameters
    ----------
    line : LoadLine
        Of n instances.
    arrivals_per_s : ndarray, shape (n, n_rates)
        Requests per second offered to each.
    workload, targets : Workload, LatencyTargets
        Mix and limits.

    References
    ----------
    .. [1] Kingman, "The single server queue in heavy traffic", 1961.
    .. [2] Sakasegawa, "An approximation formula L_q = a r^b / (1 - r)", 1977.
    """
    capacity = line.requests_per_s[:, -1:]
    offered = np.asarray(arrivals_per_s, dtype=np.float64)
    prefill_capacity = line.prefill_servers[:, None] / np.maximum(line.prefill_s[:, -1:], 1e-12)
    ceiling = FULL * np.minimum(capacity, prefill_capacity)
    served = np.minimum(offered, ceiling)
    in_service, itl, slope, prefill, join = (np.empty_like(served) for _ in range(5))
    # An arrival finds as many in service as there are on average, and makes one more: at the rate at which N - 1 are in
    # service on average, a request shares its steps with N - 1 others, as in a closed loop of N.
    others_frac = np.maximum(1.0 - 1.0 / line.state.admitted, 0.0)
    log_itl_slope = (
        np.gradient(np.log(line.itl_s), axis=1) / np.gradient(np.log(line.in_service), axis=1)
        if (line.in_service[:, -1] > 1.0).all()
        else np.zeros_like(line.itl_s)
    )
    for i in range(served.shape[0]):
        knots = line.requests_per_s[i] * others_frac[i]
        in_service[i] = np.interp(served[i], knots, line.in_service[i] * others_frac[i])
        itl[i] = np.interp(served[i], knots, line.itl_s[i])
        slope[i] = np.interp(served[i], knots, log_itl_slope[i])
        prefill[i] = np.interp(served[i], knots, line.prefill_s[i])
        join[i] = np.interp(served[i], knots, line.join_s[i])
    servers = line.prefill_servers[:, None]
    prefill_load = np.minimum(served * prefill / servers, FULL)
    length = workload.input_variation
    spread = 0.5 * (workload.dispersion + length**2)
    queue_s = (
        spread * prefill * prefill_load ** (np.sqrt(2.0 * (servers + 1.0)) - 1.0) / (servers * (1.0 - prefill_load))
    )
    seats = line.limit[:, None]
    fill = np.minimum(served / capacity, FULL)
    life_s = line.first_s[:, None] + workload.output_tokens * itl
    place_spread = 0.5 * (workload.dispersion + workload.output_variation**2)
    place_s = place_spread * life_s * fill ** (np.sqrt(2.0 * (seats + 1.0)) - 1.0) / (seats * (1.0 - fill))
    overload_s = 0.5 * HORIZON_S * np.maximum(1.0 - ceiling / np.maximum(offered, 1e-30), 0.0)
    base_s = line.first_s[:, None] + join
    waits = np.clip(np.maximum(prefill_load, fill), 1e-3, 1.0)
    ttft_log, ttft_sigma = _first_token_law(base_s, length, queue_s + place_s, waits, overload_s)
    itl_variation = np.hypot(slope * np.sqrt(workload.dispersion / np.maximum(in_service, 1.0)), STEP_VARIATION)
    itl_log, itl_sigma = _lognormal(itl, (itl * np.minimum(itl_variation, 1.0)) ** 2)
    kept = ndtr((np.log(targets.ttft_s) - ttft_log) / ttft_sigma) * ndtr((np.log(targets.itl_s) - itl_log) / itl_sigma)
    return OpenState(
        arrivals_per_s=offered,
        served_per_s=served,
        in_service=in_service,
        ttft_p50_s=np.exp(ttft_log),
        ttft_p95_s=np.exp(ttft_log + NORMAL_95 * ttft_sigma),
        itl_p50_s=np.exp(itl_log),
        itl_p95_s=np.exp(itl_log + NORMAL_95 * itl_sigma),
        attainment_frac=kept,
        utilisation=np.minimum(offered / ceiling, 1.0),
    )


def _first_token_law(
    base_s: FloatArray, variation: float, wait_s: FloatArray, waits_frac: FloatArray, overload_s: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return location and scale of the log-normal law through median and 95th percentile of the time to first token.

    A request's own prefill varies with its length; on top comes a wait, which is none for those who find the server
    free and exponential among the rest [1]_, and in overload a backlog that grows evenly over the horizon. Medians add;
    what lies between median and 95th percentile adds in squares.

    References
    ----------
    .. [1] Kleinrock, *Queueing Systems* I, 1975: exact for M/M/1, the heavy-traffic limit of G/G/1.
    """
    base_s = np.maximum(base_s, SHORTEST_S)  # instances that only generate have no first token of their own
    base_log, base_sigma = _lognormal(base_s, (base_s * variation) ** 2)
    base_median_s = np.exp(base_log)
    # P(wait > t) = waits exp(-t waits / mean wait)
    scale_s = wait_s / waits_frac
    wait_median_s = scale_s * np.log(np.maximum(waits_frac / 0.5, 1.0))
    wait_95_s = scale_s * np.log(np.maximum(waits_frac / 0.05, 1.0))
    median_s = base_median_s + wait_median_s + overload_s
    above_s = np.sqrt(
        (base_median_s * np.expm1(NORMAL_95 * base_sigma)) ** 2
        + (wait_95_s - wait_median_s) ** 2
        + (0.9 * overload_s) ** 2
    )
    return np.log(median_s), np.maximum(np.log1p(above_s / median_s) / NORMAL_95, 1e-6)


def _lognormal(mean: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the location and scale of the log-normal law with this mean and variance."""
    squared = np.log1p(np.maximum(variance, 1e-12 * mean**2) / mean**2)
    return np.log(mean) - 0.5 * squared, np.sqrt(squared)
