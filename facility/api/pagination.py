"""Lists come in pages."""

from rest_framework.exceptions import ValidationError
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.request import Request

MOST_OFFSET = 2**31 - 1


class Pagination(LimitOffsetPagination):
    """`?limit=…&offset=…`, at most a thousand rows a page. A value that is no such number is refused, not ignored."""

    max_limit = 1000

    def get_limit(self, request: Request) -> int:
        """Return how many rows the page has; more than the most are cut to it."""
        asked = _whole_number(request, self.limit_query_param, least=1)
        return self.default_limit if asked is None else min(asked, self.max_limit)

    def get_offset(self, request: Request) -> int:
        """Return how many rows come before the page."""
        asked = _whole_number(request, self.offset_query_param, least=0)
        return 0 if asked is None else min(asked, MOST_OFFSET)

    def get_schema_operation_parameters(self, view: object) -> list[dict]:
        """Return the two parameters as the document describes them."""
        parameters = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            parameter["schema"]["minimum"] = 1 if parameter["name"] == self.limit_query_param else 0
        return parameters


def _whole_number(request: Request, name: str, *, least: int) -> int | None:
    """Return a parameter's number, or None where it is absent or empty."""
    text = request.query_params.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) >= least):
        raise ValidationError({name: [f"It is {text[:40]}; must be a whole number, {least} or more."]})
    return int(text)
