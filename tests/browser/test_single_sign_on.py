"""Sign-in by an identity provider in a process of its own, from the button to the page that was asked for."""

import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.urls import reverse
from playwright.sync_api import Page, expect

from facility.models import Membership
from tests.small_run import small_scenario

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    # pytest-base-url, which pytest-playwright brings, has not moved its fixture yet.
    pytest.mark.filterwarnings("ignore:Session-scoped fixtures defined as instance methods"),
]
CLAIMS = {"sub": "u-7", "preferred_username": "olga", "email": "olga@example.org", "groups": ["planners"]}


@pytest.fixture
def issuer() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--user-claims", json.dumps(CLAIMS)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address, last_s = f"http://127.0.0.1:{port}", time.monotonic() + 60
    try:
        while time.monotonic() < last_s and process.poll() is None:
            try:
                with urllib.request.urlopen(f"{address}/.well-known/openid-configuration", timeout=5) as answer:
                    assert json.load(answer)["issuer"] == address
                break
            except OSError:
                time.sleep(0.2)
        yield address
    finally:
        process.kill()
        process.wait()


def test_a_planner_signs_in_by_the_company_and_sees_their_site(issuer, settings, page: Page, live_server):
    site = small_scenario()[0].site
    settings.TWIN_OIDC_ISSUER, settings.TWIN_OIDC_NAME = issuer, "Company login"
    settings.TWIN_OIDC_CLIENT_ID, settings.TWIN_OIDC_CLIENT_SECRET = "twin", "secret"
    settings.TWIN_OIDC_GROUPS = f"planners=planner@site:{site.slug}"
    address = live_server.url + reverse("site-detail", args=[site.slug])
    cache.clear()
    page.route(
        re.compile("^https://"), lambda route: route.fulfill(body="", content_type="text/css")
    )  # a style sheet of the provider's own page
    page.goto(address)
    settings.TWIN_ALLOWED_NETWORKS = []  # a machine of one's own is not called before the operator lists it
    page.get_by_role("link", name="Sign in with Company login").click()
    expect(page.get_by_text("cannot be asked")).to_be_visible()
    settings.TWIN_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    page.goto(address)
    page.get_by_role("link", name="Sign in with Company login").click()
    page.get_by_role("button", name=re.compile("u-7|olga")).first.click()
    expect(page).to_have_url(address)
    expect(page.get_by_role("heading", level=1)).to_have_text(site.name)
    expect(page.get_by_role("link", name="Edit site")).to_be_visible()
    user = get_user_model().objects.get(username="olga")
    assert (user.email, Membership.objects.get(user=user).role) == ("olga@example.org", "planner")
