"""Forms of the description. Each model form validates like the API and the site file: through the model's own rules.

Forms of parts take the layout they belong to, offer only what stands in it, and carry the layout's version, so that
`services.part_save(part=form.save(commit=False), version=form.cleaned_data["version"])` refuses a stale edit.
"""

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Case, When

from facility import services
from facility.entry import number_entry
from facility.entry.field_help import Described
from facility.entry.number_entry import NumberField, WholeNumberField
from facility.kinds import form_columns, label_of, product_kinds
from facility.models import (
    AirUnit,
    Cdu,
    CoolingPlant,
    CpuServer,
    Fabric,
    FloorFeature,
    Hall,
    Layout,
    Membership,
    Organisation,
    PowerFeed,
    Product,
    Rack,
    Site,
    Storage,
    Weather,
)
from facility.models.floor import ORIENTATIONS
from facility.permissions import Right, may_manage, organisations_where
from facility.places import distance_km, nearest_place
from facility.weather import WeatherError
from facility.weather_files import Where, read_upload, where_of

WEATHER_FILE = "an EPW file, or a table with dry_bulb_degc, relative_humidity_percent and pressure_pa by the hour"


class SiteForm(Described, forms.ModelForm):
    weather_file = forms.FileField(
        required=False,
        label="Measured year",
        help_text=f"Instead of a year above: {WEATHER_FILE}; plain, gzip or in a ZIP.",
    )

    class Meta:
        model = Site
        formfield_callback = number_entry.formfield
        fields = [
            "name",
            "slug",
            "place",
            "latitude_deg",
            "longitude_deg",
            "elevation_m",
            "weather",
            "region",
            "grid_limit_w",
            "repair_crews",
            "organisation",
            "notes",
        ]
        labels = {
            "latitude_deg": "Latitude",
            "longitude_deg": "Longitude",
            "elevation_m": "Elevation",
            "grid_limit_w": "Grid limit",
            "repair_crews": "Repair crews",
        }
        help_texts = {
            "slug": "Name in addresses, files and commands.",
            "latitude_deg": "North is positive.",
            "longitude_deg": "East is positive.",
            "weather": "One year of hourly weather.",
        }

    def __init__(self, *args, user=None, near: tuple[float, float] | None = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._offer_organisations(user)
        if self.instance.pk is None:
            self.fields["weather"].required = False  # a measured year may come with the form
            names = [name for name in self.fields if name != "weather_file"]
            after = names.index("weather") + 1
            self.order_fields([*names[:after], "weather_file", *names[after:]])
        else:
            del self.fields["weather_file"]  # its own page reads it
        shipped = Weather.objects.filter(site=None)
        own = Weather.objects.filter(site=self.instance) if self.instance.pk else Weather.objects.none()
        self.fields["weather"].queryset = (shipped | own).defer("rows")
        self.fields["repair_crews"].required = False  # a form of before it was asked keeps what is assumed
        if near is not None:
            self._offer_by_distance(*near)

    def _offer_by_distance(self, latitude_deg: float, longitude_deg: float) -> None:
        """Offer years of weather with their distance, the nearest first."""
        asked = self.fields["weather"]
        km = {year.pk: distance_km(latitude_deg, longitude_deg, year) for year in asked.queryset}
        order = [When(pk=pk, then=i) for i, pk in enumerate(sorted(km, key=km.__getitem__))]
        asked.queryset = asked.queryset.order_by(Case(*order, default=len(order)))
        asked.label_from_instance = lambda year: f"{year.name}, {km[year.pk]:,.0f} km away"

    def clean(self) -> dict:
        """A new site takes a year that ships or one from a file, which is read here."""
        cleaned = super().clean()
        upload = cleaned.get("weather_file")
        if upload is not None:
            self._read(upload)
        elif self.instance.pk is None and "weather" not in self.errors and cleaned.get("weather") is None:
            self.add_error("weather", "Choose a year of weather, or upload a measured one.")
        return cleaned

    def _read(self, upload) -> None:
        names = ("latitude_deg", "longitude_deg", "elevation_m")
        place = {name: self.cleaned_data.get(name) for name in names}
        if any(value is None for value in place.values()):
            return  # those fields say what is wrong with them
        zone_h = nearest_place(place["latitude_deg"], place["longitude_deg"]).utc_offset_h
        where = Where(self.cleaned_data.get("name", "the site"), **place, utc_offset_h=zone_h)
        try:
            self.cleaned_data["year"] = read_upload(upload, where)
        except WeatherError as error:
            self.add_error("weather_file", str(error))

    def _offer_organisations(self, user) -> None:
        """Offer the organisations that the user may put the site into, where the user may choose one."""
        own = organisations_where(user, Right.PLAN) if user is not None else Organisation.objects.none()
        asked = self.fields["organisation"]
        asked.queryset = own | Organisation.objects.filter(sites=self.instance.pk)
        asked.empty_label = "none"
        may_say = user is not None and (self.instance.pk is None or may_manage(user, self.instance))
        if not may_say or not asked.queryset.exists():
            del self.fields["organisation"]


class MemberForm(Described, forms.Form):
    """Who becomes a member, and in which role."""

    help_subjects = ("member",)
    user = forms.CharField(max_length=150, label="User name")
    role = forms.ChoiceField(choices=Membership.Role.choices)


class OrganisationForm(Described, forms.ModelForm):
    class Meta:
        model = Organisation
        fields = ["name", "slug"]
        help_texts = {"slug": "Name in addresses."}


class LayoutForm(Described, forms.ModelForm):
    """Name, status, notes and design hour of a layout; the site is set by the view before it is valid."""

    class Meta:
        model = Layout
        formfield_callback = number_entry.formfield
        fields = ["name", "slug", "status", "notes", "design_hour", "design_dry_bulb_degc", "design_wet_bulb_degc"]
        labels = {"design_dry_bulb_degc": "Design dry bulb", "design_wet_bulb_degc": "Design wet bulb"}
        help_texts = {"slug": "Name in addresses, files and commands."}

    def __init__(self, *args, site: Site, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.instance.site = site

    def _get_validation_exclusions(self) -> set[str]:
        return super()._get_validation_exclusions() - {"site"}  # a site has each slug once


class LayoutCloneForm(Described, forms.Form):
    help_subjects = ("layout_clone",)
    name = forms.CharField(max_length=160, help_text="What the copy is called.")
    slug = forms.SlugField(max_length=80, required=False, help_text="Empty: made from the name.")


class PartForm(Described, forms.ModelForm):
    """A part of a layout: references stay inside the layout, and its version travels along."""

    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args, layout: Layout, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if isinstance(self.instance, Rack):
            self.fields["hall"].queryset = layout.halls.all()
        else:
            self.instance.layout = layout
        self.fields["version"].initial = layout.version
        for name, field in self.fields.items():
            if name not in (self._meta.labels or {}):
                field.label = label_of(name) or field.label
        for name, queryset in parts_of(layout).items():
            if name in self.fields:
                self.fields[name].queryset = queryset
        if isinstance(self.instance, PowerFeed) and self.instance.pk:
            self.fields["parent"].queryset = layout.power_feeds.exclude(pk=self.instance.pk)

    def _get_validation_exclusions(self) -> set[str]:
        return super()._get_validation_exclusions() - {"layout"}  # a layout has each name once


def parts_of(layout: Layout) -> dict[str, object]:
    """Return what a reference of each name may point to."""
    feeds = layout.power_feeds.all()
    outlets = feeds.exclude(kind__in=PowerFeed.SOURCES)
    return {
        "hall": layout.halls.all(),
        "plant": layout.cooling_plants.all(),
        "cdu": layout.cdus.all(),
        "parent": feeds,
        "feed_a": outlets,
        "feed_b": outlets,
    }


class HallForm(PartForm):
    class Meta:
        model = Hall
        formfield_callback = number_entry.formfield
        fields = form_columns(Hall)
        labels = {
            "width_m": "Width",
            "depth_m": "Depth",
            "height_m": "Height",
            "tile_m": "Tile",
            "min_aisle_m": "Least aisle",
            "floor_load_limit_kg_per_m2": "Floor load limit",
            "supply_air_degc": "Supply air",
            "n_air_units": "Air units",
            "n_air_units_spare": "Spare air units",
            "leakage_frac": "Leakage [0–1]",
            "recirculation_frac": "Recirculation [0–1]",
            "lighting_w": "Lighting",
        }


class RackForm(PartForm):
    class Meta:
        model = Rack
        formfield_callback = number_entry.formfield
        fields = form_columns(Rack)
        labels = {
            "x_m": "x",
            "y_m": "y",
            "orientation_deg": "Front faces",
            "width_m": "Width",
            "depth_m": "Depth",
            "n_systems": "Systems",
            "other_power_w": "Other power",
            "accelerator_power_limit_w": "Power cap per accelerator",
            "load_share": "Load share",
            "coolant_flow_m3_per_s": "Coolant flow",
            "cdu": "CDU",
            "feed_a": "Feed A",
            "feed_b": "Feed B",
        }
        help_texts = {
            "cdu": "Cools the rack's liquid loop; empty for air only.",
            "feed_a": "Feed of side A.",
            "feed_b": "Feed of side B; empty: one side only.",
            "role": "What the rack is for.",
        }


class CduForm(PartForm):
    class Meta:
        model = Cdu
        formfield_callback = number_entry.formfield
        fields = form_columns(Cdu)
        labels = {
            "x_m": "x",
            "y_m": "y",
            "orientation_deg": "Front faces",
            "supply_degc": "Supply",
            "redundant_units": "Redundant units",
        }
        help_texts = {"plant": "Facility-water loop that takes its heat.", "coolant": "In the racks' loop."}


class PowerFeedForm(PartForm):
    class Meta:
        model = PowerFeed
        formfield_callback = number_entry.formfield
        fields = form_columns(PowerFeed)
        labels = {
            "rating_w": "Rating of one unit",
            "n_units": "Units",
            "length_m": "Length",
            "reserve_frac": "Reserve [0–1]",
        }
        help_texts = {
            "kind": "What it is in the chain from the utility to the racks.",
            "parent": "The feed that supplies it.",
            "redundancy": "How many of the group may fail at design load.",
        }


class CoolingPlantForm(PartForm):
    class Meta:
        model = CoolingPlant
        formfield_callback = number_entry.formfield
        fields = form_columns(CoolingPlant)
        labels = {
            "supply_degc": "Supply",
            "design_rise_k": "Design rise",
            "n_heat_rejection": "Coolers or towers",
            "n_heat_rejection_spare": "Spare coolers or towers",
            "n_chillers": "Chillers",
            "n_chillers_spare": "Spare chillers",
            "n_pumps": "Pumps",
            "n_pumps_spare": "Spare pumps",
            "tank_m3": "Buffer tank",
        }
        help_texts = {"coolant": "In the facility-water loop.", "economiser": "When chillers run."}


class AirUnitForm(PartForm):
    class Meta:
        model = AirUnit
        formfield_callback = number_entry.formfield
        fields = form_columns(AirUnit)
        labels = {
            "x_m": "x",
            "y_m": "y",
            "orientation_deg": "Blows to",
            "width_m": "Width",
            "depth_m": "Depth",
        }
        help_texts = {"hall": "Says how many units are installed and which product they are."}


class FloorFeatureForm(PartForm):
    class Meta:
        model = FloorFeature
        formfield_callback = number_entry.formfield
        fields = form_columns(FloorFeature)
        labels = {"x_m": "x", "y_m": "y", "width_m": "Width", "depth_m": "Depth"}


class FabricForm(PartForm):
    class Meta:
        model = Fabric
        formfield_callback = number_entry.formfield
        fields = form_columns(Fabric)
        labels = {
            "ports_per_accelerator": "Host ports per accelerator",
            "port_bits_per_s": "Speed of a host port",
        }
        help_texts = {"purpose": "What it carries."}


class CpuServerForm(PartForm):
    class Meta:
        model = CpuServer
        formfield_callback = number_entry.formfield
        fields = form_columns(CpuServer)
        labels = {"n_units": "Servers"}


class StorageForm(PartForm):
    class Meta:
        model = Storage
        formfield_callback = number_entry.formfield
        fields = form_columns(Storage)
        labels = {"n_units": "Units"}
        help_texts = {"purpose": "What it holds."}


class RackRowForm(Described, forms.Form):
    """A row of equal racks. `save` places them all or none."""

    help_subjects = ("rack_row", "rack")
    hall = forms.ModelChoiceField(Hall.objects.none(), help_text="Hall that the row stands in.")
    row = forms.CharField(max_length=16, help_text="Name of the row, e.g. A; racks become A-01, A-02 …")
    n_racks = WholeNumberField(
        label="Racks",
        min_value=1,
        max_value=services.MAX_ROW_RACKS,
        initial=12,
        help_text="How many stand side by side.",
    )
    role = forms.ChoiceField(choices=Rack.Role, initial=Rack.Role.COMPUTE, help_text="What the racks are for.")
    product = forms.ModelChoiceField(
        Product.objects.filter(kind__in=product_kinds(Rack, "product")),
        required=False,
        help_text="System in each rack; empty: only other power.",
    )
    n_systems = WholeNumberField(label="Systems", min_value=1, initial=1, help_text="In each rack.")
    other_power_w = NumberField(label="Other power", min_value=0, initial=0, help_text="In each rack [W].")
    x_m = NumberField(label="x", min_value=0, help_text="Left edge of the first rack [m].")
    y_m = NumberField(label="y", min_value=0, help_text="Lower edge of the first rack [m].")
    pitch_m = NumberField(label="Pitch", min_value=0.1, initial=0.6, help_text="From rack to rack [m].")
    orientation_deg = forms.TypedChoiceField(
        label="Front faces",
        choices=ORIENTATIONS,
        coerce=int,
        initial=0,
        help_text="0° smaller y, 90° larger x, 180° larger y, 270° smaller x; the row runs across.",
    )
    width_m = NumberField(label="Width", min_value=0.1, max_value=5, initial=0.6, help_text="Of a rack [m].")
    depth_m = NumberField(label="Depth", min_value=0.1, max_value=5, initial=1.2, help_text="Of a rack [m].")
    cdu = forms.ModelChoiceField(Cdu.objects.none(), label="CDU", required=False, help_text="Empty: air only.")
    feed_a = forms.ModelChoiceField(PowerFeed.objects.none(), label="Feed A", required=False, help_text="Side A.")
    feed_b = forms.ModelChoiceField(PowerFeed.objects.none(), label="Feed B", required=False, help_text="Side B.")
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args, layout: Layout, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["version"].initial = layout.version
        for name, queryset in parts_of(layout).items():
            if name in self.fields:
                self.fields[name].queryset = queryset

    def save(self, *, user=None) -> list[Rack] | None:
        """Place the row; on a refusal put its sentences on the form and return None.

        Raises
        ------
        StaleLayout
            If the layout has changed since the form was shown.
        """
        try:
            return services.racks_create_row(**self.cleaned_data, user=user)
        except ValidationError as error:
            self.add_errors(error)
            return None

    def add_errors(self, error: ValidationError) -> None:
        """Put each sentence beside its field, or above the form where the form has no such field."""
        by_field = error.message_dict if hasattr(error, "error_dict") else {None: error.messages}
        for name, messages in by_field.items():
            for message in messages:
                self.add_error(name if name in self.fields else None, message)


class WeatherUploadForm(Described, forms.Form):
    """A weather file for one site, read and checked; `year` is in the cleaned data."""

    help_subjects = ("weather",)
    name = forms.CharField(max_length=160, required=False, help_text="Empty: the station's name.")
    file = forms.FileField(
        label="Weather file",
        help_text=f"Every hour of a year: {WEATHER_FILE}; plain, gzip or in the ZIP that weather sites hand out.",
    )

    def __init__(self, *args, site: Site | None = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.where = site and where_of(site)

    def clean_file(self):
        upload = self.cleaned_data["file"]
        try:
            self.cleaned_data["year"] = read_upload(upload, self.where)
        except WeatherError as error:
            raise ValidationError(str(error)) from error
        return upload
