"""The coupled solver's scoreboard rows, and the coupled loop on figures retyped from EnergyPlus.

EnergyPlus 25.2.0, 1 MW x load through a counterflow exchanger of 300 kW/K to a two-speed dry cooler at 25 degC set
point; pumps of 8928.6 and 6428.6 W of heat, water flows 24.997 and 29.997 kg/s.
"""

import numpy as np
import pytest

from power_cooling.coupled.solve import solve_coupled
from power_cooling.site_arrays import (
    CduBank,
    FanControl,
    HallBank,
    PlantBank,
    PoolCurves,
    RackBank,
    SiteArrays,
    Weather,
)
from twin.validation import coupled

pytestmark = [pytest.mark.slow, pytest.mark.compiled]


def test_every_row_of_the_scoreboard_passes(data_dir):
    missed = [check for check in coupled.checks(data_dir) if check.status != "pass"]
    assert not missed


@pytest.mark.parametrize(
    ("dry_bulb", "load_w", "facility_supply", "rack_supply", "rack_return"),
    [
        # dry bulb 10: fans cycle and hold 25; the others float with both fans at high speed
        (10.0, 0.2e6, 25.0, 25.543, 27.458),
        (10.0, 0.6e6, 25.0, 26.583, 32.327),
        (18.0, 1.0e6, 28.016, 30.640, 40.215),
        (24.0, 0.8e6, 32.121, 34.225, 41.886),
        (35.0, 0.6e6, 41.240, 42.825, 48.572),
        (40.0, 1.0e6, 50.392, 53.024, 62.594),
    ],
)
def test_the_dry_cooled_loop_agrees_with_energyplus(dry_bulb, load_w, facility_supply, rack_supply, rack_return):
    racks = RackBank(
        count=[1.0],
        n_accelerators=1.0,
        pool_index=0,
        load_share=1.0,
        cdu_index=0,
        hall_index=0,
        tdp_w=1e6,
        idle_w=0.0,
        power_limit_w=1e7,
        r_th_fixed_k_per_w=0.0,
        r_th_flow_k_per_w=0.0,
        throttle_degc=900.0,
        trip_degc=1000.0,
        fixed_w=0.0,
        per_load_w=0.0,
        max_power_w=1e6,
        coolant_flow_kg_s=24.99745,
        accelerator_liquid_frac=1.0,
        leakage_frac=0.0,
    )
    cdu = CduBank(
        n_units=[1.0],
        capacity_w=np.inf,  # EnergyPlus rates no exchanger
        ua_w_per_k=3e5,
        secondary_flow_kg_s=24.99745,
        primary_flow_kg_s=29.99694,
        supply_set_degc=0.0,
        plant_index=0,
        hall_index=0,
        pump_power_w=9920.63,
        pump_heat_frac=0.9,
        pump_static_frac=0.0,
        secondary_cp_j_per_kg_k=4180.0,
        holds_supply=0,
        secondary_film_frac=0.0,
        primary_film_frac=0.0,
    )
    hall = HallBank(
        n_units=[1.0],
        supply_set_degc=24.0,
        unit_capacity_w=1e4,
        unit_air_kg_s=10.0,
        unit_fan_w=0.0,
        coil_ua_w_per_k=1e4,
        coil_water_kg_s=1.0,
        plant_index=1,
    )
    plants = PlantBank(
        supply_set_degc=[25.0, 20.0],
        design_flow_kg_s=[29.99694, 1.0],
        constant_flow=1,
        pump_power_w=[7142.857, 0.0],
        pump_heat_frac=0.9,
        n_coolers=1.0,
        cooler_ua_w_per_k=110e3,
        cooler_air_m3_per_s=110.0,
        cooler_fan_w=30e3,
        cooler_control=int(FanControl.TWO_SPEED),
        cooler_low_ua_frac=0.6,
        cooler_low_air_frac=0.5,
        cooler_low_fan_frac=0.16,
    )
    grid = np.array([[0.0, 1e6]])
    site = SiteArrays(racks, PoolCurves(np.zeros_like(grid), grid), cdu, hall, plants)
    solved = solve_coupled(site, np.array([[load_w / 1e6]]), Weather([dry_bulb], 0.0067))
    # 0.05 K: tolerance of the printed rows; EnergyPlus' own balances miss by up to 0.2 % of the heat
    assert solved.facility_supply_degc[0, 0] == pytest.approx(facility_supply, abs=0.05)
    assert solved.cdu_supply_degc[0, 0] == pytest.approx(rack_supply, abs=0.05)
    assert solved.cdu_return_degc[0, 0] == pytest.approx(rack_return, abs=0.05)
    assert solved.cdu_heat_w[0, 0] == pytest.approx(load_w + 0.9 * 9920.63, rel=1e-9)
