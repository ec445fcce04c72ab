"""A report as PDF: text set in the fonts that come with reportlab, tables that break over pages, vector drawings."""

import io
import unicodedata
from collections.abc import Sequence
from functools import cache
from html import escape
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.pdfgen.pathobject import PDFPathObject
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    KeepTogether,
    NextPageTemplate,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
)
from reportlab.platypus import Table as Grid

from twin.core.report.document import MARK, Card, Column, Report, Section, Table
from twin.core.report.shapes import (
    BAD,
    FAINT,
    GRID,
    INK,
    Area,
    Band,
    Cells,
    Drawing,
    Line,
    Rect,
    Text,
    cell_runs,
    hatching,
)

REGULAR, BOLD = "Vera", "VeraBd"
MARGIN, SIZE, HEAD_SIZE, CELL_PAD = 16 * mm, 7.0, 6.8, 2.5
WIDTH = A4[0] - 2 * MARGIN
TABLE_START = 180.0  # room for the titles of section and table, a head, and a first row of six lines
TALLEST, LYING = 640.0, (A4[1] - 2 * MARGIN, A4[0] - MARGIN - 18 * mm - 24)  # what a drawing may take on its page
MOST_WIDE, LONGEST_NUMBER = 320.0, 96.0  # of a column; longer texts, also those in number columns, break into lines
#: Signs that Vera has no glyph for, as text that it has.
INSTEAD = {
    "\N{NARROW NO-BREAK SPACE}": "\N{NO-BREAK SPACE}",
    "→": "to",
    "←": "from",
    "₂": "2",
    "★": "*",
    "✎": "",
    "\N{THIN SPACE}": " ",
    "\N{NON-BREAKING HYPHEN}": "-",
    "●": "",
    "◐": "",
    "○": "",
    "◇": "",
}


@cache
def _fonts() -> frozenset[int]:
    """Register the fonts once; return the code points that they draw."""
    fonts = {name: TTFont(name, f"{name}.ttf") for name in (REGULAR, BOLD)}
    for font in fonts.values():
        pdfmetrics.registerFont(font)
    pdfmetrics.registerFontFamily(REGULAR, normal=REGULAR, bold=BOLD, italic=REGULAR, boldItalic=BOLD)
    return frozenset(fonts[REGULAR].face.charToGlyph)


def drawable(text: str) -> str:
    """Return a text in signs that the fonts have; a letter they lack loses its accents, or becomes a question mark."""
    known = _fonts()
    if all(ord(sign) in known for sign in text):
        return text
    return "".join(sign if ord(sign) in known else _instead(sign, known) for sign in text)


def _instead(sign: str, known: frozenset[int]) -> str:
    if sign in INSTEAD:
        return INSTEAD[sign]
    plain = [part for part in unicodedata.normalize("NFKD", sign) if ord(part) in known]
    return "".join(plain) or "?"


def undrawable(report: Report) -> set[str]:
    """Return the letters of a report's names that the PDF cannot show."""
    known = _fonts()
    texts = [report.title, report.subtitle, *(value for _, value in report.facts)]
    texts += [cell for table in report.tables for row in table.shown for cell in row if isinstance(cell, str)]
    return {sign for sign in set("".join(texts)) if ord(sign) not in known and _instead(sign, known) == "?"}


def pdf(report: Report) -> bytes:
    """Return a report as a PDF file."""
    _fonts()
    content = io.BytesIO()
    document = _Document(content, report)
    document.build(_story(report))
    return content.getvalue()


class _Document(BaseDocTemplate):
    """Pages with a foot, and an outline made of the sections."""

    def __init__(self, out: io.BytesIO, report: Report) -> None:
        super().__init__(
            out,
            pagesize=A4,
            leftMargin=MARGIN,
            rightMargin=MARGIN,
            topMargin=MARGIN,
            bottomMargin=18 * mm,
            title=drawable(f"{report.title}: {report.subtitle}"),
            author="AI-factory twin",
            pageCompression=1,
        )
        self.n_sections = 0
        self.foot = drawable(f"{report.title} · {report.subtitle}")
        for name, (width, height) in (("page", A4), ("wide", landscape(A4))):
            frame = Frame(MARGIN, 18 * mm, width - 2 * MARGIN, height - MARGIN - 18 * mm, 0, 0, 0, 0)
            template = PageTemplate(name, [frame], onPage=self.draw_foot, pagesize=(width, height))
            self.addPageTemplates(template)

    def draw_foot(self, canvas: Canvas, document: BaseDocTemplate) -> None:
        """Draw the line below a page: what the report is of, and the number of the page."""
        canvas.setFont(REGULAR, 7)
        canvas.setFillColor(HexColor(FAINT))
        canvas.drawString(MARGIN, 11 * mm, self.foot[:110])
        canvas.drawRightString(document.pageTemplate.pagesize[0] - MARGIN, 11 * mm, f"{canvas.getPageNumber()}")

    def afterFlowable(self, flowable: Flowable) -> None:  # noqa: N802 (reportlab's name)
        """Put a section's title into the outline."""
        if isinstance(flowable, Paragraph) and flowable.style is STYLES["section"]:
            self.n_sections += 1
            key = f"section-{self.n_sections}"
            self.canv.bookmarkPage(key)
            self.canv.addOutlineEntry(flowable.getPlainText(), key)


def _style(name: str, size: float, font: str = REGULAR, colour: str = INK, **more: Any) -> ParagraphStyle:
    return ParagraphStyle(name, fontName=font, fontSize=size, leading=size * 1.3, textColor=HexColor(colour), **more)


STYLES = {
    "title": _style("title", 24, BOLD, spaceAfter=2),
    "subtitle": _style("subtitle", 13, colour=FAINT, spaceAfter=14),
    "section": _style("section", 14, BOLD, spaceBefore=14, spaceAfter=4),
    "table": _style("table", 9, BOLD, spaceBefore=10, spaceAfter=3),
    "text": _style("text", 8.5, spaceAfter=4),
    "note": _style("note", 7, colour=FAINT, spaceBefore=2, spaceAfter=4),
    "warning": _style(
        "warning",
        9,
        BOLD,
        BAD,
        borderColor=HexColor(BAD),
        borderWidth=0.8,
        borderPadding=6,
        spaceBefore=6,
        spaceAfter=10,
    ),
    "cell": _style("cell", SIZE),
    "cell_right": _style("cell_right", SIZE, alignment=TA_RIGHT),
    "head": _style("head", HEAD_SIZE, BOLD, FAINT),
    "head_right": _style("head_right", HEAD_SIZE, BOLD, FAINT, alignment=TA_RIGHT),
    "card": _style("card", 15, BOLD),
    "small": _style("small", 7, colour=FAINT),
}


def _paragraph(text: str, style: str) -> Paragraph:
    return Paragraph(escape(drawable(text)), STYLES[style])


def _story(report: Report) -> list[Flowable]:
    warnings = list(report.warnings)
    if missing := undrawable(report):
        warnings.append(
            f"The fonts of this PDF lack {len(missing)} letters of the names here, shown as “?”; page and "
            "spreadsheet have them."
        )
    story: list[Flowable] = [
        Spacer(1, 60),
        _paragraph(report.title, "title"),
        _paragraph(report.subtitle, "subtitle"),
        *(_paragraph(text, "warning") for text in warnings),
    ]
    first, *rest = report.sections
    if first.cards:
        story += [_cards(first.cards), Spacer(1, 16)]
    facts = Table("Cover", "", (Column("What"), Column("Value")), [list(fact) for fact in report.facts])
    story += [_grid(facts, head=False), PageBreak()]
    for section in (first, *rest):
        story += _section(section, cards=section is not first)
    return story


def _section(section: Section, *, cards: bool) -> list[Flowable]:
    head: list[Flowable] = [_paragraph(section.title, "section"), *(_paragraph(text, "text") for text in section.texts)]
    if cards and section.cards:
        head.append(_cards(section.cards))
    upright = [[_paragraph(d.title, "table"), _Picture(d, WIDTH, TALLEST)] for d in section.drawings if not _lies(d)]
    story: list[Flowable] = []
    if upright:
        story = [KeepTogether([*head, *upright[0]]), *(KeepTogether(block) for block in upright[1:])]
        head = []
    story += _lying([d for d in section.drawings if _lies(d)])
    for table in section.tables:
        title = [*head, _paragraph(table.title, "table")]
        head = []
        body = _grid(table) if table.shown else _paragraph(table.empty if not table.rows else table.left_out, "note")
        story += [KeepTogether([*title, body])] if len(table.shown) < 12 else [CondPageBreak(TABLE_START), *title, body]
        story += [_paragraph(note, "note") for note in (table.note, table.left_out if table.shown else "") if note]
    return story + head


def _lies(drawing: Drawing) -> bool:
    """Return whether a drawing is so wide that its letters need a page turned to its side."""
    return drawing.width > 1.4 * WIDTH


def _lying(drawings: Sequence[Drawing]) -> list[Flowable]:
    """Return wide drawings, each on a page of its own."""
    if not drawings:
        return []
    story: list[Flowable] = [NextPageTemplate("wide")]
    for drawing in drawings:
        story += [PageBreak(), _paragraph(drawing.title, "table"), _Picture(drawing, *LYING)]
    return [*story, NextPageTemplate("page"), PageBreak()]


def _cards(cards: Sequence[Card]) -> Grid:
    cells: list[list[Paragraph] | str] = [
        [_paragraph(c.label, "small"), _paragraph(c.value, "card"), _paragraph(c.band or " ", "small")] for c in cards
    ]
    rows = [cells[i : i + 3] for i in range(0, len(cells), 3)]
    rows[-1] += [""] * (3 - len(rows[-1]))
    return Grid(
        rows,
        colWidths=[WIDTH / 3] * 3,
        style=[
            ("BOX", (0, 0), (-1, -1), 0.5, HexColor(GRID)),
            ("INNERGRID", (0, 0), (-1, -1), 0.5, HexColor(GRID)),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("TOPPADDING", (0, 0), (-1, -1), 6),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 7),
        ],
    )


def _grid(table: Table, *, head: bool = True) -> Grid:
    columns = [table.columns[i] for i in table.visible]
    texts = [[drawable(text) for text in row] for row in table.text_rows()]
    heads = [drawable(column.head) for column in columns]
    widths = _widths(columns, heads, texts)
    rows = [
        [_cell(text, column, width) for text, column, width in zip(row, columns, widths, strict=True)] for row in texts
    ]
    if head:
        rows.insert(
            0,
            [
                Paragraph(escape(text), STYLES["head_right" if column.is_number else "head"])
                for text, column in zip(heads, columns, strict=True)
            ],
        )
    numbers = [i for i, column in enumerate(columns) if column.is_number]
    return Grid(
        rows,
        colWidths=widths,
        repeatRows=int(head),
        hAlign="LEFT",
        style=[
            ("FONT", (0, 0), (-1, -1), REGULAR, SIZE),
            ("LEADING", (0, 0), (-1, -1), SIZE * 1.3),
            ("TEXTCOLOR", (0, 0), (-1, -1), HexColor(INK)),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, HexColor(GRID)),
            ("LEFTPADDING", (0, 0), (-1, -1), CELL_PAD),
            ("RIGHTPADDING", (0, 0), (-1, -1), CELL_PAD),
            ("TOPPADDING", (0, 0), (-1, -1), 1.8),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.2),
            *(("ALIGN", (i, 0), (i, -1), "RIGHT") for i in numbers),
        ],
    )


def _cell(text: str, column: Column, width: float) -> str | Flowable:
    """Return a cell: plain text where it fits on one line, which costs a tenth of a paragraph."""
    if column.kind == MARK:
        return _Mark(text)
    if pdfmetrics.stringWidth(text, REGULAR, SIZE) <= width - 2 * CELL_PAD:
        return text
    return Paragraph(escape(text), STYLES["cell_right" if column.is_number else "cell"])


def _widths(columns: Sequence[Column], heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[float]:
    """Return column widths that fill the page: numbers on one line, texts share what is left by their mean length."""
    wanted, least, usual = [], [], []
    for i, column in enumerate(columns):
        texts = [_short(row[i]) if column.kind == MARK else row[i] for row in rows]
        cells = [pdfmetrics.stringWidth(text, REGULAR, SIZE) for text in texts]
        word = max((pdfmetrics.stringWidth(w, BOLD, HEAD_SIZE) for w in heads[i].split()), default=0)
        mark = 11 if column.kind == MARK else 0
        widest = max([*cells, word]) + 2 * CELL_PAD + mark + 1
        wanted.append(min(widest, MOST_WIDE))
        usual.append(sum(cells) / max(len(cells), 1) + 1)
        whole = column.is_number or mark
        least.append(min(widest, LONGEST_NUMBER if whole else max(word, 42) + 2 * CELL_PAD))
    if sum(wanted) <= WIDTH:
        return wanted
    found, growing = list(least), set(range(len(columns)))
    while growing and WIDTH - sum(found) > 1:
        share = (WIDTH - sum(found)) / sum(usual[i] for i in growing)
        for i in growing:
            found[i] = min(found[i] + share * usual[i], wanted[i])
        growing = {i for i in growing if found[i] < wanted[i]}
    return [w * min(1.0, WIDTH / sum(found)) for w in found]


def _short(mark: str) -> str:
    """Return a mark's word as it is drawn: "assumed" of "assumed by the model"."""
    return mark.partition(" by ")[0]


class _Mark(Flowable):
    """How far a figure can be trusted: a drawn sign, told apart by shape, and its word."""

    def __init__(self, word: str) -> None:
        super().__init__()
        self.word, self.width, self.height = word, 0.0, SIZE * 1.3

    def wrap(self, width: float, _height: float) -> tuple[float, float]:
        self.width = width
        return width, self.height

    def draw(self) -> None:
        canvas, x, y, r = self.canv, 3.0, SIZE * 0.62, 2.4
        canvas.setStrokeColor(HexColor(INK))
        canvas.setFillColor(HexColor(INK))
        canvas.setLineWidth(0.7)
        first = self.word.split(" ")[0]
        if first == "published":
            canvas.circle(x, y, r, stroke=1, fill=1)
        elif first in ("derived", "estimated"):
            canvas.circle(x, y, r, stroke=1, fill=0)
            if first == "derived":
                canvas.wedge(x - r, y - r, x + r, y + r, 90, 180, stroke=0, fill=1)
        elif first == "assumed":
            _polygon(canvas, [(x, y - r), (x + r, y), (x, y + r), (x - r, y)], fill=0)
        elif first == "entered":
            _polygon(canvas, [(x - r, y - r), (x + r, y - r), (x, y + r)], fill=0)
        canvas.setFont(REGULAR, SIZE)
        canvas.drawString(9, SIZE * 0.35, _short(self.word))


def _polygon(canvas: Canvas, points: Sequence[tuple[float, float]], *, fill: int, stroke: int = 1) -> None:
    path = canvas.beginPath()
    path.moveTo(*points[0])
    for point in points[1:]:
        path.lineTo(*point)
    path.close()
    canvas.drawPath(path, stroke=stroke, fill=fill)


class _Picture(Flowable):
    """A drawing, made smaller where it is wider or higher than the page."""

    def __init__(self, drawing: Drawing, width: float, height: float) -> None:
        super().__init__()
        self.drawing = drawing
        self.scale = min(width / drawing.width, height / drawing.height, 1.3)

    def wrap(self, _width: float, _height: float) -> tuple[float, float]:
        return self.drawing.width * self.scale, self.drawing.height * self.scale

    def draw(self) -> None:
        canvas = self.canv
        canvas.scale(self.scale, self.scale)
        canvas.translate(0, self.drawing.height)
        for shape in self.drawing.shapes:
            _draw(canvas, shape)


def _draw(canvas: Canvas, shape: object) -> None:
    """Draw a shape; a drawing's y points down, a page's up."""
    match shape:
        case Rect():
            _draw_rect(canvas, shape)
        case Line():
            canvas.setStrokeColor(HexColor(shape.stroke))
            canvas.setLineWidth(shape.width)
            canvas.setDash(list(shape.dashes) if shape.dashes else [])
            path = canvas.beginPath()
            path.moveTo(shape.points[0][0], -shape.points[0][1])
            for x, y in shape.points[1:]:
                path.lineTo(x, -y)
            canvas.drawPath(path, stroke=1, fill=0)
            canvas.setDash()
        case Area():
            canvas.setFillColor(HexColor(shape.fill))
            _polygon(canvas, [(x, -y) for x, y in shape.points], fill=1, stroke=0)
        case Band():
            _draw_band(canvas, shape)
        case Text():
            canvas.setFillColor(HexColor(shape.fill))
            canvas.setFont(BOLD if shape.bold else REGULAR, shape.size * 0.92)  # Vera runs wider than system fonts
            put = {"end": canvas.drawRightString, "middle": canvas.drawCentredString}.get(
                shape.anchor, canvas.drawString
            )
            put(shape.x, -shape.y, drawable(shape.text))
        case Cells():
            _draw_cells(canvas, shape)


def _draw_rect(canvas: Canvas, rect: Rect) -> None:
    if rect.fill:
        canvas.setFillColor(HexColor(rect.fill))
    if rect.stroke:
        canvas.setStrokeColor(HexColor(rect.stroke))
        canvas.setLineWidth(rect.stroke_width)
    canvas.rect(rect.x, -rect.y - rect.height, rect.width, rect.height, int(bool(rect.stroke)), int(bool(rect.fill)))
    if rect.hatched:
        canvas.setStrokeColor(HexColor("#000000"))
        canvas.setLineWidth(0.6)
        canvas.lines([(x0, -y0, x1, -y1) for (x0, y0), (x1, y1) in hatching(rect)])


def _draw_band(canvas: Canvas, band: Band) -> None:
    middle, below = (band.x0 + band.x1) / 2, band.thickness
    path = canvas.beginPath()
    path.moveTo(band.x0, -band.y0)
    path.curveTo(middle, -band.y0, middle, -band.y1, band.x1, -band.y1)
    path.lineTo(band.x1, -band.y1 - below)
    path.curveTo(middle, -band.y1 - below, middle, -band.y0 - below, band.x0, -band.y0 - below)
    path.close()
    canvas.setFillColor(HexColor(band.fill))
    canvas.drawPath(path, stroke=0, fill=1)


def _draw_cells(canvas: Canvas, cells: Cells) -> None:
    paths: dict[int, PDFPathObject] = {}
    for row, levels in enumerate(cells.levels):
        y = -cells.y - (row + 1) * cells.cell_height
        for level, first, count in cell_runs(levels):
            path = paths.get(level) or paths.setdefault(level, canvas.beginPath())
            path.rect(cells.x + first * cells.cell_width, y, count * cells.cell_width, cells.cell_height)
    for level, path in paths.items():
        canvas.setFillColor(HexColor(cells.colours[level]))
        canvas.drawPath(path, stroke=0, fill=1)
