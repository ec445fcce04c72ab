"""Addresses under /api/."""

from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.routers import SimpleRouter

from twin.api import views
from twin.api.findings import LayoutFindingsView
from twin.api.serving import PredictionView, ServingView
from twin.api.site_files import SiteExportView, SiteImportView

router = SimpleRouter()
router.register("scenarios", views.ScenarioViewSet, basename="api-scenario")
router.register("runs", views.RunViewSet, basename="api-run")
router.register("comparisons", views.ComparisonViewSet, basename="api-comparison")

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="api-docs"), name="api-root"),
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("docs/", SpectacularSwaggerView.as_view(url_name="api-schema"), name="api-docs"),
    path("serving/", ServingView.as_view(), name="api-serving"),
    path("serving/predict/", PredictionView.as_view(), name="api-serving-predict"),
    path("sites/import/", SiteImportView.as_view(), name="api-site-import"),
    path("sites/<slug:slug>/export/", SiteExportView.as_view(), name="api-site-export"),
    path("layouts/<int:pk>/findings/", LayoutFindingsView.as_view(), name="api-layout-findings"),
    path("", include(router.urls)),
    path("", include("facility.api.urls")),
]
