"""Reading and writing YAML documents safely: size cap, no duplicate keys, plain numbers, one line per small object."""

import math
from typing import Any

import yaml

MAX_BYTES = 20 * 2**20
MAX_DEPTH = 20  # a site file has five levels


class SiteFileError(ValueError):
    """A site file that cannot be used; the message names object, field, value and what is allowed."""


class Line(dict):
    """A mapping that is written on one line."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Builds plain data only; refuses a key that appears twice, which YAML itself would silently override."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        double = next((key for key in keys if keys.count(key) > 1), None) if len(keys) != len(set(keys)) else None
        if double is not None:
            raise SiteFileError(f"Line {node.start_mark.line + 1}: {double} is given twice; give it once.")
        return super().construct_mapping(node, deep)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):
    """Writes `Line` mappings in one line and whole floats without a point."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_float(dumper: yaml.Dumper, value: float) -> yaml.ScalarNode:
    if value.is_integer() and abs(value) < 1e15:
        return dumper.represent_int(int(value))
    return yaml.SafeDumper.represent_float(dumper, value)


_Dumper.add_representer(float, _represent_float)
_Dumper.add_representer(Line, lambda dumper, data: dumper.represent_mapping("tag:yaml.org,2002:map", data, True))


def read(content: bytes | str) -> dict[str, Any]:
    """Return the mapping in a YAML document.

    Raises
    ------
    SiteFileError
        If it is too large, no YAML, holds anything but plain data, or is no mapping.
    """
    raw = content.encode() if isinstance(content, str) else content
    if len(raw) > MAX_BYTES:
        raise SiteFileError(f"The file has {len(raw):,} bytes; at most {MAX_BYTES:,} are read.")
    try:
        content = raw.decode("utf-8")
        _check_shape(content)
        document = yaml.load(content, Loader=_Loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        if isinstance(error, SiteFileError):
            raise
        raise SiteFileError(f"The file is not plain YAML: {error}") from error
    if not isinstance(document, dict):
        raise SiteFileError(f"The file holds {type(document).__name__}; it must be a mapping with site and layouts.")
    return document


def _check_shape(content: str) -> None:
    """Refuse deep nesting, on which libyaml's loader overflows the C stack, and aliases, which can grow without end."""
    depth = 0
    for event in yaml.parse(content, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise SiteFileError(f"Line {event.start_mark.line + 1}: nested more than {MAX_DEPTH} levels deep.")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            raise SiteFileError(f"Line {event.start_mark.line + 1}: *{event.anchor} is an alias; write the value out.")


def write(document: dict[str, Any]) -> str:
    """Return a document as YAML, in the order of its keys."""
    return yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=1_000_000
    )


def mapping(value: Any, where: str, allowed: tuple[str, ...]) -> dict[str, Any]:
    """Return a mapping after checking that it is one and has only allowed keys."""
    if not isinstance(value, dict):
        raise SiteFileError(f"{where} is {_shown(value)}; must be a mapping with {', '.join(allowed)}.")
    for key in value:
        if key not in allowed:
            raise SiteFileError(f"{where}: {key!r} is unknown; allowed are {', '.join(allowed)}.")
    return value


def listing(value: Any, where: str) -> list[Any]:
    """Return a list after checking that it is one; nothing counts as empty."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise SiteFileError(f"{where} is {_shown(value)}; must be a list.")
    return value


def text(value: Any, where: str) -> str:
    """Return a text after checking that it is one."""
    if not isinstance(value, str):
        hint = " (put it in quotes)" if isinstance(value, int | float) else ""
        raise SiteFileError(f"{where} is {_shown(value)}; must be a text{hint}.")
    return value


def number(value: Any, where: str) -> float:
    """Return a finite number after checking that it is one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SiteFileError(f"{where} is {_shown(value)}; must be a number.")
    return value


def whole(value: Any, where: str) -> int:
    """Return a whole number after checking that it is one."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise SiteFileError(f"{where} is {_shown(value)}; must be a whole number.")
    return value


def flag(value: Any, where: str) -> bool:
    """Return true or false after checking that it is one."""
    if not isinstance(value, bool):
        raise SiteFileError(f"{where} is {_shown(value)}; must be true or false.")
    return value


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}…"
