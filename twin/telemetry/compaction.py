"""Hot readings moved into the days of their points, with rollups; and days that a site's rule keeps no longer.

A transaction takes hot rows, writes their days and deletes them: whoever is killed in it leaves all as it was, and the
next compaction begins anew.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import Count, F, Sum
from django.utils import timezone

from facility.models import Site
from twin.core.telemetry.day_columns import (
    DAY_MS,
    MINUTE_MS,
    MINUTES_FROM,
    QUARTER_MS,
    Columns,
    joined,
    packed,
    rolled,
    rollup_packed,
    rollup_unpacked,
    unpacked,
)
from twin.models import TelemetryDay, TelemetryHot, TelemetryPoint, TelemetryRetention
from twin.telemetry import hot

DUE_READINGS, DUE_ROWS = 500_000, 1_000  # hot ones of a site from which whoever appends compacts
AT_ONCE = 2_000_000  # readings of a transaction
_ROWS = 500  # days read and written at once
_WRITTEN = ["n_readings", "last_ms", "columns", "rollups", "minutes", "updated_at"]
EPOCH = dt.date(1970, 1, 1)


def date_of(day: int) -> dt.date:
    """Return a day counted from 1970."""
    return EPOCH + dt.timedelta(days=day)


def begins_ms(day: dt.date) -> int:
    """Return the beginning of a UTC day since 1970 [ms]."""
    return (day - EPOCH).days * DAY_MS


def is_due(site: Site) -> bool:
    """Whether a site has so many hot readings that reading them takes time."""
    there = TelemetryHot.objects.filter(site=site).aggregate(rows=Count("id"), readings=Sum("n_readings"))
    return there["rows"] > DUE_ROWS or (there["readings"] or 0) > DUE_READINGS


def compact(site: Site) -> int:
    """Move a site's hot readings into their days, and return how many there were."""
    moved = 0
    while part := _compact_some(site):
        moved += part
    return moved


@transaction.atomic
def _compact_some(site: Site) -> int:
    Site.objects.select_for_update().get(pk=site.pk)  # one writer a site
    taken, n = [], 0
    rows = TelemetryHot.objects.filter(site=site).order_by("id").values_list("id", "n_readings", "columns")
    for pk, n_readings, columns in rows.iterator(chunk_size=50):
        if taken and n + n_readings > AT_ONCE:
            break
        taken.append((pk, hot.unpacked(bytes(columns))))
        n += n_readings
    if not taken:
        return 0
    batch = hot.joined(part for _, part in taken)
    known = list(TelemetryPoint.objects.filter(site=site).values_list("id", flat=True))  # a deleted point's are gone
    batch = batch.part(np.isin(batch.point_ids, known))
    groups = list(_days(batch))
    for start in range(0, len(groups), _ROWS):
        _write_days(groups[start : start + _ROWS])
    TelemetryHot.objects.filter(id__in=[pk for pk, _ in taken]).delete()
    return n


def _days(batch: hot.Batch) -> Iterator[tuple[int, int, Columns]]:
    """Return the readings of each point and day."""
    days = batch.times // DAY_MS
    edges = np.flatnonzero((np.diff(days) != 0) | (np.diff(batch.point_ids) != 0)) + 1
    for start, end in zip([0, *edges.tolist()], [*edges.tolist(), batch.size], strict=True):
        if end > start:
            yield int(batch.point_ids[start]), int(days[start]), batch.part(slice(start, end)).columns()


def _write_days(groups: Sequence[tuple[int, int, Columns]]) -> None:
    points, days = {pk for pk, _, _ in groups}, {date_of(day) for _, day, _ in groups}
    stored = {(row.point_id, row.day): row for row in TelemetryDay.objects.filter(point__in=points, day__in=days)}
    rows = [_joined_day(stored.get((pk, date_of(day))), pk, day, columns) for pk, day, columns in groups]
    TelemetryDay.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["point", "day"], update_fields=_WRITTEN
    )


def _joined_day(row: TelemetryDay | None, point_id: int, day: int, columns: Columns) -> TelemetryDay:
    """Return a point's day with further readings: of equal times the stored one stays."""
    day_ms = day * DAY_MS
    if row is not None and not row.columns:  # its readings are no longer kept: the late ones join its rollup
        rollup = joined(rollup_unpacked(bytes(row.rollups)), rolled(day_ms, columns, QUARTER_MS))
        row.n_readings, row.rollups = row.n_readings + columns[0].size, rollup_packed(rollup)
        row.last_ms = max(row.last_ms or 0, int(columns[0][-1]))
        return row
    if row is not None:
        old = unpacked(day_ms, bytes(row.columns), row.n_readings)
        both = [np.concatenate(pair) for pair in zip(old, columns, strict=True)]
        _, first = np.unique(both[0], return_index=True)
        columns = both[0][first], both[1][first], both[2][first]
    row = row or TelemetryDay(point_id=point_id, day=date_of(day))
    row.n_readings, row.last_ms, row.columns = columns[0].size, int(columns[0][-1]), packed(day_ms, columns)
    row.rollups = rollup_packed(rolled(day_ms, columns, QUARTER_MS))
    row.minutes = rollup_packed(rolled(day_ms, columns, MINUTE_MS)) if columns[0].size > MINUTES_FROM else None
    return row


def oldest_ms(site: Site, today: dt.date | None = None) -> int | None:
    """Return the beginning of the first day whose readings a site's rule keeps, None where it keeps all."""
    rule = TelemetryRetention.objects.filter(site=site).first()
    return None if rule is None or rule.readings_days is None else begins_ms(_first_kept(rule.readings_days, today))


def _first_kept(n_days: int, today: dt.date | None) -> dt.date:
    return (today or timezone.now().astimezone(dt.UTC).date()) - dt.timedelta(days=n_days)


def retain(site: Site, today: dt.date | None = None) -> dict[str, int]:
    """Drop what a site's rule no longer keeps: first readings, whose quarters of an hour stay, then these too.

    Returns
    -------
    dict
        `readings_dropped`: days of points whose readings were dropped; `days_dropped`: those dropped whole.
    """
    rule = TelemetryRetention.objects.filter(site=site).first()
    told = {"readings_dropped": 0, "days_dropped": 0}
    if rule is None:
        return told
    days = TelemetryDay.objects.filter(point__site=site)
    if rule.rollups_days is not None:
        told["days_dropped"], _ = days.filter(day__lt=_first_kept(rule.rollups_days, today)).delete()
    if rule.readings_days is not None:
        old = days.filter(day__lt=_first_kept(rule.readings_days, today)).exclude(columns=b"")
        while rows := list(old[:_ROWS]):
            told["readings_dropped"] += _drop_readings(site, [row.pk for row in rows])
    return told


@transaction.atomic
def _drop_readings(site: Site, pks: Sequence[int]) -> int:
    Site.objects.select_for_update().get(pk=site.pk)
    rows = list(TelemetryDay.objects.filter(pk__in=pks))
    for row in rows:
        if row.rollups is None:  # written by an earlier version
            day_ms = begins_ms(row.day)
            columns = unpacked(day_ms, bytes(row.columns), row.n_readings)
            row.rollups = rollup_packed(rolled(day_ms, columns, QUARTER_MS))
        row.columns, row.minutes = b"", None
    TelemetryDay.objects.bulk_update(rows, ["columns", "minutes", "rollups"])
    return len(rows)


def tend(sites: Sequence[Site]) -> list[dict[str, Any]]:
    """Compact sites and hold their rules; return what was done for each."""
    return [{"site": site.slug, "compacted": compact(site)} | retain(site) for site in sites]


def sites_to_tend() -> list[Site]:
    """Return the sites that have hot readings, or a rule."""
    waiting = TelemetryHot.objects.values_list(F("site"), flat=True).distinct()
    ruled = TelemetryRetention.objects.values_list("site", flat=True)
    return list(Site.objects.filter(pk__in=[*waiting, *ruled]).only("id", "slug"))
