"""One simulation of one layout under one scenario."""

from django.db import models
from django.db.models import Q
from django.urls import reverse

from facility.models import Layout
from facility.models.audited import Audited
from twin.core.provenance import Solver, solver_of
from twin.models.job import Job, ended_has_a_time
from twin.models.scenario import Scenario


class Run(Audited, Job):
    """A year that is solved, and what came of it."""

    AUDIT_ONLY = ("layout", "scenario", "status", "cancel_requested")
    AUDIT_PEOPLE = ("status",)
    AUDIT_DELETED = False

    HEAVY = ("inputs", "series", "racks", "details", "sensitivity")
    TASK = "twin.tasks.simulate_run"

    layout = models.ForeignKey(Layout, on_delete=models.CASCADE, related_name="runs")
    scenario = models.ForeignKey(Scenario, on_delete=models.CASCADE, related_name="runs")
    inputs = models.BinaryField(null=True, help_text="Input snapshot: zlib of canonical JSON.")
    inputs_sha256 = models.CharField(max_length=64, blank=True)
    solver_version = models.CharField(
        max_length=40, blank=True, help_text="Version of the model; raised when its answers change."
    )
    solver_digest = models.CharField(
        max_length=64, blank=True, help_text="Digest of the solvers' code and coefficients."
    )
    figures = models.JSONField(null=True, blank=True, help_text="Figures of merit by name, SI.")
    bands = models.JSONField(null=True, blank=True, help_text="80 % band [low, high] by figure.")
    details = models.JSONField(null=True, blank=True, help_text="Workloads, limits, balances, costs, energy flow.")
    sensitivity = models.JSONField(
        null=True, blank=True, help_text="Tornado over every assumed or estimated input, once requested."
    )
    series = models.BinaryField(null=True, help_text="Hourly arrays: NumPy .npz, float32.")
    racks = models.BinaryField(null=True, help_text="Per-rack arrays: NumPy .npz.")

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            ended_has_a_time("run_finished_at_iff_ended"),
            models.CheckConstraint(name="run_done_has_figures", condition=~Q(status="done") | Q(figures__isnull=False)),
        ]

    def get_absolute_url(self) -> str:
        """Return the page of the run."""
        return reverse("run-detail", args=[self.id])

    @property
    def solver(self) -> Solver:
        """What solved it; unknown of runs made before solvers were named."""
        return solver_of(self.solver_version, self.solver_digest)
