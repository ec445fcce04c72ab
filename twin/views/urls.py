"""Addresses of the pages with answers. Those of the description's forms and lists stand in `facility.urls`."""

from django.contrib.auth.decorators import login_required
from django.urls import path

from twin import solver_door
from twin.views import draw, glossary, model_pages, own_products, runs, scenarios, sites, telemetry, validation

LAYOUT = "sites/<slug:site>/<slug:layout>/"
solved = login_required(solver_door.solved)  # by a solver process; `twin.solvers.urls` has the views

urlpatterns = [
    path("", sites.site_list, name="site-list"),
    path("sites/<slug:site>/", sites.site_detail, name="site-detail"),
    path("sites/<slug:site>/-/file/", sites.site_file, name="site-file"),
    path("sites/<slug:site>/-/telemetry/", telemetry.site_telemetry, name="site-telemetry"),
    path("sites/<slug:site>/-/new-scenario/", scenarios.scenario_edit, name="scenario-new"),
    path("sites/<slug:site>/-/scenarios/<slug:scenario>/", scenarios.scenario_edit, name="scenario-edit"),
    path("sites/<slug:site>/<slug:layout>/", solved, name="layout-detail"),
    path("sites/<slug:site>/<slug:layout>/3d/", solved, name="layout-3d"),
    path(LAYOUT + "one-line/", solved, name="layout-one-line"),
    path(LAYOUT + "loop/", solved, name="layout-loop"),
    path(LAYOUT + "drill/", solved, name="layout-drill"),
    path(LAYOUT + "drill/list/", solved, name="layout-drill-list"),
    path("sites/<slug:site>/<slug:layout>/draw/", draw.layout_draw, name="layout-draw"),
    path("sites/<slug:site>/<slug:layout>/findings/", solved, name="layout-findings"),
    path("sites/<slug:site>/<slug:layout>/racks/<int:pk>/", solved, name="rack-detail"),
    path("sites/<slug:site>/<slug:layout>/cdus/<int:pk>/", solved, name="cdu-detail"),
    path("sites/<slug:site>/<slug:layout>/run/", runs.run_create, name="run-create"),
    path("runs/", runs.run_list, name="run-list"),
    path("runs/<uuid:run>/", runs.run_detail, name="run-detail"),
    path("runs/<uuid:run>/launch/", solved, name="run-launch"),
    path("runs/<uuid:run>/tornado/", runs.run_tornado, name="run-tornado"),
    path("runs/<uuid:run>/cancel/", runs.run_cancel, name="run-cancel"),
    path("runs/<uuid:run>/retry/", runs.run_retry, name="run-retry"),
    path("runs/<uuid:run>/report/", solved, name="run-report"),
    path("runs/<uuid:run>/report.pdf", solved, name="run-report-pdf"),
    path("runs/<uuid:run>/report.xlsx", solved, name="run-report-xlsx"),
    path("runs/<uuid:run>/<slug:name>.csv", runs.run_table, name="run-table"),
    path("compare/", solved, name="compare"),
    path("compare/share/", solved, name="comparison-share"),
    path("compare/shared/", solved, name="shared-comparisons"),
    path("compare/shared/<str:token>/", solved, name="comparison-shared"),
    path("compare/shared/<str:token>/revoke/", solved, name="comparison-revoke"),
    path("compare/report/", solved, name="compare-report"),
    path("compare/tornado/", solved, name="compare-tornado"),
    path("compare/report.pdf", solved, name="compare-report-pdf"),
    path("compare/report.xlsx", solved, name="compare-report-xlsx"),
    path("guide/", solved, name="guide"),
    path("guide/start/", solved, name="guide-start"),
    path("guide/skip/", solved, name="guide-skip"),
    path("glossary/", glossary.glossary, name="glossary"),
    path("help/model/", model_pages.model_index, name="model"),
    path("help/model/<slug:slug>/", model_pages.model_page, name="model-page"),
    path("serving/", solved, name="serving"),
    path("serving/traces/", solved, name="trace"),
    path("serving/measured/", solved, name="measured-run"),
    path("serving/own/", own_products.own_products, name="own-products"),
    path("validation/", validation.scoreboard, name="validation"),
]
