"""What holds for every request before and after its view: bounded bodies, and faults of the surroundings in words."""

import logging

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from facility.api.problems import fault_of, problem_answer

API = "/api/"
logger = logging.getLogger(__name__)


def refusal(request: HttpRequest, status: int, message: str, **headers: str) -> HttpResponse:
    """Return a refusal in the shape of the address: problem details under /api/, a page elsewhere."""
    if request.path.startswith(API):
        return problem_answer(status, message, request.path, **headers)
    answer = render(request, "refusal.html", {"message": message}, status=status)
    for name, value in headers.items():
        answer[name] = value
    return answer


class BoundedBody:
    """Refuse a body without a stated length, or longer than anything that is read, before a byte of it is read."""

    def __init__(self, get_response) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
            return refusal(request, 411, "The request has no Content-Length; send one.", Connection="close")
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not length.isdecimal() or int(length) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            most = f"{settings.DATA_UPLOAD_MAX_MEMORY_SIZE:,}"
            message = (
                f"The request has {int(length):,} bytes; at most {most} are read."
                if length.isdecimal()
                else ("The Content-Length is no number.")
            )
            return refusal(request, 413 if length.isdecimal() else 400, message, Connection="close")
        return self.get_response(request)


class SecureHeaders:
    """What a page may ask of a browser, and who may take its answers into a page of their own: nothing, nobody."""

    def __init__(self, get_response) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = self.get_response(request)
        answer.headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
        answer.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        return answer


class Faults:
    """Say in words what a full disk or a database that is away means; mistakes of ours stay errors."""

    def __init__(self, get_response) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Return the refusal of a fault."""
        fault = fault_of(error)
        if fault is None:
            return None
        logger.error("%s %s: %s", request.method, request.path, error)
        headers = {"Retry-After": str(fault.wait)} if hasattr(fault, "wait") else {}
        return refusal(request, fault.status_code, str(fault.detail), **headers)
