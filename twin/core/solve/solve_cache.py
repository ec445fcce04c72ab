"""Solved parts of a site, kept by all that they depend on: after an edit of one hall the others are not solved again.

Knows no Django. The key is a digest of every array that went into the solve, so nothing that changed is ever reused.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # a name of type checkers' own
    from _typeshed import DataclassInstance

MOST = 64  # results kept: some layouts of ten islands each


def remembered(solve: Callable[..., Any], most: int = MOST) -> Callable[..., Any]:
    """Return `solve` with its latest results kept by the content of its arguments; safe between threads."""
    kept: OrderedDict[bytes, Any] = OrderedDict()
    lock = threading.Lock()

    def solved(*args: Any, **options: Any) -> Any:
        key = content_key(*args, *(item for pair in sorted(options.items()) for item in pair))
        with lock:
            if key in kept:
                kept.move_to_end(key)
                return kept[key]
        result = solve(*args, **options)
        with lock:
            kept[key] = result
            while len(kept) > most:
                kept.popitem(last=False)
        return result

    return solved


def content_key(*values: Any) -> bytes:
    """Return a digest of arrays, frozen dataclasses of arrays, and plain values."""
    parts: list[bytes] = []
    _add(parts, values)
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.digest()


def _add(parts: list[bytes], value: Any) -> None:
    """Append what a value consists of; each part says what follows it, so that no two values spell alike."""
    kind = type(value)
    if kind is np.ndarray:
        parts += (f"{value.dtype.str}{value.shape}".encode(), value.tobytes())
    elif kind in PLAIN or (kind in (tuple, list) and PLAIN.issuperset(map(type, value))):
        parts.append(f"{value!r};".encode())
    elif kind in (tuple, list):
        parts.append(f"{len(value)}(".encode())
        for inner in value:
            _add(parts, inner)
    elif is_dataclass(value) and not isinstance(value, type):
        for name in _names(type(value)):
            _add(parts, getattr(value, name))
    else:
        raise TypeError(f"a {kind.__name__} has no content that can be compared")


PLAIN = frozenset({str, int, float, bool, type(None)})


@lru_cache(maxsize=64)
def _names(kind: "type[DataclassInstance]") -> tuple[str, ...]:
    return tuple(entry.name for entry in fields(kind))
