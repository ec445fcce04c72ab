"""Who belongs to a site or an organisation, and in which role. Owners say so; pages and API come here."""

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet

from facility.etags import check_match
from facility.models import Membership, Organisation, Site
from facility.models.text import check_text
from facility.permissions import Right, check_manage, organisations_where, sites_where, token_of

MOST_MEMBERS = 2_000  # of a place


def managed_memberships(user: AbstractUser) -> QuerySet[Membership]:
    """Return the memberships that a user may change: of every place that they own."""
    return Membership.objects.filter(
        Q(site__in=sites_where(user, Right.MANAGE)) | Q(organisation__in=organisations_where(user, Right.MANAGE))
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
    if role != Membership.Role.OWNER:
        _check_owner_left(membership, user)
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
    _check_owner_left(membership, user)
    membership.delete()


def _check_owner_left(membership: Membership, user) -> None:
    """Refuse to leave a place without an owner: only an administrator may, and can mend it."""
    if membership.role != Membership.Role.OWNER or user is None or user.is_superuser:
        return
    place = membership.place
    owners = Membership.objects.filter(role=Membership.Role.OWNER).exclude(pk=membership.pk)
    of_place = Q(organisation=place)
    if isinstance(place, Site):
        of_place = Q(site=place) | Q(organisation__sites=place)
    if not owners.filter(of_place).select_for_update().exists():
        raise ValidationError(
            {"role": f"{membership.user} is the last owner of {place}; make somebody else its owner first."}
        )


def check_found_organisation(user) -> None:
    """Raise PermissionDenied unless the user may found an organisation: administrators, whose token counts for all."""
    token = token_of(user)
    if not user.is_superuser or (token and (token.read_only or token.site_ids)):
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
