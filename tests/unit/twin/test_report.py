"""A report says what the run says, and page, PDF and spreadsheet say the same."""

import io
import re
import time
from dataclasses import replace

import numpy as np
import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse
from openpyxl import load_workbook

from facility import services as facility_services
from facility.bill_of_materials import bill_of_materials
from facility.models import Membership
from tests.full_run import full_run
from tests.shipped import CATALOGUE, load_shipped
from tests.small_run import small_scenario
from twin.benchmarks.big_layout import big_layout
from twin.comparisons.verdict import runs_verdict
from twin.core.comparison.compare import compare
from twin.core.figures_of_merit import BY_NAME, FIGURES, HEADLINES
from twin.core.inputs.layout import AirUnitRow, FeatureRow
from twin.core.report.charts import levels_of
from twin.core.report.comparison import comparison_report, lettered
from twin.core.report.document import Report, cell_text
from twin.core.report.pdf import drawable, pdf
from twin.core.report.plan import plans
from twin.core.report.run import ReportedRun, failure_texts, run_report
from twin.core.report.xlsx import head_text, xlsx
from twin.core.results.details import AvailabilityNote
from twin.core.text.numbers import quantity_text
from twin.models import Run
from twin.runs.source import reported
from twin.views.comparisons import as_compared
from twin.views.report_html import html


@pytest.fixture
def run(db) -> Run:
    return full_run(*small_scenario())


@pytest.fixture
def told(run) -> ReportedRun:
    return reported(run)


@pytest.fixture
def report(told) -> Report:
    return run_report(told, made="2026-11-23 12:00 UTC")


def table(report: Report, name: str):
    return next(table for table in report.tables if table.name == name)


def test_the_cover_says_what_was_solved(report, run):
    facts = dict(report.facts)
    assert facts["Site"] == "Small"
    assert facts["Layout"] == "First, version 1, proposed"
    assert facts["Scenario"] == "Assistants"
    assert facts["Inputs"] == f"sha256 {run.inputs_sha256}"
    assert facts["Run"] == str(run.id)
    assert facts["Solver"] == "model test, digest abababababab"
    assert not report.warnings


def test_the_solver_is_named_in_full_and_in_the_spreadsheet_too(report, run):
    said = {row[0]: row[1] for row in table(report, "Solution").rows}
    assert (said["Model version"], said["Solver, sha256"]) == ("test", "ab" * 32)
    cells = [cell.value for row in load_workbook(io.BytesIO(xlsx(report)))["Solution"].iter_rows() for cell in row]
    assert "ab" * 32 in cells
    run.solver_digest = ""  # of a run that was made before solvers had one
    older = run_report(reported(run), made="today")
    assert dict(older.facts)["Solver"] == "unknown"
    assert {row[0]: row[1] for row in table(older, "Solution").rows}["Model version"] == "unknown"


def test_the_figures_are_the_runs(report, run):
    cards = {card.label: card for card in report.sections[0].cards}
    assert [f.label for f in HEADLINES] == list(cards)
    assert cards["Tokens per watt"].value == quantity_text(run.figures["tokens_per_joule"], "tok/J")
    assert cards["Output tokens"].band == "±\N{NARROW NO-BREAK SPACE}10\N{NARROW NO-BREAK SPACE}%"
    rows = {row[0]: row[1:5] for row in table(report, "Figures").rows}
    assert len(rows) == len(FIGURES)
    for figure in FIGURES:
        low, high = run.bands.get(figure.name) or (None, None)
        assert rows[figure.label] == [run.figures.get(figure.name), low, high, figure.unit]


@pytest.mark.parametrize(
    ("name", "key", "fields"),
    [
        ("Margins", "margins", ("object", "kind", "value", "unit")),
        ("Energy flow", "energy_flow", ("source", "target", "energy_j")),
        ("Failures", "failures", ("object", "capacity_frac", "lost_tokens_per_s", "message")),
        ("Findings", "findings", ("severity", "object_name", "rule", "message", "value", "limit", "unit")),
    ],
)
def test_the_tables_hold_what_the_run_kept(report, run, name, key, fields):
    assert table(report, name).rows == [[row.get(f) for f in fields] for row in run.details[key]]


def test_sessions_are_told_with_what_they_find_cached(report, run, planner):
    told = "Assistants <i>: 41.0 % of its prompts are found in the prefix cache; at most 2,150 sessions are under way"
    texts = [" ".join(text.split()) for section in report.sections for text in section.texts]
    assert any(text.startswith(told) for text in texts), texts
    page = planner.get(reverse("run-detail", args=[run.id])).content.decode()
    assert "of prompts found cached, at most" in page


def test_the_report_says_what_counts_as_an_interruption():
    lost = AvailabilityNote(
        lost_tokens_per_year=1e9, lost_tokens_p95_per_year=2e9, interruptions_per_year=0.02, mean_interruption_h=5.0
    )
    assert "Full capacity is interrupted 0.0200 times a year" in failure_texts(lost)[0]
    counted = failure_texts(replace(lost, interruption_frac=0.02))[0]
    assert f"assumed to be losses of {quantity_text(0.02, '%')} of capacity or more, come 0.0200 times" in counted


def test_limits_say_when_they_were_closest(report, run):
    rows = table(report, "Limits").rows
    assert [row[:5] for row in rows] == [
        [row[f] for f in ("object", "kind", "value", "limit", "unit")] for row in run.details["limits"]
    ]
    assert [row[5] for row in rows] == ["1 Jan 04:00", "1 Jan 00:00"]


def test_months_are_means_of_the_series(report):
    rows = table(report, "Months").rows
    assert [row[0] for row in rows][:2] == ["Jan", "Feb"]
    assert len(rows) == 12
    assert rows[0][3] == pytest.approx(1.1)


def test_the_bill_of_the_snapshot_is_the_bill_of_the_layout(report, run):
    bill = bill_of_materials(run.layout)
    rows = table(report, "Bill of materials").rows
    ours = {row[0]: (row[3], row[5], row[6], row[10]) for row in rows[:-1]}
    theirs = {i.product.name: (i.quantity, i.unit_price_usd, i.total_usd, i.price_confidence) for i in bill.items}
    assert ours == theirs
    assert rows[-1][6] == pytest.approx(bill.total_usd)


def test_a_layout_that_has_changed_since_is_said_first_and_the_snapshot_is_reported(run):
    rack = run.layout.halls.get().racks.first()
    rack.name = "Renamed"
    facility_services.part_save(part=rack)
    run.layout.refresh_from_db()
    report = run_report(reported(run), made="now")
    assert "version 1 was solved and is reported here, it is at version 2 now" in report.warnings[0]
    assert "Renamed" not in [row[0] for row in table(report, "Racks").rows]
    assert "changed since" in html(report)


def test_the_plan_has_every_rack_and_cdu_to_scale(told, report):
    section = next(section for section in report.sections if section.title == "Drawings")
    (plan,) = section.drawings
    floor = plan.shapes[0]
    hall = told.inputs.halls[0]
    scale = floor.width / hall.width_m
    assert floor.height == pytest.approx(hall.depth_m * scale)
    racks = [s for s in plan.shapes if getattr(s, "width", 0) == pytest.approx(0.6 * scale) and s.stroke == "#ffffff"]
    assert len(racks) == len(told.inputs.racks)
    assert [s.text for s in plan.shapes if getattr(s, "text", "") in ("1", "2")] == ["1", "2"]


def test_walls_and_air_units_are_on_the_plan(run):
    told = reported(run, drawn=False)
    hall = told.inputs.halls[0].id
    column = FeatureRow(id=1, name="Column", type="keep_out", hall_id=hall, x_m=1.0, y_m=1.0, width_m=0.5, depth_m=0.5)
    unit = AirUnitRow(id=1, name="CRAH", hall_id=hall, x_m=5.0, y_m=0.0, orientation_deg=180, width_m=2.4, depth_m=1.0)
    inputs = replace(told.inputs, features=(column,), air_units=(unit,))
    (plan,) = plans(inputs, told.racks)
    kept_out = [shape for shape in plan.shapes if getattr(shape, "hatched", False) and shape.fill == "#ffffff"]
    assert len(kept_out) == 1
    assert [shape.text for shape in plan.shapes if getattr(shape, "size", 0) == 6][0] == "A"


def test_values_that_read_the_same_have_one_colour():
    assert set(levels_of(np.array([102.1, 102.2, np.nan]), 17)[0]) == {8, -1}
    assert levels_of(np.array([10.0, 20.0]), 17)[0].tolist() == [0, 16]


def test_page_pdf_and_spreadsheet_say_the_same(report):
    page, book = html(report), load_workbook(io.BytesIO(xlsx(report)))
    assert book.sheetnames == ["Cover", *(t.name for t in report.tables)]
    for one in report.tables:
        sheet = book[one.name]
        assert [cell.value for cell in sheet[1]] == [head_text(column) for column in one.columns]
        assert sheet.max_row == len(one.rows) + 1
        for row, kept in zip(sheet.iter_rows(min_row=2, values_only=True), one.rows, strict=True):
            for cell, value in zip(row, kept, strict=True):
                if isinstance(value, int | float):
                    assert cell == pytest.approx(value, rel=1e-12)
        body = re.search(rf'<table data-name="{one.name}">(.*?)</table>', page, re.DOTALL)
        assert (body is not None) == bool(one.shown)
        if body:
            assert body.group(1).count("<tr>") == len(one.shown) + 1
    assert pdf(report).startswith(b"%PDF-")


def test_the_page_needs_nothing_else_and_escapes_names(report):
    page = html(report)
    assert not re.findall(r'(?:src|href)="(?!#)', page)
    assert "url(" not in page
    assert "<script" not in page
    assert "Assistants &lt;i&gt;" in page
    assert page.count("<svg") == sum(len(section.drawings) for section in report.sections) >= 5
    assert "● published" in page
    assert "◇ assumed by the model" in page


def test_the_spreadsheet_runs_no_formula(report):
    sheet = load_workbook(io.BytesIO(xlsx(report)))["Findings"]
    cell = next(cell for cell in sheet[2] if isinstance(cell.value, str) and cell.value.startswith("="))
    assert cell.data_type == "s"
    assert cell.quotePrefix


def test_units_stand_in_heads_and_fractions_say_so(report):
    book = load_workbook(io.BytesIO(xlsx(report)))
    assert "Mean power [W]" in [cell.value for cell in book["Racks"][1]]
    assert "Share [fraction]" in [cell.value for cell in book["Costs"][1]]
    assert "Energy a year [J]" in [cell.value for cell in book["Energy flow"][1]]


def test_years_are_dates_and_no_amounts(report):
    columns = [column for one in report.tables for column in one.columns if column.head == "Year"]
    assert [cell_text(year, column, "") for column, year in zip(columns, (2024, 2026), strict=True)] == ["2024", "2026"]


def test_the_pdf_has_words_for_signs_its_fonts_lack():
    assert drawable("A → B ●\N{NARROW NO-BREAK SPACE}5") == "A to B \N{NO-BREAK SPACE}5"
    assert drawable("Ångström, ≤ 5 °C, ±") == "Ångström, ≤ 5 °C, ±"
    assert drawable("札") == "?"


def test_a_comparison_reports_differences_winners_and_steps(run):
    copy = facility_services.layout_clone(layout=run.layout, name="Second")
    other = full_run(copy, run.scenario, tokens_per_joule=5.0)
    runs = [run, other]
    compared = compare([as_compared(one) for one in runs])
    judged = runs_verdict(runs, lettered(compared))
    report = comparison_report([reported(one) for one in runs], compared, judged, made="now")
    assert [name for name, _ in report.facts] == ["Verdict", "Run A", "Run B", "Report made"]
    assert any(row[0] == "Layout" for row in table(report, "Differences").rows)
    figures = {row[0]: row for row in table(report, "Figures").rows}
    assert figures["Tokens per watt"][1:5] == [4.0, 5.0, "tok/J", "B"]
    band = next(row for row in table(report, "Bands").rows if row[0] == "Output tokens")
    assert band[1] == "±\N{NARROW NO-BREAK SPACE}10\N{NARROW NO-BREAK SPACE}%"
    assert table(report, "Totals").rows[0][1] == pytest.approx(bill_of_materials(run.layout).total_usd)
    assert pdf(report).startswith(b"%PDF-")
    assert "Comparison" in html(report)
    assert len(load_workbook(io.BytesIO(xlsx(report))).sheetnames) == len(report.tables) + 1


def test_the_report_of_a_comparison_begins_with_its_verdict_in_every_form(run):
    copy = facility_services.layout_clone(layout=run.layout, name="Second")
    good = {"cost_per_million_good_tokens_usd": 0.5}
    first = full_run(run.layout, run.scenario, good_tokens_per_joule=4.0, **good)
    runs = [first, full_run(copy, run.scenario, good_tokens_per_joule=5.0, **good)]
    compared = compare([as_compared(one) for one in runs])
    judged = runs_verdict(runs, lettered(compared))
    report = comparison_report([reported(one) for one in runs], compared, judged, made="now")
    assert judged["winner"] == lettered(compared)[1]
    assert report.facts[0] == ("Verdict", judged["sentence"])
    assert report.sections[0].title == "Verdict"
    assert [row[:3] for row in table(report, "Ranking").rows] == [
        [1, judged["winner"], 5.0],
        [2, lettered(compared)[0], 4.0],
    ]
    difference = {row[0]: row for row in table(report, "Difference").rows}
    assert difference[BY_NAME["good_tokens_per_joule"].label][1] == pytest.approx(1.0)
    assert judged["sentence"] in html(report)
    book = load_workbook(io.BytesIO(xlsx(report)))
    assert book["Cover"]["B3"].value == judged["sentence"]
    assert {"Ranking", "Difference", "What would change it", "Verdict rests on"} <= {*book.sheetnames}
    assert pdf(report).startswith(b"%PDF-")


@pytest.fixture
def planner(client, run):
    user = get_user_model().objects.create_user("planner")
    Membership.objects.create(site=run.layout.site, user=user, role=Membership.Role.VIEWER)
    client.force_login(user)
    return client


@pytest.mark.parametrize(
    ("name", "kind"), [("run-report", "text/html"), ("run-report-pdf", "pdf"), ("run-report-xlsx", "sheet")]
)
def test_each_form_is_sent_to_who_may_see_the_site_only(planner, run, client, name, kind):
    address = reverse(name, args=[run.id])
    answer = planner.get(address, {"save": "1"})
    assert answer.status_code == 200
    assert kind in answer["Content-Type"]
    assert f"small-first-{str(run.id)[:8]}." in answer["Content-Disposition"]
    client.force_login(get_user_model().objects.create_user("stranger"))
    assert client.get(address).status_code == 404
    client.logout()
    assert client.get(address).status_code == 302


def test_the_page_links_to_the_other_forms_and_the_saved_file_to_nothing(planner, run):
    address = reverse("run-report", args=[run.id])
    assert reverse("run-report-pdf", args=[run.id]) in planner.get(address).content.decode()
    assert reverse("run-report-pdf", args=[run.id]) not in planner.get(address, {"save": "1"}).content.decode()


def test_a_run_that_has_not_ended_has_no_report(planner, run):
    open_run = Run.objects.create(layout=run.layout, scenario=run.scenario)
    assert planner.get(reverse("run-report", args=[open_run.id])).status_code == 404


@pytest.mark.parametrize("name", ["compare-report", "compare-report-pdf", "compare-report-xlsx"])
def test_a_comparison_is_reported_in_each_form(planner, run, name):
    other = full_run(run.layout, run.scenario)
    assert planner.get(reverse(name), {"runs": f"{run.id},{other.id}"}).status_code == 200
    assert planner.get(reverse(name), {"runs": str(run.id)}).status_code == 404
    assert planner.get(reverse(name)).status_code == 404


@pytest.mark.compiled
def test_a_thousand_racks_make_a_report_that_can_be_mailed(db, capsys):
    load_shipped(CATALOGUE)
    run = full_run(*big_layout(1000, n_classes=None))
    made = {}
    reported(run)  # the solver's first call may compile
    for name, make in (("html", html), ("pdf", pdf), ("xlsx", xlsx)):
        start = time.process_time()
        body = make(run_report(reported(run), made="now"))
        made[name] = (time.process_time() - start, len(body))
    with capsys.disabled():
        for name, (seconds, size) in made.items():
            print(f"\nreport of 1,000 racks as {name}: {seconds:.2f} CPU s, {size / 1e3:,.0f} kB", end="")  # noqa: T201
    assert all(size < 1_000_000 for _, size in made.values())


def test_the_runs_page_offers_each_form(planner, run):
    page = planner.get(reverse("run-detail", args=[run.id])).content.decode()
    for name in ("run-report", "run-report-pdf", "run-report-xlsx"):
        assert f'href="{reverse(name, args=[run.id])}"' in page
