"""Readings from a file to advice: upload, map, compare, diagnose, calibrate, accept, advise, gain."""

import io
import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.management import call_command
from django.urls import reverse
from playwright.sync_api import Page, expect

from facility import services as facility_services
from facility.models import Layout

pytestmark = [
    pytest.mark.browser,
    pytest.mark.compiled,
    pytest.mark.django_db(transaction=True),
    # pytest-base-url, which pytest-playwright brings, has not moved its fixture yet.
    pytest.mark.filterwarnings("ignore:Session-scoped fixtures defined as instance methods"),
]

START = "2026-07-01T00:00:00Z"
BIAS_K = 0.8
SHOTS = os.environ.get("TWIN_TEST_SHOTS")


@pytest.fixture
def readings(solvable, tmp_path) -> Path:
    """A day of the layout's readings: one sensor reads high, and its name is one of the building's own."""
    cdu = solvable.cdus.first().name
    truth, out = tmp_path / "truth.yaml", tmp_path / "points.csv"
    truth.write_text(f"[{{object: 'cdu/{cdu}|secondary_return_degc', parameter: sensor_bias, value: {BIAS_K}}}]")
    call_command(
        "publish_telemetry",
        solvable.path,
        start=START,
        hours=24,
        step=3600,
        noise="1",
        truth=truth,
        out=out,
        verbosity=0,
    )
    own_name = f"BMS {cdu} sec return temp"
    out.write_text(out.read_text().replace(f"cdu/{cdu}|secondary_return_degc", own_name))
    return out


def looked_at(page: Page, name: str) -> None:
    """Hold a page to the rules of every page, and keep its picture where one is wanted."""
    violations = Axe().run(page).response["violations"]
    grave = [v["id"] for v in violations if v["impact"] in ("serious", "critical")]
    assert not grave, (name, grave)
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        beside = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert beside <= 0, (name, width)
        if SHOTS:
            page.screenshot(path=f"{SHOTS}/{name}-{width}.png", full_page=True)
    page.set_viewport_size({"width": 1440, "height": 900})


def ask(page: Page, home: str, what: str) -> None:
    page.goto(home)
    page.get_by_role("button", name=what, exact=True).click()
    expect(page.locator(".page-head .state.done")).to_be_visible(timeout=120_000)


def test_readings_lead_to_a_layout_as_operated_and_to_advice(
    live_server, signed_in, solvable, readings, celery_worker_thread, tmp_path
):
    page, site = signed_in, solvable.site
    home = live_server.url + reverse("site-telemetry", args=[site.slug])
    page.goto(home)
    page.get_by_role("link", name="Readings from a file").click()
    looked_at(page, "upload")
    page.get_by_label("File", exact=True).set_input_files(readings)
    page.get_by_role("button", name="Read the file").click()
    expect(page.get_by_role("heading", name="What the points mean")).to_be_visible()
    cdu = f"cdu/{solvable.cdus.first().name}"
    expect(page.get_by_label("Object of BMS")).to_have_value(cdu)
    expect(page.get_by_label("Quantity of BMS")).to_have_value("secondary_return_degc")
    looked_at(page, "mapping")
    page.get_by_label("Quantity of BMS").fill("mood")
    page.get_by_role("button", name="Store the readings").click()
    expect(page.get_by_role("alert")).to_contain_text("mood is unknown")
    page.get_by_label("Quantity of BMS").fill("secondary_return_degc")
    page.get_by_role("button", name="Store the readings").click()
    expect(page.locator(".messages")).to_contain_text("readings stored, 0 were there already, 0 refused")
    looked_at(page, "telemetry")

    ask(page, home, "Compare")
    worst = page.get_by_role("region", name="Points").locator("tbody tr").first
    expect(worst).to_contain_text(f"{cdu} secondary_return_degc")
    looked_at(page, "comparison")
    worst.get_by_role("link").click()
    expect(page.locator(".chart .main-svg").first).to_be_visible()
    looked_at(page, "point")
    page.go_back()
    page.get_by_role("link", name="Residuals on plan").click()
    spot = page.locator(f'[data-coloured="{cdu}"]')
    expect(spot).to_have_class("lv-g")  # 0.8 K are 2.7 bands
    page.get_by_role("button", name="Play").click()
    expect(page.locator("output[data-frame-label]")).not_to_have_text("whole span")
    page.get_by_role("button", name="Stop").click()
    looked_at(page, "residuals")

    ask(page, home, "Diagnose")
    expect(page.get_by_role("region", name="Faults").locator("tbody tr").first).to_contain_text("sensor_bias")
    looked_at(page, "diagnosis")

    ask(page, home, "Calibrate")
    expect(page.get_by_role("region", name="Parameters that the readings determine")).to_contain_text(
        f"{cdu}|secondary_return_degc · Sensor bias"
    )
    looked_at(page, "calibration")
    page.get_by_label("Keep as layout").fill("Hall as of July")
    page.get_by_role("button", name="Accept").click()
    expect(page.locator(".messages")).to_contain_text("Hall as of July holds the calibrated parameters")
    made = Layout.objects.get(site=site, name="Hall as of July")
    bias = made.calibrated_parameters.get(name=f"{cdu}|secondary_return_degc sensor_bias")
    assert bias.low <= BIAS_K <= bias.high
    page.goto(home)
    looked_at(page, "telemetry-after")

    page.locator("#advice_layout").select_option("Hall as of July")
    page.get_by_role("button", name="Advise").click()
    expect(page.locator(".page-head .state.done")).to_be_visible(timeout=120_000)
    expect(page.locator("h1")).to_have_text("Advice of Hall as of July")
    eco = page.get_by_role("region", name="Set points").locator("tbody tr").filter(has_text="Eco mode")
    expect(eco.locator("td").nth(0)).to_have_text("off")
    expect(eco.locator("td").nth(1)).to_have_text("on")
    expect(eco.locator("td").nth(2)).to_contain_text("%")
    expect(page.locator("footer.small")).to_contain_text("calibrated parameter")
    looked_at(page, "advice")
    with page.expect_download() as saved:
        page.get_by_role("link", name="CSV").click()
    assert "feed/" in Path(saved.value.path()).read_text()
    taken_on_and_measured(page, made, tmp_path)


def taken_on_and_measured(page: Page, layout: Layout, folder: Path) -> None:
    """Mark what an advice says of the UPS as taken on, and measure it: too early, then with two days."""
    form = page.locator("form").filter(has=page.get_by_role("button", name="Mark as taken on"))
    for box in form.get_by_role("checkbox").all():
        box.set_checked("Eco mode" in form.locator(f"label[for={box.get_attribute('id')}]").inner_text())
    form.get_by_label("Since").fill("2090-07-02T00:00")
    form.get_by_role("button", name="Mark as taken on").click()
    expect(page.locator(".field.invalid")).to_contain_text("must lie from 1990 to now")
    looked_at(page, "taken-refused")
    page.get_by_label("Since").fill("2026-07-02T00:00")
    page.get_by_role("button", name="Mark as taken on").click()
    taken = page.get_by_role("region", name="Taken on")
    expect(taken.locator("tbody tr")).to_contain_text("Eco mode")
    expect(taken).to_contain_text("not measured yet")
    page.get_by_role("button", name="Measure the gain").click()
    expect(page.locator(".page-head .state.done")).to_be_visible(timeout=120_000)
    expect(page.get_by_role("heading", name="Not enough readings yet")).to_be_visible()
    expect(page.locator("main")).to_contain_text("The meter has no reading after the change")
    looked_at(page, "gain-too-early")

    changed = facility_services.layout_clone(layout=layout, name="Eco mode")
    changed.power_feeds.filter(kind="ups").update(eco_mode=True)
    out = folder / "after.csv"
    after = {"start": "2026-07-02T00:00:00Z", "hours": 48, "step": 3600, "noise": "1"}
    call_command("publish_telemetry", changed.path, **after, seed=7, out=out, verbosity=0)
    call_command("ingest_telemetry", layout.path, out, verbosity=0, stdout=io.StringIO())
    page.get_by_role("link", name="The advice").click()
    page.get_by_role("button", name="Measure the gain").click()
    expect(page.locator(".page-head .state.done")).to_be_visible(timeout=120_000)
    expect(page.get_by_role("heading", name="Gain: as promised")).to_be_visible()
    figures = page.get_by_role("region", name="Measured beside promised").locator("tbody tr")
    expect(figures).to_have_count(2)
    looked_at(page, "gain")
    with page.expect_download() as saved:
        page.get_by_role("link", name="CSV").click()
    assert "as promised" in Path(saved.value.path()).read_text()
    page.get_by_role("link", name="The advice").click()
    looked_at(page, "advice-taken")
    page.get_by_role("button", name="Take back").click()
    expect(page.locator(".messages")).to_contain_text("no longer marked as taken on")


def test_an_odd_file_and_an_odd_question_are_refused_with_a_sentence(
    live_server, signed_in, solvable, readings, tmp_path
):
    page, site = signed_in, solvable.site
    upload = live_server.url + reverse("telemetry-upload", args=[site.slug])
    odd = tmp_path / "odd.csv"
    odd.write_text("when,what\n1,2\n")
    page.goto(upload)
    page.get_by_label("File", exact=True).set_input_files(odd)
    page.get_by_role("button", name="Read the file").click()
    expect(page.locator(".field.invalid")).to_contain_text("the first column is when")
    page.get_by_label("File", exact=True).set_input_files(readings)
    page.get_by_label("Time zone").fill("Nowhere/City")
    page.get_by_role("button", name="Read the file").click()
    expect(page.locator(".field.invalid")).to_contain_text("Nowhere/City is unknown")
    page.get_by_label("Time zone").fill("")
    page.get_by_label("File", exact=True).set_input_files(readings)
    page.get_by_role("button", name="Read the file").click()
    page.get_by_role("button", name="Drop the file").click()
    expect(page.locator(".messages")).to_contain_text("nothing of it is stored")
    page.get_by_role("link", name="Readings from a file").click()
    page.get_by_label("File", exact=True).set_input_files(readings)
    page.get_by_role("button", name="Read the file").click()
    page.get_by_role("button", name="Store the readings").click()
    page.get_by_label("Up to").fill("2020-07-01T00:00")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("end must come after start")
