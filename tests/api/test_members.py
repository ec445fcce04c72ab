"""/api/organisations/ and /api/memberships/: found, named, given roles, removed; every refusal."""

import pytest
from django.contrib.auth import get_user_model

from facility.models import Membership, Organisation
from tests.api.conftest import caller, member

MEMBERS, ORGANISATIONS = "/api/memberships/", "/api/organisations/"


@pytest.fixture
def owner(asked):
    return caller(member(asked.site, "owner"))


def test_an_owner_adds_changes_and_removes_members(owner, asked, planner, stranger):
    get_user_model().objects.create_user("new")
    body = {"user": "new", "role": "operator", "site": asked.site.slug}
    made = owner.post(MEMBERS, body)
    assert made.status_code == 201, made.json()
    told = made.json()
    assert told == {"id": told["id"], **body, "organisation": None}
    own = f"{MEMBERS}{told['id']}/"
    assert owner.get(own)["ETag"] == made["ETag"]
    assert {row["user"] for row in owner.get(MEMBERS, {"role": "operator"}).json()["results"]} == {"new"}
    for other in (planner, stranger):
        assert other.post(MEMBERS, body).status_code in (400, 403)
        assert other.get(own).status_code == 404
        assert other.delete(own).status_code == 404
    assert owner.patch(own, {"role": "viewer"}, headers={"If-Match": made["ETag"]}).json()["role"] == "viewer"
    assert owner.patch(own, {"role": "planner"}, headers={"If-Match": made["ETag"]}).status_code == 412
    assert owner.post(MEMBERS, body).json()["id"] == told["id"]  # again: the role
    assert Membership.objects.get(pk=told["id"]).role == "operator"
    assert owner.delete(own).status_code == 204


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"user": "ghost"}, "user: Nobody who can sign in is called ghost"),
        ({"role": "king"}, "king"),
        ({"site": "elsewhere"}, "site"),
        ({"organisation": "north"}, "not both"),
        ({"site": None}, "site"),
    ],
)
def test_what_is_no_membership_is_refused(owner, asked, stranger, change, said):
    Organisation.objects.create(slug="north", name="North").memberships.create(
        user=asked.site.memberships.get(role="owner").user, role="owner"
    )
    get_user_model().objects.create_user("new")
    answer = owner.post(MEMBERS, {"user": "new", "role": "viewer", "site": asked.site.slug} | change)
    assert answer.status_code == 400
    assert said in answer.json()["message"]
    assert not Membership.objects.filter(user__username="new").exists()


def test_the_last_owner_stays(owner, asked):
    own = f"{MEMBERS}{asked.site.memberships.get(role='owner').pk}/"
    for answer in (owner.delete(own), owner.patch(own, {"role": "viewer"})):
        assert answer.status_code == 400
        assert "last owner" in answer.json()["message"]


def test_a_site_does_not_leave_the_organisation_that_owns_it(asked):
    asked.site.organisation = Organisation.objects.create(slug="north", name="North")
    asked.site.save()
    user = get_user_model().objects.create_user("olga")
    Membership.objects.create(user=user, organisation=asked.site.organisation, role="owner")
    answer = caller(user).patch(f"/api/sites/{asked.site.slug}/", {"organisation": None})
    assert answer.status_code == 400
    assert "organisation: This takes the last owner" in answer.json()["message"]
    assert caller(user).get(f"/api/sites/{asked.site.slug}/").json()["organisation"] == "north"


def test_administrators_found_organisations_and_owners_rename_them(owner, asked, admin_user, viewer):
    admin = caller(admin_user)
    assert owner.post(ORGANISATIONS, {"slug": "north", "name": "North"}).status_code == 403
    made = admin.post(ORGANISATIONS, {"slug": "north", "name": "North"})
    assert made.status_code == 201
    assert owner.get(f"{ORGANISATIONS}north/").status_code == 404
    named = asked.site.memberships.get(role="owner").user.username
    assert admin.post(MEMBERS, {"user": named, "role": "owner", "organisation": "north"}).status_code == 201
    assert owner.patch(f"{ORGANISATIONS}north/", {"name": "North Grid"}).json() == {
        "slug": "north",
        "name": "North Grid",
    }
    site = f"/api/sites/{asked.site.slug}/"
    assert owner.patch(site, {"organisation": "north"}).json()["organisation"] == "north"
    assert viewer.patch(site, {"organisation": None}).status_code == 403
    assert viewer.get(ORGANISATIONS).json()["count"] == 0
