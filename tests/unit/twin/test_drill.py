"""What a loss does, when, which single failures hurt most, and whether the suggested repairs repair."""

from dataclasses import replace

import numpy as np
import pytest

from twin.core.drill import drill, repairs
from twin.core.inputs.layout import layout_inputs
from twin.core.solve.simulate import described
from twin.core.solve.steady import DESIGN, outages, solve_steady

# makes the database that `inputs` fills, when this file runs alone
pytestmark = [pytest.mark.django_db, pytest.mark.compiled]


@pytest.fixture(scope="module")
def inputs(sample_inputs):
    """Return a function that gives one sample's snapshot, to be changed by a test."""
    return lambda: sample_inputs("sterling/gb200-nvl72")


@pytest.fixture(scope="module")
def sound(inputs):
    return described(layout_inputs(inputs()))


def few_cdus(inputs, left: int = 1) -> dict:
    """Return the sample with only so many CDUs in the first group: too few once one is out."""
    changed = inputs()
    group = changed["cdus"][0]["group"]
    mine = [cdu for cdu in changed["cdus"] if cdu["group"] == group]
    gone = {cdu["id"] for cdu in mine[left:]}
    changed["cdus"] = [cdu for cdu in changed["cdus"] if cdu["id"] not in gone]
    heir = mine[0]["id"]
    changed["racks"]["cdu_id"] = [heir if pk in gone else pk for pk in changed["racks"]["cdu_id"]]
    return changed


@pytest.fixture(scope="module")
def weak(inputs):
    return described(layout_inputs(few_cdus(inputs)))


def whole_group(year, row: int = 0) -> str:
    cdu = year.inputs.cdus[row]
    return f"cdu:{cdu.id}:{sum(other.group == cdu.group for other in year.inputs.cdus)}"


def test_losing_nothing_changes_nothing(sound):
    done = drill.drill(sound, DESIGN, ())
    assert done.lost_output_tokens_per_s == 0
    assert done.affected == []
    assert done.events == []


def test_a_lost_group_trips_first_and_is_counted(sound):
    done = drill.drill(sound, DESIGN, outages(sound, whole_group(sound)))
    served = done.steady.served.output_tokens_per_s
    assert done.lost_output_tokens_per_s == pytest.approx(served[0] - served[1])
    assert done.lost_output_tokens_per_s > 0.2 * served[0]
    group = sound.inputs.cdus[0].group
    instants = {event["what"]: event["at_s"] for event in done.events if event["object"] == group}
    assert 0 < instants["throttles"] < instants["trips"] < 600  # no coolant moves: minutes, not hours
    assert "recovers" not in instants
    dead = [row for row in done.affected if row["what"] == "dead" and row["kind"] == "racks"]
    assert {row["kind"] for row in done.affected[: done.n_affected]} >= {"racks", "cdus"}
    assert len(dead) == sum(
        sound.inputs.racks.cdu_id[i] in {c.id for c in sound.inputs.cdus if c.group == group}
        for i in range(len(sound.inputs.racks.id))
    )


def test_a_feed_whose_other_side_carries_costs_nothing(sound):
    busway = next(feed for feed in sound.inputs.feeds if feed.kind == "busway")
    done = drill.drill(sound, DESIGN, outages(sound, f"feed:{busway.id}"))
    assert done.lost_output_tokens_per_s == pytest.approx(0, abs=1e-6)
    assert [row["object"] for row in done.affected] == [busway.name]


def plant_text(year, kind: str, column: str) -> str:
    """Return all units of a kind of the plant that cools the first CDU, as addresses write them."""
    plant = next(row for row in year.inputs.plants if row.id == year.inputs.cdus[0].plant_id)
    return f"{kind}:{plant.id}:{getattr(plant, column)}"


def test_what_the_plant_makes_up_for_throttles_nobody(sound):
    # the chillers carry what the coolers did
    done = drill.drill(sound, DESIGN, outages(sound, plant_text(sound, "cooler", "n_heat_rejection")))
    assert done.lost_capacity_tokens_per_s == 0
    assert done.events == []


def test_without_chillers_the_way_there_ends_where_the_steady_state_is(sound):
    done = drill.drill(sound, DESIGN, outages(sound, plant_text(sound, "chiller", "n_chillers")))
    throttled = [event for event in done.events if event["what"] in ("throttles", "trips")]
    states = {row["what"] for row in done.affected if row["kind"] == "racks"}
    assert bool(throttled) == bool(states)


def test_without_coolers_and_chillers_racks_throttle_once_the_tank_is_warm_and_without_a_tank_trip(
    sound, inputs, monkeypatch
):
    monkeypatch.setattr(drill, "FOLLOWED_S", 2 * drill.FOLLOWED_S)  # they trip within a minute of the hour otherwise

    def first_instants(year) -> dict[str, float]:
        text = ",".join([plant_text(year, "cooler", "n_heat_rejection"), plant_text(year, "chiller", "n_chillers")])
        done = drill.drill(year, DESIGN, outages(year, text))
        assert done.lost_capacity_tokens_per_s > 0
        instants: dict[str, float] = {}
        for event in done.events:
            instants.setdefault(event["what"], event["at_s"])
        return instants

    bare = inputs()
    for plant in bare["plants"]:
        plant["tank_m3"] = 0.0
    with_tank, without = first_instants(sound), first_instants(described(layout_inputs(bare)))
    assert {"throttles", "trips"} <= without.keys()
    # 30 m³ that 7 MW warm by some 30 K last ten minutes, and more once racks hold back.
    assert with_tank["throttles"] > without["throttles"] + 500


def test_both_sides_of_a_row_leave_it_dark_at_once(sound):
    racks = sound.inputs.racks
    sides = f"feed:{racks.feed_a_id[0]},feed:{racks.feed_b_id[0]}"
    done = drill.drill(sound, DESIGN, outages(sound, sides))
    # others have room for the row's load at the design hour, but the capacity is gone
    assert done.lost_capacity_tokens_per_s > 0
    assert done.events[0]["at_s"] == 0
    assert "no live feed" in done.events[0]["text"]


def test_every_single_failure_is_ranked_by_what_it_costs(weak):
    ranked = drill.ranking(weak)
    assert len(ranked.failures) == len(drill.parts_that_fail(weak))
    lost = [failure.lost_tokens_per_s for failure in ranked.failures]
    assert lost == sorted(lost, reverse=True)
    worst = ranked.failures[0]
    assert worst.out == f"cdu:{weak.inputs.cdus[0].id}"
    assert worst.capacity_frac < 1
    alone = drill.drill(weak, DESIGN, outages(weak, worst.out))
    assert alone.lost_capacity_tokens_per_s == pytest.approx(worst.lost_tokens_per_s, rel=1e-6)
    assert alone.lost_output_tokens_per_s == pytest.approx(worst.served_lost_tokens_per_s, rel=1e-6)
    calm = [failure for failure in ranked.failures if failure.lost_tokens_per_s == 0]
    assert all(failure.expected_lost_tokens_per_year == 0 for failure in calm if failure.capacity_frac == 1)
    assert "costs no tokens" in calm[-1].text


def test_suggestions_repair_what_they_say(weak):
    ranked = drill.ranking(weak)
    found = repairs.suggestions(weak, ranked.failures)
    assert found
    for one in found:
        changed = described(replace(weak.inputs, **one.change.tables))
        tried = solve_steady(changed, [DESIGN] * 2, [(), outages(changed, one.failure.out)])
        possible = drill.capacity_tokens_per_s(tried)
        still_lost = max(0.0, possible[0] - possible[1])
        assert one.recovers_tokens_per_s == pytest.approx(one.failure.lost_tokens_per_s - still_lost, rel=1e-9)
        assert one.recovers_tokens_per_s > 0
    spare = next(one for one in found if one.change.edit["op"] == "create")
    sheet = weak.inputs.product(weak.inputs.cdus[0].product_id)
    assert spare.change.capital_usd == sheet.facts.get("price_estimate_usd")
    assert sheet.name in spare.change.capital_source
    per_usd = [one.per_usd for one in found if one.per_usd is not None]
    assert per_usd == sorted(per_usd, reverse=True)


def test_racks_with_one_feed_are_offered_a_second(inputs):
    changed = inputs()
    changed["racks"]["feed_b_id"] = [None if i < 8 else pk for i, pk in enumerate(changed["racks"]["feed_b_id"])]
    year = described(layout_inputs(changed))
    ranked = drill.ranking(year)
    lone = changed["racks"]["feed_a_id"][0]
    assert any(f.out == f"feed:{lone}" and f.lost_tokens_per_s > 0 for f in ranked.failures)
    second = [s for s in repairs.suggestions(year, ranked.failures) if s.change.edit.get("op") == "assign"]
    assert second
    assert second[0].change.capital_usd is None
    assert "no price in the catalogue" in second[0].change.capital_source
    assert second[0].recovers_all


def test_a_layout_that_nothing_hurts_is_offered_nothing(sound):
    ranked = drill.ranking(sound)
    if any(failure.lost_tokens_per_s > 0 for failure in ranked.failures):
        pytest.skip("the sample loses tokens to a single failure")
    assert repairs.suggestions(sound, ranked.failures) == []
    assert ranked.margins
    assert np.isfinite([margin.value for margin in ranked.margins]).all()


def test_racks_on_a_liquid_to_air_cdu_feel_the_loss_of_the_air_units(inputs):
    taken = inputs()
    by_id = taken["products"]["by_id"]
    for cdu in taken["cdus"]:
        sheet = by_id[str(cdu["product_id"])]["facts"]
        sheet["type"] = "liquid_to_air"
    year = described(layout_inputs(taken))
    assert year.site.cdus.to_air.all()
    hall = taken["halls"][0]
    plant = next(i for i, row in enumerate(taken["plants"]) if row["id"] == hall["plant_id"])
    assert set(year.site.cdus.plant_index) == {plant}  # their heat ends in the water of the hall's air units
    done = drill.drill(year, DESIGN, outages(year, f"air_unit:{hall['id']}:{hall['n_air_units']}"))
    assert {"throttles", "trips"} & {event["what"] for event in done.events}
