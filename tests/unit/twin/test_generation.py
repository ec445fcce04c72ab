"""On-site generation of a sample: beside the utility and as an island, its money, carbon, failures and refusals."""

import numpy as np
import pytest
from django.core.exceptions import ValidationError

from facility.catalogue import entries
from facility.models import PowerFeed
from facility.services import part_save
from tests.small_inputs import sheet
from tests.small_run import small_scenario
from tests.small_site import product
from twin.core.comparison.sensitivity import variations
from twin.core.inputs.feed_ratings import parallel_utilities, standby_generators
from twin.core.inputs.generation import prime_movers
from twin.core.inputs.layout import layout_inputs
from twin.core.results import economics, generation
from twin.core.results.details import RunDetails, run_details
from twin.core.results.figures import energy_flow, figures_of_merit, mean_power_by_part_w, money, served_in
from twin.core.results.generation import supply
from twin.core.solve.estimate import estimated_year
from twin.core.solve.simulate import described
from twin.core.text.json_rows import as_json
from twin.interchange.site_file import site_export, site_import
from twin.runs.findings import layout_findings
from twin.runs.snapshot import snapshot

ENGINE = entries("generators")["genset-gas-recip-4mw"]
GAS = entries("fuels")["natural-gas"]

pytestmark = pytest.mark.django_db


def with_engines(stored, *, island=False, **changes):
    """Return a sample's snapshot whose generators are gas engines that run all year."""
    stored["products"]["by_id"]["999999"] = sheet("generators", "engine", name="Engine", facts=ENGINE)
    feeds = stored["feeds"]
    [engines] = [feed for feed in feeds if feed["kind"] == "generator"]
    engines |= {
        "product_id": 999999,
        "rating_w": None,
        "n_units": 2,
        "redundancy": "N+1",
        "operation": "prime",
    } | changes
    if island:
        [grid] = [feed for feed in feeds if feed["kind"] == "utility"]
        feeds.remove(grid)
        for feed in feeds:
            if feed["parent_id"] == grid["id"]:
                feed["parent_id"] = engines["id"]
    return layout_inputs(stored)


@pytest.fixture(scope="module")
def years(sample_inputs):
    """Return a sample's estimated year on the grid, with engines beside it, and with engines alone."""
    path = "sterling/gb200-nvl72"
    inputs = {
        "grid": layout_inputs(sample_inputs(path)),
        "beside": with_engines(sample_inputs(path)),
        "island": with_engines(sample_inputs(path), island=True),
        "small": with_engines(sample_inputs(path), island=True, n_units=1, rating_w=2e6, redundancy="N"),
    }
    return {name: estimated_year(described(each))[0] for name, each in inputs.items()}


@pytest.fixture(scope="module")
def figures(years):
    return {name: figures_of_merit(year, served_in(year)) for name, year in years.items()}


@pytest.mark.compiled
@pytest.mark.slow
def test_engines_beside_the_grid_leave_it_little_and_bring_their_fuel_and_carbon(years, figures):
    year = years["beside"]
    supplied = generation.supply(year)
    [source], grid_w = supplied.sources, supplied.grid_w
    assert grid_w + source.power_w == pytest.approx(year.power.meter_power_w, rel=1e-9)
    assert source.power_w.mean() / year.power.meter_power_w.mean() == pytest.approx(0.994, abs=0.003)
    # With one engine out the other gives 4.5 MW; the grid stands ready for the rest, and has its charge.
    peak_w = year.power.meter_power_w.max()
    assert figures["beside"]["peak_grid_power_w"] == pytest.approx(peak_w - 4.5e6, rel=1e-6)
    used, prices, bounds = money(year, served_in(year))
    assert used.fuel_usd == pytest.approx(source.fuel_w.mean() * 8760 / 1e3 * 0.017, rel=1e-3)
    assert used.peak_power_w == figures["beside"]["peak_grid_power_w"]
    bill = {item.item: item.usd_per_year for item in economics.yearly_costs(used, prices)}
    assert bill["Fuel"] == pytest.approx(used.fuel_usd)
    assert bill["On-site generation"] == pytest.approx(source.power_w.mean() * 8760 / 1e3 * 0.016, rel=1e-3)
    assert bounds["fuel_price_frac"][:2] == pytest.approx((0.011 / 0.017, 0.027 / 0.017))
    # 0.202 kg per kWh of fuel at some 43 %, and the grid's 0.3 for the rest
    at_meter = figures["beside"]["cue_kg_per_kwh"] / figures["beside"]["pue"]
    assert at_meter == pytest.approx(0.202 / 0.433, rel=0.01)
    assert figures["grid"]["cue_kg_per_kwh"] / figures["grid"]["pue"] == pytest.approx(0.3)
    assert figures["beside"]["output_tokens_per_s"] == pytest.approx(figures["grid"]["output_tokens_per_s"])
    links = {(row.source, row.target): row.energy_j for row in energy_flow(year, supply(year))}
    assert links["Natural gas", "Generators"] > links["Generators", "Heat of generation"] > 0
    into = sum(joules for (origin, _), joules in links.items() if origin in ("Grid", "Generators"))
    drawn_j = sum(mean_power_by_part_w(year).values()) * 8760 * 3600
    assert into - links["Generators", "Heat of generation"] == pytest.approx(drawn_j)


@pytest.mark.compiled
@pytest.mark.slow
def test_an_island_draws_nothing_from_the_grid_and_its_failures_cost_tokens(years, figures):
    assert figures["island"]["peak_grid_power_w"] == 0
    assert figures["island"]["provisioned_power_w"] == 4.5e6  # of two engines one is spare
    assert money(years["island"], served_in(years["island"]))[0].energy_j == 0
    # The grid fails far less often than engines do, and the standby behind it is gone.
    assert figures["grid"]["availability_frac"] - figures["island"]["availability_frac"] > 0.01
    assert figures["beside"]["availability_frac"] == pytest.approx(figures["grid"]["availability_frac"], abs=1e-4)
    # An engine too small sheds load, which no one else carries.
    assert years["small"].power.meter_power_w.max() < 2e6 * (1 + 1e-6)
    assert figures["small"]["output_tokens_per_s"] < 0.6 * figures["grid"]["output_tokens_per_s"]
    [source] = generation.generated(years["island"])
    assert np.array_equal(source.one_out_w, source.power_w)


@pytest.mark.compiled
@pytest.mark.slow
def test_what_is_shown_of_a_source_agrees_with_the_bill(years):
    year = years["beside"]
    used, prices, _ = money(year, served_in(year))
    sources = generation.generated(year)
    installed = prices.plant_price_frac * prices.installation_factor * prices.region_factor
    [row] = generation.generation_rows(year, sources, installed, economics.plant_payment_frac(prices))
    assert (row.beside, row.n_units, row.unit_rating_w) == ("Utility", 2, 4.5e6)
    assert row.fuel_usd_per_year == pytest.approx(used.fuel_usd)
    assert row.capital_usd == pytest.approx(2 * 5.5e6 * installed)
    assert row.efficiency_frac == pytest.approx(0.433, abs=0.003)
    kwh = row.mean_power_w * 8.76
    paid = row.capital_usd * economics.plant_payment_frac(prices)
    assert row.usd_per_kwh == pytest.approx((row.fuel_usd_per_year + row.maintenance_usd_per_year + paid) / kwh)
    assert economics.capital_payments_usd(used, prices)[economics.PLANT] == pytest.approx(
        economics.capital_usd(used, prices)[economics.PLANT] * economics.plant_payment_frac(prices)
    )
    assert run_details(as_json(RunDetails(generation=(row,)))).generation == (row,)


def test_the_price_of_fuel_is_the_scenarios_the_regions_or_the_fuels(sample_inputs):
    def price(region=None, scenario=None):
        stored = sample_inputs("sterling/gb200-nvl72")
        stored["scenario"]["fuel_usd_per_kwh"] = scenario
        stored["site"]["region"]["facts"] |= {} if region is None else {"gas_usd_per_kwh": region}
        [mover] = prime_movers(with_engines(stored))
        return mover.fuel_usd_per_kwh

    assert price() == GAS["fuel_usd_per_kwh"]
    assert price(region=0.05) == 0.05
    assert price(region=0.05, scenario=0.03) == 0.03


def test_every_input_of_generation_is_in_the_tornado(sample_inputs):
    before = {variation.input for variation in variations(layout_inputs(sample_inputs("sterling/gb200-nvl72")))}
    now = {variation.input for variation in variations(with_engines(sample_inputs("sterling/gb200-nvl72")))}
    assert any("Price of fuel" in name for name in now - before)
    assert not any("Price of fuel" in name for name in before)


def test_a_source_without_a_known_fuel_is_refused_by_name(sample_inputs):
    stored = sample_inputs("sterling/gb200-nvl72")
    stored["products"]["fuels"] = {}
    with pytest.raises(
        ValueError, match="Feed Generators runs all year, but its product Engine states fuel natural-gas"
    ):
        described(with_engines(stored))


def test_prime_generators_stand_behind_the_utility_last_and_islands_never(sample_inputs):
    beside = with_engines(sample_inputs("sterling/gb200-nvl72"))
    assert list(parallel_utilities(beside.feeds).values()) == ["Utility"]
    assert list(standby_generators(beside.feeds).values()) == ["Generators"]
    island = with_engines(sample_inputs("sterling/gb200-nvl72"), island=True)
    assert (parallel_utilities(island.feeds), standby_generators(island.feeds)) == ({}, {})


def test_the_only_generator_that_waits_stands_behind_the_utility_whatever_runs_beside_it(sample_inputs):
    feeds = layout_inputs(sample_inputs("bay-area/gb300-nvl72-pod")).feeds
    assert list(parallel_utilities(feeds)) == [feed.id for feed in feeds if feed.name == "Fuel cells"]
    assert list(standby_generators(feeds).values()) == ["Generators"]
    cells_alone = [feed for feed in feeds if feed.name != "Generators"]
    assert list(standby_generators(cells_alone).values()) == ["Fuel cells"]


@pytest.fixture
def prime(db):
    layout, scenario = small_scenario()
    product("fuels", "natural-gas")
    made = PowerFeed(layout=layout, name="Engines", kind="generator", n_units=1, operation="prime")
    made.product = product("generators", "genset-gas-recip-4mw")
    return part_save(part=made), scenario


def test_only_a_generator_with_a_fuel_runs_all_year(prime):
    engines, _ = prime
    board = PowerFeed(
        layout=engines.layout, name="B", kind="switchboard", parent=engines, rating_w=1e6, operation="prime"
    )
    with pytest.raises(ValidationError, match="Feed B is a switchboard; only a generator is prime"):
        board.full_clean()
    for changes, message in (
        ({"product": None, "rating_w": 1e6}, "it has no product"),
        ({"product": product("generators", "fuel-cell-sofc-325kw")}, None),
    ):
        other = PowerFeed(layout=engines.layout, name="G", kind="generator", operation="prime", **changes)
        if message is None:
            other.full_clean()
            continue
        with pytest.raises(ValidationError, match=message):
            other.full_clean()


def test_a_generator_that_feeds_all_year_must_be_described_so(prime):
    engines, _ = prime
    feeds = PowerFeed.objects.filter(layout=engines.layout)
    feeds.filter(parent__kind="utility").update(parent=engines)

    def rules():
        return {(f.object_name, f.rule): f.severity for f in layout_findings(engines.layout)}

    assert ("Engines", "standby feeds") not in rules()
    feeds.filter(pk=engines.pk).update(operation="standby")
    assert rules()["Engines", "standby feeds"] == "risk"
    feeds.filter(pk=engines.pk).update(operation="prime", rating_w=1e3)
    assert rules()["Engines", "island"] == "blocking"
    feeds.filter(kind="utility").delete()
    assert "no utility" not in {rule for _, rule in rules()}


def test_operation_and_price_of_fuel_move_in_the_site_file(prime):
    engines, scenario = prime
    scenario.fuel_usd_per_kwh = 0.04
    scenario.save()
    site = engines.layout.site
    assert snapshot(engines.layout, scenario)["scenario"]["fuel_usd_per_kwh"] == 0.04
    content = site_export(site=site)
    site.delete()
    again = site_import(content=content)
    layout = again.layouts.get(slug="first")
    assert layout.power_feeds.get(name="Engines").operation == "prime"
    assert again.scenarios.get().fuel_usd_per_kwh == 0.04
    assert site_export(site=again) == content
