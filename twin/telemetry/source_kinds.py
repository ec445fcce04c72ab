"""Kinds of telemetry sources: which addresses and options each takes."""

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from twin import outgoing
from twin.models import TelemetrySource

MOST_TOPICS = 20
MOST_TOPIC = 200  # characters
DSX_TOPICS = ("BMS/v1/PUB/Value/#", "BMS/v1/PUB/Metadata/#")
MOST_QUERIES = 20
MOST_QUERY = 2000  # characters
LOGINS = ("session", "basic")
MOST_BACK_S = 30 * 86_400
#: Seconds that a source which is asked may be given: least, most, and where nothing is said.
SECONDS: Mapping[str, tuple[int, int, int]] = {"step_s": (10, 3600, 60), "back_s": (0, MOST_BACK_S, 3600)}


@dataclass(frozen=True, slots=True)
class Scheme:
    """What the beginning of an address says."""

    port: int  # where none is written
    tls: bool


@dataclass(frozen=True, slots=True)
class Address:
    """Where a source is."""

    scheme: str
    host: str
    port: int
    tls: bool


@dataclass(frozen=True, slots=True)
class SourceKind:
    """What is particular to a kind."""

    schemes: Mapping[str, Scheme]  # empty: it is not called
    has_path: bool  # of its addresses
    options: Callable[[Mapping[str, Any]], dict[str, Any]]  # checked and filled up; raises ValueError


WEB = {"https": Scheme(443, tls=True), "http": Scheme(80, tls=False)}


def check_address(kind: str, text: str) -> None:
    """Raise ValueError unless a source of a kind can have an address; one that is not called has none."""
    if KINDS[kind].schemes:
        address_of(kind, text)
    elif text:
        raise ValueError(f"address is {text[:80]}; must be empty, as nobody is called: the source sends by itself")


def address_of(kind: str, text: str) -> Address:
    """Read an address of a kind of source.

    Raises
    ------
    ValueError
        If it is none, or is written as an IP address that may not be called. A name is resolved at each call.
    """
    schemes = KINDS[kind].schemes
    written = " or ".join(f"{scheme}://" for scheme in schemes)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"address is {text[:80]}; it is none: {error}") from error
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(f"address is {text[:80]}; must begin with {written}, then a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("address has a name or password in it; they have fields of their own")
    if parts.query or parts.fragment or (parts.path not in ("", "/") and not KINDS[kind].has_path):
        raise ValueError(f"address is {text[:80]}; must end after host and port")
    scheme = schemes[parts.scheme]
    port = scheme.port if port is None else port
    if port not in {entry.port for entry in schemes.values()} and not 1024 <= port < 65536:
        raise ValueError(f"address has port {port}; must be {scheme.port}, or 1024 to 65535")
    try:
        ipaddress.ip_address(parts.hostname)
    except ValueError:
        pass
    else:
        try:
            outgoing.checked_addresses(parts.hostname, port)
        except outgoing.CallRefused as refusal:
            raise ValueError(f"address is {text[:80]}: {str(refusal).rstrip('.')}") from refusal
    return Address(parts.scheme, parts.hostname, port, scheme.tls)


def options_of(kind: str, options: Any) -> dict[str, Any]:
    """Return the options of a kind of source, checked and filled up.

    Raises
    ------
    ValueError
        If one is unknown or odd.
    """
    if not isinstance(options, Mapping):
        raise ValueError("options must be an object")
    return KINDS[kind].options(options)


def _check_names(options: Mapping[str, Any], what: str, names: Sequence[str]) -> None:
    if unknown := sorted(map(str, set(options) - set(names))):
        raise ValueError(f"options has {unknown[0][:60]}; of {what} there is {' and '.join(names)}")


def _seconds(options: Mapping[str, Any], name: str) -> int:
    least, most, usual = SECONDS[name]
    value = options.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name} is {str(value)[:40]}; must be a whole number of seconds, {least:,} to {most:,}")
    return value


def _mqtt_options(options: Mapping[str, Any]) -> dict[str, Any]:
    _check_names(options, "an MQTT broker", ["topics"])
    topics = options.get("topics") or list(DSX_TOPICS)
    if not isinstance(topics, list) or len(topics) > MOST_TOPICS:
        raise ValueError(f"topics must be a list of 1 to {MOST_TOPICS} topic filters")
    for topic in topics:
        if not isinstance(topic, str) or not 0 < len(topic) <= MOST_TOPIC or not topic.isprintable():
            raise ValueError(f"topics has {str(topic)[:80]!r}; must be 1 to {MOST_TOPIC} printable characters")
        levels = topic.split("/")
        if "#" in "/".join(levels[:-1]) or any(len(level) > 1 and set(level) & set("#+") for level in levels):
            raise ValueError(f"topics has {topic[:80]}; + stands for a whole level, # for all that follow")
    return {"topics": topics}


def _prometheus_options(options: Mapping[str, Any]) -> dict[str, Any]:
    _check_names(options, "a Prometheus server", ["queries", "step_s", "back_s"])
    queries = options.get("queries") or []
    if not isinstance(queries, list) or len(queries) > MOST_QUERIES:
        raise ValueError(f"queries must be a list of at most {MOST_QUERIES} PromQL expressions")
    for query in queries:
        if not isinstance(query, str) or not 0 < len(query) <= MOST_QUERY or not query.isprintable():
            raise ValueError(f"queries has {str(query)[:80]!r}; must be 1 to {MOST_QUERY:,} printable characters")
    return {"queries": queries} | {name: _seconds(options, name) for name in ("step_s", "back_s")}


def _redfish_options(options: Mapping[str, Any]) -> dict[str, Any]:
    _check_names(options, "a Redfish service", ["step_s", "login"])
    login = options.get("login", LOGINS[0])
    if login not in LOGINS:
        raise ValueError(f"login is {str(login)[:40]}; must be {' or '.join(LOGINS)}")
    return {"step_s": _seconds(options, "step_s"), "login": login}


def _remote_write_options(options: Mapping[str, Any]) -> dict[str, Any]:
    _check_names(options, "remote write", ["step_s", "by_name"])
    by_name = options.get("by_name", False)
    if not isinstance(by_name, bool):
        raise ValueError(f"by_name is {str(by_name)[:40]}; must be true or false")
    return {"step_s": _seconds(options, "step_s"), "by_name": by_name}


KINDS: Mapping[str, SourceKind] = {
    TelemetrySource.Kind.MQTT: SourceKind(
        {"mqtts": Scheme(8883, tls=True), "mqtt": Scheme(1883, tls=False)}, has_path=False, options=_mqtt_options
    ),
    TelemetrySource.Kind.PROMETHEUS: SourceKind(WEB, has_path=True, options=_prometheus_options),
    TelemetrySource.Kind.REDFISH: SourceKind(WEB, has_path=False, options=_redfish_options),
    TelemetrySource.Kind.REMOTE_WRITE: SourceKind({}, has_path=False, options=_remote_write_options),
}
