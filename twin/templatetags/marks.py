"""Small drawings used on every page: icons, provenance marks, sparklines."""

from collections.abc import Sequence

import numpy as np
from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

from power_cooling.site_facts.confidence import CONFIDENCES
from twin import __version__

register = template.Library()


@register.simple_tag
def product_version() -> str:
    """`{% product_version %}`: the release that serves the page."""
    return __version__


@register.simple_tag
def icon(name: str) -> SafeString:
    """`{% icon "run" %}`: a drawing beside a word; hidden from screen readers, which read the word."""
    return format_html(
        '<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>', static("img/icons.svg"), name
    )


@register.simple_tag
def provenance(confidence: str | None, source: str | None = "") -> SafeString:
    """`{% provenance product.confidence product.source %}`: the mark, with word and source on hover."""
    known = CONFIDENCES.get(confidence or "")
    if known is None:
        return SafeString("")
    hover = f"{known.label}: {source}" if source else known.label
    return format_html(
        '<span class="mark {}" role="img" title="{}" aria-label="{}">{}</span>',
        confidence,
        hover,
        known.label,
        known.sign,
    )


@register.simple_tag
def spark(values: Sequence[float] | None) -> SafeString:
    """`{% spark run.daily.pue %}`: a line without axes, for the shape of a year beside its figure."""
    if values is None or len(values) < 2:
        return SafeString("")
    level = np.asarray(values, dtype=float)
    low, high = float(np.nanmin(level)), float(np.nanmax(level))
    if not np.isfinite(high - low):
        return SafeString("")
    height = 22 - 20 * (level - low) / (high - low) if high > low else np.full(level.size, 12.0)
    points = " ".join(f"{x} {y:.1f}" for x, y in enumerate(height))
    return format_html(
        '<svg class="spark" viewBox="0 0 {} 24" preserveAspectRatio="none" aria-hidden="true"><path d="M{}"/></svg>',
        level.size - 1,
        points,
    )


@register.simple_tag(takes_context=True)
def current(context: template.Context, *prefixes: str) -> SafeString:
    """`{% current "/runs/" %}`: marks the rail's link whose pages the address belongs to; "/" only itself."""
    path = context["request"].path
    here = any(path == prefix if prefix == "/" else path.startswith(prefix) for prefix in prefixes)
    return SafeString(' aria-current="true"' if here else "")
