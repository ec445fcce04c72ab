"""A home of a test with the real processes that it started: web server, worker, beat."""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
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
