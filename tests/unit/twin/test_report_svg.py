"""A report's drawings as SVG: well-formed, named for readers who do not see them, nothing of a name unescaped."""

from xml.etree import ElementTree

import pytest

from twin.core.report.shapes import Area, Band, Cells, Drawing, Line, Rect, Text
from twin.core.report.svg import svg

DRAWING = Drawing("Flow", 200, 100, "Where <energy> goes")


def drawn(*shapes):
    """Return the elements of a drawing of some shapes, parsed."""
    drawing = Drawing(DRAWING.title, DRAWING.width, DRAWING.height, DRAWING.alt)
    drawing.add(*shapes)
    return list(ElementTree.fromstring(svg(drawing)))


def test_a_drawing_scales_and_says_what_it_shows():
    root = ElementTree.fromstring(svg(DRAWING))
    assert root.get("viewBox") == "0 0 200 100"
    assert root.get("role") == "img"
    assert root.get("aria-label") == "Where <energy> goes"


def test_text_is_escaped_and_stands_where_it_was_put():
    (text,) = drawn(Text(10, 20.128, "A <b> & c", anchor="end", bold=True))
    assert text.text == "A <b> & c"
    assert (text.get("x"), text.get("y"), text.get("text-anchor")) == ("10", "20.13", "end")
    assert text.get("font-weight") == "700"


def test_lines_areas_and_flows_go_through_their_points():
    line, area, band = drawn(
        Line(((0, 0), (10, 5)), dashes=(2, 1)), Area(((0, 0), (4, 0), (4, 4)), "#fff"), Band(0, 10, 20, 30, 5, "#000")
    )
    assert (line.get("d"), line.get("stroke-dasharray")) == ("M0 0L10 5", "2 1")
    assert area.get("d") == "M0 0L4 0L4 4Z"
    assert band.get("d") == "M0 10C10 10 10 30 20 30V35C10 35 10 15 0 15Z"


def test_an_overload_is_hatched_as_well_as_coloured():
    plain, *_ = drawn(Rect(0, 0, 6, 6, fill="#f00"))
    box, hatch = drawn(Rect(0, 0, 6, 6, stroke="#000", hatched=True))
    assert plain.get("fill") == "#f00"
    assert (box.get("fill"), box.get("stroke")) == ("none", "#000")
    assert hatch.get("d").count("M") == 4


def test_equal_neighbours_of_a_map_are_one_piece_and_empty_cells_none():
    (group,) = drawn(Cells(0, 0, 2, 1, [[0, 0, 1], [-1, 1, 1]], ("#a", "#b")))
    assert [(path.get("fill"), path.get("d")) for path in group] == [
        ("#a", "M0 0h2v1h-2z"),
        ("#b", "M2 0h1v1h-1zM1 1h2v1h-2z"),
    ]


def test_what_is_no_shape_is_refused_by_its_name():
    with pytest.raises(TypeError, match="int is no shape of a drawing"):
        drawn(5)
