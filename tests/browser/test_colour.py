"""Colouring the plan: quantity, mode, the slider through the year, play, and the table that follows."""

import re
import sys

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from facility.models import Cdu, Hall, Rack
from tests.shipped import CATALOGUE, load_shipped
from tests.small_site import new_rack
from twin.core.text.numbers import quantity_text

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    # pytest-base-url, which pytest-playwright brings, has not moved its fixture yet.
    pytest.mark.filterwarnings("ignore:Session-scoped fixtures defined as instance methods"),
]


@pytest.fixture
def address(live_server, layout) -> str:
    """Return the plan's address, with everything in the database that the solver needs."""
    load_shipped(CATALOGUE)
    return live_server.url + reverse("layout-detail", args=[layout.site.slug, layout.slug])


HOUR = "Number(document.getElementById('hour').value)"


def play_until(page, hour: int) -> None:
    """Wait until the play has come to an hour; `wait_for_function` would need an eval that the pages forbid."""
    for _ in range(200):
        if page.evaluate(HOUR) >= hour:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"the play stands at {page.evaluate(HOUR)}, before {hour}")


def slide(page, hour: int) -> None:
    page.get_by_label("Hour of the year").evaluate(
        "(slider, hour) => { slider.value = hour; slider.dispatchEvent(new Event('input', { bubbles: true })); }", hour
    )


def fills(page) -> list[str]:
    return page.locator("svg.plan .r").evaluate_all("all => all.map((rack) => rack.getAttribute('fill'))")


def test_the_slider_moves_colours_legend_table_and_address(signed_in, address):
    page = signed_in
    page.goto(address)
    page.get_by_label("coloured by").select_option("junction_degc")
    expect(page.locator("[data-legend-label]")).to_have_text("Junction temperature")  # loads solvers
    expect(page.locator("[data-time]")).to_contain_text("Design hour")
    slide(page, 4720)
    expect(page.locator("[data-time]")).to_contain_text(re.compile(r"16 Jul 16:00 · [\d.]+\s°C outside · load \d+%"))
    expect(page.get_by_label("Time", exact=True)).to_have_value("hour")
    afternoon = fills(page)
    page.get_by_text("Table of the 6 racks").click()
    cell = page.locator("[data-row]").first.locator("td.num").first
    warm = cell.inner_text()
    slide(page, 4708)
    expect(page.locator("[data-time]")).to_contain_text("16 Jul 04:00 · ")
    expect(cell).not_to_have_text(warm)
    assert fills(page) != afternoon
    assert "hour=4708" in page.url
    assert "colour=junction_degc" in page.url
    expect(page.get_by_role("link", name="Walk through it in 3D")).to_have_attribute("href", re.compile("hour=4708"))
    by_script = (cell.inner_text(), fills(page), page.locator("[data-legend]").inner_text())
    page.reload()  # the server draws the same hour as the script did
    page.get_by_text("Table of the 6 racks").click()
    assert (cell.inner_text(), fills(page), page.locator("[data-legend]").inner_text()) == by_script


def test_what_remains_and_the_limit_are_one_choice_away(signed_in, address):
    page = signed_in
    page.goto(f"{address}?colour=power_w&hour=12")
    page.get_by_label("Show of it").select_option("remaining")
    expect(page.locator("[data-legend-label]")).to_have_text("Rack power, remaining")
    expect(page.locator("[data-legend-limit]")).to_contain_text("the limit is at 0")
    slide(page, 13)
    expect(page.locator("[data-time]")).to_contain_text("1 Jan 13:00 · ")
    expect(page.locator("[data-legend-label]")).to_have_text("Rack power, remaining")
    page.get_by_label("Show of it").select_option("limit")
    expect(page.locator("[data-legend-low]")).to_have_text(quantity_text(132e3, "W"))
    page.get_by_label("coloured by").select_option("tokens_per_joule")
    expect(page.get_by_label("Show of it")).to_have_value("used")
    expect(page.locator("[data-notes]")).to_contain_text("No limit is stated")


def test_play_goes_on_from_hour_to_hour_and_asks_for_days_ahead(signed_in, address):
    page, asked = signed_in, []
    page.on("request", lambda request: asked.append(request.url) if "/state/" in request.url else None)
    page.goto(f"{address}?colour=power_w&hour=18")
    page.get_by_role("button", name="Play").click()
    play_until(page, 25)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Play")).to_have_attribute("aria-pressed", "false")
    stood = page.locator("[data-time]").inner_text()
    page.wait_for_timeout(800)
    assert page.locator("[data-time]").inner_text() == stood
    hour = page.evaluate(HOUR)
    assert 2 <= len(asked) <= hour // 24 + 2  # whole days at once, the next one ahead of time
    page.get_by_label("Step of the play").select_option("24")
    page.get_by_role("button", name="Play").click()
    play_until(page, hour + 72)
    page.get_by_role("button", name="Pause").click()
    assert (page.evaluate(HOUR) - hour) % 24 == 0


def test_racks_above_a_limit_are_hatched_and_said_to_be(signed_in, address):
    page = signed_in
    Cdu.objects.update(supply_degc=55)  # GB200 takes 45 °C at most
    page.goto(f"{address}?colour=supply_degc&hour=4720")
    expect(page.locator("svg.plan .hatch")).to_have_count(6)
    expect(page.locator("[data-count=over]")).to_contain_text("6 above a limit")
    slide(page, 4721)
    expect(page.locator("[data-time]")).to_contain_text("16 Jul 17:00 · ")
    expect(page.locator("svg.plan .hatch")).to_have_count(6)
    assert page.locator("svg.plan text.over").all_text_contents() == ["!"] * 6
    page.locator("svg.plan [data-n='B-00']").hover()
    expect(page.locator("[data-readout]")).to_contain_text("overloaded")
    page.get_by_text("Table of the 6 racks").click()
    expect(page.locator("[data-row]").first).to_contain_text("overloaded")


def test_what_cannot_be_solved_is_said_beside_the_plan(signed_in, address):
    page = signed_in
    Rack.objects.update(feed_a=None, feed_b=None)
    page.goto(f"{address}?colour=power_w&hour=40")
    expect(page.locator("[data-notes]")).to_contain_text("connect it to one")
    assert set(fills(page)) == {""}


def test_an_hour_can_be_read_without_javascript(browser, signed_in, address):
    context = browser.new_context(java_script_enabled=False, storage_state=signed_in.context.storage_state())
    page = context.new_page()
    page.goto(f"{address}?colour=feed_load_frac&hour=4720")
    expect(page.locator("[data-time]")).to_contain_text("16 Jul 16:00 · ")
    page.locator("#colour").select_option("weight_kg")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("[data-legend-label]")).to_have_text("Weight")
    context.close()


def test_a_thousand_racks_follow_the_slider(signed_in, address, layout, capsys):
    Hall.objects.filter(layout=layout).update(width_m=60, depth_m=80)
    Rack.objects.filter(hall__layout=layout).delete()
    Rack.objects.bulk_create(
        new_rack(layout, name=f"R{i:04}", row=f"{i // 50:02}", x_m=1 + 0.6 * (i % 50), y_m=1 + 3 * (i // 50))
        for i in range(1000)
    )
    page = signed_in
    page.goto(f"{address}?colour=junction_degc&hour=4704")
    slide(page, 4705)
    expect(page.locator("[data-time]")).to_contain_text("16 Jul 01:00 · ")
    spent_ms = page.evaluate("""async () => {
      const slider = document.getElementById("hour"), time = document.querySelector("[data-time]"), spent = [];
      for (let hour = 4706; hour < 4716; hour++) {
        const started = performance.now();
        slider.value = hour;
        slider.dispatchEvent(new Event("input", { bubbles: true }));
        while (!time.textContent.includes("outside")) await new Promise((done) => setTimeout(done, 0));
        await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
        spent.push(performance.now() - started);
      }
      return spent;
    }""")
    with capsys.disabled():
        said = f"median {sorted(spent_ms)[5]:.0f} ms, worst {max(spent_ms):.0f} ms"
        sys.stdout.write(f"\n1,000 racks to another hour of a loaded day: {said}\n")
    expect(page.locator("[data-time]")).to_contain_text("16 Jul 11:00 · ")
