import json

import numpy as np
import pytest

from twin.core.charts import run as run_charts
from twin.core.comparison.compare import waterfall
from twin.core.figures_of_merit import SERIES_BY_NAME
from twin.core.results.details import CostItem, FlowRow

POWER = SERIES_BY_NAME["meter_power_w"]


def test_an_axis_takes_the_prefix_of_its_largest_value():
    factor, unit = run_charts.display_scale(np.array([1e3, 7.2e6]), "W")
    assert (factor, unit) == (1e-6, "MW")
    assert run_charts.display_scale(np.array([0.4, 0.9]), "%") == (100.0, "%")
    assert run_charts.display_scale(np.array([1.3e6]), "tok/s")[1] == "M tok/s"


@pytest.mark.parametrize("n_hours", [8760, 8784, 30])
def test_a_year_map_has_24_rows_of_days(n_hours):
    chart = run_charts.year_map(POWER, np.arange(n_hours) * 1e3)
    hours = chart["data"][0]["z"]
    assert len(hours) == 24
    assert {len(row) for row in hours} == {-(-n_hours // 24)}
    assert hours[5][0] == pytest.approx(5 * 1e3 / 10 ** (6 if n_hours > 1000 else 3))


def test_a_duration_curve_falls_from_the_most_to_the_least():
    values = np.random.default_rng(3).uniform(2e6, 8e6, 8760)
    curve = run_charts.duration(POWER, values)["data"][0]
    assert curve["x"][0] == 1
    assert curve["x"][-1] == 8760
    assert curve["y"] == sorted(curve["y"], reverse=True)
    # Four digits on the wire.
    assert curve["y"][0] == pytest.approx(values.max() / 1e6, rel=1e-3)
    assert len(curve["x"]) <= run_charts.N_DURATION_POINTS


def test_the_power_stack_adds_up_to_the_meter():
    parts = {
        "accelerator_power_w": 5e6,
        "heat_rejection_power_w": 1e5,
        "chiller_power_w": 0.0,
        "pump_power_w": 5e4,
        "air_unit_power_w": 1.5e5,
    }
    series = {name: np.full(8760, value) for name, value in parts.items()}
    series["it_power_w"] = np.full(8760, 6e6)
    series["meter_power_w"] = np.full(8760, 6e6 + 6e5)
    traces = run_charts.power_stack(series)["data"]
    assert sum(trace["y"][0] for trace in traces) == pytest.approx(6.6)
    assert "Chillers" not in [trace["name"] for trace in traces]  # nothing all year
    shares = run_charts.power_table(series)
    assert sum(row["share"] for row in shares[:-1]) == pytest.approx(1.0)


def test_the_energy_flow_names_each_node_with_its_energy_once():
    flows = [
        FlowRow("Grid", "IT", 3.6e15),
        FlowRow("Grid", "Electrical losses", 3.6e14),
        FlowRow("IT", "Accelerators", 3.6e15),
    ]
    sankey = run_charts.energy_flow(flows)["data"][0]
    assert [label.split("  ")[0] for label in sankey["node"]["label"]] == [
        "Grid",
        "IT",
        "Electrical losses",
        "Accelerators",
    ]
    assert sankey["node"]["label"][0].replace("\u202f", " ").endswith("1.10 TWh")
    assert sum(sankey["link"]["value"][:2]) == pytest.approx(1.1)
    assert run_charts.energy_flow([]) is None


def test_months_cover_the_year_and_a_leap_year():
    assert [month["mean"] for month in run_charts.months(np.ones(8760))] == [1.0] * 12
    leap = np.zeros(8784)
    leap[59 * 24 : 60 * 24] = 24.0  # 29 February
    assert run_charts.months(leap)[1]["most"] == 24.0
    assert run_charts.months(leap)[2]["most"] == 0.0


def test_small_steps_of_a_waterfall_are_gathered_and_the_sum_is_kept():
    fall = waterfall({f"part {i}": 1.0 for i in range(12)}, {f"part {i}": 2.0 + i for i in range(12)}, "W")
    chart = run_charts.waterfall(fall, "A", "B", n_steps=4)["data"][0]
    assert len(chart["x"]) == 7
    assert chart["x"][0] + sum(chart["x"][1:-1]) == pytest.approx(chart["x"][-1])


def test_long_names_of_costs_are_laid_in_lines_too():
    item = "Building, electrical and mechanical plant"
    bars = run_charts.costs([CostItem(item, 5e6)])["data"][0]
    assert (bars["y"], bars["hovertext"]) == (["Building, electrical<br>and mechanical plant"], [item])


def test_long_names_of_a_waterfall_are_laid_in_lines_that_a_phone_has_room_for():
    part = "Building, electrical and mechanical plant"
    figure = run_charts.waterfall(waterfall({part: 1.0}, {part: 2.0}, "W"), "A GB300 NVL72, 7 MW", "B")
    shown = ["A GB300 NVL72, 7 MW", "Building, electrical<br>and mechanical plant", "B"]
    assert figure["layout"]["yaxis"]["ticktext"] == shown
    assert figure["data"][0]["hovertext"][1] == part


def test_rounding_keeps_four_digits_and_turns_gaps_into_none():
    assert run_charts.rounded(np.array([1234567.0, 0.000123456, 0.0, np.nan, -98765.0])) == [
        1235000.0,
        0.0001235,
        0.0,
        None,
        -98760.0,
    ]


def test_charts_are_plain_json():
    chart = run_charts.year_map(POWER, np.arange(8760, dtype=np.float32))
    assert len(json.dumps(chart, allow_nan=False)) < 120_000
