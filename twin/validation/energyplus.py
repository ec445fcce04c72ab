"""Heat-rejection devices and chillers against EnergyPlus, at steady points and over hourly years.

EnergyPlus puts the water that a tower evaporates down in specific humidity (per kilogram of moist air) on a dry-air
mass flow, which is 1 to 5 % less than the water balance; the comparison puts ours into that form and says so. Its air
flow in that sum is the fan's rated one also while a single-speed fan cycles.
"""

import csv
import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from power_cooling.cooling import chillers, heat_rejection, towers, york_towers
from power_cooling.fluids import coolants, heat_exchangers, psychrometrics
from twin.validation.check import Check, at_most, of_file, skipped

GROUP = "EnergyPlus"
STEP_S = 600.0  # the point files report volumes per 10-minute step
PLANT_DENSITY_KG_M3 = 999.898  # EnergyPlus turns rated volume flows into mass flows at 5.05 °C
CHILLER_TOWER_SETPOINT_DEGC = 20.0  # from the chiller file's description
DRY, WET, HUMID = (
    f"Environment|Site Outdoor Air {what}" for what in ("Drybulb Temperature", "Wetbulb Temperature", "Humidity Ratio")
)


def checks(data: Path) -> Iterator[Check]:
    """Yield checks of each EnergyPlus file under `data`."""
    oracles = data / "oracles"
    for name, file, run in (
        ("heat rejection", "energyplus_heat_rejection.json", _heat_rejection),
        ("chillers", "energyplus_chiller_tower.json", _chillers),
        ("years", "energyplus_annual.json", _years),
    ):
        path = oracles / file
        if not path.is_file():
            yield skipped(name, GROUP, [path])
            continue
        yield from of_file(name, GROUP, path, run)


class _Device:
    """The rows of a point file in which one device took part."""

    def __init__(self, document: dict, name: str, inputs: dict) -> None:
        self.name = name
        self.inputs = inputs
        self._key = name.upper()
        self._inlet = inputs["water_inlet_node_name"].upper()
        self._outlet = inputs["water_outlet_node_name"].upper()
        wanted = f"{self._outlet}|System Node Temperature"
        self.rows = [row for row in document["rows"] if row.get(wanted) is not None]

    def column(self, key: str) -> np.ndarray:
        return np.array([row[key] for row in self.rows], dtype=float)

    def reported(self, what: str) -> np.ndarray:
        return self.column(f"{self._key}|Cooling Tower {what}")

    @property
    def inlet_degc(self) -> np.ndarray:
        return self.column(f"{self._inlet}|System Node Temperature")

    @property
    def outlet_degc(self) -> np.ndarray:
        return self.column(f"{self._outlet}|System Node Temperature")

    @property
    def water_kg_s(self) -> np.ndarray:
        return self.column(f"{self._inlet}|System Node Mass Flow Rate")

    @property
    def water_w_per_k(self) -> np.ndarray:
        mean = 0.5 * (self.inlet_degc + self.outlet_degc)
        return self.water_kg_s * coolants.WATER.heat_capacity(mean)

    @property
    def setpoint_degc(self) -> float:
        """Number in the device's name, as the files' descriptions put it; the chillers' towers hold 20 °C."""
        match = re.match(r"^\D+(\d+)\b", self.name)
        return float(match[1]) if match and not self.name.startswith("CW") else CHILLER_TOWER_SETPOINT_DEGC


def _devices(document: dict, kind: str, needed: tuple[str, ...]) -> list[_Device]:
    """Devices of a kind that took part and whose sizes are given as numbers (EnergyPlus may size them itself)."""
    found = [
        _Device(document, name, inputs)
        for name, inputs in document["inputs"].get(kind, {}).items()
        if all(isinstance(inputs.get(key), int | float) for key in needed)
    ]
    return [device for device in found if device.rows]


def _relative(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Error relative to theirs, or to 1 % of their largest value where theirs is next to nothing."""
    return (ours - theirs) / np.maximum(theirs, 0.01 * np.max(theirs, initial=1e-30))


def _worst(values: list[np.ndarray]) -> float:
    joined = np.abs(np.concatenate(values))
    return float(joined.max()) if joined.size else float("nan")


def _count(values: list[np.ndarray]) -> int:
    return sum(v.size for v in values)


def _fan_error(ours_w: np.ndarray, device: _Device, full_w: float) -> np.ndarray:
    """Fan error relative to what EnergyPlus reports, or to 1 % of full power where its fan all but stands."""
    theirs = device.reported("Fan Electricity Rate")
    return (ours_w - theirs) / np.maximum(theirs, 0.01 * full_w)


def _heat_rejection(path: Path) -> Iterator[Check]:
    document = json.loads(path.read_text())
    yield from _dry_coolers(document)
    yield from _merkel_devices(document)
    yield from _york_towers(document, "YorkCalc tower")


_TWO_SPEED = (
    "low_fan_speed_air_flow_rate",
    "high_fan_speed_air_flow_rate",
    "low_fan_speed_u_factor_times_area_value",
    "high_fan_speed_u_factor_times_area_value",
    "low_fan_speed_fan_power",
    "high_fan_speed_fan_power",
)


def _dry_coolers(document: dict) -> Iterator[Check]:
    outlets, fans = [], []
    for device in _devices(document, "FluidCooler:TwoSpeed", _TWO_SPEED):
        given = device.inputs
        dry, humid = device.column(DRY), device.column(HUMID)

        def at_speed(speed: str, device=device, given=given, dry=dry, humid=humid) -> np.ndarray:
            return heat_rejection.dry_cooler_outlet_degc(
                device.inlet_degc,
                device.water_w_per_k,
                dry,
                heat_rejection.air_w_per_k(given[f"{speed}_fan_speed_air_flow_rate"], dry, humid),
                given[f"{speed}_fan_speed_u_factor_times_area_value"],
            )

        full = given["high_fan_speed_fan_power"]
        outlet, fan = heat_rejection.two_speed_outlet(
            device.inlet_degc,
            at_speed("low"),
            at_speed("high"),
            device.setpoint_degc,
            given["low_fan_speed_fan_power"],
            full,
        )
        outlets.append(outlet - device.outlet_degc)
        fans.append(_fan_error(fan, device, full))
    if outlets:
        yield at_most("dry cooler outlet", GROUP, _count(outlets), _worst(outlets), 0.05, "K")
        yield at_most("dry cooler fan power", GROUP, _count(fans), _worst(fans), 0.01, "relative")


def _merkel_devices(document: dict) -> Iterator[Check]:
    for kind, label, needed in (
        ("CoolingTower:SingleSpeed", "Merkel tower", ("design_u_factor_times_area_value", "design_air_flow_rate")),
        (
            "EvaporativeFluidCooler:SingleSpeed",
            "evaporative fluid cooler",
            ("design_air_flow_rate_u_factor_times_area_value", "design_air_flow_rate"),
        ),
    ):
        outlets, fans, waters, drifts = [], [], [], []
        for device in _devices(document, kind, needed):
            done = _single_speed(device)
            outlets.append(done["outlet"] - device.outlet_degc)
            fans.append(_fan_error(done["fan_w"], device, done["full_w"]))
            waters.append(_relative(done["evaporation"], device.reported("Water Evaporation Volume")))
            drifts.append(_relative(done["makeup"], device.reported("Make Up Water Volume")))
        if outlets:
            yield at_most(f"{label} outlet", GROUP, _count(outlets), _worst(outlets), 0.06, "K")
            yield at_most(f"{label} fan power", GROUP, _count(fans), _worst(fans), 0.01, "relative")
            note = "in EnergyPlus' specific-humidity form"
            yield at_most(f"{label} evaporation", GROUP, _count(waters), _worst(waters), 0.03, "relative", note)
            yield at_most(f"{label} make-up", GROUP, _count(drifts), _worst(drifts), 0.03, "relative")


def _single_speed(device: _Device) -> dict[str, np.ndarray]:
    """Single-speed fan over a Merkel device; volumes per reporting step [m³]."""
    given = device.inputs
    dry, wet, humid = device.column(DRY), device.column(WET), device.column(HUMID)
    sprayed = "design_air_flow_rate_u_factor_times_area_value" in given
    ua = given["design_air_flow_rate_u_factor_times_area_value" if sprayed else "design_u_factor_times_area_value"]
    full_w = given["design_air_flow_rate_fan_power" if sprayed else "design_fan_power"]
    rated_air = given["design_air_flow_rate"]
    air = rated_air / psychrometrics.specific_volume_m3_per_kg(dry, humid)
    inlet, water = device.inlet_degc, device.water_w_per_k
    on = towers.merkel_outlet_degc(inlet, water, wet, air, ua, humidity_ratio=humid)
    off = inlet
    if not sprayed:
        still = given["free_convection_regime_air_flow_rate"] / rated_air
        still_ua = given["free_convection_regime_u_factor_times_area_value"]
        off = towers.merkel_outlet_degc(inlet, water, wet, air * still, still_ua, humidity_ratio=humid)
    outlet, share = heat_rejection.cycled_outlet(off, on, device.setpoint_degc)
    # Where natural draught cools below the set point a bypass holds it.
    outlet = np.maximum(outlet, np.minimum(device.setpoint_degc, inlet))
    heat = water * (inlet - outlet)
    evaporation = _energyplus_evaporation_kg_s(heat, air, humid, wet) * STEP_S / 1000
    over_fill = given["design_spray_water_flow_rate"] if sprayed else given["design_water_flow_rate"]
    used = towers.tower_water(
        evaporation,
        over_fill * STEP_S,
        cycles_of_concentration=given["blowdown_concentration_ratio"],
        drift_frac=given["drift_loss_percent"] / 100,
    )
    return {
        "outlet": outlet,
        "fan_w": share * full_w,
        "full_w": full_w,
        "evaporation": evaporation,
        "makeup": used.makeup_kg_s,
    }


def _energyplus_evaporation_kg_s(
    heat_w: np.ndarray,
    air_kg_s: np.ndarray,
    humidity_ratio: np.ndarray,
    wet_bulb_degc: np.ndarray,
    pressure_pa: np.ndarray | float = psychrometrics.STANDARD_PRESSURE_PA,
) -> np.ndarray:
    """Our evaporation in EnergyPlus' form: differences of W / (1 + W) instead of W."""
    ours = towers.evaporation_kg_s(heat_w, air_kg_s, humidity_ratio, wet_bulb_degc, pressure_pa)
    leaving = humidity_ratio + ours / air_kg_s
    return air_kg_s * (leaving / (1 + leaving) - humidity_ratio / (1 + humidity_ratio))


def _york_towers(document: dict, label: str) -> Iterator[Check]:
    outlets, fans = [], []
    for device in _devices(document, "CoolingTower:VariableSpeed", ("design_water_flow_rate", "design_fan_power")):
        given = device.inputs
        if given.get("model_type") != "YorkCalc":
            continue
        scale = york_towers.york_liquid_gas_ratio(
            given["design_inlet_air_wet_bulb_temperature"],
            given["design_range_temperature"],
            given["design_approach_temperature"],
        )
        inlet, setpoint = device.inlet_degc, device.setpoint_degc
        # EnergyPlus takes the water as volume at its own temperature.
        volume = device.water_kg_s / coolants.WATER.density(inlet)
        water = np.clip(scale * volume / given["design_water_flow_rate"], 0.75, 1.25)
        wet = np.clip(device.column(WET), *york_towers.YORK_WET_BULB_RANGE_DEGC)
        on, inside = york_towers.york_outlet_degc(inlet, wet, water)
        needed = water / york_towers.york_liquid_gas_ratio(wet, inlet - setpoint, setpoint - wet)
        least = given["minimum_air_flow_rate_ratio"]
        full_w = given["design_fan_power"]
        saturated = on >= setpoint
        outlet = np.where(saturated, on, setpoint)
        fan = np.where(saturated, 1.0, needed) ** 3 * full_w
        # Below the least air flow the fan cycles between that flow and natural draught.
        slow, slow_inside = york_towers.york_outlet_degc(inlet, wet, water / least)
        still = inlet - given["fraction_of_tower_capacity_in_free_convection_regime"] * (inlet - on)
        cycling = (slow < setpoint) & (still > setpoint)
        _, share = heat_rejection.cycled_outlet(still, slow, setpoint)
        fan = np.where(cycling, share * least**3 * full_w, fan)
        # Left out: points where EnergyPlus itself left the curve (it warns, and may hold water below the wet bulb).
        running = device.reported("Air Flow Rate Ratio") >= least
        usable = inside & np.where(cycling, slow_inside, running)
        outlets.append((outlet - device.outlet_degc)[usable])
        fans.append(_fan_error(fan, device, full_w)[usable])
    if outlets:
        yield at_most(f"{label} outlet", GROUP, _count(outlets), _worst(outlets), 0.12, "K")
        yield at_most(f"{label} fan power", GROUP, _count(fans), _worst(fans), 0.01, "relative")


_BIQUADRATIC = ("1_constant", "2_x", "3_x_2", "4_y", "5_y_2", "6_x_y")


def _chiller_from(inputs: dict, given: dict) -> chillers.EirChillers:
    surfaces = inputs["Curve:Biquadratic"]
    capacity = surfaces[given["cooling_capacity_function_of_temperature_curve_name"]]
    by_temperature = surfaces[given["electric_input_to_cooling_output_ratio_function_of_temperature_curve_name"]]
    by_load = inputs["Curve:Quadratic"][
        given["electric_input_to_cooling_output_ratio_function_of_part_load_ratio_curve_name"]
    ]
    return chillers.EirChillers(
        capacity_w=np.array([given["reference_capacity"]]),
        reference_cop=np.array([given["reference_cop"]]),
        capft=np.array([[capacity[f"coefficient{c}"] for c in _BIQUADRATIC]]),
        eirft=np.array([[by_temperature[f"coefficient{c}"] for c in _BIQUADRATIC]]),
        eirfplr=np.array([[by_load[f"coefficient{c}"] for c in _BIQUADRATIC[:3]]]),
        leaving_range_degc=np.array([[capacity["minimum_value_of_x"], capacity["maximum_value_of_x"]]]),
        condenser_range_degc=np.array([[capacity["minimum_value_of_y"], capacity["maximum_value_of_y"]]]),
        part_load_range=np.array([[given["minimum_part_load_ratio"], given["maximum_part_load_ratio"]]]),
        least_unloading_frac=np.array([given["minimum_unloading_ratio"]]),
    )


def _chillers(path: Path) -> Iterator[Check]:
    document = json.loads(path.read_text())
    curves, powers, condensers = [], [], []
    clamped = 0
    for name, given in document["inputs"].get("Chiller:Electric:EIR", {}).items():
        bank = _chiller_from(document["inputs"], given)
        key = f"{name.upper()}|Chiller"
        rows = [row for row in document["rows"] if row.get(f"{key} Electricity Rate")]

        def column(what: str, rows=rows) -> np.ndarray:
            return np.array([row[what] for row in rows], dtype=float)[:, None]

        leaving = column(f"{given['chilled_water_outlet_node_name'].upper()}|System Node Temperature")
        entering = column(f"{given['condenser_inlet_node_name'].upper()}|System Node Temperature")
        state = chillers.eir_chillers(bank, column(f"{key} Evaporator Cooling Rate"), leaving, entering)
        clamped += int(state.clamped.sum())
        x = np.clip(leaving, bank.leaving_range_degc[:, 0], bank.leaving_range_degc[:, 1])
        y = np.clip(entering, bank.condenser_range_degc[:, 0], bank.condenser_range_degc[:, 1])
        curves.append(
            chillers.biquadratic(bank.capft, x, y) - column(f"{key} Capacity Temperature Modifier Multiplier")
        )
        curves.append(chillers.biquadratic(bank.eirft, x, y) - column(f"{key} EIR Temperature Modifier Multiplier"))
        powers.append(state.power_w / column(f"{key} Electricity Rate") - 1)
        condensers.append(state.condenser_heat_w / column(f"{key} Condenser Heat Transfer Rate") - 1)
    if powers:
        note = f"{clamped} points with an input held at a curve's limit"
        yield at_most("chiller curves", GROUP, _count(curves), _worst(curves), 5e-5, "absolute", note)
        yield at_most("chiller power", GROUP, _count(powers), _worst(powers), 1e-4, "relative", note)
        yield at_most("chiller condenser heat", GROUP, _count(condensers), _worst(condensers), 1e-4, "relative")
    yield from _york_towers(document, "chiller plant's YorkCalc tower")


# Yearly runs hold these supply temperatures (file description).
_YEAR_SETPOINT_DEGC = {"SingleSpeed": 18.0, "Fluid": 25.0}
_WATER_REACH = {"Golden": 0.06}  # EnergyPlus' own accounting in cold air; elsewhere 2 %


@dataclass(frozen=True, slots=True, eq=False)
class _Weather:
    """Hours of a year; arrays of shape (n_hours,)."""

    dry_degc: np.ndarray
    wet_degc: np.ndarray
    humidity_ratio: np.ndarray
    pressure_pa: np.ndarray


def _years(path: Path) -> Iterator[Check]:
    document = json.loads(path.read_text())
    missing = []
    for name, case in document["annual"].items():
        device, _, climate = name.partition("/")
        if device not in _YEAR_SETPOINT_DEGC:
            yield Check(f"year {name}", GROUP, 0, None, None, "", "skipped", f"no model of a {device} year")
            continue
        hourly = path.with_name(f"energyplus_hourly_{device}_{climate}.csv")
        # A climate is named by the first part of its weather file's place.
        weather = sorted((path.parent.parent / "weather").glob(f"*_{climate}*.epw.gz"))
        if hourly.is_file():
            yield from _hourly_year(device, climate, case, hourly)
        elif weather:
            yield from _weather_year(device, climate, case, weather[0])
        else:
            missing.append(hourly)
    if missing:
        yield skipped("years without hourly or weather file", GROUP, missing)


@dataclass(frozen=True, slots=True, eq=False)
class _YearDone:
    """Our year; arrays of shape (n_hours,)."""

    label: str
    supply_degc: np.ndarray
    rack_supply_degc: np.ndarray
    fan_w: np.ndarray
    evaporation_kg_s: np.ndarray | None
    makeup_kg_s: np.ndarray | None
    temperature_reach_k: float


def _solved_year(device: str, case: dict, weather: "_Weather", setpoint: float) -> _YearDone:
    inputs = case["inputs"]
    exchanger = next(iter(inputs["HeatExchanger:FluidToFluid"].values()))
    rack_heat_w, heat_w, water_kg_s = _year_heat(case, exchanger)
    water_w_per_k = water_kg_s * float(coolants.WATER.heat_capacity(setpoint))
    if device == "Fluid":
        given = next(iter(inputs["FluidCooler:TwoSpeed"].values()))
        supply, fan = _dry_year(given, heat_w, water_w_per_k, weather, setpoint)
        rack = _rack_supply(exchanger, rack_heat_w, water_kg_s, supply)
        return _YearDone("dry", supply, rack, fan, None, None, 0.5)
    given = next(iter(inputs["CoolingTower:SingleSpeed"].values()))
    supply, fan, evaporation = _wet_year(given, heat_w, water_w_per_k, weather, setpoint)
    rack = _rack_supply(exchanger, rack_heat_w, water_kg_s, supply)
    used = towers.tower_water(
        evaporation,
        given["design_water_flow_rate"] * 1000,
        cycles_of_concentration=given["blowdown_concentration_ratio"],
        drift_frac=given["drift_loss_percent"] / 100,
    )
    return _YearDone("wet", supply, rack, fan, evaporation, used.makeup_kg_s, 0.05)


def _held_setpoint(supply_degc: np.ndarray, stated_degc: float) -> float:
    """The supply that a run holds: the temperature that recurs exactly in many hours, else the description's."""
    values, counts = np.unique(np.round(supply_degc, 3), return_counts=True)
    most = int(np.argmax(counts))
    return float(values[most]) if counts[most] > 0.05 * supply_degc.size else stated_degc


def _hourly_year(device: str, climate: str, case: dict, hourly: Path) -> Iterator[Check]:
    with hourly.open(newline="") as file:
        rows = list(csv.DictReader(file))
    hours = {key: np.array([float(row[key]) for row in rows]) for key in rows[0]}
    weather = _Weather(*(hours[key] for key in ("tdb_c", "twb_c", "w", "p_pa")))
    done = _solved_year(device, case, weather, _held_setpoint(hours["t_fws_supply_c"], _YEAR_SETPOINT_DEGC[device]))
    case_name = f"year {climate}, {done.label}"
    n = len(rows)
    rmse = float(np.sqrt(np.mean((done.supply_degc - hours["t_fws_supply_c"]) ** 2)))
    yield at_most(f"{case_name}: facility water", GROUP, n, rmse, done.temperature_reach_k, "K rmse")
    # The hourly rack temperature also carries the storage of EnergyPlus' loops; its mean does not.
    bias = abs(float(np.mean(done.rack_supply_degc - hours["t_tcs_supply_c"])))
    yield at_most(f"{case_name}: mean rack coolant", GROUP, n, bias, 0.05, "K")
    error = abs(done.fan_w.sum() / hours["fan_w"].sum() - 1)
    yield at_most(f"{case_name}: fan energy", GROUP, n, error, 0.005, "relative")
    if done.evaporation_kg_s is not None:
        error = abs(done.evaporation_kg_s.sum() * 3.6 / hours["evap_m3"].sum() - 1)
        reach = _WATER_REACH.get(climate.split("-")[0], 0.02)
        note = "in EnergyPlus' specific-humidity form"
        yield at_most(f"{case_name}: evaporation", GROUP, n, error, reach, "relative", note)


def _weather_year(device: str, climate: str, case: dict, weather: Path) -> Iterator[Check]:
    """A year known only by its totals, run on the weather file that EnergyPlus had."""
    done = _solved_year(device, case, _read_weather(weather), _YEAR_SETPOINT_DEGC[device])
    totals = case["annual"]
    n = done.fan_w.size
    case_name = f"year {climate}, {done.label}"
    error = abs(done.fan_w.sum() / 1e3 / totals["fan_kwh"] - 1)
    yield at_most(f"{case_name}: fan energy", GROUP, n, error, 0.005, "relative", f"weather {weather.name}")
    auxiliary_kwh = done.fan_w.sum() / 1e3 + totals["pump_kwh"]
    error = abs(1 + auxiliary_kwh / totals["it_kwh"] - totals["ppue_mechanical"])
    yield at_most(f"{case_name}: mechanical pPUE", GROUP, n, error, 2e-4, "absolute")
    if done.makeup_kg_s is not None:
        error = abs(done.makeup_kg_s.sum() * 3.6 / totals["water_m3"] - 1)
        note = "in EnergyPlus' specific-humidity form"
        reach = _WATER_REACH.get(climate.split("-")[0], 0.02)
        yield at_most(f"{case_name}: make-up water", GROUP, n, error, reach, "relative", note)


def _read_weather(path: Path) -> "_Weather":
    """Hourly means of an EPW year as EnergyPlus interpolates it: an hour runs from the last row's value to its own."""
    with gzip.open(path, "rt", encoding="latin-1") as file:
        rows = [line.split(",") for line in file.readlines()[8:]]
    dry, humid, pressure = (np.array([float(row[column]) for row in rows]) for column in (6, 8, 9))
    ratio = psychrometrics.humidity_ratio_from_relative_humidity(dry, np.minimum(humid / 100, 1), pressure)
    # Four sub-steps an hour, the last of them on the row itself.
    dry, ratio, pressure = (0.625 * a + 0.375 * np.roll(a, 1) for a in (dry, ratio, pressure))
    return _Weather(dry, psychrometrics.wet_bulb_degc(dry, ratio, pressure), ratio, pressure)


def _year_heat(case: dict, exchanger: dict) -> tuple[float, float, float]:
    """Heat through the exchanger and into the device [W], each with its pumps' shaft power, and the water [kg/s]."""
    heat_w = 1e3 * case["annual"]["it_kwh"] / case["annual"]["hours"]
    # The rack loop's pump is named after that loop.
    shafts = {
        name: pump["design_power_consumption"] * pump["motor_efficiency"]
        for name, pump in case["inputs"]["Pump:ConstantSpeed"].items()
    }
    inside = sum(value for name, value in shafts.items() if name.startswith("TCS"))
    water_kg_s = exchanger["loop_demand_side_design_flow_rate"] * PLANT_DENSITY_KG_M3
    return heat_w + inside, heat_w + sum(shafts.values()), water_kg_s


def _rack_supply(exchanger: dict, heat_w: float, water_kg_s: float, supply_degc: np.ndarray) -> np.ndarray:
    """Rack-coolant supply behind the counterflow exchanger that takes `heat_w`."""
    rack_kg_s = exchanger["loop_supply_side_design_flow_rate"] * PLANT_DENSITY_KG_M3
    ua = exchanger["heat_exchanger_u_factor_times_area_value"]
    coolant = coolants.WATER.heat_capacity
    cold = water_kg_s * coolant(supply_degc)
    hot = rack_kg_s * coolant(supply_degc + heat_w / cold)
    least, most = np.minimum(hot, cold), np.maximum(hot, cold)
    effectiveness = heat_exchangers.counterflow_effectiveness(ua / least, least / most)
    return supply_degc + heat_w / (effectiveness * least) - heat_w / hot


def _dry_year(
    given: dict, heat_w: float, water_w_per_k: float, weather: "_Weather", setpoint_degc: float
) -> tuple[np.ndarray, np.ndarray]:
    """Supply [°C] and fan power [W] of a two-speed dry cooler that takes a constant heat."""
    drop = heat_w / water_w_per_k

    def at_speed(speed: str) -> tuple[np.ndarray, float]:
        air = heat_rejection.air_w_per_k(
            given[f"{speed}_fan_speed_air_flow_rate"], weather.dry_degc, weather.humidity_ratio, weather.pressure_pa
        )
        return air, given[f"{speed}_fan_speed_u_factor_times_area_value"]

    arriving = setpoint_degc + drop
    low, high = (
        heat_rejection.dry_cooler_outlet_degc(arriving, water_w_per_k, weather.dry_degc, *at_speed(speed))
        for speed in ("low", "high")
    )
    full_w = given["high_fan_speed_fan_power"]
    _, fan = heat_rejection.two_speed_outlet(
        arriving, low, high, setpoint_degc, given["low_fan_speed_fan_power"], full_w
    )
    held = high <= setpoint_degc
    # Where full speed cannot hold the set point the loop warms until it takes the heat: outlet and inlet rise alike.
    air, ua = at_speed("high")
    least = np.minimum(air, water_w_per_k)
    effectiveness = heat_exchangers.effectiveness(
        ua / least, least / np.maximum(air, water_w_per_k), "crossflow approximate"
    )
    floating = weather.dry_degc + heat_w / (effectiveness * least) - drop
    return np.where(held, setpoint_degc, floating), np.where(held, fan, full_w)


def _wet_year(
    given: dict, heat_w: float, water_w_per_k: float, weather: "_Weather", setpoint_degc: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Supply [°C], fan power [W] and evaporation [kg/s] of a single-speed Merkel tower that takes a constant heat."""
    drop = heat_w / water_w_per_k
    arriving = setpoint_degc + drop
    volume = psychrometrics.specific_volume_m3_per_kg(weather.dry_degc, weather.humidity_ratio, weather.pressure_pa)
    air = given["design_air_flow_rate"] / volume
    ua = given["design_u_factor_times_area_value"]

    def outlet(arriving_degc: np.ndarray | float, air_kg_s: np.ndarray, ua_w_per_k: float) -> np.ndarray:
        return towers.merkel_outlet_degc(
            arriving_degc,
            water_w_per_k,
            weather.wet_degc,
            air_kg_s,
            ua_w_per_k,
            humidity_ratio=weather.humidity_ratio,
            pressure_pa=weather.pressure_pa,
        )

    still = given["free_convection_regime_air_flow_rate"] / given["design_air_flow_rate"]
    on = outlet(arriving, air, ua)
    off = outlet(arriving, air * still, given["free_convection_regime_u_factor_times_area_value"])
    _, share = heat_rejection.cycled_outlet(off, on, setpoint_degc)
    held = on <= setpoint_degc
    # Floating hours: a tower with the fan full on, through the solver that the plant uses.
    ones = np.ones(1)
    bank = towers.MerkelTowers(
        ua_w_per_k=ua * ones,
        air_m3_per_s=given["design_air_flow_rate"] * ones,
        water_kg_s=ones,
        fan_power_w=given["design_fan_power"] * ones,
        air_exponent=ones,
        water_exponent=0 * ones,
        fan_exponent=3 * ones,
        least_fan_frac=0.2 * ones,
        free_convection_frac=0.1 * ones,
    )
    rejection, _ = towers.merkel_supply(
        bank,
        heat_w,
        1.0,
        weather.dry_degc,
        weather.wet_degc,
        -50.0,
        water_cp_j_per_kg_k=water_w_per_k,
        pressure_pa=weather.pressure_pa,
    )
    supply = np.where(held, setpoint_degc, rejection.supply_degc)
    evaporation = _energyplus_evaporation_kg_s(
        np.full(supply.shape, heat_w), air, weather.humidity_ratio, weather.wet_degc, weather.pressure_pa
    )
    return supply, np.where(held, share, 1.0) * given["design_fan_power"], evaporation
