"""What if as JSON: scenarios, runs, comparisons. Names of figures and series are those of `core.figures_of_merit`."""

from typing import Any

from rest_framework import serializers
from rest_framework.reverse import reverse

from facility.api.known_fields import KnownFields
from facility.api.serializers import ProductField
from facility.models import Layout, Site, Weather
from facility.permissions import visible_sites
from twin.comparisons import sharing
from twin.core.comparison.basis import BASES, CAPACITY_SHARE
from twin.core.comparison.compare import Comparison as Compared
from twin.core.figures_of_merit import FIGURES, RANKED_BY, SERIES_BY_NAME
from twin.core.results.details import run_details
from twin.core.text.json_rows import as_json
from twin.models import Comparison, Run, Scenario, ScenarioWorkload
from twin.runs.changed import is_changed
from twin.runs.ring import waiting_reason


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


class ScenarioWorkloadSerializer(KnownFields, serializers.ModelSerializer):
    workload = ProductField("workloads")
    model = ProductField("models", required=False, allow_null=True)

    class Meta:
        model = ScenarioWorkload
        fields = [
            "workload",
            "model",
            "checkpoint",
            "configuration",
            "accelerator_share_frac",
            "requests_per_s",
            "peak_load_frac",
            "tool_core_s",
        ]
        extra_kwargs = {
            "accelerator_share_frac": {
                "help_text": "Share of the layout's accelerators, relative to the scenario's other use cases: 1 and 1, "
                "or 0.5 and 0.5, are half each; a single use case gets all."
            }
        }


class ScenarioSerializer(KnownFields, serializers.ModelSerializer):
    site = serializers.SlugRelatedField(slug_field="slug", queryset=Site.objects.all())
    weather = serializers.SlugRelatedField(
        slug_field="slug", queryset=Weather.objects.defer("rows"), required=False, allow_null=True
    )
    workloads = ScenarioWorkloadSerializer(
        many=True, max_length=100, help_text="Replaced as a whole; from one to a hundred."
    )

    class Meta:
        model = Scenario
        fields = [
            "id",
            "site",
            "slug",
            "name",
            "notes",
            "is_default",
            "weather",
            "engine",
            "engine_version",
            "weight_precision",
            "kv_precision",
            "allow_drafts",
            "draft_tokens",
            "draft_acceptance_frac",
            "accelerator_power_limit_w",
            "cache_tier_bytes",
            "admission",
            "electricity_usd_per_kwh",
            "fuel_usd_per_kwh",
            "serving_mode",
            "allow_pipelines",
            "max_ranks",
            "workloads",
        ]

    def get_fields(self) -> dict[str, serializers.Field]:
        fields = super().get_fields()
        request = self.context.get("request")
        fields["site"].queryset = visible_sites(request.user) if request else Site.objects.none()
        return fields


class RunCreateSerializer(KnownFields, serializers.Serializer):
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
    created_by = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)

    class Meta:
        model = Run
        fields = [
            "id",
            "layout",
            "scenario",
            "status",
            "stage",
            "progress_frac",
            "message",
            "created_by",
            "created_at",
            "started_at",
            "finished_at",
            "figures",
        ]
        read_only_fields = fields


class RunDetailSerializer(RunSerializer):
    """A run with all it found except the arrays, which `series` and `racks` give."""

    waiting_reason = serializers.SerializerMethodField(
        help_text="What a queued run waits for beyond its turn: a worker, or the broker. Empty: nothing is missing."
    )

    solver_version = serializers.CharField(
        source="solver.version", read_only=True, help_text="Of the model; raised when its answers change."
    )
    solver_digest = serializers.CharField(
        source="solver.digest",
        read_only=True,
        help_text="SHA-256 of the solvers' code and coefficients; `unknown` of runs made before it was kept.",
    )
    details = serializers.SerializerMethodField(
        help_text="Workloads, limits, balances, costs, energy flow; of runs of older versions as far as they kept them."
    )

    changed_since = serializers.SerializerMethodField(
        help_text="Whether layout, scenario, site or a named product differ from what the run solved; null until it is "
        "done. A change that was undone is none."
    )

    def get_changed_since(self, run: Run) -> bool | None:
        return is_changed(run) if run.status == Run.Status.DONE else None

    def get_waiting_reason(self, run: Run) -> str:
        return waiting_reason(run)

    def get_details(self, run: Run) -> dict[str, Any] | None:
        return None if run.details is None else as_json(run_details(run.details))

    class Meta(RunSerializer.Meta):
        fields = [
            *RunSerializer.Meta.fields,
            "attempt",
            "cancel_requested",
            "waiting_reason",
            "changed_since",
            "solver_version",
            "solver_digest",
            "inputs_sha256",
            "bands",
            "details",
        ]
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
        required=False,
        allow_blank=True,
        help_text="Comma-separated; empty: all. One of " + ", ".join(SERIES_BY_NAME) + ".",
    )


class FewRuns(serializers.ManyRelatedField):
    """A list of runs that is counted before any is looked up."""

    def to_internal_value(self, data: object) -> list[Run]:
        if isinstance(data, list) and len(data) > Comparison.MAX_RUNS:
            raise serializers.ValidationError(f"There are {len(data):,} runs; a comparison takes two to six.")
        return super().to_internal_value(data)


class ComparisonSerializer(KnownFields, serializers.ModelSerializer):
    runs = FewRuns(
        child_relation=serializers.PrimaryKeyRelatedField(queryset=Run.objects.none()),
        help_text="Two to six, finished; columns stand in this order.",
    )
    created_by = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)
    address = serializers.SerializerMethodField(help_text="Page to share; opens for whoever can see all of its sites.")

    class Meta:
        model = Comparison
        fields = ["id", "name", "runs", "address", "created_by", "created_at"]
        read_only_fields = ["created_at"]

    def get_fields(self) -> dict[str, serializers.Field]:
        fields = super().get_fields()
        request = self.context.get("request")
        if request:
            done = Run.objects.filter(layout__site__in=visible_sites(request.user), status=Run.Status.DONE)
            fields["runs"].child_relation.queryset = done.only("id", "status")
        return fields

    def get_address(self, comparison: Comparison) -> str:
        return reverse("comparison-shared", args=[comparison.token], request=self.context.get("request"))

    def to_representation(self, instance: Comparison) -> dict:
        shown = super().to_representation(instance)
        shown["runs"] = [str(run.id) for run in sharing.in_order(instance, list(instance.runs.all()))]
        return shown

    def validate_runs(self, runs: list[Run]) -> list[Run]:
        if not Comparison.MIN_RUNS <= len({run.id for run in runs}) <= Comparison.MAX_RUNS:
            raise serializers.ValidationError(f"{len(runs)} runs given; a comparison takes two to six different ones.")
        return runs


class AssumptionRowSerializer(serializers.Serializer):
    group = serializers.CharField()
    name = serializers.CharField()
    values = serializers.ListField(child=serializers.CharField())


class FigureRowSerializer(serializers.Serializer):
    name = serializers.CharField()
    label = serializers.CharField()
    unit = serializers.CharField()
    values = serializers.ListField(child=serializers.FloatField(allow_null=True))
    bands = serializers.ListField(child=serializers.ListField(child=serializers.FloatField(), allow_null=True))
    deltas = serializers.ListField(child=serializers.FloatField(allow_null=True))
    winner = serializers.IntegerField(allow_null=True, help_text="Null where the best ones cannot be told apart.")
    winners = serializers.ListField(child=serializers.IntegerField())
    why = serializers.CharField()


class AnswerRowSerializer(serializers.Serializer):
    """An answer of power, cooling or failures; `about` names the object, or says why there is no value."""

    name = serializers.CharField()
    label = serializers.CharField()
    unit = serializers.CharField()
    better = serializers.CharField()
    values = serializers.ListField(child=serializers.FloatField(allow_null=True))
    about = serializers.ListField(child=serializers.CharField())
    winners = serializers.ListField(child=serializers.IntegerField())


class ComparedPointSerializer(serializers.Serializer):
    run = serializers.IntegerField(help_text="Its place in `names`.")
    name = serializers.CharField()
    output_tokens_per_s = serializers.FloatField()
    output_band = serializers.ListField(child=serializers.FloatField(), allow_null=True)
    price = serializers.FloatField()
    price_band = serializers.ListField(child=serializers.FloatField(), allow_null=True)
    efficient = serializers.BooleanField(help_text="No other run makes as many tokens at the same or lower price.")


class TokenFrontierSerializer(serializers.Serializer):
    price = serializers.CharField(help_text="The figure of merit that tokens are bought with.")
    label = serializers.CharField()
    unit = serializers.CharField()
    points = ComparedPointSerializer(many=True)


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
    """Deltas and waterfalls start from the run at `reference`, in the order of `names`."""

    names = serializers.ListField(child=serializers.CharField())
    model_versions = serializers.ListField(child=serializers.CharField(), help_text="`unknown` of older runs.")
    model_note = serializers.CharField(help_text="Empty where one version of the model solved all runs.")
    reference = serializers.IntegerField()
    assumptions = AssumptionRowSerializer(many=True)
    questions = AssumptionRowSerializer(many=True)
    rows = FigureRowSerializer(many=True)
    answers = AnswerRowSerializer(many=True)
    frontiers = TokenFrontierSerializer(many=True)
    waterfall_w = WaterfallSerializer(many=True)
    waterfall_j_per_token = WaterfallSerializer(many=True)
    waterfall_usd = WaterfallSerializer(many=True)
    waterfall_usd_per_year = WaterfallSerializer(many=True)


class ReferenceSerializer(serializers.Serializer):
    """Which run deltas and waterfalls start from, by its place in `runs`."""

    reference = serializers.IntegerField(default=0, min_value=0, max_value=Comparison.MAX_RUNS - 1)


class VerdictQuestionSerializer(serializers.Serializer):
    """The figure that ranks the layouts of a comparison, and what is equal between them."""

    equal = serializers.ChoiceField(
        choices=BASES,
        default=CAPACITY_SHARE,
        help_text="`demand`: the first one's requests, solved anew; `capacity-share`: each at its scenario's share of "
        "its own capacity; `grid-power`: each scaled in proportion to the least peak at the meter.",
    )
    by = serializers.ChoiceField(choices=[figure.name for figure in FIGURES if figure.better], default=RANKED_BY)


class DifferenceSerializer(serializers.Serializer):
    """One layout of a ranking less another, with its 80 % band and how likely the first is the better."""

    value = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    probability = serializers.FloatField()


class RankedSerializer(serializers.Serializer):
    """One layout in its place, with what keeps it from being built and which latency targets it misses."""

    layout = serializers.CharField()
    figures = serializers.DictField(child=serializers.FloatField(allow_null=True))
    bands = serializers.DictField(child=serializers.ListField(child=serializers.FloatField()))
    blocked = serializers.ListField(child=serializers.CharField())
    misses_targets = serializers.ListField(child=serializers.CharField())
    to_first = DifferenceSerializer(allow_null=True, help_text="Less the first of the ranking, in the ranking figure.")


class VerdictSerializer(serializers.Serializer):
    """Which layout to build, how sure that is, and why."""

    sentence = serializers.CharField()
    basis = serializers.CharField()
    by = serializers.CharField(help_text="The figure that ranks.")
    ranking = RankedSerializer(many=True)
    winner = serializers.CharField(allow_null=True)
    difference = serializers.DictField(child=DifferenceSerializer())
    ties = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    flips = serializers.ListField(child=serializers.DictField())
    assumptions = serializers.ListField(child=serializers.CharField())
    changed_since = serializers.ListField(
        child=serializers.CharField(),
        help_text="Layouts of the ranking that, or whose scenario or site, are not as their run solved them.",
    )


class PairSerializer(serializers.Serializer):
    """Two runs of a comparison, by their places in `runs`."""

    start = serializers.IntegerField(default=0, min_value=0, max_value=Comparison.MAX_RUNS - 1)
    end = serializers.IntegerField(default=1, min_value=0, max_value=Comparison.MAX_RUNS - 1)


class DifferenceRowSerializer(serializers.Serializer):
    state = serializers.CharField()
    kind = serializers.CharField()
    hall = serializers.CharField()
    names = serializers.ListField(child=serializers.CharField())
    said = serializers.ListField(child=serializers.CharField(), help_text="What is different, as words.")


class PlanDifferenceSerializer(serializers.Serializer):
    """What differs between the layouts of two runs, alike differences together."""

    counts = serializers.DictField(child=serializers.IntegerField(), help_text="What stands on the floor, by state.")
    rows = DifferenceRowSerializer(many=True)


class ComparisonDetailSerializer(ComparisonSerializer):
    """A comparison with what came out: lists have one entry per run, in the order of `runs`."""

    compared = serializers.SerializerMethodField()
    changed_since = serializers.SerializerMethodField(
        help_text="Of each run: whether its layout, scenario or site differ from what it solved."
    )

    class Meta(ComparisonSerializer.Meta):
        fields = [*ComparisonSerializer.Meta.fields, "changed_since", "compared"]

    def get_changed_since(self, comparison: Comparison) -> list[bool]:
        return [is_changed(run) for run in self.context["runs"]]

    def get_compared(self, comparison: Comparison) -> ComparedSerializer:
        compared: Compared = self.context["compared"]
        return ComparedSerializer(compared).data
