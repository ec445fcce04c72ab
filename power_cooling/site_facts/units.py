"""Sizes of units that people type and read, and in which of them a stored quantity is shown.

What is stored, solved and exchanged stays SI. Pages and spreadsheets show liquid flows by the trade's unit, and US
customary units to whoever chose them; a process that shows nothing to anybody stays with SI.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

FT, LB, GAL = 0.3048, 0.45359237, 3.785411784e-3  # m, kg, m³: international foot and pound, US gallon
TON_W, HP_W, BTU_H_W = 3516.8528, 745.699872, 0.29307107  # ton of refrigeration, mechanical horsepower, BTU/h
PSI_PA, KG_M2_PA = 6894.757293, 9.80665  # pound-force on a square inch; a kilogram's weight on a square metre
DEGF_K, DEGF_AT_0_DEGC = 5 / 9, -160 / 9  # size of a degree Fahrenheit; 0 °F in °C

SI, US = "si", "us"
SYSTEMS = {SI: "SI: l/min, kW, °C, m", US: "US: gpm, °F, psi, ft"}
_system: ContextVar[str] = ContextVar("unit_system", default=SI)


@dataclass(frozen=True, slots=True)
class Shown:
    """A unit that another is shown in: `size` is one of it in the stored unit, `added` is where it counts from."""

    unit: str
    size: float
    added: float = 0.0

    def number(self, stored: float) -> float:
        """Return a stored value as a number of the unit."""
        return (stored - self.added) / self.size


_TRADE = {"m³/s": Shown("l/min", 1e-3 / 60), "m³/s of air": Shown("m³/s", 1.0)}
_US = {
    "m³/s": Shown("gpm", GAL / 60),
    "m³/s of air": Shown("cfm", FT**3 / 60),
    "°C": Shown("°F", DEGF_K, DEGF_AT_0_DEGC),
    "K": Shown("°F", DEGF_K),
    "m": Shown("ft", FT),
    "m²": Shown("ft²", FT**2),
    "m³": Shown("gal", GAL),
    "m/s": Shown("ft/s", FT),
    "kg": Shown("lb", LB),
    "kg/s": Shown("lb/s", LB),
    "kg/m²": Shown("lb/ft²", LB / FT**2),
    "Pa": Shown("psi", PSI_PA),
    "L/kWh": Shown("gal/kWh", GAL * 1e3),
    "W/m²": Shown("W/ft²", 1 / FT**2),
    "$/m³": Shown("$/gal", 1 / GAL),
    "$/m": Shown("$/ft", 1 / FT),
}


def unit_system() -> str:
    """Return in which system quantities are shown now."""
    return _system.get()


@contextmanager
def shown_in(system: str) -> Iterator[None]:
    """Show quantities in a system for as long as this lasts."""
    token = _system.set(system if system in SYSTEMS else SI)
    try:
        yield
    finally:
        _system.reset(token)


def shown(unit: str) -> Shown | None:
    """Return what a quantity of a unit is shown in; None: in that unit itself."""
    return all_shown().get(unit)


def all_shown() -> Mapping[str, Shown]:
    """Return what quantities are shown in now, by the unit that they are stored in; others in that unit itself."""
    return _US if unit_system() == US else _TRADE
