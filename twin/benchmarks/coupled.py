"""The coupled solver alone: a year of racks in classes, of racks that all differ, and of a small air-cooled room."""

from collections.abc import Iterator

import numpy as np

from power_cooling.coupled.solve import solve_coupled
from power_cooling.electrical.feed_tree import feed_tree, rack_links
from power_cooling.site_arrays import (
    CduBank,
    ChillerModel,
    FloatArray,
    HallBank,
    PlantBank,
    PoolCurves,
    RackBank,
    SiteArrays,
    SiteFeeds,
    Weather,
)
from twin.benchmarks.measure import Benchmark, cpu_seconds, peak_bytes

HOURS = 8760
# The whole path may take 2 and 8 CPU s; half of it is left to serving, reading and saving.
REACH_CLASSES_S, REACH_DIFFERENT_S, REACH_GROWTH, REACH_ROOM_S = 1.0, 4.0, 4.4, 1.0


def benchmarks() -> Iterator[Benchmark]:
    """Yield the figures of the coupled solver; compilation is not counted."""
    _solve(liquid_site(2, 1.0, 1, 0.0), 2)
    yield _row("1,000 racks of 12 classes", liquid_site(12, 1000 / 12, 12, 0.0), HOURS, REACH_CLASSES_S, repeats=2)
    thousand = _row("1,000 racks that all differ", liquid_site(1000, 1.0, 40, 0.1), HOURS, REACH_DIFFERENT_S)
    yield thousand
    four_thousand = _row("4,000 racks that all differ", liquid_site(4000, 1.0, 160, 0.1), HOURS, None)
    yield four_thousand
    yield Benchmark(
        "coupled solve: 4,000 over 1,000 racks",
        four_thousand.size,
        four_thousand.cpu_s / thousand.cpu_s,
        "x",
        REACH_GROWTH,
        higher_is_better=False,
        cpu_s=four_thousand.cpu_s,
        peak_bytes=four_thousand.peak_bytes,
    )
    yield _row("20 air-cooled racks, a year at 15 min", air_site(20), 4 * HOURS, REACH_ROOM_S)


def _row(name: str, site: SiteArrays, n: int, reach_s: float | None, *, repeats: int = 1) -> Benchmark:
    notes: list[str] = []
    cpu_s = cpu_seconds(lambda: notes.append(_solve(site, n)), repeats=repeats)
    return Benchmark(
        f"coupled solve: {name}",
        f"{site.racks.n_racks} classes x {n} elements",
        cpu_s,
        "CPU s",
        reach_s,
        higher_is_better=False,
        cpu_s=cpu_s,
        peak_bytes=peak_bytes(),
        note=notes[-1],
    )


def _solve(site: SiteArrays, n: int) -> str:
    """Solve `n` elements of a temperate year with a daily load."""
    step = np.arange(n)
    day = step * (24.0 * 365 / n if n > 48 else 1.0)
    dry_bulb = 12 + 12 * np.sin(2 * np.pi * (day / 8760 - 0.3)) + 5 * np.sin(2 * np.pi * (day / 24 - 0.4))
    load = (0.6 + 0.3 * np.sin(2 * np.pi * day / 24))[:, None]
    feeds = feeds_of(site) if site.cdus is not None else None
    return solve_coupled(site, load, Weather(dry_bulb, 0.006), feeds=feeds).report.message


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


def feeds_of(site: SiteArrays, n_sides: int = 4) -> SiteFeeds:
    """Return a transformer, UPS and busways in the hall, each rack on two of them, and a board for the plant."""
    sides = range(n_sides)
    tree = feed_tree(
        names=["utility", "transformer", "board", *(f"ups-{i}" for i in sides), *(f"busway-{i}" for i in sides)],
        kinds=["utility", "transformer", "switchboard", *("ups" for _ in sides), *("busway" for _ in sides)],
        parents=[None, "utility", "transformer", *("transformer" for _ in sides), *(f"ups-{i}" for i in sides)],
        rating_w=[1e9, 1e9, 1e9, *(2e8 for _ in sides), *(2e8 for _ in sides)],
        no_load_loss_frac=[0, 2e-4, 0, *(1e-3 for _ in sides), *(0.0 for _ in sides)],
        proportional_loss_frac=[0, 0, 0, *(0.01 for _ in sides), *(0.0 for _ in sides)],
        square_loss_frac=[0, 0.01, 0, *(0.02 for _ in sides), *(0.05 for _ in sides)],
        hall_index=[-1, -1, -1, *(-1 for _ in sides), *(0 for _ in sides)],
    )
    racks = np.arange(site.racks.n_racks)
    links = rack_links(
        tree,
        rack_index=np.repeat(racks, 2),
        node_names=[f"busway-{(i + k) % n_sides}" for i in racks for k in (0, 1)],
        n_racks=racks.size,
    )
    board = tree.index("board")
    n_groups = 0 if site.cdus is None else site.cdus.n_groups
    return SiteFeeds(
        tree,
        links,
        np.full(n_groups, board),
        np.full(site.halls.n_halls, board),
        np.full(site.plants.n_plants, board),
    )
