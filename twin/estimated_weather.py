"""A city's published normals made into a year of weather, as the description keeps it."""

from typing import Any

import numpy as np

from facility.normals import EXCEEDED, MONTHLY, PLACE, notes_of, source_of
from facility.weather import Year, checked
from power_cooling.climate.estimated_year import Normals, estimated_year


def year_of(city: dict[str, Any]) -> Year:
    """Return the estimated year of a city of `facility.normals.read_normals`.

    Raises
    ------
    ValueError
        If its normals cannot be; the message names field and value.
    """
    place = {name: float(city[name]) for name in PLACE}
    monthly = {name: np.array(city[name], dtype=float) for name in MONTHLY}
    made = estimated_year(
        Normals(**place, **monthly, **{name: city.get(name, {}) for name in EXCEEDED}), name=city["slug"]
    )
    return checked(
        Year(
            name=f"{city['name']} (estimated)",
            source=source_of(city),
            **place,
            dry_bulb_degc=made.dry_bulb_degc.astype(np.float32),
            relative_humidity=made.relative_humidity_frac.astype(np.float32),
            pressure_pa=made.pressure_pa.astype(np.float32),
            notes=notes_of(city),
            confidence="estimated",
        )
    )
