"""What Prometheus sends by remote write 1.0: a snappy block with a protobuf message, read within bounds.

Of `prometheus.WriteRequest` the series are read: labels and samples. Exemplars and metadata say nothing here; native
histograms are counted, not read.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_PACKED_BYTES = 8 * 2**20  # of a message as it comes
MOST_BYTES = 16 * 2**20  # of a message, unpacked
MOST_SAMPLES = 500_000
MOST_SERIES = 50_000  # of a message
MOST_LABELS = 64  # of a series
MOST_LABELS_IN_ALL = 500_000  # of a message
MOST_NAME_BYTES, MOST_VALUE_BYTES = 1_024, 4_096  # of a label
MOST_FIELDS = 2_000_000  # of a message, whether they say something or not
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
    if len(body) > MOST_PACKED_BYTES:
        raise ValueError(f"the message has {len(body):,} bytes; at most {MOST_PACKED_BYTES:,} are read")
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
        If it is no WriteRequest, a label or series has no name, or there is more of anything than is read.
    """
    times: dict[Labels, list[int]] = {}
    values: dict[Labels, list[float]] = {}
    n, n_series, n_labels, n_histograms = 0, 0, 0, 0
    fields = _Fields()
    for number, kind, series in fields.of(message):
        if number != 1 or kind != _BYTES:
            continue
        n_series += 1
        _bound(n_series, MOST_SERIES, "the message", "series")
        labels: dict[str, str] = {}
        own_times, own_values = [], []
        for inner, inner_kind, part in fields.of(_bytes(series)):
            if inner == 1 and inner_kind == _BYTES:
                name, said = _label(fields, _bytes(part))
                if name in labels:
                    raise ValueError(f"a series has the label {name[:60]} more than once")
                labels[name] = said
                n_labels += 1
                _bound(len(labels), MOST_LABELS, "a series", "labels")
                _bound(n_labels, MOST_LABELS_IN_ALL, "the message", "labels")
            elif inner == 2 and inner_kind == _BYTES:
                time_ms, value = _sample(fields, _bytes(part))
                own_times.append(time_ms)
                own_values.append(value)
                n += 1
                _bound(n, MOST_SAMPLES, "the message", "samples")
            elif inner == 4:
                n_histograms += 1
        if not labels.get("__name__"):
            raise ValueError("a series has no name: its labels lack __name__")
        key = tuple(sorted(labels.items()))
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


def _bound(n: int, most: int, of: str, what: str) -> None:
    if n > most:
        raise ValueError(f"{of} has more than {most:,} {what}")


def _label(fields: "_Fields", part: bytes) -> tuple[str, str]:
    found = {number: _bytes(value) for number, kind, value in fields.of(part) if kind == _BYTES}
    name, value = found.get(1, b""), found.get(2, b"")
    if not name:
        raise ValueError("a label has no name")
    _bound(len(name), MOST_NAME_BYTES, "a label's name", "bytes")
    _bound(len(value), MOST_VALUE_BYTES, "a label's value", "bytes")
    try:
        return name.decode(), value.decode()
    except UnicodeDecodeError as error:
        raise ValueError("a label is no UTF-8 text") from error


def _sample(fields: "_Fields", part: bytes) -> tuple[int, float]:
    time_ms, value = 0, 0.0
    for number, kind, said in fields.of(part):
        if number == 1 and kind == _FIXED64:
            value = struct.unpack("<d", _bytes(said))[0]
        elif number == 2 and kind == _VARINT and isinstance(said, int):
            time_ms = said - (1 << 64) if said >= 1 << 63 else said
    return time_ms, value


class _Fields:
    """Reads a protobuf message and those within it: so many fields in all, each once."""

    def __init__(self) -> None:
        self._n = 0

    def of(self, message: bytes) -> Iterator[tuple[int, int, int | bytes]]:
        """Yield the fields of a message: number, wire type and value."""
        at, end = 0, len(message)
        while at < end:
            self._n += 1
            _bound(self._n, MOST_FIELDS, "the message", "fields")
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
