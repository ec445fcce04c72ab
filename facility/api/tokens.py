"""A user's own tokens: made, listed and revoked by programs, as on the account page."""

from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from facility.api.known_fields import KnownFields
from facility.api.schema import RefusalSchema
from facility.models import ApiToken, Site
from facility.permissions import visible_sites
from facility.tokens import MOST_DAYS, own_tokens, token_issue


class TokenSerializer(serializers.ModelSerializer):
    """A token without its secret, of which only a hash is kept."""

    sites = serializers.SlugRelatedField(
        slug_field="slug", many=True, read_only=True, help_text="Empty: all that its user may see."
    )

    class Meta:
        model = ApiToken
        fields = [
            "id",
            "name",
            "prefix",
            "read_only",
            "require_if_match",
            "sites",
            "created_at",
            "expires_at",
            "last_used_at",
        ]
        read_only_fields = fields


class NewTokenSerializer(TokenSerializer):
    """A token that was just made, with its secret."""

    secret = serializers.CharField(help_text="Sent as `Authorization: Token …`. It is not given out again.")

    class Meta(TokenSerializer.Meta):
        fields = [*TokenSerializer.Meta.fields, "secret"]


class TokenCreateSerializer(KnownFields, serializers.Serializer):
    """What a token is for and how long."""

    name = serializers.CharField(max_length=80, help_text="Program that uses the token.")
    read_only = serializers.BooleanField(default=True, help_text="False: it may change what its user may change.")
    require_if_match = serializers.BooleanField(
        default=False, help_text="Refuse changes that name no version they are based on (If-Match or version)."
    )
    sites = serializers.SlugRelatedField(
        slug_field="slug",
        many=True,
        required=False,
        queryset=Site.objects.none(),
        help_text="Empty: all that the user may see; by a token that is limited to sites: those.",
    )
    days = serializers.IntegerField(
        default=ApiToken.LIFE.days,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_DAYS)],
        help_text="How long it is valid; by a token: never longer than that one.",
    )

    def get_fields(self) -> dict[str, serializers.Field]:
        """Limit sites to what the caller may see."""
        fields = super().get_fields()
        request = self.context.get("request")
        if request:
            fields["sites"].child_relation.queryset = visible_sites(request.user)
        return fields


class TokenViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    viewsets.GenericViewSet,
):
    """The caller's own tokens. A program that is limited to some sites sees its own only."""

    schema = RefusalSchema()
    queryset = ApiToken.objects.none()
    serializer_class = TokenSerializer

    def get_queryset(self):
        return own_tokens(self.request.user)

    @extend_schema(request=TokenCreateSerializer, responses={201: NewTokenSerializer})
    def create(self, request: Request, *_: Any, **__: Any) -> Response:
        """Make a token; the answer holds its secret, which is not given out again."""
        asked = TokenCreateSerializer(data=request.data, context=self.get_serializer_context())
        asked.is_valid(raise_exception=True)
        token, secret = token_issue(user=request.user, **asked.validated_data)
        token.secret = secret
        answer = Response(NewTokenSerializer(token).data, status=status.HTTP_201_CREATED)
        answer["Cache-Control"] = "no-store"
        return answer
