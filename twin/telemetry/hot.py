"""Readings as they came: one row a batch, appended and never changed, until compaction moves them into their days."""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facility.models import Site
from twin.core.telemetry.day_columns import Columns
from twin.models import TelemetryHot

MOST_IN_A_ROW = 250_000  # readings
_LEVEL = 1  # of zlib: written once, read until the next compaction


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Readings of several points, arrays of shape (n,), in the order of point and time."""

    point_ids: NDArray[np.int64]
    times: NDArray[np.int64]  # since 1970 [ms]
    values: NDArray[np.float64]
    quality: NDArray[np.uint8]

    @property
    def size(self) -> int:
        """How many readings there are."""
        return int(self.times.size)

    def part(self, which: NDArray | slice) -> "Batch":
        """Return some of the readings."""
        return Batch(self.point_ids[which], self.times[which], self.values[which], self.quality[which])

    def columns(self) -> Columns:
        """Return the readings without their points."""
        return self.times, self.values, self.quality


NONE = Batch(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0, np.uint8))


def batch_of(columns: Iterable[tuple[int, Columns]]) -> Batch:
    """Return readings by point as one batch; of equal times of a point the first stays."""
    parts = list(columns)
    if not parts:
        return NONE
    point_ids = np.repeat(np.array([pk for pk, _ in parts], np.int64), [own[0].size for _, own in parts])
    return ordered(
        Batch(point_ids, *(np.concatenate(column) for column in zip(*(own for _, own in parts), strict=True)))
    )


def joined(batches: Iterable[Batch]) -> Batch:
    """Return batches as one, in the order of point and time; of equal times of a point the first stays."""
    parts = [(b.point_ids, b.times, b.values, b.quality) for b in batches]
    return ordered(Batch(*(np.concatenate(column) for column in zip(*parts, strict=True)))) if parts else NONE


def ordered(batch: Batch) -> Batch:
    """Return a batch in the order of point and time; of equal times of a point the first stays."""
    batch = batch.part(np.lexsort((batch.times, batch.point_ids)))
    first = np.ones(batch.size, bool)
    first[1:] = (np.diff(batch.times) != 0) | (np.diff(batch.point_ids) != 0)
    return batch if first.all() else batch.part(first)


def write(site: Site, batch: Batch) -> None:
    """Append a batch's readings."""
    for start in range(0, batch.size, MOST_IN_A_ROW):
        part = batch.part(slice(start, start + MOST_IN_A_ROW))
        TelemetryHot.objects.create(
            site=site,
            first_ms=int(part.times.min()),
            last_ms=int(part.times.max()),
            n_readings=part.size,
            columns=packed(part),
        )


def read(site: Site, first_ms: int, last_ms: int) -> tuple[list[int], Batch]:
    """Return the rows that overlap a span by their ids, and their readings."""
    rows = TelemetryHot.objects.filter(site=site, first_ms__lte=last_ms, last_ms__gte=first_ms).order_by("id")
    found = [(pk, unpacked(bytes(columns))) for pk, columns in rows.values_list("id", "columns")]
    return [pk for pk, _ in found], joined(batch for _, batch in found)


def of_point(batch: Batch, point_id: int) -> Batch:
    """Return one point's readings."""
    start, end = np.searchsorted(batch.point_ids, [point_id, point_id + 1])
    return batch.part(slice(int(start), int(end)))


def by_point(batch: Batch) -> Iterator[tuple[int, Batch]]:
    """Return each point's readings."""
    ids, starts, counts = np.unique(batch.point_ids, return_index=True, return_counts=True)
    for pk, start, n in zip(ids.tolist(), starts.tolist(), counts.tolist(), strict=True):
        yield pk, batch.part(slice(start, start + n))


def packed(batch: Batch) -> bytes:
    """Return a batch as bytes: its points and how many readings each has, then times, values as float32 and quality."""
    ids, counts = np.unique(batch.point_ids, return_counts=True)
    parts = (
        np.uint32(ids.size).tobytes(),
        ids.astype("<i8").tobytes(),
        counts.astype("<u4").tobytes(),
        batch.times.astype("<i8").tobytes(),
        batch.values.astype("<f4").tobytes(),
        batch.quality.astype(np.uint8).tobytes(),
    )
    return zlib.compress(b"".join(parts), _LEVEL)


def unpacked(stored: bytes) -> Batch:
    """Return the batch that `packed` spelled."""
    raw = zlib.decompress(stored)
    m = int(np.frombuffer(raw, "<u4", 1)[0])
    ids, counts = np.frombuffer(raw, "<i8", m, 4), np.frombuffer(raw, "<u4", m, 4 + 8 * m)
    n, start = int(counts.sum()), 4 + 12 * m
    return Batch(
        np.repeat(ids, counts),
        np.frombuffer(raw, "<i8", n, start),
        np.frombuffer(raw, "<f4", n, start + 8 * n).astype(float),
        np.frombuffer(raw, np.uint8, n, start + 12 * n),
    )
