"""The year of weather that a layout is solved in."""

from base64 import b64decode

from power_cooling.fluids.psychrometrics import humidity_ratio_from_relative_humidity, pressure_at_elevation_pa
from power_cooling.site_arrays import Weather
from power_cooling.site_facts.weather import unpack
from twin.core.inputs.layout import LayoutInputs


def weather_of(inputs: LayoutInputs) -> Weather:
    """Return the solved year, its pressure shifted from the station's elevation to the site's.

    Temperature and relative humidity are the station's.
    """
    stored = inputs.weather
    dry_bulb, relative_humidity, pressure = unpack(b64decode(stored.rows)).astype(float)
    if stored.elevation_m is not None:
        here, station = pressure_at_elevation_pa([inputs.site.elevation_m, stored.elevation_m])
        pressure *= here / station
    return Weather(
        dry_bulb_degc=dry_bulb,
        humidity_ratio=humidity_ratio_from_relative_humidity(dry_bulb, relative_humidity, pressure),
        pressure_pa=pressure,
    )
