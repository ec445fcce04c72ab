"""Reading and writing YAML documents safely: bounded, no duplicate keys, plain numbers, one line per small object.

A document is built straight from libyaml's events, in one pass: time and memory grow with its length and nothing else,
and size, depth, values and numbers are capped before anything is made of them.

Plain words are read as YAML 1.2 reads them (core schema): `1e6` is a number, `010` is ten and not eight, `12:30` is no
count of seconds and `no` no truth value, as in the YAML 1.1 that the library knows.
"""

import json
import math
import re
from collections.abc import Callable
from typing import Any

import yaml

BYTES_PER_VALUE = 8  # of JSON, at least: a list of empty lists takes thirty times its text in memory
MAX_BYTES = 5 * 2**20  # 20,000 racks of a line each
MAX_DEPTH = 20  # a site file has five levels
MAX_VALUES = 400_000  # 20,000 racks of 16 fields, each with its key, are 640,000 scalars: half of them values
MAX_NUMBER_CHARS = 100  # longer ones cost more than their length to read
CACHED_CHARS = 24  # short scalars repeat: most of a file is the same few keys and numbers


class SiteFileError(ValueError):
    """A site file that cannot be used; the message names object, field, value and what is allowed."""


class Line(dict):
    """A mapping that is written on one line."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Gives events, and the plain data of single scalars."""


_TAG = "tag:yaml.org,2002:"
_SCALARS = {_TAG + name for name in ("str", "int", "float", "bool", "null", "timestamp")}
_COLLECTIONS = {None, "!", _TAG + "map", _TAG + "seq"}
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_NUMERAL = re.compile(r"[-+.:_0-9a-fA-FoOxX]+")


class _Builder:
    """Makes one document of a stream of events."""

    def __init__(self, content: str) -> None:
        self.loader = _Loader(content)
        self.known: dict[tuple[str, bool], Any] = {}
        self.n_values = 0

    def build(self) -> Any:
        """Return the plain data of the only document.

        Raises
        ------
        SiteFileError
            If it is nested too deep, has too many values, a key twice, an alias or a tag of its own.
        """
        root: list[Any] = []
        put: Callable[[Any, yaml.Event], None] = lambda value, event: root.append(value)  # noqa: E731
        stack: list[Callable[[Any, yaml.Event], None]] = []
        while self.loader.check_event():
            event = self.loader.get_event()
            if isinstance(event, yaml.ScalarEvent):
                put(self._scalar(event), event)
            elif isinstance(event, yaml.CollectionStartEvent):
                if len(stack) >= MAX_DEPTH:
                    raise _refusal(event, f"nested more than {MAX_DEPTH} levels deep")
                self._check(event, _COLLECTIONS)
                inner: list | dict = [] if isinstance(event, yaml.SequenceStartEvent) else {}
                put(inner, event)
                stack.append(put)
                put = _into_list(inner) if isinstance(inner, list) else _into_dict(inner)
            elif isinstance(event, yaml.CollectionEndEvent):
                put = stack.pop()
            elif isinstance(event, yaml.AliasEvent):
                raise _refusal(event, f"*{event.anchor} is an alias; write the value out")
        if len(root) > 1:
            raise SiteFileError("The file holds more than one YAML document; give one.")
        return root[0] if root else None

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        self._check(event, _SCALARS | {None, "!"})
        if event.tag is None and event.implicit[0]:  # plain, as almost every scalar of a file
            key = (event.value, True)
            if key in self.known:
                return self.known[key]
            value = self._resolved(event, self.loader.resolve(yaml.ScalarNode, event.value, event.implicit))
            if len(event.value) <= CACHED_CHARS:
                self.known[key] = value
            return value
        return event.value if event.tag in (None, "!") else self._resolved(event, event.tag)

    def _resolved(self, event: yaml.ScalarEvent, tag: str) -> Any:
        if len(event.value) > MAX_NUMBER_CHARS and (tag != _TAG + "str" or _NUMERAL.fullmatch(event.value)):
            raise _refusal(event, f"this is not plain YAML: a number of {len(event.value):,} characters")
        if tag not in _SCALARS:
            raise _refusal(event, f"this is not plain YAML: {event.value[:40]!r} is a {tag.removeprefix(_TAG)}")
        try:
            return self.loader.yaml_constructors[tag](self.loader, yaml.ScalarNode(tag, event.value))
        except (ValueError, KeyError, AttributeError, OverflowError) as error:
            name = tag.removeprefix(_TAG)
            raise _refusal(event, f"this is not plain YAML: {event.value[:40]!r} is no {name}") from error

    def _check(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, tags: set[str | None]) -> None:
        self.n_values += 1
        if self.n_values > 2 * MAX_VALUES:
            raise _refusal(event, f"more than {MAX_VALUES:,} values with their keys; split the file")
        if event.tag not in tags:
            raise _refusal(event, f"this is not plain YAML: it has the tag {event.tag[:60]!r}; write plain values")


def _into_list(inner: list) -> Callable[[Any, yaml.Event], None]:
    return lambda value, event: inner.append(value)


def _into_dict(inner: dict) -> Callable[[Any, yaml.Event], None]:
    """Return what takes keys and values by turns."""
    waiting: list[Any] = []

    def put(value: Any, event: yaml.Event) -> None:
        if waiting:
            inner[waiting.pop()] = value
            return
        if isinstance(value, list | dict):
            raise _refusal(event, "this is not plain YAML: a list or mapping as a key")
        if value in inner:
            raise _refusal(event, f"{str(value)[:60]} is given twice; give it once")
        waiting.append(value)

    return put


def _refusal(event: yaml.Event, what: str) -> SiteFileError:
    return SiteFileError(f"Line {event.start_mark.line + 1}: {what}.")


# YAML 1.2.2, chapter 10.3.2, without 0o17 and 0x1F: whoever writes those in a site file has slipped, and is told so.
_PLAIN_WORDS = (
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:int", r"[-+]?[0-9]+", "-+0123456789"),
    ("tag:yaml.org,2002:float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("tag:yaml.org,2002:float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
    ("tag:yaml.org,2002:merge", r"<<", "<"),  # of 1.1: refused rather than taken for a name
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", "~nN\0"),
)


def _resolvers() -> dict[str, list[tuple[str, re.Pattern]]]:
    found: dict[str, list[tuple[str, re.Pattern]]] = {}
    for tag, pattern, firsts in _PLAIN_WORDS:
        for first in firsts:
            found.setdefault("" if first == "\0" else first, []).append((tag, re.compile(rf"(?:{pattern})\Z")))
    return found


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):
    """Writes `Line` mappings in one line and whole floats without a point."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _float(word: str) -> float:
    return float(word.lower().replace(".inf", "inf").replace(".nan", "nan"))


def _represent_float(dumper: yaml.Dumper, value: float) -> yaml.ScalarNode:
    if value.is_integer() and abs(value) < 1e15:
        return dumper.represent_int(int(value))
    return yaml.SafeDumper.represent_float(dumper, value)


_Loader.yaml_implicit_resolvers = _resolvers()
# Texts that a reader of either version could take for something else are written in quotes.
_Dumper.yaml_implicit_resolvers = {
    first: [*_resolvers().get(first, []), *_Dumper.yaml_implicit_resolvers.get(first, [])]
    for first in {*_resolvers(), *_Dumper.yaml_implicit_resolvers}
}
# A leading nought is a decimal digit like the others, where the library's own reading takes it for octal.
_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node)))
_Loader.add_constructor("tag:yaml.org,2002:float", lambda loader, node: _float(loader.construct_scalar(node)))
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
    if not isinstance(raw, bytes):
        raise SiteFileError("The file is empty; it must be a mapping with site and layouts.")
    if len(raw) > MAX_BYTES:
        raise SiteFileError(f"The file has more than {MAX_BYTES:,} bytes; at most that many are read.")
    try:
        document = _Builder(raw.decode("utf-8")).build()
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SiteFileError(f"The file is not plain YAML: {error}") from error
    if not isinstance(document, dict):
        raise SiteFileError(f"The file holds {type(document).__name__}; it must be a mapping with site and layouts.")
    return document


def read_json(raw: bytes, max_bytes: int = MAX_BYTES) -> Any:
    """Return the data in a JSON text.

    Raises
    ------
    ValueError
        If it is too large, nested too deep, no JSON, or holds what JSON has no numbers for.
    """
    if len(raw) > max_bytes:
        raise ValueError(f"it has more than {max_bytes:,} bytes; at most that many are read")
    most_values = max_bytes // BYTES_PER_VALUE
    if (n_values := sum(map(raw.count, (b",", b"[", b"{")))) > most_values:
        raise ValueError(f"it has {n_values:,} values; at most {most_values:,} are read")
    try:
        content = json.loads(raw.decode("utf-8-sig"), parse_constant=_no_number)
        if _SURROGATE.search(raw):  # half a character cannot be stored or sent back
            json.dumps(content, ensure_ascii=False).encode()
        return content
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    except ValueError as error:
        if "integer string conversion" in str(error):  # Python's own limit
            raise ValueError("a number in it has more than 4,300 digits") from error
        raise


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


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
