"""What is told of each kind of described object at an hour: quantities, limits and states.

Loads no solver, so that pages may name quantities without waiting for one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

MAX_HOURS = 24  # that one question asks for
MOST_DROP_FRAC = 0.05  # NEC 210.19(A), 215.2(A), informational notes: to the farthest outlet; `rating_rules.yaml`
OVER = 1.005  # half a percent above a limit is the solver's tolerance, not an overload
OK, THROTTLED, DEAD, BEYOND = "ok", "throttled", "dead", "over"
STATES = np.array([OK, THROTTLED, BEYOND, DEAD])


@dataclass(frozen=True, slots=True)
class ObjectQuantity:
    """One quantity of a kind of object. `limit` names the column that holds each object's limit."""

    name: str
    label: str
    unit: str
    limit: str = ""
    better: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as pages read it."""
        return {
            "name": self.name,
            "label": self.label,
            "unit": self.unit,
            "limit": self.limit or None,
            "better": self.better,
        }


Q = ObjectQuantity
QUANTITIES: Mapping[str, tuple[ObjectQuantity, ...]] = {
    "racks": (
        Q("power_w", "Rack power", "W", "power_limit_w", "lower"),
        Q("supply_degc", "Coolant supply", "°C", "supply_limit_degc", "lower"),
        Q("return_degc", "Coolant return", "°C"),
        Q("inlet_air_degc", "Inlet air", "°C", "inlet_air_limit_degc", "lower"),
        Q("junction_degc", "Accelerator junction", "°C", "junction_limit_degc", "lower"),
        Q("clock_frac", "Accelerator clock", "%", "", "higher"),
        Q("tokens_per_s", "Output tokens", "tok/s", "", "higher"),
        Q("tokens_per_joule", "Tokens per IT watt", "tok/J", "", "higher"),
        Q("flow_kg_s", "Coolant flow", "kg/s", "flow_design_kg_s"),
        Q("weight_kg", "Weight", "kg"),
    ),
    "cdus": (
        Q("heat_w", "Heat", "W", "heat_limit_w", "lower"),
        Q("load_frac", "Load", "%", "load_limit_frac", "lower"),
        Q("supply_degc", "Rack coolant supply", "°C", "supply_limit_degc", "lower"),
        Q("return_degc", "Rack coolant return", "°C"),
        Q("facility_supply_degc", "Facility water in", "°C"),
        Q("facility_return_degc", "Facility water out", "°C"),
        Q("flow_kg_s", "Rack coolant flow", "kg/s", "flow_limit_kg_s", "lower"),
        Q("facility_flow_kg_s", "Facility water flow", "kg/s"),
        Q("valve_frac", "Valve opening", "%", "valve_limit_frac", "lower"),
        Q("dew_point_margin_k", "Supply above dew point", "K", "", "higher"),
        Q("pump_power_w", "Pump power", "W", "", "lower"),
    ),
    "feeds": (
        Q("power_w", "Power carried", "W", "power_limit_w", "lower"),
        Q("load_frac", "Load", "%", "load_limit_frac", "lower"),
        Q("loss_w", "Loss", "W", "", "lower"),
        Q("charge_frac", "Charge left", "%"),
        Q("voltage_drop_frac", "Voltage drop from the source or UPS", "%", "voltage_drop_limit_frac", "lower"),
    ),
    "halls": (
        Q("air_heat_w", "Heat into air", "W", "air_heat_limit_w", "lower"),
        Q("load_frac", "Air-unit load", "%", "load_limit_frac", "lower"),
        Q("supply_degc", "Supply air", "°C"),
        Q("return_degc", "Return air", "°C"),
        Q("inlet_max_degc", "Warmest rack inlet", "°C", "", "lower"),
        Q("air_flow_kg_s", "Air flow", "kg/s", "air_flow_limit_kg_s", "lower"),
        Q("fan_power_w", "Fan power", "W", "", "lower"),
    ),
    "plants": (
        Q("supply_degc", "Facility water supply", "°C", "supply_set_degc", "lower"),
        Q("return_degc", "Facility water return", "°C"),
        Q("flow_kg_s", "Facility water flow", "kg/s", "flow_limit_kg_s"),
        Q("heat_w", "Heat rejected", "W"),
        Q("chiller_power_w", "Chiller power", "W", "", "lower"),
        Q("chiller_load_frac", "Chiller load", "%", "chiller_load_limit_frac", "lower"),
        Q("fan_power_w", "Cooler and tower fans", "W", "", "lower"),
        Q("pump_power_w", "Pump power", "W", "", "lower"),
        Q("economiser_frac", "Free-cooling fraction", "%", "", "higher"),
        Q("water_kg_s", "Water used", "kg/s", "", "lower"),
    ),
}


@dataclass(frozen=True, slots=True, eq=False)
class ObjectTable:
    """Objects of one kind. `values` are (n_hours, n_objects), `limits` (n_objects,), `state` indexes STATES."""

    ids: list[int]
    names: list[str]
    values: dict[str, FloatArray]
    limits: dict[str, FloatArray]
    state: NDArray[np.int64]  # (n_hours, n_objects)
    beside: dict[str, list[Any]]  # further columns, one entry per object
