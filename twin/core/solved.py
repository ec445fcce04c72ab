"""What is solved, and what comes of it: a layout as the solvers read it, its solved year, and what a run stores."""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from power_cooling.coupled.result import CoupledResult
from power_cooling.site_arrays import FloatArray, SiteArrays, SiteFeeds, Weather
from twin.core.failures.ride_through import PlantDrills
from twin.core.failures.serving_losses import ServingLoss
from twin.core.failures.uptime import Uptime
from twin.core.inputs.equipment import RackTable
from twin.core.inputs.layout import LayoutInputs
from twin.core.inputs.pools import Pool

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
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


@dataclass(frozen=True, slots=True, eq=False)
class HourlyPower:
    """Power, water and clocks of hours, solved or estimated. Arrays (n_hours,), those of pools and sources wide."""

    meter_power_w: FloatArray
    it_power_w: FloatArray
    accelerator_power_w: FloatArray
    other_it_power_w: FloatArray
    server_fan_power_w: FloatArray
    shelf_loss_w: FloatArray
    feed_loss_w: FloatArray
    ups_loss_w: FloatArray
    transformer_loss_w: FloatArray
    building_power_w: FloatArray
    heater_power_w: FloatArray
    room_cooling_power_w: FloatArray
    cdu_pump_power_w: FloatArray
    plant_pump_power_w: FloatArray
    tower_pump_power_w: FloatArray
    cooler_fan_power_w: FloatArray
    tower_fan_power_w: FloatArray
    chiller_power_w: FloatArray
    air_unit_fan_power_w: FloatArray
    lighting_power_w: FloatArray
    cooling_power_w: FloatArray
    water_kg_s: FloatArray
    source_power_w: FloatArray  # (n_hours, n_sources), in the order of `FeedTree.roots`
    pool_clock_frac: FloatArray
    pool_available_frac: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Year(Described):
    """A year, solved or estimated: all that its figures of merit, costs and bands are made of."""

    load_frac: FloatArray
    power: HourlyPower
    availability_frac: float
    serving_losses: list[ServingLoss]


def year_of(solved: Solved) -> Year:
    """Return what the figures of a solved year are made of."""
    return Year(
        **{entry.name: getattr(solved, entry.name) for entry in fields(Described)},
        load_frac=solved.load_frac,
        power=HourlyPower(**{entry.name: getattr(solved.coupled, entry.name) for entry in fields(HourlyPower)}),
        availability_frac=solved.uptime.availability_frac,
        serving_losses=solved.uptime.serving_losses,
    )
