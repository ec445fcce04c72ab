"""The store of readings: how fast it takes them, how small it keeps them, how soon it shows them.

Measured in a process and a database of its own: SQLite always, PostgreSQL where one answers. Batches go through the
door that programs use, as CSV, compaction included. A tenth of the points give every digit of their noise, the others
what a sensor's decimals leave of it. A year is simulated by scale: bytes are those of one month.
"""

import gc
import io
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any
from uuid import uuid4

import numpy as np
from django.core.management import call_command
from django.db import connection
from django.db.models import Sum
from django.db.models.functions import Length

from facility.models import Layout, Site
from twin.benchmarks.big_layout import big_layout
from twin.benchmarks.measure import Benchmark, in_own_process, peak_bytes
from twin.core.telemetry.readings import MappedPoint, Reading, Readings, table_readings
from twin.core.telemetry.tables import table_of
from twin.models import TelemetryDay, TelemetryHot, TelemetryPoint
from twin.telemetry import batches, compaction, store
from twin.telemetry.point_series import point_series

try:
    import psycopg
except ModuleNotFoundError:  # an extra of the product
    psycopg = None

PROGRAM = (
    "import json; from twin.benchmarks import telemetry_store as t; print(json.dumps(t.measure(t.Size(**{size!r}))))"
)
QUANTITIES = ("power_w", "liquid_supply_degc", "liquid_return_degc", "liquid_flow_kg_s")
REACH_PER_S = {"sqlite": 3_000.0, "postgresql": 20_000.0}
REACH_BYTES, REACH_MONTH_S, REACH_DAY_S = 4.0, 0.3, 1.0
DAY_MS, MINUTE_MS = 86_400_000, 60_000
START_MS = 20_605 * DAY_MS  # 2026-06-01
MONTH_DAYS = 30
SERVER = "postgres://postgres@127.0.0.1:5432/postgres"


@dataclass(frozen=True, slots=True)
class Size:
    """How much is stored."""

    n_racks: int
    n_batches: int  # each of one reading a point
    n_month_points: int


FULL, QUICK = Size(1_500, 60, 40), Size(100, 3, 3)


def benchmarks() -> Iterator[Benchmark]:
    """Yield the rows of the full size, of each database that there is."""
    yield from rows("sqlite", measured(FULL))
    if found := measured_on_postgresql(FULL):
        yield from rows("postgresql", found)


def quick_benchmarks() -> Iterator[Benchmark]:
    """Yield those of a small size on SQLite."""
    yield from rows("sqlite", measured(QUICK))


def rows(database: str, found: dict[str, Any]) -> Iterator[Benchmark]:
    """Yield what was measured as rows."""
    points = f"{found['n_points']:,} points, {database}"

    def row(name: str, size: str, value: float, unit: str, reach: float, higher: bool, note: str = "") -> Benchmark:
        return Benchmark(name, size, value, unit, reach, higher, found["cpu_s"], found["peak_bytes"], note)

    yield row(
        "readings taken",
        points,
        found["per_s"],
        "1/s",
        REACH_PER_S[database],
        True,
        f"{found['n_taken']:,} in {found['taken_s']:.1f} s, {found['compacted_s']:.1f} s of it compaction, own CPU"
        f" {found['taken_cpu_s']:.1f} s",
    )
    own = f"own CPU {found['day_cpu_s']:.2f} s"
    yield row("bytes per reading", "minutes, rollups too", found["bytes"], "B", REACH_BYTES, False)
    yield row("month of a point", f"by the hour, {database}", found["month_s"], "s", REACH_MONTH_S, False, found["hot"])
    yield row(
        "day of the fleet", f"{found['n_fleet']:,} points, {database}", found["day_s"], "s", REACH_DAY_S, False, own
    )


def measured(size: Size, database: str | None = None) -> dict[str, Any]:
    """Return what a process of its own measured."""
    return in_own_process(PROGRAM.format(size=asdict(size)), database=database)


def measured_on_postgresql(size: Size) -> dict[str, Any] | None:
    """Return the same of a database of its own on a PostgreSQL server, None where none answers."""
    if psycopg is None:
        return None
    server = os.environ.get("TWIN_TEST_DATABASE_URL", SERVER)
    name = f"twin_benchmark_{uuid4().hex[:8]}"
    try:
        admin = psycopg.connect(server.replace("postgres://", "postgresql://", 1), autocommit=True)
    except psycopg.OperationalError:
        return None
    with admin:
        admin.execute(f"CREATE DATABASE {name}")
        try:
            return measured(size, f"{server.rpartition('/')[0]}/{name}")
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def measure(size: Size) -> dict[str, Any]:
    """Return the figures of this process's database."""
    call_command("migrate", verbosity=0)
    call_command("load_catalogue", stdout=io.StringIO())
    layout, _ = big_layout(size.n_racks, n_classes=12)
    gc.collect()
    gc.freeze()  # as the web server does, which takes batches
    taken = _take(layout, size.n_batches)
    month = _month(layout.site, size.n_month_points)
    fleet = _fleet_day(layout.site)
    return {
        **taken,
        **month,
        **fleet,
        "database": connection.vendor,
        "cpu_s": time.process_time(),
        "peak_bytes": peak_bytes(),
    }


def _take(layout: Layout, n_batches: int) -> dict[str, Any]:
    """Send a reading of every point again and again, as a program does, and compact what waits."""
    names = [f"rack/{hall}/{name}" for hall, name in _racks(layout)]
    points = [f"{name}|{quantity}" for name in names for quantity in QUANTITIES]
    units = ["W", "degC", "degC", "kg/s"] * len(names)
    level = np.tile([1e5, 40.0, 50.0, 2.0], len(names))
    rng = np.random.default_rng(3)
    began, cpu_began = time.perf_counter(), time.process_time()
    accepted = 0
    for i in range(n_batches):
        stamp = (START_MS + MONTH_DAYS * DAY_MS + i * MINUTE_MS) // 1000
        values = level * (1 + rng.normal(0, 0.005, level.size))
        lines = (f"{stamp},{p},{v:.3f},{u}" for p, v, u in zip(points, values, units, strict=True))
        body = "\n".join(["time,point,value,unit", *lines])

        def read(mapping, objects, body=body) -> Readings:
            return table_readings(table_of(body, "The body"), mapping, objects, Reading("long-csv"))

        answer = batches.store_batch(user=None, site=layout.site, read=read, key="", sha256="")
        accepted += answer["accepted"]
    sent_s = time.perf_counter() - began
    compaction.compact(layout.site)
    taken_s = time.perf_counter() - began
    there = TelemetryDay.objects.aggregate(n=Sum("n_readings"))["n"]
    if not accepted == there == len(points) * n_batches or TelemetryHot.objects.exists():
        raise RuntimeError(f"{accepted:,} readings accepted, {there:,} stored, {len(points) * n_batches:,} sent")
    return {
        "n_points": len(points),
        "n_taken": accepted,
        "taken_s": taken_s,
        "taken_cpu_s": time.process_time() - cpu_began,
        "compacted_s": taken_s - sent_s,
        "per_s": accepted / taken_s,
    }


def _racks(layout: Layout) -> list[tuple[str, str]]:
    return [row for hall in layout.halls.all() for row in hall.racks.values_list("hall__name", "name")]


def _month(site: Site, n_points: int) -> dict[str, Any]:
    """Store a month of minutes of some points, and show one of them while readings wait to be compacted."""
    times = START_MS + MINUTE_MS * np.arange(MONTH_DAYS * 1440)
    ids = list(TelemetryPoint.objects.filter(site=site).order_by("id")[:n_points])
    rng, hours = np.random.default_rng(5), np.arange(times.size) / 60
    for i, point in enumerate(ids):
        values = 50.0 + 5.0 * np.sin(hours / 24 * 2 * np.pi) + rng.normal(0, 0.25, times.size)
        values = values if i % 10 == 9 else np.round(values, 2)
        mapped = MappedPoint(str(point), point.object, point.quantity)
        store.append(site, Readings({mapped: (times, values, np.ones(times.size, np.uint8))}))
    compaction.compact(site)
    span = {"day__lt": compaction.date_of(START_MS // DAY_MS + MONTH_DAYS)}
    stored = TelemetryDay.objects.filter(**span).aggregate(
        n=Sum("n_readings"), columns=Sum(Length("columns")), rollups=Sum(Length("rollups"))
    )
    n_hot = _fill_hot(site, len(ids))
    end_ms = START_MS + MONTH_DAYS * DAY_MS
    seconds = []
    for point in ids[:5]:
        began = time.perf_counter(), time.process_time()
        series = point_series(point, None, START_MS, end_ms, 3600)
        seconds.append((time.perf_counter() - began[0], time.process_time() - began[1]))
        if int(series.measured.count.sum()) != times.size:
            raise RuntimeError(f"{point} shows {series.measured.count.sum():,} of {times.size:,} readings")
    compaction.compact(site)
    return {
        "bytes": (stored["columns"] + stored["rollups"]) / stored["n"],
        "month_s": max(wall for wall, _ in seconds),
        "hot": f"while {n_hot:,} readings wait; own CPU {max(cpu for _, cpu in seconds):.2f} s",
    }


def _fill_hot(site: Site, n_points: int) -> int:
    """Leave as many readings of the month uncompacted as may wait."""
    n = min(compaction.DUE_READINGS, 20_000 * n_points) // n_points
    times = START_MS + 30_000 + MINUTE_MS * np.arange(n)
    times = times[times < START_MS + MONTH_DAYS * DAY_MS - DAY_MS] + 0
    points = TelemetryPoint.objects.filter(site=site).order_by("-id")[:n_points]
    for point in points:
        mapped = MappedPoint(str(point), point.object, point.quantity)
        store.append(site, Readings({mapped: (times, np.full(times.size, 1.0), np.ones(times.size, np.uint8))}))
    return int(times.size * n_points)


def _fleet_day(site: Site) -> dict[str, Any]:
    """Store a day of minutes of every point of a quantity, and lay it side by side."""
    points = list(TelemetryPoint.objects.filter(site=site, quantity=QUANTITIES[0]).order_by("id"))
    day = START_MS // DAY_MS + MONTH_DAYS + 2
    times = day * DAY_MS + MINUTE_MS * np.arange(1440)
    rng = np.random.default_rng(7)
    for start in range(0, len(points), 300):
        columns = (
            (point, np.round(1e5 * (1 + rng.normal(0, 0.01, times.size)), 0)) for point in points[start : start + 300]
        )
        readings = {
            MappedPoint(str(point), point.object, point.quantity): (times, values, np.ones(times.size, np.uint8))
            for point, values in columns
        }
        store.append(site, Readings(readings))
    compaction.compact(site)
    began, cpu_began = time.perf_counter(), time.process_time()
    found = store.day_map(site, QUANTITIES[0], compaction.date_of(day))
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    if not np.isfinite(found.means).all() or len(found.objects) != len(points):
        raise RuntimeError(f"{len(found.objects):,} of {len(points):,} points lie side by side")
    return {"n_fleet": len(points), "day_s": seconds, "day_cpu_s": cpu_s}
