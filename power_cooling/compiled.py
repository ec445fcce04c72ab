"""How solvers are compiled, and compiled code that no longer matches its sources.

Numba renews a function's cache when the function's own file changes, not when a file changes whose functions it calls.
After an update the old machine code of a caller would go on being used, so caches older than any source of the solvers
are dropped when this module is loaded, which is before any of them is.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from power_cooling.first_use import PACKAGE, sources
from power_cooling.linked_parts import LinkedParts

FloatArray = NDArray[np.float64]
Function = TypeVar("Function", bound=Callable[..., Any])


class Compiler(Protocol):
    """What makes a function faster and leaves its arguments and result as they are written."""

    def __call__(self, function: Function, /) -> Function: ...


# What the compiler does is proportional to the code that it makes, so it is asked for none that nobody uses: no
# counting of references (compiled functions get their arrays and make none), no refusal of each division by zero (inf
# and nan come out, as from NumPy), no entry for C programs.
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
WITHOUT_ARRAYS: dict[str, Any] = {"_nrt": False}  # Numba's own types leave it out
compiled: Compiler = njit(**OPTIONS, **WITHOUT_ARRAYS, cache=True)
# For the few that make arrays.
compiled_with_arrays: Compiler = njit(**OPTIONS, cache=True)
# For functions that only compiled ones call: no entry from Python, which would unpack every array of every argument,
# and no machine code, nor anything on disk, because the caller's holds theirs.
PART: dict[str, Any] = {**OPTIONS, **WITHOUT_ARRAYS, "no_cpython_wrapper": True, "pipeline_class": LinkedParts}
compiled_part: Compiler = njit(**PART)


def broadcast(loop: Callable[[FloatArray, FloatArray], None], *given: ArrayLike) -> FloatArray:
    """Return what a compiled loop makes of values that broadcast.

    Parameters
    ----------
    loop : callable
        Called with the values as rows of one table, shape (n_given, n), and with what it fills, shape (n,). Not a ufunc
        of Numba: each would be made again in every process, a tenth of a second.
    *given : array_like
        Values.

    Returns
    -------
    ndarray
        Of the shape that the values broadcast to.
    """
    table = np.array(np.broadcast_arrays(*given), dtype=np.float64)
    filled = np.empty(table.shape[1:])
    loop(table.reshape(len(given), -1), filled.reshape(-1))
    return filled[()]  # a number where numbers were given, as NumPy answers


def drop_stale(package: Path, sources: Iterable[Path]) -> int:
    """Remove the caches below `package` that are older than the newest of `sources`; return how many.

    A folder that cannot be written is left as it is: Numba then keeps its cache elsewhere, by the same rule of its own.
    """
    newest = max((path.stat().st_mtime for path in sources), default=0.0)
    dropped = 0
    for index in package.rglob("__pycache__/*.nb[ic]"):
        try:
            if index.stat().st_mtime < newest:
                index.unlink()
                dropped += 1
        except OSError:
            # Another process was quicker, or the folder is read-only.
            continue
    return dropped


drop_stale(PACKAGE, sources())
