"""What the OpenAPI document says about refusals: the same for every resource of the description."""

from collections.abc import Iterable

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers


class ErrorSerializer(serializers.Serializer):
    """The body of every refusal."""

    message = serializers.CharField(
        help_text="The first problem as a sentence: what, which, its value, what is allowed."
    )
    extra = serializers.DictField(help_text="`fields` holds the sentences by field when input was bad; else empty.")


REFUSALS = {
    "400": "Bad input; nothing was changed.",
    "401": "No or an unknown token.",
    "403": "Visible, but the caller may not change it; or the token is read-only.",
    "404": "Not there, or not visible to the caller.",
    "422": "The layout cannot be solved as it is described; the sentence says what it lacks.",
    "409": "Somebody has changed the same object since the version that the caller named; nothing was changed.",
    "412": "The object is not what If-Match names any more; nothing was changed.",
    "428": "The token or the server asks for If-Match or version with every change.",
}
READS = ("401", "404")
CHANGES = ("400", "401", "403", "404", "409")


class RefusalSchema(AutoSchema):
    """Adds the refusals that an operation can answer with."""

    def get_operation(self, *args, **kwargs):
        operation = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        body = {"application/json": {"schema": self.resolve_serializer(ErrorSerializer, "response").ref}}
        for status in self.refusals():
            operation["responses"].setdefault(status, {"description": REFUSALS[status], "content": body})
        return operation

    def refusals(self) -> Iterable[str]:
        """Return the statuses of the refusals of this operation."""
        return READS if self.method == "GET" else CHANGES


class QuestionSchema(RefusalSchema):
    """Of a question that changes nothing: whatever the method, only its input or its token can be wrong."""

    def refusals(self) -> Iterable[str]:
        """Return bad input and bad token."""
        return ("400", "401")


class LayoutQuestionSchema(RefusalSchema):
    """Of a question about a layout as it is described now."""

    def refusals(self) -> Iterable[str]:
        """Return bad input and bad token, no such layout, a layout that cannot be solved."""
        return ("400", "401", "404", "422")


class TokenScheme(OpenApiAuthenticationExtension):
    """Says in the document how a token is sent."""

    target_class = "facility.api.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict:
        return {"type": "apiKey", "in": "header", "name": "Authorization", "description": "Token <secret>"}
