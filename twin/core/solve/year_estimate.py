"""A year's hours estimated from a few of them: which ones to solve, and what they say about the others.

Hours differ by how busy they are and by the weather. A few that cover both are solved; every other hour is interpolated
between them (thin-plate splines over load, dry bulb and wet bulb), since what a plant draws is smooth in these but for
the few degrees in which it changes its mode.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from power_cooling.fluids.psychrometrics import dew_point_degc, wet_bulb_degc
from power_cooling.site_arrays import FloatArray, Weather
from twin.core.solve.solve_cache import remembered
from twin.core.solved import Described

IntArray = NDArray[np.int64]

YEARS_KEPT = 8  # a year's wet bulbs take some 20 ms, more than all rules of a thousand racks
N_SOLVED = 48  # hours; measured on the samples: mean power within 0.1 %, PUE within 0.001
IN_CACHE = 512  # points whose distances are taken at once, so that they stay in the processor's cache
# How far apart the extremes of load, dry and wet bulb count. Load bends little; the plant's modes hang on weather.
SPREAD = np.array([0.5, 1.0, 0.7])


@dataclass(frozen=True, slots=True, eq=False)
class HourSpace:
    """All hours of a year as points. `points` has shape (n_hours, 3): load, dry and wet bulb, scaled."""

    points: FloatArray
    solved: IntArray  # the hours that stand for all, (n_solved,)

    def spread(self, values: FloatArray) -> FloatArray:
        """Return values at the solved hours, shape (n_solved, n), as estimated at all hours, shape (n_hours, n).

        Held between the least and the greatest solved value, which the solved hours include.
        """
        low, high = values.min(axis=0), values.max(axis=0)
        varies = np.flatnonzero(high > low)
        everywhere = np.repeat(low[None], len(self.points), axis=0)
        everywhere[:, varies] = np.clip(self._surface(values[:, varies]), low[varies], high[varies])
        return everywhere

    def _surface(self, values: FloatArray) -> FloatArray:
        nodes = self.points[self.solved]
        n = self.solved.size
        system = np.zeros((n + 4, n + 4))
        system[:n, :n] = _thin_plate(nodes, nodes)
        system[:n, n], system[:n, n + 1 :] = 1.0, nodes
        system[n:, :n] = system[:n, n:].T
        wanted = np.concatenate([values, np.zeros((4, values.shape[1]))])
        # least squares: the plane is not fixed where a year is all one load or one temperature
        weights = np.linalg.lstsq(system, wanted, rcond=None)[0]
        return _thin_plate(self.points, nodes) @ weights[:n] + weights[n] + self.points @ weights[n + 1 :]


def hour_space(year: Described, n_solved: int = N_SOLVED) -> HourSpace:
    """Return the hours of a year as points, and which of them to solve."""
    weather = year.weather
    wet, _ = moisture(weather)
    columns = np.column_stack([accelerator_watts(year), weather.dry_bulb_degc, wet])
    low, high = columns.min(axis=0), columns.max(axis=0)
    points = (columns - low) / np.where(high > low, high - low, 1.0) * SPREAD
    return HourSpace(points, _covering(points, min(n_solved, len(points))))


def _moisture_of(year: Weather) -> tuple[FloatArray, FloatArray]:
    return (
        wet_bulb_degc(year.dry_bulb_degc, year.humidity_ratio, year.pressure_pa),
        dew_point_degc(year.humidity_ratio, year.pressure_pa),
    )


_kept_moisture = remembered(_moisture_of, YEARS_KEPT)


def moisture(year: Weather) -> tuple[FloatArray, FloatArray]:
    """Return wet bulb and dew point of a year's hours [°C], each of shape (n_hours,)."""
    wet_bulb, dew_point = _kept_moisture(year)
    return wet_bulb, dew_point


def accelerator_watts(year: Described) -> FloatArray:
    """Return what each hour's demand makes the accelerators draw at full clock [W], shape (n_hours,).

    Temperatures are left out: hours are only ordered by it, and their power is nearly linear in it.
    """
    racks, pools = year.site.racks, year.site.pools
    load = loads(year)
    grid = np.linspace(0.0, 1.0, pools.static_power_w.shape[1])
    watts = np.zeros(len(load))
    for i in range(load.shape[1]):
        of_pool = np.flatnonzero((racks.pool_index == i) & (racks.count > 0))
        # Demand repeats by the week: a few dozen values stand for all hours.
        alike, which = np.unique(load[:, i], return_inverse=True)
        carried = np.clip(alike[:, None] * racks.load_share[of_pool], 0.0, 1.0)
        chips = np.interp(carried, grid, pools.static_power_w[i] + pools.dynamic_power_w[i])
        per_rack = chips * racks.n_accelerators[of_pool] + carried * racks.per_load_w[of_pool]
        watts += (per_rack @ racks.count[of_pool])[which.reshape(-1)]
    return watts


def loads(year: Described) -> FloatArray:
    """Return work over capacity at full clock, at most 1, shape (n_hours, n_pools)."""
    demand = np.stack([pool.work_per_s for pool in year.pools], axis=1)
    capacity = np.array([pool.capacity_per_s for pool in year.pools])
    load = np.divide(demand, capacity, out=(demand > 0).astype(float), where=capacity > 0)
    return np.minimum(load, 1.0)


def _covering(points: FloatArray, n: int) -> IntArray:
    """Return `n` points of which one is near every point: the corners, then always the farthest from those chosen."""
    busy = np.where(points[:, 0] >= points[:, 0].max() - 1e-9, 0.0, -np.inf)
    corners = [busy + points[:, 1], busy + points[:, 2], points[:, 1], points[:, 2], -points[:, 1], -points[:, 0]]
    chosen = list(dict.fromkeys(int(np.argmax(values)) for values in corners))[:n]
    length = np.einsum("ij,ij->i", points, points)

    def squared(i: int) -> FloatArray:
        return length + length[i] - 2.0 * (points @ points[i])

    distance = np.min([squared(i) for i in chosen], axis=0)
    while len(chosen) < n:
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, squared(chosen[-1]))
    # in order of load: alike hours warm-start each other
    return np.array(sorted(chosen, key=lambda i: points[i, 0]), dtype=np.int64)


def _thin_plate(points: FloatArray, nodes: FloatArray) -> FloatArray:
    """Return r² ln r of the distances between points and nodes, shape (n_points, n_nodes)."""
    surface = np.empty((len(points), len(nodes)))
    length = (nodes**2).sum(axis=1)
    for first in range(0, len(points), IN_CACHE):
        some = points[first : first + IN_CACHE]
        squared = some @ (-2.0 * nodes.T)
        squared += (some**2).sum(axis=1)[:, None] + length
        np.maximum(squared, 1e-30, out=squared)
        here = surface[first : first + IN_CACHE]
        np.log(squared, out=here)
        here *= squared
        here *= 0.5
    return surface
