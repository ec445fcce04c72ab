"""What a solved layout is made of: products of a snapshot with counts and the prices they had."""

from typing import Any

from twin.core.inputs.layout import LayoutInputs
from twin.core.results.capital import capital_items


def bill_rows(inputs: LayoutInputs) -> tuple[list[list[Any]], list[str]]:
    """Return what a snapshot's layout is made of, most expensive first, and the names of products without a price.

    A row has product, vendor, use, quantity, what it is counted in, price each, price with its low and high, year and
    confidence of the price, source.
    """
    items = capital_items(inputs)
    rows = [
        [
            item.product,
            item.vendor,
            item.used_for,
            item.quantity,
            item.unit,
            item.unit_price_usd,
            item.usd,
            item.low_usd,
            item.high_usd,
            item.year,
            item.confidence,
            item.source,
        ]
        for item in items
    ]
    return rows, [item.product for item in items if item.usd is None]
