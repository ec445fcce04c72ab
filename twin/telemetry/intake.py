"""What a source sent since the last write: readings by point, refusals by reason, odd ones; written all or none."""

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from django.db import transaction
from django.utils import timezone

from twin.core.telemetry.readings import FIRST_MS, LAST_MS, OUTSIDE_TIME, MappedPoint, Scale, scale_of
from twin.models import DeadLetter, SourceState, TelemetrySource
from twin.telemetry import store
from twin.telemetry.reasons import AHEAD, LATE, NOT_GOOD, ODD, OUT_OF_ORDER, STUCK, joined
from twin.telemetry.source_lease import LEASE, SourceLost

LATE_S, AHEAD_S = 300.0, 60.0
STUCK_S, STUCK_TIMES = 3600.0, 30  # as long the same to the last digit, and sent as often
MOST_LETTERS = 200  # of one write
RATE_OVER_S = 10.0  # the time over which the rate is smoothed


@dataclass(slots=True)
class _Point:
    """A point's readings since the last write, and what it read before."""

    entry: MappedPoint
    scale: Scale
    times: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    quality: list[int] = field(default_factory=list)
    newest_ms: int = 0
    last: float = float("nan")
    same_since_ms: int = 0
    n_same: int = 0


class Intake:
    """Collects what one source sends and writes it with the counts of it.

    Parameters
    ----------
    source : TelemetrySource
    holder : str
        Whose it is.
    late_s : float
        Age from which a reading counts as late [s]; what is asked for is as old as it was asked.
    """

    def __init__(self, source: TelemetrySource, holder: str, *, late_s: float = LATE_S) -> None:
        self._source, self._holder, self._late_s = source, holder, late_s
        self._points: dict[tuple[MappedPoint, str], _Point | str] = {}
        self._ids: dict[MappedPoint, int] = {}
        self._touched: list[_Point] = []
        self._refused: Counter[str] = Counter()
        self._letters: list[DeadLetter] = []
        self._written_at, self._rate_per_s = timezone.now(), 0.0
        self._looked: tuple[list[list[int]], int] | None = (
            None  # at what is to be written, once however often it is tried
        )

    @property
    def is_empty(self) -> bool:
        return not self._touched and not self._refused

    def take(self, entry: MappedPoint, unit: str, time_ms: int, value: float, quality: int) -> str:
        """Keep a reading; return the reason where it is refused, else nothing.

        Parameters
        ----------
        entry : MappedPoint
        unit : str
            As the source writes it; blank: that of the mapping.
        time_ms : int
            Of the source [ms since 1970].
        value, quality : float, int
        """
        key = (entry, unit)
        point = self._points.get(key)
        if point is None:
            scale = scale_of(entry, unit)
            point = self._points[key] = scale if isinstance(scale, str) else _Point(entry, scale)
        if isinstance(point, str):
            return point
        number = point.scale.si(value)
        if isinstance(number, str):
            return number
        if not FIRST_MS <= time_ms < LAST_MS:
            return OUTSIDE_TIME
        if not point.times:
            self._touched.append(point)
        point.times.append(time_ms)
        point.values.append(number)
        point.quality.append(quality)
        return ""

    def refuse(self, reason: str, place: str, content: str, n: int = 1) -> None:
        """Count what cannot be taken, `n` readings of it, and keep it as it came."""
        self._refused[reason] += n
        if len(self._letters) < MOST_LETTERS:
            said = (text.replace("\0", "\ufffd") for text in (place[:300], content[:2000], reason[:200]))
            names = ("place", "content", "reason")
            self._letters.append(
                DeadLetter(source=self._source, arrived_at=timezone.now(), **dict(zip(names, said, strict=True)))
            )

    def write(self, read_to: dt.datetime | None = None) -> int:
        """Store what was taken and count all of it; return how many readings were stored.

        Parameters
        ----------
        read_to : datetime, optional
            Up to when a source that is asked has answered: where the next question begins.

        Raises
        ------
        SourceLost
            If the source is no longer this reader's; nothing is written.
        """
        if missing := [point.entry for point in self._touched if point.entry not in self._ids]:
            with transaction.atomic():
                self._ids |= store.point_ids(self._source.site, missing)
        self._looked = self._looked or self._look_at_them()
        odd, newest_ms = self._looked
        columns: dict[int, list[store.Arrived]] = {}
        for point, own_odd in zip(self._touched, odd, strict=True):
            part = (
                np.array(point.times, np.int64),
                np.array(point.values, float),
                np.array(point.quality, np.uint8),
                np.array(own_odd, np.uint8),
            )
            columns.setdefault(self._ids[point.entry], []).append(part)
        together = {
            key: tuple(np.concatenate(column) for column in zip(*parts, strict=True)) for key, parts in columns.items()
        }
        now = timezone.now()
        with transaction.atomic():
            state = SourceState.objects.select_for_update().get(source=self._source)
            if state.holder != self._holder:
                raise SourceLost(f"{self._source} is read by another process")
            n = store.arrive(self._source, together) if together else 0
            DeadLetter.objects.bulk_create(self._letters)
            state.read_to = read_to or state.read_to
            self._count(state, n, newest_ms, now)
            store.count_on_commit(refused=self._refused.total())
        for point in self._touched:
            point.newest_ms = max(point.newest_ms, *point.times)
            point.times, point.values, point.quality = [], [], []
        self._touched, self._letters, self._looked = [], [], None
        self._refused.clear()
        self._written_at = now
        return n

    def _count(self, state: SourceState, n: int, newest_ms: int, now: dt.datetime) -> None:
        passed_s = max((now - self._written_at).total_seconds(), 1e-3)
        weight = min(passed_s / RATE_OVER_S, 1.0)
        self._rate_per_s += weight * (n / passed_s - self._rate_per_s)
        state.received += n + self._refused.total()
        state.refused = joined(state.refused, self._refused)
        state.held_until, state.rate_per_s = now + LEASE, self._rate_per_s
        if n or self._refused:
            state.last_seen_at = now
        if newest_ms:
            newest_at = dt.datetime.fromtimestamp(newest_ms / 1e3, dt.UTC)
            state.lag_s = (now - newest_at).total_seconds()
            state.newest_at = max(state.newest_at or newest_at, newest_at)
        state.save(
            update_fields=[
                "received",
                "refused",
                "held_until",
                "last_seen_at",
                "rate_per_s",
                "lag_s",
                "newest_at",
                "read_to",
            ]
        )

    def _look_at_them(self) -> tuple[list[list[int]], int]:
        """Return what is odd about each reading that was taken, as bits, and the newest time among them [ms]."""
        found: list[list[int]] = []
        now_ms, newest_ms = timezone.now().timestamp() * 1e3, 0
        for point in self._touched:
            before, own = point.newest_ms, []
            for time_ms, value, quality in zip(point.times, point.values, point.quality, strict=True):
                odd = ODD[OUT_OF_ORDER] if time_ms < before else 0
                before = max(before, time_ms)
                if now_ms - time_ms > 1e3 * self._late_s:
                    odd |= ODD[LATE]
                elif time_ms - now_ms > 1e3 * AHEAD_S:
                    odd |= ODD[AHEAD]
                if quality != 1:
                    odd |= ODD[NOT_GOOD]
                if value != point.last:
                    point.last, point.same_since_ms, point.n_same = value, time_ms, 0
                else:
                    point.n_same += 1
                    if point.n_same >= STUCK_TIMES and time_ms - point.same_since_ms > 1e3 * STUCK_S:
                        odd |= ODD[STUCK]
                own.append(odd)
            found.append(own)
            newest_ms = max(newest_ms, before)
        return found, newest_ms


def trim_dead_letters(source: TelemetrySource) -> None:
    """Forget the oldest messages of a source that were refused, beyond those that are kept."""
    rows = DeadLetter.objects.filter(source=source).order_by("-id")
    if (first := rows.values_list("id", flat=True)[DeadLetter.KEPT : DeadLetter.KEPT + 1]) and (oldest := first[0]):
        DeadLetter.objects.filter(source=source, id__lte=oldest).delete()
