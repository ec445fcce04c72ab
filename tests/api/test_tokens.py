"""/api/tokens/: a program makes, lists and revokes tokens of its user, and none that may more than its own."""

from datetime import timedelta

import pytest
from django.utils import timezone

from facility.models import ApiToken
from facility.tokens import MOST_TOKENS
from tests.api.conftest import caller, member
from tests.small_run import small_scenario

ADDRESS = "/api/tokens/"


def by_secret(secret: str):
    client = caller()
    client.credentials(HTTP_AUTHORIZATION=f"Token {secret}")
    return client


@pytest.fixture
def user(asked):
    return member(asked.site, "planner")


@pytest.fixture
def program(user):
    return caller(user)


def test_a_token_is_made_used_and_revoked(program, asked):
    made = program.post(ADDRESS, {"name": "prices", "sites": [asked.site.slug], "days": 7}).json()
    assert made["read_only"] is True
    assert made["sites"] == [asked.site.slug]
    new = by_secret(made["secret"])
    assert new.get("/api/sites/").json()["count"] == 1
    assert new.post("/api/layouts/", {"site": asked.site.slug, "slug": "b", "name": "B"}).status_code == 403
    listed = program.get(ADDRESS).json()
    assert listed["count"] == 2
    assert made["secret"] not in str(listed)
    assert program.delete(f"{ADDRESS}{made['id']}/").status_code == 204
    assert new.get("/api/sites/").status_code == 401


def test_a_token_lives_90_days_unless_it_is_said(program):
    made = program.post(ADDRESS, {"name": "prices"}).json()
    life = ApiToken.objects.get(pk=made["id"]).expires_at - timezone.now()
    assert timedelta(days=89, hours=23) < life <= timedelta(days=90)


def test_a_token_of_a_token_may_no_more_than_that_one(user, asked):
    other = small_scenario("elsewhere")[0].site
    other.memberships.create(user=user, role="planner")
    token, secret = ApiToken.issue(
        user=user, name="narrow", read_only=False, expires_at=timezone.now() + timedelta(days=2)
    )
    token.sites.set([asked.site])
    narrow = by_secret(secret)
    assert narrow.post(ADDRESS, {"name": "wider", "sites": [other.slug]}).status_code == 400
    made = narrow.post(ADDRESS, {"name": "same", "read_only": False, "days": 300}).json()
    child = ApiToken.objects.get(pk=made["id"])
    assert list(child.sites.all()) == [asked.site]
    assert child.expires_at == token.expires_at
    assert [row["name"] for row in narrow.get(ADDRESS).json()["results"]] == ["narrow"]
    assert narrow.delete(f"{ADDRESS}{user.api_tokens.exclude(name='narrow').first().pk}/").status_code == 404


def test_a_read_only_token_makes_none(user):
    assert caller(user, read_only=True).post(ADDRESS, {"name": "more"}).status_code == 403


def test_tokens_of_others_are_not_there(program, stranger):
    made = program.post(ADDRESS, {"name": "mine"}).json()
    assert stranger.get(f"{ADDRESS}{made['id']}/").status_code == 404
    assert stranger.delete(f"{ADDRESS}{made['id']}/").status_code == 404


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "name"),
        ({"name": "a\u202eb"}, "U+202E"),
        ({"name": "a", "days": 0}, "days"),
        ({"name": "a", "days": 366}, "365"),
        ({"name": "a", "sites": ["elsewhere"]}, "elsewhere"),
        ({"name": "a", "write": True}, "write is no field here"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_made(program, user, body, said):
    answer = program.post(ADDRESS, body)
    assert answer.status_code == 400
    assert said in str(answer.json())
    assert user.api_tokens.count() == 1


def test_there_is_an_end_to_tokens(program, user):
    for _ in range(MOST_TOKENS - 1):
        ApiToken.issue(user=user, name="one of many")
    answer = program.post(ADDRESS, {"name": "one more"})
    assert answer.status_code == 400
    assert "revoke one first" in answer.json()["message"]
