"""Findings of a layout, asked of the rules."""

from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from facility.models import Layout
from facility.permissions import visible_sites
from twin.api.findings import LayoutFindingSerializer, LayoutFindingsView
from twin.runs.findings import layout_findings
from twin.runs.found import everything_found
from twin.runs.last_run import last_run


class LayoutFindings(LayoutFindingsView):
    """What the rules say about a layout and what its last finished run found, most severe first."""

    def respond(self, request: Request) -> Response:
        """Return the findings."""
        layouts = Layout.objects.filter(site__in=visible_sites(request.user)).select_related("site")
        layout = get_object_or_404(layouts, pk=self.kwargs["pk"])
        rows = everything_found(layout, layout_findings(layout), last_run(layout))
        return Response(LayoutFindingSerializer(rows, many=True).data)
