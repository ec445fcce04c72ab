"""Every page for everybody: no serious finding of axe-core, contrast in the dark, no need of JavaScript."""

import pytest
from playwright.sync_api import expect

from twin.benchmarks.pages import grave_findings

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    # pytest-base-url, which pytest-playwright brings, has not moved its fixture yet.
    pytest.mark.filterwarnings("ignore:Session-scoped fixtures defined as instance methods"),
]


def test_no_page_has_a_serious_finding_of_axe(live_server, signed_in, addresses):
    found = []
    for address in addresses:
        signed_in.goto(live_server.url + address)
        found += grave_findings(signed_in)
    assert not found, "\n".join(found)


def test_the_dark_scheme_keeps_the_contrast(live_server, signed_in, addresses):
    signed_in.emulate_media(color_scheme="dark")
    found = []
    for address in with_colour(addresses):
        signed_in.goto(live_server.url + address)
        found += grave_findings(signed_in, {"runOnly": ["color-contrast"]})
    assert not found, "\n".join(found)


def with_colour(addresses: list[str]) -> list[str]:
    """Return the pages that between them use every colour: lists, a plan, a form, a run, a comparison."""
    ends = ("/sites/small/", "/first/", "/draw/", "/edit/", "/delete/")
    return [a for a in addresses if a.startswith(("/runs/", "/compare/")) or a.endswith(ends)]


def test_pages_can_be_read_without_javascript(live_server, signed_in, addresses, browser):
    context = browser.new_context(java_script_enabled=False, storage_state=signed_in.context.storage_state())
    page = context.new_page()
    for address in addresses:
        assert page.goto(live_server.url + address).ok, address
        expect(page.locator("main")).to_be_visible()
    context.close()
