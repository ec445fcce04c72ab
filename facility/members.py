"""Who belongs to a site or an organisation, and in which role. Owners say so; pages and API come here."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet

from facility.etags import check_match
from facility.models import Membership, Organisation, Site
from facility.models.text import check_text
from facility.permissions import Right, check_beyond_sites, check_manage, organisations_where, sites_where

MOST_MEMBERS = 2_000  # of a place


def managed_memberships(user: AbstractUser) -> QuerySet[Membership]:
    """Return the memberships that a user may change: of every place that they own."""
    return Membership.objects.filter(
        Q(site__in=sites_where(user, Right.MANAGE)) | Q(organisation__in=organisations_where(user, Right.MANAGE))
    )


class LastOwner(ValidationError):
    """A change would take the last owner who can sign in from a site or an organisation."""


@contextmanager
def owners_kept(place: Site | Organisation, *, field: str, user=None) -> Iterator[None]:
    """Refuse what the block does where it takes the last owner from a place; administrators may, who can restore one.

    Parameters
    ----------
    place : Site or Organisation
    field : str
        Form field that the refusal belongs to.
    user : User, optional
        Who asks.

    Raises
    ------
    LastOwner
        If nobody would be left who owns the place, or all sites of its organisation, and can sign in.
    """
    if user is not None and user.is_superuser:
        yield
        return
    of_place = Q(organisation=place)
    if isinstance(place, Site):
        of_place = Q(site=place) | Q(organisation__in=Site.objects.filter(pk=place.pk).values("organisation"))
    owners = Membership.objects.filter(of_place, role=Membership.Role.OWNER, user__is_active=True)
    with transaction.atomic():
        had = list(owners.select_for_update(of=("self",)).order_by("pk"))  # two who leave at once wait for each other
        yield
        if had and not owners.exists():
            raise LastOwner(
                {field: f"This takes the last owner of {place} who can sign in; make somebody else its owner first."}
            )


@transaction.atomic
def member_add(*, place: Site | Organisation, username: str, role: str, user=None) -> Membership:
    """Make somebody a member of a site or organisation, or give the member that they are another role.

    Raises
    ------
    PermissionDenied
        If the user does not own the place.
    ValidationError
        If nobody of that name can sign in, there is no such role, or the place would lose its last owner.
    """
    check_manage(user, place)
    who = get_user_model().objects.filter(username=username, is_active=True).first()
    if who is None:
        raise ValidationError({"user": f"Nobody who can sign in is called {username[:150]}; give the user name."})
    members = place.memberships.select_for_update()
    there = members.filter(user=who).first()
    if there is not None:
        return member_update(membership=there, role=role, user=user)
    if members.count() >= MOST_MEMBERS:
        raise ValidationError(f"{place} has {MOST_MEMBERS:,} members; remove one first.")
    kind = "site" if isinstance(place, Site) else "organisation"
    made = Membership(user=who, role=role, **{kind: place})
    made.full_clean()
    made.save()
    return made


@transaction.atomic
def member_update(*, membership: Membership, role: str, if_match: str | None = None, user=None) -> Membership:
    """Give a member another role.

    Raises
    ------
    PermissionDenied, ValidationError
        As `member_add`.
    TagMismatch
        If the membership is not what `if_match` names any more.
    """
    check_manage(user, membership.place)
    membership = Membership.objects.select_for_update().get(pk=membership.pk)
    check_match(membership, if_match)
    with owners_kept(membership.place, field="role", user=user):
        membership.role = role
        membership.full_clean()
        membership.save(update_fields=["role"])
    return membership


@transaction.atomic
def member_remove(*, membership: Membership, if_match: str | None = None, user=None) -> None:
    """Take a member out of a site or organisation.

    Raises
    ------
    PermissionDenied, TagMismatch, ValidationError
        As `member_update`.
    """
    check_manage(user, membership.place)
    membership = Membership.objects.select_for_update().get(pk=membership.pk)
    check_match(membership, if_match)
    with owners_kept(membership.place, field="role", user=user):
        membership.delete()


def check_found_organisation(user) -> None:
    """Raise PermissionDenied unless the user may found an organisation: administrators, whose token counts for all."""
    check_beyond_sites(user, "found an organisation")
    if not user.is_superuser:
        raise PermissionDenied("Administrators found organisations; ask one for yours.")


@transaction.atomic
def organisation_create(*, organisation: Organisation, user) -> Organisation:
    """Found an organisation. It has no members yet."""
    check_found_organisation(user)
    return _organisation_saved(organisation)


@transaction.atomic
def organisation_update(*, organisation: Organisation, if_match: str | None = None, user) -> Organisation:
    """Rename an organisation.

    Raises
    ------
    PermissionDenied
        If the user does not own it.
    TagMismatch
        If it is not what `if_match` names any more.
    """
    check_manage(user, organisation)
    check_match(Organisation.objects.select_for_update().get(pk=organisation.pk), if_match)
    return _organisation_saved(organisation)


def _organisation_saved(organisation: Organisation) -> Organisation:
    check_text(organisation)
    organisation.full_clean()
    organisation.save()
    return organisation
