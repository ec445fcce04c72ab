"""The hours of a year of weather as rows and runs keep them, and the air pressure by height."""

import zlib
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", float, NDArray[np.float64])

STANDARD_PRESSURE_PA = 101_325.0  # at sea level
#: Float32, little endian: dry bulb [°C], relative humidity [0-1] and pressure [Pa], one after the other, in zlib.
LAYOUT = "<f4"
QUANTITIES = 3
HOUR_BYTES = QUANTITIES * np.dtype(LAYOUT).itemsize


def pack(hours: NDArray[np.floating]) -> bytes:
    """Return dry bulb, humidity and pressure, shape (3, n_hours), as they are stored."""
    return zlib.compress(hours.astype(LAYOUT).tobytes(), 6)


def unpack(stored: bytes | memoryview) -> NDArray[np.float32]:
    """Return dry bulb [°C], relative humidity [0-1] and pressure [Pa] of each hour, shape (3, n_hours)."""
    return _hours(zlib.decompress(bytes(stored)))


def unpack_foreign(stored: bytes, n_hours: int) -> NDArray[np.float32]:
    """Return `n_hours` packed by someone else, shape (3, n_hours), never unpacking more than they take.

    Raises
    ------
    ValueError
        If they cannot be unpacked, are cut short or too long. Their values are not looked at.
    """
    unpacking = zlib.decompressobj()
    due = HOUR_BYTES * n_hours
    try:
        raw = unpacking.decompress(stored, due + 1)
    except zlib.error as error:
        raise ValueError(f"they cannot be unpacked: {error}.") from error
    if len(raw) != due or not unpacking.eof:
        size = "more than" if len(raw) > due else "a stream cut short after"
        raise ValueError(f"they hold {size} {min(len(raw), due):,} bytes; {n_hours:,} hours are {due:,}.")
    return _hours(raw)


def _hours(raw: bytes) -> NDArray[np.float32]:
    return np.frombuffer(raw, dtype=LAYOUT).reshape(QUANTITIES, -1)


def standard_pressure_pa(elevation_m: Number) -> Number:
    """Return the standard atmosphere's pressure [Pa]: ASHRAE Fundamentals 2017, ch. 1, eq. 3 (-5,000 to 11,000 m)."""
    return STANDARD_PRESSURE_PA * (1 - 2.25577e-5 * elevation_m) ** 5.2559
