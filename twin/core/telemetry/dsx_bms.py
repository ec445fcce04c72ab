"""Building-management points as NVIDIA DSX Exchange has them over MQTT (BMS schema 1.0.0): topics, metadata, values.

A topic is `BMS/v1/PUB/Value/{objectType}/{pointType}/{tagPath}`, its retained twin under `Metadata` says unit and
identity. The schema has no side of a CDU and no supply or return: process area and tag path tell, or nobody does, and
then the point is left to be mapped by hand.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from twin.core.telemetry.quantities import QUANTITIES, Unit, point_name, unit_named
from twin.core.telemetry.readings import MappedPoint, Proposal, each_once

ROOT = "BMS/v1"
PUBLISHER = "PUB"  # the building's own; an integration writes its name there
VALUE, METADATA = "Value", "Metadata"
MOST_BYTES = 16_384  # of a message
MOST_NAME = 200
HELD_S = 100.0  # a value is sent again after so long, changed or not
HIDDEN = {"System"}  # heartbeats: no measurement


@dataclass(frozen=True, slots=True)
class Topic:
    """What a topic says. `point` is how the point is called here, whichever of its two topics came."""

    what: str  # Value or Metadata
    object_type: str
    point_type: str
    tag_path: str

    @property
    def point(self) -> str:
        return f"{self.object_type}/{self.point_type}/{self.tag_path}"


@dataclass(frozen=True, slots=True)
class Written:
    """How a quantity of ours is written: object and point type, unit and process area."""

    object_type: str
    point_type: str
    unit: str
    process_area: str = ""


_SIDES = {"primary": "FWS", "secondary": "TCS"}  # facility water system, technology cooling system
RACK_POINTS = {
    "power_w": ("RackPower", "kW"),
    "liquid_supply_degc": ("RackLiquidSupplyTemperature", "C"),
    "liquid_return_degc": ("RackLiquidReturnTemperature", "C"),
    "liquid_flow_kg_s": ("RackLiquidFlow", "LPM"),
    "valve_frac": ("RackControlValvePosition", "%"),
}
EQUIPMENT_POINTS = {
    **{
        f"{side}_{quantity}": (point_type, unit, f"{area} {words}".strip())
        for side, area in _SIDES.items()
        for quantity, point_type, unit, words in (
            ("supply_degc", "LiquidTemperature", "C", "supply"),
            ("return_degc", "LiquidTemperature", "C", "return"),
            ("flow_kg_s", "LiquidFlow", "LPM", ""),
            ("differential_pressure_pa", "LiquidDifferentialPressure", "kPa", ""),
        )
    },
    "liquid_supply_degc": ("LiquidTemperature", "C", "supply"),
    "liquid_return_degc": ("LiquidTemperature", "C", "return"),
    "liquid_flow_kg_s": ("LiquidFlow", "LPM", ""),
    "air_supply_degc": ("AirTemperature", "C", "supply air"),
    "air_return_degc": ("AirTemperature", "C", "return air"),
    "valve_frac": ("ValvePosition", "%", ""),
    "speed_frac": ("PumpSpeed", "%", ""),
    "dry_bulb_degc": ("AirTemperature", "C", "outdoor dry bulb"),
}
OBJECT_TYPES = {"cdu": "CDU", "air-unit": "CRAH", "weather": "Sensor"}
_READ_UNITS = {"dimensionless": "1", "lpm": "l/min", "l/m": "l/min"}


def topic_of(text: str) -> Topic | None:
    """Return what a topic says, or None where it is none of a BMS."""
    parts = text.split("/", 6)
    if len(parts) != 7 or parts[:2] != ROOT.split("/") or parts[3] not in (VALUE, METADATA) or not all(parts):
        return None
    return Topic(*parts[3:])


def written(name: str, quantity: str) -> Written:
    """Return how a point of ours is written.

    Parameters
    ----------
    name : str
        Object: cdu/CDU-2, rack/HALL/NAME, site.
    quantity : str
    """
    kind = "accelerators" if name.endswith("/accelerators") else name.partition("/")[0]
    if kind == "rack" and quantity in RACK_POINTS:
        return Written("Rack", *RACK_POINTS[quantity])
    if quantity == "power_w" and kind != "accelerators":
        return Written("PowerMeter", "ActivePower", "kW")
    object_type = OBJECT_TYPES.get(kind, "GenericObject")
    if quantity in EQUIPMENT_POINTS and kind != "accelerators" and (quantity != "speed_frac" or kind == "cdu"):
        return Written(object_type, *EQUIPMENT_POINTS[quantity])
    return Written(object_type, "GenericPoint", QUANTITIES[quantity].unit, quantity)


def topic_text(name: str, quantity: str, what: str = VALUE) -> str:
    """Return the topic of a point of ours; its tag path carries object and quantity."""
    here = written(name, quantity)
    return f"{ROOT}/{PUBLISHER}/{what}/{here.object_type}/{here.point_type}/{quote(name, safe='/ ')}/{quantity}"


def value_text(name: str, quantity: str, time_s: float, value: float, quality: int = 1) -> str:
    """Return the message of a value in SI at a time [s since 1970]; null where there is none."""
    unit = _unit(written(name, quantity).unit)
    number = float(f"{(value - unit.offset) / unit.scale:.9g}") if value == value else None  # noqa: PLR0124  NaN
    return json.dumps({"value": number, "timestamp": round(time_s * 1e3), "quality": quality})


def _unit(text: str) -> Unit:
    unit = unit_named(_READ_UNITS.get(text.lower(), text))
    if unit is None:
        raise ValueError(f"unit {text} is unknown")
    return unit


def metadata_of(name: str, quantity: str, serves: Sequence[str] = ()) -> dict[str, Any]:
    """Return what is retained about a point of ours: type, unit, identity, and which objects its own one serves."""
    here = written(name, quantity)
    found: dict[str, Any] = {
        "objectType": here.object_type,
        "pointType": here.point_type,
        "engUnit": here.unit,
    }
    if here.object_type == "Rack":
        return found | {"rackLocationName": name.rpartition("/")[2], "rackLocationId": object_id(name)}
    found |= {"objectName": name.partition("/")[2] or name, "objectId": object_id(name)}
    if here.object_type == "PowerMeter":
        found |= {"objectId": f"{object_id(name)}-meter", "servesId": list(serves) or [object_id(name)]}
    elif serves:
        found |= {"servesId": list(serves)}
    if here.process_area:
        found |= {"processArea": [here.process_area]}
    return found


def object_id(name: str) -> str:
    """Return the identity of an object of ours."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def json_of(payload: bytes) -> dict[str, Any]:
    """Return a message's object.

    Raises
    ------
    ValueError
        If it is none, or longer than a message may be.
    """
    if len(payload) > MOST_BYTES:
        raise ValueError(f"message has more than {MOST_BYTES:,} bytes")
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise ValueError("message is no JSON") from error
    if not isinstance(found, dict):
        raise ValueError("message is no object")
    return found


def value_of(payload: bytes) -> tuple[int, float, int]:
    """Return time [ms since 1970], value and quality of a value's message.

    Raises
    ------
    ValueError
        With the reason that refuses it.
    """
    found = json_of(payload)
    if found.keys() != {"value", "timestamp", "quality"}:
        raise ValueError("message must have value, timestamp and quality, and nothing else")
    value, timestamp, quality = found["value"], found["timestamp"], found["quality"]
    if value is None or value != value:  # noqa: PLR0124  NaN
        raise ValueError("no value")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("value is no number")
    if isinstance(timestamp, bool) or not isinstance(timestamp, int):
        raise ValueError("timestamp is no whole number of milliseconds")
    if isinstance(quality, bool) or not isinstance(quality, int) or not 0 <= quality <= 255:
        raise ValueError("quality is no whole number 0 to 255")
    try:
        return timestamp, float(value), quality
    except OverflowError as error:
        raise ValueError("value is no number") from error


def checked_metadata(topic: Topic, payload: bytes) -> dict[str, Any]:
    """Return what a metadata message says of a point.

    Raises
    ------
    ValueError
        If it contradicts its topic, has both or neither of unit and states, or says who it is of in no known way.
    """
    found = json_of(payload)
    for key, said in (("objectType", topic.object_type), ("pointType", topic.point_type)):
        if found.get(key) != said:
            raise ValueError(f"metadata: {key} is {str(found.get(key))[:40]}, its topic says {said}")
    if "engUnit" in found and "stateText" in found:
        raise ValueError("metadata has both engUnit and stateText")
    for key in ("servesId", "processArea"):
        if not isinstance(found.get(key, []), list) or not all(isinstance(one, str) for one in found.get(key, [])):
            raise ValueError(f"metadata: {key} must be a list of texts")
    return {key: value for key, value in found.items() if isinstance(value, str | list | bool | int | float)}


def unit_of(metadata: Mapping[str, Any]) -> str:
    """Return a point's unit as we write it, or as it came where we do not know it."""
    text = str(metadata.get("engUnit") or "")[:20]
    return _READ_UNITS.get(text.strip().lower(), text)


def propose(points: Mapping[str, Mapping[str, Any]], objects: Iterable[str]) -> list[Proposal]:
    """Return what each point, given with its metadata, seems to be; an object's quantity goes to the surest point.

    Parameters
    ----------
    points : mapping
        Metadata by point, as `Topic.point` calls it.
    objects : iterable of str
        Of the site.
    """
    there = _There.of(objects)
    by_id = {
        str(entry["objectId"]): str(entry.get("objectName", "")) for entry in points.values() if entry.get("objectId")
    }
    return each_once([_proposal(point, metadata, there, by_id) for point, metadata in points.items()])


@dataclass(frozen=True, slots=True)
class _There:
    """The objects of a site, and by the words and identity that they may be called by."""

    names: set[str]
    called: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, objects: Iterable[str]) -> "_There":
        called: dict[str, list[str]] = {}
        for name in dict.fromkeys(objects):
            if not name.endswith("/accelerators"):
                for word in {_words(name.rpartition("/")[2]), object_id(name)}:
                    called.setdefault(word, []).append(name)
        return cls(set(objects), called)


def _proposal(point: str, metadata: Mapping[str, Any], there: _There, by_id: Mapping[str, str]) -> Proposal:
    object_type, point_type, tag_path = point.split("/", 2)
    if object_type in HIDDEN or metadata.get("stateText") or metadata.get("isSetpoint") or "Request" in point_type:
        return Proposal(None, point, 0.0, "no measurement: a state, a set point or a heartbeat")
    unit = unit_of(metadata)
    if carried := _carried(tag_path, there.names):
        name, quantity = carried
        if (here := written(name, quantity)).object_type == object_type and here.point_type == point_type:
            # Under the name that carries its own mapping: the same point, whichever door its readings come through.
            mapped = MappedPoint(point_name(name, quantity), name, quantity, unit)
            return Proposal(mapped, point, 1.0, "its tag path says so")
    words = _words(" ".join([*map(str, metadata.get("processArea", [])), unquote(tag_path).replace("/", " ")]))
    quantity, why = _quantity(object_type, point_type, words, unit)
    if not quantity:
        return Proposal(None, point, 0.0 if not why else 0.2, why or f"{object_type} {point_type} has no quantity here")
    names = _objects(object_type, metadata, words, there, by_id)
    if len(names) != 1:
        many = f"could be {', '.join(names[:3])}" if names else "no object has its name"
        return Proposal(None, point, 0.2, f"{quantity}, but {many}")
    si = QUANTITIES[quantity].unit
    known = unit_named(unit) if unit else None
    if known is None or known.si != si:
        return Proposal(None, point, 0.2, f"{names[0]} {quantity}, but unit {unit or 'is missing'} is none of it")
    return Proposal(MappedPoint(point[:MOST_NAME], names[0], quantity, unit), point, 0.9, "name, type and unit")


def _carried(tag_path: str, objects: set[str]) -> tuple[str, str] | None:
    """Return object and quantity that a tag path of ours carries, if it is one."""
    name, _, quantity = unquote(tag_path).rpartition("/")
    known = name in objects or (name.startswith("workload/") and len(name) > len("workload/"))
    return (name, quantity) if quantity in QUANTITIES and known else None


def _quantity(object_type: str, point_type: str, words: str, unit: str) -> tuple[str, str]:
    """Return a quantity, or why none can be told."""
    if object_type == "Rack":
        return next((name for name, (kind, _) in RACK_POINTS.items() if kind == point_type), ""), ""
    if object_type == "PowerMeter":
        return ("power_w", "") if point_type == "ActivePower" else ("", "")
    if object_type == "Sensor" and point_type == "AirTemperature" and re.search(r"outdoor|outside|oat|ambient", words):
        return ("wet_bulb_degc" if "wet" in words else "dry_bulb_degc"), ""
    if point_type in ("ValvePosition", "PumpSpeed") and object_type == "CDU":
        return ("valve_frac" if point_type == "ValvePosition" else "speed_frac"), ""
    end = _one_of(words, {"return": r"ret|rtn|out|leaving|lwt", "supply": r"sup|in|entering|ewt"})
    side = _one_of(words, {"primary": r"pri|fws|facility|chw|fwr|primary", "secondary": r"sec|tcs|rack|server"})
    if object_type == "CDU" and point_type.startswith("Liquid"):
        what = {
            "LiquidTemperature": "degc",
            "LiquidFlow": "flow_kg_s",
            "LiquidDifferentialPressure": "differential_pressure_pa",
        }.get(point_type)
        if what is None:
            return "", ""
        if not side or (what == "degc" and not end):
            return "", f"neither process area nor tag path says which {'end' if side else 'side'} of the CDU it is on"
        return (f"{side}_{end}_degc" if what == "degc" else f"{side}_{what}"), ""
    if point_type == "AirTemperature" and object_type in ("CRAH", "CRAC", "AHU"):
        return (f"air_{end}_degc", "") if end else ("", "neither process area nor tag path says supply or return")
    if point_type == "LiquidTemperature" and object_type == "GenericObject":
        return (f"liquid_{end}_degc", "") if end else ("", "neither process area nor tag path says supply or return")
    return "", ""


def _one_of(words: str, rules: Mapping[str, str]) -> str:
    found = [name for name, rule in rules.items() if re.search(rf"\b(?:{rule})\w*", words)]
    return found[0] if len(found) == 1 else ""


KINDS = {"Rack": ("rack",), "CDU": ("cdu",), "CRAH": ("air-unit",), "CRAC": ("air-unit",), "AHU": ("air-unit",)}


def _objects(
    object_type: str, metadata: Mapping[str, Any], words: str, there: _There, by_id: Mapping[str, str]
) -> list[str]:
    if object_type == "Sensor":
        return ["weather"]
    served = metadata.get("servesId", []) if object_type == "PowerMeter" else []
    names = [metadata.get("rackLocationName") or metadata.get("objectName")]
    if len(served) == 1:
        names += [by_id.get(served[0]), served[0]]
    kinds = KINDS.get(object_type, ("feed", "cdu", "plant", "air-unit", "rack", "site"))
    keys = dict.fromkeys(key for text in names if text for key in (_words(str(text)), str(text)))
    found = (name for key in keys for name in there.called.get(key, ()))
    alike = [name for name in dict.fromkeys(found) if name.partition("/")[0] in kinds]
    if len(alike) > 1:  # racks of several halls: the tag path may name the hall
        return [
            name for name in alike if all(f" {_words(part)} " in f" {words} " for part in name.split("/")[1:])
        ] or alike
    return alike


def topology(points: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Return which objects say that they serve which others, by the names that they have there."""
    names: dict[str, str] = {}
    for key, called in (("objectId", "objectName"), ("rackLocationId", "rackLocationName")):
        for entry in points.values():
            if entry.get(key):
                names[str(entry[key])] = str(entry.get(called) or entry[key])
    seen = set()
    for entry in points.values():
        link = (
            str(entry.get("objectName", "")),
            tuple(names.get(identity, identity) for identity in entry.get("servesId", [])),
        )
        if link[0] and link[1] and link not in seen:
            seen.add(link)
            yield link


def _words(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", name.lower()).strip()
