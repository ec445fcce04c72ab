"""Sized counts of a layout, asked of the rules."""

from dataclasses import asdict

from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from facility.models import Layout
from facility.permissions import visible_sites
from twin.api.sizing import LayoutSizingSerializer, LayoutSizingView
from twin.onboarding.sizing import count_row, layout_sizing


class Sizings(LayoutSizingView):
    """The smallest whole numbers of units that carry a layout's design hour with the stated spares."""

    def respond(self, request: Request) -> Response:
        """Return the counts."""
        layouts = Layout.objects.filter(site__in=visible_sites(request.user)).select_related("site")
        sizing = layout_sizing(get_object_or_404(layouts, pk=self.kwargs["pk"]))
        found = {"counts": [count_row(count) for count in sizing.counts], "left": [asdict(f) for f in sizing.left]}
        return Response(LayoutSizingSerializer(found).data)
