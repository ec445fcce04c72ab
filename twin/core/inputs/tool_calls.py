"""CPU time of tool calls, routers and planners: cores that a use case keeps busy, and the servers that give them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from power_cooling.site_arrays import FloatArray
from twin.core.inputs.cpu_servers import SizedCpuServers
from twin.core.inputs.equipment import IntArray, RackTable
from twin.core.inputs.layout import LayoutInputs, WorkloadShare
from twin.core.inputs.pools import Pool

ASSUMED_REQUEST_CORE_S = 0.05  # CPU time of a request beside its tools: routing, tokens to text, guards, logs
ASSUMED_BUSIEST_CPU_FRAC = 0.7  # of cores busy in the busiest hour: above, tool calls wait for one another


def calls_per_request(share: WorkloadShare) -> float:
    """Return the tool calls of one request of a use case: those of a turn over its requests."""
    facts = share.workload.facts
    return float(facts.get("tool_calls_per_turn") or 0.0) / float(facts.get("llm_calls_per_turn") or 1.0)


def tool_core_s(share: WorkloadShare) -> float:
    """Return the CPU time of one tool call [core s]: the scenario's, else the use case's."""
    return float((share.workload.facts.get("tool_core_s") or 0.0) if share.tool_core_s is None else share.tool_core_s)


def request_core_s(share: WorkloadShare) -> float:
    """Return the CPU time of one request of a use case [core s]: its tool calls, and what each request takes."""
    return calls_per_request(share) * tool_core_s(share) + ASSUMED_REQUEST_CORE_S


def busy_cores(inputs: LayoutInputs, pools: Sequence[Pool], requests_per_s: FloatArray) -> FloatArray:
    """Return the cores that requests keep busy, on average over each hour, shape (n_hours,).

    Parameters
    ----------
    inputs : LayoutInputs
    pools : sequence of Pool
    requests_per_s : ndarray, shape (n_hours, n_pools)
    """
    of_workload = {share.workload.slug: request_core_s(share) for share in inputs.scenario.workloads}
    return requests_per_s @ np.array([of_workload[pool.workload] for pool in pools])


def servers_needed(cores: float, servers: Iterable[SizedCpuServers]) -> int | None:
    """Return how many servers of the described kind the busiest hour needs; None where none is described."""
    servers = list(servers)
    units = sum(each.n_units for each in servers)
    if not units:
        return None
    per_unit = sum(each.cores for each in servers) / units
    return int(np.ceil(cores / (ASSUMED_BUSIEST_CPU_FRAC * per_unit) - 1e-9))


def cores_by_load(inputs: LayoutInputs, pools: Sequence[Pool]) -> tuple[int, float]:
    """Return the pool that keeps most cores busy, and the share of the servers' cores busy at its full load.

    Cores follow its load, with what the other pools keep busy in proportion; where cores are short all are busy.
    """
    capacity = np.array([pool.capacity_per_s for pool in pools])
    served = np.minimum(np.stack([pool.work_per_s for pool in pools], axis=1), capacity)
    alone = [busy_cores(inputs, [pool], served[:, [i]]).mean() for i, pool in enumerate(pools)]
    busiest = int(np.argmax(alone))
    cores = sum(each.cores for each in inputs.cpus())
    load = served[:, busiest].mean() / capacity[busiest] if capacity[busiest] > 0 else 0.0
    return busiest, min(float(busy_cores(inputs, pools, served).mean() / load / cores), 1.0) if load > 0 else 0.0


def drawn_by_load(
    inputs: LayoutInputs, table: RackTable, pools: Sequence[Pool], rack_pool: IntArray
) -> tuple[RackTable, IntArray]:
    """Return racks whose CPU servers draw by the demand, and the pool whose load each rack follows.

    Parameters
    ----------
    inputs : LayoutInputs
    table : RackTable
        With the CPU servers at their highest power.
    pools : sequence of Pool
    rack_pool : ndarray, shape (n_racks,)
        -1 for racks without accelerators.
    """
    rows = np.array(inputs.cpu_racks, dtype=np.int64)
    if not rows.size:
        return table, rack_pool
    servers = inputs.cpus()
    idle_w, highest_w = (sum(getattr(each, name) for each in servers) for name in ("idle_power_w", "max_power_w"))
    busiest, at_full_load_frac = cores_by_load(inputs, pools)
    bank = {name: values.copy() for name, values in table.bank.items()}
    bank["fixed_w"][rows] = idle_w / rows.size
    bank["per_load_w"][rows] = (highest_w - idle_w) * at_full_load_frac / rows.size
    follows = rack_pool.copy()
    follows[rows] = busiest
    return replace(table, bank=bank), follows
