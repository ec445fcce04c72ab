"""Results as plain JSON: six digits written short, null where there is no number."""

import json

import numpy as np
import pytest

from twin.core.text.json_numbers import plain, plain_json, without_nan


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1 / 3, "0.333333"),
        (123456.789, "123457.0"),
        (1.5e-12, "1.5e-12"),
        (7.123456e15, "7123460000000000.0"),
        (0.0, "0.0"),
    ],
)
def test_numbers_have_six_significant_digits_and_are_written_short(value, written):
    assert json.dumps(plain(value)) == written
    assert json.dumps(plain(-value)) == f"-{written}"


def test_what_is_no_number_is_null_and_whole_numbers_and_words_stay():
    assert plain([[1.0, np.nan], [np.inf, 2.0]]) == [[1.0, None], [None, 2.0]]
    assert plain(np.array([1, 2])) == [1, 2]
    assert plain(np.array([True])) == [True]
    assert plain_json({"a": [np.nan, "x", 3, None, True], "b": np.array([0.1])}) == {
        "a": [None, "x", 3, None, True],
        "b": [0.1],
    }


def test_only_numbers_that_json_does_not_have_are_taken_out():
    assert without_nan({"a": (1.23456789, float("-inf")), "b": [{"c": float("nan")}]}) == {
        "a": [1.23456789, None],
        "b": [{"c": None}],
    }
