"""Fields of a serving case: what is taken, and the sentence by which everything else is refused."""

import pytest

from compute.calibration.case_fields import choice, count, known_name, missing, number


def test_a_number_is_read_within_its_bounds():
    assert number({"tokens": "1e3"}, "tokens", least=1.0) == 1000.0
    assert number({"tokens": "8"}, "tokens", whole=True) == 8.0


@pytest.mark.parametrize(
    ("written", "bounds", "message"),
    [
        ("", {}, "tokens is blank; give a number"),
        ("many", {}, "tokens is 'many'; must be a number"),
        ("0", {"least": 1.0}, "tokens is 0; must be 1 or more and finite"),
        ("0", {"above": 0.0}, "tokens is 0; must be greater than 0 and finite"),
        ("nan", {"least": 1.0}, "tokens is nan; must be 1 or more and finite"),
        ("inf", {"least": 1.0}, "tokens is inf; must be 1 or more and finite"),
        ("2e12", {"least": 1.0}, "tokens is 2e12; must be 1 or more and finite"),
        ("2.5", {"whole": True}, "tokens is 2.5; must be a whole number"),
    ],
)
def test_a_number_that_cannot_be_is_refused_with_its_column_and_what_is_allowed(written, bounds, message):
    with pytest.raises(ValueError, match=message):
        number({"tokens": written}, "tokens", **bounds)


def test_ranks_are_whole_and_none_means_one():
    assert count({}, "tp") is None
    assert count({"tp": ""}, "tp") is None
    assert count({"tp": "0"}, "tp") == 1
    assert count({"tp": "8"}, "tp") == 8
    with pytest.raises(ValueError, match="tp is -1; must be 0 or more"):
        count({"tp": "-1"}, "tp")


def test_a_word_is_one_of_those_allowed_in_any_case():
    assert choice({"engine": "VLLM"}, "engine", ("vllm", "sglang"), "sglang") == "vllm"
    assert choice({}, "engine", ("vllm", "sglang"), "sglang") == "sglang"
    with pytest.raises(ValueError, match="engine is 'tgi'; must be one of vllm, sglang"):
        choice({"engine": "tgi"}, "engine", ("vllm", "sglang"), "sglang")


def test_a_name_is_one_of_the_catalogue():
    assert known_name({"model": "b"}, "model", {"b": 2}) == 2
    with pytest.raises(ValueError, match="model is blank; give one of the catalogue's"):
        known_name({}, "model", {"b": 2})
    with pytest.raises(ValueError, match="model 'c' is not in the catalogue; it has a, b"):
        known_name({"model": "c"}, "model", {"b": 2, "a": 1})


def test_a_blank_field_without_a_default_is_refused_by_name():
    with pytest.raises(ValueError, match="concurrency is blank; give a value"):
        missing("concurrency")
