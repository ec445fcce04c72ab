"""Tokens for programs: each grants less than its user has, for a limited time. Account page and API come here."""

from collections.abc import Collection
from datetime import timedelta

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone

from facility.models import ApiToken, Site
from facility.models.text import check_text
from facility.permissions import token_of

MOST_TOKENS, MOST_DAYS = 50, 365


def own_tokens(user: AbstractUser):
    """Return the tokens that a user may see and revoke; a program that is limited to some sites sees its own only."""
    by = token_of(user)
    tokens = user.api_tokens.prefetch_related("sites")
    return tokens.filter(pk=by.pk) if by and by.site_ids else tokens


@transaction.atomic
def token_issue(
    *,
    user: AbstractUser,
    name: str,
    read_only: bool = True,
    sites: Collection[Site] = (),
    days: int = ApiToken.LIFE.days,
    require_if_match: bool = False,
) -> tuple[ApiToken, str]:
    """Make a token for a user and return it with its secret, which cannot be read again.

    One that a program asks for by a token of its own counts for no more sites than that one, and for no longer.

    Raises
    ------
    PermissionDenied
        If the token that asks only reads.
    ValidationError
        If the name has unseen characters, or the user has as many tokens as one may have.
    """
    by = token_of(user)
    if by and by.read_only:
        raise PermissionDenied("This token is read-only; it cannot make another.")
    check_text(ApiToken(name=name))
    if user.api_tokens.count() >= MOST_TOKENS:
        raise ValidationError(f"You have {MOST_TOKENS} tokens; revoke one first.")
    expires_at = timezone.now() + timedelta(days=days)
    if by and by.expires_at:
        expires_at = min(expires_at, by.expires_at)
    token, secret = ApiToken.issue(
        user=user, name=name, read_only=read_only, require_if_match=require_if_match, expires_at=expires_at
    )
    token.sites.set(sites or (by.sites.all() if by else ()))
    return token, secret
