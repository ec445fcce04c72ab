"""Sized counts of a layout for programs."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from facility.api.schema import RefusalSchema
from facility.api.serializers import FindingSerializer
from twin.api.solved import SolvedView


class CountSerializer(serializers.Serializer):
    """One number of units as it stands and as it should be."""

    object_kind = serializers.CharField()
    object_id = serializers.IntegerField(help_text="Of a group its first member's.")
    object_name = serializers.CharField(help_text="Of a group its name.")
    field = serializers.CharField(help_text="Which number of units.")
    before = serializers.IntegerField()
    after = serializers.IntegerField()
    reason = serializers.CharField(help_text="What a rule says of one unit fewer.")


class LayoutSizingSerializer(serializers.Serializer):
    """The smallest counts that carry the design hour, and what more units do not fix."""

    counts = CountSerializer(many=True)
    left = FindingSerializer(many=True)


class LayoutSizingView(SolvedView):
    """The smallest whole numbers of units that carry a layout's design hour with the stated spares."""

    schema = RefusalSchema()

    @extend_schema(responses=LayoutSizingSerializer, operation_id="layouts_sizing")
    def get(self, request: Request, pk: int) -> Response:
        return self.respond(request)
