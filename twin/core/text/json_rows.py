"""Frozen dataclasses out of JSON and back, by their fields and types: what is stored is declared in one place."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin, get_type_hints

if TYPE_CHECKING:  # a name of type checkers' own
    from _typeshed import DataclassInstance

Row = TypeVar("Row", bound="DataclassInstance")
PLAIN = frozenset({str, int, float, bool, NoneType})
Reader = Callable[[Any, str], Any]  # of a JSON value and its place


def read_row(kind: type[Row], stored: Mapping[str, Any], where: str = "") -> Row:
    """Return JSON as a dataclass: rows in tuples and mappings are read too, entries that it does not know are left.

    Parameters
    ----------
    kind : type
        Fields with a default may be missing or null.
    stored : mapping
        The JSON object.
    where : str
        Its place, for messages.

    Raises
    ------
    ValueError
        If a field without a default is missing; the message names its place.
    """
    values, missing = {}, []
    for name, reader, required in _fields(kind):
        if name not in stored or (stored[name] is None and not required):
            missing += [name] if required else []
        elif reader is None:
            values[name] = stored[name]
        else:
            values[name] = reader(stored[name], f"{where}.{name}" if where else name)
    if missing:
        raise ValueError(f"{where or 'It'} has no {', '.join(missing)}.")
    return kind(**values)


def as_json(row: Any) -> dict[str, Any]:
    """Return a dataclass as JSON stores it."""
    return {name: _plain(getattr(row, name)) for name in _names(row.__class__)}


def _plain(value: Any) -> Any:
    """Return a value with its rows as objects; `dataclasses.asdict` would copy every number of them deeply."""
    kind = type(value)
    if kind in PLAIN:
        return value
    if kind in (tuple, list):
        return kind([_plain(entry) for entry in value])
    if kind is dict:
        return {name: _plain(entry) for name, entry in value.items()}
    if is_dataclass(kind):
        return as_json(value)
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    return value


@cache
def _names(kind: "type[DataclassInstance]") -> tuple[str, ...]:
    return tuple(entry.name for entry in fields(kind))


@cache
def _fields(kind: "type[DataclassInstance]") -> tuple[tuple[str, Reader | None, bool], ...]:
    """Return each field's name, what reads it (None: it is plain) and whether it must be there."""
    hints = get_type_hints(kind)
    return tuple(
        (entry.name, _reader(hints[entry.name]), entry.default is MISSING and entry.default_factory is MISSING)
        for entry in fields(kind)
    )


def _reader(hint: Any) -> Reader | None:
    """Return what reads a value of a type; None where JSON already has it."""
    origin, inner = get_origin(hint), [arg for arg in get_args(hint) if arg not in (NoneType, Ellipsis)]
    if isinstance(hint, type) and is_dataclass(hint):
        return lambda stored, where: read_row(hint, stored, where)
    if origin is tuple:
        of_row = _reader(inner[0])
        if of_row is None:
            return lambda stored, where: tuple(stored)
        return lambda stored, where: tuple(of_row(row, f"{where}[{i}]") for i, row in enumerate(stored))
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        of_value, key = _reader(inner[1]), inner[0]
        if of_value is None and key is str:
            return None
        of_value = of_value or (lambda stored, where: stored)
        return lambda stored, where: {key(name): of_value(value, f"{where}.{name}") for name, value in stored.items()}
    if len(inner) == 1 and len(get_args(hint)) == 2 and origin is not None:  # "X | None"
        of_present = _reader(inner[0])
        return of_present and (lambda stored, where: None if stored is None else of_present(stored, where))
    return None
