"""How the replay's loops are compiled: without reference counting, without the interpreter's lock, cached by source."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


class Compiler(Protocol):
    """What makes a function faster and leaves its arguments and result as they are written."""

    def __call__(self, function: Function, /) -> Function: ...


# Tuples of arrays pass through many small functions; counting references to them took half of the time (measured:
# 76,000 requests/s with, 165,000 without). Nothing in these loops allocates, so there is nothing to count.
# Nor is there a refusal of each division by zero, nor an entry from C; and none from Python where only compiled
# functions call: it would unpack every array of every argument, which took a third of the compile time.
OPTIONS: dict[str, Any] = {"nogil": True, "_nrt": False, "error_model": "numpy", "no_cfunc_wrapper": True}
compiled: Compiler = njit(**OPTIONS)
PART: dict[str, Any] = {**OPTIONS, "no_cpython_wrapper": True}
compiled_part: Compiler = njit(**PART)
compiled_entry: Compiler = njit(**OPTIONS, cache=True)


def source_digest(*modules: ModuleType) -> int:
    """Return a number that changes when the source of any of the modules does.

    Numba's cache looks only at the file that holds the cached function, and would go on using old code when a function
    that it calls is changed in another file. So only entry points are cached, and they take this number as a closure
    variable, which is part of the cache's key.
    """
    digest = hashlib.sha256()
    for module in modules:
        digest.update(Path(str(module.__file__)).read_bytes())
    return int.from_bytes(digest.digest()[:7], "big")
