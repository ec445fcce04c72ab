"""What a caller of the API may do."""

from rest_framework.permissions import SAFE_METHODS, BasePermission

from facility.models import ApiToken


class SitePermission(BasePermission):
    """Signed in; read-only tokens only read. Which rows are visible is decided by each view's queryset."""

    message = "This token is read-only."

    def has_permission(self, request, view) -> bool:
        if not (request.user and request.user.is_authenticated):
            return False
        read_only = isinstance(request.auth, ApiToken) and request.auth.read_only
        return request.method in SAFE_METHODS or not read_only
