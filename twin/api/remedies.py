"""Remedies of findings for programs: which there are, what one would do, taking it and taking it back."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from facility.api.drawing import MAX_VERSION
from facility.api.known_fields import KnownFields
from facility.api.schema import LayoutQuestionSchema, RefusalSchema
from facility.api.serializers import FindingSerializer
from twin.api.solved import SolvedView


class RemedySerializer(FindingSerializer):
    """A finding of the rules with what removes it."""

    remedy = serializers.CharField(help_text="In words.")
    computed = serializers.BooleanField(help_text="Whether it can be previewed and taken.")


class NamedFindingSerializer(KnownFields, serializers.Serializer):
    """A finding of the rules, by its object and rule."""

    object_kind = serializers.CharField(max_length=40)
    object_id = serializers.IntegerField(allow_null=True, default=None, max_value=MAX_VERSION)
    rule = serializers.CharField(max_length=80)


class AskedFindingSerializer(NamedFindingSerializer):
    """A finding of the rules, or with `all` every finding of its rule."""

    object_kind = serializers.CharField(
        max_length=40, required=False, default="", allow_blank=True, help_text="Not needed with `all`."
    )
    all = serializers.BooleanField(
        default=False, help_text="Every finding of the rule together: one change of the layout, taken back by one undo."
    )

    def validate(self, attrs: dict) -> dict:
        """Refuse a question that names neither an object nor all."""
        attrs = super().validate(attrs)
        if not attrs["all"] and not attrs["object_kind"]:
            raise serializers.ValidationError({"object_kind": "Is empty; name the finding's object, or set all."})
        return attrs


class PreviewQuestionSerializer(AskedFindingSerializer):
    """A finding or all of a rule, and the scenario that the remedy's figures are estimated under."""

    scenario = serializers.CharField(
        max_length=80, required=False, allow_blank=True, help_text="Its slug; else that of the last run."
    )


class TakenQuestionSerializer(AskedFindingSerializer):
    """A finding or all of a rule, and the version of the layout that the remedy was looked at on."""

    version = serializers.IntegerField(min_value=0, max_value=MAX_VERSION)


class UndoSerializer(KnownFields, serializers.Serializer):
    """What a taken remedy returned."""

    undo = serializers.CharField(max_length=200_000)


class ChangedSerializer(serializers.Serializer):
    """One field as it was and as it becomes, in words."""

    kind = serializers.CharField()
    id = serializers.IntegerField()
    object = serializers.CharField()
    field = serializers.CharField()
    before = serializers.CharField()
    after = serializers.CharField()


class RemedyFigureSerializer(serializers.Serializer):
    """One figure of merit before and after."""

    name = serializers.CharField()
    label = serializers.CharField()
    unit = serializers.CharField()
    better = serializers.CharField()
    before = serializers.FloatField(allow_null=True)
    after = serializers.FloatField(allow_null=True)
    before_text = serializers.CharField()
    after_text = serializers.CharField()
    change_text = serializers.CharField(allow_blank=True)


class PreviewSerializer(serializers.Serializer):
    """What a remedy would change, and what then comes out; nothing is changed."""

    version = serializers.IntegerField(help_text="Of the layout; to take the remedy names it.")
    finding = FindingSerializer()
    text = serializers.CharField()
    changes = ChangedSerializer(many=True)
    n_before = serializers.IntegerField(help_text="Findings of the rules.")
    n_after = serializers.IntegerField()
    gone = FindingSerializer(many=True)
    fresh = FindingSerializer(many=True)
    figures = RemedyFigureSerializer(many=True, help_text="Estimated as the drawing board's.")
    message = serializers.CharField(allow_blank=True, help_text="Why there are no figures.")
    left = FindingSerializer(
        many=True, help_text="With `all`: what stays: no remedy helped, or enough were tried at once."
    )


class TakenSerializer(serializers.Serializer):
    """A remedy that was taken."""

    version = serializers.IntegerField(help_text="The layout's new version.")
    changes = ChangedSerializer(many=True)
    undo = serializers.CharField(help_text="Post it to `undo/` to take the remedy back.")
    left = FindingSerializer(
        many=True, help_text="With `all`: what stays: no remedy helped, or enough were tried at once."
    )


class TakenBackSerializer(serializers.Serializer):
    """A remedy that was taken back."""

    version = serializers.IntegerField(help_text="The layout's new version.")


class LayoutRemediesView(SolvedView):
    """What removes the findings of the rules in a layout."""

    schema = RefusalSchema()

    @extend_schema(responses=RemedySerializer(many=True), operation_id="layouts_remedies_list")
    def get(self, request: Request, pk: int) -> Response:
        """Return every finding of the rules with its remedy, most severe first."""
        return self.respond(request)

    @extend_schema(request=TakenQuestionSerializer, responses=TakenSerializer, operation_id="layouts_remedies_take")
    def post(self, request: Request, pk: int) -> Response:
        """Take the remedy of a finding, or of all of its rule, as previewed on that version; on a later one 409."""
        return self.respond(request)


class RemedyPreviewView(SolvedView):
    """What the remedy of one finding would do."""

    schema = LayoutQuestionSchema()

    @extend_schema(
        parameters=[PreviewQuestionSerializer], responses=PreviewSerializer, operation_id="layouts_remedies_preview"
    )
    def get(self, request: Request, pk: int) -> Response:
        """Return changes, findings and figures before and after; 422 where nothing that is computed removes it."""
        return self.respond(request)


class RemedyUndoView(SolvedView):
    """Takes a remedy back."""

    schema = RefusalSchema()

    @extend_schema(request=UndoSerializer, responses=TakenBackSerializer, operation_id="layouts_remedies_undo")
    def post(self, request: Request, pk: int) -> Response:
        """Take a remedy back, unless somebody has changed one of its objects since."""
        return self.respond(request)
