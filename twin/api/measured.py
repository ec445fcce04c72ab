"""A measured run of one's own beside its prediction, for programs."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from facility.api.known_fields import KnownFields
from facility.api.schema import QuestionSchema
from twin.api.solved import SolvedView


class MeasuredRunSerializer(KnownFields, serializers.Serializer):
    """A measured run: one row or several of InferenceX, or a bench serve result of vLLM or SGLang."""

    result = serializers.JSONField(help_text="The document as it is.")
    deployment = serializers.DictField(
        required=False,
        default=dict,
        help_text="Columns of `predict_serving` that the document does not say, e.g. accelerator, model, "
        "weight_precision and tensor_parallel beside a bench result; or `configuration`, as /api/serving/ takes it.",
    )


class MeasuredQuantitySerializer(serializers.Serializer):
    quantity = serializers.CharField()
    measured = serializers.FloatField()
    predicted = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    error_frac = serializers.FloatField(help_text="Predicted over measured, less one.")
    in_band = serializers.BooleanField(help_text="Whether the 80 % band holds what was measured.")


class StepTermSerializer(serializers.Serializer):
    term = serializers.CharField()
    share_frac = serializers.FloatField(help_text="Of the predicted decode step.")
    factor = serializers.FloatField(
        allow_null=True,
        help_text="Time it would have to take, over the predicted, to explain the gap; null: it cannot.",
    )


class MeasuredAnswerSerializer(serializers.Serializer):
    row = serializers.DictField(help_text="The run as it was understood, in the columns of `predict_serving`.")
    notes = serializers.ListField(child=serializers.CharField(), help_text="What was assumed.")
    feasible = serializers.BooleanField()
    reason = serializers.CharField()
    quantities = MeasuredQuantitySerializer(many=True)
    terms = StepTermSerializer(many=True)
    sentence = serializers.CharField()


class MeasuredView(SolvedView):
    """Lay measured runs beside their predictions: error, band, and which term of a step could be off."""

    schema = QuestionSchema()
    permission_classes = [IsAuthenticated]  # nothing is changed: a read-only token may ask by POST too

    @extend_schema(request=MeasuredRunSerializer, responses=MeasuredAnswerSerializer(many=True))
    def post(self, request: Request) -> Response:
        """Answer in the order of the runs; one that cannot be answered does not keep the others from it."""
        return self.respond(request)
