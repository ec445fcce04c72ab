"""The loop diagram's geometry: every plant, CDU and air unit is there and nothing lies on anything else."""

import pytest

from tests.unit.twin.test_one_line import assert_apart, assert_inside
from twin.core.diagrams.loop import MOST_BRANCHES, loop_diagram
from twin.core.diagrams.rows import DrawnCdu, DrawnHall, DrawnPlant, DrawnRack


def plant(pk, name="Water", *, chillers=2, towers=False):
    return DrawnPlant(
        id=pk,
        name=name,
        supply_degc=30.0,
        coolant="water",
        tank_m3=20.0,
        economiser="integrated" if chillers else "only",
        rejection_kind="cooling_towers" if towers else "dry_coolers",
        rejection="Cooler 1 MW",
        chiller="Chiller 1 MW" if chillers else "",
        pump="Pump",
        n_pumps=3,
        n_pumps_spare=1,
        n_chillers=chillers,
        n_chillers_spare=chillers // 2,
        n_heat_rejection=7,
        n_heat_rejection_spare=1,
    )


def cdu(pk, group, plant_id, hall_id=1):
    return DrawnCdu(
        id=pk,
        name=f"CDU-{pk}",
        group=group,
        redundant_units=1,
        plant_id=plant_id,
        hall_id=hall_id,
        supply_degc=35.0,
        product="CDU",
    )


def hall(pk, plant_id, n=5):
    return DrawnHall(
        id=pk,
        name=f"Hall {pk}",
        plant_id=plant_id,
        n_air_units=n,
        n_air_units_spare=1,
        supply_air_degc=25.0,
        air_unit="Fan wall",
    )


def rack(pk, cdu_id, hall_id=1):
    return DrawnRack(id=pk, row="A", hall_id=hall_id, cdu_id=cdu_id, feed_a_id=None, feed_b_id=None)


def drawing(plants, cdus, halls, racks):
    drawn = loop_diagram(plants, cdus, halls, racks)
    assert_apart(drawn)
    assert_inside(drawn)
    return drawn


def two_loops():
    cdus = [cdu(i, f"Loop {1 + i // 5}", 2) for i in range(10)]
    racks = [rack(i, i % 10) for i in range(40)] + [rack(100 + i, None) for i in range(3)]
    return [plant(1, "Chilled", towers=True), plant(2, "Warm")], cdus, [hall(1, 1)], racks


def test_every_plant_cdu_air_unit_and_rack_is_drawn():
    plants, cdus, halls, racks = two_loops()
    drawn = drawing(plants, cdus, halls, racks)
    assert {n.symbol for n in drawn.nodes} == {"tower", "dry-cooler", "chiller", "pump", "coil", "exchanger", "racks"}
    assert sorted(pk for n in drawn.nodes if n.kind == "cdu" for pk in n.ids) == [c.id for c in cdus]
    behind = {n.key: len(n.ids) for n in drawn.nodes if n.kind == "racks"}
    assert behind == {"racks-hall-1": 43, "racks-cdu-0": 20, "racks-cdu-5": 20}


def test_units_are_squares_that_can_fail_one_by_one():
    drawn = drawing(*two_loops())
    assert [square.token for square in drawn.node("cdu-0").squares] == [f"cdu:{i}" for i in range(5)]
    assert {square.token for square in drawn.node("cooler-2").squares} == {"cooler:2"}
    assert (drawn.node("tower-1").n_units, drawn.node("plant_pump-1").n_units) == (7, 3)


def test_frames_say_how_many_units_may_fail():
    labels = {box.label for box in drawing(*two_loops()).boxes}
    assert {"N+1", "5 CDUs · N+1", "5 air units · N+1"} <= labels
    assert any(label.startswith("Warm · 30.0") for label in labels)


def test_branches_are_piped_to_the_headers_of_their_own_loop():
    drawn = drawing(*two_loops())
    pump = drawn.node("plant_pump-2")
    main = [w.points for w in drawn.wires if w.key == pump.key and w.points[0][0] == pump.x + pump.width]
    for key in ("cdu-0", "cdu-5"):
        node = drawn.node(key)
        supply, back = [w.points for w in drawn.wires if w.key == key][:2]
        assert supply[-1][0] == back[-1][0] == node.x
        assert supply[0] == main[0][-1]  # starts where the main supply ends
        assert back[0] == main[1][-1]


@pytest.mark.parametrize("chillers", [0, 3])
def test_a_plant_without_anything_on_it_is_drawn(chillers):
    drawn = drawing([plant(1, chillers=chillers)], [], [], [])
    assert len(drawn.nodes) == (3 if chillers else 2)


def test_air_units_on_no_loop_are_drawn_by_themselves():
    drawn = drawing([], [], [hall(1, None)], [rack(1, None)])
    assert [box.label for box in drawn.boxes if box.kind == "loop"] == ["Air units on no facility-water loop"]
    assert drawn.node("air_unit-1").symbol == "coil"


def test_many_groups_share_a_symbol_per_hall_without_losing_a_cdu():
    cdus = [cdu(i, f"Loop {i}", 1, hall_id=1 + i // 30) for i in range(3 * MOST_BRANCHES)]
    racks = [rack(i, i % len(cdus), 1 + (i % len(cdus)) // 30) for i in range(2_000)]
    drawn = drawing([plant(1)], cdus, [hall(pk, 1, n=40) for pk in (1, 2, 3, 4)], racks)
    assert sum(len(n.ids) for n in drawn.nodes if n.kind == "cdu") == len(cdus)
    assert sum(len(n.ids) for n in drawn.nodes if n.key.startswith("racks-cdu")) == 2_000
    assert len(drawn.nodes) < 30
    assert all(len(n.squares) < 20 for n in drawn.nodes)


def test_a_layout_without_cooling_draws_nothing():
    drawn = loop_diagram([], [], [hall(1, None, n=0)], [rack(1, None)])
    assert (drawn.nodes, drawn.height) == ([], 0.0)
