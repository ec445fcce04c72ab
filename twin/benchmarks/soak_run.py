"""One segment of `telemetry_soak`, in a database of its own: publish, kill, count."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from django.core.management import call_command
from django.db import InterfaceError, OperationalError, connection
from numpy.typing import NDArray

from facility.models import Product, Site, Weather
from twin.benchmarks.measure import REPOSITORY, peak_bytes
from twin.benchmarks.services import Broker, Database
from twin.core.telemetry import dsx_bms
from twin.models import SourceState, TelemetrySource
from twin.telemetry import sources, store
from twin.telemetry.publish_mqtt import Publisher

QUANTITY, START_S = "output_tokens_per_s", 1_796_050_800.0
REPEAT_S = 30.0  # what the publisher sends again after a reconnection
ROUNDS = 1  # of kills: broker, reader, database
PATIENCE_S = 180.0  # how long a thing may take that must happen
DOWN_S = 1.0


class ReaderProcess:
    """`manage.py read_sources`, killed and begun again."""

    def __init__(self, log: Path) -> None:
        self._log, self._process = log, None
        self._spent_s = 0.0  # by those that were killed

    def start(self) -> None:
        """Start it; it connects by itself."""
        with self._log.open("a") as log:
            command = [sys.executable, "manage.py", "read_sources"]
            self._process = subprocess.Popen(command, cwd=REPOSITORY, stdout=log, stderr=log)

    def kill(self) -> None:
        """End it at once."""
        if self._process:
            self._spent_s, process = self.cpu_s, self._process
            self._process = None
            process.kill()
            process.wait()

    @property
    def cpu_s(self) -> float:
        """CPU time of all of its processes, their start in it [s]."""
        with contextlib.suppress(OSError):
            if self._process:
                spent = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
                return self._spent_s + sum(map(int, spent)) / os.sysconf("SC_CLK_TCK")
        return self._spent_s

    @property
    def peak_bytes(self) -> int:
        """Its peak resident memory."""
        with contextlib.suppress(OSError, StopIteration, AttributeError):
            lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
            return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
        return 0


def soak(n_points: int, step_s: float, seconds: float, seed: int, folder: str, port: int) -> dict[str, Any]:
    """Publish and kill, and return what was stored."""
    call_command("migrate", verbosity=0)
    broker = Broker(Path(folder)).start()
    source = _source(broker.address)
    reader = ReaderProcess(Path(folder) / "reader.log")
    victims: dict[str, Any] = {"broker": broker, "reader": reader}
    if port:
        victims["database"] = Database(Path(folder) / "database", port)
    names = [f"workload/w{i:05d}" for i in range(n_points)]
    values = np.random.default_rng(seed).random((round(seconds / step_s), n_points)).astype(np.float32) * 1e4
    try:
        reader.start()
        _waited(lambda: _state(source).connected, "the reader does not connect")
        with Publisher(broker.address, repeat_s=REPEAT_S) as publisher:
            published_s, kills = _publish(publisher, names, values, step_s, source, victims)
        _waited(lambda: _state(source).accepted >= values.size, "what was published is not stored", or_go_on=True)
        return {
            **_counted(source, names, values, step_s),
            "published": int(values.size),
            "published_s": published_s,
            "kills": kills,
            "reader_bytes": reader.peak_bytes,
            "reader_cpu_s": reader.cpu_s,
            "publisher_bytes": peak_bytes(),
            "cpu_s": time.process_time(),
        }
    finally:
        reader.kill()
        broker.kill()


def _publish(
    publisher: Publisher,
    names: list[str],
    values: NDArray[np.float32],
    step_s: float,
    source: TelemetrySource,
    victims: dict[str, Any],
) -> tuple[float, dict[str, int]]:
    """Send everything at its pace and kill meanwhile; return how long it took and who was killed how often."""
    for name in names:
        metadata = json.dumps(dsx_bms.metadata_of(name, QUANTITY))
        publisher.send(dsx_bms.topic_text(name, QUANTITY, dsx_bms.METADATA), metadata, retain=True)
    _waited(lambda: len(TelemetrySource.objects.get(pk=source.pk).metadata) == len(names), "no metadata arrives")
    kills, order = dict.fromkeys(victims, 0), list(victims) * ROUNDS
    due = [len(values) * (i + 1) // (len(order) + 1) for i in range(len(order))]
    begun_s = time.monotonic()
    for k, row in enumerate(values):
        if k in due:
            name = order[sum(kills.values())]
            victims[name].kill()
            time.sleep(DOWN_S)
            victims[name].start()
            kills[name] += 1
        for name, value in zip(names, row.tolist(), strict=True):
            message = dsx_bms.value_text(name, QUANTITY, START_S + k * step_s, value)
            publisher.send(dsx_bms.topic_text(name, QUANTITY), message)
        time.sleep(max(0.0, begun_s + (k + 1) * step_s - time.monotonic()))
    publisher.drain()
    return time.monotonic() - begun_s, kills


def _source(address: str) -> TelemetrySource:
    call_command("load_catalogue", verbosity=0)
    weather, region = Weather.objects.first(), Product.objects.filter(kind="regions").first()
    place = {"latitude_deg": 0, "longitude_deg": 0, "grid_limit_w": 1e6, "weather": weather, "region": region}
    site = Site.objects.create(slug="soak", name="Soak", **place)
    return sources.source_save(user=None, source=TelemetrySource(site=site, name="Soak", address=address))


def _state(source: TelemetrySource) -> SourceState:
    return SourceState.objects.get(source=source)


def _waited(is_so: Callable[[], bool], what: str, *, or_go_on: bool = False) -> None:
    """Wait until something is so, whatever the database does meanwhile."""
    until_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            if is_so():
                return
        except (OperationalError, InterfaceError):
            connection.close()
        if time.monotonic() > until_s:
            if or_go_on:
                return
            raise TimeoutError(what)
        time.sleep(0.25)


def _counted(source: TelemetrySource, names: list[str], values: NDArray[np.float32], step_s: float) -> dict[str, int]:
    """Return how many readings are stored, how many with another value, and by how many the source's counts are off."""
    _waited(lambda: not source.arrivals.exists(), "what arrived is not sorted", or_go_on=True)
    start_ms = round(START_S * 1e3)
    found = store.read(source.site, start_ms, start_ms + 86_400_000)
    stored = wrong = 0
    for i, name in enumerate(names):
        times, read, _ = found.get((name, QUANTITY), (np.zeros(0, np.int64), np.zeros(0), np.zeros(0)))
        rows = np.round((times - start_ms) / (1e3 * step_s)).astype(int)
        stored += times.size
        wrong += int(np.sum(~np.isclose(read, values[rows, i], rtol=1e-6)))
    state = _state(source)
    off = abs(state.received - state.accepted - state.duplicate - sum(state.refused.values()))
    return {"stored": stored, "wrong": wrong, "off": off + abs(state.accepted - stored), "duplicate": state.duplicate}
