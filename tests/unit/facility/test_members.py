"""Owners say who belongs to a site or an organisation; nobody gets more than they were given."""

from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.urls import reverse

from facility import members, services
from facility.models import ApiToken, Membership, Organisation, Site
from facility.permissions import GRANTS, Right, Role, rights_on, sites_where, visible_sites
from tests.small_run import small_scenario

pytestmark = pytest.mark.django_db


def user_of(name: str, role: str = "", place: Site | Organisation | None = None):
    user = get_user_model().objects.create_user(name)
    if place is not None:
        members.member_add(place=place, username=name, role=role)
    return user


@pytest.fixture
def site() -> Site:
    return small_scenario()[0].site


@pytest.fixture
def organisation(site) -> Organisation:
    found = Organisation.objects.create(slug="north", name="North")
    site.organisation = found
    site.save()
    return found


@pytest.mark.parametrize("role", Role.values)
def test_a_role_grants_the_same_on_a_site_and_on_the_sites_of_an_organisation(site, organisation, role):
    by_site, by_organisation = user_of("a", role, site), user_of("b", role, organisation)
    elsewhere = small_scenario("elsewhere")[0].site
    for user in (by_site, by_organisation):
        assert rights_on(user, site) == GRANTS[role]
        assert rights_on(user, elsewhere) == frozenset()
        assert all((site in sites_where(user, right)) == (right in GRANTS[role]) for right in Right)
        assert list(visible_sites(user)) == [site]


def test_two_memberships_add_up(site, organisation):
    user = user_of("a", "operator", site)
    members.member_add(place=organisation, username="a", role="procurement")
    assert rights_on(user, site) == GRANTS[Role.OPERATOR] | GRANTS[Role.PROCUREMENT]
    assert list(visible_sites(user)) == [site]


def test_a_membership_is_of_one_place(site, organisation):
    user = user_of("a")
    for places in ({}, {"site": site, "organisation": organisation}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Membership.objects.create(user=user, role="viewer", **places)


def test_only_owners_name_members_and_the_last_one_stays(site, client):
    owner, planner, newcomer = user_of("olga", "owner", site), user_of("paul", "planner", site), user_of("new")
    page = reverse("site-members", args=[site.slug])
    client.force_login(planner)
    assert client.get(page).status_code == 403
    assert client.post(page, {"user": "new", "role": "owner"}).status_code == 403
    with pytest.raises(PermissionDenied):
        members.member_add(place=site, username="new", role="viewer", user=planner)
    client.force_login(owner)
    assert b"paul" in client.get(page).content
    assert "Nobody who can sign in" in client.post(page, {"user": "nobody", "role": "viewer"}).content.decode()
    assert client.post(page, {"user": "new", "role": "operator"}).status_code == 302
    made = Membership.objects.get(user=newcomer)
    assert (made.site, made.role) == (site, "operator")
    change = reverse("member-change", args=[made.pk])
    client.post(change, {"role": "engineer"})
    assert Membership.objects.get(pk=made.pk).role == "engineer"
    own = Membership.objects.get(user=owner)
    for body in ({"remove": ""}, {"role": "viewer"}):
        said = client.post(reverse("member-change", args=[own.pk]), body, follow=True).content.decode()
        assert "the last owner" in said
    assert Membership.objects.get(pk=own.pk).role == "owner"
    client.post(change, {"remove": ""})
    assert not Membership.objects.filter(pk=made.pk).exists()


def test_an_organisations_owner_is_an_owner_of_its_sites(site, organisation):
    owner = user_of("olga", "owner", organisation)
    local = user_of("lea", "owner", site)
    members.member_remove(membership=Membership.objects.get(user=local), user=owner)
    with pytest.raises(ValidationError, match="last owner"):
        members.member_remove(membership=Membership.objects.get(user=owner), user=owner)


def test_a_site_keeps_an_owner_whatever_it_belongs_to(site, organisation, client, admin_user):
    owner = user_of("olga", "owner", organisation)
    site.organisation = None
    with pytest.raises(members.LastOwner, match="last owner of"):
        services.site_update(site=site, user=owner)
    client.force_login(owner)
    edit = reverse("site-edit", args=[site.slug])
    form = client.get(edit).context["form"]
    typed = {name: form[name].value() for name in form.fields if form[name].value() is not None}
    said = client.post(edit, typed | {"organisation": ""})
    assert said.status_code == 200
    assert "last owner of" in said.content.decode()
    assert Site.objects.get(pk=site.pk).organisation == organisation
    members.member_add(place=site, username="olga", role="owner", user=owner)
    services.site_update(site=site, user=owner)
    Membership.objects.filter(site=site).delete()
    services.site_update(site=site, user=admin_user)  # who can mend it


def test_an_owner_who_cannot_sign_in_is_none(site, organisation):
    owner, gone = user_of("olga", "owner", site), user_of("gone", "owner", site)
    members.member_add(place=organisation, username="gone", role="owner")
    gone.is_active = False
    gone.save()
    own = Membership.objects.get(user=owner)
    with pytest.raises(members.LastOwner):
        members.member_update(membership=own, role="viewer", user=owner)
    with pytest.raises(members.LastOwner):
        members.member_remove(membership=own)
    assert Membership.objects.get(pk=own.pk).role == "owner"
    members.member_remove(membership=Membership.objects.get(user=gone, site=site), user=owner)


def test_a_site_goes_into_an_organisation_of_its_owner_only(site, organisation):
    other = Organisation.objects.create(slug="south", name="South")
    planner, owner = user_of("paul", "planner", site), user_of("olga", "owner", site)
    members.member_add(place=other, username="paul", role="owner")
    site.organisation = other  # whoever plans all sites of another organisation must not carry this one there
    with pytest.raises(PermissionDenied):
        services.site_update(site=site, user=planner)
    with pytest.raises(PermissionDenied, match="put sites into"):
        services.site_update(site=site, user=owner)
    members.member_add(place=other, username="olga", role="planner")
    services.site_update(site=site, user=owner)
    assert Site.objects.get(pk=site.pk).organisation == other


def test_a_token_manages_no_more_than_it_counts_for(site, organisation):
    owner = user_of("olga", "owner", organisation)
    token, _ = ApiToken.issue(user=owner, name="t", read_only=True)
    for read_only, site_ids in ((True, []), (False, [site.pk + 1])):
        token.read_only, token.site_ids = read_only, site_ids
        owner.api_token = token
        assert Right.MANAGE not in rights_on(owner, site)
        assert not members.managed_memberships(owner).exists()


def test_administrators_found_organisations(client, admin_client, site):
    owner = user_of("olga", "owner", site)
    client.force_login(owner)
    assert client.post(reverse("organisation-list"), {"name": "Mine", "slug": "mine"}).status_code == 403
    assert admin_client.post(reverse("organisation-list"), {"name": "Mine", "slug": "mine"}).status_code == 302
    assert b"Mine" in admin_client.get(reverse("organisation-list")).content
    assert admin_client.get(reverse("organisation-members", args=["mine"])).status_code == 200
    members.member_add(place=Organisation.objects.get(), username="olga", role="viewer")
    assert b"Mine" in client.get(reverse("organisation-list")).content
    assert client.get(reverse("organisation-members", args=["mine"])).status_code == 403


def test_a_user_says_their_name_and_address(client):
    user = user_of("olga")
    client.force_login(user)
    page = reverse("account-details")
    told = {"first_name": "Olga", "last_name": "O", "email": "olga@example.org"}
    assert client.post(page, told | {"first_name": "O\u202elga"}).status_code == 200
    assert client.post(page, told | {"email": "no address"}).status_code == 200
    assert client.post(page, told).status_code == 302
    user.refresh_from_db()
    assert (user.get_full_name(), user.email) == ("Olga O", "olga@example.org")


def test_an_upgrade_makes_the_first_planner_of_each_site_its_owner(site):
    other = small_scenario("elsewhere")[0].site
    for name, role, place in (("v", "viewer", site), ("p", "planner", site), ("q", "planner", site)):
        user_of(name, role, place)
    user_of("o", "owner", other)
    members.member_add(place=other, username="p", role="planner")
    upgrade = import_module("facility.migrations.0018_first_planners_own")
    upgrade.first_planners_own(apps, None)
    told = Membership.objects.order_by("pk").values_list("user__username", "site__slug", "role")
    assert [row[2] for row in told] == ["viewer", "owner", "planner", "owner", "planner"]
