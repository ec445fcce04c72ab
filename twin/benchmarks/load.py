"""Fifty planners at once on one installation: pages, guarded edits with their instant answer, and queued runs.

Three seconds of thought before each step; 85 of 100 read a site, plan, run, comparison or catalogue in turn, 13 change
a rack of their own and ask for the answer, 2 queue a run. Two web processes and two workers. TWIN_LOAD_DATABASE_URL (an
empty database) and TWIN_LOAD_BROKER_URL name PostgreSQL and Redis, else it runs on the embedded ones; the rows say it.
Five minutes; `--quick`: 40 seconds with eight planners.
"""

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np

from twin.benchmarks.answers import cpu_s_of, processes_of
from twin.benchmarks.measure import REPOSITORY, Benchmark, own_environment
from twin.benchmarks.planners import Planner, ask, await_pages, free_port

SEED = 16
THINK_S = 3.0  # mean, exponential
SHARES = {"read": 0.85, "edit": 0.13, "run": 0.02}
REACH_PAGE_S, REACH_ANSWER_S, REACH_PAGE_CPU_S = 0.8, 1.0, 0.030
N_ALONE = 5  # times that each page is read by one reader, for its CPU time
WORD = {"web": "web process", "solver": "solver process", "worker": "worker"}
PREPARE = """
import io, json, sys
from django.core.management import call_command
for command in ("migrate", "load_catalogue", "load_samples"):
    call_command(command, verbosity=0, stdout=io.StringIO())
from importlib import import_module
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.urls import reverse
from facility.models import Layout, Rack
from twin.benchmarks.big_layout import big_layout
from twin.runs import execution
big_layout({n_racks}, n_classes=4, slug="big")
slugs = ("sterling/gb200-nvl72", "sterling/gb300-nvl72", "big/main")
layouts = [Layout.objects.select_related("site").get(site__slug=s.split("/")[0], slug=s.split("/")[1]) for s in slugs]
runs = [execution.run_now(layout=layout, scenario=layout.site.scenarios.first()) for layout in layouts]
assert all(run.status == "done" for run in runs), [run.message for run in runs]
planners = []
for i in range({n}):
    user = get_user_model().objects.create_superuser(f"planner-{{i}}", password=None)
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY], session[BACKEND_SESSION_KEY] = str(user.pk), settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    layout, run = layouts[i % 3], runs[i % 3]
    here = [layout.site.slug, layout.slug]
    racks = Rack.objects.filter(hall__layout=layout, cdu__isnull=False).order_by("id").values_list("id", flat=True)
    pages = [
        reverse("site-detail", args=here[:1]),
        reverse("layout-detail", args=here),
        reverse("run-detail", args=[run.id]),
        f"{{reverse('compare')}}?runs={{runs[0].id}},{{runs[1].id}}",
        reverse("catalogue"),
    ]
    edits, answer = reverse("api-layout-edits", args=[layout.pk]), reverse("api-layout-answer", args=[layout.pk])
    own = list(racks[i // 3 : i // 3 + 1])
    planners.append([session.session_key, edits, answer, pages, layout.version, own])
    planners[-1].append(dict(layout=layout.path, scenario=layout.site.scenarios.first().slug))
sys.stdout.write("\\n" + json.dumps(planners))
"""
COUNT = """
import json
from facility.models import Rack
from twin.models import Run
flows = dict(Rack.objects.filter(id__in={racks!r}).values_list("id", "coolant_flow_m3_per_s"))
states = {{}}
for status in Run.objects.values_list("status", flat=True):
    states[status] = states.get(status, 0) + 1
print("\\n" + json.dumps([flows, states]))
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How many planners for how long, and the racks of the layout beside the samples."""

    n_planners: int
    wall_s: float
    n_racks: int


FULL, QUICK = Size(50, 300.0, 200), Size(8, 40.0, 100)


@dataclass(slots=True)
class Log:
    """What all planners met."""

    page_s: list[float] = field(default_factory=list)
    answer_s: list[float] = field(default_factory=list)
    ends: Counter = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    last_flow: dict[int, float] = field(default_factory=dict)  # of each rack, as its last saved edit said
    lock: threading.Lock = field(default_factory=threading.Lock)

    def error(self, what: str, status: int, body: bytes) -> None:
        """Note an answer that should not be."""
        with self.lock:
            self.ends["error"] += 1
            self.errors.append(f"{what}: {status} {body[:120]!r}")


def steps(planner: int, size: Size) -> Iterator[tuple[float, str, float]]:
    """Yield thought [s], kind and a number in [0, 1) of each step of a planner, the same in every run."""
    chance = random.Random(f"{SEED}-{planner}-{size.n_planners}")
    kinds, weights = list(SHARES), list(SHARES.values())
    while True:
        yield chance.expovariate(1 / THINK_S), chance.choices(kinds, weights)[0], chance.random()


def benchmarks() -> Iterator[Benchmark]:
    """Yield the rows of fifty planners for five minutes."""
    yield from rows(FULL, *measure(FULL))


def quick_benchmarks() -> Iterator[Benchmark]:
    """Yield the rows of eight planners for forty seconds."""
    yield from rows(QUICK, *measure(QUICK))


def rows(size: Size, log: Log, measured: dict[str, Any]) -> Iterator[Benchmark]:
    """Yield what was measured as rows."""
    cpu = ", ".join(f"{WORD[role]}es {s:.1f}".replace("workeres", "workers") for role, s in measured["cpu_s"].items())
    where = f"{size.n_planners} planners for {measured['wall_s']:.0f} s, {measured['where']}"
    counts = ", ".join(f"{n} {end}" for end, n in sorted(log.ends.items()))
    note = f"{counts}; CPU s: {cpu}, generator {measured['generator_s']:.1f}"

    def row(name: str, value: float, unit: str, reach: float | None, note: str = "") -> Benchmark:
        return Benchmark(f"load: {name}", where, value, unit, reach, False, sum(measured["cpu_s"].values()), 0, note)

    yield row("page, p95", float(np.quantile(log.page_s, 0.95)), "s", REACH_PAGE_S, note)
    yield row("page, p50", float(np.quantile(log.page_s, 0.5)), "s", None)
    if log.answer_s:
        yield row("edit to answer, p95", float(np.quantile(log.answer_s, 0.95)), "s", REACH_ANSWER_S)
    yield row("errors", log.ends["error"], "", 0, "; ".join(log.errors[:3]))
    yield row("lost edits", measured["lost"], "", 0, f"of {log.ends['edited']}; runs {measured['runs']}")
    alone = measured["alone_s"]
    each = ", ".join(f"{name} {1e3 * s:.0f} ms" for name, s in alone.items())
    yield row("CPU of a page, median of pages", float(np.median(list(alone.values()))), "s", REACH_PAGE_CPU_S, each)


def measure(size: Size) -> tuple[Log, dict[str, Any]]:
    """Return what planners met on an installation that is started for them, and what it cost."""
    with tempfile.TemporaryDirectory() as home:
        environment, where = _installation(home)
        prepared = _asked(PREPARE.format(n=size.n_planners, n_racks=size.n_racks), environment)
        planners = [Planner(*planner[:6]) for planner in prepared]
        runs = [planner[6] for planner in prepared]
        port = free_port()
        with (Path(home) / "log").open("w") as out:
            command = ["serve", f"127.0.0.1:{port}", "--processes", "2", "--concurrency", "2", "--no-sources"]
            serve = subprocess.Popen(
                [sys.executable, "manage.py", *command],
                cwd=REPOSITORY,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        try:
            for planner in planners[:3]:
                await_pages(port, planner, [*planner.pages, planner.answer], serve)
            alone = _alone(port, planners[0], serve.pid)
            log, measured = _loaded(size, port, planners, runs, serve.pid)
        finally:
            serve.send_signal(signal.SIGINT)
            serve.wait()
        flows, states = _asked(COUNT.format(racks=list(log.last_flow)), environment)
        lost = sum(abs(flows[str(rack)] - flow) > 1e-12 for rack, flow in log.last_flow.items())
        return log, measured | {"alone_s": alone, "lost": lost, "runs": states, "where": where}


def _installation(home: str) -> tuple[dict[str, str], str]:
    """Return the environment of all processes, and its database and broker in words."""
    environment, named = own_environment(home), []
    for own, product in (("TWIN_LOAD_DATABASE_URL", "DATABASE_URL"), ("TWIN_LOAD_BROKER_URL", "CELERY_BROKER_URL")):
        if url := os.environ.get(own):
            environment[product] = url
            named.append(url.partition(":")[0])
    return environment, " and ".join(named) if named else "embedded database and broker"


def _asked(program: str, environment: dict[str, str]) -> Any:
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", program]
    own = environment | {"TWIN_SOLVES_HERE": "1"}
    ended = subprocess.run(command, cwd=REPOSITORY, env=own, capture_output=True, text=True)
    if ended.returncode:
        raise RuntimeError(ended.stderr.strip()[-1000:])
    return json.loads(ended.stdout.splitlines()[-1])


def _alone(port: int, planner: Planner, serve: int) -> dict[str, float]:
    """Return the CPU time of web and solver processes for each page, read by one reader."""
    names = ("site", "plan", "run", "compare", "catalogue")
    found = {}
    for name, address in zip(names, planner.pages, strict=True):
        before_s = sum(cpu_s_of(pid) for pids in processes_of(serve).values() for pid in pids)
        for _ in range(N_ALONE * 2):  # both web processes keep parts of their own
            ask(port, planner, "GET", address)
        after_s = sum(cpu_s_of(pid) for pids in processes_of(serve).values() for pid in pids)
        found[name] = (after_s - before_s) / (N_ALONE * 2)
    return found


def _loaded(size: Size, port: int, planners: list[Planner], runs: list[dict], serve: int) -> tuple[Log, dict[str, Any]]:
    log = Log()
    before = {role: sum(map(cpu_s_of, pids)) for role, pids in processes_of(serve).items()}
    began_s, generator_s = time.monotonic(), time.process_time()
    threads = [
        threading.Thread(target=_plan, args=(port, planner, i, size, runs[i], began_s + size.wall_s, log))
        for i, planner in enumerate(planners)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    used = {role: sum(map(cpu_s_of, pids)) - before[role] for role, pids in processes_of(serve).items()}
    return log, {
        "wall_s": time.monotonic() - began_s,
        "generator_s": time.process_time() - generator_s,
        "cpu_s": used,
    }


def _plan(port: int, planner: Planner, number: int, size: Size, run: dict, until_s: float, log: Log) -> None:
    """Do what one planner does until the time is over."""
    turn, version = number, planner.version
    for think_s, kind, chance in steps(number, size):
        if time.monotonic() + think_s > until_s:
            return
        time.sleep(think_s)
        began_s = time.perf_counter()
        try:
            if kind == "read" or (kind == "edit" and not planner.racks):
                status, body = ask(port, planner, "GET", planner.pages[turn % len(planner.pages)])
                turn += 1
                with log.lock:
                    log.page_s.append(time.perf_counter() - began_s)
                    log.ends["read"] += 1
                if status != HTTPStatus.OK:
                    log.error("page", status, body)
            elif kind == "edit":
                version = _edit(port, planner, version, 0.0015 + 0.0005 * round(chance, 6), began_s, log)
            else:
                status, body = ask(port, planner, "POST", "/api/runs/", run)
                log.ends["queued"] += 1
                if status != HTTPStatus.ACCEPTED:
                    log.error("run", status, body)
        except (OSError, http.client.HTTPException) as error:
            log.error(kind, 0, repr(error).encode())


def _edit(port: int, planner: Planner, version: int, flow: float, began_s: float, log: Log) -> int:
    """Change the planner's own rack on the version that they know, and wait for the answer; return the new version."""
    [rack] = planner.racks
    operation = {"op": "update", "kind": "rack", "id": rack, "coolant_flow_m3_per_s": flow}
    status, body = ask(port, planner, "POST", planner.edits, {"version": version, "operations": [operation]})
    if status != HTTPStatus.OK:
        log.error("edit", status, body)
        return version
    with log.lock:
        log.ends["edited"] += 1
        log.last_flow[rack] = flow
    answered, answer = ask(port, planner, "GET", planner.answer)
    if answered != HTTPStatus.OK:
        log.error("answer", answered, answer)
    with log.lock:
        log.answer_s.append(time.perf_counter() - began_s)
    return json.loads(body)["version"]
