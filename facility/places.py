"""Towns with an airport, to describe a site from: where it is, how high, which time it keeps, and what is near.

The towns are those of `airportsdata` whose airport has a code that passengers know: some 7,000, with the airport's
coordinates and elevation. Nothing is guessed: where the catalogue has no region of a country, none is offered.
"""

import math
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

import airportsdata

from facility.models import Product, Weather

LEAST_CHARS, MOST_CHARS, MOST_FOUND = 2, 60, 20
NEAREST = 3  # years of weather that a place names
M_PER_FOOT, KM_PER_RADIAN = 0.3048, 6371.0
SOURCE = "airportsdata: coordinates, elevation and time zone of the town's airport"


class PlaceError(ValueError):
    """A search that cannot be answered; the message names the value and what is allowed."""


@dataclass(frozen=True, slots=True)
class Place:
    """A town, at its airport."""

    code: str  # IATA
    name: str
    airport: str
    subdivision: str
    country: str  # ISO 3166, two letters
    latitude_deg: float
    longitude_deg: float
    elevation_m: float
    time_zone: str

    @property
    def place(self) -> str:
        """The town with what it lies in, as a site names it."""
        return ", ".join(part for part in (self.name, self.subdivision, self.country) if part)

    @property
    def utc_offset_h(self) -> float:
        """Hours that its standard time is ahead of UTC: the lesser of January's and July's."""
        zone = ZoneInfo(self.time_zone)
        offsets = (datetime(datetime.now(UTC).year, month, 1, tzinfo=zone).utcoffset() for month in (1, 7))
        return min(offset.total_seconds() for offset in offsets if offset is not None) / 3600


@cache
def places() -> dict[str, Place]:
    """Return all towns by code."""
    return {
        row["iata"]: Place(
            code=row["iata"],
            name=row["city"],
            airport=row["name"],
            subdivision=row["subd"],
            country=row["country"],
            latitude_deg=row["lat"],
            longitude_deg=row["lon"],
            elevation_m=round(row["elevation"] * M_PER_FOOT, 0),
            time_zone=row["tz"],
        )
        for row in airportsdata.load("IATA").values()
        if row["city"]
    }


def search(text: str) -> list[Place]:
    """Return the towns that a text names, the likeliest first; accents and case do not count.

    Raises
    ------
    PlaceError
        If the text is too short or too long to search for.
    """
    asked = _plain(text)
    if not LEAST_CHARS <= len(asked) <= MOST_CHARS:
        raise PlaceError(f"search is {text[:MOST_CHARS]!r}; must be {LEAST_CHARS} to {MOST_CHARS} letters of a town.")
    ranked = ((_rank(asked, names), place) for place, names in _searched())
    found = sorted((rank, place.name, place.code) for rank, place in ranked if rank is not None)
    return [places()[code] for _, _, code in found[:MOST_FOUND]]


def _plain(text: str) -> str:
    spelt = unicodedata.normalize("NFKD", text.strip().lower())
    return "".join(letter for letter in spelt if not unicodedata.combining(letter))


@cache
def _searched() -> list[tuple[Place, tuple[str, str, str]]]:
    return [(place, (_plain(place.name), _plain(place.airport), place.code.lower())) for place in places().values()]


def _rank(asked: str, names: tuple[str, str, str]) -> tuple[int, bool] | None:
    """Return how likely a town is meant, 0 first, and that an international airport goes before others; None if not."""
    town, airport, code = names
    kinds = (town == asked or code == asked, town.startswith(asked), f" {asked}" in f" {town}", asked in airport)
    return (kinds.index(True), "international" not in airport) if any(kinds) else None


def distance_km(latitude_deg: float, longitude_deg: float, other: Place | Weather) -> float:
    """Return the distance along the earth, taken as a sphere."""
    here, there = math.radians(latitude_deg), math.radians(other.latitude_deg)
    across = math.radians(other.longitude_deg - longitude_deg)
    chord = math.sin((there - here) / 2) ** 2 + math.cos(here) * math.cos(there) * math.sin(across / 2) ** 2
    return 2 * KM_PER_RADIAN * math.asin(math.sqrt(min(chord, 1.0)))


def nearest_weather(latitude_deg: float, longitude_deg: float) -> list[tuple[Weather, float]]:
    """Return the shipped years with their distance [km], the nearest first."""
    years = Weather.objects.filter(site=None).defer("rows")
    near = ((year, distance_km(latitude_deg, longitude_deg, year)) for year in years)
    return sorted(near, key=lambda pair: (pair[1], pair[0].slug))


def nearest_place(latitude_deg: float, longitude_deg: float) -> Place:
    """Return the town with the nearest airport; its time zone is used by a site that states none."""
    return min(places().values(), key=lambda place: distance_km(latitude_deg, longitude_deg, place))


def region_of(place: Place) -> Product | None:
    """Return the catalogue's region of a place: that of its subdivision, else of its country."""
    by_code = {
        code: region
        for region in Product.objects.filter(kind="regions").order_by("slug")
        for code in region.facts.get("serves") or ()
    }
    return by_code.get(f"{place.country}-{place.subdivision}") or by_code.get(place.country)
