"""For those who operate the installation: probes, metrics, and a status page for administrators."""

import ipaddress

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from facility.api.authentication import TokenAuthentication
from facility.permissions import token_of
from twin import __version__
from twin.middleware import refusal
from twin.models import Run
from twin.operations import health, metrics, status, storage


def may_monitor(request: HttpRequest) -> bool:
    """Return whether details are this visitor's business: administrators, their tokens for all sites, listed machines.

    Raises
    ------
    APIException
        If a token is wrong, or was wrong too often.
    """
    if "X-Forwarded-For" not in request.headers and _listed(request.META.get("REMOTE_ADDR", "")):
        return True  # not through a proxy, whose own address says nothing of who asks
    user = request.user
    if "Authorization" in request.headers and (known := TokenAuthentication().authenticate(Request(request))):
        user = known[0]
    token = token_of(user)
    return bool(user.is_active and user.is_superuser and not (token and token.site_ids))


def _listed(address: str) -> bool:
    try:
        here = ipaddress.ip_address(address)
    except ValueError:
        return False  # a socket of this machine has none
    return any(here in network for network in settings.TWIN_MONITORING_NETWORKS)


@never_cache
@require_safe
def alive(request: HttpRequest) -> HttpResponse:
    """Say that this process answers; it asks nothing of anybody else."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """Say whether this process can answer: database, migrations, disk."""
    return _told(request, health.checked(health.READY))


@never_cache
@require_safe
def whole(request: HttpRequest) -> HttpResponse:
    """Say whether everything is there: broker and workers too."""
    return _told(request, health.checked(health.WHOLE))


def _told(request: HttpRequest, checks: list[health.Check]) -> HttpResponse:
    """Return which parts are there; why one is not only to whom it concerns."""
    ok = all(check.ok for check in checks)
    body: dict = {"status": "ok" if ok else "failed", "checks": {c.name: "ok" if c.ok else "failed" for c in checks}}
    # A session or token is looked up in the database: not where that is what failed.
    if all(check.ok for check in checks if check.name in ("database", "migrations")):
        try:
            if may_monitor(request):
                body |= {"version": __version__, "details": {c.name: c.detail for c in checks}}
                body["remedies"] = {c.name: c.remedy for c in checks if not c.ok}
        except APIException as wrong:
            return refusal(request, wrong.status_code, str(wrong.detail))
    return JsonResponse(body, status=200 if ok else 503)


@never_cache
@require_safe
def metrics_page(request: HttpRequest) -> HttpResponse:
    """Return what Prometheus reads."""
    try:
        if not may_monitor(request):
            why = "Metrics are for administrators, their tokens, and machines in TWIN_MONITORING_NETWORKS."
            return refusal(request, 403, why)
    except APIException as wrong:
        return refusal(request, wrong.status_code, str(wrong.detail))
    return HttpResponse(metrics.exposition(), content_type=CONTENT_TYPE_LATEST)


@login_required
@require_safe
def status_page(request: HttpRequest) -> HttpResponse:
    """Show administrators how the installation is: parts, queues, workers, failed runs, slow addresses, room."""
    if not request.user.is_superuser:
        raise PermissionDenied("The status page is for administrators.")
    context = {
        "checks": health.checked(health.WHOLE),
        "queues": status.queues(),
        "workers": status.workers(),
        "failed": status.failed(),
        "routes": status.slow_routes(metrics.counted()),
        "slow_s": status.SLOW_S,
        "free_bytes": storage.free_bytes(),
        "database_bytes": storage.database_bytes(),
        "tables": storage.largest_tables(),
        "n_runs": Run.objects.count(),
        "runs_kept_days": settings.TWIN_RUNS_KEPT_DAYS,
        "version": __version__,
    }
    return render(request, "twin/status.html", context)
