"""The search for programs."""

from dataclasses import asdict

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from facility.api.schema import RefusalSchema
from twin.search import LEAST, MOST, SearchError, search


class HitSerializer(serializers.Serializer):
    """One thing that was found."""

    kind = serializers.CharField(help_text="In words: site, layout, rack, CDU, scenario, run, catalogue, glossary …")
    name = serializers.CharField()
    where = serializers.CharField(allow_blank=True, help_text="Which site and layout it belongs to, or what it is.")
    href = serializers.CharField(help_text="Its page.")


class SearchView(APIView):
    """Sites, layouts, their parts, scenarios, runs, catalogue and glossary by name."""

    schema = RefusalSchema()

    @extend_schema(
        parameters=[OpenApiParameter("q", str, required=True, description=f"{LEAST} to {MOST} characters.")],
        responses=HitSerializer(many=True),
        operation_id="search_list",
    )
    def get(self, request: Request) -> Response:
        """Return what the caller may see that has every word in its name, at most eight of a kind, nearest first."""
        try:
            found = search(request.user, request.query_params.get("q", ""))
        except SearchError as refusal:
            raise ValidationError({"q": [str(refusal)]}) from refusal
        return Response(HitSerializer([asdict(hit) for hit in found], many=True).data)
