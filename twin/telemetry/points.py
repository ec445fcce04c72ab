"""A site's points as pages and programs list them."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Count, QuerySet, Sum

from facility.models import Site
from twin.core.telemetry.quantities import QUANTITIES
from twin.models import TelemetryPoint
from twin.telemetry import store


def counted_points(site: Site) -> QuerySet[TelemetryPoint]:
    """Return a site's points with how many readings they have, on how many days."""
    points = TelemetryPoint.objects.filter(site=site).order_by("object", "quantity")
    return points.annotate(n_readings=Sum("days__n_readings", default=0), n_days=Count("days"))


def point_rows(points: Sequence[TelemetryPoint]) -> list[dict[str, Any]]:
    """Return counted points as they are shown, each with its newest reading."""
    last = store.last_readings(points)
    return [
        {
            "point": str(point),
            "object": point.object,
            "quantity": point.quantity,
            "unit": si_unit(point),
            "source_name": point.name,
            "source_unit": point.unit,
            "count": point.n_readings,
            "days": point.n_days,
            "last_time": last[point.id][0] if point.id in last else None,
            "last_value": last[point.id][1] if point.id in last else None,
        }
        for point in points
    ]


def si_unit(point: TelemetryPoint) -> str:
    """Return the unit that a point's readings are kept in."""
    return QUANTITIES[point.quantity].unit if point.quantity in QUANTITIES else ""
