"""Guards of changes by the API: ETag on what is read, If-Match on what is changed, 428 where neither is given."""

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from facility.api.problems import PreconditionRequired
from facility.etags import etag
from facility.models import ApiToken


def if_match(request: Request, *, version: int | None = None) -> str | None:
    """Return the tag that a change was made on, or None where the version of its layout guards it or nothing does.

    Raises
    ------
    PreconditionRequired
        If there is neither, and the token or the server's setting asks for one.
    """
    named = request.headers.get("If-Match")
    token = request.auth if isinstance(request.auth, ApiToken) else None
    if named is None and version is None and (settings.TWIN_REQUIRE_IF_MATCH or (token and token.require_if_match)):
        raise PreconditionRequired
    return named


class TaggedMixin:
    """Of a viewset: the answer about one object carries its tag."""

    def finalize_response(self, request: Request, response: Response, *args, **kwargs) -> Response:
        """Add the tag of the object that was read or saved."""
        response = super().finalize_response(request, response, *args, **kwargs)
        row = getattr(self, "tagged", None)
        if row is not None and row.pk and response.status_code in (200, 201):
            response["ETag"] = etag(row)
        return response

    def get_object(self):
        """Return the object and note it as what the answer is about."""
        self.tagged = super().get_object()
        return self.tagged
