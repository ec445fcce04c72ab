"""What is served to whom, in which year, under which limits."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from facility.models import Product, Site, Weather


class Scenario(models.Model):
    """A question put to every layout of a site."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="scenarios")
    slug = models.SlugField(max_length=80)
    name = models.CharField(max_length=160)
    notes = models.TextField(blank=True)
    weather = models.ForeignKey(
        Weather, null=True, blank=True, on_delete=models.RESTRICT, related_name="+",
        help_text="Empty: the site's own year.",
    )  # fmt: skip
    engine = models.CharField(
        max_length=20, default="trtllm", choices=[("trtllm", "TensorRT-LLM"), ("vllm", "vLLM"), ("sglang", "SGLang")],
        help_text="Serving software, whose measured efficiency the prediction uses.",
    )  # fmt: skip
    weight_precision = models.CharField(
        max_length=8, default="auto",
        choices=[("auto", "lowest the accelerator runs"), ("bf16", "BF16"), ("fp8", "FP8"), ("fp4", "FP4")],
    )  # fmt: skip
    accelerator_power_limit_w = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="Cap per accelerator [W]; empty: none."
    )
    cache_tier_bytes = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(0)],
        help_text="Slower memory that keeps what paused sessions had cached, per accelerator [B]; empty: none.",
    )  # fmt: skip
    electricity_usd_per_kwh = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(0)], help_text="Empty: the region's price."
    )

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["site", "slug"], name="scenario_site_slug_unique")]

    def __str__(self) -> str:
        return self.name


class ScenarioWorkload(models.Model):
    """One use case in a scenario: its model, its share of the accelerators and its demand."""

    scenario = models.ForeignKey(Scenario, on_delete=models.CASCADE, related_name="workloads")
    workload = models.ForeignKey(
        Product, on_delete=models.PROTECT, related_name="+", limit_choices_to={"kind": "workloads"}
    )
    model = models.ForeignKey(
        Product, null=True, blank=True, on_delete=models.PROTECT, related_name="+", limit_choices_to={"kind": "models"},
        help_text="Empty: the first model that the use case recommends and that fits.",
    )  # fmt: skip
    accelerator_share_frac = models.FloatField(
        default=1, validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="Share of the layout's accelerators that serve it.",
    )  # fmt: skip
    requests_per_s = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(0)],
        help_text="Mean demand over the year [1/s]; empty: follows from the busiest hour over capacity.",
    )  # fmt: skip
    peak_load_frac = models.FloatField(
        default=0.9, validators=[MinValueValidator(0.01), MaxValueValidator(2)],
        help_text="Demand in the busiest hour, relative to what the layout can serve within its latency targets.",
    )  # fmt: skip

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["scenario", "workload"], name="scenario_workload_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.workload} in {self.scenario}"
