"""One line of the scoreboard."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Check:
    """One model against one data set.

    `value` is the measured error (or coverage, or correlation), `reach` the bound it is held to, both in `unit`.
    """

    check: str
    group: str
    n: int
    value: float | None
    reach: float | tuple[float, float] | None
    unit: str
    status: str  # "pass", "miss" or "skipped"
    note: str = ""


def at_most(check: str, group: str, n: int, value: float, reach: float, unit: str, note: str = "") -> Check:
    """Return a check that passes while `value` does not exceed `reach` (NaN misses)."""
    return _compared(check, group, n, value, reach, unit, note, value <= reach)


def at_least(check: str, group: str, n: int, value: float, reach: float, unit: str, note: str = "") -> Check:
    """Return a check that passes when `value` is `reach` or more (NaN misses)."""
    return _compared(check, group, n, value, reach, unit, note, value >= reach)


def within(
    check: str, group: str, n: int, value: float, reach: tuple[float, float], unit: str, note: str = ""
) -> Check:
    """Return a check that passes when `value` lies in the closed range `reach` (NaN misses)."""
    return _compared(check, group, n, value, reach, unit, note, reach[0] <= value <= reach[1])


def set_beside(check: str, group: str, n: int, value: float, reach: Any, unit: str, note: str) -> Check:
    """Return a value beside a published one that it is not judged by; `note` says why not."""
    return Check(check, group, n, float(value), reach, unit, "skipped", f"set beside, not judged: {note}")


def _compared(check: str, group: str, n: int, value: float, reach: Any, unit: str, note: str, passes: bool) -> Check:
    if n == 0:
        return Check(check, group, 0, None, reach, unit, "skipped", "the data hold no case of it")
    return Check(check, group, n, float(value), reach, unit, "pass" if passes else "miss", note)


def of_file(check: str, group: str, path: Path, run: Callable[[Path], Iterator[Check]]) -> Iterator[Check]:
    """Yield the checks of one file; one that cannot be read or solved is a miss that says why, and stops no other."""
    try:
        yield from run(path)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        note = f"{path.name} does not serve: {type(error).__name__} {error}"
        yield Check(check, group, 0, None, None, "", "miss", note)


def skipped(check: str, group: str, missing: Iterable[Path | str]) -> Check:
    """Return a check that could not be made because files are missing."""
    return Check(check, group, 0, None, None, "", "skipped", "missing " + ", ".join(Path(m).name for m in missing))
