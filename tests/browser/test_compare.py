"""Comparing three layouts: differences first, any pair of them drawn, and a link that not everybody can open."""

import re

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from playwright.sync_api import expect

from facility import services as facility_services
from facility.models import Membership, Rack
from tests.browser.filled_run import finished
from tests.small_run import small_scenario
from tests.small_site import new_rack
from twin.benchmarks.pages import grave_findings

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    # pytest-base-url, which pytest-playwright brings, has not moved its fixture yet.
    pytest.mark.filterwarnings("ignore:Session-scoped fixtures defined as instance methods"),
]


@pytest.fixture
def three(layout, scenario) -> list:
    """Three layouts with finished runs: GB200, GB300, and GB200 with one rack more and one moved, on another site."""
    copy = scenario.site.layouts.exclude(pk=layout.pk).get()
    wider = facility_services.layout_clone(layout=layout, name="GB200, wider")
    hall = wider.halls.get()
    Rack.objects.filter(hall=hall, name="B-03").update(x_m=6.0)
    new_rack(wider, name="B-04", row="B", x_m=7.2, y_m=8.0).save()
    runs = [finished(one, scenario) for one in (layout, copy, wider)]
    for run, tokens, chillers_w in zip(runs, (1000.0, 1500.0, 1200.0), (5e4, 3e4, 4e4), strict=True):
        run.figures |= {"output_tokens_per_s": tokens, "mean_power_w": 2e5 + chillers_w}
        run.details["mean_power_by_part_w"] = {"Accelerators": 2e5, "Chillers": chillers_w}
        run.save()
    return [layout, copy, wider]


def page_of(browser, live_server, user):
    """Return a page on which somebody else is signed in."""
    client = Client()
    client.force_login(user)
    context = browser.new_context()
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
    return context.new_page()


def test_three_layouts_are_compared_and_shared(live_server, signed_in, browser, three):
    page = signed_in
    page.goto(live_server.url + reverse("compare"))
    for layout in three:
        page.get_by_label(layout.name, exact=True).check()
    page.get_by_role("button", name="Compare selected layouts").click()

    headings = page.get_by_role("heading", level=2).all_inner_texts()
    assert headings[0] == "Verdict"
    assert headings[1].startswith("Assumptions that differ")
    expect(page.get_by_role("region", name="Layout", exact=True)).to_contain_text("GB300")
    figures = page.get_by_role("region", name="Figures of merit side by side")
    expect(figures.get_by_role("row", name="Mean power")).to_contain_text("Chillers: 10.0")
    expect(page.get_by_role("region", name="Answers of power and cooling side by side")).to_contain_text("UPS-A")
    page.locator("[data-chart=figure-frontier-1]").scroll_into_view_if_needed()
    expect(page.locator("[data-chart=figure-frontier-1][data-drawn]")).to_be_visible()

    page.get_by_label("to", exact=True).select_option(label="C GB300 hall")
    expect(page.get_by_role("heading", name="From A to C")).to_be_visible()
    page.locator("[data-chart=figure-fall-0]").scroll_into_view_if_needed()
    expect(page.locator("[data-chart=figure-fall-0][data-drawn]")).to_be_visible()
    expect(page.get_by_role("region", name="Differences")).to_contain_text("Product: ")
    page.get_by_label("to", exact=True).select_option(label="B GB200, wider")
    expect(page.get_by_role("heading", name="From A to B")).to_be_visible()
    drawing = page.locator("svg.difference[role=img]")
    expect(drawing).to_have_attribute("aria-label", re.compile(r"Hall: 2 of \d+ things on the floor differ"))
    expect(drawing.locator("rect.moved")).to_have_count(1)
    expect(drawing.locator("rect.ghost")).to_have_count(1)
    expect(drawing.locator("rect.new")).to_have_count(1)
    assert not grave_findings(page)

    page.get_by_label("Save and share as").fill("Which hall?")
    page.get_by_role("button", name="Get a link").click()
    expect(page.get_by_role("heading", name="Which hall?", level=1)).to_be_visible()
    address = page.get_by_label("Shared link").input_value()
    assert address == page.url
    assert not grave_findings(page)

    seer = get_user_model().objects.create_user("seer")
    Membership.objects.create(user=seer, site=three[0].site, role="viewer")
    allowed = page_of(browser, live_server, seer)
    allowed.goto(address)
    expect(allowed.get_by_role("heading", name="Assumptions that differ")).to_be_visible()
    expect(allowed.get_by_role("button", name="Revoke the link")).to_have_count(0)

    stranger = get_user_model().objects.create_user("stranger")
    Membership.objects.create(user=stranger, site=small_scenario("elsewhere")[0].site, role="planner")
    refused = page_of(browser, live_server, stranger)
    assert refused.goto(address).status == 403
    expect(refused.get_by_role("heading", name="You don't have permission to open this comparison")).to_be_visible()
    expect(refused.locator("main")).to_contain_text("You lack permission on 1 site.")
    assert "Which hall?" not in refused.content()
    assert "GB200" not in refused.content()
    assert not grave_findings(refused)

    page.get_by_role("link", name="Shared comparisons").click()
    page.get_by_role("button", name="Revoke the link to Which hall?").click()
    expect(page.locator(".messages")).to_contain_text("is revoked")
    assert allowed.goto(address).status == 410
    expect(allowed.get_by_role("heading", name="This link was revoked")).to_be_visible()
    for other in (allowed, refused):
        other.context.close()
