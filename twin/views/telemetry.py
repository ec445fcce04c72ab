"""What is measured on a site."""

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from facility.models import Site
from facility.permissions import Right, may_change_site
from facility.views.lookup import visible_site_or_404
from twin.models import TelemetrySource
from twin.telemetry.points import listed_points, point_rows
from twin.telemetry.source_words import standing
from twin.telemetry.sources import may_call_out
from twin.views.studies import AdviceForm, StudyForm, newest_studies

ON_A_PAGE = 200


@login_required
def site_telemetry(request: HttpRequest, site: str) -> HttpResponse:
    """List a site's points, each with its newest reading."""
    site = visible_site_or_404(request.user, site)
    words = request.GET.get("q", "").replace("\0", "").strip()[:200]
    points = listed_points(site)
    found = points.filter(object__icontains=words) if words else points
    page = Paginator(found, ON_A_PAGE).get_page(request.GET.get("page"))
    may_change = may_change_site(request.user, site, Right.OPERATE)
    context = {
        "site": site,
        "studies": newest_studies(site),
        "form": StudyForm(site) if may_change and page.paginator.count else None,
        "advice_form": AdviceForm(site) if may_change and site.layouts.exists() and site.scenarios.exists() else None,
        "page": page,
        "points": point_rows(page.object_list),
        "words": words,
        "n_points": page.paginator.count,
        "may_change": may_change,
        "sources": [(source, *standing(source)) for source in _sources(site)],
        "may_call_out": may_call_out(request.user, site),
    }
    return render(request, "twin/site_telemetry.html", context)


def _sources(site: Site) -> QuerySet[TelemetrySource]:
    return site.telemetry_sources.select_related("state").defer(*TelemetrySource.HEAVY)
