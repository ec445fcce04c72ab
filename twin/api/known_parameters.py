"""Which query parameters an address of the API takes: those of its own OpenAPI document, and no other.

A parameter with a slip in its name would be ignored and the answer be another than was asked for.
"""

import re
import threading
from functools import cache

from django.http import HttpRequest, HttpResponse

from facility.api.problems import problem_answer

API = "/api/"
EVERYWHERE = {"format"}  # the framework's own
_making = threading.Lock()  # the document takes seconds to make: once in a process


@cache
def _addresses() -> list[tuple[re.Pattern[str], dict[str, set[str]]]]:
    """Return each address of the document as a pattern, with the query parameters of its methods."""
    from drf_spectacular.generators import SchemaGenerator  # loads every view; only the first such request waits

    found = []
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    for path in sorted(paths, key=lambda path: path.count("{")):  # an address without a name in it goes first
        pattern = re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))
        methods = {
            method.upper(): {named["name"] for named in operation.get("parameters", []) if named["in"] == "query"}
            for method, operation in paths[path].items()
        }
        found.append((pattern, methods))
    return found


def known_parameters(path: str, method: str) -> set[str] | None:
    """Return what an address takes, or None where the document does not hold it."""
    with _making:
        addresses = _addresses()
    methods = next((methods for pattern, methods in addresses if pattern.fullmatch(path)), {})
    return methods.get("GET" if method == "HEAD" else method)


class KnownParameters:
    """Refuse a query parameter that an address of the API does not take."""

    def __init__(self, get_response) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_: object) -> HttpResponse | None:
        """Return the refusal; a caller who is not signed in gets that refusal first, from the view."""
        if not request.path.startswith(API) or not request.GET:
            return None
        if "Authorization" not in request.headers and not request.user.is_authenticated:
            return None
        known = known_parameters(request.path, request.method)
        if known is None or not (unknown := sorted(set(request.GET) - known - EVERYWHERE)):
            return None
        there = f"there are {', '.join(sorted(known))}" if known else "it takes none"
        message = f"{unknown[0][:60]} is no parameter here; {there}."
        return problem_answer(400, message, request.path, extra={"fields": {unknown[0][:60]: [message]}})
