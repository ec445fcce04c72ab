"""Findings of a layout, asked of the rules."""

from dataclasses import asdict

from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from facility.models import Layout
from facility.permissions import visible_sites
from twin.api.findings import LayoutFindingSerializer, LayoutFindingsView
from twin.runs.findings import layout_findings
from twin.runs.last_run import last_run


class LayoutFindings(LayoutFindingsView):
    """What the rules say about a layout, and what its last finished run found; each part most severe first."""

    def respond(self, request: Request) -> Response:
        """Return the findings."""
        layouts = Layout.objects.filter(site__in=visible_sites(request.user)).select_related("site")
        layout = get_object_or_404(layouts, pk=self.kwargs["pk"])
        rows = [asdict(finding) | {"run": None, "scenario": "", "href": ""} for finding in layout_findings(layout)]
        if last := last_run(layout):
            source = {"run": last.run.id, "scenario": last.run.scenario.name}
            rows += [finding | source for finding in last.findings]
        return Response(LayoutFindingSerializer(rows, many=True).data)
