"""What the coupled solver answers: the solved site per element, racks over all elements, and how the solve went."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from power_cooling.site_arrays import FloatArray


class Reason(IntEnum):
    """Why an element has, or has not, a solution."""

    CONVERGED = 0
    NOT_CONVERGED = 1  # passes used up; its results are NaN
    NO_STEADY_STATE = 2  # the same, where leakage can outrun the cooling of some rack


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
    liquid_heat_w: NDArray[np.float32]


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
    ups_loss_w: FloatArray  # parts of it
    transformer_loss_w: FloatArray
    building_power_w: FloatArray  # the site's own: offices and services
    heater_power_w: FloatArray  # of standby engines
    room_cooling_power_w: FloatArray  # of UPS and switch rooms
    meter_power_w: FloatArray
    liquid_heat_w: FloatArray  # into the coolant at the racks
    air_heat_w: FloatArray  # into hall air, all sources
    water_kg_s: FloatArray  # evaporation, blowdown, drift and bleed
    evaporation_kg_s: FloatArray
    # (n_elements,) shares, weighted by accelerators
    throttled_frac: FloatArray
    capped_frac: FloatArray
    tripped_frac: FloatArray  # switched off by heat, for want of cooling, or without power
    hottest_junction_degc: FloatArray  # of any running accelerator
    # levels: 1 unrestrained, to 1/2 accelerators held back, to 0 racks off as well (`load_shedding`)
    feed_level: FloatArray  # the lowest of any feed
    short_feed: NDArray[np.int64]  # that feed's node; -1 where none is too small
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
    cdu_level: FloatArray  # how far its racks are held back for want of coolant
    cdu_pump_w: FloatArray
    cdu_primary_kg_s: FloatArray  # facility water through the group
    # (n_elements, n_halls)
    hall_supply_degc: FloatArray
    hall_hot_degc: FloatArray
    hall_return_degc: FloatArray
    hall_inlet_max_degc: FloatArray  # of any rack
    hall_inlet_mean_degc: FloatArray  # over the servers' air; NaN where they draw none
    hall_heat_w: FloatArray
    hall_air_frac: FloatArray  # air units' flow over that of the running units
    hall_server_air_kg_s: FloatArray
    hall_unit_air_kg_s: FloatArray
    hall_load_frac: FloatArray  # coil heat over the running units' rating
    hall_level: FloatArray  # how far its racks are held back for want of air
    hall_fan_w: FloatArray
    # (n_elements, n_plants)
    facility_supply_degc: FloatArray
    facility_return_degc: FloatArray
    facility_heat_w: FloatArray
    economiser_mode: NDArray[np.int8]  # `chillers.CoolingMode`
    economiser_heat_w: FloatArray  # rejected without chillers
    chiller_load_frac: FloatArray  # over the running chillers' capacity at these temperatures
    curve_clamped: NDArray[np.bool_]  # a chiller or tower formula was held at the edge of its range
    facility_flow_kg_s: FloatArray
    facility_pump_w: FloatArray
    cooler_fan_w: FloatArray
    tower_fan_w: FloatArray
    tower_pump_w: FloatArray
    chiller_w: FloatArray
    pump_load_frac: FloatArray  # heat over what the running pumps move at the design rise
    outdoor_load_frac: FloatArray  # heat of coolers or towers over their rating in this air
    plant_level: FloatArray  # how far its racks are held back by what its machines are rated for
    facility_water_kg_s: FloatArray  # used up: evaporation, blowdown, drift and bleed
    # (n_elements, n_feed_nodes)
    feed_load_w: FloatArray
    source_power_w: FloatArray  # (n_elements, n_sources), in the order of `FeedTree.roots`; they sum to the meter's
    # closures of each element, worst of its nodes, from temperatures and flows
    heat_closure_rel: FloatArray
    power_closure_rel: FloatArray
    racks: RackSummary
    rack_channels: RackChannels | None

    @property
    def every_rack(self) -> RackChannels:
        """Every rack in every element; ValueError where they were not kept."""
        if self.rack_channels is None:
            raise ValueError("CoupledResult.rack_channels is None; solve with keep_racks to read single racks")
        return self.rack_channels

    @property
    def own_power_w(self) -> FloatArray:
        """Power of what the site draws for itself [W], shape (n_elements,)."""
        return self.building_power_w + self.heater_power_w + self.room_cooling_power_w

    @property
    def cooling_power_w(self) -> FloatArray:
        """Power of everything that moves heat of racks and halls [W], shape (n_elements,)."""
        return (
            self.cdu_pump_power_w
            + self.plant_pump_power_w
            + self.tower_pump_power_w
            + self.air_unit_fan_power_w
            + self.cooler_fan_power_w
            + self.tower_fan_power_w
            + self.chiller_power_w
        )
