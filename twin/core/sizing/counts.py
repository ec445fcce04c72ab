"""How many units of each machine a layout needs: the smallest whole numbers that carry the design hour.

Counting, not optimising: counts grow where a rule says that something does not carry its load, then each is lowered
as far as no rule objects. The rules ask the solver's own feeds, CDUs, coolers, towers and chillers (`core.rules`), so
what is sized here is what a run solves. Spare units and redundancies stay as they are stated.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from twin.core.inputs.layout import CduRow, FeedRow, HallRow, LayoutInputs, PlantRow
from twin.core.results.findings import BLOCKING, RISK
from twin.core.rules.findings import rule_findings
from twin.core.rules.remedies import FIXED_BY
from twin.core.rules.report import Finding

CDU, HALL, PLANT, FEED = "cdu", "hall", "cooling_plant", "power_feed"
SPARE_OF = {
    "n_air_units": "n_air_units_spare",
    "n_heat_rejection": "n_heat_rejection_spare",
    "n_chillers": "n_chillers_spare",
    "n_pumps": "n_pumps_spare",
}
COUNTED_FEEDS = ("generator", "transformer", "switchboard", "ups", "rectifier", "pdu", "sts")  # units side by side
MOST_UNITS = 400  # of one machine: beyond it the input that drives it is wrong
MOST_ROUNDS = 40
MOST_PASSES = 6


@dataclass(frozen=True, slots=True)
class Counted:
    """Which number of units: of what, by its primary key, and which field. Of a group the key is its first member's."""

    kind: str
    id: int
    name: str
    field: str
    alike: tuple[int, ...] = ()  # feeds that have the same number, the first with them


@dataclass(frozen=True, slots=True)
class Count:
    """One number of units as it stands and as it should be."""

    counted: Counted
    before: int
    after: int
    reason: str  # what a rule says of one unit fewer


@dataclass(frozen=True, slots=True, eq=False)
class Sizing:
    """The counts of a layout, and what more units do not fix."""

    counts: tuple[Count, ...]
    left: tuple[Finding, ...]
    inputs: LayoutInputs  # with the counts taken

    @property
    def changes(self) -> tuple[Count, ...]:
        """The counts that differ from what stands."""
        return tuple(count for count in self.counts if count.before != count.after)


def sized(inputs: LayoutInputs) -> Sizing:
    """Return the smallest counts with which no rule says that something does not carry its load.

    Parameters
    ----------
    inputs : LayoutInputs
        A layout with its racks; its scenario is not read, its weather is that of the site.
    """
    stands = dict(_counted(inputs))
    counts = dict(stands)
    reasons: dict[Counted, str] = {}
    for _ in range(MOST_PASSES):  # fewer of one may ask for more of another: units share the water of their plant
        began = dict(counts)
        counts = _grown(inputs, counts)
        minds = _to_fix(rule_findings(with_counts(inputs, counts)))
        for counted in sorted(counts, key=_order):
            counts[counted], reasons[counted] = _lowered(inputs, counts, counted, minds)
        if counts == began:
            break
    now = with_counts(inputs, counts)
    found = tuple(Count(counted, stands[counted], counts[counted], reasons[counted]) for counted in stands)
    return Sizing(found, tuple(_to_fix(rule_findings(now)).values()), now)


def counts_against(inputs: LayoutInputs, finding: Finding) -> tuple[Count, ...]:
    """Return the least more units with which a finding is gone, each as many as the others allow; none where none do.

    Parameters
    ----------
    inputs : LayoutInputs
    finding : Finding
        One of `rule_findings` of the same layout.
    """
    stands = dict(_counted(inputs))
    counts, key = dict(stands), (finding.object_kind, finding.object_id, finding.rule)

    def left(of: Mapping[Counted, int]) -> Finding | None:
        return _to_fix(rule_findings(with_counts(inputs, of))).get(key)

    now = finding
    for _ in range(MOST_ROUNDS):
        of = _helping(inputs, counts, key, now)
        if of is None or counts[of] >= MOST_UNITS:
            return ()
        counts[of] = min(max(counts[of], _wanted(inputs, of, counts[of], now)), MOST_UNITS)
        if (then := left(counts)) is None:
            break
        now = then
    else:
        return ()
    for of in [of for of in counts if counts[of] > stands[of]]:
        while counts[of] > stands[of] and left(counts | {of: counts[of] - 1}) is None:
            counts[of] -= 1
    return tuple(Count(of, stands[of], n, finding.message) for of, n in counts.items() if n != stands[of])


def _order(counted: Counted) -> int:
    """Machines near the racks first: what they need sizes what stands behind them."""
    return (CDU, HALL, PLANT, FEED).index(counted.kind)


def _counted(inputs: LayoutInputs) -> Iterator[tuple[Counted, int]]:
    """Yield every number of units of a layout that may be counted anew."""
    for units in _cdu_groups(inputs):
        yield Counted(CDU, units[0].id, units[0].group or units[0].name, "n_cdus"), len(units)
    for hall in inputs.halls:
        if hall.n_air_units:
            yield Counted(HALL, hall.id, hall.name, "n_air_units"), hall.n_air_units
    for plant in inputs.plants:
        for field in ("n_heat_rejection", "n_chillers", "n_pumps"):
            if (n := getattr(plant, field)) and not (field == "n_heat_rejection" and _cools_free_alone(inputs, plant)):
                yield Counted(PLANT, plant.id, plant.name, field), n
    for feeds in _feed_groups(inputs):
        first = feeds[0]
        if first.kind in COUNTED_FEEDS and (first.product_id is not None or first.rating_w is not None):
            together = "Generators" if first.kind == "generator" else first.redundancy_group
            name = f"{together}, each of {len(feeds)}" if len(feeds) > 1 else first.name
            alike = tuple(feed.id for feed in feeds)
            yield Counted(FEED, first.id, name, "n_units", alike), max(feed.n_units for feed in feeds)


def _cools_free_alone(inputs: LayoutInputs, plant: PlantRow) -> bool:
    """Return whether coolers serve free cooling alone: the chillers reject by themselves, so no hour sizes them."""
    return bool(plant.n_chillers) and not str(inputs.facts(plant.chiller_id).get("type")).startswith("water_cooled")


def _cdu_groups(inputs: LayoutInputs) -> list[list[CduRow]]:
    """Return the CDUs that carry racks together; one without a group is a group of its own."""
    groups: dict[object, list[CduRow]] = {}
    for cdu in inputs.cdus:
        groups.setdefault(cdu.group or cdu.id, []).append(cdu)
    return list(groups.values())


def _feed_groups(inputs: LayoutInputs) -> list[list[FeedRow]]:
    """Return the feeds that have equal units: those that back each other up, all generators; others stand alone."""
    groups: dict[object, list[FeedRow]] = {}
    for feed in inputs.feeds:
        key = (feed.redundancy_group, feed.kind) if feed.redundancy_group else feed.id
        groups.setdefault("generators" if feed.kind == "generator" else key, []).append(feed)
    return list(groups.values())


def with_counts(inputs: LayoutInputs, counts: Mapping[Counted, int]) -> LayoutInputs:
    """Return a layout with other numbers of units; CDUs beyond those that stand copy the first of their group."""
    fields: dict[tuple[str, int], dict[str, int]] = {}
    for counted, n in counts.items():
        fields.setdefault((counted.kind, counted.id), {})[counted.field] = n
    cdus: list[CduRow] = []
    moved: dict[int | None, int] = {}
    for units in _cdu_groups(inputs):
        first, n = units[0], fields.get((CDU, units[0].id), {}).get("n_cdus", len(units))
        cdus += units[:n]
        cdus += [
            replace(first, id=-first.id * MOST_UNITS - i, name=f"{first.name} +{i}")
            for i in range(1, n - len(units) + 1)
        ]
        moved |= {unit.id: first.id for unit in units[n:]}
    for feeds in _feed_groups(inputs):
        fields |= {(FEED, feed.id): fields.get((FEED, feeds[0].id), {}) for feed in feeds}
    racks = replace(inputs.racks, cdu_id=tuple(moved.get(cdu, cdu) for cdu in inputs.racks.cdu_id))

    def changed(kind: str, rows: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(replace(row, **fields.get((kind, row.id), {})) for row in rows)

    return replace(
        inputs,
        cdus=tuple(cdus),
        racks=racks,
        halls=changed(HALL, inputs.halls),
        plants=changed(PLANT, inputs.plants),
        feeds=changed(FEED, inputs.feeds),
    )


def _to_fix(findings: list[Finding]) -> dict[tuple[str, int | None, str], Finding]:
    """Return the findings that forbid building or need a decision, by object and rule."""
    return {(f.object_kind, f.object_id, f.rule): f for f in findings if f.severity in (BLOCKING, RISK)}


def _grown(inputs: LayoutInputs, counts: dict[Counted, int]) -> dict[Counted, int]:
    """Return counts that are raised until no rule asks for more that would help."""
    hopeless: set[tuple[str, int | None, str]] = set()
    for _ in range(MOST_ROUNDS):
        found = _to_fix(rule_findings(with_counts(inputs, counts)))
        short = {key: f for key, f in found.items() if f.rule in FIXED_BY and key not in hopeless}
        if not short:
            break
        for key, finding in short.items():
            counted = _helping(inputs, counts, key, finding)
            if counted is None:
                hopeless.add(key)
                continue
            counts[counted] = min(max(counts[counted], _wanted(inputs, counted, counts[counted], finding)), MOST_UNITS)
            if counts[counted] == MOST_UNITS:
                hopeless.add(key)
    return counts


def _helping(
    inputs: LayoutInputs, counts: dict[Counted, int], key: tuple[str, int | None, str], finding: Finding
) -> Counted | None:
    """Return the count whose next unit lowers a finding's excess most; None where none does."""
    members = _members(inputs, finding)
    able = [
        counted
        for counted in counts
        if counted.kind == key[0] and counted.id in members and counted.field in FIXED_BY[finding.rule]
    ]
    best, least = None, _weight(finding)
    for counted in able:
        then = _to_fix(rule_findings(with_counts(inputs, counts | {counted: counts[counted] + 1}))).get(key)
        if _weight(then) < least:
            best, least = counted, _weight(then)
    return best


def _members(inputs: LayoutInputs, finding: Finding) -> set[int]:
    """Return the objects that a finding may be about: a group's rule names one of its units."""
    if finding.object_id is None:
        return set()
    members = {finding.object_id}
    groups: Sequence[Sequence[CduRow | FeedRow]] = ()
    if finding.object_kind in (CDU, FEED):
        groups = _cdu_groups(inputs) if finding.object_kind == CDU else _feed_groups(inputs)
    return members | {group[0].id for group in groups if any(row.id == finding.object_id for row in group)}


def _weight(finding: Finding | None) -> tuple[bool, float]:
    """Return how bad a finding is, to be compared: what forbids building first, then by how much a limit is passed."""
    return (False, 0.0) if finding is None else (finding.severity == BLOCKING, round(_excess(finding), 9))


def _excess(finding: Finding) -> float:
    if finding.value is None or finding.limit is None:
        return math.inf
    return finding.value / finding.limit if finding.limit > 0 else math.inf


def _wanted(inputs: LayoutInputs, counted: Counted, n: int, finding: Finding) -> int:
    """Return how many units a finding's excess asks for, were each to carry an equal share; one more at least."""
    spare = _spare(inputs, counted)
    excess = _excess(finding)
    return n + 1 if math.isinf(excess) else max(n + 1, math.ceil((n - spare) * excess) + spare)


def _spare(inputs: LayoutInputs, counted: Counted) -> int:
    """Return how many of the units may stand idle or fail, as stated."""
    if counted.kind == CDU:
        return next(cdu for cdu in inputs.cdus if cdu.id == counted.id).redundant_units
    if counted.kind == FEED:
        return int(next(feed for feed in inputs.feeds if feed.id == counted.id).redundancy == "N+1")
    rows: Sequence[HallRow | PlantRow] = inputs.halls if counted.kind == HALL else inputs.plants
    return int(getattr(next(row for row in rows if row.id == counted.id), SPARE_OF[counted.field]))


def _lowered(
    inputs: LayoutInputs,
    counts: dict[Counted, int],
    counted: Counted,
    minds: dict[tuple[str, int | None, str], Finding],
) -> tuple[int, str]:
    """Return the smallest number of one kind of unit that brings no finding, and what one fewer would bring."""
    least, most = _spare(inputs, counted) + 1, counts[counted]
    reason = f"{least} is the least with {least - 1} spare" if least > 1 else "one is the least"
    while least < most:
        middle = (least + most) // 2
        fresh = [
            finding
            for key, finding in _to_fix(rule_findings(with_counts(inputs, counts | {counted: middle}))).items()
            if _weight(finding) > _weight(minds.get(key))
        ]
        if fresh:
            least, reason = middle + 1, f"with {middle}: {fresh[0].object_name}: {fresh[0].message}"
        else:
            most = middle
    return most, reason
