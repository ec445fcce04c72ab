"""The one-line diagram's geometry: everything is there, nothing lies on anything else, whatever the tree."""

from dataclasses import replace
from itertools import combinations

import pytest

from twin.core.diagrams.one_line import MOST_ROWS, one_line
from twin.core.diagrams.rows import DrawnFeed, DrawnRack

LEAST_GAP = 1.0  # between two symbols that do not touch, in pixels


def feed(pk, name, kind, parent=None, *, n_units=1, group="", redundancy="N", rating_w=1e6):
    return DrawnFeed(
        id=pk,
        name=name,
        kind=kind,
        parent_id=parent,
        n_units=n_units,
        rating_w=rating_w,
        redundancy_group=group,
        redundancy=redundancy,
        product="",
    )


def rack(pk, a, b=None, row="A"):
    return DrawnRack(id=pk, row=row, hall_id=1, cdu_id=None, feed_a_id=a, feed_b_id=b)


def two_sides(n_busways=12, racks_each=8):
    """Return a 2N layout: utility, standby generators, and two sides down to busways."""
    feeds = [feed(1, "Utility", "utility"), feed(2, "Generators", "generator", n_units=5, group="S", redundancy="N+1")]
    racks, pk = [], 3
    ends = {}
    for side in "AB":
        parent = 1
        for kind in ("transformer", "switchboard", "ups"):
            feeds.append(feed(pk, f"{kind} {side}", kind, parent, n_units=4, group=kind, redundancy="2N"))
            parent, pk = pk, pk + 1
        for i in range(n_busways):
            feeds.append(feed(pk, f"Busway {i}-{side}", "busway", parent, group=f"B{i}", redundancy="2N"))
            ends[i, side], pk = pk, pk + 1
    for i in range(n_busways):
        racks += [rack(100 * i + k, ends[i, "A"], ends[i, "B"], f"R{i}") for k in range(racks_each)]
    return feeds, racks


def assert_apart(drawing):
    for one, other in combinations(drawing.nodes, 2):
        beside = one.x + one.width + LEAST_GAP <= other.x or other.x + other.width + LEAST_GAP <= one.x
        above = one.y + one.height + LEAST_GAP <= other.y or other.y + other.height + LEAST_GAP <= one.y
        assert beside or above, f"{one.title} lies on {other.title}"


def assert_inside(drawing):
    for node in drawing.nodes:
        assert node.x >= 0, node.title
        assert node.y >= 0, node.title
        assert node.x + node.width <= drawing.width, node.title
        assert node.y + node.height <= drawing.height, node.title


def feed_ids(drawing):
    return sorted(pk for node in drawing.nodes if node.kind == "feed" for pk in node.ids)


def test_every_feed_and_rack_of_two_sides_is_drawn_once():
    feeds, racks = two_sides()
    drawing = one_line(feeds, racks)
    assert feed_ids(drawing) == sorted(f.id for f in feeds)
    assert sorted(pk for node in drawing.nodes if node.kind == "racks" for pk in node.ids) == sorted(
        r.id for r in racks
    )
    assert_apart(drawing)
    assert_inside(drawing)


def test_a_supplier_stands_left_of_what_it_feeds_and_is_wired_to_it():
    feeds, racks = two_sides()
    drawing = one_line(feeds, racks)
    left = {pk: node for node in drawing.nodes if node.kind == "feed" for pk in node.ids}
    for one in feeds:
        if one.parent_id:
            assert left[one.parent_id].x + left[one.parent_id].width < left[one.id].x
    ends = {wire.key: wire.points for wire in drawing.wires}
    for node in drawing.nodes:
        if node.kind == "feed" and node.symbol not in ("utility", "generator"):
            assert ends[node.key][-1] == (node.x, node.middle)


def test_what_backs_each_other_up_stands_in_one_box_or_says_so():
    drawing = one_line(*two_sides())
    labels = {box.label for box in drawing.boxes}
    assert {"ups · 2N", "transformer · 2N", "switchboard · 2N", "S · N+1"} <= labels
    box = next(box for box in drawing.boxes if box.label == "ups · 2N")
    inside = [
        n.title
        for n in drawing.nodes
        if box.x <= n.x and n.x + n.width <= box.x + box.width and box.y <= n.y and n.y + n.height <= box.y + box.height
    ]
    assert inside == ["ups A", "ups B"]
    busway = drawing.node("feed-6")
    assert "2N" in [slot.pattern for slot in busway.slots]
    assert busway.note.endswith("2N with Busway 0-B")


def test_standby_generators_stand_under_their_utility():
    drawing = one_line(*two_sides())
    utility, generators = drawing.node("feed-1"), drawing.node("feed-2")
    assert generators.x == utility.x
    assert generators.y > utility.y + utility.height
    assert [wire.kind for wire in drawing.wires if wire.key == generators.key] == ["standby"]


def test_racks_of_feed_a_are_noted_beside_their_feed_b():
    drawing = one_line(*two_sides())
    notes = [node for node in drawing.nodes if node.kind == "note"]
    assert len(notes) == 12
    assert notes[0].title == "B of 8 on Busway 0-A"


@pytest.mark.parametrize("depth", [1, 9, 30])
def test_a_deep_tree_keeps_its_symbols_apart(depth):
    feeds = [feed(1, "Utility", "utility")]
    for i in range(depth):
        feeds.append(feed(i + 2, f"Board {i}", "switchboard", i + 1))
        feeds.append(feed(100 + i, f"Side {i}", "pdu", i + 1))
    drawing = one_line(feeds, [rack(1, 100), rack(2, depth + 1)])
    assert feed_ids(drawing) == sorted(f.id for f in feeds)
    assert_apart(drawing)
    assert_inside(drawing)


def test_hundreds_of_busways_share_symbols_without_losing_one():
    feeds, racks = two_sides(n_busways=120, racks_each=20)
    drawing = one_line(feeds, racks)
    assert feed_ids(drawing) == sorted(f.id for f in feeds)
    assert len(drawing.nodes) < MOST_ROWS
    assert sum(len(n.ids) for n in drawing.nodes if n.kind == "racks") == len(racks)
    assert_apart(drawing)


def test_several_utilities_and_a_generator_with_feeds_of_its_own_are_sources():
    feeds = [
        feed(1, "U1", "utility"),
        feed(2, "U2", "utility"),
        feed(3, "G", "generator"),
        feed(4, "T1", "transformer", 1),
        feed(5, "T2", "transformer", 2),
        feed(6, "T3", "transformer", 3),
        feed(7, "Battery", "bess", 4),
    ]
    drawing = one_line(feeds, [rack(1, 4, 5), rack(2, 6)])
    assert feed_ids(drawing) == [1, 2, 3, 4, 5, 6, 7]
    assert len({drawing.node(f"feed-{pk}").x for pk in (1, 2, 3)}) == 1
    assert_apart(drawing)


def test_a_battery_that_shaves_peaks_shows_its_charge_in_a_block_and_in_a_row():
    shaving = replace(feed(9, "B", "bess", 1), operation="shaving")
    row = [feed(1, "U", "utility"), shaving, feed(2, "P", "pdu", 1), feed(3, "Q", "pdu", 1)]
    for feeds in (row, row[:3]):
        battery = one_line(feeds, [rack(1, 2)]).node("feed-9")
        assert battery.height == (24 if feeds is row else 76)
        assert "{} full" in [slot.pattern for slot in battery.slots]
        plain = one_line([f if f is not shaving else replace(f, operation="standby") for f in feeds], [rack(1, 2)])
        assert "{} full" not in [slot.pattern for slot in plain.node("feed-9").slots]


def test_racks_on_many_partners_are_one_group():
    feeds = [feed(1, "U", "utility"), *(feed(2 + i, f"P{i}", "pdu", 1) for i in range(6))]
    drawing = one_line(feeds, [rack(i, 2, 3 + i % 5) for i in range(10)])
    [group] = [node for node in drawing.nodes if node.kind == "racks"]
    assert group.note == "10 racks, row A; side B on 5 feeds"


def test_cooling_is_drawn_beside_the_feeds_unless_it_has_a_board():
    feeds = [feed(1, "U", "utility"), feed(2, "P", "pdu", 1)]
    assert one_line(feeds, [rack(1, 2)]).node("cooling").kind == "cooling"
    with_board = [*feeds, feed(3, "Mechanical", "switchboard", 1)]
    assert "cooling" not in {node.key for node in one_line(with_board, [rack(1, 2)]).nodes}


def test_a_layout_without_feeds_draws_nothing():
    drawing = one_line([], [rack(1, None)])
    assert (drawing.nodes, drawing.height) == ([], 0.0)
