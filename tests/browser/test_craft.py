"""Every page at both widths: reachable, nothing beside the window, nothing that jumps, small."""

import pytest
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
