"""Fixtures of the browser tests: a planner who is signed in, a site with two layouts, finished runs."""

import io

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from playwright.sync_api import expect

from facility import services as facility_services
from facility.models import Layout, Rack
from tests.small_run import small_scenario
from tests.small_site import new_rack, product
from twin.models import Scenario


@pytest.fixture
def planner(transactional_db):
    return get_user_model().objects.create_superuser("planner", password="planner")


@pytest.fixture
def scenario(planner) -> Scenario:
    """A scenario of a site with a layout of six GB200 racks and a copy of it with GB300."""
    layout, scenario = small_scenario()
    layout.name = "GB200 hall"
    layout.save()
    Rack.objects.bulk_create(new_rack(layout, name=f"B-{i:02}", row="B", x_m=2 + 0.6 * i, y_m=8.0) for i in range(4))
    copy = facility_services.layout_clone(layout=layout, name="GB300 hall")
    Rack.objects.filter(hall__layout=copy).update(product=product("systems", "dgx-gb300-nvl72"))
    return scenario


@pytest.fixture
def layout(scenario) -> Layout:
    return scenario.site.layouts.get(slug="first")


@pytest.fixture
def signed_in(page, live_server, planner):
    """Return the page with the planner's session, without going through the form."""
    client = Client()
    client.force_login(planner)
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
    return page


@pytest.fixture(autouse=True, scope="session")
def patience():
    """Wait longer than Playwright does by itself: a busy machine is not a failure."""
    expect.set_options(timeout=60_000)


@pytest.fixture
def solvable(planner, layout) -> Layout:
    """The layout with the catalogue it is solved from, and the solvers loaded before the browser counts seconds."""
    call_command("load_catalogue", stdout=io.StringIO())
    warm = Client()
    warm.force_login(planner)
    assert warm.get(reverse("layout-drill", args=[layout.site.slug, layout.slug])).status_code == 200
    return layout
