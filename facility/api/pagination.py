"""Lists come in pages."""

from rest_framework.pagination import LimitOffsetPagination


class Pagination(LimitOffsetPagination):
    """`?limit=…&offset=…`, at most a thousand rows a page."""

    max_limit = 1000
