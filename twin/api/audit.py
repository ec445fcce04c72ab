"""The audit log for programs: pages of it, and all of it as a file."""

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.response import Response

from facility.api.pagination import Pagination
from facility.api.schema import GuardedReadSchema
from facility.models import AuditEvent
from twin.operations import audit


class AuditSearchSerializer(serializers.Serializer):
    """What is asked of the log."""

    site = serializers.SlugField(required=False, help_text="Of this site.")
    username = serializers.CharField(required=False, max_length=150, help_text="By this user.")
    kind = serializers.CharField(required=False, max_length=60, help_text="Of this kind: rack, layout, membership …")
    action = serializers.ChoiceField(choices=AuditEvent.Action.choices, required=False)
    since = serializers.DateTimeField(required=False, help_text="From this time on.")
    until = serializers.DateTimeField(required=False, help_text="Before this time.")


class AuditEventSerializer(serializers.Serializer):
    """One change of one row."""

    at = serializers.DateTimeField()
    username = serializers.CharField(help_text="Empty: nobody was signed in.")
    token = serializers.CharField(help_text="First characters of the API token, where one was used.")
    door = serializers.CharField(help_text="page, API, admin, command, worker or program.")
    detail = serializers.CharField(help_text="Method and address, command or task.")
    request_id = serializers.CharField()
    site = serializers.CharField(allow_null=True, help_text="#number where it is gone.")
    organisation = serializers.CharField(allow_null=True)
    action = serializers.ChoiceField(choices=AuditEvent.Action.choices)
    kind = serializers.CharField()
    number = serializers.CharField(help_text="Id of the row.")
    name = serializers.CharField()
    before = serializers.DictField(help_text="Fields that differ, as they were; references by id.")
    after = serializers.DictField(help_text="Fields that differ, as they are.")


class AuditView(GenericAPIView):
    """Who changed what, newest first: all for administrators, of their own places for owners."""

    schema = GuardedReadSchema()
    queryset = AuditEvent.objects.none()
    serializer_class = AuditEventSerializer
    pagination_class = Pagination
    filter_backends: tuple = ()

    @extend_schema(parameters=[AuditSearchSerializer], responses=AuditEventSerializer(many=True))
    def get(self, request) -> Response:
        page = self.paginate_queryset(found(request))
        return self.get_paginated_response(list(audit.as_rows(page)))


class AuditExportView(GenericAPIView):
    """The log as a file, CSV or JSON."""

    schema = GuardedReadSchema()
    queryset = AuditEvent.objects.none()
    pagination_class = None
    filter_backends: tuple = ()

    @extend_schema(
        parameters=[
            AuditSearchSerializer,
            OpenApiParameter("form", str, enum=["csv", "json"], description="csv, unless json is asked for."),
        ],
        responses={(200, "text/csv"): OpenApiTypes.STR, (200, "application/json"): AuditEventSerializer(many=True)},
    )
    def get(self, request) -> StreamingHttpResponse:
        form = request.query_params.get("form", "csv")
        if form not in ("csv", "json"):
            raise serializers.ValidationError({"form": [f"It is {form[:40]}; must be csv or json."]})
        events = found(request)
        lines = audit.csv_lines(events) if form == "csv" else audit.json_lines(events)
        kind = "text/csv; charset=utf-8" if form == "csv" else "application/json"
        answer = StreamingHttpResponse(lines, content_type=kind)
        answer["Content-Disposition"] = f'attachment; filename="audit.{form}"'
        return answer


def found(request):
    """Return the events that the request asks for, of those that its user may read."""
    events = audit.readable_events(request.user)
    asked = AuditSearchSerializer(data=request.query_params)
    asked.is_valid(raise_exception=True)
    return audit.searched(events, **asked.validated_data)
