"""Where a site's readings come from by themselves, how each source stands, and what it sent that could not be taken."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from facility.models import Site
from facility.models.audited import Audited
from twin.credentials import SealedField


class TelemetrySource(Audited):
    """Another machine that sends readings of a site, or is asked for them."""

    AUDIT_WITHOUT = ("metadata",)
    AUDIT_SECRET = ("secret",)

    class Kind(models.TextChoices):
        MQTT = "mqtt", "MQTT broker (DSX Exchange)"
        PROMETHEUS = "prometheus", "Prometheus server"
        REDFISH = "redfish", "Redfish service"
        REMOTE_WRITE = "remote-write", "Prometheus remote write"

    HEAVY = ("mapping", "metadata")  # read where they are shown

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="telemetry_sources")
    name = models.CharField(max_length=80, help_text="How it is called here.")
    kind = models.CharField(max_length=20, choices=Kind, default=Kind.MQTT)
    address = models.CharField(
        max_length=300,
        blank=True,
        help_text="mqtts://broker.example.org:8883, https://host.example.org; mqtt:// and http:// without encryption.",
    )
    options = models.JSONField(default=dict, blank=True, help_text="Of its kind: MQTT has topics, a list.")
    username = models.CharField(max_length=120, blank=True, help_text="Empty: none is sent.")
    secret = SealedField(default=b"", help_text="Password or token, sealed; it is not given out again.")
    mapping = models.JSONField(default=list, blank=True, help_text="Entries of a mapping file, for this source alone.")
    enabled = models.BooleanField(default=True, help_text="Off: it is not called, and nothing of it is taken.")
    metadata = models.JSONField(default=dict, editable=False, help_text="What it says of its own points.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name", "id"]
        constraints = [models.UniqueConstraint(fields=["site", "name"], name="telemetry_source_name_unique")]

    def __str__(self) -> str:
        return self.name


class SourceState(models.Model):
    """How a source stands, written by the process that holds it; counts are written with the readings they count."""

    source = models.OneToOneField(TelemetrySource, on_delete=models.CASCADE, related_name="state", primary_key=True)
    holder = models.CharField(max_length=120, blank=True, help_text="The one process that reads it.")
    held_until = models.DateTimeField(null=True)
    connected = models.BooleanField(default=False)
    problem = models.TextField(blank=True)
    problem_at = models.DateTimeField(null=True)
    last_seen_at = models.DateTimeField(null=True, help_text="When something of it arrived last.")
    newest_at = models.DateTimeField(null=True, help_text="The newest time that one of its readings bears.")
    read_to = models.DateTimeField(
        null=True, help_text="Up to when a source that is asked has answered; the next question begins there."
    )
    rate_per_s = models.FloatField(
        default=0.0, validators=[MinValueValidator(0.0), MaxValueValidator(1e9)], help_text="Readings, of late."
    )
    lag_s = models.FloatField(
        null=True,
        validators=[MinValueValidator(-1e10), MaxValueValidator(1e10)],
        help_text="From the time of a reading to when it was stored, of the newest; below 0: its clock is ahead.",
    )
    received = models.BigIntegerField(default=0, validators=[MinValueValidator(0), MaxValueValidator(10**15)])
    accepted = models.BigIntegerField(default=0, validators=[MinValueValidator(0), MaxValueValidator(10**15)])
    duplicate = models.BigIntegerField(default=0, validators=[MinValueValidator(0), MaxValueValidator(10**15)])
    refused = models.JSONField(default=dict, help_text="Readings by reason.")
    noticed = models.JSONField(default=dict, help_text="Readings that were taken and look odd, by what is odd.")

    def __str__(self) -> str:
        return f"state of {self.source_id}"


class TelemetryArrival(models.Model):
    """Readings as a source sent them, written at once and acknowledged; `twin.telemetry.store.settle` sorts them."""

    source = models.ForeignKey(TelemetrySource, on_delete=models.CASCADE, related_name="arrivals")
    n_readings = models.PositiveIntegerField()
    columns = models.BinaryField(help_text="Points, times, values and quality, zlib.")

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.source_id} {self.pk}"


class TelemetryPushed(models.Model):
    """A message of samples as a source pushed it, until the steps of its samples have been read for a while."""

    source = models.ForeignKey(TelemetrySource, on_delete=models.CASCADE, related_name="pushed")
    sha256 = models.CharField(max_length=64, help_text="SHA-256 of the body: the same one is kept once.")
    n_samples = models.PositiveIntegerField(validators=[MaxValueValidator(10**6)])
    first_ms = models.BigIntegerField(
        validators=[MinValueValidator(0), MaxValueValidator(10**13)], help_text="Oldest time, since 1970 [ms]."
    )
    last_ms = models.BigIntegerField(
        validators=[MinValueValidator(0), MaxValueValidator(10**13)], help_text="Newest time, since 1970 [ms]."
    )
    message = models.BinaryField(help_text="prometheus.WriteRequest, zlib.")

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "telemetry pushed"
        indexes = [models.Index(fields=["source", "last_ms"], name="telemetry_pushed_last")]
        constraints = [models.UniqueConstraint(fields=["source", "sha256"], name="telemetry_pushed_once")]

    def __str__(self) -> str:
        return f"{self.source_id} {self.pk}"


class DeadLetter(models.Model):
    """A message that was refused, as it came; the newest of each source are kept."""

    KEPT = 10_000  # of a source

    source = models.ForeignKey(TelemetrySource, on_delete=models.CASCADE, related_name="dead_letters")
    arrived_at = models.DateTimeField()
    place = models.CharField(max_length=300, help_text="Topic, or what else names where it came from.")
    content = models.TextField(help_text="At most 2,000 characters of it.")
    reason = models.CharField(max_length=200)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"
