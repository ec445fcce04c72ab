"""How long people may work in a hot aisle: WBGT with the NIOSH limits, predicted heat strain, comfort votes.

Predicted heat strain (ISO 7933) and the predicted mean vote (ISO 7730) come from pythermalcomfort, loaded on first use
because its models compile for many seconds. The edition of ISO 7933 is always stated: 2004 and 2023 differ, and the
published validation table is of 2004.
"""

import functools
import importlib.util
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pythermalcomfort
from numpy.typing import ArrayLike, NDArray

from power_cooling.fluids.psychrometrics import saturation_pressure_pa

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

HeatStrainEdition = Literal["7933-2004", "7933-2023"]
HEAT_STRAIN_EDITION: HeatStrainEdition = "7933-2023"
SHIFT_MINUTES = 480.0
RECTAL_LIMIT_DEGC = 38.0
BODY_SURFACE_M2 = 1.8
WATTS_PER_M2_PER_MET = 58.15
# ISO 7933 and ISO 7243 hold for these; pythermalcomfort gives no value outside ISO 7933's.
ASSUMED_CLOTHING_CLO = 0.6  # long trousers and shirt; ISO 9920 work clothing
ASSUMED_METABOLIC_MET = 2.6  # lifting and walking, ISO 8996 class 2
ASSUMED_AISLE_AIR_M_PER_S = 1.0  # of the servers' outlets, at arm's length


@dataclass(frozen=True, slots=True, eq=False)
class HeatStrain:
    """Predicted heat strain of a working shift; arrays of the broadcast shape, NaN where `in_range` is false."""

    rectal_degc: FloatArray  # at the end of the shift
    sweat_loss_g: FloatArray
    rectal_limit_minutes: FloatArray
    water_loss_average_limit_minutes: FloatArray  # for the mean subject
    water_loss_most_limit_minutes: FloatArray  # for 95 % of people
    in_range: BoolArray
    edition: str

    @property
    def allowed_minutes(self) -> FloatArray:
        """Return the shortest of the limits [min], at most a shift of 480."""
        limits = np.minimum(self.rectal_limit_minutes, self.water_loss_most_limit_minutes)
        return np.where(self.in_range, np.minimum(limits, SHIFT_MINUTES), np.nan)


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


def predicted_heat_strain(
    air_degc: ArrayLike,
    radiant_degc: ArrayLike,
    air_m_per_s: ArrayLike,
    relative_humidity_frac: ArrayLike,
    *,
    metabolic_met: ArrayLike = ASSUMED_METABOLIC_MET,
    clothing_clo: ArrayLike = ASSUMED_CLOTHING_CLO,
    posture: str = "standing",
    edition: HeatStrainEdition = HEAT_STRAIN_EDITION,
    acclimatised: bool = True,
    walking_m_per_s: float | None = None,
    walking_angle_deg: float | None = None,
) -> HeatStrain:
    """Return the heat strain of a 480-minute shift by ISO 7933.

    Parameters
    ----------
    air_degc, radiant_degc : array_like
        Air and mean radiant temperature [°C].
    air_m_per_s : array_like
        Air speed [m/s].
    relative_humidity_frac : array_like
        Relative humidity [-].
    metabolic_met, clothing_clo : array_like
        Metabolic rate [met] and clothing [clo].
    posture : {"standing", "sitting", "crouching"}
        Posture.
    edition : {"7933-2004", "7933-2023"}
        Edition of the standard, kept in the result.
    acclimatised : bool
        Whether people are used to heat.
    walking_m_per_s, walking_angle_deg : float, optional
        Walking speed [m/s] and its angle to the wind [°].

    Returns
    -------
    HeatStrain
        States outside the standard's range have `in_range` false and NaN values.
    """
    options = {}
    if walking_m_per_s is not None:
        options["walk_sp"] = walking_m_per_s
    if walking_angle_deg is not None:
        options["theta"] = walking_angle_deg
    given = (air_degc, radiant_degc, air_m_per_s, relative_humidity_frac, metabolic_met, clothing_clo)
    shape = np.broadcast_shapes(*(np.shape(a) for a in given))
    air, radiant, speed, humid, metabolic, clothing = (
        np.broadcast_to(np.asarray(a, dtype=float), shape).flatten() for a in given
    )
    with warnings.catch_warnings():
        # Out of range is told by the mask of the result, not by a warning per call.
        warnings.simplefilter("ignore")
        result = _heat_strain_model()(
            tdb=air,
            tr=radiant,
            v=speed,
            rh=100 * humid,
            met=metabolic,
            clo=clothing,
            posture=posture,
            model=edition,
            acclimatized=100 if acclimatised else 0,
            round_output=False,
            **options,
        )

    def shaped(values: ArrayLike) -> FloatArray:
        return np.asarray(values, dtype=float).reshape(shape)

    rectal = shaped(result.t_re)
    return HeatStrain(
        rectal_degc=rectal,
        sweat_loss_g=shaped(result.sweat_loss_g),
        rectal_limit_minutes=shaped(result.d_lim_t_re),
        water_loss_average_limit_minutes=shaped(result.d_lim_loss_50),
        water_loss_most_limit_minutes=shaped(result.d_lim_loss_95),
        in_range=~np.isnan(rectal),
        edition=edition,
    )


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

    Parameters
    ----------
    air_degc, radiant_degc : array_like
        Air and mean radiant temperature [°C].
    relative_air_m_per_s : array_like
        Air speed against the body [m/s].
    relative_humidity_frac : array_like
        Relative humidity [-].
    metabolic_met, clothing_clo : array_like
        Metabolic rate [met] and clothing [clo].

    Returns
    -------
    vote, dissatisfied_frac, in_range : ndarray
        Of the broadcast shape.
    """
    from pythermalcomfort.models import pmv_ppd_iso  # compiles for many seconds on first import

    arguments = {
        "tdb": np.asarray(air_degc, dtype=float),
        "tr": np.asarray(radiant_degc, dtype=float),
        "vr": np.asarray(relative_air_m_per_s, dtype=float),
        "rh": 100 * np.asarray(relative_humidity_frac, dtype=float),
        "met": np.asarray(metabolic_met, dtype=float),
        "clo": np.asarray(clothing_clo, dtype=float),
        "model": "7730-2005",
        "round_output": False,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the mask tells
        free = pmv_ppd_iso(**arguments, limit_inputs=False)
        inside = ~np.isnan(np.asarray(pmv_ppd_iso(**arguments, limit_inputs=True).pmv, dtype=float))
    return np.asarray(free.pmv, dtype=float), np.asarray(free.ppd, dtype=float) / 100, inside


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


@functools.cache
def _heat_strain_model() -> Callable[..., Any]:
    """Return pythermalcomfort's own `phs`, loaded without its 40 other models and run by Python.

    Compiled it takes 12 s on a machine that has not run it, and half a second to load in each process afterwards; a
    hall is one state, which Python solves in 20 ms. The module is a private copy: others get the compiled one.
    """
    path = Path(pythermalcomfort.__file__).parent / "models" / "phs.py"
    spec = importlib.util.spec_from_file_location("pythermalcomfort_phs", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python module", path=str(path))
    model = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(model)
    for name, value in list(vars(model).items()):
        setattr(model, name, getattr(value, "py_func", value))  # Numba keeps the function that it compiles
    return model.phs


def _metabolic(metabolic_w: ArrayLike) -> FloatArray:
    watts = np.asarray(metabolic_w, dtype=float)
    if not np.all(watts > 0):
        raise ValueError("metabolic_w must be greater than 0")
    return watts
