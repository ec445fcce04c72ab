"""Charts and drawings of comparisons."""

from dataclasses import replace

import pytest

from tests.compared_runs import run
from twin.core.charts import comparison as charts
from twin.core.charts import run as run_charts
from twin.core.comparison.compare import waterfall
from twin.core.comparison.pareto import token_frontiers
from twin.core.comparison.plan_difference import CHANGED, MOVED, ONLY_B, SAME, Box, Difference, HallDifference, Thing
from twin.floor.plan_difference import drawn


def thing(name: str, x_m: float, y_m: float = 1.0) -> Thing:
    return Thing("rack", "Hall", name, {}, Box(x_m, y_m, 0.6, 1.2, 0))


def test_small_steps_are_drawn_on_an_axis_that_says_it_does_not_start_at_zero():
    figure = run_charts.waterfall(waterfall({"a": 90.0, "b": 10.0}, {"a": 92.0, "b": 9.0}, "W"), "A", "B")
    axis = figure["layout"]["xaxis"]
    assert axis["title"]["text"] == "[W], not from 0"
    assert axis["range"] == [97.0, 102.5]  # levels 100, 102, 101: one and a half spans of 2 below, a quarter above


def test_large_steps_keep_zero():
    figure = run_charts.waterfall(waterfall({"a": 90.0, "b": 10.0}, {"a": 20.0, "b": 9.0}, "W"), "A", "B")
    assert "range" not in figure["layout"]["xaxis"]


def test_bands_become_error_bars_and_efficient_runs_a_trace_of_their_own():
    a = run("A", tokens=1000.0, parts_w={"Accelerators": 1000.0}, usd={"Energy": 400.0})
    b = run("B", tokens=900.0, parts_w={"Accelerators": 2000.0}, usd={"Energy": 900.0})
    a = replace(a, bands={"output_tokens_per_s": [900.0, 1200.0], "mean_power_w": [950.0, 1050.0]})
    power = next(frontier for frontier in token_frontiers([a, b]) if frontier.unit == "W")
    efficient, beaten = charts.token_frontier(power)["data"]
    assert (efficient["text"], beaten["text"]) == (["A"], ["B"])
    assert efficient["error_y"]["array"] == [pytest.approx(0.2)]  # 200 tok/s on an axis of k tok/s
    assert efficient["error_y"]["arrayminus"] == [pytest.approx(0.1)]
    assert beaten["error_x"]["array"] == [0.0]


def test_every_state_has_its_own_sign_and_moved_racks_their_way():
    hall = HallDifference(
        "Hall",
        20.0,
        10.0,
        [
            Difference(SAME, thing("S", 1.0), thing("S", 1.0)),
            Difference(ONLY_B, None, thing("N", 3.0)),
            Difference(MOVED, thing("M", 5.0), thing("M", 7.0), (), (2.0, 0.0)),
            Difference(CHANGED, thing("<C>", 9.0), thing("<C>", 9.0), (("Product", "x", "y"),)),
        ],
    )
    drawing = drawn(hall)
    assert drawing.summary == "3 of 4 things on the floor differ"
    assert drawing.markup.count("<rect") == 5  # four and the ghost of the moved one
    for text in (">+<", ">→<", ">≠<", 'class="ghost"', 'd="M5.3 8.4L7.3 8.4"', "&lt;C&gt;, changed: Product: x → y"):
        assert text in drawing.markup
    assert "<C>" not in drawing.markup
