"""What drawings say: numbers taken together, states in words, changes with their unit once."""

import numpy as np
import pytest

from twin.core.diagrams.readings import Readings, change_text, moved
from twin.core.diagrams.schematic import Reading, block
from twin.core.results.object_quantities import ObjectTable

GAP = "\N{NARROW NO-BREAK SPACE}"


@pytest.fixture
def readings():
    racks = ObjectTable(
        ids=[11, 12, 13],
        names=["A", "B", "C"],
        values={
            "power_w": np.array([[1e3, 2e3, np.nan], [1e3, 0.0, np.nan]]),
            "junction_degc": np.array([[60.0, 70.0, np.nan], [61.0, np.nan, np.nan]]),
        },
        limits={},
        state=np.array([[0, 0, 0], [1, 3, 3]]),
        beside={},
    )
    feeds = ObjectTable(
        ids=[4],
        names=["UPS"],
        values={
            "power_w": np.array([[5e6], [6e6]]),
            "load_frac": np.array([[0.5], [1.2]]),
            "loss_w": np.array([[1e3], [2e3]]),
        },
        limits={},
        state=np.array([[0], [2]]),
        beside={"units_out": [[0], [2]]},
    )
    return Readings({"racks": racks, "feeds": feeds}, {"pue": np.array([1.1, 1.2])})


def ups(**changes):
    power, load = Reading("feeds", (4,), "power_w", "W"), Reading("feeds", (4,), "load_frac", "%", "max")
    return block(
        "feed-4",
        "ups",
        0,
        0,
        "UPS",
        [("{}", (power,))],
        kind="feed",
        ids=(4,),
        table="feeds",
        load=load,
        token="feed:4",
        out_column="units_out",
        units=[(f"unit {i}", "feed:4") for i in range(5)],
        n_units=5,
        **changes,
    )


@pytest.mark.parametrize(("how", "value"), [("sum", 3e3), ("max", 2e3), ("min", 1e3), ("mean", 1.5e3)])
def test_rows_are_taken_together_without_those_that_have_no_value(readings, how, value):
    assert readings.value(Reading("racks", (11, 12, 13), "power_w", "W", how), 0) == value


def test_a_row_that_was_not_solved_or_has_no_value_is_missing(readings):
    assert readings.value(Reading("racks", (99,), "power_w", "W"), 0) is None
    assert readings.value(Reading("racks", (13,), "junction_degc", "°C", "max"), 0) is None
    assert readings.value(Reading("totals", (), "pue", ""), 1) == 1.2


def test_a_node_says_its_value_its_load_and_that_all_is_well(readings):
    shown = readings.shown(ups(), 0)
    assert (shown.state, shown.word, shown.bar) == ("ok", "", 0.5)
    assert f"5.00{GAP}MW" in shown.texts
    assert shown.out == (False,) * 5


def test_an_overloaded_node_with_units_out_says_both_and_fills_its_bar(readings):
    shown = readings.shown(ups(), 1, readings)
    assert (shown.state, shown.word, shown.bar) == ("over", "2/5 out, over", 1.0)
    assert f"5.00 → 6.00{GAP}MW" in shown.texts
    assert shown.out == (True, True, False, False, False)


def test_racks_say_how_many_of_them_are_in_which_state(readings):
    racks = block("r", "racks", 0, 0, "3 racks", [], kind="racks", ids=(11, 12, 13), table="racks")
    assert readings.shown(racks, 1).word == "1/3 throttled, 2/3 dead"
    dead = block("r", "racks", 0, 0, "2 racks", [], kind="racks", ids=(12, 13), table="racks")
    assert (readings.shown(dead, 1).state, readings.shown(dead, 1).word) == ("dead", "dead")


def test_a_change_says_the_unit_once_unless_it_changed():
    assert change_text(359e3, 719e3, "W") == f"359 → 719{GAP}kW"
    assert change_text(900e3, 1.8e6, "W") == f"900{GAP}kW → 1.80{GAP}MW"
    assert change_text(41.0, None, "°C") == f"41.0{GAP}°C → —"


def test_what_three_digits_do_not_show_has_not_moved():
    assert not moved(1000.0, 1001.0)
    assert moved(1000.0, 1010.0)
    assert moved(1.0, None)
    assert not moved(None, None)
