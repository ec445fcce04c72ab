"""Who may do what with a site. Pages, API, files and commands all ask here.

A role grants rights (`GRANTS`), on one site or on every site of an organisation. Each rule comes as a pair: `check_…`
raises PermissionDenied with a sentence, `may_…` answers yes or no.
"""

from collections.abc import Mapping
from enum import StrEnum

from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet

from facility.models import ApiToken, Membership, Organisation, Site


class Right(StrEnum):
    """What somebody may do; the value is how a refusal says it."""

    SEE = "view it"
    RUN = "ask for runs and sweeps of it"
    PLAN = "change it"
    OPERATE = "change its readings, their sources and what is asked of them"
    BUY = "add to the catalogue"
    APPROVE = "decide on its layouts"  # give them another status, accept what a calibration found
    MANAGE = "say who its members are"
    AUDIT = "read who changed what"


Role = Membership.Role
GRANTS: Mapping[Membership.Role, frozenset[Right]] = {
    Role.VIEWER: frozenset({Right.SEE}),
    Role.PROCUREMENT: frozenset({Right.SEE, Right.RUN, Right.BUY}),
    Role.OPERATOR: frozenset({Right.SEE, Right.RUN, Right.OPERATE}),
    Role.PLANNER: frozenset(Right) - {Right.APPROVE, Right.MANAGE, Right.AUDIT},
    Role.ENGINEER: frozenset(Right) - {Right.MANAGE, Right.AUDIT},
    Role.OWNER: frozenset(Right),
}
READS = frozenset({Right.SEE, Right.AUDIT})  # what a read-only token may


def roles_with(right: Right) -> list[Membership.Role]:
    """Return the roles that grant a right."""
    return [role for role, rights in GRANTS.items() if right in rights]


def sites_where(user, right: Right) -> QuerySet[Site]:
    """Return the sites on which a user has a right: all for superusers; by a token, no more than it counts for."""
    token = token_of(user)
    if not user.is_authenticated or (token and token.read_only and right not in READS):
        return Site.objects.none()
    sites = Site.objects.filter(pk__in=token.site_ids) if token and token.site_ids else Site.objects.all()
    if user.is_superuser:
        return sites
    held = Membership.objects.filter(user=user, role__in=roles_with(right))
    return sites.filter(Q(pk__in=held.values("site")) | Q(organisation__in=held.values("organisation")))


def organisations_where(user, right: Right) -> QuerySet[Organisation]:
    """Return the organisations on whose sites a user has a right; none by a token that is limited to some sites."""
    token = token_of(user)
    if not user.is_authenticated or (token and (token.site_ids or (token.read_only and right not in READS))):
        return Organisation.objects.none()
    if user.is_superuser:
        return Organisation.objects.all()
    held = Membership.objects.filter(user=user, role__in=roles_with(right))
    return Organisation.objects.filter(pk__in=held.values("organisation"))


def visible_sites(user) -> QuerySet[Site]:
    """Return the sites that a user may see."""
    return sites_where(user, Right.SEE)


def changeable_sites(user) -> QuerySet[Site]:
    """Return the sites whose description a user may change."""
    return sites_where(user, Right.PLAN)


def token_of(user) -> ApiToken | None:
    """Return the API token that a program uses for the user in this request, if any."""
    return getattr(user, "api_token", None)


def check_beyond_sites(user, doing: str) -> None:
    """Raise PermissionDenied where a token is limited to some sites, or read-only, and the action is of no site."""
    token = token_of(user)
    if token and (token.read_only or token.site_ids):
        raise PermissionDenied(f"This token is limited to some sites or to reading; it cannot {doing}.")


def check_create_site(user, organisation: Organisation | None = None) -> None:
    """Raise PermissionDenied where a token counts for some sites only, or the organisation is not the user's."""
    check_beyond_sites(user, "create a site")
    if user is not None and organisation is not None:
        check_put_into(user, organisation)


def check_put_into(user, organisation: Organisation) -> None:
    """Raise PermissionDenied unless the user may put sites into the organisation: who plans all of its sites."""
    if not organisations_where(user, Right.PLAN).filter(pk=organisation.pk).exists():
        raise PermissionDenied("You don't have permission to put sites into this organisation; its owners have.")


def rights_on(user, site: Site) -> frozenset[Right]:
    """Return all that a user may do with a site."""
    token = token_of(user)
    if not user.is_authenticated or (token and token.site_ids and site.pk not in token.site_ids):
        return frozenset()
    if user.is_superuser:
        rights = frozenset(Right)
    else:
        # By what is stored: the site at hand may be one that somebody wants to put into another organisation.
        held = Membership.objects.filter(Q(site=site.pk) | Q(organisation__sites=site.pk), user=user)
        rights = frozenset().union(*(GRANTS[role] for role in held.values_list("role", flat=True)))
    return rights & READS if token and token.read_only else rights


def may_change_site(user, site: Site, right: Right = Right.PLAN) -> bool:
    """Return whether the user has a right on the site; unless another is named, to change its description."""
    return right in rights_on(user, site)


def check_write(user, site: Site, right: Right = Right.PLAN) -> None:
    """Raise PermissionDenied unless a write on the site is allowed: every service that writes calls this.

    No user stands for whoever operates this machine: commands and workers, which no request reaches.
    """
    if user is not None:
        check_change_site(user, site, right)


def check_change_site(user, site: Site, right: Right = Right.PLAN) -> None:
    """Raise PermissionDenied unless the user has a right on the site; unless another is named, to change it."""
    rights = rights_on(user, site)
    if right in rights:
        return
    if Right.SEE in rights:
        raise PermissionDenied(f"You can view {site.name} but not {right}; an owner of the site can grant that.")
    # Without its name: who may not see the site learns nothing about it.
    raise PermissionDenied("You don't have permission to change this site; an owner of the site can grant that.")


def check_status(user, site: Site, before: str, after: str) -> None:
    """Raise PermissionDenied where a layout would be given another status by somebody who may not decide on it."""
    if before != after:
        check_write(user, site, Right.APPROVE)


def owns_something(user) -> bool:
    """Return whether there is a site or organisation whose owner the user is."""
    return sites_where(user, Right.MANAGE).exists() or organisations_where(user, Right.MANAGE).exists()


def may_manage(user, place: Site | Organisation) -> bool:
    """Return whether the user may decide on the members of a site or organisation."""
    if isinstance(place, Site):
        return Right.MANAGE in rights_on(user, place)
    return organisations_where(user, Right.MANAGE).filter(pk=place.pk).exists()


def check_manage(user, place: Site | Organisation) -> None:
    """Raise PermissionDenied unless the user may decide on the members of a site or organisation."""
    if user is not None and not may_manage(user, place):
        raise PermissionDenied("You don't have permission to change the members here; an owner can grant that.")


def check_buy(user) -> None:
    """Raise PermissionDenied unless the user may add to the catalogue: engineers, and buyers of any site."""
    check_beyond_sites(user, "add to the catalogue")
    held = Membership.objects.filter(user=user, role__in=roles_with(Right.BUY))
    if not (user.is_superuser or user.is_staff or held.exists()):
        raise PermissionDenied(
            "You can view the catalogue but not add to it; whoever plans a site or buys for it can, or an engineer."
        )
