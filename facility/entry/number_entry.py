"""Numbers as people type them, in German or in English: "1.234,5", "1,234.5", "0,6" and "0.6" all mean what they say.

Where point and comma both stand, the last one is the decimal mark. Where one of them stands alone before three digits,
as in "1,234" or "1.234", it can be either; then the field's range and whether it is a whole number decide, and where
they do not, the entry is refused with both readings. A form shows a standing 1.234 as "1.2340", which has one reading.

A unit may follow, as in "5 MW" or "75 °F", where the field's name ends with one; a bare number is of the unit that the
form prints beside the field (`units.py`).
"""

import math
import re
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from facility.entry.units import SHARE, Measure, UnknownUnit, measure_of

SPACES = str.maketrans(
    "", "", " \t\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}'\N{RIGHT SINGLE QUOTATION MARK}"
)
MINUSES = str.maketrans({"\N{MINUS SIGN}": "-", "\N{EN DASH}": "-"})
SPELLED = re.compile(r"([+-]?)([0-9.,]*[0-9][0-9.,]*)(?:[eE]([+-]?[0-9]{1,3}))?")
GROUPED = {mark: re.compile(rf"\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+") for mark in ".,"}
#: A number with groups, then whatever follows it; "$" may stand before it.
MEASURED = re.compile(
    r"\s*(\$?)\s*"
    r"([+\-−–]?\s?[.,]?\d[\d.,]*(?:[ '’\u00a0\u202f\u2009]\d{3}(?!\d)[\d.,]*)*(?:[eE][+\-−–]?\d{1,3})?)"
    r"(.*)",
    re.ASCII,
)
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


def measured(text: str) -> tuple[list[float], str]:
    """Return what a text can mean as a number, and the unit behind it, which may be none: "$0.12/kWh" too."""
    found = MEASURED.fullmatch(text)
    if found is None:
        return readings(text), ""
    dollar, number, unit = found.groups()
    return readings(number), dollar + unit.strip()


def number_read(
    text: str,
    *,
    low: float | None = None,
    high: float | None = None,
    whole: bool = False,
    measure: Measure | None = None,
) -> float:
    """Return the number that a text means, as it is stored.

    Parameters
    ----------
    text : str
        In German or English spelling, with or without groups of three and a unit.
    low, high : float, optional
        What is allowed; decides where a text has two readings.
    whole : bool
        Only whole numbers are meant; decides likewise.
    measure : Measure, optional
        The units that it may have; without it none.

    Raises
    ------
    ValidationError
        If it is no number, two that are both allowed, too large, or of another unit; the sentence says how to write
        each.
    """
    if measure is None:
        return _chosen(text, readings(text), low, high, whole=whole)
    meant, typed = measured(text)
    if not meant:
        raise ValidationError("Enter a number.", code="invalid")
    try:
        unit = measure.named(typed)
    except UnknownUnit as error:
        raise ValidationError(str(error), code="invalid") from None
    ends = [None if end is None else measure.number(end, unit) for end in (low, high)]
    chosen = _chosen(text, meant, *ends, whole=whole and unit == measure.shown, unit=typed)
    for end, shown in zip((low, high), ends, strict=True):
        if end is not None and chosen == shown:
            return float(end)  # as a refusal writes it, in a unit that rounds
    number = measure.stored(chosen, unit)
    if not math.isfinite(number):
        raise ValidationError(f"“{text.strip()}” is too large.", code="invalid")
    return number


def _chosen(
    text: str, meant: list[float], low: float | None, high: float | None, *, whole: bool, unit: str = ""
) -> float:
    if whole:
        meant = meant[-1:]  # nobody writes decimals of a count: 2,000 racks are two thousand
    if len(meant) > 1:
        fits = [n for n in meant if (low is None or n >= low) and (high is None or n <= high)]
        if len(fits) > 1:
            shown, small, large = (f"{n} {unit}".strip() for n in (f"{meant[0]:.6g}", *map(spelled, meant)))
            raise ValidationError(
                f"“{text.strip()}” could be {shown} or {large}. Write {small} or {large}.",
                code="ambiguous",
            )
        meant = fits or meant
    if not meant:
        raise ValidationError("Enter a number.", code="invalid")
    return meant[0]


BRACKETED = re.compile(r"\s*\[[^]]*\]")
LIMIT_SENTENCES = {
    MinValueValidator: "Ensure this value is greater than or equal to",
    MaxValueValidator: "Ensure this value is less than or equal to",
}


class NumberInput(forms.TextInput):
    """A text input with a keyboard for numbers: a browser's own number input follows its language, not the reader's."""

    def __init__(self, attrs: dict[str, Any] | None = None, *, mode: str = "decimal") -> None:
        super().__init__({"inputmode": mode, "autocomplete": "off"} | (attrs or {}))

    def format_value(self, value: Any) -> str | None:
        """Return a standing number in its one spelling; what somebody typed stays as it was typed."""
        return spelled(value) if isinstance(value, int | float) else super().format_value(value)


class _Measured(forms.Field):
    """What both kinds of number have in common: they know their unit once a form has given them their name."""

    measure: Measure | None = None
    standing: float | None = None

    def get_bound_field(self, form: forms.BaseForm, field_name: str) -> forms.BoundField:
        """Take the unit from the name, and put it beside the label and into what limits say."""
        self.measure = measure_of(field_name)
        initial = form.get_initial_for_field(self, field_name)
        self.standing = initial if isinstance(initial, int | float) else None
        bound = super().get_bound_field(form, field_name)
        if self.measure is not None and self.measure.shown != SHARE:
            bound.label = f"{without_unit(str(bound.label), field_name)} [{self.measure.shown}]"
            bound.help_text = without_unit(bound.help_text, field_name)
            self.validators = [self._in_unit(validator) for validator in self.validators]
        return bound

    def _in_unit(self, validator: Any) -> Any:
        """Return a limit that names itself in the unit beside the field."""
        if type(validator) not in LIMIT_SENTENCES:
            return validator
        limit = limit_text(_limit(validator.limit_value), self.measure)
        return type(validator)(validator.limit_value, f"{LIMIT_SENTENCES[type(validator)]} {limit}.")

    def prepare_value(self, value: Any) -> Any:
        """Return a stored number in the unit beside the field; what somebody typed stays as it was typed."""
        if self.measure is None or not isinstance(value, int | float):
            return super().prepare_value(value)
        return spelled(self.measure.number(value))

    def read(self, text: str, *, whole: bool = False) -> float:
        """Return the stored number that was typed; what stood there and was left stays to the last digit."""
        if self.standing is not None and text.strip() == self.prepare_value(self.standing):
            return self.standing
        limits = {"low": _limit(self.min_value), "high": _limit(self.max_value)}
        return number_read(text, **limits, whole=whole, measure=self.measure)


class NumberField(_Measured, forms.FloatField):
    """A number in either spelling, with a unit where its name ends with one."""

    widget = NumberInput

    def to_python(self, value: Any) -> float | None:
        """Return the number that was typed, or None for nothing."""
        if isinstance(value, str) and value.strip():
            value = self.read(value)
        return super().to_python(value)


class WholeNumberField(_Measured, forms.IntegerField):
    """A whole number in either spelling, with a unit where its name ends with one."""

    widget = NumberInput(mode="numeric")

    def to_python(self, value: Any) -> int | None:
        """Return the whole number that was typed, or None for nothing."""
        if isinstance(value, str) and value.strip():
            read = self.read(value, whole=True)
            if read != int(read):
                raise ValidationError(self.error_messages["invalid"], code="invalid")
            value = int(read)
        return super().to_python(value)


MEASURED_FIELDS = (NumberField, WholeNumberField)


def without_unit(text: str, name: str) -> str:
    """Return a label or help text without the stored unit: pages print the unit that they read beside the field."""
    measure = measure_of(name)
    if measure is None or measure.shown == SHARE:
        return text
    return type(text)(BRACKETED.sub("", text))  # what is safe stays so


def limit_text(limit: float, measure: Measure | None) -> str:
    """Return a limit as it is stored in the unit beside its field."""
    if measure is None:
        return spelled(limit)
    return f"{spelled(measure.number(limit))} {'' if measure.shown == SHARE else measure.shown}".strip()


def _limit(value: Any) -> float | None:
    return value() if callable(value) else value


def formfield(db_field: models.Field, **options: Any) -> forms.Field | None:
    """Return a model field's form field, numbers in either spelling: `formfield_callback` of every model form."""
    kinds = {models.FloatField: NumberField, models.IntegerField: WholeNumberField}
    form_class = next((form for kind, form in kinds.items() if isinstance(db_field, kind)), None)
    if form_class is None or db_field.choices:
        return db_field.formfield(**options)
    low, high = limits_of(db_field)
    return db_field.formfield(form_class=form_class, **options | {"min_value": low, "max_value": high})


def limits_of(db_field: models.Field) -> tuple[float | None, float | None]:
    """Return the least and the most that a model field allows."""
    limits = {MinValueValidator: [], MaxValueValidator: []}
    for validator in db_field.validators:
        if type(validator) in limits:
            limits[type(validator)].append(validator.limit_value)
    return max(limits[MinValueValidator], default=None), min(limits[MaxValueValidator], default=None)
