"""Work that a worker does for a user. Its row is the truth; the broker's message only wakes a worker."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone


class Job(models.Model):
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
    HEAVY: ClassVar[tuple[str, ...]] = ()  # columns that lists leave in the database
    TASK: ClassVar[str]  # by name: tasks call services, and services wake tasks

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    status = models.CharField(max_length=12, choices=Status, default=Status.QUEUED, db_index=True)
    stage = models.CharField(max_length=40, blank=True, help_text="Current step.")
    progress_frac = models.FloatField(default=0)
    message = models.TextField(blank=True, help_text="Why it failed or was cancelled.")
    cancel_requested = models.BooleanField(default=False)
    attempt = models.PositiveIntegerField(default=0)
    max_attempts = models.PositiveIntegerField(default=3)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    rung_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When the broker last accepted a message for it; empty: the broker could not be reached.",
    )
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self._meta.verbose_name.capitalize()} {str(self.id)[:8]}"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in self.ENDED


def ended_has_a_time(name: str) -> models.CheckConstraint:
    """Return the constraint that jobs that have ended, and no others, have a time of their end."""
    return models.CheckConstraint(
        name=name,
        condition=Q(status__in=["done", "failed", "cancelled"], finished_at__isnull=False)
        | Q(status__in=["queued", "running"], finished_at__isnull=True),
    )
