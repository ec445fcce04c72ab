"""Addresses of the description under /api/."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from facility.api import drawing, members, places, tokens, views

router = SimpleRouter()
router.register("sites", views.SiteViewSet, basename="api-site")
router.register("layouts", views.LayoutViewSet, basename="api-layout")
router.register("halls", views.HallViewSet, basename="api-hall")
router.register("racks", views.RackViewSet, basename="api-rack")
router.register("cdus", views.CduViewSet, basename="api-cdu")
router.register("power-feeds", views.PowerFeedViewSet, basename="api-power-feed")
router.register("cooling-plants", views.CoolingPlantViewSet, basename="api-cooling-plant")
router.register("air-units", views.AirUnitViewSet, basename="api-air-unit")
router.register("floor-features", views.FloorFeatureViewSet, basename="api-floor-feature")
router.register("fabrics", views.FabricViewSet, basename="api-fabric")
router.register("tokens", tokens.TokenViewSet, basename="api-token")
router.register("organisations", members.OrganisationViewSet, basename="api-organisation")
router.register("memberships", members.MembershipViewSet, basename="api-membership")
router.register("storages", views.StorageViewSet, basename="api-storage")
router.register("cpu-servers", views.CpuServerViewSet, basename="api-cpu-server")
router.register("weather", views.WeatherViewSet, basename="api-weather")

urlpatterns = [
    path("places/", places.PlaceListView.as_view(), name="api-places"),
    path("catalogue/", views.ProductListView.as_view(), name="api-catalogue"),
    path("catalogue/kinds/", views.KindListView.as_view(), name="api-catalogue-kinds"),
    path("catalogue/<str:kind>/<str:slug>/", views.ProductView.as_view(), name="api-product"),
    path("layouts/<int:pk>/drawing/", drawing.DrawingView.as_view(), name="api-layout-drawing"),
    path("layouts/<int:pk>/edits/", drawing.EditsView.as_view(), name="api-layout-edits"),
    path("", include(router.urls)),
]
