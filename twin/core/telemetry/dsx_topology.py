"""What a layout's objects say of one another as DSX Exchange's BMS points: which serves which."""

from twin.core.inputs.layout import LayoutInputs
from twin.core.telemetry.dsx_bms import object_id
from twin.core.telemetry.predicted import rack_objects


def serves(inputs: LayoutInputs) -> dict[str, tuple[str, ...]]:
    """Return by object which others it serves, as identities: racks of a CDU, racks and feeds of a feed."""
    found: dict[str, list[str]] = {}
    cdus = {row.id: f"cdu/{row.name}" for row in inputs.cdus}
    feeds = {row.id: f"feed/{row.name}" for row in inputs.feeds}
    racks = inputs.racks
    names = [object_id(name) for name in rack_objects(inputs)]
    for rack, cdu, feed_a, feed_b in zip(names, racks.cdu_id, racks.feed_a_id, racks.feed_b_id, strict=True):
        for table, key in ((cdus, cdu), (feeds, feed_a), (feeds, feed_b)):
            if key in table:
                found.setdefault(table[key], []).append(rack)
    for feed in inputs.feeds:
        if feed.parent_id in feeds:
            found.setdefault(feeds[feed.parent_id], []).append(object_id(feeds[feed.id]))
    return {name: tuple(dict.fromkeys(served)) for name, served in found.items()}
