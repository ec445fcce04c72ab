"""From a blank page to a verdict as PDF: a new site, a sized 3 MW layout, its run, a second layout, their comparison.

By keyboard alone. What is pressed, written and chosen is counted as a mouse would click it (choosing from a list is two
clicks, opening it and choosing), and the stops of Tab on the way; never seconds, which depend on the machine.
"""

import io

import pytest
from django.core.management import call_command
from playwright.sync_api import Download, Locator, Page, expect

from twin.models import Run

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    # pytest-base-url, which pytest-playwright brings, has not moved its fixture yet.
    pytest.mark.filterwarnings("ignore:Session-scoped fixtures defined as instance methods"),
]

DESIGNS = ("Sterling, Virginia: GB300 NVL72, 7 MW", "Sterling, Virginia: Vera Rubin NVL72, 45 °C, 7 MW")
MOST_CLICKS = 30
MOST_STOPS = 60  # presses of Tab from the top of a page, or from where one stands, to what is wanted
PATIENCE_MS = 300_000  # a sizing and a year of three megawatts, with room for compiling on a busy machine


class Keys:
    """Two hands that never leave the keyboard: Tab to what is wanted, then Enter, letters or arrows."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.n_clicks = 0  # that a mouse would make
        self.most_stops = 0

    def press(self, what: Locator) -> None:
        """Press a link or button."""
        self._reach(what)
        self.page.keyboard.press("Enter")
        self.n_clicks += 1

    def write(self, what: Locator, text: str) -> None:
        """Write into a field, over what stands there."""
        self._reach(what)
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(text)
        self.n_clicks += 1

    def choose(self, what: Locator, label: str) -> None:
        """Choose from a list, by its arrows."""
        self._reach(what)
        for _ in range(what.locator("option").count()):
            if what.locator("option:checked").inner_text().strip() == label:
                break
            self.page.keyboard.press("ArrowDown")
        expect(what.locator("option:checked")).to_have_text(label)
        self.n_clicks += 2

    def _reach(self, what: Locator) -> None:
        """Walk forward to what is wanted; where that is part of the page's content, past the head by its own link."""
        expect(what).to_be_visible(timeout=PATIENCE_MS)
        is_content = what.evaluate("one => one.closest('main') !== null")
        for n_stops in range(MOST_STOPS):
            if what.evaluate("one => one === document.activeElement"):
                self.most_stops = max(self.most_stops, n_stops)
                return
            self.page.keyboard.press("Tab")
            if is_content and self.page.evaluate("document.activeElement.classList.contains('skip')"):
                self.page.keyboard.press("Enter")
        raise AssertionError(f"{what} is more than {MOST_STOPS} stops away on {self.page.url}")


def verdict_as_pdf(page: Page, hand: Keys) -> Download:
    """Do what a new planner does, from the list of sites to the report of a comparison."""
    main = page.locator("main")
    hand.press(main.get_by_role("link", name="New site"))
    hand.write(page.get_by_label("Town or airport"), "Frankfurt")
    hand.press(page.get_by_role("button", name="Find"))
    hand.press(main.get_by_role("link", name="Frankfurt", exact=False).first)
    hand.write(page.get_by_label("Grid limit", exact=False), "6 MW")
    hand.press(page.get_by_role("button", name="Save site"))
    for i, design in enumerate(DESIGNS):
        hand.press(main.get_by_role("link", name="Size from a design").first)
        hand.choose(page.get_by_label("Design", exact=False), design)
        hand.write(page.get_by_label("IT power", exact=False), "3 MW")
        hand.write(page.get_by_label("Name", exact=False), f"Layout {'AB'[i]}")
        hand.press(page.get_by_role("button", name="Make the layout"))
        expect(page.get_by_role("heading", name="Counts")).to_be_visible(timeout=PATIENCE_MS)
        apply = page.get_by_role("button", name="Apply the")
        if apply.count():
            hand.press(apply)
        hand.press(page.get_by_role("navigation", name="Pages of this layout").get_by_role("link", name="Plan"))
        hand.press(page.get_by_role("button", name="Run year"))
        expect(page.get_by_role("heading", name="Where the energy goes")).to_be_visible(timeout=PATIENCE_MS)
        hand.press(page.get_by_role("navigation", name="You are here").get_by_role("link", name="Frankfurt"))
    hand.press(page.get_by_role("button", name="Compare selected layouts"))
    expect(page.locator(".verdict")).to_be_visible(timeout=PATIENCE_MS)
    hand.press(page.get_by_role("link", name="Report"))
    with page.expect_download(timeout=PATIENCE_MS) as waiting:
        hand.press(page.get_by_role("link", name="PDF"))
    return waiting.value


@pytest.fixture
def with_samples(planner):
    for command in ("load_catalogue", "load_samples"):
        call_command(command, verbosity=0, stdout=io.StringIO())


def test_a_verdict_as_pdf_takes_thirty_clicks_and_no_mouse(live_server, signed_in, with_samples, celery_worker_thread):
    signed_in.goto(live_server.url)
    keys = Keys(signed_in)
    report = verdict_as_pdf(signed_in, keys)
    assert report.suggested_filename.endswith(".pdf")
    assert Run.objects.filter(status=Run.Status.DONE).count() == 2
    assert keys.n_clicks <= MOST_CLICKS, f"{keys.n_clicks} clicks, at most {keys.most_stops} stops to one of them"
