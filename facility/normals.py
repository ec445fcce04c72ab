"""Published monthly normals and design conditions of cities, as `climates/normals.yaml` holds them."""

from typing import Any

import yaml

from facility.weather import CLIMATES

NORMALS = CLIMATES / "normals.yaml"
MONTHLY = ("dry_bulb_degc", "daily_range_k", "dew_point_degc")
EXCEEDED = ("dry_bulb_exceeded_degc", "dew_point_exceeded_degc", "wet_bulb_exceeded_degc")
PLACE = ("latitude_deg", "longitude_deg", "utc_offset_h", "elevation_m")
SOURCES = ("normals_source", "range_source", "design_source")


def read_normals() -> list[dict[str, Any]]:
    """Return the cities of the file, sorted by slug."""
    with NORMALS.open(encoding="utf-8") as file:
        return yaml.safe_load(file)["cities"]


def source_of(city: dict[str, Any]) -> str:
    """Return in one sentence what a city's year was made from."""
    return (
        f"Estimated from monthly normals ({city['normals_source']}), daily ranges ({city['range_source']}) and design "
        f"conditions ({city['design_source']}); no hour of it was measured."
    )


def notes_of(city: dict[str, Any]) -> tuple[str, ...]:
    """Return what a reader should know of a city's year."""
    notes = ["The hours are estimated: months and design conditions agree with what is published, days are drawn."]
    if "wet_bulb_exceeded_degc" not in city:
        notes.append("No design wet bulb of it is at hand: wet bulbs follow from the monthly dew points alone.")
    return tuple(notes)
