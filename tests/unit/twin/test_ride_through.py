"""Stored energy and heat cover a loss as long as the shorter of what it takes lasts."""

import numpy as np
import pytest

from power_cooling.electrical.feed_tree import RackLinks, feed_tree
from power_cooling.site_arrays import SiteFeeds
from tests.small_inputs import sheet, small_inputs
from twin.core.failures.components import components
from twin.core.failures.kinds import BY_UNITS
from twin.core.failures.ride_through import plant_drills, powered_s, ride_through_s
from twin.core.inputs.design_hour import design_weather
from twin.core.inputs.layout import LayoutInputs, layout_inputs
from twin.core.solve import simulate

pytestmark = pytest.mark.django_db  # makes the database that `sample_inputs` fills, when this file runs alone

UPS = sheet("ups", facts={"battery_autonomy_s": 300.0})
BESS = sheet("bess", facts={"power_w": 2e6, "energy_j": 3.6e9})


def feed(row_id: int, name: str, kind: str, parent_id: int | None, **more) -> dict:
    return {
        "id": row_id,
        "name": name,
        "kind": kind,
        "parent_id": parent_id,
        "product_id": None,
        "n_units": 1,
        "redundancy_group": "",
    } | more


def chain(*rows: dict, racks_on: str, plant_on: str = "Utility") -> tuple[LayoutInputs, SiteFeeds]:
    """Return feeds of 1 MW a unit with one rack on one of them and a plant on another."""
    by_id = {row["id"]: row["name"] for row in rows}
    tree = feed_tree(
        names=[row["name"] for row in rows],
        kinds=[row["kind"] for row in rows],
        parents=[by_id.get(row["parent_id"]) for row in rows],
        rating_w=1e6,
        units=[row["n_units"] for row in rows],
    )
    links = RackLinks(
        n_racks=1,
        rack_index=np.array([0]),
        node_index=np.array([tree.index(racks_on)]),
        share_frac=np.ones(1),
        standby_share_frac=np.zeros(1),
    )
    none = np.zeros(0, dtype=np.int64)
    plant = np.array([tree.index(plant_on)])
    inputs = small_inputs(feeds=rows, products={"by_id": {"5": UPS, "6": BESS}})
    return inputs, SiteFeeds(tree, links, none, none, plant)


UTILITY = feed(1, "Utility", "utility", None)
BOARD = feed(2, "Board", "switchboard", 1)
UPSES = feed(3, "UPS", "ups", 2, product_id=5, n_units=2)
BUSWAY = feed(4, "Busway", "busway", 3)


def test_a_battery_covers_what_is_above_it_and_not_itself():
    inputs, feeds = chain(UTILITY, BOARD, UPSES, BUSWAY, racks_on="Busway")
    load_w = np.full(4, 1.5e6)
    # 300 s at 2 MW last 400 s at 1.5 MW; cooling, on the utility, lasts an hour.
    covered = dict(zip(feeds.tree.names, powered_s(inputs, feeds, load_w, {0: 3600.0}), strict=True))
    assert covered == pytest.approx({"Utility": 400.0, "Board": 400.0, "UPS": 0.0, "Busway": 0.0})


def test_losing_the_feed_of_the_plant_lasts_no_longer_than_the_stored_cold():
    inputs, feeds = chain(UTILITY, BOARD, UPSES, BUSWAY, racks_on="Busway", plant_on="Board")
    covered = dict(zip(feeds.tree.names, powered_s(inputs, feeds, np.full(4, 1e6), {0: 90.0}), strict=True))
    assert covered == pytest.approx({"Utility": 90.0, "Board": 90.0, "UPS": 0.0, "Busway": 0.0})


def test_a_generator_is_covered_like_the_utility_it_stands_behind():
    generator = feed(9, "Generators", "generator", None)
    inputs, feeds = chain(UTILITY, generator, BOARD, UPSES, BUSWAY, racks_on="Busway")
    covered = dict(zip(feeds.tree.names, powered_s(inputs, feeds, np.full(5, 1e6), {0: 3600.0}), strict=True))
    assert covered["Generators"] == covered["Utility"] == pytest.approx(600.0)


@pytest.mark.parametrize(("load_w", "seconds"), [(1e6, 3600.0), (2.5e6, 0.0)])
def test_battery_storage_carries_its_board_while_it_has_the_power(load_w, seconds):
    storage = feed(5, "Storage", "bess", 2, product_id=6)
    inputs, feeds = chain(UTILITY, BOARD, storage, feed(4, "Busway", "busway", 2), racks_on="Busway")
    covered = dict(zip(feeds.tree.names, powered_s(inputs, feeds, np.full(4, load_w), {0: 9e9}), strict=True))
    assert covered["Utility"] == pytest.approx(seconds)


@pytest.mark.compiled
def test_a_larger_tank_covers_the_plant_for_longer(sample_inputs):
    def covered_s(tank_m3: float) -> dict[str, float]:
        inputs = sample_inputs("golden/gb300-nvl72")
        for plant in inputs["plants"]:
            plant["tank_m3"] = tank_m3
        year = simulate.described(layout_inputs(inputs))
        found, hot = components(year.inputs, year.site, year.feeds), design_weather(year.inputs, year.weather)
        drills = plant_drills(year.site, hot, np.full(len(year.pools), 0.9))
        seconds = ride_through_s(year.inputs, year.site, year.feeds, drills, year.feeds.tree.rating_w, found)
        for component, lasts_s in zip(found, seconds, strict=True):
            if component.kind == "pumps" and component.index in drills:
                drill = drills[component.index][BY_UNITS["pumps"].storage]
                assert lasts_s == min(drill.first_throttle_s, drill.air_limit_s, 3600.0)
        return {component.name: s for component, s in zip(found, seconds, strict=True)}

    small, large = covered_s(0.0), covered_s(60.0)
    name = "Dry coolers of Facility water"
    assert 0 < small[name] < large[name] <= 3600
    assert small["Air units of Data hall"] == 0  # nothing stores cold air
