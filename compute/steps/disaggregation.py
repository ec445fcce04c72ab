"""Prefill and decode on separate accelerators: rate matching and transfer of the KV cache between them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compute.steps.closed_loop import ASSUMED_CHUNK_TOKENS, PASSES, Scheduling, prefill_time_s
from compute.steps.collectives import SCALEOUT_BYTES_PER_S
from compute.steps.roofline import StepCosts
from compute.steps.speculation import generation_gap_s

FloatArray = NDArray[np.float64]

# assumed: share of the cache that still has to travel when prefill ends; layers before the last are sent during it
ASSUMED_EXPOSED_TRANSFER_FRAC = 0.1
# Pools do not stay matched: prompt and answer lengths vary. AIConfigurator's derates of either side.
PREFILL_DERATE, DECODE_DERATE = 0.90, 0.92


@dataclass(frozen=True, slots=True, eq=False)
class DisaggregatedState:
    """One deployment of prefill and decode instances; arrays of the broadcast shape."""

    ttft_s: FloatArray
    itl_s: FloatArray
    requests_per_s: FloatArray
    decode_batch: FloatArray  # per decode instance
    prefill_busy_frac: FloatArray
    prefill_s: FloatArray  # of a prompt that shares its steps with those that wait beside it
    transfer_s: FloatArray
    burst_s: FloatArray  # part of ttft_s that the requests of a benchmark's start add to the mean


def disaggregated_loop(
    prefill: StepCosts,
    decode: StepCosts,
    scheduling: Scheduling,
    *,
    prefill_instances: ArrayLike,
    prefill_ranks: ArrayLike,
    decode_instances: ArrayLike,
    concurrency: ArrayLike,
    input_tokens: ArrayLike,
    output_tokens: ArrayLike,
    kv_bytes: ArrayLike,
    link_bytes_per_s: ArrayLike = SCALEOUT_BYTES_PER_S,
    admitted_limit: ArrayLike = np.inf,
    exposed_frac: ArrayLike = ASSUMED_EXPOSED_TRANSFER_FRAC,
) -> DisaggregatedState:
    """Return the steady state of `concurrency` requests in flight over a disaggregated deployment.

    A request waits for a prefill instance, is prefilled, its cache is sent, and it then generates without prompts in
    its steps. The prefill pool is a queue of several servers in a closed network, solved by Schweitzer's approximation
    of mean value analysis [1]_ with Seidmann's rule for the servers; generation is a delay that grows with the batch.

    References
    ----------
    .. [1] Bolch et al., "Queueing Networks and Markov Chains", 2nd ed., sections 9.1.1 and 10.1.

    Parameters
    ----------
    prefill, decode : StepCosts
        Of one instance of either pool.
    scheduling : Scheduling
        `stall` is the share of a prompt's time by which it holds its worker up; there is no interleaving with
        generation to describe. Prompts that start together wait for each other (`wave`, `burst`) in the prefill pool.
    prefill_instances, decode_instances : array_like
        Instances of either pool.
    prefill_ranks : array_like
        Attention ranks of a prefill instance, each of which takes a budget of prompt tokens into a step: prompts that
        queue share the reading of weights.
    concurrency : array_like
        Requests in flight over the deployment, finite.
    kv_bytes : array_like
        Cache of one prompt that is sent [bytes].
    admitted_limit : array_like
        Requests that one decode instance holds.
    exposed_frac : array_like
        Share of the transfer's time at the full speed of the links by which it delays the first token.
    """
    n_out = np.asarray(output_tokens, dtype=np.float64)
    n_in = np.asarray(input_tokens, dtype=np.float64)
    in_flight = np.asarray(concurrency, dtype=np.float64)
    n_prefill, n_decode = np.asarray(prefill_instances, float), np.asarray(decode_instances, float)
    alone_s = prefill_time_s(prefill, n_in)
    transfer_s = np.asarray(exposed_frac) * np.asarray(kv_bytes) / np.asarray(link_bytes_per_s)
    bunch = np.maximum(1.0, np.asarray(prefill_ranks, dtype=np.float64) * ASSUMED_CHUNK_TOKENS / n_in)
    # prompts that wait together share steps, but no more of them than a worker finds waiting
    bunch = np.minimum(bunch, np.maximum(in_flight / n_prefill, 1.0))
    shared_s = prefill_time_s(prefill, n_in, bunch=bunch) * scheduling.stall
    # a pool of n servers as one of n times the speed, the rest of a prompt's time being a delay (Seidmann's rule)
    served_s = shared_s / (PREFILL_DERATE * n_prefill)
    fixed_s = scheduling.request_s + scheduling.first * alone_s + transfer_s
    gaps = np.maximum(n_out - 1.0, 1e-9)  # the first token comes from the prefill pool
    context = n_in + n_out / 2.0
    seats = np.maximum(admitted_limit, 1e-9)
    most = np.minimum(in_flight / n_decode, seats)
    batch = most
    others = np.maximum(in_flight - 1.0, 0.0)
    burst_s = scheduling.burst * others * served_s + scheduling.warm_s
    ahead_s = fixed_s + scheduling.wave * others * served_s + burst_s
    for _ in range(2 * PASSES):
        step_s = generation_gap_s(decode, sequences=np.maximum(batch, 1e-9), context_tokens=context)
        decoding_s = gaps * step_s
        # mean value analysis of one queue beside a delay: an arrival finds what the others leave there on average
        away_s = ahead_s + decoding_s
        excess = away_s - served_s - others * served_s
        queued_s = 0.5 * (np.sqrt(excess**2 + 4.0 * served_s * away_s) - excess) - served_s
        rate = np.minimum(in_flight / (away_s + queued_s), DECODE_DERATE * seats * n_decode / decoding_s)
        rate = np.minimum(rate, 1.0 / served_s)
        # averaging damps the swing between a full and an empty decode pool
        batch = 0.5 * batch + 0.5 * np.minimum(rate * decoding_s / n_decode, most)
    wait_s = np.maximum(in_flight / rate - away_s, 0.0)
    return DisaggregatedState(
        ttft_s=ahead_s + wait_s,
        itl_s=step_s,
        requests_per_s=rate,
        decode_batch=batch,
        prefill_busy_frac=np.minimum(rate * served_s, 1.0),
        prefill_s=shared_s,
        transfer_s=transfer_s,
        burst_s=burst_s,
    )
