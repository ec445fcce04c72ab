"""Made-up halls, liquid-cooled and air-cooled, that checks and benchmarks share."""

import numpy as np

from power_cooling.site_arrays import (
    CduBank,
    ChillerModel,
    FloatArray,
    HallBank,
    PlantBank,
    PoolCurves,
    RackBank,
    SiteArrays,
)


def liquid_site(n_classes: int, count: float, n_groups: int, spread: float) -> SiteArrays:
    """Return a site of 132 kW liquid-cooled racks; `spread` makes every one differ in load, flow and resistance."""
    rng = np.random.default_rng(0)

    def varied(value: float) -> FloatArray:
        return value * (1 + spread * rng.uniform(-1, 1, n_classes))

    racks = RackBank(
        count=np.full(n_classes, count),
        n_accelerators=72.0,
        pool_index=0,
        load_share=varied(1.0),
        cdu_index=np.arange(n_classes) % n_groups,
        hall_index=0,
        tdp_w=1200.0,
        idle_w=150.0,
        power_limit_w=1200.0,
        r_th_fixed_k_per_w=varied(0.015),
        r_th_flow_k_per_w=varied(0.012),
        throttle_degc=87.0,
        trip_degc=105.0,
        fixed_w=9000.0,
        per_load_w=14000.0,
        max_power_w=132000.0,
        fan_power_w=3500.0,
        air_flow_kg_s=2.2,
        coolant_flow_kg_s=varied(2.9),
        accelerator_liquid_frac=0.95,
        other_liquid_frac=0.6,
        recirculation_frac=np.linspace(0.02, 0.12, n_classes),
        shelf_loss_a=0.005,
        shelf_loss_b=0.01,
        shelf_loss_c=0.012,
    )
    total = n_classes * count
    liquid_w, air_w = 1.25e5 * total, 2.5e4 * total
    cdus = CduBank(
        n_units=np.full(n_groups, np.ceil(total / n_groups / 8) + 1),
        capacity_w=1.3e6,
        ua_w_per_k=342e3,
        secondary_flow_kg_s=21.0,
        primary_flow_kg_s=21.0,
        supply_set_degc=38.0,
        plant_index=0,
        hall_index=0,
        pump_power_w=8550.0,
    )
    halls = HallBank(
        n_units=[np.ceil(air_w / 2e5) + 1],
        supply_set_degc=24.0,
        unit_capacity_w=2e5,
        unit_air_kg_s=16.0,
        unit_fan_w=7500.0,
        coil_ua_w_per_k=4e4,
        coil_water_kg_s=5.0,
        plant_index=1,
    )
    plants = PlantBank(
        supply_set_degc=[33.0, 18.0],
        design_flow_kg_s=[liquid_w / 4180 / 9, air_w / 4180 / 8],
        pump_power_w=[0.006 * liquid_w, 0.008 * air_w],
        n_coolers=np.ceil([1.3e-6 * liquid_w, 1.3e-6 * air_w]),
        cooler_ua_w_per_k=120e3,
        cooler_air_m3_per_s=105.0,
        cooler_fan_w=22e3,
        n_chillers=[0, np.ceil(air_w / 1e6) + 1],
        chiller_model=[int(ChillerModel.NONE), int(ChillerModel.CARNOT)],
        chiller_capacity_w=1e6,
    )
    grid = np.linspace(0, 1, 33)[None]
    return SiteArrays(racks, PoolCurves(200 + 220 * grid, 700 * grid), cdus, halls, plants)


def air_site(n_racks: int) -> SiteArrays:
    """Return a room of 40 kW air-cooled racks on chilled water from towers and chillers."""
    racks = RackBank(
        count=np.ones(n_racks),
        n_accelerators=32.0,
        pool_index=0,
        load_share=np.linspace(0.8, 1.1, n_racks),
        cdu_index=-1,
        hall_index=0,
        tdp_w=700.0,
        idle_w=80.0,
        power_limit_w=700.0,
        r_th_fixed_k_per_w=0.03,
        r_th_flow_k_per_w=0.03,
        throttle_degc=87.0,
        trip_degc=105.0,
        fixed_w=5000.0,
        per_load_w=4000.0,
        max_power_w=41000.0,
        fan_power_w=5000.0,
        air_flow_kg_s=2.6,
        recirculation_frac=np.linspace(0.02, 0.12, n_racks),
        shelf_loss_a=0.005,
        shelf_loss_b=0.02,
        shelf_loss_c=0.02,
    )
    heat_w = 4.1e4 * n_racks
    halls = HallBank(
        n_units=[np.ceil(heat_w / 2e5) + 1],
        supply_set_degc=22.0,
        unit_capacity_w=2e5,
        unit_air_kg_s=16.0,
        unit_fan_w=7500.0,
        coil_ua_w_per_k=4e4,
        coil_water_kg_s=5.0,
        plant_index=0,
    )
    plants = PlantBank(
        supply_set_degc=[14.0],
        design_flow_kg_s=heat_w / 4180 / 7,
        pump_power_w=0.01 * heat_w,
        n_towers=2.0,
        tower_ua_w_per_k=heat_w / 25,
        tower_air_m3_per_s=heat_w / 6e4,
        tower_water_kg_s=heat_w / 4180 / 10,
        tower_fan_w=0.006 * heat_w,
        tower_pump_w=0.006 * heat_w,
        economiser_ua_w_per_k=heat_w / 2.0,
        n_chillers=2.0,
        chiller_model=int(ChillerModel.CARNOT),
        chiller_capacity_w=0.7 * heat_w,
        chiller_water_cooled=1,
        chiller_condenser_approach_k=2.0,
    )
    grid = np.linspace(0, 1, 33)[None]
    return SiteArrays(racks, PoolCurves(120 + 180 * grid, 380 * grid), None, halls, plants)
