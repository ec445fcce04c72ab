"""Latency of one instance under open arrivals: how requests pile up, wait for prefill and for memory, and by how much.

`load_line` tabulates an instance over requests in service; `open_arrivals` reads it at arrival rates and adds waiting:
prompts queue for the engine (Pollaczek-Khinchine with the index of dispersion of arrivals) and requests for a place in
KV memory (Sakasegawa's approximation for many servers). Percentiles of the first token come from the law of prompt
times and that of the wait; those of ITL from the variance that prompts of others and their number give it.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from compute.steady.latency_law import SHORTEST_S, FirstToken, Wait, lognormal
from compute.steady.prompt_law import PromptTimes, prompt_times
from compute.steady.session_cache import cached_frac, kept_frac, settled_kept_frac
from compute.steps.closed_loop import ASSUMED_CHUNK_TOKENS, Scheduling, SteadyState, closed_loop, prefill_time_s
from compute.steps.roofline import StepCosts
from compute.steps.speculation import tokens_per_step
from compute.workload import NORMAL_95, LatencyTargets, Sessions, Workload

FloatArray = NDArray[np.float64]

N_KNOTS = 40  # of a load line, spaced by equal ratios of requests in service
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
    decode_step_s: FloatArray  # per token of steps without prompts in them
    join_s: FloatArray  # wait for the step in work, and generation in the steps that a prompt joins
    kept: FloatArray  # share of the prompts whose context is still cached
    fetched: FloatArray  # part of it that comes back from a slower tier of memory
    fetch_s: FloatArray  # (n, 1) that this takes
    prompts: PromptTimes  # reading times
    first: FloatArray  # (n, 1) time to the first token over reading time, of a request that waits for no other
    fixed_s: FloatArray  # (n, 1) time to the first token beside it
    engine_frac: FloatArray  # (n, 1) share of reading time that prompts take of the engine which reads them
    stall: FloatArray  # (n, 1) the same of the engine that generates: 0 where prompts are read apart
    shares_engine: bool  # whether they are one
    prefill_servers: FloatArray  # (n, 1)
    limit: FloatArray  # (n, 1) requests that memory admits, or beyond which more of them serve fewer


@dataclass(frozen=True, slots=True, eq=False)
class OpenState:
    """Instances at arrival rates; arrays of shape (n, n_rates)."""

    arrivals_per_s: FloatArray
    served_per_s: FloatArray
    in_service: FloatArray
    ttft_mean_s: FloatArray
    ttft_p50_s: FloatArray
    ttft_p95_s: FloatArray
    itl_mean_s: FloatArray
    itl_p50_s: FloatArray
    itl_p95_s: FloatArray
    attainment_frac: FloatArray
    utilisation: FloatArray
    cached_frac: FloatArray  # of a prompt


def load_line(
    costs: StepCosts,
    scheduling: Scheduling,
    workload: Workload,
    *,
    limit: FloatArray,
    decode_scale: FloatArray,
    tier: ArrayLike = 0.0,
    fetch_s: ArrayLike = 0.0,
) -> LoadLine:
    """Return instances that do both phases, over requests in service up to what memory admits, shape (n, n_knots).

    Parameters
    ----------
    costs, scheduling : StepCosts, Scheduling
        Of each instance, arrays of shape (n, 1).
    limit, decode_scale : ndarray, shape (n, 1)
        Requests that memory admits, and the fitted scale of ITL.
    tier, fetch_s : array_like, shape (n, 1) or ()
        Contexts of paused sessions that a slower tier of memory keeps, and the time to bring one back [s].
    """
    most = np.maximum(limit, 1.0)
    contexts = most + np.asarray(tier, dtype=np.float64)
    # a prompt yields its token no sooner than it has passed the engine that it holds up
    scheduling = replace(scheduling, first=np.maximum(scheduling.first, scheduling.stall * decode_scale))
    instance = _Instance(costs, scheduling, workload, decode_scale, prompt_times(costs, workload))
    in_service, kept, fetched = _knots(most), np.ones((1, 1)), np.zeros((1, 1))
    sessions = workload.sessions
    if sessions is not None and workload.cached_frac > sessions.shared_frac:
        # requests beyond the best number take the room of paused sessions, whose prompts then come whole
        kept = instance.kept_by(sessions, contexts, in_service)
        rate = instance.requests_per_s(in_service, instance.state(in_service, kept))
        best = np.take_along_axis(in_service, np.argmax(rate, axis=1)[:, None], axis=1)
        if np.any(best < most):
            in_service = _knots(best)
            kept = instance.kept_by(sessions, contexts, in_service)
        rate = instance.requests_per_s(in_service, instance.state(in_service, kept))
        fetched = np.maximum(kept - kept_frac(sessions, most - in_service, rate), 0.0)
        most = best
    state = instance.state(in_service, kept)
    itl_s, decode_step_s = state.itl_s * decode_scale, state.decode_step_s * decode_scale
    rate = instance.requests_per_s(in_service, state)
    busy = -np.expm1(1.0 - in_service)  # a step is in work when another request arrives, Poisson-many in service
    per_step = tokens_per_step(costs.draft_tokens, costs.draft_acceptance)
    # decoding tokens come first in a step's budget: a prompt that would fill it spills into one more
    new = workload.input_tokens * (1.0 - cached_frac(workload, kept))
    left = np.maximum(ASSUMED_CHUNK_TOKENS - state.decoding * (1.0 + costs.draft_tokens), 1.0)
    spilled = np.ceil(new / left) - np.ceil(new / ASSUMED_CHUNK_TOKENS)
    return LoadLine(
        in_service=in_service,
        requests_per_s=np.maximum.accumulate(rate, axis=1),
        itl_s=itl_s,
        state=state,
        decode_step_s=decode_step_s,
        join_s=busy * per_step * (0.5 * itl_s + (1.0 + spilled) * decode_step_s),
        kept=np.broadcast_to(kept, in_service.shape),
        fetched=np.broadcast_to(fetched, in_service.shape),
        fetch_s=np.broadcast_to(fetch_s, most.shape),
        prompts=instance.prompts,
        first=scheduling.first,
        fixed_s=scheduling.request_s,
        engine_frac=scheduling.stall * decode_scale,
        stall=scheduling.stall * decode_scale,
        shares_engine=True,
        prefill_servers=np.ones_like(most),
        limit=most,
    )


def _knots(most: FloatArray) -> FloatArray:
    """Return requests in service from one to the most, by equal ratios, shape (n, n_knots)."""
    return most ** np.linspace(0.0, 1.0, N_KNOTS)[None, :]


@dataclass(frozen=True, slots=True, eq=False)
class _Instance:
    """Instances and what they are asked for; arrays of shape (n, 1)."""

    costs: StepCosts
    scheduling: Scheduling
    workload: Workload
    decode_scale: FloatArray
    prompts: PromptTimes

    def state(self, in_service: FloatArray, kept: FloatArray) -> SteadyState:
        """Return the closed loop of requests in service when sessions keep a share of their contexts."""
        work = self.workload
        cached = work.input_tokens * cached_frac(work, kept)
        # long prompts take more than their share of reading time: what the mean prompt takes is scaled to the mean time
        over = self.prompts.moment(kept, 1) / prefill_time_s(self.costs, work.input_tokens - cached, cached)
        return closed_loop(
            self.costs,
            # open arrivals do not start together: their waiting is added by the queue, not by the closed loop's waves
            replace(
                self.scheduling,
                first=self.scheduling.first * over,
                wave=np.zeros_like(over),
                burst=np.zeros_like(over),
                warm_s=np.zeros_like(over),
                stall=self.scheduling.stall * over,
            ),
            concurrency=in_service,
            input_tokens=work.input_tokens,
            output_tokens=work.output_tokens,
            cached_tokens=cached,
            context_tokens=work.input_tokens + work.generated_tokens,
        )

    def requests_per_s(self, in_service: FloatArray, state: SteadyState) -> FloatArray:
        """Return the rate at which a closed loop serves, shape as `in_service` [1/s]."""
        return in_service / (state.ttft_s + self.workload.gaps * state.itl_s * self.decode_scale)

    def kept_by(self, sessions: Sessions, contexts: FloatArray, in_service: FloatArray) -> FloatArray:
        """Return the share of contexts that sessions keep [-] where memory holds so many besides those in service."""
        return settled_kept_frac(
            sessions,
            contexts - in_service,
            lambda kept: self.requests_per_s(in_service, self.state(in_service, kept)),
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
    load = _load_at(line, arrivals_per_s, workload)
    location, sigma = load.itl_law
    return OpenState(
        arrivals_per_s=load.offered_per_s,
        served_per_s=load.served_per_s,
        in_service=load.in_service,
        ttft_mean_s=load.first_token.mean_s,
        ttft_p50_s=load.first_token.quantile_s(0.5),
        ttft_p95_s=load.first_token.quantile_s(0.95) + 0.9 * load.overload_s,
        itl_mean_s=np.exp(location + 0.5 * sigma**2),
        itl_p50_s=np.exp(location),
        itl_p95_s=np.exp(location + NORMAL_95 * sigma),
        attainment_frac=np.prod(load.within(targets), axis=0),
        utilisation=np.minimum(load.offered_per_s / load.ceiling_per_s, 1.0),
        cached_frac=cached_frac(workload, load.kept),
    )


def keeps_targets(
    line: LoadLine, arrivals_per_s: FloatArray, workload: Workload, targets: LatencyTargets
) -> NDArray[np.bool_]:
    """Return whether 95 % of requests keep each target in the long run.

    No rate beyond what is served can be kept up, however long its backlog takes to be felt.

    Parameters
    ----------
    line, arrivals_per_s, workload, targets
        As for `open_arrivals`.

    Returns
    -------
    ndarray of bool, shape (n, n_rates)
    """
    load = _load_at(line, arrivals_per_s, workload)
    return (load.within(targets) >= 0.95).all(axis=0) & (load.offered_per_s <= load.ceiling_per_s)


@dataclass(frozen=True, slots=True, eq=False)
class _Load:
    """Instances at arrival rates, before percentiles are taken; arrays of shape (n, n_rates)."""

    offered_per_s: FloatArray
    served_per_s: FloatArray
    ceiling_per_s: FloatArray  # (n, 1)
    in_service: FloatArray
    kept: FloatArray
    overload_s: FloatArray
    first_token: FirstToken
    itl_law: tuple[FloatArray, FloatArray]  # location and scale of its logarithm

    def within(self, targets: LatencyTargets) -> FloatArray:
        """Return the shares of requests whose first token and whose ITL keep their target, shape (2, n, n_rates)."""
        location, sigma = self.itl_law
        return np.stack([self.first_token.within(targets.ttft_s), ndtr((np.log(targets.itl_s) - location) / sigma)])


def _load_at(line: LoadLine, arrivals_per_s: FloatArray, workload: Workload) -> _Load:
    offered = np.asarray(arrivals_per_s, dtype=np.float64)
    reading_s = line.engine_frac * line.prompts.moment(line.kept, 1)
    prefill_capacity = line.prefill_servers / np.maximum(reading_s, 1e-12)
    ceiling = FULL * np.minimum(line.requests_per_s, prefill_capacity).max(axis=1, keepdims=True)
    served = np.minimum(offered, ceiling)
    # An arrival finds as many in service as there are on average, and makes one more: at the rate at which N - 1 are in
    # service on average, a request shares its steps with N - 1 others, as in a closed loop of N.
    others_frac = np.maximum(1.0 - 1.0 / line.state.admitted, 0.0)
    log_step_slope = (
        np.gradient(np.log(line.decode_step_s), axis=1) / np.gradient(np.log(line.in_service), axis=1)
        if (line.in_service[:, -1] > 1.0).all()
        else np.zeros_like(line.itl_s)
    )
    in_service, itl, step, slope, join, kept, fetched = _at(
        served,
        line.requests_per_s * others_frac,
        line.in_service * others_frac,
        line.itl_s,
        line.decode_step_s,
        log_step_slope,
        line.join_s,
        line.kept,
        line.fetched,
    )
    fill = np.minimum(served / line.requests_per_s[:, -1:], FULL)
    life_s = line.fixed_s + line.first * line.prompts.moment(kept, 1) + workload.gaps * itl
    wait = _prompt_queue(line, workload, served, step, kept).plus(_place_queue(workload, life_s, fill, line.limit))
    # in overload a backlog grows evenly over the horizon
    overload_s = 0.5 * HORIZON_S * np.maximum(1.0 - ceiling / np.maximum(offered, 1e-30), 0.0)
    return _Load(
        offered_per_s=offered,
        served_per_s=served,
        ceiling_per_s=ceiling,
        in_service=in_service,
        kept=kept,
        overload_s=overload_s,
        first_token=FirstToken(
            line.fixed_s + join + overload_s,
            line.first[..., None] * line.prompts.kinds_s(line.fetch_s / np.maximum(line.first, SHORTEST_S)),
            line.prompts.weights(kept, fetched),
            wait,
        ),
        itl_law=lognormal(itl, itl**2 * _itl_variance(line, workload, served, in_service, step, slope, kept)),
    )


def _at(places: FloatArray, knots: FloatArray, *lines: FloatArray) -> FloatArray:
    """Return lines of shape (n, n_knots) at places of shape (n, m) along rising knots, held at the ends."""
    cell = np.clip((knots[:, None, :] <= places[:, :, None]).sum(axis=2) - 1, 0, knots.shape[1] - 2)
    low, high = np.take_along_axis(knots, cell, 1), np.take_along_axis(knots, cell + 1, 1)
    along = np.clip((places - low) / np.maximum(high - low, 1e-300), 0.0, 1.0)
    values = np.stack([np.broadcast_to(line, knots.shape) for line in lines])
    lower, upper = np.take_along_axis(values, cell[None], 2), np.take_along_axis(values, cell[None] + 1, 2)
    return lower + along * (upper - lower)


def _prompt_queue(line: LoadLine, workload: Workload, served: FloatArray, step_s: FloatArray, kept: FloatArray) -> Wait:
    """Return how long prompts wait for others to be read.

    Pollaczek-Khinchine's two moments, arrivals by their index of dispersion (Kingman), several servers by Sakasegawa.
    """
    servers = line.prefill_servers
    new = workload.input_tokens * (1.0 - cached_frac(workload, kept))
    mean_s = line.engine_frac * line.prompts.moment(kept, 1)
    # while prompts queue every step carries a full budget of them, and the decoding requests' tokens
    beside = 1.0 + line.shares_engine * step_s * new / ASSUMED_CHUNK_TOKENS / np.maximum(mean_s, SHORTEST_S)
    mean_s, square_s2, cube_s3 = ((line.engine_frac * beside) ** k * line.prompts.moment(kept, k) for k in (1, 2, 3))
    load = np.minimum(served * mean_s / servers, FULL)
    share = load ** (np.sqrt(2.0 * (servers + 1.0)) - 1.0)
    spread = 0.5 * (workload.dispersion - 1.0 + square_s2 / np.maximum(mean_s, SHORTEST_S) ** 2)
    # those that arrive during a step are read together in the next, and answered at its end: one waits for those that
    # came after it too
    spread = spread * np.where(line.shares_engine, (1.0 + 2.0 * load) / (1.0 + load), 1.0)
    among_s = spread * mean_s / (servers * (1.0 - load))
    # of one server: E[W²] = 2 E[W]² + rate E[S³] / 3 (1 - load), over E[W]² and the share that waits
    single_s = np.maximum(load * spread * mean_s / (1.0 - load), SHORTEST_S)
    square = 2.0 + served / servers * cube_s3 / (3.0 * (1.0 - load)) / single_s**2
    return Wait(share, among_s, np.sqrt(np.maximum(square * load - 1.0, 0.25)))


def _place_queue(workload: Workload, life_s: FloatArray, fill: FloatArray, seats: FloatArray) -> Wait:
    """Return how long requests wait for a place in KV memory: many servers by Sakasegawa, exponential."""
    share = fill ** (np.sqrt(2.0 * (seats + 1.0)) - 1.0)
    spread = 0.5 * (workload.dispersion + workload.output_variation**2)
    return Wait(share, spread * life_s / (seats * (1.0 - fill)), np.ones_like(fill))


def _itl_variance(
    line: LoadLine,
    workload: Workload,
    served: FloatArray,
    in_service: FloatArray,
    step_s: FloatArray,
    slope: FloatArray,
    kept: FloatArray,
) -> FloatArray:
    """Return the variance of requests' mean ITL over its square [-].

    Generation of n tokens is work that prompts interrupt: its completion time has the variance
    rate E[S²] w / (1 - load)³ [1]_, w its time without them. Beside that the number of others in service varies, and
    the time of a step with it: a birth-death process whose rate of service rises with it by the power 1 - slope.

    References
    ----------
    .. [1] Gaver, "A waiting line with interrupted service, including priorities", JRSS B 24(1), 1962.
    """
    mean_s, square_s2 = line.prompts.moment(kept, 1), line.prompts.moment(kept, 2)
    load = np.minimum(served * line.stall * mean_s, FULL)
    work_s = np.maximum(workload.gaps * step_s, SHORTEST_S)
    bursts = square_s2 + (workload.dispersion - 1.0) * mean_s**2
    interrupted = served * line.stall**2 * bursts / ((1.0 - load) * work_s) * (1.0 + workload.output_variation**2)
    crowd = slope**2 * 0.5 * (workload.dispersion + 1.0) / (np.maximum(in_service, 1.0) * np.maximum(1.0 - slope, 0.05))
    return interrupted + crowd + STEP_VARIATION**2
