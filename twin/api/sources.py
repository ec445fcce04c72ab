"""Telemetry sources for programs: which machines send a site's readings, how each stands, and what was refused."""

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer, extend_schema, extend_schema_field
from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import UnsupportedMediaType, ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from facility.api.errors import Conflict
from facility.api.guards import TaggedMixin, if_match
from facility.api.known_fields import KnownFields
from facility.api.problems import Fault
from facility.api.schema import RefusalSchema
from facility.models import Site
from facility.permissions import Right, check_change_site, visible_sites
from twin.models import DeadLetter, SourceState, TelemetrySource
from twin.telemetry import sources
from twin.telemetry.ingest import pushed
from twin.telemetry.source_kinds import LOGINS, MOST_QUERIES, MOST_QUERY, SECONDS

MOST_ENTRIES = 100_000  # of a mapping


class SiteField(serializers.SlugRelatedField):
    """A site that the caller may see."""

    def get_queryset(self) -> QuerySet[Site]:
        return visible_sites(self.context["request"].user)


class SourceStateSerializer(serializers.ModelSerializer):
    """How a source stands. received = accepted + duplicate + all that is refused."""

    refused = serializers.DictField(child=serializers.IntegerField(), help_text="Readings by reason.")
    noticed = serializers.DictField(
        child=serializers.IntegerField(), help_text="Readings that were taken and look odd, by what is odd."
    )

    class Meta:
        model = SourceState
        fields = [
            "connected",
            "holder",
            "held_until",
            "problem",
            "problem_at",
            "last_seen_at",
            "newest_at",
            "read_to",
            "rate_per_s",
            "lag_s",
            "received",
            "accepted",
            "duplicate",
            "refused",
            "noticed",
        ]
        read_only_fields = fields


class MappingEntrySerializer(KnownFields, serializers.Serializer):
    """An entry as of a mapping file."""

    point = serializers.CharField(max_length=200, help_text="The source's own name of it.")
    object = serializers.CharField(max_length=200)
    quantity = serializers.CharField(max_length=60)
    unit = serializers.CharField(max_length=20, required=False, allow_blank=True)
    scale = serializers.FloatField(required=False, default=1.0)
    offset = serializers.FloatField(required=False, default=0.0)
    time_zone = serializers.CharField(max_length=60, required=False, allow_blank=True)


class MqttOptionsSerializer(KnownFields, serializers.Serializer):
    """Options of an MQTT broker."""

    topics = serializers.ListField(
        child=serializers.CharField(max_length=200),
        required=False,
        max_length=20,
        help_text="Topic filters; default: values and metadata of DSX Exchange's BMS topics.",
    )


class PrometheusOptionsSerializer(KnownFields, serializers.Serializer):
    """Options of a Prometheus server."""

    queries = serializers.ListField(
        child=serializers.CharField(max_length=MOST_QUERY),
        required=False,
        max_length=MOST_QUERIES,
        help_text="PromQL; default: what the exporters known here tell. Other series are points under their own name.",
    )
    step_s = serializers.IntegerField(
        required=False,
        min_value=SECONDS["step_s"][0],
        max_value=SECONDS["step_s"][1],
        help_text="How often it is asked.",
    )
    back_s = serializers.IntegerField(
        required=False,
        min_value=SECONDS["back_s"][0],
        max_value=SECONDS["back_s"][1],
        help_text="How far back the first question reaches.",
    )


class RedfishOptionsSerializer(KnownFields, serializers.Serializer):
    """Options of a Redfish service."""

    step_s = serializers.IntegerField(
        required=False,
        min_value=SECONDS["step_s"][0],
        max_value=SECONDS["step_s"][1],
        help_text="How often it is read.",
    )
    login = serializers.ChoiceField(LOGINS, required=False, help_text="A session, or name and password each time.")


class RemoteWriteOptionsSerializer(KnownFields, serializers.Serializer):
    """Options of what Prometheus sends by itself."""

    step_s = serializers.IntegerField(
        required=False, min_value=SECONDS["step_s"][0], max_value=SECONDS["step_s"][1], help_text="Of the readings."
    )
    by_name = serializers.BooleanField(
        required=False, help_text="Whether series of no known exporter are points under their own name."
    )


class RawProtobuf(BaseParser):
    """Takes a message as it came."""

    media_type = "application/x-protobuf"

    def parse(self, stream, media_type=None, parser_context=None) -> bytes:
        return stream.read()  # the middleware refuses a body over 20 MiB


@extend_schema_field(
    PolymorphicProxySerializer(
        component_name="SourceOptions",
        serializers=[
            MqttOptionsSerializer,
            PrometheusOptionsSerializer,
            RedfishOptionsSerializer,
            RemoteWriteOptionsSerializer,
        ],
        resource_type_field_name=None,
    )
)
class OptionsField(serializers.JSONField):
    """Options of a source's kind."""


def options_of_any_kind(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Let options in the API's document fit more than one kind: most are optional, so that `oneOf` refuses them."""
    options = result.get("components", {}).get("schemas", {}).get("SourceOptions", {})
    if "oneOf" in options:
        options["anyOf"] = options.pop("oneOf")
    return result


class TelemetrySourceSerializer(KnownFields, serializers.ModelSerializer):
    """Another machine that sends readings of a site, or is asked for them. Its password is never given out."""

    site = SiteField(slug_field="slug", help_text="Slug of the site.")
    options = OptionsField(required=False, help_text="Of its kind.")
    mapping = MappingEntrySerializer(
        many=True,
        required=False,
        max_length=MOST_ENTRIES,
        help_text="Of this source's points, before what the site's points mean already.",
    )
    password = serializers.CharField(
        write_only=True,
        required=False,
        allow_blank=True,
        trim_whitespace=False,
        max_length=sources.MOST_SECRET,
        help_text="Password or token. Sealed, never given out; blank: none from now on.",
    )
    has_password = serializers.SerializerMethodField()
    created_by = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)
    state = SourceStateSerializer(read_only=True)

    class Meta:
        model = TelemetrySource
        fields = [
            "id",
            "site",
            "name",
            "kind",
            "address",
            "options",
            "username",
            "password",
            "has_password",
            "mapping",
            "enabled",
            "created_by",
            "created_at",
            "updated_at",
            "state",
        ]

    def get_has_password(self, source: TelemetrySource) -> bool:
        return bool(source.secret)


TRUTHS = {"true": True, "false": False}
TRUTH = [(word, word) for word in TRUTHS]


class DeadLetterSerializer(serializers.ModelSerializer):
    class Meta:
        model = DeadLetter
        fields = ["arrived_at", "place", "content", "reason"]
        read_only_fields = fields


class SourceFilter(filters.FilterSet):
    site = filters.CharFilter("site__slug")
    enabled = filters.TypedChoiceFilter(choices=TRUTH, coerce=TRUTHS.get)  # a flag's own filter takes any word

    class Meta:
        model = TelemetrySource
        fields = ["kind", "enabled"]


class TelemetrySourceViewSet(TaggedMixin, viewsets.ModelViewSet):
    """Sources of the sites that the caller may see. Naming one, or what it calls, is for administrators to do."""

    schema = RefusalSchema()
    serializer_class = TelemetrySourceSerializer
    queryset = TelemetrySource.objects.none()
    filterset_class = SourceFilter

    def get_queryset(self) -> QuerySet[TelemetrySource]:
        rows = TelemetrySource.objects.filter(site__in=visible_sites(self.request.user)).order_by("site__slug", "name")
        return rows.select_related("site", "state", "created_by")

    def perform_create(self, serializer: TelemetrySourceSerializer) -> None:
        self._save(serializer, TelemetrySource())

    def perform_update(self, serializer: TelemetrySourceSerializer) -> None:
        self._save(serializer, serializer.instance, if_match=if_match(self.request))

    def perform_destroy(self, instance: TelemetrySource) -> None:
        sources.source_delete(user=self.request.user, source=instance, if_match=if_match(self.request))

    def _save(
        self, serializer: TelemetrySourceSerializer, source: TelemetrySource, *, if_match: str | None = None
    ) -> None:
        fields: dict[str, Any] = dict(serializer.validated_data)
        password = fields.pop("password", None)
        for name, value in fields.items():
            setattr(source, name, value)
        saved = sources.source_save(user=self.request.user, source=source, password=password, if_match=if_match)
        serializer.instance = self.tagged = self.get_queryset().get(pk=saved.pk)

    @extend_schema(
        request={RawProtobuf.media_type: OpenApiTypes.BINARY},
        responses={204: None},
        parameters=[OpenApiParameter("Content-Encoding", str, OpenApiParameter.HEADER, enum=["snappy"])],
        filters=False,
    )
    @action(detail=True, methods=["post"], url_path="remote-write", parser_classes=[RawProtobuf])
    def remote_write(self, request: Request, pk: str | None = None) -> Response:
        """Take a message of Prometheus' remote write 1.0; the same one again changes nothing."""
        source = self.get_object()
        check_change_site(request.user, source.site, Right.OPERATE)  # before a byte of the body is read
        if source.kind != TelemetrySource.Kind.REMOTE_WRITE or not source.enabled:
            what = (
                "is switched off" if source.kind == TelemetrySource.Kind.REMOTE_WRITE else f"is of kind {source.kind}"
            )
            raise Conflict(f"Source {source.name} {what}; only an enabled one of kind remote-write is written to.")
        encoding = request.headers.get("Content-Encoding", "").strip().lower()
        if encoding != "snappy" or "proto=io.prometheus.write.v2" in request.content_type:
            raise UnsupportedMediaType(
                request.content_type, "Remote write 1.0 is taken: prometheus.WriteRequest with Content-Encoding snappy."
            )
        try:
            pushed.push(source, request.data if isinstance(request.data, bytes) else b"")
        except ValueError as error:
            raise ValidationError({"body": [f"{error}."]}) from error
        except pushed.NobodyReads as refusal:
            raise Fault(503, str(refusal), 60) from refusal  # it is kept there, and sent again
        return Response(status=204)

    @extend_schema(responses=DeadLetterSerializer(many=True), filters=False)
    @action(detail=True, url_path="dead-letters", filterset_class=None, filter_backends=[])
    def dead_letters(self, request: Request, pk: str | None = None) -> Response:
        """Messages that were refused, as they came, the newest first."""
        page = self.paginate_queryset(self.get_object().dead_letters.all())
        return self.get_paginated_response(DeadLetterSerializer(page, many=True).data)
