"""Numbers as planners read them: three significant digits, an SI prefix, a unit, never a bare float.

The text itself comes from `twin.core.text.numbers`; filters wrap it for templates with the full value in `title`.
"""

from datetime import timedelta

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from twin.core.results.details import Assumption, Sensitivity
from twin.core.text.field_names import assumption_words, fact_text, field_unit, field_words
from twin.core.text.numbers import (
    GAP,
    MISSING,
    band_text,
    delta_kind,
    delta_text,
    exact_text,
    is_number,
    joined_text,
    quantity_text,
    size_text,
)

register = template.Library()


@register.filter
def quantity(value: float | None, unit: str = "") -> SafeString:
    """`{{ run.figures.mean_power_w|quantity:"W" }}`: digits and unit, full value on hover."""
    if not is_number(value):
        return format_html('<span class="quantity missing" title="no value">{}</span>', MISSING)
    number, gap, shown = quantity_text(value, unit).partition(GAP)
    return format_html(
        '<data class="quantity" value="{}" title="{}">{}<span class="unit">{}</span></data>',
        value,
        exact_text(value, unit),
        number,
        gap + shown,
    )


@register.filter
def plain_quantity(value: float | None, unit: str = "") -> str:
    """The same as text, for attributes and SVG."""
    return quantity_text(value, unit)


@register.filter
def size(side_m: float, other_m: float | None = None) -> str:
    """`{{ hall.width_m|size:hall.depth_m }}`: lengths on a floor, "21.6 × 21 m"."""
    return size_text(*(float(side) for side in (side_m, other_m) if side is not None))


@register.filter
def item(mapping: dict | None, key: str) -> object:
    """`{{ run.figures|item:figure.name }}`: one entry of a dictionary, or None."""
    return mapping.get(key) if isinstance(mapping, dict) else None


@register.filter
def duration(value: timedelta | None) -> str:
    """Return a time span as people say it: "12 s", "3 min 05 s"."""
    if value is None:
        return MISSING
    seconds = int(value.total_seconds())
    if seconds < 60:
        return f"{max(value.total_seconds(), 0):.1f}{GAP}s" if seconds < 10 else f"{seconds}{GAP}s"
    return f"{seconds // 60}{GAP}min {seconds % 60:02d}{GAP}s"


@register.simple_tag
def delta(value: float | None, reference: float | None, unit: str = "", better: str = "") -> SafeString:
    """`{% delta a b "W" "lower" %}`: the difference with sign, unit and word."""
    return format_html(
        '<span class="delta {}">{}</span>',
        delta_kind(value, reference, better),
        delta_text(value, reference, unit, better),
    )


@register.simple_tag
def band(ends: list[float] | None, value: float | None, unit: str = "") -> SafeString:
    """`{% band run.bands.pue run.figures.pue %}`: the 80 % band, its ends on hover."""
    text = band_text(ends, value)
    if not text:
        return SafeString("")
    return format_html(
        '<span class="band" title="80 % band: {} to {}">{}</span>',
        quantity_text(ends[0], unit),
        quantity_text(ends[1], unit),
        text,
    )


@register.filter
def fact_label(name: str) -> str:
    """`{{ "liquid_supply_max_degc"|fact_label }}`: a field name as words, without the suffix that became a unit."""
    return field_words(name)


@register.filter
def fact(value: object, name: str) -> SafeString | str:
    """`{{ value|fact:"liquid_supply_max_degc" }}`: a catalogue value in the unit that its name states."""
    unit = field_unit(name)
    if unit and is_number(value):
        return quantity(value, unit)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if "year" in name else f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else fact_text(value, unit)


@register.inclusion_tag("twin/_assumption.html")
def assumption(row: Assumption) -> dict:
    """`{% assumption row %}`: cells of one input of a run: of what, which, its value in its unit, its source."""
    subject, label, unit = assumption_words(row.object, row.field, row.unit)
    is_count = isinstance(row.value, int) and not unit
    number = None if is_count or not is_number(row.value) else row.value
    return {
        "row": row,
        "subject": subject,
        "label": label,
        "unit": unit,
        "number": number,
        "text": fact_text(row.value, unit),
    }


@register.filter
def input_range(row: Sensitivity) -> str:
    """`{{ row|input_range }}`: from which to which value a price is varied, in the unit of its input."""
    unit = field_unit(row.input)
    return joined_text(quantity_text(row.low, unit), " to ", quantity_text(row.high, unit))


@register.filter
def end_text(value: float | str, unit: str) -> SafeString | str:
    """`{{ row.low|end_text:row.unit }}`: an end of an input's range; of a choice its name."""
    return value.replace("_", " ") if isinstance(value, str) else quantity(value, "" if unit == "1" else unit)


@register.filter
def share(value: float) -> str:
    """`{{ row.share_of_layout_frac|share }}`: a share that follows from what somebody stated, "7 %", "52.9 %"."""
    return f"{value * 100:.3g}{GAP}%"
