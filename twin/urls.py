"""Addresses of the whole site."""

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path
from django.views.generic import RedirectView

from twin import single_sign_on
from twin.views import account, audit, operations

handler400 = "twin.views.errors.bad_request"
handler403 = "twin.views.errors.forbidden"
handler404 = "twin.views.errors.not_found"
handler500 = "twin.views.errors.server_error"

urlpatterns = [
    path("admin/login/", RedirectView.as_view(pattern_name="login", query_string=True)),  # one door, one throttle
    path("admin/", admin.site.urls),
    path("login/", account.SignInView.as_view(), name="login"),
    path("account/", account.account, name="account"),
    path("account/tokens/<int:pk>/revoke/", account.token_revoke, name="token-revoke"),
    path("account/details/", account.account_details, name="account-details"),
    path("account/preferences/", account.account_preferences, name="account-preferences"),
    path("account/password/", account.PasswordChangeView.as_view(), name="password-change"),
    path("account/password/reset/", account.PasswordResetView.as_view(), name="password-reset"),
    path(
        "account/password/reset/<uidb64>/<token>/",
        account.PasswordResetConfirmView.as_view(),
        name="password-reset-confirm",
    ),
    path("sso/", single_sign_on.RequestView.as_view(), name="sso"),
    path("sso/callback/", single_sign_on.CallbackView.as_view(), name="sso-callback"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("health/", operations.whole, name="health"),
    path("health/live/", operations.alive, name="health-live"),
    path("health/ready/", operations.ready, name="health-ready"),
    path("metrics", operations.metrics_page, name="metrics"),
    path("status/", operations.status_page, name="status"),
    path("audit/", audit.audit_page, name="audit"),
    path("api/", include("twin.api.urls")),
    path("", include("facility.urls")),
    path("", include("twin.views.urls")),
]
