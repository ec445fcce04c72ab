"""What is solved, and what comes of it: a layout as the solvers read it, its solved year, and what a run stores."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from power_cooling.coupled.result import CoupledResult
from power_cooling.site_arrays import FloatArray, SiteArrays, SiteFeeds, Weather
from twin.core.failures.ride_through import PlantDrills
from twin.core.failures.uptime import Uptime
from twin.core.inputs.equipment import RackTable
from twin.core.inputs.layout import LayoutInputs
from twin.core.inputs.pools import Pool

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """A layout under a scenario as the solvers read it. Weather and the pools' demand are those of some hours."""

    inputs: LayoutInputs
    weather: Weather
    table: RackTable
    rack_class: NDArray[np.int64]
    rack_pool: NDArray[np.int64]  # -1: no accelerators, or none of its workloads fits
    site: SiteArrays
    feeds: SiteFeeds
    pools: list[Pool]


@dataclass(frozen=True, slots=True, eq=False)
class Solved(Described):
    """A layout under a scenario, solved for the year. Arrays over hours have shape (n_hours, …)."""

    load_frac: FloatArray  # (n_hours, n_pools): demand over what the running, clocked accelerators can serve
    coupled: CoupledResult
    drills: PlantDrills
    uptime: Uptime
