"""Findings of a layout for programs: those of the rules, and those of its last run."""

from dataclasses import asdict

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from facility.api.schema import RefusalSchema
from facility.api.serializers import FindingSerializer
from facility.models import Layout
from facility.permissions import visible_sites
from twin.runs.findings import layout_findings
from twin.runs.last_run import last_run


class LayoutFindingSerializer(FindingSerializer):
    """One finding; `run` is null for those of the rules, which judge the description as it is now."""

    run = serializers.UUIDField(allow_null=True, help_text="The run that found it.")
    scenario = serializers.CharField(allow_blank=True, help_text="What that run was asked.")
    href = serializers.CharField(allow_blank=True, help_text="Page of the object, or of the part of the run.")


class LayoutFindingsView(APIView):
    """What the rules say about a layout, and what its last finished run found; each part most severe first."""

    schema = RefusalSchema()

    @extend_schema(responses=LayoutFindingSerializer(many=True), operation_id="layouts_findings_list")
    def get(self, request: Request, pk: int) -> Response:
        layouts = Layout.objects.filter(site__in=visible_sites(request.user)).select_related("site")
        layout = get_object_or_404(layouts, pk=pk)
        rows = [asdict(finding) | {"run": None, "scenario": "", "href": ""} for finding in layout_findings(layout)]
        if last := last_run(layout):
            source = {"run": last.run.id, "scenario": last.run.scenario.name}
            rows += [finding | source for finding in last.findings]
        return Response(LayoutFindingSerializer(rows, many=True).data)
