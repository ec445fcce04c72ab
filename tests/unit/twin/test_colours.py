"""The ramp that plans, maps and the report colour values by."""

from twin.core.charts.colours import VIRIDIS, ramp


def test_a_ramp_runs_from_the_darkest_to_the_lightest_colour():
    assert ramp(2) == ("#440154", "#fde725")
    assert len(set(ramp(33))) == 33


def test_a_ramp_of_as_many_colours_as_are_stored_has_just_these():
    assert [tuple(bytes.fromhex(colour[1:])) for colour in ramp(len(VIRIDIS))] == list(VIRIDIS)
