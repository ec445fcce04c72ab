"""Which request and which job a log line belongs to: set where they begin, read by the formatter."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import uuid4

NAMES = ("request_id", "job_id")
HEADER = "X-Request-ID"
GIVEN = re.compile(r"[\w.:-]{1,64}", re.ASCII)  # of a proxy or a program; anything else could forge log lines

_ids: dict[str, ContextVar[str]] = {name: ContextVar(name, default="") for name in NAMES}


def request_id() -> str:
    """Return the id of the request that is being answered, or that a job was asked by; empty outside."""
    return _ids["request_id"].get()


def taken_or_new(given: str) -> str:
    """Return the id that a request brings, or a fresh one where it brings none that can be taken."""
    return given if GIVEN.fullmatch(given) else uuid4().hex


@contextmanager
def belonging(**ids: str) -> Iterator[None]:
    """Put ids of `NAMES` on every log line of this thread inside the block."""
    tokens = {name: _ids[name].set(value) for name, value in ids.items()}
    try:
        yield
    finally:
        for name, token in tokens.items():
            _ids[name].reset(token)


class Ids(logging.Filter):
    """Gives records their ids: as fields for JSON, and as one text for lines."""

    def filter(self, record: logging.LogRecord) -> bool:
        known = {name: value for name in NAMES if (value := _ids[name].get())}
        meta = getattr(getattr(record, "request", None), "META", {})  # Django logs some answers after all middleware
        if isinstance(given := meta.get("HTTP_X_REQUEST_ID"), str) and GIVEN.fullmatch(given):
            known.setdefault("request_id", given)
        vars(record).update(known)
        record.ids = "".join(f" {name}={value}" for name, value in known.items())
        return True


class Line(logging.Formatter):
    """A line of text."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname} {name}{ids} {message}", style="{", defaults={"ids": ""})
