"""Measured less predicted, in bands: how far off each point, object and moment of a comparison is.

A residual of 1 lies at the edge of the band, two sigmas of a usual sensor from what is predicted. Bands make watts,
kelvin and kilograms per second comparable; each step of a level is twice as far off as the one before.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.core.telemetry.scores import band_half_width

FloatArray = NDArray[np.float64]
Key = tuple[str, str]  # object and quantity
STEPS = (1.0, 2.0, 4.0, 8.0)  # bands at which a level begins
NONE = -128  # level where nothing is measured
MOST_FRAMES = 96
N_WORST = 5


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """One point's intervals, arrays of shape (n,)."""

    times_ms: NDArray[np.int64]  # means of the intervals' readings, since 1970
    measured: FloatArray  # NaN where nothing good was read
    predicted: FloatArray

    def residual(self) -> FloatArray:
        """Return measured less predicted, in the quantity's unit."""
        return self.measured - self.predicted


@dataclass(frozen=True, slots=True)
class Off:
    """How far off one point is in one span."""

    key: Key
    residual: float  # mean, in the quantity's unit
    bands: float  # the same in bands; of the whole span the root mean square, with the mean's sign


@dataclass(frozen=True, slots=True)
class Component:
    """An object of a comparison, with the point of it that is furthest off."""

    object: str
    quantity: str
    mean: float  # of its residual, in the quantity's unit
    rms_bands: float


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """The residuals of a comparison by object and frame. Frame 0 is the whole span, the others equal parts of it."""

    starts_ms: NDArray[np.int64]  # of the first readings in each, shape (n_frames,)
    levels: Mapping[str, NDArray[np.int8]]  # by object, shape (n_frames,): 0 inside the band, signed
    worst: tuple[tuple[Off, ...], ...]  # by frame, the furthest off first
    components: tuple[Component, ...]  # the furthest off first


def frames_of(points: Mapping[Key, Beside], inputs: Iterable[Key], n_frames: int = MOST_FRAMES) -> Frames:
    """Return the residuals of a comparison's points by object and frame.

    Parameters
    ----------
    points : mapping of Beside
        All with the same intervals.
    inputs : iterable of keys
        Points that the layout was driven by: their residual says nothing.
    n_frames : int
        Frames beside the whole span; fewer where there are fewer intervals.
    """
    driven = set(inputs)
    keys = [key for key in points if key not in driven and points[key].times_ms.size]
    if not keys:
        return Frames(np.empty(0, np.int64), {}, (), ())
    times = points[keys[0]].times_ms
    n = min(n_frames, times.size)
    edges = np.linspace(times[0], times[-1] + 1, n + 1)
    place = np.clip(np.searchsorted(edges, times, side="right") - 1, 0, n - 1)
    residual = np.stack([points[key].residual() for key in keys])  # (n_points, n_intervals)
    half = np.stack([band_half_width(key[1], points[key].predicted) for key in keys])
    with np.errstate(divide="ignore", invalid="ignore"):
        bands = np.where(half > 0, residual / half, np.where(residual == 0, 0.0, np.sign(residual) * STEPS[-1]))
    whole = np.zeros_like(place)
    rms = np.sqrt(_means(bands**2, whole, 1))
    # of the whole span the root mean square, so that high hours and low ones do not make a zero
    by_frame = np.concatenate([np.copysign(rms, _means(bands, whole, 1)), _means(bands, place, n)], axis=1)
    off_by = np.concatenate([_means(residual, whole, 1), _means(residual, place, n)], axis=1)
    objects: dict[str, list[int]] = {}
    for i, (name, _) in enumerate(keys):
        objects.setdefault(name, []).append(i)
    return Frames(
        np.concatenate([times[:1], times[np.searchsorted(times, edges[:-1])]]),
        {name: _levels(_furthest(by_frame[rows])) for name, rows in objects.items()},
        tuple(_worst(keys, by_frame[:, f], off_by[:, f]) for f in range(by_frame.shape[1])),
        _components(keys, objects, off_by[:, 0], rms[:, 0]),
    )


def _means(values: FloatArray, place: NDArray[np.int64], n: int) -> FloatArray:
    """Return means by place over the last axis, NaN where there is no number, shape (n_points, n)."""
    known = np.isfinite(values)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(n))
    filled = np.diff(np.append(starts, place.size)) > 0
    total, count = np.zeros((values.shape[0], n)), np.zeros((values.shape[0], n))
    if filled.any():
        at = starts[filled]
        total[:, filled] = np.add.reduceat(np.where(known, values, 0.0)[:, order], at, axis=1)
        count[:, filled] = np.add.reduceat(known[:, order].astype(float), at, axis=1)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def _furthest(bands: FloatArray) -> FloatArray:
    """Return of several points' bands the one furthest from 0, by frame."""
    size = np.where(np.isfinite(bands), np.abs(bands), -1.0)
    return np.take_along_axis(bands, np.argmax(size, axis=0)[None, :], axis=0)[0]


def _levels(bands: FloatArray) -> NDArray[np.int8]:
    known = np.isfinite(bands)
    size = np.searchsorted(STEPS, np.abs(np.where(known, bands, 0.0)), side="left")
    return np.where(known, np.sign(np.where(known, bands, 0.0)) * size, NONE).astype(np.int8)


def _worst(keys: list[Key], bands: FloatArray, residual: FloatArray) -> tuple[Off, ...]:
    size = np.where(np.isfinite(bands), np.abs(bands), -1.0)
    best = np.argsort(-size, kind="stable")[:N_WORST]
    return tuple(Off(keys[i], float(residual[i]), float(bands[i])) for i in best if size[i] >= 0)


def _components(
    keys: list[Key], objects: Mapping[str, list[int]], mean: FloatArray, rms: FloatArray
) -> tuple[Component, ...]:
    size = np.where(np.isfinite(rms), rms, -1.0)
    found = []
    for name, rows in objects.items():
        i = max(rows, key=lambda row: size[row])
        if size[i] >= 0:
            found.append(Component(name, keys[i][1], float(mean[i]), float(rms[i])))
    return tuple(sorted(found, key=lambda component: -component.rms_bands))
