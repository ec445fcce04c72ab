"""Predicted heat strain of ISO 7933: sweat, core and rectal temperature of a person minute by minute through a shift.

The edition is always stated: 2004 and 2023 differ, and the published validation table is of 2004. The equations are
those of the programs in annex E of both editions; numbers without a name stand there as they do here.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from power_cooling.fluids.psychrometrics import saturation_pressure_pa

FloatArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]

HeatStrainEdition = Literal["7933-2004", "7933-2023"]
HEAT_STRAIN_EDITION: HeatStrainEdition = "7933-2023"
SHIFT_MINUTES = 480.0
RECTAL_LIMIT_DEGC = 38.0
WATTS_PER_M2_PER_MET = 58.15
ASSUMED_CLOTHING_CLO = 0.6  # long trousers and shirt; ISO 9920 work clothing
ASSUMED_METABOLIC_MET = 2.6  # lifting and walking, ISO 8996 class 2

POSTURES = {"standing": 0.77, "sitting": 0.70, "crouching": 0.67}  # share of the skin that radiates

# The subject of the standard: 75 kg, 1.80 m, free to drink, in clothes that reflect on 54 % of their surface.
_WEIGHT_KG, _HEIGHT_M = 75.0, 1.8
_SKIN_M2 = 0.202 * _WEIGHT_KG**0.425 * _HEIGHT_M**0.725  # DuBois
_BODY_W_MIN_PER_M2_K = WATTS_PER_M2_PER_MET * _WEIGHT_KG / _SKIN_M2
_REFLECTING_FRAC = 0.54
_STATIC_PERMEABILITY = 0.38
_STILL_AIR_M2_K_PER_W = 0.111
_CORE_DEGC, _SKIN_DEGC = 36.8, 34.1  # at the start
_CORE_KEPT = _SWEAT_KEPT = np.exp(-1 / 10)  # of the difference to the steady value, per minute
_SKIN_KEPT = np.exp(-1 / 3)
_ITERATION_K = 0.001  # at which the standard's own loops end
_MOST_PASSES = 200


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
class _Work:
    """People at work in a place; every array has shape (n,)."""

    air_degc: FloatArray
    radiant_degc: FloatArray
    air_m_per_s: FloatArray
    vapour_kpa: FloatArray
    metabolic_w_per_m2: FloatArray
    clothing_clo: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Clothes:
    """What stays through the shift: clothing in the wind and in movement, and how the surroundings take heat."""

    area_ratio: FloatArray  # clothed over bare surface
    insulation_m2_k_per_w: FloatArray
    vapour_m2_kpa_per_w: FloatArray
    convection_w_per_m2_k: FloatArray
    radiation_w_per_m2_k4: float


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
        Walking speed [m/s], from the metabolic rate where not given, and its angle to the wind [°]; 0 is any direction.

    Returns
    -------
    HeatStrain
        States outside the standard's range have `in_range` false and NaN values.

    Raises
    ------
    ValueError
        If the posture or the edition is unknown.

    References
    ----------
    .. [1] ISO 7933:2004 and ISO 7933:2023, "Ergonomics of the thermal environment: analytical determination and
       interpretation of heat stress using calculation of the predicted heat strain", annex E; limits: annex A.
    """
    for name, value, allowed in (("posture", posture, POSTURES), ("edition", edition, ("7933-2004", "7933-2023"))):
        if value not in allowed:
            raise ValueError(f"{name} is {value!r}; must be one of {', '.join(allowed)}")
    given = (air_degc, radiant_degc, air_m_per_s, relative_humidity_frac, metabolic_met, clothing_clo)
    shape = np.broadcast_shapes(*(np.shape(a) for a in given))
    air, radiant, speed, humid, metabolic, clothing = (
        np.broadcast_to(np.asarray(a, dtype=float), shape).flatten() for a in given
    )
    if edition == "7933-2023":
        vapour = 0.6105 * np.exp(17.27 * air / (air + 237.3)) * (100 * humid) / 100
    else:
        vapour = saturation_pressure_pa(air) / 1000 * (100 * humid) / 100
    people = _Work(air, radiant, speed, vapour, metabolic * WATTS_PER_M2_PER_MET, clothing)
    inside = _in_range(people, edition)
    strained = _Work(*(getattr(people, name)[inside] for name in _Work.__slots__))
    walking = (walking_m_per_s or 0.0, walking_angle_deg or 0.0)
    answers = _shift(strained, _clothes(strained, POSTURES[posture], edition, walking), edition, acclimatised)
    whole = np.full((len(answers), inside.size), np.nan)
    whole[:, inside] = answers
    rectal, sweat, rectal_limit, average_limit, most_limit = (row.reshape(shape) for row in whole)
    return HeatStrain(rectal, sweat, rectal_limit, average_limit, most_limit, inside.reshape(shape), edition)


def _in_range(people: _Work, edition: HeatStrainEdition) -> BoolArray:
    """Return where the standard holds: its annex A, table A.1."""
    vapour_from, (least, most) = (0.5, (56.0, 250.0)) if edition == "7933-2023" else (0.0, (100.0, 450.0))
    inside = np.ones(people.air_degc.shape, dtype=bool)
    for values, low, high in (
        (people.air_degc, 15.0, 50.0),
        (people.radiant_degc - people.air_degc, 0.0, 60.0),
        (people.air_m_per_s, 0.0, 3.0),
        (people.vapour_kpa, vapour_from, 4.5),
        (people.metabolic_w_per_m2, least, most),
        (people.clothing_clo, 0.1, 1.0),
    ):
        inside &= (values >= low) & (values <= high)
    return inside


def _clothes(
    people: _Work, radiating_frac: float, edition: HeatStrainEdition, walking: tuple[float, float]
) -> _Clothes:
    """Return clothing and surroundings; `walking` is speed [m/s] and angle to the wind [°]."""
    clo, wind = people.clothing_clo, people.air_m_per_s
    area_ratio = 1 + (0.28 if edition == "7933-2023" else 0.3) * clo
    still = clo * 0.155 + _STILL_AIR_M2_K_PER_W / area_ratio
    pace, angle_deg = walking
    if pace > 0 and angle_deg != 0:
        relative = np.abs(wind - pace * np.cos(3.14159 * angle_deg / 180))
    elif pace > 0:
        relative = np.maximum(wind, pace)
    else:
        relative = wind
    walked = np.full(clo.shape, pace) if pace > 0 else np.minimum(0.0052 * (people.metabolic_w_per_m2 - 58), 0.7)
    walked, held = np.minimum(walked, 1.5), np.minimum(relative, 3)
    clothed = 1.044 * np.exp((0.066 * held - 0.398) * held + (0.094 * walked - 0.378) * walked)
    clothed = np.minimum(clothed, 1)
    bare = np.minimum(np.exp((0.047 * relative - 0.472) * relative + (0.117 * walked - 0.342) * walked), 1)
    moved = np.where(clo <= 0.6, ((0.6 - clo) * bare + clo * clothed) / 0.6, clothed)
    total = still * moved
    permeability = np.minimum(_STATIC_PERMEABILITY * ((2.6 * moved - 6.5) * moved + 4.9), 0.9)
    if edition == "7933-2023":
        surface, emissivity = people.radiant_degc + 0.1, 1 - 0.42
    else:
        surface, emissivity = _SKIN_DEGC, 0.97
    natural = 2.38 * np.abs(surface - people.air_degc) ** 0.25
    forced = np.where(relative > 1, 8.7 * relative**0.6, 3.5 + 5.2 * relative)
    return _Clothes(
        area_ratio=area_ratio,
        insulation_m2_k_per_w=total - bare * _STILL_AIR_M2_K_PER_W / area_ratio,
        vapour_m2_kpa_per_w=total / permeability / 16.7,
        convection_w_per_m2_k=np.maximum(natural, forced),
        radiation_w_per_m2_k4=((1 - _REFLECTING_FRAC) * 0.97 + _REFLECTING_FRAC * emissivity)
        * (5.67e-08 * radiating_frac),
    )


def _shift(people: _Work, clothes: _Clothes, edition: HeatStrainEdition, acclimatised: bool) -> FloatArray:
    """Return rectal temperature, sweat loss and the three limits after the shift, shape (5, n)."""
    air, radiant, vapour, work = people.air_degc, people.radiant_degc, people.vapour_kpa, people.metabolic_w_per_m2
    is_2023 = edition == "7933-2023"
    loss_average_g, loss_most_g = (0.05 if is_2023 else 0.075) * _WEIGHT_KG * 1000, 0.05 * _WEIGHT_KG * 1000
    if is_2023:
        most_sweat = np.full(air.shape, 500.0 if acclimatised else 400.0)
    else:
        most_sweat = np.clip((work - 32) * _SKIN_M2, 250, 400) * (1.25 if acclimatised else 1.0)
    most_wet = 1.0 if acclimatised else 0.85
    breath_convection = 0.001516 * work * (28.56 + 0.115 * air + 0.641 * vapour - air)
    breath_evaporation = 0.00127 * work * (59.34 + 0.53 * air - 11.63 * vapour)
    core_goal = 0.0036 * work + 36.6
    clothed_skin = 12.165 + 0.02017 * air + 0.04361 * radiant + 0.19354 * vapour - 0.25315 * people.air_m_per_s
    clothed_skin = clothed_skin + 0.005346 * work
    bare_skin = 7.191 + 0.064 * air + 0.061 * radiant + 0.198 * vapour - 0.348 * people.air_m_per_s
    clothed_frac = np.clip(2.5 * (people.clothing_clo - 0.2), 0.0, 1.0)
    skin, core, rectal, core_steady = (np.full(air.shape, t) for t in (_SKIN_DEGC, _CORE_DEGC, _CORE_DEGC, _CORE_DEGC))
    skin_share = np.full(air.shape, 0.3)  # of the body's mass that is at skin temperature
    sweat, evaporated = np.zeros(air.shape), np.zeros(air.shape)
    limits = np.zeros((3, air.size))
    for minute in range(1, int(SHIFT_MINUTES) + 1):
        skin_before, core_before, share_before, steady_before = skin, core, skin_share, core_steady
        core_steady = steady_before * _CORE_KEPT + core_goal * (1 - _CORE_KEPT)
        stored = _BODY_W_MIN_PER_M2_K * (core_steady - steady_before) * (1 - share_before)
        bare_goal = bare_skin + 0.616 * rectal
        skin_goal = bare_goal + clothed_frac * (clothed_skin + 0.51274 * rectal - bare_goal)
        # The edition of 2023 starts from a steady skin.
        skin = skin_goal if minute == 1 and is_2023 else skin_before * _SKIN_KEPT + skin_goal * (1 - _SKIN_KEPT)
        surface, radiation = _clothes_surface(skin, air, radiant, clothes)
        lost = clothes.area_ratio * (clothes.convection_w_per_m2_k * (surface - air) + radiation * (surface - radiant))
        most_evaporation = (0.6105 * np.exp(17.27 * skin / (skin + 237.3)) - vapour) / clothes.vapour_m2_kpa_per_w
        most_evaporation = np.where(most_evaporation == 0, 0.001, most_evaporation)
        wanted = work - stored - breath_convection - breath_evaporation - lost
        sweat_goal, wanted, most_evaporation = _sweat_wanted(wanted, most_evaporation, most_sweat)
        sweat = np.maximum(sweat * _SWEAT_KEPT + sweat_goal * (1 - _SWEAT_KEPT), 0.0)
        ratio = most_evaporation / np.maximum(sweat, 1e-6)
        wet = np.where(ratio >= 0.5, np.sqrt(ratio * ratio + 2) - ratio, 1.0)
        evaporation = np.where(sweat > 0, np.minimum(wet, most_wet) * most_evaporation, 0.0)
        core, skin_share = _core(wanted - evaporation + stored, core_before, skin_before, skin, share_before)
        rectal = rectal + (2 * core - 1.962 * rectal - 1.31) / 9
        evaporated = evaporated + sweat + breath_evaporation
        loss_g = evaporated * 2.67 * _SKIN_M2 / 1.8 / 60
        reached = np.stack([rectal >= RECTAL_LIMIT_DEGC, loss_g >= loss_average_g, loss_g >= loss_most_g])
        limits[reached & (limits == 0)] = minute
    return np.concatenate([[rectal, loss_g], np.where(limits == 0, SHIFT_MINUTES, limits)])


def _clothes_surface(
    skin: FloatArray, air: FloatArray, radiant: FloatArray, clothes: _Clothes
) -> tuple[FloatArray, FloatArray]:
    """Return the clothes' surface [°C] and their radiation [W/(m² K)], halving the change until it is small."""
    surface = radiant + 0.1
    convection, area, insulation = clothes.convection_w_per_m2_k, clothes.area_ratio, clothes.insulation_m2_k_per_w
    radiation = np.zeros(skin.shape)
    for _ in range(_MOST_PASSES):
        fourth = (surface + 273) ** 4 - (radiant + 273) ** 4
        radiation = clothes.radiation_w_per_m2_k4 * fourth / (surface - radiant)
        held = area * (convection * air + radiation * radiant) + skin / insulation
        new = held / (area * (convection + radiation) + 1 / insulation)
        moves = np.abs(surface - new) > _ITERATION_K
        if not np.any(moves):
            break
        surface = np.where(moves, (surface + new) / 2, surface)
    return surface, radiation


def _sweat_wanted(
    wanted: FloatArray, most: FloatArray, most_sweat: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the sweat rate that evaporation asks for, and evaporation wanted and possible, all [W/m²]."""
    wetness = wanted / most
    efficiency = np.where(wetness > 1, (2 - wetness) ** 2 / 2, 1 - wetness**2 / 2)
    sweat = np.minimum(wanted / np.maximum(efficiency, 0.05), most_sweat)
    none, cannot = wanted <= 0, (wanted > 0) & (most <= 0)
    sweat = np.where(none, 0.0, np.where(cannot | (wetness >= 1.7), most_sweat, sweat))
    return sweat, np.where(none, 0.0, wanted), np.where(cannot, 0.0, most)


def _core(
    stored: FloatArray, core_before: FloatArray, skin_before: FloatArray, skin: FloatArray, share_before: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return core temperature [°C] and the skin's share of the body's mass that go together."""
    guess, core, share = core_before, core_before, share_before
    for _ in range(_MOST_PASSES):
        share = np.clip(0.3 - 0.09 * (guess - 36.8), 0.1, 0.3)
        core = stored / _BODY_W_MIN_PER_M2_K + skin_before * share_before / 2 - skin * share / 2
        core = (core + core_before * (1 - share_before / 2)) / (1 - share / 2)
        moves = np.abs(core - guess) > _ITERATION_K
        if not np.any(moves):
            break
        guess = np.where(moves, (guess + core) / 2, guess)
    return core, share
