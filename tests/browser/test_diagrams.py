"""The diagrams under slider, play, mouse and keyboard."""

import re

import pytest
from django.urls import reverse
from playwright.sync_api import expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    # pytest-base-url, which pytest-playwright brings, has not moved its fixture yet.
    pytest.mark.filterwarnings("ignore:Session-scoped fixtures defined as instance methods"),
]


@pytest.fixture
def opened(live_server, signed_in, solvable):
    """Return a function that opens one of the diagrams of a layout that can be solved."""

    def open_page(name, **query):
        signed_in.goto(live_server.url + reverse(name, args=[solvable.site.slug, solvable.slug], query=query))
        return signed_in

    return open_page


def move_to(page, hour):
    """Move the slider as a pointer does."""
    page.locator("#hour").evaluate(
        "(slider, hour) => { slider.value = hour; slider.dispatchEvent(new Event('input', {bubbles: true})); }", hour
    )


def test_the_slider_moves_loads_and_keeps_the_hour_in_the_address(opened, layout):
    page = opened("layout-one-line")
    ups = page.locator(f"[data-node='feed-{layout.power_feeds.get(name='UPS-A').pk}']")
    row = page.locator(f"[data-row='feeds-{layout.power_feeds.get(name='UPS-A').pk}']")
    expect(page.locator("[data-hour-label]")).to_have_text("Design hour")
    at_design = ups.text_content()
    power = re.search(r"[\d.,]+\s?kW", at_design).group()
    expect(row).to_contain_text(power)
    move_to(page, 3)
    expect(page.locator("[data-hour-label]")).to_have_text("1 Jan 03:00")
    assert ups.text_content() != at_design
    expect(row).not_to_contain_text(power)
    assert "hour=3" in page.url
    move_to(page, 15)
    expect(page.locator("[data-hour-label]")).to_have_text("1 Jan 15:00")
    page.get_by_role("link", name="Design hour").click()
    expect(page.locator("[data-hour-label]")).to_have_text("Design hour")
    assert ups.text_content() == at_design
    page.reload()
    expect(page.locator("[data-hour-label]")).to_have_text("Design hour")


def test_play_walks_through_the_hours_and_stops(opened):
    page = opened("layout-loop", hour=10)
    page.get_by_role("button", name="Play").click()
    expect(page.locator("[data-hour-label]")).not_to_have_text("1 Jan 10:00")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    label = page.locator("[data-hour-label]").inner_text()
    page.wait_for_timeout(1_000)
    assert page.locator("[data-hour-label]").inner_text() == label


def test_play_has_its_place_before_its_script_is_there(opened):
    def top() -> float:
        page = opened("layout-loop", hour=10)
        page.set_viewport_size({"width": 390, "height": 844})
        return page.locator(".facts-row").bounding_box()["y"]

    with_script = top()
    page = opened("layout-loop", hour=10)
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    page.route("**/js/diagram*.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    assert top() == with_script
    expect(page.get_by_role("button", name="Play")).not_to_be_visible()


def test_a_symbol_leads_to_its_object_by_keyboard(opened, layout):
    page = opened("layout-loop")
    cdu = layout.cdus.get(name="CDU-1")
    square = page.get_by_role("link", name="CDU-1", exact=True).first
    square.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=cdu.name)).to_be_visible()
    page.go_back()
    page.get_by_role("link", name=re.compile("^Plant")).first.click()
    expect(page).to_have_url(re.compile("cooling-plants"))


def test_one_hour_is_read_without_javascript(live_server, opened, browser, layout):
    page = opened("layout-one-line")
    context = browser.new_context(java_script_enabled=False, storage_state=page.context.storage_state())
    plain = context.new_page()
    plain.goto(live_server.url + reverse("layout-one-line", args=[layout.site.slug, layout.slug]) + "?hour=4000")
    expect(plain.locator("[data-hour-label]")).to_have_text("16 Jun 16:00")
    plain.get_by_role("button", name="Show this hour").click()
    expect(plain).to_have_url(re.compile("hour=4000"))
    expect(plain.locator("[data-node] text.value").first).not_to_be_empty()
    context.close()
