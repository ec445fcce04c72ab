"""What each thing costs and how that grows: what a plan for thousands of planners is made of (docs/operate/scaling.md).

On PostgreSQL of its own where it is installed, else on SQLite. CPU time is that of the program and of its connection's
process in the database, so that other work on the machine does not count. Each figure is taken at two sizes: the
difference tells how it grows.
"""

import io
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, models
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from facility.editing.edits import edits_apply
from facility.models import AuditEvent, Layout, Membership, Organisation, Rack, Site
from facility.user_names import check_user_name
from twin.benchmarks.answers import cpu_s_of
from twin.benchmarks.big_layout import big_layout
from twin.benchmarks.measure import Benchmark, in_own_process, peak_bytes
from twin.benchmarks.services import POSTGRES, Database, free_port
from twin.models import Run
from twin.runs import execution, jobs, ring

PROGRAM = "import json, sys; from twin.benchmarks import scaling as s; sys.stdout.write(json.dumps(s.slopes()))"
RACKS, SITES, RUNS = (100, 1_000), (100, 1_000), (1_000, 20_000)
EVENTS, QUEUED, USERS = (10_000, 200_000), (10, 5_000), 5_000
REPEATS = 20
PLAIN = models.QuerySet  # leaves no word in the audit log


def benchmarks() -> Iterator[Benchmark]:
    """Yield a row for each figure at each of its sizes."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o711)  # the database's user passes through
        database = Database(Path(folder) / "database", free_port()).make().start() if POSTGRES else None
        try:
            found = in_own_process(PROGRAM, str(Path(folder) / "home"), database.url if database else None)
        finally:
            if database:
                database.kill()
    where = "PostgreSQL" if POSTGRES else "SQLite"
    for name, size, value, unit in found["rows"]:
        text = f"{size}, {where}"
        yield Benchmark(f"scaling: {name}", text, value, unit, None, False, found["cpu_s"], found["peak_bytes"])


def slopes() -> dict[str, Any]:
    """Return what was measured, as rows of name, size, value and unit; asked in a process and a database of its own."""
    for command in ("migrate", "load_catalogue"):
        call_command(command, verbosity=0, stdout=io.StringIO())
    layouts = {n: big_layout(n, n_classes=2, slug=f"racks-{n}") for n in RACKS}
    rows = [*_audit(layouts[RACKS[1]][0]), *_edits(layouts), *_runs(layouts), *_sites(), *_people()]
    return {"rows": rows, "cpu_s": time.process_time(), "peak_bytes": peak_bytes()}


Row = tuple[str, str, float, str]


def _audit(layout: Layout) -> Iterator[Row]:
    """Yield what a changed row costs in the audit log, and how its page grows with it."""
    racks = Rack.objects.filter(hall__layout=layout)
    n, power = racks.count(), iter(range(1, 1000))
    plain = _cpu_s(lambda: PLAIN(Rack).filter(hall__layout=layout).update(other_power_w=next(power)), 3)
    before = _bytes()
    audited = _cpu_s(lambda: racks.update(other_power_w=next(power)), 3)
    yield "audit row, written", f"{n} rows at once", 1e3 * (audited - plain) / n, "CPU ms"
    yield "audit row, kept", f"{n} rows at once", (_bytes() - before) / (4 * n), "bytes"
    columns = ", ".join(f'"{f.column}"' for f in AuditEvent._meta.concrete_fields if not f.primary_key)
    browser = _browser("auditor")
    for events in EVENTS:
        while (there := AuditEvent.objects.count()) < events:
            with connection.cursor() as cursor:
                table = AuditEvent._meta.db_table
                cursor.execute(
                    f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {table} ORDER BY id LIMIT {events - there}"
                )
        _analyse()
        yield "audit page", f"{events:,} rows", 1e3 * _page(browser, reverse("audit")), "CPU ms"
        found = f"{reverse('audit')}?username=nobody"
        yield "audit page of a name that is not there", f"{events:,} rows", 1e3 * _page(browser, found), "CPU ms"


def _edits(layouts: dict[int, tuple]) -> Iterator[Row]:
    """Yield how long an edit holds its layout."""
    for n, (layout, _) in layouts.items():
        rack = Rack.objects.filter(hall__layout=layout).order_by("id").first()
        flows = iter(range(1, 10_000))

        def edit(layout=layout, rack=rack, flows=flows) -> None:
            operation = {"op": "update", "kind": "rack", "id": rack.pk}
            flow = 0.0015 + 1e-7 * next(flows)
            version = Layout.objects.values_list("version", flat=True).get(pk=layout.pk)
            edits_apply(layout=layout, operations=[operation | {"coolant_flow_m3_per_s": flow}], version=version)

        yield "edit of a rack", f"{n:,} racks", 1e3 * _cpu_s(edit), "CPU ms"


def _runs(layouts: dict[int, tuple]) -> Iterator[Row]:
    """Yield what a run costs and leaves, and what many of them make dearer."""
    for n, (layout, scenario) in layouts.items():
        execution.run_now(layout=layout, scenario=scenario)  # compiles at a first start
        began_s = time.process_time()
        run = execution.run_now(layout=layout, scenario=scenario)
        if run.status != "done":
            raise RuntimeError(run.message)
        yield "run, solved", f"{n:,} racks", time.process_time() - began_s, "CPU s"
        stored = [getattr(run, f.attname) for f in run._meta.concrete_fields]
        sizes = [len(v) if isinstance(v, bytes | memoryview) else len(json.dumps(v, default=str)) for v in stored]
        yield "run, kept", f"{n:,} racks", float(sum(sizes)), "bytes"
    layout, scenario = layouts[RACKS[0]]
    figures, now = run.figures, timezone.now()
    browser = _browser("reader")
    for n in RUNS:
        fresh = n - Run.objects.count()
        done = {"layout": layout, "scenario": scenario, "status": "done", "figures": figures, "finished_at": now}
        PLAIN(Run).bulk_create([Run(**done, progress_frac=1.0) for _ in range(fresh)], batch_size=500)
        _analyse()
        yield "list of runs", f"{n:,} runs", 1e3 * _page(browser, reverse("run-list")), "CPU ms"
    for n in QUEUED:
        fresh = n - Run.objects.filter(status="queued").count()
        waiting = [Run(layout=layout, scenario=scenario, rung_at=now) for _ in range(fresh)]
        PLAIN(Run).bulk_create(waiting, batch_size=500)
        _analyse()

        def look() -> None:
            jobs.recover()
            ring.jobs_ring(n_overdue=0)

        yield "look for due work", f"{n:,} queued", 1e3 * _cpu_s(look), "CPU ms"
    this_run = Run.objects.filter(pk=run.pk)
    beat = iter(range(1, 10_000))
    written = _cpu_s(lambda: this_run.update(stage=f"month {next(beat)}", heartbeat_at=timezone.now()))
    yield "progress of a run, written", "1 run", 1e3 * written, "CPU ms"


def _sites() -> Iterator[Row]:
    """Yield what the list of sites costs an owner of all of them."""
    like = Site.objects.order_by("id").first()
    organisation = Organisation.objects.create(name="All", slug="all")
    owner = get_user_model().objects.create_user("owner")
    Membership.objects.create(organisation=organisation, user=owner, role="owner")
    browser = _browser("owner")
    place = {
        name: getattr(like, name) for name in ("latitude_deg", "longitude_deg", "grid_limit_w", "weather", "region")
    }
    for n in SITES:
        there = Site.objects.filter(organisation=organisation).count()
        fresh = [Site(slug=f"s{i}", name=f"S{i}", organisation=organisation, **place) for i in range(there, n)]
        made = PLAIN(Site).bulk_create(fresh, batch_size=500)
        PLAIN(Layout).bulk_create([Layout(site=site, slug="main", name="Main") for site in made], batch_size=500)
        _analyse()
        yield "list of sites", f"{n:,} sites", 1e3 * _page(browser, reverse("site-list")), "CPU ms"
        yield "page of one site", f"{n:,} sites", 1e3 * _page(browser, reverse("site-detail", args=["s0"])), "CPU ms"


def _people() -> Iterator[Row]:
    """Yield what a new user's name costs among many, and what a new connection does."""
    users = get_user_model()
    PLAIN(users).bulk_create([users(username=f"planner-{i}") for i in range(USERS)], batch_size=500)
    yield "name of a new user", f"{USERS:,} users", 1e3 * _cpu_s(lambda: check_user_name("somebody.new"), 5), "CPU ms"
    used = 0.0
    for _ in range(REPEATS):
        connection.close()
        began_s = time.process_time()
        connection.ensure_connection()
        used += time.process_time() - began_s + _database_s()
    yield "new connection to the database", "1 connection", 1e3 * used / REPEATS, "CPU ms"


def _browser(name: str) -> Client:
    user = get_user_model().objects.filter(username=name).first()
    browser = Client(SERVER_NAME="127.0.0.1")
    browser.force_login(user or get_user_model().objects.create_superuser(name))
    return browser


def _page(browser: Client, address: str) -> float:
    def read() -> None:
        answer = browser.get(address)
        if answer.status_code != 200:
            raise RuntimeError(f"{address} answers {answer.status_code}")

    return _cpu_s(read)


def _cpu_s(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Return the mean CPU time of a call after a first one, the database's included [s]."""
    work()
    began_s = time.process_time() + _database_s()
    for _ in range(repeats):
        work()
    return (time.process_time() + _database_s() - began_s) / repeats


def _database_s() -> float:
    """Return the CPU time so far of the database's process behind the connection; SQLite has none of its own."""
    if connection.vendor != "postgresql":
        return 0.0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cpu_s_of(cursor.fetchone()[0])


def _bytes() -> float:
    """Return the size of the database."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_total_relation_size(%s)", [AuditEvent._meta.db_table])
            return float(cursor.fetchone()[0])
        sizes = [cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size")]
        return float(sizes[0] * sizes[1])


def _analyse() -> None:
    """Let the database know its tables as a running one does."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
