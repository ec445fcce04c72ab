"""How close objects came to their limits, on a site of which only the hours that matter are made up."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.small_inputs import small_inputs
from twin.core.results.details import LimitRow
from twin.core.results.limits import limits, shortfalls, used_frac

HOURS = 4


def solved(**coupled) -> SimpleNamespace:
    """Return four hours of a hall with one CDU group, one plant and two feeds; nothing is short unless it is said."""
    ones, degc = np.ones((HOURS, 1)), np.full((HOURS, 1), 30.0)
    hours = {
        "meter_power_w": np.full(HOURS, 1e6),
        "feed_load_w": np.array([[1e5, 2e5], [4e5, 3e5], [2e5, 2e5], [1e5, 1e5]]),
        "cdu_heat_w": 2e5 * ones,
        "cdu_supply_degc": degc,
        "cdu_level": ones,
        "cdu_load_frac": 0.5 * ones,
        "hall_load_frac": 0.5 * ones,
        "hall_supply_degc": degc - 5,
        "hall_level": ones,
        "plant_level": ones,
        "pump_load_frac": 0.4 * ones,
        "outdoor_load_frac": 0.7 * ones,
        "chiller_load_frac": 0 * ones,
        "facility_supply_degc": degc - 10,
        "short_feed": np.full(HOURS, -1),
        "feed_level": np.ones(HOURS),
        "curve_clamped": np.zeros((HOURS, 1), dtype=bool),
        "hottest_junction_degc": np.array([70.0, 80.0, 75.0, 70.0]),
        "racks": SimpleNamespace(max_junction_degc=np.array([80.0, 60.0])),
    }
    one = np.ones(1)
    site = SimpleNamespace(
        cdus=SimpleNamespace(n_units=one, capacity_w=4e5 * one, supply_set_degc=30 * one, plant_index=[0]),
        halls=SimpleNamespace(n_units=one, unit_capacity_w=1e5 * one, supply_set_degc=25 * one, plant_index=[-1]),
        plants=SimpleNamespace(supply_set_degc=20 * one),
        racks=SimpleNamespace(n_accelerators=np.array([8, 0]), throttle_degc=np.array([90.0, 90.0])),
    )
    ratings_w = np.array([5e5, np.inf])
    tree = SimpleNamespace(
        names=("UPS-A", "UPS-B"),
        rating_w=ratings_w,
        installed_w=ratings_w,
        units=np.array([1, 1]),
        carried_w=lambda load_w: load_w,  # racks hang on both
    )
    inputs = small_inputs(
        site={"grid_limit_w": 2e6}, cdus=[{"name": "CDU-1"}], halls=[{"name": "Hall"}], plants=[{"name": "Loop"}]
    )
    table = SimpleNamespace(bank={"cdu_index": np.array([0])}, system=np.array([""]))
    return SimpleNamespace(
        coupled=SimpleNamespace(**hours | coupled),
        site=site,
        feeds=SimpleNamespace(tree=tree),
        inputs=inputs,
        table=table,
    )


def of(solved):
    """Return the limits of a site whose power is all from the grid."""
    return limits(solved, solved.coupled.meter_power_w)


def test_each_object_is_listed_with_its_worst_hour_and_the_tightest_first():
    rows = of(solved())
    assert [(row.object, row.kind, row.value, row.limit, row.hour) for row in rows] == [
        ("Accelerators", "junction temperature", 80.0, 90.0, 1),  # 60 of 70 K above a cool room
        ("UPS-A", "feed load", 4e5, 5e5, 1),
        ("Loop", "coolers or towers load", 0.7, 1.0, 0),
        ("Site", "grid connection", 1e6, 2e6, 0),
        ("G", "CDU heat", 2e5, 4e5, 0),
        ("Hall", "air-unit heat", 5e4, 1e5, 0),
        ("Loop", "facility pumps load", 0.4, 1.0, 0),
    ]  # UPS-B has no rating, and no sheet says how warm coolant may be


@pytest.mark.parametrize(
    ("row", "frac"),
    [
        (LimitRow("a", "k", 45.0, 70.0, "°C", 0), 0.5),
        (LimitRow("a", "k", 45.0, 90.0, "W", 0), 0.5),
        (LimitRow("a", "k", 45.0, 0.0, "%", 0), np.inf),
    ],
)
def test_temperatures_are_counted_from_a_cool_room_and_nothing_is_used_up(row, frac):
    assert used_frac(row) == frac


def test_what_was_too_small_comes_first_with_what_was_withheld_and_for_how_long():
    level = np.array([[1.0], [0.75], [0.25], [1.0]])
    rows = of(solved(cdu_level=level, cdu_supply_degc=np.array([[30.0], [34.0], [36.0], [30.0]])))
    assert [(row.kind, row.value, row.hour) for row in rows[:2]] == [
        ("accelerators power-capped for insufficient coolant, 2 h", 1.0, 2),
        ("racks off for insufficient coolant, 1 h", 0.5, 2),
    ]
    assert rows[0].object == "G"


def test_cdus_that_are_held_at_their_rating_are_named_for_that_and_not_for_their_coolant():
    level = np.array([[1.0], [0.75], [0.75], [1.0]])
    warm = np.array([[30.0], [36.0], [30.0], [30.0]])
    load = np.array([[0.5], [0.5], [1.0], [1.0]])
    rows = list(shortfalls(solved(cdu_level=level, cdu_supply_degc=warm, cdu_load_frac=load)))
    assert [(row.object, row.kind) for row in rows] == [
        ("G", "accelerators power-capped for insufficient CDU rating, 1 h"),
        ("G", "accelerators power-capped for insufficient coolant, 1 h"),
    ]


def test_warm_coolant_is_laid_to_the_plant_whose_water_is_most_of_the_excess():
    level = np.array([[1.0], [0.75], [1.0], [1.0]])
    warm = np.array([[30.0], [36.0], [30.0], [30.0]])
    water = np.array([[20.0], [24.0], [20.0], [20.0]])  # 4 of the 6 K
    (row,) = shortfalls(solved(cdu_level=level, cdu_supply_degc=warm, facility_supply_degc=water))
    assert (row.object, row.kind) == ("Loop", "accelerators power-capped for insufficient facility water, 1 h")


def test_a_plant_that_is_held_at_its_rating_names_the_machines_that_are_loaded_most():
    level = np.array([[1.0], [0.75], [0.7], [1.0]])
    pumps, coolers = np.array([[0.4], [1.0], [0.6], [0.4]]), np.array([[0.7], [0.8], [1.0], [0.7]])
    rows = list(shortfalls(solved(plant_level=level, pump_load_frac=pumps, outdoor_load_frac=coolers)))
    assert [(row.object, row.kind, row.hour) for row in rows] == [
        ("Loop", "accelerators power-capped for insufficient facility pumps rating, 1 h", 1),
        ("Loop", "accelerators power-capped for insufficient coolers or towers rating, 1 h", 2),
    ]


def test_air_units_that_are_held_at_their_rating_are_named_for_that():
    level, load = np.array([[1.0], [0.75], [1.0], [1.0]]), np.array([[0.5], [1.0], [0.5], [0.5]])
    (row,) = shortfalls(solved(hall_level=level, hall_load_frac=load))
    assert (row.object, row.kind) == ("Hall", "accelerators power-capped for insufficient air-unit rating, 1 h")


def test_a_feed_too_small_and_a_curve_at_its_edge_are_named():
    rows = list(
        shortfalls(
            solved(
                short_feed=np.array([-1, 1, -1, -1]),
                feed_level=np.array([1.0, 0.8, 1.0, 1.0]),
                curve_clamped=np.array([[False], [False], [True], [True]]),
            )
        )
    )
    assert [(row.object, row.kind) for row in rows] == [
        ("UPS-B", "accelerators power-capped for insufficient feed rating (load shed), 1 h"),
        ("Loop", "hours outside its curves' range, held at their edge"),
    ]
    assert rows[0].value == pytest.approx(0.4)
    assert (rows[1].value, rows[1].hour) == (2.0, 2)
