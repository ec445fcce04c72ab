"""Faults of every kind put into published plants, and what the diagnosis names first: object, kind, delay.

Objects, sizes (0.4 to 1 of a kind's range) and starts are drawn by the seed. A fault that changes no reading, such as
a power limit that is not reached, is counted apart. Without a fault every finding is a false alarm.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from django.conf import settings

from twin.benchmarks.measure import Benchmark, in_own_process
from twin.benchmarks.trial_plants import readings, sample, tried
from twin.core.inputs.layout import LayoutInputs
from twin.core.provenance import this_solver
from twin.core.solve.simulate import described
from twin.core.solved import Described
from twin.core.telemetry.faulted import OBJECTS, refusal
from twin.core.telemetry.layout_faults import diagnose_layout
from twin.core.telemetry.predicted import layout_objects, rack_objects
from twin.core.telemetry.publish import Fault
from twin.core.telemetry.quantities import FAULTS, SENSOR_FAULTS
from twin.core.telemetry.times import parse_time

LAYOUT, SCENARIO = "sterling/gb200-nvl72", "assistants"
HOURS = 48
N_SEEDS, N_HEALTHY = 20, 40
SENSORS = ("primary_return_degc", "secondary_return_degc", "secondary_flow_kg_s", "primary_flow_kg_s")
SENSORS_THAT_DRIFT = ("primary_return_degc", "secondary_supply_degc")
NONE = "none"
PROGRAM = (
    "import json; from twin.benchmarks import fault_matrix; "
    "print(json.dumps(fault_matrix.measure({n_seeds}, {n_healthy}, {journal!r}, {kinds!r})))"
)
QUICK_KINDS = ("bypass", "sensor_bias", "phase_loss")


def benchmarks() -> Iterator[Benchmark]:
    """Yield the shares of all kinds."""
    journal = settings.TWIN_HOME / "benchmarks" / f"fault_matrix-{this_solver().digest[:12]}.jsonl"
    yield from rows(
        in_own_process(PROGRAM.format(n_seeds=N_SEEDS, n_healthy=N_HEALTHY, journal=str(journal), kinds=list(FAULTS)))
    )


def quick_benchmarks() -> Iterator[Benchmark]:
    """Yield the shares of a few kinds, one plant each."""
    yield from rows(in_own_process(PROGRAM.format(n_seeds=1, n_healthy=1, journal="", kinds=list(QUICK_KINDS))))


def measure(n_seeds: int, n_healthy: int, journal: str, kinds: list[str]) -> dict[str, Any]:
    """Return the trials of some kinds, and how much a process took."""
    inputs = sample(LAYOUT, SCENARIO)
    keys = [(kind, seed) for seed in range(n_seeds) for kind in kinds] + [(NONE, seed) for seed in range(n_healthy)]
    return {
        "trials": tried(journal, keys, lambda kind, seed: trial(inputs, kind, seed)),
        "objects": len(layout_objects(inputs)),
    }


def drawn(year: Described, kind: str, seed: int) -> Fault:
    """Return a fault of a kind: object, size and start by the seed."""
    inputs, random = year.inputs, np.random.default_rng([seed, list(FAULTS).index(kind)])
    if kind in SENSOR_FAULTS:
        sensors = (
            SENSORS_THAT_DRIFT if kind == "sensor_drift" else SENSORS[:2] if kind == "sensor_bias" else SENSORS[2:]
        )
        name = f"cdu/{random.choice([cdu.name for cdu in inputs.cdus])}|{random.choice(sensors)}"
    else:
        there = [name for name in layout_objects(inputs) if name.partition("/")[0] in OBJECTS[kind]]
        there = [name for name in there if not name.endswith("/accelerators") and refusal(inputs, kind, name) is None]
        if kind == "phase_loss":
            of_racks = {*inputs.racks.feed_a_id, *inputs.racks.feed_b_id}
            there = [f"feed/{feed.name}" for feed in inputs.feeds if feed.id in of_racks]
        if OBJECTS[kind] == ("rack",):
            there = [name for name, pool in zip(rack_objects(inputs), year.rack_pool, strict=True) if pool >= 0]
        if kind == "fan_failed":
            there = [name for name in there if name.startswith("air-unit/")]
        name = str(random.choice(there))
    start_h = 12.0 if kind == "sensor_drift" else float(random.integers(18, 30))
    return Fault(kind, name, 1_782_864_000.0 + start_h * 3600.0, float(random.uniform(0.4, 1.0)))


def trial(inputs: LayoutInputs, kind: str, seed: int) -> dict[str, Any]:
    """Return what the diagnosis says of a plant with a fault, or with none."""
    year = described(inputs)
    faults = [] if kind == NONE else [drawn(year, kind, seed)]
    try:
        measured, span, published = readings(inputs, season="summer", hours=HOURS, seed=1000 + seed, faults=faults)
    except ValueError as refused:
        return {"refused": str(refused)}
    found = [fault.row for fault in diagnose_layout(year, measured, **span)]
    row: dict[str, Any] = {"n_found": len(found), "silent": bool(published.silent)}
    if faults and found:
        first = found[0]
        row["told"] = f"{first['kind']} of {first['object']}"
        row["right_object"] = first["object"] == faults[0].object
        row["right_kind"] = first["kind"] == kind
        row["late_h"] = (parse_time(first["since"]) - faults[0].start) / 3600.0
    return row | ({"object": faults[0].object, "size": faults[0].size} if faults else {})


def rows(measured: dict[str, Any]) -> Iterator[Benchmark]:
    """Yield shares of right objects and kinds, and false alarms of a component-year."""
    trials = measured["trials"]
    healthy = [row for row in trials if row["key"][0] == NONE]
    shown = [row for row in trials if row["key"][0] != NONE and not row.get("silent") and "refused" not in row]
    silent = sum(bool(row.get("silent")) for row in trials)
    kinds = sorted({row["key"][0] for row in shown})
    by_kind = {kind: [row for row in shown if row["key"][0] == kind] for kind in kinds}
    size = f"{len(kinds)} kinds, {len(shown)} plants"
    for what, reach in (("right_object", 0.9), ("right_kind", 0.8)):
        share = {kind: float(np.mean([row.get(what, False) for row in of])) for kind, of in by_kind.items()}
        worst = sorted(share, key=lambda kind: share[kind])[:4]
        yield Benchmark(
            f"fault's {what.removeprefix('right_')} named first",
            size,
            float(np.mean([row.get(what, False) for row in shown])),
            "share",
            reach,
            higher_is_better=True,
            cpu_s=0.0,
            peak_bytes=0,
            note=f"least: {', '.join(f'{kind} {share[kind]:.0%}' for kind in worst)}; {silent} changed no reading",
        )
    late = {
        kind: float(np.median([row["late_h"] for row in of if row.get("right_kind")] or [np.nan]))
        for kind, of in by_kind.items()
    }
    yield Benchmark(
        "dated late, median",
        size,
        float(np.nanmedian(list(late.values()))),
        "h",
        None,
        higher_is_better=False,
        cpu_s=0.0,
        peak_bytes=0,
        note=", ".join(f"{kind} {hours:+.0f}" for kind, hours in late.items()),
    )
    years = len(healthy) * measured["objects"] * HOURS / 8760.0
    yield Benchmark(
        "false alarms of a component-year",
        f"{len(healthy)} healthy plants, {measured['objects']} components, {HOURS} h",
        sum(row["n_found"] for row in healthy) / years if years else float("nan"),
        "1/year",
        1.0,
        higher_is_better=False,
        cpu_s=0.0,
        peak_bytes=0,
        note=f"{years:.1f} component-years",
    )
