"""Numbers in German and English spelling: one meaning each, or a refusal that names both."""

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from facility.entry.number_entry import NumberField, NumberInput, WholeNumberField, number_read, readings, spelled


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1.234,5", 1234.5),
        ("1,234.5", 1234.5),
        ("0,6", 0.6),
        ("0.6", 0.6),
        ("12", 12),
        ("-3", -3),
        ("−3,5", -3.5),
        ("1.234.567", 1234567),
        ("1,234,567.25", 1234567.25),
        ("1 234,5", 1234.5),
        ("1’234.5", 1234.5),
        ("1\u202f234\u202f567", 1234567),
        ("0,125", 0.125),
        ("0.125", 0.125),
        (",5", 0.5),
        ("5,", 5),
        ("1234,567", 1234.567),
        ("1,2345", 1.2345),
        ("2.5e-5", 2.5e-5),
        ("1,5E3", 1500),
        (" 7 ", 7),
        ("+4", 4),
        ("000,600", 0.6),
    ],
)
def test_either_spelling_means_one_number(text, meant):
    assert readings(text) == [meant]
    assert number_read(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nan",
        "inf",
        "abc",
        "1.2.3",
        "1,23.4",
        "1.234.56",
        "1,234,5.6",
        "--1",
        "1e",
        "12 W",
        "1.234,5,6",
        "..",
        "1e999",
        "0x10",
        "١٢",
    ],
)
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ValidationError, match="Enter a number"):
        number_read(text)


@pytest.mark.parametrize("text", ["1,234", "1.234", "12,500", "-1.234"])
def test_two_readings_are_refused_with_both(text):
    with pytest.raises(ValidationError) as refusal:
        number_read(text)
    small, large = readings(text)
    assert f"could be {small:g} or {large:g}" in refusal.value.messages[0]


def test_the_refusal_says_how_to_write_each():
    with pytest.raises(ValidationError) as refusal:
        number_read("12,500")
    assert refusal.value.messages == ["“12,500” could be 12.5 or 12500. Write 12.5 or 12500."]


def test_the_range_and_whole_numbers_decide_between_readings():
    assert number_read("39,741", low=-90, high=90) == 39.741
    assert number_read("1,700", low=100) == 1700
    assert number_read("1.234", whole=True) == 1234
    assert number_read("2,000", whole=True, low=1) == 2000


def test_fields_read_numbers_and_refuse_halves_of_things():
    assert NumberField().clean("1.234,5") == 1234.5
    assert WholeNumberField().clean("12") == 12
    assert WholeNumberField().clean("12.000") == 12000
    assert NumberField(required=False).clean("") is None
    assert NumberField().clean(2.5) == 2.5
    with pytest.raises(ValidationError, match="whole number"):
        WholeNumberField().clean("1,5")
    with pytest.raises(ValidationError, match="less than or equal to 90"):
        NumberField(max_value=90).clean("91,5")


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_a_standing_number_is_shown_with_one_reading_and_reads_back(value):
    assert readings(spelled(value)) == [value]


@given(st.floats(min_value=-1e12, max_value=1e12).map(lambda value: round(value, 3)))
def test_german_and_english_spellings_of_a_number_agree(value):
    english = f"{value:,.4f}"
    german = english.translate(str.maketrans(",.", ".,"))
    assert readings(english) == readings(german) == [value]


def test_the_input_keeps_what_was_typed_and_brings_up_a_number_keyboard():
    html = NumberInput().render("x", "1,2,3")
    assert 'value="1,2,3"' in html
    assert 'type="text"' in html
    assert 'inputmode="decimal"' in html
    assert 'value="1.2340"' in NumberInput().render("x", 1.234)
    assert 'value="10000000"' in NumberInput().render("x", 1e7)


def test_a_power_cap_in_an_address_is_read_likewise():
    from twin.views.serving import amount

    def watts(text):
        return amount(text, "power cap", "watts", 10)

    assert [watts(text) for text in ("", "1,200", "1.200", "700,5", "1.000,0")] == [None, 1200, 1200, 700.5, 1000]
    with pytest.raises(ValueError, match="must be a number of watts"):
        watts("a lot")
