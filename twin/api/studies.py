"""What readings say of a layout, and what its set points could be, for programs: each made by a worker."""

import datetime as dt
from typing import Any, ClassVar

from django.core.exceptions import ValidationError as Refused
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
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
from twin.core.figures_of_merit import RANKED_BY
from twin.core.inputs.parameters import APPLIED
from twin.core.telemetry.advised import RAISED
from twin.core.telemetry.fitted import DEFAULT
from twin.exceptions import InvalidTransition
from twin.models import Study
from twin.runs import jobs
from twin.runs.ring import waiting_reason
from twin.telemetry import studies
from twin.telemetry.set_point_files import requests_file, set_points_file

REPEATABLE = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="Repeat a lost request without a second study; at most 120 printable characters.",
)


class ZonedTimeField(serializers.CharField):
    """A time with its zone, whose distance from UTC is kept."""

    def to_internal_value(self, data: Any) -> dt.datetime:
        text = super().to_internal_value(data)
        try:
            when = dt.datetime.fromisoformat(text)
        except ValueError as error:
            raise ValidationError(f"It is {text[:40]}; must be a time as 2026-07-01T00:00:00Z.") from error
        if when.tzinfo is None:
            raise ValidationError(f"It is {text[:40]}, without a zone; write one, such as Z or -05:00.")
        return when


class LayoutQuestionSerializer(KnownFields, serializers.Serializer):
    """A layout and a scenario."""

    layout = LayoutField(help_text="SITE/LAYOUT")
    scenario = serializers.SlugField(
        max_length=80, required=False, help_text="Short name of one of the site's scenarios; default: the site's own."
    )

    def validate(self, asked: dict[str, Any]) -> dict[str, Any]:
        site, slug = asked["layout"].site, asked.pop("scenario", None)
        there = site.scenarios.all()
        scenario = there.filter(slug=slug).first() if slug else there.first()
        if scenario is None:
            names = ", ".join(there.values_list("slug", flat=True)) or "none yet"
            raise ValidationError({"scenario": f"Site {site.slug} has no scenario {slug or ''}; there are: {names}."})
        return asked | {"scenario": scenario}


class StudyQuestionSerializer(LayoutQuestionSerializer):
    """A layout, the scenario that says what is not measured, and the span of the readings."""

    start = ZonedTimeField(
        help_text="ISO 8601 with its zone; what is not measured follows the typical year on this zone's clock."
    )
    end = ZonedTimeField(help_text="ISO 8601 with its zone; not included.")

    def validate(self, asked: dict[str, Any]) -> dict[str, Any]:
        asked = super().validate(asked)
        start, end = asked.pop("start"), asked.pop("end")
        offset = start.utcoffset() or dt.timedelta()
        return asked | {
            "start_at": start,
            "end_at": end,
            "offset_s": offset.total_seconds(),
        }


class AdviceQuestionSerializer(LayoutQuestionSerializer):
    figure = serializers.ChoiceField(RAISED, default=RANKED_BY, help_text="What the set points are to raise.")


class CalibrationQuestionSerializer(StudyQuestionSerializer):
    parameters = serializers.ListField(
        child=serializers.ChoiceField(list(APPLIED)),
        required=False,
        max_length=len(APPLIED),
        help_text=f"What is fitted; default: {', '.join(DEFAULT)}.",
    )


class StudySerializer(serializers.ModelSerializer):
    """A study in a list: its question and its state."""

    layout = LayoutField(read_only=True)
    scenario = serializers.SlugRelatedField(slug_field="slug", read_only=True)
    start = serializers.DateTimeField(
        source="start_at", read_only=True, allow_null=True, help_text="Null of an advice: it reads no readings."
    )
    end = serializers.DateTimeField(source="end_at", read_only=True, allow_null=True)
    created_by = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)

    class Meta:
        model = Study
        fields = [
            "id",
            "layout",
            "scenario",
            "start",
            "end",
            "status",
            "stage",
            "progress_frac",
            "message",
            "created_by",
            "created_at",
            "started_at",
            "finished_at",
            "inputs_sha256",
        ]
        read_only_fields = fields


class PointScoreSerializer(serializers.Serializer):
    """How well a point is predicted: in kelvin, or as shares of the measured mean; null where there is no score."""

    object = serializers.CharField()
    quantity = serializers.CharField()
    n = serializers.IntegerField(help_text="Intervals that were measured and predicted.")
    input = serializers.BooleanField(help_text="The layout was driven by it: it says nothing of the model.")
    rmse_k = serializers.FloatField(required=False, allow_null=True, help_text="Of temperatures.")
    mean_error_k = serializers.FloatField(required=False, allow_null=True, help_text="Measured less predicted.")
    nmbe_frac = serializers.FloatField(required=False, allow_null=True, help_text="As in ASHRAE Guideline 14.")
    cv_rmse_frac = serializers.FloatField(required=False, allow_null=True, help_text="As in ASHRAE Guideline 14.")
    covered_frac = serializers.FloatField(allow_null=True, help_text="Inside two sigmas of a usual sensor.")


class FigurePairSerializer(serializers.Serializer):
    measured = serializers.FloatField(allow_null=True)
    predicted = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)


class CoverageSerializer(serializers.Serializer):
    """How far a sum of points adds up to a meter, beside what is predicted for the same."""

    sum_of = serializers.CharField()
    meter = serializers.CharField()
    ratio = serializers.FloatField(allow_null=True)
    predicted_ratio = serializers.FloatField(allow_null=True)
    tolerance_frac = serializers.FloatField(
        required=False, allow_null=True, help_text="Two sigmas of usual sensors, of the predicted ratio."
    )
    state = serializers.ChoiceField(
        ("closes", "open", "cannot"), required=False, help_text="cannot: points are missing."
    )
    missing = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="Points of it that are not measured, the first 20."
    )
    n_missing = serializers.IntegerField(required=False)


class ComparisonResultSerializer(serializers.Serializer):
    points = PointScoreSerializer(many=True)
    figures = serializers.DictField(child=FigurePairSerializer(), help_text="Figures of merit by name.")
    coverage = CoverageSerializer(many=True)
    load_from = serializers.CharField(help_text="What the load was read from.")
    weather_from = serializers.CharField()
    step_s = serializers.FloatField(help_text="Length of an interval [s].")
    intervals = serializers.IntegerField()
    not_predicted = serializers.ListField(child=serializers.CharField(), help_text="Points that the layout has not.")


class FaultSerializer(serializers.Serializer):
    object = serializers.CharField()
    kind = serializers.CharField()
    since = serializers.CharField(help_text="ISO 8601, UTC.")
    evidence = serializers.CharField()
    score = serializers.FloatField(help_text="Logarithm of the likelihood gained; most certain first.")
    tokens_lost = serializers.FloatField(allow_null=True, help_text="Since then; null where it cannot be told.")
    usd = serializers.FloatField(
        allow_null=True,
        help_text="Tokens lost at the layout's own cost and energy wasted at its tariff, since then; null of sensors.",
    )


class DiagnosisResultSerializer(serializers.Serializer):
    faults = FaultSerializer(many=True)


class FittedParameterSerializer(serializers.Serializer):
    object = serializers.CharField()
    parameter = serializers.CharField()
    unit = serializers.CharField()
    before = serializers.FloatField()
    after = serializers.FloatField()
    low = serializers.FloatField(help_text="Of the 90 % interval.")
    high = serializers.FloatField()
    identifiable = serializers.BooleanField()
    reason = serializers.CharField(allow_blank=True, help_text="Why not, and which sensor would tell.")


class ScoresSerializer(serializers.Serializer):
    """Errors by quantity, before and after, of the times that were fitted and of those held out."""

    before = serializers.DictField()
    after = serializers.DictField()
    held_out = serializers.DictField()


class CalibrationResultSerializer(serializers.Serializer):
    parameters = FittedParameterSerializer(many=True)
    scores = ScoresSerializer()
    accepted = serializers.BooleanField(help_text="Better on the times held out: it may be accepted.")
    reason = serializers.CharField()
    times = serializers.IntegerField()
    times_held_out = serializers.IntegerField()
    load_from = serializers.CharField()
    faults = FaultSerializer(many=True, required=False, help_text="That the same readings show; some refuse the fit.")


class GainSerializer(serializers.Serializer):
    """What a figure changes by, after less before, in its unit, with the 80 % band: what errs in both cancels."""

    value = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    probability = serializers.FloatField(help_text="That it changes for the better.")


class MarginAfterSerializer(serializers.Serializer):
    object = serializers.CharField()
    kind = serializers.CharField()
    value = serializers.FloatField(help_text="Left in the worst hour of the year, once the set point is taken.")
    unit = serializers.CharField()
    before = serializers.FloatField(allow_null=True)


class WorstFailureSerializer(serializers.Serializer):
    text = serializers.CharField(help_text="What single failures cost at the design hour, once it is taken.")
    served_lost_tokens_per_s = serializers.FloatField()


class AdvisedSerializer(serializers.Serializer):
    """A set point that is better elsewhere. Rows are to be taken in their order: each gain is beside those before."""

    object = serializers.CharField(help_text="The first of `objects`.")
    parameter = serializers.CharField(help_text="The setting, by its quantity's name where it has one.")
    to = serializers.FloatField()
    unit = serializers.CharField()
    gain = serializers.DictField(child=GainSerializer(), help_text="By figure.")
    margins_after = MarginAfterSerializer(many=True)
    worst_failure = WorstFailureSerializer()
    objects = serializers.ListField(child=serializers.CharField(), help_text="All that take this value.")
    note = serializers.CharField(allow_blank=True)

    def get_fields(self) -> dict[str, serializers.Field]:
        return super().get_fields() | {"from": serializers.FloatField(help_text="As it is described now.")}


class NotAdvisedSerializer(serializers.Serializer):
    """A set point that would be better elsewhere but breaks a limit, or that cannot be moved."""

    object = serializers.CharField()
    parameter = serializers.CharField()
    to = serializers.FloatField()
    unit = serializers.CharField()
    gain_frac = serializers.FloatField(allow_null=True, help_text="Of the figure; null where it was not solved.")
    reason = serializers.CharField()

    def get_fields(self) -> dict[str, serializers.Field]:
        return super().get_fields() | {"from": serializers.FloatField()}


class AdviceResultSerializer(serializers.Serializer):
    figure = serializers.CharField()
    advice = AdvisedSerializer(many=True)
    refused = NotAdvisedSerializer(many=True)
    before = serializers.DictField(child=serializers.FloatField(allow_null=True))
    after = serializers.DictField(child=serializers.FloatField(allow_null=True), help_text="With all changes.")
    calibrated = serializers.IntegerField(help_text="Parameters that readings have shown and the layout has.")


class StudyDetailSerializer(StudySerializer):
    """A study with what it found, once it is done."""

    waiting_reason = serializers.SerializerMethodField(
        help_text="What a queued study waits for beyond its turn: a worker, or the broker. Empty: nothing is missing."
    )

    class Meta(StudySerializer.Meta):
        fields = [*StudySerializer.Meta.fields, "waiting_reason", "result"]
        read_only_fields = fields

    def get_waiting_reason(self, study: Study) -> str:
        return waiting_reason(study)


class ComparisonStudySerializer(StudyDetailSerializer):
    result = ComparisonResultSerializer(read_only=True, allow_null=True)


class DiagnosisSerializer(StudyDetailSerializer):
    result = DiagnosisResultSerializer(read_only=True, allow_null=True)


class CalibrationSerializer(StudyDetailSerializer):
    result = CalibrationResultSerializer(read_only=True, allow_null=True)
    accepted_as = LayoutField(read_only=True, allow_null=True, help_text="The layout as operated, once accepted.")

    class Meta(StudyDetailSerializer.Meta):
        fields = [*StudyDetailSerializer.Meta.fields, "parameters", "accepted_as"]
        read_only_fields = fields


class AdviceSerializer(StudyDetailSerializer):
    result = AdviceResultSerializer(read_only=True, allow_null=True)

    class Meta(StudyDetailSerializer.Meta):
        fields = [*StudyDetailSerializer.Meta.fields, "figure"]
        read_only_fields = fields


class AcceptSerializer(KnownFields, serializers.Serializer):
    name = serializers.CharField(max_length=120, help_text="Of the layout as operated.")


class AcceptedSerializer(serializers.Serializer):
    layout = serializers.CharField(help_text="SITE/LAYOUT of the layout as operated.")


class StudyFilter(filters.FilterSet):
    site = filters.CharFilter("layout__site__slug")
    layout = filters.CharFilter("layout__slug")

    class Meta:
        model = Study
        fields = ["status"]


class StudyViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """POST queues one and answers at once; poll its address until `status` is done or failed."""

    schema = RefusalSchema()
    kind: ClassVar[Study.Kind]
    question: ClassVar[type[LayoutQuestionSerializer]] = StudyQuestionSerializer
    address: ClassVar[str]
    queryset = Study.objects.none()
    filterset_class = StudyFilter

    def get_queryset(self) -> QuerySet[Study]:
        sites = visible_sites(self.request.user)
        rows = Study.objects.filter(kind=self.kind, layout__site__in=sites).order_by("-created_at", "id")
        rows = rows.select_related("layout__site", "scenario", "created_by", "accepted_as__site")
        return rows if self.action == "retrieve" else rows.defer(*Study.HEAVY)

    @extend_schema(responses=StudySerializer(many=True))
    def list(self, request: Request, *args, **kwargs) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(StudySerializer(page, many=True).data)

    def ask(self, request: Request) -> Response:
        asked = self.question(data=request.data, context=self.get_serializer_context())
        asked.is_valid(raise_exception=True)
        check_change_site(request.user, asked.validated_data["layout"].site, Right.OPERATE)
        key = idempotency_key(request)
        with refusals():
            study = self.asked(user=request.user, key=key, **asked.validated_data)
        return self.accepted(study)

    def asked(self, **question: Any) -> Study:
        """Return the study of a question."""
        return studies.study_ask(kind=self.kind, **question)

    @extend_schema(responses={202: StudySerializer})
    def destroy(self, request: Request, pk: str | None = None) -> Response:
        """Cancel a queued or running study; its row stays."""
        return self._changed(jobs.cancel)

    @extend_schema(request=None, responses={202: StudySerializer})
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str | None = None) -> Response:
        """Queue a failed or cancelled study again, on the layout and readings as they are now."""
        return self._changed(studies.study_retry)

    def _changed(self, service) -> Response:
        study = self.get_object()
        check_change_site(self.request.user, study.layout.site, Right.RUN)
        try:
            return self.accepted(service(study, user=self.request.user))
        except InvalidTransition as refusal:
            raise Conflict(str(refusal)) from refusal

    def accepted(self, study: Study) -> Response:
        """Answer that a study is queued, and where it can be watched."""
        address = reverse(f"{self.address}-detail", args=[study.id], request=self.request)
        shown = StudySerializer(self.get_queryset().get(pk=study.pk))
        return Response(shown.data, status=status.HTTP_202_ACCEPTED, headers={"Location": address})


class TelemetryComparisonViewSet(StudyViewSet):
    """A layout scored against the readings of its site, at the measured weather and load."""

    kind = Study.Kind.COMPARISON
    address = "api-telemetry-comparison"
    serializer_class = ComparisonStudySerializer

    @extend_schema(request=StudyQuestionSerializer, responses={202: StudySerializer}, parameters=[REPEATABLE])
    def create(self, request: Request) -> Response:
        """Queue a comparison; the answer's Location is where it can be watched."""
        return self.ask(request)


class DiagnosisViewSet(StudyViewSet):
    """Faults that the readings of a site show against a layout, most certain first."""

    kind = Study.Kind.DIAGNOSIS
    address = "api-diagnosis"
    serializer_class = DiagnosisSerializer

    @extend_schema(request=StudyQuestionSerializer, responses={202: StudySerializer}, parameters=[REPEATABLE])
    def create(self, request: Request) -> Response:
        """Queue a diagnosis; the answer's Location is where it can be watched."""
        return self.ask(request)


class CalibrationViewSet(StudyViewSet):
    """Parameters of a layout fitted to the readings of its site, judged on times held out; nothing is overwritten."""

    kind = Study.Kind.CALIBRATION
    address = "api-calibration"
    question = CalibrationQuestionSerializer
    serializer_class = CalibrationSerializer

    @extend_schema(request=CalibrationQuestionSerializer, responses={202: StudySerializer}, parameters=[REPEATABLE])
    def create(self, request: Request) -> Response:
        """Queue a calibration; the answer's Location is where it can be watched."""
        return self.ask(request)

    @extend_schema(request=AcceptSerializer, responses={201: AcceptedSerializer})
    @action(detail=True, methods=["post"])
    def accept(self, request: Request, pk: str | None = None) -> Response:
        """Copy the layout with the parameters that could be identified; the copy is frozen, the layout stays."""
        study = self.get_object()
        check_change_site(request.user, study.layout.site, Right.APPROVE)
        asked = AcceptSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            made = studies.study_accept(study, name=asked.validated_data["name"], user=request.user)
        except (InvalidTransition, ValueError) as refusal:
            raise Conflict(f"{refusal}") from refusal
        except Refused as refusal:
            raise Conflict(" ".join(refusal.messages)) from refusal
        return Response({"layout": made.path}, status=status.HTTP_201_CREATED)


class AdviceViewSet(StudyViewSet):
    """Set points that would raise a figure of a layout inside its limits, by its solver. Nothing is ever set."""

    kind = Study.Kind.ADVICE
    address = "api-advice"
    question = AdviceQuestionSerializer
    serializer_class = AdviceSerializer

    def asked(self, **question: Any) -> Study:
        return studies.advice_ask(**question)

    @extend_schema(request=AdviceQuestionSerializer, responses={202: StudySerializer}, parameters=[REPEATABLE])
    def create(self, request: Request) -> Response:
        """Queue an advice; the answer's Location is where it can be watched."""
        return self.ask(request)

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR})
    @action(detail=True, url_path="set-points")
    def set_points(self, request: Request, pk: str | None = None) -> HttpResponse:
        """Its set points as CSV, a line for each object."""
        return set_points_file(self._done())

    @extend_schema(responses={(200, "application/x-ndjson"): OpenApiTypes.STR})
    @action(detail=True, url_path="set-point-requests")
    def set_point_requests(self, request: Request, pk: str | None = None) -> HttpResponse:
        """Those that DSX Exchange BMS can request, topic and payload a line."""
        return requests_file(self._done())

    def _done(self) -> Study:
        study = get_object_or_404(self.get_queryset().prefetch_related(None).defer(None), pk=self.kwargs["pk"])
        if study.status != Study.Status.DONE:
            raise Conflict(f"{study} is {study.status}; only an advice that is done has set points.")
        return study
