"""Measured readings of a site: its points, and each point's days as packed columns."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from facility.models import Site
from facility.models.audited import Audited

MOST_DAYS_KEPT = 36_500  # a century


class TelemetryPoint(models.Model):
    """One measured quantity of one object of a site. Readings are stored in SI."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="telemetry_points")
    object = models.CharField(max_length=200, help_text="Kind and name: cdu/CDU-2, rack/HALL/NAME, site.")
    quantity = models.CharField(max_length=60, help_text="As on the wire: power_w, secondary_supply_degc.")
    name = models.CharField(max_length=200, help_text="Name at the source.")
    unit = models.CharField(max_length=20, blank=True, help_text="Unit at the source.")
    scale = models.FloatField(default=1.0, help_text="Factor on the value as the source gives it.")
    offset = models.FloatField(default=0.0, help_text="Added after the factor, before the unit is converted.")

    class Meta:
        ordering = ["object", "quantity"]
        constraints = [
            models.UniqueConstraint(fields=["site", "object", "quantity"], name="telemetry_point_quantity_unique")
        ]

    def __str__(self) -> str:
        return f"{self.object}|{self.quantity}"


class TelemetryHot(models.Model):
    """Readings of one batch as they came, waiting for compaction. Packed by `twin.telemetry.hot`."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="telemetry_hot")
    first_ms = models.BigIntegerField(help_text="Oldest time, since 1970 [ms].")
    last_ms = models.BigIntegerField(help_text="Newest time, since 1970 [ms].")
    n_readings = models.PositiveIntegerField()
    columns = models.BinaryField(help_text="Points, times, values and quality, zlib.")

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "telemetry hot readings"
        indexes = [models.Index(fields=["site", "first_ms"], name="telemetry_hot_site_first")]

    def __str__(self) -> str:
        return f"{self.site_id} {self.n_readings} readings"


class TelemetryDay(models.Model):
    """A point's readings of one UTC day, in order of time. Packed by `twin.core.telemetry.day_columns`."""

    point = models.ForeignKey(TelemetryPoint, on_delete=models.CASCADE, related_name="days")
    day = models.DateField()
    n_readings = models.PositiveIntegerField()
    last_ms = models.BigIntegerField(null=True, help_text="Newest time, since 1970 [ms]; empty: see its columns.")
    columns = models.BinaryField(help_text="Times, values and quality, zlib; empty where they are no longer kept.")
    rollups = models.BinaryField(null=True, help_text="By the quarter of an hour, zlib; empty: not rolled up yet.")
    minutes = models.BinaryField(null=True, help_text="By the minute, zlib; empty where the readings are as few.")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["point", "day"]
        constraints = [models.UniqueConstraint(fields=["point", "day"], name="telemetry_day_point_day_unique")]

    def __str__(self) -> str:
        return f"{self.point_id} {self.day}"


class TelemetryRetention(Audited):
    """How long a site keeps what was measured."""

    site = models.OneToOneField(Site, on_delete=models.CASCADE, related_name="telemetry_retention")
    readings_days = models.PositiveIntegerField(
        "keep readings for [days]",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_DAYS_KEPT)],
        help_text="After that their quarters of an hour stay. Empty: for ever.",
    )
    rollups_days = models.PositiveIntegerField(
        "keep quarters of an hour for [days]",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_DAYS_KEPT)],
        help_text="After that nothing stays. Empty: for ever.",
    )

    class Meta:
        verbose_name = "telemetry retention"

    def __str__(self) -> str:
        return f"retention of {self.site_id}"

    def clean(self) -> None:
        """Refuse a rule that would let quarters of an hour go before the readings."""
        if self.rollups_days is not None and (self.readings_days is None or self.rollups_days < self.readings_days):
            kept = "for ever" if self.readings_days is None else f"for {self.readings_days} days"
            raise ValidationError(
                {"rollups_days": f"It is {self.rollups_days}; readings are kept {kept}, their quarters not for less."}
            )


class TelemetryBatch(models.Model):
    """A batch of readings that a program sent under an idempotency key, and what it was answered."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="telemetry_batches")
    key = models.CharField(max_length=128)
    sha256 = models.CharField(max_length=64, help_text="SHA-256 of the body and of how it is read.")
    answer = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["site", "key"], name="telemetry_batch_key_unique")]

    def __str__(self) -> str:
        return self.key


class TelemetryUpload(models.Model):
    """A file of readings that waits until its points have a meaning; forgotten once they are stored, or after a day."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="telemetry_uploads")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=200)
    content = models.BinaryField(help_text="Text of the table, zlib.")
    reading = models.JSONField(help_text="Date order, decimal mark and time zone.")
    mapping = models.JSONField(help_text="Entries of the mapping file that came with it.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name
