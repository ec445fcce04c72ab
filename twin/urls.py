"""Addresses of the whole site."""

from importlib.util import find_spec

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("login/", LoginView.as_view(template_name="login.html", redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("api/", include("twin.api.urls")),
]
urlpatterns += [
    path("", include(module)) for module in ("facility.urls", "twin.page_urls") if find_spec(module) is not None
]
