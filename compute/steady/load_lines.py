"""Load lines of instances: of those that do both phases, and of units whose prompts are read apart.

Instances come as columns (`Instances.columns`): arrays of shape (n, 1) that spread over the knots of a line.
"""

from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from compute.steady.instances import Instances
from compute.steady.open_loop import LoadLine, load_line
from compute.steady.prompt_law import prompt_times
from compute.steady.session_cache import kept_frac, settled_kept_frac
from compute.steps.closed_loop import Scheduling
from compute.steps.collectives import SCALEOUT_BYTES_PER_S
from compute.steps.disaggregation import PREFILL_DERATE
from compute.workload import Workload

FloatArray = NDArray[np.float64]


def both_phases_line(column: Instances, workload: Workload) -> LoadLine:
    """Return the line of instances that read prompts and generate."""
    return load_line(
        column.costs,
        column.scheduling,
        workload,
        limit=column.limit,
        decode_scale=column.decode_scale,
        tier=column.tier,
        fetch_s=column.fetch_s,
    )


def decode_line(column: Instances, workload: Workload) -> LoadLine:
    """Return the line of instances that only generate: prompts, and what was cached of them, cost these nothing."""
    nothing = np.zeros_like(column.decode_scale)
    only = Scheduling(*(nothing for _ in fields(Scheduling)))
    return load_line(
        column.costs, only, replace(workload, sessions=None), limit=column.limit, decode_scale=column.decode_scale
    )


def paired_line(
    prefill: Instances,
    decode: LoadLine,
    workload: Workload,
    *,
    prefill_instances: FloatArray,
    decode_instances: FloatArray,
) -> LoadLine:
    """Return units of prefill and decode instances as one line: decode gives rates, prefill the first token.

    Paused sessions are kept where their prompts are read, in the memory of the prefill instances.

    Parameters
    ----------
    prefill : Instances
        Of each unit, as columns.
    decode : LoadLine
        Of one decode instance of each unit.
    workload : Workload
        What is served.
    prefill_instances, decode_instances : ndarray, shape (n,)
        Of each unit.
    """
    y = decode_instances[:, None]
    rate = decode.requests_per_s * y
    kept, fetched = np.ones_like(rate), np.zeros_like(rate)
    holds_up = prefill.scheduling.stall * prefill.decode_scale  # a prompt's share of its time alone
    if workload.sessions is not None:
        each = rate / prefill_instances[:, None]
        kept = kept_frac(workload.sessions, prefill.limit - 1.0 + prefill.tier, each)
        fetched = kept - kept_frac(workload.sessions, prefill.limit - 1.0, each)
    return replace(
        decode,
        in_service=decode.in_service * y,
        requests_per_s=rate,
        join_s=np.zeros_like(decode.join_s),
        kept=kept,
        fetched=fetched,
        fetch_s=prefill.fetch_s,
        prompts=prompt_times(prefill.costs, workload),
        engine_frac=holds_up,
        shares_engine=False,
        first=np.maximum(prefill.scheduling.first, holds_up),
        fixed_s=fixed_s(prefill),
        prefill_servers=prefill_instances[:, None],
        limit=decode.limit * y,
    )


def fixed_s(prefill: Instances) -> FloatArray:
    """Return the time to the first token beside that of the prompt: once per request, and until its cache is sent."""
    links = SCALEOUT_BYTES_PER_S * prefill.work.accelerators
    return prefill.scheduling.request_s + prefill.exposed * prefill.kv_bytes / links


def kept_when_busy(prefill: Instances, workload: Workload) -> FloatArray:
    """Return the share of paused sessions' contexts kept by instances that prefill without a break [-], (n, 1)."""
    room = prefill.limit - 1.0 + prefill.tier
    if workload.sessions is None:
        return np.ones_like(room)
    prompts = prompt_times(prefill.costs, workload)
    return settled_kept_frac(workload.sessions, room, lambda kept: PREFILL_DERATE / prompts.moment(kept, 1))
