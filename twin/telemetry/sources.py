"""A site's telemetry sources: named, changed and dropped. Whoever names a machine to be called needs the right to."""

from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction

from facility.etags import check_match
from facility.models import Site
from facility.models.text import check_text
from facility.permissions import Right, check_write, may_change_site
from twin import credentials
from twin.core.telemetry.readings import mapping_of
from twin.models import SourceState, TelemetrySource
from twin.telemetry.objects import known_objects
from twin.telemetry.source_kinds import check_address, options_of

MOST_SECRET = 8_000  # characters; a token of an identity provider has some 2,000


def check_call_out(user, site: Site) -> None:
    """Raise PermissionDenied unless the user may say which other machines are called for a site."""
    check_write(user, site, Right.OPERATE)
    if user is not None and not user.is_superuser and not settings.TWIN_PLANNERS_CALL:
        raise PermissionDenied(
            "Which other machines are called is for an administrator to say; TWIN_PLANNERS_CALL=1 lets planners."
        )


def may_call_out(user, site: Site) -> bool:
    """Return whether the user may say which other machines are called for a site."""
    return may_change_site(user, site, Right.OPERATE) and (user.is_superuser or settings.TWIN_PLANNERS_CALL)


@transaction.atomic
def source_save(
    *, user, source: TelemetrySource, password: str | None = None, if_match: str | None = None
) -> TelemetrySource:
    """Save a source, new or changed. Its name and mapping, and that it rests, are for planners to say.

    Parameters
    ----------
    user : User
    source : TelemetrySource
        With its new values.
    password : str, optional
        Sealed before it is stored. Blank: none from now on. None: the stored one stays, where the address does.
    if_match : str, optional
        Tag of what the change was made on.

    Raises
    ------
    PermissionDenied
        If the user may not say which machines are called for the site.
    TagMismatch
        If the source is not what the tag names any more.
    ValidationError
        If a value is odd, or a stored password would go to another address; nothing is saved.
    """
    check_write(user, source.site, Right.OPERATE)
    before = TelemetrySource.objects.select_for_update().filter(pk=source.pk).first() if source.pk else None
    if before is None or password is not None or _calls_otherwise(before, source):
        check_call_out(user, source.site)
    if before is not None:
        check_match(before, if_match)
    check_text(source)
    source.full_clean(exclude=["secret"])
    wrong: dict[str, str] = {}
    for field, checked in (
        ("address", lambda: check_address(source.kind, source.address)),
        ("options", lambda: options_of(source.kind, source.options)),
        ("mapping", lambda: _mapping(source)),
    ):
        try:
            found = checked()
        except ValueError as error:
            wrong[field] = f"{error}."
        else:
            if field != "address":
                setattr(source, field, found)
    if password is not None and len(password) > MOST_SECRET:
        wrong["password"] = f"It has {len(password):,} characters; at most {MOST_SECRET:,}."
    if password is not None:
        source.secret = credentials.sealed(password) if password else b""
    elif before is not None and before.secret and (before.address, before.kind) != (source.address, source.kind):
        wrong["password"] = "The address has changed; enter the password again, or leave it out for good."
    if wrong:
        raise ValidationError(wrong)
    if before is None:
        source.created_by = user
    source.save()
    SourceState.objects.get_or_create(source=source)
    return source


@transaction.atomic
def source_delete(*, user, source: TelemetrySource, if_match: str | None = None) -> None:
    """Drop a source with its state and dead letters; the readings that it sent stay.

    Raises
    ------
    PermissionDenied
        If the user may not say which machines are called for the site.
    TagMismatch
        If the source is not what the tag names any more.
    """
    check_call_out(user, source.site)
    check_match(TelemetrySource.objects.select_for_update().get(pk=source.pk), if_match)
    source.delete()


def password_of(source: TelemetrySource) -> str:
    """Return what the source is called with, or nothing.

    Raises
    ------
    CannotOpen
        If it was sealed with a key that is not here.
    """
    return credentials.opened(source.secret) if source.secret else ""


def _calls_otherwise(before: TelemetrySource, after: TelemetrySource) -> bool:
    """Return whether anything else would be called than before."""
    said = ("site_id", "kind", "address", "options", "username")
    return any(getattr(before, name) != getattr(after, name) for name in said) or (after.enabled and not before.enabled)


def _mapping(source: TelemetrySource) -> list[dict[str, Any]]:
    objects = known_objects(source.site.layouts.all())
    return [entry.as_json() for entry in mapping_of({"version": 1, "points": source.mapping}, objects).values()]
