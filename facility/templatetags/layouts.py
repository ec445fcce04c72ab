"""The row of pages that belong to one layout."""

from django import template

from facility.models import Layout
from facility.views.parts import PARTS

register = template.Library()


@register.inclusion_tag("facility/_layout_tabs.html")
def layout_tabs(layout: Layout, current: str) -> dict:
    """`{% layout_tabs layout "plan" %}`: links to the pages of a layout; to its parts while one is shown."""
    return {
        "layout": layout,
        "site": layout.site,
        "parts": PARTS.values(),
        "current": current,
        "current_part": current in PARTS,
    }
