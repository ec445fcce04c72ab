"""Many variants of one layout under one scenario: what is changed over which values, and one job for each."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from facility.models import Layout
from facility.models.audited import Audited
from twin.models.job import Job, ended_has_a_time
from twin.models.scenario import Scenario


class Sweep(Audited):
    """The question. What it starts from is kept, so that every point is solved of the same description."""

    AUDIT_ONLY = ("layout", "scenario", "figure", "n_points", "axes")
    AUDIT_DELETED = False

    HEAVY = ("inputs", "products")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    layout = models.ForeignKey(Layout, on_delete=models.CASCADE, related_name="sweeps")
    scenario = models.ForeignKey(Scenario, on_delete=models.CASCADE, related_name="sweeps")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    axes = models.JSONField(help_text="What is changed: object, field and values of each.")
    figure = models.CharField(max_length=60, help_text="Figure of merit by which the points are ranked.")
    inputs = models.BinaryField(help_text="Snapshot that the points change, as a run keeps it.")
    inputs_sha256 = models.CharField(max_length=64)
    products = models.JSONField(default=dict, help_text="Catalogue entries that points take, by their id.")
    n_points = models.PositiveIntegerField()
    key = models.CharField(max_length=120, blank=True, help_text="Idempotency-Key of the program that asked.")

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["created_by", "key"], condition=~Q(key=""), name="sweep_key_user_unique")
        ]

    def __str__(self) -> str:
        return f"Sweep {str(self.id)[:8]}"

    def get_absolute_url(self) -> str:
        """Return the page of the sweep."""
        return reverse("sweep-detail", args=[self.id])


class SweepPoint(Job):
    """One variant, solved by whichever worker takes it."""

    HEAVY = ("figures", "bands")
    TASK = "twin.tasks.sweep_point_solve"

    sweep = models.ForeignKey(Sweep, on_delete=models.CASCADE, related_name="points")
    layout = models.ForeignKey(Layout, on_delete=models.CASCADE, related_name="+")
    index = models.PositiveIntegerField(help_text="Place in the sweep: its last axis runs first.")
    values = models.JSONField(help_text="Of each axis, in their order.")
    inputs_sha256 = models.CharField(max_length=64, blank=True)
    solver_version = models.CharField(max_length=40, blank=True)
    solver_digest = models.CharField(max_length=64, blank=True)
    figures = models.JSONField(null=True, blank=True, help_text="Figures of merit by name, SI.")
    bands = models.JSONField(null=True, blank=True, help_text="80 % band [low, high] by figure.")
    blocked = models.JSONField(default=list, blank=True, help_text="Why it cannot be built as described.")

    class Meta:
        ordering = ["sweep", "index"]
        constraints = [
            ended_has_a_time("sweep_point_finished_at_iff_ended"),
            models.CheckConstraint(
                name="sweep_point_done_has_figures", condition=~Q(status="done") | Q(figures__isnull=False)
            ),
            models.UniqueConstraint(fields=["sweep", "index"], name="sweep_point_index_unique"),
        ]

    def get_absolute_url(self) -> str:
        """Return the page of its sweep."""
        return reverse("sweep-detail", args=[self.sweep_id])
