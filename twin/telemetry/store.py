"""Readings stored: appended as they come, compacted into days of a point, read by span or rolled up by interval.

A time that a point already has keeps its first reading; the later one is counted as a duplicate. Gaps stay gaps.
"""

import datetime as dt
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from django.db import transaction
from django.db.models import Count, Max, Min, OuterRef, Q, Subquery, Sum
from numpy.typing import NDArray

from facility.models import Site
from twin import counters
from twin.core.telemetry.day_columns import (
    DAY_MS,
    MINUTE_MS,
    QUARTER_MS,
    Columns,
    Rollup,
    rolled,
    rollup_unpacked,
    unpacked,
)
from twin.core.telemetry.quantities import GOOD, point_name
from twin.core.telemetry.readings import MappedPoint, Readings
from twin.models import SourceState, TelemetryArrival, TelemetryDay, TelemetryHot, TelemetryPoint, TelemetrySource
from twin.telemetry import compaction, hot
from twin.telemetry.compaction import begins_ms, date_of
from twin.telemetry.reasons import DROPPED, ODD, TOO_OLD, joined

MOST_READ = 20_000_000  # readings of a point at once: a second's readings of 230 days
MOST_SETTLED = 2_000_000  # readings sorted at once, of arrivals
Arrived = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.uint8], NDArray[np.uint8]]  # with what is odd
_FEW = 200  # points or days named in a query; beyond, all of the site are read
_SAID = ("name", "unit", "scale", "offset")  # of a point by its source
Known = dict[tuple[str, str], tuple[Any, ...]]  # by object and quantity: id, name, unit, scale, offset
Read = TypeVar("Read")


def utc(ms: float) -> dt.datetime:
    """Return a time given since 1970 [ms]."""
    return dt.datetime.fromtimestamp(ms / 1e3, dt.UTC)


def append(site: Site, readings: Readings, known: Known | None = None) -> tuple[int, int]:
    """Store a batch's readings, all or none; return how many were accepted and how many were there already.

    Readings older than the site's rule keeps are refused, and counted among those of `readings`. `known`, of
    `known_points` in the same transaction, saves reading the site's points again.
    """
    with transaction.atomic():
        Site.objects.select_for_update().get(pk=site.pk)  # one writer a site: nothing is accepted twice
        ids = point_ids(site, readings.points, known)
        points = dict(zip(map(ids.__getitem__, readings.points), readings.points.values(), strict=True))
        accepted, duplicate, refused = _accept(site, points)
        if refused:
            readings.refused[TOO_OLD] += refused
        count_on_commit(accepted=accepted.size, duplicate=duplicate, refused=readings.refused.total())
    return accepted.size, duplicate


def count_on_commit(**outcomes: int) -> None:
    """Count readings by what became of them, once that is written."""
    transaction.on_commit(partial(_count, outcomes))


def _count(outcomes: Mapping[str, int]) -> None:
    for outcome, n in outcomes.items():
        counters.READINGS.labels(outcome).inc(n)


def _accept(site: Site, points: Mapping[int, Columns]) -> tuple[hot.Batch, int, int]:
    """Append readings, given by the key of their point; return the new ones, how many were there, and are too old."""
    oldest = compaction.oldest_ms(site)
    kept = points if oldest is None else {pk: _kept(columns, oldest) for pk, columns in points.items()}
    total, sent = (sum(columns[0].size for columns in given.values()) for given in (points, kept))
    batch = hot.batch_of(kept.items())
    batch = batch.part(~_there(site, batch)) if batch.size else batch
    hot.write(site, batch)
    if batch.size:
        transaction.on_commit(partial(_compact_if_due, site), robust=True)
    return batch, sent - batch.size, total - sent


def _compact_if_due(site: Site) -> None:
    if compaction.is_due(site):
        compaction.compact(site)


def _kept(columns: Columns, oldest_ms: int) -> Columns:
    if not columns[0].size or columns[0].min() >= oldest_ms:
        return columns
    young = columns[0] >= oldest_ms
    return columns[0][young], columns[1][young], columns[2][young]


def known_points(site: Site) -> Known:
    """Return the site's points: by object and quantity their id, and what their source says of them."""
    rows = TelemetryPoint.objects.filter(site=site).values_list("object", "quantity", "id", *_SAID)
    return {row[:2]: row[2:] for row in rows}


def point_ids(site: Site, mapped: Iterable[MappedPoint], known: Known | None = None) -> dict[MappedPoint, int]:
    """Return the points that mapped names stand for; those that are new are made, others keep up with their mapping."""
    wanted = list(dict.fromkeys(mapped))
    there = _known_among(site, wanted) if known is None else known
    ids: dict[MappedPoint, int] = {}
    new, changed = {}, []
    for entry in wanted:
        key = (entry.object, entry.quantity)
        if (found := there.get(key)) is not None:
            ids[entry] = found[0]
            said = (entry.point, entry.unit, entry.scale, entry.offset)
            # A name that carries its own mapping says nothing of the source: what a mapping file said of it stays.
            if said != found[1:] and entry.point != point_name(*key):
                changed.append(TelemetryPoint(id=found[0], site=site, **dict(zip(_SAID, said, strict=True))))
        elif key not in new:
            said = {"name": entry.point, "unit": entry.unit, "scale": entry.scale, "offset": entry.offset}
            new[key] = TelemetryPoint(site=site, object=entry.object, quantity=entry.quantity, **said)
    TelemetryPoint.objects.bulk_create(new.values(), batch_size=500)
    TelemetryPoint.objects.bulk_update(changed, _SAID, batch_size=_FEW)
    return ids | {entry: new[entry.object, entry.quantity].pk for entry in wanted if entry not in ids}


def _known_among(site: Site, wanted: Sequence[MappedPoint]) -> Known:
    if len(wanted) > _FEW:
        return known_points(site)
    rows = TelemetryPoint.objects.filter(site=site, object__in={entry.object for entry in wanted})
    return {row[:2]: row[2:] for row in rows.values_list("object", "quantity", "id", *_SAID)}


def _there(site: Site, batch: hot.Batch) -> NDArray[np.bool_]:
    """Return which readings have a time that their point has already."""
    _, waiting = hot.read(site, int(batch.times.min()), int(batch.times.max()))
    found = _among(batch, waiting)
    days = batch.times // DAY_MS
    starts = np.flatnonzero(np.concatenate([[True], (np.diff(days) != 0) | (np.diff(batch.point_ids) != 0)]))
    groups = list(zip(batch.point_ids[starts].tolist(), days[starts].tolist(), strict=True))
    last = {(pk, day): last_ms for pk, day, last_ms in _day_rows(site, groups).values_list("point", "day", "last_ms")}
    late: list[tuple[slice, int, int]] = []  # where in the batch, point and day
    for (pk, day), start, end in zip(groups, starts.tolist(), [*starts[1:].tolist(), batch.size], strict=True):
        if (pk, date_of(day)) in last:
            newest = last[pk, date_of(day)]
            if newest is None or batch.times[start] <= newest:
                late.append((slice(start, end), pk, day))
    for first in range(0, len(late), _FEW):
        part = late[first : first + _FEW]
        rows = {(row.point_id, row.day): row for row in _day_rows(site, [(pk, day) for _, pk, day in part])}
        for where, pk, day in part:
            found[where] |= np.isin(batch.times[where], _columns(rows[pk, date_of(day)])[0])
    return found


def _day_rows(site: Site, groups: Sequence[tuple[int, int]]):
    """Return the stored days of points, and of others where that is quicker than to name them all."""
    points, days = {pk for pk, _ in groups}, {day for _, day in groups}
    rows = TelemetryDay.objects.filter(day__gte=date_of(min(days)), day__lte=date_of(max(days)))
    if len(days) <= _FEW:
        rows = rows.filter(day__in=[date_of(day) for day in days])
    return rows.filter(point__in=points) if len(points) <= _FEW else rows.filter(point__site=site)


def _among(batch: hot.Batch, others: hot.Batch) -> NDArray[np.bool_]:
    """Return which readings have the point and time of another batch's."""
    if not others.size:
        return np.zeros(batch.size, bool)
    ids = np.unique(batch.point_ids)
    others = others.part(np.isin(others.point_ids, ids))
    keys = [(np.searchsorted(ids, b.point_ids) << 42) | b.times for b in (batch, others)]  # 2^42 ms reach the year 2109
    return np.isin(keys[0], keys[1])


def arrive(source: TelemetrySource, points: Mapping[int, Arrived]) -> int:
    """Write down what a source sent as it came, one row whatever its size; return how many readings it has.

    It is stored then, and may be acknowledged. `settle` counts it and hands it to compaction.
    """
    keys = np.repeat(np.array(list(points), "<i8"), [columns[0].size for columns in points.values()])
    times, values, quality, odd = (np.concatenate(column) for column in zip(*points.values(), strict=True))
    parts = (keys, times.astype("<i8"), values.astype("<f4"), quality.astype(np.uint8), odd.astype(np.uint8))
    content = zlib.compress(b"".join(part.tobytes() for part in parts), 1)
    TelemetryArrival.objects.create(source=source, n_readings=keys.size, columns=content)
    return int(keys.size)


@transaction.atomic
def settle(source: TelemetrySource) -> tuple[int, int]:
    """Append what a source sent to its site's readings, and count it; return how many are new and how many there.

    What is older than the site keeps, or of a point that was dropped since, is refused. What is odd is counted of those
    that are new: one that comes a second time is a duplicate, however late.
    """
    site = Site.objects.select_for_update().get(pk=source.site_id)
    rows, n = [], 0
    for row in source.arrivals.order_by("id").iterator(chunk_size=50):
        n += row.n_readings
        if rows and n > MOST_SETTLED:
            break
        rows.append(row)
    if not rows:
        return 0, 0
    arrived = [_arrived(row) for row in rows]
    keys, times, values, quality, odd = (np.concatenate(column) for column in zip(*arrived, strict=True))
    order = np.argsort(keys, kind="stable")  # of one point, what came first stays first
    names, starts = np.unique(keys[order], return_index=True)
    parts = np.split(order, starts[1:])
    there = set(TelemetryPoint.objects.filter(site=site).values_list("pk", flat=True))
    new, duplicate, old = _accept(
        site,
        {
            int(key): (times[at], values[at].astype(float), quality[at])
            for key, at in zip(names.tolist(), parts, strict=True)
            if key in there
        },
    )
    refused = {TOO_OLD: old, DROPPED: int((~np.isin(keys, list(there))).sum())}
    TelemetryArrival.objects.filter(pk__in=[row.pk for row in rows]).delete()
    state = SourceState.objects.select_for_update().get(source=source)
    state.accepted, state.duplicate = state.accepted + new.size, state.duplicate + duplicate
    state.refused = joined(state.refused, {reason: n for reason, n in refused.items() if n})
    state.noticed = joined(state.noticed, _odd(new, keys, times, odd))
    state.save(update_fields=["accepted", "duplicate", "refused", "noticed"])
    count_on_commit(accepted=new.size, duplicate=duplicate, refused=sum(refused.values()))
    return new.size, duplicate


def _odd(new: hot.Batch, keys: NDArray, times: NDArray, odd: NDArray) -> dict[str, int]:
    """Return what is odd about new readings, out of all that arrived: of equal times of a point the first counts."""
    if not new.size:
        return {}
    names = np.unique(keys)
    spelled, first = np.unique((np.searchsorted(names, keys) << 42) | times, return_index=True)
    own = (np.searchsorted(names, new.point_ids) << 42) | new.times
    bits = odd[first[np.searchsorted(spelled, own)]]
    return {reason: n for reason, bit in ODD.items() if (n := int(np.count_nonzero(bits & bit)))}


def _arrived(row: TelemetryArrival) -> tuple[NDArray[np.int64], ...]:
    raw, n = zlib.decompress(bytes(row.columns)), row.n_readings
    return (
        np.frombuffer(raw, "<i8", n),
        np.frombuffer(raw, "<i8", n, 8 * n),
        np.frombuffer(raw, "<f4", n, 16 * n),
        np.frombuffer(raw, np.uint8, n, 20 * n),
        np.frombuffer(raw, np.uint8, n, 21 * n)
        if len(raw) == 22 * n
        else np.zeros(n, np.uint8),  # older rows have none
    )


def mapping(site: Site, known: Known | None = None) -> dict[str, MappedPoint]:
    """Return what the site's points mean by their sources' names, as mapping files have said."""
    there = known_points(site) if known is None else known
    return {said[1]: MappedPoint(said[1], *key, *said[2:]) for key, said in there.items()}


@dataclass(frozen=True, slots=True)
class Held:
    """What is stored of a point."""

    n_readings: int
    n_days: int
    last_time: dt.datetime | None
    last_value: float | None


def held(site: Site, points: Iterable[TelemetryPoint]) -> dict[int, Held]:
    """Return what is stored of points, compacted or not, by their ids."""
    here = list(points)
    _, waiting = hot.read(site, 0, 2**62)
    newest = TelemetryDay.objects.filter(point=OuterRef("point")).order_by("-day").values("pk")[:1]
    last = {row.point_id: row for row in TelemetryDay.objects.filter(point__in=here, pk=Subquery(newest))}
    totals = {
        pk: (n, days)
        for pk, n, days in TelemetryDay.objects.filter(point__in=here)
        .values_list("point")
        .annotate(Sum("n_readings"), Count("id"))
    }
    both = _days_held(here, waiting)
    found = {}
    for point in here:
        n, n_days = totals.get(point.pk, (0, 0))
        times, values, _ = _columns(last[point.pk]) if point.pk in last else hot.NONE.columns()
        own = hot.of_point(waiting, point.pk)
        if own.size:
            days = np.unique(own.times // DAY_MS).tolist()
            n, n_days = n + own.size, n_days + sum((point.pk, date_of(day)) not in both for day in days)
            if not times.size or own.times[-1] > times[-1]:
                times, values = own.times, own.values
        newest_at = utc(float(times[-1])) if times.size else None
        found[point.pk] = Held(n, n_days, newest_at, float(values[-1]) if times.size else None)
    return found


def _days_held(points: Sequence[TelemetryPoint], waiting: hot.Batch) -> set[tuple[int, dt.date]]:
    """Return the days of points that have readings among the days that others wait for."""
    if not waiting.size:
        return set()
    first, last = (date_of(int(end) // DAY_MS) for end in (waiting.times.min(), waiting.times.max()))
    rows = TelemetryDay.objects.filter(point__in=points, day__gte=first, day__lte=last)
    return set(rows.values_list("point", "day"))


def span(site: Site, point: TelemetryPoint | None = None) -> tuple[int, int] | None:
    """Return the beginning of the first and the end of the last UTC day with readings, since 1970 [ms]."""
    rows = TelemetryDay.objects.filter(point=point) if point else TelemetryDay.objects.filter(point__site=site)
    days = rows.aggregate(first=Min("day"), last=Max("day"))
    ends = [begins_ms(days[name]) for name in ("first", "last") if days[name]]
    if point:
        own = hot.of_point(hot.read(site, 0, 2**62)[1], point.pk).times
        ends += [int(own[0]), int(own[-1])] if own.size else []
    else:
        waiting = TelemetryHot.objects.filter(site=site).aggregate(first=Min("first_ms"), last=Max("last_ms"))
        ends += [waiting["first"], waiting["last"]] if waiting["first"] is not None else []
    return (min(ends) // DAY_MS * DAY_MS, max(ends) // DAY_MS * DAY_MS + DAY_MS) if ends else None


def most_in_a_day(point: TelemetryPoint, start_ms: int, end_ms: int) -> int:
    """Return how many readings a point has on its fullest day of a span."""
    rows = point.days.filter(day__gte=date_of(start_ms // DAY_MS), day__lte=date_of(end_ms // DAY_MS))
    own = hot.of_point(hot.read(point.site, start_ms, end_ms)[1], point.pk).times
    waiting = int(np.unique(own // DAY_MS, return_counts=True)[1].max()) if own.size else 0
    return max(rows.aggregate(most=Max("n_readings"))["most"] or 0, waiting)


@dataclass(frozen=True, slots=True)
class Series:
    """A point's good readings by interval, arrays of shape (n,); NaN where an interval has none."""

    low: NDArray[np.float64]
    mean: NDArray[np.float64]
    high: NDArray[np.float64]
    count: NDArray[np.int64]
    not_good: NDArray[np.int64]  # readings whose quality is not 1
    rollup_s: int = 0  # of the rollup that it was added up from; 0: of the readings themselves


class _Intervals:
    """Adds up readings and rollups by interval."""

    def __init__(self, start_ms: int, step_ms: int, n: int, end_ms: int) -> None:
        self.start_ms, self.step_ms, self.n, self.end_ms = start_ms, step_ms, n, end_ms
        self.low, self.high, self.total = np.full(n, np.inf), np.full(n, -np.inf), np.zeros(n)
        self.count, self.not_good = np.zeros(n, np.int64), np.zeros(n, np.int64)

    def readings(self, columns: Columns) -> None:
        times, values, quality = columns
        here = (times >= self.start_ms) & (times < self.end_ms)
        good = here & (quality == GOOD)
        self.not_good += np.bincount((times[here & ~good] - self.start_ms) // self.step_ms, minlength=self.n)
        at, values = (times[good] - self.start_ms) // self.step_ms, values[good]
        self._add(at, values, values, values, np.ones(at.size, np.int64))

    def rollup(self, rollup: Rollup, day_ms: int, step_ms: int) -> None:
        times = day_ms + rollup.at * step_ms
        here = (times >= self.start_ms) & (times < self.end_ms)
        at = (times - self.start_ms) // self.step_ms
        self.not_good += np.bincount(at[here], weights=rollup.not_good[here], minlength=self.n).astype(np.int64)
        some = here & (rollup.count > 0)
        self._add(at[some], rollup.low[some], rollup.mean[some], rollup.high[some], rollup.count[some])

    def _add(self, at: NDArray, low: NDArray, mean: NDArray, high: NDArray, count: NDArray) -> None:
        self.count += np.bincount(at, weights=count, minlength=self.n).astype(np.int64)
        self.total += np.bincount(at, weights=mean * count, minlength=self.n)
        np.minimum.at(self.low, at, low)
        np.maximum.at(self.high, at, high)

    def series(self, rollup_s: int) -> Series:
        some = self.count > 0
        mean = np.divide(self.total, self.count, out=np.full(self.n, np.nan), where=some)
        low, high = np.where(some, self.low, np.nan), np.where(some, self.high, np.nan)
        return Series(low, mean, high, self.count, self.not_good, rollup_s)


def series(point: TelemetryPoint, start_ms: int, step_ms: int, n: int, end_ms: int) -> Series:
    """Return `n` intervals of a point from `start_ms` on, the last up to `end_ms`; an interval has its beginning.

    Intervals of whole quarters of an hour, or minutes, are added up from the days' rollups.

    Raises
    ------
    ValueError
        If more readings would have to be read than are at once, or the site keeps their quarters of an hour only.
    """
    level_ms = next((ms for ms in (QUARTER_MS, MINUTE_MS) if start_ms % ms == 0 and step_ms % ms == 0), 0)
    rows = point.days.filter(day__gte=date_of(start_ms // DAY_MS), day__lte=date_of((end_ms - 1) // DAY_MS))
    cut = date_of(end_ms // DAY_MS) if level_ms and end_ms % level_ms else None  # a day that ends within an interval
    whole = {QUARTER_MS: Q(rollups__isnull=False), MINUTE_MS: Q(minutes__isnull=False)}.get(level_ms, Q(pk__in=()))
    piecewise = rows.exclude(whole & ~Q(day=cut)) if cut else rows.exclude(whole)
    there = piecewise.aggregate(n=Sum("n_readings"))["n"] or 0
    if there > MOST_READ:
        raise ValueError(f"there are {there:,} readings; at most {MOST_READ:,} are read at once, so ask for a part")
    column = {QUARTER_MS: "rollups", MINUTE_MS: "minutes"}.get(level_ms, "")
    quick = rows.filter(whole).exclude(day=cut).values_list("day", column) if column else []
    waiting, days = _steadily(
        point.site,
        start_ms,
        end_ms,
        lambda: (list(quick), list(piecewise.only("point", "day", "n_readings", "columns"))),
    )
    found = _Intervals(start_ms, step_ms, n, end_ms)
    for day, rollup in days[0]:
        found.rollup(rollup_unpacked(bytes(rollup)), begins_ms(day), level_ms)
    for row in days[1]:
        if not row.columns:
            raise ValueError(
                f"readings up to {row.day} are kept by the quarter of an hour only; ask in steps of whole quarters"
            )
        found.readings(_columns(row))
    found.readings(hot.of_point(waiting, point.pk).columns())
    return found.series(level_ms // 1000 if days[0] and not days[1] else 0)


def _steadily(site: Site, start_ms: int, end_ms: int, days: Callable[[], Read]) -> tuple[hot.Batch, Read]:
    """Return the hot readings of a span and what the days have, with none of them moved between the two."""
    while True:
        ids, waiting = hot.read(site, start_ms, end_ms)
        found = days()
        if TelemetryHot.objects.filter(id__in=ids).count() == len(ids):
            return waiting, found


@dataclass(frozen=True, slots=True, eq=False)
class DayMap:
    """Points of one quantity on one day, by the quarter of an hour."""

    ids: tuple[int, ...]
    objects: tuple[str, ...]
    means: NDArray[np.float64]  # shape (n_points, 96), NaN where nothing good was read
    n_points: int  # that there are, shown or not


def day_map(site: Site, quantity: str, day: dt.date, most: int | None = None) -> DayMap:
    """Return a day of the points of a quantity, the first `most` of them by name."""
    points = TelemetryPoint.objects.filter(site=site, quantity=quantity).order_by("object")
    names = dict(points.values_list("id", "object")[:most])
    start_ms = begins_ms(day)
    rows = TelemetryDay.objects.filter(point__site=site, point__quantity=quantity, day=day)
    waiting, days = _steadily(site, start_ms, start_ms + DAY_MS - 1, lambda: list(rows.defer("minutes")))
    per_day = DAY_MS // QUARTER_MS
    place = {pk: i for i, pk in enumerate(names)}
    total, count = np.zeros((len(names), per_day)), np.zeros((len(names), per_day))

    def add(pk: int, rollup: Rollup) -> None:
        some = rollup.count > 0
        np.add.at(total[place[pk]], rollup.at[some], rollup.mean[some] * rollup.count[some])
        np.add.at(count[place[pk]], rollup.at[some], rollup.count[some])

    for row in days:
        if row.point_id not in place:
            continue
        own = rollup_unpacked(bytes(row.rollups)) if row.rollups else rolled(start_ms, _columns(row), QUARTER_MS)
        add(row.point_id, own)
    inside = waiting.part((waiting.times >= start_ms) & (waiting.times < start_ms + DAY_MS))
    for pk, own in hot.by_point(inside):
        if pk in place:
            add(pk, rolled(start_ms, own.columns(), QUARTER_MS))
    means = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return DayMap(tuple(names), tuple(names.values()), means, points.count())


def _columns(row: TelemetryDay) -> Columns:
    """Return a day's readings; where they are no longer kept, the means of its quarters of an hour."""
    day_ms = begins_ms(row.day)
    if row.columns:
        return unpacked(day_ms, bytes(row.columns), row.n_readings)
    rollup = rollup_unpacked(bytes(row.rollups))
    some = rollup.count > 0
    middles = day_ms + rollup.at[some] * QUARTER_MS + QUARTER_MS // 2
    return middles, rollup.mean[some], np.full(middles.size, GOOD, np.uint8)


def read(site: Site, start_ms: int, end_ms: int, quantities: Collection[str] = ()) -> Mapping[tuple[str, str], Columns]:
    """Return every point's readings from `start_ms` up to but not including `end_ms`, by object and quantity.

    With `quantities` only points of these. Days whose readings are no longer kept give the means of their quarters of
    an hour.

    Raises
    ------
    ValueError
        If the days have more readings than are read at once.
    """
    rows = TelemetryDay.objects.filter(
        point__site=site, day__gte=date_of(start_ms // DAY_MS), day__lte=date_of(end_ms // DAY_MS)
    )
    named = site.telemetry_points.order_by("object", "quantity")
    if quantities:
        rows, named = rows.filter(point__quantity__in=quantities), named.filter(quantity__in=quantities)
    _, waiting = hot.read(site, start_ms, end_ms)  # before the days: what moves meanwhile is there twice, and joined
    there = (rows.aggregate(n=Sum("n_readings"))["n"] or 0) + waiting.size
    if there > MOST_READ:
        raise ValueError(f"there are {there:,} readings; at most {MOST_READ:,} are read at once, so ask for a part")
    found: dict[int, list[Columns]] = {}
    for row in rows.defer("rollups", "minutes").order_by("point", "day").iterator(chunk_size=500):
        found.setdefault(row.point_id, []).append(_columns(row))
    for pk, own in hot.by_point(waiting):
        found.setdefault(pk, []).append(own.columns())
    told = {}
    for pk, name, quantity in named.values_list("id", "object", "quantity"):
        if pk in found:
            times, values, quality = (np.concatenate(column) for column in zip(*found[pk], strict=True))
            times, first = np.unique(times, return_index=True)
            here = (times >= start_ms) & (times < end_ms)
            if here.any():
                told[name, quantity] = (times[here], values[first][here], quality[first][here])
    return told
