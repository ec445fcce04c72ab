"""Capital follows what is drawn: fewer CDUs, other redundancy and another region cost something else."""

from dataclasses import replace

import pytest

from facility.models import Layout
from power_cooling.site_facts.prices import unit_price_usd
from tests.shipped import CATALOGUE, SAMPLES, load_shipped
from twin.core.inputs.layout import LayoutInputs
from twin.core.results import capital
from twin.core.results.economics import (
    BUILDING,
    PLANT,
    SYSTEMS_AND_NETWORK,
    Quantities,
    capital_lines,
    capital_recovery_frac,
    capital_usd,
    prices_of,
    real_rate_frac,
    yearly_costs,
)
from twin.core.rules.design_load import rack_design
from twin.runs.snapshot import inputs_now

NAMEPLATE_W = 7e6


@pytest.fixture
def inputs(db) -> LayoutInputs:
    """Return the sample of Sterling with ten CDUs under its scenario."""
    load_shipped(CATALOGUE, SAMPLES)
    layout = Layout.objects.select_related("site").get(site__slug="sterling", slug="gb200-nvl72")
    return inputs_now(layout, layout.site.scenarios.select_related("weather").first())


def used(inputs: LayoutInputs) -> Quantities:
    items = capital.capital_items(inputs)
    return Quantities(
        input_tokens=0.0,
        good_tokens=1e12,
        prompt_frac=0.0,
        output_tokens=1e12,
        it_capital_usd=capital.group_usd(items, capital.SYSTEMS),
        plant_usd=capital.group_usd(items, capital.POWER, capital.COOLING),
        nameplate_power_w=NAMEPLATE_W,
        energy_j=1e14,
        peak_power_w=7e6,
        water_m3=0.0,
        carbon_kg=0.0,
        liquid_frac=1.0,
        n_accelerators=6912,
        rent_usd_per_h=None,
    )


def bill(inputs: LayoutInputs) -> dict[str, float]:
    return {line.item: line.usd_per_year for line in yearly_costs(used(inputs), prices_of(inputs)[0])}


def test_eight_of_ten_cdus_less_cost_less_by_what_they_cost_installed(inputs):
    fewer = replace(inputs, cdus=inputs.cdus[:2])
    assert len(inputs.cdus) == 10
    prices, _ = prices_of(inputs)
    price = inputs.facts(inputs.cdus[0].product_id)["price_estimate_usd"]
    less = capital_usd(used(inputs), prices)[PLANT] - capital_usd(used(fewer), prices)[PLANT]
    assert less == pytest.approx(8 * price * prices.installation_factor)  # Virginia has the United States' factor, 1
    before, after = bill(inputs), bill(fewer)
    rate, years = real_rate_frac(prices), prices.plant_years
    worn = 1 - prices.plant_residual_frac * (1 + rate) ** -years
    a_year = less * (worn * capital_recovery_frac(rate, years) + prices.facility_maintenance_frac)
    assert sum(before.values()) - sum(after.values()) == pytest.approx(a_year)
    assert {item for item in before if before[item] != after[item]} == {PLANT, "Facility maintenance"}


@pytest.mark.slow
@pytest.mark.parametrize("table", ["feeds", "plants", "halls"])
def test_every_kind_of_part_counts(inputs, table):
    rows = getattr(inputs, table)
    more = {
        "feeds": lambda row: replace(row, n_units=row.n_units + 1),
        "plants": lambda row: replace(row, n_pumps=row.n_pumps + 1),
        "halls": lambda row: replace(row, n_air_units=row.n_air_units + 1),
    }[table]
    bigger = replace(inputs, **{table: tuple(more(row) for row in rows)})
    assert used(bigger).plant_usd > used(inputs).plant_usd


def test_the_drawn_plant_stands_in_for_the_published_one(inputs):
    """A usual 2N design costs as much in all as the published cost of a facility says, within its range."""
    prices, bounds = prices_of(inputs)
    lines = {line.item: line for line in capital_lines(used(inputs), prices, bounds)}
    per_w = (lines[PLANT].usd + lines[BUILDING].usd) / float(rack_design(inputs).power_w.sum())
    low, high, _ = bounds["facility_usd_per_w"]
    assert low < per_w < high
    for line in lines.values():
        assert line.low_usd < line.usd < line.high_usd
    assert set(lines) == {SYSTEMS_AND_NETWORK, PLANT, BUILDING}


def test_a_region_with_a_published_cost_builds_at_it(inputs):
    facts = {**inputs.site.region.facts, "facility_capex": "tt_tokyo"}
    tokyo = replace(inputs, site=replace(inputs.site, region=replace(inputs.site.region, facts=facts)))
    here, there = (capital_usd(used(one), prices_of(one)[0]) for one in (inputs, tokyo))
    assert there[PLANT] / here[PLANT] == there[BUILDING] / here[BUILDING] == pytest.approx(15.2 / 11.0)
    assert there[SYSTEMS_AND_NETWORK] == here[SYSTEMS_AND_NETWORK]  # systems have one price everywhere


def test_products_without_a_price_are_named_and_batteries_are_priced_by_energy(inputs):
    items = capital.capital_items(inputs)
    assert [item.product for item in items if item.usd is None] == []
    assert unit_price_usd("bess", {"price_estimate_usd_per_kwh": 190.0, "energy_j": 3.6e9}) == pytest.approx(190_000)
    assert unit_price_usd("cdus", {}) is None
