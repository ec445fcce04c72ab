"""The guided start, solved through the forms: eight faults, then the year and a comparison to share."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from playwright.sync_api import expect

from tests.full_run import full_run
from tests.shipped import CATALOGUE, load_shipped
from twin.onboarding import guide

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    # pytest-base-url, which pytest-playwright brings, has not moved its fixture yet.
    pytest.mark.filterwarnings("ignore:Session-scoped fixtures defined as instance methods"),
]


@pytest.fixture
def started(live_server, signed_in):
    """Return the page of the steps, just started from the list of sites."""
    load_shipped(CATALOGUE)
    page = signed_in
    page.goto(live_server.url)
    page.get_by_role("link", name="Guided start").first.click()
    page.get_by_role("button", name="Start with my own hall").click()
    return page


def mend(page, step: str, save: str, fields: dict[str, str]) -> None:
    """Open the form that the current step links to, change fields and save; then go back to the steps."""
    page.locator("[aria-current=step]").get_by_role("link", name=step).click()
    for label, value in fields.items():
        field = page.get_by_label(re.compile(rf"^{re.escape(label)}(\s+optional)?$"))
        if field.evaluate("e => e.tagName") == "SELECT":
            field.select_option(label=value)
        else:
            field.fill(value)
    page.get_by_role("button", name=save).click()
    expect(page.locator(".messages")).to_contain_text("saved")
    page.get_by_role("link", name="Back to the steps").click()


def solved(page, n: int) -> None:
    expect(page.locator(".progress-line")).to_contain_text(f"{n} of 8 solved")


def can_be_read(page) -> None:
    """Expect no serious finding of axe-core, and nothing beside the window at 390 px."""
    found = Axe().run(page).response["violations"]
    assert not [v["id"] for v in found if v["impact"] in ("serious", "critical")]
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.set_viewport_size({"width": 1440, "height": 900})


def test_the_eight_faults_are_mended_through_the_forms(live_server, started, planner):
    page = started
    solved(page, 0)
    can_be_read(page)
    expect(page.locator("[aria-current=step]")).to_contain_text("1.00 m are clear in front of it")
    mend(page, "Move rack B-04", "Save rack", {"y [m]": "5,4"})
    solved(page, 1)
    mend(page, "Give rack A-04 a second feed", "Save rack", {"Feed B": "Busway B"})
    solved(page, 2)
    expect(page.locator("[aria-current=step]")).to_contain_text("continuous load may reach 80 %")
    mend(
        page,
        "Enlarge Busway A",
        "Save power feed",
        {"Product": "Overhead track busway 1250 A 415 V (high-density)", "Units": "2"},
    )
    solved(page, 3)
    mend(page, "Cool the supply of CDU-1", "Save CDU", {"Supply [°C]": "44"})
    solved(page, 4)
    mend(page, "Enlarge CDU-1", "Save CDU", {"Product": "Vertiv CoolChip CDU 2300"})
    solved(page, 5)
    mend(
        page,
        "Add a second CDU",
        "Save CDU",
        {
            "Name": "CDU-2",
            "Hall": "Hall",
            "Product": "Vertiv CoolChip CDU 2300",
            "Plant": "Facility water",
            "Group": "Loop",
            "x [m]": "8",
            "y [m]": "7",
            "Supply [°C]": "44",
        },
    )
    solved(page, 6)
    mend(page, "Add coolers", "Save cooling plant", {"Coolers or towers": "4"})
    solved(page, 7)
    mend(page, "Raise the grid limit", "Save site", {"Grid limit [MW]": "1,6"})
    solved(page, 8)
    expect(page.get_by_role("heading", name="What is that worth?")).to_be_visible()
    expect(page.get_by_role("button", name="Run the year as found")).to_be_visible()

    site = guide.guide_site(planner)
    scenario = site.scenarios.get()
    runs = [full_run(site.layouts.get(slug=slug), scenario) for slug in (guide.FOUND, guide.YOURS)]
    page.reload()
    expect(page.get_by_role("region", name="Before and after")).to_contain_text("Tokens per watt")
    can_be_read(page)
    page.get_by_role("link", name="Compare and share").click()
    expect(page).to_have_url(live_server.url + reverse("compare") + f"?runs={runs[0].id},{runs[1].id}")


def test_progress_is_kept_and_a_step_can_be_skipped(live_server, started):
    page = started
    mend(page, "Move rack B-04", "Save rack", {"y [m]": "5.4"})
    page.get_by_role("button", name="Skip this step").click()
    expect(page.locator("[aria-current=step]")).to_contain_text("A busway carries more")
    page.goto(live_server.url + reverse("guide"))
    solved(page, 1)
    expect(page.locator("#step-feed-b")).to_contain_text("skipped")
    page.get_by_role("button", name="Start again").click()
    solved(page, 0)


def test_a_number_with_two_readings_is_refused_with_both(started):
    page = started
    page.locator("[aria-current=step]").get_by_role("link", name="Move rack B-04").click()
    page.get_by_label("Other power [kW]").fill("1,234")
    page.get_by_role("button", name="Save rack").click()
    expect(page.locator(".field.invalid")).to_contain_text("“1,234” could be 1.234 or 1234. Write 1.2340 or 1234.")
    page.get_by_label("Other power [kW]").fill("1.234,0")
    page.get_by_role("button", name="Save rack").click()
    expect(page.locator(".messages")).to_contain_text("saved")
