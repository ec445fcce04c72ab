"""REST resources of the description. Everything starts from the sites that the caller may see."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response
from rest_framework.views import APIView

from facility import services
from facility.api import serializers
from facility.api.guards import TaggedMixin, if_match
from facility.api.schema import RefusalSchema
from facility.bill_of_materials import bill_of_materials
from facility.catalogue import schema as catalogue_schema
from facility.interchange import documents
from facility.interchange.site_file import site_document
from facility.models import (
    AirUnit,
    Cdu,
    CoolingPlant,
    CpuServer,
    Fabric,
    FloorFeature,
    Hall,
    Layout,
    PowerFeed,
    Product,
    Rack,
    Site,
    Storage,
    Weather,
)
from facility.permissions import check_change_site, visible_sites
from facility.weather import WeatherError
from facility.weather_files import read_upload, where_of

Serializer = serializers.serializers.Serializer


def yaml_answer(document: dict, name: str) -> HttpResponse:
    """Return a document as a YAML download."""
    answer = HttpResponse(documents.write(document), content_type="application/yaml; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}.yaml"'
    return answer


class SiteViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.CreateModelMixin,
    mixins.UpdateModelMixin,
    viewsets.GenericViewSet,
):
    """Sites that the caller may see. Who creates one becomes its owner."""

    schema = RefusalSchema()
    queryset = Site.objects.none()
    serializer_class = serializers.SiteSerializer
    lookup_field = "slug"
    filterset_fields = ["region__slug"]

    def get_queryset(self):
        return (
            visible_sites(self.request.user)
            .select_related("weather", "region", "organisation")
            .defer("weather__rows")
            .order_by("slug")
        )

    def perform_create(self, serializer: Serializer) -> None:
        serializer.instance = services.site_create(site=Site(**serializer.validated_data), user=self.request.user)

    def perform_update(self, serializer: Serializer) -> None:
        check_change_site(self.request.user, serializer.instance)
        serializer.instance = services.site_update(site=changed(serializer), user=self.request.user)

    @extend_schema(request=serializers.WeatherUploadSerializer, responses={201: serializers.WeatherSerializer})
    @action(detail=True, methods=["post"], parser_classes=[MultiPartParser])
    def weather(self, request, slug: str):
        """Upload a year of weather as an EPW file or a table (multipart, field `file`)."""
        site = self.get_object()
        check_change_site(request.user, site)
        form = serializers.WeatherUploadSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        upload = form.validated_data["file"]
        try:
            year = read_upload(upload, where_of(site))
        except WeatherError as error:
            raise ValidationError({"file": [str(error)]}) from error
        weather = services.weather_create(
            site=site, year=year, name=form.validated_data.get("name", ""), user=request.user
        )
        return Response(serializers.WeatherSerializer(weather).data, status=status.HTTP_201_CREATED)


def changed(serializer: Serializer):
    """Return the serializer's row with its new values, unsaved."""
    row = serializer.instance
    for name, value in serializer.validated_data.items():
        setattr(row, name, value)
    return row


class LayoutFilter(filters.FilterSet):
    site = filters.CharFilter("site__slug")

    class Meta:
        model = Layout
        fields = ["site", "status", "slug"]


class LayoutViewSet(TaggedMixin, viewsets.ModelViewSet):
    """Named alternatives of a site."""

    schema = RefusalSchema()
    queryset = Layout.objects.none()
    serializer_class = serializers.LayoutSerializer
    filterset_class = LayoutFilter

    def get_queryset(self):
        visible = Layout.objects.filter(site__in=visible_sites(self.request.user))
        return visible.select_related("site").order_by("site__slug", "slug")

    def perform_create(self, serializer: Serializer) -> None:
        fields = dict(serializer.validated_data)
        fields.pop("expected_version", None)
        serializer.instance = self.tagged = services.layout_create(layout=Layout(**fields), user=self.request.user)

    def perform_update(self, serializer: Serializer) -> None:
        check_change_site(self.request.user, serializer.instance.site)
        version = serializer.validated_data.pop("expected_version", None)
        tag = if_match(self.request, version=version)
        if serializer.validated_data.get("site", serializer.instance.site) != serializer.instance.site:
            raise ValidationError({"site": ["A layout stays at its site; clone it or import it there."]})
        serializer.instance = services.layout_update(
            layout=changed(serializer), version=version, if_match=tag, user=self.request.user
        )
        self.tagged = serializer.instance

    def perform_destroy(self, instance: Layout) -> None:
        services.layout_delete(layout=instance, if_match=if_match(self.request), user=self.request.user)

    @extend_schema(request=serializers.CloneSerializer, responses={201: serializers.LayoutSerializer})
    @action(detail=True, methods=["post"])
    def clone(self, request, pk: str):
        """Copy the layout with everything in it."""
        layout = self.get_object()
        check_change_site(request.user, layout.site)
        form = serializers.CloneSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        copy = services.layout_clone(
            layout=layout,
            name=form.validated_data["name"],
            slug=form.validated_data.get("slug") or None,
            user=request.user,
        )
        return Response(self.get_serializer(copy).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses=serializers.BillOfMaterialsSerializer, filters=False)
    @action(detail=True, methods=["get"], url_path="bill-of-materials", pagination_class=None)
    def bill_of_materials(self, request, pk: str):
        """Products with counts, prices, and alternatives of the same kind and size."""
        return Response(serializers.BillOfMaterialsSerializer(bill_of_materials(self.get_object())).data)

    @extend_schema(responses={(200, "application/yaml"): OpenApiTypes.OBJECT}, filters=False)
    @action(detail=True, methods=["get"])
    def export(self, request, pk: str):
        """The site with this layout alone as a YAML file."""
        layout = self.get_object()
        return yaml_answer(site_document(layout.site, only=layout), f"{layout.site.slug}-{layout.slug}")


class PartViewSet(TaggedMixin, viewsets.ModelViewSet):
    """A part of layouts. Changes are checked against the rest of the layout and raise its version by one."""

    schema = RefusalSchema()

    def get_queryset(self):
        return self.queryset.filter(layout__site__in=visible_sites(self.request.user))

    def _save(self, serializer: Serializer, part) -> None:
        check_change_site(self.request.user, services.layout_of(part).site)
        version = serializer.validated_data.pop("version", None)
        for name, value in serializer.validated_data.items():
            setattr(part, name, value)
        if part.pk is None:  # a new part's layout comes with its values
            check_change_site(self.request.user, services.layout_of(part).site)
        tag = if_match(self.request, version=version) if part.pk else None
        fields = set(serializer.validated_data)
        serializer.instance = services.part_save(
            part=part, version=version, fields=fields, if_match=tag, user=self.request.user
        )
        self.tagged = serializer.instance

    def perform_create(self, serializer: Serializer) -> None:
        where = {
            name: serializer.validated_data[name] for name in ("layout", "hall") if name in serializer.validated_data
        }
        self._save(serializer, serializer.Meta.model(**where))

    def perform_update(self, serializer: Serializer) -> None:
        self._save(serializer, serializer.instance)

    def perform_destroy(self, instance) -> None:
        services.part_delete(part=instance, if_match=if_match(self.request), user=self.request.user)


class PartFilter(filters.FilterSet):
    layout = filters.NumberFilter("layout_id")
    site = filters.CharFilter("layout__site__slug")
    name = filters.CharFilter("name")


class HallViewSet(PartViewSet):
    """Rooms with a floor, an air system and limits."""

    queryset = Hall.objects.select_related("air_unit").order_by("layout_id", "name")
    serializer_class = serializers.HallSerializer
    filterset_class = PartFilter


class CduViewSet(PartViewSet):
    """Coolant distribution units."""

    queryset = Cdu.objects.select_related("product").order_by("layout_id", "name")
    serializer_class = serializers.CduSerializer
    filterset_class = PartFilter


class PowerFeedViewSet(PartViewSet):
    """Nodes of the feed tree."""

    queryset = PowerFeed.objects.select_related("product").order_by("layout_id", "name")
    serializer_class = serializers.PowerFeedSerializer
    filterset_class = PartFilter


class CoolingPlantViewSet(PartViewSet):
    """Facility-water loops."""

    queryset = CoolingPlant.objects.select_related("heat_rejection", "chiller", "pump").order_by("layout_id", "name")
    serializer_class = serializers.CoolingPlantSerializer
    filterset_class = PartFilter


class AirUnitViewSet(PartViewSet):
    """Where air units stand. The hall says how many there are and which product they are."""

    queryset = AirUnit.objects.order_by("layout_id", "name")
    serializer_class = serializers.AirUnitSerializer
    filterset_class = PartFilter


class FloorFeatureViewSet(PartViewSet):
    """Walls, keep-outs and aisles."""

    queryset = FloorFeature.objects.order_by("layout_id", "name")
    serializer_class = serializers.FloorFeatureSerializer
    filterset_class = PartFilter


class FabricViewSet(PartViewSet):
    """Networks between hosts, sized from the racks that stand."""

    queryset = Fabric.objects.select_related("leaf", "spine", "optics", "cable").order_by("layout_id", "name")
    serializer_class = serializers.FabricSerializer
    filterset_class = PartFilter


class StorageViewSet(PartViewSet):
    """Storage: what holds weights and data sets, and the tier that keeps what paused sessions had cached."""

    queryset = Storage.objects.select_related("product").order_by("layout_id", "name")
    serializer_class = serializers.StorageSerializer
    filterset_class = PartFilter


class CpuServerViewSet(PartViewSet):
    """CPU servers: where agents' tools, routers and planners run."""

    queryset = CpuServer.objects.select_related("product").order_by("layout_id", "name")
    serializer_class = serializers.CpuServerSerializer
    filterset_class = PartFilter


class RackFilter(filters.FilterSet):
    layout = filters.NumberFilter("hall__layout_id")
    site = filters.CharFilter("hall__layout__site__slug")
    hall = filters.NumberFilter("hall_id")
    cdu = filters.NumberFilter("cdu_id")
    row = filters.CharFilter("row")
    role = filters.ChoiceFilter(choices=Rack.Role)
    product = filters.CharFilter("product__slug")


class RackViewSet(PartViewSet):
    """Racks on the floor."""

    queryset = Rack.objects.select_related("product", "hall__layout").order_by("hall_id", "row", "name")
    serializer_class = serializers.RackSerializer
    filterset_class = RackFilter

    def get_queryset(self):
        return self.queryset.filter(hall__layout__site__in=visible_sites(self.request.user))

    @extend_schema(
        request=serializers.RackRowSerializer, responses={201: serializers.RackSerializer(many=True)}, filters=False
    )
    @action(detail=False, methods=["post"], pagination_class=None)
    def row(self, request):
        """Place a row of equal racks; all or none."""
        form = serializers.RackRowSerializer(data=request.data, context=self.get_serializer_context())
        form.is_valid(raise_exception=True)
        check_change_site(request.user, form.validated_data["hall"].layout.site)
        racks = services.racks_create_row(**form.validated_data, user=request.user)
        return Response(self.get_serializer(racks, many=True).data, status=status.HTTP_201_CREATED)


class WeatherViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """Years of weather: those that ship, and those uploaded for the caller's sites."""

    schema = RefusalSchema()
    queryset = Weather.objects.none()
    serializer_class = serializers.WeatherSerializer
    lookup_field = "slug"

    def get_queryset(self):
        shipped, own = (
            Weather.objects.filter(site=None),
            Weather.objects.filter(site__in=visible_sites(self.request.user)),
        )
        return (shipped | own).defer("rows").order_by("slug")


class ProductFilter(filters.FilterSet):
    kind = filters.ChoiceFilter(choices=[(name, kind.title) for name, kind in catalogue_schema.KINDS.items()])
    vendor = filters.CharFilter(lookup_expr="iexact")
    name = filters.CharFilter(lookup_expr="icontains")
    confidence = filters.CharFilter()


class ProductListView(ListAPIView):
    """Catalogue entries with source and confidence."""

    schema = RefusalSchema()
    queryset = Product.objects.order_by("kind", "slug")
    serializer_class = serializers.ProductSerializer
    filterset_class = ProductFilter


class ProductView(RetrieveAPIView):
    """One catalogue entry."""

    schema = RefusalSchema()
    queryset = Product.objects.all()
    serializer_class = serializers.ProductSerializer

    def get_object(self) -> Product:
        return get_object_or_404(Product, kind=self.kwargs["kind"], slug=self.kwargs["slug"])


class KindListView(APIView):
    """Kinds of catalogue entries with their fields: unit, range and meaning."""

    schema = RefusalSchema()

    @extend_schema(responses=serializers.KindSerializer(many=True))
    def get(self, request):
        counts: dict[str, int] = {}
        for kind in Product.objects.values_list("kind", flat=True).order_by():
            counts[kind] = counts.get(kind, 0) + 1
        kinds = [
            {"name": kind.name, "title": kind.title, "n_entries": counts.get(kind.name, 0), "facts": facts_of(kind)}
            for kind in catalogue_schema.KINDS.values()
        ]
        return Response(serializers.KindSerializer(kinds, many=True).data)


def facts_of(kind: catalogue_schema.Kind) -> list[dict]:
    """Return the fields of a kind as the API shows them."""
    described = [catalogue_schema.field(kind.name, name) for name in (*kind.required, *kind.optional)]
    return [
        {
            "name": field.name,
            "type": field.type,
            "unit": field.unit,
            "low": field.low,
            "high": field.high,
            "required": field.name in kind.required,
            "choices": list(field.choices),
            "meaning": field.meaning,
        }
        for field in described
    ]
