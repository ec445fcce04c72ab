"""Answers to requests that no view answered: pages for readers, problem details under /api/."""

from django.http import HttpRequest, HttpResponse
from django.views import defaults

from facility.api.problems import problem_answer
from twin.middleware import API, refusal


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400."""
    return refusal(request, 400, "The request cannot be read.")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403."""
    if request.path.startswith(API):
        return problem_answer(403, str(exception) or "You do not have permission to do this.", request.path)
    return defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404."""
    if request.path.startswith(API):
        return problem_answer(404, "Nothing is at this address; /api/schema/ lists those there are.", request.path)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """500."""
    if request.path.startswith(API):
        return problem_answer(500, "Something went wrong on the server; its log says what.", request.path)
    return defaults.server_error(request)
