"""The drawing of a layout as data, and batches of edits to it, all or nothing: what the drawing board asks for."""

from dataclasses import asdict
from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import exceptions, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from facility.api.known_fields import KnownFields
from facility.api.problems import PROBLEM_JSON
from facility.api.schema import ErrorSerializer, RefusalSchema
from facility.editing.drawing import drawing
from facility.editing.edits import MAX_OPERATIONS, EditConflict, EditRefused, edits_apply
from facility.models import Layout
from facility.permissions import check_change_site, visible_sites

MAX_VERSION = 2**31 - 1


class TableSerializer(serializers.Serializer):
    """Objects of one kind: the columns once, then a row of plain values each, the number first."""

    fields = serializers.ListField(child=serializers.CharField())
    rows = serializers.ListField(child=serializers.ListField(child=serializers.JSONField(allow_null=True)))


class ProductChoiceSerializer(serializers.Serializer):
    """A catalogue entry that can be placed, with the sizes and ratings that placing it needs."""

    slug = serializers.CharField()
    name = serializers.CharField()
    vendor = serializers.CharField()
    width_m = serializers.FloatField(allow_null=True)
    depth_m = serializers.FloatField(allow_null=True)
    power_w = serializers.FloatField(allow_null=True)
    capacity_w = serializers.FloatField(allow_null=True)
    whole_rack = serializers.BooleanField(help_text="It fills its rack.")
    on_floor = serializers.BooleanField(help_text="It takes floor of its own.")


class DrawingSerializer(serializers.Serializer):
    """Everything that the drawing board shows and offers."""

    version = serializers.IntegerField(help_text="Of the layout; a batch of edits names it.")
    touch_m = serializers.FloatField(help_text="Objects that overlap by less only touch.")
    hall = TableSerializer()
    rack = TableSerializer()
    cdu = TableSerializer()
    air_unit = TableSerializer()
    feature = TableSerializer()
    feed = TableSerializer()
    plant = TableSerializer()
    products = serializers.DictField(child=ProductChoiceSerializer(many=True), help_text="By kind of object.")


class BatchSerializer(KnownFields, serializers.Serializer):
    """Operations on objects of a layout, in order, and the version of the layout that they were made on."""

    version = serializers.IntegerField(min_value=0, max_value=MAX_VERSION)
    operations = serializers.ListField(
        child=serializers.DictField(),
        min_length=1,
        max_length=MAX_OPERATIONS,
        help_text=(
            "Each has `op`: move (kind, id, x_m, y_m, orientation_deg), create (kind, its fields, ref), update (kind, "
            "id, fields), delete (kind, id) or assign (racks, cdu, feed_a, feed_b). Kinds are rack, cdu, air_unit, "
            "feature, and hall for updates of its air units. Products go by catalogue id, all else by number or by the "
            "`ref` of an object created earlier in the batch."
        ),
    )


class AppliedSerializer(serializers.Serializer):
    """A saved batch."""

    version = serializers.IntegerField(help_text="The layout's new version.")
    created = serializers.DictField(child=serializers.IntegerField(), help_text="Numbers of new objects by `ref`.")
    inverse = serializers.ListField(child=serializers.DictField(), help_text="Operations that undo the batch.")
    theirs = serializers.ListField(
        child=serializers.DictField(), help_text="What others did since the version that the batch was made on."
    )


class BatchConflict(exceptions.APIException):
    """Others have changed the same objects since the version that the batch was made on."""

    status_code = status.HTTP_409_CONFLICT

    def __init__(self, conflict: EditConflict) -> None:
        super().__init__(str(conflict))
        self.extra = {"version": conflict.version, "yours": conflict.yours, "theirs": conflict.theirs}


class BatchRefused(exceptions.APIException):
    """Some operation is not possible."""

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY

    def __init__(self, refused: EditRefused) -> None:
        super().__init__(str(refused))
        self.extra: dict[str, Any] = {"errors": [asdict(problem) for problem in refused.problems]}


def visible_layout(request: Request, pk: int) -> Layout:
    """Return the layout of that number among those that the caller may see, or answer 404."""
    layouts = Layout.objects.select_related("site").filter(site__in=visible_sites(request.user))
    return get_object_or_404(layouts, pk=pk)


class DrawingView(APIView):
    """The layout as the drawing board reads it."""

    schema = RefusalSchema()

    @extend_schema(responses=DrawingSerializer)
    def get(self, request: Request, pk: int) -> Response:
        """Return the objects on the floor as tables, and what can be placed."""
        return Response(drawing(visible_layout(request, pk)))


class EditsView(APIView):
    """Batches of edits."""

    schema = RefusalSchema()

    @extend_schema(
        request=BatchSerializer,
        responses={
            200: AppliedSerializer,
            (422, PROBLEM_JSON): OpenApiResponse(
                ErrorSerializer,
                description="Some operation is not possible; nothing was changed. `extra.errors` names operation, "
                "object, field, value and message of each.",
            ),
            (409, PROBLEM_JSON): OpenApiResponse(
                ErrorSerializer,
                description="Others changed the same objects since that version; nothing was changed. `extra` has the "
                "newest `version`, `yours` and `theirs`.",
            ),
        },
    )
    def post(self, request: Request, pk: int) -> Response:
        """Apply a batch of operations; all or none. On an older version, if others changed other objects only."""
        layout = visible_layout(request, pk)
        check_change_site(request.user, layout.site)
        batch = BatchSerializer(data=request.data)
        batch.is_valid(raise_exception=True)
        try:
            applied = edits_apply(layout=layout, **batch.validated_data, user=request.user)
        except EditConflict as conflict:
            raise BatchConflict(conflict) from conflict
        except EditRefused as refused:
            raise BatchRefused(refused) from refused
        return Response(asdict(applied))
