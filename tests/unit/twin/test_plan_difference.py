"""What differs between two layouts."""

import pytest

from tests.small_run import small_scenario
from tests.small_site import new_rack, product
from twin.core.comparison import plan_difference as pd
from twin.core.inputs.layout import layout_inputs
from twin.runs import snapshot

pytestmark = pytest.mark.django_db


@pytest.fixture
def before():
    layout, scenario = small_scenario()
    return snapshot.snapshot(layout, scenario)


@pytest.fixture
def after(before):
    import copy

    return copy.deepcopy(before)


def n_standing(inputs) -> int:
    return len(inputs["racks"]["id"]) + sum(len(inputs[kind]) for kind in ("cdus", "air_units", "features"))


def plan_difference(a: dict, b: dict) -> pd.PlanDifference:
    return pd.plan_difference(layout_inputs(a), layout_inputs(b))


def states(a, b) -> dict[str, str]:
    return {d.thing.name: d.state for hall in plan_difference(a, b).halls for d in hall.things}


def test_a_layout_does_not_differ_from_itself(before, after):
    difference = plan_difference(before, after)
    assert difference.same
    assert difference.counts[pd.SAME] == n_standing(before)


def test_a_rack_that_stands_elsewhere_has_moved(before, after):
    after["racks"]["x_m"][0] += 1.2
    found = next(d for d in plan_difference(before, after).halls[0].things if d.state == pd.MOVED)
    assert found.thing.name == before["racks"]["name"][0]
    assert found.moved_m == (1.2, 0.0)
    assert found.said == ("moved by 1.20 m to the right",)


def test_a_turned_rack_keeps_its_middle(before, after):
    after["racks"]["orientation_deg"][0] = (before["racks"]["orientation_deg"][0] + 180) % 360
    found = next(d for d in plan_difference(before, after).halls[0].things if d.state == pd.MOVED)
    assert found.said == ("turned by 180°",)


def test_what_only_one_layout_has_is_told(before, after):
    for values in after["racks"].values():
        values.pop()
    assert states(before, after)["A-01"] == pd.ONLY_A
    assert states(after, before)["A-01"] == pd.ONLY_B


def test_a_renamed_rack_is_found_by_its_place(before, after):
    after["racks"]["name"][0] = "Z-99"
    found = next(d for d in plan_difference(before, after).halls[0].things if d.thing.name == "Z-99")
    assert found.state == pd.CHANGED
    assert found.said == ("Name: A-00 → Z-99",)


def test_changed_racks_say_what_changed_and_alike_ones_share_a_row(before, after):
    layout, scenario = small_scenario("other")
    layout.halls.get().racks.update(product=product("systems", "dgx-gb300-nvl72"))
    other = snapshot.snapshot(layout, scenario)
    row = next(row for row in plan_difference(before, other).rows if row.kind == "rack")
    assert row.names == ["A-00", "A-01"]
    assert len(row.said) == 1
    assert row.said[0].startswith("Product: ")
    assert row.said[0].partition(" → ")[2] == product("systems", "dgx-gb300-nvl72").name


def test_feeds_are_compared_by_name_not_by_key(before, after):
    for feed in after["feeds"]:
        feed["id"] += 1000
        feed["parent_id"] = feed["parent_id"] and feed["parent_id"] + 1000
    for side in ("feed_a_id", "feed_b_id"):
        after["racks"][side] = [key and key + 1000 for key in after["racks"][side]]
    assert plan_difference(before, after).same
    after["racks"]["feed_b_id"][0] = None
    assert any("Feed B" in text for row in plan_difference(before, after).rows for text in row.said)


def test_parts_without_a_place_are_told_too(before, after):
    after["plants"][0]["supply_degc"] += 2
    after["feeds"][0]["n_units"] += 1
    kinds = {row.kind: row.said for row in plan_difference(before, after).rows}
    assert set(kinds) == {"cooling plant", "power feed"}
    assert kinds["power feed"][0].startswith("Units: ")


def test_a_renamed_hall_of_equal_size_is_the_same_hall(before, after):
    after["halls"][0]["name"] = "Renamed"
    difference = plan_difference(before, after)
    assert [hall.name for hall in difference.halls] == ["Renamed"]
    assert difference.counts[pd.SAME] == n_standing(before)
    assert [row.said for row in difference.rows] == [(f"Name: {before['halls'][0]['name']} → Renamed",)]


def test_a_run_that_kept_no_places_of_cdus_lists_them_beside_the_plan(before, after):
    for cdu in before["cdus"]:
        del cdu["x_m"], cdu["y_m"], cdu["orientation_deg"]
    difference = plan_difference(before, after)
    assert difference.same


def test_a_new_rack_is_counted(before):
    layout, scenario = small_scenario("bigger")
    new_rack(layout, name="A-09", x_m=9.0).save()
    assert plan_difference(before, snapshot.snapshot(layout, scenario)).counts[pd.ONLY_B] == 1


def test_air_units_and_walls_are_compared_where_both_runs_kept_them(before, after):
    from facility.models import AirUnit, FloorFeature

    layout, scenario = small_scenario("walled")
    hall = layout.halls.get()
    AirUnit.objects.create(layout=layout, hall=hall, name="CRAH-9", x_m=12, y_m=6)
    FloorFeature.objects.create(layout=layout, hall=hall, name="W", type="wall", x_m=10, y_m=0, width_m=1, depth_m=1)
    rows = plan_difference(before, snapshot.snapshot(layout, scenario)).rows
    found = {row.kind: (row.state, row.said) for row in rows}
    assert found["air unit"] == (pd.ONLY_B, ())
    assert found["floor feature"] == (pd.ONLY_B, ("wall",))
    for kept_none in (before, after):
        del kept_none["air_units"], kept_none["features"]
    assert plan_difference(before, after).same
