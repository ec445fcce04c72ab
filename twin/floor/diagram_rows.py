"""The rows of a layout that its diagrams are drawn from, by a fixed number of queries."""

from typing import Any

from facility.models import Layout, PowerFeed, Rack

FEED_COLUMNS = ("id", "name", "kind", "parent_id", "n_units", "redundancy_group", "redundancy")
PLANT_COLUMNS = (
    "id", "name", "supply_degc", "coolant", "economiser", "tank_m3", "n_heat_rejection", "n_heat_rejection_spare",
    "n_chillers", "n_chillers_spare", "n_pumps", "n_pumps_spare",
)  # fmt: skip
CDU_COLUMNS = ("id", "name", "group", "redundant_units", "plant_id", "hall_id", "supply_degc")
HALL_COLUMNS = ("id", "name", "plant_id", "n_air_units", "n_air_units_spare", "supply_air_degc")
RACK_COLUMNS = ("id", "row", "hall_id", "cdu_id", "feed_a_id", "feed_b_id")


def rack_rows(layout: Layout) -> list[dict[str, Any]]:
    """Return every rack with what cools and feeds it."""
    return list(Rack.objects.filter(hall__layout=layout).order_by("row", "name").values(*RACK_COLUMNS))


def feed_rows(layout: Layout) -> list[dict[str, Any]]:
    """Return every feed with the rating of one of its units and the name of its product."""
    feeds = layout.power_feeds.select_related("product").order_by("id")
    return [
        {column: getattr(feed, column) for column in FEED_COLUMNS}
        | {"rating_w": feed.unit_rating_w or _grid_limit_w(layout, feed), "product": _name(feed.product)}
        for feed in feeds
    ]


def _grid_limit_w(layout: Layout, feed: PowerFeed) -> float | None:
    """Return what an unrated utility may carry, as the solver takes it."""
    return layout.site.grid_limit_w if feed.kind == PowerFeed.Kind.UTILITY else None


def plant_rows(layout: Layout) -> list[dict[str, Any]]:
    """Return every cooling plant with the names of its products."""
    plants = layout.cooling_plants.select_related("heat_rejection", "chiller", "pump").order_by("id")
    return [
        {column: getattr(plant, column) for column in PLANT_COLUMNS}
        | {"coolant": plant.get_coolant_display(), "rejection_kind": plant.heat_rejection.kind}
        | {"rejection": plant.heat_rejection.name, "chiller": _name(plant.chiller), "pump": plant.pump.name}
        for plant in plants
    ]  # fmt: skip


def cdu_rows(layout: Layout) -> list[dict[str, Any]]:
    """Return every CDU with the name of its product."""
    cdus = layout.cdus.select_related("product").order_by("id")
    return [{column: getattr(cdu, column) for column in CDU_COLUMNS} | {"product": cdu.product.name} for cdu in cdus]


def hall_rows(layout: Layout) -> list[dict[str, Any]]:
    """Return every hall with the name of its air units' product."""
    halls = layout.halls.select_related("air_unit").order_by("id")
    return [
        {column: getattr(hall, column) for column in HALL_COLUMNS} | {"air_unit": _name(hall.air_unit)}
        for hall in halls
    ]


def _name(product) -> str:
    return product.name if product else ""
