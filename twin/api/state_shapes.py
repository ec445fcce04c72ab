"""What is asked of a layout as it is described now and what is answered, as the API's document shows it.

Answers are built as plain lists in `twin.api.states`; a test holds them to these shapes.
"""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers

from twin.api.findings import LayoutFindingSerializer
from twin.core.failures.kinds import FAILURE_KINDS
from twin.core.results.object_quantities import MAX_HOURS, QUANTITIES, STATES

HOUR = "`design` (the busiest demand in weather exceeded 1 % of the year) or an hour of the weather year from 0"
SCENARIO = OpenApiParameter(
    "scenario",
    OpenApiTypes.STR,
    description="Short name of one of the site's scenarios. Default: that of the layout's last finished run, else the "
    "site's default.",
)
HOURS = OpenApiParameter(
    "hours",
    OpenApiTypes.STR,
    description=f"Up to {MAX_HOURS}, separated by commas; each {HOUR}. Default: design.",
)
ONE_HOUR = OpenApiParameter("hour", OpenApiTypes.STR, description=f"{HOUR.capitalize()}. Default: design.")
OUT = OpenApiParameter(
    "out",
    OpenApiTypes.STR,
    description="What is out of service: `kind:id` or `kind:id:units`, separated by commas; ids are of rows. Kinds: "
    f"{', '.join(f'{kind.address} (of {kind.table})' for kind in FAILURE_KINDS)}. Default: nothing.",
)
ONLY = OpenApiParameter(
    "quantities", OpenApiTypes.STR, description="Names of the quantities to send, separated by commas. Default: all."
)


@extend_schema_field({"oneOf": [{"type": "integer", "minimum": 0}, {"type": "string", "enum": ["design"]}]})
class HourIndexField(serializers.Field):
    """An hour of the weather year, or the word design."""


class StageTimesSerializer(serializers.Serializer):
    """Milliseconds that the server took, by stage; those that do not apply are missing."""

    read = serializers.FloatField(required=False)
    findings = serializers.FloatField(required=False)
    solve = serializers.FloatField()
    write = serializers.FloatField(required=False)
    all = serializers.FloatField()


class AskedSerializer(serializers.Serializer):
    """What was solved."""

    layout_version = serializers.IntegerField()
    scenario = serializers.CharField(help_text="Its short name.")
    converged = serializers.BooleanField()
    ms = StageTimesSerializer()


class SolvedHourSerializer(serializers.Serializer):
    index = HourIndexField()
    label = serializers.CharField(help_text="Date and hour, local standard time.")
    design = serializers.CharField(allow_blank=True, help_text="Of the design hour: which one the layout chooses.")
    dry_bulb_degc = serializers.FloatField()
    wet_bulb_degc = serializers.FloatField()
    load_frac = serializers.FloatField(help_text="Of what the accelerators can serve within the targets.")


class ObjectQuantitySerializer(serializers.Serializer):
    """What a column holds. Values are in the unit, `%` as a fraction of 1."""

    name = serializers.CharField()
    label = serializers.CharField()
    unit = serializers.CharField()
    limit = serializers.CharField(allow_null=True, help_text="Column with each object's limit.")
    better = serializers.CharField(help_text="`lower`, `higher` or empty.")


def numbers(**options) -> serializers.ListField:
    """Return a list of numbers, null where there is none."""
    return serializers.ListField(child=serializers.FloatField(allow_null=True), **options)


def by_hour(child: serializers.Field, **options) -> serializers.ListField:
    """Return a table with a row for each solved hour and a column for each object."""
    return serializers.ListField(child=serializers.ListField(child=child), **options)


class ObjectColumnsSerializer(serializers.Serializer):
    """Objects of one kind as columns. Quantities and states have a row for each hour, the rest one entry per object."""

    id = serializers.ListField(child=serializers.IntegerField())
    name = serializers.ListField(child=serializers.CharField())
    kind = ""

    def get_fields(self) -> dict[str, serializers.Field]:
        fields = super().get_fields()
        fields["state"] = by_hour(serializers.CharField(), help_text="One of " + ", ".join(STATES.tolist()) + ".")
        for quantity in QUANTITIES[self.kind]:
            unit = f" [{quantity.unit}]" if quantity.unit else ""
            fields[quantity.name] = by_hour(
                serializers.FloatField(allow_null=True), required=False, help_text=quantity.label + unit
            )
            if quantity.limit:
                fields[quantity.limit] = numbers(required=False, help_text=f"Limit of {quantity.name}{unit}")
        return fields


def whole(**options) -> serializers.ListField:
    """Return a list of whole numbers."""
    return serializers.ListField(child=serializers.IntegerField(), **options)


def units_out() -> serializers.ListField:
    """Return how many units are out of service, by hour."""
    return by_hour(serializers.IntegerField(), help_text="Units out of service.")


class RackStatesSerializer(ObjectColumnsSerializer):
    kind = "racks"
    workload = serializers.ListField(child=serializers.CharField(allow_null=True), help_text="What it serves.")


class CduStatesSerializer(ObjectColumnsSerializer):
    kind = "cdus"
    group = serializers.ListField(child=serializers.CharField())
    group_units = whole(help_text="CDUs in its group.")


class FeedStatesSerializer(ObjectColumnsSerializer):
    kind = "feeds"
    parent = serializers.ListField(child=serializers.IntegerField(allow_null=True), help_text="Feed that feeds it.")
    units = whole()
    units_out = units_out()

    def get_fields(self) -> dict[str, serializers.Field]:
        return super().get_fields() | {"kind": serializers.ListField(child=serializers.CharField())}


class HallStatesSerializer(ObjectColumnsSerializer):
    kind = "halls"
    units = whole(help_text="Air units.")
    units_out = units_out()


class PlantStatesSerializer(ObjectColumnsSerializer):
    kind = "plants"
    coolers, towers, chillers, pumps = whole(), whole(), whole(), whole()
    coolers_out, towers_out, chillers_out, pumps_out = units_out(), units_out(), units_out(), units_out()


class QuantitiesSerializer(serializers.Serializer):
    """The columns that are sent, by kind of object."""

    racks = ObjectQuantitySerializer(many=True)
    cdus = ObjectQuantitySerializer(many=True)
    feeds = ObjectQuantitySerializer(many=True)
    halls = ObjectQuantitySerializer(many=True)
    plants = ObjectQuantitySerializer(many=True)


class TotalsSerializer(serializers.Serializer):
    """The site's figures, an entry for each hour."""

    meter_power_w = numbers()
    grid_power_w = numbers(help_text="Of the meter's: from the grid.")
    onsite_power_w = numbers(help_text="From sources that run all year, and from standby ones that have the load.")
    battery_power_w = numbers(help_text="From batteries that shave peaks, below zero while they charge.")
    it_power_w = numbers()
    cooling_power_w = numbers()
    lighting_power_w = numbers(help_text="Of the halls.")
    own_power_w = numbers(help_text="Of offices and services, engine heaters and the cooling of the feeds' rooms.")
    loss_w = serializers.DictField(child=numbers(), help_text="What is neither accelerators nor servers, by part.")
    output_tokens_per_s = numbers()
    offered_tokens_per_s = numbers()
    servable_tokens_per_s = numbers()
    tokens_per_joule = numbers()
    pue = numbers()
    ttft_p95_s = numbers()
    itl_p95_s = numbers()
    throttled_frac = numbers(help_text="Of the accelerators.")
    capped_frac = numbers(help_text="Of the accelerators.")
    dead_frac = numbers(help_text="Of the accelerators.")
    water_kg_s = numbers()


class StateSerializer(AskedSerializer):
    """Every object at every asked hour."""

    message = serializers.CharField(help_text="How the solve went; which hours have no steady state.")
    hours = SolvedHourSerializer(many=True)
    out = serializers.ListField(child=serializers.CharField(), help_text="As `kind:id:units`.")
    totals = TotalsSerializer()
    quantities = QuantitiesSerializer()
    racks = RackStatesSerializer()
    cdus = CduStatesSerializer()
    feeds = FeedStatesSerializer()
    halls = HallStatesSerializer()
    plants = PlantStatesSerializer()


class EventSerializer(serializers.Serializer):
    at_s = serializers.FloatField(help_text="After the loss.")
    object = serializers.CharField()
    what = serializers.CharField(help_text="throttles, trips, recovers or hot air.")
    text = serializers.CharField()


class AffectedSerializer(serializers.Serializer):
    object = serializers.CharField()
    kind = serializers.ChoiceField(list(QUANTITIES))
    id = serializers.IntegerField()
    what = serializers.CharField(help_text="Its state after the loss.")
    text = serializers.CharField()


class DrillSerializer(StateSerializer):
    """The state at one hour with units out of service, what it was before, what that costs and when what happens."""

    before = TotalsSerializer(help_text="The site's figures with everything in service.")
    lost_output_tokens_per_s = serializers.FloatField(help_text="No longer served at this hour.")
    lost_capacity_tokens_per_s = serializers.FloatField(help_text="Whether or not this hour needs it.")
    events = EventSerializer(many=True, help_text="Within an hour of the loss, earliest first.")
    affected = AffectedSerializer(many=True, help_text="Objects that are worse off than before, most severe first.")
    n_affected = serializers.IntegerField()


class MarginSerializer(serializers.Serializer):
    object = serializers.CharField()
    kind = serializers.CharField(help_text="Which limit.")
    value = serializers.FloatField(allow_null=True, help_text="What is left of it, `%` as a fraction of 1.")
    text = serializers.CharField()
    unit = serializers.CharField()


class MarginWithPageSerializer(MarginSerializer):
    href = serializers.CharField(help_text="Page of the object, or of the list that it stands in.")


class AnswerFigureSerializer(serializers.Serializer):
    name = serializers.CharField()
    label = serializers.CharField()
    unit = serializers.CharField()
    better = serializers.CharField()
    value = serializers.FloatField(allow_null=True)
    text = serializers.CharField()
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    band = serializers.CharField(help_text="Its 80 % band as pages show it.")


class AnswerFindingSerializer(LayoutFindingSerializer):
    object = serializers.CharField(source="object_name")
    remedy_href = serializers.CharField(
        allow_blank=True, default="", help_text="Page on which the remedy can be tried; empty where none is computed."
    )


class SeverityCountsSerializer(serializers.Serializer):
    blocking = serializers.IntegerField()
    risk = serializers.IntegerField()
    hint = serializers.IntegerField()


class AnswerSerializer(AskedSerializer):
    """Headline figures estimated at once, tightest margins, findings of the rules and of the last run."""

    message = serializers.CharField()
    approximation = serializers.CharField(help_text="What is estimated, and how far from a run that is.")
    figures = AnswerFigureSerializer(many=True)
    margins = MarginWithPageSerializer(many=True, help_text="The tightest of each kind.")
    n_margins = serializers.IntegerField(help_text="Of all kinds.")
    findings = AnswerFindingSerializer(many=True, help_text="Most severe first.")
    n_findings = serializers.IntegerField()
    n_by_severity = SeverityCountsSerializer()
    nothing_found = serializers.CharField(allow_blank=True, help_text="What was looked at, where nothing was found.")


class SingleFailureSerializer(serializers.Serializer):
    """One unit of one component out of service at the design hour."""

    out = serializers.CharField(help_text="As `drill` takes it.")
    object = serializers.CharField()
    kind = serializers.CharField()
    capacity_frac = serializers.FloatField(help_text="Token capacity left.")
    lost_tokens_per_s = serializers.FloatField(help_text="Of token capacity.")
    served_lost_tokens_per_s = serializers.FloatField(help_text="Of what this hour's demand makes.")
    expected_lost_tokens_per_year = serializers.FloatField()
    failures_per_year = serializers.FloatField(help_text="Of all its units.")
    repair_h = serializers.FloatField()
    text = serializers.CharField()


class SensitivityRowSerializer(serializers.Serializer):
    """One input at both ends of its range, and one figure there; an end is a name where the input is a choice."""

    input = serializers.CharField()
    low = serializers.JSONField()
    high = serializers.JSONField()
    unit = serializers.CharField()
    source = serializers.CharField()
    confidence = serializers.CharField()
    figure = serializers.CharField()
    figure_low = serializers.FloatField(allow_null=True)
    figure_high = serializers.FloatField(allow_null=True)
    value = serializers.JSONField(allow_null=True, help_text="As the input stands.")


class SensitivitySerializer(serializers.Serializer):
    """Inputs by how far they move a figure; `rows` are null until a worker has computed them."""

    run = serializers.UUIDField()
    scenario = serializers.CharField()
    status = serializers.ChoiceField(["not asked", "pending", "done", "failed"])
    message = serializers.CharField(allow_blank=True)
    rows = SensitivityRowSerializer(many=True, allow_null=True)


class RankingsSerializer(AskedSerializer):
    """Every single failure, worst first, and what is tightest while one lasts."""

    message = serializers.CharField(help_text="The ranking in a sentence.")
    n_costly = serializers.IntegerField(help_text="Failures that cost token capacity.")
    failures = SingleFailureSerializer(many=True)
    margins = MarginSerializer(many=True, help_text="The tightest of each kind.")


class RepairSerializer(serializers.Serializer):
    """A change of the description that was tried: what it recovers of what a failure costs, and its price."""

    text = serializers.CharField()
    failure = serializers.CharField(help_text="As `drill` takes it.")
    change = serializers.DictField(help_text="As the drawing board's edits write it.")
    recovers_tokens_per_s = serializers.FloatField()
    capital_usd = serializers.FloatField(allow_null=True)
    capital_source = serializers.CharField()
    tokens_per_s_per_usd = serializers.FloatField(allow_null=True)


class RepairsSerializer(AskedSerializer):
    """Changes that help against the worst single failures, most tokens per dollar first; those without price last."""

    repairs = RepairSerializer(many=True)


class DiagramHourSerializer(serializers.Serializer):
    index = HourIndexField()
    label = serializers.CharField()
    text = serializers.CharField(help_text="Weather and load in words.")


class DiagramFigureSerializer(serializers.Serializer):
    name = serializers.CharField()
    label = serializers.CharField()
    text = serializers.CharField()


class DiagramNodeSerializer(serializers.Serializer):
    """The texts of one symbol of a diagram at one hour."""

    state = serializers.CharField(help_text="ok, throttled, over, partly or dead.")
    texts = serializers.ListField(child=serializers.CharField(), help_text="Its lines, top to bottom.")
    load_frac = serializers.FloatField(help_text="0 to 1, of its limit.")
    out = serializers.ListField(child=serializers.BooleanField(), help_text="Which of its units are out of service.")


class DiagramSerializer(AskedSerializer):
    """The texts of a diagram at each asked hour: lists have an entry for each."""

    message = serializers.CharField()
    hours = DiagramHourSerializer(many=True)
    figures = serializers.ListField(child=DiagramFigureSerializer(many=True))
    nodes = serializers.ListField(
        child=serializers.DictField(child=DiagramNodeSerializer()), help_text="By the symbol's key."
    )
    rows = serializers.ListField(
        child=serializers.DictField(child=serializers.ListField(child=serializers.CharField())),
        help_text="State and quantities of each object as text, by `table-id`.",
    )
