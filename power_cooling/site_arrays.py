"""The description that the coupled solver reads: frozen structures of arrays.

One row of a bank is one rack class, CDU group, hall or plant; every field is an array over those rows. A scalar given
for a field is spread over all rows. Defaults marked *assumed* rest on textbook ranges, not on a data sheet: replace
them where a sheet exists. Validation names the offender: ``CduBank.ua_w_per_k[3] is -2; must be greater than 0``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from power_cooling.electrical.feed_tree import FeedTree, RackLinks

if TYPE_CHECKING:  # a name of type checkers' own
    from _typeshed import DataclassInstance

ASSUMED_EVAPORATOR_APPROACH_K = 1.5  # flooded evaporators on data sheets: 1-2 K
# Part-load curve of a variable-speed centrifugal chiller (Carrier 19XR 1407 kW, EnergyPlus DataSets/Chillers.idf).
ASSUMED_EIRFPLR = (0.118888, 0.6723542, 0.2068754)

ASSUMED_LEAKAGE_FRAC = 0.12  # of tdp, at the reference temperature
ASSUMED_LEAKAGE_PER_K = 0.010
ASSUMED_REFERENCE_DEGC = 65.0  # junction of a busy accelerator while its watts were measured

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Bank = TypeVar("Bank", bound="DataclassInstance")

# Bounds a field may carry: metadata {"low": x} means >= x, {"above": x} means > x, {"high": x} means <= x.


def _bounded(
    default: object = None, *, low: float | None = None, above: float | None = None, high: float | None = None
) -> Any:
    """Return a dataclass field whose values are held to bounds; without `default` the field is required.

    Any: a field is declared as the array that it is once made, and its default is a scalar that is spread then.
    """
    metadata = {"low": low, "above": above, "high": high}
    if default is None:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


def _spread(bank: DataclassInstance, *, trailing: dict[str, int] | None = None) -> int:
    """Turn every field of `bank` into a read-only array over its rows, check it, and return the number of rows."""
    name = type(bank).__name__
    trailing = trailing or {}
    own = fields(bank)
    n_rows = 1
    for entry in own:
        value = np.asarray(getattr(bank, entry.name))
        depth = value.ndim - (entry.name in trailing)
        if depth == 1:
            n_rows = value.shape[0]
            break
    for entry in own:
        is_index = str(entry.type).startswith("Int")
        value = np.asarray(getattr(bank, entry.name), dtype=np.int64 if is_index else np.float64)
        shape = (n_rows, trailing[entry.name]) if entry.name in trailing else (n_rows,)
        try:
            column = np.array(value if value.shape == shape else np.broadcast_to(value, shape), order="C")
        except ValueError as error:
            raise ValueError(f"{name}.{entry.name} has shape {value.shape}; {shape} is needed") from error
        _check(f"{name}.{entry.name}", column, entry.metadata)
        column.setflags(write=False)
        object.__setattr__(bank, entry.name, column)
    return n_rows


def records(bank: DataclassInstance) -> NDArray[np.void]:
    """Return a bank as one structured array, a row per rack (group, hall, plant): what compiled loops read."""
    names = [entry.name for entry in fields(bank)]
    columns = [getattr(bank, name) for name in names]
    table = np.zeros(
        columns[0].shape[0], dtype=[(n, c.dtype, c.shape[1:]) for n, c in zip(names, columns, strict=True)]
    )
    for name, column in zip(names, columns, strict=True):
        table[name] = column
    return table


def rows_of(bank: Bank, rows: IntArray, **changed: IntArray) -> Bank:
    """Return some rows of a bank, without checking again what its making has checked.

    Parameters
    ----------
    bank : dataclass of arrays
        A bank of this module.
    rows : ndarray of int, shape (n_rows,)
    **changed : ndarray, shape (n_rows,)
        Columns that differ from the bank's: indices into other banks that lost rows too.
    """
    taken = object.__new__(type(bank))
    for entry in fields(bank):
        column = changed[entry.name] if entry.name in changed else getattr(bank, entry.name)[rows]
        column.setflags(write=False)
        object.__setattr__(taken, entry.name, column)
    return taken


def _check(label: str, values: NDArray[Any], bounds: Mapping[str, float | None]) -> None:
    """Raise ValueError naming the first value of `label` that is outside `bounds` or not a number."""
    if not values.size:
        return
    least, most = values.min(), values.max()  # not a number where one is none: then every comparison is false
    low, above, high = (bounds.get(name) for name in ("low", "above", "high"))
    if (
        least == least
        and (low is None or least >= low)
        and (above is None or least > above)
        and (high is None or most <= high)
    ):
        return
    tests = [(np.isnan(values.astype(float)), "a number")]
    if bounds.get("low") is not None:
        tests.append((values < bounds["low"], f"at least {bounds['low']:g}"))
    if bounds.get("above") is not None:
        tests.append((values <= bounds["above"], f"greater than {bounds['above']:g}"))
    if bounds.get("high") is not None:
        tests.append((values > bounds["high"], f"at most {bounds['high']:g}"))
    for wrong, allowed in tests:
        if np.any(wrong):
            place = np.argwhere(wrong)[0]
            where = ", ".join(str(i) for i in place)
            raise ValueError(f"{label}[{where}] is {values[tuple(place)]:g}; must be {allowed}")


def _within(label: str, index: IntArray, n: int, kind: str, *, none_allowed: bool = False) -> None:
    """Raise ValueError naming the first entry of `index` that points outside 0..n-1 (or -1 where that means none)."""
    lowest = -1 if none_allowed else 0
    wrong = (index < lowest) | (index >= n)
    if np.any(wrong):
        i = int(np.argwhere(wrong)[0][0])
        raise ValueError(f"{label}[{i}] is {index[i]}; there are {n} {kind}, so it must be {lowest}..{n - 1}")


class PumpControl(IntEnum):
    """How the pumps of a CDU group are run."""

    CONSTANT_DP = 0  # racks keep their design flow, as far as the running pumps can give it
    CONSTANT_RISE = 1  # flow follows heat so that the racks warm the coolant by `rack_rise_set_k`


class FanControl(IntEnum):
    """How fans of coolers and towers hold the leaving-water set point."""

    VARIABLE_SPEED = 0
    TWO_SPEED = 1  # cycles linearly in leaving temperature between off, low and high, as EnergyPlus does
    SINGLE_SPEED = 2  # cycles between off (free convection) and full speed


class ChillerModel(IntEnum):
    """Which formula gives a chiller's capacity and power."""

    NONE = 0
    ELECTRIC_EIR = 1
    CARNOT = 2  # fraction of the Carnot efficiency: an extrapolation for warm water, reported as such


class TowerModel(IntEnum):
    """Which formula gives a tower's leaving water."""

    MERKEL = 0
    YORKCALC = 1


@dataclass(frozen=True, slots=True, eq=False)
class RackBank:
    """Racks, or classes of identical racks weighted by `count`. Every array has shape (n_racks,).

    Accelerator watts at clock phi and reference junction temperature are the pool's static + dynamic * g(phi) with
    ``g = clock_linear_frac * phi + (1 - clock_linear_frac) * phi**3``; leakage adds
    ``min(leakage_frac * tdp, static) * (exp(leakage_per_k * (T_j - reference)) - 1)``.
    Junction: ``T_j = T_in + P * (r_th_fixed + r_th_flow * f**-n + r_th_rise / f)`` with f the coolant flow over its
    design (for air-cooled accelerators, those with `accelerator_liquid_frac` 0, the server fans' speed). `r_th_rise` is
    half the coolant's rise per watt where the sheet's resistance is to mean coolant, 0 where it is to the inlet.
    """

    count: FloatArray = _bounded(low=0)
    n_accelerators: FloatArray = _bounded(low=0)  # per rack
    pool_index: IntArray = _bounded()  # row of PoolCurves; -1: no accelerators (network, storage, support)
    load_share: FloatArray = _bounded(low=0)  # multiplies the pool's load of the element; the product is held to 0..1
    cdu_index: IntArray = _bounded()  # row of CduBank; -1: air only
    hall_index: IntArray = _bounded()
    tdp_w: FloatArray = _bounded(low=0)
    idle_w: FloatArray = _bounded(low=0)
    power_limit_w: FloatArray = _bounded(above=0)  # cap per accelerator, the board's own or set by the operator
    r_th_fixed_k_per_w: FloatArray = _bounded(low=0)
    r_th_flow_k_per_w: FloatArray = _bounded(low=0)  # flow-dependent part at design flow
    throttle_degc: FloatArray = _bounded()
    trip_degc: FloatArray = _bounded()  # the accelerators switch off above this junction temperature
    fixed_w: FloatArray = _bounded(low=0)  # CPU, NIC, switches, drives: drawn at any load
    per_load_w: FloatArray = _bounded(low=0)  # further draw at full load, linear
    max_power_w: FloatArray = _bounded(above=0)  # rated rack input
    fan_power_w: FloatArray = _bounded(0.0, low=0)  # server fans at full speed
    air_flow_kg_s: FloatArray = _bounded(0.0, low=0)  # server air at full fan speed
    coolant_flow_kg_s: FloatArray = _bounded(0.0, low=0)  # design, per rack
    accelerator_liquid_frac: FloatArray = _bounded(0.0, low=0, high=1)  # share of accelerator heat into liquid
    other_liquid_frac: FloatArray = _bounded(0.0, low=0, high=1)  # share of the other heat (not fans) into liquid
    recirculation_frac: FloatArray = _bounded(0.0, low=0, high=0.95)  # hot air in the rack's inlet, by position
    min_clock_frac: FloatArray = _bounded(0.3, above=0, high=1)  # assumed
    clock_linear_frac: FloatArray = _bounded(0.25, low=0, high=1)
    throttle_frac_per_k: FloatArray = _bounded(0.05, above=0)  # assumed: 2-10 %/K
    leakage_frac: FloatArray = _bounded(ASSUMED_LEAKAGE_FRAC, low=0, high=1)  # of tdp at the reference temperature
    leakage_per_k: FloatArray = _bounded(ASSUMED_LEAKAGE_PER_K, low=0, high=0.1)
    reference_degc: FloatArray = _bounded(ASSUMED_REFERENCE_DEGC)  # where the watts of full load were measured
    r_th_flow_exponent: FloatArray = _bounded(0.5, low=0, high=2)  # assumed: laminar developing micro-channel
    r_th_rise_k_per_w: FloatArray = _bounded(0.0, low=0)  # 0: r_th is to the inlet; liquid_frac / (2 m cp): to the mean
    inlet_trip_degc: FloatArray = _bounded(60.0)  # assumed: the rack switches off above this air inlet
    fan_min_frac: FloatArray = _bounded(0.3, above=0, high=1)  # assumed
    fan_base_frac: FloatArray = _bounded(0.5, low=0, high=1)  # speed at no load and the fan reference inlet, assumed
    fan_load_frac: FloatArray = _bounded(0.3, low=0, high=1)  # further speed at full load, assumed
    fan_frac_per_k: FloatArray = _bounded(0.03, low=0)  # further speed per kelvin of inlet, assumed
    fan_reference_degc: FloatArray = _bounded(25.0)
    shelf_loss_a: FloatArray = _bounded(0.0, low=0)  # loss = max_power_w (a + b x + c x**2), x = DC power / max_power_w
    shelf_loss_b: FloatArray = _bounded(0.0, low=0)
    shelf_loss_c: FloatArray = _bounded(0.0, low=0)

    def __post_init__(self) -> None:
        _spread(self)
        wrong = self.trip_degc <= self.throttle_degc
        if np.any(wrong):
            i = int(np.argmax(wrong))
            limit = self.throttle_degc[i]
            raise ValueError(f"RackBank.trip_degc[{i}] is {self.trip_degc[i]:g}; must be above throttle_degc {limit:g}")
        liquid = (self.accelerator_liquid_frac > 0) | (self.other_liquid_frac > 0)
        for wrong, said in (
            (liquid & (self.cdu_index < 0), "has heat into liquid but cdu_index -1 (air only)"),
            ((self.cdu_index >= 0) & (self.coolant_flow_kg_s <= 0), "is on a CDU but coolant_flow_kg_s is 0"),
            ((self.n_accelerators > 0) & (self.pool_index < 0), "has accelerators but pool_index -1"),
            (
                (self.air_flow_kg_s <= 0) & (self.fan_power_w + (1 - self.accelerator_liquid_frac) * self.tdp_w > 0),
                "puts heat into air but air_flow_kg_s is 0",
            ),
        ):
            if np.any(wrong):
                raise ValueError(f"RackBank row {int(np.argmax(wrong))} {said}")

    @property
    def n_racks(self) -> int:
        """Rows of the bank (classes, not single racks)."""
        return self.count.shape[0]


@dataclass(frozen=True, slots=True, eq=False)
class PoolCurves:
    """Accelerator watts over a uniform load grid 0..1, per pool. Both arrays have shape (n_pools, n_load)."""

    static_power_w: FloatArray
    dynamic_power_w: FloatArray

    def __post_init__(self) -> None:
        for entry in fields(self):
            values = np.ascontiguousarray(getattr(self, entry.name), dtype=np.float64)
            if values.ndim != 2 or values.shape[1] < 2:
                raise ValueError(f"PoolCurves.{entry.name} has shape {values.shape}; (n_pools, n_load >= 2) is needed")
            _check(f"PoolCurves.{entry.name}", values, {"low": 0.0})
            object.__setattr__(self, entry.name, values)
        if self.static_power_w.shape != self.dynamic_power_w.shape:
            raise ValueError(
                f"PoolCurves.dynamic_power_w has shape {self.dynamic_power_w.shape}; "
                f"static_power_w has {self.static_power_w.shape}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class CduBank:
    """CDU groups: `n_units` alike in parallel on one header. Every array has shape (n_groups,).

    ``1/UA = (1/ua)(s r_s**-m + p r_p**-m + 1 - s - p)`` with r the flow per running unit over its rating, s and p the
    film shares of the resistance, m the film exponent. A lost unit thus changes flow, UA and approach of the others.
    """

    n_units: FloatArray = _bounded(low=0)
    capacity_w: FloatArray = _bounded(above=0)  # rating, per unit
    ua_w_per_k: FloatArray = _bounded(above=0)  # per unit, at both rated flows
    secondary_flow_kg_s: FloatArray = _bounded(above=0)  # rated, per unit
    primary_flow_kg_s: FloatArray = _bounded(above=0)  # valve open, per unit; of air where `to_air`
    supply_set_degc: FloatArray = _bounded()
    plant_index: IntArray = _bounded()
    hall_index: IntArray = _bounded()  # whose air takes the pumps' motor loss, and whose dew point guards the supply
    pump_power_w: FloatArray = _bounded(0.0, low=0)  # per unit at rated flow
    pump_heat_frac: FloatArray = _bounded(0.9, low=0, high=1)  # of pump power into the coolant; the rest into the hall
    pump_static_frac: FloatArray = _bounded(0.3, low=0, high=1)  # of the head that does not fall with flow, assumed
    pump_control: IntArray = _bounded(int(PumpControl.CONSTANT_DP), low=0, high=1)
    rack_rise_set_k: FloatArray = _bounded(10.0, above=0)
    min_flow_frac: FloatArray = _bounded(0.3, above=0, high=1)  # of the racks' design flow, for CONSTANT_RISE
    max_flow_frac: FloatArray = _bounded(1.2, above=0)  # a unit's largest flow over its rating, assumed
    secondary_cp_j_per_kg_k: FloatArray = _bounded(3950.0, above=0)  # PG25 near 40 degC
    holds_supply: IntArray = _bounded(1, low=0, high=1)  # 0: valve stays open and the supply floats
    min_valve_frac: FloatArray = _bounded(0.05, above=0, high=1)  # of primary flow
    to_air: IntArray = _bounded(0, low=0, high=1)  # 1: rejects into its hall's cold-aisle air, fans in place of valve
    dew_point_margin_k: FloatArray = _bounded(2.0, low=0)
    film_exponent: FloatArray = _bounded(0.7, low=0, high=1)  # chevron plates 0.6-0.8
    secondary_film_frac: FloatArray = _bounded(0.45, low=0, high=1)  # assumed
    primary_film_frac: FloatArray = _bounded(0.45, low=0, high=1)  # assumed

    def __post_init__(self) -> None:
        _spread(self)
        total = self.secondary_film_frac + self.primary_film_frac
        if np.any(total > 1 + 1e-12):
            i = int(np.argmax(total))
            raise ValueError(f"CduBank.primary_film_frac[{i}]: film shares sum to {total[i]:g}; must be at most 1")

    @property
    def n_groups(self) -> int:
        """Number of CDU groups."""
        return self.n_units.shape[0]


@dataclass(frozen=True, slots=True, eq=False)
class HallBank:
    """Halls and their air units. Every array has shape (n_halls,).

    Air units blow what the servers draw (pressure control), between their limits; `bypass_frac` of it leaks back
    unused. Hot air in the racks' inlets is per rack (`RackBank.recirculation_frac`) and grows when the units cannot
    give the servers' flow.
    """

    n_units: FloatArray = _bounded(low=0)
    supply_set_degc: FloatArray = _bounded()
    unit_capacity_w: FloatArray = _bounded(above=0)  # rating, per unit
    unit_air_kg_s: FloatArray = _bounded(above=0)  # at full speed
    unit_fan_w: FloatArray = _bounded(low=0)  # at full speed
    coil_ua_w_per_k: FloatArray = _bounded(above=0)  # per unit at full air and water flow
    coil_water_kg_s: FloatArray = _bounded(above=0)  # per unit, valve open
    plant_index: IntArray = _bounded()
    fan_exponent: FloatArray = _bounded(2.8, low=1, high=3)
    fan_min_frac: FloatArray = _bounded(0.3, above=0, high=1)
    coil_air_film_frac: FloatArray = _bounded(0.6, low=0, high=1)  # assumed share of the coil's resistance
    coil_water_film_frac: FloatArray = _bounded(0.3, low=0, high=1)  # assumed
    coil_film_exponent: FloatArray = _bounded(0.7, low=0, high=1)
    min_valve_frac: FloatArray = _bounded(0.05, above=0, high=1)
    bypass_frac: FloatArray = _bounded(0.05, low=0, high=0.9)  # supply air that returns unused, assumed for containment
    lighting_w: FloatArray = _bounded(0.0, low=0)  # drawn from the meter and given to the room
    extra_heat_w: FloatArray = _bounded(0.0, low=0)  # people and other heat that no meter of ours sees
    envelope_ua_w_per_k: FloatArray = _bounded(0.0, low=0)  # to the outdoor air
    dew_point_limit_degc: FloatArray = _bounded(15.0)  # the room's humidity control keeps its dew point below this

    def __post_init__(self) -> None:
        _spread(self)

    @property
    def n_halls(self) -> int:
        """Number of halls."""
        return self.n_units.shape[0]


_NO_CURVE6 = (1.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class PlantBank:
    """Cooling plants, each one facility-water loop. Arrays have shape (n_plants,) unless stated otherwise.

    Return water meets, in this order: dry or adiabatic coolers, then towers (through a plate exchanger when
    `economiser_ua_w_per_k` is above 0, else directly), then chillers. What the free part cannot do the chillers take.
    Water-cooled chillers reject through the same towers. Counts of 0 leave a part out.
    """

    supply_set_degc: FloatArray
    design_flow_kg_s: FloatArray = _bounded(above=0)
    cp_j_per_kg_k: FloatArray = _bounded(4180.0, above=0)
    n_pumps: FloatArray = _bounded(1.0, above=0)
    needed_pumps: FloatArray = _bounded(1.0, above=0)  # for the design flow; fewer give their share of it
    pump_power_w: FloatArray = _bounded(0.0, low=0)  # all pumps at design flow
    pump_heat_frac: FloatArray = _bounded(0.9, low=0, high=1)
    pump_static_frac: FloatArray = _bounded(0.3, low=0, high=1)
    min_flow_frac: FloatArray = _bounded(0.3, above=0, high=1)  # of design flow; a bypass carries the rest
    constant_flow: IntArray = _bounded(0, low=0, high=1)
    pumped_heat_w: FloatArray = _bounded(np.inf, above=0)  # that the needed pumps at their rated flow are rated for
    tank_m3: FloatArray = _bounded(0.0, low=0)  # chilled water stored in the supply, for what happens in seconds
    # what a cooler or tower cell is rated for, and at which entering water and air (dry bulb; wet bulb of towers)
    outdoor_capacity_w: FloatArray = _bounded(np.inf, above=0)
    outdoor_water_degc: FloatArray = _bounded(40.0)
    outdoor_air_degc: FloatArray = _bounded(30.0)
    # dry and adiabatic coolers
    n_coolers: FloatArray = _bounded(0.0, low=0)
    cooler_ua_w_per_k: FloatArray = _bounded(1.0, above=0)  # per unit, fans at full speed
    cooler_water_w_per_k: FloatArray = _bounded(1.0, above=0)  # rated, per unit
    cooler_water_film_frac: FloatArray = _bounded(0.0, low=0, high=1)  # share of the resistance that lies in the tubes
    cooler_air_m3_per_s: FloatArray = _bounded(1.0, above=0)
    cooler_fan_w: FloatArray = _bounded(0.0, low=0)
    cooler_fan_exponent: FloatArray = _bounded(3.0, low=1, high=3)
    cooler_min_fan_frac: FloatArray = _bounded(0.1, low=0, high=0.99)  # fans cycle below this speed
    cooler_ua_exponent: FloatArray = _bounded(0.6, low=0, high=1)  # UA over air flow
    cooler_control: IntArray = _bounded(int(FanControl.VARIABLE_SPEED), low=0, high=2)
    cooler_low_ua_frac: FloatArray = _bounded(0.6, above=0, high=1)  # of full-speed UA at low speed (TWO_SPEED)
    cooler_low_air_frac: FloatArray = _bounded(0.5, above=0, high=1)
    cooler_low_fan_frac: FloatArray = _bounded(0.16, low=0, high=1)
    cooler_off_ua_frac: FloatArray = _bounded(0.0, low=0, high=1)  # fans off
    pad_efficiency: FloatArray = _bounded(0.0, low=0, high=1)  # 0: no pads
    pad_above_degc: FloatArray = _bounded(24.0)
    # cooling towers
    n_towers: FloatArray = _bounded(0.0, low=0)
    tower_ua_w_per_k: FloatArray = _bounded(1.0, above=0)  # per cell, Merkel with air cp, at full air and rated water
    tower_air_m3_per_s: FloatArray = _bounded(1.0, above=0)
    tower_water_kg_s: FloatArray = _bounded(1.0, above=0)  # rated, per cell
    tower_fan_w: FloatArray = _bounded(0.0, low=0)
    tower_ua_air_exponent: FloatArray = _bounded(0.6, low=0, high=1)
    tower_ua_water_exponent: FloatArray = _bounded(0.5, low=0, high=1)
    tower_control: IntArray = _bounded(int(FanControl.VARIABLE_SPEED), low=0, high=2)
    tower_free_frac: FloatArray = _bounded(0.1, low=0, high=1)  # of UA and air with fans off
    tower_min_air_frac: FloatArray = _bounded(0.2, above=0, high=1)
    tower_model: IntArray = _bounded(int(TowerModel.MERKEL), low=0, high=1)
    tower_york_flow_frac: FloatArray = _bounded(1.0, above=0, high=8)  # YorkCalc's L/G at rated water and full air
    tower_approach_k: FloatArray = _bounded(4.0, above=0)  # to the wet bulb, held for the chillers' condensers
    tower_fan_exponent: FloatArray = _bounded(3.0, low=1, high=3)
    tower_pump_w: FloatArray = _bounded(0.0, low=0)  # condenser-water pumps of all cells, while towers run
    economiser_ua_w_per_k: FloatArray = _bounded(0.0, low=0)  # all plate exchangers together
    cycles_of_concentration: FloatArray = _bounded(4.0, above=1)
    drift_frac: FloatArray = _bounded(5e-5, low=0, high=0.01)  # of circulating water
    # chillers
    n_chillers: FloatArray = _bounded(0.0, low=0)
    chiller_model: IntArray = _bounded(int(ChillerModel.NONE), low=0, high=2)
    chiller_capacity_w: FloatArray = _bounded(1.0, above=0)  # per unit at reference
    chiller_cop: FloatArray = _bounded(5.0, above=0)  # at reference
    chiller_capft: FloatArray = _bounded(_NO_CURVE6)  # (n_plants, 6): 1, x, x2, y, y2, xy; x leaving, y condenser
    chiller_eirft: FloatArray = _bounded(_NO_CURVE6)  # (n_plants, 6)
    chiller_eirfplr: FloatArray = _bounded(ASSUMED_EIRFPLR)  # (n_plants, 3)
    chiller_range_degc: FloatArray = _bounded((-50.0, 80.0, -50.0, 80.0))  # (n_plants, 4): x low, high, y low, high
    chiller_min_plr: FloatArray = _bounded(0.1, above=0, high=1)  # it cycles below
    chiller_max_plr: FloatArray = _bounded(1.0, above=0, high=1.5)
    chiller_unloading_plr: FloatArray = _bounded(0.1, low=0, high=1)  # below, hot gas holds the compressor
    chiller_carnot_frac: FloatArray = _bounded(0.5, above=0, high=1)  # for CARNOT, see `carnot_frac_from_rating`
    chiller_evaporator_approach_k: FloatArray = _bounded(ASSUMED_EVAPORATOR_APPROACH_K, low=0)
    chiller_condenser_approach_k: FloatArray = _bounded(6.0, low=0)  # assumed; 2 for water, 10-15 for air
    chiller_water_cooled: IntArray = _bounded(0, low=0, high=1)  # 1: condensers on the towers
    economiser: IntArray = _bounded(1, low=0, high=1)  # 0: chillers, where present, always carry everything
    economiser_gain_k: FloatArray = _bounded(1.0, low=0)  # free cooling helps only from this much below the return

    def __post_init__(self) -> None:
        _spread(self, trailing={"chiller_capft": 6, "chiller_eirft": 6, "chiller_eirfplr": 3, "chiller_range_degc": 4})
        for wrong, said in (
            (self.outdoor_water_degc <= self.outdoor_air_degc, "is rated for water no warmer than the outdoor air"),
            (
                (self.n_coolers + self.n_towers <= 0) & (self.n_chillers <= 0),
                "has no coolers, towers or chillers: nothing rejects its heat",
            ),
            ((self.n_chillers > 0) & (self.chiller_model == ChillerModel.NONE), "has chillers but chiller_model NONE"),
            (
                (self.n_chillers > 0) & (self.chiller_water_cooled == 1) & (self.n_towers <= 0),
                "has water-cooled chillers but no towers",
            ),
        ):
            if np.any(wrong):
                raise ValueError(f"PlantBank row {int(np.argmax(wrong))} {said}")

    @property
    def n_plants(self) -> int:
        """Number of plants."""
        return self.supply_set_degc.shape[0]


@dataclass(frozen=True, slots=True, eq=False)
class Weather:
    """Outdoor air per element. Every array has shape (n_elements,); give `humidity_ratio` or build `from_rh`."""

    dry_bulb_degc: FloatArray = _bounded(low=-80, high=65)
    humidity_ratio: FloatArray = _bounded(low=0, high=0.1)  # kg water per kg dry air
    pressure_pa: FloatArray = _bounded(101325.0, low=30e3, high=125e3)

    def __post_init__(self) -> None:
        _spread(self)

    @property
    def n_elements(self) -> int:
        """Number of elements (hours or scenarios)."""
        return self.dry_bulb_degc.shape[0]


@dataclass(frozen=True, slots=True)
class OwnLoad:
    """What a site draws for itself, beside IT, cooling and losses [W]; by default nothing.

    Heaters of standby engines run the share of time that holds their water in the outdoor air. Feeds that stand in no
    hall (UPS, switchboards, panels) have rooms of their own, whose air units take their losses.
    """

    building_w: float = 0.0  # offices, building services
    services_w: float = 0.0  # controls, fire, security, leak detection, water treatment
    heater_w: float = 0.0  # all engine heaters
    heater_hold_degc: float = 40.0  # water of the engines
    heater_full_degc: float = -20.0  # outdoor air in which they run all the time
    room_cop: float = np.inf  # heat over power of the rooms' air units

    def __post_init__(self) -> None:
        for name in ("building_w", "services_w", "heater_w"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"OwnLoad.{name} is {getattr(self, name):g} W; must be at least 0")
        if not self.heater_hold_degc > self.heater_full_degc:
            raise ValueError(f"OwnLoad.heater_hold_degc is {self.heater_hold_degc:g}; must be above heater_full_degc")
        if not self.room_cop > 0:
            raise ValueError(f"OwnLoad.room_cop is {self.room_cop:g}; must be greater than 0")

    def power_w(self, dry_bulb_degc: FloatArray) -> FloatArray:
        """Return what the site draws for itself [W] in outdoor air, of its shape; without the rooms of its feeds."""
        return self.building_w + self.services_w + self.heaters_w(dry_bulb_degc)

    def heaters_w(self, dry_bulb_degc: FloatArray) -> FloatArray:
        """Return the mean power of the engine heaters [W] in outdoor air, of its shape."""
        span = self.heater_hold_degc - self.heater_full_degc
        return self.heater_w * np.clip((self.heater_hold_degc - dry_bulb_degc) / span, 0.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class SiteArrays:
    """A whole site as the solver sees it."""

    racks: RackBank
    pools: PoolCurves
    cdus: CduBank | None  # None: everything air-cooled
    halls: HallBank
    plants: PlantBank
    own: OwnLoad = OwnLoad()

    def __post_init__(self) -> None:
        n_groups = 0 if self.cdus is None else self.cdus.n_groups
        n_halls, n_plants = self.halls.n_halls, self.plants.n_plants
        n_pools = self.pools.static_power_w.shape[0]
        _within("RackBank.pool_index", self.racks.pool_index, n_pools, "pools", none_allowed=True)
        _within("RackBank.cdu_index", self.racks.cdu_index, n_groups, "CDU groups", none_allowed=True)
        _within("RackBank.hall_index", self.racks.hall_index, n_halls, "halls")
        _within("HallBank.plant_index", self.halls.plant_index, n_plants, "plants")
        if self.cdus is not None:
            _within("CduBank.plant_index", self.cdus.plant_index, n_plants, "plants")
            _within("CduBank.hall_index", self.cdus.hall_index, n_halls, "halls")

    @property
    def cdu_groups(self) -> CduBank:
        """The CDU groups of a site that has some, as one on whose CDU something hangs.

        Raises
        ------
        ValueError
            If everything is air-cooled.
        """
        if self.cdus is None:
            raise ValueError("SiteArrays.cdus is None; a question about a CDU needs a site with CDUs")
        return self.cdus


@dataclass(frozen=True, slots=True, eq=False)
class SiteFeeds:
    """The feed tree and what hangs on it. Node indices are into the tree; -1 draws straight from the meter.

    What hangs on a dead node draws from the standby of the feeds below it, as `electrical.stand_ins` names it.
    """

    tree: FeedTree
    links: RackLinks  # over the rows of RackBank; shares are of a class's whole power
    group_node: IntArray  # (n_groups,), feeds the CDU pumps
    hall_node: IntArray  # (n_halls,), feeds air units and lighting
    plant_node: IntArray  # (n_plants,), feeds coolers, towers, chillers and facility pumps

    def __post_init__(self) -> None:
        for name in ("group_node", "hall_node", "plant_node"):
            index = np.ascontiguousarray(getattr(self, name), dtype=np.int64)
            _within(f"SiteFeeds.{name}", index, self.tree.n_nodes, "feeds", none_allowed=True)
            object.__setattr__(self, name, index)


def _units_of(bank: str, count: str) -> FloatArray | None:
    """Declare what runs of the alike units that a bank of the site counts: None, or (n_elements, n_of_that)."""
    return field(default=None, metadata={"bank": bank, "count": count})


@dataclass(frozen=True, slots=True, eq=False)
class Failures:
    """What runs, per element. Each is None (all run) or an array (n_elements, n_of_that) or (n_of_that,)."""

    cdus_running: FloatArray | None = _units_of("cdus", "n_units")  # (n_elements, n_groups)
    air_units_running: FloatArray | None = _units_of("halls", "n_units")
    coolers_running: FloatArray | None = _units_of("plants", "n_coolers")
    towers_running: FloatArray | None = _units_of("plants", "n_towers")
    chillers_running: FloatArray | None = _units_of("plants", "n_chillers")
    pumps_running: FloatArray | None = _units_of("plants", "n_pumps")  # of the facility water
    racks_powered: FloatArray | None = None  # (n_elements, n_racks): share of the class that has power, 0..1
    feed_units_failed: IntArray | None = None  # (n_elements, n_feed_nodes), in the order of the FeedTree


#: The alike units that may fail, by the name of their field in `Failures` without its ending: bank and count.
UNITS_THAT_FAIL = {
    entry.name.removesuffix("_running"): (entry.metadata["bank"], entry.metadata["count"])
    for entry in fields(Failures)
    if "bank" in entry.metadata
}


def installed_units(site: SiteArrays) -> dict[str, FloatArray]:
    """Return how many units are installed of each of `UNITS_THAT_FAIL`, each of shape (n_of_that,)."""
    banks = {bank: getattr(site, bank) for bank, _ in UNITS_THAT_FAIL.values()}
    return {
        name: np.zeros(0) if banks[bank] is None else getattr(banks[bank], count)
        for name, (bank, count) in UNITS_THAT_FAIL.items()
    }
