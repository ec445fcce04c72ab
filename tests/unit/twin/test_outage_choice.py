"""What a drill takes out: how a click changes it and how its address writes it."""

from twin.core.drill.outages import Choice, Part

UPS, CHILLER, CDU_1, CDU_2 = ("feed", 4), ("chiller", 1), ("cdu", 7), ("cdu", 8)
PARTS = {
    part.key: part
    for part in (Part(*UPS, "UPS", 5), Part(*CHILLER, "Chillers", 2), Part(*CDU_1, "C1", 1), Part(*CDU_2, "C2", 1))
}
NOTHING = Choice(PARTS)


def test_a_choice_is_written_in_the_order_in_which_it_was_made():
    assert NOTHING.with_units(CDU_1, 1).with_units(UPS, 2).text() == "cdu:7:1,feed:4:2"
    assert NOTHING.text() == ""


def test_units_stay_between_none_and_all():
    assert NOTHING.with_units(UPS, 9).units(UPS) == 5
    assert NOTHING.with_units(UPS, -1).out == {}


def test_a_symbol_fails_wholly_and_then_comes_back():
    failed = NOTHING.with_units(UPS, 2).with_all([UPS])
    assert failed.text() == "feed:4:5"
    assert failed.with_all([UPS]).out == {}


def test_a_group_with_one_unit_out_loses_the_others_first():
    assert NOTHING.with_units(CDU_1, 1).with_all([CDU_1, CDU_2]).text() == "cdu:7:1,cdu:8:1"


def test_one_unit_more_and_one_back():
    two = NOTHING.with_one(CHILLER, restore=False).with_one(CHILLER, restore=False)
    assert two.units(CHILLER) == 2
    assert two.with_one(CHILLER, restore=True).units(CHILLER) == 1


def test_changing_a_choice_leaves_the_old_one():
    one = NOTHING.with_units(UPS, 1)
    one.with_units(CDU_1, 1)
    assert one.text() == "feed:4:1"
