"""What one line of the scoreboard says."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


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
    return Check(check, group, n, float(value), reach, unit, "pass" if value <= reach else "miss", note)


def at_least(check: str, group: str, n: int, value: float, reach: float, unit: str, note: str = "") -> Check:
    """Return a check that passes when `value` is `reach` or more (NaN misses)."""
    return Check(check, group, n, float(value), reach, unit, "pass" if value >= reach else "miss", note)


def within(
    check: str, group: str, n: int, value: float, reach: tuple[float, float], unit: str, note: str = ""
) -> Check:
    """Return a check that passes when `value` lies in the closed range `reach` (NaN misses)."""
    return Check(check, group, n, float(value), reach, unit, "pass" if reach[0] <= value <= reach[1] else "miss", note)


def skipped(check: str, group: str, missing: Iterable[Path | str]) -> Check:
    """Return a check that could not be made because files are missing."""
    return Check(check, group, 0, None, None, "", "skipped", "missing " + ", ".join(Path(m).name for m in missing))
