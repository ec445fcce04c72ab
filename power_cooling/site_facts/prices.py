"""What one piece of a product costs, by its data sheet."""

from collections.abc import Mapping
from typing import Any

J_PER_KWH = 3.6e6


def price_field(kind: str, facts: Mapping[str, Any]) -> str:
    """Return the name of the fact that a product's price is."""
    if kind == "busways":
        return "price_estimate_usd_per_m"
    by_energy = kind == "bess" and facts.get("price_estimate_usd") is None
    return "price_estimate_usd_per_kwh" if by_energy else "price_estimate_usd"


def unit_price_usd(kind: str, facts: Mapping[str, Any]) -> float | None:
    """Return the price of one piece, or of a metre of busway; None where the sheet has none."""
    field = price_field(kind, facts)
    price = facts.get(field)
    if price is not None and field == "price_estimate_usd_per_kwh":
        energy_j = facts.get("energy_j")
        return None if energy_j is None else float(price) * float(energy_j) / J_PER_KWH
    return None if price is None else float(price)
