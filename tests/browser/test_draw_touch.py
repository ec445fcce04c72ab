"""Fingers on the drawing board: pinch to zoom about the place between them, drag to move, and nothing is changed."""

import pytest
from django.urls import reverse
from playwright.sync_api import CDPSession, Page, expect

from facility.models import Layout

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    # pytest-base-url, which pytest-playwright brings, has not moved its fixture yet.
    pytest.mark.filterwarnings("ignore:Session-scoped fixtures defined as instance methods"),
]
# The browser hands on movements of fingers once a frame.
CAMERA = """async () => {
  for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
  const { camera, stage } = document.getElementById("draw").board, box = stage.getBoundingClientRect();
  const middle = [box.left + box.width / 2, box.top + box.height / 2];
  return { scale: camera.scale, x: camera.x, y: camera.y, middle };
}"""
FLOOR_AT = """([x, y]) => document.getElementById("draw").board.camera.at({ clientX: x, clientY: y })"""


@pytest.fixture(params=[1440, 390])
def page(request, live_server, signed_in, layout) -> Page:
    signed_in.set_viewport_size({"width": request.param, "height": 844})
    answer = {"figures": [], "margins": [], "findings": [], "n_findings": 0, "approximation": "", "layout_version": 0}
    signed_in.route("**/answer/?*", lambda route: route.fulfill(json=answer))
    signed_in.goto(live_server.url + reverse("layout-draw", args=[layout.site.slug, layout.slug]))
    expect(signed_in.locator("#draw[data-ready]")).to_be_attached()
    signed_in.locator("#draw-stage").scroll_into_view_if_needed()
    return signed_in


@pytest.fixture
def touch(page) -> CDPSession:
    return page.context.new_cdp_session(page)


def fingers(touch: CDPSession, kind: str, *places: tuple[float, float]) -> None:
    """Put, move or lift fingers, as the browser gets them from a touch screen."""
    points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
    touch.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})


def test_two_fingers_zoom_about_the_place_between_them(page, touch, layout):
    before = page.evaluate(CAMERA)
    x, y = before["middle"]
    under = page.evaluate(FLOOR_AT, [x, y])
    fingers(touch, "Start", (x - 40, y))
    fingers(touch, "Start", (x - 40, y), (x + 40, y))
    for apart in (50, 60, 70, 80):
        fingers(touch, "Move", (x - apart, y), (x + apart, y))
    after = page.evaluate(CAMERA)
    assert after["scale"] == pytest.approx(2 * before["scale"], rel=1e-6)
    assert page.evaluate(FLOOR_AT, [x, y]) == pytest.approx(under, abs=1e-6)
    for apart in (60, 40, 20):
        fingers(touch, "Move", (x - apart, y), (x + apart, y))
    assert page.evaluate(CAMERA)["scale"] == pytest.approx(before["scale"] / 2, rel=1e-6)
    fingers(touch, "End")
    page.wait_for_timeout(300)  # the view rests and is drawn sharp
    assert "scale(" in page.locator(".draw-svg > g").first.get_attribute("transform")
    assert page.locator(".draw-svg").evaluate("(svg) => svg.style.transform") == "none"
    assert page.evaluate("visualViewport.scale") == 1  # the board zooms, not the page
    assert Layout.objects.get(pk=layout.pk).version == 1


def test_one_finger_after_two_moves_nothing_and_a_new_one_moves_the_view(page, touch, layout):
    x, y = page.evaluate(CAMERA)["middle"]
    fingers(touch, "Start", (x - 40, y), (x + 40, y))
    fingers(touch, "Move", (x - 60, y), (x + 60, y))
    fingers(touch, "End", (x - 60, y))
    held = page.evaluate(CAMERA)
    fingers(touch, "Move", (x - 100, y + 50))
    assert page.evaluate(CAMERA) == held
    fingers(touch, "End")
    empty = y - 1  # between the rows
    fingers(touch, "Start", (x, empty))
    fingers(touch, "Move", (x + 10, empty))
    fingers(touch, "Move", (x + 30, empty - 20))
    fingers(touch, "End")
    moved = page.evaluate(CAMERA)
    assert (moved["x"] - held["x"], moved["y"] - held["y"]) == pytest.approx((30, -20), abs=1e-6)
    assert moved["scale"] == held["scale"]
    assert Layout.objects.get(pk=layout.pk).version == 1
