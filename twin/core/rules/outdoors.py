"""The hours that rules judge a design at: the chosen one, else the hottest, most humid and hottest behind pads."""

from dataclasses import dataclass

import numpy as np

from power_cooling.fluids.psychrometrics import wet_bulb_degc
from power_cooling.site_arrays import FloatArray, PlantBank, Weather
from twin.core.inputs.design_hour import design_kind, design_weather
from twin.core.inputs.layout import LayoutInputs
from twin.core.inputs.weather import weather_of
from twin.core.solve.year_estimate import moisture


@dataclass(frozen=True, slots=True, eq=False)
class DesignHours:
    """The hours that plants are judged at. Arrays have shape (n_elements,)."""

    weather: Weather
    wet_bulb_degc: FloatArray
    highest_dew_point_degc: float  # of the year
    called: str  # how findings name them

    def text(self, element: int) -> str:
        """Return an hour's weather as a planner says it."""
        return f"{self.weather.dry_bulb_degc[element]:.1f} °C dry, {self.wet_bulb_degc[element]:.1f} °C wet bulb"


def design_hours(inputs: LayoutInputs, plants: PlantBank | None) -> DesignHours:
    """Return the design hour that the layout chooses, else the worst hours of its year.

    These are those of highest dry bulb, of highest wet bulb, and of warmest air behind each plant's pads. Heat
    rejection takes least in one of them: dry coolers in the first, towers in the second, coolers with pads in the
    third.
    """
    year = weather_of(inputs)
    wet_bulb, dew_point = moisture(year)
    if inputs.layout.design_hour:
        chosen = design_weather(inputs, year)
        wet = wet_bulb_degc(chosen.dry_bulb_degc, chosen.humidity_ratio, chosen.pressure_pa)
        return DesignHours(chosen, wet, float(dew_point.max()), f"the design hour, {design_kind(inputs.layout).name}")
    behind = [year.dry_bulb_degc, wet_bulb]
    if plants is not None:
        depression = year.dry_bulb_degc - wet_bulb
        for efficiency in np.unique(plants.pad_efficiency[plants.pad_efficiency > 0]):
            behind.append(year.dry_bulb_degc - efficiency * depression)
    at = np.unique([int(np.argmax(values)) for values in behind])
    weather = Weather(year.dry_bulb_degc[at], year.humidity_ratio[at], year.pressure_pa[at])
    return DesignHours(weather, wet_bulb[at], float(dew_point.max()), "the hottest hour")
