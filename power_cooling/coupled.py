"""The coupled steady state of a whole site: chips, racks, feeds, CDUs, halls and plants solved together per element.

An element is one hour or one scenario. `solve_coupled` takes the site (`site_arrays`), each pool's load, the weather
and what has failed, and returns watts, temperatures, clocks and water for every element, with a report.

Unknowns of an element are the supply temperature and flow of each CDU group, supply and hot-aisle temperature of each
hall, and the facility-water temperature of each plant. A pass evaluates every rack at these unknowns, with the exact
slopes of its heat, and then solves CDUs, air units and plants for that linearised heat: Newton's method with the racks'
side differentiated and the plant side exact. Elements stop being updated once a pass moves nothing by more than the
tolerance; what they report was evaluated at the temperatures they report.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from power_cooling.site_arrays import Failures, FloatArray, SiteArrays, Weather


class Reason(IntEnum):
    """Why an element has, or has not, a solution."""

    CONVERGED = 0
    NOT_CONVERGED = 1  # passes used up; its results are NaN
    NO_STEADY_STATE = 2  # leakage outruns the cooling even with everything over the limit switched off


class EconomiserMode(IntEnum):
    """Who carries the heat of a plant."""

    FREE = 0
    PARTIAL = 1
    MECHANICAL = 2


@dataclass(frozen=True, slots=True, eq=False)
class SolveReport:
    """How the solve went. Arrays have shape (n_elements,)."""

    converged: bool
    n_failed: int
    iterations: NDArray[np.int16]  # passes over the racks
    iterations_p99: float
    iterations_max: int
    reasons: NDArray[np.int8]  # `Reason` per element
    residual_k: float  # worst last move of any temperature among converged elements
    tolerance_k: float
    message: str


@dataclass(frozen=True, slots=True, eq=False)
class RackSummary:
    """Each rack class over all elements (one rack of the class). Arrays of shape (n_racks,)."""

    mean_power_w: FloatArray
    max_power_w: FloatArray
    max_junction_degc: FloatArray
    max_inlet_degc: FloatArray  # air
    max_coolant_degc: FloatArray  # liquid supply; NaN for air-only racks
    min_clock_frac: FloatArray
    mean_clock_frac: FloatArray  # over elements in which it runs
    throttled_elements: FloatArray  # number of elements with a clock lowered by temperature
    capped_elements: FloatArray
    tripped_elements: FloatArray  # switched off by heat or for want of cooling


@dataclass(frozen=True, slots=True, eq=False)
class RackChannels:
    """Every rack in every element, kept on demand; float32 arrays of shape (n_elements, n_racks)."""

    power_w: NDArray[np.float32]
    junction_degc: NDArray[np.float32]
    clock_frac: NDArray[np.float32]
    inlet_degc: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class CoupledResult:
    """The solved site. Unconverged elements are NaN throughout; `report` says which and why."""

    report: SolveReport
    # (n_elements,) watts; racks are weighted by count
    it_power_w: FloatArray  # at the racks' inputs, shelves and server fans included
    accelerator_power_w: FloatArray
    other_it_power_w: FloatArray  # CPU, NIC, switches, drives
    server_fan_power_w: FloatArray
    shelf_loss_w: FloatArray
    cdu_pump_power_w: FloatArray
    plant_pump_power_w: FloatArray
    tower_pump_power_w: FloatArray
    air_unit_fan_power_w: FloatArray
    cooler_fan_power_w: FloatArray
    tower_fan_power_w: FloatArray
    chiller_power_w: FloatArray
    lighting_power_w: FloatArray
    feed_loss_w: FloatArray  # from the meter to racks and mechanical loads
    meter_power_w: FloatArray
    liquid_heat_w: FloatArray  # into the coolant at the racks
    air_heat_w: FloatArray  # into hall air, all sources
    water_kg_s: FloatArray  # evaporation, blowdown, drift and bleed
    evaporation_kg_s: FloatArray
    # (n_elements,) shares, weighted by accelerators
    throttled_frac: FloatArray
    capped_frac: FloatArray
    tripped_frac: FloatArray  # switched off by heat, for want of cooling, or without power
    # (n_elements, n_pools)
    pool_clock_frac: FloatArray  # mean clock of the pool's running accelerators (1 where none runs)
    pool_available_frac: FloatArray  # share of the pool's accelerators that run
    # (n_elements, n_groups)
    cdu_supply_degc: FloatArray
    cdu_return_degc: FloatArray
    cdu_heat_w: FloatArray
    cdu_flow_frac: FloatArray  # of the racks' design flow
    cdu_valve_frac: FloatArray  # of the open primary flow
    cdu_load_frac: FloatArray  # heat over the running units' rating
    dew_point_margin_k: FloatArray  # supply above the room's dew point
    # (n_elements, n_halls)
    hall_supply_degc: FloatArray
    hall_hot_degc: FloatArray
    hall_return_degc: FloatArray
    hall_inlet_max_degc: FloatArray
    hall_heat_w: FloatArray
    hall_air_frac: FloatArray  # air units' flow over that of the running units
    hall_server_air_kg_s: FloatArray
    hall_unit_air_kg_s: FloatArray
    hall_load_frac: FloatArray  # coil heat over the running units' rating
    # (n_elements, n_plants)
    facility_supply_degc: FloatArray
    facility_return_degc: FloatArray
    facility_heat_w: FloatArray
    economiser_mode: NDArray[np.int8]  # `EconomiserMode`
    chiller_load_frac: FloatArray  # over the running chillers' capacity at these temperatures
    curve_clamped: NDArray[np.bool_]  # a chiller or tower formula was held at the edge of its range
    # (n_elements, n_feed_nodes)
    feed_load_w: FloatArray
    # closures of each element, worst of its nodes, from temperatures and flows
    heat_closure_rel: FloatArray
    power_closure_rel: FloatArray
    racks: RackSummary
    rack_channels: RackChannels | None

    @property
    def cooling_power_w(self) -> FloatArray:
        """Power of everything that moves heat outside the racks [W], shape (n_elements,)."""
        return (
            self.cdu_pump_power_w
            + self.plant_pump_power_w
            + self.tower_pump_power_w
            + self.air_unit_fan_power_w
            + self.cooler_fan_power_w
            + self.tower_fan_power_w
            + self.chiller_power_w
        )


def solve_coupled(
    site: SiteArrays,
    pool_load_frac: FloatArray,
    weather: Weather,
    *,
    feeds: object | None = None,
    failures: Failures | None = None,
    keep_rack_channels: bool = False,
    tolerance_k: float = 1e-9,
    max_passes: int = 60,
    n_threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> CoupledResult:
    """Solve every element of a site."""
    raise NotImplementedError("the interface is fixed first; the solver follows in the next commits")
