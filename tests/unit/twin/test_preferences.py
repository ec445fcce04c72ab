"""What users choose: units of pages, reports and spreadsheets, and who is told that a run has ended."""

import io
import re
from html import unescape

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags
from openpyxl import load_workbook

from facility.models import Membership, Preferences
from power_cooling.site_facts.units import SI, US, shown_in
from tests.full_run import full_run
from tests.small_run import small_scenario
from twin.core.report.document import NUMBER, UNIT, Column, Report, Section, Table
from twin.core.report.xlsx import xlsx
from twin.core.text.numbers import GAP, delta_text, exact_text, quantity_text, size_text
from twin.models import Run
from twin.runs import jobs, notices
from twin.runs.tasks import run_mail

US_TEXTS = [
    (0.01, "m³/s", "600 l/min", "159 gpm"),
    (3.0, "m³/s of air", "3.00 m³/s", "6,360 cfm"),
    (20.0, "°C", "20.0 °C", "68.0 °F"),
    (10.0, "K", "10.0 K", "18.0 °F"),
    (3.048, "m", "3.05 m", "10.0 ft"),
    (2.5e6, "W", "2.50 MW", "2.50 MW"),
    (2.0, "$/m³", "$2.00 / m³", "$0.00757 / gal"),
]


@pytest.fixture
def scenario(db):
    return small_scenario()[1]


@pytest.fixture
def planner(client, scenario):
    user = get_user_model().objects.create_user("planner", email="planner@example.org", password="right-horse")
    Membership.objects.create(site=scenario.site, user=user, role=Membership.Role.PLANNER)
    client.force_login(user)
    return client


def choose(client: Client, **chosen: str) -> None:
    answer = client.post(reverse("account-preferences"), {"units": US} | chosen)
    assert answer.status_code == 302


@pytest.mark.parametrize(("value", "unit", "plain", "us"), US_TEXTS)
def test_a_quantity_is_shown_in_the_trades_unit_or_in_us_units(value, unit, plain, us):
    assert quantity_text(value, unit).replace(GAP, " ") == plain
    with shown_in(US):
        assert quantity_text(value, unit).replace(GAP, " ") == us
    assert exact_text(0.01, "m³/s") == "0.01 m³/s"


def test_a_difference_of_temperatures_counts_from_nowhere():
    with shown_in(US):
        assert delta_text(30.0, 20.0, "°C", "lower").replace(GAP, " ") == "+18.0 °F, worse"
    assert delta_text(30.0, 20.0, "°C", "lower").replace(GAP, " ") == "+10.0 K, worse"


def test_pages_speak_the_units_that_their_reader_chose_and_the_api_si(planner, scenario):
    layout = scenario.site.layouts.first()
    halls = reverse("part-list", args=[scenario.site.slug, layout.slug, "halls"])
    assert "ft<" not in planner.get(halls).content.decode()
    before = planner.get(f"/api/halls/?layout={layout.pk}").json()
    choose(planner)
    page = planner.get(halls).content.decode()
    assert f"{GAP}ft</span>" in page
    hall = layout.halls.first()
    form = planner.get(reverse("part-edit", args=[scenario.site.slug, layout.slug, "halls", hall.pk])).content.decode()
    assert "[ft]" in form
    assert planner.get(f"/api/halls/?layout={layout.pk}").json() == before
    other = Client()
    other.force_login(get_user_model().objects.get())  # takes the choice at sign-in
    assert f"{GAP}ft</span>" in other.get(halls).content.decode()


def test_lengths_on_the_floor_are_in_feet_for_who_chose_them(planner, scenario):
    layout = scenario.site.layouts.first()
    here = [scenario.site.slug, layout.slug]
    rack = layout.halls.get().racks.first()
    pages = [reverse("layout-detail", args=here), reverse("rack-detail", args=[*here, rack.pk])]

    def lengths(unit: str) -> list[list[str]]:
        texts = [unescape(strip_tags(planner.get(page).content.decode())) for page in pages]
        return [re.findall(rf"(?:×|x|y|aisle) ([0-9.]+ {unit})\b", text) for text in texts]

    assert all(lengths("m"))
    assert not any(lengths("ft"))
    choose(planner)
    assert all(lengths("ft"))
    assert not any(lengths("m"))
    assert size_text(21.6, 21) == "21.6 × 21 m"
    with shown_in(US):
        assert size_text(21.6, 21) == "70.9 × 68.9 ft"


def test_a_form_resaved_in_us_units_changes_nothing(planner, scenario):
    layout = scenario.site.layouts.first()
    choose(planner)
    hall = layout.halls.first()
    address = reverse("part-edit", args=[scenario.site.slug, layout.slug, "halls", hall.pk])
    before = type(hall).objects.filter(pk=hall.pk).values().get()
    form = planner.get(address).context["form"]
    values = {name: form[name].value() for name in form.fields}
    shown = {name: form[name].field.prepare_value(value) for name, value in values.items() if value is not None}
    assert planner.post(address, shown).status_code == 302
    assert type(hall).objects.filter(pk=hall.pk).values().get() == before


def test_a_spreadsheet_has_its_readers_units_in_the_heads():
    table = Table(
        "T",
        "T",
        (Column("Supply", NUMBER, "°C"), Column("Value", NUMBER, unit_from="Unit"), Column("Unit", UNIT)),
        [[20.0, 0.01, "m³/s"], [25.0, 0.5, "%"]],
    )
    report = Report("R", "", [], [Section("S", tables=[table])])

    def cells(system: str) -> list[list]:
        with shown_in(system):
            book = load_workbook(io.BytesIO(xlsx(report)))
        return [[cell.value for cell in row] for row in book["T"].rows]

    assert cells(SI) == [["Supply [°C]", "Value", "Unit"], [20, 0.01, "m³/s"], [25, 0.5, "fraction"]]
    us = cells(US)
    assert us[0] == ["Supply [°F]", "Value", "Unit"]
    assert us[1] == [pytest.approx(68.0), pytest.approx(158.503, rel=1e-4), "gpm"]
    assert us[2] == [pytest.approx(77.0), 0.5, "fraction"]


def awaited(client: Client, scenario) -> Run:
    layout = scenario.site.layouts.first()
    sent = client.post(reverse("run-create", args=[scenario.site.slug, layout.slug]), {"scenario": scenario.slug})
    assert sent.status_code == 302
    return Run.objects.latest("created_at")


def test_a_page_says_once_that_a_run_has_ended(planner, scenario):
    assert reverse("run-notices") not in planner.get(reverse("site-list")).content.decode()
    run = awaited(planner, scenario)
    assert f'hx-get="{reverse("run-notices")}"' in planner.get(reverse("site-list")).content.decode()
    waiting = planner.get(reverse("run-notices"))
    assert (waiting.status_code, waiting.content.decode().strip()) == (200, "")
    Run.objects.filter(pk=run.pk).update(status=Run.Status.FAILED, message="Nothing fits.", finished_at=run.created_at)
    told = planner.get(reverse("run-notices"))
    assert told.status_code == 286  # the last one: htmx asks no more
    assert reverse("run-detail", args=[run.pk]) in told.content.decode()
    assert planner.get(reverse("run-notices")).content.decode().strip() == ""
    assert reverse("run-notices") not in planner.get(reverse("site-list")).content.decode()


def test_the_page_of_the_run_itself_is_not_told_again(planner, scenario):
    run = awaited(planner, scenario)
    Run.objects.filter(pk=run.pk).update(status=Run.Status.CANCELLED, finished_at=run.created_at)
    here = {"HTTP_HX_REQUEST": "true", "HTTP_HX_CURRENT_URL": f"http://testserver/runs/{run.pk}/"}
    assert planner.get(reverse("run-notices"), **here).content.decode().strip() == ""


def test_an_address_that_is_none_tells_of_the_run_all_the_same(planner, scenario):
    run = awaited(planner, scenario)
    Run.objects.filter(pk=run.pk).update(status=Run.Status.CANCELLED, finished_at=run.created_at)
    here = {"HTTP_HX_REQUEST": "true", "HTTP_HX_CURRENT_URL": "http://[bad"}
    assert str(run.pk) in planner.get(reverse("run-notices"), **here).content.decode()


def test_whoever_may_no_longer_see_a_site_is_told_of_no_run_of_it(planner, scenario):
    run = awaited(planner, scenario)
    Run.objects.filter(pk=run.pk).update(status=Run.Status.CANCELLED, finished_at=run.created_at)
    Membership.objects.all().delete()
    told = planner.get(reverse("run-notices"))
    assert (told.status_code, told.content.decode().strip()) == (286, "")


@pytest.fixture
def mailing(planner, settings):
    settings.EMAIL_IS_SET, settings.EMAIL_HOST, settings.EMAIL_PORT = True, "127.0.0.1", 25
    settings.TWIN_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    choose(planner, mail_runs="on")
    return planner


def test_whoever_asked_for_it_is_mailed_when_a_run_ends(mailing, scenario):
    run = full_run(scenario.site.layouts.first(), scenario, good_tokens_per_joule=3.0)
    Run.objects.filter(pk=run.pk).update(created_by=get_user_model().objects.get())
    run_mail(str(run.pk))
    (sent,) = mail.outbox
    assert sent.to == ["planner@example.org"]
    assert f"http://testserver/runs/{run.pk}/" in sent.body
    assert "3.00 tok/J" in sent.body


def test_nobody_is_mailed_unasked_or_past_the_rules_for_calls(mailing, scenario, settings):
    run = full_run(scenario.site.layouts.first(), scenario)
    Run.objects.filter(pk=run.pk).update(created_by=get_user_model().objects.get())
    settings.TWIN_ALLOWED_NETWORKS = []
    assert notices.run_mail(run.pk) is False
    settings.TWIN_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    Preferences.objects.update(mail_runs=False)
    assert notices.run_mail(run.pk) is False
    assert mail.outbox == []


def test_the_end_of_a_run_wakes_the_mail_only_where_mail_is_set_up(
    planner, scenario, settings, monkeypatch, django_capture_on_commit_callbacks
):
    woken = []
    monkeypatch.setattr(jobs, "send", lambda *message: woken.append(message) or True)
    for is_set in (False, True):
        settings.EMAIL_IS_SET = is_set
        run = Run.objects.create(layout=scenario.site.layouts.first(), scenario=scenario, status=Run.Status.RUNNING)
        with django_capture_on_commit_callbacks(execute=True):
            jobs.move(Run, run.pk, to=Run.Status.FAILED, message="Nothing fits.")
    assert woken == [(jobs.RUN_MAIL, str(run.pk))]
