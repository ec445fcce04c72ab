"""The search by keyboard alone."""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    # pytest-base-url, which pytest-playwright brings, has not moved its fixture yet.
    pytest.mark.filterwarnings("ignore:Session-scoped fixtures defined as instance methods"),
]


def test_a_rack_is_found_from_any_page_without_a_mouse(live_server, signed_in, layout):
    page = signed_in
    page.goto(live_server.url + reverse("run-list"))
    page.keyboard.press("/")
    page.wait_for_url("**/search/")
    field = page.get_by_label("Name")
    expect(field).to_be_focused()
    page.keyboard.type("B-0/")  # typed into the field it is a letter
    expect(field).to_have_value("B-0/")
    page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    hit = page.get_by_role("region", name="Rack").get_by_role("link", name="B-00").first
    expect(hit).to_be_visible()
    page.locator("body").click(position={"x": 5, "y": 400})
    page.keyboard.press("/")
    expect(page.get_by_label("Name")).to_be_focused()
    hit.focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1, h2").filter(has_text="B-00").first).to_be_visible()
