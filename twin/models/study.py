"""What a site's readings say of one of its layouts, and what its set points could be; made by a worker."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse

from facility.models import Layout
from facility.models.audited import Audited
from twin.models.job import Job, ended_has_a_time
from twin.models.scenario import Scenario


class Study(Audited, Job):
    """One question about the readings of a span of time, and its answer."""

    AUDIT_ONLY = ("kind", "layout", "scenario", "status", "cancel_requested", "accepted_as")
    AUDIT_PEOPLE = ("status",)
    AUDIT_DELETED = False

    class Kind(models.TextChoices):
        COMPARISON = "comparison", "comparison"
        DIAGNOSIS = "diagnosis", "diagnosis"
        CALIBRATION = "calibration", "calibration"
        ADVICE = "advice", "advice"
        GAIN = "gain", "measured gain"

    OF_READINGS = (Kind.COMPARISON, Kind.DIAGNOSIS, Kind.CALIBRATION)
    HEAVY = ("result",)
    TASK = "twin.tasks.study_make"

    kind = models.CharField(max_length=12, choices=Kind)
    layout = models.ForeignKey(Layout, on_delete=models.CASCADE, related_name="studies")
    scenario = models.ForeignKey(Scenario, on_delete=models.CASCADE, related_name="studies")
    start_at = models.DateTimeField(
        null=True, blank=True, help_text="Start of the readings it uses; an advice uses none."
    )
    end_at = models.DateTimeField(null=True, blank=True, help_text="End of the readings it uses, exclusive.")
    offset_s = models.FloatField(
        default=0.0, help_text="Local time less UTC [s]: the clock of whatever is not measured."
    )
    parameters = models.JSONField(
        default=list, blank=True, help_text="Names of the parameters that a calibration fits."
    )
    figure = models.CharField(max_length=60, blank=True, help_text="Figure of merit that an advice raises.")
    key = models.CharField(max_length=120, blank=True, help_text="Idempotency-Key of the program that asked.")
    inputs_sha256 = models.CharField(
        max_length=64, blank=True, help_text="SHA-256 of the layout and scenario as they were."
    )
    result = models.JSONField(null=True, blank=True, help_text="As the command of the same name prints it.")
    taken = models.ForeignKey(
        "twin.TakenAdvice",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="gains",
        help_text="Set points that were taken on, whose gain is measured.",
    )
    accepted_as = models.ForeignKey(
        Layout,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="As-operated layout that was made when a calibration was accepted.",
    )

    class Meta:
        ordering = ["-created_at"]
        verbose_name_plural = "studies"
        constraints = [
            ended_has_a_time("study_finished_at_iff_ended"),
            models.CheckConstraint(name="study_done_has_result", condition=~Q(status="done") | Q(result__isnull=False)),
            models.CheckConstraint(name="study_ends_after_start", condition=Q(end_at__gt=models.F("start_at"))),
            models.CheckConstraint(
                name="study_spans_readings",
                condition=Q(kind="advice") | Q(start_at__isnull=False, end_at__isnull=False),
            ),
            models.CheckConstraint(
                name="study_gain_of_taken",
                condition=Q(kind="gain", taken__isnull=False) | (~Q(kind="gain") & Q(taken__isnull=True)),
            ),
            models.UniqueConstraint(fields=["created_by", "key"], condition=~Q(key=""), name="study_key_user_unique"),
        ]

    def get_absolute_url(self) -> str:
        """Return the page of the study."""
        return reverse("study-detail", args=[self.id])

    def __str__(self) -> str:
        return f"{self.get_kind_display().capitalize()} {str(self.id)[:8]}"

    @property
    def span(self) -> dict[str, float]:
        """The span of its readings [s since 1970], and the clock of what is not measured, from UTC [s]."""
        assert self.start_at is not None, f"{self} reads no readings"
        assert self.end_at is not None
        return {
            "start_s": self.start_at.timestamp(),
            "end_s": self.end_at.timestamp(),
            "offset_s": self.offset_s,
        }


class TakenAdvice(Audited):
    """Set points of an advice that whoever runs the plant has taken on; from then on their gain can be measured."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="taken_rows")
    layout = models.ForeignKey(
        Layout,
        on_delete=models.CASCADE,
        related_name="taken_advice",
        help_text="Layout as it stood before the change.",
    )
    orders = models.JSONField(help_text="Which of the advice's set points, by their order from 1.")
    taken_at = models.DateTimeField(help_text="When the plant ran at them first.")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["taken_at", "id"]
        verbose_name = "advice taken on"
        verbose_name_plural = "advice taken on"

    def __str__(self) -> str:
        return f"Set points {', '.join(map(str, self.orders))} of advice {str(self.study_id)[:8]}"

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The advice's rows that were taken on."""
        advised = (self.study.result or {})["advice"]
        return [advised[order - 1] for order in self.orders]


class StudyPoint(models.Model):
    """What a comparison laid side by side at one point. Packed by `twin.telemetry.study_points`."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="points")
    object = models.CharField(max_length=200)
    quantity = models.CharField(max_length=60)
    columns = models.BinaryField(help_text="Times, measured and predicted means of the intervals, zlib.")

    class Meta:
        ordering = ["object", "quantity"]
        constraints = [
            models.UniqueConstraint(fields=["study", "object", "quantity"], name="study_point_quantity_unique")
        ]

    def __str__(self) -> str:
        return f"{self.object}|{self.quantity}"
