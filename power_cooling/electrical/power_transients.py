"""Power through the seconds: UPS until generators carry, and storage that keeps load swings from the grid.

Training swings a whole hall between computing and waiting for communication within a second; grids and generators take
ramps, not steps. All series are held over equal steps, so that energies are exact sums.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from power_cooling.compiled import compiled

FloatArray = NDArray[np.float64]

GRID_BAND_HZ = (0.1, 20.0)  # where swings excite torsional modes and inter-area oscillation


@dataclass(frozen=True, slots=True)
class BackupSource:
    """Stored energy that bridges to generators."""

    stored_j: float  # usable, at the moment of the loss
    discharge_w: float  # most that the UPS or battery gives
    generator_start_s: float  # from the loss until generators take load
    generator_w: float  # most that they carry; 0 if they fail to start
    generator_step_w: float  # block that they take at once
    generator_ramp_w_per_s: float  # from there on

    def __post_init__(self) -> None:
        for name in ("stored_j", "discharge_w", "generator_start_s", "generator_w", "generator_step_w"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"BackupSource.{name} is {getattr(self, name):g}; must be at least 0")
        if not self.generator_ramp_w_per_s > 0:
            raise ValueError(
                f"BackupSource.generator_ramp_w_per_s is {self.generator_ramp_w_per_s:g}; must be greater than 0"
            )


@dataclass(frozen=True, slots=True, eq=False)
class BackupRun:
    """What carried the load after the loss. Series have shape (..., n_steps), figures (...)."""

    generator_w: FloatArray
    storage_w: FloatArray
    unserved_w: FloatArray
    stored_j: FloatArray  # at the end of each step
    needed_j: FloatArray  # energy that storage must hold to bridge without a gap
    needed_w: FloatArray  # power that it must give
    empty_s: FloatArray  # when load is first dropped; infinite if never

    @property
    def carried(self) -> NDArray[np.bool_]:
        """Return where the load was carried throughout."""
        return np.isinf(self.empty_s)


@dataclass(frozen=True, slots=True, eq=False)
class SmoothedLoad:
    """A swinging load behind storage. Series have shape (..., n_steps), figures (...)."""

    grid_w: FloatArray
    storage_w: FloatArray  # positive while storage gives
    needed_j: FloatArray  # swing of the energy in storage
    needed_w: FloatArray
    load_ramp_w_per_s: FloatArray  # steepest of the load
    grid_ramp_w_per_s: FloatArray  # steepest left for the grid
    load_band_frac: FloatArray  # rms in the band over the mean power
    grid_band_frac: FloatArray


def backup_run(load_w: ArrayLike, step_s: float, source: BackupSource) -> BackupRun:
    """Return how stored energy and generators carry a load from the loss of the grid on.

    Parameters
    ----------
    load_w : array_like, shape (..., n_steps)
        Load that must be carried [W], held over each step; the first step starts at the loss.
    step_s : float
        Step [s], above 0.
    source : BackupSource
        Storage and generators.

    Returns
    -------
    BackupRun
        Generators take their block and ramp from `generator_start_s`; storage gives the rest while it has energy.
        `needed_j` is the same sum without the storage's limits.

    Raises
    ------
    ValueError
        If a load is negative or the step not positive.
    """
    load = np.atleast_1d(np.asarray(load_w, dtype=float))
    if not step_s > 0:
        raise ValueError(f"step_s is {step_s:g} s; must be greater than 0")
    if not np.all(load >= 0):
        raise ValueError(f"load_w is {load[~(load >= 0)].flat[0]:g} W; must be at least 0")
    n = load.shape[-1]
    # Mean generator ability over each step, from its integral, so that a start inside a step counts exactly.
    edges = step_s * np.arange(n + 1) - source.generator_start_s
    since = np.maximum(edges, 0.0)
    climb_s = max(source.generator_w - source.generator_step_w, 0.0) / source.generator_ramp_w_per_s
    block = min(source.generator_step_w, source.generator_w)
    climbing = np.minimum(since, climb_s)
    energy = block * since + 0.5 * source.generator_ramp_w_per_s * climbing**2
    energy = energy + source.generator_ramp_w_per_s * climb_s * (since - climbing)
    able = np.diff(energy) / step_s
    generator = np.minimum(load, able)
    wanted = load - generator
    needed_j = (wanted * step_s).sum(axis=-1)
    possible = np.minimum(wanted, source.discharge_w)
    spent = np.minimum(np.cumsum(possible * step_s, axis=-1), source.stored_j)
    storage = np.diff(spent, axis=-1, prepend=0.0) / step_s
    unserved = np.maximum(wanted - storage, 0.0)
    short = unserved > 1e-9 * np.maximum(load, 1.0)
    first = np.argmax(short, axis=-1)
    # Within the first short step storage lasts for its share of it.
    share = np.take_along_axis(storage / np.maximum(wanted, 1e-300), first[..., None], axis=-1)[..., 0]
    # Where power, not energy, is short the gap opens at the step's start.
    limited = np.take_along_axis(wanted, first[..., None], axis=-1)[..., 0] > source.discharge_w
    empty = np.where(short.any(axis=-1), step_s * (first + np.where(limited, 0.0, share)), math.inf)
    return BackupRun(
        generator_w=generator,
        storage_w=storage,
        unserved_w=unserved,
        stored_j=source.stored_j - spent,
        needed_j=needed_j,
        needed_w=wanted.max(axis=-1),
        empty_s=empty,
    )


def training_swing_w(
    duration_s: float,
    step_s: float,
    *,
    busy_w: float,
    waiting_w: float,
    period_s: float,
    busy_frac: float,
    edge_s: float = 0.05,
) -> FloatArray:
    """Return the power of a synchronised training job: busy, then waiting, with edges of finite steepness.

    Parameters
    ----------
    duration_s, step_s : float
        Length and step of the series [s].
    busy_w, waiting_w : float
        Power while computing and while communicating [W].
    period_s : float
        Duration of one training step [s].
    busy_frac : float
        Share of it spent computing [-].
    edge_s : float
        Time of a rise or fall [s]; power supplies and chips take some tens of milliseconds.
    """
    if not 0 < busy_frac < 1:
        raise ValueError(f"busy_frac is {busy_frac:g}; must be between 0 and 1")
    if not period_s > 2 * edge_s:
        raise ValueError(f"period_s is {period_s:g} s; must be more than two edges of {edge_s:g} s")
    phase = (step_s * (np.arange(math.ceil(duration_s / step_s)) + 0.5)) % period_s
    rising = np.clip(phase / edge_s, 0.0, 1.0)
    falling = np.clip((phase - busy_frac * period_s) / edge_s, 0.0, 1.0)
    return waiting_w + (busy_w - waiting_w) * (rising - falling)


@compiled
def _follow(
    load: FloatArray, step: float, ramp: float, filter_s: FloatArray, refill: FloatArray, grid: FloatArray
) -> None:
    """Grid power: the load through a first-order filter, drawn to refill storage, moving by at most `ramp`."""
    for row in range(load.shape[0]):
        smooth = load[row].mean()
        now = smooth
        given = 0.0  # by the storage so far
        gain = 1.0 - math.exp(-step / filter_s[row])
        for i in range(load.shape[1]):
            smooth += gain * (load[row, i] - smooth)
            wanted = smooth + refill[row] * given
            now = max(now + min(max(wanted - now, -ramp * step), ramp * step), 0.0)
            grid[row, i] = now
            given += (load[row, i] - now) * step


def smooth_load(
    power_w: ArrayLike, step_s: float, *, grid_ramp_w_per_s: float, filter_s: float | None = None
) -> SmoothedLoad:
    """Return what the grid sees of a swinging load behind storage that holds the grid's ramp limit.

    Parameters
    ----------
    power_w : array_like, shape (..., n_steps)
        Load [W], held over each step.
    step_s : float
        Step [s]; at most a tenth of the fastest swing.
    grid_ramp_w_per_s : float
        Steepest change that the grid, or the generators, take [W/s], above 0.
    filter_s : float, optional
        Time constant of the filter in front of the ramp limit [s]; where not given, the load's swing over the ramp
        limit, so that a full swing just meets the limit.

    Returns
    -------
    SmoothedLoad
        With the energy and power that the storage needs: the swing of the integral of load minus grid. The grid starts
        at the load's mean; the storage is refilled with a quarter of the filter's rate, which does not overshoot.

    Raises
    ------
    ValueError
        If the ramp limit or step is not positive.
    """
    if not (grid_ramp_w_per_s > 0 and step_s > 0):
        raise ValueError("grid_ramp_w_per_s and step_s must be greater than 0")
    load = np.atleast_1d(np.asarray(power_w, dtype=float))
    rows = np.array(load.reshape(-1, load.shape[-1]), order="C")
    swing = rows.max(axis=1) - rows.min(axis=1)
    constant = np.full(rows.shape[0], filter_s) if filter_s is not None else swing / grid_ramp_w_per_s
    constant = np.maximum(constant, step_s)
    grid = np.empty_like(rows)
    _follow(rows, float(step_s), float(grid_ramp_w_per_s), constant, 0.25 / constant, grid)
    grid = grid.reshape(load.shape)
    storage = load - grid
    energy = np.cumsum(storage, axis=-1) * step_s
    lowest, highest = np.minimum(energy.min(axis=-1), 0.0), np.maximum(energy.max(axis=-1), 0.0)
    return SmoothedLoad(
        grid_w=grid,
        storage_w=storage,
        needed_j=highest - lowest,
        needed_w=np.abs(storage).max(axis=-1),
        load_ramp_w_per_s=_steepest(load, step_s),
        grid_ramp_w_per_s=_steepest(grid, step_s),
        load_band_frac=band_rms_frac(load, step_s),
        grid_band_frac=band_rms_frac(grid, step_s),
    )


def band_rms_frac(power_w: ArrayLike, step_s: float, band_hz: tuple[float, float] = GRID_BAND_HZ) -> FloatArray:
    """Return the rms of the part of a power series inside a frequency band, over its mean [-]."""
    power = np.asarray(power_w, dtype=float)
    n = power.shape[-1]
    spectrum = np.fft.rfft(power, axis=-1)
    frequency = np.fft.rfftfreq(n, step_s)
    inside = (frequency >= band_hz[0]) & (frequency <= band_hz[1])
    # Parseval: each line but the constant (and the highest of an even length) stands for two.
    weight = np.full(frequency.size, 2.0)
    weight[0] = 1.0
    if n % 2 == 0:
        weight[-1] = 1.0
    square = (np.abs(spectrum) ** 2 * weight * inside).sum(axis=-1) / n**2
    return np.sqrt(square) / np.maximum(power.mean(axis=-1), 1e-300)


def _steepest(power_w: FloatArray, step_s: float) -> FloatArray:
    if power_w.shape[-1] < 2:
        return np.zeros(power_w.shape[:-1])
    return np.abs(np.diff(power_w, axis=-1)).max(axis=-1) / step_s
