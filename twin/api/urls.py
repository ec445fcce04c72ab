"""Addresses under /api/."""

from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView
from drf_spectacular.views import SpectacularSwaggerSplitView as ApiDocsView
from rest_framework.routers import SimpleRouter

from twin.api import states, studies, sweeps, taken, telemetry, views
from twin.api.audit import AuditExportView, AuditView
from twin.api.findings import LayoutFindingsView
from twin.api.measured import MeasuredView
from twin.api.own_products import OwnAcceleratorView, OwnModelView
from twin.api.remedies import LayoutRemediesView, RemedyPreviewView, RemedyUndoView
from twin.api.search import SearchView
from twin.api.serving import PredictionView, ServingView
from twin.api.site_files import SiteExportView, SiteImportView
from twin.api.sizing import LayoutSizingView
from twin.api.sources import TelemetrySourceViewSet
from twin.api.standing import SiteStandingView

router = SimpleRouter()
router.register("scenarios", views.ScenarioViewSet, basename="api-scenario")
router.register("runs", views.RunViewSet, basename="api-run")
router.register("comparisons", views.ComparisonViewSet, basename="api-comparison")
router.register("sweeps", sweeps.SweepViewSet, basename="api-sweep")
router.register("telemetry/comparisons", studies.TelemetryComparisonViewSet, basename="api-telemetry-comparison")
router.register("telemetry/sources", TelemetrySourceViewSet, basename="api-telemetry-source")
router.register("diagnoses", studies.DiagnosisViewSet, basename="api-diagnosis")
router.register("advice", studies.AdviceViewSet, basename="api-advice")
router.register("taken-advice", taken.TakenAdviceViewSet, basename="api-taken-advice")
router.register("gains", taken.GainViewSet, basename="api-gain")
router.register("calibrations", studies.CalibrationViewSet, basename="api-calibration")

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="api-docs"), name="api-root"),
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("docs/", ApiDocsView.as_view(url_name="api-schema", template_name="api_docs.html"), name="api-docs"),
    path("search/", SearchView.as_view(), name="api-search"),
    path("serving/", ServingView.as_view(), name="api-serving"),
    path("serving/predict/", PredictionView.as_view(), name="api-serving-predict"),
    path("serving/measured/", MeasuredView.as_view(), name="api-serving-measured"),
    path("catalogue/models/", OwnModelView.as_view(), name="api-own-model"),
    path("catalogue/accelerators/", OwnAcceleratorView.as_view(), name="api-own-accelerator"),
    path("sites/import/", SiteImportView.as_view(), name="api-site-import"),
    path("sites/<slug:slug>/export/", SiteExportView.as_view(), name="api-site-export"),
    path("sites/<slug:slug>/standing/", SiteStandingView.as_view(), name="api-site-standing"),
    path("layouts/<int:pk>/findings/", LayoutFindingsView.as_view(), name="api-layout-findings"),
    path("layouts/<int:pk>/remedies/", LayoutRemediesView.as_view(), name="api-layout-remedies"),
    path("layouts/<int:pk>/remedies/preview/", RemedyPreviewView.as_view(), name="api-layout-remedy-preview"),
    path("layouts/<int:pk>/remedies/undo/", RemedyUndoView.as_view(), name="api-layout-remedy-undo"),
    path("layouts/<int:pk>/sizing/", LayoutSizingView.as_view(), name="api-layout-sizing"),
    path("layouts/<int:pk>/state/", states.StateView.as_view(), name="api-layout-state"),
    path("layouts/<int:pk>/answer/", states.AnswerView.as_view(), name="api-layout-answer"),
    path("layouts/<int:pk>/drill/", states.DrillView.as_view(), name="api-layout-drill"),
    path("layouts/<int:pk>/rankings/", states.RankingsView.as_view(), name="api-layout-rankings"),
    path("layouts/<int:pk>/sensitivity/", states.SensitivityView.as_view(), name="api-layout-sensitivity"),
    path("layouts/<int:pk>/repairs/", states.RepairsView.as_view(), name="api-layout-repairs"),
    path("layouts/<int:pk>/one-line/", states.DiagramView.as_view(), name="api-layout-one-line"),
    path("layouts/<int:pk>/loop/", states.DiagramView.as_view(), name="api-layout-loop"),
    path("telemetry/batches/", telemetry.BatchView.as_view(), name="api-telemetry-batches"),
    path("telemetry/points/", telemetry.PointsView.as_view(), name="api-telemetry-points"),
    path("telemetry/retention/", telemetry.RetentionView.as_view(), name="api-telemetry-retention"),
    path("telemetry/series/", telemetry.SeriesView.as_view(), name="api-telemetry-series"),
    path("audit/", AuditView.as_view(), name="api-audit"),
    path("audit/export/", AuditExportView.as_view(), name="api-audit-export"),
    path("", include(router.urls)),
    path("", include("facility.api.urls")),
]
