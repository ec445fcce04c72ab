"""The coupled solver against EnergyPlus' coupled loop, and on random sites that nobody designed.

EnergyPlus' exchangers described as modulated stay open in its rows (their supply is that of the uncontrolled ones), so
each row is compared with the control that its own supply temperature shows.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from power_cooling.cooling import york_towers
from power_cooling.coupled.solve import CoupledResult, Reason, solve_coupled
from power_cooling.fluids import coolants
from power_cooling.fluids.heat_exchangers import exchange
from power_cooling.site_arrays import (
    CduBank,
    FanControl,
    FloatArray,
    HallBank,
    PlantBank,
    PoolCurves,
    RackBank,
    SiteArrays,
    TowerModel,
    Weather,
)
from twin.validation.check import Check, at_most, of_file, skipped
from twin.validation.random_sites import random_elements, random_site

GROUP = "coupled"
N_SITES, N_ELEMENTS = 200, 500
SEED = 20261123


def checks(data: Path) -> Iterator[Check]:
    """Yield the checks of the coupled solver."""
    path = data / "oracles" / "energyplus_cdu_loop.json"
    if path.is_file():
        yield from of_file("EnergyPlus coupled CDU loop", GROUP, path, _energyplus_loop)
    else:
        yield skipped("EnergyPlus coupled CDU loop", GROUP, [path])
    yield from _random_elements()


@dataclass(frozen=True, slots=True, eq=False)
class _Loop:
    """One loop of the file with the rows in which it is reported."""

    exchanger: dict
    device: dict
    device_kind: str
    pump_w: tuple[float, float]  # technology and facility pumps' electrical power
    pump_heat_frac: tuple[float, float]
    load_w: FloatArray
    weather: Weather
    wet_bulb_degc: FloatArray
    water_kg_s: tuple[FloatArray, FloatArray]
    reported: dict[str, FloatArray]  # facility and technology supply and return, duty


def _loops(document: dict) -> Iterator[_Loop]:
    inputs = document["inputs"]
    devices = {
        name: (kind, values)
        for kind, named in inputs.items()
        if kind.startswith(("CoolingTower", "FluidCooler"))
        for name, values in named.items()
    }
    for name, exchanger in inputs["HeatExchanger:FluidToFluid"].items():
        system = name.removeprefix("TCS").removesuffix(" hx")
        kind, device = devices[f"FWS{system} dev"]
        key = system.upper()
        duty = f"TCS{key} HX|Fluid Heat Exchanger Heat Transfer Rate"
        rows = [row for row in document["rows"] if row.get(duty) is not None]
        if not rows:
            continue

        def column(what: str, rows: list[dict] = rows) -> FloatArray:
            return np.array([row[what] for row in rows], dtype=float)

        pumps = [f"{side}{key} PUMP|Pump" for side in ("TCS", "FWS")]
        electric = [float(column(f"{pump} Electricity Rate").mean()) for pump in pumps]
        gain = [float(column(f"{pump} Fluid Heat Gain Rate").mean()) for pump in pumps]
        yield _Loop(
            exchanger=exchanger,
            device=device,
            device_kind=kind,
            pump_w=(electric[0], electric[1]),
            pump_heat_frac=(gain[0] / electric[0], gain[1] / electric[1]),
            load_w=-column(f"TCS{key} LOAD|Plant Load Profile Heat Transfer Rate"),
            weather=Weather(
                column("Environment|Site Outdoor Air Drybulb Temperature"),
                column("Environment|Site Outdoor Air Humidity Ratio"),
            ),
            wet_bulb_degc=column("Environment|Site Outdoor Air Wetbulb Temperature"),
            water_kg_s=tuple(column(f"{side}{key} D LI|System Node Mass Flow Rate") for side in ("TCS", "FWS")),
            reported={
                "facility supply": column(f"FWS{key} D LI|System Node Temperature"),
                "facility return": column(f"FWS{key} D LO|System Node Temperature"),
                "rack supply": column(f"TCS{key} S EO|System Node Temperature"),
                "rack inlet": column(f"TCS{key} D LI|System Node Temperature"),
                "rack return": column(f"TCS{key} D LO|System Node Temperature"),
                "exchanger inlet": column(f"TCS{key} S EI|System Node Temperature"),
                "duty": column(duty),
            },
        )


def _setpoints(document: dict) -> dict[str, float]:
    """Return what the file's description holds: the device's set point by kind, and the modulated supply."""
    text = document.get("description", "")
    wanted = {
        "CoolingTower": r"tower \((\d+(?:\.\d+)?) C",
        "FluidCooler": r"cooler \((\d+(?:\.\d+)?) C",
        "modulated": r"modulated to (\d+(?:\.\d+)?) C",
    }
    found = {name: re.search(pattern, text) for name, pattern in wanted.items()}
    return {name: float(match[1]) for name, match in found.items() if match}


def _device(loop: _Loop, row: int, setpoint_degc: float) -> PlantBank | None:
    """Return the loop's device at a row's water, and a plant for the pumps' room; None for a kind not modelled."""
    given = loop.device
    returning = float(loop.reported["facility return"][row])
    cp = float(coolants.WATER.heat_capacity(0.5 * (returning + loop.reported["facility supply"][row])))
    flow_kg_s = float(loop.water_kg_s[1][row])
    plant = {
        "supply_set_degc": [setpoint_degc, 20.0],
        "design_flow_kg_s": [flow_kg_s, 1.0],
        "constant_flow": 1,
        "cp_j_per_kg_k": cp,
        "pump_power_w": [loop.pump_w[1], 0.0],
        "pump_heat_frac": loop.pump_heat_frac[1],
    }
    if loop.device_kind == "FluidCooler:TwoSpeed":
        high_ua, high_air = given["high_fan_speed_u_factor_times_area_value"], given["high_fan_speed_air_flow_rate"]
        return PlantBank(
            **plant,
            n_coolers=1.0,
            cooler_ua_w_per_k=high_ua,
            cooler_air_m3_per_s=high_air,
            cooler_fan_w=given["high_fan_speed_fan_power"],
            cooler_control=int(FanControl.TWO_SPEED),
            cooler_low_ua_frac=given["low_fan_speed_u_factor_times_area_value"] / high_ua,
            cooler_low_air_frac=given["low_fan_speed_air_flow_rate"] / high_air,
            cooler_low_fan_frac=given["low_fan_speed_fan_power"] / given["high_fan_speed_fan_power"],
        )
    if loop.device_kind == "CoolingTower:VariableSpeed" and given.get("model_type") == "YorkCalc":
        ratio = york_towers.york_liquid_gas_ratio(
            given["design_inlet_air_wet_bulb_temperature"],
            given["design_range_temperature"],
            given["design_approach_temperature"],
        )
        # EnergyPlus takes the water as volume at its own temperature.
        density = float(coolants.WATER.density(returning))
        return PlantBank(
            **plant,
            n_towers=1.0,
            tower_model=int(TowerModel.YORKCALC),
            tower_york_flow_frac=float(ratio),
            tower_water_kg_s=given["design_water_flow_rate"] * density,
            tower_fan_w=given["design_fan_power"],
            tower_air_m3_per_s=given["design_air_flow_rate"],
            tower_min_air_frac=given["minimum_air_flow_rate_ratio"],
        )
    return None


def _solve_loop(loop: _Loop, setpoint_degc: float, hold_degc: float | None) -> dict[str, FloatArray] | None:
    """Return each row solved as an element of its own, by name as reported; None for a device not modelled."""
    solved, rates = [], []
    for row in range(loop.load_w.size):
        plants = _device(loop, row, setpoint_degc)
        if plants is None:
            return None
        solved.append(_solve_row(loop, row, plants, hold_degc))
        rates.append(plants.design_flow_kg_s[0] * plants.cp_j_per_kg_k[0])
    return {
        "facility supply": np.array([result.facility_supply_degc[0, 0] for result in solved]),
        # before the pump, where EnergyPlus reports it
        "facility return": np.array(
            [
                result.facility_supply_degc[0, 0] + result.cdu_heat_w[0, 0] / rate
                for result, rate in zip(solved, rates, strict=True)
            ]
        ),
        "rack supply": np.array([result.cdu_supply_degc[0, 0] for result in solved]),
        "rack return": np.array([result.cdu_return_degc[0, 0] for result in solved]),
        "duty": np.array([result.cdu_heat_w[0, 0] for result in solved]),
        "clamped": np.array([float(result.curve_clamped[0, 0]) for result in solved]),
    }


def _solve_row(loop: _Loop, row: int, plants: PlantBank, hold_degc: float | None) -> CoupledResult:
    """Solve a row: a rack that gives the load to the coolant, one CDU, the device."""
    full_w = float(loop.load_w.max())
    secondary, primary = (float(flow[row]) for flow in loop.water_kg_s)
    racks = RackBank(
        count=[1.0],
        n_accelerators=1.0,
        pool_index=0,
        load_share=1.0,
        cdu_index=0,
        hall_index=0,
        tdp_w=full_w,
        idle_w=0.0,
        power_limit_w=10 * full_w,
        r_th_fixed_k_per_w=0.0,
        r_th_flow_k_per_w=0.0,
        throttle_degc=900.0,
        trip_degc=1000.0,
        fixed_w=0.0,
        per_load_w=0.0,
        max_power_w=full_w,
        coolant_flow_kg_s=secondary,
        accelerator_liquid_frac=1.0,
        leakage_frac=0.0,
    )
    cdu = CduBank(
        n_units=[1.0],
        capacity_w=np.inf,  # EnergyPlus rates no exchanger
        ua_w_per_k=loop.exchanger["heat_exchanger_u_factor_times_area_value"],
        secondary_flow_kg_s=secondary,
        primary_flow_kg_s=primary,
        supply_set_degc=0.0 if hold_degc is None else hold_degc,
        plant_index=0,
        hall_index=0,
        pump_power_w=loop.pump_w[0],
        pump_heat_frac=loop.pump_heat_frac[0],
        pump_static_frac=0.0,
        secondary_cp_j_per_kg_k=float(coolants.WATER.heat_capacity(loop.reported["rack supply"][row])),
        holds_supply=int(hold_degc is not None),
        secondary_film_frac=0.0,
        primary_film_frac=0.0,
        dew_point_margin_k=0.0,
        min_valve_frac=1e-4,
    )
    pump_room = HallBank(
        n_units=[1.0],
        supply_set_degc=24.0,
        unit_capacity_w=1e4,
        unit_air_kg_s=10.0,
        unit_fan_w=0.0,
        coil_ua_w_per_k=1e4,
        coil_water_kg_s=1.0,
        plant_index=1,
        dew_point_limit_degc=-50.0,
    )
    grid = np.array([[0.0, full_w]])
    site = SiteArrays(racks, PoolCurves(np.zeros_like(grid), grid), cdu, pump_room, plants)
    weather = Weather(loop.weather.dry_bulb_degc[row : row + 1], loop.weather.humidity_ratio[row : row + 1])
    return solve_coupled(site, np.array([[loop.load_w[row] / full_w]]), weather)


def _made_w(loop: _Loop) -> FloatArray:
    """Return the heat that a loop of EnergyPlus gains without a source [W].

    Its load warms the water by the heat capacity at the load's inlet and its exchanger cools it by that at its own,
    which is 10 K warmer; and the load's inlet is up to 5 mK off the exchanger's outlet, one node before it.
    """
    inlet, outlet = loop.reported["rack inlet"], loop.reported["rack supply"]
    warm, cool = (coolants.WATER.heat_capacity(t) for t in (loop.reported["exchanger inlet"], inlet))
    return loop.load_w * (warm / cool - 1) + loop.water_kg_s[0] * warm * (inlet - outlet)


def _energyplus_loop(path: Path) -> Iterator[Check]:
    document = json.loads(path.read_text())
    setpoints = _setpoints(document)
    duty_error, as_printed, loop_duty, kelvins, unbalanced = [], [], [], [], [np.zeros(1)]
    left_out = 0
    for loop in _loops(document):
        reported = loop.reported
        cp = [
            coolants.WATER.heat_capacity(0.5 * (reported[side] + reported[back]))
            for side, back in (("rack supply", "exchanger inlet"), ("facility supply", "facility return"))
        ]
        ua = loop.exchanger["heat_exchanger_u_factor_times_area_value"]
        hold_degc = setpoints.get("modulated") if "Modulated" in loop.exchanger["control_type"] else None
        held = np.zeros(loop.load_w.shape, dtype=bool)
        if hold_degc is not None:
            held = np.abs(reported["rack supply"] - hold_degc) < 0.05
        hx = exchange(
            ua,
            loop.water_kg_s[0] * cp[0],
            loop.water_kg_s[1] * cp[1],
            reported["exchanger inlet"],
            reported["facility supply"],
        )
        duty_error.append((hx.heat_w / reported["duty"] - 1)[~held])
        kind = loop.device_kind.split(":")[0]
        ours = _solve_loop(loop, setpoints[kind], None) if kind in setpoints else None
        if ours is None:
            left_out += loop.load_w.size
            continue
        if np.any(held):
            again = _solve_loop(loop, setpoints[kind], hold_degc)
            ours = {name: np.where(held, again[name], values) for name, values in ours.items()}
        # Water below the wet bulb, or outside the curve, is EnergyPlus' tower off its own range.
        fair = np.ones(held.shape, dtype=bool)
        if kind == "CoolingTower":
            fair = (reported["facility supply"] > loop.wet_bulb_degc + 1.0) & (ours["clamped"] == 0)
        left_out += int(np.sum(~fair))
        made_w = _made_w(loop)
        as_printed.append((ours["duty"] / reported["duty"] - 1)[fair])
        loop_duty.append(((ours["duty"] + made_w) / reported["duty"] - 1)[fair])
        unbalanced.append((made_w / reported["duty"])[fair])
        kelvins.extend(
            (ours[name] - reported[name])[fair]
            for name in ("facility supply", "facility return", "rack supply", "rack return")
        )
    made = float(np.abs(np.concatenate(unbalanced)).max())
    balance = document.get("tolerance", {}).get("heat_balance_rel", 3e-3)
    for name, errors, reach, unit, note in (
        ("EnergyPlus CDU loop: exchanger duty", duty_error, 1e-3, "relative", "at its own inlets"),
        (
            "EnergyPlus CDU loop: duty as printed",
            as_printed,
            balance,
            "relative",
            "whole loop; EnergyPlus' own heat balances miss by up to that",
        ),
        (
            "EnergyPlus CDU loop: duty",
            loop_duty,
            1e-3,
            "relative",
            f"whole loop, less the heat that EnergyPlus makes itself, up to {made:.1e} of the duty: its half loops do "
            "not meet in temperature, and load and exchanger take the heat capacity each at its own inlet",
        ),
        ("EnergyPlus CDU loop: temperatures", kelvins, 0.05, "K", f"whole loop; {left_out} rows off the tower's range"),
    ):
        joined = np.abs(np.concatenate(errors or [np.zeros(0)]))
        yield at_most(name, GROUP, joined.size, float(joined.max(initial=0.0)), reach, unit, note)


def _random_elements() -> Iterator[Check]:
    rng = np.random.default_rng(SEED)
    n = unexplained = refused = 0
    residual = closure = hot = leaky = 0.0
    passes = []
    for _ in range(N_SITES):
        site = random_site(rng)
        load, weather = random_elements(rng, N_ELEMENTS, site.pools.static_power_w.shape[0])
        solved = solve_coupled(site, load, weather)
        report = solved.report
        n += N_ELEMENTS
        passes.append(report.iterations)
        refused += report.n_failed
        unexplained += int(np.sum(~np.isin(report.reasons, [int(reason) for reason in Reason])))
        residual = max(residual, report.residual_k)
        closure = max(closure, float(np.nanmax(solved.heat_closure_rel, initial=0.0)))
        hot += float(np.nansum(solved.throttled_frac > 0) + np.nansum(solved.tripped_frac > 0))
        leaky += float(np.sum(site.racks.leakage_frac > 0.2))
    every = np.concatenate(passes)
    note = (
        f"{refused} refused with a reason, {hot:.0f} throttling or tripped, {leaky:.0f} very leaky racks; "
        f"passes p99 {np.percentile(every, 99):.0f}, most {every.max()}"
    )
    yield at_most("random elements without solution or reason", GROUP, n, unexplained, 0, "elements", note)
    yield at_most("random elements refused", GROUP, n, refused / n, 1e-3, "share")
    yield at_most("random elements, residual", GROUP, n, residual, 1e-9, "K")
    yield at_most("random elements, heat closure", GROUP, n, closure, 1e-9, "relative", "from temperatures and flows")
