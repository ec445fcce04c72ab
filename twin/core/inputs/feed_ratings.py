"""What feeds carry and what stands behind them, from the description alone.

Loads no solver, so that drawings may ask without waiting for one.
"""

from collections.abc import Sequence
from typing import Protocol

from twin.core.inputs.layout import FeedRow, LayoutInputs


class Feed(Protocol):
    """What of a feed says which generator stands behind it: of the described one, and of the drawn one."""

    @property
    def id(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def parent_id(self) -> int | None: ...
    @property
    def redundancy_group(self) -> str: ...


def standby_generators(feeds: Sequence[Feed]) -> dict[int | None, str]:
    """Return which generator stands behind each utility: of the same redundancy group, else the only one there is."""
    generators = [feed for feed in feeds if feed.kind == "generator" and feed.parent_id is None]
    behind: dict[int | None, str] = {}
    for feed in feeds:
        if feed.kind == "utility":
            grouped = [g for g in generators if g.redundancy_group == feed.redundancy_group]
            chosen = grouped or (generators if len(generators) == 1 else [])
            if chosen:
                behind[feed.id] = chosen[0].name
    return behind


def rating_w(inputs: LayoutInputs, feed: FeedRow) -> float:
    """Return the continuous rating of one unit of a feed: its own, else its product's, else the grid limit [W]."""
    if feed.rating_w is not None:
        return float(feed.rating_w)
    product = inputs.product(feed.product_id)
    if product is not None and product.rating_w:
        return product.rating_w
    if feed.kind == "utility":
        return float(inputs.site.grid_limit_w)
    raise ValueError(f"Feed {feed.name} has neither rating_w nor a product; give it one of them")
