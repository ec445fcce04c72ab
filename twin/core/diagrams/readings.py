"""What a drawing says at an hour: its nodes' readings as text, their state as a word, their load as a bar.

With a second state (before a failure) a line whose value has moved says both. Pages and their scripts get the same
texts: a script only puts them in place.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from twin.core.diagrams.schematic import STATE, Node, Reading, Slot
from twin.core.results.object_quantities import (
    BEYOND,
    DEAD,
    OK,
    QUANTITIES,
    STATES,
    THROTTLED,
    ObjectQuantity,
    ObjectTable,
)
from twin.core.text.numbers import GAP, indistinct, joined_text, quantity_text, significant

LEAST_SHARE = 1e-3  # that a drawing writes in digits
PARTLY = "partly"  # some of a node's units or racks are out, the rest works


@dataclass(frozen=True, slots=True)
class Shown:
    """What one node says at one hour, texts in the order of its slots."""

    state: str  # ok, throttled, over, partly, dead
    word: str  # the state as text; empty if ok
    texts: tuple[str, ...]
    bar: float  # 0 to 1, of the limit
    n_out: int
    out: tuple[bool, ...]  # of its squares

    def as_json(self) -> dict[str, Any]:
        """Return it as the API gives it."""
        return {"state": self.state, "texts": self.texts, "load_frac": round(self.bar, 3), "out": self.out}


class Readings:
    """A solved state that drawings read from."""

    def __init__(self, tables: Mapping[str, ObjectTable], totals: Mapping[str, Any]) -> None:
        self._tables, self._totals = tables, totals
        self._column = {name: {pk: i for i, pk in enumerate(table.ids)} for name, table in tables.items()}

    def columns(self, table: str, ids: Iterable[int]) -> list[int]:
        """Return where rows stand in a table; rows that were not solved are left out."""
        at = self._column[table]
        return [at[pk] for pk in ids if pk in at]

    def value(self, reading: Reading, hour: int) -> float | None:
        """Return a reading at the `hour`-th solved hour, None where there is no number."""
        if reading.table == "totals":
            values = np.atleast_1d(self._totals[reading.quantity])[[hour]]
        else:
            solved = self._tables[reading.table].values.get(reading.quantity)
            if solved is None:
                return None
            values = np.asarray(solved, dtype=float)[hour, self.columns(reading.table, reading.ids)]
        values = values[np.isfinite(values)]
        return float(getattr(np, reading.how)(values)) if values.size else None

    def states(self, table: str, ids: Iterable[int], hour: int) -> Counter[Any]:
        """Return how many rows are in which state."""
        found = self._tables[table].state[hour, self.columns(table, ids)]
        return Counter(STATES[found].tolist())

    def each_state(self, table: str, ids: Iterable[int], hour: int) -> list[str]:
        """Return the state of each row, "unknown" of rows that were not solved."""
        at, state = self._column[table], self._tables[table].state[hour]
        return [str(STATES[state[at[pk]]]) if pk in at else "unknown" for pk in ids]

    def beside(self, table: str, column: str, pk: int, hour: int) -> int:
        """Return a whole number that stands beside the quantities, 0 where there is none."""
        rows = self._tables[table].beside.get(column)
        at = self._column[table].get(pk)
        return int(rows[hour][at]) if rows and at is not None else 0

    def shown(self, node: Node, hour: int, before: "Readings | None" = None) -> Shown:
        """Return what a node says."""
        n_out = self._out(node, hour)
        state, word = self._state(node, hour, sum(n_out) if len(n_out) > 1 else self._n_out(node, hour))
        texts = tuple(
            word if slot.kind == STATE and (word or not slot.readings) else self._text(slot, hour, before)
            for slot in node.slots
        )
        share = self.value(node.load, hour) if node.load else None
        return Shown(state, word, texts, min(max(share or 0.0, 0.0), 1.0), self._n_out(node, hour), n_out)

    def names(self, table: str) -> dict[int, str]:
        """Return the names of a table's rows by id."""
        return dict(zip(self._tables[table].ids, self._tables[table].names, strict=True))

    def rows(self, table: str, hour: int) -> tuple[list[str], dict[int, list[str]]]:
        """Return the heads of a table, and by id each row's state and values as text, with their limits."""
        own_table = self._tables[table]
        heads = [f"{q.label} / {_limit_word(q)}" if _has_limit(q) else q.label for q in QUANTITIES[table]]
        cells: dict[int, list[str]] = {
            pk: [str(STATES[own_table.state[hour, i]])] for i, pk in enumerate(own_table.ids)
        }
        for q in QUANTITIES[table]:
            values = np.asarray(own_table.values[q.name], dtype=float)[hour]
            for i, pk in enumerate(own_table.ids):
                text = quantity_text(float(values[i]), q.unit)
                if _has_limit(q):
                    text = joined_text(text, " / ", quantity_text(float(own_table.limits[q.limit][i]), q.unit))
                cells[pk].append(text)
        return heads, cells

    def _n_out(self, node: Node, hour: int) -> int:
        if node.kind == "cdu":
            return self.states("cdus", node.ids, hour)[DEAD]
        return sum(self.beside(node.table, node.out_column, pk, hour) for pk in node.ids) if node.out_column else 0

    def _out(self, node: Node, hour: int) -> tuple[bool, ...]:
        """Return which of a node's squares are out: CDUs are known one by one, of alike units the first ones."""
        if node.kind == "cdu":
            dead = self._tables["cdus"].state[hour] == list(STATES).index(DEAD)
            return tuple(bool(dead[i]) for i in self.columns("cdus", node.ids))[: len(node.squares)]
        n_out = self._n_out(node, hour)
        return tuple(i < n_out for i in range(len(node.squares)))

    def _state(self, node: Node, hour: int, n_out: int) -> tuple[str, str]:
        """Return a node's state and its word."""
        if n_out >= node.n_units and n_out:
            return DEAD, "out"
        found = self.states(node.table, node.ids, hour) if node.table else Counter()
        n = max(sum(found.values()), 1)
        if found[DEAD] == n and node.kind != "plant":
            return DEAD, "dead"
        words = [f"{n_out}/{node.n_units} out"] if n_out else []
        state = PARTLY if n_out else OK
        for kind, word in ((THROTTLED, "throttled"), (DEAD, "dead")):
            if found[kind] and node.kind not in ("cdu", "plant"):  # of these, units out say it better
                state = kind if kind == THROTTLED else PARTLY
                words.append(f"{found[kind]}/{n} {word}" if n > 1 else word)
        if found[BEYOND] and node.over_word:
            state = BEYOND
            words.append(node.over_word)
        return state, ", ".join(words)

    def _text(self, slot: Slot, hour: int, before: "Readings | None") -> str:
        """Return a line, empty where it would say nothing."""
        if not slot.readings:
            return slot.pattern
        values = [self.value(reading, hour) for reading in slot.readings]
        if all(value is None for value in values):
            return ""
        texts = [_short_text(value, reading.unit) for value, reading in zip(values, slot.readings, strict=True)]
        if before is not None and slot.kind.startswith("value"):
            first, was = values[0], before.value(slot.readings[0], 0)
            if moved(was, first):
                return change_text(was, first, slot.readings[0].unit)
        return slot.pattern.format(*texts)


def _short_text(value: float | None, unit: str) -> str:
    """Return a value as the narrow lines of a drawing say it: shares no finer than a tenth of a percent."""
    if value is None or unit != "%" or not math.isfinite(value) or value == 0:
        return quantity_text(value, unit)
    if abs(value) < LEAST_SHARE:
        return f"<{GAP}{100 * LEAST_SHARE:g}{GAP}%"
    return f"{significant(100 * value)}{GAP}%"


def _has_limit(quantity: ObjectQuantity) -> bool:
    """Return whether a limit is worth saying; that of a share is always all of it."""
    return bool(quantity.limit) and not quantity.limit.endswith("_frac")


def _limit_word(quantity: ObjectQuantity) -> str:
    return "set point" if "_set_" in quantity.limit else "limit"


def moved(before: float | None, after: float | None) -> bool:
    """Return whether a value has changed by more than what three digits show."""
    if before is None or after is None:
        return (before is None) != (after is None)
    return not indistinct(before, after) and abs(before - after) > 5e-3 * max(abs(before), abs(after))


def change_text(before: float | None, after: float | None, unit: str) -> str:
    """Return both values, the unit once where both are in the same: "359 → 719 kW"."""
    return joined_text(quantity_text(before, unit), " → ", quantity_text(after, unit))
