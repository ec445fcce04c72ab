"""How one figure of speed is taken."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One measured figure. `value` is held to `reach`: at most it, or at least it where `higher_is_better`."""

    name: str
    size: str
    value: float
    unit: str
    reach: float | None
    higher_is_better: bool
    cpu_s: float
    peak_bytes: int  # of the whole process so far, or of the child process that the work ran in
    note: str = ""

    @property
    def status(self) -> str:
        """`pass`, `miss`, or `no reach` where the issue names none."""
        if self.reach is None:
            return "no reach"
        met = self.value >= self.reach if self.higher_is_better else self.value <= self.reach
        return "pass" if met else "miss"


def cpu_seconds(work: Callable[[], object], *, repeats: int = 1) -> float:
    """Return the least CPU time (user and system, all threads) of `repeats` calls of `work` [s]."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def peak_bytes() -> int:
    """Return the peak resident memory of this process [bytes].

    Where the system counts by address space, as Linux does, that count is read: resource usage of a process that
    another one started begins with the other's peak.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def in_own_process(program: str, home: str | None = None, database: str | None = None) -> Any:
    """Return what lines of Python write as JSON to standard output, in a process and a database of their own.

    Parameters
    ----------
    program : str
        Runs as `manage.py shell` runs it, in a process that solves by itself.
    home : str, optional
        Its TWIN_HOME; a fresh one that is removed where none is given.
    database : str, optional
        Its DATABASE_URL; SQLite in its home where none is given.

    Raises
    ------
    RuntimeError
        If the program fails; the last line that it said.
    """
    if home is None:
        with tempfile.TemporaryDirectory() as fresh:
            return in_own_process(program, fresh, database)
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", program]
    environment = own_environment(home) | {"TWIN_SOLVES_HERE": "1"}
    if database:
        environment["DATABASE_URL"] = database
    ended = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    if ended.returncode:
        raise RuntimeError(ended.stderr.strip().splitlines()[-1])
    return json.loads(ended.stdout)


def own_environment(home: str) -> dict[str, str]:
    """Return the environment of processes that touch nothing of the user's: database and broker in `home`."""
    kept = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "CELERY_BROKER_URL")}
    return kept | {"TWIN_HOME": home, "DJANGO_SETTINGS_MODULE": "twin.settings"}
