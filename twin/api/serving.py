"""The serving explorer for programs: best configuration, operating point and frontier; rows of cases."""

import math

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from compute.calibration.case_fields import INPUT_COLUMNS
from compute.steps.rules import MOST_DRAFT_TOKENS, SPECULATIVE
from facility.api.known_fields import KnownFields
from facility.api.schema import QuestionSchema
from facility.api.serializers import ProductField
from twin.api.launch import LaunchSerializer
from twin.api.solved import SolvedView
from twin.floor.products import accelerator_of

ENGINES = ("trtllm", "vllm", "sglang")
PRECISIONS = ("bf16", "fp8", "fp4", "int4")
KV_PRECISIONS = ("bf16", "fp8")
MODES = ("any", "aggregated", "disaggregated")  # of compute.steady.pins, for the same reason as below
MAX_ROWS = 1000
MOST_ACCELERATORS = (
    144  # what twin.core.serving.explore searches; importing it here would load SciPy into every web process
)


class NumberField(serializers.FloatField):
    """A finite number of `least` or more, or above `above`; a refusal names the value and what is allowed."""

    def __init__(self, *, least: float | None = None, above: float | None = None, most: float = 1e9, **options) -> None:
        self.least, self.above, self.most = least, above, most
        lowest = f"{least:g} or more" if least is not None else f"greater than {above:g}"
        self.allowed = f"{lowest} and below 1e{round(math.log10(most))}"
        super().__init__(**options)

    def to_internal_value(self, data: object) -> float:
        try:
            value = math.nan if isinstance(data, bool) else float(data)
        except (TypeError, ValueError):
            value = math.nan
        enough = value >= self.least if self.least is not None else value > self.above
        if not (math.isfinite(value) and enough and value < self.most):
            raise ValidationError(f"It is {str(data)[:40]}; must be a number, {self.allowed}.")
        return value


class ShareField(NumberField):
    """A number from 0 to 1; a refusal names the value and what is allowed."""

    def __init__(self, **options) -> None:
        super().__init__(least=0, most=math.nextafter(1.0, 2.0), **options)
        self.allowed = "0 to 1"


class WholeField(serializers.IntegerField):
    """A whole number from `least` to `most`; a refusal names the value and what is allowed."""

    def __init__(self, *, least: int, most: int, **options) -> None:
        self.least, self.most = least, most
        super().__init__(**options)

    def to_internal_value(self, data: object) -> int:
        try:
            value = None if isinstance(data, bool) else super().to_internal_value(data)
        except ValidationError:
            value = None
        if value is None or not self.least <= value <= self.most:
            raise ValidationError(f"It is {str(data)[:40]}; must be a whole number, {self.least} to {self.most}.")
        return value


class EntryField(ProductField):
    """A catalogue entry; a refusal says where those that there are can be read."""

    default_error_messages = {
        "does_not_exist": "{value} is no catalogue entry of kind {kinds}; /api/catalogue/?kind={kinds} lists them."
    }


class NameField(serializers.ChoiceField):
    """One of a few names; a refusal lists them."""

    def __init__(self, choices, **options) -> None:
        message = "It is {input}; must be one of " + ", ".join(choices) + "."
        super().__init__(choices, error_messages={"invalid_choice": message}, **options)


class ServingQuestionSerializer(KnownFields, serializers.Serializer):
    """What serves what to whom: a system or an accelerator; a use case, or lengths and targets of one's own."""

    system = EntryField("systems", required=False, help_text="Gives the accelerator and how many are linked.")
    accelerator = EntryField("accelerators", required=False, help_text="In place of a system.")
    model = EntryField("models")
    workload = EntryField("workloads", required=False, help_text="Use case; gives lengths, their spread and targets.")
    input_tokens = NumberField(least=1, required=False, help_text="Mean prompt; with `output_tokens` in place of it.")
    output_tokens = NumberField(least=1, required=False)
    target_ttft_s = NumberField(above=0, required=False, help_text="95 % of requests; default: the use case's [s].")
    target_itl_s = NumberField(above=0, required=False, help_text="95 % of requests; default: the use case's [s].")
    engine = NameField(ENGINES, required=False, help_text="Default: the best calibrated on the accelerator.")
    engine_version = serializers.RegexField(
        r"^[\w.+-]+$",
        max_length=40,
        required=False,
        help_text="Release of the engine, e.g. `0.5.9`. Default: any.",
    )
    precision = NameField(PRECISIONS, required=False, help_text="Of the weights. Default: the best of those possible.")
    kv_precision = NameField(
        KV_PRECISIONS, required=False, help_text="Of the cache. Default: what engines pair with the weights."
    )
    checkpoint = serializers.RegexField(
        r"^[\w./+-]+$",
        max_length=80,
        required=False,
        help_text="Published weights that differ from their precision's usual, e.g. `Llama-3.1-405B-Instruct-FP8`. "
        "Default: the usual ones.",
    )
    max_accelerators = WholeField(
        least=1, most=MOST_ACCELERATORS, required=False, help_text="Of one unit. Default: the scale-up domain."
    )
    power_cap_w = NumberField(
        above=0,
        required=False,
        help_text="Cap on each accelerator, which lowers its clock where it would draw more [W].",
    )
    cache_tier_bytes = NumberField(
        least=0,
        most=1e15,
        required=False,
        help_text="Slower memory per accelerator that keeps what paused sessions had cached. Default: none [B].",
    )
    drafts = serializers.BooleanField(required=False, help_text="Whether tokens may be drafted. Default: no.")
    speculative = NameField(
        SPECULATIVE[1:], required=False, help_text="What drafts them. Default: mtp, the model's own prediction module."
    )
    draft_tokens = WholeField(
        least=1, most=MOST_DRAFT_TOKENS, required=False, help_text="Per step. Default: as many as serve best."
    )
    draft_acceptance = ShareField(
        required=False, help_text="Chance that a drafted token is kept. Default: predicted from measured runs."
    )

    configuration = serializers.CharField(
        required=False,
        max_length=160,
        help_text="Pins it: ranks and workers of each pool, precision, drafts, batch, cache and checkpoint, e.g. "
        "`TP 8` or `fp4, prefill 2 x TP 4 : decode 1 x DP 32 EP 32, MTP 2, acceptance 0.7, batch 64, KV fp8`. Default: "
        "searched.",
    )
    mode = NameField(MODES, required=False, help_text="What the search may take. Default: any.")
    max_ranks = WholeField(least=1, most=4096, required=False, help_text="Of one instance. Default: no limit.")
    pipelines = serializers.BooleanField(
        required=False, help_text="Whether an instance inside one scale-up domain may have stages. Default: yes."
    )

    def validate(self, asked: dict) -> dict:
        """Refuse what is missing or stated twice."""
        if ("system" in asked) == ("accelerator" in asked):
            raise ValidationError({"accelerator": "Give either a system or an accelerator."})
        if "system" in asked:
            asked["accelerator"] = accelerator_of(asked["system"])
            if asked["accelerator"] is None:
                raise ValidationError({"system": f"{asked['system'].name} names no accelerator of the catalogue."})
        for name in ("input_tokens", "output_tokens"):
            if ("workload" in asked) == (name in asked):
                raise ValidationError({name: "Give either a workload, or both input_tokens and output_tokens."})
        for name in ("speculative", "draft_tokens", "draft_acceptance"):
            if name in asked and not asked.get("drafts"):
                raise ValidationError({name: "Nothing may be drafted: set drafts to true, or leave it out."})
        for name in ("target_ttft_s", "target_itl_s"):
            if "workload" not in asked and name not in asked:
                raise ValidationError({name: "It is missing; without a workload, must be greater than 0 s."})
        return asked


def banded(names: tuple[str, ...]) -> dict[str, serializers.Field]:
    """Return fields of quantities with the ends of their 80 % band; units end the names and stand in `units`."""
    return {f"{name}{end}": serializers.FloatField() for name in names for end in ("", "_low", "_high")}


SHARED = ("user_tokens_per_s", "accelerator_tokens_per_s", "accelerator_power_w", "joules_per_output_token")


class OperatingPointSerializer(serializers.Serializer):
    """The highest load at which 95 % of requests keep the targets; rates and watts per accelerator."""

    batch = serializers.FloatField(help_text="Requests in service per (decode) instance.")
    clock_frac = serializers.FloatField(help_text="Clock over full clock, lower where a cap asks for it.")

    def get_fields(self) -> dict[str, serializers.Field]:
        return super().get_fields() | banded((*SHARED, "ttft_p50_s", "ttft_p95_s", "itl_p50_s", "itl_p95_s"))


class FrontierPointSerializer(serializers.Serializer):
    """A steady closed loop that no other configuration or batch beats; rates and watts per accelerator."""

    configuration = serializers.CharField()
    batch = serializers.FloatField(help_text="Requests in service per instance.")

    def get_fields(self) -> dict[str, serializers.Field]:
        return super().get_fields() | banded((*SHARED, "ttft_s", "itl_s"))


class FrontierSerializer(serializers.Serializer):
    points = FrontierPointSerializer(many=True, help_text="Slowest user first.")
    at_target = serializers.IntegerField(allow_null=True, help_text="Index of the best point at the target ITL.")
    reason = serializers.CharField(help_text="Why there is no point.")


class SessionPointSerializer(serializers.Serializer):
    """The best configuration with some number of sessions under way, answered or paused."""

    sessions = serializers.FloatField(help_text="Under way per accelerator.")
    cached_frac = serializers.FloatField(help_text="Of a prompt, found in the prefix cache.")
    ttft_p50_s = serializers.FloatField()
    ttft_p95_s = serializers.FloatField()
    itl_p50_s = serializers.FloatField()
    request_s = serializers.FloatField(help_text="One request, to its last token.")
    session_s = serializers.FloatField(help_text="All requests of a session and the pauses between them.")
    accelerator_tokens_per_s = serializers.FloatField()


class SessionsSerializer(serializers.Serializer):
    """Sessions as a closed network: requests, and pauses in which memory may give their context up."""

    configuration = serializers.CharField()
    requests = serializers.FloatField(help_text="Of one session, one after another.")
    streams = serializers.FloatField(help_text="Side by side in a session: its main agent and sub-agents.")
    mean_pause_s = serializers.FloatField()
    cacheable_frac = serializers.FloatField(help_text="Of a prompt, found in an unlimited cache.")
    points = SessionPointSerializer(many=True, help_text="Fewest sessions first; the last still keeps the targets.")


class ConfigurationSerializer(serializers.Serializer):
    text = serializers.CharField()
    weight_precision = serializers.CharField()
    n_accelerators = serializers.IntegerField()
    is_disaggregated = serializers.BooleanField()
    prefill_instances = serializers.IntegerField()
    decode_instances = serializers.IntegerField()
    draft_tokens = serializers.IntegerField(help_text="Drafted per decoding step.")
    candidates = serializers.IntegerField(help_text="Configurations that were solved.")


class ServingAnswerSerializer(serializers.Serializer):
    """The answer, with what was asked as it was understood."""

    asked = serializers.DictField()
    feasible = serializers.BooleanField()
    reason = serializers.CharField(help_text="Why this configuration, or why none.")
    configuration = ConfigurationSerializer(allow_null=True)
    operating_point = OperatingPointSerializer(allow_null=True)
    frontier = FrontierSerializer()
    choice = serializers.CharField(help_text="How the configuration came about: searched, under what, or pinned.")
    note = serializers.CharField(help_text="What to know of it: no measured runs of its kind, or of the release.")
    best_configuration = serializers.CharField(
        allow_null=True, help_text="What a free search finds; null where this one was free."
    )
    best_gain_frac = serializers.FloatField(
        allow_null=True, help_text="Output per accelerator of the free search's beyond this one, over this one."
    )
    sessions = SessionsSerializer(allow_null=True, help_text="Null where requests stand alone.")
    launch = LaunchSerializer(many=True, help_text="Of the configuration, for every engine.")
    units = serializers.DictField(child=serializers.CharField())


class ServingView(SolvedView):
    """Explore serving: the best configuration under targets, and throughput per accelerator over speed per user."""

    schema = QuestionSchema()
    permission_classes = [IsAuthenticated]  # nothing is changed: a read-only token may ask by POST too

    @extend_schema(parameters=[ServingQuestionSerializer], responses=ServingAnswerSerializer)
    def get(self, request: Request) -> Response:
        """Answer a question in the address."""
        return self.respond(request)

    @extend_schema(request=ServingQuestionSerializer, responses=ServingAnswerSerializer)
    def post(self, request: Request) -> Response:
        """Answer a question in the body; changes nothing."""
        return self.respond(request)


class PredictionRequestSerializer(KnownFields, serializers.Serializer):
    rows = serializers.ListField(
        child=serializers.DictField(),
        min_length=1,
        max_length=MAX_ROWS,
        help_text=f"1 to {MAX_ROWS:,}, each with columns of `predict_serving`; other columns are not read. "
        + "; ".join(f"`{column}`: {meaning}" for column, meaning in INPUT_COLUMNS.items()),
    )


class PredictionRowSerializer(serializers.Serializer):
    """Numbers, or null with `feasible` false and the reason. TTFT is null where all requests queue at once."""

    case_id = serializers.CharField()
    feasible = serializers.BooleanField()
    reason = serializers.CharField(help_text="Why there is no answer, or how many requests are queued.")
    assumed = serializers.CharField(allow_null=True, help_text="What was taken where the row is blank.")

    def get_fields(self) -> dict[str, serializers.Field]:
        names = ("ttft_s", "itl_s", "output_tokens_per_s", "accelerator_power_w", "joules_per_output_token")
        over_time = ("accelerator_power_p50_w", "accelerator_power_p75_w", "accelerator_power_p90_w")
        every = (*banded(names), *over_time, "prefill_power_w", "decode_power_w")
        numbers = {name: serializers.FloatField(allow_null=True) for name in every}
        return super().get_fields() | numbers


class PredictionAnswerSerializer(serializers.Serializer):
    rows = PredictionRowSerializer(many=True)
    units = serializers.DictField(child=serializers.CharField())


class PredictionView(SolvedView):
    """Predictions for serving cases, each with 80 % bands or with the reason why there is none."""

    schema = QuestionSchema()
    permission_classes = [IsAuthenticated]  # nothing is changed: a read-only token may ask by POST too

    @extend_schema(request=PredictionRequestSerializer, responses=PredictionAnswerSerializer)
    def post(self, request: Request) -> Response:
        """Answer up to 1,000 rows in their order, solved in a solver process.

        A row that cannot be answered has `feasible` false and says why in `reason`: an unknown name, a value that is
        impossible, parallelism that no engine runs, a model that does not fit or a request longer than its context. It
        does not keep the others from an answer. More rows, none, or rows that are no mappings are refused as a whole.
        """
        return self.respond(request)
