"""The power feeds: a tree from the utility to the rows."""

from django.core.validators import MinValueValidator
from django.db import models

from facility.models.product import Product
from facility.models.site import Layout


class PowerFeed(models.Model):
    """One node of the feed tree. Racks plug into its leaves; losses add up on the way to the utility."""

    class Kind(models.TextChoices):
        UTILITY = "utility", "utility"
        GENERATOR = "generator", "generator"
        TRANSFORMER = "transformer", "transformer"
        UPS = "ups", "UPS"
        BESS = "bess", "battery storage"
        SWITCHBOARD = "switchboard", "switchboard"
        BUSWAY = "busway", "busway"
        PDU = "pdu", "PDU or RPP"

    class Redundancy(models.TextChoices):
        N = "N", "N: no spare"
        N_PLUS_1 = "N+1", "N+1: one spare in the group"
        TWO_N = "2N", "2N: two full sides"
        FOUR_N_3 = "4N3", "4N3: four share what three can carry"
        FIVE_MAKE_4 = "5-to-make-4", "five share what four can carry"
        CATCHER = "catcher", "catcher: one reserve for all"

    layout = models.ForeignKey(Layout, on_delete=models.CASCADE, related_name="power_feeds")
    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=12, choices=Kind)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="children")
    product = models.ForeignKey(
        Product, null=True, blank=True, on_delete=models.PROTECT, related_name="+",
        limit_choices_to={"kind__in": ["ups", "transformers", "busways", "distribution", "generators", "bess"]},
    )  # fmt: skip
    rating_w = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(1)],
        help_text="Continuous rating [W]; empty takes the product's.",
    )  # fmt: skip
    n_units = models.PositiveIntegerField(
        default=1, validators=[MinValueValidator(1)], help_text="Equal units in parallel that make up this node."
    )
    length_m = models.FloatField(
        default=0, validators=[MinValueValidator(0)], help_text="Length of a busway or cable [m]."
    )
    redundancy_group = models.CharField(max_length=80, blank=True, help_text="Feeds that back each other up.")
    redundancy = models.CharField(max_length=12, choices=Redundancy, default=Redundancy.N)
    eco_mode = models.BooleanField(default=False, help_text="UPS runs in eco mode: less loss, transfer on a fault.")
    hall = models.ForeignKey(
        "facility.Hall", null=True, blank=True, on_delete=models.SET_NULL, related_name="power_feeds",
        help_text="The hall whose air takes its losses; empty: outdoors or a room of its own.",
    )  # fmt: skip

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["layout", "name"], name="power_feed_name_unique")]

    def __str__(self) -> str:
        return self.name
