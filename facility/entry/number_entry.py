"""Numbers as people type them, in German or in English: "1.234,5", "1,234.5", "0,6" and "0.6" all mean what they say.

Where point and comma both stand, the last one is the decimal mark. Where one of them stands alone before three digits,
as in "1,234" or "1.234", it can be either; then the field's range and whether it is a whole number decide, and where
they do not, the entry is refused with both readings. A form shows a standing 1.234 as "1.2340", which has one reading.
"""

import math
import re
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

SPACES = str.maketrans(
    "", "", " \t\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}'\N{RIGHT SINGLE QUOTATION MARK}"
)
MINUSES = str.maketrans({"\N{MINUS SIGN}": "-", "\N{EN DASH}": "-"})
SPELLED = re.compile(r"([+-]?)([0-9.,]*[0-9][0-9.,]*)(?:[eE]([+-]?[0-9]{1,3}))?")
GROUPED = {mark: re.compile(rf"\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+") for mark in ".,"}
EITHER = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")  # nobody groups after a leading zero: 0,125 has one reading


def readings(text: str) -> list[float]:
    """Return what a text can mean as a number: nothing, one number, or two, the smaller first."""
    found = SPELLED.fullmatch(text.strip().translate(SPACES).translate(MINUSES))
    if found is None:
        return []
    sign, digits, exponent = found.groups()
    spellings = _plain(digits)
    numbers = [float(f"{sign}{spelling}e{exponent or 0}") for spelling in spellings]
    return [number for number in numbers if math.isfinite(number)]


def _plain(digits: str) -> list[str]:
    """Return the spellings with a decimal point only that digits with points and commas can stand for."""
    if EITHER.fullmatch(digits):
        return [digits.replace(",", "."), re.sub("[.,]", "", digits)]
    marks = [mark for mark in ".," if mark in digits]
    if not marks:
        return [digits]
    if len(marks) == 1:
        mark = marks[0]
        if digits.count(mark) == 1:
            return [digits.replace(mark, ".")]
        return [digits.replace(mark, "")] if GROUPED[mark].fullmatch(digits) else []
    decimal = max(marks, key=digits.rfind)
    group = "," if decimal == "." else "."
    whole, _, rest = digits.partition(decimal)
    if not GROUPED[group].fullmatch(whole) or not (rest.isdigit() or not rest):
        return []
    return [f"{whole.replace(group, '')}.{rest or 0}"]


def spelled(value: float) -> str:
    """Return a number so that reading it gives it back, without exponent and with one reading only."""
    text = f"{Decimal(repr(value)):f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{text}0" if EITHER.fullmatch(text.lstrip("-")) else text


def number_read(text: str, *, low: float | None = None, high: float | None = None, whole: bool = False) -> float:
    """Return the number that a text means.

    Parameters
    ----------
    text : str
        In German or English spelling, with or without groups of three.
    low, high : float, optional
        What is allowed; decides where a text has two readings.
    whole : bool
        Only whole numbers are meant; decides likewise.

    Raises
    ------
    ValidationError
        If it is no number, or two that are both allowed; the sentence says how to write each.
    """
    meant = readings(text)
    if whole:
        meant = meant[-1:]  # nobody writes decimals of a count: 2,000 racks are two thousand
    if len(meant) > 1:
        fits = [n for n in meant if (low is None or n >= low) and (high is None or n <= high)]
        if len(fits) > 1:
            small, large = map(spelled, meant)
            raise ValidationError(
                f"“{text.strip()}” could be {meant[0]:.6g} or {large}. Write {small} or {large}.",
                code="ambiguous",
            )
        meant = fits or meant
    if not meant:
        raise ValidationError("Enter a number.", code="invalid")
    return meant[0]


class NumberInput(forms.TextInput):
    """A text input with a keyboard for numbers: a browser's own number input follows its language, not the reader's."""

    def __init__(self, attrs: dict[str, Any] | None = None, *, mode: str = "decimal") -> None:
        super().__init__({"inputmode": mode, "autocomplete": "off"} | (attrs or {}))

    def format_value(self, value: Any) -> str | None:
        """Return a standing number in its one spelling; what somebody typed stays as it was typed."""
        return spelled(value) if isinstance(value, int | float) else super().format_value(value)


class NumberField(forms.FloatField):
    """A number in either spelling."""

    widget = NumberInput

    def to_python(self, value: Any) -> float | None:
        """Return the number that was typed, or None for nothing."""
        if isinstance(value, str) and value.strip():
            value = number_read(value, low=_limit(self.min_value), high=_limit(self.max_value))
        return super().to_python(value)


class WholeNumberField(forms.IntegerField):
    """A whole number in either spelling."""

    widget = NumberInput(mode="numeric")

    def to_python(self, value: Any) -> int | None:
        """Return the whole number that was typed, or None for nothing."""
        if isinstance(value, str) and value.strip():
            read = number_read(value, low=_limit(self.min_value), high=_limit(self.max_value), whole=True)
            if read != int(read):
                raise ValidationError(self.error_messages["invalid"], code="invalid")
            value = int(read)
        return super().to_python(value)


def _limit(value: Any) -> float | None:
    return value() if callable(value) else value


def formfield(db_field: models.Field, **options: Any) -> forms.Field | None:
    """Return a model field's form field, numbers in either spelling: `formfield_callback` of every model form."""
    kinds = {models.FloatField: NumberField, models.IntegerField: WholeNumberField}
    form_class = next((form for kind, form in kinds.items() if isinstance(db_field, kind)), None)
    if form_class is None or db_field.choices:
        return db_field.formfield(**options)
    limits = {MinValueValidator: [], MaxValueValidator: []}
    for validator in db_field.validators:
        if type(validator) in limits:
            limits[type(validator)].append(validator.limit_value)
    low, high = limits[MinValueValidator], limits[MaxValueValidator]
    options |= {"min_value": max(low, default=None), "max_value": min(high, default=None)}
    return db_field.formfield(form_class=form_class, **options)
