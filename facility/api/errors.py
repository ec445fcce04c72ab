"""What an exception under /api/ means to the caller, in the one error shape of `problems`."""

from django.core.exceptions import PermissionDenied
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.serializers import as_serializer_error
from rest_framework.views import exception_handler as drf_exception_handler

from facility.api.problems import PROBLEM_JSON, PreconditionFailed, fault_of, problem
from facility.etags import TagMismatch
from facility.services import FrozenLayout, StaleLayout


class Conflict(exceptions.APIException):
    """The change was made on a version that is no longer the newest."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


def exception_handler(error: Exception, context: dict) -> Response | None:
    """Return the answer for an exception: fields under extra.fields, everything else as its sentence."""
    if isinstance(error, FrozenLayout):
        error = Conflict(error.message)
    elif isinstance(error, DjangoValidationError):
        error = exceptions.ValidationError(as_serializer_error(error))
    elif isinstance(error, StaleLayout):
        error = Conflict(str(error))
    elif isinstance(error, TagMismatch):
        error = PreconditionFailed(str(error))
    elif isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied(str(error) or None)
    elif fault := fault_of(error):
        error = fault
    response = drf_exception_handler(error, context)
    if response is None:
        return None
    if isinstance(error, exceptions.ValidationError):
        message, extra = first_sentence(error.detail), {"fields": error.detail}
    else:
        message, extra = str(getattr(error, "detail", error)), getattr(error, "extra", {})
    response.data = problem(response.status_code, message, context["request"].path, extra)
    response.content_type = PROBLEM_JSON
    return response


def first_sentence(detail: object, field: str = "") -> str:
    """Return the first message of a nested validation error, with the field it belongs to."""
    if isinstance(detail, dict):
        name, inner = next(iter(detail.items()))
        own = "" if name == "non_field_errors" else str(name)
        return first_sentence(inner, f"{field}.{own}".strip("."))
    if isinstance(detail, list):
        return first_sentence(next((item for item in detail if item), ""), field)
    names_itself = not field or str(detail).startswith(f"{field} ")
    return str(detail) if names_itself else f"{field}: {detail}"
