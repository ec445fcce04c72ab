"""The failure drill: fail things by mouse, keyboard and form, see what moves, undo it, read ranking and repairs."""

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
def drill(live_server, signed_in, solvable):
    """Return the page of a drill with nothing out."""
    signed_in.goto(live_server.url + reverse("layout-drill", args=[solvable.site.slug, solvable.slug]))
    return signed_in


def summary(page):
    return page.locator("[data-summary]")


def test_a_lost_ups_and_cdus_move_load_and_cost_tokens(drill, layout):
    page = drill
    ups_a, ups_b = (layout.power_feeds.get(name=f"UPS-{side}").pk for side in "AB")
    expect(summary(page)).to_contain_text("Nothing is out of service")
    page.locator(f"[data-node='feed-{ups_a}'] a").first.click()
    expect(summary(page)).to_contain_text("Out of service: UPS-A. No tokens are lost")
    expect(page.locator(f"[data-node='feed-{ups_a}']")).to_have_class(re.compile("dead"))
    expect(page.locator(f"[data-node='feed-{ups_b}']")).to_contain_text("→")  # it has taken over
    for cdu in ("CDU-1", "CDU-2"):
        page.locator("#plan").get_by_role("link", name=f"Fail {cdu}").click()
        expect(page.locator("#plan").get_by_role("link", name=f"Restore {cdu}")).to_be_visible()
    expect(summary(page)).to_contain_text("lost, 100")
    expect(page.locator("[data-hall-text]")).to_contain_text("6 off; 6 racks in all")
    expect(page.locator(".timeline")).to_contain_text("after the loss")
    expect(page.locator(".affected")).to_contain_text("B-00")
    assert f"out=feed:{ups_a}:1,cdu:" in page.url

    page.reload()  # the address holds the state
    expect(summary(page)).to_contain_text("lost, 100")
    page.go_back()
    expect(summary(page)).to_contain_text("No tokens are lost")
    page.get_by_role("link", name="Restore everything").click()
    expect(summary(page)).to_contain_text("Nothing is out of service")
    expect(page.locator(f"[data-node='feed-{ups_a}']")).to_have_class(re.compile("ok"))
    expect(page.locator(f"[data-node='feed-{ups_b}']")).not_to_contain_text("→")


def test_units_fail_one_by_one_from_the_keyboard(drill, layout):
    page = drill
    plant = layout.cooling_plants.get().pk
    squares = page.locator(f"[data-node='cooler-{plant}'] a:has(.unit)")
    squares.nth(0).focus()
    page.keyboard.press("Enter")
    expect(summary(page)).to_contain_text("1 of 4 units of Dry coolers")
    expect(squares.nth(0)).to_be_focused()
    squares.nth(2).focus()
    page.keyboard.press("Space")
    expect(summary(page)).to_contain_text("2 of 4 units")
    more = page.get_by_role("link", name=re.compile("Fail one more"))
    more.focus()
    page.keyboard.press("Enter")
    expect(summary(page)).to_contain_text("3 of 4 units")
    expect(more).to_be_focused()
    expect(page.locator(f"[data-node='cooler-{plant}'] .unit.out")).to_have_count(3)
    squares.nth(0).focus()
    page.keyboard.press("Enter")  # one that is out comes back
    expect(summary(page)).to_contain_text("2 of 4 units")


def test_the_form_fails_a_part_and_the_slider_moves_the_hour(drill):
    page = drill
    page.get_by_label("Fail", exact=True).select_option(label="T-B")
    page.get_by_role("button", name="Fail it").click()
    expect(summary(page)).to_contain_text("Out of service: T-B")
    page.locator("#hour").evaluate(
        "slider => { slider.value = 4000; slider.dispatchEvent(new Event('change', {bubbles: true})); }"
    )
    expect(page.locator("[data-hour-label]")).to_have_text("16 Jun 16:00")
    expect(summary(page)).to_contain_text("Out of service: T-B")
    assert "hour=4000" in page.url


def test_single_failures_are_ranked_and_drilled_and_repairs_suggested(live_server, drill, layout):
    layout.cdus.get(name="CDU-2").delete()  # CDU-1 is left without a spare
    page = drill
    page.reload()
    ranking = page.locator("[data-ranking]")
    worst = ranking.locator("tbody th a").filter(has_text=re.compile("^A$"))
    expect(ranking.locator("tbody tr").nth(1)).to_contain_text("0 %")
    expect(ranking).to_contain_text("One more CDU in A")
    expect(ranking.locator(".repairs li").first).to_contain_text("recovered")
    worst.click()
    expect(summary(page)).to_contain_text("Out of service: CDU-1.")
    expect(summary(page)).to_contain_text("lost, 100")


def test_a_drill_is_run_without_javascript(live_server, drill, browser, layout):
    context = browser.new_context(java_script_enabled=False, storage_state=drill.context.storage_state())
    page = context.new_page()
    page.goto(drill.url)
    page.locator("#plan").get_by_role("link", name="Fail CDU-1").click()
    expect(summary(page)).to_contain_text("Out of service: CDU-1")
    page.get_by_label("Fail", exact=True).select_option(label="CDU-2")
    page.get_by_role("button", name="Fail it").click()
    expect(summary(page)).to_contain_text("Out of service: CDU-1, CDU-2")
    page.get_by_role("link", name="Rank every single failure").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Single failures, worst first")
    context.close()
