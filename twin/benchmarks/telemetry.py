"""A day of readings of many CDUs through the cooling loop."""

from collections.abc import Iterator

import numpy as np

from twin.benchmarks.measure import Benchmark, cpu_seconds, peak_bytes
from twin.validation.transients import run_day

N_CDUS, STEPS, STEP_S = 25, 5_761, 15.0


def benchmarks() -> Iterator[Benchmark]:
    """Yield the figures."""
    rng = np.random.default_rng(11)
    heat = np.clip(6.5e5 + np.cumsum(rng.normal(0, 2e4, (STEPS, N_CDUS)), axis=0), 6e4, 1.3e6)
    wet_bulb = 8.0 + 4.0 * np.sin(np.arange(STEPS) / STEPS * 2 * np.pi)
    run_day(heat[:4], wet_bulb[:4], STEP_S)  # compiles, or loads what was compiled
    done = []
    cpu_s = cpu_seconds(lambda: done.append(run_day(heat, wet_bulb, STEP_S)))
    note = f"heat conserved to {done[-1].report.heat_balance_frac:.0e}"
    yield Benchmark(
        "day of readings through the loop",
        f"{N_CDUS} CDUs x {STEPS:,} steps",
        cpu_s,
        "CPU s",
        2.0,
        False,
        cpu_s,
        peak_bytes(),
        note,
    )
