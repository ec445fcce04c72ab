"""The engineer's console for the description. Saving goes through the same services as pages and API."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models, transaction
from django.db.models import Count
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import capfirst, slugify

from facility import services
from facility.entry.units import stored_label
from facility.models import (
    AirUnit,
    ApiToken,
    Cdu,
    CoolingPlant,
    CpuServer,
    EditRecord,
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
from facility.permissions import check_status, may_change_site, visible_sites

NUMBERS = (models.FloatField, models.IntegerField)


class StoredUnits:
    """Of forms in SI: a number's label says the unit that it is stored in."""

    def formfield_for_dbfield(self, db_field, request: HttpRequest, **options):
        field = super().formfield_for_dbfield(db_field, request, **options)
        if field is not None and isinstance(db_field, NUMBERS):
            field.label = capfirst(stored_label(db_field.name, str(db_field.verbose_name)))
        return field


class SiteBound(StoredUnits):
    """Of rows that belong to a site: the console shows and takes only what its user may see and change there."""

    site_path = "site"  # from the row to its site; empty: it is the site

    def get_queryset(self, request: HttpRequest):
        rows = super().get_queryset(request)
        if request.user.is_superuser:
            return rows
        sites = visible_sites(request.user).values("pk")
        return rows.filter(**{f"{self.site_path}__in" if self.site_path else "pk__in": sites})

    def _may(self, request: HttpRequest, obj) -> bool:
        for name in self.site_path.split("__") if obj is not None and self.site_path else ():
            obj = getattr(obj, name)
        return obj is None or may_change_site(request.user, obj)

    def has_change_permission(self, request: HttpRequest, obj=None) -> bool:
        return super().has_change_permission(request, obj) and self._may(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj=None) -> bool:
        return super().has_delete_permission(request, obj) and self._may(request, obj)

    def save_model(self, request: HttpRequest, obj, form, change: bool) -> None:
        if not self._may(request, obj if obj.pk or self.site_path else None):  # where it would belong from now on
            raise PermissionDenied("You don't have permission to change that site.")
        super().save_model(request, obj, form, change)


class ForSuperusers:
    """Of rows that grant rights: whoever may write them has every right."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    has_view_permission = has_add_permission = has_change_permission = has_delete_permission = (
        lambda self, request, obj=None: request.user.is_superuser
    )


class MembershipInline(ForSuperusers, admin.TabularInline):
    model = Membership
    fields = ["user", "role"]
    raw_id_fields = ["user"]
    extra = 0


@admin.register(Organisation)
class OrganisationAdmin(ForSuperusers, admin.ModelAdmin):
    list_display = ["name", "slug"]
    search_fields = ["name", "slug"]
    inlines = [MembershipInline]


@admin.register(Site)
class SiteAdmin(SiteBound, admin.ModelAdmin):
    site_path = ""
    list_display = ["name", "slug", "place", "region", "weather", "grid_limit_mw", "n_layouts"]
    list_select_related = ["region", "weather"]
    search_fields = ["name", "slug", "place"]
    raw_id_fields = ["region", "weather", "organisation"]
    inlines = [MembershipInline]

    def get_readonly_fields(self, request: HttpRequest, obj=None) -> list[str]:
        """The organisation is changed by the site's owners on its page, which keeps the site in one."""
        return [] if request.user.is_superuser else ["organisation"]

    def get_queryset(self, request: HttpRequest):
        return super().get_queryset(request).defer("weather__rows").annotate(layouts_count=Count("layouts"))

    @admin.display(description="Grid limit [MW]", ordering="grid_limit_w")
    def grid_limit_mw(self, site: Site) -> str:
        return f"{site.grid_limit_w / 1e6:g}"

    @admin.display(description="Layouts", ordering="layouts_count")
    def n_layouts(self, site: Site) -> int:
        return site.layouts_count


@admin.register(Layout)
class LayoutAdmin(SiteBound, admin.ModelAdmin):
    list_display = ["name", "site", "slug", "status", "version", "updated_at", "findings"]
    list_select_related = ["site"]
    list_filter = ["status", "site"]
    search_fields = ["name", "slug", "site__name"]
    raw_id_fields = ["site", "cloned_from"]
    readonly_fields = ["version", "updated_at"]
    actions = ["clone"]

    def save_model(self, request: HttpRequest, obj: Layout, form, change: bool) -> None:
        before = Layout.objects.get(pk=obj.pk).status if change else Layout.Status.PROPOSED
        check_status(request.user, obj.site, before, obj.status)
        super().save_model(request, obj, form, change)

    def has_delete_permission(self, request: HttpRequest, obj: Layout | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj is not None and obj.is_frozen)

    def delete_model(self, request: HttpRequest, obj: Layout) -> None:
        with _refused():
            services.layout_delete(layout=obj, user=request.user)

    def delete_queryset(self, request: HttpRequest, queryset) -> None:
        with _refused(), transaction.atomic():
            for layout in queryset:
                services.layout_delete(layout=layout, user=request.user)

    @admin.action(description="Clone selected layouts", permissions=["add"])
    def clone(self, request: HttpRequest, queryset) -> None:
        for layout in queryset.select_related("site"):
            name = f"{layout.name} (copy {timezone.now():%Y-%m-%d %H:%M:%S})"
            try:
                copy = services.layout_clone(layout=layout, name=name, slug=slugify(name)[-80:], user=request.user)
            except ValidationError as error:
                self.message_user(request, f"{layout}: {'; '.join(error.messages)}", messages.ERROR)
            else:
                self.message_user(request, f"{layout} is now also {copy.path}.")

    @admin.display(description="findings")
    def findings(self, layout: Layout) -> str:
        return format_html(
            '<a href="{}">Findings</a>', reverse("layout-findings", args=[layout.site.slug, layout.slug])
        )


class PartAdmin(SiteBound, admin.ModelAdmin):
    """A part of a layout: forms check it, and the service that saves it counts the layout's version."""

    site_path = "layout__site"
    search_fields = ["name"]

    def has_change_permission(self, request: HttpRequest, obj=None) -> bool:
        return super().has_change_permission(request, obj) and not _stands_frozen(obj)

    def has_delete_permission(self, request: HttpRequest, obj=None) -> bool:
        return super().has_delete_permission(request, obj) and not _stands_frozen(obj)

    def save_model(self, request: HttpRequest, obj, form, change: bool) -> None:
        with _refused():
            services.part_save(part=obj, user=request.user)

    def delete_model(self, request: HttpRequest, obj) -> None:
        with _refused():
            services.part_delete(part=obj, user=request.user)

    def delete_queryset(self, request: HttpRequest, queryset) -> None:
        with _refused(), transaction.atomic():
            for part in queryset:
                services.part_delete(part=part, user=request.user)


def _stands_frozen(part) -> bool:
    return part is not None and services.layout_of(part).is_frozen


@contextmanager
def _refused() -> Iterator[None]:
    """Answer 403 with the sentence where the layout is frozen: these pages cannot refuse once a form is valid."""
    try:
        yield
    except services.FrozenLayout as frozen:
        raise PermissionDenied(frozen.message) from frozen


@admin.register(Hall)
class HallAdmin(PartAdmin):
    list_display = ["name", "layout", "width_m", "depth_m", "containment", "supply_air_degc", "air_unit", "n_air_units"]
    list_select_related = ["layout__site", "air_unit"]
    list_filter = ["containment"]
    raw_id_fields = ["layout", "air_unit", "plant"]


@admin.register(Rack)
class RackAdmin(PartAdmin):
    site_path = "hall__layout__site"
    list_display = ["name", "hall", "row", "role", "product", "n_systems", "x_m", "y_m", "cdu", "feed_a", "feed_b"]
    list_select_related = ["hall__layout__site", "product", "cdu", "feed_a", "feed_b"]
    list_filter = ["role", "hall__layout__site"]
    search_fields = ["name", "row", "hall__name"]
    raw_id_fields = ["hall", "product", "cdu", "feed_a", "feed_b"]


@admin.register(Cdu)
class CduAdmin(PartAdmin):
    list_display = ["name", "layout", "hall", "product", "group", "redundant_units", "supply_degc", "plant"]
    list_select_related = ["layout__site", "hall", "product", "plant"]
    raw_id_fields = ["layout", "hall", "product", "plant"]


@admin.register(PowerFeed)
class PowerFeedAdmin(PartAdmin):
    list_display = [
        "name",
        "layout",
        "kind",
        "parent",
        "product",
        "rating_w",
        "n_units",
        "redundancy_group",
        "redundancy",
    ]
    list_select_related = ["layout__site", "parent", "product"]
    list_filter = ["kind", "redundancy"]
    raw_id_fields = ["layout", "parent", "product", "hall"]


@admin.register(CoolingPlant)
class CoolingPlantAdmin(PartAdmin):
    list_display = ["name", "layout", "supply_degc", "economiser", "heat_rejection", "n_heat_rejection", "n_chillers"]
    list_select_related = ["layout__site", "heat_rejection"]
    list_filter = ["economiser"]
    raw_id_fields = ["layout", "heat_rejection", "chiller", "pump"]


@admin.register(AirUnit)
class AirUnitAdmin(PartAdmin):
    list_display = ["name", "layout", "hall", "x_m", "y_m", "orientation_deg", "width_m", "depth_m"]
    list_select_related = ["layout__site", "hall"]
    raw_id_fields = ["layout", "hall"]


@admin.register(FloorFeature)
class FloorFeatureAdmin(PartAdmin):
    list_display = ["name", "layout", "hall", "type", "x_m", "y_m", "width_m", "depth_m"]
    list_select_related = ["layout__site", "hall"]
    list_filter = ["type"]
    raw_id_fields = ["layout", "hall"]


@admin.register(Fabric)
class FabricAdmin(PartAdmin):
    list_display = ["name", "layout", "purpose", "leaf", "spine", "rails", "oversubscription"]
    list_select_related = ["layout__site", "leaf", "spine"]
    list_filter = ["purpose"]
    raw_id_fields = ["layout", "leaf", "spine", "optics", "cable"]


@admin.register(Storage)
class StorageAdmin(PartAdmin):
    list_display = ["name", "layout", "purpose", "product", "n_units"]
    list_select_related = ["layout__site", "product"]
    list_filter = ["purpose"]
    raw_id_fields = ["layout", "product"]


@admin.register(CpuServer)
class CpuServerAdmin(PartAdmin):
    list_display = ["name", "layout", "product", "n_units"]
    list_select_related = ["layout__site", "product"]
    raw_id_fields = ["layout", "product"]


@admin.register(EditRecord)
class EditRecordAdmin(SiteBound, admin.ModelAdmin):
    """Written by edits only."""

    site_path = "layout__site"
    list_display = ["layout", "version", "user", "made_at"]
    list_select_related = ["layout__site", "user"]
    search_fields = ["layout__name", "user__username"]
    readonly_fields = ["layout", "version", "user", "made_at", "changes"]

    def get_queryset(self, request: HttpRequest):
        rows = super().get_queryset(request)
        return rows if request.resolver_match.url_name.endswith("_change") else rows.defer("changes")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    list_display = ["name", "kind", "slug", "vendor", "confidence", "updated_at"]
    list_filter = ["kind", "confidence", "vendor"]
    search_fields = ["name", "slug", "vendor"]
    readonly_fields = ["updated_at"]

    def get_queryset(self, request: HttpRequest):
        rows = super().get_queryset(request)
        return rows if request.resolver_match.url_name.endswith("_change") else rows.defer("facts", "source", "notes")


@admin.register(Weather)
class WeatherAdmin(SiteBound, admin.ModelAdmin):
    """Years are loaded by file only: rows cannot be typed."""

    list_display = ["name", "slug", "site", "n_hours", "elevation_m"]
    list_select_related = ["site"]
    search_fields = ["name", "slug", "source"]
    raw_id_fields = ["site"]
    readonly_fields = ["n_hours"]
    exclude = ["rows"]

    def get_queryset(self, request: HttpRequest):
        return super().get_queryset(request).defer("rows")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(Membership)
class MembershipAdmin(ForSuperusers, admin.ModelAdmin):
    list_display = ["user", "site", "organisation", "role"]
    list_select_related = ["user", "site", "organisation"]
    list_filter = ["role"]
    raw_id_fields = ["user", "site", "organisation"]


@admin.register(ApiToken)
class ApiTokenAdmin(ForSuperusers, admin.ModelAdmin):
    """Issuing shows the secret once; it cannot be read again."""

    list_display = ["name", "prefix", "user", "read_only", "created_at", "expires_at", "last_used_at"]
    list_select_related = ["user"]
    list_filter = ["read_only"]
    search_fields = ["name", "prefix", "user__username"]
    raw_id_fields = ["user"]
    fields = ["user", "name", "read_only", "sites", "require_if_match", "expires_at"]
    filter_horizontal = ["sites"]

    def save_model(self, request: HttpRequest, obj: ApiToken, form, change: bool) -> None:
        if change:
            obj.save(update_fields=["name", "user", "read_only", "require_if_match", "expires_at"])
            return
        issued, secret = ApiToken.issue(
            user=obj.user,
            name=obj.name,
            read_only=obj.read_only,
            require_if_match=obj.require_if_match,
            expires_at=obj.expires_at,
        )
        obj.pk, obj.prefix, obj.digest = issued.pk, issued.prefix, issued.digest
        obj._state.adding = False
        text = "The secret of {} is {} — copy it now, it is not shown again."
        self.message_user(request, format_html(text, obj.name, secret), messages.WARNING)
