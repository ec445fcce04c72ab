"""The first use of the solvers on a machine: one process compiles them, others wait and take its machine code.

Two processes that start at once, such as web server and worker, would each compile the same for half a minute. So the
first call of each process into a compiled solver is made under a lock of the checkout; who comes second finds the
cache. Loads no compiler, so that a page can ask.
"""

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent
COMPILING = "compiling the solvers, once per machine"  # what a page or a command says meanwhile


def sources() -> list[Path]:
    """Return the sources that compiled code of this package is made from."""
    return list(PACKAGE.rglob("*.py"))


def is_compiled() -> bool:
    """Return whether the coupled solver's machine code is on disk and not older than any of its sources.

    Where the compiler cannot keep its cache in the checkout, because that is read-only, this cannot be known: True.
    """
    return is_cached(PACKAGE / "coupled", "kernel.solve_elements", sources())


def is_cached(folder: Path, entry: str, sources: Iterable[Path]) -> bool:
    """Return whether machine code of an entry point is on disk and not older than any of its sources.

    Parameters
    ----------
    folder : Path
        That the entry point's module is in.
    entry : str
        Module and function, as the compiler's cache names them.
    sources : iterable of Path
        What the machine code is made from.
    """
    elsewhere = os.environ.get("NUMBA_CACHE_DIR")
    if not elsewhere and not os.access(folder, os.W_OK):
        return True
    found = Path(elsewhere).rglob if elsewhere else (folder / "__pycache__").glob
    newest = max(path.stat().st_mtime for path in sources)
    return any(index.stat().st_mtime >= newest for index in found(f"{entry}-*.nbi"))


class FirstCall:
    """Guards the first call of this process into one compiled solver; later calls pass at once."""

    def __init__(self, package: Path = PACKAGE) -> None:
        self._package = package
        self._made = False
        self._threads = threading.RLock()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Run the block while no other process of this checkout is in a first call of its own."""
        if self._made:
            yield
            return
        with self._threads, _locked(self._package / "__pycache__" / "first_use.lock"):
            yield
            self._made = True


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(exist_ok=True)
        file = path.open("a")
    except OSError:  # a read-only checkout: each process compiles for itself where the cache elsewhere has nothing
        yield
        return
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
