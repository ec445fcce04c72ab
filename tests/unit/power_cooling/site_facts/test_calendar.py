"""The year of hours: its months, and who counts by them."""

import pytest

from facility.weather import calendar
from power_cooling.site_facts.calendar import COMMON_HOURS, LEAP_HOURS, S_PER_YEAR, days_of_months
from twin.core.charts.geometry import month_spans
from twin.core.text.numbers import date_text


def test_a_year_is_as_long_as_its_months():
    assert 24 * sum(days_of_months(LEAP_HOURS)) == LEAP_HOURS
    assert S_PER_YEAR == 31_536_000


@pytest.mark.parametrize("n_hours", [COMMON_HOURS, LEAP_HOURS])
def test_weather_charts_and_dates_begin_their_months_at_the_same_hour(n_hours):
    rows = calendar(n_hours)
    assert len(rows) == n_hours
    for number, (name, hours) in enumerate(month_spans(n_hours), 1):
        assert rows[hours.start] == (number, 1, 1)
        assert date_text(hours.start, n_hours) == f"1 {name} 00:00"
