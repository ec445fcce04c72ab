"""Reports of a run and of a comparison: one page, one PDF, one spreadsheet, all of the same content."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify

from twin.comparisons.verdict import runs_verdict
from twin.core.comparison.compare import compare
from twin.core.report.comparison import comparison_report, lettered
from twin.core.report.document import Report
from twin.core.report.pdf import pdf
from twin.core.report.run import run_report
from twin.core.report.xlsx import xlsx
from twin.models import Run
from twin.runs.source import reported
from twin.views.comparisons import as_compared, asked_basis, asked_ids, visible_runs_or_404
from twin.views.report_html import html
from twin.views.runs import visible_run_or_404

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def made_now() -> str:
    """Return the time as the cover of a report shows it."""
    return f"{timezone.now():%Y-%m-%d %H:%M} UTC"


def report_of_run(request: HttpRequest, run: UUID) -> tuple[Report, str]:
    """Return a finished run's report and the name of its files."""
    run = visible_run_or_404(request, run)
    if run.status != Run.Status.DONE:
        raise Http404(f"{run} is {run.status}; only a finished run has a report.")
    content = run_report(reported(run), made=made_now())
    return content, slugify(f"{run.layout.site.slug} {run.layout.slug} {str(run.id)[:8]}")


def report_of_comparison(request: HttpRequest) -> tuple[Report, str]:
    """Return the report of the runs that the address names, and the name of its files."""
    ids = asked_ids(request)
    if len(ids) < 2:
        raise Http404("A report of a comparison needs at least two runs in its address: ?runs=…,…")
    runs = visible_runs_or_404(request, ids)
    compared = compare([as_compared(run) for run in runs])
    try:
        judged = runs_verdict(runs, lettered(compared), basis=asked_basis(request))
    except ValueError as error:
        raise Http404(f"These runs cannot be compared so: {error}.") from error
    content = comparison_report([reported(run, drawn=False) for run in runs], compared, judged, made=made_now())
    return content, f"comparison-{'-'.join(str(run.id)[:4] for run in runs)}"


@login_required
def run_report_page(request: HttpRequest, run: UUID) -> HttpResponse:
    """Show a run's report, or with `?save` send it as a file of its own."""
    names = {
        "pdf": reverse("run-report-pdf", args=[run]),
        "xlsx": reverse("run-report-xlsx", args=[run]),
        "back": reverse("run-detail", args=[run]),
    }
    return page(request, *report_of_run(request, run), names)


@login_required
def run_report_pdf(request: HttpRequest, run: UUID) -> HttpResponse:
    """Send a run's report as PDF."""
    return as_pdf(*report_of_run(request, run))


@login_required
def run_report_xlsx(request: HttpRequest, run: UUID) -> HttpResponse:
    """Send a run's report as a spreadsheet."""
    return as_xlsx(*report_of_run(request, run))


@login_required
def compare_report_page(request: HttpRequest) -> HttpResponse:
    """Show the report of a comparison, or with `?save` send it as a file of its own."""
    query = f"?{request.GET.urlencode()}"
    names = {
        "pdf": reverse("compare-report-pdf") + query,
        "xlsx": reverse("compare-report-xlsx") + query,
        "back": reverse("compare") + query,
    }
    return page(request, *report_of_comparison(request), names)


@login_required
def compare_report_pdf(request: HttpRequest) -> HttpResponse:
    """Send the report of a comparison as PDF."""
    return as_pdf(*report_of_comparison(request))


@login_required
def compare_report_xlsx(request: HttpRequest) -> HttpResponse:
    """Send the report of a comparison as a spreadsheet."""
    return as_xlsx(*report_of_comparison(request))


def page(request: HttpRequest, content: Report, name: str, links: dict[str, str]) -> HttpResponse:
    """Return the page with links to the other forms, or the bare file."""
    if "save" in request.GET:
        return attachment(html(content).encode(), "text/html; charset=utf-8", f"{name}.html")
    asked = request.GET.copy()
    asked["save"] = "1"
    return HttpResponse(html(content, saved=f"?{asked.urlencode()}", **links))


def as_pdf(content: Report, name: str) -> HttpResponse:
    """Return a report as a PDF to save."""
    return attachment(pdf(content), "application/pdf", f"{name}.pdf")


def as_xlsx(content: Report, name: str) -> HttpResponse:
    """Return a report as a spreadsheet to save."""
    return attachment(xlsx(content), XLSX, f"{name}.xlsx")


def attachment(body: bytes, content_type: str, filename: str) -> HttpResponse:
    """Return a file that the browser saves under this name."""
    headers = {"Content-Disposition": f'attachment; filename="{filename}"'}
    return HttpResponse(body, content_type=content_type, headers=headers)
