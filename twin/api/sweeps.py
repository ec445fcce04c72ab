"""Sweeps for programs: one request changes products, counts and set points over ranges; workers solve the points."""

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from facility.api.errors import Conflict
from facility.api.known_fields import KnownFields
from facility.api.schema import RefusalSchema
from facility.permissions import Right, check_change_site, visible_sites
from twin.api.repeatable import idempotency_key, refusals
from twin.api.serializers import LayoutField
from twin.api.studies import REPEATABLE
from twin.core.figures_of_merit import RANKED_BY
from twin.exceptions import CannotSimulate, InvalidTransition
from twin.models import Job, Sweep
from twin.sweeps import asked
from twin.sweeps.axes import MOST_AXES, MOST_POINTS, MOST_VALUES

VALUE = {"oneOf": [{"type": "number"}, {"type": "string"}, {"type": "boolean"}], "nullable": True}


@extend_schema_field(VALUE)
class AxisValueField(serializers.Field):
    """A number, a word such as the short name of a product, a yes or no, or null where the field may be empty."""

    default_error_messages = {"odd": "It must be a number, a text, true, false or null."}

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_null=True, **options)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str | int | float | bool) or len(str(data)) > 200:
            self.fail("odd")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class RangeSerializer(KnownFields, serializers.Serializer):
    """Values from start up to and including stop."""

    start = serializers.FloatField()
    stop = serializers.FloatField()
    step = serializers.FloatField()


class AxisSerializer(KnownFields, serializers.Serializer):
    """One field of some objects, and the values that it takes: listed, or as a range."""

    object = serializers.CharField(
        max_length=200, help_text="As on the wire: plant/P1, cdu/*, rack/HALL/*, workload/SLUG, scenario, site."
    )
    field = serializers.CharField(max_length=60, help_text="As in the description; a product by its short name.")
    values = serializers.ListField(child=AxisValueField(), required=False, max_length=MOST_VALUES)
    range = RangeSerializer(required=False)

    def validate(self, axis: dict[str, Any]) -> dict[str, Any]:
        if ("values" in axis) == ("range" in axis):
            raise ValidationError("Give either values or range.")
        return axis


class SweepQuestionSerializer(KnownFields, serializers.Serializer):
    """A layout, a scenario, what is changed, and the figure that the points are ranked by."""

    layout = LayoutField(help_text="SITE/LAYOUT")
    scenario = serializers.SlugField(
        max_length=80, required=False, help_text="Short name of one of the site's scenarios; default: the site's own."
    )
    axes = AxisSerializer(
        many=True, min_length=1, max_length=MOST_AXES, help_text=f"At most {MOST_POINTS} points together."
    )
    figure = serializers.ChoiceField(list(asked.RANKING_FIGURES), default=RANKED_BY)


class SweepAxisSerializer(serializers.Serializer):
    object = serializers.CharField()
    field = serializers.CharField()
    values = serializers.ListField(child=AxisValueField())


class SweepSerializer(serializers.ModelSerializer):
    """A sweep in a list: its question and how far it has come as a whole."""

    layout = LayoutField(read_only=True)
    scenario = serializers.SlugRelatedField(slug_field="slug", read_only=True)
    created_by = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)
    axes = SweepAxisSerializer(many=True, read_only=True)
    status = serializers.SerializerMethodField(help_text="Of all points: done once none is open.")
    progress_frac = serializers.SerializerMethodField()
    points_by_status = serializers.SerializerMethodField()

    class Meta:
        model = Sweep
        fields = [
            "id",
            "layout",
            "scenario",
            "axes",
            "figure",
            "n_points",
            "status",
            "progress_frac",
            "points_by_status",
            "created_by",
            "created_at",
            "inputs_sha256",
        ]
        read_only_fields = fields

    def _progress(self, sweep: Sweep) -> asked.Progress:
        known = self.context.get("progress")
        return known[sweep.pk] if known else asked.progress(sweep)

    @extend_schema_field(serializers.ChoiceField(Job.Status.values))
    def get_status(self, sweep: Sweep) -> str:
        return self._progress(sweep).status

    def get_progress_frac(self, sweep: Sweep) -> float:
        return self._progress(sweep).done_frac

    def get_points_by_status(self, sweep: Sweep) -> dict[str, int]:
        return dict(self._progress(sweep).n)


class RankedPointSerializer(serializers.Serializer):
    """A point, in the order of the ranking."""

    rank = serializers.IntegerField(allow_null=True, help_text="From 1; null: blocked, or without a figure.")
    index = serializers.IntegerField(source="point.index", help_text="The last axis runs first.")
    values = serializers.ListField(source="point.values", child=AxisValueField(), help_text="Of each axis.")
    status = serializers.ChoiceField(Job.Status.values, source="point.status")
    message = serializers.CharField(source="point.message", allow_blank=True, help_text="Why it failed.")
    value = serializers.FloatField(allow_null=True, help_text="Of the figure that is ranked by.")
    over_first_frac = serializers.FloatField(allow_null=True, help_text="Away from the best; positive is more.")
    blocked = serializers.ListField(
        source="point.blocked", child=serializers.CharField(), help_text="Why it cannot be built as described."
    )
    figures = serializers.DictField(
        source="point.figures", child=serializers.FloatField(allow_null=True), allow_null=True
    )
    bands = serializers.DictField(
        source="point.bands",
        child=serializers.ListField(child=serializers.FloatField()),
        allow_null=True,
        help_text="80 % band [low, high] by figure.",
    )
    inputs_sha256 = serializers.CharField(source="point.inputs_sha256", allow_blank=True)


class SweepDetailSerializer(SweepSerializer):
    """A sweep with its points, best first."""

    points = serializers.SerializerMethodField()
    as_described = serializers.SerializerMethodField(
        help_text="Figures of a finished run of the same description without a change; null where there is none."
    )

    class Meta(SweepSerializer.Meta):
        fields = [*SweepSerializer.Meta.fields, "as_described", "points"]
        read_only_fields = fields

    @extend_schema_field(RankedPointSerializer(many=True))
    def get_points(self, sweep: Sweep) -> list[dict[str, Any]]:
        return RankedPointSerializer(asked.ranking(sweep, list(sweep.points.all())), many=True).data

    @extend_schema_field(serializers.DictField(child=serializers.FloatField(allow_null=True), allow_null=True))
    def get_as_described(self, sweep: Sweep) -> dict[str, Any] | None:
        run = asked.as_described(sweep)
        return run.figures if run else None


class SweepFilter(filters.FilterSet):
    site = filters.CharFilter("layout__site__slug")
    layout = filters.CharFilter("layout__slug")

    class Meta:
        model = Sweep
        fields: tuple[str, ...] = ()


class SweepViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """Variants of one layout, solved by all workers. POST queues them and answers at once; poll until none is open."""

    schema = RefusalSchema()
    serializer_class = SweepDetailSerializer
    queryset = Sweep.objects.none()
    filterset_class = SweepFilter

    def get_queryset(self) -> QuerySet[Sweep]:
        return asked.visible_sweeps(visible_sites(self.request.user))

    @extend_schema(responses=SweepSerializer(many=True))
    def list(self, request: Request, *args, **kwargs) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        context = self.get_serializer_context() | {"progress": asked.progresses(page)}
        return self.get_paginated_response(SweepSerializer(page, many=True, context=context).data)

    @extend_schema(request=SweepQuestionSerializer, responses={202: SweepSerializer}, parameters=[REPEATABLE])
    def create(self, request: Request) -> Response:
        """Queue a sweep; the answer's Location is where it can be watched."""
        question = SweepQuestionSerializer(data=request.data, context=self.get_serializer_context())
        question.is_valid(raise_exception=True)
        validated = question.validated_data
        check_change_site(request.user, validated["layout"].site, Right.RUN)
        key = idempotency_key(request)
        try:
            scenario = asked.check_scenario(validated["layout"], validated.get("scenario"))
        except CannotSimulate as refusal:
            raise ValidationError({"scenario": str(refusal)}) from refusal
        with refusals():
            sweep = asked.sweep_ask(
                layout=validated["layout"],
                scenario=scenario,
                axes=validated["axes"],
                figure=validated["figure"],
                key=key,
                user=request.user,
            )
        return self._accepted(sweep)

    @extend_schema(responses={202: SweepSerializer})
    def destroy(self, request: Request, pk: str | None = None) -> Response:
        """Cancel every point that has not ended; what is solved stays."""
        return self._changed(asked.sweep_cancel)

    @extend_schema(request=None, responses={202: SweepSerializer})
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str | None = None) -> Response:
        """Queue failed and cancelled points again, on the description that the sweep began with."""
        return self._changed(asked.sweep_retry)

    def _changed(self, service) -> Response:
        sweep = self.get_object()
        check_change_site(self.request.user, sweep.layout.site, Right.RUN)
        try:
            return self._accepted(service(sweep, user=self.request.user))
        except InvalidTransition as refusal:
            raise Conflict(str(refusal)) from refusal

    def _accepted(self, sweep: Sweep) -> Response:
        address = reverse("api-sweep-detail", args=[sweep.id], request=self.request)
        shown = SweepSerializer(self.get_queryset().get(pk=sweep.pk))
        return Response(shown.data, status=status.HTTP_202_ACCEPTED, headers={"Location": address})
