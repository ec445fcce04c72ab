"""CPU servers of a layout: cores, watts and dollars of alike servers together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CPU_ROLE = "support"  # of the racks that they stand in


@dataclass(frozen=True, slots=True)
class CpuServerRow:
    """Alike CPU servers."""

    id: int
    name: str
    product_id: int
    n_units: int


@dataclass(frozen=True, slots=True)
class SizedCpuServers:
    """CPU servers together."""

    name: str
    n_units: int
    cores: float
    max_power_w: float
    idle_power_w: float
    price_usd: float | None  # None where the catalogue has no price


def sized_cpu_servers(row: CpuServerRow, facts: Mapping[str, Any]) -> SizedCpuServers:
    """Return what a row's servers are together, by their product's facts."""
    price = facts.get("price_estimate_usd")
    return SizedCpuServers(
        row.name,
        row.n_units,
        row.n_units * float(facts["cores"]),
        row.n_units * float(facts["max_power_w"]),
        row.n_units * float(facts["idle_power_w"]),
        None if price is None else row.n_units * float(price),
    )
