"""A site and its named alternatives."""

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from facility.catalogue import assumed
from facility.models.audited import Audited
from facility.models.bounds import MOST_POWER_W
from facility.models.product import product_field
from power_cooling.site_facts.confidence import STATED, confidence_label


class Weather(Audited):
    """One year of hourly weather, shipped (site empty) or uploaded for one site."""

    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=160)
    site = models.ForeignKey(
        "facility.Site",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="own_weather",
        help_text="The site this year was uploaded for; empty for shipped climates.",
    )
    source = models.TextField(help_text="Station, kind of year (TMY3, measured …) and origin.")
    latitude_deg = models.FloatField(validators=[MinValueValidator(-90), MaxValueValidator(90)])
    longitude_deg = models.FloatField(validators=[MinValueValidator(-180), MaxValueValidator(180)])
    elevation_m = models.FloatField(
        validators=[MinValueValidator(-430), MaxValueValidator(9000)],
        help_text="Height of the station above sea level [m].",
    )
    utc_offset_h = models.FloatField(
        default=0,
        validators=[MinValueValidator(-12), MaxValueValidator(14)],
        help_text="Hours that the rows' local time is ahead of UTC [h].",
    )
    n_hours = models.PositiveIntegerField(
        validators=[MinValueValidator(8760), MaxValueValidator(8784)], help_text="8,760 or 8,784."
    )
    notes = models.TextField(
        blank=True, help_text="What was done to the file's rows when they were read, one sentence a line."
    )
    confidence = models.CharField(
        max_length=16,
        default="entered",
        choices=[(name, confidence_label(name)) for name in STATED],
        help_text="How far the hours can be trusted: of a station, entered by you, or estimated from monthly normals.",
    )
    rows = models.BinaryField(
        help_text="zlib of float32 (3, n_hours): dry bulb [degC], relative humidity [0-1], pressure [Pa]."
    )

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "weather"

    def __str__(self) -> str:
        return self.name

    @property
    def is_estimated(self) -> bool:
        """Whether the hours were made from monthly normals, and results in them need a wider band."""
        return self.confidence == "estimated"


class Organisation(Audited):
    """Who sites belong to: what its members may, they may on each of its sites."""

    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=160)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Site(Audited):
    """A place with a climate, a tariff and a grid connection. Layouts are its alternatives."""

    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=160)
    place = models.CharField(max_length=160, blank=True, help_text="Town and country.")
    latitude_deg = models.FloatField(validators=[MinValueValidator(-90), MaxValueValidator(90)])
    longitude_deg = models.FloatField(validators=[MinValueValidator(-180), MaxValueValidator(180)])
    elevation_m = models.FloatField(
        default=0,
        validators=[MinValueValidator(-430), MaxValueValidator(6000)],
        help_text="Above sea level [m]; air pressure is shifted to it from the weather station's.",
    )
    weather = models.ForeignKey(Weather, on_delete=models.RESTRICT, related_name="sites")
    region = product_field("regions", help_text="Gives the prices of electricity and water and the carbon of the grid.")
    grid_limit_w = models.FloatField(
        validators=[MinValueValidator(1), MaxValueValidator(MOST_POWER_W)],
        help_text="Maximum power of the utility connection [W].",
    )
    repair_crews = models.PositiveSmallIntegerField(
        default=assumed.REPAIR_CREWS,
        validators=[MaxValueValidator(100)],
        help_text="Repairs of power and cooling that can go on at the same time; 0: no limit.",
    )
    notes = models.TextField(blank=True)
    organisation = models.ForeignKey(
        Organisation,
        null=True,
        blank=True,
        on_delete=models.RESTRICT,
        related_name="sites",
        help_text="Its members may on this site what they may on all of its sites; empty: only the site's own members.",
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """The weather is a shipped climate or was uploaded for this site."""
        if self.weather_id and self.weather.site_id not in (None, self.pk):
            raise ValidationError(
                {"weather": f"{self.weather.name} was uploaded for another site; upload it here too."}
            )


class Layout(Audited):
    """One named alternative of a site: everything that stands in it belongs to it."""

    AUDIT_WITHOUT = ("version",)

    class Status(models.TextChoices):
        PROPOSED = "proposed", "proposed"
        APPROVED = "approved", "approved"
        AS_BUILT = "as_built", "as built"
        AS_OPERATED = "as_operated", "as operated"

    class DesignHour(models.TextChoices):
        UNCHOSEN = "", "1 % weather; rules: worst hours"
        P04 = "0.4", "0.4 % weather"
        P1 = "1", "1 % weather"
        P2 = "2", "2 % weather"
        TWENTY_YEARS = "20-years", "20-year extreme"
        WORST = "worst", "the year's worst hour"
        OWN = "own", "own dry and wet bulb"

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="layouts")
    slug = models.SlugField(max_length=80)
    name = models.CharField(max_length=160)
    status = models.CharField(max_length=12, choices=Status, default=Status.PROPOSED)
    notes = models.TextField(blank=True, help_text="What it is and which published design it follows.")
    design_hour = models.CharField(
        max_length=8,
        choices=DesignHour,
        blank=True,
        default=DesignHour.UNCHOSEN,
        help_text="Weather of the hour that drawings, drills, availability, rules and counts judge it at.",
    )
    design_dry_bulb_degc = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(-40), MaxValueValidator(60)],
        help_text="Dry bulb of a design hour of your own [°C].",
    )
    design_wet_bulb_degc = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(-40), MaxValueValidator(40)],
        help_text="Wet bulb of a design hour of your own [°C].",
    )
    cloned_from = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="clones")
    version = models.PositiveIntegerField(
        default=1, help_text="Counts edits; an edit that names an older version is refused."
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["site__name", "name"]
        constraints = [models.UniqueConstraint(fields=["site", "slug"], name="layout_site_slug_unique")]

    def __str__(self) -> str:
        return f"{self.site.name}: {self.name}"

    def clean(self) -> None:
        """A design hour of one's own states both bulbs, any other none."""
        given = {name: getattr(self, name) for name in ("design_dry_bulb_degc", "design_wet_bulb_degc")}
        if self.design_hour != Layout.DesignHour.OWN:
            for name, value in given.items():
                if value is not None:
                    raise ValidationError({name: f"Is {value:g} °C; only a design hour of your own states it."})
            return
        for name, value in given.items():
            if value is None:
                raise ValidationError({name: "Is missing; a design hour of your own states dry and wet bulb."})
        dry, wet = given.values()
        if dry is not None and wet is not None and wet > dry:
            raise ValidationError({"design_wet_bulb_degc": f"Is {wet:g} °C; at most the dry bulb of {dry:g} °C."})

    @property
    def is_frozen(self) -> bool:
        """Whether what stands in it may no longer change: it was decided on, built or measured."""
        return self.status != Layout.Status.PROPOSED

    @property
    def path(self) -> str:
        """SITE/LAYOUT, as commands name it (reads `self.site`)."""
        return f"{self.site.slug}/{self.slug}"


def check_stays(row: models.Model, layout_id: int | None, path: str) -> None:
    """Raise if a part that exists would move to another layout: what refers to it would stay behind."""
    if row.pk is not None:
        before = type(row).objects.filter(pk=row.pk).values_list(path, flat=True).first()
        if before not in (None, layout_id):
            raise ValidationError(f"{row} belongs to another layout and cannot be moved; clone the layout instead.")


def listed(names: list[str]) -> str:
    """Return names as a sentence shows them: the first three and how many more."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
