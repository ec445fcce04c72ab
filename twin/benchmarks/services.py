"""Services of a measurement's own on free ports, killed and begun again: Mosquitto, PostgreSQL, Prometheus, Redis."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PATIENCE_S = 60.0
MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
PROMETHEUS = shutil.which("prometheus")
REDIS = shutil.which("redis-server")
POSTGRES = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), reverse=True)), None)
DATABASE_USER = "postgres"  # of the system: PostgreSQL does not run as root


def free_port() -> int:
    """Return a port that no process listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """A Mosquitto that keeps whatever is not acknowledged.

    Parameters
    ----------
    folder : Path
        Of its files.
    more : str
        Lines of its configuration, such as those of a certificate.
    """

    def __init__(self, folder: Path, more: str = "allow_anonymous true") -> None:
        self.port = free_port()
        self.address = f"mqtt://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\n{more}\nuser root\npersistence true\n"
            f"persistence_location {folder}/\nautosave_interval 1\nmax_inflight_messages 0\nmax_queued_messages 0\n"
        )

    def start(self) -> "Broker":
        """Start it, with what it had written down; return once it listens."""
        self._process = _listening("Mosquitto", self.port, str(MOSQUITTO), "-c", str(self._config))
        return self

    def kill(self) -> None:
        """End it at once."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


class PrometheusServer:
    """A Prometheus that scrapes exporters every second.

    Parameters
    ----------
    folder : Path
        Of its files.
    exporters : sequence of str
        Host and port of each.
    remote_write : mapping, optional
        Where it sends what it scrapes, as its configuration has it.
    """

    def __init__(self, folder: Path, exporters: Sequence[str], remote_write: Mapping[str, Any] | None = None) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._folder, self._config = folder, folder / "prometheus.yml"
        scraped = {"job_name": "exporters", "static_configs": [{"targets": list(exporters)}]}
        config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [scraped]}
        self._config.write_text(json.dumps(config | ({"remote_write": [remote_write]} if remote_write else {})))

    def start(self) -> "PrometheusServer":
        """Start it; return once it listens."""
        self._process = _listening(
            "Prometheus",
            self.port,
            str(PROMETHEUS),
            f"--config.file={self._config}",
            f"--storage.tsdb.path={self._folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
        )
        return self

    def kill(self) -> None:
        """End it at once."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


class RedisServer:
    """A Redis that forgets everything when it is killed.

    Parameters
    ----------
    folder : Path
        Where it runs.
    """

    def __init__(self, folder: Path) -> None:
        self.port, self._folder = free_port(), folder
        self.address = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "RedisServer":
        """Start it; return once it listens."""
        options = ("--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder))
        self._process = _listening("Redis", self.port, str(REDIS), "--port", str(self.port), *options)
        return self

    def kill(self) -> None:
        """End it at once."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


def _listening(name: str, port: int, *command: str) -> "subprocess.Popen[bytes]":
    """Start a program and return it once it listens."""
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return started
        time.sleep(0.05)
    started.kill()
    started.wait()
    raise TimeoutError(f"{name} does not listen")


class Database:
    """A PostgreSQL cluster of one database."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder, port
        self.url = f"postgres://twin@127.0.0.1:{port}/postgres"

    def make(self) -> "Database":
        """Make its files."""
        self._folder.mkdir()
        if os.getuid() == 0:
            shutil.chown(self._folder, DATABASE_USER)
        self._run("initdb", "-D", str(self._folder), "-A", "trust", "-U", "twin", "--no-sync")
        return self

    def start(self) -> "Database":
        """Start it; return once it answers. After a kill the system lets go of the old one's memory by and by."""
        until_s = time.monotonic() + PATIENCE_S
        options = f"-p {self._port} -k {self._folder} -c listen_addresses=127.0.0.1"
        log = str(self._folder / "log")
        while True:
            try:
                self._run("pg_ctl", "-D", str(self._folder), "-l", log, "-w", "-o", options, "start")
                return self
            except subprocess.CalledProcessError:
                if time.monotonic() > until_s:
                    raise
                time.sleep(0.5)

    def kill(self) -> None:
        """End it at once: its children see that their parent is gone."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            pid = int((self._folder / "postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGKILL)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(POSTGRES and POSTGRES.with_name(program)), *arguments]
        if os.getuid() == 0:
            command = ["runuser", "-u", DATABASE_USER, "--", *command]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
