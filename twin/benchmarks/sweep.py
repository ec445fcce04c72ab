"""A sweep solved by one, two and four workers beside the plain loop over the same points: what the queue costs.

Workers are processes of the product on the embedded broker, started before the clock. CPU time is compared, because
other work on a machine lengthens only the other time; the times are stated too. Figures must be the same to the last
digit, whoever solved which point.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twin.benchmarks.measure import REPOSITORY, Benchmark, in_own_process, own_environment

LAYOUT = "sterling/gb200-nvl72"
WATER_DEGC = {"start": 24.0, "stop": 31.0, "step": 1.0}  # of the facility water: 8 values
LIMITS_W = [None, 700, 800, 900, 1000, 1050, 1100, 1150]  # of each accelerator
REACH = 1.10  # CPU time through one worker over that of the plain loop
WAIT_S = 3600.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PREPARE = """
import io, json
from django.core.management import call_command
for command in ("migrate", "load_catalogue", "load_samples"):
    call_command(command, verbosity=0, stdout=io.StringIO())
print(json.dumps(1))
"""
COMMON = """
import hashlib, json, time
from facility.models import Layout
from twin.models import SweepPoint, Worker
from twin.sweeps import asked, axes, solving
site, _, slug = {layout!r}.partition("/")
layout = Layout.objects.select_related("site").get(site__slug=site, slug=slug)
said = {said!r}
def digest(figures):
    return hashlib.sha256(json.dumps(figures, sort_keys=True).encode()).hexdigest()
def wall(points):
    first, last = min(p.started_at for p in points), max(p.finished_at for p in points)
    return (last - first).total_seconds()
"""
#: The same points one after the other, without rows, leases or messages; the first is solved before the clock.
PLAIN = """
from twin.runs import snapshot
base = snapshot.snapshot(layout, layout.site.scenarios.first())
read, products = axes.read_axes(said, base)
found = []
for warm in (True, False):
    began_s, cpu_s = time.perf_counter(), time.process_time()
    for values in list(axes.points(read))[: 1 if warm else None]:
        solved = solving.variant_solved(axes.changed(base, read, values, products))
        if not warm:
            found.append(solved["figures"])
took_s, used_s = time.perf_counter() - began_s, time.process_time() - cpu_s
print(json.dumps({{"wall_s": took_s, "cpu_s": used_s, "digest": digest(found), "n": len(found)}}))
"""
#: One point by each worker before the clock, so that their solvers are loaded.
SPREAD = """
def solved(said):
    sweep = asked.sweep_ask(layout=layout, scenario=layout.site.scenarios.first(), axes=said)
    while not asked.progress(sweep).ended:
        time.sleep(0.2)
    return list(sweep.points.order_by("index"))
while Worker.objects.count() < {n_workers}:
    time.sleep(0.2)
ahead = list(range(801, 801 + 3 * {n_workers}))
solved([{{"object": "scenario", "field": "accelerator_power_limit_w", "values": ahead}}])
def cpu_s():
    total = 0
    for pid in {pids!r}:
        for each in [pid, *open(f"/proc/{{pid}}/task/{{pid}}/children").read().split()]:
            fields = open(f"/proc/{{each}}/stat").read().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / {ticks}
before_s = cpu_s()
points = solved(said)
used_s = cpu_s() - before_s
print(json.dumps({{
    "wall_s": wall(points), "cpu_s": used_s, "digest": digest([p.figures for p in points]), "n": len(points),
    "status": sorted({{p.status for p in points}}), "attempts": max(p.attempt for p in points),
}}))
"""


def benchmarks() -> Iterator[Benchmark]:
    """Yield a 64-point sweep by one, two and four workers."""
    yield from _measured(LIMITS_W, (1, 2, 4))


def quick_benchmarks() -> Iterator[Benchmark]:
    """Yield an eight-point sweep by one and two workers."""
    yield from _measured(LIMITS_W[:1], (1, 2))


def _measured(limits_w: list, workers: Iterable[int]) -> Iterator[Benchmark]:
    axes = [
        {"object": "plant/Facility water", "field": "supply_degc", "range": WATER_DEGC},
        {"object": "scenario", "field": "accelerator_power_limit_w", "values": limits_w},
    ]
    with tempfile.TemporaryDirectory() as home:
        in_own_process(PREPARE, home)
        common = COMMON.format(layout=LAYOUT, said=axes)
        plain = in_own_process(common + PLAIN.format(), home)
        size = f"{plain['n']} points, {LAYOUT}"
        yield _figure("sweep: plain loop", size, plain["cpu_s"], "CPU s", None, plain)
        for n in workers:
            with _workers(home, n) as pids:
                program = common + SPREAD.format(n_workers=n, pids=pids, ticks=TICKS_PER_S)
                spread: dict[str, Any] = in_own_process(program, home)
            if spread["digest"] != plain["digest"] or spread["status"] != ["done"]:
                raise RuntimeError(f"{n} workers came to other figures than the loop, or to none: {spread}")
            ratio = spread["cpu_s"] / plain["cpu_s"]
            yield _figure(f"sweep: {n} worker(s) over plain loop", size, ratio, "CPU s/s", REACH, spread)


def _figure(name: str, size: str, value: float, unit: str, reach: float | None, measured: dict) -> Benchmark:
    note = f"{measured['wall_s']:.1f} s from first to last; figures {measured['digest'][:12]}"
    return Benchmark(name, size, value, unit, reach, False, measured["cpu_s"], 0, note)


@contextmanager
def _workers(home: str, n: int) -> Iterator[list[int]]:
    """Run workers of one slot each, and return their process ids."""
    command = [sys.executable, "-m", "celery", "-A", "twin.celery", "--quiet", "worker", "--concurrency", "1"]
    command += ["--without-gossip", "--without-mingle", "--loglevel", "ERROR"]
    environment = own_environment(home) | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    log = (Path(home) / f"workers-{n}").open("w")
    running = [
        subprocess.Popen(
            [*command, "--hostname", f"w{i}@here"], cwd=REPOSITORY, env=environment, stdout=log, stderr=log
        )
        for i in range(n)
    ]
    try:
        time.sleep(0.5)
        yield [process.pid for process in running]
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(WAIT_S)
        log.close()
