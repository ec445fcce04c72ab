"""Who may do what with a site. Pages, API, files and commands all ask here.

Each rule comes as a pair: `check_…` raises PermissionDenied with a sentence, `may_…` answers yes or no.
"""

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet

from facility.models import ApiToken, Membership, Site


def visible_sites(user) -> QuerySet[Site]:
    """Return the sites that a user may see: all for superusers, else those with a membership."""
    if user.is_superuser:
        return _of_token(user)
    if not user.is_authenticated:
        return Site.objects.none()
    return _of_token(user).filter(memberships__user=user)


def changeable_sites(user) -> QuerySet[Site]:
    """Return the sites that a user may change: all for superusers, else those that they plan."""
    token = token_of(user)
    if token and token.read_only:
        return Site.objects.none()
    if user.is_superuser:
        return _of_token(user)
    if not user.is_authenticated:
        return Site.objects.none()
    return _of_token(user).filter(memberships__user=user, memberships__role=Membership.Role.PLANNER)


def token_of(user) -> ApiToken | None:
    """Return the token by which a program speaks for the user in this request, if one does."""
    return getattr(user, "api_token", None)


def check_create_site(user) -> None:
    """Raise PermissionDenied where a token counts for some sites only: a new one is none of them."""
    token = token_of(user) if user is not None else None
    if token and (token.read_only or token.site_ids):
        raise PermissionDenied("This token is limited to some sites or to reading; it cannot create a site.")


def _of_token(user) -> QuerySet[Site]:
    """Return all sites, or those that the user's token is limited to."""
    token = token_of(user)
    return Site.objects.filter(pk__in=token.site_ids) if token and token.site_ids else Site.objects.all()


def may_change_site(user, site: Site) -> bool:
    """Return whether the user may change the site and what stands on it."""
    return (user.is_superuser and token_of(user) is None) or changeable_sites(user).filter(pk=site.pk).exists()


def check_write(user, site: Site) -> None:
    """Raise PermissionDenied unless a write on the site may go on: every service that writes asks here.

    No user stands for whoever operates this machine: commands and workers, which no request reaches.
    """
    if user is not None:
        check_change_site(user, site)


def check_change_site(user, site: Site) -> None:
    """Raise PermissionDenied unless the user may change the site."""
    if may_change_site(user, site):
        return
    if visible_sites(user).filter(pk=site.pk).exists():
        raise PermissionDenied(f"You can view {site.name} but not change it; a planner of the site can grant that.")
    # Without its name: who may not see the site learns nothing about it.
    raise PermissionDenied("You don't have permission to change this site; a planner of the site can grant that.")
