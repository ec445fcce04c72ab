"""How long planners wait for instant answers, how large the web process is, and how long pages take meanwhile.

One and twenty planners edit layouts of 1,000 racks at once, through `manage.py serve` on a database of its own; a
minute or two each. `--quick` does the same with few planners and small layouts.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from twin.benchmarks.measure import REPOSITORY, Benchmark, in_own_process, own_environment
from twin.benchmarks.planners import Log, Planner, ask, draw, edits_of, free_port, read_pages

REACH_WEB_BYTES = 200e6
START_S = 180.0
ROLES = {"web": "twin.wsgi", "solver": "twin.solvers.wsgi"}  # what the command lines of the processes have in them
PREPARE = """
import io, json, sys
from dataclasses import asdict
from django.core.management import call_command
from twin.benchmarks.planners import planners_create
call_command("migrate", verbosity=0)
call_command("load_catalogue", stdout=io.StringIO())
sys.stdout.write(json.dumps([asdict(planner) for planner in planners_create({n}, {n_racks})]))
"""


@dataclass(frozen=True, slots=True)
class Size:
    """What is measured: planners at once by phase, with their edits, and the racks of each layout."""

    phases: tuple[tuple[int, int], ...]  # planners, other ones each time, and edits of each
    n_racks: int
    pause_s: tuple[float, float]


FULL = Size(((1, 12), (20, 6)), 1000, (3.0, 7.0))
QUICK = Size(((1, 3), (4, 3)), 100, (0.1, 0.4))


@dataclass(frozen=True, slots=True)
class Phase:
    """What some planners at once met."""

    n_planners: int
    n_edits: int
    ends: Counter
    refusals: list[str]
    answer_s: list[float]
    page_s: list[float]
    cpu_s: dict[str, float]  # by role
    wall_s: float

    @property
    def counts(self) -> str:
        """How the questions ended."""
        return ", ".join(f"{n} {end}" for end, n in sorted(self.ends.items()))


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of the processes of a role [bytes]: the peak of each, and the share of all at the end."""

    peaks: list[int]
    proportional: int  # pages that several processes share count once


def benchmarks() -> Iterator[Benchmark]:
    """Yield the rows of the full size."""
    yield from rows(FULL, *measure(FULL))


def quick_benchmarks() -> Iterator[Benchmark]:
    """Yield the rows of the small size."""
    yield from rows(QUICK, *measure(QUICK))


def rows(size: Size, phases: list[Phase], memory: dict[str, Memory]) -> Iterator[Benchmark]:
    """Yield what was measured as rows."""
    web = max(memory["web"].peaks)
    for phase in phases:
        who = f"{phase.n_planners} planner{'s' if phase.n_planners > 1 else ''}"
        text = f"{size.n_racks:,} racks each, {phase.n_edits} edits in {phase.wall_s:.0f} s"
        cpu = ", ".join(f"{role} {cpu_s:.1f}" for role, cpu_s in phase.cpu_s.items())
        for name, times_s, share in (
            ("edit to answer, p50", phase.answer_s, 0.5),
            ("edit to answer, p95", phase.answer_s, 0.95),
            ("page meanwhile, p95", phase.page_s, 0.95),
        ):
            note = f"{len(times_s)} pages" if times_s is phase.page_s else f"{phase.counts}; CPU s: {cpu}"
            yield Benchmark(
                f"{name}: {who}",
                text,
                float(np.quantile(times_s, share)),
                "s",
                None,
                higher_is_better=False,
                cpu_s=sum(phase.cpu_s.values()),
                peak_bytes=web,
                note=note,
            )
    for role, held in memory.items():
        if not held.peaks:  # where the web process solves there are no solver processes
            continue
        note = f"{len(held.peaks)} processes, {held.proportional / 1e6:.0f} MB where shared pages count once"
        yield Benchmark(
            f"memory, largest {role} process",
            f"{size.n_racks:,} racks",
            max(held.peaks) / 1e6,
            "MB",
            REACH_WEB_BYTES / 1e6 if role == "web" else None,
            higher_is_better=False,
            cpu_s=0.0,
            peak_bytes=max(held.peaks),
            note=note,
        )


def measure(size: Size) -> tuple[list[Phase], dict[str, Memory]]:
    """Return what the planners of each phase met, and the memory of the server's processes after all."""
    with tempfile.TemporaryDirectory() as home:
        planners = _prepare(size, home)
        port = free_port()
        with (Path(home) / "log").open("w") as log:
            serve = subprocess.Popen(
                [sys.executable, "manage.py", "serve", f"127.0.0.1:{port}", "--no-worker"],
                cwd=REPOSITORY,
                env=own_environment(home),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            _wait_until_answered(port, planners, serve, Path(home) / "log")
            fresh = iter(planners)
            phases = [_phase(size, n_edits, list(islice(fresh, n)), port, serve.pid) for n, n_edits in size.phases]
            return phases, {role: _memory(pids) for role, pids in processes_of(serve.pid).items()}
        finally:
            serve.send_signal(signal.SIGINT)
            serve.wait()


def _prepare(size: Size, home: str) -> list[Planner]:
    program = PREPARE.format(n=sum(n for n, _ in size.phases), n_racks=size.n_racks)
    return [Planner(**planner) for planner in in_own_process(program, home)]


def _wait_until_answered(port: int, planners: list[Planner], serve: subprocess.Popen, log: Path) -> None:
    """Ask each planner's question once: what a start costs is not what is measured here."""
    deadline_s = time.monotonic() + START_S
    for planner in planners:
        while True:
            try:
                status, body = ask(port, planner, "GET", planner.answer)
            except OSError as error:
                status, body = 0, repr(error).encode()
            if status == 200:
                break
            if time.monotonic() > deadline_s or serve.poll() is not None:
                raise RuntimeError(f"no first answer: {status} {body[:200]!r}; {log.read_text()[-1000:]}")
            time.sleep(0.2)


def _phase(size: Size, n_edits: int, planners: list[Planner], port: int, serve: int) -> Phase:
    log, done = Log(), threading.Event()
    before = {role: sum(map(cpu_s_of, pids)) for role, pids in processes_of(serve).items()}
    started_s = time.perf_counter()
    drawing = [
        threading.Thread(target=draw, args=(port, planner, edits_of(i, n_edits, size.pause_s, size.n_racks), log))
        for i, planner in enumerate(planners)
    ]
    reading = threading.Thread(target=read_pages, args=(port, planners[0], log, done))
    for thread in (reading, *drawing):
        thread.start()
    for thread in drawing:
        thread.join()
    done.set()
    reading.join()
    wall_s = time.perf_counter() - started_s
    cpu_s = {role: sum(map(cpu_s_of, pids)) - before[role] for role, pids in processes_of(serve).items()}
    if not log.answer_s or not log.page_s:
        raise RuntimeError(f"nothing was answered: {dict(log.ends)} {log.refusals[:3]}")
    return Phase(
        len(planners), len(planners) * n_edits, log.ends, log.refusals, log.answer_s, log.page_s, cpu_s, wall_s
    )


def processes_of(serve: int) -> dict[str, list[int]]:
    """Return the processes of each role under `serve`."""
    below = under(serve)
    return {role: [pid for pid, (_, command) in below.items() if word in command] for role, word in ROLES.items()}


def under(top: int) -> dict[int, tuple[int, str]]:
    """Return parent and command line of every process below another one."""
    processes = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                processes[int(entry.name)] = int(stat[1]), (entry / "cmdline").read_bytes().decode()
            except OSError:
                continue  # it has ended meanwhile
    found = {}
    for pid in processes:
        above = processes[pid][0]
        while above in processes and above != top:
            above = processes[above][0]
        if above == top:
            found[pid] = processes[pid]
    return found


def cpu_s_of(pid: int) -> float:
    """Return the CPU seconds of a process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _memory(pids: list[int]) -> Memory:
    def kilobytes(pid: int, file: str, name: str) -> int:
        return int(Path(f"/proc/{pid}/{file}").read_text().partition(f"{name}:")[2].split()[0]) * 1024

    return Memory(
        [kilobytes(pid, "status", "VmHWM") for pid in pids], sum(kilobytes(pid, "smaps_rollup", "Pss") for pid in pids)
    )
