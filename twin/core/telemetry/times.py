"""Times as exports write them, and what is odd about them.

ISO 8601 is taken as it is. Dates with slashes read two ways; the order of day and month is taken from those dates that
read one way only, and from the step between rows, and every finding is reported.
"""

import datetime as dt
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_SLASHED = re.compile(
    r"^(\d{1,4})[/.\-](\d{1,2})[/.\-](\d{1,4})(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?\s*([AaPp][Mm])?)?$"
)
_DAY_S = 86_400.0
# A numeric clock larger than this is Unix milliseconds, and larger than the second one Unix seconds.
_MILLISECONDS_FROM, _UNIX_FROM = 1e11, 3e8


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """Times of the rows in seconds since 1970 (UTC where a zone is written, else the table's own clock)."""

    seconds: FloatArray  # NaN where the cell could not be read
    zoned: bool
    findings: tuple[dict[str, Any], ...]  # {"finding", "n", "detail"}: what was odd, and what was done

    def iso(self, second: float) -> str:
        """Return a time as ISO 8601; with the zone where the table writes one."""
        return iso_time(second, zoned=self.zoned)


def iso_time(second: float, *, zoned: bool = True) -> str:
    """Return seconds since 1970 as ISO 8601."""
    when = dt.datetime.fromtimestamp(float(second), dt.UTC)
    text = when.strftime("%Y-%m-%dT%H:%M:%S")
    return text + "Z" if zoned else text


def parse_time(text: str) -> float:
    """Return an ISO 8601 time as seconds since 1970; without a zone it is on the table's own clock.

    Raises
    ------
    ValueError
        If it is not ISO 8601.
    """
    try:
        when = dt.datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError as error:
        raise ValueError(f"{text!r} is not a time; write 2026-01-31 or 2026-01-31T12:00:00") from error
    return when.replace(tzinfo=when.tzinfo or dt.UTC).timestamp()


def read_times(cells: Sequence[str], exported: Sequence[str] | None = None) -> Times:
    """Read a column of times.

    Parameters
    ----------
    cells : sequence of str
        ISO 8601, dates with slashes, or numbers (seconds, Unix seconds, Unix milliseconds).
    exported : sequence of str, optional
        The same times as the exporting system wrote them, where the table keeps them: compared row by row.

    Returns
    -------
    Times
        With findings: unreadable cells, swapped days and months, doubled and backward times, gaps.
    """
    seconds, zoned, findings = _read(cells)
    unreadable = int(np.isnan(seconds).sum())
    if unreadable:
        row = int(np.flatnonzero(np.isnan(seconds))[0])
        findings.append(
            _finding("unreadable time", unreadable, f"first in row {row + 1}: {cells[row][:40]!r}; left out")
        )
    findings += _order_findings(seconds, zoned)
    if exported is not None:
        findings += _against_export(seconds, exported, zoned)
    return Times(seconds, zoned, tuple(findings))


def _read(cells: Sequence[str]) -> tuple[FloatArray, bool, list[dict[str, Any]]]:
    seconds = np.full(len(cells), np.nan)
    try:
        numbers = np.array([float(cell) if cell else np.nan for cell in cells])
        largest = np.nanmax(np.abs(numbers)) if np.isfinite(numbers).any() else 0.0
        return numbers / (1e3 if largest > _MILLISECONDS_FROM else 1.0), bool(largest > _UNIX_FROM), []
    except ValueError:
        pass
    zoned = False
    rest = []
    for row, cell in enumerate(cells):
        try:
            when = dt.datetime.fromisoformat(cell.replace("Z", "+00:00"))
        except ValueError:
            if cell:
                rest.append(row)
            continue
        zoned |= when.tzinfo is not None
        seconds[row] = when.replace(tzinfo=when.tzinfo or dt.UTC).timestamp()
    findings = []
    if rest:
        findings = _slashed(cells, rest, seconds)
    swaps = _swapped_by_order(seconds)
    if swaps is not None:
        n = int(np.sum(swaps != seconds))
        note = "set right, so that the rows follow their own step without a break; check them"
        findings.append(_finding("day and month swapped", n, note))
        seconds = swaps
    return seconds, zoned, findings


def _slashed(cells: Sequence[str], rows: list[int], seconds: FloatArray) -> list[dict[str, Any]]:
    """Read the cells of `rows` into `seconds`, choosing the order of day and month for the whole column."""
    parts = {row: _SLASHED.match(cells[row]) for row in rows}
    numbers = {row: tuple(int(part) for part in match.groups()[:3]) for row, match in parts.items() if match}
    slashed = [row for row in rows if row in numbers and numbers[row][0] <= 31]
    day_first = sum(numbers[row][0] > 12 for row in slashed)
    month_first = sum(numbers[row][1] > 12 for row in slashed)
    readings = {}
    for order in ("month first", "day first"):
        readings[order] = np.array([_moment(parts.get(row), order) for row in rows])
    findings = []
    if day_first and month_first:
        chosen = "day first" if day_first >= month_first else "month first"
        n = min(day_first, month_first)
        detail = (
            f"{day_first} rows can only be day first, {month_first} only month first; the rest by the step of the rows"
        )
        findings.append(_finding("day and month mixed", n, detail))
        readings["mixed"] = _by_order(readings["month first"], readings["day first"])
        chosen = "mixed"
    elif day_first or month_first:
        chosen = "day first" if day_first else "month first"
    elif slashed:
        spans = {order: _disorder(values) for order, values in readings.items()}
        chosen = min(spans, key=lambda order: spans[order])
        if len({tuple(values) for values in readings.values()}) > 1:
            detail = f"every date reads both ways; taken {chosen}, which keeps the rows in order"
            findings.append(_finding("day and month ambiguous", len(slashed), detail))
    else:
        chosen = "month first"
    for row, value in zip(rows, readings[chosen], strict=True):
        seconds[row] = value
    return findings


def _moment(match: re.Match[str] | None, order: str) -> float:
    if match is None:
        return np.nan
    a, b, c, hour, minute, second, half = match.groups()
    if len(a) == 4:
        year, month, day = int(a), int(b), int(c)
    elif order == "month first":
        month, day, year = int(a), int(b), int(c)
    else:
        day, month, year = int(a), int(b), int(c)
    hours = int(hour or 0)
    if half:
        hours = hours % 12 + (12 if half.lower() == "pm" else 0)
    try:
        when = dt.datetime(
            year + 2000 * (year < 100), month, day, hours, int(minute or 0), int(second or 0), tzinfo=dt.UTC
        )
    except ValueError:
        return np.nan
    return when.timestamp()


def _disorder(values: FloatArray) -> tuple[int, float]:
    """Return how badly times are out of order: unreadable and backward ones, then the largest step."""
    steps = np.diff(values[np.isfinite(values)])
    backward = min(np.sum(steps < 0), np.sum(steps > 0)) if steps.size else 0
    return int(np.isnan(values).sum() + backward), float(np.abs(steps).max(initial=0.0))


def _by_order(month_first: FloatArray, day_first: FloatArray) -> FloatArray:
    """Choose row by row the reading that follows the row before by the usual step."""
    both = np.where(np.isfinite(month_first), month_first, day_first)
    steps = np.diff(both)
    steps = steps[np.isfinite(steps) & (steps != 0)]
    usual = float(np.median(steps)) if steps.size else 0.0
    chosen = both.copy()
    certain = np.isfinite(month_first) ^ np.isfinite(day_first)
    last = (
        chosen[np.flatnonzero(certain)[0]] - usual * np.flatnonzero(certain)[0] if certain.any() else chosen[0] - usual
    )
    for row in range(len(chosen)):
        options = [value for value in (month_first[row], day_first[row]) if np.isfinite(value)]
        if options:
            chosen[row] = min(options, key=lambda value: abs(value - last - usual))
            last = chosen[row]
        else:
            last += usual
    return chosen


def swapped(seconds: FloatArray) -> FloatArray:
    """Return times with day and month exchanged, NaN where that is no date."""
    turned = np.full(len(seconds), np.nan)
    for row, second in enumerate(seconds):
        if not np.isfinite(second):
            continue
        when = dt.datetime.fromtimestamp(float(second), dt.UTC)
        if when.day <= 12:
            turned[row] = when.replace(month=when.day, day=when.month).timestamp()
    return turned


def _swapped_by_order(seconds: FloatArray) -> FloatArray | None:
    """Return the times in the one reading that has no break, None where they have none as they stand."""
    finite = np.isfinite(seconds)
    steps = np.diff(seconds[finite])
    if steps.size < 10:
        return None
    usual = Counter(np.round(steps, 3)).most_common(1)[0][0]
    # An export that swaps days and months jumps by weeks and back; a logger that stopped does not jump back.
    leaps = np.abs(steps) > 5 * _DAY_S
    backward = steps * np.sign(usual) < 0
    if not (np.any(leaps & backward) and np.any(leaps & ~backward)):
        return None
    turned = swapped(seconds)
    return _by_order_from(seconds, turned, usual)


def _by_order_from(written: FloatArray, turned: FloatArray, usual: float) -> FloatArray | None:
    """Choose row by row between a time and its swapped reading; the start is the choice with the fewer breaks."""
    best, least = None, np.inf
    for start in (written[0], turned[0]):
        if not np.isfinite(start):
            continue
        chosen, last, breaks = written.copy(), start - usual, 0
        for row in range(len(written)):
            options = [value for value in (written[row], turned[row]) if np.isfinite(value)]
            if not options:
                continue
            chosen[row] = min(options, key=lambda value: abs(value - last - usual))
            breaks += abs(chosen[row] - last - usual) > _DAY_S
            last = chosen[row]
        if breaks < least:
            best, least = chosen, breaks
    return best


def _order_findings(seconds: FloatArray, zoned: bool) -> list[dict[str, Any]]:
    finite = seconds[np.isfinite(seconds)]
    if finite.size < 3:
        return []
    steps = np.diff(finite)
    findings = []
    newest_first = np.sum(steps < 0) > np.sum(steps > 0)
    if newest_first:
        findings.append(_finding("newest row first", len(finite), "turned round"))
        steps = -steps
    doubled, backward = int(np.sum(steps == 0)), int(np.sum(steps < 0))
    if doubled:
        findings.append(_finding("doubled time", doubled, "the first of each is kept"))
    if backward:
        findings.append(_finding("time runs backward", backward, "rows sorted by time"))
    ordered = np.unique(finite)
    gaps = np.diff(ordered)
    usual = float(np.median(gaps)) if gaps.size else 0.0
    wide = gaps > 1.5 * usual
    if usual and wide.any():
        longest = int(np.argmax(gaps))
        detail = f"longest {gaps[longest] / 3600:.1f} h from {iso_time(ordered[longest], zoned=zoned)}; left as gaps"
        findings.append(_finding("gap", int(wide.sum()), detail))
    return findings


def _against_export(seconds: FloatArray, exported: Sequence[str], zoned: bool) -> list[dict[str, Any]]:
    """Compare the times with the same ones as exported: swapped days and months are counted."""
    written = np.full(len(exported), np.nan)
    for row, cell in enumerate(exported):
        try:
            when = dt.datetime.fromisoformat(cell.replace("Z", "+00:00"))
            written[row] = when.replace(tzinfo=when.tzinfo or dt.UTC).timestamp()
        except ValueError:
            match = _SLASHED.match(cell)
            moments = [_moment(match, order) for order in ("month first", "day first")]
            here = [moment for moment in moments if np.isfinite(moment)]
            if here:
                written[row] = min(here, key=lambda moment: abs(moment - seconds[row]))
    differs = np.isfinite(written) & np.isfinite(seconds) & (written != seconds)
    turned = swapped(written)
    swaps = differs & (turned == seconds)
    findings = []
    if swaps.any():
        row = int(np.flatnonzero(swaps)[0])
        detail = f"first in row {row + 1}: exported {exported[row]}, is {iso_time(seconds[row], zoned=zoned)}"
        findings.append(_finding("day and month swapped in the export", int(swaps.sum()), detail))
    other = differs & ~swaps
    if other.any():
        row = int(np.flatnonzero(other)[0])
        detail = f"first in row {row + 1}: exported {exported[row]}, is {iso_time(seconds[row], zoned=zoned)}"
        findings.append(_finding("time differs from the export", int(other.sum()), detail))
    return findings


def _finding(finding: str, n: int, detail: str) -> dict[str, Any]:
    return {"finding": finding, "n": n, "detail": detail}
