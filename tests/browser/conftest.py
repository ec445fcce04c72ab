"""Fixtures of the browser tests: a planner who is signed in, a site with two layouts, finished runs."""

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from playwright.sync_api import expect

from facility import members
from facility import services as facility_services
from facility.models import Layout, Organisation, Rack
from tests.browser.filled_run import finished
from tests.shipped import CATALOGUE, load_shipped
from tests.small_run import small_scenario
from tests.small_site import new_rack, product
from twin.comparisons import sharing
from twin.models import Run, Scenario


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
    load_shipped(CATALOGUE)
    warm = Client()
    warm.force_login(planner)
    assert warm.get(reverse("layout-drill", args=[layout.site.slug, layout.slug])).status_code == 200
    return layout


@pytest.fixture
def addresses(layout, scenario, signed_in) -> list[str]:
    """Return the address of every kind of page."""
    # The drawing board asks for its answer by itself; solving has tests of its own.
    signed_in.route("**/answer/?*", lambda route: route.fulfill(json={}))
    copy = scenario.site.layouts.exclude(pk=layout.pk).get()
    runs = [finished(one, scenario) for one in (layout, copy)]
    kept = sharing.comparison_create(runs=runs, user=get_user_model().objects.get(username="planner"), name="Which?")
    failed = Run.objects.create(layout=layout, scenario=scenario)
    Run.objects.filter(pk=failed.pk).update(status="failed", message="Nothing fits.", finished_at=runs[0].finished_at)
    here = [layout.site.slug, layout.slug]
    north = Organisation.objects.create(slug="north", name="North")
    for place in (north, layout.site):
        members.member_add(place=place, username="planner", role="owner")
    rack = Rack.objects.filter(hall__layout=layout).first()
    return [
        reverse("site-list"),
        reverse("search") + "?q=rack",
        reverse("site-new"),
        reverse("site-detail", args=here[:1]),
        reverse("site-edit", args=here[:1]),
        reverse("site-members", args=here[:1]),
        reverse("organisation-list"),
        reverse("organisation-members", args=["north"]),
        reverse("account"),
        reverse("account-details"),
        reverse("account-preferences"),
        reverse("audit"),
        reverse("site-telemetry", args=here[:1]),
        reverse("telemetry-upload", args=here[:1]),
        reverse("weather-upload", args=here[:1]),
        reverse("scenario-edit", args=[here[0], scenario.slug]),
        reverse("layout-new", args=here[:1]),
        reverse("layout-detail", args=here),
        reverse("layout-draw", args=here),
        reverse("layout-one-line", args=here),
        reverse("layout-loop", args=here),
        reverse("layout-drill", args=here),
        reverse("layout-drill", args=here) + f"?out=cdu:{layout.cdus.first().pk}:1",
        reverse("layout-drill-list", args=here),
        reverse("layout-edit", args=here),
        reverse("layout-3d", args=here),
        reverse("layout-findings", args=here),
        reverse("layout-history", args=here),
        reverse("bill-of-materials", args=here),
        *(reverse("part-list", args=[*here, kind]) for kind in ("halls", "racks", "power-feeds", "floor-features")),
        reverse("rack-row", args=here),
        reverse("rack-detail", args=[*here, rack.pk]),
        reverse("cdu-detail", args=[*here, layout.cdus.first().pk]),
        reverse("part-edit", args=[*here, "racks", rack.pk]),
        reverse("part-delete", args=[*here, "racks", rack.pk]),
        reverse("run-list"),
        reverse("run-detail", args=[runs[0].id]),
        reverse("run-detail", args=[failed.id]),
        reverse("compare"),
        reverse("compare") + f"?runs={runs[0].id},{runs[1].id}",
        reverse("comparison-shared", args=[kept.token]),
        reverse("shared-comparisons"),
        reverse("catalogue"),
        reverse("catalogue-kind", args=["systems"]),
        reverse("product", args=["systems", "dgx-gb200-nvl72"]),
        reverse("validation"),
        reverse("guide"),
        reverse("glossary"),
        reverse("run-report", args=[runs[0].id]),
        reverse("compare-report") + f"?runs={runs[0].id},{runs[1].id}",
        reverse("serving"),
        reverse("serving-claims"),
    ]
