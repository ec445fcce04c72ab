"""Readings stored by point and UTC day: columns of times, values and quality, packed with zlib.

A time that a point already has keeps its first reading; the later one is counted as a duplicate. Gaps stay gaps.
"""

import datetime as dt
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from django.db import transaction
from django.db.models import F, OuterRef, Subquery, Sum
from numpy.typing import NDArray

from facility.models import Site
from twin import counters
from twin.core.telemetry.quantities import GOOD, point_name
from twin.core.telemetry.readings import MappedPoint, Readings
from twin.models import SourceState, TelemetryArrival, TelemetryDay, TelemetryPoint, TelemetrySource

DAY_MS = 86_400_000
MOST_READ = 20_000_000  # readings of a point at once: a second's readings of 230 days
MOST_SETTLED = 2_000_000  # readings sorted at once, of arrivals
POINTS_AT_ONCE = 500  # whose days are held in memory
Columns = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.uint8]]  # times [ms since 1970], values, quality


def packed(day_ms: int, columns: Columns) -> bytes:
    """Return a day's columns: steps of time [ms], values as float32 and quality, bytes of like weight together."""
    times, values, quality = columns
    steps = np.diff(times, prepend=day_ms).astype("<u4")
    parts = (_by_weight(steps), _by_weight(values.astype("<f4")), quality.astype(np.uint8).tobytes())
    return zlib.compress(b"".join(parts), 6)


def unpacked(day_ms: int, stored: bytes, n: int) -> Columns:
    """Return the columns that `packed` spelled."""
    raw = zlib.decompress(stored)
    steps, values = (
        np.frombuffer(raw, np.uint8, 4 * n, 4 * n * i).reshape(4, n).T.copy().view(kind)[:, 0]
        for i, kind in enumerate(("<u4", "<f4"))
    )
    times = day_ms + np.cumsum(steps.astype(np.int64))
    return times, values.astype(float), np.frombuffer(raw, np.uint8, n, 8 * n)


def _by_weight(column: NDArray) -> bytes:
    return column.view(np.uint8).reshape(-1, 4).T.tobytes()


@transaction.atomic
def append(site: Site, readings: Readings) -> tuple[int, int]:
    """Store a file's readings, all or none; return how many were accepted and how many were there already."""
    Site.objects.select_for_update().get(pk=site.pk)  # one writer a site: a day is read, joined and written
    ids = point_ids(site, readings.points)
    accepted, duplicate = _append({ids[mapped]: columns for mapped, columns in readings.points.items()})
    count_on_commit(accepted=accepted, duplicate=duplicate, refused=readings.refused.total())
    return accepted, duplicate


def count_on_commit(**outcomes: int) -> None:
    """Count readings by what became of them, once that is written."""
    transaction.on_commit(lambda: _count(outcomes))


def _count(outcomes: Mapping[str, int]) -> None:
    for outcome, n in outcomes.items():
        counters.READINGS.labels(outcome).inc(n)


def point_ids(site: Site, mapped: Iterable[MappedPoint]) -> dict[MappedPoint, int]:
    """Return the points that mapped names stand for; those that are new are made, others keep up with their mapping."""
    wanted = list(dict.fromkeys(mapped))
    there = {(row.object, row.quantity): row for row in TelemetryPoint.objects.filter(site=site)} if wanted else {}
    made, changed = [], []
    for entry in wanted:
        key, said = (entry.object, entry.quantity), (entry.point, entry.unit, entry.scale, entry.offset)
        row = there.get(key)
        # A name that carries its own mapping says nothing of the source: it leaves what a mapping file said of it.
        carried = entry.point == point_name(*key)
        if row is None:
            row = there[key] = TelemetryPoint(site=site, object=entry.object, quantity=entry.quantity)
            made.append(row)
        elif carried or said == (row.name, row.unit, row.scale, row.offset):
            continue
        else:
            changed.append(row)
        row.name, row.unit, row.scale, row.offset = said
    TelemetryPoint.objects.bulk_create(made)
    TelemetryPoint.objects.bulk_update(changed, ["name", "unit", "scale", "offset"], batch_size=POINTS_AT_ONCE)
    return {entry: there[entry.object, entry.quantity].pk for entry in wanted}


def _append(points: Mapping[int, Columns]) -> tuple[int, int]:
    """Join readings to what is stored, given by the key of their point; return how many are new, and how many not."""
    accepted = total = 0
    keys = sorted(points)
    for first in range(0, len(keys), POINTS_AT_ONCE):
        here = keys[first : first + POINTS_AT_ONCE]
        by_day = {(key, day): part for key in here for day, part in _by_day(points[key])}
        if not by_day:
            continue
        total += sum(part[0].size for part in by_day.values())
        days = {_date(day) for _, day in by_day}
        stored = {
            (row.point_id, row.day): row
            for row in TelemetryDay.objects.filter(point__in=here, day__gte=min(days), day__lte=max(days))
            if row.day in days
        }
        rows = []
        for (key, day), part in by_day.items():
            row = stored.get((key, _date(day)))
            joined, before = part, 0
            if row is not None:
                before = row.n_readings
                old = unpacked(day * DAY_MS, bytes(row.columns), before)
                joined = tuple(np.concatenate(pair) for pair in zip(old, part, strict=True))  # type: ignore[assignment]
            unique, at = np.unique(joined[0], return_index=True)  # the first of equal times: the stored one
            if unique.size == before:
                continue
            accepted += unique.size - before
            spelled = packed(day * DAY_MS, (unique, joined[1][at], joined[2][at]))
            rows.append(TelemetryDay(point_id=key, day=_date(day), n_readings=unique.size, columns=spelled))
        TelemetryDay.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["point", "day"],
            update_fields=["n_readings", "columns", "updated_at"],
        )
    return accepted, total - accepted


def _by_day(columns: Columns) -> Iterator[tuple[int, Columns]]:
    """Return a point's readings by day since 1970."""
    days = columns[0] // DAY_MS
    for day in np.unique(days).tolist():
        here = days == day
        yield day, tuple(column[here] for column in columns)  # type: ignore[misc]


def arrive(source: TelemetrySource, points: Mapping[int, Columns]) -> int:
    """Write down what a source sent as it came, one row whatever its size; return how many readings it has.

    It is stored then, and may be acknowledged. `settle` sorts it into the days of its points.
    """
    keys = np.repeat(np.array(list(points), "<i8"), [columns[0].size for columns in points.values()])
    times, values, quality = (np.concatenate(column) for column in zip(*points.values(), strict=True))
    parts = (keys, times.astype("<i8"), values.astype("<f4"), quality.astype(np.uint8))
    content = zlib.compress(b"".join(part.tobytes() for part in parts), 1)
    TelemetryArrival.objects.create(source=source, n_readings=keys.size, columns=content)
    return int(keys.size)


@transaction.atomic
def settle(source: TelemetrySource) -> tuple[int, int]:
    """Sort what a source sent into the days of its points, and count it; return how many are new, and how many not."""
    Site.objects.select_for_update().get(pk=source.site_id)
    rows, n = [], 0
    for row in source.arrivals.order_by("id").iterator(chunk_size=50):
        n += row.n_readings
        if rows and n > MOST_SETTLED:
            break
        rows.append(row)
    if not rows:
        return 0, 0
    arrived = [_arrived(row) for row in rows]
    keys, times, values, quality = (np.concatenate(column) for column in zip(*arrived, strict=True))
    order = np.argsort(keys, kind="stable")  # of one point, what came first stays first
    names, starts = np.unique(keys[order], return_index=True)
    parts = np.split(order, starts[1:])
    there = set(TelemetryPoint.objects.filter(site=source.site_id).values_list("pk", flat=True))
    accepted, duplicate = _append(
        {
            int(key): (times[at], values[at].astype(float), quality[at])
            for key, at in zip(names.tolist(), parts, strict=True)
            if key in there
        }
    )
    TelemetryArrival.objects.filter(pk__in=[row.pk for row in rows]).delete()
    state = SourceState.objects.filter(source=source)
    state.update(accepted=F("accepted") + accepted, duplicate=F("duplicate") + duplicate)
    count_on_commit(accepted=accepted, duplicate=duplicate)
    return accepted, duplicate


def _arrived(row: TelemetryArrival) -> tuple[NDArray[np.int64], ...]:
    raw, n = zlib.decompress(bytes(row.columns)), row.n_readings
    return (
        np.frombuffer(raw, "<i8", n),
        np.frombuffer(raw, "<i8", n, 8 * n),
        np.frombuffer(raw, "<f4", n, 16 * n),
        np.frombuffer(raw, np.uint8, n, 20 * n),
    )


def _date(day: int) -> dt.date:
    return dt.date(1970, 1, 1) + dt.timedelta(days=day)


def mapping(site: Site) -> dict[str, MappedPoint]:
    """Return what the site's points mean by their sources' names, as mapping files have said."""
    return {
        row.name: MappedPoint(row.name, row.object, row.quantity, row.unit, row.scale, row.offset)
        for row in TelemetryPoint.objects.filter(site=site)
    }


def last_readings(points: Iterable[TelemetryPoint]) -> dict[int, tuple[dt.datetime, float]]:
    """Return the newest time and value of each point by its id."""
    newest = TelemetryDay.objects.filter(point=OuterRef("point")).order_by("-day").values("pk")[:1]
    rows = TelemetryDay.objects.filter(point__in=list(points), pk=Subquery(newest))
    found = {}
    for row in rows:
        times, values, _ = _columns(row)
        found[row.point_id] = (dt.datetime.fromtimestamp(float(times[-1]) / 1e3, dt.UTC), float(values[-1]))
    return found


@dataclass(frozen=True, slots=True)
class Series:
    """A point's good readings by interval, arrays of shape (n,); NaN where an interval has none."""

    low: NDArray[np.float64]
    mean: NDArray[np.float64]
    high: NDArray[np.float64]
    count: NDArray[np.int64]
    not_good: NDArray[np.int64]  # readings whose quality is not 1


def series(point: TelemetryPoint, start_ms: int, step_ms: int, n: int, end_ms: int) -> Series:
    """Return `n` intervals of a point from `start_ms` on, the last up to `end_ms`; an interval has its beginning.

    Raises
    ------
    ValueError
        If there are more readings in them than are read at once.
    """
    days = point.days.filter(day__gte=_date(start_ms // DAY_MS), day__lte=_date((end_ms - 1) // DAY_MS))
    there = days.aggregate(n=Sum("n_readings"))["n"] or 0
    if there > MOST_READ:
        raise ValueError(f"there are {there:,} readings; at most {MOST_READ:,} are read at once, so ask for a part")
    low, high, total = np.full(n, np.inf), np.full(n, -np.inf), np.zeros(n)
    count, not_good = np.zeros(n, np.int64), np.zeros(n, np.int64)
    for row in days.order_by("day").iterator(chunk_size=50):
        times, values, quality = _columns(row)
        here = (times >= start_ms) & (times < end_ms)
        good = here & (quality == GOOD)
        not_good += np.bincount((times[here & ~good] - start_ms) // step_ms, minlength=n)
        at, values = (times[good] - start_ms) // step_ms, values[good]
        count += np.bincount(at, minlength=n)
        total += np.bincount(at, weights=values, minlength=n)
        np.minimum.at(low, at, values)
        np.maximum.at(high, at, values)
    some = count > 0
    mean = np.divide(total, count, out=np.full(n, np.nan), where=some)
    return Series(np.where(some, low, np.nan), mean, np.where(some, high, np.nan), count, not_good)


def _columns(row: TelemetryDay) -> Columns:
    return unpacked((row.day - dt.date(1970, 1, 1)).days * DAY_MS, bytes(row.columns), row.n_readings)


def read(site: Site, start_ms: int, end_ms: int) -> dict[tuple[str, str], Columns]:
    """Return every point's readings from `start_ms` up to but not including `end_ms`, by object and quantity.

    Raises
    ------
    ValueError
        If the days have more readings than are read at once.
    """
    found: dict[tuple[str, str], list[Columns]] = {}
    rows = TelemetryDay.objects.filter(
        point__site=site, day__gte=_date(start_ms // DAY_MS), day__lte=_date(end_ms // DAY_MS)
    )
    there = rows.aggregate(n=Sum("n_readings"))["n"] or 0
    if there > MOST_READ:
        raise ValueError(f"there are {there:,} readings; at most {MOST_READ:,} are read at once, so ask for a part")
    for row in rows.select_related("point").order_by("point", "day").iterator(chunk_size=500):
        times, values, quality = _columns(row)
        here = (times >= start_ms) & (times < end_ms)
        if here.any():
            found.setdefault((row.point.object, row.point.quantity), []).append(
                (times[here], values[here], quality[here])
            )
    return {
        key: tuple(np.concatenate(column) for column in zip(*days, strict=True))  # type: ignore[misc]
        for key, days in found.items()
    }
