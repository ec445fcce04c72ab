"""Advice that was taken on, and what it has gained since, for programs."""

import datetime as dt
from typing import Any

from django.core.exceptions import ValidationError as Refused
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from facility.api.errors import Conflict
from facility.api.known_fields import KnownFields
from facility.api.schema import RefusalSchema
from facility.permissions import Right, check_change_site, visible_sites
from twin.api.repeatable import idempotency_key, refusals
from twin.api.serializers import LayoutField
from twin.api.studies import REPEATABLE, StudyDetailSerializer, StudySerializer, StudyViewSet, ZonedTimeField
from twin.exceptions import InvalidTransition
from twin.models import Study, TakenAdvice
from twin.telemetry import taken
from twin.telemetry.set_point_files import gain_file


class BandSerializer(serializers.Serializer):
    value = serializers.FloatField()
    low = serializers.FloatField(help_text="Of the 80 % band.")
    high = serializers.FloatField()


class GainedSerializer(serializers.Serializer):
    """One figure: at the old set points, as measured, and the gain as measured beside the promise; in its unit."""

    before = serializers.FloatField(help_text="The twin's, at the old set points on the measured weather and load.")
    after = serializers.FloatField(help_text="Measured.")
    promised_year = BandSerializer(allow_null=True, help_text="By the advice, over its year.")
    promised = BandSerializer(help_text="By the twin, on the measured weather and load.")
    measured = BandSerializer()


class GainDaySerializer(serializers.Serializer):
    day = serializers.CharField(help_text="UTC.")
    hours = serializers.FloatField(help_text="With readings.")
    measured_w = serializers.FloatField()
    old_w = serializers.FloatField(help_text="At the old set points.")
    promised_w = serializers.FloatField()
    output_tokens_per_s = serializers.FloatField()


class GainResultSerializer(serializers.Serializer):
    state = serializers.ChoiceField(("measured", "not enough readings yet"))
    reason = serializers.CharField(allow_blank=True, help_text="What is missing, where it is not measured.")
    taken_at = serializers.CharField()
    end = serializers.CharField()
    hours_before = serializers.FloatField(help_text="With readings, before the change.")
    hours_after = serializers.FloatField()
    load_from = serializers.CharField(allow_blank=True)
    weather_from = serializers.CharField(allow_blank=True)
    verdict = serializers.ChoiceField(
        ("as promised", "less than promised", "more than promised", "not decided yet"), allow_blank=True
    )
    figures = serializers.DictField(child=GainedSerializer(), help_text="By figure; empty where not measured.")
    days = GainDaySerializer(many=True)
    notes = serializers.ListField(child=serializers.CharField())


class MeasuredGainSerializer(StudyDetailSerializer):
    result = GainResultSerializer(read_only=True, allow_null=True)

    class Meta(StudyDetailSerializer.Meta):
        fields = [*StudyDetailSerializer.Meta.fields, "taken"]
        read_only_fields = fields


class VisibleField(serializers.PrimaryKeyRelatedField):
    """The id of a row of a site that the caller may see."""

    def get_queryset(self) -> QuerySet:
        return super().get_queryset().filter(layout__site__in=visible_sites(self.context["request"].user))


class GainQuestionSerializer(KnownFields, serializers.Serializer):
    taken = VisibleField(
        queryset=TakenAdvice.objects.select_related("layout__site", "study__scenario"),
        help_text="Id of what was taken on.",
    )
    end = ZonedTimeField(
        required=False, help_text="ISO 8601 with its zone; default: now, or where the next advice was taken on."
    )


class TakenAdviceSerializer(serializers.ModelSerializer):
    """Set points of an advice that were taken on."""

    advice = serializers.UUIDField(source="study_id", read_only=True)
    layout = LayoutField(read_only=True, help_text="As it stood before the change.")
    created_by = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)
    gains = serializers.PrimaryKeyRelatedField(many=True, read_only=True, help_text="Measured gains, newest first.")

    class Meta:
        model = TakenAdvice
        fields = ["id", "advice", "orders", "taken_at", "layout", "created_by", "created_at", "gains"]
        read_only_fields = fields


class TakeSerializer(KnownFields, serializers.Serializer):
    advice = VisibleField(
        queryset=Study.objects.filter(kind=Study.Kind.ADVICE).select_related("layout__site"),
        help_text="Id of an advice that is done.",
    )
    taken_at = ZonedTimeField(help_text="When the plant ran at them first, ISO 8601 with its zone.")
    orders = serializers.ListField(
        child=serializers.IntegerField(min_value=1),
        required=False,
        allow_empty=False,
        max_length=200,
        help_text="Which of its set points, by their order from 1; default: all that are not taken on yet.",
    )
    layout = LayoutField(
        required=False, help_text="SITE/LAYOUT as built or as operated, before the change; default: the advice's own."
    )


class TakenFilter(filters.FilterSet):
    site = filters.CharFilter("layout__site__slug")
    advice = filters.UUIDFilter("study_id")

    class Meta:
        model = TakenAdvice
        fields: list[str] = []


class TakenAdviceViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.DestroyModelMixin, viewsets.GenericViewSet
):
    """Advice that whoever runs a plant has taken on: which set points, since when, on which layout, said by whom."""

    schema = RefusalSchema()
    serializer_class = TakenAdviceSerializer
    queryset = TakenAdvice.objects.none()
    filterset_class = TakenFilter

    def get_queryset(self) -> QuerySet[TakenAdvice]:
        rows = TakenAdvice.objects.filter(layout__site__in=visible_sites(self.request.user)).order_by("-taken_at", "id")
        return rows.select_related("layout__site", "created_by").prefetch_related("gains")

    @extend_schema(request=TakeSerializer, responses={201: TakenAdviceSerializer})
    def create(self, request: Request) -> Response:
        """Mark set points of an advice as taken on."""
        asked = TakeSerializer(data=request.data, context=self.get_serializer_context())
        asked.is_valid(raise_exception=True)
        said: dict[str, Any] = asked.validated_data
        study = said.pop("advice")
        check_change_site(request.user, study.layout.site, Right.OPERATE)
        try:
            mark = taken.advice_take(study, user=request.user, **said)
        except InvalidTransition as refusal:
            raise Conflict(str(refusal)) from refusal
        except Refused as refusal:
            raise ValidationError(refusal.message_dict) from refusal
        return Response(TakenAdviceSerializer(mark).data, status=status.HTTP_201_CREATED)

    def perform_destroy(self, instance: TakenAdvice) -> None:
        """Take it back, with the gains that were measured of it."""
        taken.taken_remove(instance, user=self.request.user)


class GainViewSet(StudyViewSet):
    """What set points that were taken on have gained, by the site's readings and the twin, beside the promise."""

    kind = Study.Kind.GAIN
    address = "api-gain"
    serializer_class = MeasuredGainSerializer

    @extend_schema(request=GainQuestionSerializer, responses={202: StudySerializer}, parameters=[REPEATABLE])
    def create(self, request: Request) -> Response:
        """Queue the measurement of a gain; the answer's Location is where it can be watched."""
        asked = GainQuestionSerializer(data=request.data, context=self.get_serializer_context())
        asked.is_valid(raise_exception=True)
        mark, end = asked.validated_data["taken"], asked.validated_data.get("end")
        check_change_site(request.user, mark.layout.site, Right.OPERATE)
        offset = (end.utcoffset() if end else None) or dt.timedelta()
        key = idempotency_key(request)
        with refusals():
            study = taken.gain_ask(mark, end_at=end, offset_s=offset.total_seconds(), key=key, user=request.user)
        return self.accepted(study)

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR})
    @action(detail=True)
    def days(self, request: Request, pk: str | None = None) -> HttpResponse:
        """As CSV, a line for each day and one for the whole time."""
        study = get_object_or_404(self.get_queryset().defer(None), pk=self.kwargs["pk"])
        if study.status != Study.Status.DONE:
            raise Conflict(f"{study} is {study.status}; only a measured gain that is done has days.")
        return gain_file(study)
