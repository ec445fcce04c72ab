"""The hour that a layout is judged at: its busiest demand in weather that its planner chooses.

Drawings, drills, availability, rules and counts take it from here. A layout that chooses nothing is drawn and drilled
in its 1 % weather, while its rules look at the worst hours of its year.
"""

import math
from dataclasses import dataclass

import numpy as np

from power_cooling.fluids.psychrometrics import humidity_ratio_from_wet_bulb, wet_bulb_degc
from power_cooling.site_arrays import FloatArray, Weather
from twin.core.inputs.layout import LayoutInputs, LayoutVersion

UNCHOSEN, WORST, TWENTY_YEARS, OWN = "", "worst", "20-years", "own"
EXCEEDED_FRAC = {UNCHOSEN: 0.01, "0.4": 0.004, "1": 0.01, "2": 0.02}  # of the year's hours
# ASHRAE Fundamentals 2021, ch. 14, eq. 2: the extreme of n years = mean of the yearly extremes + F × their spread.
RETURN_YEARS = 20
RETURN_FACTOR = -math.sqrt(6) / math.pi * (0.5772 + math.log(math.log(RETURN_YEARS / (RETURN_YEARS - 1))))
# Of one year the mean of the yearly extremes is its own. Their spread is assumed: 1 to 2 K for dry and about 1 K for
# wet bulb at most stations of ch. 14's tables; a measured one needs some 20 years of readings.
ASSUMED_DRY_BULB_SPREAD_K, ASSUMED_WET_BULB_SPREAD_K = 1.5, 1.0


@dataclass(frozen=True, slots=True)
class Kind:
    """One choice of the design hour, as pages say it."""

    name: str
    meaning: str


KINDS = {
    UNCHOSEN: Kind(
        "1 % weather",
        "Drawings, drills and availability: dry bulb and humidity that 1 % of the year's hours exceed. Rules and "
        "counts: the year's worst hours.",
    ),
    "0.4": Kind("0.4 % weather", "Dry bulb and humidity that 0.4 % of the year's hours exceed, 35 h of a year."),
    "1": Kind("1 % weather", "Dry bulb and humidity that 1 % of the year's hours exceed, 88 h of a year."),
    "2": Kind("2 % weather", "Dry bulb and humidity that 2 % of the year's hours exceed, 175 h of a year."),
    TWENTY_YEARS: Kind(
        "20-year extreme",
        "Dry and wet bulb that are passed once in 20 years: the highest of this year, and 1.87 times an assumed spread "
        "of yearly extremes (1.5 K dry, 1.0 K wet bulb) above it.",
    ),
    WORST: Kind(
        "the year's worst hour", "The hour in which the air is warmest to heat rejection: behind pads and towers too."
    ),
    OWN: Kind("own weather", "Dry and wet bulb as the layout states them."),
}


def design_kind(layout: LayoutVersion) -> Kind:
    """Return which design hour a layout has chosen."""
    return KINDS[layout.design_hour]


def design_weather(inputs: LayoutInputs, year: Weather) -> Weather:
    """Return the one element of weather that a layout is judged in."""
    chosen, pressure_pa = inputs.layout.design_hour, np.mean(year.pressure_pa, keepdims=True)
    if chosen in EXCEEDED_FRAC:
        below = 1 - EXCEEDED_FRAC[chosen]
        return Weather(
            dry_bulb_degc=np.quantile(year.dry_bulb_degc, [below]),
            humidity_ratio=np.quantile(year.humidity_ratio, [below]),
            pressure_pa=pressure_pa,
        )
    if chosen == WORST:
        at = [worst_hour(inputs, year)]
        return Weather(year.dry_bulb_degc[at], year.humidity_ratio[at], year.pressure_pa[at])
    if chosen == OWN:
        dry, wet = (np.array([float(value or 0.0)]) for value in _own(inputs.layout))
    else:
        dry = np.max(year.dry_bulb_degc, keepdims=True) + RETURN_FACTOR * ASSUMED_DRY_BULB_SPREAD_K
        wet = np.max(_wet_bulb(year), keepdims=True) + RETURN_FACTOR * ASSUMED_WET_BULB_SPREAD_K
    return Weather(dry, humidity_ratio_from_wet_bulb(dry, np.minimum(wet, dry), pressure_pa), pressure_pa)


def _own(layout: LayoutVersion) -> tuple[float | None, float | None]:
    return layout.design_dry_bulb_degc, layout.design_wet_bulb_degc


def _wet_bulb(year: Weather) -> FloatArray:
    return wet_bulb_degc(year.dry_bulb_degc, year.humidity_ratio, year.pressure_pa)


def worst_hour(inputs: LayoutInputs, year: Weather) -> int:
    """Return the hour in which the air is warmest to the layout's heat rejection.

    To dry coolers that is the dry bulb, to towers the wet bulb, behind wetted pads what lies between; a layout of
    several plants takes their mean.
    """
    shares = []
    for plant in inputs.plants:
        sheet = inputs.product(plant.heat_rejection_id)
        if sheet is not None:
            towers = sheet.kind == "cooling_towers"
            shares.append(1.0 if towers else float(sheet.facts.get("pad_saturation_efficiency") or 0.0))
    wetted = float(np.mean(shares)) if shares else 0.0
    return int(np.argmax(year.dry_bulb_degc - wetted * (year.dry_bulb_degc - _wet_bulb(year))))


def design_text(layout: LayoutVersion) -> str:
    """Return in which weather a layout is judged, as a report's headings say it."""
    return f"{design_kind(layout).name} of the design hour"
