"""Addresses of the whole site."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

handler400 = "twin.views.errors.bad_request"
handler403 = "twin.views.errors.forbidden"
handler404 = "twin.views.errors.not_found"
handler500 = "twin.views.errors.server_error"

urlpatterns = [
    path("admin/", admin.site.urls),
    path("login/", LoginView.as_view(template_name="login.html", redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("api/", include("twin.api.urls")),
    path("", include("facility.urls")),
    path("", include("twin.views.urls")),
]
