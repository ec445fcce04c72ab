"""What guards a change of one object: a tag of its content, so that others may change everything else meanwhile."""

import hashlib

from django.db import models

NOT_CONTENT = ("version", "updated_at")  # of a layout: they count changes of everything that stands in it


class TagMismatch(Exception):
    """The object is no longer what the caller read; the message says what to do."""


def etag(row: models.Model) -> str:
    """Return the strong entity tag of a row's own fields."""
    content = [field for field in row._meta.concrete_fields if field.name not in NOT_CONTENT]
    values = [(field.attname, _plain(field.to_python(getattr(row, field.attname)))) for field in content]
    return f'"{hashlib.sha256(repr(values).encode()).hexdigest()[:32]}"'


def _plain(value: object) -> object:
    """Return a value as it is read from the database: a choice is its text there."""
    return str(value) if isinstance(value, str) else value


def check_match(row: models.Model, if_match: str | None) -> None:
    """Raise unless an If-Match header, where there is one, names the row as it is stored now.

    Raises
    ------
    TagMismatch
        If somebody has changed the row since the caller read it.
    """
    if not if_match or if_match.strip() == "*":
        return
    # A proxy that compresses marks the tag of an answer as weak; it is still the tag of what was read.
    named = {tag.strip().removeprefix("W/") for tag in if_match.split(",")}
    if etag(row) not in named:
        raise TagMismatch(f"{row} has been changed since you read it. Read it again and repeat your change.")
