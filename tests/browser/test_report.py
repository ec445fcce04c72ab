"""Handing over: the report of a run and of a comparison as page, PDF and spreadsheet, by a click each."""

import io
import time

import pytest
from django.urls import reverse
from openpyxl import load_workbook
from playwright.sync_api import expect

from tests.full_run import full_run

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    # pytest-base-url, which pytest-playwright brings, has not moved its fixture yet.
    pytest.mark.filterwarnings("ignore:Session-scoped fixtures defined as instance methods"),
]


@pytest.fixture
def runs(layout, scenario):
    copy = scenario.site.layouts.exclude(pk=layout.pk).get()
    return full_run(layout, scenario), full_run(copy, scenario, tokens_per_joule=5.0)


def saved(page, name: str, said: list[str], *, exact: bool = True):
    """Click a link that saves a file; return where it is, and note time and size."""
    start = time.monotonic()
    with page.expect_download() as download:
        page.get_by_role("link", name=name, exact=exact).click()
    path = download.value.path()
    said.append(
        f"{download.value.suggested_filename}: {time.monotonic() - start:.1f} s, {path.stat().st_size / 1e3:,.0f} kB"
    )
    return path


def test_a_run_is_handed_over_as_page_pdf_and_spreadsheet(live_server, signed_in, runs, capsys):
    page, said = signed_in, []
    page.goto(live_server.url + reverse("run-detail", args=[runs[0].id]))
    pdf = saved(page, "PDF", said)
    assert pdf.read_bytes().startswith(b"%PDF-")
    book = load_workbook(io.BytesIO(saved(page, "Spreadsheet", said).read_bytes()))
    assert {"Cover", "Figures", "Racks", "Bill of materials", "Assumptions"} <= set(book.sheetnames)
    page.get_by_role("link", name="Report", exact=True).click()
    expect(page.get_by_role("heading", name="GB200 hall")).to_be_visible()
    for part in ("Figures of merit", "Limits and margins", "Drawings", "Costs", "Assumptions"):
        expect(page.get_by_role("heading", name=part, exact=True)).to_be_visible()
    expect(page.get_by_role("img", name="Plan of Hall to scale")).to_be_visible()
    whole = saved(page, "Save this page as one file", said)
    with capsys.disabled():
        print("\n" + "\n".join(said))  # noqa: T201
    file = page.context.new_page()
    asked = []
    file.on("request", lambda request: asked.append(request.url))
    file.goto(whole.rename(whole.with_suffix(".html")).as_uri())
    expect(file.get_by_role("heading", name="GB200 hall")).to_be_visible()
    assert len(asked) == 1, f"the file asks for {asked[1:]}"
    file.set_viewport_size({"width": 390, "height": 844})
    assert file.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_comparison_is_handed_over_likewise(live_server, signed_in, runs, capsys):
    page, said = signed_in, []
    query = f"?runs={runs[0].id},{runs[1].id}"
    page.goto(live_server.url + reverse("compare-report") + query)
    expect(page.get_by_role("heading", name="Assumptions that differ")).to_be_visible()
    assert saved(page, "PDF", said).read_bytes().startswith(b"%PDF-")
    book = load_workbook(io.BytesIO(saved(page, "Spreadsheet", said).read_bytes()))
    assert [cell.value for cell in book["Figures"][1]][1:3] == [
        "A: GB200 hall, Assistants",
        "B: GB300 hall, Assistants",
    ]
    with capsys.disabled():
        print("\n" + "\n".join(said))  # noqa: T201
