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
    transfer_s: FloatArray


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
) -> DisaggregatedState:
    """Return the steady state of `concurrency` requests in flight over a disaggregated deployment.

    A request waits for a prefill instance, is prefilled, its cache is sent, and it then generates without prompts in
    its steps. The slower pool sets the rate; requests queue before it. Fixed point on the rate, which both pools and
    Little's law bound.

    Parameters
    ----------
    prefill, decode : StepCosts
        Of one instance of either pool.
    scheduling : Scheduling
        `request_s` and `first` are used: there is no interleaving to describe.
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
    """
    n_out = np.asarray(output_tokens, dtype=np.float64)
    n_in = np.asarray(input_tokens, dtype=np.float64)
    in_flight = np.asarray(concurrency, dtype=np.float64)
    n_prefill, n_decode = np.asarray(prefill_instances, float), np.asarray(decode_instances, float)
    alone_s = prefill_time_s(prefill, n_in)
    transfer_s = ASSUMED_EXPOSED_TRANSFER_FRAC * np.asarray(kv_bytes) / np.asarray(link_bytes_per_s)
    fixed_s = scheduling.request_s + scheduling.first * alone_s + transfer_s
    bunch = np.maximum(1.0, np.asarray(prefill_ranks, dtype=np.float64) * ASSUMED_CHUNK_TOKENS / n_in)
    shared_s = prefill_time_s(prefill, n_in, bunch=bunch)
    prefill_rate = PREFILL_DERATE * n_prefill / shared_s
    context = n_in + n_out / 2.0
    seats = np.maximum(admitted_limit, 1e-9)
    most = np.minimum(in_flight / n_decode, seats)
    batch = most
    for _ in range(2 * PASSES):
        step_s = generation_gap_s(decode, sequences=np.maximum(batch, 1e-9), context_tokens=context)
        decode_rate = seats * n_decode / (n_out * step_s)
        alone_rate = in_flight / (fixed_s + n_out * step_s)
        rate = np.minimum(np.minimum(prefill_rate, DECODE_DERATE * decode_rate), alone_rate)
        # averaging damps the swing between a full and an empty decode pool
        batch = 0.5 * batch + 0.5 * np.minimum(rate * n_out * step_s / n_decode, most)
    wait_s = np.maximum(in_flight / rate - fixed_s - n_out * step_s, 0.0)
    return DisaggregatedState(
        ttft_s=fixed_s + wait_s,
        itl_s=step_s,
        requests_per_s=rate,
        decode_batch=batch,
        prefill_busy_frac=np.minimum(rate * shared_s / n_prefill, 1.0),
        transfer_s=transfer_s,
    )
