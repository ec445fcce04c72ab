"""Readings stored by point and UTC day: columns of times, values and quality, packed with zlib.

A time that a point already has keeps its first reading; the later one is counted as a duplicate. Gaps stay gaps.
"""

import datetime as dt
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from django.db import transaction
from django.db.models import OuterRef, Subquery, Sum
from numpy.typing import NDArray

from facility.models import Site
from twin import counters
from twin.core.telemetry.quantities import GOOD, point_name
from twin.core.telemetry.readings import MappedPoint, Readings
from twin.models import TelemetryDay, TelemetryPoint

DAY_MS = 86_400_000
MOST_READ = 20_000_000  # readings of a point at once: a second's readings of 230 days
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
    accepted = duplicate = 0
    Site.objects.select_for_update().get(pk=site.pk)  # one writer a site: a day is read, joined and written
    for mapped, columns in readings.points.items():
        # A name that carries its own mapping says nothing of the source: it leaves what a mapping file said of it.
        carried = mapped.point == point_name(mapped.object, mapped.quantity)
        keep = TelemetryPoint.objects.get_or_create if carried else TelemetryPoint.objects.update_or_create
        point, _ = keep(
            site=site,
            object=mapped.object,
            quantity=mapped.quantity,
            defaults={"name": mapped.point, "unit": mapped.unit, "scale": mapped.scale, "offset": mapped.offset},
        )
        new, twice = _append(point, columns)
        accepted += new
        duplicate += twice
    counts = {"accepted": accepted, "duplicate": duplicate, "refused": readings.refused.total()}
    transaction.on_commit(lambda: _count(counts))
    return accepted, duplicate


def _count(outcomes: dict[str, int]) -> None:
    for outcome, n in outcomes.items():
        counters.READINGS.labels(outcome).inc(n)


def _append(point: TelemetryPoint, columns: Columns) -> tuple[int, int]:
    order = np.argsort(columns[0], kind="stable")
    times, values, quality = (column[order] for column in columns)
    days = times // DAY_MS
    stored = {row.day: row for row in point.days.filter(day__in=[_date(day) for day in np.unique(days).tolist()])}
    accepted = 0
    for day in np.unique(days).tolist():
        here = days == day
        joined = [times[here], values[here], quality[here]]
        before, row = 0, stored.get(_date(day))
        if row is not None:
            before = row.n_readings
            old = unpacked(day * DAY_MS, bytes(row.columns), before)
            joined = [np.concatenate(pair) for pair in zip(old, joined, strict=True)]
        unique, first = np.unique(joined[0], return_index=True)  # the first of equal times: the stored one
        if unique.size == before:
            continue
        spelled = packed(day * DAY_MS, (unique, joined[1][first], joined[2][first]))
        TelemetryDay.objects.update_or_create(
            point=point, day=_date(day), defaults={"n_readings": unique.size, "columns": spelled}
        )
        accepted += unique.size - before
    return accepted, times.size - accepted


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
