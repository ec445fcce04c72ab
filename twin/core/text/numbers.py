"""Numbers as planners read them, as plain text: three significant digits, an SI prefix, a unit, never a bare float.

Values come in SI; the unit argument says what to show. `%` takes a fraction, `Wh` takes joules. A missing value is an
em dash. Knows nothing of templates, so that pure modules can put numbers into sentences.
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeGuard

from power_cooling.site_facts.units import shown

MISSING = "—"
MINUS = "\N{MINUS SIGN}"
GAP = "\N{NARROW NO-BREAK SPACE}"
PREFIXES = {-3: "n", -2: "µ", -1: "m", 0: "", 1: "k", 2: "M", 3: "G", 4: "T", 5: "P", 6: "E"}
#: Units that take a prefix: (smallest, largest) power of 1,000, and whether the prefix stands apart as a word.
PREFIXED = {
    "W": (-1, 4, False),
    "VA": (0, 4, False),
    "Hz": (0, 3, False),
    "op/s": (0, 6, False),
    "Wh": (0, 4, False),
    "J": (-1, 6, False),
    "Pa": (0, 3, False),
    "s": (-2, 0, False),
    "B": (0, 5, False),
    "B/s": (0, 5, False),
    "FLOP/s": (0, 6, False),
    "tok/s": (0, 6, True),
    "tok": (0, 6, True),
    "parameters": (0, 4, True),
    "Ω/m": (-2, 0, False),
    "$": (0, 4, True),
    "$/year": (0, 4, True),
}
FACTORS = {"%": 100.0, "Wh": 1 / 3600.0}
#: What a difference of the unit is called.
DIFFERENCE_UNITS = {"°C": "K", "%": "pp"}


def significant(value: float, digits: int = 3) -> str:
    """Return a number with that many significant digits, thousands grouped, never in exponent form."""
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    decimals = digits - 1 - magnitude
    rounded = round(value, decimals)
    if rounded and math.floor(math.log10(abs(rounded))) > magnitude:  # 9.996 became 10.0
        decimals -= 1
    return f"{rounded:,.{max(decimals, 0)}f}".replace("-", MINUS)


def scaled(value: float, unit: str) -> tuple[str, str]:
    """Return the digits and the unit with its prefix, e.g. ("7.24", "MW")."""
    if (other := shown(unit)) is not None:
        value, unit = other.number(value), other.unit
    value = value * FACTORS.get(unit, 1.0)
    if unit == "%":
        return percent(value), unit
    smallest, largest, apart = PREFIXED.get(unit, (0, 0, False))
    power = 0
    if value and (smallest or largest):
        rounded = float(f"{value:.2e}")  # round first: 999.9 kW is 1 MW, not 1,000 kW
        power = min(max(math.floor(math.log10(abs(rounded)) / 3 + 1e-12), smallest), largest)
    prefix = PREFIXES[power]
    digits = significant(value / 1000.0**power)
    return digits, (f"{prefix}{GAP}{unit}" if apart and prefix else f"{prefix}{unit}")


def percent(value: float) -> str:
    """Return a percentage; near 100 the distance to it keeps two digits: 99.95 and 99.995 are a factor ten apart."""
    if 99 < value < 100:
        gap = round(100 - value, 9)  # 99.9 lies a tenth away, not 0.0999…
        decimals = min(max(1 - math.floor(math.log10(gap)), 1), 6)
        text = f"{value:.{decimals}f}"
        return text if float(text) < 100 else f"{value:.6f}"
    return significant(value)


def is_number(value: object) -> TypeGuard[float]:
    """Return whether there is a number to show."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def quantity_text(value: float | None, unit: str = "") -> str:
    """Return a value with prefix and unit as plain text, e.g. "7.24 MW" or "$0.186 / M tok"."""
    if not is_number(value):
        return MISSING
    if unit.startswith("$"):
        if (other := shown(unit)) is not None:
            value, unit = other.number(value), other.unit
        digits, dollars = scaled(value, "$") if unit in ("$", "$/year") else (significant(value), "$")
        sign, digits = (MINUS, digits[1:]) if digits.startswith(MINUS) else ("", digits)
        prefix = dollars.removesuffix("$").strip(GAP)
        per = unit[1:].lstrip("/")
        return f"{sign}${digits}" + (f"{GAP}{prefix}" if prefix else "") + (f"{GAP}/{GAP}{per}" if per else "")
    digits, prefixed = scaled(value, unit)
    return f"{digits}{GAP}{prefixed}" if prefixed else digits


def size_text(*sides_m: float) -> str:
    """Return lengths on a floor with their unit once, "21.6 × 21 m": as drawn in metres, to three digits in feet."""
    other = shown("m")
    sides = (f"{side:g}" if other is None else significant(other.number(side)) for side in sides_m)
    return f"{' × '.join(sides)} {'m' if other is None else other.unit}"


def joined_text(first: str, sign: str, second: str) -> str:
    """Return two quantities in a row, their unit once where both have the same: "4.00 to 6.00 years"."""
    digits, _, unit = first.partition(GAP)
    return f"{digits if unit and second.partition(GAP)[2] == unit else first}{sign}{second}"


def exact_text(value: float | None, unit: str = "") -> str:
    """Return the full value in the unit it is stored in, for `title` and for copying."""
    if not is_number(value):
        return "no value"
    if unit == "%":
        return f"{value * 100:.10g} %"
    if unit == "Wh":
        return f"{value:.10g} J"
    unit = unit.partition(" of ")[0]
    return f"{value:.10g} {unit}".strip()


def indistinct(value: float, other: float) -> bool:
    """Return whether two values differ only below the fourth digit: rounding of the solver, not a difference."""
    return abs(value - other) <= 5e-4 * max(abs(value), abs(other))


def same_text(value: float, other: float, unit: str = "") -> bool:
    """Return whether two values read the same; percentages near 100 count by their distance to it."""
    if unit == "%" and min(value, other) > 0.99:
        return indistinct(1 - value, 1 - other)
    return indistinct(value, other)


def delta_text(value: float | None, reference: float | None, unit: str = "", better: str = "") -> str:
    """Return the difference to a reference with sign, unit and a word, e.g. "+0.31 tok/J, better".

    Parameters
    ----------
    value, reference : float or None
        In the unit that they are stored in.
    unit : str
        Of both.
    better : str
        "higher", "lower", or blank where neither is better: then there is no word.
    """
    if not is_number(value) or not is_number(reference):
        return MISSING
    change = value - reference
    if same_text(value, reference, unit):
        return "same"
    if unit == "%":
        size = f"{significant(abs(change) * 100)}{GAP}pp"
    else:
        size = quantity_text(abs(change), DIFFERENCE_UNITS.get(unit, unit))
    word = ""
    if better:
        word = ", better" if (change > 0) == (better == "higher") else ", worse"
    return f"{'+' if change > 0 else MINUS}{size}{word}"


def delta_kind(value: float | None, reference: float | None, better: str = "") -> str:
    """Return "better", "worse" or "" for the style of a difference; the word itself stands in the text."""
    words = delta_text(value, reference, "", better).rpartition(", ")[2]
    return words if words in ("better", "worse") else ""


def band_text(band: Sequence[float | None] | None, value: float | None) -> str:
    """Return an 80 % band relative to its value: "± 6 %", or "−4 / +9 %" where the sides differ."""
    low, high = band or (None, None)
    if not is_number(value) or not is_number(low) or not is_number(high) or not value:
        return ""
    below, above = (value - low) / abs(value) * 100, (high - value) / abs(value) * 100
    if abs(below - above) <= 0.25 * max(below, above):
        return f"±{GAP}{two_digits((below + above) / 2)}{GAP}%"
    return f"{MINUS}{two_digits(below)}{GAP}/{GAP}+{two_digits(above)}{GAP}%"


def two_digits(value: float) -> str:
    """Return a percentage of uncertainty: whole numbers from 2 % on, one digit that counts below a tenth."""
    if value >= 1.95:
        return f"{value:.0f}"
    if value >= 0.095:
        return f"{value:.1f}"
    if value < 5e-5:
        return "0"
    return f"{float(f'{value:.1g}'):f}".rstrip("0")


def date_text(hour: int, n_hours: int) -> str:
    """Return the local time of an hour of a typical year of so many hours, e.g. "16 Jul 15:00"."""
    at = datetime(2024 if n_hours > 8760 else 2025, 1, 1) + timedelta(hours=hour)
    return f"{at.day} {at:%b %H}:00"
