"""What Prometheus sends by itself: kept as it came, then read at steps as a server would answer a range query.

Series of one host come in several messages, so nothing is added up before a step is over and what belongs to it is
here. Nobody is waited for: a step ends when newer samples are here, so that a sender that was away is caught up with.
"""

import datetime as dt
import hashlib
import time
import zlib
from collections.abc import Iterator

import numpy as np
from django.db import transaction
from django.db.models import Max, Min, QuerySet, Sum
from django.db.models.functions import Length
from django.utils import timezone

from twin.core.telemetry import prometheus, remote_write
from twin.core.telemetry.readings import FIRST_MS, OUTSIDE_TIME
from twin.models import SourceState, TelemetryPushed, TelemetrySource
from twin.telemetry.ingest.asked import Asked, of_points
from twin.telemetry.reasons import joined

SETTLED_MS = 15_000  # by which samples of one step may come after each other
AHEAD_MS = 60_000  # of our clock, that a sample may be
KEPT_MS = 900_000  # after its step was read, or it was refused: a message that is sent again is known
BACK_MS = 86_400_000  # that the first reading reaches back at most
MOST_STEPS = 60
MOST_AT_ONCE = 2_000_000  # samples in memory
MOST_WAITING = 50_000_000  # samples of a source that nobody has read
MOST_WAITING_BYTES = 2**30  # of its messages
MOST_MESSAGES_BYTES = 2**26  # of those of a span, packed
TOO_LATE = "came after its step was read"
HISTOGRAM = "native histogram: send classic buckets"


class NobodyReads(Exception):
    """So much waits to be read that no more is taken now; the sender keeps it and tries again."""


def push(source: TelemetrySource, body: bytes) -> int:
    """Keep a message as it came; return how many of its samples are new. The same one again changes nothing.

    Of a message without a sample that can be read only its digest is kept, so that it is refused and counted once.

    Raises
    ------
    ValueError
        If it cannot be read.
    NobodyReads
        If too much waits.
    """
    message = remote_write.unpacked(body)
    found = remote_write.written(message)
    times = np.concatenate([own for own, _ in found.series.values()]) if found.series else np.empty(0, np.int64)
    now_ms = round(timezone.now().timestamp() * 1e3)
    newest_ms = now_ms + AHEAD_MS
    digest, kept = hashlib.sha256(body).hexdigest(), zlib.compress(message, 1)
    with transaction.atomic():
        state = SourceState.objects.select_for_update().get(source=source)
        rows = TelemetryPushed.objects.filter(source=source)
        if rows.filter(sha256=digest).exists():
            return 0
        n_waiting, n_bytes = _size(rows)
        if n_waiting + times.size > MOST_WAITING or n_bytes + len(kept) > MOST_WAITING_BYTES:
            raise NobodyReads(
                f"{n_waiting:,} samples of {source} wait to be read ({n_bytes:,} bytes); start read_sources, then send "
                "again."
            )
        outside = (times < FIRST_MS) | (times > newest_ms)
        read_ms = state.read_to.timestamp() * 1e3 if state.read_to else -1.0
        late = ~outside & (times <= read_ms)
        refused = {OUTSIDE_TIME: int(outside.sum()), TOO_LATE: int(late.sum()), HISTOGRAM: found.n_histograms}
        state.refused = joined(state.refused, {reason: n for reason, n in refused.items() if n})
        state.received += sum(refused.values())
        state.save(update_fields=["refused", "received"])
        some = times[~outside]
        row = TelemetryPushed(source=source, sha256=digest)
        if some.size:  # one that came late is known as long as what is read now
            row.n_samples, row.message = times.size, kept
            row.first_ms, row.last_ms = int(some.min()), max(int(some.max()), int(read_ms))
        else:
            rows.filter(n_samples=0, last_ms__lt=now_ms - KEPT_MS).delete()
            row.n_samples, row.message = 0, b""
            row.first_ms = row.last_ms = now_ms
        row.save(force_insert=True)
    return int(times.size - outside.sum() - late.sum())


def _size(rows: QuerySet[TelemetryPushed]) -> tuple[int, int]:
    """Return how many samples and bytes messages have as they are kept."""
    found = rows.aggregate(n=Sum("n_samples"), n_bytes=Sum(Length("message")))
    return found["n"] or 0, found["n_bytes"] or 0


class Buffer:
    """What a source has sent, read at steps."""

    def __init__(self, source: TelemetrySource) -> None:
        self._rows = TelemetryPushed.objects.filter(source=source, n_samples__gt=0)
        self._step_ms, self._by_name = 1000 * source.options["step_s"], source.options["by_name"]
        self._most_series: dict[tuple[str, str, str], int] = {}

    def parts(self, read_to: dt.datetime | None) -> Iterator[Asked]:
        """Read the steps that are over.

        Raises
        ------
        ValueError
            If one step has more samples than are read at once.
        """
        ends = self._rows.aggregate(first=Min("first_ms"), last=Max("last_ms"))
        if ends["last"] is None:
            return
        end_ms = self._step(min(1e3 * time.time(), ends["last"]) - SETTLED_MS)
        at_ms = round(read_to.timestamp() * 1e3) if read_to else 0
        if not at_ms:
            at_ms = max(self._step(ends["first"]), end_ms - BACK_MS) - self._step_ms
        n_steps = MOST_STEPS
        while at_ms < end_ms:
            upto_ms = min(at_ms + n_steps * self._step_ms, end_ms)
            rows = self._rows.filter(first_ms__lte=upto_ms, last_ms__gt=at_ms - remote_write.LOOKBACK_MS)
            n_samples, n_bytes = _size(rows)
            if n_samples > MOST_AT_ONCE or n_bytes > MOST_MESSAGES_BYTES:
                if n_steps == 1:
                    raise ValueError(
                        f"A step has more than {MOST_AT_ONCE:,} samples or {MOST_MESSAGES_BYTES:,} bytes of messages; "
                        "send fewer series."
                    )
                n_steps = max(n_steps // 4, 1)
                continue
            yield self._span(rows, at_ms, upto_ms)
            at_ms = upto_ms
        self._rows.filter(last_ms__lt=at_ms - KEPT_MS).delete()

    def close(self) -> None:
        """Leave it: there is nothing to give back."""

    def _step(self, time_ms: float) -> int:
        return int(time_ms // self._step_ms) * self._step_ms

    def _span(self, rows, at_ms: int, upto_ms: int) -> Asked:
        """Return what came after `at_ms` up to `upto_ms`."""
        parts: dict[remote_write.Labels, list[remote_write.Samples]] = {}
        for message in rows.order_by("id").values_list("message", flat=True).iterator(chunk_size=20):
            for labels, samples in remote_write.written(zlib.decompress(bytes(message))).series.items():
                parts.setdefault(labels, []).append(samples)
        steps = np.arange(at_ms, upto_ms + 1, self._step_ms)
        series = []
        for labels, found in parts.items():
            times, values = (np.concatenate(column) for column in zip(*found, strict=True))
            at = remote_write.at_steps((times, values), steps)
            if at[0].size:
                series.append((dict(labels), *at))
        points = prometheus.points_of(
            series, "remote write", by_name=self._by_name, most_series=self._most_series, after_ms=at_ms
        )
        asked = Asked(read_to=dt.datetime.fromtimestamp(upto_ms / 1e3, dt.UTC))
        of_points(asked, points)
        return asked
