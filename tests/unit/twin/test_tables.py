import csv
import io

import numpy as np
import pytest

from tests.small_run import done_run, small_scenario
from twin.runs import tables


def test_text_that_a_spreadsheet_would_run_is_quoted_and_numbers_are_not():
    text = tables.as_csv(["a", "b", "c"], [["=SUM(A1)", "-3.5", -3.5], ["@x", "+1", "plain"]])
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[1:] == [["'=SUM(A1)", "-3.5", "-3.5"], ["'@x", "+1", "plain"]]


def test_arrays_become_rows_with_their_hour():
    header, rows = tables.columns({"pue": np.array([1.1, 1.2], np.float32)}, index="hour")
    assert header == ["hour", "pue"]
    assert list(rows) == [[0, "1.1"], [1, "1.2"]]


@pytest.mark.django_db
@pytest.mark.parametrize("name", list(tables.NAMES))
def test_every_table_of_a_finished_run_can_be_written(name):
    run = done_run(*small_scenario())
    header, rows = tables.rows(run, name)
    assert all(len(row) == len(header) for row in rows)


@pytest.mark.django_db
def test_figures_keep_full_precision_and_their_band():
    run = done_run(*small_scenario())
    rows = {row[0]: row for row in tables.rows(run, "figures")[1]}
    assert rows["output_tokens_per_s"][3:] == [1000.0, 900.0, 1100.0]
    assert rows["utilisation_frac"][2] == "fraction"
