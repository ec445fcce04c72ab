"""The air of the halls: how well it is managed, and how long people may work in the hot aisle.

Reported for the hour in which a hall's hot aisle is hottest, with air as humid as the humidity control lets in over
the year. Knows no Django.
"""

import numpy as np

from power_cooling.cooling.comfort import ASSUMED_METABOLIC_MET, BODY_SURFACE_M2, WATTS_PER_M2_PER_MET, hot_aisle
from power_cooling.cooling.room_air import air_metrics, rack_cooling_index_high
from power_cooling.fluids.psychrometrics import dew_point_degc, saturation_pressure_pa
from twin.core.inputs import equipment
from twin.core.results.details import HallAirRow
from twin.core.solved import Solved

WATTS_PER_MET = WATTS_PER_M2_PER_MET * BODY_SURFACE_M2


def hall_air(solved: Solved) -> list[HallAirRow]:
    """Return a row per hall that is cooled by air units and whose servers draw air, in the halls' order.

    `rci_high_frac` counts each rack's warmest inlet of the year against ASHRAE's class A1. `allowed_minutes` of a shift
    are by ISO 7933 in the edition that the row names, None outside the range that it holds for.
    """
    c, site, names = solved.coupled, solved.site, equipment.names(solved.inputs).halls
    warmed = np.where(np.isfinite(c.hall_inlet_mean_degc), c.hall_hot_degc, -np.inf)
    hours = np.argmax(warmed, axis=0)
    halls = np.flatnonzero(np.isfinite(warmed[hours, np.arange(hours.size)]))
    if not halls.size:
        return []
    places = hours[halls], halls
    supply, inlet, hot = c.hall_supply_degc[places], c.hall_inlet_mean_degc[places], c.hall_hot_degc[places]
    back, warmest = c.hall_return_degc[places], c.hall_inlet_max_degc[places]
    air = air_metrics(supply, inlet, hot, back)
    outdoors = dew_point_degc(solved.weather.humidity_ratio, solved.weather.pressure_pa).max()
    dew = np.minimum(outdoors, site.halls.dew_point_limit_degc[halls])
    people = hot_aisle(hot, np.minimum(saturation_pressure_pa(dew) / saturation_pressure_pa(hot), 1.0))
    allowed = people.strain.allowed_minutes
    rows = []
    for i, hall in enumerate(halls.tolist()):
        inside = (site.racks.hall_index == hall) & (site.racks.count > 0) & (site.racks.air_flow_kg_s > 0)
        rows.append(
            HallAirRow(
                hall=names[hall],
                hour=int(hours[hall]),
                supply_degc=float(supply[i]),
                inlet_mean_degc=float(inlet[i]),
                inlet_max_degc=float(warmest[i]),
                hot_aisle_degc=float(hot[i]),
                return_degc=float(back[i]),
                shi_frac=float(air.shi[i]),
                rti_frac=float(air.rti_frac[i]),
                rci_high_frac=rack_cooling_index_high(
                    solved.coupled.racks.max_inlet_degc[inside], site.racks.count[inside]
                ),
                dew_point_degc=float(dew[i]),
                metabolic_w=ASSUMED_METABOLIC_MET * WATTS_PER_MET,
                wbgt_degc=float(people.wbgt_degc[i]),
                alert_limit_degc=float(people.alert_limit_degc),
                exposure_limit_degc=float(people.exposure_limit_degc),
                allowed_minutes=float(allowed[i]) if np.isfinite(allowed[i]) else None,
                edition=people.strain.edition.replace("-", ":"),  # as ISO writes it
            )
        )
    return rows
