"""What feeds carry and what stands behind them, from the description alone.

Loads no solver, so that drawings may ask without waiting for one.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from twin.core.inputs.layout import FeedRow, LayoutInputs

PRIME = "prime"  # `FeedRow.operation` of a generator that runs all year
SHAVING = "shaving"  # and of a battery that lowers the highest power from the grid


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
    @property
    def operation(self) -> str: ...


FeedT = TypeVar("FeedT", bound="Feed")


def standby_generators(feeds: Sequence[Feed]) -> dict[int | None, str]:
    """Return which generator stands behind each utility: of its redundancy group, else the only that waits or there is.

    One that runs beside the utility stands behind it too, after those that wait; an island does not.
    """
    islands = {feed.id for feed in prime_feeds(feeds)} & {feed.parent_id for feed in feeds}
    roots = [feed for feed in feeds if feed.kind == "generator" and feed.parent_id is None]
    generators = sorted((feed for feed in roots if feed.id not in islands), key=lambda feed: feed.operation == PRIME)
    waiting = [feed for feed in generators if feed.operation != PRIME]
    only = next((kind for kind in (waiting, generators) if len(kind) == 1), [])
    behind: dict[int | None, str] = {}
    for feed in feeds:
        if feed.kind == "utility":
            grouped = [g for g in generators if g.redundancy_group == feed.redundancy_group]
            if chosen := grouped or only:
                behind[feed.id] = chosen[0].name
    return behind


def prime_feeds(feeds: Sequence[FeedT]) -> list[FeedT]:
    """Return the generators that run all year."""
    return [feed for feed in feeds if feed.kind == "generator" and feed.operation == PRIME]


def is_shaving(feed: Feed) -> bool:
    """Return whether a feed is a battery that lowers the highest power from the grid."""
    return feed.kind == "bess" and feed.operation == SHAVING


def parallel_utilities(feeds: Sequence[Feed]) -> dict[int, str]:
    """Return the utility that each prime generator runs beside: of its redundancy group, else the first there is.

    A generator that feeds something itself is an island, and so is one of a layout without a utility.
    """
    utilities = [feed for feed in feeds if feed.kind == "utility"]
    parents = {feed.parent_id for feed in feeds}
    found = {}
    for feed in prime_feeds(feeds):
        if feed.id not in parents and utilities:
            grouped = [u for u in utilities if u.redundancy_group == feed.redundancy_group]
            found[feed.id] = (grouped or utilities)[0].name
    return found


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
