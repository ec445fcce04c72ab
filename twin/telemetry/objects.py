"""Names of the objects that readings may belong to."""

from collections.abc import Iterable

from facility.models import AirUnit, Cdu, CoolingPlant, Hall, Layout, PowerFeed, Rack
from twin.core.telemetry.quantities import objects_of

PARTS = {"cdu": Cdu, "feed": PowerFeed, "plant": CoolingPlant, "air-unit": AirUnit, "hall": Hall}


def known_objects(layouts: Iterable[Layout]) -> tuple[str, ...]:
    """Return every object of the layouts that points may belong to, by one query a kind."""
    here = list(layouts)
    racks = Rack.objects.filter(hall__layout__in=here).order_by("hall_id", "row", "name", "id")
    named = [f"rack/{hall}/{name}" for hall, name in racks.values_list("hall__name", "name")]
    parts = {
        kind: list(model.objects.filter(layout__in=here).order_by("id").values_list("name", flat=True))
        for kind, model in PARTS.items()
    }
    return tuple(dict.fromkeys(objects_of(named, parts)))
