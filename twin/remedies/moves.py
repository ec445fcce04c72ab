"""Changes of a description that may remove a finding: what each remedy would try, smallest change first.

Every move is a function of a layout, the layout as it is read and the finding; it yields what it would change, one
attempt after the other. `twin.remedies.trying` tries them on the description itself and keeps the first that helps.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError

from facility.floor_plan import check_place
from facility.kinds import BY_NAME
from facility.models import Cdu, CoolingPlant, FloorFeature, Hall, Layout, PowerFeed, Product, Rack
from power_cooling.site_facts.ratings import continuous_rating_w
from twin.core.inputs.layout import LayoutInputs
from twin.core.rules.report import Finding

MOST_FEEDS = 8  # that are tried for one rack
MOST_PLACES = 12  # that are tried on the floor
STEP_M = 0.1
MOST_SHIFT_M = 4.0
GRID_STEP_W = 10e3  # connections are asked for in steps of ten kilowatts
SET_POINT_STEPS_K = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0)
FEED_SIDES = ("feed_a", "feed_b")


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one object and its new value; a reference goes by its row."""

    kind: str  # site, or a kind of part
    id: int
    field: str
    after: Any


Attempt = tuple[Change, ...]
Move = Callable[[Layout, LayoutInputs, Finding], Iterator[Attempt]]


def _part(finding: Finding) -> Any:
    """Return the object of a finding as it is stored; None where it has none."""
    if finding.object_kind not in BY_NAME or finding.object_id is None:
        return None
    return BY_NAME[finding.object_kind].model._default_manager.filter(pk=finding.object_id).first()


def shifted(layout: Layout, inputs: LayoutInputs, finding: Finding) -> Iterator[Attempt]:
    """Move it along the floor by as little as gives it a free place."""
    part = _part(finding)
    hall: Hall = part.hall
    others = hall.footprints(without=part)
    if finding.rule == "clear aisle":
        others += [aisle.footprint for aisle in hall.features.exclude(type__in=FloorFeature.SOLID)]
    here = (part.x_m, part.y_m)
    tried = 0
    for step in range(1, round(MOST_SHIFT_M / STEP_M) + 1):
        for dx, dy in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            part.x_m, part.y_m = (round(at + STEP_M * step * way, 3) for at, way in zip(here, (dx, dy), strict=True))
            try:
                if min(part.x_m, part.y_m) < 0:
                    continue
                check_place(part.footprint, hall, others)
            except ValidationError:
                continue
            short = finding.rule == "aisle width" and STEP_M * step < (finding.limit or 0) - (finding.value or 0) - 1e-9
            if short:
                continue
            yield tuple(
                Change(finding.object_kind, part.pk, name, at)
                for name, at, was in (("x_m", part.x_m, here[0]), ("y_m", part.y_m, here[1]))
                if at != was
            )
            tried += 1
            if tried == MOST_PLACES:
                return


def turned(layout: Layout, inputs: LayoutInputs, finding: Finding) -> Iterator[Attempt]:
    """Turn it round."""
    part = _part(finding)
    yield (Change(finding.object_kind, part.pk, "orientation_deg", (part.orientation_deg + 180) % 360),)


def drawn_number(layout: Layout, inputs: LayoutInputs, finding: Finding) -> Iterator[Attempt]:
    """State as many air units as are drawn."""
    yield (Change("hall", _part(finding).pk, "n_air_units", round(finding.value or 0)),)


def product_size(layout: Layout, inputs: LayoutInputs, finding: Finding) -> Iterator[Attempt]:
    """Give a rack the least size of its product."""
    rack: Rack = _part(finding)
    facts = rack.product.facts if rack.product else {}
    yield tuple(
        Change("rack", rack.pk, name, float(facts[name]))
        for name in ("width_m", "depth_m")
        if facts.get(name) and getattr(rack, name) < facts[name]
    )


def feeds(layout: Layout, inputs: LayoutInputs, finding: Finding) -> Iterator[Attempt]:
    """Plug a rack in where others of its kind are, or into the other side of the feed that it has."""
    rack: Rack = _part(finding)
    racks = Rack.objects.filter(hall__layout=layout).exclude(pk=rack.pk)
    pairs = Counter(racks.exclude(feed_a=None).exclude(feed_b=None).values_list("feed_a", "feed_b"))
    by_id = {feed.pk: feed for feed in layout.power_feeds.all()}
    found = [pair for pair, _ in pairs.most_common()]
    parents = {feed.parent_id for feed in by_id.values()}
    ends = [feed for feed in by_id.values() if feed.pk not in parents and feed.kind in ("busway", "pdu", "switchboard")]
    for one in ends:
        found += [
            (one.pk, other.pk)
            for other in ends
            if other.pk > one.pk and other.redundancy_group == one.redundancy_group and other.kind == one.kind
        ]
    found += [(end.pk, rack.feed_b_id) for end in ends]
    found += [(rack.feed_a_id, end.pk) for end in ends]
    kept = rack.feed_a_id or rack.feed_b_id
    if finding.rule == "one feed":
        found = [pair if pair[0] == rack.feed_a_id or pair[1] == rack.feed_b_id else pair[::-1] for pair in found]
        found = [pair for pair in found if kept in pair]
    tried = 0
    for pair in dict.fromkeys(found):
        changes = tuple(
            Change("rack", rack.pk, side, by_id[pk])
            for side, pk in zip(FEED_SIDES, pair, strict=True)
            if pk is not None and pk != getattr(rack, f"{side}_id")
        )
        if changes and pair[0] != pair[1]:
            yield changes
            tried += 1
            if tried == MOST_FEEDS:
                return


def other_side(layout: Layout, inputs: LayoutInputs, finding: Finding) -> Iterator[Attempt]:
    """Move side B of the racks that share a path to a feed of another one."""
    feed: PowerFeed = _part(finding)
    racks = list(Rack.objects.filter(hall__layout=layout, feed_a=feed).exclude(feed_b=None))
    parents = set(layout.power_feeds.values_list("parent_id", flat=True))
    ends = [one for one in layout.power_feeds.filter(kind=feed.kind) if one.pk not in parents and one.pk != feed.pk]
    for end in sorted(ends, key=lambda one: one.redundancy_group != feed.redundancy_group)[:MOST_FEEDS]:
        yield tuple(Change("rack", rack.pk, "feed_b", end) for rack in racks if rack.feed_b_id != end.pk)
    # The path itself: a feed above side B that hangs below the shared one goes to another of its kind.
    above = list(layout.power_feeds.all())
    by_id = {one.pk: one for one in above}
    for rack in racks[:1]:
        node = by_id.get(rack.feed_b_id)
        while node is not None and node.parent_id is not None:
            kin = [one for one in above if one.kind == by_id[node.parent_id].kind and one.pk != node.parent_id]
            for other in kin[:MOST_FEEDS]:
                yield (Change("power_feed", node.pk, "parent", other),)
            node = by_id.get(node.parent_id)


def larger(layout: Layout, inputs: LayoutInputs, finding: Finding) -> Iterator[Attempt]:
    """Take the next larger product of the same voltage, or a higher rating, for a feed and those that back it up."""
    part = _part(finding)
    if isinstance(part, Rack):
        sides = [feed for feed in (part.feed_a, part.feed_b) if feed is not None]
    else:
        sides = [part]
    groups = {feed.redundancy_group for feed in sides if feed.redundancy_group}
    alike = {feed.pk: feed for feed in sides}
    for feed in layout.power_feeds.select_related("product"):
        if feed.redundancy_group in groups and feed.kind in {side.kind for side in sides}:
            alike[feed.pk] = feed
    members = list(alike.values())
    stated = [feed for feed in members if feed.rating_w is not None]
    if stated:
        needed_w = max(finding.value or 0.0, max(feed.rating_w for feed in stated))
        for share in (1.0, 1.25, 1.6):
            yield tuple(Change("power_feed", feed.pk, "rating_w", _rounded_up(needed_w * share)) for feed in stated)
        return
    first = sides[0]
    if first.product is None:
        return
    has_w = continuous_rating_w(first.product.facts) or 0.0
    voltage = [first.product.facts.get(name) for name in ("voltage_v", "secondary_v")]
    offered = [
        (rating_w, product)
        for product in Product.objects.filter(kind=first.product.kind)
        if (rating_w := continuous_rating_w(product.facts) or 0.0) > has_w
        and [product.facts.get(name) for name in ("voltage_v", "secondary_v")] == voltage
    ]
    for _, product in sorted(offered, key=lambda pair: pair[0]):
        yield tuple(Change("power_feed", feed.pk, "product", product) for feed in members)


def _rounded_up(power_w: float) -> float:
    """Return a power with two figures, not below it [W]."""
    step = 10.0 ** (math.floor(math.log10(power_w)) - 1)
    return math.ceil(power_w / step - 1e-9) * step


def more_grid(layout: Layout, inputs: LayoutInputs, finding: Finding) -> Iterator[Attempt]:
    """Ask for as large a connection as the layout draws at nameplate."""
    short_w = (finding.value or 0.0) - (finding.limit or 0.0)
    site = layout.site
    grid = Change("site", site.pk, "grid_limit_w", _stepped(site.grid_limit_w + short_w))
    yield (grid,)
    rated = layout.power_feeds.filter(kind="utility").exclude(rating_w=None)
    larger_feeds = tuple(Change("power_feed", feed.pk, "rating_w", _stepped(feed.rating_w + short_w)) for feed in rated)
    if larger_feeds:
        yield larger_feeds
        yield (grid, *larger_feeds)


def less_grid(layout: Layout, inputs: LayoutInputs, finding: Finding) -> Iterator[Attempt]:
    """Ask for no more than the layout draws at nameplate."""
    if finding.object_kind == "site" and finding.value:
        yield (Change("site", layout.site_id, "grid_limit_w", _stepped(finding.value)),)


def _stepped(power_w: float) -> float:
    return math.ceil(power_w / GRID_STEP_W - 1e-9) * GRID_STEP_W


def prime(layout: Layout, inputs: LayoutInputs, finding: Finding) -> Iterator[Attempt]:
    """Describe a generator as one that runs all year."""
    yield (Change("power_feed", _part(finding).pk, "operation", "prime"),)


def cdu(layout: Layout, inputs: LayoutInputs, finding: Finding) -> Iterator[Attempt]:
    """Put a rack on the CDU of its hall that cools fewest."""
    rack: Rack = _part(finding)
    cooled = Counter(Rack.objects.filter(hall=rack.hall).values_list("cdu", flat=True))
    for unit in sorted(layout.cdus.filter(hall=rack.hall), key=lambda unit: (cooled[unit.pk], unit.name)):
        yield (Change("rack", rack.pk, "cdu", unit),)


def design_flow(layout: Layout, inputs: LayoutInputs, finding: Finding) -> Iterator[Attempt]:
    """Take the product's own design flow."""
    yield (Change("rack", _part(finding).pk, "coolant_flow_m3_per_s", None),)


def like_first(layout: Layout, inputs: LayoutInputs, finding: Finding) -> Iterator[Attempt]:
    """Set what differs from the first unit of a group as that has it."""
    unit: Cdu = _part(finding)
    first = _group(layout, unit)[0]
    names = ("plant", "supply_degc", "product", "redundant_units")
    yield tuple(
        Change("cdu", unit.pk, name, getattr(first, name))
        for name in names
        if getattr(first, name) != getattr(unit, name)
    )


def _group(layout: Layout, unit: Cdu) -> list[Cdu]:
    """Return the CDUs that carry racks together with one, itself included."""
    if not unit.group:
        return [unit]
    return list(layout.cdus.filter(group=unit.group).order_by("pk"))


def _group_at(layout: Layout, unit: Cdu, supply_degc: float) -> Attempt:
    return tuple(Change("cdu", one.pk, "supply_degc", supply_degc) for one in _group(layout, unit))


def warmer_coolant(layout: Layout, inputs: LayoutInputs, finding: Finding) -> Iterator[Attempt]:
    """Raise the set point of a CDU group."""
    unit: Cdu = _part(finding)
    for step in SET_POINT_STEPS_K:
        yield _group_at(layout, unit, round(unit.supply_degc + step, 3))


def allowed_coolant(layout: Layout, inputs: LayoutInputs, finding: Finding) -> Iterator[Attempt]:
    """Set a CDU group to the limit that the finding names."""
    limit = finding.limit or 0.0
    if finding.rule == "dew point":
        limit = math.ceil(limit * 10 - 1e-9) / 10
    yield _group_at(layout, _part(finding), limit)


def released_coolant(layout: Layout, inputs: LayoutInputs, finding: Finding) -> Iterator[Attempt]:
    """Fill the loop with what a product on it is released for."""
    unit: Cdu = _part(finding)
    units = _group(layout, unit)
    racks = Rack.objects.filter(cdu__in=units).exclude(product=None).select_related("product")
    wanted = sorted({str(rack.product.facts.get("coolant") or "").lower() for rack in racks} - {""})
    for coolant in wanted:
        if coolant != unit.coolant:
            yield tuple(Change("cdu", one.pk, "coolant", coolant) for one in units)


def warmer_water(layout: Layout, inputs: LayoutInputs, finding: Finding) -> Iterator[Attempt]:
    """Raise a plant's supply, and with it the set points of its CDUs."""
    plant: CoolingPlant = _part(finding)
    units = list(plant.cdus.all())
    for step in SET_POINT_STEPS_K:
        yield (
            Change("cooling_plant", plant.pk, "supply_degc", round(plant.supply_degc + step, 3)),
            *(Change("cdu", unit.pk, "supply_degc", round(unit.supply_degc + step, 3)) for unit in units),
        )


def plant(layout: Layout, inputs: LayoutInputs, finding: Finding) -> Iterator[Attempt]:
    """Put a hall's air units on a plant, the coldest first."""
    hall: Hall = _part(finding)
    if hall.plant_id is None:
        for one in layout.cooling_plants.order_by("supply_degc", "pk"):
            yield (Change("hall", hall.pk, "plant", one),)


def warmer_air(layout: Layout, inputs: LayoutInputs, finding: Finding) -> Iterator[Attempt]:
    """Raise a hall's supply air above what its water allows."""
    for step in SET_POINT_STEPS_K:
        yield (Change("hall", _part(finding).pk, "supply_air_degc", math.ceil((finding.limit or 0.0) + step)),)


def allowed_air(layout: Layout, inputs: LayoutInputs, finding: Finding) -> Iterator[Attempt]:
    """Lower a hall's supply air to what its racks take."""
    yield (Change("hall", _part(finding).pk, "supply_air_degc", finding.limit),)


MOVES: dict[str, Move] = {
    move.__name__: move
    for move in (
        shifted,
        turned,
        drawn_number,
        product_size,
        feeds,
        other_side,
        larger,
        more_grid,
        less_grid,
        prime,
        cdu,
        design_flow,
        like_first,
        warmer_coolant,
        allowed_coolant,
        released_coolant,
        warmer_water,
        plant,
        warmer_air,
        allowed_air,
    )
}
