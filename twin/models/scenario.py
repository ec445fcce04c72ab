"""What is served to whom, in which year, under which limits."""

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from compute.model_shapes import model_shape_from_entry, with_checkpoint
from compute.steady.pins import pin_from_text
from compute.steps.rules import MOST_DRAFT_TOKENS
from facility.models import Product, Site, Weather
from facility.models.audited import Audited
from facility.models.bounds import MOST_ACCELERATOR_W
from twin.core.text.engine_names import ENGINE_NAMES

MOST_REQUESTS_PER_S = 1e9  # one from each person on Earth every eight seconds


def readable_configuration(text: str) -> None:
    """Refuse a pinned configuration that cannot be read."""
    try:
        pin_from_text(text)
    except ValueError as refusal:
        raise ValidationError(str(refusal)) from refusal


class Scenario(Audited):
    """A question put to every layout of a site."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="scenarios")
    slug = models.SlugField(max_length=80)
    name = models.CharField(max_length=160)
    notes = models.TextField(blank=True)
    is_default = models.BooleanField(
        default=False,
        help_text="Used where no scenario is named, on pages and in commands; without one, the first by name is.",
    )
    weather = models.ForeignKey(
        Weather,
        null=True,
        blank=True,
        on_delete=models.RESTRICT,
        related_name="+",
        help_text="Empty: the site's own year.",
    )
    engine = models.CharField(
        max_length=20,
        default="trtllm",
        choices=[*ENGINE_NAMES.items()],
        help_text="Serving software, whose measured efficiency the prediction uses.",
    )
    engine_version = models.CharField(
        max_length=40,
        blank=True,
        default="",
        validators=[
            RegexValidator(r"^[\w.+-]+$", "Letters, digits, points, plus and minus signs, as in 0.5.9 or 1.2.0rc6.")
        ],
        help_text="Release of the engine, as in 0.5.9; empty: any.",
    )
    weight_precision = models.CharField(
        max_length=8,
        default="auto",
        choices=[
            ("auto", "lowest the accelerator runs"),
            ("bf16", "BF16"),
            ("fp8", "FP8"),
            ("fp4", "FP4"),
            ("int4", "INT4 (AWQ, GPTQ)"),
        ],
    )
    kv_precision = models.CharField(
        max_length=8,
        default="auto",
        choices=[("auto", "as engines pair it with the weights"), ("bf16", "BF16"), ("fp8", "FP8")],
        help_text="Precision of the KV cache: FP8 holds twice as many tokens as BF16.",
    )
    serving_mode = models.CharField(
        max_length=16,
        default="any",
        choices=[
            ("any", "as the search finds"),
            ("aggregated", "aggregated only"),
            ("disaggregated", "prefill apart only"),
        ],
        help_text="Whether prefill and decode may run on separate accelerators (disaggregated serving).",
    )
    allow_pipelines = models.BooleanField(
        default=True, help_text="Whether an instance inside one scale-up domain may use pipeline parallelism."
    )
    max_ranks = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(4096)],
        help_text="Maximum accelerators per model instance; empty: as many as a scale-up domain has.",
    )
    allow_drafts = models.BooleanField(
        default=False, help_text="Whether a model's own multi-token prediction (MTP) may draft tokens."
    )
    draft_tokens = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_DRAFT_TOKENS)],
        help_text="Tokens drafted per step; empty: as many as serve best.",
    )
    draft_acceptance_frac = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="Chance that a drafted token is accepted; empty: predicted from measured runs.",
    )
    accelerator_power_limit_w = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_ACCELERATOR_W)],
        help_text="Power cap per accelerator [W]; empty: no cap.",
    )
    cache_tier_bytes = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(1e15)],
        help_text="Memory that keeps contexts of paused sessions, per accelerator [B]; empty: the layout's cache tier.",
    )
    admission = models.CharField(
        max_length=8,
        default="queue",
        choices=[("queue", "wait"), ("refuse", "are refused"), ("degrade", "slow all others")],
        help_text="What happens to requests beyond what the layout serves within its latency targets.",
    )
    electricity_usd_per_kwh = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
        help_text="Empty: the region's price.",
    )
    fuel_usd_per_kwh = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
        help_text="Of fuel for on-site generation, lower heating value; empty: the region's or the catalogue's price.",
    )

    class Meta:
        ordering = ["-is_default", "name", "id"]  # the first of a site is the one to ask where none is named
        constraints = [models.UniqueConstraint(fields=["site", "slug"], name="scenario_site_slug_unique")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse settings of drafts where none are allowed."""
        for name in ("draft_tokens", "draft_acceptance_frac"):
            if getattr(self, name) is not None and not self.allow_drafts:
                raise ValidationError({name: "Nothing may be drafted here: allow drafts, or leave it empty."})

    def save(self, *args, **kwargs) -> None:
        """Save it; a site has one default, and a new one takes the place of the one before."""
        if self.is_default:
            self.site.scenarios.exclude(pk=self.pk).filter(is_default=True).update(is_default=False)
        super().save(*args, **kwargs)


class ScenarioWorkload(Audited):
    """One use case in a scenario: its model, its share of the accelerators and its demand."""

    scenario = models.ForeignKey(Scenario, on_delete=models.CASCADE, related_name="workloads")
    workload = models.ForeignKey(
        Product, on_delete=models.PROTECT, related_name="+", limit_choices_to={"kind": "workloads"}
    )
    model = models.ForeignKey(
        Product,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        limit_choices_to={"kind": "models"},
        help_text="Empty: the model recommended for the use case with the most tokens per watt.",
    )
    checkpoint = models.CharField(
        max_length=80,
        blank=True,
        default="",
        validators=[RegexValidator(r"^[\w./+-]+$", "A name or repository, as in Llama-3.1-405B-Instruct-FP8.")],
        help_text="Published weights of the model that differ from their precision's usual; empty: the usual ones.",
    )
    configuration = models.CharField(
        max_length=160,
        blank=True,
        default="",
        validators=[readable_configuration],
        help_text="Pins how it is served, e.g. TP 8, or fp4, prefill 2 x TP 4 : decode 1 x DP 32 EP 32, batch 64; "
        "empty: searched.",
    )
    accelerator_share_frac = models.FloatField(
        default=1,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="Share of the layout's accelerators that serve it.",
    )
    requests_per_s = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(MOST_REQUESTS_PER_S)],
        help_text="Mean demand over the year [1/s]; empty: follows from the busiest hour over capacity.",
    )
    peak_load_frac = models.FloatField(
        default=0.9,
        validators=[MinValueValidator(0.01), MaxValueValidator(5)],
        help_text="Demand in the busiest hour, relative to what the layout can serve within its latency targets.",
    )

    tool_core_s = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(1e6)],
        help_text="CPU time of a tool call on the layout's CPU servers [core s]; empty: the use case's.",
    )

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["scenario", "workload"], name="scenario_workload_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.workload} in {self.scenario}"

    def clean(self) -> None:
        """Refuse a checkpoint that is none of the model's, or another than the configuration names."""
        if not self.checkpoint:
            return
        if self.model is None:
            raise ValidationError({"checkpoint": "Say whose checkpoint it is: choose a model, or leave it empty."})
        try:
            with_checkpoint(model_shape_from_entry({"id": self.model.slug, **self.model.facts}), self.checkpoint, "")
            if self.configuration:
                pin_from_text(self.configuration).stored("", self.checkpoint)
        except ValueError as refusal:
            raise ValidationError({"checkpoint": str(refusal)}) from refusal

    @property
    def share_of_layout_frac(self) -> float:
        """The part of the layout's accelerators that its share comes to beside the scenario's others."""
        total = sum(other.accelerator_share_frac for other in self.scenario.workloads.all())
        return self.accelerator_share_frac / total if total > 0 else 0.0
