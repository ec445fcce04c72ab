"""What Prometheus sends by remote write 1.0: a snappy block with a protobuf message, read within bounds.

Of `prometheus.WriteRequest` the series are read: labels and samples. Exemplars and metadata say nothing here; native
histograms are counted, not read.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_BYTES = 16 * 2**20  # of a message, unpacked
MOST_SAMPLES = 500_000
LOOKBACK_MS = 300_000  # how long a sample speaks for its series, as in Prometheus
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Labels = tuple[tuple[str, str], ...]
Samples = tuple[NDArray[np.int64], NDArray[np.float64]]  # times [ms since 1970] and values


@dataclass(frozen=True, slots=True)
class Written:
    """A message: samples of each series as they came, and how many native histograms were left out."""

    series: Mapping[Labels, Samples]
    n_samples: int
    n_histograms: int


def unpacked(body: bytes) -> bytes:
    """Return what a snappy block holds.

    Raises
    ------
    ValueError
        If it is none, or holds more than is read.
    """
    length, at = _varint(body, 0)
    if length > MOST_BYTES:
        raise ValueError(f"the message has {length:,} bytes unpacked; at most {MOST_BYTES:,} are read")
    found, end = bytearray(), len(body)
    while at < end:
        tag = body[at]
        at += 1
        kind, high = tag & 3, tag >> 2
        if kind == 0:
            n_more = max(high - 59, 0)
            n = 1 + (int.from_bytes(body[at : at + n_more], "little") if n_more else high)
            at += n_more
            part = body[at : at + n]
            at += n
            if len(part) < n:
                raise ValueError("the snappy block ends in the middle of a literal")
            found += part
        else:
            n_more = (1, 2, 4)[kind - 1]
            offset = int.from_bytes(body[at : at + n_more], "little")
            if kind == 1:
                n, offset = 4 + (high & 7), offset | (high >> 3) << 8
            else:
                n = 1 + high
            at += n_more
            start = len(found) - offset
            if offset == 0 or start < 0:
                raise ValueError("the snappy block copies from before its beginning")
            part = bytes(found[start : start + n])
            found += part if offset >= n else (part * (n // offset + 1))[:n]
        if len(found) > length:
            raise ValueError("the snappy block is longer than it says")
    if len(found) != length:
        raise ValueError("the snappy block is shorter than it says")
    return bytes(found)


def written(message: bytes) -> Written:
    """Return the series of a message.

    Raises
    ------
    ValueError
        If it is no WriteRequest, a series has no name, or there are more samples than are read.
    """
    times: dict[Labels, list[int]] = {}
    values: dict[Labels, list[float]] = {}
    n, n_histograms = 0, 0
    for number, kind, series in _fields(message):
        if number != 1 or kind != _BYTES:
            continue
        labels, own_times, own_values = [], [], []
        for inner, inner_kind, part in _fields(_bytes(series)):
            if inner == 1 and inner_kind == _BYTES:
                labels.append(_label(_bytes(part)))
            elif inner == 2 and inner_kind == _BYTES:
                time_ms, value = _sample(_bytes(part))
                own_times.append(time_ms)
                own_values.append(value)
            elif inner == 4:
                n_histograms += 1
        n += len(own_times)
        if n > MOST_SAMPLES:
            raise ValueError(f"the message has more than {MOST_SAMPLES:,} samples")
        key = tuple(sorted(labels))
        if not dict(key).get("__name__"):
            raise ValueError("a series has no name: its labels lack __name__")
        times.setdefault(key, []).extend(own_times)
        values.setdefault(key, []).extend(own_values)
    series_found = {key: (np.array(own, np.int64), np.array(values[key])) for key, own in times.items() if own}
    return Written(series_found, n, n_histograms)


def at_steps(samples: Samples, steps_ms: NDArray[np.int64]) -> Samples:
    """Return a series at steps, as a range query does: the newest sample before each, unless it is too old or ended.

    Parameters
    ----------
    samples : Samples
        In any order; of equal times the first counts.
    steps_ms : ndarray, shape (n_steps,)
    """
    times, first = np.unique(samples[0], return_index=True)
    values = samples[1][first]
    if not times.size:
        return times, values
    at = np.searchsorted(times, steps_ms, side="right") - 1
    newest = np.maximum(at, 0)
    there = (at >= 0) & (steps_ms - times[newest] <= LOOKBACK_MS) & np.isfinite(values[newest])  # NaN: the series ended
    return steps_ms[there], values[newest[there]]


def _label(part: bytes) -> tuple[str, str]:
    found = {number: _bytes(value) for number, kind, value in _fields(part) if kind == _BYTES}
    try:
        return found.get(1, b"").decode(), found.get(2, b"").decode()
    except UnicodeDecodeError as error:
        raise ValueError("a label is no UTF-8 text") from error


def _sample(part: bytes) -> tuple[int, float]:
    time_ms, value = 0, 0.0
    for number, kind, said in _fields(part):
        if number == 1 and kind == _FIXED64:
            value = struct.unpack("<d", _bytes(said))[0]
        elif number == 2 and kind == _VARINT and isinstance(said, int):
            time_ms = said - (1 << 64) if said >= 1 << 63 else said
    return time_ms, value


def _fields(message: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Yield the fields of a protobuf message: number, wire type and value."""
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, kind, value
            continue
        if kind == _BYTES:
            n, at = _varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            n = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"the message is no protobuf: wire type {kind}")
        if at + n > end:
            raise ValueError("the message ends in the middle of a field")
        yield number, kind, message[at : at + n]
        at += n


def _bytes(value: int | bytes) -> bytes:
    assert isinstance(value, bytes), "only asked of fields with a length"
    return value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Return a number and where it ends."""
    found = 0
    for i in range(10):
        if at + i >= len(message):
            break
        byte = message[at + i]
        found |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return found, at + i + 1
    raise ValueError("the message ends in the middle of a number, or has one of more than ten bytes")
