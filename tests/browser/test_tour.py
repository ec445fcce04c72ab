"""The README's tour: sign in, open a site, draw, fail a CDU, run, read the results, compare, share a link."""

import pytest
from playwright.sync_api import Page, expect

from tests.shipped import CATALOGUE, load_shipped
from twin.models import Run

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    # pytest-base-url, which pytest-playwright brings, has not moved its fixture yet.
    pytest.mark.filterwarnings("ignore:Session-scoped fixtures defined as instance methods"),
]


def test_the_tour_from_sign_in_to_a_shared_comparison(live_server, page, scenario, celery_worker_thread):
    load_shipped(CATALOGUE)  # what a run reads beside the layout's own products
    page.goto(live_server.url)
    sign_in(page)

    page.get_by_role("link", name=scenario.site.name, exact=True).click()
    page.get_by_role("region", name="Layouts").get_by_role("link", name="GB200 hall", exact=True).click()
    draws_and_drills(page)
    back = page.get_by_role("navigation", name="You are here").get_by_role("link", name=scenario.site.name)
    back.click()
    for layout in ("GB200 hall", "GB300 hall"):
        page.get_by_role("region", name="Layouts").get_by_role("link", name=layout, exact=True).click()
        page.get_by_role("button", name="Run year").click()
        # A year of six racks takes seconds; the rest is room for compiling the kernels on a busy machine.
        expect(page.get_by_role("heading", name="Where the energy goes")).to_be_visible(timeout=300_000)
        drawn(page, "figure-energy-flow")
        drawn(page, "figure-year-map")
        page.get_by_label("Show").select_option("pue")
        expect(page.get_by_role("heading", name="PUE over the year")).to_be_visible()
        drawn(page, "figure-year-map")
        back.click()

    page.get_by_role("button", name="Compare selected layouts").click()
    expect(page.get_by_role("heading", name="Assumptions that differ")).to_be_visible()
    expect(page.get_by_role("region", name="Figures of merit side by side")).to_contain_text("Tokens per watt")
    page.locator("[data-chart]").first.scroll_into_view_if_needed()
    expect(page.locator("[data-chart][data-drawn]").first).to_be_visible()
    page.get_by_label("Save and share as").fill("Which hall?")
    page.get_by_role("button", name="Get a link").click()
    shared = page.get_by_label("Shared link").input_value()
    page.get_by_role("button", name="Sign out").click()
    page.goto(shared)
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()  # the link needs permission
    sign_in(page)
    expect(page.get_by_role("heading", name="Which hall?")).to_be_visible()
    assert Run.objects.filter(status=Run.Status.DONE).count() == 2


def drawn(page: Page, chart: str) -> None:
    """Look at a chart, which is drawn then."""
    page.locator(f"[data-chart={chart}]").scroll_into_view_if_needed()
    expect(page.locator(f"[data-chart={chart}][data-drawn]")).to_be_visible()


def sign_in(page: Page) -> None:
    page.get_by_label("Name").fill("planner")
    page.get_by_label("Password").fill("planner")
    page.get_by_role("button", name="Sign in").click()


def draws_and_drills(page: Page) -> None:
    """Move a rack and take it back, then fail a CDU, from the page of a layout and back to it."""
    pages = page.get_by_role("navigation", name="Pages of this layout")
    pages.get_by_role("link", name="Draw").click()
    expect(page.locator("#draw[data-ready]")).to_be_attached()
    page.locator("#draw-stage").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#draw-saved")).to_have_text("Saved, version 2")
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.locator("#draw-saved")).to_have_text("Saved, version 3")
    expect(page.locator("#answer-figures")).to_contain_text("tok/s", timeout=300_000)  # room for compiling
    pages.get_by_role("link", name="Failure drill").click()
    page.locator("#plan").get_by_role("link", name="Fail CDU-1").click()
    expect(page.locator("[data-summary]")).to_contain_text("Out of service: CDU-1")
    pages.get_by_role("link", name="Plan", exact=True).click()
