"""CPU servers by the demand: the cores that use cases keep busy, how many servers they need, and what these draw."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from power_cooling.site_arrays import FloatArray
from twin.core.inputs.cpu_servers import SizedCpuServers
from twin.core.inputs.equipment import IntArray, RackTable
from twin.core.inputs.layout import LayoutInputs
from twin.core.inputs.pools import Pool

ASSUMED_BUSIEST_CPU_FRAC = 0.7  # of cores busy in the busiest hour: above, tool calls wait for one another


def busy_cores(pools: Sequence[Pool], requests_per_s: FloatArray) -> FloatArray:
    """Return the cores that requests keep busy, on average over each hour, shape (n_hours,).

    Parameters
    ----------
    pools : sequence of Pool
    requests_per_s : ndarray, shape (n_hours, n_pools)
    """
    return requests_per_s @ np.array([pool.cpu.core_s for pool in pools])


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
    alone = [busy_cores([pool], served[:, [i]]).mean() for i, pool in enumerate(pools)]
    busiest = int(np.argmax(alone))
    cores = sum(each.cores for each in inputs.cpus())
    load = served[:, busiest].mean() / capacity[busiest] if capacity[busiest] > 0 else 0.0
    return busiest, min(float(busy_cores(pools, served).mean() / load / cores), 1.0) if load > 0 else 0.0


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
