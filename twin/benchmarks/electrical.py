"""Feeds over a year, every single and double failure of a large site, load flow and years of failures."""

from collections.abc import Iterator
from multiprocessing import get_context

import numpy as np

from power_cooling.availability.capacity_functions import capacity_by_failed, least_of_groups, needed_units_capacity
from power_cooling.availability.solve import RepairableGroups, Subsystem, simulate_availability
from power_cooling.electrical.feed_tree import feed_losses, rack_loads
from power_cooling.electrical.load_flow import double_conversion_ups, line, radial_network, solve_load_flow, transformer
from power_cooling.electrical.redundancy import failure_capacity, failure_states
from twin.benchmarks.measure import Benchmark, cpu_seconds, peak_bytes
from twin.validation.synthetic_sites import RACK_W, block_site


def benchmarks() -> Iterator[Benchmark]:
    """Yield the electrical and uptime figures, each in a process of its own so that its peak memory is its own."""
    for work in (_all_failures, _feeds_over_a_year, _load_flow_over_a_year, _years_of_failures):
        # A fresh interpreter: a forked one would inherit this process's peak.
        with get_context("spawn").Pool(1) as pool:
            yield pool.apply(work)


def _all_failures() -> Benchmark:
    tree, links, power_w = block_site(1536)
    failure_capacity(tree, links, power_w, failure_states(tree, order=1))  # compiles, or loads what was compiled
    answers = []
    cpu_s = cpu_seconds(lambda: answers.append(failure_capacity(tree, links, power_w, failure_states(tree))))
    answer = answers[-1]
    size = f"1,536 racks, {tree.n_nodes} feeds, {answer.capacity_frac.size:,} states"
    note = f"{int(np.sum(answer.worst_load_frac > 1)):,} states overload a feed; racks then capped"
    name = "all single and double failures, electrical"
    return Benchmark(name, size, cpu_s, "CPU s", 10.0, False, cpu_s, peak_bytes(), note)


def _feeds_over_a_year() -> Benchmark:
    tree, links, _ = block_site(240)
    power_w = RACK_W * np.random.default_rng(0).uniform(0.3, 1.0, (8760, 240))
    ups_out = np.zeros(tree.n_nodes, dtype=int)
    ups_out[tree.index("ups 0")] = 1

    def work() -> None:
        for failed in (None, ups_out):
            feed_losses(tree, rack_loads(tree, links, power_w, failed).load_w, failed)

    cpu_s = cpu_seconds(work, repeats=3) / 2
    size = f"{tree.n_nodes} feeds x 8,760 h, 240 racks"
    note = "mean of intact and one UPS out"
    return Benchmark("feed losses over a year", size, cpu_s, "CPU s", 0.2, False, cpu_s, peak_bytes(), note)


def _load_flow_over_a_year() -> Benchmark:
    branches = [
        transformer(
            "board",
            "grid",
            480.0,
            rating_va=3e6,
            short_circuit_frac=0.0575,
            short_circuit_resistive_frac=0.01,
            no_load_loss_w=5e3,
            no_load_current_frac=0.003,
        ),
        double_conversion_ups("ups", "board", 480.0, rating_w=2.5e6, loss_frac=(0.01, 0.012, 0.018)),
    ]
    for row in range(4):
        above = "ups"
        for rack in range(12):
            bus = f"rack {row}-{rack}"
            branches.append(line(bus, above, 480.0, 2e-4, 1e-4))
            above = bus
    network = radial_network("grid", 13800.0, branches)
    p = np.zeros((8760, len(network.buses)))
    racks = [i for i, bus in enumerate(network.buses) if bus.startswith("rack")]
    p[:, racks] = 40e3 * np.random.default_rng(0).uniform(0.3, 1.0, (8760, len(racks)))
    cpu_s = cpu_seconds(lambda: solve_load_flow(network, p, 0.2 * p))
    size = f"{len(network.buses)} buses x 8,760 h"
    return Benchmark("AC load flow over a year", size, cpu_s, "CPU s", None, False, cpu_s, peak_bytes())


def _years_of_failures() -> Benchmark:
    power = RepairableGroups(
        names=("utility", "ups", "busway"),
        units=[1, 4, 24],
        failures_per_year=[0.3, 0.035, 0.02],
        repair_h=[0.5, 8.0, 13.0],
        common_cause_frac=[0.0, 0.05, 0.0],
    )
    cooling = RepairableGroups(
        names=("chiller", "pump", "cdu"),
        units=[4, 3, 9],
        failures_per_year=[0.2, 0.08, 0.05],
        repair_h=[30.0, 10.0, 6.0],
        common_cause_frac=0.02,
    )
    trays = RepairableGroups(names=("tray",), units=864, failures_per_year=0.7, repair_h=24.0, event_loss_h=2e-4)
    tables = (
        [[1.0, 0.0], needed_units_capacity(4, 3), np.ones(25)],
        [needed_units_capacity(4, 3), needed_units_capacity(3, 2), needed_units_capacity(9, 8)],
    )
    subsystems = (
        Subsystem("power", power, least_of_groups(tuple(tables[0])), ride_through_s=300.0),
        Subsystem("cooling", cooling, least_of_groups(tuple(tables[1]))),
        Subsystem("compute", trays, capacity_by_failed(needed_units_capacity(864, 856))),
    )
    n_years = 1000
    draws = []
    cpu_s = cpu_seconds(
        lambda: draws.append(simulate_availability(subsystems, n_years=n_years, rng=np.random.default_rng(1)))
    )
    size = f"{n_years:,} years, 909 units, {int(draws[-1].failures.sum()):,} failures"
    return Benchmark("years of failures drawn", size, cpu_s, "CPU s", None, False, cpu_s, peak_bytes())
