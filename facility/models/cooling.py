"""Liquid cooling: coolant distribution units and the plant that rejects their heat outdoors."""

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from facility.floor_plan import Footprint, check_place
from facility.models.audited import Audited
from facility.models.bounds import MOST_MACHINES
from facility.models.product import product_field
from facility.models.site import Layout, check_stays, listed

COOLANTS = [("water", "water"), ("pg25", "PG25"), ("pg30", "PG30"), ("eg30", "EG30")]


class CoolingPlant(Audited):
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
        default=10,
        validators=[MinValueValidator(1), MaxValueValidator(30)],
        help_text="Temperature rise of the facility water at design load [K]; sizes its flow.",
    )
    coolant = models.CharField(max_length=8, choices=COOLANTS, default="water")
    economiser = models.CharField(max_length=12, choices=Economiser, default=Economiser.INTEGRATED)
    heat_rejection = product_field(
        "dry_coolers", "cooling_towers", help_text="Dry or adiabatic cooler, or cooling tower."
    )
    n_heat_rejection = models.PositiveIntegerField(
        validators=[MinValueValidator(1), MaxValueValidator(MOST_MACHINES)], help_text="Units installed."
    )
    n_heat_rejection_spare = models.PositiveIntegerField(
        default=0,
        validators=[MaxValueValidator(MOST_MACHINES)],
        help_text="Of these, redundant at design load (1 = N+1).",
    )
    chiller = product_field(
        "chillers", "warm_water_chillers", null=True, blank=True, help_text="Empty: free cooling only."
    )
    n_chillers = models.PositiveIntegerField(
        default=0, validators=[MaxValueValidator(MOST_MACHINES)], help_text="Units installed."
    )
    n_chillers_spare = models.PositiveIntegerField(
        default=0,
        validators=[MaxValueValidator(MOST_MACHINES)],
        help_text="Of these, redundant at design load (1 = N+1).",
    )
    pump = product_field("pumps", help_text="Facility-water pump.")
    n_pumps = models.PositiveIntegerField(
        validators=[MinValueValidator(1), MaxValueValidator(MOST_MACHINES)], help_text="Pumps installed."
    )
    n_pumps_spare = models.PositiveIntegerField(
        default=0,
        validators=[MaxValueValidator(MOST_MACHINES)],
        help_text="Of these, redundant at design load (1 = N+1).",
    )
    tank_m3 = models.FloatField(
        default=0, validators=[MinValueValidator(0), MaxValueValidator(1e5)], help_text="Buffer tank volume [m³]."
    )

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["layout", "name"], name="cooling_plant_name_unique")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Spares are fewer than units, the economiser fits the chillers, and the CDUs on it stay possible."""
        check_stays(self, self.layout_id, "layout_id")
        for units, spare in (("n_heat_rejection", "n_heat_rejection_spare"), ("n_pumps", "n_pumps_spare")):
            installed, reserve = getattr(self, units), getattr(self, spare)
            if installed is not None and reserve is not None and reserve >= installed:
                raise ValidationError({spare: f"{reserve} of {installed} units are spare; at least one must work."})
        if bool(self.chiller_id) != bool(self.n_chillers):
            raise ValidationError(
                {"n_chillers": f"{self.n_chillers} chillers, but {'a' if self.chiller_id else 'no'} chiller product."}
            )
        if self.n_chillers and self.n_chillers_spare is not None and self.n_chillers_spare >= self.n_chillers:
            raise ValidationError(
                {"n_chillers_spare": f"{self.n_chillers_spare} of {self.n_chillers} chillers are spare; one must work."}
            )
        if self.n_chillers and self.economiser == self.Economiser.ONLY:
            raise ValidationError({"economiser": f"Outside air only, but {self.n_chillers} chillers are installed."})
        if not self.n_chillers and self.economiser != self.Economiser.ONLY:
            raise ValidationError({"economiser": "No chiller is installed; choose outside air only."})
        if self.pk and self.supply_degc is not None:
            for cdu in self.cdus.filter(supply_degc__lte=self.supply_degc):
                raise ValidationError(
                    {
                        "supply_degc": f"CDU {cdu.name} supplies {cdu.supply_degc:g} °C, which {self.supply_degc:g} °C "
                        f"facility water of {self.name} cannot give."
                    }
                )


class Cdu(Audited):
    """A coolant distribution unit. Units with the same group name share their racks' heat."""

    layout = models.ForeignKey(Layout, on_delete=models.CASCADE, related_name="cdus")
    name = models.CharField(max_length=80)
    hall = models.ForeignKey("facility.Hall", on_delete=models.CASCADE, related_name="cdus")
    product = product_field("cdus")
    plant = models.ForeignKey(CoolingPlant, on_delete=models.RESTRICT, related_name="cdus")
    group = models.CharField(max_length=80, help_text="CDUs of one group feed one manifold and share its load.")
    redundant_units = models.PositiveIntegerField(
        default=1,
        validators=[MaxValueValidator(MOST_MACHINES)],
        help_text="Units of the group that may fail at design load (1 = N+1).",
    )
    x_m = models.FloatField(
        validators=[MinValueValidator(0), MaxValueValidator(1000)], help_text="Left edge on the hall's floor [m]."
    )
    y_m = models.FloatField(
        validators=[MinValueValidator(0), MaxValueValidator(1000)], help_text="Lower edge on the hall's floor [m]."
    )
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

    @property
    def stands_on_floor(self) -> bool:
        """Whether it takes floor of its own; units inside a rack do not."""
        return self.product.fact("type") != "liquid_to_liquid_in_rack"

    @property
    def footprint(self) -> Footprint:
        """The floor it covers (reads `self.product`)."""
        facts = self.product.facts
        return Footprint.placed(
            f"CDU {self.name}", self.x_m, self.y_m, facts["width_m"], facts["depth_m"], self.orientation_deg
        )

    def clean(self) -> None:
        """Hall and plant are of the same layout, the set point is possible and the place is free."""
        if None in (self.layout_id, self.hall_id, self.plant_id, self.product_id, self.x_m, self.y_m):
            return  # the fields' own errors say so
        check_stays(self, self.layout_id, "layout_id")
        strays = list(self.racks.exclude(hall_id=self.hall_id).values_list("name", flat=True)) if self.pk else []
        if strays:
            raise ValidationError({"hall": f"CDU {self.name} cools {listed(strays)} in another hall."})
        self.check_references()
        if self.stands_on_floor:
            check_place(self.footprint, self.hall, self.hall.footprints(without=self))

    def check_references(self) -> None:
        """Raise if hall or plant are of another layout or the plant's water is too warm; names both sides."""
        for name, other in (("hall", self.hall), ("plant", self.plant)):
            if other.layout_id != self.layout_id:
                raise ValidationError({name: f"{other.name} belongs to another layout than CDU {self.name}."})
        if self.supply_degc is not None and self.supply_degc <= self.plant.supply_degc:
            approach_k = self.product.fact("approach_temp_k") or 0
            raise ValidationError(
                {
                    "supply_degc": f"CDU {self.name} cannot supply {self.supply_degc:g} °C from the "
                    f"{self.plant.supply_degc:g} °C facility water of {self.plant.name}; at its rating it needs "
                    f"{self.plant.supply_degc + approach_k:g} °C or more (approach {approach_k:g} K)."
                }
            )
