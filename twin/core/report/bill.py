"""What a solved layout is made of: products of a snapshot with counts and the prices they had."""

from collections.abc import Iterator
from typing import Any

from twin.core.inputs.layout import LayoutInputs, ProductSheet


def bill_rows(inputs: LayoutInputs) -> tuple[list[list[Any]], list[str]]:
    """Return what a snapshot's layout is made of, most expensive first, and the names of products without a price.

    A row has product, vendor, use, quantity, what it is counted in, price each, price, confidence of the price, source.
    """
    counts: dict[int, float] = {}
    uses: dict[int, set[str]] = {}
    for product_id, quantity, use in _used(inputs):
        if product_id is not None and quantity:
            counts[product_id] = counts.get(product_id, 0) + quantity
            uses.setdefault(product_id, set()).add(use)
    rows = [_row(inputs.products.by_id[key], counts[key], ", ".join(sorted(uses[key]))) for key in counts]
    rows.sort(key=lambda row: (-(row[6] or 0), row[0]))
    return rows, [row[0] for row in rows if row[6] is None]


def _row(product: ProductSheet, quantity: float, used_for: str) -> list[Any]:
    by_length = product.kind == "busways"
    price_name = "price_estimate_usd_per_m" if by_length else "price_estimate_usd"
    price = product.facts.get(price_name)
    confidence = product.field_confidence.get(price_name, product.confidence)
    return [product.name, product.vendor, used_for, quantity, "m" if by_length else "pieces", price,
            None if price is None else price * quantity, confidence, product.source]  # fmt: skip


def _used(inputs: LayoutInputs) -> Iterator[tuple[int | None, float, str]]:
    """Yield (product, quantity, what for) of everything in a snapshot."""
    racks = inputs.racks
    for product_id, n in zip(racks.product_id, racks.n_systems, strict=True):
        yield product_id, n, "racks"
    for cdu in inputs.cdus:
        yield cdu.product_id, 1, "CDUs"
    for hall in inputs.halls:
        yield hall.air_unit_id, hall.n_air_units, "air units"
    kinds = {pk: product.kind for pk, product in inputs.products.by_id.items()}
    for feed in inputs.feeds:
        length = feed.length_m if kinds.get(feed.product_id) == "busways" else 1
        yield feed.product_id, feed.n_units * length, "power"
    for plant in inputs.plants:
        yield plant.heat_rejection_id, plant.n_heat_rejection, plant.name
        yield plant.pump_id, plant.n_pumps, plant.name
        yield plant.chiller_id, plant.n_chillers, plant.name
