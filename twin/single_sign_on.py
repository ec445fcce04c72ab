"""Sign-in by an OpenID Connect provider: authorization code with PKCE, state and nonce (mozilla-django-oidc).

The provider's addresses come from its discovery document; every call goes by `twin.outgoing`. An ID token counts where
its signature, issuer, audience, times and nonce are right. Who signs in is known by issuer and subject alone. Groups of
the provider may grant roles, by a table of the operator.
"""

import json
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import jwt
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured, SuspiciousOperation, ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from mozilla_django_oidc.auth import OIDCAuthenticationBackend
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView, OIDCAuthenticationRequestView

from facility import acting, members
from facility.models import Membership, Organisation, Site
from facility.models.text import check_text
from facility.permissions import GRANTS
from twin import outgoing
from twin.models import ExternalIdentity

ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
)  # signed by a private key
NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")
KEPT_S, LEEWAY_S, MOST_BYTES = 3600, 60, 2**20
ADMINISTRATOR = "administrator"
logger = logging.getLogger(__name__)


class SignInRefused(Exception):
    """Why somebody cannot sign in; a sentence for them."""


def discovered() -> dict[str, Any]:
    """Return what the provider says of itself.

    Raises
    ------
    SignInRefused
        If it cannot be reached, is another than it should be, or names addresses that are not encrypted.
    """
    issuer = settings.TWIN_OIDC_ISSUER
    found = cache.get(f"oidc:{issuer}")
    if found is None:
        found = _read(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != issuer:
            raise SignInRefused(f"The identity provider calls itself {str(found.get('issuer'))[:200]}, not {issuer}.")
        for name in NEEDED:
            if not _encrypted(str(found.get(name, ""))):
                raise SignInRefused(f"The identity provider's {name} is no https address.")
        cache.set(f"oidc:{issuer}", found, KEPT_S)
    return found


def _encrypted(address: str) -> bool:
    """Return whether an address is encrypted, or of this machine where the issuer is too."""
    here = {"localhost", "127.0.0.1"}
    own = urlsplit(settings.TWIN_OIDC_ISSUER).hostname in here and urlsplit(address).hostname in here
    return address.startswith("https://") or (own and address.startswith("http://"))


def _read(address: str, method: str = "GET", **call: Any) -> dict[str, Any]:
    if not _encrypted(address):
        raise SignInRefused("The identity provider's address is not https.")
    try:
        answer = outgoing.call(method, address, max_bytes=MOST_BYTES, max_redirects=0, **call)
        found = json.loads(answer.body)
    except (outgoing.CallRefused, ValueError, RecursionError) as error:
        raise SignInRefused(f"The identity provider cannot be asked: {str(error)[:200]}") from error
    if answer.status != 200 or not isinstance(found, dict):
        why = found.get("error", "") if isinstance(found, dict) else ""
        raise SignInRefused(f"The identity provider answers {answer.status} {str(why)[:80]}.")
    return found


class Backend(OIDCAuthenticationBackend):
    """Turns the provider's answer into a user."""

    def __init__(self) -> None:
        # Not the library's: it wants addresses in settings before the provider has been asked.
        self.UserModel = get_user_model()
        self.OIDC_RP_CLIENT_ID = settings.TWIN_OIDC_CLIENT_ID
        self.OIDC_RP_CLIENT_SECRET = settings.TWIN_OIDC_CLIENT_SECRET

    def authenticate(self, request: HttpRequest, **kwargs: Any):
        """Return the user of the provider's answer; of a password, which other backends know, nobody."""
        if not settings.TWIN_OIDC_ISSUER or not kwargs.get("nonce"):
            return None
        return super().authenticate(request, **kwargs)

    def get_token(self, payload: dict[str, str]) -> dict[str, Any]:
        """Return what the provider gives for the code."""
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        return _read(discovered()["token_endpoint"], "POST", body=urlencode(payload).encode(), headers=headers)

    def verify_token(self, token: str, **kwargs: Any) -> dict[str, Any]:
        """Return the claims of an ID token.

        Raises
        ------
        SignInRefused
            If it is not signed by the provider for this program, or is too old.
        """
        try:
            header = jwt.get_unverified_header(token)
            algorithm = header.get("alg")
            if algorithm not in ALGORITHMS:
                raise SignInRefused(
                    f"The identity provider signs by {str(algorithm)[:20]}; must be one of {ALGORITHMS}."
                )
            claims = jwt.decode(
                token,
                _key(header),
                algorithms=[algorithm],
                audience=settings.TWIN_OIDC_CLIENT_ID,
                issuer=settings.TWIN_OIDC_ISSUER,
                leeway=LEEWAY_S,
                options={"require": ["iss", "aud", "sub", "exp", "iat"]},
            )
        except (jwt.PyJWTError, AttributeError, TypeError, ValueError) as error:
            raise SignInRefused("The identity provider's token is not valid.") from error
        if not kwargs.get("nonce") or claims.get("nonce") != kwargs["nonce"]:
            raise SignInRefused("The identity provider's token answers another sign-in; sign in again.")
        if claims.get("azp", settings.TWIN_OIDC_CLIENT_ID) != settings.TWIN_OIDC_CLIENT_ID:
            raise SignInRefused("The identity provider's token is meant for another program.")
        return claims

    def get_userinfo(self, access_token: str, id_token: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Return the claims of the token together with those of the provider's user-info endpoint."""
        address = discovered().get("userinfo_endpoint")
        if not address or not access_token:
            return payload
        more = _read(str(address), headers={"Authorization": f"Bearer {access_token}"})
        if more.get("sub") != payload["sub"]:  # OpenID Connect Core 5.3.2: else it may be about somebody else
            raise SignInRefused("The identity provider speaks of somebody else.")
        return {**more, **payload}

    @transaction.atomic
    def get_or_create_user(self, access_token: str, id_token: str, payload: dict[str, Any]):
        """Return the user of the claims, made where there is none yet, with the roles that groups grant."""
        claims = self.get_userinfo(access_token, id_token, payload)
        known = {"issuer": settings.TWIN_OIDC_ISSUER, "subject": str(payload["sub"])[:255]}
        identity = ExternalIdentity.objects.select_related("user").filter(**known).first()
        name = identity.user.get_username() if identity else _name(claims)
        if identity is None and self.UserModel.objects.filter(username=name).exists():
            raise SignInRefused(f"There is a user {name} already; an administrator can say that it is you.")
        number = identity.user_id if identity else None
        with acting.acting(acting.Acting("page", "single sign-on", user_id=number, username=name)):
            if identity is None:
                user = self.UserModel(username=name)
                user.set_unusable_password()
            else:
                user = identity.user
            for field, claim in (("first_name", "given_name"), ("last_name", "family_name"), ("email", "email")):
                setattr(user, field, str(claims.get(claim) or getattr(user, field))[: 254 if field == "email" else 150])
            try:
                check_text(user)
                user.clean_fields(exclude=["password"])
            except ValidationError as wrong:
                raise SignInRefused(
                    f"The identity provider gives a user that cannot be: {wrong.messages[0]}"
                ) from wrong
            if not user.is_active:
                raise SignInRefused("This user may no longer sign in.")
            _grant(user, claims)
            if identity is None:
                ExternalIdentity.objects.create(user=user, **known)
        return user


def _key(header: Mapping[str, Any]) -> jwt.PyJWK:
    """Return the provider's key that a token names; asked anew where it is not among those that are remembered."""
    address = discovered()["jwks_uri"]
    for again in (False, True):
        found = None if again else cache.get(f"oidc-keys:{address}")
        if found is None:
            found = _read(address)
            cache.set(f"oidc-keys:{address}", found, KEPT_S)
        keys = [key for key in found.get("keys", []) if isinstance(key, dict) and key.get("kty") in ("RSA", "EC")]
        named = [
            key for key in keys if key.get("kid") == header.get("kid") or (header.get("kid") is None and len(keys) == 1)
        ]
        if named:
            return jwt.PyJWK(named[0], algorithm=str(header["alg"]))
    raise SignInRefused("The identity provider's token names a key that the provider does not have.")


def _name(claims: Mapping[str, Any]) -> str:
    name = str(claims.get("preferred_username") or claims.get("email") or claims["sub"])
    return name[:150]


def mapping_of(text: str) -> list[tuple[str, str, str, str]]:
    """Read TWIN_OIDC_GROUPS: GROUP=ROLE@site:SLUG or GROUP=ROLE@organisation:SLUG or GROUP=administrator, by commas.

    Returns
    -------
    list of (group, role, kind of place, slug)

    Raises
    ------
    ValueError
        If an entry is neither; names it.
    """
    found = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        group, equals, granted = entry.rpartition("=")
        role, _, place = granted.partition("@")
        kind, _, slug = place.partition(":")
        whole = role in set(GRANTS) and kind in ("site", "organisation") and bool(slug)
        if not (group and equals and (granted == ADMINISTRATOR or whole)):
            roles = ", ".join(GRANTS)
            raise ValueError(
                f"{entry!r} must be GROUP={ADMINISTRATOR} or GROUP=ROLE@site:SLUG or GROUP=ROLE@organisation:SLUG, "
                f"ROLE one of {roles}"
            )
        found.append((group, role, kind, slug))
    return found


def _grant(user, claims: Mapping[str, Any]) -> None:
    """Save the user with the roles of their groups; places and rights that no group is written for stay as they are."""
    table = mapping_of(settings.TWIN_OIDC_GROUPS)
    claimed = claims.get(settings.TWIN_OIDC_GROUPS_CLAIM) or []
    groups = {str(group) for group in claimed} if isinstance(claimed, list) else {str(claimed)}
    if any(role == ADMINISTRATOR for _, role, _, _ in table):
        user.is_superuser = user.is_staff = any(g in groups for g, role, _, _ in table if role == ADMINISTRATOR)
    user.save()
    order, granted = list(GRANTS), dict[tuple[str, str], str]()
    for group, role, kind, slug in table:
        if role == ADMINISTRATOR:
            continue
        best = granted.setdefault((kind, slug), "")
        if group in groups and (not best or order.index(role) > order.index(best)):
            granted[kind, slug] = role
    for (kind, slug), role in granted.items():
        place = (Site if kind == "site" else Organisation).objects.filter(slug=slug).first()
        if place is None:
            logger.warning("TWIN_OIDC_GROUPS names the %s %s, which is not there", kind, slug)
            continue
        try:
            if role:
                members.member_add(place=place, username=user.get_username(), role=role)
            elif there := Membership.objects.filter(user=user, **{kind: place}).first():
                members.member_remove(membership=there)
        except members.LastOwner:
            logger.warning(
                "%s stays owner of the %s %s, which has no other; their groups say otherwise", user, kind, slug
            )


try:
    mapping_of(settings.TWIN_OIDC_GROUPS)
except ValueError as wrong:
    raise ImproperlyConfigured(f"TWIN_OIDC_GROUPS: {wrong}") from wrong


class RequestView(OIDCAuthenticationRequestView):
    """Sends the browser to the provider."""

    def __init__(self, **options: Any) -> None:
        super(OIDCAuthenticationRequestView, self).__init__(**options)
        self.OIDC_RP_CLIENT_ID = settings.TWIN_OIDC_CLIENT_ID

    def get(self, request: HttpRequest) -> HttpResponse:
        """Ask the provider who this is."""
        _check_on()
        try:
            self.OIDC_OP_AUTH_ENDPOINT = discovered()["authorization_endpoint"]
        except SignInRefused as refusal:
            return refused(request, refusal)
        return super().get(request)


class CallbackView(OIDCAuthenticationCallbackView):
    """Takes the provider's answer."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """Sign the user in, or say why not."""
        _check_on()
        try:
            return super().get(request)
        except SignInRefused as refusal:
            return refused(request, refusal)
        except SuspiciousOperation as odd:  # a state that this browser did not begin, or twice
            return refused(request, SignInRefused(f"This sign-in was not begun here, or is over: sign in again. {odd}"))

    def login_failure(self) -> HttpResponse:
        """Say that the provider has not signed anybody in."""
        return refused(self.request, SignInRefused("The identity provider has not signed you in."))


def refused(request: HttpRequest, refusal: SignInRefused) -> HttpResponse:
    """Return to the page of sign-in with the reason."""
    logger.warning("single sign-on refused: %s", refusal)
    messages.error(request, str(refusal))
    return redirect("login")


def _check_on() -> None:
    if not settings.TWIN_OIDC_ISSUER:
        raise Http404("single sign-on is not configured")
