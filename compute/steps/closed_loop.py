"""Closed-form steady state of one serving instance under continuous batching, vectorised over operating points.

A request passes prefill (time P alone), which yields its first token, and O - 1 more steps. An instance that holds B
requests spends, in the time one request lives, the prefill of B requests and O - 1 decode steps. Of that prefill a
request sees one part as its own waiting for the first token (it grows with the number of requests that start together)
and the other part as longer steps while it generates:

    ttft = request + first P + (wave + burst) (B - 1) P' + stall (B - 1) P' (1 - g) + look + warm + wait for admission
    itl  = T(B_decoding, context) + stall (B - 1) P' g / (O - 1)

`first`, `wave` and `stall` are the scheduler's three coefficients; `burst` and `warm` are a benchmark's, and count in
means only: it sends its first requests all at once, some of them wait for kernels to be compiled, and one in ten
requests is among them. g is the share of a request's life in which it generates; the rest of the stall joins its wait.
P' is the time of a prompt that shares its steps with the 2 wave (B - 1) others that start with it (weights are read
once for all). An engine that looks for new requests every so many steps lets each wait for half of them, and for the
prompts of others that the same look finds (`look`). Requests beyond what KV memory admits wait outside; Little's law
over the closed loop gives how long.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compute.steps.roofline import StepCosts, clocked, step_time_s
from compute.steps.speculation import generation_gap_s, tokens_per_step

FloatArray = NDArray[np.float64]

# assumed: prompt tokens that engines take into one step (vLLM and TensorRT-LLM default to 8192)
ASSUMED_CHUNK_TOKENS = 8192.0
PASSES = 6  # of the fixed point between decoding requests and step time; the map halves its error in each


@dataclass(frozen=True, slots=True, eq=False)
class Scheduling:
    """How an engine interleaves prompts with generation; arrays of shape (n,) or ()."""

    request_s: FloatArray  # tokenise, queue, first response: once per request
    first: FloatArray  # first token of a lone request, in units of its prefill time
    wave: FloatArray  # share of each other request's prefill that a request waits for before its first token
    stall: FloatArray  # share of the others' prefill that lengthens a request's generation
    burst: FloatArray  # as `wave`, of those requests that a benchmark sends at its start; 0 where arrivals are steady
    warm_s: FloatArray  # what kernels compiled during those requests add to the mean; 0 where the engine is warm

    def __post_init__(self) -> None:
        for field in fields(self):
            values = np.atleast_1d(np.asarray(getattr(self, field.name), dtype=np.float64))
            bad = np.flatnonzero(~(values >= 0))
            if bad.size:
                raise ValueError(f"Scheduling.{field.name}[{bad[0]}] is {values[bad[0]]}; must be 0 or more")


@dataclass(frozen=True, slots=True, eq=False)
class SteadyState:
    """One instance at each operating point; arrays of the broadcast shape."""

    ttft_s: FloatArray
    itl_s: FloatArray
    wait_s: FloatArray  # part of ttft_s spent before admission
    burst_s: FloatArray  # part of ttft_s that the requests of a benchmark's start add to the mean
    prefill_s: FloatArray  # a lone request's prefill
    decode_step_s: FloatArray  # per token of a step without prompts in it
    admitted: FloatArray  # requests inside the engine
    decoding: FloatArray  # of those, generating
    requests_per_s: FloatArray


def prefill_time_s(
    costs: StepCosts, new_tokens: ArrayLike, cached_tokens: ArrayLike = 0.0, bunch: ArrayLike = 1.0
) -> FloatArray:
    """Return the time to prefill one prompt in chunks of the token budget [s], of the broadcast shape.

    With pipeline stages chunks follow each other through them, so a long prompt takes 1/stages of its time plus the
    filling of the pipe; one chunk takes all stages.

    Parameters
    ----------
    costs : StepCosts
        Of each deployment, shape (n,); the other arguments broadcast against it.
    new_tokens, cached_tokens : array_like
        Prompt tokens to compute, and those before them that the prefix cache holds [tokens].
    bunch : array_like
        Prompts that share a step where they fit its budget; the time is then the step's over their number.
    """
    if np.any(costs.prefill_clock_frac != 1.0):  # a power cap slows prompts first
        costs = clocked(costs, costs.prefill_clock_frac)
    n, together = np.asarray(new_tokens, dtype=np.float64), np.asarray(bunch, dtype=np.float64)
    chunks = np.maximum(1.0, n / ASSUMED_CHUNK_TOKENS)
    pairs = n * np.asarray(cached_tokens, dtype=np.float64) + n * n / 2.0
    chunk_s = step_time_s(
        costs,
        decode_sequences=0.0,
        context_tokens=0.0,
        prefill_tokens=n * together / chunks,
        prefill_pairs=pairs * together / chunks,
        prefill_sequences=together / chunks,
    )
    stages = costs.pipeline_parallel
    return chunk_s * (chunks + stages - 1.0) / stages / together


def _unseen_tokens(costs: StepCosts, look_steps: ArrayLike) -> FloatArray:
    """Return the tokens that a sequence generates in steps before which an engine does not look for new requests."""
    steps = np.asarray(look_steps, dtype=np.float64) - 1.0
    if not np.any(costs.draft_tokens):
        return steps
    return steps * tokens_per_step(costs.draft_tokens, costs.draft_acceptance)


def closed_loop(
    costs: StepCosts,
    scheduling: Scheduling,
    *,
    concurrency: ArrayLike,
    input_tokens: ArrayLike,
    output_tokens: ArrayLike,
    cached_tokens: ArrayLike = 0.0,
    context_tokens: ArrayLike | None = None,
    admitted_limit: ArrayLike = np.inf,
    look_steps: ArrayLike = 1.0,
) -> SteadyState:
    """Return the steady state with a fixed number of requests in flight per instance.

    Parameters
    ----------
    costs : StepCosts
        Of each deployment, shape (n,); the other arguments broadcast against it.
    scheduling : Scheduling
        Of each deployment.
    concurrency : array_like
        Requests in flight per instance; inf where all requests are queued at once (needs a finite limit).
    input_tokens, output_tokens, cached_tokens : array_like
        Mean prompt, answer, and the part of the prompt found in the prefix cache.
    context_tokens : array_like, optional
        Mean over the steps of generation; prompt and half the answer where answers are alike.
    admitted_limit : array_like
        Requests that memory and seats admit.
    look_steps : array_like
        Steps of generation from one look for new requests to the next; 1 where an engine looks before each.
    """
    n_out = np.asarray(output_tokens, dtype=np.float64)
    n_in = np.asarray(input_tokens, dtype=np.float64)
    in_flight = np.asarray(concurrency, dtype=np.float64)
    limit = np.asarray(admitted_limit, dtype=np.float64)
    admitted = np.minimum(in_flight, np.maximum(limit, 1e-9))
    new = n_in - np.asarray(cached_tokens, dtype=np.float64)
    alone_s = prefill_time_s(costs, new, cached_tokens)
    context = n_in + n_out / 2.0 if context_tokens is None else np.asarray(context_tokens, dtype=np.float64)
    others = np.maximum(admitted - 1.0, 0.0)
    gaps = np.maximum(n_out - 1.0, 0.0)  # the prompt's own step yields the first token
    together = 2.0 * scheduling.wave
    if looks_seldom := bool(np.any(np.asarray(look_steps) != 1.0)):
        unseen_tokens = _unseen_tokens(costs, look_steps)
        in_look = np.minimum(unseen_tokens / np.maximum(gaps, 1.0), 1.0)  # of the others, found beside it
        together = together + in_look
    bunch = np.maximum(1.0, np.minimum(1.0 + together * others, ASSUMED_CHUNK_TOKENS / new))
    shared_s = prefill_time_s(costs, new, cached_tokens, bunch)
    burst_s = scheduling.burst * others * shared_s + scheduling.warm_s
    ahead_s = scheduling.request_s + scheduling.first * alone_s + scheduling.wave * others * shared_s + burst_s
    others_s = scheduling.stall * shared_s * others
    if looks_seldom:
        ahead_s = ahead_s + in_look * others_s
    decoding = admitted
    for _ in range(PASSES):
        step_s = generation_gap_s(costs, sequences=np.maximum(decoding, 1e-9), context_tokens=context)
        # a request meets prompts of others while it waits and while it generates, as long as either takes
        stalled_s = others_s * gaps * step_s / (gaps * step_s + alone_s)
        generating_s = gaps * step_s + stalled_s
        first_s = ahead_s + others_s - stalled_s
        if looks_seldom:
            first_s = first_s + 0.5 * unseen_tokens * step_s
        # a step has at least the one request that it is for
        decoding = np.maximum(admitted * generating_s / (generating_s + first_s), np.minimum(admitted, 1.0))
    itl_s = step_s + stalled_s / np.maximum(gaps, 1e-9)
    rate = admitted / (first_s + generating_s)
    with np.errstate(invalid="ignore"):
        wait_s = np.where(np.isfinite(in_flight), np.maximum(in_flight - admitted, 0.0) / rate, np.inf)
        wait_s = np.where(in_flight > admitted, wait_s, 0.0)
    return SteadyState(
        ttft_s=first_s + wait_s,
        itl_s=itl_s,
        wait_s=wait_s,
        burst_s=burst_s,
        prefill_s=alone_s,
        decode_step_s=step_s,
        admitted=admitted,
        decoding=decoding,
        requests_per_s=rate,
    )
