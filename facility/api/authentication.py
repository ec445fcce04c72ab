"""Sign-in of programs: `Authorization: Token <secret>`."""

from django.db.models import Q
from django.utils import timezone
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, get_authorization_header

from facility import sign_in_throttle
from facility.models import ApiToken


class TokenAuthentication(BaseAuthentication):
    """Finds the token by its prefix and compares hashes; `request.auth` is the token."""

    keyword = "Token"

    def authenticate(self, request):
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != self.keyword.lower().encode():
            return None
        if len(parts) != 2:
            raise exceptions.AuthenticationFailed("The Authorization header must read: Token <secret>.")
        secret = parts[1].decode(errors="replace")
        now = timezone.now()
        token = (
            ApiToken.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now), digest=ApiToken.digest_of(secret))
            .select_related("user")
            .first()
        )
        if token is None or not token.user.is_active:
            if seconds := sign_in_throttle.wait_s(request, secret[:8]):  # a right one is never kept waiting
                raise exceptions.Throttled(seconds, "Too many wrong tokens.")
            sign_in_throttle.refused(request, secret[:8], "token")
            raise exceptions.AuthenticationFailed("This token is unknown, expired or its user is not active.")
        token.user.api_token = token  # what it may is less than what its user may: `permissions` asks
        token.site_ids = list(token.sites.values_list("pk", flat=True))
        if token.last_used_at is None or (now - token.last_used_at).total_seconds() > 60:
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)  # not on every call: it is a write
        return token.user, token

    def authenticate_header(self, request) -> str:
        return self.keyword
