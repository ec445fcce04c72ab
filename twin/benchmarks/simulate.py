"""A year of a big layout, through the whole path that a user's run takes; and the page that shows it.

Each size runs in a process of its own, with a database of its own, so that memory is that of the work and nothing of
the user's is touched.
"""

import io
import time
from collections.abc import Iterator

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from twin.benchmarks.big_layout import big_layout
from twin.benchmarks.measure import Benchmark, cpu_seconds, in_own_process, peak_bytes
from twin.core.results.details import run_details
from twin.runs import execution

PROGRAM = (
    "import json; from twin.benchmarks import simulate; "
    "print(json.dumps(simulate.measure({what!r}, {n_racks}, {n_classes})))"
)
REACH_CLASSES_S = 1.0
REACH_DIFFERENT_S = 4.0
REACH_GROWTH = 4.4
REACH_BYTES = 600e6
REACH_PAGE_S = 0.3


def benchmarks() -> Iterator[Benchmark]:
    """Yield the rows of the simulate path, then the page."""
    classes = _in_own_process("run", 1000, 12)
    yield from _run_rows("1,000 racks of 12 classes", classes, REACH_CLASSES_S)
    different = _in_own_process("run", 1000, 0)
    yield from _run_rows("1,000 racks that all differ", different, REACH_DIFFERENT_S)
    four_times = _in_own_process("run", 4000, 0)
    size = four_times["size"]
    yield Benchmark(
        "simulate: 4,000 over 1,000 racks",
        size,
        four_times["cpu_s"] / different["cpu_s"],
        "x",
        REACH_GROWTH,
        higher_is_better=False,
        cpu_s=four_times["cpu_s"],
        peak_bytes=four_times["peak_bytes"],
    )
    yield _memory_row("4,000 racks that all differ", four_times)
    page = _in_own_process("page", 1000, 12)
    yield Benchmark(
        "layout page, warm",
        page["size"],
        page["cpu_s"],
        "CPU s",
        REACH_PAGE_S,
        higher_is_better=False,
        cpu_s=page["cpu_s"],
        peak_bytes=page["peak_bytes"],
        note=f"{page['n_queries']} queries",
    )


def _run_rows(name: str, measured: dict, reach_s: float) -> Iterator[Benchmark]:
    yield Benchmark(
        f"simulate: {name}",
        measured["size"],
        measured["cpu_s"],
        "CPU s",
        reach_s,
        higher_is_better=False,
        cpu_s=measured["cpu_s"],
        peak_bytes=measured["peak_bytes"],
        note=measured["note"],
    )
    yield _memory_row(name, measured)


def _memory_row(name: str, measured: dict) -> Benchmark:
    return Benchmark(
        f"memory: {name}",
        measured["size"],
        measured["peak_bytes"] / 1e6,
        "MB",
        REACH_BYTES / 1e6,
        higher_is_better=False,
        cpu_s=measured["cpu_s"],
        peak_bytes=measured["peak_bytes"],
    )


def _in_own_process(what: str, n_racks: int, n_classes: int) -> dict:
    return in_own_process(PROGRAM.format(what=what, n_racks=n_racks, n_classes=n_classes))


def measure(what: str, n_racks: int, n_classes: int) -> dict:
    """Return what a run or the page of a layout takes; asked in a process of its own."""
    call_command("migrate", verbosity=0)
    call_command("load_catalogue", stdout=io.StringIO())
    layout, scenario = big_layout(n_racks, n_classes=n_classes or None)
    measured = _page(layout) if what == "page" else _run(layout, scenario)
    kinds = f"{n_classes} classes" if n_classes else "all different"
    return measured | {"size": f"{n_racks:,} racks, {kinds}, 8,760 h", "peak_bytes": peak_bytes()}


def _run(layout, scenario) -> dict:
    execution.run_now(layout=(warm := big_layout(100, n_classes=2, slug="warm"))[0], scenario=warm[1])  # compiles
    started_s, started_cpu_s = time.perf_counter(), time.process_time()
    run = execution.run_now(layout=layout, scenario=scenario)
    cpu_s, wall_s = time.process_time() - started_cpu_s, time.perf_counter() - started_s
    if run.status != "done":
        raise RuntimeError(run.message)
    solver = run_details(run.details).solver
    return {"cpu_s": cpu_s, "note": f"{wall_s:.2f} s by the clock; {solver.iterations} passes"}


def _page(layout) -> dict:
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(get_user_model().objects.create_superuser("benchmark"))
    address = f"/sites/{layout.site.slug}/{layout.slug}/"
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(address)
    n_queries = len(queries)  # before the next request forgets them
    if answer.status_code != 200:
        raise RuntimeError(f"{address} answered {answer.status_code}")
    return {"cpu_s": cpu_seconds(lambda: client.get(address), repeats=3), "n_queries": n_queries}
