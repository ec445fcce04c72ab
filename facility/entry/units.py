"""Units that people type beside a number, by the suffix of the field's name, and the unit that stands beside the field.

What is stored stays SI. A bare number is read in the unit that is printed beside its field. The drawing board reads the
same tables (`static/js/number_entry.js`).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from power_cooling.site_facts.units import (
    BTU_H_W,
    DEGF_AT_0_DEGC,
    DEGF_K,
    FT,
    GAL,
    HP_W,
    KG_M2_PA,
    LB,
    PSI_PA,
    TON_W,
    US,
    unit_system,
)

N_NAMED = 8  # units in a refusal
SHARE = "0–1"  # what stands beside a share, which has no unit

_TIME = {"s": 1.0, "ms": 1e-3, "min": 60.0, "h": 3600.0, "d": 86400.0}
_POWER = {"W": 1.0, "kW": 1e3, "MW": 1e6, "GW": 1e9, "tons": TON_W, "hp": HP_W, "BTU/h": BTU_H_W, "mW": 1e-3}
_LENGTH = {"m": 1.0, "mm": 1e-3, "cm": 1e-2, "km": 1e3, "ft": FT, "in": FT / 12}
_DECIMAL = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
_BYTES = {
    "B": 1.0,
    **{f"{prefix}B": size for prefix, size in _DECIMAL.items()},
    **{f"{prefix}iB": 1024.0 ** (i + 1) for i, prefix in enumerate("KMGTP")},
    **{f"{prefix}bit": size / 8 for prefix, size in _DECIMAL.items()},
    **{f"{prefix}b": size / 8 for prefix, size in _DECIMAL.items()},
    "bit": 1 / 8,
}
_PER_SECOND = {  # bytes, and bits
    f"{prefix}{unit}": size * share_of_byte
    for unit, share_of_byte in (("Bps", 1.0), ("bps", 1 / 8))
    for prefix, size in ({"": 1.0} | _DECIMAL).items()
}
_RATE = {"s": 1.0, "min": 60.0, "h": 3600.0}
_PER_TIME = {f"{one}/{name}": 1 / size for one in ("1", "") for name, size in _RATE.items()}
_PRICE = {"$": 1.0, "¢": 0.01, "k$": 1e3, "M$": 1e6}
_ENERGY_KWH = {"kWh": 1.0, "MWh": 1e3, "GWh": 1e6}
_FUEL_KWH = _ENERGY_KWH | {"MMBtu": BTU_H_W * 1e3, "therm": BTU_H_W * 100, "GJ": 1e6 / 3600}


def _prefixed(unit: str, prefixes: str = "kMGTP") -> dict[str, float]:
    return {unit: 1.0, **{f"{prefix}{unit}": _DECIMAL[prefix] for prefix in prefixes}}


def _over(upper: Mapping[str, float], lower: Mapping[str, float]) -> dict[str, float]:
    return {f"{a}/{b}": x / y for a, x in upper.items() for b, y in lower.items()}


#: By suffix, a longer one before those it ends with: the unit printed beside a field, and every unit that may be typed
#: with its size in the unit of the suffix.
_MEASURES: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "usd_per_kw_month": ("$/kW month", {"$/kW month": 1.0, "$/MW month": 1e-3}),
    "usd_per_kwh": ("$/kWh", _over(_PRICE, _FUEL_KWH)),
    "usd_per_t": ("$/t", {"$/t": 1.0, "$/kg": 1e3}),
    "usd": ("$", _PRICE),
    "kg_per_kwh": ("kg/kWh", _over({"kg": 1.0, "g": 1e-3, "lb": LB, "t": 1e3}, _ENERGY_KWH)),
    "l_per_kwh": ("l/kWh", _over({"l": 1.0, "gal": GAL * 1e3}, _ENERGY_KWH)),
    "kg_per_m2": (
        "kg/m²",
        {"kg/m²": 1.0, "t/m²": 1e3, "kPa": 1e3 / KG_M2_PA, "kN/m²": 1e3 / KG_M2_PA, "psf": LB / FT**2},
    ),
    "m3_per_s": (
        "l/min",
        _over({"l": 1e-3, "m³": 1.0}, _TIME) | {"lpm": 1e-3 / 60, "gpm": GAL / 60, "cfm": FT**3 / 60},
    ),
    "kg_per_s": ("kg/s", _over({"kg": 1.0, "t": 1e3, "lb": LB}, _TIME)),
    "kg_s": ("kg/s", _over({"kg": 1.0, "t": 1e3, "lb": LB}, _TIME)),
    "w_per_k": ("kW/K", {"W/K": 1.0, "kW/K": 1e3, "MW/K": 1e6}),
    "flops_per_s": ("TFLOP/s", _prefixed("FLOP/s") | _prefixed("FLOPS")),
    "bytes_per_s": (
        "GB/s",
        _over(_BYTES, {"s": 1.0}) | _PER_SECOND,
    ),
    "bits_per_s": (
        "Gbit/s",
        {name: 8 * size for name, size in (_over(_BYTES, {"s": 1.0}) | _PER_SECOND).items()},
    ),
    "bytes": ("GB", _BYTES),
    "tokens_per_s": ("tok/s", _prefixed("tok/s", "kMG")),
    "tokens": ("tok", _prefixed("tok", "kMG")),
    "core_s": ("core s", {"core s": 1.0, "core ms": 1e-3, "core min": 60.0, "core h": 3600.0} | _TIME),
    "m_per_s": ("m/s", _over(_LENGTH, {"s": 1.0, "min": 60.0, "h": 3600.0})),
    "requests_per_s": ("req/s", _over({"req": 1.0}, _RATE) | {"rps": 1.0} | _PER_TIME),
    "per_s": ("1/s", _PER_TIME),
    "degc": ("°C", {"°C": 1.0, "°F": DEGF_K, "K": 1.0}),
    "frac": (SHARE, {SHARE: 1.0, "%": 0.01}),
    "share": (SHARE, {SHARE: 1.0, "%": 0.01}),
    "deg": ("°", {"°": 1.0}),
    "va": ("kVA", _prefixed("VA", "kMG")),
    "hz": ("MHz", _prefixed("Hz", "kMG")),
    "pa": (
        "kPa",
        {"Pa": 1.0, "hPa": 100.0, "kPa": 1e3, "MPa": 1e6, "mbar": 100.0, "bar": 1e5, "psi": PSI_PA, "inH2O": 249.08891},
    ),
    "kg": ("kg", {"kg": 1.0, "g": 1e-3, "t": 1e3, "lb": LB}),
    "m2": ("m²", {"m²": 1.0, "ft²": FT**2}),
    "m3": ("m³", {"m³": 1.0, "l": 1e-3, "gal": GAL, "ft³": FT**3}),
    "mw": ("MW", {name: size / 1e6 for name, size in _POWER.items()}),
    "w": ("kW", _POWER),
    "j": ("kWh", _prefixed("J", "kMG") | {"Wh": 3600.0, "kWh": 3.6e6, "MWh": 3.6e9}),
    "k": ("K", {"K": 1.0, "°C": 1.0, "°F": DEGF_K}),
    "v": ("V", {"V": 1.0, "kV": 1e3}),
    "a": ("A", {"A": 1.0, "kA": 1e3}),
    "m": ("m", _LENGTH),
    "s": ("s", _TIME),
    "h": ("h", {"h": 1.0, "min": 1 / 60, "d": 24.0}),
}
#: What is shown by whoever chose US units, by suffix.
_SHOWN_US = {
    "kg_per_kwh": "lb/MWh",
    "l_per_kwh": "gal/kWh",
    "kg_per_m2": "psf",
    "m3_per_s": "gpm",
    "kg_per_s": "lb/s",
    "kg_s": "lb/s",
    "m_per_s": "ft/s",
    "degc": "°F",
    "pa": "psi",
    "kg": "lb",
    "m2": "ft²",
    "m3": "gal",
    "k": "°F",
    "m": "ft",
}
#: Units that a refusal names of suffixes that take more than it has room for, beside the one that is shown.
_USUAL = {
    "usd_per_kwh": ("$/kWh", "$/MWh", "¢/kWh", "$/MMBtu"),
    "kg_per_kwh": ("kg/kWh", "g/kWh", "kg/MWh", "lb/MWh"),
    "l_per_kwh": ("l/kWh", "gal/kWh", "l/MWh"),
    "m3_per_s": ("l/min", "l/s", "m³/h", "gpm"),
    "kg_per_s": ("kg/s", "t/h", "lb/s"),
    "kg_s": ("kg/s", "t/h", "lb/s"),
    "bytes_per_s": ("GB/s", "TB/s", "MB/s", "Gbps"),
    "bits_per_s": ("Gbps", "Tbps", "Mbps", "GB/s"),
    "bytes": ("GB", "TB", "PB", "GiB", "TiB"),
    "m_per_s": ("m/s", "ft/s", "ft/min", "km/h"),
    "requests_per_s": ("req/s", "req/min", "req/h"),
    "per_s": ("1/s", "1/min", "1/h"),
    "core_s": ("core s", "core ms", "s", "ms"),
    "pa": ("kPa", "Pa", "bar", "mbar", "psi", "inH2O"),
    "mw": ("MW", "kW", "GW"),
    "w": ("W", "kW", "MW", "tons", "hp", "BTU/h"),
}
#: Temperatures count from elsewhere: what is added after the size.
_FROM_DEGC = {"°F": DEGF_AT_0_DEGC, "K": -273.15}
#: Fields whose size calls for another unit than others of their suffix.
_SHOWN = {
    "grid_limit_w": "MW",
    "accelerator_power_limit_w": "W",
    "power_cap_w": "W",
    "tdp_w": "W",
    "idle_w": "W",
    "target_itl_s": "ms",
}
#: Other spellings of units: typed, meant.
_SPELLED = {
    "USD": "$",
    "ct": "¢",
    "degC": "C",
    "degF": "F",
    "RT": "tons",
    "TR": "tons",
    "ton": "tons",
    "BTU/hr": "BTU/h",
    "hr": "h",
    "hours": "h",
    "days": "d",
    "sec": "s",
    "feet": "ft",
    "'": "ft",
    '"': "in",
    "lbs": "lb",
    "m^3": "m3",
    "m^2": "m2",
    "sqft": "ft2",
    "percent": "%",
    "MMBTU": "MMBtu",
    "mmBtu": "MMBtu",
    "mmbtu": "MMBtu",
    "request": "req",
    "requests": "req",
    "KB": "kB",
    "Kb": "kb",
    "KBps": "kBps",
    "Kbps": "kbps",
}
#: Letters whose case says the size: of mega and milli before a unit, of bytes and bits. Scripts read the same pattern.
_CASED = r"((?:^|/|core)M(?=[A-Za-z$])(?![iI][nN](?:/|$))|B(?=/|$|ps$))"
_PLAIN = str.maketrans({"³": "3", "²": "2", "°": "", "º": "", "’": "'", "″": '"', "′": "'", "·": ""})


def plain(unit: str) -> str:
    """Return a unit as it is looked up: no spaces, degrees or raised digits, one spelling."""
    joined = "".join(unit.split()).translate(_PLAIN)
    if joined in _SPELLED:
        return _SPELLED[joined]
    return "/".join(_SPELLED.get(part, part) for part in joined.split("/"))


def _folded(unit: str) -> str:
    """Return a plain unit in small letters, but for those whose case says the size."""
    parts = re.split(_CASED, unit)
    return "".join(part if place % 2 else part.lower() for place, part in enumerate(parts))


class UnknownUnit(ValueError):
    """A unit that a field does not take, or one that could be two; the sentence says which it takes."""


@dataclass(frozen=True, slots=True)
class Measure:
    """The unit beside a field, and those that may be typed: size and what is added, in what is stored."""

    shown: str
    units: Mapping[str, tuple[float, float]]  # by their usual spelling
    usual: Sequence[str] = ()  # those that a refusal names; none: the first of all

    def named(self, typed: str) -> str:
        """Return the unit that is meant, the field's own where none was typed.

        Raises
        ------
        UnknownUnit
            If the field takes no such unit, or capitals alone tell two apart.
        """
        meant = plain(typed)
        if not meant:
            return self.shown
        by_plain = {plain(name): name for name in self.units}
        if meant in by_plain:
            return by_plain[meant]
        close = [name for known, name in by_plain.items() if known.lower() == meant.lower()]
        if len(close) == 1 and _folded(plain(close[0])) == _folded(meant):
            return close[0]
        if len(close) > 1:
            raise UnknownUnit(f"“{typed.strip()}” could be {' or '.join(close)}. Write one of them.")
        *most, last = self.named_first()
        allowed = f"{', '.join(most)} or {last}" if most else last
        raise UnknownUnit(f"“{typed.strip()}” is not a unit of this field. Write {allowed}.")

    @property
    def stored_unit(self) -> str:
        """The unit that is stored."""
        return next(name for name, of in self.units.items() if of == (1.0, 0.0))

    def named_first(self) -> list[str]:
        """Return the units that a refusal names: the one beside the field, then the usual ones."""
        return list(dict.fromkeys((self.shown, *(self.usual or list(self.units)[:N_NAMED]))))

    def stored(self, number: float, unit: str) -> float:
        """Return a number of a unit in what is stored."""
        size, added = self.units[unit]
        if (size, added) == (1.0, 0.0):
            return number
        return float(f"{number * size + added:.15g}")  # 0.1 kW is 100 W, not 100.00000000000001

    def number(self, stored: float, unit: str = "") -> float:
        """Return what is stored as a number of a unit, of the one beside the field where none is named."""
        size, added = self.units[unit or self.shown]
        if (size, added) == (1.0, 0.0):
            return stored
        return float(f"{(stored - added) / size:.12g}")

    def as_json(self) -> dict:
        """Return what scripts need to read and show numbers as forms do: units as they are looked up."""
        units = {plain(name): [name, *size] for name, size in self.units.items()}
        return {"shown": self.shown, "units": units, "usual": self.named_first()}


def step_of(name: str) -> Measure | None:
    """Return what a difference of two values of a field is measured in: of temperatures K, with nothing added."""
    measure = measure_of(name)
    if measure is None:
        return None
    units = {unit: (size, 0.0) for unit, (size, _) in measure.units.items()}
    return Measure(measure.shown, units, measure.usual)


def for_scripts(names: Iterable[str]) -> dict:
    """Return the measures of fields, and how spellings of units are made plain, as scripts read them."""
    measures = {name: measure for name in names if (measure := measure_of(name)) is not None}
    return {
        "plain": {chr(code): meant for code, meant in _PLAIN.items()},
        "spelled": _SPELLED,
        "cased": _CASED,
        "fields": {name: measure.as_json() for name, measure in measures.items()},
    }


def stored_label(name: str, words: str) -> str:
    """Return a field's words with the unit that it is stored in, for forms that show and take nothing else."""
    measure = measure_of(name)
    if measure is None:
        return words
    suffix = _suffix(name).replace("_", " ")
    return f"{words.removesuffix(suffix).strip() or words} [{measure.stored_unit}]"


def _suffix(name: str) -> str:
    return next((suffix for suffix in _MEASURES if name == suffix or name.endswith(f"_{suffix}")), "")


def measure_of(name: str) -> Measure | None:
    """Return what a field of that name is measured in, by its suffix; None where the name says no unit."""
    suffix = _suffix(name)
    if not suffix or name.removesuffix(suffix).endswith("_per_"):  # a price of a watt is no power
        return None
    shown, sizes = _MEASURES[suffix]
    shown = _SHOWN.get(name, shown)
    if unit_system() == US:
        shown = _SHOWN_US.get(suffix, shown)
    from_elsewhere = _FROM_DEGC if suffix == "degc" else {}
    units = {unit: (size, from_elsewhere.get(unit, 0.0)) for unit, size in sizes.items()}
    return Measure(shown, units, _USUAL.get(suffix, ()))
