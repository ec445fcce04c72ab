"""Organisations and the members of sites and organisations, for programs; the pages are `facility.views.members`."""

from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from facility import members
from facility.api.guards import TaggedMixin, if_match
from facility.api.known_fields import KnownFields
from facility.api.schema import RefusalSchema
from facility.models import Membership, Organisation, Site
from facility.permissions import Right, check_manage, organisations_where, visible_sites


class OrganisationSerializer(KnownFields, serializers.ModelSerializer):
    """Who sites belong to."""

    class Meta:
        model = Organisation
        fields = ["slug", "name"]


class MembershipSerializer(serializers.ModelSerializer):
    """A user's role on a site, or on every site of an organisation."""

    user = serializers.SlugRelatedField(slug_field="username", read_only=True)
    site = serializers.SlugRelatedField(slug_field="slug", read_only=True, allow_null=True)
    organisation = serializers.SlugRelatedField(slug_field="slug", read_only=True, allow_null=True)

    class Meta:
        model = Membership
        fields = ["id", "user", "role", "site", "organisation"]
        read_only_fields = fields


class MembershipCreateSerializer(KnownFields, serializers.Serializer):
    """Who gets which role where: a site or an organisation is named, not both."""

    user = serializers.CharField(max_length=150, help_text="The user name of somebody who can sign in.")
    role = serializers.ChoiceField(choices=Membership.Role.choices)
    site = serializers.SlugRelatedField(slug_field="slug", queryset=Site.objects.none(), required=False)
    organisation = serializers.SlugRelatedField(slug_field="slug", queryset=Organisation.objects.none(), required=False)

    def get_fields(self) -> dict[str, serializers.Field]:
        """Limit places to what the caller may see."""
        fields = super().get_fields()
        if request := self.context.get("request"):
            fields["site"].queryset = visible_sites(request.user)
            fields["organisation"].queryset = organisations_where(request.user, Right.SEE)
        return fields

    def validate(self, given: dict) -> dict:
        """Name one place."""
        if len({"site", "organisation"} & set(given)) != 1:
            raise ValidationError({"site": ["Name a site or an organisation, not both."]})
        return given


class RoleSerializer(KnownFields, serializers.ModelSerializer):
    """The role that a member gets."""

    class Meta:
        model = Membership
        fields = ["role"]
        extra_kwargs = {"role": {"required": True}}


class OrganisationViewSet(
    TaggedMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.CreateModelMixin,
    mixins.UpdateModelMixin,
    viewsets.GenericViewSet,
):
    """Organisations that the caller belongs to. Administrators found them, owners rename them."""

    schema = RefusalSchema()
    queryset = Organisation.objects.none()
    serializer_class = OrganisationSerializer
    lookup_field = "slug"
    http_method_names = ["get", "head", "options", "post", "patch"]  # none is replaced or dropped by a program

    def get_queryset(self):
        return organisations_where(self.request.user, Right.SEE).order_by("slug")

    def create(self, request: Request, *args, **kwargs) -> Response:
        """Found an organisation; for administrators."""
        members.check_found_organisation(request.user)
        return super().create(request, *args, **kwargs)

    def perform_create(self, serializer) -> None:
        made = Organisation(**serializer.validated_data)
        serializer.instance = self.tagged = members.organisation_create(organisation=made, user=self.request.user)

    def perform_update(self, serializer) -> None:
        check_manage(self.request.user, serializer.instance)
        for name, value in serializer.validated_data.items():
            setattr(serializer.instance, name, value)
        serializer.instance = self.tagged = members.organisation_update(
            organisation=serializer.instance, if_match=if_match(self.request), user=self.request.user
        )


class MembershipViewSet(
    TaggedMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    viewsets.GenericViewSet,
):
    """Members of the sites and organisations that the caller owns, and their roles."""

    schema = RefusalSchema()
    queryset = Membership.objects.none()
    serializer_class = MembershipSerializer
    filterset_fields = ["site__slug", "organisation__slug", "role"]

    def get_queryset(self):
        rows = members.managed_memberships(self.request.user)
        return rows.select_related("user", "site", "organisation").order_by("id")

    @extend_schema(request=MembershipCreateSerializer, responses={201: MembershipSerializer})
    def create(self, request: Request, *_, **__) -> Response:
        """Add a member, or give the one that is there the role."""
        asked = MembershipCreateSerializer(data=request.data, context=self.get_serializer_context())
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        self.tagged = members.member_add(
            place=given.get("site") or given["organisation"],
            username=given["user"],
            role=given["role"],
            user=request.user,
        )
        return Response(self.get_serializer(self.tagged).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=RoleSerializer, responses=MembershipSerializer)
    def partial_update(self, request: Request, *_, **__) -> Response:
        """Give a member another role."""
        membership = self.get_object()
        asked = RoleSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        self.tagged = members.member_update(
            membership=membership,
            role=asked.validated_data["role"],
            if_match=if_match(request),
            user=request.user,
        )
        return Response(self.get_serializer(self.tagged).data)

    def perform_destroy(self, instance: Membership) -> None:
        members.member_remove(membership=instance, if_match=if_match(self.request), user=self.request.user)
