"""The drawing board: drag, undo, align, rows, lasso, walls, conflicts, keys alone; and how smooth and quick it is."""

import re
import statistics
import sys

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page, expect

from facility.models import AirUnit, Cdu, FloorFeature, Hall, Layout, Membership, Rack
from power_cooling.site_facts.units import US, shown_in
from tests.shipped import CATALOGUE, load_shipped
from tests.small_site import new_rack
from twin.core.text.numbers import size_text

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    # pytest-base-url, which pytest-playwright brings, has not moved its fixture yet.
    pytest.mark.filterwarnings("ignore:Session-scoped fixtures defined as instance methods"),
]
ON_SCREEN = """([x, y]) => {
  const { camera, stage } = document.getElementById("draw").board, box = stage.getBoundingClientRect();
  return [box.left + camera.x + x * camera.scale, box.top + camera.y + (camera.depth - y) * camera.scale];
}"""
X_OF = (
    """(name) => [...document.getElementById("draw").board.drawing.objects.values()].find((o) => o.name === name).x_m"""
)
CHANGE = """([id, power]) => document.getElementById("draw").board.change("Changed rack",
  [{ op: "update", kind: "rack", id, other_power_w: power }])"""
FRAMES = """async ([kind, n]) => {
  const { board } = document.getElementById("draw"), { stage } = board, deltas = [];
  const box = stage.getBoundingClientRect();
  const at = { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2, bubbles: true, cancelable: true };
  const turn = (more) => stage.dispatchEvent(new WheelEvent("wheel", { ...at, ...more }));
  const frame = () => new Promise(requestAnimationFrame);
  board.act("fit");
  await new Promise((done) => setTimeout(done, 300));
  let last = await frame();
  for (let i = 0; i < n; i++) {
    if (kind === "pan") turn({ deltaX: i % 60 < 30 ? 14 : -14, deltaY: i % 40 < 20 ? 8 : -8, shiftKey: true });
    if (kind === "zoom") turn({ deltaY: i % 60 < 30 ? -30 : 30 });
    const now = await frame();
    deltas.push(now - last);
    last = now;
  }
  return deltas;
}"""
NO_ANSWER = {"figures": [], "margins": [], "findings": [], "n_findings": 0, "approximation": "", "layout_version": 0}


def drawn(layout: Layout) -> str:
    return reverse("layout-draw", args=[layout.site.slug, layout.slug])


def opened(page: Page, live_server, layout: Layout, *, answer: dict | None = NO_ANSWER) -> Page:
    """Open the board; the solver has tests of its own, so most of these put an answer in its place."""
    if answer is not None:
        page.route("**/answer/?*", lambda route: route.fulfill(json=answer))
    page.goto(live_server.url + drawn(layout))
    expect(page.locator("#draw[data-ready]")).to_be_attached()
    return page


def session(browser, live_server, user) -> Page:
    """Return a page of another browser with that user's session. It may log refusals, which are what is tested."""
    client = Client()
    client.force_login(user)
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    name = settings.SESSION_COOKIE_NAME
    context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": live_server.url}])
    return context.new_page()


def px(page: Page, x_m: float, y_m: float) -> tuple[float, float]:
    """Return where a place of the floor is on the screen."""
    return tuple(page.evaluate(ON_SCREEN, [x_m, y_m]))


def middle(page: Page, name: str) -> tuple[float, float]:
    rack = Rack.objects.get(name=name, hall__layout__slug="first")
    return px(page, (rack.footprint.x0_m + rack.footprint.x1_m) / 2, (rack.footprint.y0_m + rack.footprint.y1_m) / 2)


def drag(page: Page, start: tuple[float, float], end: tuple[float, float], *, drop: bool = True) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    page.mouse.move(*end)
    if drop:
        page.mouse.up()


def saved(page: Page, version: int) -> None:
    expect(page.locator("#draw-saved")).to_have_text(f"Saved, version {version}")


def status(page: Page):
    return page.locator("#draw-status")


def place(layout: Layout, name: str) -> tuple[float, float]:
    rack = Rack.objects.get(name=name, hall__layout=layout)
    return round(rack.x_m, 3), round(rack.y_m, 3)


def test_a_drag_snaps_shows_what_it_would_cover_is_saved_and_undone(live_server, signed_in, layout):
    page = opened(signed_in, live_server, layout)
    start = middle(page, "A-01")
    drag(page, start, middle(page, "B-02"), drop=False)
    expect(status(page)).to_contain_text("rack A-01 would overlap rack B-0")
    expect(page.locator("path.ghost.bad")).to_have_attribute("d", page.locator("path.ghost.bad").get_attribute("d"))
    assert page.locator("path.ghost.bad").get_attribute("d")
    page.mouse.up()
    expect(status(page)).to_contain_text("Not moved: rack A-01 would overlap")
    assert place(layout, "A-01") == (2.6, 4)

    drag(page, start, px(page, 10.42, 6.55))  # by 7.52 m and 1.95 m: the corner comes to rest on a tile
    saved(page, 2)
    assert place(layout, "A-01") == (10.2, 6.0)
    page.keyboard.press("Control+z")
    saved(page, 3)
    assert place(layout, "A-01") == (2.6, 4)
    page.get_by_role("button", name="Redo").click()
    saved(page, 4)
    assert place(layout, "A-01") == (10.2, 6.0)
    page.get_by_role("button", name="Undo").click()
    saved(page, 5)
    assert place(layout, "A-01") == (2.6, 4)


def test_several_are_selected_aligned_spread_turned_and_copied(live_server, signed_in, layout):
    for i, (x, y) in enumerate([(9.0, 4.0), (11.0, 5.3), (15.5, 6.9)]):
        new_rack(layout, name=f"Z-{i}", row="Z", x_m=x, y_m=y).save()
    page = opened(signed_in, live_server, layout)
    page.mouse.click(*middle(page, "Z-0"))
    for name in ("Z-1", "Z-2"):
        page.keyboard.down("Shift")
        page.mouse.click(*middle(page, name))
        page.keyboard.up("Shift")
    expect(page.locator("#draw-title")).to_have_text("3 racks")
    page.locator("#draw-align").select_option("bottom")
    saved(page, 2)
    page.locator("#draw-align").select_option("spread-x")
    saved(page, 3)
    assert [place(layout, f"Z-{i}") for i in range(3)] == [(9.0, 4.0), (12.25, 4.0), (15.5, 4.0)]
    page.get_by_role("button", name="Duplicate").click()
    saved(page, 4)
    assert Rack.objects.filter(name__startswith="Z-", hall__layout=layout).count() == 6
    drag(page, px(page, 8.6, 3.4), px(page, 16.8, 5.6))  # a marquee over the first three
    expect(page.locator("#draw-title")).to_have_text("3 racks")
    page.get_by_role("button", name="Delete").click()
    saved(page, 5)
    assert not Rack.objects.filter(name="Z-0").exists()
    page.keyboard.press("Control+z")
    saved(page, 6)
    assert place(layout, "Z-1") == (12.25, 4.0)


def test_a_row_of_racks_comes_from_the_catalogue(live_server, signed_in, layout):
    page = opened(signed_in, live_server, layout)
    page.get_by_role("button", name="Row of racks").click()
    form = page.locator("#draw-row")
    form.get_by_label("Row", exact=True).fill("C")
    form.get_by_label("Racks", exact=True).fill("5")
    form.get_by_label("CDU", exact=True).select_option(label="CDU-2 (A)")
    form.get_by_label("Feed A").select_option(label="Busway-A")
    form.get_by_label("x [m]").fill("2,4")
    form.get_by_label("y [m]").fill("4,5")
    expect(status(page)).to_contain_text("would overlap rack A-0")
    form.get_by_role("button", name="Place racks").click()
    expect(status(page)).to_contain_text("Not done:")
    form.get_by_label("x [m]").fill("9,6")
    form.get_by_role("button", name="Place racks").click()
    saved(page, 2)
    racks = Rack.objects.filter(row="C", hall__layout=layout).order_by("name")
    assert [(rack.name, round(rack.x_m, 2), rack.cdu.name, rack.feed_a.name) for rack in racks][1:3] == [
        ("C-02", 10.2, "CDU-2", "Busway-A"),
        ("C-03", 10.8, "CDU-2", "Busway-A"),
    ]
    page.get_by_role("button", name="Row of racks").click()
    page.mouse.click(*px(page, 3.0, 8.6))  # another row by a click
    expect(status(page)).to_contain_text("Not done")  # row B stands there
    page.mouse.click(*px(page, 10.0, 9.0))
    saved(page, 3)
    assert Rack.objects.filter(hall__layout=layout).count() == 6 + 5 + 5


def test_racks_are_put_on_a_cdu_and_feeds_by_lasso(live_server, signed_in, layout):
    page = opened(signed_in, live_server, layout)
    page.get_by_role("button", name="Lasso").click()
    corners = [px(page, x, y) for x, y in ((1.6, 7.6), (3.95, 7.5), (3.9, 9.6), (1.5, 9.5))]
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in [*corners[1:], corners[0]]:
        page.mouse.move(*corner, steps=4)
    page.mouse.up()
    expect(page.locator("#draw-title")).to_have_text("3 racks")
    form = page.locator("#draw-assign")
    form.get_by_label("CDU").select_option(label="CDU-2 (A)")
    form.get_by_label("Feed B").select_option(label="none")
    form.get_by_role("button", name="Assign").click()
    saved(page, 2)
    on = Rack.objects.filter(hall__layout=layout, cdu__name="CDU-2", feed_a__name="Busway-A", feed_b=None)
    assert sorted(on.values_list("name", flat=True)) == ["B-00", "B-01", "B-02"]
    page.locator("#draw-show").select_option("cdu")
    expect(page.locator("#draw-legend")).to_contain_text("CDU-2")


def test_the_board_speaks_feet_to_who_chose_them(live_server, signed_in, layout):
    signed_in.goto(live_server.url + reverse("account-preferences"))
    signed_in.get_by_label("Units").select_option(US)
    signed_in.locator("main").get_by_role("button", name="Save").click()
    page = opened(signed_in, live_server, layout)
    hall = layout.halls.get()
    with shown_in(US):
        size = size_text(hall.width_m, hall.depth_m)
    expect(status(page)).to_contain_text(size)
    expect(page.locator(".draw-side")).to_contain_text(size)
    page.get_by_label("What to draw").select_option("wall")
    drag(page, px(page, 2.0, 4.3), px(page, 5.0, 4.6))
    expect(status(page)).to_contain_text(re.compile(r"by [0-9.]+ ft × [0-9.]+ ft"))


def test_walls_keep_outs_cdus_and_air_units_are_drawn(live_server, signed_in, layout):
    page = opened(signed_in, live_server, layout)
    page.get_by_label("What to draw").select_option("keep_out")
    drag(page, px(page, 6.1, 6.1), px(page, 8.3, 7.9))
    saved(page, 2)
    keep_out = FloorFeature.objects.get(type="keep_out")
    assert [round(keep_out.x_m, 2), round(keep_out.y_m, 2), round(keep_out.width_m, 2)] == [6.0, 6.0, 2.4]
    page.get_by_label("What to draw").select_option("wall")
    drag(page, px(page, 2.0, 4.3), px(page, 5.0, 4.6))
    expect(status(page)).to_contain_text("Wall 1 would overlap rack A-0")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="CDU", exact=True).click()
    expect(page.locator("#place-name")).to_have_value("CDU-3")
    page.get_by_role("button", name="Place", exact=True).click()
    saved(page, 3)
    assert Cdu.objects.get(name="CDU-3", layout=layout).group == "A"
    page.get_by_role("button", name="Air unit", exact=True).click()
    page.get_by_role("button", name="Place", exact=True).click()
    saved(page, 4)
    assert AirUnit.objects.filter(layout=layout).count() == 4
    assert Hall.objects.get(layout=layout).n_air_units == 4  # the hall's count follows while all are drawn
    page.keyboard.press("Control+z")
    saved(page, 5)
    assert Hall.objects.get(layout=layout).n_air_units == AirUnit.objects.filter(layout=layout).count() == 3
    page.locator("#draw-stage").focus()
    page.mouse.click(*px(page, 7, 7))
    page.locator("#field-width_m").fill("1,2")
    page.locator("#field-width_m").press("Enter")
    saved(page, 6)
    assert FloorFeature.objects.get(type="keep_out").width_m == 1.2


def test_two_people_see_both_versions_and_lose_nothing(live_server, browser, planner, layout):
    anna = get_user_model().objects.create_superuser("anna", password="anna")
    mine, hers = session(browser, live_server, planner), session(browser, live_server, anna)
    opened(mine, live_server, layout)
    opened(hers, live_server, layout)
    drag(hers, middle(hers, "A-01"), px(hers, 10.5, 6.6))
    saved(hers, 2)
    mine.mouse.click(*middle(mine, "B-00"))
    mine.locator("#field-other_power_w").fill("750 W")
    mine.locator("#field-other_power_w").press("Enter")
    # What does not touch goes side by side, and is shown to both.
    saved(mine, 3)
    expect(status(mine)).to_contain_text("Saved beside changes of anna")
    assert mine.evaluate(X_OF, "A-01") == 10.2
    hers.mouse.click(*middle(hers, "B-00"))
    hers.locator("#field-other_power_w").fill("0.9")
    hers.locator("#field-other_power_w").press("Enter")
    dialog = hers.get_by_role("dialog", name="Somebody else changed this layout")
    expect(dialog).to_contain_text("planner has saved version 3")
    expect(dialog.locator("#conflict-theirs")).to_contain_text("rack B-00: Other power [kW] 0 → 0.75")
    expect(dialog.locator("#conflict-yours")).to_contain_text("rack B-00: Other power [kW] 0.75 → 0.9")
    dialog.get_by_role("button", name="Reapply my changes").click()
    saved(hers, 4)
    assert place(layout, "A-01") == (10.2, 6.0)
    assert Rack.objects.get(name="B-00", hall__layout=layout).other_power_w == 900

    # Both move the same rack: hers is stale now, and she takes what is there.
    drag(mine, middle(mine, "B-03"), px(mine, 13.6, 9.2))
    saved(mine, 5)
    drag(hers, px(hers, 4.1, 8.6), px(hers, 16.1, 9.2))
    hers.keyboard.press("r")  # waits in line behind the move: the dialog tells of both
    dialog = hers.get_by_role("dialog")
    expect(dialog.locator("#conflict-yours")).to_contain_text("Front [°] 0 → 270")
    expect(dialog.locator("#conflict-yours .clash").first).to_contain_text("both changed it")
    dialog.get_by_role("button", name="Discard my changes").click()
    expect(hers.locator("#draw-saved")).to_have_text("Version 5")
    kept = place(layout, "B-03")
    assert kept[0] < 14
    assert hers.evaluate(X_OF, "B-03") == kept[0]
    for page in (mine, hers):
        page.context.close()


def test_what_the_server_refuses_is_said_and_taken_back(live_server, browser, planner, layout):
    page = opened(session(browser, live_server, planner), live_server, layout)
    page.mouse.click(*middle(page, "B-00"))
    page.locator("#field-n_systems").fill("3")
    page.locator("#field-n_systems").press("Enter")
    expect(status(page)).to_contain_text("is a whole rack; rack B-00 holds 1, not 3.")
    expect(page.locator("#draw-saved")).to_contain_text("Not saved; back at version 1")
    expect(page.locator("#field-n_systems")).to_have_value("1")
    page.context.close()


def test_each_field_says_what_it_means(live_server, signed_in, layout):
    page = opened(signed_in, live_server, layout)
    page.mouse.click(*middle(page, "B-00"))
    page.locator("#field-x_m").focus()
    explained = page.locator("#draw-field-help")
    expect(explained).to_contain_text("Left edge")
    expect(explained).to_contain_text("Usual: 0 m to the hall's width.")
    expect(page.locator("#field-x_m")).to_have_attribute("aria-describedby", "draw-field-help")
    page.get_by_role("button", name="Row of racks").click()
    page.locator("#row-n").focus()
    expect(explained).to_contain_text("Usual: 4 to 20.")


def test_the_keyboard_does_it_all(live_server, signed_in, layout):
    page = opened(signed_in, live_server, layout)
    stage = page.locator("#draw-stage")
    stage.focus()
    name = page.locator("#field-name")
    for _ in range(20):
        page.keyboard.press("Tab")
        if name.is_visible() and name.input_value() == "B-00":
            break
    expect(page.locator("#draw-title")).to_have_text("Rack B-00")
    page.keyboard.press("s")
    expect(page.locator("#draw-title")).to_have_text("4 racks")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    saved(page, 2)  # three presses, one batch
    assert place(layout, "B-00") == (3.8, 8.0)
    page.keyboard.press("Shift+ArrowUp")
    saved(page, 3)
    assert place(layout, "B-00") == (3.8, 8.01)
    page.keyboard.press("Control+z")
    saved(page, 4)
    page.keyboard.press("Control+c")
    page.keyboard.press("Control+v")
    saved(page, 5)
    expect(page.locator("#draw-title")).to_have_text("4 racks")
    page.keyboard.press("Delete")
    saved(page, 6)
    page.keyboard.press("Escape")
    page.keyboard.press("w")
    page.keyboard.press("Enter")
    saved(page, 7)
    page.keyboard.press("r")
    saved(page, 8)
    wall = FloorFeature.objects.get(name="Wall 1")
    assert wall.depth_m > wall.width_m
    page.keyboard.press("Enter")  # to the fields
    page.locator("#field-name").fill("South wall")
    page.keyboard.press("Tab")
    saved(page, 9)
    stage.focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Ctrl-Z")
    page.keyboard.press("Escape")
    stage.focus()
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")  # leads on
    assert page.evaluate("document.activeElement.id") != "draw-stage"


def test_who_may_not_change_it_can_look_and_a_narrow_screen_reads(live_server, signed_in, browser, layout):
    page = opened(signed_in, live_server, layout)
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.locator(".draw-hint")).to_be_visible()
    expect(page.get_by_role("button", name="Row of racks")).to_be_hidden()
    start = middle(page, "A-01")
    drag(page, start, (start[0] + 60, start[1] - 60))
    page.mouse.click(*middle(page, "A-00"))
    expect(page.locator("#draw-title")).to_have_text("Rack A-00")

    viewer = get_user_model().objects.create_user("viewer")
    Membership.objects.create(site=layout.site, user=viewer, role=Membership.Role.VIEWER)
    page = opened(session(browser, live_server, viewer), live_server, layout)
    expect(page.get_by_role("button", name="Row of racks")).to_have_count(0)
    page.mouse.click(*middle(page, "B-01"))
    expect(page.locator("#draw-title")).to_have_text("Rack B-01")
    page.keyboard.press("Delete")
    drag(page, middle(page, "B-01"), middle(page, "A-00"))  # moves the view
    assert Layout.objects.get(pk=layout.pk).version == 1
    page.context.close()


def test_a_finding_shows_its_object(live_server, signed_in, layout):
    rack = Rack.objects.get(name="B-02", hall__layout=layout)
    finding = {
        "object": "B-02",
        "rule": "floor load",
        "message": "Too heavy.",
        "severity": "blocking",
        "href": "",
        "object_kind": "rack",
        "object_id": rack.pk,
    }
    margin = {"object": "UPS-A", "kind": "load", "value": 2e5, "text": "200 kW", "unit": "W", "href": "/"}
    figure = {
        "name": "pue",
        "label": "PUE",
        "unit": "",
        "value": 1.1,
        "text": "1.10",
        "low": 1.0,
        "high": 1.2,
        "better": "lower",
    }
    answer = NO_ANSWER | {"findings": [finding], "n_findings": 1, "margins": [margin], "figures": [figure]}
    page = opened(signed_in, live_server, layout, answer=answer)
    expect(page.locator("#answer-figures")).to_contain_text("1.10")
    expect(page.locator("#answer-margins")).to_contain_text("200 kW")
    mark = page.locator("#answer-findings .severity svg use")  # no sign of a font, which may lack it
    sprite, name = mark.get_attribute("href").split("#")
    assert f'id="{name}"' in page.request.get(live_server.url + sprite).text()
    page.get_by_role("button", name="Too heavy.").click()
    expect(page.locator("#draw-title")).to_have_text("Rack B-02")
    expect(page.locator("path.mark.selected")).to_be_attached()


@pytest.fixture
def big(planner) -> Layout:
    """A hall of a thousand racks that really solves."""
    from twin.benchmarks.big_layout import big_layout

    load_shipped(CATALOGUE)
    layout, _ = big_layout(1000, n_classes=4)
    hall, other = layout.halls.order_by("pk")
    hall.depth_m, hall.width_m = 100, 40
    hall.save()
    shift_m = 20.0  # both halves side by side in one hall
    for model in (Rack, Cdu):
        for thing in model.objects.filter(hall=other):
            thing.x_m += shift_m
            thing.hall = hall
            thing.save()
    return layout


def report(capsys, text: str) -> None:
    """Print a measurement past pytest's capture."""
    with capsys.disabled():
        sys.stdout.write(f"\n{text}")


def test_how_smooth_a_thousand_racks_are_and_how_quick_the_answer(live_server, signed_in, big, capsys):
    page = opened(signed_in, live_server, big, answer=None)
    assert page.locator(".draw-svg .rack[data-key]").count() == 1000
    for kind in ("nothing", "pan", "zoom"):
        page.evaluate(FRAMES, [kind, 20])
        deltas = sorted(page.evaluate(FRAMES, [kind, 180]))
        report(
            capsys,
            f"{kind}: frames of a 1,000-rack hall, drawn by software: median "
            f"{statistics.median(deltas):.1f} ms, p95 {deltas[int(0.95 * len(deltas))]:.1f} ms",
        )
    note = page.locator("#answer-note")
    expect(note).to_have_attribute("data-version", "1", timeout=120_000)
    took, server = [], []
    rack = Rack.objects.filter(hall__layout=big).order_by("pk").first()
    for i in range(6):
        page.evaluate(CHANGE, [rack.pk, 100.0 + i])
        expect(note).to_have_attribute("data-version", str(2 + i))
        took.append(int(note.get_attribute("data-ms")))
        server.append(int(note.get_attribute("data-server-ms") or 0))
    report(capsys, f"edit to answer, 1,000 racks: {took} ms, of which the solver's address {server} ms")
    rack.refresh_from_db()
    assert rack.other_power_w == 105
    expect(page.locator("#answer-figures .figure")).to_have_count(8)
