"""What the points of a source mean: as mapped for it, as the site's mapping has it, or as they say themselves."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction

from facility.permissions import Right, check_write
from twin.core.telemetry import dsx_bms, prometheus, redfish
from twin.core.telemetry.readings import MappedPoint, Proposal, mapping_of
from twin.models import TelemetrySource
from twin.telemetry import store
from twin.telemetry.objects import known_objects

Metadata = Mapping[str, Mapping[str, Any]]
Meaning = tuple[MappedPoint, str] | str
NOT_YET = "point not mapped yet: its meaning is proposed on the source's page"
#: What the points of each kind of source seem to be, by what it says of them.
PROPOSED: Mapping[str, Callable[[Metadata, Iterable[str]], list[Proposal]]] = {
    TelemetrySource.Kind.MQTT: dsx_bms.propose,
    TelemetrySource.Kind.PROMETHEUS: prometheus.propose,
    TelemetrySource.Kind.REDFISH: redfish.propose,
    TelemetrySource.Kind.REMOTE_WRITE: prometheus.propose,
}


def meanings(source: TelemetrySource, metadata: Metadata, objects: Iterable[str]) -> dict[str, Meaning]:
    """Return what each point of a source means and the unit that it is written in, or why it has no meaning.

    Parameters
    ----------
    source : TelemetrySource
    metadata : mapping
        What it says of its points, by point.
    objects : iterable of str
        Of the site.
    """
    mapped = _mapped(source, objects)
    found: dict[str, Meaning] = {name: (entry, "") for name, entry in mapped.items()}
    for entry in _proposed(source, metadata, mapped, objects):
        if entry.mapped and entry.confidence == 1.0:
            found[entry.point] = (entry.mapped, entry.mapped.unit)
        else:
            found[entry.point] = f"point not mapped: {entry.reason}"[:200] if not entry.mapped else NOT_YET
    return found


def proposals(source: TelemetrySource) -> tuple[list[MappedPoint], list[Proposal]]:
    """Return what the points of a source mean already, and what the others seem to be, most certain first."""
    objects = known_objects(source.site.layouts.all())
    mapped = _mapped(source, objects)
    found = _proposed(source, source.metadata, mapped, objects)
    known = [entry for name, entry in mapped.items() if name in source.metadata]
    known += [entry.mapped for entry in found if entry.mapped and entry.confidence == 1.0]
    asked = [entry for entry in found if not (entry.mapped and entry.confidence == 1.0)]
    return known, sorted(asked, key=lambda entry: -entry.confidence)


@transaction.atomic
def accept(*, user, source: TelemetrySource, entries: Sequence[Mapping[str, Any]]) -> int:
    """Add entries to the mapping of a source; return how many it has now.

    Raises
    ------
    PermissionDenied
        If the user may not change the site.
    ValueError
        If an entry is odd, or two points claim the same quantity of an object; nothing is kept.
    """
    check_write(user, source.site, Right.OPERATE)
    held = TelemetrySource.objects.select_for_update().get(pk=source.pk)
    said = {str(entry.get("point")): dict(entry) for entry in [*held.mapping, *entries]}
    objects = known_objects(source.site.layouts.all())
    mapped = mapping_of({"version": 1, "points": list(said.values())}, objects)
    held.mapping = [entry.as_json() for entry in mapped.values()]
    held.save(update_fields=["mapping", "updated_at"])
    return len(mapped)


def _proposed(
    source: TelemetrySource, metadata: Metadata, mapped: Mapping[str, MappedPoint], objects: Iterable[str]
) -> list[Proposal]:
    return PROPOSED[source.kind]({name: said for name, said in metadata.items() if name not in mapped}, objects)


def _mapped(source: TelemetrySource, objects: Iterable[str]) -> dict[str, MappedPoint]:
    own = mapping_of({"version": 1, "points": source.mapping}, objects)
    return store.mapping(source.site) | own
