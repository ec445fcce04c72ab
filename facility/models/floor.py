"""The floor: halls and the racks that stand in them."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from facility.models.cooling import Cdu, CoolingPlant
from facility.models.power import PowerFeed
from facility.models.product import Product
from facility.models.site import Layout

ORIENTATIONS = [(a, f"{a}°") for a in (0, 90, 180, 270)]


class Hall(models.Model):
    """A room with a floor, an air system and limits."""

    class Containment(models.TextChoices):
        NONE = "none", "none"
        COLD_AISLE = "cold_aisle", "cold aisle"
        HOT_AISLE = "hot_aisle", "hot aisle"

    layout = models.ForeignKey(Layout, on_delete=models.CASCADE, related_name="halls")
    name = models.CharField(max_length=80)
    width_m = models.FloatField(validators=[MinValueValidator(1), MaxValueValidator(1000)], help_text="Along x [m].")
    depth_m = models.FloatField(validators=[MinValueValidator(1), MaxValueValidator(1000)], help_text="Along y [m].")
    height_m = models.FloatField(default=5, validators=[MinValueValidator(2), MaxValueValidator(30)])
    tile_m = models.FloatField(default=0.6, validators=[MinValueValidator(0.1)], help_text="Floor grid [m].")
    min_aisle_m = models.FloatField(
        default=1.2, validators=[MinValueValidator(0.6)], help_text="Least clear width between rows [m]."
    )
    floor_load_limit_kg_per_m2 = models.FloatField(default=1700, validators=[MinValueValidator(100)])
    containment = models.CharField(max_length=12, choices=Containment, default=Containment.HOT_AISLE)
    supply_air_degc = models.FloatField(
        default=25, validators=[MinValueValidator(10), MaxValueValidator(45)], help_text="Set point of the air units."
    )
    air_unit = models.ForeignKey(
        Product, null=True, blank=True, on_delete=models.PROTECT, related_name="+",
        limit_choices_to={"kind": "air_units"},
    )  # fmt: skip
    n_air_units = models.PositiveIntegerField(default=0)
    n_air_units_spare = models.PositiveIntegerField(default=0, help_text="Of these, spare at design load.")
    leakage_frac = models.FloatField(
        default=0.05, validators=[MinValueValidator(0), MaxValueValidator(0.8)],
        help_text="Share of the supply air that returns without passing a rack.",
    )  # fmt: skip
    recirculation_frac = models.FloatField(
        default=0.03, validators=[MinValueValidator(0), MaxValueValidator(0.8)],
        help_text="Share of the racks' inlet air that comes from the hot aisle.",
    )  # fmt: skip
    lighting_w = models.FloatField(default=5000, validators=[MinValueValidator(0)])
    plant = models.ForeignKey(
        CoolingPlant, null=True, blank=True, on_delete=models.PROTECT, related_name="halls",
        help_text="Plant that takes the air units' heat.",
    )  # fmt: skip

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["layout", "name"], name="hall_name_unique")]

    def __str__(self) -> str:
        return self.name


class Rack(models.Model):
    """A rack on the floor: what is in it, who cools it, who feeds it."""

    class Role(models.TextChoices):
        COMPUTE = "compute", "compute"
        NETWORK = "network", "network"
        STORAGE = "storage", "storage"
        SUPPORT = "support", "support"

    hall = models.ForeignKey(Hall, on_delete=models.CASCADE, related_name="racks")
    name = models.CharField(max_length=80)
    row = models.CharField(max_length=20, blank=True, help_text="Name of the row, e.g. A.")
    role = models.CharField(max_length=12, choices=Role, default=Role.COMPUTE)
    x_m = models.FloatField(validators=[MinValueValidator(0)], help_text="Left edge on the hall's floor [m].")
    y_m = models.FloatField(validators=[MinValueValidator(0)], help_text="Lower edge on the hall's floor [m].")
    orientation_deg = models.PositiveSmallIntegerField(
        default=0, choices=ORIENTATIONS, help_text="Direction the rack's front faces; 0 is towards smaller y."
    )
    width_m = models.FloatField(default=0.6, validators=[MinValueValidator(0.1), MaxValueValidator(5)])
    depth_m = models.FloatField(default=1.2, validators=[MinValueValidator(0.1), MaxValueValidator(5)])
    product = models.ForeignKey(
        Product, null=True, blank=True, on_delete=models.PROTECT, related_name="+",
        limit_choices_to={"kind__in": ["systems", "network_switches"]},
    )  # fmt: skip
    n_systems = models.PositiveIntegerField(
        default=1, validators=[MinValueValidator(1)], help_text="Systems of the product in this rack."
    )
    other_power_w = models.FloatField(
        default=0, validators=[MinValueValidator(0)],
        help_text="Power of what is in the rack beside the product [W]: switches, storage, management.",
    )  # fmt: skip
    accelerator_power_limit_w = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="Cap per accelerator [W]; empty: none."
    )
    load_share = models.FloatField(
        default=1, validators=[MinValueValidator(0), MaxValueValidator(2)],
        help_text="This rack's load relative to the mean of its pool.",
    )  # fmt: skip
    coolant_flow_m3_per_s = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(0)],
        help_text="Rack coolant flow [m³/s]; empty takes the product's design flow.",
    )  # fmt: skip
    cdu = models.ForeignKey(Cdu, null=True, blank=True, on_delete=models.SET_NULL, related_name="racks")
    feed_a = models.ForeignKey(PowerFeed, null=True, blank=True, on_delete=models.SET_NULL, related_name="racks_a")
    feed_b = models.ForeignKey(PowerFeed, null=True, blank=True, on_delete=models.SET_NULL, related_name="racks_b")

    class Meta:
        ordering = ["row", "name"]
        constraints = [models.UniqueConstraint(fields=["hall", "name"], name="rack_name_unique")]

    def __str__(self) -> str:
        return self.name
