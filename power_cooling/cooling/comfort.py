"""How long people may work in a hot aisle: WBGT with the NIOSH limits, predicted heat strain, comfort votes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from power_cooling.cooling.heat_strain import (
    ASSUMED_CLOTHING_CLO,
    ASSUMED_METABOLIC_MET,
    HEAT_STRAIN_EDITION,
    WATTS_PER_M2_PER_MET,
    HeatStrain,
    HeatStrainEdition,
    predicted_heat_strain,
)
from power_cooling.fluids.psychrometrics import saturation_pressure_pa

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

BODY_SURFACE_M2 = 1.8
ASSUMED_AISLE_AIR_M_PER_S = 1.0  # of the servers' outlets, at arm's length


@dataclass(frozen=True, slots=True, eq=False)
class HotAisle:
    """What a hot aisle asks of people; arrays of the broadcast shape."""

    wbgt_degc: FloatArray
    alert_limit_degc: FloatArray  # NIOSH RAL, unacclimatised people
    exposure_limit_degc: FloatArray  # NIOSH REL, acclimatised people
    within_alert: BoolArray
    within_exposure: BoolArray
    strain: HeatStrain


def wet_bulb_globe_degc(
    natural_wet_bulb_degc: ArrayLike, globe_degc: ArrayLike, air_degc: ArrayLike | None = None
) -> FloatArray:
    """Return the wet-bulb globe temperature of ISO 7243.

    Parameters
    ----------
    natural_wet_bulb_degc, globe_degc : array_like
        Naturally ventilated wet bulb and black-globe temperature [°C].
    air_degc : array_like, optional
        Air temperature [°C]; given only in the sun, where it takes a share of the globe's weight.

    Returns
    -------
    ndarray
        WBGT [°C]: 0.7 T_nwb + 0.3 T_g indoors, 0.7 T_nwb + 0.2 T_g + 0.1 T_a in the sun.
    """
    wet = np.asarray(natural_wet_bulb_degc, dtype=float)
    globe = np.asarray(globe_degc, dtype=float)
    if air_degc is None:
        return 0.7 * wet + 0.3 * globe
    return 0.7 * wet + 0.2 * globe + 0.1 * np.asarray(air_degc, dtype=float)


def natural_wet_bulb_degc(
    air_degc: ArrayLike, radiant_degc: ArrayLike, air_m_per_s: ArrayLike, relative_humidity_frac: ArrayLike
) -> FloatArray:
    """Return the naturally ventilated wet bulb from the balance of convection, radiation and evaporation.

    Parameters
    ----------
    air_degc, radiant_degc : array_like
        Air and mean radiant temperature [°C].
    air_m_per_s : array_like
        Air speed at the bulb [m/s], above 0.
    relative_humidity_frac : array_like
        Relative humidity [-].

    Returns
    -------
    ndarray
        Natural wet bulb [°C]. In the moving air of a hot aisle it is close to the thermodynamic one [1]_.

    References
    ----------
    .. [1] ISO 7243:2017, annex D (after Malchaire, 1976).
    """
    air, radiant, speed, humid = np.broadcast_arrays(
        *(np.asarray(a, dtype=float) for a in (air_degc, radiant_degc, air_m_per_s, relative_humidity_frac))
    )
    if not np.all(speed > 0):
        raise ValueError("air_m_per_s must be greater than 0")
    vapour_kpa = humid * saturation_pressure_pa(air) / 1e3

    def balance(wet: FloatArray) -> FloatArray:
        radiation = 1e-8 * ((radiant + 273.0) ** 4 - (wet + 273.0) ** 4)
        evaporation = 77.1 * speed**0.421 * (saturation_pressure_pa(wet) / 1e3 - vapour_kpa)
        return 4.18 * speed**0.444 * (air - wet) + radiation - evaporation

    low = np.minimum(air, radiant) - 60.0
    high = np.maximum(air, radiant) + 1e-9
    for _ in range(60):
        mid = 0.5 * (low + high)
        gains = balance(mid) > 0
        low, high = np.where(gains, mid, low), np.where(gains, high, mid)
    return 0.5 * (low + high)


def recommended_alert_limit_degc(metabolic_w: ArrayLike) -> FloatArray:
    """Return NIOSH's recommended alert limit [°C WBGT] for unacclimatised people: 59.9 - 14.1 log10 M [W]."""
    return 59.9 - 14.1 * np.log10(_metabolic(metabolic_w))


def recommended_exposure_limit_degc(metabolic_w: ArrayLike) -> FloatArray:
    """Return NIOSH's recommended exposure limit [°C WBGT] for acclimatised people: 56.7 - 11.5 log10 M [W]."""
    return 56.7 - 11.5 * np.log10(_metabolic(metabolic_w))


def predicted_mean_vote(
    air_degc: ArrayLike,
    radiant_degc: ArrayLike,
    relative_air_m_per_s: ArrayLike,
    relative_humidity_frac: ArrayLike,
    *,
    metabolic_met: ArrayLike = 1.2,
    clothing_clo: ArrayLike = 0.6,
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Return the predicted mean vote, the share of dissatisfied [-] and where ISO 7730 holds.

    The vote is meant for offices and control rooms: above some 30 °C use heat strain instead; there the mask is false
    and the value is the formula's own.

    References
    ----------
    .. [1] ISO 7730:2005, annex D; limits: clause 4.
    """
    given = (air_degc, radiant_degc, relative_air_m_per_s, relative_humidity_frac, metabolic_met, clothing_clo)
    air, radiant, speed, humid, metabolic, clo = np.broadcast_arrays(*(np.asarray(a, dtype=float) for a in given))
    vapour_pa = 1000 * humid * np.exp(16.6536 - 4030.183 / (air + 235))
    work = metabolic * WATTS_PER_M2_PER_MET
    insulation = 0.155 * clo
    area = np.where(insulation <= 0.078, 1 + 1.29 * insulation, 1.05 + 0.645 * insulation)
    surface_k, convection = _vote_surface(air + 273, (radiant + 273) / 100, speed, work, insulation, area)
    through_skin = 3.05e-3 * (5733 - 6.99 * work - vapour_pa)
    sweat = 0.42 * np.maximum(work - WATTS_PER_M2_PER_MET, 0.0)
    breath = 1.7e-5 * work * (5867 - vapour_pa) + 0.0014 * work * (34 - air)
    radiation = 3.96 * area * ((surface_k / 100) ** 4 - ((radiant + 273) / 100) ** 4)
    lost = through_skin + sweat + breath + radiation + area * convection * (surface_k - 273 - air)
    vote = (0.303 * np.exp(-0.036 * work) + 0.028) * (work - lost)
    share = 1 - 0.95 * np.exp(-0.03353 * vote**4 - 0.2179 * vote**2)
    inside = np.ones(vote.shape, dtype=bool)
    for values, low, high in (
        (air, 10.0, 30.0),
        (radiant, 10.0, 40.0),
        (speed, 0.0, 1.0),
        (metabolic, 0.8, 4.0),
        (clo, 0.0, 2.0),
        (vapour_pa, 0.0, 2700.0),
        (vote, -2.0, 2.0),
    ):
        inside &= (values >= low) & (values <= high)
    return vote, share, inside


def _vote_surface(
    air_k: FloatArray,
    radiant_hundred_k: FloatArray,
    speed: FloatArray,
    work: FloatArray,
    insulation: FloatArray,
    area: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return the clothes' surface [K] and the convection from it [W/(m² K)]: ISO 7730, annex D."""
    forced = 12.1 * np.sqrt(speed)
    through = insulation * area
    rest = 308.7 - 0.028 * work + 3.96 * through * radiant_hundred_k**4
    start_k = air_k + (35.5 - (air_k - 273)) / (3.5 * (6.45 * insulation + 0.1))
    new, last, convection = start_k / 100, start_k / 50, forced
    for _ in range(150):
        moves = np.abs(new - last) > 0.00015
        if not np.any(moves):
            break
        last = np.where(moves, (last + new) / 2, last)
        natural = 2.38 * np.abs(100 * last - air_k) ** 0.25
        convection = np.where(moves, np.maximum(natural, forced), convection)
        answer = (rest + through * air_k * convection - 3.96 * through * last**4) / (100 + 100 * through * convection)
        new = np.where(moves, answer, new)
    return 100 * new, convection


def hot_aisle(
    air_degc: ArrayLike,
    relative_humidity_frac: ArrayLike,
    *,
    air_m_per_s: ArrayLike = ASSUMED_AISLE_AIR_M_PER_S,
    radiant_degc: ArrayLike | None = None,
    metabolic_met: float = ASSUMED_METABOLIC_MET,
    clothing_clo: float = ASSUMED_CLOTHING_CLO,
    edition: HeatStrainEdition = HEAT_STRAIN_EDITION,
    acclimatised: bool = True,
) -> HotAisle:
    """Return the heat load on people in a hot aisle and how long they may work there.

    Parameters
    ----------
    air_degc, relative_humidity_frac : array_like
        Air in the aisle [°C], [-].
    air_m_per_s : array_like
        Air speed [m/s].
    radiant_degc : array_like, optional
        Mean radiant temperature [°C]; the air's where not given, as rack doors and ceilings take the air's temperature.
    metabolic_met, clothing_clo : float
        Work and clothing.
    edition : {"7933-2004", "7933-2023"}
        Edition of ISO 7933.
    acclimatised : bool
        Whether people are used to heat.
    """
    radiant = air_degc if radiant_degc is None else radiant_degc
    wet = natural_wet_bulb_degc(air_degc, radiant, air_m_per_s, relative_humidity_frac)
    wbgt = wet_bulb_globe_degc(wet, radiant)
    watts = metabolic_met * WATTS_PER_M2_PER_MET * BODY_SURFACE_M2
    alert, exposure = recommended_alert_limit_degc(watts), recommended_exposure_limit_degc(watts)
    return HotAisle(
        wbgt_degc=wbgt,
        alert_limit_degc=alert,
        exposure_limit_degc=exposure,
        within_alert=wbgt <= alert,
        within_exposure=wbgt <= exposure,
        strain=predicted_heat_strain(
            air_degc,
            radiant,
            air_m_per_s,
            relative_humidity_frac,
            metabolic_met=metabolic_met,
            clothing_clo=clothing_clo,
            edition=edition,
            acclimatised=acclimatised,
        ),
    )


def _metabolic(metabolic_w: ArrayLike) -> FloatArray:
    watts = np.asarray(metabolic_w, dtype=float)
    if not np.all(watts > 0):
        raise ValueError("metabolic_w must be greater than 0")
    return watts
