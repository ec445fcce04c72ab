"""A report as one HTML file: styles and drawings inside, nothing asked of any server."""

from pathlib import Path

from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.utils.safestring import mark_safe

from power_cooling.site_facts.confidence import CONFIDENCES
from twin.core.report.document import MARK, Report, Table
from twin.core.report.svg import svg

SIGNS = {known.label: known.sign for known in CONFIDENCES.values()}


def html(report: Report, **links: str) -> str:
    """Return a report as a page; `links` are shown above it where they are given (`pdf`, `xlsx`, `saved`, `back`)."""
    sections = [
        {
            "section": section,
            "drawings": [(drawing.title, mark_safe(svg(drawing))) for drawing in section.drawings],
            "tables": [(table, table_rows(table)) for table in section.tables],
        }
        for section in report.sections
    ]
    style = mark_safe(Path(finders.find("css/report.css")).read_text(encoding="utf-8"))
    return render_to_string(
        "twin/report.html", {"report": report, "sections": sections, "style": style, "links": links}
    )


def table_rows(table: Table) -> list[list[tuple[str, bool]]]:
    """Return the shown cells as (text, stands right); marks have their sign before the word."""
    columns = [table.columns[i] for i in table.visible]
    return [
        [
            (f"{SIGNS.get(text, '')} {text}".strip() if column.kind == MARK else text, column.is_number)
            for text, column in zip(row, columns, strict=True)
        ]
        for row in table.text_rows()
    ]
