"""Chips, rack coolant, loops, tank and hall air through the seconds after a loss.

Every unit is a CDU with its racks: chips with their cold plates, the coolant held in the racks, the rest of the coolant
loop. It rejects to the facility water or, `to_air`, to the air that the air units blow. Units share one facility loop
with its return pipe, a stratified tank or supply pipe in layers, the plant, and one hall's air. Steps are an L-stable
implicit Runge-Kutta method of second order (two stages), so that neither a stiff plate nor a long step can blow up;
each stage eliminates the units onto the facility loop and the air and is solved by Newton, because throttling and
leakage make power follow temperature.

Forcing (what still runs) is in `disturbances`; exact linear answers are in `ride_through`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from power_cooling.compiled import compiled, compiled_part
from power_cooling.first_use import FirstCall
from power_cooling.fluids.heat_exchangers import counterflow_effectiveness_scalar
from power_cooling.site_arrays import FloatArray, IntArray, records
from power_cooling.transients.disturbances import Forcing

VALVE_TIME_S = 15.0  # assumed: a CDU's primary valve restores its set point with this time constant
NEWTON_TOLERANCE_FRAC = 1e-9  # of a unit's power
# Makes the two-stage method L-stable: R. Alexander, SIAM J. Numer. Anal. 14 (1977) 1006.
GAMMA = 1.0 - 1.0 / math.sqrt(2.0)
_FIRST_CALL = FirstCall()


@dataclass(frozen=True, slots=True, eq=False)
class TransientUnits:
    """CDUs with the racks on them, lumped. Every array has shape (n_units,)."""

    chip_j_per_k: FloatArray  # chips, lids and cold plates
    rack_coolant_j_per_k: FloatArray  # coolant in cold plates, hoses and manifolds
    loop_j_per_k: FloatArray  # coolant in pipes, reservoir and exchanger
    plate_w_per_k: FloatArray  # chips to coolant at rated flow
    plate_exponent: FloatArray  # of that conductance on flow
    still_w_per_k: FloatArray  # chips to standing coolant
    coolant_w_per_k: FloatArray  # m·cp of the rack loop at rated flow
    exchanger_w_per_k: FloatArray  # UA at rated flows, counterflow
    facility_w_per_k: FloatArray  # m·cp of the facility water with the valve open, at rated pressure
    supply_setpoint_degc: FloatArray
    static_w: FloatArray  # power that clock and load do not move, without leakage growth
    dynamic_w: FloatArray  # at full load and full clock
    leakage_w: FloatArray  # at the reference temperature, part of static_w
    leakage_per_k: FloatArray
    reference_degc: FloatArray
    linear_frac: FloatArray  # dynamic power ∝ linear_frac·φ + (1 - linear_frac)·φ³
    throttle_degc: FloatArray
    throttle_per_k: FloatArray  # clock lost per kelvin above it
    least_clock_frac: FloatArray
    trip_degc: FloatArray
    liquid_frac: FloatArray  # share of the heat into the coolant; the rest goes to the hall's air
    # 1 where `facility_w_per_k` is of the hall's air and not of water; by default nowhere
    to_air: FloatArray = None  # type: ignore[assignment]  # None until made, and never after

    def __post_init__(self) -> None:
        n = np.shape(self.chip_j_per_k)[0]
        if self.to_air is None:
            object.__setattr__(self, "to_air", np.zeros(n))
        positive = {
            "chip_j_per_k",
            "rack_coolant_j_per_k",
            "loop_j_per_k",
            "plate_w_per_k",
            "coolant_w_per_k",
            "exchanger_w_per_k",
            "facility_w_per_k",
            "liquid_frac",
        }
        anything = {"supply_setpoint_degc", "reference_degc", "throttle_degc", "trip_degc"}
        for field in fields(self):
            array = np.asarray(getattr(self, field.name), dtype=float)
            if array.shape != (n,):
                raise ValueError(f"TransientUnits.{field.name} has shape {array.shape}; must be ({n},)")
            bad = np.isnan(array)
            if field.name in positive:
                bad |= ~(array > 0)
            elif field.name not in anything:
                bad |= ~(array >= 0)
            if np.any(bad):
                i = int(np.flatnonzero(bad)[0])
                allowed = "greater than 0" if field.name in positive else "at least 0"
                raise ValueError(f"TransientUnits.{field.name}[{i}] is {array[i]:g}; must be {allowed}")
        for name in ("least_clock_frac", "liquid_frac", "linear_frac", "to_air"):
            bad = np.flatnonzero(getattr(self, name) > 1)
            if bad.size:
                raise ValueError(
                    f"TransientUnits.{name}[{bad[0]}] is {getattr(self, name)[bad[0]]:g}; must be at most 1"
                )
        bad = np.flatnonzero(~(self.trip_degc > self.throttle_degc))
        if bad.size:
            i = int(bad[0])
            raise ValueError(
                f"TransientUnits.trip_degc[{i}] is {self.trip_degc[i]:g} °C; must be above throttle_degc "
                f"({self.throttle_degc[i]:g} °C)"
            )


@dataclass(frozen=True, slots=True)
class FacilityLoop:
    """The water that the units share, its plant and the hall's air."""

    return_j_per_k: float  # return pipes
    tank_j_per_k: float  # tank and supply pipes, through which the plant's water passes
    tank_layers: int  # 1 is a mixed volume; 10 and more keep the layers of a stratified tank apart
    flow_w_per_k: float  # m·cp at rated flow
    setpoint_degc: float
    plant_capacity_w: float  # all units running; infinite where only `plant_w_per_k` limits
    plant_w_per_k: float  # rejection per kelvin between return and sink; infinite where only the capacity limits
    air_j_per_k: float  # hall air, raised floor, rack metal that follows the air
    air_w_per_k: float  # air units, hall air to facility water, at full air flow
    air_limit_degc: float  # of the air at the racks' inlets
    fixed_air_heat_w: float = 0.0  # lights, losses, other equipment
    air_cooled_frac: float = 1.0  # of the way from hall air to facility water that the air units' air comes out at

    def __post_init__(self) -> None:
        positive = (
            "return_j_per_k",
            "tank_j_per_k",
            "flow_w_per_k",
            "air_j_per_k",
            "plant_capacity_w",
            "plant_w_per_k",
        )
        for name in (*positive, "plant_capacity_w", "plant_w_per_k"):
            if not getattr(self, name) > 0:
                raise ValueError(f"FacilityLoop.{name} is {getattr(self, name):g}; must be greater than 0")
        if self.tank_layers < 1:
            raise ValueError(f"FacilityLoop.tank_layers is {self.tank_layers}; must be at least 1")
        if math.isinf(self.plant_capacity_w) and math.isinf(self.plant_w_per_k):
            raise ValueError("FacilityLoop needs a finite plant_capacity_w or plant_w_per_k")


@dataclass(frozen=True, slots=True)
class TransientReport:
    """How the integration went."""

    converged: bool
    worst_residual_frac: float  # of a unit's power, over all stages
    newton_passes: int  # most in one stage
    heat_balance_frac: float  # |heat in - heat out - heat stored| over heat in
    message: str


@dataclass(frozen=True, slots=True, eq=False)
class TransientResult:
    """A run of one scenario. Series have shape (n_saved, ...), instants shape (n_units,)."""

    times_s: FloatArray
    chip_degc: FloatArray  # (n_saved, n_units)
    coolant_supply_degc: FloatArray  # (n_saved, n_units), into the racks
    power_w: FloatArray  # (n_saved, n_units)
    clock_frac: FloatArray  # (n_saved, n_units)
    facility_supply_degc: FloatArray  # (n_saved,)
    facility_return_degc: FloatArray  # (n_saved,)
    air_degc: FloatArray  # (n_saved,)
    rejected_w: FloatArray  # (n_saved,)
    throttle_s: FloatArray  # infinite if never
    trip_s: FloatArray
    recovered_s: FloatArray  # chip back within 1 K of the start for good and running; infinite if not
    hottest_degc: FloatArray
    lost_work_s: FloatArray  # seconds of full-clock work lost
    air_limit_s: float
    report: TransientReport


class _March(NamedTuple):
    """What the march works on: units' temperatures (n, 3), of chip, rack coolant and loop, and the facility's z."""

    state: FloatArray
    z: FloatArray  # (2 + tank_layers,): return, layers, air
    first: FloatArray  # after the first stage
    first_z: FloatArray
    second: FloatArray
    second_z: FloatArray
    base: FloatArray  # that a stage starts from
    base_z: FloatArray
    flows: FloatArray  # (n, 2) [W/K]: chips to coolant, coolant stream
    duties: FloatArray  # (n,) [W/K]: exchangers, as the valves let them
    open_duties: FloatArray  # (n,), valves open
    last_flow: FloatArray  # (n,), that the duties were made for
    last_cold: FloatArray
    eliminated: FloatArray  # (n + tank_layers, 4)
    runs: IntArray  # (n,): 0 once tripped


class _Forced(NamedTuple):
    """Forcing per step, see `disturbances.Forcing`."""

    load: FloatArray  # (n_steps, n)
    rack_flow: FloatArray  # (n_steps, n)
    facility_flow: FloatArray  # (n_steps,), and so on
    plant: FloatArray
    air_flow: FloatArray
    sink_degc: FloatArray


class _Saved(NamedTuple):
    """What the march leaves behind."""

    series: FloatArray  # (n_steps, n, 4): chip, coolant supply, power, clock
    shared: FloatArray  # (n_steps, 4): facility supply and return, air, heat rejected
    late: FloatArray  # (n, 5): throttle, trip, recovery, hottest, lost work


@compiled
def _power(t: float, load: float, u: Any) -> tuple[float, float, float]:
    """Power, slope against temperature and clock of a unit; u is its row of `TransientUnits`."""
    leak, alpha, per_k, linear = u.leakage_w, u.leakage_per_k, u.throttle_per_k, u.linear_frac
    growth = leak * math.exp(alpha * (t - u.reference_degc)) - leak if leak > 0.0 else 0.0
    clock = 1.0 - per_k * (t - u.throttle_degc)
    slope = alpha * (growth + leak)
    if clock >= 1.0:
        return u.static_w + growth + load * u.dynamic_w, slope, 1.0
    if clock <= u.least_clock_frac:
        clock = u.least_clock_frac
    else:
        slope -= per_k * load * u.dynamic_w * (linear + 3.0 * (1.0 - linear) * clock * clock)
    share = clock * (linear + (1.0 - linear) * clock * clock)
    return u.static_w + growth + load * u.dynamic_w * share, slope, clock


@compiled
def _exchanger(u: Any, hot_flow: float, cold_flow: float) -> float:
    """Duty per kelvin [W/K] between rack return and facility supply with both flows as shares of rated."""
    if hot_flow < 1e-6 or cold_flow < 1e-6:
        return 0.0
    part = 2.0 * u.exchanger_w_per_k / (hot_flow**-0.7 + cold_flow**-0.7)
    hot_rate, cold_rate = u.coolant_w_per_k * hot_flow, u.facility_w_per_k * cold_flow
    least = min(hot_rate, cold_rate)
    return least * counterflow_effectiveness_scalar(part / least, least / max(hot_rate, cold_rate))


@compiled_part
def _stage(
    width: float, out: FloatArray, z: FloatArray, loads: FloatArray, fixed: Any, facility: Any, units: Any, m: Any
) -> tuple[float, int]:
    """Solve one implicit stage of length `width`; return the worst residual over a unit's power, and the passes.

    out, z: units' and facility's temperatures, which come as a guess. fixed: plant line p0, p1, facility flow m·cp,
    air-unit conductance, heat into the air, share of the water in what `to_air` units breathe. facility: capacities
    [J/K] of the return, a layer and the air. m: the march, of which the bases are read.
    """
    base, base_z, scratch = m.base, m.base_z, m.eliminated
    n = base.shape[0]
    layers = z.size - 2
    return_c, layer_c, air_c = facility
    p0, p1, flow, air_unit, air_fixed, of_water = fixed
    worst = 0.0
    passes = 0
    for passes in range(1, 41):  # noqa: B007 - the count is returned
        total_a, total_b, air_heat, air_slope = 0.0, 0.0, air_fixed, 0.0
        breathed = 0.0  # heat into the air per kelvin of what `to_air` units breathe
        supply = z[layers]
        for i in range(n):
            u = units[i]
            plate, stream, duty = m.flows[i, 0], m.flows[i, 1], m.duties[i]
            power, slope, _ = _power(out[i, 0], loads[i], u)
            if m.runs[i] == 0:
                power, slope = 0.0, 0.0
            liquid = u.liquid_frac
            heat0 = power - slope * out[i, 0]
            # chip: (C/w + g - l s) Tc - g Tr = C/w b + l h
            chip_c = u.chip_j_per_k / width
            a11 = chip_c + plate - liquid * slope
            r1 = chip_c * base[i, 0] + liquid * heat0
            # rack coolant: -g Tc + (C/w + g + m) Tr - m Tt = C/w b
            rack_c = u.rack_coolant_j_per_k / width
            ratio = plate / a11
            a22 = rack_c + plate + stream - plate * ratio
            r2 = rack_c * base[i, 1] + ratio * r1
            # loop: -(m - k) Tr + (C/w + m) Tt - k Tf = C/w b
            loop_c = u.loop_j_per_k / width
            back = stream - duty
            ratio2 = back / a22
            a33 = loop_c + stream - stream * ratio2
            loop_a = (loop_c * base[i, 2] + ratio2 * r2) / a33
            loop_b = duty / a33
            rack_a, rack_b = (r2 + stream * loop_a) / a22, stream * loop_b / a22
            scratch[i, 0], scratch[i, 1] = loop_a, loop_b
            scratch[i, 2], scratch[i, 3] = rack_a, rack_b
            # Power at the chip temperature that this pass will find, so that the balance closes with it.
            air_heat += (1.0 - liquid) * (heat0 + slope * (r1 + plate * rack_a) / a11)
            onto_air = (1.0 - liquid) * slope * plate * rack_b / a11
            if u.to_air > 0.0:
                air_heat += duty * rack_a
                breathed += duty * (rack_b - 1.0) + onto_air
            else:
                total_a += duty * rack_a
                total_b += duty * (rack_b - 1.0)
                air_slope += onto_air
        # layers in series: z_j = c_j + d_j z_0
        c, d = p0, p1
        for j in range(layers):
            per = layer_c / width
            c = (per * base_z[1 + j] + flow * c) / (per + flow)
            d = flow * d / (per + flow)
            z[1 + j] = c  # kept until the return is known
            scratch[n + j, 0] = d
        air_per = air_c / width
        # air: (C/w + k) Ta = C/w b + q + k Tf + breathed ((1 - e) Ta + e Tf)
        held_back = air_per + air_unit - breathed * (1.0 - of_water)
        air_a = (air_per * base_z[layers + 1] + air_heat) / held_back
        air_b = (air_unit + air_slope + breathed * of_water) / held_back
        # return: (C/w + F) z0 = C/w b + F Tf + sum k (Tr - Tf) + ka (Ta - Tf)
        onto = flow + total_b + air_unit * (air_b - 1.0)
        per = return_c / width
        z[0] = (per * base_z[0] + onto * c + total_a + air_unit * air_a) / (per + flow - onto * d)
        for j in range(layers):
            z[1 + j] += scratch[n + j, 0] * z[0]
        supply = z[layers]
        z[layers + 1] = air_a + air_b * supply
        cold_air = of_water * supply + (1.0 - of_water) * z[layers + 1]
        worst = 0.0
        for i in range(n):
            u, plate = units[i], m.flows[i, 0]
            power, slope, _ = _power(out[i, 0], loads[i], u)
            if m.runs[i] == 0:
                power, slope = 0.0, 0.0
            cold = cold_air if u.to_air > 0.0 else supply
            rack = scratch[i, 2] + scratch[i, 3] * cold
            chip_c = u.chip_j_per_k / width
            liquid = u.liquid_frac
            assumed = power - slope * out[i, 0]
            chip = (chip_c * base[i, 0] + liquid * assumed + plate * rack) / (chip_c + plate - liquid * slope)
            if passes > 10:
                chip = 0.5 * (chip + out[i, 0])  # two sides of a kink in the throttle curve
            now, _, _ = _power(chip, loads[i], u)
            if m.runs[i] == 0:
                now = 0.0
            gap = abs(now - (assumed + slope * chip)) / max(abs(now), 1.0)
            worst = max(worst, gap)
            out[i, 0], out[i, 1], out[i, 2] = chip, rack, scratch[i, 0] + scratch[i, 1] * cold
        if worst < NEWTON_TOLERANCE_FRAC:
            break
    return worst, passes


@compiled_part
def _set(out: FloatArray, out_z: FloatArray, given: FloatArray, given_z: FloatArray) -> None:
    for i in range(out.shape[0]):
        for k in range(3):
            out[i, k] = given[i, k]
    for j in range(out_z.size):
        out_z[j] = given_z[j]


@compiled_part
def _set_flows(step: int, forced: Any, units: Any, m: Any) -> None:
    """Set the units' flows and what their exchangers pass with open valves, where these change."""
    for i in range(units.shape[0]):
        u = units[i]
        share = forced.rack_flow[step, i]
        cold_flow = forced.air_flow[step] if u.to_air > 0.0 else forced.facility_flow[step]
        if share != m.last_flow[i] or cold_flow != m.last_cold[i]:
            m.last_flow[i], m.last_cold[i] = share, cold_flow
            moving = max(u.plate_w_per_k - u.still_w_per_k, 0.0) * share**u.plate_exponent
            m.flows[i, 0] = u.still_w_per_k + moving
            m.flows[i, 1] = u.coolant_w_per_k * share
            m.open_duties[i] = _exchanger(u, share, cold_flow)


@compiled_part
def _set_duties(cold_air: float, supply: float, units: Any, m: Any) -> None:
    """Set what the exchangers pass: the valve holds the set point, within what the exchanger can do."""
    for i in range(units.shape[0]):
        u, rack, loop = units[i], m.state[i, 1], m.state[i, 2]
        above = rack - (cold_air if u.to_air > 0.0 else supply)
        wanted = m.flows[i, 1] * (rack - loop) + u.loop_j_per_k * (loop - u.supply_setpoint_degc) / VALVE_TIME_S
        most = m.open_duties[i]
        m.duties[i] = min(max(wanted / above, 0.0), most) if above > 1e-6 else most


@compiled_part
def _note(before: int, step_s: float, loads: FloatArray, start: FloatArray, units: Any, m: Any, late: Any) -> None:
    """Note what units reach in a step: throttle, trip, largest temperature, lost work."""
    for i in range(units.shape[0]):
        u = units[i]
        chip, was = m.second[i, 0], m.state[i, 0]
        if chip > late[i, 3]:
            late[i, 3] = chip
        if chip > u.throttle_degc and late[i, 0] == np.inf:
            part = (u.throttle_degc - was) / (chip - was) if chip > was else 0.0
            late[i, 0] = (before + min(max(part, 0.0), 1.0)) * step_s
        if m.runs[i] == 1 and chip >= u.trip_degc:
            part = (u.trip_degc - was) / (chip - was) if chip > was else 0.0
            late[i, 1] = (before + min(max(part, 0.0), 1.0)) * step_s
            m.runs[i] = 0
        _, _, clock = _power(chip, loads[i], u)
        if m.runs[i] == 0:
            clock = 0.0
        late[i, 4] += (1.0 - clock) * step_s
        if abs(chip - start[i, 0]) > 1.0 or m.runs[i] == 0:
            late[i, 2] = (before + 1) * step_s


@compiled
def _run(
    step_s: float,
    substeps: int,
    start: FloatArray,
    start_z: FloatArray,
    units: Any,
    forced: Any,
    loop: Any,
    m: Any,
    saved: Any,
) -> tuple[float, int, float, float, float, float]:
    """March; fills `saved`; returns worst residual, most passes, heat in, out and stored, and when air is too hot."""
    n, state, z = units.shape[0], m.state, m.z
    layers = z.size - 2
    (return_c, tank_c, flow_rated, setpoint, capacity, per_kelvin, air_c, air_rated, air_limit, air_fixed, cooled) = (
        loop
    )
    facility = (return_c, tank_c / layers, air_c)
    worst, most = 0.0, 0
    heat_in, heat_out = 0.0, 0.0
    air_crossed = np.inf
    carried = (1.0 - GAMMA) / GAMMA
    for step in range(forced.load.shape[0]):
        loads, sink = forced.load[step], forced.sink_degc[step]
        _set_flows(step, forced, units, m)
        flow = max(flow_rated * forced.facility_flow[step], 1e-6 * flow_rated)
        air_unit = air_rated * forced.air_flow[step]
        of_water = cooled * min(forced.air_flow[step], 1.0)
        most_heat = capacity * forced.plant[step]
        conductance = per_kelvin * forced.plant[step]
        for sub in range(substeps):
            _set_duties(of_water * z[layers] + (1.0 - of_water) * z[layers + 1], z[layers], units, m)
            # The plant holds its set point until capacity or the sink limits it: a line p0 + p1 · return.
            held = flow * (z[0] - setpoint)
            by_sink = conductance * (z[0] - sink) if conductance < 1e300 else np.inf
            limit = min(most_heat, max(by_sink, 0.0))
            if held <= 0.0:
                p0, p1 = 0.0, 1.0
            elif held <= limit:
                p0, p1 = setpoint, 0.0
            elif most_heat <= by_sink:
                p0, p1 = -most_heat / flow, 1.0
            else:
                share = min(conductance / flow, 1.0)
                p0, p1 = share * sink, 1.0 - share
            fixed = (p0, p1, flow, air_unit, air_fixed, of_water)
            rejected = 0.0
            for stage in range(2):
                if stage == 0:
                    at, at_z = m.first, m.first_z
                    _set(m.base, m.base_z, state, z)
                    _set(at, at_z, state, z)
                else:
                    # From the point that the first stage's slope reaches at 1 - gamma.
                    at, at_z = m.second, m.second_z
                    for i in range(n):
                        for k in range(3):
                            m.base[i, k] = state[i, k] + carried * (m.first[i, k] - state[i, k])
                    for j in range(z.size):
                        m.base_z[j] = z[j] + carried * (m.first_z[j] - z[j])
                    _set(at, at_z, m.first, m.first_z)
                gap, passes = _stage(GAMMA * step_s, at, at_z, loads, fixed, facility, units, m)
                worst, most = max(worst, gap), max(most, passes)
                # Heat of the step with the method's own weights (1 - gamma, gamma), so that the balance can close.
                weight = ((1.0 - GAMMA) if stage == 0 else GAMMA) * step_s
                rejected += weight * (flow * (at_z[0] - (p0 + p1 * at_z[0])))
                heat_in += weight * air_fixed
                for i in range(n):
                    if m.runs[i] == 1:
                        heat_in += weight * _power(at[i, 0], loads[i], units[i])[0]
            heat_out += rejected
            before = step * substeps + sub
            _note(before, step_s, loads, start, units, m, saved.late)
            if m.second_z[layers + 1] > air_limit and air_crossed == np.inf:
                air_crossed = (before + 1) * step_s
            _set(state, z, m.second, m.second_z)
            if sub == substeps - 1:
                for i in range(n):
                    power, _, clock = _power(state[i, 0], loads[i], units[i])
                    row, runs = saved.series[step, i], m.runs[i] == 1
                    row[0], row[1] = state[i, 0], state[i, 2]
                    row[2], row[3] = power if runs else 0.0, clock if runs else 0.0
                shared = saved.shared[step]
                shared[0], shared[1], shared[2], shared[3] = z[layers], z[0], z[layers + 1], rejected / step_s
    stored = return_c * (z[0] - start_z[0]) + air_c * (z[layers + 1] - start_z[layers + 1])
    for j in range(layers):
        stored += tank_c / layers * (z[1 + j] - start_z[1 + j])
    for i in range(n):
        u = units[i]
        stored += u.chip_j_per_k * (state[i, 0] - start[i, 0])
        stored += u.rack_coolant_j_per_k * (state[i, 1] - start[i, 1])
        stored += u.loop_j_per_k * (state[i, 2] - start[i, 2])
    return worst, most, heat_in, heat_out, stored, air_crossed


def _march(state: FloatArray, z: FloatArray) -> _March:
    """Return a march that starts from these temperatures."""
    n, layers = state.shape[0], z.size - 2
    return _March(
        state=state.copy(),
        z=z.copy(),
        first=state.copy(),
        first_z=z.copy(),
        second=state.copy(),
        second_z=z.copy(),
        base=state.copy(),
        base_z=z.copy(),
        flows=np.empty((n, 2)),
        duties=np.empty(n),
        open_duties=np.zeros(n),
        last_flow=np.full(n, -1.0),
        last_cold=np.full(n, -1.0),
        eliminated=np.zeros((n + layers, 4)),
        runs=np.ones(n, dtype=np.int64),
    )


def steady_start(
    units: TransientUnits, loop: FacilityLoop, load_frac: FloatArray, sink_degc: float
) -> tuple[FloatArray, FloatArray, bool]:
    """Return the temperatures at which everything runs steadily, and whether the passes settled.

    Parameters
    ----------
    units, loop : TransientUnits, FacilityLoop
        The plant, all of it running.
    load_frac : ndarray, shape (n_units,)
        Load of each unit [-].
    sink_degc : float
        Outdoor temperature that the plant rejects to [°C].

    Returns
    -------
    tuple
        Units' temperatures (n_units, 3): chip, rack coolant, loop; facility temperatures: return, layers, air; and a
        bool.
    """
    table = records(units)
    open_duty = np.array([_exchanger(row, 1.0, 1.0) for row in table])
    into_air = units.to_air > 0
    chip = units.throttle_degc - 20.0
    supply = loop.setpoint_degc
    settled = False
    for _ in range(400):
        power = np.array([_power(t, load, row)[0] for t, load, row in zip(chip, load_frac, table, strict=True)])
        liquid = units.liquid_frac * power
        air_heat = float(np.sum(power - liquid) + np.sum(liquid[into_air])) + loop.fixed_air_heat_w
        heat = float(liquid[~into_air].sum()) + air_heat
        coming = supply + heat / loop.flow_w_per_k
        floating = sink_degc + heat / loop.plant_w_per_k
        held = heat <= loop.plant_capacity_w and floating <= loop.setpoint_degc + heat / loop.flow_w_per_k
        following = loop.setpoint_degc if held else max(floating - heat / loop.flow_w_per_k, loop.setpoint_degc)
        rack = units.supply_setpoint_degc + liquid / units.coolant_w_per_k
        air = following + air_heat / loop.air_w_per_k if loop.air_w_per_k > 0 else following
        cold_air = air + loop.air_cooled_frac * (following - air)
        rack = np.maximum(rack, np.where(into_air, cold_air, following) + liquid / open_duty)
        new_chip = rack + liquid / units.plate_w_per_k
        change = max(float(np.max(np.abs(new_chip - chip))), abs(following - supply))
        chip, supply = chip + 0.7 * (new_chip - chip), following
        if change < 1e-10:
            settled = True
            break
    coming = supply + heat / loop.flow_w_per_k
    air = supply + air_heat / loop.air_w_per_k if loop.air_w_per_k > 0 else supply
    state = np.stack([chip, rack, rack - liquid / units.coolant_w_per_k], axis=1)
    return state, np.array([coming, *([supply] * loop.tank_layers), air]), settled


def simulate_transient(
    units: TransientUnits,
    loop: FacilityLoop,
    forcing: Forcing,
    *,
    longest_step_s: float = 1.0,
) -> TransientResult:
    """Return temperatures, clocks and trips while pumps, plant, load and weather change.

    Parameters
    ----------
    units : TransientUnits
        n_units CDUs with their racks.
    loop : FacilityLoop
        What they share.
    forcing : Forcing
        What runs, in equal saved steps; its first step is the steady state before anything happens.
    longest_step_s : float
        Saved steps longer than this are divided [s]; at most the time in which a CDU's valve moves (15 s).

    Returns
    -------
    TransientResult
        Times count from the first step. A tripped unit stays off. Not converging is in the report.

    Raises
    ------
    ValueError
        If the forcing does not fit the units or the step is too long.
    """
    if not 0 < longest_step_s <= VALVE_TIME_S:
        raise ValueError(f"longest_step_s is {longest_step_s:g} s; must be in (0, {VALVE_TIME_S:g}]")
    n = units.chip_j_per_k.shape[0]
    forcing.check_units(n)
    substeps = max(math.ceil(forcing.step_s / longest_step_s - 1e-9), 1)
    n_steps = forcing.load_frac.shape[0]
    state, z, settled = steady_start(
        units, loop, np.broadcast_to(forcing.load_frac[0], (n,)), float(forcing.sink_degc[0])
    )
    series, shared = np.empty((n_steps, n, 4)), np.empty((n_steps, 4))
    late = np.zeros((n, 5))
    late[:, :2] = np.inf
    late[:, 3] = state[:, 0]
    constants = (
        loop.return_j_per_k,
        loop.tank_j_per_k,
        loop.flow_w_per_k,
        loop.setpoint_degc,
        loop.plant_capacity_w,
        loop.plant_w_per_k,
        loop.air_j_per_k,
        loop.air_w_per_k,
        loop.air_limit_degc,
        loop.fixed_air_heat_w,
        loop.air_cooled_frac,
    )
    forced = _Forced(
        load=_own(forcing.load_frac, (n_steps, n)),
        rack_flow=_own(forcing.rack_flow_frac, (n_steps, n)),
        facility_flow=_own(forcing.facility_flow_frac, (n_steps,)),
        plant=_own(forcing.plant_frac, (n_steps,)),
        air_flow=_own(forcing.air_flow_frac, (n_steps,)),
        sink_degc=_own(forcing.sink_degc, (n_steps,)),
    )
    with _FIRST_CALL.alone():
        worst, most, heat_in, heat_out, stored, air_crossed = _run(
            forcing.step_s / substeps,
            substeps,
            state,
            z,
            records(units),
            forced,
            constants,
            _march(state, z),
            _Saved(series, shared, late),
        )
    converged = worst < 1e-6 and settled
    end = n_steps * forcing.step_s
    recovered = np.where((late[:, 2] < end) & np.isinf(late[:, 1]), late[:, 2], np.inf)
    if not settled:
        message = "the state before the disturbance does not settle: the plant is too small or a chip runs away"
    elif converged:
        message = "converged"
    else:
        message = f"power still off by {worst:.3g} of itself after {most} Newton passes in a stage"
    return TransientResult(
        times_s=forcing.step_s * np.arange(1, n_steps + 1),
        chip_degc=series[:, :, 0],
        coolant_supply_degc=series[:, :, 1],
        power_w=series[:, :, 2],
        clock_frac=series[:, :, 3],
        facility_supply_degc=shared[:, 0],
        facility_return_degc=shared[:, 1],
        air_degc=shared[:, 2],
        rejected_w=shared[:, 3],
        throttle_s=late[:, 0],
        trip_s=late[:, 1],
        recovered_s=recovered,
        hottest_degc=late[:, 3],
        lost_work_s=late[:, 4],
        air_limit_s=air_crossed,
        report=TransientReport(
            converged=converged,
            worst_residual_frac=worst,
            newton_passes=most,
            heat_balance_frac=abs(heat_in - heat_out - stored) / max(abs(heat_in), 1.0),
            message=message,
        ),
    )


def _own(series: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """A writable copy of one layout, so that the compiled march has one signature only."""
    return np.array(np.broadcast_to(series, shape), dtype=float, order="C")
