"""A layout as the drawing board reads it: tables of plain values, columns once, a row per object."""

from typing import Any

from facility.editing.edit_board import FIELDS
from facility.floor_plan import TOUCH_M
from facility.kinds import product_kinds
from facility.models import Cdu, Hall, Layout, PowerFeed, Product, Rack

HALL_FIELDS = (
    "name",
    "width_m",
    "depth_m",
    "tile_m",
    "min_aisle_m",
    "air_unit__slug",
    "air_unit__name",
    "n_air_units",
    "n_air_units_spare",
)
PRODUCT_KINDS = {
    "rack": product_kinds(Rack, "product"),
    "cdu": product_kinds(Cdu, "product"),
    "air_unit": product_kinds(Hall, "air_unit"),
}
IN_RACK = "liquid_to_liquid_in_rack"  # CDUs of this type take no floor


def drawing(layout: Layout) -> dict[str, Any]:
    """Return everything the drawing board shows and offers (nine queries, whatever the number of racks)."""
    feeds = layout.power_feeds.exclude(kind__in=PowerFeed.SOURCES).order_by("name")
    return {
        "version": layout.version,
        "touch_m": TOUCH_M,
        "hall": _table(layout.halls.order_by("name"), HALL_FIELDS),
        "rack": _table(Rack.objects.filter(hall__layout=layout).order_by("row", "name"), _columns("rack")),
        "cdu": _table(layout.cdus.order_by("name"), _columns("cdu")),
        "air_unit": _table(layout.air_units.order_by("name"), _columns("air_unit")),
        "feature": _table(layout.floor_features.order_by("name"), _columns("feature")),
        "feed": _table(feeds, ("name", "kind", "hall")),
        "plant": _table(layout.cooling_plants.order_by("name"), ("name", "supply_degc")),
        "products": {kind: _products(kinds) for kind, kinds in PRODUCT_KINDS.items()},
    }


def _columns(kind: str) -> tuple[str, ...]:
    return tuple("product__slug" if name == "product" else name for name in FIELDS[kind])


def _table(rows, fields: tuple[str, ...]) -> dict[str, list]:
    """Return the columns' names, products by catalogue id, and the rows."""
    names = ["id", *(name.replace("__slug", "").replace("__name", "_name") for name in fields)]
    return {"fields": names, "rows": [list(row) for row in rows.values_list("pk", *fields)]}


def _products(kinds: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return catalogue entries with the sizes and ratings that placing them needs."""
    return [
        {
            "slug": product.slug,
            "name": product.name,
            "vendor": product.vendor,
            "width_m": product.fact("width_m"),
            "depth_m": product.fact("depth_m"),
            "power_w": product.fact("max_power_w"),
            "capacity_w": product.fact("capacity_w"),
            "whole_rack": str(product.fact("form_factor") or "").startswith("full_rack"),
            "on_floor": product.fact("type") != IN_RACK,
        }
        for product in Product.objects.filter(kind__in=kinds).defer("notes", "source").order_by("vendor", "name")
    ]
