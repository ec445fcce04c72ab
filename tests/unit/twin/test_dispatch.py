"""Where the power of one hour comes from: as in the year, whatever is out of service."""

from dataclasses import fields, replace

import numpy as np
import pytest

from tests.unit.twin.test_generation import with_engines
from tests.unit.twin.test_shaving import with_battery
from twin.core.inputs.generation import shaving_battery
from twin.core.inputs.layout import layout_inputs
from twin.core.results.generation import in_service, supply
from twin.core.results.margins import margins
from twin.core.solve.dispatch import dispatch, supply_text
from twin.core.solve.estimate import estimated_year
from twin.core.solve.object_states import object_tables, totals
from twin.core.solve.simulate import described, solve_year
from twin.core.solve.steady import DESIGN, at_hours, outages, parts_that_fail, solve_steady
from twin.core.solved import HourlyPower
from twin.core.telemetry.coverage import CLOSES, coverage
from twin.core.telemetry.predicted import predicted_points, rack_objects
from twin.core.text.numbers import quantity_text

pytestmark = [pytest.mark.django_db, pytest.mark.compiled, pytest.mark.slow]

POD = "bay-area/gb300-nvl72-pod"
HOURS = [12, 2000, 4711, 8759]


@pytest.fixture(scope="module")
def year(sample_inputs):
    return described(layout_inputs(sample_inputs(POD)))


def solved_power(year):
    """Return the power of every hour of the year, solved."""
    _, coupled = solve_year(year.site, year.feeds, year.pools, year.weather, lambda stage, frac: None)
    return HourlyPower(**{entry.name: getattr(coupled, entry.name) for entry in fields(HourlyPower)})


@pytest.fixture(scope="module")
def power(year):
    return solved_power(year)


@pytest.fixture(scope="module")
def busiest(power):
    """Return the busiest hours, beside some others."""
    return [*np.argsort(-power.meter_power_w)[:3].tolist(), *HOURS]


@pytest.fixture(scope="module")
def alone(sample_inputs):
    """Return a year of a site on the grid alone with a battery that shaves, its power, and hours like `busiest`."""
    year = described(with_battery(sample_inputs("sterling/gb200-nvl72")))
    power = solved_power(year)
    return year, power, [*np.argsort(-power.meter_power_w)[:3].tolist(), *HOURS]


def feed(steady, name):
    """Return the column of a feed in the state's table, by quantity."""
    table = object_tables(steady)["feeds"]
    at = table.names.index(name)
    return {quantity: values[:, at] for quantity, values in table.values.items()}


def assert_closed(steady):
    """Sources give what the site draws: what is used and what is lost."""
    site, c = totals(steady), steady.coupled
    given = site["grid_power_w"] + site["onsite_power_w"] + site["battery_power_w"]
    np.testing.assert_allclose(given, c.meter_power_w, rtol=1e-9)
    used = c.it_power_w + c.cooling_power_w + c.lighting_power_w + c.own_power_w + c.feed_loss_w
    np.testing.assert_allclose(given, used, rtol=1e-6)
    feeds = object_tables(steady)["feeds"].values["power_w"][:, dispatch(steady).gives]
    np.testing.assert_allclose(feeds.sum(axis=1), c.meter_power_w, rtol=1e-9)


def test_an_hour_alone_is_that_hour_of_the_year(year, power, busiest):
    whole = in_service(year, power)
    hours = dispatch(solve_steady(year, busiest), whole)
    np.testing.assert_allclose(hours.grid_w, whole.grid_w[busiest], rtol=1e-6, atol=1.0)
    np.testing.assert_allclose(hours.onsite_w, whole.onsite_w[busiest], rtol=1e-6)


def test_a_battery_shaves_and_charges_in_an_hour_as_in_the_year(alone):
    year, power, hours = alone
    whole = in_service(year, power)
    found = dispatch(solve_steady(year, hours), whole)
    np.testing.assert_allclose(found.grid_w, whole.grid_w[hours], rtol=1e-6, atol=1.0)
    battery = shaving_battery(year.inputs)
    stored = (battery.energy_j - battery.battery.energy_j + whole.shaved.stored_j[hours]) / battery.energy_j
    at = [f.name for f in year.inputs.feeds].index("BESS")
    np.testing.assert_allclose(found.charge_frac[:, at], stored, rtol=1e-6)
    assert found.battery_w[:3].min() > 1e4  # it shaves
    [charges] = np.flatnonzero(np.diff(whole.shaved.stored_j) > 1e9)[:1]
    assert dispatch(solve_steady(year, [int(charges) + 1]), whole).battery_w[0] < -1e4


def test_the_estimated_year_says_what_a_battery_has_in_store(alone):
    year, power, hours = alone
    exact, estimated = dispatch(solve_steady(year, hours), in_service(year, power)), dispatch(solve_steady(year, hours))
    of_the_site = 2e-3 * power.meter_power_w[hours]
    assert np.all(np.abs(estimated.grid_w - exact.grid_w) < of_the_site)
    assert np.all(np.abs(estimated.battery_w - exact.battery_w) < of_the_site)


def test_batteries_hold_the_peak_that_the_demand_charge_counts(year, power):
    """One unit of each source is out in it: drawing, hours, costs and the connection have the same peak."""
    estimated, _ = estimated_year(year)
    charged = supply(replace(estimated, power=power))
    whole = in_service(year, power)
    assert charged.held_w.max() == pytest.approx(whole.held_peak_w)
    assert charged.peak_before_w > charged.held_w.max()  # and it is a lower one
    assert max(charged.grid_w.max(), whole.grid_w.max()) <= whole.held_peak_w * (1 + 1e-9)
    row = next(f.id for f in year.inputs.feeds if f.name == "Fuel cells")
    hour = int(np.argmax(power.meter_power_w))
    steady = solve_steady(year, [hour], [outages(year, f"feed:{row}:1")])
    one_out = dispatch(steady, whole)
    assert one_out.grid_w[0] <= whole.held_peak_w * (1 + 1e-9)
    assert one_out.battery_w[0] > 1e4
    assert quantity_text(supply(estimated).held_w.max(), "W") in supply_text(steady)


def test_the_year_is_the_mean_over_hours_with_units_out(year, power):
    """What costs and carbon count is each hour alone with 0, 1 … units out, by how often so many are."""
    estimated, _ = estimated_year(year)
    [cells] = supply(replace(estimated, power=power)).sources
    row = next(f.id for f in year.inputs.feeds if f.name == "Fuel cells")
    out = [(), *(outages(year, f"feed:{row}:{n}") for n in (1, 2, 3))]
    chances = next(part for part in parts_that_fail(year) if part.name == "Fuel cells").units_out_pmf()
    for hour in HOURS:
        alone = feed(solve_steady(year, [hour] * 4, out), "Fuel cells")["power_w"]
        assert alone[0] > alone[2] > alone[3] == 0
        assert float(chances @ alone) == pytest.approx(cells.power_w[hour], rel=1e-9)


def test_cells_carry_what_they_can_and_the_utility_the_rest(year, busiest):
    steady = solve_steady(year, [DESIGN, *busiest])
    assert_closed(steady)
    cells, utility = feed(steady, "Fuel cells"), feed(steady, "Utility")
    meter_w = steady.coupled.meter_power_w
    np.testing.assert_allclose(cells["power_w"], np.minimum(meter_w, 3 * 325e3), rtol=1e-9)
    np.testing.assert_allclose(cells["load_frac"], cells["power_w"] / (3 * 325e3))
    assert utility["power_w"].max() <= year.inputs.site.grid_limit_w
    assert utility["load_frac"] == pytest.approx(utility["power_w"] / 2e6)
    assert "Batteries hold the grid to" in supply_text(steady)


def test_a_failed_cell_leaves_its_part_to_battery_and_grid(year):
    row = next(f.id for f in year.inputs.feeds if f.name == "Fuel cells")
    steady = solve_steady(year, [DESIGN, DESIGN], [(), outages(year, f"feed:{row}:1")])
    assert_closed(steady)
    cells, site = feed(steady, "Fuel cells"), totals(steady)
    assert cells["power_w"] == pytest.approx([975e3, 650e3])
    rest = site["grid_power_w"] + site["battery_power_w"]
    assert rest[1] - rest[0] == pytest.approx(325e3)
    assert site["battery_power_w"][1] <= 1.25e6


def test_without_the_utility_generators_have_the_load_and_the_battery_keeps_its_charge(year):
    row = next(f.id for f in year.inputs.feeds if f.name == "Utility")
    steady = solve_steady(year, [DESIGN, DESIGN], [(), outages(year, f"feed:{row}:1")])
    assert_closed(steady)
    site = totals(steady)
    assert site["grid_power_w"][1] == site["battery_power_w"][1] == 0
    assert site["onsite_power_w"][1] == pytest.approx(steady.coupled.meter_power_w[1])
    assert feed(steady, "Generators")["power_w"] == pytest.approx([0, steady.coupled.meter_power_w[1]])
    assert feed(steady, "Battery")["charge_frac"][1] == 1.0
    assert feed(steady, "Fuel cells")["power_w"][1] == 0  # they run beside the utility, and wait for it


def test_cells_that_stand_behind_the_utility_alone_carry_the_site_without_it(sample_inputs):
    inputs = with_engines(sample_inputs("sterling/gb200-nvl72"))
    year = described(inputs)
    row = next(f.id for f in inputs.feeds if f.name == "Utility")
    steady = solve_steady(year, [DESIGN, DESIGN], [(), outages(year, f"feed:{row}:1")])
    assert_closed(steady)
    engines = feed(steady, "Generators")
    assert engines["power_w"][1] == pytest.approx(steady.coupled.meter_power_w[1])
    assert engines["load_frac"][1] == pytest.approx(engines["power_w"][1] / 9e6)
    assert totals(steady)["grid_power_w"][1] == 0


def test_an_island_gives_everything(sample_inputs):
    inputs = with_engines(sample_inputs("sterling/gb200-nvl72"), island=True)
    steady = solve_steady(described(inputs), [DESIGN, 100])
    assert_closed(steady)
    assert totals(steady)["grid_power_w"].tolist() == [0, 0]
    assert feed(steady, "Generators")["power_w"] == pytest.approx(steady.coupled.meter_power_w)


def test_a_battery_of_which_a_unit_is_out_gives_by_as_much_less(sample_inputs):
    inputs = with_battery(sample_inputs("sterling/gb200-nvl72"), n_units=2, reserve_frac=0.9)
    year = described(inputs)
    row = next(f.id for f in inputs.feeds if f.name == "BESS")
    out = [(), outages(year, f"feed:{row}:1"), outages(year, f"feed:{row}:2")]
    steady = solve_steady(year, [DESIGN] * 3, out)
    assert_closed(steady)
    both, one, none = totals(steady)["battery_power_w"]
    assert both > 0
    assert none == 0
    assert one == pytest.approx(min(both, 0.5 * 1e6))  # half of a tenth of 10 MWh, in an hour


def test_hours_of_no_year_leave_a_battery_unknown(year):
    """Readings have times, not an hour of a year: nobody knows what a battery had then."""
    steady = solve_steady(at_hours(year, HOURS), range(len(HOURS)))
    assert np.isnan(feed(steady, "Battery")["power_w"]).all()
    utility, cells = feed(steady, "Utility")["power_w"], feed(steady, "Fuel cells")["power_w"]
    assert utility + cells == pytest.approx(steady.coupled.meter_power_w)


def test_sources_sum_to_the_sites_meter_in_what_sensors_may_close(year):
    points = predicted_points(solve_steady(at_hours(year, HOURS), range(len(HOURS))))
    rows = coverage(year.inputs, rack_objects(year.inputs), points, points)
    of_sources = next(row for row in rows if row["sum_of"].endswith("sources"))
    assert (of_sources["meter"], of_sources["state"]) == ("site|power_w", CLOSES)
    assert of_sources["predicted_ratio"] == pytest.approx(1.0)
    assert not any(row["meter"].startswith("feed/Utility") for row in rows)  # which has less than what hangs on it


def test_what_nothing_hangs_on_has_no_rating_to_be_near(year):
    """Cells at their rating all year are no limit, and none that is unused."""
    sound = {row.object for row in margins(solve_steady(year, [DESIGN])) if row.kind == "feed rating"}
    assert {"Utility", "Generators", "Transformer A"} <= sound
    assert not {"Fuel cells", "Battery"} & sound


def test_engines_that_have_the_load_of_a_lost_utility_have_a_margin(sample_inputs):
    inputs = with_engines(sample_inputs("sterling/gb200-nvl72"))
    year = described(inputs)
    row = next(f.id for f in inputs.feeds if f.name == "Utility")
    steady = solve_steady(year, [DESIGN], [outages(year, f"feed:{row}:1")])
    [left] = [row.value for row in margins(steady) if (row.object, row.kind) == ("Generators", "feed rating")]
    assert left == pytest.approx(1 - steady.coupled.meter_power_w[0] / 9e6, rel=1e-3)


def test_a_layout_on_the_grid_alone_says_nothing_of_sources(sample_inputs):
    year = described(layout_inputs(sample_inputs("sterling/gb200-nvl72")))
    steady = solve_steady(year, [DESIGN])
    assert_closed(steady)
    assert totals(steady)["grid_power_w"] == pytest.approx(steady.coupled.meter_power_w)
    assert supply_text(steady) == ""
