"""Towns to describe a site from, under /api/places/."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response
from rest_framework.views import APIView

from facility import places
from facility.api.schema import RefusalSchema


class NearWeatherSerializer(serializers.Serializer):
    """A shipped year of weather near a place."""

    slug = serializers.CharField()
    name = serializers.CharField()
    confidence = serializers.CharField(help_text="`estimated`: made from monthly normals.")
    distance_km = serializers.FloatField()


class PlaceSerializer(serializers.Serializer):
    """A town at its airport, as fields of a new site."""

    code = serializers.CharField(help_text="IATA code of the airport.")
    name = serializers.CharField()
    place = serializers.CharField(help_text="Town, subdivision and country.")
    country = serializers.CharField(help_text="ISO 3166, two letters.")
    latitude_deg = serializers.FloatField()
    longitude_deg = serializers.FloatField()
    elevation_m = serializers.FloatField(help_text="Of the airport.")
    time_zone = serializers.CharField()
    utc_offset_h = serializers.FloatField(help_text="Of its standard time.")
    region = serializers.CharField(allow_null=True, help_text="Catalogue id; null where the catalogue has none of it.")
    source = serializers.CharField()
    weather = NearWeatherSerializer(many=True, help_text="The nearest shipped years, nearest first.")


class PlaceListView(APIView):
    """Towns that a text names, with the region of prices and the weather that a site there would take."""

    schema = RefusalSchema()

    @extend_schema(
        parameters=[
            OpenApiParameter("search", str, required=True, description="2 to 60 letters of a town or airport.")
        ],
        responses=PlaceSerializer(many=True),
    )
    def get(self, request):
        try:
            found = places.search(request.query_params.get("search", ""))
        except places.PlaceError as error:
            raise ValidationError({"search": [str(error)]}) from error
        return Response(PlaceSerializer([_row(place) for place in found], many=True).data)


def _row(place: places.Place) -> dict[str, object]:
    near = places.nearest_weather(place.latitude_deg, place.longitude_deg)[: places.NEAREST]
    region = places.region_of(place)
    own = [name for name in PlaceSerializer().fields if hasattr(place, name)]
    return {name: getattr(place, name) for name in own} | {
        "region": region and region.slug,
        "source": places.SOURCE,
        "weather": [
            {"slug": year.slug, "name": year.name, "confidence": year.confidence, "distance_km": round(km, 1)}
            for year, km in near
        ],
    }
