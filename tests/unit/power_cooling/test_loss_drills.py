"""Losses of a described site: the lumped plant starts where the coupled solver stands, and losses rank as they do."""

from dataclasses import replace

import numpy as np
import pytest

from power_cooling.coupled.solve import solve_coupled
from power_cooling.site_arrays import CduBank, HallBank, PlantBank, PoolCurves, RackBank, SiteArrays, Weather
from power_cooling.transients import disturbances, loss_drills
from power_cooling.transients.disturbances import Forcing
from power_cooling.transients.solve import simulate_transient, steady_start

DRY_DEGC, WET_DEGC = 20.0, 15.0


def _site(n_cdus=3.0, **plant_changes):
    """Sixteen racks of 72 one-kilowatt accelerators in two CDU groups, dry coolers."""
    plant = {
        "supply_set_degc": 30.0,
        "design_flow_kg_s": 60.0,
        "n_coolers": 4.0,
        "cooler_ua_w_per_k": 80e3,
        "cooler_air_m3_per_s": 60.0,
        "cooler_fan_w": 15e3,
    } | plant_changes
    return SiteArrays(
        RackBank(
            count=np.array([8.0, 8.0]),
            n_accelerators=72.0,
            pool_index=np.zeros(2, dtype=np.int64),
            load_share=1.0,
            cdu_index=np.array([0, 1]),
            hall_index=0,
            tdp_w=1000.0,
            idle_w=150.0,
            power_limit_w=1000.0,
            r_th_fixed_k_per_w=0.015,
            r_th_flow_k_per_w=0.010,
            throttle_degc=85.0,
            trip_degc=100.0,
            fixed_w=15e3,
            per_load_w=3e3,
            max_power_w=130e3,
            fan_power_w=2e3,
            air_flow_kg_s=1.5,
            coolant_flow_kg_s=2.0,
            accelerator_liquid_frac=1.0,
            other_liquid_frac=0.3,
        ),
        PoolCurves(np.full((1, 5), 200.0), np.linspace(0, 700, 5)[None]),
        CduBank(
            n_units=np.array([n_cdus, n_cdus]),
            capacity_w=600e3,
            ua_w_per_k=100e3,
            secondary_flow_kg_s=9.0,
            primary_flow_kg_s=10.0,
            supply_set_degc=38.0,
            plant_index=0,
            hall_index=0,
        ),
        HallBank(
            n_units=3.0,
            supply_set_degc=33.0,
            unit_capacity_w=200e3,
            unit_air_kg_s=16.0,
            unit_fan_w=6e3,
            coil_ua_w_per_k=30e3,
            coil_water_kg_s=6.0,
            plant_index=0,
        ),
        PlantBank(**plant),
    )


def _drills(site, *, duration_s=900, **options):
    made = loss_drills.loss_drills(
        site, 0, np.ones(2), dry_bulb_degc=DRY_DEGC, wet_bulb_degc=WET_DEGC, duration_s=duration_s, **options
    )
    return {drill.name: drill for drill in made}


@pytest.mark.compiled
def test_the_lumped_plant_starts_near_the_coupled_solution():
    site = _site()
    units, loop, groups, sink = loss_drills.transient_plant(
        site, 0, np.ones(2), dry_bulb_degc=DRY_DEGC, wet_bulb_degc=WET_DEGC
    )
    state, z, settled = steady_start(units, loop, np.ones(2), sink)
    solved = solve_coupled(
        site, np.ones((1, 1)), Weather(np.array([DRY_DEGC]), np.array([0.008])), keep_rack_channels=True
    )
    assert settled
    assert groups.tolist() == [0, 1]
    # Fans, shelf losses and leakage are lumped, so a few percent and kelvin; not a second solver.
    it_w = float(solved.it_power_w[0])
    assert float((units.static_w + units.dynamic_w).sum()) == pytest.approx(it_w, rel=0.05)
    assert state[0, 0] == pytest.approx(float(solved.racks.max_junction_degc[0]), abs=3.0)
    assert state[0, 2] == pytest.approx(38.0, abs=0.01)
    assert z[1] == pytest.approx(30.0, abs=0.01)


def test_racks_that_give_all_their_heat_to_liquid_can_be_drilled_at_any_load():
    # Power and heat into liquid are sums of the same watts; at some loads the last digit of the second is larger.
    site = _site()
    all_liquid = {"count": np.full(2, 7.0), "other_liquid_frac": np.ones(2), "fan_power_w": np.zeros(2)}
    site = replace(site, racks=replace(site.racks, **all_liquid))
    for load in np.linspace(0.01, 1.0, 1000):
        units, *_ = loss_drills.transient_plant(
            site, 0, np.full(2, load), dry_bulb_degc=DRY_DEGC, wet_bulb_degc=WET_DEGC
        )
        assert units.liquid_frac == pytest.approx(1.0, abs=1e-12)


@pytest.mark.compiled
def test_a_burst_of_load_ends_where_steady_load_is():
    site = _site()
    drills = _drills(site, duration_s=3600)
    burst = drills[loss_drills.BURST]
    assert not burst.is_loss
    assert all(drill.is_loss for name, drill in drills.items() if name != loss_drills.BURST)
    assert np.isinf(burst.first_throttle_s)
    units, loop, _, sink = loss_drills.transient_plant(
        site, 0, np.ones(2), dry_bulb_degc=DRY_DEGC, wet_bulb_degc=WET_DEGC
    )
    calm = Forcing.steady(3610, sink_degc=sink)
    settled = simulate_transient(units, loop, calm).chip_degc[-1]
    followed = simulate_transient(units, loop, calm.with_disturbances(*disturbances.load_burst(10.0), n_units=2))
    power = followed.power_w.sum(axis=1)
    assert power[8] < 0.5 * power[12]  # idle until the tenth second
    assert followed.chip_degc[8, 0] < settled[0] - 5
    assert followed.chip_degc[-1] == pytest.approx(settled, abs=0.05)
    # No valve is so slow that chips pass the temperature that the load will keep them at.
    assert burst.hottest_degc == pytest.approx(settled, abs=1.0)


@pytest.mark.compiled
def test_losing_all_pumps_is_the_fastest_and_one_cdu_of_three_is_harmless():
    drills = _drills(_site())
    pumps = drills["all rack-coolant pumps"]
    assert 1 < pumps.first_throttle_s < 60
    assert pumps.first_throttle_s < pumps.first_trip_s < 300
    assert np.isinf(drills["one CDU of every group"].first_trip_s)
    assert drills["all chillers and coolers"].first_throttle_s > pumps.first_throttle_s
    assert np.isinf(drills["grid, generators start"].first_trip_s)
    assert all(drill.report.converged for drill in drills.values())


@pytest.mark.compiled
def test_a_single_cdu_without_a_spare_is_a_lost_pump():
    drills = _drills(_site(n_cdus=1.0))
    assert drills["one CDU of every group"].first_trip_s == pytest.approx(
        drills["all rack-coolant pumps"].first_trip_s, rel=0.05
    )


@pytest.mark.compiled
def test_storage_buys_time_after_the_plant_is_lost():
    name = "all chillers and coolers"
    bare = _drills(_site(), duration_s=3600)[name]
    stored = _drills(_site(tank_m3=30.0), duration_s=3600)[name]
    # 30 m³ at 60 kg/s hold the supply cold for about eight minutes.
    assert stored.first_throttle_s > bare.first_throttle_s + 300


@pytest.mark.compiled
def test_pumps_off_the_ups_turn_ten_seconds_of_darkness_into_throttling():
    kept = _drills(_site())["grid, generators start"]
    dropped = _drills(_site(), pumps_on_ups=False, generator_start_s=60.0)["grid, generators start"]
    assert np.all(dropped.hottest_degc > kept.hottest_degc + 10)


def test_a_plant_without_liquid_racks_is_refused():
    site = _site()
    with pytest.raises(ValueError, match="plant is 3; there are 1"):
        loss_drills.transient_plant(site, 3, np.ones(2), dry_bulb_degc=20.0, wet_bulb_degc=15.0)


@pytest.mark.compiled
def test_liquid_racks_whose_air_another_plant_cools_keep_the_water_of_their_plant():
    one = _site()
    two = replace(
        _site(supply_set_degc=np.array([30.0, 30.0])), halls=replace(one.halls, plant_index=np.ones(1, dtype=np.int64))
    )
    shared, apart = (_drills(site, duration_s=3600)["all chillers and coolers"] for site in (one, two))
    # The plant without air units holds water for the liquid heat only, some tenth less, and takes as much less heat.
    assert np.isfinite(shared.first_throttle_s)
    assert apart.first_throttle_s == pytest.approx(shared.first_throttle_s, rel=0.25)
    assert np.isinf(apart.air_limit_s)  # its loss leaves the air cooled
