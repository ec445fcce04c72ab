"""The networks between hosts: leaf and spine switches of the catalogue, sized from what they join."""

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from facility.models.audited import Audited
from facility.models.product import product_field
from facility.models.site import Layout, check_stays


class Fabric(Audited):
    """One network that joins a layout's accelerators: its switches and optics, counted from the racks that stand."""

    class Purpose(models.TextChoices):
        SCALE_OUT = "scale_out", "scale-out, between domains"
        FRONT_END = "front_end", "front-end, users and storage"

    layout = models.ForeignKey(Layout, on_delete=models.CASCADE, related_name="fabrics")
    name = models.CharField(max_length=80)
    purpose = models.CharField(max_length=12, choices=Purpose, default=Purpose.SCALE_OUT)
    leaf = product_field("network_switches", help_text="Switch that the hosts plug into.")
    spine = product_field(
        "network_switches",
        null=True,
        blank=True,
        help_text="Switch that joins the leaves; empty: one leaf or leaves that are not joined.",
    )
    optics = product_field(
        "network_switches",
        null=True,
        blank=True,
        help_text="Transceiver at both ends of each cable; empty: copper.",
    )
    cable = product_field(
        "network_cables",
        null=True,
        blank=True,
        help_text="Each of its cables: fibre between transceivers, else copper; empty: left out of the price.",
    )
    ports_per_accelerator = models.FloatField(
        default=1,
        validators=[MinValueValidator(0.01), MaxValueValidator(16)],
        help_text="Host ports for each accelerator; 0.25 is one for four.",
    )
    port_bits_per_s = models.FloatField(
        default=4e11,
        choices=[(g * 1e9, f"{g} Gbit/s") for g in (25, 50, 100, 200, 400, 800, 1600)],
        help_text="Speed of a host port [bit/s]; faster switch ports are split.",
    )
    rails = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(64)],
        help_text="Groups of leaves; each port of a host connects to another. 1: hosts connect by rack.",
    )
    oversubscription = models.FloatField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(20)],
        help_text="Host bandwidth of a leaf over its bandwidth to the spine; 1: non-blocking.",
    )

    class Meta:
        ordering = ["name"]
        verbose_name = "network"
        constraints = [models.UniqueConstraint(fields=["layout", "name"], name="fabric_name_unique")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """A switch is no transceiver, a transceiver is no switch, and fibre needs transceivers."""
        if self.layout_id:
            check_stays(self, self.layout_id, "layout_id")
        for name, product, wants_one in (
            ("leaf", self.leaf_id and self.leaf, False),
            ("spine", self.spine_id and self.spine, False),
            ("optics", self.optics_id and self.optics, True),
        ):
            if product and (n_ports(product.facts) == 1) != wants_one:
                wanted = "a transceiver, with one port" if wants_one else "a switch, with several ports"
                raise ValidationError({name: f"{product} has {product.facts.get('ports')}; {name} is {wanted}."})
        if self.cable_id and self.cable:
            medium, wanted = self.cable.facts["cable_medium"], "fibre" if self.optics_id else "copper"
            if medium != wanted:
                joins = "transceivers" if self.optics_id else "ports without optics"
                raise ValidationError({"cable": f"{self.cable} is {medium}; what joins {joins} is {wanted}."})


def n_ports(facts: dict) -> int:
    """Return how many ports a switch's sheet states, such as 64 of "64 x 800G"."""
    return int(str(facts["ports"]).split("x")[0])
