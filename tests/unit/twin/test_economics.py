"""Costs against values worked by hand."""

from dataclasses import replace

import pytest

from twin.core.results.economics import (
    Prices,
    Quantities,
    capital_recovery_frac,
    colocated_costs,
    options,
    owned_cost_usd,
    price_band_log,
    price_ends,
    real_rate_frac,
    rented_cost_usd,
    rented_costs,
    sensitivities,
    yearly_costs,
)

USED = Quantities(
    input_tokens=0.0,
    good_tokens=0.0,
    prompt_frac=0.0,
    output_tokens=1e12,
    it_capital_usd=1e6,
    plant_usd=2e5,
    nameplate_power_w=1e5,
    energy_j=3.6e12,
    peak_power_w=9e4,
    water_m3=500,
    carbon_kg=4e5,
    liquid_frac=0.5,
    n_accelerators=8,
    rent_usd_per_h=20.0,
)
PRICES = Prices(
    electricity_usd_per_kwh=0.1,
    demand_charge_usd_per_kw_month=10,
    water_usd_per_m3=2,
    facility_usd_per_w=10,
    plant_share_frac=0.6,
    installation_factor=2.0,
    region_factor=1.5,
    liquid_premium_frac=0.1,
    systems_price_frac=1.0,
    plant_price_frac=1.0,
    wacc_frac=0.133,
    inflation_frac=0.03,  # leaves 10 %
    accelerator_years=5,
    plant_years=15,
    facility_years=20,
    systems_residual_frac=0.3,
    plant_residual_frac=0.0,
    facility_residual_frac=0.3,
    network_frac=0.1,
    storage_frac=0.05,
    hardware_maintenance_frac=0.04,
    facility_maintenance_frac=0.02,
    staff_fte_per_mw=0.5,
    staff_usd_per_fte=100_000,
    staff_it_share_frac=0.4,
    carbon_usd_per_t=50,
    colocation_usd_per_kw_month=180,
    rent_frac=1.0,
    licence_usd_per_accelerator=4500,
)


def test_capital_recovery_matches_the_annuity_formula():
    # 10 % over 5 years: 0.1 / (1 - 1.1^-5) = 0.263797
    assert capital_recovery_frac(0.1, 5) == pytest.approx(0.2637975, rel=1e-6)
    assert capital_recovery_frac(0.0, 4) == 0.25


def test_capital_recovery_refuses_a_life_of_no_years():
    with pytest.raises(ValueError, match="0 years"):
        capital_recovery_frac(0.1, 0)


def test_each_line_of_the_bill_is_worked_by_hand():
    bill = {line.item: line.usd_per_year for line in yearly_costs(USED, PRICES)}
    assert bill["Energy"] == pytest.approx(1e6 * 0.1)  # 3.6e12 J = 1e6 kWh
    assert bill["Demand charge"] == pytest.approx(90 * 12 * 10)
    assert bill["Water"] == pytest.approx(1000)
    assert real_rate_frac(PRICES) == pytest.approx(0.1)
    # After 5 years 0.3^(5/3) = 0.134428 of the systems is left, worth 0.134428 / 1.1^5 = 0.083469 of the price today.
    assert bill["Systems, network and storage"] == pytest.approx(1.15e6 * (1 - 0.083469) * 0.2637975, rel=1e-5)
    assert bill["Power and cooling as drawn, installed"] == pytest.approx(2e5 * 2.0 * 1.5 * 0.1314738, rel=1e-6)
    building = 1e6 * 0.4 * 1.05  # half of the power is cooled by liquid, which costs a tenth more
    assert bill["Building, site and engineering"] == pytest.approx(
        building * (1 - 0.3 * 0.1486436) * 0.1174596, rel=1e-6
    )
    assert bill["Carbon"] == pytest.approx(400 * 50)
    assert bill["Hardware maintenance"] == pytest.approx(46_000)
    assert bill["Facility maintenance"] == pytest.approx(0.02 * (6e5 + 4.2e5))
    assert bill["Staff"] == pytest.approx(0.1 * 0.5 * 100_000)
    assert bill["Software licences"] == pytest.approx(36_000)


def test_cost_per_million_tokens_is_the_bill_over_the_tokens():
    total = sum(line.usd_per_year for line in yearly_costs(USED, PRICES))
    assert owned_cost_usd(USED, PRICES) == pytest.approx(total / 1e6)
    assert rented_cost_usd(USED, PRICES) == pytest.approx(
        sum(line.usd_per_year for line in rented_costs(USED, PRICES)) / 1e6
    )


def test_no_tokens_have_no_cost_per_token():
    assert owned_cost_usd(replace(USED, output_tokens=0.0), PRICES) is None
    assert rented_cost_usd(replace(USED, rent_usd_per_h=None), PRICES) is None


def test_sensitivities_come_largest_first_and_bracket_the_cost():
    lines = sensitivities(
        USED, PRICES, {"electricity_usd_per_kwh": (0.05, 0.2, "$/kWh"), "wacc_frac": (0.05, 0.15, "1/yr")}
    )
    swings = [line.cost_high_usd - line.cost_low_usd for line in lines]
    assert swings == sorted(swings, reverse=True)
    for line in lines:
        assert line.cost_low_usd < owned_cost_usd(USED, PRICES) < line.cost_high_usd


def test_renting_and_colocating_pay_for_the_same_service_as_owning():
    owned, colocated, rented = (
        {line.item: line.usd_per_year for line in costs}
        for costs in (yearly_costs(USED, PRICES), colocated_costs(USED, PRICES), rented_costs(USED, PRICES))
    )
    for bill in (colocated, rented):
        assert bill["Software licences"] == owned["Software licences"]
        assert bill["Staff"] == pytest.approx(0.4 * owned["Staff"])  # the landlord's or provider's price holds the rest
    assert rented["Rent"] == pytest.approx(20 * 8760)
    assert rented["Storage"] > 0
    assert colocated["Colocation"] == pytest.approx(100 * 12 * 180)
    for item in ("Energy", "Demand charge", "Carbon", "Hardware maintenance", "Systems, network and storage"):
        assert colocated[item] == owned[item]


def test_owning_wins_when_its_savings_have_paid_for_what_was_built():
    own, colocated, rented = options(USED, PRICES)
    assert own.owning_wins_month is None
    assert own.usd_at_start == pytest.approx(1.15e6 + 6e5 + 4.2e5)
    assert colocated.usd_at_start == pytest.approx(1.15e6)
    assert rented.owning_wins_month is None  # at 20 $ an hour building never pays
    undiscounted, costly = replace(PRICES, wacc_frac=0.0, inflation_frac=0.0), replace(USED, rent_usd_per_h=200.0)
    own, _, rented = options(costly, undiscounted)
    running = sum(line.usd_per_year for line in own.items[3:])  # behind three lines of capital
    saved_a_month = (rented.usd_per_year - running) / 12
    assert rented.owning_wins_month == int(own.usd_at_start / saved_a_month) + 1
    assert options(costly, PRICES)[2].owning_wins_month >= rented.owning_wins_month


def test_the_band_of_a_cost_holds_prices_lives_and_licences():
    bounds = {"accelerator_years": (4, 6, "yr"), "licence_usd_per_accelerator": (0, 4500, "$")}

    below, above = price_band_log(owned_cost_usd, USED, PRICES, price_ends(PRICES, bounds))
    alone = (price_ends(PRICES, {name: ends}) for name, ends in bounds.items())
    one, other = (price_band_log(owned_cost_usd, USED, PRICES, ends) for ends in alone)
    assert below < min(one[0], other[0]) < 0
    assert below == pytest.approx(-((one[0] ** 2 + other[0] ** 2) ** 0.5))
    assert above == pytest.approx(one[1])  # the licence stands at its high end
    assert other[1] == 0.0
    nothing_made = replace(USED, output_tokens=0.0)
    assert price_band_log(owned_cost_usd, nothing_made, PRICES, price_ends(PRICES, bounds)) == (0.0, 0.0)
