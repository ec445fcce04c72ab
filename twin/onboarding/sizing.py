"""The smallest numbers of units for a layout as it is described now, and taking them."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from facility import services
from facility.floor_plan import check_place
from facility.models import AirUnit, Cdu, CoolingPlant, Hall, Layout, PowerFeed, Rack
from twin.core.sizing.counts import CDU, FEED, HALL, MOST_UNITS, Count, Sizing, sized
from twin.runs.snapshot import description

STEP_M = 0.1  # in which a free place on the floor is looked for
ALIKE = ("hall", "product", "plant", "group", "redundant_units", "supply_degc", "coolant", "orientation_deg")


def layout_sizing(layout: Layout) -> Sizing:
    """Return the counts that carry the design hour of a layout under its site's weather."""
    return sized(description(layout))


@transaction.atomic
def sizing_take(*, layout: Layout, version: int | None = None, user=None) -> list[Count]:
    """Bring a layout to its sized counts and return what was changed.

    Units of a CDU group that go are the last by name, their racks move to the first; those that come stand beside the
    others. Air units drawn beyond the hall's number go.

    Raises
    ------
    ValidationError
        If the layout is frozen, or a hall has no room for another CDU; nothing has been changed then.
    StaleLayout
        If somebody has changed the layout since `version`.
    """
    if version is not None and services.layout_lock(layout) != version:
        raise services.StaleLayout("The layout has been changed since you read it; look at its counts again.")
    changes = layout_sizing(layout).changes
    for count in changes:
        counted = count.counted
        if counted.kind == CDU:
            cdus_brought_to(layout, counted.id, count.after, user)
        elif counted.kind == FEED:
            for feed in PowerFeed.objects.filter(layout=layout, pk__in=counted.alike):
                _set(feed, counted.field, count.after, user)
        else:
            part = (Hall if counted.kind == HALL else CoolingPlant).objects.get(pk=counted.id)
            _set(part, counted.field, count.after, user)
            if counted.kind == HALL:
                _undraw(part, count.after, user)
    return list(changes)


def _set(part, field: str, value: int, user) -> None:
    setattr(part, field, value)
    services.part_save(part=part, fields={field}, user=user)


def _undraw(hall: Hall, n: int, user) -> None:
    """Take away the air units that are drawn beyond the hall's number."""
    for unit in AirUnit.objects.filter(hall=hall).order_by("name")[n:]:
        services.part_delete(part=unit, user=user)


def cdus_brought_to(layout: Layout, first_id: int, n: int, user) -> None:
    """Bring the group of a CDU to `n` units."""
    first = Cdu.objects.get(pk=first_id)
    group = Cdu.objects.filter(layout=layout, group=first.group) if first.group else Cdu.objects.filter(pk=first_id)
    units = sorted(group, key=lambda unit: unit.pk)
    for unit in units[n:]:
        for rack in Rack.objects.filter(cdu=unit):
            rack.cdu = first
            services.part_save(part=rack, fields={"cdu"}, user=user)
        services.part_delete(part=unit, user=user)
    for _ in range(n - len(units)):
        services.part_save(part=_beside(units[-1]), user=user)


def _beside(last: Cdu) -> Cdu:
    """Return one more CDU like another, at the first free place of the line that it stands in, or else of its hall."""
    hall, taken = last.hall, set(last.layout.cdus.values_list("name", flat=True))
    name = next(name for i in range(2, MOST_UNITS + 2) if (name := f"{last.name} {i}") not in taken)
    alike = {field: getattr(last, field) for field in ALIKE}
    others = list(hall.footprints())
    for y_m in (last.y_m, *(STEP_M * i for i in range(int(hall.depth_m / STEP_M)))):
        for i in range(int(hall.width_m / STEP_M)):
            new = Cdu(layout=last.layout, name=name, x_m=round(STEP_M * i, 3), y_m=round(y_m, 3), **alike)
            try:
                check_place(new.footprint, hall, others)
            except ValidationError:
                continue
            return new
    raise ValidationError({"hall": f"Hall {hall.name} has no room for another {last.product.name}; make it larger."})


def count_row(count: Count) -> dict[str, Any]:
    """Return a count as API and command write it."""
    counted = count.counted
    return {
        "object_kind": counted.kind,
        "object_id": counted.id,
        "object_name": counted.name,
        "field": counted.field,
        "before": count.before,
        "after": count.after,
        "reason": count.reason,
    }
