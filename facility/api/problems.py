"""Refusals as the API sends them: RFC 9457 problem details, with `message` and `extra` as extension members."""

import errno
from http import HTTPStatus
from typing import Any

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation, TooManyFieldsSent
from django.db import DataError, InterfaceError, OperationalError
from django.http import JsonResponse, UnreadablePostError
from rest_framework import exceptions

PROBLEM_JSON = "application/problem+json"


class Fault(exceptions.APIException):
    """A failure outside the program: a full disk, a database that cannot be reached, a body that cannot be read."""

    def __init__(self, status_code: int, message: str, wait_s: int | None = None) -> None:
        super().__init__(message)
        self.status_code = status_code
        if wait_s is not None:
            self.wait = wait_s  # becomes Retry-After


class PreconditionFailed(exceptions.APIException):
    """What the caller read has changed since."""

    status_code = 412


class PreconditionRequired(exceptions.APIException):
    """The caller, or the server's setting, requires that every change names the version it was made on."""

    status_code = 428
    default_detail = "Say what the change was made on: If-Match with the ETag that was read, or version."


def fault_of(error: BaseException) -> Fault | None:
    """Return what an error outside the program means to the caller, or None where it is an error of the program."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or (isinstance(error, OperationalError) and "full" in str(error)):
        return Fault(507, "The disk of the server is full. Nothing was changed; an administrator has to free space.")
    if isinstance(error, OperationalError | InterfaceError):
        return Fault(503, "The database cannot be reached at the moment. Nothing was changed; try again.", 5)
    if isinstance(error, RequestDataTooBig | TooManyFieldsSent):
        return Fault(413, "The request is too large; nothing was changed.")
    if isinstance(error, UnreadablePostError):
        return Fault(400, "The request ended before its body did; nothing was changed.")
    if isinstance(error, OverflowError | DataError):
        return Fault(400, "A number in the request is larger than can be stored; nothing was changed.")
    if isinstance(error, SuspiciousOperation):
        return Fault(400, "The request cannot be read; nothing was changed.")
    return None


def problem(status_code: int, message: str, path: str, extra: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the body of a refusal."""
    try:
        title = HTTPStatus(status_code).phrase
    except ValueError:
        title = "Error"
    return {
        "type": "about:blank",
        "title": title,
        "status": status_code,
        "detail": message,
        "instance": path,
        "message": message,
        "extra": extra or {},
    }


def problem_answer(
    status_code: int, message: str, path: str, *, extra: dict[str, Any] | None = None, **headers: str
) -> JsonResponse:
    """Return a refusal as the API sends it, for what no view of the API has answered."""
    body = problem(status_code, message, path, extra)
    return JsonResponse(body, status=status_code, content_type=PROBLEM_JSON, headers=headers)
