"""CPU time of requests, and what a shortage of cores does to them.

Each request visits the CPU servers once for itself (routing, tokens to text, guards, logs) and once for each of its
tool calls. All use cases share the cores. Where they are short, a visit waits for a core, and requests that the cores
cannot take in an hour stay at the door, as those above the accelerators' capacity do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from power_cooling.site_arrays import FloatArray
from twin.core.inputs.cpu_servers import SizedCpuServers
from twin.core.inputs.layout import LayoutInputs, WorkloadShare

ASSUMED_REQUEST_CORE_S = 0.05  # CPU time of a request beside its tools: routing, tokens to text, guards, logs
ASSUMED_MOST_CPU_FRAC = 0.95  # of cores busy over an hour: what would wait longer is held at the door
EXPONENTIAL_P95 = 3.0  # 95th percentile of a wait over its mean: ln 20, of who has to wait in a queue of many servers


@dataclass(frozen=True, slots=True)
class CpuTime:
    """What requests of one use case take of the CPU servers."""

    core_s: float  # of one request, with its tool calls
    visits: float  # of one request: itself and its tool calls
    cores: float  # that all use cases share; infinite where no CPU servers are described


def cpu_time(inputs: LayoutInputs, share: WorkloadShare) -> CpuTime:
    """Return what requests of a use case take of a layout's CPU servers."""
    servers = inputs.cpus()
    cores = sum(each.cores for each in servers) if servers else np.inf
    return CpuTime(request_core_s(share), 1.0 + calls_per_request(share), cores)


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


def most_cores(servers: Iterable[SizedCpuServers]) -> float:
    """Return the cores that servers keep busy over an hour at most."""
    return ASSUMED_MOST_CPU_FRAC * sum(each.cores for each in servers)


def let_through_per_s(cpus: Sequence[CpuTime], wanted_per_s: FloatArray) -> FloatArray:
    """Return the requests per second of each pool that the CPU servers can take, shape (n_hours, n_pools).

    The cores go to the pools in proportion to the CPU time that they want in the hour.

    Parameters
    ----------
    cpus : sequence of CpuTime
        Of the pools.
    wanted_per_s : ndarray, shape (n_hours, n_pools)
        Requests that the accelerators would serve.
    """
    cores = cpus[0].cores if cpus else np.inf
    if not np.isfinite(cores):
        return np.broadcast_to(np.inf, wanted_per_s.shape)
    busy = wanted_per_s @ np.array([cpu.core_s for cpu in cpus])
    more = np.divide(ASSUMED_MOST_CPU_FRAC * cores, busy, out=np.full(busy.size, np.inf), where=busy > 0)
    return np.where(np.isfinite(more)[:, None], wanted_per_s * np.where(np.isfinite(more), more, 1.0)[:, None], np.inf)


def wait_s(cpus: Sequence[CpuTime], requests_per_s: FloatArray) -> FloatArray:
    """Return how long a request waits for cores over all its visits, mean over the hour, shape (n_hours, n_pools) [s].

    Of c cores that are busy to a share ρ by visits of a mean length s, a visit waits
    s ρ^(√(2 (c + 1)) - 1) / (c (1 - ρ)) [1]_, exact for one core.

    Parameters
    ----------
    cpus : sequence of CpuTime
        Of the pools.
    requests_per_s : ndarray, shape (n_hours, n_pools)
        Requests that are served.

    References
    ----------
    .. [1] H. Sakasegawa, *An approximation formula Lq = α ρ^β / (1 - ρ)*, Annals of the Institute of Statistical
       Mathematics 29 (1977) 67-75.
    """
    cores = cpus[0].cores if cpus else np.inf
    if not np.isfinite(cores):
        return np.broadcast_to(0.0, requests_per_s.shape)
    visits = np.array([cpu.visits for cpu in cpus])
    busy, arriving = requests_per_s @ np.array([cpu.core_s for cpu in cpus]), requests_per_s @ visits
    mean_s = np.divide(busy, arriving, out=np.zeros(busy.size), where=arriving > 0)
    busy_frac = np.minimum(busy / cores, ASSUMED_MOST_CPU_FRAC)
    of_visit = mean_s * busy_frac ** (np.sqrt(2 * (cores + 1)) - 1) / (cores * (1 - busy_frac))
    return of_visit[:, None] * visits
