"""Models and accelerators of one's own through the API: the same as `load_model` and the page."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response
from rest_framework.views import APIView

from facility.api.known_fields import KnownFields
from facility.api.schema import RefusalSchema
from facility.api.serializers import ProductSerializer
from facility.permissions import check_buy
from twin.interchange.own_products import OwnProductError, accelerator_add, model_add


class OwnModelSerializer(KnownFields, serializers.Serializer):
    """A model by the config.json beside its weights."""

    name = serializers.CharField(max_length=80, help_text="Becomes its id in lower case.")
    config = serializers.DictField(help_text="The config.json as it is.")
    source = serializers.CharField(required=False, default="", help_text="Where it comes from.")


class OwnAcceleratorSerializer(KnownFields, serializers.Serializer):
    """An accelerator by its data sheet; fields as in the catalogue."""

    name = serializers.CharField(max_length=80, help_text="Becomes its id in lower case.")
    vendor = serializers.CharField(max_length=80, required=False, default="")
    facts = serializers.DictField(help_text="Fields of kind `accelerators`: hbm_bytes, tdp_w and more.")
    source = serializers.CharField(help_text="The data sheet or measurement.")


class OwnModelView(APIView):
    """Add a model; parts of its network that cannot be represented are refused by name."""

    schema = RefusalSchema()

    @extend_schema(request=OwnModelSerializer, responses={201: ProductSerializer})
    def post(self, request) -> Response:
        check_buy(request.user)
        asked = OwnModelSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        try:
            product = model_add(
                config=given["config"], name=given["name"], source=given["source"] or "config.json sent to the API"
            )
        except OwnProductError as refusal:
            raise ValidationError({"config": [str(refusal)]}) from refusal
        return Response(ProductSerializer(product).data, status=status.HTTP_201_CREATED)


class OwnAcceleratorView(APIView):
    """Add an accelerator; its predictions carry the wide band of one without measured runs."""

    schema = RefusalSchema()

    @extend_schema(request=OwnAcceleratorSerializer, responses={201: ProductSerializer})
    def post(self, request) -> Response:
        check_buy(request.user)
        asked = OwnAcceleratorSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            product = accelerator_add(**asked.validated_data)
        except OwnProductError as refusal:
            raise ValidationError({"facts": [str(refusal)]}) from refusal
        return Response(ProductSerializer(product).data, status=status.HTTP_201_CREATED)
