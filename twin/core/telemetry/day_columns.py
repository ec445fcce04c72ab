"""A point's readings of one UTC day as packed columns, and their rollups.

Readings lie as steps of time [ms], values as float32 and quality, each column's bytes of like weight together, in zlib.
Values that are decimals of few digits lie as whole numbers of that digit, which packs better and comes back as the same
float32. A rollup has least, mean and largest of the good readings of each interval that has any reading, how many there
are, and how many are not good. Hours and days are added up from quarters of an hour.
"""

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.core.telemetry.quantities import GOOD

DAY_MS = 86_400_000
MINUTE_MS, QUARTER_MS, HOUR_MS = 60_000, 900_000, 3_600_000
MINUTES_FROM = 2 * DAY_MS // MINUTE_MS  # readings of a day from which minutes are rolled up: fewer are as quickly read

FloatArray = NDArray[np.float64]
Columns = tuple[NDArray[np.int64], FloatArray, NDArray[np.uint8]]  # times [ms since 1970], values, quality

_LEVEL = 6  # of zlib
_DECIMALS = b"\x02"  # first byte of what `packed` writes; plain zlib of earlier versions begins with 0x78
_RAW = 100  # in place of a digit: the values are float32
_MOST_DIGITS, _SAMPLE = 6, 12
_COARSE = 8.0  # a digit is taken where it is this many times float32's own step


@dataclass(frozen=True, slots=True, eq=False)
class Rollup:
    """The intervals of a day that have readings, arrays of shape (n,). `at` counts from the day's beginning."""

    at: NDArray[np.int64]
    low: FloatArray  # NaN where no reading is good
    mean: FloatArray
    high: FloatArray
    count: NDArray[np.int64]  # of good readings
    not_good: NDArray[np.int64]


def packed(day_ms: int, columns: Columns) -> bytes:
    """Return a day's columns as bytes.

    Parameters
    ----------
    day_ms : int
        Beginning of the day, since 1970 [ms].
    columns : Columns
        In the order of time, all within the day.
    """
    times, values, quality = columns
    steps = np.diff(times, prepend=day_ms).astype("<u4")
    parts = (_by_weight(steps), _numbers(values), quality.astype(np.uint8).tobytes())
    return _DECIMALS + zlib.compress(b"".join(parts), _LEVEL)


def unpacked(day_ms: int, stored: bytes, n: int) -> Columns:
    """Return the columns that `packed` spelled, in this version or an earlier one; none where nothing is stored."""
    if not stored:
        return np.empty(0, np.int64), np.empty(0), np.empty(0, np.uint8)
    if stored[:1] == _DECIMALS:
        raw = zlib.decompress(stored[1:])
        values, after = _numbers_back(raw, 4 * n, n)
    else:
        raw = zlib.decompress(stored)
        values, after = _weights_back(raw, 4 * n, n, "<f4").astype(float), 8 * n
    times = day_ms + np.cumsum(_weights_back(raw, 0, n, "<u4").astype(np.int64))
    return times, values, np.frombuffer(raw, np.uint8, n, after)


def rolled(day_ms: int, columns: Columns, step_ms: int) -> Rollup:
    """Return the rollup of a day's readings by an interval."""
    times, values, quality = columns
    at, place = np.unique((times - day_ms) // step_ms, return_inverse=True)
    good = quality == GOOD
    count = np.bincount(place[good], minlength=at.size)
    total = np.bincount(place[good], weights=values[good], minlength=at.size)
    low, high = np.full(at.size, np.inf), np.full(at.size, -np.inf)
    np.minimum.at(low, place[good], values[good])
    np.maximum.at(high, place[good], values[good])
    some = count > 0
    return Rollup(
        at,
        np.where(some, low, np.nan),
        np.divide(total, count, out=np.full(at.size, np.nan), where=some),
        np.where(some, high, np.nan),
        count,
        np.bincount(place[~good], minlength=at.size),
    )


def joined(first: Rollup, second: Rollup) -> Rollup:
    """Return the rollup of the readings of both."""
    return _gathered(
        *(
            np.concatenate([getattr(first, name), getattr(second, name)])
            for name in ("at", "low", "mean", "high", "count", "not_good")
        )
    )


def coarser(rollup: Rollup, times: int) -> Rollup:
    """Return a rollup by intervals that many times as long."""
    return _gathered(rollup.at // times, rollup.low, rollup.mean, rollup.high, rollup.count, rollup.not_good)


def _gathered(
    at: NDArray[np.int64],
    low: FloatArray,
    mean: FloatArray,
    high: FloatArray,
    count: NDArray[np.int64],
    not_good: NDArray[np.int64],
) -> Rollup:
    """Return rows of the same interval as one."""
    places, place = np.unique(at, return_inverse=True)
    n = np.bincount(place, weights=count, minlength=places.size).astype(np.int64)
    total = np.bincount(place, weights=np.where(count > 0, mean * count, 0.0), minlength=places.size)
    least, largest = np.full(places.size, np.inf), np.full(places.size, -np.inf)
    some = count > 0
    np.minimum.at(least, place[some], low[some])
    np.maximum.at(largest, place[some], high[some])
    return Rollup(
        places,
        np.where(n > 0, least, np.nan),
        np.divide(total, n, out=np.full(places.size, np.nan), where=n > 0),
        np.where(n > 0, largest, np.nan),
        n,
        np.bincount(place, weights=not_good, minlength=places.size).astype(np.int64),
    )


def rollup_packed(rollup: Rollup) -> bytes:
    """Return a rollup as bytes."""
    whole = (_by_weight(column.astype("<u4")) for column in (rollup.at, rollup.count, rollup.not_good))
    real = (_numbers(column) for column in (rollup.low, rollup.mean, rollup.high))
    return zlib.compress(b"".join((np.uint32(rollup.at.size).tobytes(), *whole, *real)), _LEVEL)


def rollup_unpacked(stored: bytes) -> Rollup:
    """Return the rollup that `rollup_packed` spelled."""
    raw = zlib.decompress(stored)
    n = int(np.frombuffer(raw, "<u4", 1)[0])
    at, count, not_good = (_weights_back(raw, 4 + 4 * n * i, n, "<u4").astype(np.int64) for i in range(3))
    low, start = _numbers_back(raw, 4 + 12 * n, n)
    mean, start = _numbers_back(raw, start, n)
    high, _ = _numbers_back(raw, start, n)
    return Rollup(at, low, mean, high, count, not_good)


def _by_weight(column: NDArray[Any]) -> bytes:
    return column.view(np.uint8).reshape(-1, 4).T.tobytes()


def _weights_back(raw: bytes, start: int, n: int, kind: str) -> NDArray[Any]:
    return np.frombuffer(raw, np.uint8, 4 * n, start).reshape(4, n).T.copy().view(kind)[:, 0]


def _numbers(values: FloatArray) -> bytes:
    """Return float32 values: as whole numbers of their last digit where they have one, by difference where smaller."""
    short = values.astype("<f4")
    digit = _digit(short)
    if digit == _RAW:
        return bytes((_RAW, 0)) + _by_weight(short)
    whole = np.rint(short.astype(float) * 10.0**digit).astype(np.int64)
    steps = np.diff(whole, prepend=whole[:1] * 0)
    by_step = np.abs(steps[1:]).sum() < np.abs(whole - whole[0]).sum() if whole.size else False
    if not by_step:
        steps = np.concatenate([whole[:1], whole[1:] - whole[0]])
    return bytes((digit & 0xFF, int(by_step))) + _by_weight(_folded(steps))


def _numbers_back(raw: bytes, start: int, n: int) -> tuple[FloatArray, int]:
    """Return values that `_numbers` spelled, and where the next column begins."""
    digit, by_step, after = raw[start], raw[start + 1], start + 2 + 4 * n
    if digit == _RAW:
        return _weights_back(raw, start + 2, n, "<f4").astype(float), after
    digit = digit - 256 if digit > 127 else digit
    steps = _unfolded(_weights_back(raw, start + 2, n, "<u4"))
    whole = np.cumsum(steps) if by_step else np.concatenate([steps[:1], steps[1:] + steps[0]]) if n else steps
    return (whole / 10.0**digit).astype("<f4").astype(float), after


def _digit(short: NDArray[np.float32]) -> int:
    """Return the last decimal digit that all values have, as a power of ten below 1, or `_RAW`."""
    if not short.size or not np.isfinite(short).all():
        return _RAW
    digit = max(_decimals(value) for value in short[:_SAMPLE])  # what a few need is tried on all
    if digit == 0 and not np.any(short[:_SAMPLE] % 10):
        digit = -1
    largest = float(np.abs(short).max())
    step = 10.0**-digit
    if digit > _MOST_DIGITS or step < _COARSE * float(np.spacing(np.float32(largest))) or largest / step > 2**29:
        return _RAW
    same = np.array_equal((np.rint(short.astype(float) * 10.0**digit) / 10.0**digit).astype("<f4"), short)
    return digit if same else _RAW


def _decimals(value: np.float32) -> int:
    """Return how many decimals the shortest text of a value has that reads back as it."""
    mantissa, _, exponent = str(value).partition("e")
    decimals = mantissa.partition(".")[2].rstrip("0")
    return max(len(decimals) - int(exponent or 0), 0)


def _folded(steps: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Return signed numbers as unsigned ones, small sizes small."""
    return np.where(steps < 0, -2 * steps - 1, 2 * steps).astype("<u4")


def _unfolded(folded: NDArray[np.uint32]) -> NDArray[np.int64]:
    wide = folded.astype(np.int64)
    return np.where(wide & 1, -(wide + 1) // 2, wide // 2)
