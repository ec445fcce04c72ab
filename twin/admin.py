"""Back office of scenarios and runs: inspect, retry, cancel."""

import json

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from facility.admin import ForSuperusers, SiteBound, StoredUnits
from twin.exceptions import InvalidTransition
from twin.models import Comparison, ExternalIdentity, Run, Scenario, ScenarioWorkload, Study, TelemetrySource, Worker
from twin.runs import jobs, services

admin.site.site_header = admin.site.site_title = "AI-factory twin"
admin.site.index_title = "Sites, catalogue and runs"


class ScenarioWorkloadInline(StoredUnits, admin.TabularInline):
    model = ScenarioWorkload
    extra = 0
    raw_id_fields = ["workload", "model"]


@admin.register(Scenario)
class ScenarioAdmin(SiteBound, admin.ModelAdmin):
    list_display = ["name", "site", "is_default", "engine", "weight_precision", "accelerator_power_limit_w"]
    list_filter = ["engine", "weight_precision"]
    list_select_related = ["site"]
    search_fields = ["name", "slug", "site__name", "site__slug"]
    raw_id_fields = ["site", "weather"]
    inlines = [ScenarioWorkloadInline]


class OnlyShown:
    """Rows that are shown and never typed here, listed without their heavy columns."""

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).defer(*self.model.HEAVY)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(Run)
class RunAdmin(OnlyShown, SiteBound, admin.ModelAdmin):
    """Nothing is typed here: runs change through the same services as everywhere else."""

    site_path = "layout__site"
    list_display = ["__str__", "status", "layout", "scenario", "progress", "attempt", "created_at", "finished_at"]
    list_filter = ["status", "created_at"]
    list_select_related = ["layout__site", "scenario"]
    search_fields = ["id", "layout__name", "layout__site__name", "scenario__name"]
    actions = ["retry", "cancel"]
    fields = [
        "id",
        "layout",
        "scenario",
        "created_by",
        "status",
        "stage",
        "progress",
        "message",
        "attempt",
        "max_attempts",
        "created_at",
        "started_at",
        "heartbeat_at",
        "finished_at",
        "solver_version",
        "solver_digest",
        "inputs_sha256",
        "figures_table",
        "limits_and_findings",
    ]
    readonly_fields = fields

    @admin.display(description="progress", ordering="progress_frac")
    def progress(self, run: Run) -> str:
        return f"{100 * run.progress_frac:.0f} %"

    @admin.display(description="figures of merit")
    def figures_table(self, run: Run) -> str:
        return _preformatted(run.figures)

    @admin.display(description="limits, findings, solver")
    def limits_and_findings(self, run: Run) -> str:
        shown = ("solver", "balance", "limits", "findings", "per_workload")
        return _preformatted({name: (run.details or {}).get(name) for name in shown})

    @admin.action(description="Run again (failed and cancelled runs)", permissions=["change"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        self._each(request, queryset, services.run_retry, "queued again")

    @admin.action(description="Cancel (queued and running runs)", permissions=["change"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        self._each(request, queryset, jobs.cancel, "cancelled, or will be at the solver's next report")

    def _each(self, request: HttpRequest, queryset: QuerySet[Run], service, done: str) -> None:
        for run in queryset.select_related("layout__site"):
            try:
                service(run, user=request.user)
            except (InvalidTransition, PermissionDenied) as refusal:
                self.message_user(request, str(refusal), messages.ERROR)
            else:
                self.message_user(request, f"{run}: {done}.", messages.SUCCESS)


@admin.register(Study)
class StudyAdmin(OnlyShown, SiteBound, admin.ModelAdmin):
    """Nothing is typed here: studies change through the same services as everywhere else."""

    site_path = "layout__site"
    list_display = ["__str__", "status", "layout", "scenario", "start_at", "end_at", "attempt", "created_at"]
    list_filter = ["kind", "status", "created_at"]
    list_select_related = ["layout__site", "scenario"]
    search_fields = ["id", "layout__name", "layout__site__name"]
    fields = [
        "id",
        "kind",
        "layout",
        "scenario",
        "start_at",
        "end_at",
        "parameters",
        "figure",
        "created_by",
        "status",
        "stage",
        "message",
        "attempt",
        "max_attempts",
        "created_at",
        "started_at",
        "heartbeat_at",
        "finished_at",
        "inputs_sha256",
        "accepted_as",
    ]
    readonly_fields = fields


@admin.register(TelemetrySource)
class TelemetrySourceAdmin(OnlyShown, SiteBound, admin.ModelAdmin):
    """Nothing is typed here: the site's page seals passwords and checks addresses."""

    list_display = ["name", "site", "kind", "address", "enabled", "created_by", "updated_at"]
    list_filter = ["kind", "enabled"]
    list_select_related = ["site", "created_by"]
    search_fields = ["name", "site__name", "site__slug", "address"]
    fields = [
        "site",
        "name",
        "kind",
        "address",
        "options",
        "username",
        "enabled",
        "created_by",
        "created_at",
        "updated_at",
    ]
    readonly_fields = fields

    def has_delete_permission(self, request: HttpRequest, obj: TelemetrySource | None = None) -> bool:
        return request.user.is_superuser


@admin.register(Comparison)
class ComparisonAdmin(ForSuperusers, admin.ModelAdmin):
    list_display = ["__str__", "created_by", "created_at"]
    list_select_related = ["created_by"]
    raw_id_fields = ["runs", "created_by"]


def _preformatted(value: object) -> str:
    return format_html("<pre>{}</pre>", json.dumps(value, indent=2, ensure_ascii=False))


@admin.register(ExternalIdentity)
class ExternalIdentityAdmin(ForSuperusers, admin.ModelAdmin):
    """Links a subject of an identity provider to a user that existed before."""

    list_display = ["user", "issuer", "subject"]
    list_select_related = ["user"]
    search_fields = ["user__username", "subject"]
    raw_id_fields = ["user"]


@admin.register(Worker)
class WorkerAdmin(admin.ModelAdmin):
    """Which workers live; each writes its own line every few seconds."""

    list_display = ["name", "n_slots", "broker_problem", "seen_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Worker | None = None) -> bool:
        return False
