"""Page and report draw the same bars, bands and maps: both from `twin.core.charts.geometry`."""

import re
from pathlib import Path

import numpy as np
import pytest

from twin.core.charts import geometry
from twin.core.charts import run as page
from twin.core.comparison.compare import waterfall
from twin.core.figures_of_merit import SERIES_BY_NAME
from twin.core.report import charts as report
from twin.core.report.shapes import CATEGORIES, Band, Cells, Rect, Text
from twin.core.results.details import FlowRow

FLOWS = [
    FlowRow("Grid", "Racks", 8e14),
    FlowRow("Grid", "Transformer losses", 1e14),
    FlowRow("Grid", "Chillers", 1e14),
    FlowRow("Racks", "Tokens", 6e14),
    FlowRow("Racks", "Idle and leakage", 2e14),
]
FALLS = {
    "from zero": waterfall({"a": 90.0, "b": 10.0}, {"a": 20.0, "b": 9.0}, "W"),
    "not from zero": waterfall({"a": 90.0, "b": 10.0}, {"a": 92.0, "b": 9.0}, "W"),
    "many steps": waterfall({str(i): 1.0 for i in range(15)}, {str(i): 2.0 + i for i in range(15)}, "W"),
}


@pytest.mark.parametrize("fall", FALLS.values(), ids=FALLS)
def test_a_waterfall_has_the_same_bars_on_page_and_in_the_report(fall):
    figure, drawing = page.waterfall(fall, "A", "B"), report.waterfall("W", fall, "A", "B")
    trace, axis = figure["data"][0], figure["layout"]["xaxis"]
    bars = [shape for shape in drawing.shapes if isinstance(shape, Rect)]
    assert [shape.text for shape in drawing.shapes if isinstance(shape, Text)][::2] == trace["hovertext"]
    ends = np.cumsum(np.array(trace["x"][:-1]))
    low, high = axis.get("range", [0.0, ends.max()])
    assert ("not from 0" in axis["title"]["text"]) == ("not from 0" in drawing.title) == ("range" in axis)
    length = (report.WIDTH - 170 - 85) / (high - low)
    assert bars[0].width == pytest.approx(length * (fall.start - low), rel=1e-3)
    assert bars[-1].width == pytest.approx(length * (fall.end - low), rel=1e-3)
    assert [bar.width for bar in bars[1:-1]] == pytest.approx([length * abs(x) for x in trace["x"][1:-1]], rel=1e-3)


def test_an_energy_flow_has_the_same_nodes_and_bands_on_page_and_in_the_report():
    sankey, drawing = page.energy_flow(FLOWS)["data"][0], report.energy_flow(FLOWS)
    nodes = [shape for shape in drawing.shapes if isinstance(shape, Rect)]
    bands = [shape for shape in drawing.shapes if isinstance(shape, Band)]
    assert [CATEGORIES[n - 1] for n in sankey["node"]["colours"]] == [node.fill for node in nodes]
    assert len(bands) == len(sankey["link"]["value"])
    thickness = np.array([band.thickness for band in bands]) / np.array(sankey["link"]["value"])
    assert np.ptp(thickness) < 1e-3 * thickness.mean()  # the page rounds to five digits
    names = [label.split("  ")[0] for label in sankey["node"]["label"]]
    assert names == ["Grid", "Racks", "Transformer losses", "Chillers", "Tokens", "Idle and leakage"]
    assert len({node.x for node in nodes}) == 3  # columns


def test_bands_leave_and_enter_within_their_nodes_and_nothing_overlaps():
    flow = geometry.energy_flow(FLOWS, 0.06)
    for i, node in enumerate(flow.nodes):
        for ends in ([b for b in flow.bands if b.source == i], [b for b in flow.bands if b.target == i]):
            assert sum(band.thickness for band in ends) <= node.height * (1 + 1e-9)
        below = [other.top for other in flow.nodes if other.column == node.column and other.top > node.top]
        assert node.top + node.height + 0.06 <= min(below, default=np.inf) + 1e-9
    assert max(node.top + node.height for node in flow.nodes) == pytest.approx(1.0)
    assert geometry.energy_flow([], 0.06) is None


@pytest.mark.parametrize("n_hours", [8760, 8784, 100])
def test_a_year_map_is_the_same_grid_on_page_and_in_the_report(n_hours):
    values = np.arange(n_hours, dtype=float) * 1e3
    chart = page.year_map(SERIES_BY_NAME["meter_power_w"], values)
    (cells,) = (s for s in report.year_map("Power", "W", values).shapes if isinstance(s, Cells))
    hours = np.array(chart["data"][0]["z"], dtype=float)
    level, _, _ = report.levels_of(hours[::-1], 16)
    assert np.abs(np.array(cells.levels) - level).max() <= 1  # the page rounds to four digits
    assert chart["layout"]["xaxis"]["tickvals"] == list(geometry.month_starts(n_hours))


def test_march_begins_a_day_later_in_a_leap_year():
    assert (geometry.month_starts(8760)[2], geometry.month_starts(8784)[2]) == (59, 60)
    assert [name for name, _ in geometry.month_spans(40 * 24)] == ["Jan", "Feb"]
    assert geometry.month_spans(40 * 24)[1][1] == slice(31 * 24, 40 * 24)


def test_the_reports_colours_are_the_pages_tokens():
    css = (Path(__file__).parents[3] / "static" / "css" / "tokens.css").read_text()
    light = dict(re.findall(r"--(cat-\d): (#[0-9a-f]{6});", css[: css.index("prefers-color-scheme: dark")]))
    assert tuple(light[f"cat-{n}"] for n in range(1, 9)) == CATEGORIES
