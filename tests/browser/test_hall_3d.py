"""The halls in three dimensions: drawn, turned, recoloured; and the plan where WebGL is missing."""

import sys

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from facility.models import Hall, Rack
from tests.shipped import CATALOGUE, load_shipped
from tests.small_site import new_rack

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    # pytest-base-url, which pytest-playwright brings, has not moved its fixture yet.
    pytest.mark.filterwarnings("ignore:Session-scoped fixtures defined as instance methods"),
]

DRAWN = {"timeout": 60_000}  # WebGL in software on a busy machine
EYE = "document.querySelector('[data-canvas]').layout.scene.camera.eye.z"
RACKS = """(() => {
  const trace = document.querySelector("[data-canvas]").data.find((one) => one.name === "Racks");
  return { faces: trace.facecolor, texts: trace.hovertext };
})()"""
# Says of itself that it has no WebGL, as a browser with a blocked driver does.
WITHOUT_WEBGL = """
const real = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
  return /webgl/.test(kind) ? null : real.call(this, kind, ...more);
};
"""


@pytest.fixture
def address(live_server, layout) -> str:
    return live_server.url + reverse("layout-3d", args=[layout.site.slug, layout.slug])


def test_the_hall_is_drawn_turned_and_recoloured(signed_in, address):
    page = signed_in
    page.goto(address)
    canvas = page.locator("[data-canvas][data-drawn]")
    expect(canvas).to_be_visible(**DRAWN)
    names = canvas.evaluate("(element) => element.data.map((trace) => trace.name)")
    assert {"Racks", "CDUs", "Air units", "Floor", "Busways", "Coolant supply", "Coolant return"} <= set(names)
    page.wait_for_timeout(1000)
    corner = canvas.screenshot()
    assert len(corner) > 15_000  # an empty frame compresses to less than a third of it
    eye = page.evaluate(EYE)
    page.get_by_role("button", name="From above").click()
    page.wait_for_timeout(1000)
    assert page.evaluate(EYE) > eye + 0.1
    assert canvas.screenshot() != corner
    above = page.evaluate(EYE)
    page.get_by_label("coloured by").select_option("weight_kg")
    expect(page.locator("[data-legend-label]")).to_have_text("Weight")
    expect(page.locator("[data-canvas][data-drawn]")).to_be_visible(**DRAWN)
    assert page.evaluate(EYE) == pytest.approx(above)
    texts = page.locator("[data-canvas]").evaluate(
        "(element) => element.data.filter((trace) => trace.name === 'Racks').flatMap((trace) => trace.hovertext)"
    )
    assert len(texts) == 6 * 8
    assert any("B-00<br>Weight: 1" in text for text in texts)


def test_the_slider_and_play_colour_the_hall_by_the_hour(signed_in, address):
    load_shipped(CATALOGUE)
    page = signed_in
    page.goto(f"{address}?colour=power_w&hour=4720")
    expect(page.locator("[data-canvas][data-drawn]")).to_be_visible(**DRAWN)
    expect(page.locator("[data-time]")).to_contain_text("16 Jul 16:00")
    eye, afternoon = page.evaluate(EYE), page.evaluate(RACKS)
    page.get_by_label("Hour of the year").evaluate(
        "(slider) => { slider.value = 4731; slider.dispatchEvent(new Event('input', { bubbles: true })); }"
    )
    expect(page.locator("[data-time]")).to_contain_text("17 Jul 03:00 · ", **DRAWN)
    until(page, lambda: page.evaluate(RACKS) != afternoon)
    night = page.evaluate(RACKS)
    assert len(night["faces"]) == 6 * 12
    assert night["texts"][0].startswith("A-00<br>Rack power: ")
    assert "hour=4731" in page.url
    assert page.evaluate(EYE) == pytest.approx(eye)
    page.get_by_role("button", name="Play").click()
    until(page, lambda: page.evaluate("Number(document.getElementById('hour').value)") >= 4733)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Play")).to_be_visible()


def until(page, happened) -> None:
    """Wait; `wait_for_function` would need an eval that the pages forbid."""
    for _ in range(300):
        if happened():
            return
        page.wait_for_timeout(100)
    raise AssertionError("nothing changed within half a minute")


def test_without_webgl_the_plan_takes_its_place(signed_in, address):
    page = signed_in
    page.add_init_script(WITHOUT_WEBGL)
    page.goto(address)
    expect(page.get_by_text("no WebGL")).to_be_visible(**DRAWN)
    expect(page.locator("svg.plan .r")).to_have_count(6)
    expect(page.locator("[data-hall-3d]")).to_be_hidden()


def test_without_javascript_the_plan_takes_its_place(browser, signed_in, address):
    context = browser.new_context(java_script_enabled=False, storage_state=signed_in.context.storage_state())
    page = context.new_page()
    page.goto(address)
    expect(page.locator("svg.plan .r")).to_have_count(6)
    expect(page.get_by_text("Table of the 6 racks")).to_be_visible()
    context.close()


def test_a_thousand_racks_are_drawn_and_turn(signed_in, address, layout, capsys):
    Hall.objects.filter(layout=layout).update(width_m=60, depth_m=80)
    Rack.objects.filter(hall__layout=layout).delete()
    Rack.objects.bulk_create(
        new_rack(layout, name=f"R{i:04}", row=f"{i // 50:02}", x_m=1 + 0.6 * (i % 50), y_m=1 + 3 * (i // 50))
        for i in range(1000)
    )
    page = signed_in
    answer = page.goto(address)
    canvas = page.locator("[data-canvas][data-drawn]")
    expect(canvas).to_be_visible(**DRAWN)
    sent = int(answer.headers["content-length"])
    assert answer.headers["content-encoding"] == "gzip"
    assert sent < 200_000  # of the 300 kB that a page may weigh beside Plotly
    script_ms, frame_ms = canvas.evaluate("""async (element) => {
      const script = [], frame = [];
      for (let turn = 0; turn < 3; turn++) {
        const eye = { x: Math.cos(turn / 5), y: Math.sin(turn / 5), z: 1 }, started = performance.now();
        await Plotly.relayout(element, { "scene.camera.eye": eye });
        script.push(performance.now() - started);
        await new Promise(requestAnimationFrame);
        await new Promise(requestAnimationFrame);
        frame.push(performance.now() - started);
      }
      return [script, frame].map((all) => all.sort((a, b) => a - b)[1]);
    }""")
    n_traces = canvas.evaluate("(element) => element.data.length")
    assert n_traces < 60
    with capsys.disabled():
        sys.stdout.write(
            f"\n1,000 racks in 3D: {n_traces} traces, {sent / 1e3:.0f} kB over the wire, {script_ms:.0f} ms a turn, "
            f"{frame_ms:.0f} ms with its frame (WebGL in software)\n"
        )
