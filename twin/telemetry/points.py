"""A site's points as pages and programs list them."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from django.db.models import Count, Max, Min, QuerySet, Sum

from facility.models import Site
from twin.core.telemetry.quantities import QUANTITIES, shown_unit
from twin.models import TelemetryPoint
from twin.telemetry import store

DAY_S = 86_400.0


def counted_points(site: Site) -> QuerySet[TelemetryPoint]:
    """Return a site's points with how many readings they have, on how many days."""
    points = TelemetryPoint.objects.filter(site=site).order_by("object", "quantity")
    return points.annotate(n_readings=Sum("days__n_readings", default=0), n_days=Count("days"))


def point_rows(points: Sequence[TelemetryPoint]) -> list[dict[str, Any]]:
    """Return counted points as they are shown, each with its newest reading."""
    last = store.last_readings(points)
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
            "count": point.n_readings,
            "days": point.n_days,
            "last_time": last[point.id][0] if point.id in last else None,
            "last_value": last[point.id][1] if point.id in last else None,
        }
        for point in points
    ]


def span_of_point(point: TelemetryPoint) -> tuple[dt.datetime, dt.datetime]:
    """Return the beginning of a point's first UTC day with readings and the end of its last, or today."""
    days = point.days.aggregate(first=Min("day"), last=Max("day"))
    today = dt.datetime.now(dt.UTC).date()
    first, last = (dt.datetime.combine(days[name] or today, dt.time(), dt.UTC) for name in ("first", "last"))
    return first, last + dt.timedelta(days=1)


def usual_step_s(point: TelemetryPoint, start: dt.datetime, end: dt.datetime) -> float:
    """Return how far apart a point's readings of a span lie on its fullest day [s]; 0 where it has none."""
    most = point.days.filter(day__gte=start.date(), day__lte=end.date()).aggregate(most=Max("n_readings"))["most"]
    return DAY_S / most if most else 0.0


def si_unit(point: TelemetryPoint) -> str:
    """Return the unit that a point's readings are kept in."""
    return QUANTITIES[point.quantity].unit if point.quantity in QUANTITIES else ""
