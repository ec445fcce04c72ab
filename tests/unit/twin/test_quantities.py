from datetime import timedelta

import pytest

from twin.core.text.numbers import date_text, significant
from twin.templatetags.quantities import (
    band_text,
    delta_kind,
    delta_text,
    duration,
    exact_text,
    quantity,
    quantity_text,
)


def spaced(text: str) -> str:
    return text.replace("\N{NARROW NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (7_238_114.2, "W", "7.24 MW"),
        (999_900.0, "W", "1.00 MW"),
        (999.0, "W", "999 W"),
        (0.0, "W", "0 W"),
        (-1_250.0, "W", "-1.25 kW"),
        (1_312_000.0, "tok/s", "1.31 M tok/s"),
        (4.0213, "tok/J", "4.02 tok/J"),
        (0.18649, "$/M tok", "$0.186 / M tok"),
        (12_345_678.0, "$/year", "$12.3 M / year"),
        (-3_200.0, "$", "-$3.20 k"),
        (41.27, "°C", "41.3 °C"),
        (-5.0, "°C", "-5.00 °C"),
        (0.0123, "s", "12.3 ms"),
        (72.4, "s", "72.4 s"),
        (0.9341, "%", "93.4 %"),
        (0.99953, "%", "99.953 %"),
        (1.0, "%", "100 %"),
        (1.0, "", "1.00"),
        (3.6e9, "Wh", "1.00 MWh"),
        (1360.4, "kg", "1,360 kg"),
        (1.1234, "", "1.12"),
        (None, "W", "—"),
        (float("nan"), "W", "—"),
        (float("inf"), "W", "—"),
        ("7", "W", "—"),
    ],
)
def test_a_value_has_three_digits_a_prefix_and_a_unit(value, unit, text):
    assert spaced(quantity_text(value, unit)) == text


@pytest.mark.parametrize(
    ("value", "text"), [(9.996, "10.0"), (0.00012345, "0.000123"), (123_456.0, "123,000"), (0, "0")]
)
def test_rounding_never_adds_a_digit_or_an_exponent(value, text):
    assert significant(value) == text


def test_the_full_value_is_kept_for_hover_and_copy():
    html = quantity(7_238_114.2, "W")
    assert 'title="7238114.2 W"' in html
    assert 'value="7238114.2"' in html
    assert exact_text(0.934, "%") == "93.4 %"


def test_a_missing_value_is_a_dash_that_says_so():
    assert 'title="no value"' in quantity(None, "W")


@pytest.mark.parametrize(
    ("value", "reference", "unit", "better", "text"),
    [
        (4.31, 4.0, "tok/J", "higher", "+0.310 tok/J, better"),
        (4.0, 4.31, "tok/J", "higher", "-0.310 tok/J, worse"),
        (1.2, 1.3, "", "lower", "-0.100, better"),
        (0.95, 0.90, "%", "higher", "+5.00 pp, better"),
        (45.0, 40.0, "°C", "", "+5.00 K"),
        (5e6, 5e6, "W", "lower", "same"),
        (5.0001e6, 5e6, "W", "lower", "same"),
        (None, 5e6, "W", "lower", "—"),
    ],
)
def test_a_difference_has_a_sign_a_unit_and_a_word(value, reference, unit, better, text):
    assert spaced(delta_text(value, reference, unit, better)) == text


def test_the_style_of_a_difference_follows_its_word():
    assert delta_kind(4.3, 4.0, "higher") == "better"
    assert delta_kind(4.3, 4.0, "lower") == "worse"
    assert delta_kind(4.0, 4.0, "lower") == ""


@pytest.mark.parametrize(
    ("band", "value", "text"),
    [
        ([94.0, 106.0], 100.0, "± 6 %"),
        ([98.6, 101.4], 100.0, "± 1.4 %"),
        ([90.0, 130.0], 100.0, "-10 / +30 %"),
        ([100.0, 100.0], 100.0, "± 0 %"),
        ([99.955, 99.985], 99.97, "± 0.02 %"),  # of an availability, where hundredths count
        (None, 100.0, ""),
        ([90.0, 110.0], None, ""),
    ],
)
def test_a_band_is_relative_to_its_value(band, value, text):
    assert spaced(band_text(band, value)) == text


def test_a_time_span_is_said_in_seconds_or_minutes():
    assert spaced(duration(timedelta(seconds=4.21))) == "4.2 s"
    assert spaced(duration(timedelta(seconds=185))) == "3 min 05 s"
    assert duration(None) == "—"


def test_an_hour_of_the_year_is_a_date():
    assert date_text(4720, 8760) == "16 Jul 16:00"
    assert date_text(1416, 8784) == "29 Feb 00:00"
    assert date_text(1416, 8760) == "1 Mar 00:00"
