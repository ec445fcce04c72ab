"""A battery that lowers the highest power from the grid: the lowest peak it can hold, and its charge over the hours."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from power_cooling.compiled import compiled

FloatArray = NDArray[np.float64]

_HALVINGS = 40  # of the span between peaks that are surely held and surely not: to 1e-12 of it


@dataclass(frozen=True, slots=True)
class PeakBattery:
    """What shaves peaks. Losses are taken on charging."""

    power_w: float  # most that it gives or takes
    energy_j: float  # beyond what is kept in reserve
    efficiency_frac: float = 1.0  # round trip

    def __post_init__(self) -> None:
        for name in ("power_w", "energy_j"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise ValueError(f"PeakBattery.{name} is {value:g}; must be finite and at least 0")
        if not 0 < self.efficiency_frac <= 1:
            raise ValueError(f"PeakBattery.efficiency_frac is {self.efficiency_frac:g}; must be above 0 and at most 1")


@dataclass(frozen=True, slots=True, eq=False)
class Shaved:
    """A load with its peaks shaved. Arrays have shape (n_steps,)."""

    grid_w: FloatArray
    stored_j: FloatArray  # at the end of each step, of the energy that is not in reserve
    loss_w: FloatArray  # of charging
    peak_w: float  # highest step of the grid


def shave_peaks(load_w: FloatArray, battery: PeakBattery, step_s: float = 3600.0) -> Shaved:
    """Return a load from the grid with the lowest peak that a battery can hold, which begins full.

    It gives what is above the peak and takes up again what is below it, so that charging makes no peak of its own.

    Parameters
    ----------
    load_w : ndarray, shape (n_steps,)
        Of the site [W], at least 0.
    battery : PeakBattery
    step_s : float
        Length of a step [s].

    Raises
    ------
    ValueError
        If there is no step, or a load is negative or not finite.
    """
    load = np.asarray(load_w, dtype=np.float64)
    if load.ndim != 1 or load.size == 0 or not np.all(np.isfinite(load)) or np.any(load < 0):
        raise ValueError(f"load_w has shape {load.shape}; must be a series of finite powers of at least 0 W")
    high = float(load.max())
    low = max(high - battery.power_w, float(load.min()))
    if battery.energy_j <= 0 or battery.power_w <= 0:
        low = high
    for _ in range(_HALVINGS if high > low else 0):
        middle = (low + high) / 2
        if _holds(load, middle, battery.power_w, battery.energy_j, battery.efficiency_frac, step_s):
            high = middle
        else:
            low = middle
    return hold_peak(load, high, battery, step_s)


@compiled
def _holds(
    load_w: FloatArray, peak_w: float, power_w: float, energy_j: float, efficiency_frac: float, step_s: float
) -> bool:
    """Return whether a battery that begins full holds a peak."""
    stored = energy_j
    for watts in load_w:
        above = watts - peak_w
        if above > 0:
            stored -= above * step_s
            if stored < 0 or above > power_w:
                return False
        elif stored < energy_j:
            stored = min(stored + min(-above, power_w) * step_s * efficiency_frac, energy_j)
    return True


def hold_peak(load_w: FloatArray, peak_w: float, battery: PeakBattery, step_s: float = 3600.0) -> Shaved:
    """Return a load from the grid with a battery, which begins full, that holds it to a peak as far as it can.

    Parameters
    ----------
    load_w : ndarray, shape (n_steps,)
        Of the site [W], at least 0.
    peak_w : float
        That the grid is held to [W].
    battery : PeakBattery
    step_s : float
        Length of a step [s].
    """
    stored, grid_w, stored_j, loss_w = battery.energy_j, [], [], []
    for watts in load_w.tolist():
        grid, stored, loss = follow_peak(watts, peak_w, stored, battery, step_s)
        grid_w.append(grid)
        stored_j.append(stored)
        loss_w.append(loss)
    return Shaved(np.array(grid_w), np.array(stored_j), np.array(loss_w), max(grid_w))


def follow_peak(
    load_w: float, peak_w: float, stored_j: float, battery: PeakBattery, step_s: float = 3600.0
) -> tuple[float, float, float]:
    """Return what the grid gives in one step [W], what is stored after it [J] and what charging loses [W].

    The battery gives what is above the peak, as far as its power and what is stored go, and takes up what is below it.

    Parameters
    ----------
    load_w, peak_w : float
        Of the site, and what the grid is held to [W].
    stored_j : float
        At the beginning of the step, beyond the reserve [J].
    battery : PeakBattery
    step_s : float
        Length of the step [s].
    """
    above = load_w - peak_w
    if above > 0:
        given = min(above, battery.power_w, stored_j / step_s)
        return load_w - given, stored_j - given * step_s, 0.0
    room_w = (battery.energy_j - stored_j) / (step_s * battery.efficiency_frac)
    taken = max(min(-above, battery.power_w, room_w), 0.0)
    return (
        load_w + taken,
        stored_j + taken * step_s * battery.efficiency_frac,
        taken * (1.0 - battery.efficiency_frac),
    )
