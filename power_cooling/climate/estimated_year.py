"""A year of hourly weather made from a place's published monthly normals and design conditions.

Months keep their mean dry bulb and dew point, the year its design dry bulbs, dew points and wet bulbs. In between are
days that hang together (each on the one before), a published shape of the day, and noise from hour to hour.
`docs/model/weather.md` has the method, its sources, and how far ten real years were met.
"""

from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import ndtri

from power_cooling.fluids.psychrometrics import (
    dew_point_degc,
    humidity_ratio_from_dew_point,
    humidity_ratio_from_wet_bulb,
    pressure_at_elevation_pa,
    relative_humidity_frac,
    wet_bulb_degc,
)
from power_cooling.site_facts.calendar import COMMON_HOURS, DAYS_OF_MONTHS

FloatArray = NDArray[np.float64]

#: Fraction of the day's range below its maximum at solar hours 1 to 24: ASHRAE Fundamentals 2009, ch. 14, table 6.
BELOW_MAXIMUM = np.array(
    [0.88, 0.92, 0.95, 0.98, 1.0, 0.98, 0.91, 0.74, 0.55, 0.38, 0.23, 0.13]
    + [0.05, 0.0, 0.0, 0.06, 0.14, 0.24, 0.39, 0.50, 0.59, 0.68, 0.75, 0.82]
)
#: Least squares over the 120 station-months of ten real years. Correlation of a day's dew point with its dry bulb: of
#: 1, the month's depression (dry bulb less dew point), its dew point and the sigma of its days' dry bulb. Sigma of the
#: day's dew point [K]: of that sigma, the product of it and the depression, and the depression.
DEW_FOLLOWS, DEW_FOLLOWS_RANGE = (0.82, -0.045, -0.013, 0.048), (-0.6, 0.98)
DEW_SIGMA, LEAST_DEW_SIGMA_K = (1.19, -0.050, 0.161), 0.5
OUTBREAK_FROM = 0.5  # sigmas below its season from which a cold day is of polar air, whose dew point falls as it does
ASSUMED_DAY_TO_DAY = 0.7  # correlation of a day's mean with the next day's: 0.56 to 0.79 in the same years
ASSUMED_RANGE_TO_RANGE = 0.3  # the same of the day's range
ASSUMED_DRY_SWINGS_FRAC = 0.35  # dry days swing more: correlation of range and dew point, turned round, 0 to 0.6 there
ASSUMED_HOUR_TO_HOUR = 0.85  # of what is neither the day's mean nor its shape
ASSUMED_HOUR_SIGMA_K, ASSUMED_DEW_HOUR_SIGMA_K = 0.7, 1.2
ASSUMED_RANGE_SPREAD_FRAC, LEAST_RANGE_FRAC = 0.2, 0.15  # clouds and wind: 0.23 to 0.52 with the noise
FIRST_SIGMA_K = 3.0  # of days where no design condition says what it is
SIGMA_RANGE = (0.2, 12.0)
TAIL_FRAC = 0.12  # of the hours at each end, in which quantiles are moved to the design conditions
WET_TAIL_FROM = 0.8  # wet bulbs are moved above this quantile: nothing is published of the low ones
N_DRAWS = 5
N_PASSES = 12  # of each of the fixed points below; means and quantiles stand still to 0.01 K after eight
SIGMA_EXCEEDED = (0.99, 0.01)  # fractions that say how far cold and warm days lie apart

MONTH = np.repeat(np.arange(12), np.array(DAYS_OF_MONTHS) * 24)
HOURS_OF_MONTH = np.bincount(MONTH).astype(float)
MID_H = np.cumsum(HOURS_OF_MONTH) - HOURS_OF_MONTH / 2


@dataclass(frozen=True, slots=True)
class Normals:
    """What is published of a place's climate. Monthly values have shape (12,), January first.

    The design conditions say what a fraction of the year's hours exceeds [°C], as far as they are published.
    """

    latitude_deg: float
    longitude_deg: float
    utc_offset_h: float
    elevation_m: float
    dry_bulb_degc: FloatArray  # mean
    daily_range_k: FloatArray  # mean of the days' maximum less minimum
    dew_point_degc: FloatArray  # mean
    dry_bulb_exceeded_degc: dict[float, float] = field(default_factory=dict)
    dew_point_exceeded_degc: dict[float, float] = field(default_factory=dict)
    wet_bulb_exceeded_degc: dict[float, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("dry_bulb_degc", "daily_range_k", "dew_point_degc"):
            values = getattr(self, name)
            if np.shape(values) != (12,):
                raise ValueError(f"Normals.{name} has shape {np.shape(values)}; must be (12,), a value a month")
        if np.any(self.daily_range_k <= 0):
            raise ValueError(f"Normals.daily_range_k is {np.min(self.daily_range_k):g} K; must be greater than 0")
        if np.any(self.dew_point_degc > self.dry_bulb_degc):
            month = int(np.argmax(self.dew_point_degc - self.dry_bulb_degc))
            raise ValueError(
                f"Normals.dew_point_degc[{month}] is {self.dew_point_degc[month]:g} °C; must not be above the dry bulb "
                f"{self.dry_bulb_degc[month]:g} °C"
            )
        for name in ("dry_bulb_exceeded_degc", "dew_point_exceeded_degc", "wet_bulb_exceeded_degc"):
            rising = [degc for _, degc in sorted(getattr(self, name).items(), reverse=True)]
            if any(not 0 < fraction < 1 for fraction in getattr(self, name)) or rising != sorted(rising):
                raise ValueError(f"Normals.{name} is {getattr(self, name)}; must fall as fractions from 0 to 1 rise")


@dataclass(frozen=True, slots=True, eq=False)
class EstimatedYear:
    """Hours of a common year in the place's standard time. Every array has shape (8760,)."""

    dry_bulb_degc: FloatArray
    relative_humidity_frac: FloatArray
    pressure_pa: FloatArray


def estimated_year(normals: Normals, *, name: str) -> EstimatedYear:
    """Return a year that agrees with the normals; the same normals and name give the same year.

    Parameters
    ----------
    normals : Normals
        Published normals and design conditions.
    name : str
        Its CRC-32 seeds the draws.

    Returns
    -------
    EstimatedYear
        The most typical of `N_DRAWS`: its wet bulbs lie closest to those of all of them, as typical years are chosen
        among real ones (Finkelstein and Schafer, Biometrika 58, 1971). Pressure is the standard atmosphere's.
    """
    pressure = np.full(COMMON_HOURS, float(pressure_at_elevation_pa(normals.elevation_m)))
    drawn = [_drawn(normals, np.random.default_rng([crc32(name.encode()), i]), pressure) for i in range(N_DRAWS)]
    wet = np.array([np.sort(wet_bulb_degc(dry, ratio, pressure)) for dry, ratio in drawn])
    dry, ratio = drawn[int(np.argmin(np.abs(wet - wet.mean(axis=0)).mean(axis=1)))]
    humidity = relative_humidity_frac(dry, ratio, pressure)
    return EstimatedYear(dry, np.clip(humidity, 0.0, 1.0), pressure)


def _drawn(normals: Normals, rng: np.random.Generator, pressure: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the dry bulb and humidity ratio of one draw."""
    draws = _Draws(rng)
    dry = _dry_bulb(normals, draws)
    dew = _dew_point(normals, draws, dry, pressure)
    return dry, humidity_ratio_from_dew_point(dew, pressure)


def monthly_means(hours: FloatArray) -> FloatArray:
    """Return the means of a common year's months, shape (12,)."""
    return np.bincount(MONTH, hours) / HOURS_OF_MONTH


def mean_daily_ranges(hours: FloatArray) -> FloatArray:
    """Return each month's mean of the days' maximum less minimum, shape (12,)."""
    return np.bincount(MONTH[::24], np.ptp(hours.reshape(-1, 24), axis=1)) / np.array(DAYS_OF_MONTHS)


class _Draws:
    """Everything that chance decides, drawn once: unit normal, by hour."""

    def __init__(self, rng: np.random.Generator) -> None:
        n_days = COMMON_HOURS // 24
        day = _typical_months(_autoregressive(rng.standard_normal(n_days), ASSUMED_DAY_TO_DAY))
        own = _typical_months(_autoregressive(rng.standard_normal(n_days), ASSUMED_DAY_TO_DAY))
        dew = _typical_months(own - day * _of_month(own * day))  # what does not follow `day`
        self.day, self.dew_day = _unit(_between_noons(day)), _unit(_between_noons(dew))
        swing = _autoregressive(rng.standard_normal(n_days), ASSUMED_RANGE_TO_RANGE)
        swing = np.sqrt(1 - ASSUMED_DRY_SWINGS_FRAC**2) * swing - ASSUMED_DRY_SWINGS_FRAC * dew
        self.range = np.repeat(_typical_months(swing), 24)
        self.hour = _autoregressive(rng.standard_normal(COMMON_HOURS), ASSUMED_HOUR_TO_HOUR)
        self.dew_hour = _autoregressive(rng.standard_normal(COMMON_HOURS), ASSUMED_HOUR_TO_HOUR)


def _autoregressive(noise: FloatArray, step: float) -> FloatArray:
    """Return unit noise of which each value hangs on the one before, around the year and back."""
    driven = lfilter([np.sqrt(1 - step**2)], [1.0, -step], np.concatenate([noise, noise]))[noise.size :]
    return _unit(driven - driven.mean())


def _unit(values: FloatArray) -> FloatArray:
    return values / values.std()


def _typical_months(days: FloatArray) -> FloatArray:
    """Return days in the same order, with every month's taken from the middles of equal slices of the unit normal.

    A month of thirty days that hang together may by chance lie far from the sigma that it was drawn with.
    """
    typical = np.empty(days.size)
    for month, n in enumerate(DAYS_OF_MONTHS):
        of_month = np.flatnonzero(MONTH[::24] == month)
        typical[of_month[np.argsort(days[of_month])]] = ndtri((np.arange(n) + 0.5) / n)
    return typical


def _of_month(days: FloatArray) -> FloatArray:
    """Return each month's mean of daily values, at every day."""
    return (np.bincount(MONTH[::24], days) / np.array(DAYS_OF_MONTHS))[MONTH[::24]]


def _between_noons(days: FloatArray) -> FloatArray:
    """Return daily values by hour, on lines between the days' noons."""
    hours = (np.arange(COMMON_HOURS) + 0.5) / 24 - 0.5
    return np.interp(hours, np.arange(-1, days.size + 1), np.concatenate([days[-1:], days, days[:1]]))


def _through_the_year(monthly: FloatArray) -> FloatArray:
    """Return hours on lines between the months' middles whose monthly means are those given."""
    around = np.concatenate([MID_H[-1:] - COMMON_HOURS, MID_H, MID_H[:1] + COMMON_HOURS])
    at = np.arange(COMMON_HOURS) + 0.5
    turned = np.linalg.solve(_SHARES, monthly)
    return np.interp(at, around, np.concatenate([turned[-1:], turned, turned[:1]]))


def _shares() -> FloatArray:
    """Return what a line through 1 in one month and 0 in the others adds to each month's mean, shape (12, 12)."""
    around = np.concatenate([MID_H[-1:] - COMMON_HOURS, MID_H, MID_H[:1] + COMMON_HOURS])
    at = np.arange(COMMON_HOURS) + 0.5
    lines = [np.interp(at, around, np.concatenate([one[-1:], one, one[:1]])) for one in np.eye(12)]
    return np.array([monthly_means(line) for line in lines]).T


_SHARES = _shares()


def _shape_of_day(normals: Normals) -> FloatArray:
    """Return each hour's departure from the day's mean over the day's range; the shape is by solar time."""
    ahead_h = normals.utc_offset_h - normals.longitude_deg / 15
    solar_h = (np.arange(COMMON_HOURS) % 24 + 0.5 - ahead_h) % 24
    around = np.concatenate([BELOW_MAXIMUM[-1:], BELOW_MAXIMUM, BELOW_MAXIMUM[:1]])
    return float(BELOW_MAXIMUM.mean()) - np.interp(solar_h, np.arange(26), around)


class _Sigma:
    """The sigma of days by hour of the year: on a line by the season's mean, from the coldest to the warmest.

    Both ends are found so that the year's 99 % and 1 % values are the published ones.
    """

    def __init__(self, mean: FloatArray, exceeded: dict[float, float], first: float) -> None:
        self.base = np.array([mean.min(), mean.max()])
        self.coldness = _coldness(mean)
        self.ends = np.array([first, first])  # of the cold and of the warm season
        known = all(fraction in exceeded for fraction in SIGMA_EXCEEDED)
        self.due = np.array([exceeded[fraction] for fraction in SIGMA_EXCEEDED]) if known else None

    @property
    def by_hour(self) -> FloatArray:
        return self.ends[1] + (self.ends[0] - self.ends[1]) * self.coldness

    def adjust(self, hours: FloatArray) -> None:
        """Take the next ends, by how far the year's quantiles lie from its seasons' means and how far they should."""
        if self.due is not None:
            away = np.array([-1.0, 1.0])
            reached = np.quantile(hours, 1 - np.array(SIGMA_EXCEEDED))
            lie, should = (np.maximum(away * (ends - self.base), 0.1) for ends in (reached, self.due))
            self.ends = np.clip(self.ends * np.clip(should / lie, 0.6, 1.6), *SIGMA_RANGE)


def _coldness(mean: FloatArray) -> FloatArray:
    """Return 1 in the coldest season and 0 in the warmest."""
    return (mean.max() - mean) / max(float(np.ptp(mean)), 1e-6)


def _dry_bulb(normals: Normals, draws: _Draws) -> FloatArray:
    mean, exceeded = _through_the_year(normals.dry_bulb_degc), normals.dry_bulb_exceeded_degc
    shape = _shape_of_day(normals) * np.maximum(1 + ASSUMED_RANGE_SPREAD_FRAC * draws.range, LEAST_RANGE_FRAC)
    sigma = _Sigma(mean, exceeded, FIRST_SIGMA_K)
    range_k = normals.daily_range_k
    hours = mean
    for _ in range(N_PASSES):
        hours = (
            mean + _through_the_year(range_k) * shape + sigma.by_hour * draws.day + ASSUMED_HOUR_SIGMA_K * draws.hour
        )
        hours = hours + _through_the_year(normals.dry_bulb_degc - monthly_means(hours))
        range_k = np.clip(range_k * normals.daily_range_k / mean_daily_ranges(hours), 0.2, 60.0)
        sigma.adjust(hours)
    for _ in range(N_PASSES):
        hours = _moved_to(hours, exceeded)
        hours = hours + _through_the_year(normals.dry_bulb_degc - monthly_means(hours))
    return _centred(_moved_to(hours, exceeded), normals.dry_bulb_degc)


def _centred(hours: FloatArray, monthly: FloatArray) -> FloatArray:
    return hours + (monthly - monthly_means(hours))[MONTH]


def _moved_to(hours: FloatArray, exceeded: dict[float, float], from_frac: float = TAIL_FRAC) -> FloatArray:
    """Return hours whose quantiles are the given ones: moved by lines between these, and by nothing in the middle."""
    if not exceeded:
        return hours
    at = [1 - fraction for fraction in exceeded]
    off = np.array([*exceeded.values()]) - np.quantile(hours, at)
    anchors, moves = np.array([*at, from_frac, 1 - TAIL_FRAC]), np.array([*off, 0.0, 0.0])
    order = np.argsort(anchors)
    rank = np.empty(hours.size)
    rank[np.argsort(hours, kind="stable")] = (np.arange(hours.size) + 0.5) / hours.size
    return hours + np.interp(rank, anchors[order], moves[order])


def _dew_point(normals: Normals, draws: _Draws, dry: FloatArray, pressure: FloatArray) -> FloatArray:
    """Return the dew point, never above the dry bulb: it follows the days' dry bulb as far as it does in real years."""
    monthly, exceeded = normals.dew_point_degc, normals.dew_point_exceeded_degc
    mean, dry_mean = _through_the_year(monthly), _through_the_year(normals.dry_bulb_degc)
    noise, sigma_k = _dew_noise(draws, dry, mean, dry_mean)
    scale = _Sigma(mean, exceeded, 1.0)
    above = mean
    for _ in range(N_PASSES):
        above = mean + scale.by_hour * sigma_k * noise + ASSUMED_DEW_HOUR_SIGMA_K * draws.dew_hour
        for _ in range(3):
            above = above + _through_the_year(monthly - monthly_means(np.minimum(above, dry)))
        scale.adjust(np.minimum(above, dry))
    for _ in range(N_PASSES):
        dew = np.minimum(_moved_to(np.minimum(above, dry), exceeded), dry)
        dew = _with_wet_bulbs(dew, dry, pressure, normals.wet_bulb_exceeded_degc)
        above = dew + _through_the_year(monthly - monthly_means(np.minimum(dew, dry)))
    return np.minimum(above, dry)


def _dew_noise(draws: _Draws, dry: FloatArray, mean: FloatArray, dry_mean: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the unit departure of the days' dew point, and its sigma [K], by hour."""
    day = _between_noons((dry - dry_mean).reshape(-1, 24).mean(axis=1))
    day_sigma = np.sqrt(np.maximum(_through_the_year(monthly_means(day**2)), 0.01))
    depression = np.maximum(dry_mean - mean, 0.0)
    one, c, s = np.ones_like(mean), DEW_FOLLOWS, DEW_SIGMA
    follows = np.clip(c[0] * one + c[1] * depression + c[2] * mean + c[3] * day_sigma, *DEW_FOLLOWS_RANGE)
    sigma_k = np.maximum(s[0] * day_sigma + s[1] * day_sigma * depression + s[2] * depression, LEAST_DEW_SIGMA_K)
    outbreak = np.minimum(day / day_sigma + OUTBREAK_FROM, 0.0) * _coldness(dry_mean) * (1 - follows)
    return follows * day / day_sigma + outbreak + np.sqrt(1 - follows**2) * draws.dew_day, sigma_k


def _with_wet_bulbs(dew: FloatArray, dry: FloatArray, pressure: FloatArray, exceeded: dict[float, float]) -> FloatArray:
    """Return the dew point with the humid hours' wet bulbs moved to their design values."""
    if not exceeded:
        return dew
    wet = wet_bulb_degc(dry, humidity_ratio_from_dew_point(dew, pressure), pressure)
    due = np.minimum(_moved_to(wet, exceeded, WET_TAIL_FROM), dry)
    moved = np.abs(due - wet) > 1e-6
    ratio = humidity_ratio_from_wet_bulb(dry[moved], due[moved], pressure[moved])
    new = dew.copy()
    new[moved] = dew_point_degc(ratio, pressure[moved])
    return new
