"""A file of readings sent by a page: kept until its points have a meaning, then stored as a batch."""

import datetime as dt
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from django.utils import timezone

from facility.models import Site
from facility.permissions import Right, check_write
from twin.core.telemetry import readings as reader
from twin.core.telemetry.tables import table_of
from twin.models import TelemetryUpload
from twin.telemetry import batches, store
from twin.telemetry.objects import known_objects

MOST_BYTES = 16 * 2**20  # of a file; larger ones are for `ingest_telemetry`
MOST_CELLS = 2_000_000  # of a Parquet file, which is kept as text
KEPT = dt.timedelta(days=1)
MOST_POINTS = 500  # whose meaning is asked on a page; more are for a mapping file


def upload_keep(
    *, user, site: Site, name: str, text: str, reading: reader.Reading, mapping: Any = None
) -> TelemetryUpload:
    """Keep a file of readings, and forget those that nobody stored for a day.

    Raises
    ------
    PermissionDenied
        If the user may not change the site.
    ValueError
        If the file is no table of readings, or its mapping file is none.
    """
    check_write(user, site, Right.OPERATE)
    TelemetryUpload.objects.filter(created_at__lt=timezone.now() - KEPT).delete()
    objects = known_objects(site.layouts.all())
    if reading.time_zone:
        reader.zone_named(reading.time_zone)
    mapped = reader.mapping_of(mapping, objects) if mapping is not None else {}
    points = reader.file_points(table_of(text, name), reading)
    if not points:
        raise ValueError(f"{name} names no point")
    return TelemetryUpload.objects.create(
        site=site,
        created_by=user,
        name=name[:200],
        content=zlib.compress(text.encode()),
        reading=asdict(reading),
        mapping=[entry.as_json() for entry in mapped.values()],
    )


def proposals(upload: TelemetryUpload) -> tuple[list[reader.MappedPoint], list[reader.Proposal]]:
    """Return what a file's points mean already, and what the others seem to be, most certain first."""
    site = upload.site
    objects = known_objects(site.layouts.all())
    points = reader.file_points(table_of(_text(upload), upload.name), reader.Reading(**upload.reading))
    mapping = _mapping(upload, objects)
    unknown = {name: unit for name, unit in points.items() if name not in mapping}
    found = reader.propose(unknown, objects)
    known = [mapping[name] for name in points if name in mapping]
    known += [entry.mapped for entry in found if entry.mapped and entry.confidence == 1.0]  # by its own name
    asked = [entry for entry in found if not (entry.mapped and entry.confidence == 1.0)]
    return known, sorted(asked, key=lambda entry: -entry.confidence)


def upload_store(*, user, upload: TelemetryUpload, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Store a file's readings with what was said of its points, and forget the file.

    Parameters
    ----------
    user : User
    upload : TelemetryUpload
    entries : sequence of mappings
        As of a mapping file: point, object, quantity, unit. Points without one are refused and counted.

    Raises
    ------
    PermissionDenied
        If the user may not change the site.
    ValueError
        If an entry is odd, or two points claim the same quantity of an object; nothing is stored.
    """
    objects = known_objects(upload.site.layouts.all())
    said = reader.mapping_of({"version": 1, "points": [*upload.mapping, *entries]}, objects)
    table, wanted = table_of(_text(upload), upload.name), reader.Reading(**upload.reading)

    def read(mapping: Mapping[str, reader.MappedPoint], objects: tuple[str, ...]) -> reader.Readings:
        return reader.table_readings(table, {**mapping, **said}, objects, wanted)

    answer = batches.store_batch(user=user, site=upload.site, read=read, key="", sha256="")
    upload.delete()
    return answer


def _text(upload: TelemetryUpload) -> str:
    return zlib.decompress(bytes(upload.content)).decode()


def _mapping(upload: TelemetryUpload, objects: Sequence[str]) -> dict[str, reader.MappedPoint]:
    said = reader.mapping_of({"version": 1, "points": upload.mapping}, objects)
    return {**store.mapping(upload.site), **said}
