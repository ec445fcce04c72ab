"""Requests that queue work and may be repeated by their Idempotency-Key: its reading, and what is refused."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ValidationError as Refused
from django.db import IntegrityError
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from facility.api.errors import Conflict
from twin.exceptions import CannotSimulate, KeyReused

MOST_CHARACTERS = 120


def idempotency_key(request: Request) -> str:
    """Return the key under which a request may be repeated; empty where it names none."""
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > MOST_CHARACTERS or not key.isprintable():
        raise ValidationError({"Idempotency-Key": [f"It must have 1 to {MOST_CHARACTERS} printable characters."]})
    return key


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what a service refuses into answers: 400 for what cannot be asked, 409 for a key that is in use."""
    try:
        yield
    except CannotSimulate as refusal:
        raise ValidationError(str(refusal)) from refusal
    except Refused as refusal:
        raise ValidationError(refusal.message_dict) from refusal
    except KeyReused as refusal:
        raise Conflict(str(refusal)) from refusal
    except IntegrityError as error:
        raise Conflict("Idempotency-Key is already in use by a concurrent request; repeat the request.") from error
