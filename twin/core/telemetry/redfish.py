"""What a Redfish service (DMTF, 2025.4) says of cooling units, power distribution and chassis: resources to readings.

A reading is an excerpt of a sensor, `{"Reading": 31.8}`, or a sensor itself. A property that is absent says nothing,
one that is null has no value now, and zero is zero. Names follow CoolantConnector 1.3, Pump 1.2, Circuit 1.9,
PowerDistributionMetrics 1.4, PowerSupplyMetrics 1.2, EnvironmentMetrics 1.5 and Sensor 1.11.
"""

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from twin.core.telemetry.quantities import GOOD, QUANTITIES, unit_named
from twin.core.telemetry.readings import MappedPoint, Proposal, each_once
from twin.core.telemetry.readings import propose as by_rules

ROOT = "/redfish/v1"
NOT_GOOD = 0  # quality of a reading whose sensor is not enabled
#: Collections of equipment below the service root, and what our objects of that kind are called; blank: by name alone.
EQUIPMENT: Mapping[str, Mapping[str, str]] = {
    "ThermalEquipment": {"CDUs": "cdu", "RPUs": "", "ImmersionUnits": "", "HeatExchangers": ""},
    "PowerEquipment": {"RackPDUs": "", "FloorPDUs": "", "PowerShelves": "", "Switchgear": "", "TransferSwitches": ""},
    "Chassis": {"": ""},  # a collection itself
}
#: What a piece of equipment refers to that has readings, and how that is read.
REFERRED: Mapping[str, str] = {
    "PrimaryCoolantConnectors": "primary",
    "SecondaryCoolantConnectors": "secondary",
    "Pumps": "pump",
    "EnvironmentMetrics": "power",
    "Metrics": "power",
    "Mains": "power",
    "Branches": "power",
    "Feeders": "power",
    "PowerSupplies": "supply",
    "Sensors": "sensor",
}
#: Properties with a reading: the quantity of ours and the unit.
READ: Mapping[str, Mapping[str, tuple[str, str]]] = {
    **{
        side: {
            "SupplyTemperatureCelsius": (f"{side}_supply_degc", "degC"),
            "ReturnTemperatureCelsius": (f"{side}_return_degc", "degC"),
            "FlowLitersPerMinute": (f"{side}_flow_kg_s", "l/min"),
            "DeltaPressurekPa": (f"{side}_differential_pressure_pa", "kPa"),
            **({"ValvePositionPercent": ("valve_frac", "%")} if side == "primary" else {}),
        }
        for side in ("primary", "secondary")
    },
    "pump": {"PumpSpeedPercent": ("speed_frac", "%")},
    "power": {"PowerWatts": ("power_w", "W")},
    "supply": {"InputPowerWatts": ("power_w", "W")},
}
#: Units of sensors, as UCUM writes them.
SENSOR_UNITS: Mapping[str, str] = {
    "Cel": "degC",
    "W": "W",
    "kW": "kW",
    "L/min": "l/min",
    "kPa": "kPa",
    "Pa": "Pa",
    "%": "%",
}
NOT_THERE = {"Absent", "Disabled", "StandbyOffline", "UnavailableOffline"}  # states of what has no readings


@dataclass(frozen=True, slots=True)
class Found:
    """A reading of a resource, None where there is no value now; `time_ms` of the sensor [ms since 1970], or 0."""

    point: str
    said: Mapping[str, str]
    unit: str
    value: float | None
    quality: int
    time_ms: int = 0


@dataclass(frozen=True, slots=True)
class Owner:
    """A piece of equipment: where its readings are from."""

    path: str  # collection and identity: CDUs/1
    name: str
    place: str  # the rack that it stands in, as far as it says
    kind: str  # of our objects; blank: any
    density_kg_m3: float | None = None  # of its coolant


def owner_of(collection: str, kind: str, resource: Mapping[str, Any]) -> Owner:
    """Return what a piece of equipment says of itself."""
    location = _mapping(resource.get("Location"))
    placement = _mapping(location.get("Placement"))
    label = _mapping(location.get("PartLocation")).get("ServiceLabel")
    density = _number(_mapping(resource.get("Coolant")).get("DensityKgPerCubicMeter"))
    return Owner(
        path="/".join(part for part in (collection or "Chassis", _text(resource.get("Id"))) if part),
        name=_text(resource.get("Name")),
        place=_text(placement.get("Rack")) or _text(label),
        kind=kind,
        density_kg_m3=density if density is not None and 500 < density < 2000 else None,
    )


def is_there(resource: Mapping[str, Any]) -> bool:
    """Return whether a piece of equipment can have readings."""
    return _text(_mapping(resource.get("Status")).get("State")) not in NOT_THERE


def found_in(owner: Owner, what: str, referred: str, resource: Mapping[str, Any]) -> list[Found]:
    """Return the readings of a resource.

    Parameters
    ----------
    owner : Owner
        Of the resource.
    what : str
        How it is read, out of `REFERRED`.
    referred : str
        The property that refers to it: several resources of one are told apart by their identity.
    resource : mapping

    Raises
    ------
    ValueError
        If a reading is neither a number nor null.
    """
    if not is_there(resource):
        return []
    one = "" if referred in ("EnvironmentMetrics", "Metrics") else f" {referred}/{_text(resource.get('Id'))}"
    if what == "sensor":
        return _sensor(owner, one, resource)
    found = []
    for name, (quantity, unit) in READ[what].items():
        if name not in resource:
            continue
        excerpt = resource[name]
        value = _reading(f"{owner.path}{one} {name}", _mapping(excerpt).get("Reading") if excerpt is not None else None)
        if quantity.endswith("_flow_kg_s") and owner.density_kg_m3:
            unit, value = "kg/s", None if value is None else value / 60e3 * owner.density_kg_m3
        point = f"{owner.path}{one} {quantity}"
        found.append(Found(point, _said(owner, quantity, unit, one.strip()), unit, value, GOOD))
    return found


def _sensor(owner: Owner, one: str, resource: Mapping[str, Any]) -> list[Found]:
    """Return the reading of a sensor in a unit that is read here; what it is of, its name tells, or nobody does."""
    unit = SENSOR_UNITS.get(_text(resource.get("ReadingUnits")))
    if unit is None or "Reading" not in resource:
        return []
    value = _reading(f"{owner.path}{one}", resource["Reading"])
    state = _text(_mapping(resource.get("Status")).get("State")) or "Enabled"
    said = _said(owner, "", unit, f"{_text(resource.get('Name'))} {_text(resource.get('PhysicalContext'))}".strip())
    return [
        Found(f"{owner.path}{one}", said, unit, value, GOOD if state == "Enabled" else NOT_GOOD, _time_ms(resource))
    ]


def _time_ms(resource: Mapping[str, Any]) -> int:
    try:
        when = dt.datetime.fromisoformat(_text(resource.get("ReadingTime")))
    except ValueError:
        return 0
    return round(when.timestamp() * 1e3) if when.tzinfo else 0


def _said(owner: Owner, quantity: str, unit: str, words: str) -> dict[str, str]:
    return {
        "quantity": quantity,
        "unit": unit,
        "name": owner.name,
        "place": owner.place,
        "kind": owner.kind,
        "words": words,
    }


def propose(points: Mapping[str, Mapping[str, Any]], objects: Iterable[str]) -> list[Proposal]:
    """Return what points, each given with what was said of it, seem to be.

    Equipment goes to the object of its name, its identity or the rack that it stands in; sensors go by their words.
    """
    there = tuple(name for name in objects if not name.endswith("/accelerators"))
    called: dict[str, list[str]] = {}
    for name in there:
        called.setdefault(_plain(name.rpartition("/")[2]), []).append(name)
    worded = {f"{said.get('name')} {said.get('words')} [{said.get('unit')}]": point for point, said in points.items()}
    sensors = {
        text: str(points[point].get("unit")) for text, point in worded.items() if not points[point].get("quantity")
    }
    asked = []
    for entry in by_rules(sensors, there):
        point, mapped = worded[entry.point], entry.mapped
        if mapped is not None:
            mapped = MappedPoint(point, mapped.object, mapped.quantity, mapped.unit)
        asked.append(Proposal(mapped, point, min(entry.confidence, 0.7), entry.reason))
    for point, said in points.items():
        if quantity := str(said.get("quantity") or ""):
            asked.append(_proposal(point, quantity, said, called))
    return each_once(asked)


def _proposal(point: str, quantity: str, said: Mapping[str, Any], called: Mapping[str, list[str]]) -> Proposal:
    kind, unit = str(said.get("kind") or ""), str(said.get("unit") or "")
    path = point.partition(" ")[0]
    if quantity not in QUANTITIES or unit_named(unit) is None:
        return Proposal(None, point, 0.0, f"{quantity} is no quantity, or {unit} no unit")
    if " " in point.removesuffix(f" {quantity}") and quantity == "power_w":
        return Proposal(
            None, point, 0.2, f"{quantity} of a part of {said.get('name') or path}: map it where it is wanted"
        )
    for words, why in (
        (said.get("name"), "its name"),
        (path.rpartition("/")[2], "its identity"),
        (said.get("place"), "the rack that it stands in"),
    ):
        names = [name for name in called.get(_plain(str(words or "")), ()) if not kind or name.startswith(f"{kind}/")]
        if len(names) == 1:
            return Proposal(MappedPoint(point, names[0], quantity, unit), point, 0.9, why)
    return Proposal(None, point, 0.2, f"{quantity}, but no {kind or 'object'} is called {said.get('name') or path}")


def _reading(where: str, value: Any) -> float | None:
    number = _number(value)
    if number is None and value is not None:
        raise ValueError(f"{where}: Reading is {str(value)[:40]!r}; must be a number or null")
    return number


def _number(value: Any) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < 1e300:
        return None
    return float(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value[:120] if isinstance(value, str) and value.isprintable() else ""


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
