"""The coolant at which tokens start to be lost, against the solver at that coolant."""

from dataclasses import replace

import numpy as np
import pytest

from power_cooling.site_arrays import RackBank
from tests.unit.twin.test_simulate import take_hours
from twin.core.inputs.layout import layout_inputs
from twin.core.results.throttling import onset_flow_frac, resistance_k_per_w, throttle_margins
from twin.core.solve.estimate import estimated_year
from twin.core.solve.simulate import described, solve
from twin.core.solve.steady import solve_steady

NEAR_K = 0.05  # above and below; the margin itself is exact to the solver's 1e-10 K and series' seven digits

pytestmark = [pytest.mark.django_db, pytest.mark.compiled]


@pytest.fixture(scope="module")
def solved(sample_inputs):
    """Return the 45 °C sample over some hours of its year."""
    raw = sample_inputs("sterling/vera-rubin-nvl72")
    take_hours(raw, every=60)
    return solve(layout_inputs(raw), lambda stage, frac: None)


def hottest_clock(year, hour: int, group: int, supply_degc: float) -> tuple[float, float]:
    """Return the share throttled and the hottest junction of an hour with a group's coolant at a temperature."""
    cdus, plants = year.site.cdus, year.site.plants
    plant = int(cdus.plant_index[group])
    supply, water = cdus.supply_set_degc.copy(), plants.supply_set_degc.copy()
    supply[group], water[plant] = supply_degc, supply_degc - 6.0
    site = replace(
        year.site,
        cdus=replace(cdus, supply_set_degc=supply),
        plants=replace(plants, supply_set_degc=water),
    )
    c = solve_steady(replace(year, site=site), [hour], keep_racks=False).coupled
    assert c.cdu_supply_degc[0, group] == pytest.approx(supply_degc, abs=1e-9)
    return float(c.throttled_frac[0]), float(c.hottest_junction_degc[0])


def test_raising_the_coolant_to_the_figure_starts_throttling(solved):
    rows = throttle_margins(solved)
    assert rows[0].margin_k == min(row.margin_k for row in rows)
    row = rows[0]
    groups = list(dict.fromkeys(cdu.group for cdu in solved.inputs.cdus))
    group = groups.index(row.cdu_group)
    assert row.throttling_from_degc - row.supply_degc == pytest.approx(row.margin_k, abs=1e-5)
    throttled, junction = hottest_clock(solved, row.hour, group, row.throttling_from_degc - NEAR_K)
    assert throttled == 0
    assert junction == pytest.approx(row.limit_degc, abs=3 * NEAR_K)
    throttled, junction = hottest_clock(solved, row.hour, group, row.throttling_from_degc + NEAR_K)
    assert throttled > 0
    assert junction > row.limit_degc


def test_the_sample_at_45_degrees_says_how_near_it_is_and_what_its_resistance_rests_on(solved):
    row = throttle_margins(solved)[0]
    assert row.supply_degc == pytest.approx(45.0)
    # Sized to stay 8 K below throttling at 2.3 kW; its busiest hour asks for 1.5 kW.
    assert 8 < row.margin_k < 25
    assert row.basis == "assumed"
    assert 0 < row.throttling_below_flow_frac < row.flow_frac


def test_a_measured_resistance_takes_the_place_of_the_assumed_margin(sample_inputs):
    raw = sample_inputs("sterling/vera-rubin-nvl72")
    take_hours(raw, every=600)
    for product in raw["products"]["by_id"].values():
        if product["kind"] == "systems" and product["facts"].get("liquid_heat_frac"):
            product["facts"] |= {"cold_plate_k_per_w": 0.01, "cold_plate_flow_frac": 0.6}
    row = throttle_margins(solve(layout_inputs(raw), lambda stage, frac: None))[0]
    assert (row.basis, row.resistance_k_per_w) == ("published", pytest.approx(0.01))


def test_a_flow_is_found_by_its_resistance():
    racks = RackBank(
        count=[1.0],
        n_accelerators=4.0,
        pool_index=0,
        load_share=1.0,
        cdu_index=0,
        hall_index=0,
        tdp_w=1000.0,
        idle_w=100.0,
        power_limit_w=1000.0,
        r_th_fixed_k_per_w=0.02,
        r_th_flow_k_per_w=0.01,
        throttle_degc=87.0,
        trip_degc=95.0,
        fixed_w=0.0,
        per_load_w=0.0,
        max_power_w=5e3,
        coolant_flow_kg_s=0.1,
        accelerator_liquid_frac=1.0,
    )
    flow = onset_flow_frac(racks, 0, 47.0, 1000.0)  # 40 K for 1 kW: 0.02 + 0.01 f^-0.5 = 0.04
    assert flow == pytest.approx(0.25, rel=1e-9)
    assert resistance_k_per_w(racks, 0, np.array([flow]))[0] == pytest.approx(0.04, rel=1e-9)
    assert onset_flow_frac(racks, 0, 80.0, 1000.0) is None
    assert onset_flow_frac(racks, 0, -40.0, 1000.0) == 0.0


def test_one_sample_is_near_throttling_where_its_coolant_is_warm_and_thin(sample_inputs):
    at_design = sample_inputs("golden/vera-rubin-nvl72", "agents")
    at_design["racks"]["coolant_flow_m3_per_s"] = [None] * len(at_design["racks"]["id"])
    near, far = (
        throttle_margins(estimated_year(described(layout_inputs(raw)))[1])[0]
        for raw in (sample_inputs("golden/vera-rubin-nvl72", "agents"), at_design)
    )
    assert 3 < near.margin_k < 6  # as its description says: some 4 K, 14 at the design flow
    assert 12 < far.margin_k < 16
    assert 0.5 < near.throttling_below_flow_frac < 1
