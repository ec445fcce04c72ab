"""A site's points as pages and programs list them."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet

from facility.models import Site
from twin.core.telemetry.quantities import QUANTITIES, shown_unit
from twin.models import TelemetryPoint
from twin.telemetry import store

DAY_S = 86_400.0


def listed_points(site: Site) -> QuerySet[TelemetryPoint]:
    """Return a site's points in the order that they are listed in."""
    return TelemetryPoint.objects.filter(site=site).order_by("object", "quantity")


def point_rows(points: Sequence[TelemetryPoint]) -> list[dict[str, Any]]:
    """Return points of a site as they are shown, each with what is stored of it and its newest reading."""
    held = store.held(points[0].site, points) if points else {}
    return [
        {
            "id": point.id,
            "point": str(point),
            "object": point.object,
            "quantity": point.quantity,
            "unit": si_unit(point),
            "shown_unit": shown_unit(point.quantity),
            "source_name": point.name,
            "source_unit": point.unit,
            "count": held[point.id].n_readings,
            "days": held[point.id].n_days,
            "last_time": held[point.id].last_time,
            "last_value": held[point.id].last_value,
        }
        for point in points
    ]


def span_of_point(point: TelemetryPoint) -> tuple[dt.datetime, dt.datetime]:
    """Return the beginning of a point's first UTC day with readings and the end of its last, or today."""
    span = store.span(point.site, point)
    if span is not None:
        return store.utc(span[0]), store.utc(span[1])
    today = dt.datetime.combine(dt.datetime.now(dt.UTC).date(), dt.time(), dt.UTC)
    return today, today + dt.timedelta(days=1)


def usual_step_s(point: TelemetryPoint, start: dt.datetime, end: dt.datetime) -> float:
    """Return how far apart a point's readings of a span lie on its fullest day [s]; 0 where it has none."""
    most = store.most_in_a_day(point, round(start.timestamp() * 1e3), round(end.timestamp() * 1e3))
    return DAY_S / most if most else 0.0


def si_unit(point: TelemetryPoint) -> str:
    """Return the unit that a point's readings are kept in."""
    return QUANTITIES[point.quantity].unit if point.quantity in QUANTITIES else ""
