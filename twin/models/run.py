"""One simulation of one layout under one scenario. The row is the truth; the broker's message only wakes a worker."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from facility.models import Layout
from twin.core.provenance import Solver, solver_of
from twin.models.scenario import Scenario


class Run(models.Model):
    """States and who may follow whom stand in `NEXT`."""

    class Status(models.TextChoices):
        QUEUED = "queued", "queued"
        RUNNING = "running", "running"
        DONE = "done", "done"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "cancelled"

    ENDED = (Status.DONE, Status.FAILED, Status.CANCELLED)
    NEXT = {
        Status.QUEUED: {Status.RUNNING, Status.CANCELLED, Status.FAILED},
        Status.RUNNING: {Status.DONE, Status.FAILED, Status.CANCELLED, Status.QUEUED},
        Status.DONE: set(),
        Status.FAILED: {Status.QUEUED},
        Status.CANCELLED: {Status.QUEUED},
    }
    HEAVY = ("inputs", "series", "racks", "details", "sensitivity")  # columns that lists leave in the database

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    layout = models.ForeignKey(Layout, on_delete=models.CASCADE, related_name="runs")
    scenario = models.ForeignKey(Scenario, on_delete=models.CASCADE, related_name="runs")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    status = models.CharField(max_length=12, choices=Status, default=Status.QUEUED, db_index=True)
    stage = models.CharField(max_length=40, blank=True, help_text="What it does now.")
    progress_frac = models.FloatField(default=0)
    message = models.TextField(blank=True, help_text="Why it failed or was cancelled.")
    cancel_requested = models.BooleanField(default=False)
    attempt = models.PositiveIntegerField(default=0)
    max_attempts = models.PositiveIntegerField(default=3)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    rung_at = models.DateTimeField(
        null=True, blank=True, help_text="When the broker last took a message for it; empty: it could not be reached."
    )
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    inputs = models.BinaryField(null=True, help_text="Input snapshot: zlib of canonical JSON.")
    inputs_sha256 = models.CharField(max_length=64, blank=True)
    solver_version = models.CharField(max_length=40, blank=True, help_text="Of the model; raised with its answers.")
    solver_digest = models.CharField(max_length=64, blank=True, help_text="Of the solvers' code and coefficients.")
    figures = models.JSONField(null=True, blank=True, help_text="Figures of merit by name, SI.")
    bands = models.JSONField(null=True, blank=True, help_text="80 % band [low, high] by figure.")
    details = models.JSONField(null=True, blank=True, help_text="Workloads, limits, balances, costs, energy flow.")
    sensitivity = models.JSONField(
        null=True, blank=True, help_text="Tornado over every assumed or estimated input, once it was asked for."
    )
    series = models.BinaryField(null=True, help_text="Hourly arrays: NumPy .npz, float32.")
    racks = models.BinaryField(null=True, help_text="Per-rack arrays: NumPy .npz.")

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                name="run_finished_at_iff_ended",
                condition=Q(status__in=["done", "failed", "cancelled"], finished_at__isnull=False)
                | Q(status__in=["queued", "running"], finished_at__isnull=True),
            ),
            models.CheckConstraint(name="run_done_has_figures", condition=~Q(status="done") | Q(figures__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"Run {str(self.id)[:8]}"

    @property
    def solver(self) -> Solver:
        """What solved it; unknown of runs made before solvers were named."""
        return solver_of(self.solver_version, self.solver_digest)

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in self.ENDED
