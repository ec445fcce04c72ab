"""Start everything on this machine: database, web server, solver processes, Celery worker; end all of it together."""

import contextlib
import ctypes
import fcntl
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import kombu.exceptions
from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand
from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from power_cooling.first_use import is_compiled
from twin import solver_door
from twin.models import TelemetrySource
from twin.onboarding import first_start
from twin.operations.metrics import counts_drop
from twin.runs import jobs, ring

POLL_S = 0.2
SOURCES_EVERY_S = 3.0  # how often it is looked whether there are telemetry sources to read
STOP_S = 4.0  # a run that is being solved then is queued again at the next start
MAX_RESTART_DELAY_S = 30.0
MOST_PROCESSES = 64
MOST_SOLVERS = 4  # of the default; each has some 100 MB of its own
WARM_UP = "twin.tasks.warm_up"  # by name: the module of tasks loads the solvers
COMPILING_S = 300.0  # that the worker waits at a first start, while the solver processes compile for both
PR_SET_PDEATHSIG = 1  # linux/prctl.h
CALLED = {
    "web": "The web server",
    "worker": "The worker",
    "solvers": "The solver processes",
    "sources": "The reader of telemetry sources",
}


@dataclass(slots=True)
class Child:
    """A process group that lives as long as this command."""

    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)  # beside this command's own
    process: subprocess.Popen | None = None
    started_s: float = 0.0
    n_failures: int = 0
    restart_s: float = field(default=float("inf"))

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command,
            cwd=settings.BASE_DIR,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_end_with_parent,
            env=os.environ | self.environment,
        )
        self.started_s, self.restart_s = time.monotonic(), float("inf")

    def kill_group(self) -> None:
        """End whatever is left of the group: a worker killed by the system leaves its pool behind."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser) -> None:
        parser.add_argument("bind", nargs="?", default="127.0.0.1:8000", metavar="ADDR:PORT")
        parser.add_argument(
            "--threads", type=int, default=8, help="requests served at once by each process (default 8)"
        )
        parser.add_argument("--processes", type=int, default=1, help="web processes on this address (default 1)")
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        parser.add_argument(
            "--solvers",
            type=int,
            default=min(cores, MOST_SOLVERS),
            help="processes that solve what pages ask, e.g. instant answers (default: one per core, at most 4)",
        )
        parser.add_argument("--concurrency", type=int, default=1, help="runs solved at once (default 1)")
        parser.add_argument("--no-worker", action="store_true", help="the workers run on other machines")
        parser.add_argument("--no-sources", action="store_true", help="read_sources runs on another machine")

    def handle(
        self,
        *args,
        bind: str,
        threads: int,
        processes: int,
        solvers: int,
        concurrency: int,
        no_worker: bool,
        no_sources: bool,
        **options,
    ) -> None:
        if not 1 <= processes <= MOST_PROCESSES:
            raise CommandError(f"--processes is {processes}; must be from 1 to {MOST_PROCESSES}")
        host, port = _address(bind)
        lock = _only_one_here()
        counts_drop()
        _check_free(host, port)
        try:
            if not connection.introspection.table_names():
                self._say("Making a new database with the catalogue and sample sites ...")
            call_command("migrate", interactive=False, verbosity=0)
            # With the embedded broker no worker lives yet, so every unfinished run is an orphan.
            n_waiting = jobs.recover(all_running=settings.EMBEDDED_BROKER)
            n_samples = first_start.database_fill()
        except DatabaseError as error:
            raise CommandError(f"the database cannot be used: {error}") from error
        if n_waiting:
            self._say(f"{n_waiting} unfinished run(s) resumed.")
        if settings.TWIN_SOLVES_HERE:
            solvers = 0  # the web process does
        environment = {
            "TWIN_SOLVERS": str(solvers),
            "TWIN_WEB_PROCESSES": str(processes),
            "MALLOC_ARENA_MAX": "2",
        }  # many threads, each with little of its own
        children = {"web": Child(_web_command(host, port, threads, processes), environment)}
        if solvers:
            children["solvers"] = Child(_solver_command(solvers), {"OMP_NUM_THREADS": "1"} | environment)
        if not no_worker:
            children["worker"] = Child(_worker_command(concurrency))
            with contextlib.suppress(kombu.exceptions.OperationalError):  # the broker is away: a worker's page says so
                jobs.app.send_task(WARM_UP, retry=True, retry_policy=jobs.PUBLISH_RETRY)
        stop: list[int] = []
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda received, _: stop.append(received))
        try:
            for name, child in children.items():
                if name == "worker" and solvers:
                    child.restart_s = time.monotonic() + COMPILING_S  # or once the machine code is there
                else:
                    child.start()
            self._wait_for_page(host, port, children["web"], stop)
            if not stop:
                self._say_how_to_sign_in(host, port, n_samples)
            if solvers and not stop and not solver_door.is_open():
                self._say("The solvers are being loaded; the first start on a machine compiles them, half a minute.")
            self._watch(children, stop, reads_sources=not no_sources)
        finally:
            _stop_all(children)
            if settings.EMBEDDED_BROKER and not no_worker:
                jobs.recover(all_running=True)
            counts_drop()
            lock.close()

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def _wait_for_page(self, host: str, port: int, web: Child, stop: list[int]) -> None:
        while not stop:
            if web.process.poll() is not None:
                raise CommandError(f"the web server ended with {web.process.returncode} before it answered")
            try:
                socket.create_connection((_reachable(host), port), timeout=1).close()
            except OSError:
                time.sleep(POLL_S)
            else:
                return

    def _say_how_to_sign_in(self, host: str, port: int, n_samples: int) -> None:
        if n_samples:
            self._say(f"The {n_samples} sample layouts are being solved in the background.")
        shown = f"[{_reachable(host)}]" if ":" in host else _reachable(host)
        made = first_start.first_user_create()
        python = Path(sys.executable)
        python = python.relative_to(settings.BASE_DIR) if python.is_relative_to(settings.BASE_DIR) else python
        change = f"{python} manage.py changepassword"
        if made:
            name, password = made
            how = f'sign in as "{name}" with password "{password}" (shown only now; change it: {change} {name})'
        else:
            how = f"sign in (forgotten password: {change} USER)"
        self._say(f"Open http://{shown}:{port}/ and {how}. Ctrl-C ends it.")

    def _watch(self, children: dict[str, Child], stop: list[int], *, reads_sources: bool) -> None:
        """Return on a signal; until then restart whatever ends."""
        swept_s, tended_s = time.monotonic(), float("-inf")
        while not stop:
            time.sleep(POLL_S)
            if reads_sources and time.monotonic() - tended_s > SOURCES_EVERY_S:
                tended_s = time.monotonic()
                self._tend_sources(children)
            for name, child in children.items():
                self._restart_ended(name, child)
            if "worker" in children and not children["worker"].process and (is_compiled() or solver_door.is_open()):
                children["worker"].start()
            if settings.TWIN_RING_EVERY_S and time.monotonic() - swept_s > settings.TWIN_RING_EVERY_S:
                swept_s = time.monotonic()
                self._recover(all_running=False)

    def _tend_sources(self, children: dict[str, Child]) -> None:
        """Have the telemetry sources read while there are any to read: the process has some 80 MB of its own."""
        close_old_connections()
        try:
            wanted = TelemetrySource.objects.filter(enabled=True).exists()
        except (DatabaseError, InterfaceError):  # who looks for unfinished runs says it
            return
        if wanted and "sources" not in children:
            children["sources"] = Child([sys.executable, "manage.py", "read_sources"], {"MALLOC_ARENA_MAX": "2"})
            children["sources"].start()
        elif not wanted and "sources" in children:
            _stop_all({"sources": children.pop("sources")})

    def _restart_ended(self, name: str, child: Child) -> None:
        now_s = time.monotonic()
        if child.restart_s <= now_s:
            child.start()
        elif child.restart_s == float("inf") and child.process.poll() is not None:
            child.kill_group()
            child.n_failures = 1 if now_s - child.started_s > 60 else child.n_failures + 1
            delay_s = min(0.25 * 2**child.n_failures, MAX_RESTART_DELAY_S)
            child.restart_s = now_s + delay_s
            ended = f"{CALLED[name]} ended with {child.process.returncode}"
            self.stderr.write(f"{ended}; a restart follows in {delay_s:.1f} s.")
            if name == "worker":
                self._recover(all_running=settings.EMBEDDED_BROKER)

    def _recover(self, all_running: bool) -> None:
        close_old_connections()
        try:
            jobs.recover(all_running=all_running)
            ring.jobs_ring(n_overdue=0)
        except (DatabaseError, InterfaceError) as error:  # a database that is away must not end the web server
            self.stderr.write(f"Unfinished runs could not be queried: {error}")


def _address(bind: str) -> tuple[str, int]:
    host, _, port = bind.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdecimal() or len(port) > 5 or not 0 < int(port) < 65536:
        raise CommandError(f"{bind} is not an address; write ADDR:PORT, e.g. 127.0.0.1:8000")
    try:
        is_local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = False
    if not is_local and not os.environ.get("DJANGO_ALLOWED_HOSTS"):
        raise CommandError(
            f"{host} can be reached from other machines; say under which names in DJANGO_ALLOWED_HOSTS, "
            "e.g. DJANGO_ALLOWED_HOSTS=twin.example.org, and put HTTPS before it (TWIN_HTTPS=1)"
        )
    return host, int(port)


def _only_one_here():
    """Hold a lock on TWIN_HOME: two of us would take each other's runs for orphans."""
    lock = open(settings.TWIN_HOME / "serve.lock", "a+")  # noqa: SIM115  (held until the process ends)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise CommandError(f"another one runs already on {settings.TWIN_HOME}; stop it or set TWIN_HOME") from error
    return lock


def _check_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CommandError(
                f"cannot listen on {host}:{port} ({error.strerror}); choose another: make run ARGS=127.0.0.1:{port + 1}"
            ) from error


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def _web_command(host: str, port: int, threads: int, processes: int = 1) -> list[str]:
    bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    waiting = 0 if settings.TWIN_SOLVES_HERE else solver_door.MOST_OPEN  # each holds a thread, and no page waits for it
    return _gunicorn("twin.wsgi", bind, processes) + ["--threads", str(threads + waiting), "--graceful-timeout", "2"]


def _solver_command(n: int) -> list[str]:
    path = solver_door.socket_path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.parent.stat().st_uid != os.getuid():
        raise CommandError(f"{path.parent} belongs to somebody else; set TWIN_HOME to a shorter path")
    path.unlink(missing_ok=True)  # of a process that was killed
    return _gunicorn("twin.solvers.wsgi", f"unix:{path}", n) + ["--config", "python:twin.solvers.server"]


def _gunicorn(module: str, bind: str, n_processes: int) -> list[str]:
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else tempfile.gettempdir()  # heartbeats must not wait for a disk
    return [
        sys.executable,
        "-m",
        "gunicorn",
        f"{module}:application",
        "--bind",
        bind,
        "--workers",
        str(n_processes),
        "--worker-tmp-dir",
        memory,
        "--log-level",
        "warning",
        "--no-control-socket",
    ]


def _worker_command(concurrency: int) -> list[str]:
    as_root = "ignore::UserWarning:celery.platforms"  # a container's only user is root
    return [
        sys.executable,
        "-W",
        as_root,
        "-m",
        "celery",
        "-A",
        "twin.celery",
        "--quiet",
        "worker",
        "--loglevel",
        "WARNING",
        "--pool",
        "prefork",
        "--concurrency",
        str(concurrency),
        "--without-gossip",
        "--without-mingle",
        "--hostname",
        "embedded@%h",
    ]


def _end_with_parent() -> None:
    """Ask Linux to end the child when this process dies, even by SIGKILL."""
    with contextlib.suppress(OSError):  # another system: after a SIGKILL the children have to be ended by hand
        ctypes.CDLL("libc.so.6").prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _stop_all(children: dict[str, Child]) -> None:
    started = [child for child in children.values() if child.process]
    for child in started:
        if child.process.poll() is None:
            child.process.terminate()
    deadline_s = time.monotonic() + STOP_S
    for child in started:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.process.wait(max(0.0, deadline_s - time.monotonic()))
        child.kill_group()
        child.process.wait()
