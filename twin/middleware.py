"""What holds for every request before and after its view: its id and count, a bounded body, faults in words."""

import logging
import time

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from facility import acting
from facility.api.problems import fault_of, problem_answer
from facility.preferences import units_of
from power_cooling.site_facts.units import shown_in
from twin import counters, log_ids

API = "/api/"
METHODS = {"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"}  # any other word is the visitor's
PAGE_METHODS = ("GET", "HEAD", "OPTIONS", "POST")
logger = logging.getLogger(__name__)
requests = logging.getLogger("twin.requests")


def refusal(request: HttpRequest, status: int, message: str, **headers: str) -> HttpResponse:
    """Return a refusal in the shape of the address: problem details under /api/, a page elsewhere."""
    if request.path.startswith(API):
        return problem_answer(status, message, request.path, **headers)
    again_s = headers.get("Retry-After") if request.method == "GET" else None  # a form is not sent twice by itself
    answer = render(request, "refusal.html", {"message": message, "again_s": again_s}, status=status)
    if again_s:
        answer["Refresh"] = again_s
    for name, value in headers.items():
        answer[name] = value
    return answer


class Counted:
    """Give each request an id that logs, answer and solver process share; count it, time it and say so in the log."""

    def __init__(self, get_response) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        start_s = time.perf_counter()
        taken = log_ids.taken_or_new(request.META.get("HTTP_X_REQUEST_ID", ""))
        request.META["HTTP_X_REQUEST_ID"] = taken  # before anybody reads the headers: the door hands them on
        with log_ids.belonging(request_id=taken):
            answer = self.get_response(request)
            answer.headers[log_ids.HEADER] = taken
            self._count(request, answer, time.perf_counter() - start_s)
        return answer

    def _count(self, request: HttpRequest, answer: HttpResponse, seconds: float) -> None:
        if request.path.startswith(settings.STATIC_URL):
            return  # a browser keeps them, and none takes long
        route = (request.resolver_match and request.resolver_match.view_name) or counters.NO_ROUTE
        method = request.method if request.method in METHODS else "other"
        counters.REQUESTS.labels(counters.ROLE, method, route, str(answer.status_code)).inc()
        counters.REQUEST_SECONDS.labels(counters.ROLE, route).observe(seconds)
        if requests.isEnabledFor(logging.INFO):
            fields = {"method": method, "path": request.path, "route": route, "role": counters.ROLE}
            user = getattr(request, "user", None)
            fields |= {"status": answer.status_code, "seconds": round(seconds, 4), "user_id": user.pk if user else None}
            requests.info("%s %s %s", method, request.path, answer.status_code, extra=fields)


class ActedBy:
    """Sets for the audit log who acts, and through which door."""

    def __init__(self, get_response) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        door = "API" if request.path.startswith(API) else "admin" if request.path.startswith("/admin/") else "page"
        detail = f"{request.method} {request.path}"
        request_id = request.META.get("HTTP_X_REQUEST_ID", "")
        with acting.acting(acting.Acting(door, detail, request_id, request=request)):
            return self.get_response(request)


class ShownUnits:
    """Show quantities on a signed-in user's pages in the units they chose; the API and the console stay SI."""

    def __init__(self, get_response) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith((API, "/admin/")) or settings.SESSION_COOKIE_NAME not in request.COOKIES:
            return self.get_response(request)
        with shown_in(units_of(request)):
            return self.get_response(request)


class BoundedBody:
    """Refuse a body without a stated length, or longer than anything that is read, before a byte of it is read."""

    def __init__(self, get_response) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
            return refusal(request, 411, "The request has no Content-Length; send one.", Connection="close")
        length = request.META.get("CONTENT_LENGTH") or "0"
        is_number = length.isdecimal() and len(length) < 19  # longer ones are no number of bytes
        if not is_number or int(length) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            most = f"{settings.DATA_UPLOAD_MAX_MEMORY_SIZE:,}"
            message = (
                f"The request has {int(length):,} bytes; at most {most} are read."
                if is_number
                else ("The Content-Length is no number.")
            )
            return refusal(request, 413 if is_number else 400, message, Connection="close")
        return self.get_response(request)


class PageMethods:
    """Refuse methods that no page takes: most views of pages answer any method as if they were read."""

    def __init__(self, get_response) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith(API) or request.method in PAGE_METHODS:
            return self.get_response(request)
        taken = ", ".join(PAGE_METHODS)
        return refusal(request, 405, f"Pages take {taken}; programs change things under {API}.", Allow=taken)


class SecureHeaders:
    """What a page may ask of a browser, and who may embed its answers: nothing and no one."""

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
