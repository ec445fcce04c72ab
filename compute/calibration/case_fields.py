"""Fields of a serving case as text: names, numbers and choices, each refused with its column and what is allowed."""

import math
from collections.abc import Mapping, Sequence
from typing import Any


def missing(name: str) -> str:
    """Refuse a blank field that has no default."""
    raise ValueError(f"{name} is blank; give a value")


def known_name(text: Mapping[str, str], column: str, known: Mapping[str, Any]) -> Any:
    """Return the catalogue's entry of a name."""
    name = text.get(column, "")
    if not name:
        raise ValueError(f"{column} is blank; give one of the catalogue's")
    if name not in known:
        raise ValueError(f"{column} {name!r} is not in the catalogue; it has {', '.join(sorted(known))}")
    return known[name]


def number(
    text: Mapping[str, str], column: str, *, least: float = -math.inf, above: float = -math.inf, whole: bool = False
) -> float:
    """Return a number within its bounds."""
    written = text.get(column, "")
    if not written:
        raise ValueError(f"{column} is blank; give a number")
    try:
        value = float(written)
    except ValueError:
        raise ValueError(f"{column} is {written!r}; must be a number") from None
    if not math.isfinite(value) or value < least or value <= above or value > 1e12:
        bound = f"{least:g} or more" if least > -math.inf else f"greater than {above:g}"
        raise ValueError(f"{column} is {written}; must be {bound} and finite")
    if whole and value != int(value):
        raise ValueError(f"{column} is {written}; must be a whole number")
    return value


def count(text: Mapping[str, str], column: str) -> int | None:
    """Return a whole number of parallel ranks, None where blank; 0 means 1."""
    if not text.get(column):
        return None
    return max(1, int(number(text, column, least=0.0, whole=True)))


def choice(text: Mapping[str, str], column: str, allowed: Sequence[str], default: str) -> str:
    """Return one of the allowed words, the default where blank."""
    word = text.get(column, "").lower() or default
    if word not in allowed:
        raise ValueError(f"{column} is {word!r}; must be one of {', '.join(allowed)}")
    return word
