"""Real processes: a web server and workers that are started, killed and stopped as they are in use."""

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import kombu
import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
PATIENCE_S = 150.0  # only how long a broken machine is waited for; nothing is asserted about time
PREPARE = """
import sys, django
django.setup()
from django.contrib.auth import get_user_model
from django.core.management import call_command
call_command("migrate", verbosity=0)
from facility.models import ApiToken
from tests.small_run import small_scenario
from twin.models import Run
layout, scenario = small_scenario()
for _ in range(int(sys.argv[1])):
    Run.objects.create(layout=layout, scenario=scenario)
user = get_user_model().objects.create_superuser("root", password="x")
print(ApiToken.issue(user=user, name="test", read_only=False)[1])
"""


class Home:
    """A TWIN_HOME of a test with the processes that it started."""

    def __init__(self, path: Path, n_runs: int, **environment: str) -> None:
        self.path, self.processes = path, []
        kept = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "CELERY_BROKER_URL")}
        self.environment = kept | {
            "TWIN_HOME": str(path),
            "DJANGO_SETTINGS_MODULE": "tests.process_settings",
            **environment,
        }
        ended = subprocess.run(
            [sys.executable, "-c", PREPARE, str(n_runs)],
            env=self.environment,
            cwd=REPOSITORY,
            check=True,
            capture_output=True,
            text=True,
        )
        self.token = ended.stdout.split()[-1]
        self.port = free_port()

    def start(self, *command: str) -> subprocess.Popen:
        log = (self.path / f"log-{len(self.processes)}").open("w")
        process = subprocess.Popen(
            [sys.executable, *command],
            env=self.environment,
            cwd=REPOSITORY,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        log.close()
        self.processes.append(process)
        return process

    def serve(self, *options: str) -> subprocess.Popen:
        # The waiting solver is none that could answer pages.
        return self.start("manage.py", "serve", f"127.0.0.1:{self.port}", "--solvers", "0", *options)

    def worker(self) -> subprocess.Popen:
        return self.start("-m", "celery", "-A", "twin.celery", "worker", "--concurrency", "1", "--loglevel", "WARNING")

    def log(self) -> str:
        return "\n".join(file.read_text() for file in sorted(self.path.glob("log-*")))

    def runs(self) -> list[tuple[str, int, str]]:
        """Return status, attempt and message of every run, in the order they were asked for."""
        with sqlite3.connect(self.path / "twin.sqlite3", timeout=30) as connection:
            rows = connection.execute("select status, attempt, message from twin_run order by created_at").fetchall()
        connection.close()
        return rows

    def solving(self) -> set[int]:
        """Return the living processes that are in the solver."""
        started = {int(file.name.removeprefix("started-")) for file in self.path.glob("started-*")}
        return {pid for pid in started if is_alive(pid)}

    def go(self) -> None:
        (self.path / "go").touch()

    def wait_for(self, condition: Callable[[], object], what: str) -> object:
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            if found := condition():
                return found
            if self.processes[-1].poll() not in (None, -signal.SIGKILL):
                break
            time.sleep(0.1)
        pytest.fail(f"{what} did not happen; runs are {self.runs()}\n{self.log()}")

    def next_solver(self, *before: int) -> int:
        return self.wait_for(lambda: self.solving() - set(before), "a solver's start").pop()

    def wait_until_open(self) -> None:
        said = f"log-{len(self.processes) - 1}"
        self.wait_for(lambda: "Open http" in (self.path / said).read_text(), "the web server")

    def api(self, method: str, path: str) -> dict:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/{path}",
            method=method,
            headers={"Authorization": f"Token {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def is_answered(self) -> bool:
        with contextlib.suppress(OSError):
            return self.api("GET", "runs/")["count"] == len(self.runs())
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def stat(pid: int) -> tuple[str, int] | None:
    """Return a process's state and parent."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], int(fields[1])


def is_alive(pid: int) -> bool:
    found = stat(pid)
    return found is not None and found[0] != "Z"


def descendants(pid: int) -> set[int]:
    parents = {int(entry.name): stat(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdecimal()}
    found, fresh = set(), {pid}
    while fresh:
        fresh = {child for child, told in parents.items() if told and told[1] in fresh} - found
        found |= fresh
    return found


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in Linux's /proc"),
]


@pytest.fixture
def new_home(tmp_path) -> Iterator[Callable[..., Home]]:
    homes = []

    def make(n_runs: int, **environment: str) -> Home:
        homes.append(Home(tmp_path, n_runs, **environment))
        return homes[-1]

    yield make
    for home in homes:
        left = [process.pid for process in home.processes if process.poll() is None]
        for pid in {child for parent in left for child in descendants(parent)} | set(left):
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        for process in home.processes:
            process.wait()


def test_a_run_outlives_its_pool_process_and_its_worker_and_is_completed_once(new_home):
    home = new_home(1)
    serve = home.serve()
    first = home.next_solver()
    os.kill(first, signal.SIGKILL)
    second = home.next_solver(first)
    assert home.runs() == [("running", 2, "")]
    worker = stat(second)[1]
    os.kill(worker, signal.SIGKILL)
    home.next_solver(first, second)
    assert home.runs() == [("running", 3, "")]
    assert not is_alive(second)  # the orphan of the killed worker does not go on solving
    home.wait_until_open()
    web = next(pid for pid in descendants(serve.pid) if b"twin.wsgi" in Path(f"/proc/{pid}/cmdline").read_bytes())
    web = web if stat(web)[1] == serve.pid else stat(web)[1]  # the process that started the one that answers
    os.kill(web, signal.SIGKILL)
    home.wait_for(lambda: "The web server ended with -9; a restart follows" in home.log(), "the notice of it")
    home.go()
    home.wait_for(lambda: home.runs() == [("done", 3, "")], "the end of the run")
    home.wait_for(home.is_answered, "the restart of the web server")
    everybody = descendants(serve.pid)
    assert len(everybody) >= 4  # web server and its process, worker and its process
    serve.send_signal(signal.SIGINT)
    assert serve.wait(PATIENCE_S) == 0
    assert [pid for pid in everybody if is_alive(pid)] == []


def test_stopping_leaves_no_process_and_no_run_that_only_seems_to_run(new_home):
    home = new_home(2)
    serve = home.serve()
    home.wait_until_open()
    solver = home.next_solver()
    running = home.api("GET", "runs/?status=running")["results"]
    assert [run["stage"] for run in running] == ["waiting"]
    home.api("DELETE", f"runs/{running[0]['id']}/")
    home.wait_for(lambda: home.runs()[0][0] == "cancelled", "the cancellation")
    home.wait_for(lambda: home.runs()[1][0] == "running", "the next run")
    everybody = descendants(serve.pid) | {solver}
    serve.send_signal(signal.SIGINT)
    assert serve.wait(PATIENCE_S) == 0
    assert [pid for pid in everybody if is_alive(pid)] == []
    assert home.runs()[1] == ("queued", 1, "restarted because its worker ended")
    home.go()
    again = home.serve()
    home.wait_for(lambda: home.runs()[1] == ("done", 2, ""), "the rest of the work at the next start")
    assert "1 unfinished run(s) resumed." in home.log()
    home.wait_until_open()
    everybody = descendants(again.pid)
    again.kill()  # not even this leaves anybody behind
    home.wait_for(lambda: not any(is_alive(pid) for pid in everybody), "the end of the children")


def test_a_second_server_on_the_same_home_is_refused(new_home):
    home = new_home(0)
    home.serve()
    home.wait_until_open()
    second = home.serve()
    assert second.wait(PATIENCE_S) == 1
    assert "another one runs already on" in home.log()


def test_an_address_for_other_machines_needs_allowed_hosts(new_home):
    home = new_home(0)
    for bind, reason in (
        ("0.0.0.0:8000", "say under which names in DJANGO_ALLOWED_HOSTS"),
        ("127.0.0.1:port", "is not an address; write ADDR:PORT"),
    ):
        ended = home.start("manage.py", "serve", bind)
        assert ended.wait(PATIENCE_S) == 1
        assert reason in home.log().splitlines()[-1]


@pytest.mark.services
def test_a_killed_worker_on_another_machine_loses_nothing_on_postgresql_and_redis(new_home, services, monkeypatch):
    import psycopg

    def runs(home: Home) -> list[tuple[str, int, str]]:
        with psycopg.connect(services["DATABASE_URL"]) as connection:
            return connection.execute("select status, attempt, message from twin_run order by created_at").fetchall()

    monkeypatch.setattr(Home, "runs", runs)
    home = new_home(0, **services)
    home.serve("--no-worker")
    home.wait_until_open()
    worker = home.worker()
    request = urllib.request.Request(
        f"http://127.0.0.1:{home.port}/api/runs/",
        method="POST",
        data=json.dumps({"layout": "small/first", "scenario": "assistants"}).encode(),
        headers={"Authorization": f"Token {home.token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 202
    solver = home.next_solver()
    for pid in (worker.pid, solver):
        os.kill(pid, signal.SIGKILL)
    home.worker()
    home.next_solver(solver)
    home.go()
    home.wait_for(lambda: home.runs() == [("done", 2, "")], "the end of the run")


@pytest.mark.services
def test_services_and_api_hold_on_postgresql(services):
    environment = os.environ | {"DATABASE_URL": services["DATABASE_URL"]}
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "tests/unit/twin/test_services.py",
            "tests/api/test_runs.py",
            "tests/api/test_scenarios.py",
            "tests/api/test_comparisons.py",
            "tests/unit/facility/test_audit.py",
        ],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout[-5000:]


class Proxy:
    """A port before a service that can be cut, as a restart or a broken network cuts it."""

    def __init__(self, host: str, port: int) -> None:
        self.target, self.port, self.pairs, self.listener = (host, port), free_port(), [], None
        self.open()

    def open(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=[self.listener], daemon=True).start()

    def cut(self) -> None:
        listener, self.listener = self.listener, None
        if listener:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        while self.pairs:
            with contextlib.suppress(OSError):
                self.pairs.pop().shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                inner, _ = listener.accept()
            except OSError:
                return
            outer = socket.create_connection(self.target)
            self.pairs += [inner, outer]
            for source, sink in ((inner, outer), (outer, inner)):
                threading.Thread(target=self._copy, args=[source, sink], daemon=True).start()

    @staticmethod
    def _copy(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError), source:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)


class RedisServer:
    """A Redis of the test's own, which forgets everything when it is killed."""

    def __init__(self, path: Path) -> None:
        self.path, self.port, self.process = path, free_port(), None
        self.open()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def open(self) -> None:
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.path)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def cut(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def broker(request, tmp_path) -> Iterator:
    """Return a broker that can be cut and opened: Redis of the test's own, or RabbitMQ behind a port of its own."""
    if request.param == "redis":
        if not shutil.which("redis-server"):
            pytest.skip("no redis-server on this machine")
        broker = RedisServer(tmp_path)
        yield broker
        broker.cut()
        return
    target = urlsplit(os.environ.get("TWIN_TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//"))
    try:
        socket.create_connection((target.hostname, target.port), timeout=5).close()
    except OSError as error:
        pytest.skip(f"no RabbitMQ at {target.hostname}:{target.port}: {error}")
    broker = Proxy(target.hostname, target.port)
    broker.url = target._replace(netloc=f"{target.username}:{target.password}@127.0.0.1:{broker.port}").geturl()
    yield broker
    broker.cut()
    with kombu.Connection(target.geturl()) as connection:
        connection.channel().queue_delete(f"twin_test_{os.getpid()}")


def post_run(home: Home) -> str:
    """Ask for a run and return its address."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{home.port}/api/runs/",
        method="POST",
        data=json.dumps({"layout": "small/first", "scenario": "assistants"}).encode(),
        headers={"Authorization": f"Token {home.token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 202
        return json.load(answer)["id"]


@pytest.mark.services
@pytest.mark.parametrize("broker", ["redis", "rabbitmq"], indirect=True)
def test_no_run_is_lost_over_restarts_of_broker_and_database(new_home, services, broker, monkeypatch):
    import psycopg

    direct = services["DATABASE_URL"]

    def runs(home: Home) -> list[tuple[str, int, str]]:
        with psycopg.connect(direct) as connection:
            return connection.execute("select status, attempt, message from twin_run order by created_at").fetchall()

    monkeypatch.setattr(Home, "runs", runs)
    at = urlsplit(direct)
    database = Proxy(at.hostname, at.port or 5432)
    user = f"{at.username}:{at.password}@" if at.password else f"{at.username}@"
    home = new_home(
        0,
        **services
        | {
            "DATABASE_URL": at._replace(netloc=f"{user}127.0.0.1:{database.port}").geturl(),
            "CELERY_BROKER_URL": broker.url,
            "TWIN_RING_EVERY_S": "1",
        },
    )
    home.serve("--no-worker")
    home.wait_until_open()
    broker.cut()
    first = post_run(home)  # while the broker is down
    home.worker()  # starts without a broker, and waits for it
    home.wait_for(lambda: "broker cannot be reached" in waiting(home, first), "the page's word about the broker")
    broker.open()
    home.next_solver()
    post_run(home)  # its message waits in the broker
    broker.cut()  # loses the second's message (Redis), and the connection of the worker that is solving the first
    database.cut()
    time.sleep(2)
    database.open()
    broker.open()
    home.go()
    home.wait_for(lambda: [run[:2] for run in home.runs()] == [("done", 1), ("done", 1)], "the end of both runs")
    assert all(process.poll() is None for process in home.processes)
    database.cut()


def waiting(home: Home, run: str) -> str:
    return home.api("GET", f"runs/{run}/")["waiting_reason"]


def test_lost_messages_of_the_embedded_broker_are_sent_again(new_home):
    home = new_home(0, TWIN_RING_EVERY_S="1")
    home.serve()
    home.wait_until_open()
    post_run(home)
    home.next_solver()
    post_run(home)
    for message in (home.path / "broker" / "queue").iterdir():
        message.unlink()
    home.go()
    home.wait_for(lambda: [run[:2] for run in home.runs()] == [("done", 1), ("done", 1)], "the end of both runs")
