"""Liquid cooling: coolant distribution units and the plant that takes their heat to the sky."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from facility.models.product import Product
from facility.models.site import Layout

COOLANTS = [("water", "water"), ("pg25", "PG25"), ("pg30", "PG30"), ("eg30", "EG30")]


class CoolingPlant(models.Model):
    """A facility-water loop: heat rejection, optional chillers, pumps and set points."""

    class Economiser(models.TextChoices):
        NONE = "none", "none: chillers always"
        INTEGRATED = "integrated", "integrated: outside air first, chillers take the rest"
        ONLY = "only", "outside air only: no chillers"

    layout = models.ForeignKey(Layout, on_delete=models.CASCADE, related_name="cooling_plants")
    name = models.CharField(max_length=80)
    supply_degc = models.FloatField(
        validators=[MinValueValidator(5), MaxValueValidator(50)], help_text="Facility-water supply set point [°C]."
    )
    design_rise_k = models.FloatField(
        default=10, validators=[MinValueValidator(1), MaxValueValidator(30)],
        help_text="Temperature rise of the facility water at design load [K]; sizes its flow.",
    )  # fmt: skip
    coolant = models.CharField(max_length=8, choices=COOLANTS, default="water")
    economiser = models.CharField(max_length=12, choices=Economiser, default=Economiser.INTEGRATED)
    heat_rejection = models.ForeignKey(
        Product, on_delete=models.PROTECT, related_name="+",
        limit_choices_to={"kind__in": ["dry_coolers", "cooling_towers"]},
        help_text="Dry or adiabatic cooler, or cooling tower.",
    )  # fmt: skip
    n_heat_rejection = models.PositiveIntegerField(validators=[MinValueValidator(1)], help_text="Units installed.")
    n_heat_rejection_spare = models.PositiveIntegerField(default=0, help_text="Of these, spare at design load.")
    chiller = models.ForeignKey(
        Product, null=True, blank=True, on_delete=models.PROTECT, related_name="+",
        limit_choices_to={"kind__in": ["chillers", "warm_water_chillers"]},
    )  # fmt: skip
    n_chillers = models.PositiveIntegerField(default=0)
    n_chillers_spare = models.PositiveIntegerField(default=0)
    pump = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="+", limit_choices_to={"kind": "pumps"})
    n_pumps = models.PositiveIntegerField(validators=[MinValueValidator(1)])
    n_pumps_spare = models.PositiveIntegerField(default=0)
    tank_m3 = models.FloatField(default=0, validators=[MinValueValidator(0)], help_text="Buffer tank volume [m³].")

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["layout", "name"], name="cooling_plant_name_unique")]

    def __str__(self) -> str:
        return self.name


class Cdu(models.Model):
    """A coolant distribution unit. Units with the same group name share their racks' heat."""

    layout = models.ForeignKey(Layout, on_delete=models.CASCADE, related_name="cdus")
    hall = models.ForeignKey("facility.Hall", on_delete=models.CASCADE, related_name="cdus")
    name = models.CharField(max_length=80)
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="+", limit_choices_to={"kind": "cdus"})
    plant = models.ForeignKey(CoolingPlant, on_delete=models.PROTECT, related_name="cdus")
    group = models.CharField(max_length=80, help_text="CDUs of one group feed one manifold and share its load.")
    redundant_units = models.PositiveIntegerField(
        default=1, help_text="Units of the group that may fail at design load (1 = N+1)."
    )
    x_m = models.FloatField(validators=[MinValueValidator(0)], help_text="Left edge on the hall's floor [m].")
    y_m = models.FloatField(validators=[MinValueValidator(0)], help_text="Lower edge on the hall's floor [m].")
    orientation_deg = models.PositiveSmallIntegerField(default=0, choices=[(a, f"{a}°") for a in (0, 90, 180, 270)])
    supply_degc = models.FloatField(
        validators=[MinValueValidator(10), MaxValueValidator(60)], help_text="Rack coolant supply set point [°C]."
    )
    coolant = models.CharField(max_length=8, choices=COOLANTS, default="pg25")

    class Meta:
        ordering = ["name"]
        verbose_name = "CDU"
        constraints = [models.UniqueConstraint(fields=["layout", "name"], name="cdu_name_unique")]

    def __str__(self) -> str:
        return self.name
