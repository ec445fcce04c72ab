"""What compared runs assume differently: only what differs, questions first, data of one product that changed."""

from dataclasses import replace

from tests.compared_runs import plain, run
from twin.core.comparison.assumptions import (
    ABSENT,
    DATA,
    GROUPS,
    PLACE,
    QUESTION,
    differing_assumptions,
    differing_questions,
)
from twin.core.results.details import run_details
from twin.core.text.json_rows import as_json

A = run("A", tokens=1000.0, parts_w={"Accelerators": 800.0}, usd={"Energy": 600.0})


def changed(part: str, **fields):
    """Return A with other fields of one part of its inputs."""
    return replace(A, inputs=replace(A.inputs, **{part: replace(getattr(A.inputs, part), **fields)}))


def with_data(value: float):
    """Return A with a datum of its rack's sheet."""
    row = {
        "object": "GB200",
        "field": "max_power_w",
        "value": value,
        "unit": "W",
        "source": "",
        "confidence": "entered",
    }
    return replace(A, details=run_details(as_json(A.details) | {"assumptions": [row]}))


def test_runs_alike_differ_in_nothing():
    assert differing_assumptions([A, A]) == []


def test_a_row_holds_the_text_of_each_run_and_questions_come_first():
    other = changed("site", grid_limit_w=2e7)
    other = replace(other, inputs=replace(other.inputs, scenario=replace(A.inputs.scenario, name="Agents")))
    rows = differing_assumptions([A, other])
    assert [row.group for row in rows] == sorted((row.group for row in rows), key=GROUPS.index)
    by_name = {(row.group, row.name): [plain(value) for value in row.values] for row in rows}
    assert by_name[PLACE, "Grid limit"] == ["10.0 MW", "20.0 MW"]
    assert [row.group for row in differing_questions(rows)] == [QUESTION]


def test_a_price_of_the_scenario_goes_before_that_of_the_region():
    (row,) = differing_assumptions([A, changed("scenario", electricity_usd_per_kwh=0.2)])
    assert (row.group, row.name) == (PLACE, "Electricity")
    assert [plain(value) for value in row.values] == ["$0.100 / kWh", "$0.200 / kWh"]


def test_data_of_one_product_that_changed_between_the_runs_is_named():
    (row,) = differing_assumptions([with_data(132e3), with_data(120e3)])
    assert row.group == DATA
    assert [plain(value) for value in row.values] == ["132 kW", "120 kW"]


def test_data_that_only_one_run_used_is_no_difference_of_the_catalogue():
    assert differing_assumptions([A, with_data(132e3)]) == []
    three = differing_assumptions([with_data(132e3), A, with_data(120e3)])
    assert [plain(value) for value in three[0].values] == ["132 kW", ABSENT, "120 kW"]
