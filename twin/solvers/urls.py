"""Addresses as a process that solves has them: those of the site, with what solves in place of the door to it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from django.urls import URLPattern, URLResolver

from twin import urls
from twin.solvers import findings, measured, remedies, runs, serving, sizings, states
from twin.urls import handler400, handler403, handler404, handler500  # noqa: F401  (Django looks for them here)
from twin.views import (
    claims,
    commissioning,
    comparisons,
    diagrams,
    drill,
    guide,
    halls,
    launch,
    layouts,
    reports,
    sizing,
    traces,
)
from twin.views import measured as measured_page
from twin.views import remedies as remedy_pages
from twin.views import serving as serving_page

View = Callable[..., Any]
#: By name of the address. Each is the door in `twin.urls`, where a test looks for them.
SOLVED: dict[str, View] = {
    "api-layout-findings": findings.LayoutFindings.as_view(),
    "api-layout-remedies": remedies.Remedies.as_view(),
    "api-layout-remedy-preview": remedies.RemedyPreview.as_view(),
    "api-layout-remedy-undo": remedies.RemedyUndo.as_view(),
    "api-layout-state": states.State.as_view(),
    "api-layout-answer": states.Answer.as_view(),
    "api-layout-drill": states.Drill.as_view(),
    "api-layout-rankings": states.Rankings.as_view(),
    "api-layout-sensitivity": states.Sensitivity.as_view(),
    "api-layout-repairs": states.Repairs.as_view(),
    "api-layout-one-line": states.Diagram.as_view(kind=diagrams.ONE_LINE),
    "api-layout-loop": states.Diagram.as_view(kind=diagrams.LOOP),
    "api-serving": serving.Serving.as_view(),
    "api-serving-predict": serving.Prediction.as_view(),
    "api-serving-measured": measured.Measured.as_view(),
    "api-run-launch": runs.Runs.as_view({"get": "launch"}, detail=True, pagination_class=None),
    "api-comparison-verdict": runs.Comparisons.as_view({"get": "verdict"}, detail=True),
    "layout-detail": layouts.layout_detail,
    "layout-3d": halls.layout_3d,
    "layout-one-line": partial(diagrams.diagram_page, kind=diagrams.ONE_LINE),
    "layout-loop": partial(diagrams.diagram_page, kind=diagrams.LOOP),
    "layout-drill": drill.drill_page,
    "layout-drill-list": drill.drill_list,
    "layout-findings": layouts.findings_page,
    "layout-tally": layouts.layout_tally,
    "layout-remedy": remedy_pages.remedy_page,
    "layout-remedy-undo": remedy_pages.remedy_undo,
    "layout-sizing": sizing.sizing_page,
    "api-layout-sizing": sizings.Sizings.as_view(),
    "rack-detail": layouts.rack_detail,
    "cdu-detail": layouts.cdu_detail,
    "run-launch": launch.run_launch,
    "run-report": reports.run_report_page,
    "run-report-pdf": reports.run_report_pdf,
    "run-report-xlsx": reports.run_report_xlsx,
    "compare": comparisons.compare_runs,
    "comparison-share": comparisons.comparison_share,
    "shared-comparisons": comparisons.shared_comparisons,
    "comparison-shared": comparisons.comparison_shared,
    "comparison-revoke": comparisons.comparison_revoke,
    "compare-tornado": comparisons.compare_tornado,
    "compare-report": reports.compare_report_page,
    "compare-report-pdf": reports.compare_report_pdf,
    "compare-report-xlsx": reports.compare_report_xlsx,
    "study-report": commissioning.study_report_page,
    "study-report-pdf": commissioning.study_report_pdf,
    "study-report-xlsx": commissioning.study_report_xlsx,
    "guide": guide.guide_page,
    "guide-start": guide.guide_start,
    "guide-skip": guide.guide_skip,
    "serving": serving_page.serving,
    "serving-claims": claims.claims,
    "trace": traces.traces,
    "measured-run": measured_page.measured,
}


def with_views(patterns: Sequence[URLPattern | URLResolver], views: Mapping[str, View]) -> list:
    """Return the same addresses with other views behind those of some names."""
    replaced: list[URLPattern | URLResolver] = []
    for entry in patterns:
        if isinstance(entry, URLPattern):
            view = views.get(entry.name or "", entry.callback)
            replaced.append(URLPattern(entry.pattern, view, entry.default_args, entry.name))
        elif entry.namespace:
            replaced.append(entry)
        else:
            inner = with_views(entry.url_patterns, views)
            replaced.append(URLResolver(entry.pattern, inner, entry.default_kwargs))
    return replaced


urlpatterns = with_views(urls.urlpatterns, SOLVED)
