"""Who changed what: one record per version of a layout, as short sentences of data that a conflict can show.

A change is {kind, id, name, action, fields}: action is created, changed or deleted, fields gives [old, new] of each
field that differs, references by name. Records are kept for the newest versions only; they explain, they do not store.
"""

from typing import Any

from django.db import models

from facility.kinds import EDIT_NAMES, NOT_DESCRIBED
from facility.models import EditRecord, Layout

KEPT_VERSIONS = 200


def shown_values(part: models.Model | None) -> dict[str, Any]:
    """Return a part's fields as a record shows them, references by name; none of a part that does not exist."""
    if part is None:
        return {}
    shown = {}
    for field in part._meta.concrete_fields:
        if field.name not in NOT_DESCRIBED:
            value = getattr(part, field.name)
            shown[field.name] = value.name if isinstance(value, models.Model) else value
    return shown


def stored(part: models.Model) -> models.Model | None:
    """Return a part as the database has it, or None where it is new."""
    return type(part).objects.filter(pk=part.pk).first() if part.pk else None


def change_of(kind: str, key: Any, name: str, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any] | None:
    """Return the change between two states of one object, None where nothing differs; {} stands for no object."""
    action = "changed" if before and after else "created" if after else "deleted"
    fields = {
        field: [before.get(field), after.get(field)]
        for field in (after or before)
        if before.get(field) != after.get(field)
    }
    if not fields:
        return None
    return {"kind": kind, "id": key, "name": name, "action": action, "fields": fields if action == "changed" else {}}


def record_part(layout: Layout, part: models.Model, before: dict[str, Any], after: dict[str, Any], user) -> None:
    """Record what a form, the API or the console did to one part."""
    name = (after or before).get("name", str(part))
    change = change_of(EDIT_NAMES[type(part)], part.pk, name, before, after)
    record(layout, [change] if change else [], user)


def record(layout: Layout, changes: list[dict[str, Any]], user=None) -> None:
    """Keep what made the layout's present version, and forget what is long ago."""
    known = user if user is not None and user.is_authenticated else None
    EditRecord.objects.create(layout=layout, version=layout.version, user=known, changes=changes)
    EditRecord.objects.filter(layout=layout, version__lte=layout.version - KEPT_VERSIONS).delete()


def changes_since(layout: Layout, version: int) -> list[dict[str, Any]]:
    """Return what others did after a version, oldest first: {version, user, at, changes}.

    Versions made without a record (a site file) have no changes and say so by `user` None.
    """
    newest = Layout.objects.values_list("version", flat=True).get(pk=layout.pk)
    records = {
        record.version: record
        for record in EditRecord.objects.filter(layout=layout, version__gt=version).select_related("user")
    }
    found = []
    for number in range(max(version + 1, newest - KEPT_VERSIONS), newest + 1):
        record = records.get(number)
        found.append(
            {
                "version": number,
                "user": record.user.get_username() if record and record.user else None,
                "at": record.made_at.isoformat() if record else None,
                "changes": record.changes if record else [],
            }
        )
    return found


def key_of(part: models.Model) -> tuple[str, int]:
    """Return how records name a part."""
    return EDIT_NAMES[type(part)], part.pk


def touched_since(layout: Layout, version: int) -> set[tuple[str, int]] | None:
    """Return what was changed after a version, or None where that is not recorded: then it may be anything."""
    newest = Layout.objects.values_list("version", flat=True).get(pk=layout.pk)
    records = EditRecord.objects.filter(layout=layout, version__gt=version).values_list("changes", flat=True)
    if len(records) < newest - version:
        return None
    return {(change["kind"], change["id"]) for changes in records for change in changes}


def was_deleted(layout: Layout, kind: str, key: int) -> bool:
    """Return whether a recorded edit of this layout deleted the object: only such a number may be given again."""
    records = EditRecord.objects.filter(layout=layout).order_by("-version").values_list("changes", flat=True)
    return any(
        change["kind"] == kind and change["id"] == key and change["action"] == "deleted"
        for changes in records.iterator(chunk_size=20)
        for change in changes
    )
