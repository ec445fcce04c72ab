"""The rows of a layout that its diagrams are drawn from, by a fixed number of queries."""

from typing import Any, TypeVar

from django.db.models import Model

from facility.models import Layout, PowerFeed, Rack
from twin.core.diagrams.rows import DrawnCdu, DrawnFeed, DrawnHall, DrawnPlant, DrawnRack
from twin.core.inputs.layout import column_names

Drawn = TypeVar("Drawn")


def rack_rows(layout: Layout) -> list[DrawnRack]:
    """Return every rack with what cools and feeds it."""
    racks = Rack.objects.filter(hall__layout=layout).order_by("row", "name")
    return [DrawnRack(*values) for values in racks.values_list(*column_names(DrawnRack))]


def feed_rows(layout: Layout) -> list[DrawnFeed]:
    """Return every feed with the rating of one of its units and the name of its product."""
    feeds = layout.power_feeds.select_related("product").order_by("id")
    return [
        _drawn(DrawnFeed, feed, rating_w=feed.unit_rating_w or _grid_limit_w(layout, feed), product=_name(feed.product))
        for feed in feeds
    ]


def _grid_limit_w(layout: Layout, feed: PowerFeed) -> float | None:
    """Return what an unrated utility may carry, as the solver takes it."""
    return layout.site.grid_limit_w if feed.kind == PowerFeed.Kind.UTILITY else None


def plant_rows(layout: Layout) -> list[DrawnPlant]:
    """Return every cooling plant with the names of its products."""
    plants = layout.cooling_plants.select_related("heat_rejection", "chiller", "pump").order_by("id")
    return [
        _drawn(
            DrawnPlant,
            plant,
            coolant=plant.get_coolant_display(),
            rejection_kind=plant.heat_rejection.kind,
            rejection=plant.heat_rejection.name,
            chiller=_name(plant.chiller),
            pump=plant.pump.name,
        )
        for plant in plants
    ]


def cdu_rows(layout: Layout) -> list[DrawnCdu]:
    """Return every CDU with the name of its product."""
    return [
        _drawn(DrawnCdu, cdu, product=cdu.product.name) for cdu in layout.cdus.select_related("product").order_by("id")
    ]


def hall_rows(layout: Layout) -> list[DrawnHall]:
    """Return every hall with the name of its air units' product."""
    halls = layout.halls.select_related("air_unit").order_by("id")
    return [_drawn(DrawnHall, hall, air_unit=_name(hall.air_unit)) for hall in halls]


def _drawn(kind: type[Drawn], row: Model, **made: Any) -> Drawn:
    """Return a row as diagrams read it: its columns, and what is `made` of others."""
    return kind(**{name: getattr(row, name) for name in column_names(kind) if name not in made}, **made)


def _name(product) -> str:
    return product.name if product else ""
