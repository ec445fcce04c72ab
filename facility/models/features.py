"""What else takes floor in a hall: air units where they stand, walls, keep-outs and aisles."""

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from facility.floor_plan import Footprint, check_place
from facility.models.audited import Audited
from facility.models.site import Layout, check_stays


def check_hall(part: "AirUnit | FloorFeature") -> None:
    """Raise if the hall belongs to another layout."""
    if part.hall.layout_id != part.layout_id:
        raise ValidationError({"hall": f"{part.hall.name} belongs to another layout than {part.name}."})


class AirUnit(Audited):
    """Where one of a hall's air units stands.

    How many units a hall has and which product they are is decided by the hall alone (`Hall.n_air_units`, `air_unit`):
    that is what is solved and bought. Placed units only give positions; a finding reports where the counts differ.
    """

    layout = models.ForeignKey(Layout, on_delete=models.CASCADE, related_name="air_units")
    name = models.CharField(max_length=80)
    hall = models.ForeignKey("facility.Hall", on_delete=models.CASCADE, related_name="placed_air_units")
    x_m = models.FloatField(
        validators=[MinValueValidator(0), MaxValueValidator(1000)], help_text="Left edge on the hall's floor [m]."
    )
    y_m = models.FloatField(
        validators=[MinValueValidator(0), MaxValueValidator(1000)], help_text="Lower edge on the hall's floor [m]."
    )
    orientation_deg = models.PositiveSmallIntegerField(
        default=0,
        choices=[(a, f"{a}°") for a in (0, 90, 180, 270)],
        help_text="Direction it blows to: 0° smaller y, 90° larger x, 180° larger y, 270° smaller x.",
    )
    # Sheets of air units in the catalogue give no sizes; 2.4 m x 1.0 m is what a perimeter unit of 200 kW takes.
    width_m = models.FloatField(
        default=2.4, validators=[MinValueValidator(0.1), MaxValueValidator(20)], help_text="Across its front [m]."
    )
    depth_m = models.FloatField(
        default=1.0, validators=[MinValueValidator(0.1), MaxValueValidator(20)], help_text="Front to back [m]."
    )

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["layout", "name"], name="air_unit_name_unique")]

    def __str__(self) -> str:
        return self.name

    @property
    def footprint(self) -> Footprint:
        """The floor it covers."""
        return Footprint.placed(
            f"air unit {self.name}", self.x_m, self.y_m, self.width_m, self.depth_m, self.orientation_deg
        )

    def clean(self) -> None:
        """The hall is of the same layout and the place is free."""
        if None in (self.layout_id, self.hall_id, self.x_m, self.y_m, self.width_m, self.depth_m):
            return  # the fields' own errors say so
        check_stays(self, self.layout_id, "layout_id")
        self.check_references()
        check_place(self.footprint, self.hall, self.hall.footprints(without=self))

    def check_references(self) -> None:
        """Raise if the hall belongs to another layout."""
        check_hall(self)


class FloorFeature(Audited):
    """A rectangle of a hall's floor that is a wall, must stay clear, or is an aisle."""

    class Type(models.TextChoices):
        WALL = "wall", "wall or column"
        KEEP_OUT = "keep_out", "keep-out"
        HOT_AISLE = "hot_aisle", "hot aisle"
        COLD_AISLE = "cold_aisle", "cold aisle"

    SOLID = (Type.WALL, Type.KEEP_OUT)

    layout = models.ForeignKey(Layout, on_delete=models.CASCADE, related_name="floor_features")
    name = models.CharField(max_length=80)
    hall = models.ForeignKey("facility.Hall", on_delete=models.CASCADE, related_name="features")
    type = models.CharField(
        max_length=12,
        choices=Type,
        help_text="Walls and keep-outs must stay empty, aisles clear; racks draw their air from cold aisles.",
    )
    x_m = models.FloatField(
        validators=[MinValueValidator(0), MaxValueValidator(1000)], help_text="Left edge on the hall's floor [m]."
    )
    y_m = models.FloatField(
        validators=[MinValueValidator(0), MaxValueValidator(1000)], help_text="Lower edge on the hall's floor [m]."
    )
    width_m = models.FloatField(validators=[MinValueValidator(0.01), MaxValueValidator(1000)], help_text="Along x [m].")
    depth_m = models.FloatField(validators=[MinValueValidator(0.01), MaxValueValidator(1000)], help_text="Along y [m].")

    class Meta:
        ordering = ["name"]
        verbose_name = "wall, keep-out or aisle"
        verbose_name_plural = "walls, keep-outs and aisles"
        constraints = [models.UniqueConstraint(fields=["layout", "name"], name="floor_feature_name_unique")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_solid(self) -> bool:
        """Whether nothing may stand on it."""
        return self.type in self.SOLID

    @property
    def footprint(self) -> Footprint:
        """The floor it covers."""
        called = f"{self.get_type_display()} {self.name}"
        return Footprint.placed(called, self.x_m, self.y_m, self.width_m, self.depth_m, 0)

    def clean(self) -> None:
        """The hall is of the same layout; a wall or keep-out covers nothing that stands there."""
        if None in (self.layout_id, self.hall_id, self.x_m, self.y_m, self.width_m, self.depth_m):
            return  # the fields' own errors say so
        check_stays(self, self.layout_id, "layout_id")
        self.check_references()
        # Walls meet at corners and keep-outs lie against walls, so features do not exclude each other.
        check_place(self.footprint, self.hall, self.hall.standing() if self.is_solid else [])

    def check_references(self) -> None:
        """Raise if the hall belongs to another layout."""
        check_hall(self)
