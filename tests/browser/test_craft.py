"""Every page at both widths: reachable, nothing beside the window, nothing that jumps, small."""

import pytest
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.urls import reverse
from playwright.sync_api import expect

from tests.browser.filled_run import finished
from twin.benchmarks.pages import MOST_BYTES, MOST_SHIFT, SIZES, seen_of

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    # pytest-base-url, which pytest-playwright brings, has not moved its fixture yet.
    pytest.mark.filterwarnings("ignore:Session-scoped fixtures defined as instance methods"),
]

WIDTHS = tuple(SIZES)


def test_no_page_is_wider_than_the_window(live_server, signed_in, addresses):
    page, found = signed_in, []
    for address in addresses:
        assert page.goto(live_server.url + address).ok, address
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 844})
            overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            if overflow > 0:
                found.append(f"{address} is {overflow} px wider than {width} px")
    assert not found, "\n".join(found)


def test_no_page_asks_for_what_its_policy_refuses(live_server, signed_in, addresses, layout):
    """Scripts and styles are files or carry the page's nonce: the policy knows no inline exception."""
    page, refused = signed_in, []
    page.on("console", lambda line: refused.append(f"{page.url}: {line.text}") if line.type == "error" else None)
    console = [reverse("admin:facility_rack_changelist"), reverse("admin:facility_layout_change", args=[layout.pk])]
    for address in (*addresses, reverse("api-docs"), *console):
        answer = page.goto(live_server.url + address)
        assert "unsafe-inline" not in answer.headers["content-security-policy"], address
    page.wait_for_load_state("networkidle")
    assert not refused, "\n".join(refused)


def test_pages_are_light_and_nothing_jumps_while_they_load(live_server, signed_in, addresses):
    found = []
    for width, height in SIZES.items():
        for address in addresses:
            tab = signed_in.context.new_page()
            tab.set_viewport_size({"width": width, "height": height})
            seen = seen_of(tab, live_server.url + address, with_axe=False)
            if seen.shift > MOST_SHIFT:
                found.append(f"{address} shifts by {seen.shift:.2f} at {width} px")
            if seen.sent_bytes > MOST_BYTES:
                found.append(f"{address} sends {seen.sent_bytes:,} bytes before a chart is in view at {width} px")
    assert not found, "\n".join(found)


def test_the_tab_of_a_page_is_in_sight_on_a_phone(signed_in, live_server, layout):
    signed_in.set_viewport_size({"width": 390, "height": 844})
    signed_in.goto(live_server.url + reverse("layout-edit", args=[layout.site.slug, layout.slug]))
    expect(signed_in.locator("nav.tabs [aria-current]")).to_be_in_viewport(ratio=0.99)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_notice_of_an_ended_run_is_framed_and_moves_nothing(signed_in, live_server, layout, scenario, width):
    run = finished(layout, scenario)
    [cookie] = (one for one in signed_in.context.cookies() if one["name"] == settings.SESSION_COOKIE_NAME)
    session = SessionStore(session_key=cookie["value"])
    session["awaited_runs"] = [str(run.pk)]
    session.save()
    signed_in.set_viewport_size({"width": width, "height": 844})
    signed_in.goto(live_server.url + reverse("glossary"))
    before = signed_in.locator("h1").bounding_box()
    notice = signed_in.locator(".ended .notice")
    expect(notice).to_contain_text("is done")
    assert signed_in.locator("h1").bounding_box() == before
    assert notice.evaluate("one => getComputedStyle(one).borderLeftWidth") == "4px"
    expect(notice).to_be_in_viewport(ratio=0.99)


def test_a_phone_leads_to_the_account_and_its_units(signed_in, live_server, layout):
    signed_in.set_viewport_size({"width": 390, "height": 844})
    signed_in.goto(live_server.url)
    signed_in.locator("a:visible", has_text="account").click()
    expect(signed_in.get_by_role("link", name="Preferences")).to_be_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_when_owning_wins_is_seen_without_scrolling(live_server, signed_in, layout, scenario, width):
    run = finished(layout, scenario)
    row = {"usd_at_start": 2.04e8, "usd_per_year": 8.73e7, "cost_per_million_output_tokens_usd": 3.03, "items": []}
    names = ("Built and owned", "Own systems, colocated", "Accelerators rented")
    run.details["options"] = [row | {"name": name, "owning_wins_month": None} for name in names]
    run.save()
    signed_in.set_viewport_size({"width": width, "height": 900})
    signed_in.goto(live_server.url + reverse("run-detail", args=[run.id]))
    table = signed_in.get_by_role("region", name="Own, colocate or rent")
    expect(table).to_contain_text("not within their life")
    assert table.evaluate("wrap => wrap.scrollWidth <= wrap.clientWidth")
