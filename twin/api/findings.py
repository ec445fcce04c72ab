"""Findings of a layout for programs: those of the rules and those of its last run, counted together."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from facility.api.schema import RefusalSchema
from facility.api.serializers import FindingSerializer
from twin.api.solved import SolvedView


class LayoutFindingSerializer(FindingSerializer):
    """One finding; `run` is null for those of the rules, which judge the description as it is now."""

    run = serializers.UUIDField(allow_null=True, help_text="The run that found it.")
    scenario = serializers.CharField(allow_blank=True, help_text="What that run was asked.")
    against = serializers.CharField(allow_blank=True, help_text="Words between value and limit.")
    remedy = serializers.CharField(allow_blank=True, help_text="What removes it, in words.")
    href = serializers.CharField(allow_blank=True, help_text="Page of the object, or of the part of the run.")


class LayoutFindingsView(SolvedView):
    """What the rules say about a layout and what its last finished run found, most severe first."""

    schema = RefusalSchema()

    @extend_schema(responses=LayoutFindingSerializer(many=True), operation_id="layouts_findings_list")
    def get(self, request: Request, pk: int) -> Response:
        return self.respond(request)
