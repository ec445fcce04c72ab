"""Who may do what with a site. Pages, API, files and commands all ask here.

Each rule comes as a pair: `check_…` raises PermissionDenied with a sentence, `may_…` answers yes or no.
"""

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet

from facility.models import Membership, Site


def visible_sites(user) -> QuerySet[Site]:
    """Return the sites that a user may see: all for superusers, else those with a membership."""
    if user.is_superuser:
        return Site.objects.all()
    if not user.is_authenticated:
        return Site.objects.none()
    return Site.objects.filter(memberships__user=user)


def changeable_sites(user) -> QuerySet[Site]:
    """Return the sites that a user may change: all for superusers, else those that they plan."""
    if user.is_superuser:
        return Site.objects.all()
    if not user.is_authenticated:
        return Site.objects.none()
    return Site.objects.filter(memberships__user=user, memberships__role=Membership.Role.PLANNER)


def may_change_site(user, site: Site) -> bool:
    """Return whether the user may change the site and what stands on it."""
    return user.is_superuser or changeable_sites(user).filter(pk=site.pk).exists()


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
        raise PermissionDenied(f"You may look at {site.name} but not change it; a planner of the site can grant that.")
    raise PermissionDenied("You may not change this site; a planner of the site can grant that.")  # without its name
