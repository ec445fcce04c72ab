"""The README's tour: sign in, open a site, run its layouts, read the results, compare."""

from io import StringIO

import pytest
from django.core.management import call_command
from playwright.sync_api import expect

from twin.models import Run

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    # pytest-base-url, which pytest-playwright brings, has not moved its fixture yet.
    pytest.mark.filterwarnings("ignore:Session-scoped fixtures defined as instance methods"),
]


def test_the_tour_from_sign_in_to_a_shared_comparison(live_server, page, scenario, celery_worker_thread):
    call_command("load_catalogue", verbosity=0, stdout=StringIO())  # what a run reads beside the layout's own products
    page.goto(live_server.url)
    page.get_by_label("Name").fill("planner")
    page.get_by_label("Password").fill("planner")
    page.get_by_role("button", name="Sign in").click()

    page.get_by_role("link", name=scenario.site.name, exact=True).click()
    for layout in ("GB200 hall", "GB300 hall"):
        page.get_by_role("region", name="Layouts").get_by_role("link", name=layout, exact=True).click()
        page.get_by_role("button", name="Run year").click()
        # A year of six racks takes seconds; the rest is room for compiling the kernels on a busy machine.
        expect(page.get_by_role("heading", name="Where the energy goes")).to_be_visible(timeout=300_000)
        expect(page.locator("[data-chart=figure-energy-flow][data-drawn]")).to_be_visible(timeout=20_000)
        expect(page.locator("[data-chart=figure-year-map][data-drawn]")).to_be_visible()
        page.get_by_label("Show").select_option("pue")
        expect(page.get_by_role("heading", name="PUE over the year")).to_be_visible()
        expect(page.locator("[data-chart=figure-year-map][data-drawn]")).to_be_visible()
        page.get_by_role("link", name=scenario.site.name, exact=True).click()

    page.get_by_role("button", name="Compare ticked layouts").click()
    expect(page.get_by_role("heading", name="Assumptions that differ")).to_be_visible()
    expect(page.get_by_role("region", name="Figures of merit side by side")).to_contain_text("Tokens per watt")
    expect(page.locator("[data-chart=figure-fall-0][data-drawn]")).to_be_visible(timeout=20_000)
    shared = page.url
    page.get_by_role("button", name="Sign out").click()
    page.goto(shared)
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()  # the address needs permission
    assert Run.objects.filter(status=Run.Status.DONE).count() == 2
