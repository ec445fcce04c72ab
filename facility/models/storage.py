"""Storage of a layout: what holds weights and data sets, and the tier that keeps what paused sessions had cached."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from facility.models.audited import Audited
from facility.models.product import product_field
from facility.models.site import Layout, check_stays


class Storage(Audited):
    """Alike storage units of a layout, for one purpose; they stand in the racks of role storage."""

    class Purpose(models.TextChoices):
        SHARED = "shared", "shared: weights, data sets, checkpoints"
        CACHE = "cache", "cache tier: contexts of paused sessions"

    layout = models.ForeignKey(Layout, on_delete=models.CASCADE, related_name="storages")
    name = models.CharField(max_length=80)
    purpose = models.CharField(max_length=8, choices=Purpose, default=Purpose.SHARED)
    product = product_field("storage", help_text="Gives capacity, bandwidth, power and price of one unit.")
    n_units = models.PositiveIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(100_000)],
        help_text="Units installed.",
    )

    class Meta:
        ordering = ["name"]
        verbose_name = "storage"
        verbose_name_plural = "storages"
        constraints = [models.UniqueConstraint(fields=["layout", "name"], name="storage_name_unique")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Storage stays in its layout."""
        if self.layout_id:
            check_stays(self, self.layout_id, "layout_id")
