"""Addresses of the pages with answers. Those of the description's forms and lists stand in `facility.urls`."""

from django.urls import path

from twin.views import comparisons, diagrams, draw, halls, reports, runs, scenarios, serving, sites, state, validation

LAYOUT = "sites/<slug:site>/<slug:layout>/"

urlpatterns = [
    path("", sites.site_list, name="site-list"),
    path("sites/<slug:site>/", sites.site_detail, name="site-detail"),
    path("sites/<slug:site>/-/file/", sites.site_file, name="site-file"),
    path("sites/<slug:site>/-/new-scenario/", scenarios.scenario_edit, name="scenario-new"),
    path("sites/<slug:site>/-/scenarios/<slug:scenario>/", scenarios.scenario_edit, name="scenario-edit"),
    path("sites/<slug:site>/<slug:layout>/", sites.layout_detail, name="layout-detail"),
    path("sites/<slug:site>/<slug:layout>/state/", state.layout_state, name="layout-state"),
    path("sites/<slug:site>/<slug:layout>/3d/", halls.layout_3d, name="layout-3d"),
    path(LAYOUT + "one-line/", diagrams.diagram_page, {"kind": diagrams.ONE_LINE}, name="layout-one-line"),
    path(LAYOUT + "one-line/values/", diagrams.diagram_values, {"kind": diagrams.ONE_LINE}, name="layout-one-line-values"),
    path(LAYOUT + "loop/", diagrams.diagram_page, {"kind": diagrams.LOOP}, name="layout-loop"),
    path(LAYOUT + "loop/values/", diagrams.diagram_values, {"kind": diagrams.LOOP}, name="layout-loop-values"),
    path("sites/<slug:site>/<slug:layout>/draw/", draw.layout_draw, name="layout-draw"),
    path("sites/<slug:site>/<slug:layout>/findings/", sites.layout_findings, name="layout-findings"),
    path("sites/<slug:site>/<slug:layout>/racks/<int:pk>/", sites.rack_detail, name="rack-detail"),
    path("sites/<slug:site>/<slug:layout>/cdus/<int:pk>/", sites.cdu_detail, name="cdu-detail"),
    path("sites/<slug:site>/<slug:layout>/run/", runs.run_create, name="run-create"),
    path("runs/", runs.run_list, name="run-list"),
    path("runs/<uuid:run>/", runs.run_detail, name="run-detail"),
    path("runs/<uuid:run>/cancel/", runs.run_cancel, name="run-cancel"),
    path("runs/<uuid:run>/retry/", runs.run_retry, name="run-retry"),
    path("runs/<uuid:run>/report/", reports.run_report_page, name="run-report"),
    path("runs/<uuid:run>/report.pdf", reports.run_report_pdf, name="run-report-pdf"),
    path("runs/<uuid:run>/report.xlsx", reports.run_report_xlsx, name="run-report-xlsx"),
    path("runs/<uuid:run>/<slug:name>.csv", runs.run_table, name="run-table"),
    path("compare/", comparisons.compare_runs, name="compare"),
    path("compare/share/", comparisons.comparison_share, name="comparison-share"),
    path("compare/shared/", comparisons.shared_comparisons, name="shared-comparisons"),
    path("compare/shared/<str:token>/", comparisons.comparison_shared, name="comparison-shared"),
    path("compare/shared/<str:token>/revoke/", comparisons.comparison_revoke, name="comparison-revoke"),
    path("compare/report/", reports.compare_report_page, name="compare-report"),
    path("compare/report.pdf", reports.compare_report_pdf, name="compare-report-pdf"),
    path("compare/report.xlsx", reports.compare_report_xlsx, name="compare-report-xlsx"),
    path("serving/", serving.serving, name="serving"),
    path("validation/", validation.scoreboard, name="validation"),
]
