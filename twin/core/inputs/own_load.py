"""What a site draws for itself beside IT, cooling and losses: offices, heaters of standby engines, rooms of the feeds.

Constants without a published source are named `ASSUMED_…`, and every run lists them.
"""

import numpy as np

from power_cooling.site_arrays import FloatArray, OwnLoad
from twin.core.inputs.feed_ratings import PRIME, rating_w
from twin.core.inputs.layout import LayoutInputs

# Electricity of commercial buildings, all kinds: 14.6 kWh per square foot and year (EIA, CBECS 2012, table C14).
BUILDING_W_PER_M2 = 14.6e3 / 0.09290304 / 8760.0
ASSUMED_SUPPORT_AREA_FRAC = 0.5  # offices, stores, corridors and plant rooms over the area of the halls
# Heaters keep the engines' water at 100 to 120 °F (38 to 49 °C); one of 1.8 kW ran 4,755 hours of a year in the north
# west of the USA: 54 % (Bonneville Power Administration, E3TNW item 381, after Grenoble 2015).
ENGINE_WATER_DEGC = 43.0
ASSUMED_HEATER_FRAC = 0.003  # of a generator's rating: 9 kW for 3 MW
HEATER_FULL_DEGC = -18.0  # outdoors, at which a heater runs all the time: 54 % of it at 10 °C
ASSUMED_ROOM_COP = 3.0  # heat of UPS and switch rooms over the power of their air units, fans with them
ASSUMED_SERVICES_FRAC = 0.001  # of IT nameplate: controls, fire, security, leak detection, water treatment


def own_load(inputs: LayoutInputs, nameplate_w: FloatArray) -> OwnLoad:
    """Return the site's own load.

    Parameters
    ----------
    inputs : LayoutInputs
        A snapshot.
    nameplate_w : ndarray, shape (n_racks,)
        Rated power of each rack [W].
    """
    area_m2 = sum(hall.width_m * hall.depth_m for hall in inputs.halls)
    waiting = [feed for feed in inputs.feeds if feed.kind == "generator" and feed.operation != PRIME]
    engines_w = sum(rating_w(inputs, feed) * feed.n_units for feed in waiting)
    return OwnLoad(
        building_w=BUILDING_W_PER_M2 * ASSUMED_SUPPORT_AREA_FRAC * area_m2,
        services_w=ASSUMED_SERVICES_FRAC * float(np.sum(nameplate_w)),
        heater_w=ASSUMED_HEATER_FRAC * engines_w,
        heater_hold_degc=ENGINE_WATER_DEGC,
        heater_full_degc=HEATER_FULL_DEGC,
        room_cop=ASSUMED_ROOM_COP,
    )
