"""The floor: halls and the racks that stand in them."""

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from facility.floor_plan import Footprint, check_place
from facility.models.audited import Audited
from facility.models.bounds import MOST_ACCELERATOR_W, MOST_MACHINES
from facility.models.cooling import Cdu, CoolingPlant
from facility.models.features import FloorFeature
from facility.models.power import PowerFeed
from facility.models.product import product_field
from facility.models.site import Layout, check_stays

MAX_RACK_UNITS = 52  # the tallest common data-centre rack
ORIENTATIONS = [(a, f"{a}°") for a in (0, 90, 180, 270)]


class Hall(Audited):
    """A room with a floor, an air system and limits."""

    class Containment(models.TextChoices):
        NONE = "none", "none"
        COLD_AISLE = "cold_aisle", "cold aisle"
        HOT_AISLE = "hot_aisle", "hot aisle"

    layout = models.ForeignKey(Layout, on_delete=models.CASCADE, related_name="halls")
    name = models.CharField(max_length=80)
    width_m = models.FloatField(validators=[MinValueValidator(1), MaxValueValidator(1000)], help_text="Along x [m].")
    depth_m = models.FloatField(validators=[MinValueValidator(1), MaxValueValidator(1000)], help_text="Along y [m].")
    height_m = models.FloatField(
        default=5, validators=[MinValueValidator(2), MaxValueValidator(30)], help_text="Floor to ceiling [m]."
    )
    tile_m = models.FloatField(
        default=0.6, validators=[MinValueValidator(0.1), MaxValueValidator(10)], help_text="Floor grid [m]."
    )
    min_aisle_m = models.FloatField(
        default=1.2,
        validators=[MinValueValidator(0.6), MaxValueValidator(100)],
        help_text="Minimum clear width between rows [m].",
    )
    floor_load_limit_kg_per_m2 = models.FloatField(
        default=1700,
        validators=[MinValueValidator(100), MaxValueValidator(1e5)],
        help_text="Rated floor load, averaged over a rack and half of the aisles beside it [kg/m²].",
    )
    containment = models.CharField(max_length=12, choices=Containment, default=Containment.HOT_AISLE)
    supply_air_degc = models.FloatField(
        default=25,
        validators=[MinValueValidator(10), MaxValueValidator(45)],
        help_text="Set point of the air units [°C].",
    )
    air_unit = product_field("air_units", null=True, blank=True)
    n_air_units = models.PositiveIntegerField(
        default=0, validators=[MaxValueValidator(MOST_MACHINES)], help_text="Units installed."
    )
    n_air_units_spare = models.PositiveIntegerField(
        default=0,
        validators=[MaxValueValidator(MOST_MACHINES)],
        help_text="Of these, redundant at design load (1 = N+1).",
    )
    leakage_frac = models.FloatField(
        default=0.05,
        validators=[MinValueValidator(0), MaxValueValidator(0.8)],
        help_text="Share of the supply air that returns without passing a rack.",
    )
    recirculation_frac = models.FloatField(
        default=0.03,
        validators=[MinValueValidator(0), MaxValueValidator(0.8)],
        help_text="Share of the racks' inlet air that comes from the hot aisle.",
    )
    lighting_w = models.FloatField(
        default=5000, validators=[MinValueValidator(0), MaxValueValidator(1e7)], help_text="Lighting [W]."
    )
    plant = models.ForeignKey(
        CoolingPlant,
        null=True,
        blank=True,
        on_delete=models.RESTRICT,
        related_name="halls",
        help_text="Plant that cools the air units.",
    )

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["layout", "name"], name="hall_name_unique")]

    def __str__(self) -> str:
        return self.name

    def standing(self, *, without: models.Model | None = None) -> list[Footprint]:
        """Return what stands in the hall, except one object (three queries)."""
        racks = self.racks.all() if self.pk else []
        cdus = self.cdus.select_related("product") if self.pk else []
        air_units = self.placed_air_units.all() if self.pk else []
        return [
            thing.footprint
            for thing in (*racks, *(cdu for cdu in cdus if cdu.stands_on_floor), *air_units)
            if without is None or (type(thing), thing.pk) != (type(without), without.pk)
        ]

    def footprints(self, *, without: models.Model | None = None) -> list[Footprint]:
        """Return what stands in the hall, except one object, and its walls and keep-outs (four queries)."""
        solid = self.features.filter(type__in=FloorFeature.SOLID) if self.pk else []
        return self.standing(without=without) + [feature.footprint for feature in solid]

    def clean(self) -> None:
        """Air units and plant fit, and what stands in the hall still fits inside."""
        check_stays(self, self.layout_id, "layout_id")
        if bool(self.air_unit_id) != bool(self.n_air_units):
            raise ValidationError(
                {"n_air_units": f"{self.n_air_units} air units, but {'a' if self.air_unit_id else 'no'} product."}
            )
        if self.n_air_units and self.n_air_units_spare is not None and self.n_air_units_spare >= self.n_air_units:
            raise ValidationError(
                {"n_air_units_spare": f"{self.n_air_units_spare} of {self.n_air_units} units are spare; one must work."}
            )
        if self.plant is not None and self.plant.layout_id != self.layout_id:
            raise ValidationError({"plant": f"{self.plant.name} belongs to another layout than hall {self.name}."})
        if self.pk and self.width_m is not None and self.depth_m is not None:
            for footprint in (*self.standing(), *(feature.footprint for feature in self.features.all())):
                check_place(footprint, self, [])


class Rack(Audited):
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
    x_m = models.FloatField(
        validators=[MinValueValidator(0), MaxValueValidator(1000)], help_text="Left edge on the hall's floor [m]."
    )
    y_m = models.FloatField(
        validators=[MinValueValidator(0), MaxValueValidator(1000)], help_text="Lower edge on the hall's floor [m]."
    )
    orientation_deg = models.PositiveSmallIntegerField(
        default=0,
        choices=ORIENTATIONS,
        help_text="Direction the rack's front faces: 0° smaller y, 90° larger x, 180° larger y, 270° smaller x.",
    )
    width_m = models.FloatField(
        default=0.6, validators=[MinValueValidator(0.1), MaxValueValidator(5)], help_text="Across its front [m]."
    )
    depth_m = models.FloatField(
        default=1.2, validators=[MinValueValidator(0.1), MaxValueValidator(5)], help_text="Front to back [m]."
    )
    product = product_field(
        "systems",
        "network_switches",
        null=True,
        blank=True,
        help_text="Empty: the rack has no product, only other power.",
    )
    n_systems = models.PositiveIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text="Systems of the product in this rack.",
    )
    other_power_w = models.FloatField(
        default=0,
        validators=[MinValueValidator(0), MaxValueValidator(1e7)],
        help_text="Power of other equipment in the rack [W]: switches, storage, management.",
    )
    accelerator_power_limit_w = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_ACCELERATOR_W)],
        help_text="Power cap per accelerator [W]; empty: no cap.",
    )
    load_share = models.FloatField(
        default=1,
        validators=[MinValueValidator(0), MaxValueValidator(2)],
        help_text="This rack's load relative to the mean of its pool.",
    )
    coolant_flow_m3_per_s = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="Rack coolant flow [m³/s]; empty takes the product's design flow.",
    )
    cdu = models.ForeignKey(Cdu, null=True, blank=True, on_delete=models.SET_NULL, related_name="racks")
    feed_a = models.ForeignKey(PowerFeed, null=True, blank=True, on_delete=models.SET_NULL, related_name="racks_a")
    feed_b = models.ForeignKey(PowerFeed, null=True, blank=True, on_delete=models.SET_NULL, related_name="racks_b")

    class Meta:
        ordering = ["row", "name"]
        constraints = [models.UniqueConstraint(fields=["hall", "name"], name="rack_name_unique")]

    def __str__(self) -> str:
        return self.name

    @property
    def footprint(self) -> Footprint:
        """The floor it covers."""
        return Footprint.placed(
            f"rack {self.name}", self.x_m, self.y_m, self.width_m, self.depth_m, self.orientation_deg
        )

    def clean(self) -> None:
        """CDU and feeds are of the same layout, the systems fit into the rack and the place is free."""
        if None in (self.hall_id, self.x_m, self.y_m, self.width_m, self.depth_m):
            return  # the fields' own errors say so
        check_stays(self, self.hall.layout_id, "hall__layout_id")
        self.check_references()
        self.check_contents()
        check_place(self.footprint, self.hall, self.hall.footprints(without=self))

    def check_references(self) -> None:
        """Raise if the CDU or a feed stands elsewhere or cannot serve a rack; names both sides."""
        layout_id = self.hall.layout_id
        if self.cdu is not None and self.cdu.hall_id != self.hall_id:
            where = f"in hall {self.cdu.hall.name}" if self.cdu.layout_id == layout_id else "in another layout"
            raise ValidationError({"cdu": f"CDU {self.cdu.name} stands {where}, rack {self.name} in {self.hall.name}."})
        for name in ("feed_a", "feed_b"):
            feed = getattr(self, name)
            if feed is None:
                continue
            if feed.layout_id != layout_id:
                raise ValidationError({name: f"Feed {feed.name} belongs to another layout than rack {self.name}."})
            if feed.kind in PowerFeed.SOURCES:
                raise ValidationError(
                    {name: f"Feed {feed.name} is a {feed.get_kind_display()}; rack {self.name} needs a PDU or busway."}
                )
        if self.feed_a_id is not None and self.feed_a_id == self.feed_b_id:
            raise ValidationError({"feed_b": f"Rack {self.name} has feed {self.feed_a.name} on both sides."})
        if self.cdu is not None and self.coolant_flow_m3_per_s == 0:
            where = f"Rack {self.name} on CDU {self.cdu.name}"
            message = f"{where} takes no coolant; give a flow above 0 or leave it empty."
            raise ValidationError({"coolant_flow_m3_per_s": message})

    def check_contents(self) -> None:
        """Raise if the systems cannot be mounted in one rack."""
        if self.product_id is None or self.n_systems is None:
            return
        facts = self.product.facts
        if str(facts.get("form_factor", "")).startswith("full_rack") and self.n_systems > 1:
            raise ValidationError(
                {"n_systems": f"{self.product.name} is a whole rack; rack {self.name} holds 1, not {self.n_systems}."}
            )
        units = (facts.get("rack_units") or 0) * self.n_systems
        if units > MAX_RACK_UNITS:
            raise ValidationError(
                {
                    "n_systems": f"{self.n_systems} × {self.product.name} need {units:g} rack units; the tallest rack "
                    f"has {MAX_RACK_UNITS}."
                }
            )
