"""Changing a layout by form, watching a run, and the plan under mouse and keyboard."""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from facility.models import Rack
from twin.models import Run
from twin.runs import jobs

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    # pytest-base-url, which pytest-playwright brings, has not moved its fixture yet.
    pytest.mark.filterwarnings("ignore:Session-scoped fixtures defined as instance methods"),
]


def test_a_running_run_shows_its_stage_and_can_be_cancelled(live_server, signed_in, scenario, layout, monkeypatch):
    monkeypatch.setattr(jobs, "ring", lambda kind, run_id: None)  # no worker takes it
    page = signed_in
    page.goto(live_server.url + reverse("layout-detail", args=[layout.site.slug, layout.slug]))
    page.get_by_role("button", name="Run year").click()
    expect(page.get_by_role("heading", name="Waiting for a worker")).to_be_visible()
    Run.objects.update(status=Run.Status.RUNNING, stage="cooling", progress_frac=0.4)
    expect(page.get_by_role("heading", name="Cooling")).to_be_visible()
    expect(page.locator("progress")).to_have_attribute("value", "0.4000")
    page.get_by_role("button", name="Cancel run").click()
    expect(page.get_by_role("heading", name="The run was cancelled")).to_be_visible()
    expect(page.get_by_role("button", name="Run it again")).to_be_visible()


def test_a_row_of_racks_is_added_and_seen_on_the_plan(live_server, signed_in, layout):
    page = signed_in
    here = [layout.site.slug, layout.slug]
    page.goto(live_server.url + reverse("part-list", args=[*here, "racks"]))
    page.get_by_role("link", name="Add a row of racks").click()
    page.get_by_label("Hall", exact=True).select_option(label="Hall")
    page.get_by_label("Row", exact=True).fill("C")
    page.get_by_label("Racks", exact=True).fill("5")
    page.get_by_label("x [m]").fill("2")
    page.get_by_label("y [m]").fill("4.5")
    page.get_by_role("button", name="Place racks").click()
    expect(page.locator(".field.invalid")).to_contain_text("overlaps")
    page.get_by_label("y [m]").fill("1")
    page.get_by_role("button", name="Place racks").click()
    expect(page.locator(".messages")).to_contain_text("5 racks placed, C-01 to C-05")
    expect(page.locator("svg.plan [data-n^='C-']")).to_have_count(5)


def test_two_people_cannot_lose_each_others_work(live_server, signed_in, layout):
    page = signed_in
    rack = Rack.objects.filter(hall__layout=layout).first()
    edit = live_server.url + reverse("part-edit", args=[layout.site.slug, layout.slug, "racks", rack.pk])
    page.goto(edit)
    other = page.context.new_page()
    other.goto(edit)
    other.get_by_label("Other power [kW]").fill("0.9")
    other.get_by_role("button", name="Save rack").click()
    page.get_by_label("Load share").fill("0.5")
    page.get_by_role("button", name="Save rack").click()
    expect(page.get_by_role("alert").first).to_contain_text("What you typed is still below")
    expect(page.get_by_label("Load share")).to_have_value("0.5")
    rack.refresh_from_db()
    assert (rack.other_power_w, rack.load_share) == (900, 1)


def test_racks_open_by_mouse_and_by_keyboard(live_server, signed_in, layout):
    page = signed_in
    page.goto(live_server.url + reverse("layout-detail", args=[layout.site.slug, layout.slug]))
    inspector = page.locator("#inspector")
    page.locator("svg.plan [data-n='B-00']").click()
    expect(inspector.get_by_role("heading", name="Rack B-00")).to_be_visible()
    expect(inspector).to_contain_text("132")
    page.locator("svg.plan").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("[data-readout]")).to_contain_text("B-01")
    page.keyboard.press("Enter")
    expect(inspector.get_by_role("heading", name="Rack B-01")).to_be_visible()
    page.keyboard.press("Escape")
    expect(inspector.get_by_role("heading")).to_have_count(0)
    page.get_by_label("coloured by").select_option("rated_power_w")
    expect(page.locator("#plan .legend")).to_contain_text("Rated power")
