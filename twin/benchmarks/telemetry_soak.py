"""Readings over MQTT while broker, reader and database are killed in turn: what is stored is what was published.

A publisher sends seeded values at a steady rate; Mosquitto, the process that reads and the database are each ended by
SIGKILL and begun again, one after the other, all the while. At the end every published reading must be stored once,
with its value, and the counts of the source must add up. The publisher sends its last half minute again after a
reconnection: a broker that is killed loses what it has only in memory, though it acknowledged it.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from twin.benchmarks.measure import REPOSITORY, Benchmark, own_environment
from twin.benchmarks.services import MOSQUITTO, POSTGRES, Database, free_port
from twin.benchmarks.trial_plants import tried
from twin.core.provenance import this_solver


@dataclass(frozen=True, slots=True)
class Size:
    """How much, for how long."""

    n_points: int
    step_s: float  # between two readings of a point
    seconds: float
    n_segments: int  # each on an installation of its own; one that was done is not repeated


REACH_PER_S = 5_000.0
CORE_US = 1e6 / REACH_PER_S
FULL = Size(n_points=5_000, step_s=1.0, seconds=180.0, n_segments=10)
QUICK = Size(n_points=100, step_s=0.5, seconds=18.0, n_segments=1)


def benchmarks() -> Iterator[Benchmark]:
    """Yield the rows of half an hour at 5,000 readings a second."""
    journal = settings.TWIN_HOME / "benchmarks" / f"telemetry_soak-{this_solver().digest[:12]}.jsonl"
    yield from rows(FULL, tried(str(journal), [(k,) for k in range(FULL.n_segments)], lambda k: segment(FULL, k)))


def quick_benchmarks() -> Iterator[Benchmark]:
    """Yield the rows of a few seconds."""
    yield from rows(QUICK, [segment(QUICK, 0)])


def rows(size: Size, found: list[dict[str, Any]]) -> Iterator[Benchmark]:
    """Yield what came of all segments."""
    total = {name: sum(one[name] for one in found) for name in ("published", "stored", "duplicate", "wrong", "cpu_s")}
    kills = {name: sum(one["kills"][name] for one in found) for name in found[0]["kills"]}
    asked = size.n_points / size.step_s
    text = f"{size.n_points:,} points, {asked:,.0f} readings/s, {len(found) * size.seconds:.0f} s"
    killed = ", ".join(f"{name} {n}" for name, n in kills.items())
    for name, value, note in (
        ("readings published and not stored once", abs(total["published"] - total["stored"]), f"kills: {killed}"),
        ("readings stored with another value", total["wrong"], f"of {total['stored']:,}"),
        (
            "readings whose counts do not add up",
            sum(abs(one["off"]) for one in found),
            f"{total['duplicate']:,} repeats",
        ),
    ):
        yield Benchmark(
            name,
            text,
            float(value),
            "readings",
            0.0,
            higher_is_better=False,
            cpu_s=total["cpu_s"],
            peak_bytes=max(one["reader_bytes"] for one in found),
            note=note,
        )
    yield Benchmark(
        "CPU of the reading process a reading",
        text,
        1e6 * sum(one["reader_cpu_s"] for one in found) / total["published"],
        "µs",
        CORE_US if size.n_points >= FULL.n_points else None,
        higher_is_better=False,
        cpu_s=total["cpu_s"],
        peak_bytes=max(one["reader_bytes"] for one in found),
        note=f"its starts in it; {CORE_US:.0f} µs are one core at {REACH_PER_S:,.0f} readings/s",
    )
    yield Benchmark(
        "readings published a second",
        text,
        total["published"] / sum(one["published_s"] for one in found),
        "1/s",
        None,
        higher_is_better=True,
        cpu_s=total["cpu_s"],
        peak_bytes=max(one["reader_bytes"] for one in found),
        note="what the machine allowed, with the publisher and the broker on it",
    )


def segment(size: Size, seed: int) -> dict[str, Any]:
    """Return what came of one segment, in processes and services of its own.

    Raises
    ------
    RuntimeError
        If there is no Mosquitto, or the segment fails.
    """
    if MOSQUITTO is None:
        raise RuntimeError("there is no Mosquitto on this machine (Debian: apt-get install mosquitto)")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o711)  # the database's user passes through
        port = free_port() if POSTGRES else 0
        environment = own_environment(str(Path(folder) / "home")) | {
            "TWIN_ALLOWED_NETWORKS": "127.0.0.0/8",
            "TWIN_SOLVES_HERE": "1",
        }
        database = Database(Path(folder) / "database", port).make().start() if POSTGRES else None
        if database:
            environment["DATABASE_URL"] = database.url
        call = (size.n_points, size.step_s, size.seconds, seed, folder, port)
        program = f"import json; from twin.benchmarks.soak_run import soak; print(json.dumps(soak{call!r}))"
        try:
            ended = subprocess.run(
                [sys.executable, "manage.py", "shell", "--no-imports", "-c", program],
                cwd=REPOSITORY,
                env=environment,
                capture_output=True,
                text=True,
            )
        finally:
            if database:
                database.kill()
        if ended.returncode:
            raise RuntimeError((ended.stderr.strip().splitlines() or ["it said nothing"])[-1])
        found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
        return found
