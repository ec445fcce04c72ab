"""Measured readings of a site: its points, and each point's days as packed columns."""

from django.conf import settings
from django.db import models

from facility.models import Site


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


class TelemetryDay(models.Model):
    """A point's readings of one UTC day, in order of time. Packed by `twin.telemetry.store`."""

    point = models.ForeignKey(TelemetryPoint, on_delete=models.CASCADE, related_name="days")
    day = models.DateField()
    n_readings = models.PositiveIntegerField()
    columns = models.BinaryField(help_text="Times, values and quality, zlib.")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["point", "day"]
        constraints = [models.UniqueConstraint(fields=["point", "day"], name="telemetry_day_point_day_unique")]

    def __str__(self) -> str:
        return f"{self.point_id} {self.day}"


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
