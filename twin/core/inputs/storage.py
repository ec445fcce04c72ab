"""Storage of a layout: capacity, bandwidth, watts and dollars, and the cache tier that it gives to each accelerator."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

CACHE, SHARED = "cache", "shared"


@dataclass(frozen=True, slots=True)
class StorageRow:
    """Alike storage units for one purpose."""

    id: int
    name: str
    purpose: str
    product_id: int
    n_units: int


@dataclass(frozen=True, slots=True)
class SizedStorage:
    """Storage units together."""

    name: str
    purpose: str
    n_units: int
    usable_bytes: float
    read_bytes_per_s: float
    write_bytes_per_s: float
    max_power_w: float
    typical_power_w: float
    price_usd: float | None  # None where the catalogue has no price


def sized_storage(row: StorageRow, facts: Mapping[str, Any]) -> SizedStorage:
    """Return what a row's units are together, by their product's facts."""
    price = facts.get("price_estimate_usd")
    return SizedStorage(
        row.name,
        row.purpose,
        row.n_units,
        row.n_units * float(facts["usable_bytes"]),
        row.n_units * float(facts["read_bytes_per_s"]),
        row.n_units * float(facts["write_bytes_per_s"]),
        row.n_units * float(facts["max_power_w"]),
        row.n_units * float(facts["typical_power_w"]),
        None if price is None else row.n_units * float(price),
    )


def cache_tier(
    storages: Iterable[SizedStorage], n_accelerators: float, asked_bytes: float | None
) -> tuple[float, float | None]:
    """Return what each accelerator has of the cache tier: bytes, and bytes a second where it is described.

    A scenario that asks for a size gets no more than stands, if any is described; one that asks for none has all of it.
    Where none is described a stated size is taken at its word: memory of the host, without a price.

    Parameters
    ----------
    storages : iterable of SizedStorage
    n_accelerators : float
        That share the tier.
    asked_bytes : float or None
        For each accelerator, as the scenario states it.
    """
    tiers = [storage for storage in storages if storage.purpose == CACHE]
    if not tiers or n_accelerators <= 0:
        return asked_bytes or 0.0, None
    stands = sum(tier.usable_bytes for tier in tiers) / n_accelerators
    rate = sum(tier.read_bytes_per_s for tier in tiers) / n_accelerators
    return stands if asked_bytes is None else min(asked_bytes, stands), rate
