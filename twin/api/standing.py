"""How a site's layouts stand by their last runs, for programs: the sentence that the site's page shows."""

from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from facility.api.schema import RefusalSchema
from facility.permissions import visible_sites
from twin.runs.latest import LatestRun
from twin.runs.standing import SiteStanding, standing_of


class StandingRowSerializer(serializers.Serializer):
    """A layout by its last run."""

    layout = serializers.IntegerField()
    name = serializers.CharField()
    run = serializers.UUIDField()
    blocked = serializers.ListField(child=serializers.CharField(), help_text="Why it cannot be built as drawn.")
    misses_targets = serializers.ListField(child=serializers.CharField())


class SiteStandingSerializer(serializers.Serializer):
    """Which layout stands first; runs of what has been changed since are left out."""

    scenario = serializers.CharField(allow_blank=True, help_text="Name of the one they share; blank: none has run.")
    by = serializers.CharField(allow_blank=True, help_text="The figure that ranks.")
    sentence = serializers.CharField(allow_blank=True, help_text="Blank where fewer than two are compared.")
    winner = serializers.IntegerField(
        allow_null=True, help_text="The layout to build. Null where the first is not ahead or misses its targets."
    )
    level = serializers.ListField(
        child=serializers.IntegerField(), help_text="Layouts that cannot be told apart from the first."
    )
    left_out = serializers.IntegerField(
        allow_null=True, help_text="The layout that led when it was run and has been changed since."
    )
    ranking = StandingRowSerializer(many=True)


class SiteStandingView(APIView):
    """Which of a site's layouts is the one to build by their last runs under one scenario."""

    schema = RefusalSchema()

    @extend_schema(
        responses=SiteStandingSerializer,
        operation_id="sites_standing",
        parameters=[
            OpenApiParameter(
                "scenario", OpenApiTypes.STR, description="Short name. Default: the one that most layouts share."
            )
        ],
    )
    def get(self, request: Request, slug: str) -> Response:
        site = get_object_or_404(visible_sites(request.user).defer("notes"), slug=slug)
        asked = request.query_params.get("scenario", "")
        scenario = site.scenarios.filter(slug=asked).first() if asked else None
        if asked and scenario is None:
            raise NotFound(f"Site {site.slug} has no scenario {asked[:80]}.")
        return Response(SiteStandingSerializer(as_rows(standing_of(site, scenario and scenario.pk))).data)


def as_rows(stands: SiteStanding | None) -> dict:
    """Return how layouts stand as the API writes it."""
    if stands is None:
        return {"scenario": "", "by": "", "sentence": "", "winner": None, "level": [], "left_out": None, "ranking": []}
    return {
        "scenario": stands.scenario_name,
        "by": stands.standing.by,
        "sentence": stands.sentence,
        "winner": layout_of(stands.first) if stands.is_ahead else None,
        "level": [run.layout_id for run in stands.level],
        "left_out": layout_of(stands.left_out),
        "ranking": [
            {
                "layout": one.run.layout_id,
                "name": one.name,
                "run": one.run.id,
                "blocked": one.blocked,
                "misses_targets": one.misses,
            }
            for one in stands.standing.ranked
        ],
    }


def layout_of(run: LatestRun | None) -> int | None:
    """Return the layout that a run is of."""
    return None if run is None else run.layout_id
