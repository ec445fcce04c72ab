"""Rows of the description as JSON. Products are named by their catalogue id, everything else by its number."""

from collections.abc import Callable
from functools import partial

from django.db.models import Q
from rest_framework import serializers
from rest_framework.utils.model_meta import RelationInfo

from facility.api.known_fields import KnownFields
from facility.interchange import site_file
from facility.kinds import columns, product_kinds
from facility.models import (
    AirUnit,
    Cdu,
    CoolingPlant,
    CpuServer,
    Fabric,
    FloorFeature,
    Hall,
    Layout,
    Organisation,
    PowerFeed,
    Product,
    Rack,
    Site,
    Storage,
    Weather,
)
from facility.permissions import Right, organisations_where, visible_sites


class ProductField(serializers.SlugRelatedField):
    """A catalogue entry of some kinds, by its id."""

    default_error_messages = {"does_not_exist": "{value} is no catalogue entry of kind {kinds}."}

    def __init__(self, *kinds: str, **options) -> None:
        self.kinds = " or ".join(kinds)
        super().__init__(slug_field="slug", queryset=Product.objects.filter(kind__in=kinds), **options)

    def fail(self, key: str, **values) -> None:
        super().fail(key, **values | {"kinds": self.kinds})


class PartSerializer(KnownFields, serializers.ModelSerializer):
    """A part of a layout. `version` names the version of the layout that the change was made on."""

    version = serializers.IntegerField(
        required=False, write_only=True, help_text="Refuse the change if the layout has moved on. Optional."
    )

    def build_relational_field(self, field_name: str, relation_info: RelationInfo) -> tuple[Callable, dict]:
        """Name catalogue entries by their id, of the kinds that the model allows."""
        field, options = super().build_relational_field(field_name, relation_info)
        if relation_info.related_model is not Product:
            return field, options
        known = {name: options[name] for name in ("required", "allow_null", "help_text") if name in options}
        return partial(ProductField, *product_kinds(self.Meta.model, field_name)), known

    def get_fields(self) -> dict[str, serializers.Field]:
        """Limit references to what the caller may see; an invisible layout does not exist."""
        fields = super().get_fields()
        request = self.context.get("request")
        sites = visible_sites(request.user) if request else Site.objects.none()
        for field in fields.values():
            if not isinstance(field, serializers.PrimaryKeyRelatedField) or field.queryset is None:
                continue
            path = "site__in" if field.queryset.model is Layout else "layout__site__in"
            field.queryset = field.queryset.filter(**{path: sites})
        return fields


class WeatherSerializer(serializers.ModelSerializer):
    confidence = serializers.CharField(read_only=True, help_text=Weather._meta.get_field("confidence").help_text)

    class Meta:
        model = Weather
        fields = [
            "slug",
            "name",
            "source",
            "latitude_deg",
            "longitude_deg",
            "elevation_m",
            "utc_offset_h",
            "n_hours",
            "notes",
            "confidence",
        ]
        read_only_fields = fields


class WeatherUploadSerializer(KnownFields, serializers.Serializer):
    file = serializers.FileField(
        help_text="Every hour of a year: EPW, or a table with dry_bulb_degc; plain, gzip or in a ZIP."
    )
    name = serializers.CharField(required=False, allow_blank=True, max_length=160, help_text="Empty: the station's.")


class SiteSerializer(KnownFields, serializers.ModelSerializer):
    weather = serializers.SlugRelatedField(slug_field="slug", queryset=Weather.objects.defer("rows"))
    region = ProductField(*product_kinds(Site, "region"))
    organisation = serializers.SlugRelatedField(
        slug_field="slug",
        queryset=Organisation.objects.none(),
        required=False,
        allow_null=True,
        help_text=Site._meta.get_field("organisation").help_text,
    )

    class Meta:
        model = Site
        fields = ["id", *site_file.SITE_FIELDS, "organisation"]

    def get_fields(self) -> dict[str, serializers.Field]:
        """Limit weather to what ships and what belongs to visible sites, organisations to the caller's."""
        fields = super().get_fields()
        request = self.context.get("request")
        sites = visible_sites(request.user) if request else Site.objects.none()
        fields["weather"].queryset = Weather.objects.filter(Q(site=None) | Q(site__in=sites)).defer("rows")
        if request:
            fields["organisation"].queryset = organisations_where(request.user, Right.SEE)
        return fields


class LayoutSerializer(KnownFields, serializers.ModelSerializer):
    site = serializers.SlugRelatedField(slug_field="slug", queryset=Site.objects.all())
    expected_version = serializers.IntegerField(
        required=False, write_only=True, help_text="Refuse the change if the layout has moved on. Optional."
    )

    class Meta:
        model = Layout
        fields = [
            "id",
            "site",
            "slug",
            "name",
            "status",
            "notes",
            "design_hour",
            "design_dry_bulb_degc",
            "design_wet_bulb_degc",
            "cloned_from",
            "version",
            "updated_at",
            "expected_version",
        ]
        read_only_fields = ["cloned_from", "version", "updated_at"]

    def get_fields(self) -> dict[str, serializers.Field]:
        fields = super().get_fields()
        request = self.context.get("request")
        fields["site"].queryset = visible_sites(request.user) if request else Site.objects.none()
        return fields


class CloneSerializer(KnownFields, serializers.Serializer):
    name = serializers.CharField(max_length=160)
    slug = serializers.SlugField(max_length=80, required=False, help_text="Empty: made from the name.")


class HallSerializer(PartSerializer):
    class Meta:
        model = Hall
        fields = ["id", "layout", *columns(Hall), "version"]


class RackSerializer(PartSerializer):
    class Meta:
        model = Rack
        fields = ["id", *columns(Rack), "version"]


class RackRowSerializer(PartSerializer):
    """A row of equal racks, as `services.racks_create_row` takes it."""

    n_racks = serializers.IntegerField(min_value=1, max_value=500)
    pitch_m = serializers.FloatField(min_value=0.1, help_text="From rack to rack [m].")
    row = serializers.CharField(max_length=16, help_text="Racks become ROW-01, ROW-02 …")

    class Meta:
        model = Rack
        fields = [
            "hall",
            "row",
            "n_racks",
            "pitch_m",
            "role",
            "x_m",
            "y_m",
            "orientation_deg",
            "width_m",
            "depth_m",
            "product",
            "n_systems",
            "other_power_w",
            "cdu",
            "feed_a",
            "feed_b",
            "version",
        ]


class CduSerializer(PartSerializer):
    class Meta:
        model = Cdu
        fields = ["id", "layout", *columns(Cdu), "version"]


class PowerFeedSerializer(PartSerializer):
    class Meta:
        model = PowerFeed
        fields = ["id", "layout", *columns(PowerFeed), "version"]


class CoolingPlantSerializer(PartSerializer):
    class Meta:
        model = CoolingPlant
        fields = ["id", "layout", *columns(CoolingPlant), "version"]


class AirUnitSerializer(PartSerializer):
    class Meta:
        model = AirUnit
        fields = ["id", "layout", *columns(AirUnit), "version"]


class FloorFeatureSerializer(PartSerializer):
    class Meta:
        model = FloorFeature
        fields = ["id", "layout", *columns(FloorFeature), "version"]


class FabricSerializer(PartSerializer):
    class Meta:
        model = Fabric
        fields = ["id", "layout", *columns(Fabric), "version"]


class StorageSerializer(PartSerializer):
    class Meta:
        model = Storage
        fields = ["id", "layout", *columns(Storage), "version"]


class CpuServerSerializer(PartSerializer):
    class Meta:
        model = CpuServer
        fields = ["id", "layout", *columns(CpuServer), "version"]


class ProductSerializer(serializers.ModelSerializer):
    class Meta:
        model = Product
        fields = [
            "kind",
            "slug",
            "name",
            "vendor",
            "facts",
            "source",
            "confidence",
            "field_confidence",
            "notes",
            "updated_at",
        ]
        read_only_fields = fields


class FindingSerializer(serializers.Serializer):
    object_kind = serializers.CharField()
    object_id = serializers.IntegerField(allow_null=True)
    object_name = serializers.CharField()
    rule = serializers.CharField()
    severity = serializers.ChoiceField(["blocking", "risk", "hint"])
    value = serializers.FloatField(allow_null=True)
    limit = serializers.FloatField(allow_null=True)
    unit = serializers.CharField()
    message = serializers.CharField()


class AlternativeSerializer(serializers.Serializer):
    kind = serializers.CharField()
    slug = serializers.CharField()
    name = serializers.CharField()
    vendor = serializers.CharField()
    unit_price_usd = serializers.FloatField(allow_null=True)
    max_power_w = serializers.FloatField(allow_null=True)
    confidence = serializers.CharField()


class ItemSerializer(serializers.Serializer):
    kind = serializers.CharField(source="product.kind")
    slug = serializers.CharField(source="product.slug")
    name = serializers.CharField(source="product.name")
    vendor = serializers.CharField(source="product.vendor")
    used_for = serializers.CharField()
    quantity = serializers.FloatField()
    unit = serializers.CharField(help_text="Empty for pieces, m for busways.")
    unit_price_usd = serializers.FloatField(allow_null=True, help_text="Null: the catalogue has no price.")
    total_usd = serializers.FloatField(allow_null=True)
    price_confidence = serializers.CharField()
    source = serializers.CharField(source="product.source")
    alternatives = AlternativeSerializer(many=True)


class BillOfMaterialsSerializer(serializers.Serializer):
    items = ItemSerializer(many=True)
    total_usd = serializers.FloatField()
    without_price = serializers.ListField(
        child=serializers.CharField(), help_text="Products that the total leaves out."
    )


class FieldSerializer(serializers.Serializer):
    name = serializers.CharField()
    type = serializers.CharField()
    unit = serializers.CharField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    required = serializers.BooleanField()
    choices = serializers.ListField(child=serializers.CharField())
    meaning = serializers.CharField()


class KindSerializer(serializers.Serializer):
    name = serializers.CharField()
    title = serializers.CharField()
    n_entries = serializers.IntegerField()
    facts = FieldSerializer(many=True)
