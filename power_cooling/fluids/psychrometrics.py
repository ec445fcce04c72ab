"""Properties of moist air by the ideal-gas formulas of the ASHRAE Handbook.

Temperatures are dry-bulb degrees Celsius, humidity ratios kilograms of water per kilogram of dry air, enthalpies joules
per kilogram of dry air with zero at 0 °C dry air and liquid water. The `*_scalar` functions are the compiled cores that
other compiled solvers call; the public functions broadcast over arrays and check their arguments.

Below the triple point the saturation curve is the one over ice, as in the Handbook.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from power_cooling.compiled import broadcast, compiled
from power_cooling.false_position import NEITHER, between, narrowed
from power_cooling.site_facts.weather import STANDARD_PRESSURE_PA, standard_pressure_pa

FloatArray = NDArray[np.float64]

ZERO_CELSIUS_K = 273.15
TRIPLE_POINT_K = 273.16
MOLAR_MASS_RATIO = 0.621945  # water to dry air; ASHRAE Fundamentals 2017, ch. 1, eq. 20
DRY_AIR_GAS_CONSTANT_J_PER_KG_K = 287.042  # ASHRAE Fundamentals 2017, ch. 1, eq. 1
DRY_AIR_J_PER_KG_K, VAPOUR_J_PER_KG_K = 1006.0, 1860.0  # heat capacities: ASHRAE Fundamentals 2017, ch. 1, eq. 30
VAPORISATION_J_PER_KG = 2.501e6  # enthalpy of vapour at 0 °C, over liquid water: the same
LOWEST_HUMIDITY_RATIO = 1e-7  # keeps the dew point of bone-dry air finite

_TEMPERATURE_RANGE_DEGC = (-100.0, 200.0)  # of the saturation-pressure formulas


@compiled
def saturation_pressure_scalar(temperature_degc: float) -> float:
    """Saturation pressure [Pa]: ASHRAE Fundamentals 2017, ch. 1, eq. 5 (ice) and 6 (water)."""
    t = temperature_degc + 273.15
    if t <= 273.16:
        return math.exp(
            -5.6745359e3 / t
            + 6.3925247
            + t * (-9.677843e-3 + t * (6.2215701e-7 + t * (2.0747825e-9 - 9.484024e-13 * t)))
            + 4.1635019 * math.log(t)
        )
    return math.exp(
        -5.8002206e3 / t
        + 1.3914993
        + t * (-4.8640239e-2 + t * (4.1764768e-5 - 1.4452093e-8 * t))
        + 6.5459673 * math.log(t)
    )


@compiled
def saturation_pressure_log_slope_scalar(temperature_degc: float) -> float:
    """d ln(p_ws) / dT [1/K], the exact derivative of the formulas above."""
    t = temperature_degc + 273.15
    if t <= 273.16:
        return (
            5.6745359e3 / (t * t)
            - 9.677843e-3
            + t * (2.0 * 6.2215701e-7 + t * (3.0 * 2.0747825e-9 - 4.0 * 9.484024e-13 * t))
            + 4.1635019 / t
        )
    return 5.8002206e3 / (t * t) - 4.8640239e-2 + t * (2.0 * 4.1764768e-5 - 3.0 * 1.4452093e-8 * t) + 6.5459673 / t


@compiled
def humidity_ratio_scalar(vapour_pressure_pa: float, pressure_pa: float) -> float:
    """Humidity ratio [kg/kg] of air at a water-vapour pressure."""
    return max(MOLAR_MASS_RATIO * vapour_pressure_pa / (pressure_pa - vapour_pressure_pa), LOWEST_HUMIDITY_RATIO)


@compiled
def saturated_humidity_ratio_scalar(temperature_degc: float, pressure_pa: float) -> float:
    """Humidity ratio [kg/kg] of saturated air."""
    return humidity_ratio_scalar(saturation_pressure_scalar(temperature_degc), pressure_pa)


@compiled
def heat_capacity_scalar(humidity_ratio: float) -> float:
    """Heat capacity of moist air [J per kg dry air and K], the slope of its enthalpy."""
    return DRY_AIR_J_PER_KG_K + VAPOUR_J_PER_KG_K * humidity_ratio


@compiled
def enthalpy_scalar(dry_bulb_degc: float, humidity_ratio: float) -> float:
    """Enthalpy of moist air [J per kg dry air]: ASHRAE Fundamentals 2017, ch. 1, eq. 30."""
    return DRY_AIR_J_PER_KG_K * dry_bulb_degc + humidity_ratio * (
        VAPORISATION_J_PER_KG + VAPOUR_J_PER_KG_K * dry_bulb_degc
    )


@compiled
def saturated_enthalpy_scalar(temperature_degc: float, pressure_pa: float) -> float:
    """Enthalpy of saturated air [J per kg dry air]."""
    return enthalpy_scalar(temperature_degc, saturated_humidity_ratio_scalar(temperature_degc, pressure_pa))


@compiled
def _ratio_of_wet_bulb(dry_bulb_degc: float, wet_bulb_degc: float, pressure_pa: float) -> float:
    """Humidity ratio [kg/kg] by eq. 33 (water) and 35 (ice); below 0 where no air is dry enough for that wet bulb."""
    saturated = saturated_humidity_ratio_scalar(wet_bulb_degc, pressure_pa)
    sensible = DRY_AIR_J_PER_KG_K * (dry_bulb_degc - wet_bulb_degc)
    if wet_bulb_degc >= 0.0:
        return ((VAPORISATION_J_PER_KG - 2326.0 * wet_bulb_degc) * saturated - sensible) / (
            VAPORISATION_J_PER_KG + VAPOUR_J_PER_KG_K * dry_bulb_degc - 4186.0 * wet_bulb_degc
        )
    return ((2.83e6 - 240.0 * wet_bulb_degc) * saturated - sensible) / (
        2.83e6 + VAPOUR_J_PER_KG_K * dry_bulb_degc - 2100.0 * wet_bulb_degc
    )


@compiled
def humidity_ratio_from_wet_bulb_scalar(dry_bulb_degc: float, wet_bulb_degc: float, pressure_pa: float) -> float:
    """Humidity ratio [kg/kg]: ASHRAE Fundamentals 2017, ch. 1, eq. 33 (water) and 35 (ice)."""
    return max(_ratio_of_wet_bulb(dry_bulb_degc, wet_bulb_degc, pressure_pa), LOWEST_HUMIDITY_RATIO)


@compiled
def dew_point_scalar(humidity_ratio: float, pressure_pa: float) -> float:
    """Dew (or frost) point [°C]: Newton on ln p_ws, started from a Magnus inverse."""
    vapour_pa = (
        pressure_pa
        * max(humidity_ratio, LOWEST_HUMIDITY_RATIO)
        / (MOLAR_MASS_RATIO + max(humidity_ratio, LOWEST_HUMIDITY_RATIO))
    )
    target = math.log(vapour_pa)
    x = target - math.log(611.2)
    t = 243.12 * x / (17.62 - x)
    for _ in range(50):
        step = (math.log(saturation_pressure_scalar(t)) - target) / saturation_pressure_log_slope_scalar(t)
        t = min(max(t - step, -100.0), 200.0)
        if abs(step) < 1e-10:
            break
    return t


@compiled
def wet_bulb_scalar(dry_bulb_degc: float, humidity_ratio: float, pressure_pa: float) -> float:
    """Thermodynamic wet bulb [°C]: by false position between the dew point and the dry bulb."""
    low = dew_point_scalar(humidity_ratio, pressure_pa)
    high = dry_bulb_degc
    if low >= high:
        return high
    target = max(humidity_ratio, LOWEST_HUMIDITY_RATIO)
    # Unbounded below: held at the lowest ratio, bone-dry air would meet its target at the dew point, far too cold.
    f_low = _ratio_of_wet_bulb(dry_bulb_degc, low, pressure_pa) - target
    f_high = _ratio_of_wet_bulb(dry_bulb_degc, high, pressure_pa) - target
    bracket = (low, f_low, high, f_high, NEITHER)
    t = high
    for _ in range(100):
        t = between(bracket)
        f = _ratio_of_wet_bulb(dry_bulb_degc, t, pressure_pa) - target
        bracket = narrowed(bracket, t, f)
        if bracket[2] - bracket[0] < 1e-9 or abs(f) < 1e-13:
            break
    return t


@compiled
def _saturation_pressures(c: FloatArray, out: FloatArray) -> None:
    for i in range(out.size):
        out[i] = saturation_pressure_scalar(c[0, i])


@compiled
def _wet_bulbs(c: FloatArray, out: FloatArray) -> None:
    for i in range(out.size):
        out[i] = wet_bulb_scalar(c[0, i], c[1, i], c[2, i])


@compiled
def _dew_points(c: FloatArray, out: FloatArray) -> None:
    for i in range(out.size):
        out[i] = dew_point_scalar(c[0, i], c[1, i])


@compiled
def _humidity_ratios(c: FloatArray, out: FloatArray) -> None:
    for i in range(out.size):
        out[i] = humidity_ratio_from_wet_bulb_scalar(c[0, i], c[1, i], c[2, i])


def saturation_pressure_pa(temperature_degc: ArrayLike) -> FloatArray:
    """Return the saturation pressure of water vapour over water, or over ice below the triple point.

    Parameters
    ----------
    temperature_degc : array_like
        Temperature [°C], in [-100, 200].

    Returns
    -------
    ndarray
        Saturation pressure [Pa] [1]_.

    Raises
    ------
    ValueError
        If a temperature is outside the range of the formulas.

    References
    ----------
    .. [1] ASHRAE Handbook Fundamentals 2017, chapter 1, equations 5 and 6.
    """
    return broadcast(_saturation_pressures, _temperature("temperature_degc", temperature_degc))


def humidity_ratio_from_relative_humidity(
    dry_bulb_degc: ArrayLike, relative_humidity_frac: ArrayLike, pressure_pa: ArrayLike = STANDARD_PRESSURE_PA
) -> FloatArray:
    """Return the humidity ratio [kg/kg] of air at a dry bulb [°C], relative humidity [-] and pressure [Pa].

    Raises
    ------
    ValueError
        If the relative humidity is outside [0, 1], or the vapour pressure reaches the total pressure.
    """
    rh = np.asarray(relative_humidity_frac, dtype=float)
    bad = ~((rh >= 0) & (rh <= 1))
    if np.any(bad):
        raise ValueError(f"relative_humidity_frac is {_first(rh, bad)}; must be in [0, 1]")
    return humidity_ratio_from_vapour_pressure(rh * saturation_pressure_pa(dry_bulb_degc), pressure_pa)


def humidity_ratio_from_vapour_pressure(vapour_pressure_pa: ArrayLike, pressure_pa: ArrayLike) -> FloatArray:
    """Return the humidity ratio [kg/kg]: ASHRAE Fundamentals 2017, ch. 1, eq. 20.

    Raises
    ------
    ValueError
        If a vapour pressure is negative or not below the total pressure.
    """
    vapour = np.asarray(vapour_pressure_pa, dtype=float)
    total = _pressure(pressure_pa)
    bad = ~((vapour >= 0) & (vapour < total))
    if np.any(bad):
        raise ValueError(
            f"vapour pressure {_first(vapour, bad)} Pa must be at least 0 and below the air pressure "
            f"{_first(total, bad)} Pa"
        )
    return np.maximum(MOLAR_MASS_RATIO * vapour / (total - vapour), LOWEST_HUMIDITY_RATIO)


def humidity_ratio_from_wet_bulb(
    dry_bulb_degc: ArrayLike, wet_bulb_degc: ArrayLike, pressure_pa: ArrayLike = STANDARD_PRESSURE_PA
) -> FloatArray:
    """Return the humidity ratio [kg/kg]: ASHRAE Fundamentals 2017, ch. 1, eq. 33 and 35.

    Raises
    ------
    ValueError
        If a wet bulb is above its dry bulb.
    """
    dry = _temperature("dry_bulb_degc", dry_bulb_degc)
    wet = _temperature("wet_bulb_degc", wet_bulb_degc)
    # Weather files round both to 0.1 K, so fog may read a hair above saturation.
    bad = wet > dry + 0.11
    if np.any(bad):
        raise ValueError(f"wet bulb {_first(wet, bad)} °C is above dry bulb {_first(dry, bad)} °C")
    return broadcast(_humidity_ratios, dry, np.minimum(wet, dry), _pressure(pressure_pa))


def humidity_ratio_from_dew_point(dew_point_degc: ArrayLike, pressure_pa: ArrayLike) -> FloatArray:
    """Return the humidity ratio [kg/kg] of air with a dew point [°C] at a pressure [Pa]."""
    return humidity_ratio_from_vapour_pressure(saturation_pressure_pa(dew_point_degc), pressure_pa)


def saturated_humidity_ratio(temperature_degc: ArrayLike, pressure_pa: ArrayLike = STANDARD_PRESSURE_PA) -> FloatArray:
    """Return the humidity ratio [kg/kg] of saturated air at a temperature [°C] and pressure [Pa]."""
    return humidity_ratio_from_vapour_pressure(saturation_pressure_pa(temperature_degc), pressure_pa)


def vapour_pressure_pa(humidity_ratio: ArrayLike, pressure_pa: ArrayLike = STANDARD_PRESSURE_PA) -> FloatArray:
    """Return the water-vapour pressure [Pa] of air with a humidity ratio [kg/kg] at a pressure [Pa]."""
    ratio = _humidity_ratio(humidity_ratio)
    return _pressure(pressure_pa) * ratio / (MOLAR_MASS_RATIO + ratio)


def relative_humidity_frac(
    dry_bulb_degc: ArrayLike, humidity_ratio: ArrayLike, pressure_pa: ArrayLike = STANDARD_PRESSURE_PA
) -> FloatArray:
    """Return the relative humidity [-]; above 1 means the state is supersaturated and would fog."""
    return vapour_pressure_pa(humidity_ratio, pressure_pa) / saturation_pressure_pa(dry_bulb_degc)


def dew_point_degc(humidity_ratio: ArrayLike, pressure_pa: ArrayLike = STANDARD_PRESSURE_PA) -> FloatArray:
    """Return the dew point, or frost point below 0 °C, solved to 1e-10 K.

    Parameters
    ----------
    humidity_ratio : array_like
        Humidity ratio [kg/kg], at least 0 (taken as 1e-7 below that).
    pressure_pa : array_like
        Air pressure [Pa], above 0.

    Returns
    -------
    ndarray
        Dew point [°C].
    """
    return broadcast(_dew_points, _humidity_ratio(humidity_ratio), _pressure(pressure_pa))


def wet_bulb_degc(
    dry_bulb_degc: ArrayLike, humidity_ratio: ArrayLike, pressure_pa: ArrayLike = STANDARD_PRESSURE_PA
) -> FloatArray:
    """Return the thermodynamic wet bulb at the given pressure.

    Parameters
    ----------
    dry_bulb_degc : array_like
        Dry bulb [°C], in [-100, 200].
    humidity_ratio : array_like
        Humidity ratio [kg/kg], at least 0. A supersaturated state returns the dry bulb.
    pressure_pa : array_like
        Air pressure [Pa], above 0.

    Returns
    -------
    ndarray
        Wet bulb [°C], between dew point and dry bulb [1]_.

    References
    ----------
    .. [1] ASHRAE Handbook Fundamentals 2017, chapter 1, equations 33 and 35, solved for the wet bulb.
    """
    dry = _temperature("dry_bulb_degc", dry_bulb_degc)
    return broadcast(_wet_bulbs, dry, _humidity_ratio(humidity_ratio), _pressure(pressure_pa))


def enthalpy_j_per_kg(dry_bulb_degc: ArrayLike, humidity_ratio: ArrayLike) -> FloatArray:
    """Return the enthalpy of moist air [J per kg dry air]: ASHRAE Fundamentals 2017, ch. 1, eq. 30."""
    dry = np.asarray(dry_bulb_degc, dtype=float)
    vapour = VAPORISATION_J_PER_KG + VAPOUR_J_PER_KG_K * dry
    return DRY_AIR_J_PER_KG_K * dry + _humidity_ratio(humidity_ratio) * vapour


def specific_volume_m3_per_kg(
    dry_bulb_degc: ArrayLike, humidity_ratio: ArrayLike, pressure_pa: ArrayLike = STANDARD_PRESSURE_PA
) -> FloatArray:
    """Return the volume of moist air [m³ per kg dry air]: ASHRAE Fundamentals 2017, ch. 1, eq. 26."""
    kelvin = _temperature("dry_bulb_degc", dry_bulb_degc) + ZERO_CELSIUS_K
    ratio = _humidity_ratio(humidity_ratio)
    return DRY_AIR_GAS_CONSTANT_J_PER_KG_K * kelvin * (1 + 1.607858 * ratio) / _pressure(pressure_pa)


def density_kg_m3(
    dry_bulb_degc: ArrayLike, humidity_ratio: ArrayLike, pressure_pa: ArrayLike = STANDARD_PRESSURE_PA
) -> FloatArray:
    """Return the density of moist air [kg/m³], dry air and vapour together."""
    return (1 + _humidity_ratio(humidity_ratio)) / specific_volume_m3_per_kg(dry_bulb_degc, humidity_ratio, pressure_pa)


def heat_capacity_j_per_kg_k(humidity_ratio: ArrayLike) -> FloatArray:
    """Return the heat capacity of moist air [J per kg dry air and K], the slope of its enthalpy."""
    return DRY_AIR_J_PER_KG_K + VAPOUR_J_PER_KG_K * _humidity_ratio(humidity_ratio)


def pressure_at_elevation_pa(elevation_m: ArrayLike) -> FloatArray:
    """Return the standard-atmosphere pressure [Pa]: ASHRAE Fundamentals 2017, ch. 1, eq. 3 (-5,000 to 11,000 m)."""
    elevation = np.asarray(elevation_m, dtype=float)
    if np.any((elevation < -5000) | (elevation > 11000)):
        raise ValueError("elevation_m must be between -5000 and 11000")
    return standard_pressure_pa(elevation)


def _temperature(name: str, value: ArrayLike) -> FloatArray:
    array = np.asarray(value, dtype=float)
    low, high = _TEMPERATURE_RANGE_DEGC
    bad = ~((array >= low) & (array <= high))
    if np.any(bad):
        raise ValueError(f"{name} is {_first(array, bad)} °C; must be in [{low:g}, {high:g}]")
    return array


def _pressure(value: ArrayLike) -> FloatArray:
    array = np.asarray(value, dtype=float)
    bad = ~(array > 0)
    if np.any(bad):
        raise ValueError(f"pressure_pa is {_first(array, bad)} Pa; must be greater than 0")
    return array


def _humidity_ratio(value: ArrayLike) -> FloatArray:
    array = np.asarray(value, dtype=float)
    bad = ~(array >= 0)
    if np.any(bad):
        raise ValueError(f"humidity_ratio is {_first(array, bad)}; must be at least 0")
    return np.maximum(array, LOWEST_HUMIDITY_RATIO)


def _first(values: FloatArray, bad: NDArray[np.bool_]) -> float:
    return float(np.broadcast_to(values, bad.shape)[bad].flat[0])
