"""The commissioning report of a comparison: page, PDF and spreadsheet of one content."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.text import slugify

from twin.core.report.commissioning import commissioning_report
from twin.core.report.document import Report
from twin.models import Study
from twin.views.reports import as_pdf, as_xlsx, made_now, page
from twin.views.studies import visible_study_or_404


def first_comparison(study: Study) -> Study | None:
    """Return the earliest comparison of a layout, or of what it was copied from, whose span began before this one's."""
    done = Study.objects.filter(kind=Study.Kind.COMPARISON, status=Study.Status.DONE, start_at__lt=study.start_at)
    own = Q(layout=study.layout)
    if study.layout.cloned_from_id:
        own |= Q(layout=study.layout.cloned_from_id)
    return done.filter(own).select_related("layout").order_by("start_at", "created_at").first()


def asked_since(request: HttpRequest, study: Study) -> Study | None:
    """Return the comparison of commissioning: the one that `?since=` names, else the first."""
    named = request.GET.get("since", "")
    if not named:
        return first_comparison(study)
    try:
        earlier = visible_study_or_404(request, UUID(named))
    except ValueError as error:
        raise Http404(f"since is {named[:40]}; must be the number of a comparison.") from error
    site_differs = earlier.layout.site_id != study.layout.site_id
    if site_differs or earlier.kind != Study.Kind.COMPARISON or earlier.status != Study.Status.DONE:
        raise Http404(f"{earlier} is no comparison of this site that is done.")
    return earlier


def report_of_study(request: HttpRequest, study: UUID) -> tuple[Report, str]:
    """Return a comparison's report and the name of its files."""
    found = visible_study_or_404(request, study)
    if found.kind != Study.Kind.COMPARISON or found.status != Study.Status.DONE or found.result is None:
        raise Http404(f"{found} is {found.status}; only a comparison that is done has a report.")
    layout, earlier = found.layout, asked_since(request, found)
    result = found.result
    facts = [
        ("Layout", f"{layout.site.name}, {layout.name}"),
        ("Scenario of what is not measured", found.scenario.name),
        ("Readings", _span(found)),
        ("Intervals", f"{result['intervals']:,} of {result['step_s']:g} s"),
        ("Load, weather", f"{result['load_from']}, {result['weather_from']}"),
        ("Comparison", f"{found.id}, inputs sha256 {found.inputs_sha256[:16]}…"),
    ]
    content = commissioning_report(
        result,
        facts,
        f"{layout.site.name} · {layout.name} · {_span(found)}",
        earlier=earlier.result if earlier else None,
        earlier_name=f"{earlier.layout.name}, {_span(earlier)}" if earlier else "",
        made=made_now(),
    )
    return content, slugify(f"commissioning {layout.site.slug} {layout.slug} {str(found.id)[:8]}")


def _span(study: Study) -> str:
    return f"{study.start_at:%Y-%m-%d %H:%M} to {study.end_at:%Y-%m-%d %H:%M} UTC"


@login_required
def study_report_page(request: HttpRequest, study: UUID) -> HttpResponse:
    """Show a comparison's report, or with `?save` send it as a file of its own."""
    query = f"?since={request.GET['since']}" if request.GET.get("since") else ""
    names = {
        "pdf": reverse("study-report-pdf", args=[study]) + query,
        "xlsx": reverse("study-report-xlsx", args=[study]) + query,
        "back": reverse("study-detail", args=[study]),
    }
    return page(request, *report_of_study(request, study), names)


@login_required
def study_report_pdf(request: HttpRequest, study: UUID) -> HttpResponse:
    """Send a comparison's report as PDF."""
    return as_pdf(*report_of_study(request, study))


@login_required
def study_report_xlsx(request: HttpRequest, study: UUID) -> HttpResponse:
    """Send a comparison's report as a spreadsheet."""
    return as_xlsx(*report_of_study(request, study))
