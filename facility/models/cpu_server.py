"""CPU servers of a layout: where agents' tools, routers and planners run."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from facility.models.audited import Audited
from facility.models.bounds import MOST_UNITS
from facility.models.product import product_field
from facility.models.site import Layout, check_stays


class CpuServer(Audited):
    """Alike CPU servers of a layout; they stand in the racks of role support."""

    layout = models.ForeignKey(Layout, on_delete=models.CASCADE, related_name="cpu_servers")
    name = models.CharField(max_length=80)
    product = product_field("cpu_servers", help_text="Gives cores, power and price of one server.")
    n_units = models.PositiveIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_UNITS)],
        help_text="How many of them are installed; a run says how many its tool calls need.",
    )

    class Meta:
        ordering = ["name"]
        verbose_name = "CPU server"
        constraints = [models.UniqueConstraint(fields=["layout", "name"], name="cpu_server_name_unique")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """CPU servers stay in their layout."""
        if self.layout_id:
            check_stays(self, self.layout_id, "layout_id")
