"""Reading the audit log: who may read what of it, how it is searched, and how it leaves as a file."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet

from facility.models import AuditEvent, Organisation, Site
from facility.permissions import Right, organisations_where, sites_where, token_of
from twin.runs.tables import safe_cell

COLUMNS = (
    "at",
    "username",
    "token",
    "door",
    "detail",
    "request_id",
    "site",
    "organisation",
    "action",
    "kind",
    "number",
    "name",
    "before",
    "after",
)


def readable_events(user) -> QuerySet[AuditEvent]:
    """Return the events that a user may read: all for administrators, of their own places for owners.

    Raises
    ------
    PermissionDenied
        If the user owns no site and no organisation.
    """
    token = token_of(user)
    if user.is_superuser and not (token and token.site_ids):
        return AuditEvent.objects.all()
    numbers = list(sites_where(user, Right.AUDIT).values_list("pk", flat=True))
    own = list(organisations_where(user, Right.AUDIT).values_list("pk", flat=True))
    if not numbers and not own:
        raise PermissionDenied("The audit log is for administrators, and for owners of what they own.")
    return AuditEvent.objects.filter(Q(site_number__in=numbers) | Q(organisation_number__in=own))


def searched(
    events: QuerySet[AuditEvent],
    *,
    site: str = "",
    username: str = "",
    kind: str = "",
    action: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[AuditEvent]:
    """Return the events that answer to all that is asked."""
    if site:
        events = events.filter(site_number__in=Site.objects.filter(slug=site).values("pk"))
    for name, value in (("username", username), ("kind", kind), ("action", action)):
        if value:
            events = events.filter(**{name: value})
    if since:
        events = events.filter(at__gte=since)
    return events.filter(at__lt=until) if until else events


def as_rows(events: QuerySet[AuditEvent] | list[AuditEvent]) -> Iterator[dict[str, Any]]:
    """Return events as mappings of `COLUMNS`, places by name where they still are, else by number."""
    sites = dict(Site.objects.values_list("pk", "slug"))
    organisations = dict(Organisation.objects.values_list("pk", "slug"))
    for event in events.iterator(chunk_size=500) if isinstance(events, QuerySet) else events:
        row = {name: getattr(event, name, None) for name in COLUMNS}
        yield row | {
            "at": event.at.isoformat(timespec="milliseconds"),
            "site": _place(event.site_number, sites),
            "organisation": _place(event.organisation_number, organisations),
        }


def _place(number: int | None, known: dict[int, str]) -> str | None:
    return None if number is None else known.get(number, f"#{number}")


def csv_lines(events: QuerySet[AuditEvent]) -> Iterator[str]:
    """Return the log as CSV, line by line; texts that a spreadsheet would run are marked as text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in as_rows(events):
        spelled = row | {name: json.dumps(row[name], ensure_ascii=False) for name in ("before", "after")}
        writer.writerow([safe_cell("" if value is None else value) for value in spelled.values()])
        if text.tell() > 65_536:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def json_lines(events: QuerySet[AuditEvent]) -> Iterator[str]:
    """Return the log as one JSON list, row by row."""
    before = "["
    for row in as_rows(events):
        yield f"{before}\n{json.dumps(row, ensure_ascii=False)}"
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"
