"""Which solver made a result: a readable version that people raise, and a digest that follows the code.

The digest is taken over the syntax trees of what computes, without comments, docstrings, formatting and file names, and
over the coefficients that ship with it. So a rewritten sentence, a moved module or an unused line of white space leaves
it as it is, and a changed constant, formula or coefficient does not.
"""

import ast
import contextlib
import gc
import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

#: Raised by one by whoever changes an answer; `tests/regression/test_golden_figures.py` says when, and how to renew it.
MODEL_VERSION = "24"
UNKNOWN = "unknown"  # of runs made before solvers were named

ROOT = Path(__file__).resolve().parents[2]
KEPT = Path(__file__).parent / "__pycache__" / "solver_digest"  # beside what else is made from the sources
SOLVERS = (
    "compute",
    "power_cooling",
    "twin/core/inputs",
    "twin/core/failures",
    "twin/core/solve",
    "twin/core/results",
)
OURS = frozenset(folder.partition("/")[0] for folder in SOLVERS)  # whose modules may be moved without changing answers
COEFFICIENT_SUFFIXES = (".json", ".csv", ".npz", ".yaml")
N_SHOWN = 12  # digits of a digest that people compare by eye


@dataclass(frozen=True, slots=True)
class Solver:
    """The name of what made a result."""

    version: str
    digest: str

    @property
    def text(self) -> str:
        """The name as pages and reports write it."""
        return f"model {self.version}, digest {self.digest[:N_SHOWN]}" if self.digest != UNKNOWN else UNKNOWN


def this_solver() -> Solver:
    """Return the name of the solver in this process."""
    return Solver(MODEL_VERSION, solver_digest())


def solver_of(version: str, digest: str) -> Solver:
    """Return the solver that a result names; unknown where it was made before solvers had a digest."""
    return Solver(version, digest) if digest else Solver(UNKNOWN, UNKNOWN)


@lru_cache(maxsize=1)
def solver_digest() -> str:
    """Return the digest of the solver in this process; taken at the first call and kept."""
    return kept_digest(ROOT, KEPT)


def kept_digest(root: Path, kept: Path) -> str:
    """Return `digest_of` a root, out of the file `kept` where that was written for the same sources.

    To parse every source takes half a second, as much as solving a small site; to read them takes a hundredth.
    """
    sources = _sha256(b"".join(file.read_bytes() for file in [Path(__file__), *_files(root)]))
    with contextlib.suppress(OSError):
        if kept.read_text().startswith(sources):
            return kept.read_text().removeprefix(sources).strip()
    digest = digest_of(root)
    with contextlib.suppress(OSError):  # a read-only checkout: taken again by each process
        kept.parent.mkdir(exist_ok=True)
        whole = kept.with_suffix(f".{os.getpid()}")
        whole.write_text(f"{sources} {digest}")
        whole.replace(kept)  # at once: another process never reads half of it
    return digest


def digest_of(root: Path) -> str:
    """Return the digest of the solver whose folders stand in `root`, as 64 hexadecimal digits."""
    files = _files(root)
    # A tree is thousands of small objects that each other collection would look at: half of the time of reading them.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        trees = {_sha256(spelled(ast.parse(f.read_bytes())).encode()) for f in files if f.suffix == ".py"}
    finally:
        if was_enabled:
            gc.enable()
    coefficients = [_sha256(file.read_bytes()) for file in files if file.suffix in COEFFICIENT_SUFFIXES]
    # Sorted by what they hold, so that no file's name counts.
    return _sha256("\n".join([*sorted(trees - {EMPTY}), "", *sorted(coefficients)]).encode())


def _files(root: Path) -> list[Path]:
    suffixes = (".py", *COEFFICIENT_SUFFIXES)
    return sorted(file for folder in SOLVERS for file in (root / folder).rglob("*") if file.suffix in suffixes)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


#: Fields of syntax nodes that say how something was spelled, not what it does.
UNSAID = frozenset({"ctx", "kind", "type_comment", "type_ignores", "type_params"})
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def spelled(node: ast.AST) -> str:
    """Return what a syntax tree says, the same on every Python: without lines, docstrings, names of our modules."""
    words: list[str] = []
    _spell(node, words)
    return "\0".join(words)


def _spell(node: ast.AST, words: list[str]) -> None:
    words.append(type(node).__name__)
    for name in node._fields:
        value = getattr(node, name, None)
        if value is None or name in UNSAID or (name == "module" and value.partition(".")[0] in OURS):
            continue
        if name == "body" and isinstance(node, DOCUMENTED) and value and _is_text(value[0]):
            value = value[1:]
        words.append(name)
        for inner in value if isinstance(value, list) else (value,):
            if isinstance(inner, ast.AST):
                _spell(inner, words)
            else:
                words.append(repr(inner))
    words.append(")")


EMPTY = _sha256(spelled(ast.parse("")).encode())  # of the files that only make a folder a package


def _is_text(statement: ast.AST) -> bool:
    """Return whether a statement is a text that stands by itself, as docstrings do."""
    if not isinstance(statement, ast.Expr):
        return False
    return isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str)
