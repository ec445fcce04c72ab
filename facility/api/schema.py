"""What the OpenAPI document says about refusals: the same for every resource of the description."""

from collections.abc import Iterable

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers

from facility.api.known_fields import KnownFields


class ErrorSerializer(serializers.Serializer):
    """The body of every refusal: problem details (RFC 9457), with `message` and `extra` of our own."""

    type = serializers.CharField(help_text="about:blank: the status says what kind of problem it is.")
    title = serializers.CharField(help_text="The status in words.")
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="As `message`.")
    instance = serializers.CharField(help_text="The address of the request.")
    message = serializers.CharField(
        help_text="The first problem as a sentence: what, which, its value, what is allowed."
    )
    extra = serializers.DictField(
        help_text="`fields` holds the sentences by field when input was bad; batches of edits say more; else empty."
    )


REFUSALS = {
    "400": "Bad input or an unknown query parameter; nothing was changed.",
    "413": "The body is too large.",
    "415": "The body's media type is not supported.",
    "429": "Too many wrong tokens; Retry-After says when to try again.",
    "503": "The database cannot be reached, or the server or its solvers are busy; Retry-After says when to try again.",
    "504": "The answer took too long; it was stopped.",
    "507": "The server's disk is full; nothing was changed.",
    "401": "No token, or an unknown one.",
    "403": "The caller may not read it, or may not change what is visible; or the token is read-only.",
    "404": "Not there, or not visible to the caller.",
    "422": "The layout cannot be solved as it is described; the sentence says what it lacks.",
    "409": "Somebody has changed the same object since the version named, and nothing was changed; or the same session "
    "has asked the same question again, and this older one was stopped.",
    "412": "The object is not what If-Match names any more; nothing was changed.",
    "428": "The token or the server asks for If-Match or version with every change.",
}
STOPPED = ("409", "504")  # what solver processes answer: asked again meanwhile, took too long
ALWAYS = ("400", "401", "429", "503")
READS = (*ALWAYS, "404")
CHANGES = (*ALWAYS, "403", "404", "409", "412", "413", "415", "428", "507")


class RefusalSchema(AutoSchema):
    """Adds the refusals that an operation can answer with."""

    def get_operation(self, *args, **kwargs):
        operation = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        body = {"application/problem+json": {"schema": self.resolve_serializer(ErrorSerializer, "response").ref}}
        for status in self.refusals():
            operation["responses"].setdefault(status, {"description": REFUSALS[status], "content": body})
        return operation

    def refusals(self) -> Iterable[str]:
        """Return the statuses of the refusals of this operation."""
        return READS if self.method == "GET" else CHANGES


class GuardedReadSchema(RefusalSchema):
    """For reads that need a right of their own."""

    def refusals(self) -> Iterable[str]:
        """Return the refusals of a read, and of a reader without the right."""
        return (*READS, "403")


class QuestionSchema(RefusalSchema):
    """Of a question that changes nothing: whatever the method, only its input or its token can be wrong."""

    def refusals(self) -> Iterable[str]:
        """Return bad input and bad token, and a question that was stopped."""
        return (*ALWAYS, *STOPPED, "413", "415")


class LayoutQuestionSchema(RefusalSchema):
    """Of a question about a layout as it is described now."""

    def refusals(self) -> Iterable[str]:
        """Return bad input and bad token, no such layout, one that cannot be solved, a question that was stopped."""
        return (*ALWAYS, *STOPPED, "404", "413", "415", "422")


class TokenScheme(OpenApiAuthenticationExtension):
    """Says in the document how a token is sent."""

    target_class = "facility.api.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict:
        return {"type": "apiKey", "in": "header", "name": "Authorization", "description": "Token <secret>"}


class ClosedBody(OpenApiSerializerExtension):
    """Says in the document that a body takes no other fields than those named."""

    target_class = KnownFields
    match_subclasses = True

    def map_serializer(self, auto_schema: AutoSchema, direction: str) -> dict:
        shape = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return shape | {"additionalProperties": False} if direction == "request" else shape
