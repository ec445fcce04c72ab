"""Which units a failure drill takes out, as its address writes them, and the addresses that change one of them.

Alike units are counted (`feed:83:2`: two units of feed 83); CDUs are named one by one, since each has its place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from twin.core.failures.kinds import FAILURE_KINDS
from twin.core.solve.steady import Outage, parts_that_fail
from twin.core.solved import Described

Key = tuple[str, int]  # kind and id, as addresses name them


@dataclass(frozen=True, slots=True)
class Part:
    """Something that may fail: `n` alike units."""

    kind: str
    id: int
    name: str
    n: int

    @property
    def key(self) -> Key:
        """Kind and id."""
        return self.kind, self.id


def parts(year: Described) -> list[Part]:
    """Return what may fail in a layout: feeds, CDUs one by one, air units per hall, the machines of each plant."""
    inputs = year.inputs
    known = {(component.kind, component.index): component for component in parts_that_fail(year)}
    found = []
    for kind in FAILURE_KINDS:
        for i, row in enumerate(getattr(inputs, kind.table)):
            if kind.address == "feed":
                found.append(Part(kind.address, row.id, row.name, row.n_units))
            elif kind.address == "cdu":
                found.append(Part(kind.address, row.id, row.name, 1))
            elif (kind.units, i) in known:
                component = known[kind.units, i]
                found.append(Part(kind.address, row.id, component.name, component.n))
    return found


@dataclass(frozen=True, slots=True)
class Choice:
    """What is out of service, in the order in which it was chosen."""

    parts: Mapping[Key, Part]
    out: Mapping[Key, int] = field(default_factory=dict)

    def text(self) -> str:
        """Return it as addresses write it."""
        return ",".join(f"{kind}:{pk}:{units}" for (kind, pk), units in self.out.items())

    def units(self, key: Key) -> int:
        """Return how many units of a part are out."""
        return self.out.get(key, 0)

    def with_units(self, key: Key, units: int) -> "Choice":
        """Return the choice with that many units of a part out; none restores it."""
        limit = self.parts[key].n
        changed = dict(self.out) | {key: min(max(units, 0), limit)}
        return Choice(self.parts, {k: n for k, n in changed.items() if n})

    def with_all(self, keys: Sequence[Key]) -> "Choice":
        """Return the choice with the parts wholly out, or restored if they are."""
        keys = [key for key in keys if key in self.parts]
        restore = all(self.units(key) == self.parts[key].n for key in keys)
        changed = self
        for key in keys:
            changed = changed.with_units(key, 0 if restore else self.parts[key].n)
        return changed

    def with_one(self, key: Key, *, restore: bool) -> "Choice":
        """Return the choice with one unit of a part less, or one more."""
        return self.with_units(key, self.units(key) + (-1 if restore else 1))


def choice(year: Described, lost: Sequence[Outage]) -> Choice:
    """Return a choice from outages; several CDUs of a group that an address counts from one on are named one by one."""
    found = Choice({part.key: part for part in parts(year)})
    group_of = {cdu.id: cdu.group for cdu in year.inputs.cdus}
    for outage in lost:
        if outage.kind != "cdu":
            key = (outage.kind, outage.row_id)
            found = found.with_units(key, found.units(key) + outage.units)
            continue
        members = [pk for pk, group in group_of.items() if group == group_of[outage.row_id]]
        at = members.index(outage.row_id)
        running = [pk for pk in members[at:] + members[:at] if not found.units(("cdu", pk))]
        for pk in running[: outage.units]:
            found = found.with_units(("cdu", pk), 1)
    return found
