"""A site with a layout and a scenario, and callers with different rights on it."""

from types import SimpleNamespace

import pytest
from django.contrib.auth import get_user_model
from rest_framework.test import APIClient

from facility.models import ApiToken, Membership
from tests.small_run import small_scenario
from twin.runs import jobs


def caller(user=None, *, read_only: bool = False) -> APIClient:
    """Return a program that signs in with a token of `user`, or with none."""
    client = APIClient(raise_request_exception=True)
    if user:
        _, secret = ApiToken.issue(user=user, name="test", read_only=read_only)
        client.credentials(HTTP_AUTHORIZATION=f"Token {secret}")
    return client


@pytest.fixture
def asked(db) -> SimpleNamespace:
    layout, scenario = small_scenario()
    return SimpleNamespace(site=layout.site, layout=layout, scenario=scenario)


def member(site, role: str):
    user = get_user_model().objects.create_user(f"{role}-of-{site.slug}")
    Membership.objects.create(site=site, user=user, role=role)
    return user


@pytest.fixture
def planner(asked) -> APIClient:
    return caller(member(asked.site, "planner"))


@pytest.fixture
def reading_token(asked) -> APIClient:
    """A read-only token of somebody who may change the site."""
    there = asked.site.memberships.filter(role="planner").first()
    return caller(there.user if there else member(asked.site, "planner"), read_only=True)


@pytest.fixture
def viewer(asked) -> APIClient:
    return caller(member(asked.site, "viewer"))


@pytest.fixture
def stranger(db) -> APIClient:
    """Somebody who plans another site."""
    return caller(member(small_scenario("elsewhere")[0].site, "planner"))


@pytest.fixture
def nobody(db) -> APIClient:
    return caller()


@pytest.fixture
def bells(monkeypatch) -> list[str]:
    """Collect the messages to workers instead of sending them."""
    rung = []
    monkeypatch.setattr(jobs.app, "send_task", lambda name, args, **_: rung.append(args[0]))
    return rung
