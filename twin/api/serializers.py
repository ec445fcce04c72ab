"""What if as JSON: scenarios, runs, comparisons. Names of figures and series are those of `twin.merit`."""

from rest_framework import serializers

from facility.api.serializers import ProductField
from facility.models import Layout, Site, Weather
from facility.permissions import visible_sites
from twin.comparison import Comparison as Compared
from twin.merit import SERIES_BY_NAME
from twin.models import Comparison, Run, Scenario, ScenarioWorkload


class LayoutField(serializers.CharField):
    """A layout that the caller may see, as SITE/LAYOUT."""

    default_error_messages = {"does_not_exist": "There is no layout {value}; write SITE/LAYOUT."}

    def to_internal_value(self, data: object) -> Layout:
        site, _, slug = super().to_internal_value(data).partition("/")
        sites = visible_sites(self.context["request"].user)
        layout = Layout.objects.select_related("site").filter(site__in=sites, site__slug=site, slug=slug).first()
        if layout is None:
            self.fail("does_not_exist", value=data)
        return layout

    def to_representation(self, value: Layout) -> str:
        return value.path


class ScenarioWorkloadSerializer(serializers.ModelSerializer):
    workload = ProductField("workloads")
    model = ProductField("models", required=False, allow_null=True)

    class Meta:
        model = ScenarioWorkload
        fields = ["workload", "model", "accelerator_share_frac", "requests_per_s", "peak_load_frac"]


class ScenarioSerializer(serializers.ModelSerializer):
    site = serializers.SlugRelatedField(slug_field="slug", queryset=Site.objects.all())
    weather = serializers.SlugRelatedField(
        slug_field="slug", queryset=Weather.objects.defer("rows"), required=False, allow_null=True
    )
    workloads = ScenarioWorkloadSerializer(many=True, help_text="Replaced as a whole; at least one.")

    class Meta:
        model = Scenario
        fields = [
            "id", "site", "slug", "name", "notes", "weather", "engine", "weight_precision",
            "accelerator_power_limit_w", "electricity_usd_per_kwh", "workloads",
        ]  # fmt: skip

    def get_fields(self) -> dict[str, serializers.Field]:
        fields = super().get_fields()
        request = self.context.get("request")
        fields["site"].queryset = visible_sites(request.user) if request else Site.objects.none()
        return fields


class RunCreateSerializer(serializers.Serializer):
    layout = LayoutField(help_text="SITE/LAYOUT")
    scenario = serializers.SlugField(max_length=80, help_text="Short name of one of the site's scenarios.")

    def validate(self, attrs: dict) -> dict:
        site = attrs["layout"].site
        scenario = Scenario.objects.select_related("site").filter(site=site, slug=attrs["scenario"]).first()
        if scenario is None:
            there = ", ".join(site.scenarios.values_list("slug", flat=True)) or "none yet"
            message = f"Site {site.slug} has no scenario {attrs['scenario']}; there are: {there}."
            raise serializers.ValidationError({"scenario": message})
        return attrs | {"scenario": scenario}


class RunSerializer(serializers.ModelSerializer):
    """A run in a list: its state and, once it is done, its figures of merit."""

    layout = LayoutField(read_only=True)
    scenario = serializers.SlugRelatedField(slug_field="slug", read_only=True)
    created_by = serializers.SlugRelatedField(slug_field="username", read_only=True)

    class Meta:
        model = Run
        fields = [
            "id", "layout", "scenario", "status", "stage", "progress_frac", "message", "created_by", "created_at",
            "started_at", "finished_at", "figures",
        ]  # fmt: skip
        read_only_fields = fields


class RunDetailSerializer(RunSerializer):
    """A run with all it found except the arrays, which `series` and `racks` give."""

    class Meta(RunSerializer.Meta):
        fields = [
            *RunSerializer.Meta.fields, "attempt", "cancel_requested", "solver_version", "inputs_sha256", "bands",
            "details",
        ]  # fmt: skip
        read_only_fields = fields


class ArraySerializer(serializers.Serializer):
    name = serializers.CharField()
    label = serializers.CharField()
    unit = serializers.CharField()
    values = serializers.ListField(child=serializers.FloatField(allow_null=True))


class SeriesSerializer(serializers.Serializer):
    """Hourly arrays of a run; hour 0 is the first hour of its weather year, local standard time."""

    run = serializers.UUIDField()
    n_hours = serializers.IntegerField()
    series = ArraySerializer(many=True)


class RacksSerializer(serializers.Serializer):
    """Per-rack arrays of a run, in the same order; `rack_id` names the racks."""

    run = serializers.UUIDField()
    n_racks = serializers.IntegerField()
    racks = serializers.DictField(child=serializers.ListField())


class SeriesQuerySerializer(serializers.Serializer):
    names = serializers.CharField(
        required=False, help_text="Comma-separated; empty: all. One of " + ", ".join(SERIES_BY_NAME) + "."
    )


class ComparisonSerializer(serializers.ModelSerializer):
    runs = serializers.PrimaryKeyRelatedField(many=True, queryset=Run.objects.none(), help_text="Two to six, finished.")
    created_by = serializers.SlugRelatedField(slug_field="username", read_only=True)

    class Meta:
        model = Comparison
        fields = ["id", "name", "runs", "created_by", "created_at"]
        read_only_fields = ["created_at"]

    def get_fields(self) -> dict[str, serializers.Field]:
        fields = super().get_fields()
        request = self.context.get("request")
        if request:
            done = Run.objects.filter(layout__site__in=visible_sites(request.user), status=Run.Status.DONE)
            fields["runs"].child_relation.queryset = done.only("id")
        return fields

    def validate_runs(self, runs: list[Run]) -> list[Run]:
        if not 2 <= len({run.id for run in runs}) <= 6:
            raise serializers.ValidationError(f"{len(runs)} runs given; a comparison takes two to six different ones.")
        return runs


class AssumptionRowSerializer(serializers.Serializer):
    name = serializers.CharField()
    values = serializers.ListField(child=serializers.CharField())


class FigureRowSerializer(serializers.Serializer):
    name = serializers.CharField()
    label = serializers.CharField()
    unit = serializers.CharField()
    values = serializers.ListField(child=serializers.FloatField(allow_null=True))
    bands = serializers.ListField(child=serializers.ListField(child=serializers.FloatField(), allow_null=True))
    deltas = serializers.ListField(child=serializers.FloatField(allow_null=True))
    winner = serializers.IntegerField(allow_null=True)
    why = serializers.CharField()


class StepSerializer(serializers.Serializer):
    name = serializers.CharField()
    change = serializers.FloatField()
    total_after = serializers.FloatField()


class WaterfallSerializer(serializers.Serializer):
    unit = serializers.CharField()
    start = serializers.FloatField()
    end = serializers.FloatField()
    steps = StepSerializer(many=True)


class ComparedSerializer(serializers.Serializer):
    names = serializers.ListField(child=serializers.CharField())
    assumptions = AssumptionRowSerializer(many=True)
    rows = FigureRowSerializer(many=True)
    waterfall_w = WaterfallSerializer(many=True)
    waterfall_j_per_token = WaterfallSerializer(many=True)
    waterfall_usd = WaterfallSerializer(many=True)


class ComparisonDetailSerializer(ComparisonSerializer):
    """A comparison with what came out: lists have one entry per run, in the order of `runs`, the oldest first."""

    compared = serializers.SerializerMethodField()

    class Meta(ComparisonSerializer.Meta):
        fields = [*ComparisonSerializer.Meta.fields, "compared"]

    def get_compared(self, comparison: Comparison) -> ComparedSerializer:
        compared: Compared = self.context["compared"]
        return ComparedSerializer(compared).data
