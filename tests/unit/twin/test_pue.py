"""PUE line by line: the lines sum to the PUE, and a plan's parts are in them."""

import pytest

from twin.core.inputs.layout import layout_inputs
from twin.core.results import pue
from twin.core.results.figures import power_by_part_w
from twin.core.solve.simulate import described, simulate
from twin.core.solve.steady import DESIGN, solve_steady


def test_racks_are_one_and_the_rest_is_over_them():
    lines = pue.pue_lines({"Accelerators": 80.0, "Server fans": 20.0, "UPS": 4.0, "Chillers": 6.0})
    assert [(line.part, line.mean_power_w) for line in lines] == [("IT", 100.0), ("UPS", 4.0), ("Chillers", 6.0)]
    assert sum(line.pue for line in lines) == pytest.approx(1.10, rel=1e-12)
    assert pue.pue_lines({"UPS": 4.0}) == []


def test_every_line_says_what_it_is_and_published_ones_are_possible_and_dated():
    assert set(pue.WHAT) == {pue.IT, *pue.ELECTRICAL, *pue.COOLING, *pue.OWN}
    for row in pue.PUBLISHED:
        assert row.pue is None or 1 < row.pue < 2
        assert 2010 < row.year < 2027
        assert row.source


@pytest.mark.django_db
@pytest.mark.compiled
def test_the_lines_of_an_hour_sum_to_the_meter_and_nothing_is_without_a_place(sample_inputs):
    year = described(layout_inputs(sample_inputs("sterling/gb300-nvl72")))
    steady = solve_steady(year, [DESIGN, 0], keep_racks=False)
    parts = power_by_part_w(steady.coupled)
    assert set(parts) == {*pue.RACKS, *pue.ELECTRICAL, *pue.COOLING, *pue.OWN}
    meter = steady.coupled.meter_power_w
    assert sum(parts.values()) == pytest.approx(meter, rel=1e-9)
    assert all((values >= 0).all() for values in parts.values())
    for name in ("UPS", "Transformers", "Tower pumps", "Engine heaters", "Feed-room cooling", "Offices and services"):
        assert parts[name].max() > 0, name
    utility = year.feeds.tree.metered[0]
    assert steady.coupled.feed_load_w[:, utility] == pytest.approx(meter, rel=1e-9)


@pytest.mark.django_db
@pytest.mark.slow
@pytest.mark.compiled
def test_the_lines_of_a_run_sum_to_its_pue(sample_inputs):
    result = simulate(layout_inputs(sample_inputs("golden/gb300-nvl72")))
    lines = result.details.pue_lines
    assert sum(line.pue for line in lines) == pytest.approx(result.figures["pue"], rel=1e-9)
    assert sum(line.mean_power_w for line in lines) == pytest.approx(result.figures["mean_power_w"], rel=1e-9)
    assert result.details.cooling == "liquid, dry coolers, chillers behind them"
    # A liquid-cooled hall at part load stands among the best sites of fleets and below surveys.
    published = {row.name: row.pue for row in result.details.published_pue}
    assert published["AWS, best site, Europe"] < result.figures["pue"] < published["Uptime Institute, survey"]
