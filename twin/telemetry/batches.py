"""Batches of readings as programs send them: stored once, answered the same again under the same key."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from django.db import transaction

from facility.models import Site
from facility.permissions import Right, check_write
from twin.core.telemetry.readings import MappedPoint, Readings
from twin.exceptions import KeyReused
from twin.models import TelemetryBatch
from twin.telemetry import reasons, store
from twin.telemetry.objects import known_objects

Read = Callable[[dict[str, MappedPoint], tuple[str, ...]], Readings]


@transaction.atomic
def store_batch(*, user, site: Site, read: Read, key: str, sha256: str) -> dict[str, Any]:
    """Store a batch, and return how many readings were accepted, there already and refused by reason.

    Parameters
    ----------
    user : User
    site : Site
    read : callable
        Reads the batch, given what the site's points mean and which objects there are.
    key : str
        Of the caller; the same key with the same batch gives the first answer again. Blank: none.
    sha256 : str
        Of the batch and how it is to be read.

    Raises
    ------
    KeyReused
        If the key came with another batch.
    ValueError
        If the batch cannot be read at all; nothing is stored.
    """
    check_write(user, site, Right.OPERATE)
    Site.objects.select_for_update().get(pk=site.pk)  # two requests with one key come one after the other
    earlier = TelemetryBatch.objects.filter(site=site, key=key).first() if key else None
    if earlier and earlier.sha256 != sha256:
        raise KeyReused("Idempotency-Key was used for another batch of this site; send a new one.")
    if earlier:
        return earlier.answer
    known = store.known_points(site)
    readings = read(store.mapping(site, known), known_objects(site.layouts.all()))
    accepted, duplicate = store.append(site, readings, known)
    answer = {
        "accepted": accepted,
        "duplicate": duplicate,
        "refused": reasons.joined({}, readings.refused),
        "first_refused": [asdict(row) for row in readings.first_refused],
    }
    if key:
        TelemetryBatch.objects.create(site=site, key=key, sha256=sha256, answer=answer)
    return answer
