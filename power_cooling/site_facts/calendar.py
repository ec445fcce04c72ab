"""The year of hours that weather, demand and bills are kept in."""

HOURS_PER_YEAR = 8760.0  # of a common year: what rates and bills are stated for
S_PER_YEAR = HOURS_PER_YEAR * 3600.0
COMMON_HOURS, LEAP_HOURS = 8760, 8784  # rows of a year of weather
DAYS_OF_MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def days_of_months(n_hours: int) -> tuple[int, ...]:
    """Return the days of each month of a year of so many hours; one of more than 8,760 has a 29 February."""
    return tuple(n + (month == 1 and n_hours > COMMON_HOURS) for month, n in enumerate(DAYS_OF_MONTHS))
