"""Transients of many CDUs, Frontier's day from nodes to sky, and a year of quarter hours of an air-cooled room."""

import tempfile
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from power_cooling.coupled.solve import solve_coupled
from power_cooling.electrical.power_electronics import ConverterStage, converter_chain
from power_cooling.site_arrays import ChillerModel, HallBank, PlantBank, PoolCurves, RackBank, SiteArrays, Weather
from power_cooling.transients import disturbances
from power_cooling.transients import solve as transients
from twin.benchmarks.measure import Benchmark, cpu_seconds, peak_bytes
from twin.validation.transients import frontier_loop, frontier_units, run_day

# Frontier's public figures (ExaDigiT RAPS): idle and full watts of each part of a node, and its conversion chain.
N_NODES, NODES_PER_CHASSIS, N_CDUS, STEPS, STEP_S = 9472, 16, 25, 5760, 15.0
CPU_W, GPU_W, N_GPUS, OTHER_W = (90.0, 280.0), (88.0, 560.0), 4, 74.26 + 80.0 + 30.0
SIVOC = ConverterStage(constant_w=13.0, efficiency_frac=0.98)
RECTIFIER = ConverterStage(constant_w=17.0, efficiency_frac=0.96, units=4, beside_w=4 * 250.0)
CDU_W = 8473.0
BLOCK = 48  # steps whose nodes fit the second-level cache
N_JOBS = 64


def benchmarks() -> Iterator[Benchmark]:
    """Yield the transient figures, each in a process of its own so that its peak memory is its own."""
    for work in (_many_cdus, _frontier_day, _air_room_year):
        # A fresh interpreter: a forked one would inherit this process's peak.
        with get_context("spawn").Pool(1) as pool:
            yield from pool.apply(work)


def _many_cdus() -> list[Benchmark]:
    n = 257
    units, loop = frontier_units(n), frontier_loop(n)
    calm = disturbances.Forcing.steady(1800, load_frac=np.linspace(0.5, 0.9, n), sink_degc=12.0)
    lost = calm.with_disturbances(
        *disturbances.grid_loss(300, fans_on_ups=True), *disturbances.pump_loss(900, units=tuple(range(20))), n_units=n
    )
    transients.simulate_transient(units, loop, lost)  # compiles, or loads what was compiled
    result: list[transients.TransientResult] = []
    cpu_s = cpu_seconds(lambda: result.append(transients.simulate_transient(units, loop, lost)))
    done = result[-1]
    note = f"grid and pump loss; {int(np.isfinite(done.trip_s).sum())} CDUs trip; {done.report.message}"
    size = "257 CDUs x 30 min at 1 s"
    return [Benchmark("transient", size, cpu_s, "CPU s", 1.0, False, cpu_s, peak_bytes(), note)]


def _frontier_day() -> list[Benchmark]:
    run_day(np.full((4, N_CDUS), 5e5), np.full(4, 8.0), STEP_S)  # compiles, or loads what was compiled
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "day.npz"
        cpu_s = cpu_seconds(lambda: _solve_frontier_day(saved))
        stored = saved.stat().st_size
    peak = peak_bytes()
    size = f"{N_NODES} nodes x {STEPS} steps"
    note = f"power, losses, thermal; {stored / 1e6:.1f} MB saved"
    return [
        Benchmark("Frontier day", size, cpu_s, "CPU s", 2.5, False, cpu_s, peak, note),
        Benchmark("memory: Frontier day", size, peak / 1e6, "MB", 400.0, False, cpu_s, peak),
    ]


def _solve_frontier_day(saved: Path) -> None:
    """Power and losses of every node at every step, the loop's temperatures, and all of it written to a file."""
    rng = np.random.default_rng(7)
    # Jobs hold runs of nodes; each has its own utilisation every step, nodes differ a little within a job.
    job = np.sort(rng.integers(0, N_JOBS, N_NODES))
    spread = rng.normal(1.0, 0.02, N_NODES).astype(np.float32)
    gpu = np.clip(0.55 + np.cumsum(rng.normal(0, 0.02, (STEPS, N_JOBS)), axis=0) % 0.45, 0, 1).astype(np.float32)
    cpu = (0.3 * gpu).astype(np.float32)
    job_w = (CPU_W[1] - CPU_W[0]) * cpu + N_GPUS * (GPU_W[1] - GPU_W[0]) * gpu
    idle_w = CPU_W[0] + N_GPUS * GPU_W[0] + OTHER_W
    n_chassis = N_NODES // NODES_PER_CHASSIS
    # Chassis in order over the CDUs, as even as they divide.
    first = np.linspace(0, n_chassis, N_CDUS + 1).astype(int)[:-1]
    system = np.empty((STEPS, 3))  # nodes, conversion losses, all
    heat = np.empty((STEPS, N_CDUS))
    node_j = np.zeros(N_NODES)
    for start in range(0, STEPS, BLOCK):
        rows = slice(start, start + BLOCK)
        node_w = job_w[rows][:, job]
        node_w *= spread
        node_w += np.float32(idle_w)
        node_j += node_w.sum(axis=0, dtype=np.float64) * STEP_S
        behind = converter_chain(node_w, (SIVOC,)).input_w
        chassis = behind.reshape(-1, n_chassis, NODES_PER_CHASSIS).sum(axis=2)
        rectified = converter_chain(chassis, (RECTIFIER,)).input_w
        system[rows, 0] = node_w.sum(axis=1, dtype=np.float64)
        system[rows, 2] = rectified.sum(axis=1) + N_CDUS * CDU_W
        system[rows, 1] = system[rows, 2] - system[rows, 0] - n_chassis * RECTIFIER.beside_w - N_CDUS * CDU_W
        heat[rows] = np.add.reduceat(rectified, first, axis=1)
    hours = np.arange(STEPS) * STEP_S / 3600
    done = run_day(heat, 8.0 + 4.0 * np.sin(2 * np.pi * (hours - 9) / 24), STEP_S)
    np.savez(
        saved,
        system_w=system,
        cdu_heat_w=heat.astype(np.float32),
        node_j=node_j,
        chip_degc=done.chip_degc.astype(np.float32),
        coolant_supply_degc=done.coolant_supply_degc.astype(np.float32),
        facility_supply_degc=done.facility_supply_degc,
        facility_return_degc=done.facility_return_degc,
        rejected_w=done.rejected_w,
    )


def _air_room_year() -> list[Benchmark]:
    n, racks = 35_040, 20
    hours = np.arange(n) / 4
    dry = 14.0 + 9.0 * np.sin(2 * np.pi * (hours - 2900) / 8760) + 5.0 * np.sin(2 * np.pi * (hours - 9) / 24)
    weather = Weather(dry, np.full(n, 0.007), np.full(n, 101_325.0))
    load = np.clip(0.6 + 0.3 * np.sin(2 * np.pi * hours / 24), 0, 1)[:, None]
    site = SiteArrays(
        RackBank(
            count=np.ones(racks),
            n_accelerators=8.0,
            pool_index=np.zeros(racks, dtype=np.int64),
            load_share=np.linspace(0.8, 1.0, racks),
            cdu_index=-1,
            hall_index=0,
            tdp_w=700.0,
            idle_w=75.0,
            power_limit_w=700.0,
            r_th_fixed_k_per_w=0.03,
            r_th_flow_k_per_w=0.02,
            throttle_degc=87.0,
            trip_degc=95.0,
            fixed_w=2500.0,
            per_load_w=500.0,
            max_power_w=12_000.0,
            fan_power_w=900.0,
            air_flow_kg_s=0.9,
            recirculation_frac=np.linspace(0.0, 0.1, racks),
        ),
        PoolCurves(np.full((1, 5), 75.0), np.linspace(0, 600, 5)[None]),
        None,
        HallBank(
            n_units=3.0,
            supply_set_degc=22.0,
            unit_capacity_w=120e3,
            unit_air_kg_s=9.0,
            unit_fan_w=4500.0,
            coil_ua_w_per_k=14e3,
            coil_water_kg_s=3.5,
            plant_index=0,
        ),
        PlantBank(
            supply_set_degc=12.0,
            design_flow_kg_s=10.5,
            pump_power_w=3500.0,
            n_coolers=1.0,
            cooler_ua_w_per_k=30e3,
            cooler_air_m3_per_s=30.0,
            cooler_fan_w=7000.0,
            n_chillers=2.0,
            chiller_model=int(ChillerModel.CARNOT),
            chiller_capacity_w=180e3,
            chiller_condenser_approach_k=12.0,
        ),
    )
    solve_coupled(site, load[:64], Weather(dry[:64], np.full(64, 0.007)))  # compiles, or loads what was compiled
    result = []
    cpu_s = cpu_seconds(lambda: result.append(solve_coupled(site, load, weather)))
    note = f"air units, free cooling and chillers; {result[-1].report.message}"
    size = f"{racks} racks x {n} steps"
    return [Benchmark("air-cooled year at 15 min", size, cpu_s, "CPU s", 1.0, False, cpu_s, peak_bytes(), note)]
