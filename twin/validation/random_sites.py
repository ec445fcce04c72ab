"""Random sites for the coupled solver: mostly sound, some too hot, far too small or far too leaky."""

from dataclasses import replace
from typing import TypeVar

import numpy as np

from power_cooling.cooling.room_air import AIR_CP_J_PER_KG_K
from power_cooling.site_arrays import (
    CduBank,
    ChillerModel,
    FloatArray,
    HallBank,
    PlantBank,
    PoolCurves,
    RackBank,
    SiteArrays,
    Weather,
)

N_POOLS = 2
DRY, DRY_AND_TRIM, TOWER, TOWER_AND_CHILLER, CHILLER = range(5)


def random_elements(rng: np.random.Generator, n: int, n_pools: int = N_POOLS) -> tuple[FloatArray, Weather]:
    """Return loads (some asking for more than there is) and weather from deep frost to desert."""
    weather = Weather(rng.uniform(-20, 48, n), rng.uniform(0.001, 0.012, n))
    return rng.uniform(0, 1.2, (n, n_pools)), weather


def random_site(rng: np.random.Generator) -> SiteArrays:
    """Return a site of a few rack classes, CDU groups, halls and two plants of any kind, sized 0.5 to 1.4 of need.

    In every fourth CDUs, air units and plants are each a further 1 to 30 times too small.
    """
    n = int(rng.integers(3, 10))
    n_groups, n_halls = int(rng.integers(1, 4)), int(rng.integers(1, 3))
    racks, pools = _racks(rng, n, n_groups, n_halls)
    rack_w = racks.n_accelerators * racks.tdp_w * 1.3 * racks.count
    by_air = np.where(racks.cdu_index < 0, 1.0, 0.25)
    liquid_w = np.array([rack_w[racks.cdu_index == g].sum() for g in range(n_groups)]) + 1e3
    air_w = np.array([(rack_w * by_air)[racks.hall_index == h].sum() for h in range(n_halls)]) + 1e4
    cdus, halls = _cdus(rng, liquid_w, n_halls), _halls(rng, air_w)
    plants = _plants(rng, float(liquid_w.sum() + air_w.sum()))
    if rng.random() < 0.25:
        cdus, halls, plants = (
            of_size(bank, 10 ** rng.uniform(-1.5, 0, n))
            for bank, n in ((cdus, n_groups), (halls, n_halls), (plants, 2))
        )
    return SiteArrays(racks, pools, cdus, halls, plants)


_SIZES = (
    "capacity_w",
    "ua_w_per_k",
    "secondary_flow_kg_s",
    "primary_flow_kg_s",
    "pump_power_w",
    "unit_capacity_w",
    "unit_air_kg_s",
    "unit_fan_w",
    "coil_ua_w_per_k",
    "coil_water_kg_s",
    "design_flow_kg_s",
    "cooler_ua_w_per_k",
    "cooler_air_m3_per_s",
    "cooler_fan_w",
    "tower_ua_w_per_k",
    "tower_air_m3_per_s",
    "tower_water_kg_s",
    "tower_fan_w",
    "tower_pump_w",
    "economiser_ua_w_per_k",
    "chiller_capacity_w",
)
Bank = TypeVar("Bank", CduBank, HallBank, PlantBank)


def of_size(bank: Bank, size: FloatArray) -> Bank:
    """Return equipment of the same kind with ratings, flows and conductances scaled by `size`."""
    return replace(bank, **{name: getattr(bank, name) * size for name in _SIZES if hasattr(bank, name)})


def _racks(rng: np.random.Generator, n: int, n_groups: int, n_halls: int) -> tuple[RackBank, PoolCurves]:
    def draw(low: float, high: float) -> FloatArray:
        return rng.uniform(low, high, n)

    air = rng.random(n) < 0.25
    accelerators, tdp_w = rng.choice([8.0, 36.0, 72.0], n), draw(400, 1800)
    whole_w = accelerators * tdp_w
    r_th = np.where(air, draw(0.03, 0.06), draw(0.012, 0.03 + 0.03 * rng.random()))
    racks = RackBank(
        count=rng.integers(1, 20, n).astype(float),
        n_accelerators=accelerators,
        pool_index=rng.integers(0, N_POOLS, n),
        load_share=draw(0.7, 1.2),
        cdu_index=np.where(air, -1, rng.integers(0, n_groups, n)),
        hall_index=rng.integers(0, n_halls, n),
        tdp_w=tdp_w,
        idle_w=0.1 * tdp_w,
        power_limit_w=tdp_w * draw(0.5, 1.2),
        r_th_fixed_k_per_w=0.55 * r_th,
        r_th_flow_k_per_w=0.45 * r_th,
        r_th_flow_exponent=draw(0.3, 0.8),
        throttle_degc=draw(80, 92),
        trip_degc=draw(100, 115),
        fixed_w=whole_w * draw(0.05, 0.2),
        per_load_w=whole_w * draw(0.05, 0.2),
        max_power_w=1.6 * whole_w,
        fan_power_w=np.where(air, 0.12, 0.02) * whole_w,
        air_flow_kg_s=np.where(air, 1.0, 0.25) * whole_w * 1.3 / AIR_CP_J_PER_KG_K / 15,
        coolant_flow_kg_s=np.where(air, 0.0, whole_w * 1.2 / 3950 / draw(7, 14)),
        accelerator_liquid_frac=np.where(air, 0.0, draw(0.7, 1.0)),
        other_liquid_frac=np.where(air, 0.0, draw(0.0, 0.8)),
        recirculation_frac=draw(0.0, 0.2),
        leakage_frac=draw(0.02, 0.35),
        leakage_per_k=draw(0.005, 0.02),
        throttle_frac_per_k=draw(0.02, 0.1),
        min_clock_frac=draw(0.2, 0.6),
        clock_linear_frac=draw(0.0, 1.0),
        shelf_loss_a=draw(0, 0.01),
        shelf_loss_b=draw(0, 0.03),
        shelf_loss_c=draw(0, 0.03),
        inlet_trip_degc=draw(50, 70),
    )
    chip_w, load = float(tdp_w.mean()), np.linspace(0, 1, 9)
    static = chip_w * (0.2 + 0.2 * load) * np.ones((N_POOLS, 1))
    return racks, PoolCurves(static, 0.9 * chip_w * load * rng.uniform(0.6, 1.1, (N_POOLS, 1)))


def _cdus(rng: np.random.Generator, heat_w: FloatArray, n_halls: int) -> CduBank:
    n = heat_w.size

    def draw(low: float, high: float) -> FloatArray:
        return rng.uniform(low, high, n)

    unit_w = heat_w / rng.integers(1, 4, n) / draw(0.5, 1.4)
    flow_kg_s = unit_w / 3950 / 10
    return CduBank(
        n_units=np.maximum(1, np.ceil(heat_w / unit_w * draw(0.8, 1.3))),
        capacity_w=unit_w,
        ua_w_per_k=unit_w / draw(2, 8),
        secondary_flow_kg_s=flow_kg_s,
        primary_flow_kg_s=flow_kg_s * draw(0.7, 1.4),
        supply_set_degc=draw(25, 48),
        plant_index=rng.integers(0, 2, n),
        hall_index=rng.integers(0, n_halls, n),
        pump_power_w=0.008 * unit_w,
        pump_control=rng.integers(0, 2, n),
        holds_supply=(rng.random(n) < 0.8).astype(int),
        rack_rise_set_k=draw(6, 12),
    )


def _halls(rng: np.random.Generator, heat_w: FloatArray) -> HallBank:
    n = heat_w.size

    def draw(low: float, high: float) -> FloatArray:
        return rng.uniform(low, high, n)

    n_units = rng.integers(2, 9, n).astype(float)
    unit_w = heat_w / n_units * draw(0.6, 1.4)
    return HallBank(
        n_units=n_units,
        supply_set_degc=draw(18, 28),
        unit_capacity_w=unit_w,
        unit_air_kg_s=unit_w / AIR_CP_J_PER_KG_K / 12,
        unit_fan_w=0.03 * unit_w,
        coil_ua_w_per_k=unit_w / draw(4, 10),
        coil_water_kg_s=unit_w / 4180 / 8,
        plant_index=rng.integers(0, 2, n),
        bypass_frac=draw(0, 0.3),
        envelope_ua_w_per_k=draw(0, 500),
        lighting_w=draw(0, 5e3),
    )


def _plants(rng: np.random.Generator, heat_w: float) -> PlantBank:
    def draw(low: float, high: float) -> FloatArray:
        return rng.uniform(low, high, 2)

    kind, size = rng.integers(0, 5, 2), draw(0.5, 1.4)
    has_chiller = (kind == DRY_AND_TRIM) | (kind == TOWER_AND_CHILLER) | (kind == CHILLER)
    return PlantBank(
        supply_set_degc=draw(16, 40),
        design_flow_kg_s=heat_w / 4180 / draw(5, 12) * size,
        pump_power_w=0.006 * heat_w,
        constant_flow=rng.integers(0, 2, 2),
        n_coolers=np.where((kind == DRY) | (kind == DRY_AND_TRIM), 4.0, 0.0),
        cooler_ua_w_per_k=heat_w * size / 4 / draw(6, 14),
        cooler_air_m3_per_s=heat_w / 4 / 1200 / draw(8, 14),
        cooler_fan_w=0.005 * heat_w,
        cooler_control=rng.integers(0, 3, 2),
        pad_efficiency=rng.choice([0.0, 0.8], 2),
        n_towers=np.where((kind == TOWER) | (kind == TOWER_AND_CHILLER), 3.0, 0.0),
        tower_ua_w_per_k=heat_w * size / 3 / draw(8, 20),
        tower_air_m3_per_s=heat_w / 3 / 1.2 / 2.5e4,
        tower_water_kg_s=heat_w / 3 / 4180 / 6,
        tower_fan_w=0.004 * heat_w,
        tower_control=rng.choice([0, 2], 2),
        tower_pump_w=0.003 * heat_w,
        economiser_ua_w_per_k=np.where(has_chiller, 1.0, rng.choice([0.0, 1.0], 2)) * heat_w / 2.5,
        n_chillers=np.where(has_chiller, 3.0, 0.0),
        chiller_model=np.where(has_chiller, int(ChillerModel.CARNOT), int(ChillerModel.NONE)),
        chiller_capacity_w=heat_w / 3 * size,
        chiller_water_cooled=(kind == TOWER_AND_CHILLER).astype(int),
    )
