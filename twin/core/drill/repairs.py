"""Changes that repair the worst single failures, each tried: applied to a copy of the description and solved again.

Candidates are the obvious ones for what failed: one more unit beside it, a second feed for racks that hang on one,
racks moved to CDUs with room. One is kept if the failure then costs less token capacity.
Prices are the catalogue's; what it has no price for (pipes, cables, labour) is left out and named. Knows no Django.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from twin.core.drill.drill import SingleFailure, capacity_tokens_per_s
from twin.core.failures.kinds import BY_ADDRESS, FailureKind
from twin.core.inputs import equipment
from twin.core.inputs.layout import FeedRow, ProductSheet
from twin.core.solve.simulate import described
from twin.core.solve.steady import DESIGN, outages, solve_steady
from twin.core.solved import Described
from twin.core.text.numbers import quantity_text

N_REPAIRED = 6  # worst failures that repairs are sought for
WORTH_FRAC = 0.01  # of what the failure costs; a repair that recovers less is none
NEW_ID = -1  # of a unit that is only tried
NO_PRICE = "no price in the catalogue"
EDITED_AS = {"halls": "hall", "plants": "cooling_plant"}  # tables of units that are counted


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the description: rows of `inputs` to put in place of the described ones."""

    text: str
    edit: dict[str, Any]  # as the drawing board's edits write it
    tables: dict[str, Any]
    capital_usd: float | None
    capital_source: str


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A change that was tried and helps."""

    change: Change
    failure: SingleFailure
    recovers_tokens_per_s: float
    recovers_all: bool

    def as_json(self) -> dict[str, Any]:
        """Return it as pages read it."""
        return {
            "text": self.text,
            "failure": self.failure.out,
            "change": self.change.edit,
            "recovers_tokens_per_s": self.recovers_tokens_per_s,
            "capital_usd": self.change.capital_usd,
            "capital_source": self.change.capital_source,
            "tokens_per_s_per_usd": self.per_usd,
        }

    @property
    def per_usd(self) -> float | None:
        """Tokens per second recovered per dollar."""
        return self.recovers_tokens_per_s / self.change.capital_usd if self.change.capital_usd else None

    @property
    def text(self) -> str:
        """What to do and what it brings."""
        gain = quantity_text(self.recovers_tokens_per_s, "tok/s")
        share = "all" if self.recovers_all else gain
        return f"{self.change.text}: recovers {share} of what losing {self.failure.component.name} costs."


def suggestions(year: Described, failures: Sequence[SingleFailure]) -> list[Suggestion]:
    """Return the changes that repair the worst failures, most tokens per dollar first; those without a price last.

    Parameters
    ----------
    year : Described
    failures : sequence of SingleFailure
        Of `drill.ranking`, worst first.
    """
    found = []
    for failure in [f for f in failures if f.lost_tokens_per_s > 0][:N_REPAIRED]:
        for change in candidates(year, failure):
            recovered = recovered_tokens_per_s(year, failure, change)
            if recovered > WORTH_FRAC * failure.lost_tokens_per_s:
                all_of_it = recovered > (1 - WORTH_FRAC) * failure.lost_tokens_per_s
                found.append(Suggestion(change, failure, recovered, all_of_it))
    return sorted(found, key=lambda s: (s.per_usd is None, -(s.per_usd or 0.0), -s.recovers_tokens_per_s))


def recovered_tokens_per_s(year: Described, failure: SingleFailure, change: Change) -> float:
    """Return how much less token capacity the failure costs in the changed layout, at the design hour [tokens/s].

    A change that cannot be solved recovers nothing.
    """
    try:
        changed = described(replace(year.inputs, **change.tables))
        steady = solve_steady(changed, [DESIGN, DESIGN], [(), outages(changed, failure.out)], keep_racks=False)
    except ValueError:
        return 0.0
    possible = capacity_tokens_per_s(steady)
    return failure.lost_tokens_per_s - max(0.0, float(possible[0] - possible[1]))


def candidates(year: Described, failure: SingleFailure) -> Iterator[Change]:
    """Yield the changes to try for one failure."""
    kind, row_id = failure.out.split(":")
    if kind == "cdu":
        yield _one_more_cdu(year, int(row_id))
        yield from _racks_moved(year, int(row_id))
    elif BY_ADDRESS[kind].count:
        yield _one_more(year, BY_ADDRESS[kind], int(row_id))
    elif kind == "feed":
        yield from _feed_changes(year, int(row_id))


def _row(year: Described, table: str, row_id: int) -> Any:
    return next(row for row in getattr(year.inputs, table) if row.id == row_id)


def _with(year: Described, table: str, row_id: int, **changed: Any) -> dict[str, Any]:
    rows = getattr(year.inputs, table)
    return {table: tuple(replace(row, **changed) if row.id == row_id else row for row in rows)}


def _by_length(product: ProductSheet | None) -> bool:
    return product is not None and product.kind == "busways"


def _price(year: Described, product_id: int | None, quantity: float = 1.0) -> tuple[float | None, str]:
    """Return what some of a product cost and where the price is from."""
    entry = year.inputs.product(product_id)
    if entry is None:
        return None, NO_PRICE
    name = "price_estimate_usd_per_m" if _by_length(entry) else "price_estimate_usd"
    price = entry.facts.get(name)
    if price is None:
        return None, f"{entry.name}: {NO_PRICE}"
    confidence = entry.field_confidence.get(name, entry.confidence)
    return float(price) * quantity, f"{entry.name}, {confidence}: {entry.source}"


def _one_more(year: Described, kind: FailureKind, row_id: int) -> Change:
    row = _row(year, kind.table, row_id)
    n = getattr(row, kind.count) + 1
    return Change(
        f"One more {kind.words} for {row.name} ({n} in all)",
        {"op": "update", "kind": EDITED_AS[kind.table], "id": row_id, kind.count: n},
        _with(year, kind.table, row_id, **{kind.count: n}),
        *_price(year, getattr(row, kind.product)),
    )


def _one_more_cdu(year: Described, row_id: int) -> Change:
    row = _row(year, "cdus", row_id)
    name = f"{row.group} spare"
    unit = replace(row, id=NEW_ID, name=name)
    n = sum(cdu.group == row.group for cdu in year.inputs.cdus) + 1
    return Change(
        f"One more CDU in {row.group} ({n} in all)",
        {"op": "create", "kind": "cdu", "like": row_id, "name": name, "group": row.group},
        {"cdus": (*year.inputs.cdus, unit)},
        *_price(year, row.product_id),
    )


def _racks_moved(year: Described, row_id: int) -> Iterator[Change]:
    """Yield the move of as many racks as the group lacks units for, to the group of the hall with most room."""
    inputs, bank = year.inputs, year.table.bank
    groups = equipment.cdu_groups(inputs)
    names, here = list(groups), _row(year, "cdus", row_id)
    flow = np.bincount(
        np.maximum(bank["cdu_index"], 0),
        np.where(bank["cdu_index"] >= 0, bank["coolant_flow_kg_s"], 0.0),
        minlength=len(names),
    )
    cdus = year.site.cdu_groups
    spare = (cdus.n_units - 1) * cdus.secondary_flow_kg_s * cdus.max_flow_frac - flow
    full = names.index(here.group)
    same_hall = [g for g, name in enumerate(names) if g != full and groups[name][0].hall_id == here.hall_id]
    if not same_hall or spare[full] >= 0:
        return
    to = max(same_hall, key=lambda g: spare[g])
    movable = np.flatnonzero((bank["cdu_index"] == full) & (bank["coolant_flow_kg_s"] > 0))[::-1]
    carried = np.cumsum(bank["coolant_flow_kg_s"][movable])
    n = int(np.searchsorted(carried, -spare[full])) + 1
    if n > movable.size or carried[n - 1] > spare[to]:
        return
    ids = [inputs.racks.id[i] for i in movable[:n]]
    target = groups[names[to]][0]
    moved = set(ids)
    cdu_id = tuple(
        target.id if pk in moved else old for pk, old in zip(inputs.racks.id, inputs.racks.cdu_id, strict=True)
    )
    yield Change(
        f"Move {n} racks from {here.group} to {names[to]}, which has room",
        {"op": "assign", "racks": ids, "cdu": target.id},
        {"racks": replace(inputs.racks, cdu_id=cdu_id)},
        None,
        f"{NO_PRICE} for pipes and labour",
    )


def _feed_changes(year: Described, row_id: int) -> Iterator[Change]:
    feed = _row(year, "feeds", row_id)
    n = feed.n_units + 1
    by_length = _by_length(year.inputs.product(feed.product_id))
    yield Change(
        f"One more unit of {feed.name} ({n} in all)",
        {"op": "update", "kind": "power_feed", "id": row_id, "n_units": n},
        _with(year, "feeds", row_id, n_units=n),
        *_price(year, feed.product_id, feed.length_m if by_length else 1.0),
    )
    yield from _second_feeds(year, feed)


def _second_feeds(year: Described, feed: FeedRow) -> Iterator[Change]:
    """Yield the second feed for racks that hang below this one alone: of the kind they have, the one with most room."""
    racks, by_id = year.inputs.racks, {row.id: row for row in year.inputs.feeds}

    def below(own: int | None) -> bool:
        while own is not None and own != feed.id:
            own = by_id[own].parent_id
        return own is not None

    sides = list(zip(racks.feed_a_id, racks.feed_b_id, strict=True))
    only = {i: a if a is not None else b for i, (a, b) in enumerate(sides) if (a is None) != (b is None)}
    lone = [i for i, own in only.items() if below(own)]
    if not lone:
        return
    kinds = {by_id[own].kind for i in lone if (own := only[i]) is not None}
    others = [row for row in year.inputs.feeds if row.kind in kinds and not below(row.id)]
    if not others:
        return
    used = Counter(own for pair in sides for own in pair)
    second = min(others, key=lambda row: used[row.id])
    feed_a, feed_b = list(racks.feed_a_id), list(racks.feed_b_id)
    for i in lone:
        (feed_a if sides[i][0] is None else feed_b)[i] = second.id
    yield Change(
        f"A second feed from {second.name} for {len(lone)} racks below {feed.name}",
        {"op": "assign", "racks": [racks.id[i] for i in lone], "feed_b": second.id},
        {"racks": replace(racks, feed_a_id=tuple(feed_a), feed_b_id=tuple(feed_b))},
        None,
        f"{NO_PRICE} for tap-offs and cables",
    )
