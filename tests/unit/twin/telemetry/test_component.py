"""Plain tables of a component: which columns are found, which rows train, and what is refused by name."""

import numpy as np
import pytest

from twin.core.telemetry.calibrate import Estimate
from twin.core.telemetry.component import Answer, component_rows, parameter_row, training_rows
from twin.core.telemetry.tables import Table

N = 60
TIMES = tuple(f"2026-07-01T{i // 6:02}:{i % 6 * 10:02}:00Z" for i in range(N))


def table(**columns) -> Table:
    cells = {name: tuple(str(value) for value in values) for name, values in columns.items()}
    return Table("loop.csv", cells, N, 0)


def rows(given: Table, *, named=None, needed=("heat_w",), sense=None):
    called = {"heat_w": ("itpowerw", "loadw")}
    return component_rows(given, named or {}, ("heat_w", "flow_kg_s"), needed, sense or {}, called)


def test_columns_are_found_by_their_name_or_what_else_they_are_called():
    found = rows(table(Timestamp=TIMES, IT_Power_W=range(N), Other=range(N)))
    assert found.columns == {"time": "Timestamp", "heat_w": "IT_Power_W"}
    assert found.values["heat_w"].tolist() == list(range(N))
    assert np.all(np.diff(found.seconds) == 600.0)


def test_rows_are_put_in_the_order_of_time_and_doubled_times_count_once():
    times = (*reversed(TIMES[1:]), TIMES[1])
    found = rows(table(time=times, load=range(N)), named={"heat_w": "load"})
    assert np.all(np.diff(found.seconds) > 0)
    assert found.values["heat_w"].tolist() == list(range(N - 2, -1, -1))
    assert found.order.tolist() == list(range(N - 2, -1, -1))


def test_a_quantity_without_a_value_that_nobody_needs_is_left_out():
    found = rows(table(time=TIMES, heat_w=range(N), flow_kg_s=[""] * N))
    assert set(found.values) == {"heat_w"}


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"time": TIMES, "x": range(N)}, {}, "loop.csv: no column found for heat_w; it has time.*--columns heat_w=COL"),
        ({"heat_w": range(N)}, {}, "no column found for time"),
        ({"time": TIMES[:40] + ("",) * 20, "heat_w": range(N)}, {}, "40 rows have a time that can be read; 48 or more"),
        (
            {"time": TIMES, "heat_w": [*range(N - 1), -5]},
            {"sense": {"heat_w": (0.0, 1e9, "W")}},
            r"column heat_w, row 60: -5 W is outside 0 to 1e\+09 \(1 such rows\)",
        ),
        ({"time": TIMES, "heat_w": [""] * N}, {}, "column heat_w holds no value"),
    ],
)
def test_a_table_that_cannot_be_taken_is_refused_by_name(columns, options, message):
    with pytest.raises(ValueError, match=message):
        rows(table(**columns), **options)


def test_training_is_what_comes_before_a_time_or_a_share():
    found = rows(table(time=TIMES, heat_w=range(N)))
    assert training_rows(found, None, 0.25).sum() == 15
    assert training_rows(found, found.seconds[10], None).sum() == 10


@pytest.mark.parametrize(
    ("until", "frac", "message"),
    [
        (None, None, "say where training ends"),
        (1.0, 0.5, "say where training ends"),
        (None, 1.5, "--train-frac is 1.5; must be between 0 and 1"),
        (0.0, None, "loop.csv: 0 of 60 rows are for training; some must be left on either side"),
    ],
)
def test_training_that_leaves_nothing_is_refused(until, frac, message):
    with pytest.raises(ValueError, match=message):
        training_rows(rows(table(time=TIMES, heat_w=range(N))), until, frac)


def test_a_parameter_and_the_answer_are_listed_under_the_names_of_the_interface():
    estimate = Estimate("ua", "W/K", 9e3, 1e4, 8e3, 1.2e4, identifiable=True, reason="")
    row = parameter_row("cdu/1", estimate)
    assert (row["object"], row["parameter"], row["value"], row["unit"]) == ("cdu/1", "ua", 1e4, "W/K")
    assert (row["low"], row["high"], row["identifiable"], row["reason"]) == (8e3, 1.2e4, True, "")
    answer = Answer({"heat_w": {}}, [row], [], [], [], [], {"time": "t"}).as_json()
    assert set(answer) == {"scores", "parameters", "faults", "drifts", "coverage", "date_findings", "columns"}
