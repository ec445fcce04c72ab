"""A sample's battery that shaves peaks: peak, charge over the hours, money, reserve, refusals and the site file."""

import numpy as np
import pytest
from django.core.exceptions import ValidationError

from facility.catalogue import entries
from facility.models import PowerFeed
from facility.services import part_save
from tests.small_inputs import FEED, sheet
from tests.small_run import small_scenario
from tests.small_site import product
from twin.core.inputs.feeds import battery_s, tree_of
from twin.core.inputs.generation import shaving_battery
from twin.core.inputs.layout import layout_inputs
from twin.core.results import economics, generation
from twin.core.results.details import RunDetails, run_details
from twin.core.results.figures import figures_of_merit, money, served_in
from twin.core.solve.estimate import estimated_year
from twin.core.solve.simulate import described
from twin.core.text.json_rows import as_json
from twin.interchange.site_file import site_export, site_import

BESS = entries("bess")["bess-lfp-4h"]  # 1.25 MW, 5 MWh, 87 % round trip

pytestmark = pytest.mark.django_db


def with_battery(stored, **changes):
    """Return a sample with a battery at its utility."""
    stored["products"]["by_id"]["999998"] = sheet("bess", "bess", name="BESS", facts=BESS)
    [grid] = [feed for feed in stored["feeds"] if feed["kind"] == "utility"]
    battery = FEED | {"id": 999998, "name": "BESS", "kind": "bess", "parent_id": grid["id"], "product_id": 999998}
    stored["feeds"].append(battery | {"operation": "shaving", "reserve_frac": 0.5} | changes)
    return layout_inputs(stored)


@pytest.fixture(scope="module")
def years(sample_inputs):
    path = "sterling/gb200-nvl72"
    inputs = {"none": layout_inputs(sample_inputs(path)), "shaved": with_battery(sample_inputs(path))}
    return {name: estimated_year(described(each))[0] for name, each in inputs.items()}


@pytest.mark.compiled
@pytest.mark.slow
def test_a_battery_lowers_the_peak_its_charge_and_the_bill(years):
    none, shaved = years["none"], years["shaved"]
    supplied = generation.supply(shaved)
    before, after = (figures_of_merit(year, served_in(year))["peak_grid_power_w"] for year in (none, shaved))
    assert before == pytest.approx(supplied.peak_before_w, rel=1e-6)
    assert before - 1.25e6 <= after < 0.99 * before
    assert supplied.grid_w.max() <= after * (1 + 1e-9)
    charge_j = supplied.shaved.stored_j
    assert charge_j.shape == supplied.grid_w.shape
    assert 0 <= charge_j.min() < charge_j.max() <= 9e9 * (1 + 1e-12)  # half of 5 MWh
    # What comes from the grid is what the site draws and what charging loses.
    lost_j = (supplied.grid_w - shaved.power.meter_power_w).sum() * 3600
    assert lost_j > 0
    given_j = np.maximum(shaved.power.meter_power_w - supplied.grid_w, 0).sum() * 3600
    assert lost_j == pytest.approx(given_j * (1 / 0.87 - 1), rel=0.02)
    taken_j = np.maximum(supplied.grid_w - shaved.power.meter_power_w, 0).sum() * 3600
    assert supplied.battery_loss_w * 8760 * 3600 == pytest.approx(0.13 * taken_j)
    used, prices, _ = money(shaved, served_in(shaved))
    row = generation.shaving_row(supplied, prices.demand_charge_usd_per_kw_month)
    used_before, _, _ = money(none, served_in(none))
    charge = {
        name: next(i.usd_per_year for i in economics.yearly_costs(each, prices) if i.item == "Demand charge")
        for name, each in (("before", used_before), ("after", used))
    }
    assert row.saved_usd_per_year == pytest.approx(charge["before"] - charge["after"], rel=1e-3)
    assert (row.names, row.energy_j, row.reserve_j) == (("BESS",), 1.8e10, 9e9)
    assert row.reserve_s == pytest.approx(9e9 / before, rel=1e-6)
    assert row.lowest_charge_frac >= 0.5
    assert used.energy_j > used_before.energy_j
    assert used.plant_usd - used_before.plant_usd == pytest.approx(5000 * 190)
    assert run_details(as_json(RunDetails(shaving=row))).shaving == row


def test_ride_through_counts_on_the_reserve_alone(sample_inputs):
    lasts = {}
    for name, changes in (
        ("standby", {"operation": "standby"}),
        ("half", {}),
        ("none", {"reserve_frac": 0.0}),
    ):
        inputs = with_battery(sample_inputs("sterling/gb200-nvl72"), **changes)
        tree = tree_of(inputs)
        load_w = np.full(tree.n_nodes, 1e6)
        lasts[name] = battery_s(inputs, tree, load_w)[tree.index("Utility")]
    assert lasts["half"] == pytest.approx(lasts["standby"] / 2)
    assert lasts["none"] == 0


def test_batteries_add_up_and_a_whole_reserve_shaves_nothing(sample_inputs):
    inputs = with_battery(sample_inputs("sterling/gb200-nvl72"), n_units=3, reserve_frac=0.2)
    found = shaving_battery(inputs)
    assert (found.energy_j, found.battery.power_w) == (5.4e10, 3.75e6)
    assert found.battery.energy_j == pytest.approx(0.8 * 5.4e10)
    assert found.battery.efficiency_frac == pytest.approx(0.87)
    full = shaving_battery(with_battery(sample_inputs("sterling/gb200-nvl72"), reserve_frac=1.0))
    assert full.battery.energy_j == 0
    assert shaving_battery(layout_inputs(sample_inputs("sterling/gb200-nvl72"))) is None


def test_only_a_battery_with_a_product_shaves(db):
    layout, _ = small_scenario()
    utility = layout.power_feeds.get(kind="utility")
    for kind, changes, message in (
        ("switchboard", {"rating_w": 1e6}, "Feed B is a switchboard; only battery storage shaves"),
        ("bess", {"rating_w": 1e6}, "Battery B shaves peaks: name a product"),
        ("bess", {"product": product("bess", "bess-lfp-4h"), "reserve_frac": 1.5}, "less than or equal to 1"),
    ):
        feed = PowerFeed(layout=layout, name="B", kind=kind, parent=utility, operation="shaving", **changes)
        with pytest.raises(ValidationError, match=message):
            feed.full_clean()


def test_a_battery_and_its_reserve_move_in_the_site_file(db):
    layout, _ = small_scenario()
    utility = layout.power_feeds.get(kind="utility")
    made = PowerFeed(layout=layout, name="B", kind="bess", parent=utility, operation="shaving", reserve_frac=0.25)
    made.product = product("bess", "bess-lfp-4h")
    part_save(part=made)
    content = site_export(site=layout.site)
    layout.site.delete()
    again = site_import(content=content)
    feed = again.layouts.get(slug="first").power_feeds.get(name="B")
    assert (feed.operation, feed.reserve_frac) == ("shaving", 0.25)
    assert site_export(site=again) == content
