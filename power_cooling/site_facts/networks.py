"""Networks between hosts: switches, cables, optics, watts and dollars, counted from the racks that they join.

The description buys what is counted here, and a run draws its watts and moves its bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor
from typing import Any, Protocol


class Network(Protocol):
    """What is described of one network between hosts, sized from the racks."""

    @property
    def name(self) -> str: ...
    @property
    def purpose(self) -> str: ...
    @property
    def ports_per_accelerator(self) -> float: ...
    @property
    def port_bits_per_s(self) -> float: ...
    @property
    def rails(self) -> int: ...
    @property
    def oversubscription(self) -> float: ...


@dataclass(frozen=True, slots=True)
class SizedFabric:
    """One network, sized. Watts are of its switches and transceivers together, dollars of these and the cables."""

    name: str
    purpose: str
    n_host_ports: int
    n_leaves: int
    n_spines: int  # of all tiers above the leaves
    n_tiers: int
    n_cables: int
    n_optics: int
    max_power_w: float
    typical_power_w: float
    price_usd: float
    without_price: tuple[str, ...]  # products that the price leaves out
    bytes_per_s_per_accelerator: float  # through the spine, one way

    @property
    def counts(self) -> tuple[int, ...]:
        """How many of each of `PARTS` it takes."""
        return (self.n_leaves, self.n_spines, self.n_optics, self.n_cables)


#: What a network is bought of, by the names of its fields, in the order that `SizedFabric.counts` has.
PARTS = ("leaf", "spine", "optics", "cable")


def size_fabric(
    fabric: Network,
    n_accelerators: float,
    leaf: Mapping[str, Any],
    spine: Mapping[str, Any],
    optics: Mapping[str, Any],
    cable: Mapping[str, Any],
) -> SizedFabric:
    """Return how many switches, cables and transceivers a network takes.

    Leaves have their ports split between hosts and spine in the stated proportion [1]_. Rails have leaves of their own.
    Where a spine switch has fewer ports than there are leaves, a third tier joins the spines, as a folded Clos.
    The highest watts of a switch are those with transceivers in its ports, its typical ones are without [2]_: of the
    transceivers the highest watts add those at the hosts' ends, the typical ones all.

    Parameters
    ----------
    fabric : Network
    n_accelerators : float
    leaf, spine, optics, cable : mapping
        Facts of the products; empty where there is none.

    References
    ----------
    .. [1] C. Leiserson, *Fat-Trees*, IEEE Trans. Computers C-34 (1985); NVIDIA DGX SuperPOD reference architecture.
    .. [2] NVIDIA QM9700 user manual: 747 W with passive cables, at most 1720 W with active ones.
    """
    host_ports = ceil(n_accelerators * fabric.ports_per_accelerator - 1e-9)
    ports, rate = _ports(leaf)
    split = max(floor(rate / (fabric.port_bits_per_s) + 1e-9), 1)
    over = fabric.oversubscription
    down = ports if not spine else max(floor(ports * over / (1 + over) + 1e-9), 1)
    per_rail = ceil(host_ports / fabric.rails)
    n_leaves = fabric.rails * ceil(per_rail / (down * split)) if host_ports else 0
    uplinks, n_spines, tiers = 0, 0, 1
    if spine and n_leaves > 1:
        spine_ports, _ = _ports(spine)
        uplinks = ceil(ceil(host_ports / split) / over - 1e-9)
        tiers = 2
        n_spines = ceil(uplinks / spine_ports)
        if n_leaves > spine_ports:  # the spines have half their ports up to a core that joins them
            tiers, n_spines = 3, ceil(uplinks / (spine_ports // 2)) + n_spines
            uplinks *= 2
    n_cables = host_ports + uplinks
    n_optics = 2 * n_cables if optics else 0
    switches = ((leaf, n_leaves), (spine, n_spines))
    bought = (*switches, (optics, n_optics), (cable, n_cables))
    most_w = sum(n * float(product.get("max_power_w") or 0.0) for product, n in (*switches, (optics, host_ports)))
    typical_w = sum(n * float(product.get("typical_power_w") or 0.0) for product, n in bought)
    return SizedFabric(
        fabric.name,
        fabric.purpose,
        host_ports,
        n_leaves,
        n_spines,
        tiers if host_ports else 0,
        n_cables,
        n_optics,
        most_w,
        min(typical_w, most_w),
        sum(n * float(product.get("price_estimate_usd") or 0.0) for product, n in bought),
        tuple(
            name
            for (product, n), name in zip(bought, PARTS, strict=True)
            if n and not product.get("price_estimate_usd")
        ),
        fabric.ports_per_accelerator * fabric.port_bits_per_s / 8 / (over if spine else 1.0),
    )


def _ports(switch: Mapping[str, Any]) -> tuple[int, float]:
    """Return the ports of a switch and the speed of one [bit/s]."""
    n = int(str(switch["ports"]).split("x")[0])
    return n, float(switch["switching_bits_per_s"]) / n
