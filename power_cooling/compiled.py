"""Compiled code that no longer matches its sources.

Numba renews a function's cache when the function's own file changes, not when a file changes whose functions it calls.
After an update the old machine code of a caller would go on being used, so caches older than any source of the solver
are dropped before the solver is first called.
"""

from collections.abc import Iterable
from pathlib import Path


def drop_stale(folder: Path, modules: Iterable[str]) -> int:
    """Remove the caches of `modules` below `folder` that are older than the newest of their sources; return how many.

    Modules are named as paths below `folder` without the suffix, such as "coupled/kernel".

    A folder that cannot be written is left as it is: Numba then keeps its cache elsewhere, by the same rule of its own.
    """
    names = tuple(modules)
    sources = [folder / f"{name}.py" for name in names]
    newest = max((path.stat().st_mtime for path in sources if path.is_file()), default=0.0)
    dropped = 0
    for name in names:
        source = folder / name
        for index in (source.parent / "__pycache__").glob(f"{source.name}.*.nb[ic]"):
            try:
                if index.stat().st_mtime < newest:
                    index.unlink()
                    dropped += 1
            except OSError:
                # Another process was quicker, or the folder is read-only.
                continue
    return dropped
