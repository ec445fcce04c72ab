"""What is measured in an AI factory: quantities with units, usual sensors and ranges; faults and parameters by name.

A usual sensor's sigma: resistance thermometers of class B read within 0.3 K (IEC 60751), taken as two sigmas; power
meters of class 0.5 (IEC 62053-22) and magnetic flow meters of half a percent; what software counts is exact but for
its sampling.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

GOOD = 1  # quality of a reading; any other is kept and left out of what is reckoned


@dataclass(frozen=True, slots=True)
class Quantity:
    """One measured quantity. `sigma` is of a usual sensor: of the reading where `relative`, in `unit` otherwise."""

    name: str
    unit: str
    sigma: float
    relative: bool
    low: float  # readings outside are no readings of it
    high: float


@dataclass(frozen=True, slots=True)
class Unit:
    """A written unit: SI = value × scale + offset."""

    si: str
    scale: float
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class Named:
    """A fault kind or parameter: what it is in which unit, from none or nominal (`low`) to the largest (`high`)."""

    unit: str
    low: float
    high: float
    about: str


def _temperature(name: str, high: float = 120.0) -> Quantity:
    return Quantity(name, "degC", 0.15, False, -60.0, high)


def _share(name: str) -> Quantity:
    return Quantity(name, "1", 0.005, False, -0.05, 1.05)


QUANTITIES: Mapping[str, Quantity] = {
    q.name: q
    for q in (
        Quantity("power_w", "W", 0.005, True, -1e6, 1e10),
        Quantity("accelerator_power_w", "W", 0.02, True, 0.0, 1e7),
        *(
            _temperature(f"{side}_{end}_degc")
            for side in ("primary", "secondary", "liquid", "air")
            for end in ("supply", "return")
        ),
        *(
            Quantity(f"{side}_flow_kg_s", "kg/s", 0.005, True, -1.0, 1e5)
            for side in ("primary", "secondary", "liquid", "air")
        ),
        *(
            Quantity(f"{side}_differential_pressure_pa", "Pa", 0.01, True, -1e6, 1e7)
            for side in ("primary", "secondary")
        ),
        _temperature("dry_bulb_degc", 60.0),
        _temperature("wet_bulb_degc", 45.0),
        _temperature("accelerator_temperature_degc", 150.0),
        _share("speed_frac"),
        _share("valve_frac"),
        _share("utilisation_frac"),
        Quantity("accelerator_clock_hz", "Hz", 0.001, True, 0.0, 1e11),
        Quantity("output_tokens_per_s", "1/s", 0.001, True, 0.0, 1e12),
        Quantity("input_tokens_per_s", "1/s", 0.001, True, 0.0, 1e13),
        Quantity("requests_running", "1", 0.001, True, 0.0, 1e9),
        *(
            Quantity(f"{what}_{part}_s", "s", 0.01, True, 0.0, 1e5)
            for what in ("ttft", "itl")
            for part in ("p50", "p95")
        ),
    )
}

UNITS: Mapping[str, Unit] = {
    "W": Unit("W", 1.0),
    "kW": Unit("W", 1e3),
    "MW": Unit("W", 1e6),
    "BTU/h": Unit("W", 0.29307107),
    "degC": Unit("degC", 1.0),
    "°C": Unit("degC", 1.0),
    "C": Unit("degC", 1.0),
    "K": Unit("degC", 1.0, -273.15),
    "degF": Unit("degC", 5.0 / 9.0, -160.0 / 9.0),
    "°F": Unit("degC", 5.0 / 9.0, -160.0 / 9.0),
    "F": Unit("degC", 5.0 / 9.0, -160.0 / 9.0),
    "kg/s": Unit("kg/s", 1.0),
    "kg/h": Unit("kg/s", 1.0 / 3600.0),
    # volumes as water of 998 kg/m³; another coolant's density goes into the mapping's scale
    "l/s": Unit("kg/s", 0.998),
    "l/min": Unit("kg/s", 0.998 / 60.0),
    "m3/h": Unit("kg/s", 998.0 / 3600.0),
    "gpm": Unit("kg/s", 0.998 * 3.785411784 / 60.0),
    "Pa": Unit("Pa", 1.0),
    "kPa": Unit("Pa", 1e3),
    "bar": Unit("Pa", 1e5),
    "mbar": Unit("Pa", 100.0),
    "psi": Unit("Pa", 6894.757),
    "1": Unit("1", 1.0),
    "%": Unit("1", 0.01),
    "Hz": Unit("Hz", 1.0),
    "MHz": Unit("Hz", 1e6),
    "GHz": Unit("Hz", 1e9),
    "1/s": Unit("1/s", 1.0),
    "tok/s": Unit("1/s", 1.0),
    "1/min": Unit("1/s", 1.0 / 60.0),
    "s": Unit("s", 1.0),
    "ms": Unit("s", 1e-3),
}

# Sizes 0 to 1 run from `low` to `high`.
FAULTS: Mapping[str, Named] = {
    "sensor_bias": Named("K, or share of the described mean", 0.0, 3.0, "reads too high: 3 K, or 0.3 of a reading"),
    "sensor_gain": Named("1", 0.0, 0.2, "reads too high by a share of the reading"),
    "sensor_drift": Named("K per day, or share per day", 0.0, 0.5, "reads higher day by day: 0.5 K, or 0.05"),
    "fouling": Named("1", 0.0, 0.5, "conductance of a CDU lost"),
    "pump_wear": Named("1", 0.0, 0.5, "head of a CDU's pump lost inside it"),
    "valve_stuck": Named("1", 0.2, 1.0, "opening at which a CDU's facility-water valve stands"),
    "valve_leak": Named("1", 0.0, 0.3, "of a CDU's rated facility water, past its closed valve"),
    "bypass": Named("1", 0.0, 0.5, "of a CDU's coolant, past the racks"),
    "cap_misset": Named("1", 0.0, 0.5, "of a rack's accelerator power limit, set too low"),
    "fan_failed": Named("1", 0.0, 1.0, "of an air unit's or a plant's fans, standing"),
    "rejection_degraded": Named("1", 0.0, 0.5, "conductance of a plant's coolers and towers lost"),
    "air_in_loop": Named("1", 0.0, 0.3, "of a CDU's coolant flow lost"),
    "phase_loss": Named("1", 0.0, 1.0, "of a feed's phases lost; racks draw that from their other feed"),
    "ups_degraded": Named("1", 0.0, 1.0, "of a UPS's losses added"),
    "accelerator_throttled": Named("1", 0.0, 0.5, "of a rack's accelerator clock lost"),
    "unit_slow": Named("1", 0.0, 0.5, "of a rack's tokens lost at the same power"),
}
SENSOR_FAULTS = ("sensor_bias", "sensor_gain", "sensor_drift")

PARAMETERS: Mapping[str, Named] = {
    **{
        name: Named("1", 0.3, 2.0, "relative to the described value")
        for name in (
            "ua_frac",
            "pump_head_frac",
            "pump_efficiency_frac",
            "fan_power_frac",
            "cold_plate_resistance_frac",
            "ups_loss_frac",
            "transformer_loss_frac",
            "containment_leakage_frac",
            "serving_efficiency_frac",
            "accelerator_dynamic_frac",
        )
    },
    "approach_k": Named("K", 0.5, 15.0, "leaving water above the air or wet bulb"),
    "accelerator_idle_w": Named("W", 10.0, 500.0, "of one accelerator without work"),
    "sensor_bias": Named("that of the quantity", -1e6, 1e6, "added to the reading"),
    "sensor_gain": Named("1", 0.5, 1.5, "times the reading"),
}


def unit_named(text: str) -> Unit | None:
    """Return a unit as written, whatever its case and spaces where that leaves no doubt; None where it is unknown."""
    spelled = text.strip().replace("m³", "m3").replace("/sec", "/s").replace(" ", "")
    if spelled in UNITS:
        return UNITS[spelled]
    found = {unit for name, unit in UNITS.items() if name.lower() == spelled.lower()}
    return found.pop() if len(found) == 1 else None


def is_sensor_temperature(quantity: str) -> bool:
    """Whether a quantity is scored and biased in kelvin."""
    return quantity.endswith("_degc")


def shown_unit(quantity: str, difference: bool = False) -> str:
    """Return the unit that pages show a quantity in, or a difference of it."""
    if is_sensor_temperature(quantity):
        return "K" if difference else "°C"
    if quantity.endswith("_frac"):
        return "%"
    if quantity.endswith("_tokens_per_s"):
        return "tok/s"
    unit = QUANTITIES[quantity].unit if quantity in QUANTITIES else ""
    return "" if unit == "1" else unit


def point_name(object_name: str, quantity: str) -> str:
    """Return the point name that carries its own mapping."""
    return f"{object_name}|{quantity}"


def split_point(name: str) -> tuple[str, str] | None:
    """Return object and quantity of a point name that carries its own mapping, else None."""
    match = re.fullmatch(r"(.+)\|([a-z0-9_]+)", name)
    return (match.group(1), match.group(2)) if match else None


def objects_of(racks: Sequence[str], parts: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Return the objects that points may belong to: racks as on the wire, and the names of other parts by kind."""
    return (
        *racks,
        *(f"{name}/accelerators" for name in racks),
        *(f"{kind}/{name}" for kind, names in parts.items() for name in names),
        "weather",
        "site",
    )
