"""The row of pages that belong to one layout."""

from django import template

from facility.models import Layout
from facility.views.parts import PARTS

register = template.Library()


@register.inclusion_tag("facility/_layout_tabs.html")
def layout_tabs(layout: Layout, current: str) -> dict:
    """`{% layout_tabs layout "plan" %}`: links to plan, parts, findings and settings of a layout."""
    return {"layout": layout, "site": layout.site, "parts": PARTS.values(), "current": current}
