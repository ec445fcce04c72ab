"""Real processes on PostgreSQL, Redis and RabbitMQ: nothing is lost when any of them ends."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import kombu
import pytest

from tests.processes import REPOSITORY, Home, free_port, post_run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.services,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in Linux's /proc"),
]


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
    post_run(home)
    solver = home.next_solver()
    for pid in (worker.pid, solver):
        os.kill(pid, signal.SIGKILL)
    home.worker()
    home.next_solver(solver)
    home.go()
    home.wait_for(lambda: home.runs() == [("done", 2, "")], "the end of the run")


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
            "tests/unit/twin/test_changed.py",
            "tests/unit/twin/test_run_retention.py",
            "tests/unit/twin/test_search.py",
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
